"""UPER of types with components: SEQUENCE with its extensions, CHOICE, SEQUENCE OF and open types. See `uper` for their values."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.codec.bits import (
    EMPTY,
    MAX_NESTING,
    BitReader,
    Fault,
    append,
    complete,
    read_length,
    read_small,
    write_length,
    write_small,
)
from shared.codec.uper import Tree, UperType
from shared.codec.uper_scalars import EXTENSION_PREFIX, ConstrainedInteger, Size, extension_index, shown

MAX_ADDITIONS = 64
"""Most extension additions of one SEQUENCE."""


def _read_open(reader: BitReader, type_: UperType) -> Tree:
    inner = reader.inner(read_length(reader))
    value = type_.decode(inner)
    inner.finish()
    reader.items = inner.items
    return value


def _write_open(acc: int, type_: UperType, value: Tree) -> int:
    return _write_octets(acc, complete(type_.encode(EMPTY, value)))


def _read_octets(reader: BitReader) -> bytes:
    octets = read_length(reader)
    if not octets:
        raise reader.fault("an open type is empty")
    return reader.take(8 * octets).to_bytes(octets, "big")


def _write_octets(acc: int, octets: Tree) -> int:
    if not isinstance(octets, bytes) or not octets:
        raise Fault(f"{shown(octets)} is not octets, at least one")
    return write_length(acc, len(octets)) << 8 * len(octets) | int.from_bytes(octets, "big")


@dataclass(frozen=True, slots=True)
class Component:
    """One component of a SEQUENCE.

    Attributes:
        name: as in the schema.
        type: its type.
        optional: OPTIONAL or DEFAULT.
        default: the DEFAULT value, None where there is none.
        governor: for an open type, the name of the sibling whose value selects the type.
    """

    name: str
    type: UperType
    optional: bool = False
    default: Tree = None
    governor: str | None = None


class OpenType:
    """An open type (11.2) whose type a sibling's value selects from a table, as in the regional extensions of SAE J2735.

    Args:
        table: type for each known value of the governing sibling; for others the octets are kept.
    """

    __slots__ = ("table",)

    def __init__(self, table: dict[int, UperType]) -> None:
        self.table = table

    def decode(self, reader: BitReader) -> bytes:
        """Read an open type nobody selects."""
        return _read_octets(reader)

    def encode(self, acc: int, value: Tree) -> int:
        """Write an open type nobody selects."""
        return _write_octets(acc, value)

    def decode_governed(self, reader: BitReader, key: Tree) -> Tree:
        """Read a value of the type that `key` selects."""
        type_ = self.table.get(key)
        return _read_octets(reader) if type_ is None else _read_open(reader, type_)

    def encode_governed(self, acc: int, value: Tree, key: Tree) -> int:
        """Write a value of the type that `key` selects."""
        type_ = self.table.get(key)
        return _write_octets(acc, value) if type_ is None else _write_open(acc, type_, value)


class Addition:
    """One addition behind an extension marker: a component, or a group `[[ ... ]]` (19.9), whose components lie flat in the tree.

    Args:
        name: of the component, or a name for the group.
        names: all components.
        type_: the component's type, or the group as a `Sequence`.
        is_group: which of the two.
    """

    __slots__ = ("is_group", "name", "names", "type")

    def __init__(self, name: str, names: tuple[str, ...], type_: UperType, *, is_group: bool) -> None:
        self.name = name
        self.names = names
        self.type = type_
        self.is_group = is_group

    def decode_into(self, values: dict[str, Tree], reader: BitReader) -> None:
        """Read the addition into the tree of its SEQUENCE."""
        value = _read_open(reader, self.type)
        if not self.is_group:
            values[self.name] = value
            return
        if not value:
            raise reader.fault("a group of extensions without content")
        values.update(value)

    def encode_from(self, acc: int, values: Mapping[str, Tree]) -> int:
        """Write the addition from the tree of its SEQUENCE."""
        if not self.is_group:
            return _write_open(acc, self.type, values[self.name])
        return _write_open(acc, self.type, {name: values[name] for name in self.names if name in values})


class Sequence:
    """SEQUENCE (clause 19).

    Args:
        components: the root, in order.
        additions: what the schema knows behind the extension marker; None where there is no marker.
    """

    __slots__ = ("additions", "components", "known", "optional_bits", "plan")

    def __init__(self, components: tuple[Component, ...], additions: tuple[Addition, ...] | None = None) -> None:
        self.components = components
        self.additions = additions
        self.optional_bits = sum(c.optional for c in components)
        self.known = frozenset(c.name for c in components) | {n for a in additions or () for n in a.names}
        bit = self.optional_bits
        plan: list[tuple[str, int, Tree, UperType, str | None]] = []
        for c in components:
            bit -= c.optional
            plan.append((c.name, 1 << bit if c.optional else 0, c.default, c.type, c.governor))
        self.plan = tuple(plan)

    def decode(self, reader: BitReader) -> dict[str, Tree]:
        """Read the components that are present."""
        extended = self.additions is not None and reader.take(1)
        present = reader.take(self.optional_bits) if self.optional_bits else 0
        values: dict[str, Tree] = {}
        name = ""
        try:
            for name, flag, default, type_, governor in self.plan:
                if flag and not present & flag:
                    if default is not None:
                        values[name] = default
                elif governor is not None and isinstance(type_, OpenType):
                    values[name] = type_.decode_governed(reader, values[governor])
                else:
                    values[name] = value = type_.decode(reader)
                    if default is not None and value == default:
                        raise reader.fault(f"{shown(value)} is sent although it is the default")
        except Fault as fault:
            raise fault.within(name) from None
        if extended:
            self._decode_additions(values, reader)
        return values

    def encode(self, acc: int, value: Tree) -> int:
        """Write the components of a mapping."""
        if value.__class__ is not dict and not isinstance(value, Mapping):
            raise Fault(f"{shown(value)} is not a mapping of components")
        present = mentioned = 0
        for name, flag, default, _, _ in self.plan:
            if name in value:
                mentioned += 1
                if flag and (default is None or value[name] != default):
                    present |= flag
            elif not flag:
                raise Fault("missing").within(name)
        bitmap, count = self._additions_present(value) if len(value) > mentioned else (0, 0)
        if self.additions is not None:
            acc = acc << 1 | (bitmap != 0)
        acc = acc << self.optional_bits | present
        name = ""
        try:
            for name, flag, _, type_, governor in self.plan:
                if flag and not present & flag:
                    continue
                if governor is not None and isinstance(type_, OpenType):
                    acc = type_.encode_governed(acc, value[name], value[governor])
                else:
                    acc = type_.encode(acc, value[name])
        except Fault as fault:
            raise fault.within(name) from None
        return self._encode_additions(acc, value, bitmap, count) if bitmap else acc

    def _decode_additions(self, values: dict[str, Tree], reader: BitReader) -> None:
        count = read_small(reader) + 1
        bitmap = reader.take(count)
        if not bitmap:
            raise reader.fault("extensions are announced but none is there")
        known = self.additions or ()
        for index in range(count):
            is_there = bitmap >> (count - 1 - index) & 1
            name = known[index].name if index < len(known) else f"{EXTENSION_PREFIX}{index}"
            try:
                if index < len(known):
                    if is_there:
                        known[index].decode_into(values, reader)
                elif is_there:
                    values[name] = _read_octets(reader)
                elif index == count - 1:
                    values[name] = None
            except Fault as fault:
                raise fault.within(name) from None

    def _additions_present(self, value: Mapping[str, Tree]) -> tuple[int, int]:
        unknown = [name for name in value if name not in self.known]
        known = self.additions or ()
        indices = {index for index, a in enumerate(known) if any(name in value for name in a.names)}
        count = len(known)
        for name in unknown:
            if not isinstance(name, str):
                raise Fault(f"{shown(name)} is not the name of a component")
            try:
                index = extension_index(name)
            except Fault as fault:
                raise fault.within(name or "''") from None
            if self.additions is None or not len(known) <= index < MAX_ADDITIONS:
                raise Fault("no such extension").within(name)
            count = max(count, index + 1)
            if value[name] is not None:
                indices.add(index)
        return sum(1 << (count - 1 - index) for index in indices), count

    def _encode_additions(self, acc: int, value: Mapping[str, Tree], bitmap: int, count: int) -> int:
        acc = write_small(acc, count - 1) << count | bitmap
        known = self.additions or ()
        for index in range(count):
            if not bitmap >> (count - 1 - index) & 1:
                continue
            name = known[index].name if index < len(known) else f"{EXTENSION_PREFIX}{index}"
            try:
                acc = known[index].encode_from(acc, value) if index < len(known) else _write_octets(acc, value[name])
            except Fault as fault:
                raise fault.within(name) from None
        return acc


class Choice:
    """CHOICE (clause 23).

    Args:
        root: (name, type) in the order of their index.
        additions: (name, type) behind the extension marker; None where there is no marker.
    """

    __slots__ = ("additions", "extension_indices", "root", "root_index", "root_indices")

    def __init__(self, root: tuple[tuple[str, UperType], ...], additions: tuple[tuple[str, UperType], ...] | None = None) -> None:
        self.root = root
        self.additions = additions
        self.root_index = ConstrainedInteger(0, len(root) - 1)
        self.root_indices = {name: index for index, (name, _) in enumerate(root)}
        self.extension_indices = {name: index for index, (name, _) in enumerate(additions or ())}

    def decode(self, reader: BitReader) -> tuple[str, Tree]:
        """Read the index and the alternative."""
        extended = self.additions is not None and reader.take(1)
        if not extended:
            name, type_ = self.root[self.root_index.decode(reader)]
            try:
                return name, type_.decode(reader)
            except Fault as fault:
                raise fault.within(name) from None
        index = read_small(reader)
        additions = self.additions or ()
        if index >= len(additions):
            return f"{EXTENSION_PREFIX}{index}", _read_octets(reader)
        name, type_ = additions[index]
        try:
            return name, _read_open(reader, type_)
        except Fault as fault:
            raise fault.within(name) from None

    def encode(self, acc: int, value: Tree) -> int:
        """Write (name of the alternative, value)."""
        if not isinstance(value, tuple) or len(value) != 2 or not isinstance(value[0], str):
            raise Fault(f"{shown(value)} is not (alternative, value)")
        name, inner = value
        try:
            return self._encode_alternative(acc, name, inner)
        except Fault as fault:
            raise fault.within(name or "''") from None

    def _encode_alternative(self, acc: int, name: str, inner: Tree) -> int:
        index = self.root_indices.get(name)
        if index is not None:
            acc = self.root_index.encode(acc if self.additions is None else acc << 1, index)
            return self.root[index][1].encode(acc, inner)
        if self.additions is None:
            raise Fault("no such alternative")
        index = self.extension_indices.get(name)
        if index is not None:
            return _write_open(write_small(acc << 1 | 1, index), self.additions[index][1], inner)
        index = extension_index(name)
        if index < len(self.additions):
            raise Fault("this extension has a name in the schema")
        return _write_octets(write_small(acc << 1 | 1, index), inner)


class SequenceOf:
    """SEQUENCE OF (clause 20)."""

    __slots__ = ("item", "size")

    def __init__(self, item: UperType, size: Size) -> None:
        self.item = item
        self.size = size

    def decode(self, reader: BitReader) -> tuple[Tree, ...]:
        """Read the items."""
        count = self.size.decode(reader)
        reader.count_items(count)
        items: list[Tree] = []
        decode = self.item.decode
        try:
            for _ in range(count):
                items.append(decode(reader))
                reader.forget()
        except Fault as fault:
            raise fault.within(f"[{len(items)}]") from None
        return tuple(items)

    def encode(self, acc: int, value: Tree) -> int:
        """Write the items of a tuple or list."""
        if not isinstance(value, (tuple, list)):
            raise Fault(f"{shown(value)} is not a tuple")
        acc = self.size.encode(acc, len(value))
        encode = self.item.encode
        done = 0
        try:
            for item in value:
                acc = append(acc, encode(EMPTY, item))
                done += 1
        except Fault as fault:
            raise fault.within(f"[{done}]") from None
        return acc


class Recursive:
    """A type that contains itself: stands for it inside, and counts how deep."""

    __slots__ = ("_resolved",)

    def __init__(self) -> None:
        self._resolved: list[UperType] = []

    def resolve(self, type_: UperType) -> None:
        """Say what this stands for; once, while the schema is walked."""
        self._resolved.append(type_)

    def decode(self, reader: BitReader) -> Tree:
        """Read one level deeper."""
        if reader.depth >= MAX_NESTING:
            raise reader.fault(f"nested deeper than {MAX_NESTING}")
        reader.depth += 1
        value = self._resolved[0].decode(reader)
        reader.depth -= 1
        return value

    def encode(self, acc: int, value: Tree) -> int:
        """Write one level deeper."""
        return self._resolved[0].encode(acc, value)
