"""Random values of any type of a compiled schema, each in two forms: as pycrate writes it and as a plain tree of ours.

Walks pycrate's description, not our codec's, so that a fault in our reading of the schema shows as a difference. Left out, because
the reference gets them wrong: groups of extensions, unknown extensions of a SEQUENCE, a type within itself (its objects hold the
value that is being encoded). They have tests of their own.
"""

from dataclasses import dataclass
from importlib import import_module
from random import Random
from typing import Any

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


def random_value(random: Random, type_: Any, depth: int = 0) -> Both:
    """Return a value within the constraints, fond of the ends of ranges and of small lists; `depth` above 8 makes it small."""
    while True:
        try:
            return _value(random, type_, (None,) * depth)
        except _WithinItselfError:
            continue


def _value(random: Random, type_: Any, above: tuple[Any, ...]) -> Both:
    if type_.TYPE in {"SEQUENCE", "CHOICE"}:
        if any(type_._cont is content for content in above):
            raise _WithinItselfError
        above = (*above, type_._cont)
    match type_.TYPE:
        case "BOOLEAN":
            return _same(random.random() < 0.5)
        case "NULL":
            return Both(0, None, 0)
        case "INTEGER":
            return _same(_integer(random, type_))
        case "ENUMERATED":
            name = random.choice([*type_._root, *(type_._ext or ())])
            return Both(name, type_._cont[name], name)
        case "BIT STRING":
            return _same(_bits(random, type_))
        case "OCTET STRING":
            return _same(random.randbytes(_size(random, type_)))
        case "IA5String":
            return _same("".join(chr(random.randrange(127)) for _ in range(_size(random, type_))))
        case "NumericString":
            return _same("".join(random.choice(" 0123456789") for _ in range(_size(random, type_))))
        case "UTF8String":
            return _same("".join(random.choice("aß漢🚗") for _ in range(_size(random, type_))))
        case "SEQUENCE OF":
            items = [_value(random, type_._cont, (*above, None)) for _ in range(_size(random, type_, small=True))]
            return Both(
                [item.reference for item in items],
                tuple(item.tree for item in items),
                [item.decoded for item in items],
            )
        case "CHOICE":
            name = random.choice([*type_._root, *(type_._ext or ())])
            inner = _value(random, type_._cont[name], above)
            return Both((name, inner.reference), (name, inner.tree), (name, inner.decoded))
        case "SEQUENCE":
            return _sequence(random, type_, above)
        case other:
            raise NotImplementedError(other)


def _same(value: Any) -> Both:
    return Both(value, value, value)


def _integer(random: Random, type_: Any) -> int:
    constraint = type_._const_val
    if constraint is None:
        return random.choice([0, 127, 128, -128, -129, 1 << 31, -(1 << 63), (1 << 63) - 1])
    if constraint.ext is not None and random.random() < 0.2:
        beyond: int = constraint.ub + random.randrange(1, 1 << 40)
        return random.choice([beyond, int(constraint.ub) + 1, int(constraint.lb) - 1, -(1 << 62)])
    chosen = random.choice(constraint.root)
    lower: int
    upper: int
    lower, upper = (chosen, chosen) if isinstance(chosen, int) else (chosen.lb, chosen.ub)
    return random.choice([lower, upper, random.randint(lower, upper)])


def _size(random: Random, type_: Any, *, small: bool = False) -> int:
    constraint = type_._const_sz
    if constraint is None:
        return random.choice([0, 1, 5, 127, 128, 300])
    lower: int = constraint.lb
    upper: int = constraint.ub
    if small:
        size = random.choice([lower, min(upper, lower + 1), min(upper, lower + 3)])
        return upper + 1 if constraint.ext is not None and upper < 10 and random.random() < 0.1 else size
    return random.choice([lower, upper, random.randint(lower, min(upper, 200))])


def _bits(random: Random, type_: Any) -> tuple[int, int]:
    bits = _size(random, type_)
    if type_._const_sz.ext is not None and random.random() < 0.2:
        bits += random.randrange(1, 200)
        return random.getrandbits(bits) | 1, bits
    return random.getrandbits(bits), bits


def _sequence(random: Random, type_: Any, above: tuple[Any, ...]) -> Both:
    reference: dict[str, Any] = {}
    tree: dict[str, Any] = {}
    decoded: dict[str, Any] = {}
    likelihood = 0.6 if len(above) < 8 else 0.25
    grouped = {name for group in (type_._ext_group or {}).values() for name in group} if type_._ext else set()
    for name, component in type_._cont.items():
        is_extension = name in (type_._ext or ())
        if name in grouped:
            continue  # the reference refuses groups in part; they have tests of their own
        if (component._opt or component._def is not None or is_extension) and random.random() > likelihood:
            if component._def is not None:
                tree[name] = decoded[name] = component._def
            continue
        try:
            if component.TYPE == "OPEN_TYPE":
                inner = _open_value(random, component, reference, above)
                governor = component._const_tab_at[1]
                tree[governor] = decoded[governor] = reference[governor]
            else:
                inner = _value(random, component, above)
        except _WithinItselfError:
            if component._opt or is_extension:
                continue
            raise
        if component._def is not None and inner.reference == component._def:
            tree[name], decoded[name] = inner.tree, inner.decoded
            continue
        reference[name], tree[name], decoded[name] = inner.reference, inner.tree, inner.decoded
    return Both(reference, tree, decoded)


def _open_value(random: Random, component: Any, reference: dict[str, Any], above: tuple[Any, ...]) -> Both:
    governor = component._const_tab_at[1]
    known = component._const_tab._val.root
    if known and len(above) < 20 and random.random() < 0.7:
        chosen = random.choice(known)
        reference[governor] = chosen["id"]
        inner = _value(random, chosen["Type"], above)
        name = chosen["Type"]._typeref.called[1]
        return Both((name, inner.reference), inner.tree, (name, inner.decoded))
    keys = {fields["id"] for fields in known}
    reference[governor] = random.choice([key for key in range(256) if key not in keys])
    content = random.randbytes(random.choice([1, 2, 127, 128, 200]))
    return Both(("_unk_004", content), content, ("_unk_004", content))
