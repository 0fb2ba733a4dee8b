"""A log changes its key: what the light client and the holders of old proofs see, step by step (docs/log-keys.md)."""

import pytest

from shared.core.errors import ProofError
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.light_client import LightClient
from shared.ledger.merkle import inclusion_proof, leaf_hash, tree_root
from shared.ledger.note import Ed25519NoteSigner, NoteSignature, add_signatures, parse_note, sign_note
from shared.ledger.policy import Policy, parse_policy
from shared.ledger.proof import TlogProof, verify_proof
from shared.ledger.tiles import CHECKPOINT_PATH
from shared.ledger.tree import EMPTY_TREE
from shared.ledger.verify import LogKeyError, verify_signed
from tests.helpers.ledger import ORIGIN, NodesOf, ed25519_key

OLD = Ed25519NoteSigner(ORIGIN, ed25519_key("the first key"))
NEW = Ed25519NoteSigner(ORIGIN, ed25519_key("the second key"))
ENTRIES = [b"entry %d" % n for n in range(7)]


def policy_with(*signers: Ed25519NoteSigner) -> Policy:
    lines = [f"log {signer.key.text}" for signer in signers]
    return parse_policy(("\n".join([*lines, "quorum none"]) + "\n").encode())


def note_of(size: int, *signers: Ed25519NoteSigner) -> bytes:
    root = tree_root(size, NodesOf(ENTRIES))
    body = Checkpoint(origin=ORIGIN, tree_size=size, root=root).encode()
    note = sign_note(body, signers[0])
    more = tuple(NoteSignature(name=s.key.name, key_id=s.key.key_id, signature=s.sign_note_body(body)) for s in signers[1:])
    return add_signatures(parse_note(note), more) if more else note


def proof_of(index: int, size: int, *signers: Ed25519NoteSigner) -> TlogProof:
    return TlogProof(
        index=index, hashes=inclusion_proof(index, size, NodesOf(ENTRIES)), signed_note=parse_note(note_of(size, *signers))
    )


def follow(client: LightClient, size: int, note: bytes) -> None:
    tiles = EMPTY_TREE.extended(leaf_hash(entry) for entry in ENTRIES[:size]).tiles
    client.begin()
    while wanted := client.wants():
        client.give(wanted[0], note if wanted[0] == CHECKPOINT_PATH else tiles[0, 0])


def test_a_client_follows_its_log_through_a_whole_change_of_keys() -> None:
    client = LightClient(origin=ORIGIN, policy=policy_with(OLD), trusted_note=None)
    follow(client, 3, note_of(3, OLD))
    for policy, size, signers in (
        (policy_with(OLD, NEW), 4, (OLD,)),  # the policy comes first,
        (policy_with(OLD, NEW), 5, (OLD, NEW)),  # then the log signs with both,
        (policy_with(NEW), 6, (OLD, NEW)),  # whoever has seen that may forget the old key,
        (policy_with(NEW), 7, (NEW,)),  # and so may the log.
    ):
        assert client.trusted is not None
        client = LightClient(origin=ORIGIN, policy=policy, trusted_note=client.trusted.note)
        follow(client, size, note_of(size, *signers))
        assert client.trusted is not None
        assert client.trusted.checkpoint.tree_size == size


def test_a_client_that_slept_through_the_change_is_told_which_key_is_missing() -> None:
    with pytest.raises(LogKeyError, match=f"with key {OLD.key.key_id.hex()}, .*it has {NEW.key.key_id.hex()}") as caught:
        LightClient(origin=ORIGIN, policy=policy_with(NEW), trusted_note=note_of(3, OLD))
    assert caught.value.code == "log_key"
    client = LightClient(origin=ORIGIN, policy=policy_with(NEW, OLD), trusted_note=note_of(3, OLD))
    follow(client, 7, note_of(7, NEW))
    assert client.trusted is not None
    assert client.trusted.checkpoint.tree_size == 7


def test_an_old_proof_holds_as_long_as_a_policy_keeps_the_old_key() -> None:
    proof = proof_of(1, 3, OLD)
    for policy in (policy_with(OLD), policy_with(OLD, NEW), policy_with(NEW, OLD)):
        assert verify_proof(proof, ENTRIES[1], policy).index == 1


def test_an_old_proof_under_a_policy_without_the_old_key_says_what_to_do() -> None:
    sentence = "if the log has changed its key, name that one too, on a log line of its own, or have the entry proven anew"
    with pytest.raises(LogKeyError, match=sentence):
        verify_proof(proof_of(1, 3, OLD), ENTRIES[1], policy_with(NEW))
    assert verify_proof(proof_of(1, 7, NEW), ENTRIES[1], policy_with(NEW)).index == 1


def test_a_checkpoint_under_both_keys_holds_for_whoever_has_either() -> None:
    for policy in (policy_with(OLD), policy_with(NEW), policy_with(OLD, NEW)):
        assert verify_signed(note_of(5, OLD, NEW), policy).checkpoint.tree_size == 5


def test_a_broken_signature_spoils_a_checkpoint_for_those_who_know_its_key() -> None:
    note = parse_note(note_of(5, OLD))
    broken = NoteSignature(name=ORIGIN, key_id=NEW.key.key_id, signature=bytes(64))
    both = add_signatures(note, (broken,))
    assert verify_signed(both, policy_with(OLD)).checkpoint.tree_size == 5
    with pytest.raises(ProofError, match="does not hold"):
        verify_signed(both, policy_with(OLD, NEW))
