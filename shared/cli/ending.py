"""How a command ends: one sentence on standard error and a status, never a traceback; hardened first, for many hold a key.

Status 0 is success; 1 a failure: a refused message, a proof that does not prove, a bus that is gone; 2 wrong usage or a wrong
configuration.
"""

import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import NoReturn

from shared.service.hardening import harden_process
from shared.service.run import error_line, exit_code_of


def end_with(call: Callable[[], object], name: str) -> NoReturn:
    """Call `call` as the program `name` and exit with its status; it may exit by itself."""
    harden_process()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without a character shows its number
    try:
        call()
    except Exception as error:  # noqa: BLE001 - the outermost frame: whatever comes ends the program with a sentence
        sys.stderr.write(f"{name}: {error_line(error)}\n")
        sys.exit(exit_code_of(error))
    sys.exit(0)
