"""`[[radio]]` tables become radios, and what is wrong with one is named."""

import asyncio
import io
import json
from pathlib import Path

import pytest

from shared.core.clock import ManualClock
from shared.core.errors import ConfigError
from shared.core.geo import GeoPoint
from shared.service.config import ConfigStruct, load
from shared.service.log import make_logger
from shared.service.mqtt_config import MqttRadioConfig
from shared.service.open_radios import attend, describe_radios, open_radios, place_of, unshared_links
from shared.service.radio_config import (
    DEFAULT_RADIOS,
    EthernetRadioConfig,
    RadioConfigs,
    UdpRadioConfig,
    require_distinct,
)
from tests.helpers.multicast import free_udp_port
from tests.helpers.namespaces import lay_cable, network_namespaces

MAC = bytes.fromhex("020000000001")


class Settings(ConfigStruct, frozen=True, kw_only=True):
    radio: RadioConfigs = DEFAULT_RADIOS

    def __post_init__(self) -> None:
        require_distinct(self.radio)


def read(tmp_path: Path, text: str) -> RadioConfigs:
    path = tmp_path / "agent.toml"
    path.write_text(text)
    return load(path, Settings).radio


def test_a_radio_of_each_kind_is_read_by_its_kind(tmp_path: Path) -> None:
    udp, ethernet, mqtt = read(
        tmp_path,
        """
[[radio]]
kind = "udp"
port = 4000
[[radio]]
kind = "ethernet"
name = "its-g5"
interface = "wlan0"
[[radio]]
kind = "mqtt"
host = "localhost"
port = 1883
""",
    )
    assert udp == UdpRadioConfig(port=4000)
    assert ethernet == EthernetRadioConfig(name="its-g5", interface="wlan0")
    assert isinstance(mqtt, MqttRadioConfig)
    assert [each.name for each in (udp, ethernet, mqtt)] == ["udp", "its-g5", "mqtt"]
    assert read(tmp_path, "") == DEFAULT_RADIOS == (UdpRadioConfig(),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("radio = []", r"radio: .*length >= 1"),
        ("[radio]\nkind = 'udp'", r"radio: there is a \[\[radio\]\] table for each; this is a single"),
        ("[[radio]]", "radio.0.: missing key `kind`"),
        ("[[radio]]\nkind = 'smoke'", "'smoke'"),
        ("[[radio]]\nkind = 'udp'\ninterface = 'eth0'", "'eth0' is not an IPv4 address"),
        ("[[radio]]\nkind = 'udp'\nhost = 'x'", "unknown key `host`"),
        ("[[radio]]\nkind = 'ethernet'", "missing key `interface`"),
        ("[[radio]]\nkind = 'ethernet'\ninterface = 'no such thing'", "cannot be the name of a network interface"),
        ("[[radio]]\nkind = 'udp'\n[[radio]]\nkind = 'udp'\nport = 5", "two radios are called 'udp'"),
        ("[[radio]]\nkind = 'udp'\n[[radio]]\nkind = 'udp'\nname = 'b'", "is on the same medium as another"),
        ("[[radio]]\nkind = 'udp'\n" * 9, "length <= 8"),
    ],
)
def test_what_can_never_work_is_refused_with_the_reason(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        read(tmp_path, text)


def test_radios_are_opened_under_their_names_and_one_that_is_away_is_told_once(tmp_path: Path) -> None:
    log = io.StringIO()
    port = free_udp_port()

    async def scene() -> None:
        radios = open_radios(
            (UdpRadioConfig(port=port), UdpRadioConfig(name="far", port=port, interface="192.0.2.1")),
            clock=ManualClock(None),
            log=make_logger(log),
        )
        assert radios.names == {"udp", "far"}
        assert await radios.send(b"x", source_mac=MAC) == {"udp"}
        async with asyncio.timeout(20):
            assert (await radios.receive())[0] == "udp"
        radios.close()

    asyncio.run(scene())
    (line,) = [json.loads(text) for text in log.getvalue().splitlines()]
    assert (line["event"], line["what"]) == ("unavailable", "radio far")
    assert "no interface has the address 192.0.2.1" in line["reason"]


def test_a_broker_and_a_wire_are_no_shared_channel_and_the_air_is_one_unless_it_is_said(tmp_path: Path) -> None:
    radios = read(
        tmp_path,
        """
        [[radio]]
        kind = "udp"
        [[radio]]
        kind = "udp"
        name = "wire"
        port = 4000
        channel = "none"
        [[radio]]
        kind = "ethernet"
        name = "its-g5"
        interface = "wlan0"
        channel = "shared"
        [[radio]]
        kind = "ethernet"
        name = "lan"
        interface = "eth0"
        channel = "none"
        [[radio]]
        kind = "mqtt"
        host = "127.0.0.1"
        """,
    )
    assert unshared_links(radios) == ("wire", "lan", "mqtt")
    with pytest.raises(ConfigError, match="channel"):
        read(tmp_path, "[[radio]]\nkind = 'udp'\nchannel = 'mine'")


def test_radios_are_told_where_the_station_is(tmp_path: Path) -> None:
    asked = asyncio.Event()

    def position() -> GeoPoint | None:
        asked.set()
        return None

    async def scene() -> None:
        radios = open_radios((UdpRadioConfig(port=free_udp_port()),), clock=ManualClock(None), log=make_logger(io.StringIO()))
        task = asyncio.create_task(attend(radios, position))
        async with asyncio.timeout(20):
            await asked.wait()
        task.cancel()
        radios.close()

    asyncio.run(scene())


def test_a_check_says_what_keeps_each_radio_from_working(tmp_path: Path) -> None:
    with network_namespaces(1) as (namespace,):
        lay_cable(namespace, "near0", namespace, "far0")
        with namespace.inside():
            *lines, typo = list(
                describe_radios(
                    (
                        UdpRadioConfig(),
                        UdpRadioConfig(name="far", interface="192.0.2.1"),
                        EthernetRadioConfig(interface="near0"),
                        EthernetRadioConfig(name="typo", interface="naer0"),
                    )
                )
            )
    assert lines == [
        "radio udp: UDP 239.255.89.47:35143 on 127.0.0.1",
        "radio far: UDP 239.255.89.47:35143 on 192.0.2.1; at the moment: no interface has the address 192.0.2.1",
        "radio ethernet: Ethernet on near0",
    ]
    assert typo.startswith("radio typo: Ethernet on naer0; at the moment: there is no interface naer0; there are lo, ")
    assert "near0" in typo.rpartition(";")[2]
    assert place_of((EthernetRadioConfig(name="its-g5", interface="wlan0"),)) == "its-g5: Ethernet on wlan0"


def test_a_check_names_a_file_that_is_missing(tmp_path: Path) -> None:
    config = MqttRadioConfig(host="broker.example", username="car", password_file=tmp_path / "absent")
    with pytest.raises(ConfigError, match="absent"):
        list(describe_radios((config,)))
