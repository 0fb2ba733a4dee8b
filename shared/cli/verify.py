"""`v2x verify`: one verdict for each message of a capture, or for one packet, secured message or trust list.

Messages are judged in the order they were received, by the same code that judges them in a station, so unknown signers become
known, repetitions are noticed and ages count. Each is judged at the moment it was captured; a single message does not say when it
was received, so `--at` must. Exit status: 0 every message verified; 1 one was refused, or there was none; 2 wrong usage or a bad
trust directory.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from shared.cli.judgement import Judge, Link, SignatureState, Verdict
from shared.cli.moments import moment_of
from shared.cli.report_words import meaning_of
from shared.cli.rows import Rows, line_console
from shared.cli.source import Capture, Kind, Structure, open_source
from shared.cli.tree_view import visible
from shared.core.clock import Instant, MonotonicNs, UtcNs
from shared.core.errors import ConfigError
from shared.core.ids import HashedId8
from shared.core.itstime import utc_of, utc_text
from shared.security.describe import its_aid_name
from shared.security.permissions import PsidSsp
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.trust_store import TrustStore
from shared.service.identified_areas import read_identified_areas
from shared.service.trust_directory import MANAGERS, ROOTS, read_certificates, read_trust_directory
from shared.transport.link_frames import ETHERNET_OCTETS

MAX_SIGNERS = 4_096
"""Signers the closing table keeps account of."""

MAX_SIGNERS_SHOWN = 40

_SIGNER_COLUMNS = (("Signer", 16), ("Verified", 8), ("Refused", 7), ("Issued by", 16), ("Permissions", 0))
_GOOD = "green"
_BAD = "bold red"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """One message and its verdict; `frame` is None for a message that is no packet of a capture."""

    frame: int | None
    received: UtcNs
    verdict: Verdict


def verify(
    source: Annotated[
        str, typer.Argument(help="A capture, packet or secured message: file, hexadecimal text, or -.", metavar="FILE|HEX|-")
    ],
    trust: Annotated[Path, typer.Option(help="Trust directory with roots/ and authorities/.", metavar="DIR")],
    at: Annotated[
        str | None,
        typer.Option(help="Judge at this moment, ISO 8601 with offset; default: when each packet was captured.", metavar="UTC"),
    ] = None,
    areas: Annotated[
        Path | None,
        typer.Option(
            help="Table of what ground the numbers of countries in certificates mean; without it, none.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a message, for machines.")] = False,  # noqa: FBT002 - a command-line flag
) -> None:
    """Give one verdict for each message, as a station would that trusts DIR."""
    moment = None if at is None else moment_of(at)
    managers = tuple(read_certificates(trust / MANAGERS).values())
    table = NO_IDENTIFIED_AREAS if areas is None else read_identified_areas(areas)
    has_lists_only = bool(managers) and not (trust / ROOTS).exists()
    store = TrustStore.of_operator((), ()) if has_lists_only else read_trust_directory(trust)
    judge = Judge(store, managers, table)
    opened = open_source(source)
    found = _judged_capture(opened, judge, moment) if isinstance(opened, Capture) else [_judged_structure(opened, judge, moment)]
    console = line_console()
    account = _Account()
    try:
        for judged in found:
            if as_json:
                typer.echo(json.dumps(_as_json(judged)))
            else:
                _print_row(console, judged, is_first=account.messages == 0)
            account.note(judged.verdict)
    finally:  # a capture that is damaged further on still closes with its account
        if not as_json:
            account.show(console, opened.name)
    if account.messages == 0 or account.messages > account.verified:
        raise typer.Exit(1)


def _judged_capture(capture: Capture, judge: Judge, at: UtcNs | None) -> Iterator[_Judged]:
    monotonic = MonotonicNs(0)
    for captured in capture.packets():
        received = captured.utc if at is None else at
        monotonic = max(monotonic, MonotonicNs(received))
        verdict = judge.judge_packet(captured.packet, Instant(monotonic, received), captured.link)
        yield _Judged(frame=captured.frame_number, received=received, verdict=verdict)


def _judged_structure(structure: Structure, judge: Judge, at: UtcNs | None) -> _Judged:
    if structure.kind not in (Kind.GN_PACKET, Kind.ETHERNET_FRAME, Kind.SECURED_DATA):
        raise ConfigError(structure.name, f"is no message but a {structure.kind.value}: `v2x decode` shows what it says")
    now = Instant(MonotonicNs(0), UtcNs(0) if at is None else at)
    octets = structure.octets[ETHERNET_OCTETS:] if structure.kind is Kind.ETHERNET_FRAME else structure.octets
    verdict = judge.judge_secured(octets, now) if structure.kind is Kind.SECURED_DATA else judge.judge_packet(octets, now)
    if at is None:
        made = verdict.generation_time
        hint = "" if made is None else f"; it says it was made at {utc_text(utc_of(made))}"
        raise ConfigError("--at", f"nothing in {structure.name} says when it was received: name the moment to judge it at{hint}")
    return _Judged(frame=None, received=at, verdict=verdict)


def _print_row(console: Console, judged: _Judged, *, is_first: bool) -> None:
    verdict = judged.verdict
    received = utc_text(judged.received)
    rows = Rows(console, (("Frame", 5), (received[:10], 12), ("Message", 7), ("Signer", 16), ("Verdict", 0)))
    if is_first:
        rows.head()
    words = Text("verified; a copy of one before" if verdict.is_copy else "verified", style=_GOOD)
    if not verdict.content_judged:
        words.append("; its payload is no GeoNetworking packet and was not judged", style="yellow")
    if not verdict.is_verified:
        words = Text.assemble((f"REFUSED {verdict.code.replace('_', ' ')}", _BAD), f": {visible(verdict.reason)}")
    rows.row(
        "-" if judged.frame is None else str(judged.frame),
        received[11:23],
        verdict.message.upper(),
        verdict.chain[0].hashed_id8.hex() if verdict.chain else "-",
        words,
    )


@dataclass(slots=True)
class _Signer:
    """What one signer's messages came to."""

    verdict: Verdict
    verified: int = 0
    refused: int = 0


