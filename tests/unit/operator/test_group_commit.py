"""Group commit over every fault of the disk: what is answered with an index is there, once, and what is not may be sent again."""

import asyncio
import os
import shutil
import signal
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import uvloop

from shared.core.errors import ConfigError, StorageError
from shared.ledger.merkle import leaf_hash
from shared.ledger.tiles import EntryBundle, decode_bundle
from shared.operator.group_commit import GroupCommit
from shared.operator.log_node_files import LogFiles, open_log_signers
from shared.operator.log_writer import (
    MAX_GROUP_ENTRIES,
    PUBLISH,
    RESTORED,
    SYNC,
    Answer,
    AnswerReader,
    Committed,
    Done,
    LogWriter,
    Refused,
    append_frame,
    frame,
)
from shared.service.counters import Counters
from shared.service.database import Connect, connect_sqlite
from shared.service.log_reader import open_log_reader
from shared.service.log_store import open_log_store
from tests.helpers.faulty_sqlite import Faults
from tests.helpers.ledger import log_signer

PATIENCE_S = 30.0


class Writing:
    """A writer in this process, and what it answers."""

    def __init__(self, path: Path, connect: Connect = connect_sqlite) -> None:
        self.answers: list[Answer] = []
        reader = AnswerReader()
        self.store = open_log_store(path, log_signer(), connect)
        self.writer = LogWriter(self.store, lambda octets: self.answers.extend(reader.read(octets)))

    def append(self, *entries: bytes) -> list[Answer]:
        self.answers.clear()
        self.writer.take(b"".join(map(append_frame, entries)))
        return list(self.answers)


def entries_of(path: Path) -> tuple[bytes, ...]:
    """Read a short log anew, checked."""
    with open_log_reader(path) as reader:
        size = reader.stored_size
        if size == 0:
            return ()
        entries = decode_bundle(EntryBundle(0, size), reader.read(EntryBundle(0, size).path))
        assert list(reader.leaves(0, size)) == [leaf_hash(entry) for entry in entries]
    open_log_store(path, log_signer()).close()  # raises unless the signed checkpoint is that of the tree
    return entries


def test_what_comes_together_is_one_transaction(tmp_path: Path) -> None:
    faults = Faults()
    writing = Writing(tmp_path / "log", faults.connect())
    faults.arm(None, persists=False)
    (answer,) = writing.append(*(b"entry %d" % n for n in range(200)))
    assert isinstance(answer, Committed)
    assert answer.indexes == tuple(range(200))
    assert faults.executed.count("COMMIT") == 1
    writing.writer.close()


def test_octets_may_come_in_any_pieces(tmp_path: Path) -> None:
    writing = Writing(tmp_path / "log")
    octets = b"".join(append_frame(b"entry %d" % n) for n in range(5))
    for octet in octets:
        writing.writer.take(bytes([octet]))
    assert [a.indexes for a in writing.answers if isinstance(a, Committed)] == [(0,), (1,), (2,), (3,), (4,)]
    writing.writer.close()


def test_duplicates_get_the_first_index_within_a_group_and_after_it(tmp_path: Path) -> None:
    writing = Writing(tmp_path / "log")
    (first,), (second,) = writing.append(b"a", b"b", b"a", b"a"), writing.append(b"c", b"b", b"c")
    assert isinstance(first, Committed)
    assert isinstance(second, Committed)
    assert (first.indexes, second.indexes) == ((0, 1, 0, 0), (2, 1, 2))
    writing.writer.close()
    assert entries_of(tmp_path / "log") == (b"a", b"b", b"c")


