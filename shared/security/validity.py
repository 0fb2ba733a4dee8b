"""How long a certificate is valid: `ValidityPeriod` and `Duration` of IEEE 1609.2 6.4.14-6.4.15."""

from dataclasses import dataclass
from enum import Enum

from shared.codec.coer import CoerReader, encode_choice, encode_unsigned
from shared.core.itstime import Time32, Time64

_US_PER_S = 1_000_000


class DurationUnit(Enum):
    """IEEE 1609.2 `Duration`: index on the wire and microseconds per unit; a year is 31,556,952 s."""

    MICROSECONDS = (0, 1)
    MILLISECONDS = (1, 1_000)
    SECONDS = (2, _US_PER_S)
    MINUTES = (3, 60 * _US_PER_S)
    HOURS = (4, 3_600 * _US_PER_S)
    SIXTY_HOURS = (5, 216_000 * _US_PER_S)
    YEARS = (6, 31_556_952 * _US_PER_S)

    @property
    def index(self) -> int:
        """Index of the alternative."""
        return self.value[0]

    @property
    def microseconds(self) -> int:
        """Microseconds in one unit."""
        return self.value[1]


_DURATION_UNITS = {unit.index: unit for unit in DurationUnit}


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """`ValidityPeriod`: from `start` for `count` units (0..65535); the end itself is outside."""

    start: Time32
    unit: DurationUnit
    count: int

    @property
    def start_time64(self) -> Time64:
        """First valid microsecond."""
        return Time64(self.start * _US_PER_S)

    @property
    def end_time64(self) -> Time64:
        """First microsecond that is no longer valid."""
        return Time64(self.start * _US_PER_S + self.count * self.unit.microseconds)

    def contains(self, at: Time64) -> bool:
        """Tell whether a moment lies in the period."""
        return self.start_time64 <= at < self.end_time64

    def lies_within(self, outer: "Validity") -> bool:
        """Tell whether this whole period lies in `outer`."""
        return outer.start_time64 <= self.start_time64 and self.end_time64 <= outer.end_time64


def encode_validity(validity: Validity) -> bytes:
    """Encode `ValidityPeriod`; raises `EncodeError` when a number does not fit."""
    start = encode_unsigned(validity.start, 4, "validity.start")
    return start + encode_choice(validity.unit.index, encode_unsigned(validity.count, 2, "validity.count"))


def read_validity(reader: CoerReader, field: str) -> Validity:
    """Read `ValidityPeriod`; raises `DecodeError`."""
    start = Time32(reader.unsigned(4, field))
    index = reader.choice(field)
    unit = _DURATION_UNITS.get(index)
    if unit is None:
        raise reader.refuse(field, f"duration unit {index} is unknown")
    return Validity(start=start, unit=unit, count=reader.unsigned(2, field))
