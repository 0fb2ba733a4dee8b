"""The file of a log: its tables, and how a file of the first format becomes one of the second.

    identity   who it is: the origin, and whether the file came out of a backup and is not yet known to be the newest
    key        verifier keys of the log: one, or two while it changes its key
    head       number of entries and the signed checkpoint over them
    published  the checkpoint that was handed out last, with its cosignatures
    bundle     256 entries each, as they are served
    tail       what came after the last full bundle, one row for each transaction
    tile       full tiles, for good; the number of a row is the tile's index * 8 + its level
    edge       the unfinished tile of each level from 1 on; that of level 0 follows from `tail`

So a transaction writes a row at the end of one table and the head, and once in 256 entries a bundle and a tile more: nothing that
depends on how long the log is.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from shared.core.errors import StorageError
from shared.ledger.merkle import HASH_BYTES
from shared.ledger.note import parse_vkey
from shared.ledger.tiles import MAX_TILE_LEVEL, TILE_WIDTH, encode_bundle
from shared.service.database import Connect, DatabaseFormat, blob, open_database, storage_errors, transaction

LEVELS = MAX_TILE_LEVEL + 1

LOG_FORMAT = DatabaseFormat(
    name="v2x-trust ledger",
    application_id=0x7632_786C,  # "v2xl"
    version=2,
    schema="""
        CREATE TABLE identity (id INTEGER PRIMARY KEY CHECK (id = 1), origin TEXT NOT NULL, restored INTEGER NOT NULL DEFAULT 0);
        CREATE TABLE key (vkey TEXT PRIMARY KEY);
        CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER NOT NULL, note BLOB NOT NULL);
        CREATE TABLE published (id INTEGER PRIMARY KEY CHECK (id = 1), note BLOB NOT NULL);
        CREATE TABLE bundle (number INTEGER PRIMARY KEY, entries BLOB NOT NULL);
        CREATE TABLE tail (first INTEGER PRIMARY KEY, entries BLOB NOT NULL);
        CREATE TABLE tile (number INTEGER PRIMARY KEY, hashes BLOB NOT NULL);
        CREATE TABLE edge (level INTEGER PRIMARY KEY, hashes BLOB NOT NULL)
    """,
)

FIRST_FORMAT = DatabaseFormat(name=LOG_FORMAT.name, application_id=LOG_FORMAT.application_id, version=1, schema="")
"""The format before: a row for each entry with its leaf hash in a UNIQUE column, and every tile rewritten until it was full."""


def tile_row(level: int, index: int) -> int:
    """Return the number of a full tile's row."""
    return index * LEVELS + level


def migrate_log(path: Path, connect: Connect) -> None:
    """Rewrite a file of the first format in place, in one transaction: afterwards it is all new, or as it was.

    Raises:
        StorageError: it is damaged, or the disk failed; nothing was changed.
    """
    with closing(open_database(path, FIRST_FORMAT, connect)) as connection, storage_errors(path):
        with transaction(connection):
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == FIRST_FORMAT.version:  # else it was done, and the power went before the file itself was written
                _rewrite(path, connection)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _rewrite(path: Path, connection: sqlite3.Connection) -> None:
    row = connection.execute("SELECT vkey, size FROM identity, head").fetchone()
    if row is None or not isinstance(row[0], str):
        raise StorageError(str(path), "is damaged: it does not say whose log it is")
    vkey, size = row
    for table in ("identity", "tile"):
        connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    for statement in LOG_FORMAT.schema.split(";"):
        if "TABLE head" not in statement:
            connection.execute(statement)
    connection.execute("INSERT INTO identity (id, origin) VALUES (1, ?)", (parse_vkey(vkey).name,))
    connection.execute("INSERT INTO key (vkey) VALUES (?)", (vkey,))
    entries = _old_entries(path, connection, size)
    for number in range(size // TILE_WIDTH):
        bundle = encode_bundle(tuple(islice(entries, TILE_WIDTH)))
        connection.execute("INSERT INTO bundle (number, entries) VALUES (?, ?)", (number, bundle))
    if rest := tuple(entries):
        connection.execute("INSERT INTO tail (first, entries) VALUES (?, ?)", (size - len(rest), encode_bundle(rest)))
    for level, number, hashes in connection.execute("SELECT level, number, hashes FROM old_tile"):
        if len(blob(path, hashes)) == TILE_WIDTH * HASH_BYTES:
            connection.execute("INSERT INTO tile (number, hashes) VALUES (?, ?)", (tile_row(level, number), hashes))
        elif level:
            connection.execute("INSERT INTO edge (level, hashes) VALUES (?, ?)", (level, hashes))
    for table in ("old_identity", "old_tile", "entry"):
        connection.execute(f"DROP TABLE {table}")
    connection.execute(f"PRAGMA user_version={LOG_FORMAT.version}")


def _old_entries(path: Path, connection: sqlite3.Connection, size: int) -> Iterator[bytes]:
    expected = 0
    for number, data in connection.execute("SELECT number, data FROM entry ORDER BY number"):
        if number != expected:
            break
        yield blob(path, data)
        expected += 1
    if expected != size:
        raise StorageError(str(path), f"is damaged: of {size} entries only the first {expected} are there")
