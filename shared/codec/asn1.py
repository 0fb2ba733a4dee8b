"""From the schemas that pycrate ships to our own codec: each is walked once, when first needed.

Of pycrate only the compiled description is read (names, order, bounds, tables); its run time keeps state in the type objects and is
not used. What comes out is immutable.

The schemas: CAM EN 302 637-2 V1.4.1, DENM EN 302 637-3 V1.3.1, VAM TS 103 300-3, infrastructure messages TS 103 301 with the
modules of ISO/TS 19091 and ISO/TS 19321.
"""

from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from itertools import pairwise
from typing import Any

from shared.codec.message_codec import MessageCodec
from shared.codec.uper import Tree, UperType
from shared.codec.uper_composites import Addition, Choice, Component, OpenType, Recursive, Sequence, SequenceOf
from shared.codec.uper_scalars import (
    BitString,
    Boolean,
    CharacterString,
    ConstrainedInteger,
    Enumerated,
    ExtensibleInteger,
    Null,
    OctetString,
    SemiConstrainedInteger,
    Size,
    Utf8String,
)
from shared.core.ids import MessageId

_SCHEMAS: dict[MessageId, tuple[str, str, str]] = {
    MessageId.CAM: ("ITS_CAM_2", "CAM_PDU_Descriptions", "CAM"),
    MessageId.DENM: ("ITS_DENM_3", "DENM_PDU_Descriptions", "DENM"),
    MessageId.SPATEM: ("ITS_IS", "SPATEM_PDU_Descriptions", "SPATEM"),
    MessageId.MAPEM: ("ITS_IS", "MAPEM_PDU_Descriptions", "MAPEM"),
    MessageId.IVIM: ("ITS_IS", "IVIM_PDU_Descriptions", "IVIM"),
    MessageId.SREM: ("ITS_IS", "SREM_PDU_Descriptions", "SREM"),
    MessageId.SSEM: ("ITS_IS", "SSEM_PDU_Descriptions", "SSEM"),
    MessageId.RTCMEM: ("ITS_IS", "RTCMEM_PDU_Descriptions", "RTCMEM"),
    MessageId.VAM: ("ITS_VAM_3", "VAM_PDU_Descriptions", "VAM"),
}

_ALPHABETS = {
    "IA5String": "".join(map(chr, range(128))),
    "NumericString": " 0123456789",
}

_Schema = Any
"""A compiled type of pycrate, which has no type hints."""


@cache
def message_codec(message_id: MessageId) -> MessageCodec[Tree]:
    """Return the codec between the octets of a facilities message and plain trees."""
    return MessageCodec(message_id.name, partial(message_type, message_id))


def message_type(message_id: MessageId) -> UperType:
    """Return the outermost type of a facilities message, built on first use."""
    return schema_type(*_SCHEMAS[message_id])


@cache
def schema_codec(schema: str, module: str, name: str) -> MessageCodec[Tree]:
    """Return the codec of any type of a compiled schema, for example `("ITS_IS", "DSRC", "MapData")`."""
    return MessageCodec(name, partial(schema_type, schema, module, name))


@cache
def schema_type(schema: str, module: str, name: str) -> UperType:
    """Return any type of a compiled schema."""
    return _Walk().type_of(getattr(getattr(import_module(f"pycrate_asn1dir.{schema}"), module), name))


def reference_codec(message_id: MessageId) -> tuple[Callable[[Tree], bytes], Callable[[bytes], Tree]]:
    """Return pycrate's own encoder and decoder of a message, to measure ours beside; for one thread, never for real messages."""
    schema, module, name = _SCHEMAS[message_id]
    compiled = getattr(getattr(import_module(f"pycrate_asn1dir.{schema}"), module), name)

    def encode(value: Tree) -> bytes:
        compiled.set_val(value)
        encoded: bytes = compiled.to_uper()
        return encoded

    def decode(encoded: bytes) -> Tree:
        compiled.from_uper(encoded)
        return compiled.get_val()

    return encode, decode


