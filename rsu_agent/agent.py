"""The roadside unit as one object: what it hears becomes peers, what it knows goes on the air. Sans-IO.

    packet -> station (verify) -> router (forward) -> plausibility service -> peers       refusals -> the same, by reason
    request for priority -> priority service -> signal controller
    due -> signal, priority, hazard and sign services -> router (sign, wait for the channel) -> Transmit

A message of our own that cannot be sent (no time yet, ticket expired, ticket without the permission) is counted by its reason and
said once per kind of message; the unit lives and tries again. The shell (`cli`), the simulator and the tests drive the same object.
"""

from collections import Counter
from collections.abc import Iterable
from itertools import islice

from rsu_agent.cam_service import RsuCamService
from rsu_agent.hazard_service import HazardService, name_status
from rsu_agent.peer_status import peers_status
from rsu_agent.peers import PeerTable
from rsu_agent.plausibility_service import PlausibilityService
from rsu_agent.priority_service import PriorityService
from rsu_agent.sign_service import SignService
from rsu_agent.signal_service import SignalItem, SignalService
from rsu_agent.ticket_renewal import TicketRenewal
from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.errors import V2xError
from shared.core.geo import GeoPoint, distance_m
from shared.core.ids import ActionId, MessageId
from shared.core.itstime import utc_text
from shared.facilities.event_report import NoSuchEventError
from shared.facilities.hazard_words import hazard_words
from shared.facilities.keep_alive import KeepAlive
from shared.facilities.originated_events import LiveEvent
from shared.facilities.received_events import ReceivedEvent, ReceivedEvents
from shared.messages.cam import Cam
from shared.messages.denm import Denm
from shared.messages.ivim import Ivim
from shared.messages.mapem import Mapem
from shared.messages.spatem import Spatem
from shared.messages.srem import Srem
from shared.messages.ssem import Ssem
from shared.network.area import Area, Circle
from shared.security.certificate import Certificate
from shared.security.sign import TicketCredential
from shared.security.trust_store import TrustStore
from shared.stack.batch import Outcome
from shared.stack.cam_permissions import ticket_flags
from shared.stack.effects import Effect, Evidence, Notice
from shared.stack.inbound import Inbound
from shared.stack.indication import Indication
from shared.stack.router import UNKNOWN_ARRIVAL, Arrival, Router
from shared.stack.station import EgoPosition, Station, StationIdentity
from shared.stack.unlogged import UnloggedAuthorities
from shared.stack.voices import TRAFFIC_CLASSES

DENM_PRIORITY = TRAFFIC_CLASSES[MessageId.DENM].priority

ADDRESS_PAUSE_NS = 60 * NS_PER_S
"""The unit leaves its address to somebody else at most so often: whoever follows it to each new one gains nothing, and what waits
to be said under an address is not said under the next."""

MAX_EVENTS_SHOWN = 64
"""Events of others in the status."""


