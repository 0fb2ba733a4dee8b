"""When a vehicle changes its pseudonym: by the way it has driven, so that nobody who hears a part of a trip can name the whole.

    start            a new trip begins under a new pseudonym
    ready            60 s after the first fix of the trip
    first            800 to 1,500 m after that
    second           800 m after that, and then 2 to 6 minutes
    third            10 to 20 km after that
    every further    25 to 35 km after the one before

Distances and times are drawn anew for every change, within the limits of the Car2Car profile: origin and destination of a trip are
hidden by the early, short ones, the rest of the road by the late, long ones. How the profile's list is read here:

- Each line counts from the change before it.
- Standing still counts nothing: distance does not grow, and of the minutes only those in motion count. The 60 s of `ready` run on
  at a standstill, but no change is due before the vehicle has moved since the last one, for a change on the spot hides nothing.
- A change for another reason (the ticket ran out) starts the present line anew.
- While a hazard that we ourselves reported is live (`hold`) or a service needs a steady identity (`lock`), no change is due; one
  that would have been is due at once when released. A lock is short, and cannot put off again what it has put off before.

Knows no tickets, no messages and no clock. A change forced by somebody else using our address is one for another reason.
"""

from dataclasses import dataclass
from enum import Enum, auto

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.entropy import Entropy

READY_NS = 60 * NS_PER_S
"""From the first fix of a trip to the change of `ready`."""

RESTART_NS = 60 * NS_PER_S
"""A start this soon after a change is not another trip: a stalled engine must not burn tickets."""

ASLEEP_NS = 300 * NS_PER_S
"""An ignition not heard of for this long was off."""

MAX_STEP_NS = 2 * NS_PER_S
"""Time in motion counts from report to report, but no more than this between two."""

MAX_HOLDS = 32
"""Hazards of ours that can hold the pseudonym at one time."""

MAX_HOLD_S = 86_400
"""No hazard holds longer: the longest validity a DENM has."""

MAX_LOCK_S = 255
"""No lock lasts longer, however often it is renewed."""

_DRAW_OCTETS = 4


@dataclass(frozen=True, slots=True)
class _Leg:
    """Limits of the way from one change to the next: metres, then seconds in motion."""

    metres: tuple[float, float]
    seconds: tuple[float, float] = (0.0, 0.0)


class Stage(Enum):
    """Which change is next."""

    START = auto()
    READY = auto()
    FIRST = auto()
    SECOND = auto()
    THIRD = auto()
    FURTHER = auto()

    @property
    def following(self) -> "Stage":
        """The change after this one."""
        return self if self is Stage.FURTHER else Stage(self.value + 1)


_LEGS = {
    Stage.FIRST: _Leg((800.0, 1_500.0)),
    Stage.SECOND: _Leg((800.0, 800.0), (120.0, 360.0)),
    Stage.THIRD: _Leg((10_000.0, 20_000.0)),
    Stage.FURTHER: _Leg((25_000.0, 35_000.0)),
}


