"""A disk that is full, a real one: a clear error each time, the car drives on, and once there is room nothing is missing."""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from shared.core.clock import NS_PER_S, ManualClock, UtcNs
from shared.core.errors import StorageError
from shared.ledger.merkle import leaf_hash
from shared.ledger.tree import EMPTY_TREE
from shared.ledger.witness import Witness
from shared.service.counted_log import CountedLog
from shared.service.log_store import open_log_store
from shared.service.rollback_counter import CountedSpool, FileCounter
from shared.service.spool import open_spool
from shared.service.witness_store import open_witness_file
from tests.helpers.fault_logs import entries_of, signed_checkpoint
from tests.helpers.ledger import ORIGIN, ed25519_key, log_signer, policy_of
from tests.helpers.recording import record
from tests.helpers.small_disk import SmallDisk, on_small_disk
from tests.helpers.witnesses import is_cosigned, note_of, request_of
from tests.unit.vehicle_agent.agent_bench import Bench

FULL = r"disk is full|No space left|disk I/O error"
"""What SQLite or the system says of it."""

LEFT = range(24)
"""Pages that are free when something is to be written: from none at all to enough."""

NOW = ManualClock(UtcNs(1_700_000_000 * NS_PER_S)).now()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


def drive_through_a_full_disk(directory: Path, fill: "SmallDisk | PageLimit | WriteProtection") -> None:
    """Drive with room, without, and with room again."""
    with (
        Bench(directory, every_m=50) if isinstance(fill, SmallDisk) else Bench(directory, every_m=50, connect=fill.connect) as bench
    ):
        bench.set(speed_mps=20.0)
        bench.run(5.0)
        assert bench.status("odometer")["recorded"] >= 2
        assert bench.status("odometer")["unrecorded"] == {}

        fill.fill()
        bench.run(6.0)  # a record or two may find room in pages that are there
        before = bench.status("odometer")["recorded"]
        assert before <= 5
        spoken = len(bench.packets)
        bench.run(5.0)
        assert len(bench.packets) >= spoken + 5  # it drives and speaks as before
        assert bench.kinds().count("odometer_not_recorded") == 1
        (told,) = bench.notices("odometer_not_recorded")
        assert "the database failed" in told["reason"]
        assert bench.status("odometer")["recorded"] == before
        assert bench.status("odometer")["unrecorded"]["storage"] > 1

        fill.empty()
        bench.run(20.0)  # longer than anchoring spares a store that failed
        bench.set(speed_mps=0.0)
        bench.run(5.0)
        after = bench.status("odometer")
        assert after["recorded"] > before
        assert after["anchored"] == after["recorded"]
        told_of = [n["seq"] for n in bench.notices("odometer_recorded")]
        assert told_of == list(range(after["recorded"]))
    with closing(open_spool(directory / "spool.db")) as spool:
        assert [each.seq for each in spool.records()] == told_of
        assert all(each.proof is not None for each in spool.records())
    with closing(open_log_store(directory / "log.db", log_signer())) as log:
        assert len(entries_of(log)) == len(set(entries_of(log))) == len(told_of)


class Opened:
    """Opens SQLite, and knows what it has opened."""

    def __init__(self) -> None:
        self._connections: list[sqlite3.Connection] = []

    def connect(self, uri: str) -> sqlite3.Connection:
        """Open SQLite."""
        connection = sqlite3.connect(uri, uri=True, isolation_level=None)
        self._connections.append(connection)
        return connection


class PageLimit(Opened):
    """A database that may grow no further, where no disk can be mounted: SQLite says the same of it as of a full disk."""

    def fill(self) -> None:
        """Let the file have no page more."""
        self._limit(1)

    def empty(self) -> None:
        """Let it grow again."""
        self._limit(1 << 30)

    def _limit(self, pages: int) -> None:
        self._connections[-1].execute(f"PRAGMA max_page_count={pages}")


class WriteProtection(Opened):
    """A database that may be read and not written, while it is open: what is left of a card that has given up."""

    def fill(self) -> None:
        """Let nothing be written."""
        self._connections[-1].execute("PRAGMA query_only=ON")

    def empty(self) -> None:
        """Let it be written again."""
        self._connections[-1].execute("PRAGMA query_only=OFF")


def test_a_car_drives_on_with_a_full_disk_and_records_again_when_there_is_room(folder: Path) -> None:
    on_small_disk(folder, lambda disk: drive_through_a_full_disk(folder, disk), octets=32 << 20)


def test_a_car_drives_on_when_its_spool_may_not_grow_and_records_again_when_it_may(folder: Path) -> None:
    drive_through_a_full_disk(folder, PageLimit())


def test_a_car_drives_on_when_its_spool_may_not_be_written_and_records_again_when_it_may(folder: Path) -> None:
    drive_through_a_full_disk(folder, WriteProtection())


def test_what_lies_on_a_write_protected_disk_is_refused_with_a_sentence_and_used_once_it_is_not(folder: Path) -> None:
    def use(disk: SmallDisk) -> None:
        openings: dict[str, Callable[[Path], object]] = {
            "spool.db": open_spool,
            "log.db": lambda path: open_log_store(path, log_signer()),
        }
        with Bench(folder, every_m=50) as bench:
            bench.run(3.0)
            made = bench.status("odometer")["recorded"]
        images = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
        disk.write_protect()
        for name, open_file in openings.items():
            with pytest.raises(StorageError, match=f"{name}: .*(readonly|read-only|Read-only|unable to open)"):
                open_file(folder / name)
        assert {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()} == images
        disk.write_protect(is_protected=False)
        with Bench(folder, seed=2, every_m=50) as bench:
            bench.run(3.0)
            assert bench.spool.last_seq() == made + bench.status("odometer")["recorded"] - 1 > made - 1

    on_small_disk(folder, use, octets=32 << 20)


