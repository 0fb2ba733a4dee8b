"""A log for an auditor: a real one in memory that may lie in any of its files, and the files themselves in a directory."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from shared.core.errors import TransportError
from shared.ledger.policy import Policy
from shared.ledger.tiles import CHECKPOINT_PATH, EntryBundle, Tile
from shared.operator.auditor import AuditReport, audit_log
from shared.operator.auditor_source import LogSource
from shared.operator.auditor_state import AuditState
from tests.helpers.ledger import MemoryLog, policy_of


def grown(*parts: Sequence[bytes]) -> MemoryLog:
    """Return a log with these entries, one checkpoint signed over all of them."""
    log = MemoryLog()
    for part in parts:
        log.entries += part
    log.publish()
    return log


def entries_of(history: str, count: int) -> list[bytes]:
    """Return entries that one history has and another has not."""
    return [b"%s %d" % (history.encode(), n) for n in range(count)]


class MemorySource(LogSource):
    """Reads a `MemoryLog`, with paths withheld.

    Attributes:
        withheld: paths that are not there.
        read_paths: every path asked for.
    """

    def __init__(self, log: MemoryLog, *, withheld: Sequence[str] = ()) -> None:
        self.log = log
        self.withheld = set(withheld)
        self.read_paths: list[str] = []

    async def _fetch(self, path: str, maximum: int) -> bytes | None:
        self.read_paths.append(path)
        if path in self.withheld:
            return None
        try:
            data = self.log.read(path)
        except TransportError:
            return None
        return data[: maximum + 1]


def audited(
    source: LogSource,
    *,
    state: AuditState | None = None,
    policy: Policy | None = None,
    also: Sequence[bytes] = (),
    is_full: bool = False,
) -> tuple[AuditReport, AuditState | None]:
    """Audit once."""
    trusted = policy_of() if policy is None else policy
    return asyncio.run(audit_log(source, trusted, state=state, also=also, is_full=is_full))


def changed(data: bytes, at: int) -> bytes:
    """Return data with one octet altered."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def write_files(log: MemoryLog, directory: Path, *, change: Callable[[str, bytes], bytes] = lambda _path, data: data) -> None:
    """Write the files of a log, as a static export has them."""
    size = len(log.entries)
    paths = [CHECKPOINT_PATH, *(EntryBundle(index, min(256, size - 256 * index)).path for index in range(-(-size // 256)))]
    level = 0
    while size >> 8 * level:
        count = size >> 8 * level
        paths += [Tile(level, index, min(256, count - 256 * index)).path for index in range(-(-count // 256))]
        level += 1
    for path in paths:
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(change(path, log.read(path)))
