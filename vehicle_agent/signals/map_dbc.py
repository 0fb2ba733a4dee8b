"""The messages that a signal map names, found in its DBC files.

A map may name several files: the public one of its maker and a small one beside the map for a message the public one lacks. Each
file is read with what it imports, and only the messages the map names are parsed (`vehicle_agent.signals.dbc_text`). A message that
two of the files describe is refused: it would be unclear which of them is meant. So is one that a file describes under two
identifiers, unless the map says which (`[messages.NAME] id`).
"""

from collections.abc import Mapping
from pathlib import Path

from shared.core.errors import ConfigError
from vehicle_agent.signals.dbc import MAX_DBC_BYTES, Dbc, parse_dbc, read_dbc, resolve_reference
from vehicle_agent.signals.dbc_text import DbcText, imports

MAX_IMPORTS = 16
"""Files one DBC may import, directly or through another."""

MAX_DBC_FILES = 8
"""Files one map may name."""


def load_dbcs(references: tuple[str, ...], wanted: Mapping[str, int | None], *, relative_to: Path, key: str) -> Dbc:
    """Read the DBC files of a map and parse the messages `wanted` of them.

    Args:
        references: the files, each a path or `package:NAME/path/inside`.
        wanted: names of messages, each with the identifier the map says it has; those that no file describes are left out.
        relative_to: directory that relative paths start from.
        key: file and key of the configuration that names them, for the error.

    Raises:
        ConfigError: a file cannot be read, is no DBC, or it is unclear which of several messages of one name is meant.
    """
    if not 1 <= len(references) <= MAX_DBC_FILES:
        raise ConfigError(key, f"a map names 1 to {MAX_DBC_FILES} DBC files, not {len(references)}")
    loaded = [_load(resolve_reference(reference, relative_to=relative_to, key=key), wanted, key=key) for reference in references]
    described = [name for dbc in loaded for name in dbc.message_names()]
    for name, identifier in wanted.items():
        if identifier is not None and name not in described:
            raise ConfigError(key, f"no message {name} has the identifier {identifier:#x}")
    if len(loaded) == 1:
        return loaded[0]
    found: dict[str, Dbc] = {}
    for dbc in loaded:
        for name in dbc.message_names():
            other = found.setdefault(name, dbc)
            if other is not dbc and name in wanted:
                raise ConfigError(key, f"message {name} is described by {other.path} and by {dbc.path}")
    sources = [dbc.message(name).source for name, dbc in found.items()]
    return Dbc(", ".join(dbc.path for dbc in loaded), sources)


def read_with_imports(path: Path, *, key: str) -> str:
    """Return the text of a DBC behind the text of everything it imports; raises `ConfigError` where that is too much."""
    parts: list[str] = []
    seen: set[str] = set()
    pending = [path.name]
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        if len(seen) > MAX_IMPORTS + 1:
            raise ConfigError(key, f"the DBC {path} imports more than {MAX_IMPORTS} files")
        text = read_dbc(path.with_name(name), key=key)
        parts.insert(0, text)
        if sum(map(len, parts)) > MAX_DBC_BYTES:
            raise ConfigError(key, f"the DBC {path} with its imports is larger than {MAX_DBC_BYTES} bytes")
        pending.extend(imports(text))
    return "\n".join(parts)


def _load(path: Path, wanted: Mapping[str, int | None], *, key: str) -> Dbc:
    """Parse the wanted messages of a file; the whole of it where its text alone does not tell which these are."""
    text = read_with_imports(path, key=key)
    parts = DbcText(text)
    described = parts.identifiers()
    for name, identifier in wanted.items():
        numbers = [f"{number:#x}" for number, _ in described.get(name, ())]
        if identifier is None and len(numbers) > 1:
            which = f"say which by [messages.{name}] id = {numbers[0]}"
            raise ConfigError(key, f"{path} describes message {name} as {' and as '.join(numbers)}: {which}")
    if described and not parts.has_long_names:
        chosen = parts.only(wanted)
        return parse_dbc(chosen, path=path, key=key) if chosen else Dbc(str(path), ())
    return parse_dbc(text, path=path, key=key)
