"""The vehicle agent as one object: what it says, and when it keeps silent."""

from itertools import pairwise
from pathlib import Path

import pytest

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs, UtcNs
from shared.core.geo import GeoPoint, distance_m
from shared.core.ids import StationType
from shared.core.itstime import generation_delta_time, time64_of
from shared.messages.cdd import DriveDirection
from shared.records.odometer import OdometerFlag
from shared.records.record import read_record
from shared.records.sd_jwt import parse_sd_jwt
from shared.transport.can_frame import CanFrame
from simulator.ecu import KinematicSample
from tests.helpers.hierarchy import NOON
from tests.helpers.identities import HERE, make_peer
from tests.unit.vehicle_agent.agent_bench import HIERARCHY, ODOMETER_M, PARKED, Bench
from vehicle_agent.vehicle_state import fresh

STATUS_KEYS = {
    *("station_id", "pseudonym", "can", "sent", "unsent", "withheld", "verified", "refused", "copies", "router"),
    *("local_map", "own_hazards", "priority", "kept_alive", "odometer", "parts", "requests", "j1939"),
}
ODOMETER_KEYS = {
    "recorded",
    "judgement",
    "flags",
    "unrecorded",
    "last_recorded_m",
    "waiting",
    "anchored",
    "ledger_contradiction",
    "ledger",
    "store_restored",
    "log_restored",
}


