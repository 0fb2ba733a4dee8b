import asyncio
from pathlib import Path

import pytest

from rsu_agent.evidence_anchoring import EvidenceAnchoring
from rsu_agent.evidence_format import BatchState, StoredEntry
from shared.core.errors import StorageError, TransportError
from shared.ledger.proof import parse_proof, verify_proof
from shared.records.evidence_record import EvidenceKind, decode_record
from tests.helpers.faulty_sqlite import Faults
from tests.helpers.ledger import MemoryLog
from tests.helpers.online_ledger import AsyncLog
from tests.helpers.unit_evidence import WITNESSED, Unit, witnessed_log

ENOUGH = 20
"""Rounds after which everything is proven, or never will be."""


def unit_with_batches(folder: Path, count: int = 3) -> Unit:
    unit = Unit(folder)
    for _ in range(count):
        unit.light()
        unit.close_batch()
    return unit


def state_of(unit: Unit, number: int) -> BatchState:
    batch = unit.store.batch_of(number)
    assert batch is not None
    return batch.state


def test_every_batch_gets_a_proof_that_others_can_check(tmp_path: Path) -> None:
    unit = unit_with_batches(tmp_path)
    log = witnessed_log(unit.now)
    log.submit(b"somebody else's")
    assert unit.anchor(log) == ()
    for number in range(3):
        batch = unit.store.batch_of(number)
        assert batch is not None
        included = verify_proof(parse_proof(batch.proof or b""), batch.commitment, WITNESSED)
        assert included.index == number + 1
    assert unit.store.trusted_note() == log.note
    assert unit.anchor(log) == ()


def test_a_log_out_of_reach_is_told_of_once_and_asked_again(tmp_path: Path) -> None:
    unit = unit_with_batches(tmp_path)
    medium = AsyncLog(witnessed_log(unit.now))
    anchoring = unit.anchoring(medium)
    medium.is_down = True
    (notice,) = asyncio.run(anchoring.round())
    assert (notice.kind, notice.fields["reason"]) == ("evidence_ledger_unavailable", "log: the line is down")
    assert asyncio.run(anchoring.round()) == ()
    assert anchoring.trouble == "log: the line is down"
    medium.is_down = False
    assert [each.kind for each in asyncio.run(anchoring.round())] == ["evidence_ledger_available"]
    assert medium.verdicts == [True]
    assert unit.store.unproven(9) == ()


def test_after_hours_without_the_log_all_that_waited_goes_into_it_once_and_is_proven(tmp_path: Path) -> None:
    unit = Unit(tmp_path)
    unit.light()
    unit.store_all()
    (entry,) = unit.store.between(EvidenceKind.SENT, None, 0, 1 << 60, 1)
    record = decode_record(entry.entry)
    for number in range(1, 150):  # two and a half hours
        unit.store.close_batch(unit.station_id, unit.now)
        unit.store.append([StoredEntry(id=number, record=record, entry=entry.entry)], {})
    unit.store.close_batch(unit.station_id, unit.now)
    medium = AsyncLog(witnessed_log(unit.now))
    anchoring = unit.anchoring(medium)
    medium.is_down = True
    for _ in range(5):
        asyncio.run(anchoring.round())
    medium.is_down = False
    rounds = 0
    while unit.store.unproven(1):
        asyncio.run(anchoring.round())
        rounds += 1
    assert rounds == 3
    assert anchoring.proven == 150
    assert anchoring.trouble is None


def test_too_few_witnesses_leave_a_batch_unproven_until_they_have_signed(tmp_path: Path) -> None:
    unit = unit_with_batches(tmp_path)
    log = MemoryLog(witnesses=("w1",))
    (notice,) = unit.anchor(log)
    assert notice.kind == "evidence_not_witnessed"
    assert len(unit.store.unproven(9)) == 3
    log.witnesses = ("w1", "w2")
    log.publish()
    unit.anchor(log)
    assert unit.store.unproven(9) == ()


def test_a_log_that_holds_something_else_at_the_index_it_gave_is_asked_again(tmp_path: Path) -> None:
    unit = unit_with_batches(tmp_path, 1)
    log = witnessed_log(unit.now)
    log.submit(b"somebody else's")
    (batch,) = unit.store.unproven(1)
    unit.store.mark_submitted(batch.commitment)
    unit.store.mark_sequenced(batch.commitment, 0)
    (notice,) = unit.anchor(log)
    assert "another entry at index 0" in str(notice.fields["reason"])
    assert state_of(unit, 0) is BatchState.PENDING
    unit.anchor(log)
    assert state_of(unit, 0) is BatchState.PROVEN


