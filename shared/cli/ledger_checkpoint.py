"""`v2x ledger checkpoint`: what a log says of itself now, verified: who signed, which witnesses cosigned, and when."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from shared.cli.ledger_source import client_of, make_round, open_source, wall_clock
from shared.core.clock import NS_PER_S, UtcNs
from shared.core.errors import ProofError
from shared.core.itstime import utc_text
from shared.ledger.checkpoint import parse_checkpoint
from shared.ledger.cosignature import find_cosignature
from shared.ledger.light_client import Behind, ClientEvent, NotWitnessed
from shared.ledger.note import parse_note, signatures_by
from shared.ledger.policy import Policy
from shared.ledger.text import encode_base64
from shared.ledger.tiles import CHECKPOINT_PATH
from shared.ledger.verify import verify_signed
from shared.service.keystore import write_new_file
from shared.service.online_log import read_policy

NOTE_MODE = 0o644

MAX_SHOWN_S = 253_402_300_799
"""The last second of the year 9999; a later cosignature's time is shown as a number."""


def checkpoint(
    place: Annotated[str, typer.Argument(help="URL of the log, or a folder with its files.", metavar="URL")],
    *,
    policy: Annotated[Path, typer.Option(help="tlog-policy: the log's key, the witnesses, the quorum.", metavar="FILE")],
    pinned: Annotated[
        Path | None, typer.Option(help="A checkpoint seen before, which the log must stand by.", metavar="NOTE")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the note to this new file, to pin it.", metavar="FILE")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON document.")] = False,
) -> None:
    """Fetch a log's newest checkpoint and verify it.

    The exit status is 1 when a signature does not hold, the quorum is not met, or the log does not stand by the pinned checkpoint.
    """
    rules, clock = read_policy(policy), wall_clock()

    async def fetch() -> tuple[bytes, Sequence[ClientEvent]]:
        async with open_source(place, clock) as source:
            note = await source.read(CHECKPOINT_PATH)
            return note, await make_round(client_of(note, rules, pinned), source, note)

    note, events = asyncio.run(fetch())
    document = describe(note, rules, now=clock.now().require_utc(), is_pinned=pinned is not None)
    typer.echo(json.dumps(document)) if as_json else Console(soft_wrap=True).print(_table(document))
    for event in events:
        match event:
            case NotWitnessed(detail):
                raise ProofError(detail)
            case Behind(tree_size, trusted_size):
                raise ProofError(f"the log shows {tree_size} entries, fewer than the {trusted_size} of the pinned checkpoint")
    if out is not None:
        write_new_file(out, note, mode=NOTE_MODE)


def describe(note: bytes, policy: Policy, *, now: UtcNs, is_pinned: bool) -> dict[str, object]:
    """Return what a checkpoint note says and who vouches for it, as JSON values.

    Raises:
        DecodeError, ProofError: as `verify_signed` does.
    """
    verify_signed(note, policy)
    parsed = parse_note(note)
    said = parse_checkpoint(parsed.body)
    witnesses: list[dict[str, object]] = []
    for witness in policy.witnesses:
        cosignature = find_cosignature(parsed, witness.key)
        if cosignature is not None:
            at_s = cosignature.timestamp_s
            when = utc_text(UtcNs(at_s * NS_PER_S)) if at_s <= MAX_SHOWN_S else str(at_s)
            witnesses.append({"name": witness.name, "cosigned": when, "age_s": now // NS_PER_S - at_s})
    return {
        "origin": said.origin,
        "tree_size": said.tree_size,
        "root": encode_base64(said.root),
        "signers": [key.text for key in policy.log_keys(said.origin) if signatures_by(parsed, key)],
        "witnesses": witnesses,
        "quorum": policy.quorum,
        "quorum_met": policy.is_quorum([str(witness["name"]) for witness in witnesses]),
        "extends_pinned": True if is_pinned else None,
        "note": note.decode(),
    }


def _table(document: dict[str, object]) -> Table:
    table = Table(title=str(document["origin"]), title_justify="left", show_header=False)
    table.add_row("entries", str(document["tree_size"]))
    table.add_row("root", str(document["root"]))
    signers, witnesses = document["signers"], document["witnesses"]
    for signer in signers if isinstance(signers, list) else ():
        table.add_row("signed by", str(signer))
    for witness in witnesses if isinstance(witnesses, list) else ():
        table.add_row(f"cosigned by {witness['name']}", f"{witness['cosigned']}, {age_words(witness['age_s'])}")
    quorum = document["quorum"]
    words = (
        "none asked for: the log alone vouches" if quorum is None else f"{quorum}: {'met' if document['quorum_met'] else 'not met'}"
    )
    table.add_row("quorum", words)
    if document["extends_pinned"]:
        table.add_row("pinned", "the log stands by the pinned checkpoint")
    return table


def age_words(age_s: int) -> str:
    """Return an age in seconds as people say it."""
    if age_s < 0:
        return f"{-age_s} s in the future by this machine's clock"
    for unit_s, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if age_s >= 2 * unit_s:
            return f"{age_s // unit_s} {unit} old"
    return f"{age_s} s old"
