"""The vehicle agent as one object: frames, packets and time in, effects out. Sans-IO but for the record store it is handed.

The same object runs in the car, in the replay of a log, and in the simulator; only the shell around it differs. It ties the parts
together and decides nothing that a part decides: `CanInput` and `fold` make the state, `CamService` the messages, `Station`
signs and verifies behind its `Router`, `Pseudonym` says under which name, `OwnHazards` warns others, `KeepAlive` repeats what
others warned of, `LocalDynamicMap` finds what matters to the driver, `Mileage` keeps the odometer's readings and brings them into
the ledger.

Nothing hostile gets past `Inbound`; nothing of ours is lost silently: what could not be sent or recorded is counted by its reason.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.errors import V2xError
from shared.core.geo import GeoPoint
from shared.core.ids import MessageId
from shared.facilities.keep_alive import KeepAlive
from shared.messages.denm import Denm
from shared.messages.ssem import Ssem
from shared.records.recorder import Recorder
from shared.security.certificate import Certificate
from shared.security.sign import TicketCredential
from shared.security.ticket_pool import TicketPool
from shared.security.trust_store import TrustStore
from shared.service.record_key import EnrolledSigner
from shared.stack.batch import Outcome
from shared.stack.effects import Effect
from shared.stack.inbound import Inbound
from shared.stack.router import UNKNOWN_ARRIVAL, Arrival, Router
from shared.stack.station import Station, StationIdentity
from shared.stack.unlogged import UnloggedAuthorities
from shared.stack.voices import TRAFFIC_CLASSES
from shared.transport.can_frame import CanFrame
from vehicle_agent.cam_service import CamService
from vehicle_agent.ego import ego_position
from vehicle_agent.gnss.bus_position import believed
from vehicle_agent.j1939.network import J1939Network
from vehicle_agent.local_dynamic_map import LocalDynamicMap, present_place
from vehicle_agent.mileage import Inspected, Mileage
from vehicle_agent.own_hazards import OwnHazards
from vehicle_agent.part_identity import PartIdentity
from vehicle_agent.priority_asker import PriorityAsker
from vehicle_agent.pseudonym import Pseudonym
from vehicle_agent.requests.car_requests import CarRequests
from vehicle_agent.signals.can_input import CanInput
from vehicle_agent.situation import hazards_heard, hazards_told, ticket_status
from vehicle_agent.vehicle_state import IGNITION, SignalUpdate, Value, VehicleState, fold, fresh, knows_anything

DENM_PRIORITY = TRAFFIC_CLASSES[MessageId.DENM].priority

ANCHOR_INTERVAL_NS = NS_PER_S
"""How often it is looked whether something is to be anchored."""

FIXED_POSITION_MAX_AGE_NS = NS_PER_S
"""Age limit of a fixed position; it is renewed at every turn of the timer."""


class VehicleAgent:
    """One vehicle.

    Args:
        station: signs and verifies.
        router: around the station: neighbours, forwarding, beacons, congestion control.
        cam_service: builds CAMs.
        own_hazards: tells others of what the vehicle runs into.
        priority: asks junctions to let it through, where it may.
        local_map: what is known of the road around, for the driver.
        keep_alive: repeats others' warnings where their originators are out of reach.
        pseudonym: changes the name of both.
        can_input: decodes frames.
        mileage: keeps the odometer's readings and brings them into the ledger.
        parts: what is known of the vehicle's control units.
        requests: asks them; None where nothing may be asked.
        j1939: listens to units of J1939 and asks them; None where no bus speaks it.
        fixed_position: where a vehicle stands that never moves; None where its bus or a receiver gives the position.
        fixed_heading_deg: where such a vehicle looks; None where nobody says.
        started: when the agent starts to work.
    """

    def __init__(
        self,
        *,
        station: Station,
        router: Router,
        cam_service: CamService,
        own_hazards: OwnHazards,
        priority: PriorityAsker,
        local_map: LocalDynamicMap,
        keep_alive: KeepAlive,
        pseudonym: Pseudonym,
        can_input: CanInput,
        mileage: Mileage,
        parts: PartIdentity,
        requests: CarRequests | None = None,
        j1939: J1939Network | None = None,
        fixed_position: GeoPoint | None,
        fixed_heading_deg: float | None,
        started: Instant,
    ) -> None:
        self._station = station
        self._router = router
        self._inbound = Inbound(station, router)
        self._cam_service = cam_service
        self._pseudonym = pseudonym
        self._can_input = can_input
        self._mileage = mileage
        self._parts = parts
        self._requests = requests
        self._j1939 = j1939
        self._fixed_position = fixed_position
        self._fixed_heading_deg = fixed_heading_deg
        self._own_hazards = own_hazards
        self._priority = priority
        self._local_map = local_map
        self._keep_alive = keep_alive
        self._state = VehicleState()
        self._is_silent = False
        self._next_anchor = started.monotonic
        self._sent: Counter[str] = Counter()
        self._unsent: Counter[str] = Counter()
        self._unlogged = UnloggedAuthorities()
        self._frames = 0

    @property
    def state(self) -> VehicleState:
        """What the car last said about itself."""
        return self._state

    @property
    def identity(self) -> StationIdentity:
        """What the station calls itself just now."""
        return self._station.identity

    @property
    def tickets(self) -> TicketPool:
        """The tickets it can speak under; `add_tickets` adds to them."""
        return self._pseudonym.tickets

    def add_tickets(self, tickets: Iterable[TicketCredential]) -> int:
        """Take new tickets in, valid now or later; return how many were new."""
        return self._pseudonym.add_tickets(tickets)

    @property
    def trust_store(self) -> TrustStore:
        """Whom it believes now."""
        return self._station.trust_store

    @property
    def recorder(self) -> Recorder:
        """Makes its records; for whoever acts between two steps of it."""
        return self._mileage.recorder

    def change_trust(self, trust_store: TrustStore) -> None:
        """Believe whom a new store names from now on."""
        self._station.change_trust(trust_store)

    def renew_credential(self, credential: TicketCredential, authority: Certificate) -> None:
        """Sign records under another credential from the next reading on; the present one says so in its last record.

        Raises:
            ConfigError: the key is on another curve than P-256.
        """
        self._mileage.renew_signer(EnrolledSigner(credential, authority=authority))

    def hold_pseudonym(self, name: str, *, until: MonotonicNs, now: MonotonicNs) -> None:
        """Keep the pseudonym while something we reported is live; arguments as for `PseudonymRules.hold`."""
        self._pseudonym.rules.hold(name, until=until, now=now)

    def release_pseudonym(self, name: str) -> None:
        """What held the pseudonym is over: a change that waited is made at the next turn of the timer."""
        self._pseudonym.rules.release(name)

    def lock_pseudonym(self, duration_s: float, *, now: MonotonicNs) -> MonotonicNs:
        """Keep the pseudonym for a service, for a bounded time; return the end (`PseudonymRules.lock`)."""
        return self._pseudonym.rules.lock(duration_s, now=now)

    def unlock_pseudonym(self) -> None:
        """End the lock before its time."""
        self._pseudonym.rules.unlock()

    @property
    def router(self) -> Router:
        """What surrounds the station; the shell names its radios there."""
        return self._router

    @property
    def inbound(self) -> Inbound:
        """The account of what came in by radio."""
        return self._inbound

    def next_due(self) -> MonotonicNs:
        """When `on_timer` wants to be called.

        Of a car that says nothing there is nothing to tell others: what is checked several times a second waits for its next word.
        """
        due = (
            None if self._is_silent else self._cam_service.next_due(),
            None if self._is_silent else self._own_hazards.next_due(),
            self._priority.next_due(),
            self._local_map.next_due(),
            self._next_anchor,
            self._router.next_due(),
            self._keep_alive.next_due(),
            None if self._requests is None else self._requests.next_due(),
            None if self._j1939 is None else self._j1939.next_due(),
        )
        return min(each for each in due if each is not None)

    def on_can_frame(self, frame: CanFrame, now: Instant) -> tuple[Effect, ...]:
        """Take one frame from the bus."""
        return self.on_can_frames((frame,), now)

    def on_can_frames(self, frames: Sequence[CanFrame], now: Instant) -> tuple[Effect, ...]:
        """Take the frames that one look at a bus brought, in their order.

        Their news are laid over the state together, and whether a record is due is asked once; where the ignition is among them,
        frame by frame, because what a cluster says before it goes off counts and what it says afterwards does not.
        """
        self._frames += len(frames)
        effects: list[Effect] = []
        news: list[tuple[SignalUpdate, ...]] = []
        read, requests, j1939 = self._can_input.on_frame, self._requests, self._j1939
        for frame in frames:
            updates = read(frame)
            if requests is not None:
                answered, questions = requests.hear(frame, now.monotonic)
                updates += answered
                effects += questions
            if j1939 is not None and frame.is_extended:
                answered, questions = j1939.hear(frame)
                updates += answered
                effects += questions
            if updates:
                news.append(updates)
        together = tuple(chain.from_iterable(news))
        if IGNITION in {update.field for update in together}:
            for updates in news:
                effects += self.on_signals(updates, now)
        elif together:
            effects += self.on_signals(together, now)
        return tuple(effects)

    def on_signals(self, updates: tuple[SignalUpdate, ...], now: Instant) -> tuple[Effect, ...]:
        """Take values that did not come from the bus, such as a GNSS fix; `on_can_frame` ends here too.

        A cluster that still talks after the ignition went off says nothing new: its readings count again once it is on.
        """
        effects: list[Effect] = []
        was_on = fresh(self._state.ignition_on, now.monotonic)
        updates = believed(self._state, updates, now.monotonic)
        self._state = fold(self._state, updates)
        self._is_silent = False
        is_off = fresh(self._state.ignition_on, now.monotonic) is False
        effects += self._mileage.on_signals(updates, now, is_off=is_off)
        if was_on and is_off:
            effects += self._mileage.ignition_off(now)
        return tuple(effects)

    def on_packet(self, packet: bytes, now: Instant, arrival: Arrival = UNKNOWN_ARRIVAL) -> tuple[Effect, ...]:
        """Take one packet from a radio."""
        outcome = self._inbound.receive(packet, now, arrival) or self._inbound.last_refusal
        return self.on_outcome(outcome, now, packet)

    def on_outcome(self, outcome: Outcome, now: Instant, packet: bytes) -> tuple[Effect, ...]:
        """Take what became of one packet that was judged elsewhere, in a batch (`shared.stack.intake`)."""
        if outcome is None or isinstance(outcome, V2xError):
            self._keep_alive.copied(packet, now.monotonic)
            return () if outcome is None else self._unlogged.look(outcome)
        try:
            self._local_map.hear(outcome, now)
            if (denm := outcome.of(Denm)) is not None:
                self._keep_alive.heard(packet, denm, now)
            if (ssem := outcome.of(Ssem)) is not None:
                self._priority.hear(ssem)
        except V2xError as refusal:
            self._inbound.refuse(refusal)
        return ()

    def on_timer(self, now: Instant) -> tuple[Effect, ...]:
        """Do what is due: change the pseudonym, speak, warn, tell the driver, anchor, pass on."""
        effects: list[Effect] = []
        self._stay_put(now)
        here = None if now.utc is None else ego_position(self._state, now)
        self._router.place(here)
        if self._router.take_address_conflict():
            self._pseudonym.address_taken()
        name = self._station.identity
        effects += self._pseudonym.poll(self._state, now)
        if self._station.identity != name:
            self._own_hazards.renamed(now)
            self._priority.renamed()
        if now.monotonic >= self._cam_service.next_due():
            effects += self._speak(now)
        effects += self._own_hazards.poll(self._state, now)
        effects += self._local_map.poll(self._state, now)
        effects += self._priority.poll(self._state, here, self._local_map.lights, now)
        for asking in (self._requests, self._j1939):
            if asking is not None:
                effects += asking.poll(self._state, self._mileage.recorder, now)
        self._mileage.other_vehicle(is_other=self._parts.is_other_vehicle)
        if self._parts.take_unknown_part():
            self._mileage.unknown_part()
        if now.monotonic >= self._next_anchor:
            self._next_anchor = MonotonicNs(now.monotonic + ANCHOR_INTERVAL_NS)
            effects += self._mileage.poll(now)
        for packet in self._keep_alive.poll(now.monotonic, None if here is None else here.point):
            effects += self._router.repeat(packet, priority=DENM_PRIORITY, now=now.monotonic)
        effects += self._router.poll(now)
        self._is_silent = not (self._own_hazards.live or knows_anything(self._state, now.monotonic))
        return tuple(effects)

    def stop(self, now: Instant) -> tuple[Effect, ...]:
        """The vehicle or the program goes to sleep: record the last reading."""
        return (*self._mileage.stop(now), *self._router.close(now))

    def next_last_words(self) -> None:
        """Nothing is to be said twice in the end: its hazards do not end with the program that tells of them."""

    def last_words(self, now: Instant) -> tuple[Effect, ...]:  # noqa: ARG002 - as every agent that leaves
        """Nothing, as `next_last_words` says."""
        return ()

    def status(self) -> dict[str, object]:
        """Everything counted so far, as JSON values."""
        return {
            "station_id": self._station.identity.station_id,
            "pseudonym": self._pseudonym.status(),
            "can": {
                "frames": self._frames,
                "faults": dict(self._can_input.fault_counts()),
                "from_others": dict(self._can_input.from_others()),
            },
            "sent": self._sent_by_kind(),
            "unsent": dict(self._unsent + Counter(self._own_hazards.unsent)),
            "withheld": self._cam_service.withheld,
            "verified": dict(self._inbound.verified),
            "refused": dict(self._inbound.refused),
            "copies": self._inbound.copies,
            "router": self._router.status(),
            "local_map": self._local_map.status(),
            "own_hazards": self._own_hazards.status(),
            "priority": self._priority.status(),
            "kept_alive": dict(self._keep_alive.counters),
            "odometer": self._mileage.status(),
            "parts": self._parts.status(),
            "requests": None if self._requests is None else self._requests.status(),
            "j1939": None if self._j1939 is None else self._j1939.status(),
        }

    def _sent_by_kind(self) -> dict[str, int]:
        others = {"denm": self._own_hazards.sent, "srem": self._priority.counters.get("sent", 0)}
        return {**self._sent, **{kind: sent for kind, sent in others.items() if sent}}

    def on_ledger_answers(self, now: Instant) -> tuple[Effect, ...]:
        """Go on with anchoring at once: answers of a log have come."""
        return self._mileage.poll(now)

    def inspect(self, nonce: bytes, now: Instant) -> Inspected:
        """Record the odometer at once with an inspector's nonce; raises as `Mileage.inspect`."""
        return self._mileage.inspect(nonce, now)

    def ledger_evidence(self) -> tuple[dict[str, object], ...]:
        """Return the log's contradictions nobody has acknowledged, with both notes each; raises `StorageError`."""
        return self._mileage.evidence()

    def acknowledge_ledger_evidence(self, now: Instant) -> int:
        """A person has looked at the evidence: go on with anchoring; return how many contradictions; raises `StorageError`."""
        return self._mileage.acknowledge_evidence(now)

    def situation(self, now: Instant) -> dict[str, object]:
        """Who the vehicle is, whether it knows where, and the hazards that are live, as JSON values."""
        here = present_place(self._state, now)
        return {
            "role": self._cam_service.role_status(),
            "ticket": ticket_status(self._pseudonym.ticket),
            "position_known": fresh(self._state.position, now.monotonic) is not None,
            "hazards_heard": hazards_heard(self._local_map.hazards, here, now),
            "hazards_told": hazards_told(self._own_hazards.live, now),
            "echoes": self._inbound.echoes,
        }

    def _stay_put(self, now: Instant) -> None:
        """A fixed position is true at every moment, so it is dated anew; so are heading and standstill while no bus gives them."""
        if self._fixed_position is None:
            return
        known: dict[str, Value] = {"position": self._fixed_position}
        if self._fixed_heading_deg is not None:
            if fresh(self._state.heading_deg, now.monotonic) is None:
                known["heading_deg"] = self._fixed_heading_deg
            if fresh(self._state.speed_mps, now.monotonic) is None:
                known["speed_mps"] = 0.0
        self._state = fold(
            self._state,
            tuple(
                SignalUpdate(field=field, value=value, at=now.monotonic, max_age_ns=FIXED_POSITION_MAX_AGE_NS)
                for field, value in known.items()
            ),
        )

    def _speak(self, now: Instant) -> list[Effect]:
        try:
            due = self._cam_service.poll(self._state, now, t_gen_cam_dcc_ns=self._router.t_off_ns)
            if due is None:
                return []
            transmissions = self._router.say(due.cam, position=due.position, now=now)
        except V2xError as reason:
            self._unsent[reason.code] += 1
            return []
        self._cam_service.note_sent(due, now.monotonic)
        self._sent["cam"] += 1
        return [*self._cam_service.take_notices(), *transmissions]
