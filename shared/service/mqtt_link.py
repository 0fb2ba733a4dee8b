"""One publication after another to a broker that comes and goes: what became of each, and of the connection.

`BrokerClient` connects again and again, and hands over a document and waits until the broker has it; who has many under way at once
keeps account of them himself (`transport.mqtt_session`).
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from random import Random

from paho.mqtt import client as paho
from structlog.typing import FilteringBoundLogger

from shared.core.errors import TransportError
from shared.service.log import Availability
from shared.transport.mqtt_broker import Broker, PublishProperties
from shared.transport.mqtt_connection import MqttConnection

RETRY_FIRST_S, RETRY_MAX_S = 0.5, 30.0
"""The first pause before connecting again, and the longest; each is half again to twice the one before."""

ANSWER_S = 5.0
"""Seconds in which the broker takes what it is given."""


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


class BrokerClient(ABC):
    """Connected to one broker while `run` runs and the broker is there.

    Args:
        broker: where it is.
        client_name: beginning of our name there; the rest is drawn, so no two of us take each other's place.
        log: told when the broker comes and goes.
        lot: draws the rest of the name, and the length of pauses.
        retry_first_s: the first pause before connecting again.
        answer_s: seconds in which the broker takes what it is given.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        client_name: str,
        log: FilteringBoundLogger,
        lot: Random,
        retry_first_s: float = RETRY_FIRST_S,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._broker = broker
        self._client_id = f"{client_name}-{lot.getrandbits(48):012x}"
        self._availability = Availability(log, broker.endpoint)
        self._lot = lot
        self._retry_first_s = retry_first_s
        self._answer_s = answer_s
        self._news = asyncio.Event()
        self._is_connected = False
        self._published = self._refused = self._interruptions = 0

    @property
    def is_connected(self) -> bool:
        """Whether the broker is there."""
        return self._is_connected

    def status(self) -> dict[str, object]:
        """Return how the broker is, and counts, as JSON values."""
        return {
            "is_connected": self._is_connected,
            "published": self._published,
            "refused": self._refused,
            "interruptions": self._interruptions,
        }

    async def run(self) -> None:
        """Be connected until cancelled."""
        pause_s = self._retry_first_s
        while True:
            link = PublicationLink(self._news, self._take)
            connection = self._connection(link)
            try:
                await connection.connect()
                await self._begin_connection(connection)
                self._is_connected = True
                self._availability.works()
                pause_s = self._retry_first_s
                self._news.set()  # what was kept while there was no connection
                await self._publish(connection, link)
            except TransportError as failure:
                self._interruptions += self._is_connected
                self._availability.lost(failure.reason)
            finally:
                self._is_connected = False
                connection.abandon()
            end_if_cancelled()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * self._lot.uniform(1.5, 2.0), RETRY_MAX_S)

    @abstractmethod
    def _connection(self, link: PublicationLink) -> MqttConnection:
        """Return a connection not yet made, with its will."""

    @abstractmethod
    async def _publish(self, connection: MqttConnection, link: PublicationLink) -> None:
        """Publish what waits and what comes, as `_news` says; raises `TransportError` when the connection ends."""

    async def _begin_connection(self, connection: MqttConnection) -> None:
        """Do what comes first on a connection, where there is something; raises `TransportError`."""
        del connection

    def _take(self, message: paho.MQTTMessage) -> None:
        """Take a message; there is none where nothing is subscribed to."""
        del message

    async def _hand_over(
        self,
        connection: MqttConnection,
        link: PublicationLink,
        topic: str,
        octets: bytes,
        *,
        qos: int,
        retain: bool,
        expiry_s: int | None,
    ) -> None:
        """Have the broker take one publication; raises `TransportError` where it does not in time."""
        limits = connection.limits
        properties = PublishProperties(expiry_s=expiry_s, alias=None)
        qos, retain = min(qos, limits.qos), retain and limits.can_retain
        number = connection.hand_over(topic, octets, qos=qos, retain=retain, properties=properties)
        try:
            async with asyncio.timeout(self._answer_s):
                refusal = await link.outcome(number)
        except TimeoutError:
            raise TransportError("broker", f"takes nothing for {self._answer_s} s") from None
        if refusal is None:
            self._published += 1
        else:
            self._refused += 1
