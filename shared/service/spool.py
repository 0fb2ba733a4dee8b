"""The vehicle's own store of records: written before anything else happens to them, kept with their proofs, in one SQLite file.

Beside the records it holds what their anchoring needs to go on after a power cut: the state of each record, the checkpoint trusted
last, and the evidence of a log that contradicted itself. States move forward only, and every move is harmless when repeated.

A damaged file is refused and left alone. `recover_spool`, called by a person, puts it aside under another name and starts a new one
with all that can still be read; the next record says that the sequence was resumed. A full spool refuses to record; nothing is ever
dropped to make room.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path

from shared.core.errors import DecodeError, RecordError, SplitViewError, StorageError
from shared.ledger.checkpoint import parse_checkpoint
from shared.ledger.note import parse_note
from shared.records.odometer import SignedRecord, commitment_of, read_record
from shared.records.recorder import RecordHead
from shared.records.sd_jwt import parse_sd_jwt
from shared.service.database import (
    Connect,
    DatabaseFormat,
    blob,
    connect_sqlite,
    create_database,
    open_database,
    storage_errors,
    sync_path,
    transaction,
)

DEFAULT_CAPACITY = 250_000
"""Records: more than twenty years at thirty a day, about 1 GB."""

MAX_EVIDENCE = 16
"""Contradictions kept; the first ones are those that matter."""

SPOOL_FORMAT = DatabaseFormat(
    name="v2x-trust record spool",
    application_id=0x7632_7873,  # "v2xs"
    version=1,
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


_COLUMNS = "seq, commitment, odometer_m, sd_jwt, salt, state, log_index, proof"
_Row = tuple[object, ...]


def _stored(path: Path, row: _Row) -> StoredRecord:
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

    def append(self, record: SignedRecord) -> None:
        """Store the next record of the sequence; when this returns it survives a power cut.

        Raises:
            RecordError: it does not follow the last one.
            StorageError: it could not be stored, or the spool is full.
        """
        head = self.head()
        stated = record.record
        expected = (0, None) if head is None else (head.seq + 1, head.commitment)
        if (stated.seq, stated.prev) != expected:
            raise RecordError("sequence", f"record {stated.seq} does not follow the last one; number {expected[0]} is next")
        if stated.seq >= self._capacity:
            raise StorageError(str(self._path), f"the spool is full: {self._capacity} records")
        values = (stated.seq, record.commitment, stated.odometer_m, record.sd_jwt, record.salt, AnchorState.PENDING.value)
        with storage_errors(self._path), transaction(self._connection):
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
        """A person has looked at the evidence: keep it, and let anchoring go on from the trusted checkpoint."""
        with storage_errors(self._path), transaction(self._connection):
            self._connection.execute("UPDATE evidence SET acknowledged = 1")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _select(self, clause: str, *values: int) -> Iterator[StoredRecord]:
        with storage_errors(self._path):
            rows: list[_Row] = self._connection.execute(f"SELECT {_COLUMNS} FROM record {clause}", values).fetchall()  # noqa: S608 - constants of this file
        return (_stored(self._path, row) for row in rows)

    def _move(self, commitment: bytes, to: AnchorState, condition: str, bound: AnchorState, log_index: int | None) -> None:
        with storage_errors(self._path), transaction(self._connection):
            self._connection.execute(
                f"UPDATE record SET state = ?, log_index = ? WHERE commitment = ? AND {condition}",  # noqa: S608 - constants of this file
                (to.value, log_index, commitment, bound.value),
            )


def open_spool(path: Path, *, capacity: int = DEFAULT_CAPACITY, connect: Connect = connect_sqlite) -> Spool:
    """Open a spool, or make an empty one if there is no such file.

    Raises:
        StorageError: the file is cut short, damaged or foreign; it is left as it is (see `recover_spool`).
    """
    if not path.exists():
        create_database(path, SPOOL_FORMAT, connect)
    return Spool(path, open_database(path, SPOOL_FORMAT, connect), capacity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What `recover_spool` did: where the damaged file is now, how many records were saved, and the last one's number."""

    kept_as: Path
    saved: int
    last_seq: int | None


