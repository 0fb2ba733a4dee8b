"""Typed messages and plain trees as nested JSON values with units in their names.

A typed message keeps the names of its fields; what is unavailable is left out, numbers of enumerations become names, and moments
that a message gives in its own way (`generationDeltaTime`, `TimestampIts`, `TimeMark`) become UTC, or seconds from then, where a
reference time is known. A plain tree keeps the names and the numbers of its ASN.1, without units: nothing here knows what they
mean.
"""

from collections.abc import Mapping
from enum import Enum, IntFlag
from math import isinf

from msgspec import Struct

from shared.codec.packed import Packed
from shared.codec.uper import Tree
from shared.core.clock import NS_PER_MS, UtcNs
from shared.core.itstime import Time64, time64_of, utc_of, utc_text
from shared.messages.cam_special import ALTERNATIVES, SpecialVehicle
from shared.messages.spatem import IntersectionState, MovementEvent, MovementPhaseState
from shared.messages.time_mark import seconds_until
from shared.stack.content_permissions import Message

Description = Mapping[str, object]

OUT_OF_RANGE = "out of range"
"""What the standard says for more than the field can hold; JSON has no infinity."""

DELTA_TIME_MODULUS_MS = 65_536
"""`generationDeltaTime` counts modulo this (EN 302 637-2 annex B.3)."""

DECIMALS = 7
"""Digits kept behind the point: the step of a latitude."""

_COLOURS = {
    MovementPhaseState.DARK: "dark",
    MovementPhaseState.STOP_THEN_PROCEED: "flashing red",
    MovementPhaseState.STOP_AND_REMAIN: "red",
    MovementPhaseState.PRE_MOVEMENT: "red and amber",
    MovementPhaseState.PERMISSIVE_MOVEMENT_ALLOWED: "green",
    MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED: "green",
    MovementPhaseState.PERMISSIVE_CLEARANCE: "amber",
    MovementPhaseState.PROTECTED_CLEARANCE: "amber",
    MovementPhaseState.CAUTION_CONFLICTING_TRAFFIC: "flashing amber",
}
_ZERO_SAYS_NOTHING = frozenset(("lane_type_attributes", "linked_sub_cause_code"))
_ITS_TIMES = frozenset(
    ("detection_time", "reference_time", "expiry_time", "timestamp", "valid_from", "valid_until", "position_time")
)
_IN_SI = ("speed_mps", "length_m", "mass_kg", "upper_limit_mps", "lower_limit_mps")
"""Properties that give in SI what a sign shows in its own unit."""

_US_PER_MS = 1_000


def describe_message(message: Message, reference: UtcNs | None) -> Description:
    """Return a typed message.

    Args:
        message: as decoded.
        reference: when it was made or heard, as well as that is known.
    """
    return _Describer(reference).fields(message)


def describe_tree(tree: Tree) -> object:
    """Return a plain tree as JSON values: a choice as an object of one entry, octets as hexadecimal text, a tuple as an array."""
    match tree:
        case Mapping():
            return {str(name): describe_tree(value) for name, value in tree.items()}
        case (str(alternative), value) if alternative.isidentifier():
            return {alternative: describe_tree(value)}
        case tuple():
            return [describe_tree(value) for value in tree]
        case bytes():
            return tree.hex()
        case _:
            return tree


def _field_names(value: object) -> tuple[str, ...]:
    """Return the fields of a message or of a part of one (a struct), or of an identifier (a dataclass); none for anything else."""
    if isinstance(value, Struct):
        return value.__struct_fields__
    return tuple(getattr(value, "__dataclass_fields__", ()))


class _Describer:
    """Carries the reference time through one message."""

    def __init__(self, reference: UtcNs | None) -> None:
        self._reference = reference
        self._phases_from = reference

    def fields(self, value: object) -> dict[str, object]:
        described: dict[str, object] = {}
        if isinstance(value, IntersectionState):
            self._phases_from = _moment_within_the_hour(value) or self._reference
        for name in _field_names(value):
            self._add(described, name, getattr(value, name))
        if isinstance(value, MovementEvent):
            described |= self._phase(value)
        for name in _IN_SI:
            if name not in described and isinstance(getattr(type(value), name, None), property):
                self._add(described, name, getattr(value, name))
        return described

    def _add(self, described: dict[str, object], name: str, value: object) -> None:
        if value is None or value == () or (name in _ZERO_SAYS_NOTHING and value == 0):
            return
        match name, value:
            case "generation_delta_time_ms", int(delta_ms):
                described[name] = delta_ms
                if self._reference is not None:
                    described["generation_time"] = its_text(nearest_its_ms(delta_ms, DELTA_TIME_MODULUS_MS, self._reference))
            case _, int(time_ms) if name in _ITS_TIMES:
                described[name] = its_text(time_ms)
            case _:
                described[name] = self._plain(value)

    def _plain(self, value: object) -> object:
        match value:
            case IntFlag():
                return [member.name.lower() for member in value if member.name is not None]
            case Enum():
                return value.name.lower()
            case float():
                return OUT_OF_RANGE if isinf(value) else round(value, DECIMALS)
            case bytes():
                return value.hex()
            case Mapping():
                return describe_tree(value)
            case (str(), _):
                return describe_tree(value)
            case tuple() if hasattr(value, "_asdict"):
                return {name: self._plain(item) for name, item in value._asdict().items() if item is not None}
            case tuple() | Packed():
                return [self._plain(item) for item in value]
            case _ if isinstance(value, SpecialVehicle):
                return {ALTERNATIVES[type(value)]: self.fields(value)}
            case _ if _field_names(value):
                return self.fields(value)
            case _:
                return value

    def _phase(self, event: MovementEvent) -> Description:
        described: dict[str, object] = {"colour": _COLOURS.get(event.phase, "unknown")}
        if self._phases_from is None:
            return described
        for name in ("start", "min_end", "max_end", "likely", "next"):
            mark_s = getattr(event, f"{name}_time_s")
            if mark_s is not None and not isinf(mark_s):
                described[f"{name}_in_s"] = round(seconds_until(mark_s, self._phases_from), 1)
        return described


def _moment_within_the_hour(state: IntersectionState) -> UtcNs | None:
    """Return a moment that stands in its hour where the junction says it stands; which hour does not matter to a `TimeMark`."""
    if state.minute_of_year is None or state.timestamp_ms is None:
        return None
    return UtcNs((state.minute_of_year * 60_000 + state.timestamp_ms) * NS_PER_MS)


def nearest_its_ms(remainder_ms: int, modulus_ms: int, reference: UtcNs) -> int:
    """Return the ITS milliseconds nearest to `reference` (since 2004) that leave `remainder_ms` modulo `modulus_ms`."""
    about_ms = time64_of(reference) // _US_PER_MS
    return about_ms + (remainder_ms - about_ms + modulus_ms // 2) % modulus_ms - modulus_ms // 2


def its_text(time_ms: int) -> str:
    """Return ITS milliseconds as UTC text."""
    return utc_text(utc_of(Time64(time_ms * _US_PER_MS)))
