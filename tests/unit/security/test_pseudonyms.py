"""When the pseudonym changes: driven against the clock metre by metre, with every draw at its limits."""

from collections.abc import Callable
from random import Random

import pytest

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.security.pseudonyms import (
    ASLEEP_NS,
    MAX_HOLDS,
    MAX_LOCK_S,
    READY_NS,
    RESTART_NS,
    PseudonymRules,
    Stage,
)

START = MonotonicNs(7 * NS_PER_S)
SPEED_MPS = 20.0


def least(count: int) -> bytes:
    return bytes(count)


def most(count: int) -> bytes:
    return b"\xff" * count


class Drive:
    """A car that reports five times a second."""

    def __init__(self, entropy: Callable[[int], bytes] = least) -> None:
        self.now = START
        self.rules = PseudonymRules(entropy=entropy, started=START)
        self.rules.fixed(self.now)

    def step(self, speed_mps: float = SPEED_MPS) -> None:
        self.now = MonotonicNs(self.now + NS_PER_S // 5)
        self.rules.moved(speed_mps / 5, self.now)

    def pass_by(self, seconds: float, speed_mps: float = SPEED_MPS) -> None:
        for _ in range(round(seconds * 5)):
            self.step(speed_mps)

    def until_due(self, most_s: float, speed_mps: float = SPEED_MPS) -> tuple[float, float]:
        """Drive until a change is due, make it, and return the metres and seconds it took."""
        begin = self.now
        while not self.rules.is_due(self.now):
            assert self.now - begin < most_s * NS_PER_S, f"no change within {most_s} s"
            self.step(speed_mps)
        elapsed_s = (self.now - begin) / NS_PER_S
        self.rules.changed(self.now)
        return elapsed_s * speed_mps, elapsed_s


@pytest.mark.parametrize(
    ("entropy", "first_m", "second_s", "third_m", "further_m"),
    [(least, 800.0, 120.0, 10_000.0, 25_000.0), (most, 1_500.0, 360.0, 20_000.0, 35_000.0)],
)
def test_a_trip_changes_early_and_often_then_late_and_seldom(
    entropy: Callable[[int], bytes], first_m: float, second_s: float, third_m: float, further_m: float
) -> None:
    drive = Drive(entropy)
    assert drive.until_due(100)[1] == pytest.approx(60.0)
    assert drive.until_due(100)[0] == pytest.approx(first_m, abs=10.0)
    assert drive.until_due(500)[1] == pytest.approx(800.0 / SPEED_MPS + second_s, abs=1.0)
    assert drive.until_due(2_000)[0] == pytest.approx(third_m, abs=10.0)
    for _ in range(3):
        assert drive.rules.stage is Stage.FURTHER
        assert drive.until_due(2_000)[0] == pytest.approx(further_m, abs=10.0)


def test_every_distance_is_drawn_anew_within_its_limits() -> None:
    drive = Drive(Random(5).randbytes)
    for _ in range(4):
        drive.until_due(2_000)
    ways = [drive.until_due(2_000)[0] for _ in range(12)]
    assert all(24_990.0 <= way <= 35_010.0 for way in ways)
    assert len({round(way) for way in ways}) == len(ways)


def test_no_change_is_due_before_there_is_a_fix() -> None:
    rules = PseudonymRules(entropy=least, started=START)
    rules.moved(5_000.0, MonotonicNs(START + 600 * NS_PER_S))
    fixed = MonotonicNs(START + 700 * NS_PER_S)
    assert not rules.is_due(fixed)
    rules.fixed(fixed)
    rules.fixed(MonotonicNs(fixed + NS_PER_S))
    assert not rules.is_due(MonotonicNs(fixed + READY_NS - 1))
    assert rules.is_due(MonotonicNs(fixed + READY_NS))


def test_standing_still_counts_nothing() -> None:
    drive = Drive()
    drive.pass_by(3_600, speed_mps=0.0)
    assert not drive.rules.is_due(drive.now)
    drive.step()
    assert drive.rules.is_due(drive.now)
    drive.rules.changed(drive.now)
    drive.pass_by(3_600, speed_mps=0.0)
    drive.until_due(100)
    assert drive.rules.stage is Stage.SECOND
    drive.pass_by(41)  # the 800 m
    drive.pass_by(100)
    drive.pass_by(3_600, speed_mps=0.0)  # a jam: none of the minutes
    assert not drive.rules.is_due(drive.now)
    assert drive.until_due(60)[1] == pytest.approx(19.0, abs=1.5)


def test_a_gap_between_two_reports_is_no_motion() -> None:
    drive = Drive()
    drive.until_due(100)
    drive.until_due(100)
    drive.pass_by(41)
    drive.now = MonotonicNs(drive.now + 3_600 * NS_PER_S)
    drive.step()
    assert not drive.rules.is_due(drive.now)


def test_a_start_after_a_stop_begins_the_sequence_anew() -> None:
    drive = Drive()
    drive.rules.ignition(is_on=True, now=drive.now)
    for _ in range(3):
        drive.until_due(500)
    assert drive.rules.stage.name == "THIRD"
    drive.pass_by(RESTART_NS / NS_PER_S)
    assert not drive.rules.is_due(drive.now)
    drive.rules.ignition(is_on=False, now=drive.now)
    drive.rules.ignition(is_on=True, now=drive.now)
    assert drive.rules.is_due(drive.now)
    drive.rules.changed(drive.now)
    assert drive.rules.stage.name == "READY"
    drive.pass_by(120)
    assert not drive.rules.is_due(drive.now)  # the fix of the trip before is not that of this one
    drive.rules.fixed(drive.now)
    assert drive.until_due(70)[1] == pytest.approx(60.0)


def test_a_stalled_engine_burns_no_ticket() -> None:
    drive = Drive()
    drive.until_due(100)
    for is_on in (False, True, False, True):
        drive.step()
        drive.rules.ignition(is_on=is_on, now=drive.now)
    assert not drive.rules.is_due(drive.now)
    assert drive.rules.stage is Stage.FIRST


def test_an_ignition_not_heard_of_for_long_was_off() -> None:
    drive = Drive()
    drive.rules.ignition(is_on=True, now=drive.now)
    drive.now = MonotonicNs(drive.now + ASLEEP_NS - 1)
    drive.rules.ignition(is_on=True, now=drive.now)
    assert not drive.rules.is_due(drive.now)
    drive.now = MonotonicNs(drive.now + ASLEEP_NS)
    drive.rules.ignition(is_on=True, now=drive.now)
    assert drive.rules.is_due(drive.now)


def test_a_hazard_of_ours_holds_the_pseudonym_and_its_end_lets_go_at_once() -> None:
    drive = Drive()
    drive.rules.hold("1/7", until=MonotonicNs(START + 200 * NS_PER_S), now=drive.now)
    drive.rules.hold("1/8", until=MonotonicNs(START + 300 * NS_PER_S), now=drive.now)
    drive.pass_by(100)
    assert not drive.rules.is_due(drive.now)
    drive.rules.release("1/8")
    drive.rules.release("never held")
    assert not drive.rules.is_due(drive.now)
    assert not drive.rules.is_due(MonotonicNs(START + 200 * NS_PER_S - 1))
    assert drive.rules.is_due(MonotonicNs(START + 200 * NS_PER_S))
    drive.rules.release("1/7")
    assert drive.rules.is_due(drive.now)


def test_a_hazard_that_goes_on_holds_longer_and_one_that_ends_earlier_less_long() -> None:
    drive = Drive()
    drive.pass_by(60)
    for end_s in (100, 400, 90):
        drive.rules.hold("1/7", until=MonotonicNs(START + end_s * NS_PER_S), now=drive.now)
    assert not drive.rules.is_due(MonotonicNs(START + 90 * NS_PER_S - 1))
    assert drive.rules.is_due(MonotonicNs(START + 90 * NS_PER_S))


def test_holds_are_bounded_in_number_and_time() -> None:
    drive = Drive()
    drive.pass_by(60)
    for number in range(10 * MAX_HOLDS):
        drive.rules.hold(str(number), until=MonotonicNs(START + (100 + number) * NS_PER_S), now=drive.now)
    assert len(drive.rules._holds) == MAX_HOLDS
    assert drive.rules.is_held(MonotonicNs(START + (100 + 10 * MAX_HOLDS - 1) * NS_PER_S - 1))
    drive.rules.hold("for ever", until=MonotonicNs(1 << 62), now=drive.now)
    assert not drive.rules.is_held(MonotonicNs(drive.now + 86_400 * NS_PER_S))


def test_a_lock_ends_by_itself_and_cannot_be_renewed_for_ever() -> None:
    drive = Drive()
    drive.pass_by(50)
    locked_at = drive.now
    for _ in range(125):
        drive.rules.lock(1_000.0, now=drive.now)
        drive.pass_by(2)
        assert not drive.rules.is_due(drive.now)
    drive.pass_by(MAX_LOCK_S - 250)
    assert drive.now == locked_at + MAX_LOCK_S * NS_PER_S
    assert drive.rules.lock(10.0, now=drive.now) == drive.now
    assert drive.rules.is_due(drive.now)
    drive.rules.changed(drive.now)
    assert drive.rules.lock(10.0, now=drive.now) == drive.now + 10 * NS_PER_S


def test_an_unlocked_pseudonym_changes_at_once() -> None:
    drive = Drive()
    drive.rules.lock(200.0, now=drive.now)
    drive.pass_by(100)
    assert not drive.rules.is_due(drive.now)
    drive.rules.unlock()
    assert drive.rules.is_due(drive.now)


def test_a_change_for_another_reason_starts_the_present_line_anew() -> None:
    drive = Drive()
    drive.until_due(100)
    drive.pass_by(39)
    drive.rules.changed(drive.now)
    assert drive.rules.stage is Stage.FIRST
    assert drive.until_due(100)[0] == pytest.approx(800.0, abs=10.0)


@pytest.mark.parametrize("way", [-1.0, float("nan")])
def test_a_way_that_is_none_is_refused(way: float) -> None:
    with pytest.raises(ValueError, match="a way of"):
        Drive().rules.moved(way, START)
