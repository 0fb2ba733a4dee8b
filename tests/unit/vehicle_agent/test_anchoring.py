"""Anchoring: every record proven once, whatever fails, dies, lies or forks on the way."""

from pathlib import Path

import pytest

from shared.core.clock import NS_PER_S, Instant, ManualClock, UtcNs
from shared.core.errors import ProofError, StorageError, TransportError
from shared.ledger.policy import Policy
from shared.ledger.proof import parse_proof, verify_proof
from shared.ledger.tiles import CHECKPOINT_PATH
from shared.records.odometer import OdometerSource, RecordReason
from shared.records.recorder import Recorder
from shared.service.log_store import open_log_store
from shared.service.spool import AnchorState, Spool, open_spool
from shared.stack.effects import Notice
from tests.helpers.faulty_sqlite import Faults
from tests.helpers.ledger import ORIGIN, MemoryLog, Vehicle, log_signer, policy_of, seeded_entropy
from vehicle_agent.anchor_cycle import MAX_BACKOFF_NS, AnchorCycle
from vehicle_agent.anchor_ports import Fetch, Submit
from vehicle_agent.anchoring import Anchoring, LedgerTransport

VEHICLE, SIGNER, POLICY = Vehicle(), log_signer(), policy_of()
WITNESSES = ("w1.example", "w2.example")


class FlakyLog:
    """A log in memory behind a line that fails at a chosen request: before the log heard it, or after."""

    def __init__(self, log: MemoryLog) -> None:
        self.log = log
        self.requests = 0
        self.fail_at: int | None = None
        self.is_heard = False
        self.is_down = False

    def submit(self, entry: bytes) -> int:
        self._step(lambda: self.log.submit(entry))
        return self.log.submit(entry)

    def read(self, path: str) -> bytes:
        self._step(lambda: None)
        return self.log.read(path)

    def _step(self, act: object) -> None:
        number, self.requests = self.requests, self.requests + 1
        if self.is_down or number == self.fail_at:
            if self.is_heard and callable(act):
                act()
            raise TransportError("log", "the line is down")


def record(spool: Spool, count: int = 1, *, seed: int = 0) -> None:
    """Make records with salts that differ by number."""
    for _ in range(count):
        head = spool.head()
        number = 0 if head is None else head.seq + 1
        recorder = Recorder(signer=VEHICLE, store=spool, entropy=seeded_entropy(seed + number), boot_id=bytes(16))
        source = OdometerSource(name="cluster", odometer_m=number, age_ms=0)
        at = ManualClock(UtcNs(1_700_000_000 * NS_PER_S)).now()
        recorder.record_reading(odometer_m=number, reason=RecordReason.TIME, sources=(source,), flags=(), at=at)


def anchoring_of(spool: Spool, transport: LedgerTransport, policy: Policy = POLICY) -> Anchoring:
    return Anchoring(store=spool, transport=transport, origin=ORIGIN, policy=policy)


def polled(anchoring: Anchoring, clock: ManualClock, rounds: int = 1, step_s: int = 400) -> list[Notice]:
    notices: list[Notice] = []
    for _ in range(rounds):
        notices += anchoring.poll(clock.advance(step_s * NS_PER_S))
    return notices


def check_proven(spool: Spool, log: MemoryLog, policy: Policy = POLICY) -> None:
    """Every record is proven, its stored proof holds offline, and the log has it once."""
    for stored in spool.records():
        assert stored.state >= AnchorState.INCLUDED
        assert stored.proof is not None
        verify_proof(parse_proof(stored.proof), stored.commitment, policy)
        assert log.entries.count(stored.commitment) == 1


def opened(tmp_path: Path) -> Spool:
    return open_spool(tmp_path / "spool.db")


def test_records_are_proven_at_once_against_the_embedded_ledger(tmp_path: Path) -> None:
    spool, log = opened(tmp_path), open_log_store(tmp_path / "log.db", SIGNER)
    anchoring, clock = anchoring_of(spool, log), ManualClock(None)
    for count in (1, 2, 70):
        record(spool, count)
        notices = polled(anchoring, clock)
        assert [n.kind for n in notices] == ["odometer_anchored"] * count
        assert polled(anchoring, clock) == []
    assert anchoring.counts() == {"pending": 0, "submitted": 0, "sequenced": 0, "included": 73, "witnessed": 0}
    for stored in spool.records():
        assert stored.proof is not None
        assert verify_proof(parse_proof(stored.proof), stored.commitment, POLICY).index == stored.seq
    assert log.size == 73
    spool.close()
    log.close()


