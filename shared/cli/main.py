"""The `v2x` command: mounts one file per subcommand and nothing else; of these it loads the one that is called."""

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import NoReturn

import typer

from shared.cli.entry import run

COMMANDS: Mapping[str, str] = {
    "decode": "shared.cli.decode:decode",
    "verify": "shared.cli.verify:verify",
    "replay-radio": "shared.cli.replay_radio:replay_radio",
    "pki": "shared.cli.pki:app",
    "passport": "shared.cli.passport:app",
    "record": "shared.cli.record:app",
    "data": "shared.cli.data:app",
    "ledger": "shared.cli.ledger:app",
    "mqtt": "shared.cli.mqtt:app",
    "bench": "shared.cli.bench:bench",
}
"""Each subcommand, and where it is: a function, or an application with subcommands of its own."""


def make_app(*names: str) -> typer.Typer:
    """Return the command with some of its subcommands, or with all of them where none is named."""
    app = typer.Typer(name="v2x", help="Tools of v2x-trust.", no_args_is_help=True, add_completion=False)
    app.callback()(_tools)  # with a single subcommand it is a command with subcommands still
    for name in names or COMMANDS:
        module, _, attribute = COMMANDS[name].partition(":")
        subcommand = getattr(import_module(module), attribute)
        if isinstance(subcommand, typer.Typer):
            app.add_typer(subcommand, name=name)
        else:
            app.command(name=name)(subcommand)
    return app


def _tools() -> None:
    """Tools of v2x-trust."""


def main() -> NoReturn:
    """Run `v2x`."""
    run(make_app(*(name for name in sys.argv[1:2] if name in COMMANDS)), "v2x")


def __getattr__(name: str) -> typer.Typer:
    """Return `app`, the command with all its subcommands, to whoever asks for it."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return make_app()
