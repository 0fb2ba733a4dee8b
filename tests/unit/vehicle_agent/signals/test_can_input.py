from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs
from shared.core.geo import GeoPoint
from shared.core.units import METRES_PER_MILE
from shared.messages.cdd import DriveDirection
from shared.transport.can_frame import CanFrame
from shared.transport.can_log import read_log
from simulator.ecu import SIM_CAR_MAP
from tests.helpers.data import REPOSITORY, data_file
from vehicle_agent.signals.can_input import FAULT_KINDS, CanInput
from vehicle_agent.signals.signal_map import SignalMap, load_signal_map
from vehicle_agent.vehicle_state import Value, VehicleState, fold, fresh

RAV4_MAP = REPOSITORY / "vehicle_agent" / "maps" / "toyota_rav4_2017.toml"

DBC = """VERSION ""

NS_ :

BS_:

BU_: ECU

BO_ 256 MOTION: 8 ECU
 SG_ SPEED : 7|16@0+ (0.01,0) [0|650] "km/h" ECU
 SG_ YAW : 23|12@0- (0.1,0) [-200|200] "deg/s" ECU
 SG_ COUNTER : 48|2@1+ (1,0) [0|3] "" ECU
 SG_ CHECKSUM : 56|8@1+ (1,0) [0|255] "" ECU

BO_ 512 BODY: 6 ECU
 SG_ GEAR : 0|3@1+ (1,0) [0|7] "" ECU
 SG_ DOOR_L : 3|1@1+ (1,0) [0|1] "" ECU
 SG_ DOOR_R : 4|1@1+ (1,0) [0|1] "" ECU
 SG_ UNITS : 6|2@1+ (1,0) [0|3] "" ECU
 SG_ ODOMETER : 8|24@1+ (1,0) [0|0] "" ECU
 SG_ BRAKE : 32|1@1+ (1,0) [0|1] "" ECU

BO_ 2566846208 PAGES: 8 ECU
 SG_ PAGE M : 0|8@1+ (1,0) [0|255] "" ECU
 SG_ LAT m1 : 8|28@1- (0.000001,0) [-90|90] "deg" ECU
 SG_ LON m1 : 36|28@1- (0.000002,0) [-180|180] "deg" ECU
 SG_ ALT m2 : 32|32@1- (1,0) [0|0] "m" ECU

SIG_VALTYPE_ 2566846208 ALT : 1;
"""

FIELDS = """
[fields.speed_mps]
signal = "MOTION.SPEED"
unit = "km/h"
not_available = [0xFFFF]
range = [0, 70]
max_age_ms = 100

[fields.yaw_rate_dps]
signal = "MOTION.YAW"
unit = "deg/s"
factor = -1
max_age_ms = 100

[fields.drive_direction]
signal = "BODY.GEAR"
choices = { 0 = "forward", 1 = "backward", 2 = "unavailable" }
max_age_ms = 100

[fields.doors_open]
any_of = ["BODY.DOOR_L", "BODY.DOOR_R"]
max_age_ms = 100

[fields.odometer_m]
signal = "BODY.ODOMETER"
unit_by = { signal = "UNITS", units = { 1 = "km", 2 = "mile" } }
max_age_ms = 100

[fields.brake_pedal_pressed]
signal = "BODY.BRAKE"
max_age_ms = 100

[fields.position]
latitude = "PAGES.LAT"
longitude = "PAGES.LON"
unit = "deg"
max_age_ms = 100

[fields.altitude_m]
signal = "PAGES.ALT"
unit = "m"
max_age_ms = 100
"""

PROTECTION = """
[messages.MOTION]
checksum = { rule = "xor", signal = "CHECKSUM" }
counter = { signal = "COUNTER" }
"""

Input = Callable[[str], CanInput]


