"""One request for priority as this unit understands it: read from a verified SREM, held against ticket, map, place and time.

TS 103 301 V1.3.1 (SREM) on ISO/TS 19091. Where the vehicle is comes from the signed network header, not from the message, and when
it comes from its own estimate, which is bounded: nobody books a green for tomorrow. The duration is how much longer than the
arrival the service is wanted.
"""

from dataclasses import dataclass

from msgspec.structs import replace

from rsu_agent.map_data import JunctionMap
from rsu_agent.priority_refusals import PriorityRefusal, RefusedRequestError
from rsu_agent.priority_rights import RANKS, priority_level
from rsu_agent.priority_ways import signal_groups_between
from rsu_agent.signal_controllers.priority import PriorityAction, PriorityKey, PriorityLevel, PriorityRequest
from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, UtcNs
from shared.core.geo import distance_m
from shared.core.ids import HashedId8, StationId
from shared.messages.requestor import RequestorType, VehicleId
from shared.messages.srem import SignalRequest, Srem
from shared.messages.ssem import Requester, RequestStatus
from shared.messages.time_mark import utc_near
from shared.stack.indication import Verified

MAX_CLOCK_DIFFERENCE_NS = 5 * NS_PER_S
"""How far the message's own date may be from the present."""

MAX_LATE_NS = 10 * NS_PER_S
"""How long ago the vehicle may have meant to be at the stop line; later than that it does not need it any more."""

MAX_AHEAD_NS = 180 * NS_PER_S
"""How far ahead a request may be made."""

