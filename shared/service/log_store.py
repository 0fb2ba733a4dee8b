"""The embedded ledger: a C2SP tile log in one SQLite file.

Entries, tiles and the signed checkpoint change in one transaction, so there is never a checkpoint whose tree is not stored, and
never two trees of one size that were both signed and served: the log cannot fork, whenever the power goes. An entry that is there
already is not added again; its first index is the answer. Reading is by tlog-tiles path, the same bytes an HTTP log would serve.

An operator's log node (HTTP, group commit, witnesses) stands on this class; it is not here yet. A file put back from a backup *can*
fork a log; its readers notice (`shared.ledger.light_client`).
"""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.core.errors import ConfigError, DecodeError, EncodeError, ProofError, StorageError, TransportError
from shared.ledger.checkpoint import Checkpoint, parse_checkpoint
from shared.ledger.merkle import HASH_BYTES, leaf_hash
from shared.ledger.note import NoteSigner, SignedNote, parse_note, sign_note, verify_note
from shared.ledger.tiles import CHECKPOINT_PATH, MAX_ENTRY_BYTES, TILE_WIDTH, EntryBundle, encode_bundle, parse_tile_path
from shared.ledger.tree import EMPTY_TREE, Tree, load_tree
from shared.service.database import (
    Connect,
    DatabaseFormat,
    blob,
    connect_sqlite,
    create_database,
    open_database,
    snapshot,
    storage_errors,
    sync_path,
    transaction,
)

MAX_BATCH_ENTRIES = 4_096

LOG_FORMAT = DatabaseFormat(
    name="v2x-trust ledger",
    application_id=0x7632_786C,  # "v2xl"
    version=1,
    schema="""
        CREATE TABLE identity (id INTEGER PRIMARY KEY CHECK (id = 1), vkey TEXT NOT NULL);
        CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER NOT NULL, note BLOB NOT NULL);
        CREATE TABLE entry (number INTEGER PRIMARY KEY, leaf BLOB NOT NULL UNIQUE, data BLOB NOT NULL);
        CREATE TABLE tile (level INTEGER NOT NULL, number INTEGER NOT NULL, hashes BLOB NOT NULL, PRIMARY KEY (level, number))
    """,
)


class LogStore:
    """A log in a file; make one with `open_log_store`.

    Args:
        path: the file, for error messages.
        connection: open, checked.
        signer: the log's key.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, signer: NoteSigner) -> None:
        self._path = path
        self._connection = connection
        self._signer = signer
        self._tree: Tree | None = None
        self._load()

    @property
    def origin(self) -> str:
        """The log's origin: the name of its key."""
        return self._signer.key.name

    @property
    def vkey(self) -> str:
        """The log's verifier key, as policies write it."""
        return self._signer.key.text

    @property
    def size(self) -> int:
        """Number of entries."""
        return self._load().size

    def refresh(self) -> None:
        """Look at the file anew if another program has appended to it; without this the next `append` would fail."""
        with storage_errors(self._path):
            row = self._connection.execute("SELECT size FROM head").fetchone()
        if self._tree is not None and (row is None or row[0] != self._tree.size):
            self._tree = None

    def newest(self) -> bytes | None:
        """Return the last entry, None while there is none."""
        with storage_errors(self._path):
            row = self._connection.execute("SELECT data FROM entry ORDER BY number DESC LIMIT 1").fetchone()
        return None if row is None else blob(self._path, row[0])

    def submit(self, entry: bytes) -> int:
        """Append one entry (or find it) and return its index once it is on disk.

        Raises:
            EncodeError: too long.
            StorageError: not written, or not known whether written; submitting again is harmless.
        """
        return self.append((entry,))[0]

    def append(self, entries: Sequence[bytes]) -> tuple[int, ...]:
        """Append entries in one transaction and return their indexes; a known entry keeps its first.

        Raises:
            EncodeError: too many, or one too long.
            StorageError: not written, or not known whether written; appending again is harmless.
        """
        if len(entries) > MAX_BATCH_ENTRIES or any(len(entry) > MAX_ENTRY_BYTES for entry in entries):
            raise EncodeError("log.entries", f"more than {MAX_BATCH_ENTRIES} entries, or one of more than {MAX_ENTRY_BYTES} bytes")
        tree = self._load()
        leaves = [leaf_hash(entry) for entry in entries]
        self._tree = None
        with storage_errors(self._path), transaction(self._connection):
            (stored_size,) = self._connection.execute("SELECT size FROM head").fetchone()
            if stored_size != tree.size:
                raise StorageError(str(self._path), "another program appended to this log at the same time; nothing was added")
            indexes: dict[bytes, int] = {}
            added: list[tuple[int, bytes, bytes]] = []
            for leaf, entry in zip(leaves, entries, strict=True):
                if leaf in indexes:
                    continue
                known = self._connection.execute("SELECT number FROM entry WHERE leaf = ?", (leaf,)).fetchone()
                indexes[leaf] = tree.size + len(added) if known is None else known[0]
                if known is None:
                    added.append((indexes[leaf], leaf, bytes(entry)))
            update = tree.extended(leaf for _, leaf, _ in added)
            if added:
                self._connection.executemany("INSERT INTO entry (number, leaf, data) VALUES (?, ?, ?)", added)
                self._connection.executemany(
                    "INSERT OR REPLACE INTO tile (level, number, hashes) VALUES (?, ?, ?)",
                    [(level, number, hashes) for (level, number), hashes in update.tiles.items()],
                )
                self._move_head(update.tree)
        self._tree = update.tree
        return tuple(indexes[leaf] for leaf in leaves)

    def _move_head(self, tree: Tree) -> None:
        checkpoint = Checkpoint(origin=self.origin, tree_size=tree.size, root=tree.root)
        note = sign_note(checkpoint.encode(), self._signer)
        self._connection.execute("UPDATE head SET size = ?, note = ?", (tree.size, note))

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
        with storage_errors(self._path):
            if isinstance(wanted, EntryBundle):
                return self._read_bundle(wanted)
            hashes = self.tile(wanted.level, wanted.index)
        if len(hashes) < wanted.width * HASH_BYTES:
            raise TransportError(path, "the log is not that large")
        return hashes[: wanted.width * HASH_BYTES]

    def _read_bundle(self, bundle: EntryBundle) -> bytes:
        first = bundle.index * TILE_WIDTH
        if first + bundle.width > self._load().size:
            raise TransportError(bundle.path, "the log is not that large")
        rows = self._connection.execute(
            "SELECT data FROM entry WHERE number >= ? AND number < ? ORDER BY number", (first, first + bundle.width)
        ).fetchall()
        return encode_bundle([blob(self._path, row[0]) for row in rows])

    @property
    def checkpoint_note(self) -> bytes:
        """The newest checkpoint, signed."""
        with storage_errors(self._path):
            row = self._connection.execute("SELECT note FROM head").fetchone()
        return blob(self._path, row[0])

    def tile(self, level: int, index: int) -> bytes:
        """Return the hashes stored so far in a tile; empty if there is none."""
        with storage_errors(self._path):
            row = self._connection.execute("SELECT hashes FROM tile WHERE level = ? AND number = ?", (level, index)).fetchone()
        return b"" if row is None else blob(self._path, row[0])

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _load(self) -> Tree:
        """Return the tree, after a failure anew from the file, checked against the signed checkpoint."""
        if self._tree is None:
            with storage_errors(self._path), snapshot(self._connection):
                vkey, size, note, entries = self._connection.execute(
                    "SELECT vkey, size, note, (SELECT coalesce(max(number) + 1, 0) FROM entry) FROM identity, head"
                ).fetchone() or (None, 0, b"", 0)
                if vkey != self._signer.key.text:
                    raise StorageError(str(self._path), f"belongs to the log key {vkey}, not to {self._signer.key.text}")
                try:
                    checkpoint = _verified(parse_note(blob(self._path, note)), self._signer)
                    tree = load_tree(size, self)
                except (DecodeError, ProofError) as error:
                    raise StorageError(str(self._path), f"is damaged: {error}") from error
            if (checkpoint.tree_size, checkpoint.root, entries) != (tree.size, tree.root, tree.size):
                raise StorageError(str(self._path), f"is damaged: {entries} entries do not make the signed tree of {size}")
            self._tree = tree
        return self._tree


