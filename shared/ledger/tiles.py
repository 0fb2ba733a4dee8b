"""Tiles and entry bundles: a log as static files (C2SP tlog-tiles).

A tile of level L holds up to 256 consecutive hashes of the Merkle tree at height 8 L; an entry bundle holds up to 256 entries, each
behind its length in two bytes. Everything a client needs to prove anything is the checkpoint and a few tiles. What comes out of a
tile is believed only after a proof built from it leads to a signed root.

Paths: `checkpoint`, `tile/<L>/<N>[.p/<W>]`, `tile/entries/<N>[.p/<W>]`, with N = 1234067 written `x001/x234/067`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.core.errors import DecodeError, EncodeError, ProofError
from shared.ledger.merkle import HASH_BYTES, Hash, LeafRange, Node, complete_subtrees, node_hash

TILE_HEIGHT = 8
TILE_WIDTH = 256
MAX_TILE_LEVEL = 7
"""Level 7 spans 2^64 entries; the specification numbers up to 63."""
MAX_TILE_BYTES = TILE_WIDTH * HASH_BYTES
MAX_ENTRY_BYTES = 65_535
MAX_BUNDLE_BYTES = TILE_WIDTH * (MAX_ENTRY_BYTES + 2)

CHECKPOINT_PATH = "checkpoint"

_PATH = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)


def _number_path(number: int) -> str:
    parts = [f"{number % 1000:03d}"]
    while number := number // 1000:
        parts.append(f"x{number % 1000:03d}")
    return "/".join(reversed(parts))


def _suffix(width: int) -> str:
    return "" if width == TILE_WIDTH else f".p/{width}"


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """A tile: `level` 0 to 7, `index` within the level, `width` 1 to 256 hashes."""

    level: int
    index: int
    width: int

    @property
    def path(self) -> str:
        """Where a log serves it."""
        return f"tile/{self.level}/{_number_path(self.index)}{_suffix(self.width)}"


@dataclass(frozen=True, slots=True, order=True)
class EntryBundle:
    """A bundle of `width` entries from entry `index * 256` on."""

    index: int
    width: int

    @property
    def path(self) -> str:
        """Where a log serves it."""
        return f"tile/entries/{_number_path(self.index)}{_suffix(self.width)}"


def parse_tile_path(path: str) -> Tile | EntryBundle:
    """Parse a path below the log's prefix; raise `DecodeError` unless it is the one spelling of a tile or bundle."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise DecodeError("tile.path", "not the path of a tile or entry bundle")
    level, number, width = match.groups()
    index = int(number.replace("x", "").replace("/", ""))
    tile_width = TILE_WIDTH if width is None else int(width)
    if width is not None and tile_width >= TILE_WIDTH:
        raise DecodeError("tile.path", "a partial tile has at most 255 hashes")
    if _number_path(index) != number:
        raise DecodeError("tile.path", "the tile's number has leading zeroes")
    if level == "entries":
        return EntryBundle(index, tile_width)
    if int(level) > MAX_TILE_LEVEL:
        raise DecodeError("tile.path", f"no tree reaches tile level {level}")
    return Tile(int(level), index, tile_width)


def tile_of(node: Node, tree_size: int) -> Tile:
    """Return the tile of a tree of `tree_size` entries from which `node` can be computed."""
    level = node.level // TILE_HEIGHT
    first = node.index << (node.level % TILE_HEIGHT)
    index = first // TILE_WIDTH
    return Tile(level, index, min(TILE_WIDTH, (tree_size >> TILE_HEIGHT * level) - index * TILE_WIDTH))


def tiles_for(ranges: Iterable[LeafRange], tree_size: int) -> tuple[Tile, ...]:
    """Return the distinct tiles from which the hashes of `ranges` can be computed, in order."""
    return tuple(sorted({tile_of(node, tree_size) for leaves in ranges for node in complete_subtrees(leaves)}))


def check_tile(tile: Tile, data: bytes) -> None:
    """Raise `DecodeError` unless `data` has the length of `tile`."""
    if len(data) != tile.width * HASH_BYTES:
        raise DecodeError(tile.path, f"{len(data)} bytes; a tile of {tile.width} hashes has {tile.width * HASH_BYTES}")


def node_from_tile(node: Node, data: bytes) -> Hash:
    """Return the hash of `node` computed from the tile that holds it; raise `ProofError` if the tile ends before it."""
    below = 1 << (node.level % TILE_HEIGHT)
    first = node.index * below % TILE_WIDTH
    if len(data) < (first + below) * HASH_BYTES:
        raise ProofError(f"a tile ends before the hash of level {node.level}, index {node.index}")
    hashes = [data[n * HASH_BYTES : (n + 1) * HASH_BYTES] for n in range(first, first + below)]
    while len(hashes) > 1:
        hashes = [node_hash(left, right) for left, right in zip(hashes[::2], hashes[1::2], strict=True)]
    return Hash(bytes(hashes[0]))


@dataclass(frozen=True, slots=True)
class TileSet:
    """Tiles of one tree as a `NodeReader`: call it with a node.

    Attributes:
        tree_size: the tree the tiles belong to.
        tiles: their bytes.
    """

    tree_size: int
    tiles: Mapping[Tile, bytes]

    def __call__(self, node: Node) -> Hash:
        """Return the hash of `node`; raise `ProofError` if its tile is not there."""
        tile = tile_of(node, self.tree_size)
        data = self.tiles.get(tile)
        if data is None:
            raise ProofError(f"{tile.path} is missing")
        return node_from_tile(node, data)


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Return entries behind their lengths; raise `EncodeError` if there are none or too many, or one is too long."""
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise EncodeError("bundle", f"{len(entries)} entries; a bundle has 1 to {TILE_WIDTH}")
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise EncodeError("bundle.entry", f"{len(entry)} bytes; an entry has at most {MAX_ENTRY_BYTES}")
    return b"".join(len(entry).to_bytes(2) + entry for entry in entries)


def decode_bundle(bundle: EntryBundle, data: bytes) -> tuple[bytes, ...]:
    """Return the entries of a bundle; raise `DecodeError` unless there are exactly `width` and nothing is left over."""
    entries: list[bytes] = []
    at = 0
    for _ in range(bundle.width):
        if len(data) < at + 2:
            raise DecodeError(bundle.path, f"ends after {len(entries)} of {bundle.width} entries")
        end = at + 2 + int.from_bytes(data[at : at + 2])
        if len(data) < end:
            raise DecodeError(bundle.path, f"entry {len(entries)} is cut short")
        entries.append(bytes(data[at + 2 : end]))
        at = end
    if at != len(data):
        raise DecodeError(bundle.path, f"{len(data) - at} bytes left over after {bundle.width} entries")
    return tuple(entries)
