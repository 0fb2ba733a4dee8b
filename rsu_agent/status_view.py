"""The status of a running unit as tables for people; what a machine reads is the same document as JSON."""

from collections.abc import Iterator, Mapping

from rich.console import Group, RenderableType
from rich.table import Table

from rsu_agent.peer_tables import held_in, held_table, peers_in, peers_table, refused_senders_in, refused_senders_table
from shared.cli.status_words import (
    items,
    network_rows,
    number,
    pairs,
    radio_rows,
    section,
    tenth,
    text,
    ticket_words,
    trouble_rows,
)

SHOWN_PEERS = 40
"""Peers shown, those that are not believed first, then those heard last; the document has them all."""

SHOWN_REFUSED_SENDERS = 20
"""Names on refused packets shown, those heard last first."""

SHOWN_REFUSALS = 8
"""Requests for priority that were refused, the last one first."""

SHOWN_EVENTS = 20
"""Events of others shown, the nearest first."""


def status_tables(document: Mapping[str, object]) -> RenderableType:
    """Return the document as tables: the unit, its junction, what others warn of, its neighbours."""
    return Group(_unit(document), _junction(document), _priority(document), _events(document), *_peers(document))


def _unit(document: Mapping[str, object]) -> Table:
    table = Table("what", "value", title=f"roadside unit {document.get('station_id')}", title_justify="left")
    table.add_row("UTC", text(document.get("utc") or "not known: nothing is sent"))
    in_use = section(document, "tickets").get("current") is not None
    table.add_row("tickets", ticket_words(document.get("tickets"), is_one_in_use=in_use))
    for row in (*radio_rows(document), *trouble_rows(document)):
        table.add_row(*row)
    for name in ("sent", "unsent", "withheld", "silent", "verified", "refused", "shed"):
        table.add_row(name, pairs(document.get(name)))
    if "new_tickets_a_minute" in document:
        table.add_row("new tickets a minute", text(document.get("new_tickets_a_minute")))
        table.add_row("found in claims", pairs(document.get("found")))
    table.add_row("echoes, copies", f"{text(document.get('echoes'))}, {text(document.get('copies'))}")
    for row in network_rows(document):
        table.add_row(*row)
    table.add_row("events heard", pairs(document.get("events_heard")))
    relay = section(document, "ledger_relay")
    if relay:
        stale = ", its checkpoint stale" if relay.get("checkpoint_is_stale") else ""
        table.add_row("ledger relay", f"{text(relay.get('url'))}{stale}: {pairs(relay.get('requests'))}")
    witness = section(document, "witness")
    if witness:
        table.add_row("witness", f"{text(witness.get('url'))}: {text(witness.get('fault') or witness.get('clock'))}")
        sizes = {name: section(section(witness, "logs"), name).get("size", 0) for name in section(witness, "logs")}
        table.add_row("cosigned entries", pairs(sizes))
    table = _with_evidence(table, section(document, "evidence_store"))
    for sign in items(section(document, "signs").get("signs")):
        table.add_row(f"sign {sign.get('number')}", f"{text(sign.get('provider'))}, {text(sign.get('status'))}")
    for hazard in items(document.get("hazards")):
        place = f"{number(hazard.get('lat_deg')):.6f}, {number(hazard.get('lon_deg')):.6f}"
        said = f"{hazard.get('cause')} at {place}, within {tenth(hazard.get('radius_m'))} m"
        who = " ".join(text(hazard[key]) for key in ("source", "id") if hazard.get(key) is not None)
        valid = f"valid for another {tenth(hazard.get('expires_s'))} s"
        table.add_row(f"hazard {hazard.get('sequence_number')}", f"{said}, {valid}" + (f", of {who}" if who else ""))
    for row in _hazard_ways(document):
        table.add_row(*row)
    return table


