"""Where entries stand, by leaf hash: found whatever was killed, restarted, deleted or swapped under it."""

import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from shared.core.errors import StorageError
from shared.service.leaf_index import MAX_PROBES, LeafIndex

SLOTS = 64
"""Of the first table, so that a thousand entries fill several."""


def leaf(number: int, history: str = "a") -> bytes:
    return sha256(f"{history}{number}".encode()).digest()


def leaves(first: int, end: int) -> Iterator[bytes]:
    return (leaf(n) for n in range(first, end))


def filled(path: Path, count: int) -> LeafIndex:
    index = LeafIndex(path, first_slots=SLOTS)
    index.catch_up(count, leaves)
    return index


def knows_exactly(index: LeafIndex, count: int) -> bool:
    """Whether every entry is found where it is, and what is no entry hardly ever anywhere."""
    assert all(n in index.find(leaf(n)) for n in range(count))
    return sum(len(index.find(leaf(n))) for n in range(count, count + 500)) == 0


def tables(path: Path) -> list[str]:
    return sorted(p.name for p in path.with_name(path.name + ".index").glob("*.table"))


def test_entries_are_found_in_every_table_there_is(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    index = LeafIndex(path, first_slots=SLOTS)
    index.add(leaves(0, 700))
    index.add(leaves(700, 1_000))
    assert index.count == 1_000
    assert knows_exactly(index, 1_000)
    assert tables(path) == ["01.table", "02.table", "03.table", "04.table", "05.table"]
    index.close()


def test_a_small_log_has_no_files_beside_it(tmp_path: Path) -> None:
    index = LeafIndex(tmp_path / "log.db")
    index.add(leaves(0, 1_000))
    assert knows_exactly(index, 1_000)
    index.close()
    assert not list(tmp_path.iterdir())


def test_after_a_clean_end_only_what_is_in_memory_is_read_from_the_log_again(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    filled(path, 1_000).close()
    asked: list[int] = []

    def counted(first: int, end: int) -> Iterator[bytes]:
        for number in range(first, end):
            asked.append(number)
            yield leaf(number)

    index = LeafIndex(path, first_slots=SLOTS)
    index.catch_up(1_010, counted)
    assert len(asked) < 31 + 10 + 6
    assert knows_exactly(index, 1_010)
    index.close()


@pytest.mark.parametrize("synced_at", [0, 40, 500, 1_000])
def test_a_program_that_was_killed_finds_everything_at_its_next_start(tmp_path: Path, synced_at: int) -> None:
    """The files as they are when nobody closed them: some slots on disk, some not, the header old."""
    path = tmp_path / "log.db"
    index = LeafIndex(path, first_slots=SLOTS)
    index.add(leaves(0, synced_at))
    index.sync()
    index.add(leaves(synced_at, 1_000))
    shutil.copytree(tmp_path / "log.db.index", tmp_path / "after.db.index")
    index.close()
    for table in (tmp_path / "after.db.index").glob("*.table"):
        data = bytearray(table.read_bytes())
        first = data[4096 : 4096 + 8 * 64]
        numbers = [int.from_bytes(first[n : n + 8], "little") & (1 << 40) - 1 for n in range(0, len(first), 8)]
        for slot, number in enumerate(numbers):
            if number > synced_at and slot % 2:  # a page that never reached the disk
                data[4096 + 8 * slot : 4104 + 8 * slot] = bytes(8)
        table.write_bytes(data)
    again = filled(tmp_path / "after.db", 1_000)
    assert knows_exactly(again, 1_000)
    again.close()


def damaged(data: bytes) -> Iterator[bytes]:
    yield b""
    yield data[:100]
    yield data[:-8]
    yield data + bytes(8)
    yield bytes(len(data))
    yield data[:20] + bytes([data[20] ^ 1]) + data[21:]


def test_a_file_that_is_damaged_or_foreign_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    filled(path, 1_000).close()
    table = tmp_path / "log.db.index" / "03.table"
    for content in damaged(table.read_bytes()):
        table.write_bytes(content)
        index = filled(path, 1_000)
        assert knows_exactly(index, 1_000)
        index.close()
    shutil.rmtree(tmp_path / "log.db.index")
    index = filled(path, 1_000)
    assert knows_exactly(index, 1_000)
    index.close()


def test_the_index_of_another_history_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    other = LeafIndex(path, first_slots=SLOTS)
    other.add(leaf(n, "b") for n in range(1_200))
    other.close()
    index = filled(path, 1_000)
    assert knows_exactly(index, 1_000)
    assert not any(index.find(leaf(n, "b")) for n in range(100, 1_200))
    index.close()


def test_a_log_that_became_shorter_has_its_index_made_anew(tmp_path: Path) -> None:
    index = filled(tmp_path / "log.db", 1_000)
    index.catch_up(300, leaves)
    assert index.count == 300
    assert knows_exactly(index, 300)
    index.close()


def test_a_second_program_keeps_its_tables_to_itself(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    first, second = filled(path, 500), filled(path, 900)
    first.add(leaves(500, 700))
    assert knows_exactly(second, 900)
    assert knows_exactly(first, 700)
    second.discard()
    first.close()
    second.close()
    index = filled(path, 700)
    assert knows_exactly(index, 700)
    index.close()


def test_hashes_made_to_collide_end_in_an_error_and_not_in_a_search_without_end(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    index = LeafIndex(path, first_slots=8 * MAX_PROBES)
    alike = [bytes(8) + n.to_bytes(24) for n in range(MAX_PROBES + 1)]
    with pytest.raises(StorageError, match="crowded"):
        index.add(alike)
    assert index.count == 0
    index.close()


def test_no_room_for_a_further_table_is_said_and_survived(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    (tmp_path / "log.db.index").write_bytes(b"in the way")
    index = LeafIndex(path, first_slots=SLOTS)
    with pytest.raises(StorageError):
        index.add(leaves(0, 100))
    (tmp_path / "log.db.index").unlink()
    index.catch_up(100, leaves)
    assert knows_exactly(index, 100)
    index.close()
