"""The file of the record spool: its tables, and how a file of the format before becomes one of this format.

Format 3 keeps records of every kind (a reading only where there is one) and, beside the vehicle's credentials, those of whoever
else signed its records, each with its role. A file of format 2 is converted in one transaction that also writes the new version:
whenever power fails, the file is of one format or the other, with everything in it. A damaged one is not touched.
"""

from contextlib import closing
from pathlib import Path

from shared.core.errors import StorageError
from shared.service.database import BUSY_TIMEOUT_MS, Connect, DatabaseFormat, check_database, storage_errors, transaction

_NAME = "v2x-trust record spool"
_APPLICATION_ID = 0x7632_7873  # "v2xs"

_RECORD = """
            seq INTEGER PRIMARY KEY,
            commitment BLOB NOT NULL UNIQUE,
            kind TEXT NOT NULL,
            odometer_m INTEGER,
            sd_jwt TEXT NOT NULL,
            salt BLOB NOT NULL,
            state INTEGER NOT NULL,
            log_index INTEGER,
            proof BLOB
"""
_INDEX = "CREATE INDEX record_by_state ON record (state, seq)"
_READINGS = "CREATE INDEX record_by_kind ON record (kind, seq)"

SPOOL_FORMAT = DatabaseFormat(
    name=_NAME,
    application_id=_APPLICATION_ID,
    version=3,
    schema=f"""
        CREATE TABLE record ({_RECORD});
        {_INDEX};
        {_READINGS};
        CREATE TABLE credential (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            certificate BLOB NOT NULL,
            authority BLOB NOT NULL,
            role TEXT NOT NULL DEFAULT 'vehicle'
        );
        CREATE TABLE trusted (id INTEGER PRIMARY KEY CHECK (id = 1), note BLOB NOT NULL);
        CREATE TABLE resumed (id INTEGER PRIMARY KEY CHECK (id = 1), after_seq INTEGER NOT NULL);
        CREATE TABLE evidence (
            id INTEGER PRIMARY KEY,
            detail TEXT NOT NULL,
            trusted_note BLOB NOT NULL,
            conflicting_note BLOB NOT NULL,
            acknowledged INTEGER NOT NULL DEFAULT 0
        )
    """,
)

_FORMAT_BEFORE = DatabaseFormat(name=_NAME, application_id=_APPLICATION_ID, version=2, schema="")

COLUMNS = "seq, commitment, kind, odometer_m, sd_jwt, salt, state, log_index, proof"
COLUMNS_BEFORE = "seq, commitment, 'odometer', odometer_m, sd_jwt, salt, state, log_index, proof"
"""The same of a file of format 1 or 2, which knew one kind of record."""

CREDENTIALS = "SELECT id, certificate, authority, role FROM credential"
CREDENTIALS_BEFORE = "SELECT id, certificate, authority, 'vehicle' FROM credential"
HEAD = """
    SELECT last.seq, last.commitment,
           (SELECT odometer_m FROM record WHERE kind = ? ORDER BY seq DESC LIMIT 1),
           (SELECT after_seq FROM resumed)
    FROM (SELECT 1) LEFT JOIN (SELECT seq, commitment FROM record ORDER BY seq DESC LIMIT 1) AS last
"""
"""The last record, the last reading of a kind, and the number after which the sequence was resumed; null for what is not there."""

INSERT_CREDENTIAL = "INSERT INTO credential (id, certificate, authority, role) VALUES (?, ?, ?, ?)"
INSERT_RECORD = "INSERT INTO record (seq, commitment, kind, odometer_m, sd_jwt, salt, state) VALUES (?, ?, ?, ?, ?, ?, ?)"

_CONVERSION = (
    f"CREATE TABLE record_of_any_kind ({_RECORD})",
    f"INSERT INTO record_of_any_kind SELECT {COLUMNS_BEFORE} FROM record",  # noqa: S608 - constants of this file
    "DROP TABLE record",
    "ALTER TABLE record_of_any_kind RENAME TO record",
    _INDEX,
    _READINGS,
    "ALTER TABLE credential ADD COLUMN role TEXT NOT NULL DEFAULT 'vehicle'",
    f"PRAGMA user_version={SPOOL_FORMAT.version}",
)

_VERSION_AT = 60
"""Where a SQLite file has `user_version` (file format 1.3)."""


def bring_up_to_date(path: Path, connect: Connect) -> None:
    """Convert a file of format 2; leave every other one as it is, for whoever opens it to judge.

    Raises:
        StorageError: the file is damaged, or could not be converted; it is of format 2 still.
    """
    with storage_errors(path), path.open("rb") as file:
        header = file.read(_VERSION_AT + 4)
    if int.from_bytes(header[_VERSION_AT:]) != _FORMAT_BEFORE.version or len(header) != _VERSION_AT + 4:
        return
    check_database(path, _FORMAT_BEFORE, connect)
    with storage_errors(path), closing(connect(f"{path.absolute().as_uri()}?mode=rw")) as connection:
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        if connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] != "wal":
            raise StorageError(str(path), "the file system does not allow a write-ahead log beside it")
        connection.execute("PRAGMA synchronous=FULL")
        # A conversion that power cut short after its commit is whole in the write-ahead log; the file itself says 2 until then.
        if connection.execute("PRAGMA user_version").fetchone()[0] == _FORMAT_BEFORE.version:
            with transaction(connection):
                for statement in _CONVERSION:
                    connection.execute(statement)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
