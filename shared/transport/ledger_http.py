"""A client of any log that speaks the tlog-tiles format over HTTP: submissions, and the paths of a tree.

    POST <url>/add                   the entry -> 200 and its index, decimal
    GET  <url>/checkpoint            the newest signed note
    GET  <url>/tile/...              tiles and entry bundles

No more is assumed than a Tessera personality gives: an entry may be sequenced twice, any failure may be a 500, and a checkpoint may
come a while after the index. A log may be asked at several places, tried in order (`ledger_places`). Whatever is answered is
bounded by what is asked for, and verified by whoever asked. A partial tile that is gone, because the whole one took its place, is
cut from that. Submissions have a connection each, so that nothing but the sender's address ties them together; reading shares
connections. Left out: what the answers mean (`shared.ledger.light_client`).
"""

import ssl
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from shared.core.clock import Clock
from shared.core.errors import DecodeError, EncodeError, TransportError
from shared.ledger.merkle import HASH_BYTES, MAX_TREE_SIZE
from shared.ledger.note import MAX_NOTE_BYTES
from shared.ledger.text import MAX_DECIMAL_DIGITS, decode_decimal
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
from shared.transport.bounded_http import (
    EXCHANGE_TIMEOUT_S,
    SILENCE_TIMEOUT_S,
    BoundedHttp,
    HttpStatusError,
    checked_url,
)
from shared.transport.ledger_places import Places

MAX_TOKEN_CHARACTERS = 4_096

READING_CONNECTIONS = 4
"""Idle connections kept between two readings."""

_ABSENT = frozenset((404, 410))
_NO_SUBMISSIONS = frozenset((404, 405, 410, 501))
"""What a place answers that only serves a tree."""


class LedgerHttp:
    """A log, for as long as it is entered (`async with`).

    Args:
        urls: prefixes of the log's places, the preferred first.
        clock: for how long a place in trouble is spared.
        token: what an operator asks for, sent as `Authorization: Bearer` with submissions; None where none is asked for.
        exchange_timeout_s: for a whole exchange with one place.
        silence_timeout_s: for each wait inside it.
        tls: what vouches for https servers.

    Raises:
        TransportError: a URL is none.
        ValueError: no place, or too many.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        clock: Clock,
        token: str | None = None,
        exchange_timeout_s: float = EXCHANGE_TIMEOUT_S,
        silence_timeout_s: float = SILENCE_TIMEOUT_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._prefixes = {url: checked_prefix(url) for url in urls}
        self._clock = clock
        self._authorization = None if token is None else "Bearer " + token  # a secret's own format does not tell it
        self._reading, self._submitting = Places(tuple(self._prefixes)), Places(tuple(self._prefixes))
        tls = ssl.create_default_context() if tls is None else tls
        self._reader, self._submitter = (
            BoundedHttp(exchange_timeout_s=exchange_timeout_s, silence_timeout_s=silence_timeout_s, tls=tls, kept_connections=kept)
            for kept in (READING_CONNECTIONS, 0)
        )
        self._read_from: set[str] = set()

    async def __aenter__(self) -> Self:
        """Be ready; nothing is opened before the first exchange."""
        await self._reader.__aenter__()
        await self._submitter.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close what is open."""
        await self._submitter.__aexit__(kind, error, trace)
        await self._reader.__aexit__(kind, error, trace)

    async def submit(self, entry: bytes, *, authorization: str | None = None) -> int:
        """Submit an entry and return the index the log gives; it may be sequenced although this raises.

        Args:
            entry: 1 to 65,535 octets.
            authorization: passed on instead of this client's own token.

        Raises:
            EncodeError: no such entry.
            HttpStatusError: the last place asked refused.
            TransportError: no place answered, or not with an index.
        """
        if not 1 <= len(entry) <= MAX_ENTRY_BYTES:
            raise EncodeError("entry", f"{len(entry)} octets; an entry has 1 to {MAX_ENTRY_BYTES}")
        given = self._authorization if authorization is None else authorization
        headers = {"content-type": "application/octet-stream"} | ({} if given is None else {"authorization": given})
        failure: TransportError | None = None
        for url in self._order(self._submitting):
            where = f"{self._prefixes[url]}/add"
            try:
                answer = await self._submitter.exchange("POST", where, headers=headers, body=entry, maximum=MAX_DECIMAL_DIGITS + 1)
                index = _index(where, answer)
            except HttpStatusError as error:
                # A place without /add says so again tomorrow, but it may have been a proxy's word while the log was away.
                self._submitting.failed(url, self._clock.now().monotonic, retry_after_s=error.retry_after_s)
                failure = error if failure is None or error.status not in _NO_SUBMISSIONS else failure
            except TransportError as error:
                self._submitting.failed(url, self._clock.now().monotonic)
                failure = error
            else:
                self._submitting.answered(url)
                return index
        raise failure or _left_alone(self._prefixes)

    async def read(self, path: str) -> bytes:
        """Return the bytes at a tlog-tiles path.

        Raises:
            DecodeError: no such path.
            HttpStatusError: the last place asked has nothing there, or refused.
            TransportError: no place answered within the bounds.
        """
        wanted = None if path == CHECKPOINT_PATH else parse_tile_path(path)
        failure: TransportError | None = None
        for url in self._order(self._reading):
            try:
                data = await self._read_at(url, path, wanted)
            except HttpStatusError as error:
                failure = error
                if error.status not in _ABSENT:
                    self._reading.failed(url, self._clock.now().monotonic, retry_after_s=error.retry_after_s)
            except TransportError as error:
                failure = error
                self._reading.failed(url, self._clock.now().monotonic)
            else:
                self._reading.answered(url)
                self._read_from.add(url)
                return data
        raise failure or _left_alone(self._prefixes)

    def trust(self) -> None:
        """What was read since the last judgement was verified."""
        for url in self._read_from:
            self._reading.trust(url)
        self._read_from.clear()

    def distrust(self) -> None:
        """What was read since the last judgement led nowhere: prefer other places for a while."""
        now = self._clock.now().monotonic
        for url in self._read_from:
            self._reading.distrust(url, now)
        self._read_from.clear()

    def status(self) -> dict[str, object]:
        """Return each place's standing for reading and for submitting, as JSON values."""
        now = self._clock.now().monotonic
        return {"reading": self._reading.status(now), "submitting": self._submitting.status(now)}

    def _order(self, places: Places) -> tuple[str, ...]:
        return places.order(self._clock.now().monotonic)

    async def _read_at(self, url: str, path: str, wanted: Tile | EntryBundle | None) -> bytes:
        where = f"{self._prefixes[url]}/{path}"
        try:
            return await self._get(where, _maximum(wanted))
        except HttpStatusError as error:
            if error.status not in _ABSENT or wanted is None or wanted.width == TILE_WIDTH:
                raise
            whole = replace(wanted, width=TILE_WIDTH)
            try:
                data = await self._get(f"{self._prefixes[url]}/{whole.path}", _maximum(whole))
            except HttpStatusError:
                raise error from None
            return _cut(where, data, wanted, whole)

    async def _get(self, where: str, maximum: int) -> bytes:
        return await self._reader.exchange("GET", where, headers={}, body=b"", maximum=maximum)