class PseudonymRules:
    """Says when the next change is due. New rules count from the start of a trip, under a pseudonym that is fresh.

    Args:
        entropy: returns that many random octets.
        started: the start of the trip.
    """

    def __init__(self, *, entropy: Entropy, started: MonotonicNs) -> None:
        self._entropy = entropy
        self._fixed_at: MonotonicNs | None = None
        self._is_off = False
        self._heard_on: MonotonicNs | None = None
        self._holds: dict[str, MonotonicNs] = {}
        self._locked_from = self._locked_until = started
        self._stage = Stage.READY
        self._changed_at = self._reported_at = started
        self._driven_m = self._distance_m = 0.0
        self._in_motion_ns = self._motion_ns = 0

    @property
    def stage(self) -> Stage:
        """Which change is next."""
        return self._stage

    def ignition(self, *, is_on: bool, now: MonotonicNs) -> None:
        """Take what the vehicle says of its ignition: on after off is the start of a trip."""
        if not is_on:
            self._is_off = True
            return
        was_asleep = self._heard_on is not None and now - self._heard_on >= ASLEEP_NS
        if (self._is_off or was_asleep) and now - self._changed_at >= RESTART_NS:
            self._stage = Stage.START
            self._fixed_at = None
        self._is_off = False
        self._heard_on = now

    def fixed(self, now: MonotonicNs) -> None:
        """Take note that the position is known; the first time in a trip counts."""
        if self._fixed_at is None:
            self._fixed_at = now

    def moved(self, distance_m: float, now: MonotonicNs) -> None:
        """Take the way driven since the last report, zero when standing; raises ValueError when it is negative."""
        if not distance_m >= 0.0:
            raise ValueError(f"a way of {distance_m} m")
        if distance_m > 0.0 and self._driven_m >= self._distance_m:
            self._in_motion_ns += min(now - self._reported_at, MAX_STEP_NS)
        self._driven_m += distance_m
        self._reported_at = now

    def is_due(self, now: MonotonicNs) -> bool:
        """Tell whether the pseudonym is to be changed now."""
        return self._is_wanted(now) and not self.is_held(now)

    def is_held(self, now: MonotonicNs) -> bool:
        """Tell whether a hazard or a service needs the pseudonym as it is."""
        return now < self._locked_until or any(now < until for until in self._holds.values())

    def changed(self, now: MonotonicNs) -> None:
        """Take note of a change, or that there is nothing to change to: count towards the next."""
        self._begin(self._stage.following if self._is_wanted(now) else self._stage, now)

    def hold(self, name: str, *, until: MonotonicNs, now: MonotonicNs) -> None:
        """Keep the pseudonym while something we reported is live.

        Args:
            name: what; holding it again replaces the end.
            until: when it ends by itself; at most `MAX_HOLD_S` from now.
            now: the present.
        """
        self._holds = {each: end for each, end in self._holds.items() if now < end and each != name}
        self._holds[name] = min(until, MonotonicNs(now + MAX_HOLD_S * NS_PER_S))
        if len(self._holds) > MAX_HOLDS:  # those that end later hold longer
            del self._holds[min(self._holds, key=lambda each: self._holds[each])]

    def release(self, name: str) -> None:
        """What held the pseudonym is over; one that does not hold is no matter."""
        self._holds.pop(name, None)

    def lock(self, duration_s: float, *, now: MonotonicNs) -> MonotonicNs:
        """Keep the pseudonym for a service.

        Args:
            duration_s: from now; together with the lock it renews at most `MAX_LOCK_S`.
            now: the present.

        Returns:
            The end of the lock, now at once when a change that an earlier lock put off is still to be made.
        """
        if now >= self._locked_until:
            if self._is_wanted(now):
                return now
            self._locked_from = now
        latest = self._locked_from + MAX_LOCK_S * NS_PER_S
        wished = now + round(max(0.0, min(duration_s, MAX_LOCK_S)) * NS_PER_S)
        self._locked_until = MonotonicNs(max(self._locked_until, min(wished, latest)))
        return self._locked_until

    def unlock(self) -> None:
        """End the lock before its time."""
        self._locked_until = self._locked_from

    def _is_wanted(self, now: MonotonicNs) -> bool:
        if self._stage is Stage.START:
            return True
        if self._driven_m <= 0.0:
            return False
        if self._stage is Stage.READY:
            return self._fixed_at is not None and now - self._fixed_at >= READY_NS
        return self._driven_m >= self._distance_m and self._in_motion_ns >= self._motion_ns

    def _begin(self, stage: Stage, now: MonotonicNs) -> None:
        leg = _LEGS.get(stage, _Leg((0.0, 0.0)))
        self._stage = stage
        self._changed_at = self._reported_at = now
        self._driven_m = 0.0
        self._in_motion_ns = 0
        self._distance_m = self._drawn(leg.metres)
        self._motion_ns = round(self._drawn(leg.seconds) * NS_PER_S)

    def _drawn(self, limits: tuple[float, float]) -> float:
        low, high = limits
        if low == high:
            return low
        return low + (high - low) * int.from_bytes(self._entropy(_DRAW_OCTETS), "big") / (1 << 8 * _DRAW_OCTETS)
