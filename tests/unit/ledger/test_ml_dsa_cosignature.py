"""ML-DSA-44 cosignatures (signature type 06): verified where the policy names the witness, passed over elsewhere."""

import base64
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from shared.core.errors import DecodeError, ProofError
from shared.ledger import mldsa
from shared.ledger.cosignature import cosign, find_cosignature
from shared.ledger.note import KeyKind, NoteSignature, VerifierKey, add_signatures, parse_note, parse_vkey
from shared.ledger.policy import Policy, parse_policy
from shared.ledger.verify import check_quorum, verify_signed
from tests.helpers.ledger import ORIGIN, MemoryLog, ed25519_key, log_signer, policy_of

NAME = "witness.example/pq"
PRIVATE = MLDSA44PrivateKey.from_seed_bytes(sha256(b"a witness of tomorrow").digest())
KEY = VerifierKey(name=NAME, kind=KeyKind.ML_DSA_44_COSIGNATURE, public_key=PRIVATE.public_key().public_bytes_raw())
TIME_S = 1_700_000_000


def message(note: bytes, *, name: str = NAME, time_s: int = TIME_S) -> bytes:
    """The structure of the specification, field by field from the text of the checkpoint."""
    origin, size, root, *_ = parse_note(note).body.decode().split("\n")
    return b"".join(
        (
            b"subtree/v1\n\0",
            bytes([len(name)]) + name.encode(),
            time_s.to_bytes(8),
            bytes([len(origin)]) + origin.encode(),
            (0).to_bytes(8),
            int(size).to_bytes(8),
            base64.b64decode(root),
        )
    )


def line(signed: bytes, time_s: int = TIME_S) -> NoteSignature:
    return NoteSignature(name=NAME, key_id=KEY.key_id, signature=time_s.to_bytes(8) + PRIVATE.sign(signed))


@pytest.fixture(scope="module")
def note() -> bytes:
    log = MemoryLog()
    log.entries = [b"a", b"b", b"c"]
    return log.publish()


def policy() -> Policy:
    return parse_policy(f"log {log_signer().key.text}\nwitness tomorrow {KEY.text}\nquorum tomorrow\n".encode())


def test_a_cosignature_by_a_witness_of_the_policy_makes_its_quorum(note: bytes) -> None:
    cosigned = add_signatures(parse_note(note), (line(message(note)),))
    signed = verify_signed(cosigned, policy())
    assert signed.witnesses == ("tomorrow",)
    check_quorum(signed, policy())
    found = find_cosignature(parse_note(cosigned), KEY)
    assert found is not None
    assert found.timestamp_s == TIME_S


@pytest.mark.parametrize("changed", ["name", "time", "size", "length"])
def test_a_cosignature_of_something_else_does_not_hold(note: bytes, changed: str) -> None:
    signed = message(note)
    match changed:
        case "name":
            made = line(message(note, name="witness.example/pp"))
        case "time":
            made = line(signed, TIME_S + 1)
        case "size":
            made = line(signed.replace((3).to_bytes(8), (4).to_bytes(8)))
        case _:
            made = NoteSignature(name=NAME, key_id=KEY.key_id, signature=line(signed).signature[:-1])
    with pytest.raises(ProofError, match=f"the cosignature by {NAME}"):
        verify_signed(add_signatures(parse_note(note), (made,)), policy())


def test_a_line_of_a_witness_the_policy_does_not_name_is_passed_over(note: bytes) -> None:
    foreign = NoteSignature(name=NAME, key_id=KEY.key_id, signature=bytes(8 + mldsa.SIGNATURE_BYTES))
    own = cosign(parse_note(note).body, name="w", private_key=ed25519_key("w"), timestamp_s=TIME_S)
    cosigned = add_signatures(parse_note(note), (foreign, own))
    assert verify_signed(cosigned, policy_of(witnesses=("w",), quorum="w")).witnesses == ("w",)


def test_a_key_survives_its_text_and_another_length_is_none() -> None:
    assert parse_vkey(KEY.text) == KEY
    with pytest.raises(DecodeError, match="1312 bytes, not 1311"):
        VerifierKey(name=NAME, kind=KeyKind.ML_DSA_44_COSIGNATURE, public_key=KEY.public_key[1:])


def test_a_log_with_such_a_key_is_refused() -> None:
    with pytest.raises(DecodeError, match="a log signs with an Ed25519 key"):
        parse_policy(f"log {KEY.text}\nquorum none\n".encode())


def test_a_library_without_the_algorithm_refuses_the_policy_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mldsa, "HAS_ML_DSA", False)
    mldsa.load_public_key.cache_clear()
    with pytest.raises(DecodeError, match="too old for"):
        parse_vkey(KEY.text)


def test_a_log_whose_name_is_too_long_cannot_be_cosigned_so() -> None:
    origin = ORIGIN + "é" * 120
    log = MemoryLog(origin)
    cosigned = parse_note(add_signatures(parse_note(log.note), (line(b"anything"),)))
    with pytest.raises(ProofError, match="no ML-DSA-44 cosignature can name"):
        find_cosignature(cosigned, KEY)
