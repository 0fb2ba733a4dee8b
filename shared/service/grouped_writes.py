"""Several writes to one SQLite file in one transaction where they belong together: fewer writes to the medium, and all or nothing.

A write on its own is a transaction of its own. Within `together` the transaction begins with the first write and is committed when
the block ends; a block that writes nothing costs nothing. Once a write has failed nothing of the block is kept, whoever caught the
error.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shared.core.errors import StorageError
from shared.service.database import storage_errors, transaction


class GroupedWrites:
    """The transactions of one connection.

    Args:
        path: the file, for error messages.
        connection: open, in autocommit mode.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._is_together = False
        self._is_broken = False

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let what a block writes reach the disk at once.

        Raises:
            StorageError: something in the block was not written, or all of it was not; nothing of it is there, or, where the
                failure came after the fact, all of it.
        """
        self._is_together, self._is_broken = True, False
        try:
            yield
            if self._is_broken:
                raise StorageError(str(self._path), "nothing was written, because a part of it could not be")
            if self._connection.in_transaction:
                with storage_errors(self._path):
                    self._connection.execute("COMMIT")
        finally:
            self._is_together = False
            self._roll_back()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write, in a transaction of its own or in that of `together`; raises `StorageError`."""
        if not self._is_together:
            with storage_errors(self._path), transaction(self._connection):
                yield
            return
        if self._is_broken:
            raise StorageError(str(self._path), "not written, because something before it could not be")
        try:
            with storage_errors(self._path):
                if not self._connection.in_transaction:
                    self._connection.execute("BEGIN IMMEDIATE")
                yield
        except BaseException:
            self._is_broken = True
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
