from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.core.errors import ProofError
from shared.ledger.note import Ed25519NoteSigner
from shared.ledger.policy import parse_policy
from shared.ledger.proof import parse_proof, verify_proof
from shared.service.log_proofs import prove_logged
from shared.service.log_store import open_log_store

SIGNER = Ed25519NoteSigner("log.example", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
POLICY = parse_policy(f"log {SIGNER.key.text}\nquorum none\n".encode())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 255, 256, 257, 700])
def test_every_entry_is_proven_offline_under_the_logs_key(tmp_path: Path, size: int) -> None:
    log = open_log_store(tmp_path / "log.db", SIGNER)
    entries = [f"document {number}".encode() for number in range(size)]
    log.append(entries)
    for index in {0, 1, size // 2, size - 2, size - 1} & set(range(size)):
        proof = parse_proof(prove_logged(log, index))
        assert verify_proof(proof, entries[index], POLICY).index == index
        with pytest.raises(ProofError):
            verify_proof(proof, b"another document", POLICY)
    log.close()


@pytest.mark.parametrize("index", [-1, 3, 2**62])
def test_what_is_not_logged_is_not_proven(tmp_path: Path, index: int) -> None:
    log = open_log_store(tmp_path / "log.db", SIGNER)
    log.append([b"a", b"b", b"c"])
    with pytest.raises(ProofError, match="has no entry"):
        prove_logged(log, index)
    log.close()


def test_what_another_program_appended_is_proven_after_a_look(tmp_path: Path) -> None:
    log = open_log_store(tmp_path / "log.db", SIGNER)
    log.append([b"a"])
    other = open_log_store(tmp_path / "log.db", SIGNER)
    assert other.submit(b"b") == 1
    log.refresh()
    assert verify_proof(parse_proof(prove_logged(log, 1)), b"b", POLICY).index == 1
    assert (log.submit(b"c"), log.submit(b"b"), log.size) == (2, 1, 3)
    other.close()
    log.close()
