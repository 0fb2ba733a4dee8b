"""From a verified message to the driver's display by every way at once: Unix socket, MQTT broker, CAN bus."""

import asyncio
import io
import itertools
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from cantools.database.can import Database

from shared.core.clock import NS_PER_S, Clock, Instant, ManualClock, MonotonicNs, TimeSource
from shared.core.errors import ConfigError, TransportError
from shared.service.config import ConfigStruct, load
from shared.service.driver_feed import DriverFeed
from shared.service.local_mqtt import LocalMqttConfig
from shared.service.log import make_logger
from shared.service.notices import NoticeWriter
from shared.service.system_clock import SystemClock
from shared.stack.effects import DriverView, Notice
from shared.transport.can_bus import CanBus, CanBusConfig
from shared.transport.can_frame import CanFrame
from tests.helpers.broker import MosquittoBroker
from tests.unit.vehicle_agent.driver_documents import check_document
from tests.unit.vehicle_agent.test_local_dynamic_map import cam, denm, shared_lane, state
from tests.unit.vehicle_agent.test_signals_ahead import NOON, at
from tests.unit.vehicle_agent.verified_messages import verified
from vehicle_agent.driver_can import DRIVER_DBC
from vehicle_agent.driver_config import DriverCanConfig, DriverConfig
from vehicle_agent.driver_outputs import DriverOutputs, open_driver_outputs
from vehicle_agent.hazards import Hazards
from vehicle_agent.local_dynamic_map import LocalDynamicMap

NUMBERS = itertools.count()


class _File(ConfigStruct, frozen=True, kw_only=True):
    driver: DriverConfig | None = None


def run(scene: Callable[[], Coroutine[object, object, None]]) -> None:
    async def guarded_scene() -> None:
        async with asyncio.timeout(60):
            await scene()

    asyncio.run(guarded_scene())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # what is waited for has no event of its own
        await asyncio.sleep(0.001)


def effects() -> tuple[DriverView | Notice, ...]:
    """What a car sees 150 m before a red light, with roadworks behind the junction and a car in front."""
    here = LocalDynamicMap(hazards=Hazards(), started=at(0).monotonic)
    shared_lane(here)
    here.hear(verified(denm(150), at(0)), at(0))
    here.hear(verified(cam(4.5, -100), at(0)), at(0))
    return tuple(effect for effect in here.poll(state(north_m=-165), at(0)) if isinstance(effect, DriverView | Notice))


def virtual() -> DriverCanConfig:
    return DriverCanConfig(interface="virtual", channel=f"driver-{next(NUMBERS)}")


def log_to(said: io.StringIO) -> Any:
    return make_logger(said, as_json=True)


def moving() -> Clock:
    return SystemClock(TimeSource.ASSUME_TRUSTED)


async def hand_over(driver: DriverOutputs, now: Instant) -> None:
    notices = NoticeWriter(io.StringIO())
    notices.follow(driver.tell)
    for effect in effects():
        if isinstance(effect, DriverView):
            await driver.show(effect)
        else:
            notices.write(effect, now)


def test_one_picture_reaches_the_socket_the_broker_and_the_bus(tmp_path: Path) -> None:
    async def scene() -> None:
        config = DriverConfig(socket=tmp_path / "driver.sock", mqtt=LocalMqttConfig(port=broker.port), can=virtual())
        assert config.can is not None
        dashboard = CanBus(CanBusConfig(interface="virtual", channel=config.can.channel), clock=moving())
        dashboard.open()
        async with (
            aiomqtt.Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5) as phone,
            open_driver_outputs(config, clock=moving(), log=log_to(io.StringIO())) as driver,
        ):
            await phone.subscribe("v2x/driver/#")
            reader, writer = await asyncio.open_unix_connection(tmp_path / "driver.sock")
            await until(lambda: _status(driver, "socket")["clients"] == 1)
            await hand_over(driver, at(0))
            lines = [check_document(json.loads(await reader.readline())) for _ in range(4)]
            assert [line.get("kind", "view") for line in lines] == ["hazard_ahead", "signal_ahead", "signal_ahead", "view"]
            assert {line["utc"] for line in lines} == {"2026-11-22T12:00:00.000Z"}
            published = []
            async for message in phone.messages:
                assert isinstance(message.payload, bytes)
                published.append((str(message.topic), json.loads(message.payload)))
                if len(published) == 4:
                    break
            kinds = ["event/hazard_ahead", "event/signal_ahead", "event/signal_ahead", "view"]
            assert published == [(f"v2x/driver/{kind}", line) for kind, line in zip(kinds, lines, strict=True)]
            await until(lambda: _read(dashboard, "V2X_SIGNAL").get("COLOUR") == "red")
            writer.close()
            await writer.wait_closed()
        dashboard.close()

    with MosquittoBroker(tmp_path) as broker:
        run(scene)


def _status(driver: DriverOutputs, part: str) -> dict[str, Any]:
    found = driver.status()[part]
    assert isinstance(found, dict)
    return found


def _read(dashboard: CanBus, name: str) -> dict[str, Any]:
    database = Database()
    database.add_dbc_file(DRIVER_DBC)
    last: dict[str, Any] = {}
    for frame in dashboard.drain():
        message = database.get_message_by_frame_id(frame.arbitration_id)
        if message.name == name:
            values = message.decode(frame.data)
            assert isinstance(values, dict)
            last = {key: str(value) for key, value in values.items()}
    return last


