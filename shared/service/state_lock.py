"""One program at a time on a file of state.

`enrol` beside a running agent would ask for the same ticket twice, and two agents on one spool would take each other's readings for
a rollback. The lock is a file beside it, `FILE.lock`, held with flock by whoever has FILE open; by being there it says nothing. Who
only looks (`check-config`) takes none.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.core.errors import StorageError

_MODE = 0o600

IN_USE = "is in use by another program; a running agent has it to itself"


@contextmanager
def locked(path: Path, *, taken: str = IN_USE) -> Iterator[None]:
    """Keep every other program off a file; the kernel lets go of it however this one ends.

    Args:
        path: the file.
        taken: what is said when another program has it.

    Raises:
        StorageError: another program has it, or the file beside it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, _MODE)
    except OSError as error:
        raise StorageError(str(path), f"cannot be locked: {error.strerror or error}") from error
    try:
        _lock(descriptor, path, taken)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path, taken: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StorageError(str(path), taken) from None
    except OSError as error:
        raise StorageError(str(path), f"cannot be locked: {error.strerror or error}") from error