class RsuAgent:
    """One roadside unit.

    Args:
        station: signs and verifies.
        router: around the station: neighbours, forwarding, beacons, congestion control.
        position: where the unit stands.
        signals: the junction it speaks for, or None where it has none.
        priority: answers who wants to be let through at it, or None likewise.
        signs: the road signs it says (possibly none).
        hazards: the events it announces (possibly none).
        plausibility: who is around, and whether it is true.
        renewal: keeps the station under a valid ticket.
        cams: says that it is there.
        events: the events others tell of.
        keep_alive: repeats others' warnings where their originators are out of reach.
    """

    def __init__(
        self,
        *,
        station: Station,
        router: Router,
        position: GeoPoint,
        signals: SignalService | None,
        priority: PriorityService | None,
        signs: SignService,
        hazards: HazardService,
        plausibility: PlausibilityService,
        renewal: TicketRenewal,
        cams: RsuCamService,
        events: ReceivedEvents,
        keep_alive: KeepAlive,
    ) -> None:
        self._station = station
        self._router = router
        self._inbound = Inbound(station, router)
        self._position = position
        self._signals = signals
        self._priority = priority
        self._signs = signs
        self._hazards = hazards
        self._plausibility = plausibility
        self._renewal = renewal
        self._cams = cams
        self._events = events
        self._keep_alive = keep_alive
        self._address_stays_until = MonotonicNs(0)
        self._trouble: str | None = None
        self._unlogged = UnloggedAuthorities()
        self._sent: Counter[str] = Counter()
        self._unsent: Counter[str] = Counter()
        self._silent: dict[str, str] = {}

    @property
    def peers(self) -> PeerTable:
        """Who is around, and what was refused."""
        return self._plausibility.peers

    @property
    def plausibility(self) -> PlausibilityService:
        """What is thought of everybody, and whom refused packets name."""
        return self._plausibility

    @property
    def signals(self) -> SignalService | None:
        """The junction, or None."""
        return self._signals

    @property
    def priority(self) -> PriorityService | None:
        """Who wants to be let through at the junction, or None."""
        return self._priority

    @property
    def signs(self) -> SignService:
        """The road signs it says."""
        return self._signs

    @property
    def hazards(self) -> HazardService:
        """What it warns of."""
        return self._hazards

    @property
    def events(self) -> ReceivedEvents:
        """What others warn of."""
        return self._events

    @property
    def sent(self) -> dict[str, int]:
        """Messages sent, by kind (`cam`, `denm`, `spatem`, `mapem`, `ssem`, `ivim`)."""
        return dict(self._sent)

    @property
    def unsent(self) -> dict[str, int]:
        """Messages that could not be sent, by reason; without UTC none is made, and each occasion counts."""
        without_utc = self._cams.untrusted_time + self._hazards.untrusted_time + self._signs.counters.get("untrusted_time", 0)
        if self._signals is not None:
            without_utc += self._signals.counters.untrusted_time
        return dict(self._unsent + Counter(untrusted_time=without_utc))

    @property
    def identity(self) -> StationIdentity:
        """What the station calls itself just now."""
        return self._station.identity

    @property
    def router(self) -> Router:
        """What surrounds the station; the shell names its radios there."""
        return self._router

    @property
    def inbound(self) -> Inbound:
        """The account of what came in."""
        return self._inbound

    def signing_chain(self) -> tuple[Certificate, ...]:
        """Return the ticket it speaks under and the authorities above it as far as they are known, without the root."""
        ticket = self._renewal.ticket
        if ticket is None:
            return ()
        issuer = ticket.certificate.issuer.hashed_id8
        path = () if issuer is None else self._station.trust_store.path_to_root(issuer)
        return (ticket.certificate, *(each for each in path if not each.is_self_signed))

    def add_tickets(self, tickets: Iterable[TicketCredential]) -> int:
        """Take new tickets in, valid now or later; return how many were new."""
        return self._renewal.add(tickets)

    def change_trust(self, trust_store: TrustStore) -> None:
        """Believe whom a new store names from now on."""
        self._station.change_trust(trust_store)

    def renew_credential(self, credential: TicketCredential, authority: Certificate) -> None:
        """Take note of a new enrolment credential: a unit signs nothing under it but requests, which its upkeep makes."""

    def on_packet(self, packet: bytes, now: Instant, arrival: Arrival = UNKNOWN_ARRIVAL) -> tuple[Effect, ...]:
        """Take in one GeoNetworking packet; never raises for what is in it."""
        outcome = self._inbound.receive(packet, now, arrival) or self._inbound.last_refusal
        return self.on_outcome(outcome, now, packet)

    def on_outcome(self, outcome: Outcome, now: Instant, packet: bytes) -> tuple[Effect, ...]:
        """Take what became of one packet that was judged elsewhere, in a batch (`shared.stack.intake`)."""
        if outcome is None or isinstance(outcome, V2xError):
            self._keep_alive.copied(packet, now.monotonic)
            if outcome is None:
                return ()
            return (*self._plausibility.refuse(outcome, packet, now), *self._unlogged.look(outcome))
        is_own = self._station.is_own_signer(outcome.signer.hashed_id8)  # of before a restart, kept alive by others: no peer
        told: tuple[Effect, ...] = () if is_own else self._plausibility.hear(outcome, packet, now)
        if (denm := outcome.of(Denm)) is not None:
            try:
                self._plausibility.check_heard(denm.signer.hashed_id8)
                self._events.hear(denm, now)
                self._keep_alive.heard(packet, denm, now)
            except V2xError as refusal:
                self._turn_down(outcome, refusal, packet, now)
        if self._priority is not None and (srem := outcome.of(Srem)) is not None:
            try:
                self._plausibility.check_heard(srem.signer.hashed_id8)
                for refused in self._priority.hear(srem, now):
                    self._turn_down(outcome, refused, packet, now)
            except V2xError as refusal:
                self._turn_down(outcome, refusal, packet, now)
        return told

    def _turn_down(self, outcome: Indication, refusal: V2xError, packet: bytes, now: Instant) -> None:
        """Account for a message that verified and is not taken up."""
        self._inbound.refuse(refusal)
        self._plausibility.turn_down(outcome, refusal, packet, now)

    def negate(self, action_id: ActionId, now: Instant) -> tuple[Effect, ...]:
        """Deny an event that others tell of, as the operator orders: said for a while, and no longer kept alive here.

        Raises:
            NoSuchEventError: no such event was heard of, or it has ended.
            UntrustedTimeError: UTC is not known, so nothing can be signed.
        """
        now.require_utc()
        event = self._events.deny(action_id)
        if event is None:
            raise NoSuchEventError(action_id)
        self._hazards.negate(event, now)
        fields = {"station_id": action_id.originating_station_id, "sequence_number": action_id.sequence_number}
        return (Notice("hazard_denied", fields),)

    def on_timer(self, now: Instant) -> tuple[Effect, ...]:
        """Say what is due."""
        effects: list[Effect] = []
        self._router.place(self._here(now))
        if self._router.take_address_conflict() and now.monotonic >= self._address_stays_until:
            self._address_stays_until = MonotonicNs(now.monotonic + ADDRESS_PAUSE_NS)
            self._station.move_to(self._router.drawn_mac())
            effects.append(Notice("address_changed", {"reason": "another station uses this unit's link-layer address"}))
        if now.monotonic >= self._renewal.due:
            effects += self._renewal.poll(now)
        if now.monotonic >= self._cams.next_due():
            cam = self._cams.poll(now, granted=ticket_flags(self._renewal.ticket))
            effects += () if cam is None else (*self._cams.take_notices(), *self._send(cam, None, now))
        if self._signals is not None:
            for item in sorted(self._signals.poll(now), key=_is_map):
                effects += (item,) if isinstance(item, Notice | Evidence) else self._send(item, None, now)
        if self._priority is not None and self._signals is not None:
            for answer in self._priority.poll(now, is_believed=self._signals.distrust is None):
                effects += (answer,) if isinstance(answer, Notice) else self._send(answer, None, now)
        for announcement in self._hazards.poll(now):
            effects += self._send(announcement.denm, announcement.area, now)
        effects += self._hazards.take_notices()
        for said in self._signs.poll(now):
            effects += self._send(said.ivim, said.area, now)
        effects += self._keep()
        for packet in self._keep_alive.poll(now.monotonic, self._position):
            effects += self._router.repeat(packet, priority=DENM_PRIORITY, now=now.monotonic)
        self._plausibility.expire(now)
        effects += self._router.poll(now)
        return tuple(effects)

    def stop(self, now: Instant) -> tuple[Effect, ...]:
        """Say the last words: cancel the hazards that end with this unit."""
        effects: list[Effect] = []
        if self._priority is not None:
            self._priority.stop(now)
        for announcement in self._hazards.stop(now):
            effects += self._send(announcement.denm, announcement.area, now)
        for said in self._signs.stop(now):
            effects += self._send(said.ivim, said.area, now)
        effects += self._router.close(now)
        return tuple(effects)

    def next_last_words(self) -> MonotonicNs | None:
        """After `stop`: return when a cancellation is due again, or may leave that waits for the channel; None when none is."""
        own = [due for due in (self._hazards.next_due(), self._signs.next_due()) if due is not None]
        router_due = self._router.next_due()
        if own and router_due is not None:
            own.append(router_due)
        return min(own, default=None)

    def last_words(self, now: Instant) -> tuple[Effect, ...]:
        """After `stop`: cancel again what is due; nothing else is said any more, and others' packets are still passed on."""
        effects: list[Effect] = []
        for announcement in self._hazards.poll(now):
            effects += self._send(announcement.denm, announcement.area, now)
        for said in self._signs.poll(now):
            effects += self._send(said.ivim, said.area, now)
        return (*effects, *self._router.poll(now))

    def next_due(self) -> MonotonicNs:
        """Return when `on_timer` next has something to do."""
        due = [
            self._renewal.due,
            self._cams.next_due(),
            self._hazards.next_due(),
            None if self._signals is None else self._signals.next_due(),
            None if self._priority is None else self._priority.next_due(),
            self._signs.next_due(),
            self._router.next_due(),
            self._keep_alive.next_due(),
        ]
        return min(d for d in due if d is not None)

    def status(self, now: Instant, *, brief: bool = False) -> dict[str, object]:
        """Return the unit's state as JSON values: peers (unless it is to be brief), counters, junction, hazards."""
        self._events.expire(now.monotonic)
        return {
            "station_id": self._station.identity.station_id,
            "utc": None if now.utc is None else utc_text(now.utc),
            "sent": dict(self._sent),
            "unsent": self.unsent,
            "withheld": self._cams.withheld,
            "silent": dict(self._silent),
            "verified": dict(self._inbound.verified),
            "ages": self._inbound.ages.status(),
            **peers_status(self._plausibility, now, brief=brief),
            "echoes": self._inbound.echoes,
            "copies": self._inbound.copies,
            "router": self._router.status(),
            "tickets": self._renewal.status(now),
            "junction": None if self._signals is None else self._signals.status(now),
            "events": [_event_status(event, self._position, now) for event in islice(self._events, MAX_EVENTS_SHOWN)],
            "events_heard": dict(self._events.counters),
            "kept_alive": dict(self._keep_alive.counters),
            "hazards": [_hazard_status(event, now) for event in self._hazards.live_events if event.denm is not None],
            "hazard_sources": self._hazards.status(),
            "priority": None if self._priority is None else self._priority.status(now),
            "signs": self._signs.status(),
        }

    def _keep(self) -> tuple[Notice, ...]:
        """Tell when what a restart needs cannot be kept, once."""
        before, self._trouble = self._trouble, self._hazards.trouble
        if self._trouble is None or before is not None:
            return ()
        return (Notice("hazards_not_kept", {"reason": self._trouble}),)

    def _send(self, message: Cam | Spatem | Mapem | Denm | Ssem | Ivim, area: Area | None, now: Instant) -> tuple[Effect, ...]:
        """Return what may go out at once, and a notice when the unit falls silent about something or speaks of it again."""
        kind = type(message).__name__.lower()
        try:
            position = EgoPosition(point=self._position, taken_at=now.require_utc(), speed_mps=0.0)
            transmissions = self._router.say(message, position=position, now=now, area=area)
        except V2xError as error:
            self._unsent[error.code] += 1
            if self._silent.get(kind) == error.code:
                return ()
            self._silent[kind] = error.code
            return (Notice("silent", {"message": kind, "reason": error.code, "detail": str(error)}),)
        self._sent[kind] += 1
        if self._silent.pop(kind, None) is None:
            return transmissions
        return (Notice("speaking", {"message": kind}), *transmissions)

    def _here(self, now: Instant) -> EgoPosition | None:
        return None if now.utc is None else EgoPosition(point=self._position, taken_at=now.utc, speed_mps=0.0)


