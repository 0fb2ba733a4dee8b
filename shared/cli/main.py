"""The `v2x` command: mounts one file per subcommand and nothing else."""

from typing import NoReturn

import typer

from shared.cli import entry, passport, pki

app = typer.Typer(name="v2x", help="Tools of v2x-trust.", no_args_is_help=True, add_completion=False)
app.add_typer(pki.app, name="pki")
app.add_typer(passport.app, name="passport")


def main() -> NoReturn:
    """Run `v2x`."""
    entry.run(app, "v2x")
