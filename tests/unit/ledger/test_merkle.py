"""Trees, proofs and their verification, against the definition, the reference values of RFC 6962 and foreign probes."""

import json
from base64 import b64decode
from pathlib import Path

import pytest

from shared.core.errors import ProofError
from shared.ledger.merkle import (
    EMPTY_ROOT,
    MAX_TREE_SIZE,
    LeafRange,
    Node,
    complete_subtrees,
    consistency_path,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    range_hash,
    root_from_inclusion,
    roots_from_consistency,
    tree_root,
    verify_consistency,
    verify_inclusion,
)
from tests.helpers.data import data_file
from tests.helpers.ledger import NodesOf, naive_root

LARGEST = 70
ENTRIES = [b"entry %d" % n for n in range(LARGEST)]
NODES = NodesOf(ENTRIES)
ROOTS = [naive_root(ENTRIES[:size]) for size in range(LARGEST + 1)]


def reference() -> dict[str, list[str]]:
    content: dict[str, list[str]] = json.loads(data_file("ledger/rfc6962-reference/rfc6962_8_leaves.json").read_text())
    return content


def test_every_root_is_that_of_the_definition() -> None:
    assert [tree_root(size, NODES) for size in range(LARGEST + 1)] == ROOTS
    assert ROOTS[0] == EMPTY_ROOT


def test_roots_and_nodes_are_those_of_the_reference() -> None:
    content = reference()
    entries = [bytes.fromhex(text) for text in content["leaf_inputs"]]
    nodes = NodesOf(entries)
    assert [tree_root(size, nodes).hex() for size in range(9)] == content["roots_by_size"]
    for level, row in enumerate(content["node_hashes_by_level"]):
        assert [nodes(Node(level, index)).hex() for index in range(len(row))] == list(row)


def test_every_entry_of_every_tree_is_proven() -> None:
    for size in range(1, LARGEST + 1):
        for index in range(size):
            proof = inclusion_proof(index, size, NODES)
            verify_inclusion(leaf_hash(ENTRIES[index]), index, size, proof, ROOTS[size])
            assert len(proof) <= (size - 1).bit_length()


def test_every_tree_extends_every_smaller_one() -> None:
    for new in range(1, LARGEST + 1):
        for old in range(1, new + 1):
            proof = consistency_proof(old, new, NODES)
            verify_consistency(old, ROOTS[old], new, ROOTS[new], proof)


def test_the_path_from_tiles_leads_to_both_roots() -> None:
    for new in range(2, LARGEST + 1):
        for old in range(1, new):
            first, *rest = [range_hash(leaves, NODES) for leaves in consistency_path(old, new)]
            assert roots_from_consistency(old, new, first, rest) == (ROOTS[old], ROOTS[new])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 33, 70])
def test_an_inclusion_proof_holds_for_nothing_else(size: int) -> None:
    for index in range(size):
        leaf = leaf_hash(ENTRIES[index])
        proof = inclusion_proof(index, size, NODES)
        wrong: list[tuple[bytes, int, int, tuple[bytes, ...], bytes]] = [
            (leaf_hash(b"another"), index, size, proof, ROOTS[size]),
            (leaf, index, size, (*proof, leaf), ROOTS[size]),
            (leaf, index, size, proof, ROOTS[size - 1]),
            (leaf, size, size, proof, ROOTS[size]),
            (leaf, -1, size, proof, ROOTS[size]),
        ]
        if proof:
            wrong.append((leaf, index, size, proof[:-1], ROOTS[size]))
            wrong.append((leaf, index, size, proof[1:], ROOTS[size]))
            wrong += [
                (leaf, index, size, (*proof[:n], bytes([h[0] ^ 1]) + h[1:], *proof[n + 1 :]), ROOTS[size])
                for n, h in enumerate(proof)
            ]
        wrong += [(leaf, other, size, proof, ROOTS[size]) for other in range(size) if other != index]
        for case in wrong:
            with pytest.raises(ProofError):
                verify_inclusion(*case)


@pytest.mark.parametrize(("old", "new"), [(1, 2), (3, 8), (4, 8), (6, 7), (8, 70), (33, 34), (64, 70), (69, 70)])
def test_a_consistency_proof_holds_for_nothing_else(old: int, new: int) -> None:
    proof = consistency_proof(old, new, NODES)
    for case in (
        (old, ROOTS[old - 1], new, ROOTS[new], proof),
        (old, ROOTS[old], new, ROOTS[new - 1], proof),
        (old, ROOTS[old], new, ROOTS[new], (*proof, ROOTS[1])),
        (old, ROOTS[old], new, ROOTS[new], proof[:-1]),
        (old, ROOTS[old], new, ROOTS[new], ()),
        (old, ROOTS[old], old, ROOTS[old], proof),
        (old, ROOTS[old], old, ROOTS[new], ()),
        (new, ROOTS[new], old, ROOTS[old], proof),
        (0, EMPTY_ROOT, new, ROOTS[new], ()),
        *((old, ROOTS[old], new, ROOTS[new], (*proof[:n], b"\0" * 32, *proof[n + 1 :])) for n in range(len(proof))),
    ):
        with pytest.raises(ProofError):
            verify_consistency(*case)


def test_there_is_no_proof_from_an_empty_tree() -> None:
    with pytest.raises(ProofError):
        consistency_path(0, 5)
    with pytest.raises(ProofError):
        consistency_path(6, 5)


def test_a_proof_longer_than_any_tree_is_refused() -> None:
    with pytest.raises(ProofError, match="longer"):
        root_from_inclusion(b"\0" * 32, 0, MAX_TREE_SIZE, [b"\0" * 32] * 70)


def test_a_hash_of_another_length_is_refused() -> None:
    with pytest.raises(ProofError, match="SHA-256"):
        root_from_inclusion(b"\0" * 32, 0, 2, [b"\0" * 31])


def test_ranges_split_into_aligned_subtrees_without_gap() -> None:
    for start in range(40):
        for end in range(start, 41):
            at = start
            for node in complete_subtrees(LeafRange(start, end)):
                assert node.index << node.level == at
                at += 1 << node.level
            assert at == end


def probes() -> list[Path]:
    return sorted(data_file("ledger/transparency-dev-merkle/inclusion").rglob("*.json"))


def test_all_foreign_inclusion_probes_end_as_they_should() -> None:
    paths = probes()
    assert len(paths) == 98
    for path in paths:
        probe = json.loads(path.read_text())
        leaf, root = b64decode(probe["leafHash"]), b64decode(probe["root"])
        proof = [b64decode(text) for text in probe["proof"] or []]
        try:
            verify_inclusion(leaf, probe["leafIdx"], probe["treeSize"], proof, root)
            failed = False
        except ProofError:
            failed = True
        assert failed == probe["wantErr"], path
