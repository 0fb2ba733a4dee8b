"""From a CAN frame to news about the car: checksum, counter, presence, range, unit; each fault counted by its reason.

`CanInput` never raises on what a bus delivers. A frame whose checksum or counter is wrong is refused whole; a signal that is out
of range or beyond a frame cut short is refused alone and the others of its frame are kept. A counter must be one more than
the last seen: after a gap (frames lost, or a sender restarted) one frame is refused and counting resumes from it; a
repeated counter is an old frame again and is refused without being remembered. Identifiers that the map does not name
cost one dictionary look-up. Values that age without a successor are `vehicle_agent.vehicle_state`'s business.

Each message has a decoder of its own, written from the DBC (`vehicle_agent.signals.decoder_source`); one for frames cut short is
written when such a frame comes. A frame that says octet for octet what the last sound one of its message said is only dated anew:
where a counter protects it, that is an old frame again.

A message of SAE J1939 is found by its parameter group, whoever sends it. Several units may send the same group, often most of
it "not available": the first that says something is kept to until what it said is too old, the others are counted and not mixed
in. Groups longer than a frame come through `on_group`, put together by `vehicle_agent.j1939`.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

from msgspec.structs import replace

from shared.core.clock import MonotonicNs
from shared.core.errors import FrameError
from shared.transport.can_frame import CanFrame
from vehicle_agent.j1939.groups import ParameterGroup
from vehicle_agent.j1939.identifier import pgn_of
from vehicle_agent.signals.decoder_source import FieldsDecoder, fields_decoder
from vehicle_agent.signals.field_faults import FIELD_FAULT_KINDS
from vehicle_agent.signals.mapped import MappedField, MappedMessage
from vehicle_agent.signals.signal_map import SignalMap
from vehicle_agent.vehicle_state import SignalUpdate

TOO_SHORT = "too_short"
CHECKSUM = "checksum"
COUNTER = "counter"
FAULT_KINDS = (TOO_SHORT, CHECKSUM, COUNTER, *FIELD_FAULT_KINDS)
"""Every `FrameError.kind`."""

MAX_KNOWN_IDENTIFIERS = 4_096
"""Identifiers of 29 bits whose parameter group is remembered; a bus with more of them is looked at afresh."""


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
        source: of a J1939 group, the address it is taken from; None before somebody spoke.
        from_others: frames of a J1939 group that came from another address and were left out.
    """

    message: str
    frames: int
    faults: Mapping[str, int]
    last_fault: str | None
    last_seen: MonotonicNs | None
    source: int | None = None
    from_others: int = 0


class CanInput:
    """Decodes the frames of one car.

    Args:
        signal_map: what to decode; may be shared between inputs.
        channels: actual channel for each channel name in the map; others are taken as named.
    """

    def __init__(self, signal_map: SignalMap, channels: Mapping[str, str] = MappingProxyType({})) -> None:
        self._inputs = tuple(_MessageInput(message) for message in signal_map.messages)
        named = [(channels.get(each.channel, each.channel) if each.channel else None) for each in signal_map.messages]
        self._anywhere = _Table([each for each, channel in zip(self._inputs, named, strict=True) if channel is None])
        self._tables = {
            name: _Table([each for each, channel in zip(self._inputs, named, strict=True) if channel in {None, name}])
            for name in named
            if name is not None
        }

    def on_frame(self, frame: CanFrame) -> tuple[SignalUpdate, ...]:
        """Return the news in `frame`; what is refused is counted."""
        table = self._tables.get(frame.channel, self._anywhere)
        identifier = frame.arbitration_id
        message = table.extended.get(identifier, _UNSEEN) if frame.is_extended else table.standard.get(identifier)
        if message is _UNSEEN:
            message = table.look(identifier)
        return _NO_NEWS if message is None else message.read(frame.data, frame.received, identifier)

    def on_group(self, group: ParameterGroup) -> tuple[SignalUpdate, ...]:
        """Return the news in a parameter group of J1939 that came in several packets."""
        message = self._tables.get(group.channel, self._anywhere).groups.get(group.pgn)
        return _NO_NEWS if message is None else message.read(group.data, group.received, group.pgn << 8 | group.source)

    def decode(self, frame: CanFrame) -> DecodedFrame:
        """Return the news in `frame` and what was refused of it."""
        table = self._tables.get(frame.channel, self._anywhere)
        identifier = frame.arbitration_id
        message = table.extended.get(identifier, _UNSEEN) if frame.is_extended else table.standard.get(identifier)
        if message is _UNSEEN:
            message = table.look(identifier)
        if message is None:
            return _NOTHING
        faults: list[FrameError] = []
        updates = message.read(frame.data, frame.received, identifier, faults)
        return DecodedFrame(updates=updates, faults=tuple(faults))

    def statistics(self) -> tuple[MessageStatistics, ...]:
        """Return what became of each mapped message, by ascending identifier."""
        return tuple(message.statistics() for message in self._inputs)

    def fault_counts(self) -> Mapping[str, int]:
        """Return the faults of all messages by kind."""
        total: Counter[str] = Counter()
        for message in self._inputs:
            total.update(message.faults)
        return MappingProxyType(dict(total))

    def from_others(self) -> Mapping[str, int]:
        """Return the frames of J1939 groups that were left out, for another source is kept to, by message."""
        return MappingProxyType({each.mapped.layout.name: each.from_others for each in self._inputs if each.from_others})


