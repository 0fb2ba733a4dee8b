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
from rsu_agent.composition import make_agent, read_parts
from rsu_agent.config import RsuConfig
from rsu_agent.console.http_door import read_http
from rsu_agent.evidence_cli import evidence
from rsu_agent.evidence_open import check_evidence
from rsu_agent.hazard_feeds import describe_hazard_ways
from rsu_agent.live_view import watch
from rsu_agent.map_command import map_command
from rsu_agent.shell import serve
from rsu_agent.sign_files import load_signs
from rsu_agent.signal_controllers.feeds import describe_feed
from rsu_agent.status_view import status_tables
from rsu_agent.witness import read_witness_logs
from shared.cli import entry
from shared.cli.enrol import PublicKeyOption, RefreshOption, enrol
from shared.cli.station_check import describe_state, describe_trust
from shared.core.clock import TimeSource
from shared.core.errors import ConfigError
from shared.pki.permission_sets import StationRole
from shared.service.capture import describe_capture
from shared.service.command_socket import give_order
from shared.service.config import load
from shared.service.identity import describe_ticket
from shared.service.ledger_token import read_ledger_token
from shared.service.log import make_logger
from shared.service.notify import Notifier, Watchdog
from shared.service.open_radios import describe_radios
from shared.service.run import Service, run_service
from shared.service.socket_path import check_socket_path
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
app.command()(evidence)
app.command("map")(map_command)


def main() -> NoReturn:
    """Run `rsu-agent`."""
    entry.run(app, "rsu-agent")


@app.command()
def run(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run as a service: listen, tell lights, map and hazards."""
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
    """Get a credential and tickets from the authorities that `[pki]` and the trust lists name."""
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
    """Check the configuration and every file it names: plan and map against each other, hazards, ticket and trust."""
    settings = load(config, RsuConfig)
    parts = read_parts(settings, config, environment=os.environ)
    make_agent(parts, entropy=os.urandom)
    check_socket_path(settings.state.status_socket, key="state.status_socket")
    if settings.state.command_socket is not None:
        check_socket_path(settings.state.command_socket, key="state.command_socket")
    console = Console()
    if parts.junction is not None:
        lanes = parts.junction.lanes
        groups = ", ".join(str(group) for group in sorted(lanes.signal_groups))
        console.print(f"junction {lanes.name!r}: {len(lanes.lanes)} lanes, signal groups {groups}, no conflicting greens")
        if parts.junction.place is not None:
            console.print(describe_feed(parts.junction.place, environment=os.environ))
    console.print(f"{len(parts.hazards)} hazard(s)")
    for line in describe_hazard_ways(settings, environment=os.environ):
        console.print(line)
    if settings.signs is not None:
        console.print(f"{len(parts.signs)} road sign(s)")
    ticket = "tickets from the authorities" if parts.ticket is None else describe_ticket(parts.ticket)
    clock = SystemClock(TimeSource(settings.time.source))
    trusted = describe_trust(parts.trust_store, folder=settings.identity.trust, trust=settings.trust, now=clock.now())
    console.print(f"{ticket}; {trusted}")
    for line in describe_state(config_file=config, command="rsu-agent", trust=settings.trust, pki=settings.pki, now=clock.now()):
        console.print(line)
    for line in (*describe_radios(settings.radio), *describe_capture(settings.capture)):
        console.print(line)
    if settings.evidence is not None:
        console.print(check_evidence(settings.evidence, environment=os.environ))
    if settings.http is not None:
        found = read_http(settings.http, environment=os.environ)
        way = "in the clear" if found.tls is None else "over TLS"
        orders = "shows only" if found.token is None else "takes an operator's orders"
        console.print(f"console on {settings.http.listen}, {way}: {orders}")
    if settings.ledger_relay is not None:
        read_ledger_token(settings.ledger_relay.token, environment=os.environ)
        console.print(f"relays the log at {', '.join(settings.ledger_relay.upstream)} on {settings.ledger_relay.listen}")
    if settings.metrics is not None:
        console.print(f"metrics on {settings.metrics.listen}")
    if settings.witness is not None:
        logs = read_witness_logs(settings.witness)
        named = ", ".join(sorted({log.key.name for log in logs.logs}))
        console.print(f"witness {settings.witness.name} on {settings.witness.listen} for {named}")
    console.print(f"{config}: ok")


@app.command()
def status(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the status as one JSON document.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Print the tables once instead of refreshing them.")] = False,
) -> None:
    """Show neighbours, lights, hazards and counters of a running unit; live at a terminal, until Ctrl-C."""
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
    """Have a running unit read its file of road signs anew: new ones are said, changed ones updated, missing ones cancelled."""
    settings = load(config, RsuConfig)
    if settings.signs is None:
        raise ConfigError(f"{config}: signs", "names no file of road signs")
    if settings.state.command_socket is None:
        raise ConfigError(f"{config}: state.command_socket", "is needed to give a running unit orders")
    load_signs(settings.signs)
    said = give_order(settings.state.command_socket, {"order": "read_signs"})["signs"]
    numbers = ", ".join(str(number) for number in said) if isinstance(said, list) else ""
    typer.echo(f"signs {numbers} are said" if numbers else "no sign is said any more")


@app.command()
def negate(
    station_id: Annotated[int, typer.Argument(help="Who announced the event, as the status shows it.")],
    sequence_number: Annotated[int, typer.Argument(help="Its number there.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Have a running unit say that an event which others tell of is not there.

    It says so for ten seconds, and stops passing the event on. A vehicle drops the event once two stations have said so.
    """
    socket = load(config, RsuConfig).state.command_socket
    if socket is None:
        raise ConfigError(f"{config}: state.command_socket", "is needed to give a running unit orders")
    give_order(socket, {"order": "negate", "station_id": station_id, "sequence_number": sequence_number})
    typer.echo(f"event {sequence_number} of station {station_id} is denied")
