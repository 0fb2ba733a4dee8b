"""A vehicle's records to be read, beside whoever writes them: by kind, with the certificates of all who signed.

What is read on consent is verified down to the vehicle's own keys: a file that somebody else could write to grants nothing.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

from shared.core.errors import DecodeError, RecordError, StorageError
from shared.records.consent import CONSENT_KINDS, Consent, read_consent
from shared.records.credential import VehicleCredential
from shared.records.data_answer import LoneRecord
from shared.records.issuers import Issuer, IssuerRole
from shared.records.kind import RecordKind
from shared.records.record import DisclosedRecord, verify_record
from shared.records.sd_jwt import Es256PublicKey, parse_sd_jwt
from shared.security.certificate import decode_certificate
from shared.service.database import open_read_only
from shared.service.spool import Spool
from shared.service.spool_format import SPOOL_FORMAT


class StoredToken(Protocol):
    """A record as it is stored."""

    @property
    def seq(self) -> int:
        """Its number."""
        ...

    @property
    def sd_jwt(self) -> str:
        """Its token, whole."""
        ...

    @property
    def salt(self) -> bytes:
        """Of its commitment."""
        ...

    @property
    def proof(self) -> bytes | None:
        """Its proof, None while there is none."""
        ...


class RecordArchive(Protocol):
    """A vehicle's records, to be read."""

    def of_kinds(self, kinds: Collection[RecordKind]) -> Iterator[StoredToken]:
        """Yield the records of some kinds in order."""
        ...

    def credentials(self) -> tuple[VehicleCredential, ...]:
        """Return the vehicle's credentials in the order they took over; the last one signs the next record."""
        ...

    def every_credential(self) -> tuple[VehicleCredential, ...]:
        """Return these, and those of everybody else who signed a record."""
        ...


def consent_of(archive: RecordArchive) -> Consent:
    """Read the state of consent from a vehicle's records, each of which must be signed under the vehicle's own credentials.

    Raises:
        RecordError: `signature`, `issuer`, ...: one is not.
        StorageError: the store failed.
    """
    issuers = own_issuers(archive.credentials())
    return read_consent(_own(stored, issuers) for stored in archive.of_kinds(CONSENT_KINDS))


def _own(stored: StoredToken, issuers: Mapping[str, Issuer]) -> DisclosedRecord:
    lone = lone_record(stored)
    issuer = issuers.get(lone.credential)
    if issuer is None:
        raise RecordError("issuer", f"record {stored.seq} on consent is not signed by the vehicle")
    return verify_record(lone.token, issuer)


def lone_record(stored: StoredToken) -> LoneRecord:
    """Return a stored record without its proof; raise `StorageError` if its token is none."""
    try:
        return LoneRecord(token=parse_sd_jwt(stored.sd_jwt), salt=stored.salt)
    except DecodeError as error:
        raise StorageError(f"record {stored.seq}", f"is damaged: {error}") from None


def own_issuers(credentials: Iterable[VehicleCredential]) -> dict[str, Issuer]:
    """Return by `kid` who a vehicle's own credentials are: the vehicle. Nothing is chained: they come from its own store.

    Raises:
        RecordError: `issuer`: one holds no key that records could be signed with.
    """
    issuers = {}
    for credential in credentials:
        try:
            key = Es256PublicKey(decode_certificate(credential.certificate).public_key().sec1)
        except DecodeError as error:
            raise RecordError("issuer", f"the vehicle's own credential {credential.id} is damaged: {error}") from None
        issuers[credential.id] = Issuer(key=key, role=IssuerRole.VEHICLE)
    return issuers


class SpoolArchive:
    """A spool as an archive."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def of_kinds(self, kinds: Collection[RecordKind]) -> Iterator[StoredToken]:
        """Yield the records of some kinds in order."""
        yield from self._spool.of_kinds(kinds)

    def credentials(self) -> tuple[VehicleCredential, ...]:
        """Return the vehicle's credentials in the order they took over; the last one signs the next record."""
        return self._spool.credentials()

    def every_credential(self) -> tuple[VehicleCredential, ...]:
        """Return these, and those of everybody else who signed a record."""
        return tuple(each.credential for each in self._spool.all_credentials())


@contextmanager
def reading(path: Path) -> Iterator[RecordArchive]:
    """Open a spool to be read, by whoever calls; raises `StorageError`."""
    with closing(Spool(path, open_read_only(path, SPOOL_FORMAT))) as spool:
        yield SpoolArchive(spool)