def test_a_log_that_contradicts_itself_stops_anchoring_for_good_and_both_notes_are_kept(tmp_path: Path) -> None:
    unit = unit_with_batches(tmp_path, 1)
    unit.anchor(witnessed_log(unit.now))
    trusted = unit.store.trusted_note()
    liar = witnessed_log(unit.now)
    for entry in (b"another", b"history"):
        liar.submit(entry)
    unit.light()
    unit.close_batch()
    (notice,) = unit.anchor(liar)
    assert notice.kind == "evidence_ledger_split_view"
    kept = unit.store.contradiction()
    assert kept is not None
    assert kept.trusted_note == trusted
    assert unit.store.trusted_note() == trusted
    again = unit.anchoring(AsyncLog(witnessed_log(unit.now)))
    assert [each.kind for each in asyncio.run(again.round())] == ["evidence_ledger_split_view"]
    assert asyncio.run(again.round()) == ()
    unit.light()
    assert unit.close_batch() is not None


def test_tiles_that_lead_nowhere_prove_nothing_and_are_told_of(tmp_path: Path) -> None:
    unit = unit_with_batches(tmp_path, 2)
    log = witnessed_log(unit.now)
    log.falsified["tile/0/000.p/2"] = bytes(64)
    medium = AsyncLog(log)
    (notice,) = asyncio.run(unit.anchoring(medium).round())
    assert notice.kind == "evidence_ledger_bad_answer"
    assert medium.verdicts == [False]
    assert len(unit.store.unproven(9)) == 2


class Cut:
    """A line that breaks at the n-th request, before or after the log has it; then, as when the power is back, it holds."""

    def __init__(self, log: MemoryLog, at: int, *, after: bool) -> None:
        self._inner = AsyncLog(log)
        self._left = at
        self._after = after

    async def submit(self, entry: bytes) -> int:
        self._step(before=True)
        index = await self._inner.submit(entry)
        self._step(before=False)
        return index

    async def read(self, path: str) -> bytes:
        self._step(before=True)
        data = await self._inner.read(path)
        self._step(before=False)
        return data

    def trust(self) -> None:
        self._inner.trust()

    def distrust(self) -> None:
        self._inner.distrust()

    def _step(self, *, before: bool) -> None:
        if before is self._after:
            return
        self._left -= 1
        if self._left == -1:
            raise TransportError("log", "the line broke")


@pytest.mark.parametrize("after", [False, True], ids=["before the log has it", "before the answer comes"])
def test_wherever_the_line_breaks_every_batch_is_in_the_log_once_and_proven(tmp_path: Path, *, after: bool) -> None:
    for step in range(40):
        folder = tmp_path / f"{step}"
        folder.mkdir()
        unit = unit_with_batches(folder)
        log = witnessed_log(unit.now)
        medium = Cut(log, step, after=after)
        first = asyncio.run(unit.anchoring(medium).round())
        settle(unit.anchoring(medium), unit)
        assert len(log.entries) == 3
        unit.store.close()
        if not first:
            assert step > 3
            return
    pytest.fail("the line broke at every step there is")


@pytest.mark.parametrize("persists", [False, True], ids=["without effect", "took effect"])
def test_wherever_the_disk_fails_every_batch_is_in_the_log_once_and_proven(tmp_path: Path, *, persists: bool) -> None:
    for step in range(120):
        folder = tmp_path / f"{step}"
        folder.mkdir()
        faults = Faults()
        unit = Unit(folder, connect=faults.connect())
        for _ in range(2):
            unit.light()
            unit.close_batch()
        log = witnessed_log(unit.now)
        anchoring = unit.anchoring(AsyncLog(log))
        faults.arm(step, persists=persists)
        has_failed = False
        try:
            asyncio.run(anchoring.round())
        except StorageError:
            has_failed = True
        faults.arm(None, persists=False)
        settle(anchoring, unit)
        assert len(log.entries) == 2
        unit.store.close()
        if not has_failed:
            assert step > 10
            return
    pytest.fail("the disk failed at every step there is")


def settle(anchoring: EvidenceAnchoring, unit: Unit) -> None:
    for _ in range(ENOUGH):
        if not unit.store.unproven(1):
            return
        asyncio.run(anchoring.round())
    pytest.fail("something was never proven")
