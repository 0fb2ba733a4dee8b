"""What an authority remembers, in one SQLite file: the `Registry` of an enrolment authority, the kept answers of any.

    EnrolmentStore       stations, credentials, grants, answers        an enrolment authority's
    AnswerStore          answers                                       an authorization authority's, which must not know stations

What a method has kept is on disk when it returns, so a station that asks again after a power cut gets the answer it was given. The
operator's commands write into the same file while the authority runs; each reading sees the newest. Answers are forgotten when
their time is over or room is needed, the oldest first; grants when they are long past. Left out: published lists, and keys, which
lie elsewhere.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

from shared.codec.coer import CoerReader
from shared.core.errors import ConfigError, DecodeError, StorageError
from shared.core.ids import HashedId8
from shared.core.itstime import Time32
from shared.pki.management import MAX_ITS_ID_OCTETS
from shared.pki.permission_sets import StationRole
from shared.pki.policy import MAX_PRELOAD_S, MAX_TICKET_LIFETIME_S
from shared.pki.registry import IssuedCredential, RegisteredStation, StationStatus, its_id_text
from shared.security.certificate import Certificate, decode_certificate
from shared.security.ecdsa import PublicKey, encode_verification_key, read_verification_key
from shared.security.validity import Validity
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

MAX_STATIONS = 1_000_000
"""Stations one authority registers."""

MAX_CREDENTIALS = 4 * MAX_STATIONS
"""Enrolment credentials kept, past ones too: a message of years ago may have to be explained."""

MAX_KEPT_ANSWERS = 100_000
"""Answers kept for stations that ask again."""

MAX_SHOWN_CREDENTIALS = 1_000
"""Credentials of one station that are shown, the last ones."""

_ROWS_AT_ONCE = 256
"""Rows read at once, so that no reader keeps the file from being tidied."""

GRANT_MEMORY_S = MAX_PRELOAD_S + 4 * MAX_TICKET_LIFETIME_S
"""Seconds a grant is remembered beyond its end, counted to the begin of a new one, which may be as far ahead as a preload."""

_ANSWERS = """
    CREATE TABLE answer (request_hash BLOB PRIMARY KEY, answer BLOB NOT NULL, kept_until INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX answer_by_end ON answer (kept_until)
"""

ENROLMENT_FORMAT = DatabaseFormat(
    name="v2x-trust registry of an enrolment authority",
    application_id=0x7632_7872,  # "v2xr"
    version=1,
    schema=f"""
        {_ANSWERS};
        CREATE TABLE station (
            number INTEGER PRIMARY KEY,
            its_id BLOB NOT NULL UNIQUE,
            canonical_key BLOB NOT NULL,
            role TEXT NOT NULL,
            status TEXT NOT NULL
        );
        CREATE TABLE credential (
            number INTEGER PRIMARY KEY,
            hashed_id8 BLOB NOT NULL UNIQUE,
            its_id BLOB NOT NULL,
            certificate BLOB NOT NULL,
            is_revoked INTEGER NOT NULL DEFAULT 0
        );
        CREATE INDEX credential_of ON credential (its_id);
        CREATE INDEX credential_revoked ON credential (number) WHERE is_revoked;
        CREATE INDEX station_blocked ON station (number) WHERE status = 'blocked';
        CREATE TABLE granted (its_id BLOB NOT NULL, start_s INTEGER NOT NULL, end_s INTEGER NOT NULL);
        CREATE INDEX granted_to ON granted (its_id, end_s)
    """,
)

ANSWER_FORMAT = DatabaseFormat(
    name="v2x-trust store of an authority's answers",
    application_id=0x7632_7877,  # "v2xw"
    version=1,
    schema=_ANSWERS,
)


class AnswerStore(OpenDatabase):
    """Answers already given, in a file; make one with `open_answer_store`.

    Args:
        path: the file, for error messages.
        connection: open, checked.
        capacity: answers kept at most.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, *, capacity: int = MAX_KEPT_ANSWERS) -> None:
        super().__init__(path, connection)
        self._capacity = capacity

    def answer_to(self, request_hash: bytes) -> bytes | None:
        """Return the very octets answered before, or None."""
        row = self._one("SELECT answer FROM answer WHERE request_hash = ?", request_hash)
        return None if row is None else blob(self._path, row[0])

    def keep_answer(self, request_hash: bytes, answer: bytes, *, kept_until: Time32) -> None:
        """Keep an answer; when there is no room, the ones that may be forgotten first go first.

        Raises:
            StorageError: not kept, or not known whether kept.
        """
        with storage_errors(self._path), transaction(self._connection):
            self._connection.execute(
                "INSERT OR REPLACE INTO answer (request_hash, answer, kept_until) VALUES (?, ?, ?)",
                (request_hash, answer, kept_until),
            )
            self._connection.execute(
                "DELETE FROM answer WHERE request_hash IN (SELECT request_hash FROM answer ORDER BY kept_until, request_hash "
                "LIMIT max(0, (SELECT count(*) FROM answer) - ?))",
                (self._capacity,),
            )

    def forget_answers(self, now: Time32) -> int:
        """Forget the answers whose time is over and return how many there were."""
        with storage_errors(self._path):
            return self._connection.execute("DELETE FROM answer WHERE kept_until <= ?", (now,)).rowcount

    def counts(self) -> Mapping[str, int]:
        """Return how much is kept, for a status."""
        return {"answers": self._count("answer")}

    def _count(self, table: str, where: str = "1") -> int:
        row = self._one(f"SELECT count(*) FROM {table} WHERE {where}")  # noqa: S608 - names of our own tables
        if row is None or not isinstance(row[0], int):
            raise self._damaged("nothing can be counted")
        return row[0]

    def _last_number(self, table: str) -> int:
        """Return how many rows were ever put into a table from which none is taken."""
        row = self._one(f"SELECT max(number) FROM {table}")  # noqa: S608 - names of our own tables
        return row[0] if row is not None and isinstance(row[0], int) else 0


