"""One class of tests for every radio: what holds on a medium in memory holds on a real socket, a cable and a broker.

A medium is added in `tests.unit.transport.media`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

import pytest

from shared.core.clock import ManualClock, MonotonicNs, UtcNs
from shared.core.errors import TransportError
from shared.core.geo import GeoPoint
from shared.network.packet import MAX_PACKET_OCTETS
from shared.transport.radio import Radio, ReceiveQueue
from tests.unit.transport.media import MEDIA, Medium, MediumFactory

PATIENCE_S = 60.0
"""A guard against a hung test; nothing waits for it to pass."""

MAC = bytes.fromhex("020000000001")
OTHER_MAC = bytes.fromhex("020000000002")

Scene = Callable[[Medium, ManualClock], Coroutine[object, object, None]]


def run(make_medium: MediumFactory, scene: Scene, clock: ManualClock | None = None) -> None:
    clock = ManualClock(None) if clock is None else clock

    async def guarded_scene(medium: Medium) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await scene(medium, clock)

    with make_medium(clock) as medium:
        asyncio.run(guarded_scene(medium))


async def until_received(radio: Radio, packets: int) -> None:
    """Give the loop turns until a radio has queued that many packets."""
    while radio.counts.received < packets:  # noqa: ASYNC110 - a turn of the loop, not a wait
        await asyncio.sleep(0)


@pytest.mark.parametrize("make_medium", MEDIA, ids=lambda factory: factory.__name__)
class TestEveryRadio:
    def test_what_one_sends_the_other_hears_with_its_time(self, make_medium: MediumFactory) -> None:
        async def scene(medium: Medium, clock: ManualClock) -> None:
            car, rsu = medium.open(), medium.open()
            await car.send(b"\x12packet", source_mac=MAC)
            heard = await rsu.receive()
            assert (heard.packet, heard.received) == (b"\x12packet", clock.now())
            assert heard.sender_mac == (MAC if medium.tells_the_sender else None)
            assert (car.counts.sent, rsu.counts.sent, rsu.counts.received) == (1, 0, 1)
            assert (car.fault, rsu.fault) == (None, None)
            car.close()
            rsu.close()

        run(make_medium, scene, ManualClock(UtcNs(1_800_000_000_000_000_000), MonotonicNs(7)))

    def test_a_radio_hears_itself_where_its_medium_echoes_and_nowhere_else(self, make_medium: MediumFactory) -> None:
        async def scene(medium: Medium, _clock: ManualClock) -> None:
            car, rsu = medium.open(), medium.open()
            await car.send(b"mine", source_mac=MAC)
            await rsu.receive()
            await rsu.send(b"theirs", source_mac=OTHER_MAC)
            assert (await car.receive()).packet == (b"mine" if medium.echoes else b"theirs")
            car.close()
            rsu.close()

        run(make_medium, scene)

    def test_packets_keep_their_order_and_their_time(self, make_medium: MediumFactory) -> None:
        async def scene(medium: Medium, clock: ManualClock) -> None:
            car, rsu = medium.open(), medium.open()
            for number in range(5):
                await car.send(bytes((number,)), source_mac=MAC)
                await until_received(rsu, number + 1)
                clock.advance(100)
            heard = [await rsu.receive() for _ in range(5)]
            assert [(h.packet[0], h.received.monotonic) for h in heard] == [(n, n * 100) for n in range(5)]
            car.close()
            rsu.close()

        run(make_medium, scene)

    def test_a_slow_reader_loses_the_oldest_and_the_loss_is_counted(self, make_medium: MediumFactory) -> None:
        async def scene(medium: Medium, _clock: ManualClock) -> None:
            car, slow = medium.open(), medium.open(capacity_packets=2)
            for number in range(5):
                await car.send(bytes((number,)), source_mac=MAC)
            await until_received(slow, 5)
            assert [(await slow.receive()).packet[0] for _ in range(2)] == [3, 4]
            assert slow.counts.dropped_oldest == 3
            car.close()
            slow.close()

        run(make_medium, scene)

    def test_a_waiting_reader_is_woken(self, make_medium: MediumFactory) -> None:
        async def scene(medium: Medium, _clock: ManualClock) -> None:
            car, rsu = medium.open(), medium.open()
            waiting = asyncio.create_task(rsu.receive())
            await asyncio.sleep(0)
            await car.send(b"x", source_mac=MAC)
            assert (await waiting).packet == b"x"
            car.close()
            rsu.close()

        run(make_medium, scene)

    @pytest.mark.parametrize("octets", [0, MAX_PACKET_OCTETS + 1])
    def test_what_is_no_packet_is_not_sent(self, make_medium: MediumFactory, octets: int) -> None:
        async def scene(medium: Medium, _clock: ManualClock) -> None:
            radio = medium.open()
            with pytest.raises(TransportError, match=f"{octets} octets"):
                await radio.send(bytes(octets), source_mac=MAC)
            assert radio.counts.sent == 0
            radio.close()

        run(make_medium, scene)

    def test_the_largest_packet_arrives_whole(self, make_medium: MediumFactory) -> None:
        async def scene(medium: Medium, _clock: ManualClock) -> None:
            car, rsu = medium.open(), medium.open()
            largest = bytes(range(256)) * (MAX_PACKET_OCTETS // 256)
            await car.send(largest, source_mac=MAC)
            assert (await rsu.receive()).packet == largest
            car.close()
            rsu.close()

        run(make_medium, scene)

    def test_saying_where_we_are_changes_nothing_nearby(self, make_medium: MediumFactory) -> None:
        async def scene(medium: Medium, _clock: ManualClock) -> None:
            car, rsu = medium.open(), medium.open()
            for radio in (car, rsu):
                radio.attend(GeoPoint(48.137, 11.575))
            await car.send(b"near", source_mac=MAC)
            assert (await rsu.receive()).packet == b"near"
            car.close()
            rsu.close()

        run(make_medium, scene)

    def test_a_closed_radio_gives_what_it_had_and_then_says_that_it_is_closed(self, make_medium: MediumFactory) -> None:
        async def scene(medium: Medium, _clock: ManualClock) -> None:
            car, rsu = medium.open(), medium.open()
            await car.send(b"last", source_mac=MAC)
            await until_received(rsu, 1)
            rsu.close()
            rsu.close()
            await car.send(b"unheard", source_mac=MAC)
            assert (await rsu.receive()).packet == b"last"
            for attempt in (rsu.receive, lambda: rsu.send(b"x", source_mac=MAC)):
                await refused(attempt)
            assert rsu.counts.received == 1
            car.close()

        run(make_medium, scene)

    def test_closing_wakes_a_waiting_reader(self, make_medium: MediumFactory) -> None:
        async def scene(medium: Medium, _clock: ManualClock) -> None:
            radio = medium.open()
            waiting = asyncio.create_task(radio.receive())
            await asyncio.sleep(0)
            radio.close()
            await refused(lambda: waiting)

        run(make_medium, scene)


async def refused(attempt: Callable[[], Awaitable[object]]) -> None:
    with pytest.raises(TransportError, match="closed"):
        await attempt()


def test_what_a_medium_delivers_that_is_no_packet_is_counted_and_dropped() -> None:
    queue = ReceiveQueue("test", 4)
    now = ManualClock(None).now()
    for octets in (0, 1, MAX_PACKET_OCTETS, MAX_PACKET_OCTETS + 1):
        queue.put(bytes(octets), now)
    assert (queue.received, queue.dropped_empty, queue.dropped_oversize) == (2, 1, 1)
