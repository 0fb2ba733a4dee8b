"""The status of a running vehicle as tables for people, in groups; what a machine reads is the same document as JSON.

A line that has nothing to tell is left out where silence means that all is well, such as what was refused.
"""

from collections.abc import Iterable, Iterator, Mapping

from rich.console import Group, RenderableType
from rich.table import Table

from shared.cli.status_words import (
    NOTHING,
    items,
    network_rows,
    pairs,
    radio_rows,
    section,
    tenth,
    text,
    ticket_words,
    trouble_rows,
    yes_no,
)
from vehicle_agent.j1939.status_rows import j1939_rows
from vehicle_agent.odometer.status_rows import waiting_words, witness_rows
from vehicle_agent.requests.status_rows import request_rows

SHOWN_HAZARDS = 20
"""Hazards of others shown, the nearest first; the document has more."""

Document = Mapping[str, object]
Rows = Iterable[tuple[str, str]]


def status_tables(document: Document) -> RenderableType:
    """Return the document as tables: the vehicle, what it says and hears, its network, hazards, records."""
    return Group(
        _table(f"vehicle, now station {document.get('station_id')}", _vehicle(document)),
        _table("radios and bus", (*radio_rows(document), *_bus(document))),
        *((_table("control units", units),) if (units := (*request_rows(document), *j1939_rows(document))) else ()),
        _table("said", _said(document)),
        _table("heard", _heard(document)),
        _table("for others", network_rows(document)),
        _hazards(document),
        _table("own hazards", _own_hazards(document)),
        _table("odometer", (*_odometer(document), *witness_rows(document))),
        _table("authorities", _authorities(document)),
    )


def _table(title: str, rows: Rows) -> RenderableType:
    table = Table(title=title, title_justify="left", show_header=False)
    for row in rows:
        table.add_row(*row)
    return table if table.row_count else f"{title}: nothing"


def _vehicle(document: Document) -> Iterator[tuple[str, str]]:
    yield "role", _role(section(document, "role"), section(document, "withheld"))
    pseudonym, ticket = section(document, "pseudonym"), section(document, "ticket")
    yield "tickets", ticket_words(pseudonym.get("tickets"), is_one_in_use=ticket.get("in_use") is True)
    if ticket.get("ends") is not None:
        yield "ticket ends", text(ticket.get("ends"))
    if pseudonym.get("silent") is not None:
        yield "silent", text(pseudonym.get("silent"))
    yield "name changed", pairs(pseudonym.get("changes"))
    yield "name not changed", pairs(pseudonym.get("unchanged"))
    yield "position known", "yes" if document.get("position_known") else "no: nothing is sent"
    time = section(document, "time")
    yield "UTC", f"{time.get('utc') or 'not known: nothing is sent'} ({time.get('source')})"


def _role(role: Document, withheld: Document) -> str:
    words = text(role.get("name")).replace("_", " ")
    if not role.get("has_container"):
        return words
    by_lamps = " while light bar or siren is on" if role.get("shows_by_lamps") else ""
    lacking = role.get("lacking")
    missing = ", ".join(str(each) for each in lacking) if isinstance(lacking, list) else ""
    if not role.get("container_is_allowed"):
        return f"{words}, but not said: the ticket does not allow {missing} (left out of {withheld.get(missing, 0)} CAMs)"
    return f"{words}, said{by_lamps}" + (f", without {missing}: the ticket does not allow it" if missing else "")


def _bus(document: Document) -> Iterator[tuple[str, str]]:
    can = section(document, "can")
    for name, bus in section(document, "buses").items():
        if isinstance(bus, Mapping):
            state = "up" if bus.get("is_up") else text(bus.get("last_fault") or "down")
            lost = f", lost {bus.get('lost')}" if bus.get("lost") else ""
            yield f"bus {name}, {bus.get('endpoint')}", f"{state}; received {bus.get('received')}{lost}"
    gnss = section(document, "gnss")
    if gnss:
        yield f"gnss, {gnss.get('source')}", _gnss(gnss)
        for name, meaning in (("refused", "fixes refused"), ("faults", "reports at fault")):
            if gnss.get(name):
                yield meaning, pairs(gnss.get(name))
    yield "frames used", text(can.get("frames"))
    if can.get("faults"):
        yield "frames at fault", pairs(can.get("faults"))
    if can.get("from_others"):
        yield "of other sources", pairs(can.get("from_others"))
    for name, driver in section(document, "driver").items():
        if driver is not None:
            yield f"driver {name}", pairs(driver) if isinstance(driver, Mapping) else text(driver)
    if document.get("capture") is not None:
        yield "capture", pairs(document.get("capture"))


def _gnss(gnss: Document) -> str:
    if not gnss.get("is_up"):
        return text(gnss.get("last_fault"))
    doubt = "; it jumped, and nothing has confirmed that yet" if gnss.get("in_doubt") else ""
    counted = f"{gnss.get('fixes')} fixes, lost {gnss.get('losses')} times"
    return f"fix {gnss.get('fix')}, {text(gnss.get('satellites'))} satellites; {counted}{doubt}"


