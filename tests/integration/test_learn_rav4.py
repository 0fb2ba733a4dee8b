"""`vehicle-agent learn` on the recorded minute of a real car, beside the map that was written for it by hand."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.transport.can_log import CanLog
from tests.helpers.rav4 import RAV4_MAP, bus_log, read_truth
from vehicle_agent.cli import app
from vehicle_agent.signals.can_input import CanInput
from vehicle_agent.signals.signal_map import load_signal_map

DBC = "package:opendbc/dbc/generator/toyota/_toyota_2017.dbc"
COMPARED_FRAMES = 12_000


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("opendbc")
    directory = tmp_path_factory.mktemp("rav4")
    read_truth().write_track(directory / "track.csv")
    out = directory / "learnt.toml"
    arguments = ["--dbc", DBC, "--log", str(bus_log()), "--track", str(directory / "track.csv"), "--out", str(out)]
    ended = CliRunner().invoke(app, ["learn", *arguments])
    assert ended.exit_code == 0, ended.output
    return out


def test_the_learnt_map_takes_the_signals_of_the_shipped_one(learnt: Path) -> None:
    shipped, proposed = load_signal_map(RAV4_MAP), load_signal_map(learnt)
    by_field = {f.field: {(m.layout.name, s.name) for s in f.signals} for m in shipped.messages for f in m.fields}
    fed = {f.field: {(m.layout.name, s.name) for s in f.signals} for m in proposed.messages for f in m.fields}
    for field in ("speed_mps", "odometer_m", "longitudinal_acceleration_mps2", "drive_direction", "cruise_control"):
        assert fed[field] == by_field[field], field
    text = learnt.read_text(encoding="utf-8")
    for field in ("steering_wheel_angle_deg", "yaw_rate_dps", "lateral_acceleration_mps2", "turn_left", "doors_open", "low_beam"):
        for message, signal in by_field[field]:
            assert f"{message}.{signal}" in text, field


def test_the_learnt_map_reads_the_same_values_as_the_shipped_one(learnt: Path) -> None:
    shipped, proposed = CanInput(load_signal_map(RAV4_MAP)), CanInput(load_signal_map(learnt))
    compared = dict.fromkeys(("speed_mps", "odometer_m", "longitudinal_acceleration_mps2", "drive_direction"), 0)
    for number, frame in enumerate(CanLog(bus_log()).frames()):
        if number == COMPARED_FRAMES:
            break
        ours = {update.field: update.value for update in shipped.on_frame(frame)}
        for update in proposed.on_frame(frame):
            if update.field in compared:
                assert update.value == ours[update.field]
                compared[update.field] += 1
    assert all(count > 5 for count in compared.values()), compared
    assert not proposed.fault_counts()


def test_what_a_straight_minute_cannot_tell_is_a_comment(learnt: Path) -> None:
    text = learnt.read_text(encoding="utf-8")
    assert '\n# [fields."Vehicle.Chassis.SteeringWheel.Angle"]' in text
    assert "which does not tell the sign" in text
    assert "#   UNITS selects the unit, now mile" in text
    assert "0x0b4 SPEED 41.4/s on can0: checksum toyota holds for" in text


def test_what_is_on_while_the_car_keeps_its_speed_is_no_brake_pedal(learnt: Path) -> None:
    text = learnt.read_text(encoding="utf-8")
    assert "brake_pedal_pressed" not in load_signal_map(learnt).fields()
    assert '\n# signal = "PCM_CRUISE_2.BRAKE_PRESSED"' in text
    assert "# or BRAKE_2.BRAKE_PRESSED: changed 2 times" in text
