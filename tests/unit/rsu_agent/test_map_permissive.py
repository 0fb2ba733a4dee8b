"""What the map knows of a green, the lights say: where a way gives way, nobody is told that nothing comes."""

from dataclasses import replace
from pathlib import Path

import pytest

import rsu_agent.junctions
from rsu_agent.map_data import JunctionMap, load_map
from rsu_agent.signal_controllers.fixed_time import FixedTimeController, load_plan
from rsu_agent.signal_service import SignalService
from shared.core.clock import ManualClock, UtcNs
from shared.core.ids import StationId
from shared.messages.spatem import MovementPhaseState, Spatem

JUNCTIONS = Path(rsu_agent.junctions.__file__).parent
PLAN = load_plan(JUNCTIONS / "crossing.plan.toml")
MAP = load_map(JUNCTIONS / "crossing.map.toml", PLAN.signal_groups)
RED = MovementPhaseState.STOP_AND_REMAIN
MINUTE_NS = 60_000_000_000


def without_left_turns(junction: JunctionMap) -> JunctionMap:
    """The same crossing where nobody turns left, so that nobody has to give way; the left lanes are gone."""
    lanes = [replace(lane, connections=tuple(way for way in lane.connections if not way.yields)) for lane in junction.lanes]
    return replace(junction, lanes=tuple(lane for lane in lanes if lane.connections or not lane.direction.leads_in))


def said(junction: JunctionMap, into_cycle_s: float) -> list[list[MovementPhaseState]]:
    clock = ManualClock(utc=UtcNs(29_000_000 * MINUTE_NS + round(into_cycle_s * 1e9)))
    signals = SignalService(
        controller=FixedTimeController(PLAN), rules=PLAN.guard_rules, junction=junction, station_id=StationId(42)
    )
    (spatem,) = (item for item in signals.poll(clock.now()) if isinstance(item, Spatem))
    said = [[event.phase for event in movement.events] for movement in spatem.intersections[0].movements]
    assert [[interval.phase for interval in state.intervals] for state in signals.phases] == said, "whoever looks sees what is said"
    return said


@pytest.mark.parametrize(
    ("junction", "green", "amber"),
    [
        (MAP, MovementPhaseState.PERMISSIVE_MOVEMENT_ALLOWED, MovementPhaseState.PERMISSIVE_CLEARANCE),
        (without_left_turns(MAP), MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED, MovementPhaseState.PROTECTED_CLEARANCE),
    ],
    ids=["left turns give way", "nobody gives way"],
)
def test_a_green_is_protected_only_where_no_way_of_its_group_gives_way(
    junction: JunctionMap, green: MovementPhaseState, amber: MovementPhaseState
) -> None:
    north_south, east_west = said(junction, 10.0)
    assert north_south[:3] == [green, amber, RED]
    assert east_west[0] is RED
    assert said(junction, 26.0)[0][0] is amber
    assert set(junction.permissive_groups()) == ({1, 2} if green is MovementPhaseState.PERMISSIVE_MOVEMENT_ALLOWED else set())
