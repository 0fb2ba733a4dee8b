"""One class of tests for every bus: virtual, UDP multicast, and SocketCAN where V2X_VCAN names an interface (`V2X_VCAN=vcan0`)."""

import asyncio
import itertools
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing

import pytest

from shared.core.clock import NS_PER_S, ManualClock, MonotonicNs, TimeSource, UtcNs
from shared.core.errors import ConfigError, TransportError
from shared.service.system_clock import SystemClock
from shared.transport.can_bus import BUS_OFF_REASON, MAX_DRAIN, CanBus, CanBusConfig, ControllerState, StampSource
from shared.transport.can_frame import CanFilter, CanFrame
from shared.transport.can_link import RECEIVE_BUFFER_BYTES

_NUMBERS = itertools.count()
_UDP_GROUP = "239.74.163.41"
_PATIENCE_S = 60.0
_CLOCK = SystemClock(TimeSource.ASSUME_TRUSTED)


def _frame(arbitration_id: int = 0x123, data: bytes = b"\x01\x02", *, is_extended: bool = False) -> CanFrame:
    return CanFrame(arbitration_id, is_extended, data, "", MonotonicNs(0))


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


def _require_multicast() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("", 0))
            membership = socket.inet_aton(_UDP_GROUP) + socket.inet_aton("0.0.0.0")
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
            probe.sendto(b"?", (_UDP_GROUP, probe.getsockname()[1]))
            probe.recv(1)
        except OSError as error:
            pytest.skip(f"this machine delivers no IP multicast to itself: {error}")


def _virtual() -> CanBusConfig:
    return CanBusConfig(interface="virtual", channel=f"test-can-buses-{next(_NUMBERS)}")


def _udp_multicast() -> CanBusConfig:
    _require_multicast()
    return CanBusConfig(interface="udp_multicast", channel=_UDP_GROUP, options={"port": _free_udp_port(), "hop_limit": 0})


def _socketcan() -> CanBusConfig:
    return CanBusConfig(interface="socketcan", channel=os.environ["V2X_VCAN"], options={"fd": True})


_CONFIGS: dict[str, Callable[[], CanBusConfig]] = {"virtual": _virtual, "udp_multicast": _udp_multicast}
if os.environ.get("V2X_VCAN"):
    _CONFIGS["socketcan"] = _socketcan


@pytest.fixture(params=sorted(_CONFIGS))
def config(request: pytest.FixtureRequest) -> CanBusConfig:
    return _CONFIGS[str(request.param)]()


@pytest.fixture
def opened() -> Iterator[Callable[..., CanBus]]:
    buses: list[CanBus] = []

    def open_bus(config: CanBusConfig, *, filters: tuple[CanFilter, ...] = ()) -> CanBus:
        bus = CanBus(config, clock=_CLOCK, filters=filters)
        buses.append(bus)
        bus.open()
        return bus

    yield open_bus
    for bus in buses:
        bus.close()


def _drain(bus: CanBus, count: int) -> list[CanFrame]:
    """Take `count` frames; loopback delivers them before `send` returns, a loaded machine a little later."""
    frames: list[CanFrame] = []
    for _ in range(1_000):
        frames += bus.drain()
        if len(frames) >= count:
            break
        os.sched_yield()
    return frames


async def _take(batches: AsyncIterator[list[CanFrame]], count: int) -> list[CanFrame]:
    taken: list[CanFrame] = []
    async with asyncio.timeout(_PATIENCE_S):
        async for batch in batches:
            assert 0 < len(batch) <= MAX_DRAIN
            taken += batch
            if len(taken) >= count:
                break
    return taken


