"""Every parser of what an EVM chain proves, on real proofs damaged on purpose: a value that encodes back, or a typed error."""

import json
from dataclasses import replace
from functools import cache
from typing import Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.core.errors import ConfigError, DecodeError, ProofError
from shared.ledger.checkpoint import parse_checkpoint
from shared.ledger.evm.account import prove_account, prove_slot
from shared.ledger.evm.anchor import ANCHOR_EVENT, CONTRACT_CODE_HASH, origin_id, storage_slots, verify_anchor
from shared.ledger.evm.bundle import AnchorBundle, ReceiptProof, parse_bundle
from shared.ledger.evm.chain_trust import ChainTrust, ValidatorSet, parse_chain_trust, trust_header
from shared.ledger.evm.header import decode_header, header_from_rpc
from shared.ledger.evm.primitives import Address, keccak256
from shared.ledger.evm.qbft import decode_qbft_extra
from shared.ledger.evm.receipts import decode_receipt, prove_receipt, receipt_from_rpc
from shared.ledger.evm.rlp import MAX_RLP_OCTETS, Encodable, decode_rlp, encode_rlp
from shared.ledger.evm.trie import _build, _common, _digits, ordered_proof, ordered_root, prove_key
from shared.ledger.note import parse_note
from tests.fuzz.mutations import mutated
from tests.fuzz.parsers import Parser, ends_well
from tests.fuzz.test_fuzz_ledger import damaged
from tests.helpers.ledger import MemoryLog, policy_of
from tests.helpers.qbft import Consortium, bare_header
from tests.unit.ledger.evm.test_chain_trust import CONSORTIUM, DEVELOPMENT
from tests.unit.ledger.evm.test_header import MAINNET_GENESIS
from tests.unit.ledger.evm.test_receipts import RPC

CONTRACT = Address(b"\xc0" * 20)
MUTATED, DRAWN = 260, 40
WITNESSES = ("w",)
POLICY = policy_of(witnesses=WITNESSES, quorum="w")
CONSORTIUM_OF_FOUR = Consortium()
TRUST = ChainTrust(chain_id=1337, contract=CONTRACT, by=(ValidatorSet(from_block=0, addresses=CONSORTIUM_OF_FOUR.addresses),))


Pairs = list[tuple[tuple[int, ...], bytes]]


