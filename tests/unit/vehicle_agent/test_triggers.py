"""The parts that every trigger is made of: conditions in three values, tables with times, and what is known of road and others."""

from itertools import product
from random import Random

import pytest

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs
from shared.core.geo import displaced
from shared.core.ids import HashedId8, StationId, StationType
from shared.facilities.neighbours import Neighbour, sighting
from shared.messages.cdd import CauseCode, DriveDirection
from shared.stack.station import EgoPosition
from tests.helpers.driving import HOME, KMH, Drive
from tests.helpers.hierarchy import NOON
from vehicle_agent.denm_service import CHECK_INTERVAL_NS
from vehicle_agent.event_place import area_of, history_of, trace_to
from vehicle_agent.path_history import TracePoint
from vehicle_agent.triggers import breakdown, crash, emergency_braking, emergency_vehicle, slippery_road, slow_vehicle, weather
from vehicle_agent.triggers.conditions import (
    NOT_BACKWARDS,
    Condition,
    all_of,
    any_of,
    at_least,
    at_most,
    is_off,
    is_on,
    magnitude_at_most,
    no,
    unless_known,
)
from vehicle_agent.triggers.fast_road import EVIDENCE_LASTS_NS, FastRoad
from vehicle_agent.triggers.latch import MAX_GAP_NS, MAX_UNKNOWN_NS, Absence, Latch, Row
from vehicle_agent.triggers.situation import Reach
from vehicle_agent.triggers.surroundings import Surroundings
from vehicle_agent.vehicle_state import SignalUpdate, VehicleState, fold

ANSWERS = (True, False, None)
NOW = MonotonicNs(10 * NS_PER_S)


def _answering(answer: bool | None) -> Condition:  # noqa: FBT001  # the answer itself
    return Condition(str(answer), lambda _state, _now: answer)


def _state(at: MonotonicNs = NOW, /, **values: float) -> VehicleState:
    updates = [SignalUpdate(field=name, value=value, at=at, max_age_ns=NS_PER_S) for name, value in values.items()]
    return fold(VehicleState(), updates)


class TestConditions:
    @pytest.mark.parametrize(("one", "other"), list(product(ANSWERS, ANSWERS)))
    def test_what_is_not_known_makes_true_only_what_is_true_either_way(self, *, one: bool | None, other: bool | None) -> None:
        both = all_of(_answering(one), _answering(other))(VehicleState(), NOW)
        either = any_of(_answering(one), _answering(other))(VehicleState(), NOW)
        assert both is (False if False in (one, other) else None if None in (one, other) else True)
        assert either is (True if True in (one, other) else None if None in (one, other) else False)

    def test_the_opposite_of_what_is_not_known_is_not_known_either(self) -> None:
        assert [no(_answering(answer))(VehicleState(), NOW) for answer in ANSWERS] == [False, True, None]
        assert [unless_known(_answering(answer))(VehicleState(), NOW) for answer in ANSWERS] == [False, True, True]

    @pytest.mark.parametrize(
        ("condition", "value", "holds"),
        [
            (at_least("speed_mps", 10.0), {"speed_mps": 10.0}, True),
            (at_least("speed_mps", 10.0), {"speed_mps": 9.99}, False),
            (at_most("speed_mps", 10.0), {"speed_mps": 10.0}, True),
            (at_most("speed_mps", 10.0), {"speed_mps": 10.01}, False),
            (magnitude_at_most("yaw_rate_dps", 3.0), {"yaw_rate_dps": -3.0}, True),
            (magnitude_at_most("yaw_rate_dps", 3.0), {"yaw_rate_dps": -3.1}, False),
            (is_on("hazard_lights"), {"hazard_lights": True}, True),
            (is_off("hazard_lights"), {"hazard_lights": True}, False),
            (NOT_BACKWARDS, {"drive_direction": DriveDirection.BACKWARD}, False),
            (NOT_BACKWARDS, {"drive_direction": DriveDirection.FORWARD}, True),
            (NOT_BACKWARDS, {}, True),
        ],
    )
    def test_a_signal_that_is_stale_is_not_known(self, condition: Condition, value: dict[str, float], *, holds: bool) -> None:
        assert condition(_state(**value), NOW) is holds
        if condition is not NOT_BACKWARDS:
            assert condition(_state(**value), MonotonicNs(NOW + NS_PER_S + 1)) is None
            assert condition(VehicleState(), NOW) is None

    def test_a_condition_on_a_signal_that_does_not_exist_or_is_of_another_kind_is_refused_where_it_is_written(self) -> None:
        with pytest.raises(KeyError):
            is_on("warp_drive")
        with pytest.raises(ValueError, match="hazard_lights is no quantity"):
            at_least("hazard_lights", 1.0)
        with pytest.raises(ValueError, match="speed_mps is no flag"):
            is_off("speed_mps")

    def test_every_table_can_be_read(self) -> None:
        tables = (emergency_braking, breakdown, crash, slippery_road, slow_vehicle)
        rows = [row for table in tables for row in (*table.BEGINS, *table.ENDS)]
        rows += [*weather.FOG_BEGINS, *weather.RAIN_ENDS, *emergency_vehicle.APPROACHING_BEGINS]
        sentences = [row.condition.sentence for row in rows]
        assert "speed_mps is at least 20 km/h" in sentences[0]
        assert "longitudinal_acceleration_mps2 is at most -7 m/s2" in sentences[0]
        assert all(sentences)