class TestAnyBus:
    def test_what_one_end_sends_the_other_receives_in_order(self, config: CanBusConfig, opened: Callable[..., CanBus]) -> None:
        ours, theirs = opened(config), opened(config)
        for n in range(20):
            theirs.send(_frame(0x100 + n, bytes((n,)) * (n % 9)))
        frames = _drain(ours, 20)
        assert [(f.arbitration_id, f.data) for f in frames] == [(0x100 + n, bytes((n,)) * (n % 9)) for n in range(20)]
        assert {f.channel for f in frames} == {config.channel}
        assert ours.statistics().received == 20
        assert ours.statistics().lost == 0

    def test_long_identifiers_and_fd_frames_pass_unchanged(self, config: CanBusConfig, opened: Callable[..., CanBus]) -> None:
        ours, theirs = opened(config), opened(config)
        theirs.send(_frame(0x18FEC100, b"\xff" * 8, is_extended=True))
        theirs.send(_frame(0x120, bytes(range(64))))
        theirs.send(_frame(0x121, bytes(range(16))))
        frames = _drain(ours, 3)
        assert [(f.arbitration_id, f.is_extended, f.data) for f in frames] == [
            (0x18FEC100, True, b"\xff" * 8),
            (0x120, False, bytes(range(64))),
            (0x121, False, bytes(range(16))),
        ]

    def test_an_empty_bus_gives_nothing_at_once(self, config: CanBusConfig, opened: Callable[..., CanBus]) -> None:
        assert opened(config).drain() == []

    def test_a_drain_takes_no_more_than_asked(self, config: CanBusConfig, opened: Callable[..., CanBus]) -> None:
        ours, theirs = opened(config), opened(config)
        for n in range(MAX_DRAIN + 6):
            theirs.send(_frame(n))
        assert len(ours.drain(5)) == 5
        assert len(_drain(ours, MAX_DRAIN + 1)) == MAX_DRAIN + 1

    def test_unwanted_identifiers_do_not_hide_wanted_ones_behind_them(
        self, config: CanBusConfig, opened: Callable[..., CanBus]
    ) -> None:
        ours = opened(config, filters=(CanFilter(0x200, is_extended=False), CanFilter(0x300, is_extended=True)))
        theirs = opened(config)
        for arbitration_id, is_extended in (
            (0x1, False),
            (0x200, True),
            (0x200, False),
            (0x2, False),
            (0x300, False),
            (0x300, True),
        ):
            theirs.send(_frame(arbitration_id, is_extended=is_extended))
        assert [(f.arbitration_id, f.is_extended) for f in _drain(ours, 2)] == [(0x200, False), (0x300, True)]

    def test_frames_carry_the_moment_of_their_arrival(self, config: CanBusConfig, opened: Callable[..., CanBus]) -> None:
        ours, theirs = opened(config), opened(config)
        before = _CLOCK.now().monotonic
        theirs.send(_frame())
        (frame,) = _drain(ours, 1)
        assert before - NS_PER_S // 100 <= frame.received <= _CLOCK.now().monotonic

    def test_a_closed_bus_refuses_and_opens_again(self, config: CanBusConfig, opened: Callable[..., CanBus]) -> None:
        ours, theirs = opened(config), opened(config)
        ours.close()
        with pytest.raises(TransportError, match="is not open"):
            ours.drain()
        with pytest.raises(TransportError, match="is not open"):
            ours.send(_frame())
        ours.open()
        theirs.send(_frame())
        assert len(_drain(ours, 1)) == 1
        assert ours.statistics().interruptions == 0

    def test_an_event_loop_hears_frames_as_they_come(self, config: CanBusConfig, opened: Callable[..., CanBus]) -> None:
        async def scenario() -> tuple[list[CanFrame], bool]:
            ours = CanBus(config, clock=_CLOCK)
            theirs = opened(config)
            async with aclosing(ours.batches()) as frames:
                sender = asyncio.create_task(_send_repeatedly(theirs))
                taken = await _take(frames, 3 * MAX_DRAIN)
                sender.cancel()
                was_up = ours.statistics().is_up
            return taken, was_up and not ours.statistics().is_up

        taken, went_up_and_closed = asyncio.run(scenario())
        assert len(taken) >= 3 * MAX_DRAIN
        numbers = [int.from_bytes(frame.data, "big") for frame in taken]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert went_up_and_closed

    def test_a_bus_that_fails_under_the_event_loop_is_opened_again(
        self, config: CanBusConfig, opened: Callable[..., CanBus]
    ) -> None:
        async def scenario() -> tuple[list[CanFrame], CanBus]:
            ours = CanBus(config, clock=_CLOCK)
            theirs = opened(config)
            async with aclosing(ours.batches()) as frames:
                sender = asyncio.create_task(_send_repeatedly(theirs))
                await _take(frames, 1)
                assert ours._link is not None
                ours._link.close()  # the medium breaks: the driver's handle is dead
                taken = await _take(frames, 50)
                sender.cancel()
            return taken, ours

        taken, ours = asyncio.run(scenario())
        assert len(taken) >= 50
        assert ours.statistics().interruptions == 1
        assert ours.statistics().last_fault is not None


