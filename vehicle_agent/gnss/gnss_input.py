"""From a receiver's fixes to news about the car: what is stale, impossible or no fix at all never becomes a position.

A fix lost is told at once, as "not available": nobody goes on from the last place. A fix whose time does not advance is an old one
again and is refused, as is a jump until it is confirmed (`place_check`). What a fix does not say is left to age. The course of the
antenna is the car's heading only above `COURSE_SPEED_MPS`, the other way round while it reverses; a car that stands still looks
where it last went, as long as it has not been moved by more than `HEADING_HELD_M`.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs, UtcNs
from shared.core.geo import GeoPoint, distance_m
from vehicle_agent.gnss.fields import HEADING_FIELD, POSITION_FIELDS
from vehicle_agent.gnss.fix import DAY_NS, Fix
from vehicle_agent.gnss.fix_time import FixTime
from vehicle_agent.gnss.place_check import PlaceCheck, Seen
from vehicle_agent.vehicle_state import FIELDS, FixQuality, SignalUpdate, Value

MAX_AGE_NS = 1_500 * NS_PER_MS
"""A fix older than this is no position: one missed second of a 1 Hz receiver is bridged, not more."""

SAME_FIX_NS = 500 * NS_PER_MS
"""What comes so soon with the same time tells the same fix more fully; later it is an old one again."""

COURSE_SPEED_MPS = 1.5
"""Below it, a receiver's error of speed (some 0.1 m/s) turns its course by more than four degrees."""

HEADING_HELD_M = 10.0

STALE = "stale"
JUMP = "jump"
OUT_OF_RANGE = "out_of_range"


@dataclass(frozen=True, slots=True, kw_only=True)
class GnssNews:
    """What became of one fix.

    Attributes:
        updates: for the agent.
        date: UTC and the interval time at which it was true; None while there is none to be believed.
    """

    updates: tuple[SignalUpdate, ...]
    date: tuple[UtcNs, MonotonicNs] | None = None


