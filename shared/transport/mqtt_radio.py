"""MQTT 5 as a radio: the packets of the air as payloads, topics for places (see `mqtt_topics`), a broker in between.

It is open from the start and connects in the background; while there is no broker, what is still of use waits in a bounded outbox
(`mqtt_outbox`), and `send` waits for nobody. What is of no use any more is neither published late nor delivered late: the outbox
drops it, the broker drops it (message expiry), and what the network held up is dropped on arrival by its signed generation time.

Pseudonyms: the topic's source and the client identifier are those of one pseudonym. With a new one a new session under a new
random name is begun on a connection of its own, and the old one ends when it has published what it had and the new one listens.
What a broker can still link all the same: an address, the certificate TLS shows it, and that one session ends when another begins.
Who must not be linked by a broker needs a ticket-like client certificate for each pseudonym, or a gateway between.

Delivery is at least once: a broker may send a packet twice, and tiles of two sessions overlap for a moment. Who hears the same
signed packet twice drops it (`shared.security.replay`). The link-layer sender is not known here.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from random import Random

from paho.mqtt import client as paho

from shared.core.clock import Clock, MonotonicNs
from shared.core.entropy import Entropy
from shared.core.errors import TransportError
from shared.core.geo import GeoPoint
from shared.transport.mqtt_area import Surroundings
from shared.transport.mqtt_broker import Broker
from shared.transport.mqtt_outbox import CAPACITY_OCTETS, CAPACITY_PACKETS, Outbox, OutboxCounts, Parcel
from shared.transport.mqtt_session import BackOff, MqttSession, SessionCounts
from shared.transport.mqtt_topics import TopicGrammar
from shared.transport.packet_outline import PacketOutline, outline_of
from shared.transport.packet_validity import is_expired, useful_ns
from shared.transport.radio import (
    RECEIVE_QUEUE_PACKETS,
    RadioCounts,
    ReceivedPacket,
    ReceiveQueue,
    counts_of,
    require_sendable,
)

DEFAULT_QOS = 1
"""Quality of service of every kind not named: the broker acknowledges, so nothing valid is lost with a connection."""

DEFAULT_RADIUS_M: Mapping[str, float] = {
    "cam": 500.0,
    "spatem": 1_000.0,
    "mapem": 1_000.0,
    "srem": 1_000.0,
    "ssem": 1_000.0,
    "ivim": 2_000.0,
    "denm": 2_000.0,
}
"""Kinds listened to, and how far around: warnings from wherever their area can lie, at most 10 km2, whose centre is their topic."""

MAX_RETIRING = 3
"""Sessions of former pseudonyms that still have something to publish; more, and the oldest ends at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How the radio uses a broker.

    Attributes:
        grammar: of topics.
        radius_m_of: kinds listened to, and metres around the station for each.
        qos_of: quality of service, 0 or 1, of kinds that differ from `DEFAULT_QOS`.
        retained: kinds of which the broker keeps the last, while it is of use, for who subscribes later.
        no_local: do not hear oneself.
        back_off: between attempts to connect.
        capacity_packets: packets of the outbox.
        capacity_octets: octets of the outbox.
    """

    grammar: TopicGrammar = field(default_factory=TopicGrammar)
    radius_m_of: Mapping[str, float] = field(default_factory=lambda: DEFAULT_RADIUS_M)
    qos_of: Mapping[str, int] = field(default_factory=dict)
    retained: frozenset[str] = frozenset()
    no_local: bool = True
    back_off: BackOff = field(default_factory=BackOff)
    capacity_packets: int = CAPACITY_PACKETS
    capacity_octets: int = CAPACITY_OCTETS


class MqttRadio:
    """A radio by way of a broker; needs a running event loop.

    Args:
        broker: whom to call.
        clock: stamps arrivals, and says what has expired.
        habits: how the broker is used.
        entropy: draws client identifiers.
        random: jitter of the back-off.
        capacity_packets: packets that wait for the reader before the oldest is dropped.
        outline: reads what a packet is; another than `outline_of` only for packets that are none.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        clock: Clock,
        habits: Habits,
        entropy: Entropy,
        random: Random,
        capacity_packets: int = RECEIVE_QUEUE_PACKETS,
        outline: Callable[[bytes], PacketOutline] = outline_of,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._habits = habits
        self._entropy = entropy
        self._random = random
        self._outline = outline
        self._queue = ReceiveQueue(broker.endpoint, capacity_packets)
        self._surroundings = Surroundings(habits.grammar, habits.radius_m_of)
        self._outbox_counts = OutboxCounts()
        self._session_counts = SessionCounts()
        self._retiring: list[MqttSession] = []
        self._source_mac: bytes | None = None
        self._expired_on_arrival = 0
        self._unreadable = 0
        self._session = self._begin()

    @property
    def endpoint(self) -> str:
        """The broker, as `mqtts://host:port`."""
        return self._broker.endpoint

    @property
    def counts(self) -> RadioCounts:
        """What was sent, received and dropped so far."""
        return counts_of(self._queue, self._outbox_counts.handed, interruptions=self._session_counts.interruptions)

    @property
    def fault(self) -> str | None:
        """Why the broker cannot be used at the moment, as a sentence; None while it can."""
        return self._session.fault

    def status(self) -> dict[str, object]:
        """Return what there is to know, as JSON values; no topic, position or client identifier."""
        return {
            "broker": self._broker.endpoint,
            "fault": self.fault,
            "is_connected": self._session.is_connected,
            "subscriptions": len(self._surroundings.filters),
            "outbox": sum(len(session.outbox) for session in (self._session, *self._retiring)),
            "retiring_sessions": len(self._retiring),
            "expired_on_arrival": self._expired_on_arrival,
            "unreadable": self._unreadable,
            **asdict(self._outbox_counts),
            **asdict(self._session_counts),
        }

    async def send(self, packet: bytes, *, source_mac: bytes) -> None:
        """Publish one packet, or keep it until there is a broker or it is of no use any more; never waits for the broker.

        Raises:
            TransportError: the radio is closed, or the packet's kind or place cannot be read.
        """
        self._queue.require_open()
        require_sendable(packet, self._broker.endpoint)
        try:
            outline = self._outline(packet)
        except TransportError as error:
            self._unreadable += 1
            raise TransportError(self._broker.endpoint, f"no topic for a packet: {error.reason}") from None
        now = self._clock.now()
        remaining_ns = useful_ns(packet, outline, now)
        if remaining_ns <= 0:
            self._outbox_counts.expired += 1
            return
        habits = self._habits
        parcel = Parcel(
            payload=packet,
            topic=habits.grammar.publication(outline.kind, source_mac, outline.place),
            qos=habits.qos_of.get(outline.kind, DEFAULT_QOS),
            retain=outline.kind in habits.retained,
            useful_ns=remaining_ns,
            expires=MonotonicNs(now.monotonic + remaining_ns),
        )
        self._session_of(source_mac).put(parcel, now.monotonic)

    async def receive(self) -> ReceivedPacket:
        """Wait for the next packet; raises `TransportError` once closed and empty."""
        return await self._queue.get()

    def attend(self, position: GeoPoint) -> None:
        """Listen around `position`: what is new is subscribed to before what is left behind is dropped."""
        if self._surroundings.move(position):
            self._session.listen_to(self._surroundings.filters)

    def close(self) -> None:
        """Leave the broker; what it can take at this moment is still published."""
        for session in (*self._retiring, self._session):
            session.close()
        self._queue.close()

    async def settled(self) -> None:
        """Wait until the radio is connected and listens around where it is."""
        await self._session.settled()

    async def drained(self) -> None:
        """Wait until the broker has all that was sent and is still of use."""
        for session in (*self._retiring, self._session):
            await session.drained()

    def _begin(self) -> MqttSession:
        habits = self._habits
        outbox = Outbox(self._outbox_counts, capacity_packets=habits.capacity_packets, capacity_octets=habits.capacity_octets)
        return MqttSession(
            self._broker,
            outbox=outbox,
            counts=self._session_counts,
            hear=self._hear,
            clock=self._clock,
            entropy=self._entropy,
            random=self._random,
            back_off=habits.back_off,
            no_local=habits.no_local,
        )

    def _session_of(self, source_mac: bytes) -> MqttSession:
        """Return the session of the present pseudonym, begun now if it is a new one."""
        if self._source_mac is None:
            self._source_mac = source_mac
        elif source_mac != self._source_mac:
            self._source_mac = source_mac
            self._retiring = [session for session in self._retiring if not session.has_ended]
            successor = self._begin()
            successor.listen_to(self._surroundings.filters)
            self._session.retire(lambda: successor.is_settled or successor.has_ended)
            self._retiring.append(self._session)
            self._session = successor
            while len(self._retiring) > MAX_RETIRING:
                self._retiring.pop(0).close()
        return self._session

    def _hear(self, message: paho.MQTTMessage) -> None:
        packet, now = bytes(message.payload), self._clock.now()
        if is_expired(packet, now):
            self._expired_on_arrival += 1
        else:
            self._queue.put(packet, now)
