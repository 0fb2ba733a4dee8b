"""Who may append to a log, how much and how often: the operator's file.

    append = "tokens"                # or "open", which is the default: everybody
    max_entry_octets = 4096          # default: 65535, as long as an entry can be
    per_client_per_s = 50.0          # appends of one client address; default: as many as there are
    overall_per_s = 5000.0           # of all together; default: as many as there are
    quorum_policy = "quorum.policy"  # a tlog-policy; nothing below its quorum is served (as `--policy`)

    [[token]]
    name = "fleet-a"
    sha256 = "0f3c..."               # of the token: who reads this file cannot append
    per_s = 100.0                    # optional
    revoked = true                   # optional: 403 from now on, while an unknown one is 401

A token is a random secret of at least 20 characters, sent as `Authorization: Bearer TOKEN`. A file that changes is read again, but
for `max_entry_octets` and `quorum_policy`; one that is broken then leaves things as they were, and is complained about. Client
addresses are those of the connections: behind a proxy, the proxy's.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.errors import ConfigError
from shared.ledger.tiles import MAX_ENTRY_BYTES
from shared.operator.rate_limits import Rate, RateLimiter, client_of
from shared.service.config import ConfigStruct, load

MAX_TOKENS = 10_000
MAX_AUTHORIZATION_OCTETS = 1_024
MIN_TOKEN_CHARACTERS = 20
MAX_PER_S = 1_000_000.0

BURST_S = 2
"""Seconds' worth of appends that a token or a client may send at once."""

_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SCHEME = b"bearer "
_UNBOUNDED = Rate(per_s=1e9, burst=1_000_000_000)


