"""Offline proofs of inclusion in one piece of text (C2SP tlog-proof@v1).

    c2sp.org/tlog-proof@v1
    extra base64                 (optional, never trusted)
    index 73894
    base64 hash                  (from the leaf's sibling up)

    checkpoint note, verbatim

Strict and canonical. Verification needs the entry and a policy, no network and no state; it cannot see a split view, which is what
the quorum of the policy is for.
"""

import re

from shared.core.errors import DecodeError, EncodeError
from shared.core.value import Value
from shared.ledger.merkle import HASH_BYTES, MAX_PROOF_HASHES, MAX_TREE_SIZE
from shared.ledger.note import MAX_NOTE_BYTES, SignedNote, parse_note
from shared.ledger.policy import Policy
from shared.ledger.text import decode_base64, decode_decimal, decode_hashes, encode_base64
from shared.ledger.verify import Included, verify_entry

HEADER = "c2sp.org/tlog-proof@v1"
_EXTRA = "extra "
_INDEX = "index "
_PLAIN_HEAD = re.compile(rf"{re.escape(HEADER)}\n{_INDEX}(0|[1-9][0-9]{{0,17}})\n", re.ASCII)
"""Without extra data, and with an index of so few digits that it is one."""

MAX_EXTRA_BYTES = 4_096
MAX_PROOF_BYTES = MAX_NOTE_BYTES + 16_384


class TlogProof(Value):
    """A proof as it travels; nothing about it is verified.

    Attributes:
        index: place of the entry in the log.
        hashes: inclusion proof, 32 bytes each.
        signed_note: the checkpoint's note.
        extra: opaque, unauthenticated; None where absent.
    """

    index: int
    hashes: tuple[bytes, ...]
    signed_note: SignedNote
    extra: bytes | None = None

    @property
    def note(self) -> bytes:
        """The checkpoint's note, verbatim."""
        return self.signed_note.encoded

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
    return TlogProof(index=included.index, hashes=included.hashes, signed_note=parse_note(included.trusted.note))


def parse_proof(data: bytes) -> TlogProof:
    """Parse the text; raise `DecodeError` unless it is canonical and its checkpoint is a well-formed note."""
    if len(data) > MAX_PROOF_BYTES:
        raise DecodeError("tlog_proof", f"{len(data)} bytes; at most {MAX_PROOF_BYTES} are read")
    head, blank, note = bytes(data).partition(b"\n\n")
    if not blank:
        raise DecodeError("tlog_proof", "no blank line before the checkpoint")
    try:
        lines = head.decode("ascii") + "\n"
    except UnicodeDecodeError:
        raise DecodeError("tlog_proof", "not ASCII before the checkpoint") from None
    plain = _PLAIN_HEAD.match(lines)
    extra, index, rest = _read_head(lines) if plain is None else (None, int(plain[1]), lines[plain.end() :])
    hashes = decode_hashes(rest, "tlog_proof.hashes")
    if len(hashes) > MAX_PROOF_HASHES:
        raise DecodeError("tlog_proof.hashes", f"{len(hashes)} hashes; at most {MAX_PROOF_HASHES} are read")
    return TlogProof(index=index, hashes=hashes, signed_note=parse_note(note), extra=extra)


def _read_head(lines: str) -> tuple[bytes | None, int, str]:
    """Return what stands above the hashes, and the rest."""
    header, _, rest = lines.partition("\n")
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
    return extra, decode_decimal(line.removeprefix(_INDEX), "tlog_proof.index", MAX_TREE_SIZE - 1), rest


def verify_proof(proof: TlogProof, entry: bytes, policy: Policy) -> Included:
    """Check log signature, quorum and inclusion of `entry`, offline.

    Raises:
        DecodeError: the checkpoint is malformed.
        QuorumError: not enough witnesses.
        ProofError: unknown log, a signature that does not hold, or another entry than the one proven.
    """
    return verify_entry(proof.signed_note, entry, proof.index, proof.hashes, policy)
