"""Documents to and from an MQTT 5 broker: what is subscribed to is handed on, what is told waits, bounded, while it is away.

For JSON that a person or another program reads: object lists of detectors, a traffic centre's hazards. Packets of the radio have a
session of their own (`transport.mqtt_session`). `run` connects again and again with growing pauses; the broker keeps nothing for us
meanwhile but what is retained. What is told has an expiry, here and at the broker; when there is no room, the oldest of the lowest
rank gives way, and everything lost is counted. Whoever tells never waits.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from random import Random

from paho.mqtt import client as paho
from structlog.typing import FilteringBoundLogger

from shared.core.errors import TransportError
from shared.service.mqtt_link import ANSWER_S, RETRY_FIRST_S, BrokerClient, PublicationLink
from shared.transport.mqtt_broker import Broker, PublishProperties
from shared.transport.mqtt_connection import MqttConnection

MAX_PENDING = 256
"""Documents that wait for the broker."""

MAX_DOCUMENT_OCTETS = 7_168
"""Octets of one document, in either direction: with its topic it fits into what `mqtt_connection` takes."""

Hear = Callable[[str, bytes], None]
"""Takes topic and document; neither waits nor raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Something to be told.

    Attributes:
        topic: where.
        octets: what; none forgets a retained one.
        expiry_s: for how long it is worth anything.
        retain: the broker keeps it for who comes later.
        matters: it is kept rather than what does not.
    """

    topic: str
    octets: bytes
    expiry_s: int
    retain: bool = False
    matters: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """What the broker says when we are lost."""

    topic: str
    octets: bytes


class MqttDocuments(BrokerClient):
    """A link to one broker while `run` runs.

    Args:
        broker: where it is; `client_name`, `log`, `lot`, `retry_first_s` and `answer_s` as in `BrokerClient`.
        filters: topic filters to listen to, with quality of service 1.
        hear: told each document that comes.
        will: said by the broker when we are lost.
        greeting: made and told first on every connection.
        begin: called on every connection before anything is subscribed to.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        filters: Sequence[str],
        hear: Hear,
        client_name: str,
        log: FilteringBoundLogger,
        lot: Random,
        will: Will | None = None,
        greeting: Callable[[], Document] | None = None,
        begin: Callable[[], None] | None = None,
        retry_first_s: float = RETRY_FIRST_S,
        answer_s: float = ANSWER_S,
    ) -> None:
        super().__init__(broker, client_name=client_name, log=log, lot=lot, retry_first_s=retry_first_s, answer_s=answer_s)
        self._filters = tuple(filters)
        self._hear = hear
        self._will = will
        self._greeting = greeting
        self._begin = begin
        self._pending: deque[tuple[float, Document]] = deque()
        self._refused_filters: tuple[str, ...] = ()
        self._heard = self._too_large = self._lost = 0

    def tell(self, document: Document) -> bool:
        """Tell something as soon as may be; never waits. Returns False where it is too large and never will be told."""
        if len(document.octets) > MAX_DOCUMENT_OCTETS:
            self._too_large += 1
            return False
        if len(self._pending) >= MAX_PENDING:
            self._lost += 1
            least = next((each for each in self._pending if not each[1].matters), self._pending[0])
            if least[1].matters and not document.matters:
                return True
            self._pending.remove(least)
        self._pending.append((asyncio.get_running_loop().time() + document.expiry_s, document))
        self._news.set()
        return True

    def status(self) -> dict[str, object]:
        """Return counts as JSON values."""
        return {
            "broker": self._broker.endpoint,
            "heard": self._heard,
            **super().status(),
            "refused_filters": list(self._refused_filters),
            "too_large": self._too_large,
            "lost": self._lost,
        }

    def _connection(self, link: PublicationLink) -> MqttConnection:
        return _Connection(self._broker, link, client_id=self._client_id, will=self._will)

    async def _begin_connection(self, connection: MqttConnection) -> None:
        if self._begin is not None:
            self._begin()
        if self._filters:
            refusals = await connection.listen([(each, 1) for each in self._filters], no_local=True)
            self._refused_filters = tuple(refusals)

    def _take(self, message: paho.MQTTMessage) -> None:
        self._heard += 1
        self._hear(message.topic, bytes(message.payload))

    async def _publish(self, connection: MqttConnection, link: PublicationLink) -> None:
        try:
            if self._greeting is not None:
                await self._give(connection, link, self._greeting(), None)
            while True:
                await self._news.wait()
                self._news.clear()  # before what waits is looked at, so that nothing is overlooked
                link.check()
                while self._pending:
                    waiting = self._pending[0]
                    remaining_s = ceil(waiting[0] - asyncio.get_running_loop().time())
                    if remaining_s > 0:
                        await self._give(connection, link, waiting[1], remaining_s)
                    else:
                        self._lost += 1
                    if self._pending and self._pending[0] is waiting:
                        self._pending.popleft()
        except asyncio.CancelledError:
            if self._will is not None:
                with suppress(TransportError):
                    nothing = PublishProperties(expiry_s=None, alias=None)
                    connection.hand_over(self._will.topic, self._will.octets, qos=0, retain=True, properties=nothing)
            connection.leave()
            raise

    async def _give(self, connection: MqttConnection, link: PublicationLink, document: Document, expiry_s: int | None) -> None:
        topic, octets = document.topic, document.octets
        await self._hand_over(connection, link, topic, octets, qos=1, retain=document.retain, expiry_s=expiry_s)


class _Connection(MqttConnection):
    """A connection after whose loss the broker says our will."""

    def __init__(self, broker: Broker, link: PublicationLink, *, client_id: str, will: Will | None) -> None:
        super().__init__(broker, link, client_id=client_id, session_expiry_s=0)
        if will is not None:
            self._client.will_set(will.topic, will.octets, qos=1, retain=True)
