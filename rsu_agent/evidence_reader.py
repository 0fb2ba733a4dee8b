"""What can be read of a unit's evidence in its file: by the agent that writes it, and beside it by whoever has to prove something.

Whatever is handed out was checked against what its batch was closed with; a file that was changed is called damaged.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rsu_agent.evidence_format import OF_OTHERS, STORE_FORMAT, BatchState, Found, StoredBatch
from shared.core.errors import DecodeError, SplitViewError
from shared.ledger.merkle import Hash, leaf_hash
from shared.records.evidence_record import (
    BatchStatement,
    BatchTree,
    EvidenceKind,
    commitment_of_batch,
    decode_statement,
)
from shared.service.database import (
    OpenDatabase,
    blob,
    open_read_only,
    snapshot,
    storage_errors,
)

_OF_OTHERS = frozenset(kind.value for kind in OF_OTHERS)

_BETWEEN = "WHERE kind = ? AND (? IS NULL OR word = ?) AND utc_us BETWEEN ? AND ?"

_COLUMNS = "statement, commitment, state, log_index, proof"


class EvidenceReader(OpenDatabase):
    """Evidence in a file; make one with `read_evidence`, or one that writes too with `open_evidence`."""

    def next_id(self) -> int:
        """Return the number the next record gets."""
        with storage_errors(self._path):
            return self._next_id()

    def unbatched(self) -> int:
        """Return how many records are in no batch yet."""
        with storage_errors(self._path):
            return self._next_id() - self._batched()

    def unproven(self, limit: int) -> tuple[StoredBatch, ...]:
        """Return the oldest batches that have no proof yet, at most `limit`."""
        return self._batches("WHERE state < ? ORDER BY number LIMIT ?", BatchState.PROVEN.value, limit)

    def batch_of(self, record_id: int) -> StoredBatch | None:
        """Return the batch a record is in; None while it is in none."""
        for batch in self._batches("WHERE first <= ? ORDER BY first DESC LIMIT 1", record_id):
            if record_id < batch.statement.first + batch.statement.size:
                return batch
        return None

    def trusted_note(self) -> bytes | None:
        """Return the checkpoint note trusted last."""
        row = self._one("SELECT note FROM trusted")
        return None if row is None else blob(self._path, row[0])

    def contradiction(self) -> SplitViewError | None:
        """Return the first contradiction that is kept."""
        row = self._one("SELECT detail, trusted_note, conflicting_note FROM contradiction ORDER BY id LIMIT 1")
        return None if row is None else SplitViewError(str(row[0]), blob(self._path, row[1]), blob(self._path, row[2]))

    def last_before(self, kind: EvidenceKind, word: str, utc_us: int) -> Found | None:
        """Return the last record of a kind dated at a moment or before."""
        return self._find("utc_us <= ? ORDER BY utc_us DESC, id DESC LIMIT 1", kind, word, utc_us)

    def first_after(self, kind: EvidenceKind, word: str, utc_us: int) -> Found | None:
        """Return the first record of a kind dated after a moment."""
        return self._find("utc_us > ? ORDER BY utc_us, id LIMIT 1", kind, word, utc_us)

    def between(self, kind: EvidenceKind, word: str | None, first_us: int, last_us: int, limit: int) -> tuple[Found, ...]:
        """Return the records of a kind (and a word, where one is given) dated within two moments, `limit` at most."""
        values = (kind.value, word, word, first_us, last_us, limit)
        with storage_errors(self._path):
            rows = self._connection.execute(f"{_found_of(kind)} {_BETWEEN} ORDER BY id LIMIT ?", values).fetchall()
        return tuple(self._found(row) for row in rows)

    def count(self, kind: EvidenceKind, word: str | None, first_us: int, last_us: int) -> int:
        """Return how many records `between` would return without a limit."""
        values = (kind.value, word, word, first_us, last_us)
        with storage_errors(self._path):
            return int(self._connection.execute(f"SELECT count(*) FROM ({_found_of(kind)} {_BETWEEN})", values).fetchone()[0])  # noqa: S608

    def tree_of(self, statement: BatchStatement) -> BatchTree:
        """Return the tree of a batch, made anew from its records and checked against its root.

        Raises:
            StorageError: they are not there any more, or not what they were.
        """
        with storage_errors(self._path):
            rows = self._connection.execute(
                "SELECT kind, entry FROM record WHERE id >= ? AND id < ? ORDER BY id",
                (statement.first, statement.first + statement.size),
            ).fetchall()
        tree = BatchTree([self._leaf(*row) for row in rows])
        if tree.size != statement.size or tree.root != statement.root:
            raise self._damaged(f"the records of batch {statement.number} are not those it was closed with")
        return tree

    def certificates(self) -> dict[bytes, bytes]:
        """Return every certificate by its HashedId8."""
        with storage_errors(self._path):
            rows = self._connection.execute("SELECT id, octets FROM certificate").fetchall()
        return {blob(self._path, row[0]): blob(self._path, row[1]) for row in rows}

    @contextmanager
    def unchanging(self) -> Iterator[None]:
        """Let a block read the file as it is at one moment, while the agent goes on writing."""
        with storage_errors(self._path), snapshot(self._connection):
            yield

    def status(self) -> dict[str, object]:
        """Return how much there is, as JSON values; it costs the same however much that is."""
        with storage_errors(self._path):
            rows = self._connection.execute(
                "SELECT state, count(*) FROM batch WHERE state < ? GROUP BY state", (BatchState.PROVEN.value,)
            ).fetchall()
            oldest, newest = self._connection.execute("SELECT min(number), max(number) FROM batch").fetchone()
            first = self._connection.execute("SELECT first FROM batch ORDER BY number LIMIT 1").fetchone()
            used = self._used_bytes()
            total = self._next_id()
        counts = {BatchState(state).name.lower(): count for state, count in rows}
        proven = 0 if oldest is None else newest - oldest + 1 - sum(counts.values())  # numbers have no gap
        if proven:
            counts[BatchState.PROVEN.name.lower()] = proven
        return {"records": total - (first[0] if first else 0), "records_ever": total, "batches": counts, "used_bytes": used}

    def _next_id(self) -> int:
        last = self._connection.execute("SELECT max(id) FROM record").fetchone()[0]
        return max(-1 if last is None else int(last), self._batched() - 1) + 1

    def _batched(self) -> int:
        row = self._connection.execute("SELECT first + size FROM batch ORDER BY number DESC LIMIT 1").fetchone()
        return 0 if row is None else int(row[0])

    def _used_bytes(self) -> int:
        pages, free, octets = (
            int(self._connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * octets

    def _batches(self, where: str, *values: object) -> tuple[StoredBatch, ...]:
        with storage_errors(self._path):
            rows = self._connection.execute(f"SELECT {_COLUMNS} FROM batch {where}", values).fetchall()  # noqa: S608 - constants
        return tuple(self._batch(row) for row in rows)

    def _batch(self, row: tuple[object, ...]) -> StoredBatch:
        match row:
            case (bytes(encoded), bytes(commitment), int(state), (int() | None) as log_index, (bytes() | None) as proof):
                try:
                    statement = decode_statement(encoded)
                except DecodeError as error:
                    raise self._damaged(f"a batch: {error}") from None
                if 0 <= state <= BatchState.PROVEN and commitment == commitment_of_batch(encoded):
                    return StoredBatch(
                        statement=statement,
                        encoded=encoded,
                        commitment=commitment,
                        state=BatchState(state),
                        log_index=log_index,
                        proof=proof,
                    )
        raise self._damaged("a batch is not what it should be")

    def _leaf(self, kind: object, entry: object) -> Hash:
        """Return the leaf hash of a record as it stands in table `record`."""
        octets = blob(self._path, entry)
        return Hash(octets) if kind in _OF_OTHERS else leaf_hash(octets)

    def _find(self, rest: str, kind: EvidenceKind, word: str, utc_us: int) -> Found | None:
        row = self._one(f"{_found_of(kind)} WHERE kind = ? AND word = ? AND {rest}", kind.value, word, utc_us)
        return None if row is None else self._found(row)

    def _found(self, row: tuple[object, ...]) -> Found:
        match row:
            case (int(number), (int() | None) as utc_us, str(kind), bytes(kept), (bytes() | None) as entry):
                octets = kept if entry is None else entry
                if kind not in _OF_OTHERS or leaf_hash(octets) == kept:
                    return Found(id=number, utc_us=utc_us, entry=octets)
        raise self._damaged("a record is not what it should be")


def _found_of(kind: EvidenceKind) -> str:
    """Return the beginning of a statement that looks for records of which there are the octets."""
    if kind in OF_OTHERS:
        return "SELECT id, utc_us, kind, record.entry, other.entry FROM record JOIN other USING (id)"
    return "SELECT id, utc_us, kind, entry, NULL FROM record"


def read_evidence(path: Path) -> EvidenceReader:
    """Open a store to read from, beside the agent that writes it; raises `StorageError`."""
    return EvidenceReader(path, open_read_only(path, STORE_FORMAT, is_whole=False))
