"""What vehicles warn of, told again in this unit's own name: only when as many independent witnesses agree as policy asks. Sans-IO.

Repeating another's signed packet costs nobody any trust, and the router and keep-alive do it. Speaking in the own name does: who
believes the unit believes it then. So an event counts only when

    its witness       is believed, has been heard for `known_s` seconds, and was within `witness_m` of the event as it said so
    and others        as many as `witnesses` say, have told of the same cause within `apart_m`
    and they are two  one car may hold several tickets, one after another or at once: they count as one until both were heard
                      during the same `known_s`, at the same time more than `one_car_m` apart

and nobody disputes it. A roadside unit is no witness: it repeats what it was told, and two that believed each other would never
end. It is told at the middle of what they say, and of its details what all of them say. Once fewer agree, it is told of for
`hold_s` more and then cancelled. Each counts once for a cause, and at most `MAX_CONSIDERED` at a time, so that a flood costs a
bounded moment. What one alone has warned of for `ALONE_NS` is noted, once.

Left out: who is behind two tickets that drive apart and make sense, each by itself; against a liar who holds several of those only
more `witnesses` help.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import hypot

from rsu_agent.hazard import Hazard
from rsu_agent.peers import Peer
from rsu_agent.placed_hazards import Finding, Gone, HazardSource, Unheeded
from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.geo import GeoPoint, displaced, heading_difference_deg, offset_m
from shared.core.ids import HashedId8, StationType
from shared.facilities.neighbours import velocity_mps
from shared.facilities.received_events import ReceivedEvent
from shared.messages.cdd import CauseCode
from shared.messages.denm import RelevanceTrafficDirection
from shared.trust.suspicion import Standing

LOOK_EVERY_NS = NS_PER_S
"""How often what vehicles say is looked through."""

MAX_CONSIDERED = 64
"""Most testimonies looked at; beyond it those nearest to the unit."""

MAX_CORROBORATED = 8
"""Most events of vehicles told of at one time."""

INFORMATION_QUALITY = 4
"""Several vehicles agree; neither an operator nor a detector of ours has looked (`InformationQuality`, 1..7)."""

MOVED_M = 20.0
"""An event whose middle has moved so far is told of anew."""

ALONE_NS = 5 * NS_PER_S
"""How long a warning is there before it is noted that it is not told of."""

MAX_UNHEEDED_A_MINUTE = 16
"""Such warnings told in a minute; further ones are counted."""

TOGETHER_NS = 2 * NS_PER_S
"""Where two witnesses are is compared when both were heard within so long: each is moved on by its own speed."""

SAME_WAY_DEG = 45.0
"""Headings within this of each other are of one direction of traffic."""

DEFAULT_CAUSES = frozenset(
    {
        CauseCode.TRAFFIC_CONDITION,
        CauseCode.ACCIDENT,
        CauseCode.ADVERSE_WEATHER_CONDITION_ADHESION,
        CauseCode.HAZARDOUS_LOCATION_OBSTACLE_ON_THE_ROAD,
        CauseCode.HAZARDOUS_LOCATION_ANIMAL_ON_THE_ROAD,
        CauseCode.HUMAN_PRESENCE_ON_THE_ROAD,
        CauseCode.WRONG_WAY_DRIVING,
        CauseCode.ADVERSE_WEATHER_CONDITION_VISIBILITY,
        CauseCode.ADVERSE_WEATHER_CONDITION_PRECIPITATION,
        CauseCode.DANGEROUS_END_OF_QUEUE,
        CauseCode.STATIONARY_VEHICLE,
    }
)
"""What a second vehicle can see too; one's own breakdown or emergency is nobody else's to confirm."""

_Near = tuple[float, CauseCode, tuple[float, float], ReceivedEvent]
"""A warning that may count: how far away, of what, where east and north of the unit, and itself."""

Find = Callable[[HashedId8], Peer | None]
"""Returns what is known of a ticket's holder; None for a stranger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When vehicles are believed; see the module.

    Attributes:
        witnesses: how many have to agree, at least 2.
        apart_m: how far apart they may put the event.
        witness_m: how far from it each may be.
        one_car_m: nearer to each other than this they are one witness.
        known_s: for how long each must have been heard, and any two of them together.
        reach_m: how far from the unit the event may be.
        hold_s: how long it is told of once fewer agree.
        radius_m: within which it is told.
        validity_s: for how long who hears nothing more believes it.
        causes: of which events.
    """

    witnesses: int = 2
    apart_m: float = 100.0
    witness_m: float = 500.0
    one_car_m: float = 3.0
    known_s: float = 3.0
    reach_m: float = 1_000.0
    hold_s: float = 30.0
    radius_m: float = 500.0
    validity_s: int = 30
    causes: frozenset[CauseCode] = DEFAULT_CAUSES


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Testimony:
    """What one witness says, and what is known of it; places in metres east and north of the unit."""

    ticket: HashedId8
    event: ReceivedEvent
    cause: CauseCode
    place: tuple[float, float]
    first_seen: MonotonicNs
    last_seen: MonotonicNs
    stands: tuple[float, float]
    velocity_mps: tuple[float, float]

    def stands_at(self, moment: MonotonicNs) -> tuple[float, float]:
        """Where it is at a moment soon after it was heard last."""
        elapsed_s = (moment - self.last_seen) / NS_PER_S
        return self.stands[0] + self.velocity_mps[0] * elapsed_s, self.stands[1] + self.velocity_mps[1] * elapsed_s


@dataclass(slots=True, kw_only=True)
class _Told:
    """An event of which the unit tells."""

    hazard_id: str
    cause: CauseCode
    place: tuple[float, float]
    agreed: MonotonicNs
    witnesses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Testimonies that agree, and how many of them are independent."""

    testimonies: list[_Testimony]
    independent: int

    @property
    def place(self) -> tuple[float, float]:
        """The middle of what they say."""
        count = len(self.testimonies)
        return sum(each.place[0] for each in self.testimonies) / count, sum(each.place[1] for each in self.testimonies) / count


