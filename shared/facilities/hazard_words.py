"""What a hazard is called: TS 102 894-2 V1.3.1 causes and sub-causes in words for a driver.

Codes of a later version have no words of their own: the cause alone is named, or else its number.
"""

from collections.abc import Mapping
from types import MappingProxyType

from shared.messages.cdd import CauseCode

_CAUSES: Mapping[int, str] = MappingProxyType(
    {
        CauseCode.TRAFFIC_CONDITION: "heavy traffic",
        CauseCode.ACCIDENT: "accident",
        CauseCode.ROADWORKS: "roadworks",
        CauseCode.IMPASSABILITY: "road impassable",
        CauseCode.ADVERSE_WEATHER_CONDITION_ADHESION: "slippery road",
        CauseCode.AQUAPLANNING: "aquaplaning",
        CauseCode.HAZARDOUS_LOCATION_SURFACE_CONDITION: "bad road surface",
        CauseCode.HAZARDOUS_LOCATION_OBSTACLE_ON_THE_ROAD: "obstacle on the road",
        CauseCode.HAZARDOUS_LOCATION_ANIMAL_ON_THE_ROAD: "animal on the road",
        CauseCode.HUMAN_PRESENCE_ON_THE_ROAD: "people on the road",
        CauseCode.WRONG_WAY_DRIVING: "wrong-way driver",
        CauseCode.RESCUE_AND_RECOVERY_WORK_IN_PROGRESS: "rescue work",
        CauseCode.ADVERSE_WEATHER_CONDITION_EXTREME_WEATHER_CONDITION: "extreme weather",
        CauseCode.ADVERSE_WEATHER_CONDITION_VISIBILITY: "poor visibility",
        CauseCode.ADVERSE_WEATHER_CONDITION_PRECIPITATION: "heavy precipitation",
        CauseCode.SLOW_VEHICLE: "slow vehicle",
        CauseCode.DANGEROUS_END_OF_QUEUE: "end of a queue",
        CauseCode.VEHICLE_BREAKDOWN: "broken-down vehicle",
        CauseCode.POST_CRASH: "crashed vehicle",
        CauseCode.HUMAN_PROBLEM: "driver unwell",
        CauseCode.STATIONARY_VEHICLE: "stationary vehicle",
        CauseCode.EMERGENCY_VEHICLE_APPROACHING: "emergency vehicle",
        CauseCode.HAZARDOUS_LOCATION_DANGEROUS_CURVE: "dangerous bend",
        CauseCode.COLLISION_RISK: "risk of collision",
        CauseCode.SIGNAL_VIOLATION: "driver ignores a signal",
        CauseCode.DANGEROUS_SITUATION: "dangerous situation",
    }
)

