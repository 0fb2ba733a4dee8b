"""The vehicle's authorization tickets over night: certificates, their short-lived keys and which were used, in one SQLite file.

A key is stored before the request that names it leaves (`prepare`), so a power cut between request and answer loses no ticket that
was granted; the answer turns it into a ticket (`grant`). A ticket is marked used before it is used, so that no power cut makes it
count as unused again. What has run out is deleted, and SQLite overwrites what it deletes (`secure_delete`); the write-ahead log is
emptied after. What a flash memory keeps of it beneath the file system is beyond a program's reach.

Keys lie in the file as PKCS#8, readable by its owner alone: they sign ten times a second for a week at most, which no token of a
vehicle is made for. A damaged file is refused and left alone; without it the vehicle asks for new tickets under its enrolment.
"""

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key

from shared.core.errors import ConfigError, DecodeError, StorageError
from shared.core.ids import HashedId8
from shared.core.itstime import Time32, Time64, time32_of
from shared.security.certificate import Certificate, decode_certificate
from shared.security.ecdsa import PublicKey, SoftwareSigner
from shared.security.sign import TicketCredential
from shared.security.ticket_pool import MAX_TICKETS, TicketPolicy, TicketPool
from shared.service.database import (
    Connect,
    DatabaseFormat,
    OpenDatabase,
    blob,
    connect_sqlite,
    create_database,
    open_database,
    open_read_only,
    storage_errors,
    transaction,
)

REQUEST_KEPT_S = 604_800
"""A key whose request nobody answered is kept this long."""

TICKET_STORE_FORMAT = DatabaseFormat(
    name="v2x-trust ticket store",
    application_id=0x7632_7874,  # "v2xt"
    version=1,
    schema="""
        CREATE TABLE ticket (
            id INTEGER PRIMARY KEY,
            key_x BLOB NOT NULL UNIQUE,
            private_key BLOB NOT NULL,
            requested_at INTEGER NOT NULL,
            certificate BLOB,
            hashed_id8 BLOB UNIQUE,
            ends INTEGER,
            used INTEGER
        )
    """,
)

_OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedKey:
    """A key whose ticket has been asked for, or is about to be, and since when."""

    signer: SoftwareSigner
    requested_at: Time32


