"""Which pseudonym the vehicle speaks under, and its change: ticket, names, addresses, path and pace, all at one instant.

Every turn of the agent's timer the present is looked at: how far the car has gone, whether its ignition came on, whether the ticket
still holds. When a change is due (`shared.security.pseudonyms`) and there is another ticket, the station and the CAM service are
told in one step who they are now; nothing is sent in between. With one valid ticket only, nothing changes: new names under an old
ticket would tell everybody that it is the same car. With none, the car is silent, and says so once; what it records goes on. A
ticket that the pool has set aside, because nobody believes it any more, counts as none.

A position that the bus gives is a fix: few buses say how good it is. The way is speed times time or, where the bus gives no speed,
what the position moves. What stays linkable whatever is changed: that the car goes on from where it was, its size and type, and
when within a tenth of a second its receiver takes its fixes. Tickets are not requested here; they are added while running.
"""

from collections import Counter
from collections.abc import Iterable

from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.entropy import Entropy
from shared.core.errors import UntrustedTimeError
from shared.core.geo import GeoPoint, distance_m
from shared.core.itstime import Time64
from shared.security.freshness import trusted_time64
from shared.security.pseudonyms import PseudonymRules
from shared.security.sign import TicketCredential
from shared.security.ticket_pool import NextTicket, TicketPool
from shared.stack.cam_permissions import ticket_flags
from shared.stack.effects import Notice
from shared.stack.station import Station, StationIdentity
from vehicle_agent.cam_service import CamService
from vehicle_agent.cam_trigger import T_CHECK_CAM_GEN_NS
from vehicle_agent.vehicle_state import VehicleState, fresh

STANDSTILL_MPS = 0.5
"""A slower car stands: sensors of wheels creep."""

LEAST_STEP_M = 10.0
"""A position that moves by less may be the receiver's noise."""

MOST_STEP_NS = 2 * NS_PER_S
"""Longer between two looks, and speed says nothing about the way."""

RETRY_NS = NS_PER_S
"""How often a car without a valid ticket looks whether there is one."""

CONFLICT_PAUSE_NS = 60 * NS_PER_S
"""How long after a change because of somebody else's address none is made for that reason: whoever uses ours on purpose costs one
ticket a minute at most."""

MAX_REASONS_TOLD = 3
"""So many reasons why tickets are out of use are told at once."""

NO_OTHER_TICKET = "no_other_ticket"


class Way:
    """How far the vehicle has gone since it was last asked."""

    def __init__(self) -> None:
        self._asked_at: MonotonicNs | None = None
        self._place: GeoPoint | None = None

    def since_last(self, state: VehicleState, now: MonotonicNs) -> float:
        """Return metres, 0.0 when standing or when nothing says how far."""
        elapsed_ns = 0 if self._asked_at is None else now - self._asked_at
        self._asked_at = now
        place, before = fresh(state.position, now), self._place
        speed_mps = fresh(state.speed_mps, now)
        if speed_mps is not None:
            self._place = place
            is_moving = speed_mps >= STANDSTILL_MPS and elapsed_ns <= MOST_STEP_NS
            return speed_mps * elapsed_ns / NS_PER_S if is_moving else 0.0
        if place is None or before is None:
            self._place = place or before
            return 0.0
        step_m = distance_m(before, place)
        if step_m < LEAST_STEP_M:
            return 0.0
        self._place = place
        return step_m


def first_ticket(tickets: TicketPool, *, entropy: Entropy, started: Instant) -> TicketCredential | None:
    """Choose what to begin with.

    Returns:
        A valid ticket; where none is valid one that is not, for it says itself why nothing can be signed; None where there is none
        at all, or while the time is not known to tell by.
    """
    try:
        at = trusted_time64(started)
    except UntrustedTimeError:
        return None
    chosen = tickets.next_ticket(at, entropy)
    return tickets.last_to_end() if chosen is None else chosen.ticket