class TestLatch:
    BEGINS = (Row(at_least("speed_mps", 10.0), for_ms=500),)
    ENDS = (Row(at_most("speed_mps", 5.0), for_ms=300),)

    def _run(self, speeds: list[float | None], *, latch: Latch | None = None, every_ms: int = 100) -> list[Absence | None]:
        chosen = Latch(self.BEGINS, self.ENDS) if latch is None else latch
        answers = []
        for step, speed in enumerate(speeds):
            now = MonotonicNs(NOW + step * every_ms * NS_PER_MS)
            answers.append(chosen.observe(VehicleState() if speed is None else _state(now, speed_mps=speed), now))
        return answers

    def test_it_begins_and_ends_after_its_times_and_not_before(self) -> None:
        over, unknown, there = Absence.OVER, Absence.UNKNOWN, None
        answers = self._run([0.0, *[12.0] * 7, *[4.0] * 5])
        assert answers == [over, *[unknown] * 5, there, there, *[there] * 3, over, over]

    def test_a_break_begins_the_waiting_anew(self) -> None:
        assert None not in self._run([12.0, 12.0, 12.0, 9.0] * 5)
        assert None not in self._run([12.0, 12.0, 12.0, None] * 5)

    def test_between_the_two_thresholds_nothing_changes(self) -> None:
        assert self._run([7.0] * 30)[-1] is Absence.OVER
        assert self._run([*[12.0] * 7, *[7.0] * 30])[-1] is None

    def test_what_was_not_looked_at_did_not_hold_without_a_break(self) -> None:
        gap_ms = MAX_GAP_NS // NS_PER_MS + 1
        assert None not in self._run([12.0] * 10, every_ms=gap_ms)

    def test_without_signals_it_is_there_or_not_and_after_a_while_it_begins_anew(self) -> None:
        latch = Latch(self.BEGINS, self.ENDS)
        steps = MAX_UNKNOWN_NS // (100 * NS_PER_MS) + 2
        answers = self._run([*[12.0] * 7, *[None] * steps], latch=latch)
        assert set(answers[7:]) == {Absence.UNKNOWN}
        assert not latch.is_active

    def test_what_stays_is_there_although_its_end_cannot_be_told(self) -> None:
        latch = Latch(self.BEGINS, self.ENDS, stays=is_on("airbag_deployed"))
        latch.resume(NOW)
        assert latch.observe(_state(airbag_deployed=True), NOW) is None
        assert latch.observe(_state(airbag_deployed=False), NOW) is Absence.UNKNOWN


class TestFastRoad:
    def _seen(self, drive: Drive, road: FastRoad, seconds: float, **changes: float) -> bool:
        is_fast = False
        for _ in range(round(seconds * NS_PER_S / CHECK_INTERVAL_NS)):
            drive.drive(0.1, **changes)
            is_fast = road.observe(drive.state, drive.clock.now().monotonic)
        return is_fast

    def test_half_a_minute_at_80_says_so_for_three_minutes(self) -> None:
        drive, road = Drive(speed_mps=85 * KMH), FastRoad()
        assert not self._seen(drive, road, 29)
        assert self._seen(drive, road, 2)
        drive.change(speed_mps=10 * KMH)
        assert self._seen(drive, road, EVIDENCE_LASTS_NS / NS_PER_S - 5)
        assert not self._seen(drive, road, 10)

    def test_a_turn_of_the_wheel_ends_it(self) -> None:
        drive, road = Drive(speed_mps=85 * KMH), FastRoad()
        assert self._seen(drive, road, 31)
        assert not self._seen(drive, road, 0.1, steering_wheel_angle_deg=-95.0)
        assert not self._seen(drive, road, 5, steering_wheel_angle_deg=0.0)

    def test_without_the_angle_of_the_wheel_nothing_is_concluded(self) -> None:
        drive, road = Drive(speed_mps=85 * KMH, steering_wheel_angle_deg=None), FastRoad()
        assert not self._seen(drive, road, 60)


