"""Merkle-Patricia tries (yellow paper, appendix D): proofs of what a key holds, or that it holds nothing, and ordered tries.

    leaf or extension   [hex-prefix path, value or child]        branch   [16 children, value]

A child is the hash of its node, or the node itself where that is shorter than 32 octets. A proof lists, from the root down, the
nodes on the way to the key; every one must be needed, in order, and canonical, so that of a true proof no octet can change.
"""

from collections.abc import Sequence

from shared.core.errors import DecodeError, ProofError
from shared.ledger.evm.primitives import HASH_OCTETS, Hash32, keccak256
from shared.ledger.evm.rlp import Item, decode_rlp, encode_rlp

MAX_PROOF_NODES = 65
"""Nodes of a proof: a key of 32 octets has 64 digits."""

MAX_NODE_OCTETS = 8_192
"""Octets of one node; a branch has 532, a leaf what its value needs."""

MAX_ORDERED_ITEMS = 4_096
"""Values of an ordered trie that is computed here: transactions of one block."""

_BRANCH = 17
_PAIR = 2
_EMPTY = b""


def empty_root() -> Hash32:
    """Return the root of the trie without keys."""
    return keccak256(encode_rlp(_EMPTY))


def prove_key(root: bytes, key: bytes, nodes: Sequence[bytes], what: str, *, node_octets: int = MAX_NODE_OCTETS) -> bytes | None:
    """Return what a key holds in the trie with this root, None where the proof shows that it holds nothing.

    Args:
        root: the trusted root hash.
        key: the key as the trie has it (hashed already, where it is).
        nodes: the proof.
        what: it proves, for errors.
        node_octets: bound of one node.

    Raises:
        DecodeError: a node is malformed or too long.
        ProofError: the nodes do not lead from the root to the key, or there are more than needed.
    """
    if len(nodes) > MAX_PROOF_NODES:
        raise ProofError(f"{what}: a proof of {len(nodes)} nodes is longer than any trie is high")
    if not nodes:
        if root == empty_root():
            return None
        raise ProofError(f"{what}: the proof is empty")
    walk = _Walk(key, nodes, what, node_octets)
    value = walk.from_root(root)
    walk.check_used_up()
    return value


class _Walk:
    """Follows a key down the nodes of a proof."""

    def __init__(self, key: bytes, nodes: Sequence[bytes], what: str, node_octets: int) -> None:
        self._path = _digits(key)
        self._nodes = nodes
        self._what = what
        self._node_octets = node_octets
        self._next = 0

    def from_root(self, root: bytes) -> bytes | None:
        node: Item = self._load(root)
        while True:
            child = self._step(node)
            if child is None or isinstance(child, bytes):
                return child
            (link,) = child
            if isinstance(link, bytes):
                node = self._load(link)
            else:
                if len(encode_rlp(link)) >= HASH_OCTETS:
                    raise ProofError(f"{self._what}: a node is embedded that is too long for that")
                node = link

    def check_used_up(self) -> None:
        if self._next != len(self._nodes):
            raise ProofError(f"{self._what}: the proof has more nodes than needed")

    def _load(self, link: bytes) -> Item:
        if self._next >= len(self._nodes):
            raise ProofError(f"{self._what}: the proof ends before the key does")
        encoded = self._nodes[self._next]
        self._next += 1
        if len(encoded) > self._node_octets:
            raise DecodeError(self._what, f"a node of {len(encoded)} octets; at most {self._node_octets} are read")
        if keccak256(encoded) != link:
            raise ProofError(f"{self._what}: node {self._next} of the proof is not the one its parent names")
        return decode_rlp(encoded, self._what)

    def _step(self, node: Item) -> tuple[Item] | bytes | None:
        """Return a link to go on with (as a tuple of one), the value, or None where the key is not there."""
        if isinstance(node, bytes):
            raise DecodeError(self._what, "a node is no list")
        if len(node) == _BRANCH:
            if not self._path:
                return _value(node[16], self._what) or None
            child = node[self._path[0]]
            self._path = self._path[1:]
        elif len(node) == _PAIR:
            digits, is_leaf = _decode_path(node[0], self._what)
            shared = self._path[: len(digits)] == digits
            if is_leaf:
                return _value(node[1], self._what) if shared and len(self._path) == len(digits) else None
            if not shared:
                return None
            child = node[1]
            self._path = self._path[len(digits) :]
        else:
            raise DecodeError(self._what, f"a node of {len(node)} items")
        if child == _EMPTY:
            return None
        if isinstance(child, bytes) and len(child) != HASH_OCTETS:
            raise DecodeError(self._what, f"a link of {len(child)} octets")
        return (child,)


