"""Writes the decoder of one message: straight-line Python for the signals a map wants, one integer per byte order.

For a speed in two octets and a flag it writes

    big = from_bytes(data, "big")
    raw_SPEED = big >> 48
    raw_BRAKE = big >> 7 & 0x1
    if raw_SPEED == 0xffff:
        add(Update(field="speed_mps", value=None, at=at, max_age_ns=300000000))
    else:
        if 0.0 <= (value := (raw_SPEED * 0.01) * 0.2777777777777778) <= 70.0:
            add(Update(field="speed_mps", value=value, at=at, max_age_ns=300000000))
        else:
            SPEED_MPS_FIELD.out_of_range(value, faults)
    add(Update(field="brake_pedal_pressed", value=BRAKE[raw_BRAKE], at=at, max_age_ns=500000000))

A check that no raw value can fail is not written. A signal below a multiplexer stands in the suite of a condition; an IEEE 754
number is read by its layout's own reader. Sums are made in cantools' order, so that both come to the same number in every bit.

What is compiled is this module's text with numbers in it. Of a DBC or a map only names get there, reduced to identifiers.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from shared.codec.source import Source
from shared.core.clock import MonotonicNs
from shared.core.errors import FrameError
from vehicle_agent.signals.dbc import MessageLayout, Raw, SignalLayout
from vehicle_agent.signals.field_faults import UNKNOWN, MessageField, any_of, first_special, has_special_values, says_not_available
from vehicle_agent.signals.mapped import Combination, MappedField, MappedMessage
from vehicle_agent.vehicle_state import FieldKind, SignalUpdate

MAX_TABLE_BITS = 8
"""Widest signal whose choices become a table by raw value."""

FieldsDecoder = Callable[[bytes, MonotonicNs, list[FrameError]], tuple[SignalUpdate, ...]]
"""From data of the message's length, the moment it came, and where to put faults, to the news in it."""

SignalsDecoder = Callable[[bytes], dict[str, Raw]]
"""From data of the message's length to the physical value of each signal that is there."""


def fields_decoder(message: MappedMessage, fields: Iterable[MappedField]) -> FieldsDecoder:
    """Write and compile the decoder of some fields of a message."""
    wanted = tuple(fields)
    source = _empty_source()
    with source.function("def decode(data, at, faults):"):
        writer = _Fields(source, message, wanted)
        writer.write()
    return cast("FieldsDecoder", source.compiled("decode", f"decoder of {message.layout.name}"))


def signals_decoder(layout: MessageLayout, names: Iterable[str] | None = None) -> SignalsDecoder:
    """Write and compile the decoder of a message's signals, all of them where `names` is None.

    Raises:
        KeyError: there is no such signal.
        ValueError: a signal does not fit its message.
    """
    signals = [layout.signal(name) for name in (layout.signal_names() if names is None else names)]
    source = _empty_source()
    with source.function("def decode(data):"):
        words = _Words(source, layout.length, signals)
        source.line("values = {}")
        for signal in signals:
            line = f"values[{source.constant(signal.name)}] = {_physical(words.raw(signal), signal)}"
            if signal.conditions:
                with source.suite(f"if {words.condition(signal.conditions)}:"):
                    source.line(line)
            else:
                source.line(line)
        source.line("return values")
    return source.compiled("decode", f"decoder of {layout.name}")


def _empty_source() -> Source:
    objects: dict[str, Any] = {"from_bytes": int.from_bytes, "Update": SignalUpdate, "UNKNOWN": UNKNOWN, "any_of": any_of}
    return Source(objects, reserved=("data", "at", "faults", "big", "little", "add", "news", "value", "values", "decode", "unit"))


