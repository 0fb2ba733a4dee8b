"""`v2x ledger anchor`: checkpoints of a log, never its records, kept by an anchor contract on an EVM chain.

    v2x ledger anchor key --out anchor.key                            an organisation's key, mode 0600
    v2x ledger anchor deploy --rpc URL --key FILE --governor 0x...    put the contract on a chain
    v2x ledger anchor writer --rpc URL --key FILE --contract 0x... --origin NAME --writer 0x...     a governor's word
    v2x ledger anchor --log URL --policy FILE --rpc URL --key FILE --chain-trust FILE [--every S]   state checkpoints, keep proofs
    v2x ledger anchor check BUNDLE --chain-trust FILE --policy FILE   verify one, offline

Everything but `check` needs a node; all of it needs `pip install 'v2x-trust[evm]'`. How a consortium's chain is set up is in
docs/anchoring.md.
"""

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from shared.core.errors import ConfigError, SplitViewError
from shared.ledger.evm.anchor import AnchoredCheckpoint, check_agrees, verify_anchor
from shared.ledger.evm.bundle import MAX_BUNDLE_OCTETS, parse_bundle
from shared.ledger.evm.chain_trust import MAX_TRUST_OCTETS, ChainTrust, PinnedNode, parse_address, parse_chain_trust
from shared.ledger.evm.consistency import path_between, tiles_between
from shared.ledger.evm.primitives import missing_extra
from shared.ledger.note import MAX_NOTE_BYTES
from shared.ledger.policy import Policy
from shared.ledger.verify import TrustedCheckpoint, trust_first, verify_signed
from shared.service.keystore import read_bounded
from shared.service.online_log import read_policy

MAX_TILE_OCTETS = 8_192
MAX_EVERY_S = 7 * 86_400
GWEI = 10**9

app = typer.Typer(help="Keep checkpoints on an EVM chain, and verify them.")

Rpc = Annotated[str, typer.Option(help="JSON-RPC of a node of the chain.", metavar="URL")]
KeyFile = Annotated[Path, typer.Option(help="The organisation's key, mode 0600.", metavar="FILE")]
PolicyFile = Annotated[Path, typer.Option(help="Logs and witnesses that count (tlog-policy).", metavar="FILE")]
TrustFile = Annotated[Path, typer.Option(help="Whom to trust about the chain (docs/anchoring.md).", metavar="FILE")]


