"""The vehicle's own store of records: written before anything else happens to them, kept with their proofs, in one SQLite file.

Beside the records it holds the certificates they are signed under, in the order they took over, so that a passport can be made
years after a credential was renewed; and what their anchoring needs to go on after a power cut: the state of each record, the
checkpoint trusted last, and the evidence of a log that contradicted itself. States move forward only, and every move is harmless
when repeated.

A damaged file is refused and left alone; `shared.service.spool_recovery`, on a person's word, goes on from what can still be read.
A full spool refuses to record; nothing is ever dropped to make room.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from shared.core.errors import EncodeError, RecordError, SplitViewError, StorageError
from shared.records.credential import MAX_CREDENTIALS, VehicleCredential
from shared.records.record import SignedRecord
from shared.records.recorder import RecordHead
from shared.service.database import (
    Connect,
    DatabaseFormat,
    blob,
    connect_sqlite,
    create_database,
    open_database,
    storage_errors,
    transaction,
)

DEFAULT_CAPACITY = 250_000
"""Records: more than twenty years at thirty a day, about 1 GB."""

MAX_EVIDENCE = 16
"""Contradictions kept; the first ones are those that matter."""

SPOOL_FORMAT = DatabaseFormat(
    name="v2x-trust record spool",
    application_id=0x7632_7873,  # "v2xs"
    version=2,
    schema="""
        CREATE TABLE record (
            seq INTEGER PRIMARY KEY,
            commitment BLOB NOT NULL UNIQUE,
            odometer_m INTEGER NOT NULL,
            sd_jwt TEXT NOT NULL,
            salt BLOB NOT NULL,
            state INTEGER NOT NULL,
            log_index INTEGER,
            proof BLOB
        );
        CREATE INDEX record_by_state ON record (state, seq);
        CREATE TABLE credential (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            certificate BLOB NOT NULL,
            authority BLOB NOT NULL
        );
        CREATE TABLE trusted (id INTEGER PRIMARY KEY CHECK (id = 1), note BLOB NOT NULL);
        CREATE TABLE resumed (id INTEGER PRIMARY KEY CHECK (id = 1), after_seq INTEGER NOT NULL);
        CREATE TABLE evidence (
            id INTEGER PRIMARY KEY,
            detail TEXT NOT NULL,
            trusted_note BLOB NOT NULL,
            conflicting_note BLOB NOT NULL,
            acknowledged INTEGER NOT NULL DEFAULT 0
        )
    """,
)


class AnchorState(IntEnum):
    """How far a record has come."""

    PENDING = 0
    """Stored; the log has not been asked."""
    SUBMITTED = 1
    """About to be sent, or sent: the log may have it."""
    SEQUENCED = 2
    """The log says it has it, at an index."""
    INCLUDED = 3
    """Proven under a policy that asks for no witness; the proof is stored."""
    WITNESSED = 4
    """Proven, and a quorum of witnesses has cosigned the checkpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecord:
    """A record as it lies in the spool; `log_index` and `proof` (tlog-proof text) are None until known."""

    seq: int
    commitment: bytes
    odometer_m: int
    sd_jwt: str
    salt: bytes
    state: AnchorState
    log_index: int | None
    proof: bytes | None


CREDENTIALS = "SELECT id, certificate, authority FROM credential ORDER BY number"
INSERT_CREDENTIAL = "INSERT INTO credential (id, certificate, authority) VALUES (?, ?, ?)"
COLUMNS = "seq, commitment, odometer_m, sd_jwt, salt, state, log_index, proof"
Row = tuple[object, ...]


def stored_record(path: Path, row: Row) -> StoredRecord:
    """Return a row of `COLUMNS` as a record; raise `StorageError` if it cannot be one."""
    match row:
        case (
            int(seq),
            bytes(commitment),
            int(odometer_m),
            str(sd_jwt),
            bytes(salt),
            int(state),
            (int() | None) as log_index,
            (bytes() | None) as proof,
        ) if 0 <= state <= AnchorState.WITNESSED:
            return StoredRecord(
                seq=seq,
                commitment=commitment,
                odometer_m=odometer_m,
                sd_jwt=sd_jwt,
                salt=salt,
                state=AnchorState(state),
                log_index=log_index,
                proof=proof,
            )
        case _:
            raise StorageError(str(path), "is damaged: a record is not what it should be")


def stored_credential(path: Path, row: Row) -> VehicleCredential:
    """Return a row (id, certificate, authority) as a credential; raise `StorageError` if it cannot be one."""
    try:
        credential = VehicleCredential(certificate=blob(path, row[1]), authority=blob(path, row[2]))
    except EncodeError as error:
        raise StorageError(str(path), f"is damaged: {error}") from None
    if credential.id != row[0]:
        raise StorageError(str(path), "is damaged: a credential is not what it should be")
    return credential


