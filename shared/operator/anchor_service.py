"""The anchoring program: its configuration made real, one round or many, and the operators' own commands on a contract.

A round that fails because log or node are away is said and tried again at its next time. A contradiction ends the program: both
notes are written beside the proofs (`split-view-trusted.note`, `split-view-conflicting.note`), and somebody has to look at them.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from shared.core.clock import TimeSource
from shared.core.errors import ConfigError, SplitViewError, V2xError
from shared.ledger.evm.chain_trust import ChainTrust, PinnedNode
from shared.ledger.evm.primitives import Address
from shared.ledger.policy import Policy
from shared.operator.anchor_round import Anchorer, Anchoring
from shared.operator.anchor_transactions import Patience, Sender
from shared.service.anchor_key import address_of, read_anchor_key
from shared.service.anchor_state import AnchorState, Subject
from shared.service.event_store import write_private_file
from shared.service.notify import Notifier, Watchdog
from shared.service.run import Service, run_service
from shared.service.state_lock import locked
from shared.service.system_clock import SystemClock
from shared.transport.bounded_http import BoundedHttp
from shared.transport.evm_chain import EvmChain, Fees, SignedTransaction

STATE_NAME = "state.json"

Say = Callable[[str], object]
"""Tells a person one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorPlan:
    """What an operator asked for; `trust`, or on a development chain `pinned_name` and `contract`."""

    origin: str
    log_url: str
    policy: Policy
    rpc_url: str
    key_path: Path
    trust: ChainTrust | None
    pinned_name: str | None
    contract: Address | None
    directory: Path
    every_s: float | None
    confirmations: int
    max_price_wei: int
    patience_s: float


def run_anchoring(plan: AnchorPlan, environment: Mapping[str, str], *, say: Say) -> int:
    """Anchor once or periodically, until told to stop; return the exit code."""

    async def body(service: Service) -> None:
        await _run(plan, service, say)

    notifier = Notifier.from_environment(environment)
    return run_service(body, notifier=notifier, watchdog=Watchdog.from_environment(notifier, environment))


async def deploy_contract(rpc_url: str, key_path: Path, governors: Sequence[Address], threshold: int) -> Address:
    """Put the contract on a chain; return its address.

    Raises:
        AnchorRefusedError: the contract refuses these governors or this threshold.
        TransportError: the node failed, or the transaction is in no block in time.
    """
    key = read_anchor_key(key_path)
    async with EvmChain(rpc_url) as chain:

        async def sign(nonce: int, fees: Fees) -> SignedTransaction:
            return await chain.sign_deployment(key, governors, threshold, nonce=nonce, fees=fees)

        sender = Sender(chain=chain, key=key, clock=SystemClock(TimeSource.ASSUME_TRUSTED), patience=Patience())
        mined = await sender.send_once(sign)
    if mined.contract is None:
        raise ConfigError(rpc_url, "the node names no contract that the transaction made")
    return mined.contract


async def approve_writer(rpc_url: str, key_path: Path, contract: Address, change: tuple[str, Address, bool]) -> bool:
    """Give a governor's word about (origin, writer, active); return whether that is in effect now; raises as `deploy_contract`."""
    key = read_anchor_key(key_path)
    origin, writer, active = change
    async with EvmChain(rpc_url) as chain:

        async def sign(nonce: int, fees: Fees) -> SignedTransaction:
            return await chain.sign_set_writer(key, contract, change, nonce=nonce, fees=fees)

        sender = Sender(chain=chain, key=key, clock=SystemClock(TimeSource.ASSUME_TRUSTED), patience=Patience())
        await sender.send_once(sign)
        return await chain.is_writer(contract, origin, writer) is active


async def _run(plan: AnchorPlan, service: Service, say: Say) -> None:
    key = read_anchor_key(plan.key_path)
    clock = SystemClock(TimeSource.ASSUME_TRUSTED)
    patience = Patience(confirmations=plan.confirmations, max_price_wei=plan.max_price_wei, give_up_after_s=plan.patience_s)
    state_path = plan.directory / STATE_NAME
    async with AsyncExitStack() as stack:
        stack.enter_context(locked(state_path))
        http = await stack.enter_async_context(BoundedHttp(kept_connections=1))
        chain = await stack.enter_async_context(EvmChain(plan.rpc_url))
        trust = await _trust(plan, chain, say)
        subject = Subject(chain_id=trust.chain_id, contract=trust.contract, origin=plan.origin)
        anchorer = Anchorer(
            origin=plan.origin,
            log_url=plan.log_url,
            http=http,
            policy=plan.policy,
            chain=chain,
            trust=trust,
            key=key,
            sender=Sender(chain=chain, key=key, clock=clock, patience=patience),
            state=AnchorState(state_path, subject),
            bundles=plan.directory,
        )
        say(f"anchoring {plan.origin} as 0x{address_of(key).hex()}")
        service.notifier.ready()
        while True:
            service.watchdog.feed(clock.now().monotonic)
            try:
                say(_told(await anchorer.round()))
            except SplitViewError as contradiction:
                _keep_evidence(plan.directory, contradiction)
                raise
            except V2xError as error:
                if plan.every_s is None:
                    raise
                say(f"not anchored: {error}")
            if plan.every_s is None:
                return
            await asyncio.sleep(plan.every_s)


async def _trust(plan: AnchorPlan, chain: EvmChain, say: Say) -> ChainTrust:
    if plan.trust is not None:
        await chain.check_chain(plan.trust.chain_id)
        return plan.trust
    if plan.contract is None or plan.pinned_name is None:
        raise ConfigError("--contract", "must be given on a development chain")
    say(f"DEVELOPMENT CHAIN: everything rests on the word of one node, {plan.pinned_name}; to nobody else it proves anything")
    by = PinnedNode(name=plan.pinned_name, headers=frozenset())
    return ChainTrust(chain_id=await chain.chain_id(), contract=plan.contract, by=by)


def _told(result: Anchoring) -> str:
    anchored = result.anchored
    if anchored is None:
        return "nothing to anchor: the log is empty, or its newest checkpoint is not witnessed yet"
    header = anchored.header
    text = f"{result.outcome.value} size {anchored.checkpoint.tree_size} in block {anchored.block_number}, "
    text += f"stated by {anchored.confirmations}, on the word of {header.on_whose_word}: {result.bundle}"
    return text if header.sealed_by else f"{text} (to check it offline, pin header 0x{header.block_hash.hex()})"


def _keep_evidence(directory: Path, contradiction: SplitViewError) -> None:
    with suppress(OSError):  # the contradiction matters more than what cannot be written
        directory.mkdir(parents=True, exist_ok=True)
        write_private_file(directory / "split-view-trusted.note", contradiction.trusted_note)
        write_private_file(directory / "split-view-conflicting.note", contradiction.conflicting_note)
