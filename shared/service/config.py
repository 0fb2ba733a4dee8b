"""Configuration: TOML into frozen structs, with every mistake named by file and key.

A program declares its configuration as `ConfigStruct`s; `load` reads one. Unknown keys are refused, because a misspelt option that
is silently ignored is how a security setting gets lost. A field annotated `Path` may be written relative: it is resolved against
the folder of the file that names it, so a configuration can be moved as a folder; `package:NAME/path/inside` is a file that an
installed Python package ships. There are no defaults from the environment.
"""

import importlib.util
import re
import tomllib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TypeVar

import msgspec

from shared.core.errors import ConfigError

MAX_CONFIG_OCTETS = 1 << 20
"""Longer files are refused unread."""

PACKAGE_PREFIX = "package:"
"""Begins what names a file of an installed Python package."""


class ConfigStruct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every table of a configuration: immutable, no key it does not know.

    Declare a table as `class RadioConfig(ConfigStruct, frozen=True, kw_only=True)`: type checkers do not inherit `frozen`, and
    `kw_only` lets a required key follow an optional one. A subclass may refuse impossible values in `__post_init__` with
    ValueError; the sentence reaches the operator with the key.
    """


T = TypeVar("T", bound=ConfigStruct)

_STEPS = re.compile(r"[^.\[\]]+|\[[^\]]*\]")
"""The steps of `radio[0].qos[...]`, each index one of them."""


_UNKNOWN_KEY = "unknown key"

_TABLE_FOR_ARRAY = "Expected `array`, got `object`"


def load(path: Path, struct_type: type[T]) -> T:
    """Read one configuration file.

    Args:
        path: a TOML file of at most `MAX_CONFIG_OCTETS`.
        struct_type: what it must contain.

    Raises:
        ConfigError: the file cannot be read, is not TOML, or does not fit; `path` names the file and the key.
    """
    table = load_table(path)

    def from_text(type_: type, value: object) -> object:
        if type_ is Path:
            if not isinstance(value, str) or not value or "\0" in value:
                raise ValueError("expected the path of a file or folder")
            return packaged(value) if value.startswith(PACKAGE_PREFIX) else resolve(path, value)
        raise TypeError(f"no way to read a {type_.__name__} from TOML")

    try:
        return msgspec.convert(table, type=struct_type, strict=True, dec_hook=from_text)
    except msgspec.ValidationError as error:
        reason, key = _split_key(str(error))
        kind = msgspec.inspect.type_info(struct_type)
        steps = _named(kind, _STEPS.findall(key), table, from_text)
        key = _joined(steps)
        allowed = _allowed(kind, steps)
        if allowed and reason.startswith(("Invalid enum value", "Invalid value")):
            reason = f"{reason}; it may be {', '.join(repr(value) for value in allowed)}"
        if reason.startswith(_UNKNOWN_KEY):
            known = _known_keys(kind, steps, table)
            reason = f"{reason}; the keys here are {', '.join(known)}" if known else reason
        if reason == _TABLE_FOR_ARRAY and _holds_tables(kind, steps):
            reason = f"there is a [[{key}]] table for each; this is a single [{key}]"
        raise ConfigError(f"{path}: {key}" if key else str(path), reason) from None


def load_table(path: Path) -> dict[str, object]:
    """Read a TOML file as nested tables; raises `ConfigError` when it cannot be read or parsed."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_CONFIG_OCTETS + 1)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from error
    if len(raw) > MAX_CONFIG_OCTETS:
        raise ConfigError(str(path), f"longer than {MAX_CONFIG_OCTETS} octets")
    try:
        return tomllib.loads(raw.decode())
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), f"not UTF-8 at octet {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(path), f"not TOML: {error}") from None
    except ValueError:  # the interpreter reads no number of thousands of digits
        raise ConfigError(str(path), "not TOML: a number of too many digits") from None
    except RecursionError:
        raise ConfigError(str(path), "nested too deeply") from None


def resolve(config_file: Path, text: str) -> Path:
    """Return the path `text` means inside `config_file`: absolute as it is, relative from the file's folder."""
    return (config_file.parent / Path(text).expanduser()).absolute()


def packaged(reference: str) -> Path:
    """Return the file that `package:NAME/path/inside` means; ValueError where the package is not installed, or it leaves it."""
    inside = PurePosixPath(reference.removeprefix(PACKAGE_PREFIX))
    if len(inside.parts) < 2 or inside.is_absolute() or ".." in inside.parts:
        raise ValueError(f"{reference!r} is not package:NAME/path/inside")
    package = inside.parts[0]
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        found = None
    if found is None or not found.submodule_search_locations:
        raise ValueError(f"the Python package {package!r} is not installed (pip install {package})")
    return Path(found.submodule_search_locations[0]).joinpath(*inside.parts[1:])


def _split_key(message: str) -> tuple[str, str]:
    """Take ``Expected `int`, got `str` - at `$.radio.port``` apart into the sentence and `radio.port`."""
    reason, _, where = message.rpartition(" - at `$")
    if not reason:
        return _plain(message), ""
    return _plain(reason), where.rstrip("`").lstrip(".")


