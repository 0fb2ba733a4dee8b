"""Private keys in files: unencrypted PKCS#8 PEM that only its owner can read, written whole or not at all.

A key file open to group or world is refused, however it came to be. systemd hands services their keys in a credential directory;
there the group may read, because systemd grants the service's user access through an ACL whose mask shows as group bits. Left out:
PKCS#11 tokens and TPMs (`key_store`).
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
from shared.service.secret import SecretOctets

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
    return _read(path, may_group_read=False)


def read_credential_key(credentials_directory: Path, name: str) -> SoftwareSigner:
    """Read a private key that systemd passed in `$CREDENTIALS_DIRECTORY` (`LoadCredential=name:...`); raises `ConfigError`.

    Args:
        credentials_directory: the directory systemd named.
        name: the credential's name, a plain file name.
    """
    if Path(name).name != name or name in ("", ".", ".."):
        raise ConfigError(str(credentials_directory), f"{name!r} is no credential name")
    return _read(credentials_directory / name, may_group_read=True)


def write_key(path: Path, signer: SoftwareSigner) -> None:
    """Write a private key into a new file of mode 0600.

    Raises:
        StorageError: the file exists (a key is never overwritten) or cannot be written.
    """
    pem = SecretOctets(signer.native.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
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
        sync_directory(path.parent)
    except FileExistsError:
        raise StorageError(str(path), "exists already and is not overwritten") from None
    except OSError as error:
        raise StorageError(str(path), f"cannot be written: {error.strerror or error}") from error


def try_new_file(path: Path) -> None:
    """Try whether `write_new_file` could make a file, and leave nothing behind; raises `StorageError` as it does."""
    if os.path.lexists(path):
        raise StorageError(str(path), "exists already and is not overwritten")
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(descriptor)
        os.unlink(temporary)  # noqa: PTH108 - the name comes from mkstemp as text
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


def read_private_file(path: Path, maximum: int, *, what: str, may_group_read: bool) -> SecretOctets:
    """Read a small file that is closed to others.

    Args:
        path: the file.
        maximum: octets it may have.
        what: it holds, for errors.
        may_group_read: of a systemd credential, whose access list shows as group bits.

    Raises:
        ConfigError: it is absent, no regular file, too long, or open to others.
    """
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:  # a pipe must not hold us up
            mode = os.fstat(file.fileno()).st_mode
            octets = SecretOctets(file.read(maximum + 1))
    except OSError as error:
        raise ConfigError(str(path), f"the {what} cannot be read: {error.strerror or error}") from error
    if not stat.S_ISREG(mode):
        raise ConfigError(str(path), "is no regular file")
    if mode & (_CREDENTIAL_OTHERS_MAY if may_group_read else _OTHERS_MAY):
        raise ConfigError(
            str(path), f"the {what} is open to others (mode {stat.S_IMODE(mode):04o}); make it yours alone: chmod 600"
        )
    if len(octets) > maximum:
        raise ConfigError(str(path), f"has more than {maximum} octets, so it is no {what}")
    return octets


def sync_directory(path: Path) -> None:
    """Have a directory's changes of names reach the disk; raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path, *, may_group_read: bool) -> SoftwareSigner:
    pem = read_private_file(path, MAX_KEY_FILE_OCTETS, what="private key", may_group_read=may_group_read)
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