def test_the_bus_of_others_does_not_pile_up_and_one_that_is_away_is_told_once_and_found_when_it_comes() -> None:
    said = io.StringIO()

    async def scene() -> None:
        config = virtual()
        other = CanBus(CanBusConfig(interface="virtual", channel=config.channel), clock=moving())
        other.open()
        async with open_driver_outputs(DriverConfig(can=config), clock=moving(), log=log_to(said)) as driver:
            await until(lambda: driver.frames_sent >= 4)
            assert driver._bus is not None
            for _ in range(300):
                other.send(CanFrame(0x123, False, b"\x00", "", MonotonicNs(0)))
            bus = driver._bus
            await until(lambda: bus.statistics().received == 300)
            driver._bus.close()
            await until(lambda: "unavailable" in said.getvalue())
            await until(lambda: "recovered" in said.getvalue())
        other.close()

    run(scene)
    assert [json.loads(line)["event"] for line in said.getvalue().splitlines()] == ["unavailable", "recovered"]


def test_what_is_for_the_operator_is_not_told_to_the_driver(tmp_path: Path) -> None:
    async def scene() -> None:
        async with DriverFeed(tmp_path / "driver.sock") as feed:
            driver = DriverOutputs(clock=ManualClock(NOON), feed=feed, mqtt=None, frames=None, bus=None)
            reader, writer = await asyncio.open_unix_connection(tmp_path / "driver.sock")
            await until(lambda: feed.status()["clients"] == 1)
            driver.tell(Notice("odometer_recorded", {"seq": 1}), at(0))
            driver.tell(Notice("hazard_ahead", {}), Instant(MonotonicNs(0), None))
            assert json.loads(await reader.readline()) == {
                "schema": "v2x-trust/driver-event/1",
                "kind": "hazard_ahead",
                "utc": None,
            }
            writer.close()
            await writer.wait_closed()

    run(scene)


def test_without_a_driver_nothing_is_opened_and_everything_is_let_go() -> None:
    async def scene() -> None:
        async with open_driver_outputs(None, clock=moving(), log=log_to(io.StringIO())) as driver:
            await hand_over(driver, at(0))
            assert driver.status() == {"socket": None, "mqtt": None, "can": None}

    run(scene)


def test_a_path_that_is_taken_and_a_bus_that_cannot_be_are_told_at_start(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("precious")

    async def attempt(config: DriverConfig) -> None:
        async with open_driver_outputs(config, clock=moving(), log=log_to(io.StringIO())):
            pytest.fail("opened")

    with pytest.raises(TransportError, match="exists and is no socket"):
        run(lambda: attempt(DriverConfig(socket=tmp_path / "taken")))
    with pytest.raises(ConfigError, match="no-such-interface"):
        run(lambda: attempt(DriverConfig(can=DriverCanConfig(interface="no-such-interface", channel="x"))))
    with pytest.raises(ConfigError, match="cannot read the DBC"):
        run(lambda: attempt(DriverConfig(can=DriverCanConfig(interface="virtual", channel="x", dbc=tmp_path / "absent.dbc"))))


def test_the_table_is_read_with_paths_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "vehicle.toml"
    path.write_text(
        '[driver]\nsocket = "driver.sock"\ntown_limit_kmh = 30\n[driver.mqtt]\nport = 1884\nusername = "car"\n'
        'password_file = "secret"\n'
        '[driver.can]\ninterface = "virtual"\nchannel = "x"\ndbc = "own.dbc"\n'
    )
    driver = load(path, _File).driver
    assert driver is not None
    assert driver.mqtt is not None
    assert driver.can is not None
    assert (driver.socket, driver.mqtt.password_file, driver.can.dbc) == (
        tmp_path / "driver.sock",
        tmp_path / "secret",
        tmp_path / "own.dbc",
    )
    assert driver.glosa.default_limit_mps == pytest.approx(30 / 3.6)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ('[driver.mqtt]\nhost = "192.0.2.1"\n', "on this machine"),
        ('[driver.mqtt]\ntopic = "v2x/#"\n', "matching regex"),
        ('[driver.mqtt]\npassword_file = "x"\n', "needs username"),
        ("[driver]\ntown_limit_kmh = 0\n", ">= 10"),
        ("[driver]\nsokcet = 1\n", "unknown key"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(tmp_path: Path, table: str, reason: str) -> None:
    path = tmp_path / "vehicle.toml"
    path.write_text(table)
    with pytest.raises(ConfigError, match=reason):
        load(path, _File)


def test_a_view_stays_valid_for_the_bus_as_long_as_the_clock_says() -> None:
    async def scene() -> None:
        clock = ManualClock(NOON, MonotonicNs(10 * NS_PER_S))
        config = virtual()
        dashboard = CanBus(CanBusConfig(interface="virtual", channel=config.channel), clock=moving())
        dashboard.open()
        async with open_driver_outputs(DriverConfig(can=config), clock=clock, log=log_to(io.StringIO())) as driver:
            await hand_over(driver, at(0))
            await until(lambda: _read(dashboard, "V2X_HAZARD").get("CAUSE") == "3")
            clock.advance(2 * NS_PER_S)
            await until(lambda: _read(dashboard, "V2X_HAZARD").get("CAUSE") == "not available")
        dashboard.close()

    run(scene)