_SUB_CAUSES: Mapping[int, tuple[str, ...]] = MappingProxyType(
    {
        CauseCode.TRAFFIC_CONDITION: (
            "more and more traffic",
            "traffic jam, growing slowly",
            "traffic jam, growing",
            "traffic jam, growing fast",
            "traffic at a standstill",
            "traffic jam, shrinking slowly",
            "traffic jam, shrinking",
            "traffic jam, shrinking fast",
        ),
        CauseCode.ACCIDENT: (
            "accident of several vehicles",
            "heavy accident",
            "accident with a lorry",
            "accident with a bus",
            "accident with hazardous materials",
            "accident on the opposite lane",
            "unsecured accident",
            "accident, help needed",
        ),
        CauseCode.ROADWORKS: (
            "major roadworks",
            "road marking work",
            "moving roadworks",
            "short-term roadworks",
            "street cleaning",
            "winter service",
        ),
        CauseCode.ADVERSE_WEATHER_CONDITION_ADHESION: (
            "heavy frost on the road",
            "fuel on the road",
            "mud on the road",
            "snow on the road",
            "ice on the road",
            "black ice",
            "oil on the road",
            "loose chippings",
            "sudden black ice",
            "salted road",
        ),
        CauseCode.HAZARDOUS_LOCATION_OBSTACLE_ON_THE_ROAD: (
            "lost load",
            "parts of vehicles on the road",
            "parts of tyres on the road",
            "large objects on the road",
            "fallen trees",
            "hub caps on the road",
            "waiting vehicles",
        ),
        CauseCode.HAZARDOUS_LOCATION_ANIMAL_ON_THE_ROAD: ("wild animals", "herd of animals", "small animals", "large animals"),
        CauseCode.HUMAN_PRESENCE_ON_THE_ROAD: ("children on the road", "cyclists on the road", "motorcyclists on the road"),
        CauseCode.WRONG_WAY_DRIVING: ("driver on the wrong lane", "driver in the wrong direction"),
        CauseCode.RESCUE_AND_RECOVERY_WORK_IN_PROGRESS: (
            "emergency vehicles at work",
            "rescue helicopter landing",
            "police at work",
            "medical emergency",
            "child abduction",
        ),
        CauseCode.ADVERSE_WEATHER_CONDITION_EXTREME_WEATHER_CONDITION: (
            "strong wind",
            "damaging hail",
            "hurricane",
            "thunderstorm",
            "tornado",
            "blizzard",
        ),
        CauseCode.ADVERSE_WEATHER_CONDITION_VISIBILITY: (
            "fog",
            "smoke",
            "poor visibility by snowfall",
            "poor visibility by rain",
            "poor visibility by hail",
            "low sun",
            "sandstorm",
            "swarms of insects",
        ),
        CauseCode.ADVERSE_WEATHER_CONDITION_PRECIPITATION: ("heavy rain", "heavy snowfall", "soft hail"),
        CauseCode.SLOW_VEHICLE: (
            "slow maintenance vehicle",
            "vehicles slowing to look at an accident",
            "abnormal load",
            "abnormally wide load",
            "convoy",
            "snow plough",
            "de-icing vehicle",
            "salting vehicle",
        ),
        CauseCode.DANGEROUS_END_OF_QUEUE: (
            "sudden end of a queue",
            "end of a queue over a hill",
            "end of a queue around a bend",
            "end of a queue in a tunnel",
        ),
        CauseCode.VEHICLE_BREAKDOWN: (
            "vehicle without fuel",
            "vehicle without battery power",
            "vehicle with engine trouble",
            "vehicle with transmission trouble",
            "vehicle with cooling trouble",
            "vehicle with brake trouble",
            "vehicle with steering trouble",
            "vehicle with a puncture",
        ),
        CauseCode.STATIONARY_VEHICLE: (
            "stationary vehicle, driver unwell",
            "stationary vehicle, broken down",
            "stationary vehicle, crashed",
            "public transport stopping",
            "stationary vehicle with dangerous goods",
        ),
        CauseCode.EMERGENCY_VEHICLE_APPROACHING: ("emergency vehicle", "vehicle with priority"),
        CauseCode.HAZARDOUS_LOCATION_DANGEROUS_CURVE: ("dangerous left bend", "dangerous right bend"),
        CauseCode.COLLISION_RISK: (
            "risk of collision ahead",
            "risk of collision with crossing traffic",
            "risk of collision beside",
            "risk of collision with a person",
        ),
        CauseCode.SIGNAL_VIOLATION: ("driver ignores a stop sign", "driver ignores a red light", "driver ignores a turning rule"),
        CauseCode.DANGEROUS_SITUATION: (
            "vehicle braking hard",
            "vehicle about to crash",
            "vehicle skidding",
            "vehicle braking on a slippery road",
            "vehicle braking by itself",
            "vehicle warned to brake",
            "vehicle warned of a collision",
        ),
    }
)
"""Sub-causes 1, 2 ... of each cause."""


def hazard_words(cause_code: int, sub_cause_code: int) -> str:
    """Return what a hazard is called, never empty; the cause alone where the sub-cause says nothing known."""
    finer = _SUB_CAUSES.get(cause_code, ())
    if 1 <= sub_cause_code <= len(finer):
        return finer[sub_cause_code - 1]
    return _CAUSES.get(cause_code, f"hazard of kind {cause_code}")
