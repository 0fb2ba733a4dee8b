"""Receipts (yellow paper 4.4.1; EIP-658, 2718): what a block's transactions did, proven from a header's receipts root.

    receipt = [type octet] [status, gas used so far, bloom, [[address, [topic ...], data] ...]]

A node gives all receipts of a block; the trie over them is built anew and must have the header's root, and then yields the short
proof of one receipt that a bundle keeps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.core.errors import DecodeError, ProofError
from shared.ledger.evm.header import BLOOM_OCTETS, hex_of, quantity_of
from shared.ledger.evm.primitives import ADDRESS_OCTETS, HASH_OCTETS, Address, Hash32
from shared.ledger.evm.rlp import Item, decode_rlp, encode_rlp, list_of, number_of, octets_of
from shared.ledger.evm.trie import ordered_proof, ordered_root, prove_key

MAX_RECEIPT_OCTETS = 65_536
"""Octets of a receipt that is proven; one of an anchoring has some 5,000 at most."""

MAX_EVENTS = 1_024
MAX_TOPICS = 4
_MAX_TYPE = 0x7F


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a contract said while a transaction ran.

    Attributes:
        contract: who said it.
        topics: the kind of event and its indexed values.
        data: its other values.
    """

    contract: Address
    topics: tuple[Hash32, ...]
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a transaction did.

    Attributes:
        succeeded: False for one that was refused and changed nothing.
        events: in order.
    """

    succeeded: bool
    events: tuple[Event, ...]


def decode_receipt(encoded: bytes) -> Receipt:
    """Decode a receipt of any type of transaction; raise `DecodeError` unless it is canonical."""
    if not encoded or len(encoded) > MAX_RECEIPT_OCTETS:
        raise DecodeError("receipt", f"{len(encoded)} octets; 1 to {MAX_RECEIPT_OCTETS} are read")
    body = encoded[1:] if encoded[0] <= _MAX_TYPE else encoded
    status, gas, bloom, events = list_of(decode_rlp(body, "receipt"), "receipt", 4)
    number_of(gas, "receipt.gas_used")
    octets_of(bloom, "receipt.bloom", BLOOM_OCTETS)
    succeeded = number_of(status, "receipt.status", 1)
    if succeeded > 1:
        raise DecodeError("receipt.status", "neither 0 nor 1")
    return Receipt(succeeded=succeeded == 1, events=tuple(map(_event, list_of(events, "receipt.events", 0, MAX_EVENTS))))


def prove_receipt(receipts_root: bytes, place: int, nodes: Sequence[bytes]) -> Receipt:
    """Return the receipt of the transaction at `place` of a block.

    Raises:
        DecodeError: a node or the receipt is malformed.
        ProofError: the proof does not hold, or the block has no such transaction.
    """
    encoded = prove_key(receipts_root, encode_rlp(place), nodes, "receipt proof", node_octets=MAX_RECEIPT_OCTETS)
    if encoded is None:
        raise ProofError(f"the block has no transaction {place}")
    return decode_receipt(encoded)


def receipt_proof(receipts: Sequence[bytes], place: int, receipts_root: bytes) -> tuple[bytes, ...]:
    """Return the proof of one receipt out of all (encoded) receipts of a block.

    Raises:
        ProofError: they do not have the header's root, are too many, or there is no such receipt.
    """
    if ordered_root(receipts, "receipts") != receipts_root:
        raise ProofError("the receipts that the node gives are not those of the block")
    return ordered_proof(receipts, place, "receipts")


def receipt_from_rpc(receipt: Mapping[str, object]) -> bytes:
    """Return the encoding of a receipt that a node describes; raises `DecodeError`."""
    kind = quantity_of(receipt.get("type", "0x0"), "receipt.type")
    if kind > _MAX_TYPE:
        raise DecodeError("receipt.type", f"{kind} is no type of transaction")
    events = receipt.get("logs")
    if not isinstance(events, list) or len(events) > MAX_EVENTS:
        raise DecodeError("receipt.logs", f"a list of at most {MAX_EVENTS} events")
    body = encode_rlp(
        (
            quantity_of(receipt.get("status"), "receipt.status"),
            quantity_of(receipt.get("cumulativeGasUsed"), "receipt.cumulativeGasUsed"),
            hex_of(receipt.get("logsBloom"), "receipt.logsBloom"),
            tuple(map(_event_from_rpc, events)),
        )
    )
    return bytes((kind,)) + body if kind else body


def _event_from_rpc(event: object) -> tuple[bytes, tuple[bytes, ...], bytes]:
    if not isinstance(event, dict) or not isinstance(event.get("topics"), list):
        raise DecodeError("receipt.logs", "an event is an object with topics")
    topics = tuple(hex_of(topic, "receipt.logs.topics") for topic in event["topics"])
    return hex_of(event.get("address"), "receipt.logs.address"), topics, hex_of(event.get("data"), "receipt.logs.data")


def _event(item: Item) -> Event:
    contract, topics, data = list_of(item, "receipt.event", 3)
    return Event(
        contract=Address(octets_of(contract, "receipt.event.contract", ADDRESS_OCTETS)),
        topics=tuple(
            Hash32(octets_of(topic, "receipt.event.topic", HASH_OCTETS))
            for topic in list_of(topics, "receipt.event.topics", 0, MAX_TOPICS)
        ),
        data=octets_of(data, "receipt.event.data"),
    )
