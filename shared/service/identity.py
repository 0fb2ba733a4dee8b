"""A station's certificate from its folder, and the key that belongs to it from where the operator keeps it.

Under systemd the key comes as a credential (`LoadCredential=ticket.key:...`): root owns the file, and only the one service sees it,
in `$CREDENTIALS_DIRECTORY`. Without such a credential the key is `key.pem` in the folder, readable by its owner alone. A
certificate that our own trust directory does not vouch for, or that is for something else, is refused at the start: nobody would
believe what it signs. Left out: tokens, which need no file.
"""

from collections.abc import Mapping
from pathlib import Path

from shared.core.errors import ConfigError, VerificationError
from shared.core.ids import ItsAid
from shared.core.itstime import utc_of, utc_text
from shared.security.certificate_profiles import check_ticket_profile
from shared.security.chain import ChainVerifier
from shared.security.permissions import find_permission
from shared.security.region import NO_IDENTIFIED_AREAS, IdentifiedAreas
from shared.security.sign import TicketCredential
from shared.security.trust_store import TrustStore
from shared.service.keystore import read_credential_key
from shared.service.trust_directory import read_ticket

TICKET_KEY = "ticket.key"
"""Name of the systemd credential with the authorization ticket's key."""

ENROLMENT_KEY = "enrolment.key"
"""Name of the systemd credential with the enrolment credential's key."""

_CREDENTIALS_DIRECTORY = "CREDENTIALS_DIRECTORY"


def read_identity(directory: Path, *, credential: str, environment: Mapping[str, str]) -> TicketCredential:
    """Read a certificate and its key.

    Args:
        directory: holds `certificate.oer` and, where systemd passes no key, `key.pem`.
        credential: the name under which systemd would pass the key: `TICKET_KEY` or `ENROLMENT_KEY`.
        environment: the environment of the process, where systemd names the folder of its credentials.

    Raises:
        ConfigError: a file is absent, damaged or too open, or key and certificate do not belong together.
    """
    named = environment.get(_CREDENTIALS_DIRECTORY)
    if named is None or not (Path(named) / credential).exists():
        return read_ticket(directory)
    return read_ticket(directory, signer=read_credential_key(Path(named), credential))


def describe_ticket(ticket: TicketCredential) -> str:
    """Return who a ticket says one is, and until when, as words for an operator."""
    certificate = ticket.certificate
    from_utc, until_utc = utc_of(certificate.validity.start_time64), utc_of(certificate.validity.end_time64)
    return f"ticket {certificate.hashed_id8.hex()}, valid {utc_text(from_utc)[:16]}Z to {utc_text(until_utc)[:16]}Z"


def check_ticket(
    ticket: TicketCredential, *, directory: Path, trust_store: TrustStore, areas: IdentifiedAreas, services: tuple[ItsAid, ...]
) -> None:
    """Check that receivers who trust the same roots can believe what a ticket signs; whether it is valid now is not asked.

    Where the operator pins no root, only lists say who the roots are, and the ticket's chain cannot be followed yet.

    Args:
        ticket: as `read_identity` returned it.
        directory: where it was read from, for the error.
        trust_store: our own roots and authorities.
        areas: the shapes of identified regions.
        services: what it is going to sign.

    Raises:
        ConfigError: it is no authorization ticket, leads to no trusted root, or lacks a permission.
    """
    certificate = ticket.certificate
    verifier = ChainVerifier(trust_store=trust_store, areas=areas)
    try:
        check_ticket_profile(certificate)
        if trust_store.roots:
            verifier.check_ticket(certificate, certificate.validity.start_time64)
        for service in services:
            find_permission(certificate.tbs.app_permissions or (), service)
    except VerificationError as error:
        raise ConfigError(str(directory), f"is no ticket others could believe: {error.detail}") from error


def check_enrolment(credential: TicketCredential, *, directory: Path, trust_store: TrustStore) -> None:
    """Check that whoever trusts the same roots can believe records signed under a credential; validity now is not asked.

    Args:
        credential: as `read_identity` returned it.
        directory: where it was read from, for the error.
        trust_store: our own roots and authorities.

    Raises:
        ConfigError: it is no enrolment credential, or leads to no trusted root.
    """
    certificate = credential.certificate
    verifier = ChainVerifier(trust_store=trust_store, areas=NO_IDENTIFIED_AREAS)
    try:
        verifier.check_enrolment_credential(certificate, certificate.validity.start_time64)
    except VerificationError as error:
        raise ConfigError(str(directory), f"is no enrolment credential others could believe: {error.detail}") from error
