"""An embedded log with a counter beside it: one that was put back from an old image signs nothing more.

A log that goes on from an old image signs a second history, for the world to see. Unlike a vehicle's sequence it cannot go on after
a gap: what it signed is a tree, and the tree is gone. So its file is marked, which survives that the counter is taken away, and
takes no entries until a copy with all it had signed is put back, or a new log is begun (`docs/log-operation.md`). The order is that
of `shared.service.rollback_counter`: committed first, counted second, told third. So a marked copy that has as many entries as were
counted has all that anybody was ever told of, and the counter takes the mark off.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.core.errors import StorageError
from shared.service.log_store import LogStore
from shared.service.rollback_counter import RollbackCounter


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRestored:
    """A log must not sign: it was put back from an older copy.

    Attributes:
        origin: the log's.
        found: entries it has.
        counted: entries it had; None where no counter says.
    """

    origin: str
    found: int
    counted: int | None

    def __str__(self) -> str:
        had = (
            "what it had signed is not known"
            if self.counted is None
            else f"it has {self.found} entries and had signed {self.counted}"
        )
        return (
            f"the log {self.origin} was put back from an older copy: {had}; it must not sign again: "
            "put a newer copy back, or start a new log with a new key"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCounterIsNew:
    """A counter that never counted stands beside a log that is not empty: put in use just now, or its medium is not there.

    Attributes:
        found: entries the log has.
    """

    found: int

    def __str__(self) -> str:
        return (
            f"the log's counter is new, though it has {self.found} entries: right once; else its medium is missing or was replaced"
        )


UNCOUNTED_ENTRIES = 1
"""By how many a log may be ahead of its counter: entries come one by one, and power may go before the last is counted.

A log that is further ahead was not always counted: then its counter cannot say that a copy of it is whole.
"""

LogNews = LogRestored | LogCounterIsNew
"""What was odd about a log when it was opened."""


def look_at_log(log: LogStore, counter: RollbackCounter | None) -> LogNews | None:
    """Hold a log against its counter, mark it or take the mark off, and return what is odd; None where it may go on.

    Raises:
        StorageError: either failed.
    """
    counted = 0 if counter is None else counter.read()
    if log.size < counted:
        log.mark_restored(is_restored=True)
        return LogRestored(origin=log.origin, found=log.size, counted=counted)
    if log.is_restored and counted > 0 and log.size - counted <= UNCOUNTED_ENTRIES:
        log.mark_restored(is_restored=False)
    if log.is_restored:
        return LogRestored(origin=log.origin, found=log.size, counted=None)
    if counter is not None and counted == 0 < log.size:
        return LogCounterIsNew(found=log.size)
    return None


class _RestoredError(StorageError):
    def __init__(self, path: str, news: LogRestored) -> None:
        super().__init__(path, str(news))
        self.news = news


class CountedLog:
    """Appends to a log and counts its entries.

    Args:
        log: the log.
        counter: its own, not that of a vehicle's records.

    Raises:
        StorageError: the log has fewer entries than it had and is marked now, or either failed.
    """

    def __init__(self, log: LogStore, counter: RollbackCounter) -> None:
        self._log = log
        self._counter = counter
        news = look_at_log(log, counter)
        if isinstance(news, LogRestored):
            raise _RestoredError(counter.name, news)
        self._news = news
        counter.advance_to(log.size)

    @property
    def log(self) -> LogStore:
        """The log, to be read."""
        return self._log

    @property
    def news(self) -> LogCounterIsNew | None:
        """What was odd when it was opened, for whoever must be told."""
        return self._news

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

    def read(self, path: str) -> bytes:
        """Return what the log serves at a path, as `LogReader.read`."""
        return self._log.read(path)


def open_counted(log: LogStore, counter: RollbackCounter | None) -> tuple[LogStore | CountedLog, LogNews | None]:
    """Return what a vehicle anchors in, and what was odd about it; a log that must not sign can still be read and refuses the rest.

    Args:
        log: the log.
        counter: its own; None where nothing counts it.

    Raises:
        StorageError: either failed.
    """
    if counter is None:
        return log, look_at_log(log, None)
    try:
        counted = CountedLog(log, counter)
    except _RestoredError as error:
        return log, error.news
    return counted, counted.news
