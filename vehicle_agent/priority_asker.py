"""A vehicle that may be let through asks the junction ahead: SREM out, SSEM in (TS 103 301 V1.3.1 on ISO/TS 19091).

    lights ahead (a junction's map and lights, and our lane there) -> request -> update while we come nearer -> cancellation past it

Asked by vehicles of public transport and, while the siren sounds, by emergency vehicles, where the ticket allows signal requests.
The request is said again every second until it is answered, then when the arrival has moved and every ten seconds; the
cancellation is repeated, for nobody answers it. The pseudonym is kept from the request to the end, or the junction could not tell
who it is.

An answer is news for the driver and nothing more: what counts is what the light shows. Left out: what lies beyond the next
junction, where we leave it, and timetables.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import V2xError
from shared.core.ids import IntersectionId, ItsAid
from shared.messages.cdd import LightBarSirenInUse, VehicleRole
from shared.messages.requestor import AccessPoint, BasicVehicleRole, RequestorType, VehicleId
from shared.messages.srem import PriorityRequestType, Requestor, RequestorPosition, SignalRequest, Srem
from shared.messages.ssem import PrioritizationStatus, Ssem
from shared.messages.time_mark import minute_of_year, ms_of_minute
from shared.security.pseudonyms import PseudonymRules
from shared.stack.effects import Effect, Notice
from shared.stack.indication import Verified
from shared.stack.router import Router
from shared.stack.station import EgoPosition, Station
from vehicle_agent.signals_ahead import SignalAhead
from vehicle_agent.special_vehicle import Duty, lamps_of
from vehicle_agent.vehicle_state import VehicleState

ASK_WITHIN_M = 300.0
"""A junction is asked when its stop line is nearer than this along the lane."""

CHECK_INTERVAL_NS = 200 * NS_PER_MS
"""How often it is looked whether something is to be said."""

REPEAT_NS = NS_PER_S
"""How often what is not answered is said again."""

REFRESH_NS = 10 * NS_PER_S
"""What is answered is said again after this, or the junction would forget who stands before it and waits."""

ARRIVAL_MOVED_NS = 2 * NS_PER_S
"""An arrival that moves by more is told anew."""

MIN_SPEED_MPS = 1.0
"""Slower than this, when it will arrive is anybody's guess: the request says no time, so at once."""

MAX_ARRIVAL_S = 120.0
"""Nor is one further ahead said."""

CLEARING_MS = 5_000
"""How long after its arrival a vehicle wants the way clear."""

CANCELLATIONS = 3
"""How often a cancellation is said."""

LOST_NS = 2 * NS_PER_S
"""Lights out of sight for longer are behind us."""

HOLD_NS = 10 * NS_PER_S
"""The pseudonym is kept for so long after it was last looked whether it must be."""

ROLES: Final[Mapping[VehicleRole, BasicVehicleRole]] = MappingProxyType(
    {VehicleRole.PUBLIC_TRANSPORT: BasicVehicleRole.PUBLIC_TRANSPORT, VehicleRole.EMERGENCY: BasicVehicleRole.EMERGENCY}
)
"""The roles that ask, and what a request calls them."""

_HOLD = "priority request"


@dataclass(slots=True)
class _Asked:
    """A request as it was said last."""

    intersection: IntersectionId
    lane: int
    request_id: int
    seen_at: MonotonicNs
    arrival: UtcNs | None = None
    said_at: MonotonicNs | None = None
    status: PrioritizationStatus | None = None
    cancelled: int = 0


