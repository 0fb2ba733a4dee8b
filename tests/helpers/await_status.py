"""Wait until a running agent's status says so: `python -m tests.helpers.await_status SOCKET sent.cam>=6 buses.can0.is_up==true`.

A test that waits for what it is about holds on a slow machine as on a fast one. When every condition holds, the status is printed;
when the time is up, the last one goes to standard error with what is missing, and the exit status is 1.
"""

import json
import operator
import re
import select
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from shared.core.errors import TransportError
from shared.service.status_socket import read_status

LIMIT_S = 240.0
"""A deadline, not a measure: far beyond what any machine needs."""

INTERVAL_S = 0.25

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {">=": operator.ge, "==": operator.eq}
_CONDITION = re.compile(r"([a-z0-9_.]+)(>=|==)(.+)")


def holds(status: object, condition: str) -> bool:
    """Say whether a status fulfils `path.to.value>=number` or `path.to.value==JSON value or other path`."""
    parts = _CONDITION.fullmatch(condition)
    assert parts is not None, condition
    value = _at(status, parts[1])
    wanted = _at(status, parts[3]) if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", parts[3]) else json.loads(parts[3])
    return value is not None and _COMPARISONS[parts[2]](value, wanted)


def await_status(socket: Path, conditions: Sequence[str]) -> int:
    """Poll until all conditions hold or the time is up; returns the exit status."""
    until = time.monotonic() + LIMIT_S  # noqa: TID251 - the real time in which a real program acts
    said: object = None
    while True:
        try:
            said = read_status(socket)
        except TransportError as not_yet:
            said = str(not_yet)
        missing = [condition for condition in conditions if not holds(said, condition)]
        if not missing:
            print(json.dumps(said))  # noqa: T201 - a program's output
            return 0
        if time.monotonic() > until:  # noqa: TID251
            print(f"{missing} not true of {said}", file=sys.stderr)  # noqa: T201
            return 1
        select.select([], [], [], INTERVAL_S)


def main() -> None:
    """Wait as the command line says."""
    sys.exit(await_status(Path(sys.argv[1]), sys.argv[2:]))


def _at(status: object, path: str) -> object:
    for name in path.split("."):
        status = status.get(name) if isinstance(status, dict) else None
    return status


if __name__ == "__main__":
    main()
