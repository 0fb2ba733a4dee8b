"""A stationary vehicle while its name is due to change, and while its ticket runs out: who comes from behind is told to the end."""

from pathlib import Path

from shared.core.clock import NS_PER_S, UtcNs
from shared.core.errors import V2xError
from shared.core.geo import displaced
from shared.core.ids import StationId
from shared.facilities.received_events import ReceivedEvents
from shared.messages.denm import Denm
from tests.helpers.hierarchy import BEGIN
from tests.helpers.identities import HERE, ego, make_peer
from tests.unit.vehicle_agent.agent_bench import HIERARCHY, Bench
from vehicle_agent.hazards import HazardChange, Hazards


def driver_behind(bench: Bench) -> tuple[list[HazardChange], set[StationId]]:
    """Return what a driver at the place of the car is told, and which stations told of it."""
    listener, hazards = make_peer(HIERARCHY, 202), Hazards(ReceivedEvents())
    changes, stations = [], set()
    for packet, at in bench.packets:
        try:
            indication = listener.receive(packet, at)
        except V2xError as refused:
            raise AssertionError(refused) from refused
        denm = None if indication is None else indication.of(Denm)
        if denm is not None:
            hazards.hear(denm, at)
            stations.add(denm.message.station_id)
        changes += [notice.change for notice in hazards.poll(at, ego(at, displaced(HERE, -150.0, 0.0)))]
    return changes, stations


def test_a_name_that_is_due_waits_until_the_end_was_told(tmp_path: Path) -> None:
    with Bench(tmp_path, tickets=tuple(HIERARCHY.ticket() for _ in range(3))) as bench:
        bench.set(speed_mps=10.0)
        bench.run(5.0)
        bench.set(speed_mps=0.0, hazard_lights=True, doors_open=True)
        bench.run(80.0)
        assert bench.notices("pseudonym_changed") == []
        bench.set(hazard_lights=False)
        bench.run(40.0)
        assert len(bench.notices("pseudonym_changed")) == 1
        changes, stations = driver_behind(bench)
    assert changes == [HazardChange.AHEAD, HazardChange.ENDED]
    assert len(stations) == 1


def test_under_a_ticket_that_runs_out_the_warning_goes_on_under_the_next(tmp_path: Path) -> None:
    short, long = HIERARCHY.ticket(valid_hours=4), HIERARCHY.ticket(valid_hours=168)
    ten_seconds_before = UtcNs(BEGIN + 4 * 3_600 * NS_PER_S - 10 * NS_PER_S)
    with Bench(tmp_path, utc=ten_seconds_before, tickets=(short,)) as bench:
        bench.set(hazard_lights=True, doors_open=True)
        bench.run(5.0)
        bench.agent.add_tickets((long,))
        bench.run(25.0)
        changes, stations = driver_behind(bench)
        bench.set(hazard_lights=False)
        bench.run(5.0)
        told_to_the_end, _ = driver_behind(bench)
    assert len(stations) == 2
    assert changes == [HazardChange.AHEAD]
    assert told_to_the_end == [HazardChange.AHEAD, HazardChange.ENDED]
