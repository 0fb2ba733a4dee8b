"""The vehicle agent's composition root: opens the files a configuration names and builds the agent by hand, in order.

`make_agent` puts the parts together; the simulator calls it with parts of its own making, so that the agent in a simulated car is
the same object. `read_files` and `open_vehicle` are what a real car does before that: first everything the operator wrote is read
and judged, and only then are the agent's own files made or opened.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from msgspec import structs

from shared.core.clock import Instant
from shared.core.entropy import Entropy
from shared.core.errors import ConfigError, StorageError
from shared.core.geo import GeoPoint
from shared.core.ids import ItsAid, StationType
from shared.facilities.keep_alive import KeepAlive
from shared.facilities.originated_events import OriginatedEvents
from shared.facilities.received_events import ReceivedEvents
from shared.facilities.saved_events import NothingKept
from shared.ledger.policy import Policy
from shared.messages.denm_alacarte import EnergyStorage
from shared.records.odometer import BOOT_ID_BYTES
from shared.records.passport import Passport, build_passport, build_record
from shared.records.recorder import Recorder, uncounted
from shared.security.pseudonyms import PseudonymRules
from shared.security.region import NO_IDENTIFIED_AREAS, IdentifiedAreas
from shared.security.sign import TicketCredential
from shared.security.ticket_pool import FleetingUse, TicketPolicy, TicketPool
from shared.security.trust_store import TrustStore
from shared.service.counted_log import LogNews
from shared.service.credential_folder import HeldCredential
from shared.service.event_store import (
    EventStore,
    ResumedPseudonym,
    SavedPseudonym,
    StationMemory,
    StoredEvents,
    resumed_pseudonym,
    saved_pseudonym,
)
from shared.service.identity import ENROLMENT_KEY, TICKET_KEY, check_enrolment, check_ticket, read_identity
from shared.service.record_key import EnrolledSigner, enrolled_signer, signing_next
from shared.service.rollback_counter import CountedSpool, RollbackCounter, open_counter
from shared.service.spool import Spool, open_spool
from shared.service.state_lock import locked
from shared.service.station_identity import StationIdentityParts, open_station_identity
from shared.service.station_trust import StationTrust, open_station_trust, pinned_store, read_admission, read_areas, read_pins
from shared.service.trust_directory import read_trust_directory
from shared.stack.cam_permissions import ticket_flags
from shared.stack.router import Forwarding, Router
from shared.stack.station import Station, StationIdentity, make_station
from vehicle_agent.agent import VehicleAgent
from vehicle_agent.anchoring import LedgerTransport
from vehicle_agent.cam_service import CamService
from vehicle_agent.cam_trigger import T_CHECK_CAM_GEN_NS
from vehicle_agent.config import VehicleConfig
from vehicle_agent.denm_service import CHECK_INTERVAL_NS, DenmService
from vehicle_agent.gnss.bus_position import signals_beside
from vehicle_agent.hazards import Hazards
from vehicle_agent.j1939.listener import J1939Bus, J1939Listener
from vehicle_agent.j1939.network import J1939Network
from vehicle_agent.ledger_parts import LedgerParts, check_ledger, open_ledger
from vehicle_agent.local_dynamic_map import LocalDynamicMap
from vehicle_agent.log_news import begin_with_log
from vehicle_agent.mileage import Mileage
from vehicle_agent.odometer import OdometerPolicy, OdometerWatch
from vehicle_agent.online_anchoring import Errands
from vehicle_agent.own_hazards import OwnHazards
from vehicle_agent.part_identity import PartIdentity
from vehicle_agent.position_config import FixedPosition
from vehicle_agent.priority_asker import PriorityAsker
from vehicle_agent.pseudonym import Pseudonym, first_ticket
from vehicle_agent.requests.car_requests import CarRequests
from vehicle_agent.requests.config import RequestsConfig
from vehicle_agent.signals.can_input import CanInput
from vehicle_agent.signals.car_maps import j1939_buses, load_car_maps
from vehicle_agent.signals.signal_map import SignalMap
from vehicle_agent.special_vehicle import NO_DUTY, Duty
from vehicle_agent.speed_plan import DEFAULT_SETTINGS, GlosaSettings
from vehicle_agent.triggers.catalogue import make_triggers
from vehicle_agent.triggers.surroundings import Surroundings
from vehicle_agent.vehicle_memory import InMemory, MemoryFile, Remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleFiles:
    """What the operator gave the vehicle.

    Attributes:
        ticket: signs its messages; None where its authorities issue its tickets.
        enrolled: signs its records; None where its authorities issue its credentials.
        trust_store: whom it believes, whatever lists say.
        signal_map: what its bus says.
    """

    ticket: TicketCredential | None
    enrolled: EnrolledSigner | None
    trust_store: TrustStore
    signal_map: SignalMap


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleParts:
    """What one vehicle is made of.

    Attributes:
        station_type: of the vehicle.
        length_m: outline.
        width_m: outline.
        tickets: sign its messages, one after another.
        trust_store: whom it believes.
        enrolled: signs its records.
        signal_map: what its bus says.
        odometer_policy: when to record.
        spool: keeps its records.
        ledger: the log within reach, or where requests to one on a network wait for the shell.
        origin: the log's name.
        policy: the log's key, and the witnesses it needs.
        areas: the shapes of identified regions.
        fixed_position: where a vehicle stands that never moves.
        fixed_heading_deg: where it looks; None where nobody says.
        duty: what it is for.
        channels: what the map calls a bus -> what its frames call it; empty where they agree (a log replayed).
        forwarding: where others' geocasts are repeated.
        without: use cases of which the vehicle does not warn others (`vehicle_agent.triggers.catalogue`).
        energy_storage: what it runs on, said when it stands as a hazard; None says nothing.
        glosa: what speed advice reckons with.
        events: keeps its own hazards over a restart; None where there is no next time.
        memory: what `events` held at the start; None where nothing was.
        pinned: the checkpoint the log must stand by; None where nobody pinned one.
        counter: tells whether the spool was put back from an older copy; None where nothing does.
        start_id: names this start of the computer in records; None draws a name for this start of the agent alone.
        log_news: what was odd about an embedded log when it was opened; None where nothing was.
        remembered: what is known of the vehicle beside its records.
        requests: what its control units may be asked; None: nothing.
        j1939: the buses on which J1939 is spoken.
    """

    station_type: StationType
    length_m: float
    width_m: float
    tickets: TicketPool
    trust_store: TrustStore
    enrolled: EnrolledSigner
    signal_map: SignalMap
    odometer_policy: OdometerPolicy
    spool: Spool
    ledger: LedgerTransport | Errands
    origin: str
    policy: Policy
    areas: IdentifiedAreas = NO_IDENTIFIED_AREAS
    fixed_position: GeoPoint | None = None
    fixed_heading_deg: float | None = None
    duty: Duty = NO_DUTY
    channels: Mapping[str, str] = field(default_factory=dict)
    forwarding: Forwarding = Forwarding.SAME_LINK
    without: frozenset[str] = frozenset()
    energy_storage: EnergyStorage | None = None
    glosa: GlosaSettings = DEFAULT_SETTINGS
    events: EventStore | None = None
    memory: StationMemory | None = None
    pinned: bytes | None = None
    counter: RollbackCounter | None = None
    start_id: bytes | None = None
    log_news: LogNews | None = None
    remembered: Remembered = field(default_factory=lambda: Remembered(InMemory()))
    requests: RequestsConfig | None = None
    j1939: tuple[J1939Bus, ...] = ()


def make_agent(parts: VehicleParts, *, entropy: Entropy, started: Instant) -> VehicleAgent:
    """Build the agent of one vehicle.

    Args:
        parts: what it is made of.
        entropy: returns that many random octets: pseudonymous identity, salts, phase.
        started: the moment it starts to work.

    Raises:
        ProofError: the policy does not know the log, or no longer accepts the checkpoint trusted last.
        StorageError: the spool failed.
    """
    resumed = None if parts.memory is None else resumed_pseudonym(parts.memory, parts.tickets, now=started, entropy=entropy)
    if resumed is None:
        identity = StationIdentity.drawn(parts.station_type, entropy)
        ticket = first_ticket(parts.tickets, entropy=entropy, started=started)
    else:
        identity, ticket = resumed.identity, resumed.ticket
    station = make_station(identity=identity, ticket=ticket, trust_store=parts.trust_store, areas=parts.areas)
    router = Router(station=station, forwarding=parts.forwarding, entropy=entropy, started=started.monotonic)
    cam_service = CamService(
        station_id=identity.station_id,
        station_type=parts.station_type,
        length_m=parts.length_m,
        width_m=parts.width_m,
        phase_ns=started.monotonic + int.from_bytes(entropy(4), "big") % T_CHECK_CAM_GEN_NS,
        duty=parts.duty,
        granted=ticket_flags(ticket),
    )
    rules = PseudonymRules(entropy=entropy, started=started.monotonic)
    pseudonym = Pseudonym(
        station=station, cam_service=cam_service, tickets=parts.tickets, rules=rules, entropy=entropy, ticket=ticket
    )
    received = ReceivedEvents(is_own=station.is_own_signer)
    local_map = LocalDynamicMap(hazards=Hazards(received), settings=parts.glosa, started=started.monotonic)
    own_hazards = OwnHazards(
        denms=_denm_service(parts, identity, local_map, resumed, entropy=entropy, started=started),
        station=station,
        router=router,
        rules=rules,
        keeper=NothingKept() if parts.events is None else StoredEvents(parts.events, partial(_name, station, pseudonym)),
    )
    records = parts.spool if parts.counter is None else CountedSpool(parts.spool, parts.counter)
    restored = records.notice if isinstance(records, CountedSpool) else None
    lost = parts.spool.lost()
    if lost is not None:
        parts.spool.resume_at(lost.counted)
    log_change = begin_with_log(parts.spool, parts.origin)  # before anything is anchored
    head = records.head()
    can_input = CanInput(parts.signal_map, parts.channels)
    units = PartIdentity(parts.remembered)
    log = LedgerParts(medium=parts.ledger, origin=parts.origin, policy=parts.policy, pinned=parts.pinned)
    return VehicleAgent(
        station=station,
        router=router,
        cam_service=cam_service,
        own_hazards=own_hazards,
        priority=PriorityAsker(duty=parts.duty, station=station, router=router, rules=rules, started=started.monotonic),
        local_map=local_map,
        keep_alive=KeepAlive(received, entropy=entropy),
        pseudonym=pseudonym,
        can_input=can_input,
        mileage=Mileage(
            watch=OdometerWatch(parts.odometer_policy, None if head is None else head.odometer_m, parts.remembered.memory.factors),
            remembered=parts.remembered,
            recorder=Recorder(
                signer=parts.enrolled,
                store=records,
                entropy=entropy,
                boot_id=entropy(BOOT_ID_BYTES) if parts.start_id is None else parts.start_id,
                count_of=records.count_of if isinstance(records, CountedSpool) else uncounted,
            ),
            log_change=log_change,
            anchoring=log.anchors(parts.spool),
            restored=lost or restored,
            log_news=parts.log_news,
        ),
        parts=units,
        requests=_car_requests(parts, units, started),
        j1939=_j1939_network(parts, units, can_input, started),
        fixed_position=parts.fixed_position,
        fixed_heading_deg=parts.fixed_heading_deg,
        started=started,
    )


def listening(parts: VehicleParts) -> VehicleParts:
    """Return the parts of a vehicle that asks nothing and uses what others ask: on a recorded bus nobody would answer."""
    return parts if parts.requests is None else replace(parts, requests=structs.replace(parts.requests, ask=False))


def _car_requests(parts: VehicleParts, units: PartIdentity, started: Instant) -> CarRequests | None:
    """Put up what asks the vehicle's control units, where anything may be asked."""
    if parts.requests is None:
        return None
    return CarRequests(
        parts.requests,
        channel=parts.channels.get(parts.requests.bus, parts.requests.bus),
        identity=units,
        says_ignition="ignition_on" not in parts.signal_map.missing_fields(),
        started=started.monotonic,
    )


