"""A log on a network as an operator writes it down: its name, its places, and the files that say what counts there.

Read and judged before anything is made or asked; no answer of the log is needed to start.
"""

from collections.abc import Sequence
from pathlib import Path

from shared.core.errors import ConfigError, DecodeError, ProofError, TransportError
from shared.ledger.light_client import LightClient
from shared.ledger.note import MAX_NOTE_BYTES, check_name
from shared.ledger.policy import MAX_POLICY_BYTES, Policy, parse_policy
from shared.service.keystore import read_bounded
from shared.transport.ledger_http import checked_prefix


def check_origin(origin: str) -> None:
    """Raise ValueError for a name that no signed note can carry."""
    try:
        check_name(origin, "origin")
    except DecodeError as error:
        raise ValueError(f"origin: {error.reason}") from None


def check_places(urls: Sequence[str], key: str = "url") -> None:
    """Raise ValueError, which begins with the key, for places that are no URLs, and for one named twice."""
    for url in urls:
        try:
            checked_prefix(url)
        except TransportError as error:
            raise ValueError(f"{key}: {error}") from None
    if len(set(urls)) < len(urls):
        raise ValueError(f"{key}: a place is named twice")


def read_policy(path: Path) -> Policy:
    """Read a tlog-policy; raises `ConfigError`."""
    try:
        return parse_policy(read_bounded(path, MAX_POLICY_BYTES))
    except DecodeError as error:
        raise ConfigError(str(path), f"is no policy: {error}") from error


def read_online_log(*, origin: str, policy: Path, pinned: Path | None) -> tuple[Policy, bytes | None]:
    """Read the policy of a log and the checkpoint note pinned for it, and hold one against the other.

    Raises:
        ConfigError: a file is absent, or not what it should be; the policy does not know the log; or the pinned checkpoint is not
            the log's, or its quorum is not met.
    """
    read = read_policy(policy)
    if not read.log_keys(origin):
        known = ", ".join(sorted({log.key.name for log in read.logs})) or "none"
        raise ConfigError(str(policy), f"knows no log {origin!r}; its logs are {known}")
    if pinned is None:
        return read, None
    note = read_bounded(pinned, MAX_NOTE_BYTES)
    try:
        LightClient(origin=origin, policy=read, trusted_note=note)
    except (DecodeError, ProofError) as error:
        raise ConfigError(str(pinned), f"cannot be pinned: {error}") from error
    return read, note
