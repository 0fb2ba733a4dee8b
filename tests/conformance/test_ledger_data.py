"""Every recorded file of other people's ledgers is judged as its publisher expects, and no file lies there unused."""

import json
from base64 import b64decode
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest

from shared.core.errors import DecodeError, ProofError
from shared.ledger.checkpoint import Checkpoint, parse_checkpoint
from shared.ledger.light_client import Advanced, Behind, ClientEvent, LightClient
from shared.ledger.merkle import (
    EMPTY_ROOT,
    Node,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    tree_root,
    verify_consistency,
    verify_inclusion,
)
from shared.ledger.note import parse_note, parse_vkey, verify_note
from shared.ledger.policy import Policy, parse_policy
from shared.ledger.proof import parse_proof, proof_of, verify_proof
from shared.ledger.tiles import CHECKPOINT_PATH, EntryBundle, Tile, TileSet, decode_bundle, encode_bundle, parse_tile_path
from shared.ledger.tree import EMPTY_TREE
from shared.ledger.verify import Included
from tests.helpers.data import REPOSITORY, data_file
from tests.helpers.ledger import NodesOf

HERE = "tests/conformance/test_ledger_data.py"
READERS = {
    "*/LICENSE": (HERE, "LICENSE"),
    "rfc6962-reference/rfc6962_8_leaves.json": (HERE, "rfc6962_8_leaves.json"),
    "transparency-dev-merkle/inclusion/*.json": (HERE, "transparency-dev-merkle/inclusion"),
    "tessera-log/log/checkpoint": (HERE, "CHECKPOINT_PATH"),
    "tessera-log/log/checkpoint.*": (HERE, "checkpoint.{size}"),
    "tessera-log/log/tile/0/000.p/*": (HERE, "Tile(0, 0, size)"),
    "tessera-log/log/tile/entries/000.p/*": (HERE, "EntryBundle(0, size)"),
    "tessera-log/log/.state/treeState": (HERE, ".state/treeState"),
    "tessera-log/log/.state/version": (HERE, ".state/version"),
    "tessera-log/log/.state/*.lock": (HERE, "*.lock"),
    "wycheproof/ed25519_test.json": ("tests/unit/ledger/test_ed25519.py", "ledger/wycheproof/ed25519_test.json"),
    "wycheproof/ecdsa_secp256r1_sha256_test.json": ("tests/unit/security/test_ecdsa.py", "ecdsa_secp256r1_sha256_test.json"),
    "wycheproof/ecdsa_secp256r1_sha256_p1363_test.json": (
        "tests/unit/records/test_sd_jwt.py",
        "ledger/wycheproof/ecdsa_secp256r1_sha256_p1363_test.json",
    ),
}
"""Which test reads which files, and the words by which it names them."""

TESSERA_VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
TESSERA_SIZES = range(1, 16)
FOLDERS = {"0": 13, "1": 18, "2": 18, "3": 15, "4": 18, "additional": 12, "single-entry": 4}
"""Probes in each folder."""


def all_files() -> list[str]:
    root = data_file("ledger")
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_every_file_there_is_read_by_one_test_that_names_it() -> None:
    unread = {name: [glob for glob in READERS if fnmatchcase(name, glob)] for name in all_files()}
    assert {name: globs for name, globs in unread.items() if len(globs) != 1} == {}
    assert {glob for globs in unread.values() for glob in globs} == set(READERS)
    for module, words in READERS.values():
        text = (REPOSITORY / module).read_text(encoding="utf-8")
        assert words in (text if module != HERE else text.rpartition("\nTESSERA_VKEY = ")[2]), f"{module} does not name {words}"


def test_every_publisher_allows_the_use() -> None:
    folders = [folder for folder in data_file("ledger").iterdir() if folder.is_dir()]
    assert len(folders) == 4
    for folder in folders:
        assert "Apache License" in (folder / "LICENSE").read_text(encoding="utf-8")


# The reference tree of eight leaves


@cache
def reference() -> dict[str, list[str]]:
    content: dict[str, list[str]] = json.loads(data_file("ledger/rfc6962-reference/rfc6962_8_leaves.json").read_text())
    return content


def entries_of_reference() -> list[bytes]:
    return [bytes.fromhex(text) for text in reference()["leaf_inputs"]]


def reference_node(level: int, index: int) -> bytes:
    return bytes.fromhex(reference()["node_hashes_by_level"][level][index])


def reference_root(size: int) -> bytes:
    return bytes.fromhex(reference()["roots_by_size"][size])