def _j1939_network(parts: VehicleParts, units: PartIdentity, can_input: CanInput, started: Instant) -> J1939Network | None:
    """Put up what listens to units of J1939 and asks them, where they are on a bus."""
    if not parts.j1939:
        return None
    buses = [replace(bus, channel=parts.channels.get(bus.name, bus.name)) for bus in parts.j1939]
    listener = J1939Listener(buses, started=started.monotonic)
    return J1939Network(listener, can_input=can_input, identity=units)


def _denm_service(
    parts: VehicleParts,
    identity: StationIdentity,
    local_map: LocalDynamicMap,
    resumed: ResumedPseudonym | None,
    *,
    entropy: Entropy,
    started: Instant,
) -> DenmService:
    """Put up what warns others, going on with what was told before a restart where that can be."""
    surroundings = Surroundings(neighbours=local_map.neighbours, hazards=local_map.hazards)
    return DenmService(
        events=OriginatedEvents(identity.station_id, parts.station_type, identity.first_sequence_number)
        if resumed is None
        else OriginatedEvents.restored(resumed.events, parts.station_type, started),
        triggers=make_triggers(surroundings, without=parts.without),
        energy_storage=parts.energy_storage,
        phase_ns=int.from_bytes(entropy(4), "big") % CHECK_INTERVAL_NS,
        started=started,
    )