def _verified(note: SignedNote, signer: NoteSigner) -> Checkpoint:
    verify_note(note, signer.key)
    return parse_checkpoint(note.body)


def open_log_store(path: Path, signer: NoteSigner, connect: Connect = connect_sqlite) -> LogStore:
    """Open a log file, or make an empty log if there is no such file.

    Args:
        path: the file.
        signer: the log's key; its name is the log's origin.
        connect: opens SQLite.

    Raises:
        StorageError: the file is cut short, damaged, foreign, or another log's; it is left as it is.
    """
    if not path.exists():
        _create(path, signer, connect)
    connection = open_database(path, LOG_FORMAT, connect)
    try:
        return LogStore(path, connection, signer)
    except BaseException:
        connection.close()
        raise


def _create(path: Path, signer: NoteSigner, connect: Connect) -> None:
    checkpoint = Checkpoint(origin=signer.key.name, tree_size=0, root=EMPTY_TREE.root)
    note = sign_note(checkpoint.encode(), signer)
    rows = (
        ("INSERT INTO identity (id, vkey) VALUES (1, ?)", (signer.key.text,)),
        ("INSERT INTO head (id, size, note) VALUES (1, 0, ?)", (note,)),
    )
    create_database(path, LOG_FORMAT, connect, rows)


def load_or_create_log_key(path: Path) -> Ed25519PrivateKey:
    """Return the log's Ed25519 key from a PKCS#8 PEM file of mode 0600; make a new key if there is no such file.

    Raises:
        ConfigError: others may read the file.
        StorageError: it holds no Ed25519 key.
    """
    with storage_errors(path):
        if not path.exists():
            key = Ed25519PrivateKey.generate()
            pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_name(path.name + ".new")
            fresh.unlink(missing_ok=True)
            with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                file.write(pem)
            sync_path(fresh)
            fresh.rename(path)
            sync_path(path.parent)
            return key
        if path.stat().st_mode & 0o077:
            raise ConfigError(str(path), "others may read this key; its mode must be 0600")
        pem = path.read_bytes()
    try:
        loaded = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        raise StorageError(str(path), "holds no unencrypted PKCS#8 private key in PEM") from None
    if not isinstance(loaded, Ed25519PrivateKey):
        raise StorageError(str(path), "holds a key, but not an Ed25519 key")
    return loaded
