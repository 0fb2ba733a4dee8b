"""A spool that fills up refuses by class of record: what is of use for a while first, evidence last; nothing that is in it goes."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import StorageError
from shared.records.kind import RecordKind
from shared.records.odometer import OdometerFlag, OdometerSource, RecordReason
from shared.records.record import Record, SignedRecord
from shared.records.recorder import Recorder
from shared.records.strict_json import Json
from shared.service.spool import AnchorState, Spool, open_spool
from shared.service.spool_room import CLASSES, PROOF_OCTETS, SHARES, RecordClass, SpoolBounds, SpoolFullError, class_of
from tests.helpers.ledger import Vehicle, seeded_entropy

VEHICLE = Vehicle()
BEGAN_NS = 1_700_000_000 * NS_PER_S
DAY_NS = 86_400 * NS_PER_S

TRIP: dict[str, Json] = {
    "began": "2023-11-14T22:13:20.000Z",
    "distance_m": 1_000,
    "electric_distance_m": None,
    "mean_speed_kmh": None,
}


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = open_spool(tmp_path / "spool.db", capacity=20)
    yield opened
    opened.close()


def at(number: int) -> Instant:
    """Six records a day."""
    return Instant(MonotonicNs(number), UtcNs(BEGAN_NS + number * DAY_NS // 6))


def read(spool: Spool, *flags: OdometerFlag, reason: RecordReason = RecordReason.TIME) -> SignedRecord:
    head = spool.head()
    number = 0 if head is None else head.seq + 1
    recorder = Recorder(signer=VEHICLE, store=spool, entropy=seeded_entropy(number), boot_id=bytes(16))
    source = OdometerSource(name="cluster", odometer_m=1_000 * number, age_ms=0)
    return recorder.record_reading(odometer_m=1_000 * number, reason=reason, sources=(source,), flags=flags, at=at(number))


def fill(spool: Spool, *flags: OdometerFlag) -> SpoolFullError:
    """Record readings until one is refused."""
    while True:
        try:
            read(spool, *flags)
        except SpoolFullError as error:
            return error


def refused(spool: Spool, *flags: OdometerFlag) -> SpoolFullError:
    with pytest.raises(SpoolFullError) as caught:
        read(spool, *flags)
    return caught.value


def test_every_kind_of_record_has_a_class_and_every_class_a_share() -> None:
    assert set(CLASSES) == set(RecordKind)
    assert list(SHARES) == list(RecordClass)
    assert list(SHARES.values()) == sorted(SHARES.values())
    assert SHARES[RecordClass.EVIDENCE] == 100


@pytest.mark.parametrize(
    ("flags", "reason", "expected"),
    [
        ((), RecordReason.DISTANCE, RecordClass.ODOMETER),
        ((OdometerFlag.CLOCK_NOT_SET,), RecordReason.TIME, RecordClass.ODOMETER),
        ((OdometerFlag.ROLLBACK,), RecordReason.FLAG, RecordClass.EVIDENCE),
        ((OdometerFlag.CLOCK_NOT_SET, OdometerFlag.SEQUENCE_RESUMED), RecordReason.TIME, RecordClass.EVIDENCE),
        ((), RecordReason.INSPECTION, RecordClass.EVIDENCE),
        ((), RecordReason.CLOCK_SET, RecordClass.EVIDENCE),
    ],
)
def test_what_is_odd_about_a_reading_or_asked_for_makes_it_evidence(
    flags: tuple[OdometerFlag, ...], reason: RecordReason, expected: RecordClass
) -> None:
    stated = Record(kind=RecordKind.ODOMETER, seq=0, prev=None, occurred=None, fields={"reason": reason.value}, flags=flags)
    assert class_of(stated) is expected


def test_readings_are_refused_before_evidence_and_both_with_a_sentence(spool: Spool) -> None:
    for _ in range(19):
        read(spool)
    error = refused(spool)
    assert error.refused is RecordClass.ODOMETER
    assert error.code == "spool_full"
    assert error.reason == "the spool is full for readings of the odometer: 95 % of 20 records"
    read(spool, OdometerFlag.ROLLBACK)
    last = refused(spool, OdometerFlag.ROLLBACK)
    assert (last.refused, last.reason) == (RecordClass.EVIDENCE, "the spool is full for records of any kind: 20 records")
    assert [stored.seq for stored in spool.records()] == list(range(20))


def test_trips_are_refused_while_there_is_room_for_readings(spool: Spool) -> None:
    for _ in range(12):
        read(spool)
    signed = read(spool)
    trip = Record(kind=RecordKind.TRIP, seq=13, prev=signed.commitment, occurred=None, fields=TRIP)
    with pytest.raises(SpoolFullError, match="full for trips, charging and the battery: 60 % of 20 records"):
        spool.append(replace(signed, record=trip))
    assert read(spool).record.seq == 13


def test_the_bound_in_octets_counts_what_a_record_and_its_proof_take(tmp_path: Path) -> None:
    spool = open_spool(tmp_path / "spool.db", limit_mib=1)
    while spool.octets() < 0.9 * 2**20:
        read(spool)
    count = sum(spool.counts().values())
    before = spool.octets()
    spool.store_proof(next(spool.records()).commitment, log_index=0, proof=bytes(1_000), is_witnessed=True)
    assert before - PROOF_OCTETS <= spool.octets() < before
    assert fill(spool).bound == "95 % of 1 MiB"
    assert fill(spool, OdometerFlag.STEP).bound == "1 MiB"
    assert sum(spool.counts().values()) > count
    for number, stored in enumerate(spool.records()):  # each proof that was reserved for finds room
        spool.store_proof(stored.commitment, log_index=number, proof=bytes(PROOF_OCTETS - 500), is_witnessed=True)
    spool.close()
    assert (tmp_path / "spool.db").stat().st_size <= 1.1 * 2**20


def test_the_status_tells_classes_octets_and_for_how_long_it_lasts(tmp_path: Path) -> None:
    spool = open_spool(tmp_path / "spool.db", capacity=100)
    assert spool.use().lasts_days is None
    for _ in range(12):
        read(spool)
    read(spool, OdometerFlag.ROLLBACK)
    use = spool.use()
    assert use.records == {
        RecordClass.ROUTINE: 0,
        RecordClass.LIFE: 0,
        RecordClass.ODOMETER: 12,
        RecordClass.EVIDENCE: 1,
    }
    assert use.lasts_days == pytest.approx((95 - 13) / 6, rel=0.01)
    read(spool)
    assert spool.use().records[RecordClass.ODOMETER] == 13
    counted = spool.use()
    spool.close()
    spool = open_spool(tmp_path / "spool.db", capacity=100)
    assert spool.use().records == counted.records
    document = spool.use().json()
    assert document["refuses"] == []
    assert document["records"] == {"routine": 0, "life": 0, "odometer": 13, "evidence": 1}
    spool.close()
    spool = open_spool(tmp_path / "spool.db", capacity=14)
    assert spool.use().json()["refuses"] == ["routine", "life", "odometer", "evidence"]
    spool.close()


def write_both(spool: Spool, commitment: bytes) -> None:
    """Of two writes in one block the second fails."""
    with spool.together():
        spool.mark_sequenced(commitment, 3)
        spool.set_trusted_note(b"two", expected=b"one")


def write_on(spool: Spool, commitment: bytes) -> None:
    """The failure of a write in a block is caught, and the block goes on."""
    with spool.together():
        spool.mark_submitted(commitment)
        with pytest.raises(StorageError, match="another program moved"):
            spool.set_trusted_note(b"two", expected=b"one")
        with pytest.raises(StorageError, match="something before it could not be"):
            spool.mark_sequenced(commitment, 3)


def test_several_writes_in_one_block_are_one_or_none(spool: Spool) -> None:
    first, second = read(spool).commitment, read(spool).commitment
    with spool.together():
        spool.mark_submitted(first)
        spool.mark_submitted(second)
    assert {stored.state for stored in spool.records()} == {AnchorState.SUBMITTED}
    with pytest.raises(StorageError, match="another program moved"):
        write_both(spool, first)
    assert {stored.state for stored in spool.records()} == {AnchorState.SUBMITTED}


def test_a_block_whose_failure_somebody_caught_writes_nothing_either(spool: Spool) -> None:
    first = read(spool).commitment
    with pytest.raises(StorageError, match="a part of it could not be"):
        write_on(spool, first)
    assert [stored.state for stored in spool.records()] == [AnchorState.PENDING]


def test_bounds_of_a_class_are_parts_of_the_whole() -> None:
    bounds = SpoolBounds(records=1_000, octets=1_000_000)
    for record_class, share in SHARES.items():
        bounds.check("file", record_class, records=share * 10 - 1, octets=share * 10_000 - 1)
        with pytest.raises(SpoolFullError):
            bounds.check("file", record_class, records=share * 10, octets=0)
        with pytest.raises(SpoolFullError):
            bounds.check("file", record_class, records=0, octets=share * 10_000)
