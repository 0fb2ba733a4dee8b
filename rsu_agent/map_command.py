"""`rsu-agent map`: a junction's map checked, explained, drawn and turned into its other forms, before anything broadcasts it."""

from pathlib import Path
from typing import Annotated

import typer

from rsu_agent.map_conflicts import ways_of
from rsu_agent.map_data import MAX_MAPEM_OCTETS, JunctionMap, NetworkChoice, load_map, mapem_octets
from rsu_agent.map_geojson import geojson_of
from rsu_agent.map_plan import plan_of_map
from rsu_agent.map_svg import DRAWN_REACH_M, svg_of
from rsu_agent.map_toml import toml_of
from rsu_agent.signal_controllers import Movement
from rsu_agent.signal_controllers.controller_file import load_controller
from rsu_agent.signal_controllers.fixed_time import FixedTimePlan, load_plan
from shared.core.errors import ConfigError
from shared.core.geo import GeoPoint
from shared.service.keystore import write_new_file

STANDARD_OUTPUT = Path("-")

_MODE = 0o644


def map_command(
    file: Annotated[
        Path,
        typer.Argument(help="The map: TOML, GeoJSON (.geojson, .json) or a SUMO network (.net.xml, .net.xml.gz).", metavar="FILE"),
    ],
    svg: Annotated[Path | None, typer.Option(help="Draw it into a new file; - prints it.", metavar="FILE")] = None,
    toml: Annotated[Path | None, typer.Option(help="Write it as TOML into a new file; - prints it.", metavar="FILE")] = None,
    geojson: Annotated[Path | None, typer.Option(help="Write it as GeoJSON into a new file; - prints it.", metavar="FILE")] = None,
    plan: Annotated[Path | None, typer.Option(help="Check it against a fixed-time plan (TOML) too.", metavar="FILE")] = None,
    controller: Annotated[Path | None, typer.Option(help="Or against the file of a controller (TOML).", metavar="FILE")] = None,
    *,
    check: Annotated[bool, typer.Option("--check", help="Check it and print only whether it is sound.")] = False,
    reach: Annotated[float, typer.Option(help="Metres of each lane in the drawing.", min=5.0, max=500.0)] = DRAWN_REACH_M,
    junction: Annotated[str | None, typer.Option(help="Of a SUMO network: which junction.", metavar="NAME")] = None,
    number: Annotated[int, typer.Option(help="Of a SUMO network: the intersection's number.", min=0, max=65_535)] = 1,
    region: Annotated[int | None, typer.Option(help="Of a SUMO network: the road regulator.", min=0, max=65_535)] = None,
    name: Annotated[str | None, typer.Option(help="Of a SUMO network: what to call the junction.", metavar="TEXT")] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="Of a SUMO network that lies nowhere: where the junction's middle is.", metavar="LAT,LON"),
    ] = None,
) -> None:
    """Check a junction's map, tell which lights rule which lanes and which must never be green together, and draw it."""
    if plan is not None and controller is not None:
        raise ConfigError("--controller", "a junction has either a plan or a controller")
    timed = None if plan is None else load_plan(plan)
    heard = None if controller is None else load_controller(controller)
    choice = NetworkChoice(
        junction=junction,
        number=number,
        region=region,
        name=name,
        reference=None if reference is None else _place(reference),
    )
    groups = guarded = None
    if timed is not None:
        groups, guarded = timed.signal_groups, timed.conflicting_pairs
    elif heard is not None:
        groups, guarded = heard.place.controller.signal_groups, heard.rules.conflicts
    checked = load_map(file, groups, choice=None if choice == NetworkChoice() else choice)
    if guarded is not None:
        checked.check_guarded(guarded)
    conflicts = checked.conflicting_groups()
    forms: list[tuple[Path, str]] = []
    if svg is not None:
        names = {} if timed is None else {group.number: group.name for group in timed.groups if group.name is not None}
        picture = svg_of(plan_of_map(checked, reach_m=reach), subtitle=_subtitle(checked), conflicts=conflicts, names=names)
        forms.append((svg, picture))
    if toml is not None:
        forms.append((toml, toml_of(checked)))
    if geojson is not None:
        forms.append((geojson, geojson_of(checked)))
    printed = [text for out, text in forms if out == STANDARD_OUTPUT]
    if len(printed) > 1:
        raise ConfigError("-", "only one form can be printed at a time")
    for out, text in forms:
        if out != STANDARD_OUTPUT:
            write_new_file(out, text.encode(), mode=_MODE)
    if printed:
        typer.echo(printed[0], nl=False)
        return
    if not check:
        for line in _explained(checked, conflicts, timed):
            typer.echo(line)
    typer.echo(f"{file}: ok")


def _subtitle(junction: JunctionMap) -> str:
    region, number = junction.intersection_id.region, junction.intersection_id.number
    return f"Intersection {number if region is None else f'{region}/{number}'}, map revision {junction.revision}"


def _explained(junction: JunctionMap, conflicts: frozenset[frozenset[int]], timed: FixedTimePlan | None) -> list[str]:
    """Return what a person checks: the size, then each signal group with its lanes and what it must never be green with."""
    ways = ways_of(junction.reference, junction.lanes)
    octets = f"{mapem_octets(junction)} of {MAX_MAPEM_OCTETS} octets as a message"
    lines = [f"{junction.name}: {_subtitle(junction)}, {len(junction.lanes)} lanes, {len(ways)} ways across, {octets}"]
    permissive = junction.permissive_groups()
    for group in sorted(junction.signal_groups):
        ruled = [way for way in ways if way.connection.signal_group == group]
        lanes = ", ".join(str(number) for number in sorted({way.lane.number for way in ruled})) or "none"
        words = [f"signal group {group}: lanes {lanes}"]
        if group in permissive:
            words.append("yielding: " + ", ".join(way.title for way in ruled if way.connection.yields))
        never = sorted(other for pair in conflicts if group in pair for other in pair - {group})
        if never:
            words.append(f"never green with {', '.join(map(str, never))}")
        lines.append("; ".join(words))
    unruled = [way.title for way in ways if way.connection.signal_group is None]
    if unruled:
        lines.append(f"ruled by no light: {', '.join(unruled)}")
    if timed is not None:
        lines += [
            f"note: the plan calls signal group {group.title} protected, but a way of it yields: it is told as permissive"
            for group in timed.groups
            if group.number in permissive and group.movement is Movement.PROTECTED
        ]
    return lines


def _place(text: str) -> GeoPoint:
    try:
        lat_deg, lon_deg = (float(part) for part in text.split(","))
        return GeoPoint(lat_deg, lon_deg)
    except ValueError:
        raise ConfigError("--reference", f"{text!r} is not LAT,LON in degrees, as in 48.137,11.575") from None
