"""Agents as processes where things go wrong or go everywhere: a rude broker, a display by every way, a capture cut short."""

import asyncio
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from cantools.database.can import Database

from shared.core.clock import TimeSource
from shared.messages.cdd import CauseCode
from shared.service.system_clock import SystemClock
from shared.transport.can_bus import CanBus, CanBusConfig
from shared.transport.udp_radio import LOOPBACK_INTERFACE
from tests.helpers.broker import MosquittoBroker
from tests.helpers.hostile_broker import CONNECT, PUBLISH, SUBSCRIBE, disconnect, hostile_broker, manners, publish, refused
from tests.helpers.multicast import ANY_INTERFACE, free_udp_port, require_multicast
from tests.helpers.road import RoadCar
from tests.helpers.road_agents import CAN_GROUP, PROGRAMS, Agent, RoadScene, until
from vehicle_agent.driver_can import DRIVER_DBC

GROUP = "239.255.89.62"
CLOCK = SystemClock(TimeSource.ASSUME_TRUSTED)
HAZARD = """
[[hazard]]
cause = "roadworks"
lat_deg = 48.137
lon_deg = 11.586
relevance_distance_m = 5000
radius_m = 1700
heading_deg = 90
"""


@pytest.fixture
def scene(tmp_path: Path) -> RoadScene:
    made = RoadScene(directory=tmp_path)
    made.pki("init", tmp_path / "pki")
    return made


def payload_of(body: bytes) -> bytes:
    """Return the payload of a PUBLISH of QoS 1 with few properties."""
    at = 4 + int.from_bytes(body[:2], "big")
    return body[at + 1 + body[at] :]


def udp() -> str:
    return f'[[radio]]\nkind = "udp"\nname = "air"\ngroup = "{GROUP}"\nport = {free_udp_port()}\n'


def running(agent: Agent, story: Callable[[], Any]) -> int:
    """Run an agent while a story is told; return its exit status."""
    agent.start()
    try:
        asyncio.run(story())
        return agent.stop()
    finally:
        agent.kill()


def test_a_broker_that_refuses_then_drops_then_says_everything_twice_and_rubbish_is_counted_and_survived(scene: RoadScene) -> None:
    refusing, dropping = [True], [True]

    def answer(kind: int, body: bytes) -> bytes | None:
        if kind == CONNECT and refusing[0]:
            return refused(0x87)
        if kind == SUBSCRIBE and dropping[0]:
            return disconnect(0x8B)
        if kind == PUBLISH:
            return (manners(kind, body) or b"") + publish(payload_of(body)) * 2 + publish(b"no packet at all")
        return manners(kind, body)

    async def story() -> None:
        async with hostile_broker(answer) as port:
            config = unit.directory / "agent.toml"
            config.write_text(config.read_text().replace("port = 1\n", f"port = {port}\n"))
            unit.start()

            def cloud() -> dict[str, Any]:
                return dict(unit.status().get("radios", {}).get("cloud", {}))

            await until(lambda: cloud().get("failures", 0) >= 2, [], "it is refused")
            assert cloud()["fault"] == "the broker refuses: Not authorized"
            refusing[0] = False
            await until(lambda: cloud().get("interruptions", 0) >= 2, [], "it is dropped")
            dropping[0] = False
            await until(lambda: cloud().get("acknowledged", 0) >= 2, [], "it is let in")
            await until(lambda: sum(unit.status().get("refused", {}).values()) >= 2, [], "rubbish is refused")
            await until(lambda: unit.status().get("echoes", 0) >= 2, [], "what it said itself is known, however often it comes")
            assert cloud()["is_up"] is True

    unit = scene.unit('[[radio]]\nkind = "mqtt"\nname = "cloud"\nhost = "127.0.0.1"\nport = 1\n')
    try:
        asyncio.run(story())
        assert unit.stop() == 0
    finally:
        unit.kill()
    events = [json.loads(line) for line in unit.errors.splitlines()]
    assert {line["event"] for line in events if line.get("what") == "radio cloud"} >= {"unavailable", "recovered"}
    assert "Traceback" not in unit.errors