@app.callback(invoke_without_command=True)
def anchor(
    context: typer.Context,
    *,
    log: Annotated[str | None, typer.Option(help="The log (tlog-tiles).", metavar="URL")] = None,
    policy: Annotated[Path | None, typer.Option(help="Logs and witnesses that count (tlog-policy).", metavar="FILE")] = None,
    rpc: Annotated[str | None, typer.Option(help="JSON-RPC of a node of the chain.", metavar="URL")] = None,
    key: Annotated[Path | None, typer.Option(help="The organisation's key, mode 0600.", metavar="FILE")] = None,
    contract: Annotated[
        str | None, typer.Option(help="The contract; default: the one --chain-trust names.", metavar="0x...")
    ] = None,
    chain_trust: Annotated[Path | None, typer.Option(help="Whom to trust about the chain.", metavar="FILE")] = None,
    pin_node: Annotated[
        str | None, typer.Option(help="DEVELOPMENT: trust this one node, called NAME, instead of a file.", metavar="NAME")
    ] = None,
    origin: Annotated[str | None, typer.Option(help="The log's origin, where the policy has several.", metavar="NAME")] = None,
    out: Annotated[Path, typer.Option(help="Directory for proofs (anchor-SIZE.json) and the state.", metavar="DIR")] = Path(
        "anchors"
    ),
    every: Annotated[
        float | None, typer.Option(min=0.1, max=MAX_EVERY_S, help="Go on, a round each S seconds.", metavar="S")
    ] = None,
    confirmations: Annotated[int, typer.Option(min=0, max=1000, help="Blocks to wait for; 0 where blocks are final.")] = 0,
    max_gas_price: Annotated[float, typer.Option(min=0, help="Gwei paid for a unit of gas at most.", metavar="GWEI")] = 500.0,
    patience: Annotated[float, typer.Option(min=1, max=86_400, help="Seconds for a transaction to come into a block.")] = 180.0,
) -> None:
    """State a log's newest checkpoint on the chain and keep the proof; once, or again and again."""
    if context.invoked_subcommand is not None:
        return
    asked = {"--log": log, "--policy": policy, "--rpc": rpc, "--key": key}
    missing = [name for name, value in asked.items() if value is None]
    if missing or log is None or policy is None or rpc is None or key is None:
        raise ConfigError("v2x ledger anchor", f"{', '.join(missing)} must be given")
    if (chain_trust is None) is (pin_node is None):
        raise ConfigError("--chain-trust", "give either this file, or --pin-node for a development chain")
    parsed = read_policy(policy)
    with _extra():
        from shared.operator.anchor_service import AnchorPlan, run_anchoring  # noqa: PLC0415 - web3.py is for those who anchor
    trust = None if chain_trust is None else _trust(chain_trust, contract)
    plan = AnchorPlan(
        origin=_origin(parsed, origin),
        log_url=log,
        policy=parsed,
        rpc_url=rpc,
        key_path=key,
        trust=trust,
        pinned_name=pin_node,
        contract=None if contract is None else parse_address(contract, "--contract"),
        directory=out,
        every_s=every,
        confirmations=confirmations,
        max_price_wei=int(max_gas_price * GWEI),
        patience_s=patience,
    )
    raise typer.Exit(run_anchoring(plan, os.environ, say=typer.echo))


@app.command()
def key(out: Annotated[Path, typer.Option(help="New file, mode 0600.", metavar="FILE")]) -> None:
    """Make an organisation's key and print its address."""
    with _extra():
        from shared.service.anchor_key import write_anchor_key  # noqa: PLC0415 - as above
    typer.echo(write_anchor_key(out, os.urandom).address)


@app.command()
def deploy(
    rpc: Rpc,
    key: KeyFile,
    governor: Annotated[list[str], typer.Option(help="Who registers writers; again for each.", metavar="0x...")],
    threshold: Annotated[int, typer.Option(min=1, max=16, help="How many governors must agree.")] = 1,
) -> None:
    """Put the contract on a chain and print its address."""
    with _extra():
        from shared.operator.anchor_service import deploy_contract  # noqa: PLC0415 - as above
    governors = [parse_address(each, "--governor") for each in governor]
    typer.echo("0x" + asyncio.run(deploy_contract(rpc, key, governors, threshold)).hex())


@app.command()
def writer(
    rpc: Rpc,
    key: KeyFile,
    contract: Annotated[str, typer.Option(help="The contract.", metavar="0x...")],
    origin: Annotated[str, typer.Option(help="The log's origin.", metavar="NAME")],
    writer: Annotated[str, typer.Option(help="An organisation's address.", metavar="0x...")],
    remove: Annotated[bool, typer.Option(help="It may no longer anchor.")] = False,  # noqa: FBT002 - a command-line flag
) -> None:
    """Give a governor's word that an address may anchor a log's checkpoints; it counts once enough governors gave it."""
    with _extra():
        from shared.operator.anchor_service import approve_writer  # noqa: PLC0415 - as above
    addresses = parse_address(contract, "--contract"), parse_address(writer, "--writer")
    is_so = asyncio.run(approve_writer(rpc, key, addresses[0], (origin, addresses[1], not remove)))
    typer.echo("in effect" if is_so else "approved; other governors must approve it too")


