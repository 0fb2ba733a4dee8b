"""Offline proofs: the text, and what it takes to be believed."""

import pytest

from shared.core.errors import DecodeError, EncodeError, ProofError
from shared.ledger.checkpoint import parse_checkpoint
from shared.ledger.cosignature import cosign, find_cosignature
from shared.ledger.merkle import inclusion_proof
from shared.ledger.note import KeyKind, VerifierKey, add_signatures, parse_note, parse_vkey
from shared.ledger.policy import parse_policy
from shared.ledger.proof import TlogProof, parse_proof, proof_of, verify_proof
from shared.ledger.tiles import EntryBundle, Tile, TileSet, decode_bundle
from shared.ledger.verify import (
    Included,
    QuorumError,
    SignedCheckpoint,
    TrustedCheckpoint,
    trust_first,
    verify_included,
    verify_signed,
)
from tests.helpers.data import data_file
from tests.helpers.ledger import ORIGIN, MemoryLog, NodesOf, ed25519_key, log_signer, policy_of, witness_key
from tests.unit.ledger.test_note import TESSERA_VKEY

WITNESSES = ("w1.example", "w2.example", "w3.example")


def proven(size: int = 13, index: int = 5, witnesses: tuple[str, ...] = ()) -> tuple[TlogProof, bytes]:
    log = MemoryLog(witnesses=witnesses)
    log.entries = [b"entry %d" % n for n in range(size)]
    note = log.publish()
    return TlogProof(
        index=index, hashes=inclusion_proof(index, size, NodesOf(log.entries)), signed_note=parse_note(note)
    ), log.entries[index]


def test_a_proof_survives_its_text_and_verifies() -> None:
    proof, entry = proven()
    text = proof.encode()
    assert text.startswith(b"c2sp.org/tlog-proof@v1\nindex 5\n")
    assert parse_proof(text) == proof
    included = verify_proof(parse_proof(text), entry, policy_of())
    assert (included.entry, included.index, included.trusted.checkpoint.tree_size) == (entry, 5, 13)
    assert proof_of(included).encode() == text


def test_a_proof_about_a_foreign_log_verifies() -> None:
    log = data_file("ledger/tessera-log/log")
    policy = parse_policy(f"log {TESSERA_VKEY}\nquorum none\n".encode())
    entries = decode_bundle(EntryBundle(0, 15), (log / "tile/entries/000.p/15").read_bytes())
    tiles = TileSet(15, {Tile(0, 0, 15): (log / "tile/0/000.p/15").read_bytes()})
    note = (log / "checkpoint.15").read_bytes()
    for index, entry in enumerate(entries):
        proof = TlogProof(index=index, hashes=inclusion_proof(index, 15, tiles), signed_note=parse_note(note))
        verify_proof(parse_proof(proof.encode()), entry, policy)
        with pytest.raises(ProofError):
            verify_proof(proof, entry + b"!", policy)


def test_no_proof_with_one_byte_changed_is_believed() -> None:
    proof, entry = proven(size=3, index=1)
    text, policy = proof.encode(), policy_of()
    for at in range(len(text)):
        altered = text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :]
        with pytest.raises((DecodeError, ProofError)):
            verify_proof(parse_proof(altered), entry, policy)


def test_no_proof_cut_short_or_with_a_byte_more_is_read() -> None:
    text = proven(size=3, index=1)[0].encode()
    for altered in (*(text[:n] for n in range(len(text))), text + b"x", b" " + text):
        with pytest.raises(DecodeError):
            parse_proof(altered)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"@v1", b"@v2"),
        (b"index 5", b"index 05"),
        (b"index 5", b"index -5"),
        (b"index 5", b"index  5"),
        (b"index 5\n", b""),
        (b"index 5", b"extra !\nindex 5"),
        (b"index 5", b"extra " + b"A" * 8000 + b"\nindex 5"),
        (b"index 5\n", b"index 5\n" + b"A" * 44 + b"\n"),
        (b"index 5\n", b"index 5\nAAAA\n"),
        (b"index 5\n", b"index 5\n" + (b"A" * 43 + b"=\n") * 65),
    ],
)
def test_what_is_not_canonical_is_refused(old: bytes, new: bytes) -> None:
    text = proven()[0].encode()
    assert old in text
    with pytest.raises(DecodeError):
        parse_proof(text.replace(old, new, 1))


def test_extra_data_travels_and_proves_nothing() -> None:
    proof, entry = proven()
    extra = TlogProof(index=proof.index, hashes=proof.hashes, signed_note=proof.signed_note, extra=b"hello")
    assert parse_proof(extra.encode()).extra == b"hello"
    verify_proof(extra, entry, policy_of())


