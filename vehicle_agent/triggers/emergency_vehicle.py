"""Emergency vehicle: approaching (95/1), and standing to secure a place (15/1), C2CCC RS 2005.

    approaching  begins  light bar on and moving, for 300 ms; with the siren the quality is higher
                 ends    light bar off for 1 s, or standing for 5 s
    securing     begins  light bar on and standing, for 30 s
                 ends    light bar off for 1 s, or moving for 5 s

Which signals and which causes is published; the times are ours. Only who has a ticket that names cause 95 or 15 may say so,
whatever its bus claims. Approaching is renewed every second and believed for 4 s, heard ahead and to the sides; securing is told of
as a stationary vehicle is. Both are cancelled.
"""

from shared.core.clock import MonotonicNs
from shared.messages.cdd import CauseCode
from shared.messages.denm import RelevanceDistance
from vehicle_agent.triggers.conditions import MOVES, NOT_BACKWARDS, STANDS, all_of, is_off, is_on
from vehicle_agent.triggers.latch import Row
from vehicle_agent.triggers.situation import Ending, Profile, Reach, Situation
from vehicle_agent.triggers.table_trigger import TableTrigger
from vehicle_agent.vehicle_state import VehicleState, fresh

EMERGENCY_VEHICLE_APPROACHING = 1
"""`EmergencyVehicleApproachingSubCauseCode`."""

EMERGENCY_VEHICLES = 1
"""`RescueAndRecoveryWorkInProgressSubCauseCode`."""

APPROACHES_FOR_MS = 300
STOPPED_FOR_MS = 5_000
SECURES_FOR_MS = 30_000
LIGHT_BAR_OFF_FOR_MS = 1_000
DRIVES_ON_FOR_MS = 5_000

APPROACHING_PROFILE = Profile(
    name="emergency_vehicle",
    validity_s=4,
    update_ms=1_000,
    ending=Ending.CANCEL,
    relevance_distance=RelevanceDistance.LESS_THAN_1000M,
    reach=Reach.AHEAD,
    reach_m=1_000.0,
    blocking_ms=2_000,
)

SECURING_PROFILE = Profile(
    name="emergency_vehicle_securing",
    validity_s=30,
    repetition_interval_ms=1_000,
    repetition_duration_s=15.0,
    update_ms=15_000,
    ending=Ending.CANCEL,
    relevance_distance=RelevanceDistance.LESS_THAN_1000M,
    reach_m=1_000.0,
    blocking_ms=2_000,
)

_WARNS = all_of(is_on("ignition_on"), is_on("light_bar_on"))
_LIGHT_BAR_OFF = Row(is_off("light_bar_on"), for_ms=LIGHT_BAR_OFF_FOR_MS)

APPROACHING_BEGINS = (Row(all_of(_WARNS, NOT_BACKWARDS, MOVES), for_ms=APPROACHES_FOR_MS),)
APPROACHING_ENDS = (_LIGHT_BAR_OFF, Row(STANDS, for_ms=STOPPED_FOR_MS))
SECURING_BEGINS = (Row(all_of(_WARNS, STANDS), for_ms=SECURES_FOR_MS),)
SECURING_ENDS = (_LIGHT_BAR_OFF, Row(MOVES, for_ms=DRIVES_ON_FOR_MS))


class EmergencyVehicleApproaching(TableTrigger):
    """Make way."""

    def __init__(self) -> None:
        super().__init__(APPROACHING_PROFILE, APPROACHING_BEGINS, APPROACHING_ENDS)

    def situation(self, state: VehicleState, now: MonotonicNs) -> Situation:
        """Take the siren as one more hint."""
        return Situation(
            cause=CauseCode.EMERGENCY_VEHICLE_APPROACHING,
            sub_cause=EMERGENCY_VEHICLE_APPROACHING,
            quality=1 + bool(fresh(state.siren_on, now)),
        )


class EmergencyVehicleSecuring(TableTrigger):
    """It stands there for a reason."""

    def __init__(self) -> None:
        super().__init__(SECURING_PROFILE, SECURING_BEGINS, SECURING_ENDS)

    def situation(self, state: VehicleState, now: MonotonicNs) -> Situation:
        """Take the hazard lights as one more hint."""
        return Situation(
            cause=CauseCode.RESCUE_AND_RECOVERY_WORK_IN_PROGRESS,
            sub_cause=EMERGENCY_VEHICLES,
            quality=1 + bool(fresh(state.hazard_lights, now)),
        )
