"""Random values of any type of a compiled schema, each in two forms: as pycrate writes it and as a plain tree of ours.

Walks pycrate's description, not our codec's, so that a fault in our reading of the schema shows as a difference. Left out, because
the reference gets them wrong: groups of extensions, unknown extensions of a SEQUENCE, a type within itself (its objects hold the
value that is being encoded). They have tests of their own.
"""

from dataclasses import dataclass
from importlib import import_module
from random import Random
from typing import Any

from shared.codec.bits import MAX_ENCODED_OCTETS
from shared.core.ids import MessageId

SCHEMAS = {
    MessageId.CAM: ("ITS_CAM_2", "CAM_PDU_Descriptions"),
    MessageId.DENM: ("ITS_DENM_3", "DENM_PDU_Descriptions"),
    MessageId.SPATEM: ("ITS_IS", "SPATEM_PDU_Descriptions"),
    MessageId.MAPEM: ("ITS_IS", "MAPEM_PDU_Descriptions"),
    MessageId.IVIM: ("ITS_IS", "IVIM_PDU_Descriptions"),
    MessageId.SREM: ("ITS_IS", "SREM_PDU_Descriptions"),
    MessageId.SSEM: ("ITS_IS", "SSEM_PDU_Descriptions"),
    MessageId.RTCMEM: ("ITS_IS", "RTCMEM_PDU_Descriptions"),
    MessageId.VAM: ("ITS_VAM_3", "VAM_PDU_Descriptions"),
}


def reference_type(message_id: MessageId) -> Any:
    """Return pycrate's type object; use it from one thread only."""
    schema, module = SCHEMAS[message_id]
    return getattr(getattr(import_module(f"pycrate_asn1dir.{schema}"), module), message_id.name)


@dataclass(frozen=True)
class Both:
    """One value in both forms; `decoded` is what the reference makes of it on decoding, with defaults filled in."""

    reference: Any
    tree: Any
    decoded: Any


class _WithinItselfError(Exception):
    """The value would hold a type inside itself."""


