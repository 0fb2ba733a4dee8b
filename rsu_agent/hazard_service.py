"""Hazards an operator configured, told as DENMs (EN 302 637-3 V1.3.1): announced, repeated, kept valid, and cancelled when asked.

Life of one hazard: a new DENM with an action id of this station; the same DENM again every repetition interval; an update (new
reference time, same action id) before the validity runs out; a cancellation at the end, after which nothing is said. Each is
geo-broadcast to a circle around the event.

Left out: hazards from detectors or from vehicles, and sequence numbers that survive a restart (a restarted station updates its own
earlier events, because reference times only grow).
"""

from dataclasses import dataclass

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs
from shared.core.errors import ConfigError
from shared.core.geo import GeoPoint, offset_m
from shared.core.ids import ActionId, StationId, StationType
from shared.core.itstime import TimestampIts, time64_of, timestamp_its
from shared.messages.cdd import PathPoint
from shared.messages.denm import (
    MAX_TRACES,
    Alacarte,
    Denm,
    RelevanceDistance,
    RelevanceTrafficDirection,
    RoadWorks,
    Termination,
)
from shared.network.area import Circle

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """A DENM and where it should be heard."""

    denm: Denm
    area: Circle


class _Event:
    """One hazard's life on the air."""

    __slots__ = ("action_id", "hazard", "latest", "next_repetition", "next_update")

    def __init__(self, hazard: Hazard, action_id: ActionId) -> None:
        self.hazard = hazard
        self.action_id = action_id
        self.latest: Announcement | None = None
        self.next_repetition: MonotonicNs | None = None
        self.next_update = MonotonicNs(0)


class HazardService:
    """Announces every configured hazard until it is stopped.

    Args:
        hazards: what to announce, at most `MAX_HAZARDS`.
        station_id: the station that announces; originator of every action id.
        first_sequence_number: action id of the first hazard, the others follow.

    Raises:
        ConfigError: there are too many hazards.
    """

    def __init__(self, hazards: tuple[Hazard, ...], station_id: StationId, first_sequence_number: int = 0) -> None:
        if len(hazards) > MAX_HAZARDS:
            raise ConfigError(hazards[-1].origin, f"{len(hazards)} hazards, at most {MAX_HAZARDS}")
        self._station_id = station_id
        self._events = [
            _Event(hazard, ActionId(station_id, (first_sequence_number + number) & 0xFFFF)) for number, hazard in enumerate(hazards)
        ]
        self._untrusted_time = 0
        self._retry: MonotonicNs | None = None

    @property
    def live(self) -> tuple[Announcement, ...]:
        """What was last announced of every hazard that is being announced."""
        return tuple(event.latest for event in self._events if event.latest is not None)

    @property
    def untrusted_time(self) -> int:
        """How often nothing could be said because UTC was not known."""
        return self._untrusted_time

    def poll(self, now: Instant) -> tuple[Announcement, ...]:
        """Return what is due at `now`; nothing while UTC is not known, which is counted once a second."""
        due = [event for event in self._events if event.next_repetition is None or event.next_repetition <= now.monotonic]
        if not due:
            return ()
        if now.utc is None:
            if self._retry is None or self._retry <= now.monotonic:
                self._untrusted_time += 1
                self._retry = MonotonicNs(now.monotonic + NS_PER_S)
            return ()
        self._retry = None
        return tuple(self._announce(event, now) for event in due)

    def next_due(self) -> MonotonicNs | None:
        """Return when `poll` next has something to say; None without hazards."""
        if not self._events:
            return None
        if self._retry is not None:
            return self._retry
        return MonotonicNs(min(event.next_repetition or 0 for event in self._events))

    def stop(self, now: Instant) -> tuple[Announcement, ...]:
        """End the service and return the cancellation of every announced hazard that asks for one.

        Nothing is announced afterwards. Without UTC nothing can be dated or signed: the hazards then run out by themselves.
        """
        events, self._events = self._events, []
        if now.utc is None:
            self._untrusted_time += 1
            return ()
        time = _its_ms(now)
        return tuple(
            Announcement(denm=_cancellation(event, self._station_id, time), area=event.latest.area)
            for event in events
            if event.latest is not None and event.hazard.cancel_at_stop
        )

    def _announce(self, event: _Event, now: Instant) -> Announcement:
        if event.latest is None or event.next_update <= now.monotonic:
            event.latest = Announcement(
                denm=_denm(event, self._station_id, _its_ms(now)),
                area=Circle(centre=event.hazard.position, radius_m=event.hazard.radius_m),
            )
            event.next_update = MonotonicNs(now.monotonic + event.hazard.validity_s * NS_PER_S // 2)
        interval = round(event.hazard.repetition_s * 1_000) * NS_PER_MS
        due = now.monotonic if event.next_repetition is None else event.next_repetition
        event.next_repetition = MonotonicNs(due + interval if due + interval > now.monotonic else now.monotonic + interval)
        return event.latest


def relevance_distance(distance_m: float) -> RelevanceDistance:
    """Return the smallest step of the standard that covers `distance_m`."""
    for bound_m, step in _RELEVANCE_BOUNDS_M:
        if distance_m <= bound_m:
            return step
    return RelevanceDistance.OVER_10KM


def _its_ms(now: Instant) -> TimestampIts:
    return timestamp_its(time64_of(now.require_utc()))


def _denm(event: _Event, station_id: StationId, time: TimestampIts) -> Denm:
    hazard = event.hazard
    paths = tuple(_path(hazard.position, trace) for trace in hazard.traces)
    has_location = bool(paths) or hazard.heading_deg is not None
    return Denm(
        station_id=station_id,
        action_id=event.action_id,
        detection_time=time,
        reference_time=time,
        station_type=StationType.ROAD_SIDE_UNIT,
        lat_deg=hazard.position.lat_deg,
        lon_deg=hazard.position.lon_deg,
        relevance_distance=relevance_distance(hazard.relevance_distance_m),
        relevance_traffic_direction=hazard.relevance_traffic_direction,
        validity_duration_s=hazard.validity_s,
        transmission_interval_ms=round(hazard.repetition_s * 1_000),
        information_quality=INFORMATION_QUALITY,
        cause_code=hazard.cause_code,
        sub_cause_code=hazard.sub_cause_code,
        event_heading_deg=hazard.heading_deg,
        event_heading_confidence_deg=None if hazard.heading_deg is None else 10.0,
        traces=(paths or ((),)) if has_location else None,
        alacarte=None if hazard.speed_limit_mps is None else Alacarte(road_works=RoadWorks(speed_limit_mps=hazard.speed_limit_mps)),
    )


def _cancellation(event: _Event, station_id: StationId, time: TimestampIts) -> Denm:
    """EN 302 637-3: a cancellation is the management container alone, with the same action id and a later reference time."""
    hazard = event.hazard
    before = event.latest.denm.reference_time if event.latest is not None else 0
    return Denm(
        station_id=station_id,
        action_id=event.action_id,
        detection_time=time,
        reference_time=TimestampIts(max(time, before + 1)),
        station_type=StationType.ROAD_SIDE_UNIT,
        lat_deg=hazard.position.lat_deg,
        lon_deg=hazard.position.lon_deg,
        termination=Termination.IS_CANCELLATION,
        validity_duration_s=hazard.validity_s,
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
