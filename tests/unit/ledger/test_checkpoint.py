"""Checkpoints have one spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import DecodeError, EncodeError
from shared.ledger.checkpoint import Checkpoint, parse_checkpoint
from shared.ledger.merkle import EMPTY_ROOT, Hash, leaf_hash
from shared.ledger.note import parse_note
from tests.helpers.data import data_file

GOOD = b"example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"


def test_the_example_of_the_specification_parses_and_encodes_back() -> None:
    checkpoint = parse_checkpoint(GOOD)
    assert (checkpoint.origin, checkpoint.tree_size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.encode() == GOOD


def test_a_foreign_logs_checkpoints_parse_and_encode_back() -> None:
    for n in range(16):
        body = parse_note(data_file(f"ledger/tessera-log/log/checkpoint.{n}").read_bytes()).body
        checkpoint = parse_checkpoint(body)
        assert checkpoint.tree_size == n
        assert checkpoint.encode() == body


@given(st.integers(0, 2**63 - 1), st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_what_encodes_parses_back(size: int, origin: str) -> None:
    root = EMPTY_ROOT if size == 0 else leaf_hash(origin.encode())
    checkpoint = Checkpoint(origin=origin, tree_size=size, root=root, extensions=("one", "two"))
    assert parse_checkpoint(checkpoint.encode()) == checkpoint


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        GOOD[:-1],
        GOOD + b"\n",
        GOOD.replace(b"20852163", b"020852163"),
        GOOD.replace(b"20852163", b"+20852163"),
        GOOD.replace(b"20852163", b"-1"),
        GOOD.replace(b"20852163", b" 20852163"),
        GOOD.replace(b"20852163", b"20_852163"),
        GOOD.replace(b"20852163", "\uff12\uff10".encode()),
        GOOD.replace(b"20852163", b"9223372036854775808"),
        GOOD.replace(b"20852163", b"0"),
        GOOD.replace(b"q2I=", b"q2J="),
        GOOD.replace(b"q2I=", b"q2I"),
        GOOD.replace(b"q2I=", b"qw=="),
        GOOD.replace(b"example.com/behind-the-sofa", b""),
        GOOD + b"x\n" * 17,
        b"origin\n1\n",
        b"\xff" + GOOD,
        b"x" * 5000 + GOOD,
    ],
)
def test_every_other_spelling_is_refused(bad: bytes) -> None:
    with pytest.raises(DecodeError):
        parse_checkpoint(bad)


def test_impossible_checkpoints_are_not_encoded() -> None:
    root = leaf_hash(b"")
    for checkpoint in (
        Checkpoint(origin="", tree_size=1, root=root),
        Checkpoint(origin="a\nb", tree_size=1, root=root),
        Checkpoint(origin="a", tree_size=-1, root=root),
        Checkpoint(origin="a", tree_size=1 << 63, root=root),
        Checkpoint(origin="a", tree_size=1, root=Hash(b"short")),
        Checkpoint(origin="a", tree_size=1, root=root, extensions=("",)),
    ):
        with pytest.raises(EncodeError):
            checkpoint.encode()