class TokenEntry(ConfigStruct, frozen=True, kw_only=True):
    """A token of the operator's file."""

    name: str
    sha256: str
    per_s: float | None = None
    revoked: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no token."""
        if not self.name or len(self.name) > 64 or not self.name.isprintable():
            raise ValueError("a token's name has 1 to 64 printable characters")
        if not _HASH.fullmatch(self.sha256):
            raise ValueError("a token's SHA-256 is written as 64 digits of 0-9a-f")
        _check_per_s(self.per_s, "per_s")


class AccessFile(ConfigStruct, frozen=True, kw_only=True):
    """The operator's file."""

    append: Literal["open", "tokens"] = "open"
    max_entry_octets: int = MAX_ENTRY_BYTES
    per_client_per_s: float | None = None
    overall_per_s: float | None = None
    quorum_policy: Path | None = None
    token: tuple[TokenEntry, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not 1 <= self.max_entry_octets <= MAX_ENTRY_BYTES:
            raise ValueError(f"an entry has 1 to {MAX_ENTRY_BYTES} octets")
        _check_per_s(self.per_client_per_s, "per_client_per_s")
        _check_per_s(self.overall_per_s, "overall_per_s")
        if self.append == "open" and self.token:
            raise ValueError('tokens are named, and append = "open" lets everybody append')
        if len(self.token) > MAX_TOKENS:
            raise ValueError(f"at most {MAX_TOKENS} tokens are read")
        for what, values in (("name", [t.name for t in self.token]), ("sha256", [t.sha256 for t in self.token])):
            if len(set(values)) != len(values):
                raise ValueError(f"two tokens have the same {what}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why an append is not taken: an HTTP status, a word for counters, a sentence, and the whole header lines that go with it."""

    status: int
    word: str
    sentence: str
    headers: str = ""


_MISSING = Refusal(
    status=401, word="no_token", sentence="appending here takes a token", headers='www-authenticate: Bearer realm="log"\r\n'
)
_UNKNOWN = Refusal(
    status=401,
    word="unknown_token",
    sentence="this token is not known here",
    headers='www-authenticate: Bearer realm="log", error="invalid_token"\r\n',
)
_REVOKED = Refusal(status=403, word="revoked_token", sentence="this token has been revoked")


class Access:
    """The operator's choice, while the node runs.

    Args:
        path: the operator's file; None lets everybody append whatever is an entry.

    Raises:
        ConfigError: the file cannot be used.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._state: tuple[int, int, int] | None = None
        self._take(AccessFile())
        self.reload()
        self.max_entry_octets = self._file.max_entry_octets
        self.quorum_policy = self._file.quorum_policy

    @property
    def is_unbounded(self) -> bool:
        """Whether everybody may append as often as they like, so that nothing is to be asked."""
        return self._rates is None and self._file.append == "open"

    @property
    def words(self) -> str:
        """Who may append, for the status."""
        return "open" if self._file.append == "open" else f"tokens: {len(self._known)}"

    def reload(self) -> bool:
        """Read the file again if it has changed, and tell whether it had.

        Raises:
            ConfigError: it cannot be used; what was read before still holds.
        """
        if self._path is None:
            return False
        try:
            found = self._path.stat()
        except OSError as error:
            self._state = None
            raise ConfigError(str(self._path), f"cannot be read: {error.strerror}") from error
        state = (found.st_mtime_ns, found.st_size, found.st_ino)
        if state == self._state:
            return False
        self._state = state
        self._take(load(self._path, AccessFile))
        return True

    def refusal(self, authorization: bytes | None, address: str, now: MonotonicNs) -> Refusal | None:
        """Say why an append is refused; None admits it.

        Args:
            authorization: the header of that name.
            address: the client's.
            now: interval time.
        """
        if self._file.append == "tokens":
            if authorization is None or len(authorization) > MAX_AUTHORIZATION_OCTETS:
                return _MISSING
            if authorization[: len(_SCHEME)].lower() != _SCHEME:
                return _MISSING
            entry = self._known.get(sha256(authorization[len(_SCHEME) :].strip()).digest())
            if entry is None:
                return _UNKNOWN
            if entry.revoked:
                return _REVOKED
            rate = self._token_rates.get(entry.name)
            if rate is not None and (wait_ns := rate.wait_ns(entry.name, now)):
                return _too_often("token", "this token", wait_ns)
        if self._rates is not None and (wait_ns := self._rates.wait_ns(client_of(address), now)):
            return _too_often("client", "this client, or all of them together,", wait_ns)
        return None

    def _take(self, file: AccessFile) -> None:
        self._file = file
        self._known = {bytes.fromhex(entry.sha256): entry for entry in file.token}
        self._token_rates = {
            entry.name: RateLimiter(per_client=_rate(entry.per_s), overall=_UNBOUNDED)
            for entry in file.token
            if entry.per_s is not None
        }
        self._rates: RateLimiter | None = None
        if file.per_client_per_s is not None or file.overall_per_s is not None:
            self._rates = RateLimiter(per_client=_rate(file.per_client_per_s), overall=_rate(file.overall_per_s))


def token_hash(token: str) -> str:
    """Return what the operator's file holds of a token; raises `ConfigError` for one that is too short to be a secret."""
    if len(token) < MIN_TOKEN_CHARACTERS or not token.isascii() or any(c.isspace() for c in token):
        raise ConfigError("token", f"a token has at least {MIN_TOKEN_CHARACTERS} characters of ASCII and no space")
    return sha256(token.encode()).hexdigest()


def _check_per_s(per_s: float | None, key: str) -> None:
    if per_s is not None and not 0 < per_s <= MAX_PER_S:
        raise ValueError(f"{key} is more than 0 and at most {MAX_PER_S:g}")


def _rate(per_s: float | None) -> Rate:
    return _UNBOUNDED if per_s is None else Rate(per_s=per_s, burst=max(1, round(per_s * BURST_S)))


def _too_often(kind: str, whose: str, wait_ns: int) -> Refusal:
    return Refusal(
        status=429,
        word=f"{kind}_rate",
        sentence=f"{whose} appends too often",
        headers=f"retry-after: {-(-wait_ns // NS_PER_S)}\r\n",
    )