def recover_spool(path: Path) -> Recovery:
    """Put a damaged spool aside and start a new one with every record that can still be read, from the first on.

    A record says itself whether it is whole, a proof in a damaged file does not: every record is PENDING again and is proven anew,
    which is harmless. The trusted checkpoint is saved if it still reads as one, evidence if it can be read. The next record carries
    the flag that the sequence was resumed, because records after the last one saved may be lost.

    Raises:
        StorageError: there is no such file, or it cannot be moved.
    """
    if not path.exists():
        raise StorageError(str(path), "does not exist")
    kept_as = next(p for n in range(1, 10_000) if not (p := path.with_name(f"{path.name}.damaged-{n}")).exists())
    with storage_errors(path):
        for suffix in ("-wal", "-shm"):
            side = path.with_name(path.name + suffix)
            if side.exists():
                side.rename(kept_as.with_name(kept_as.name + suffix))
        path.rename(kept_as)
        sync_path(path.parent)
    saved = _readable(kept_as)
    create_database(path, SPOOL_FORMAT)
    with storage_errors(path), closing(open_database(path, SPOOL_FORMAT)) as connection, transaction(connection):
        connection.executemany(
            f"INSERT INTO record ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constants of this file
            [(r.seq, r.commitment, r.odometer_m, r.sd_jwt, r.salt, r.state.value, r.log_index, r.proof) for r in saved],
        )
        if saved:
            connection.execute("INSERT INTO resumed (id, after_seq) VALUES (1, ?)", (saved[-1].seq,))
        connection.executemany(
            "INSERT INTO trusted (id, note) VALUES (1, ?)",
            [row for row in _rows(kept_as, "SELECT note FROM trusted") if _is_checkpoint(row[0])][:1],
        )
        connection.executemany(
            "INSERT INTO evidence (detail, trusted_note, conflicting_note, acknowledged) VALUES (?, ?, ?, ?)",
            list(_rows(kept_as, "SELECT detail, trusted_note, conflicting_note, acknowledged FROM evidence ORDER BY id")),
        )
    return Recovery(kept_as=kept_as, saved=len(saved), last_seq=saved[-1].seq if saved else None)


def _rows(damaged: Path, statement: str) -> Iterator[tuple[object, ...]]:
    """Yield rows until the damage is met."""
    mode = "ro" if damaged.with_name(damaged.name + "-wal").exists() else "ro&immutable=1"
    try:
        with closing(connect_sqlite(f"{damaged.absolute().as_uri()}?mode={mode}")) as connection:
            yield from connection.execute(statement)
    except sqlite3.Error:
        return


def _readable(damaged: Path) -> list[StoredRecord]:
    """Return the unbroken run of records from number 0 that can be read and are what they claim."""
    saved: list[StoredRecord] = []
    prev: bytes | None = None
    for row in _rows(damaged, f"SELECT {_COLUMNS} FROM record ORDER BY seq"):  # noqa: S608 - constants of this file
        try:
            record = _stored(damaged, row)
            token = parse_sd_jwt(record.sd_jwt)
            stated = read_record(token)
        except (StorageError, DecodeError, RecordError):
            break
        if (record.seq, stated.seq, stated.prev) != (len(saved), len(saved), prev):
            break
        if stated.odometer_m != record.odometer_m or commitment_of(token.jwt, record.salt) != record.commitment:
            break
        prev = record.commitment
        saved.append(replace(record, state=AnchorState.PENDING, log_index=None, proof=None))
    return saved


def _is_checkpoint(note: object) -> bool:
    if not isinstance(note, bytes):
        return False
    try:
        parse_checkpoint(parse_note(note).body)
    except DecodeError:
        return False
    return True
