"""`v2x ledger check`: verify a proof that an entry is in a log, offline: no network, no state, nothing but the policy."""

import json
from pathlib import Path
from typing import Annotated

import typer

from shared.cli.ledger_source import entry_of
from shared.ledger.proof import MAX_PROOF_BYTES, parse_proof, verify_proof
from shared.service.keystore import read_bounded
from shared.service.online_log import read_policy


def check(
    proof: Annotated[Path, typer.Argument(help="A tlog-proof@v1 text.", metavar="PROOF")],
    *,
    entry: Annotated[str, typer.Option(help="The entry: a file, or hexadecimal.", metavar="HEX|FILE")],
    policy: Annotated[Path, typer.Option(help="tlog-policy: the log's key, the witnesses, the quorum.", metavar="FILE")],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON document.")] = False,
) -> None:
    """Verify a proof of inclusion offline; the exit status is 1 when it does not hold."""
    rules = read_policy(policy)
    included = verify_proof(parse_proof(read_bounded(proof, MAX_PROOF_BYTES)), entry_of(entry), rules)
    said, witnesses = included.trusted.checkpoint, included.trusted.witnesses
    if as_json:
        document = {"log": said.origin, "index": included.index, "tree_size": said.tree_size, "witnesses": list(witnesses)}
        typer.echo(json.dumps(document))
        return
    vouched = f"cosigned by {', '.join(witnesses)}" if witnesses else "no witness cosigned, and the policy asks for none"
    typer.echo(f"the entry is number {included.index} of {said.tree_size} in {said.origin}; {vouched}")
