"""Writes the fast decoder of a message: straight-line Python for the usual encodings, straight into the values a shape asks for.

For `SEQUENCE { latitude INTEGER (0..1001), speed INTEGER (0..31) OPTIONAL, ... }` as `Record(Position, ...)` it writes

    left -= 12
    w = bits >> left & 0xfff  # extended, speed?, lat_deg
    if w & 0x800: raise GiveUp
    if w & 0x400:
        left -= 5
        w_2 = bits >> left & 0x1f  # speed_mps
        speed_mps = SPEED_MPS[w_2]
    else:
        speed_mps = None
    if bits & PADDING[left]: raise GiveUp
    return POSITION((x / 1000.0 if (x := w & 0x3ff) <= 1000 else LAT_DEG[x]), speed_mps)

`SPEED_MPS` is a table of all 32 values, `LAT_DEG` one of the few that are not regular, `POSITION` the class.

Whatever is unusual raises: an extension bit or a number out of range (`GiveUp`, or the look-up of a count no table has), an
encoding that ends too early (a negative shift is a ValueError). The caller then asks the complete path, which knows the extension
or names the fault. What this path accepts the complete path accepts, and both make the same of it.

Types of no fixed width that messages seldom carry (open types, long numbers, text) are read by the complete path's own objects
(`_aside`), and so are plain trees inside typed values.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from shared.codec.anatomy import is_bulky, shared_types
from shared.codec.bits import MAX_ENCODED_OCTETS, BitReader
from shared.codec.cells import SMALL, Cell, DecodeTable, GiveUp, cell_of, decode_table, give_up, length_cell
from shared.codec.encoder_source import item_writer
from shared.codec.packed import Packing, width_of
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
    defaults_of,
    fields_of,
    names_of,
)
from shared.codec.shaping import to_value
from shared.codec.source import Source, plus
from shared.codec.uper import UperType
from shared.codec.uper_composites import Choice as ChoiceType
from shared.codec.uper_composites import Component, Sequence, SequenceOf
from shared.codec.uper_scalars import Null
from shared.codec.words import Bits, WordReader

_PLAIN_ITEMS = Items(PLAIN)

_PADDING = tuple((1 << left) - 1 for left in range(8))
"""Mask of the bits that must be zero at the end, by how many there are."""


def decoder_source(type_: UperType, shape: Shape) -> Source:
    """Return the source of `decode(encoded)` for a message type, which returns a value or raises as described above."""
    source = _empty_source()
    with source.function("def decode(encoded):"):
        source.line(f"if len(encoded) > {MAX_ENCODED_OCTETS}: raise GiveUp")
        source.line('bits = from_bytes(encoded, "big")')
        source.line("left = 8 * len(encoded)")
        writer = _Decoder(source, dict.fromkeys(shared_types(type_), "") if isinstance(shape, Plain) else None)
        value = writer.value(type_, shape, "message")
        writer.words.flush()
        source.line("if bits & PADDING[left]: raise GiveUp")
        writer.words.line(f"return {value}")
    return source


def packing_of(type_: UperType, shape: Shape) -> Packing:
    """Return how items of a list, of that shape, are kept as bits; raises ValueError where they cannot be."""
    return Packing(type_, partial(_item_reader, type_, shape), partial(item_writer, type_, shape))


def _item_reader(type_: UperType, shape: Shape) -> Callable[[int], Any]:
    """Return the function that makes an item of its bits, all of which are known to be good."""
    source = _empty_source()
    with source.function("def decode(bits):"):
        source.line(f"left = {width_of(type_)}")
        writer = _Decoder(source, None)
        value = writer.value(type_, shape, "item")
        writer.words.flush()
        writer.words.line(f"return {value}")
    return source.compiled("decode", "item decoder")


def _empty_source() -> Source:
    objects = {
        "from_bytes": int.from_bytes,
        "GiveUp": GiveUp,
        "give_up": give_up,
        "BitReader": BitReader,
        "PADDING": _PADDING,
    }
    return Source(objects, reserved=("bits", "left", "encoded", "reader", "decode", "_"))


class _Decoder:
    """Writes one function. What reads something returns the expression of it; `name` is what to call it.

    Args:
        source: takes the text.
        shared: the function of each plain type that gets one of its own, empty until it is written; None for typed values.
    """

    def __init__(self, source: Source, shared: dict[int, str] | None) -> None:
        self._source = source
        self._shared = shared
        self._variables: dict[str, str] = {}
        self.words = WordReader(source)

    def value(self, type_: UperType, shape: Shape, name: str) -> str:
        """Read one value of any type."""
        match shape:
            case Plain():
                return self._plain(type_, name)
            case Record():
                return self._record(type_, shape)
            case Items():
                assert isinstance(type_, SequenceOf)
                return self._items(type_, shape, name)
            case _:
                return self._converted(type_, shape, name)

    # Values without components

    def _converted(self, type_: UperType, conversion: Conversion, name: str) -> str:
        cell = cell_of(type_)
        if cell is None:
            return f"{self._source.refer(name, conversion.decode)}({self._aside(type_, name)})"
        field = self.words.read(cell.width, name)
        if cell.span < SMALL and not cell.gaps:
            return f"{self._source.refer(name, decode_table(cell, conversion))}[{field}]"
        table = self._source.refer(name, DecodeTable(cell, conversion))
        linear, base = conversion.linear, cell.base
        if linear is None or base is None or cell.gaps:
            return f"{table}[{field}]"
        count = self._source.name("x")
        first, last = max(linear.first - base, 0), min(linear.last - base, cell.span)
        value = plus(count, base)
        if linear.per_unit is not None:
            value = f"({value}) / {linear.per_unit!r}" if base else f"{value} / {linear.per_unit!r}"
        least = f"{first} <= " if first else ""
        return f"({value} if {least}({count} := {field}) <= {last} else {table}[{count}])"

    def _plain_cell(self, cell: Cell, name: str) -> str:
        field = self.words.read(cell.width, name)
        if cell.wires is not None:
            return f"{self._source.refer(name, decode_table(cell, None))}[{field}]"
        value = str(field)
        if not cell.is_full:
            count = self._source.name("x")
            allowed = f"({count} := {field}) <= {cell.span}"
            if cell.gaps:
                allowed += f" and {count} not in {self._source.refer('GAPS', cell.gaps)}"
            value = f"({count} if {allowed} else give_up())"
        if cell.lower is None:
            return f"({value}, {cell.bits})"
        return f"({plus(value, cell.lower)})" if cell.lower else value

    def _aside(self, type_: UperType, name: str) -> str:
        """Read by the complete path's own object."""
        self.words.flush()
        variable = self._source.name(name)
        self._source.line("reader = BitReader.over(bits, left)")
        self._source.line(f"{variable} = {self._source.refer(f'{name}_TYPE', type_)}.decode(reader)")
        self._source.line("left = reader.left")
        return variable

    # Lists

    def _items(self, type_: SequenceOf, shape: Items, name: str) -> str:
        cell = length_cell(type_.size)
        if cell is None and type_.size.fixed is None:
            return self._aside(type_, name)
        count = str(type_.size.fixed) if cell is None else self._plain_cell(cell, f"number of {name}")
        items = self._source.name(name)
        if shape.packed:
            return self._packed(type_, shape, count, items, name)
        self._one_by_one(type_, shape, count, items, name)
        return f"tuple({items})"

    def _packed(self, type_: SequenceOf, shape: Items, count: str, items: str, name: str) -> str:
        """Take a list as its bits if that can be, else read its items."""
        packing = packing_of(type_.item, shape.item)
        number = self._source.name(f"number_of_{name}")
        self.words.line(f"{number} = {count}")
        self.words.flush()
        self._source.line(f"{items} = {self._source.refer(name, packing)}.take(bits, left, {number})")
        with self.words.suite(f"if {items} is None:"):
            self._one_by_one(type_, shape, number, items, name)
            self._source.line(f"{items} = tuple({items})")
        with self.words.suite("else:"):
            self._source.line(f"left -= {packing.width} * {number}")
        return items

    def _one_by_one(self, type_: SequenceOf, shape: Items, count: str, items: str, name: str) -> None:
        """Read items into a list of that name."""
        self.words.line(f"{items} = []")
        self.words.flush()
        with self.words.suite(f"for _ in range({count}):"):
            if is_bulky(type_.item):
                self._source.line("bits &= (1 << left) - 1")
            value = self.value(type_.item, shape.item, name)
            if shape.drop_unknown:
                one = self._source.name("item")
                self.words.line(f"if ({one} := {value}) is not None: {items}.append({one})")
            else:
                self.words.line(f"{items}.append({value})")

    # Records and their parts

    def _record(self, type_: UperType, record: Record) -> str:
        """Read a SEQUENCE or a CHOICE into the arguments of its class, by position."""
        outer, self._variables = self._variables, {}
        known = {**defaults_of(record.cls), **record.settled}
        values = {name: self._source.constant(value) for name, value in known.items()}
        if isinstance(record.parts, Choice):
            self._part(type_, record.parts, values)
        else:
            assert isinstance(type_, Sequence)
            self._sequence(type_, record.parts, values)
        self._variables = outer
        arguments = [values[name] for name in record.cls.__struct_fields__]
        return f"{self._source.refer(record.cls.__name__, record.cls)}({', '.join(arguments)})"

    def _part(self, type_: UperType, part: Part, values: dict[str, str]) -> None:
        """Read one component into `values`, expressions by name of the field."""
        match part:
            case Field():
                values[part.name] = self.value(type_, part.shape, part.name)
            case Fields():
                assert isinstance(type_, Sequence)
                self._sequence(type_, part.parts, values)
            case With():
                values |= {name: self._source.constant(value) for name, value in part.settled.items()}
                self._part(type_, part.part, values)
            case Fixed():
                self._fixed(type_, part)
            case Choice():
                assert isinstance(type_, ChoiceType)
                self._choice(type_, part, values)

    def _fixed(self, type_: UperType, part: Fixed) -> None:
        cell = cell_of(type_)
        assert cell is not None
        if not part.also:
            self.words.read(cell.width, "fixed", expected=cell.count(part.number))
            return
        accepted = frozenset(cell.count(number) for number in (part.number, *part.also))
        field = self.words.read(cell.width, "fixed")
        self.words.line(f"if {field} not in {self._source.refer('ACCEPTED', accepted)}: raise GiveUp")

    def _sequence(self, type_: Sequence, parts: Mapping[str, Part], values: dict[str, str]) -> None:
        for component, flag in self._header(type_):
            part = parts.get(component.name)
            if flag is None:
                assert part is not None, component.name
                self._part(component.type, part, values)
            elif part is not None:
                self._optional(component, part, flag, values)
            else:
                with self.words.suite(f"if {flag.test}:"):
                    self._aside(component.type, "dropped")

    def _header(self, type_: Sequence) -> list[tuple[Component, Bits | None]]:
        """Read the extension bit, which must not be set, and the bits that say which components are there."""
        if type_.additions is not None:
            self.words.read(1, "extended", expected=0)
        return [(one, self.words.read(1, f"{one.name}?") if one.optional else None) for one in type_.components]

    def _optional(self, component: Component, part: Part, flag: Bits, values: dict[str, str]) -> None:
        variables = self._variables_for(part)
        absent = {one.name: one.absent for one in fields_of(part)}
        with self.words.suite(f"if {flag.test}:"):
            self._branch(component.type, part, variables, values)
            if component.default is not None:
                assert isinstance(part, Field)
                absent[part.name] = to_value(part.shape, component.default)
                self.words.line(f"if {variables[part.name]} == {self._source.constant(absent[part.name])}: raise GiveUp")
        with self.words.suite("else:"):
            for name, value in absent.items():
                self.words.line(f"{variables[name]} = {self._source.constant(value)}")
        values |= variables

    def _choice(self, type_: ChoiceType, part: Choice, values: dict[str, str]) -> None:
        index = self._index(type_)
        if index is None:
            name, inner = type_.root[0]
            self._part(inner, part.alternatives[name], values)
            return
        variables = self._variables_for(part)
        word = "if"
        for number, (name, inner) in enumerate(type_.root):
            if name in part.alternatives:
                with self.words.suite(f"{word} {index} == {number}:"):
                    self._branch(inner, part.alternatives[name], variables, values)
                word = "elif"
        with self.words.suite("else:"):
            self._source.line("raise GiveUp")
        values |= variables

    def _index(self, type_: ChoiceType) -> str | None:
        """Read which alternative it is, None where there is one alone."""
        width = type_.root_index.width
        if not width:
            if type_.additions is not None:
                self.words.read(1, "extended", expected=0)
            return None
        field = self.words.read(width + (type_.additions is not None), "alternative")
        name = self._source.name("alternative")
        self.words.line(f"{name} = {field}")
        self.words.flush()
        return name

    def _variables_for(self, part: Part) -> dict[str, str]:
        """Return a variable for each field that a part gives on one way through the code and not on another."""
        for name in names_of(part):
            if name not in self._variables:
                self._variables[name] = self._source.name(name)
        return {name: self._variables[name] for name in names_of(part)}

    def _branch(self, type_: UperType, part: Part, variables: dict[str, str], outside: Mapping[str, str]) -> None:
        """Read a component into variables; those it does not give keep the value they have outside."""
        values = dict(outside)
        self._part(type_, part, values)
        for name, variable in variables.items():
            if values[name] != variable:
                self.words.line(f"{variable} = {values[name]}")

    # Plain trees

    def _plain(self, type_: UperType, name: str) -> str:
        match type_:
            case Null():
                return "None"
            case SequenceOf() if self._shared is not None or cell_of(type_.item):
                return self._items(type_, _PLAIN_ITEMS, name)
            case Sequence() | ChoiceType() if self._shared is not None:
                return self._plain_composite(type_, name, self._shared)
            case _:
                cell = cell_of(type_)
                return self._aside(type_, name) if cell is None else self._plain_cell(cell, name)

    def _plain_composite(self, type_: Sequence | ChoiceType, name: str, shared: dict[int, str]) -> str:
        """Read a SEQUENCE or CHOICE; one that the schema uses in several places gets a function of its own."""
        if isinstance(type_, Sequence) and any(component.governor for component in type_.components):
            return self._aside(type_, name)
        if id(type_) not in shared:
            return self._plain_content(type_, name)
        if not shared[id(type_)]:
            shared[id(type_)] = function = self._source.name(f"read_{name}")
            with self._source.function(f"def {function}(bits, left):"):
                inside = _Decoder(self._source, shared)
                value = inside._plain_content(type_, name)
                inside.words.flush()
                inside.words.line(f"return {value}, left")
        self.words.flush()
        variable = self._source.name(name)
        self._source.line(f"{variable}, left = {shared[id(type_)]}(bits, left)")
        return variable

    def _plain_content(self, type_: Sequence | ChoiceType, name: str) -> str:
        return self._plain_sequence(type_, name) if isinstance(type_, Sequence) else self._plain_choice(type_, name)

    def _plain_sequence(self, type_: Sequence, name: str) -> str:
        tree = self._source.name(name)
        self.words.line(f"{tree} = {{}}")
        for component, flag in self._header(type_):
            target = f"{tree}[{component.name!r}]"
            if flag is None:
                self.words.line(f"{target} = {self._plain(component.type, component.name)}")
                continue
            default = None if component.default is None else self._source.constant(component.default)
            with self.words.suite(f"if {flag.test}:"):
                self.words.line(f"{target} = {self._plain(component.type, component.name)}")
                if default is not None:
                    self.words.line(f"if {target} == {default}: raise GiveUp")
            if default is not None:
                with self.words.suite("else:"):
                    self.words.line(f"{target} = {default}")
        return tree

    def _plain_choice(self, type_: ChoiceType, name: str) -> str:
        index = self._index(type_)
        if index is None:
            alternative, inner = type_.root[0]
            return f"({alternative!r}, {self._plain(inner, alternative)})"
        tree = self._source.name(name)
        word = "if"
        for number, (alternative, inner) in enumerate(type_.root):
            with self.words.suite(f"{word} {index} == {number}:"):
                self.words.line(f"{tree} = ({alternative!r}, {self._plain(inner, alternative)})")
            word = "elif"
        with self.words.suite("else:"):
            self._source.line("raise GiveUp")
        return tree
