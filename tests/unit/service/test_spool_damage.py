"""Whatever octet of a spool's files is lost or changed: all records are there, or it is said that they are not; never neither."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shared.core.errors import StorageError
from shared.records.odometer import OdometerFlag
from shared.service.spool import Spool, StoredRecord, open_spool
from shared.service.spool_check import MAX_CHECKED_OCTETS, SLICE_RECORDS, is_damage_known
from shared.service.spool_mark import SLOT_OCTETS, SpoolMark
from shared.service.spool_recovery import recover_spool
from tests.helpers.recording import record

IN_FILE, IN_LOG = 12, 10
RECORDS = IN_FILE + IN_LOG
SAMPLES = 24
"""Places in each file: one in each stretch of its length, never at its border."""


def opened(path: Path, *, is_large: bool = True) -> Spool:
    """Open a spool, by default as one that is too large to be looked through at the start."""
    return open_spool(path, checked_octets=0 if is_large else MAX_CHECKED_OCTETS)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spool as power left it: some records in its file, some in its write-ahead log."""
    folder = tmp_path_factory.mktemp("image")
    with closing(open_spool(folder / "spool.db")) as spool:
        for number in range(IN_FILE):
            record(spool, 1_000 * number, seed=number)
    with closing(open_spool(folder / "spool.db")) as spool:
        for number in range(IN_FILE, RECORDS):
            record(spool, 1_000 * number, seed=number)
        left = folder / "left"
        left.mkdir()
        for name in ("spool.db", "spool.db-wal", "spool.db-mark"):
            shutil.copy(folder / name, left)
    return left


