"""The record spool: nothing lost, nothing doubled, nothing of a damaged file touched."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.core.clock import ManualClock, UtcNs
from shared.core.errors import RecordError, SplitViewError, StorageError
from shared.records.credential import MAX_CREDENTIALS, credential_of
from shared.records.kind import RecordKind
from shared.records.odometer import BootTime, OdometerFlag, OdometerReading, OdometerSource, RecordReason
from shared.records.record import Record, SignedRecord, sign_record
from shared.records.recorder import Recorder
from shared.service.spool import AnchorState, Spool, open_spool
from shared.service.spool_recovery import recover_spool
from tests.helpers.faulty_sqlite import Faults
from tests.helpers.ledger import MemoryLog, Vehicle, seeded_entropy
from tests.helpers.old_spools import take_back

VEHICLE = Vehicle()
RENEWED = Vehicle("renewed")
TRUSTED = MemoryLog().note


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = open_spool(tmp_path / "spool.db")
    yield opened
    opened.close()


def record(spool: Spool, odometer_m: int = 1000, *, seed: int = 1, vehicle: Vehicle = VEHICLE) -> SignedRecord:
    recorder = Recorder(signer=vehicle, store=spool, entropy=seeded_entropy(seed), boot_id=bytes(16))
    source = OdometerSource(name="cluster", odometer_m=odometer_m, age_ms=0)
    at = ManualClock(UtcNs(1_700_000_000_000_000_000)).now()
    return recorder.record_reading(odometer_m=odometer_m, reason=RecordReason.TIME, sources=(source,), flags=(), at=at)


def renew(spool: Spool, vehicle: Vehicle, renewed: Vehicle, *, seed: int = 1) -> SignedRecord | None:
    recorder = Recorder(signer=vehicle, store=spool, entropy=seeded_entropy(seed), boot_id=bytes(16))
    source = OdometerSource(name="cluster", odometer_m=3000, age_ms=0)
    at = ManualClock(UtcNs(1_700_000_000_000_000_000)).now()
    return recorder.change_signer(renewed, odometer_m=3000, sources=(source,), flags=(), at=at)


def states(spool: Spool) -> list[AnchorState]:
    return [r.state for r in spool.records()]


def test_records_come_back_as_they_were_stored(tmp_path: Path) -> None:
    spool = open_spool(tmp_path / "spool.db")
    assert spool.head() is None
    signed = [record(spool, 1000 * n, seed=n) for n in range(5)]
    spool.close()
    spool = open_spool(tmp_path / "spool.db")
    stored = list(spool.records())
    assert [(r.seq, r.commitment, r.sd_jwt, r.salt, r.odometer_m) for r in stored] == [
        (s.record.seq, s.commitment, s.sd_jwt, s.salt, s.record.odometer_m) for s in signed
    ]
    head = spool.head()
    assert head is not None
    assert (head.seq, head.commitment, head.odometer_m, head.resumed) == (4, signed[4].commitment, 4000, False)
    assert (tmp_path / "spool.db").stat().st_mode & 0o077 == 0
    spool.close()


def test_only_the_next_record_is_stored(spool: Spool) -> None:
    first = record(spool)
    with pytest.raises(RecordError, match="does not follow"):
        spool.append(first)
    assert len(states(spool)) == 1


def test_credentials_come_back_in_the_order_they_took_over(tmp_path: Path) -> None:
    spool = open_spool(tmp_path / "spool.db")
    assert spool.credentials() == ()
    record(spool)
    assert spool.credentials() == (credential_of(VEHICLE),)
    handed_over = renew(spool, VEHICLE, RENEWED, seed=2)
    assert handed_over is not None
    assert spool.credentials() == (credential_of(VEHICLE), credential_of(RENEWED))
    record(spool, 4000, seed=3, vehicle=RENEWED)
    lost = Vehicle("after the key was lost")
    record(spool, 5000, seed=4, vehicle=lost)
    spool.close()
    spool = open_spool(tmp_path / "spool.db")
    assert spool.credentials() == (credential_of(VEHICLE), credential_of(RENEWED), credential_of(lost))
    spool.close()


def test_a_record_under_a_credential_that_has_handed_over_is_not_stored(spool: Spool) -> None:
    record(spool)
    recorder = Recorder(signer=VEHICLE, store=spool, entropy=seeded_entropy(), boot_id=bytes(16))
    renew(spool, VEHICLE, RENEWED, seed=2)
    source = OdometerSource(name="cluster", odometer_m=4000, age_ms=0)
    at = ManualClock(None).now()
    with pytest.raises(RecordError, match="has handed over"):
        recorder.record_reading(odometer_m=4000, reason=RecordReason.TIME, sources=(source,), flags=(), at=at)
    head = spool.head()
    assert head is not None
    boot = BootTime(boot_id=bytes(16), elapsed_ms=0)
    reading = OdometerReading(odometer_m=4000, reason=RecordReason.TIME, sources=(source,), boot=boot)
    stated = Record(kind=RecordKind.ODOMETER, seq=2, prev=head.commitment, occurred=None, fields=reading.fields())
    with pytest.raises(RecordError, match="has handed over"):
        spool.append(sign_record(stated, VEHICLE, seeded_entropy()))
    assert len(states(spool)) == 2


def test_a_spool_full_of_credentials_refuses_the_next_and_goes_on_under_the_last(spool: Spool) -> None:
    vehicles = [Vehicle(f"number {n}") for n in range(MAX_CREDENTIALS + 1)]
    record(spool, vehicle=vehicles[0])
    for n in range(1, MAX_CREDENTIALS):
        renew(spool, vehicles[n - 1], vehicles[n], seed=n + 1)
    assert len(spool.credentials()) == MAX_CREDENTIALS
    with pytest.raises(StorageError, match="full: 64 credentials"):
        renew(spool, vehicles[-2], vehicles[-1], seed=900)
    with pytest.raises(StorageError, match="full: 64 credentials"):
        record(spool, 5000, seed=901, vehicle=vehicles[-1])
    record(spool, 5000, seed=902, vehicle=vehicles[-2])
    assert len(states(spool)) == MAX_CREDENTIALS + 1


def test_a_spool_of_format_1_is_refused_and_can_be_recovered(tmp_path: Path) -> None:
    """Format 1 kept no credentials; the one in use is kept with the next record."""
    path = tmp_path / "spool.db"
    filled(path, 4)
    take_back(path, version=1)
    before = path.read_bytes()
    with pytest.raises(StorageError, match="is a v2x-trust record spool of format 1; this program knows format 4"):
        open_spool(path)
    assert path.read_bytes() == before
    assert recover_spool(path).saved == 4
    spool = open_spool(path)
    assert spool.credentials() == ()
    renew(spool, VEHICLE, RENEWED, seed=50)
    assert spool.credentials() == (credential_of(VEHICLE), credential_of(RENEWED))
    spool.close()


def test_recovery_saves_the_credentials_that_are_what_they_claim(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    spool = open_spool(path)
    record(spool)
    renew(spool, VEHICLE, RENEWED, seed=2)
    spool.close()
    for damage in (
        "UPDATE credential SET certificate = x'00' WHERE number = 1",
        "UPDATE credential SET authority = 7 WHERE number = 1",
    ):
        raw = sqlite3.connect(path)
        raw.execute(damage)
        raw.commit()
        raw.close()
        spool = open_spool(path)
        with pytest.raises(StorageError, match="is damaged"):
            spool.credentials()
        spool.close()
    recover_spool(path)
    spool = open_spool(path)
    assert [r.seq for r in spool.records()] == [0, 1]
    assert spool.credentials() == (credential_of(RENEWED),)
    record(spool, 4000, seed=3, vehicle=RENEWED)
    spool.close()
    assert recover_spool(path).saved == 3
    spool = open_spool(path)
    assert spool.credentials() == (credential_of(RENEWED),)
    spool.close()


def test_a_full_spool_refuses_and_keeps(tmp_path: Path) -> None:
    spool = open_spool(tmp_path / "spool.db", capacity=2)
    record(spool, seed=1)
    record(spool, seed=2)
    with pytest.raises(StorageError, match="full"):
        record(spool, seed=3)
    assert len(states(spool)) == 2
    spool.close()


def test_states_move_forward_and_repeating_is_harmless(spool: Spool) -> None:
    c = record(spool).commitment
    for _ in range(2):
        spool.mark_submitted(c)
        assert states(spool) == [AnchorState.SUBMITTED]
    for _ in range(2):
        spool.mark_sequenced(c, 7)
        assert states(spool) == [AnchorState.SEQUENCED]
    spool.mark_submitted(c)
    assert states(spool) == [AnchorState.SEQUENCED]
    spool.mark_refuted(c)
    assert states(spool) == [AnchorState.PENDING]
    spool.mark_sequenced(c, 8)
    spool.store_proof(c, log_index=8, proof=b"proof", is_witnessed=True)
    assert states(spool) == [AnchorState.WITNESSED]
    spool.store_proof(c, log_index=9, proof=b"lesser", is_witnessed=False)
    spool.mark_refuted(c)
    spool.mark_sequenced(c, 9)
    spool.mark_submitted(c)
    (stored,) = spool.records()
    assert (stored.state, stored.log_index, stored.proof) == (AnchorState.WITNESSED, 8, b"proof")
    assert spool.unproven(10) == ()
    assert spool.counts()[AnchorState.WITNESSED] == 1


def test_the_oldest_unproven_records_come_first(spool: Spool) -> None:
    commitments = [record(spool, seed=n).commitment for n in range(4)]
    spool.store_proof(commitments[1], log_index=1, proof=b"p", is_witnessed=False)
    assert [r.seq for r in spool.unproven(2)] == [0, 2]


def test_trust_moves_only_from_where_it_stands(spool: Spool) -> None:
    assert spool.trusted_note() is None
    spool.set_trusted_note(b"one", expected=None)
    with pytest.raises(StorageError, match="same time"):
        spool.set_trusted_note(b"three", expected=b"two")
    spool.set_trusted_note(b"two", expected=b"one")
    assert spool.trusted_note() == b"two"


def test_evidence_is_kept_once_and_counts_until_someone_has_looked(spool: Spool) -> None:
    for _ in range(3):
        spool.store_evidence(SplitViewError("two roots", b"note a", b"note b"))
    (kept,) = spool.evidence()
    assert (str(kept), kept.trusted_note, kept.conflicting_note) == ("two roots", b"note a", b"note b")
    spool.acknowledge_evidence()
    assert spool.evidence() == ()
    for n in range(40):
        spool.store_evidence(SplitViewError("more", b"note a", b"%d" % n))
    assert len(spool.evidence()) == 15


def filled(path: Path, count: int = 30) -> bytes:
    spool = open_spool(path)
    for n in range(count):
        commitment = record(spool, 1000 * n, seed=n).commitment
        if n % 2:
            spool.store_proof(commitment, log_index=n, proof=b"proof %d" % n, is_witnessed=False)
    spool.set_trusted_note(TRUSTED, expected=None)
    spool.close()
    return path.read_bytes()


def test_a_spool_cut_at_any_length_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    whole = filled(path)
    for length in (0, 1, 16, 99, 100, 4095, 4096, 8192, len(whole) // 2, len(whole) - 4096, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(StorageError, match="cut short"):
            open_spool(path)
        assert path.read_bytes() == whole[:length]
        assert sorted(p.name for p in tmp_path.iterdir()) == ["spool.db", "spool.db-mark"]


def test_recovery_keeps_the_original_and_saves_what_can_be_read(tmp_path: Path) -> None:
    whole = filled(tmp_path / "whole.db")
    saved_at: list[int] = []
    for cut in (len(whole) - 1, len(whole) - 4096, len(whole) // 2, 8192, 100, 10, 0):
        path = tmp_path / f"spool-{cut}.db"
        path.write_bytes(whole[:cut])
        recovery = recover_spool(path)
        assert recovery.kept_as.read_bytes() == whole[:cut]
        spool = open_spool(path)
        stored = list(spool.records())
        assert recovery.saved == len(stored)
        assert [r.seq for r in stored] == list(range(len(stored)))
        assert {(r.state, r.proof) for r in stored} <= {(AnchorState.PENDING, None)}
        assert spool.trusted_note() in (None, TRUSTED)
        following = record(spool, 10**6, seed=77)
        assert following.record.seq == len(stored)
        assert (OdometerFlag.SEQUENCE_RESUMED in following.record.flags) == bool(stored)
        after = record(spool, 10**6, seed=78)
        assert OdometerFlag.SEQUENCE_RESUMED not in after.record.flags
        spool.close()
        saved_at.append(len(stored))
    assert saved_at == sorted(saved_at, reverse=True)
    assert saved_at[0] > 0
    assert saved_at[-1] == 0


def test_recovery_keeps_a_write_ahead_log_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    spool = open_spool(path)
    record(spool)
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("spool.db", "spool.db-wal"):
        (copy / name).write_bytes((tmp_path / name).read_bytes())
    spool.close()
    recovery = recover_spool(copy / "spool.db")
    assert recovery.saved == 1
    assert (copy / "spool.db.damaged-1-wal").stat().st_size > 0
    recovered = open_spool(copy / "spool.db")
    assert states(recovered) == [AnchorState.PENDING]
    recovered.close()


def test_recovery_stops_at_a_record_that_was_altered(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    filled(path, 6)
    raw = sqlite3.connect(path)
    raw.execute("UPDATE record SET odometer_m = 1 WHERE seq = 4")
    raw.commit()
    raw.close()
    recovery = recover_spool(path)
    assert (recovery.saved, recovery.last_seq) == (4, 3)
    assert recover_spool(path).kept_as.name == "spool.db.damaged-2"


def test_there_is_nothing_to_recover_where_there_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="does not exist"):
        recover_spool(tmp_path / "spool.db")


@pytest.mark.parametrize(
    "statement", ["UPDATE record SET salt = 'text'", "UPDATE record SET state = 9", "UPDATE record SET sd_jwt = x'00'"]
)
def test_a_row_that_is_not_a_record_is_told_not_believed(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "spool.db"
    filled(path, 2)
    raw = sqlite3.connect(path)
    raw.execute(statement)
    raw.commit()
    raw.close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="damaged"):
        open_spool(path)
    assert path.read_bytes() == before


OPERATIONS: dict[str, Callable[[Spool], object]] = {
    "append": lambda s: record(s, 2000, seed=9),
    "renew": lambda s: renew(s, VEHICLE, RENEWED, seed=9),
    "submitted": lambda s: s.mark_submitted(_first(s)),
    "sequenced": lambda s: s.mark_sequenced(_first(s), 3),
    "proof": lambda s: s.store_proof(_first(s), log_index=3, proof=b"p", is_witnessed=False),
    "trust": lambda s: s.set_trusted_note(b"note", expected=None),
    "evidence": lambda s: s.store_evidence(SplitViewError("d", b"a", b"b")),
}


def _first(spool: Spool) -> bytes:
    return next(iter(spool.unproven(1))).commitment


def everything(spool: Spool) -> object:
    return (list(spool.records()), spool.credentials(), spool.trusted_note(), [e.args for e in spool.evidence()])


@pytest.mark.parametrize("persists", [False, True])
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_fault_in_every_operation_leaves_before_or_after(tmp_path: Path, name: str, persists: bool) -> None:  # noqa: FBT001
    step = 0
    while True:
        faults = Faults()
        spool = open_spool(tmp_path / f"{step}.db", connect=faults.connect())
        record(spool, seed=1)
        before = everything(spool)
        faults.arm(step, persists=persists)
        try:
            OPERATIONS[name](spool)
            fell = False
        except StorageError:
            fell = True
        reached = len(faults.executed) > step
        faults.arm(None, persists=False)
        spool.close()
        again = open_spool(tmp_path / f"{step}.db")
        after = everything(again)
        again.close()
        assert fell == reached
        assert (after == before) or (not fell) or (persists and step >= faults_commit(name))
        if not reached:
            assert after != before
            break
        step += 1
    assert step >= 3


def faults_commit(name: str) -> int:
    """Number of the statement that commits: only a fault there may leave a change behind."""
    return {"append": 7, "renew": 10, "submitted": 2, "sequenced": 2, "proof": 2, "trust": 3, "evidence": 2}[name] + (
        name in NEEDS_FIRST
    )


NEEDS_FIRST = {"submitted", "sequenced", "proof"}

KILLED = """
import sys
from pathlib import Path
from shared.service.spool import open_spool
from tests.unit.service.test_spool import record
spool = open_spool(Path(sys.argv[1]))
n = 0 if spool.head() is None else spool.head().seq + 1
while True:
    print(record(spool, n, seed=n).record.seq, flush=True)
    n += 1
"""


def test_a_spool_killed_while_it_writes_has_every_record_it_told_of(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    told = -1
    for after in (5, 23):
        with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True) as program:
            assert program.stdout is not None
            for _ in range(after):
                told = int(program.stdout.readline())
            os.kill(program.pid, signal.SIGKILL)
        spool = open_spool(path)
        stored = list(spool.records())
        assert len(stored) > told
        assert [r.seq for r in stored] == list(range(len(stored)))
        spool.close()
