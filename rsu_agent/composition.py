"""The roadside unit's composition root: reads the files a configuration names and builds the agent by hand, in order.

`make_agent` puts the parts together; the simulator calls it with parts of its own making, so that the unit at a simulated crossing
is the same object. `read_parts` and `open_unit` are what a real unit does before that: first everything the operator wrote is read
and judged, and only then are the unit's own files made or opened.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rsu_agent.agent import RsuAgent
from rsu_agent.cam_service import T_GEN_CAM_NS, RsuCamService
from rsu_agent.config import JunctionConfig, RsuConfig, hazards_of
from rsu_agent.corroboration import Corroboration, Policy
from rsu_agent.detector_config import detectors_of
from rsu_agent.hazard_service import Hazard, HazardService
from rsu_agent.map_data import JunctionMap, load_map
from rsu_agent.object_watch import ObjectWatch
from rsu_agent.peers import PeerTable
from rsu_agent.placed_hazards import HazardWatch
from rsu_agent.plausibility_service import PlausibilityService
from rsu_agent.priority_service import DEFAULT_POLICY, PriorityPolicy, PriorityService
from rsu_agent.refused_senders import RefusedSenders
from rsu_agent.sign_files import Sign, load_signs
from rsu_agent.sign_service import SignService
from rsu_agent.signal_controllers import GuardRules, SignalController
from rsu_agent.signal_controllers.controller_file import ControllerPlace, load_controller
from rsu_agent.signal_controllers.fixed_time import FixedTimeController, load_plan
from rsu_agent.signal_service import DEFAULT_SPATEM_INTERVAL_NS, SignalService
from rsu_agent.ticket_renewal import TicketRenewal
from shared.core.clock import NS_PER_MS, Instant, MonotonicNs
from shared.core.entropy import Entropy
from shared.core.errors import ConfigError, StorageError
from shared.core.geo import GeoPoint
from shared.core.ids import ItsAid, StationId, StationType
from shared.facilities.keep_alive import KeepAlive
from shared.facilities.received_events import ReceivedEvents
from shared.facilities.saved_events import NothingKept
from shared.messages.cam import ProtectedZone
from shared.pki.permission_sets import StationRole
from shared.security.region import NO_IDENTIFIED_AREAS, IdentifiedAreas
from shared.security.sign import TicketCredential
from shared.security.ticket_pool import FleetingUse, TicketPolicy, TicketPool
from shared.security.trust_store import TrustStore
from shared.service.event_store import EventStore, SavedPseudonym, StationMemory, StoredEvents, saved_pseudonym
from shared.service.identity import TICKET_KEY, check_ticket, read_identity
from shared.service.station_identity import StationIdentityParts, open_station_identity
from shared.service.station_trust import StationTrust, open_station_trust, pinned_store, read_admission, read_areas, read_pins
from shared.service.trust_directory import read_trust_directory
from shared.stack.router import Forwarding, Router
from shared.stack.station import Station, StationIdentity, make_station

_JUNCTION_SERVICES = (ItsAid.TLM, ItsAid.RLT)
_HAZARD_SERVICES = (ItsAid.DENM,)
_SIGN_SERVICES = (ItsAid.IVIM,)


@dataclass(frozen=True, slots=True, kw_only=True)
class JunctionParts:
    """What one junction is made of.

    Attributes:
        controller: where the lights' state comes from.
        rules: what the groups promise, for the guard.
        lanes: the map.
        place: where the controller is heard; None for one that is part of the unit.
        spatem_interval_ns: regular interval between SPATEMs.
        priority: what the operator decides about those who want to be let through.
    """

    controller: SignalController
    rules: GuardRules
    lanes: JunctionMap
    place: ControllerPlace | None = None
    spatem_interval_ns: int = DEFAULT_SPATEM_INTERVAL_NS
    priority: PriorityPolicy = DEFAULT_POLICY

    def __post_init__(self) -> None:
        self.lanes.check_guarded(self.rules.conflicts)


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
        objects: what detectors beside the road see; None where there are none.
        corroboration: when it tells in its own name what vehicles warn of; None for never.
        signs: the road signs it says.
        zones: around which transmitters take care.
        forwarding: where others' geocasts are repeated.
        events: keeps its hazards over a restart; None where there is no next time.
        memory: what `events` held at the start; None where nothing was.
    """

    station_id: StationId
    position: GeoPoint
    ticket: TicketCredential | None
    trust_store: TrustStore
    areas: IdentifiedAreas = NO_IDENTIFIED_AREAS
    tickets: TicketPool
    junction: JunctionParts | None = None
    hazards: tuple[Hazard, ...] = ()
    objects: ObjectWatch | None = None
    corroboration: Policy | None = None
    signs: tuple[Sign, ...] = ()
    zones: tuple[ProtectedZone, ...] = ()
    forwarding: Forwarding = Forwarding.ALL_LINKS
    events: EventStore | None = None
    memory: StationMemory | None = None


