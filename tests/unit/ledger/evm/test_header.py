"""Block headers: those of all forks, as the chain hashes them."""

from dataclasses import replace

import pytest

from shared.core.errors import DecodeError
from shared.ledger.evm.header import MAX_HEADER_OCTETS, BlockHeader, decode_header, header_from_rpc, hex_of, quantity_of
from shared.ledger.evm.rlp import encode_rlp
from tests.helpers.qbft import bare_header

EMPTY_ROOT = "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"

MAINNET_GENESIS: dict[str, object] = {
    "parentHash": "0x" + "00" * 32,
    "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
    "miner": "0x" + "00" * 20,
    "stateRoot": "0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544",
    "transactionsRoot": "0x" + EMPTY_ROOT,
    "receiptsRoot": "0x" + EMPTY_ROOT,
    "logsBloom": "0x" + "00" * 256,
    "difficulty": "0x400000000",
    "number": "0x0",
    "gasLimit": "0x1388",
    "gasUsed": "0x0",
    "timestamp": "0x0",
    "extraData": "0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa",
    "mixHash": "0x" + "00" * 32,
    "nonce": "0x0000000000000042",
    "hash": "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
}


def test_the_first_block_of_the_main_net_has_the_hash_everybody_knows() -> None:
    assert header_from_rpc(MAINNET_GENESIS).hash().hex() == str(MAINNET_GENESIS["hash"])[2:]


LONDON = replace(bare_header(), base_fee_wei=7)
SHANGHAI = replace(LONDON, withdrawals_root=bytes(32))
CANCUN = replace(SHANGHAI, blob_gas_used=0, excess_blob_gas=1 << 17, parent_beacon_root=bytes(32))
PRAGUE = replace(CANCUN, requests_hash=b"r" * 32)


@pytest.mark.parametrize("header", [replace(LONDON, base_fee_wei=None), LONDON, SHANGHAI, CANCUN, PRAGUE])
def test_a_header_of_any_fork_survives(header: BlockHeader) -> None:
    assert decode_header(header.encode()) == header


def test_every_truncation_and_a_trailing_octet_are_refused() -> None:
    encoded = PRAGUE.encode()
    for length in range(0, len(encoded), 3):
        with pytest.raises(DecodeError):
            decode_header(encoded[:length])
    with pytest.raises(DecodeError):
        decode_header(encoded + b"\x00")


def test_a_flipped_bit_is_refused_or_changes_the_hash() -> None:
    encoded, name = PRAGUE.encode(), PRAGUE.hash()
    for at in range(len(encoded)):
        flipped = encoded[:at] + bytes((encoded[at] ^ 4,)) + encoded[at + 1 :]
        try:
            assert decode_header(flipped).hash() != name
        except DecodeError:
            continue


@pytest.mark.parametrize("fields", [14, 22])
def test_too_few_or_too_many_fields_are_refused(fields: int) -> None:
    with pytest.raises(DecodeError, match="15 to 21"):
        decode_header(encode_rlp((b"",) * fields))


def test_a_header_as_long_as_no_chain_makes_them_is_not_read() -> None:
    with pytest.raises(DecodeError, match="at most"):
        decode_header(bytes(MAX_HEADER_OCTETS + 1))


def test_what_a_node_leaves_out_is_named() -> None:
    for name in MAINNET_GENESIS:
        if name != "hash":
            with pytest.raises(DecodeError, match=f"block.{name}"):
                header_from_rpc({key: value for key, value in MAINNET_GENESIS.items() if key != name})


def test_a_later_field_without_the_ones_before_it_is_refused() -> None:
    with pytest.raises(DecodeError, match=r"block.withdrawalsRoot: is there"):
        header_from_rpc({**MAINNET_GENESIS, "withdrawalsRoot": "0x" + "00" * 32})


@pytest.mark.parametrize("text", [None, 5, "", "00", "0x0", "0xzz", "0x 0", "0x0 0", "0x\u0660\u0660"])
def test_octets_that_are_not_written_as_octets_are_refused(text: object) -> None:
    with pytest.raises(DecodeError):
        hex_of(text, "field")


@pytest.mark.parametrize("text", [None, 5, "", "0x", "5", "0x-5", "0x_5", "0x" + "1" * 65, "0xg", "0x\u0665"])
def test_numbers_that_are_not_written_as_numbers_are_refused(text: object) -> None:
    with pytest.raises(DecodeError):
        quantity_of(text, "field")
