"""A junction that is asked for priority: real tickets and messages, and a controller that is told what to say."""

from dataclasses import dataclass, field
from pathlib import Path

import rsu_agent.junctions
from rsu_agent.map_data import load_map
from rsu_agent.priority_queue import PriorityControl
from rsu_agent.priority_service import DEFAULT_POLICY, PriorityPolicy, PriorityService
from rsu_agent.signal_controllers.fixed_time import load_plan
from rsu_agent.signal_controllers.priority import PriorityAction, PriorityAnswer, PriorityKey, PriorityRequest
from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, ManualClock, MonotonicNs, UtcNs
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import IntersectionId, StationId
from shared.messages.requestor import AccessPoint, RequestorType, VehicleId
from shared.messages.srem import PriorityRequestType, Requestor, SignalRequest, Srem
from shared.messages.ssem import PrioritizationStatus, Ssem
from shared.messages.time_mark import minute_of_year, ms_of_minute
from shared.pki.permission_sets import StationRole
from shared.stack.effects import Notice
from shared.stack.indication import Verified
from shared.stack.station import Station
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import ego, make_peer

JUNCTIONS = Path(rsu_agent.junctions.__file__).parent
PLAN = load_plan(JUNCTIONS / "crossing.plan.toml")
MAP = load_map(JUNCTIONS / "crossing.map.toml", PLAN.signal_groups)
NORTH_SOUTH, EAST_WEST = 1, 2
FROM_NORTH, FROM_EAST, TO_SOUTH = AccessPoint(lane=12), AccessPoint(lane=22), AccessPoint(lane=33)
UNIT_ID = StationId(4049)
NEAR = displaced(MAP.reference, -5.0, 200.0)


@dataclass
class ToldController:
    """A controller that says what it is told to say, and remembers what it was asked."""

    says: PrioritizationStatus = PrioritizationStatus.GRANTED
    orders: dict[PriorityKey, PriorityRequest] = field(default_factory=dict)
    asked: list[tuple[PriorityAction, int, frozenset[int]]] = field(default_factory=list)

    def ask_priority(self, request: PriorityRequest, now: Instant) -> PriorityAnswer:
        self.asked.append((request.action, request.key.request_id, request.signal_groups))
        if request.action is PriorityAction.CANCEL:
            self.orders.pop(request.key, None)
        else:
            self.orders[request.key] = request
        return self.answer

    def priority(self, key: PriorityKey) -> PriorityAnswer | None:
        return self.answer if key in self.orders else None

    @property
    def answer(self) -> PriorityAnswer:
        return PriorityAnswer(status=self.says, reason="so it was told")

    @property
    def served(self) -> set[tuple[int, int]]:
        """Station and request of every order it has."""
        return {(key.requester, key.request_id) for key in self.orders}


class AskedJunction:
    """The built-in crossing's unit, at which vehicles of one hierarchy ask.

    Args:
        seed: of the hierarchy.
        policy: the operator's.
        control: the controller, where it is not one that is told what to say.
    """

    def __init__(self, seed: int = 71, *, policy: PriorityPolicy = DEFAULT_POLICY, control: PriorityControl | None = None) -> None:
        self.hierarchy = Hierarchy(seed)
        self.clock: ManualClock = clock_at()
        self.controller = ToldController()
        self.unit = make_peer(self.hierarchy, 9, StationRole.RSU)
        self.service = PriorityService(
            control=control or self.controller, junction=MAP, conflicts=PLAN.conflicting_pairs, station_id=UNIT_ID, policy=policy
        )
        self.is_believed = True

    def vehicle(self, number: int, role: StationRole) -> Station:
        """Return a vehicle under a ticket of its own."""
        return make_peer(self.hierarchy, number, role)

    def heard(self, station: Station, srem: Srem, *, point: GeoPoint = NEAR) -> Verified[Srem]:
        """Carry a message from a vehicle to the unit's station."""
        now = self.clock.advance(NS_PER_MS)
        indication = self.unit.receive(station.send(srem, position=ego(now, point), now=now), now)
        assert indication is not None
        request = indication.of(Srem)
        assert request is not None
        return request

    def ask(self, station: Station, srem: Srem, *, point: GeoPoint = NEAR) -> list[str]:
        """Carry a message to the unit and have it heard; return the words of what is refused."""
        indication = self.heard(station, srem, point=point)
        return [refusal.code for refusal in self.service.hear(indication, self.clock.now())]

    def answers(self, elapsed_s: float = 0.2) -> dict[tuple[int, int], PrioritizationStatus]:
        """Let time pass and return the last answers said in it: station and request to status."""
        said = [message for message in self.said(elapsed_s) if isinstance(message, Ssem)]
        return statuses(said[-1]) if said else {}

    def said(self, elapsed_s: float) -> list[Ssem | Notice]:
        """Call the service whenever it asks for it, for a while."""
        end = MonotonicNs(self.clock.now().monotonic + round(elapsed_s * NS_PER_S))
        said: list[Ssem | Notice] = []
        while (due := self.service.next_due()) is not None and due <= end:
            now = self.clock.advance_to(MonotonicNs(max(due, self.clock.now().monotonic)))
            said += self.service.poll(now, is_believed=self.is_believed)
        self.clock.advance_to(end)
        return said


def statuses(ssem: Ssem) -> dict[tuple[int, int], PrioritizationStatus]:
    """Return what an SSEM says of each station's request."""
    found: dict[tuple[int, int], PrioritizationStatus] = {}
    for status in ssem.statuses:
        assert status.id == MAP.intersection_id
        for request in status.requests:
            assert request.requester is not None
            assert request.requester.id.station_id is not None
            found[request.requester.id.station_id, request.requester.request_id] = PrioritizationStatus(request.status)
    return found


def srem_of(
    station: Station,
    now: Instant,
    *,
    role: int | None,
    request_id: int = 1,
    inbound: AccessPoint = FROM_NORTH,
    outbound: AccessPoint | None = None,
    in_s: float | None = 12.0,
    duration_ms: int | None = 5_000,
    kind: int = PriorityRequestType.PRIORITY_REQUEST,
    junction: IntersectionId = MAP.intersection_id,
    sequence_number: int = 0,
) -> Srem:
    """Return a request of a vehicle that will be at the stop line in a while."""
    utc = now.require_utc()
    arrival = None if in_s is None else UtcNs(utc + round(in_s * NS_PER_S))
    return Srem(
        station_id=station.identity.station_id,
        minute_of_year=minute_of_year(utc),
        timestamp_ms=ms_of_minute(utc),
        sequence_number=sequence_number,
        requestor=Requestor(
            id=VehicleId(station_id=station.identity.station_id), type=None if role is None else RequestorType(role=role)
        ),
        requests=(
            SignalRequest(
                id=junction,
                request_id=request_id,
                request_type=kind,
                inbound=inbound,
                outbound=outbound,
                arrival_minute_of_year=None if arrival is None else minute_of_year(arrival),
                arrival_ms=None if arrival is None else ms_of_minute(arrival),
                duration_ms=duration_ms,
            ),
        ),
    )
