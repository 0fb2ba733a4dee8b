"""Where the vehicle came from: the path history of a CAM's low-frequency container (EN 302 637-2 B.21).

Points are kept only where the path bends: a position becomes a point as soon as the straight line from the last point would
leave any position since by more than `CHORD_ERROR_M`, or grow longer than `CHORD_LENGTH_M` or than a message can say. The points
told reach back `HISTORY_LENGTH_M` at least, where the vehicle came that far and `MAX_POINTS` suffice. Where the position was lost
(a tunnel) or jumped, the history begins anew: nobody saw the way between. It holds places, not messages; the caller turns it
into deltas from its reference position.
"""

from collections import deque
from dataclasses import dataclass
from math import hypot

from shared.core.clock import MonotonicNs
from shared.core.geo import GeoPoint, distance_m, offset_m

CHORD_ERROR_M = 1.0
CHORD_LENGTH_M = 200.0
HISTORY_LENGTH_M = 200.0
"""The path told ends with the first point at least so far back, hence at most `CHORD_LENGTH_M` later."""
MAX_POINTS = 23
"""Points kept: enough for 200 m of tight bends, and a CAM stays well under one radio frame."""
MAX_PENDING = 256
"""Positions remembered since the last point; a longer stretch is cut by a point of its own."""
MIN_STEP_M = 0.5
"""Positions closer than this to the one before say nothing new (a car that stands, jitter of GNSS)."""
MAX_STEP_M = 100.0
"""Two positions in a row farther apart are no path: at 130 km/h a car needs three seconds for that."""
MAX_DELTA_DEG = 0.0131071
"""The most a `DeltaLatitude` or `DeltaLongitude` can say; near the poles that is less than a chord."""


@dataclass(frozen=True, slots=True)
class TracePoint:
    """A place the vehicle was at, and when (interval time)."""

    position: GeoPoint
    at: MonotonicNs


class PathHistory:
    """Collects the points of one pseudonym; a change of pseudonym starts with a new one."""

    def __init__(self) -> None:
        self._points: deque[TracePoint] = deque(maxlen=MAX_POINTS)
        self._pending: list[TracePoint] = []
        self._offsets_m: list[tuple[float, float]] = []

    def add(self, position: GeoPoint, now: MonotonicNs) -> None:
        """Take the vehicle's present position."""
        here = TracePoint(position, now)
        if not self._points:
            self._points.appendleft(here)
            return
        last = self._pending[-1] if self._pending else self._points[0]
        step_m = distance_m(last.position, position)
        if step_m < MIN_STEP_M:
            return
        if step_m > MAX_STEP_M:
            self._points.clear()
            self._begin_at(here)
            return
        if self._pending and self._must_keep(position):
            self._begin_at(self._pending[-1])
        self._pending.append(here)
        self._offsets_m.append(offset_m(self._points[0].position, position))

    def points(self, reference: GeoPoint) -> tuple[TracePoint, ...]:
        """Return the points from the youngest back until `HISTORY_LENGTH_M` of path behind `reference` are covered."""
        result: list[TracePoint] = []
        travelled_m = 0.0
        previous = reference
        for point in self._points:
            travelled_m += distance_m(previous, point.position)
            if travelled_m > 0.0:
                result.append(point)
            if travelled_m >= HISTORY_LENGTH_M:
                break
            previous = point.position
        return tuple(result)

    def _begin_at(self, point: TracePoint) -> None:
        """Keep a point; what comes is measured from there."""
        self._points.appendleft(point)
        self._pending.clear()
        self._offsets_m.clear()

    def _must_keep(self, position: GeoPoint) -> bool:
        anchor = self._points[0].position
        chord = offset_m(anchor, position)
        length_m = hypot(*chord)
        if length_m > CHORD_LENGTH_M or len(self._pending) >= MAX_PENDING or not can_be_said(*delta_deg(anchor, position)):
            return True
        return any(_distance_to_chord_m(offset, chord, length_m) > CHORD_ERROR_M for offset in self._offsets_m)


def delta_deg(origin: GeoPoint, point: GeoPoint) -> tuple[float, float]:
    """Return the differences of latitude and longitude from `origin` to `point`, across the antimeridian where that is shorter."""
    return point.lat_deg - origin.lat_deg, (point.lon_deg - origin.lon_deg + 180.0) % 360.0 - 180.0


def can_be_said(delta_lat_deg: float, delta_lon_deg: float) -> bool:
    """Tell whether a `PathPoint` can say these differences."""
    return max(abs(delta_lat_deg), abs(delta_lon_deg)) <= MAX_DELTA_DEG


def _distance_to_chord_m(point: tuple[float, float], chord: tuple[float, float], length_m: float) -> float:
    if length_m < MIN_STEP_M:
        return hypot(*point)
    return abs(point[0] * chord[1] - point[1] * chord[0]) / length_m