async def _send_repeatedly(bus: CanBus) -> None:
    for n in itertools.count():
        bus.send(_frame(0x42, n.to_bytes(4, "big")))
        await asyncio.sleep(0.0005)


class TestVirtualBus:
    def test_simulated_time_passes_through_unchanged(self) -> None:
        config = _virtual()
        clock = ManualClock(UtcNs(0))
        ours = CanBus(config, clock=clock, stamps=StampSource.SENDER)
        theirs = CanBus(config, clock=clock, stamps=StampSource.SENDER)
        ours.open()
        theirs.open()
        stamps = [MonotonicNs(n * 10_000_000 + 1_234) for n in (0, 1, 360_000)]
        for stamp in stamps:
            theirs.send(CanFrame(0x100, False, b"", "", stamp))
        assert [f.received for f in ours.drain()] == stamps
        ours.close()
        theirs.close()

    def test_arrival_is_the_present_where_the_adapter_has_no_time(self) -> None:
        config = _virtual()
        clock = ManualClock(UtcNs(0))
        ours = CanBus(config, clock=clock, stamps=StampSource.ARRIVAL)
        theirs = CanBus(config, clock=clock)
        ours.open()
        theirs.open()
        theirs.send(_frame())
        now = clock.advance(5 * NS_PER_S)
        assert [f.received for f in ours.drain()] == [now.monotonic]
        ours.close()
        theirs.close()


class TestUdpMulticastBus:
    @pytest.mark.parametrize(
        "datagram",
        [b"", b"\xc1", b"not msgpack", b"\x92\xa1a\xa4list", b"\x81\xaearbitration_id\xff"],
        ids=["empty", "reserved-byte", "text", "list", "negative-id"],
    )
    def test_a_datagram_that_is_no_frame_is_counted_and_the_next_frame_heard(
        self, opened: Callable[..., CanBus], datagram: bytes
    ) -> None:
        config = _udp_multicast()
        ours, theirs = opened(config), opened(config)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
            stranger.sendto(datagram, (_UDP_GROUP, int(config.options["port"])))
        theirs.send(_frame(0x77))
        assert [f.arbitration_id for f in _drain(ours, 1)] == [0x77]
        assert ours.statistics().malformed == 1
        assert ours.statistics().interruptions == 0


class TestConfiguration:
    def test_an_unknown_interface_is_a_fault_of_the_configuration(self) -> None:
        bus = CanBus(CanBusConfig(interface="carrier_pigeon", channel="x"), clock=_CLOCK)
        with pytest.raises(ConfigError, match="carrier_pigeon"):
            bus.open()

    def test_an_option_that_the_interface_refuses_is_a_fault_of_the_configuration(self) -> None:
        config = CanBusConfig(interface="udp_multicast", channel=_UDP_GROUP, options={"receive_own_messages": True})
        bus = CanBus(config, clock=_CLOCK)
        with pytest.raises(ConfigError, match="udp_multicast:239"):
            bus.open()

    def test_an_interface_that_is_not_there_may_come_later(self) -> None:
        bus = CanBus(CanBusConfig(interface="socketcan", channel="nosuchcan9"), clock=_CLOCK)
        with pytest.raises(TransportError, match="cannot be opened"):
            bus.open()
        assert not bus.statistics().is_up
        assert bus.statistics().interruptions == 0


