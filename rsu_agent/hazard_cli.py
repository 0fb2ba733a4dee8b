"""`rsu-agent hazard`: place | withdraw | list, on the unit of this machine, over its command socket."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from rsu_agent.config import RsuConfig
from rsu_agent.placed_hazards import DEFAULT_LASTS_S
from shared.cli.status_words import items, number, tenth, text
from shared.core.errors import ConfigError
from shared.service.command_socket import give_order
from shared.service.config import load
from shared.service.status_socket import read_status

app = typer.Typer(name="hazard", help="Warn of something, or take a warning back.", no_args_is_help=True, rich_markup_mode=None)

DEFAULT_CONFIG = Path("/etc/v2x-trust/rsu-agent.toml")
DEFAULT_RADIUS_M = 500.0
DEFAULT_RELEVANCE_M = 500.0
DEFAULT_VALIDITY_S = 60

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="Configuration file (TOML).")]


@app.command()
def place(
    cause: Annotated[str, typer.Argument(help="What is the matter: roadworks, stationary_vehicle, ...")],
    lat_deg: Annotated[float, typer.Argument(help="Latitude of the place, degrees.")],
    lon_deg: Annotated[float, typer.Argument(help="Longitude, degrees; after `--` where it is negative.")],
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    hazard_id: Annotated[str | None, typer.Option("--id", help="Its name; one that is there already is changed.")] = None,
    lasts_s: Annotated[int, typer.Option("--lasts", help="Seconds until it is over, unless placed again.")] = DEFAULT_LASTS_S,
    sub_cause: Annotated[int, typer.Option("--sub-cause", help="TS 102 894-2 sub-cause code.")] = 0,
    radius_m: Annotated[float, typer.Option("--radius", help="Metres around it within which it is told.")] = DEFAULT_RADIUS_M,
    relevance_m: Annotated[float, typer.Option("--relevance", help="Metres before it that drivers know.")] = DEFAULT_RELEVANCE_M,
    direction: Annotated[str, typer.Option("--direction", help="all, upstream, downstream or opposite.")] = "all",
    heading_deg: Annotated[float | None, typer.Option("--heading", help="Of the traffic it concerns, degrees.")] = None,
    speed_limit_kmh: Annotated[int | None, typer.Option("--speed-limit", help="Temporary limit, km/h.")] = None,
    validity_s: Annotated[int, typer.Option("--validity", help="Seconds it is believed unheard.")] = DEFAULT_VALIDITY_S,
) -> None:
    """Have a running unit warn of something, from now on until it is over or withdrawn."""
    hazard = {
        "cause": cause,
        "lat_deg": lat_deg,
        "lon_deg": lon_deg,
        "sub_cause_code": sub_cause,
        "radius_m": radius_m,
        "relevance_distance_m": relevance_m,
        "relevance_traffic_direction": direction,
        "validity_s": validity_s,
    }
    if heading_deg is not None:
        hazard["heading_deg"] = heading_deg
    if speed_limit_kmh is not None:
        hazard["speed_limit_kmh"] = speed_limit_kmh
    order: dict[str, object] = {"order": "place_hazard", "hazard": hazard, "lasts_s": lasts_s}
    if hazard_id is not None:
        order["id"] = hazard_id
    placed = _give(config, order).get("placed")
    told = placed.get("id") if isinstance(placed, Mapping) else None
    typer.echo(f"hazard {told} is told of for {lasts_s} s")


@app.command()
def withdraw(
    hazard_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")],
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    centre: Annotated[bool, typer.Option("--centre", help="It is the traffic centre's.")] = False,
) -> None:
    """Have a running unit say that a hazard is over: who has heard of it forgets it."""
    _give(config, {"order": "withdraw_hazard", "id": hazard_id, "source": "centre" if centre else "operator"})
    typer.echo(f"hazard {hazard_id} is withdrawn")


@app.command("list")
def list_hazards(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """Show what a running unit warns of, who placed it, and until when."""
    hazards = items(read_status(_state(config)[0]).get("hazards"))
    if as_json:
        typer.echo(json.dumps(list(hazards)))
        return
    if not hazards:
        typer.echo("nothing is warned of")
        return
    table = Table()
    for title in ("source", "id", "cause", "place", "radius m", "ends"):
        table.add_column(title, overflow="fold")
    for hazard in hazards:
        place_of = f"{number(hazard.get('lat_deg')):.6f}, {number(hazard.get('lon_deg')):.6f}"
        row = (text(hazard.get("source")), text(hazard.get("id") or "-"), text(hazard.get("cause")), place_of)
        table.add_row(*row, tenth(hazard.get("radius_m")), text(hazard.get("ends") or "with its source"))
    Console().print(table)


def _give(config: Path, order: Mapping[str, object]) -> Mapping[str, object]:
    socket = _state(config)[1]
    if socket is None:
        raise ConfigError(f"{config}: state.command_socket", "is needed to give a running unit orders")
    return give_order(socket, order)


def _state(config: Path) -> tuple[Path, Path | None]:
    state = load(config, RsuConfig).state
    return state.status_socket, state.command_socket
