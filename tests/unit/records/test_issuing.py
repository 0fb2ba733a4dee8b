"""What an issuer typed is held against the table of its kind, and signed for a slot only if the vehicle would take it."""

from dataclasses import replace

import pytest

from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import RecordError, UntrustedTimeError
from shared.core.itstime import utc_text
from shared.records.admission import MAX_AHEAD_NS, MAX_LATE_NS, EarlierRecord, check_admission
from shared.records.exchange import IssuedRecord, Slot, parse_issued
from shared.records.issuers import ISSUER_KINDS, Issuer, IssuerRole
from shared.records.issuing import Statement, issue_record, read_statement
from shared.records.kind import RecordKind
from shared.records.odometer import OdometerFlag
from shared.records.sd_jwt import certificate_id
from shared.records.strict_json import Json
from tests.helpers.ledger import Vehicle, seeded_entropy
from tests.unit.records.test_kinds import fields_of

CAR, GARAGE = Vehicle(), Vehicle("garage")
NOW = Instant(MonotonicNs(1), UtcNs(1_790_000_000_000_000_000))
TODAY = utc_text(NOW.require_utc())
SLOT = Slot(seq=58, prev=bytes(range(32)), subject=certificate_id(CAR.certificate))
SERVICE: dict[str, Json] = {"occurred": TODAY, "odometer_m": 50_000_000, "works": ["oil"], "fault_codes": []}


def faults(**changes: Json) -> str:
    with pytest.raises(RecordError) as caught:
        read_statement(
            RecordKind.MAINTENANCE, {name: value for name, value in {**SERVICE, **changes}.items() if value != "left out"}
        )
    assert caught.value.check == "fields"
    return caught.value.reason


def stated(**changes: object) -> Statement:
    return replace(read_statement(RecordKind.MAINTENANCE, SERVICE), **changes)  # type: ignore[arg-type]


def issued(
    statement: Statement, *, role: IssuerRole = IssuerRole.GARAGE, slot: Slot = SLOT, now: Instant = NOW, key: Vehicle = GARAGE
) -> IssuedRecord:
    issuer = Issuer(key=key.public_key, role=role)
    return issue_record(statement, slot=slot, signer=GARAGE, issuer=issuer, now=now, entropy=seeded_entropy())


def refused(statement: Statement, check: str, *, role: IssuerRole = IssuerRole.GARAGE, key: Vehicle = GARAGE) -> str:
    with pytest.raises(RecordError) as caught:
        issued(statement, role=role, key=key)
    assert caught.value.check == check
    return caught.value.reason


class NoShelf:
    """A vehicle whose earlier records nobody asks for."""

    def earlier(self, seq: int) -> EarlierRecord | None:
        return None


@pytest.mark.parametrize(
    ("role", "kind"),
    [(role, kind) for role in IssuerRole if role is not IssuerRole.VEHICLE for kind in sorted(ISSUER_KINDS[role], key=str)],
)
def test_what_a_role_may_issue_is_signed_and_the_vehicle_takes_it(role: IssuerRole, kind: RecordKind) -> None:
    statement = read_statement(kind, {"occurred": TODAY, **fields_of(kind)})
    file = parse_issued(issued(statement, role=role).encode())
    admitted = check_admission(file, issuer=Issuer(key=GARAGE.public_key, role=role), slot=SLOT, shelf=NoShelf(), now=NOW)
    assert (admitted.record.kind, admitted.record.seq, admitted.role) == (kind, 58, role)
    assert {name: value for name, value in admitted.record.fields.items() if value is not None} == statement.fields


@pytest.mark.parametrize(
    ("role", "kind"), [(role, kind) for role in IssuerRole for kind in RecordKind if kind not in ISSUER_KINDS[role]]
)
def test_what_a_role_may_not_issue_is_not_signed(role: IssuerRole, kind: RecordKind) -> None:
    statement = Statement(kind=kind, occurred=NOW.require_utc(), fields=fields_of(kind))
    assert ("may not issue" in refused(statement, "role", role=role)) is (role is not IssuerRole.VEHICLE)


