"""What `v2x bench can` sends: a full bus of one car, as `struct can_frame`, and the socket it goes over.

A bus of 500 kbit/s carries 4,000 frames a second. Of these some 500 are what the map of `bench_car.toml` names, each message at its
own period with values that change, counters that count and checksums that hold; the others have identifiers nobody asked for. A
kernel without SocketCAN can send them over UDP on loopback, which has the same stamps, counts and buffers; what takes the place of
the filters of CAN is a program of the classic packet filter that compares the identifier.
"""

import socket
from collections.abc import Iterator, Sequence
from ctypes import addressof, create_string_buffer
from dataclasses import replace
from importlib.resources import files
from itertools import count
from math import sin
from pathlib import Path
from random import Random
from struct import Struct

import cantools
from cantools.database.can import Database, Message

from shared.transport.can_frame import CanFilter
from vehicle_agent.signals.mapped import MappedMessage
from vehicle_agent.signals.signal_map import SignalMap, load_signal_map

FRAMES_PER_S = 4_000
"""On a full bus."""

PERIODS_MS = {
    "SPEED": 10,
    "WHEEL_SPEEDS": 10,
    "STEERING": 10,
    "DYNAMICS": 10,
    "BRAKE": 20,
    "GEAR": 50,
    "LIGHTS": 100,
    "BODY": 100,
    "ODOMETER": 500,
}
"""How often each mapped message is sent."""

LOOP_S = 8
"""After so long the traffic may begin anew: all counters have come round."""

LOOPBACK = "127.0.0.1"

_UNMAPPED = tuple(range(0x080, 0x0A0)) + tuple(range(0x280, 0x2C0))
_FRAME = Struct("=IB3x8s")
_SEED = 8

# linux/filter.h
_INSTRUCTION = Struct("@HBBI")
_PROGRAM = Struct("@HxxxxxxQ")
_SO_ATTACH_FILTER = 26
_LOAD_WORD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_UDP_HEADER_OCTETS = 8
_WHOLE = 0xFFFF


def bench_car() -> SignalMap:
    """Return the map of the car."""
    return load_signal_map(_file("bench_car.toml"))


def bench_cars(buses: int) -> SignalMap:
    """Return a map of as many buses, can0 and so on, each of which carries the messages of a car of its own."""
    car = bench_car()
    messages = tuple(replace(message, channel=f"can{number}") for number in range(buses) for message in car.messages)
    return replace(car, messages=messages)


def bench_database() -> Database:
    """Return its DBC as cantools reads it."""
    database = cantools.database.load_file(_file("bench_car.dbc"))
    if not isinstance(database, Database):
        raise TypeError("bench_car.dbc is no DBC")
    return database


def _file(name: str) -> Path:
    return Path(str(files("vehicle_agent.bench").joinpath(name)))


class CarTraffic:
    """The frames of one car, as they stand in memory."""

    def __init__(self, signal_map: SignalMap, database: Database) -> None:
        self._lot = Random(_SEED)  # noqa: S311 - frames nobody asked for are no secret
        self._sources = {
            each.layout.name: self._frames_of(each, database.get_message_by_name(each.layout.name)) for each in signal_map.messages
        }

    def mapped(self) -> Iterator[bytes]:
        """Yield mapped frames for ever, each message as often as its period says."""
        for millisecond in count():
            for name, period_ms in PERIODS_MS.items():
                if (millisecond + period_ms // 3) % period_ms == 0:
                    yield next(self._sources[name])

    def unmapped(self) -> bytes:
        """Return a frame nobody asked for."""
        return _FRAME.pack(self._lot.choice(_UNMAPPED), 8, self._lot.randbytes(8))

    def bus(self, seconds: int) -> list[bytes]:
        """Return the frames of a full bus, at even intervals; at most `LOOP_S` seconds fit on end."""
        frames: list[bytes] = []
        for millisecond in range(seconds * 1_000):
            due = [name for name, period_ms in PERIODS_MS.items() if (millisecond + period_ms // 3) % period_ms == 0]
            frames += [next(self._sources[name]) for name in due]
            frames += [self.unmapped() for _ in range((millisecond + 1) * FRAMES_PER_S // 1_000 - len(frames))]
        return frames

    def _frames_of(self, mapped: MappedMessage, message: Message) -> Iterator[bytes]:
        for number in count():
            values: dict[str, float] = {signal.name: self._value(signal.name, number) for signal in message.signals}
            if "COUNTER" in values:
                values["COUNTER"] = number % 16
            data = bytearray(message.encode(values, strict=False))
            if mapped.checksum is not None:
                data[-1] = mapped.checksum.rule.compute(message.frame_id, bytes(data), len(data) - 1)
            yield _FRAME.pack(message.frame_id, len(data), bytes(data))

    @staticmethod
    def _value(signal: str, number: int) -> float:
        wave = sin(number / 50)
        if signal.startswith(("WHEEL", "VEHICLE_SPEED")):
            return 50 + 40 * wave
        if signal == "ANGLE":
            return 1.5 * round(60 * wave)
        if signal in {"YAW_RATE", "ACCELERATION_X", "ACCELERATION_Y"}:
            return 4 * wave
        if signal == "TOTAL_DISTANCE":
            return 25_088 + number // 20 / 10
        return {"IGNITION": 1, "LOW_BEAM": 1, "GEAR": 3}.get(signal, 0)


def receiving_end() -> socket.socket:
    """Return the end of a bus that a reader is given."""
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.bind((LOOPBACK, 0))
    end.setblocking(False)
    return end


def sending_end(port: int) -> socket.socket:
    """Return the other end; what it sends is at the first when it returns."""
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.connect((LOOPBACK, port))
    return end


def filter_identifiers(opened: socket.socket, filters: Sequence[CanFilter]) -> None:
    """Have the kernel drop, at a UDP socket, every frame whose standard identifier is not among `filters`."""
    words = [int.from_bytes(each.arbitration_id.to_bytes(4, "little"), "big") for each in filters]
    comparisons = [(_IF_EQUAL, len(words) - at, 0, word) for at, word in enumerate(words)]
    instructions = (
        (_LOAD_WORD, 0, 0, _UDP_HEADER_OCTETS),
        *comparisons,
        (_RETURN, 0, 0, 0),
        (_RETURN, 0, 0, _WHOLE),
    )
    program = create_string_buffer(b"".join(_INSTRUCTION.pack(*each) for each in instructions))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, _PROGRAM.pack(len(instructions), addressof(program)))
