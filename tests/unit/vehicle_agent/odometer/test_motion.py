"""Whether a vehicle drives or is carried, and whether its bus was taken away."""

import pytest

from shared.core.clock import NS_PER_S, MonotonicNs
from vehicle_agent.odometer.motion import SILENT_FOR_M, Motion


def at(seconds: float) -> MonotonicNs:
    return MonotonicNs(round((100 + seconds) * NS_PER_S))


def rolling(until_s: int = 60, *, stops_at_s: int | None = None) -> Motion:
    """Return a vehicle that rolls, and may stop."""
    motion = Motion()
    for second in range(until_s + 1):
        motion.hear(at(second))
        motion.roll(0.0 if stops_at_s is not None and second >= stops_at_s else 20.0, at(second))
    return motion


def test_a_vehicle_that_rolls_drives() -> None:
    assert rolling().was_driven(at(59), at(60))


def test_one_whose_wheels_stand_is_carried() -> None:
    assert not rolling(stops_at_s=30).was_driven(at(59), at(60))


def test_one_whose_wheels_stand_while_somebody_accelerates_drives() -> None:
    motion = rolling(stops_at_s=30)
    motion.accelerate(at(55))
    assert motion.was_driven(at(59), at(60))


def test_one_that_is_switched_off_is_carried() -> None:
    motion = rolling()
    motion.is_off = True
    assert not motion.was_driven(at(59), at(60))


def test_one_that_says_nothing_of_its_speed_is_taken_to_drive() -> None:
    motion = Motion()
    motion.hear(at(60))
    assert motion.was_driven(at(59), at(60))


def test_a_bus_that_sleeps_after_the_vehicle_stopped_says_that_it_is_carried() -> None:
    motion = rolling(stops_at_s=30)
    assert motion.is_silent(at(100))
    assert not motion.was_driven(at(99), at(100))


def test_a_bus_that_fell_silent_at_speed_does_not() -> None:
    assert rolling().was_driven(at(99), at(100))


@pytest.mark.parametrize(("answers_mps", "is_driven"), [(15.0, True), (0.0, False)])
def test_a_control_unit_that_answers_knows_it(answers_mps: float, is_driven: bool) -> None:  # noqa: FBT001
    motion = rolling(stops_at_s=30)
    motion.answer(answers_mps, at(99))
    assert motion.was_driven(at(98), at(100)) is is_driven


def test_a_bus_that_never_spoke_is_not_silent() -> None:
    assert not Motion().is_silent(at(1_000))


def test_a_way_without_the_bus_counts_from_when_it_fell_silent() -> None:
    motion = rolling()
    assert not motion.drives_without_bus(lambda: 5_000.0, at(65))
    assert not motion.drives_without_bus(lambda: 6_000.0, at(71))
    assert not motion.drives_without_bus(lambda: 6_000.0 + SILENT_FOR_M - 1, at(80))
    assert motion.drives_without_bus(lambda: 6_000.0 + SILENT_FOR_M, at(81))
    motion.hear(at(82))
    assert not motion.drives_without_bus(lambda: 7_000.0, at(83))


def test_a_bus_that_wakes_up_has_spoken_since_then() -> None:
    motion = rolling()
    motion.hear(at(500))
    motion.hear(at(501))
    assert motion.awake_since == at(500)
