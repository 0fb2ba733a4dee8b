"""What one entry of a signal map says by itself, before the DBC is asked: combination, unit, range, correction and choices."""

from collections.abc import Mapping
from math import isfinite
from types import MappingProxyType

from shared.core.units import UNITS, Unit
from shared.messages.cdd import DriveDirection
from vehicle_agent.signals.dbc import SignalLayout
from vehicle_agent.signals.map_file import FieldEntry
from vehicle_agent.signals.mapped import Combination
from vehicle_agent.vehicle_state import FieldKind, FieldSpec, FixQuality

UNAVAILABLE = "unavailable"
"""What `choices` maps to where a raw value means that the car does not know."""

Choice = bool | DriveDirection | FixQuality | None
"""What a raw value can mean; None: unavailable."""

_WORDS: Mapping[FieldKind, Mapping[str, DriveDirection | FixQuality]] = {
    FieldKind.FLAG: {},
    FieldKind.DIRECTION: {"forward": DriveDirection.FORWARD, "backward": DriveDirection.BACKWARD},
    FieldKind.FIX: {quality.value: quality for quality in FixQuality},
}

_DBC_UNITS = {
    "kph": "km/h", "kmh": "km/h", "kmph": "km/h", "mps": "m/s", "miles": "mile", "mi": "mile", "mi/h": "mph", "kts": "knot",
    "m/s^2": "m/s2", "m/s²": "m/s2", "m/ss": "m/s2", "degree": "deg", "degrees": "deg", "°": "deg", "deg/sec": "deg/s",
    "degree/s": "deg/s", "degrees/s": "deg/s", "°/s": "deg/s", "rad/sec": "rad/s", "meters": "m", "metres": "m",
}  # fmt: skip
"""Other spellings of units in DBC files."""


