"""HTTP to authorities and distribution centres (TS 102 941 clause 6.2.0.3 and annex D): one exchange, bounded in size and time.

    POST url    application/x-its-request -> application/x-its-response      an EA or AA, at the listed URL as it is
    GET url     a trust list, a certificate or a proof

What arrives are octets; whether they may be believed is decided by the signatures inside, so the type an answer claims is not
looked at. Every exchange has a connection of its own, and nothing is sent that tells one station from another: no cookie, no
user agent, no connection that a second request would share. Redirects are not followed. What a server does wrong ends in a
`TransportError` that names the URL; trying again is the caller's.
"""

import asyncio
import ssl
from types import TracebackType
from typing import Self

import httpx

from shared.core.errors import TransportError

REQUEST_TYPE = "application/x-its-request"
RESPONSE_TYPE = "application/x-its-response"
CTL_TYPE = "application/x-its-ctl"
CRL_TYPE = "application/x-its-crl"
OCTETS_TYPE = "application/octet-stream"

MAX_ANSWER_OCTETS = 64 * 1024
"""Octets of an authority's answer: a certificate and its wrapping have below 2 KiB."""

MAX_LIST_OCTETS = 1024 * 1024
"""Octets of a trust list; the European one has some 30 KiB."""

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


class PkiHttp:
    """A client for as long as it is entered (`async with`).

    Args:
        exchange_timeout_s: for a whole exchange.
        silence_timeout_s: for each wait inside it.
        tls: what vouches for https servers; the certificates the machine's operator trusts by default.
    """

    def __init__(
        self,
        *,
        exchange_timeout_s: float = EXCHANGE_TIMEOUT_S,
        silence_timeout_s: float = SILENCE_TIMEOUT_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._exchange_timeout_s = exchange_timeout_s
        self._timeouts = httpx.Timeout(
            silence_timeout_s, connect=min(CONNECT_TIMEOUT_S, silence_timeout_s), pool=exchange_timeout_s
        )
        limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=0)
        verify = ssl.create_default_context() if tls is None else tls
        self._transport = httpx.AsyncHTTPTransport(verify=verify, limits=limits, trust_env=False)

    async def __aenter__(self) -> Self:
        """Be ready; nothing is opened before the first exchange."""
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close what is open."""
        await self._transport.__aexit__(kind, error, trace)

    async def post(self, url: str, body: bytes, *, maximum: int = MAX_ANSWER_OCTETS) -> bytes:
        """Send a request to an authority and return its answer.

        Args:
            url: as listed.
            body: encoded `Ieee1609Dot2Data`.
            maximum: octets of the answer.

        Raises:
            HttpStatusError: the server answered with another status than 200.
            TransportError: no such URL, nobody there, too slow, too much, or no HTTP.
        """
        return await self._exchange("POST", url, {"content-type": REQUEST_TYPE, "accept": RESPONSE_TYPE}, body, maximum)

    async def get(self, url: str, *, maximum: int = MAX_LIST_OCTETS) -> bytes:
        """Fetch a document of at most `maximum` octets; raises as `post` does."""
        return await self._exchange("GET", url, {}, b"", maximum)

    async def _exchange(self, method: str, url: str, headers: dict[str, str], body: bytes, maximum: int) -> bytes:
        extensions = {"timeout": self._timeouts.as_dict()}
        headers |= {"accept-encoding": "identity", "connection": "close"}
        request = httpx.Request(method, _checked(url), headers=headers, content=body, extensions=extensions)
        try:
            async with asyncio.timeout(self._exchange_timeout_s):
                return await self._ask(request, url, maximum)
        except httpx.ConnectTimeout as error:
            raise TransportError(url, f"no connection within {self._timeouts.connect:g} s") from error
        except httpx.TimeoutException as error:
            raise TransportError(url, f"the server was silent for {self._timeouts.read:g} s") from error
        except TimeoutError as error:
            raise TransportError(url, f"the exchange was not over within {self._exchange_timeout_s:g} s") from error
        except httpx.ConnectError as error:
            raise TransportError(url, f"cannot be reached: {_one_line(str(error)) or 'no connection'}") from error
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise TransportError(url, f"the connection broke, or it is no HTTP: {_one_line(str(error))}") from error

    async def _ask(self, request: httpx.Request, url: str, maximum: int) -> bytes:
        response = await self._transport.handle_async_request(request)
        try:
            if response.status_code != httpx.codes.OK:
                raise await _status_error(response, url)
            encoding = response.headers.get("content-encoding", "identity").strip().lower()
            if encoding != "identity":
                raise TransportError(url, f"the answer is encoded as {_one_line(encoding)!r}, which was not asked for")
            announced = response.headers.get("content-length", "0")
            if announced.isascii() and announced.isdigit() and int(announced[:16]) > maximum:
                raise TransportError(url, f"the answer has {_one_line(announced)} octets, at most {maximum} are read")
            answer = await _read(response, maximum)
        finally:
            await response.aclose()
        if answer is None:
            raise TransportError(url, f"the answer has more than {maximum} octets")
        return answer


def _checked(url: str) -> httpx.URL:
    """Return a URL with a scheme we speak and a host; raises `TransportError` (URLs come from lists)."""
    try:
        parsed = httpx.URL(url)
        host = parsed.host  # decodes an international name, which may be none
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise TransportError(_one_line(url), f"is no URL: {_one_line(str(error))}") from error
    if parsed.scheme not in _SCHEMES or not host or not 0 < (parsed.port or 1) <= _MAX_PORT:
        raise TransportError(_one_line(url), "is no http or https URL with a host")
    if parsed.userinfo:
        raise TransportError(_one_line(host), "a URL of an authority carries no user name")
    return parsed


async def _read(response: httpx.Response, maximum: int) -> bytes | None:
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


async def _status_error(response: httpx.Response, url: str) -> HttpStatusError:
    words = f"the server answered {response.status_code} {_one_line(response.reason_phrase)}".rstrip()
    location = response.headers.get("location")
    if location is not None:
        words += f" and points to {_one_line(location)}, which is not followed"
    said = await _read(response, MAX_ANSWER_OCTETS)
    if said is not None and response.headers.get("content-type", "").startswith("text/plain"):
        words += f": {_one_line(said.decode('ascii', 'replace'))}"
    wait = response.headers.get("retry-after", "")
    retry_after_s = min(int(wait[:9]), MAX_RETRY_AFTER_S) if wait.isascii() and wait.isdigit() else None
    return HttpStatusError(url, words, status=response.status_code, retry_after_s=retry_after_s)


def _one_line(text: str) -> str:
    """Return what a peer said as one short line of printable characters."""
    line = " ".join(text.split())
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in line)[:MAX_REASON_CHARACTERS]
