"""RFC 6962 Merkle trees: hashes, and inclusion and consistency proofs as lists of ranges.

A proof is described twice, on purpose apart. *Generation* follows the recursion of RFC 9162 2.1.3.1 and 2.1.4.1 and answers with
the ranges of leaves whose hashes make up the proof; each range falls into complete subtrees (`Node`), which a reader looks up
wherever they are stored. *Verification* follows the bit arithmetic of RFC 9162 2.1.3.2 and 2.1.4.2 and never sees a tree. Sizes
and indexes are below 2^63. Nothing here knows about tiles, storage or signatures.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NewType

from shared.core.errors import ProofError

Hash = NewType("Hash", bytes)
"""A SHA-256 hash, 32 bytes."""

HASH_BYTES = 32
MAX_TREE_SIZE = (1 << 63) - 1
MAX_PROOF_HASHES = 64
"""A path in a tree of at most 2^63 leaves; a consistency proof has at most one hash more than its height."""

EMPTY_ROOT = Hash(sha256(b"").digest())
"""MTH({}) = SHA-256()."""


_NODE_HASH = sha256(b"\x01")


def leaf_hash(entry: bytes) -> Hash:
    """Return SHA-256(0x00 || entry) (RFC 6962 2.1)."""
    return Hash(sha256(b"\x00" + entry).digest())


def node_hash(left: bytes, right: bytes) -> Hash:
    """Return SHA-256(0x01 || left || right) (RFC 6962 2.1)."""
    return Hash(sha256(b"\x01" + left + right).digest())


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """The root of a complete subtree: leaves [index * 2^level, (index + 1) * 2^level)."""

    level: int
    index: int


@dataclass(frozen=True, slots=True)
class LeafRange:
    """Leaves [start, end), a subtree of some Merkle tree: all of it complete but perhaps at the right edge."""

    start: int
    end: int


NodeReader = Callable[[Node], Hash]
"""Looks up the hash of a complete subtree."""


def complete_subtrees(leaves: LeafRange) -> tuple[Node, ...]:
    """Split a range into the largest complete, aligned subtrees, from left to right."""
    nodes: list[Node] = []
    start = leaves.start
    while start < leaves.end:
        level = (leaves.end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        nodes.append(Node(level, start >> level))
        start += 1 << level
    return tuple(nodes)


def fold_right(hashes: Sequence[bytes]) -> Hash:
    """Hash subtree roots, ordered from left to right, into the root above them; the empty sequence is the empty tree."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return Hash(root)


def range_hash(leaves: LeafRange, read: NodeReader) -> Hash:
    """Return MTH(D[start:end])."""
    return fold_right([read(node) for node in complete_subtrees(leaves)])


def tree_root(size: int, read: NodeReader) -> Hash:
    """Return MTH(D[size])."""
    return range_hash(LeafRange(0, size), read)


