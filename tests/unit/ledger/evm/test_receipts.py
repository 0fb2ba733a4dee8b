"""Receipts of every type of transaction, and their place in a block."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import DecodeError, ProofError
from shared.ledger.evm.bundle import parse_bundle
from shared.ledger.evm.receipts import (
    MAX_EVENTS,
    MAX_RECEIPT_OCTETS,
    decode_receipt,
    prove_receipt,
    receipt_from_rpc,
    receipt_proof,
)
from shared.ledger.evm.rlp import Encodable, encode_rlp
from shared.ledger.evm.trie import ordered_root

BLOOM = bytes(256)
EVENT: tuple[bytes, tuple[bytes, ...], bytes] = (b"c" * 20, (b"t" * 32, b"u" * 32), b"data")

RPC: dict[str, object] = {
    "type": "0x2",
    "status": "0x1",
    "cumulativeGasUsed": "0x5208",
    "logsBloom": "0x" + BLOOM.hex(),
    "logs": [
        {"address": "0x" + EVENT[0].hex(), "topics": ["0x" + topic.hex() for topic in EVENT[1]], "data": "0x" + EVENT[2].hex()}
    ],
}


def encoded(*parts: Encodable, kind: bytes = b"") -> bytes:
    return kind + encode_rlp(parts)


@pytest.mark.parametrize("kind", [b"", b"\x01", b"\x02", b"\x03", b"\x04"])
def test_a_receipt_of_any_type_is_read_and_a_node_describes_the_same(kind: bytes) -> None:
    octets = encoded(1, 21_000, BLOOM, (EVENT,), kind=kind)
    receipt = decode_receipt(octets)
    assert receipt.succeeded
    assert [(event.contract, event.topics, event.data) for event in receipt.events] == [EVENT]
    assert receipt_from_rpc({**RPC, "type": f"0x{kind.hex() or '0'}"}) == octets


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        bytes(MAX_RECEIPT_OCTETS + 1),
        encoded(2, 0, BLOOM, ()),
        encoded(b"r" * 32, 0, BLOOM, ()),  # the oldest kind carried a root instead of a status
        encoded(1, 0, bytes(255), ()),
        encoded(1, 0, BLOOM),
        encoded(1, 0, BLOOM, (EVENT[:2],)),
        encoded(1, 0, BLOOM, ((b"c" * 19, (), b""),)),
        encoded(1, 0, BLOOM, ((b"c" * 20, (b"t" * 31,), b""),)),
        encoded(1, 0, BLOOM, ((b"c" * 20, (b"t" * 32,) * 5, b""),)),
        encoded(1, 0, BLOOM, (EVENT,)) + b"\x00",
    ],
)
def test_what_is_no_receipt_is_refused(octets: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_receipt(octets)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("type", "0x80"),
        ("status", None),
        ("cumulativeGasUsed", 5),
        ("logsBloom", "00"),
        ("logs", None),
        ("logs", [5]),
        ("logs", [{"topics": 5}]),
        ("logs", [{"topics": []}]),
        ("logs", [{}] * (MAX_EVENTS + 1)),
    ],
)
def test_what_a_node_describes_wrongly_is_refused(name: str, value: object) -> None:
    with pytest.raises(DecodeError):
        receipt_from_rpc({**RPC, name: value})


def test_a_receipt_is_proven_from_all_of_its_block_and_from_no_other() -> None:
    receipts = [encoded(place % 2, 21_000 * place, BLOOM, (EVENT,) * (place % 3), kind=b"\x02") for place in range(150)]
    root = ordered_root(receipts, "receipts")
    for place in (0, 1, 127, 128, 149):
        nodes = receipt_proof(receipts, place, root)
        receipt = prove_receipt(root, place, nodes)
        assert (receipt.succeeded, len(receipt.events)) == (place % 2 == 1, place % 3)
        with pytest.raises(ProofError):
            prove_receipt(root, place + 2, nodes)
    with pytest.raises(ProofError, match="not those of the block"):
        receipt_proof(receipts[:-1], 0, root)


@given(st.binary(max_size=300))
def test_octets_are_a_receipt_or_are_refused(octets: bytes) -> None:
    try:
        decode_receipt(octets)
    except DecodeError:
        return
    assert len(octets) > len(BLOOM)


@given(st.text(max_size=300))
def test_text_is_no_proof(text: str) -> None:
    with pytest.raises(DecodeError):
        parse_bundle(text.encode("utf-8", "surrogatepass"))
