"""Anchoring over a network that comes and goes, and against logs that lie: the courier is real, only the medium is not."""

import asyncio
from pathlib import Path

import pytest

from shared.core.clock import ManualClock
from shared.core.errors import ProofError
from shared.ledger.proof import parse_proof, verify_proof
from shared.ledger.tiles import CHECKPOINT_PATH
from shared.service.spool import AnchorState
from tests.helpers.ledger import MemoryLog, policy_of
from tests.helpers.online_ledger import POLICY, AsyncLog, Car, record
from vehicle_agent.anchor_ports import Fetch, Submit
from vehicle_agent.ledger_courier import REQUESTS_AT_ONCE
from vehicle_agent.online_anchoring import MAX_ERRANDS, Errands, Failure

WITNESSES = ("w1.example", "w2.example")


@pytest.fixture
def car(tmp_path: Path) -> Car:
    return Car(tmp_path)


def others(count: int, prefix: str = "someone else's") -> MemoryLog:
    log = MemoryLog()
    log.entries = [f"{prefix} {n}".encode() for n in range(count)]
    log.publish()
    return log


def check_proven(car: Car, log: MemoryLog) -> None:
    for stored in car.spool.records():
        assert stored.proof is not None
        verify_proof(parse_proof(stored.proof), stored.commitment, POLICY)
        assert log.entries.count(stored.commitment) == 1


def test_months_offline_lose_nothing_and_are_caught_up_with_in_bulk(car: Car) -> None:
    line = AsyncLog(others(300))
    line.is_down = True
    record(car.spool, 150)
    assert not asyncio.run(car.drive(line, until=lambda: car.proven() > 0, turns=60))
    assert car.kinds() == ["ledger_unavailable"]
    assert line.submitted == []
    line.is_down = False
    assert asyncio.run(car.drive(line, until=lambda: car.proven() == 150))
    assert sorted(line.submitted) == sorted({r.commitment for r in car.spool.records()})
    assert 1 < line.most_at_once <= REQUESTS_AT_ONCE
    assert car.kinds().count("odometer_anchored") == 150
    check_proven(car, line.log)


def test_what_a_failing_log_did_take_is_proven_and_not_sent_again(car: Car) -> None:
    line = AsyncLog(others(10))
    line.fails_each = 3
    record(car.spool, 40)
    assert asyncio.run(car.drive(line, until=lambda: car.proven() == 40))
    check_proven(car, line.log)
    assert len(line.submitted) < 2 * 40


def test_a_fork_stops_anchoring_and_both_notes_are_kept_shown_and_acknowledged(car: Car) -> None:
    line = AsyncLog(others(20))
    record(car.spool, 2)
    assert asyncio.run(car.drive(line, until=lambda: car.proven() == 2))
    honest, trusted = line.log, line.log.note
    line.log = others(40, "another history")
    record(car.spool, 1)
    assert asyncio.run(car.drive(line, until=lambda: car.anchoring.contradiction is not None))
    assert car.kinds().count("ledger_split_view") == 1
    (evidence,) = car.anchoring.evidence()
    assert (evidence.trusted_note, evidence.conflicting_note) == (trusted, line.log.note)
    status = car.anchoring.status()
    assert isinstance(status["contradiction"], dict)
    assert status["contradiction"]["conflicting_note"] == line.log.note.decode()
    before = len(line.reads)
    record(car.spool, 1)
    assert not asyncio.run(car.drive(line, until=lambda: car.proven() > 2, turns=20))
    assert len(line.reads) == before
    car.anchoring.acknowledge_evidence(ManualClock(None).now())
    line.log = honest
    assert asyncio.run(car.drive(line, until=lambda: car.proven() == 4))
    check_proven(car, honest)


def test_a_log_put_back_from_a_backup_is_told_and_proves_nothing_false(car: Car) -> None:
    line = AsyncLog(others(20))
    record(car.spool, 3)
    assert asyncio.run(car.drive(line, until=lambda: car.proven() == 3))
    line.log = others(20)
    record(car.spool, 1)
    assert not asyncio.run(car.drive(line, until=lambda: car.proven() > 3, turns=40))
    assert car.anchoring.contradiction is None
    line.log.entries += [b"grown %d" % n for n in range(20)]
    line.log.publish()
    assert asyncio.run(car.drive(line, until=lambda: car.anchoring.contradiction is not None))


