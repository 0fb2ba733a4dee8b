"""Certificates in directories.

    DIR/roots/*.oer                        roots the operator trusts
    DIR/authorities/*.oer                  authorities below them           -> TrustStore
    DIR/tlm/*.oer                          trust list managers

    DIR/certificate.oer, DIR/key.pem       a ticket or enrolment credential -> TicketCredential, Certificate + key
    DIR/encryption-key.pem                 beside those of an authority

Every file is one COER certificate and nothing else; one bad file spoils the directory, because a root silently skipped is a
surprise nobody needs. Left out: trust lists (`trust_list_store`).
"""

from pathlib import Path

from shared.core.errors import ConfigError, DecodeError, StorageError
from shared.pki.authority import AuthorityCredential
from shared.security.certificate import MAX_CERTIFICATE_OCTETS, Certificate, decode_certificate
from shared.security.ecdsa import Signer, SoftwareSigner
from shared.security.sign import TicketCredential
from shared.security.trust_store import MAX_TRUST_STORE_CERTIFICATES, TrustStore
from shared.service.keystore import read_bounded, read_key, write_key, write_new_file

ROOTS = "roots"
AUTHORITIES = "authorities"
MANAGERS = "tlm"
"""Folder of the trust list managers the operator trusts."""

CERTIFICATE_FILE = "certificate.oer"
KEY_FILE = "key.pem"
ENCRYPTION_KEY_FILE = "encryption-key.pem"

_PUBLIC_MODE = 0o644
_PRIVATE_DIRECTORY_MODE = 0o700
_PUBLIC_DIRECTORY_MODE = 0o755


def read_certificate_file(path: Path) -> Certificate:
    """Read one certificate; raises `ConfigError` naming the file."""
    try:
        return decode_certificate(read_bounded(path, MAX_CERTIFICATE_OCTETS))
    except DecodeError as error:
        raise ConfigError(str(path), f"is no certificate: {error}") from error


def read_trust_directory(directory: Path) -> TrustStore:
    """Read a trust directory.

    Raises:
        ConfigError: it has no root, or a file in it is not what it should be.
    """
    if not directory.is_dir():
        raise ConfigError(str(directory), "cannot be read: there is no such folder")
    roots = tuple(read_certificates(directory / ROOTS).values())
    if not roots:
        raise ConfigError(str(directory / ROOTS), "holds no root certificate (*.oer): nobody could be trusted")
    authorities = tuple(read_certificates(directory / AUTHORITIES).values())
    try:
        return TrustStore.of_operator(roots, authorities)
    except ConfigError as error:
        raise ConfigError(str(directory), error.reason) from error


def write_trust_directory(directory: Path, trust_store: TrustStore) -> None:
    """Write a new trust directory, files named by identifier; raises `StorageError`."""
    for kind, certificates in ((ROOTS, trust_store.roots), (AUTHORITIES, trust_store.authorities)):
        make_directory(directory / kind, private=False)
        for identifier, certificate in certificates.items():
            write_new_file(directory / kind / f"{identifier.hex().upper()}.oer", certificate.encoded, mode=_PUBLIC_MODE)


def read_ticket(directory: Path, *, signer: SoftwareSigner | None = None) -> TicketCredential:
    """Read a ticket (or an enrolment credential) and its key.

    Args:
        directory: holds `certificate.oer` and, unless `signer` is given, `key.pem`.
        signer: the key from elsewhere, such as a systemd credential.

    Raises:
        ConfigError: a file is absent, damaged or too open, or key and certificate do not belong together.
    """
    certificate = read_certificate_file(directory / CERTIFICATE_FILE)
    try:
        return TicketCredential(certificate=certificate, signer=signer or read_key(directory / KEY_FILE))
    except ConfigError as error:
        raise error if error.path == str(directory / KEY_FILE) else ConfigError(str(directory), error.reason) from error


def write_ticket(directory: Path, certificate: Certificate, signer: SoftwareSigner) -> None:
    """Write a ticket or enrolment credential and its key into a directory of mode 0700; raises `StorageError`."""
    make_directory(directory, private=True)
    write_key(directory / KEY_FILE, signer)
    write_certificate(directory, certificate)


def read_authority(directory: Path, *, signer: Signer | None = None) -> AuthorityCredential:
    """Read an authority's certificate and keys.

    Args:
        directory: holds `certificate.oer`, `key.pem` unless `signer` is given, and `encryption-key.pem` except for roots.
        signer: the key from elsewhere (`authority_keys`).

    Raises:
        ConfigError: a file is absent, damaged or too open, or key and certificate do not belong together.
    """
    certificate = read_certificate_file(directory / CERTIFICATE_FILE)
    signer = signer or read_key(directory / KEY_FILE)
    encryption_path = directory / ENCRYPTION_KEY_FILE
    encryption_key = read_key(encryption_path) if encryption_path.exists() else None
    try:
        return AuthorityCredential(certificate=certificate, signer=signer, encryption_key=encryption_key)
    except ConfigError as error:
        raise ConfigError(str(directory), error.reason) from error


def write_certificate(directory: Path, certificate: Certificate) -> None:
    """Write a certificate beside the keys it is for; raises `StorageError`."""
    write_new_file(directory / CERTIFICATE_FILE, certificate.encoded, mode=_PUBLIC_MODE)


def make_directory(directory: Path, *, private: bool) -> None:
    """Make a directory and those above it; an existing one is left as it is; raises `StorageError`."""
    try:
        directory.mkdir(mode=_PRIVATE_DIRECTORY_MODE if private else _PUBLIC_DIRECTORY_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(str(directory), f"cannot be made: {error.strerror or error}") from error


def read_certificates(directory: Path) -> dict[Path, Certificate]:
    """Read every certificate file of a directory, by path in order; none where there is no such directory; raises `ConfigError`."""
    if not directory.exists():
        return {}
    try:
        paths = sorted(path for path in directory.iterdir() if path.suffix == ".oer")
    except OSError as error:
        raise ConfigError(str(directory), f"cannot be read: {error.strerror or error}") from error
    if len(paths) > MAX_TRUST_STORE_CERTIFICATES:
        raise ConfigError(str(directory), f"holds {len(paths)} certificates, at most {MAX_TRUST_STORE_CERTIFICATES} are allowed")
    return {path: read_certificate_file(path) for path in paths}