def proof_in(values: dict[bytes, bytes], key: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """The root of the trie with these values under hashed keys, and the nodes from it down to one key."""
    pairs: Pairs = sorted((_digits(keccak256(each)), value) for each, value in values.items())
    digits, depth, nodes, is_hashed = _digits(keccak256(key)), 0, [], True
    root = keccak256(encode_rlp(cast("Encodable", _build(pairs, 0))))
    while True:
        node = _build(pairs, depth)
        if is_hashed:
            nodes.append(encode_rlp(cast("Encodable", node)))
        if len(pairs) == 1:
            return root, tuple(nodes)
        if len(node) == 2:
            depth += _common(pairs, depth)
            is_hashed = isinstance(node[1], bytes)
        else:
            is_hashed = isinstance(node[digits[depth]], bytes)
            pairs = [pair for pair in pairs if pair[0][depth] == digits[depth]]
            depth += 1


@cache
def anchored() -> AnchorBundle:
    """A checkpoint anchored on a consortium's chain: header, account, slots and receipt, all genuine."""
    log = MemoryLog(witnesses=WITNESSES)
    log.entries = [b"a", b"b", b"c"]
    note = log.publish()
    checkpoint = parse_checkpoint(parse_note(note).body)
    slots = storage_slots(checkpoint.origin, checkpoint.tree_size)
    stamp = 1_700_000_000 << 192 | 7 << 128 | 0b101
    numbers = (int.from_bytes(checkpoint.root), stamp, checkpoint.tree_size)
    storage = {slot: encode_rlp(number) for slot, number in zip(slots, numbers, strict=True)}
    storage_root = proof_in(storage, slots[0])[0]
    account = encode_rlp((1, 0, storage_root, CONTRACT_CODE_HASH))
    state_root, account_proof = proof_in({CONTRACT: account, b"another": account, b"a third": account}, CONTRACT)
    topics = (keccak256(ANCHOR_EVENT), origin_id(checkpoint.origin), checkpoint.tree_size.to_bytes(32))
    receipts = [encode_rlp((1, 21_000 * place, bytes(256), ((CONTRACT, topics, checkpoint.root),))) for place in range(20)]
    header = replace(bare_header(), state_root=state_root, receipts_root=ordered_root(receipts, "receipts"))
    return AnchorBundle(
        chain_id=TRUST.chain_id,
        contract=CONTRACT,
        note=note,
        header=CONSORTIUM_OF_FOUR.sealed(header).encode(),
        account_proof=account_proof,
        root_proof=proof_in(storage, slots[0])[1],
        stamp_proof=proof_in(storage, slots[1])[1],
        head_proof=proof_in(storage, slots[2])[1],
        receipt=ReceiptProof(place=17, nodes=ordered_proof(receipts, 17, "receipts")),
    )


def run_bundle(data: bytes) -> object:
    bundle = parse_bundle(data)
    assert parse_bundle(bundle.encode()) == bundle
    found = verify_anchor(bundle, trust=TRUST, policy=POLICY)
    assert found.header.header.number == 7
    return found.checkpoint, found.contract, found.block_number, found.block_time_s, found.confirmations, found.latest_size


def run_rlp(data: bytes) -> object:
    item = decode_rlp(data, "fuzz")
    assert encode_rlp(item) == data
    return item


def run_header(data: bytes) -> object:
    header = decode_header(data)
    assert header.encode() == data
    trust_header(data, TRUST)
    return header


def run_extra(data: bytes) -> object:
    extra = decode_qbft_extra(data)
    assert extra.encode() == data
    return extra


def run_receipt(data: bytes) -> object:
    receipt = decode_receipt(data)
    assert all(len(event.topics) <= 4 for event in receipt.events)
    return receipt


def from_json(data: bytes) -> dict[str, object]:
    """An answer of a node, as its client hands it on; what is no JSON at all never gets so far."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise DecodeError("rpc", "no JSON") from None
    if not isinstance(value, dict):
        raise DecodeError("rpc", "no object")
    return value


def run_rpc_header(data: bytes) -> object:
    return header_from_rpc(from_json(data))


def run_rpc_receipt(data: bytes) -> object:
    encoded = receipt_from_rpc(from_json(data))
    assert encoded
    return encoded


def run_trust(data: bytes) -> object:
    return parse_chain_trust(data, "trust.toml")


def run_nodes(data: bytes) -> object:
    """The first node of each proof replaced: nothing but the very nodes leads from a root."""
    good = anchored()
    header = decode_header(good.header)
    for run in (
        lambda: prove_account(header.state_root, CONTRACT, (data, *good.account_proof[1:])),
        lambda: prove_slot(keccak256(data), b"slot", (data,), "root proof"),
        lambda: prove_receipt(header.receipts_root, 17, (data, *anchored_receipt().nodes[1:])),
        lambda: prove_key(keccak256(data), b"key", (data,), "node"),
    ):
        try:
            run()
        except (DecodeError, ProofError):
            continue
    return decode_rlp(data, "node")


def anchored_receipt() -> ReceiptProof:
    receipt = anchored().receipt
    assert receipt is not None
    return receipt


@cache
def parsers() -> dict[str, Parser]:
    """Everything that reads what a chain proves, with a good example of it."""
    good = anchored()
    nested: Encodable = ((b"", (b"a", (b"long" * 20,))), 5, b"\x7f", b"\x80", b"x" * 60)
    untrusted = (DecodeError, ProofError)
    return {
        "rlp": Parser(good=encode_rlp(nested), run=run_rlp, errors=(DecodeError,)),
        "header": Parser(good=good.header, run=run_header, errors=untrusted),
        "extra data": Parser(good=decode_header(good.header).extra_data, run=run_extra, errors=(DecodeError,)),
        "receipt": Parser(good=receipt_from_rpc(RPC), run=run_receipt, errors=(DecodeError,)),
        "header of a node": Parser(good=json.dumps(MAINNET_GENESIS).encode(), run=run_rpc_header, errors=(DecodeError,)),
        "receipt of a node": Parser(good=json.dumps(RPC).encode(), run=run_rpc_receipt, errors=(DecodeError,)),
        "bundle": Parser(good=good.encode(), run=run_bundle, errors=untrusted),
        "trust in validators": Parser(good=CONSORTIUM.encode(), run=run_trust, errors=(ConfigError,)),
        "trust in a node": Parser(good=DEVELOPMENT.encode(), run=run_trust, errors=(ConfigError,)),
        "node": Parser(good=good.account_proof[0], run=run_nodes, errors=(DecodeError,)),
    }


NAMES = (
    "rlp", "header", "extra data", "receipt", "header of a node", "receipt of a node", "bundle", "trust in validators",
    "trust in a node", "node",
)  # fmt: skip
CANONICAL = ("rlp", "header", "extra data")
"""One spelling each, so another one is another thing."""

EVERY_PARSER = pytest.mark.parametrize("name", NAMES)


def test_every_parser_has_a_name_here_and_its_example_is_good() -> None:
    assert tuple(parsers()) == NAMES
    for parser in parsers().values():
        parser.run(parser.good)


@EVERY_PARSER
def test_what_was_damaged_on_purpose_is_refused_with_a_reason_or_read_as_what_it_is(name: str) -> None:
    parser = parsers()[name]
    good, refused = parser.run(parser.good), 0
    for data in mutated(parser.good, MUTATED):
        if not ends_well(parser, data):
            refused += 1
        elif name in CANONICAL:
            assert (parser.run(data) == good) is (data == parser.good)
        elif name == "bundle":
            assert parser.run(data) == good
    assert refused > MUTATED // 4


@EVERY_PARSER
def test_what_hypothesis_makes_of_it_ends_as_well(name: str) -> None:
    parser = parsers()[name]

    @settings(max_examples=DRAWN)
    @given(st.one_of(damaged(parser.good), st.binary(max_size=100)))
    @example(b"")
    @example(b"\xc1" * 3_000)
    @example(b"\xff" * 9 + b"\x00" * 50)
    @example(b"\xf8\xff" * 300)
    @example(b"[" * 20_000)
    @example(b"a = " + b"9" * 5_000)
    def run(data: bytes) -> None:
        ends_well(parser, data)

    run()


@pytest.mark.parametrize("name", ["rlp", "header", "extra data", "receipt", "bundle", "node"])
def test_every_prefix_of_it_is_refused(name: str) -> None:
    parser = parsers()[name]
    whole = parser.good.rstrip(b"\n")
    for length in range(0, len(whole), max(1, len(whole) // 150)):
        assert not ends_well(parser, whole[:length]), length


def test_a_bundle_without_one_of_its_proofs_proves_nothing() -> None:
    good = anchored()
    for name in ("account_proof", "root_proof", "stamp_proof", "head_proof"):
        nodes = getattr(good, name)
        for other in ((), nodes[:-1], (*nodes, nodes[-1]), nodes[::-1] if len(nodes) > 1 else ()):
            changed = replace(good, **cast("dict[str, Any]", {name: other}))
            with pytest.raises(ProofError):
                verify_anchor(changed, trust=TRUST, policy=POLICY)


def test_encodings_of_the_largest_size_are_read_or_refused_without_end() -> None:
    for piece in (b"\xc0", b"\x80", b"\xc1", b"\xf9\xff\xff", b"\x00", b"\xbf", b"\xf8\x38"):
        ends_well(parsers()["rlp"], (piece * MAX_RLP_OCTETS)[:MAX_RLP_OCTETS])
    for piece in (b"[", b'"', b'\\"', b'{"a":', b"9", b" "):
        assert not ends_well(parsers()["bundle"], (piece * MAX_RLP_OCTETS)[:MAX_RLP_OCTETS])
