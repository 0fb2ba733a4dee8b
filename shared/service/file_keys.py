"""Key stores made of files: a directory of ours, and the credentials that systemd hands a service.

    DIR/NAME.pem      PKCS#8, mode 0600, in a directory that only its owner may change

Credentials are root's; they can be used but neither made nor removed here. Both hand out keys that live in this program's memory:
what a signer of theirs signs, whoever can read this memory can sign too. Left out: keys in tokens.
"""

import os
import stat
from pathlib import Path
from typing import NoReturn, Self

from shared.core.errors import ConfigError, StorageError
from shared.security.ecdsa import Curve, SoftwareSigner
from shared.service.key_errors import MAX_KEYS, KeyStoreError, check_key_name, is_key_name, key_absent, key_exists, store_full
from shared.service.keystore import read_credential_key, read_key, sync_directory, write_key

KEY_SUFFIX = ".pem"

_DIRECTORY_MODE = 0o700
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


class FileKeyStore:
    """Keys in the files of one directory, which the first key makes.

    Args:
        directory: of mode 0700, or at least writable by nobody else.

    Raises:
        ConfigError: the directory is none, or others may write into it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._name = f"file:{directory}"
        self._check_directory()

    def __repr__(self) -> str:
        return f"FileKeyStore({self._name})"

    def generate(self, name: str, curve: Curve) -> SoftwareSigner:
        """Make a key from the operating system's random source and write it.

        Raises:
            ConfigError: the name cannot be one.
            StorageError: the name is taken, or the file cannot be written.
        """
        path = self._path(name)
        if path.exists():
            raise key_exists(self._name, name)
        if len(self.names()) >= MAX_KEYS:
            raise store_full(self._name)
        signer = SoftwareSigner.generate(curve)
        try:
            self._directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        except OSError as error:
            raise KeyStoreError(self._name, f"cannot be made: {error.strerror or error}") from error
        write_key(path, signer)
        return signer

    def find(self, name: str) -> SoftwareSigner | None:
        """Return the key of that name, or None.

        Raises:
            ConfigError: the name cannot be one, or the file is damaged or open to others.
        """
        path = self._path(name)
        return read_key(path) if _is_there(path) else None

    def names(self) -> tuple[str, ...]:
        """Return the names of all keys, in order; raises `StorageError`."""
        try:
            found = [entry.name.removesuffix(KEY_SUFFIX) for entry in self._directory.iterdir() if entry.suffix == KEY_SUFFIX]
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise KeyStoreError(self._name, f"cannot be read: {error.strerror or error}") from error
        return tuple(sorted(filter(is_key_name, found)))

    def remove(self, name: str) -> None:
        """Remove a key for good.

        Raises:
            ConfigError: the name cannot be one.
            StorageError: no key has the name, or its file cannot be removed.
        """
        path = self._path(name)
        try:
            path.unlink()
            sync_directory(self._directory)
        except FileNotFoundError:
            raise key_absent(self._name, name) from None
        except OSError as error:
            raise KeyStoreError(self._name, f"the key {name!r} cannot be removed: {error.strerror or error}") from error

    def close(self) -> None:
        """Do nothing; signers go on signing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _path(self, name: str) -> Path:
        check_key_name(name, self._name)
        return self._directory / f"{name}{KEY_SUFFIX}"

    def _check_directory(self) -> None:
        try:
            mode = self._directory.stat().st_mode
        except FileNotFoundError:
            return
        except OSError as error:
            raise ConfigError(self._name, f"cannot be read: {error.strerror or error}") from error
        if not stat.S_ISDIR(mode):
            raise ConfigError(self._name, "is no directory")
        if mode & _OTHERS_MAY_WRITE:
            raise ConfigError(
                self._name, f"others may put keys there (mode {stat.S_IMODE(mode):04o}); make it yours alone: chmod 700"
            )


class CredentialKeyStore:
    """The keys that systemd passed to this service with `LoadCredential=NAME:...`.

    Args:
        directory: `$CREDENTIALS_DIRECTORY`.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __repr__(self) -> str:
        return "CredentialKeyStore()"

    def generate(self, name: str, curve: Curve) -> NoReturn:  # noqa: ARG002 - what every store is asked
        """Make no key: these come from the operator; raises `StorageError`."""
        raise StorageError("credential:", f"a key named {name[:64]!r} cannot be made here: systemd only passes keys to a service")

    def find(self, name: str) -> SoftwareSigner | None:
        """Return the key of that name, or None.

        Raises:
            ConfigError: the name cannot be one, or the credential is no key.
        """
        check_key_name(name, "credential:")
        return read_credential_key(self._directory, name) if _is_there(self._directory / name) else None

    def names(self) -> tuple[str, ...]:
        """Return the names of all credentials that a key could have, in order; raises `StorageError`."""
        try:
            return tuple(sorted(filter(is_key_name, os.listdir(self._directory))))  # noqa: PTH208 - names are wanted
        except OSError as error:
            raise StorageError("credential:", f"systemd's credentials cannot be read: {error.strerror or error}") from error

    def remove(self, name: str) -> NoReturn:
        """Remove no key: these are the operator's; raises `StorageError`."""
        raise StorageError("credential:", f"the key {name[:64]!r} cannot be removed here: it is the operator's")

    def close(self) -> None:
        """Do nothing; signers go on signing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_there(path: Path) -> bool:
    """Whether a name is taken, be it by a link that leads nowhere."""
    return os.path.lexists(path)
