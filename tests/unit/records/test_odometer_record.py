"""Odometer records: what they state, what they hide, what they commit to."""

from dataclasses import replace
from typing import Any

import pytest

from shared.core.clock import Instant, MonotonicNs, UtcNs
from shared.core.errors import EncodeError, RecordError
from shared.records.credential import VehicleCredential, credential_of
from shared.records.issuers import Issuer, IssuerRole
from shared.records.kind import RecordKind
from shared.records.odometer import (
    ODOMETER_2,
    BootTime,
    CounterKind,
    HardwareCount,
    OdometerFlag,
    OdometerReading,
    OdometerSource,
    RecordReason,
    Verdict,
    boot_of,
)
from shared.records.record import (
    RECORD_TYPE,
    DisclosedRecord,
    Record,
    SignedRecord,
    commitment_of,
    read_record,
    sign_record,
    verify_record,
)
from shared.records.recorder import Recorder, RecordHead
from shared.records.sd_jwt import Disclosure, SdJwt, certificate_id, encode_base64url, issue_sd_jwt, parse_sd_jwt
from shared.records.strict_json import Json
from tests.helpers.ledger import Vehicle, seeded_entropy

READING = OdometerReading(
    odometer_m=25_088_064,
    reason=RecordReason.DISTANCE,
    sources=(OdometerSource(name="cluster", odometer_m=25_088_064, age_ms=12),),
    boot=BootTime(boot_id=bytes(16), elapsed_ms=60_000),
)
RECORD = Record(
    kind=RecordKind.ODOMETER,
    seq=1,
    prev=bytes(range(32)),
    occurred=UtcNs(1_532_000_000_250_000_000),
    fields=READING.fields(),
    flags=(OdometerFlag.STEP,),
)
HIDEABLE = ODOMETER_2.hideable


def reading(**changes: Any) -> Record:
    """The record with something else in its reading."""
    return replace(RECORD, fields=replace(READING, **changes).fields())


def verified(token: SdJwt, vehicle: Vehicle) -> DisclosedRecord:
    """What the token shows as a record of the vehicle's own."""
    return verify_record(token, Issuer(key=vehicle.public_key, role=IssuerRole.VEHICLE))


def test_a_record_survives_signing_whole() -> None:
    vehicle = Vehicle()
    signed = sign_record(RECORD, vehicle, seeded_entropy())
    shown = verified(parse_sd_jwt(signed.sd_jwt), vehicle)
    for name in ("seq", "prev", "occurred", "flags"):
        assert getattr(shown, name) == getattr(RECORD, name)
    for name in ("odometer_m", "reason", "sources", "boot", "verdict", "missing_permille", "nonce", "counter"):
        assert getattr(shown, name) == getattr(READING, name)
    assert shown.hidden == ()
    assert read_record(parse_sd_jwt(signed.sd_jwt)) == shown


@pytest.mark.parametrize("hidden", HIDEABLE)
def test_every_claim_can_be_hidden_alone_and_the_commitment_stays(hidden: str) -> None:
    vehicle = Vehicle()
    signed = sign_record(RECORD, vehicle, seeded_entropy())
    token = parse_sd_jwt(signed.sd_jwt).showing([name for name in HIDEABLE if name != hidden])
    shown = verified(token, vehicle)
    assert shown.hidden == (hidden,)
    behind = {"judgement": (shown.verdict, shown.missing_permille), "bound_to": (shown.nonce, shown.counter)}
    assert behind.get(hidden, (getattr(shown, hidden, None), None)) in ((None, None), ((), None))
    assert shown.flags == RECORD.flags
    assert commitment_of(token.jwt, signed.salt) == signed.commitment


