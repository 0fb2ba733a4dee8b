"""Trial decoding of a signal map, before a car is driven with it: the part of `vehicle-agent check-config` that looks at CAN.

Loading a map proves that its names exist. This module decodes made-up payloads of every mapped message, compares each signal with
what cantools reads from the same bytes, and refuses a field that no payload gives a believable value for: its unit, factor, range
or choices are wrong. It says nothing about whether the DBC describes the car.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isclose, isnan
from pathlib import Path
from random import Random

from cantools.database.can import Message

from shared.core.clock import MonotonicNs
from shared.core.errors import ConfigError
from shared.transport.can_frame import CanFrame
from vehicle_agent.signals.can_input import CanInput
from vehicle_agent.signals.dbc import SignalLayout
from vehicle_agent.signals.mapped import MappedField, MappedMessage
from vehicle_agent.signals.signal_map import SignalMap, load_signal_map

RANDOM_PAYLOADS = 256
"""Payloads tried beyond the regular patterns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedMessage:
    """One message that can be decoded.

    Attributes:
        name: in the DBC.
        arbitration_id: its identifier.
        is_extended: whether that has 29 bits.
        fields: the fields it feeds, each with the signals it comes from.
        checksum: the rule, where the map names one.
        has_counter: whether the map names a counter.
        pgn: the J1939 parameter group it is found by; None where the identifier is all.
    """

    name: str
    arbitration_id: int
    is_extended: bool
    fields: tuple[tuple[str, tuple[str, ...]], ...]
    checksum: str | None
    has_counter: bool
    pgn: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MapReport:
    """A map that can be used.

    Attributes:
        name: the car.
        car: brand, models and years, as far as the map tells; may be empty.
        path: the file.
        messages: by identifier.
        missing: fields of the vehicle state that the map does not feed.
    """

    name: str
    car: str
    path: str
    messages: tuple[CheckedMessage, ...]
    missing: tuple[str, ...]


def check_map(path: Path) -> MapReport:
    """Load a map and decode trial payloads of every message in it.

    Raises:
        ConfigError: the map or its DBC is wrong; the error names file, key and reason.
    """
    signal_map = load_signal_map(path)
    faults = [fault for message in signal_map.messages for fault in _faults(signal_map, message)]
    if faults:
        raise ConfigError(str(path), "; ".join(faults))
    return MapReport(
        name=signal_map.name,
        car=signal_map.car,
        path=signal_map.path,
        messages=tuple(
            CheckedMessage(
                name=m.layout.name,
                arbitration_id=m.layout.arbitration_id,
                is_extended=m.layout.is_extended,
                fields=tuple((f.field, tuple(s.name for s in f.signals)) for f in m.fields),
                checksum=None if m.checksum is None else m.checksum.rule.name,
                has_counter=m.counter is not None,
                pgn=m.pgn,
            )
            for m in signal_map.messages
        ),
        missing=signal_map.missing_fields(),
    )


def _faults(signal_map: SignalMap, message: MappedMessage) -> Iterator[str]:
    """Yield what is wrong with a message, as `key: reason`."""
    bare = MappedMessage(layout=message.layout, channel=None, checksum=None, counter=None, fields=message.fields)
    trial = CanInput(SignalMap(name=signal_map.name, path=signal_map.path, messages=(bare,)))
    seen: set[str] = set()
    present = {field.field: not any(signal.conditions for signal in field.signals) for field in message.fields}
    last_fault: dict[str, str] = {}
    comparisons = [(field.field, _Comparison(message, signal)) for field in message.fields for signal in field.signals]
    for payload in _payloads(message.layout.length):
        for name, comparison in comparisons:
            disagreement = comparison.disagreement(payload)
            if disagreement is not None:
                yield f"fields.{name}: {disagreement}"
                return
        frame = CanFrame(message.layout.arbitration_id, message.layout.is_extended, payload, "", MonotonicNs(0))
        decoded = trial.decode(frame)
        seen.update(update.field for update in decoded.updates if update.value is not None)
        last_fault.update({fault.field: fault.reason for fault in decoded.faults})
    for field in message.fields:
        if field.field not in seen and present[field.field]:
            yield f"fields.{field.field}: no payload gives a believable value: {_why(message, field, last_fault)}"


def _why(message: MappedMessage, field: MappedField, last_fault: dict[str, str]) -> str:
    return last_fault.get(f"{message.layout.name}.{field.signals[0].name}", "every value is unavailable")


class _Comparison:
    """Reads one signal with our layout and with cantools.

    cantools is given a message of this signal and its multiplexers alone: it cannot decode a message in which any others overlap.
    """

    def __init__(self, message: MappedMessage, signal: SignalLayout) -> None:
        source = message.layout.source
        names = (*(layout.name for layout, _ in signal.conditions), signal.name)
        self._signal = signal
        self._read = signal.reader()
        self._conditions = tuple((layout.reader(), values) for layout, values in signal.conditions)
        self._theirs = Message(
            frame_id=message.layout.arbitration_id,
            is_extended_frame=message.layout.is_extended,
            name=message.layout.name,
            length=message.layout.length,
            signals=[source.get_signal_by_name(name) for name in names],
            strict=False,
        )

    def disagreement(self, payload: bytes) -> str | None:
        """Return how the two readings of `payload` differ, or None."""
        signal = self._signal
        if any(read(payload) not in values for read, values in self._conditions):
            return None
        ours = self._read(payload) * signal.scale + signal.offset
        decoded = self._theirs.decode(payload, decode_choices=False)
        theirs = decoded.get(signal.name) if isinstance(decoded, dict) else None
        if not isinstance(theirs, int | float):
            return f"cantools reads no number {signal.name} from {payload.hex()}"
        if isclose(ours, theirs, rel_tol=1e-12, abs_tol=1e-12) or (isnan(ours) and isnan(theirs)):
            return None
        return f"{signal.name} of {payload.hex()} is {ours} here and {theirs} in cantools"


def _payloads(length: int) -> Iterator[bytes]:
    """Yield regular patterns, every single bit, and random bytes from a fixed seed."""
    for byte in (0x00, 0xFF, 0x55, 0xAA):
        yield bytes((byte,)) * length
    for bit in range(8 * length):
        yield (1 << bit).to_bytes(length, "little")
    rng = Random(length)  # noqa: S311  # trial payloads, not secrets
    for _ in range(RANDOM_PAYLOADS):
        yield rng.randbytes(length)
