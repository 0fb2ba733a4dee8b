"""Writes the fast encoder of a message: straight-line Python from the values of a shape to octets.

For the SEQUENCE of `decoder_source.py` it writes

    lat_deg = value.lat_deg
    speed_mps = value.speed_mps
    acc = acc << 12 | ((speed_mps is not None) << 10
        | (floor(x) if 0.0 <= (x := lat_deg * 1000.0 + 0.5) < 1001.0 else LAT_DEG.count(lat_deg)))
    if speed_mps is not None:
        acc = acc << 5 | SPEED_MPS[speed_mps]

The accumulator `acc` begins as a single sentinel bit, so leading zeros need no counting. Fields go in by words (`words.py`), every
number is checked to fit before. Values on a step of a small cell are looked up in a table; the table converts others when asked.

Whatever is unusual raises (`GiveUp`, or what Python says to a value of another type), and the caller asks the complete path, which
encodes it or names the field that does not fit. Both paths give the same octets.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import ceil, floor
from operator import index
from typing import Any

from shared.codec.anatomy import is_bulky, shared_types
from shared.codec.bits import MAX_ENCODED_OCTETS
from shared.codec.cells import SMALL, Cell, EncodeTable, GiveUp, cell_of, give_up, length_cell
from shared.codec.encoder_terms import as_bit, bit_string, count_of_none, is_sent
from shared.codec.packed import Packed, layout_of, width_of
from shared.codec.shape import (
    PLAIN,
    Choice,
    Conversion,
    Field,
    Fields,
    Fixed,
    Items,
    Part,
    Plain,
    Record,
    Shape,
    With,
    fields_of,
)
from shared.codec.shaping import to_value
from shared.codec.source import Source, plus
from shared.codec.uper import UperType
from shared.codec.uper_composites import Choice as ChoiceType
from shared.codec.uper_composites import Component, Sequence, SequenceOf
from shared.codec.uper_scalars import Null
from shared.codec.words import WordWriter


def encoder_source(type_: UperType, shape: Shape) -> Source:
    """Return the source of `encode(value)` for a message type, which returns octets or raises as described above."""
    source = _empty_source()
    with source.function("def encode(value):"):
        source.line("acc = 1")
        writer = _Encoder(source, dict.fromkeys(shared_types(type_), "") if isinstance(shape, Plain) else None)
        writer.value(type_, shape, "value", "message")
        writer.words.flush()
        source.line("bits = acc.bit_length() - 1")
        source.line(f"if not 0 < bits <= {8 * MAX_ENCODED_OCTETS}: raise GiveUp")
        source.line('return (acc << (-bits & 7)).to_bytes((bits + 7 >> 3) + 1, "big")[1:]')
    return source


def item_writer(type_: UperType, shape: Shape) -> Callable[[Any], int]:
    """Return the function that makes bits of an item of a list, behind a one; it raises as `encode` does."""
    source = _empty_source()
    with source.function("def encode(value):"):
        source.line("acc = 1")
        writer = _Encoder(source, None)
        writer.value(type_, shape, "value", "item")
        writer.words.flush()
        source.line("return acc")
    return source.compiled("encode", "item encoder")


def _empty_source() -> Source:
    objects = {
        "GiveUp": GiveUp,
        "give_up": give_up,
        "floor": floor,
        "ceil": ceil,
        "index": index,
        "bit_string": bit_string,
        "Packed": Packed,
    }
    return Source(objects, reserved=("acc", "bits", "value", "encode"))


_PLAIN_ITEMS = Items(PLAIN)


class _Encoder:
    """Writes one function. Every value to write is given as the name of a variable; `name` is what to call it.

    Args:
        source: takes the text.
        shared: the function of each plain type that gets one of its own, empty until it is written; None for typed values.
    """

    def __init__(self, source: Source, shared: dict[int, str] | None) -> None:
        self._source = source
        self._shared = shared
        self._not_none: set[str] = set()
        self.words = WordWriter(source)

    def value(self, type_: UperType, shape: Shape, value: str, name: str) -> None:
        """Write one value of any type."""
        match shape:
            case Plain():
                self._plain(type_, value, name)
            case Record():
                self._record(type_, shape, value)
            case Items():
                assert isinstance(type_, SequenceOf)
                self._items(type_, shape, value, name)
            case _:
                self._converted(type_, shape, value, name)

    # Values without components

    def _converted(self, type_: UperType, conversion: Conversion, value: str, name: str) -> None:
        cell = cell_of(type_)
        if cell is None:
            convert = self._source.refer(name, conversion.encode)
            self._aside(type_, self._variable("plain", f'{convert}("", {value})'), name)
        else:
            self.words.put(self._count(cell, conversion, value, name), cell.width)

    def _count(self, cell: Cell, conversion: Conversion, value: str, name: str) -> str:
        """Return the expression of the count of a value."""
        table = self._source.refer(name, EncodeTable(cell, conversion))
        linear, base = conversion.linear, cell.base
        if cell.span < SMALL or linear is None or base is None or cell.gaps:
            return f"{table}[{value}]"
        x = self._source.name("x")
        first, last = max(linear.first, base), min(linear.last, base + cell.span)
        if linear.per_unit is None:
            number = f"({x} := {plus(f'index({value})', -base)})"
            regular = f"{x} if {first - base} <= {number} <= {last - base}"
        else:
            low, high = first - linear.base, last - linear.base
            steps = f"({x} := {plus(f'{value} * {linear.per_unit!r}', linear.bias)})"
            count = plus(f"{'ceil' if linear.rounds_up else 'floor'}({x})", linear.base - base)
            within = f"{low - 1:.1f} < {steps} <= {high:.1f}" if linear.rounds_up else f"{low:.1f} <= {steps} < {high + 1:.1f}"
            regular = f"{count} if {within}"
        expression = f"{regular} else {table}.count({value})"
        absent = None if value in self._not_none else count_of_none(cell, conversion)
        return f"({expression})" if absent is None else f"({absent} if {value} is None else {expression})"

    def _plain_count(self, cell: Cell, value: str, name: str) -> str:
        if cell.wires is not None and cell.wires[0] is False:
            return f"(1 if {value} is True else 0 if {value} is False else give_up())"
        if cell.wires is not None:
            return f"{self._source.refer(name, {wire: count for count, wire in enumerate(cell.wires)})}[index({value})]"
        if cell.lower is None:
            return f"bit_string({value}, {cell.bits})"
        return self._within(cell, f"index({value})")

    def _within(self, cell: Cell, number: str) -> str:
        assert cell.lower is not None
        x = self._source.name("x")
        regular = f"0 <= ({x} := {plus(number, -cell.lower)}) <= {cell.span}"
        if cell.gaps:
            regular += f" and {x} not in {self._source.refer('GAPS', cell.gaps)}"
        return f"({x} if {regular} else give_up())"

    def _aside(self, type_: UperType, value: str, name: str) -> None:
        """Write by the complete path's own object."""
        self.words.flush()
        self._source.line(f"acc = {self._source.refer(f'{name}_TYPE', type_)}.encode(acc, {value})")

    # Lists

    def _items(self, type_: SequenceOf, shape: Items, value: str, name: str) -> None:
        cell = length_cell(type_.size)
        if cell is None:
            self._source.line(f"if len({value}) != {type_.size.fixed}: raise GiveUp")
        else:
            self.words.put(self._within(cell, f"len({value})"), cell.width)
        one = self._source.name("item")
        own_number = is_bulky(type_.item)
        self.words.flush()
        if shape.packed:
            same = f"{value}.packing.layout == {layout_of(type_.item)!r}"
            with self._source.suite(f"if {value}.__class__ is Packed and {same}:"):
                self._source.line(f"acc = acc << {width_of(type_.item)} * {value}.length | {value}.bits")
                self._source.line(f"{value} = ()")
        with self._source.suite(f"for {one} in {value}:"):
            outer = self._variable("outer", "acc") if own_number else ""
            if own_number:
                self._source.line("acc = 1")
            self.value(type_.item, shape.item, one, name)
            self.words.flush()
            if own_number:
                self._source.line("bits = acc.bit_length() - 1")
                self._source.line(f"acc = {outer} << bits | acc - (1 << bits)")

    # Records and their parts

    def _record(self, type_: UperType, record: Record, value: str) -> None:
        variables = {one.name: self._variable(one.name, f"{value}.{one.name}") for one in record.fields}
        if isinstance(record.parts, Choice):
            self._part(type_, record.parts, value, variables)
        else:
            assert isinstance(type_, Sequence)
            self._sequence(type_, record.parts, value, variables)

    def _sequence(self, type_: Sequence, parts: Mapping[str, Part], record: str, variables: Mapping[str, str]) -> None:
        if type_.additions is not None:
            added = [parts[name] for addition in type_.additions for name in addition.names if name in parts]
            if added:
                extended = " or ".join(is_sent(one, variables) for part in added for one in fields_of(part))
                self._source.line(f"if {extended}: raise GiveUp")
            self.words.put(0, 1)
        tests: dict[str, str] = {}
        for component in type_.components:
            part = parts.get(component.name)
            if component.optional and part is not None:
                tests[component.name] = test = self._test(component, part, variables)
                self.words.put(as_bit(test), 1)
            elif component.optional:
                self.words.put(0, 1)
        for component in type_.components:
            part = parts.get(component.name)
            if part is not None and component.name in tests:
                with self._certain(part, variables), self.words.suite(f"if {tests[component.name]}:"):
                    self._part(component.type, part, record, variables)
            elif part is not None:
                self._part(component.type, part, record, variables)

    def _test(self, component: Component, part: Part, variables: Mapping[str, str]) -> str:
        """Return a condition that holds where an optional component is sent."""
        given = {one.name: is_sent(one, variables) for one in fields_of(part)}
        if component.default is not None:
            assert isinstance(part, Field)
            default = self._source.constant(to_value(part.shape, component.default))
            return f"{given[part.name]} and {variables[part.name]} != {default}"
        if isinstance(part, Fields) and part.key is not None:
            key = given.pop(part.key)
            if given:
                self._source.line(f"if not ({key}) and ({' or '.join(given.values())}): raise GiveUp")
            return key
        if len(given) == 1:
            return next(iter(given.values()))
        return self._variable("given", f"{' or '.join(given.values())}")

    @contextmanager
    def _certain(self, part: Part, variables: Mapping[str, str]) -> Iterator[None]:
        """Remember meanwhile that the field an optional component was sent for is not None."""
        key = part.name if isinstance(part, Field) else part.key if isinstance(part, Fields) else None
        if key is not None:
            self._not_none.add(variables[key])
        yield
        if key is not None:
            self._not_none.remove(variables[key])

    def _part(self, type_: UperType, part: Part, record: str, variables: Mapping[str, str]) -> None:
        match part:
            case Field():
                self.value(type_, part.shape, variables[part.name], part.name)
            case Fields():
                assert isinstance(type_, Sequence)
                self._sequence(type_, part.parts, record, variables)
            case With():
                self._part(type_, part.part, record, variables)
            case Fixed():
                cell = cell_of(type_)
                assert cell is not None
                self.words.put(cell.count(part.number), cell.width)
            case Choice():
                assert isinstance(type_, ChoiceType)
                self._choice(type_, part, record, variables)

    def _choice(self, type_: ChoiceType, part: Choice, record: str, variables: Mapping[str, str]) -> None:
        if part.by_given:
            self._choice_of_given(type_, part, record, variables)
            return
        if part.unless is not None:
            tests = [f"if {variables[part.unless]} is None:", "else:"]
            self.words.flush()
            for test, (alternative, inner) in zip(tests, part.alternatives.items(), strict=True):
                with self.words.suite(test):
                    self._part(self._index(type_, alternative), inner, record, variables)
            return
        if part.select is None:
            ((alternative, inner),) = part.alternatives.items()
            self._part(self._index(type_, alternative), inner, record, variables)
            return
        chosen = self._variable("alternative", f"{self._source.refer('SELECT', part.select)}({record})")
        self.words.flush()
        word = "if"
        for alternative, inner in part.alternatives.items():
            with self.words.suite(f"{word} {chosen} == {alternative!r}:"):
                self._part(self._index(type_, alternative), inner, record, variables)
            word = "elif"
        with self.words.suite("else:"):
            self._source.line("raise GiveUp")

    def _choice_of_given(self, type_: ChoiceType, part: Choice, record: str, variables: Mapping[str, str]) -> None:
        tests = {
            name: " or ".join(is_sent(one, variables) for one in fields_of(inner)) for name, inner in part.alternatives.items()
        }
        given = [as_bit(is_sent(one, variables)) for one in fields_of(part)]
        self._source.line(f"if {' + '.join(given)} != 1: raise GiveUp")
        self.words.flush()
        word = "if"
        for alternative, test in tests.items():
            if alternative in type_.root_indices:
                inner = part.alternatives[alternative]
                with self._certain(inner, variables), self.words.suite(f"{word} {test}:"):
                    self._part(self._index(type_, alternative), inner, record, variables)
                word = "elif"
        with self.words.suite("else:"):
            self._source.line("raise GiveUp")

    def _index(self, type_: ChoiceType, alternative: str) -> UperType:
        """Write which alternative follows, and return its type."""
        number = type_.root_indices[alternative]
        self.words.put(number, type_.root_index.width + (type_.additions is not None))
        return type_.root[number][1]

    def _variable(self, stem: str, expression: str) -> str:
        name = self._source.name(stem)
        self._source.line(f"{name} = {expression}")
        return name

    # Plain trees

    def _plain(self, type_: UperType, value: str, name: str) -> None:
        cell = cell_of(type_)
        match type_:
            case _ if cell is not None:
                self.words.put(self._plain_count(cell, value, name), cell.width)
            case Null():
                self._source.line(f"if {value} is not None: raise GiveUp")
            case SequenceOf() if type_.size.root is not None and (self._shared is not None or cell_of(type_.item)):
                self._source.line(f"if {value}.__class__ is not tuple: raise GiveUp")
                self._items(type_, _PLAIN_ITEMS, value, name)
            case Sequence() | ChoiceType() if self._shared is not None:
                self._plain_composite(type_, value, name, self._shared)
            case _:
                self._aside(type_, value, name)

    def _plain_composite(self, type_: Sequence | ChoiceType, value: str, name: str, shared: dict[int, str]) -> None:
        """Write a SEQUENCE or CHOICE; one that the schema uses in several places gets a function of its own."""
        if isinstance(type_, Sequence) and any(component.governor for component in type_.components):
            self._aside(type_, value, name)
            return
        if id(type_) not in shared:
            self._plain_content(type_, value)
            return
        if not shared[id(type_)]:
            shared[id(type_)] = function = self._source.name(f"write_{name}")
            with self._source.function(f"def {function}(acc, value):"):
                inside = _Encoder(self._source, shared)
                inside._plain_content(type_, "value")
                inside.words.flush()
                self._source.line("return acc")
        self.words.flush()
        self._source.line(f"acc = {shared[id(type_)]}(acc, {value})")

    def _plain_content(self, type_: Sequence | ChoiceType, value: str) -> None:
        if isinstance(type_, Sequence):
            self._plain_sequence(type_, value)
        else:
            self._plain_choice(type_, value)

    def _plain_sequence(self, type_: Sequence, tree: str) -> None:
        self._source.line(f"if {tree}.__class__ is not dict: raise GiveUp")
        if type_.additions is not None:
            self.words.put(0, 1)
        sent: dict[str, str] = {}
        mentioned = [str(sum(not component.optional for component in type_.components))]
        for component in type_.components:
            if component.optional:
                there = self._variable("there", f"{component.name!r} in {tree}")
                mentioned.append(there)
                if component.default is not None:
                    default = self._source.constant(component.default)
                    there = self._variable("sent", f"{there} and {tree}[{component.name!r}] != {default}")
                sent[component.name] = there
                self.words.put(there, 1)
        self._source.line(f"if len({tree}) != {' + '.join(mentioned)}: raise GiveUp")
        for component in type_.components:
            if component.name in sent:
                with self.words.suite(f"if {sent[component.name]}:"):
                    self._plain_component(component, tree)
            else:
                self._plain_component(component, tree)

    def _plain_component(self, component: Component, tree: str) -> None:
        self._plain(component.type, self._variable(component.name, f"{tree}[{component.name!r}]"), component.name)

    def _plain_choice(self, type_: ChoiceType, value: str) -> None:
        self._source.line(f"if {value}.__class__ is not tuple: raise GiveUp")
        chosen, inner = self._source.name("alternative"), self._source.name("inner")
        self._source.line(f"{chosen}, {inner} = {value}")
        self.words.flush()
        word = "if"
        for alternative, _ in type_.root:
            with self.words.suite(f"{word} {chosen} == {alternative!r}:"):
                self._plain(self._index(type_, alternative), inner, alternative)
            word = "elif"
        with self.words.suite("else:"):
            self._source.line("raise GiveUp")
