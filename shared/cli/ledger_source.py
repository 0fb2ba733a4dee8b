"""Where a command reads a log from (a URL, or a folder of the same files), and the round that makes what was read trustworthy."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from shared.core.clock import Clock, TimeSource
from shared.core.errors import ConfigError, DecodeError, ProofError, TransportError
from shared.ledger.checkpoint import parse_checkpoint
from shared.ledger.light_client import ClientEvent, LightClient
from shared.ledger.note import MAX_NOTE_BYTES, parse_note
from shared.ledger.policy import Policy
from shared.ledger.tiles import (
    CHECKPOINT_PATH,
    MAX_ENTRY_BYTES,
    MAX_TILE_BYTES,
    TILE_WIDTH,
    EntryBundle,
    decode_bundle,
    parse_tile_path,
)
from shared.service.keystore import read_bounded
from shared.service.system_clock import SystemClock
from shared.transport.ledger_http import LedgerHttp

_URLS = ("http://", "https://")

READINGS_AT_ONCE = 4


class LedgerSource(Protocol):
    """A log to read."""

    async def read(self, path: str) -> bytes:
        """Return the bytes at a tlog-tiles path; raises `TransportError`."""
        ...


class LedgerFolder:
    """A log as files, as tlog-tiles lays them out.

    Args:
        path: the folder with `checkpoint` and `tile`.

    Raises:
        ConfigError: there is no such folder.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise ConfigError(str(path), "is neither the URL of a log nor a folder with one")
        self._path = path

    async def read(self, path: str) -> bytes:
        """Return the bytes at a tlog-tiles path; raises `TransportError` where there is no such file, or it is too long."""
        maximum = MAX_NOTE_BYTES if path == CHECKPOINT_PATH else self._maximum(path)
        try:
            return read_bounded(self._path / path, maximum)
        except ConfigError as error:
            raise TransportError(error.path, error.reason) from error

    def _maximum(self, path: str) -> int:
        wanted = parse_tile_path(path)
        return wanted.width * (MAX_ENTRY_BYTES + 2) if isinstance(wanted, EntryBundle) else MAX_TILE_BYTES


@asynccontextmanager
async def open_source(place: str, clock: Clock) -> AsyncIterator[LedgerSource]:
    """Open a log by its URL or its folder; raises `ConfigError` where there is neither, `TransportError` for what is no URL."""
    if place.startswith(_URLS):
        async with LedgerHttp((place,), clock=clock) as http:
            yield http
        return
    yield LedgerFolder(Path(place))


def wall_clock() -> Clock:
    """Return the clock of this machine as it is, for ages people read."""
    return SystemClock(TimeSource.ASSUME_TRUSTED)


def client_of(note: bytes, policy: Policy, pinned: Path | None) -> LightClient:
    """Return a client of the log that `note` claims to be of.

    Raises:
        ConfigError: the pinned checkpoint is none, or cannot be trusted.
        DecodeError: the note is no checkpoint.
        ProofError: the policy does not know the log.
    """
    origin = parse_checkpoint(parse_note(note).body).origin
    if pinned is None:
        return LightClient(origin=origin, policy=policy, trusted_note=None)
    try:
        return LightClient(origin=origin, policy=policy, trusted_note=read_bounded(pinned, MAX_NOTE_BYTES))
    except (DecodeError, ProofError) as error:
        raise ConfigError(str(pinned), f"cannot be held against {origin}: {error}") from error


async def make_round(client: LightClient, source: LedgerSource, note: bytes) -> Sequence[ClientEvent]:
    """Carry out one round of a client from a checkpoint that was read.

    Raises:
        DecodeError, ProofError, SplitViewError: as `LightClient.give` does.
        TransportError: something could not be read.
    """
    client.begin()
    events = [*client.give(CHECKPOINT_PATH, note)]
    while wanted := client.wants():
        for first in range(0, len(wanted), READINGS_AT_ONCE):
            paths = wanted[first : first + READINGS_AT_ONCE]
            for path, data in zip(paths, await asyncio.gather(*map(source.read, paths)), strict=True):
                events += client.give(path, data)
    return events


async def read_entry(source: LedgerSource, index: int, tree_size: int) -> bytes:
    """Return the entry a log says it has at an index; nothing about it is proven.

    Raises:
        ProofError: a tree of that size has no such entry.
        DecodeError, TransportError: the bundle is malformed, or cannot be read.
    """
    if not 0 <= index < tree_size:
        raise ProofError(f"the log of {tree_size} entries has no entry {index}")
    bundle = EntryBundle(index // TILE_WIDTH, min(TILE_WIDTH, tree_size - index // TILE_WIDTH * TILE_WIDTH))
    return decode_bundle(bundle, await source.read(bundle.path))[index % TILE_WIDTH]


def entry_of(text: str) -> bytes:
    """Return an entry given on a command line: the content of a file, or hexadecimal digits; raises `ConfigError`."""
    path = Path(text)
    if path.is_file():
        return read_bounded(path, MAX_ENTRY_BYTES)
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ConfigError("--entry", f"{text[:64]!r} is neither a file nor hexadecimal digits") from None