def _split(size: int) -> int:
    """Return k, the largest power of two smaller than `size` (RFC 9162 2.1.1)."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_ranges(index: int, size: int) -> tuple[LeafRange, ...]:
    """Return the ranges of PATH(index, D[size]) (RFC 9162 2.1.3.1), from the leaf's sibling up.

    Raises:
        ProofError: there is no such leaf.
    """
    if not 0 <= index < size <= MAX_TREE_SIZE:
        raise ProofError(f"a tree of {size} entries has no entry {index}")
    ranges: list[LeafRange] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append(LeafRange(middle, end))
            end = middle
        else:
            ranges.append(LeafRange(start, middle))
            start = middle
    return tuple(reversed(ranges))


def inclusion_proof(index: int, size: int, read: NodeReader) -> tuple[Hash, ...]:
    """Return the hashes of PATH(index, D[size])."""
    return tuple(range_hash(leaves, read) for leaves in inclusion_ranges(index, size))


def consistency_path(old_size: int, new_size: int) -> tuple[LeafRange, ...]:
    """Return the ranges of PROOF(old_size, D[new_size]) (RFC 9162 2.1.4.1), always with the subtree the path starts from.

    The RFC leaves that first hash out where it is the old root itself, which the verifier knows. A verifier that reads the tree,
    not a proof, wants it: then the old root is computed, not assumed.

    Raises:
        ProofError: the old tree is empty (everything is consistent with it, so there is nothing to prove) or larger than the new.
    """
    if not 0 < old_size <= new_size <= MAX_TREE_SIZE:
        raise ProofError(f"there is no consistency proof from {old_size} to {new_size} entries")
    ranges: list[LeafRange] = []
    start, end = 0, new_size
    while end > old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            ranges.append(LeafRange(middle, end))
            end = middle
        else:
            ranges.append(LeafRange(start, middle))
            start = middle
    ranges.append(LeafRange(start, end))
    return tuple(reversed(ranges))


def consistency_proof(old_size: int, new_size: int, read: NodeReader) -> tuple[Hash, ...]:
    """Return the hashes of PROOF(old_size, D[new_size])."""
    path = consistency_path(old_size, new_size)
    return tuple(range_hash(leaves, read) for leaves in (path[1:] if path[0].start == 0 else path))


def _check_hashes(hashes: Sequence[bytes]) -> None:
    if len(hashes) > MAX_PROOF_HASHES:
        raise ProofError(f"a proof of {len(hashes)} hashes is longer than any tree is high")
    if {*map(len, hashes)} - {HASH_BYTES}:
        raise ProofError("a proof holds something that is not a SHA-256 hash")


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> Hash:
    """Return the root that `proof` leads to from `leaf` at `index` in a tree of `size` (RFC 9162 2.1.3.2).

    Raises:
        ProofError: there is no such leaf, or the proof has the wrong length.
    """
    if not 0 <= index < size <= MAX_TREE_SIZE:
        raise ProofError(f"a tree of {size} entries has no entry {index}")
    _check_hashes((leaf, *proof))
    inner = (index ^ (size - 1)).bit_length()  # levels below the right edge: the sibling's side follows from a bit of the index
    surplus = len(proof) - inner - (index >> inner).bit_count()  # at the edge, only siblings on the left have a hash
    if surplus:
        raise ProofError(f"the inclusion proof is too {'long' if surplus > 0 else 'short'}")
    root = leaf
    begun = _NODE_HASH.copy  # what every inner node's hash begins with is hashed once
    for sibling in proof[:inner]:
        node = begun()
        node.update(sibling + root if index & 1 else root + sibling)
        root = node.digest()
        index >>= 1
    for sibling in proof[inner:]:
        root = node_hash(sibling, root)
    return Hash(root)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raise `ProofError` unless `proof` shows that `leaf` is entry `index` of the tree of `size` entries with `root`."""
    if root_from_inclusion(leaf, index, size, proof) != root:
        raise ProofError(f"entry {index} is not in the tree of {size} entries: the inclusion proof leads to another root")


def roots_from_consistency(old_size: int, new_size: int, first: bytes, rest: Sequence[bytes]) -> tuple[Hash, Hash]:
    """Return the old and the new root that a consistency path leads to (RFC 9162 2.1.4.2, steps 2 to 6).

    Args:
        old_size: entries in the old tree, at least 1 and less than `new_size`.
        new_size: entries in the new tree.
        first: where the path starts: the old root itself if `old_size` is a power of two, else the first hash of the proof.
        rest: the other hashes.

    Raises:
        ProofError: the proof has the wrong length.
    """
    if not 0 < old_size < new_size <= MAX_TREE_SIZE:
        raise ProofError(f"there is no consistency proof from {old_size} to {new_size} entries")
    _check_hashes((first, *rest))
    fn, sn = old_size - 1, new_size - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    old_root = new_root = first
    for sibling in rest:
        if sn == 0:
            raise ProofError("the consistency proof is too long")
        if fn & 1 or fn == sn:
            old_root = node_hash(sibling, old_root)
            new_root = node_hash(sibling, new_root)
            while not fn & 1 and fn:
                fn >>= 1
                sn >>= 1
        else:
            new_root = node_hash(new_root, sibling)
        fn >>= 1
        sn >>= 1
    if sn:
        raise ProofError("the consistency proof is too short")
    return Hash(old_root), Hash(new_root)


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Raise `ProofError` unless `proof` shows that the old tree is a prefix of the new one."""
    if old_size == new_size:
        if proof:
            raise ProofError("a tree needs no proof of consistency with itself")
        if old_root != new_root:
            raise ProofError(f"two trees of {old_size} entries have different roots")
        return
    if old_size & (old_size - 1) == 0:
        first, rest = old_root, tuple(proof)
    elif proof:
        first, rest = proof[0], tuple(proof[1:])
    else:
        raise ProofError("the consistency proof is too short")
    old, new = roots_from_consistency(old_size, new_size, first, rest)
    if old != old_root:
        raise ProofError(f"the consistency proof does not lead to the old root at {old_size} entries")
    if new != new_root:
        raise ProofError(f"the consistency proof does not lead to the new root at {new_size} entries")
