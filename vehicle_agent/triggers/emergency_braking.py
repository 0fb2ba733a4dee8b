"""Dangerous situation: emergency electronic brake light (99/1) and automatic emergency braking (99/5), C2CCC RS 2003.

    begins  faster than 20 km/h and slowing down by 7 m/s2 or more, for 500 ms           (published; the brakes being on is ours)
            or the car begins to brake of its own accord, faster than 10 km/h             (published; the speed is ours)
    ends    slowing down by less than 2.5 m/s2 (UN R13-H: there the emergency stop signal goes off), or the car stands,
            or the speed no longer falls                                                                            (ours)

The speed has to bear the sensor out: one that is stuck, loose, or mapped in the wrong unit would otherwise brake for everybody at
every touch of the pedal. Over the same 500 ms the speed must have fallen by half of what the deceleration says (ours), for wheels
and sensor are read at different moments. A flag of the car's own braking that stays on says nothing after its first seconds.

Told anew every 100 ms while it lasts, believed for 2 s, never cancelled and never repeated; meant for who comes from behind (ours).
A deceleration without brakes is a collision or a faulty sensor, and not for this message. Left out: the request for the emergency
stop signal itself, which few buses carry, and reversible belt tensioners.
"""

from collections import deque

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs
from shared.core.units import KMH_PER_MPS
from shared.messages.cdd import CauseCode
from shared.messages.denm import RelevanceDistance, RelevanceTrafficDirection
from vehicle_agent.triggers.conditions import (
    NOT_BACKWARDS,
    STANDS,
    Condition,
    all_of,
    any_of,
    at_least,
    at_most,
    is_on,
    unless_known,
)
from vehicle_agent.triggers.latch import Absence, Row
from vehicle_agent.triggers.situation import Ending, Profile, Situation
from vehicle_agent.triggers.table_trigger import TableTrigger
from vehicle_agent.vehicle_state import VehicleState, fresh

EMERGENCY_ELECTRONIC_BRAKE_ENGAGED, AEB_ENGAGED = 1, 5
"""`DangerousSituationSubCauseCode`."""

LEAST_SPEED_MPS = 20.0 / KMH_PER_MPS
HARD_BRAKING_MPS2 = -7.0
HARD_BRAKING_FOR_MS = 500
RELEASED_MPS2 = -2.5
LEAST_AUTOMATIC_MPS = 10.0 / KMH_PER_MPS
"""Slower, a car that brakes by itself is parking. Ours."""

BORNE_OUT_SHARE = 0.5
"""The speed has to fall by this share of what the deceleration says. Ours."""

NEVER_MS = 3_600_000
"""How long a deceleration has to last that the speed does not bear out: longer than any braking."""

HOLDS_SPEED_FOR_MS = 1_000
"""A car whose speed has not fallen for so long does not brake, whatever it says; brakes take part of that to build up. Ours."""

AUTOMATIC_WITHIN_NS = NS_PER_S
"""For so long after it went on, the flag of the car's own braking may begin an event. Ours."""

PROFILE = Profile(
    name="emergency_braking",
    validity_s=2,
    update_ms=100,
    ending=Ending.LAPSE,
    relevance_distance=RelevanceDistance.LESS_THAN_500M,
    relevance_traffic_direction=RelevanceTrafficDirection.UPSTREAM_TRAFFIC,
    reach_m=500.0,
)

_DRIVES = all_of(is_on("ignition_on"), NOT_BACKWARDS)
_BRAKES = any_of(is_on("brake_pedal_pressed"), is_on("automatic_emergency_braking"))

BEGINS = (
    Row(
        all_of(
            _DRIVES,
            _BRAKES,
            at_least("speed_mps", LEAST_SPEED_MPS),
            at_most("longitudinal_acceleration_mps2", HARD_BRAKING_MPS2),
        ),
        for_ms=HARD_BRAKING_FOR_MS,
    ),
    Row(all_of(_DRIVES, is_on("automatic_emergency_braking"), at_least("speed_mps", LEAST_AUTOMATIC_MPS))),
)
"""Before what the trigger itself remembers is asked: the speeds, and since when the car brakes of its own accord."""
ENDS = (
    Row(all_of(at_least("longitudinal_acceleration_mps2", RELEASED_MPS2), unless_known(is_on("automatic_emergency_braking")))),
    Row(STANDS),
)


class EmergencyBraking(TableTrigger):
    """The car brakes as hard as it can."""

    def __init__(self) -> None:
        self._speeds: deque[tuple[MonotonicNs, float]] = deque()
        self._automatic_since: MonotonicNs | None = None
        is_new = Condition("that has just begun", lambda _, now: self._has_just_begun(now))
        holds_speed = Condition("the speed does not fall", lambda _, now: self._holds_speed(now))
        hard, automatic = BEGINS
        super().__init__(
            PROFILE,
            begins=(Row(hard.condition, for_ms=self._wanted_ms), Row(all_of(automatic.condition, is_new))),
            ends=(*ENDS, Row(holds_speed, for_ms=HOLDS_SPEED_FOR_MS)),
        )

    def observe(self, state: VehicleState, now: Instant) -> Situation | Absence:
        """Look at the car."""
        at = now.monotonic
        speed_mps = fresh(state.speed_mps, at)
        if speed_mps is None:
            self._speeds.clear()
        else:
            self._speeds.append((at, speed_mps))
        while len(self._speeds) > 1 and at - self._speeds[1][0] >= HARD_BRAKING_FOR_MS * NS_PER_MS:
            self._speeds.popleft()
        if not fresh(state.automatic_emergency_braking, at):
            self._automatic_since = None
        elif self._automatic_since is None:
            self._automatic_since = at
        return super().observe(state, now)

    def situation(self, state: VehicleState, now: MonotonicNs) -> Situation:
        """Say who brakes; the car's own decision is the better hint."""
        if fresh(state.automatic_emergency_braking, now):
            return Situation(cause=CauseCode.DANGEROUS_SITUATION, sub_cause=AEB_ENGAGED, quality=2)
        return Situation(cause=CauseCode.DANGEROUS_SITUATION, sub_cause=EMERGENCY_ELECTRONIC_BRAKE_ENGAGED, quality=1)

    def _wanted_ms(self, _state: VehicleState, now: MonotonicNs) -> int:
        lost_mps = self._lost_mps(now)
        return HARD_BRAKING_FOR_MS if lost_mps is not None and lost_mps >= _borne_out_by(HARD_BRAKING_MPS2) else NEVER_MS

    def _holds_speed(self, now: MonotonicNs) -> bool | None:
        lost_mps = self._lost_mps(now)
        return None if lost_mps is None else lost_mps < _borne_out_by(RELEASED_MPS2)

    def _lost_mps(self, now: MonotonicNs) -> float | None:
        """Return by how much the speed has fallen over the time that a hard braking has to last; None where that was not seen."""
        if not self._speeds or now - self._speeds[0][0] < HARD_BRAKING_FOR_MS * NS_PER_MS:
            return None
        return self._speeds[0][1] - self._speeds[-1][1]

    def _has_just_begun(self, now: MonotonicNs) -> bool:
        return self._automatic_since is not None and now - self._automatic_since <= AUTOMATIC_WITHIN_NS


def _borne_out_by(acceleration_mps2: float) -> float:
    return -acceleration_mps2 * HARD_BRAKING_FOR_MS / 1_000 * BORNE_OUT_SHARE
