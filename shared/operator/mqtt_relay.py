"""A relay beside an MQTT broker: copies what stations publish in one queue to the queue that others listen to.

    {namespace}/inQueue/...  ->  {namespace}/outQueue/...

Clients of that grammar expect it (`shared.transport.mqtt_topics`); where stations publish and listen in one queue, nobody needs it.
It looks at topics and sizes only: what is in a packet is proven by its signature, to whoever hears it. Payload, quality of service,
retain flag and what remains of the message's time go along; order is kept. A message of QoS 1 is acknowledged when its copy was, so
a relay or a broker that dies in between loses none: the broker delivers it again, perhaps a second time.
"""

import asyncio
from collections import deque
from dataclasses import asdict, dataclass
from random import Random

from paho.mqtt import client as paho

from shared.core.entropy import Entropy
from shared.core.errors import TransportError
from shared.network.packet import MAX_PACKET_OCTETS
from shared.service.log import Availability
from shared.transport.mqtt_broker import Broker, BrokerLimits, PublishProperties
from shared.transport.mqtt_connection import MqttConnection
from shared.transport.mqtt_session import CLIENT_ID_OCTETS, STEADY_S, BackOff
from shared.transport.mqtt_topics import TopicGrammar

MAX_WAITING = 4_096
"""Messages of QoS 0 that wait for the broker; those of QoS 1 it holds back itself."""

SESSION_EXPIRY_S = 120
"""Seconds for which the broker keeps messages of QoS 1 for a relay that is away."""


@dataclass(slots=True, kw_only=True)
class RelayCounts:
    """What a relay has done.

    Attributes:
        relayed: messages copied, and acknowledged where their quality of service asks for it.
        redelivered: messages that came marked as sent before.
        foreign: messages outside the grammar, not copied.
        oversize: messages longer than a packet can be, not copied.
        crowded_out: messages of QoS 0 for which there was no room.
        refused: copies that the broker refused.
        interruptions: connections that broke.
    """

    relayed: int = 0
    redelivered: int = 0
    foreign: int = 0
    oversize: int = 0
    crowded_out: int = 0
    refused: int = 0
    interruptions: int = 0


class MqttRelay:
    """A relay for one namespace.

    Args:
        broker: whose messages are copied.
        grammar: from its publish queue to its listen queue.
        entropy: draws the client identifier.
        random: jitter of the back-off.
        state: told when the broker comes and goes.
        back_off: between attempts to connect.

    Raises:
        ValueError: both queues are one, so that every copy would be copied.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        grammar: TopicGrammar,
        entropy: Entropy,
        random: Random,
        state: Availability,
        back_off: BackOff,
    ) -> None:
        if grammar.publish_queue == grammar.listen_queue:
            raise ValueError(f"a relay from {grammar.publish_queue} to itself would never end")
        self._broker = broker
        self._grammar = grammar
        self._client_id = entropy(CLIENT_ID_OCTETS).hex()
        self._random = random
        self._state = state
        self._back_off = back_off
        self._connection: MqttConnection | None = None
        self._limits: BrokerLimits | None = None
        self._waiting: deque[paho.MQTTMessage] = deque()
        self._owed: dict[int, paho.MQTTMessage] = {}
        self._over: asyncio.Future[str] | None = None
        self._ready = asyncio.Event()
        self.counts = RelayCounts()

    async def ready(self) -> None:
        """Wait until the relay listens."""
        await self._ready.wait()

    def status(self) -> dict[str, object]:
        """Return what there is to know, as JSON values."""
        return {"broker": self._broker.endpoint, "is_connected": self._connection is not None, **asdict(self.counts)}

    async def run(self) -> None:
        """Relay until cancelled; a broker that is away is waited for."""
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            try:
                await self._relay()
            except TransportError as error:
                self._state.lost(error.reason)
            failures = 1 if loop.time() - began_s >= STEADY_S else failures + 1
            await asyncio.sleep(self._back_off.delay_s(failures, self._random))

    async def _relay(self) -> None:
        """Relay over one connection; raises `TransportError` when it is over."""
        over = self._over = asyncio.get_running_loop().create_future()
        connection = MqttConnection(
            self._broker, self, client_id=self._client_id, session_expiry_s=SESSION_EXPIRY_S, acknowledges_itself=True
        )
        self._connection = connection
        try:
            self._limits = await connection.connect()
            refusals = await connection.listen([(self._grammar.inbox, 1)], no_local=True, retain_as_published=True)
            if refusals:
                raise TransportError(self._broker.endpoint, f"the broker refuses the subscription: {refusals[0]}")
            self._state.works()
            self._ready.set()
            self._pump()
            reason = await over
            self.counts.interruptions += 1
            raise TransportError(self._broker.endpoint, reason)
        except asyncio.CancelledError:
            connection.leave()
            raise
        finally:
            self._connection = self._limits = None
            self._ready.clear()
            self._waiting.clear()  # of QoS 1, the broker delivers again what was not acknowledged
            self._owed.clear()
            connection.abandon()

    # What the connection calls.

    def heard(self, message: paho.MQTTMessage) -> None:
        """Queue a message for its copy."""
        if message.dup:
            self.counts.redelivered += 1
        if len(message.payload) > MAX_PACKET_OCTETS:
            self.counts.oversize += 1
            self._acknowledge(message)
        elif self._grammar.relayed(message.topic) is None:
            self.counts.foreign += 1
            self._acknowledge(message)
        elif message.qos == 0 and len(self._waiting) >= MAX_WAITING:
            self.counts.crowded_out += 1
        else:
            self._waiting.append(message)
            self._pump()

    def published(self, number: int, refusal: str | None) -> None:
        """Acknowledge a message whose copy the broker has, or refuses."""
        message = self._owed.pop(number, None)
        if message is None:
            return
        if refusal is None:
            self.counts.relayed += 1
        else:
            self.counts.refused += 1
        self._acknowledge(message)
        self._pump()

    def ended(self, reason: str) -> None:
        """Note that the connection is over."""
        self._limits = None
        if self._over is not None and not self._over.done():
            self._over.set_result(reason)

    def _pump(self) -> None:
        while self._waiting and self._connection is not None and self._limits is not None:
            if len(self._owed) >= self._limits.in_flight:
                return
            message = self._waiting.popleft()
            topic = self._grammar.relayed(message.topic)
            if topic is None:
                continue
            expiry_s: int | None = getattr(message.properties, "MessageExpiryInterval", None)
            try:
                number = self._connection.hand_over(
                    topic,
                    bytes(message.payload),
                    qos=min(message.qos, self._limits.qos),
                    retain=message.retain and self._limits.can_retain,
                    properties=PublishProperties(expiry_s=expiry_s, alias=None),
                )
            except TransportError as error:
                self._connection.fail(error.reason)
                return
            self._owed[number] = message

    def _acknowledge(self, message: paho.MQTTMessage) -> None:
        if self._connection is not None and message.qos:
            self._connection.acknowledge(message)
