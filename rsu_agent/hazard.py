"""One hazard as an operator, a detector or a traffic centre describes it, and what a DENM says of it (EN 302 637-3 clause 7).

Every value is checked when the hazard is made, and the error says where it came from and which key is wrong. Left out: when it is
told and for how long (`hazard_service`).
"""

from dataclasses import dataclass

from shared.core.errors import ConfigError
from shared.core.geo import GeoPoint, offset_m
from shared.core.ids import ActionId, StationId, StationType
from shared.core.itstime import TimestampIts
from shared.facilities.event_report import EventReport, announcing_denm
from shared.messages.cdd import PathPoint
from shared.messages.denm import MAX_TRACES, Alacarte, RelevanceDistance, RelevanceTrafficDirection, RoadWorks, encode_denm
from shared.network.area import Circle
from shared.network.btp import BTP_OCTETS
from shared.network.packet import MAX_SDU_OCTETS

MIN_REPETITION_S, MAX_REPETITION_S = 0.1, 10.0
"""`TransmissionInterval` says 1 ms to 10 s; faster than ten times a second serves nobody."""

MIN_VALIDITY_S, MAX_VALIDITY_S = 10, 86_400
"""`ValidityDuration`; at least some repetitions must fit into it."""

MAX_RADIUS_M = 1_780.0
"""A circle of 10 km2, the largest area a station may geo-broadcast to (EN 302 636-4-1 itsGnMaxGeoAreaSize)."""

MAX_MESSAGE_OCTETS = MAX_SDU_OCTETS - BTP_OCTETS
"""What one packet carries: many long traces are more than that."""

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
        information_quality: how sure it is, 1..7.

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
    information_quality: int = INFORMATION_QUALITY

    def __post_init__(self) -> None:
        self._check("cause_code", self.cause_code, 1, 255)
        self._check("sub_cause_code", self.sub_cause_code, 0, 255)
        self._check("validity_s", self.validity_s, MIN_VALIDITY_S, MAX_VALIDITY_S)
        self._check("repetition_s", self.repetition_s, MIN_REPETITION_S, MAX_REPETITION_S)
        self._check("information_quality", self.information_quality, 1, 7)
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
        self._check_length()

    def _check_length(self) -> None:
        action_id, moment = ActionId(StationId(0), 0), TimestampIts(0)
        denm = announcing_denm(
            report_of_hazard(self, ""),
            station_id=action_id.originating_station_id,
            station_type=StationType.ROAD_SIDE_UNIT,
            action_id=action_id,
            detection_time=moment,
            reference_time=moment,
        )
        octets = len(encode_denm(denm))
        if octets > MAX_MESSAGE_OCTETS:
            raise ConfigError(
                f"{self.origin}: traces", f"they make {octets} octets of a message, and {MAX_MESSAGE_OCTETS} can be said"
            )

    def _check(self, key: str, value: float, least: float, most: float) -> None:
        if not least <= value <= most:
            raise ConfigError(f"{self.origin}: {key}", f"{value} is not within {least} to {most}")


def relevance_distance(distance_m: float) -> RelevanceDistance:
    """Return the smallest step of the standard that covers `distance_m`."""
    for bound_m, step in _RELEVANCE_BOUNDS_M:
        if distance_m <= bound_m:
            return step
    return RelevanceDistance.OVER_10KM


def report_of_hazard(hazard: Hazard, name: str) -> EventReport:
    """Return what a DENM says of a hazard; `name` is what its reporter knows it by."""
    limit_mps = hazard.speed_limit_mps
    return EventReport(
        name=name,
        cause_code=hazard.cause_code,
        sub_cause_code=hazard.sub_cause_code,
        position=hazard.position,
        area=Circle(centre=hazard.position, radius_m=hazard.radius_m),
        validity_s=hazard.validity_s,
        repetition_interval_ms=round(hazard.repetition_s * 1_000),
        information_quality=hazard.information_quality,
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
