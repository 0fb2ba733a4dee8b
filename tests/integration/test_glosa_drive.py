"""Cars that drive to the roadside unit's own crossing by what their view tells them: they cross on green, and rarely have to stop.

Each drives east on the lane that goes straight on; the unit's service and the car's map are the real ones, five views a second.
"""

from dataclasses import dataclass
from typing import Any

import pytest

from rsu_agent.map_data import load_map
from rsu_agent.signal_controllers.fixed_time import FixedTimeController
from rsu_agent.signal_service import SignalService
from shared.core.clock import NS_PER_MS, NS_PER_S, ManualClock, MonotonicNs, UtcNs
from shared.core.geo import displaced
from shared.core.ids import StationId
from shared.messages.cdd import DriveDirection
from shared.messages.spatem import MovementPhaseState
from shared.stack.effects import DriverView, Evidence, Notice
from tests.unit.rsu_agent.test_signal_service import CYCLE_BEGIN, JUNCTIONS, MAP, PLAN
from tests.unit.vehicle_agent.verified_messages import verified
from vehicle_agent.hazards import Hazards
from vehicle_agent.local_dynamic_map import LocalDynamicMap
from vehicle_agent.vehicle_state import Aged, VehicleState

STEP_S = 0.1
LANE_NORTH_M, STOP_LINE_EAST_M, START_EAST_M = -5.0, -14.0, -150.0
EAST_WEST = 2
CENTRE = load_map(JUNCTIONS / "crossing.map.toml", PLAN.signal_groups).reference
BRAKING_MPS2, SPEEDING_MPS2 = 1.5, 1.0
GREEN = {MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED, MovementPhaseState.PERMISSIVE_MOVEMENT_ALLOWED}


@dataclass
class Trip:
    """What became of one drive."""

    crossed_on: MovementPhaseState | None = None
    fastest_kmh: float = 0.0
    stopped_s: float = 0.0
    took_s: float = 0.0
    advised: bool = False


def drive(into_cycle_s: float, speed_kmh: float, *, listens: bool) -> Trip:
    """Drive to the stop line and over it."""
    clock = ManualClock(UtcNs(CYCLE_BEGIN + round(into_cycle_s * NS_PER_S)), MonotonicNs(5 * NS_PER_S))
    controller = FixedTimeController(PLAN)
    unit = SignalService(
        controller=controller,
        rules=PLAN.guard_rules,
        junction=MAP,
        station_id=StationId(42),
        spatem_interval_ns=100 * NS_PER_MS,
    )
    here = LocalDynamicMap(hazards=Hazards(), started=clock.now().monotonic)
    east_m, speed_mps, wanted_mps, trip = START_EAST_M, speed_kmh / 3.6, speed_kmh / 3.6, Trip()
    view: dict[str, Any] = {"signals": []}
    while trip.crossed_on is None and trip.took_s < 180.0:
        now = clock.now()
        for message in unit.poll(now):
            if not isinstance(message, Notice | Evidence):
                here.hear(verified(message, now), now)
        for effect in here.poll(at_the_wheel(east_m, speed_mps, now.monotonic), now):
            if isinstance(effect, DriverView):
                view = dict(effect.fields)
        wanted_mps = reacted(view["signals"], speed_mps, wanted_mps, STOP_LINE_EAST_M - east_m, trip, listens=listens)
        change = (SPEEDING_MPS2 if wanted_mps > speed_mps else 3.0) * STEP_S
        speed_mps += max(-change, min(change, wanted_mps - speed_mps))
        east_m += speed_mps * STEP_S
        now = clock.advance(round(STEP_S * NS_PER_S))
        trip.took_s += STEP_S
        trip.stopped_s += STEP_S * (speed_mps < 0.1)
        trip.fastest_kmh = max(trip.fastest_kmh, speed_mps * 3.6)
        if east_m >= STOP_LINE_EAST_M:
            trip.crossed_on = next(s.intervals[0].phase for s in controller.state(now) if s.signal_group == EAST_WEST)
    return trip


def at_the_wheel(east_m: float, speed_mps: float, now: MonotonicNs) -> VehicleState:
    known: dict[str, Any] = {
        "position": displaced(CENTRE, east_m, LANE_NORTH_M),
        "heading_deg": 90.0,
        "speed_mps": speed_mps,
        "drive_direction": DriveDirection.FORWARD,
    }
    return VehicleState(**{name: Aged(value, now, NS_PER_S) for name, value in known.items()})


def reacted(
    signals: list[dict[str, Any]], speed_mps: float, wanted_mps: float, left_m: float, trip: Trip, *, listens: bool
) -> float:
    """What a driver does: brake for a light that is not green when the line is near; until then as told, or just on."""
    if not signals:
        return wanted_mps
    (light,) = [signal for signal in signals if signal["is_expected"]]
    braking_m = speed_mps**2 / (2 * BRAKING_MPS2)
    can_stop = speed_mps**2 / (2 * 4.0) < left_m
    if light["colour"] != "green" and can_stop and left_m - 2.0 <= braking_m + speed_mps * STEP_S:
        return 0.0 if left_m < 3.0 else min(speed_mps, (2 * BRAKING_MPS2 * max(0.0, left_m - 2.0)) ** 0.5)
    advice = light["advice"]
    if listens and advice is not None and advice["manoeuvre"] == "drive":
        trip.advised = True
        return float(advice["speed_kmh"]) / 3.6
    return max(wanted_mps, 30 / 3.6) if light["colour"] == "green" else wanted_mps


PHASES = range(0, 60, 4)
"""Seconds into the lights' minute at which the cars set out."""


@pytest.mark.parametrize("speed_kmh", [30, 50])
def test_cars_that_follow_the_advice_cross_on_green_within_the_limit_and_stop_less_than_others(speed_kmh: float) -> None:
    told = [drive(into, speed_kmh, listens=True) for into in PHASES]
    untold = [drive(into, speed_kmh, listens=False) for into in PHASES]
    assert {trip.crossed_on for trip in told} <= GREEN
    assert max(trip.fastest_kmh for trip in told) <= 50.0 + 1e-6
    assert sum(trip.advised for trip in told) >= len(told) / 2
    assert sum(trip.stopped_s > 0 for trip in told) < sum(trip.stopped_s > 0 for trip in untold)
    assert sum(trip.stopped_s for trip in told) < sum(trip.stopped_s for trip in untold)
