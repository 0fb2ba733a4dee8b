"""What the roadside unit says about the crossing is what the simulated drivers live by."""

import pytest

from rsu_agent.signal_controllers.fixed_time import FixedTimeController
from shared.core.clock import NS_PER_MS, Instant, MonotonicNs, UtcNs
from shared.core.errors import ConfigError
from shared.core.geo import distance_m, offset_m
from shared.messages.spatem import MovementPhaseState
from simulator.options import AttackerKind, Options
from simulator.roads import RoadNetwork
from simulator.scenario import junction_map, plan_offset_s, signal_plan, start_utc
from simulator.scenarios import crossing
from simulator.scenarios.crossing import Aspect

PHASE_OF_ASPECT = {
    Aspect.GREEN: MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED,
    Aspect.AMBER: MovementPhaseState.PROTECTED_CLEARANCE,
    Aspect.RED: MovementPhaseState.STOP_AND_REMAIN,
    Aspect.RED_AMBER: MovementPhaseState.PRE_MOVEMENT,
}


def test_the_broadcast_phase_is_the_lamp_the_driver_sees_at_every_moment_of_a_cycle() -> None:
    controller = FixedTimeController(signal_plan())
    for step in range(int(crossing.CYCLE_S * 10)):
        elapsed_ns = step * 100 * NS_PER_MS + 50 * NS_PER_MS
        now = Instant(MonotonicNs(elapsed_ns), UtcNs(start_utc() + elapsed_ns))
        seen_s = plan_offset_s() + elapsed_ns / 1e9
        shown = {group.signal_group: group.intervals[0].phase for group in controller.state(now)}
        assert shown == {g: PHASE_OF_ASPECT[crossing.aspect_at(g, seen_s)] for g in crossing.GROUPS}


def test_stop_lines_of_the_map_lie_where_cars_stop() -> None:
    lanes = {lane.number: lane for lane in junction_map(RoadNetwork()).lanes}
    assert len(lanes) == 12
    ingress = [lane for lane in lanes.values() if lane.connections]
    assert len(ingress) == 8
    for lane in ingress:
        east, north = offset_m(crossing.CENTRE, lane.nodes[0])
        assert max(abs(east), abs(north)) == pytest.approx(crossing.STOP_LINE_M, abs=0.01)
        assert distance_m(lane.nodes[0], lane.nodes[1]) == pytest.approx(100.0, abs=0.05)


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"duration_s": 0.5}, "--duration"),
        ({"duration_s": float("nan")}, "--duration"),
        ({"vehicles": 0}, "--vehicles"),
        ({"vehicles": 61}, "--vehicles"),
        ({"attackers": 1.01}, "--attackers"),
        ({"attackers": -0.1}, "--attackers"),
        ({"seed": -1}, "--seed"),
        ({"scenario": "motorway"}, "SCENARIO"),
    ],
)
def test_an_option_out_of_range_is_refused_by_its_name(changes: dict[str, object], option: str) -> None:
    with pytest.raises(ConfigError, match=f"^{option}: "):
        Options(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("vehicles", "fraction", "counts"), [(12, 1 / 3, [1, 1, 1, 1]), (12, 0.0, [0, 0, 0, 0]), (10, 0.5, [2, 1, 1, 1])]
)
def test_attackers_are_dealt_out_in_turn(vehicles: int, fraction: float, counts: list[int]) -> None:
    dealt = Options(vehicles=vehicles, attackers=fraction).attacker_counts
    assert dealt == dict(zip(AttackerKind, counts, strict=True))