@pytest.fixture
def can_input(tmp_path: Path) -> Input:
    (tmp_path / "car.dbc").write_text(DBC, encoding="cp1252")

    def make(more: str = "") -> CanInput:
        path = tmp_path / "car.toml"
        path.write_text(f'name = "Car"\ndbc = "car.dbc"\n{more if more.startswith("channel") else ""}{FIELDS}', encoding="utf-8")
        if not more.startswith("channel"):
            path.write_text(path.read_text(encoding="utf-8") + more, encoding="utf-8")
        return CanInput(load_signal_map(path))

    return make


def _frame(arbitration_id: int, data: bytes, *, is_extended: bool = False, channel: str = "can0") -> CanFrame:
    return CanFrame(arbitration_id, is_extended, data, channel, MonotonicNs(5))


def _motion(speed: int = 3600, *, counter: int = 0, yaw: int = 0) -> bytes:
    body = speed.to_bytes(2, "big") + (yaw << 4 & 0xFFFF).to_bytes(2, "big") + b"\0\0" + bytes((counter,))
    checksum = 0
    for byte in body:
        checksum ^= byte
    return body + bytes((checksum,))


def _body(gear: int = 0, doors: int = 0, units: int = 1, odometer: int = 1000, brake: int = 0) -> bytes:
    return bytes((gear | doors << 3 | units << 6,)) + odometer.to_bytes(3, "little") + bytes((brake, 0))


def _news(can_input: CanInput, frame: CanFrame) -> dict[str, Value | None]:
    return {update.field: update.value for update in can_input.on_frame(frame)}


class TestValues:
    def test_quantities_come_out_in_si_with_their_sign(self, can_input: Input) -> None:
        news = _news(can_input(""), _frame(256, _motion(3600, yaw=-100)))
        assert news == {"speed_mps": pytest.approx(10.0), "yaw_rate_dps": pytest.approx(10.0)}

    def test_an_update_carries_the_frames_time_and_the_maps_age_limit(self, can_input: Input) -> None:
        updates = can_input("").on_frame(_frame(256, _motion()))
        assert {(u.at, u.max_age_ns) for u in updates} == {(MonotonicNs(5), 100 * NS_PER_MS)}

    @pytest.mark.parametrize(
        ("gear", "expected"), [(0, DriveDirection.FORWARD), (1, DriveDirection.BACKWARD), (2, None)], ids=["D", "R", "N"]
    )
    def test_a_gear_says_which_way(self, can_input: Input, gear: int, expected: DriveDirection | None) -> None:
        assert _news(can_input(""), _frame(512, _body(gear)))["drive_direction"] is expected

    @pytest.mark.parametrize(("doors", "expected"), [(0, False), (1, True), (2, True), (3, True)])
    def test_one_open_door_suffices(self, can_input: Input, doors: int, expected: bool) -> None:  # noqa: FBT001
        assert _news(can_input(""), _frame(512, _body(doors=doors)))["doors_open"] is expected

    @pytest.mark.parametrize(("units", "expected"), [(1, 15_589_000.0), (2, 15_589 * METRES_PER_MILE)], ids=["km", "mile"])
    def test_the_odometers_unit_is_the_one_the_car_names(self, can_input: Input, units: int, expected: float) -> None:
        assert _news(can_input(""), _frame(512, _body(units=units, odometer=15_589)))["odometer_m"] == expected

    def test_not_available_is_news_that_takes_the_value_away(self, can_input: Input) -> None:
        news = _news(can_input(""), _frame(256, _motion(0xFFFF)))
        assert news["speed_mps"] is None
        assert news["yaw_rate_dps"] == 0.0

    def test_a_multiplexer_selects_what_a_frame_carries(self, can_input: Input) -> None:
        source = can_input("")
        lat, lon = 48_123_456, -5_700_000
        page1 = 1 | (lat & 0xFFFFFFF) << 8 | (lon & 0xFFFFFFF) << 36
        (fix,) = source.on_frame(_frame(0x18FEF700, page1.to_bytes(8, "little"), is_extended=True))
        assert isinstance(fix.value, GeoPoint)
        assert [fix.value.lat_deg, fix.value.lon_deg] == pytest.approx([48.123456, -11.4])
        page2 = b"\x02\0\0\0" + np.float32(512.25).tobytes()
        assert _news(source, _frame(0x18FEF700, page2, is_extended=True)) == {"altitude_m": 512.25}
        assert _news(source, _frame(0x18FEF700, b"\x03" + bytes(7), is_extended=True)) == {}
        assert source.fault_counts() == {}

    def test_a_float_that_is_no_number_is_not_available(self, can_input: Input) -> None:
        nan = b"\x02\0\0\0" + np.float32("nan").tobytes()
        assert _news(can_input(""), _frame(0x18FEF700, nan, is_extended=True)) == {"altitude_m": None}

    def test_frames_that_the_map_does_not_name_are_nothing(self, can_input: Input) -> None:
        source = can_input("")
        assert source.on_frame(_frame(257, bytes(8))) == ()
        assert source.on_frame(_frame(256, bytes(8), is_extended=True)) == ()
        assert [s.frames for s in source.statistics()] == [0, 0, 0]

    def test_frames_of_another_bus_are_not_this_cars(self, can_input: Input) -> None:
        source = can_input('channel = "can1"\n')
        assert source.on_frame(_frame(256, _motion(), channel="can0")) == ()
        assert source.on_frame(_frame(256, _motion(), channel="can1")) != ()

    def test_the_maps_channel_may_have_another_name_on_this_machine(self) -> None:
        source = CanInput(load_signal_map(SIM_CAR_MAP), {"can0": "vcan7"})
        assert source.statistics()[0].message == "RESTRAINTS"