class Draw:
    """How values are drawn.

    Args:
        random: the source.
        likelihood: of each optional component; makes values large or small.
        extended: whether values use what lies behind extension markers.
    """

    def __init__(self, random: Random, *, likelihood: float = 0.6, extended: bool = True) -> None:
        self.random = random
        self.likelihood = likelihood
        self.extended = extended

    def value(self, type_: Any) -> Both:
        """Return a value within the constraints, fond of the ends of ranges and of small lists."""
        while True:
            try:
                return self._value(type_, ())
            except _WithinItselfError:
                continue

    def message(self, message_id: MessageId) -> tuple[Both, bytes]:
        """Return a message short enough to be looked at, with a header of its type, and what the reference makes of it."""
        reference = reference_type(message_id)
        while True:
            value = self.value(reference)
            for form in (value.reference, value.tree, value.decoded):
                form["header"].update(protocolVersion=2, messageID=int(message_id))
            reference.set_val(value.reference)
            encoded: bytes = reference.to_uper()
            if len(encoded) <= MAX_ENCODED_OCTETS:
                return value, encoded

    def _chance(self, likelihood: float) -> bool:
        return self.random.random() < likelihood

    def _value(self, type_: Any, above: tuple[Any, ...]) -> Both:
        if type_.TYPE in {"SEQUENCE", "CHOICE"}:
            if any(type_._cont is content for content in above):
                raise _WithinItselfError
            above = (*above, type_._cont)
        match type_.TYPE:
            case "BOOLEAN":
                return _same(self._chance(0.5))
            case "NULL":
                return Both(0, None, 0)
            case "INTEGER":
                return _same(self._integer(type_))
            case "ENUMERATED":
                name = self._name(type_)
                return Both(name, type_._cont[name], name)
            case "BIT STRING":
                return _same(self._bits(type_))
            case "OCTET STRING":
                return _same(self.random.randbytes(self._size(type_)))
            case "IA5String":
                return _same("".join(chr(self.random.randrange(127)) for _ in range(self._size(type_))))
            case "NumericString":
                return _same("".join(self.random.choice(" 0123456789") for _ in range(self._size(type_))))
            case "UTF8String":
                return _same("".join(self.random.choice("aß漢🚗") for _ in range(self._size(type_))))
            case "SEQUENCE OF":
                items = [self._value(type_._cont, (*above, None)) for _ in range(self._size(type_, small=True))]
                return Both(
                    [item.reference for item in items],
                    tuple(item.tree for item in items),
                    [item.decoded for item in items],
                )
            case "CHOICE":
                name = self._name(type_)
                inner = self._value(type_._cont[name], above)
                return Both((name, inner.reference), (name, inner.tree), (name, inner.decoded))
            case "SEQUENCE":
                return self._sequence(type_, above)
            case other:
                raise NotImplementedError(other)

    def _name(self, type_: Any) -> Any:
        return self.random.choice([*type_._root, *((type_._ext or ()) if self.extended else ())])

    def _is_extended(self, constraint: Any, likelihood: float) -> bool:
        return self.extended and constraint.ext is not None and self._chance(likelihood)

    def _integer(self, type_: Any) -> int:
        constraint = type_._const_val
        if constraint is None:
            return self.random.choice([0, 127, 128, -128, -129, 1 << 31, -(1 << 63), (1 << 63) - 1])
        if self._is_extended(constraint, 0.2):
            beyond: int = constraint.ub + self.random.randrange(1, 1 << 40)
            return self.random.choice([beyond, int(constraint.ub) + 1, int(constraint.lb) - 1, -(1 << 62)])
        chosen = self.random.choice(constraint.root)
        lower: int
        upper: int
        lower, upper = (chosen, chosen) if isinstance(chosen, int) else (chosen.lb, chosen.ub)
        return self.random.choice([lower, upper, self.random.randint(lower, upper)])

    def _size(self, type_: Any, *, small: bool = False) -> int:
        constraint = type_._const_sz
        if constraint is None:
            return self.random.choice([0, 1, 5, 127, 128, 300])
        lower: int = constraint.lb
        upper: int = constraint.ub
        if small:
            size = self.random.choice([lower, min(upper, lower + 1), min(upper, lower + 3)])
            return upper + 1 if upper < 10 and self._is_extended(constraint, 0.1) else size
        return self.random.choice([lower, upper, self.random.randint(lower, min(upper, 200))])

    def _bits(self, type_: Any) -> tuple[int, int]:
        bits = self._size(type_)
        if self._is_extended(type_._const_sz, 0.2):
            bits += self.random.randrange(1, 200)
            return self.random.getrandbits(bits) | 1, bits
        return self.random.getrandbits(bits), bits

    def _sequence(self, type_: Any, above: tuple[Any, ...]) -> Both:
        reference: dict[str, Any] = {}
        tree: dict[str, Any] = {}
        decoded: dict[str, Any] = {}
        likelihood = self.likelihood if len(above) < 8 else min(0.25, self.likelihood)
        grouped = {name for group in (type_._ext_group or {}).values() for name in group} if type_._ext else set()
        for name, component in type_._cont.items():
            is_extension = name in (type_._ext or ())
            if name in grouped or (is_extension and not self.extended):
                continue  # the reference refuses groups in part; they have tests of their own
            if (component._opt or component._def is not None or is_extension) and not self._chance(likelihood):
                if component._def is not None:
                    tree[name] = decoded[name] = component._def
                continue
            try:
                if component.TYPE == "OPEN_TYPE":
                    inner = self._open_value(component, reference, above)
                    governor = component._const_tab_at[1]
                    tree[governor] = decoded[governor] = reference[governor]
                else:
                    inner = self._value(component, above)
            except _WithinItselfError:
                if component._opt or is_extension:
                    continue
                raise
            if component._def is not None and inner.reference == component._def:
                tree[name], decoded[name] = inner.tree, inner.decoded
                continue
            reference[name], tree[name], decoded[name] = inner.reference, inner.tree, inner.decoded
        return Both(reference, tree, decoded)

    def _open_value(self, component: Any, reference: dict[str, Any], above: tuple[Any, ...]) -> Both:
        governor = component._const_tab_at[1]
        known = component._const_tab._val.root
        if known and len(above) < 20 and self._chance(0.7):
            chosen = self.random.choice(known)
            reference[governor] = chosen["id"]
            inner = self._value(chosen["Type"], above)
            name = chosen["Type"]._typeref.called[1]
            return Both((name, inner.reference), inner.tree, (name, inner.decoded))
        keys = {fields["id"] for fields in known}
        reference[governor] = self.random.choice([key for key in range(256) if key not in keys])
        content = self.random.randbytes(self.random.choice([1, 2, 127, 128, 200]))
        return Both(("_unk_004", content), content, ("_unk_004", content))


def _same(value: Any) -> Both:
    return Both(value, value, value)
