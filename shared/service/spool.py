"""The vehicle's own store of records: written before anything else happens to them, kept with their proofs, in one SQLite file.

Beside the records it holds the certificates they are signed under, the vehicle's in the order they took over and those of everybody
else with their role, so that a passport can be made years after a credential was renewed or a garage closed; and what their
anchoring needs to go on after a power cut: the state of each record, the checkpoint trusted last, and the evidence of a log that
contradicted itself. States move forward only, and every move is harmless when repeated.

A damaged file is refused and left alone; `shared.service.spool_recovery`, on a person's word, goes on from what can still be read.
A full spool refuses to record; nothing is ever dropped to make room. The tables are in `shared.service.spool_format`.
"""

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path

from shared.core.errors import DecodeError, RecordError, SplitViewError, StorageError
from shared.records.admission import EarlierRecord
from shared.records.credential import MAX_CREDENTIALS, MAX_ISSUER_CREDENTIALS, VehicleCredential
from shared.records.issuers import IssuerRole
from shared.records.kind import RecordKind
from shared.records.record import UNKNOWN_COMMITMENT, SignedRecord, read_record
from shared.records.recorder import RecordHead
from shared.records.sd_jwt import parse_sd_jwt
from shared.service.database import (
    Connect,
    blob,
    connect_sqlite,
    create_database,
    is_corrupt,
    octets_of,
    open_database,
    open_read_only,
    storage_errors,
)
from shared.service.grouped_writes import GroupedWrites
from shared.service.rollback_counter import Restored
from shared.service.spool_check import MAX_CHECKED_OCTETS, SpoolCheck, forget_damage, is_damage_known, remember_damage
from shared.service.spool_format import (
    COLUMNS,
    CREDENTIALS,
    HEAD,
    INSERT_CREDENTIAL,
    INSERT_RECORD,
    RECORDS_BY_KIND,
    SIZES,
    SPOOL_FORMAT,
    bring_up_to_date,
)
from shared.service.spool_mark import SpoolMark
from shared.service.spool_pace import lasts_days
from shared.service.spool_room import CLASSES, DEFAULT_LIMIT_MIB, PROOF_OCTETS, RecordClass, SpoolBounds, SpoolUse, class_of
from shared.service.spool_rows import KIND_NAMES, AnchorState, Row, StoredCredential, StoredRecord, stored_credential, stored_record

__all__ = ["DEFAULT_CAPACITY", "AnchorState", "Spool", "StoredCredential", "StoredRecord", "open_spool"]

DEFAULT_CAPACITY = 250_000
"""Records: more than twenty years at thirty a day, less than 1 GiB."""

DEFAULT_BOUNDS = SpoolBounds(records=DEFAULT_CAPACITY, octets=DEFAULT_LIMIT_MIB << 20)

PAGE_RECORDS = 500
"""Records read at once."""

MAX_EVIDENCE = 16
"""Contradictions kept; the first ones are those that matter."""

CHECKPOINT_PAGES = 4_000
"""Pages in the write-ahead log before they are moved into the file: 4 MiB, some hundred records."""

MAX_WAL_OCTETS = 8 << 20
"""To which a write-ahead log is cut that has grown, because somebody read for long."""