class _Walk:
    """One walk over a schema; types met twice are built once."""

    def __init__(self) -> None:
        self._built: dict[int, UperType] = {}
        self._open: dict[int, Recursive | None] = {}

    def type_of(self, compiled: _Schema) -> UperType:
        match compiled.TYPE:
            case "BOOLEAN":
                return Boolean()
            case "NULL":
                return Null()
            case "INTEGER":
                return _integer(compiled)
            case "ENUMERATED":
                return _enumerated(compiled)
            case "BIT STRING":
                names = {bit: name for name, bit in (compiled._cont or {}).items()}  # noqa: SLF001 - the description is there only
                return BitString(_size(compiled), names)
            case "OCTET STRING":
                return OctetString(_size(compiled))
            case "UTF8String":
                return Utf8String(_size(compiled))
            case "IA5String" | "NumericString" as kind:
                return CharacterString(_size(compiled), _ALPHABETS[kind])
            case "SEQUENCE OF":
                return SequenceOf(self.type_of(compiled._cont), _size(compiled))  # noqa: SLF001
            case "SEQUENCE" | "CHOICE":
                return self._composite(compiled)
            case other:
                raise NotImplementedError(f"{other} {compiled.fullname()}")

    def _composite(self, compiled: _Schema) -> UperType:
        key = id(compiled._cont)  # noqa: SLF001 - references to one type share their content
        if key in self._built:
            return self._built[key]
        if key in self._open:
            placeholder = self._open[key] or Recursive()
            self._open[key] = placeholder
            return placeholder
        self._open[key] = None
        built: UperType = self._sequence(compiled) if compiled.TYPE == "SEQUENCE" else self._choice(compiled)
        recursive = self._open.pop(key)
        if recursive is not None:
            recursive.resolve(built)
        self._built[key] = built
        return built

    def _choice(self, compiled: _Schema) -> Choice:
        content = compiled._cont  # noqa: SLF001
        extensions = compiled._ext  # noqa: SLF001
        root = tuple((name, self.type_of(content[name])) for name in compiled._root)  # noqa: SLF001
        return Choice(root, None if extensions is None else tuple((name, self.type_of(content[name])) for name in extensions))

    def _sequence(self, compiled: _Schema) -> Sequence:
        content = compiled._cont  # noqa: SLF001
        root = tuple(self._component(name, content[name]) for name in compiled._root)  # noqa: SLF001
        if compiled._ext is None:  # noqa: SLF001
            return Sequence(root)
        return Sequence(root, tuple(self._addition(nest, content) for nest in compiled._ext_nest or ()))  # noqa: SLF001

    def _addition(self, nest: str | list[str], content: _Schema) -> Addition:
        if isinstance(nest, str):
            return Addition(nest, (nest,), self.type_of(content[nest]), is_group=False)
        group = Sequence(tuple(self._component(name, content[name]) for name in nest))
        return Addition(nest[0], tuple(nest), group, is_group=True)

    def _component(self, name: str, compiled: _Schema) -> Component:
        default = compiled._def  # noqa: SLF001
        optional = bool(compiled._opt) or default is not None  # noqa: SLF001
        if compiled.TYPE == "OPEN_TYPE":
            return Component(name, self._open_type(compiled), optional, None, compiled._const_tab_at[1])  # noqa: SLF001
        if compiled.TYPE == "ENUMERATED" and default is not None:
            default = compiled._cont[default]  # noqa: SLF001
        return Component(name, self.type_of(compiled), optional, default)

    def _open_type(self, compiled: _Schema) -> OpenType:
        """Build an open type from the information objects of its table, keyed by the object's only integer field."""
        table: dict[int, UperType] = {}
        objects = compiled._const_tab._val  # noqa: SLF001
        for fields in (*objects.root, *(objects.ext or ())):
            key = next(value for name, value in fields.items() if name != compiled._const_tab_id)  # noqa: SLF001
            table[key] = self.type_of(fields[compiled._const_tab_id])  # noqa: SLF001
        return OpenType(table)


def _integer(compiled: _Schema) -> UperType:
    constraint = compiled._const_val  # noqa: SLF001
    if constraint is None or constraint.lb is None:
        return SemiConstrainedInteger(None)
    if constraint.ub is None:
        return SemiConstrainedInteger(constraint.lb)
    bounds = sorted((r, r) if isinstance(r, int) else (r.lb, r.ub) for r in constraint.root)
    gaps = tuple((a[1] + 1, b[0] - 1) for a, b in pairwise(bounds) if b[0] - a[1] > 1)
    root = ConstrainedInteger(bounds[0][0], max(b for _, b in bounds), gaps)
    return root if constraint.ext is None else ExtensibleInteger(root)


def _enumerated(compiled: _Schema) -> Enumerated:
    numbers: dict[str, Tree] = compiled._cont  # noqa: SLF001
    additions = compiled._ext  # noqa: SLF001
    return Enumerated(
        tuple(numbers[name] for name in compiled._root),  # noqa: SLF001
        None if additions is None else tuple(numbers[name] for name in additions),
        {number: name for name, number in numbers.items()},
    )


def _size(compiled: _Schema) -> Size:
    constraint = compiled._const_sz  # noqa: SLF001
    if constraint is None:
        return Size()
    return Size(constraint.lb, constraint.ub, extensible=constraint.ext is not None)
