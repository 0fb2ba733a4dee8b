"""Peers, what is held against them, and the names on refused packets, as tables for people; the document is the status.

A table is given how many rows it may have. Those that matter come first: who is not believed, then who was heard last. One in
single lines has nothing but a title, a head and a rule around its rows, for whoever has to count lines.
"""

from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from shared.cli.status_words import counted, items, number, pairs, section, tenth, text

Row = Mapping[str, object]

_STYLES = {"ignored": "red", "doubted": "yellow"}


def peers_in(document: Row) -> list[Row]:
    """Return the peers of a status document, those that are not believed first, then those heard last."""
    return sorted(items(document.get("peers")), key=lambda peer: (-number(peer.get("points")), number(peer.get("silent_s"))))


def held_in(peers: Sequence[Row]) -> list[Row]:
    """Return the peers against which something speaks, or spoke."""
    return [peer for peer in peers if peer.get("why") is not None or peer.get("refused")]


def refused_senders_in(document: Row) -> list[Row]:
    """Return the names on refused packets, those heard last first."""
    return sorted(items(document.get("refused_senders")), key=lambda sender: number(sender.get("silent_s")))


def peers_table(peers: Sequence[Row], rows: int, *, in_single_lines: bool = False) -> Table:
    """Return who is around."""
    ignored = sum(peer.get("standing") == "ignored" for peer in peers)
    title = counted(len(peers), "peer") + (f", {ignored} ignored" if ignored else "")
    table = _table(title, in_single_lines=in_single_lines)
    for column in ("ticket", "station", "known s", "silent s", "m/s", "messages", "standing"):
        table.add_column(column, no_wrap=column != "messages")
    for peer in peers[:rows]:
        names = ("ticket", "station_id", "known_s", "silent_s", "speed_mps")
        cells = (tenth(peer.get(name)) for name in names)
        messages = _words(pairs(peer.get("messages")), in_single_lines=in_single_lines)
        table.add_row(*cells, messages, text(peer.get("standing")), style=_style(peer))
    return table


def held_table(held: Sequence[Row], rows: int, *, in_single_lines: bool = False) -> Table:
    """Return what speaks against peers; the shares are those of the opinion: belief, disbelief, uncertainty."""
    table = _table(f"held against {counted(len(held), 'peer')}", in_single_lines=in_single_lines)
    for column in ("ticket", "points", "b / d / u", "refused", "last found"):
        table.add_column(column, no_wrap=column in {"ticket", "points", "b / d / u"})
    for peer in held[:rows]:
        opinion = section(peer, "opinion")
        shares = " ".join(f"{number(opinion.get(name)):.2f}" for name in ("belief", "disbelief", "uncertainty"))
        told = (pairs(peer.get("refused")), text(peer.get("why")))
        sentences = (_words(words, in_single_lines=in_single_lines) for words in told)
        table.add_row(text(peer.get("ticket")), tenth(peer.get("points")), shares, *sentences, style=_style(peer))
    return table


def refused_senders_table(senders: Sequence[Row], rows: int, *, in_single_lines: bool = False) -> Table:
    """Return whom refused packets name, and why they were refused."""
    table = _table(f"{counted(len(senders), 'name')} on refused packets", in_single_lines=in_single_lines)
    for column in ("ticket it names", "silent s", "refused", "why"):
        table.add_column(column, no_wrap=column in {"ticket it names", "silent s"})
    for sender in senders[:rows]:
        told = (pairs(sender.get("refused")), text(sender.get("why")))
        sentences = (_words(words, in_single_lines=in_single_lines) for words in told)
        table.add_row(text(sender.get("claimed_ticket")), tenth(sender.get("silent_s")), *sentences)
    return table


def _table(title: str, *, in_single_lines: bool) -> Table:
    if in_single_lines:
        return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    return Table(title=title, title_justify="left")


def _words(words: str, *, in_single_lines: bool) -> Text:
    return Text(words, no_wrap=in_single_lines, overflow="ellipsis" if in_single_lines else "fold")


def _style(peer: Row) -> str | None:
    return _STYLES.get(text(peer.get("standing")))