def _name(station: Station, pseudonym: Pseudonym) -> SavedPseudonym | None:
    """Return under which name the vehicle speaks; None while it has no ticket."""
    ticket = pseudonym.ticket
    return None if ticket is None else saved_pseudonym(station.identity, ticket.certificate.hashed_id8)


def read_files(config: VehicleConfig, *, environment: Mapping[str, str]) -> VehicleFiles:
    """Read everything the operator wrote; nothing is made or changed.

    Args:
        config: names the files.
        environment: of the process, where systemd names the folder of its credentials.

    Raises:
        ConfigError: a file is absent, readable by others, or not what it should be.
    """
    identity = config.identity
    if config.trust is None:
        trust_store = read_trust_directory(identity.trust)
    else:
        trust_store = pinned_store(read_pins(identity.trust, config.trust))
        read_admission(config.trust)
    areas = read_areas(config.trust)
    check_ledger(config.ledger, environment=environment)
    ticket = enrolled = None
    if identity.ticket is not None:
        ticket = read_identity(identity.ticket, credential=TICKET_KEY, environment=environment)
        check_ticket(ticket, directory=identity.ticket, trust_store=trust_store, areas=areas, services=(ItsAid.CAM,))
    if identity.enrolment is not None:
        enrolment = read_identity(identity.enrolment, credential=ENROLMENT_KEY, environment=environment)
        check_enrolment(enrolment, directory=identity.enrolment, trust_store=trust_store)
        enrolled = enrolled_signer(enrolment, trust_store=trust_store)
    signal_map = signals_beside(config.position, load_car_maps(config.buses))
    return VehicleFiles(ticket=ticket, enrolled=enrolled, trust_store=trust_store, signal_map=signal_map)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenVehicle:
    """A vehicle whose files are open.

    Attributes:
        parts: what it is made of.
        trust: its lists; None where the operator's folder is all there is.
        identity: its own keys and tickets; None where the operator brought them.
        successor: the credential that is to take over the signing of records with the next reading; None where there is none.
        problem: why its own hazards from before a restart are not known, to be told; None where all is well.
    """

    parts: VehicleParts
    trust: StationTrust | None
    identity: StationIdentityParts | None
    successor: HeldCredential | None
    problem: StorageError | None