def _named(kind: msgspec.inspect.Type, keys: list[str], value: object, from_text: Callable[[type, object], object]) -> list[str]:
    """Return `keys` with the name of the table that is wrong where msgspec says no more than that one of several is."""
    match kind, keys:
        case msgspec.inspect.StructType(fields=fields), [key, *further]:
            found = next((field.type for field in fields if field.encode_name == key), None)
            return keys if found is None else [key, *_named(found, further, _entry(value, key), from_text)]
        case msgspec.inspect.DictType(value_type=msgspec.inspect.StructType(cls=cls) as item), ["[...]", *further]:
            for name, entry in value.items() if isinstance(value, dict) else ():
                try:
                    msgspec.convert(entry, type=cls, strict=True, dec_hook=from_text)
                except msgspec.ValidationError:
                    return [name, *_named(item, further, entry, from_text)]
    return keys


def _joined(steps: list[str]) -> str:
    """Return steps as one key, `radio[0].port`."""
    return "".join(step if step.startswith("[") else f".{step}" for step in steps).removeprefix(".")


def _allowed(kind: msgspec.inspect.Type, keys: list[str]) -> tuple[object, ...]:
    """Return the words a key may have, where it names one of a few; `keys` leads to it from the struct `kind`."""
    match kind, keys:
        case msgspec.inspect.Metadata(type=inner), _:
            return _allowed(inner, keys)
        case msgspec.inspect.UnionType(types=types), _:
            return tuple(value for each in types for value in _allowed(each, keys))
        case msgspec.inspect.StructType(tag_field=tag_field, tag=tag), [key] if key == tag_field:
            return (tag,)
        case msgspec.inspect.StructType(fields=fields), [key, *further]:
            found = next((field.type for field in fields if field.encode_name == key), None)
            return () if found is None else _allowed(found, further)
        case msgspec.inspect.VarTupleType(item_type=item) | msgspec.inspect.ListType(item_type=item), [_, *further]:
            return _allowed(item, further)
        case msgspec.inspect.DictType(value_type=item), [_, *further]:
            return _allowed(item, further)
        case msgspec.inspect.LiteralType(values=values), []:
            return tuple(values)
        case msgspec.inspect.EnumType(cls=cls), []:
            return tuple(member.value for member in cls)
    return ()


def _holds_tables(kind: msgspec.inspect.Type, keys: list[str]) -> bool:
    """Whether the key that `keys` lead to from `kind` is an array of tables."""
    match kind, keys:
        case msgspec.inspect.Metadata(type=inner), _:
            return _holds_tables(inner, keys)
        case msgspec.inspect.UnionType(types=types), _:
            return any(_holds_tables(each, keys) for each in types)
        case msgspec.inspect.StructType(fields=fields), [key, *further]:
            return any(_holds_tables(field.type, further) for field in fields if field.encode_name == key)
        case msgspec.inspect.VarTupleType(item_type=item) | msgspec.inspect.ListType(item_type=item), []:
            tables = item.types if isinstance(item, msgspec.inspect.UnionType) else (item,)
            return all(isinstance(each, msgspec.inspect.StructType) for each in tables)
        case msgspec.inspect.VarTupleType(item_type=item) | msgspec.inspect.ListType(item_type=item), [_, *further]:
            return _holds_tables(item, further)
    return False


def _known_keys(kind: msgspec.inspect.Type, keys: list[str], value: object) -> tuple[str, ...]:
    """Return the keys of the table that `keys` leads to, in `value` as in the struct `kind`; of several kinds, of the one meant."""
    match kind, keys:
        case msgspec.inspect.Metadata(type=inner), _:
            return _known_keys(inner, keys, value)
        case msgspec.inspect.UnionType(types=types), _:
            return next((known for each in types if (known := _known_keys(each, keys, value))), ())
        case msgspec.inspect.StructType(tag_field=tag_field, tag=tag), _ if tag_field and _entry(value, tag_field) != tag:
            return ()
        case msgspec.inspect.StructType(fields=fields, tag_field=tag_field), []:
            return (*((tag_field,) if tag_field else ()), *(field.encode_name for field in fields))
        case msgspec.inspect.StructType(fields=fields), [key, *further]:
            found = next((field.type for field in fields if field.encode_name == key), None)
            return () if found is None else _known_keys(found, further, _entry(value, key))
        case (
            msgspec.inspect.VarTupleType(item_type=item)
            | msgspec.inspect.ListType(item_type=item)
            | msgspec.inspect.DictType(value_type=item),
            [step, *further],
        ):
            return _known_keys(item, further, _entry(value, step))
    return ()


def _entry(value: object, step: str) -> object:
    """Return what a key or an index such as `[0]` leads to; None where it leads nowhere."""
    if isinstance(value, list) and step[1:-1].isdecimal():
        return value[int(step[1:-1])]
    return value.get(step) if isinstance(value, dict) else None


def _plain(reason: str) -> str:
    return reason.replace("Object contains unknown field", _UNKNOWN_KEY).replace("Object missing required field", "missing key")