class Spool:
    """Records and their anchoring in a file; make one with `open_spool`.

    Args:
        path: the file, for error messages.
        connection: open, checked.
        capacity: records it holds at most.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, capacity: int) -> None:
        self._path = path
        self._connection = connection
        self._capacity = capacity

    def head(self) -> RecordHead | None:
        """Return where the vehicle's sequence stands, None before the first record."""
        with storage_errors(self._path):
            row = self._connection.execute(
                "SELECT seq, commitment, odometer_m, EXISTS (SELECT 1 FROM resumed WHERE after_seq = seq)"
                " FROM record ORDER BY seq DESC LIMIT 1"
            ).fetchone()
        if row is None:
            return None
        return RecordHead(seq=row[0], commitment=blob(self._path, row[1]), odometer_m=row[2], resumed=bool(row[3]))

    def credentials(self) -> tuple[VehicleCredential, ...]:
        """Return every credential of the vehicle in the order they took over; the last one signs the next record."""
        with storage_errors(self._path):
            rows: list[Row] = self._connection.execute(CREDENTIALS).fetchall()
        return tuple(stored_credential(self._path, row) for row in rows)

    def append(self, record: SignedRecord) -> None:
        """Store the next record of the sequence; when this returns it survives a power cut.

        Its credential, and the one it hands over to, are kept in the same transaction if they are new.

        Raises:
            RecordError: it does not follow the last one, or its credential has handed over to another.
            StorageError: it could not be stored, or the spool is full.
        """
        head = self.head()
        stated = record.record
        expected = (0, None) if head is None else (head.seq + 1, head.commitment)
        if (stated.seq, stated.prev) != expected:
            raise RecordError("sequence", f"record {stated.seq} does not follow the last one; number {expected[0]} is next")
        if stated.seq >= self._capacity:
            raise StorageError(str(self._path), f"the spool is full: {self._capacity} records")
        new = self._new_credentials(record)
        values = (stated.seq, record.commitment, stated.odometer_m, record.sd_jwt, record.salt, AnchorState.PENDING.value)
        with storage_errors(self._path), transaction(self._connection):
            for credential in new:
                self._connection.execute(INSERT_CREDENTIAL, (credential.id, credential.certificate, credential.authority))
            self._connection.execute(
                "INSERT INTO record (seq, commitment, odometer_m, sd_jwt, salt, state) VALUES (?, ?, ?, ?, ?, ?)", values
            )

    def records(self) -> Iterator[StoredRecord]:
        """Yield all records in order."""
        yield from self._select("ORDER BY seq")

    def unproven(self, limit: int) -> tuple[StoredRecord, ...]:
        """Return the oldest records that have no proof yet, at most `limit`."""
        return tuple(self._select("WHERE state < ? ORDER BY seq LIMIT ?", AnchorState.INCLUDED.value, limit))

    def counts(self) -> dict[AnchorState, int]:
        """Return how many records are in each state."""
        with storage_errors(self._path):
            rows = self._connection.execute("SELECT state, count(*) FROM record GROUP BY state").fetchall()
        return dict.fromkeys(AnchorState, 0) | {AnchorState(state): count for state, count in rows}

    def mark_submitted(self, commitment: bytes) -> None:
        """PENDING -> SUBMITTED: the log is about to be asked."""
        self._move(commitment, AnchorState.SUBMITTED, "state <= ?", AnchorState.SUBMITTED, None)

    def mark_sequenced(self, commitment: bytes, log_index: int) -> None:
        """-> SEQUENCED: the log gave this index."""
        self._move(commitment, AnchorState.SEQUENCED, "state <= ?", AnchorState.SEQUENCED, log_index)

    def mark_refuted(self, commitment: bytes) -> None:
        """SEQUENCED -> PENDING: the log holds something else at the index it gave; it is to be asked again."""
        self._move(commitment, AnchorState.PENDING, "state = ?", AnchorState.SEQUENCED, None)

    def store_proof(self, commitment: bytes, *, log_index: int, proof: bytes, is_witnessed: bool) -> None:
        """-> INCLUDED or WITNESSED, with the proof; a witnessed proof is not replaced by a lesser one."""
        state = AnchorState.WITNESSED if is_witnessed else AnchorState.INCLUDED
        with storage_errors(self._path), transaction(self._connection):
            self._connection.execute(
                "UPDATE record SET state = ?, log_index = ?, proof = ? WHERE commitment = ? AND state <= ?",
                (state.value, log_index, proof, commitment, state.value),
            )

    def trusted_note(self) -> bytes | None:
        """Return the checkpoint note trusted last."""
        with storage_errors(self._path):
            row = self._connection.execute("SELECT note FROM trusted").fetchone()
        return None if row is None else blob(self._path, row[0])

    def set_trusted_note(self, note: bytes, *, expected: bytes | None) -> None:
        """Move trust from the note `expected` to `note`, only if it still stands there.

        Raises:
            StorageError: it stands elsewhere (another program uses this spool), or it could not be written.
        """
        with storage_errors(self._path), transaction(self._connection):
            row = self._connection.execute("SELECT note FROM trusted").fetchone()
            if (None if row is None else blob(self._path, row[0])) != expected:
                raise StorageError(str(self._path), "another program moved the trusted checkpoint at the same time")
            self._connection.execute("INSERT OR REPLACE INTO trusted (id, note) VALUES (1, ?)", (note,))

    def store_evidence(self, contradiction: SplitViewError) -> None:
        """Keep both notes of a contradiction; storing the same one twice changes nothing."""
        values = (str(contradiction), contradiction.trusted_note, contradiction.conflicting_note)
        with storage_errors(self._path), transaction(self._connection):
            self._connection.execute(
                "INSERT INTO evidence (detail, trusted_note, conflicting_note) SELECT ?, ?, ?"
                " WHERE NOT EXISTS (SELECT 1 FROM evidence WHERE trusted_note = ? AND conflicting_note = ?)"
                " AND (SELECT count(*) FROM evidence) < ?",
                (*values, *values[1:], MAX_EVIDENCE),
            )

    def evidence(self) -> tuple[SplitViewError, ...]:
        """Return the contradictions that nobody has acknowledged; anchoring does not go on while there is one."""
        with storage_errors(self._path):
            rows = self._connection.execute(
                "SELECT detail, trusted_note, conflicting_note FROM evidence WHERE NOT acknowledged ORDER BY id"
            ).fetchall()
        return tuple(
            SplitViewError(str(detail), blob(self._path, trusted), blob(self._path, conflicting))
            for detail, trusted, conflicting in rows
        )

    def acknowledge_evidence(self) -> None:
        """A person has looked at the evidence: keep it, and let anchoring go on from the trusted checkpoint.

        Indexes without a proof may be those of the false history: these records are PENDING again.
        """
        with storage_errors(self._path), transaction(self._connection):
            self._connection.execute("UPDATE evidence SET acknowledged = 1")
            self._connection.execute(
                "UPDATE record SET state = ?, log_index = NULL WHERE state < ?",
                (AnchorState.PENDING.value, AnchorState.INCLUDED.value),
            )

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _new_credentials(self, record: SignedRecord) -> list[VehicleCredential]:
        """Return those of a record that are not kept yet."""
        kept = [credential.id for credential in self.credentials()]
        if record.credential.id in kept[:-1]:
            raise RecordError("credential", "the credential of this record has handed over to another")
        involved = (record.credential,) if record.record.successor is None else (record.credential, record.record.successor)
        new = [credential for credential in involved if credential.id not in kept]
        if len(kept) + len(new) > MAX_CREDENTIALS:
            raise StorageError(str(self._path), f"the spool is full: {MAX_CREDENTIALS} credentials")
        return new

    def _select(self, clause: str, *values: int) -> Iterator[StoredRecord]:
        with storage_errors(self._path):
            rows: list[Row] = self._connection.execute(f"SELECT {COLUMNS} FROM record {clause}", values).fetchall()  # noqa: S608 - constants of this file
        return (stored_record(self._path, row) for row in rows)

    def _move(self, commitment: bytes, to: AnchorState, condition: str, bound: AnchorState, log_index: int | None) -> None:
        with storage_errors(self._path), transaction(self._connection):
            self._connection.execute(
                f"UPDATE record SET state = ?, log_index = ? WHERE commitment = ? AND {condition}",  # noqa: S608 - constants of this file
                (to.value, log_index, commitment, bound.value),
            )


def open_spool(path: Path, *, capacity: int = DEFAULT_CAPACITY, connect: Connect = connect_sqlite) -> Spool:
    """Open a spool, or make an empty one if there is no such file.

    Raises:
        StorageError: the file is cut short, damaged or foreign; it is left as it is (see `spool_recovery`).
    """
    if not path.exists():
        create_database(path, SPOOL_FORMAT, connect)
    return Spool(path, open_database(path, SPOOL_FORMAT, connect), capacity)