def test_what_witnesses_an_inspector_and_a_counter_say_survives_signing() -> None:
    vehicle, count = Vehicle(), HardwareCount(kind=CounterKind.TPM, value=4_711)
    for octets in (bytes(range(16)), bytes(range(17)), bytes(range(18)), bytes(range(31)), bytes(range(32))):
        judged = reading(
            reason=RecordReason.INSPECTION, verdict=Verdict.DISAGREE, missing_permille=250, nonce=octets, counter=count
        )
        shown = verified(parse_sd_jwt(sign_record(judged, vehicle, seeded_entropy()).sd_jwt), vehicle)
        assert (shown.verdict, shown.missing_permille, shown.nonce, shown.counter) == (Verdict.DISAGREE, 250, octets, count)
    unjudged = verified(parse_sd_jwt(sign_record(RECORD, vehicle, seeded_entropy()).sd_jwt), vehicle)
    assert (unjudged.verdict, unjudged.missing_permille, unjudged.nonce, unjudged.counter) == (None, None, None, None)
    assert unjudged.hidden == (), "null says that it is not known, not that it is kept back"


def test_equal_records_have_unlike_commitments() -> None:
    entropy = seeded_entropy()
    a, b = (sign_record(RECORD, Vehicle(), entropy) for _ in range(2))
    assert a.commitment != b.commitment
    assert a.salt != b.salt
    token = parse_sd_jwt(a.sd_jwt)
    assert commitment_of(token.jwt, a.salt) == a.commitment
    assert commitment_of(token.jwt, b.salt) != a.commitment


def test_a_record_without_a_date_keeps_its_boot_time() -> None:
    vehicle = Vehicle()
    signed = sign_record(replace(RECORD, occurred=None, flags=(OdometerFlag.CLOCK_NOT_SET,)), vehicle, seeded_entropy())
    shown = verified(parse_sd_jwt(signed.sd_jwt), vehicle)
    assert shown.occurred is None
    assert shown.hidden == ()
    assert shown.boot == READING.boot


def test_the_credential_a_record_hands_over_to_cannot_be_hidden() -> None:
    vehicle, renewed = Vehicle(), Vehicle("renewed")
    record = replace(reading(reason=RecordReason.CREDENTIAL_RENEWED), successor=credential_of(renewed))
    signed = sign_record(record, vehicle, seeded_entropy())
    for shown in (HIDEABLE, ()):
        token = parse_sd_jwt(signed.sd_jwt).showing(shown)
        assert verified(token, vehicle).next_credential == certificate_id(renewed.certificate)


SOURCE = READING.sources[0]


@pytest.mark.parametrize(
    "broken",
    [
        replace(RECORD, seq=-1),
        replace(RECORD, seq=0),
        replace(RECORD, prev=None),
        replace(RECORD, prev=b"short"),
        reading(odometer_m=-1),
        reading(odometer_m=10**11),
        replace(RECORD, occurred=UtcNs(1)),
        replace(RECORD, occurred=UtcNs(-1_000_000)),
        replace(RECORD, occurred=UtcNs(10**21)),
        reading(sources=()),
        reading(sources=(SOURCE,) * 13),
        reading(verdict=Verdict.DISAGREE, missing_permille=1_001),
        reading(verdict=Verdict.DISAGREE, missing_permille=-1),
        reading(nonce=bytes(15)),
        reading(nonce=bytes(33)),
        reading(counter=HardwareCount(kind=CounterKind.TPM, value=-1)),
        reading(sources=(replace(SOURCE, name=""),)),
        reading(sources=(replace(SOURCE, name="bell\x07"),)),
        reading(sources=(replace(SOURCE, age_ms=-1),)),
        reading(boot=BootTime(boot_id=b"short", elapsed_ms=0)),
        replace(RECORD, flags=(OdometerFlag.STEP, OdometerFlag.STEP)),
        reading(reason=RecordReason.CREDENTIAL_RENEWED),
        replace(RECORD, successor=credential_of(Vehicle("renewed"))),
        replace(reading(reason=RecordReason.CREDENTIAL_RENEWED), successor=credential_of(Vehicle())),
    ],
)
def test_impossible_records_are_not_signed(broken: Record) -> None:
    with pytest.raises(EncodeError):
        sign_record(broken, Vehicle(), seeded_entropy())


