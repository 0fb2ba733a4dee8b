"""A log as static files: what it publishes, written into a folder that any web server or disk can hand on (C2SP tlog-tiles).

    OUT/checkpoint                the published note, with its cosignatures; written last
    OUT/tile/<L>/<N>[.p/<W>]      tiles
    OUT/tile/entries/<N>[.p/<W>]  entry bundles

Nothing is copied blindly: every tile is made anew from the entries and held against the log's own before it is written, and the
tree must have the root of the note before the note is. Each file appears whole or not at all, and all are on disk before the note.
So whenever an export is cut short the folder is the log at its former checkpoint, with some files that nobody asks for yet, and the
next export goes on; what the folder's checkpoint speaks of is not written again. Left out: serving the folder, and telling a
damaged file from a good one, which `v2x ledger audit` does.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from shared.core.errors import DecodeError, ProofError, StorageError
from shared.ledger.audit_tree import AuditTree, leaf_hashes, tree_of_edges
from shared.ledger.checkpoint import Checkpoint, parse_checkpoint
from shared.ledger.merkle import HASH_BYTES
from shared.ledger.note import MAX_NOTE_BYTES, parse_note, parse_vkey, signatures_by, verify_note
from shared.ledger.tiles import CHECKPOINT_PATH, TILE_HEIGHT, TILE_WIDTH, EntryBundle, Tile, decode_bundle
from shared.service.database import storage_errors, sync_path
from shared.service.keystore import read_bounded
from shared.service.log_reader import LogReader
from shared.service.state_lock import locked

FILE_MODE = 0o644
"""A log is public."""

UNFINISHED_FILE = ".unfinished"
"""Where each file is written before it is moved to its place."""

_PIECE_MODE = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC

Write = Callable[[Path, Path, bytes], None]
"""Writes a file whole, by way of another one on the same disk; handed in so that tests can put a failing disk between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What an export did.

    Attributes:
        origin: the log's.
        old_size: entries that the folder had.
        tree_size: entries it has now.
        written: files written, the checkpoint among them.
        kept: files that were there already, from an export that was cut short.
        removed: partial tiles and bundles whose full ones are there now.
    """

    origin: str
    old_size: int
    tree_size: int
    written: int
    kept: int
    removed: int


@dataclass(slots=True, kw_only=True)
class _Folder:
    """The files of an export."""

    path: Path
    write: Write
    written: int = 0
    kept: int = 0
    changed: set[Path] = field(default_factory=set)

    def put(self, place: str, data: bytes) -> None:
        """Have a file, written unless it is there as it should be."""
        path = self.path / place
        self.changed.update(parent for parent in path.parents if parent.is_relative_to(self.path))
        if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
            self.kept += 1
            return
        self.write(path, self.path / UNFINISHED_FILE, data)
        self.written += 1

    def settle(self) -> None:
        """Have the names of all files on disk."""
        for path in self.changed:
            sync_path(path)
        self.changed.clear()


def export_log(
    reader: LogReader,
    folder: Path,
    *,
    is_full: bool = False,
    write: Write | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Export:
    """Bring a folder to what a log has published.

    Args:
        reader: the log; others may append meanwhile.
        folder: made if absent.
        is_full: whether to look at every file again, and to write those anew that are gone or differ.
        write: writes the files.
        on_progress: told how many entries are done, of how many.

    Raises:
        StorageError: a file cannot be read or written, the log is damaged, or the folder is not an earlier state of this log.
    """
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder.resolve(), taken="is being written by another export"):
            return _export(reader, _Folder(path=folder, write=write or write_whole), is_full=is_full, on_progress=on_progress)


def published_checkpoint(reader: LogReader) -> tuple[Checkpoint, bytes]:
    """Return what a log handed out last, its newest own checkpoint where it has published none; raises `StorageError`."""
    note = reader.published_note or reader.checkpoint_note
    try:
        parsed = parse_note(note)
        checkpoint = parse_checkpoint(parsed.body)
        keys = [key for key in map(parse_vkey, reader.stored_keys) if signatures_by(parsed, key)]
        for key in keys:
            verify_note(parsed, key)
    except (DecodeError, ProofError) as error:
        raise StorageError(CHECKPOINT_PATH, f"the log's own checkpoint does not hold: {error}") from error
    if not keys or checkpoint.origin != reader.stored_origin:
        raise StorageError(CHECKPOINT_PATH, f"the log's own checkpoint is not signed by {reader.stored_origin}")
    return checkpoint, note


def write_whole(path: Path, unfinished: Path, data: bytes) -> None:
    """Write a file that appears complete or not at all; its content is on disk then. Raises `OSError`, `StorageError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(unfinished, _PIECE_MODE, FILE_MODE), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if unfinished.read_bytes() != data:
        raise StorageError(str(path), "was not written as it is")
    unfinished.rename(path)


def _export(reader: LogReader, folder: _Folder, *, is_full: bool, on_progress: Callable[[int, int], None]) -> Export:
    checkpoint, note = published_checkpoint(reader)
    size = checkpoint.tree_size
    old_size = _size_there(reader, folder.path, checkpoint)
    tree = AuditTree() if is_full else _tree_at(reader, old_size)
    for index in range(tree.size // TILE_WIDTH, -(-size // TILE_WIDTH)):
        bundle = EntryBundle(index, min(TILE_WIDTH, size - index * TILE_WIDTH))
        on_progress(index * TILE_WIDTH, size)
        _put_bundle(reader, folder, bundle, tree)
    for tile, data in tree.unfinished():
        folder.put(tile.path, data)
    if (tree.size, tree.root) != (size, checkpoint.root):
        raise StorageError(CHECKPOINT_PATH, f"the entries of the log do not make the tree of {size} entries that it published")
    folder.settle()
    folder.put(CHECKPOINT_PATH, note)
    folder.settle()
    on_progress(size, size)
    return Export(
        origin=checkpoint.origin,
        old_size=old_size,
        tree_size=size,
        written=folder.written,
        kept=folder.kept,
        removed=_remove_partials(folder.path, 0 if is_full else old_size, size),
    )


def _put_bundle(reader: LogReader, folder: _Folder, bundle: EntryBundle, tree: AuditTree) -> None:
    data = reader.read(bundle.path)
    try:
        entries = decode_bundle(bundle, data)
    except DecodeError as error:
        raise StorageError(bundle.path, f"the log is damaged: {error}") from error
    leaves = leaf_hashes(entries)
    if b"".join(leaves) != reader.read(Tile(0, bundle.index, bundle.width).path):
        raise StorageError(bundle.path, "the log is damaged: its entries are not those of its tile")
    full = tree.take(leaves[tree.size - bundle.index * TILE_WIDTH :])
    folder.put(bundle.path, data)
    for tile, hashes in full:
        folder.put(tile.path, hashes)


def _size_there(reader: LogReader, folder: Path, published: Checkpoint) -> int:
    """Return how many entries a folder has, 0 where there is no checkpoint; it must be of this log."""
    path = folder / CHECKPOINT_PATH
    if not path.exists():
        return 0
    try:
        there = parse_checkpoint(parse_note(read_bounded(path, MAX_NOTE_BYTES)).body)
    except DecodeError as error:
        raise StorageError(str(path), f"is no checkpoint ({error}); remove it and the export looks at every file") from error
    if there.origin != published.origin:
        raise StorageError(str(path), f"is of the log {there.origin}, this is {published.origin}")
    if there.tree_size > published.tree_size:
        raise StorageError(
            str(path),
            f"has {there.tree_size} entries, and the log has published only {published.tree_size}: "
            "it was put back from an older copy, or the folder is of another one; nothing was written",
        )
    if reader.root_at(there.tree_size) != there.root:
        raise StorageError(
            str(path), f"is another history of {there.origin}: its {there.tree_size} entries are not the log's first; keep both"
        )
    return there.tree_size


def _tree_at(reader: LogReader, size: int) -> AuditTree:
    edges: dict[int, bytes] = {}
    level, count = 0, size
    while count:
        if width := count % TILE_WIDTH:
            edges[level] = reader.tile(level, count // TILE_WIDTH)[: width * HASH_BYTES]
        level, count = level + 1, count >> TILE_HEIGHT
    try:
        return tree_of_edges(size, edges)
    except DecodeError as error:
        raise StorageError(CHECKPOINT_PATH, f"the log is damaged: {error}") from error


def _remove_partials(folder: Path, old_size: int, size: int) -> int:
    """Remove partial tiles and bundles of which the full ones are there now."""
    removed, level, old, new = 0, 0, old_size, size
    while new >= TILE_WIDTH:
        for index in range(old // TILE_WIDTH, new // TILE_WIDTH):
            full = [Tile(level, index, TILE_WIDTH).path]
            if level == 0:
                full.append(EntryBundle(index, TILE_WIDTH).path)
            for path in full:
                partials = folder / f"{path}.p"
                if partials.is_dir():
                    removed += sum(1 for _ in partials.iterdir())
                    shutil.rmtree(partials)
        level, old, new = level + 1, old >> TILE_HEIGHT, new >> TILE_HEIGHT
    return removed
