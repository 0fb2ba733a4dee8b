"""What `vehicle-agent status` says about buses of J1939: rows of a table for people."""

from collections.abc import Iterator, Mapping

from shared.cli.status_words import pairs, section


def j1939_rows(document: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield name and text of each row; none where no bus speaks J1939."""
    buses = section(section(document, "j1939"), "buses")
    for name in buses:
        bus = section(buses, name)
        transport = dict(section(bus, "transport"))
        complete = transport.pop("complete", 0)
        yield f"J1939 on {name}", f"{complete} long groups put together" + (f"; {pairs(transport)}" if transport else "")
        requests = section(bus, "requests")
        yield "asked there", pairs(requests) if requests else "nothing: it has no j1939_address"
        if bus.get("faults"):
            yield "said unreadably", pairs(bus.get("faults"))
