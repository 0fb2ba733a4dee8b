"""Fog (18/1) and heavy rain (19/1), C2CCC RS 2002.

    fog     begins  rear fog light and low beam on, 10..80 km/h, for 20 s
            ends    rear fog light off for 5 s, or faster than 100 km/h for 10 s
    rain    begins  wipers fast and low beam on, 20..100 km/h, for 30 s
            ends    wipers no longer fast for 20 s, or standing for 60 s

That the driver's lamps, wipers and speed together tell of the weather is published; figures that two sources agree on were not
found, so all of these are ours. A rear fog light above 80 km/h was forgotten; wipers in a car wash run while the car stands or
creeps; a splash from a lorry is over in seconds; a tunnel needs low beam but neither fog light nor wipers.

The weather stays where it was after the car has left it: nothing is cancelled. Repeated every second for 180 s, renewed every 60 s
with the places before, believed for 300 s.
"""

from shared.core.clock import MonotonicNs
from shared.core.units import KMH_PER_MPS
from shared.messages.cdd import CauseCode
from shared.messages.denm import RelevanceDistance
from vehicle_agent.triggers.conditions import NOT_BACKWARDS, STANDS, all_of, at_least, at_most, is_off, is_on
from vehicle_agent.triggers.latch import Row
from vehicle_agent.triggers.situation import Ending, Profile, Situation
from vehicle_agent.triggers.table_trigger import TableTrigger
from vehicle_agent.vehicle_state import VehicleState, fresh

FOG = 1
"""`AdverseWeatherCondition-VisibilitySubCauseCode`."""

HEAVY_RAIN = 1
"""`AdverseWeatherCondition-PrecipitationSubCauseCode`."""

FOG_LEAST_MPS, FOG_MOST_MPS, FOG_IGNORED_MPS = 10.0 / KMH_PER_MPS, 80.0 / KMH_PER_MPS, 100.0 / KMH_PER_MPS
FOG_FOR_MS = 20_000
FOG_LIGHT_OFF_FOR_MS = 5_000
FOG_IGNORED_FOR_MS = 10_000

RAIN_LEAST_MPS, RAIN_MOST_MPS = 20.0 / KMH_PER_MPS, 100.0 / KMH_PER_MPS
RAIN_FOR_MS = 30_000
WIPERS_SLOWER_FOR_MS = 20_000
RAIN_STANDS_FOR_MS = 60_000


def _profile(name: str) -> Profile:
    return Profile(
        name=name,
        validity_s=300,
        repetition_interval_ms=1_000,
        repetition_duration_s=180.0,
        update_ms=60_000,
        ending=Ending.STAY,
        relevance_distance=RelevanceDistance.LESS_THAN_1000M,
        reach_m=1_000.0,
        blocking_ms=60_000,
    )


FOG_PROFILE = _profile("fog")
RAIN_PROFILE = _profile("heavy_rain")

_DRIVES_LIT = all_of(is_on("ignition_on"), NOT_BACKWARDS, is_on("low_beam"))

FOG_BEGINS = (
    Row(
        all_of(_DRIVES_LIT, is_on("rear_fog_light"), at_least("speed_mps", FOG_LEAST_MPS), at_most("speed_mps", FOG_MOST_MPS)),
        for_ms=FOG_FOR_MS,
    ),
)
FOG_ENDS = (
    Row(is_off("rear_fog_light"), for_ms=FOG_LIGHT_OFF_FOR_MS),
    Row(at_least("speed_mps", FOG_IGNORED_MPS), for_ms=FOG_IGNORED_FOR_MS),
    Row(is_off("ignition_on")),
)

RAIN_BEGINS = (
    Row(
        all_of(_DRIVES_LIT, is_on("wipers_fast"), at_least("speed_mps", RAIN_LEAST_MPS), at_most("speed_mps", RAIN_MOST_MPS)),
        for_ms=RAIN_FOR_MS,
    ),
)
RAIN_ENDS = (
    Row(is_off("wipers_fast"), for_ms=WIPERS_SLOWER_FOR_MS),
    Row(STANDS, for_ms=RAIN_STANDS_FOR_MS),
    Row(is_off("ignition_on")),
)


class Fog(TableTrigger):
    """The driver cannot see far."""

    def __init__(self) -> None:
        super().__init__(FOG_PROFILE, FOG_BEGINS, FOG_ENDS)

    def situation(self, state: VehicleState, now: MonotonicNs) -> Situation:
        """Take the front fog light as one more hint."""
        quality = 1 + bool(fresh(state.front_fog_light, now))
        return Situation(cause=CauseCode.ADVERSE_WEATHER_CONDITION_VISIBILITY, sub_cause=FOG, quality=quality)


class HeavyRain(TableTrigger):
    """It pours."""

    def __init__(self) -> None:
        super().__init__(RAIN_PROFILE, RAIN_BEGINS, RAIN_ENDS)

    def situation(self, state: VehicleState, now: MonotonicNs) -> Situation:
        """Take the rear fog light as one more hint."""
        quality = 1 + bool(fresh(state.rear_fog_light, now))
        return Situation(cause=CauseCode.ADVERSE_WEATHER_CONDITION_PRECIPITATION, sub_cause=HEAVY_RAIN, quality=quality)
