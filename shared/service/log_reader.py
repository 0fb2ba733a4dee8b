"""What a log's file serves: checkpoints, tiles and bundles, each as of one moment, beside whoever appends to it.

The class reads with whatever connection it is given: `shared.service.log_store` its own, `open_log_reader` one that cannot write,
for another thread or another program. It verifies nothing; whoever reads a log does (`shared.ledger.light_client`).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from shared.core.errors import DecodeError, TransportError
from shared.ledger.checkpoint import parse_checkpoint
from shared.ledger.merkle import HASH_BYTES, Hash, LeafRange, Node, consistency_proof, leaf_hash, range_hash
from shared.ledger.note import parse_note
from shared.ledger.tiles import (
    CHECKPOINT_PATH,
    TILE_HEIGHT,
    TILE_WIDTH,
    EntryBundle,
    decode_bundle,
    node_from_tile,
    parse_tile_path,
    tile_of,
)
from shared.service.database import (
    Connect,
    OpenDatabase,
    blob,
    check_database,
    connect_sqlite,
    is_open_here,
    snapshot,
    storage_errors,
)
from shared.service.log_format import FIRST_FORMAT, LOG_FORMAT, tile_row

MAX_CHECKED_OCTETS = 1 << 30
"""Octets of a file that is looked through before it is used. A longer one takes too long: of it the signed tree's edge is checked,
and what `v2x ledger audit` finds."""

READ_BUSY_TIMEOUT_MS = 5_000


class LogReader(OpenDatabase):
    """A log's file, to be read."""

    @property
    def stored_size(self) -> int:
        """Number of entries in the file at this moment."""
        row = self._one("SELECT size FROM head")
        if row is None or not isinstance(row[0], int):
            raise self._damaged("it has no head")
        return row[0]

    @property
    def stored_keys(self) -> tuple[str, ...]:
        """The verifier keys of the log, as policies write them."""
        with storage_errors(self._path):
            return tuple(str(row[0]) for row in self._connection.execute("SELECT vkey FROM key ORDER BY rowid"))

    @property
    def stored_origin(self) -> str:
        """The log's origin."""
        row = self._one("SELECT origin FROM identity")
        if row is None:
            raise self._damaged("it does not say whose log it is")
        return str(row[0])

    @property
    def is_restored(self) -> bool:
        """Whether the file came out of a backup, and it is not known yet that it is the newest there is."""
        row = self._one("SELECT restored FROM identity")
        return row is None or bool(row[0])

    @property
    def checkpoint_note(self) -> bytes:
        """The newest checkpoint, signed by the log alone."""
        row = self._one("SELECT note FROM head")
        if row is None:
            raise self._damaged("it has no head")
        return blob(self._path, row[0])

    @property
    def published_note(self) -> bytes | None:
        """The checkpoint that was handed out last, with its cosignatures; None where nobody publishes any."""
        row = self._one("SELECT note FROM published")
        return None if row is None else blob(self._path, row[0])

    def newest(self) -> bytes | None:
        """Return the last entry, None while there is none."""
        with self._one_moment():
            size = self.stored_size
            if size == 0:
                return None
            entries = self._entries_of(EntryBundle((size - 1) // TILE_WIDTH, (size - 1) % TILE_WIDTH + 1))
        return entries[-1]

    def read(self, path: str) -> bytes:
        """Return what a log serves at a tlog-tiles path: `checkpoint`, a tile or an entry bundle.

        Raises:
            TransportError: there is nothing at this path (yet).
            StorageError: the file failed.
        """
        if path == CHECKPOINT_PATH:
            return self.checkpoint_note
        try:
            wanted = parse_tile_path(path)
        except DecodeError as error:
            raise TransportError(path, error.reason) from None
        if isinstance(wanted, EntryBundle):
            with self._one_moment():
                if wanted.index * TILE_WIDTH + wanted.width > self.stored_size:
                    raise TransportError(path, "the log is not that large")
                return self._bundle(wanted)
        hashes = self.tile(wanted.level, wanted.index)
        if len(hashes) < wanted.width * HASH_BYTES:
            raise TransportError(path, "the log is not that large")
        return hashes[: wanted.width * HASH_BYTES]

    def tile(self, level: int, index: int) -> bytes:
        """Return the hashes stored so far in a tile; empty if there is none."""
        with self._one_moment():
            row = self._one("SELECT hashes FROM tile WHERE number = ?", tile_row(level, index))
            if row is not None:
                return blob(self._path, row[0])
            if index != self.stored_size >> TILE_HEIGHT * (level + 1):
                return b""
            if level == 0:
                return b"".join(map(leaf_hash, self._tail()))
            row = self._one("SELECT hashes FROM edge WHERE level = ?", level)
            return b"" if row is None else blob(self._path, row[0])

    def leaves(self, first: int, end: int) -> Iterator[bytes]:
        """Give the leaf hashes of entries, one after another; raises `StorageError` where the log has not that many."""
        while first < end:
            hashes = self.tile(0, first // TILE_WIDTH)
            stop = min(end, (first // TILE_WIDTH + 1) * TILE_WIDTH)
            at, to = first % TILE_WIDTH, (stop - 1) % TILE_WIDTH + 1
            if len(hashes) < to * HASH_BYTES:
                raise self._damaged(f"the leaf hash of entry {stop - 1} is missing")
            for n in range(at, to):
                yield hashes[n * HASH_BYTES : (n + 1) * HASH_BYTES]
            first = stop

    def consistency(self, old_size: int, new_size: int) -> tuple[Hash, ...]:
        """Return the consistency proof between two sizes that the log has had; raises `ProofError` where there is none."""
        return consistency_proof(old_size, new_size, lambda node: self._node(node, new_size))

    def root_at(self, size: int) -> Hash:
        """Return the root that the log had at a size; raises `ProofError` where it was never that large."""
        return range_hash(LeafRange(0, size), lambda node: self._node(node, size))

    def _node(self, node: Node, size: int) -> Hash:
        tile = tile_of(node, size)
        return node_from_tile(node, self.tile(tile.level, tile.index))

    def _bundle(self, bundle: EntryBundle) -> bytes:
        row = self._one("SELECT entries FROM bundle WHERE number = ?", bundle.index)
        octets = b"".join(self._tail_rows()) if row is None else blob(self._path, row[0])
        if row is not None and bundle.width == TILE_WIDTH:
            return octets
        at = 0
        for _ in range(bundle.width):
            at += 2 + int.from_bytes(octets[at : at + 2])
        if at > len(octets):
            raise self._damaged(f"{bundle.path} is cut short")
        return octets[:at]

    def _entries_of(self, bundle: EntryBundle) -> tuple[bytes, ...]:
        try:
            return decode_bundle(bundle, self._bundle(bundle))
        except DecodeError as error:
            raise self._damaged(str(error)) from error

    def _tail_rows(self) -> list[bytes]:
        with storage_errors(self._path):
            rows = self._connection.execute("SELECT entries FROM tail ORDER BY first").fetchall()
        return [blob(self._path, row[0]) for row in rows]

    def _tail(self) -> tuple[bytes, ...]:
        """Return the entries after the last full bundle."""
        size = self.stored_size
        if size % TILE_WIDTH == 0:
            return ()
        return self._entries_of(EntryBundle(size // TILE_WIDTH, size % TILE_WIDTH))

    @contextmanager
    def _one_moment(self) -> Iterator[None]:
        """Have several reads see one state of the file."""
        with storage_errors(self._path):
            if self._connection.in_transaction:
                yield
            else:
                with snapshot(self._connection):
                    yield


def size_of_note(note: bytes) -> int:
    """Return the size that a checkpoint speaks of; raises `DecodeError` where it is none."""
    return parse_checkpoint(parse_note(note).body).tree_size


def is_checked_whole(path: Path) -> bool:
    """Tell whether a log's file is short enough to be looked through each time it is opened."""
    files = chain([path], [path.with_name(path.name + "-wal")])
    return sum(file.stat().st_size for file in files if file.exists()) <= MAX_CHECKED_OCTETS


def log_format_of(path: Path) -> int | None:
    """Return the format that a file's header names where it is one of ours, else None; it may be newer in its write-ahead log."""
    with storage_errors(path):
        if not path.is_file():
            return None
        if is_open_here(path):
            return LOG_FORMAT.version  # or it would not be open
        with path.open("rb") as file:
            header = file.read(72)
    is_ours = len(header) == 72 and int.from_bytes(header[68:72]) == LOG_FORMAT.application_id
    version = int.from_bytes(header[60:64])
    return version if is_ours and version in (FIRST_FORMAT.version, LOG_FORMAT.version) else None


def open_log_reader(path: Path, connect: Connect = connect_sqlite, *, is_whole: bool = True) -> LogReader:
    """Open a log to be read beside whoever writes it; several threads may have one each.

    Args:
        path: the file.
        connect: opens SQLite.
        is_whole: whether it is looked through first, if it is short enough; not where it just was.

    Raises:
        StorageError: it is missing, damaged, foreign or of the first format.
    """
    check_database(path, LOG_FORMAT, connect, is_whole=is_whole and is_checked_whole(path))
    with storage_errors(path):
        connection = connect(f"{path.absolute().as_uri()}?mode=rw")
        try:
            connection.execute(f"PRAGMA busy_timeout={READ_BUSY_TIMEOUT_MS}")
            connection.execute("PRAGMA query_only=ON")
        except sqlite3.Error:
            connection.close()
            raise
    return LogReader(path, connection)
