"""`vehicle-agent learn`: listen to an unknown bus, or to a log of it, and propose a signal map."""

import asyncio
import os
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from shared.core.clock import MonotonicNs, TimeSource
from shared.core.errors import ConfigError, DecodeError, StorageError
from shared.core.geo import GeoPoint
from shared.service.config import PACKAGE_PREFIX
from shared.service.keystore import write_new_file
from shared.service.system_clock import SystemClock
from shared.transport.can_bus import CanBus, CanBusConfig, require_known_interface
from shared.transport.can_log import CanLog
from vehicle_agent.learning.learn import Learnt, learn
from vehicle_agent.learning.listen import Listener
from vehicle_agent.learning.series import Track, track_of
from vehicle_agent.signals.map_check import check_map
from vehicle_agent.signals.vss import name_of
from vehicle_agent.track import read_track

MAP_MODE = 0o644

MAX_SECONDS = 86_400
"""Longest time a bus is listened to."""


def learn_map(
    dbc: Annotated[list[str], typer.Option(help="DBC file or package:NAME/path; several are allowed.", metavar="FILE")],
    out: Annotated[Path, typer.Option(help="Write the proposed map to this new file (TOML).")],
    log: Annotated[Path | None, typer.Option(help="A CAN log: candump (.log, .log.gz), .asc, .blf or .mf4.")] = None,
    track: Annotated[Path | None, typer.Option(help="GNSS track (CSV) on the log's time base, as for replay.")] = None,
    interface: Annotated[
        str | None, typer.Option(help="Listen to a live bus of this python-can interface, e.g. socketcan.")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="The live bus, e.g. can0.")] = None,
    seconds: Annotated[float, typer.Option(help="For how long to listen to a live bus.")] = 60.0,
) -> None:
    """Propose a signal map for a car: which signals mean what, with checksums, counters, and why each is believed.

    Drive while it listens: through bends, with lamps, doors and pedals used, and far enough for the odometer to advance. What is
    not sure is written as a comment. The bus is only listened to.
    """
    if (log is None) == (interface is None or channel is None):
        raise ConfigError("--log", "listen to a log, or to a live bus by --interface and --channel")
    if track is not None and log is None:
        raise ConfigError("--track", "goes with a log")
    if not 0 < seconds <= MAX_SECONDS:
        raise ConfigError("--seconds", f"must be more than 0 and at most {MAX_SECONDS}")
    if out.exists():
        raise ConfigError("--out", f"{out} exists already and is not overwritten")
    listener = Listener()
    damage: DecodeError | StorageError | None = None
    if log is not None:
        source = log.name
        damage = _listen_to_log(listener, log)
    else:
        assert interface is not None
        assert channel is not None
        source = f"{interface} {channel}"
        require_known_interface(interface, key="--interface")
        asyncio.run(listen_to_bus(listener, CanBusConfig(interface=interface, channel=channel), seconds))
    learnt = learn(
        listener,
        dbc,
        base=Path(),
        written=[_as_written(reference, out) for reference in dbc],
        source=source,
        track=None if track is None else _read_track(track),
    )
    write_new_file(out, learnt.text.encode(), mode=MAP_MODE)
    _show(learnt, out)
    if damage is not None:
        raise damage


def _listen_to_log(listener: Listener, log: Path) -> DecodeError | StorageError | None:
    """Take a log in up to its end, or to its damage, which is returned."""
    try:
        for frame in CanLog(log).frames():
            listener.on_frame(frame)
    except (DecodeError, StorageError) as error:
        return error
    return None


async def listen_to_bus(listener: Listener, config: CanBusConfig, seconds: float) -> None:
    """Take a live bus in for a time."""
    bus = CanBus(config, clock=SystemClock(TimeSource.ASSUME_TRUSTED))
    bus.open()
    try:
        async with aclosing(bus.batches()) as batches:
            try:
                async with asyncio.timeout(seconds):
                    async for batch in batches:
                        for frame in batch:
                            listener.on_frame(frame)
            except TimeoutError:
                return
    finally:
        bus.close()


def _as_written(reference: str, out: Path) -> str:
    """Return a DBC as the map names it: a path from the map's folder, or what names a package."""
    if reference.startswith(PACKAGE_PREFIX):
        return reference
    return os.path.relpath(Path(reference).resolve(), out.resolve().parent)


def _read_track(path: Path) -> Track:
    fixes: list[tuple[MonotonicNs, GeoPoint]] = []
    for moment, updates in read_track(path):
        fixes += [(moment, update.value) for update in updates if isinstance(update.value, GeoPoint)]
    return track_of(fixes)


def _show(learnt: Learnt, out: Path) -> None:
    console = Console(markup=False, emoji=False)
    columns = (Column(header, overflow="fold") for header in ("field", "from", "", "why"))
    title = f"{learnt.messages + learnt.undescribed} messages heard, {learnt.messages} of them described by the DBC"
    table = Table(*columns, title=title)
    for proposal in learnt.best:
        table.add_row(name_of(proposal.field), proposal.signals(), proposal.confidence, "; ".join(proposal.evidence))
    console.print(table)
    for reason in learnt.unreadable:
        console.print(reason)
    if not learnt.fields:
        raise ConfigError(str(out), "nothing is sure: everything that was found is in its comments")
    report = check_map(out)
    unsure = len(learnt.best) - len(learnt.fields)
    fed_by = f"{len(learnt.fields)} fields are in force, fed by {len(report.messages)} of these messages"
    console.print(f"{out}: ok; {fed_by}; {unsure} not sure, as comments")
    if learnt.channels:
        tables = " and ".join(f'name = "{channel}"' for channel in learnt.channels)
        console.print(f"its messages say which bus they are on: the agent needs a [[can]] each, {tables}")
