"""Roadworks that somebody tells of, a car on its way there, and moments: for tests of what is heard and what is ahead."""

from msgspec.structs import replace

from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import ActionId, StationId, StationType
from shared.core.itstime import TimestampIts, time64_of, timestamp_its, utc_from_text
from shared.messages.cdd import CauseCode, PathPoint
from shared.messages.denm import Denm, RelevanceDistance, Termination
from shared.stack.station import EgoPosition

NOON = utc_from_text("2026-11-22T12:00:00Z")
SITE = GeoPoint(48.137, 11.575)
RSU = StationId(42)


def at(seconds: float) -> Instant:
    return Instant(MonotonicNs(round((1_000 + seconds) * NS_PER_S)), UtcNs(NOON + round(seconds * NS_PER_S)))


def its(seconds: float) -> TimestampIts:
    return timestamp_its(time64_of(UtcNs(NOON + round(seconds * NS_PER_S))))


ROADWORKS = Denm(
    station_id=RSU,
    action_id=ActionId(RSU, 1),
    detection_time=its(0),
    reference_time=its(0),
    station_type=StationType.ROAD_SIDE_UNIT,
    lat_deg=SITE.lat_deg,
    lon_deg=SITE.lon_deg,
    cause_code=CauseCode.ROADWORKS,
    relevance_distance=RelevanceDistance.LESS_THAN_500M,
    validity_duration_s=60,
)


def ego(
    east_m: float, north_m: float, heading_deg: float | None = 90.0, speed_mps: float | None = 10.0, centre: GeoPoint = SITE
) -> EgoPosition:
    return EgoPosition(point=displaced(centre, east_m, north_m), taken_at=NOON, speed_mps=speed_mps, heading_deg=heading_deg)


BEFORE = ego(-100, 0)


def trace(*points_m: tuple[float, float]) -> tuple[PathPoint, ...]:
    """The way to the event as points (east, north) of the site, from the event backwards."""
    steps, before = [], SITE
    for east_m, north_m in points_m:
        point = displaced(SITE, east_m, north_m)
        steps.append(PathPoint(point.lat_deg - before.lat_deg, point.lon_deg - before.lon_deg))
        before = point
    return tuple(steps)


CANCELLATION = replace(
    ROADWORKS, termination=Termination.IS_CANCELLATION, reference_time=its(5), detection_time=its(5), cause_code=None
)


NEGATION = replace(
    ROADWORKS,
    station_id=StationId(7),
    termination=Termination.IS_NEGATION,
    reference_time=its(5),
    detection_time=its(5),
    cause_code=None,
)
