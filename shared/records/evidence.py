"""Evidence in a file: what a roadside unit said at a moment, with all that is needed to check it years later, offline.

    {"format": "v2x-evidence/1",
     "at": UTC, "group": signal group or null,
     "certificates": [base64url, ...],                      tickets and the authorities above them; the root is not among them
     "batches": [{"statement": text, "proof": tlog-proof@v1}, ...],
     "records": [{"batch": n, "position": n, "record": base64url, "path": [base64url, ...]}, ...],
     "digest": base64url}

`at` and `group` are the question, which nobody vouches for; the answer comes from the records. The file has exactly one spelling,
and `digest` is the SHA-256 of all of it but that line, so that a file damaged anywhere is noticed; it proves nothing, for whoever
forges a file writes another. What proves is checked by `verify_evidence`: that the ledger holds each batch's statement, that its
checkpoint is signed and witnessed as the policy asks, and that each record is in the tree the statement names. Signatures of
packets, and the certificates behind them, are the caller's (this layer knows no certificates).
"""

from dataclasses import InitVar, dataclass
from hashlib import sha256

from shared.core.clock import NS_PER_S, NS_PER_US, UtcNs
from shared.core.errors import DecodeError, EncodeError, ProofError, RecordError
from shared.core.itstime import utc_from_text, utc_text
from shared.ledger.cosignature import find_cosignature
from shared.ledger.merkle import HASH_BYTES, MAX_PROOF_HASHES, leaf_hash, verify_inclusion
from shared.ledger.policy import Policy
from shared.ledger.proof import TlogProof, parse_proof, verify_proof
from shared.ledger.verify import QuorumError
from shared.records.credential import MAX_CERTIFICATE_BYTES
from shared.records.evidence_record import (
    BatchStatement,
    EvidenceRecord,
    commitment_of_batch,
    decode_record,
    decode_statement,
)
from shared.records.sd_jwt import decode_base64url, encode_base64url
from shared.records.strict_json import Json, encode_json_lines, parse_json

EVIDENCE_FORMAT = "v2x-evidence/1"
_FRONT = f'{{\n "format": "{EVIDENCE_FORMAT}",\n'.encode()

MAX_EVIDENCE_BYTES = 4 * 1024 * 1024
MAX_EVIDENCE_RECORDS = 256
MAX_EVIDENCE_CERTIFICATES = 32
MAX_GROUP = 255

CLOCK_TOLERANCE_US = 120 * 1_000_000
"""How far a witness's clock may be behind the unit's: a batch cannot have been seen before it was closed."""