@app.command()
def check(
    bundle: Annotated[Path, typer.Argument(help="A proof (anchor-SIZE.json).", metavar="BUNDLE")],
    chain_trust: TrustFile,
    policy: PolicyFile,
    trusted: Annotated[Path | None, typer.Option(help="A checkpoint (signed note) it must agree with.", metavar="NOTE")] = None,
    tiles: Annotated[Path | None, typer.Option(help="A copy of the log's tiles, to compare sizes.", metavar="DIR")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for machines.")] = False,  # noqa: FBT002 - a command-line flag
) -> None:
    """Verify that a chain holds a checkpoint, offline."""
    parsed = read_policy(policy)
    trust = _trust(chain_trust, None)
    anchored = verify_anchor(parse_bundle(read_bounded(bundle, MAX_BUNDLE_OCTETS)), trust=trust, policy=parsed)
    if trusted is not None:
        _check_agrees(trust_first(verify_signed(read_bounded(trusted, MAX_NOTE_BYTES), parsed), parsed), anchored, tiles)
    if as_json:
        typer.echo(json.dumps(_as_json(anchored, trust), ensure_ascii=False))
        return
    checkpoint = anchored.checkpoint
    when = datetime.fromtimestamp(anchored.block_time_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    console = Console(soft_wrap=True)
    if trust.is_development:
        _say_loudly(console)
    text = f"{checkpoint.tree_size} entries of {checkpoint.origin}: held since block {anchored.block_number} ({when}), "
    text += f"stated by {anchored.confirmations} organisation(s), on the word of {anchored.header.on_whose_word}."
    console.print(text, style="yellow" if trust.is_development else "green", markup=False)


def _say_loudly(console: Console) -> None:
    words = "This is a DEVELOPMENT CHAIN: one node's word, which proves nothing to anybody else."
    console.print(words, style="bold red")


def _as_json(anchored: AnchoredCheckpoint, trust: ChainTrust) -> dict[str, object]:
    return {
        "verified": True,
        "origin": anchored.checkpoint.origin,
        "tree_size": anchored.checkpoint.tree_size,
        "root": anchored.checkpoint.root.hex(),
        "witnesses": anchored.trusted.witnesses,
        "block": anchored.block_number,
        "block_time_s": anchored.block_time_s,
        "confirmations": anchored.confirmations,
        "latest_size": anchored.latest_size,
        "proven_at_block": anchored.header.header.number,
        "sealed_by": ["0x" + each.hex() for each in anchored.header.sealed_by],
        "development": trust.is_development,
    }


def _check_agrees(trusted: TrustedCheckpoint, anchored: AnchoredCheckpoint, directory: Path | None) -> None:
    old, new = sorted((trusted.checkpoint.tree_size, anchored.checkpoint.tree_size))
    wanted = tiles_between(old, new) if old else ()
    if wanted and directory is None:
        raise ConfigError("--tiles", f"a copy of the log's tiles is needed to compare {old} with {new} entries")
    found = {tile: read_bounded((directory or Path()) / tile.path, MAX_TILE_OCTETS) for tile in wanted}
    try:
        check_agrees(trusted, anchored, path_between(old, new, found) if wanted else ())
    except SplitViewError as contradiction:
        typer.echo(f"{contradiction.trusted_note.decode()}\n{contradiction.conflicting_note.decode()}", err=True)
        raise


def _trust(path: Path, contract: str | None) -> ChainTrust:
    trust = parse_chain_trust(read_bounded(path, MAX_TRUST_OCTETS), str(path))
    if contract is not None and parse_address(contract, "--contract") != trust.contract:
        raise ConfigError("--contract", f"{path} trusts another one, 0x{trust.contract.hex()}")
    if isinstance(trust.by, PinnedNode):
        _say_loudly(Console(stderr=True))
    return trust


def _origin(policy: Policy, origin: str | None) -> str:
    origins = sorted({log.key.name for log in policy.logs})
    if origin is None and len(origins) == 1:
        return origins[0]
    if origin not in origins:
        raise ConfigError("--origin", f"must be one of {', '.join(origins) or 'the logs of the policy, which has none'}")
    return origin


@contextmanager
def _extra() -> Iterator[None]:
    """Say what to install where the optional part is not there."""
    try:
        yield
    except ImportError as error:
        raise missing_extra(error) from error