class TestFaults:
    def test_a_value_out_of_range_loses_itself_and_not_its_neighbours(self, can_input: Input) -> None:
        source = can_input("")
        decoded = source.decode(_frame(256, _motion(30_000, yaw=50)))
        assert [u.field for u in decoded.updates] == ["yaw_rate_dps"]
        (fault,) = decoded.faults
        assert (fault.kind, fault.field) == ("out_of_range", "MOTION.SPEED")
        assert fault.reason == "83.3333 m/s is outside 0..70"

    def test_a_frame_cut_short_keeps_the_signals_that_are_whole(self, can_input: Input) -> None:
        source = can_input("")
        decoded = source.decode(_frame(512, _body(odometer=0xFFFFFF)[:2]))
        assert [u.field for u in decoded.updates] == ["drive_direction", "doors_open"]
        assert [f.kind for f in decoded.faults] == ["too_short"]
        assert str(decoded.faults[0]) == "BODY: has 2 bytes, not 6"

    @pytest.mark.parametrize("length", range(8))
    def test_a_protected_frame_cut_short_is_refused_whole(self, can_input: Input, length: int) -> None:
        decoded = can_input(PROTECTION).decode(_frame(256, _motion()[:length]))
        assert decoded.updates == ()
        assert [f.kind for f in decoded.faults] == ["too_short"]

    @pytest.mark.parametrize("bit", range(64))
    def test_one_flipped_bit_is_refused_by_the_checksum(self, can_input: Input, bit: int) -> None:
        source = can_input(PROTECTION)
        flipped = (int.from_bytes(_motion(), "little") ^ 1 << bit).to_bytes(8, "little")
        decoded = source.decode(_frame(256, flipped))
        assert decoded.updates == ()
        assert [f.kind for f in decoded.faults] == ["checksum"]

    def test_longer_frames_are_read_as_far_as_they_are_known(self, can_input: Input) -> None:
        assert _news(can_input(""), _frame(512, _body() + b"\0\0"))["odometer_m"] == 1_000_000.0

    def test_an_unknown_gear_and_an_unknown_unit_are_faults_of_their_own(self, can_input: Input) -> None:
        decoded = can_input("").decode(_frame(512, _body(gear=5, units=3, brake=1)))
        assert {f.kind for f in decoded.faults} == {"unknown_choice", "unknown_unit"}
        assert [u.field for u in decoded.updates] == ["doors_open", "brake_pedal_pressed"]

    def test_a_position_that_is_no_place_is_out_of_range(self, can_input: Input) -> None:
        page = (1 | 91_000_000 << 8).to_bytes(8, "little")
        decoded = can_input("").decode(_frame(0x18FEF700, page, is_extended=True))
        assert decoded.updates == ()
        assert [f.kind for f in decoded.faults] == ["out_of_range"]

    def test_faults_are_counted_by_message_and_kind(self, can_input: Input) -> None:
        source = can_input(PROTECTION)
        source.on_frame(_frame(256, _motion()))
        source.on_frame(_frame(256, b"\x01" + _motion()[1:]))
        source.on_frame(_frame(256, b""))
        source.on_frame(_frame(512, _body(gear=5)))
        motion, body, _ = source.statistics()
        assert (motion.frames, dict(motion.faults)) == (3, {"checksum": 1, "too_short": 1})
        assert motion.last_fault == "MOTION: has 0 bytes, not 8"
        assert dict(body.faults) == {"unknown_choice": 1}
        assert source.fault_counts() == {"checksum": 1, "too_short": 1, "unknown_choice": 1}


