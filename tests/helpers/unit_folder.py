"""A roadside unit's folder as an operator lays it out, and the unit that runs from it as its service does."""

import asyncio
from pathlib import Path
from typing import TextIO

import rsu_agent.junctions
from rsu_agent.config import RsuConfig
from rsu_agent.shell import serve
from shared.core.clock import Clock
from shared.pki.permission_sets import StationRole
from shared.security.trust_store import TrustStore
from shared.service.config import load
from shared.service.log import make_logger
from shared.service.notify import Notifier, Watchdog
from shared.service.run import Service
from shared.service.trust_directory import write_ticket, write_trust_directory
from tests.helpers.hierarchy import Hierarchy

JUNCTIONS = Path(rsu_agent.junctions.__file__).parent

PLANNED_JUNCTION = """
[junction]
plan = "crossing.plan.toml"
map = "crossing.map.toml"
"""


def lay_out_unit(
    folder: Path,
    hierarchy: Hierarchy,
    sections: str = "",
    *,
    group: str,
    port: int | None = None,
    state: str = "",
    top: str = "",
    trust_store: TrustStore | None = None,
) -> Path:
    """Write a unit's folder and return its configuration; the junction files that come with the agent are beside it.

    Args:
        folder: where.
        hierarchy: issues its ticket, and is trusted.
        sections: of the configuration, besides those every unit has.
        group: multicast group of its radio.
        port: of the radio; None for the usual one.
        state: further lines of `[state]`.
        top: lines before the first section.
        trust_store: whom it trusts instead.
    """
    ticket = hierarchy.ticket(StationRole.RSU)
    write_trust_directory(folder / "trust", trust_store or hierarchy.trust_store)
    write_ticket(folder / "ticket", ticket.certificate, ticket.signer)  # type: ignore[arg-type]  # a Hierarchy signs in software
    for path in JUNCTIONS.glob("crossing.*.toml"):
        (folder / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    config = folder / "rsu.toml"
    config.write_text(
        f"""{top}
[station]
station_id = 4049
lat_deg = 48.137
lon_deg = 11.575

[identity]
ticket = "ticket"
trust = "trust"

[time]
source = "synchronised"

[state]
status_socket = "status.sock"
notices = "notices.jsonl"
{state}

[[radio]]
kind = "udp"
group = "{group}"
{"" if port is None else f"port = {port}"}
{sections}""",
        encoding="utf-8",
    )
    return config


async def run_unit(config: Path, *, clock: Clock, log: TextIO) -> None:
    """Run a unit until cancelled; `log` gets its JSON lines."""
    notifier = Notifier(None)
    async with asyncio.TaskGroup() as tasks:
        service = Service(tasks, notifier, Watchdog(notifier, None))
        await serve(load(config, RsuConfig), config, service, clock=clock, log=make_logger(log, as_json=True))
