"""A restored image is noticed, and no power cut is taken for one: the counter, the spool beside it, and the embedded log."""

import shutil
from pathlib import Path

import pytest

from shared.core.errors import ConfigError, EncodeError, StorageError
from shared.records.odometer import CounterKind, HardwareCount, OdometerFlag, counter_of
from shared.service.counted_log import CountedLog
from shared.service.log_store import open_log_store
from shared.service.rollback_counter import (
    CountedSpool,
    CounterIsNew,
    FileCounter,
    Restored,
    RollbackCounter,
    check_restored,
    open_counter,
)
from shared.service.spool import open_spool
from tests.helpers.faulty_sqlite import Faults
from tests.helpers.ledger import log_signer
from tests.helpers.recording import record

STATEMENTS_OF_AN_APPEND = 5


class FailingCounter:
    """A real counter whose medium fails at one step, before or after it took effect."""

    def __init__(self, counter: RollbackCounter, *, persists: bool) -> None:
        self._counter, self._persists, self.is_armed = counter, persists, False

    @property
    def name(self) -> str:
        return self._counter.name

    @property
    def kind(self) -> CounterKind:
        return self._counter.kind

    def shown_at(self, value: int) -> int | None:
        return self._counter.shown_at(value)

    def read(self) -> int:
        return self._counter.read()

    def advance_to(self, value: int) -> None:
        if self.is_armed and value > self._counter.read():
            if self._persists:
                self._counter.advance_to(value)
            raise StorageError(self.name, "the medium failed")
        self._counter.advance_to(value)

    def close(self) -> None:
        self._counter.close()


def copy_of(spool: Path, to: Path) -> Path:
    to.mkdir()
    for file in spool.parent.glob(spool.name + "*"):
        shutil.copy(file, to / file.name)
    return to


def put_back(copy: Path, spool: Path) -> None:
    for file in spool.parent.glob(spool.name + "*"):
        file.unlink()
    for file in copy.iterdir():
        shutil.copy(file, spool.parent / file.name)


def files(tmp_path: Path) -> tuple[Path, FileCounter]:
    (tmp_path / "disk").mkdir(exist_ok=True)
    (tmp_path / "medium").mkdir(exist_ok=True)
    return tmp_path / "disk/spool.db", FileCounter(tmp_path / "medium/counter")


def make(counted: CountedSpool, count: int) -> None:
    for n in range(count):
        record(counted, seed=100 + n)


@pytest.mark.parametrize(
    ("found", "counted", "expected"),
    [
        (0, 0, None),
        (5, 5, None),
        (6, 5, None),
        (5, 0, CounterIsNew(found=5)),
        (4, 5, Restored(found=4, counted=5)),
        (0, 5, Restored(found=0, counted=5)),
    ],
)
def test_fewer_records_than_were_counted_mean_an_older_store(
    found: int, counted: int, expected: Restored | CounterIsNew | None
) -> None:
    assert check_restored(found, counted) == expected


def test_an_old_image_put_back_is_noticed_and_forks_nothing(tmp_path: Path) -> None:
    path, counter = files(tmp_path)
    spool = open_spool(path)
    counted = CountedSpool(spool, counter)
    make(counted, 3)
    spool.close()
    old = copy_of(path, tmp_path / "old")
    spool = open_spool(path)
    counted = CountedSpool(spool, counter)
    assert counted.notice is None
    make(counted, 4)
    lost = [r.seq for r in spool.records()][3:]
    spool.close()

    put_back(old, path)
    spool = open_spool(path)
    counted = CountedSpool(spool, counter)
    assert counted.notice == Restored(found=3, counted=7)
    assert str(counted.notice) == (
        "the store of records was put back from an older copy, or replaced: 4 records that were made are not in it (it has 3)"
    )
    signed = record(counted)
    assert signed.record.seq == 7 == max(lost) + 1
    assert OdometerFlag.SEQUENCE_RESUMED in signed.record.flags
    assert OdometerFlag.SEQUENCE_RESUMED not in record(counted).record.flags
    spool.close()
    spool = open_spool(path)
    assert CountedSpool(spool, counter).notice is None
    spool.close()


