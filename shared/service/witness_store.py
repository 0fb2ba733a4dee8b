"""What a witness has cosigned, in one SQLite file: compared and kept in one step, before anybody hears of it.

For each log the checkpoint cosigned last; and the contradictions it was shown, both notes, at most `MAX_FORKS`, the first ones.
A file put back from a backup would let a witness cosign a second history: it must not be restored, a witness that lost its file
takes a new key.
"""

import sqlite3
from pathlib import Path

from shared.core.errors import SplitViewError
from shared.ledger.merkle import HASH_BYTES, Hash
from shared.ledger.witness import Cosigned
from shared.service.database import (
    Connect,
    DatabaseFormat,
    OpenDatabase,
    blob,
    connect_sqlite,
    open_or_create,
    storage_errors,
    transaction,
)

MAX_FORKS = 64
"""Contradictions kept of all logs together."""

WITNESS_FORMAT = DatabaseFormat(
    name="v2x-trust witness",
    application_id=0x7632_7877,  # "v2xw"
    version=1,
    schema="""
        CREATE TABLE cosigned (
            origin TEXT PRIMARY KEY,
            size INTEGER NOT NULL,
            root BLOB NOT NULL,
            note BLOB NOT NULL
        );
        CREATE TABLE fork (
            id INTEGER PRIMARY KEY,
            origin TEXT NOT NULL,
            detail TEXT NOT NULL,
            cosigned_note BLOB NOT NULL,
            conflicting_note BLOB NOT NULL,
            UNIQUE (cosigned_note, conflicting_note)
        )
    """,
)


class WitnessFile(OpenDatabase):
    """A witness's store in a file; make one with `open_witness_file`."""

    def cosigned(self, origin: str) -> Cosigned | None:
        """Return what was cosigned last for a log, None for nothing yet."""
        row = self._one("SELECT size, root, note FROM cosigned WHERE origin = ?", origin)
        return None if row is None else self._cosigned(row)

    def advance(self, origin: str, *, expected: Cosigned | None, cosigned: Cosigned) -> bool:
        """Move a log on from `expected`, for good, in one step; return False, with nothing changed, if it stands elsewhere."""
        values = (origin, cosigned.tree_size, cosigned.root, cosigned.note)
        with storage_errors(self._path), transaction(self._connection):
            row = self._connection.execute("SELECT size, root, note FROM cosigned WHERE origin = ?", (origin,)).fetchone()
            stands = None if row is None else self._cosigned(row)
            if _head(stands) != _head(expected):
                return False
            self._connection.execute("INSERT OR REPLACE INTO cosigned (origin, size, root, note) VALUES (?, ?, ?, ?)", values)
        return True

    def keep_fork(self, origin: str, contradiction: SplitViewError) -> None:
        """Keep both notes of a contradiction; the same one twice changes nothing."""
        values = (origin, str(contradiction), contradiction.trusted_note, contradiction.conflicting_note)
        with storage_errors(self._path), transaction(self._connection):
            self._connection.execute(
                "INSERT OR IGNORE INTO fork (origin, detail, cosigned_note, conflicting_note) SELECT ?, ?, ?, ?"
                " WHERE (SELECT count(*) FROM fork) < ?",
                (*values, MAX_FORKS),
            )

    def forks(self) -> tuple[tuple[str, SplitViewError], ...]:
        """Return the contradictions kept, each with its log's origin, the first ones first."""
        with storage_errors(self._path):
            rows = self._connection.execute(
                "SELECT origin, detail, cosigned_note, conflicting_note FROM fork ORDER BY id"
            ).fetchall()
        return tuple(
            (str(origin), SplitViewError(str(detail), blob(self._path, first), blob(self._path, second)))
            for origin, detail, first, second in rows
        )

    def _cosigned(self, row: tuple[object, ...]) -> Cosigned:
        match row:
            case (int(size), bytes(root), bytes(note)) if size >= 0 and len(root) == HASH_BYTES:
                return Cosigned(tree_size=size, root=Hash(root), note=note)
            case _:
                raise self._damaged("what was cosigned is not what it should be")


def _head(cosigned: Cosigned | None) -> tuple[int, bytes] | None:
    return None if cosigned is None else (cosigned.tree_size, cosigned.root)


def open_witness_file(path: Path, connect: Connect = connect_sqlite) -> WitnessFile:
    """Open a witness's store, or make an empty one if there is no such file.

    Raises:
        StorageError: the file is cut short, damaged or foreign; it is left as it is.
    """
    connection: sqlite3.Connection = open_or_create(path, WITNESS_FORMAT, connect)
    return WitnessFile(path, connection)