def test_a_group_has_an_end_and_other_work_comes_where_it_was_asked_for(tmp_path: Path) -> None:
    writing = Writing(tmp_path / "log")
    frames = [append_frame(b"entry %d" % n) for n in range(MAX_GROUP_ENTRIES + 3)]
    writing.writer.take(b"".join([*frames, frame(PUBLISH, b"a note"), frame(SYNC), append_frame(b"more"), frame(RESTORED)]))
    kinds = [type(answer) for answer in writing.answers]
    assert kinds == [Committed, Committed, Done, Done, Committed, Done]
    assert [len(a.indexes) for a in writing.answers if isinstance(a, Committed)] == [MAX_GROUP_ENTRIES, 3, 1]
    assert writing.store.published_note == b"a note"
    (refused,) = writing.append(b"after that")
    assert isinstance(refused, Refused)
    assert "backup" in refused.reason
    writing.writer.close()


@pytest.mark.parametrize("persists", ["lost", "kept"])
def test_a_fault_at_any_step_fails_the_whole_group_and_sending_it_again_is_harmless(tmp_path: Path, persists: str) -> None:
    first = [b"entry %d" % n for n in range(254)]
    base = Writing(tmp_path / "base")
    base.append(*first)
    base.writer.close()
    entries = [b"crossing %d" % n for n in range(5)]  # a full tile and bundle: every kind of step there is
    for step in count():
        path = tmp_path / f"log{step}"
        shutil.copy(tmp_path / "base", path)
        faults = Faults()
        faults.arm(None, persists=False)
        writing = Writing(path, faults.connect())
        faults.arm(step, persists=persists == "kept")
        (answer,) = writing.append(*entries)
        faults.arm(None, persists=False)
        if isinstance(answer, Refused):
            assert (answer.count, answer.kind) == (5, "storage")
            assert "disk I/O error" in answer.reason
        (again,) = writing.append(entries[3], entries[0], b"new", *entries)
        assert isinstance(again, Committed)
        assert set(again.indexes) == set(range(254, 260))
        assert again.indexes[:2] == (again.indexes[6], again.indexes[3])
        writing.writer.close()
        with open_log_reader(path) as reader:
            assert reader.stored_size == 260
            assert list(reader.leaves(0, 254)) == [leaf_hash(entry) for entry in first]
            for entry, index in zip(entries, again.indexes[3:], strict=True):
                assert list(reader.leaves(index, index + 1)) == [leaf_hash(entry)]
        if isinstance(answer, Committed):
            break
    assert step >= 8


def test_a_full_disk_keeps_nothing_of_a_group_and_all_of_those_before(tmp_path: Path) -> None:
    def small(uri: str) -> sqlite3.Connection:
        connection = connect_sqlite(uri)
        with suppress(sqlite3.OperationalError):  # one that only looks at the file
            connection.execute("PRAGMA max_page_count=40")
        return connection

    writing, kept = Writing(tmp_path / "log", small), list[bytes]()
    for number in range(40):
        entries = [b"%d %d" % (number, n) + bytes(1_000) for n in range(8)]
        (answer,) = writing.append(*entries)
        if isinstance(answer, Refused):
            assert (answer.count, answer.kind) == (8, "storage")
            assert "full" in answer.reason
            break
        kept += entries
    else:
        pytest.fail("the disk was never full")
    (again,) = writing.append(*kept[:3])
    assert isinstance(again, Committed)  # what is there is still found
    writing.writer.close()
    assert entries_of(tmp_path / "log") == tuple(kept)


class Heard:
    """Who waits: the outcome of each ticket."""

    def __init__(self) -> None:
        self.indexes: dict[str, int] = {}
        self.errors: dict[str, Exception] = {}
        self.counters = Counters()
        self.sent: list[bytes] = []

    def commit(self, *, max_waiting_entries: int = 100, max_waiting_octets: int = 1_000) -> GroupCommit[str]:
        return GroupCommit(
            self.sent.append,
            on_committed=self.on_committed,
            on_failed=self.on_failed,
            counters=self.counters,
            max_waiting_entries=max_waiting_entries,
            max_waiting_octets=max_waiting_octets,
        )

    def on_committed(self, tickets: Sequence[str], indexes: Sequence[int]) -> None:
        self.indexes.update(zip(tickets, indexes, strict=True))

    def on_failed(self, tickets: Sequence[str], error: Exception) -> None:
        self.errors.update(dict.fromkeys(tickets, error))