class _Unseen(Enum):
    """An identifier of which it has not been looked yet what reads it."""

    UNSEEN = "unseen"


_UNSEEN: Final = _Unseen.UNSEEN
_WHOLE_OCTET = 0xFF
_NO_NEWS: tuple[SignalUpdate, ...] = ()
_NOTHING = DecodedFrame(updates=(), faults=())


class _Table:
    """The messages of one bus: by identifier, and those of J1939 by parameter group."""

    def __init__(self, messages: "list[_MessageInput]") -> None:
        exact = [each for each in messages if each.mapped.pgn is None]
        self.standard = {each.mapped.layout.arbitration_id: each for each in exact if not each.mapped.layout.is_extended}
        self._exact = {each.mapped.layout.arbitration_id: each for each in exact if each.mapped.layout.is_extended}
        self.extended: dict[int, _MessageInput | _Group | None] = dict(self._exact)
        """What reads frames of 29 bits, None where nothing does: those mapped and those seen."""
        self.groups: dict[int, _Group] = {}
        for each in messages:
            if each.mapped.pgn is not None:
                self.groups.setdefault(each.mapped.pgn, _Group()).add(each)

    def look(self, identifier: int) -> "_MessageInput | _Group | None":
        """Return what reads frames of an identifier of 29 bits that is not in `extended`, and remember it there."""
        found = self.groups.get(pgn_of(identifier)) if self.groups else None
        if len(self.extended) >= MAX_KNOWN_IDENTIFIERS + len(self._exact):
            self.extended.clear()
            self.extended.update(self._exact)
        self.extended[identifier] = found
        return found


