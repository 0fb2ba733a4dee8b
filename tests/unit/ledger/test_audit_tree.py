"""The auditor's own tree makes what RFC 6962 and the log's tree make, and can be put down and taken up anywhere."""

from hashlib import sha256

import pytest

from shared.core.errors import DecodeError
from shared.ledger.audit_tree import AuditTree, leaf_hashes, tree_of_edges
from shared.ledger.merkle import HASH_BYTES, leaf_hash
from shared.ledger.tiles import Tile
from shared.ledger.tree import EMPTY_TREE
from tests.helpers.ledger import naive_root

ENTRIES = [b"entry %d" % n for n in range(700)]
LEAVES = leaf_hashes(ENTRIES)


def tree_of(size: int) -> AuditTree:
    tree = AuditTree()
    tree.take(LEAVES[:size])
    return tree


def test_leaves_are_hashed_as_the_log_hashes_them() -> None:
    assert leaf_hashes(ENTRIES[:3]) == [leaf_hash(entry) for entry in ENTRIES[:3]]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 8, 255, 256, 257, 300, 511, 512, 513, 700])
def test_the_root_is_the_one_of_the_definition(size: int) -> None:
    assert tree_of(size).root == naive_root(ENTRIES[:size])


@pytest.mark.parametrize("step", [1, 3, 256, 300, 700])
def test_tiles_are_those_the_log_would_serve_however_the_leaves_come(step: int) -> None:
    tree = AuditTree()
    made: dict[Tile, bytes] = {}
    for start in range(0, 700, step):
        made |= dict(tree.take(LEAVES[start : start + step]))
    made |= dict(tree.unfinished())
    served = EMPTY_TREE.extended(LEAVES).tiles
    assert made == {Tile(level, index, len(hashes) // HASH_BYTES): hashes for (level, index), hashes in served.items()}


def test_levels_above_the_second_come_out_too() -> None:
    leaves = [sha256(b"%d" % n).digest() for n in range(256 * 256 + 1)]
    tree = AuditTree()
    completed = [tile for tile, _ in tree.take(leaves)]
    assert Tile(1, 0, 256) in completed
    assert {tile for tile, _ in tree.unfinished()} == {Tile(0, 256, 1), Tile(2, 0, 1)}
    assert tree.root == EMPTY_TREE.extended(leaves).tree.root


@pytest.mark.parametrize("size", [0, 1, 100, 255, 256, 300, 512, 699])
def test_it_goes_on_from_its_edges_as_if_it_had_never_stopped(size: int) -> None:
    before = tree_of(size)
    resumed = tree_of_edges(size, before.edges)
    assert resumed.root == before.root
    resumed.take(LEAVES[size:])
    assert resumed.root == naive_root(ENTRIES)
    assert before.size == size


@pytest.mark.parametrize(
    ("size", "edges"),
    [
        (-1, {}),
        (1 << 63, {}),
        (1, {}),
        (0, {0: bytes(32)}),
        (1, {0: bytes(31)}),
        (256, {0: bytes(32), 1: bytes(32)}),
        (0, {8: b""}),
    ],
)
def test_edges_that_no_tree_of_that_size_has_are_refused(size: int, edges: dict[int, bytes]) -> None:
    with pytest.raises(DecodeError):
        tree_of_edges(size, edges)
