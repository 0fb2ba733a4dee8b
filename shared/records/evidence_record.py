"""What a roadside unit writes down of what it said and refused, and the batches that go into a ledger.

    record     one line of JSON, a line feed, and the packet as it was on the air (or nothing)
    batch      the records of about a minute: a Merkle tree (RFC 6962) over them, whose root stands in a statement
    statement  one line of JSON; the ledger holds its SHA-256 and nothing else

Each record has a salt, so that a proof about one tells nothing of its neighbours in the tree, and the ledger nothing of any. A
record counts those of its kind since the unit began to write (`run`): two that follow each other by number had, by the unit's own
account, nothing between them. A statement names the one before it. A statement is not signed: what was sent bears the unit's
signature, and of all else it says what whoever writes into the ledger under that log's rules held at that time.

Left out: who signed the packets (`shared.cli.evidence`), and where records are kept.
"""

from dataclasses import dataclass
from enum import Enum
from hashlib import sha256

from shared.core.clock import NS_PER_US, UtcNs
from shared.core.errors import DecodeError, EncodeError, RecordError
from shared.ledger.merkle import HASH_BYTES, Hash, Node, inclusion_proof, node_hash, tree_root
from shared.records.sd_jwt import decode_base64url, encode_base64url
from shared.records.strict_json import MAX_SAFE_INTEGER, Json, encode_json, parse_json

RECORD_FORMAT = "v2x-evidence-record/1"
BATCH_FORMAT = "v2x-evidence-batch/1"

SALT_BYTES = 16

MAX_DETAIL_CHARACTERS = 4_000
"""Of what a record says in words or JSON; what is longer is cut by whoever writes it."""

MAX_RECORD_BYTES = 16_384
"""A packet has at most some 2,300 octets, a detail of letters of four octets each 16,000."""

MAX_STATEMENT_BYTES = 1_024

MAX_BATCH_RECORDS = 1 << 14
"""Records of one batch: ten lights a second and all else that is kept of a minute fit in many times."""

MAX_STATION_ID = 0xFFFFFFFF


class EvidenceKind(Enum):
    """What a record is about."""

    SENT = "sent"
    """A packet of the unit's own, as it went out; its word is the kind of message."""
    REFUSED = "refused"
    """A packet that was not believed; its word is the reason's code."""
    NOTED = "noted"
    """What the unit told its operator; its word is the notice's kind, its detail the fields."""
    COUNTED = "counted"
    """How many of what there were in a minute, also of what was too much to keep; its detail is JSON."""


_KINDS = {kind.value: kind for kind in EvidenceKind}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRecord:
    """One record.

    Attributes:
        kind: what it is about.
        word: a stable lower-case word that says it more closely.
        run: how often the unit had begun to write, from 1.
        number: how many of this kind and word there were before in this run, kept or not.
        utc_us: when, in microseconds since 1970: of a packet sent, its signed generation time; None while UTC was not known.
        salt: random octets.
        detail: a sentence, or JSON.
        packet: from the Basic Header on; empty where there is none.
    """

    kind: EvidenceKind
    word: str
    run: int
    number: int
    utc_us: int | None
    salt: bytes
    detail: str = ""
    packet: bytes = b""

    @property
    def utc(self) -> UtcNs | None:
        """When, in nanoseconds."""
        return None if self.utc_us is None else UtcNs(self.utc_us * NS_PER_US)

    def encode(self) -> bytes:
        """Return the octets, which are a leaf of the batch's tree; raise `EncodeError` for what would not be read back."""
        head: Json = {
            "format": RECORD_FORMAT,
            "kind": self.kind.value,
            "word": self.word,
            "run": self.run,
            "number": self.number,
            "utc_us": self.utc_us,
            "salt": encode_base64url(self.salt),
            "detail": self.detail,
        }
        encoded = encode_json(head).encode() + b"\n" + self.packet
        try:
            decode_record(encoded)
        except DecodeError as error:
            raise EncodeError(error.field, error.reason) from None
        return encoded


