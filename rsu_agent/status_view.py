"""The status of a running unit as tables for people; what a machine reads is the same document as JSON."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table

SHOWN_PEERS = 40
"""Peers shown, those heard last first; the document has them all."""

SHOWN_EVENTS = 20
"""Events of others shown, the nearest first."""


def status_tables(document: Mapping[str, object]) -> RenderableType:
    """Return the document as tables: the unit, its junction, what others warn of, its neighbours."""
    return Group(_unit(document), _junction(document), _events(document), _peers(document))


def _unit(document: Mapping[str, object]) -> Table:
    table = Table("what", "value", title=f"roadside unit {document.get('station_id')}", title_justify="left")
    table.add_row("UTC", _text(document.get("utc") or "not known: nothing is sent"))
    for name in ("sent", "unsent", "withheld", "silent", "verified", "refused", "shed"):
        table.add_row(name, _pairs(document.get(name)))
    table.add_row("echoes, copies", f"{_text(document.get('echoes'))}, {_text(document.get('copies'))}")
    _network(table, document.get("router"))
    table.add_row("events heard", _pairs(document.get("events_heard")))
    table.add_row("kept alive", _pairs(document.get("kept_alive")))
    table.add_row("tickets", _pairs(document.get("tickets")))
    radios = document.get("radios")
    for name, radio in radios.items() if isinstance(radios, Mapping) else ():
        state = radio.get("fault") or "up"
        table.add_row(f"radio {name}", f"{state}; sent {radio.get('sent')}, received {radio.get('received')}")
    upkeep = document.get("upkeep")
    for trouble in _items(upkeep.get("troubles")) if isinstance(upkeep, Mapping) else []:
        table.add_row(f"in trouble: {trouble.get('about')}", _text(trouble.get("detail")))
    for hazard in _items(document.get("hazards")):
        said = f"cause {hazard.get('cause_code')} within {hazard.get('radius_m')} m"
        table.add_row(f"hazard {hazard.get('sequence_number')}", said)
    return table


def _network(table: Table, router: object) -> None:
    """Add what the unit does for its neighbours: `Router.status`."""
    if not isinstance(router, Mapping):
        return
    table.add_row("neighbours", _text(router.get("neighbours")))
    table.add_row("network", _pairs(router.get("heard")))
    table.add_row("forwarding", _pairs(router.get("forwarding")))
    channel = router.get("dcc")
    if isinstance(channel, Mapping):
        table.add_row("channel", _pairs({name: value for name, value in channel.items() if name != "dropped"}))
        table.add_row("dropped before the channel", _pairs(channel.get("dropped")))


def _events(document: Mapping[str, object]) -> RenderableType:
    events = sorted(_items(document.get("events")), key=lambda event: _number(event.get("distance_m")))
    if not events:
        return "nobody warns of anything"
    columns = ("station", "number", "cause", "sub cause", "m away", "s left", "disputed")
    table = Table(*columns, title=f"{len(events)} events others tell of", title_justify="left")
    for event in events[:SHOWN_EVENTS]:
        names = ("station_id", "sequence_number", "cause_code", "sub_cause_code", "distance_m", "expires_s")
        table.add_row(*(_text(event.get(name)) for name in names), "yes" if event.get("disputed") else "no")
    return table


def _junction(document: Mapping[str, object]) -> RenderableType:
    junction = document.get("junction")
    if not isinstance(junction, Mapping):
        return "no junction"
    table = Table("signal group", "phase", title="junction", title_justify="left")
    if not junction.get("available"):
        table.add_row("unavailable", _text(junction.get("reason")))
    phases = junction.get("phases")
    if isinstance(phases, Mapping):
        for group, phase in phases.items():
            table.add_row(_text(group), _text(phase).replace("_", " "))
    return table


def _peers(document: Mapping[str, object]) -> Table:
    peers = sorted(_items(document.get("peers")), key=lambda peer: _number(peer.get("silent_s")))
    table = Table(
        "ticket", "station", "known s", "silent s", "m/s", "heading", "messages", title=f"{len(peers)} peers", title_justify="left"
    )
    for peer in peers[:SHOWN_PEERS]:
        columns = ("ticket", "station_id", "known_s", "silent_s", "speed_mps", "heading_deg")
        table.add_row(*(_text(peer.get(name)) for name in columns), _pairs(peer.get("messages")))
    return table


def _items(value: object) -> list[Mapping[str, object]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, Sequence) else []


def _pairs(value: object) -> str:
    if not isinstance(value, Mapping) or not value:
        return "-"
    return ", ".join(f"{name} {number}" for name, number in value.items())


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _text(value: object) -> str:
    return "-" if value is None else f"{value:.1f}" if isinstance(value, float) else str(value)
