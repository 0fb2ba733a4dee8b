"""From objects that detectors see to hazards: a rule says what must be seen, for how long, and when it is gone. Sans-IO.

    a list in which enough objects match            the rule's run begins, or goes on
    ... for `for_s`, with no gap over `MAX_GAP_S`   found: the hazard is told of, at the middle of the objects
    ... which have moved by `MOVED_M`               told of anew, at most once a second
    no match for `clear_s`, or no list at all       gone: the hazard is cancelled, for nobody sees it any more

A list is believed when its time is near ours and later than that of the list before. Objects farther from their detector than it
sees are left out. Both are counted. Left out: fusing what several detectors see; each speaks for itself.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from rsu_agent.hazard import Hazard
from rsu_agent.object_lists import ObjectList, SeenObject, decode_object_list
from rsu_agent.placed_hazards import Finding, Gone, HazardSource
from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import DecodeError, UntrustedTimeError
from shared.core.geo import GeoPoint, displaced, distance_m, heading_difference_deg, offset_m

MAX_GAP_S = 0.5
"""A run of matches is broken by a longer time without one."""

MAX_AHEAD_S = 0.5
"""A list may be dated so far ahead of our clock."""

MOVED_M = 10.0
"""A hazard whose objects have moved so far is told of anew."""

MOVED_APART_NS = NS_PER_S
"""Not more often than this."""

INFORMATION_QUALITY = 5
"""What a detector sees is sure, but no operator has looked (`InformationQuality`, 1..7)."""

_AT_ONCE = MonotonicNs(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Which objects are a hazard.

    Attributes:
        name: of the rule, unique within its detector.
        kinds: of objects that count.
        centre: where they count, within `within_m`; None for wherever the detector sees.
        count: so many are needed at once.
        confidence: each is believed to at least so much.
        min_speed_mps: and at least so fast, where that is known.
        max_speed_mps: and at most so fast, where that is known.
        heading_deg: and moving that way, within `heading_tolerance_deg`, as a wrong-way driver does; None for any.
        for_s: for so long.
        clear_s: gone after so long without.
        hazard: what is told, given the middle of the objects.
    """

    name: str
    kinds: frozenset[str]
    centre: GeoPoint | None
    within_m: float | None
    count: int
    confidence: float
    min_speed_mps: float | None
    max_speed_mps: float | None
    heading_deg: float | None
    heading_tolerance_deg: float
    for_s: float
    clear_s: float
    hazard: Callable[[GeoPoint], Hazard]

    def matches(self, seen: SeenObject) -> bool:
        """Tell whether an object counts; a speed or heading that is asked for and not known does not."""
        if seen.kind not in self.kinds or seen.confidence < self.confidence:
            return False
        if self.min_speed_mps is not None and (seen.speed_mps is None or seen.speed_mps < self.min_speed_mps):
            return False
        if self.max_speed_mps is not None and (seen.speed_mps is None or seen.speed_mps > self.max_speed_mps):
            return False
        if self.heading_deg is not None and (
            seen.heading_deg is None or heading_difference_deg(seen.heading_deg, self.heading_deg) > self.heading_tolerance_deg
        ):
            return False
        if self.centre is None or self.within_m is None:
            return True
        return distance_m(self.centre, GeoPoint(seen.lat_deg, seen.lon_deg)) <= self.within_m


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """One detector.

    Attributes:
        name: the last level of its topic.
        position: where it stands.
        reach_m: how far it sees.
        stale_s: how old a list may be when it comes.
        rules: what is a hazard to it.
    """

    name: str
    position: GeoPoint
    reach_m: float
    stale_s: float
    rules: tuple[Rule, ...]


@dataclass(slots=True, kw_only=True)
class _Run:
    """What one rule has seen."""

    rule: Rule
    hazard_id: str
    began: MonotonicNs | None = None
    last: MonotonicNs = _AT_ONCE
    found_at: GeoPoint | None = None
    told: MonotonicNs = _AT_ONCE

    @property
    def clears(self) -> MonotonicNs | None:
        """When it is gone unless it is seen again; None for what is not found."""
        return None if self.found_at is None else MonotonicNs(self.last + round(self.rule.clear_s * NS_PER_S))


