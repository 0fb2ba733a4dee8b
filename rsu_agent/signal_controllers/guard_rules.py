"""What a junction's lights promise, whoever runs them: which groups never meet, how long a green and an amber last at least.

These are the engineer's numbers, from the plan or from the controller's file; the guard of what is broadcast holds every state
against them. Left out: longest times, and what follows what in countries with signals of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from rsu_agent.signal_controllers import ConflictingPairs


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRule:
    """What one signal group promises.

    Attributes:
        min_green_ns: a green lasts at least so long; 0 where nothing is promised.
        min_amber_ns: amber after a green lasts at least so long; 0 where there need be none (pedestrians).
    """

    min_green_ns: int = 0
    min_amber_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRules:
    """What the groups of one junction promise.

    Attributes:
        groups: rule of each group that has one.
        intergreen_ns: for each conflicting pair the least time from the end of either's green to the beginning of the other's.
    """

    groups: Mapping[int, GroupRule]
    intergreen_ns: Mapping[frozenset[int], int]

    @property
    def conflicts(self) -> ConflictingPairs:
        """Pairs of groups that must never be permitted together."""
        return frozenset(self.intergreen_ns)