def decode_record(data: bytes) -> EvidenceRecord:
    """Read a record; raise `DecodeError` unless it is spelled the one way a record is."""
    if len(data) > MAX_RECORD_BYTES:
        raise DecodeError("record", f"{len(data)} octets; a record has at most {MAX_RECORD_BYTES}")
    line, _, packet = bytes(data).partition(b"\n")
    match parse_json(line, "record", MAX_RECORD_BYTES):
        case {
            "format": str(fmt),
            "kind": str(kind),
            "word": str(word),
            "run": int(run),
            "number": int(number),
            "utc_us": (int() | None) as utc_us,
            "salt": str(salt),
            "detail": str(detail),
            **rest,
        } as head if fmt == RECORD_FORMAT and kind in _KINDS and not rest:
            pass
        case _:
            raise DecodeError("record", f"this is no record of the form {RECORD_FORMAT}")
    for name, value in (("run", run), ("number", number), ("utc_us", utc_us)):
        if value is not None and (isinstance(value, bool) or not 0 <= value <= MAX_SAFE_INTEGER):
            raise DecodeError(f"record.{name}", f"{value} cannot be")
    if len(detail) > MAX_DETAIL_CHARACTERS or not word:
        raise DecodeError("record.detail", f"no word, or more than {MAX_DETAIL_CHARACTERS} characters")
    octets = decode_base64url(salt, "record.salt")
    if len(octets) != SALT_BYTES:
        raise DecodeError("record.salt", f"{len(octets)} octets, not {SALT_BYTES}")
    if encode_json(head).encode() != line or b"\n" not in data:
        raise DecodeError("record", "is not spelled the one way a record is")
    return EvidenceRecord(
        kind=_KINDS[kind], word=word, run=run, number=number, utc_us=utc_us, salt=octets, detail=detail, packet=packet
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchStatement:
    """What the ledger is given of a batch, as a hash.

    Attributes:
        station_id: the unit.
        number: of the batch, from 0.
        previous: commitment of the batch before; None for the first.
        first: number of the first record, counted from 0 over all batches.
        size: records in it, at least 1.
        root: of the Merkle tree over the records.
        closed_us: when it was closed, microseconds since 1970; None while UTC was not known.
    """

    station_id: int
    number: int
    previous: bytes | None
    first: int
    size: int
    root: bytes
    closed_us: int | None

    def encode(self) -> bytes:
        """Return the octets; raise `EncodeError` for what would not be read back."""
        encoded = encode_json(
            {
                "format": BATCH_FORMAT,
                "station_id": self.station_id,
                "number": self.number,
                "previous": None if self.previous is None else encode_base64url(self.previous),
                "first": self.first,
                "size": self.size,
                "root": encode_base64url(self.root),
                "closed_us": self.closed_us,
            }
        ).encode()
        try:
            decode_statement(encoded)
        except DecodeError as error:
            raise EncodeError(error.field, error.reason) from None
        return encoded


def decode_statement(data: bytes) -> BatchStatement:
    """Read a statement; raise `DecodeError` unless it is spelled the one way a statement is."""
    match parse_json(data, "batch", MAX_STATEMENT_BYTES):
        case {
            "format": str(fmt),
            "station_id": int(station_id),
            "number": int(number),
            "previous": (str() | None) as previous,
            "first": int(first),
            "size": int(size),
            "root": str(root),
            "closed_us": (int() | None) as closed_us,
            **rest,
        } as whole if fmt == BATCH_FORMAT and not rest:
            pass
        case _:
            raise DecodeError("batch", f"this is no statement of the form {BATCH_FORMAT}")
    bounds = {
        "station_id": (station_id, 0, MAX_STATION_ID),
        "number": (number, 0, MAX_SAFE_INTEGER),
        "first": (first, 0, MAX_SAFE_INTEGER),
        "size": (size, 1, MAX_BATCH_RECORDS),
        "closed_us": (closed_us, 0, MAX_SAFE_INTEGER),
    }
    for name, (value, least, most) in bounds.items():
        if value is not None and (isinstance(value, bool) or not least <= value <= most):
            raise DecodeError(f"batch.{name}", f"{value} is not within {least} to {most}")
    if encode_json(whole).encode() != data:
        raise DecodeError("batch", "is not spelled the one way a statement is")
    return BatchStatement(
        station_id=station_id,
        number=number,
        previous=None if previous is None else _hash(previous, "batch.previous"),
        first=first,
        size=size,
        root=_hash(root, "batch.root"),
        closed_us=closed_us,
    )


def commitment_of_batch(statement: bytes) -> bytes:
    """Return what goes into the ledger for a batch: the SHA-256 of its statement."""
    return sha256(statement).digest()


Placed = tuple[EvidenceRecord, BatchStatement]
"""A record, and the statement of the batch it is in."""


def check_adjoining(earlier: Placed, later: Placed) -> None:
    """Raise `RecordError` (`complete`) unless the unit wrote down nothing of a kind between two records of that kind.

    Rests on its own count. That counts anew in every run, and `run` in every file, so both records must be of one batch, or of two
    of which the later names the earlier.
    """
    (one, before), (other, after) = earlier, later
    is_joined = before == after or after.previous == commitment_of_batch(before.encode())
    what, left_out = one.word.upper(), other.number - one.number - 1
    if one.run != other.run or not is_joined:
        reason = f"between the {what} before the moment and the one after it the unit began anew or was silent for long"
    elif left_out > 0:
        reason = f"by its own account the unit said {left_out} more {what} between the two in the evidence"
    elif left_out < 0:
        reason = f"the unit said the {what} of before the moment after the other: its clock was set back"
    else:
        return
    raise RecordError("complete", f"{reason}: what it said last before the moment is not shown")


class BatchTree:
    """The Merkle tree over the records of one batch.

    Args:
        leaves: the leaf hashes of the records, in order.
    """

    def __init__(self, leaves: list[Hash]) -> None:
        self.size = len(leaves)
        self._levels: list[list[Hash]] = [leaves]
        while len(below := self._levels[-1]) > 1:
            self._levels.append([node_hash(below[n], below[n + 1]) for n in range(0, len(below) - 1, 2)])

    @property
    def root(self) -> Hash:
        """The root."""
        return tree_root(self.size, self._read)

    def path(self, position: int) -> tuple[Hash, ...]:
        """Return the hashes that lead from a record to the root; raise `ProofError` if there is none at `position`."""
        return inclusion_proof(position, self.size, self._read)

    def _read(self, node: Node) -> Hash:
        return self._levels[node.level][node.index]


def _hash(text: str, field: str) -> bytes:
    octets = decode_base64url(text, field)
    if len(octets) != HASH_BYTES:
        raise DecodeError(field, f"{len(octets)} octets are no SHA-256 hash")
    return octets
