"""What the agent keeps of its vehicle: over a restart, through damage, and without one part overwriting another's."""

from pathlib import Path

import pytest

from shared.core.errors import StorageError
from vehicle_agent.vehicle_memory import (
    MAX_FILE_OCTETS,
    MAX_PARTS,
    InMemory,
    KnownFactor,
    KnownPart,
    MemoryFile,
    MemoryKeeper,
    Remembered,
    VehicleMemory,
)

_PART = KnownPart(unit="can0:7e8", identifiers={"serial_number": "A1"})
_FACTOR = KnownFactor(source="wheels", factor=1.01, learnt_over_m=40_000)


@pytest.fixture(params=["file", "in memory"])
def keeper(request: pytest.FixtureRequest, tmp_path: Path) -> MemoryKeeper:
    return MemoryFile(tmp_path / "vehicle.json") if request.param == "file" else InMemory()


class TestEveryKeeper:
    def test_nothing_was_kept_at_first(self, keeper: MemoryKeeper) -> None:
        assert keeper.load() == VehicleMemory()

    def test_what_was_kept_last_comes_back(self, keeper: MemoryKeeper) -> None:
        keeper.keep(VehicleMemory(vin="WVWZZZ1KZAW000001"))
        kept = VehicleMemory(vin="WVWZZZ1KZAW000002", parts=(_PART,), factors=(_FACTOR,), is_other_vehicle=True)
        keeper.keep(kept)
        assert keeper.load() == kept

    def test_two_parts_of_the_agent_keep_what_is_theirs_and_leave_the_rest(self, keeper: MemoryKeeper) -> None:
        remembered = Remembered(keeper)
        remembered.keep_factors([_FACTOR])
        remembered.keep_identity(vin="WVWZZZ1KZAW000001", parts=[_PART], is_other_vehicle=False)
        expected = VehicleMemory(vin="WVWZZZ1KZAW000001", parts=(_PART,), factors=(_FACTOR,))
        assert (remembered.memory, Remembered(keeper).memory) == (expected, expected)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"{",
        b"[]",
        b'{"vin": 3}',
        b'{"unknown": 1}',
        b"\xff\xfe",
        b'{"vin":"\xff"}',
        b"[" * 100_000,
        b" " * (MAX_FILE_OCTETS + 1),
        b'{"parts": [{"unit": "x"}]}',
    ],
)
def test_a_damaged_file_is_put_aside_told_and_not_fatal(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "vehicle.json"
    path.write_bytes(octets)
    remembered = Remembered(MemoryFile(path))
    assert remembered.memory == VehicleMemory()
    assert remembered.problem is not None
    assert str(path) in str(remembered.problem)
    assert "put aside as vehicle.json.damaged" in str(remembered.problem)
    assert (tmp_path / "vehicle.json.damaged").read_bytes() == octets
    remembered.keep_factors([_FACTOR])
    again = Remembered(MemoryFile(path))
    assert (again.problem, again.memory.factors) == (None, (_FACTOR,))


def test_a_file_that_cannot_be_read_is_left_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "vehicle.json"
    path.mkdir()
    remembered = Remembered(MemoryFile(path))
    assert remembered.memory == VehicleMemory()
    assert "cannot be read" in str(remembered.problem)
    assert path.is_dir()


def test_what_cannot_be_kept_holds_until_the_next_start(tmp_path: Path) -> None:
    remembered = Remembered(MemoryFile(tmp_path / "nowhere" / "vehicle.json"))
    with pytest.raises(StorageError, match="cannot be written"):
        remembered.keep_factors([_FACTOR])
    assert remembered.memory.factors == (_FACTOR,)


def test_more_units_than_are_told_apart_are_not_kept() -> None:
    remembered = Remembered(InMemory())
    parts = [KnownPart(unit=f"can0:{number:x}", identifiers={}) for number in range(MAX_PARTS + 5)]
    remembered.keep_identity(vin=None, parts=parts, is_other_vehicle=False)
    assert len(remembered.memory.parts) == MAX_PARTS
