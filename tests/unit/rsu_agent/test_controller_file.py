import re
from pathlib import Path

import pytest

import rsu_agent.junctions
from rsu_agent.config import JunctionConfig
from rsu_agent.signal_controllers.controller_file import ReportedPlace, TscbmPlace, load_controller, plain_address
from rsu_agent.signal_controllers.reported import ReportedController
from rsu_agent.signal_controllers.tscbm import TscbmController
from shared.core.clock import NS_PER_S
from shared.core.errors import ConfigError

JUNCTIONS = Path(rsu_agent.junctions.__file__).parent


def changed(folder: Path, name: str, found: str, written: str) -> Path:
    text = (JUNCTIONS / name).read_text(encoding="utf-8")
    assert found in text
    path = folder / name
    path.write_text(text.replace(found, written, 1), encoding="utf-8")
    return path


def test_the_example_of_a_broadcasting_controller_is_read() -> None:
    loaded = load_controller(JUNCTIONS / "crossing.tscbm.toml")
    assert isinstance(loaded.place, TscbmPlace)
    assert (loaded.place.host, loaded.place.port) == ("192.0.2.1", 6_053)
    assert isinstance(loaded.place.controller, TscbmController)
    assert loaded.place.controller.signal_groups == {1, 2}
    assert loaded.place.controller.mode.map_revision == 0
    assert loaded.rules.intergreen_ns == {frozenset({1, 2}): 4 * NS_PER_S}
    assert loaded.rules.conflicts == {frozenset({1, 2})}
    assert (loaded.rules.groups[1].min_green_ns, loaded.rules.groups[1].min_amber_ns) == (5 * NS_PER_S, 3 * NS_PER_S)


def test_the_example_of_a_reporting_controller_is_read() -> None:
    loaded = load_controller(JUNCTIONS / "crossing.mqtt.toml")
    assert isinstance(loaded.place, ReportedPlace)
    assert isinstance(loaded.place.controller, ReportedController)
    assert (loaded.place.topic, loaded.place.broker.port) == ("signals/crossing", 1_883)
    assert loaded.place.controller.signal_groups == {1, 2}


TSCBM, MQTT = "crossing.tscbm.toml", "crossing.mqtt.toml"


@pytest.mark.parametrize(
    ("name", "found", "written", "path", "reason"),
    [
        (TSCBM, 'source = "192.0.2.10"', 'source = "controller.example"', "tscbm", "source: 'controller.example' is no IP address"),
        (TSCBM, 'source = "192.0.2.10"', 'source = "0.0.0.0"', "tscbm", "is not the address of one controller"),
        (TSCBM, 'listen = "192.0.2.1"', 'listen = "eth0"', "tscbm", "listen: 'eth0' is no IP address"),
        (TSCBM, "port = 6053", "port = 66053", "tscbm.port", "<= 65535"),
        (TSCBM, "stale_ms = 1000", "stale_ms = 60000", "stale_ms", "<= 10000"),
        (TSCBM, "map_revision = 0", "status_bits = { police = 1 }", "", "police"),
        (TSCBM, "phase = 4", "phase = 17", "group[0].phase", "<= 16"),
        (TSCBM, "phase = 4", "phase = 4\noverlap = 1", ": group 1", "exactly one of phase, pedestrian and overlap"),
        (TSCBM, "phase = 4", "", ": group 1", "exactly one of phase, pedestrian and overlap"),
        (TSCBM, 'name = "north-south"', 'name = "Nord-S\u00fcd"', "group[0].name", "matching regex"),
        (TSCBM, 'name = "north-south"', f'name = "{"n" * 64}"', "group[0].name", "<= 63"),
        (TSCBM, "number = 2", "number = 1", ": group 1", "the number is given twice"),
        (TSCBM, "groups = [1, 2]", "groups = [1, 3]", ": conflict of groups 1 and 3", "there is no signal group 3"),
        (TSCBM, "groups = [1, 2]", "groups = [1, 1]", ": conflict of groups 1 and 1", "cannot conflict with itself"),
        (
            TSCBM,
            "[[conflict]]",
            "[[conflict]]\ngroups = [2, 1]\nintergreen_s = 9.0\n\n[[conflict]]",
            ": conflict of groups 1 and 2",
            "the pair is named twice",
        ),
        (TSCBM, "[tscbm]", '[mqtt]\nhost = "127.0.0.1"\ntopic = "x"\ncontroller = "x"\n\n[tscbm]', "", "either [tscbm] or [mqtt]"),
        (MQTT, 'host = "127.0.0.1"', 'host = "a b"', "mqtt", "is neither the name of a host nor its address"),
        (MQTT, 'topic = "signals/crossing"', 'topic = "signals/#"', "mqtt.topic", "matching regex"),
        (MQTT, 'name = "north-south"', "phase = 4", ": group 1", "outputs are numbered with [tscbm] only"),
        (MQTT, "takes_priority", "take_priority", "mqtt", "unknown key"),
    ],
)
def test_a_mistake_in_a_controllers_file_is_named_by_its_key(
    tmp_path: Path, name: str, found: str, written: str, path: str, reason: str
) -> None:
    file = changed(tmp_path, name, found, written)
    with pytest.raises(ConfigError, match=re.escape(reason)) as refusal:
        load_controller(file)
    assert path in refusal.value.path


@pytest.mark.parametrize(
    ("written", "heard"),
    [
        ("::ffff:192.0.2.10", "192.0.2.10"),
        ("192.0.2.10", "::ffff:192.0.2.10"),
        ("fe80::1%eth0", "fe80::1%eth1"),
        ("FE80::1", "fe80::1"),
    ],
)
def test_an_address_is_the_controllers_however_it_is_written(tmp_path: Path, written: str, heard: str) -> None:
    loaded = load_controller(changed(tmp_path, TSCBM, "192.0.2.10", written))
    assert isinstance(loaded.place, TscbmPlace)
    assert loaded.place.controller.source == plain_address(heard)


def test_a_junction_has_lights_of_one_kind() -> None:
    for plan, controller in ((None, None), (Path("a"), Path("b"))):
        with pytest.raises(ValueError, match="either a plan or a controller"):
            JunctionConfig(map=Path("m"), plan=plan, controller=controller)
