"""What a trust list manager and a root have published, in one SQLite file: lists, certificates, what is revoked, and the numbers.

A document goes in when it is signed and counts as published once the transparency log has it: what a power cut left between the
two is logged at the next start, so no number of a sequence is ever signed twice. Several programs may publish into one file;
`publishing` lets one of them look and sign at a time. Left out: what the documents say (`shared.pki.list_publisher`), and the log.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from pathlib import Path

from shared.core.errors import ConfigError
from shared.core.ids import HashedId8
from shared.core.itstime import Time32
from shared.security.crl import MAX_CRL_ENTRIES
from shared.service.database import (
    Connect,
    DatabaseFormat,
    OpenDatabase,
    blob,
    connect_sqlite,
    open_or_create,
    storage_errors,
    transaction,
)

KEPT_LISTS = 512
"""Lists of one kind and issuer kept, the newest: two rounds of the sequence of a CTL."""

MAX_SETTING_CHARACTERS = 1_024

LISTS_FORMAT = DatabaseFormat(
    name="v2x-trust store of published lists",
    application_id=0x7632_7870,  # "v2xp"
    version=1,
    schema="""
        CREATE TABLE document (
            number INTEGER PRIMARY KEY,
            kind TEXT NOT NULL,
            issuer BLOB NOT NULL,
            sequence INTEGER NOT NULL,
            octets BLOB NOT NULL,
            digest BLOB NOT NULL UNIQUE,
            begins_s INTEGER NOT NULL,
            ends_s INTEGER NOT NULL,
            log_index INTEGER
        );
        CREATE INDEX document_of ON document (kind, issuer, number);
        CREATE INDEX document_unlogged ON document (number) WHERE log_index IS NULL;
        CREATE TABLE revoked (hashed_id8 BLOB PRIMARY KEY) WITHOUT ROWID;
        CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID
    """,
)

_COLUMNS = "kind, issuer, sequence, octets, begins_s, ends_s"


class DocumentKind(Enum):
    """What a document is; the value is the word in the file."""

    CERTIFICATE = "certificate"
    ECTL = "ectl"
    CTL = "ctl"
    DELTA_CTL = "delta"
    CRL = "crl"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedDocument:
    """A signed list or a certificate.

    Attributes:
        issuer: who signed the list; of a certificate, the certificate itself.
        sequence: number of a CTL, 0..255; a running number of a CRL; 0 of a certificate.
        octets: as published and logged, verbatim.
        begins: when it was made.
        ends: when the next list is due, or the certificate runs out.
    """

    kind: DocumentKind
    issuer: HashedId8
    sequence: int
    octets: bytes
    begins: Time32
    ends: Time32

    @property
    def digest(self) -> bytes:
        """SHA-256 of the octets."""
        return sha256(self.octets).digest()


class PublishedLists(OpenDatabase):
    """The documents in a file; make one with `open_published_lists`.

    Args:
        path: the file, for error messages.
        connection: open, checked.
    """

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Let nobody else write until the block ends; what the block kept is on disk then, or, if it failed, nothing is."""
        with storage_errors(self._path), transaction(self._connection):
            yield

    def keep(self, documents: Sequence[PublishedDocument]) -> None:
        """Keep signed documents, not yet published; one kept before stays as it is. Called inside `publishing`."""
        with storage_errors(self._path):
            for document in documents:
                self._connection.execute(
                    "INSERT OR IGNORE INTO document (kind, issuer, sequence, octets, digest, begins_s, ends_s) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        document.kind.value,
                        document.issuer,
                        document.sequence,
                        document.octets,
                        document.digest,
                        document.begins,
                        document.ends,
                    ),
                )
                if document.kind is not DocumentKind.CERTIFICATE:
                    self._connection.execute(
                        "DELETE FROM document WHERE log_index IS NOT NULL AND number IN (SELECT number FROM document "
                        "WHERE kind = ? AND issuer = ? ORDER BY number DESC LIMIT -1 OFFSET ?)",
                        (document.kind.value, document.issuer, KEPT_LISTS),
                    )

    def changes(self) -> int:
        """Return a number that is another one when another program, or another opening of the file, has written since."""
        row = self._one("PRAGMA data_version")
        if row is None or not isinstance(row[0], int):
            raise self._damaged("it does not say whether it has changed")
        return row[0]

    def unlogged(self) -> tuple[PublishedDocument, ...]:
        """Return what is signed and not yet known to be logged, the oldest first."""
        with storage_errors(self._path):
            rows = self._connection.execute(f"SELECT {_COLUMNS} FROM document WHERE log_index IS NULL ORDER BY number").fetchall()  # noqa: S608 - our own columns
        return tuple(self._document(row) for row in rows)

    def note_logged(self, digest: bytes, index: int) -> None:
        """Take note of where the log has a document: it is published now."""
        with storage_errors(self._path):
            self._connection.execute("UPDATE document SET log_index = ? WHERE digest = ?", (index, digest))

    def log_index(self, digest: bytes) -> int | None:
        """Return where the log has a document, None if it does not or the document is not kept."""
        row = self._one("SELECT log_index FROM document WHERE digest = ?", digest)
        return row[0] if row is not None and isinstance(row[0], int) else None

    def knows(self, digest: bytes) -> bool:
        """Say whether a document is kept, published or not."""
        return self._one("SELECT 1 FROM document WHERE digest = ?", digest) is not None

    def last_log_index(self) -> int | None:
        """Return the highest place in the log that any document kept has, None where none is logged."""
        row = self._one("SELECT max(log_index) FROM document")
        return row[0] if row is not None and isinstance(row[0], int) else None

    def newest(self, kind: DocumentKind, issuer: HashedId8) -> PublishedDocument | None:
        """Return the newest published document of a kind and issuer."""
        return self._newest("kind = ? AND issuer = ? AND log_index IS NOT NULL", kind.value, issuer)

    def newest_signed(self, kind: DocumentKind, issuer: HashedId8) -> PublishedDocument | None:
        """Return the newest document of a kind and issuer, published or not: the next has the number after it."""
        return self._newest("kind = ? AND issuer = ?", kind.value, issuer)

    def by_sequence(self, kind: DocumentKind, issuer: HashedId8, sequence: int) -> PublishedDocument | None:
        """Return the newest published document of a kind and issuer with this number."""
        return self._newest("kind = ? AND issuer = ? AND sequence = ? AND log_index IS NOT NULL", kind.value, issuer, sequence)

    def revoke(self, hashed_id8: HashedId8) -> None:
        """Enter a certificate for the next CRL; raises `ConfigError` when no CRL could hold more."""
        if self._one("SELECT 1 FROM revoked LIMIT 1 OFFSET ?", MAX_CRL_ENTRIES - 1) is not None:
            raise ConfigError("revocation", f"a CRL holds at most {MAX_CRL_ENTRIES} certificates")
        with storage_errors(self._path):
            self._connection.execute("INSERT OR IGNORE INTO revoked (hashed_id8) VALUES (?)", (hashed_id8,))

    def revoked(self) -> tuple[HashedId8, ...]:
        """Return the identifiers of the revoked certificates, sorted."""
        with storage_errors(self._path):
            rows = self._connection.execute("SELECT hashed_id8 FROM revoked ORDER BY hashed_id8").fetchall()
        return tuple(HashedId8(blob(self._path, row[0])) for row in rows)

    def setting(self, name: str) -> str | None:
        """Return a word the operator chose once and that holds until it is changed."""
        row = self._one("SELECT value FROM setting WHERE name = ?", name)
        return row[0] if row is not None and isinstance(row[0], str) else None

    def set(self, name: str, value: str) -> None:
        """Keep a word the operator chose."""
        if len(value) > MAX_SETTING_CHARACTERS:
            raise ConfigError(name, f"has more than {MAX_SETTING_CHARACTERS} characters")
        with storage_errors(self._path):
            self._connection.execute("INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", (name, value))

    def _newest(self, where: str, *values: object) -> PublishedDocument | None:
        row = self._one(f"SELECT {_COLUMNS} FROM document WHERE {where} ORDER BY number DESC LIMIT 1", *values)  # noqa: S608 - our own columns
        return None if row is None else self._document(row)

    def _document(self, row: tuple[object, ...]) -> PublishedDocument:
        match row:
            case (str(kind), bytes(issuer), int(sequence), bytes(octets), int(begins), int(ends)) if kind in _KINDS:
                return PublishedDocument(
                    kind=DocumentKind(kind),
                    issuer=HashedId8(issuer),
                    sequence=sequence,
                    octets=octets,
                    begins=Time32(begins),
                    ends=Time32(ends),
                )
            case _:
                raise self._damaged("a document is not what it should be")


_KINDS = {kind.value for kind in DocumentKind}


def open_published_lists(path: Path, connect: Connect = connect_sqlite) -> PublishedLists:
    """Open a file of published lists, or make an empty one; raises `StorageError` when it is damaged or foreign."""
    return PublishedLists(path, open_or_create(path, LISTS_FORMAT, connect))
