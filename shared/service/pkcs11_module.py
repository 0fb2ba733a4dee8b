"""A PKCS#11 module of this process: loaded and initialised once, asked by one thread, given back by its last user.

PKCS#11 2.40 5.4: C_Initialize once in a process, and not from several threads unless the module is told so.
Whoever imports this file needs the extra `pkcs11`. Left out: modules that ask for their PIN themselves.
"""

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TypeVar

import pkcs11

from shared.core.errors import ConfigError
from shared.service.key_errors import TokenError
from shared.service.token_thread import TokenThread

_T = TypeVar("_T")


class Pkcs11Module:
    """A module in use; `acquire` returns it, `release` gives it back.

    Args:
        path: the shared library.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = TokenThread(f"pkcs11:{path.name}")
        self._users = 0

    @classmethod
    def acquire(cls, path: Path) -> "Pkcs11Module":
        """Return the module at `path`, the one that is in use already where there is one."""
        with _lock:
            module = _modules.get(path)
            if module is None:
                module = _modules[path] = cls(path)
            return module._counted()

    def release(self, *, answer_s: float) -> None:
        """Give the module back; after the last user it is finalised, so that the next finds the tokens there are then."""
        with _lock:
            self._users -= 1
            if self._users:
                return
            try:
                self.call(self._finalize, answer_s=answer_s)
            except TokenError:
                return  # stuck: it stays, for a second thread must not enter it
            del _modules[self._path]
            self._thread.close()

    def call(self, work: Callable[[], _T], *, answer_s: float) -> _T:
        """Have the module's thread do `work`; raises `TokenError` where it does not answer."""
        return self._thread.call(work, answer_s=answer_s)

    def find_token(self, label: str, serial: str | None, *, store: str) -> pkcs11.Token:
        """Return the token of that label, and serial number where one is given; for the module's thread.

        Raises:
            ConfigError: the module is absent or none, or has no such token, or several.
        """
        try:
            slots = pkcs11.lib(str(self._path)).get_slots(token_present=True)
        except (pkcs11.PKCS11Error, RuntimeError) as error:
            if not self._path.is_file():
                raise ConfigError(store, f"the module {self._path} is not there; install it or correct module-path") from error
            raise ConfigError(store, f"{self._path} cannot be used as a PKCS#11 module{_detail(error)}") from error
        tokens = [token for token in map(_token_in, slots) if token is not None]
        found = [
            token
            for token in tokens
            if token.label == label and (serial is None or token.serial.decode(errors="replace") == serial)
        ]
        if len(found) > 1:
            raise ConfigError(store, f"{len(found)} tokens have this label; say which with serial=")
        if not found:
            labels = ", ".join(sorted(repr(token.label) for token in tokens if token.label)) or "none"
            raise ConfigError(
                store, f"the token is not there; {self._path.name} sees {labels}: plug it in, make it, or correct token="
            )
        return found[0]

    def initialise_anew(self) -> None:
        """Forget the tokens that were there; all sessions are lost, and opened again by who needs one. For the module's thread."""
        self._finalize()

    def _counted(self) -> "Pkcs11Module":
        self._users += 1
        return self

    def _finalize(self) -> None:
        try:
            module = pkcs11.lib(str(self._path))
            module.finalize()
        except (pkcs11.PKCS11Error, RuntimeError):
            pass  # it was never loaded, or is gone: nothing is left to give back


_lock = Lock()
_modules: dict[Path, Pkcs11Module] = {}
"""What this process has loaded: a module may be initialised once only."""


def _token_in(slot: pkcs11.Slot) -> pkcs11.Token | None:
    try:
        return slot.get_token()
    except pkcs11.PKCS11Error:
        return None  # taken out meanwhile, or unreadable: not the one that is looked for


def _detail(error: Exception) -> str:
    """Return what the library says of an error, where it says anything."""
    return f": {error}" if str(error) else f" ({type(error).__name__})"
