"""Signals over time, and how they go together: correlation, slope, and the distance a speed amounts to."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, sqrt

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.geo import GeoPoint, bearing_deg
from shared.core.geo import distance_m as metres_between
from vehicle_agent.learning.listen import HeardMessage
from vehicle_agent.signals.dbc import SignalLayout

MAX_BRIDGE_NS = 2 * NS_PER_S
"""A value older than this is not set beside another."""

TRACK_STEP_NS = NS_PER_S
"""Places of a track nearer in time tell noise."""

MIN_PAIRS = 20
"""Values side by side that a correlation takes."""


@dataclass(frozen=True, slots=True)
class Series:
    """Values and when they were received, in order."""

    times: tuple[int, ...]
    values: tuple[float, ...]

    def at(self, moment: int) -> float | None:
        """Return the value valid at `moment`; None before the first and long after the last."""
        index = bisect_right(self.times, moment) - 1
        if index < 0 or moment - self.times[index] > MAX_BRIDGE_NS:
            return None
        return self.values[index]

    def changes(self) -> int:
        """Return how often the value changed."""
        return sum(before != after for before, after in pairwise(self.values))

    def mapped(self, function: Callable[[float], float]) -> "Series":
        """Return the series of a function of the values."""
        return Series(self.times, tuple(function(value) for value in self.values))


@dataclass(frozen=True, slots=True)
class Track:
    """What a GNSS receiver says of the car's motion; yaw rate positive to the left."""

    speed_mps: Series
    yaw_rate_dps: Series


def raw_series(heard: HeardMessage, signal: SignalLayout) -> Series:
    """Return the raw values of a signal in the samples kept; frames that do not carry it are left out."""
    read, end = signal.reader(), max([signal.end_byte, *(layout.end_byte for layout, _ in signal.conditions)])
    conditions = [(layout.reader(), values) for layout, values in signal.conditions]
    times: list[int] = []
    values: list[float] = []
    for moment, data in heard.samples:
        if len(data) < end or any(condition(data) not in allowed for condition, allowed in conditions):
            continue
        value = read(data)
        if isfinite(value):
            times.append(moment)
            values.append(value)
    return Series(tuple(times), tuple(values))


def physical_series(heard: HeardMessage, signal: SignalLayout) -> Series:
    """Return the values of a signal as the DBC scales them."""
    scale, offset = signal.scale, signal.offset
    return raw_series(heard, signal).mapped(lambda raw: raw * scale + offset)


def combined(parts: Sequence[Series], *, mean: bool) -> Series:
    """Return the sum or mean of signals of one message."""
    share = len(parts) if mean else 1
    return Series(parts[0].times, tuple(sum(values) / share for values in zip(*(part.values for part in parts), strict=False)))


def correlation(one: Series, other: Series) -> tuple[float, float] | None:
    """Return Pearson's r, and the factor that turns `other` into `one` (least squares through zero); None of too few pairs."""
    pairs = [(a, b) for a, b in ((value, other.at(t)) for t, value in zip(one.times, one.values, strict=True)) if b is not None]
    if len(pairs) < MIN_PAIRS:
        return None
    mean_a = sum(a for a, _ in pairs) / len(pairs)
    mean_b = sum(b for _, b in pairs) / len(pairs)
    spread_a = sum((a - mean_a) ** 2 for a, _ in pairs)
    spread_b = sum((b - mean_b) ** 2 for _, b in pairs)
    squares = sum(b * b for _, b in pairs)
    if spread_a <= 0.0 or spread_b <= 0.0:
        return None
    together = sum((a - mean_a) * (b - mean_b) for a, b in pairs)
    return together / sqrt(spread_a * spread_b), sum(a * b for a, b in pairs) / squares


def smoothed(series: Series, *, over_ns: int = NS_PER_S) -> Series:
    """Return the running mean of a series over the time before each value."""
    times, values = series.times, series.values
    means: list[float] = []
    total, first = 0.0, 0
    for index, value in enumerate(values):
        total += value
        while times[index] - times[first] > over_ns:
            total -= values[first]
            first += 1
        means.append(total / (index - first + 1))
    return Series(times, tuple(means))


def per_speed(series: Series, speed_mps: Series, *, power: int, above_mps: float) -> Series:
    """Return a series divided by a power of the speed, where that is above a bound."""
    times: list[int] = []
    values: list[float] = []
    for moment, value in zip(series.times, series.values, strict=True):
        speed = speed_mps.at(moment)
        if speed is not None and speed > above_mps:
            times.append(moment)
            values.append(value / speed**power)
    return Series(tuple(times), tuple(values))


def slope_of(speed: Series, *, over_ns: int = NS_PER_S) -> Series:
    """Return how fast a series changes, per second, from its values half of `over_ns` before and after."""
    times: list[int] = []
    values: list[float] = []
    for moment in speed.times:
        before, after = speed.at(moment - over_ns // 2), speed.at(moment + over_ns // 2)
        if before is not None and after is not None and moment + over_ns // 2 <= speed.times[-1]:
            times.append(moment)
            values.append((after - before) * NS_PER_S / over_ns)
    return Series(tuple(times), tuple(values))


def distance_m(speed_mps: Series, start: int, end: int) -> float:
    """Return the distance a speed amounts to between two moments; gaps longer than `MAX_BRIDGE_NS` count nothing."""
    total = 0.0
    steps = zip(pairwise(speed_mps.times), pairwise(speed_mps.values), strict=True)
    for (t0, t1), (v0, v1) in steps:
        if t1 - t0 <= MAX_BRIDGE_NS:
            inside = min(t1, end) - max(t0, start)
            if inside > 0:
                total += (v0 + v1) / 2 * inside / NS_PER_S
    return total


def track_of(fixes: Iterable[tuple[MonotonicNs, GeoPoint]]) -> Track:
    """Return how a car moved through these places, told from places `TRACK_STEP_NS` or more apart."""
    kept: list[tuple[MonotonicNs, GeoPoint]] = []
    for moment, place in fixes:
        if not kept or moment - kept[-1][0] >= TRACK_STEP_NS:
            kept.append((moment, place))
    legs = [
        (end[0], metres_between(start[1], end[1]), bearing_deg(start[1], end[1]), (end[0] - start[0]) / NS_PER_S)
        for start, end in pairwise(kept)
    ]
    speed = Series(tuple(moment for moment, *_ in legs), tuple(metres / seconds for _, metres, _, seconds in legs))
    turns = [
        (moment, ((before - after + 180.0) % 360.0 - 180.0) / seconds)
        for (_, _, before, _), (moment, _, after, seconds) in pairwise(legs)
    ]
    return Track(speed, Series(tuple(moment for moment, _ in turns), tuple(rate for _, rate in turns)))
