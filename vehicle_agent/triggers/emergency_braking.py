"""Dangerous situation: emergency electronic brake light (99/1) and automatic emergency braking (99/5), C2CCC RS 2003.

    begins  faster than 20 km/h and slowing down by 7 m/s2 or more, for 500 ms           (published; the brakes being on is ours)
            or the car brakes of its own accord, faster than 10 km/h                      (published; the speed is ours)
    ends    slowing down by less than 2.5 m/s2 (UN R13-H: there the emergency stop signal goes off), or the car stands

Told anew every 100 ms while it lasts, believed for 2 s, never cancelled and never repeated. A deceleration without brakes is a
collision or a faulty sensor, and not for this message. Left out: the request for the emergency stop signal itself, which few buses
carry, and reversible belt tensioners.
"""

from shared.core.clock import MonotonicNs
from shared.core.units import KMH_PER_MPS
from shared.messages.cdd import CauseCode
from shared.messages.denm import RelevanceDistance
from vehicle_agent.triggers.conditions import NOT_BACKWARDS, STANDS, all_of, any_of, at_least, at_most, is_on, unless_known
from vehicle_agent.triggers.latch import Row
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

PROFILE = Profile(
    name="emergency_braking",
    validity_s=2,
    update_ms=100,
    ending=Ending.LAPSE,
    relevance_distance=RelevanceDistance.LESS_THAN_500M,
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
ENDS = (
    Row(all_of(at_least("longitudinal_acceleration_mps2", RELEASED_MPS2), unless_known(is_on("automatic_emergency_braking")))),
    Row(STANDS),
)


class EmergencyBraking(TableTrigger):
    """The car brakes as hard as it can."""

    def __init__(self) -> None:
        super().__init__(PROFILE, BEGINS, ENDS)

    def situation(self, state: VehicleState, now: MonotonicNs) -> Situation:
        """Say who brakes; the car's own decision is the better hint."""
        if fresh(state.automatic_emergency_braking, now):
            return Situation(cause=CauseCode.DANGEROUS_SITUATION, sub_cause=AEB_ENGAGED, quality=2)
        return Situation(cause=CauseCode.DANGEROUS_SITUATION, sub_cause=EMERGENCY_ELECTRONIC_BRAKE_ENGAGED, quality=1)
