"""Radios by way of a broker, for tests: on a private mosquitto, or wherever a test has its own."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from shared.core.clock import Clock, ManualClock
from shared.core.geo import GeoPoint
from shared.transport.mqtt_broker import Broker
from shared.transport.mqtt_radio import Habits, MqttRadio
from shared.transport.mqtt_session import BackOff
from shared.transport.mqtt_topics import IN_QUEUE, TopicGrammar
from shared.transport.packet_outline import PacketOutline
from shared.transport.radio import RECEIVE_QUEUE_PACKETS, RadioCounts, ReceivedPacket
from tests.helpers.broker import MosquittoBroker

MUNICH = GeoPoint(48.137, 11.575)

BARE = Habits(
    grammar=TopicGrammar(namespace="test", publish_queue=IN_QUEUE, listen_queue=IN_QUEUE),
    back_off=BackOff(first_s=0.02, longest_s=0.2),
)
"""Habits for a broker without a relay, in a hurry."""

_ANYTHING = PacketOutline(kind="cam", place=MUNICH, lifetime_ms=1_000, generation_time=None, message_at=0, message_end=0)


def open_radio(broker: Broker, clock: Clock, *, habits: Habits = BARE, capacity_packets: int = RECEIVE_QUEUE_PACKETS) -> MqttRadio:
    """Open a radio for real packets."""
    return MqttRadio(
        broker,
        clock=clock,
        habits=habits,
        entropy=secrets.token_bytes,
        random=Random(1),
        capacity_packets=capacity_packets,
    )


def plain(host: str, port: int) -> Broker:
    """Return a broker on loopback, in the clear."""
    return Broker(host=host, port=port, tls=None)


class OverABroker:
    """A medium for tests of any radio: whatever is sent is a CAM in Munich."""

    echoes = False
    tells_the_sender = False

    def __init__(self, clock: ManualClock, broker: Broker) -> None:
        self._clock = clock
        self._broker = broker
        self._radios: list[MqttRadio] = []

    def open(self, capacity_packets: int = 16) -> "ReadyRadio":
        radio = MqttRadio(
            self._broker,
            clock=self._clock,
            habits=replace(BARE),
            entropy=secrets.token_bytes,
            random=Random(len(self._radios)),
            capacity_packets=capacity_packets,
            outline=lambda _packet: _ANYTHING,
        )
        radio.attend(MUNICH)
        self._radios.append(radio)
        return ReadyRadio(radio, self)

    async def everybody_listens(self) -> None:
        """Wait until all who are there have subscribed: an ether needs no subscription, a broker does."""
        for radio in self._radios:
            await radio.settled()

    def leave(self, radio: MqttRadio) -> None:
        if radio in self._radios:
            self._radios.remove(radio)


class ReadyRadio:
    """A radio that speaks when all others listen."""

    def __init__(self, radio: MqttRadio, medium: OverABroker) -> None:
        self._radio = radio
        self._medium = medium

    @property
    def counts(self) -> RadioCounts:
        return self._radio.counts

    @property
    def fault(self) -> str | None:
        return self._radio.fault

    async def send(self, packet: bytes, *, source_mac: bytes) -> None:
        await self._medium.everybody_listens()
        await self._radio.send(packet, source_mac=source_mac)

    async def receive(self) -> ReceivedPacket:
        return await self._radio.receive()

    def attend(self, position: GeoPoint) -> None:
        self._radio.attend(position)

    def close(self) -> None:
        self._medium.leave(self._radio)
        self._radio.close()


@contextmanager
def mqtt(clock: ManualClock) -> Iterator[OverABroker]:
    """A medium of its own broker."""
    with TemporaryDirectory() as directory, MosquittoBroker(Path(directory)) as broker:
        yield OverABroker(clock, plain(broker.host, broker.port))
