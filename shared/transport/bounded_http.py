"""One HTTP exchange at a time, bounded in size and time: what every client of this project stands on.

A redirect is not followed, an encoding that was not asked for is not read, nothing is sent that tells one station from another: no
cookie, no user agent. What a server does wrong ends in a `TransportError` that names the URL; trying again is the caller's.
"""

import asyncio
import ssl
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from shared.core.errors import TransportError
from shared.transport.deferred import deferred

if TYPE_CHECKING:
    import httpx
else:
    httpx = deferred("httpx")

MAX_ERROR_OCTETS = 64 * 1024
"""Octets of an answer that says what went wrong; of a longer one nothing is quoted."""

MAX_REASON_CHARACTERS = 200
"""Characters of a server's own words that go into an error."""

MAX_RETRY_AFTER_S = 86_400
"""Seconds a server may ask us to wait; more is read as this."""

CONNECT_TIMEOUT_S = 5.0
SILENCE_TIMEOUT_S = 10.0
"""Seconds in which nothing comes."""

EXCHANGE_TIMEOUT_S = 30.0
"""Seconds for the whole exchange, however busily a server drips."""

MAX_CONNECTIONS = 16
"""Exchanges at once; the next waits, within its own time."""

KEPT_FOR_S = 2.0
"""Seconds an idle connection is kept, where any is; servers close theirs after some five."""

_Answer = TypeVar("_Answer")

_SCHEMES = ("http", "https")
_MAX_PORT = 65_535


class HttpStatusError(TransportError):
    """The server answered, but not with what was asked for.

    Args:
        endpoint: the URL.
        reason: a sentence.
        status: the HTTP status.
        retry_after_s: seconds after which the server wants to be asked again; None where it does not say.
    """

    def __init__(self, endpoint: str, reason: str, *, status: int, retry_after_s: int | None) -> None:
        super().__init__(endpoint, reason)
        self.status = status
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """What a server answered, whatever its status; `retry_after_s` is None where it does not say."""

    status: int
    body: bytes
    content_type: str
    retry_after_s: int | None