def ordered_root(values: Sequence[bytes], what: str) -> Hash32:
    """Return the root of the trie that holds a list: the receipts or transactions of a block under the RLP of their places.

    Raises:
        ProofError: more than `MAX_ORDERED_ITEMS`.
    """
    if len(values) > MAX_ORDERED_ITEMS:
        raise ProofError(f"{what}: a list of {len(values)} items; at most {MAX_ORDERED_ITEMS} are read")
    if not values:
        return empty_root()
    pairs = sorted((_digits(encode_rlp(place)), value) for place, value in enumerate(values))
    return keccak256(encode_rlp(_build(pairs, 0)))


def ordered_proof(values: Sequence[bytes], place: int, what: str) -> tuple[bytes, ...]:
    """Return the nodes that prove the value at `place` in the trie of `ordered_root`; raises `ProofError` as that."""
    if not 0 <= place < len(values) <= MAX_ORDERED_ITEMS:
        raise ProofError(f"{what}: no item {place} in a list of {len(values)}, of which at most {MAX_ORDERED_ITEMS} are read")
    pairs = sorted((_digits(encode_rlp(index)), value) for index, value in enumerate(values))
    path, depth, nodes = _digits(encode_rlp(place)), 0, list[bytes]()
    while True:
        node = _build(pairs, depth)
        encoded = encode_rlp(node)
        if depth == 0 or len(encoded) >= HASH_OCTETS:
            nodes.append(encoded)
        if len(pairs) == 1:
            return tuple(nodes)
        common = _common(pairs, depth)
        if common:
            depth += common
            continue
        if len(path) == depth:
            return tuple(nodes)
        pairs = [pair for pair in pairs if pair[0][: depth + 1] == path[: depth + 1]]
        depth += 1


_Tree = list["_Tree | bytes"]


def _build(pairs: Sequence[tuple[tuple[int, ...], bytes]], depth: int) -> _Tree:
    """Return the node under which these keys (sorted, and alike in their first `depth` digits) stand."""
    if len(pairs) == 1:
        return [_encode_path(pairs[0][0][depth:], is_leaf=True), pairs[0][1]]
    common = _common(pairs, depth)
    if common:
        path = pairs[0][0][depth : depth + common]
        return [_encode_path(path, is_leaf=False), _link(_build(pairs, depth + common))]
    node: _Tree = [_EMPTY] * _BRANCH
    for digit in range(16):
        below = [pair for pair in pairs if len(pair[0]) > depth and pair[0][depth] == digit]
        if below:
            node[digit] = _link(_build(below, depth + 1))
    if len(pairs[0][0]) == depth:
        node[16] = pairs[0][1]
    return node


def _common(pairs: Sequence[tuple[tuple[int, ...], bytes]], depth: int) -> int:
    """Return how many digits after `depth` all keys share; sorted, so the first and the last tell."""
    first, last = pairs[0][0][depth:], pairs[-1][0][depth:]
    count = 0
    while count < min(len(first), len(last)) and first[count] == last[count]:
        count += 1
    return count


def _link(node: _Tree) -> _Tree | bytes:
    encoded = encode_rlp(node)
    return node if len(encoded) < HASH_OCTETS else keccak256(encoded)


def _digits(key: bytes) -> tuple[int, ...]:
    return tuple(digit for octet in key for digit in (octet >> 4, octet & 15))


def _value(item: Item, what: str) -> bytes:
    if not isinstance(item, bytes):
        raise DecodeError(what, "a list stands where a value should be")
    return item


def _decode_path(item: Item, what: str) -> tuple[tuple[int, ...], bool]:
    """Hex-prefix encoding (yellow paper, appendix C): the digits and whether they end in a leaf."""
    if not isinstance(item, bytes) or not item:
        raise DecodeError(what, "a path is missing")
    digits = _digits(item)
    flag = digits[0]
    if flag > 3 or (flag % 2 == 0 and digits[1] != 0):
        raise DecodeError(what, "a path is not in its canonical form")
    path = digits[2 - flag % 2 :]
    if flag < 2 and not path:
        raise DecodeError(what, "an extension by nothing")
    return path, flag >= 2


def _encode_path(path: tuple[int, ...], *, is_leaf: bool) -> bytes:
    flag = 2 * is_leaf + len(path) % 2
    digits = (flag, *path) if len(path) % 2 else (flag, 0, *path)
    return bytes(high << 4 | low for high, low in zip(digits[::2], digits[1::2], strict=True))