@dataclass(slots=True)
class _Account:
    """What all verdicts came to."""

    messages: int = 0
    verified: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    signers: dict[HashedId8, _Signer] = field(default_factory=dict)

    def note(self, verdict: Verdict) -> None:
        """Count one verdict."""
        self.messages += 1
        self.verified += verdict.is_verified
        if not verdict.is_verified:
            self.refusals[verdict.code] += 1
        if not verdict.chain:
            return
        identifier = verdict.chain[0].hashed_id8
        if identifier not in self.signers and len(self.signers) >= MAX_SIGNERS:
            return
        signer = self.signers.setdefault(identifier, _Signer(verdict))
        if len(verdict.chain) > len(signer.verdict.chain) or verdict.signature is SignatureState.HOLDS:
            signer.verdict = verdict
        signer.verified += verdict.is_verified
        signer.refused += not verdict.is_verified

    def show(self, console: Console, name: str) -> None:
        """Print the signers, then one line for all messages, and one for each reason met."""
        if self.messages == 0:
            console.print(Text(f"{name} holds no GeoNetworking packet: nothing was verified.", style=_BAD))
            return
        if self.signers:
            self._show_signers(console)
        refused = self.messages - self.verified
        line = Text(f"\n{_count(self.messages, 'message')}: ")
        line.append(f"{self.verified} verified", style=_GOOD if self.verified else "")
        if refused:
            reasons = ", ".join(f"{code.replace('_', ' ')} {number}" for code, number in self.refusals.most_common())
            line.append(", ").append(f"{refused} refused", style=_BAD).append(f": {reasons}")
        console.print(line)
        for code, _ in self.refusals.most_common():
            console.print(Text(f"  {code.replace('_', ' ')}: {meaning_of(code)}", style="dim"))

    def _show_signers(self, console: Console) -> None:
        console.print()
        rows = Rows(console, _SIGNER_COLUMNS)
        rows.head()
        for identifier, signer in list(self.signers.items())[:MAX_SIGNERS_SHOWN]:
            verdict = signer.verdict
            issuer = verdict.chain[1].hashed_id8.hex() if len(verdict.chain) > 1 else "-"
            rows.row(identifier.hex(), str(signer.verified), str(signer.refused), issuer, _permissions(verdict))
        if len(self.signers) > MAX_SIGNERS_SHOWN:
            console.print(f"and {_count(len(self.signers) - MAX_SIGNERS_SHOWN, 'more signer')}", style="dim")
        held = {signer.verdict.chain[1:] for signer in self.signers.values() if signer.verdict.signature is SignatureState.HOLDS}
        for chain in sorted(held, key=str):
            if chain:
                console.print(Text(f"\nChain that held: {' < '.join(_link_words(link) for link in chain)}"))


def _permissions(verdict: Verdict) -> Text:
    words = Text() if verdict.signature is SignatureState.HOLDS else Text("not believed: ", style=_BAD)
    if not verdict.permissions:
        return words.append("certificate not seen")
    return words.append(", ".join(_permission(permission) for permission in verdict.permissions))


def _permission(permission: PsidSsp) -> str:
    service = its_aid_name(permission.psid).upper().replace("_", " ")
    return service if permission.ssp is None else f"{service} {permission.ssp.hex()}"


def _link_words(link: Link) -> str:
    return link.hashed_id8.hex() if link.name is None else f"{visible(link.name)} {link.hashed_id8.hex()}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _as_json(judged: _Judged) -> dict[str, object]:
    verdict = judged.verdict
    return {
        "frame": judged.frame,
        "received": utc_text(judged.received),
        "verified": verdict.is_verified,
        "verdict": verdict.code,
        "reason": verdict.reason,
        "meaning": "" if verdict.is_verified else meaning_of(verdict.code),
        "message": verdict.message,
        "generation_time": None if verdict.generation_time is None else utc_text(utc_of(verdict.generation_time)),
        "signature": verdict.signature.value,
        "signed_by": verdict.signed_by,
        "content_judged": verdict.content_judged,
        "is_copy": verdict.is_copy,
        "its_aid": verdict.its_aid,
        "service": None if verdict.its_aid is None else its_aid_name(verdict.its_aid),
        "ssp": None if verdict.ssp is None else verdict.ssp.hex(),
        "chain": [_link(link) for link in verdict.chain],
        "chain_holds": verdict.signature is SignatureState.HOLDS,
        "root": None if verdict.root is None else _link(verdict.root),
    }


def _link(link: Link) -> dict[str, str | None]:
    return {"hashed_id8": link.hashed_id8.hex(), "name": link.name}