class Spool:
    """Records and their anchoring in a file; make one with `open_spool`.

    Args:
        path: the file, for error messages.
        connection: open, checked.
        bounds: how much it holds at most.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, bounds: SpoolBounds = DEFAULT_BOUNDS) -> None:
        self._path = path
        self._connection = connection
        self._bounds = bounds
        self._writes = GroupedWrites(path, connection)
        self._mark = SpoolMark(path)
        self._check = SpoolCheck(path, self)
        self._damage: StorageError | None = None
        self._by_class: Counter[RecordClass] | None = None

    def together(self) -> AbstractContextManager[None]:
        """Let what a block writes reach the disk in one transaction, all of it or nothing; see `GroupedWrites`."""
        return self._writes.together()

    def head(self) -> RecordHead | None:
        """Return where the vehicle's sequence stands, None before the first record."""
        with storage_errors(self._path):
            seq, commitment, odometer_m, after_seq = self._connection.execute(HEAD, (RecordKind.ODOMETER.value,)).fetchone()
        if seq is None and after_seq is None:
            return None
        last_seq, resumed_after = (-1 if number is None else number for number in (seq, after_seq))
        return RecordHead(
            seq=max(last_seq, resumed_after),
            commitment=UNKNOWN_COMMITMENT if seq is None else blob(self._path, commitment),
            odometer_m=odometer_m,
            resumed=resumed_after >= last_seq,
        )

    def resume_at(self, next_seq: int) -> None:
        """Go on at a later number, because records up to it were made and are not here: the file was restored from an old copy.

        The next record takes that number, names the last one that is here, and says that the sequence was resumed.

        Raises:
            RecordError: `sequence`: the number is not later than that of the next record.
            StorageError: it could not be stored.
        """
        head = self.head()
        expected = 0 if head is None else head.seq + 1
        if next_seq <= expected:
            raise RecordError("sequence", f"number {expected} is next; a sequence does not go back to {next_seq}")
        with self._writes.writing():
            self._connection.execute("INSERT OR REPLACE INTO resumed (id, after_seq) VALUES (1, ?)", (next_seq - 1,))

    def lost(self) -> Restored | None:
        """Return how many records were made and how many are here, where the last ones are not; None where all are.

        `resume_at` the count goes on behind them. Raises `StorageError`.
        """
        head, made = self.head(), self._mark.read()
        found = 0 if head is None else head.seq + 1
        return Restored(found=found, counted=made) if found < made else None

    def credentials(self) -> tuple[VehicleCredential, ...]:
        """Return every credential of the vehicle in the order they took over; the last one signs the next record."""
        return tuple(each.credential for each in self.all_credentials() if each.role is IssuerRole.VEHICLE)

    def all_credentials(self) -> tuple[StoredCredential, ...]:
        """Return every credential under which a record is signed, the vehicle's and everybody else's, as they came."""
        with storage_errors(self._path):
            rows: list[Row] = self._connection.execute(f"{CREDENTIALS} ORDER BY number").fetchall()
        return tuple(stored_credential(self._path, row) for row in rows)

    def append(self, record: SignedRecord) -> None:
        """Store the next record of the sequence; when this returns it survives a power cut.

        Its credential, and the one it hands over to, are kept in the same transaction if they are new.

        Raises:
            RecordError: it does not follow the last one, or its credential has handed over to another or has another role.
            StorageError: it could not be stored, or damage was found in the spool.
            SpoolFullError: the spool is full for records of its class.
        """
        if self._damage is not None:
            raise self._damage
        head = self.head()
        stated = record.record
        expected = (0, None) if head is None else (head.seq + 1, head.commitment)
        if (stated.seq, stated.prev) != expected:
            raise RecordError("sequence", f"record {stated.seq} does not follow the last one; number {expected[0]} is next")
        record_class = class_of(stated)
        self._bounds.check(str(self._path), record_class, records=stated.seq, octets=self.octets())
        new = self._new_credentials(record)
        by_class, self._by_class = self._by_class, None  # counted anew where it is not known whether the record was stored
        values = (stated.seq, record.commitment, stated.kind.value, stated.odometer_m, record.sd_jwt, record.salt)
        with self._writes.writing():
            for credential in new:
                row = (credential.id, credential.certificate, credential.authority, record.role.value)
                self._connection.execute(INSERT_CREDENTIAL, row)
            self._connection.execute(INSERT_RECORD, (*values, AnchorState.PENDING.value, record_class is RecordClass.EVIDENCE))
        self._mark.write(stated.seq + 1)
        if by_class is not None:
            by_class[record_class] += 1
            self._by_class = by_class

    def earlier(self, seq: int) -> EarlierRecord | None:
        """Return a record that is here, by its number, with who signed it; None if it is not here.

        Raises:
            StorageError: it cannot be read.
        """
        for stored in self._select("WHERE seq = ?", seq):
            try:
                token = parse_sd_jwt(stored.sd_jwt)
                record = read_record(token)
            except (DecodeError, RecordError) as error:
                raise StorageError(str(self._path), f"is damaged: record {seq}: {error}") from None
            kid = token.header.get("kid")
            roles = {each.credential.id: each.role for each in self.all_credentials()}
            role = roles.get(kid) if isinstance(kid, str) else None
            if role is None:
                raise StorageError(str(self._path), f"is damaged: the credential of record {seq} is not there")
            return EarlierRecord(record=record, jwt=token.jwt, credential=str(kid), role=role)
        return None

    def records(self) -> Iterator[StoredRecord]:
        """Yield all records in order."""
        yield from self._select("ORDER BY seq")

    def of_kinds(self, kinds: Collection[RecordKind]) -> Iterator[StoredRecord]:
        """Yield the records of some kinds in order, a few in memory at a time."""
        names = [kind.value for kind in kinds]
        wanted = f"SELECT seq FROM record WHERE kind IN ({_marks(names)}) ORDER BY seq"  # noqa: S608 - question marks only
        with storage_errors(self._path):
            seqs: list[int] = [row[0] for row in self._connection.execute(wanted, names)]
        for start in range(0, len(seqs), PAGE_RECORDS):
            page = seqs[start : start + PAGE_RECORDS]
            yield from self._select(f"WHERE seq IN ({_marks(page)}) ORDER BY seq", *page)

    def unproven(self, limit: int) -> tuple[StoredRecord, ...]:
        """Return the oldest records that have no proof yet, at most `limit`."""
        return tuple(self._select("WHERE state < ? ORDER BY seq LIMIT ?", AnchorState.INCLUDED.value, limit))

    def unsent(self, limit: int) -> tuple[StoredRecord, ...]:
        """Return the oldest records of which no log has given an index, at most `limit`."""
        return tuple(self._select("WHERE state < ? ORDER BY seq LIMIT ?", AnchorState.SEQUENCED.value, limit))

    def sequenced(self, limit: int) -> tuple[StoredRecord, ...]:
        """Return the oldest records that have an index and no proof yet, at most `limit`."""
        return tuple(self._select("WHERE state = ? ORDER BY seq LIMIT ?", AnchorState.SEQUENCED.value, limit))

    def octets(self) -> int:
        """Return the size of the file without what is free in it, and with the proofs that records in it wait for."""
        with storage_errors(self._path):
            pages, free, page, waiting = (self._connection.execute(statement).fetchone()[0] for statement in SIZES)
        return int((pages - free) * page + waiting * PROOF_OCTETS)

    def use(self) -> SpoolUse:
        """Return how full it is, and for how long it will last; raises `StorageError`."""
        if self._by_class is None:
            self._by_class = self._count_classes()
        count, octets = self._by_class.total(), self.octets()
        return SpoolUse(
            records=dict(self._by_class),
            octets=octets,
            bounds=self._bounds,
            lasts_days=lasts_days(self, self._bounds, count=count, octets=octets),
            unmarked=self._mark.failures,
        )

    def _count_classes(self) -> Counter[RecordClass]:
        by_class = Counter(dict.fromkeys(RecordClass, 0))
        with storage_errors(self._path):
            counts, evidence = (dict(self._connection.execute(statement).fetchall()) for statement in RECORDS_BY_KIND)
        for name, count in counts.items():
            kind, odd = KIND_NAMES.get(name), evidence.get(name, 0)
            by_class[RecordClass.LIFE if kind is None else CLASSES[kind]] += count - odd
            by_class[RecordClass.EVIDENCE] += odd
        return by_class

    def last_seq(self) -> int | None:
        """Return the number of the last record that is here, None where there is none."""
        with storage_errors(self._path):
            seq: int | None = self._connection.execute("SELECT max(seq) FROM record").fetchone()[0]
        return seq

    def between(self, first: int, limit: int) -> tuple[StoredRecord, ...]:
        """Return the records from a number on, at most `limit`."""
        return tuple(self._select("WHERE seq >= ? ORDER BY seq LIMIT ?", first, limit))

    def latest_evidence(self, kind: RecordKind, limit: int) -> tuple[StoredRecord, ...]:
        """Return the newest records of a kind that are evidence, the last one first, at most `limit`."""
        return tuple(self._select("WHERE kind = ? AND is_evidence ORDER BY seq DESC LIMIT ?", kind.value, limit))

    def check_some(self) -> None:
        """Look whether some more of what is stored is what was stored, until all of it was looked at once.

        Raises:
            StorageError: it is damaged; from now on nothing is written to it, and the next start looks at all of it first.
        """
        if self._damage is not None:
            raise self._damage
        try:
            self._check.check_some()
        except StorageError as failure:
            if is_corrupt(failure):
                self._damage = failure
                remember_damage(self._path, failure)
            raise

    def check_all(self) -> None:
        """Look at all of it at once; raises `StorageError`."""
        self._check.check_all()

    def check_tail(self) -> None:
        """Look at the last records, on which the next one builds; raises `StorageError`."""
        self._check.check_tail()

    @property
    def is_checked(self) -> bool:
        """Whether all of it was looked at since it was opened."""
        return self._check.is_done

    def has_pending(self) -> bool:
        """Tell whether there is a record of which no log was asked."""
        with storage_errors(self._path):
            statement = "SELECT EXISTS (SELECT 1 FROM record WHERE state = ?)"
            return bool(self._connection.execute(statement, (AnchorState.PENDING.value,)).fetchone()[0])

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
        with self._writes.writing():
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
        with self._writes.writing():
            row = self._connection.execute("SELECT note FROM trusted").fetchone()
            if (None if row is None else blob(self._path, row[0])) != expected:
                raise StorageError(str(self._path), "another program moved the trusted checkpoint at the same time")
            self._connection.execute("INSERT OR REPLACE INTO trusted (id, note) VALUES (1, ?)", (note,))

    def store_evidence(self, contradiction: SplitViewError) -> None:
        """Keep both notes of a contradiction; storing the same one twice changes nothing."""
        values = (str(contradiction), contradiction.trusted_note, contradiction.conflicting_note)
        with self._writes.writing():
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
        with self._writes.writing():
            self._connection.execute("UPDATE evidence SET acknowledged = 1")
            self._forget_indexes()

    def leave_log(self) -> int:
        """Forget the trusted checkpoint and every index without a proof: another log is asked from now on.

        Returns:
            How many records have no proof: these are PENDING again.
        """
        with self._writes.writing():
            self._connection.execute("DELETE FROM trusted")
            return self._forget_indexes()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _forget_indexes(self) -> int:
        values = (AnchorState.PENDING.value, AnchorState.INCLUDED.value)
        return self._connection.execute("UPDATE record SET state = ?, log_index = NULL WHERE state < ?", values).rowcount

    def _new_credentials(self, record: SignedRecord) -> list[VehicleCredential]:
        """Return those of a record that are not kept yet."""
        kept = self.all_credentials()
        roles = {each.credential.id: each.role for each in kept}
        own = [each.credential.id for each in kept if each.role is IssuerRole.VEHICLE]
        if record.credential.id in own[:-1]:
            raise RecordError("credential", "the credential of this record has handed over to another")
        if roles.get(record.credential.id, record.role) is not record.role:
            words = roles[record.credential.id].words
            raise RecordError("role", f"the credential of this record was {words}'s before; {record.role.words} cannot have it")
        involved = (record.credential,) if record.record.successor is None else (record.credential, record.record.successor)
        new = [credential for credential in involved if credential.id not in roles]
        is_own = record.role is IssuerRole.VEHICLE
        most = MAX_CREDENTIALS if is_own else MAX_ISSUER_CREDENTIALS
        if (len(own) if is_own else len(kept) - len(own)) + len(new) > most:
            whose = "credentials" if is_own else "credentials of others than the vehicle"
            raise StorageError(str(self._path), f"the spool is full: {most} {whose}")
        return new

    def _select(self, clause: str, *values: int | str) -> Iterator[StoredRecord]:
        with storage_errors(self._path):
            rows: list[Row] = self._connection.execute(f"SELECT {COLUMNS} FROM record {clause}", values).fetchall()  # noqa: S608 - constants of this file
        return (stored_record(self._path, row) for row in rows)

    def _move(self, commitment: bytes, to: AnchorState, condition: str, bound: AnchorState, log_index: int | None) -> None:
        with self._writes.writing():
            self._connection.execute(
                f"UPDATE record SET state = ?, log_index = ? WHERE commitment = ? AND {condition}",  # noqa: S608 - constants of this file
                (to.value, log_index, commitment, bound.value),
            )


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def open_spool(
    path: Path,
    *,
    capacity: int = DEFAULT_CAPACITY,
    limit_mib: int = DEFAULT_LIMIT_MIB,
    checked_octets: int = MAX_CHECKED_OCTETS,
    connect: Connect = connect_sqlite,
) -> Spool:
    """Open a spool, or make an empty one if there is no such file; one of a format before is converted first.

    Args:
        path: the file.
        capacity: records it holds at most.
        limit_mib: MiB it takes at most.
        checked_octets: a larger file is not looked through here, except after damage was found in it: `Spool.check_some` does that
            while the agent runs.
        connect: opens SQLite.

    Raises:
        StorageError: the file is cut short, damaged or foreign; it is left as it is (see `spool_recovery`).
    """
    if path.exists():
        bring_up_to_date(path, connect)
    else:
        create_database(path, SPOOL_FORMAT, connect)
    is_suspect = is_damage_known(path)
    is_whole = is_suspect or octets_of(path) <= checked_octets
    with closing(Spool(path, open_read_only(path, SPOOL_FORMAT, connect, is_whole=is_whole))) as found:
        if is_suspect:
            found.check_all()
        else:
            found.check_tail()
    connection = open_database(path, SPOOL_FORMAT, connect, is_whole=False)
    spool = Spool(path, connection, SpoolBounds(records=capacity, octets=limit_mib << 20))
    try:
        with storage_errors(path):
            connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
            connection.execute(f"PRAGMA journal_size_limit={MAX_WAL_OCTETS}")
            forget_damage(path)
    except BaseException:
        connection.close()
        raise
    return spool
