"""The append-only tree of a log, as a value: append to it and get a new tree and the tiles that changed.

A `Tree` keeps the right edge only: the roots of its complete subtrees (at most 63) and the unfinished tile of every level (at most
8 KiB each). It is immutable, so a log stores the changed tiles and the new checkpoint in one transaction and takes the new tree
only once that holds; after a failure the old one is still there, or is loaded again from the tiles. Storage is a Protocol; the
database behind it is `shared.service.log_store`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from shared.core.errors import EncodeError, ProofError
from shared.ledger.merkle import HASH_BYTES, MAX_TREE_SIZE, Hash, LeafRange, complete_subtrees, fold_right, node_hash
from shared.ledger.tiles import MAX_TILE_LEVEL, TILE_HEIGHT, TILE_WIDTH, node_from_tile, tile_of

TileKey = tuple[int, int]
"""Level and index of a tile, whatever its width."""


class TileStorage(Protocol):
    """Where a tree finds the tiles it was saved in."""

    def tile(self, level: int, index: int) -> bytes:
        """Return the hashes stored so far in a tile; empty if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Tree:
    """A log's tree at one size.

    Attributes:
        size: number of entries.
        frontier: roots of the complete subtrees of `[0, size)`, from left to right.
        edges: for each level that has an unfinished tile: its bytes.
    """

    size: int
    frontier: tuple[Hash, ...]
    edges: Mapping[int, bytes]

    @property
    def root(self) -> Hash:
        """The root hash."""
        return fold_right(self.frontier)

    def extended(self, leaves: Iterable[bytes]) -> "TreeUpdate":
        """Return the tree with leaf hashes appended, and every tile that changed, each with all its hashes so far."""
        size, frontier = self.size, list(self.frontier)
        edges = {level: bytearray(data) for level, data in self.edges.items()}
        changed: dict[TileKey, bytes] = {}
        touched: set[int] = set()
        for leaf in leaves:
            if len(leaf) != HASH_BYTES or size == MAX_TREE_SIZE:
                raise EncodeError("leaf", "not a hash of 32 bytes, or the tree is full")
            root, level = Hash(bytes(leaf)), 0
            _append(edges, changed, touched, level, size, root)
            while size >> level & 1:
                root = node_hash(frontier.pop(), root)
                level += 1
                if level % TILE_HEIGHT == 0:
                    _append(edges, changed, touched, level // TILE_HEIGHT, size >> level, root)
            frontier.append(root)
            size += 1
        for level in touched:
            if edges.get(level):
                changed[level, (size >> TILE_HEIGHT * level) // TILE_WIDTH] = bytes(edges[level])
        tree = Tree(size, tuple(frontier), {level: bytes(data) for level, data in edges.items() if data})
        return TreeUpdate(tree, changed)


def _append(
    edges: dict[int, bytearray], changed: dict[TileKey, bytes], touched: set[int], level: int, position: int, node: bytes
) -> None:
    """Put hash number `position` of tile level `level` into its tile; a tile that is full leaves the edge."""
    tile = edges.setdefault(level, bytearray())
    tile += node
    touched.add(level)
    if len(tile) == TILE_WIDTH * HASH_BYTES:
        changed[level, position // TILE_WIDTH] = bytes(tile)
        edges[level] = bytearray()


@dataclass(frozen=True, slots=True)
class TreeUpdate:
    """What an append makes: the new tree, and the bytes of every tile that changed."""

    tree: Tree
    tiles: Mapping[TileKey, bytes]


EMPTY_TREE = Tree(0, (), {})


def load_tree(size: int, storage: TileStorage) -> Tree:
    """Rebuild the tree of `size` entries from stored tiles.

    Raises:
        ProofError: a tile at the right edge is missing or does not have the width that `size` asks for.
    """
    edges: dict[int, bytes] = {}
    for level in range(MAX_TILE_LEVEL + 1):
        count = size >> TILE_HEIGHT * level
        if count % TILE_WIDTH:
            data = storage.tile(level, count // TILE_WIDTH)
            if len(data) != count % TILE_WIDTH * HASH_BYTES:
                raise ProofError(f"the last tile of level {level} has {len(data)} bytes, not {count % TILE_WIDTH * HASH_BYTES}")
            edges[level] = data
    frontier = []
    for node in complete_subtrees(LeafRange(0, size)):
        tile = tile_of(node, size)
        frontier.append(node_from_tile(node, storage.tile(tile.level, tile.index)))
    return Tree(size, tuple(frontier), edges)
