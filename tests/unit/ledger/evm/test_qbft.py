"""Commit seals of a consortium: a quorum of the named validators, each once, over this very header."""

from dataclasses import replace

import pytest

from shared.core.errors import DecodeError, ProofError
from shared.ledger.evm.chain_trust import ChainTrust, PinnedNode, TrustedHeader, ValidatorSet, block_hash, trust_header
from shared.ledger.evm.primitives import Address, Hash32
from shared.ledger.evm.qbft import MAX_VALIDATORS, check_seals, decode_qbft_extra, qbft_block_hash, quorum_of, seal_digest
from shared.ledger.evm.rlp import Encodable, encode_rlp
from tests.helpers.qbft import Consortium, bare_header, seal, validator, with_seals

FOUR = Consortium()

GENESIS_OF_THE_MANUAL = bytes.fromhex(
    "f87aa00000000000000000000000000000000000000000000000000000000000000000f8549464a702e6263b7297a96638cac6ae65e6541f4169943923390ad5"
    "5e90c237593b3b0e401f3b08a0318594aefdb9a738c9f433e5b6b212a6d62f6370c2f69294c7eeb9a4e00ce683cf93039b212648e01c6c6b78c080c0"
)
"""Extra data of the four validators in Besu's manual."""


def test_the_extra_data_of_besus_manual_reads_as_four_validators_and_encodes_again() -> None:
    extra = decode_qbft_extra(GENESIS_OF_THE_MANUAL)
    assert [each.hex()[:6] for each in extra.validators] == ["64a702", "392339", "aefdb9", "c7eeb9"]
    assert (extra.round, extra.seals) == (0, ())
    assert extra.encode() == GENESIS_OF_THE_MANUAL


@pytest.mark.parametrize(("validators", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (6, 4), (7, 5), (10, 7), (13, 9)])
def test_a_quorum_is_two_thirds_rounded_up_and_never_less_than_2f_and_1(validators: int, needed: int) -> None:
    assert quorum_of(validators) == needed
    false = (validators - 1) // 3
    assert needed >= 2 * false + 1
    assert 2 * needed - validators > false  # two quorums share an honest validator


def test_a_quorum_of_the_named_validators_is_enough() -> None:
    header = FOUR.sealed(bare_header(), by=("north", "south", "west"))
    assert check_seals(header, FOUR.addresses) == (validator("north"), validator("south"), validator("west"))
    assert len(check_seals(FOUR.sealed(bare_header()), FOUR.addresses)) == 4


def test_one_seal_short_is_not_enough() -> None:
    header = FOUR.sealed(bare_header(), by=("north", "south"))
    with pytest.raises(ProofError, match="sealed by 2 of 4 validators; 3 are needed"):
        check_seals(header, FOUR.addresses)


def test_a_validator_who_seals_twice_counts_for_nothing_more() -> None:
    header = FOUR.sealed(bare_header(), by=("north", "south", "north"))
    with pytest.raises(ProofError, match="two seals"):
        check_seals(header, FOUR.addresses)


def test_the_other_form_of_a_seal_is_the_same_validators() -> None:
    bare = FOUR.unsealed(bare_header())
    order = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
    one = seal(bare, "north")
    mirrored = one[:32] + (order - int.from_bytes(one[32:64])).to_bytes(32) + bytes((1 - one[64],))
    with pytest.raises(ProofError, match="two seals"):
        check_seals(with_seals(bare, (one, mirrored, seal(bare, "south"))), FOUR.addresses)


def test_a_seal_of_a_stranger_is_refused_however_many_others_there_are() -> None:
    header = FOUR.sealed(bare_header(), by=("north", "south", "west", "stranger"))
    with pytest.raises(ProofError, match="no named validator"):
        check_seals(header, FOUR.addresses)


def test_seals_of_another_round_are_seals_of_somebody_else() -> None:
    header = FOUR.sealed(bare_header(), round_number=1)
    extra = replace(decode_qbft_extra(header.extra_data), round=2)
    with pytest.raises(ProofError, match="no named validator"):
        check_seals(replace(header, extra_data=extra.encode()), FOUR.addresses)


def test_seals_over_the_name_of_the_block_instead_of_its_round_are_refused() -> None:
    bare = FOUR.unsealed(bare_header(), round_number=3)
    assert seal_digest(bare) != qbft_block_hash(bare)
    others = FOUR.unsealed(bare_header(), round_number=0)
    with pytest.raises(ProofError):
        check_seals(with_seals(bare, [seal(others, name) for name in FOUR.names]), FOUR.addresses)


def test_the_block_has_one_name_whatever_its_round_and_its_seals() -> None:
    names = {
        qbft_block_hash(FOUR.sealed(bare_header(), by=by, round_number=number))
        for by in (("north",), FOUR.names, ())
        for number in (0, 1, 300)
    }
    assert len(names) == 1
    assert seal_digest(FOUR.sealed(bare_header())) == seal_digest(FOUR.unsealed(bare_header()))


