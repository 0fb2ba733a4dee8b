"""The messages that a signal map names, found in its DBC files.

A map may name several files: the public one of its maker and a small one beside the map for a message the public one lacks. Each
file is read with what it imports, and only the messages the map names are parsed (`vehicle_agent.signals.dbc_text`). A message that
two of the files describe is refused: it would be unclear which of them is meant.
"""

from collections.abc import Iterable
from pathlib import Path

from cantools.database.can import Database

from shared.core.errors import ConfigError
from vehicle_agent.signals.dbc import MAX_DBC_BYTES, Dbc, parse_dbc, read_dbc, resolve_reference
from vehicle_agent.signals.dbc_text import DbcText, imports

MAX_IMPORTS = 16
"""Files one DBC may import, directly or through another."""

MAX_DBC_FILES = 8
"""Files one map may name."""


def load_dbcs(references: tuple[str, ...], names: Iterable[str], *, relative_to: Path, key: str) -> Dbc:
    """Read the DBC files of a map and parse the messages `names` of them.

    Args:
        references: the files, each a path or `package:NAME/path/inside`.
        names: messages wanted; those that no file describes are left out.
        relative_to: directory that relative paths start from.
        key: file and key of the configuration that names them, for the error.

    Raises:
        ConfigError: a file cannot be read, is no DBC, or describes a message that another describes too.
    """
    if not 1 <= len(references) <= MAX_DBC_FILES:
        raise ConfigError(key, f"a map names 1 to {MAX_DBC_FILES} DBC files, not {len(references)}")
    wanted = tuple(dict.fromkeys(names))
    loaded = [_load(resolve_reference(reference, relative_to=relative_to, key=key), wanted, key=key) for reference in references]
    if len(loaded) == 1:
        return loaded[0]
    found: dict[str, Dbc] = {}
    for dbc in loaded:
        for name in dbc.message_names():
            other = found.setdefault(name, dbc)
            if other is not dbc and name in wanted:
                raise ConfigError(key, f"message {name} is described by {other.path} and by {dbc.path}")
    sources = [dbc.message(name).source for name, dbc in found.items()]
    return Dbc(", ".join(dbc.path for dbc in loaded), Database(messages=sources, strict=False))


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


def _load(path: Path, wanted: tuple[str, ...], *, key: str) -> Dbc:
    """Parse the wanted messages of a file; the whole of it where its text alone does not tell which these are."""
    text = read_with_imports(path, key=key)
    parts = DbcText(text)
    described = parts.names()
    if described and not parts.has_long_names:
        chosen = parts.only(wanted)
        return parse_dbc(chosen, path=path, key=key) if chosen else Dbc(str(path), Database(messages=[], strict=False))
    return parse_dbc(text, path=path, key=key)