def _said(document: Document) -> Iterator[tuple[str, str]]:
    sent = section(document, "sent")
    yield "sent", pairs({name: sent.get(name, 0) for name in {"cam": 0, "denm": 0, **sent}})
    for name, meaning in (("unsent", "could not be sent"), ("withheld", "CAMs without, for want of a right")):
        if document.get(name):
            yield meaning, pairs(document.get(name))
    hazards = section(document, "own_hazards")
    if hazards.get("withheld"):
        yield "hazards not told", pairs(hazards.get("withheld"))


def _heard(document: Document) -> Iterator[tuple[str, str]]:
    yield "verified", pairs(document.get("verified"))
    yield "refused", pairs(document.get("refused"))
    yield "echoes, copies", f"{text(document.get('echoes'))}, {text(document.get('copies'))}"
    if document.get("shed"):
        yield "not looked at for want of time", pairs(document.get("shed"))
    known = section(section(document, "local_map"), "neighbours")
    yield "vehicles around", pairs(known)
    yield "junctions around", text(section(document, "local_map").get("junctions"))


def _hazards(document: Document) -> RenderableType:
    hazards = items(document.get("hazards_heard"))
    if not hazards:
        return "nobody warns of anything"
    columns = ("cause", "m ahead", "m away", "s left", "station", "number", "disputed")
    table = Table(*columns, title=f"{len(hazards)} hazards others tell of", title_justify="left")
    for hazard in hazards[:SHOWN_HAZARDS]:
        names = ("cause", "ahead_m", "distance_m", "expires_s", "station_id", "sequence_number")
        table.add_row(*(tenth(hazard.get(name)) for name in names), yes_no(hazard.get("disputed")))
    return table


def _own_hazards(document: Document) -> Iterator[tuple[str, str]]:
    for hazard in items(document.get("hazards_told")):
        said = f"{hazard.get('cause')}, number {hazard.get('sequence_number')} of station {hazard.get('station_id')}"
        yield text(hazard.get("use_case")).replace("_", " "), f"{said}, valid for another {tenth(hazard.get('expires_s'))} s"
    own = section(document, "own_hazards")
    for name, meaning in (("begun", "begun so far"), ("unkept", "not kept for a restart")):
        if own.get(name):
            yield meaning, pairs(own.get(name))


def _odometer(document: Document) -> Iterator[tuple[str, str]]:
    odometer = section(document, "odometer")
    if not odometer:
        return
    last_m = odometer.get("last_recorded_m")
    yield "recorded, anchored", f"{odometer.get('recorded')}, {odometer.get('anchored')}"
    waiting = waiting_words(odometer)
    unrecorded = NOTHING if waiting is None else "none: waiting for confirmation"
    yield "last recorded", unrecorded if last_m is None else f"{last_m} m"
    if waiting is not None:
        yield "waiting", waiting
    for name in ("flags", "unrecorded"):
        if odometer.get(name):
            yield name, pairs(odometer.get(name))
    yield from _room(section(document, "spool"))
    yield from _ledger(section(odometer, "ledger"), section(document, "ledger_places"))


def _room(spool: Document) -> Iterator[tuple[str, str]]:
    octets, limit, days = spool.get("octets"), spool.get("limit_octets"), spool.get("lasts_days")
    if isinstance(octets, int) and isinstance(limit, int) and limit:
        lasts = f"; at the present pace it lasts {days:.0f} days" if isinstance(days, float) else ""
        yield "room for records", f"{100 * octets / limit:.1f} % of {limit / 2**20:g} MiB used{lasts}"
        yield "stored", pairs(spool.get("records"))
    refuses = spool.get("refuses")
    if isinstance(refuses, list) and refuses:
        yield "no room for", ", ".join(map(str, refuses))


def _ledger(ledger: Document, places: Document) -> Iterator[tuple[str, str]]:
    if ledger:
        size = ledger.get("trusted_size")
        yield f"log {ledger.get('log')}", "nothing is trusted yet" if size is None else f"{size} entries trusted"
        yield "records", pairs(ledger.get("records"))
    for name in ("reading", "submitting"):
        if places.get(name):
            yield f"places for {name}", pairs(places.get(name))
    contradiction = section(ledger, "contradiction")
    if contradiction:
        yield "the ledger contradicts itself", text(contradiction.get("reason"))
        yield "trusted before", text(contradiction.get("trusted_note"))
        yield "signed as well", text(contradiction.get("conflicting_note"))
        yield (
            "what to do",
            "`vehicle-agent ledger evidence`, and `acknowledge` once the log is in order: nothing is anchored until then",
        )


def _authorities(document: Document) -> Iterator[tuple[str, str]]:
    yield from trouble_rows(document)
    upkeep = section(document, "upkeep")
    for name in ("lists", "identity", "unkept"):
        if upkeep.get(name):
            yield name, pairs(upkeep.get(name))
    if document.get("evidence") is not None:
        yield "evidence", pairs(document.get("evidence"))
