"""The `[hazards]` table of the vehicle agent's configuration: what the vehicle tells others of its own accord."""

from typing import Literal, get_args

from shared.messages.denm_alacarte import EnergyStorage
from shared.service.config import ConfigStruct

UseCase = Literal[
    "emergency_braking",
    "crash",
    "breakdown",
    "stationary_vehicle",
    "emergency_vehicle",
    "emergency_vehicle_securing",
    "slow_vehicle",
    "slippery_road",
    "end_of_queue",
    "traffic_jam",
    "fog",
    "heavy_rain",
]
"""The names of `vehicle_agent.triggers.catalogue`."""

Energy = Literal[
    "hydrogen_storage",
    "electric_energy_storage",
    "liquid_propane_gas",
    "compressed_natural_gas",
    "diesel",
    "gasoline",
    "ammonia",
]


class HazardsConfig(ConfigStruct, frozen=True, kw_only=True):
    """What is told of, and what those who come to help should know.

    Attributes:
        announce: whether the vehicle tells of hazards at all; what it hears of is shown either way.
        without: use cases that are not told of.
        energy: what the vehicle runs on, told when it stands as a hazard; empty where that is nobody's business.
    """

    announce: bool = True
    without: tuple[UseCase, ...] = ()
    energy: tuple[Energy, ...] = ()

    @property
    def unwanted(self) -> frozenset[str]:
        """The use cases that are not told of: all of them where the vehicle announces nothing."""
        return frozenset(self.without if self.announce else get_args(UseCase))

    @property
    def energy_storage(self) -> EnergyStorage | None:
        """The flags of TS 102 894-2; None where nothing is said."""
        flags = EnergyStorage(0)
        for name in self.energy:
            flags |= EnergyStorage[name.upper()]
        return flags or None
