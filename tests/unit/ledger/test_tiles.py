"""Tiles, bundles and their paths, against a real log, and the append-only tree that makes them."""

import pytest

from shared.core.errors import DecodeError, EncodeError, ProofError
from shared.ledger.checkpoint import parse_checkpoint
from shared.ledger.merkle import LeafRange, Node, leaf_hash, tree_root
from shared.ledger.note import parse_note
from shared.ledger.tiles import (
    EntryBundle,
    Tile,
    TileSet,
    check_tile,
    decode_bundle,
    encode_bundle,
    node_from_tile,
    parse_tile_path,
    tile_of,
    tiles_for,
)
from shared.ledger.tree import EMPTY_TREE, Tree, load_tree
from tests.helpers.data import data_file
from tests.helpers.ledger import NodesOf


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0, 256), "tile/0/000"),
        (Tile(0, 0, 3), "tile/0/000.p/3"),
        (Tile(7, 1234067, 256), "tile/7/x001/x234/067"),
        (Tile(1, 999, 255), "tile/1/999.p/255"),
        (Tile(1, 1000, 1), "tile/1/x001/000.p/1"),
        (EntryBundle(0, 15), "tile/entries/000.p/15"),
        (EntryBundle(70000, 256), "tile/entries/x070/000"),
    ],
)
def test_paths_are_those_of_the_specification(tile: Tile | EntryBundle, path: str) -> None:
    assert tile.path == path
    assert parse_tile_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "", "checkpoint", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/00/000", "tile/8/000", "tile/64/000", "tile/-1/000",
        "tile/0/x000/001", "tile/0/001/002", "tile/0/x001", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/03",
        "tile/0/000.p/",
        "/tile/0/000", "tile/0/000/", "tile/0/000\n", "tile/entries/0", "tile/0/../000", "tile/0/" + "x001/" * 7 + "000",
        "tile/0/\u0661\u0661\u0661",
    ],
)  # fmt: skip
def test_every_other_path_is_refused(path: str) -> None:
    with pytest.raises(DecodeError):
        parse_tile_path(path)


def test_the_tree_of_70000_entries_has_the_tiles_the_specification_lists() -> None:
    update = EMPTY_TREE.extended(leaf_hash(n.to_bytes(4)) for n in range(70_000))
    widths = {key: len(data) // 32 for key, data in update.tiles.items()}
    assert sum(1 for (level, _), width in widths.items() if level == 0 and width == 256) == 273
    assert widths[0, 273] == 112
    assert widths[1, 0] == 256
    assert widths[1, 1] == 17
    assert widths[2, 0] == 1
    assert len(widths) == 273 + 1 + 2 + 1


def test_a_foreign_logs_tiles_lead_to_its_signed_roots() -> None:
    for size in range(1, 16):
        log = data_file("ledger/tessera-log/log")
        checkpoint = parse_checkpoint(parse_note((log / f"checkpoint.{size}").read_bytes()).body)
        tile, bundle = Tile(0, 0, size), EntryBundle(0, size)
        tiles = TileSet(size, {tile: (log / tile.path).read_bytes()})
        assert tree_root(size, tiles) == checkpoint.root
        entries = decode_bundle(bundle, (log / bundle.path).read_bytes())
        update = EMPTY_TREE.extended(leaf_hash(entry) for entry in entries)
        assert update.tree.root == checkpoint.root
        assert update.tiles[0, 0] == tiles.tiles[tile]
        assert encode_bundle(entries) == (log / bundle.path).read_bytes()


class Stored:
    """Tile storage in a dictionary."""

    def __init__(self) -> None:
        self.tiles: dict[tuple[int, int], bytes] = {}

    def tile(self, level: int, index: int) -> bytes:
        return self.tiles.get((level, index), b"")


@pytest.mark.parametrize("step", [1, 3, 255, 256, 257, 600])
def test_a_tree_grown_in_steps_is_the_tree_of_the_definition(step: int) -> None:
    entries = [b"%d" % n for n in range(600)]
    nodes = NodesOf(entries)
    tree, stored = EMPTY_TREE, Stored()
    for start in range(0, 600, step):
        update = tree.extended(leaf_hash(entry) for entry in entries[start : start + step])
        tree = update.tree
        stored.tiles.update(update.tiles)
        if tree.size % 50 == 0 or step > 50:
            assert tree.root == tree_root(tree.size, nodes)
            assert load_tree(tree.size, stored) == tree
    assert tree.size == 600
    for level in range(4):
        for index in range(600 >> level):
            node = Node(level, index)
            tile = tile_of(node, 600)
            assert node_from_tile(node, stored.tile(tile.level, tile.index)) == nodes(node)


def test_an_old_tree_is_untouched_by_its_extension() -> None:
    one = EMPTY_TREE.extended([leaf_hash(b"a")]).tree
    root = one.root
    one.extended([leaf_hash(b"b"), leaf_hash(b"c")])
    assert (one.size, one.root) == (1, root)
    assert Tree(0, (), {}) == EMPTY_TREE


def test_a_tree_is_not_loaded_from_tiles_of_another_width() -> None:
    stored = Stored()
    stored.tiles.update(EMPTY_TREE.extended([leaf_hash(b"a"), leaf_hash(b"b")]).tiles)
    for size in (1, 3, 256, 300):
        with pytest.raises(ProofError):
            load_tree(size, stored)


def test_only_hashes_enter_a_tree() -> None:
    with pytest.raises(EncodeError):
        EMPTY_TREE.extended([b"short"])


def test_a_proof_needs_each_tile_once() -> None:
    tiles = tiles_for([LeafRange(0, 256), LeafRange(256, 512), LeafRange(512, 513), LeafRange(513, 514)], 70_000)
    assert [tile.path for tile in tiles] == ["tile/0/002", "tile/1/000"]


def test_a_missing_or_short_tile_is_told() -> None:
    with pytest.raises(ProofError, match="missing"):
        TileSet(5, {})(Node(0, 1))
    with pytest.raises(ProofError, match="ends before"):
        node_from_tile(Node(1, 1), bytes(64))
    with pytest.raises(DecodeError, match="96"):
        check_tile(Tile(0, 0, 3), bytes(95))


def test_bundles_cut_at_any_byte_or_with_one_more_are_refused() -> None:
    entries = (b"", b"one", b"x" * 300)
    data = encode_bundle(entries)
    assert decode_bundle(EntryBundle(0, 3), data) == entries
    for cut in range(len(data)):
        with pytest.raises(DecodeError):
            decode_bundle(EntryBundle(0, 3), data[:cut])
    with pytest.raises(DecodeError, match="left over"):
        decode_bundle(EntryBundle(0, 3), data + b"\0")


def test_bundles_that_cannot_be_are_not_encoded() -> None:
    for entries in ([], [b""] * 257, [bytes(65_536)]):
        with pytest.raises(EncodeError):
            encode_bundle(entries)
