"""A receiver on the car's bus: its map says what its grades of a fix mean, and a position with none is no position."""

from pathlib import Path

import pytest

from shared.core.clock import NS_PER_MS, MonotonicNs
from shared.core.errors import ConfigError
from shared.core.geo import GeoPoint
from shared.transport.can_frame import CanFrame
from vehicle_agent.gnss.bus_position import believed, receiver_fields, signals_beside
from vehicle_agent.gnss.fields import HEADING_FIELD, POSITION_FIELDS
from vehicle_agent.position_config import CanPosition, GpsdPosition
from vehicle_agent.signals.can_input import CanInput
from vehicle_agent.signals.signal_map import SignalMap, load_signal_map
from vehicle_agent.vehicle_state import FixQuality, VehicleState, fold, fresh

DBC = """\
VERSION ""

BO_ 1 STATUS: 1 GNSS
 SG_ FIX_TYPE : 0|3@1+ (1,0) [0|5] "" AGENT
BO_ 3 PLACE: 8 GNSS
 SG_ LATITUDE : 0|32@1- (1E-007,0) [-90|90] "deg" AGENT
 SG_ LONGITUDE : 32|32@1- (1E-007,0) [-180|180] "deg" AGENT
BO_ 4 MOTION: 2 GNSS
 SG_ SPEED : 0|16@1+ (0.01,0) [0|600] "m/s" AGENT
"""
MAP = """\
name = "A car with a receiver on its bus"
dbc = "car.dbc"

[fields.position]
latitude = "PLACE.LATITUDE"
longitude = "PLACE.LONGITUDE"
unit = "deg"
max_age_ms = 1500

[fields.speed_mps]
signal = "MOTION.SPEED"
unit = "m/s"
max_age_ms = 500

[fields.fix_quality]
signal = "STATUS.FIX_TYPE"
choices = { 0 = "none", 1 = "estimated", 2 = "2d", 3 = "3d", 4 = "3d", 5 = "none", 7 = "unavailable" }
max_age_ms = 1500
"""
PLACE = GeoPoint(48.137, 11.575)


def load_map(tmp_path: Path, text: str = MAP) -> SignalMap:
    (tmp_path / "car.dbc").write_text(DBC)
    (tmp_path / "car.toml").write_text(text)
    return load_signal_map(tmp_path / "car.toml")


def frame(arbitration_id: int, data: bytes, at_ms: int) -> CanFrame:
    received = MonotonicNs(at_ms * NS_PER_MS)
    return CanFrame(arbitration_id=arbitration_id, is_extended=False, data=data, channel="can0", received=received)


def status(fix_type: int, at_ms: int) -> CanFrame:
    return frame(1, bytes((fix_type,)), at_ms)


def place(at_ms: int) -> CanFrame:
    data = b"".join(round(angle * 1e7).to_bytes(4, "little", signed=True) for angle in (PLACE.lat_deg, PLACE.lon_deg))
    return frame(3, data, at_ms)


def after(signal_map: SignalMap, *frames: CanFrame) -> tuple[GeoPoint | None, FixQuality | None]:
    """Return the position and the quality known after some frames."""
    can_input, state, now = CanInput(signal_map), VehicleState(), MonotonicNs(0)
    for frame in frames:
        now = frame.received
        state = fold(state, believed(state, can_input.on_frame(frame), now))
    return fresh(state.position, now), fresh(state.fix_quality, now)


@pytest.mark.parametrize(
    ("fix_type", "expected"),
    [
        (0, FixQuality.NONE),
        (1, FixQuality.ESTIMATED),
        (2, FixQuality.FIX_2D),
        (3, FixQuality.FIX_3D),
        (5, FixQuality.NONE),
        (7, None),
    ],
)
def test_a_map_says_what_a_grade_means(tmp_path: Path, fix_type: int, expected: FixQuality | None) -> None:
    position, quality = after(load_map(tmp_path), status(fix_type, 0), place(10))
    assert quality is expected
    assert (position is None) is (expected is FixQuality.NONE)


def test_a_fix_lost_takes_the_position_with_it_and_one_found_again_brings_it_back(tmp_path: Path) -> None:
    frames = [status(3, 0), place(10), status(0, 1_000)]
    signal_map = load_map(tmp_path)
    assert after(signal_map, *frames)[0] is None
    assert after(signal_map, *frames, place(1_010))[0] is None
    found, _ = after(signal_map, *frames, status(3, 2_000), place(2_010))
    assert found is not None


def test_a_grade_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"choices\.3.*\"rtk_fixed\""):
        load_map(tmp_path, MAP.replace('3 = "3d"', '3 = "good"'))


def test_grades_have_to_be_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="choices"):
        load_map(tmp_path, "\n".join(line for line in MAP.splitlines() if not line.startswith("choices")))


def test_beside_a_receiver_the_bus_is_asked_for_nothing_it_says(tmp_path: Path) -> None:
    signal_map = load_map(tmp_path)
    assert signals_beside(CanPosition(), signal_map) is signal_map
    beside = signals_beside(GpsdPosition(), signal_map)
    assert beside.fields() == {"speed_mps"}
    assert [message.layout.name for message in beside.messages] == ["MOTION"]
    assert receiver_fields(beside) == POSITION_FIELDS | {HEADING_FIELD}