def make_agent(parts: RsuParts, *, entropy: Entropy) -> RsuAgent:
    """Build the agent of one roadside unit.

    Args:
        parts: what it is made of.
        entropy: returns that many random octets, for the unit's link-layer address, and its times.

    Raises:
        ConfigError: map and controller do not fit, or there are too many hazards.
    """
    identity = replace(StationIdentity.drawn(StationType.ROAD_SIDE_UNIT, entropy), station_id=parts.station_id)
    junction = parts.junction
    station = make_station(identity=identity, ticket=parts.ticket, trust_store=parts.trust_store, areas=parts.areas)
    renewal = TicketRenewal(station=station, current=parts.ticket, pool=parts.tickets)
    received = ReceivedEvents(is_own=station.is_own_signer)
    plausibility = PlausibilityService(PeerTable(), RefusedSenders())
    return RsuAgent(
        station=station,
        router=Router(station=station, forwarding=parts.forwarding, entropy=entropy, started=MonotonicNs(0)),
        position=parts.position,
        signals=None
        if junction is None
        else SignalService(
            controller=junction.controller,
            rules=junction.rules,
            junction=junction.lanes,
            station_id=parts.station_id,
            spatem_interval_ns=junction.spatem_interval_ns,
        ),
        priority=None
        if junction is None
        else PriorityService(
            control=junction.controller,
            junction=junction.lanes,
            conflicts=junction.rules.conflicts,
            station_id=parts.station_id,
            policy=junction.priority,
        ),
        signs=SignService(parts.signs, parts.station_id),
        hazards=HazardService(
            parts.hazards,
            parts.station_id,
            resumed=None if parts.memory is None else parts.memory.events,
            keeper=NothingKept() if parts.events is None else StoredEvents(parts.events, partial(_name, station, renewal)),
            watches=_watches(parts, received, plausibility.peers),
        ),
        plausibility=plausibility,
        renewal=renewal,
        events=received,
        keep_alive=KeepAlive(received, entropy=entropy),
        cams=RsuCamService(
            station_id=parts.station_id,
            position=parts.position,
            zones=parts.zones,
            first_due=MonotonicNs(int.from_bytes(entropy(4), "big") % T_GEN_CAM_NS),
        ),
    )


def read_parts(config: RsuConfig, path: Path, *, environment: Mapping[str, str]) -> RsuParts:
    """Read every file the operator wrote; nothing is made or changed, and lists are not looked at.

    Args:
        config: the configuration.
        path: its file, for the errors.
        environment: of the process, where systemd names the folder of its credentials.

    Raises:
        ConfigError: a file is absent, readable by others, or not what it should be.
    """
    trust_store, areas = read_trust(config)
    ticket = read_ticket(config, trust_store=trust_store, areas=areas, environment=environment)
    return RsuParts(
        station_id=StationId(config.station.station_id),
        position=config.station.position,
        ticket=ticket,
        trust_store=trust_store,
        areas=areas,
        tickets=TicketPool(() if ticket is None else (ticket,), policy=TicketPolicy(), uses=FleetingUse()),
        junction=None if config.junction is None else read_junction(config.junction),
        hazards=hazards_of(config, path),
        objects=read_objects(config, path),
        corroboration=None if config.corroboration is None else config.corroboration.policy,
        signs=() if config.signs is None else load_signs(config.signs),
        zones=tuple(each.zone for each in config.protected_zone),
        forwarding=config.network.forwarding(Forwarding.ALL_LINKS),
    )


def read_trust(config: RsuConfig) -> tuple[TrustStore, IdentifiedAreas]:
    """Read whom the operator trusts, and the shapes of regions; raises `ConfigError`."""
    if config.trust is None:
        trust_store = read_trust_directory(config.identity.trust)
    else:
        trust_store = pinned_store(read_pins(config.identity.trust, config.trust))
        read_admission(config.trust)
    return trust_store, read_areas(config.trust)


