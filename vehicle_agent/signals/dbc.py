"""DBC files: found, loaded, and each mapped signal turned into the few numbers that reading it takes.

cantools parses; reading a frame needs only the byte range, shift and mask worked out here once (`SignalLayout`). Multiplexed and
IEEE 754 signals are covered. Many DBC files in the field describe overlapping signals somewhere, so a file is loaded without
that check, and only the signals in use are held to it (`vehicle_agent.signals.signal_map`). Not here: what a signal means.
"""

import re
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from cantools import database
from cantools.database.can import Database, Message, Signal

from shared.core.errors import ConfigError
from shared.service.config import PACKAGE_PREFIX, packaged

MAX_DBC_BYTES = 16 * 1024 * 1024
"""Largest DBC file read; the largest public ones have 3 MB."""

MAX_MESSAGE_BYTES = 1_785
"""Longest message described: what the transport protocol of SAE J1939 carries."""

MAX_MULTIPLEX_RANGE = 65_536
"""Most values one range of an extended multiplexer may span."""

MAX_SCALE = 10**18
"""Greatest scale and offset of a signal: no quantity of a vehicle needs more, and every product stays a number."""

MAX_SIGNAL_BITS = 64
"""Widest signal read as a number; wider ones are text or bits of their own, which feed no field."""

MAX_MULTIPLEX_DEPTH = 8
"""Multiplexers within multiplexers."""

_MESSAGE = re.compile(r"\bBO_\s++\d++\s++[^:\s]++\s*+:\s*+(\d++)")
_SIGNAL = re.compile(r"(?<!\d)(\d++)\s*+\|\s*+(\d++)\s*+@")
_MULTIPLEX_VALUES = re.compile(r"\bSG_MUL_VAL_\s[^;]*+")
_MULTIPLEX_RANGE = re.compile(r"(?<!\d)(\d++)\s*+-\s*+(\d++)")
_MAX_DIGITS = 12

_FLOATS = {16: "e", 32: "f", 64: "d"}

Raw = int | float
"""A signal as it stands in the frame, before scaling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalLayout:
    """Where a signal stands in a frame and how it is scaled.

    Attributes:
        name: the signal.
        first_byte: first byte that holds a bit of it.
        end_byte: one past the last such byte.
        shift: bits below it in that range.
        length_bits: its width.
        is_big_endian: byte order of the range.
        is_signed: whether it is a two's complement number.
        is_float: whether it is an IEEE 754 number.
        scale: physical value per raw step.
        offset: physical value at raw zero.
        unit: what the DBC says, unchecked; may be empty.
        choices: names of raw values.
        conditions: the multiplexers that must have one of these values for the signal to be present.
    """

    name: str
    first_byte: int
    end_byte: int
    shift: int
    length_bits: int
    is_big_endian: bool
    is_signed: bool
    is_float: bool
    scale: float
    offset: float
    unit: str
    choices: Mapping[int, str]
    conditions: tuple[tuple["SignalLayout", frozenset[int]], ...] = ()

    def bits(self) -> frozenset[int]:
        """Return the bits it occupies, numbered as byte * 8 + bit with bit 0 the lowest."""
        size = self.end_byte - self.first_byte
        mask = ((1 << self.length_bits) - 1) << self.shift
        covered = mask.to_bytes(size, "big" if self.is_big_endian else "little")
        return frozenset((self.first_byte + i) * 8 + b for i, byte in enumerate(covered) for b in range(8) if byte >> b & 1)

    def reader(self) -> Callable[[bytes], Raw]:
        """Return a function from frame data, long enough, to the raw value; whether a multiplexer selects it is not asked."""
        first, end, shift = self.first_byte, self.end_byte, self.shift
        order: Literal["big", "little"] = "big" if self.is_big_endian else "little"
        mask = (1 << self.length_bits) - 1
        if self.is_float:
            form, size = "<" + _FLOATS[self.length_bits], self.length_bits // 8
            unpack = struct.Struct(form).unpack

            def read_float(data: bytes) -> float:
                bits = int.from_bytes(data[first:end], order) >> shift & mask
                value: float = unpack(bits.to_bytes(size, "little"))[0]
                return value

            return read_float
        if self.is_signed:
            sign = 1 << (self.length_bits - 1)

            def read_signed(data: bytes) -> int:
                return ((int.from_bytes(data[first:end], order) >> shift & mask) ^ sign) - sign

            return read_signed

        def read_unsigned(data: bytes) -> int:
            return int.from_bytes(data[first:end], order) >> shift & mask

        return read_unsigned


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageLayout:
    """A message of a DBC.

    Attributes:
        name: the message.
        arbitration_id: its identifier.
        is_extended: whether that has 29 bits.
        length: bytes of data.
        source: cantools' view of it, for cross-checks and encoding.
    """

    name: str
    arbitration_id: int
    is_extended: bool
    length: int
    source: Message

    def signal_names(self) -> tuple[str, ...]:
        """Return the names of its signals."""
        return tuple(signal.name for signal in self.source.signals)

    def signal(self, name: str) -> SignalLayout:
        """Return a signal's layout; raises KeyError where there is none, ValueError where it does not fit the message."""
        return self._signal(name, 0)

    def _signal(self, name: str, depth: int) -> SignalLayout:
        if depth > MAX_MULTIPLEX_DEPTH:
            raise ValueError("is multiplexed too deeply")
        signal = self.source.get_signal_by_name(name)
        conditions: tuple[tuple[SignalLayout, frozenset[int]], ...] = ()
        if signal.multiplexer_signal is not None and signal.multiplexer_ids:
            selector = self._signal(signal.multiplexer_signal, depth + 1)
            conditions = (*selector.conditions, (selector, frozenset(signal.multiplexer_ids)))
        return _layout(signal, self.length, conditions)


