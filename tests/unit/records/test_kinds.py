"""Every kind of record, by its own table: what it states, what it hides, who may say so."""

from dataclasses import replace

import pytest

from shared.core.clock import UtcNs
from shared.core.errors import EncodeError, RecordError
from shared.records.fields import Choice, Field, FieldType, Group, Many, Spelled, Text, Whole, YesNo
from shared.records.issuers import ISSUER_KINDS, Issuer, IssuerRole, check_may_issue
from shared.records.kind import OCCURRED, KindSpec, RecordKind
from shared.records.kinds import KINDS, SPECS, spec_of
from shared.records.odometer import OdometerFlag
from shared.records.record import DisclosedRecord, Record, read_record, sign_token, verify_record
from shared.records.sd_jwt import SdJwt, certificate_id, issue_sd_jwt, parse_sd_jwt
from shared.records.strict_json import MAX_SAFE_INTEGER, Json
from tests.helpers.ledger import Vehicle, seeded_entropy

SUBJECT = certificate_id(Vehicle().certificate)
MOMENT = UtcNs(1_790_000_000_250_000_000)
SPELLED = ("A" * 43, "2026-11-22T09:30:00.250Z", "2026-11-22", "EUR", "IT", "00" * 16, "odometer_m")
"""One of each fixed spelling."""


def sample(kind: FieldType) -> Json:
    """A value that fits a type."""
    match kind:
        case Whole(most, least):
            return max(least, min(most, 7))
        case YesNo():
            return True
        case Text():
            return "Bosch & Söhne, 5°"[: kind.most_characters]
        case Choice(of):
            return of[0]
        case Many():
            return [sample(kind.item)] * max(kind.least, min(kind.most, 1))
        case Group(members):
            return {member.name: sample(member.type) for member in members}
        case Spelled():
            return next(text for text in SPELLED if kind.fault(text) is None)
        case _:
            raise AssertionError(kind)


def misfits(field: Field) -> list[Json]:
    """Values that fit no field of this type."""
    wrong: list[Json] = [float("1.5"), {"a": 1}, "", [[]], "\x07", "\u202e"]
    if not field.is_optional:
        wrong.append(None)
    match field.type:
        case Whole(most, least):
            wrong += [most + 1] if most < MAX_SAFE_INTEGER else []
            wrong += [least - 1, True, "7"]
        case Text(most_characters):
            wrong += ["x" * (most_characters + 1), 7]
        case Choice():
            wrong += ["surprise", 7]
        case Many(item, most, _):
            wrong += [[sample(item)] * (most + 1), "x"]
        case Group(members):
            first = members[0].name
            wrong += [{**{m.name: sample(m.type) for m in members}, "surprise": 1}, {first: sample(members[0].type), "x": 1}]
        case _:
            wrong += [7, "surprise!"]
    return wrong


def fields_of(kind: RecordKind) -> dict[str, Json]:
    return {field.name: sample(field.type) for field in KINDS[kind].fields if field.name != OCCURRED}


def role_for(kind: RecordKind) -> IssuerRole:
    return next(role for role in IssuerRole if kind in ISSUER_KINDS[role])


def issuer(kind: RecordKind, role: IssuerRole | None = None) -> Issuer:
    return Issuer(key=SIGNER.public_key, role=role_for(kind) if role is None else role)


def record_of(kind: RecordKind) -> Record:
    subject = None if role_for(kind) is IssuerRole.VEHICLE else SUBJECT
    return Record(kind=kind, seq=3, prev=bytes(32), occurred=MOMENT, fields=fields_of(kind), subject=subject)


SIGNER = Vehicle("signer")
EVERY_KIND = pytest.mark.parametrize("kind", RecordKind, ids=lambda kind: kind.value)
EVERY_FIELD = pytest.mark.parametrize(
    ("kind", "field"),
    [(spec.kind, field) for spec in KINDS.values() for field in spec.fields],
    ids=lambda value: value.value if isinstance(value, RecordKind) else value.name,
)


def signed(kind: RecordKind) -> SdJwt:
    return sign_token(record_of(kind), SIGNER, seeded_entropy())


def stated(kind: RecordKind, /, **claims: Json) -> SdJwt:
    """A token that states what it likes, signed all the same."""
    payload: dict[str, Json] = {"kind": KINDS[kind].claim, "seq": 3, "prev": "A" * 43, **fields_of(kind)}
    payload[OCCURRED] = SPELLED[1]
    if kind is RecordKind.ODOMETER:
        payload["flags"] = []
    if role_for(kind) is not IssuerRole.VEHICLE:
        payload["subject"] = SUBJECT
    payload.update(claims)
    typ = "v2x-record+sd-jwt"
    return issue_sd_jwt(typ=typ, visible=payload, hidden={}, signer=SIGNER, entropy=seeded_entropy())


