"""Where an event is, in all the ways a DENM says it: the area to be told, the trace that leads there, the places before.

Relative positions reach about 1.4 km; a way or a history ends where its next step cannot be said. Areas follow the heading: who
comes from behind is told along the road, who is ahead of an emergency vehicle also to the sides. Their widths are ours.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import cos, radians, sin

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.geo import GeoPoint, displaced
from shared.facilities.event_report import MAX_EVENT_POINTS
from shared.messages.cdd import PathPoint
from shared.messages.denm import EventPoint
from shared.network.area import Area, Circle, Ellipse, Rectangle
from vehicle_agent.path_history import TracePoint
from vehicle_agent.triggers.situation import Reach

MAX_DELTA_DEG = 0.0131071
"""`DeltaLatitude` and `DeltaLongitude`."""

MIN_DELTA_TIME_S, MAX_DELTA_TIME_S = 0.01, 655.35
"""`PathDeltaTime`."""

BESIDE_ROAD_M = 100.0
"""Half the width of an area along a road: roads bend."""

BEYOND_EVENT_M = 100.0
"""An area behind an event begins so far beyond it, and one ahead so far behind."""

BESIDE_EMERGENCY_M = 300.0
"""Half the width of the area ahead of an emergency vehicle: crossing roads too."""

Step = tuple[float, float, float | None]
"""Degrees of latitude and of longitude, and seconds where they can be said."""


def area_of(position: GeoPoint, heading_deg: float | None, reach: Reach, reach_m: float) -> Area:
    """Return where an event should be heard; all around where no heading says which way."""
    if heading_deg is None or reach is Reach.AROUND:
        return Circle(centre=position, radius_m=reach_m)
    half_m = (reach_m + BEYOND_EVENT_M) / 2
    forward_m = half_m - BEYOND_EVENT_M
    if reach is Reach.BEHIND:
        forward_m = -forward_m
    heading = radians(heading_deg)
    centre = displaced(position, forward_m * sin(heading), forward_m * cos(heading))
    if reach is Reach.BEHIND:
        return Rectangle(centre=centre, a_m=half_m, b_m=BESIDE_ROAD_M, azimuth_deg=heading_deg)
    return Ellipse(centre=centre, a_m=half_m, b_m=BESIDE_EMERGENCY_M, azimuth_deg=heading_deg)


def trace_to(position: GeoPoint, at: MonotonicNs, way: Iterable[TracePoint]) -> tuple[PathPoint, ...]:
    """Return the way that leads to an event, from the event backwards.

    Args:
        position: of the event.
        at: when the vehicle was there.
        way: where it was before, youngest first.
    """
    steps = _steps((TracePoint(position, at), *way))
    return tuple(PathPoint(lat, lon, delta_time_s=seconds) for lat, lon, seconds in steps)


def history_of(position: GeoPoint, at: MonotonicNs, before: Iterable[TracePoint], quality: int | None) -> tuple[EventPoint, ...]:
    """Return where else the event was seen, each place relative to the one after it, youngest first; at most 23."""
    steps = _steps((TracePoint(position, at), *before))[:MAX_EVENT_POINTS]
    return tuple(
        EventPoint(delta_lat_deg=lat, delta_lon_deg=lon, delta_time_s=seconds, information_quality=quality)
        for lat, lon, seconds in steps
    )


def _steps(points: Sequence[TracePoint]) -> list[Step]:
    steps: list[Step] = []
    for here, there in pairwise(points):
        lat = there.position.lat_deg - here.position.lat_deg
        lon = (there.position.lon_deg - here.position.lon_deg + 180.0) % 360.0 - 180.0
        if max(abs(lat), abs(lon)) > MAX_DELTA_DEG:
            break
        seconds = (here.at - there.at) / NS_PER_S
        steps.append((lat, lon, seconds if MIN_DELTA_TIME_S <= seconds <= MAX_DELTA_TIME_S else None))
    return steps