class PriorityAsker:
    """Asks for one vehicle, one junction at a time.

    Args:
        duty: what the vehicle is for.
        station: whose ticket says whether it may ask.
        router: sends.
        rules: keep the pseudonym while a request lives.
        started: when it starts to work.
    """

    def __init__(self, *, duty: Duty, station: Station, router: Router, rules: PseudonymRules, started: MonotonicNs) -> None:
        self._duty = duty
        self._role = ROLES.get(duty.role) if duty.asks_for_priority else None
        self._station = station
        self._router = router
        self._rules = rules
        self._due = started
        self._asked: _Asked | None = None
        self._leaving: _Asked | None = None
        self._request_id = 0
        self._sequence_number = 0
        self._notices: list[Notice] = []
        self._counters: Counter[str] = Counter()

    @property
    def counters(self) -> dict[str, int]:
        """What was done: `sent`, `requests`, `cancelled`, each answer by its name, and reasons why nothing could be sent."""
        return dict(self._counters)

    def next_due(self) -> MonotonicNs | None:
        """When `poll` wants to be called; None for a vehicle that never asks."""
        return None if self._role is None else self._due

    def renamed(self) -> None:
        """The station has another name: what was asked under the old one runs out by itself."""
        self._asked = self._leaving = None

    def hear(self, indication: Verified[Ssem]) -> None:
        """Take note of what a junction answers us."""
        asked, own = self._asked, self._station.identity.station_id
        if asked is None:
            return
        for status in indication.message.statuses:
            if status.id != asked.intersection:
                continue
            for request in status.requests:
                requester = request.requester
                if requester is None or requester.id.station_id != own or requester.request_id != asked.request_id:
                    continue
                self._answered(asked, request.status)

    def poll(
        self, state: VehicleState, here: EgoPosition | None, lights: Sequence[SignalAhead], now: Instant
    ) -> tuple[Effect, ...]:
        """Return what is to be said, and what the driver should know.

        Args:
            state: of the vehicle.
            here: where it is; None where that is not known.
            lights: what is ahead on its lane (`SignalsAhead.ahead`).
            now: the present.
        """
        if self._role is None or now.monotonic < self._due:
            return ()
        self._due = MonotonicNs(now.monotonic + CHECK_INTERVAL_NS)
        self._look(self._wanted(state, lights, now), now)
        effects: list[Effect] = []
        if here is not None and now.utc is not None:
            effects += self._say(here, lights, now)
        if self._asked is None and self._leaving is None:
            self._rules.release(_HOLD)
        else:
            self._rules.hold(_HOLD, until=MonotonicNs(now.monotonic + HOLD_NS), now=now.monotonic)
        notices, self._notices = self._notices, []
        return (*notices, *effects)

    def status(self) -> dict[str, object]:
        """Return the request and the counters as JSON values."""
        asked = self._asked
        return {
            "asks": self._role is not None,
            "junction": None if asked is None else _junction(asked.intersection),
            "status": None if asked is None or asked.status is None else asked.status.name.lower(),
            "counters": self.counters,
        }

    def _wanted(self, state: VehicleState, lights: Sequence[SignalAhead], now: Instant) -> SignalAhead | None:
        """Return the light that is to let us through; None where we may not ask, do not want to, or there is none near."""
        if self._duty.shows_by_lamps and not lamps_of(state, now.monotonic) & LightBarSirenInUse.SIREN_ACTIVATED:
            return None
        near = [light for light in lights if light.distance_to_stop_m <= ASK_WITHIN_M]
        if not near or self._station.ssp(ItsAid.SREM) is None:
            return None
        return near[0]

    def _look(self, wanted: SignalAhead | None, now: Instant) -> None:
        asked = self._asked
        if asked is not None and wanted is not None and (wanted.intersection, wanted.lane) == (asked.intersection, asked.lane):
            asked.seen_at = now.monotonic
            return
        if asked is not None:
            if wanted is None and now.monotonic - asked.seen_at < LOST_NS:
                return
            self._asked = None
            if asked.said_at is not None:
                self._leaving = asked
                asked.said_at = None
        if wanted is not None:
            self._request_id = (self._request_id + 1) % 256
            self._counters["requests"] += 1
            self._asked = _Asked(wanted.intersection, wanted.lane, self._request_id, now.monotonic)

    def _say(self, here: EgoPosition, lights: Sequence[SignalAhead], now: Instant) -> list[Effect]:
        wishes = []
        leaving = self._leaving
        if leaving is not None and (leaving.said_at is None or now.monotonic - leaving.said_at >= REPEAT_NS):
            wishes.append(self._cancellation(leaving, now))
        asked = self._asked
        if asked is not None:
            arrival = _arrival(asked, here, lights, now)
            if asked.said_at is None or self._is_news(asked, arrival, now):
                kind = PriorityRequestType.PRIORITY_REQUEST_UPDATE
                if asked.said_at is None or asked.status is None:
                    kind = PriorityRequestType.PRIORITY_REQUEST
                asked.arrival, asked.said_at = arrival, now.monotonic
                wishes.append(_wish(asked, kind))
        return self._send(tuple(wishes), here, now) if wishes else []

    def _cancellation(self, leaving: _Asked, now: Instant) -> SignalRequest:
        leaving.said_at = now.monotonic
        leaving.cancelled += 1
        self._counters["cancelled"] += leaving.cancelled == 1
        if leaving.cancelled >= CANCELLATIONS:
            self._leaving = None
        return _wish(leaving, PriorityRequestType.PRIORITY_CANCELLATION)

    def _is_news(self, asked: _Asked, arrival: UtcNs | None, now: Instant) -> bool:
        """Whether a request is to be said again, once a second at most: not answered yet, an arrival that moved, or long ago."""
        if asked.said_at is None or now.monotonic - asked.said_at < REPEAT_NS:
            return False
        if asked.status is None or (arrival is None) is not (asked.arrival is None) or now.monotonic - asked.said_at >= REFRESH_NS:
            return True
        return arrival is not None and asked.arrival is not None and abs(arrival - asked.arrival) > ARRIVAL_MOVED_NS

    def _send(self, wishes: tuple[SignalRequest, ...], here: EgoPosition, now: Instant) -> list[Effect]:
        utc = now.require_utc()
        self._sequence_number = (self._sequence_number + 1) % 128
        station_id = self._station.identity.station_id
        srem = Srem(
            station_id=station_id,
            minute_of_year=minute_of_year(utc),
            timestamp_ms=ms_of_minute(utc),
            sequence_number=self._sequence_number,
            requests=wishes,
            requestor=Requestor(
                id=VehicleId(station_id=station_id),
                type=None if self._role is None else RequestorType(role=self._role),
                position=RequestorPosition(
                    lat_deg=here.point.lat_deg,
                    lon_deg=here.point.lon_deg,
                    heading_deg=here.heading_deg,
                    speed_mps=None if here.speed_mps is None else abs(here.speed_mps),
                ),
            ),
        )
        try:
            transmissions = self._router.say(srem, position=here, now=now)
        except V2xError as reason:
            self._counters[reason.code] += 1
            return []
        self._counters["sent"] += 1
        return [*transmissions]

    def _answered(self, asked: _Asked, status: int) -> None:
        answer = next((known for known in PrioritizationStatus if known == status), PrioritizationStatus.UNKNOWN)
        if answer is asked.status:
            return
        asked.status = answer
        self._counters[answer.name.lower()] += 1
        fields = {"junction": _junction(asked.intersection), "lane": asked.lane, "status": answer.name.lower()}
        self._notices.append(Notice("priority_answer", fields))