def read_ticket(
    config: RsuConfig, *, trust_store: TrustStore, areas: IdentifiedAreas, environment: Mapping[str, str]
) -> TicketCredential | None:
    """Read the ticket an operator brought, and hold it against what the unit is to say; None where authorities issue them.

    Raises:
        ConfigError: it cannot be used, or not for all that is configured.
    """
    directory = config.identity.ticket
    if directory is None:
        return None
    ticket = read_identity(directory, credential=TICKET_KEY, environment=environment)
    warns = config.hazard or config.detectors or config.corroboration or config.backhaul
    services = (
        *(_JUNCTION_SERVICES if config.junction else ()),
        *(_HAZARD_SERVICES if warns else ()),
        *(_SIGN_SERVICES if config.signs else ()),
    )
    check_ticket(ticket, directory=directory, trust_store=trust_store, areas=areas, services=services)
    return ticket


def read_objects(config: RsuConfig, path: Path) -> ObjectWatch | None:
    """Return what follows the objects of the configured detectors, None where there are none; raises `ConfigError`."""
    return None if config.detectors is None else ObjectWatch(detectors_of(config.detectors, str(path)))


def _watches(parts: RsuParts, received: ReceivedEvents, peers: PeerTable) -> tuple[HazardWatch, ...]:
    """Return what looks out for hazards: detectors, and what vehicles that are known and believed say."""
    watches: list[HazardWatch] = [] if parts.objects is None else [parts.objects]
    if parts.corroboration is not None:
        watches.append(Corroboration(parts.corroboration, events=received, find=peers.find, here=parts.position))
    return tuple(watches)


def _name(station: Station, renewal: TicketRenewal) -> SavedPseudonym | None:
    """Return under which name the unit speaks; None while it has no ticket."""
    ticket = renewal.ticket
    return None if ticket is None else saved_pseudonym(station.identity, ticket.certificate.hashed_id8)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenUnit:
    """A unit whose files are open.

    Attributes:
        parts: what it is made of.
        trust: its lists; None where the operator's folder is all there is.
        identity: its own keys and tickets; None where the operator brought its ticket.
        problem: why its hazards from before a restart are not known, to be told; None where all is well.
    """

    parts: RsuParts
    trust: StationTrust | None
    identity: StationIdentityParts | None
    problem: StorageError | None


@contextmanager
def open_unit(config: RsuConfig, path: Path, *, environment: Mapping[str, str], now: Instant) -> Iterator[OpenUnit]:
    """Open everything a configuration names; closed again on leaving.

    Args:
        config: the configuration.
        path: its file.
        environment: of the process, where systemd names the folder of its credentials.
        now: the present.

    Raises:
        ConfigError: as `read_parts`, or a key store is not what it should be.
        StorageError: kept lists or tickets are damaged.
        TransportError: the token with its keys does not answer.
    """
    parts = read_parts(config, path, environment=environment)
    with ExitStack() as stack:
        trust = identity = None
        if config.trust is not None:
            opening = open_station_trust(config.identity.trust, config.trust, entropy=os.urandom, now=now)
            trust = stack.enter_context(opening)
            parts = replace(parts, trust_store=trust.store)
        if config.pki is not None and trust is not None:
            identity = stack.enter_context(
                open_station_identity(
                    config.pki,
                    base=path.parent,
                    role=StationRole.RSU,
                    trust=trust,
                    tickets=() if parts.ticket is None else (parts.ticket,),
                    entropy=os.urandom,
                    environment=environment,
                    now=now,
                )
            )
            parts = replace(parts, tickets=identity.pool)
        if trust is not None:
            trust.set_aside(parts.tickets, now)
        problem = None
        if config.state.hazards is not None:
            events = EventStore(config.state.hazards)
            takeover = events.take_over()
            parts, problem = replace(parts, events=events, memory=takeover.memory), takeover.problem
        yield OpenUnit(parts=parts, trust=trust, identity=identity, problem=problem)


def read_junction(config: JunctionConfig) -> JunctionParts:
    """Read map and plan, or controller, of a junction, and hold them against each other; raises `ConfigError`."""
    interval_ns = config.spatem_interval_ms * NS_PER_MS
    if config.plan is not None:
        plan = load_plan(config.plan)
        lanes = load_map(config.map, plan.signal_groups)
        own = FixedTimeController(plan)
        return JunctionParts(
            controller=own,
            rules=plan.guard_rules,
            lanes=lanes,
            spatem_interval_ns=interval_ns,
            priority=config.priority,
        )
    if config.controller is None:
        raise ConfigError("junction", "a junction has either a plan or a controller")
    loaded = load_controller(config.controller)
    controller = loaded.place.controller
    return JunctionParts(
        controller=controller,
        rules=loaded.rules,
        lanes=load_map(config.map, controller.signal_groups),
        place=loaded.place,
        spatem_interval_ns=interval_ns,
        priority=config.priority,
    )