@contextmanager
def open_trust_and_identity(
    config: VehicleConfig, *, base: Path, tickets: tuple[TicketCredential, ...], environment: Mapping[str, str], now: Instant
) -> Iterator[tuple[StationTrust | None, StationIdentityParts | None]]:
    """Open the lists a vehicle holds, and its own keys and tickets: None each where the operator's folders are all there is.

    Raises:
        ConfigError, StorageError, TransportError: as `open_vehicle`.
    """
    with ExitStack() as stack:
        trust = identity = None
        if config.trust is not None:
            opening = open_station_trust(config.identity.trust, config.trust, entropy=os.urandom, now=now)
            trust = stack.enter_context(opening)
        if config.pki is not None and trust is not None:
            identity = stack.enter_context(
                open_station_identity(
                    config.pki,
                    base=base,
                    role=config.station.ticket_role,
                    trust=trust,
                    tickets=tickets,
                    entropy=os.urandom,
                    environment=environment,
                    now=now,
                )
            )
        yield trust, identity


@contextmanager
def open_vehicle(config: VehicleConfig, *, base: Path, environment: Mapping[str, str], now: Instant) -> Iterator[OpenVehicle]:
    """Open everything a configuration names; closed again on leaving.

    Args:
        config: names the files.
        base: folder of the configuration file.
        environment: of the process, where systemd names the folder of its credentials.
        now: the present.

    Raises:
        ConfigError: a file is absent, readable by others, or not what it should be, or the vehicle is not enrolled yet.
        StorageError: a file of the vehicle is damaged, or another program has it open.
        TransportError: the token with its keys does not answer.
    """
    files = read_files(config, environment=environment)
    brought = () if files.ticket is None else (files.ticket,)
    with ExitStack() as stack:
        opening = open_trust_and_identity(config, base=base, tickets=brought, environment=environment, now=now)
        trust, identity = stack.enter_context(opening)
        stack.enter_context(locked(config.state.spool))
        log = stack.enter_context(open_ledger(config.ledger, counter=config.state.counter, base=base))
        spool = open_spool(config.state.spool, limit_mib=config.state.spool_limit_mib)
        stack.callback(spool.close)
        counter = None if config.state.counter is None else open_counter(config.state.counter, base)
        if counter is not None:
            stack.callback(counter.close)
        events = EventStore(config.state.hazards_file)
        takeover = events.take_over()
        candidates = signers_at_hand(files, identity)
        enrolled = signing_next(candidates, spool.credentials())
        fixed = config.position if isinstance(config.position, FixedPosition) else None
        parts = VehicleParts(
            station_type=config.station.station_type,
            length_m=config.station.length_m,
            width_m=config.station.width_m,
            tickets=TicketPool(brought, policy=TicketPolicy(), uses=FleetingUse()) if identity is None else identity.pool,
            trust_store=files.trust_store if trust is None else trust.store,
            enrolled=enrolled,
            signal_map=files.signal_map,
            odometer_policy=OdometerPolicy(every_m=config.odometer.every_m, every_s=config.odometer.every_s),
            spool=spool,
            ledger=log.medium,
            origin=log.origin,
            policy=log.policy,
            pinned=log.pinned,
            counter=counter,
            log_news=log.news,
            remembered=Remembered(MemoryFile(config.state.vehicle_file)),
            requests=config.requests,
            j1939=j1939_buses(files.signal_map, config.buses),
            areas=NO_IDENTIFIED_AREAS if trust is None else trust.areas,
            fixed_position=fixed.point if fixed is not None else None,
            fixed_heading_deg=fixed.heading_deg if fixed is not None else None,
            forwarding=config.network.forwarding(Forwarding.SAME_LINK),
            without=config.hazards.unwanted,
            energy_storage=config.hazards.energy_storage,
            glosa=config.driver.glosa,
            events=events,
            memory=takeover.memory,
            duty=config.station.duty,
        )
        if trust is not None:
            trust.set_aside(parts.tickets, now)
        successor = None if identity is None or enrolled is candidates[-1] else identity.account.held[-1]
        yield OpenVehicle(parts=parts, trust=trust, identity=identity, successor=successor, problem=takeover.problem)


def signers_at_hand(files: VehicleFiles, identity: StationIdentityParts | None) -> tuple[EnrolledSigner, ...]:
    """Return the long-term identities whose keys are at hand, the newest last; raises `ConfigError` when there is none."""
    brought = () if files.enrolled is None else (files.enrolled,)
    held = () if identity is None else identity.account.held
    candidates = (*brought, *(EnrolledSigner(each.credential, authority=each.authority) for each in held))
    if not candidates:
        raise ConfigError("pki", "this vehicle is not enrolled yet: `vehicle-agent enrol` asks its enrolment authority")
    return candidates


def make_passport(parts: VehicleParts) -> Passport:
    """Put every proven record of the vehicle into a passport.

    Raises:
        RecordError: a credential that signed records is not in the spool, which was damaged.
        StorageError: the spool failed.
    """
    return build_passport(
        credentials=(*(each.credential for each in parts.spool.all_credentials()), parts.enrolled.credential),
        records=[build_record(r.sd_jwt, r.salt, r.proof) for r in parts.spool.records() if r.proof is not None],
    )