def test_the_reference_tree_grows_to_each_published_root() -> None:
    entries, tree = entries_of_reference(), EMPTY_TREE
    assert tree.root == reference_root(0) == EMPTY_ROOT
    for size, entry in enumerate(entries, 1):
        tree = tree.extended([leaf_hash(entry)]).tree
        assert (tree.size, tree.root) == (size, reference_root(size))
        assert tree_root(size, NodesOf(entries[:size])) == reference_root(size)
    for level, row in enumerate(reference()["node_hashes_by_level"]):
        assert [NodesOf(entries)(Node(level, index)) for index in range(len(row))] == [bytes.fromhex(text) for text in row]


def test_a_path_in_the_reference_tree_is_the_published_siblings() -> None:
    entries = entries_of_reference()
    for index, entry in enumerate(entries):
        siblings = tuple(reference_node(level, index >> level ^ 1) for level in range(3))
        assert inclusion_proof(index, 8, NodesOf(entries)) == siblings
        verify_inclusion(leaf_hash(entry), index, 8, siblings, reference_root(8))


def test_the_worked_examples_of_rfc_6962_hold_in_the_reference_tree() -> None:
    """RFC 6962 2.1.3: paths and proofs in a tree of seven, by its letters."""
    b, c, d, f, j = (reference_node(0, index) for index in (1, 2, 3, 5, 6))
    g, h, i = (reference_node(1, index) for index in range(3))
    k = reference_node(2, 0)
    l = node_hash(i, j)
    nodes = NodesOf(entries_of_reference())
    for index, path in {0: (b, h, l), 3: (c, g, l), 4: (f, j, k), 6: (i, k)}.items():
        assert inclusion_proof(index, 7, nodes) == path
        verify_inclusion(reference_node(0, index), index, 7, path, reference_root(7))
    for old, proof in {3: (c, d, g, l), 4: (l,), 6: (i, j, k)}.items():
        assert consistency_proof(old, 7, nodes) == proof
        verify_consistency(old, reference_root(old), 7, reference_root(7), proof)


def test_every_reference_tree_extends_every_smaller_one_and_no_other() -> None:
    nodes = NodesOf(entries_of_reference())
    for new in range(2, 9):
        for old in range(1, new):
            proof = consistency_proof(old, new, nodes)
            verify_consistency(old, reference_root(old), new, reference_root(new), proof)
            with pytest.raises(ProofError):
                verify_consistency(old, reference_root(old - 1), new, reference_root(new), proof)


# Probes of inclusion


@pytest.mark.parametrize("folder", FOLDERS)
def test_probes_of_inclusion_end_as_published(folder: str) -> None:
    paths = sorted((data_file("ledger/transparency-dev-merkle/inclusion") / folder).rglob("*.json"))
    assert len(paths) == FOLDERS[folder]
    for path in paths:
        probe = json.loads(path.read_text(encoding="utf-8"))
        leaf, root = b64decode(probe["leafHash"] or ""), b64decode(probe["root"] or "")
        proof = [b64decode(text) for text in probe["proof"] or []]
        try:
            verify_inclusion(leaf, probe["leafIdx"], probe["treeSize"], proof, root)
            is_refused = False
        except ProofError:
            is_refused = True
        assert is_refused is probe["wantErr"], f"{path.parent.name}/{path.name}: {probe['desc']}"


def test_the_probes_are_all_in_a_folder_that_is_read_and_most_must_fail() -> None:
    paths = list(data_file("ledger/transparency-dev-merkle/inclusion").rglob("*.json"))
    assert len(paths) == sum(FOLDERS.values()) == 98
    wanted = [json.loads(path.read_text(encoding="utf-8"))["wantErr"] for path in paths]
    assert 5 <= wanted.count(False) < wanted.count(True)


# A log that Tessera wrote


def tessera() -> Path:
    return data_file("ledger/tessera-log/log")


@cache
def tessera_note(size: int) -> bytes:
    return (tessera() / f"checkpoint.{size}").read_bytes()


def tessera_checkpoint(size: int) -> Checkpoint:
    return parse_checkpoint(parse_note(tessera_note(size)).body)


def tessera_policy() -> Policy:
    return parse_policy(f"log {TESSERA_VKEY}\nquorum none\n".encode())


def tessera_tile(size: int) -> bytes:
    return (tessera() / Tile(0, 0, size).path).read_bytes()


def tessera_entries(size: int) -> tuple[bytes, ...]:
    bundle = EntryBundle(0, size)
    data = (tessera() / bundle.path).read_bytes()
    entries = decode_bundle(bundle, data)
    assert encode_bundle(entries) == data
    return entries


