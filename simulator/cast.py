"""Who else is at the crossing besides the cars: the roadside unit, made of its real parts, and the attackers with a radio."""

from random import Random

from rsu_agent.agent import RsuAgent
from rsu_agent.composition import JunctionParts, RsuParts, make_agent
from rsu_agent.hazard_service import Hazard
from rsu_agent.signal_controllers.fixed_time import FixedTimeController
from shared.core.ids import StationId, StationType
from shared.messages.cdd import CauseCode
from shared.messages.denm import RelevanceTrafficDirection
from shared.pki.permission_sets import StationRole
from shared.security.certificate import Certificate
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.ticket_pool import FleetingUse, TicketPolicy, TicketPool
from shared.stack.station import StationIdentity, make_station
from simulator.adversaries import Adversary
from simulator.adversaries.forger import Forger
from simulator.adversaries.replayer import Replayer
from simulator.adversaries.tamperer import Tamperer
from simulator.authorities import Authorities
from simulator.options import AttackerKind
from simulator.roads import RoadNetwork
from simulator.scenario import junction_map, place, signal_plan
from simulator.scenarios import crossing

HAZARD_PLACE_M = (-5.25, -110.0)
"""Roadworks on the way out to the south, metres from the centre."""


def make_rsu(authorities: Authorities, network: RoadNetwork, place_m: tuple[float, float], rng: Random) -> RsuAgent:
    """Build the roadside unit at `place_m` (metres east and north of the centre): lights, map, and roadworks on one exit."""
    plan = signal_plan()
    ticket = authorities.ticket(StationRole.RSU)
    parts = RsuParts(
        station_id=StationId(rng.getrandbits(32)),
        position=place(*place_m),
        ticket=ticket,
        trust_store=authorities.trust_store,
        tickets=TicketPool((ticket,), policy=TicketPolicy(), uses=FleetingUse()),
        junction=JunctionParts(controller=FixedTimeController(plan), rules=plan.guard_rules, lanes=junction_map(network)),
        hazards=(_roadworks(),),
    )
    return make_agent(parts, entropy=rng.randbytes)


def make_adversary(kind: AttackerKind, forgery: Authorities, honest_authority: Certificate, rng: Random) -> Adversary | None:
    """Build an attacker with a radio; None for a kind that needs none.

    Args:
        kind: what it does.
        forgery: authorities that nobody honest trusts.
        honest_authority: the authority whose name a forger borrows.
        rng: its own source of chance.
    """
    match kind:
        case AttackerKind.FORGED:
            tickets = (forgery.ticket(StationRole.VEHICLE), forgery.counterfeit(StationRole.VEHICLE, honest_authority))
            stations = tuple(
                make_station(
                    identity=StationIdentity.drawn(StationType.PASSENGER_CAR, rng.randbytes),
                    ticket=ticket,
                    trust_store=forgery.trust_store,
                    areas=NO_IDENTIFIED_AREAS,
                )
                for ticket in tickets
            )
            return Forger(stations, crossing.CENTRE, rng)
        case AttackerKind.TAMPERED:
            return Tamperer(rng)
        case AttackerKind.REPLAYED:
            return Replayer(rng)
        case AttackerKind.ROLLBACK:
            return None


def _roadworks() -> Hazard:
    return Hazard(
        origin=f"scenario {crossing.NAME}: roadworks",
        cause_code=CauseCode.ROADWORKS,
        sub_cause_code=0,
        position=place(*HAZARD_PLACE_M),
        relevance_distance_m=200.0,
        relevance_traffic_direction=RelevanceTrafficDirection.UPSTREAM_TRAFFIC,
        radius_m=300.0,
        validity_s=60,
        repetition_s=1.0,
        heading_deg=180.0,
        speed_limit_mps=30 / 3.6,
    )
