"""Trust lists across restarts, in one SQLite file: the signed lists with their proofs, and how far each issuer's lists have come.

What is read back is verified anew by `TrustLists.restore`; here it is only told apart from what a broken disk leaves. The marks
outlive their lists, so an older list is refused after any number of restarts; whoever deletes the file takes that protection away.
"""

from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from sqlite3 import Connection
from typing import Self

from shared.core.errors import StorageError
from shared.core.ids import HashedId8
from shared.core.itstime import Time32, Time64
from shared.security.list_sequence import MAX_DELTAS, ListDocument, ListKind, ListMark, StoredList
from shared.security.trust_lists_held import MAX_ISSUERS_LISTS
from shared.service.database import (
    Connect,
    DatabaseFormat,
    OpenDatabase,
    connect_sqlite,
    create_database,
    open_database,
    storage_errors,
    transaction,
)

Opening = Callable[[Path, DatabaseFormat, Connect], Connection]
"""Opens a checked file."""

TRUST_LIST_FORMAT = DatabaseFormat(
    name="v2x-trust store of trust lists",
    application_id=0x7632_7864,  # "v2xd"
    version=1,
    schema="""
        CREATE TABLE list (
            kind TEXT NOT NULL,
            issuer BLOB NOT NULL,
            generation_time INTEGER NOT NULL,
            sequence INTEGER,
            this_update INTEGER,
            digest BLOB NOT NULL,
            PRIMARY KEY (kind, issuer)
        );
        CREATE TABLE document (
            kind TEXT NOT NULL,
            issuer BLOB NOT NULL,
            position INTEGER NOT NULL,
            secured BLOB NOT NULL,
            proof BLOB,
            digest BLOB NOT NULL,
            PRIMARY KEY (kind, issuer, position)
        )
    """,
)


class TrustListStore(OpenDatabase):
    """Keeps what `TrustLists.held` returns.

    Args:
        path: an existing file; `create` makes one.
        connect: opens SQLite.
        opening: `open_database`, or `open_read_only` for who only looks.

    Raises:
        StorageError: it is missing, cut short, not ours, or damaged; it was not changed.
    """

    def __init__(self, path: Path, connect: Connect = connect_sqlite, *, opening: Opening = open_database) -> None:
        super().__init__(path, opening(path, TRUST_LIST_FORMAT, connect))

    @classmethod
    def create(cls, path: Path, connect: Connect = connect_sqlite) -> Self:
        """Make an empty store; raises `StorageError` if there is such a file or it cannot be written."""
        create_database(path, TRUST_LIST_FORMAT, connect)
        return cls(path, connect)

    def load(self) -> tuple[StoredList, ...]:
        """Return what was saved last; raises `StorageError` where something else stands there."""
        with storage_errors(self._path):
            marks = self._connection.execute(
                "SELECT kind, issuer, generation_time, sequence, this_update, digest FROM list ORDER BY kind, issuer LIMIT ?",
                (MAX_ISSUERS_LISTS + 1,),
            ).fetchall()
            if len(marks) > MAX_ISSUERS_LISTS:
                raise self._damaged(f"there are more than {MAX_ISSUERS_LISTS} lists")
            return tuple(self._stored(row) for row in marks)

    def save(self, lists: Iterable[StoredList]) -> None:
        """Replace everything at one stroke; on disk once this returns.

        Raises:
            StorageError: it cannot be written, or a list would go back behind the one saved before; then nothing is changed.
        """
        lists = tuple(lists)
        before = {(each.kind, each.issuer): each.mark for each in self.load()}
        for each in lists:
            mark = before.pop((each.kind, each.issuer), None)
            if mark is not None and each.mark.generation_time < mark.generation_time:
                raise StorageError(str(self._path), f"the {each.kind.value} of {each.issuer.hex()} saved before is newer")
        if before:
            (kind, issuer), _ = before.popitem()
            raise StorageError(str(self._path), f"the {kind.value} of {issuer.hex()} saved before would be forgotten")
        with storage_errors(self._path), transaction(self._connection):
            self._connection.execute("DELETE FROM document")
            self._connection.execute("DELETE FROM list")
            for each in lists:
                self._insert(each)

    def _insert(self, stored: StoredList) -> None:
        kind, issuer, mark = stored.kind.value, bytes(stored.issuer), stored.mark
        self._connection.execute(
            "INSERT INTO list VALUES (?, ?, ?, ?, ?, ?)",
            (kind, issuer, mark.generation_time, mark.sequence, mark.this_update, mark.digest),
        )
        for position, document in enumerate(stored.documents):
            self._connection.execute(
                "INSERT INTO document VALUES (?, ?, ?, ?, ?, ?)",
                (kind, issuer, position, document.secured, document.proof, _digest(document.secured, document.proof)),
            )

    def _stored(self, row: tuple[object, ...]) -> StoredList:
        match row:
            case (
                str(kind),
                bytes(issuer),
                int(generation_time),
                (int() | None) as sequence,
                (int() | None) as this_update,
                bytes(digest),
            ) if len(issuer) == 8 and len(digest) == 32 and kind in _KINDS:
                mark = ListMark(
                    generation_time=Time64(generation_time),
                    sequence=sequence,
                    this_update=None if this_update is None else Time32(this_update),
                    digest=digest,
                )
                documents = self._documents(kind, issuer)
                return StoredList(kind=_KINDS[kind], issuer=HashedId8(issuer), mark=mark, documents=documents)
        raise self._damaged("something else stands where a list should be")

    def _documents(self, kind: str, issuer: bytes) -> tuple[ListDocument, ...]:
        rows = self._connection.execute(
            "SELECT secured, proof, digest FROM document WHERE kind = ? AND issuer = ? ORDER BY position LIMIT ?",
            (kind, issuer, MAX_DELTAS + 2),
        )
        documents = []
        for row in rows:
            match row:
                case (bytes(secured), (bytes() | None) as proof, bytes(digest)) if digest == _digest(secured, proof):
                    documents.append(ListDocument(secured=secured, proof=proof))
                case _:
                    raise self._damaged(f"a list of {issuer.hex()} is not what was saved")
        return tuple(documents)


_KINDS = {kind.value: kind for kind in ListKind}


def open_trust_list_store(path: Path) -> TrustListStore:
    """Open a store, making an empty one where there is none; raises `StorageError`."""
    return TrustListStore(path) if path.exists() else TrustListStore.create(path)


def _digest(secured: bytes, proof: bytes | None) -> bytes:
    """Tell a document from what a broken disk makes of it; whether it may be believed is judged elsewhere."""
    return sha256(sha256(secured).digest() + (b"" if proof is None else sha256(proof).digest())).digest()