class TestTheSideThatWaits:
    def test_it_sends_what_comes_in_a_turn_at_once_and_tells_each_who_waits(self) -> None:
        heard = Heard()

        async def run() -> None:
            commit = heard.commit()
            assert all(commit.offer(b"%d" % n, f"t{n}") for n in range(5))
            await asyncio.sleep(0)
            assert heard.sent == [b"".join(append_frame(b"%d" % n) for n in range(5))]
            assert commit.waiting == 5
            commit.committed((7, 8))
            commit.failed(1, StorageError("log", "full"))
            commit.committed((9, 9))
            await asyncio.wait_for(commit.settled(), PATIENCE_S)

        asyncio.run(run())
        assert heard.indexes == {"t0": 7, "t1": 8, "t3": 9, "t4": 9}
        assert {ticket: str(error) for ticket, error in heard.errors.items()} == {"t2": "log: full"}
        assert heard.counters.snapshot() == {"entries": 4, "groups": 2, "groups.failed": 1}

    def test_it_is_bounded_in_entries_and_in_octets(self) -> None:
        async def run() -> None:
            commit = Heard().commit(max_waiting_entries=3)
            assert [commit.offer(b"a", "t") for _ in range(4)] == [True, True, True, False]
            commit.committed((0,))
            assert commit.offer(b"a", "t")
            commit = Heard().commit(max_waiting_octets=10)
            assert [commit.offer(bytes(4), "t") for _ in range(3)] == [True, True, False]
            commit.failed(2, StorageError("log", "full"))
            assert commit.offer(bytes(10), "t")

        asyncio.run(run())

    def test_without_a_writer_those_who_wait_are_told_and_no_more_is_taken(self) -> None:
        heard = Heard()

        async def run() -> None:
            commit = heard.commit()
            commit.offer(b"a", "t")
            commit.lost(StorageError("log", "gone"))
            assert not commit.offer(b"b", "u")
            await commit.settled()

        asyncio.run(run())
        assert list(heard.errors) == ["t"]
        assert heard.sent == []