def test_only_commitments_reach_the_log(tmp_path: Path) -> None:
    spool, log = opened(tmp_path), MemoryLog()
    record(spool, 3)
    polled(anchoring_of(spool, log), ManualClock(None))
    assert log.entries == [r.commitment for r in spool.records()]
    assert {len(entry) for entry in log.entries} == {32}
    spool.close()


def test_a_proof_with_a_quorum_is_witnessed(tmp_path: Path) -> None:
    spool, log = opened(tmp_path), MemoryLog()
    policy = policy_of(witnesses=WITNESSES, quorum="2")
    anchoring, clock = anchoring_of(spool, log, policy), ManualClock(None)
    record(spool)
    assert [n.kind for n in polled(anchoring, clock)] == ["ledger_not_witnessed"]
    assert anchoring.counts()["sequenced"] == 1
    log.witnesses = WITNESSES
    log.publish()
    assert [n.kind for n in polled(anchoring, clock)] == ["odometer_anchored"]
    assert anchoring.counts()["witnessed"] == 1
    check_proven(spool, log, policy)
    spool.close()


def test_every_failing_request_heard_or_not_ends_in_one_proof(tmp_path: Path) -> None:
    failed = 0
    for is_heard in (False, True):
        step = 0
        while True:
            spool = open_spool(tmp_path / f"{is_heard}-{step}.db")
            line = FlakyLog(MemoryLog())
            line.log.entries = [b"old %d" % n for n in range(300)]
            line.log.publish()
            anchoring, clock = anchoring_of(spool, line), ManualClock(None)
            record(spool)
            polled(anchoring, clock)
            record(spool, 2)
            line.requests, line.fail_at, line.is_heard = 0, step, is_heard
            kinds = [n.kind for n in polled(anchoring, clock, rounds=3)]
            reached = line.requests > step
            assert kinds.count("odometer_anchored") == 2
            check_proven(spool, line.log)
            spool.close()
            if not reached or step > 40:
                break
            if "ledger_unavailable" in kinds:
                assert kinds.index("ledger_unavailable") < kinds.index("ledger_available")
                failed += 1
            else:
                break
            step += 1
    assert failed >= 10


@pytest.mark.parametrize("persists", [False, True])
@pytest.mark.parametrize("restarts", [False, True])
def test_every_failing_write_kept_or_not_ends_in_one_proof(tmp_path: Path, persists: bool, restarts: bool) -> None:  # noqa: FBT001
    """The spool fails at each statement of two anchoring cycles; the program goes on, or is started again."""
    step = 0
    while True:
        path = tmp_path / f"{step}.db"
        faults, log, clock = Faults(), MemoryLog(), ManualClock(None)
        spool = open_spool(path, connect=faults.connect())
        record(spool, 2)
        anchoring = anchoring_of(spool, log)
        faults.arm(step, persists=persists)
        try:
            polled(anchoring, clock)
            fell = False
        except StorageError:
            fell = True
        reached = len(faults.executed) > step
        faults.arm(None, persists=False)
        if restarts:
            spool.close()
            spool = open_spool(path)
            anchoring = anchoring_of(spool, log)
        polled(anchoring, clock, rounds=2)
        record(spool)
        polled(anchoring, clock)
        check_proven(spool, log)
        assert spool.trusted_note() == log.note
        spool.close()
        assert fell == reached
        if not reached:
            break
        step += 1
    assert step >= 20


def test_a_store_that_fails_takes_no_notice_with_it(tmp_path: Path) -> None:
    """Three records are proven in one round; whichever statement fails, each is told of once."""
    step = 0
    while True:
        faults, clock = Faults(), ManualClock(None)
        spool = open_spool(tmp_path / f"{step}.db", connect=faults.connect())
        record(spool, 3)
        anchoring = anchoring_of(spool, MemoryLog())
        faults.arm(step, persists=False)
        notices: list[Notice] = []
        for _ in range(4):
            try:
                notices += anchoring.poll(clock.advance(400 * NS_PER_S))
            except StorageError:
                faults.arm(None, persists=False)
        spool.close()
        told = [notice.fields["seq"] for notice in notices if notice.kind == "odometer_anchored"]
        assert sorted(map(str, told)) == ["0", "1", "2"]
        if faults.fail_at is not None:  # it was not reached
            break
        step += 1
    assert step >= 20


def test_a_program_that_dies_between_any_two_steps_goes_on(tmp_path: Path) -> None:
    """After each request, in turn, everything in memory is lost."""
    log = MemoryLog()
    for survive in range(12):
        spool = open_spool(tmp_path / f"{survive}.db")
        record(spool, 2, seed=100 * survive)
        clock = ManualClock(None)
        cycle = AnchorCycle(store=spool, origin=ORIGIN, policy=POLICY)
        done = 0
        while done < survive and (requests := cycle.requests(clock.now().monotonic)):
            for request in requests[: survive - done]:
                done += 1
                if isinstance(request, Submit):
                    cycle.submitted({request: log.submit(request.entry)}, clock.now().monotonic)
                else:
                    cycle.fetched(request, log.read(request.path), clock.now().monotonic)
        spool.close()
        spool = open_spool(tmp_path / f"{survive}.db")
        polled(anchoring_of(spool, log), clock, rounds=2)
        check_proven(spool, log)
        spool.close()


