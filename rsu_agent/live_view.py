"""`rsu-agent status` at a terminal: who is around and what is held against them, renewed again and again, as much as fits.

    roadside unit 4049, 2026-11-22T12:00:03.200Z
    lights       1 stop and remain, 2 protected movement allowed
    refused      expired certificate 1
    13 peers, 1 ignored ...

What has no room is left out, never the peers in favour of counters: those are in the tables of `--once`, and all in `--json`.
"""

from collections.abc import Callable, Iterator, Mapping

from rich.console import Console, ConsoleOptions, RenderableType
from rich.live import Live
from rich.text import Text

from rsu_agent.peer_tables import (
    held_in,
    held_table,
    peers_in,
    peers_table,
    refused_senders_in,
    refused_senders_table,
)
from shared.cli.status_words import items, pairs, section, text, trouble_rows
from shared.core.errors import TransportError

TABLE_FRAME_LINES = 3
"""Lines of a table besides its rows: title, head and rule."""

SHARE = 4
"""What is held against peers, and the names on refused packets, have at most the part of the rows that is one by this."""

LEAST_PEERS = 3
"""Peers shown however low the terminal is."""


class LiveView:
    """A status document as high as the terminal.

    Args:
        document: of a running unit.
    """

    def __init__(self, document: Mapping[str, object]) -> None:
        self._document = document

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Render: what the unit is, then peers, what is held against them, and names on refused packets."""
        head = list(_head(self._document))
        peers, senders = peers_in(self._document), refused_senders_in(self._document)
        held = held_in(peers)
        frames = TABLE_FRAME_LINES * (1 + bool(held) + bool(senders))
        rows = (options.height or console.size.height) - len(head) - frames
        held_rows, sender_rows = (min(len(each), max(1, rows // SHARE)) for each in (held, senders))
        peer_rows = max(LEAST_PEERS, rows - held_rows - sender_rows)
        yield from head
        yield peers_table(peers, peer_rows, in_single_lines=True)
        if held:
            yield held_table(held, held_rows, in_single_lines=True)
        if senders:
            yield refused_senders_table(senders, sender_rows, in_single_lines=True)


def _head(document: Mapping[str, object]) -> Iterator[Text]:
    utc = text(document.get("utc") or "UTC is not known: nothing is sent")
    yield _line(f"roadside unit {text(document.get('station_id'))}, {utc}")
    junction = section(document, "junction")
    if junction and not junction.get("available"):
        yield _line(f"lights       unavailable: {text(junction.get('reason'))}", "red")
    elif junction:
        yield _line(f"lights       {pairs(section(junction, 'phases')).replace('_', ' ')}")
    yield _line(f"sent         {pairs(document.get('sent'))}")
    yield _line(f"verified     {pairs(document.get('verified'))}")
    yield _line(f"refused      {pairs(document.get('refused'))}")
    for name in ("unsent", "shed"):
        if section(document, name):
            yield _line(f"{name:<12} {pairs(document.get(name))}", "yellow")
    hazards, events = len(items(document.get("hazards"))), len(items(document.get("events")))
    yield _line(f"hazards      {hazards} of this unit, {events} of others")
    for about, detail in trouble_rows(document):
        yield _line(f"{about}: {detail}", "red")


def _line(words: str, style: str = "") -> Text:
    return Text(words, style=style, no_wrap=True, overflow="ellipsis")


def watch(read: Callable[[], Mapping[str, object]], console: Console, wait: Callable[[], None]) -> None:
    """Show a unit's status until Ctrl-C. A unit that goes away meanwhile is said to be away, and shown again when it is back.

    Args:
        read: asks the unit for its status.
        console: a terminal.
        wait: returns when it is time to look again.

    Raises:
        TransportError: no unit runs when this begins.
    """
    try:
        with Live(LiveView(read()), console=console, auto_refresh=False, screen=True) as live:
            while True:
                live.refresh()
                wait()
                try:
                    live.update(LiveView(read()))
                except TransportError as away:
                    live.update(Text(str(away), style="red"))
    except KeyboardInterrupt:
        console.set_alt_screen(False)  # where it came while the screen was being taken, nobody has given it back
        console.show_cursor()
