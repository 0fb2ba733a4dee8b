"""One round of anchoring: read a log's newest checkpoint, hold it against all that is known, state it on the chain, keep the proof.

    log -> signature, quorum, consistent with what we trusted (light client) -> consistent with what the chain holds
        -> statement (if it is new, or we have not confirmed it yet) -> header, account, storage, receipt -> verified -> bundle file

A contradiction, whether between two checkpoints of the log or between the log and what another organisation anchored, ends the
round with a `SplitViewError` that keeps both notes, and nothing is stated. Nothing here is believed because a node said so, but
on a development chain the hash of a header.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from eth_account.signers.local import LocalAccount

from shared.core.errors import ConfigError, DecodeError, ProofError, StorageError, TransportError
from shared.ledger.evm.anchor import (
    AnchoredCheckpoint,
    AnchoredRoot,
    contradiction,
    prove_anchored,
    publishable_note,
    rollback,
    verify_anchor,
)
from shared.ledger.evm.bundle import MAX_BUNDLE_OCTETS, parse_bundle
from shared.ledger.evm.chain_trust import ChainTrust, PinnedNode, block_hash
from shared.ledger.evm.consistency import path_between, tiles_between
from shared.ledger.evm.header import decode_header
from shared.ledger.light_client import Advanced, LightClient
from shared.ledger.merkle import roots_from_consistency
from shared.ledger.policy import Policy
from shared.ledger.verify import TrustedCheckpoint, verify_signed
from shared.operator.anchor_transactions import Sender, Sign
from shared.service.anchor_state import AnchorState
from shared.service.event_store import write_private_file
from shared.service.keystore import read_bounded
from shared.transport.bounded_http import BoundedHttp
from shared.transport.evm_chain import EvmChain, Fees, MinedTransaction, SignedTransaction
from shared.transport.evm_rpc import RpcError

MAX_PATH_OCTETS = 65_536
"""Octets of a checkpoint or tile."""

_BUNDLE_MODE = 0o644


class Outcome(Enum):
    """What a round did."""

    EMPTY = "empty"
    """The log has no entries, or no checkpoint its quorum has witnessed yet."""

    ANCHORED = "anchored"
    """This round's statement is on the chain."""

    STOOD = "stood"
    """The chain held it already, confirmed by this organisation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchoring:
    """A round's result: the proof, verified, and where it was written; None where there was nothing to anchor."""

    outcome: Outcome
    anchored: AnchoredCheckpoint | None = None
    bundle: Path | None = None


