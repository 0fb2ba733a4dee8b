r"""Witness cosignatures (C2SP tlog-cosignature): "at this time, this was the largest consistent tree I had seen".

    signature line = u64 time in POSIX seconds || signature over the cosigned message
    Ed25519 (04)   "cosignature/v1\ntime T\n" || checkpoint text
    ML-DSA-44 (06) "subtree/v1\n\0" || name<1..255> || u64 time || origin<1..255> || u64 0 || u64 tree size || root

Our own witnesses sign with Ed25519; cosignatures of either kind are verified. The newer message says nothing about the extension
lines of a checkpoint, and its time may be zero: then the witness states that the tree is consistent with all it has seen, not that
it was the largest. That is what a quorum is for, so it counts. How many cosignatures are enough is
`shared.ledger.policy`'s business.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.core.errors import DecodeError, EncodeError, ProofError
from shared.ledger import ed25519, mldsa
from shared.ledger.checkpoint import Checkpoint, parse_checkpoint
from shared.ledger.note import KeyKind, NoteSignature, SignedNote, VerifierKey, broken_claims, signatures_by

MAX_TIMESTAMP_S = (1 << 63) - 1
MAX_COSIGNED_NAME_BYTES = 255
"""Of a witness or an origin, in the message of an ML-DSA-44 cosignature."""

_TIME_BYTES = 8
_ED25519_BYTES = _TIME_BYTES + ed25519.SIGNATURE_BYTES
_ML_DSA_44_BYTES = _TIME_BYTES + mldsa.SIGNATURE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    """A cosignature that held: by whom, and when in POSIX seconds."""

    witness: VerifierKey
    timestamp_s: int


def cosigned_message(body: bytes, timestamp_s: int) -> bytes:
    """Return what a witness signs with Ed25519 for the checkpoint text `body`."""
    return b"cosignature/v1\ntime %d\n" % timestamp_s + body


def cosigned_subtree(checkpoint: Checkpoint, witness: str, timestamp_s: int) -> bytes:
    """Return what a witness of that key name signs with ML-DSA-44 for a checkpoint; raise `ProofError` if a name is too long."""
    names = [witness.encode(), checkpoint.origin.encode()]
    if any(not 1 <= len(name) <= MAX_COSIGNED_NAME_BYTES for name in names):
        raise ProofError(f"no ML-DSA-44 cosignature can name a witness or a log of more than {MAX_COSIGNED_NAME_BYTES} bytes")
    cosigner, origin = (len(name).to_bytes(1) + name for name in names)
    end = checkpoint.tree_size.to_bytes(8)
    return b"subtree/v1\n\x00" + cosigner + timestamp_s.to_bytes(8) + origin + bytes(8) + end + checkpoint.root


def find_cosignature(note: SignedNote, witness: VerifierKey) -> Cosignature | None:
    """Return the witness's latest cosignature or None; raise `ProofError` if one that claims to be its own does not hold."""
    if not witness.kind.cosigns:
        raise ProofError(f"{witness.name} is not a key that cosigns")
    latest: Cosignature | None = None
    for line in signatures_by(note, witness):
        timestamp_s, message, signature = read_cosignature(note, witness, line)
        check_claims(((witness, message, signature),))
        if latest is None or timestamp_s > latest.timestamp_s:
            latest = Cosignature(witness=witness, timestamp_s=timestamp_s)
    return latest


def read_cosignature(note: SignedNote, witness: VerifierKey, line: NoteSignature) -> tuple[int, bytes, bytes]:
    """Return the time in POSIX seconds, the message and the bare signature of a line that claims to be by `witness`, which cosigns.

    Raises:
        ProofError: it can be no cosignature.
    """
    is_ed25519 = witness.kind is KeyKind.COSIGNATURE
    if len(line.signature) != (_ED25519_BYTES if is_ed25519 else _ML_DSA_44_BYTES):
        raise ProofError(f"the cosignature by {witness.name} has the wrong length")
    timestamp_s = int.from_bytes(line.signature[:_TIME_BYTES])
    if timestamp_s > MAX_TIMESTAMP_S:
        raise ProofError(f"the cosignature by {witness.name} has an impossible time")
    if is_ed25519:
        message = cosigned_message(note.body, timestamp_s)
    else:
        message = cosigned_subtree(_checkpoint(note), witness.name, timestamp_s)
    return timestamp_s, message, line.signature[_TIME_BYTES:]


def check_claims(claims: Sequence[tuple[VerifierKey, bytes, bytes]]) -> None:
    """Raise `ProofError` unless each bare signature holds under its key: claims of key, message and signature."""
    for key in broken_claims(claims):
        raise ProofError(f"the {'cosignature' if key.kind.cosigns else 'signature'} by {key.name} does not hold")


def _checkpoint(note: SignedNote) -> Checkpoint:
    try:
        return parse_checkpoint(note.body)
    except DecodeError as error:
        raise ProofError(f"what was cosigned is no checkpoint: {error}") from None


def cosign(body: bytes, *, name: str, private_key: Ed25519PrivateKey, timestamp_s: int) -> NoteSignature:
    """Return a witness's signature line for the checkpoint text `body`; the caller has checked that it may be signed."""
    if not 0 <= timestamp_s <= MAX_TIMESTAMP_S:
        raise EncodeError("cosignature.timestamp", f"{timestamp_s} is no time")
    key = VerifierKey(name=name, kind=KeyKind.COSIGNATURE, public_key=private_key.public_key().public_bytes_raw())
    signature = private_key.sign(cosigned_message(body, timestamp_s))
    return NoteSignature(name=name, key_id=key.key_id, signature=timestamp_s.to_bytes(_TIME_BYTES) + signature)