class GnssInput:
    """Judges the fixes of one receiver.

    Args:
        fields: which fields of the state it feeds: `POSITION_FIELDS`, and `HEADING_FIELD` where no signal gives it.
        not_before: no true date is earlier.
        delay_ns: how long after the moment of a fix its report arrives at the earliest.
    """

    def __init__(self, *, fields: Collection[str], not_before: UtcNs, delay_ns: int = 0) -> None:
        self._fields = fields
        self._delay_ns = delay_ns
        self._place = PlaceCheck()
        self._time = FixTime(not_before)
        self._refused: Counter[str] = Counter()
        self._fixes = 0
        self._losses = 0
        self._last: Fix | None = None
        self._was_used = False
        self._heading: tuple[float, GeoPoint] | None = None
        self._is_lost = True

    @property
    def is_in_doubt(self) -> bool:
        """Whether the receiver has jumped and nothing has confirmed it yet."""
        return self._place.is_in_doubt

    @property
    def last_jump_m(self) -> float | None:
        """How far the last jump went; None where there was none."""
        return self._place.last_jump_m

    def on_fix(self, fix: Fix, *, is_reversing: bool = False) -> GnssNews:
        """Judge a fix.

        Args:
            fix: the next one, in the order of arrival.
            is_reversing: whether the car says that it goes backwards.
        """
        last = self._last
        is_again = last is not None and _is_same(last, fix)
        if last is not None and is_again:
            fix = replace(fix, at=last.at)  # told more fully, but no later
        self._last = fix
        if fix.quality is FixQuality.NONE or fix.position is None:
            self._was_used = False
            return self._lost(fix)
        if last is not None and not is_again and _is_stale(last, fix):
            self._was_used = False
            self._refused[STALE] += 1
            return GnssNews(updates=())
        if is_again and not self._was_used:
            return GnssNews(updates=())
        at = MonotonicNs(fix.at - self._delay_ns)
        seen = Seen(position=fix.position, at=at, speed_mps=fix.speed_mps, error_m=fix.accuracy_m or 0.0)
        self._was_used = self._place.accepts(seen)
        if not self._was_used:
            self._refused[JUMP] += 1
            return self._lost(fix)
        self._fixes += not is_again
        self._is_lost = False
        date = None
        if fix.utc is not None and fix.quality is not FixQuality.ESTIMATED and not is_again:
            utc = self._time.take(fix.utc, at)
            date = None if utc is None else (utc, at)
        return GnssNews(updates=self._news(fix, fix.position, at, is_reversing=is_reversing), date=date)

    def status(self, now: MonotonicNs) -> dict[str, object]:
        """Return what is known of the fix and what was refused, as JSON values; where the car is, is nobody's business."""
        last = self._last
        is_fresh = last is not None and now - last.at <= MAX_AGE_NS
        return {
            "fix": FixQuality.NONE.value if last is None or self._is_lost or not is_fresh else last.quality.value,
            "age_s": None if last is None else round((now - last.at) / NS_PER_S, 1),
            "satellites": None if last is None else last.satellites,
            "hdop": None if last is None else last.hdop,
            "accuracy_m": None if last is None or last.accuracy_m is None else round(last.accuracy_m, 1),
            "fixes": self._fixes,
            "losses": self._losses,
            "refused": dict(self._refused),
            "jumps": self._place.jumps,
            "jumps_confirmed": self._place.confirmed,
            "in_doubt": self._place.is_in_doubt,
            "time_steps": self._time.steps,
            "old_dates": self._time.old_dates,
        }

    def _lost(self, fix: Fix) -> GnssNews:
        if not self._is_lost:
            self._losses += 1
        self._is_lost = True
        known: dict[str, Value | None] = dict.fromkeys((*sorted(POSITION_FIELDS), HEADING_FIELD))
        known["fix_quality"] = FixQuality.NONE
        return GnssNews(updates=self._updates(known, MonotonicNs(fix.at - self._delay_ns)))

    def _news(self, fix: Fix, position: GeoPoint, at: MonotonicNs, *, is_reversing: bool) -> tuple[SignalUpdate, ...]:
        said: dict[str, Value | None] = {
            "fix_quality": fix.quality,
            "position": position,
            "position_accuracy_m": fix.accuracy_m,
            "altitude_m": fix.altitude_m,
            "gnss_speed_mps": fix.speed_mps,
            HEADING_FIELD: self._heading_deg(fix, position, is_reversing=is_reversing),
        }
        return self._updates({field: value for field, value in said.items() if self._is_usable(field, value)}, at)

    def _is_usable(self, field: str, value: Value | None) -> bool:
        if not isinstance(value, float):
            return value is not None
        spec = FIELDS[field]
        if spec.minimum <= value <= spec.maximum:
            return True
        self._refused[OUT_OF_RANGE] += 1
        return False

    def _heading_deg(self, fix: Fix, position: GeoPoint, *, is_reversing: bool) -> float | None:
        if fix.course_deg is not None and fix.speed_mps is not None and fix.speed_mps >= COURSE_SPEED_MPS:
            heading_deg = (fix.course_deg + (180.0 if is_reversing else 0.0)) % 360.0
            self._heading = (heading_deg, position)
            return heading_deg
        if self._heading is None or fix.speed_mps is None or fix.speed_mps >= COURSE_SPEED_MPS:
            return None
        return self._heading[0] if distance_m(self._heading[1], position) <= HEADING_HELD_M else None

    def _updates(self, known: dict[str, Value | None], at: MonotonicNs) -> tuple[SignalUpdate, ...]:
        return tuple(
            SignalUpdate(field=field, value=value, at=at, max_age_ns=MAX_AGE_NS)
            for field, value in known.items()
            if field in self._fields
        )


def _is_same(last: Fix, fix: Fix) -> bool:
    """Whether a fix is the last one again, told more fully."""
    has_stamp = fix.utc is not None or fix.time_of_day_ns is not None
    is_soon = fix.at - last.at <= SAME_FIX_NS
    return has_stamp and is_soon and (fix.utc, fix.time_of_day_ns) == (last.utc, last.time_of_day_ns)


def _is_stale(last: Fix, fix: Fix) -> bool:
    """Whether time has not advanced, as far as both say it."""
    if fix.utc is not None and last.utc is not None:
        return fix.utc <= last.utc
    if fix.time_of_day_ns is not None and last.time_of_day_ns is not None:
        return not 0 < (fix.time_of_day_ns - last.time_of_day_ns) % DAY_NS < DAY_NS // 2
    return False
