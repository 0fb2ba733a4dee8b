"""The media radios of one kind meet on, for tests that hold for every radio."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from shared.core.clock import ManualClock
from shared.transport.ether_radio import EtherRadio
from shared.transport.radio import MemoryMedium, Radio
from shared.transport.udp_radio import UdpRadio
from tests.helpers.mqtt_medium import mqtt
from tests.helpers.namespaces import lay_cable, network_namespaces


class Medium(Protocol):
    """A place where two radios of one kind meet."""

    @property
    def echoes(self) -> bool:
        """Whether a radio hears what it sends itself."""
        ...

    @property
    def tells_the_sender(self) -> bool:
        """Whether a packet comes with the link-layer address of who transmitted it."""
        ...

    def open(self, capacity_packets: int = 16) -> Radio:
        """Open one of the two."""
        ...


MediumFactory = Callable[[ManualClock], AbstractContextManager[Medium]]


class InMemory:
    echoes = True
    tells_the_sender = True

    def __init__(self, clock: ManualClock) -> None:
        self._medium = MemoryMedium(clock)

    def open(self, capacity_packets: int = 16) -> Radio:
        return self._medium.open_radio(capacity_packets)


class OnLoopback:
    echoes = True
    tells_the_sender = False

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._port = 0

    def open(self, capacity_packets: int = 16) -> Radio:
        radio = UdpRadio.open(clock=self._clock, port=self._port, capacity_packets=capacity_packets)
        self._port = radio.port
        return radio


class OnACable:
    """The two ends of a veth pair; the thread is inside their namespace."""

    echoes = False
    tells_the_sender = True

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._ends = ["car0", "rsu0"]

    def open(self, capacity_packets: int = 16) -> Radio:
        return EtherRadio.open(clock=self._clock, interface=self._ends.pop(0), capacity_packets=capacity_packets)


@contextmanager
def memory(clock: ManualClock) -> Iterator[Medium]:
    yield InMemory(clock)


@contextmanager
def udp(clock: ManualClock) -> Iterator[Medium]:
    yield OnLoopback(clock)


@contextmanager
def ethernet(clock: ManualClock) -> Iterator[Medium]:
    with network_namespaces(1) as (namespace,):
        lay_cable(namespace, "car0", namespace, "rsu0")
        with namespace.inside():
            yield OnACable(clock)


MEDIA: tuple[MediumFactory, ...] = (memory, udp, ethernet, mqtt)
