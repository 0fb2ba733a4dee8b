"""The URIs of key stores, and the PINs they point to: the subset of RFC 7512 that key stores need.

    SCHEME ":" LOCATION *(";" NAME "=" VALUE) ["?" NAME "=" VALUE *("&" NAME "=" VALUE)]

For `pkcs11:` there is no location, only attributes (RFC 7512 2.3). Values are percent-decoded UTF-8. A PIN in the URI itself
(`pin-value`) is refused, for a URI is seen by all who may read a configuration or a process list. No error repeats a value but a
file's path or a label. Left out: a pin-source that is a command.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from shared.core.errors import ConfigError
from shared.service.keystore import read_private_file
from shared.service.secret import SecretText

MAX_URI_CHARACTERS = 1_024
"""Characters of the URI of a key store."""

MAX_PIN_OCTETS = 256
"""Octets of a PIN."""

PIN_SOURCE = "pin-source"

_PIN_VALUE = "pin-value"
_CREDENTIAL = "credential:"
_FILE = "file:"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUri:
    """A URI taken apart.

    Attributes:
        scheme: in lower case.
        location: what follows the colon, decoded; empty for `pkcs11:`.
        path: attributes before the question mark.
        query: attributes behind it.
    """

    scheme: str
    location: str
    path: Mapping[str, str]
    query: Mapping[str, str]

    @property
    def name(self) -> str:
        """The URI without its query, for people."""
        attributes = ";".join(f"{name}={value}" for name, value in self.path.items())
        return f"{self.scheme}:{self.location}{attributes}"

    def needed(self, name: str) -> str:
        """Return an attribute from either side; raises `ConfigError` where it is missing."""
        value = self.query.get(name, self.path.get(name))
        if value is None:
            raise ConfigError(f"{self.scheme}", f"the attribute {name!r} is missing")
        return value

    def check_attributes(self, *, path: Iterable[str], query: Iterable[str]) -> None:
        """Check that no attribute is there that means nothing here; raises `ConfigError`."""
        for found, known in ((self.path, tuple(path)), (self.query, tuple(query))):
            for name in found:
                if name not in known:
                    usable = f"only {', '.join(known)} can stand there" if known else "none can stand there"
                    raise ConfigError(f"{self.scheme}", f"the attribute {name[:64]!r} means nothing here; {usable}")


def split_key_uri(uri: str) -> KeyUri:
    """Take the URI of a key store apart.

    Raises:
        ConfigError: it is no URI, or holds a PIN.
    """
    scheme, colon, rest = uri.partition(":")
    scheme = scheme.lower()
    if not colon or not scheme.isascii() or not scheme.isalnum():
        raise ConfigError("key store", "is no URI such as file:keys, credential:, pkcs11:token=... or tpm2:keys")
    if len(uri) > MAX_URI_CHARACTERS:
        raise ConfigError(f"{scheme}", f"the URI has more than {MAX_URI_CHARACTERS} characters")
    before, _, behind = rest.partition("?")
    location = ""
    if scheme != "pkcs11":
        location, _, before = before.partition(";")
    return KeyUri(
        scheme=scheme,
        location=_decoded(scheme, location, "the part behind the colon"),
        path=_attributes(scheme, before, ";"),
        query=_attributes(scheme, behind, "&"),
    )


def read_pin(source: str, base: Path, credentials: Path | None, *, store: str) -> SecretText:
    """Read a PIN: the first line of a file that nobody else can read.

    Args:
        source: `credential:NAME` of systemd, `file:PATH`, or a path.
        base: the folder a relative path starts from.
        credentials: the folder of systemd's credentials, where there is one.
        store: whose PIN it is, for errors.

    Raises:
        ConfigError: the file is absent, open to others, or holds no PIN.
    """
    if source.startswith("|"):
        raise ConfigError(store, "a PIN comes from a file or a systemd credential, not from a command (pin-source=|...)")
    if source.startswith(_CREDENTIAL):
        name = source.removeprefix(_CREDENTIAL)
        if credentials is None:
            raise ConfigError(store, f"its PIN is the credential {name!r}, but systemd passed none (LoadCredential= in the unit)")
        if Path(name).name != name or name in ("", ".", ".."):
            raise ConfigError(store, f"{name!r} is no credential name")
        path, may_group_read = credentials / name, True
    else:
        path, may_group_read = path_from(base, source.removeprefix(_FILE).removeprefix("//")), False
    octets = read_private_file(path, MAX_PIN_OCTETS + 2, what="PIN", may_group_read=may_group_read)
    try:
        pin = SecretText(octets.decode().splitlines()[0]) if octets else SecretText()
    except UnicodeDecodeError:
        raise ConfigError(str(path), "holds no PIN in UTF-8") from None
    if not pin:
        raise ConfigError(str(path), "holds no PIN in its first line")
    return pin


def path_from(base: Path, text: str) -> Path:
    """Return where a path of a URI leads: `..` takes back the name before it, so that `base` need not be there yet."""
    return Path(os.path.normpath(base / text))


def _attributes(scheme: str, text: str, separator: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, text.split(separator)):
        name, equals, value = part.partition("=")
        name = name.lower()
        if name == _PIN_VALUE:
            raise ConfigError(
                f"{scheme}", "holds a PIN (pin-value), which others can see; put it into a file and name that: pin-source="
            )
        if not equals or not value:
            raise ConfigError(f"{scheme}", f"the attribute {name[:64]!r} has no value")
        if name in found:
            raise ConfigError(f"{scheme}", f"the attribute {name[:64]!r} stands there twice")
        found[name] = _decoded(scheme, value, f"the attribute {name[:64]!r}")
    return found


def _decoded(scheme: str, text: str, what: str) -> str:
    try:
        decoded = unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{scheme}", f"{what} is no UTF-8") from None
    if not decoded.isprintable():
        raise ConfigError(f"{scheme}", f"{what} holds a character that cannot be shown")
    return decoded
