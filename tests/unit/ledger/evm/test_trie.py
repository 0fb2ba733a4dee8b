"""Merkle-Patricia tries: what a proof shows, and that nothing else shows it."""

import random

import pytest

from shared.core.errors import DecodeError, ProofError, V2xError
from shared.ledger.evm.primitives import keccak256
from shared.ledger.evm.rlp import encode_rlp
from shared.ledger.evm.trie import (
    MAX_NODE_OCTETS,
    MAX_ORDERED_ITEMS,
    MAX_PROOF_NODES,
    _build,
    _digits,
    empty_root,
    ordered_proof,
    ordered_root,
    prove_key,
)


def test_the_empty_trie_has_the_published_root() -> None:
    assert empty_root().hex() == "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
    assert ordered_root((), "list") == empty_root()


def test_the_trie_of_the_published_example_has_the_published_root() -> None:
    pairs = sorted((_digits(key), value) for key, value in [(b"doe", b"reindeer"), (b"dog", b"puppy"), (b"dogglesworth", b"cat")])
    root = keccak256(encode_rlp(_build(pairs, 0)))
    assert root.hex() == "8aad789dff2f538bca5d8ea56e8abe10f4c7ba3a5dea95fea4cd6e7c3a1168d3"


def values_of(count: int) -> list[bytes]:
    chance = random.Random(count)
    return [chance.randbytes(chance.choice((1, 5, 31, 33, 200))) for _ in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 16, 17, 127, 128, 129, 300])
def test_each_value_of_an_ordered_trie_is_proven(count: int) -> None:
    values = values_of(count)
    root = ordered_root(values, "list")
    for place in {0, count // 2, count - 1, *range(0, count, 37)}:
        nodes = ordered_proof(values, place, "list")
        assert prove_key(root, encode_rlp(place), nodes, "list") == values[place]


def test_a_proof_shows_that_a_key_is_not_there() -> None:
    values = values_of(40)
    root = ordered_root(values, "list")
    nodes = ordered_proof(values, 39, "list")
    absent = encode_rlp(45)  # leaves the same way as 39 at a branch
    shown = [count for count in range(1, len(nodes) + 1) if _shows_absence(root, absent, nodes[:count])]
    assert len(shown) == 1


def _shows_absence(root: bytes, key: bytes, nodes: tuple[bytes, ...]) -> bool:
    try:
        return prove_key(root, key, nodes, "list") is None
    except V2xError:
        return False


def test_no_octet_of_a_proof_can_change() -> None:
    values = values_of(60)
    root = ordered_root(values, "list")
    nodes = ordered_proof(values, 33, "list")
    for number, node in enumerate(nodes):
        for at in range(len(node)):
            altered = [*nodes]
            altered[number] = node[:at] + bytes((node[at] ^ 1,)) + node[at + 1 :]
            with pytest.raises(ProofError):
                prove_key(root, encode_rlp(33), altered, "list")


def test_nodes_left_out_added_or_exchanged_are_refused() -> None:
    values = values_of(60)
    root = ordered_root(values, "list")
    nodes = ordered_proof(values, 33, "list")
    for altered in (nodes[:-1], nodes[1:], (*nodes, nodes[-1]), nodes[::-1], ()):
        with pytest.raises(ProofError):
            prove_key(root, encode_rlp(33), altered, "list")


def test_a_proof_of_one_trie_is_none_in_another() -> None:
    with pytest.raises(ProofError, match="not the one its parent names"):
        prove_key(bytes(32), b"k", ordered_proof([b"v"], 0, "list"), "list")


def test_an_absent_key_of_the_empty_trie_needs_no_nodes() -> None:
    assert prove_key(empty_root(), b"key", (), "storage") is None
    with pytest.raises(ProofError, match="the proof is empty"):
        prove_key(bytes(32), b"key", (), "storage")


@pytest.mark.parametrize(
    "node",
    [
        encode_rlp((b"\x20", b"value", b"third")),  # three items
        encode_rlp(b"octets"),
        encode_rlp((b"", b"value")),  # no path
        encode_rlp((b"\x40", b"value")),  # no such flag
        encode_rlp((b"\x01", b"value")),  # a flag whose padding is not zero
        encode_rlp((b"\x00", bytes(32))),  # an extension by nothing
        encode_rlp((b"\x20", (b"list",))),
        encode_rlp((*[b""] * 6, b"short", *[b""] * 10)),  # a link that is no hash
    ],
    ids=["three", "octets", "pathless", "flag", "padding", "nothing", "list", "link"],
)
def test_a_node_that_is_none_is_refused(node: bytes) -> None:
    with pytest.raises(DecodeError):
        prove_key(keccak256(node), b"" if node[1] == 0x20 else b"\x6b", (node,), "trie")


def test_a_node_embedded_though_it_has_the_length_of_a_hash_is_refused() -> None:
    leaf = (b"\x3b", b"v" * 40)
    root = encode_rlp((*[b""] * 6, leaf, *[b""] * 10))
    with pytest.raises(ProofError, match="embedded"):
        prove_key(keccak256(root), b"\x6b", (root,), "trie")


def test_lengths_are_bounded() -> None:
    with pytest.raises(ProofError, match="longer than any trie"):
        prove_key(bytes(32), b"k", (b"",) * (MAX_PROOF_NODES + 1), "trie")
    long = bytes(MAX_NODE_OCTETS + 1)
    with pytest.raises(DecodeError, match="at most"):
        prove_key(keccak256(long), b"k", (long,), "trie")
    with pytest.raises(ProofError, match="at most"):
        ordered_root((b"",) * (MAX_ORDERED_ITEMS + 1), "list")
    with pytest.raises(ProofError, match="no item"):
        ordered_proof((b"a",), 1, "list")
