"""A drive whose date is not known, then known, then set by somebody; restarts of the agent and of the computer in between."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from shared.core.clock import NS_PER_S, UtcNs
from shared.records.findings import FindingKind
from shared.records.odometer import OdometerFlag, RecordReason
from shared.records.passport import Reading, UnverifiedPassport, read_passport
from tests.helpers.hierarchy import NOON
from tests.unit.vehicle_agent.agent_bench import WOKEN, Bench
from vehicle_agent.composition import make_agent, make_passport

ONE_START, NEXT_START = b"one start of it!", b"its next start.."


def started_at(bench: Bench, start: bytes, *, after_s: float = 0.0) -> None:
    """Begin to run as an agent of that start of the computer, so long after it."""
    bench.clock.advance(round(after_s * NS_PER_S))
    parts = replace(bench.parts, start_id=start)
    bench.agent = make_agent(parts, entropy=Random(after_s).randbytes, started=bench.clock.now())


def drive(bench: Bench, seconds: float = 5.0) -> None:
    bench.set(speed_mps=50.0)
    bench.run(seconds)


def claimed(bench: Bench) -> UnverifiedPassport:
    bench.run(0.5)  # what was recorded is anchored
    return read_passport(make_passport(bench.parts))


def true_date(reading: Reading, first: Reading, noon_at_s: float) -> UtcNs:
    """When a reading was taken, by the odometer: the bench drives 50 m/s from the first moment on."""
    return UtcNs(NOON + round((((reading.odometer_m or 0) - (first.odometer_m or 0)) / 50.0 - noon_at_s) * NS_PER_S))


def test_a_drive_that_learns_the_date_late_dates_what_it_recorded_before(tmp_path: Path) -> None:
    with Bench(tmp_path, utc=None, every_m=200) as bench:
        drive(bench)
        bench.clock.set_utc(NOON)
        drive(bench, 1.0)
        told = bench.notices("odometer_recorded")
        assert [n["reason"] for n in told] == ["ignition_on", "distance", "clock_set"]
        assert bench.notices("clock_set") == [{"undated_records": 2}]
        found = claimed(bench)
        before, later, dating = found.readings
        assert (before.occurred, later.occurred) == (None, None)
        assert dating.occurred is not None
        assert dating.reason is RecordReason.CLOCK_SET
        for reading in (before, later):
            assert reading.flags == (OdometerFlag.CLOCK_NOT_SET,), "what was not known when it was made stays said"
            assert reading.stamp is not None
            assert reading.stamp.by_seq == dating.seq
            assert reading.made == pytest.approx(true_date(reading, before, 5.0), abs=2 * NS_PER_S)
        texts = [finding.text for finding in found.findings]
        assert sum("of the same start of its computer" in text for text in texts) == 2
        assert not any(finding.is_serious for finding in found.findings)


def test_a_clock_that_is_set_while_driving_is_said_by_the_next_record_and_by_the_dates_themselves(tmp_path: Path) -> None:
    with Bench(tmp_path, every_m=200) as bench:
        drive(bench)
        bench.clock.set_utc(UtcNs(NOON - 86_400 * NS_PER_S))
        drive(bench)
        assert [round(notice["by_s"] / 86_400) for notice in bench.notices("clock_jumped")] == [-1]
        flagged = [n["seq"] for n in bench.notices("odometer_recorded") if "clock_jumped" in n["flags"]]
        assert len(flagged) == 1
        findings = claimed(bench).findings
        assert [f.seq for f in findings if "was set while its computer ran" in f.text] == flagged
        assert [f.seq for f in findings if f.kind is FindingKind.CLOCK and "the vehicle's clock was set back by 24 hours" in f.text]


def test_records_of_the_same_start_are_dated_across_a_restart_of_the_agent(tmp_path: Path) -> None:
    with Bench(tmp_path, utc=None, every_m=200) as bench:
        started_at(bench, ONE_START)
        drive(bench)
        ran_s = (bench.clock.now().monotonic - WOKEN) / NS_PER_S
        sample = bench.sample
    with Bench(tmp_path, sample=sample, every_m=200) as bench:  # nobody told the agent to stop: it was killed
        started_at(bench, ONE_START, after_s=ran_s + 20.0)
        drive(bench)
        readings = claimed(bench).readings
        undated = [reading for reading in readings if reading.occurred is None]
        assert len(undated) == 2
        for reading in undated:
            assert reading.stamp is not None
            assert reading.stamp.by_seq == undated[-1].seq + 1, "the first of the new run"


def test_what_a_computer_never_dated_before_the_power_went_stays_without_a_date(tmp_path: Path) -> None:
    with Bench(tmp_path, utc=None, every_m=200) as bench:
        started_at(bench, ONE_START)
        drive(bench)
        sample = bench.sample
    with Bench(tmp_path, sample=sample, every_m=200) as bench:
        started_at(bench, NEXT_START)
        drive(bench)
        found = claimed(bench)
        undated = [reading for reading in found.readings if reading.occurred is None]
        assert len(undated) == 2
        assert [reading.made for reading in undated] == [None, None]
        texts = [f.text for f in found.findings if f.kind is FindingKind.FLAGGED]
        assert texts == [f"Record {r.seq} was made while the vehicle did not know the date." for r in undated]