def _event_status(event: ReceivedEvent, here: GeoPoint, now: Instant) -> dict[str, object]:
    action_id = event.denm.action_id
    return {
        "station_id": action_id.originating_station_id,
        "sequence_number": action_id.sequence_number,
        "cause_code": event.denm.cause_code,
        "sub_cause_code": event.denm.sub_cause_code,
        "cause": hazard_words(event.denm.cause_code or 0, event.denm.sub_cause_code),
        "lat_deg": None if event.position is None else event.position.lat_deg,
        "lon_deg": None if event.position is None else event.position.lon_deg,
        "distance_m": None if event.position is None else round(distance_m(here, event.position), 1),
        "expires_s": round((event.expires - now.monotonic) / NS_PER_S, 1),
        "disputed": event.is_disputed,
    }


def _hazard_status(event: LiveEvent, now: Instant) -> dict[str, object]:
    report = event.report
    return {
        **name_status(report.name),
        "sequence_number": event.action_id.sequence_number,
        "cause_code": report.cause_code,
        "sub_cause_code": report.sub_cause_code,
        "cause": hazard_words(report.cause_code, report.sub_cause_code),
        "lat_deg": report.position.lat_deg,
        "lon_deg": report.position.lon_deg,
        "radius_m": report.area.radius_m if isinstance(report.area, Circle) else None,
        "expires_s": round((event.expires - now.monotonic) / NS_PER_S, 1),
    }


def _is_map(item: SignalItem) -> bool:
    """Put lights before the map: that is long, and the channel is not the unit's for a while after it."""
    return isinstance(item, Mapem)