class TestCounter:
    def _accepted(self, source: CanInput, *counters: int) -> list[bool]:
        return [bool(source.on_frame(_frame(256, _motion(counter=counter)))) for counter in counters]

    def test_a_counter_that_grows_by_one_and_wraps_is_accepted(self, can_input: Input) -> None:
        source = can_input(PROTECTION)
        assert all(self._accepted(source, 2, 3, 0, 1, 2, 3, 0))
        assert source.fault_counts() == {}

    def test_an_old_frame_sent_again_is_refused_and_the_next_true_one_accepted(self, can_input: Input) -> None:
        assert self._accepted(can_input(PROTECTION), 1, 1, 1, 2) == [True, False, False, True]

    def test_after_a_gap_one_frame_is_refused_and_counting_resumes(self, can_input: Input) -> None:
        source = can_input(PROTECTION)
        assert self._accepted(source, 0, 2, 3, 0) == [True, False, True, True]
        assert source.fault_counts() == {"counter": 1}

    def test_a_frame_with_a_wrong_checksum_does_not_move_the_counter(self, can_input: Input) -> None:
        source = can_input(PROTECTION)
        self._accepted(source, 0)
        source.on_frame(_frame(256, _motion(counter=1)[:-1] + b"\xee"))
        assert self._accepted(source, 1) == [True]

    def test_a_counter_may_wrap_before_its_width(self, can_input: Input) -> None:
        source = can_input('[messages.MOTION]\ncounter = { signal = "COUNTER", last = 2 }\n')
        assert self._accepted(source, 0, 1, 2, 0, 1) == [True] * 5


class TestRepeated:
    """A frame that says what the one before it said takes a short way; nobody must see that it does."""

    def test_only_the_moment_is_new(self, can_input: Input) -> None:
        source = can_input("")
        first = source.on_frame(CanFrame(256, False, _motion(3600), "can0", MonotonicNs(5)))
        again = source.on_frame(CanFrame(256, False, _motion(3600), "can0", MonotonicNs(9)))
        assert [(u.field, u.value, u.max_age_ns) for u in again] == [(u.field, u.value, u.max_age_ns) for u in first]
        assert ({u.at for u in first}, {u.at for u in again}) == ({5}, {9})
        (motion,) = [each for each in source.statistics() if each.message == "MOTION"]
        assert (motion.frames, motion.last_seen) == (2, 9)

    def test_a_fault_is_counted_each_time(self, can_input: Input) -> None:
        source = can_input("")
        for count in range(1, 4):
            assert source.decode(_frame(512, _body(gear=5))).faults
            assert source.fault_counts() == {"unknown_choice": count}

    @settings(max_examples=25)
    @given(
        script=st.lists(
            st.tuples(
                st.sampled_from([256, 512, 0x18FEF700]),
                st.sampled_from([b"", b"\0" * 5, b"\0" * 8, b"\xff" * 8, b"\x01" + b"\xc0" * 7, b"\x02" + b"\x7f" * 7, b"\0" * 12]),
            ),
            max_size=12,
        )
    )
    def test_a_decoder_with_a_past_says_what_one_without_says(self, car: SignalMap, script: list[tuple[int, bytes]]) -> None:
        source = CanInput(car)
        for arbitration_id, data in script:
            frame = _frame(arbitration_id, data, is_extended=arbitration_id > 0x7FF)
            with_past, without = source.decode(frame), CanInput(car).decode(frame)
            assert repr(with_past) == repr(without)  # nan is not itself