class EnrolmentStore(AnswerStore):
    """The registry of an enrolment authority; make one with `open_enrolment_store`."""

    def register(self, station: RegisteredStation) -> None:
        """Enter a station; entering the same again changes nothing, not even its status.

        Raises:
            ConfigError: it registered already with another key or role, an identifier empty or too long, or no room left.
            StorageError: the file failed.
        """
        name = f"station {its_id_text(station.its_id)}"
        if not 0 < len(station.its_id) <= MAX_ITS_ID_OCTETS:
            raise ConfigError(name, f"an identifier has 1 to {MAX_ITS_ID_OCTETS} octets")
        with storage_errors(self._path), transaction(self._connection):
            known = self.station(station.its_id)
            if known is not None:
                if known.canonical_key != station.canonical_key or known.role is not station.role:
                    raise ConfigError(
                        name, "is registered already, with another key or role; an exchanged key is registered with --replace"
                    )
                return
            if self._last_number("station") >= MAX_STATIONS:
                raise ConfigError(name, f"{MAX_STATIONS} stations are registered already; there is no room for more")
            self._connection.execute(
                "INSERT INTO station (its_id, canonical_key, role, status) VALUES (?, ?, ?, ?)",
                (station.its_id, _encoded_key(station.canonical_key), station.role.value, station.status.value),
            )

    def replace_key(self, station: RegisteredStation) -> tuple[HashedId8, ...]:
        """Let a station have another canonical key, and return its credentials: got with the old one, they are revoked now.

        Its status stays. With the key it has, nothing changes.

        Raises:
            ConfigError: it is not registered, or has another role.
            StorageError: the file failed.
        """
        name = f"station {its_id_text(station.its_id)}"
        with storage_errors(self._path), transaction(self._connection):
            known = self.station(station.its_id)
            if known is None:
                raise ConfigError(name, "is not registered here, so it has no key to be replaced")
            if known.role is not station.role:
                raise ConfigError(name, f"is registered as {known.role.value}; its key can be replaced, its role cannot")
            if known.canonical_key == station.canonical_key:
                return ()
            self._connection.execute(
                "UPDATE station SET canonical_key = ? WHERE its_id = ?", (_encoded_key(station.canonical_key), station.its_id)
            )
            held = tuple(
                HashedId8(blob(self._path, row[0]))
                for row in self._connection.execute(
                    "SELECT hashed_id8 FROM credential WHERE its_id = ? AND NOT is_revoked ORDER BY number", (station.its_id,)
                )
            )
            self._connection.execute("UPDATE credential SET is_revoked = 1 WHERE its_id = ?", (station.its_id,))
        return held

    def stations(self) -> Iterator[RegisteredStation]:
        """Yield the registered stations in the order they were registered."""
        last = 0
        while True:
            with storage_errors(self._path):
                rows = self._connection.execute(
                    "SELECT number, its_id FROM station WHERE number > ? ORDER BY number LIMIT ?", (last, _ROWS_AT_ONCE)
                ).fetchall()
            for _number, its_id in rows:
                station = self.station(blob(self._path, its_id))
                if station is not None:
                    yield station
            if len(rows) < _ROWS_AT_ONCE:
                return
            last = rows[-1][0]

    def stations_with(self, key: PublicKey) -> tuple[bytes, ...]:
        """Return the identifiers of the stations that have this canonical key."""
        with storage_errors(self._path):
            rows = self._connection.execute(
                "SELECT its_id FROM station WHERE canonical_key = ? ORDER BY number LIMIT ?", (_encoded_key(key), _ROWS_AT_ONCE)
            ).fetchall()
        return tuple(blob(self._path, row[0]) for row in rows)

    def credentials_of(self, its_id: bytes) -> tuple[IssuedCredential, ...]:
        """Return the credentials a station was issued last, the oldest of them first, at most `MAX_SHOWN_CREDENTIALS`."""
        with storage_errors(self._path):
            rows = self._connection.execute(
                "SELECT hashed_id8 FROM credential WHERE its_id = ? ORDER BY number DESC LIMIT ?", (its_id, MAX_SHOWN_CREDENTIALS)
            ).fetchall()
        found = (self.credential(HashedId8(blob(self._path, row[0]))) for row in reversed(rows))
        return tuple(each for each in found if each is not None)

    def set_status(self, its_id: bytes, status: StationStatus) -> None:
        """Block a station, or serve it again; raises `ConfigError` when it is not registered."""
        with storage_errors(self._path):
            cursor = self._connection.execute("UPDATE station SET status = ? WHERE its_id = ?", (status.value, its_id))
        if cursor.rowcount == 0:
            raise ConfigError(f"station {its_id_text(its_id)}", "is not registered here")

    def set_revoked(self, hashed_id8: HashedId8, *, is_revoked: bool) -> None:
        """Revoke an enrolment credential, or accept it again; raises `ConfigError` when it was not issued here."""
        with storage_errors(self._path):
            cursor = self._connection.execute(
                "UPDATE credential SET is_revoked = ? WHERE hashed_id8 = ?", (int(is_revoked), hashed_id8)
            )
        if cursor.rowcount == 0:
            raise ConfigError(f"credential {hashed_id8.hex()}", "was not issued here")

    def station(self, its_id: bytes) -> RegisteredStation | None:
        """Return a station by its canonical identifier, or None."""
        row = self._one("SELECT canonical_key, role, status FROM station WHERE its_id = ?", its_id)
        if row is None:
            return None
        try:
            return RegisteredStation(
                its_id=its_id,
                canonical_key=_decoded_key(blob(self._path, row[0])),
                role=StationRole(row[1]),
                status=StationStatus(row[2]),
            )
        except (DecodeError, ValueError) as error:
            raise self._damaged(f"a station is not what it should be: {error}") from error

    def credential(self, hashed_id8: HashedId8) -> IssuedCredential | None:
        """Return a credential this authority issued, or None."""
        row = self._one("SELECT its_id, certificate, is_revoked FROM credential WHERE hashed_id8 = ?", hashed_id8)
        if row is None:
            return None
        try:
            certificate = decode_certificate(blob(self._path, row[1]))
        except DecodeError as error:
            raise self._damaged(f"a credential is not what it should be: {error}") from error
        return IssuedCredential(its_id=blob(self._path, row[0]), certificate=certificate, is_revoked=row[2] != 0)

    def keep_credential(self, its_id: bytes, certificate: Certificate) -> None:
        """Keep a credential; keeping it again changes nothing.

        Raises:
            StorageError: the file is full, failed, or it is not known whether the credential was kept.
        """
        if self._last_number("credential") >= MAX_CREDENTIALS:
            raise StorageError(str(self._path), f"holds {MAX_CREDENTIALS} credentials; there is no room for more")
        with storage_errors(self._path):
            self._connection.execute(
                "INSERT OR IGNORE INTO credential (hashed_id8, its_id, certificate) VALUES (?, ?, ?)",
                (certificate.hashed_id8, its_id, certificate.encoded),
            )

    def credentials_issued(self, its_id: bytes) -> int:
        """Return how many credentials a station was ever issued."""
        row = self._one("SELECT count(*) FROM credential WHERE its_id = ?", its_id)
        return row[0] if row is not None and isinstance(row[0], int) else 0

    def tickets_granted(self, its_id: bytes, since: Time32, until: Time32) -> int:
        """Return how many grants of a station overlap the time from `since` up to, not including, `until`."""
        row = self._one("SELECT count(*) FROM granted WHERE its_id = ? AND end_s > ? AND start_s < ?", its_id, since, until)
        return row[0] if row is not None and isinstance(row[0], int) else 0

    def keep_grant(self, its_id: bytes, validity: Validity) -> None:
        """Count one ticket granted to a station, and forget its grants that are long past; raises `StorageError`."""
        start_s, end_s = validity.start, -(-validity.end_time64 // 1_000_000)
        with storage_errors(self._path), transaction(self._connection):
            self._connection.execute("INSERT INTO granted (its_id, start_s, end_s) VALUES (?, ?, ?)", (its_id, start_s, end_s))
            self._connection.execute("DELETE FROM granted WHERE its_id = ? AND end_s < ?", (its_id, start_s - GRANT_MEMORY_S))

    def counts(self) -> Mapping[str, int]:
        """Return how much is kept, for a status."""
        return {
            "stations": self._last_number("station"),
            "blocked": self._count("station", f"status = '{StationStatus.BLOCKED.value}'"),
            "credentials": self._last_number("credential"),
            "revoked": self._count("credential", "is_revoked"),
            **super().counts(),
        }


def open_answer_store(path: Path, connect: Connect = connect_sqlite) -> AnswerStore:
    """Open a file of answers, or make an empty one; raises `StorageError` when it is damaged or foreign, and leaves it as it is."""
    return AnswerStore(path, open_or_create(path, ANSWER_FORMAT, connect))


def open_enrolment_store(path: Path, connect: Connect = connect_sqlite) -> EnrolmentStore:
    """Open the registry of an enrolment authority, or make an empty one; raises as `open_answer_store` does."""
    return EnrolmentStore(path, open_or_create(path, ENROLMENT_FORMAT, connect))


def _encoded_key(key: PublicKey) -> bytes:
    return encode_verification_key(key.curve, key.point.compressed)


def _decoded_key(octets: bytes) -> PublicKey:
    reader = CoerReader(octets)
    curve, point = read_verification_key(reader, "canonical_key")
    reader.finish("canonical_key")
    return PublicKey.from_point(curve, point)
