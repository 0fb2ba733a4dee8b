"""What goes wrong with key stores, each with a word for counters, and the names of keys.

    ConfigError          at the start: a URI, module, token, PIN or key that only the operator can put right
    KeyStoreError        a key that cannot be kept: token_full, key_exists, key_absent, storage
    TokenError           a token that worked fails now: token_locked, token_refused, token_gone, token_silent, token_failed; or it
                         was closed by this program: token_closed

A program that runs keeps on running through a `TokenError`, on what it has.
"""

import re
from typing import Literal

from shared.core.errors import ConfigError, StorageError, TransportError

MAX_KEYS = 4_096
"""Keys in one store."""

KeyFault = Literal["token_full", "key_exists", "key_absent", "storage"]
"""Words for a `KeyStoreError`."""

TokenFault = Literal["token_locked", "token_refused", "token_gone", "token_silent", "token_failed", "token_closed"]
"""Words for a `TokenError`; `token_refused` is about the PIN."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)


class KeyStoreError(StorageError):
    """A key cannot be kept or removed.

    Args:
        store: which store.
        reason: why, as a sentence without the store.
        kind: the word for counters.
    """

    def __init__(self, store: str, reason: str, kind: KeyFault = "storage") -> None:
        super().__init__(store, reason)
        self.kind = kind

    @property
    def code(self) -> KeyFault:
        """The word for counters."""
        return self.kind


class TokenError(TransportError):
    """A token does not do what it was asked for; later it may.

    Args:
        token: which one.
        reason: what happened and what the operator should do.
        kind: the word for counters.
    """

    def __init__(self, token: str, reason: str, kind: TokenFault) -> None:
        super().__init__(token, reason)
        self.kind = kind

    @property
    def code(self) -> TokenFault:
        """The word for counters."""
        return self.kind


def check_key_name(name: str, store: str) -> None:
    """Check that a name can stand in file names and labels alike: up to 64 of `a-z 0-9 . _ -`, the first a letter or digit.

    Raises:
        ConfigError: it is none.
    """
    if not is_key_name(name):
        raise ConfigError(store, f"{name[:64]!r} is no name for a key: up to 64 of a-z 0-9 . _ - are, after a letter or digit")


def is_key_name(name: str) -> bool:
    """Whether a key can have this name."""
    return _NAME.fullmatch(name) is not None


def key_exists(store: str, name: str) -> KeyStoreError:
    """Return the error for a name that is taken."""
    return KeyStoreError(store, f"holds a key named {name!r} already, which is not overwritten", "key_exists")


def key_absent(store: str, name: str) -> KeyStoreError:
    """Return the error for a name that nothing has."""
    return KeyStoreError(store, f"holds no key named {name!r}", "key_absent")


def store_full(store: str) -> KeyStoreError:
    """Return the error for a store that has as many keys as we allow."""
    return KeyStoreError(store, f"holds {MAX_KEYS} keys already; remove some", "token_full")