def test_buses_with_the_same_identifier_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "car.dbc").write_text(DBC, encoding="cp1252")
    maps = []
    for channel, field in (("can0", "speed_mps"), ("can1", "gnss_speed_mps")):
        path = tmp_path / f"{channel}.toml"
        text = f'[fields.{field}]\nsignal = "MOTION.SPEED"\nunit = "km/h"\nrange = [0, 70]\nmax_age_ms = 100\n'
        path.write_text(f'name = "Car"\ndbc = "car.dbc"\nchannel = "{channel}"\n{text}', encoding="utf-8")
        maps.append(load_signal_map(path))
    both = SignalMap(name="both", path="", messages=(*maps[0].messages, *maps[1].messages))
    source = CanInput(both)
    assert set(_news(source, _frame(256, _motion(3600)))) == {"speed_mps"}
    assert set(_news(source, _frame(256, _motion(3600), channel="can1"))) == {"gnss_speed_mps"}
    assert _news(source, _frame(256, _motion(3600), channel="can2")) == {}


@pytest.fixture(scope="module")
def car(tmp_path_factory: pytest.TempPathFactory) -> SignalMap:
    directory = tmp_path_factory.mktemp("car")
    (directory / "car.dbc").write_text(DBC, encoding="cp1252")
    (directory / "car.toml").write_text(f'name = "Car"\ndbc = "car.dbc"\n{FIELDS}', encoding="utf-8")
    return load_signal_map(directory / "car.toml")


@pytest.fixture(scope="module")
def sim_car() -> CanInput:
    return CanInput(load_signal_map(SIM_CAR_MAP))


@given(
    arbitration_id=st.sampled_from([256, 257, 272, 288, 304, 320, 1024]),
    data=st.one_of(st.binary(max_size=8), st.binary(min_size=16, max_size=16)),
)
def test_whatever_the_bus_carries_gives_news_or_a_named_fault(sim_car: CanInput, arbitration_id: int, data: bytes) -> None:
    decoded = sim_car.decode(_frame(arbitration_id, data))
    assert {fault.kind for fault in decoded.faults} <= set(FAULT_KINDS)


Series = dict[str, list[tuple[float, Any]]]
"""Seconds and values of each field."""


@pytest.fixture(scope="module")
def drive() -> tuple[CanInput, Series]:
    pytest.importorskip("opendbc")
    source = CanInput(load_signal_map(RAV4_MAP))
    series: Series = {}
    for frame in read_log(data_file("can/comma2k19/rav4-2017-60s.log.gz")):
        for update in source.on_frame(frame):
            series.setdefault(update.field, []).append((update.at / NS_PER_S, update.value))
    return source, series


