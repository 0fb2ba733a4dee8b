"""Every signal map that comes with the agent, against opendbc as an independent reader and packer of the same messages."""

from functools import cache
from pathlib import Path
from random import Random

import pytest

from shared.core.clock import MonotonicNs
from shared.service.config import load
from shared.transport.can_frame import CanFrame
from simulator.ecu import SIM_CAR_MAP
from tests.helpers.map_table import BEGIN, END, PAGE, car_map, table
from tests.helpers.packing import MAPS, Oracle, completed, draw_values, expected_value
from vehicle_agent.signals.can_input import CanInput
from vehicle_agent.signals.map_check import check_map
from vehicle_agent.signals.map_file import FieldEntry, MapFile
from vehicle_agent.signals.mapped import MappedMessage
from vehicle_agent.signals.signal_map import SignalMap
from vehicle_agent.signals.vss import FIELD_BY_PATH, LEAVES
from vehicle_agent.vehicle_state import FieldKind

CARS = sorted(path.stem for path in MAPS.glob("*.toml") if not path.stem.startswith("j1939"))
WITHOUT_ODOMETER = {
    "chrysler_pacifica",
    "hyundai_kia_canfd",
    "mazda_2017",
    "mercedes_benz_e350_2010",
    "psa_aee2010",
    "rivian_r1",
    "subaru_global",
}
"""Cars whose buses carry no odometer that is known; each map says so."""

ODOMETER_IDS = {
    "toyota_rav4_2017": 0x611,
    "toyota_tnga": 0x611,
    "honda_nidec": 0x516,
    "honda_bosch": 0x516,
    "vw_mqb": 0x6B7,
    "vw_meb": 0x6B2,
    "vw_pq": 0x520,
    "hyundai_kia": 0x5B0,
    "ford_cgea": 0x430,
    "gm_global_a": 0x6C0000,
    "tesla_model_3_y": 0x3B6,
    "nissan_leaf": 0x5C5,
    "nissan_x_trail": 0x5C5,
    "bmw_e9x": 0x330,
}
ROUNDS = 6
NOW = MonotonicNs(0)
FIRST_MODEL_YEAR = 2004


def signal_map(car: str) -> SignalMap:
    pytest.importorskip("opendbc", exc_type=ImportError)
    return car_map(car)


@cache
def oracle(car: str) -> Oracle:
    return Oracle(load(MAPS / f"{car}.toml", MapFile))


def known_messages(car: str) -> list[MappedMessage]:
    return [message for message in signal_map(car).messages if oracle(car).knows(message)]


def test_there_are_maps_for_at_least_twelve_cars_of_many_makers() -> None:
    brands = {load(MAPS / f"{car}.toml", MapFile).brand for car in CARS}
    assert len(CARS) >= 12
    assert len(brands) >= 10


@pytest.mark.parametrize("car", CARS)
def test_a_map_says_which_car_it_is_for_and_where_it_was_tried(car: str) -> None:
    path = MAPS / f"{car}.toml"
    entry = load(path, MapFile)
    assert entry.brand
    assert entry.models
    assert entry.years is not None
    assert FIRST_MODEL_YEAR <= entry.years[0] <= entry.years[1]
    text = path.read_text(encoding="utf-8")
    assert ("Not verified on a real bus" in text) is (car != "toyota_rav4_2017")
    assert all(name in FIELD_BY_PATH or name not in LEAVES for name in entry.fields), "a field is called by its VSS path"


@pytest.mark.parametrize("car", CARS)
def test_a_map_loads_passes_its_check_and_feeds_speed_and_odometer(car: str) -> None:
    pytest.importorskip("opendbc", exc_type=ImportError)
    report = check_map(MAPS / f"{car}.toml")
    assert report.car.startswith(load(MAPS / f"{car}.toml", MapFile).brand or "?")
    assert "speed_mps" not in report.missing
    assert "steering_wheel_angle_deg" not in report.missing or car == "bmw_e9x"
    assert ("odometer_m" in report.missing) is (car in WITHOUT_ODOMETER)
    identifiers = [m.arbitration_id for m in report.messages if any(field == "odometer_m" for field, _ in m.fields)]
    assert identifiers == ([] if car in WITHOUT_ODOMETER else [ODOMETER_IDS[car]])


@pytest.mark.parametrize("car", CARS)
def test_what_opendbc_packs_is_accepted_and_means_the_same(car: str) -> None:
    source = CanInput(signal_map(car))
    random = Random(car)
    checked = 0
    for message in known_messages(car):
        for number in range(ROUNDS):
            packed = oracle(car).pack(message, draw_values(message, random), number)
            decoded = source.decode(packed.frame)
            assert not decoded.faults, message.layout.name
            found = {update.field: update.value for update in decoded.updates}
            for mapped in message.fields:
                value = found[mapped.field]
                if mapped.spec.kind is FieldKind.QUANTITY:
                    assert value == pytest.approx(expected_value(mapped, packed.read), abs=1e-6)
                    assert isinstance(value, float)
                    assert mapped.minimum <= value <= mapped.maximum
                    checked += 1
                elif len(mapped.signals) == 1:
                    signal = mapped.signals[0]
                    raw = round((packed.read[signal.name] - signal.offset) / signal.scale)
                    assert value is mapped.choices[raw] or value == mapped.choices[raw]
    assert checked >= ROUNDS