def test_no_octet_of_a_sealed_header_can_change() -> None:
    header = FOUR.sealed(bare_header(), by=("north", "south", "west"))
    encoded = header.encode()
    trust = ChainTrust(chain_id=1, contract=Address(bytes(20)), by=(ValidatorSet(from_block=0, addresses=FOUR.addresses),))
    assert trust_header(encoded, trust).sealed_by
    for at in range(0, len(encoded), 9):
        altered = encoded[:at] + bytes((encoded[at] ^ 1,)) + encoded[at + 1 :]
        with pytest.raises((ProofError, DecodeError)):
            trust_header(altered, trust)


def test_a_header_made_up_with_validators_of_its_own_is_refused() -> None:
    others = Consortium(("a", "b", "c", "d"))
    with pytest.raises(ProofError, match="not the 4 named ones"):
        check_seals(others.sealed(bare_header()), FOUR.addresses)
    with pytest.raises(ProofError, match="no named validator"):
        check_seals(others.sealed(bare_header(), listed=False), FOUR.addresses)


def test_a_chain_whose_validators_a_contract_chooses_lists_none() -> None:
    assert len(check_seals(FOUR.sealed(bare_header(), listed=False), FOUR.addresses)) == 4


def test_nobody_seals_a_genesis_block() -> None:
    with pytest.raises(ProofError, match="genesis"):
        check_seals(FOUR.sealed(bare_header(0)), FOUR.addresses)


@pytest.mark.parametrize(
    "parts",
    [
        (bytes(31), (), (), 0, ()),
        (bytes(32), (bytes(19),), (), 0, ()),
        (bytes(32), (), (bytes(20),), 0, ()),
        (bytes(32), (), (bytes(20), b"\x01"), 0, ()),
        (bytes(32), (), (), 1 << 32, ()),
        (bytes(32), (), (), 0, (bytes(64),)),
        (bytes(32), (), (), 0),
        (bytes(32), (bytes(20),) * (MAX_VALIDATORS + 1), (), 0, ()),
    ],
    ids=["vanity", "validator", "half a vote", "vote", "round", "seal", "four", "many"],
)
def test_extra_data_that_is_not_that_of_qbft_is_refused(parts: tuple[Encodable, ...]) -> None:
    with pytest.raises(DecodeError):
        decode_qbft_extra(encode_rlp(parts))


@pytest.mark.parametrize("seal_octets", [bytes(65), b"\xff" * 64 + b"\x00", bytes(64) + b"\x02", bytes(64) + b"\x1b"])
def test_a_seal_that_is_no_signature_is_refused(seal_octets: bytes) -> None:
    with pytest.raises(ProofError, match="seal is"):
        check_seals(with_seals(FOUR.unsealed(bare_header()), (seal_octets,)), FOUR.addresses)


def test_each_block_is_held_against_the_validators_of_its_time() -> None:
    more = Consortium((*FOUR.names, "fifth"))
    sets = (ValidatorSet(from_block=5, addresses=FOUR.addresses), ValidatorSet(from_block=100, addresses=more.addresses))
    trust = ChainTrust(chain_id=1, contract=Address(bytes(20)), by=sets)
    assert trust_header(FOUR.sealed(bare_header(99)).encode(), trust).on_whose_word == "4 of 4 named validators"
    assert trust_header(more.sealed(bare_header(100)).encode(), trust).on_whose_word == "5 of 5 named validators"
    with pytest.raises(ProofError, match="name its validators anew"):
        trust_header(FOUR.sealed(bare_header(100)).encode(), trust)
    with pytest.raises(ProofError, match="no validators are named for block 4"):
        trust_header(FOUR.sealed(bare_header(4)).encode(), trust)


def test_a_pinned_node_vouches_for_the_headers_it_named_and_no_other() -> None:
    header = bare_header()
    trust = ChainTrust(chain_id=1, contract=Address(bytes(20)), by=PinnedNode(name="bench", headers=frozenset({header.hash()})))
    found = trust_header(header.encode(), trust)
    assert found.on_whose_word.startswith("DEVELOPMENT CHAIN")
    assert found.block_hash == block_hash(header, trust) == header.hash()
    with pytest.raises(ProofError, match="not one that bench was pinned for"):
        trust_header(bare_header(8).encode(), trust)
    with pytest.raises(ProofError, match="no validators"):
        trust.validators_at(7)


def test_nobody_else_makes_a_trusted_header() -> None:
    with pytest.raises(TypeError):
        TrustedHeader(header=bare_header(), block_hash=Hash32(bytes(32)), sealed_by=(), on_whose_word="mine", seal=None)
