import pytest
from hypothesis import given
from hypothesis import strategies as st

from vehicle_agent.j1939.identifier import J1939Identifier, parse_identifier, pgn_mask, pgn_of


@pytest.mark.parametrize(
    ("arbitration_id", "priority", "pgn", "destination", "source"),
    [
        (0x0CF00400, 3, 61_444, 255, 0x00),  # EEC1 of the engine
        (0x18FEE000, 6, 65_248, 255, 0x00),  # vehicle distance
        (0x18EAFFF9, 6, 59_904, 255, 0xF9),  # a service tool asks everybody
        (0x1CECF900, 7, 60_416, 0xF9, 0x00),  # connection management to it
        (0x19FEE017, 6, 0x1FEE0, 255, 0x17),  # data page 1
    ],
)
def test_identifiers_of_the_standard_are_taken_apart_and_put_together(
    arbitration_id: int, priority: int, pgn: int, destination: int, source: int
) -> None:
    identifier = parse_identifier(arbitration_id)
    assert identifier == J1939Identifier(priority=priority, pgn=pgn, destination=destination, source=source)
    assert identifier.arbitration_id == arbitration_id


@given(st.integers(0, 0x1FFF_FFFF))
def test_every_identifier_comes_back(arbitration_id: int) -> None:
    assert parse_identifier(arbitration_id).arbitration_id == arbitration_id


@given(st.integers(0, 0x1FFF_FFFF), st.integers(0, 7), st.integers(0, 255), st.integers(0, 255))
def test_the_mask_of_a_group_asks_neither_for_priority_nor_source_nor_destination(
    arbitration_id: int, priority: int, destination: int, source: int
) -> None:
    pgn = pgn_of(arbitration_id)
    other = J1939Identifier(
        priority=priority, pgn=pgn, destination=destination if pgn >> 8 & 0xFF < 240 else 255, source=source
    ).arbitration_id
    assert other & pgn_mask(pgn) == arbitration_id & pgn_mask(pgn) == pgn << 8


@pytest.mark.parametrize(
    "wrong",
    [
        {"priority": 8},
        {"pgn": 1 << 18},
        {"pgn": 0xEA01},
        {"source": 256},
        {"destination": -1},
        {"pgn": 0xFEE0, "destination": 3},
    ],
)
def test_what_fits_no_identifier_is_refused(wrong: dict[str, int]) -> None:
    parts = {"priority": 6, "pgn": 0xEA00, "destination": 255, "source": 0, **wrong}
    with pytest.raises(ValueError, match=r"fits|address|goes to|destination"):
        _ = J1939Identifier(**parts).arbitration_id
