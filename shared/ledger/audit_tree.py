"""The tree that a log's entries make, recomputed from them alone and kept apart from what the log says it is.

Hashes are gathered tile by tile (C2SP tlog-tiles), so that every tile comes out as the entries make it and can be held against the
log's own. Written for that one purpose, and independently of `shared.ledger.tree`, which a log builds its tiles with. Memory: one
unfinished tile a level.
"""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

from shared.core.errors import DecodeError
from shared.ledger.merkle import HASH_BYTES, MAX_TREE_SIZE, Hash, fold_right
from shared.ledger.tiles import MAX_TILE_BYTES, MAX_TILE_LEVEL, TILE_HEIGHT, TILE_WIDTH, Tile

_PAIR_BYTES = 2 * HASH_BYTES


class AuditTree:
    """A tree that grows; made empty, or from what `edges` of another said."""

    __slots__ = ("_edges", "_size")

    def __init__(self) -> None:
        self._size = 0
        self._edges: list[bytearray] = [bytearray() for _ in range(MAX_TILE_LEVEL + 1)]

    @property
    def size(self) -> int:
        """Number of entries."""
        return self._size

    @property
    def edges(self) -> Mapping[int, bytes]:
        """The hashes of the unfinished tile of each level that has one: all there is to know in order to go on."""
        return {level: bytes(edge) for level, edge in enumerate(self._edges) if edge}

    @property
    def root(self) -> Hash:
        """The root hash."""
        roots: list[bytes] = []
        for edge in reversed(self._edges):
            start = 0
            for level in reversed(range(TILE_HEIGHT)):
                width = HASH_BYTES << level
                if len(edge) - start >= width:
                    roots.append(_subtree_root(bytes(edge[start : start + width])))
                    start += width
        return fold_right(roots)

    def copy(self) -> "AuditTree":
        """Return the same tree, to go on from twice."""
        return tree_of_edges(self._size, self.edges)

    def take(self, leaves: Sequence[bytes]) -> tuple[tuple[Tile, bytes], ...]:
        """Append leaf hashes and return the tiles that are full now, lower levels first."""
        completed: list[tuple[Tile, bytes]] = []
        taken = 0
        while taken < len(leaves):
            edge = self._edges[0]
            some = leaves[taken : taken + TILE_WIDTH - len(edge) // HASH_BYTES]
            edge += b"".join(some)
            taken += len(some)
            self._size += len(some)
            completed += self._complete()
        return tuple(completed)

    def unfinished(self) -> tuple[tuple[Tile, bytes], ...]:
        """Return the partial tiles that a log of this size has."""
        return tuple(
            (Tile(level, self._number(level), len(edge) // HASH_BYTES), bytes(edge))
            for level, edge in enumerate(self._edges)
            if edge
        )

    def _complete(self) -> Iterator[tuple[Tile, bytes]]:
        for level in range(MAX_TILE_LEVEL):
            edge = self._edges[level]
            if len(edge) < MAX_TILE_BYTES:
                return
            tile = bytes(edge)
            edge.clear()
            self._edges[level + 1] += _subtree_root(tile)
            yield Tile(level, self._number(level) - 1, TILE_WIDTH), tile

    def _number(self, level: int) -> int:
        return (self._size >> TILE_HEIGHT * level) // TILE_WIDTH


def tree_of_edges(size: int, edges: Mapping[int, bytes]) -> AuditTree:
    """Return the tree that had these `edges` at this size.

    Raises:
        DecodeError: no tree of that size has such edges.
    """
    if not 0 <= size <= MAX_TREE_SIZE:
        raise DecodeError("audit_tree.size", f"{size} is no tree size")
    if not set(edges) <= set(range(MAX_TILE_LEVEL + 1)):
        raise DecodeError("audit_tree.edges", "a level that no tree has")
    tree = AuditTree()
    tree._size = size  # noqa: SLF001 - its own kind
    for level in range(MAX_TILE_LEVEL + 1):
        edge = bytearray(edges.get(level, b""))
        tree._edges[level] = edge  # noqa: SLF001
        count = (size >> TILE_HEIGHT * level) % TILE_WIDTH
        if len(edge) != count * HASH_BYTES:
            raise DecodeError(f"audit_tree.edges[{level}]", f"{len(edge)} bytes; a tree of {size} entries has {count} hashes there")
    return tree


def leaf_hashes(entries: Sequence[bytes]) -> list[bytes]:
    """Return SHA-256(0x00 || entry) of each entry."""
    return [sha256(b"\x00" + entry).digest() for entry in entries]


def _subtree_root(hashes: bytes) -> bytes:
    """Return the root above a power of two of hashes."""
    while len(hashes) > HASH_BYTES:
        hashes = b"".join([sha256(b"\x01" + hashes[n : n + _PAIR_BYTES]).digest() for n in range(0, len(hashes), _PAIR_BYTES)])
    return hashes
