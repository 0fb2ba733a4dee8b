"""A batch of frames does what its frames do one by one."""

from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest

from shared.core.clock import NS_PER_S, Instant
from shared.transport.can_frame import CanFrame
from shared.transport.can_link import MAX_DRAIN
from simulator.ecu import KinematicSample, SimulatedEcu
from tests.unit.vehicle_agent.agent_bench import DBC, PARKED, WOKEN, Bench
from vehicle_agent.vehicle_state import VehicleState

Outcome = tuple[VehicleState, list[tuple[str, int, list[str]]], list[str], object]
"""State, records (reason, odometer, flags), kinds of notices, counts."""


def frames_of(*samples: KinematicSample, seconds: float = 0.5) -> list[CanFrame]:
    """Return what the control units say while the car is in each of these states in turn."""
    ecu = SimulatedEcu(DBC, channel="can0", start=WOKEN)
    frames: list[CanFrame] = []
    for number, sample in enumerate(samples, start=1):
        while (due := ecu.next_due()) < WOKEN + round(number * seconds * NS_PER_S):
            frames += ecu.poll(sample, due)
    return frames


def outcome(bench: Bench) -> Outcome:
    recorded = [(n["reason"], n["odometer_m"], n["flags"]) for n in bench.notices("odometer_recorded")]
    return bench.agent.state, recorded, bench.kinds(), bench.status("can")


def given(directory: Path, frames: list[CanFrame], size: int) -> Outcome:
    """Give a fresh car the frames of each tenth of a second at its end, so many at a time; return what became of them."""
    directory.mkdir()
    with Bench(directory, every_m=100) as bench:
        for _, group in groupby(frames, key=lambda frame: frame.received * 10 // NS_PER_S):
            moment = list(group)
            now = bench.clock.advance_to(moment[-1].received)
            for start in range(0, len(moment), size):
                bench.take(bench.agent.on_can_frames(moment[start : start + size], now))
        return outcome(bench)


@pytest.mark.parametrize("size", [3, MAX_DRAIN])
def test_a_batch_ends_where_its_frames_end_one_by_one(tmp_path: Path, size: int) -> None:
    moving = replace(PARKED, speed_mps=20.0, odometer_m=25_088_120.0)
    frames = frames_of(PARKED, moving, replace(moving, odometer_m=25_088_260.0))
    assert len(frames) > MAX_DRAIN
    assert given(tmp_path / "batch", frames, size) == given(tmp_path / "one", frames, 1)


def test_what_a_cluster_says_after_the_ignition_went_off_in_the_same_batch_does_not_count(tmp_path: Path) -> None:
    off = replace(PARKED, ignition_on=False, odometer_m=25_099_000.0)
    frames = frames_of(PARKED, off, seconds=0.95)
    one_by_one, at_once = given(tmp_path / "one", frames, 1), given(tmp_path / "batch", frames, MAX_DRAIN)
    assert at_once == one_by_one
    assert [(reason, odometer_m) for reason, odometer_m, _ in at_once[1]] == [
        ("ignition_on", 25_088_000),
        ("ignition_off", 25_088_000),
    ]


def test_an_empty_batch_is_nothing(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        now: Instant = bench.clock.now()
        before = bench.agent.state
        assert bench.agent.on_can_frames([], now) == ()
        assert bench.agent.state is before
        assert bench.status("can")["frames"] == 0
