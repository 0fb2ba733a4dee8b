"""The signal map: a TOML file that says which signal of which DBC feeds which field of `VehicleState`.

    name = "Toyota RAV4 2017"
    dbc = "package:opendbc/dbc/generator/toyota/_toyota_2017.dbc"     # or a path relative to the map
    channel = "can0"                                                  # optional: only frames of this bus

    [fields."Vehicle.Speed"]                                          # a VSS path (`vss`), or the field's own name
    mean_of = ["WHEEL_SPEEDS.WHEEL_SPEED_FL", "WHEEL_SPEEDS.WHEEL_SPEED_FR"]
    unit = "km/h"
    max_age_ms = 500

    [messages.SPEED]
    checksum = { rule = "toyota", signal = "CHECKSUM" }
    counter = { signal = "COUNTER" }

A field takes one of `signal`, `mean_of`, `sum_of`, `any_of`, or `latitude` with `longitude`; all its signals stand in one message,
so that a value is never put together from two moments. A quantity becomes SI as `unit(physical * factor + offset)`. Reading the
map finds every fault in it and raises one `ConfigError` that names them all. Decoding is `vehicle_agent.signals.can_input`'s.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from types import MappingProxyType

from shared.core.clock import NS_PER_MS
from shared.core.errors import ConfigError
from shared.core.units import UNITS, Unit
from shared.service.config import load
from shared.transport.can_frame import CanFilter
from vehicle_agent.j1939.identifier import MAX_ADDRESS, pgn_of
from vehicle_agent.j1939.listener import LISTENED_FILTERS
from vehicle_agent.signals.checksums import CHECKSUMS
from vehicle_agent.signals.dbc import Dbc, MessageLayout, SignalLayout
from vehicle_agent.signals.map_dbc import load_dbcs
from vehicle_agent.signals.map_entries import (
    MapFaultError,
    believed_range,
    check_combination,
    check_correction,
    choices_of,
    joined,
    raw_values,
    sources_of,
    unit_in_dbc,
    unit_named,
)
from vehicle_agent.signals.map_file import ChecksumEntry, CounterEntry, FieldEntry, MapFile, MessageEntry
from vehicle_agent.signals.mapped import (
    Combination,
    MappedChecksum,
    MappedCounter,
    MappedField,
    MappedMessage,
    UnitSelector,
)
from vehicle_agent.signals.vss import VSS_VERSION, field_named, name_like
from vehicle_agent.vehicle_state import FIELDS, FieldKind, FieldSpec

MAX_AGE_LIMIT_MS = 3_600_000
"""Longest age a map may allow; slow body messages come every few seconds."""

_BYTES = {1: "one byte", 2: "two bytes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalMap:
    """A map whose every reference was found in its DBC.

    Attributes:
        name: the car.
        car: brand, models and years, as far as the map tells; may be empty.
        path: the file it was read from.
        messages: by identifier, ascending.
    """

    name: str
    path: str
    messages: tuple[MappedMessage, ...]
    car: str = ""

    def fields(self) -> frozenset[str]:
        """Return the fields of `VehicleState` that this map feeds."""
        return frozenset(mapped.field for message in self.messages for mapped in message.fields)

    def missing_fields(self) -> tuple[str, ...]:
        """Return the fields of `VehicleState` that stay unavailable with this map."""
        fed = self.fields()
        return tuple(field for field in FIELDS if field not in fed)

    def filters(self) -> tuple[CanFilter, ...]:
        """Return the identifiers a bus needs to let through."""
        return filters_for(self.messages)


def filters_for(messages: Iterable[MappedMessage]) -> tuple[CanFilter, ...]:
    """Return the identifiers these messages come under, each once; with J1939 what belongs to every network of it."""
    wanted = tuple(messages)
    filters = tuple(dict.fromkeys(message.filter for message in wanted))
    return (*filters, *LISTENED_FILTERS) if any(message.pgn is not None for message in wanted) else filters


def load_signal_map(path: Path) -> SignalMap:
    """Read a map and its DBC and resolve every name in it.

    Raises:
        ConfigError: a file cannot be read, or the map is wrong; all faults found are named.
    """
    entry = load(path, MapFile)
    key = f"{path}: dbc"
    references = (entry.dbc,) if isinstance(entry.dbc, str) else entry.dbc
    dbc = load_dbcs(references, _messages_named(entry), relative_to=path.parent, key=key)
    return resolve_map(entry, dbc, str(path))


def resolve_map(entry: MapFile, dbc: Dbc, path: str) -> SignalMap:
    """Find everything a map names in `dbc`; raises `ConfigError` naming every fault found."""
    resolution = _Resolution(entry, dbc, path)
    messages = resolution.messages()
    if resolution.faults:
        (key, reason), *rest = resolution.faults
        if rest:
            raise ConfigError(path, f"{len(resolution.faults)} faults: " + "; ".join(f"{k}: {r}" for k, r in resolution.faults))
        raise ConfigError(f"{path}: {key}", reason)
    return SignalMap(name=entry.name, path=path, messages=messages, car=_car(entry))


def _messages_named(entry: MapFile) -> dict[str, int | None]:
    """Return the messages a map names, each with the identifier it says."""
    named = {name: message.id for name, message in entry.messages.items()}
    for field in entry.fields.values():
        one = (field.signal, field.latitude, field.longitude)
        several = (field.mean_of, field.sum_of, field.any_of)
        for reference in (*one, *chain.from_iterable(names or () for names in several)):
            if reference is not None:
                named.setdefault(reference.partition(".")[0])
    return named


def _car(entry: MapFile) -> str:
    years = "" if entry.years is None else f" {entry.years[0]}-{entry.years[1]}"
    return f"{entry.brand or ''} {', '.join(entry.models)}".strip() + years


class _Resolution:
    """One pass over a map; faults are collected so that the operator sees all of them at once."""

    def __init__(self, entry: MapFile, dbc: Dbc, path: str) -> None:
        self._entry = entry
        self._dbc = dbc
        self._path = path
        self.faults: list[tuple[str, str]] = []
        self._said: set[str] = set()

    def _once(self, hint: str) -> str:
        """Return what is added to a fault to help with it, unless one of the faults before says it already."""
        if hint in self._said:
            return ""
        self._said.add(hint)
        return f"; {hint}"

    def messages(self) -> tuple[MappedMessage, ...]:
        """Return what could be resolved; complete only where `faults` stays empty."""
        years = self._entry.years
        if years is not None and years[0] > years[1]:
            self.faults.append(("years", "the last year is before the first"))
        if not self._entry.fields:
            self.faults.append(("fields", "the map feeds no field"))
        by_message: dict[str, list[MappedField]] = {}
        called: dict[str, str] = {}
        for name, entry in self._entry.fields.items():
            try:
                message, mapped = self._field(name, entry)
            except MapFaultError as fault:
                self.faults.append((joined("fields", name, fault.key), fault.reason))
                continue
            other = called.setdefault(mapped.field, name)
            if other != name:
                self.faults.append((f"fields.{name}", f"is the same field as {other}"))
            else:
                by_message.setdefault(message.name, []).append(mapped)
        for name in self._entry.messages:
            if name not in self._dbc.message_names():
                self.faults.append((f"messages.{name}", f"{self._dbc.path} has no such message"))
            elif name not in by_message and not self.faults:
                self.faults.append((f"messages.{name}", "no field comes from this message"))
        resolved: dict[tuple[int, bool, int, int], MappedMessage] = {}
        for name, fields in by_message.items():
            try:
                resolution = self._message(name, tuple(fields))
            except MapFaultError as fault:
                self.faults.append((joined("messages", name, fault.key), fault.reason))
                continue
            identity = _identity(resolution)
            twin = resolved.setdefault(identity, resolution)
            if twin is not resolution:
                what = "identifier" if resolution.pgn is None else "parameter group"
                self.faults.append((f"messages.{name}", f"has the {what} of {twin.layout.name}"))
        return tuple(resolved[identity] for identity in sorted(resolved))

    def _field(self, name: str, entry: FieldEntry) -> tuple[MessageLayout, MappedField]:
        field = field_named(name)
        if field is None:
            meant = name_like(name)
            hint = self._once(f"there are {', '.join(FIELDS)}") if meant is None else f"; did you mean {meant}?"
            raise MapFaultError("", f"there is no such field, nor path of VSS {VSS_VERSION} for one{hint}")
        spec = FIELDS[field]
        combination, references = sources_of(entry)
        check_combination(combination, spec)
        message, signals = self._signals(combination, references)
        signals = self._present(entry, message, signals)
        minimum, maximum = believed_range(entry, spec)
        check_correction(entry)
        unit, selector = self._unit(entry, spec, message, signals)
        if not 0 < entry.max_age_ms <= MAX_AGE_LIMIT_MS:
            raise MapFaultError("max_age_ms", f"must be 1..{MAX_AGE_LIMIT_MS}")
        return message, MappedField(
            field=field,
            spec=spec,
            combination=combination,
            signals=signals,
            unit=unit,
            selector=selector,
            factor=entry.factor,
            offset=entry.offset,
            choices=choices_of(entry, spec, signals),
            not_available=frozenset(entry.not_available),
            minimum=minimum,
            maximum=maximum,
            max_age_ns=entry.max_age_ms * NS_PER_MS,
        )

    def _signals(self, combination: Combination, references: tuple[str, ...]) -> tuple[MessageLayout, tuple[SignalLayout, ...]]:
        """Find the signals of one field, all in one message."""
        key = combination.value
        found: list[SignalLayout] = []
        message: MessageLayout | None = None
        for reference in references:
            message_name, dot, signal_name = reference.partition(".")
            if not dot:
                raise MapFaultError(key, f"{reference!r} is not MESSAGE.SIGNAL")
            if message is not None and message.name != message_name:
                raise MapFaultError(key, f"takes signals of two messages, {message.name} and {message_name}")
            message = self._layout(key, message_name)
            found.append(self._signal(key, message, signal_name))
        if message is None:
            raise MapFaultError(key, "names no signal")
        return message, tuple(found)

    def _present(self, entry: FieldEntry, message: MessageLayout, signals: tuple[SignalLayout, ...]) -> tuple[SignalLayout, ...]:
        """Return the signals as present only where `only_if` holds, which is to them what a multiplexer is."""
        conditions = tuple(
            (self._signal(f"only_if.{name}", message, name), frozenset({value})) for name, value in entry.only_if.items()
        )
        return tuple(replace(signal, conditions=(*signal.conditions, *conditions)) for signal in signals)

    def _layout(self, key: str, name: str) -> MessageLayout:
        try:
            return self._dbc.message(name)
        except KeyError:
            raise MapFaultError(key, f"{self._dbc.path} has no message {name}") from None

    def _signal(self, key: str, message: MessageLayout, name: str) -> SignalLayout:
        try:
            return message.signal(name)
        except KeyError:
            names = ", ".join(message.signal_names())
            raise MapFaultError(key, f"message {message.name} has no signal {name}; it has {names}") from None
        except ValueError as error:
            raise MapFaultError(key, f"signal {message.name}.{name} {error}") from None

    def _unit(
        self, entry: FieldEntry, spec: FieldSpec, message: MessageLayout, signals: tuple[SignalLayout, ...]
    ) -> tuple[Unit | None, UnitSelector | None]:
        """Find the unit of a quantity or position, fixed or selected by a signal."""
        if spec.dimension is None:
            if entry.unit is not None or entry.unit_by is not None or entry.sign_by is not None:
                raise MapFaultError("unit", "this field has no unit")
            return None, None
        if (entry.unit is None) == (entry.unit_by is None):
            raise MapFaultError("unit", "needs one of unit and unit_by")
        if entry.unit is not None:
            unit = unit_named("unit", entry.unit, spec)
            for signal in signals:
                stated = unit_in_dbc(signal.unit)
                if stated is not None and UNITS[stated] != unit and not entry.dbc_unit_is_wrong and entry.factor in (1.0, -1.0):
                    raise MapFaultError(
                        "unit",
                        f"says {entry.unit}, but the DBC says {signal.unit} for {signal.name} (dbc_unit_is_wrong = true if so)",
                    )
            if entry.sign_by is None:
                return unit, None
            sign = self._signal("sign_by", message, entry.sign_by)
            if sign.length_bits != 1 or unit.offset or entry.offset or spec.kind is not FieldKind.QUANTITY:
                raise MapFaultError("sign_by", "is a signal of one bit, for a quantity without an offset")
            negative = Unit(unit.dimension, -unit.factor)
            return None, UnitSelector(signal=sign, units=MappingProxyType({0: unit, 1: negative}))
        assert entry.unit_by is not None
        if entry.sign_by is not None:
            raise MapFaultError("sign_by", "does not go with unit_by")
        selector = self._signal("unit_by.signal", message, entry.unit_by.signal)
        units = {
            raw: unit_named(f"unit_by.units.{text}", unit, spec)
            for text, unit in entry.unit_by.units.items()
            for raw in raw_values("unit_by.units", text, (selector,))
        }
        if not units:
            raise MapFaultError("unit_by.units", "names no unit")
        return None, UnitSelector(signal=selector, units=MappingProxyType(units))

    def _message(self, name: str, fields: tuple[MappedField, ...]) -> MappedMessage:
        """Put a message together and check that the signals in use do not overlap."""
        layout = self._dbc.message(name)
        entry = self._entry.messages.get(name)
        checksum = None if entry is None or entry.checksum is None else self._checksum(layout, entry.checksum)
        counter = None if entry is None or entry.counter is None else self._counter(layout, entry.counter)
        used = {signal.name: signal for mapped in fields for signal in mapped.signals}
        used |= {mapped.selector.signal.name: mapped.selector.signal for mapped in fields if mapped.selector is not None}
        if counter is not None:
            used[counter.signal.name] = counter.signal
        taken: dict[int, str] = {}
        for signal in used.values():
            if signal.conditions:
                continue
            for bit in signal.bits():
                other = taken.setdefault(bit, signal.name)
                if other != signal.name:
                    raise MapFaultError("", f"the DBC lets {signal.name} and {other} overlap")
        channel = entry.channel if entry is not None and entry.channel is not None else self._entry.channel
        pgn = self._pgn(layout, entry)
        return MappedMessage(
            layout=layout,
            channel=channel,
            checksum=checksum,
            counter=counter,
            fields=fields,
            pgn=pgn,
            source=None if entry is None else entry.source,
        )

    def _pgn(self, layout: MessageLayout, entry: MessageEntry | None) -> int | None:
        """Return the parameter group a message is found by; None where it is found by its whole identifier."""
        by_pgn = None if entry is None else entry.pgn
        if by_pgn is None:
            by_pgn = self._entry.protocol == "j1939" and layout.is_extended
        if by_pgn and not layout.is_extended:
            raise MapFaultError("pgn", "only an identifier of 29 bits has a parameter group")
        if entry is not None and entry.source is not None and not (by_pgn and 0 <= entry.source <= MAX_ADDRESS):
            raise MapFaultError("source", f"is a J1939 address, 0..{MAX_ADDRESS}, of a message found by its parameter group")
        return pgn_of(layout.arbitration_id) if by_pgn else None

    def _checksum(self, layout: MessageLayout, entry: ChecksumEntry) -> MappedChecksum:
        rule = CHECKSUMS.get(entry.rule)
        if rule is None:
            hint = self._once(f"there are {', '.join(CHECKSUMS)}")
            raise MapFaultError("checksum.rule", f"there is no rule {entry.rule!r}{hint}")
        if (entry.signal is None) == (entry.byte is None):
            raise MapFaultError("checksum", "needs one of signal and byte")
        if rule.identifiers is not None and layout.arbitration_id not in rule.identifiers:
            known = ", ".join(f"{identifier:#x}" for identifier in sorted(rule.identifiers))
            raise MapFaultError("checksum.rule", f"{rule.name} is known for {known}, not for {layout.arbitration_id:#x}")
        if entry.signal is None:
            assert entry.byte is not None
            if not -layout.length <= entry.byte < layout.length or rule.width_bits != 8:
                raise MapFaultError("checksum.byte", f"the message has {layout.length} bytes and the rule {rule.width_bits} bits")
            return MappedChecksum(rule=rule, byte=entry.byte, mask=0xFF)
        signal = self._signal("checksum.signal", layout, entry.signal)
        octets = (rule.width_bits + 7) // 8
        if signal.length_bits != rule.width_bits or signal.end_byte - signal.first_byte != octets:
            raise MapFaultError("checksum.signal", f"{signal.name} must have {rule.width_bits} bits within {_BYTES[octets]}")
        if octets > 1 and signal.is_big_endian:
            raise MapFaultError("checksum.signal", f"{signal.name} must have its lower byte first")
        return MappedChecksum(rule=rule, byte=signal.first_byte, mask=((1 << signal.length_bits) - 1) << signal.shift)

    def _counter(self, layout: MessageLayout, entry: CounterEntry) -> MappedCounter:
        signal = self._signal("counter.signal", layout, entry.signal)
        largest = (1 << signal.length_bits) - 1
        last = largest if entry.last is None else entry.last
        if signal.is_float or signal.is_signed or signal.conditions or not 0 < last <= largest:
            raise MapFaultError("counter", f"{signal.name} must be a plain unsigned counter up to at most {largest}")
        return MappedCounter(signal=signal, last=last)


def _identity(message: MappedMessage) -> tuple[int, bool, int, int]:
    """Return what tells a message from the others of a map; sorts by identifier."""
    layout = message.layout
    if message.pgn is None:
        return layout.arbitration_id, layout.is_extended, -1, -1
    return message.pgn << 8, True, message.pgn, -1 if message.source is None else message.source
