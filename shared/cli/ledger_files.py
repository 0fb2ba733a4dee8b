"""What commands on a log's files have in common: where they are, in a node's directory or by themselves."""

import sys
from pathlib import Path

from shared.core.errors import ConfigError
from shared.operator.log_node_files import KEY_FILE, STORE_FILE


def store_of(place: Path) -> Path:
    """Return the log's file: that of a node's directory, or the one that is named itself; raises `ConfigError`."""
    path = place / STORE_FILE if place.is_dir() else place
    if not path.is_file():
        raise ConfigError(str(path), "is not there; a log is named by its node's directory, or by its file")
    return path


def key_of(place: Path, given: Path | None) -> Path:
    """Return the file of a log's key: the one that is given, or that of its node's directory; raises `ConfigError`."""
    if given is not None:
        return given
    if not place.is_dir():
        raise ConfigError("--key", "which file is the log's key? A node's directory says so, a log's file alone does not")
    return place / KEY_FILE


def say(text: str) -> None:
    """Print a sentence; what cannot be printed is shown as a question mark."""
    sys.stdout.write("".join(c if c.isprintable() else "?" for c in text) + "\n")
