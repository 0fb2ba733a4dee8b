"""How every command with a typer application runs; how it ends is `shared.cli.ending`'s."""

from functools import partial
from typing import NoReturn

import typer

from shared.cli.ending import end_with


def run(app: typer.Typer, name: str) -> NoReturn:
    """Run a typer application as the program `name` and exit with its status (typer itself exits 2 on wrong usage)."""
    end_with(partial(app, prog_name=name), name)