class TicketStore(OpenDatabase):
    """Tickets in a file; make one with `open_ticket_store`. It keeps the uses of the pool it fills.

    Args:
        path: the file, for error messages.
        connection: open, checked.
    """

    def prepare(self, signers: Iterable[SoftwareSigner], at: Time32) -> None:
        """Store fresh keys; when this returns they survive a power cut, and their requests may leave.

        Raises:
            StorageError: they could not be stored, or there would be more than `MAX_TICKETS`; none is stored then.
        """
        rows = [(signer.public_key.point.x, _encode_key(signer), at) for signer in signers]
        with storage_errors(self._path), transaction(self._connection):
            (held,) = self._connection.execute("SELECT count(*) FROM ticket").fetchone()
            if held + len(rows) > MAX_TICKETS:
                raise StorageError(str(self._path), f"is full: {held} tickets are there, {len(rows)} more are beyond {MAX_TICKETS}")
            for row in rows:
                self._connection.execute("INSERT INTO ticket (key_x, private_key, requested_at) VALUES (?, ?, ?)", row)

    def requested(self) -> tuple[RequestedKey, ...]:
        """Return the keys that have no ticket yet, oldest first."""
        rows = self._select("SELECT private_key, requested_at FROM ticket WHERE certificate IS NULL ORDER BY id")
        return tuple(RequestedKey(signer=self._decode_key(key), requested_at=Time32(self._integer(at))) for key, at in rows)

    def grant(self, certificate: Certificate) -> TicketCredential:
        """Store the ticket an authority issued for one of our keys; once more changes nothing.

        Raises:
            StorageError: there is no such key, or the ticket could not be stored.
        """
        key_x = certificate.tbs.verification_key.x
        rows = self._select("SELECT private_key FROM ticket WHERE key_x = ?", key_x)
        if not rows:
            raise StorageError(str(self._path), f"has no key for ticket {certificate.hashed_id8.hex()}")
        ticket = self._credential(certificate, rows[0][0])
        values = (certificate.encoded, certificate.hashed_id8, certificate.validity.end_time64, key_x)
        with storage_errors(self._path), transaction(self._connection):
            self._connection.execute("UPDATE ticket SET certificate = ?, hashed_id8 = ?, ends = ? WHERE key_x = ?", values)
        return ticket

    def abandon(self, public_key: PublicKey) -> None:
        """Delete a key whose request an authority has refused; one that has its ticket stays."""
        self._delete("key_x = ? AND certificate IS NULL", public_key.point.x)

    def tickets(self) -> tuple[TicketCredential, ...]:
        """Return every ticket granted, valid or not.

        Raises:
            StorageError: the file is damaged.
        """
        rows = self._select("SELECT certificate, private_key FROM ticket WHERE certificate IS NOT NULL ORDER BY id")
        return tuple(self._credential(self._decode_certificate(certificate), key) for certificate, key in rows)

    def used(self) -> tuple[HashedId8, ...]:
        """Return which tickets were used, the one used longest ago first."""
        rows = self._select("SELECT hashed_id8 FROM ticket WHERE certificate IS NOT NULL AND used IS NOT NULL ORDER BY used")
        return tuple(HashedId8(blob(self._path, row[0])) for row in rows)

    def pool(self, policy: TicketPolicy) -> TicketPool:
        """Fill a pool with the tickets; every use is kept here."""
        return TicketPool(self.tickets(), policy=policy, uses=self, used=self.used())

    def mark_used(self, hashed_id8: HashedId8) -> None:
        """Keep that a ticket is about to be used, as the latest of all; one that is not in the file is no matter."""
        with storage_errors(self._path), transaction(self._connection):
            self._connection.execute(
                "UPDATE ticket SET used = (SELECT coalesce(max(used), 0) + 1 FROM ticket) WHERE hashed_id8 = ?", (hashed_id8,)
            )

    def forget_expired(self, at: Time64) -> int:
        """Delete tickets that have run out and keys nobody answered for, with everything SQLite keeps of them; return how many."""
        return self._delete(
            "(certificate IS NOT NULL AND ends <= ?) OR (certificate IS NULL AND requested_at <= ?)",
            at,
            time32_of(at) - REQUEST_KEPT_S,
        )

    def _select(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with storage_errors(self._path):
            rows: list[tuple[object, ...]] = self._connection.execute(statement, values).fetchall()
        return rows

    def _delete(self, condition: str, *values: object) -> int:
        with storage_errors(self._path):
            with transaction(self._connection):
                deleted = self._connection.execute(f"DELETE FROM ticket WHERE {condition}", values).rowcount  # noqa: S608 - constants of this file
            if deleted:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return deleted

    def _integer(self, value: object) -> int:
        if not isinstance(value, int):
            raise self._damaged("something else stands where a number should be")
        return value

    def _credential(self, certificate: Certificate, key: object) -> TicketCredential:
        try:
            return TicketCredential(certificate=certificate, signer=self._decode_key(key))
        except ConfigError as error:
            raise self._damaged(f"{error.path}: {error.reason}") from error

    def _decode_certificate(self, value: object) -> Certificate:
        try:
            return decode_certificate(blob(self._path, value))
        except DecodeError as error:
            raise self._damaged(f"a ticket is not what it should be: {error}") from error

    def _decode_key(self, value: object) -> SoftwareSigner:
        try:
            key = load_der_private_key(blob(self._path, value), password=None)
            if isinstance(key, ec.EllipticCurvePrivateKey):
                return SoftwareSigner(key)
        except (ValueError, TypeError, UnsupportedAlgorithm, ConfigError):
            pass
        raise self._damaged("a private key is not what it should be")


def read_ticket_store(path: Path, *, connect: Connect = connect_sqlite) -> TicketStore:
    """Open an existing store only to look at it, beside a running agent; raises `StorageError` as `open_ticket_store`."""
    _check_mode(path)
    return TicketStore(path, open_read_only(path, TICKET_STORE_FORMAT, connect))


def _check_mode(path: Path) -> None:
    with storage_errors(path):
        mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _OTHERS_MAY:
        raise StorageError(str(path), f"holds private keys and is open to others (mode {mode:04o}); make it yours alone: chmod 600")


def _encode_key(signer: SoftwareSigner) -> bytes:
    return signer.native.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def open_ticket_store(path: Path, *, connect: Connect = connect_sqlite) -> TicketStore:
    """Open a store, or make an empty one, readable by its owner alone, if there is no such file.

    Raises:
        StorageError: the file is open to others, cut short, damaged or foreign; it is left as it is.
    """
    if not path.exists():
        create_database(path, TICKET_STORE_FORMAT, connect)
    _check_mode(path)
    connection = open_database(path, TICKET_STORE_FORMAT, connect)
    try:
        with storage_errors(path):
            connection.execute("PRAGMA secure_delete=ON").fetchall()
    except BaseException:
        connection.close()
        raise
    return TicketStore(path, connection)
