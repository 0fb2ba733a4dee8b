"""The `rsu-agent` command: run | check-config | enrol | status | signs | negate | hazard."""

import json
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from rsu_agent import hazard_cli
from rsu_agent.check import Checkup
from rsu_agent.config import RsuConfig
from rsu_agent.evidence_cli import evidence
from rsu_agent.live_view import watch
from rsu_agent.map_command import map_command
from rsu_agent.shell import serve
from rsu_agent.sign_files import load_signs
from rsu_agent.status_view import status_tables
from shared.cli import entry
from shared.cli.enrol import PublicKeyOption, RefreshOption, enrol
from shared.core.clock import TimeSource
from shared.core.errors import ConfigError
from shared.pki.permission_sets import StationRole
from shared.service.command_socket import give_order
from shared.service.config import load
from shared.service.log import make_logger
from shared.service.notify import Notifier, Watchdog
from shared.service.run import Service, error_line, run_service
from shared.service.status_socket import read_status
from shared.service.system_clock import SystemClock

DEFAULT_CONFIG = Path("/etc/v2x-trust/rsu-agent.toml")

REFRESH_S = 1.0
"""How often a live status is read anew."""

app = typer.Typer(
    name="rsu-agent", help="The roadside unit's edge agent.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="Configuration file (TOML).")]

app.add_typer(hazard_cli.app)
app.command(short_help="Write a file that proves what the unit said at a moment.")(evidence)
app.command("map", short_help="Check a junction's map, and draw it.")(map_command)


def main() -> NoReturn:
    """Run `rsu-agent`."""
    entry.run(app, "rsu-agent")


@app.command()
def run(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run as a service."""
    settings = load(config, RsuConfig)
    log = make_logger(sys.stderr)
    clock = SystemClock(TimeSource(settings.time.source))
    if clock.source is TimeSource.ASSUME_TRUSTED:
        log.warning("the system clock is trusted unseen: for labs and simulation only")
    notifier = Notifier.from_environment(os.environ)

    async def body(service: Service) -> None:
        await serve(settings, config, service, clock=clock, log=log)

    raise typer.Exit(run_service(body, notifier=notifier, watchdog=Watchdog.from_environment(notifier, os.environ)))


@app.command("enrol")
def enrol_command(
    config: ConfigOption = DEFAULT_CONFIG,
    public_key: PublicKeyOption = None,
    *,
    refresh: RefreshOption = False,
) -> None:
    """Get a credential and tickets from authorities.

    Those are asked that `[pki]` and the trust lists name.
    """
    settings = load(config, RsuConfig)
    enrol(
        config_file=config,
        trust_folder=settings.identity.trust,
        trust=settings.trust,
        pki=settings.pki,
        role=StationRole.RSU,
        clock=SystemClock(TimeSource(settings.time.source)),
        public_key=public_key,
        refresh=refresh,
    )


@app.command("check-config")
def check_config(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Check the configuration and every file it names.

    All that is wrong is named at once: plan and map against each other, hazards, ticket, trust, keys, sockets.
    """
    settings = load(config, RsuConfig)
    clock = SystemClock(TimeSource(settings.time.source))
    checkup = Checkup(settings, config, environment=os.environ, now=clock.now())
    checkup.look(os.urandom)
    for line in checkup.found:
        typer.echo(line)
    mistakes = sorted(checkup.mistakes, key=lambda mistake: isinstance(mistake, ConfigError))
    for mistake in mistakes[:-1]:
        typer.echo(f"rsu-agent: {error_line(mistake)}", err=True)
    if mistakes:
        raise mistakes[-1]


@app.command()
def status(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the status as one JSON document.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Print the tables once instead of refreshing them.")] = False,
) -> None:
    """Show how a running unit is, and its peers.

    At a terminal the view is renewed until Ctrl-C; `--once` prints all tables, and `--json` all there is.
    """
    socket = load(config, RsuConfig).state.status_socket
    if as_json:
        typer.echo(json.dumps(read_status(socket)))
        return
    console = Console()
    if once or not console.is_terminal:
        console.print(status_tables(read_status(socket)))
        return
    watch(partial(read_status, socket), console, partial(time.sleep, REFRESH_S))


@app.command()
def signs(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Have a running unit read its road signs anew.

    New ones are said, changed ones updated, missing ones cancelled.
    """
    settings = load(config, RsuConfig)
    if settings.signs is None:
        raise ConfigError(f"{config}: signs", "names no file of road signs")
    load_signs(settings.signs)
    said = give_order(_command_socket(settings, config), {"order": "read_signs"})["signs"]
    numbers = ", ".join(str(number) for number in said) if isinstance(said, list) else ""
    typer.echo(f"signs {numbers} are said" if numbers else "no sign is said any more")


@app.command()
def negate(
    station_id: Annotated[int, typer.Argument(help="Who announced the event, as the status shows it.")],
    sequence_number: Annotated[int, typer.Argument(help="Its number there.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Have a running unit deny an event of others.

    It says for ten seconds that the event is not there, and stops passing the event on. A vehicle drops the event once two stations
    have said so.
    """
    socket = _command_socket(load(config, RsuConfig), config)
    give_order(socket, {"order": "negate", "station_id": station_id, "sequence_number": sequence_number})
    typer.echo(f"event {sequence_number} of station {station_id} is denied")


def _command_socket(settings: RsuConfig, config: Path) -> Path:
    if settings.state.command_socket is None:
        raise ConfigError(f"{config}: state.command_socket", "is needed to give a running unit orders")
    return settings.state.command_socket
