"""An old copy of the vehicle's own log, put back: it is told, the vehicle drives on, and no second history is signed."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.core.clock import NS_PER_S, ManualClock
from shared.core.errors import StorageError
from shared.ledger.checkpoint import parse_checkpoint
from shared.ledger.note import Ed25519NoteSigner, parse_note
from shared.ledger.proof import parse_proof
from shared.service.config import load
from shared.service.counted_log import UNCOUNTED_ENTRIES, CountedLog, LogCounterIsNew, LogRestored, open_counted
from shared.service.log_backup import back_up_log, copy_marked
from shared.service.log_store import LogStore, load_or_create_log_key, open_log_store
from shared.service.rollback_counter import FileCounter, open_counter, open_log_counter
from shared.stack.effects import Notice
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.recording import record
from tests.unit.vehicle_agent.vehicle_files import CONFIG, set_up_vehicle
from vehicle_agent.composition import VehicleParts, make_agent, open_vehicle
from vehicle_agent.config import VehicleConfig

HIERARCHY = Hierarchy(13)
START = ManualClock(NOON).now()
COUNTED = CONFIG + 'counter = "file:elsewhere/count"\n'


class Car:
    """A vehicle's folder, with the counters on another medium."""

    def __init__(self, folder: Path) -> None:
        (folder / "elsewhere").mkdir()
        self.config = set_up_vehicle(folder, HIERARCHY, config=COUNTED)
        self.folder, self.log = folder, folder / "state/log.db"
        self.count = FileCounter(folder / "elsewhere/count.log-entries")

    @contextmanager
    def started(self) -> Iterator[VehicleParts]:
        with open_vehicle(load(self.config, VehicleConfig), base=self.folder, environment={}, now=START) as vehicle:
            yield vehicle.parts

    def submit(self, *entries: bytes) -> list[int]:
        with self.started() as parts:
            assert isinstance(parts.ledger, LogStore | CountedLog)
            return [parts.ledger.submit(entry) for entry in entries]

    def told(self) -> tuple[set[str], object]:
        """Return the kinds of what the agent tells first, and its status of the log."""
        with self.started() as parts:
            agent = make_agent(parts, entropy=bytes, started=START)
            effects = agent.on_timer(START)
            odometer = agent.status()["odometer"]
            assert isinstance(odometer, dict)
            return {each.kind for each in effects if isinstance(each, Notice)}, odometer["log_restored"]

    def put_back(self, image: Path) -> None:
        for file in self.log.parent.glob("log.db-*"):
            file.unlink()
        shutil.copy(image, self.log)


@pytest.fixture
def car(tmp_path: Path) -> Car:
    return Car(tmp_path)


def test_an_old_copy_of_the_log_is_told_and_takes_no_entries_while_the_vehicle_runs(car: Car, tmp_path: Path) -> None:
    assert car.submit(b"a", b"b") == [0, 1]
    assert car.told() == (set(), None)
    shutil.copy(car.log, tmp_path / "image")
    assert car.submit(b"c", b"a") == [2, 0]
    assert car.count.read() == 3
    shutil.copy(car.log, tmp_path / "newest")
    car.put_back(tmp_path / "image")
    kinds, status = car.told()
    assert kinds == {"ledger_restored"}
    assert "it has 2 entries and had signed 3; it must not sign again" in str(status)
    with car.started() as parts:
        assert isinstance(parts.ledger, LogStore)
        assert parts.ledger.read("checkpoint").splitlines()[1] == b"2"
    with pytest.raises(StorageError, match="was put back from a backup"):
        car.submit(b"a second history")
    car.put_back(tmp_path / "newest")
    assert car.told() == (set(), None)
    assert car.submit(b"d") == [3]


def test_the_mark_outlives_the_counter(car: Car, tmp_path: Path) -> None:
    car.submit(b"a", b"b")
    shutil.copy(car.log, tmp_path / "image")
    car.submit(b"c")
    car.put_back(tmp_path / "image")
    assert car.told()[0] == {"ledger_restored"}
    car.config.write_text(CONFIG)
    kinds, status = car.told()
    assert kinds == {"ledger_restored"}
    assert "what it had signed is not known" in str(status)
    with pytest.raises(StorageError, match="was put back from a backup"):
        car.submit(b"a second history")


def test_a_backup_that_has_all_that_was_counted_may_go_on_and_an_older_one_may_not(car: Car, tmp_path: Path) -> None:
    car.submit(b"a", b"b")
    back_up_log(car.log, tmp_path / "older")
    car.submit(b"c")
    back_up_log(car.log, tmp_path / "newest")
    for name, entries, is_whole in (("older", [], False), ("newest", [b"d"], True)):
        car.log.unlink()
        copy_marked(tmp_path / name, car.log)
        assert (car.told()[0] == set()) is is_whole
        assert car.submit(*entries) == ([3] if is_whole else [])