class Dbc:
    """What one or several DBC files describe; of messages of one name the last."""

    def __init__(self, path: str, messages: Iterable[Message]) -> None:
        self.path = path
        self._messages = {
            message.name: MessageLayout(
                name=message.name,
                arbitration_id=message.frame_id,
                is_extended=message.is_extended_frame,
                length=message.length,
                source=message,
            )
            for message in messages
        }

    def message_names(self) -> tuple[str, ...]:
        """Return the names of all messages."""
        return tuple(self._messages)

    def message(self, name: str) -> MessageLayout:
        """Return a message; raises KeyError where there is none."""
        return self._messages[name]


def resolve_reference(reference: str, *, relative_to: Path, key: str) -> Path:
    """Return the file that a configuration names.

    Args:
        reference: a path, or `package:NAME/path/inside` for a file that an installed Python package ships.
        relative_to: directory that relative paths start from.
        key: file and key for the error.

    Raises:
        ConfigError: the package is not installed, or the reference leaves it.
    """
    if "\0" in reference:
        raise ConfigError(key, f"{reference!r} is no path")
    if not reference.startswith(PACKAGE_PREFIX):
        return relative_to / reference
    try:
        return packaged(reference)
    except ValueError as error:
        raise ConfigError(key, str(error)) from None


def load_dbc(path: Path, *, key: str) -> Dbc:
    """Read and parse a DBC file.

    Args:
        path: the file.
        key: file and key of the configuration that names it, for the error.

    Raises:
        ConfigError: it cannot be read, is too large, or is no DBC.
    """
    return parse_dbc(read_dbc(path, key=key), path=path, key=key)


def read_dbc(path: Path, *, key: str) -> str:
    """Return the text of a DBC file; raises `ConfigError` where it cannot be read or is too large."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_DBC_BYTES + 1)
    except OSError as error:
        raise ConfigError(key, f"cannot read the DBC {path}: {error.strerror}") from error
    if len(content) > MAX_DBC_BYTES:
        raise ConfigError(key, f"the DBC {path} is larger than {MAX_DBC_BYTES} bytes")
    return content.decode("cp1252", errors="replace")


def parse_dbc(text: str, *, path: Path, key: str) -> Dbc:
    """Return what a DBC's text describes; raises `ConfigError` where it is no DBC."""
    try:
        _check_sizes(text)
        loaded = database.load_string(text, database_format="dbc", strict=False)
    except Exception as error:  # a hand-written file may upset the third-party parser in any way
        raise ConfigError(key, f"the DBC {path} does not load: {_one_line(error)}") from error
    if not isinstance(loaded, Database) or not loaded.messages:
        raise ConfigError(key, f"the DBC {path} describes no message")
    return Dbc(str(path), loaded.messages)


def _check_sizes(text: str) -> None:
    """Raise ValueError for what no bus carries: the parser would work its way through every bit of it."""
    for message in _MESSAGE.finditer(text):
        if _number(message[1]) > MAX_MESSAGE_BYTES:
            raise ValueError(f"a message of {message[1]} bytes, at most {MAX_MESSAGE_BYTES} are read")
    for signal in _SIGNAL.finditer(text):
        if max(_number(signal[1]), _number(signal[2])) > 8 * MAX_MESSAGE_BYTES:
            raise ValueError(f"a signal of {signal[2]} bits from bit {signal[1]} on, longer than any message")
    for values in _MULTIPLEX_VALUES.finditer(text):
        for span in _MULTIPLEX_RANGE.finditer(values[0]):
            if _number(span[2]) - _number(span[1]) >= MAX_MULTIPLEX_RANGE:
                raise ValueError(f"a multiplexer with the values {span[0]}, at most {MAX_MULTIPLEX_RANGE} are read")


def _number(digits: str) -> int:
    """Return a number, or one beyond every bound where it has absurdly many digits."""
    return int(digits) if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS


def _layout(signal: Signal, message_length: int, conditions: tuple[tuple[SignalLayout, frozenset[int]], ...]) -> SignalLayout:
    """Work out byte range and shift; raises ValueError where the signal leaves its message."""
    is_big_endian = signal.byte_order == "big_endian"
    if is_big_endian:
        # `start` is the highest bit, counted within its byte from the right, bytes from the left.
        first_bit = 8 * (signal.start // 8) + 7 - signal.start % 8
        last_bit = first_bit + signal.length - 1
        first, end = first_bit // 8, last_bit // 8 + 1
        shift = 8 * end - 1 - last_bit
    else:
        first, end = signal.start // 8, (signal.start + signal.length - 1) // 8 + 1
        shift = signal.start % 8
    if signal.length < 1 or first < 0 or end > message_length:
        raise ValueError(f"does not fit the {message_length} bytes of its message")
    if signal.length > MAX_SIGNAL_BITS:
        raise ValueError(f"has {signal.length} bits, at most {MAX_SIGNAL_BITS} make a number")
    if max(abs(signal.scale), abs(signal.offset)) > MAX_SCALE:
        raise ValueError(f"is scaled by {signal.scale:.4g} and shifted by {signal.offset:.4g}, more than {MAX_SCALE:.0e}")
    if signal.is_float and signal.length not in _FLOATS:
        raise ValueError(f"is a floating-point number of {signal.length} bits")
    return SignalLayout(
        name=signal.name,
        first_byte=first,
        end_byte=end,
        shift=shift,
        length_bits=signal.length,
        is_big_endian=is_big_endian,
        is_signed=signal.is_signed,
        is_float=signal.is_float,
        scale=signal.scale,
        offset=signal.offset,
        unit=signal.unit or "",
        choices=MappingProxyType({int(raw): str(text) for raw, text in (signal.choices or {}).items()}),
        conditions=conditions,
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
