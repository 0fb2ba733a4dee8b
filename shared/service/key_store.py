"""Where private keys live: one interface for files, PKCS#11 tokens and TPMs, and the URIs that say which.

    file:DIR                                                        PKCS#8 files of mode 0600
    credential:                                                     what systemd passed with LoadCredential=
    pkcs11:token=LABEL?module-path=FILE&pin-source=FILE             RFC 7512; keys are made in the token and never leave it
    tpm2:DIR?tcti=device:/dev/tpmrm0                                keys are made in the TPM; DIR holds them wrapped for it alone

Relative paths are taken from the folder of the configuration. A PIN comes from a file of mode 0600 or from a systemd credential
(`pin-source=credential:NAME`), never from the URI. `pkcs11:` and `tpm2:` need the extras `pkcs11` and `tpm`; nothing of them is
imported before it is needed. A signer may be used from one thread at a time.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, Self

from shared.core.errors import ConfigError
from shared.security.ecdsa import Curve, Signer
from shared.service.file_keys import CredentialKeyStore, FileKeyStore
from shared.service.key_uri import PIN_SOURCE, KeyUri, path_from, read_pin, split_key_uri

CREDENTIALS_DIRECTORY = "CREDENTIALS_DIRECTORY"
"""Where systemd says which directory holds a service's credentials."""


class KeyStore(Protocol):
    """Holds private keys by name; a context manager that closes it at the end."""

    def generate(self, name: str, curve: Curve) -> Signer:
        """Make a key, keep it under a new name, and return it.

        Raises:
            ConfigError: the name cannot be one, or keys of that curve cannot be made here.
            StorageError: the name is taken, or the store is full or cannot be written.
            TransportError: the token does not answer, is locked or went away.
        """
        ...

    def find(self, name: str) -> Signer | None:
        """Return the key of that name, or None.

        Raises:
            ConfigError: the name cannot be one, or what has it is no key for us.
            TransportError: the token does not answer, is locked or went away.
        """
        ...

    def names(self) -> tuple[str, ...]:
        """Return the names of all keys, in order; raises `StorageError` and `TransportError`."""
        ...

    def remove(self, name: str) -> None:
        """Remove a key for good.

        Raises:
            ConfigError: the name cannot be one.
            StorageError: no key has the name, or it cannot be removed.
            TransportError: the token does not answer, is locked or went away.
        """
        ...

    def close(self) -> None:
        """Give the token back; its signers sign no more. Closing twice is harmless."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def open_key_store(uri: str, base: Path, *, environment: Mapping[str, str] = os.environ) -> KeyStore:
    """Open the store that a URI names.

    Args:
        uri: see above.
        base: the folder relative paths start from.
        environment: of the process, where systemd names the folder of its credentials.

    Raises:
        ConfigError: the URI is none of ours, an extra is not installed, or a file, module or token is absent or the PIN wrong.
        TransportError: the token is locked, or does not answer.
    """
    parts = split_key_uri(uri)
    credentials = environment.get(CREDENTIALS_DIRECTORY)
    folder = None if credentials is None else Path(credentials)
    match parts.scheme:
        case "file":
            parts.check_attributes(path=(), query=())
            return FileKeyStore(path_from(base, parts.location))
        case "credential":
            return _credentials(parts, folder)
        case "pkcs11":
            return _pkcs11(parts, base, folder)
        case "tpm2":
            return _tpm(parts, base, folder)
    raise ConfigError(f"{parts.scheme[:64]}", "is no key store; file:, credential:, pkcs11: and tpm2: are")


def _credentials(uri: KeyUri, credentials: Path | None) -> KeyStore:
    uri.check_attributes(path=(), query=())
    if uri.location:
        raise ConfigError("credential", "nothing may follow the colon")
    if credentials is None:
        raise ConfigError("credential", "systemd passed no credentials to this program (LoadCredential= in its unit)")
    return CredentialKeyStore(credentials)


def _pkcs11(uri: KeyUri, base: Path, credentials: Path | None) -> KeyStore:
    uri.check_attributes(path=("token", "serial", "module-path"), query=("module-path", PIN_SOURCE))
    label, module, source = uri.needed("token"), uri.needed("module-path"), uri.needed(PIN_SOURCE)
    try:
        from shared.service.pkcs11_keys import Pkcs11KeyStore  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise _no_extra("pkcs11", "python-pkcs11", "pkcs11") from error
    pin = read_pin(source, base, credentials, store=uri.name)
    return Pkcs11KeyStore(
        module_path=path_from(base, module), label=label, serial=uri.path.get("serial"), pin=pin, pin_source=source
    )


def _tpm(uri: KeyUri, base: Path, credentials: Path | None) -> KeyStore:
    uri.check_attributes(path=(), query=("tcti", PIN_SOURCE))
    if not uri.location:
        raise ConfigError("tpm2", "names no directory for the wrapped keys (tpm2:DIR)")
    try:
        from shared.service.tpm_keys import DEFAULT_TCTI, TpmKeyStore  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise _no_extra("tpm2", "tpm2-pytss", "tpm") from error
    source = uri.query.get(PIN_SOURCE)
    pin = None if source is None else read_pin(source, base, credentials, store=uri.name)
    tcti = uri.query.get("tcti", DEFAULT_TCTI)
    return TpmKeyStore(path_from(base, uri.location), tcti=tcti, pin=pin, pin_source=source or "")


def _no_extra(scheme: str, package: str, extra: str) -> ConfigError:
    return ConfigError(
        scheme, f"needs {package}, which is not installed; it comes with the extra {extra!r}: pip install 'v2x-trust[{extra}]'"
    )