RequestKey = tuple[HashedId8, int]
"""The ticket that asks, and its own running number of the request: nobody changes or cancels what another ticket asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardRequest:
    """A request that is let through to the junction's queue.

    Attributes:
        ticket: who asks.
        station_id: as it calls itself in the message's header.
        requester: as it calls itself; the answer repeats it.
        kind: what kind of vehicle it says it is; likewise.
        sequence_number: of the message, 0 where it has none; likewise.
        wish: the request as it was said; likewise.
        level: as what it is let through.
        signal_groups: the lights on its way, at least one.
        arrival: when it expects to be at the stop line, or None.
    """

    ticket: HashedId8
    station_id: StationId
    requester: VehicleId
    kind: RequestorType | None
    sequence_number: int
    wish: SignalRequest
    level: PriorityLevel
    signal_groups: frozenset[int]
    arrival: UtcNs | None

    @property
    def key(self) -> RequestKey:
        """Who asks, and which of its requests this is."""
        return self.ticket, self.wish.request_id

    @property
    def rank(self) -> int:
        """The greater number goes first."""
        return RANKS[self.level]

    @property
    def departure(self) -> UtcNs | None:
        """Until when the service is wanted, or None."""
        if self.arrival is None or self.wish.duration_ms is None:
            return None
        return UtcNs(self.arrival + self.wish.duration_ms * NS_PER_MS)

    @property
    def name(self) -> PriorityKey:
        """What the controller knows it by."""
        return PriorityKey(requester=self.station_id, request_id=self.wish.request_id)

    def order(self, action: PriorityAction) -> PriorityRequest:
        """Return what the controller is asked."""
        return PriorityRequest(
            key=self.name,
            sequence_number=self.sequence_number,
            action=action,
            level=self.level,
            signal_groups=self.signal_groups,
            arrival=self.arrival,
            departure=self.departure,
        )


def check_sender(indication: Verified[Srem], now: Instant) -> None:
    """Refuse a message that speaks for somebody else, or of another time.

    Raises:
        RefusedRequestError: `OTHERS_NAME` or `WRONG_TIME`.
        UntrustedTimeError: UTC is not known.
    """
    srem, utc = indication.message, now.require_utc()
    named = srem.requestor.id.station_id
    if named != srem.station_id:
        whose = "somebody it does not name" if named is None else f"station {named}"
        raise RefusedRequestError(PriorityRefusal.OTHERS_NAME, f"station {srem.station_id} asks in the name of {whose}")
    if srem.minute_of_year is None or srem.timestamp_ms is None:
        return
    off_ns = abs(utc_near(srem.minute_of_year, srem.timestamp_ms, utc) - utc)
    if off_ns > MAX_CLOCK_DIFFERENCE_NS:
        raise RefusedRequestError(PriorityRefusal.WRONG_TIME, f"the request's own date is {off_ns / NS_PER_S:.0f} s off")


def read_request(
    indication: Verified[Srem], wish: SignalRequest, junction: JunctionMap, now: Instant, *, max_distance_m: float
) -> HeardRequest:
    """Return a request that may be served, if the controller wants to.

    Args:
        indication: the message it stands in; `check_sender` held.
        wish: one of its requests, for this junction.
        junction: whose lanes it names.
        now: the present.
        max_distance_m: how far from the junction a vehicle may be.

    Raises:
        RefusedRequestError: the ticket does not show what it asks as, it is too far, it names no way of the map, or another time.
        UntrustedTimeError: UTC is not known.
    """
    srem = indication.message
    kind = srem.requestor.type
    level = priority_level(indication.signer.certificate, None if kind is None else kind.role)
    _check_near(indication, junction, max_distance_m)
    return HeardRequest(
        ticket=indication.signer.hashed_id8,
        station_id=srem.station_id,
        requester=srem.requestor.id,
        kind=kind,
        sequence_number=srem.sequence_number or 0,
        wish=wish,
        level=level,
        signal_groups=signal_groups_between(junction, wish.inbound, wish.outbound),
        arrival=_arrival(wish, now.require_utc()),
    )


def answer_to(srem: Srem, wish: SignalRequest, status: int) -> RequestStatus | None:
    """Return the answer that says what became of a request, as an SSEM carries it; None for a way of a kind not known here.

    Args:
        srem: the message it stands in.
        wish: the request.
        status: a `PrioritizationStatus`.
    """
    if wish.inbound.other is not None or (wish.outbound is not None and wish.outbound.other is not None):
        return None
    return answer(
        wish, requester=srem.requestor.id, kind=srem.requestor.type, sequence_number=srem.sequence_number or 0, status=status
    )


def answer(
    wish: SignalRequest, *, requester: VehicleId, kind: RequestorType | None, sequence_number: int, status: int
) -> RequestStatus:
    """Return an answer that repeats what was asked, and by whom, in few octets: regional extensions are the sender's to fill.

    One message answers everybody, so nobody must be able to make it too long to be sent.
    """
    return RequestStatus(
        status=status,
        inbound=wish.inbound,
        outbound=wish.outbound,
        requester=Requester(
            id=requester,
            request_id=wish.request_id,
            sequence_number=sequence_number,
            role=None if kind is None else kind.role,
            type=None if kind is None else replace(kind, regional=None),
        ),
        arrival_minute_of_year=wish.arrival_minute_of_year,
        arrival_ms=wish.arrival_ms,
        duration_ms=wish.duration_ms,
    )


def _check_near(indication: Verified[Srem], junction: JunctionMap, max_distance_m: float) -> None:
    position = indication.source.position
    if position is None:
        raise RefusedRequestError(PriorityRefusal.TOO_FAR, "the vehicle does not say where it is")
    away_m = distance_m(position, junction.reference)
    if away_m > max_distance_m:
        raise RefusedRequestError(
            PriorityRefusal.TOO_FAR, f"the vehicle is {away_m:.0f} m from the junction, more than {max_distance_m:g} m"
        )


def _arrival(wish: SignalRequest, utc: UtcNs) -> UtcNs | None:
    """Return the moment of the expected arrival; None where the minute or the second is not said."""
    if wish.arrival_minute_of_year is None or wish.arrival_ms is None:
        return None
    arrival = utc_near(wish.arrival_minute_of_year, wish.arrival_ms, utc)
    if arrival < utc - MAX_LATE_NS:
        raise RefusedRequestError(PriorityRefusal.WRONG_TIME, f"the arrival was {(utc - arrival) / NS_PER_S:.0f} s ago")
    if arrival > utc + MAX_AHEAD_NS:
        raise RefusedRequestError(PriorityRefusal.WRONG_TIME, f"the arrival is {(arrival - utc) / NS_PER_S:.0f} s ahead")
    return arrival