class _MessageInput:
    """One message: its decoders, its last counter and its counts."""

    def __init__(self, mapped: MappedMessage) -> None:
        self.mapped = mapped
        self.faults: Counter[str] = Counter()
        self.source: int | None = mapped.source
        self.from_others = 0
        self._name = mapped.layout.name
        self._identifier = mapped.layout.arbitration_id
        self._length = mapped.layout.length
        self._checksum = mapped.checksum
        self._checksum_index = 0 if mapped.checksum is None else mapped.checksum.byte % mapped.layout.length
        self._compute: Callable[[bytes], int] | None = None
        if mapped.checksum is not None and mapped.checksum.mask == _WHOLE_OCTET and mapped.checksum.rule.prepared is not None:
            self._compute = mapped.checksum.rule.prepared(mapped.layout.arbitration_id, self._length, self._checksum_index)
        self._decode = fields_decoder(mapped, mapped.fields)
        self._decode_short: dict[int, FieldsDecoder] = {}
        self._read_counter = None if mapped.counter is None else mapped.counter.signal.reader()
        self._counter_modulus = 0 if mapped.counter is None else mapped.counter.last + 1
        self._is_protected = mapped.checksum is not None or mapped.counter is not None
        self._can_repeat = mapped.counter is None and (mapped.checksum is None or mapped.pgn is None)
        self._last_counter: int | None = None
        self._last_data: bytes | None = None
        self._last_news: tuple[SignalUpdate, ...] = ()
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
            source=self.source,
            from_others=self.from_others,
        )

    def read(
        self, data: bytes, at: MonotonicNs, identifier: int, faults: list[FrameError] | None = None
    ) -> tuple[SignalUpdate, ...]:
        """Return the news in a frame; put what is refused into `faults`, which must be empty."""
        self._frames += 1
        self._last_seen = at
        if data == self._last_data:
            return tuple([replace(update, at=at) for update in self._last_news])
        if faults is None:
            faults = []
        if self._is_protected and (fault := self._fault(data, identifier)) is not None:
            faults.append(fault)
            self._count(faults)
            return ()
        octets = len(data)
        if octets == self._length:
            updates = self._decode(data, at, faults)
        elif octets > self._length:
            updates = self._decode(data[: self._length], at, faults)
        else:
            updates = self._read_short(data, at, faults)
        if faults:
            self._count(faults)
        elif self._can_repeat:
            self._last_data = data
            self._last_news = updates
        return updates

    def forget(self) -> None:
        """Another sender speaks: what the one before said last is nothing to compare with."""
        self._last_counter = None
        self._last_data = None

    def _fault(self, data: bytes, identifier: int) -> FrameError | None:
        """Return why the frame is refused whole; None where checksum and counter are right."""
        if len(data) < self._length:
            return self._short(data)
        checksum = self._checksum
        if checksum is not None:
            if self._compute is not None and len(data) == self._length and identifier == self._identifier:
                found, expected = data[self._checksum_index], self._compute(data)
            elif checksum.mask == _WHOLE_OCTET:
                index = self._checksum_index
                found = data[index]
                expected = checksum.rule.compute(identifier, data[:index] + b"\0" + data[index + 1 :], index)
            else:
                found, expected = checksum.compare(identifier, data, self._length)
            if found != expected:
                return FrameError(self._name, f"checksum is {found:#x}, {checksum.rule.name} gives {expected:#x}", CHECKSUM)
        return None if self._read_counter is None else self._counter_fault(int(self._read_counter(data)))

    def _short(self, data: bytes) -> FrameError:
        return FrameError(self._name, f"has {len(data)} bytes, not {self._length}", TOO_SHORT)

    def _read_short(self, data: bytes, at: MonotonicNs, faults: list[FrameError]) -> tuple[SignalUpdate, ...]:
        """Return the news of the fields that are whole."""
        faults.append(self._short(data))
        whole = [mapped for mapped in self.mapped.fields if _end_byte(mapped) <= len(data)]
        if not whole:
            return ()
        decode = self._decode_short.get(len(whole))
        if decode is None:
            decode = self._decode_short[len(whole)] = fields_decoder(self.mapped, whole)
        return decode(data.ljust(self._length, b"\0"), at, faults)

    def _counter_fault(self, counter: int) -> FrameError | None:
        last = self._last_counter
        if last is not None and counter == last:
            return FrameError(self._name, f"counter {counter} came twice", COUNTER)
        self._last_counter = counter
        if last is not None and counter != (last + 1) % self._counter_modulus:
            return FrameError(self._name, f"counter went from {last} to {counter}", COUNTER)
        return None

    def _count(self, faults: list[FrameError]) -> None:
        for fault in faults:
            self.faults[fault.kind] += 1
        self._last_fault = str(faults[-1])


class _Group:
    """One parameter group of J1939: who is listened to."""

    def __init__(self) -> None:
        self._by_source: dict[int, _MessageInput] = {}
        self._anyone: _MessageInput | None = None
        self._keep_ns = 0
        self._spoke = MonotonicNs(0)

    def add(self, message: _MessageInput) -> None:
        """Read the frames of its source, or of whoever speaks first, with `message`."""
        if message.mapped.source is not None:
            self._by_source[message.mapped.source] = message
        else:
            self._anyone = message
            self._keep_ns = max((mapped.max_age_ns for mapped in message.mapped.fields), default=0)

    def read(
        self, data: bytes, at: MonotonicNs, identifier: int, faults: list[FrameError] | None = None
    ) -> tuple[SignalUpdate, ...]:
        """As `_MessageInput.read`; nothing where another source is kept to."""
        source = identifier & 0xFF
        message = self._by_source.get(source, self._anyone)
        if message is None:
            for each in self._by_source.values():
                each.from_others += 1
            return ()
        if message is not self._anyone:
            return message.read(data, at, identifier, faults)
        if source != message.source:
            if message.source is not None and at - self._spoke <= self._keep_ns:
                message.from_others += 1
                return ()
            message.source = None
            message.forget()
        updates = message.read(data, at, identifier, faults)
        for update in updates:
            if update.value is not None:
                message.source = source
                self._spoke = at
                break
        return updates


def _end_byte(mapped: MappedField) -> int:
    """Return how many bytes a field needs, its multiplexers and its unit included."""
    needed = mapped.signals if mapped.selector is None else (*mapped.signals, mapped.selector.signal)
    return max(layout.end_byte for signal in needed for layout in (signal, *(each for each, _ in signal.conditions)))
