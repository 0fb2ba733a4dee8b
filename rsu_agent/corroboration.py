"""What vehicles warn of, told again in this unit's own name: only when as many independent witnesses agree as policy asks. Sans-IO.

Repeating another's signed packet costs nobody any trust, and the router and keep-alive do it. Speaking in the own name does: who
believes the unit believes it then. So an event counts only when

    its witness       is believed, has been heard for `known_s` seconds, and was within `witness_m` of the event as it said so
    and others        as many as `witnesses` say, have told of the same cause within `apart_m`, each from a place of its own:
                      tickets that stand within `one_car_m` of each other count once, for one car may hold several

and nobody disputes it. It is told at the middle of what they say. Once fewer than that agree, it is told of for `hold_s` more and
then cancelled. Each counts once for a cause, and at most `MAX_CONSIDERED` at a time, so that a flood costs a bounded moment.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import hypot

from rsu_agent.hazard import Hazard
from rsu_agent.placed_hazards import Finding, Gone, HazardSource
from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.geo import GeoPoint, displaced, offset_m
from shared.core.ids import HashedId8
from shared.facilities.received_events import ReceivedEvent
from shared.messages.cdd import CauseCode
from shared.messages.denm import RelevanceDistance, RelevanceTrafficDirection

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

_RELEVANCE_M = {
    RelevanceDistance.LESS_THAN_50M: 50.0,
    RelevanceDistance.LESS_THAN_100M: 100.0,
    RelevanceDistance.LESS_THAN_200M: 200.0,
    RelevanceDistance.LESS_THAN_500M: 500.0,
    RelevanceDistance.LESS_THAN_1000M: 1_000.0,
    RelevanceDistance.LESS_THAN_5KM: 5_000.0,
    RelevanceDistance.LESS_THAN_10KM: 10_000.0,
    RelevanceDistance.OVER_10KM: 20_000.0,
}

Vouch = Callable[[HashedId8, Instant], bool]
"""Says whether a ticket's holder is somebody the unit knows and believes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When vehicles are believed; see the module.

    Attributes:
        witnesses: how many have to agree, at least 2.
        apart_m: how far apart they may put the event.
        witness_m: how far from it each may be.
        one_car_m: nearer to each other than this they are one witness.
        known_s: for how long each must have been heard.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Testimony:
    """What one witness says; places in metres east and north of the unit."""

    ticket: HashedId8
    event: ReceivedEvent
    cause: CauseCode
    place: tuple[float, float]
    witness: tuple[float, float]


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
    """Testimonies that agree."""

    testimonies: list[_Testimony] = field(default_factory=list)

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
        vouch: says whether a ticket's holder is known and believed.
        here: where the unit stands.
    """

    source = HazardSource.VEHICLES

    def __init__(self, policy: Policy, *, events: Iterable[ReceivedEvent], vouch: Vouch, here: GeoPoint) -> None:
        if policy.witnesses < 2:
            raise ValueError("one witness corroborates nothing")
        self._policy = policy
        self._events = events
        self._vouch = vouch
        self._here = here
        self._told: list[_Told] = []
        self._next = MonotonicNs(0)
        self._number = 0
        self._counters: Counter[str] = Counter()

    def look(self, now: Instant) -> tuple[Finding | Gone, ...]:
        """Return what has been corroborated since the last call, has moved, or is corroborated no more."""
        self._next = MonotonicNs(now.monotonic + LOOK_EVERY_NS)
        news: list[Finding | Gone] = []
        for group in self._groups(self._testimonies(now)):
            news += self._agreed(group, now.monotonic)
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

    def _testimonies(self, now: Instant) -> list[_Testimony]:
        """Return what counts, once for each ticket and cause, the nearest first."""
        policy, found = self._policy, dict[tuple[HashedId8, CauseCode], tuple[float, _Testimony]]()
        considered = sorted(self._near(), key=lambda each: each[0])
        for distance, cause, place, event in considered:
            if len(found) >= MAX_CONSIDERED:
                self._counters["too_many"] += 1
                break
            ticket = event.key[1]
            sender = event.heard.source.position
            if event.is_disputed or (ticket, cause) in found or sender is None:
                continue
            witness = offset_m(self._here, sender)
            if hypot(witness[0] - place[0], witness[1] - place[1]) > policy.witness_m or not self._vouch(ticket, now):
                continue
            testimony = _Testimony(ticket=ticket, event=event, cause=cause, place=place, witness=witness)
            found[ticket, cause] = distance, testimony
        return [testimony for _, testimony in found.values()]

    def _near(self) -> Iterable[tuple[float, CauseCode, tuple[float, float], ReceivedEvent]]:
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
        left = list(testimonies)
        while left:
            seed = left[0]
            agreeing = [
                each
                for each in left
                if each.cause is seed.cause
                and hypot(each.place[0] - seed.place[0], each.place[1] - seed.place[1]) <= self._policy.apart_m
            ]
            left = [each for each in left if each not in agreeing]
            if self._independent(agreeing) >= self._policy.witnesses:
                yield _Group(testimonies=agreeing)
            else:
                self._counters["too_few"] += 1

    def _independent(self, testimonies: list[_Testimony]) -> int:
        """Count those who stand at places of their own."""
        places: list[tuple[float, float]] = []
        for each in testimonies:
            if all(hypot(each.witness[0] - x, each.witness[1] - y) > self._policy.one_car_m for x, y in places):
                places.append(each.witness)
        return len(places)

    def _agreed(self, group: _Group, now: MonotonicNs) -> list[Finding | Gone]:
        seed, place = group.testimonies[0], group.place
        told = self._known(seed.cause, place)
        if told is None:
            if len(self._told) >= MAX_CORROBORATED:
                self._counters["no_room"] += 1
                return []
            self._number += 1
            told = _Told(hazard_id=f"v{self._number}", cause=seed.cause, place=place, agreed=now, witnesses=0)
            self._told.append(told)
            self._counters["corroborated"] += 1
        elif hypot(told.place[0] - place[0], told.place[1] - place[1]) < MOVED_M:
            told.agreed, told.witnesses = now, self._independent(group.testimonies)
            return []
        told.agreed, told.place, told.witnesses = now, place, self._independent(group.testimonies)
        return [Finding(hazard_id=told.hazard_id, hazard=self._hazard(seed, place))]

    def _known(self, cause: CauseCode, place: tuple[float, float]) -> _Told | None:
        for told in self._told:
            if told.cause is cause and hypot(told.place[0] - place[0], told.place[1] - place[1]) <= self._policy.apart_m:
                return told
        return None

    def _hazard(self, seed: _Testimony, place: tuple[float, float]) -> Hazard:
        denm, policy = seed.event.denm, self._policy
        return Hazard(
            origin="corroborated by vehicles",
            cause_code=seed.cause,
            sub_cause_code=denm.sub_cause_code or 0,
            position=displaced(self._here, *place),
            relevance_distance_m=policy.radius_m if denm.relevance_distance is None else _RELEVANCE_M[denm.relevance_distance],
            relevance_traffic_direction=denm.relevance_traffic_direction or RelevanceTrafficDirection.ALL_TRAFFIC_DIRECTIONS,
            radius_m=policy.radius_m,
            validity_s=policy.validity_s,
            repetition_s=1.0,
            heading_deg=denm.event_heading_deg,
            information_quality=INFORMATION_QUALITY,
        )
