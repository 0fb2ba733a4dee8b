import asyncio
import os
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from rsu_agent.evidence_anchoring import EvidenceAnchoring
from rsu_agent.evidence_format import BatchState, StoredEntry
from rsu_agent.evidence_reader import EvidenceReader, read_evidence
from rsu_agent.evidence_store import EvidenceStore, open_evidence
from shared.core.clock import NS_PER_S, UtcNs
from shared.core.errors import StorageError
from shared.ledger.merkle import leaf_hash, verify_inclusion
from shared.records.evidence_record import BatchTree, EvidenceKind, EvidenceRecord, commitment_of_batch
from tests.helpers.faulty_sqlite import Faults
from tests.helpers.hierarchy import NOON
from tests.helpers.ledger import ORIGIN, MemoryLog
from tests.helpers.online_ledger import AsyncLog
from tests.helpers.unit_evidence import FILE, WITNESSED, in_a_child, killing, witnessed_log

T = TypeVar("T")

STATION = 4049
PLENTY = 1 << 40


def entry(number: int, *, utc_us: int | None = None, octets: int = 200) -> StoredEntry:
    moment = NOON // 1_000 + number * 100_000 if utc_us is None else utc_us
    record = EvidenceRecord(
        kind=EvidenceKind.SENT,
        word="spatem",
        run=1,
        number=number,
        utc_us=moment,
        salt=number.to_bytes(16),
        packet=bytes(octets),
    )
    return StoredEntry(id=number, record=record, entry=record.encode())


def entries(first: int, end: int, *, octets: int = 200) -> list[StoredEntry]:
    return [entry(number, octets=octets) for number in range(first, end)]


def stored(store: EvidenceReader) -> list[bytes]:
    found = store.between(EvidenceKind.SENT, None, 0, 1 << 60, 100_000)
    assert [each.id for each in found] == sorted({each.id for each in found})
    return [each.entry for each in found]


def closed_batches(store: EvidenceStore, count: int, *, size: int = 20, octets: int = 200) -> None:
    for number in range(count):
        store.append(entries(number * size, (number + 1) * size, octets=octets), {})
        assert store.close_batch(STATION, UtcNs(NOON + number * 60 * NS_PER_S)) is not None


def test_what_is_stored_is_there_after_a_restart_and_is_not_stored_twice(tmp_path: Path) -> None:
    with open_evidence(tmp_path / FILE).store as store:
        store.append(entries(0, 5), {b"12345678": b"certificate"})
        store.append(entries(0, 5), {b"12345678": b"certificate"})
        store.append(entries(3, 8), {})
    opened = open_evidence(tmp_path / FILE)
    with opened.store as store:
        assert opened.run == 2
        assert stored(store) == [each.entry for each in entries(0, 8)]
        assert store.next_id() == 8
        assert store.certificates() == {b"12345678": b"certificate"}


def test_records_that_leave_out_a_number_are_refused_and_nothing_of_them_is_stored(tmp_path: Path) -> None:
    with open_evidence(tmp_path / FILE).store as store:
        store.append(entries(0, 2), {})
        for wrong in (entries(3, 5), [*entries(2, 4), *entries(5, 6)]):
            with pytest.raises(StorageError, match="record 2 is next"):
                store.append(wrong, {})
        assert len(stored(store)) == 2