def _hazard_ways(document: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield how the brokers are from which hazards come, and who tried to order something and had no right to."""
    for name in ("detectors", "backhaul"):
        way = section(document, name)
        if way:
            yield (
                name,
                f"{text(way.get('broker'))}: {'connected' if way.get('is_connected') else 'away'}, {text(way.get('heard'))} heard",
            )
    requests = section(section(document, "http"), "requests")
    refused = {word: requests[f"token.{word}"] for word in ("wrong", "absent") if requests.get(f"token.{word}")}
    if refused:
        yield "orders refused for their token", pairs(refused)


def _with_evidence(table: Table, evidence: Mapping[str, object]) -> Table:
    """Add what is kept to be proven; where nothing is, nothing is said."""
    if evidence:
        table.add_row("evidence", f"{text(evidence.get('records'))} records; batches: {pairs(evidence.get('batches'))}")
        ledger = section(evidence, "ledger")
        trouble = evidence.get("trouble") or ledger.get("contradiction") or ledger.get("trouble")
        if trouble:
            table.add_row("evidence in trouble", text(trouble))
    return table


def _events(document: Mapping[str, object]) -> RenderableType:
    events = sorted(items(document.get("events")), key=lambda event: number(event.get("distance_m")))
    if not events:
        return "nobody warns of anything"
    columns = ("station", "number", "cause", "m away", "s left", "disputed")
    table = Table(*columns, title=f"{len(events)} events others tell of", title_justify="left")
    for event in events[:SHOWN_EVENTS]:
        names = ("station_id", "sequence_number", "cause", "distance_m", "expires_s")
        table.add_row(*(tenth(event.get(name)) for name in names), "yes" if event.get("disputed") else "no")
    return table


def _junction(document: Mapping[str, object]) -> RenderableType:
    junction = document.get("junction")
    if not isinstance(junction, Mapping):
        return "no junction"
    table = Table("signal group", "phase", title="junction", title_justify="left")
    if not junction.get("available"):
        table.add_row("unavailable", text(junction.get("reason")))
    phases = junction.get("phases")
    if isinstance(phases, Mapping):
        for group, phase in phases.items():
            table.add_row(text(group), text(phase).replace("_", " "))
    controller = section(junction, "controller")
    if "endpoint" in controller:
        heard = f"{text(controller.get('kind'))} {text(controller.get('endpoint'))}, heard {tenth(controller.get('age_s'))} s ago"
        table.add_row("controller", f"{heard}, {text(controller.get('restarts'))} restarts")
        table.add_row("refused", pairs(controller.get("refused")))
    if junction.get("doubts"):
        table.add_row("not believed", pairs(junction.get("doubts")))
    return table


def _priority(document: Mapping[str, object]) -> RenderableType:
    priority = section(document, "priority")
    requests, refusals = items(priority.get("requests")), items(priority.get("refusals"))
    if not requests and not refusals:
        return "nobody asks to be let through"
    title = f"{len(requests)} requests for priority, {len(refusals)} refused lately"
    table = Table("ticket", "station", "as", "from", "groups", "answer", "why", title=title, title_justify="left")
    for request in requests:
        names = ("ticket", "station_id", "level", "inbound")
        groups = request.get("signal_groups")
        shown = ", ".join(text(group) for group in groups) if isinstance(groups, list) else ""
        cells = [text(request.get(name)).replace("_", " ") for name in names]
        table.add_row(*cells, shown, text(request.get("status")).replace("_", " "), text(request.get("reason")))
    for refusal in refusals[:SHOWN_REFUSALS]:
        why = text(refusal.get("detail"))
        table.add_row(text(refusal.get("ticket")), text(refusal.get("station_id")), "", "", "", "refused", why, style="red")
    return table


def _peers(document: Mapping[str, object]) -> Iterator[RenderableType]:
    peers, senders = peers_in(document), refused_senders_in(document)
    yield peers_table(peers, SHOWN_PEERS)
    if held := held_in(peers):
        yield held_table(held, SHOWN_PEERS)
    yield refused_senders_table(senders, SHOWN_REFUSED_SENDERS) if senders else "nobody was turned away lately"
