"""SQLite files of ours: created whole or not at all, checked before use, and left untouched when something is wrong with them.

A file is looked at as bytes first (header, length, who made it), then read-only (`quick_check`), and only then opened for writing.
One that is cut short, foreign or damaged ends in a `StorageError` that says which, with not one byte of it changed. Writing is WAL
with synchronous=FULL: what a transaction wrote survives a power cut once it has returned.

A file that this process has open already is not looked at as bytes: to close another descriptor of it takes away the locks that
SQLite holds on it (POSIX), and the next program that opens and closes it would then delete its write-ahead log under us.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from shared.core.errors import StorageError

BUSY_TIMEOUT_MS = 5_000

_MAGIC = b"SQLite format 3\x00"
_HEADER_BYTES = 100
_DESCRIPTORS = Path("/proc/self/fd")

Row = tuple[str, tuple[object, ...]]
"""A statement and its values."""

Connect = Callable[[str], sqlite3.Connection]
"""Opens a SQLite URI; handed in so that tests can put a failing disk between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFormat:
    """What kind of file: SQLite application id, version of the schema, the schema, a name for people, and a new file's pages."""

    name: str
    application_id: int
    version: int
    schema: str
    page_octets: int = 4_096


def connect_sqlite(uri: str) -> sqlite3.Connection:
    """Open a SQLite URI in autocommit mode: transactions are begun by hand."""
    return sqlite3.connect(uri, uri=True, isolation_level=None)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and of the operating system into `StorageError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise StorageError(str(path), f"the database failed: {error}") from error
    except UnicodeDecodeError as error:  # SQLite quotes the damaged place in its own message
        raise StorageError(str(path), "is damaged: something that is not text stands where text should be") from error
    except OSError as error:
        raise StorageError(str(path), f"the file cannot be used: {error.strerror or error}") from error


def is_disk_full(failure: StorageError) -> bool:
    """Tell whether a file could not be written because there was no room."""
    cause = failure.__cause__
    return isinstance(cause, sqlite3.Error) and getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def is_corrupt(failure: StorageError) -> bool:
    """Tell whether a file could not be read because it is not what a database should be."""
    codes = sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB
    cause = failure.__cause__
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in codes
    return failure.reason.startswith("is damaged")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run a block in one immediate transaction; whatever goes wrong rolls it back, unless the commit itself had succeeded."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Let a block read the file as it is at one moment, whatever others write meanwhile."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")


def blob(path: Path, value: object) -> bytes:
    """Return a value read from a column of bytes; raise `StorageError` if it is something else."""
    if not isinstance(value, bytes):
        raise StorageError(str(path), "is damaged: something else stands where bytes should be")
    return value


def create_database(path: Path, fmt: DatabaseFormat, connect: Connect = connect_sqlite, rows: Sequence[Row] = ()) -> None:
    """Create a file with its schema under a temporary name and move it into place; it exists complete or not at all.

    Args:
        path: the file.
        fmt: what kind of file.
        connect: opens SQLite.
        rows: statements, with values, that fill a new file.

    Raises:
        StorageError: there is such a file already, or it cannot be written.
    """
    if path.exists():
        raise StorageError(str(path), "exists already")
    fresh = path.with_name(path.name + ".new")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for suffix in ("", "-wal", "-shm"):
            fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)
        os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with closing(connect(_uri(fresh, "rw"))) as connection:
            connection.execute(f"PRAGMA page_size={fmt.page_octets}")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute(f"PRAGMA application_id={fmt.application_id}")
            connection.execute(f"PRAGMA user_version={fmt.version}")
            with transaction(connection):
                for statement in fmt.schema.split(";"):
                    connection.execute(statement)
                for statement, values in rows:
                    connection.execute(statement, values)
            # Closing would do this too, and say nothing where the disk is full: the file would lack what is in the other one.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        sync_path(fresh)
        fresh.rename(path)
        sync_path(path.parent)


def open_database(
    path: Path, fmt: DatabaseFormat, connect: Connect = connect_sqlite, *, is_whole: bool = True
) -> sqlite3.Connection:
    """Check an existing file and open it for writing.

    Args:
        path: the file.
        fmt: what kind of file it must be.
        connect: opens SQLite.
        is_whole: whether every page is looked at, which takes long where there are many.

    Raises:
        StorageError: it is missing, cut short, not ours, of another version, or damaged; it was not changed.
    """
    check_database(path, fmt, connect, is_whole=is_whole)
    with storage_errors(path):
        connection = connect(_uri(path, "rw"))
        try:
            connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA trusted_schema=OFF")
            journal_mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        except BaseException:
            connection.close()
            raise
    if journal_mode != "wal":
        connection.close()
        raise StorageError(str(path), "the file system does not allow a write-ahead log beside it")
    return connection


def open_read_only(
    path: Path, fmt: DatabaseFormat, connect: Connect = connect_sqlite, *, is_whole: bool = True
) -> sqlite3.Connection:
    """Check an existing file and open it to be read, beside whoever writes it; takes and raises what `open_database` does."""
    check_database(path, fmt, connect, is_whole=is_whole)
    with storage_errors(path):
        return connect(_readable_uri(path))


def check_database(path: Path, fmt: DatabaseFormat, connect: Connect = connect_sqlite, *, is_whole: bool = True) -> None:
    """Look at a file without changing it, at every page if `is_whole`; raise `StorageError` saying what is wrong with it."""
    with storage_errors(path):
        has_wal = _size(path.with_name(path.name + "-wal")) > 0
        is_open = is_open_here(path)
        if not is_open:
            _check_header(path, fmt, is_complete=not has_wal)
        with closing(connect(_readable_uri(path))) as connection:
            if is_open:
                numbers = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
                _check_kind(path, fmt, *numbers)
            try:
                check = "quick_check(1)" if is_whole else "schema_version"
                verdict = connection.execute(f"PRAGMA {check}").fetchone()[0]
            except sqlite3.DatabaseError as error:
                raise StorageError(str(path), f"is damaged: {error}") from error
    if is_whole and verdict != "ok":
        first_line = str(verdict).split("\n")[-1]
        raise StorageError(str(path), f"is damaged: {first_line}")


def open_or_create(path: Path, fmt: DatabaseFormat, connect: Connect = connect_sqlite) -> sqlite3.Connection:
    """Open a file for writing, made empty if there is none; raises `StorageError` as `open_database`."""
    if not path.exists():
        create_database(path, fmt, connect)
    return open_database(path, fmt, connect)


class OpenDatabase:
    """What every store in a file has; a context manager that closes the file.

    Args:
        path: the file, for error messages.
        connection: open, checked.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        """Return the store."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the file."""
        self.close()

    def _one(self, statement: str, *values: object) -> tuple[object, ...] | None:
        with storage_errors(self._path):
            row: tuple[object, ...] | None = self._connection.execute(statement, values).fetchone()
        return row

    def _damaged(self, what: str) -> StorageError:
        return StorageError(str(self._path), f"is damaged: {what}")


def is_open_here(path: Path) -> bool:
    """Tell whether this process has a file open; where the system does not say, it is taken for not so."""
    try:
        wanted, descriptors = path.stat(), [int(entry.name) for entry in _DESCRIPTORS.iterdir()]
    except OSError:
        return False
    for descriptor in descriptors:
        with suppress(OSError):  # the listing's own is closed by now
            if os.path.samestat(os.fstat(descriptor), wanted):
                return True
    return False


def _check_header(path: Path, fmt: DatabaseFormat, *, is_complete: bool) -> None:
    """SQLite file format 1.3. While a write-ahead log holds newer pages the length says nothing."""
    if not path.is_file():
        raise StorageError(str(path), "does not exist" if not path.exists() else "is not a file")
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    size = path.stat().st_size
    if len(header) < _HEADER_BYTES:
        if _MAGIC.startswith(header[:16]) or header.startswith(_MAGIC):
            raise StorageError(str(path), f"is cut short: {size} bytes, less than the header of a database")
        raise StorageError(str(path), f"is not a {fmt.name}: not a SQLite database")
    if not header.startswith(_MAGIC):
        raise StorageError(str(path), f"is not a {fmt.name}: not a SQLite database")
    page_bytes = int.from_bytes(header[16:18])
    page_bytes = 65_536 if page_bytes == 1 else page_bytes
    expected = page_bytes * int.from_bytes(header[28:32])
    if is_complete and size < expected:
        raise StorageError(str(path), f"is cut short: {size} of {expected} bytes are there")
    if is_complete and size > expected:
        raise StorageError(str(path), f"is damaged: {size - expected} bytes stand after its end")
    _check_kind(path, fmt, int.from_bytes(header[68:72]), int.from_bytes(header[60:64]))


def _check_kind(path: Path, fmt: DatabaseFormat, application_id: int, version: int) -> None:
    if application_id != fmt.application_id:
        raise StorageError(str(path), f"is not a {fmt.name}: another program made it (application id {application_id:#x})")
    if version != fmt.version:
        raise StorageError(str(path), f"is a {fmt.name} of format {version}; this program knows format {fmt.version}")


def _uri(path: Path, mode: str) -> str:
    return f"{path.absolute().as_uri()}?mode={mode}"


def _readable_uri(path: Path) -> str:
    """Nothing is made beside a file that has no write-ahead log."""
    has_wal = _size(path.with_name(path.name + "-wal")) > 0
    return _uri(path, "ro" if has_wal else "ro&immutable=1")


def octets_of(path: Path) -> int:
    """Return the size of a database with its write-ahead log; raises `StorageError`."""
    with storage_errors(path):
        return _size(path) + _size(path.with_name(path.name + "-wal"))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def sync_path(path: Path) -> None:
    """Force a file, or the names in a directory, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