def _standing(ahead_m: float) -> Neighbour:
    return Neighbour(
        ticket=HashedId8(bytes(8)),
        station_id=StationId(1),
        station_type=StationType.PASSENGER_CAR,
        role=None,
        point=displaced(HOME, ahead_m, 0.0),
        age_s=0.1,
        speed_mps=0.0,
        heading_deg=90.0,
        acceleration_mps2=None,
        length_m=4.5,
        width_m=1.8,
        lights=None,
        special_vehicle=None,
        accuracy_m=None,
    )


def test_only_who_stands_close_ahead_is_the_queue_we_reach() -> None:
    drive = Drive().drive(1)
    now = drive.clock.now()
    ego = EgoPosition(point=HOME, taken_at=NOON, speed_mps=0.0, heading_deg=90.0)
    drive.others.standing = tuple(sighting(_standing(metres), ego) for metres in (20.0, 60.0, 99.0, 140.0))
    around = Surroundings(neighbours=drive.others, hazards=drive.others)
    assert around.standing_ahead(drive.state, now) == 3
    assert around.standing_ahead(drive.state, Instant(now.monotonic, None)) == 0
    assert around.standing_ahead(VehicleState(), now) == 0
    drive.others.reports = {CauseCode.TRAFFIC_CONDITION: 4, CauseCode.DANGEROUS_END_OF_QUEUE: 1}
    assert around.reported_ahead(CauseCode.TRAFFIC_CONDITION, drive.state, now) == 4
    assert around.reported_ahead(CauseCode.TRAFFIC_CONDITION, VehicleState(), now) == 0


def test_five_that_stand_ahead_on_a_motorway_are_a_jam_and_four_are_not() -> None:
    ego = EgoPosition(point=HOME, taken_at=NOON, speed_mps=0.0, heading_deg=90.0)
    for count, causes in ((4, set()), (5, {(1, 0)})):
        drive = Drive(speed_mps=100 * KMH).drive(40).brake_to(0.0, 2.5)
        drive.others.standing = tuple(sighting(_standing(10.0 + n), ego) for n in range(count))
        drive.drive(40)
        assert drive.causes() == causes


def test_who_stands_for_a_reason_of_its_own_is_no_sign_of_a_jam() -> None:
    ego = EgoPosition(point=HOME, taken_at=NOON, speed_mps=0.0, heading_deg=90.0)
    drive = Drive(speed_mps=100 * KMH).drive(40).brake_to(0.0, 2.5)
    drive.others.standing = tuple(sighting(_standing(10.0 + n), ego) for n in range(6))
    assert drive.drive(60, hazard_lights=True, doors_open=True).causes() == {(94, 0)}


def test_a_way_and_a_history_end_where_a_step_cannot_be_said() -> None:
    far = [
        TracePoint(displaced(HOME, -metres, 0.0), MonotonicNs(NOW - round(metres) * NS_PER_S)) for metres in (200.0, 900.0, 4_000.0)
    ]
    trace = trace_to(HOME, NOW, far)
    history = history_of(HOME, NOW, far, 2)
    assert [point.delta_time_s for point in trace] == [200.0, None]
    assert [(point.delta_lon_deg, point.information_quality) for point in history] == [(p.delta_lon_deg, 2) for p in trace]
    near = [TracePoint(displaced(HOME, -float(n), 0.0), MonotonicNs(NOW - n * NS_PER_S)) for n in range(1, 60)]
    assert len(history_of(HOME, NOW, near, None)) == 23


@pytest.mark.parametrize("reach", list(Reach))
def test_an_area_holds_its_event_and_is_no_larger_than_may_be_addressed(reach: Reach) -> None:
    rng = Random(5)
    for _ in range(200):
        heading = rng.uniform(0.0, 360.0)
        area = area_of(HOME, heading, reach, 1_000.0)
        assert area.contains(HOME)
        assert area.size_km2 <= 3.2
