"""One run as asked for on the command line: what there is to choose, within which bounds, and what an attacker can be."""

from dataclasses import dataclass
from enum import Enum
from math import ceil

from shared.core.errors import ConfigError
from simulator.kinematics import MAX_VEHICLES
from simulator.scenarios import crossing

MAX_DURATION_S = 3_600.0
MAX_SEED = 2**63 - 1
DEFAULT_VEHICLES = 12
DEFAULT_DURATION_S = 60.0
DEFAULT_ATTACKERS = 1 / 3
DEFAULT_SEED = 1

SCENARIOS = {crossing.NAME: crossing.TITLE}
"""What `v2x-sim list` shows: name and one sentence."""


class Mode(Enum):
    """How simulated time passes."""

    FAST = "fast"
    LIVE = "live"


class CanInterface(Enum):
    """What carries the frames between a simulated car's control units and its agent."""

    VIRTUAL = "virtual"
    UDP = "udp"
    VCAN = "vcan"


class AttackerKind(Enum):
    """What an attacker does; the value is the key in `summary.json`. Attackers are dealt out in this order."""

    FORGED = "forged"
    TAMPERED = "tampered"
    REPLAYED = "replayed"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One run, as asked for on the command line.

    Raises:
        ConfigError: a value is out of range; the key is the option.
    """

    scenario: str = crossing.NAME
    duration_s: float = DEFAULT_DURATION_S
    vehicles: int = DEFAULT_VEHICLES
    attackers: float = DEFAULT_ATTACKERS
    seed: int = DEFAULT_SEED
    mode: Mode = Mode.FAST
    can: CanInterface = CanInterface.VIRTUAL

    def __post_init__(self) -> None:
        if self.scenario not in SCENARIOS:
            raise ConfigError("SCENARIO", f"there is no scenario {self.scenario!r}; there is {', '.join(SCENARIOS)}")
        if not 1.0 <= self.duration_s <= MAX_DURATION_S:
            raise ConfigError("--duration", f"{self.duration_s:g} s is outside 1..{MAX_DURATION_S:g}")
        if not 1 <= self.vehicles <= MAX_VEHICLES:
            raise ConfigError("--vehicles", f"{self.vehicles} is outside 1..{MAX_VEHICLES}")
        if not 0.0 <= self.attackers <= 1.0:
            raise ConfigError("--attackers", f"{self.attackers:g} is no fraction between 0 and 1")
        if not 0 <= self.seed <= MAX_SEED:
            raise ConfigError("--seed", f"{self.seed} is outside 0..{MAX_SEED}")

    @property
    def attacker_counts(self) -> dict[AttackerKind, int]:
        """How many attackers of each kind there are: the fraction of the vehicles, rounded up, dealt out in turn."""
        total = ceil(self.attackers * self.vehicles - 1e-9)
        kinds = tuple(AttackerKind)
        return {kind: len(range(index, total, len(kinds))) for index, kind in enumerate(kinds)}
