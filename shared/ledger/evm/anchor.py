"""Anchored checkpoints: a log's signed checkpoint, and the proof that a consortium's chain holds its size and root.

    note     -> signed by a log of the policy, cosigned by its quorum             (shared.ledger.verify)
    header   -> sealed by the named validators, or a pinned node's word           (shared.ledger.evm.chain_trust)
    account  -> the contract is there and its code is the one shipped here
    storage  -> for this log and size it holds this root, since block N, confirmed by M organisations

What it adds: the log cannot show anyone another tree of this size, nor deny this one, unless the consortium is false too; and the
checkpoint is no younger than the block. What it does not: that larger trees contain this one (consistency proofs do that, between
any two anchored roots), or that a record is in it (inclusion proofs do). The contract is `CheckpointAnchor.vy`, beside this file.
"""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from hashlib import sha256

from shared.core.errors import DecodeError, ProofError, SplitViewError
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.evm.account import map_slot, next_slot, prove_account, prove_slot
from shared.ledger.evm.bundle import AnchorBundle
from shared.ledger.evm.chain_trust import ChainTrust, TrustedHeader, trust_header
from shared.ledger.evm.primitives import Address, Hash32, keccak256
from shared.ledger.evm.receipts import Event, prove_receipt
from shared.ledger.merkle import HASH_BYTES, Hash, verify_consistency
from shared.ledger.note import encode_note, parse_note, signatures_by
from shared.ledger.policy import Policy
from shared.ledger.verify import SignedCheckpoint, TrustedCheckpoint, check_extends, trust_first, verify_signed

CONTRACT_CODE_HASH = Hash32(bytes.fromhex("82a0fd6b805afe40a1073e885c28bb02070262f96f0a1c31d7fb7685a95ee401"))
"""Keccak-256 of the contract's code as it stands on a chain."""

MAX_PUBLISHED_OCTETS = 4_096
"""Octets of a note that the contract publishes."""

MAX_PUBLISHED_NOTES = 4
"""Notes about one size that are looked at; the contract publishes one."""

ANCHOR_EVENT = b"Anchor(bytes32,uint256,address,bytes32,bytes)"
CONFIRMATION_EVENT = b"Confirmation(bytes32,uint256,address)"

_ANCHORS_SLOT = b"\x01"
_HEADS_SLOT = b"\x02"
_SIZE_MASK = (1 << 64) - 1

_SEAL = object()


def origin_id(origin: str) -> bytes:
    """Return what the contract calls a log: SHA-256 of its origin line."""
    return sha256(origin.encode()).digest()


def storage_slots(origin: str, tree_size: int) -> tuple[bytes, bytes, bytes]:
    """Return the slots that tell of a size: its root, its stamp, and the log's head."""
    log = origin_id(origin)
    root = map_slot(map_slot(_ANCHORS_SLOT, log), tree_size.to_bytes(32))
    return root, next_slot(root), map_slot(_HEADS_SLOT, log)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchoredCheckpoint:
    """A checkpoint that is signed, witnessed as the policy asks, and held by a chain.

    Attributes:
        trusted: the checkpoint.
        header: the header it was proven against, and who vouches for that.
        contract: where it is anchored.
        block_number: of the block since which the contract holds it.
        block_time_s: that block's time, seconds since 1970.
        confirmations: how many registered writers have stated it.
        latest_size: the largest size of this log that the contract holds at `header`.
    """

    trusted: TrustedCheckpoint
    header: TrustedHeader
    contract: Address
    block_number: int
    block_time_s: int
    confirmations: int
    latest_size: int
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only shared.ledger.evm.anchor makes an AnchoredCheckpoint")

    @property
    def checkpoint(self) -> Checkpoint:
        """What was anchored."""
        return self.trusted.checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchoredRoot:
    """What the contract holds about one size of one log, proven, whether or not a signed note is at hand.

    Attributes:
        origin: the log.
        tree_size: the size.
        root: its root; None where the size was never anchored.
        stamp: packed, as the contract keeps it; 0 where it was never anchored.
        latest_size: the largest size the contract holds of this log; 0 for none.
        header: what it was proven against.
    """

    origin: str
    tree_size: int
    root: Hash | None
    stamp: int
    latest_size: int
    header: TrustedHeader
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only shared.ledger.evm.anchor makes an AnchoredRoot")


