"""Is this a road outside towns? Without a map, the car's own driving says so (C2CCC RS 2004).

    yes     80 km/h or more for 30 s, and since then, for at most 180 s, the steering wheel never turned by 90 degrees

Who leaves a motorway turns the wheel in the exit or at the next corner; then whatever follows is a town's traffic until 80 km/h
were driven again. The speed, its time and the angle are published; how long the evidence lasts is ours. A steering wheel that does
not say its angle is no evidence of anything.

A bus whose speed is mapped in the wrong unit makes a motorway of every street. So the positions have to bear the speed out: in
those 30 s, and in every 30 s after, the car must have come as far as the crow flies as `BORNE_OUT_SHARE` of its way (ours).
"""

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.geo import GeoPoint, distance_m
from shared.core.units import KMH_PER_MPS
from vehicle_agent.triggers.conditions import all_of, at_least, is_on, magnitude_at_most
from vehicle_agent.vehicle_state import VehicleState, fresh

FAST_MPS = 80.0 / KMH_PER_MPS
FAST_FOR_NS = 30 * NS_PER_S
EVIDENCE_LASTS_NS = 180 * NS_PER_S
STEERING_MOST_DEG = 90.0

BORNE_OUT_SHARE = 0.6
"""Fast roads bend, but do not turn back."""

_STRAIGHT = magnitude_at_most("steering_wheel_angle_deg", STEERING_MOST_DEG)
_FAST = all_of(is_on("ignition_on"), at_least("speed_mps", FAST_MPS), _STRAIGHT)


class FastRoad:
    """What the last minutes of driving say of the road."""

    def __init__(self) -> None:
        self._fast_since: MonotonicNs | None = None
        self._last_fast: MonotonicNs | None = None
        self._looked: MonotonicNs | None = None
        self._from: GeoPoint | None = None
        self._way_m = 0.0
        self._is_borne_out = False

    def observe(self, state: VehicleState, now: MonotonicNs) -> bool:
        """Look at the car, and tell whether the road is a fast one."""
        if _FAST.test(state, now):
            self._drive_on(state, now)
            if self._is_borne_out:
                self._last_fast = now
        else:
            self._fast_since = None
            self._is_borne_out = False
        self._looked = now
        if _STRAIGHT.test(state, now) is False or (self._last_fast is not None and now - self._last_fast > EVIDENCE_LASTS_NS):
            self._last_fast = None
        return self._last_fast is not None

    def _drive_on(self, state: VehicleState, now: MonotonicNs) -> None:
        """Measure the way by the speed, and every `FAST_FOR_NS` by the positions too."""
        here = fresh(state.position, now)
        if self._fast_since is None or self._looked is None or self._from is None:
            self._fast_since, self._from, self._way_m = now, here, 0.0
            return
        self._way_m += (fresh(state.speed_mps, now) or 0.0) * (now - self._looked) / NS_PER_S
        if now - self._fast_since >= FAST_FOR_NS and here is not None:
            self._is_borne_out = distance_m(self._from, here) >= BORNE_OUT_SHARE * self._way_m
            self._fast_since, self._from, self._way_m = now, here, 0.0
