"""Transactions that arrive: written down before they are sent, sent again, made dearer, and followed until they stay in a block.

At least once: whenever the program is killed, what may be on its way is in the state file and is sent again as it is, under the
same number of the account, so that at most one version of it counts. That a statement arrives twice does no harm: the
contract takes the second as said already. A block that another one replaces (on chains without finality) is noticed, because a
transaction counts as arrived only when its block is still there `confirmations` blocks later.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from eth_account.signers.local import LocalAccount

from shared.core.clock import NS_PER_S, Clock
from shared.core.errors import TransportError
from shared.ledger.evm.primitives import Address, Hash32, keccak256
from shared.service.anchor_key import address_of
from shared.service.anchor_state import MAX_SENT, AnchorState, Pending
from shared.transport.evm_chain import AnchorRefusedError, EvmChain, Fees, MinedTransaction, SignedTransaction
from shared.transport.evm_rpc import RpcError

Sign = Callable[[int, Fees], Awaitable[SignedTransaction]]
"""Makes a transaction with a number and an offer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for what.

    Attributes:
        poll_s: between two questions to the node.
        replace_after_s: without a block, then the same is offered for more.
        give_up_after_s: then the program ends or goes on to its next round, with the transaction still written down.
        confirmations: blocks after the transaction's own; 0 where blocks are final (QBFT).
        max_price_wei: paid for a unit of gas at most.
    """

    poll_s: float = 1.0
    replace_after_s: float = 30.0
    give_up_after_s: float = 180.0
    confirmations: int = 0
    max_price_wei: int = 500 * 10**9


class Sender:
    """Sends one account's transactions, one after another.

    Args:
        chain: the node.
        key: the account's.
        clock: measures waiting.
        patience: how long.
    """

    def __init__(self, *, chain: EvmChain, key: LocalAccount, clock: Clock, patience: Patience) -> None:
        self._chain = chain
        self._key = key
        self._clock = clock
        self._patience = patience

    @property
    def address(self) -> Address:
        """The account."""
        return address_of(self._key)

    async def submit(self, state: AnchorState, note: bytes, sign: Sign) -> MinedTransaction | None:
        """Send a statement and return where it arrived; None where another transaction took its number.

        Raises:
            AnchorRefusedError: the contract would refuse it.
            TransportError: the node does not take it, or it is in no block yet; what may be on its way stays written down.
            StorageError: it could not be written down, and was not sent.
        """
        nonce = await self._chain.nonce(self.address)
        fees = await self._affordable()
        signed = await sign(nonce, fees)
        pending = Pending(note=note, nonce=nonce, price_wei=fees.price_wei, tip_wei=fees.tip_wei, sent=(signed.raw,))
        state.keep_pending(pending)
        return await self.settle(state, pending, sign)

    async def settle(self, state: AnchorState, pending: Pending, sign: Sign) -> MinedTransaction | None:
        """Follow a transaction that was written down until it stays in a block; raises as `submit`."""
        started = waited_since = self._clock.now().monotonic
        is_sent = was_mined = False
        while True:
            found = await self._find(pending)
            if found is not None:
                was_mined = True
                if await self._chain.newest_block() >= found.block_number + self._patience.confirmations:
                    state.keep_pending(None)
                    return found
            elif await self._chain.nonce(self.address) > pending.nonce:
                found = await self._find(pending)  # between the two questions it may have arrived
                if found is None:
                    state.keep_pending(None)
                    return None
                continue
            else:
                if was_mined or not is_sent:  # its block is gone, or this program has not sent it yet
                    await self._send(state, pending)
                    is_sent, was_mined = True, False
                if self._since_s(waited_since) > self._patience.replace_after_s and len(pending.sent) < MAX_SENT:
                    waited_since = self._clock.now().monotonic
                    pending = await self._replaced(state, pending, sign)
            if self._since_s(started) > self._patience.give_up_after_s:
                name = keccak256(pending.sent[-1]).hex()
                raise TransportError(f"transaction 0x{name}", f"is in no block after {self._patience.give_up_after_s:g} s")
            await asyncio.sleep(self._patience.poll_s)

    async def send_once(self, sign: Sign) -> MinedTransaction:
        """Send what needs no memory (an operator's own command) and wait until it is in a block; raises as `submit`."""
        signed = await sign(await self._chain.nonce(self.address), await self._affordable())
        await self._chain.send(signed)
        started = self._clock.now().monotonic
        while (found := await self._chain.mined(signed.hash)) is None:
            if self._since_s(started) > self._patience.give_up_after_s:
                raise TransportError(f"transaction 0x{signed.hash.hex()}", f"is in no block after {self._since_s(started):.0f} s")
            await asyncio.sleep(self._patience.poll_s)
        if not found.succeeded:
            raise TransportError(f"transaction 0x{signed.hash.hex()}", "came into a block, and was refused there")
        return found

    async def _find(self, pending: Pending) -> MinedTransaction | None:
        for raw in reversed(pending.sent):
            found = await self._chain.mined(keccak256(raw))
            if found is not None:
                return found
        return None

    async def _send(self, state: AnchorState, pending: Pending) -> None:
        signed = SignedTransaction(hash=Hash32(keccak256(pending.sent[-1])), raw=pending.sent[-1])
        try:
            await self._chain.send(signed)
        except RpcError:
            if await self._chain.knows(signed.hash) or await self._chain.nonce(self.address) > pending.nonce:
                return
            state.keep_pending(None)  # the node will not have it: the next round makes it anew, under the same number
            raise

    async def _replaced(self, state: AnchorState, pending: Pending, sign: Sign) -> Pending:
        """Offer more for the same, if that is not too much; what was offered before stays valid."""
        now = await self._chain.fees()
        raised = Fees(price_wei=pending.price_wei, tip_wei=pending.tip_wei).raised()
        tip = None if raised.tip_wei is None else max(raised.tip_wei, now.tip_wei or 0)
        fees = Fees(price_wei=max(raised.price_wei, now.price_wei), tip_wei=tip)
        if fees.price_wei > self._patience.max_price_wei or (now.price_wei == 0 and pending.price_wei == 0):
            await self._send(state, pending)
            return pending
        try:
            signed = await sign(pending.nonce, fees)
        except AnchorRefusedError:  # now; what is on its way will be refused too, and its number used up by that
            return pending
        dearer = Pending(
            note=pending.note,
            nonce=pending.nonce,
            price_wei=fees.price_wei,
            tip_wei=fees.tip_wei,
            sent=(*pending.sent, signed.raw),
        )
        state.keep_pending(dearer)
        try:
            await self._chain.send(signed)
        except RpcError:
            return dearer  # the version before is on its way, or in a block by now
        return dearer

    async def _affordable(self) -> Fees:
        fees = await self._chain.fees()
        if fees.price_wei > self._patience.max_price_wei:
            words = f"costs {fees.price_wei} wei for a unit now; at most {self._patience.max_price_wei} are paid"
            raise TransportError("gas", words)
        return fees

    def _since_s(self, moment: int) -> float:
        return (self._clock.now().monotonic - moment) / NS_PER_S