def test_impossible_proofs_are_not_encoded() -> None:
    proof, _ = proven()
    for broken in (
        TlogProof(index=-1, hashes=(), signed_note=proof.signed_note),
        TlogProof(index=0, hashes=(b"short",), signed_note=proof.signed_note),
        TlogProof(index=0, hashes=(bytes(32),) * 65, signed_note=proof.signed_note),
    ):
        with pytest.raises(EncodeError):
            broken.encode()


def test_the_quorum_of_the_policy_must_have_witnessed() -> None:
    proof, entry = proven(witnesses=WITNESSES[:2])
    assert verify_proof(proof, entry, policy_of(witnesses=WITNESSES, quorum="2")).trusted.witnesses == WITNESSES[:2]
    with pytest.raises(QuorumError, match=r"w1\.example, w2\.example"):
        verify_proof(proof, entry, policy_of(witnesses=WITNESSES, quorum="3"))
    unwitnessed, entry = proven()
    with pytest.raises(QuorumError, match="no known witness"):
        verify_proof(unwitnessed, entry, policy_of(witnesses=WITNESSES, quorum="1"))


def test_a_bundle_with_three_witnesses_at_a_million_entries_is_at_most_2_kb() -> None:
    log = MemoryLog(witnesses=WITNESSES)
    log.entries = [b"x"]
    proof = TlogProof(index=999_999, hashes=(bytes(32),) * 20, signed_note=parse_note(log.publish()))
    assert len(proof.encode()) <= 2_000


def test_a_log_the_policy_does_not_know_proves_nothing() -> None:
    proof, entry = proven()
    with pytest.raises(ProofError, match="knows no log"):
        verify_proof(proof, entry, policy_of(origin="other.example"))


def test_another_key_under_the_logs_name_proves_nothing() -> None:
    proof, entry = proven()
    impostor = VerifierKey(name=ORIGIN, kind=KeyKind.ED25519, public_key=log_signer("other.example").key.public_key)
    with pytest.raises(ProofError, match=r"signed by .* with key [0-9a-f]{8}, which this policy does not have"):
        verify_proof(proof, entry, parse_policy(f"log {impostor.text}\nquorum none\n".encode()))


def test_cosignatures_hold_for_their_time_and_text_only() -> None:
    note = parse_note(proven()[0].note)
    key = witness_key("w1.example")
    line = cosign(note.body, name="w1.example", private_key=ed25519_key("w1.example"), timestamp_s=1_700_000_000)
    later = cosign(note.body, name="w1.example", private_key=ed25519_key("w1.example"), timestamp_s=1_700_000_100)
    found = find_cosignature(parse_note(add_signatures(note, (later, line))), key)
    assert found is not None
    assert found.timestamp_s == 1_700_000_100
    assert find_cosignature(note, key) is None
    made = line.signature
    for signature in (made[:-1], made + b"x", b"\x80" + made[1:], made[:7] + b"\1" + made[8:]):
        altered = type(line)(name=line.name, key_id=line.key_id, signature=signature)
        with pytest.raises(ProofError):
            find_cosignature(parse_note(add_signatures(note, (altered,))), key)
    for timestamp_s in (-1, 1 << 63):
        with pytest.raises(EncodeError):
            cosign(note.body, name="w", private_key=ed25519_key("w"), timestamp_s=timestamp_s)
    with pytest.raises(ProofError, match="cosigns"):
        find_cosignature(note, log_signer().key)


def test_the_published_cosignature_format_is_met() -> None:
    """The message of the specification's example, byte for byte."""
    body = b"example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    key = ed25519_key("w")
    line = cosign(body, name="w", private_key=key, timestamp_s=1679315147)
    assert line.signature[:8] == bytes.fromhex("00000000641850cb")
    key.public_key().verify(line.signature[8:], b"cosignature/v1\ntime 1679315147\n" + body)


def test_only_the_verifier_makes_what_can_be_trusted() -> None:
    proof, entry = proven()
    signed = verify_signed(proof.note, policy_of())
    trusted = trust_first(signed, policy_of())
    for kind in (SignedCheckpoint, TrustedCheckpoint):
        with pytest.raises(TypeError, match="only"):
            kind(checkpoint=signed.checkpoint, note=signed.note, witnesses=(), seal=None)
    included = verify_included(trusted, entry, proof.index, proof.hashes)
    with pytest.raises(TypeError, match="only"):
        Included(entry=b"other", index=included.index, hashes=included.hashes, trusted=trusted, seal=object())


def test_a_vkey_survives_its_text() -> None:
    for key in (log_signer().key, witness_key("w1.example")):
        assert parse_vkey(key.text) == key
    assert parse_checkpoint(parse_note(proven()[0].note).body).origin == ORIGIN