@pytest.mark.parametrize("car", CARS)
def test_one_flipped_bit_of_a_protected_message_is_refused(car: str) -> None:
    random = Random(car)
    for message in known_messages(car):
        if message.checksum is None:
            continue
        source = CanInput(signal_map(car))
        frame = oracle(car).pack(message, draw_values(message, random), 0).frame
        bit = min(message.fields[0].signals[0].bits())
        broken = bytearray(frame.data)
        broken[bit // 8] ^= 1 << bit % 8
        decoded = source.decode(CanFrame(frame.arbitration_id, frame.is_extended, bytes(broken), frame.channel, frame.received))
        assert decoded.updates == ()
        assert [fault.kind for fault in decoded.faults] == ["checksum"], message.layout.name


@pytest.mark.parametrize("car", CARS)
def test_a_frame_that_comes_again_is_refused_where_a_counter_tells(car: str) -> None:
    random = Random(car)
    for message in known_messages(car):
        if message.counter is None:
            continue
        source = CanInput(signal_map(car))
        for number in (0, message.counter.last, message.counter.last + 1):  # from the last value to zero
            frame = oracle(car).pack(message, draw_values(message, random), number).frame
            kinds = [fault.kind for fault in source.decode(frame).faults]
            assert kinds == (["counter"] if number == message.counter.last > 1 else [])
        assert [fault.kind for fault in source.decode(frame).faults] == ["counter"]


@pytest.mark.parametrize(
    ("car", "data", "metres"),
    [
        ("tesla_model_3_y", (29_150_377).to_bytes(4, "little"), 29_150_377.0),
        ("tesla_model_3_y", bytes((0xFF,)) * 4, None),
        ("nissan_leaf", bytes.fromhex("40012345ff000000"), 0x012345 * 1000.0),
        ("nissan_x_trail", bytes.fromhex("40ffffffff000000"), None),
        ("bmw_e9x", bytes.fromhex("4523010000000000"), 0x012345 * 1000.0),
    ],
)
def test_an_odometer_typed_by_this_project_is_read_as_its_source_says(car: str, data: bytes, metres: float | None) -> None:
    (message,) = [m for m in signal_map(car).messages if not oracle(car).knows(m)]
    frame = CanFrame(message.layout.arbitration_id, message.layout.is_extended, data, "", NOW)
    (update,) = CanInput(signal_map(car)).decode(frame).updates
    assert (update.field, update.value) == ("odometer_m", metres if metres is None else pytest.approx(metres))


def test_the_valid_bit_of_gm_keeps_an_invalid_odometer_out() -> None:
    (message,) = [m for m in signal_map("gm_global_a").messages if m.layout.name == "Vehicle_Odo_LS"]
    source = CanInput(signal_map("gm_global_a"))
    for last_octet, values in ((0x00, [15_625.0]), (0x01, [])):
        data = (1_000).to_bytes(4, "big") + bytes((last_octet,))
        updates = source.decode(CanFrame(message.layout.arbitration_id, True, data, "", NOW)).updates
        assert [update.value for update in updates] == values


def test_every_dbc_beside_the_maps_is_named_by_a_map() -> None:
    named = set()
    for path in MAPS.glob("*.toml"):
        dbc = load(path, MapFile).dbc
        named |= {dbc} if isinstance(dbc, str) else set(dbc)
    assert {path.name for path in MAPS.glob("*.dbc")} <= {Path(name).name for name in named}


def test_a_completed_frame_has_the_checksum_of_its_rule() -> None:
    message = next(m for m in signal_map("vw_mqb").messages if m.layout.name == "ESP_21")
    assert message.checksum is not None
    found, expected = message.checksum.compare(message.layout.arbitration_id, completed(message, bytes(8)), 8)
    assert found == expected != 0


def test_the_page_of_the_maps_has_the_table_they_give() -> None:
    pytest.importorskip("opendbc", exc_type=ImportError)
    page = PAGE.read_text(encoding="utf-8")
    assert page.partition(BEGIN)[2].partition(END)[0].strip() == table()


def test_the_page_of_the_maps_names_every_key_of_a_field() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert not [key for key in FieldEntry.__struct_fields__ if f"`{key}`" not in page]


class TestShippedMaps:
    def test_the_simulated_car_feeds_every_field_a_bus_gives_and_protects_every_message(self) -> None:
        report = check_map(SIM_CAR_MAP)
        assert set(report.missing) == {
            "drive_odometer_m",
            "obd_odometer_m",
            "uds_odometer_m",
            "obd_speed_mps",
            "gnss_speed_mps",
            "gnss_odometer_m",
            "fix_quality",
        }
        assert all(message.checksum == "crc8_j1850" and message.has_counter for message in report.messages)

    def test_the_rav4_lacks_a_position_and_what_its_dbc_does_not_name(self) -> None:
        pytest.importorskip("opendbc")
        report = check_map(MAPS / "toyota_rav4_2017.toml")
        assert report.missing == (
            *("position", "position_accuracy_m", "altitude_m", "heading_deg"),
            *("drive_odometer_m", "obd_odometer_m", "uds_odometer_m"),
            *("obd_speed_mps", "gnss_speed_mps", "gnss_odometer_m", "fix_quality"),
            *("rear_fog_light", "gas_pedal_pressed", "abs_active", "stability_control_active", "traction_control_active"),
            *("automatic_emergency_braking", "airbag_deployed", "breakdown"),
            *("wipers_on", "wipers_fast", "light_bar_on", "siren_on"),
        )
        assert {m.name: m.arbitration_id for m in report.messages}["UI_SETTING"] == 0x611
