"""QBFT, the consensus of consortium chains (Enterprise Ethereum Alliance, QBFT specification): who has sealed a block.

    extra data = [vanity, [validator ...], vote, round, [seal ...]]

A seal is a validator's recoverable signature over the hash of the header whose extra data has no seals, but the round they were
given in (commit seals: what a validator signs once a quorum has prepared). The block is *called* by the hash of the header whose
extra data has neither seals nor round, so that all validators name it alike. Which addresses are validators is NOT taken from the
header: whoever makes up a header makes up its list. The caller names them.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

from shared.core.errors import DecodeError, ProofError
from shared.ledger.evm.header import BlockHeader
from shared.ledger.evm.primitives import ADDRESS_OCTETS, SEAL_OCTETS, Address, Hash32, keccak256, recover_signer
from shared.ledger.evm.rlp import Encodable, Item, decode_rlp, encode_rlp, list_of, number_of, octets_of

MAX_VALIDATORS = 64
"""Validators of a consortium, and seals of a header: each takes some 10 ms to check."""

VANITY_OCTETS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class QbftExtra:
    """What QBFT keeps in a header's extra data.

    Attributes:
        vanity: opaque.
        validators: who may seal the block; empty where a contract on the chain says so.
        vote: opaque here, kept for the hash.
        round: number of the round that ended in this block.
        seals: commit seals.
    """

    vanity: bytes
    validators: tuple[Address, ...]
    vote: Item
    round: int
    seals: tuple[bytes, ...]

    def encode(self) -> bytes:
        """Return the extra data."""
        parts: tuple[Encodable, ...] = (self.vanity, self.validators, self.vote, self.round, self.seals)
        return encode_rlp(parts)


def decode_qbft_extra(extra_data: bytes) -> QbftExtra:
    """Decode a header's extra data; raise `DecodeError` unless it is that of QBFT, and canonical."""
    field = "header.extra_data"
    vanity, validators, vote, round_number, seals = list_of(decode_rlp(extra_data, field), field, 5)
    voted = list_of(vote, f"{field}.vote", 0, 2)
    if voted:
        octets_of(voted[0], f"{field}.vote", ADDRESS_OCTETS)
        if len(voted) != 2 or voted[1] not in (b"", b"\xff"):
            raise DecodeError(f"{field}.vote", "neither for nor against a validator")
    return QbftExtra(
        vanity=octets_of(vanity, f"{field}.vanity", VANITY_OCTETS),
        validators=tuple(
            Address(octets_of(item, f"{field}.validators", ADDRESS_OCTETS))
            for item in list_of(validators, f"{field}.validators", 0, MAX_VALIDATORS)
        ),
        vote=voted,
        round=number_of(round_number, f"{field}.round", 4),
        seals=tuple(octets_of(item, f"{field}.seals", SEAL_OCTETS) for item in list_of(seals, f"{field}.seals", 0, MAX_VALIDATORS)),
    )


def seal_digest(header: BlockHeader) -> Hash32:
    """Return what commit seals sign: the hash of the header without seals; raises `DecodeError` where it has no QBFT data."""
    extra = decode_qbft_extra(header.extra_data)
    return replace(header, extra_data=replace(extra, seals=()).encode()).hash()


def qbft_block_hash(header: BlockHeader) -> Hash32:
    """Return what the chain calls the block: the hash of the header without seals and round; raises `DecodeError`."""
    if header.number == 0:
        return keccak256(header.encode())
    extra = decode_qbft_extra(header.extra_data)
    return replace(header, extra_data=replace(extra, seals=(), round=0).encode()).hash()


def quorum_of(validators: int) -> int:
    """Return how many of n validators must seal: two thirds, rounded up, so at least 2f + 1 where n = 3f + 1."""
    return -(-2 * validators // 3)


def check_seals(header: BlockHeader, validators: Collection[Address]) -> tuple[Address, ...]:
    """Check that a quorum of the named validators has sealed a header.

    Args:
        header: with its seals.
        validators: the addresses of the consortium's validators at this block, each once.

    Returns:
        Those who have sealed it.

    Raises:
        DecodeError: the extra data is not that of QBFT.
        ProofError: a genesis block, other validators than the named, a seal twice or of somebody else, or too few.
    """
    if header.number == 0:
        raise ProofError("nobody seals a genesis block")
    extra = decode_qbft_extra(header.extra_data)
    named = set(validators)
    if extra.validators and (set(extra.validators) != named or len(extra.validators) != len(named)):
        raise ProofError(
            f"block {header.number} was made by {len(extra.validators)} validators that are not the {len(named)} named ones: "
            "if the consortium has changed, name its validators anew, from the block of the change"
        )
    digest = seal_digest(header)
    signers: dict[Address, None] = {}
    for seal in extra.seals:
        signer = recover_signer(digest, seal)
        if signer not in named:
            raise ProofError(f"block {header.number} carries a seal of 0x{signer.hex()}, which is no named validator")
        if signer in signers:
            raise ProofError(f"block {header.number} carries two seals of the validator 0x{signer.hex()}")
        signers[signer] = None
    needed = quorum_of(len(named))
    if len(signers) < needed:
        raise ProofError(f"block {header.number} is sealed by {len(signers)} of {len(named)} validators; {needed} are needed")
    return tuple(signers)