class Pseudonym:
    """The vehicle's names and their change.

    Args:
        station: told who it is.
        cam_service: likewise.
        tickets: what it can speak under.
        rules: when to change.
        entropy: returns that many random octets.
        ticket: the one the station was put up with, from `first_ticket`.
    """

    def __init__(
        self,
        *,
        station: Station,
        cam_service: CamService,
        tickets: TicketPool,
        rules: PseudonymRules,
        entropy: Entropy,
        ticket: TicketCredential | None,
    ) -> None:
        self._station = station
        self._cam_service = cam_service
        self._tickets = tickets
        self._rules = rules
        self._entropy = entropy
        self._ticket = ticket
        self._way = Way()
        self._changes: Counter[str] = Counter()
        self._unchanged: Counter[str] = Counter()
        self._lacks_other = False
        self._has_news = False
        self._silence: str | None = None
        self._next_try: MonotonicNs | None = None
        self._looked_at: Time64 | None = None
        self._is_address_taken = False
        self._conflict_until: MonotonicNs | None = None

    @property
    def tickets(self) -> TicketPool:
        """The tickets held."""
        return self._tickets

    @property
    def ticket(self) -> TicketCredential | None:
        """The one it speaks under; None while it is silent for want of one."""
        return self._ticket

    @property
    def rules(self) -> PseudonymRules:
        """When to change, and what holds the change."""
        return self._rules

    def add_tickets(self, tickets: Iterable[TicketCredential]) -> int:
        """Take tickets in while running; return how many were new. A change that lacked one is made good at the next turn."""
        added = self._tickets.add(tickets)
        if added:
            self._has_news = self._lacks_other
            self._next_try = None
        return added

    def address_taken(self) -> None:
        """Somebody else uses our link-layer address: change with the next poll, or as soon as nothing holds the pseudonym."""
        self._is_address_taken = True

    def poll(self, state: VehicleState, now: Instant) -> tuple[Notice, ...]:
        """Look at the present, and change what is to be changed before anything else is sent."""
        self._observe(state, now.monotonic)
        try:
            at = trusted_time64(now)
        except UntrustedTimeError:
            return ()
        self._looked_at = at
        if self._ticket is None or not self._ticket.certificate.validity.contains(at) or self._is_set_aside():
            return self._find_ticket(at, now.monotonic)
        if self._is_address_taken and not self._rules.is_held(now.monotonic):
            self._is_address_taken = False
            if self._conflict_until is None or now.monotonic >= self._conflict_until:
                self._conflict_until = MonotonicNs(now.monotonic + CONFLICT_PAUSE_NS)
                return self._change(at, now.monotonic, "address_taken")
        if self._rules.is_due(now.monotonic):
            return self._change(at, now.monotonic, self._rules.stage.name.lower())
        if self._has_news and not self._rules.is_held(now.monotonic):
            return self._change(at, now.monotonic, "tickets_arrived")
        return ()

    def status(self) -> dict[str, object]:
        """Return what was counted, and how many tickets there are; names none of them."""
        at = self._looked_at
        return {
            "changes": dict(self._changes),
            "unchanged": dict(self._unchanged),
            "tickets": {"held": len(self._tickets)} if at is None else dict(self._tickets.summary(at)),
            "silent": self._silence,
        }

    def _observe(self, state: VehicleState, now: MonotonicNs) -> None:
        is_on = fresh(state.ignition_on, now)
        if is_on is not None:
            self._rules.ignition(is_on=is_on, now=now)
        if fresh(state.position, now) is not None:
            self._rules.fixed(now)
        self._rules.moved(self._way.since_last(state, now), now)

    def _change(self, at: Time64, now: MonotonicNs, reason: str) -> tuple[Notice, ...]:
        self._tickets.drop_expired(at)
        chosen = self._tickets.next_ticket(at, self._entropy, instead_of=self._ticket)
        self._has_news = False
        self._lacks_other = chosen is None
        if chosen is None:
            self._unchanged[NO_OTHER_TICKET] += 1
            self._rules.changed(now)
            return ()
        return self._take(chosen, at, now, reason)

    def _find_ticket(self, at: Time64, now: MonotonicNs) -> tuple[Notice, ...]:
        """Whatever holds the pseudonym, under a ticket that has run out nobody believes it."""
        if self._next_try is not None and now < self._next_try:
            return ()
        self._tickets.drop_expired(at)
        chosen = self._tickets.next_ticket(at, self._entropy)
        if chosen is not None:
            ended = "ticket_set_aside" if self._is_set_aside() else "ticket_ran_out"
            return self._take(chosen, at, now, "ticket_lacked" if self._silence else ended)
        if self._is_set_aside():
            self._station.fall_silent()
            self._ticket = None
        self._next_try = MonotonicNs(now + RETRY_NS)
        was_silent, self._silence = self._silence, self._why_silent()
        return () if was_silent else (Notice("pseudonym_silent", {"reason": self._silence}),)

    def _is_set_aside(self) -> bool:
        return self._ticket is not None and self._tickets.why_set_aside(self._ticket) is not None

    def _why_silent(self) -> str:
        if reasons := self._tickets.reasons:
            return f"no authorization ticket may be used ({'; '.join(reasons[:MAX_REASONS_TOLD])}): nothing is sent"
        if not len(self._tickets):
            return "there is no authorization ticket, or all have run out: nothing is sent"
        return f"none of the {len(self._tickets)} authorization tickets is valid yet: nothing is sent"

    def _take(self, chosen: NextTicket, at: Time64, now: MonotonicNs, reason: str) -> tuple[Notice, ...]:
        is_first = self._ticket is None and self._silence is None
        identity = StationIdentity.drawn(self._station.identity.station_type, self._entropy)
        self._station.assume(identity, chosen.ticket)
        wait_ns = 1 + int.from_bytes(self._entropy(4), "big") % T_CHECK_CAM_GEN_NS
        self._cam_service.assume(
            station_id=identity.station_id, first_check=MonotonicNs(now + wait_ns), granted=ticket_flags(chosen.ticket)
        )
        self._rules.changed(now)
        self._ticket = chosen.ticket
        self._silence = self._next_try = None
        if is_first:
            return ()
        self._changes[reason] += 1
        told = {"reason": reason, "is_ticket_reused": chosen.is_reused, "tickets_unused": len(self._tickets.unused(at))}
        return (Notice("pseudonym_changed", told),)