def test_a_hazard_reaches_the_drivers_display_by_socket_broker_and_bus(scene: RoadScene) -> None:
    require_multicast(CAN_GROUP, ANY_INTERFACE)
    require_multicast(GROUP, LOOPBACK_INTERFACE)
    can_port, air = free_udp_port(), udp()
    database = Database()
    database.add_dbc_file(DRIVER_DBC)

    async def story() -> None:
        display = CanBus(
            CanBusConfig(interface="udp_multicast", channel=CAN_GROUP, options={"port": can_port, "hop_limit": 0}), clock=CLOCK
        )
        display.open()
        driver = asyncio.create_task(RoadCar(bus, east_m=0.0, speed_mps=10.0).drive())
        try:
            await until(lambda: car.told("hazard_ahead", CauseCode.ROADWORKS) != [], [driver], "the driver is told")
            reader, writer = await asyncio.open_unix_connection(car.state / "driver.sock")
            async with asyncio.timeout(60), aiomqtt.Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5) as phone:
                while not shows(json.loads(await reader.readline())):
                    pass
                await phone.subscribe("v2x/driver/view")
                async for message in phone.messages:
                    assert isinstance(message.payload, bytes)
                    if shows(json.loads(message.payload)):
                        break
            await until(lambda: causes(display, database) >= {"3"}, [driver], "the bus shows it")
            writer.close()
            await writer.wait_closed()
            told = car.status()["driver"]
            assert told["socket"]["clients"] == 1
            assert told["can"]["is_up"] is True
            assert told["can"]["sent"] > 0
        finally:
            driver.cancel()
            await asyncio.gather(driver, return_exceptions=True)
            display.close()

    with MosquittoBroker(scene.directory) as broker:
        car, bus = scene.vehicle(
            "car",
            air,
            f'[driver]\nsocket = "state/driver.sock"\n[driver.mqtt]\nport = {broker.port}\n[driver.can]\n'
            f'interface = "udp_multicast"\nchannel = "{CAN_GROUP}"\noptions = {{ port = {can_port}, hop_limit = 0 }}\n',
        )
        unit = scene.unit(air, more=HAZARD)
        unit.start()
        try:
            assert running(car, story) == 0
            assert unit.stop() == 0
        finally:
            unit.kill()


def shows(document: dict[str, Any]) -> bool:
    return any(hazard["cause_code"] == CauseCode.ROADWORKS for hazard in document.get("hazards", []))


def causes(display: CanBus, database: Database) -> set[str]:
    found = set()
    for frame in display.drain():
        message = database.get_message_by_frame_id(frame.arbitration_id)
        if message.name == "V2X_HAZARD":
            values = message.decode(frame.data)
            assert isinstance(values, dict)
            found.add(str(values["CAUSE"]))
    return found


def test_a_capture_cut_short_is_replayed_up_to_there_to_a_running_unit(scene: RoadScene) -> None:
    require_multicast(GROUP, LOOPBACK_INTERFACE)
    air = udp()
    unit = scene.unit(air, more=HAZARD)

    async def speak() -> None:
        await until(lambda: unit.status().get("sent", {}).get("cam", 0) >= 3, [], "the unit speaks")

    assert running(unit, speak) == 0
    capture = scene.directory / "cut.pcapng"
    capture.write_bytes((unit.state / "radio.pcapng").read_bytes()[:-7])
    port = air.split("port = ")[1].strip()
    command = [PROGRAMS / "v2x", "replay-radio", capture, "--udp", f"{GROUP}:{port}", "--speed", "1000", "--filter", "denm"]

    async def hear() -> None:
        await until(lambda: unit.status() != {}, [], "the unit is back")
        ended = await asyncio.to_thread(subprocess.run, [*map(str, command), "--json"], capture_output=True, text=True, check=False)
        assert ended.returncode == 1
        told = json.loads(ended.stdout)
        assert told["sent"] >= 1
        assert "cut short" in told["damage"]
        assert "Traceback" not in ended.stderr
        await until(lambda: unit.status()["radios"]["air"]["received"] >= told["sent"], [], "the unit hears it")

    assert running(unit, hear) == 0
