"""The path between two sizes of a log, from its tiles: what compares two anchored roots, or an anchored and a trusted one."""

from collections.abc import Mapping

from shared.ledger.merkle import Hash, consistency_path, range_hash
from shared.ledger.tiles import Tile, TileSet, check_tile, tiles_for


def tiles_between(old_size: int, new_size: int) -> tuple[Tile, ...]:
    """Return the tiles of the larger tree that a path from the smaller one needs; none for equal sizes.

    Raises:
        ProofError: the old tree is empty or larger than the new.
    """
    return () if old_size == new_size else tiles_for(consistency_path(old_size, new_size), new_size)


def path_between(old_size: int, new_size: int, tiles: Mapping[Tile, bytes]) -> tuple[Hash, ...]:
    """Return the hashes of `consistency_path`, as `shared.ledger.verify.check_extends` takes them; empty for equal sizes.

    Raises:
        DecodeError: a tile is malformed.
        ProofError: the old tree is empty or larger than the new, or a tile is missing.
    """
    if old_size == new_size:
        return ()
    for tile, data in tiles.items():
        check_tile(tile, data)
    read = TileSet(new_size, dict(tiles))
    return tuple(range_hash(leaves, read) for leaves in consistency_path(old_size, new_size))
