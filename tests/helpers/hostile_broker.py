"""A broker of no manners: a few octets of MQTT 5 by hand, enough to refuse, to lie, to repeat and to send rubbish."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, DISCONNECT = 1, 2, 3, 4, 8, 9, 14

ACCEPTED = b"\x20\x03\x00\x00\x00"

Answer = Callable[[int, bytes], bytes | None]
"""What is sent back to a packet of a type with a body; None closes the connection."""


def refused(reason: int) -> bytes:
    """Return a CONNACK with a reason code."""
    return bytes((0x20, 3, 0, reason, 0))


def disconnect(reason: int) -> bytes:
    """Return a DISCONNECT with a reason code."""
    return bytes((0xE0, 2, reason, 0))


def puback(number: bytes, reason: int = 0) -> bytes:
    """Return a PUBACK."""
    return bytes((0x40, 4)) + number + bytes((reason, 0))


def suback(body: bytes, reason: int = 1) -> bytes:
    """Return a SUBACK for a SUBSCRIBE with `body`, the same answer for every filter."""
    filters, at = 0, 3 + body[2]
    while at < len(body):
        at += 3 + int.from_bytes(body[at : at + 2], "big")
        filters += 1
    return bytes((0x90, 3 + filters)) + body[:2] + b"\0" + bytes((reason,)) * filters


def publish(payload: bytes, *, topic: bytes = b"t") -> bytes:
    """Return a PUBLISH of QoS 0."""
    body = len(topic).to_bytes(2, "big") + topic + b"\0" + payload
    return b"\x30" + _length(len(body)) + body


def number_of(body: bytes) -> bytes:
    """Return the packet identifier of a PUBLISH of QoS 1."""
    at = 2 + int.from_bytes(body[:2], "big")
    return body[at : at + 2]


def manners(kind: int, body: bytes) -> bytes | None:
    """Answer as a broker should that relays nothing."""
    match kind:
        case 1:
            return ACCEPTED
        case 8:
            return suback(body)
        case 3:
            return puback(number_of(body))
        case 14:
            return None
        case _:
            return b""


@asynccontextmanager
async def hostile_broker(answer: Answer) -> AsyncIterator[int]:
    """Serve on a port of loopback."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                kind = (await reader.readexactly(1))[0] >> 4
                body = await reader.readexactly(await _read_length(reader))
                said = answer(kind, body)
                if said is None:
                    break
                writer.write(said)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        port: int = server.sockets[0].getsockname()[1]
        yield port
    finally:
        server.close()


async def _read_length(reader: asyncio.StreamReader) -> int:
    value = shift = 0
    while True:
        octet = (await reader.readexactly(1))[0]
        value |= (octet & 0x7F) << shift
        shift += 7
        if octet < 0x80:
            return value


def _length(octets: int) -> bytes:
    encoded = b""
    while True:
        octets, low = octets >> 7, octets & 0x7F
        encoded += bytes((low | (0x80 if octets else 0),))
        if not octets:
            return encoded
