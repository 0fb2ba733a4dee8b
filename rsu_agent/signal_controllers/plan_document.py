"""A file with a fixed-time plan, key by key; what its values mean, and whether they are safe, is `fixed_time`'s to say."""

from typing import Literal

from shared.service import config


class GroupDocument(config.ConfigStruct, frozen=True):
    """`[[group]]` of a plan file; see `PlannedGroup`."""

    number: int
    green_s: tuple[tuple[float, float], ...]
    amber_s: float
    red_amber_s: float
    name: str | None = None
    movement: Literal["protected", "permissive"] = "protected"


class ConflictDocument(config.ConfigStruct, frozen=True):
    """`[[conflict]]` of a plan file; see `Conflict`."""

    groups: tuple[int, int]
    intergreen_s: float


class PlanDocument(config.ConfigStruct, frozen=True):
    """A plan file; see `FixedTimePlan`."""

    name: str
    cycle_s: float
    group: tuple[GroupDocument, ...]
    conflict: tuple[ConflictDocument, ...]
    offset_s: float = 0.0