def _arrival(asked: _Asked, here: EgoPosition, lights: Sequence[SignalAhead], now: Instant) -> UtcNs | None:
    """Return when we are at the stop line at the present speed, to the tenth of a second; None where nobody can tell."""
    light = next((each for each in lights if (each.intersection, each.lane) == (asked.intersection, asked.lane)), None)
    if light is None:
        return asked.arrival
    if here.speed_mps is None or here.speed_mps < MIN_SPEED_MPS:
        return None
    in_s = light.distance_to_stop_m / here.speed_mps
    return None if in_s > MAX_ARRIVAL_S else UtcNs(now.require_utc() + round(in_s * 10) * 100 * NS_PER_MS)


def _wish(asked: _Asked, kind: PriorityRequestType) -> SignalRequest:
    arrival = asked.arrival
    return SignalRequest(
        id=asked.intersection,
        request_id=asked.request_id,
        request_type=kind,
        inbound=AccessPoint(lane=asked.lane),
        arrival_minute_of_year=None if arrival is None else minute_of_year(arrival),
        arrival_ms=None if arrival is None else ms_of_minute(arrival),
        duration_ms=None if arrival is None else CLEARING_MS,
    )


def _junction(intersection: IntersectionId) -> str:
    return f"{intersection.region or 0}/{intersection.number}"
