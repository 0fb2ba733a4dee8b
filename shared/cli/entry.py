"""How every command of the project ends: one sentence on standard error and a status, never a traceback.

Status 0 is success; 1 a failure: a refused message, a proof that does not prove, a bus that is gone; 2 wrong usage or a wrong
configuration.
"""

import sys
from typing import NoReturn

import typer

from shared.core.errors import ConfigError, V2xError

EXIT_FAILED = 1
EXIT_USAGE = 2


def run(app: typer.Typer, name: str) -> NoReturn:
    """Run a typer application as the program `name` and exit with its status (typer itself exits 2 on wrong usage)."""
    try:
        app(prog_name=name)
    except V2xError as error:
        sys.stderr.write(f"{name}: {error}\n")
        sys.exit(EXIT_USAGE if isinstance(error, ConfigError) else EXIT_FAILED)
    sys.exit(0)
