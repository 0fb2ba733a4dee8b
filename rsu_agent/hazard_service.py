"""Hazards an operator configured, told as DENMs (EN 302 637-3 V1.3.1): announced, repeated, kept valid, and cancelled when asked.

`OriginatedEvents` tells of them; this service knows when. An event is updated before half of its validity has passed, and at the
end it is cancelled, which is repeated for a while by whoever goes on polling. Each is geo-broadcast to a circle around the event.

A hazard is known by its cause and place. After a restart it goes on under its old action id; one that is no longer configured is
cancelled. What is needed for that (`EventKeeper`) is kept before a DENM leaves; where it cannot be kept, the hazard is told of all
the same, and that is counted: a warning is worth more than a tidy end.

An event that others tell of and that is not there, as the operator knows, is negated here too (`negate`): said for a while under
their action id. Nobody has to believe one station that says so.

Left out: hazards from detectors or from vehicles.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.errors import ConfigError, StorageError
from shared.core.geo import GeoPoint, offset_m
from shared.core.ids import ActionId, StationId, StationType
from shared.facilities.event_report import Announcement, EventReport, NoSuchEventError
from shared.facilities.originated_events import LiveEvent, OriginatedEvents
from shared.facilities.saved_events import EventKeeper, NothingKept, SavedEvents, read_saved
from shared.messages.cdd import PathPoint
from shared.messages.denm import MAX_TRACES, Alacarte, Denm, RelevanceDistance, RelevanceTrafficDirection, RoadWorks, Termination
from shared.network.area import Circle
from shared.stack.indication import Verified

__all__ = ["Announcement", "Hazard", "HazardService", "relevance_distance"]

MAX_HAZARDS = 64
"""Most hazards one station announces."""

MIN_REPETITION_S, MAX_REPETITION_S = 0.1, 10.0
"""`TransmissionInterval` says 1 ms to 10 s; faster than ten times a second serves nobody."""

MIN_VALIDITY_S, MAX_VALIDITY_S = 10, 86_400
"""`ValidityDuration`; at least some repetitions must fit into it."""

MAX_RADIUS_M = 1_780.0
"""A circle of 10 km2, the largest area a station may geo-broadcast to (EN 302 636-4-1 itsGnMaxGeoAreaSize)."""

MAX_TRACE_POINTS = 40
"""`PathHistory`."""

MAX_TRACE_STEP_DEG = 0.0131071
"""`DeltaLatitude` and `DeltaLongitude`: some 1.4 km of latitude from one point to the next."""

INFORMATION_QUALITY = 7
"""An operator's own roadworks: the highest quality (`InformationQuality`)."""

_AT_ONCE = MonotonicNs(0)

