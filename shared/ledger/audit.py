"""An audit of a log, sans-IO: from its entries to its tiles and to every checkpoint it has signed.

    entries -> leaf hashes -> tiles of every level, each held against the log's -> root at each size that a checkpoint was seen of

What is believed are the entries, for what they are is what matters; where entries and lowest tile differ, both are carried on, and
the signed root says which of the two is wrong. Two signed checkpoints that no one history of entries satisfies are a split view,
shown with both notes. Left out: fetching, and keeping what was verified (`shared.operator.auditor`).
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256

from shared.core.errors import DecodeError
from shared.ledger.audit_tree import AuditTree, leaf_hashes
from shared.ledger.merkle import HASH_BYTES, Hash
from shared.ledger.tiles import TILE_HEIGHT, TILE_WIDTH, EntryBundle, Tile, check_tile, decode_bundle

MAX_FINDINGS = 100
"""Findings that are told; of a log with more, the number alone."""


class Kind(Enum):
    """What was found; the value is the word for machines."""

    SPLIT_VIEW = "split_view"
    ROLLBACK = "rollback"
    ROOT = "root"
    TILE = "tile"
    ENTRIES = "entries"
    MISSING = "missing"
    MALFORMED = "malformed"
    CHECKPOINT = "checkpoint"
    QUORUM = "quorum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is not as it should be: where (a path, or a checkpoint's size), a sentence, and the notes that show it."""

    kind: Kind
    where: str
    sentence: str
    notes: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A checkpoint of the log: size, root and the signed note."""

    tree_size: int
    root: Hash
    note: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Difference:
    """A bundle and the lowest tile do not agree, from `entry` on."""

    bundle: EntryBundle
    tile_path: str
    entry: int

    def finding(self, *, are_entries_right: bool | None) -> Finding:
        if are_entries_right is None:
            sentence = f"holds another hash of entry {self.entry} than {self.bundle.path} makes"
            return _finding(Kind.TILE, self.tile_path, sentence)
        if are_entries_right:
            sentence = f"its hash of entry {self.entry} is not the one that the entry makes, which leads to the signed root"
            return _finding(Kind.TILE, self.tile_path, sentence)
        sentence = f"entry {self.entry} is not the one that was signed: {self.tile_path} leads to the signed root"
        return _finding(Kind.ENTRIES, self.bundle.path, sentence)


class LogAudit:
    """Audits one log.

    Args:
        served: the checkpoint that the log serves now; not smaller than `start`.
        others: checkpoints it has signed before or elsewhere; those below the size of `start` are not judged any more.
        start: the tree of entries verified before; empty to begin at the first entry.
    """

    def __init__(self, *, served: Head, others: Sequence[Head], start: AuditTree) -> None:
        self._served = served
        self._others = tuple(others)
        self._tree = start.copy()
        self._by_tiles: AuditTree | None = None
        self._sizes = sorted({head.tree_size for head in (served, *others)})
        self._roots: dict[int, Hash] = {}
        self._tile_roots: dict[int, Hash] = {}
        self._differences: list[_Difference] = []
        self._above: list[tuple[Finding, bool]] = []
        self._digests_by_tiles: dict[Tile, bytes] = {}
        self._findings: list[Finding] = []
        self._unread: str | None = None
        self._verified: AuditTree | None = None
        self.found = 0
        self.tiles_checked = 0
        self.entries_read = 0
        self._note_root()

    @property
    def target_size(self) -> int:
        """How many entries are to be read: those of the largest checkpoint."""
        return max(self._sizes[-1], self._tree.size)

    @property
    def size(self) -> int:
        """How many were read, now or before."""
        return self._tree.size

    @property
    def verified(self) -> AuditTree | None:
        """The tree of the served checkpoint, if the entries make it."""
        return self._verified

    @property
    def is_stuck(self) -> bool:
        """Whether it cannot go on: neither entries nor their hashes are to be had."""
        return self._unread is not None

    def phases(self) -> tuple[int, ...]:
        """Return up to which sizes to read, one after the other: that served now, and one signed before that is larger."""
        return tuple(size for size in sorted({self._served.tree_size, self.target_size}) if size > self._tree.size)

    def bundles(self, size: int) -> Iterator[EntryBundle]:
        """Return the bundles to be given, in this order, to come to a size."""
        for index in range(self._tree.size // TILE_WIDTH, -(-size // TILE_WIDTH)):
            yield EntryBundle(index, min(TILE_WIDTH, size - index * TILE_WIDTH))

    def add(self, finding: Finding) -> None:
        """Take note of something that was found."""
        self.found += 1
        if len(self._findings) < MAX_FINDINGS:
            self._findings.append(finding)

    def take(self, bundle: EntryBundle, entries: bytes | None, hashes: bytes | None) -> tuple[tuple[Tile, bytes], ...]:
        """Take the next bundle and the lowest tile of the same width, None where the log has none.

        Returns:
            Full tiles above the lowest, as the entries make them: fetch each and give it to `check`.
        """
        tile = Tile(0, bundle.index, bundle.width)
        from_entries, from_tile = self._decoded(bundle, entries), self._hashes(tile, hashes)
        leaves = from_entries if from_entries is not None else from_tile
        if leaves is None:
            self._unread = bundle.path
            return ()
        as_tile_says = leaves if from_tile is None else from_tile
        known = self._tree.size - bundle.index * TILE_WIDTH
        if known and b"".join(leaves[:known]) != self._tree.edges.get(0, b""):
            self.add(_finding(Kind.ENTRIES, bundle.path, "holds other entries than when they were read before"))
        self.tiles_checked += from_tile is not None
        if leaves != as_tile_says:
            self._take_difference(bundle, tile, next(n for n, leaf in enumerate(leaves) if leaf != as_tile_says[n]))
        if self._by_tiles is not None:
            for each, made in _grow(self._by_tiles, as_tile_says[known:], self._sizes, self._note_tile_root):
                self._digests_by_tiles[each] = sha256(made).digest()
        self.entries_read += len(leaves) - known
        completed = _grow(self._tree, leaves[known:], self._sizes, self._note_root)
        return tuple((each, made) for each, made in completed if each.level > 0)

    def check(self, tile: Tile, made: bytes, hashes: bytes | None) -> None:
        """Hold a tile of the log, None if it has none, against the hashes that the entries make."""
        found = self._hashes(tile, hashes)
        if found is None:
            return
        self.tiles_checked += 1
        joined = b"".join(found)
        if joined != made and len(self._above) < MAX_FINDINGS:
            number = next(n for n, one in enumerate(found) if one != made[n * HASH_BYTES : (n + 1) * HASH_BYTES])
            finding = _finding(Kind.TILE, tile.path, f"its hash {number} is not the one that the entries make")
            self._above.append((finding, self._digests_by_tiles.get(tile) == sha256(joined).digest()))

    def unfinished(self) -> tuple[tuple[Tile, bytes], ...]:
        """Return the partial tiles above the lowest that the log has at the served size, as the entries make them."""
        if self.is_stuck or self._tree.size != self._served.tree_size:
            return ()
        if self._by_tiles is not None:
            self._digests_by_tiles |= {tile: sha256(made).digest() for tile, made in self._by_tiles.unfinished()}
        return tuple((tile, made) for tile, made in self._tree.unfinished() if tile.level > 0)

    def conclude(self) -> tuple[Finding, ...]:
        """Return everything that was found; call it once, at the end."""
        right = self._right_roots()
        are_entries_right = None if right is None else self._roots[self._served.tree_size] == self._served.root
        for difference in self._differences:
            self.add(difference.finding(are_entries_right=are_entries_right))
        for finding, is_as_tiles_say in self._above:
            if are_entries_right is not False or not is_as_tiles_say:
                self.add(finding)
        if right is None and self._has_come_to_served:
            size = self._served.tree_size
            sentence = f"the {size} entries do not make the signed root"
            self.add(_finding(Kind.ROOT, f"checkpoint {size}", sentence, self._served.note))
        for head in self._others:
            self._judge(head, right)
        if self._unread is not None and self._served.tree_size > self._tree.size:
            sentence = f"neither the entries nor their hashes are to be had, so nothing after entry {self._tree.size} was audited"
            self.add(_finding(Kind.MISSING, self._unread, sentence, self._served.note))
        return tuple(self._findings)

    @property
    def _has_come_to_served(self) -> bool:
        return self._served.tree_size in self._roots

    def _take_difference(self, bundle: EntryBundle, tile: Tile, place: int) -> None:
        if len(self._differences) < MAX_FINDINGS:
            entry = bundle.index * TILE_WIDTH + place
            self._differences.append(_Difference(bundle=bundle, tile_path=tile.path, entry=entry))
        else:
            self.found += 1
        if self._by_tiles is None:
            self._by_tiles = self._tree.copy()

    def _note_root(self) -> None:
        """Keep the root where a checkpoint has one, and the tree where it is the served one's."""
        size = self._tree.size
        if size in self._sizes:
            self._roots[size] = self._tree.root
            if size == self._served.tree_size and self._roots[size] == self._served.root:
                self._verified = self._tree.copy()

    def _note_tile_root(self) -> None:
        if self._by_tiles is not None:
            self._tile_roots[self._by_tiles.size] = self._by_tiles.root

    def _decoded(self, bundle: EntryBundle, data: bytes | None) -> list[bytes] | None:
        end = bundle.index * TILE_WIDTH + bundle.width
        if data is None:
            self._miss(end, Kind.MISSING, bundle.path, "the log does not serve these entries")
            return None
        try:
            return leaf_hashes(decode_bundle(bundle, data))
        except DecodeError as error:
            self._miss(end, Kind.MALFORMED, bundle.path, error.reason)
            return None

    def _hashes(self, tile: Tile, data: bytes | None) -> list[bytes] | None:
        end = (tile.index * TILE_WIDTH + tile.width) << TILE_HEIGHT * tile.level
        if data is None:
            self._miss(end, Kind.MISSING, tile.path, "the log does not serve this tile")
            return None
        try:
            check_tile(tile, data)
        except DecodeError as error:
            self._miss(end, Kind.MALFORMED, tile.path, error.reason)
            return None
        return [data[n : n + HASH_BYTES] for n in range(0, len(data), HASH_BYTES)]

    def _miss(self, end: int, kind: Kind, path: str, sentence: str) -> None:
        """Take note of a file that is not what it should be, unless the served checkpoint does not reach to its end."""
        if end <= self._served.tree_size:
            self.add(_finding(kind, path, sentence))

    def _right_roots(self) -> Mapping[int, Hash] | None:
        """Return the roots of the history that the served checkpoint states: the entries', else the tiles', else None."""
        for roots in (self._roots, self._tile_roots):
            if roots.get(self._served.tree_size) == self._served.root:
                return self._roots | roots
        return None

    def _judge(self, head: Head, right: Mapping[int, Hash] | None) -> None:
        size, served, where = head.tree_size, self._served, f"checkpoint {head.tree_size}"
        if size == served.tree_size:
            if head.root != served.root:
                sentence = f"the log signed two different roots for {size} entries"
                self.add(_finding(Kind.SPLIT_VIEW, where, sentence, head.note, served.note))
            return
        root = (self._roots if right is None else right).get(size)
        if root is None:
            if size > served.tree_size:
                sentence = f"the log signed {size} entries and now serves {served.tree_size}: the others are not to be had"
                self.add(_finding(Kind.ROLLBACK, where, sentence, head.note, served.note))
        elif not self._has_come_to_served:
            if root != head.root:
                self.add(_finding(Kind.ROOT, where, f"the {size} entries do not make the root signed for them", head.note))
        elif (root == head.root) is (right is None):
            sentence = f"the log signed trees of {size} and of {served.tree_size} entries that are not one history"
            self.add(_finding(Kind.SPLIT_VIEW, where, sentence, head.note, served.note))
        elif right is not None and size > served.tree_size:
            sentence = f"the log serves an older checkpoint, of {served.tree_size} entries, than it has signed, of {size}"
            self.add(_finding(Kind.ROLLBACK, where, sentence, head.note, served.note))


def _grow(
    tree: AuditTree, leaves: Sequence[bytes], sizes: Sequence[int], note_root: Callable[[], None]
) -> tuple[tuple[Tile, bytes], ...]:
    """Append leaves, stopping at each of `sizes` to note the root."""
    completed: list[tuple[Tile, bytes]] = []
    taken, end = 0, tree.size + len(leaves)
    for size in sizes[bisect_right(sizes, tree.size) : bisect_right(sizes, end)]:
        cut = taken + size - tree.size
        completed += tree.take(leaves[taken:cut])
        taken = cut
        note_root()
    completed += tree.take(leaves[taken:])
    return tuple(completed)


def _finding(kind: Kind, where: str, sentence: str, *notes: bytes) -> Finding:
    return Finding(kind=kind, where=where, sentence=sentence, notes=notes)
