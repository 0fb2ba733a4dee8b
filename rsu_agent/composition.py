"""The roadside unit's composition root: reads the files a configuration names and builds the agent by hand, in order.

`make_agent` puts the parts together; the simulator calls it with parts of its own making, so that the unit at a simulated crossing
is the same object. `read_parts` is what a real unit does before that.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from rsu_agent.agent import RsuAgent
from rsu_agent.config import JunctionConfig, RsuConfig, hazards_of
from rsu_agent.hazard_service import Hazard, HazardService
from rsu_agent.map_data import JunctionMap, load_map
from rsu_agent.peers import PeerTable
from rsu_agent.signal_controllers import ConflictingPairs, SignalController
from rsu_agent.signal_controllers.fixed_time import FixedTimeController, load_plan
from rsu_agent.signal_service import DEFAULT_SPATEM_INTERVAL_NS, SignalService
from rsu_agent.ticket_renewal import TicketRenewal
from shared.core.clock import NS_PER_MS
from shared.core.geo import GeoPoint
from shared.core.ids import ItsAid, StationId, StationType
from shared.security.region import NO_IDENTIFIED_AREAS, IdentifiedAreas
from shared.security.sign import TicketCredential
from shared.security.ticket_pool import FleetingUse, TicketPolicy, TicketPool
from shared.security.trust_store import TrustStore
from shared.service.identity import TICKET_KEY, check_ticket, read_identity
from shared.service.trust_directory import read_trust_directory
from shared.stack.station import StationIdentity, make_station

_JUNCTION_SERVICES = (ItsAid.TLM, ItsAid.RLT)
_HAZARD_SERVICES = (ItsAid.DENM,)

Entropy = Callable[[int], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class JunctionParts:
    """What one junction is made of.

    Attributes:
        controller: where the lights' state comes from.
        conflicts: pairs of groups that must never be permitted together.
        lanes: the map.
        spatem_interval_ns: regular interval between SPATEMs.
    """

    controller: SignalController
    conflicts: ConflictingPairs
    lanes: JunctionMap
    spatem_interval_ns: int = DEFAULT_SPATEM_INTERVAL_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class RsuParts:
    """What one roadside unit is made of.

    Attributes:
        station_id: what it calls itself.
        position: where it stands.
        ticket: signs its messages; None until its authorities have issued one.
        trust_store: whom it believes.
        areas: the shapes of identified regions.
        junction: the junction it speaks for, or None.
        hazards: the events it announces.
    """

    station_id: StationId
    position: GeoPoint
    ticket: TicketCredential | None
    trust_store: TrustStore
    areas: IdentifiedAreas = NO_IDENTIFIED_AREAS
    tickets: TicketPool
    junction: JunctionParts | None = None
    hazards: tuple[Hazard, ...] = ()


def make_agent(parts: RsuParts, *, entropy: Entropy) -> RsuAgent:
    """Build the agent of one roadside unit.

    Args:
        parts: what it is made of.
        entropy: returns that many random octets, for the unit's link-layer address.

    Raises:
        ConfigError: map and controller do not fit, or there are too many hazards.
    """
    identity = replace(StationIdentity.drawn(StationType.ROAD_SIDE_UNIT, entropy), station_id=parts.station_id)
    junction = parts.junction
    station = make_station(identity=identity, ticket=parts.ticket, trust_store=parts.trust_store, areas=parts.areas)
    return RsuAgent(
        station=station,
        position=parts.position,
        signals=None
        if junction is None
        else SignalService(
            controller=junction.controller,
            conflicts=junction.conflicts,
            junction=junction.lanes,
            station_id=parts.station_id,
            spatem_interval_ns=junction.spatem_interval_ns,
        ),
        hazards=HazardService(parts.hazards, parts.station_id),
        peers=PeerTable(),
        renewal=TicketRenewal(station=station, current=parts.ticket, pool=parts.tickets),
    )


def read_parts(config: RsuConfig, path: Path, *, environment: Mapping[str, str]) -> RsuParts:
    """Read every file a configuration names.

    Args:
        config: the configuration.
        path: its file, for the errors.
        environment: of the process, where systemd names the folder of its credentials.

    Raises:
        ConfigError: a file is absent, readable by others, or not what it should be.
    """
    trust_store = read_trust_directory(config.identity.trust)
    ticket = read_identity(config.identity.ticket, credential=TICKET_KEY, environment=environment)
    services = (*(_JUNCTION_SERVICES if config.junction else ()), *(_HAZARD_SERVICES if config.hazard else ()))
    check_ticket(ticket, directory=config.identity.ticket, trust_store=trust_store, services=services)
    return RsuParts(
        station_id=StationId(config.station.station_id),
        position=config.station.position,
        ticket=ticket,
        trust_store=trust_store,
        tickets=TicketPool((ticket,), policy=TicketPolicy(), uses=FleetingUse()),
        junction=None if config.junction is None else _junction(config.junction),
        hazards=hazards_of(config, path),
    )


def _junction(config: JunctionConfig) -> JunctionParts:
    plan = load_plan(config.plan)
    return JunctionParts(
        controller=FixedTimeController(plan),
        conflicts=plan.conflicting_pairs,
        lanes=load_map(config.map, plan.signal_groups),
        spatem_interval_ns=config.spatem_interval_ms * NS_PER_MS,
    )
