"""A disk that fails at a chosen step: before the step took effect, or after it did but before anyone was told."""

import sqlite3
from typing import Any

from shared.service.database import Connect


class Faults:
    """Counts the statements a store executes and makes one of them fail.

    Attributes:
        executed: the statements so far, upper-case first word.
        fail_at: which one fails (0 is the first), None for none.
        persists: whether it takes effect all the same.
    """

    def __init__(self) -> None:
        self.executed: list[str] = []
        self.fail_at: int | None = None
        self.persists = False

    def arm(self, step: int | None, *, persists: bool) -> None:
        """Start counting anew and fail at `step`."""
        self.executed.clear()
        self.fail_at = step
        self.persists = persists

    def connect(self) -> Connect:
        """Return a way to open SQLite on this disk."""
        faults = self

        class FaultyConnection(sqlite3.Connection):
            def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
                return self._step(sql, lambda: super(FaultyConnection, self).execute(sql, *args))

            def executemany(self, sql: str, *args: Any) -> sqlite3.Cursor:
                return self._step(sql, lambda: super(FaultyConnection, self).executemany(sql, *args))

            def _step(self, sql: str, act: Any) -> sqlite3.Cursor:
                number, verb = len(faults.executed), sql.split(maxsplit=1)[0].upper()
                faults.executed.append(verb)
                if number == faults.fail_at and verb != "ROLLBACK":
                    if faults.persists:
                        act()
                    raise sqlite3.OperationalError("disk I/O error")
                cursor: sqlite3.Cursor = act()
                return cursor

        def connect(uri: str) -> sqlite3.Connection:
            return sqlite3.connect(uri, uri=True, isolation_level=None, factory=FaultyConnection)

        return connect
