"""Whether a Unix socket can be at a path at all: what a configuration is checked for before any agent runs."""

import os
from pathlib import Path

from shared.core.errors import ConfigError

MAX_SOCKET_PATH_OCTETS = 107
"""`sun_path` of Linux less its zero."""

BESIDE_OCTETS = len(".") + len(".4194304")
"""By how much the name is longer under which a socket is made: a dot before it, and the largest process number behind."""


def check_socket_path(path: Path, *, key: str) -> None:
    """Raise `ConfigError` for a path where no socket can ever be: it is too long, or taken by something that is none."""
    surplus = len(os.fsencode(path)) + BESIDE_OCTETS - MAX_SOCKET_PATH_OCTETS
    if surplus > 0:
        raise ConfigError(key, f"{path} is too long for a socket by {surplus} octets")
    if path.exists() and not path.is_socket():
        raise ConfigError(key, f"{path} exists and is no socket")
