from dataclasses import replace
from random import Random

import pytest

from shared.core.errors import DecodeError, EncodeError
from shared.ledger.merkle import leaf_hash, verify_inclusion
from shared.records.evidence_record import (
    MAX_DETAIL_CHARACTERS,
    BatchStatement,
    BatchTree,
    EvidenceKind,
    EvidenceRecord,
    commitment_of_batch,
    decode_record,
    decode_statement,
)
from tests.helpers.ledger import naive_root

RECORD = EvidenceRecord(
    kind=EvidenceKind.REFUSED,
    word="false_signature",
    run=2,
    number=17,
    utc_us=1_763_812_800_000_000,
    salt=bytes(range(16)),
    detail="die Unterschrift gilt nicht (§)",
    packet=b"\x11\n\x00 packet with a line feed",
)
STATEMENT = BatchStatement(
    station_id=4049, number=3, previous=bytes(32), first=120, size=40, root=bytes(range(32)), closed_us=1_763_812_860_000_000
)


def test_a_record_is_read_back_as_it_was_written() -> None:
    assert decode_record(RECORD.encode()) == RECORD
    bare = replace(RECORD, kind=EvidenceKind.NOTED, utc_us=None, detail="", packet=b"")
    assert decode_record(bare.encode()) == bare
    assert bare.utc is None


def test_no_record_cut_short_or_changed_in_its_first_line_is_taken_for_the_same() -> None:
    encoded = RECORD.encode()
    for end in range(encoded.index(b"\n")):
        with pytest.raises(DecodeError):
            decode_record(encoded[:end])
    for place in range(encoded.index(b"\n") + 1):
        for bit in range(8):
            changed = bytearray(encoded)
            changed[place] ^= 1 << bit
            try:
                read = decode_record(bytes(changed))
            except DecodeError:
                continue
            assert read != RECORD
            assert read.encode() == changed


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("run", -1),
        ("number", 1 << 53),
        ("utc_us", -1),
        ("salt", bytes(15)),
        ("word", ""),
        ("detail", "x" * (MAX_DETAIL_CHARACTERS + 1)),
        ("packet", bytes(20_000)),
        ("run", True),
    ],
)
def test_a_record_that_would_not_be_read_back_is_not_written(field: str, value: object) -> None:
    with pytest.raises(EncodeError):
        replace(RECORD, **{field: value}).encode()  # type: ignore[arg-type]


def test_a_record_spelled_another_way_is_refused() -> None:
    line, _, packet = RECORD.encode().partition(b"\n")
    for other in (line.replace(b":", b": ", 1), line.replace(b'"run":2', b'"run":2.0'), line.replace(b"}", b',"more":1}')):
        with pytest.raises(DecodeError):
            decode_record(other + b"\n" + packet)


def test_a_statement_is_read_back_and_its_bounds_are_kept() -> None:
    assert decode_statement(STATEMENT.encode()) == STATEMENT
    first = replace(STATEMENT, number=0, previous=None, closed_us=None)
    assert decode_statement(first.encode()) == first
    for change in ({"size": 0}, {"size": 1 << 15}, {"station_id": 1 << 32}, {"root": bytes(31)}, {"first": -1}, {"number": True}):
        with pytest.raises(EncodeError):
            replace(STATEMENT, **change).encode()


def test_no_two_statements_have_one_commitment() -> None:
    others = [replace(STATEMENT, **change) for change in ({"number": 4}, {"first": 121}, {"previous": None}, {"closed_us": None})]
    assert len({commitment_of_batch(each.encode()) for each in (STATEMENT, *others)}) == 5


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 31, 100])
def test_every_record_of_a_batch_leads_to_its_root_and_no_other_does(size: int) -> None:
    entries = [Random(number).randbytes(40) for number in range(size)]
    tree = BatchTree([leaf_hash(entry) for entry in entries])
    assert tree.root == naive_root(entries)
    for position, entry in enumerate(entries):
        verify_inclusion(leaf_hash(entry), position, size, tree.path(position), tree.root)
