"""Checkpoints: the text of a note that says how large a log is and what its root hash is (C2SP tlog-checkpoint).

    example.com/log
    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

Strict and canonical: what parses encodes to the same bytes. Extension lines are kept but mean nothing. Signatures are the note's
business, trust is `shared.ledger.verify`'s.
"""

import re
from binascii import a2b_base64

from shared.core.errors import DecodeError, EncodeError
from shared.core.value import Value
from shared.ledger.merkle import EMPTY_ROOT, HASH_BYTES, MAX_TREE_SIZE, Hash
from shared.ledger.text import decode_decimal, decode_hash, encode_base64

MAX_CHECKPOINT_BYTES = 4_096
MAX_EXTENSION_LINES = 16

_PLAIN = re.compile(rb"([ -~]{1,255})\n([1-9][0-9]{0,17})\n([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)\n")
"""A checkpoint of a log that is not empty, without extensions: three lines that have one spelling."""


class Checkpoint(Value):
    """A log's tree head.

    Attributes:
        origin: the log's identity, one line.
        tree_size: number of entries, 0 to 2^63 - 1.
        root: RFC 6962 root hash at that size, 32 bytes.
        extensions: opaque further lines.
    """

    origin: str
    tree_size: int
    root: Hash
    extensions: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """Return the note text; raise `EncodeError` if a value does not fit."""
        if not 0 <= self.tree_size <= MAX_TREE_SIZE:
            raise EncodeError("checkpoint.tree_size", f"{self.tree_size} is no tree size")
        if len(self.root) != HASH_BYTES:
            raise EncodeError("checkpoint.root", f"a root hash has 32 bytes, not {len(self.root)}")
        lines = (self.origin, str(self.tree_size), encode_base64(self.root), *self.extensions)
        if any(not line or "\n" in line for line in lines):
            raise EncodeError("checkpoint", "a line is empty or contains a newline")
        return ("\n".join(lines) + "\n").encode()


def parse_checkpoint(body: bytes) -> Checkpoint:
    """Parse the text of a note as a checkpoint; raise `DecodeError` unless it is canonical."""
    plain = _PLAIN.fullmatch(body)
    if plain is not None:
        return Checkpoint(origin=plain[1].decode(), tree_size=int(plain[2]), root=Hash(a2b_base64(plain[3])))
    if len(body) > MAX_CHECKPOINT_BYTES:
        raise DecodeError("checkpoint", f"{len(body)} bytes; at most {MAX_CHECKPOINT_BYTES} are read")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise DecodeError("checkpoint", "not UTF-8") from None
    lines = text.split("\n")
    if lines.pop():
        raise DecodeError("checkpoint", "no final newline")
    if not 3 <= len(lines) <= 3 + MAX_EXTENSION_LINES:
        raise DecodeError("checkpoint", f"{len(lines)} lines; 3 to {3 + MAX_EXTENSION_LINES} are read")
    if not all(lines):
        raise DecodeError("checkpoint", "an empty line")
    checkpoint = Checkpoint(
        origin=lines[0],
        tree_size=decode_decimal(lines[1], "checkpoint.tree_size"),
        root=decode_hash(lines[2], "checkpoint.root"),
        extensions=tuple(lines[3:]),
    )
    if checkpoint.tree_size == 0 and checkpoint.root != EMPTY_ROOT:
        raise DecodeError("checkpoint.root", "an empty tree with a root that is not the empty tree's")
    return checkpoint
