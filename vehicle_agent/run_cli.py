"""`vehicle-agent run`: the service, without what only the other commands need; a car waits for it at every start.

What a person or a desk asks for (`replay`, `learn`, `status`, the orders of its holder) is in `vehicle_agent.cli`, which has this
command too.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

import shared.service.plain_structlog
import shared.transport.python_can  # noqa: F401 - both before what would import more of structlog and python-can
from shared.cli import entry
from shared.service.config import load
from shared.service.log import make_logger
from shared.service.notify import Notifier, Watchdog
from shared.service.run import Service, run_service
from vehicle_agent.config import VehicleConfig
from vehicle_agent.shell import serve

DEFAULT_CONFIG = Path("/etc/v2x-trust/vehicle-agent.toml")

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="Configuration file (TOML).")]

app = typer.Typer(name="vehicle-agent", no_args_is_help=True, add_completion=False, rich_markup_mode=None)


def main() -> NoReturn:
    """Run `vehicle-agent run`."""
    entry.run(app, "vehicle-agent")


@app.callback()
def agent() -> None:
    """The in-vehicle edge agent."""


@app.command()
def run(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run as a service: read the bus, speak, listen, record."""
    settings = load(config, VehicleConfig)
    log = make_logger(sys.stderr)
    notifier = Notifier.from_environment(os.environ)

    async def body(service: Service) -> None:
        await serve(settings, config, service, log)

    raise typer.Exit(run_service(body, notifier=notifier, watchdog=Watchdog.from_environment(notifier, os.environ)))