class _Words:
    """Reads the raw value of each signal into a variable, all from one integer per byte order."""

    def __init__(self, source: Source, length: int, signals: Iterable[SignalLayout]) -> None:
        self._source = source
        self._bits = 8 * length
        self._variables: dict[str, str] = {}
        every: dict[str, SignalLayout] = {}
        for signal in signals:
            every |= {layout.name: layout for layout, _ in signal.conditions} | {signal.name: signal}
        for order, is_big_endian in (("big", True), ("little", False)):
            if any(each.is_big_endian is is_big_endian and not each.is_float for each in every.values()):
                source.line(f'{order} = from_bytes(data, "{order}")')
        for layout in every.values():
            self._variables[layout.name] = variable = source.name(f"raw_{layout.name}")
            source.line(f"{variable} = {self._expression(layout)}")

    def raw(self, layout: SignalLayout) -> str:
        """Return the variable of a signal."""
        return self._variables[layout.name]

    def condition(self, conditions: Iterable[tuple[SignalLayout, frozenset[int]]]) -> str:
        """Return the test that a signal is there."""
        return " and ".join(f"{self.raw(layout)} in {self._source.refer('SELECTED', values)}" for layout, values in conditions)

    def _expression(self, layout: SignalLayout) -> str:
        if layout.is_float:
            return f"{self._source.refer('READ', layout.reader())}(data)"
        if layout.is_big_endian:
            word, shift = "big", self._bits - 8 * layout.end_byte + layout.shift
        else:
            word, shift = "little", 8 * layout.first_byte + layout.shift
        text = f"{word} >> {shift}" if shift else word
        if shift + layout.length_bits < self._bits:
            text += f" & {(1 << layout.length_bits) - 1:#x}"
        if not layout.is_signed:
            return text
        sign = 1 << (layout.length_bits - 1)
        return f"(({text}) ^ {sign:#x}) - {sign:#x}"


def _number(value: float) -> str:
    """Return a literal of a finite number, an integer where it is one."""
    return repr(int(value)) if float(value).is_integer() else repr(float(value))


def _physical(raw: str, layout: SignalLayout) -> str:
    """Return the expression of a physical value, as cantools reckons: in integers where scale and offset are integers."""
    text = raw if layout.scale == 1 else f"{raw} * {_number(layout.scale)}"
    return f"{text} + {_number(layout.offset)}" if layout.offset else text


