"""Green light optimal speed advice: how fast to drive to the stop line to cross it on green, or to expect to stop.

`advise` is the arithmetic; `Glosa` steadies it from one moment to the next.

The kinematics are those of `vehicle_agent.speed_plan`. Green is a window green for certain: from the latest moment its phase
can begin to the earliest it can end, narrowed by `OPENING_MARGIN_S` and `CLOSING_MARGIN_S`, and opening later by `DISCHARGE_S` for
each vehicle that stands before us. The first window that a band of at least one whole km/h reaches, between the slowest speed a
driver accepts and the limit, is advised. Where no speed reaches any window, and whoever keeps the present speed or drives faster
meets red for certain, the advice is to stop. In between, nothing is advised: no answer is better than one that may be wrong.

Left out: other vehicles that move, the infrastructure's own advisory speeds.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from math import ceil, floor, inf

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.ids import IntersectionId
from shared.core.units import KMH_PER_MPS
from shared.messages.spatem import MovementPhaseState
from vehicle_agent.signals_ahead import PERMITTING, PhaseAhead, SignalAhead
from vehicle_agent.speed_plan import DEFAULT_SETTINGS, GlosaSettings, Window, speed_band, time_to_line_s

OPENING_MARGIN_S = 1.0
"""The line is crossed no sooner than this after green may have begun."""

CLOSING_MARGIN_S = 1.5
"""The line is crossed no later than this before green may end."""

DISCHARGE_S = 2.0
"""Each vehicle that stands before the line takes this long to leave."""

MIN_GREEN_S = 5.0
"""Green lasts at least this long where its end is not announced; what guidelines for signal programmes (RiLSA) ask for."""

MIN_NOT_GREEN_S = 8.0
"""After green that nothing announced follows, the light is amber and red for at least this long."""

INSET_KMH = 3
"""How far inside the band the speed to aim at lies where there is room, so that it need not change with every moment."""

MAX_UNCERTAINTY_S = 10.0
"""A change whose earliest and latest moments lie further apart is too uncertain to drive by."""

MIN_CONFIDENCE = 8
"""`TimeIntervalConfidence` (69 %) from which a likely time alone, without a latest one, is believed."""

MAX_AHEAD_S = 120.0
"""What is announced for later than this is not driven by."""

MIN_DISTANCE_M = 10.0
"""Nearer than this to the line no speed is advised any more; the driver looks at the light."""

STANDING_MPS = 1.0
"""Slower than this is standing, and the advice is to wait."""

SETTLE_NS = 2 * NS_PER_S
"""An advice that turns milder has to hold for this long before it is shown; one that turns stricter is shown at once."""

_COMING = frozenset({MovementPhaseState.STOP_AND_REMAIN, MovementPhaseState.PRE_MOVEMENT})
_LIT = PERMITTING | _COMING | {MovementPhaseState.PERMISSIVE_CLEARANCE, MovementPhaseState.PROTECTED_CLEARANCE}


class Manoeuvre(Enum):
    """What to do."""

    DRIVE = "drive"
    """Within the band the line is reached on green."""
    STOP = "stop"
    """The line is reached on red, whatever the speed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One piece of advice.

    Attributes:
        manoeuvre: what to do.
        speed_kmh: to aim at: a whole number within the band; None to stop.
        lowest_kmh: the band, whole numbers; None to stop.
        highest_kmh: likewise; never above the limit.
        green_in_s: until the green that the advice is about may be counted on, 0 where that is now; None where not known.
        limit_kmh: the limit that was reckoned with, rounded down.
    """

    manoeuvre: Manoeuvre
    speed_kmh: int | None
    lowest_kmh: int | None
    highest_kmh: int | None
    green_in_s: float | None
    limit_kmh: int


def advise(signal: SignalAhead, *, speed_mps: float, queued: int = 0, settings: GlosaSettings = DEFAULT_SETTINGS) -> Advice | None:
    """Return what to do at a light; None where nothing certain can be said.

    Args:
        signal: the light, and the way to its stop line.
        speed_mps: now; negative in reverse, for which there is no advice.
        queued: vehicles that stand between us and the line.
        settings: comfort, and the limit where the map has none.
    """
    distance_m = signal.distance_to_stop_m
    limit_mps = settings.default_limit_mps if signal.speed_limit_mps is None else signal.speed_limit_mps
    if signal.phase not in _LIT or not signal.is_dependable or speed_mps < 0.0 or limit_mps <= 0.0:
        return None
    limit_kmh = floor(limit_mps * KMH_PER_MPS + 1e-6)
    if speed_mps < STANDING_MPS and signal.phase not in PERMITTING:
        waiting_s = next_green_s(signal.phases)
        return None if waiting_s is None else _stop(waiting_s, limit_kmh)
    if distance_m < MIN_DISTANCE_M or limit_kmh < 1:
        return None
    slowest_mps = min(settings.slowest_mps, limit_mps)
    for window in green_windows(signal.phases, queued):
        band = speed_band(
            window, distance_m=distance_m, speed_mps=speed_mps, slowest_mps=slowest_mps, fastest_mps=limit_mps, settings=settings
        )
        if band is None:
            continue
        lowest_kmh, highest_kmh = ceil(band[0] * KMH_PER_MPS - 1e-6), min(floor(band[1] * KMH_PER_MPS + 1e-6), limit_kmh)
        if lowest_kmh <= highest_kmh:
            return Advice(
                manoeuvre=Manoeuvre.DRIVE,
                speed_kmh=_aim_kmh(speed_mps, lowest_kmh, highest_kmh, floor_kmh=slowest_mps * KMH_PER_MPS, limit_kmh=limit_kmh),
                lowest_kmh=lowest_kmh,
                highest_kmh=highest_kmh,
                green_in_s=window.begins_s,
                limit_kmh=limit_kmh,
            )
    soonest_s = time_to_line_s(limit_mps, distance_m=distance_m, speed_mps=speed_mps, settings=settings)
    kept_mps = min(max(speed_mps, slowest_mps), limit_mps)
    latest_s = time_to_line_s(kept_mps, distance_m=distance_m, speed_mps=speed_mps, settings=settings)
    if not _is_red_throughout(signal.phases, soonest_s, latest_s):
        return None
    return _stop(next_green_s(signal.phases), limit_kmh)


def green_windows(phases: Iterable[PhaseAhead], queued: int = 0) -> tuple[Window, ...]:
    """Return when it is green for certain, margins taken off, in the order of time.

    A phase has begun for certain when the one before has ended at the latest, and lasts until its own earliest end at least; where
    none is announced, for `MIN_GREEN_S` from its earliest begin.
    """
    found = []
    for index, (phase, begins) in enumerate(_dated(phases)):
        if phase is not None and phase.phase not in PERMITTING:
            continue
        is_now = index == 0
        closes_s = None if phase is None else phase.earliest_end_s
        if closes_s is None and is_now:
            continue
        closes_s = (begins[0] + MIN_GREEN_S if closes_s is None else closes_s) - CLOSING_MARGIN_S
        opens_s = begins[1] + DISCHARGE_S * queued + (0.0 if is_now and not queued else OPENING_MARGIN_S)
        if opens_s <= closes_s:
            found.append(Window(begins_s=begins[1], opens_s=opens_s, closes_s=closes_s))
    return tuple(found)


def next_green_s(phases: Iterable[PhaseAhead]) -> float | None:
    """Return until when green may be counted on that is not on yet; None where that is not known."""
    for index, (phase, begins) in enumerate(_dated(phases)):
        if index and (phase is None or phase.phase in PERMITTING):
            return begins[1]
    return None


class Glosa:
    """Steady advice for one light after another.

    A band follows the moment; the speed to aim at stays as it is while the band has it. No advice, or a stop instead of a speed, is
    shown at once; everything else that differs in kind from what is shown has to hold for `SETTLE_NS` first. So what is shown
    changes its kind back and forth once in `SETTLE_NS` at most.

    Args:
        settings: comfort, and the limit where the map has none.
    """

    def __init__(self, settings: GlosaSettings = DEFAULT_SETTINGS) -> None:
        self._settings = settings
        self._lights: dict[_Light, _Steady] = {}
        self._asked: set[_Light] = set()

    def advise(self, signal: SignalAhead, *, speed_mps: float, now: MonotonicNs, queued: int = 0) -> Advice | None:
        """Return what to show for a light; call it for each light ahead, and `settle` after the last."""
        light = signal.intersection, signal.lane, signal.signal_group
        self._asked.add(light)
        fresh = advise(signal, speed_mps=speed_mps, queued=queued, settings=self._settings)
        steady = self._lights.setdefault(light, _Steady(fresh))
        steady.take(fresh, now)
        return steady.shown

    def settle(self) -> None:
        """Forget the lights that were not asked for since the last call: the vehicle has left them."""
        for light in [light for light in self._lights if light not in self._asked]:
            del self._lights[light]
        self._asked.clear()


_Light = tuple[IntersectionId, int, int]


class _Steady:
    """What is shown for one light, and since when something else would be."""

    def __init__(self, shown: Advice | None) -> None:
        self.shown = shown
        self._other: Manoeuvre | None = None
        self._other_since: MonotonicNs | None = None

    def take(self, fresh: Advice | None, now: MonotonicNs) -> None:
        before, after = _kind(self.shown), _kind(fresh)
        if before is not after:
            is_stricter = after is None or before is Manoeuvre.DRIVE
            if self._other_since is None or self._other is not after:
                self._other, self._other_since = after, now
            if not is_stricter and now - self._other_since < SETTLE_NS:
                return
            self.shown = fresh
        elif self.shown is not None and fresh is not None:
            self.shown = _steadied(self.shown, fresh)
        self._other = self._other_since = None


def _kind(advice: Advice | None) -> Manoeuvre | None:
    return None if advice is None else advice.manoeuvre


def _steadied(before: Advice, fresh: Advice) -> Advice:
    if before.speed_kmh is None or fresh.lowest_kmh is None or fresh.highest_kmh is None:
        return fresh
    if not fresh.lowest_kmh <= before.speed_kmh <= fresh.highest_kmh:
        return fresh
    return replace(fresh, speed_kmh=before.speed_kmh)


def _stop(green_in_s: float | None, limit_kmh: int) -> Advice:
    return Advice(
        manoeuvre=Manoeuvre.STOP, speed_kmh=None, lowest_kmh=None, highest_kmh=None, green_in_s=green_in_s, limit_kmh=limit_kmh
    )


def _end(phase: PhaseAhead, begins: tuple[float, float]) -> tuple[float, float] | None:
    """Return the earliest and latest end of a phase, the latest infinite where nothing limits it; None where nothing is known."""
    earliest_s, likely_s, latest_s = phase.earliest_end_s, phase.likely_end_s, phase.latest_end_s
    if earliest_s is None:
        return None
    if latest_s is None:
        is_sure = phase.confidence is not None and phase.confidence >= MIN_CONFIDENCE
        latest_s = likely_s if likely_s is not None and is_sure else inf
    return max(earliest_s, begins[0]), max(latest_s, earliest_s, begins[1])


def _begin(phase: PhaseAhead, before: tuple[float, float] | None) -> tuple[float, float] | None:
    """Return the earliest and latest begin of a phase: where the one before ends, and no sooner than it is announced itself."""
    if before is None or phase.starts_in_s is None:
        return before
    return max(before[0], min(phase.starts_in_s, before[1])), max(before[1], phase.starts_in_s)


def _dated(phases: Iterable[PhaseAhead]) -> Iterator[tuple[PhaseAhead | None, tuple[float, float]]]:
    """Yield each phase whose begin can be relied on, with its earliest and latest begin.

    Where red is the last one announced, green follows: that comes last, as None.
    """
    begins: tuple[float, float] | None = 0.0, 0.0
    last: MovementPhaseState | None = None
    for phase in phases:
        begins = _begin(phase, begins)
        if begins is None or not _is_near(begins):
            return
        yield phase, begins
        begins, last = _end(phase, begins), phase.phase
    if last in _COMING and begins is not None and _is_near(begins):
        yield None, begins


def _is_near(begins: tuple[float, float]) -> bool:
    return begins[1] <= MAX_AHEAD_S and begins[1] - begins[0] <= MAX_UNCERTAINTY_S


def _is_red_throughout(phases: tuple[PhaseAhead, ...], soonest_s: float, latest_s: float) -> bool:
    """Whether whoever arrives from `soonest_s` to `latest_s` meets something other than green for certain."""
    begins: tuple[float, float] | None = 0.0, 0.0
    red_from: float | None = None
    was_green = False
    for phase in phases:
        begins = _begin(phase, begins)
        if begins is None:
            return False
        if phase.phase in PERMITTING:
            if red_from is not None and red_from <= soonest_s and latest_s < begins[0]:
                return True
            red_from, was_green = None, True
        else:
            red_from, was_green = begins[1] if red_from is None else red_from, False
        begins = _end(phase, begins)
    if begins is None:
        return False
    if was_green:
        return begins[1] <= soonest_s and latest_s < begins[0] + MIN_NOT_GREEN_S
    return red_from is not None and red_from <= soonest_s and latest_s < begins[0]


def _aim_kmh(speed_mps: float, lowest_kmh: int, highest_kmh: int, *, floor_kmh: float, limit_kmh: int) -> int:
    """Return the speed in the band nearest to the present one, a little away from ends that will move as the vehicle does."""
    inset_kmh = min(INSET_KMH, (highest_kmh - lowest_kmh) // 2)
    lowest = lowest_kmh + (inset_kmh if lowest_kmh > ceil(floor_kmh - 1e-6) else 0)
    highest = highest_kmh - (inset_kmh if highest_kmh < limit_kmh else 0)
    return min(max(round(speed_mps * KMH_PER_MPS), lowest), highest)
