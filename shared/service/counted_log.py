"""An embedded log with a counter beside it: one that was put back from an old image signs nothing more.

A log that goes on from an old image signs a second history, for the world to see. Unlike a vehicle's sequence it cannot go on after
a gap: what it signed is a tree, and the tree is gone. So it is refused, and its operator starts a new log with a new key
(`docs/log-keys.md`), or puts a newer copy back. The order is that of `shared.service.rollback_counter`: committed first, counted
second, told third.
"""

from collections.abc import Sequence

from shared.core.errors import StorageError
from shared.service.log_store import LogStore
from shared.service.rollback_counter import RollbackCounter


class CountedLog:
    """Appends to a log and counts its entries.

    Args:
        log: the log.
        counter: its own, not that of a vehicle's records.

    Raises:
        StorageError: the log has fewer entries than it had, or either failed.
    """

    def __init__(self, log: LogStore, counter: RollbackCounter) -> None:
        self._log = log
        self._counter = counter
        counted = counter.read()
        if log.size < counted:
            raise StorageError(
                counter.name,
                f"the log {log.origin} was put back from an older copy: it has {log.size} entries and had signed {counted}; "
                f"it must not sign again: put a newer copy back, or start a new log with a new key",
            )
        counter.advance_to(log.size)

    @property
    def log(self) -> LogStore:
        """The log, to be read."""
        return self._log

    def submit(self, entry: bytes) -> int:
        """Append one entry (or find it) and return its index once it is on disk and counted; raises as `append`."""
        return self.append((entry,))[0]

    def append(self, entries: Sequence[bytes]) -> tuple[int, ...]:
        """Append entries as `LogStore.append` does, and count them.

        Raises:
            EncodeError: too many, or one too long.
            StorageError: not written or not counted, or not known whether; appending again is harmless.
        """
        self._counter.advance_to(self._log.size)
        indexes = self._log.append(entries)
        self._counter.advance_to(self._log.size)
        return indexes