@EVERY_KIND
def test_a_record_of_every_kind_survives_signing_whole(kind: RecordKind) -> None:
    token = parse_sd_jwt(signed(kind).encode())
    shown = verify_record(token, issuer(kind))
    assert (shown.kind, shown.seq, shown.prev, shown.occurred) == (kind, 3, bytes(32), MOMENT)
    assert dict(shown.fields) == fields_of(kind)
    assert shown.hidden == ()
    assert read_record(token) == shown


@EVERY_FIELD
def test_every_claim_can_be_hidden_alone(kind: RecordKind, field: Field) -> None:
    spec = KINDS[kind]
    token = signed(kind).showing([name for name in spec.hideable if name != field.name])
    shown = verify_record(token, issuer(kind))
    assert shown.hidden == (field.name,)
    assert field.name not in shown.fields
    assert (shown.occurred is None) is (field.name == OCCURRED)
    assert len(shown.fields) == len(spec.fields) - (1 if field.name == OCCURRED else 2)


@EVERY_FIELD
def test_a_value_that_does_not_fit_is_neither_signed_nor_believed(kind: RecordKind, field: Field) -> None:
    for wrong in misfits(field):
        assert field.fault(wrong) is not None, wrong
        if field.name != OCCURRED:
            with pytest.raises(EncodeError) as refused:
                sign_token(replace(record_of(kind), fields={**fields_of(kind), field.name: wrong}), SIGNER, seeded_entropy())
            assert refused.value.field == f"record.{field.name}"
        if wrong != 1.5:
            with pytest.raises(RecordError) as caught:
                verify_record(stated(kind, **{field.name: wrong}), issuer(kind))
            assert caught.value.check == "content"
            assert field.name in caught.value.reason


@EVERY_FIELD
def test_only_what_may_be_unknown_may_be_null(kind: RecordKind, field: Field) -> None:
    token = stated(kind, **{field.name: None})
    if field.is_optional:
        assert field.name not in verify_record(token, issuer(kind)).hidden
    else:
        with pytest.raises(RecordError, match=field.name):
            verify_record(token, issuer(kind))


@EVERY_KIND
def test_a_role_issues_its_own_kinds_and_no_others(kind: RecordKind) -> None:
    for role in IssuerRole:
        subject = None if role is IssuerRole.VEHICLE else SUBJECT
        token = sign_token(replace(record_of(kind), subject=subject), SIGNER, seeded_entropy())
        if kind in ISSUER_KINDS[role]:
            assert verify_record(token, issuer(kind, role)).subject == subject
        else:
            with pytest.raises(RecordError, match="may not issue") as caught:
                verify_record(token, issuer(kind, role))
            assert caught.value.check == "role"


def test_a_garage_that_inspects_is_told_who_may() -> None:
    with pytest.raises(RecordError) as caught:
        check_may_issue(IssuerRole.GARAGE, RecordKind.INSPECTION)
    assert caught.value.reason == "a garage may not issue inspection records; an inspector may"


def test_every_kind_has_an_issuer_and_every_role_a_kind() -> None:
    assert set().union(*ISSUER_KINDS.values()) == set(RecordKind)
    assert all(ISSUER_KINDS[role] for role in IssuerRole)
    assert {spec.kind for spec in SPECS} == set(RecordKind)


def test_a_vehicle_is_itself_the_subject_and_anybody_else_names_it() -> None:
    kind = RecordKind.BATTERY  # of the vehicle, a garage, an inspector and the maker
    own = sign_token(replace(record_of(kind), subject=None), SIGNER, seeded_entropy())
    foreign = sign_token(replace(record_of(kind), subject=SUBJECT), SIGNER, seeded_entropy())
    assert verify_record(own, issuer(kind, IssuerRole.VEHICLE)).subject is None
    assert verify_record(foreign, issuer(kind, IssuerRole.GARAGE)).subject == SUBJECT
    for token, role in ((own, IssuerRole.GARAGE), (foreign, IssuerRole.VEHICLE)):
        with pytest.raises(RecordError) as caught:
            verify_record(token, issuer(kind, role))
        assert caught.value.check == "subject"


def test_a_correction_points_back() -> None:
    record = record_of(RecordKind.TRIP)
    token = sign_token(replace(record, corrects=2), SIGNER, seeded_entropy())
    shown: DisclosedRecord = verify_record(token.showing(()), issuer(RecordKind.TRIP))
    assert shown.corrects == 2
    for seq in (3, 4, -1):
        with pytest.raises(EncodeError, match="earlier"):
            sign_token(replace(record, corrects=seq), SIGNER, seeded_entropy())
        with pytest.raises(RecordError, match="corrects"):
            verify_record(stated(RecordKind.TRIP, corrects=seq), issuer(RecordKind.TRIP))


