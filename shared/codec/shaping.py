"""Shapes applied to plain trees: the complete path between a tree and typed values.

It follows the schema and the shape side by side and handles every tree the schema allows, extensions included. Slow and sure:
the generated code does the same for the usual trees, and hands everything else to this.
"""

from collections.abc import Callable
from typing import Any

from shared.codec.bits import Fault
from shared.codec.shape import Choice, Field, Fields, Fixed, Items, Part, Plain, Record, Shape, With, fields_of, is_given
from shared.codec.uper import Tree, UperType
from shared.codec.uper_composites import Choice as ChoiceType
from shared.codec.uper_composites import Sequence, SequenceOf
from shared.core.errors import EncodeError


def to_value(shape: Shape, tree: Tree) -> Any:  # noqa: ANN401 - whatever the shape says
    """Return the value that `shape` makes of a tree; raises `Fault` for what the shape refuses although the schema allows it."""
    match shape:
        case Plain():
            return tree
        case Items():
            values = _items(shape, tree)
            return tuple([value for value in values if value is not None]) if shape.drop_unknown else tuple(values)
        case Record():
            fields = dict(shape.settled)
            if isinstance(shape.parts, Choice):
                _gather(shape.parts, tree, fields)
            else:
                _gather_all(shape.parts.items(), tree, fields)
            return shape.cls(**fields)
        case _:
            return shape.decode(tree)


def to_tree(shape: Shape, type_: UperType, value: Any, path: str) -> Tree:  # noqa: ANN401
    """Return the tree of a value; raises `EncodeError` with a path that begins with `path`."""
    match shape:
        case Plain():
            return value
        case Items():
            assert isinstance(type_, SequenceOf)
            return tuple([to_tree(shape.item, type_.item, one, f"{path}[{n}]") for n, one in enumerate(value)])
        case Record():
            if isinstance(shape.parts, Choice):
                return _tree_of_choice(shape.parts, type_, value, path)
            return _tree_of_parts(shape.parts.get, type_, value, path)
        case _:
            return shape.encode(path, value)


def _items(shape: Items, tree: Tree) -> list[Any]:
    values: list[Any] = []
    try:
        for one in tree:
            values.append(to_value(shape.item, one))  # noqa: PERF401 - how many there are says where it failed
    except Fault as fault:
        raise fault.within(f"[{len(values)}]") from None
    return values


def _gather_all(parts: Any, tree: Tree, fields: dict[str, Any]) -> None:  # noqa: ANN401 - the items of a mapping
    name = ""
    try:
        for name, part in parts:
            if name in tree:
                _gather(part, tree[name], fields)
            else:
                _leave_out(part, fields)
    except Fault as fault:
        raise fault.within(name) from None


def _gather(part: Part, tree: Tree, fields: dict[str, Any]) -> None:
    match part:
        case Field():
            fields[part.name] = to_value(part.shape, tree)
        case Fields():
            _gather_all(part.parts.items(), tree, fields)
        case With():
            fields.update(part.settled)
            _gather(part.part, tree, fields)
        case Fixed():
            if tree != part.number and tree not in part.also:
                raise Fault(f"{tree} where {part.number} belongs", 0)
        case Choice():
            alternative, inner = tree
            chosen = part.alternatives.get(alternative)
            if chosen is not None:
                _gather_all(((alternative, chosen),), {alternative: inner}, fields)
            elif part.later is not None:
                fields[part.later] = tree
            elif not part.tolerant:
                raise Fault(f"{alternative} belongs to a later version")


def _leave_out(part: Part, fields: dict[str, Any]) -> None:
    for one in fields_of(part):
        fields[one.name] = one.absent


def _tree_of_parts(part_named: Callable[[str], Part | None], type_: UperType, record: Any, path: str) -> dict[str, Tree]:  # noqa: ANN401
    assert isinstance(type_, Sequence)
    tree: dict[str, Tree] = {}
    for component in type_.components:
        part = part_named(component.name)
        if part is not None and (not component.optional or _is_sent(part, record, path)):
            tree[component.name] = _tree_of_part(part, component.type, record, path)
    for addition in type_.additions or ():
        parts = [(name, part) for name in addition.names if (part := part_named(name)) is not None]
        if not any(_is_sent(part, record, path) for _, part in parts):
            continue
        if addition.is_group:
            tree |= _tree_of_parts(dict(parts).get, addition.type, record, path)
        else:
            tree[addition.name] = _tree_of_part(parts[0][1], addition.type, record, path)
    return tree


def _is_sent(part: Part, record: Any, path: str) -> bool:  # noqa: ANN401
    given = is_given(part, record)
    if given and isinstance(part, Fields) and part.key is not None and getattr(record, part.key) is None:
        raise EncodeError(_join(path, part.key), "must be known when anything else that depends on it is")
    return given


def _tree_of_part(part: Part, type_: UperType, record: Any, path: str) -> Tree:  # noqa: ANN401
    match part:
        case Field():
            return to_tree(part.shape, type_, getattr(record, part.name), _join(path, part.name))
        case Fields():
            return _tree_of_parts(part.parts.get, type_, record, path)
        case With():
            return _tree_of_part(part.part, type_, record, path)
        case Fixed():
            return part.number
        case Choice():
            return _tree_of_choice(part, type_, record, path)


def _tree_of_choice(part: Choice, type_: UperType, record: Any, path: str) -> Tree:  # noqa: ANN401
    assert isinstance(type_, ChoiceType)
    alternative = part.selected(record)
    if part.by_given and sum(one.is_given(record) for one in fields_of(part)) > 1:
        raise EncodeError(path, part.demand)
    if alternative is None and part.later is not None:
        return _later(_join(path, part.later), getattr(record, part.later), part)
    if alternative is None:
        raise EncodeError(path, part.demand)
    inner = next(inner for name, inner in (*type_.root, *(type_.additions or ())) if name == alternative)
    return alternative, _tree_of_part(part.alternatives[alternative], inner, record, path)


def _later(path: str, tree: Tree, part: Choice) -> Tree:
    """Return an alternative of a later version, which is kept as a tree; raises `EncodeError` for any other value."""
    match tree:
        case (str(), bytes()):
            return tree
        case _:
            raise EncodeError(path, part.demand)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
