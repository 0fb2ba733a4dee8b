"""A signal map after its names were found in the DBC: what decoding needs, as values.

Made by `vehicle_agent.signals.signal_map`, used by `vehicle_agent.signals.can_input`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from shared.core.units import Unit
from shared.messages.cdd import DriveDirection
from shared.transport.can_frame import CanFilter
from vehicle_agent.j1939.identifier import pgn_mask
from vehicle_agent.signals.checksums import ChecksumRule
from vehicle_agent.signals.dbc import MessageLayout, SignalLayout
from vehicle_agent.vehicle_state import FieldSpec, FixQuality


class Combination(Enum):
    """How a field's signals become one value."""

    ONE = "signal"
    MEAN = "mean_of"
    SUM = "sum_of"
    ANY = "any_of"
    POSITION = "latitude, longitude"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSelector:
    """A unit chosen by the raw value of a signal."""

    signal: SignalLayout
    units: Mapping[int, Unit]


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedField:
    """Where one field comes from.

    Attributes:
        field: a name of `FIELDS`.
        spec: what that field can hold.
        combination: how `signals` become one value.
        signals: at least one; latitude first for a position.
        unit: of a quantity with one unit, else None.
        selector: of a quantity whose unit another signal names, else None.
        factor: see `FieldEntry`.
        offset: see `FieldEntry`.
        choices: meaning of raw values (None: unavailable); empty for numbers.
        not_available: raw values that mean "unavailable".
        minimum: smallest value believed, SI.
        maximum: largest value believed, SI.
        max_age_ns: for how long a value may be used, nanoseconds.
    """

    field: str
    spec: FieldSpec
    combination: Combination
    signals: tuple[SignalLayout, ...]
    unit: Unit | None
    selector: UnitSelector | None
    factor: float
    offset: float
    choices: Mapping[int, bool | DriveDirection | FixQuality | None]
    not_available: frozenset[int]
    minimum: float
    maximum: float
    max_age_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedChecksum:
    """A checksum's rule and the bits it stands in: byte `byte` (negative: from the end), `mask` within it; 16 bits in two bytes."""

    rule: ChecksumRule
    byte: int
    mask: int

    def compare(self, arbitration_id: int, data: bytes, length: int) -> tuple[int, int]:
        """Return the checksum found in `data`, and what the rule gives for the rest of it; `data` has at least `length` bytes."""
        index, mask = self.byte % length, self.mask
        end = index + (self.rule.width_bits + 7) // 8
        number = int.from_bytes(data[index:end], "little")
        bare = data[:index] + (number & ~mask).to_bytes(end - index, "little") + data[end:]
        return (number & mask) // (mask & -mask), self.rule.compute(arbitration_id, bare, index)


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedCounter:
    """A counter's place and the value after which it starts at zero again."""

    signal: SignalLayout
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedMessage:
    """A message of which at least one field is wanted.

    Attributes:
        layout: the message in the DBC.
        channel: the bus it is seen on; None for any.
        checksum: what its checksum must be, where the map says.
        counter: its counter, where the map says.
        fields: at least one.
        pgn: parameter group number of a J1939 message, with whatever priority; None where the identifier is all.
        source: the only J1939 address it is taken from; None for whoever speaks first.
    """

    layout: MessageLayout
    channel: str | None
    checksum: MappedChecksum | None
    counter: MappedCounter | None
    fields: tuple[MappedField, ...]
    pgn: int | None = None
    source: int | None = None

    @property
    def filter(self) -> CanFilter:
        """The identifiers a bus needs to let through for this message."""
        identifier, is_extended = self.layout.arbitration_id, self.layout.is_extended
        if self.pgn is None:
            return CanFilter(identifier, is_extended)
        mask = pgn_mask(self.pgn) | (0 if self.source is None else 0xFF)
        return CanFilter((self.pgn << 8 | (self.source or 0)) & mask, is_extended, mask)
