"""Cars of which some signals are missing, stuck or in the wrong unit, and clocks that lose the date: no false word of anything."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.geo import displaced
from shared.messages.cdd import CauseCode
from shared.messages.denm import RelevanceTrafficDirection
from tests.helpers.driving import HOME, KMH, Drive
from tests.helpers.hierarchy import NOON
from vehicle_agent.vehicle_state import SignalUpdate

BRAKING, AUTOMATIC, QUEUE, STANDING, BROKEN_DOWN, SLOW = (99, 1), (99, 5), (27, 0), (94, 0), (94, 2), (26, 0)
Odd = Mapping[str, Callable[[Any], Any]]


class OddCar(Drive):
    """A car of which some signals are odd: what its bus says of a field is made of what is true."""

    def __init__(self, odd: Odd, **begin: Any) -> None:
        self.odd = odd
        super().__init__(**begin)

    def _said_directly(self, now: MonotonicNs) -> Iterator[SignalUpdate]:
        for update in super()._said_directly(now):
            said = self.odd[update.field](update.value) if update.field in self.odd else update.value
            yield SignalUpdate(field=update.field, value=said, at=update.at, max_age_ns=update.max_age_ns)


def times(factor: float) -> Callable[[float | None], float | None]:
    return lambda value: None if value is None else value * factor


def always(value: object) -> Callable[[object], object]:
    return lambda _: value


def town(odd: Odd) -> Drive:
    """Three red lights, braked for firmly from 50 km/h."""
    drive = OddCar(odd, speed_mps=50 * KMH)
    for _ in range(3):
        drive.drive(5, brake_pedal_pressed=False).brake_to(0.0, 3.2).drive(5)
        drive.drive(8, acceleration_mps2=1.7, brake_pedal_pressed=False)
    return drive


@pytest.mark.parametrize(
    "odd",
    [
        {"longitudinal_acceleration_mps2": always(-9.0)},
        {"longitudinal_acceleration_mps2": lambda true_mps2: true_mps2 - 8.0},
        {"longitudinal_acceleration_mps2": times(3.6)},
        {"longitudinal_acceleration_mps2": times(-9.81)},
    ],
    ids=["stuck", "loose", "wrong unit", "wrong sign and unit"],
)
def test_a_sensor_that_lies_brakes_for_nobody(odd: Odd) -> None:
    assert town(odd).said == []


def test_an_emergency_braking_that_the_sensor_never_lets_go_of_ends_with_the_braking() -> None:
    drive = Drive(speed_mps=100 * KMH).drive(2).brake_to(60 * KMH, 9.0)
    assert drive.times("new", *BRAKING) != []
    braked_s = drive.now_s
    stuck = OddCar({}, speed_mps=100 * KMH).drive(2)
    stuck.brake_to(60 * KMH, 9.0)
    stuck.odd = {"longitudinal_acceleration_mps2": always(-9.0)}  # type: ignore[attr-defined]
    stuck.drive(20, brake_pedal_pressed=True)
    assert max(said.at_s for said in stuck.of(*BRAKING)) <= braked_s + 1.6


def test_an_emergency_braking_is_meant_for_who_comes_from_behind() -> None:
    drive = Drive(speed_mps=100 * KMH).drive(2).brake_to(60 * KMH, 9.0)
    directions = {said.announcement.denm.relevance_traffic_direction for said in drive.of(*BRAKING)}
    assert directions == {RelevanceTrafficDirection.UPSTREAM_TRAFFIC}


def test_a_car_that_says_for_ever_that_it_brakes_by_itself_is_believed_for_a_moment() -> None:
    drive = Drive(speed_mps=80 * KMH, automatic_emergency_braking=True).drive(60)
    assert len(drive.times("new", *AUTOMATIC)) == 1
    assert max(said.at_s for said in drive.of(*AUTOMATIC)) < 2.5
    drive.drive(2, automatic_emergency_braking=False).drive(0.6, acceleration_mps2=-8.0, automatic_emergency_braking=True)
    assert len(drive.times("new", *AUTOMATIC)) == 2


def test_a_speed_in_the_wrong_unit_makes_no_motorway_of_a_street() -> None:
    def arrive(drive: Drive) -> Drive:
        drive.drive(45)
        drive.others.reports = {CauseCode.DANGEROUS_END_OF_QUEUE: 1}
        return drive.brake_to(1.0, 4.5).drive(20)

    assert arrive(OddCar({"speed_mps": times(3.6)}, speed_mps=48 * KMH)).said == []
    assert arrive(Drive(speed_mps=110 * KMH)).causes() == {QUEUE}


def test_a_car_on_a_lorry_is_no_stationary_vehicle() -> None:
    carried = Drive(hazard_lights=True, breakdown=True)
    for second in range(90):
        carried.drive(1, position=displaced(HOME, 22.0 * second, 0.0))
    assert carried.said == []
    assert Drive(hazard_lights=True, breakdown=True).drive(40).causes() == {BROKEN_DOWN}


def test_a_broken_down_car_is_over_when_it_is_towed_away_and_not_when_its_receiver_jumps() -> None:
    drive = Drive(hazard_lights=True, breakdown=True).drive(60)
    drive.drive(60, position=displaced(HOME, 45.0, 0.0))
    assert drive.times("end", *BROKEN_DOWN) == []
    towed_s = drive.now_s
    for second in range(20):
        drive.drive(1, position=displaced(HOME, 45.0 + 12.0 * second, 0.0))
    assert towed_s < drive.times("end", *BROKEN_DOWN)[0] < towed_s + 17.0


@pytest.mark.parametrize(
    "missing",
    ["brake_pedal_pressed", "longitudinal_acceleration_mps2", "ignition_on", "speed_mps", "position"],
)
def test_a_car_that_does_not_say_what_an_emergency_braking_needs_is_silent(missing: str) -> None:
    drive = OddCar({missing: always(None)}, speed_mps=100 * KMH).drive(2)
    assert drive.brake_to(0.0, 9.0).drive(5).said == []


@pytest.mark.parametrize("missing", ["ignition_on", "hazard_lights", "speed_mps", "position"])
def test_a_car_that_does_not_say_what_a_breakdown_needs_is_silent(missing: str) -> None:
    drive = OddCar({missing: always(None)}, hazard_lights=True, breakdown=True, doors_open=True, parking_brake=True)
    assert drive.drive(90).said == []


@pytest.mark.parametrize(
    "missing", ["brake_pedal_pressed", "longitudinal_acceleration_mps2", "doors_open", "parking_brake", "heading_deg"]
)
def test_what_a_breakdown_does_not_need_may_be_missing(missing: str) -> None:
    assert OddCar({missing: always(None)}, hazard_lights=True, breakdown=True).drive(40).causes() == {BROKEN_DOWN}


def test_an_event_lives_through_a_loss_of_the_date_and_is_cancelled_when_it_is_known_again() -> None:
    drive = Drive(hazard_lights=True, breakdown=True).drive(40)
    begun = len(drive.said)
    drive.clock.set_utc(None)
    drive.drive(10)
    assert len(drive.said) == begun
    drive.drive(5, hazard_lights=False)
    drive.clock.set_utc(type(NOON)(NOON + 55 * NS_PER_S))
    drive.drive(3)
    assert drive.times("end", *BROKEN_DOWN)[0] == pytest.approx(55.1, abs=0.2)


def test_an_event_that_goes_on_is_renewed_when_the_date_is_known_again() -> None:
    drive = Drive(hazard_lights=True, breakdown=True).drive(40)
    drive.clock.set_utc(None)
    drive.drive(60)
    drive.clock.set_utc(type(NOON)(NOON + 100 * NS_PER_S))
    back_s = drive.now_s
    drive.drive(5)
    assert drive.times("new", *BROKEN_DOWN) == [pytest.approx(30.1, abs=0.2), pytest.approx(back_s, abs=0.3)]
    numbers = {said.announcement.action_id for said in drive.of(*BROKEN_DOWN)}
    assert len(numbers) == 2
