"""The file of the record spool: its tables, and how a file of a format before becomes one of this format.

Format 3 keeps records of every kind (a reading only where there is one) and, beside the vehicle's credentials, those of whoever
else signed its records, each with its role. Format 4 also says which records are evidence (`shared.service.spool_room`), and has
small pages: a record and its proof are a handful of short changes, and each writes whole pages. A file of format 2 or 3 is
converted in one transaction that also writes the new version: whenever power fails, the file is of one format or the other, with
everything in it; its pages stay as they are. A damaged one is not touched.
"""

from contextlib import closing
from pathlib import Path

from shared.core.errors import StorageError
from shared.service.database import (
    BUSY_TIMEOUT_MS,
    Connect,
    DatabaseFormat,
    check_database,
    octets_of,
    storage_errors,
    transaction,
)
from shared.service.spool_check import MAX_CHECKED_OCTETS

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
            proof BLOB,
            is_evidence INTEGER NOT NULL DEFAULT 0
"""
_INDEX = "CREATE INDEX record_by_state ON record (state, seq)"
_READINGS = "CREATE INDEX record_by_kind ON record (kind, seq)"
_EVIDENCE = "CREATE INDEX record_evidence ON record (kind) WHERE is_evidence"

PAGE_OCTETS = 1_024
"""Of a new file; against the usual 4,096, a record with its proof writes half as much, and takes a quarter less room."""

SPOOL_FORMAT = DatabaseFormat(
    name=_NAME,
    application_id=_APPLICATION_ID,
    version=4,
    page_octets=PAGE_OCTETS,
    schema=f"""
        CREATE TABLE record ({_RECORD});
        {_INDEX};
        {_READINGS};
        {_EVIDENCE};
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

_FORMATS_BEFORE = {
    version: DatabaseFormat(name=_NAME, application_id=_APPLICATION_ID, version=version, schema="") for version in (2, 3)
}

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
INSERT_RECORD = """
    INSERT INTO record (seq, commitment, kind, odometer_m, sd_jwt, salt, state, is_evidence) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
RECORDS_BY_KIND = (
    "SELECT kind, count(*) FROM record GROUP BY kind",
    "SELECT kind, count(*) FROM record WHERE is_evidence GROUP BY kind",
)
"""How many records of each kind there are, and how many of them are evidence; read from indexes alone."""

SIZES = (
    "PRAGMA page_count",
    "PRAGMA freelist_count",
    "PRAGMA page_size",
    "SELECT count(*) FROM record WHERE state < 3",
)
"""Pages, free ones among them, octets of a page, and records without a proof."""

_VERSION = f"PRAGMA user_version={SPOOL_FORMAT.version}"
_MARK_EVIDENCE = "UPDATE record SET is_evidence = 1 WHERE kind IN ('accident', 'inspection')"
"""What the columns tell; readings with a flag are found by nobody who does not read each token, and stay readings."""

_FROM_2 = (
    f"CREATE TABLE record_of_any_kind ({_RECORD})",
    f"INSERT INTO record_of_any_kind ({COLUMNS}) SELECT {COLUMNS_BEFORE} FROM record",  # noqa: S608 - constants of this file
    "DROP TABLE record",
    "ALTER TABLE record_of_any_kind RENAME TO record",
    _INDEX,
    _READINGS,
    _EVIDENCE,
    "ALTER TABLE credential ADD COLUMN role TEXT NOT NULL DEFAULT 'vehicle'",
    _VERSION,
)
_FROM_3 = ("ALTER TABLE record ADD COLUMN is_evidence INTEGER NOT NULL DEFAULT 0", _EVIDENCE, _MARK_EVIDENCE, _VERSION)
_CONVERSIONS = {2: _FROM_2, 3: _FROM_3}

_VERSION_AT = 60
"""Where a SQLite file has `user_version` (file format 1.3)."""


def bring_up_to_date(path: Path, connect: Connect) -> None:
    """Convert a file of format 2 or 3; leave every other one as it is, for whoever opens it to judge.

    Raises:
        StorageError: the file is damaged, or could not be converted; it is of its format still.
    """
    with storage_errors(path), path.open("rb") as file:
        header = file.read(_VERSION_AT + 4)
    before = _FORMATS_BEFORE.get(int.from_bytes(header[_VERSION_AT:]))
    if before is None or len(header) != _VERSION_AT + 4:
        return
    check_database(path, before, connect, is_whole=octets_of(path) <= MAX_CHECKED_OCTETS)
    with storage_errors(path), closing(connect(f"{path.absolute().as_uri()}?mode=rw")) as connection:
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        if connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] != "wal":
            raise StorageError(str(path), "the file system does not allow a write-ahead log beside it")
        connection.execute("PRAGMA synchronous=FULL")
        # A conversion that power cut short after its commit is whole in the write-ahead log; the file itself says so later.
        if connection.execute("PRAGMA user_version").fetchone()[0] == before.version:
            with transaction(connection):
                for statement in _CONVERSIONS[before.version]:
                    connection.execute(statement)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
