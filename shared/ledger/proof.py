"""Offline proofs of inclusion in one piece of text (C2SP tlog-proof@v1).

    c2sp.org/tlog-proof@v1
    extra base64                 (optional, never trusted)
    index 73894
    base64 hash                  (from the leaf's sibling up)

    checkpoint note, verbatim

Strict and canonical. Verification needs the entry and a policy, no network and no state; it cannot see a split view, which is what
the quorum of the policy is for.
"""

from dataclasses import dataclass, field

from shared.core.errors import DecodeError, EncodeError
from shared.ledger.merkle import HASH_BYTES, MAX_PROOF_HASHES, MAX_TREE_SIZE
from shared.ledger.note import MAX_NOTE_BYTES, SignedNote, parse_note
from shared.ledger.policy import Policy
from shared.ledger.text import decode_base64, decode_decimal, decode_hashes, encode_base64
from shared.ledger.verify import Included, trust_first, verify_included, verify_signed

HEADER = "c2sp.org/tlog-proof@v1"
_EXTRA = "extra "
_INDEX = "index "
MAX_EXTRA_BYTES = 4_096
MAX_PROOF_BYTES = MAX_NOTE_BYTES + 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class TlogProof:
    """A proof as it travels; nothing about it is verified.

    Attributes:
        index: place of the entry in the log.
        hashes: inclusion proof, 32 bytes each.
        note: checkpoint note, verbatim.
        extra: opaque, unauthenticated; None where absent.
    """

    index: int
    hashes: tuple[bytes, ...]
    note: bytes
    extra: bytes | None = None
    _parsed_note: SignedNote | None = field(default=None, repr=False, compare=False)

    @property
    def signed_note(self) -> SignedNote:
        """The note, parsed; raises `DecodeError` where it is malformed, which that of a parsed proof is not."""
        known = self._parsed_note
        return known if known is not None and known.encoded == self.note else parse_note(self.note)

    def encode(self) -> bytes:
        """Return the text; raise `EncodeError` if it would not parse back to the same proof."""
        if not 0 <= self.index < MAX_TREE_SIZE or any(len(h) != HASH_BYTES for h in self.hashes):
            raise EncodeError("tlog_proof", "no such index, or a hash that is not 32 bytes long")
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {encode_base64(self.extra)}")
        lines.append(f"index {self.index}")
        lines.extend(encode_base64(h) for h in self.hashes)
        encoded = ("\n".join(lines) + "\n\n").encode() + self.note
        try:
            parsed = parse_proof(encoded)
        except DecodeError as error:
            raise EncodeError(error.field, error.reason) from None
        if parsed != self:
            raise EncodeError("tlog_proof", "does not survive its own encoding")
        return encoded


def proof_of(included: Included) -> TlogProof:
    """Return what was verified as a proof that others can verify offline."""
    return TlogProof(index=included.index, hashes=included.hashes, note=included.trusted.note)


def parse_proof(data: bytes) -> TlogProof:
    """Parse the text; raise `DecodeError` unless it is canonical and its checkpoint is a well-formed note."""
    if len(data) > MAX_PROOF_BYTES:
        raise DecodeError("tlog_proof", f"{len(data)} bytes; at most {MAX_PROOF_BYTES} are read")
    head, blank, note = bytes(data).partition(b"\n\n")
    if not blank:
        raise DecodeError("tlog_proof", "no blank line before the checkpoint")
    try:
        header, _, rest = (head.decode("ascii") + "\n").partition("\n")
    except UnicodeDecodeError:
        raise DecodeError("tlog_proof", "not ASCII before the checkpoint") from None
    if header != HEADER:
        raise DecodeError("tlog_proof", f"the first line is not {HEADER}")
    extra = None
    if rest.startswith(_EXTRA):
        line, _, rest = rest.partition("\n")
        extra = decode_base64(line.removeprefix(_EXTRA), "tlog_proof.extra")
        if len(extra) > MAX_EXTRA_BYTES:
            raise DecodeError("tlog_proof.extra", f"{len(extra)} bytes; at most {MAX_EXTRA_BYTES} are read")
    if not rest.startswith(_INDEX):
        raise DecodeError("tlog_proof.index", "no index line")
    line, _, rest = rest.partition("\n")
    index = decode_decimal(line.removeprefix(_INDEX), "tlog_proof.index", MAX_TREE_SIZE - 1)
    count = rest.count("\n")
    if count > MAX_PROOF_HASHES:
        raise DecodeError("tlog_proof.hashes", f"{count} hashes; at most {MAX_PROOF_HASHES} are read")
    hashes = decode_hashes(rest, "tlog_proof.hashes")
    return TlogProof(index=index, hashes=hashes, note=note, extra=extra, _parsed_note=parse_note(note))


def verify_proof(proof: TlogProof, entry: bytes, policy: Policy) -> Included:
    """Check log signature, quorum and inclusion of `entry`, offline.

    Raises:
        DecodeError: the checkpoint is malformed.
        QuorumError: not enough witnesses.
        ProofError: unknown log, a signature that does not hold, or another entry than the one proven.
    """
    trusted = trust_first(verify_signed(proof.signed_note, policy), policy)
    return verify_included(trusted, entry, proof.index, proof.hashes)
