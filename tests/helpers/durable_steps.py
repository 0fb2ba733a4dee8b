"""Every step of a program that changes a disk or asks another one, named; at a chosen one the program is killed, or the step fails.

A step is a statement of SQLite that writes, the forcing of a file to disk, the renaming of one, a request to another program, or an
answer that somebody hears. "Acted on but not persisted" is a fault before a step, "persisted but not acted on" one after it.
"""

import errno
import os
import re
import signal
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PosixPath
from typing import Any, Self, TypeVar

from shared.core.errors import StorageError, TransportError, V2xError
from shared.service.database import Connect, sync_path
from shared.service.spool import AnchorState

ATTEMPTS = 12
"""Of a program that goes on after a step has failed."""

_T = TypeVar("_T")


class Fault(Enum):
    """What befalls a program at a step; the value is a part of a test's name."""

    KILLED_BEFORE = "killed before"
    KILLED_AFTER = "killed after"
    FAILS_BEFORE = "fails without effect"
    FAILS_AFTER = "fails after it took effect"

    @property
    def is_after(self) -> bool:
        """Whether the step has taken effect."""
        return self in (Fault.KILLED_AFTER, Fault.FAILS_AFTER)

    @property
    def kills(self) -> bool:
        """Whether the program is no more."""
        return self in (Fault.KILLED_BEFORE, Fault.KILLED_AFTER)


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was taken, and what lay on the disks before and after it, in words."""

    name: str
    before: str
    after: str


class Steps:
    """Counts steps.

    Args:
        look: says what lies on the disks; called around each step while steps are listed, and once after one has failed.
        at: the step something befalls, from 0; None for none.
        fault: what befalls it.
    """

    def __init__(self, look: Callable[[], str] = str, *, at: int | None = None, fault: Fault = Fault.KILLED_BEFORE) -> None:
        self.look = look
        self.taken: list[Step] = []
        self.failures: list[V2xError] = []
        self.seen_after_failure = ""
        self._is_listing = at is None
        self._at = at
        self._fault = fault
        self._count = 0
        self._is_asking = False
        self._seen: str | None = None

    def step(self, name: str, act: Callable[[], _T], failures: tuple[Exception, Exception]) -> _T:
        """Take a step, unless something befalls it; `failures` are what it raises without effect, and after it took effect."""
        is_hit, before = self._begin()
        if is_hit and not self._fault.is_after:
            raise self._befall(failures)
        result = act()
        if is_hit:
            raise self._befall(failures)
        self._end(name, before)
        return result

    async def request(self, name: str, act: Callable[[], Awaitable[_T]]) -> _T:
        """Ask another program: the same for a request, which fails on its way or whose answer does.

        Raises:
            AssertionError: another request is under way, so that neither has a place in the list of steps.
        """
        assert not self._is_asking, f"{name}, while another request is under way: which is first is no matter of the program's"
        self._is_asking = True
        try:
            return await self._request(name, act)
        finally:
            self._is_asking = False

    async def _request(self, name: str, act: Callable[[], Awaitable[_T]]) -> _T:
        is_hit, before = self._begin()
        failures = TransportError("log", "the line is down"), TransportError("log", "the line broke before the answer came")
        if is_hit and not self._fault.is_after:
            raise self._befall(failures)
        result = await act()
        if is_hit:
            raise self._befall(failures)
        self._end(name, before)
        return result

    def told(self, name: str, file: Path, line: str) -> None:
        """Let somebody hear of what was done: a line in a file that is theirs."""

        def write() -> None:
            with file.open("a") as heard:
                heard.write(line + "\n")

        broken = TransportError("whoever asked", "the connection broke")
        self.step(name, write, (broken, broken))

    def until_done(self, act: Callable[[], _T]) -> _T:
        """Do something as a program does that goes on after a failure: again; the failures are kept."""
        while True:
            try:
                return act()
            except (StorageError, TransportError) as failure:
                self.failed(failure)
                if len(self.failures) >= ATTEMPTS:
                    raise

    def failed(self, failure: V2xError) -> None:
        """Keep what the program was told of a failure, and what lies on the disks then."""
        self.failures.append(failure)
        self.seen_after_failure = self.seen_after_failure or self.look()

    def connect(self, whose: str) -> Connect:
        """Return a way to open SQLite whose writing statements are steps."""
        steps = self

        class Counted(sqlite3.Connection):
            def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
                def act() -> sqlite3.Cursor:
                    return super(Counted, self).execute(sql, *values)

                words = words_of(sql, *values)
                if words is None:
                    return act()
                full, broken = sqlite3.OperationalError("database or disk is full"), sqlite3.OperationalError("disk I/O error")
                return steps.step(f"{whose}: {words}", act, (full, broken))

        return lambda uri: sqlite3.connect(uri, uri=True, isolation_level=None, factory=Counted)

    def path(self, path: Path, whose: str) -> Path:
        """Return a path; to rename it, or one made from it, is a step."""
        steps = self

        class Counted(PosixPath):
            def rename(self, target: Any) -> Self:
                name = f"{whose}: the finished file is moved into place"
                return steps.step(name, lambda: super(Counted, self).rename(target), _disk_errors(path))

        return Counted(path)

    def sync(self, whose: str) -> Callable[[Path], None]:
        """Return what forces files and folders to disk, a step each time."""

        def sync(path: Path) -> None:
            what = "its folder is forced to disk" if path.is_dir() else "the new value is forced to disk"
            self.step(f"{whose}: {what}", lambda: sync_path(path), _disk_errors(path))

        return sync

    def _begin(self) -> tuple[bool, str]:
        number, self._count = self._count, self._count + 1
        if self._is_listing and self._seen is None:
            self._seen = self.look()
        return number == self._at, self._seen or ""

    def _end(self, name: str, before: str) -> None:
        if self._is_listing:
            self._seen = self.look()
            self.taken.append(Step(name, before, self._seen))

    def _befall(self, failures: tuple[Exception, Exception]) -> Exception:
        if self._fault.kills:
            os.kill(os.getpid(), signal.SIGKILL)
        return failures[self._fault.is_after]


_WORDS = (
    (r"BEGIN IMMEDIATE", "a transaction begins"),
    (r"COMMIT", "the transaction is committed"),
    (r"CREATE (TABLE|INDEX) (\w+)", r"the \1 \2 is made"),
    (r"INSERT INTO credential", "a certificate is written"),
    (r"INSERT INTO record ", "the record is written"),
    (r"UPDATE record SET state = \?, log_index = \?, proof", "the proof is written"),
    (r"INSERT OR REPLACE INTO trusted", "the trusted checkpoint is written"),
    (r"INSERT OR REPLACE INTO resumed", "where the sequence goes on is written"),
    (r"INSERT INTO evidence", "both notes are written"),
    (r"UPDATE evidence", "the notes are marked as looked at"),
    (r"INSERT INTO identity", "whose log it is is written"),
    (r"INSERT INTO key", "a key of the log is written"),
    (r"DELETE FROM key", "the log's keys are removed"),
    (r"INSERT INTO head", "the checkpoint of the empty log is written"),
    (r"UPDATE head SET size", "the size and the signed checkpoint are written"),
    (r"UPDATE head SET note", "the checkpoint signed anew is written"),
    (r"INSERT INTO tail", "the entries are written"),
    (r"DELETE FROM tail", "the entries of the unfinished bundle are taken out"),
    (r"INSERT INTO bundle", "the full bundle is written"),
    (r"INSERT INTO tile", "a full tile is written"),
    (r"INSERT OR REPLACE INTO edge", "an unfinished tile is written"),
    (r"INSERT OR REPLACE INTO published", "the checkpoint to hand out is written"),
    (r"INSERT OR REPLACE INTO cosigned", "what is cosigned is written"),
    (r"INSERT OR IGNORE INTO fork", "both notes are written"),
)
_MARKS = re.compile(r"UPDATE record SET state = \?, log_index = \? ")
_WRITES = re.compile(r"(BEGIN IMMEDIATE|COMMIT|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER)\b")


def words_of(sql: str, values: Sequence[object] = ()) -> str | None:
    """Return what a statement does, in plain words; None for one that writes nothing."""
    sql = " ".join(sql.split())
    if not _WRITES.match(sql):
        return None
    if _MARKS.match(sql) and isinstance(values[0], int):
        return f"the record is marked as {AnchorState(values[0]).name.lower()}"
    for pattern, words in _WORDS:
        if found := re.match(pattern, sql):
            return found.expand(words).lower()
    if re.match(r"UPDATE record SET state = \?, log_index = NULL", sql):
        return "records without a proof are to be sent again"
    raise LookupError(f"no words for the step {sql!r}: add them")


def _disk_errors(path: Path) -> tuple[OSError, OSError]:
    codes = errno.ENOSPC, errno.EIO
    full, broken = (OSError(code, os.strerror(code), str(path)) for code in codes)
    return full, broken
