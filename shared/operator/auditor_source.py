"""Where an auditor reads a log: at its URL, or in a directory that holds the files of one (a static export, a mirror).

A partial tile that is gone, because the full one took its place, is cut from that. What is read is bounded and believed by nobody:
the audit looks at all of it. A log that does not answer is asked again `MAX_ATTEMPTS` times, after the time it asks for if it does.
"""

import asyncio
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

from shared.core.errors import ConfigError, DecodeError, StorageError, TransportError
from shared.ledger.merkle import HASH_BYTES
from shared.ledger.note import MAX_NOTE_BYTES
from shared.ledger.tiles import (
    CHECKPOINT_PATH,
    MAX_ENTRY_BYTES,
    TILE_WIDTH,
    EntryBundle,
    Tile,
    decode_bundle,
    encode_bundle,
    parse_tile_path,
)
from shared.transport.bounded_http import MAX_CONNECTIONS, BoundedHttp, HttpAnswer, checked_url

MAX_ATTEMPTS = 4
"""Times that a path is asked for."""

FIRST_WAIT_S = 0.25
"""Seconds after which it is asked for again, where the server does not say; then twice as many each time."""

MAX_WAIT_S = 30
"""Seconds that a server may have us wait before it is asked again."""

_ABSENT = frozenset((404, 410))
_PASSING = frozenset((429, 500, 502, 503, 504))


class LogSource(ABC):
    """Reads a log's paths."""

    async def read(self, path: str) -> bytes | None:
        """Return what is at a tlog-tiles path, None where there is nothing.

        Raises:
            DecodeError: no such path.
            TransportError: the server does not answer.
            StorageError: the file cannot be read.
        """
        if path == CHECKPOINT_PATH:
            return await self._fetch(path, MAX_NOTE_BYTES)
        wanted = parse_tile_path(path)
        found = await self._fetch(path, _most(wanted))
        if found is not None or wanted.width == TILE_WIDTH:
            return found
        whole = replace(wanted, width=TILE_WIDTH)
        found = await self._fetch(whole.path, _most(whole))
        return None if found is None else _cut(found, wanted, whole)

    @abstractmethod
    async def _fetch(self, path: str, maximum: int) -> bytes | None:
        """Return what is at exactly this path, None where there is nothing."""


class HttpSource(LogSource):
    """A log's URL, for as long as it is entered (`async with`).

    Args:
        url: its prefix.

    Raises:
        ConfigError: that is none.
    """

    def __init__(self, url: str) -> None:
        try:
            checked_url(url)
        except TransportError as error:
            raise ConfigError(url, error.reason) from None
        self._prefix = url.rstrip("/")
        self._http = BoundedHttp(kept_connections=MAX_CONNECTIONS)

    async def __aenter__(self) -> Self:
        """Be ready; nothing is opened before the first exchange."""
        await self._http.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close what is open."""
        await self._http.__aexit__(kind, error, trace)

    async def _fetch(self, path: str, maximum: int) -> bytes | None:
        url, wait_s = f"{self._prefix}/{path}", FIRST_WAIT_S
        for attempt in range(1, MAX_ATTEMPTS + 1):
            is_last = attempt == MAX_ATTEMPTS
            answer: HttpAnswer | None = None
            try:
                answer = await self._http.answer("GET", url, headers={}, body=b"", maximum=maximum)
            except TransportError:
                if is_last:
                    raise
            if answer is not None:
                if answer.status == 200:
                    return answer.body
                if answer.status in _ABSENT:
                    return None
                if is_last or answer.status not in _PASSING:
                    raise TransportError(url, f"the server answered {answer.status}")
            asked_s = None if answer is None else answer.retry_after_s
            await asyncio.sleep(wait_s if asked_s is None else min(asked_s, MAX_WAIT_S))
            wait_s *= 2
        raise AssertionError("the last attempt returned or raised")


class DirectorySource(LogSource):
    """A directory with the files of a log.

    Args:
        path: the directory.

    Raises:
        ConfigError: there is no such directory.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise ConfigError(str(path), "is no directory")
        self._path = path

    async def _fetch(self, path: str, maximum: int) -> bytes | None:
        file = self._path / path
        try:
            with file.open("rb") as opened:
                octets = opened.read(maximum + 1)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise StorageError(str(file), f"cannot be read: {error.strerror or error}") from error
        return octets  # one octet too many is for the audit to find


def directory_of(place: str) -> Path | None:
    """Return the directory that a path or a file: URL names, None for an http or https URL; raises `ConfigError`."""
    parts = urlsplit(place)
    if parts.scheme in ("http", "https"):
        return None
    if parts.scheme != "file":
        return Path(place)
    if parts.netloc not in ("", "localhost"):
        raise ConfigError(place, "a file: URL names a directory of this machine")
    return Path(unquote(parts.path))


def _most(wanted: Tile | EntryBundle) -> int:
    return wanted.width * (HASH_BYTES if isinstance(wanted, Tile) else MAX_ENTRY_BYTES + 2)


def _cut(found: bytes, wanted: Tile | EntryBundle, whole: Tile | EntryBundle) -> bytes:
    if not isinstance(whole, EntryBundle):
        return found[: wanted.width * HASH_BYTES]
    try:
        return encode_bundle(decode_bundle(whole, found)[: wanted.width])
    except DecodeError:
        return found  # whoever reads it finds what is wrong with it
