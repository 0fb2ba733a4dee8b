"""Orders to a running agent over a Unix socket: one JSON object on one line in, one out.

The socket has mode 0600: it obeys the agent's own user and root. That is kept apart from the status (`status_socket.py`), which
more people may read and which obeys nobody. What an order means is the program's; here is how it gets in, and that every client
gets one answer: what came of it, or why not.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from shared.core.errors import TransportError, V2xError
from shared.service.unix_server import UnixServer, ask

MODE = 0o600
MAX_ORDER_OCTETS = 4_096
MAX_ANSWER_OCTETS = 65_536
MAX_CLIENTS = 4
"""Clients served at once; the next is closed at once."""

PATIENCE_S = 5.0
"""How long a client may take to say its order, and the agent to answer."""

Order = Mapping[str, object]
Obey = Callable[[Order], Awaitable[Mapping[str, object]]]
"""Carries an order out; raises a `V2xError` that says why not."""


class CommandSocket:
    """Takes orders while it is entered (`async with`).

    Args:
        path: where the socket goes; its folder exists.
        obey: called once per client.
        patience_s: how long a client may take.
        max_order_octets: of one order.
    """

    def __init__(self, path: Path, obey: Obey, *, patience_s: float = PATIENCE_S, max_order_octets: int = MAX_ORDER_OCTETS) -> None:
        self._server = UnixServer(path, self._serve, mode=MODE, max_line_octets=max_order_octets)
        self._max_order_octets = max_order_octets
        self._obey = obey
        self._patience_s = patience_s
        self._clients = 0

    async def __aenter__(self) -> Self:
        """Begin to listen; raises `TransportError` when the path is taken or cannot be bound."""
        await self._server.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop listening."""
        await self._server.__aexit__(kind, error, trace)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            if self._clients <= MAX_CLIENTS:
                async with asyncio.timeout(self._patience_s):
                    answer = await self._answer(reader)
                    writer.write(msgspec.json.encode(answer) + b"\n")
                    await writer.drain()
        except (TimeoutError, OSError):
            writer.transport.abort()
        finally:
            self._clients -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> Mapping[str, object]:
        try:
            line = await reader.readuntil(b"\n")
            order = msgspec.json.decode(line, type=dict[str, object])
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return {"refused": f"an order is one line of at most {self._max_order_octets} octets"}
        except msgspec.DecodeError as error:
            return {"refused": f"the order is no JSON object: {error}"}
        try:
            return {"done": await self._obey(order)}
        except V2xError as refusal:
            return {"refused": str(refusal)}


def give_order(
    path: Path, order: Order, *, timeout_s: float = 2 * PATIENCE_S, max_answer_octets: int = MAX_ANSWER_OCTETS
) -> dict[str, object]:
    """Give a running agent an order and return what came of it, at most `max_answer_octets` of it.

    Raises:
        TransportError: nobody listens, no answer comes, or the agent refuses, in its own words.
    """
    line = msgspec.json.encode(order) + b"\n"
    received = ask(path, line, max_octets=max_answer_octets, timeout_s=timeout_s, absent="no agent takes orders here")
    if not received:
        raise TransportError(str(path), "the agent closed the connection without an answer: it is busy")
    try:
        answer = msgspec.json.decode(received, type=dict[str, object])
    except msgspec.DecodeError as error:
        raise TransportError(str(path), f"the answer is none: {error}") from None
    match answer:
        case {"done": dict(done)}:
            return done
        case {"refused": str(reason)}:
            raise TransportError(str(path), reason)
        case _:
            raise TransportError(str(path), "the answer is neither done nor refused")
