"""A log of any size that is nowhere: all entries are the same but a few, and every hash is computed when it is asked for."""

from shared.core.errors import TransportError
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.merkle import Hash, Node, leaf_hash, node_hash, tree_root
from shared.ledger.note import sign_note
from shared.ledger.tiles import CHECKPOINT_PATH, TILE_HEIGHT, Tile, parse_tile_path
from tests.helpers.ledger import ORIGIN, log_signer

FILLER = b"somebody's entry"

_FILLED: list[Hash] = [leaf_hash(FILLER)]
for _ in range(63):
    _FILLED.append(node_hash(_FILLED[-1], _FILLED[-1]))


class SparseLog:
    """The log; `entries` are those that differ, by index.

    Args:
        size: entries in its tree.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.entries: dict[int, bytes] = {}
        self.reads = 0
        self.octets = 0

    def read(self, path: str) -> bytes:
        """Serve a tlog-tiles path of the tree as it is now."""
        self.reads += 1
        if path == CHECKPOINT_PATH:
            data = sign_note(Checkpoint(origin=ORIGIN, tree_size=self.size, root=tree_root(self.size, self)).encode(), log_signer())
        else:
            tile = parse_tile_path(path)
            if not isinstance(tile, Tile) or (tile.index * 256 + tile.width) << TILE_HEIGHT * tile.level > self.size:
                raise TransportError(path, "not there")
            level, first = TILE_HEIGHT * tile.level, tile.index * 256
            data = b"".join(self(Node(level, first + n)) for n in range(tile.width))
        self.octets += len(data)
        return data

    def __call__(self, node: Node) -> Hash:
        """Return the hash of a complete subtree."""
        first, end = node.index << node.level, (node.index + 1) << node.level
        if not any(first <= index < end for index in self.entries):
            return _FILLED[node.level]
        if node.level == 0:
            return leaf_hash(self.entries[node.index])
        left, right = Node(node.level - 1, 2 * node.index), Node(node.level - 1, 2 * node.index + 1)
        return node_hash(self(left), self(right))
