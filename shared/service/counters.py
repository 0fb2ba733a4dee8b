"""Counters by name: how often each thing happened, for the status, the summary and the metrics.

Names come from closed sets (reports, codes, kinds), but a bug or a peer must not be able to grow the table without end: beyond
its capacity, new names are counted together under `other`.
"""

CAPACITY_NAMES = 256
OTHER = "other"
"""Where what has no room is counted."""


class Counters:
    """How often each name was counted.

    Args:
        capacity_names: how many names have a counter of their own.
    """

    def __init__(self, *, capacity_names: int = CAPACITY_NAMES) -> None:
        self._capacity_names = capacity_names
        self._counts: dict[str, int] = {}

    def add(self, name: str, times: int = 1) -> None:
        """Count `name`, `times` more (not negative)."""
        if times < 0:
            raise ValueError(f"a counter does not go back ({name} by {times})")
        own = name in self._counts or len(self._counts) - (OTHER in self._counts) < self._capacity_names
        key = name if own else OTHER
        self._counts[key] = self._counts.get(key, 0) + times

    def __getitem__(self, name: str) -> int:
        """Return the count of `name`, 0 when it never happened."""
        return self._counts.get(name, 0)

    @property
    def total(self) -> int:
        """The sum of all counts."""
        return sum(self._counts.values())

    def snapshot(self) -> dict[str, int]:
        """Return a copy, sorted by name."""
        return dict(sorted(self._counts.items()))
