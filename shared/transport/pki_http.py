"""HTTP to authorities and distribution centres (TS 102 941 clause 6.2.0.3 and annex D): one exchange, bounded in size and time.

    POST url    application/x-its-request -> application/x-its-response      an EA or AA, at the listed URL as it is
    GET url     a trust list, a certificate or a proof

What arrives are octets; whether they may be believed is decided by the signatures inside, so the type an answer claims is not
looked at. Every exchange has a connection of its own, and nothing is sent that tells one station from another: no cookie, no
user agent, no connection that a second request would share. Redirects are not followed. What a server does wrong ends in a
`TransportError` that names the URL; trying again is the caller's.
"""

import ssl
from types import TracebackType
from typing import Self

from shared.transport.bounded_http import EXCHANGE_TIMEOUT_S, MAX_REASON_CHARACTERS, SILENCE_TIMEOUT_S, BoundedHttp, HttpStatusError

__all__ = [
    "CRL_TYPE",
    "CTL_TYPE",
    "MAX_ANSWER_OCTETS",
    "MAX_REASON_CHARACTERS",
    "OCTETS_TYPE",
    "REQUEST_TYPE",
    "RESPONSE_TYPE",
    "HttpStatusError",
    "PkiHttp",
]

REQUEST_TYPE = "application/x-its-request"
RESPONSE_TYPE = "application/x-its-response"
CTL_TYPE = "application/x-its-ctl"
CRL_TYPE = "application/x-its-crl"
OCTETS_TYPE = "application/octet-stream"

MAX_ANSWER_OCTETS = 64 * 1024
"""Octets of an authority's answer: a certificate and its wrapping have below 2 KiB."""

MAX_LIST_OCTETS = 1024 * 1024
"""Octets of a trust list; the European one has some 30 KiB."""


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
        self._http = BoundedHttp(exchange_timeout_s=exchange_timeout_s, silence_timeout_s=silence_timeout_s, tls=tls)

    async def __aenter__(self) -> Self:
        """Be ready; nothing is opened before the first exchange."""
        await self._http.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close what is open."""
        await self._http.__aexit__(kind, error, trace)

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
        return await self._http.exchange(
            "POST", url, headers={"content-type": REQUEST_TYPE, "accept": RESPONSE_TYPE}, body=body, maximum=maximum
        )

    async def get(self, url: str, *, maximum: int = MAX_LIST_OCTETS) -> bytes:
        """Fetch a document of at most `maximum` octets; raises as `post` does."""
        return await self._http.exchange("GET", url, headers={}, body=b"", maximum=maximum)
