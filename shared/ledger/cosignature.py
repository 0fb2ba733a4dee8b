r"""Witness cosignatures, version 1 (C2SP tlog-cosignature): "at this time, this was the largest consistent tree I had seen".

    signature line = u64 time in POSIX seconds || Ed25519 over ("cosignature/v1\ntime T\n" || checkpoint text)

ML-DSA-44 cosignatures (0x06) are still to come. How many cosignatures are enough is `shared.ledger.policy`'s business.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.core.errors import EncodeError, ProofError
from shared.ledger.ed25519 import SIGNATURE_BYTES, verify_ed25519
from shared.ledger.note import KeyKind, NoteSignature, SignedNote, VerifierKey, signatures_by

MAX_TIMESTAMP_S = (1 << 63) - 1
_TIME_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    """A cosignature that held: by whom, and when in POSIX seconds."""

    witness: VerifierKey
    timestamp_s: int


def cosigned_message(body: bytes, timestamp_s: int) -> bytes:
    """Return what a witness signs for the checkpoint text `body`."""
    return b"cosignature/v1\ntime %d\n" % timestamp_s + body


def find_cosignature(note: SignedNote, witness: VerifierKey) -> Cosignature | None:
    """Return the witness's latest cosignature or None; raise `ProofError` if one that claims to be its own does not hold."""
    if witness.kind is not KeyKind.COSIGNATURE:
        raise ProofError(f"{witness.name} is not a key that cosigns")
    latest: Cosignature | None = None
    for line in signatures_by(note, witness):
        if len(line.signature) != _TIME_BYTES + SIGNATURE_BYTES:
            raise ProofError(f"the cosignature by {witness.name} has the wrong length")
        timestamp_s = int.from_bytes(line.signature[:_TIME_BYTES])
        if timestamp_s > MAX_TIMESTAMP_S:
            raise ProofError(f"the cosignature by {witness.name} has an impossible time")
        try:
            verify_ed25519(witness.public_key, cosigned_message(note.body, timestamp_s), line.signature[_TIME_BYTES:])
        except ProofError:
            raise ProofError(f"the cosignature by {witness.name} does not hold") from None
        if latest is None or timestamp_s > latest.timestamp_s:
            latest = Cosignature(witness=witness, timestamp_s=timestamp_s)
    return latest


def cosign(body: bytes, *, name: str, private_key: Ed25519PrivateKey, timestamp_s: int) -> NoteSignature:
    """Return a witness's signature line for the checkpoint text `body`; the caller has checked that it may be signed."""
    if not 0 <= timestamp_s <= MAX_TIMESTAMP_S:
        raise EncodeError("cosignature.timestamp", f"{timestamp_s} is no time")
    key = VerifierKey(name=name, kind=KeyKind.COSIGNATURE, public_key=private_key.public_key().public_bytes_raw())
    signature = private_key.sign(cosigned_message(body, timestamp_s))
    return NoteSignature(name=name, key_id=key.key_id, signature=timestamp_s.to_bytes(_TIME_BYTES) + signature)
