"""A consortium of our own making: validators whose keys follow from names, and headers they seal."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from eth_keys.datatypes import PrivateKey

from shared.ledger.evm.header import BlockHeader
from shared.ledger.evm.primitives import Address
from shared.ledger.evm.qbft import QbftExtra, decode_qbft_extra, seal_digest

MIX_HASH = bytes.fromhex("63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365")
"""What headers of such chains carry there."""


def validator_key(name: str) -> PrivateKey:
    return PrivateKey(sha256(name.encode()).digest())


def validator(name: str) -> Address:
    return Address(validator_key(name).public_key.to_canonical_address())


@dataclass(frozen=True, slots=True)
class Consortium:
    """Validators by name; the first proposes."""

    names: tuple[str, ...] = ("north", "east", "south", "west")

    @property
    def addresses(self) -> tuple[Address, ...]:
        return tuple(map(validator, self.names))

    def unsealed(self, header: BlockHeader, *, round_number: int = 0, listed: bool = True) -> BlockHeader:
        """A header as it is before anybody has sealed it; validators that a contract chooses are not listed."""
        extra = QbftExtra(vanity=bytes(32), validators=self.addresses if listed else (), vote=(), round=round_number, seals=())
        return replace(header, mix_hash=MIX_HASH, extra_data=extra.encode())

    def sealed(
        self, header: BlockHeader, *, by: Sequence[str] | None = None, round_number: int = 0, listed: bool = True
    ) -> BlockHeader:
        """A header sealed by some, or by all."""
        bare = self.unsealed(header, round_number=round_number, listed=listed)
        return with_seals(bare, [seal(bare, name) for name in (self.names if by is None else by)])


def seal(header: BlockHeader, name: str) -> bytes:
    """One validator's commit seal."""
    return validator_key(name).sign_msg_hash(seal_digest(header)).to_bytes()


def with_seals(header: BlockHeader, seals: Sequence[bytes]) -> BlockHeader:
    """The header with these seals and no others."""
    extra = replace(decode_qbft_extra(header.extra_data), seals=tuple(seals))
    return replace(header, extra_data=extra.encode())


def bare_header(number: int = 7) -> BlockHeader:
    """Some header."""
    return BlockHeader(
        parent_hash=bytes(32),
        ommers_hash=bytes(32),
        beneficiary=bytes(20),
        state_root=bytes(range(32)),
        transactions_root=bytes(32),
        receipts_root=bytes(32),
        logs_bloom=bytes(256),
        difficulty=1,
        number=number,
        gas_limit=30_000_000,
        gas_used=21_000,
        timestamp_s=1_700_000_000,
        extra_data=b"",
        mix_hash=bytes(32),
        nonce=bytes(8),
        base_fee_wei=0,
    )
