"""One change of speed and then a steady one: when a vehicle reaches a line, and which speed reaches it in time.

The vehicle is d metres from the stop line at speed v0. It changes to a speed v at a comfortable rate (a upwards, b
downwards) and keeps v. With the ramp |v - v0| / rate long and |v^2 - v0^2| / (2 rate) far, it reaches the line after

    T(v) = |v - v0| / rate + (d - |v^2 - v0^2| / (2 rate)) / v

T falls as v grows, so the speeds that arrive between t1 and t2 are one band, from v(t2) to v(t1). v(T) solves a quadratic:

    faster   v^2 - 2 (a T + v0) v + v0^2 + 2 a d = 0          v = (a T + v0) - sqrt((a T + v0)^2 - v0^2 - 2 a d)
    slower   v^2 + 2 (b T - v0) v + v0^2 - 2 b d = 0          v = (v0 - b T) + sqrt((b T - v0)^2 - v0^2 + 2 b d)

(put v = v0 = d / T into either: both hold.) A speed counts only if its ramp ends before the stop line.

Left out: gradients, other vehicles, a plan with more than one change of speed.
"""

from dataclasses import dataclass
from math import sqrt

from shared.core.units import KMH_PER_MPS


@dataclass(frozen=True, slots=True, kw_only=True)
class GlosaSettings:
    """What a driver finds comfortable and a road allows.

    Attributes:
        default_limit_mps: where no limit is known: in town.
        slowest_mps: nobody drives slower than this to meet a green.
        acceleration_mps2: comfortable, positive.
        deceleration_mps2: comfortable, positive.
    """

    default_limit_mps: float = 50 / KMH_PER_MPS
    slowest_mps: float = 20 / KMH_PER_MPS
    acceleration_mps2: float = 1.0
    deceleration_mps2: float = 1.5

    def __post_init__(self) -> None:
        if min(self.default_limit_mps, self.slowest_mps, self.acceleration_mps2, self.deceleration_mps2) <= 0.0:
            raise ValueError("speeds and rates of change are positive")


DEFAULT_SETTINGS = GlosaSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When the line may be crossed, all in seconds from now.

    Attributes:
        begins_s: from when on it is green for certain.
        opens_s: the soonest arrival.
        closes_s: the latest arrival.
    """

    begins_s: float
    opens_s: float
    closes_s: float


def speed_band(
    window: Window,
    *,
    distance_m: float,
    speed_mps: float,
    slowest_mps: float,
    fastest_mps: float,
    settings: GlosaSettings = DEFAULT_SETTINGS,
) -> tuple[float, float] | None:
    """Return the (lowest, highest) speed that reaches the line within the window; None where there is none.

    Every speed in between does too, because the time to the line falls as speed grows.
    """
    reachable = reachable_mps(distance_m, speed_mps, settings)
    lowest, highest = max(slowest_mps, reachable[0]), min(fastest_mps, reachable[1])
    if lowest > highest:
        return None

    def at(target_mps: float) -> float:
        return time_to_line_s(target_mps, distance_m=distance_m, speed_mps=speed_mps, settings=settings)

    if at(highest) > window.closes_s or at(lowest) < window.opens_s:
        return None
    if at(highest) < window.opens_s:
        highest = min(highest, speed_for(window.opens_s, distance_m=distance_m, speed_mps=speed_mps, settings=settings))
    if at(lowest) > window.closes_s:
        lowest = max(lowest, speed_for(window.closes_s, distance_m=distance_m, speed_mps=speed_mps, settings=settings))
    return (lowest, highest) if lowest <= highest else None


def time_to_line_s(target_mps: float, *, distance_m: float, speed_mps: float, settings: GlosaSettings) -> float:
    """Return T(v): the seconds to the line for a vehicle that changes to `target_mps` (positive) at a comfortable rate."""
    rate = settings.acceleration_mps2 if target_mps > speed_mps else settings.deceleration_mps2
    ramp_m = abs(target_mps * target_mps - speed_mps * speed_mps) / (2 * rate)
    if ramp_m <= distance_m:
        return abs(target_mps - speed_mps) / rate + (distance_m - ramp_m) / target_mps
    if target_mps > speed_mps:
        return (sqrt(speed_mps * speed_mps + 2 * rate * distance_m) - speed_mps) / rate
    return (speed_mps - sqrt(speed_mps * speed_mps - 2 * rate * distance_m)) / rate


def speed_for(arrival_s: float, *, distance_m: float, speed_mps: float, settings: GlosaSettings = DEFAULT_SETTINGS) -> float:
    """Return v(T): the speed that, taken up now at a comfortable rate, reaches the line after `arrival_s`.

    The caller sees to it that such a speed exists.
    """
    if arrival_s <= 0.0:
        return reachable_mps(distance_m, speed_mps, settings)[1]
    if arrival_s * speed_mps <= distance_m:
        sum_mps = settings.acceleration_mps2 * arrival_s + speed_mps
        under_root = sum_mps * sum_mps - speed_mps * speed_mps - 2 * settings.acceleration_mps2 * distance_m
        return sum_mps - sqrt(max(0.0, under_root))
    left_mps = speed_mps - settings.deceleration_mps2 * arrival_s
    under_root = left_mps * left_mps - speed_mps * speed_mps + 2 * settings.deceleration_mps2 * distance_m
    return left_mps + sqrt(max(0.0, under_root))


def reachable_mps(distance_m: float, speed_mps: float, settings: GlosaSettings) -> tuple[float, float]:
    """Return the slowest and fastest speed whose ramp ends before the line."""
    slowest_squared = speed_mps * speed_mps - 2 * settings.deceleration_mps2 * distance_m
    fastest = sqrt(speed_mps * speed_mps + 2 * settings.acceleration_mps2 * distance_m)
    return sqrt(max(0.0, slowest_squared)), fastest
