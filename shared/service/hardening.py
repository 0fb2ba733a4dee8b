"""What a process does at its start so that the keys in its memory stay there.

No core dump, whatever the unit or the shell allows; and no other process of the same user may attach to it or read its memory
(prctl(2), PR_SET_DUMPABLE). Left out: root, who may all the same, and swap space, which belongs on an encrypted disk or off.
"""

import ctypes
import resource
from contextlib import suppress

_PR_SET_DUMPABLE = 4
_NOT_DUMPABLE = 0


def harden_process() -> None:
    """Forbid core dumps and foreign eyes. Each is enough against core dumps, so that where one is not to be had the other holds."""
    if resource.getrlimit(resource.RLIMIT_CORE) != (0, 0):
        with suppress(OSError, ValueError):  # a unit may deny setrlimit(2)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(AttributeError, OSError):  # not Linux
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, _NOT_DUMPABLE, 0, 0, 0)
