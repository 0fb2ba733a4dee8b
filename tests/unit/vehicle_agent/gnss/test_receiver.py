"""A receiver on a real line: a TCP server, datagrams, a pseudo-terminal, a recorded file; lost, told once, and found again."""

import asyncio
import io
import os
import tty
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from shared.core.clock import MonotonicNs, TimeSource, UtcNs
from shared.core.errors import TransportError
from shared.core.geo import distance_m
from shared.service.log import make_logger
from shared.service.system_clock import SystemClock
from tests.helpers.gnss_track import GPSD_INTRODUCTION, START_UTC, as_gpsd, as_nmea, drive
from vehicle_agent.gnss.fields import HEADING_FIELD, POSITION_FIELDS
from vehicle_agent.gnss.line import open_line
from vehicle_agent.gnss.receiver import GnssReceiver
from vehicle_agent.position_config import GpsdPosition, NmeaPosition, ReceiverPosition
from vehicle_agent.vehicle_state import SignalUpdate, VehicleState, fold

PATIENCE_S = 30.0
CLOCK = SystemClock(TimeSource.ASSUME_TRUSTED)
MOMENTS = list(drive(3))
LOOPBACK = "127.0.0.1"


class Journal(io.StringIO):
    """A log that says when something was written."""

    def __init__(self, written: asyncio.Event) -> None:
        super().__init__()
        self._written = written

    def write(self, text: str) -> int:
        self._written.set()
        return super().write(text)


class Listening:
    """A receiver at work, and what has come of it."""

    def __init__(self, config: ReceiverPosition) -> None:
        self.state = VehicleState()
        self.dates: list[tuple[UtcNs, MonotonicNs]] = []
        self._news = asyncio.Event()
        self.log = Journal(self._news)
        self.receiver = GnssReceiver(
            config,
            fields=POSITION_FIELDS | {HEADING_FIELD},
            clock=CLOCK,
            log=make_logger(self.log),
            hand_on=self.hear,
            set_date=lambda utc, at: self.dates.append((utc, at)),
            is_reversing=lambda: False,
            not_before=START_UTC,
        )

    async def hear(self, updates: tuple[SignalUpdate, ...]) -> None:
        self.state = fold(self.state, updates)
        self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until what has come of it, or its log, is as it should be."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def logged(self, words: str) -> None:
        """Wait until its log says something."""
        await self.until(lambda: words in self.log.getvalue())

    async def placed(self) -> None:
        """Wait until the car is where the track begins, or a little later."""
        await self.until(lambda: self.state.position is not None)
        begun, here = MOMENTS[0].position, self.state.position
        assert begun is not None
        assert here is not None
        assert distance_m(here.value, begun) < 50.0


