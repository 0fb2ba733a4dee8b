"""From a CAN frame to news about the car: checksum, counter, presence, range, unit; each fault counted by its reason.

`CanInput` never raises on what a bus delivers. A frame whose checksum or counter is wrong is refused whole; a signal that is out
of range or beyond a frame cut short is refused alone and the others of its frame are kept. A counter must be one more than
the last seen: after a gap (frames lost, or a sender restarted) one frame is refused and counting resumes from it; a
repeated counter is an old frame again and is refused without being remembered. Identifiers that the map does not name
cost one dictionary look-up. Values that age without a successor are `vehicle_agent.vehicle_state`'s business.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isnan
from types import MappingProxyType

from shared.core.clock import MonotonicNs
from shared.core.errors import FrameError
from shared.core.geo import GeoPoint
from shared.transport.can_frame import CanFrame
from vehicle_agent.dbc import Raw
from vehicle_agent.mapped import Combination, MappedChecksum, MappedField, MappedMessage
from vehicle_agent.signal_map import SignalMap
from vehicle_agent.vehicle_state import FieldKind, SignalUpdate, Value

TOO_SHORT = "too_short"
CHECKSUM = "checksum"
COUNTER = "counter"
OUT_OF_RANGE = "out_of_range"
UNKNOWN_CHOICE = "unknown_choice"
UNKNOWN_UNIT = "unknown_unit"
FAULT_KINDS = (TOO_SHORT, CHECKSUM, COUNTER, OUT_OF_RANGE, UNKNOWN_CHOICE, UNKNOWN_UNIT)
"""Every `FrameError.kind`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedFrame:
    """What a frame said.

    Attributes:
        updates: the good news, in the order of the map.
        faults: what was refused; empty for a sound frame.
    """

    updates: tuple[SignalUpdate, ...]
    faults: tuple[FrameError, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageStatistics:
    """What became of one message's frames.

    Attributes:
        message: its name in the DBC.
        frames: how many were seen.
        faults: how many faults of each kind; a frame may have several.
        last_fault: the last one in words.
        last_seen: when the last frame was received.
    """

    message: str
    frames: int
    faults: Mapping[str, int]
    last_fault: str | None
    last_seen: MonotonicNs | None


class CanInput:
    """Decodes the frames of one car.

    Args:
        signal_map: what to decode; may be shared between inputs.
        channels: actual channel for each channel name in the map; others are taken as named.
    """

    def __init__(self, signal_map: SignalMap, channels: Mapping[str, str] = MappingProxyType({})) -> None:
        self._inputs = {
            (m.layout.arbitration_id, m.layout.is_extended): _MessageInput(
                m, channels.get(m.channel, m.channel) if m.channel else None
            )
            for m in signal_map.messages
        }

    def on_frame(self, frame: CanFrame) -> tuple[SignalUpdate, ...]:
        """Return the news in `frame`; what is refused is counted."""
        return self.decode(frame).updates

    def decode(self, frame: CanFrame) -> DecodedFrame:
        """Return the news in `frame` and what was refused of it."""
        message = self._inputs.get((frame.arbitration_id, frame.is_extended))
        if message is None or (message.channel is not None and message.channel != frame.channel):
            return _NOTHING
        return message.decode(frame)

    def statistics(self) -> tuple[MessageStatistics, ...]:
        """Return what became of each mapped message, by ascending identifier."""
        return tuple(message.statistics() for message in self._inputs.values())

    def fault_counts(self) -> Mapping[str, int]:
        """Return the faults of all messages by kind."""
        total: Counter[str] = Counter()
        for message in self._inputs.values():
            total.update(message.faults)
        return MappingProxyType(dict(total))


_NOTHING = DecodedFrame(updates=(), faults=())


class _Absent(Exception):  # noqa: N818  # not an error: the multiplexer selects other signals
    """A multiplexed signal is not in this frame."""


class _MessageInput:
    """One message: its decoders, its last counter and its counts."""

    def __init__(self, mapped: MappedMessage, channel: str | None) -> None:
        self.channel = channel
        self.faults: Counter[str] = Counter()
        self._name = mapped.layout.name
        self._length = mapped.layout.length
        self._checksum = mapped.checksum
        self._decoders = tuple(_FieldDecoder(self._name, field) for field in mapped.fields)
        self._read_counter = None if mapped.counter is None else mapped.counter.signal.reader()
        self._counter_modulus = 0 if mapped.counter is None else mapped.counter.last + 1
        self._is_protected = mapped.checksum is not None or mapped.counter is not None
        self._last_counter: int | None = None
        self._frames = 0
        self._last_fault: str | None = None
        self._last_seen: MonotonicNs | None = None

    def statistics(self) -> MessageStatistics:
        return MessageStatistics(
            message=self._name,
            frames=self._frames,
            faults=MappingProxyType(dict(self.faults)),
            last_fault=self._last_fault,
            last_seen=self._last_seen,
        )

    def decode(self, frame: CanFrame) -> DecodedFrame:
        self._frames += 1
        self._last_seen = frame.received
        data = frame.data
        faults: list[FrameError] = []
        try:
            if len(data) < self._length:
                short = FrameError(self._name, f"has {len(data)} bytes, not {self._length}", TOO_SHORT)
                if self._is_protected:
                    raise short
                faults.append(short)
            if self._checksum is not None:
                self._check_sum(frame, self._checksum)
            if self._read_counter is not None:
                self._check_counter(int(self._read_counter(data)))
        except FrameError as error:
            faults.append(error)
            self._count(faults)
            return DecodedFrame(updates=(), faults=tuple(faults))
        updates: list[SignalUpdate] = []
        for decoder in self._decoders:
            if decoder.end_byte > len(data):
                continue
            try:
                updates.append(decoder.decode(data, frame.received))
            except FrameError as error:
                faults.append(error)
            except _Absent:
                continue
        if faults:
            self._count(faults)
        return DecodedFrame(updates=tuple(updates), faults=tuple(faults))

    def _check_sum(self, frame: CanFrame, checksum: MappedChecksum) -> None:
        index = checksum.byte % self._length
        data = frame.data
        kept = data[index] & ~checksum.mask
        bare = data[:index] + bytes((kept,)) + data[index + 1 :]
        expected = checksum.rule.compute(frame.arbitration_id, bare, index)
        mask = checksum.mask
        found = (data[index] & mask) // (mask & -mask)
        if found != expected:
            raise FrameError(self._name, f"checksum is {found:#x}, {checksum.rule.name} gives {expected:#x}", CHECKSUM)

    def _check_counter(self, counter: int) -> None:
        last = self._last_counter
        if last is not None and counter == last:
            raise FrameError(self._name, f"counter {counter} came twice", COUNTER)
        self._last_counter = counter
        if last is not None and counter != (last + 1) % self._counter_modulus:
            raise FrameError(self._name, f"counter went from {last} to {counter}", COUNTER)

    def _count(self, faults: list[FrameError]) -> None:
        for fault in faults:
            self.faults[fault.kind] += 1
        self._last_fault = str(faults[-1])


class _FieldDecoder:
    """One field of one message, everything that can be worked out beforehand worked out."""

    def __init__(self, message: str, mapped: MappedField) -> None:
        self._mapped = mapped
        self._path = f"{message}.{mapped.signals[0].name}"
        self._readers = tuple(signal.reader() for signal in mapped.signals)
        self._scales = tuple((signal.scale, signal.offset) for signal in mapped.signals)
        selector = mapped.selector
        self._read_unit = None if selector is None else selector.signal.reader()
        needed = mapped.signals if selector is None else (*mapped.signals, selector.signal)
        conditions = [condition for signal in needed for condition in signal.conditions]
        self._conditions = tuple((layout.reader(), values) for layout, values in conditions)
        self.end_byte = max([s.end_byte for s in needed] + [layout.end_byte for layout, _ in conditions])
        self._value: Callable[[bytes, list[Raw]], Value | None] = {
            FieldKind.QUANTITY: self._quantity,
            FieldKind.FLAG: self._choice,
            FieldKind.DIRECTION: self._choice,
            FieldKind.POSITION: self._position,
            FieldKind.FIX: self._choice,
        }[mapped.spec.kind]

    def decode(self, data: bytes, at: MonotonicNs) -> SignalUpdate:
        """Return the news; raises `FrameError`, or `_Absent` where a multiplexer selects other signals."""
        for read, values in self._conditions:
            if read(data) not in values:
                raise _Absent
        mapped = self._mapped
        raw = [read(data) for read in self._readers]
        not_available = mapped.not_available
        value = None if not_available and not not_available.isdisjoint(raw) else self._value(data, raw)
        return SignalUpdate(field=mapped.field, value=value, at=at, max_age_ns=mapped.max_age_ns)

    def _quantity(self, data: bytes, raw: list[Raw]) -> float | None:
        mapped = self._mapped
        total = 0.0
        for number, (scale, offset) in zip(raw, self._scales, strict=True):
            total += number * scale + offset
        if mapped.combination is Combination.MEAN:
            total /= len(raw)
        if isnan(total):
            return None
        unit = mapped.unit
        if unit is None and self._read_unit is not None and mapped.selector is not None:
            selected = int(self._read_unit(data))
            unit = mapped.selector.units.get(selected)
            if unit is None:
                raise FrameError(self._path, f"{mapped.selector.signal.name} {selected} names no unit", UNKNOWN_UNIT)
        value = total * mapped.factor + mapped.offset
        if unit is not None:
            value = unit.to_si(value)
        if not mapped.minimum <= value <= mapped.maximum:
            raise FrameError(
                self._path, f"{value:g} {mapped.spec.dimension} is outside {mapped.minimum:g}..{mapped.maximum:g}", OUT_OF_RANGE
            )
        modulus = mapped.spec.modulus
        return value if modulus is None else value % modulus

    def _choice(self, _data: bytes, raw: list[Raw]) -> Value | None:
        meanings = []
        for number in raw:
            if number not in self._mapped.choices:
                raise FrameError(self._path, f"raw value {number} has no meaning in the map", UNKNOWN_CHOICE)
            meanings.append(self._mapped.choices[int(number)])
        if len(meanings) == 1:
            return meanings[0]
        if True in meanings:
            return True
        return None if None in meanings else False

    def _position(self, _data: bytes, raw: list[Raw]) -> GeoPoint:
        (lat_scale, lat_offset), (lon_scale, lon_offset) = self._scales
        unit, factor, offset = self._mapped.unit, self._mapped.factor, self._mapped.offset
        lat = (raw[0] * lat_scale + lat_offset) * factor + offset
        lon = (raw[1] * lon_scale + lon_offset) * factor + offset
        if unit is not None:
            lat, lon = unit.to_si(lat), unit.to_si(lon)
        try:
            return GeoPoint(lat, lon)
        except ValueError as error:
            raise FrameError(self._path, str(error), OUT_OF_RANGE) from error