class TestTheProcessThatWrites:
    def run(
        self, path: Path, test: Callable[[LogFiles, GroupCommit[str]], Awaitable[None]], connect: Connect = connect_sqlite
    ) -> Heard:
        heard = Heard()

        async def run() -> None:
            files = LogFiles(path, (log_signer(),), connect)
            async with asyncio.timeout(PATIENCE_S):
                await files.open()
                try:
                    files.commit = commit = GroupCommit(
                        files.append, on_committed=heard.on_committed, on_failed=heard.on_failed, counters=heard.counters
                    )
                    await test(files, commit)
                finally:
                    await files.close()

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run())
        return heard

    def test_it_appends_publishes_and_is_read_beside(self, tmp_path: Path) -> None:
        async def test(files: LogFiles, commit: GroupCommit[str]) -> None:
            assert all(commit.offer(b"entry %d" % n, f"t{n}") for n in range(300))
            await commit.settled()
            assert b"\n300\n" in files.newest_note
            await files.publish(b"a note")
            await files.sync_index()
            assert len(await files.read("tile/0/000")) == 8_192
            assert len(files.consistency(100, 300)) > 0

        heard = self.run(tmp_path / "log", test)
        assert heard.indexes == {f"t{n}": n for n in range(300)}
        with open_log_reader(tmp_path / "log") as reader:
            assert reader.published_note == b"a note"

    def test_what_was_sent_before_the_end_is_written(self, tmp_path: Path) -> None:
        async def test(files: LogFiles, commit: GroupCommit[str]) -> None:
            commit.offer(b"last words", "t")
            await asyncio.sleep(0)

        self.run(tmp_path / "log", test)
        assert entries_of(tmp_path / "log") == (b"last words",)

    def test_a_store_that_cannot_be_opened_is_said_as_it_is(self, tmp_path: Path) -> None:
        (tmp_path / "log").write_bytes(bytes(5_000))

        async def test(files: LogFiles, commit: GroupCommit[str]) -> None:
            pytest.fail("it was opened")

        with pytest.raises(StorageError, match="not a SQLite database"):
            self.run(tmp_path / "log", test)

    @pytest.mark.parametrize("turns", [0, 20])
    def test_who_opens_it_may_be_cancelled_before_it_has_answered(self, tmp_path: Path, turns: int) -> None:
        gate, key = os.pipe()

        def connect(*args: Any, **more: Any) -> sqlite3.Connection:
            os.read(gate, 1)
            return connect_sqlite(*args, **more)

        async def run() -> list[Mapping[str, object]]:
            faults: list[Mapping[str, object]] = []
            asyncio.get_running_loop().set_exception_handler(lambda _loop, fault: faults.append(fault))
            files = LogFiles(tmp_path / "log", (log_signer(),), connect)
            opening = asyncio.ensure_future(files.open())
            async with asyncio.timeout(PATIENCE_S):
                while files._transport is None:  # noqa: ASYNC110 - what is waited for has no event
                    await asyncio.sleep(0)
                for _ in range(turns):
                    await asyncio.sleep(0)
                opening.cancel()
                await asyncio.sleep(0)
                os.write(key, bytes(64))
                with pytest.raises(asyncio.CancelledError):
                    await opening
                for _ in range(20):
                    await asyncio.sleep(0)
            assert files._process is None
            assert not files._opened.cancelled()
            return faults

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            assert runner.run(run()) == []
        for end in (gate, key):
            os.close(end)
        assert entries_of(tmp_path / "log") == ()

    def test_killed_it_leaves_nobody_waiting_and_the_node_hears_of_it(self, tmp_path: Path) -> None:
        async def test(files: LogFiles, commit: GroupCommit[str]) -> None:
            assert files._process is not None
            os.kill(files._process, signal.SIGSTOP)
            commit.offer(b"a", "t")
            await asyncio.sleep(0)
            os.kill(files._process, signal.SIGKILL)
            with pytest.raises(StorageError, match="has ended"):
                await files.ended
            await commit.settled()
            with pytest.raises(StorageError):
                await files.publish(b"a note")

        heard = self.run(tmp_path / "log", test)
        assert isinstance(heard.errors["t"], StorageError)
        assert entries_of(tmp_path / "log") == ()

    def test_a_signal_to_all_of_the_service_does_not_end_it_before_the_node(self, tmp_path: Path) -> None:
        async def test(files: LogFiles, commit: GroupCommit[str]) -> None:
            assert files._process is not None
            for number in (signal.SIGTERM, signal.SIGINT):
                os.kill(files._process, number)
            commit.offer(b"a", "t")
            await commit.settled()

        assert self.run(tmp_path / "log", test).indexes == {"t": 0}


class TestKeys:
    def test_a_key_whose_log_is_missing_begins_no_second_history_unless_it_is_said_to_be_new(self, tmp_path: Path) -> None:
        store, key = tmp_path / "log.sqlite", tmp_path / "log.key"
        (signer,) = open_log_signers(store, key, "log.example/a", is_new=False)
        with pytest.raises(ConfigError, match="second history"):
            open_log_signers(store, key, "log.example/a", is_new=False)
        assert open_log_signers(store, key, "log.example/a", is_new=True)[0].key == signer.key

    def test_a_log_whose_key_is_missing_gets_no_other(self, tmp_path: Path) -> None:
        store, key = tmp_path / "log.sqlite", tmp_path / "log.key"
        store.touch()
        with pytest.raises(ConfigError, match="whose key it was"):
            open_log_signers(store, key, "log.example/a", is_new=False)

    def test_the_key_a_log_changes_to_signs_beside_the_one_it_has(self, tmp_path: Path) -> None:
        store, key = tmp_path / "log.sqlite", tmp_path / "log.key"
        open_log_signers(tmp_path / "other", tmp_path / "log.key.next", "log.example/a", is_new=False)
        assert len(open_log_signers(store, key, "log.example/a", is_new=False)) == 2