def prove_anchored(bundle: AnchorBundle, origin: str, tree_size: int, trust: ChainTrust) -> AnchoredRoot:
    """Return what the contract holds about a size of a log.

    Raises:
        DecodeError: something in the bundle is malformed.
        ProofError: the header is not trusted, a proof does not hold, or the contract is another one.
        ConfigError: the extra `evm` is not installed.
    """
    if bundle.chain_id != trust.chain_id or bundle.contract != trust.contract:
        raise ProofError(
            f"anchored in 0x{bundle.contract.hex()} on chain {bundle.chain_id}, "
            f"not in 0x{trust.contract.hex()} on chain {trust.chain_id}, which is trusted"
        )
    header = trust_header(bundle.header, trust)
    account = prove_account(header.header.state_root, trust.contract, bundle.account_proof)
    if account.code_hash != CONTRACT_CODE_HASH:
        raise ProofError(f"the contract at 0x{trust.contract.hex()} is not the anchor contract: its code is another one")
    slots = storage_slots(origin, tree_size)
    proofs = (bundle.root_proof, bundle.stamp_proof, bundle.head_proof)
    names = ("root proof", "stamp proof", "head proof")
    root, stamp, head = (
        prove_slot(account.storage_root, slot, nodes, name) for slot, nodes, name in zip(slots, proofs, names, strict=True)
    )
    return AnchoredRoot(
        origin=origin,
        tree_size=tree_size,
        root=Hash(root.to_bytes(HASH_BYTES)) if root else None,
        stamp=stamp,
        latest_size=head & _SIZE_MASK,
        header=header,
        seal=_SEAL,
    )


def verify_anchor(bundle: AnchorBundle, *, trust: ChainTrust, policy: Policy) -> AnchoredCheckpoint:
    """Verify a bundle, offline.

    Args:
        bundle: parsed.
        trust: the chain, its contract, and who vouches for it.
        policy: the log's key and the witnesses' quorum.

    Raises:
        DecodeError: something in it is malformed.
        ProofError: a signature or proof does not hold, or the chain holds another root, or none.
        QuorumError: not enough witnesses have cosigned the checkpoint.
        ConfigError: the extra `evm` is not installed.
    """
    signed = verify_signed(bundle.note, policy)
    trusted = trust_first(signed, policy)
    checkpoint = trusted.checkpoint
    held = prove_anchored(bundle, checkpoint.origin, checkpoint.tree_size, trust)
    check_holds(held, checkpoint)
    block_time_s, block_number, writers = held.stamp >> 192, (held.stamp >> 128) & _SIZE_MASK, held.stamp & _SIZE_MASK
    header = held.header.header
    if block_number > header.number or block_time_s > header.timestamp_s or not writers:
        raise ProofError("the contract's stamp is from the future, or of no writer")
    if held.latest_size < checkpoint.tree_size:
        raise ProofError(f"the contract's largest size is {held.latest_size}, less than one it holds")
    if bundle.receipt is not None:
        receipt = prove_receipt(header.receipts_root, bundle.receipt.place, bundle.receipt.nodes)
        if not receipt.succeeded or not any(_tells_of(event, trust.contract, checkpoint) for event in receipt.events):
            raise ProofError("the receipt is not that of an anchoring of this checkpoint")
    return AnchoredCheckpoint(
        trusted=trusted,
        header=held.header,
        contract=trust.contract,
        block_number=block_number,
        block_time_s=block_time_s,
        confirmations=writers.bit_count(),
        latest_size=held.latest_size,
        seal=_SEAL,
    )


def _tells_of(event: Event, contract: Address, checkpoint: Checkpoint) -> bool:
    """Whether an event says that somebody stated this checkpoint."""
    subject = (origin_id(checkpoint.origin), checkpoint.tree_size.to_bytes(32))
    if event.contract != contract or event.topics[1:3] != subject:
        return False
    kind = event.topics[0]
    return kind == keccak256(CONFIRMATION_EVENT) or (kind == keccak256(ANCHOR_EVENT) and event.data[:32] == checkpoint.root)


def check_holds(held: AnchoredRoot, checkpoint: Checkpoint) -> None:
    """Check that the contract holds a checkpoint's root; raise `ProofError` where it holds another, or none."""
    if held.root is None:
        raise ProofError(f"the chain holds nothing about {checkpoint.tree_size} entries of {checkpoint.origin!r}")
    if held.root != checkpoint.root:
        raise ProofError(
            f"the chain holds another root for {checkpoint.tree_size} entries of {checkpoint.origin!r}: 0x{held.root.hex()}; "
            "the note that was published with it shows whether the log signed both"
        )


