"""The lines to a receiver: TCP (gpsd, NMEA servers), UDP, a serial device, and a recorded file at its own pace.

A line brings octets as they come and is closed with its `async with`; whatever ends it is a `TransportError`, and the reader opens
another. A serial device is set to 8N1 without any interpretation of what it says; a pipe or pseudo-terminal is read as it is.
"""

import asyncio
import os
import termios
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO, Protocol

from shared.core.clock import NS_PER_S
from shared.core.errors import DecodeError, TransportError
from vehicle_agent.gnss.fix import DAY_NS
from vehicle_agent.gnss.nmea_epoch import time_of
from vehicle_agent.gnss.nmea_sentence import MAX_SENTENCE_OCTETS, parse_sentence
from vehicle_agent.position_config import BAUD_RATES, GpsdPosition, NmeaPosition

READ_OCTETS = 4_096
"""Taken at a time."""

STREAM_OCTETS = 65_536
"""Kept for us by a stream; then its sender waits."""

CONNECT_S = 5.0

MAX_WAITING_DATAGRAMS = 64
"""Datagrams kept; then the oldest is dropped."""

MAX_PAUSE_NS = 10 * NS_PER_S
"""The longest pause in a recorded file that is waited for."""

_INPUT, _CONTROL, _LOCAL, _SPEED_IN, _SPEED_OUT, _CHARACTERS = 0, 2, 3, 4, 5, 6
"""What Python's `termios` keeps where (its output flags are at 1)."""


class ReceiverLine(Protocol):
    """An open line."""

    async def read(self) -> bytes:
        """Wait for octets, at least one; raises `TransportError` when the line has ended."""
        ...

    def write(self, octets: bytes) -> None:
        """Say something to the other end, where it listens."""
        ...


def place_of(config: GpsdPosition | NmeaPosition) -> str:
    """Return the place of a receiver in a few words, for status and log."""
    match config:
        case GpsdPosition():
            return f"gpsd {config.host}:{config.port}"
        case NmeaPosition(device=Path() as device):
            return f"NMEA {device}"
        case NmeaPosition(file=Path() as file):
            return f"NMEA {file}"
        case NmeaPosition():
            return f"NMEA {config.transport} {config.host}:{config.port}"


@asynccontextmanager
async def open_line(config: GpsdPosition | NmeaPosition) -> AsyncIterator[ReceiverLine]:
    """Open the line to a receiver.

    Raises:
        TransportError: it is not there, or refuses.
    """
    endpoint = place_of(config)
    match config:
        case GpsdPosition(host=host, port=port) | NmeaPosition(transport="tcp", host=str() as host, port=int() as port):
            opening = _tcp(host, port, endpoint)
        case NmeaPosition(host=str() as host, port=int() as port):
            opening = _udp(host, port, endpoint)
        case NmeaPosition(device=Path() as device):
            opening = _device(device, config.baud or BAUD_RATES[0], endpoint)
        case NmeaPosition(file=Path() as file):
            opening = _recorded(file, endpoint)
        case _:
            raise AssertionError(config)
    async with opening as line:
        yield line


