"""A spool of the format before becomes one of this format, whole, whenever power fails; and goes on where it must."""

from pathlib import Path

import pytest

from shared.core.clock import ManualClock, UtcNs
from shared.core.errors import RecordError, SplitViewError, StorageError
from shared.records.kind import RecordKind
from shared.records.odometer import OdometerFlag, OdometerSource, RecordReason
from shared.records.record import UNKNOWN_COMMITMENT, SignedRecord
from shared.records.recorder import Recorder
from shared.service.spool import Spool, StoredRecord, open_spool
from tests.helpers.faulty_sqlite import Faults
from tests.helpers.ledger import MemoryLog, Vehicle, seeded_entropy
from tests.helpers.old_spools import take_back

VEHICLE = Vehicle()
TRUSTED = MemoryLog().note
AT = ManualClock(UtcNs(1_700_000_000_000_000_000)).now()
COUNT = 5
PAGE_BYTES = 4_096


def read_odometer(spool: Spool, metres: int) -> SignedRecord:
    recorder = Recorder(signer=VEHICLE, store=spool, entropy=seeded_entropy(metres), boot_id=bytes(16))
    source = OdometerSource(name="cluster", odometer_m=metres, age_ms=0)
    return recorder.record_reading(odometer_m=metres, reason=RecordReason.TIME, sources=(source,), flags=(), at=AT)


def fill(path: Path) -> list[StoredRecord]:
    """A spool with all there can be in it, and its records."""
    spool = open_spool(path)
    for number in range(COUNT):
        read_odometer(spool, 1_000 * number)
    first, second, third, *_ = spool.records()
    spool.store_proof(first.commitment, log_index=7, proof=b"a proof", is_witnessed=True)
    spool.mark_sequenced(second.commitment, 8)
    spool.mark_submitted(third.commitment)
    spool.set_trusted_note(TRUSTED, expected=None)
    spool.store_evidence(SplitViewError("two roots", b"one", b"other"))
    records = list(spool.records())
    spool.close()
    return records


def check_whole(spool: Spool, records: list[StoredRecord]) -> None:
    assert list(spool.records()) == records
    assert {record.kind for record in records} == {RecordKind.ODOMETER}
    assert [credential.certificate for credential in spool.credentials()] == [VEHICLE.certificate]
    assert spool.trusted_note() == TRUSTED
    assert [(str(each), each.trusted_note) for each in spool.evidence()] == [("two roots", b"one")]
    head = spool.head()
    assert head is not None
    assert (head.seq, head.odometer_m, head.resumed) == (COUNT - 1, 1_000 * (COUNT - 1), False)


@pytest.mark.parametrize("version", [2, 3])
def test_a_spool_of_a_format_before_is_converted_with_everything_in_it(tmp_path: Path, version: int) -> None:
    path = tmp_path / "spool.db"
    records = fill(path)
    take_back(path, version=version)
    for _ in range(2):  # converted, and then found to be of the present format
        spool = open_spool(path)
        check_whole(spool, records)
        spool.close()
    spool = open_spool(path)
    assert read_odometer(spool, 9_000).record.prev == records[-1].commitment
    spool.close()


@pytest.mark.parametrize(("version", "least"), [(2, 20), (3, 10)])
def test_whenever_the_disk_fails_a_spool_is_of_one_format_or_the_other_and_whole(tmp_path: Path, version: int, least: int) -> None:
    old = tmp_path / "old.db"
    records = fill(old)
    take_back(old, version=version)
    image = old.read_bytes()
    faults, failed = Faults(), 0
    for step in range(100):
        for persists in (False, True):
            path = tmp_path / f"{step}-{persists}" / "spool.db"
            path.parent.mkdir()
            path.write_bytes(image)
            faults.arm(step, persists=persists)
            try:
                open_spool(path, connect=faults.connect()).close()
            except StorageError:
                failed += 1
            is_past_the_end = len(faults.executed) <= step
            faults.arm(None, persists=False)
            spool = open_spool(path)
            check_whole(spool, records)
            spool.close()
        if is_past_the_end:
            break
    assert failed >= least


def test_a_damaged_spool_of_format_2_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    fill(path)
    take_back(path, version=2)
    image = bytearray(path.read_bytes())
    page = len(image) // 2 // PAGE_BYTES * PAGE_BYTES
    image[page : page + 600] = b"\xff" * 600
    path.write_bytes(image)
    with pytest.raises(StorageError, match="is damaged"):
        open_spool(path)
    assert path.read_bytes() == image


def test_a_sequence_resumed_at_a_later_number_leaves_a_gap_and_says_so(tmp_path: Path) -> None:
    spool = open_spool(tmp_path / "spool.db")
    last = read_odometer(spool, 1_000)
    spool.resume_at(40)
    spool.close()
    spool = open_spool(tmp_path / "spool.db")
    resumed = read_odometer(spool, 2_000)
    assert (resumed.record.seq, resumed.record.prev) == (40, last.commitment)
    assert OdometerFlag.SEQUENCE_RESUMED in resumed.record.flags
    after = read_odometer(spool, 3_000)
    assert (after.record.seq, after.record.flags) == (41, ())
    for number in (0, 41, 42):
        with pytest.raises(RecordError, match="does not go back"):
            spool.resume_at(number)
    spool.close()


def test_a_vehicle_that_lost_every_record_but_knows_their_number_goes_on_behind_them(tmp_path: Path) -> None:
    spool = open_spool(tmp_path / "spool.db")
    spool.resume_at(12)
    resumed = read_odometer(spool, 2_000)
    assert (resumed.record.seq, resumed.record.prev) == (12, UNKNOWN_COMMITMENT)
    assert OdometerFlag.SEQUENCE_RESUMED in resumed.record.flags
    spool.close()