class MapFaultError(Exception):
    """One entry is wrong; collected, never seen outside."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key = key
        self.reason = reason


def unit_in_dbc(text: str) -> str | None:
    """Return the name of the unit that a DBC states, or None where it states none of `UNITS`."""
    stated = text.strip().lower()
    stated = _DBC_UNITS.get(stated, stated)
    return stated if stated in UNITS else None


def joined(*parts: str) -> str:
    """Return the key of an entry from its parts, empty ones left out."""
    return ".".join(part for part in parts if part)


def sources_of(entry: FieldEntry) -> tuple[Combination, tuple[str, ...]]:
    """Return how the field is fed and by which references."""
    given: list[tuple[Combination, tuple[str, ...]]] = []
    if entry.signal is not None:
        given.append((Combination.ONE, (entry.signal,)))
    for combination, references in (
        (Combination.MEAN, entry.mean_of),
        (Combination.SUM, entry.sum_of),
        (Combination.ANY, entry.any_of),
    ):
        if references is not None:
            given.append((combination, references))
    if entry.latitude is not None or entry.longitude is not None:
        if entry.latitude is None or entry.longitude is None:
            raise MapFaultError("", "latitude and longitude belong together")
        given.append((Combination.POSITION, (entry.latitude, entry.longitude)))
    if len(given) != 1:
        raise MapFaultError("", "needs exactly one of signal, mean_of, sum_of, any_of, latitude with longitude")
    return given[0]


def check_combination(combination: Combination, spec: FieldSpec) -> None:
    """Raise `MapFaultError` where a field cannot be put together in this way."""
    allowed = {
        FieldKind.QUANTITY: (Combination.ONE, Combination.MEAN, Combination.SUM),
        FieldKind.FLAG: (Combination.ONE, Combination.ANY),
        FieldKind.DIRECTION: (Combination.ONE,),
        FieldKind.FIX: (Combination.ONE,),
        FieldKind.POSITION: (Combination.POSITION,),
    }[spec.kind]
    if combination not in allowed:
        raise MapFaultError(combination.value, f"this field takes {' or '.join(c.value for c in allowed)}")


def believed_range(entry: FieldEntry, spec: FieldSpec) -> tuple[float, float]:
    """Return the smallest and largest value believed, SI; raises `MapFaultError`."""
    if entry.range is None:
        return spec.minimum, spec.maximum
    if spec.kind is not FieldKind.QUANTITY:
        raise MapFaultError("range", "only a quantity has a range")
    minimum, maximum = entry.range
    if not spec.minimum <= minimum < maximum <= spec.maximum:
        raise MapFaultError("range", f"must lie within {spec.minimum:g}..{spec.maximum:g} {spec.dimension}")
    return minimum, maximum


def unit_named(key: str, name: str, spec: FieldSpec) -> Unit:
    """Return the unit a map names; raises `MapFaultError` where there is none, or it is none of this field."""
    unit = UNITS.get(name)
    if unit is None:
        raise MapFaultError(key, f"there is no unit {name!r}; there are {', '.join(UNITS)}")
    if unit.dimension != spec.dimension:
        raise MapFaultError(key, f"{name} does not convert to {spec.dimension}")
    return unit


def check_correction(entry: FieldEntry) -> None:
    """Raise `MapFaultError` where factor or offset leave nothing of the signal."""
    if entry.factor == 0 or not isfinite(entry.factor):
        raise MapFaultError("factor", "must be a finite number other than 0")
    if not isfinite(entry.offset):
        raise MapFaultError("offset", "must be a finite number")


def choices_of(entry: FieldEntry, spec: FieldSpec, signals: tuple[SignalLayout, ...]) -> Mapping[int, Choice]:
    """Return what raw values mean, for flags, directions and grades of a fix."""
    if spec.kind in {FieldKind.QUANTITY, FieldKind.POSITION}:
        if entry.choices is not None:
            raise MapFaultError("choices", "only flags and directions, and the quality of a fix, have choices")
        return MappingProxyType({})
    if entry.factor != 1.0 or entry.offset != 0.0:
        raise MapFaultError("factor", "only a quantity has factor and offset")
    if entry.choices is None:
        if spec.kind is not FieldKind.FLAG or any(signal.length_bits != 1 for signal in signals):
            raise MapFaultError("choices", "says what the raw values mean; only a one-bit flag can do without")
        return MappingProxyType({0: False, 1: True})
    meaning: dict[int, Choice] = {}
    for text, value in entry.choices.items():
        key = f"choices.{text}"
        for raw in raw_values(key, text, signals):
            if raw in meaning:
                raise MapFaultError(key, f"raw value {raw} is given twice")
            meaning[raw] = _choice(key, value, spec.kind)
    return MappingProxyType(meaning)


def _choice(key: str, value: bool | str, kind: FieldKind) -> Choice:  # noqa: FBT001  # the value of a flag
    if value == UNAVAILABLE:
        return None
    if kind is FieldKind.FLAG and isinstance(value, bool):
        return value
    words = _WORDS[kind]
    if isinstance(value, str) and value in words:
        return words[value]
    allowed = "true, false" if kind is FieldKind.FLAG else ", ".join(f'"{name}"' for name in words)
    raise MapFaultError(key, f'must be one of {allowed}, "{UNAVAILABLE}"')


def raw_values(key: str, text: str, signals: tuple[SignalLayout, ...]) -> tuple[int, ...]:
    """Return the raw values that `text` stands for: a number, or a name that the DBC gives to values of every signal."""
    try:
        return (int(text, 0),)
    except ValueError:
        pass
    named = [frozenset(raw for raw, name in signal.choices.items() if name == text) for signal in signals]
    if any(values != named[0] for values in named) or not named[0]:
        known = ", ".join(repr(name) for name in signals[0].choices.values()) or "none"
        raise MapFaultError(key, f"{signals[0].name} has no value named {text!r} in the DBC (it has {known})")
    return tuple(sorted(named[0]))