def test_a_counter_that_is_put_in_use_later_says_so_once(car: Car) -> None:
    car.config.write_text(CONFIG)
    car.submit(b"a", b"b")
    car.config.write_text(COUNTED)
    kinds, status = car.told()
    assert kinds == {"ledger_counter_new"}
    assert "is new, though it has 2 entries" in str(status)
    assert car.told() == (set(), None)
    assert car.count.read() == 2


def test_without_its_medium_the_vehicle_says_what_is_missing(car: Car) -> None:
    (car.folder / "elsewhere").rename(car.folder / "gone")
    with pytest.raises(StorageError, match="is its medium mounted"):
        car.submit(b"a")


def test_a_vehicle_whose_log_is_over_goes_on_with_a_new_one_under_a_new_origin(car: Car) -> None:
    def drive() -> list[Notice]:
        """Record a reading, anchor it, record another one, and return what was told."""
        with car.started() as parts:
            clock = ManualClock(NOON)
            agent = make_agent(parts, entropy=bytes, started=clock.now())
            record(parts.spool, seed=len(list(parts.spool.records())))
            effects = agent.on_timer(clock.advance(NS_PER_S))
            record(parts.spool, seed=len(list(parts.spool.records())))
            return [each for each in effects if isinstance(each, Notice)]

    def proofs() -> list[str | None]:
        """Return for each record in which log it is proven."""
        with car.started() as parts:
            found = [each.proof for each in parts.spool.records()]
        return [None if proof is None else parse_checkpoint(parse_note(parse_proof(proof).note).body).origin for proof in found]

    old, new = "vehicle.example/log", "vehicle.example/log2"
    car.config.write_text(CONFIG)
    assert [notice.kind for notice in drive()] == ["odometer_anchored"]
    assert proofs() == [old, None]
    for name in ("log.db", "log.key", "log.policy"):
        (car.folder / "state" / name).rename(car.folder / "state" / f"former {name}")
    car.config.write_text(CONFIG.replace(old, new))
    first, *others = drive()
    assert first.kind == "ledger_changed"
    assert f"into the log {new} from now on and no longer into {old}: the 1 that had no proof" in str(first.fields["reason"])
    assert [notice.kind for notice in others] == ["odometer_anchored", "odometer_anchored"]
    assert proofs() == [old, new, new, None]
    assert {notice.kind for notice in drive()} == {"odometer_anchored"}


def test_records_and_entries_are_counted_apart(tmp_path: Path) -> None:
    open_counter("file:count", tmp_path).advance_to(7)
    entries = open_log_counter("file:count", tmp_path)
    assert entries.read() == 0
    entries.advance_to(3)
    assert (open_counter("file:count", tmp_path).read(), open_log_counter("file:count", tmp_path).read()) == (7, 3)


def test_what_is_odd_about_a_log_is_a_value(tmp_path: Path) -> None:
    signer = Ed25519NoteSigner("vehicle.example/log", load_or_create_log_key(tmp_path / "key"))
    with open_log_store(tmp_path / "log.db", signer) as log:
        log.append([b"a", b"b"])
        counter = FileCounter(tmp_path / "count")
        assert open_counted(log, None) == (log, None)
        assert open_counted(log, counter)[1] == LogCounterIsNew(found=2)
        counter.advance_to(5)
        assert open_counted(log, counter) == (log, LogRestored(origin="vehicle.example/log", found=2, counted=5))
        assert log.is_restored


@pytest.mark.parametrize(
    ("counted", "may_go_on"),
    [(0, False), (1, False), (5 - UNCOUNTED_ENTRIES - 1, False), (5 - UNCOUNTED_ENTRIES, True), (5, True), (6, False)],
)
def test_only_a_counter_that_kept_up_with_the_log_takes_the_mark_off_a_copy(
    tmp_path: Path, counted: int, *, may_go_on: bool
) -> None:
    signer = Ed25519NoteSigner("vehicle.example/log", load_or_create_log_key(tmp_path / "key"))
    counter = FileCounter(tmp_path / "count")
    counter.advance_to(counted)
    with open_log_store(tmp_path / "log.db", signer) as log:
        log.append([b"%d" % n for n in range(5)])
        log.mark_restored(is_restored=True)
        opened, news = open_counted(log, counter)
        if may_go_on:
            assert news is None
            assert isinstance(opened, CountedLog)
            assert (opened.submit(b"new"), counter.read()) == (5, 6)
        else:
            assert (opened, news) == (log, LogRestored(origin=log.origin, found=5, counted=6 if counted == 6 else None))
            with pytest.raises(StorageError, match="must not sign again"):
                CountedLog(log, counter)
            with pytest.raises(StorageError, match="was put back from a backup"):
                log.submit(b"a second history")
            assert counter.read() == counted
    with open_log_store(tmp_path / "log.db", signer) as log:
        assert log.is_restored is not may_go_on
