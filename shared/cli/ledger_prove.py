"""`v2x ledger prove`: make a proof that an entry is in a log, which anybody can verify offline (`v2x ledger check`)."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from shared.cli.ledger_source import client_of, entry_of, make_round, open_source, read_entry, wall_clock
from shared.core.errors import ProofError
from shared.ledger.light_client import Advanced, NotAtIndex, NotWitnessed
from shared.ledger.proof import proof_of
from shared.ledger.tiles import CHECKPOINT_PATH
from shared.ledger.verify import Included
from shared.service.keystore import write_new_file
from shared.service.online_log import read_policy

PROOF_MODE = 0o644


def prove(
    place: Annotated[str, typer.Argument(help="URL of the log, or a folder with its files.", metavar="URL")],
    *,
    policy: Annotated[Path, typer.Option(help="tlog-policy: the log's key, the witnesses, the quorum.", metavar="FILE")],
    index: Annotated[int, typer.Option(min=0, help="Place of the entry in the log.", metavar="N")],
    entry: Annotated[
        str | None,
        typer.Option(help="The entry: a file, or hexadecimal; without it, whatever the log has there.", metavar="HEX|FILE"),
    ] = None,
    pinned: Annotated[
        Path | None, typer.Option(help="A checkpoint seen before, which the log must stand by.", metavar="NOTE")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the proof to this new file.", metavar="FILE")] = None,
) -> None:
    """Prove that an entry is in a log: a tlog-proof@v1 text, on standard output or in a file."""
    rules, clock = read_policy(policy), wall_clock()
    given = None if entry is None else entry_of(entry)

    async def fetch() -> Included:
        async with open_source(place, clock) as source:
            note = await source.read(CHECKPOINT_PATH)
            client = client_of(note, rules, pinned)
            events = await make_round(client, source, note)
            if client.trusted is None:
                raise ProofError(next((e.detail for e in events if isinstance(e, NotWitnessed)), "nothing can be trusted"))
            size = client.trusted.checkpoint.tree_size
            if index >= size:
                raise ProofError(f"the log of {size} entries has no entry {index}")
            wanted = await read_entry(source, index, size) if given is None else given
            client.prove(wanted, index)
            return _included(await make_round(client, source, note))

    proof = proof_of(asyncio.run(fetch())).encode()
    if out is None:
        sys.stdout.write(proof.decode())
    else:
        write_new_file(out, proof, mode=PROOF_MODE)


def _included(events: object) -> Included:
    for event in events if isinstance(events, list) else ():
        match event:
            case Included():
                return event
            case NotAtIndex(_, at):
                raise ProofError(f"the log has another entry at {at}")
            case Advanced():
                pass
    raise ProofError("the log did not show the entry")