def test_a_source_of_entropy_that_runs_dry_signs_nothing() -> None:
    with pytest.raises(EncodeError, match="entropy"):
        sign_record(RECORD, Vehicle(), lambda n: b"x" * min(n, 3))


GOOD: dict[str, Json] = {
    "kind": ODOMETER_2.claim,
    "seq": 0,
    "flags": [],
    "odometer_m": 5,
    "occurred": "2026-11-22T09:30:00.250Z",
    "reason": "time",
    "sources": [{"name": "cluster", "odometer_m": 5, "age_ms": 0}],
    "boot": {"id": "00" * 16, "elapsed_ms": 1},
}
BAD_NONCES: tuple[Json, ...] = ("A" * 20, "A" * 21, "A" * 25, "A" * 44, "A" * 21 + "B", "A" * 20 + "+/", 7)
BAD_COUNTERS: tuple[Json, ...] = (7, {"kind": "tpm"}, {"kind": "usb", "value": 1})


def bound(*, nonce: Json = None, counter: Json = None) -> Json:
    """The claim that binds a record, with one of its members."""
    return {"nonce": nonce, "counter": counter}


BAD: list[tuple[str, Json]] = [
    ("kind", "odometer/3"), ("kind", "odometer/0"), ("seq", -1), ("seq", 1), ("seq", "0"), ("seq", True), ("seq", 0.5),
    ("prev", "AA"), ("prev", 7), ("flags", None),
    ("flags", ["rollback", "rollback"]), ("flags", ["new"]), ("flags", [1]), ("odometer_m", "5"), ("odometer_m", -5),
    ("odometer_m", 10**12), ("odometer_m", None), ("occurred", "2026-11-22T09:30:00.25Z"),
    ("occurred", "2026-11-22T09:30:00.250+00:00"),
    ("occurred", "2026-13-22T09:30:00.250Z"), ("occurred", 7), ("occurred", "1969-12-31T23:59:59.000Z"), ("reason", "bored"),
    ("reason", None), ("sources", []), ("sources", [1]), ("sources", [{"name": "x"}]), ("sources", None), ("boot", None),
    ("sources", [{"name": "\u202e\n", "odometer_m": 5, "age_ms": 0}]), ("boot", {"id": "00" * 15, "elapsed_ms": 1}),
    ("boot", {"id": "ZZ" * 16, "elapsed_ms": 1}), ("boot", {"id": "00" * 16, "elapsed_ms": -1}), ("surprise", 1),
    ("next_credential", "A" * 43), ("next_credential", None), ("next_credential", "A" * 42), ("next_credential", "A" * 42 + "B"),
    ("next_credential", 7), ("reason", "credential_renewed"),
    ("judgement", "agree"), ("judgement", {"verdict": "agree"}), ("judgement", {"verdict": "yes", "missing_permille": None}),
    ("judgement", {"verdict": None, "missing_permille": 1}), ("judgement", {"verdict": "agree", "missing_permille": 1_001}),
    ("bound_to", {"nonce": None}), *(("bound_to", bound(nonce=nonce)) for nonce in BAD_NONCES),
    *(("bound_to", bound(counter=counter)) for counter in BAD_COUNTERS),
]  # fmt: skip


@pytest.mark.parametrize(("claim", "value"), BAD)
def test_content_no_record_may_have_is_refused_even_when_signed(claim: str, value: Json) -> None:
    vehicle = Vehicle()
    token = issue_sd_jwt(typ=RECORD_TYPE, visible={**GOOD, claim: value}, hidden={}, signer=vehicle, entropy=seeded_entropy())
    with pytest.raises(RecordError) as caught:
        verified(token, vehicle)
    assert caught.value.check == "content"