class _Stream:
    """A line that is a stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter | None, endpoint: str) -> None:
        self._reader = reader
        self._writer = writer
        self._endpoint = endpoint

    async def read(self) -> bytes:
        try:
            octets = await self._reader.read(READ_OCTETS)
        except OSError as failure:
            raise TransportError(self._endpoint, f"the line broke: {failure.strerror or failure}") from failure
        if not octets:
            raise TransportError(self._endpoint, "the other end has closed the line")
        return octets

    def write(self, octets: bytes) -> None:
        if self._writer is not None and octets:
            self._writer.write(octets)


@asynccontextmanager
async def _tcp(host: str, port: int, endpoint: str) -> AsyncIterator[ReceiverLine]:
    try:
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(host, port, limit=STREAM_OCTETS)
    except TimeoutError as late:
        raise TransportError(endpoint, f"does not answer within {CONNECT_S:g} s") from late
    except OSError as failure:
        raise TransportError(endpoint, f"cannot be reached: {failure.strerror or failure}") from failure
    try:
        yield _Stream(reader, writer, endpoint)
    finally:
        writer.transport.abort()


class _Datagrams(asyncio.DatagramProtocol):
    """A line of datagrams, each of whole sentences."""

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque(maxlen=MAX_WAITING_DATAGRAMS)
        self._arrived = asyncio.Event()

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - whoever may send there may speak
        self._waiting.append(data)
        self._arrived.set()

    async def read(self) -> bytes:
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft() + b"\n"

    def write(self, octets: bytes) -> None:
        """Nobody listens."""


@asynccontextmanager
async def _udp(host: str, port: int, endpoint: str) -> AsyncIterator[ReceiverLine]:
    loop = asyncio.get_running_loop()
    try:
        transport, line = await loop.create_datagram_endpoint(_Datagrams, local_addr=(host, port))
    except OSError as failure:
        raise TransportError(endpoint, f"cannot listen: {failure.strerror or failure}") from failure
    try:
        yield line
    finally:
        transport.abort()


@asynccontextmanager
async def _device(device: Path, baud: int, endpoint: str) -> AsyncIterator[ReceiverLine]:
    try:
        opened = os.fdopen(os.open(device, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK), "rb", buffering=0)
    except OSError as failure:
        raise TransportError(endpoint, f"cannot be opened: {failure.strerror or failure}") from failure
    try:
        if opened.isatty():
            _set_raw(opened, baud)
        reader = asyncio.StreamReader(limit=STREAM_OCTETS)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), opened)
    except (OSError, ValueError, termios.error) as failure:
        opened.close()
        raise TransportError(endpoint, f"cannot be read like a receiver: {failure}") from failure
    try:
        yield _Stream(reader, None, endpoint)
    finally:
        transport.close()


def _set_raw(device: BinaryIO, baud: int) -> None:
    """Set 8 data bits, no parity, one stop bit, no flow control, and take every octet as it is."""
    speed = getattr(termios, f"B{baud}")
    attributes = termios.tcgetattr(device)
    attributes[_INPUT] = termios.IGNBRK | termios.IGNPAR
    attributes[_CONTROL] = termios.CS8 | termios.CREAD | termios.CLOCAL
    attributes[_LOCAL] = 0
    attributes[_SPEED_IN] = attributes[_SPEED_OUT] = speed
    attributes[_CHARACTERS][termios.VMIN], attributes[_CHARACTERS][termios.VTIME] = 1, 0
    termios.tcsetattr(device, termios.TCSANOW, attributes)
    termios.tcflush(device, termios.TCIFLUSH)


class _Recorded:
    """A file of sentences, each moment as long after the one before as its receiver took."""

    def __init__(self, file: BinaryIO, endpoint: str) -> None:
        self._file = file
        self._endpoint = endpoint
        self._moment_ns: int | None = None
        self._due_s = asyncio.get_running_loop().time()
        self._begun = b""

    async def read(self) -> bytes:
        await asyncio.sleep(max(0.0, self._due_s - asyncio.get_running_loop().time()))
        octets, self._begun = self._begun, b""
        while len(octets) < READ_OCTETS and (line := self._file.readline(2 * MAX_SENTENCE_OCTETS)):
            pause_ns = self._pause_before(line)
            if pause_ns and octets:
                self._due_s += min(pause_ns, MAX_PAUSE_NS) / NS_PER_S
                self._begun = line
                return octets
            octets += line
        if not octets:
            raise TransportError(self._endpoint, "the file has ended")
        return octets

    def write(self, octets: bytes) -> None:
        """Nobody listens."""

    def _pause_before(self, line: bytes) -> int:
        """Return how much later a line is than the one before, in nanoseconds; 0 where it bears no time."""
        try:
            sentence = parse_sentence(line.rstrip(b"\r\n"))
            moment_ns = None if sentence is None else time_of(sentence)
        except DecodeError:
            return 0
        if moment_ns is None:
            return 0
        before_ns, self._moment_ns = self._moment_ns, moment_ns
        return 0 if before_ns is None else (moment_ns - before_ns) % DAY_NS


@asynccontextmanager
async def _recorded(file: Path, endpoint: str) -> AsyncIterator[ReceiverLine]:
    try:
        opened = file.open("rb")
    except OSError as failure:
        raise TransportError(endpoint, f"cannot be opened: {failure.strerror or failure}") from failure
    with opened:
        if not S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise TransportError(endpoint, "is no regular file; name what is read like a receiver as `device`")
        yield _Recorded(opened, endpoint)