@pytest.fixture(scope="module")
def whole(image: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[StoredRecord, ...]:
    folder = copied(image, tmp_path_factory.mktemp("whole") / "copy")
    with closing(open_spool(folder / "spool.db")) as spool:
        return tuple(spool.records())


def copied(image: Path, to: Path) -> Path:
    shutil.copytree(image, to)
    return to


def places(octets: bytes) -> Iterator[int]:
    for number in range(SAMPLES):
        yield number * len(octets) // SAMPLES + 37 * number % (len(octets) // SAMPLES)


def judged(folder: Path, whole: tuple[StoredRecord, ...], *, is_large: bool) -> str:
    """Open what is left as an agent does, and return what it says: whole, lost at the end, refused."""
    path = folder / "spool.db"
    before = path.read_bytes()
    try:
        with closing(opened(path, is_large=is_large)) as spool:
            look_through(spool)
            spool.credentials()
            found, lost = tuple(spool.records()), spool.lost()
            assert found == whole[: len(found)], "a record is another than it was, and nobody said so"
            if lost is None:
                assert found == whole, "records are gone, and nobody said so"
                return "whole"
            assert (lost.found, lost.counted) == (len(found), RECORDS)
            goes_on(spool, found, lost.counted)
            return "lost"
    except StorageError:
        assert is_large or path.read_bytes() == before
    recovery = recover_spool(path)
    assert recovery.saved <= RECORDS
    with closing(open_spool(path)) as spool:
        found = tuple(spool.records())
        assert [(r.seq, r.commitment, r.sd_jwt) for r in found] == [(r.seq, r.commitment, r.sd_jwt) for r in whole[: len(found)]]
        goes_on(spool, found, RECORDS)
    return "refused"


def goes_on(spool: Spool, found: tuple[StoredRecord, ...], made: int) -> None:
    """No number is used twice, and the gap is owned to."""
    if spool.lost() is not None:
        spool.resume_at(made)
    following = record(spool, 10**6, seed=1_000).record
    assert following.seq == made
    assert OdometerFlag.SEQUENCE_RESUMED in following.flags
    assert len(tuple(spool.records())) == len(found) + 1


@pytest.mark.parametrize("is_large", [False, True], ids=["looked through at the start", "looked through while it is in use"])
@pytest.mark.parametrize("name", ["spool.db", "spool.db-wal"])
@pytest.mark.parametrize("what", ["cut short", "changed"])
def test_no_octet_takes_a_record_with_it_in_silence(
    image: Path, whole: tuple[StoredRecord, ...], tmp_path: Path, what: str, name: str, *, is_large: bool
) -> None:
    octets = (image / name).read_bytes()
    verdicts = set()
    for number, at in enumerate(places(octets)):
        folder = copied(image, tmp_path / str(number))
        damaged = octets[:at] if what == "cut short" else octets[:at] + bytes((octets[at] ^ 0x55,)) + octets[at + 1 :]
        (folder / name).write_bytes(damaged)
        verdicts.add(judged(folder, whole, is_large=is_large))
    assert verdicts & {"lost", "refused"}


def look_through(spool: Spool) -> int:
    """Look through all of it, as an agent does while it runs, and return in how many slices."""
    slices = 0
    while not spool.is_checked:
        spool.check_some()
        slices += 1
    return slices


def test_what_was_found_damaged_is_written_to_no_more_and_refused_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    with closing(open_spool(path)) as spool:
        for number in range(3 * SLICE_RECORDS):
            record(spool, 1_000 * number, seed=number)
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE record SET salt = x'00112233445566778899aabbccddeeff' WHERE seq = 70")
        raw.commit()
    with closing(opened(path)) as spool:
        with pytest.raises(StorageError, match="is damaged: record 70: it is not what was committed to"):
            look_through(spool)
        for _ in range(2):
            with pytest.raises(StorageError, match="is damaged: record 70"):
                record(spool, 10**6, seed=999)
            with pytest.raises(StorageError, match="is damaged: record 70"):
                spool.check_some()
    assert is_damage_known(path)
    with pytest.raises(StorageError, match="is damaged: record 70"):
        opened(path)
    assert recover_spool(path).saved == 70
    assert not is_damage_known(path)
    with closing(opened(path)) as spool:
        assert spool.lost() is None


def test_a_large_spool_is_looked_through_once_whatever_it_begins_with(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    for _ in range(4):
        with closing(opened(path)) as spool:
            slices, count = look_through(spool), sum(spool.counts().values())
            assert count <= slices * SLICE_RECORDS <= count + 3 * SLICE_RECORDS
            for number in range(count, count + SLICE_RECORDS - 7):
                record(spool, 1_000 * number, seed=number)


def test_a_spool_that_was_suspected_wrongly_is_looked_through_and_used(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    with closing(open_spool(path)) as spool:
        record(spool)
    path.with_name("spool.db-damaged").write_text("it was the cable\n")
    with closing(opened(path)) as spool:
        assert record(spool, 2_000, seed=2).record.seq == 1
    assert not is_damage_known(path)


def test_a_mark_torn_by_power_leaves_the_one_before(tmp_path: Path) -> None:
    mark = SpoolMark(tmp_path / "spool.db")
    assert mark.read() == 0
    for count in (1, 2, 3):
        mark.write(count)
        assert SpoolMark(tmp_path / "spool.db").read() == count
    file = tmp_path / "spool.db-mark"
    octets = file.read_bytes()
    assert len(octets) == 2 * SLOT_OCTETS
    for cut in (0, SLOT_OCTETS, SLOT_OCTETS + 20, SLOT_OCTETS + 50):
        file.write_bytes(octets[:cut])
        assert mark.read() in (0, 2)
    file.write_bytes(octets[:SLOT_OCTETS] + bytes(SLOT_OCTETS))
    assert mark.read() == 2
    assert mark.failures == 0


def test_a_mark_that_cannot_be_written_is_counted_and_the_record_is_kept(tmp_path: Path) -> None:
    (tmp_path / "spool.db-mark").mkdir()
    with closing(open_spool(tmp_path / "spool.db")) as spool:
        record(spool)
        assert spool.use().unmarked == 1
        assert len(list(spool.records())) == 1
