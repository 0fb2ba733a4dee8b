"""Several threads for the signatures of a batch: the same verdicts in the same order, bugs told, threads sent home."""

import threading
from pathlib import Path
from random import Random

import pytest

from shared.core.clock import NS_PER_MS
from shared.core.errors import ConfigError, VerificationError
from shared.core.ids import ItsAid
from shared.security.verify import Claim
from shared.service.config import load
from shared.service.verification_pool import (
    DEFAULT_THREADS,
    MAX_THREADS,
    VerificationConfig,
    VerificationPool,
    threads_for,
    usable_cores,
)
from shared.stack.batch import SequentialChecker, receive_batch
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import cam_of, ego, make_peer

HIERARCHY = Hierarchy(1)


def claims(count: int) -> list[Claim]:
    """Return claims of which every third has a broken signature."""
    service, clock = HIERARCHY.verifying(), clock_at()
    signers = [HIERARCHY.signing() for _ in range(5)]
    found = []
    for number in range(count):
        now = clock.advance(NS_PER_MS)
        secured = signers[number % 5].sign(number.to_bytes(4, "big"), ItsAid.CAM, now=now, location=None)
        if number < 5:
            service.verify(secured, now=now)
            secured = signers[number].sign(b"again", ItsAid.CAM, now=clock.advance(NS_PER_MS), location=None)
        if number % 3 == 0:
            secured = secured[:-1] + bytes((secured[-1] ^ 1,))
        found.append(service.examine(secured, now=clock.now()))
    return found


CLAIMS = claims(64)


def is_broken(index: int) -> bool:
    return index % 3 == 0


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_every_claim_has_its_verdict_in_order_on_any_number_of_threads(threads: int) -> None:
    random = Random(threads)
    with VerificationPool(threads=threads, smallest_batch=1) as pool:
        for _ in range(40):
            chosen = random.sample(range(len(CLAIMS)), k=random.randrange(len(CLAIMS)))
            verdicts = pool.check_all([CLAIMS[index] for index in chosen])
            for index, verdict in zip(chosen, verdicts, strict=True):
                if is_broken(index):
                    assert isinstance(verdict, VerificationError)
                    assert verdict.code == "false_signature"
                else:
                    assert verdict is CLAIMS[index]


def test_a_small_batch_wakes_nobody() -> None:
    with VerificationPool(threads=2, smallest_batch=8) as pool:
        helper = pool._helpers[0]
        pool.check_all(CLAIMS[:7])
        assert pool._offers.empty()
        assert helper.is_alive()


def test_work_nobody_came_for_does_not_pile_up() -> None:
    pool = VerificationPool(threads=3, smallest_batch=1)
    helpers = list(pool._helpers)
    for _ in helpers:
        pool._offers.put(None)
    for helper in helpers:
        helper.join()
    for _ in range(20):
        assert len(pool.check_all(CLAIMS[:9])) == 9
        assert pool._offers.qsize() <= 2
    pool.close()


class Stuck:
    """A claim, its ticket and its key in one, whose signature holds; any thread but one stays in it until it is let go."""

    def __init__(self) -> None:
        self.algorithm = self.signature = self.digest = None
        self.ticket = self.public_key = self
        self.is_let_go, self.is_somebody_in = threading.Event(), threading.Event()
        self._owner = threading.current_thread()

    def verify(self, *_what: object) -> None:
        if threading.current_thread() is self._owner:
            assert self.is_somebody_in.wait(60)
            return
        self.is_somebody_in.set()
        assert self.is_let_go.wait(60)


def test_a_helper_that_is_held_up_holds_up_no_batch() -> None:
    stuck = Stuck()
    batch: list[Claim] = [stuck] * 9  # type: ignore[list-item]  # stands for a signature that takes for ever
    with VerificationPool(threads=2, smallest_batch=1) as pool:
        assert pool.check_all(batch) == batch
        assert not stuck.is_let_go.is_set()
        stuck.is_let_go.set()
        assert len(pool.check_all(CLAIMS)) == len(CLAIMS)


def test_a_bug_on_any_thread_is_raised_where_the_batch_came_from() -> None:
    nonsense: list[Claim] = [*CLAIMS[:12], object()]  # type: ignore[list-item]  # the bug
    with VerificationPool(threads=2, smallest_batch=1) as pool:
        with pytest.raises(RuntimeError, match="could not be checked") as caught:
            pool.check_all(nonsense)
        assert isinstance(caught.value.__cause__, AttributeError)
        assert len(pool.check_all(CLAIMS)) == len(CLAIMS)


def test_threads_end_with_the_pool_and_a_late_batch_is_checked_all_the_same() -> None:
    before = threading.active_count()
    pool = VerificationPool(threads=4)
    assert pool.threads == 4
    assert threading.active_count() == before + 3
    pool.close()
    pool.close()
    assert threading.active_count() == before
    late = pool.check_all(CLAIMS[:9])
    assert [isinstance(verdict, VerificationError) for verdict in late] == [is_broken(n) for n in range(9)]


@pytest.mark.parametrize(("threads", "smallest_batch"), [(0, 8), (MAX_THREADS + 1, 8), (2, 0)])
def test_a_pool_of_impossible_size_is_refused(threads: int, smallest_batch: int) -> None:
    with pytest.raises(ValueError, match="threads for batches"):
        VerificationPool(threads=threads, smallest_batch=smallest_batch)


def test_a_station_hears_the_same_through_a_pool_as_alone_and_each_sender_in_order() -> None:
    clock, cars = clock_at(), [make_peer(HIERARCHY, number) for number in range(1, 9)]
    packets = []
    for _ in range(30):
        for car in cars:
            now = clock.advance(NS_PER_MS)
            packets.append(car.send(cam_of(car, now), position=ego(now), now=now))
    packets += packets[-40:]
    ticket = HIERARCHY.ticket()
    alone = receive_batch(make_peer(HIERARCHY, 99, ticket=ticket), packets, clock.now(), SequentialChecker())
    with VerificationPool(threads=3, smallest_batch=1) as pool:
        pooled = receive_batch(make_peer(HIERARCHY, 99, ticket=ticket), packets, clock.now(), pool)
    assert [type(outcome) for outcome in pooled] == [type(outcome) for outcome in alone]
    assert sum(isinstance(outcome, VerificationError) for outcome in pooled) == 40


def test_two_threads_are_used_where_there_are_two_cores() -> None:
    assert [threads_for(cores) for cores in (0, 1, 2, 8)] == [1, 1, DEFAULT_THREADS, DEFAULT_THREADS]
    assert usable_cores() >= 1


def test_the_operator_may_say_how_many(tmp_path: Path) -> None:
    path = tmp_path / "verification.toml"
    path.write_text("threads = 5\n")
    assert load(path, VerificationConfig).threads_here() == 5
    path.write_text("")
    assert load(path, VerificationConfig).threads_here() == threads_for(usable_cores())
    for wrong in ("0", "17", '"two"'):
        path.write_text(f"threads = {wrong}\n")
        with pytest.raises(ConfigError, match="threads"):
            load(path, VerificationConfig)