@asynccontextmanager
async def listening(config: ReceiverPosition) -> AsyncIterator[Listening]:
    car = Listening(config)
    task = asyncio.create_task(car.receiver.run())
    try:
        yield car
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[int]:
    """Answer whoever connects; yield the port, and hang up on everybody in the end."""
    calls: set[asyncio.Task[None]] = set()

    async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        calls.add(task)
        try:
            await answer(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async with await asyncio.start_server(call, LOOPBACK, 0) as server:
        yield server.sockets[0].getsockname()[1]
        for task in calls:
            task.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


async def served(octets: bytes, config: Callable[[int], ReceiverPosition], *, then_close: bool = False) -> Listening:
    """Serve octets to whoever connects; wait until the car is placed, and once more if the first connection is closed."""
    called_again = asyncio.Event()
    calls = iter((not then_close, True))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"class" in octets:
            assert b"WATCH" in await reader.readuntil(b";")
        writer.write(octets)
        await writer.drain()
        if next(calls):
            called_again.set()
            await reader.read()

    async with serving(serve) as port, listening(config(port)) as car:
        await car.placed()
        async with asyncio.timeout(PATIENCE_S):
            await called_again.wait()
        return car


def test_gpsd_is_asked_and_heard() -> None:
    car = asyncio.run(served(GPSD_INTRODUCTION + as_gpsd(MOMENTS[0]), lambda port: GpsdPosition(port=port)))
    status = car.receiver.status()
    assert (status["is_up"], status["fix"], status["receiver"]) == (True, "3d", {"gpsd": "3.22", "devices": 0})


def test_an_nmea_server_is_heard() -> None:
    car = asyncio.run(served(as_nmea(MOMENTS[0]), lambda port: NmeaPosition(host=LOOPBACK, port=port)))
    assert car.receiver.status()["interruptions"] == 0


def test_a_gpsd_that_goes_away_is_told_once_and_called_again() -> None:
    octets = GPSD_INTRODUCTION + as_gpsd(MOMENTS[0])
    car = asyncio.run(served(octets, lambda port: GpsdPosition(port=port), then_close=True))
    assert car.receiver.status()["interruptions"] == 1
    assert car.log.getvalue().count("unavailable") == 1
    assert "the other end has closed the line" in car.log.getvalue()


def test_who_speaks_no_gpsd_is_told() -> None:
    async def run() -> None:
        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mail.example ESMTP\r\n")
            await reader.read()

        async with serving(greet) as port, listening(GpsdPosition(port=port)) as car:
            await car.logged("does not introduce itself as gpsd does")
            assert car.state.position is None
            assert car.receiver.status()["is_up"] is False

    asyncio.run(run())


def test_nobody_there_is_told_once() -> None:
    async def run() -> None:
        async def ignore(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
            raise AssertionError("somebody came")

        async with serving(ignore) as port:
            pass
        async with listening(GpsdPosition(port=port)) as car:
            await car.logged("cannot be reached")

    asyncio.run(run())


def test_datagrams_are_heard() -> None:
    async def run() -> None:
        probe, _ = await asyncio.get_running_loop().create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=(LOOPBACK, 0))
        port = probe.get_extra_info("sockname")[1]
        probe.abort()
        await asyncio.sleep(0)
        async with listening(NmeaPosition(host=LOOPBACK, port=port, transport="udp")) as car:
            sender, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                asyncio.DatagramProtocol, remote_addr=(LOOPBACK, port)
            )
            waiting = asyncio.create_task(car.placed())
            while not waiting.done():  # the first may come before anybody listens
                sender.sendto(as_nmea(MOMENTS[0]))
                await asyncio.wait((waiting,), timeout=0.2)
            await waiting
            sender.abort()

    asyncio.run(run())


def test_a_serial_device_is_heard_and_found_again() -> None:
    async def run() -> None:
        ours, device = os.openpty()
        tty.setraw(ours)
        async with listening(NmeaPosition(device=Path(os.ttyname(device)), baud=115_200)) as car:
            os.close(device)
            waiting = asyncio.create_task(car.placed())
            while not waiting.done():  # what comes before it is set is thrown away
                os.write(ours, as_nmea(MOMENTS[0]))
                await asyncio.wait((waiting,), timeout=0.2)
            await waiting
            os.close(ours)
            await car.logged("unavailable")

    asyncio.run(run())


def test_a_recorded_file_is_told_at_its_own_pace(tmp_path: Path) -> None:
    file = tmp_path / "track.nmea"
    file.write_bytes(b"# not a sentence\n" + b"".join(map(as_nmea, MOMENTS[:2])))

    async def run() -> list[bytes]:
        loop = asyncio.get_running_loop()
        read = []
        async with open_line(NmeaPosition(file=file)) as line:
            began = loop.time()
            read.append(await line.read())
            read.append(await line.read())
            assert loop.time() - began > 0.9
            with pytest.raises(TransportError, match="has ended"):
                await line.read()
        return read

    first, second = asyncio.run(run())
    assert first.endswith(as_nmea(MOMENTS[0]))
    assert second == as_nmea(MOMENTS[1])


@pytest.mark.parametrize("name", ["absent", "folder"])
def test_what_cannot_be_read_is_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()

    async def run(config: NmeaPosition) -> None:
        async with open_line(config) as line:
            await line.read()

    for config in (NmeaPosition(file=tmp_path / name), NmeaPosition(device=tmp_path / name)):
        with pytest.raises(TransportError, match="cannot be"):
            asyncio.run(run(config))
