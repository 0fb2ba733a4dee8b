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


class KeyDirectory:
    """A directory with one file for each key, which the first key makes.

    Args:
        directory: of mode 0700, or at least writable by nobody else.
        suffix: of the files: `.pem`.
        store: whose it is, for errors.

    Raises:
        ConfigError: the directory is none, or others may write into it.
    """

    def __init__(self, directory: Path, *, suffix: str, store: str) -> None:
        self._directory = directory
        self._suffix = suffix
        self._store = store
        self._check()

    def path(self, name: str) -> Path:
        """Return where a key is or would be; raises `ConfigError` where the name cannot be one."""
        check_key_name(name, self._store)
        return self._directory / f"{name}{self._suffix}"

    def path_of(self, name: str) -> Path | None:
        """Return where a key is, or None; raises `ConfigError` where the name cannot be one."""
        path = self.path(name)
        return path if os.path.lexists(path) else None

    def path_of_new(self, name: str) -> Path:
        """Return where a new key is to be written; the directory is there then.

        Raises:
            ConfigError: the name cannot be one.
            StorageError: the name is taken, there are `MAX_KEYS` keys, or the directory cannot be made.
        """
        if self.path_of(name) is not None:
            raise key_exists(self._store, name)
        if len(self.names()) >= MAX_KEYS:
            raise store_full(self._store)
        try:
            self._directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        except OSError as error:
            raise KeyStoreError(self._store, f"cannot be made: {error.strerror or error}") from error
        return self.path(name)

    def names(self) -> tuple[str, ...]:
        """Return the names of all keys, in order; raises `StorageError`."""
        try:
            found = [entry.name.removesuffix(self._suffix) for entry in self._directory.iterdir() if entry.suffix == self._suffix]
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise KeyStoreError(self._store, f"cannot be read: {error.strerror or error}") from error
        return tuple(sorted(filter(is_key_name, found)))

    def remove(self, name: str) -> None:
        """Remove a key's file.

        Raises:
            ConfigError: the name cannot be one.
            StorageError: no key has the name, or its file cannot be removed.
        """
        path = self.path(name)
        try:
            path.unlink()
            sync_directory(self._directory)
        except FileNotFoundError:
            raise key_absent(self._store, name) from None
        except OSError as error:
            raise KeyStoreError(self._store, f"the key {name!r} cannot be removed: {error.strerror or error}") from error

    def _check(self) -> None:
        try:
            mode = self._directory.stat().st_mode
        except FileNotFoundError:
            return
        except OSError as error:
            raise ConfigError(self._store, f"cannot be read: {error.strerror or error}") from error
        if not stat.S_ISDIR(mode):
            raise ConfigError(self._store, "is no directory")
        if mode & _OTHERS_MAY_WRITE:
            raise ConfigError(
                self._store, f"others may put keys there (mode {stat.S_IMODE(mode):04o}); make it yours alone: chmod 700"
            )


class FileKeyStore:
    """Keys in the files of one directory.

    Args:
        directory: see `KeyDirectory`.

    Raises:
        ConfigError: the directory is none, or others may write into it.
    """

    def __init__(self, directory: Path) -> None:
        self._name = f"file:{directory}"
        self._files = KeyDirectory(directory, suffix=KEY_SUFFIX, store=self._name)

    def __repr__(self) -> str:
        return f"FileKeyStore({self._name})"

    def generate(self, name: str, curve: Curve) -> SoftwareSigner:
        """Make a key from the operating system's random source and write it; raises as `KeyStore.generate`."""
        path = self._files.path_of_new(name)
        signer = SoftwareSigner.generate(curve)
        write_key(path, signer)
        return signer

    def find(self, name: str) -> SoftwareSigner | None:
        """Return the key of that name, or None; raises `ConfigError` where the file is damaged or open to others too."""
        path = self._files.path_of(name)
        return None if path is None else read_key(path)

    def names(self) -> tuple[str, ...]:
        """Return the names of all keys, in order; raises `StorageError`."""
        return self._files.names()

    def remove(self, name: str) -> None:
        """Remove a key for good; raises as `KeyStore.remove`."""
        self._files.remove(name)

    def close(self) -> None:
        """Do nothing; signers go on signing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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
        return read_credential_key(self._directory, name) if os.path.lexists(self._directory / name) else None

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
