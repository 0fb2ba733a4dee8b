"""`[[can]]`: what the buses of a vehicle are called, and what is refused of them."""

from pathlib import Path

import pytest

from shared.core.errors import ConfigError
from shared.service.config import load
from simulator.ecu import SIM_CAR_DBC, SIM_CAR_MAP
from tests.unit.vehicle_agent.vehicle_files import CONFIG
from vehicle_agent.config import VehicleConfig
from vehicle_agent.signals.car_maps import load_car_maps

_BUS = '[[can]]\ninterface = "virtual"\nchannel = "can0"\nmap = "sim_car.toml"\n'


def _load(directory: Path, *buses: str, further: str = "") -> VehicleConfig:
    assert _BUS in CONFIG
    path = directory / "agent.toml"
    path.write_text(CONFIG.replace(_BUS, "".join(f"[[can]]\n{bus}\n" for bus in buses)) + further)
    return load(path, VehicleConfig)


def _bus(interface: str, channel: str, further: str = "") -> str:
    return f'interface = "{interface}"\nchannel = "{channel}"\nmap = "sim_car.toml"\n{further}'


def test_a_bus_is_called_by_its_place_in_the_file_or_as_it_says(tmp_path: Path) -> None:
    config = _load(tmp_path, _bus("socketcan", "can1"), _bus("socketcan", "can0", 'name = "body"'), _bus("virtual", "x"))
    assert [(name, bus.channel) for name, bus in config.buses] == [("can0", "can1"), ("body", "can0"), ("can2", "x")]


def test_two_buses_of_one_name_are_refused_with_the_key_that_helps(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"two \[\[can\]\] are called can1; give each a `name = ...` of its own \(can1, can1\)"):
        _load(tmp_path, _bus("socketcan", "can5", 'name = "can1"'), _bus("socketcan", "can6"))


@pytest.mark.parametrize("key", ["can", "radio", "requests.odometer"])
def test_a_single_table_where_there_may_be_several_is_refused_with_the_way_to_write_it(tmp_path: Path, key: str) -> None:
    path = tmp_path / "agent.toml"
    config = CONFIG.replace("[[can]]", "[can]") if key == "can" else CONFIG
    further = "" if key == "can" else f"[{key}]\n"
    path.write_text(config + ('[requests]\nbus = "can0"\n' if key.startswith("requests") else "") + further)
    with pytest.raises(ConfigError) as refused:
        load(path, VehicleConfig)
    assert str(refused.value) == f"{path}: {key}: there is a [[{key}]] table for each; this is a single [{key}]"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (_bus("socketcan", "can0"), _bus("socketcan", "can0", 'name = "body"\noptions = { fd = false }')),
        (_bus("virtual", "x"), _bus("virtual", "x")),
        (_bus("udp_multicast", "239.74.163.2"), _bus("udp_multicast", "239.74.163.2", "options = { port = 43113 }")),
        (_bus("pcan", "PCAN_USBBUS1"), _bus("pcan", "PCAN_USBBUS1")),
    ],
)
def test_one_bus_twice_is_refused(tmp_path: Path, first: str, second: str) -> None:
    with pytest.raises(ConfigError, match=r"two \[\[can\]\] are the same bus"):
        _load(tmp_path, first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (_bus("socketcan", "can0"), _bus("virtual", "can0")),
        (_bus("udp_multicast", "239.74.163.2"), _bus("udp_multicast", "239.74.163.2", "options = { port = 43114 }")),
        (_bus("kvaser", "0", "options = { serial = 1 }"), _bus("kvaser", "0", "options = { serial = 2 }")),
    ],
)
def test_two_buses_that_share_only_words_are_two(tmp_path: Path, first: str, second: str) -> None:
    assert len(_load(tmp_path, first, second).buses) == 2


def test_a_question_for_a_bus_that_is_called_otherwise_is_refused_with_the_name_to_give(tmp_path: Path) -> None:
    requests = '[requests]\nbus = "can1"\n'
    with pytest.raises(ConfigError) as refused:
        _load(tmp_path, _bus("socketcan", "can1"), further=requests)
    assert refused.value.reason == 'requests.bus is can1; there is can0; give the [[can]] of channel can1 name = "can1"'
    assert _load(tmp_path, _bus("socketcan", "can1", 'name = "can1"'), further=requests).requests is not None


def test_a_map_for_a_bus_that_is_called_otherwise_is_refused_with_the_name_to_give(tmp_path: Path) -> None:
    (tmp_path / SIM_CAR_DBC.name).write_text(SIM_CAR_DBC.read_text())
    drawn = SIM_CAR_MAP.read_text()
    (tmp_path / "sim_car.toml").write_text('channel = "can1"\n' + drawn)
    config = _load(tmp_path, _bus("virtual", "can1"))
    with pytest.raises(ConfigError, match=r'is on can1; there is can0; give the \[\[can\]\] of channel can1 name = "can1"'):
        load_car_maps(config.buses)
    assert load_car_maps(_load(tmp_path, _bus("virtual", "can1", 'name = "can1"')).buses).messages