class Anchorer:
    """Anchors one log's checkpoints for one organisation.

    Args:
        origin: the log's.
        log_url: where it is read (tlog-tiles).
        http: entered, carries that.
        policy: the log's key and the quorum.
        chain: the node, entered.
        trust: the chain, its contract, and who vouches for it.
        key: the organisation's.
        sender: sends with that key.
        state: what is remembered.
        bundles: directory for the proofs.
    """

    def __init__(
        self,
        *,
        origin: str,
        log_url: str,
        http: BoundedHttp,
        policy: Policy,
        chain: EvmChain,
        trust: ChainTrust,
        key: LocalAccount,
        sender: Sender,
        state: AnchorState,
        bundles: Path,
    ) -> None:
        self._origin = origin
        self._log_url = log_url.rstrip("/")
        self._http = http
        self._policy = policy
        self._chain = chain
        self._trust = trust
        self._key = key
        self._sender = sender
        self._state = state
        self._bundles = bundles

    async def round(self) -> Anchoring:
        """Do it once.

        Raises:
            SplitViewError: the log contradicts itself, or what the chain holds of it.
            ProofError: something does not prove what it claims, or the log shows less than the chain holds.
            AnchorRefusedError: the contract refuses.
            TransportError: log or node failed; the next round goes on where this one ended.
            StorageError: state or bundle could not be written.
        """
        pending = self._state.pending
        if pending is not None:
            await self._sender.settle(self._state, pending, self._signing(pending.note))
        trusted = await self._follow_log()
        if trusted is None or trusted.checkpoint.tree_size == 0:
            return Anchoring(outcome=Outcome.EMPTY)
        if await self._is_stated(trusted):
            return self._kept(trusted) or await self._keep(Outcome.STOOD, trusted, None)
        note = publishable_note(trusted, self._policy)
        mined = await self._sender.submit(self._state, note, self._signing(note))
        # refused in the block after all, because another came first: then what the chain holds now decides
        return await self._keep(Outcome.ANCHORED, trusted, mined if mined is not None and mined.succeeded else None)

    def _signing(self, note: bytes) -> Sign:
        checkpoint = verify_signed(note, self._policy).checkpoint
        statement = (self._origin, checkpoint.tree_size, checkpoint.root, note)

        async def sign(nonce: int, fees: Fees) -> SignedTransaction:
            return await self._chain.sign_anchor(self._key, self._trust.contract, statement, nonce=nonce, fees=fees)

        return sign

    async def _follow_log(self) -> TrustedCheckpoint | None:
        client = LightClient(origin=self._origin, policy=self._policy, trusted_note=self._state.trusted)
        client.begin()
        while wanted := client.wants():
            for path in wanted:
                for event in client.give(path, await self._fetch(path)):
                    if isinstance(event, Advanced):
                        self._state.keep_trusted(event.trusted.note)
        return client.trusted

    async def _is_stated(self, trusted: TrustedCheckpoint) -> bool:
        """Hold a checkpoint against what the chain holds, and return whether this organisation has stated it there."""
        checkpoint = trusted.checkpoint
        held = await self._held(checkpoint.tree_size)
        if held.root is not None:
            if held.root != checkpoint.root:
                raise await self._contradiction(trusted, held)
            writers = await self._chain.writers(self._trust.contract, self._origin)
            mine = self._sender.address
            return mine in writers and bool(held.stamp >> writers.index(mine) & 1)
        if held.latest_size > checkpoint.tree_size:
            largest = await self._held(held.latest_size)
            raise rollback(trusted, largest, await self._published(largest), self._policy)
        if held.latest_size:
            await self._check_contains(trusted, await self._held(held.latest_size))
        return False

    async def _check_contains(self, trusted: TrustedCheckpoint, held: AnchoredRoot) -> None:
        """Check that the log's tree contains the largest one the chain holds, whoever anchored that."""
        size = trusted.checkpoint.tree_size
        tiles = {tile: await self._fetch(tile.path) for tile in tiles_between(held.tree_size, size)}
        path = path_between(held.tree_size, size, tiles)
        old_root, new_root = roots_from_consistency(held.tree_size, size, path[0], path[1:])
        if new_root != trusted.checkpoint.root:
            raise ProofError(f"the log's tiles do not lead to the root it signed for {size} entries")
        if old_root != held.root:
            raise await self._contradiction(trusted, held)

    async def _held(self, tree_size: int) -> AnchoredRoot:
        number = await self._chain.newest_block()
        bundle = await self._chain.bundle(self._trust, b"", self._origin, tree_size, number)
        return prove_anchored(bundle, self._origin, tree_size, believing(self._trust, bundle.header))

    async def _contradiction(self, trusted: TrustedCheckpoint, held: AnchoredRoot) -> ProofError:
        return contradiction(trusted, held, await self._published(held), self._policy)

    async def _published(self, held: AnchoredRoot) -> tuple[bytes, ...]:
        return await self._chain.published_notes(self._trust.contract, self._origin, held.tree_size)

    async def _keep(self, outcome: Outcome, trusted: TrustedCheckpoint, mined: MinedTransaction | None) -> Anchoring:
        """Fetch the proof, verify it, and write it down."""
        checkpoint = trusted.checkpoint
        number = await self._chain.newest_block() if mined is None else mined.block_number
        bundle = await self._chain.bundle(self._trust, trusted.note, self._origin, checkpoint.tree_size, number)
        if mined is not None:
            if block_hash(decode_header(bundle.header), self._trust) != mined.block_hash:
                raise TransportError(f"block {number}", "was replaced by another one; the next round looks again")
            with suppress(RpcError):  # not every node gives all receipts of a block; the state proves enough
                root = decode_header(bundle.header).receipts_root
                bundle = replace(bundle, receipt=await self._chain.receipt_proof(mined, root))
        anchored = verify_anchor(bundle, trust=believing(self._trust, bundle.header), policy=self._policy)
        path = self._path(checkpoint.tree_size)
        try:
            self._bundles.mkdir(parents=True, exist_ok=True)
            write_private_file(path, bundle.encode())
            path.chmod(_BUNDLE_MODE)
        except OSError as error:
            raise StorageError(str(path), f"cannot be written: {error.strerror or error}") from error
        return Anchoring(outcome=outcome, anchored=anchored, bundle=path)

    def _path(self, tree_size: int) -> Path:
        return self._bundles / f"anchor-{tree_size}.json"

    def _kept(self, trusted: TrustedCheckpoint) -> Anchoring | None:
        """Return the proof of an earlier round, if it is still there and holds; the first one has the receipt."""
        path = self._path(trusted.checkpoint.tree_size)
        try:
            bundle = parse_bundle(read_bounded(path, MAX_BUNDLE_OCTETS))
            anchored = verify_anchor(bundle, trust=believing(self._trust, bundle.header), policy=self._policy)
        except (ConfigError, DecodeError, ProofError):
            return None
        return (
            Anchoring(outcome=Outcome.STOOD, anchored=anchored, bundle=path) if anchored.checkpoint == trusted.checkpoint else None
        )

    async def _fetch(self, path: str) -> bytes:
        return await self._http.exchange("GET", f"{self._log_url}/{path}", headers={}, body=b"", maximum=MAX_PATH_OCTETS)


def believing(trust: ChainTrust, header: bytes) -> ChainTrust:
    """Return what to trust while asking a node: on a development chain, besides, the header this very node gives."""
    if not isinstance(trust.by, PinnedNode):
        return trust
    return replace(trust, by=replace(trust.by, headers=trust.by.headers | {decode_header(header).hash()}))
