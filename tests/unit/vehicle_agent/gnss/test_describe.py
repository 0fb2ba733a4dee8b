"""What `check-config` says of where the position comes from."""

import socket
from pathlib import Path

import pytest

from simulator.ecu import SIM_CAR_MAP
from vehicle_agent.gnss.describe import describe_position
from vehicle_agent.position_config import CanPosition, GpsdPosition, NmeaPosition
from vehicle_agent.signals.signal_map import SignalMap, load_signal_map

NOTHING = SignalMap(name="", path="", messages=())


@pytest.mark.parametrize("kind", [GpsdPosition, NmeaPosition])
def test_a_server_that_does_not_answer_is_told_and_one_that_does_is_named_only(
    kind: type[GpsdPosition] | type[NmeaPosition],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        position = kind(host="127.0.0.1", port=port)
        (there,) = describe_position(position, NOTHING)
    (away,) = describe_position(position, NOTHING)
    assert there.endswith(f"127.0.0.1:{port}")
    assert away == f"{there}, where nobody answers at the moment (Connection refused)"


def test_a_device_that_is_not_plugged_in_is_told(tmp_path: Path) -> None:
    (line,) = describe_position(NmeaPosition(device=tmp_path / "ttyACM0"), NOTHING)
    assert line.endswith("ttyACM0, which is not there at the moment")


def test_without_any_position_it_is_said_that_nothing_will_be_sent_and_no_more() -> None:
    assert list(describe_position(CanPosition(), NOTHING)) == ["no signal gives the position: nothing will be sent"]
    assert list(describe_position(CanPosition(), load_signal_map(SIM_CAR_MAP))) == []
