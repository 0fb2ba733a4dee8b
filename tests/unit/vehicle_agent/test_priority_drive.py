"""A whole bus drives over the built-in crossing: map and lights from the air, a request, and the unit's answer."""

from dataclasses import replace
from pathlib import Path
from random import Random

import rsu_agent.junctions
from rsu_agent.agent import RsuAgent
from rsu_agent.composition import JunctionParts, RsuParts
from rsu_agent.composition import make_agent as make_unit
from rsu_agent.map_data import load_map
from rsu_agent.signal_controllers.fixed_time import FixedTimeController, load_plan
from shared.core.clock import Instant
from shared.core.geo import displaced
from shared.core.ids import StationId
from shared.messages.cam_special import PublicTransport
from shared.messages.cdd import VehicleRole
from shared.pki.permission_sets import StationRole
from shared.stack.effects import Transmit
from tests.helpers.pools import pool_of
from tests.unit.vehicle_agent.agent_bench import HIERARCHY, PARKED, Bench
from vehicle_agent.composition import make_agent
from vehicle_agent.priority_asker import CANCELLATIONS
from vehicle_agent.special_vehicle import Duty

JUNCTIONS = Path(rsu_agent.junctions.__file__).parent
PLAN = load_plan(JUNCTIONS / "crossing.plan.toml")
MAP = load_map(JUNCTIONS / "crossing.map.toml", PLAN.signal_groups)
BUS = Duty(role=VehicleRole.PUBLIC_TRANSPORT, container=PublicTransport(embarkation_status=False), shows_by_lamps=False)


def unit() -> RsuAgent:
    ticket = HIERARCHY.ticket(StationRole.RSU)
    parts = RsuParts(
        station_id=StationId(4049),
        position=MAP.reference,
        ticket=ticket,
        trust_store=HIERARCHY.trust_store,
        tickets=pool_of(ticket),
        junction=JunctionParts(controller=FixedTimeController(PLAN), rules=PLAN.guard_rules, lanes=MAP),
    )
    return make_unit(parts, entropy=Random(3).randbytes)


def drive_over_the_crossing(tmp_path: Path, role: StationRole, duty: Duty) -> tuple[Bench, RsuAgent]:
    """Drive from 150 m before the crossing to behind it, with the unit on the air."""
    sample = replace(PARKED, position=displaced(MAP.reference, -150.0, -5.0), speed_mps=12.0)
    with Bench(tmp_path, sample=sample) as bench:
        parts = replace(bench.parts, duty=duty, tickets=pool_of(HIERARCHY.ticket(role)))
        bench.agent = make_agent(parts, entropy=Random(2).randbytes, started=bench.clock.now())
        roadside = unit()
        carried = 0

        def each(now: Instant) -> None:
            nonlocal carried
            for effect, _ in bench.effects[carried:]:
                if isinstance(effect, Transmit):
                    roadside.on_packet(effect.packet, now)
            carried = len(bench.effects)
            if roadside.next_due() <= now.monotonic:
                for effect in roadside.on_timer(now):
                    if isinstance(effect, Transmit):
                        bench.effects += [(said, now) for said in bench.agent.on_packet(effect.packet, now)]

        bench.run(17.0, each=each)
    return bench, roadside


def test_a_bus_asks_at_the_crossing_and_its_driver_is_told_the_answer(tmp_path: Path) -> None:
    bench, roadside = drive_over_the_crossing(tmp_path, StationRole.PUBLIC_TRANSPORT, BUS)
    assert bench.notices("priority_answer") == [{"junction": "49/1", "lane": 42, "status": "rejected"}], (
        "a fixed-time plan gives nobody priority"
    )
    assert bench.status("sent")["srem"] == roadside.inbound.verified["srem"] >= 1 + CANCELLATIONS
    assert roadside.priority is not None
    assert roadside.priority.counters["cancelled"] == 1
    assert roadside.peers.refused == {}


def test_a_car_drives_over_the_crossing_and_asks_for_nothing(tmp_path: Path) -> None:
    ordinary = Duty(role=VehicleRole.DEFAULT, container=None, shows_by_lamps=False)
    bench, roadside = drive_over_the_crossing(tmp_path, StationRole.VEHICLE, ordinary)
    assert "srem" not in roadside.inbound.verified
    assert bench.status("priority") == {"asks": False, "junction": None, "status": None, "counters": {}}
