"""The enrolled identity of somebody who is not a vehicle: a garage, an inspector, an insurer, at work with a key of its own.

    DIR/certificate.oer     the enrolment credential, with its role
    DIR/key.pem             its key, or DIR/key.uri, which names where the key is (`authority_keys`)

The key may also be in a key store that is named when it is used (`key_store`): a token, a TPM, a folder. The authority that issued
the credential comes from a trust directory, and the chain is checked before anything is signed: what is signed under a credential
that has ended, or that leads nowhere, nobody would believe.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.core.clock import Instant, UtcNs
from shared.core.errors import ConfigError, RecordError
from shared.core.itstime import time64_of, utc_of, utc_text
from shared.records.issuers import Issuer
from shared.security.certificate import Certificate, decode_certificate
from shared.security.sign import TicketCredential
from shared.security.trust_store import TrustStore
from shared.service.authority_keys import AuthorityKeys
from shared.service.key_uri import split_key_uri
from shared.service.record_issuers import issuer_of, trusted_issuer
from shared.service.record_key import EnrolledSigner
from shared.service.trust_directory import CERTIFICATE_FILE, read_certificate_file


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerIdentity:
    """Somebody enrolled, with the key at hand.

    Attributes:
        signer: signs under the credential.
        issuer: key and role in it, chained to a trusted root.
        trust: the roots it was chained to.
    """

    signer: EnrolledSigner
    issuer: Issuer
    trust: TrustStore

    def check_dated(self, utc: UtcNs) -> None:
        """Check that the credential was valid, down to the root, at the date of what is to be signed.

        Raises:
            RecordError: `certificate`: it was not, and nobody would believe the record.
        """
        certificate = decode_certificate(self.signer.certificate)
        begin, end = (utc_of(moment) for moment in (certificate.validity.start_time64, certificate.validity.end_time64))
        if not begin <= utc < end:
            raise RecordError(
                "certificate",
                f"the record is dated {utc_text(utc)}, when credential {certificate.hashed_id8.hex()} was not valid: it is from "
                f"{utc_text(begin)} to {utc_text(end)}",
            )
        trusted_issuer(self.signer.credential, roots=self.trust, at=utc)


@contextmanager
def open_issuer_identity(
    folder: Path,
    *,
    keys: str | None,
    key_name: str | None,
    trust: TrustStore,
    now: Instant,
    environment: Mapping[str, str] = os.environ,
) -> Iterator[IssuerIdentity]:
    """Open an enrolled identity; its key store is closed again on leaving.

    Args:
        folder: holds the credential, and its key unless `keys` is given.
        keys: URI of the key store that holds the key; relative paths start in the folder above `folder`.
        key_name: of the key there; by default the name of `folder`.
        trust: roots, and the authority that issued the credential.
        now: the present.
        environment: of the process, where systemd names the folder of its credentials.

    Raises:
        ConfigError: a file is absent, damaged or too open, the key is not there or not the credential's, or its authority unknown.
        RecordError: `certificate`: the credential is not valid now, or leads to no trusted root.
        TransportError: the token is locked or does not answer.
        UntrustedTimeError: the date is not known.
    """
    if keys is None and key_name is not None:
        raise ConfigError("--key-name", "is the name of a key in a key store, which --key names")
    certificate = read_certificate_file(folder / CERTIFICATE_FILE)
    authority = _authority(certificate, folder, trust)
    _check_is_valid(certificate, now)
    with AuthorityKeys(environment) as stores:
        if keys is None:
            key = stores.signer(folder)
        else:
            name = folder.resolve().name if key_name is None else key_name
            found = stores.store(keys, folder.resolve().parent).find(name)
            if found is None:
                raise ConfigError(split_key_uri(keys).name, f"the key store holds no key named {name[:64]!r}")
            key = found
        try:
            credential = TicketCredential(certificate=certificate, signer=key)
        except ConfigError as error:
            raise ConfigError(str(folder), error.reason) from error
        signer = EnrolledSigner(credential, authority=authority)
        trusted_issuer(signer.credential, roots=trust, at=now.require_utc())
        yield IssuerIdentity(signer=signer, issuer=issuer_of(certificate), trust=trust)


def _authority(certificate: Certificate, folder: Path, trust: TrustStore) -> Certificate:
    named = certificate.issuer.hashed_id8
    authority = None if named is None else trust.authorities.get(named)
    if authority is None:
        raise ConfigError(str(folder), "the authority that issued this credential is not in the trust directory (authorities/)")
    return authority


def _check_is_valid(certificate: Certificate, now: Instant) -> None:
    time64, validity = time64_of(now.require_utc()), certificate.validity
    name = f"credential {certificate.hashed_id8.hex()}"
    if time64 < validity.start_time64:
        begin = utc_text(utc_of(validity.start_time64))
        raise RecordError("certificate", f"{name} is valid only from {begin} on: nothing can be signed under it yet")
    if not validity.contains(time64):
        end = utc_text(utc_of(validity.end_time64))
        raise RecordError("certificate", f"{name} ended on {end}: nothing can be signed under it any more")
