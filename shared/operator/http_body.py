"""A request's body, read no further than it may be long and no longer than it may take, as every HTTP application here does.

The length a client announces is believed only to refuse it at once; what counts is what comes. Left out: what the octets mean.
"""

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import Request

MAX_LENGTH_DIGITS = 9
"""Digits of an announced length that are read as a number."""


async def read_body(request: Request, *, most_octets: int, timeout_s: float, what: str) -> bytes:
    """Return the body.

    Args:
        request: whose.
        most_octets: it may have.
        timeout_s: for all of it to come.
        what: it is, with its article, for whoever is refused: `an entry`.

    Raises:
        HTTPException: 413 it is larger, 408 it did not come in time.
    """
    too_large = HTTPException(413, f"{what} has at most {most_octets} octets")
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and (len(announced) > MAX_LENGTH_DIGITS or int(announced) > most_octets):
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for part in request.stream():
                body += part
                if len(body) > most_octets:
                    raise too_large
    except TimeoutError:
        raise HTTPException(408, f"{what} was not there within {timeout_s:g} s") from None
    return bytes(body)