class _Eye:
    """One detector and what it said."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.runs = tuple(_Run(rule=rule, hazard_id=f"{detector.name}.{rule.name}") for rule in detector.rules)
        self.last_utc: UtcNs | None = None
        self.last_list: MonotonicNs | None = None
        self.objects = 0
        self.counters: Counter[str] = Counter()


class ObjectWatch:
    """What detectors see.

    Args:
        detectors: those that are listened to; of all others nothing is believed.
    """

    source = HazardSource.DETECTOR

    def __init__(self, detectors: tuple[Detector, ...]) -> None:
        self._eyes = {detector.name: _Eye(detector) for detector in detectors}
        self._news: dict[str, Finding | Gone] = {}
        self._strangers = 0

    def hear(self, name: str, octets: bytes, now: Instant) -> None:
        """Take a document of a detector; what is wrong with it is counted, and it changes nothing."""
        eye = self._eyes.get(name)
        if eye is None:
            self._strangers += 1
            return
        try:
            seen = decode_object_list(octets)
            self._check_time(eye, seen, now)
        except DecodeError:
            eye.counters["malformed"] += 1
            return
        except UntrustedTimeError as error:
            eye.counters[error.code] += 1
            return
        except _UntimelyError as error:
            eye.counters[error.word] += 1
            return
        eye.counters["lists"] += 1
        eye.last_utc, eye.last_list = seen.utc, now.monotonic
        near = [each for each in seen.objects if self._is_in_reach(eye.detector, each)]
        eye.objects = len(near)
        eye.counters["out_of_reach"] += len(seen.objects) - len(near)
        for run in eye.runs:
            self._follow(run, [each for each in near if run.rule.matches(each)], now.monotonic)

    def look(self, now: Instant) -> tuple[Finding | Gone, ...]:
        """Return what was found, has moved, or is gone since the last call."""
        for eye in self._eyes.values():
            for run in eye.runs:
                clears = run.clears
                if clears is not None and clears <= now.monotonic:
                    run.found_at = run.began = None
                    self._news[run.hazard_id] = Gone(run.hazard_id)
                    eye.counters["gone"] += 1
        news, self._news = self._news, {}
        return tuple(news.values())

    def next_due(self) -> MonotonicNs | None:
        """Return when `look` next has something to tell; None while nothing is found."""
        if self._news:
            return _AT_ONCE
        clears = (run.clears for eye in self._eyes.values() for run in eye.runs)
        return min((each for each in clears if each is not None), default=None)

    def status(self) -> dict[str, object]:
        """Return what each detector said, as JSON values."""
        return {
            "strangers": self._strangers,
            **{
                name: {
                    "objects": eye.objects,
                    "found": [run.hazard_id for run in eye.runs if run.found_at is not None],
                    "counters": dict(eye.counters),
                }
                for name, eye in self._eyes.items()
            },
        }

    def _check_time(self, eye: _Eye, seen: ObjectList, now: Instant) -> None:
        utc = now.require_utc()
        if seen.utc > utc + round(MAX_AHEAD_S * NS_PER_S):
            raise _UntimelyError("ahead")
        if seen.utc < utc - round(eye.detector.stale_s * NS_PER_S):
            raise _UntimelyError("stale")
        if eye.last_utc is not None and seen.utc <= eye.last_utc:
            raise _UntimelyError("repeated")

    def _is_in_reach(self, detector: Detector, seen: SeenObject) -> bool:
        return distance_m(detector.position, GeoPoint(seen.lat_deg, seen.lon_deg)) <= detector.reach_m

    def _follow(self, run: _Run, matching: list[SeenObject], now: MonotonicNs) -> None:
        if run.began is not None and now - run.last > round(MAX_GAP_S * NS_PER_S) and run.found_at is None:
            run.began = None
        if len(matching) < run.rule.count:
            return
        run.began = now if run.began is None else run.began
        run.last = now
        if now - run.began < round(run.rule.for_s * NS_PER_S):
            return
        middle = _middle(matching)
        has_moved = run.found_at is not None and distance_m(run.found_at, middle) >= MOVED_M and now - run.told >= MOVED_APART_NS
        if run.found_at is None or has_moved:
            run.found_at, run.told = middle, now
            hazard = replace(run.rule.hazard(middle), information_quality=INFORMATION_QUALITY)
            self._news[run.hazard_id] = Finding(hazard_id=run.hazard_id, hazard=hazard)


class _UntimelyError(Exception):
    """A list of another time; the word is what it is counted under."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


def _middle(seen: list[SeenObject]) -> GeoPoint:
    """Return the mean of places that are near each other, by offsets, so that no antimeridian is in the way."""
    origin = GeoPoint(seen[0].lat_deg, seen[0].lon_deg)
    offsets = [offset_m(origin, GeoPoint(each.lat_deg, each.lon_deg)) for each in seen]
    return displaced(origin, sum(east for east, _ in offsets) / len(offsets), sum(north for _, north in offsets) / len(offsets))