class _Fields:
    """Writes what becomes of the signals of some fields."""

    def __init__(self, source: Source, message: MappedMessage, fields: tuple[MappedField, ...]) -> None:
        self._source = source
        self._message = message.layout.name
        self._is_j1939 = message.pgn is not None
        self._fields = fields
        needed = [signal for mapped in fields for signal in _needed(mapped)]
        self._words = _Words(source, message.layout.length, needed)

    def write(self) -> None:
        """Write the body behind the raw values."""
        simple = [self._simple(mapped) for mapped in self._fields]
        if None not in simple:
            updates = [self._update(mapped, value) for mapped, value in zip(self._fields, simple, strict=True) if value is not None]
            self._source.line(f"return ({''.join(f'{update}, ' for update in updates)})")
            return
        self._source.line("news = []")
        self._source.line("add = news.append")
        for mapped, value in zip(self._fields, simple, strict=True):
            if value is not None:
                self._add(mapped, value)
                continue
            conditions = {(each.name, values): (each, values) for signal in _needed(mapped) for each, values in signal.conditions}
            if conditions:
                with self._source.suite(f"if {self._words.condition(conditions.values())}:"):
                    self._field(mapped)
            else:
                self._field(mapped)
        self._source.line("return tuple(news)")

    def _simple(self, mapped: MappedField) -> str | None:
        """Return the expression of a field that every raw value gives a value of; None where something may be wrong."""
        if mapped.not_available or any(signal.conditions or signal.is_float for signal in _needed(mapped)):
            return None
        if mapped.spec.kind in {FieldKind.FLAG, FieldKind.DIRECTION, FieldKind.FIX}:
            table = self._table(mapped)
            if table is None or UNKNOWN in table or len(mapped.signals) > 1:
                return None
            return f"{self._source.refer(mapped.field, table)}[{self._words.raw(mapped.signals[0])}]"
        special = self._is_j1939 and any(has_special_values(signal) for signal in mapped.signals)
        if mapped.spec.kind is not FieldKind.QUANTITY or mapped.selector is not None or special or not _always_in_range(mapped):
            return None
        return self._quantity(mapped)

    def _update(self, mapped: MappedField, value: str) -> str:
        return f"Update(field={mapped.field!r}, value={value}, at=at, max_age_ns={mapped.max_age_ns})"

    def _add(self, mapped: MappedField, value: str) -> None:
        self._source.line(f"add({self._update(mapped, value)})")

    def _field(self, mapped: MappedField) -> None:
        """Write the checks of a field one within the other, the value inside them all."""
        owner = self._source.refer(f"{mapped.field}_field", MessageField(self._message, mapped, is_j1939=self._is_j1939))
        raws = [self._words.raw(signal) for signal in mapped.signals]
        kind = mapped.spec.kind
        absent = [self._equals(raw, mapped.not_available) for raw in raws] if mapped.not_available else []
        if kind is FieldKind.QUANTITY:
            absent += [f"{raw} != {raw}" for raw, signal in zip(raws, mapped.signals, strict=True) if signal.is_float]
        special = []
        if self._is_j1939 and kind in {FieldKind.QUANTITY, FieldKind.POSITION}:
            signals = [signal for signal in mapped.signals if has_special_values(signal)]
            special = [f"{self._words.raw(signal)} >= {first_special(signal):#x}" for signal in signals]
        word = "if"
        if absent:
            with self._source.suite(f"if {' or '.join(absent)}:"):
                self._add(mapped, "None")
            word = "elif"
        if special:
            with self._source.suite(f"{word} {' or '.join(special)}:"):
                self._special(mapped, owner, raws)
            word = "elif"
        write = {FieldKind.QUANTITY: self._write_quantity, FieldKind.POSITION: self._write_position}.get(kind, self._write_choice)
        if word == "if":
            write(mapped, owner, raws)
        else:
            with self._source.suite("else:"):
                write(mapped, owner, raws)

    def _equals(self, raw: str, numbers: frozenset[int]) -> str:
        if len(numbers) == 1:
            return f"{raw} == {min(numbers):#x}"
        return f"{raw} in {self._source.refer('NOT_AVAILABLE', numbers)}"

    def _special(self, mapped: MappedField, owner: str, raws: list[str]) -> None:
        with self._source.suite(f"if {owner}.special(({', '.join(raws)},), faults):"):
            self._add(mapped, "None")

    def _quantity(self, mapped: MappedField, unit: str | None = None) -> str:
        """Return the expression of a quantity in SI; always a floating-point number."""
        raws = [self._words.raw(signal) for signal in mapped.signals]
        terms = [f"{raw} * {float(each.scale)!r}" for raw, each in zip(raws, mapped.signals, strict=True)]
        terms = [
            f"{term} + {float(each.offset)!r}" if each.offset else term for term, each in zip(terms, mapped.signals, strict=True)
        ]
        text = terms[0] if len(terms) == 1 else " + ".join(f"({term})" for term in terms)
        if mapped.combination is Combination.MEAN:
            text = f"({text}) / {len(terms)}"
        text = _corrected(text, mapped.factor, mapped.offset)
        if unit is not None:
            return f"({text}) * {unit}[0] + {unit}[1]"
        return text if mapped.unit is None else _corrected(text, mapped.unit.factor, mapped.unit.offset)

    def _write_quantity(self, mapped: MappedField, owner: str, _raws: list[str]) -> None:
        if mapped.selector is None:
            self._bounded(mapped, owner, self._quantity(mapped))
            return
        units = {raw: (unit.factor, unit.offset) for raw, unit in mapped.selector.units.items()}
        selected = self._words.raw(mapped.selector.signal)
        with self._source.suite(f"if (unit := {self._source.refer('UNITS', units)}.get({selected})) is None:"):
            self._source.line(f"{owner}.unknown_unit({selected}, faults)")
        with self._source.suite("else:"):
            self._bounded(mapped, owner, self._quantity(mapped, "unit"))

    def _bounded(self, mapped: MappedField, owner: str, text: str) -> None:
        result = "value" if mapped.spec.modulus is None else f"value % {mapped.spec.modulus!r}"
        if mapped.selector is None and _always_in_range(mapped):
            self._source.line(f"value = {text}")
            self._add(mapped, result)
            return
        with self._source.suite(f"if {float(mapped.minimum)!r} <= (value := {text}) <= {float(mapped.maximum)!r}:"):
            self._add(mapped, result)
        with self._source.suite("else:"):
            self._source.line(f"{owner}.out_of_range(value, faults)")

    def _write_position(self, mapped: MappedField, owner: str, raws: list[str]) -> None:
        degrees = []
        for raw, each in zip(raws, mapped.signals, strict=True):
            text = f"{raw} * {float(each.scale)!r}"
            text = _corrected(f"{text} + {float(each.offset)!r}" if each.offset else text, mapped.factor, mapped.offset)
            degrees.append(text if mapped.unit is None else _corrected(text, mapped.unit.factor, mapped.unit.offset))
        with self._source.suite(f"if (value := {owner}.point({', '.join(degrees)}, faults)) is not None:"):
            self._add(mapped, "value")

    def _write_choice(self, mapped: MappedField, owner: str, raws: list[str]) -> None:
        table = self._table(mapped)
        if len(raws) > 1:
            found = f"any_of({self._source.refer(mapped.field, self._choices(mapped))}, ({', '.join(raws)}))"
        elif table is not None:
            found = f"{self._source.refer(mapped.field, table)}[{raws[0]}]"
        else:
            found = f"{self._source.refer(mapped.field, self._choices(mapped))}.get({raws[0]}, UNKNOWN)"
        with self._source.suite(f"if (value := {found}) is UNKNOWN:"):
            self._special(mapped, owner, raws)
        with self._source.suite("else:"):
            self._add(mapped, "value")

    def _choices(self, mapped: MappedField) -> Mapping[int, Any]:
        """Return the meanings of raw values, those that J1939 gives included."""
        choices: dict[int, Any] = {}
        if self._is_j1939:
            for signal in mapped.signals:
                last = (1 << signal.length_bits) - 1
                if says_not_available(last, signal):
                    choices[last] = None
        return {**choices, **mapped.choices}

    def _table(self, mapped: MappedField) -> tuple[Any, ...] | None:
        """Return the meaning of each raw value of a narrow signal; None for a wide or signed one."""
        (signal, *_) = mapped.signals
        if signal.is_signed or signal.is_float or signal.length_bits > MAX_TABLE_BITS:
            return None
        choices = self._choices(mapped)
        return tuple(choices.get(raw, UNKNOWN) for raw in range(1 << signal.length_bits))


def _needed(mapped: MappedField) -> tuple[SignalLayout, ...]:
    return mapped.signals if mapped.selector is None else (*mapped.signals, mapped.selector.signal)


def _corrected(text: str, factor: float, offset: float) -> str:
    if factor != 1:
        text = f"({text}) * {float(factor)!r}"
    return f"{text} + {float(offset)!r}" if offset else text


def _always_in_range(mapped: MappedField) -> bool:
    """Return whether no raw value gives a quantity that is refused; such quantities are linear in each signal."""
    if mapped.unit is None or any(signal.is_float for signal in mapped.signals):
        return False
    lows, highs = [], []
    for signal in mapped.signals:
        first = -(1 << (signal.length_bits - 1)) if signal.is_signed else 0
        ends = [float(raw) * signal.scale + signal.offset for raw in (first, first + (1 << signal.length_bits) - 1)]
        lows.append(min(ends))
        highs.append(max(ends))
    parts = len(lows) if mapped.combination is Combination.MEAN else 1
    values = [mapped.unit.to_si(sum(ends) / parts * mapped.factor + mapped.offset) for ends in (lows, highs)]
    return mapped.minimum <= min(values) and max(values) <= mapped.maximum