def test_a_batch_holds_what_was_in_none_and_names_the_one_before(tmp_path: Path) -> None:
    with open_evidence(tmp_path / FILE).store as store:
        assert store.close_batch(STATION, NOON) is None
        store.append(entries(0, 3), {})
        first = store.close_batch(STATION, NOON)
        assert first is not None
        assert store.close_batch(STATION, NOON) is None
        store.append(entries(3, 4), {})
        second = store.close_batch(STATION, None)
        assert second is not None
        assert (first.first, first.size, first.previous, first.closed_us) == (0, 3, None, NOON // 1_000)
        assert (second.first, second.size, second.closed_us) == (3, 1, None)
        assert second.previous == commitment_of_batch(first.encode())
        assert first.root == BatchTree([leaf_hash(each.entry) for each in entries(0, 3)]).root
        of_two, of_three = store.batch_of(2), store.batch_of(3)
        assert of_two is not None
        assert of_three is not None
        assert (of_two.statement, of_three.statement) == (first, second)
        assert store.batch_of(4) is None


def test_a_batch_goes_forward_and_a_proof_is_not_replaced(tmp_path: Path) -> None:
    with open_evidence(tmp_path / FILE).store as store:
        closed_batches(store, 1)
        (batch,) = store.unproven(9)
        assert batch.state is BatchState.PENDING
        store.mark_submitted(batch.commitment)
        store.mark_sequenced(batch.commitment, 7)
        store.mark_submitted(batch.commitment)
        (batch,) = store.unproven(9)
        assert (batch.state, batch.log_index) == (BatchState.SEQUENCED, 7)
        store.mark_refuted(batch.commitment)
        (batch,) = store.unproven(9)
        assert (batch.state, batch.log_index) == (BatchState.PENDING, None)
        store.store_proof(batch.commitment, log_index=9, proof=b"proof")
        store.store_proof(batch.commitment, log_index=1, proof=b"another")
        store.mark_refuted(batch.commitment)
        assert store.unproven(9) == ()
        proven = store.batch_of(0)
        assert proven is not None
        assert (proven.state, proven.log_index, proven.proof) == (BatchState.PROVEN, 9, b"proof")


def test_old_batches_leave_whole_and_what_stays_still_proves(tmp_path: Path) -> None:
    with open_evidence(tmp_path / FILE).store as store:
        closed_batches(store, 5)
        for batch in store.unproven(2):
            store.store_proof(batch.commitment, log_index=0, proof=b"proof")
        dropped = store.expire(before=UtcNs(NOON + 150 * NS_PER_S), max_bytes=PLENTY)
        assert (dropped.batches, dropped.records, dropped.unproven) == (3, 60, 1)
        assert stored(store) == [each.entry for each in entries(60, 100)]
        assert store.batch_of(59) is None
        for number in (60, 80):
            left = store.batch_of(number)
            assert left is not None
            assert store.tree_of(left.statement).size == 20
        assert store.expire(before=UtcNs(NOON + 150 * NS_PER_S), max_bytes=PLENTY).batches == 0


def test_the_newest_batch_stays_so_that_numbers_go_on_and_the_next_can_name_it(tmp_path: Path) -> None:
    with open_evidence(tmp_path / FILE).store as store:
        closed_batches(store, 3)
        while store.expire(before=UtcNs(NOON + 10**15), max_bytes=0).batches:
            pass
        assert store.next_id() == 60
        (last,) = store.unproven(9)
        store.append(entries(60, 61), {})
        following = store.close_batch(STATION, NOON)
        assert following is not None
        assert (following.number, following.previous) == (3, last.commitment)


def test_a_store_stays_within_its_size_however_long_it_goes_on(tmp_path: Path) -> None:
    bound = 400_000
    with open_evidence(tmp_path / FILE).store as store:
        for number in range(40):
            store.append(entries(number * 50, (number + 1) * 50, octets=1_000), {})
            store.close_batch(STATION, UtcNs(NOON + number * 60 * NS_PER_S))
            store.expire(before=None, max_bytes=bound)
            used = store.status()["used_bytes"]
            assert isinstance(used, int)
            assert used <= bound + 80_000
        assert stored(store)[-1] == entry(1_999, octets=1_000).entry
    assert (tmp_path / FILE).stat().st_size <= 2 * bound


def refusal(number: int, *, octets: int = 1_000) -> StoredEntry:
    record = replace(entry(number, octets=octets).record, kind=EvidenceKind.REFUSED, word="malformed")
    return StoredEntry(id=number, record=record, entry=record.encode())


def test_a_flood_of_refusals_takes_no_room_from_what_the_unit_said_and_that_is_still_proven(tmp_path: Path) -> None:
    """Each minute 10 lights, and between them 40 refusals, four times as large as all lights."""
    of_others, bound = 200_000, 4_000_000
    with open_evidence(tmp_path / FILE).store as store:
        for minute in range(40):
            ids = range(minute * 50, (minute + 1) * 50)
            store.append([entry(number) if number % 5 == 0 else refusal(number) for number in ids], {})
            store.close_batch(STATION, UtcNs(NOON + minute * 60 * NS_PER_S))
            store.thin(max_bytes=of_others)
            assert store.expire(before=None, max_bytes=bound).batches == 0
        lights = store.between(EvidenceKind.SENT, "spatem", 0, 1 << 60, 1_000)
        assert [each.entry for each in lights] == [entry(number).entry for number in range(0, 2_000, 5)]
        refusals = store.between(EvidenceKind.REFUSED, None, 0, 1 << 60, 10_000)
        assert 100 < len(refusals) < 200
        assert sum(len(each.entry) for each in refusals) <= of_others
        assert refusals[-1].entry == refusal(1_999).entry
        for light in lights:
            batch = store.batch_of(light.id)
            assert batch is not None
            tree, position = store.tree_of(batch.statement), light.id - batch.statement.first
            verify_inclusion(leaf_hash(light.entry), position, tree.size, tree.path(position), batch.statement.root)
        used = store.status()["used_bytes"]
        assert isinstance(used, int)
        assert used < sum(len(each.entry) for each in lights) + of_others + 2_000 * 200, "room that is free again is used again"
        assert store.thin(max_bytes=of_others) == 0
        assert store.thin(max_bytes=0) == len(refusals)
        assert store.status()["records"] == 2_000


def test_a_clock_set_to_a_wrong_year_takes_only_so_many_batches_with_it_at_a_time(tmp_path: Path) -> None:
    with open_evidence(tmp_path / FILE).store as store:
        closed_batches(store, 30, size=1)
        far = UtcNs(NOON + 10**18)
        assert store.expire(before=far, max_bytes=PLENTY, most=4).batches == 4
        assert store.expire(before=far, max_bytes=PLENTY, most=4).batches == 4
        assert store.status()["records"] == 22


def test_who_reads_beside_the_agent_sees_one_moment_though_records_leave_meanwhile(tmp_path: Path) -> None:
    with open_evidence(tmp_path / FILE).store as writer:
        closed_batches(writer, 3)
        with read_evidence(tmp_path / FILE) as reader, reader.unchanging():
            batch = reader.batch_of(0)
            assert batch is not None
            writer.expire(before=None, max_bytes=0)
            assert reader.tree_of(batch.statement).size == 20
        with read_evidence(tmp_path / FILE) as reader, pytest.raises(StorageError, match="are not those it was closed with"):
            reader.tree_of(batch.statement)


def test_a_batch_closed_without_a_date_is_as_old_as_the_next_that_has_one(tmp_path: Path) -> None:
    with open_evidence(tmp_path / FILE).store as store:
        for number, closed in enumerate((None, NOON, None)):
            store.append(entries(number, number + 1), {})
            store.close_batch(STATION, closed)
        assert store.expire(before=NOON, max_bytes=PLENTY).batches == 0
        assert store.expire(before=UtcNs(NOON + NS_PER_S), max_bytes=PLENTY).batches == 2


class Telling:
    """A log that says what it is given, for whoever outlives this process."""

    def __init__(self, log: MemoryLog, tell: int | None) -> None:
        self._log = AsyncLog(log)
        self._tell = tell

    async def submit(self, entry: bytes) -> int:
        if self._tell is not None:
            os.write(self._tell, b"c" + entry)
        return await self._log.submit(entry)

    async def read(self, path: str) -> bytes:
        return await self._log.read(path)

    def trust(self) -> None:
        """There is no other place."""

    def distrust(self) -> None:
        """There is no other place."""


def work(store: EvidenceStore, log: MemoryLog, *, tell: int | None = None) -> None:
    """Go on where the store is: store, close, take to the ledger; tell what was acknowledged and what was submitted."""

    async def aside(act: Callable[[EvidenceStore], T]) -> T:
        return act(store)

    for start in range(store.next_id(), 20, 10):
        store.append(entries(start, start + 10), {start.to_bytes(8): b"certificate"})
        if tell is not None:
            os.write(tell, b"r" + start.to_bytes(32))
        store.close_batch(STATION, NOON)
    anchoring = EvidenceAnchoring(aside=aside, medium=Telling(log, tell), origin=ORIGIN, policy=WITNESSED)
    while store.unproven(1):
        asyncio.run(anchoring.round())


def test_killed_between_any_two_steps_nothing_acknowledged_is_lost_and_no_minute_is_committed_twice(tmp_path: Path) -> None:
    fresh = tmp_path / "fresh.db"
    open_evidence(fresh).store.close()
    expected = [each.entry for each in entries(0, 20)]
    for step in range(200):
        path = tmp_path / f"{step}.db"
        path.write_bytes(fresh.read_bytes())

        def child(tell: int, path: Path = path, step: int = step) -> None:
            with open_evidence(path, killing(step)).store as store:
                work(store, witnessed_log(NOON), tell=tell)

        was_killed, told = in_a_child(child)
        frames = [told[at : at + 33] for at in range(0, len(told), 33)]
        log = witnessed_log(NOON)
        for commitment in dict.fromkeys(frame[1:] for frame in frames if frame[:1] == b"c"):
            log.submit(commitment)
        with open_evidence(path).store as store:
            held = stored(store)
            assert len(held) >= 10 * sum(frame[:1] == b"r" for frame in frames)
            assert held == expected[: len(held)]
            if store.unbatched():
                store.close_batch(STATION, NOON)
            work(store, log)
            assert stored(store) == expected
            batches = [store.batch_of(number) for number in (0, 10)]
            assert all(each is not None and each.state is BatchState.PROVEN for each in batches)
            assert log.entries == [each.commitment for each in batches if each is not None]
        if not was_killed:
            assert step > 20
            return
    pytest.fail("the program was killed at every step there is")


@pytest.mark.parametrize("persists", [False, True], ids=["without effect", "took effect"])
def test_a_disk_that_fails_at_any_step_loses_and_doubles_nothing(tmp_path: Path, *, persists: bool) -> None:
    for step in range(60):
        faults = Faults()
        with open_evidence(tmp_path / f"{step}.db", faults.connect()).store as store:
            faults.arm(step, persists=persists)
            done = 0
            try:
                store.append(entries(0, 3), {b"12345678": b"certificate"})
                done = 1
                store.close_batch(STATION, NOON)
                done = 2
                store.expire(before=None, max_bytes=PLENTY)
                store.store_proof(store.unproven(1)[0].commitment, log_index=1, proof=b"proof")
                done = 3
            except StorageError:
                assert done < 3
            faults.arm(None, persists=False)
            store.append(entries(0, 3), {b"12345678": b"certificate"})
            store.close_batch(STATION, NOON)
            assert stored(store) == [each.entry for each in entries(0, 3)]
            batch = store.batch_of(0)
            assert batch is not None
            assert (batch.statement.number, batch.statement.size) == (0, 3)
            assert store.status()["records"] == 3
            if done == 3:
                assert step > 10
                return
    pytest.fail("the disk failed at every step there is")


def test_a_damaged_file_is_put_aside_as_it_is_and_a_new_one_begun(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with open_evidence(path).store as store:
        closed_batches(store, 3)
    damaged = path.read_bytes()[:5_000]
    path.write_bytes(damaged)
    opened = open_evidence(path)
    with opened.store as store:
        assert opened.set_aside == tmp_path / f"{FILE}.damaged-1"
        assert "cut short" in opened.problem
        assert opened.set_aside.read_bytes() == damaged
        assert store.next_id() == 0


def test_another_programs_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / FILE
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE other (id INTEGER)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="another program made it"):
        open_evidence(path)
    assert path.read_bytes() == before


def test_records_changed_on_disk_are_noticed_before_anything_is_proven_with_them(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with open_evidence(path).store as store:
        closed_batches(store, 1)
    forged = replace(entry(3).record, packet=b"green")
    connection = sqlite3.connect(path)
    connection.execute("UPDATE record SET entry = ? WHERE id = 3", (forged.encode(),))
    connection.commit()
    connection.close()
    with read_evidence(path) as store:
        batch = store.batch_of(3)
        assert batch is not None
        with pytest.raises(StorageError, match="batch 0 are not those it was closed with"):
            store.tree_of(batch.statement)


def test_a_refusal_changed_on_disk_is_noticed_before_it_is_handed_out(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with open_evidence(path).store as store:
        store.append([refusal(0)], {})
        store.close_batch(STATION, NOON)
        assert [each.entry for each in store.between(EvidenceKind.REFUSED, None, 0, 1 << 60, 9)] == [refusal(0).entry]
        assert store.count(EvidenceKind.REFUSED, "malformed", 0, 1 << 60) == 1
    connection = sqlite3.connect(path)
    connection.execute("UPDATE other SET entry = ?", (refusal(0, octets=9).entry,))
    connection.commit()
    connection.close()
    with read_evidence(path) as store, pytest.raises(StorageError, match="a record is not what it should be"):
        store.between(EvidenceKind.REFUSED, None, 0, 1 << 60, 9)