def publishable_note(trusted: TrustedCheckpoint, policy: Policy) -> bytes:
    """Return the note to publish with an anchoring: all of it, or where that is too long with the log's signatures only."""
    if len(trusted.note) <= MAX_PUBLISHED_OCTETS:
        return trusted.note
    parsed = parse_note(trusted.note)
    keys = policy.log_keys(trusted.checkpoint.origin)
    return encode_note(parsed.body, tuple(line for key in keys for line in signatures_by(parsed, key)))


def contradiction(trusted: TrustedCheckpoint, held: AnchoredRoot, published: Sequence[bytes], policy: Policy) -> ProofError:
    """Return what to raise where a chain holds a root that a trusted checkpoint contradicts.

    Args:
        trusted: what we trust.
        held: what the contract holds, about the same or another size.
        published: notes that were published with it; nothing about them is verified yet.
        policy: whose signatures count.

    Returns:
        A `SplitViewError` with both notes where the log signed what was anchored, else a `ProofError`: a writer anchored what no
        log signed, or the note is not at hand.
    """
    name, size = held.origin, held.tree_size
    theirs = _signed_among(published, held, policy)
    if theirs is not None:
        sentence = f"{name} signed a tree of {size} entries, which a chain holds, and one of {trusted.checkpoint.tree_size}"
        return SplitViewError(f"{sentence} that contradicts it", trusted.note, theirs.note)
    return ProofError(
        f"a chain holds a root for {size} entries of {name} that contradicts what the log shows, and no note with it that the log "
        "signed: ask the organisation that anchored it"
    )


def rollback(trusted: TrustedCheckpoint, held: AnchoredRoot, published: Sequence[bytes], policy: Policy) -> ProofError:
    """Return what to raise where the chain holds more entries than the log shows; arguments as those of `contradiction`."""
    sentence = f"{held.origin} shows {trusted.checkpoint.tree_size} entries, and the chain holds {held.tree_size}"
    if _signed_among(published, held, policy) is not None:
        return ProofError(f"{sentence}, which the log signed: it was rolled back, or this is an old copy of it")
    return ProofError(
        f"{sentence}, with no note that the log signed: a writer has anchored what the log never said; the governors can remove it"
    )


def _signed_among(published: Sequence[bytes], held: AnchoredRoot, policy: Policy) -> SignedCheckpoint | None:
    """Return the checkpoint among published notes that a log of the policy signed and that says what the chain holds."""
    for note in published[:MAX_PUBLISHED_NOTES]:
        try:
            theirs = verify_signed(note, policy)
        except (DecodeError, ProofError):
            continue
        said = theirs.checkpoint
        if (said.origin, said.tree_size, said.root) == (held.origin, held.tree_size, held.root):
            return theirs
    return None


def check_agrees(trusted: TrustedCheckpoint, anchored: AnchoredCheckpoint, path: tuple[bytes, ...]) -> None:
    """Check that a light client's trusted checkpoint and an anchored one are of one history.

    Args:
        trusted: what the client trusts.
        anchored: what a chain holds.
        path: hashes of `shared.ledger.merkle.consistency_path` between the two sizes; empty where they are equal.

    Raises:
        ProofError: two logs, or the path proves nothing.
        SplitViewError: they contradict each other; the error keeps both notes.
    """
    older, newer = trusted, anchored.trusted
    if older.checkpoint.tree_size > newer.checkpoint.tree_size:
        older, newer = newer, older
    try:
        check_extends(older, newer, path)
    except SplitViewError as contradiction:
        raise SplitViewError(str(contradiction), trusted.note, anchored.trusted.note) from None


def check_roots_agree(older: AnchoredRoot, newer: AnchoredRoot, proof: tuple[bytes, ...]) -> None:
    """Check by a consistency proof (RFC 9162 2.1.4) that two roots a chain holds are of one history.

    Raises:
        ProofError: two logs, a root that was never anchored, or the proof does not lead from one to the other.
    """
    if older.origin != newer.origin or older.root is None or newer.root is None:
        raise ProofError("roots of two logs, or one that was never anchored")
    verify_consistency(older.tree_size, older.root, newer.tree_size, newer.root, proof)
