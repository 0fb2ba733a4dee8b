"""An old copy of the vehicle's records, put back: it is noticed, told, and never becomes a second history."""

import shutil
from pathlib import Path

from shared.core.clock import MonotonicNs
from shared.records.odometer import OdometerFlag
from shared.records.record import read_record
from shared.records.sd_jwt import parse_sd_jwt
from shared.service.rollback_counter import FileCounter
from shared.stack.effects import Notice
from tests.unit.vehicle_agent.agent_bench import Bench


def drive(directory: Path, counter: Path | None, *, seed: int, times: int = 2) -> list[Notice]:
    """Start the car with the counter, let it record a few readings, and return what it told."""
    with Bench(directory, seed=seed, counter=None if counter is None else FileCounter(counter)) as bench:
        for _ in range(times):
            bench.run(1.0)
            bench.take(bench.agent.stop(bench.clock.advance_to(MonotonicNs(bench.clock.now().monotonic + 1))))
        return [effect for effect, _ in bench.effects if isinstance(effect, Notice)]


def records(directory: Path) -> list[tuple[int, tuple[OdometerFlag, ...]]]:
    with Bench(directory, seed=99) as bench:
        return [(r.seq, read_record(parse_sd_jwt(r.sd_jwt)).flags) for r in bench.spool.records()]


def kinds(notices: list[Notice]) -> set[str]:
    return {notice.kind for notice in notices}


def copy(directory: Path, to: Path) -> None:
    to.mkdir()
    for file in directory.glob("spool.db*"):
        shutil.copy(file, to / file.name)


def put_back(image: Path, directory: Path) -> None:
    for file in directory.glob("spool.db*"):
        file.unlink()
    for file in image.iterdir():
        shutil.copy(file, directory / file.name)


def test_a_spool_put_back_from_an_old_copy_is_told_and_goes_on_behind_what_was_made(tmp_path: Path) -> None:
    car, counter = tmp_path / "car", tmp_path / "elsewhere.count"
    car.mkdir()
    assert "records_restored" not in kinds(drive(car, counter, seed=1))
    copy(car, tmp_path / "image")
    drive(car, counter, seed=2)
    made = len(records(car))
    put_back(tmp_path / "image", car)
    kept = len(records(car))
    assert 0 < kept < made
    told = [notice for notice in drive(car, counter, seed=3) if notice.kind == "records_restored"]
    assert len(told) == 1
    assert f"{made - kept} record" in str(told[0].fields["reason"])
    after = records(car)[kept:]
    assert after[0][0] == made
    assert OdometerFlag.SEQUENCE_RESUMED in after[0][1]
    assert all(OdometerFlag.SEQUENCE_RESUMED not in flags for _, flags in after[1:])


def test_a_counter_that_was_never_used_is_told_and_then_counts(tmp_path: Path) -> None:
    car, counter = tmp_path / "car", tmp_path / "elsewhere.count"
    car.mkdir()
    drive(car, None, seed=1)
    assert "record_counter_new" in kinds(drive(car, counter, seed=2))
    assert FileCounter(counter).read() == len(records(car))
    assert not kinds(drive(car, counter, seed=3)) & {"record_counter_new", "records_restored"}
