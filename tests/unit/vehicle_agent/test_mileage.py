"""What the agent does about its odometer's witnesses: an inspector's record, what has ended, and what is remembered."""

from dataclasses import replace
from pathlib import Path

import pytest

from shared.core.errors import EncodeError, StorageError
from shared.records.odometer import MIN_NONCE_OCTETS, OdometerFlag, RecordReason, nonce_of, reason_of, sources_of
from simulator.adversaries.mileage_blocker import Between, Swallowed
from simulator.ecu import SimulatedEcu
from tests.unit.vehicle_agent.agent_bench import DBC, WOKEN, Bench
from vehicle_agent.composition import make_agent
from vehicle_agent.mileage import NoReadingError
from vehicle_agent.odometer.status_rows import witness_rows
from vehicle_agent.vehicle_memory import InMemory, MemoryFile, Remembered, VehicleMemory

NONCE = bytes(range(MIN_NONCE_OCTETS))


class FullDisk(InMemory):
    """Keeps nothing, and says so."""

    def keep(self, memory: VehicleMemory) -> None:
        raise StorageError("vehicle.json", "the disk is full")


def test_an_inspectors_nonce_is_in_a_record_that_is_made_at_once(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.set(speed_mps=20.0)
        bench.run(5.0)
        before = bench.status("odometer")["recorded"]
        inspected = bench.agent.inspect(NONCE, bench.clock.now())
        record = inspected.signed.record
        assert reason_of(record.fields) is RecordReason.INSPECTION
        assert nonce_of(record.fields) == NONCE
        assert {source.name for source in sources_of(record.fields)} == {"cluster", "wheels", "gnss"}
        assert [notice.kind for notice in inspected.notices] == ["odometer_recorded"]
        assert bench.status("odometer")["recorded"] == before + 1
        head = bench.spool.head()
        assert head is not None
        assert head.seq == record.seq


def test_an_inspector_is_refused_where_no_reading_is_believed(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench, pytest.raises(NoReadingError, match="no reading of the odometer is confirmed"):
        bench.agent.inspect(NONCE, bench.clock.now())


def test_an_inspector_is_refused_where_the_bus_has_died_since_the_last_reading(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.set(speed_mps=20.0)
        bench.run(5.0)
        bench.run(155.0, bus_is_on=False)
        before = bench.spool.head()
        with pytest.raises(NoReadingError, match=r"has been confirmed for 2 minutes \(since 20\S+ \S+ UTC\): .*its bus is silent"):
            bench.agent.inspect(NONCE, bench.clock.now())
        assert bench.spool.head() == before
        bench.run(3.0)
        assert sources_of(bench.agent.inspect(NONCE, bench.clock.now()).signed.record.fields)[0].age_ms < 1_000


def test_an_inspector_is_told_since_when_even_without_a_date(tmp_path: Path) -> None:
    with Bench(tmp_path, utc=None) as bench:
        bench.run(5.0)
        bench.run(20.0, bus_is_on=False)
        with pytest.raises(NoReadingError, match=r"has been confirmed for 20 seconds: "):
            bench.agent.inspect(NONCE, bench.clock.now())


def test_an_inspector_with_a_short_nonce_is_refused_and_nothing_is_recorded(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.run(3.0)
        before = bench.status("odometer")["recorded"]
        with pytest.raises(EncodeError):
            bench.agent.inspect(NONCE[:4], bench.clock.now())
        assert bench.status("odometer")["recorded"] == before


def test_what_was_odd_is_told_when_it_begins_and_when_it_ends(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        device = Between(Swallowed(1.0), after_m=100.0, until_m=900.0)
        bench.ecu = SimulatedEcu(DBC, channel="can0", start=WOKEN, odometer_tamper=device)
        bench.set(speed_mps=60.0)
        bench.run(25.0)
        flags = [notice["flags"] for notice in bench.notices("odometer_recorded") if notice["flags"]]
        assert flags[0] == [OdometerFlag.FROZEN_WHILE_MOVING.value]
        assert OdometerFlag.STEP.value in flags[-1]
        assert bench.notices("odometer_flag_ended") == [{"flag": OdometerFlag.FROZEN_WHILE_MOVING.value}]


def test_what_is_learnt_of_the_witnesses_is_remembered_beside_the_records(tmp_path: Path) -> None:
    keeper = MemoryFile(tmp_path / "vehicle.json")
    with Bench(tmp_path) as bench:
        bench.agent = make_agent(replace(bench.parts, remembered=Remembered(keeper)), entropy=bytes, started=bench.clock.now())
        bench.set(speed_mps=40.0)
        bench.run(15.0)
        bench.take(bench.agent.stop(bench.clock.now()))
    assert {factor.source for factor in keeper.load().factors} == {"wheels", "gnss"}


def test_a_memory_that_cannot_be_kept_is_told_once(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.agent = make_agent(replace(bench.parts, remembered=Remembered(FullDisk())), entropy=bytes, started=bench.clock.now())
        bench.set(speed_mps=40.0)
        for is_on in (True, False, True, False):
            bench.set(ignition_on=is_on)
            bench.run(4.0)
        assert len(bench.notices("calibration_not_kept")) == 1
        assert "the disk is full" in bench.notices("calibration_not_kept")[0]["reason"]


def test_the_status_tells_a_person_what_each_witness_says(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.set(speed_mps=40.0)
        bench.run(10.0)
        rows = dict(witness_rows(bench.agent.status()))
    assert rows["verdict"] == "the witnesses have not seen enough yet"
    assert set(rows) == {"verdict", "witness wheels", "witness gnss"}
    assert rows["witness wheels"].startswith("25088")
    assert "being learnt" in rows["witness wheels"]


def test_a_status_from_before_there_were_witnesses_has_no_lines_about_them() -> None:
    assert list(witness_rows({"odometer": {"recorded": 3}})) == []


def test_what_is_odd_is_told_in_the_status() -> None:
    witness = {"odometer_m": None, "sees": False, "factor": 0.98, "factor_settled": True, "judged_m": 4_000, "short_m": 700}
    judgement = {
        "verdict": "disagree",
        "missing_permille": 248,
        "lasting_flags": ["blocker_suspected"],
        "carried_m": 1_200,
        "witnesses": {"wheels": witness},
    }
    assert dict(witness_rows({"odometer": {"judgement": judgement}})) == {
        "verdict": "somebody contradicts; 25 % of the distance is missing",
        "odd now": "blocker_suspected",
        "carried": "1200 m since the start: a ferry, a train, a tow",
        "witness wheels": "nothing yet (factor 0.98, 4000 m judged, 700 m unexplained); sees nothing now",
    }