class BoundedHttp:
    """A client for as long as it is entered (`async with`).

    Args:
        exchange_timeout_s: for a whole exchange.
        silence_timeout_s: for each wait inside it.
        tls: what vouches for https servers; the certificates the machine's operator trusts by default.
        kept_connections: idle connections kept for the next exchange; with 0 every exchange has one of its own.
    """

    def __init__(
        self,
        *,
        exchange_timeout_s: float = EXCHANGE_TIMEOUT_S,
        silence_timeout_s: float = SILENCE_TIMEOUT_S,
        tls: ssl.SSLContext | None = None,
        kept_connections: int = 0,
    ) -> None:
        self._exchange_timeout_s = exchange_timeout_s
        self._timeouts = httpx.Timeout(
            silence_timeout_s, connect=min(CONNECT_TIMEOUT_S, silence_timeout_s), pool=exchange_timeout_s
        )
        limits = httpx.Limits(
            max_connections=MAX_CONNECTIONS, max_keepalive_connections=kept_connections, keepalive_expiry=KEPT_FOR_S
        )
        self._closing = {} if kept_connections else {"connection": "close"}
        verify = ssl.create_default_context() if tls is None else tls
        self._transport = httpx.AsyncHTTPTransport(verify=verify, limits=limits, trust_env=False)

    async def __aenter__(self) -> Self:
        """Be ready; nothing is opened before the first exchange."""
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close what is open."""
        await self._transport.__aexit__(kind, error, trace)

    async def exchange(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, maximum: int) -> bytes:
        """Send a request and return the body of the answer, at most `maximum` octets.

        Raises:
            HttpStatusError: the server answered with another status than 200.
            TransportError: no such URL, nobody there, too slow, too much, or no HTTP.
        """
        return await self._within_bounds(self._ask(self._request(method, url, headers, body), url, maximum), url)

    async def answer(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, maximum: int) -> HttpAnswer:
        """Send a request and return the answer, at most `maximum` octets, also where its status is not 200.

        Raises:
            TransportError: no such URL, nobody there, too slow, too much, or no HTTP.
        """
        return await self._within_bounds(self._answer(self._request(method, url, headers, body), url, maximum), url)

    def _request(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> "httpx.Request":
        extensions = {"timeout": self._timeouts.as_dict()}
        sent = {**headers, "accept-encoding": "identity", **self._closing}
        return httpx.Request(method, checked_url(url), headers=sent, content=body, extensions=extensions)

    async def _within_bounds(self, exchange: Coroutine[Any, Any, _Answer], url: str) -> _Answer:
        try:
            async with asyncio.timeout(self._exchange_timeout_s):
                return await exchange
        except httpx.ConnectTimeout as error:
            raise TransportError(url, f"no connection within {self._timeouts.connect:g} s") from error
        except httpx.TimeoutException as error:
            raise TransportError(url, f"the server was silent for {self._timeouts.read:g} s") from error
        except TimeoutError as error:
            raise TransportError(url, f"the exchange was not over within {self._exchange_timeout_s:g} s") from error
        except httpx.ConnectError as error:
            raise TransportError(url, f"cannot be reached: {one_line(str(error)) or 'no connection'}") from error
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise TransportError(url, f"the connection broke, or it is no HTTP: {one_line(str(error))}") from error

    async def _ask(self, request: "httpx.Request", url: str, maximum: int) -> bytes:
        response = await self._transport.handle_async_request(request)
        try:
            if response.status_code != httpx.codes.OK:
                raise await _status_error(response, url)
            return await _body(response, url, maximum)
        finally:
            await response.aclose()

    async def _answer(self, request: "httpx.Request", url: str, maximum: int) -> HttpAnswer:
        response = await self._transport.handle_async_request(request)
        try:
            body = await _body(response, url, maximum)
        finally:
            await response.aclose()
        return HttpAnswer(
            status=response.status_code,
            body=body,
            content_type=one_line(response.headers.get("content-type", "")),
            retry_after_s=_retry_after_s(response),
        )


def checked_url(url: str) -> "httpx.URL":
    """Return a URL with a scheme we speak and a host; raises `TransportError` (URLs come from lists)."""
    try:
        parsed = httpx.URL(url)
        host = parsed.host  # decodes an international name, which may be none
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise TransportError(one_line(url), f"is no URL: {one_line(str(error))}") from error
    if parsed.scheme not in _SCHEMES or not host or not 0 < (parsed.port or 1) <= _MAX_PORT:
        raise TransportError(one_line(url), "is no http or https URL with a host")
    if parsed.userinfo:
        raise TransportError(one_line(host), "a URL carries no user name here")
    return parsed


async def _body(response: "httpx.Response", url: str, maximum: int) -> bytes:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise TransportError(url, f"the answer is encoded as {one_line(encoding)!r}, which was not asked for")
    announced = response.headers.get("content-length", "0")
    if announced.isascii() and announced.isdigit() and int(announced[:16]) > maximum:
        raise TransportError(url, f"the answer has {one_line(announced)} octets, at most {maximum} are read")
    body = await _read(response, maximum)
    if body is None:
        raise TransportError(url, f"the answer has more than {maximum} octets")
    return body


async def _read(response: "httpx.Response", maximum: int) -> bytes | None:
    """Return the body, or None when it is longer than `maximum`."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    parts: list[bytes] = []
    octets = 0
    async for part in response.stream:
        octets += len(part)
        if octets > maximum:
            return None
        parts.append(part)
    return b"".join(parts)


async def _status_error(response: "httpx.Response", url: str) -> HttpStatusError:
    words = f"the server answered {response.status_code} {one_line(response.reason_phrase)}".rstrip()
    location = response.headers.get("location")
    if location is not None:
        words += f" and points to {one_line(location)}, which is not followed"
    said = await _read(response, MAX_ERROR_OCTETS)
    if said is not None and response.headers.get("content-type", "").startswith("text/plain"):
        words += f": {one_line(said.decode('ascii', 'replace'))}"
    return HttpStatusError(url, words, status=response.status_code, retry_after_s=_retry_after_s(response))


def _retry_after_s(response: "httpx.Response") -> int | None:
    wait = response.headers.get("retry-after", "")
    return min(int(wait[:9]), MAX_RETRY_AFTER_S) if wait.isascii() and wait.isdigit() else None


def one_line(text: str) -> str:
    """Return what a peer said as one short line of printable characters."""
    line = " ".join(text.split())
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in line)[:MAX_REASON_CHARACTERS]