_RELEVANCE_BOUNDS_M = (
    (50.0, RelevanceDistance.LESS_THAN_50M),
    (100.0, RelevanceDistance.LESS_THAN_100M),
    (200.0, RelevanceDistance.LESS_THAN_200M),
    (500.0, RelevanceDistance.LESS_THAN_500M),
    (1_000.0, RelevanceDistance.LESS_THAN_1000M),
    (5_000.0, RelevanceDistance.LESS_THAN_5KM),
    (10_000.0, RelevanceDistance.LESS_THAN_10KM),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hazard:
    """One hazard as the operator describes it.

    Attributes:
        origin: where it was configured; begins every error's sentence.
        cause_code: TS 102 894-2 `CauseCodeType`, 3 for roadworks.
        sub_cause_code: 0..255, 0 where nothing finer is said.
        position: where it is; for roadworks, where they begin.
        relevance_distance_m: how far before it drivers want to know; said as the next larger step of the standard.
        relevance_traffic_direction: for whom it matters, seen from the event.
        radius_m: radius of the circle in which it is broadcast.
        validity_s: how long a receiver that hears nothing more believes it, whole seconds.
        repetition_s: time between repetitions.
        heading_deg: direction of the traffic it concerns, degrees from north, or None.
        speed_limit_mps: temporary limit at roadworks, or None.
        traces: ways that lead to the event, each from the event backwards; empty where none is given.
        cancel_at_stop: whether it ends when the station stops, rather than running out.

    Raises:
        ConfigError: a value is out of range.
    """

    origin: str
    cause_code: int
    sub_cause_code: int
    position: GeoPoint
    relevance_distance_m: float
    relevance_traffic_direction: RelevanceTrafficDirection
    radius_m: float
    validity_s: int
    repetition_s: float
    heading_deg: float | None = None
    speed_limit_mps: float | None = None
    traces: tuple[tuple[GeoPoint, ...], ...] = ()
    cancel_at_stop: bool = True

    def __post_init__(self) -> None:
        self._check("cause_code", self.cause_code, 1, 255)
        self._check("sub_cause_code", self.sub_cause_code, 0, 255)
        self._check("validity_s", self.validity_s, MIN_VALIDITY_S, MAX_VALIDITY_S)
        self._check("repetition_s", self.repetition_s, MIN_REPETITION_S, MAX_REPETITION_S)
        self._check("radius_m", self.radius_m, 10.0, MAX_RADIUS_M)
        self._check("relevance_distance_m", self.relevance_distance_m, 1.0, 50_000.0)
        if self.heading_deg is not None and not 0.0 <= self.heading_deg < 360.0:
            raise ConfigError(f"{self.origin}: heading_deg", f"{self.heading_deg} is not within 0 to 360")
        if self.speed_limit_mps is not None:
            self._check("speed_limit_mps", self.speed_limit_mps, 0.5, 70.0)
        if len(self.traces) > MAX_TRACES:
            raise ConfigError(f"{self.origin}: traces", f"{len(self.traces)} traces, at most {MAX_TRACES} can be said")
        for index, trace in enumerate(self.traces):
            _check_trace(f"{self.origin}: traces[{index}]", self.position, trace)

    def _check(self, key: str, value: float, least: float, most: float) -> None:
        if not least <= value <= most:
            raise ConfigError(f"{self.origin}: {key}", f"{value} is not within {least} to {most}")


@dataclass(slots=True)
class _Told:
    """A hazard and what is said of it."""

    hazard: Hazard
    report: EventReport
    action_id: ActionId | None = None
    next_update: MonotonicNs = _AT_ONCE


class HazardService:
    """Announces every configured hazard until it is stopped.

    Args:
        hazards: what to announce, at most `MAX_HAZARDS`.
        station_id: the station that announces; originator of every action id.
        first_sequence_number: action id of the first hazard, the others follow; where nothing is resumed.
        resumed: what was kept before a restart; another station's is let go.
        keeper: keeps what a restart needs.

    Raises:
        ConfigError: there are too many hazards.
        DecodeError: what is to be resumed is not what we write.
    """

    def __init__(
        self,
        hazards: tuple[Hazard, ...],
        station_id: StationId,
        first_sequence_number: int = 0,
        *,
        resumed: SavedEvents | None = None,
        keeper: EventKeeper | None = None,
    ) -> None:
        if len(hazards) > MAX_HAZARDS:
            raise ConfigError(hazards[-1].origin, f"{len(hazards)} hazards, at most {MAX_HAZARDS}")
        self._told = [_Told(hazard, _report(hazard, name)) for name, hazard in _named(hazards).items()]
        self._resumed = resumed if resumed is not None and resumed.station_id == station_id else None
        if self._resumed is not None:
            read_saved(self._resumed)
        self._events = OriginatedEvents(station_id, StationType.ROAD_SIDE_UNIT, first_sequence_number, MAX_HAZARDS)
        self._keeper = NothingKept() if keeper is None else keeper
        self._kept_revision: int | None = None
        self._counters: Counter[str] = Counter()
        self._trouble: str | None = None

    @property
    def live(self) -> tuple[Announcement, ...]:
        """What was last announced of every hazard that is being announced."""
        return tuple(
            Announcement(denm=event.denm, area=event.report.area, action_id=event.action_id)
            for event in self._events.live
            if event.denm is not None
        )

    @property
    def live_events(self) -> tuple[LiveEvent, ...]:
        """Every hazard that is being told of, with its end."""
        return self._events.live

    @property
    def untrusted_time(self) -> int:
        """How often nothing could be said because UTC was not known."""
        return self._events.counters.get("untrusted_time", 0)

    @property
    def counters(self) -> Mapping[str, int]:
        """What was counted: as `OriginatedEvents.counters`, and `resumed`, `removed` and `not_kept`."""
        return {**self._events.counters, **self._counters}

    @property
    def trouble(self) -> str | None:
        """Why the events could not be kept for a restart; None when they were."""
        return self._trouble

    def poll(self, now: Instant) -> tuple[Announcement, ...]:
        """Return what is due at `now`; nothing while UTC is not known, which is counted once a second."""
        self._resume(now)
        for told in self._told:
            if told.next_update <= now.monotonic:
                self._tell(told, now)
        due = self._events.poll(now)
        self._keep()
        return due

    def next_due(self) -> MonotonicNs | None:
        """Return when `poll` next has something to say; None without hazards."""
        if self._resumed is not None:
            return _AT_ONCE
        due = [told.next_update for told in self._told]
        if (said := self._events.next_due()) is not None:
            due.append(said)
        return min(due, default=None)

    def stop(self, now: Instant) -> tuple[Announcement, ...]:
        """End the service and return the cancellation of every announced hazard that asks for one.

        Nothing else is announced afterwards; `poll` repeats the cancellations for a while. Without UTC nothing can be dated or
        signed: the cancellations then wait for it, in what is kept too.
        """
        self._resume(now)
        told, self._told = self._told, []
        for each in told:
            if each.action_id is None:
                continue
            if each.hazard.cancel_at_stop:
                self._events.cancel(each.action_id, now)
            else:
                self._events.silence(each.action_id)
        due = tuple(said for said in self._events.poll(now) if said.denm.termination is Termination.IS_CANCELLATION)
        self._keep()
        return due

    def negate(self, event: Verified[Denm], now: Instant) -> None:
        """Say that an event of somebody else is not there; raises as `OriginatedEvents.negate`."""
        self._resume(now)
        self._events.negate(event, now)

    def _tell(self, told: _Told, now: Instant) -> None:
        told.next_update = MonotonicNs(now.monotonic + told.hazard.validity_s * NS_PER_S // 2)
        if told.action_id is not None:
            try:
                self._events.update(told.action_id, told.report, now)
            except NoSuchEventError:  # it ran out while nobody polled
                told.action_id = None
        if told.action_id is None:
            told.action_id = self._events.trigger(told.report, now)

    def _resume(self, now: Instant) -> None:
        """Take up what was kept: hazards that are configured still go on, all others are cancelled."""
        resumed, self._resumed = self._resumed, None
        if resumed is None:
            return
        self._events = OriginatedEvents.restored(resumed, StationType.ROAD_SIDE_UNIT, now, MAX_HAZARDS)
        by_name = {told.report.name: told for told in self._told}
        for event in self._events.live:
            told = by_name.get(event.report.name)
            if told is not None and told.action_id is None:
                told.action_id = event.action_id
                self._counters["resumed"] += 1
            else:
                self._events.cancel(event.action_id, now)
                self._counters["removed"] += 1

    def _keep(self) -> None:
        if self._kept_revision == self._events.revision:
            return
        try:
            self._keeper.keep(self._events.snapshot())
        except StorageError as error:
            self._counters["not_kept"] += 1
            self._trouble = str(error)
            return
        self._trouble = None
        self._kept_revision = self._events.revision


def relevance_distance(distance_m: float) -> RelevanceDistance:
    """Return the smallest step of the standard that covers `distance_m`."""
    for bound_m, step in _RELEVANCE_BOUNDS_M:
        if distance_m <= bound_m:
            return step
    return RelevanceDistance.OVER_10KM


def _named(hazards: tuple[Hazard, ...]) -> dict[str, Hazard]:
    """Return each hazard under the name by which it is known again: its cause and place and, of several there, which."""
    named: dict[str, Hazard] = {}
    for hazard in hazards:
        name = f"{hazard.cause_code}@{hazard.position.lat_deg:.7f},{hazard.position.lon_deg:.7f}"
        number = 1
        while f"{name}#{number}" in named:
            number += 1
        named[f"{name}#{number}"] = hazard
    return named


def _report(hazard: Hazard, name: str) -> EventReport:
    limit_mps = hazard.speed_limit_mps
    return EventReport(
        name=name,
        cause_code=hazard.cause_code,
        sub_cause_code=hazard.sub_cause_code,
        position=hazard.position,
        area=Circle(centre=hazard.position, radius_m=hazard.radius_m),
        validity_s=hazard.validity_s,
        repetition_interval_ms=round(hazard.repetition_s * 1_000),
        information_quality=INFORMATION_QUALITY,
        relevance_distance=relevance_distance(hazard.relevance_distance_m),
        relevance_traffic_direction=hazard.relevance_traffic_direction,
        event_heading_deg=hazard.heading_deg,
        event_heading_confidence_deg=None if hazard.heading_deg is None else 10.0,
        traces=tuple(_path(hazard.position, trace) for trace in hazard.traces) or None,
        alacarte=None if limit_mps is None else Alacarte(road_works=RoadWorks(speed_limit_mps=limit_mps)),
    )


def _path(event_position: GeoPoint, trace: tuple[GeoPoint, ...]) -> tuple[PathPoint, ...]:
    points = []
    before = event_position
    for point in trace:
        points.append(PathPoint(point.lat_deg - before.lat_deg, point.lon_deg - before.lon_deg))
        before = point
    return tuple(points)


def _check_trace(key: str, event_position: GeoPoint, trace: tuple[GeoPoint, ...]) -> None:
    if not 1 <= len(trace) <= MAX_TRACE_POINTS:
        raise ConfigError(key, f"{len(trace)} points are not within 1 to {MAX_TRACE_POINTS}")
    before = event_position
    for index, point in enumerate(trace):
        if max(abs(point.lat_deg - before.lat_deg), abs(point.lon_deg - before.lon_deg)) >= MAX_TRACE_STEP_DEG:
            east_m, north_m = offset_m(before, point)
            raise ConfigError(
                f"{key}[{index}]", f"({east_m:.0f}, {north_m:.0f}) m (east, north) from the point before is too far to be said"
            )
        before = point