def test_a_stale_copy_is_told_once_and_distrusted(car: Car) -> None:
    line = AsyncLog(others(20))
    stale = line.log.note
    record(car.spool, 3)
    assert asyncio.run(car.drive(line, until=lambda: car.proven() == 3))
    line.log.falsified = {CHECKPOINT_PATH: stale}
    record(car.spool, 1)
    assert not asyncio.run(car.drive(line, until=lambda: car.proven() > 3, turns=40))
    assert car.kinds().count("ledger_behind") == 1
    assert line.verdicts[-1] is False
    line.log.falsified = {}
    assert asyncio.run(car.drive(line, until=lambda: car.proven() == 4))
    assert line.verdicts[-1] is True


def test_wrong_tiles_cost_time_and_the_places_good_name(car: Car) -> None:
    line = AsyncLog(others(700))
    record(car.spool, 1)
    line.log.falsified = {"tile/1/000.p/2": bytes(64)}
    assert not asyncio.run(car.drive(line, until=lambda: car.proven() > 0, turns=20))
    assert "ledger_bad_answer" in car.kinds()
    assert not any(line.verdicts)
    line.log.falsified = {}
    assert asyncio.run(car.drive(line, until=lambda: car.proven() == 1))


def test_a_log_that_always_gives_another_index_is_spared_not_hammered(car: Car) -> None:
    class Liar(AsyncLog):
        async def submit(self, entry: bytes) -> int:
            return max(0, await super().submit(entry) - 1)

    line = Liar(others(5))
    record(car.spool, 1)
    assert not asyncio.run(car.drive(line, until=lambda: car.proven() > 0, turns=30))
    assert car.spool.counts()[AnchorState.INCLUDED] == 0
    assert car.kinds().count("ledger_wrong_index") <= 30


def test_a_quorum_that_is_not_met_is_told_once_however_long_it_lasts(tmp_path: Path) -> None:
    car = Car(tmp_path, policy=policy_of(witnesses=WITNESSES, quorum="2"))
    line = AsyncLog(others(3))
    record(car.spool, 1)
    assert not asyncio.run(car.drive(line, until=lambda: car.proven() > 0, turns=50))
    assert car.kinds() == ["ledger_not_witnessed"]
    assert len(line.submitted) == 1
    line.log.witnesses = WITNESSES
    line.log.publish()
    assert asyncio.run(car.drive(line, until=lambda: car.proven() == 1))


def test_a_pinned_checkpoint_is_what_the_log_must_stand_by(tmp_path: Path) -> None:
    log = others(30)
    pinned = log.note
    log.entries += [b"more"]
    log.publish()
    (tmp_path / "honest").mkdir()
    car = Car(tmp_path / "honest", pinned=pinned)
    record(car.spool, 1)
    assert asyncio.run(car.drive(AsyncLog(log), until=lambda: car.proven() == 1))
    (tmp_path / "forked").mkdir()
    car = Car(tmp_path / "forked", pinned=pinned)
    record(car.spool, 1)
    assert asyncio.run(car.drive(AsyncLog(others(40, "fork")), until=lambda: car.anchoring.contradiction is not None))


def test_a_checkpoint_pinned_later_than_trust_began_is_held_against_the_log_once(tmp_path: Path) -> None:
    first, real = others(10, "split"), others(40)
    car = Car(tmp_path)
    record(car.spool, 1)
    assert asyncio.run(car.drive(AsyncLog(first), until=lambda: car.proven() == 1))
    car.spool.close()
    pinned = Car(tmp_path, pinned=real.note)
    record(pinned.spool, 1)
    assert asyncio.run(pinned.drive(AsyncLog(real), until=lambda: pinned.anchoring.contradiction is not None))


def test_a_pinned_checkpoint_without_its_quorum_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProofError, match="quorum"):
        Car(tmp_path, policy=policy_of(witnesses=WITNESSES, quorum="2"), pinned=others(3).note)


def test_errands_are_bounded_and_asked_for_once() -> None:
    errands = Errands()
    for n in range(MAX_ERRANDS + 5):
        errands.ask(Submit(b"%d" % n))
        errands.ask(Submit(b"%d" % n))
    assert errands.waiting == MAX_ERRANDS
    assert [type(answer) for _, answer in errands.answers()] == [Failure] * 5
    assert len(errands.take()) == MAX_ERRANDS
    errands.ask(Submit(b"1"))
    assert errands.take() == ()
    assert errands.answer(Submit(b"1"), 7)
    assert not errands.answer(Fetch(CHECKPOINT_PATH), b"note")
    assert errands.answers() == ((Submit(b"1"), 7), (Fetch(CHECKPOINT_PATH), b"note"))
    assert errands.answers() == ()
