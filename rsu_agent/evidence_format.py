"""The file of a unit's evidence: its tables, and what is in their rows; what is done with them is `evidence_store`'s."""

from dataclasses import dataclass
from enum import IntEnum

from shared.records.evidence_record import BatchStatement, EvidenceKind, EvidenceRecord
from shared.service.database import DatabaseFormat

STORE_FORMAT = DatabaseFormat(
    name="store of evidence",
    application_id=0x7632_7865,  # "v2xe"
    version=1,
    schema="""
        CREATE TABLE record (
            id INTEGER PRIMARY KEY, kind TEXT NOT NULL, word TEXT NOT NULL, utc_us INTEGER, entry BLOB NOT NULL
        );
        CREATE INDEX record_by_time ON record (kind, word, utc_us);
        CREATE TABLE other (id INTEGER PRIMARY KEY, entry BLOB NOT NULL);
        CREATE TABLE batch (
            number INTEGER PRIMARY KEY,
            first INTEGER NOT NULL UNIQUE,
            size INTEGER NOT NULL,
            of_others INTEGER NOT NULL,
            closed_us INTEGER,
            statement BLOB NOT NULL,
            commitment BLOB NOT NULL UNIQUE,
            state INTEGER NOT NULL,
            log_index INTEGER,
            proof BLOB
        );
        CREATE INDEX batch_by_state ON batch (state, number);
        CREATE INDEX batch_of_others ON batch (number, of_others) WHERE of_others > 0;
        CREATE TABLE certificate (id BLOB PRIMARY KEY, octets BLOB NOT NULL);
        CREATE TABLE run (id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL);
        CREATE TABLE trusted (id INTEGER PRIMARY KEY CHECK (id = 1), note BLOB NOT NULL);
        CREATE TABLE contradiction (
            id INTEGER PRIMARY KEY, detail TEXT NOT NULL, trusted_note BLOB NOT NULL, conflicting_note BLOB NOT NULL
        )
    """,
)


OF_OTHERS = frozenset((EvidenceKind.REFUSED, EvidenceKind.NOTED))
"""What others can make a unit write: it has room of its own, so it takes none from what the unit said. In table `record` stands the
leaf hash of such a record, which its neighbours' proofs need, and its octets stand in table `other`, as long as there is room."""


class BatchState(IntEnum):
    """How far a batch has come."""

    PENDING = 0
    """Closed; the ledger has not been asked."""
    SUBMITTED = 1
    """About to be sent, or sent: the ledger may have it."""
    SEQUENCED = 2
    """The ledger says it has it, at an index."""
    PROVEN = 3
    """The proof is stored; the quorum of the policy was met."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """A record as it is stored: its number from 0, and what it is found by."""

    id: int
    record: EvidenceRecord
    entry: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBatch:
    """A batch as it is stored; `log_index` and `proof` (tlog-proof text) are None until known."""

    statement: BatchStatement
    encoded: bytes
    commitment: bytes
    state: BatchState
    log_index: int | None
    proof: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A record that was looked for: its number, its moment in microseconds since 1970, and its octets."""

    id: int
    utc_us: int | None
    entry: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """What left the store: batches, the records in them, and how many of the batches had no proof yet."""

    batches: int = 0
    records: int = 0
    unproven: int = 0