def test_the_good_example_is_good() -> None:
    vehicle = Vehicle()
    token = issue_sd_jwt(typ=RECORD_TYPE, visible=GOOD, hidden={}, signer=vehicle, entropy=seeded_entropy())
    assert verified(token, vehicle).odometer_m == 5


class Shelf:
    """A record store in memory."""

    def __init__(self) -> None:
        self.records: list[SignedRecord] = []

    def head(self) -> RecordHead | None:
        if not self.records:
            return None
        last = self.records[-1]
        metres = last.record.odometer_m
        assert metres is not None
        return RecordHead(seq=last.record.seq, commitment=last.commitment, odometer_m=metres)

    def credentials(self) -> tuple[VehicleCredential, ...]:
        kept: dict[str, VehicleCredential] = {}
        for signed in self.records:
            kept.setdefault(signed.credential.id, signed.credential)
            if signed.record.successor is not None:
                kept.setdefault(signed.record.successor.id, signed.record.successor)
        return tuple(kept.values())

    def append(self, record: SignedRecord) -> None:
        self.records.append(record)


def test_a_recorder_numbers_chains_and_flags() -> None:
    shelf = Shelf()
    recorder = Recorder(signer=Vehicle(), store=shelf, entropy=seeded_entropy(), boot_id=bytes(16))
    source = OdometerSource(name="cluster", odometer_m=0, age_ms=0)
    at = Instant(MonotonicNs(5_000_000_000), UtcNs(1_700_000_000_123_456_789))
    for odometer_m in (1000, 2000, 1500):
        recorder.record_reading(odometer_m=odometer_m, reason=RecordReason.TIME, sources=(source,), flags=(), at=at)
    recorder.record_reading(
        odometer_m=1600, reason=RecordReason.TIME, sources=(source,), flags=(), at=Instant(MonotonicNs(6), None)
    )
    records = [signed.record for signed in shelf.records]
    assert [r.seq for r in records] == [0, 1, 2, 3]
    assert [r.prev for r in records] == [None, *(signed.commitment for signed in shelf.records[:-1])]
    assert [r.flags for r in records] == [(), (), (OdometerFlag.ROLLBACK,), (OdometerFlag.CLOCK_NOT_SET,)]
    assert records[0].occurred == 1_700_000_000_123_000_000
    assert records[3].occurred is None
    boot = boot_of(records[0].fields)
    assert boot is not None
    assert boot.elapsed_ms == 5_000
    with pytest.raises(EncodeError):
        Recorder(signer=Vehicle(), store=shelf, entropy=seeded_entropy(), boot_id=b"short")


def test_a_record_reads_as_it_verifies_also_where_digests_stand_inside_its_claims() -> None:
    """An issuer may sign empty lists of digests, and digests of nothing, wherever RFC 9901 lets them stand."""
    vehicle, entropy = Vehicle(), seeded_entropy()
    boot: dict[str, Json] = {"id": "00" * 16, "elapsed_ms": 5, "_sd": []}
    sources: list[Json] = [{"name": "cluster", "odometer_m": 7, "age_ms": 1}, {"...": encode_base64url(bytes(32))}]
    visible: dict[str, Json] = {"kind": "odometer/1", "seq": 0, "flags": [], "boot": boot, "sources": sources}
    token = issue_sd_jwt(typ=RECORD_TYPE, visible=visible, hidden={"odometer_m": 7}, signer=vehicle, entropy=entropy)
    shown = verify_record(token, Issuer(key=vehicle.public_key, role=IssuerRole.VEHICLE))
    assert shown.fields["boot"] == {"id": "00" * 16, "elapsed_ms": 5}
    assert shown.hidden == ("occurred", "reason")
    assert read_record(token) == shown
    stray = replace(token, disclosures=(*token.disclosures, Disclosure(encode_base64url(b'["s","seq",9]'), "seq", 9)))
    with pytest.raises(RecordError, match="seq: shown, but not what the issuer signed"):
        read_record(stray)
