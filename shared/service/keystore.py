"""Private keys in files: unencrypted PKCS#8 PEM that only its owner can read, written whole or not at all.

A key file open to group or world is refused, however it came to be. systemd hands services their keys in a credential directory;
there the group may read, because systemd grants the service's user access through an ACL whose mask shows as group bits. Left out:
PKCS#11 tokens and TPMs, which need no file.
"""

import os
import stat
import tempfile
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from shared.core.errors import ConfigError, StorageError
from shared.security.ecdsa import SoftwareSigner

MAX_KEY_FILE_OCTETS = 16_384
"""Octets of a key file; a PKCS#8 EC key has about 250."""

PRIVATE_MODE = 0o600
"""Mode of the key files written here."""

_OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO
_CREDENTIAL_OTHERS_MAY = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO


def read_key(path: Path) -> SoftwareSigner:
    """Read a private key.

    Raises:
        ConfigError: the file is absent, open to group or world, or no EC key on a curve of IEEE 1609.2.
    """
    return _read(path, _OTHERS_MAY)


def read_credential_key(credentials_directory: Path, name: str) -> SoftwareSigner:
    """Read a private key that systemd passed in `$CREDENTIALS_DIRECTORY` (`LoadCredential=name:...`); raises `ConfigError`.

    Args:
        credentials_directory: the directory systemd named.
        name: the credential's name, a plain file name.
    """
    if Path(name).name != name or name in ("", ".", ".."):
        raise ConfigError(str(credentials_directory), f"{name!r} is no credential name")
    return _read(credentials_directory / name, _CREDENTIAL_OTHERS_MAY)


def write_key(path: Path, signer: SoftwareSigner) -> None:
    """Write a private key into a new file of mode 0600.

    Raises:
        StorageError: the file exists (a key is never overwritten) or cannot be written.
    """
    pem = signer.native.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_new_file(path, pem, mode=PRIVATE_MODE)


def write_new_file(path: Path, octets: bytes, *, mode: int) -> None:
    """Create a file that appears complete, with its final mode, or not at all; raises `StorageError`, also when it exists."""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), mode)
                file.write(octets)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)
        finally:
            os.unlink(temporary)  # noqa: PTH108 - the name comes from mkstemp as text
        _sync_directory(path.parent)
    except FileExistsError:
        raise StorageError(str(path), "exists already and is not overwritten") from None
    except OSError as error:
        raise StorageError(str(path), f"cannot be written: {error.strerror or error}") from error


def read_bounded(path: Path, maximum: int) -> bytes:
    """Read a file of at most `maximum` octets; raises `ConfigError`."""
    try:
        with path.open("rb") as file:
            octets = file.read(maximum + 1)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror or error}") from error
    if len(octets) > maximum:
        raise ConfigError(str(path), f"has more than {maximum} octets")
    return octets


def _read(path: Path, forbidden_mode: int) -> SoftwareSigner:
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:  # a pipe must not hold us up
            mode = os.fstat(file.fileno()).st_mode
            pem = file.read(MAX_KEY_FILE_OCTETS + 1)
    except OSError as error:
        raise ConfigError(str(path), f"the private key cannot be read: {error.strerror or error}") from error
    if not stat.S_ISREG(mode):
        raise ConfigError(str(path), "is no regular file")
    if mode & forbidden_mode:
        raise ConfigError(
            str(path), f"the private key is open to others (mode {stat.S_IMODE(mode):04o}); make it yours alone: chmod 600"
        )
    if len(pem) > MAX_KEY_FILE_OCTETS:
        raise ConfigError(str(path), f"has more than {MAX_KEY_FILE_OCTETS} octets, so it is no private key")
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(str(path), "holds no unencrypted PKCS#8 private key in PEM") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigError(str(path), "holds a private key that is not an elliptic-curve key")
    try:
        return SoftwareSigner(key)
    except ConfigError as error:
        raise ConfigError(str(path), error.reason) from error


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