def test_flags_of_the_odometer_stand_in_odometer_records_only() -> None:
    record = replace(record_of(RecordKind.TRIP), flags=(OdometerFlag.CLOCK_NOT_SET,))
    token = sign_token(record, SIGNER, seeded_entropy())
    assert verify_record(token, issuer(RecordKind.TRIP)).flags == (OdometerFlag.CLOCK_NOT_SET,)
    with pytest.raises(EncodeError, match="flags"):
        sign_token(replace(record, flags=(OdometerFlag.ROLLBACK,)), SIGNER, seeded_entropy())
    never: tuple[Json, ...] = (["rollback"], [])
    for flags in never:
        with pytest.raises(RecordError, match="flags"):
            verify_record(stated(RecordKind.TRIP, flags=flags), issuer(RecordKind.TRIP))


@pytest.mark.parametrize("claim", ["odometer", "odometer/3", "Odometer/1", "surprise/1", None, 7, ["odometer/1"]])
def test_a_kind_or_version_that_is_not_known_is_refused(claim: Json) -> None:
    with pytest.raises(RecordError) as caught:
        spec_of(claim)
    assert caught.value.check == "content"


OLD_VERSIONS = pytest.mark.parametrize(
    "spec", [spec for spec in SPECS if KINDS[spec.kind] is not spec], ids=lambda spec: spec.claim
)


def stated_as(spec: KindSpec, **claims: Json) -> SdJwt:
    """A token of an older version of a table."""
    newest = fields_of(spec.kind)
    inner = {field.name: sample(field.type) for field in spec.fields if field.name != OCCURRED}
    token = stated(spec.kind, **{**inner, "kind": spec.claim, **claims})
    payload = {name: value for name, value in token.payload.items() if name in inner or name not in newest or name in claims}
    return issue_sd_jwt(typ="v2x-record+sd-jwt", visible=payload, hidden={}, signer=SIGNER, entropy=seeded_entropy())


@OLD_VERSIONS
def test_an_older_version_is_read_by_its_own_table_and_knows_nothing_newer(spec: KindSpec) -> None:
    assert spec_of(spec.claim) is spec
    shown = verify_record(stated_as(spec), issuer(spec.kind))
    assert (shown.kind, shown.hidden) == (spec.kind, ())
    for field in spec.fields:
        for wrong in (each for each in misfits(field) if each != 1.5):
            with pytest.raises(RecordError, match=field.name):
                verify_record(stated_as(spec, **{field.name: wrong}), issuer(spec.kind))
    for name in set(KINDS[spec.kind].hideable) - set(spec.hideable):
        with pytest.raises(RecordError, match=name):
            verify_record(stated_as(spec, **{name: None}), issuer(spec.kind))
    for flag in OdometerFlag:
        token = stated_as(spec, flags=[flag.value])
        if flag.value in ("clock_not_set", "sequence_resumed", *spec.flags):
            assert verify_record(token, issuer(spec.kind)).flags == (flag,)
        else:
            with pytest.raises(RecordError, match="flags"):
                verify_record(token, issuer(spec.kind))


def test_only_the_second_table_of_the_odometer_knows_a_blocker() -> None:
    first, second = (spec for spec in SPECS if spec.kind is RecordKind.ODOMETER)
    assert "blocker_suspected" not in first.flags
    assert set(second.flags) == {flag.value for flag in OdometerFlag}
    with pytest.raises(RecordError, match="reason"):
        verify_record(stated_as(first, reason="clock_set"), issuer(RecordKind.ODOMETER))
    assert verify_record(stated(RecordKind.ODOMETER, reason="clock_set"), issuer(RecordKind.ODOMETER)).reason is not None


@EVERY_KIND
def test_a_claim_of_no_table_is_refused(kind: RecordKind) -> None:
    with pytest.raises(RecordError, match="surprise"):
        verify_record(stated(kind, surprise=1), issuer(kind))
    with pytest.raises(EncodeError, match="surprise"):
        sign_token(replace(record_of(kind), fields={**fields_of(kind), "surprise": 1}), SIGNER, seeded_entropy())


@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec.in_order], ids=lambda spec: spec.claim)
def test_times_stand_in_their_order(spec: object) -> None:
    kind = next(each.kind for each in SPECS if each is spec)
    for first, second in KINDS[kind].in_order:
        turned: dict[str, Json] = {first: "2026-11-22T09:30:00.250Z", second: "2026-11-22T09:30:00.249Z"}
        with pytest.raises(EncodeError, match=f"before {first}"):
            sign_token(replace(record_of(kind), fields={**fields_of(kind), **turned}), SIGNER, seeded_entropy())
        with pytest.raises(RecordError, match=f"before {first}"):
            verify_record(stated(kind, **turned), issuer(kind))