def test_an_image_put_back_twice_is_noticed_twice(tmp_path: Path) -> None:
    path, counter = files(tmp_path)
    spool = open_spool(path)
    make(CountedSpool(spool, counter), 2)
    spool.close()
    old = copy_of(path, tmp_path / "old")
    seen = []
    for _ in range(3):
        spool = open_spool(path)
        counted = CountedSpool(spool, counter)
        seen.append(record(counted).record.seq)
        spool.close()
        put_back(old, path)
    assert seen == [2, 3, 4]


def test_a_store_that_is_gone_altogether_is_noticed(tmp_path: Path) -> None:
    path, counter = files(tmp_path)
    spool = open_spool(path)
    make(CountedSpool(spool, counter), 2)
    spool.close()
    put_back(copy_of(tmp_path / "nothing", tmp_path / "empty"), path)
    spool = open_spool(path)
    counted = CountedSpool(spool, counter)
    assert counted.notice == Restored(found=0, counted=2)
    assert record(counted).record.seq == 2
    spool.close()


def test_a_new_counter_beside_old_records_says_so_once(tmp_path: Path) -> None:
    path, counter = files(tmp_path)
    spool = open_spool(path)
    record(spool)
    assert CountedSpool(spool, counter).notice == CounterIsNew(found=1)
    assert CountedSpool(spool, counter).notice is None
    spool.close()


@pytest.mark.parametrize("persists", [False, True], ids=["not_written", "written"])
@pytest.mark.parametrize("before", range(3))
@pytest.mark.parametrize("step", range(STATEMENTS_OF_AN_APPEND * 2))
def test_a_disk_that_fails_at_any_step_of_the_store_is_no_restored_image(
    tmp_path: Path, step: int, before: int, *, persists: bool
) -> None:
    path, counter = files(tmp_path)
    faults = Faults()
    spool = open_spool(path, connect=faults.connect())
    counted = CountedSpool(spool, counter)
    make(counted, before)
    faults.arm(step, persists=persists)
    try:
        record(counted)
        told = before + 1
    except StorageError:
        told = before
    faults.arm(None, persists=False)
    spool.close()
    check_after_power_cut(path, counter, told, before)


@pytest.mark.parametrize("persists", [False, True], ids=["not_counted", "counted"])
@pytest.mark.parametrize("before", range(3))
@pytest.mark.parametrize("again", range(3))
def test_a_counter_that_fails_is_no_restored_image(tmp_path: Path, before: int, again: int, *, persists: bool) -> None:
    path, real = files(tmp_path)
    counter = FailingCounter(real, persists=persists)
    spool = open_spool(path)
    counted = CountedSpool(spool, counter)
    make(counted, before)
    counter.is_armed = True
    for n in range(again + 1):
        with pytest.raises(StorageError, match="the medium failed"):
            record(counted, seed=n)
        assert len(list(spool.records())) <= before + 1 + (n if persists else 0)
    spool.close()
    check_after_power_cut(path, real, before, before + again)


@pytest.mark.parametrize("sync", range(2))
@pytest.mark.parametrize("before", range(3))
def test_a_medium_that_loses_power_while_it_counts_is_no_restored_image(tmp_path: Path, sync: int, before: int) -> None:
    path, real = files(tmp_path)
    left = [2 * before + sync]

    def failing(synced: Path) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(5, "Input/output error", str(synced))

    spool = open_spool(path)
    counted = CountedSpool(spool, FileCounter(tmp_path / "medium/counter", sync=failing))
    make(counted, before)
    with pytest.raises(StorageError, match="Input/output error"):
        record(counted)
    spool.close()
    check_after_power_cut(path, real, before, before)


