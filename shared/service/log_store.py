"""The embedded ledger: a C2SP tile log in one SQLite file.

Entries, tiles and the signed checkpoint change in one transaction, so there is never a checkpoint whose tree is not stored, and
never two trees of one size that were both signed and served: the log cannot fork, whenever the power goes. An entry that is there
already is not added again; its first index is the answer. Reading is by tlog-tiles path, the same bytes an HTTP log would serve.
The time an append takes does not depend on how long the log is (`log_format`, `leaf_index`).

An operator's log node stands on this class (HTTP, group commit, witnesses: `shared.operator`). A file put back from a backup
*could* fork a log: one that is marked as such takes no entries but those it had signed for (`adopt`), until the mark is taken off.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.core.errors import ConfigError, DecodeError, EncodeError, ProofError, StorageError
from shared.ledger.checkpoint import Checkpoint, parse_checkpoint
from shared.ledger.merkle import HASH_BYTES, leaf_hash
from shared.ledger.note import NoteSigner, encode_note, parse_note, sign_note, signatures_by, verify_note
from shared.ledger.tiles import MAX_ENTRY_BYTES, TILE_WIDTH
from shared.ledger.tree import EMPTY_TREE, Tree, TreeUpdate, load_tree
from shared.service.database import (
    Connect,
    blob,
    connect_sqlite,
    create_database,
    open_database,
    snapshot,
    storage_errors,
    sync_path,
    transaction,
)
from shared.service.leaf_index import LeafIndex
from shared.service.log_format import FIRST_FORMAT, LOG_FORMAT, migrate_log, tile_row
from shared.service.log_reader import LogReader, is_checked_whole, log_format_of

MAX_BATCH_ENTRIES = 4_096

MAX_KEYS = 2
"""Keys that sign at once: one, and while the log changes its key, the next one."""

_CACHE_KIBIBYTES = 8_192
_CHECKPOINT_PAGES = 4_000
"""Pages in the write-ahead log before they are moved into the file."""

_MAX_WAL_OCTETS = 64 << 20
"""To which a write-ahead log is cut that has grown, because somebody read for long."""


class LogStore(LogReader):
    """A log in a file; make one with `open_log_store`.

    Args:
        path: the file, for error messages.
        connection: open, checked.
        signers: the log's keys, one name; the first is the one it keeps.
        index: where entries stand.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, signers: Sequence[NoteSigner], index: LeafIndex) -> None:
        super().__init__(path, connection)
        self._signers = tuple(signers)
        self._index = index
        self._tree: Tree | None = None
        self._is_restored = False
        self._note = b""
        self._load()

    @property
    def origin(self) -> str:
        """The log's origin: the name of its key."""
        return self._signers[0].key.name

    @property
    def vkey(self) -> str:
        """The log's verifier key, as policies write it."""
        return self._signers[0].key.text

    @property
    def size(self) -> int:
        """Number of entries."""
        return self._load().size

    @property
    def newest_note(self) -> bytes:
        """The checkpoint signed by the append that was committed last."""
        return self._note

    def refresh(self) -> None:
        """Look at the file anew if another program has appended to it; without this the next `append` would fail."""
        if self._tree is not None and self.stored_size != self._tree.size:
            self._tree = None

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
        if self._is_restored:
            raise StorageError(
                str(self._path), "was put back from a backup; it signs nothing before it has all that it ever signed for"
            )
        leaves = [leaf_hash(entry) for entry in entries]
        indexes: dict[bytes, int] = {}
        added: list[bytes] = []
        for leaf, entry in zip(leaves, entries, strict=True):
            if leaf not in indexes:
                known = self._find(leaf, tree)
                indexes[leaf] = tree.size + len(added) if known is None else known
                if known is None:
                    added.append(entry)
        if added:
            new = [leaf for leaf, number in indexes.items() if number >= tree.size]
            update = tree.extended(new)
            self._tree = None
            with storage_errors(self._path), transaction(self._connection):
                note = self._signed(update.tree)
                self._store(tree, added, update, note)
            self._index.add(new)
            self._tree, self._note = update.tree, note
        return tuple(indexes[leaf] for leaf in leaves)

    def adopt(self, entries: Iterable[bytes], note: bytes) -> None:
        """Append entries that this log had before it was put back from a backup, exactly these, in one transaction.

        Args:
            entries: those from `size` on.
            note: a checkpoint that this log signed then.

        Raises:
            ProofError: the note is not this log's, or the entries do not make its tree; nothing was added.
            StorageError: the file failed.
        """
        checkpoint, own_note = self._own(note)
        tree = self._load()
        self._tree = None
        with storage_errors(self._path), transaction(self._connection):
            for batch in _batches(entries):
                update = tree.extended(map(leaf_hash, batch))
                if update.tree.size > checkpoint.tree_size:
                    break
                self._store(tree, batch, update, own_note)
                tree = update.tree
            if (tree.size, tree.root) != (checkpoint.tree_size, checkpoint.root):
                raise ProofError(f"what was found does not make the tree of {checkpoint.tree_size} entries that the log has signed")

    def publish(self, note: bytes) -> None:
        """Keep a checkpoint that is handed out from now on; raises `StorageError` where it cannot be kept."""
        with storage_errors(self._path), transaction(self._connection):
            self._connection.execute("INSERT OR REPLACE INTO published (id, note) VALUES (1, ?)", (note,))

    def mark_restored(self, *, is_restored: bool) -> None:
        """Forbid appending, or allow it again; raises `StorageError` where that cannot be kept."""
        with storage_errors(self._path), transaction(self._connection):
            self._connection.execute("UPDATE identity SET restored = ?", (int(is_restored),))
        self._is_restored = is_restored

    def sync_index(self) -> None:
        """Save the next start some work; may be called by another thread. Raises `StorageError` where the disk failed."""
        self._index.sync()

    def close(self) -> None:
        """Close the file."""
        self._index.close()
        super().close()

    def _find(self, leaf: bytes, tree: Tree) -> int | None:
        for number in self._index.find(leaf):
            if number < tree.size and self._leaf_at(number, tree) == leaf:
                return number
        return None

    def _leaf_at(self, number: int, tree: Tree) -> bytes:
        at = number % TILE_WIDTH * HASH_BYTES
        if number // TILE_WIDTH == tree.size // TILE_WIDTH:
            return tree.edges[0][at : at + HASH_BYTES]
        row = self._one(
            "SELECT substr(hashes, ?, ?) FROM tile WHERE number = ?", at + 1, HASH_BYTES, tile_row(0, number // TILE_WIDTH)
        )
        if row is None:
            raise self._damaged(f"the tile of entry {number} is missing")
        return blob(self._path, row[0])

    def _store(self, tree: Tree, added: Sequence[bytes], update: TreeUpdate, note: bytes) -> None:
        """Write entries, tiles and head, inside a transaction."""
        execute = self._connection.execute
        moved = execute("UPDATE head SET size = ?, note = ? WHERE size = ?", (update.tree.size, note, tree.size))
        if moved.rowcount != 1:
            raise StorageError(str(self._path), "another program appended to this log at the same time; nothing was added")
        for first, entries in _by_bundle(tree.size, added):
            octets = b"".join([len(entry).to_bytes(2) + entry for entry in entries])
            if (first + len(entries)) % TILE_WIDTH:
                execute("INSERT INTO tail (first, entries) VALUES (?, ?)", (first, octets))
                continue
            if first % TILE_WIDTH:
                octets = b"".join(self._tail_rows()) + octets
                execute("DELETE FROM tail")
            execute("INSERT INTO bundle (number, entries) VALUES (?, ?)", (first // TILE_WIDTH, octets))
        for (level, number), hashes in update.tiles.items():
            if len(hashes) == TILE_WIDTH * HASH_BYTES:
                execute("INSERT INTO tile (number, hashes) VALUES (?, ?)", (tile_row(level, number), hashes))
                if level and level not in update.tree.edges:
                    execute("DELETE FROM edge WHERE level = ?", (level,))
            elif level:
                execute("INSERT OR REPLACE INTO edge (level, hashes) VALUES (?, ?)", (level, hashes))

    def _signed(self, tree: Tree) -> bytes:
        body = Checkpoint(origin=self.origin, tree_size=tree.size, root=tree.root).encode()
        return _sign(body, self._signers)

    def _own(self, note: bytes) -> tuple[Checkpoint, bytes]:
        """Return a checkpoint that this log has signed, and the note with the log's own signatures alone."""
        try:
            parsed = parse_note(note)
            checkpoint = parse_checkpoint(parsed.body)
        except DecodeError as error:
            raise ProofError(f"is no checkpoint: {error}") from error
        keys = [signer.key for signer in self._signers]
        own = tuple(line for key in keys for line in signatures_by(parsed, key))
        if checkpoint.origin != self.origin or not own:
            raise ProofError(f"is not signed by {self.origin}")
        for key in keys:
            if signatures_by(parsed, key):
                verify_note(parsed, key)
        return checkpoint, encode_note(parsed.body, own)

    def _load(self) -> Tree:
        """Return the tree, after a failure anew from the file, checked against the signed checkpoint."""
        if self._tree is None:
            with storage_errors(self._path), snapshot(self._connection):
                self._check_keys()
                size, note = self.stored_size, self.checkpoint_note
                bundles = self._connection.execute("SELECT coalesce(max(number) + 1, 0) FROM bundle").fetchone()[0]
                try:
                    checkpoint, _ = self._own(note)
                    tree = load_tree(size, self)
                except (DecodeError, ProofError) as error:
                    raise self._damaged(str(error)) from error
                if (checkpoint.tree_size, checkpoint.root, bundles) != (tree.size, tree.root, tree.size // TILE_WIDTH):
                    raise self._damaged(f"what is in it does not make the signed tree of {size} entries")
                self._is_restored = self.is_restored
                self._index.catch_up(size, self.leaves)
            self._tree, self._note = tree, note
        return self._tree

    def _check_keys(self) -> None:
        stored, given = set(self.stored_keys), {signer.key.text for signer in self._signers}
        if not stored & given:
            names = " and ".join(sorted(stored)) or "none"
            raise StorageError(str(self._path), f"belongs to the log key {names}, not to {' or '.join(sorted(given))}")
        if self.stored_origin != self.origin:
            raise self._damaged(f"it calls itself {self.stored_origin}, and its key {self.origin}")

    def take_keys(self) -> None:
        """Sign as the keys given at opening from now on: the newest tree anew, if the file knows others.

        Raises:
            StorageError: the file failed; the keys are as they were.
        """
        wanted = tuple(signer.key.text for signer in self._signers)
        if set(self.stored_keys) == set(wanted) or self._is_restored:
            return
        tree = self._load()
        note = self._signed(tree)
        self._tree = None
        with storage_errors(self._path), transaction(self._connection):
            moved = self._connection.execute("UPDATE head SET note = ? WHERE size = ?", (note, tree.size))
            if moved.rowcount != 1:
                raise StorageError(str(self._path), "another program appended to this log at the same time; its keys are as before")
            self._connection.execute("DELETE FROM key")
            for vkey in wanted:
                self._connection.execute("INSERT INTO key (vkey) VALUES (?)", (vkey,))
        self._load()


def _sign(body: bytes, signers: Sequence[NoteSigner]) -> bytes:
    if len(signers) == 1:
        return sign_note(body, signers[0])
    signed = [parse_note(sign_note(body, signer)) for signer in signers]
    return encode_note(body, tuple(line for note in signed for line in note.signatures))


def _by_bundle(first: int, entries: Sequence[bytes]) -> Iterator[tuple[int, Sequence[bytes]]]:
    """Give entries from number `first` on in runs of which none crosses the border of a bundle, each with its first number."""
    at = 0
    while at < len(entries):
        count = min(TILE_WIDTH - (first + at) % TILE_WIDTH, len(entries) - at)
        yield first + at, entries[at : at + count]
        at += count


def _batches(entries: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for entry in entries:
        batch.append(entry)
        if len(batch) == MAX_BATCH_ENTRIES:
            yield batch
            batch = []
    if batch:
        yield batch


def open_log_store(
    path: Path, signer: NoteSigner, connect: Connect = connect_sqlite, *, next_signer: NoteSigner | None = None
) -> LogStore:
    """Open a log file, or make an empty log if there is no such file; one of the first format is rewritten.

    Args:
        path: the file.
        signer: the log's key; its name is the log's origin.
        connect: opens SQLite.
        next_signer: the key it changes to, which signs too; of the same name.

    Raises:
        ConfigError: the two keys have different names.
        StorageError: the file is cut short, damaged, foreign, or another log's; it is left as it is.
    """
    signers = (signer,) if next_signer is None else (signer, next_signer)
    if len({each.key.name for each in signers}) != 1:
        raise ConfigError(str(path), "the two keys of a log that changes its key have one name")
    if not path.exists():
        _create(path, signers, connect)
    elif log_format_of(path) == FIRST_FORMAT.version:
        migrate_log(path, connect)
    connection = open_database(path, LOG_FORMAT, connect, is_whole=is_checked_whole(path))
    index = LeafIndex(path)
    try:
        with storage_errors(path):
            connection.execute(f"PRAGMA cache_size=-{_CACHE_KIBIBYTES}")
            connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
            connection.execute(f"PRAGMA journal_size_limit={_MAX_WAL_OCTETS}")
        store = LogStore(path, connection, signers, index)
        store.take_keys()
    except BaseException:
        index.close()
        connection.close()
        raise
    return store


def _create(path: Path, signers: Sequence[NoteSigner], connect: Connect) -> None:
    origin = signers[0].key.name
    note = _sign(Checkpoint(origin=origin, tree_size=0, root=EMPTY_TREE.root).encode(), signers)
    rows = (
        ("INSERT INTO identity (id, origin) VALUES (1, ?)", (origin,)),
        *(("INSERT INTO key (vkey) VALUES (?)", (signer.key.text,)) for signer in signers),
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
