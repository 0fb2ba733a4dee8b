"""Frames of real cars' messages, packed and read by opendbc: an independent oracle for signal maps and checksums.

opendbc has a parser of DBC files, a packer and a reader of its own, which share nothing with this project or with cantools. Where
its packer knows a message's counter and checksum it fills them in; it knows them by their names. What it leaves at zero is said.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from shared.core.clock import MonotonicNs
from shared.transport.can_frame import CanFrame
from tests.helpers.data import REPOSITORY
from vehicle_agent.signals.dbc import SignalLayout
from vehicle_agent.signals.map_file import MapFile
from vehicle_agent.signals.mapped import Combination, MappedField, MappedMessage
from vehicle_agent.vehicle_state import FieldKind

MAPS = REPOSITORY / "vehicle_agent" / "maps"
PACKAGE = "package:opendbc/dbc/"
_COUNTER = 1
"""opendbc's mark of a counter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A frame as the car would send it, and what opendbc reads from it."""

    frame: CanFrame
    read: Mapping[str, float]


class Oracle:
    """opendbc's packer and reader for the DBC files of one map; skips the test where opendbc is not installed."""

    def __init__(self, entry: MapFile) -> None:
        packers = pytest.importorskip("opendbc.can.packer", exc_type=ImportError)
        self._parser = pytest.importorskip("opendbc.can.parser", exc_type=ImportError).CANParser
        references = (entry.dbc,) if isinstance(entry.dbc, str) else entry.dbc
        names = [_opendbc_name(reference) for reference in references if reference.startswith(PACKAGE)]
        self._packers = [(name, packers.CANPacker(name)) for name in names]

    def knows(self, message: MappedMessage) -> bool:
        """Return whether opendbc describes a message; those typed by this project it does not."""
        return any(message.layout.name in packer.dbc.name_to_msg for _, packer in self._packers)

    def pack(self, message: MappedMessage, values: Mapping[str, float], number: int) -> Packed:
        """Return the frame of physical `values`, the `number`-th of its message."""
        name, packer = next((n, p) for n, p in self._packers if message.layout.name in p.dbc.name_to_msg)
        described = packer.dbc.name_to_msg[message.layout.name]
        counter = message.counter
        wanted = dict(values)
        if counter is not None and described.sigs[counter.signal.name].type != _COUNTER:
            wanted[counter.signal.name] = number % (counter.last + 1)
        elif counter is not None:
            packer.counters[described.address] = number % (counter.last + 1)
        data = bytes(packer.pack(described.address, wanted))
        if message.checksum is not None and not self._fills_checksum(message):
            data = completed(message, data)
        parser = self._parser(name, [(message.layout.name, 0)], 0)
        parser.update([(number, [(described.address, data, 0)])])
        layout, channel = message.layout, message.channel or ""
        frame = CanFrame(layout.arbitration_id, layout.is_extended, data, channel, MonotonicNs(number))
        return Packed(frame=frame, read=dict(parser.vl[message.layout.name]))

    def _fills_checksum(self, message: MappedMessage) -> bool:
        name = message.layout.name
        described = next(p.dbc.name_to_msg[name] for _, p in self._packers if name in p.dbc.name_to_msg)
        return any(signal.type > _COUNTER for signal in described.sigs.values())


def completed(message: MappedMessage, data: bytes) -> bytes:
    """Return a frame with its checksum put in by the map's own rule."""
    checksum = message.checksum
    assert checksum is not None
    found, expected = checksum.compare(message.layout.arbitration_id, data, message.layout.length)
    index, octets = checksum.byte % message.layout.length, (checksum.rule.width_bits + 7) // 8
    unit = checksum.mask & -checksum.mask
    number = int.from_bytes(data[index : index + octets], "little") + (expected - found) * unit
    return data[:index] + number.to_bytes(octets, "little") + data[index + octets :]


def physical(signal: SignalLayout, raw: float) -> float:
    """Return what a raw value stands for."""
    return raw * signal.scale + signal.offset


def draw_values(message: MappedMessage, random: Random) -> dict[str, float]:
    """Return physical values of every signal in use that the map believes; conditions hold."""
    values: dict[str, float] = {}
    for mapped in message.fields:
        for signal in mapped.signals:
            for condition, allowed in signal.conditions:
                values[condition.name] = physical(condition, min(allowed))
        if mapped.selector is not None:
            values[mapped.selector.signal.name] = physical(mapped.selector.signal, random.choice(sorted(mapped.selector.units)))
        if mapped.spec.kind is FieldKind.QUANTITY:
            values |= _draw_quantity(mapped, random)
            continue
        for signal in mapped.signals:
            values.setdefault(signal.name, physical(signal, random.choice(sorted(mapped.choices))))
    return values


def _draw_quantity(mapped: MappedField, random: Random) -> dict[str, float]:
    units = [] if mapped.selector is None else list(mapped.selector.units.values())
    if mapped.unit is not None:
        units.append(mapped.unit)
    factor = max(abs(unit.factor) for unit in units)
    low, high = (bound / factor for bound in (mapped.minimum, mapped.maximum))
    if any(unit.factor < 0 for unit in units):
        low = 0.0  # the sign stands apart
    drawn: dict[str, float] = {}
    for number, signal in enumerate(mapped.signals):
        lowest = -(1 << signal.length_bits - 1) if signal.is_signed else 0
        ends = sorted(physical(signal, raw) for raw in (lowest, lowest + (1 << signal.length_bits) - 4))
        target = random.uniform(0.98 * low, 0.98 * high) / mapped.factor - mapped.offset
        wanted = 0.0 if mapped.combination is Combination.SUM and number else target
        drawn[signal.name] = min(max(wanted, ends[0]), ends[1])
    return drawn


def expected_value(mapped: MappedField, read: Mapping[str, float]) -> float:
    """Return the SI value of a quantity from what opendbc read."""
    total = sum(read[signal.name] for signal in mapped.signals)
    if mapped.combination is Combination.MEAN:
        total /= len(mapped.signals)
    unit = mapped.unit
    if unit is None and mapped.selector is not None:
        unit = mapped.selector.units[round(read[mapped.selector.signal.name])]
    assert unit is not None
    return unit.to_si(total * mapped.factor + mapped.offset)


def _opendbc_name(reference: str) -> str:
    path = Path(reference.removeprefix(PACKAGE))
    return f"{path.stem}_generated" if path.parts[0] == "generator" and not path.stem.startswith("_") else _file(reference, path)


def _file(reference: str, path: Path) -> str:
    """A DBC outside the generator goes by its name; a fragment of the generator by its file."""
    if path.parts[0] != "generator":
        return path.stem
    package = pytest.importorskip("opendbc", exc_type=ImportError)
    return str(Path(package.__path__[0]) / reference.removeprefix("package:opendbc/"))