def check_after_power_cut(path: Path, counter: FileCounter, told: int, stored: int) -> None:
    """Whoever was told of a record finds it; at most those nobody was told of are there besides; nothing looks restored."""
    old_count = counter.read()
    spool = open_spool(path)
    counted = CountedSpool(spool, counter)
    assert not isinstance(counted.notice, Restored)
    found = [r.seq for r in spool.records()]
    assert found == list(range(len(found)))
    assert told <= len(found) <= stored + 1
    assert old_count <= len(found) == counter.read()
    signed = record(counted)
    assert (signed.record.seq, OdometerFlag.SEQUENCE_RESUMED in signed.record.flags) == (len(found), False)
    spool.close()


def test_every_record_of_the_odometer_says_where_the_counter_beside_it_stands(tmp_path: Path) -> None:
    spool = open_spool(tmp_path / "spool.db")
    counter = FileCounter(tmp_path / "counter")
    counted = CountedSpool(spool, counter)
    told = []
    for _ in range(3):
        signed = record(counted)
        told.append(counter_of(signed.record.fields))
        assert told[-1] == HardwareCount(kind=CounterKind.FILE, value=counter.read())
    assert [None if each is None else each.value for each in told] == [1, 2, 3]
    assert counter_of(record(spool).record.fields) is None, "nothing stands beside a spool alone"
    spool.close()


def test_a_file_counter_counts_up_only_and_survives(tmp_path: Path) -> None:
    counter = FileCounter(tmp_path / "counter")
    assert counter.read() == 0
    for value, expected in ((3, 3), (2, 3), (3, 3), (10, 10), (0, 10)):
        counter.advance_to(value)
        assert FileCounter(tmp_path / "counter").read() == expected
    assert (tmp_path / "counter").stat().st_mode & 0o777 == 0o600
    for no_count in (-1, 1 << 53):
        with pytest.raises(EncodeError, match="is no count"):
            counter.advance_to(no_count)


@pytest.mark.parametrize(
    "content", ["", "7\n", "v2x-trust counter 1\n", "v2x-trust counter 1\n07\n", "v2x-trust counter 1\n7", "x" * 99]
)
def test_a_damaged_counter_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "counter"
    path.write_text(content)
    for act in (lambda: FileCounter(path).read(), lambda: FileCounter(path).advance_to(9)):
        with pytest.raises(StorageError, match="is no counter, or damaged"):
            act()
    assert path.read_text() == content


def test_a_medium_that_is_not_mounted_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="is its medium mounted"):
        FileCounter(tmp_path / "medium/counter").read()


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("file:", "a path follows the colon"),
        ("file:counter;x=1", "means nothing here"),
        ("credential:counter", "is no counter; file: and tpm: are"),
        ("counter", "is no URI"),
    ],
)
def test_what_names_no_counter_is_refused(tmp_path: Path, uri: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        open_counter(uri, tmp_path)


def test_a_counter_is_opened_by_its_uri(tmp_path: Path) -> None:
    open_counter("file:counter", tmp_path).advance_to(4)
    assert open_counter(f"file:{tmp_path}/counter", Path("/")).read() == 4


def test_a_log_put_back_from_an_old_image_signs_no_more(tmp_path: Path) -> None:
    path, counter = files(tmp_path)
    log = open_log_store(path, log_signer())
    CountedLog(log, counter).append((b"a", b"b"))
    log.close()
    old = copy_of(path, tmp_path / "old")
    log = open_log_store(path, log_signer())
    counted = CountedLog(log, counter)
    assert (counted.submit(b"c"), counted.submit(b"a")) == (2, 0)
    assert counter.read() == 3
    log.close()
    put_back(old, path)
    log = open_log_store(path, log_signer())
    with pytest.raises(StorageError, match="it has 2 entries and had signed 3; it must not sign again"):
        CountedLog(log, counter)
    log.close()


def test_a_log_whose_last_entry_was_not_counted_goes_on(tmp_path: Path) -> None:
    path, counter = files(tmp_path)
    log = open_log_store(path, log_signer())
    CountedLog(log, counter).submit(b"a")
    log.submit(b"b")
    assert CountedLog(log, counter).submit(b"c") == 2
    assert counter.read() == 3
    log.close()