def test_what_is_proven_is_not_sent_again(tmp_path: Path) -> None:
    spool, line, clock = opened(tmp_path), FlakyLog(MemoryLog()), ManualClock(None)
    record(spool, 5)
    polled(anchoring_of(spool, line), clock)
    before = line.requests
    polled(anchoring_of(spool, line), clock, rounds=10)
    assert line.requests == before
    spool.close()


def test_a_contradiction_stops_anchoring_keeps_both_notes_and_is_told_loudly(tmp_path: Path) -> None:
    spool, log, clock = opened(tmp_path), MemoryLog(), ManualClock(None)
    record(spool, 3)
    anchoring = anchoring_of(spool, log)
    polled(anchoring, clock)
    trusted = log.note
    forked = MemoryLog()
    forked.entries = [b"another history %d" % n for n in range(10)]
    forked.publish()
    log.entries, log.note = forked.entries, forked.note
    log._tiles = forked._tiles
    record(spool)
    (notice,) = polled(anchoring, clock)
    assert notice.kind == "ledger_split_view"
    assert notice.fields["evidence_kept"] is True
    assert notice.fields["trusted_note"] == trusted.decode()
    (kept,) = spool.evidence()
    assert kept.trusted_note == trusted
    assert kept.conflicting_note == log.note
    assert spool.trusted_note() == trusted

    record(spool)
    assert polled(anchoring, clock, rounds=3) == []
    restarted = anchoring_of(spool, log)
    assert [n.kind for n in polled(restarted, clock, rounds=3)] == ["ledger_split_view"]
    assert restarted.contradiction is not None
    assert anchoring.counts()["included"] == 3

    honest = MemoryLog()
    honest.entries = [r.commitment for r in spool.records()][:3]
    honest.publish()
    assert honest.note == trusted
    going_on = anchoring_of(spool, honest)
    going_on.acknowledge_evidence(clock.now())
    polled(going_on, clock)
    check_proven(spool, honest)
    spool.close()


def test_a_contradiction_that_cannot_be_stored_is_told_and_found_again(tmp_path: Path) -> None:
    faults = Faults()
    spool, log, clock = open_spool(tmp_path / "spool.db", connect=faults.connect()), MemoryLog(), ManualClock(None)
    record(spool)
    anchoring = anchoring_of(spool, log)
    polled(anchoring, clock)
    log.entries = [b"other"]
    log.publish()
    spool.mark_refuted(b"")
    record(spool)
    original = spool.store_evidence

    def failing(contradiction: object) -> None:
        faults.arm(0, persists=False)
        original(contradiction)  # type: ignore[arg-type]  # whatever came, as it came

    spool.store_evidence = failing  # type: ignore[method-assign]  # a disk that fails at just this step
    (notice,) = polled(anchoring, clock)
    assert notice.fields["evidence_kept"] is False
    faults.arm(None, persists=False)
    assert anchoring.contradiction is not None
    assert spool.evidence() == ()
    spool.close()
    again = open_spool(tmp_path / "spool.db")
    assert [n.kind for n in polled(anchoring_of(again, log), clock, rounds=2)] == ["ledger_split_view"]
    again.close()


def test_a_log_that_lies_about_an_index_is_asked_again(tmp_path: Path) -> None:
    class Liar(MemoryLog):
        lies = 1

        def submit(self, entry: bytes) -> int:
            index = super().submit(entry)
            self.lies -= 1
            return index - 1 if self.lies >= 0 else index

    spool, log, clock = opened(tmp_path), Liar(), ManualClock(None)
    log.entries = [b"someone else's"]
    log.publish()
    record(spool)
    anchoring = anchoring_of(spool, log)
    kinds = [n.kind for n in polled(anchoring, clock, rounds=2)]
    assert kinds == ["ledger_wrong_index", "odometer_anchored"]
    check_proven(spool, log)
    spool.close()


