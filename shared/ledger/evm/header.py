"""Block headers (yellow paper 4.4; EIP-1559, 4895, 4844, 4788, 7685): decoded strictly, encoded again, hashed.

Forks have only ever added fields at the end, so a header has 15 to 21 of them and says by their number how new its rules are. What
the fields mean to a chain is not checked here: whether a header may be believed is `shared.ledger.evm.chain_trust`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from shared.core.errors import DecodeError
from shared.ledger.evm.primitives import ADDRESS_OCTETS, HASH_OCTETS, Hash32, keccak256
from shared.ledger.evm.rlp import Encodable, decode_rlp, encode_rlp, list_of, number_of, octets_of

MAX_HEADER_OCTETS = 32_768
"""Octets of one header; seals of 250 validators take some 22,000."""

MAX_EXTRA_OCTETS = 30_000

BLOOM_OCTETS = 256
_NONCE_OCTETS = 8
_OLDEST_FIELDS = 15

_NUMBER = 0
"""In `_FIELDS`: the field is a number."""

_ANY = -1
"""In `_FIELDS`: octets of any length."""

_FIELDS: tuple[tuple[str, str, int], ...] = (
    ("parent_hash", "parentHash", HASH_OCTETS),
    ("ommers_hash", "sha3Uncles", HASH_OCTETS),
    ("beneficiary", "miner", ADDRESS_OCTETS),
    ("state_root", "stateRoot", HASH_OCTETS),
    ("transactions_root", "transactionsRoot", HASH_OCTETS),
    ("receipts_root", "receiptsRoot", HASH_OCTETS),
    ("logs_bloom", "logsBloom", BLOOM_OCTETS),
    ("difficulty", "difficulty", _NUMBER),
    ("number", "number", _NUMBER),
    ("gas_limit", "gasLimit", _NUMBER),
    ("gas_used", "gasUsed", _NUMBER),
    ("timestamp_s", "timestamp", _NUMBER),
    ("extra_data", "extraData", _ANY),
    ("mix_hash", "mixHash", HASH_OCTETS),
    ("nonce", "nonce", _NONCE_OCTETS),
    ("base_fee_wei", "baseFeePerGas", _NUMBER),
    ("withdrawals_root", "withdrawalsRoot", HASH_OCTETS),
    ("blob_gas_used", "blobGasUsed", _NUMBER),
    ("excess_blob_gas", "excessBlobGas", _NUMBER),
    ("parent_beacon_root", "parentBeaconBlockRoot", HASH_OCTETS),
    ("requests_hash", "requestsHash", HASH_OCTETS),
)
"""Attribute, name in JSON-RPC, octets; in the order of the encoding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockHeader:
    """A header; fields of later forks are None where the header has none.

    Attributes:
        state_root: root of all accounts after this block.
        receipts_root: root of what this block's transactions did.
        number: of the block.
        timestamp_s: seconds since 1970, as the proposer says.
        extra_data: where a consortium's consensus puts its seals.
    """

    parent_hash: bytes
    ommers_hash: bytes
    beneficiary: bytes
    state_root: bytes
    transactions_root: bytes
    receipts_root: bytes
    logs_bloom: bytes
    difficulty: int
    number: int
    gas_limit: int
    gas_used: int
    timestamp_s: int
    extra_data: bytes
    mix_hash: bytes
    nonce: bytes
    base_fee_wei: int | None = None
    withdrawals_root: bytes | None = None
    blob_gas_used: int | None = None
    excess_blob_gas: int | None = None
    parent_beacon_root: bytes | None = None
    requests_hash: bytes | None = None

    def encode(self) -> bytes:
        """Return the RLP encoding."""
        values: list[Encodable] = []
        for name, _, _ in _FIELDS:
            value = getattr(self, name)
            if value is None:
                break
            values.append(value)
        return encode_rlp(values)

    def hash(self) -> Hash32:
        """Return the hash of the encoding; with QBFT a block is called by another one (`shared.ledger.evm.qbft`)."""
        return keccak256(self.encode())


def decode_header(encoded: bytes) -> BlockHeader:
    """Decode a header; raise `DecodeError` unless it is canonical."""
    if len(encoded) > MAX_HEADER_OCTETS:
        raise DecodeError("header", f"{len(encoded)} octets; at most {MAX_HEADER_OCTETS} are read")
    items = list_of(decode_rlp(encoded, "header"), "header", _OLDEST_FIELDS, len(_FIELDS))
    values: dict[str, bytes | int] = {}
    for (name, _, octets), item in zip(_FIELDS, items, strict=False):
        field = f"header.{name}"
        if octets == _NUMBER:
            values[name] = number_of(item, field, 8 if name in ("number", "timestamp_s") else 32)
        else:
            values[name] = octets_of(item, field, None if octets == _ANY else octets)
    return _made_of(values)


def header_from_rpc(block: Mapping[str, object]) -> BlockHeader:
    """Return the header that a node's answer to `eth_getBlockByNumber` describes.

    Raises:
        DecodeError: a field is missing, malformed, or stands after one that is missing.
    """
    values: dict[str, bytes | int] = {}
    ended = False
    for place, (name, rpc_name, octets) in enumerate(_FIELDS):
        said = block.get(rpc_name)
        if said is None and place >= _OLDEST_FIELDS:
            ended = True
            continue
        if ended:
            raise DecodeError(f"block.{rpc_name}", "is there, and one that comes before it is not")
        values[name] = quantity_of(said, f"block.{rpc_name}") if octets == _NUMBER else hex_of(said, f"block.{rpc_name}")
        if octets > 0 and len(hex_of(said, rpc_name)) != octets:
            raise DecodeError(f"block.{rpc_name}", f"it has {octets} octets")
    return decode_header(_made_of(values).encode())


def hex_of(value: object, field: str) -> bytes:
    """Return octets that JSON-RPC writes as `0x` and an even number of digits; raises `DecodeError`."""
    if not isinstance(value, str) or not value.startswith("0x") or not value.isascii():
        raise DecodeError(field, "octets are written as 0x and pairs of hexadecimal digits")
    try:
        octets = bytes.fromhex(value[2:])
    except ValueError:
        octets = b""
    if 2 * len(octets) != len(value) - 2:
        raise DecodeError(field, "octets are written as 0x and pairs of hexadecimal digits")
    return octets


def quantity_of(value: object, field: str) -> int:
    """Return a number that JSON-RPC writes as `0x` and 1 to 64 hexadecimal digits; raises `DecodeError`."""
    if (
        not isinstance(value, str)
        or not value.startswith("0x")
        or not 0 < len(value) - 2 <= 64
        or not (value[2:].isascii() and value[2:].isalnum())
    ):
        raise DecodeError(field, "a number is written as 0x and 1 to 64 hexadecimal digits")
    try:
        return int(value, 16)
    except ValueError:
        raise DecodeError(field, "a number is written as 0x and 1 to 64 hexadecimal digits") from None


def _made_of(values: Mapping[str, bytes | int]) -> BlockHeader:
    extra = values["extra_data"]
    if isinstance(extra, bytes) and len(extra) > MAX_EXTRA_OCTETS:
        raise DecodeError("header.extra_data", f"{len(extra)} octets; at most {MAX_EXTRA_OCTETS} are read")
    return BlockHeader(**cast("dict[str, Any]", values))  # the table says which is which
