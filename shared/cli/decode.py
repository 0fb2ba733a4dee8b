"""`v2x decode`: what a packet, certificate, list, message or capture says, as a tree with units and names, or as JSON.

Nothing is verified; `v2x verify` does that. Exit status: 0 everything shown was understood; 1 something is malformed, or is what a
station refuses unread (unsigned, against its profile, parts that disagree): the layers that could be read are shown, then the
reason; 2 wrong usage. Nothing a peer wrote reaches the terminal unescaped.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Annotated

import typer
from rich.text import Text
from rich.tree import Tree

from shared.cli.describe_message import Description
from shared.cli.dissection import Dissection, dissect
from shared.cli.rows import Rows, line_console
from shared.cli.source import Capture, Kind, Structure, open_source
from shared.cli.tree_view import grow_titled, visible
from shared.core.errors import ConfigError, DecodeError, V2xError
from shared.core.itstime import utc_text
from shared.transport.pcap import CapturedPacket

DEFAULT_TREES = 5
"""Packets of a capture shown as trees unless `--limit` says otherwise."""

REFUSED = "refused"
"""The word of `--filter` for packets that were not understood to the end."""

_COLUMNS = (("Frame", 6), ("Captured", 12), ("From", 17), ("Says", 0))
_LAYER_STYLE = "bold"
_REFUSAL_STYLE = "bold red"


def decode(
    source: Annotated[str, typer.Argument(help="A file, hexadecimal text, or - for standard input.", metavar="FILE|HEX|-")],
    limit: Annotated[
        int | None, typer.Option(min=0, help=f"Packets of a capture to show; 0: all. Default: {DEFAULT_TREES} trees, all lines.")
    ] = None,
    only: Annotated[
        str | None, typer.Option("--filter", help="Packets of a capture with this layer (cam, denm, gbc ...), or `refused`.")
    ] = None,
    frame: Annotated[int | None, typer.Option(min=1, help="The one packet of a capture with this frame number.")] = None,
    brief: Annotated[bool, typer.Option("--brief", help="One line for each packet.")] = False,  # noqa: FBT002 - a command-line flag
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for machines.")] = False,  # noqa: FBT002
) -> None:
    """Show what a packet, certificate, trust list, message or capture says. Nothing is verified."""
    opened = open_source(source)
    view = _View(as_json=as_json, brief=brief)
    if isinstance(opened, Structure):
        if frame is not None or only is not None or limit is not None:
            raise ConfigError("--limit, --filter, --frame", f"{opened.name} is one {opened.kind.value}, not a capture")
        view.show_structure(opened)
    else:
        view.show_capture(opened, limit=limit, only=only, frame=frame)
    if view.refusals:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """One packet of a capture, dissected."""

    captured: CapturedPacket
    dissection: Dissection


class _View:
    """Prints dissections.

    Attributes:
        refusals: how many of them ended early.
    """

    def __init__(self, *, as_json: bool, brief: bool) -> None:
        self._as_json = as_json
        self._brief = brief
        self._console = line_console()
        self._rows = Rows(self._console, _COLUMNS)
        self.refusals = 0

    def show_structure(self, structure: Structure) -> None:
        dissection = dissect(structure.octets, structure.kind)
        self.refusals += dissection.refusal is not None
        if self._as_json:
            self._print_json(_as_json(dissection))
        elif self._brief:
            self._console.print(_one_line(dissection))
        else:
            form = "hexadecimal text, " if structure.was_hex else ""
            begins = structure.octets[:2].hex(" ")
            title = f"{structure.name}: {form}{len(structure.octets)} octets that begin with {begins}: {structure.kind.value}"
            self._console.print(_tree(Text(visible(title), style=_LAYER_STYLE), dissection))

    def show_capture(self, capture: Capture, *, limit: int | None, only: str | None, frame: int | None) -> None:
        packets = capture.packets()
        found = _selected(packets, only=only, frame=frame)
        if limit is None and not (self._as_json or self._brief):
            limit = DEFAULT_TREES
        shown = 0
        if self._brief and not self._as_json:
            self._rows.head()
        for each in islice(found, limit or None):
            shown += 1
            self.refusals += each.dissection.refusal is not None
            self._show_frame(each)
        self._say_what_is_left(capture, packets, shown, only=only, frame=frame)

    def _show_frame(self, frame: _Frame) -> None:
        captured, dissection = frame.captured, frame.dissection
        when, source = utc_text(captured.utc), captured.source_mac.hex(":")
        if self._as_json:
            place = {"frame": captured.frame_number, "captured": when, "source_mac": source}
            self._print_json(place | _as_json(dissection))
            return
        if self._brief:
            self._rows.row(str(captured.frame_number), when[11:23], source, _one_line(dissection))
            return
        title = f"Frame {captured.frame_number}, {when}, {dissection.octets} octets: {dissection.summary}"
        self._console.print(_tree(Text(title, style=_LAYER_STYLE), dissection))
        self._console.print()

    def _say_what_is_left(
        self, capture: Capture, packets: Iterator[CapturedPacket], shown: int, *, only: str | None, frame: int | None
    ) -> None:
        if frame is not None:
            if not shown:
                raise ConfigError("--frame", f"{capture.name} has no GeoNetworking packet in frame {frame}")
            return
        left = sum(1 for _ in packets)
        if only is not None and not shown and not self._as_json:
            self._console.print(
                Text(f"No packet of {capture.name} is {only!r}: a layer's name as in --json, or {REFUSED}.", style="dim")
            )
        if not shown and not left and only is None:
            raise DecodeError("input", f"{capture.name} holds no GeoNetworking packet")
        if left and not self._as_json:
            self._console.print(
                f"{left} more packets in {capture.name}: --limit N or --frame N shows more, --brief one line each.", style="dim"
            )

    def _print_json(self, value: Description) -> None:
        typer.echo(json.dumps(value))


def _selected(packets: Iterator[CapturedPacket], *, only: str | None, frame: int | None) -> Iterator[_Frame]:
    for captured in packets:
        if frame is not None and captured.frame_number != frame:
            continue
        dissection = dissect(captured.packet, Kind.GN_PACKET, received=captured.utc)
        if only is None or _is_of(dissection, only.lower()):
            yield _Frame(captured=captured, dissection=dissection)
        if frame is not None:
            return


def _is_of(dissection: Dissection, word: str) -> bool:
    if word == REFUSED:
        return dissection.refusal is not None
    return any(layer.name == word for layer in dissection.layers)


def _tree(title: Text, dissection: Dissection) -> Tree:
    tree = Tree(title, guide_style="dim")
    for layer in dissection.layers:
        grow_titled(tree, Text(layer.title, style=_LAYER_STYLE), layer.fields)
    if dissection.refusal is not None:
        tree.add(Text(_reason(dissection.refusal), style=_REFUSAL_STYLE))
    return tree


def _one_line(dissection: Dissection) -> Text:
    if dissection.refusal is None:
        return Text(dissection.summary)
    return Text(dissection.summary) + Text(f"  {_reason(dissection.refusal)}", style=_REFUSAL_STYLE)


def _reason(refusal: V2xError) -> str:
    return visible(f"refused ({refusal.code.replace('_', ' ')}): {refusal}")


def _as_json(dissection: Dissection) -> dict[str, object]:
    refusal = dissection.refusal
    return {
        "kind": dissection.kind.name.lower(),
        "octets": dissection.octets,
        "summary": dissection.summary,
        "layers": [{"layer": layer.name, **layer.fields} for layer in dissection.layers],
        "refusal": None if refusal is None else _refusal(refusal),
    }


def _refusal(refusal: V2xError) -> Description:
    described: dict[str, object] = {"code": refusal.code, "reason": str(refusal)}
    if isinstance(refusal, DecodeError):
        described |= {"field": refusal.field, "bit": refusal.bit_offset, "reason": refusal.reason}
    return described