def followed(old: int, new: int, *, asked: dict[int, bytes]) -> list[ClientEvent]:
    """What a client that trusts the log at one size learns when it is served at another."""
    client = LightClient(origin=TESSERA_VKEY.partition("+")[0], policy=tessera_policy(), trusted_note=tessera_note(old))
    for index, entry in asked.items():
        client.prove(entry, index)
    events: list[ClientEvent] = []
    client.begin()
    while wanted := client.wants():
        for path in wanted:
            served = tessera_note(new) if path == CHECKPOINT_PATH else (tessera() / path).read_bytes()
            events += client.give(path, served)
    assert client.stopped is None
    return events


def test_the_last_checkpoint_of_tessera_is_the_one_it_serves() -> None:
    assert (tessera() / CHECKPOINT_PATH).read_bytes() == tessera_note(TESSERA_SIZES[-1])


def test_what_tessera_keeps_for_itself_agrees_with_what_it_signed() -> None:
    state = json.loads((tessera() / ".state/treeState").read_text(encoding="utf-8"))
    last = tessera_checkpoint(TESSERA_SIZES[-1])
    assert (state["size"], b64decode(state["root"])) == (last.tree_size, last.root)
    assert (tessera() / ".state/version").read_text(encoding="utf-8").strip() == "1"
    assert [lock.stat().st_size for lock in (tessera() / ".state").glob("*.lock")] == [0, 0]


def test_every_checkpoint_of_tessera_is_signed_and_canonical_from_the_empty_tree_on() -> None:
    key = parse_vkey(TESSERA_VKEY)
    for size in (0, *TESSERA_SIZES):
        note = parse_note(tessera_note(size))
        verify_note(note, key)
        checkpoint = parse_checkpoint(note.body)
        assert (checkpoint.tree_size, checkpoint.encode()) == (size, note.body)
    assert tessera_checkpoint(0).root == EMPTY_ROOT


def test_tiles_and_entries_of_tessera_lead_to_each_signed_root() -> None:
    for size in TESSERA_SIZES:
        tile = Tile(0, 0, size)
        assert parse_tile_path(tile.path) == tile
        assert tree_root(size, TileSet(size, {tile: tessera_tile(size)})) == tessera_checkpoint(size).root
        update = EMPTY_TREE.extended(leaf_hash(entry) for entry in tessera_entries(size))
        assert (update.tree.root, update.tiles[0, 0]) == (tessera_checkpoint(size).root, tessera_tile(size))
        assert tessera_entries(size) == tessera_entries(TESSERA_SIZES[-1])[:size]


def test_no_altered_hash_in_a_tile_of_tessera_leads_to_the_signed_root() -> None:
    for size in TESSERA_SIZES:
        data = tessera_tile(size)
        for at in range(0, len(data), 32):
            altered = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            assert tree_root(size, TileSet(size, {Tile(0, 0, size): altered})) != tessera_checkpoint(size).root


def test_a_light_client_follows_tessera_from_each_size_to_each_other_and_has_all_proven() -> None:
    for new in TESSERA_SIZES:
        asked = dict(enumerate(tessera_entries(new)))
        for old in (0, *TESSERA_SIZES):
            events = followed(old, new, asked={index: entry for index, entry in asked.items() if index < new})
            proven = {event.index: proof_of(event).encode() for event in events if isinstance(event, Included)}
            if old <= new:
                assert [event.trusted.checkpoint.tree_size for event in events if isinstance(event, Advanced)] == (
                    [new] if old < new else []
                )
                assert set(proven) == set(asked)
            else:
                assert Behind(new, old) in events
            if old == new:
                for index, text in proven.items():
                    assert verify_proof(parse_proof(text), asked[index], tessera_policy()).index == index


def test_an_entry_that_tessera_does_not_hold_is_not_proven() -> None:
    entries = tessera_entries(15)
    tiles = TileSet(15, {Tile(0, 0, 15): tessera_tile(15)})
    for index, entry in enumerate(entries):
        proof = inclusion_proof(index, 15, tiles)
        for other in (entry + b"!", entries[index - 1]):
            with pytest.raises(ProofError):
                verify_inclusion(leaf_hash(other), index, 15, proof, tessera_checkpoint(15).root)


def test_a_checkpoint_of_tessera_with_another_size_root_or_origin_is_not_believed() -> None:
    note = tessera_note(7)
    origin, _, root, *_ = note.decode().split("\n")
    for old, new in ((b"\n7\n", b"\n8\n"), (root.encode(), tessera_note(8).split(b"\n")[2]), (origin.encode(), b"example.com/log")):
        with pytest.raises((DecodeError, ProofError)):
            verify_note(parse_note(note.replace(old, new, 1)), parse_vkey(TESSERA_VKEY))
