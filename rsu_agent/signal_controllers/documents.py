"""What the files of plans and of controllers have in common, key by key; what the values mean is said where they are read.

Names of signal groups are broadcast, so they are what a message can say.
"""

from typing import Annotated, Literal

import msgspec

from rsu_agent.map_lanes import MAX_SIGNAL_GROUP
from shared.service import config

MAX_SECONDS = 600.0

GroupNumber = Annotated[int, msgspec.Meta(ge=1, le=MAX_SIGNAL_GROUP)]
GroupName = Annotated[str, msgspec.Meta(min_length=1, max_length=63, pattern=r"^[ -~]*$")]
"""Printable ASCII (`DescriptiveName`)."""

Duration = Annotated[float, msgspec.Meta(ge=0.0, le=MAX_SECONDS)]


class GroupDocument(config.ConfigStruct, frozen=True, kw_only=True):
    """`[[group]]`, as far as every kind of file has it: a signal group, for people its name, protected or permissive green."""

    number: GroupNumber
    name: GroupName | None = None
    movement: Literal["protected", "permissive"] = "protected"


class PlannedGroupDocument(GroupDocument, frozen=True, kw_only=True):
    """`[[group]]` of a plan; see `PlannedGroup`."""

    green_s: tuple[tuple[float, float], ...]
    amber_s: float
    red_amber_s: float


class ConflictDocument(config.ConfigStruct, frozen=True):
    """`[[conflict]]`: two groups whose movements cross, and the least time from the end of either's green to the other's begin."""

    groups: tuple[GroupNumber, GroupNumber]
    intergreen_s: Duration


class PlanDocument(config.ConfigStruct, frozen=True):
    """A plan file; see `FixedTimePlan`."""

    name: str
    cycle_s: float
    group: tuple[PlannedGroupDocument, ...]
    conflict: tuple[ConflictDocument, ...]
    offset_s: float = 0.0