def test_a_parked_car_speaks_once_a_second(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.run(10.0)
        times = [at.monotonic for _, at in bench.packets]
        assert len(times) == 10
        assert {b - a for a, b in pairwise(times)} == {NS_PER_S}
        assert bench.status("sent") == {"cam": 10}
        assert bench.status("unsent") == {}


def test_a_car_at_speed_speaks_every_four_metres_and_never_faster_than_ten_times_a_second(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.set(speed_mps=15.0)
        bench.run(6.0)
        intervals = [b - a for a, b in pairwise(at.monotonic for _, at in bench.packets)]
        assert min(intervals) >= 100 * NS_PER_MS
        assert 200 * NS_PER_MS <= sum(intervals) / len(intervals) <= 350 * NS_PER_MS


def test_neighbours_believe_every_message_and_see_what_the_bus_said(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.set(speed_mps=15.0, drive_direction=DriveDirection.FORWARD, low_beam=True)
        bench.run(3.0)
        heard = bench.heard_by()
        assert len(heard) == len(bench.packets) > 8
        for cam, _ in heard[1:]:
            assert cam.speed_mps == pytest.approx(15.0, abs=0.01)
            assert cam.heading_deg == 90.0
            assert cam.drive_direction is DriveDirection.FORWARD
            assert (cam.vehicle_length_m, cam.vehicle_width_m) == (4.6, 1.8)
            assert cam.station_type == StationType.PASSENGER_CAR
        assert heard[0][0].station_id == bench.status("station_id")


def test_a_message_is_dated_by_its_position_not_by_its_sending(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.set(speed_mps=15.0)
        bench.run(3.0)
        for cam, at in bench.heard_by():
            sent = generation_delta_time(time64_of(at.require_utc()))
            assert 0 <= (sent - cam.generation_delta_time_ms) % 65_536 <= 100


def test_a_car_without_a_position_is_silent(tmp_path: Path) -> None:
    with Bench(tmp_path, sample=KinematicSample(position=None, heading_deg=None, speed_mps=10.0, odometer_m=ODOMETER_M)) as bench:
        bench.run(3.0)
        assert bench.packets == []
        assert bench.status("sent") == {}


def test_a_car_whose_receiver_loses_its_fix_falls_silent_within_the_age_limit_and_speaks_again_with_the_next(
    tmp_path: Path,
) -> None:
    with Bench(tmp_path) as bench:
        bench.run(3.0)
        said = len(bench.packets)
        bench.set(position=None)
        bench.run(5.0)
        assert len(bench.packets) == said
        bench.set(position=HERE)
        bench.run(2.0)
        assert len(bench.packets) > said


def test_a_car_whose_bus_falls_silent_does_not_repeat_what_it_said_last(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.run(3.0)
        said = len(bench.packets)
        bench.run(5.0, bus_is_on=False)
        assert len(bench.packets) <= said + 1
        assert fresh(bench.agent.state.speed_mps, bench.clock.now().monotonic) is None


def test_a_car_whose_clock_is_not_set_is_silent_and_counts_it_but_keeps_its_evidence(tmp_path: Path) -> None:
    with Bench(tmp_path, utc=None) as bench:
        bench.run(3.0)
        assert bench.packets == []
        assert list(bench.status("unsent")) == ["untrusted_time"]
        (notice,) = bench.notices("odometer_recorded")
        assert notice["flags"] == ["clock_not_set"]
        (stored,) = bench.spool.records()
        record = read_record(parse_sd_jwt(stored.sd_jwt))
        assert record.occurred is None
        assert record.flags == (OdometerFlag.CLOCK_NOT_SET,)
        assert bench.status("odometer")["flags"] == {"clock_not_set": 1}
        assert bench.status("odometer")["anchored"] == 1


def test_a_car_speaks_as_soon_as_its_clock_is_set(tmp_path: Path) -> None:
    with Bench(tmp_path, utc=None) as bench:
        bench.run(3.0)
        bench.clock.set_utc(NOON)
        bench.run(0.2)
        assert len(bench.packets) == 1
        assert len(bench.heard_by()) == 1


def test_a_car_whose_clock_stands_in_1970_is_silent(tmp_path: Path) -> None:
    with Bench(tmp_path, utc=UtcNs(0)) as bench:
        bench.run(1.0)
        assert bench.packets == []
        assert list(bench.status("unsent")) == ["untrusted_time"]


def test_a_car_whose_ticket_has_run_out_is_silent_and_says_why(tmp_path: Path) -> None:
    with Bench(tmp_path, utc=UtcNs(NOON + 30 * 86_400 * NS_PER_S)) as bench:
        bench.run(1.0)
        assert bench.packets == []
        assert list(bench.status("unsent")) == ["expired_certificate"]


def test_a_vehicle_that_never_moves_dates_its_place_anew_in_every_message(tmp_path: Path) -> None:
    with Bench(tmp_path, fixed_position=HERE) as bench:
        bench.run(70.0, bus_is_on=False)
        heard = bench.heard_by()
        assert len(heard) == 70
        for cam, at in heard:
            assert cam.generation_delta_time_ms == generation_delta_time(time64_of(at.require_utc()))
            assert (cam.lat_deg, cam.lon_deg) == (HERE.lat_deg, HERE.lon_deg)


def test_a_bench_that_says_where_it_looks_is_known_to_stand(tmp_path: Path) -> None:
    with Bench(tmp_path, fixed_position=HERE, fixed_heading_deg=90.0) as bench:
        bench.run(5.0, bus_is_on=False)
        heard = bench.heard_by()
        assert len(heard) >= 4
        assert {(cam.heading_deg, cam.speed_mps) for cam, _ in heard} == {(90.0, 0.0)}


def test_a_bus_is_believed_before_a_configured_heading(tmp_path: Path) -> None:
    with Bench(tmp_path, fixed_position=HERE, fixed_heading_deg=90.0) as bench:
        bench.set(speed_mps=7.0, heading_deg=12.0)
        bench.run(1.0)
        bench.effects.clear()
        bench.run(2.0)
        assert {(round(cam.heading_deg or 0), round(cam.speed_mps or 0)) for cam, _ in bench.heard_by()} == {(12, 7)}


def test_the_same_seed_says_the_same(tmp_path: Path) -> None:
    said = []
    for name in ("one", "other"):
        with Bench(tmp_path / name, seed=3) as bench:
            bench.run(2.0)
            said.append([cam for cam, _ in bench.heard_by()])
    assert said[0] == said[1]


def test_a_car_that_backs_out_says_so(tmp_path: Path) -> None:
    listener = make_peer(HIERARCHY, 200)
    with Bench(tmp_path) as bench:
        bench.set(speed_mps=2.0, drive_direction=DriveDirection.BACKWARD)
        bench.run(2.0)
        packet, at = bench.packets[-1]
        for earlier, then in bench.packets[:-1]:
            listener.receive(earlier, then)
        indication = listener.receive(packet, at)
        assert indication is not None
        assert indication.source.speed_mps == pytest.approx(-2.0)


def test_frames_and_faults_of_the_bus_are_counted_and_a_bad_frame_harms_nothing(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.run(1.0)
        frames = bench.status("can")["frames"]
        now = bench.clock.now().monotonic
        for arbitration_id, data in ((256, b""), (256, bytes(8)), (0x7FF, bytes(8)), (1024, b"\xff" * 6)):
            bench.give(CanFrame(arbitration_id, False, data, "can0", now))
        assert bench.status("can")["frames"] == frames + 4
        assert set(bench.status("can")["faults"]) <= {"too_short", "checksum", "counter"}
        assert bench.status("can")["faults"]["checksum"] >= 1
        bench.run(2.0)
        assert len(bench.packets) == 3


def test_a_frame_dated_ahead_of_the_clock_is_taken_as_it_is(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        for frame in bench.ecu.poll(PARKED, MonotonicNs(bench.clock.now().monotonic + 100 * NS_PER_MS)):
            bench.give(frame)
        bench.run(1.0)
        assert len(bench.heard_by()) == len(bench.packets) >= 1


def test_the_status_has_its_keys_from_the_first_moment_on(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        for _ in range(2):
            assert set(bench.agent.status()) == STATUS_KEYS
            assert set(bench.status("odometer")) == ODOMETER_KEYS
            assert set(bench.status("can")) == {"frames", "faults", "from_others"}
            bench.run(2.0)


def test_the_agent_always_says_when_it_wants_to_be_called_and_that_moment_moves_on(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.agent.on_timer(bench.clock.now())
        began = last = bench.clock.now().monotonic
        for _ in range(60):
            due = bench.agent.next_due()
            assert due > last
            bench.agent.on_timer(bench.clock.advance_to(due))
            last = due
        assert last - began < 15 * NS_PER_S  # of a car that says nothing; of one that speaks, a third of that


def test_the_place_in_a_message_is_where_the_car_was(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.set(speed_mps=30.0)
        bench.run(3.0)
        cam, at = bench.heard_by()[-1]
        assert cam.lat_deg is not None
        assert cam.lon_deg is not None
        driven_m = 30.0 * (at.monotonic - bench.packets[0][1].monotonic) / NS_PER_S
        assert distance_m(HERE, GeoPoint(cam.lat_deg, cam.lon_deg)) == pytest.approx(driven_m, abs=8.0)
