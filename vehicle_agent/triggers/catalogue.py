"""Every trigger there is, and which of them say the same thing: of those only the gravest speaks.

A car that has crashed has also broken down, and stands; a driver who hears all three learns no more from it. A car that stands
for a reason of its own is no sign of a jam, and neither is an emergency vehicle at work.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from vehicle_agent.triggers.breakdown import Breakdown
from vehicle_agent.triggers.crash import Crash
from vehicle_agent.triggers.emergency_braking import EmergencyBraking
from vehicle_agent.triggers.emergency_vehicle import EmergencyVehicleApproaching, EmergencyVehicleSecuring
from vehicle_agent.triggers.situation import Trigger
from vehicle_agent.triggers.slippery_road import SlipperyRoad
from vehicle_agent.triggers.slow_vehicle import SlowVehicle
from vehicle_agent.triggers.stationary_vehicle import StationaryVehicle
from vehicle_agent.triggers.surroundings import Surroundings
from vehicle_agent.triggers.traffic_jam import EndOfQueue, TrafficJam
from vehicle_agent.triggers.weather import Fog, HeavyRain

MAKERS: Mapping[str, Callable[[Surroundings], Trigger]] = MappingProxyType(
    {
        "emergency_braking": lambda _: EmergencyBraking(),
        "crash": lambda _: Crash(),
        "breakdown": lambda _: Breakdown(),
        "stationary_vehicle": lambda _: StationaryVehicle(),
        "emergency_vehicle": lambda _: EmergencyVehicleApproaching(),
        "emergency_vehicle_securing": lambda _: EmergencyVehicleSecuring(),
        "slow_vehicle": lambda _: SlowVehicle(),
        "slippery_road": lambda _: SlipperyRoad(),
        "end_of_queue": EndOfQueue,
        "traffic_jam": TrafficJam,
        "fog": lambda _: Fog(),
        "heavy_rain": lambda _: HeavyRain(),
    }
)
"""How each is made, by the name of its profile; the gravest first."""

SILENCED_BY: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "breakdown": frozenset({"crash"}),
        "stationary_vehicle": frozenset({"crash", "breakdown", "emergency_vehicle_securing"}),
        "slow_vehicle": frozenset({"crash"}),
        "end_of_queue": frozenset({"crash"}),
        "traffic_jam": frozenset(
            {"crash", "breakdown", "stationary_vehicle", "emergency_vehicle", "emergency_vehicle_securing", "slow_vehicle"}
        ),
    }
)
"""While one of these is there, the trigger on the left is taken as over."""


def make_triggers(surroundings: Surroundings, without: frozenset[str] = frozenset()) -> tuple[Trigger, ...]:
    """Make the triggers, the gravest first.

    Args:
        surroundings: what others say.
        without: names of those that are not wanted.
    """
    return tuple(make(surroundings) for name, make in MAKERS.items() if name not in without)
