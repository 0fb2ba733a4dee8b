"""How every command of the project ends: one sentence on standard error and a status, never a traceback.

Status 0 is success; 1 a failure: a refused message, a proof that does not prove, a bus that is gone; 2 wrong usage or a wrong
configuration. Every command is hardened first, because many hold a key: none leaves a core dump.
"""

import sys
from io import TextIOWrapper
from typing import NoReturn

import typer

from shared.service.hardening import harden_process
from shared.service.run import error_line, exit_code_of


def run(app: typer.Typer, name: str) -> NoReturn:
    """Run a typer application as the program `name` and exit with its status (typer itself exits 2 on wrong usage)."""
    harden_process()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without a character shows its number
    try:
        app(prog_name=name)
    except Exception as error:  # noqa: BLE001 - the outermost frame: whatever comes ends the program with a sentence
        sys.stderr.write(f"{name}: {error_line(error)}\n")
        sys.exit(exit_code_of(error))
    sys.exit(0)
