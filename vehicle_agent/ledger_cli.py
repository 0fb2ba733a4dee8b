"""`vehicle-agent ledger evidence|acknowledge`: what to do when the log has contradicted itself."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from shared.core.errors import ConfigError, TransportError
from shared.service.command_socket import give_order
from shared.service.config import load
from vehicle_agent.config import VehicleConfig
from vehicle_agent.ledger_orders import MAX_EVIDENCE_OCTETS

DEFAULT_CONFIG = Path("/etc/v2x-trust/vehicle-agent.toml")

app = typer.Typer(name="ledger", help="What the running agent has against its log.", no_args_is_help=True, rich_markup_mode=None)

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="Configuration file (TOML).")]


@app.command()
def evidence(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON document.")] = False,
) -> None:
    """Show every contradiction of the log that nobody has acknowledged: two notes it signed that cannot both be true.

    The exit status is 1 while there is one: the vehicle goes on recording, but anchors nothing.
    """
    socket = _socket(config)
    found: list[Mapping[str, object]] = []
    count = 1
    while len(found) < count:
        order = {"order": "ledger_evidence", "number": len(found)}
        answer = give_order(socket, order, max_answer_octets=MAX_EVIDENCE_OCTETS)
        match answer:
            case {"count": int(count), "contradiction": dict(contradiction)}:
                found.append(contradiction)
            case {"count": 0}:
                break
            case _:
                raise TransportError(str(socket), "the answer is not about a log")
    if as_json:
        typer.echo(json.dumps({"contradictions": found}))
    elif not found:
        typer.echo("the log has not contradicted itself")
    else:
        typer.echo("\n".join(line for contradiction in found for line in _lines(contradiction)))
    if found:
        raise typer.Exit(1)


@app.command()
def acknowledge(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Have a running agent go on anchoring: you have looked at the evidence, and the log, or its operator, is in order again.

    The evidence stays in the spool. Records without a proof are submitted again.
    """
    done = give_order(_socket(config), {"order": "ledger_acknowledge"})
    typer.echo(f"{done.get('acknowledged')} contradiction(s) acknowledged: anchoring goes on from the checkpoint trusted last")


def _socket(config: Path) -> Path:
    socket = load(config, VehicleConfig).state.command_socket
    if socket is None:
        raise ConfigError(f"{config}: state.command_socket", "is needed to give a running agent orders")
    return socket


def _lines(contradiction: Mapping[str, object]) -> tuple[str, ...]:
    return (
        str(contradiction.get("reason")),
        "",
        "trusted before:",
        str(contradiction.get("trusted_note")),
        "signed as well:",
        str(contradiction.get("conflicting_note")),
    )