def check_token(text: str) -> str:
    """Return a bearer token that a header can carry (RFC 6750 2.1); raise `DecodeError` for anything else."""
    if not 1 <= len(text) <= MAX_TOKEN_CHARACTERS:
        raise DecodeError("token", f"{len(text)} characters; a token has 1 to {MAX_TOKEN_CHARACTERS}")
    if not all(c.isascii() and (c.isalnum() or c in "-._~+/=") for c in text):
        raise DecodeError("token", "holds a character that no bearer token has")
    return text


def checked_prefix(url: str) -> str:
    """Return the prefix of a log's paths without its last slash; raise `TransportError` unless it is an http or https URL."""
    checked = checked_url(url)
    if checked.query or checked.fragment:
        raise TransportError(url, "the address of a log has no query and no fragment")
    return url.rstrip("/")


def _index(where: str, answer: bytes) -> int:
    try:
        return decode_decimal(answer.decode("ascii", "replace").removesuffix("\n"), "index", MAX_TREE_SIZE - 1)
    except DecodeError as error:
        raise TransportError(where, f"the answer to a submission is no index: {error.reason}") from None


def _maximum(wanted: Tile | EntryBundle | None) -> int:
    match wanted:
        case None:
            return MAX_NOTE_BYTES
        case Tile(width=width):
            return width * HASH_BYTES
        case EntryBundle(width=width):
            return width * (MAX_ENTRY_BYTES + 2)


def _cut(where: str, data: bytes, wanted: Tile | EntryBundle, whole: Tile | EntryBundle) -> bytes:
    if isinstance(wanted, Tile):
        return data[: wanted.width * HASH_BYTES]
    assert isinstance(whole, EntryBundle)
    try:
        return encode_bundle(decode_bundle(whole, data)[: wanted.width])
    except DecodeError as error:
        raise TransportError(where, f"the whole bundle is malformed: {error}") from None


def _left_alone(prefixes: dict[str, str]) -> TransportError:
    return TransportError(", ".join(prefixes), "asked to be left alone for a while")