_SEAL = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenBatch:
    """A batch's statement, as octets, with the ledger's proof; nothing about it is verified."""

    statement: bytes
    proof: TlogProof


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidencePiece:
    """One record with its place; nothing about it is verified.

    Attributes:
        batch: which of the file's batches it is in, from 0.
        position: its place in that batch.
        entry: the record's octets.
        path: hashes from the record up to the batch's root.
    """

    batch: int
    position: int
    entry: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A parsed file; nothing about it is verified.

    Attributes:
        at: the moment asked about, whole milliseconds.
        group: the signal group asked about; None for all.
        certificates: tickets and authorities, encoded.
        batches: those the records are in, in order of their first record here.
        pieces: the records.
    """

    at: UtcNs
    group: int | None
    certificates: tuple[bytes, ...]
    batches: tuple[ProvenBatch, ...]
    pieces: tuple[EvidencePiece, ...]

    def encode(self) -> bytes:
        """Return the file; raise `EncodeError` if it would not be read back."""
        encoded = self._spelled()
        try:
            parsed = parse_evidence(encoded)
        except RecordError as error:
            raise EncodeError("evidence", error.reason) from None
        if parsed != self:
            raise EncodeError("evidence", "does not survive its own encoding")
        return encoded

    def _spelled(self) -> bytes:
        value: dict[str, Json] = {
            "format": EVIDENCE_FORMAT,
            "at": utc_text(self.at),
            "group": self.group,
            "certificates": [encode_base64url(each) for each in self.certificates],
            "batches": [
                {"statement": each.statement.decode("utf-8", "replace"), "proof": each.proof.encode().decode()}
                for each in self.batches
            ],
            "records": [
                {
                    "batch": each.batch,
                    "position": each.position,
                    "record": encode_base64url(each.entry),
                    "path": [encode_base64url(node) for node in each.path],
                }
                for each in self.pieces
            ],
        }
        value["digest"] = encode_base64url(sha256(encode_json_lines(value).encode()).digest())
        return encode_json_lines(value).encode()


def is_evidence(data: bytes) -> bool:
    """Say whether a file begins as evidence does; nothing else is looked at."""
    return data.startswith(_FRONT)


def parse_evidence(data: bytes) -> Evidence:
    """Parse a file of evidence.

    Raises:
        RecordError: `format`: it is none, not the one spelling of one, or damaged; the sentence says where.
    """
    try:
        match parse_json(data, "the file", MAX_EVIDENCE_BYTES):
            case {
                "format": str(fmt),
                "at": str(at),
                "group": (int() | None) as group,
                "certificates": list(certificates),
                "batches": list(batches),
                "records": list(records),
                "digest": str(),
                **rest,
            } if not rest and fmt == EVIDENCE_FORMAT:
                evidence = Evidence(
                    at=_moment(at),
                    group=_group(group),
                    certificates=_certificates(certificates),
                    batches=tuple(_batch(item, n) for n, item in enumerate(_bounded(batches, "batches"))),
                    pieces=tuple(_piece(item, n) for n, item in enumerate(_bounded(records, "records"))),
                )
            case _:
                raise RecordError("format", f"this is no evidence of the form {EVIDENCE_FORMAT}")
        spelled = evidence._spelled()  # noqa: SLF001 - the class's own other half
    except (DecodeError, EncodeError) as error:
        raise RecordError("format", f"the evidence cannot be read: {error}") from None
    if spelled != data:
        raise RecordError("format", "the evidence is not what was written: the file was damaged or altered")
    _check_places(evidence)
    return evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A witness of the policy, and when it saw the ledger hold a batch, POSIX seconds; 0 where it says no time."""

    witness: str
    timestamp_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBatch:
    """A batch that the ledger holds.

    Attributes:
        statement: what the unit stated.
        log: origin of the ledger.
        log_index: where.
        sightings: the witnesses that cosigned, in the policy's order.
    """

    statement: BatchStatement
    log: str
    log_index: int
    sightings: tuple[Sighting, ...]

    @property
    def seen_by(self) -> UtcNs | None:
        """By when one of the witnesses had seen it; None where none says."""
        times = [each.timestamp_s for each in self.sightings if each.timestamp_s]
        return UtcNs(min(times) * NS_PER_S) if times else None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRecord:
    """A record that the ledger holds: what it says, its place, and its batch."""

    record: EvidenceRecord
    position: int
    batch: HeldBatch

    @property
    def number(self) -> int:
        """Its number among all records of the unit."""
        return self.batch.statement.first + self.position


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldEvidence:
    """Records that a ledger is shown to hold; only `verify_evidence` makes one. Who signed the packets is not known yet."""

    at: UtcNs
    group: int | None
    records: tuple[HeldRecord, ...]
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only verify_evidence makes a HeldEvidence")


def verify_evidence(evidence: Evidence, *, policy: Policy) -> HeldEvidence:
    """Check that a ledger holds every record of a file, offline.

    Raises:
        RecordError: the check that failed (`empty`, `ledger`, `witnesses`, `batch`, `time`, `format`), on which record, and what
            that means.
    """
    if not evidence.pieces:
        raise RecordError("empty", "the file holds no record; it proves nothing")
    _check_places(evidence)
    batches = [_held(each, f"batch {n} of {len(evidence.batches)}", policy) for n, each in enumerate(evidence.batches, 1)]
    if len({each.statement.station_id for each in batches}) != 1:
        raise RecordError("batch", "the batches are of more than one roadside unit")
    records = []
    for number, piece in enumerate(evidence.pieces, 1):
        where = f"record {number} of {len(evidence.pieces)}"
        batch = batches[piece.batch]
        statement = batch.statement
        try:
            verify_inclusion(leaf_hash(piece.entry), piece.position, statement.size, piece.path, statement.root)
            record = decode_record(piece.entry)
        except ProofError as error:
            raise RecordError("batch", f"{where} is not what the unit wrote down then: {error}") from None
        except DecodeError as error:
            raise RecordError("format", f"{where} cannot be read: {error}") from None
        seen = batch.seen_by
        if seen is not None and record.utc_us is not None and record.utc_us > seen // NS_PER_US + CLOCK_TOLERANCE_US:
            raise RecordError("time", f"{where} is dated {utc_text(UtcNs(record.utc_us * NS_PER_US))}, after a witness had seen it")
        records.append(HeldRecord(record=record, position=piece.position, batch=batch))
    return HeldEvidence(at=evidence.at, group=evidence.group, records=tuple(records), seal=_SEAL)


