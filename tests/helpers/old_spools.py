"""Record spools of formats before the present one, as the programs of their time left them."""

import sqlite3
from contextlib import closing
from pathlib import Path

_FORMAT_2_RECORDS = """
    CREATE TABLE record (
        seq INTEGER PRIMARY KEY,
        commitment BLOB NOT NULL UNIQUE,
        odometer_m INTEGER NOT NULL,
        sd_jwt TEXT NOT NULL,
        salt BLOB NOT NULL,
        state INTEGER NOT NULL,
        log_index INTEGER,
        proof BLOB
    )
"""
_FORMAT_2_CREDENTIALS = """
    CREATE TABLE credential (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        certificate BLOB NOT NULL,
        authority BLOB NOT NULL
    )
"""


def take_back(path: Path, *, version: int) -> None:
    """Make a spool of odometer records, written by today's program and closed, one of format 1, 2 or 3."""
    path.with_name(path.name + "-mark").unlink(missing_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("DROP INDEX record_evidence")
        if version == 3:
            raw.execute("ALTER TABLE record DROP COLUMN is_evidence")
            raw.execute("PRAGMA user_version=3")
            return
        for table, schema, columns in (
            ("record", _FORMAT_2_RECORDS, "seq, commitment, odometer_m, sd_jwt, salt, state, log_index, proof"),
            ("credential", _FORMAT_2_CREDENTIALS, "number, id, certificate, authority"),
        ):
            raw.execute(f"ALTER TABLE {table} RENAME TO today")
            raw.execute("DROP INDEX IF EXISTS record_by_kind")
            raw.execute("DROP INDEX IF EXISTS record_by_state")
            raw.execute(schema)
            raw.execute(f"INSERT INTO {table} SELECT {columns} FROM today")
            raw.execute("DROP TABLE today")
        raw.execute("CREATE INDEX record_by_state ON record (state, seq)")
        if version == 1:
            raw.execute("DROP TABLE credential")
        raw.execute(f"PRAGMA user_version={version}")
        raw.execute("VACUUM")
