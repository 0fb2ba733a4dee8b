"""One publication after another over one connection to a broker: what became of each, and of the connection.

For links that hand over a document and wait until the broker has it; who has many under way at once keeps account of them himself
(`transport.mqtt_session`).
"""

import asyncio
from collections.abc import Callable

from paho.mqtt import client as paho

from shared.core.errors import TransportError


def hear_nothing(_message: paho.MQTTMessage) -> None:
    """Take a message where nothing is subscribed to, so that there is none."""


class PublicationLink:
    """What becomes of one connection and of the one publication under way on it.

    Args:
        news: set when the connection ends, for whoever waits for something to publish.
        take: told each message that comes; neither waits nor raises.
    """

    def __init__(self, news: asyncio.Event, take: Callable[[paho.MQTTMessage], None]) -> None:
        self._news = news
        self._take = take
        self._told: tuple[int, str | None] | None = None
        self._awaited: tuple[int, asyncio.Future[str | None]] | None = None
        self._reason: str | None = None

    def heard(self, message: paho.MQTTMessage) -> None:
        """Hand a message on."""
        self._take(message)

    def published(self, number: int, refusal: str | None) -> None:
        """Note what became of a publication."""
        self._told = number, refusal
        if self._awaited is not None and self._awaited[0] == number and not self._awaited[1].done():
            self._awaited[1].set_result(refusal)

    def ended(self, reason: str) -> None:
        """Note the end of the connection."""
        self._reason = reason
        self._news.set()
        if self._awaited is not None and not self._awaited[1].done():
            self._awaited[1].set_exception(TransportError("broker", reason))

    def check(self) -> None:
        """Raise `TransportError` once the connection is over."""
        if self._reason is not None:
            raise TransportError("broker", self._reason)

    async def outcome(self, number: int) -> str | None:
        """Wait for what becomes of a publication: None, or why the broker refuses it; raises `TransportError` at the end."""
        self.check()
        if self._told is not None and self._told[0] == number:
            return self._told[1]
        self._awaited = number, asyncio.get_running_loop().create_future()
        try:
            return await self._awaited[1]
        finally:
            self._awaited = None


def end_if_cancelled() -> None:
    """Raise `CancelledError` where it was raised before and lost: asyncio's `wait_for` prefers a failure of the same moment."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