class TestRealRav4:
    """The recorded minute against what was recorded beside it."""

    def test_no_frame_is_refused(self, drive: tuple[CanInput, Series]) -> None:
        source, _ = drive
        assert source.fault_counts() == {}
        assert {s.message: s.frames for s in source.statistics()}["WHEEL_SPEEDS"] == 4974

    def test_speed_is_the_recorded_speed(self, drive: tuple[CanInput, Series]) -> None:
        at, speed = np.array(drive[1]["speed_mps"]).T
        truth = np.load(data_file("can/comma2k19/CAN_speed_value.npy"))[:, 0]
        truth_at = np.load(data_file("can/comma2k19/CAN_speed_t.npy"))
        assert len(speed) == len(truth) == 4974
        assert np.max(np.abs(at - truth_at)) < 1e-6
        assert np.max(np.abs(speed - truth)) < 1e-9

    def test_speed_follows_gnss(self, drive: tuple[CanInput, Series]) -> None:
        at, speed = np.array(drive[1]["speed_mps"]).T
        gnss_at = np.load(data_file("can/comma2k19/GNSS_live_gnss_ublox_t.npy"))
        gnss = np.load(data_file("can/comma2k19/GNSS_live_gnss_ublox_value.npy"))[:, 2]
        difference = gnss - np.interp(gnss_at - 0.1, at, speed)  # the receiver is about 0.1 s behind
        assert abs(np.mean(difference)) < 0.15
        assert np.max(np.abs(difference)) < 0.45

    def test_the_steering_wheel_is_the_recorded_one(self, drive: tuple[CanInput, Series]) -> None:
        angle = np.array(drive[1]["steering_wheel_angle_deg"])[:, 1]
        truth = np.load(data_file("can/comma2k19/CAN_steering_angle_value.npy"))
        assert np.max(np.abs(angle - truth)) < 1e-9
        assert angle.min() < -1.0 < 1.0 < angle.max()

    def test_acceleration_is_the_slope_of_the_speed(self, drive: tuple[CanInput, Series]) -> None:
        even = np.arange(46410.0, 46467.0, 0.02)
        smooth = np.ones(25) / 25
        slope, acceleration = (
            np.convolve(np.interp(even, *np.array(drive[1][name]).T), smooth, "same")
            for name in ("speed_mps", "longitudinal_acceleration_mps2")
        )
        slope = np.gradient(slope, 0.02)
        assert np.corrcoef(slope[100:-100], acceleration[100:-100])[0, 1] > 0.98

    def test_the_odometer_turns_from_15589_to_15590_miles(self, drive: tuple[CanInput, Series]) -> None:
        values = [value for _, value in drive[1]["odometer_m"]]
        assert values == [15_589 * METRES_PER_MILE] * 55 + [15_590 * METRES_PER_MILE] * 5
        assert values[0] == pytest.approx(25_088_063.616)

    def test_flags_and_gear_are_those_of_a_car_on_the_road(self, drive: tuple[CanInput, Series]) -> None:
        last = {field: {value for _, value in values} for field, values in drive[1].items()}
        assert last["drive_direction"] == {DriveDirection.FORWARD}
        assert last["ignition_on"] == {True}
        assert {field for field, values in last.items() if all(v is False for v in values)} == {
            "turn_left", "turn_right", "hazard_lights", "brake_pedal_pressed", "low_beam", "high_beam", "doors_open",
            "daytime_running_light", "front_fog_light", "parking_light", "parking_brake",
        }  # fmt: skip

    def test_one_byte_changed_in_flight_is_noticed_in_every_protected_message(self) -> None:
        pytest.importorskip("opendbc")
        source = CanInput(load_signal_map(RAV4_MAP))
        protected = {0x24, 0x25, 0x228, 0x1C4, 0x1D3}
        log = read_log(data_file("can/comma2k19/rav4-2017-60s.log.gz"))
        frames = [f for f in islice(log, 2_000) if f.arbitration_id in protected and f.channel == "can0"]
        for frame in frames:
            damaged = bytes((frame.data[0] ^ 0x10,)) + frame.data[1:]
            assert source.on_frame(CanFrame(frame.arbitration_id, False, damaged, "can0", frame.received)) == ()
        assert len(frames) > 100
        assert source.fault_counts() == {"checksum": len(frames)}

    def test_a_bus_that_falls_silent_leaves_no_speed_behind(self, drive: tuple[CanInput, Series]) -> None:
        source = CanInput(load_signal_map(RAV4_MAP))
        state = VehicleState()
        last = MonotonicNs(0)
        for frame in islice(read_log(data_file("can/comma2k19/rav4-2017-60s.log.gz")), 5_000):
            state, last = fold(state, source.on_frame(frame)), frame.received
        assert fresh(state.speed_mps, last) == pytest.approx(12.07, abs=0.01)
        later = MonotonicNs(last + 400 * NS_PER_MS)
        assert fresh(state.speed_mps, later) is None
        assert fresh(state.odometer_m, later) is not None