def _held(batch: ProvenBatch, where: str, policy: Policy) -> HeldBatch:
    try:
        statement = decode_statement(batch.statement)
        included = verify_proof(batch.proof, commitment_of_batch(batch.statement), policy)
        sightings = []
        for witness in policy.witnesses:
            if witness.name in included.trusted.witnesses:
                found = find_cosignature(batch.proof.signed_note, witness.key)
                sightings.append(Sighting(witness=witness.name, timestamp_s=0 if found is None else found.timestamp_s))
    except QuorumError as error:
        raise RecordError("witnesses", f"{where}: not enough witnesses have seen the ledger: {error}") from None
    except ProofError as error:
        raise RecordError("ledger", f"{where}: the ledger is not shown to hold it: {error}") from None
    except DecodeError as error:
        raise RecordError("ledger", f"{where} cannot be read: {error}") from None
    origin = included.trusted.checkpoint.origin
    return HeldBatch(statement=statement, log=origin, log_index=included.index, sightings=tuple(sightings))


def _check_places(evidence: Evidence) -> None:
    """Refuse records out of order or twice, and batches that are not in the order of their records, or hold none of them."""
    used = list(dict.fromkeys(piece.batch for piece in evidence.pieces))
    if used != list(range(len(evidence.batches))):
        raise RecordError("format", "the batches are not those of the records, in their order: the file was edited")
    places = [(piece.batch, piece.position) for piece in evidence.pieces]
    if places != sorted(set(places)):
        raise RecordError("format", "the records do not stand in their order, each once: the file was edited")
    if len(set(evidence.certificates)) != len(evidence.certificates):
        raise RecordError("format", "a certificate stands in the file twice")


def _bounded(items: list[Json], name: str) -> list[Json]:
    if len(items) > MAX_EVIDENCE_RECORDS:
        raise DecodeError(name, f"{len(items)}; a file holds at most {MAX_EVIDENCE_RECORDS}")
    return items


def _moment(text: str) -> UtcNs:
    try:
        return utc_from_text(text)
    except (ValueError, OverflowError):
        raise DecodeError("at", "is no moment") from None


def _group(group: int | None) -> int | None:
    if group is not None and (isinstance(group, bool) or not 0 <= group <= MAX_GROUP):
        raise DecodeError("group", f"{group} is no signal group")
    return group


def _certificates(items: list[Json]) -> tuple[bytes, ...]:
    if len(items) > MAX_EVIDENCE_CERTIFICATES:
        raise DecodeError("certificates", f"{len(items)}; a file holds at most {MAX_EVIDENCE_CERTIFICATES}")
    certificates = []
    for number, item in enumerate(items):
        field = f"certificates[{number}]"
        if not isinstance(item, str):
            raise DecodeError(field, "is no text")
        octets = decode_base64url(item, field)
        if not 1 <= len(octets) <= MAX_CERTIFICATE_BYTES:
            raise DecodeError(field, f"{len(octets)} octets are no certificate")
        certificates.append(octets)
    return tuple(certificates)


def _batch(item: Json, number: int) -> ProvenBatch:
    match item:
        case {"statement": str(statement), "proof": str(proof), **rest} if not rest:
            parsed = parse_proof(proof.encode())
            if parsed.extra is not None:
                raise DecodeError(f"batches[{number}].proof", "carries extra data, which nothing vouches for")
            return ProvenBatch(statement=statement.encode(), proof=parsed)
        case _:
            raise DecodeError(f"batches[{number}]", "is not a statement and a proof")


def _piece(item: Json, number: int) -> EvidencePiece:
    field = f"records[{number}]"
    match item:
        case {"batch": int(batch), "position": int(position), "record": str(record), "path": list(path), **rest} if not rest:
            pass
        case _:
            raise DecodeError(field, "is not a record with its place")
    if len(path) > MAX_PROOF_HASHES or min(batch, position) < 0 or isinstance(batch, bool) or isinstance(position, bool):
        raise DecodeError(field, "is at no place there can be")
    hashes = [decode_base64url(node, f"{field}.path") for node in path if isinstance(node, str)]
    if len(hashes) != len(path) or any(len(node) != HASH_BYTES for node in hashes):
        raise DecodeError(f"{field}.path", "holds something that is no SHA-256 hash")
    entry = decode_base64url(record, f"{field}.record")
    return EvidencePiece(batch=batch, position=position, entry=entry, path=tuple(hashes))
