"""Accounts and their storage (yellow paper 4.1), proven down from a header's state root: what `eth_getProof` answers.

state trie      keccak(address)  -> [nonce, balance, storage root, code hash]
storage trie    keccak(slot)     -> the value, a number without leading zeros
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.core.errors import ProofError
from shared.ledger.evm.primitives import HASH_OCTETS, Address, Hash32, keccak256
from shared.ledger.evm.rlp import decode_rlp, list_of, number_of, octets_of
from shared.ledger.evm.trie import prove_key

SLOT_OCTETS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account.

    Attributes:
        nonce: transactions sent, or contracts made.
        balance_wei: what it owns.
        storage_root: root of its storage.
        code_hash: Keccak-256 of its code.
    """

    nonce: int
    balance_wei: int
    storage_root: Hash32
    code_hash: Hash32


def prove_account(state_root: bytes, address: Address, nodes: Sequence[bytes]) -> Account:
    """Return the account at an address, as the state with this root has it.

    Raises:
        DecodeError: a node or the account is malformed.
        ProofError: the proof does not hold, or there is no such account.
    """
    what = "account proof"
    value = prove_key(state_root, keccak256(address), nodes, what)
    if value is None:
        raise ProofError(f"there is no account 0x{address.hex()} in this state")
    nonce, balance, storage_root, code_hash = list_of(decode_rlp(value, "account"), "account", 4)
    return Account(
        nonce=number_of(nonce, "account.nonce"),
        balance_wei=number_of(balance, "account.balance"),
        storage_root=Hash32(octets_of(storage_root, "account.storage_root", HASH_OCTETS)),
        code_hash=Hash32(octets_of(code_hash, "account.code_hash", HASH_OCTETS)),
    )


def prove_slot(storage_root: bytes, slot: bytes, nodes: Sequence[bytes], what: str) -> int:
    """Return the value of a storage slot, 0 where the proof shows that nothing is there; raises as `prove_account`."""
    value = prove_key(storage_root, keccak256(slot), nodes, what)
    return 0 if value is None else number_of(decode_rlp(value, what), what)


def map_slot(base: bytes, key: bytes) -> bytes:
    """Return where Vyper keeps `map[key]`: keccak(place of the map || key)."""
    return keccak256(base.rjust(SLOT_OCTETS, b"\x00") + key.rjust(SLOT_OCTETS, b"\x00"))


def next_slot(slot: bytes) -> bytes:
    """Return the slot after this one: the next member of a structure."""
    return ((int.from_bytes(slot) + 1) % (1 << 256)).to_bytes(SLOT_OCTETS)
