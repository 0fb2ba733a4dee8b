"""A copy of a log's file, made while others append, that says of itself that it is one.

    FILE        the log as it was at one moment, marked: opened by accident it takes no entries
    FILE.key    its private key, of mode 0600, where that was asked for

A log that goes on from an old copy signs a second history under its own name. So the mark is in the copy from its first byte on,
and only a restore that has found everything the log ever showed takes it off (`shared.operator.log_restore`). The key is a file of
its own: a copy of the log is no secret and may lie anywhere. Rows are copied, not pages, all in one view of the log: whoever
appends is not held up, and what SQLite cannot read is found now and not when the copy is needed.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from shared.core.errors import DecodeError, ProofError, StorageError
from shared.ledger.audit_tree import AuditTree, leaf_hashes
from shared.ledger.checkpoint import Checkpoint, parse_checkpoint
from shared.ledger.note import parse_note
from shared.ledger.tiles import TILE_WIDTH, EntryBundle, decode_bundle
from shared.service.database import Connect, connect_sqlite, create_database, storage_errors, sync_path
from shared.service.keystore import PRIVATE_MODE, read_private_file, write_new_file
from shared.service.leaf_index import INDEX_SUFFIX, remove_index_files
from shared.service.log_format import LOG_FORMAT
from shared.service.log_reader import LogReader, open_log_reader

KEY_SUFFIX = ".key"

MAX_KEY_BYTES = 16_384

_TABLES = {
    "key": "vkey",
    "head": "id, size, note",
    "published": "id, note",
    "bundle": "number, entries",
    "tail": "first, entries",
    "tile": "number, hashes",
    "edge": "level, hashes",
}
"""What is copied; `identity` comes first, with the mark."""

_BESIDE = ("", "-wal", "-shm", "-journal", ".new", ".new-wal", ".new-shm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A copy that was made.

    Attributes:
        origin: the log's.
        tree_size: entries in it.
        octets: of the file.
        has_key: whether the private key lies beside it.
    """

    origin: str
    tree_size: int
    octets: int
    has_key: bool


def back_up_log(path: Path, to: Path, *, key: Path | None = None, connect: Connect = connect_sqlite) -> Copy:
    """Copy a log into a new file, as it is at this moment, whatever others append meanwhile.

    Args:
        path: the log's file.
        to: the copy; it exists complete, checked and marked, or not at all.
        key: the log's private key, to be put beside the copy; None keeps it where it is.
        connect: opens SQLite.

    Raises:
        StorageError: the copy exists already or cannot be written, or the log is damaged.
        ConfigError: the key cannot be read, or is open to others.
    """
    key_copy = to.with_name(to.name + KEY_SUFFIX)
    for each in (to,) if key is None else (to, key_copy):
        if each.exists():
            raise StorageError(str(each), "exists already and is not overwritten")
    pem = None if key is None else read_private_file(key, MAX_KEY_BYTES, what="log's key", may_group_read=False)
    copied = copy_marked(path, to, connect)
    if pem is not None:
        write_new_file(key_copy, pem, mode=PRIVATE_MODE)
    with storage_errors(to):
        return Copy(origin=copied.origin, tree_size=copied.tree_size, octets=to.stat().st_size, has_key=pem is not None)


def copy_marked(path: Path, to: Path, connect: Connect = connect_sqlite) -> Checkpoint:
    """Copy a log's file into a new one that is marked as a copy, look through it, and return its newest checkpoint.

    Raises:
        StorageError: as `back_up_log`; there is no new file then.
    """
    open_log_reader(path, connect).close()  # it is a log of this format, and sound as far as SQLite sees
    fresh = to.with_name(to.name + ".copying")
    with storage_errors(to):
        if to.exists():
            raise StorageError(str(to), "exists already and is not overwritten")
        _remove(fresh)
        try:
            create_database(fresh, LOG_FORMAT, connect)
            _copy_rows(path, fresh, connect)
            with open_log_reader(fresh, connect) as reader:
                checkpoint = check_entries(reader, fresh)
            _remove(fresh, beside_only=True)
            sync_path(fresh)
            fresh.rename(to)
        finally:
            with suppress(OSError):
                _remove(fresh)
        sync_path(to.parent)
    return checkpoint


def check_entries(reader: LogReader, path: Path) -> Checkpoint:
    """Make a log's tree anew from every entry and return its newest checkpoint, whose tree that is; raises `StorageError`."""
    note = reader.checkpoint_note
    try:
        checkpoint = parse_checkpoint(parse_note(note).body)
    except DecodeError as error:
        raise StorageError(str(path), f"is damaged: {error}") from error
    tree = AuditTree()
    for leaves in _leaves(reader, path, checkpoint.tree_size):
        tree.take(leaves)
    try:
        stored = reader.root_at(checkpoint.tree_size)
    except ProofError as error:
        raise StorageError(str(path), f"is damaged: {error}") from error
    if not tree.root == stored == checkpoint.root:
        raise StorageError(
            str(path), f"is damaged: its entries do not make the tree of {checkpoint.tree_size} entries that it signed"
        )
    return checkpoint


def drop_index(path: Path) -> None:
    """Delete the index beside a log's file that no program has open: it may be of another one. Raises `StorageError`."""
    remove_index_files(path.with_name(path.name + INDEX_SUFFIX))


def _leaves(reader: LogReader, path: Path, size: int) -> Iterator[list[bytes]]:
    for index in range(-(-size // TILE_WIDTH)):
        bundle = EntryBundle(index, min(TILE_WIDTH, size - index * TILE_WIDTH))
        try:
            yield leaf_hashes(decode_bundle(bundle, reader.read(bundle.path)))
        except DecodeError as error:
            raise StorageError(str(path), f"is damaged: {error}") from error


def _copy_rows(path: Path, fresh: Path, connect: Connect) -> None:
    """Copy everything in one transaction, the mark before the rest; a copy cut short is empty."""
    with closing(connect(f"{fresh.absolute().as_uri()}?mode=rw")) as connection:
        connection.execute("PRAGMA journal_mode=DELETE").fetchone()
        connection.execute("ATTACH DATABASE ? AS source", (_uri_to_read(path),))
        connection.execute("BEGIN")
        try:
            connection.execute("INSERT INTO main.identity (id, origin, restored) SELECT id, origin, 1 FROM source.identity")
            for table, columns in _TABLES.items():
                connection.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM source.{table} ORDER BY rowid")  # noqa: S608
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")


def _uri_to_read(path: Path) -> str:
    """Return how SQLite is to open a log that others may be writing, or that lies on a medium nobody can write."""
    uri = path.absolute().as_uri()
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return f"{uri}?mode=rw"  # to read what is in its write-ahead log takes a share in a file beside it
    return f"{uri}?mode=ro" if path.with_name(path.name + "-wal").exists() else f"{uri}?mode=ro&immutable=1"


def _remove(path: Path, *, beside_only: bool = False) -> None:
    for suffix in _BESIDE[1:] if beside_only else _BESIDE:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
