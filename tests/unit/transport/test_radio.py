"""One class of tests for every radio: what holds on a medium in memory holds on a real socket."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Protocol

import pytest

from shared.core.clock import ManualClock, MonotonicNs, UtcNs
from shared.core.errors import TransportError
from shared.network.packet import MAX_PACKET_OCTETS
from shared.transport.radio import MemoryMedium, Radio, ReceiveQueue
from shared.transport.udp_radio import UdpRadio

PATIENCE_S = 60.0
"""A guard against a hung test; nothing waits for it to pass."""

MAC = bytes.fromhex("020000000001")


class Medium(Protocol):
    """A place where radios of one kind meet."""

    def open(self, capacity_packets: int = 16) -> Radio: ...


class InMemory:
    def __init__(self, clock: ManualClock) -> None:
        self._medium = MemoryMedium(clock)

    def open(self, capacity_packets: int = 16) -> Radio:
        return self._medium.open_radio(capacity_packets)


class OnLoopback:
    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._port = 0

    def open(self, capacity_packets: int = 16) -> Radio:
        radio = UdpRadio.open(clock=self._clock, port=self._port, capacity_packets=capacity_packets)
        self._port = radio.port
        return radio


MediumFactory = Callable[[ManualClock], Medium]


def run(scene: Callable[[], Coroutine[object, object, None]]) -> None:
    async def guarded_scene() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await scene()

    asyncio.run(guarded_scene())


async def until_received(radio: Radio, packets: int) -> None:
    """Give the loop turns until a radio has queued that many packets."""
    while radio.counts.received < packets:  # noqa: ASYNC110 - a turn of the loop, not a wait
        await asyncio.sleep(0)


@pytest.mark.parametrize("make_medium", [InMemory, OnLoopback])
class TestEveryRadio:
    def test_what_one_sends_all_hear_itself_included(self, make_medium: MediumFactory) -> None:
        async def scene() -> None:
            clock = ManualClock(UtcNs(1_800_000_000_000_000_000), MonotonicNs(7))
            medium = make_medium(clock)
            car, rsu = medium.open(), medium.open()
            await car.send(b"\x12packet", source_mac=MAC)
            for each in (rsu, car):
                heard = await each.receive()
                assert (heard.packet, heard.received) == (b"\x12packet", clock.now())
            assert (car.counts.sent, car.counts.received, rsu.counts.sent, rsu.counts.received) == (1, 1, 0, 1)
            car.close()
            rsu.close()

        run(scene)

    def test_packets_keep_their_order_and_their_time(self, make_medium: MediumFactory) -> None:
        async def scene() -> None:
            clock = ManualClock(None)
            medium = make_medium(clock)
            car, rsu = medium.open(), medium.open()
            for number in range(5):
                await car.send(bytes((number,)), source_mac=MAC)
                await until_received(rsu, number + 1)
                clock.advance(100)
            heard = [await rsu.receive() for _ in range(5)]
            assert [(h.packet[0], h.received.monotonic) for h in heard] == [(n, n * 100) for n in range(5)]
            car.close()
            rsu.close()

        run(scene)

    def test_a_slow_reader_loses_the_oldest_and_the_loss_is_counted(self, make_medium: MediumFactory) -> None:
        async def scene() -> None:
            medium = make_medium(ManualClock(None))
            car, slow = medium.open(), medium.open(capacity_packets=2)
            for number in range(5):
                await car.send(bytes((number,)), source_mac=MAC)
            await until_received(slow, 5)
            assert [(await slow.receive()).packet[0] for _ in range(2)] == [3, 4]
            assert slow.counts.dropped_oldest == 3
            car.close()
            slow.close()

        run(scene)

    def test_a_waiting_reader_is_woken(self, make_medium: MediumFactory) -> None:
        async def scene() -> None:
            medium = make_medium(ManualClock(None))
            car, rsu = medium.open(), medium.open()
            waiting = asyncio.create_task(rsu.receive())
            await asyncio.sleep(0)
            await car.send(b"x", source_mac=MAC)
            assert (await waiting).packet == b"x"
            car.close()
            rsu.close()

        run(scene)

    @pytest.mark.parametrize("octets", [0, MAX_PACKET_OCTETS + 1])
    def test_what_is_no_packet_is_not_sent(self, make_medium: MediumFactory, octets: int) -> None:
        async def scene() -> None:
            radio = make_medium(ManualClock(None)).open()
            with pytest.raises(TransportError, match=f"{octets} octets"):
                await radio.send(bytes(octets), source_mac=MAC)
            assert radio.counts.sent == 0
            radio.close()

        run(scene)

    def test_the_largest_packet_arrives_whole(self, make_medium: MediumFactory) -> None:
        async def scene() -> None:
            radio = make_medium(ManualClock(None)).open()
            largest = bytes(range(256)) * (MAX_PACKET_OCTETS // 256)
            await radio.send(largest, source_mac=MAC)
            assert (await radio.receive()).packet == largest
            radio.close()

        run(scene)

    def test_a_closed_radio_gives_what_it_had_and_then_says_that_it_is_closed(self, make_medium: MediumFactory) -> None:
        async def scene() -> None:
            medium = make_medium(ManualClock(None))
            car, rsu = medium.open(), medium.open()
            await car.send(b"last", source_mac=MAC)
            await until_received(rsu, 1)
            rsu.close()
            rsu.close()
            await car.send(b"unheard", source_mac=MAC)
            assert (await rsu.receive()).packet == b"last"
            for attempt in (rsu.receive, lambda: rsu.send(b"x", source_mac=MAC)):
                await refused(attempt)
            car.close()

        run(scene)

    def test_closing_wakes_a_waiting_reader(self, make_medium: MediumFactory) -> None:
        async def scene() -> None:
            radio = make_medium(ManualClock(None)).open()
            waiting = asyncio.create_task(radio.receive())
            await asyncio.sleep(0)
            radio.close()
            await refused(lambda: waiting)

        run(scene)


async def refused(attempt: Callable[[], Awaitable[object]]) -> None:
    with pytest.raises(TransportError, match="closed"):
        await attempt()


def test_what_a_medium_delivers_that_is_no_packet_is_counted_and_dropped() -> None:
    queue = ReceiveQueue("test", 4)
    now = ManualClock(None).now()
    for octets in (0, 1, MAX_PACKET_OCTETS, MAX_PACKET_OCTETS + 1):
        queue.put(bytes(octets), now)
    assert (queue.received, queue.dropped_empty, queue.dropped_oversize) == (2, 1, 1)
