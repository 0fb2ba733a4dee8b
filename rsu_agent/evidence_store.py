"""The unit's evidence in one SQLite file: appended to, closed in batches, anchored, and let go of by age and size.

    records   numbered without a gap, in the order they came; one that is stored is not stored again
    batches   every record is in one sooner or later: PENDING -> SUBMITTED -> SEQUENCED -> PROVEN, as the ledger gets on
    beside    the certificates signatures need, the checkpoint trusted last, and notes of a ledger that contradicted itself

Every step is one transaction: after a power cut it is done or it is not, and doing it again is harmless. Records leave in whole
batches, the oldest first, so what stays keeps all that its proof needs; what others made the unit write may leave before, and
then its hash stays. The newest batch never leaves: the next one names it.

All methods belong to the thread that opened the file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rsu_agent.evidence_format import OF_OTHERS, STORE_FORMAT, BatchState, Dropped, StoredEntry
from rsu_agent.evidence_reader import EvidenceReader
from shared.core.clock import NS_PER_US, UtcNs
from shared.core.errors import SplitViewError, StorageError
from shared.ledger.merkle import leaf_hash
from shared.records.evidence_record import (
    MAX_BATCH_RECORDS,
    BatchStatement,
    BatchTree,
    commitment_of_batch,
)
from shared.service.database import (
    Connect,
    blob,
    connect_sqlite,
    create_database,
    open_database,
    storage_errors,
    transaction,
)

MAX_BATCHES_DROPPED_AT_ONCE = 16
"""Batches that leave in one transaction: some ten thousand records."""

MAX_CONTRADICTIONS = 16
"""Contradictions kept; the first ones are those that matter."""

MAX_DAMAGED_FILES = 1_000

_SIGNS_OF_DAMAGE = ("is damaged", "is cut short", "malformed", "not a database")
"""What is said of a file of ours that cannot be read; another program's, or a full disk, is told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An open store, the run that begins with it, and where a damaged file was put; None where there was none."""

    store: "EvidenceStore"
    run: int
    set_aside: Path | None
    problem: str = ""