@pytest.mark.skipif(not os.environ.get("V2X_VCAN"), reason="needs a SocketCAN interface: set V2X_VCAN")
class TestSocketCanBus:
    """An interface that goes down and comes back, is made anew, or is flooded; runs as root inside user-mode-linux."""

    def test_an_interface_that_flaps_is_heard_again(self, opened: Callable[..., CanBus]) -> None:
        asyncio.run(self._survives(opened, ("ip", "link", "set", "{}", "down"), ("ip", "link", "set", "{}", "up")))

    def test_an_interface_that_is_made_anew_is_heard_again(self, opened: Callable[..., CanBus]) -> None:
        gone = ("ip", "link", "del", "{}")
        asyncio.run(
            self._survives(
                opened, gone, ("ip", "link", "add", "dev", "{}", "type", "vcan", "mtu", "72"), ("ip", "link", "set", "{}", "up")
            )
        )

    def test_opening_an_interface_that_is_down_fails_until_it_is_up(self) -> None:
        config = _socketcan()
        _ip("ip", "link", "set", config.channel, "down")
        bus = CanBus(config, clock=_CLOCK)
        try:
            with pytest.raises(TransportError, match="down"):
                bus.open()
        finally:
            _ip("ip", "link", "set", config.channel, "up")
        bus.open()
        assert bus.drain() == []
        bus.close()

    def test_frames_that_the_kernel_dropped_are_counted_exactly(self, opened: Callable[..., CanBus]) -> None:
        config = _socketcan()
        ours, theirs = opened(config), opened(config)
        sent = 30_000
        for n in range(sent):
            theirs.send(_frame(0x123, n.to_bytes(8, "big")))
        received = 0
        while batch := ours.drain():
            received += len(batch)
        assert 0 < received < sent
        assert ours.statistics().lost == sent - received

    def test_a_loss_is_told_with_the_next_frame_and_the_count_goes_on_over_an_interruption(
        self, opened: Callable[..., CanBus]
    ) -> None:
        config = _socketcan()
        ours, theirs = opened(config), opened(config)
        received = 0
        for _ in range(2):
            for n in range(14_000):
                theirs.send(_frame(0x123, n.to_bytes(8, "big")))
            while batch := ours.drain():
                received += len(batch)
            ours.close()
            ours.open()
        assert ours.statistics().lost == 28_000 - received > 0

    def test_the_kernel_lets_a_group_through_whatever_its_priority_and_source_and_drops_the_rest(
        self, opened: Callable[..., CanBus]
    ) -> None:
        ours = opened(_socketcan(), filters=(CanFilter(0xFEE000, is_extended=True, mask=0x3FFFF00), CanFilter(0x7E8, False)))
        theirs = opened(_socketcan())
        dropped = [_frame(0x18FEE117, is_extended=True), _frame(0x600), _frame(0x7E8, is_extended=True), _frame(0x7E9)]
        passed = [_frame(0x18FEE017, is_extended=True), _frame(0x0CFEE000, is_extended=True), _frame(0x7E8)]
        for frame in (*dropped, *passed, *dropped):
            theirs.send(frame)
        assert [f.arbitration_id for f in _drain(ours, 3)] == [f.arbitration_id for f in passed]
        assert ours.drain() == []
        assert ours.statistics().received == 3
        assert ours.statistics().lost == 0

    def test_error_frames_tell_of_the_controller_and_are_no_data(self, opened: Callable[..., CanBus]) -> None:
        config = _socketcan()
        ours = opened(config, filters=(CanFilter(0x123, is_extended=False),))
        with socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as driver:
            driver.bind((config.channel,))

            def tell(classes: int, *, detail: int = 0) -> None:
                driver.send(struct.pack("=IB3x8B", 0x2000_0000 | classes, 8, 0, detail, *(0,) * 6))
                assert _drain(ours, 0) == []

            tell(0x004, detail=0x08)
            assert ours.statistics().controller is ControllerState.ERROR_WARNING
            tell(0x004, detail=0x20)
            assert ours.statistics().controller is ControllerState.ERROR_PASSIVE
            tell(0x040)
            assert ours.statistics().is_bus_off
            tell(0x100)
            assert not ours.statistics().is_bus_off
        opened(config).send(_frame(0x123))
        assert len(_drain(ours, 1)) == 1
        statistics = ours.statistics()
        assert (statistics.error_frames, statistics.received, statistics.malformed) == (4, 1, 0)
        assert statistics.errors == {"controller": 2, "bus_off": 1, "restarted": 1}

    def test_a_listener_hears_that_the_controller_left_the_bus_and_that_it_is_back(self, opened: Callable[..., CanBus]) -> None:
        class Listener:
            def __init__(self) -> None:
                self.heard: list[str | None] = []

            def lost(self, reason: str) -> None:
                self.heard.append(reason)

            def works(self) -> None:
                self.heard.append(None)

        async def scenario() -> list[str | None]:
            config, listener = _socketcan(), Listener()
            ours = CanBus(config, clock=_CLOCK)
            async with aclosing(ours.batches(listener)) as batches:
                taking = asyncio.create_task(_take(batches, 1))
                await _until(lambda: ours.statistics().is_up)
                with socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as driver:
                    driver.bind((config.channel,))
                    driver.send(struct.pack("=IB3x8x", 0x2000_0040, 8))
                    await _until(lambda: len(listener.heard) == 2)
                    driver.send(struct.pack("=IB3x8x", 0x2000_0100, 8))
                    await _until(lambda: len(listener.heard) == 3)
                opened(config).send(_frame(0x1))
                await taking
            return listener.heard

        assert asyncio.run(scenario()) == [None, BUS_OFF_REASON, None]

    def test_frames_carry_the_kernels_time_however_late_they_are_read(self, opened: Callable[..., CanBus]) -> None:
        ours, theirs = opened(_socketcan()), opened(_socketcan())
        before = _CLOCK.now().monotonic
        theirs.send(_frame())
        after = _CLOCK.now().monotonic
        while _CLOCK.now().monotonic < after + NS_PER_S // 10:
            os.sched_yield()
        (frame,) = ours.drain()
        slack = NS_PER_S // 100
        assert before - slack <= frame.received <= after + slack

    def test_a_classic_interface_carries_no_fd_frame_and_the_reader_hears_on(self, opened: Callable[..., CanBus]) -> None:
        config = _socketcan()
        self._remake(config.channel, mtu=16)
        try:
            ours, theirs = opened(config), opened(config)
            with pytest.raises(TransportError, match="cannot send"):
                theirs.send(_frame(0x1, bytes(64)))
            theirs.send(_frame(0x2))
            assert [f.arbitration_id for f in _drain(ours, 1)] == [0x2]
        finally:
            self._remake(config.channel, mtu=72)

    def test_fd_frames_are_refused_where_they_are_switched_off(self, opened: Callable[..., CanBus]) -> None:
        config = _socketcan()
        classic = opened(CanBusConfig(interface="socketcan", channel=config.channel, options={"fd": False}))
        with pytest.raises(TransportError, match="switched off"):
            classic.send(_frame(0x1, bytes(12)))

    def test_the_buffer_is_as_large_as_asked_for_where_the_program_may_have_it(self, opened: Callable[..., CanBus]) -> None:
        assert opened(_socketcan()).statistics().receive_buffer_bytes == RECEIVE_BUFFER_BYTES

    def test_an_interface_that_vanishes_while_a_sender_takes_the_error_is_missed_by_the_reader_all_the_same(
        self, opened: Callable[..., CanBus]
    ) -> None:
        config = _socketcan()
        ours = opened(config)
        _ip("ip", "link", "set", config.channel, "down")
        try:
            with pytest.raises(TransportError, match="cannot send"):
                ours.send(_frame())
            with pytest.raises(TransportError, match=r"went down: interface \S+ is down"):
                ours.drain()
        finally:
            _ip("ip", "link", "set", config.channel, "up")
        assert ours.statistics().interruptions == 1

    @staticmethod
    def _remake(channel: str, *, mtu: int) -> None:
        _ip("ip", "link", "set", channel, "down")
        _ip("ip", "link", "set", channel, "mtu", str(mtu), "up")

    async def _survives(self, opened: Callable[..., CanBus], down: tuple[str, ...], *up: tuple[str, ...]) -> None:
        config = _socketcan()
        ours = CanBus(config, clock=_CLOCK)
        async with aclosing(ours.batches()) as frames:
            first = asyncio.create_task(_take(frames, 1))
            await _until(lambda: ours.statistics().is_up)
            opened(config).send(_frame(0x1))
            assert [f.arbitration_id for f in await first] == [0x1]
            _ip(*(part.format(config.channel) for part in down))
            second = asyncio.create_task(_take(frames, 1))
            await _until(lambda: not ours.statistics().is_up)
            for command in up:
                _ip(*(part.format(config.channel) for part in command))
            await _until(lambda: ours.statistics().is_up)
            opened(config).send(_frame(0x2))
            assert [f.arbitration_id for f in await second] == [0x2]
        assert ours.statistics().interruptions == 1


async def _until(holds: Callable[[], bool]) -> None:
    """Wait for what the kernel raises no event for."""
    async with asyncio.timeout(_PATIENCE_S):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def _ip(*command: str) -> None:
    program = shutil.which(command[0])
    assert program is not None
    subprocess.run([program, *command[1:]], check=True)
