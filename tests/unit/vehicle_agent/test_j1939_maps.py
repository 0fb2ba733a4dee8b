"""Signals of J1939 groups: found by their number, from whom, and what their highest values mean; the truck maps on a real truck."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cantools import database
from cantools.database.can import Database
from hypothesis import given
from hypothesis import strategies as st

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs
from shared.core.errors import ConfigError
from shared.messages.cdd import DriveDirection
from shared.transport.can_frame import CanFilter, CanFrame
from shared.transport.can_log import read_log
from tests.helpers.data import REPOSITORY, data_file
from tests.helpers.j1939_unit import EVERYBODY, frame
from vehicle_agent.j1939.groups import ParameterGroup
from vehicle_agent.j1939.listener import LISTENED_FILTERS, J1939Bus, J1939Listener
from vehicle_agent.signals.can_input import FAULT_KINDS, CanInput
from vehicle_agent.signals.map_check import check_map
from vehicle_agent.signals.signal_map import load_signal_map
from vehicle_agent.vehicle_state import FieldKind, Value, VehicleState, fold

MAPS = REPOSITORY / "vehicle_agent" / "maps"
TRUCK, FMS = MAPS / "j1939_truck.toml", MAPS / "j1939_fms.toml"
LOG = "can/css/truck-j1939-vd-gnss-imu-2021.log.gz"

CCVS, VD, VDHR, TCO1, OEL, EBC1, VP, VDS, VDC2, AEBS1 = (
    65_265,
    65_248,
    65_217,
    65_132,
    64_972,
    61_441,
    65_267,
    65_256,
    61_449,
    61_487,
)
ENGINE, GATEWAY, TACHOGRAPH = 0x00, 0x27, 0xEE


def _ccvs(speed: int = 0x5000, switches: int = 0xF3, pedals: int = 0xCC) -> bytes:
    return bytes((switches, *speed.to_bytes(2, "little"), pedals, 255, 255, 255, 255))


def _news(source: CanInput, received: CanFrame) -> dict[str, Value | None]:
    return {update.field: update.value for update in source.on_frame(received)}


@pytest.fixture
def truck() -> CanInput:
    return CanInput(load_signal_map(TRUCK))


class TestValues:
    @pytest.mark.parametrize(
        ("pgn", "data", "expected"),
        [
            (CCVS, _ccvs(), {"speed_mps": 80 / 3.6, "parking_brake": False, "cruise_control": False, "brake_pedal_pressed": False}),
            (
                CCVS,
                _ccvs(0, 0xF7, 0xDD),
                {"speed_mps": 0.0, "parking_brake": True, "cruise_control": True, "brake_pedal_pressed": True},
            ),
            (VD, bytes.fromhex("ffffffff47b00100"), {"odometer_m": 13_832_875.0}),
            (VDHR, (2_766_575).to_bytes(4, "little") + b"\xff" * 4, {"drive_odometer_m": 13_832_875.0}),
            (TCO1, bytes.fromhex("ffffff3fffffffff"), {"drive_direction": DriveDirection.FORWARD}),
            (TCO1, bytes.fromhex("ffffff7fffffffff"), {"drive_direction": DriveDirection.BACKWARD}),
            (OEL, bytes.fromhex("ffc1ffffffffffff"), {"turn_left": True, "turn_right": False, "hazard_lights": False}),
            (OEL, bytes.fromhex("ffd2ffffffffffff"), {"turn_left": False, "turn_right": True, "hazard_lights": True}),
            (EBC1, bytes.fromhex("d4ffffffffffffff"), {"traction_control_active": True, "abs_active": True}),
            (AEBS1, bytes.fromhex("f7ffffffffffffff"), {"automatic_emergency_braking": True}),
            (VDS, bytes.fromhex("002d00500064c04e"), {"heading_deg": 90.0, "gnss_speed_mps": 80 / 3.6, "altitude_m": 20.0}),
        ],
    )
    def test_groups_mean_what_the_standard_says(self, truck: CanInput, pgn: int, data: bytes, expected: dict[str, Value]) -> None:
        news = _news(truck, frame(pgn, ENGINE, EVERYBODY, data, priority=3))
        assert news == {field: pytest.approx(value) if isinstance(value, float) else value for field, value in expected.items()}
        assert truck.fault_counts() == {}

    def test_left_is_positive(self, truck: CanInput) -> None:
        left = (0xFA00).to_bytes(2, "little")
        news = _news(truck, frame(VDC2, 0x0B, EVERYBODY, (0x8000).to_bytes(2, "little") + b"\xff" + left + left + b"\x7d"))
        assert news["steering_wheel_angle_deg"] == pytest.approx(35.8, abs=0.1)
        assert news["yaw_rate_dps"] == pytest.approx(223.0, abs=1)
        assert news["lateral_acceleration_mps2"] == pytest.approx(15.6, abs=0.1)
        assert news["longitudinal_acceleration_mps2"] == pytest.approx(0.0)

    def test_a_position_is_a_place(self, truck: CanInput) -> None:
        degrees = [round((deg + 210) * 1e7).to_bytes(4, "little") for deg in (56.16, 10.2)]
        (position,) = _news(truck, frame(VP, GATEWAY, EVERYBODY, b"".join(degrees))).values()
        assert (position.lat_deg, position.lon_deg) == pytest.approx((56.16, 10.2), abs=1e-7)  # type: ignore[union-attr]


class TestNoValues:
    @pytest.mark.parametrize("pgn", [CCVS, VD, VDHR, TCO1, OEL, EBC1, VP, VDS, VDC2, AEBS1])
    def test_all_ones_is_not_available_and_no_fault(self, truck: CanInput, pgn: int) -> None:
        news = _news(truck, frame(pgn, ENGINE, EVERYBODY, b"\xff" * 8))
        assert news
        assert set(news.values()) == {None}
        assert truck.fault_counts() == {}

    @pytest.mark.parametrize(
        ("pgn", "data", "fields"),
        [
            (CCVS, _ccvs(0xFE00), {"speed_mps"}),
            (CCVS, _ccvs(0xFEFF, pedals=0xEC), {"speed_mps", "brake_pedal_pressed"}),
            (VD, bytes.fromhex("00000000000000fe"), {"odometer_m"}),
            (OEL, bytes.fromhex("ffeeffffffffffff"), {"turn_left", "turn_right", "hazard_lights"}),
            (EBC1, bytes.fromhex("feffffffffffffff"), {"traction_control_active"}),
            (VP, bytes.fromhex("00000000000000fe"), {"position"}),
        ],
    )
    def test_an_error_indicator_takes_the_value_away_and_is_counted(
        self, truck: CanInput, pgn: int, data: bytes, fields: set[str]
    ) -> None:
        decoded = truck.decode(frame(pgn, ENGINE, EVERYBODY, data))
        assert fields <= {update.field for update in decoded.updates if update.value is None}
        assert {fault.kind for fault in decoded.faults} == {"error_indicator"}
        assert len(decoded.faults) == len(fields)

    @pytest.mark.parametrize("speed", [0xFB00, 0xFDFF])
    def test_a_reserved_value_is_refused(self, truck: CanInput, speed: int) -> None:
        decoded = truck.decode(frame(CCVS, ENGINE, EVERYBODY, _ccvs(speed)))
        assert "speed_mps" not in {update.field for update in decoded.updates}
        assert [(fault.kind, fault.field) for fault in decoded.faults] == [("out_of_range", "CCVS1.WheelBasedVehicleSpeed")]

    def test_the_largest_number_that_is_one_is_believed(self, truck: CanInput) -> None:
        (update,) = truck.on_frame(frame(VD, ENGINE, EVERYBODY, bytes(4) + (34_359_738).to_bytes(4, "little")))
        assert update.value == 4_294_967_250.0


class TestSources:
    def test_priority_and_sender_do_not_matter(self, truck: CanInput) -> None:
        for priority, sender in ((0, 3), (6, GATEWAY), (7, 250)):
            source = CanInput(load_signal_map(TRUCK)) if sender != 3 else truck
            assert "speed_mps" in _news(source, frame(CCVS, sender, EVERYBODY, _ccvs(), priority=priority))

    def test_two_that_send_a_group_are_not_mixed(self, truck: CanInput) -> None:
        for turn in range(10):
            at = turn * 100 * NS_PER_MS
            assert _news(truck, frame(CCVS, ENGINE, EVERYBODY, _ccvs(0x1000), at=at))["speed_mps"] == pytest.approx(16 / 3.6)
            assert _news(truck, frame(CCVS, GATEWAY, EVERYBODY, _ccvs(0x2000), at=at)) == {}
        (statistics,) = [each for each in truck.statistics() if each.message == "CCVS1"]
        assert (statistics.source, statistics.from_others, statistics.frames) == (ENGINE, 10, 10)
        assert truck.from_others() == {"CCVS1": 10}

    def test_the_other_is_listened_to_once_the_first_is_too_old(self, truck: CanInput) -> None:
        _news(truck, frame(CCVS, ENGINE, EVERYBODY, _ccvs(0x1000), at=0))
        assert _news(truck, frame(CCVS, GATEWAY, EVERYBODY, _ccvs(0x2000), at=500 * NS_PER_MS)) == {}
        late = frame(CCVS, GATEWAY, EVERYBODY, _ccvs(0x2000), at=500 * NS_PER_MS + 1)
        assert _news(truck, late)["speed_mps"] == pytest.approx(32 / 3.6)

    def test_one_that_has_nothing_to_say_is_not_kept_to(self, truck: CanInput) -> None:
        assert set(_news(truck, frame(CCVS, GATEWAY, EVERYBODY, b"\xff" * 8)).values()) == {None}
        assert _news(truck, frame(CCVS, ENGINE, EVERYBODY, _ccvs(0x1000)))["speed_mps"] == pytest.approx(16 / 3.6)
        assert _news(truck, frame(CCVS, GATEWAY, EVERYBODY, b"\xff" * 8)) == {}

    def test_a_map_may_name_the_sender(self, tmp_path: Path) -> None:
        (tmp_path / "truck.toml").write_text(_map("[messages.VDHR]\nsource = 0xEE\n"), encoding="utf-8")
        source = CanInput(load_signal_map(tmp_path / "truck.toml"))
        data = (1_000).to_bytes(4, "little") + b"\xff" * 4
        assert _news(source, frame(VDHR, GATEWAY, EVERYBODY, data)) == {}
        assert _news(source, frame(VDHR, TACHOGRAPH, EVERYBODY, data)) == {"odometer_m": 5_000.0}
        assert source.statistics()[0].from_others == 1


def _map(more: str = "") -> str:
    dbc = MAPS / "j1939_truck.dbc"
    field = '[fields.odometer_m]\nsignal = "VDHR.HighResolutionTotalVehicleDistance"\nunit = "m"\nmax_age_ms = 5000\n'
    return f'name = "Truck"\ndbc = "{dbc}"\nprotocol = "j1939"\n{field}{more}'


class TestMap:
    @pytest.mark.parametrize("path", [TRUCK, FMS])
    def test_the_maps_pass_their_check_and_feed_speed_and_distance(self, path: Path) -> None:
        report = check_map(path)
        assert not {"speed_mps", "odometer_m", "drive_direction", "brake_pedal_pressed"} & set(report.missing)

    def test_a_bus_lets_a_group_through_whoever_sends_it(self, tmp_path: Path) -> None:
        (tmp_path / "truck.toml").write_text(_map(), encoding="utf-8")
        filters = load_signal_map(tmp_path / "truck.toml").filters()
        assert filters == (CanFilter(0x00FEC100, is_extended=True, mask=0x03FFFF00), *LISTENED_FILTERS)
        (tmp_path / "truck.toml").write_text(_map("[messages.VDHR]\nsource = 0xEE\n"), encoding="utf-8")
        assert load_signal_map(tmp_path / "truck.toml").filters()[0] == CanFilter(0x00FEC1EE, is_extended=True, mask=0x03FFFFFF)

    @pytest.mark.parametrize(
        ("more", "reason"),
        [
            ("[messages.VDHR]\nsource = 254\n", "0..253"),
            ("[messages.VDHR]\npgn = false\nsource = 3\n", "found by its parameter group"),
        ],
    )
    def test_a_sender_that_cannot_be_is_refused(self, tmp_path: Path, more: str, reason: str) -> None:
        (tmp_path / "truck.toml").write_text(_map(more), encoding="utf-8")
        with pytest.raises(ConfigError, match=reason):
            load_signal_map(tmp_path / "truck.toml")

    def test_a_standard_identifier_has_no_group(self, tmp_path: Path) -> None:
        (tmp_path / "car.dbc").write_text('VERSION ""\n\nBU_: X\n\nBO_ 256 M: 8 X\n SG_ S : 0|8@1+ (1,0) [0|0] "m" X\n')
        field = '[fields.odometer_m]\nsignal = "M.S"\nunit = "m"\nmax_age_ms = 5000\n[messages.M]\npgn = true\n'
        (tmp_path / "car.toml").write_text(f'name = "Car"\ndbc = "car.dbc"\n{field}')
        with pytest.raises(ConfigError, match="29 bits"):
            load_signal_map(tmp_path / "car.toml")

    def test_a_group_longer_than_a_frame_is_decoded_when_it_is_whole(self, tmp_path: Path) -> None:
        identifier = 1 << 31 | 0x18FF_10FE
        (tmp_path / "long.dbc").write_text(
            f'VERSION ""\n\nBU_: X\n\nBO_ {identifier} LONG: 20 X\n SG_ DISTANCE : 128|32@1+ (1,0) [0|0] "km" X\n'
        )
        field = '[fields.odometer_m]\nsignal = "LONG.DISTANCE"\nunit = "km"\nmax_age_ms = 5000\n'
        (tmp_path / "long.toml").write_text(f'name = "Long"\ndbc = "long.dbc"\nprotocol = "j1939"\n{field}')
        source = CanInput(load_signal_map(tmp_path / "long.toml"))
        data = b"\xff" * 16 + (12_345).to_bytes(4, "little")
        group = ParameterGroup(pgn=0xFF10, source=3, destination=EVERYBODY, data=data, channel="can0", received=MonotonicNs(9))
        assert [(u.field, u.value, u.at) for u in source.on_group(group)] == [("odometer_m", 12_345_000.0, 9)]


@pytest.fixture(scope="module")
def drive() -> tuple[tuple[CanFrame, ...], CanInput, VehicleState]:
    source, state = CanInput(load_signal_map(TRUCK)), VehicleState()
    frames = tuple(read_log(data_file(LOG)))
    for received in frames:
        state = fold(state, source.on_frame(received))
    return frames, source, state


class TestRealTruck:
    def test_its_distance_is_13832875_m_and_nothing_is_refused(
        self, drive: tuple[tuple[CanFrame, ...], CanInput, VehicleState]
    ) -> None:
        _, source, state = drive
        assert state.odometer_m is not None
        assert state.odometer_m.value == 13_832_875.0
        assert state.speed_mps is not None
        assert state.speed_mps.value == 0.0
        assert state.parking_brake is not None
        assert state.parking_brake.value is True
        assert source.fault_counts() == {}
        frames = {each.message: each.frames for each in source.statistics()}
        assert (frames["VD"], frames["CCVS1"], frames["EEC2"]) == (1_272, 1_272, 2_544)

    def test_its_trip_is_not_available_in_every_frame(
        self, drive: tuple[tuple[CanFrame, ...], CanInput, VehicleState], tmp_path: Path
    ) -> None:
        text = _map().replace("VDHR.HighResolutionTotalVehicleDistance", "VD.TripDistance").replace('"m"', '"km"')
        (tmp_path / "trip.toml").write_text(text, encoding="utf-8")
        source = CanInput(load_signal_map(tmp_path / "trip.toml"))
        updates = [update for received in drive[0] for update in source.on_frame(received)]
        assert len(updates) == 1_272
        assert {update.value for update in updates} == {None}

    def test_speed_is_what_cantools_reads_with_another_dbc(
        self, drive: tuple[tuple[CanFrame, ...], CanInput, VehicleState]
    ) -> None:
        theirs = database.load_file(data_file("can/css/CSS-Electronics-SAE-J1939-DEMO.dbc"))
        assert isinstance(theirs, Database)
        source, message, compared = CanInput(load_signal_map(TRUCK)), theirs.get_message_by_name("CCVS1"), 0
        for received in drive[0]:
            speed = _news(source, received).get("speed_mps") if received.is_extended else None
            if speed is not None:
                decoded = message.decode(received.data, decode_choices=False)
                assert isinstance(decoded, dict)
                kmh = decoded["WheelBasedVehicleSpeed"]
                assert isinstance(kmh, int | float)
                assert speed == pytest.approx(kmh / 3.6)
                compared += 1
        assert compared == 1_272

    def test_the_receiver_on_its_other_bus_knows_where_it_stands(
        self, drive: tuple[tuple[CanFrame, ...], CanInput, VehicleState], tmp_path: Path
    ) -> None:
        dbc = data_file("can/css/canmod-gps.dbc")
        fields = (
            '[fields.position]\nlatitude = "gnss_pos.Latitude"\nlongitude = "gnss_pos.Longitude"\nunit = "deg"\nmax_age_ms = 2000\n'
            '[fields.gnss_speed_mps]\nsignal = "gnss_speed.Speed"\nunit = "m/s"\nmax_age_ms = 2000\n'
        )
        (tmp_path / "gnss.toml").write_text(f'name = "GNSS"\ndbc = "{dbc}"\nchannel = "can2"\n{fields}', encoding="utf-8")
        source = CanInput(load_signal_map(tmp_path / "gnss.toml"))
        theirs = database.load_file(dbc)
        assert isinstance(theirs, Database)
        compared = 0
        for received in drive[0]:
            news = _news(source, received)
            if "position" in news:
                read = theirs.decode_message(3, received.data)
                assert isinstance(read, dict)
                place = news["position"]
                assert (place.lat_deg, place.lon_deg) == pytest.approx((read["Latitude"], read["Longitude"]))  # type: ignore[union-attr]
                compared += 1
        assert compared == 115
        assert source.fault_counts() == {}

    def test_its_long_groups_come_whole(self, drive: tuple[tuple[CanFrame, ...], CanInput, VehicleState]) -> None:
        listener = J1939Listener([J1939Bus(name="can1", groups=frozenset())], started=drive[0][0].received)
        groups = [heard.group for received in drive[0] if (heard := listener.receive(received)).group is not None]
        assert 0xFECA in {group.pgn for group in groups}
        status = listener.status()["can1"]
        assert isinstance(status, dict)
        assert status["transport"] == {"complete": len(groups)}


def test_every_field_the_truck_map_feeds_is_fed_by_some_frame() -> None:
    signal_map = load_signal_map(TRUCK)
    source, seen = CanInput(signal_map), set[str]()
    for message in signal_map.messages:
        for byte in (0x00, 0x11, 0x50, 0x5D):
            assert message.pgn is not None
            news = source.decode(frame(message.pgn, ENGINE, EVERYBODY, bytes((byte,)) * 8, at=NS_PER_S))
            seen |= {update.field for update in news.updates if update.value is not None}
    kinds: Callable[[str], FieldKind] = {m.field: m.spec.kind for each in signal_map.messages for m in each.fields}.__getitem__
    assert {field for field in signal_map.fields() - seen if kinds(field) is not FieldKind.POSITION} == set()


FUZZED = load_signal_map(TRUCK)
SOURCE = CanInput(FUZZED)


@given(
    st.sampled_from([each.pgn for each in FUZZED.messages]),
    st.sampled_from([0, 7]),
    st.one_of(st.binary(max_size=8), st.binary(max_size=3).map(lambda head: head.ljust(8, b"\xfe"))),
)
def test_whatever_a_unit_sends_gives_news_or_a_named_fault(pgn: int, sender: int, data: bytes) -> None:
    decoded = SOURCE.decode(frame(pgn, sender, EVERYBODY, data))
    assert {fault.kind for fault in decoded.faults} <= set(FAULT_KINDS)