def test_a_car_whose_spool_is_full_for_readings_says_so_once_drives_on_and_still_records_a_rollback(folder: Path) -> None:
    with Bench(folder, every_m=50, capacity=6) as bench:
        bench.set(speed_mps=20.0)
        bench.run(40.0)
        full = bench.status("odometer")
        assert full["recorded"] == 6
        assert full["unrecorded"]["spool_full"] > 1
        (told,) = bench.notices("odometer_not_recorded")
        assert "the spool is full for readings of the odometer: 95 % of 6 records" in told["reason"]
        spoken = len(bench.packets)
        bench.run(3.0)
        assert len(bench.packets) >= spoken + 3
    with Bench(folder, seed=2, every_m=50, capacity=8) as bench:
        bench.set(odometer_m=1_000.0)
        bench.run(5.0)
        flags = [record["flags"] for record in bench.notices("odometer_recorded")]
        assert ["rollback"] in flags
        assert [stored.seq for stored in bench.spool.records()] == list(range(6 + len(flags)))


def test_a_spool_on_a_disk_that_fills_up_at_any_page_loses_and_doubles_nothing(folder: Path) -> None:
    def use(disk: SmallDisk) -> tuple[list[str], list[int], list[int]]:
        refused, told = list[str](), list[int]()
        with closing(open_spool(folder / "spool.db")) as spool:
            counted = CountedSpool(spool, FileCounter(folder / "counter"))
            for left in LEFT:
                disk.fill(leaving=left)
                try:
                    told.append(record(counted, seed=left).record.seq)
                except StorageError as error:
                    refused.append(str(error))
                disk.empty()
                told.append(record(counted, seed=100 + left).record.seq)
        with closing(open_spool(folder / "spool.db")) as spool:
            assert CountedSpool(spool, FileCounter(folder / "counter")).notice is None
            stored = list(spool.records())
            assert len({each.commitment for each in stored}) == len(stored)
            return refused, told, [each.seq for each in stored]

    refused, told, stored = on_small_disk(folder, use)
    assert 2 <= len(refused) < len(LEFT)
    assert all(re.search(FULL, sentence) and str(folder) in sentence for sentence in refused)
    assert stored == list(range(len(stored)))
    assert set(told) <= set(stored)
    assert len(told) == len(set(told))


def test_a_log_on_a_disk_that_fills_up_at_any_page_stays_whole_and_takes_what_it_refused(folder: Path) -> None:
    def use(disk: SmallDisk) -> None:
        refused, entries = list[str](), list[bytes]()
        with closing(open_log_store(folder / "log.db", log_signer())) as store:
            log = CountedLog(store, FileCounter(folder / "counter"))
            for left in LEFT:
                batch = [b"%d of %d" % (n, left) + bytes(200) for n in range(40)]
                disk.fill(leaving=left)
                try:
                    log.append(batch)
                except StorageError as error:
                    refused.append(str(error))
                disk.empty()
                entries += batch
                assert log.append(batch) == tuple(range(len(entries) - 40, len(entries)))
        assert 2 <= len(refused) < len(LEFT)
        assert all(re.search(FULL, sentence) and str(folder) in sentence for sentence in refused)
        with closing(open_log_store(folder / "log.db", log_signer())) as store:
            assert entries_of(store) == entries
            signed = signed_checkpoint(store.checkpoint_note)
            assert signed.root == EMPTY_TREE.extended(map(leaf_hash, entries)).tree.root
            CountedLog(store, FileCounter(folder / "counter"))

    on_small_disk(folder, use, octets=3 << 20)


def test_a_log_and_a_spool_that_cannot_be_begun_on_a_full_disk_leave_nothing_behind(folder: Path) -> None:
    def use(disk: SmallDisk) -> list[str]:
        refused = list[str]()
        for left in range(0, 40, 3):
            for name, open_file in (("spool.db", open_spool), ("log.db", lambda path: open_log_store(path, log_signer()))):
                disk.fill(leaving=left)
                try:
                    open_file(folder / name).close()
                except StorageError as error:
                    refused.append(f"{name}: {error}")
                disk.empty()
                open_file(folder / name).close()
                for file in folder.glob(name + "*"):
                    if file.is_file():
                        file.unlink()
        return refused

    refused = on_small_disk(folder, use)
    assert len(refused) >= 8
    assert {sentence.partition(":")[0] for sentence in refused} == {"spool.db", "log.db"}
    assert all(re.search(FULL, sentence) for sentence in refused)


def test_a_witness_cosigns_nothing_that_it_cannot_keep(folder: Path) -> None:
    def use(disk: SmallDisk) -> None:
        refused = size = 0
        with closing(open_witness_file(folder / "witness.db")) as store:
            witness = Witness(name="w.example", private_key=ed25519_key("w.example"), logs=policy_of(), store=store)
            for left in LEFT:
                disk.fill(leaving=left)
                try:
                    answer = witness.add_checkpoint(request_of(size, size + 1), NOW)
                except StorageError:
                    refused += 1
                    disk.empty()
                    kept = store.cosigned(ORIGIN)
                    assert (0 if kept is None else kept.tree_size) in (size, size + 1)
                    size = 0 if kept is None else kept.tree_size
                    answer = witness.add_checkpoint(request_of(size, size + 1), NOW)
                assert answer.status == 200
                size += 1
                assert is_cosigned(note_of(size) + answer.body, witness.key)
                disk.empty()
        assert 1 <= refused < len(LEFT)

    on_small_disk(folder, use)