class EvidenceStore(EvidenceReader):
    """Evidence in a file that is written to; make one with `open_evidence`."""

    def begin_run(self) -> int:
        """Count one more beginning and return which it is, from 1."""
        with storage_errors(self._path), transaction(self._connection):
            row = self._connection.execute("SELECT number FROM run").fetchone()
            number = 1 if row is None else int(row[0]) + 1
            self._connection.execute("INSERT OR REPLACE INTO run (id, number) VALUES (1, ?)", (number,))
        return number

    def append(self, entries: Sequence[StoredEntry], certificates: Mapping[bytes, bytes]) -> None:
        """Store records and certificates (by HashedId8); when this returns they survive a power cut.

        What is stored already is passed over, so whoever does not know whether it was may do it again.

        Raises:
            StorageError: it could not be stored, or a number is missing before the first of them.
        """
        with storage_errors(self._path), transaction(self._connection):
            expected = self._next_id()
            for identifier, octets in certificates.items():
                self._connection.execute("INSERT OR IGNORE INTO certificate (id, octets) VALUES (?, ?)", (identifier, octets))
            fresh = [each for each in entries if each.id >= expected]
            if [each.id for each in fresh] != list(range(expected, expected + len(fresh))):
                raise StorageError(str(self._path), f"record {expected} is next; the records given do not begin with it")
            others = [each for each in fresh if each.record.kind in OF_OTHERS]
            self._connection.executemany(
                "INSERT INTO record (id, kind, word, utc_us, entry) VALUES (?, ?, ?, ?, ?)",
                [(e.id, e.record.kind.value, e.record.word, e.record.utc_us, _kept(e)) for e in fresh],
            )
            self._connection.executemany("INSERT INTO other (id, entry) VALUES (?, ?)", [(e.id, e.entry) for e in others])

    def close_batch(self, station_id: int, closed: UtcNs | None) -> BatchStatement | None:
        """Make a batch of the records that are in none, `MAX_BATCH_RECORDS` at most; None where there are none."""
        with storage_errors(self._path), transaction(self._connection):
            last = self._connection.execute(
                "SELECT number, first + size, commitment FROM batch ORDER BY number DESC LIMIT 1"
            ).fetchone()
            number, first, previous = (0, 0, None) if last is None else (last[0] + 1, last[1], blob(self._path, last[2]))
            rows = self._connection.execute(
                "SELECT id, kind, entry FROM record WHERE id >= ? ORDER BY id LIMIT ?", (first, MAX_BATCH_RECORDS)
            ).fetchall()
            if not rows:
                return None
            if [row[0] for row in rows] != list(range(first, first + len(rows))):
                raise self._damaged(f"records are missing after number {first}")
            of_others = self._connection.execute(
                "SELECT total(length(entry)) FROM other WHERE id >= ? AND id < ?", (first, first + len(rows))
            ).fetchone()[0]
            statement = BatchStatement(
                station_id=station_id,
                number=number,
                previous=previous,
                first=first,
                size=len(rows),
                root=BatchTree([self._leaf(*row[1:]) for row in rows]).root,
                closed_us=None if closed is None else closed // NS_PER_US,
            )
            encoded = statement.encode()
            values = (
                number,
                first,
                len(rows),
                int(of_others),
                statement.closed_us,
                encoded,
                commitment_of_batch(encoded),
                BatchState.PENDING.value,
            )
            self._connection.execute(
                "INSERT INTO batch (number, first, size, of_others, closed_us, statement, commitment, state)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
        return statement

    def mark_submitted(self, commitment: bytes) -> None:
        """PENDING -> SUBMITTED: the ledger is about to be asked."""
        self._move(commitment, BatchState.SUBMITTED, None, BatchState.SUBMITTED)

    def mark_sequenced(self, commitment: bytes, log_index: int) -> None:
        """-> SEQUENCED: the ledger gave this index."""
        self._move(commitment, BatchState.SEQUENCED, log_index, BatchState.SEQUENCED)

    def mark_refuted(self, commitment: bytes) -> None:
        """SEQUENCED -> PENDING: the ledger holds something else at the index it gave; it is to be asked again."""
        self._move(commitment, BatchState.PENDING, None, BatchState.SEQUENCED)

    def store_proof(self, commitment: bytes, *, log_index: int, proof: bytes) -> None:
        """-> PROVEN, with the proof; one that is stored is not replaced."""
        with storage_errors(self._path), transaction(self._connection):
            self._connection.execute(
                "UPDATE batch SET state = ?, log_index = ?, proof = ? WHERE commitment = ? AND state < ?",
                (BatchState.PROVEN.value, log_index, proof, commitment, BatchState.PROVEN.value),
            )

    def set_trusted_note(self, note: bytes) -> None:
        """Trust a checkpoint note from now on."""
        with storage_errors(self._path), transaction(self._connection):
            self._connection.execute("INSERT OR REPLACE INTO trusted (id, note) VALUES (1, ?)", (note,))

    def store_contradiction(self, contradiction: SplitViewError) -> None:
        """Keep both notes of a contradiction; storing the same one twice changes nothing."""
        notes = contradiction.trusted_note, contradiction.conflicting_note
        with storage_errors(self._path), transaction(self._connection):
            self._connection.execute(
                "INSERT INTO contradiction (detail, trusted_note, conflicting_note) SELECT ?, ?, ?"
                " WHERE NOT EXISTS (SELECT 1 FROM contradiction WHERE trusted_note = ? AND conflicting_note = ?)"
                " AND (SELECT count(*) FROM contradiction) < ?",
                (str(contradiction), *notes, *notes, MAX_CONTRADICTIONS),
            )

    def expire(self, *, before: UtcNs | None, max_bytes: int, most: int = MAX_BATCHES_DROPPED_AT_ONCE) -> Dropped:
        """Let the oldest batches go: those closed before a moment, and as many as bring the file's records within `max_bytes`.

        At most `most` of them; what is still too old or too much goes with the next call.
        """
        batches = records = unproven = 0
        with storage_errors(self._path), transaction(self._connection):
            rows = self._connection.execute(
                "SELECT number, first, size, state, closed_us FROM batch ORDER BY number LIMIT ?", (most,)
            ).fetchall()
            newest = self._connection.execute("SELECT max(number) FROM batch").fetchone()[0]
            limit_us = None if before is None else before // NS_PER_US
            old = [row[0] for row in rows if limit_us is not None and row[4] is not None and row[4] < limit_us]
            last_old = old[-1] if old else -1  # one that was closed without a date is as old as the next that has one
            for number, first, size, state, _ in rows:
                if number == newest or not (number <= last_old or self._used_bytes() > max_bytes):
                    break
                for table in ("record", "other"):
                    self._connection.execute(f"DELETE FROM {table} WHERE id >= ? AND id < ?", (first, first + size))  # noqa: S608
                self._connection.execute("DELETE FROM batch WHERE number = ?", (number,))
                batches, records, unproven = batches + 1, records + size, unproven + (state < BatchState.PROVEN)
        return Dropped(batches=batches, records=records, unproven=unproven)

    def thin(self, *, max_bytes: int) -> int:
        """Let go of what others made the unit write where it has more than `max_bytes`, the oldest first, a few batches at a time.

        Its leaf hashes stay, so all else goes on being proven. Returns how many records went.
        """
        records = 0
        with storage_errors(self._path), transaction(self._connection):
            total = self._connection.execute("SELECT total(of_others) FROM batch WHERE of_others > 0").fetchone()[0]
            rows = self._connection.execute(
                "SELECT number, first, size, of_others FROM batch WHERE of_others > 0 ORDER BY number LIMIT ?",
                (MAX_BATCHES_DROPPED_AT_ONCE,),
            ).fetchall()
            for number, first, size, of_others in rows:
                if total <= max_bytes:
                    break
                gone = self._connection.execute("DELETE FROM other WHERE id >= ? AND id < ?", (first, first + size))
                self._connection.execute("UPDATE batch SET of_others = 0 WHERE number = ?", (number,))
                total, records = total - of_others, records + gone.rowcount
        return records

    def _move(self, commitment: bytes, state: BatchState, log_index: int | None, at_most: BatchState) -> None:
        with storage_errors(self._path), transaction(self._connection):
            self._connection.execute(
                "UPDATE batch SET state = ?, log_index = ? WHERE commitment = ? AND state <= ?",
                (state.value, log_index, commitment, at_most.value),
            )


def _kept(entry: StoredEntry) -> bytes:
    """Return what stands in table `record`."""
    return leaf_hash(entry.entry) if entry.record.kind in OF_OTHERS else entry.entry


def open_evidence(path: Path, connect: Connect = connect_sqlite) -> Opened:
    """Open a store to write to, made where there is none, and begin a run.

    A damaged file is put aside under another name, as it is, and a new one begun: a unit does not fall silent for want of it.

    Raises:
        StorageError: the file is another program's, or cannot be used or made.
    """
    set_aside, problem = None, ""
    if path.exists():
        try:
            return _opened(path, connect)
        except StorageError as error:
            if not any(sign in error.reason for sign in _SIGNS_OF_DAMAGE):
                raise
            set_aside, problem = _put_aside(path), str(error)
    create_database(path, STORE_FORMAT, connect)
    opened = _opened(path, connect)
    return Opened(store=opened.store, run=opened.run, set_aside=set_aside, problem=problem)


def _opened(path: Path, connect: Connect) -> Opened:
    store = EvidenceStore(path, open_database(path, STORE_FORMAT, connect, is_whole=False))
    try:
        store.status()
        return Opened(store=store, run=store.begin_run(), set_aside=None)
    except BaseException:
        store.close()
        raise


def _put_aside(path: Path) -> Path:
    for number in range(1, MAX_DAMAGED_FILES):
        name = path.with_name(f"{path.name}.damaged-{number}")
        if not name.exists():
            break
    else:
        raise StorageError(str(path), f"{MAX_DAMAGED_FILES} damaged files are kept beside it already")
    with storage_errors(path):
        for suffix in ("-wal", "-shm", ""):
            side = path.with_name(path.name + suffix)
            if side.exists():
                side.rename(name.with_name(name.name + suffix))
    return name
