"""Where the vehicle came from: the path history of a CAM's low-frequency container (EN 302 637-2 B.21).

Points are kept only where the path bends: a position becomes a point as soon as the straight line from the last point would
leave any position since by more than `CHORD_ERROR_M`, or grow longer than `CHORD_LENGTH_M`. Length and number of points are
bounded. The history holds places, not messages; the caller turns it into deltas from its reference position.
"""

from collections import deque
from dataclasses import dataclass
from math import hypot

from shared.core.clock import MonotonicNs
from shared.core.geo import GeoPoint, distance_m, offset_m

CHORD_ERROR_M = 1.0
CHORD_LENGTH_M = 200.0
HISTORY_LENGTH_M = 300.0
MAX_POINTS = 23
"""Points kept: enough for 300 m in a town, and a CAM stays well under one radio frame."""
MAX_PENDING = 256
"""Positions remembered since the last point; a longer stretch is cut by a point of its own."""
MIN_STEP_M = 0.5
"""Positions closer than this to the one before say nothing new (a car that stands, jitter of GNSS)."""


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

    def add(self, position: GeoPoint, now: MonotonicNs) -> None:
        """Take the vehicle's present position."""
        here = TracePoint(position, now)
        if not self._points:
            self._points.appendleft(here)
            return
        last = self._pending[-1] if self._pending else self._points[0]
        if distance_m(last.position, position) < MIN_STEP_M:
            return
        if self._pending and self._must_keep(position):
            self._points.appendleft(self._pending[-1])
            self._pending.clear()
        self._pending.append(here)

    def points(self, reference: GeoPoint) -> tuple[TracePoint, ...]:
        """Return the points from the youngest back, as far as `HISTORY_LENGTH_M` of path behind `reference` reaches."""
        result: list[TracePoint] = []
        travelled_m = 0.0
        previous = reference
        for point in self._points:
            travelled_m += distance_m(previous, point.position)
            if travelled_m > HISTORY_LENGTH_M:
                break
            if travelled_m > 0.0:
                result.append(point)
            previous = point.position
        return tuple(result)

    def _must_keep(self, position: GeoPoint) -> bool:
        anchor = self._points[0].position
        chord = offset_m(anchor, position)
        length_m = hypot(*chord)
        if length_m > CHORD_LENGTH_M or len(self._pending) >= MAX_PENDING:
            return True
        return any(_distance_to_chord_m(offset_m(anchor, p.position), chord, length_m) > CHORD_ERROR_M for p in self._pending)


def _distance_to_chord_m(point: tuple[float, float], chord: tuple[float, float], length_m: float) -> float:
    if length_m < MIN_STEP_M:
        return hypot(*point)
    return abs(point[0] * chord[1] - point[1] * chord[0]) / length_m
