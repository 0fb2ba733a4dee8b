"""Where an authority's signing key is: in its own folder, or in a key store that a file there names.

    DIR/key.pem    PKCS#8, mode 0600
    DIR/key.uri    mode 0600, two lines: the URI of a key store (`key_store`), and the name the key has there

Relative paths in the URI start from the folder above, so that a hierarchy with everything it names can be moved. The file names a
library that is loaded (`module-path`), so it must be its owner's alone like a key. Encryption keys stay in DIR/encryption-key.pem,
whatever holds the signing key: the tokens here sign and agree on no secrets (ECIES). An authority whose encryption key is stolen
betrays what stations asked it; it issues nothing.

A process opens each store once, however many authorities have their keys in it: some TPMs serve one connection.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from shared.core.errors import ConfigError, StorageError, V2xError
from shared.pki.authority import AuthorityCredential
from shared.pki.key_source import SigningKeySource, SystemKeySource
from shared.security.ecdsa import Curve, Signer, SoftwareSigner
from shared.service.key_errors import check_key_name
from shared.service.key_store import KeyStore, open_key_store
from shared.service.key_uri import MAX_URI_CHARACTERS, split_key_uri
from shared.service.keystore import read_key, read_private_file, write_key, write_new_file
from shared.service.trust_directory import (
    ENCRYPTION_KEY_FILE,
    KEY_FILE,
    make_directory,
    read_authority,
    write_certificate,
)

KEY_URI_FILE = "key.uri"

_MODE = 0o600
_MAX_OCTETS = 4 * MAX_URI_CHARACTERS + 128


def has_signing_key(directory: Path) -> bool:
    """Say whether the folder of an authority holds its signing key or names where it is."""
    return (directory / KEY_FILE).exists() or (directory / KEY_URI_FILE).exists()


class AuthorityKeys:
    """The key stores of this process's authorities: opened when first needed, closed at the end.

    Args:
        environment: of the process, where systemd names the folder of its credentials.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        self._stores: dict[tuple[str, Path], KeyStore] = {}

    def credential(self, directory: Path) -> AuthorityCredential:
        """Return the certificate and keys of an authority; its signer works until these keys are closed; raises as `signer`."""
        return read_authority(directory, signer=self.signer(directory))

    def signer(self, directory: Path) -> Signer:
        """Return the signing key of an authority, which may have no certificate yet; it works until these keys are closed.

        Raises:
            ConfigError: a file is absent, damaged or too open, or a token or the key in it is not there.
            TransportError: the token is locked or does not answer.
        """
        path = directory / KEY_URI_FILE
        if not path.exists():
            return read_key(directory / KEY_FILE)
        if (directory / KEY_FILE).exists():
            raise ConfigError(str(directory), f"holds both {KEY_FILE} and {KEY_URI_FILE}; remove the one that is not meant")
        uri, name = _read(path)
        signer = self.store(uri, directory.parent).find(name)
        if signer is None:
            raise ConfigError(str(path), f"the key store {split_key_uri(uri).name} holds no key named {name!r}")
        return signer

    def store(self, uri: str, base: Path) -> KeyStore:
        """Return an open store; raises as `open_key_store`."""
        known = self._stores.get((uri, base))
        if known is None:
            known = self._stores[uri, base] = open_key_store(uri, base, environment=self._environment)
        return known

    def close(self) -> None:
        """Close every store."""
        while self._stores:
            self._stores.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class NewAuthorityKeys:
    """Makes the signing keys of new authorities, in memory or in a store, and writes what belongs to each into its folder.

    Args:
        store: where keys are made; None for a file in the folder of each.
        uri: of the store, as it is to be found again from the folder above an authority's.
    """

    def __init__(self, store: KeyStore | None, uri: str) -> None:
        self._store = store
        self._uri = uri
        self._made: list[str] = []

    def source(self, name: str) -> SigningKeySource:
        """Return where the key of an authority comes from."""
        return SystemKeySource() if self._store is None else _StoredKeySource(self._store, name, self._made)

    def write(self, directory: Path, name: str, credential: AuthorityCredential) -> None:
        """Write an authority; raises `StorageError`."""
        self.write_keys(directory, name, credential.signer, credential.encryption_key)
        write_certificate(directory, credential.certificate)

    def write_keys(self, directory: Path, name: str, signer: Signer, encryption_key: SoftwareSigner | None) -> None:
        """Write the keys of an authority that has no certificate yet.

        Raises:
            StorageError: a file exists or cannot be written, or the key lives in a token and has no file form.
        """
        make_directory(directory, private=True)
        if self._store is not None:
            write_new_file(directory / KEY_URI_FILE, f"{self._uri}\n{name}\n".encode(), mode=_MODE)
        elif isinstance(signer, SoftwareSigner):
            write_key(directory / KEY_FILE, signer)
        else:
            raise StorageError(str(directory), "the authority's key does not leave its token")
        if encryption_key is not None:
            write_key(directory / ENCRYPTION_KEY_FILE, encryption_key)

    def discard(self) -> None:
        """Remove the keys that were made here: the authorities they were for have not come to be."""
        while self._made and self._store is not None:
            with suppress(V2xError):  # the token went away: its operator finds a key there that nobody uses
                self._store.remove(self._made.pop())


class _StoredKeySource:
    """Makes one key in a store, under its name."""

    def __init__(self, store: KeyStore, name: str, made: list[str]) -> None:
        self._store = store
        self._name = name
        self._made = made

    def generate(self, curve: Curve) -> Signer:
        signer = self._store.generate(self._name, curve)
        self._made.append(self._name)
        return signer


def _read(path: Path) -> tuple[str, str]:
    octets = read_private_file(path, _MAX_OCTETS, what="name of a key", may_group_read=False)
    try:
        lines = octets.decode().split("\n")
    except UnicodeDecodeError:
        lines = []
    if len(lines) < 2 or any(lines[2:]):
        raise ConfigError(str(path), "does not hold two lines, the URI of a key store and the name of a key")
    uri, name = lines[0].strip(), lines[1].strip()
    split_key_uri(uri)
    check_key_name(name, str(path))
    return uri, name