class Corroboration:
    """Looks through what vehicles warn of.

    Args:
        policy: when they are believed.
        events: the live events heard of; iterated anew at each look.
        find: knows who is around.
        here: where the unit stands.
    """

    source = HazardSource.VEHICLES

    def __init__(self, policy: Policy, *, events: Iterable[ReceivedEvent], find: Find, here: GeoPoint) -> None:
        if policy.witnesses < 2:
            raise ValueError("one witness corroborates nothing")
        self._policy = policy
        self._events = events
        self._find = find
        self._here = here
        self._told: list[_Told] = []
        self._alone: dict[tuple[HashedId8, CauseCode], MonotonicNs] = {}
        self._unheeded: set[tuple[HashedId8, CauseCode]] = set()
        self._unheeded_until = MonotonicNs(0)
        self._unheeded_left = MAX_UNHEEDED_A_MINUTE
        self._apart: set[frozenset[HashedId8]] = set()
        self._next = MonotonicNs(0)
        self._number = 0
        self._counters: Counter[str] = Counter()

    def look(self, now: Instant) -> tuple[Finding | Gone | Unheeded, ...]:
        """Return what has been corroborated since the last call, has moved, is corroborated no more, or never was."""
        self._next = MonotonicNs(now.monotonic + LOOK_EVERY_NS)
        news: list[Finding | Gone | Unheeded] = []
        near = sorted(self._near(), key=lambda each: each[0])
        testimonies = self._testimonies(near, now)
        tickets = {each.ticket for each in testimonies}
        self._apart = {pair for pair in self._apart if pair <= tickets}
        agreed: set[tuple[HashedId8, CauseCode]] = set()
        for group in self._groups(testimonies):
            news += self._agreed(group, now.monotonic)
            agreed |= {(each.ticket, each.cause) for each in group.testimonies}
        news += self._left_alone(near[:MAX_CONSIDERED], agreed, now.monotonic)
        for told in tuple(self._told):
            if now.monotonic - told.agreed > round(self._policy.hold_s * NS_PER_S):
                self._told.remove(told)
                self._counters["gone"] += 1
                news.append(Gone(told.hazard_id))
        return tuple(news)

    def next_due(self) -> MonotonicNs:
        """Return when to look again."""
        return self._next

    def status(self) -> dict[str, object]:
        """Return what is told of and what was left out, as JSON values."""
        return {
            "told": {told.hazard_id: told.witnesses for told in self._told},
            "counters": dict(self._counters),
        }

    def _left_alone(self, near: Sequence[_Near], agreed: set[tuple[HashedId8, CauseCode]], now: MonotonicNs) -> Iterable[Unheeded]:
        """Yield, once each and so many a minute, what is not told of though somebody has warned of it for `ALONE_NS`."""
        alone = {(event.key[1], cause): event for _, cause, _, event in near if not _is_roadside(event)}
        alone = {key: event for key, event in alone.items() if key not in agreed}
        self._alone = {key: self._alone.get(key, now) for key in alone}
        self._unheeded &= alone.keys()
        if now >= self._unheeded_until:
            self._unheeded_until, self._unheeded_left = MonotonicNs(now + 60 * NS_PER_S), MAX_UNHEEDED_A_MINUTE
        for key, since in self._alone.items():
            if now - since < ALONE_NS or key in self._unheeded:
                continue
            self._unheeded.add(key)
            self._counters["unheeded"] += 1
            if self._unheeded_left > 0:
                self._unheeded_left -= 1
                yield Unheeded(_unheeded_fields(alone[key]))

    def _testimonies(self, near: Sequence[_Near], now: Instant) -> list[_Testimony]:
        """Return what counts, once for each ticket and cause, the nearest first."""
        found: dict[tuple[HashedId8, CauseCode], _Testimony] = {}
        for _, cause, place, event in near:
            if len(found) >= MAX_CONSIDERED:
                self._counters["too_many"] += 1
                break
            ticket = event.key[1]
            if event.is_disputed or (ticket, cause) in found or _is_roadside(event):
                continue
            testimony = self._testimony(ticket, cause, place, event, now)
            if testimony is not None:
                found[ticket, cause] = testimony
        return list(found.values())

    def _testimony(
        self, ticket: HashedId8, cause: CauseCode, place: tuple[float, float], event: ReceivedEvent, now: Instant
    ) -> _Testimony | None:
        """Return what a witness says; None where it was too far away, or is not known for long enough or not believed."""
        sender, peer, policy = event.heard.source.position, self._find(ticket), self._policy
        if sender is None or peer is None or peer.position is None or peer.standing is not Standing.BELIEVED:
            return None
        east_m, north_m = offset_m(self._here, sender)
        if hypot(east_m - place[0], north_m - place[1]) > policy.witness_m:
            return None
        if now.monotonic - peer.first_seen.monotonic < round(policy.known_s * NS_PER_S):
            return None
        return _Testimony(
            ticket=ticket,
            event=event,
            cause=cause,
            place=place,
            first_seen=peer.first_seen.monotonic,
            last_seen=peer.last_seen.monotonic,
            stands=offset_m(self._here, peer.position),
            velocity_mps=velocity_mps(peer.speed_mps, peer.heading_deg) or (0.0, 0.0),
        )

    def _near(self) -> Iterable[_Near]:
        for event in self._events:
            try:
                cause = CauseCode(event.denm.cause_code or 0)
            except ValueError:
                continue
            if event.position is None or cause not in self._policy.causes:
                continue
            place = offset_m(self._here, event.position)
            distance = hypot(*place)
            if distance <= self._policy.reach_m:
                yield distance, cause, place, event

    def _groups(self, testimonies: list[_Testimony]) -> Iterable[_Group]:
        """Return those that agree in sufficient number; each testimony is in one group at most."""
        left = testimonies
        while left:
            seed, agreeing, others = left[0], list[_Testimony](), list[_Testimony]()
            for each in left:
                apart_m = hypot(each.place[0] - seed.place[0], each.place[1] - seed.place[1])
                (agreeing if each.cause is seed.cause and apart_m <= self._policy.apart_m else others).append(each)
            left = others
            independent = self._independent(agreeing)
            if independent >= self._policy.witnesses:
                yield _Group(testimonies=agreeing, independent=independent)
            else:
                self._counters["too_few"] += 1

    def _independent(self, testimonies: list[_Testimony]) -> int:
        """Count those of which each is another than every other, beginning with who is around."""
        counted: list[_Testimony] = []
        for each in sorted(testimonies, key=lambda each: each.last_seen, reverse=True):
            if all(self._are_two(each, other) for other in counted):
                counted.append(each)
        return len(counted)

    def _are_two(self, one: _Testimony, other: _Testimony) -> bool:
        """Tell whether two tickets were ever seen to be of two cars; what was seen is remembered while both are witnesses."""
        pair = frozenset((one.ticket, other.ticket))
        if pair in self._apart:
            return True
        together_ns = min(one.last_seen, other.last_seen) - max(one.first_seen, other.first_seen)
        if together_ns < round(self._policy.known_s * NS_PER_S) or abs(one.last_seen - other.last_seen) > TOGETHER_NS:
            return False
        moment = max(one.last_seen, other.last_seen)
        here, there = one.stands_at(moment), other.stands_at(moment)
        if hypot(here[0] - there[0], here[1] - there[1]) <= self._policy.one_car_m:
            return False
        self._apart.add(pair)
        return True

    def _agreed(self, group: _Group, now: MonotonicNs) -> list[Finding | Gone]:
        seed, place = group.testimonies[0], group.place
        told = self._known(seed.cause, place)
        if told is None:
            if len(self._told) >= MAX_CORROBORATED:
                self._counters["no_room"] += 1
                return []
            self._number += 1
            told = _Told(hazard_id=f"v{self._number}", cause=seed.cause, place=place, agreed=now, witnesses=group.independent)
            self._told.append(told)
            self._counters["corroborated"] += 1
        elif hypot(told.place[0] - place[0], told.place[1] - place[1]) < MOVED_M:
            told.agreed, told.witnesses = now, group.independent
            return []
        told.agreed, told.place, told.witnesses = now, place, group.independent
        return [Finding(hazard_id=told.hazard_id, hazard=self._hazard(group))]

    def _known(self, cause: CauseCode, place: tuple[float, float]) -> _Told | None:
        for told in self._told:
            if told.cause is cause and hypot(told.place[0] - place[0], told.place[1] - place[1]) <= self._policy.apart_m:
                return told
        return None

    def _hazard(self, group: _Group) -> Hazard:
        """Return what is told: no more than what all of them say, for any one of them may lie."""
        policy, said = self._policy, [each.event.denm for each in group.testimonies]
        sub_causes = {denm.sub_cause_code or 0 for denm in said}
        directions = {denm.relevance_traffic_direction for denm in said}
        heading_deg, direction = said[0].event_heading_deg, said[0].relevance_traffic_direction
        if heading_deg is not None and any(
            denm.event_heading_deg is None or heading_difference_deg(denm.event_heading_deg, heading_deg) > SAME_WAY_DEG
            for denm in said
        ):
            heading_deg = None
        if heading_deg is None or direction is None or len(directions) > 1:
            direction = RelevanceTrafficDirection.ALL_TRAFFIC_DIRECTIONS
        return Hazard(
            origin="corroborated by vehicles",
            cause_code=group.testimonies[0].cause,
            sub_cause_code=sub_causes.pop() if len(sub_causes) == 1 else 0,
            position=displaced(self._here, *group.place),
            relevance_distance_m=policy.radius_m,
            relevance_traffic_direction=direction,
            radius_m=policy.radius_m,
            validity_s=policy.validity_s,
            repetition_s=1.0,
            heading_deg=heading_deg,
            information_quality=INFORMATION_QUALITY,
        )


def _unheeded_fields(event: ReceivedEvent) -> Mapping[str, object]:
    action_id, place = event.denm.action_id, event.position
    return {
        "station_id": action_id.originating_station_id,
        "sequence_number": action_id.sequence_number,
        "ticket": event.key[1].hex(),
        "cause_code": event.denm.cause_code,
        "lat_deg": None if place is None else place.lat_deg,
        "lon_deg": None if place is None else place.lon_deg,
        "reason": "disputed" if event.is_disputed else "too few witnesses that count",
    }


def _is_roadside(event: ReceivedEvent) -> bool:
    """Tell whether a roadside unit says so, as it calls itself: who calls itself one gains nothing by it."""
    return StationType.ROAD_SIDE_UNIT in (event.denm.station_type, event.heard.source.address.station_type)