def test_a_log_that_forgot_an_entry_it_gave_an_index_for_is_asked_again(tmp_path: Path) -> None:
    """Put back from a backup before its next checkpoint: the index it gave never comes."""

    class Forgetful(MemoryLog):
        forgets = True

        def submit(self, entry: bytes) -> int:
            return 500 if self.forgets else super().submit(entry)

    spool, log, clock = opened(tmp_path), Forgetful(), ManualClock(None)
    record(spool)
    anchoring = anchoring_of(spool, log)
    polled(anchoring, clock, rounds=3)
    log.forgets = False
    assert [n.kind for n in polled(anchoring, clock, rounds=10)] == ["ledger_index_never_came", "odometer_anchored"]
    check_proven(spool, log)
    spool.close()


@pytest.mark.parametrize("answer", [-1, 1 << 63, "7", None])
def test_an_answer_that_is_no_index_is_a_failure_of_the_log(tmp_path: Path, answer: object) -> None:
    class Babbling(MemoryLog):
        def submit(self, entry: bytes) -> int:
            return answer  # type: ignore[return-value]  # that is the point

    spool = opened(tmp_path)
    record(spool)
    assert [n.kind for n in polled(anchoring_of(spool, Babbling()), ManualClock(None))] == ["ledger_unavailable"]
    assert spool.counts()[AnchorState.SUBMITTED] == 1
    spool.close()


def test_wrong_tiles_and_stale_checkpoints_cost_time_not_trust(tmp_path: Path) -> None:
    spool, log, clock = opened(tmp_path), MemoryLog(), ManualClock(None)
    anchoring = anchoring_of(spool, log)
    record(spool, 3)
    polled(anchoring, clock)
    old_note = log.note
    record(spool, 2)
    log.falsified["tile/0/000.p/5"] = bytes(160)
    assert [n.kind for n in polled(anchoring, clock)] == ["ledger_bad_answer"]
    log.falsified = {CHECKPOINT_PATH: b"garbage"}
    assert [n.kind for n in polled(anchoring, clock)] == ["ledger_bad_answer"]
    log.falsified = {CHECKPOINT_PATH: old_note}
    assert polled(anchoring, clock, rounds=3) == []
    assert anchoring.counts()["sequenced"] == 2
    log.falsified = {}
    assert [n.kind for n in polled(anchoring, clock)] == ["odometer_anchored"] * 2
    check_proven(spool, log)
    spool.close()


def test_a_log_that_is_down_is_told_once_and_spared(tmp_path: Path) -> None:
    spool, line, clock = opened(tmp_path), FlakyLog(MemoryLog()), ManualClock(None)
    line.is_down = True
    anchoring = anchoring_of(spool, line)
    record(spool)
    assert [n.kind for n in polled(anchoring, clock, rounds=7200, step_s=1)] == ["ledger_unavailable"]
    assert line.requests < 40
    line.is_down = False
    clock.advance(MAX_BACKOFF_NS)
    assert [n.kind for n in polled(anchoring, clock, step_s=1)] == ["ledger_available", "odometer_anchored"]
    spool.close()


def test_months_offline_are_caught_up_with(tmp_path: Path) -> None:
    spool, log, clock = opened(tmp_path), open_log_store(tmp_path / "log.db", SIGNER), ManualClock(None)
    record(spool, 200)
    anchoring = anchoring_of(spool, log)
    notices = anchoring.poll(clock.advance(NS_PER_S))
    assert [n.kind for n in notices] == ["odometer_anchored"] * 200
    spool.close()
    log.close()


def test_requests_are_asked_for_once_and_late_answers_do_no_harm(tmp_path: Path) -> None:
    spool, log = opened(tmp_path), MemoryLog()
    record(spool, 2)
    cycle = AnchorCycle(store=spool, origin=ORIGIN, policy=POLICY)
    now = Instant(ManualClock(None).now().monotonic, None).monotonic
    assert cycle.next_due() == 0
    first, second = cycle.requests(now)
    assert isinstance(first, Submit)
    assert isinstance(second, Submit)
    assert cycle.requests(now) == ()
    assert cycle.next_due() is None
    cycle.submitted({second: log.submit(second.entry)}, now)
    assert cycle.requests(now) == ()
    cycle.submitted({second: 7}, now)
    cycle.failed(first, "lost", now)
    assert cycle.submitted({first: 0}, now) == ()
    assert cycle.requests(now) == (Fetch(CHECKPOINT_PATH),)
    cycle.failed(Fetch(CHECKPOINT_PATH), "lost", now)
    assert cycle.fetched(Fetch(CHECKPOINT_PATH), log.note, now) == ()
    due = cycle.next_due()
    assert due is not None
    assert due > 0
    assert cycle.requests(now) == ()
    assert cycle.requests(due) == (first,)
    spool.close()


def test_a_log_the_policy_does_not_know_cannot_be_used(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    with pytest.raises(ProofError):
        Anchoring(store=spool, transport=MemoryLog(), origin="unknown.example", policy=POLICY)
    spool.close()
