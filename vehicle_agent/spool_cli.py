"""`vehicle-agent spool check|recover`: whether the vehicle's records are whole, and what to do when they are not."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from shared.core.errors import StorageError
from shared.service.config import load
from shared.service.database import is_corrupt, open_read_only
from shared.service.spool import Spool
from shared.service.spool_format import SPOOL_FORMAT
from shared.service.spool_recovery import recover_spool
from shared.service.state_lock import locked
from vehicle_agent.config import VehicleConfig

DEFAULT_CONFIG = Path("/etc/v2x-trust/vehicle-agent.toml")

app = typer.Typer(name="spool", help="The vehicle's store of records.", no_args_is_help=True, rich_markup_mode=None)

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="Configuration file (TOML).")]


@app.command()
def check(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Look through all of it, also beside a running agent; the exit status is 1 where something is wrong."""
    path = load(config, VehicleConfig).state.spool
    typer.echo(f"{path}: {_look_through(path)} record(s), all of them whole and in their places")


@app.command()
def recover(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Put a damaged spool aside and go on with every record that can still be read, from the first on; no agent may run.

    The damaged file is kept beside it. The next record says that the sequence was resumed, and what was saved is proven anew. A
    spool with which nothing is wrong is left as it is.
    """
    path = load(config, VehicleConfig).state.spool
    with locked(path):
        try:
            count = _look_through(path)
        except StorageError as damage:
            if not is_corrupt(damage) and "is cut short" not in damage.reason:
                raise
            typer.echo(f"{damage}", err=True)
        else:
            typer.echo(f"{path}: {count} record(s), all of them whole: nothing was changed")
            return
        done = recover_spool(path)
    last = "none" if done.last_seq is None else f"the last is number {done.last_seq}"
    typer.echo(f"{path}: {done.saved} record(s) saved, {last}; the damaged file is kept as {done.kept_as}")


def _look_through(path: Path) -> int:
    with closing(Spool(path, open_read_only(path, SPOOL_FORMAT))) as spool:
        spool.check_all()
        return sum(spool.counts().values())
