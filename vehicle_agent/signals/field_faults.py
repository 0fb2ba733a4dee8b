"""What is refused of a field, and what a signal of J1939 says instead of a number: the rare ways out of a generated decoder.

SAE J1939-71 keeps the highest values of a parameter for what is no value. By the width of the parameter, for all of them:

| width | error indicator | not available | reserved, or with a meaning of its own |
|---|---|---|---|
| 2..7 bits | all ones but the last | all ones | |
| 8 bits and more, by the highest octet | FE | FF | FB..FD |
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final

from shared.core.errors import FrameError
from shared.core.geo import GeoPoint
from vehicle_agent.signals.dbc import Raw, SignalLayout
from vehicle_agent.signals.mapped import MappedField
from vehicle_agent.vehicle_state import Value

OUT_OF_RANGE = "out_of_range"
UNKNOWN_CHOICE = "unknown_choice"
UNKNOWN_UNIT = "unknown_unit"
ERROR_INDICATOR = "error_indicator"
FIELD_FAULT_KINDS = (OUT_OF_RANGE, UNKNOWN_CHOICE, UNKNOWN_UNIT, ERROR_INDICATOR)
"""Every `FrameError.kind` that concerns one field and not its whole frame."""

_OCTET = 8
_NOT_AVAILABLE = 0xFF
_ERROR = 0xFE
_FIRST_SPECIAL = 0xFB


class Unknown(Enum):
    """What a table of choices gives for a value that the map does not name."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN


class MessageField:
    """A field as part of its message: makes its faults.

    Args:
        message: the message's name.
        mapped: the field.
        is_j1939: whether the highest values of its signals are no values.
    """

    def __init__(self, message: str, mapped: MappedField, *, is_j1939: bool) -> None:
        self.path = f"{message}.{mapped.signals[0].name}"
        self._mapped = mapped
        self._is_j1939 = is_j1939

    def out_of_range(self, value: float, faults: list[FrameError]) -> None:
        """Refuse a quantity."""
        mapped = self._mapped
        reason = f"{value:g} {mapped.spec.dimension} is outside {mapped.minimum:g}..{mapped.maximum:g}"
        faults.append(FrameError(self.path, reason, OUT_OF_RANGE))

    def unknown_unit(self, raw: Raw, faults: list[FrameError]) -> None:
        """Refuse a quantity whose unit is not known."""
        assert self._mapped.selector is not None
        reason = f"{self._mapped.selector.signal.name} {raw} names no unit"
        faults.append(FrameError(self.path, reason, UNKNOWN_UNIT))

    def point(self, lat_deg: float, lon_deg: float, faults: list[FrameError]) -> GeoPoint | None:
        """Return a place; None, and a fault, where there is no such place."""
        try:
            return GeoPoint(lat_deg, lon_deg)
        except ValueError as error:
            faults.append(FrameError(self.path, str(error), OUT_OF_RANGE))
            return None

    def special(self, raw: Sequence[Raw], faults: list[FrameError]) -> bool:
        """Judge raw values of which one is no value or has no meaning; return whether that makes the field unavailable.

        Otherwise it is refused, and what was known before stands until it is too old.
        """
        choices = self._mapped.choices
        odd = [(number, layout) for number, layout in zip(raw, self._mapped.signals, strict=True) if number not in choices]
        if self._is_j1939:
            for number, layout in odd:
                if says_error(number, layout):
                    faults.append(FrameError(self.path, f"{layout.name} {number:#x} reports an error", ERROR_INDICATOR))
                    return True
            if any(says_not_available(number, layout) for number, layout in odd):
                return True
        if choices:
            faults.append(FrameError(self.path, f"raw value {odd[0][0]} has no meaning in the map", UNKNOWN_CHOICE))
        else:
            number, layout = next((n, signal) for n, signal in odd if has_special_values(signal) and n >= first_special(signal))
            faults.append(FrameError(self.path, f"{layout.name} {number:#x} is a reserved value", OUT_OF_RANGE))
        return False


def has_special_values(layout: SignalLayout) -> bool:
    """Return whether J1939-71 keeps the highest values of such a parameter for what is no value."""
    return layout.length_bits > 1 and not layout.is_signed and not layout.is_float


def first_special(layout: SignalLayout) -> int:
    """Return the lowest raw value of a J1939 parameter that is no value."""
    width = layout.length_bits
    return _FIRST_SPECIAL << (width - _OCTET) if width >= _OCTET else (1 << width) - 2


def says_not_available(raw: Raw, layout: SignalLayout) -> bool:
    """Return whether a raw value of a J1939 parameter says "not available"."""
    return has_special_values(layout) and _highest(int(raw), layout.length_bits) == _NOT_AVAILABLE


def says_error(raw: Raw, layout: SignalLayout) -> bool:
    """Return whether a raw value of a J1939 parameter says "error"."""
    return has_special_values(layout) and _highest(int(raw), layout.length_bits) == _ERROR


def _highest(raw: int, width: int) -> int:
    """Return the highest octet of a parameter; a narrow one is widened with ones in front."""
    return raw >> (width - _OCTET) if width >= _OCTET else raw | _NOT_AVAILABLE & ~((1 << width) - 1)


def any_of(choices: Mapping[Raw, Value | None], raw: Sequence[Raw]) -> Value | Unknown | None:
    """Return whether one of several flags is set; None where it cannot be told, `UNKNOWN` where one has no meaning."""
    meanings = [choices.get(number, UNKNOWN) for number in raw]
    if UNKNOWN in meanings:
        return UNKNOWN
    if True in meanings:
        return True
    return None if None in meanings else False