def test_a_vehicles_credential_issues_nothing_for_others() -> None:
    assert "a vehicle makes its own records" in refused(stated(), "role", role=IssuerRole.VEHICLE)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"odometer_m": "left out"}, "odometer_m is missing: it may be 0 to 10,000,000,000"),
        ({"odometer_m": 10_000_000_001}, "odometer_m: 10000000001 is outside 0 to 10,000,000,000"),
        ({"odometer_m": -1}, "odometer_m: -1 is outside 0 to 10,000,000,000"),
        ({"odometer_m": 1.5}, "odometer_m: not an integer (it may be 0 to 10,000,000,000)"),
        ({"works": []}, "works: not a list of 1 to 16 (it may be list of 1 to 16: oil, filters"),
        ({"works": ["magic"]}, "works: item 1: not one of oil, filters"),
        ({"works": ["oil", "oil"]}, "works: an item appears twice"),
        ({"note": "x" * 501}, "note: 501 characters; text of 1 to 500 characters fit"),
        ({"next_due": "2026-02-30"}, "next_due: not a date like 2026-11-22"),
        ({"colour": "red"}, "'colour' is no claim of a maintenance record, which has occurred, odometer_m, works"),
        ({"x" * 99: 1}, f"{'x' * 32!r} is no claim"),
        ({"occurred": "left out"}, "occurred is missing: When it was done: a time in UTC like"),
        ({"occurred": "yesterday"}, "occurred: no moment with its offset"),
        ({"occurred": "2026-11-22T09:30:00"}, "occurred: no moment with its offset"),
        ({"occurred": 7}, "occurred: no moment with its offset"),
        ({"occurred": "0001-01-01T00:00:00Z"}, "occurred: no moment with its offset"),
    ],
)
def test_what_does_not_fit_is_named_with_what_would(changes: dict[str, Json], sentence: str) -> None:
    assert sentence in faults(**changes)


def test_the_words_of_a_list_are_told_once() -> None:
    assert faults(works=["magic"]).count("suspension") == 1


def test_every_fault_is_told_at_once() -> None:
    told = faults(odometer_m=-1, works="left out", colour="red").split("; ")
    assert len(told) == 3
    assert {words.split()[0].strip("':") for words in told} == {"odometer_m", "works", "colour"}


def test_times_of_other_offsets_and_finer_than_a_millisecond_become_those_of_records() -> None:
    statement = read_statement(RecordKind.MAINTENANCE, {**SERVICE, "occurred": "2026-11-22T10:30:00.123456+01:00"})
    assert utc_text(statement.occurred) == "2026-11-22T09:30:00.123Z"


def test_what_may_be_unknown_inside_an_object_may_be_left_out() -> None:
    defects: Json = [{"severity": "minor", "text": "wiper torn"}]
    claims: dict[str, Json] = {
        "occurred": TODAY,
        "odometer_m": 1,
        "inspection": "periodic",
        "result": "passed_with_minor_defects",
        "defects": defects,
    }
    statement = read_statement(RecordKind.INSPECTION, claims)
    assert statement.fields["defects"] == [{"severity": "minor", "text": "wiper torn", "code": None}]
    issued(statement, role=IssuerRole.INSPECTOR)
    with pytest.raises(RecordError, match="defects: item 1: not an object of severity, code, text"):
        read_statement(RecordKind.INSPECTION, {**claims, "defects": [{"severity": "minor"}]})


@pytest.mark.parametrize("off_ns", [MAX_AHEAD_NS + NS_PER_S, -MAX_LATE_NS - NS_PER_S])
def test_a_date_at_which_the_vehicle_would_not_take_it_is_not_signed(off_ns: int) -> None:
    assert "is dated" in refused(stated(occurred=UtcNs(NOW.require_utc() + off_ns)), "date")


def test_without_a_date_of_ones_own_nothing_is_signed() -> None:
    with pytest.raises(UntrustedTimeError):
        issued(stated(), now=Instant(MonotonicNs(1), None))


def test_a_correction_points_back() -> None:
    assert issued(stated(corrects=57)).token.payload["corrects"] == 57
    assert "an earlier record only, not number 58" in refused(stated(corrects=58), "correction")


def test_what_the_slot_says_was_odd_is_signed_too() -> None:
    token = issued(stated(), slot=replace(SLOT, flags=(OdometerFlag.SEQUENCE_RESUMED,))).token
    assert token.payload["flags"] == ["sequence_resumed"]


def test_a_key_that_is_not_the_credentials_is_noticed_before_the_vehicle_does() -> None:
    refused(stated(), "signature", key=CAR)


def test_claims_too_long_for_one_record_are_told_as_such() -> None:
    part: Json = {"severity": "minor", "code": "\U0001f6d1" * 16, "text": "\U0001f6d1" * 120}
    claims: dict[str, Json] = {
        "occurred": TODAY,
        "odometer_m": 1,
        "inspection": "periodic",
        "result": "failed",
        "defects": [part] * 16,
        "note": "\U0001f6d1" * 500,
    }
    statement = read_statement(RecordKind.INSPECTION, claims)
    assert "they do not make a record" in refused(statement, "fields", role=IssuerRole.INSPECTOR)
