"""What a log asks of a witness: cosign this checkpoint, which extends the one of `old` entries (C2SP tlog-witness).

    old 20852014
    base64 hash        (the consistency proof, at most 63 lines)

    checkpoint note, verbatim

Strict and canonical: what parses encodes to the same bytes. What a witness makes of it is `shared.ledger.witness`'s business, what
a log makes of the answer is `shared.ledger.witnessing`'s.
"""

from dataclasses import dataclass

from shared.core.errors import DecodeError, EncodeError
from shared.ledger.merkle import HASH_BYTES, MAX_TREE_SIZE, Hash
from shared.ledger.note import MAX_NOTE_BYTES, parse_note
from shared.ledger.text import decode_decimal, decode_hash, encode_base64

MAX_PROOF_LINES = 63
MAX_REQUEST_BYTES = MAX_NOTE_BYTES + 4_096
"""A note, 63 hashes in base64, and the line before them."""

_OLD = "old "


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCheckpoint:
    """A request; nothing about it is verified.

    Attributes:
        old_size: entries of the checkpoint the witness is said to have cosigned last, 0 for none.
        proof: consistency proof from there, as RFC 9162 2.1.4.1 has it.
        note: the checkpoint note.
    """

    old_size: int
    proof: tuple[Hash, ...]
    note: bytes

    def encode(self) -> bytes:
        """Return the body of the request; raise `EncodeError` if a value does not fit."""
        if not 0 <= self.old_size <= MAX_TREE_SIZE:
            raise EncodeError("add_checkpoint.old", f"{self.old_size} is no tree size")
        if len(self.proof) > MAX_PROOF_LINES or any(len(h) != HASH_BYTES for h in self.proof):
            raise EncodeError("add_checkpoint.proof", f"more than {MAX_PROOF_LINES} hashes, or one that has not 32 bytes")
        lines = (f"{_OLD}{self.old_size}", *map(encode_base64, self.proof))
        return ("\n".join(lines) + "\n\n").encode() + self.note


def parse_add_checkpoint(data: bytes) -> AddCheckpoint:
    """Parse the body of a request; raise `DecodeError` unless it is canonical and its checkpoint is a well-formed note."""
    if len(data) > MAX_REQUEST_BYTES:
        raise DecodeError("add_checkpoint", f"{len(data)} bytes; at most {MAX_REQUEST_BYTES} are read")
    head, blank, note = bytes(data).partition(b"\n\n")
    if not blank:
        raise DecodeError("add_checkpoint", "no blank line before the checkpoint")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise DecodeError("add_checkpoint", "not ASCII before the checkpoint") from None
    if not first.startswith(_OLD):
        raise DecodeError("add_checkpoint.old", "the first line does not say which checkpoint came before")
    old_size = decode_decimal(first.removeprefix(_OLD), "add_checkpoint.old")
    if len(lines) > MAX_PROOF_LINES:
        raise DecodeError("add_checkpoint.proof", f"{len(lines)} hashes; at most {MAX_PROOF_LINES} are read")
    proof = tuple(decode_hash(line, f"add_checkpoint.proof[{n}]") for n, line in enumerate(lines))
    parse_note(note)
    return AddCheckpoint(old_size=old_size, proof=proof, note=note)
