"""`v2x replay-radio`: what was captured is heard again, octet for octet, in order and at its pace."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from shared.cli.main import app
from shared.cli.replay_radio import _Pace
from shared.core.clock import NS_PER_MS, NS_PER_S, TimeSource, UtcNs
from shared.core.errors import ConfigError, DecodeError, TransportError, V2xError
from shared.service.mqtt_config import MqttRadioConfig, open_mqtt_radio
from shared.service.system_clock import SystemClock
from shared.transport.capture import open_capture
from shared.transport.ether_radio import EtherRadio
from shared.transport.radio import Radio, ReceivedPacket
from shared.transport.udp_radio import UdpRadio
from tests.helpers.broker import MosquittoBroker
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.multicast import free_udp_port
from tests.helpers.namespaces import lay_cable, network_namespaces
from tests.helpers.stations import TURIN, Speaker, after_ms

GROUP = "239.137.71.12"
MACS = tuple(bytes.fromhex(f"02000000000{number}") for number in range(4))
CAR = Speaker(Hierarchy(1))
PACKETS = (CAR.cam(NOON), CAR.denm(after_ms(NOON, 20)), CAR.cam(after_ms(NOON, 1_100)), b"\x12no packet at all")
CLOCK = SystemClock(TimeSource.ASSUME_TRUSTED)


def capture(path: Path, packets: tuple[bytes, ...] = PACKETS, *, start: UtcNs = NOON, step_ms: int = 10) -> Path:
    with open_capture(path) as writer:
        for number, packet in enumerate(packets):
            writer.write(packet, utc=UtcNs(start + number * step_ms * NS_PER_MS), source_mac=MACS[number % 4])
    return path


def replay(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["replay-radio", *(str(each) for each in arguments)])


class Ear:
    """Hears on a loop and thread of its own, because the command has its own loop too."""

    def __init__(self) -> None:
        self.heard: list[ReceivedPacket] = []
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.done = threading.Event()
        self.awaited = 0

    async def listen(self, radio: Radio) -> None:
        while True:
            self.heard.append(await radio.receive())
            if len(self.heard) >= self.awaited:
                self.done.set()

    def until(self, packets: int) -> list[ReceivedPacket]:
        self.awaited = packets
        if len(self.heard) < packets:
            self.done.clear()
            assert len(self.heard) >= packets or self.done.wait(30)
        return self.heard


@contextmanager
def listening(port: int) -> Iterator[Ear]:
    ear = Ear()
    stop = asyncio.Event()

    async def hear() -> None:
        radio = UdpRadio.open(clock=CLOCK, group=GROUP, port=port)
        task = asyncio.create_task(ear.listen(radio))
        ear.ready.set()
        await stop.wait()
        task.cancel()
        radio.close()

    thread = threading.Thread(target=lambda: ear.loop.run_until_complete(hear()))
    thread.start()
    assert ear.ready.wait(30)
    try:
        yield ear
    finally:
        ear.loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        ear.loop.close()


@pytest.fixture(name="port")
def _port() -> int:
    return free_udp_port()


@pytest.mark.parametrize("name", ["radio.pcap", "radio.pcapng"])
def test_every_packet_is_heard_again_octet_for_octet_and_in_order(tmp_path: Path, port: int, name: str) -> None:
    with listening(port) as ear:
        result = replay(capture(tmp_path / name), "--udp", f"{GROUP}:{port}", "--speed", 100, "--loop", 2)
        assert [each.packet for each in ear.until(8)] == list(PACKETS) * 2
    assert (result.exit_code, result.stdout) == (0, "8 packets sent.\n")


def test_a_filter_lets_through_what_it_names(tmp_path: Path, port: int) -> None:
    with listening(port) as ear:
        result = replay(capture(tmp_path / "c.pcap"), "--udp", f"{GROUP}:{port}@lo", "--filter", "CAM", "--json")
        assert [each.packet for each in ear.until(2)] == [PACKETS[0], PACKETS[2]]
    document = json.loads(result.stdout)
    assert (document["sent"], document["passed_over"], document["unsent"], document["damage"]) == (2, 2, 0, None)
    nothing = replay(capture(tmp_path / "c2.pcap"), "--udp", f"{GROUP}:{port}", "--filter", "spatem")
    assert isinstance(nothing.exception, DecodeError)
    assert "holds no packet that is 'spatem'" in str(nothing.exception)


def test_a_packet_is_sent_when_it_is_due_and_time_that_runs_backwards_stands_still() -> None:
    pace = _Pace(2.0)
    moments = (10, 11, 10, 14, 14, 15)
    assert [pace.due_s(UtcNs(second * NS_PER_S)) for second in moments] == [0.0, 0.5, 0.5, 2.0, 2.0, 2.5]


def test_a_slow_capture_takes_its_time(tmp_path: Path, port: int) -> None:
    path = capture(tmp_path / "c.pcap", step_ms=100)
    begun = CLOCK.now().monotonic
    assert replay(path, "--udp", f"{GROUP}:{port}").exit_code == 0
    assert CLOCK.now().monotonic - begun >= 300 * NS_PER_MS


@pytest.mark.parametrize("name", ["radio.pcap", "radio.pcapng"])
def test_of_a_capture_cut_short_every_whole_packet_is_sent_and_it_is_said(tmp_path: Path, port: int, name: str) -> None:
    path = capture(tmp_path / name)
    path.write_bytes(path.read_bytes()[:-7])
    with listening(port) as ear:
        result = replay(path, "--udp", f"{GROUP}:{port}", "--loop", 3)
        assert [each.packet for each in ear.until(3)] == list(PACKETS[:3])
    assert "3 packets sent." in result.stdout
    assert isinstance(result.exception, DecodeError)
    assert "cut short" in str(result.exception)


def test_raw_ethernet_keeps_the_captured_senders_and_a_packet_too_long_for_it_is_said(tmp_path: Path) -> None:
    path = capture(tmp_path / "c.pcap", (*PACKETS, bytes(2_000)))

    async def scene() -> tuple[list[ReceivedPacket], Result]:
        ear = EtherRadio.open(clock=CLOCK, interface="far0")
        result = await asyncio.to_thread(inside)
        heard = [await ear.receive() for _ in PACKETS]
        ear.close()
        return heard, result

    with network_namespaces(1) as (namespace,):
        lay_cable(namespace, "near0", namespace, "far0", mtu=1_500)

        def inside() -> Result:
            with namespace.inside():
                return replay(path, "--ethernet", "near0", "--speed", 100)

        with namespace.inside():
            heard, result = asyncio.run(scene())
    assert [(each.packet, each.sender_mac) for each in heard] == list(zip(PACKETS, MACS, strict=True))
    assert result.exit_code == 1
    assert "4 packets sent.\n1 could not be sent, the last because: near0: cannot send: Message too long" in result.stdout


def test_a_broker_is_given_what_is_still_of_use_and_nothing_else(tmp_path: Path) -> None:
    now = CLOCK.now().require_utc()
    car = Speaker(Hierarchy(2, begin=UtcNs(now - 3_600 * NS_PER_S)))
    fresh = tuple(car.denm(UtcNs(now + number)) for number in range(3))
    path = capture(tmp_path / "c.pcap", (PACKETS[0], *fresh), start=now, step_ms=1)

    async def scene(broker: MosquittoBroker) -> tuple[list[bytes], Result]:
        config = MqttRadioConfig(host=broker.host, port=broker.port)
        ear = open_mqtt_radio(config, clock=CLOCK)
        ear.attend(TURIN)
        await ear.settled()
        result = await asyncio.to_thread(replay, path, "--mqtt", tmp_path / "radio.toml")
        async with asyncio.timeout(30):
            heard = [(await ear.receive()).packet for _ in fresh]
        ear.close()
        return heard, result

    with MosquittoBroker(tmp_path) as broker:
        (tmp_path / "radio.toml").write_text(f'kind = "mqtt"\nhost = "{broker.host}"\nport = {broker.port}\n')
        heard, result = asyncio.run(scene(broker))
    assert heard == list(fresh)
    assert result.exit_code == 0, result.exception
    assert result.stdout == "3 packets sent.\n1 are of no use any more and were not given to the broker.\n"


@pytest.mark.parametrize(
    ("arguments", "kind", "reason"),
    [
        ((), ConfigError, "exactly one says where to"),
        (("--udp", f"{GROUP}:1", "--ethernet", "lo"), ConfigError, "exactly one says where to"),
        (("--udp", GROUP), ConfigError, "is not GROUP:PORT"),
        (("--udp", f"{GROUP}:70000"), ConfigError, "is not GROUP:PORT"),
        (("--udp", f"{GROUP}:4000@nosuch0"), ConfigError, "interface nosuch0 has no IPv4 address"),
        (("--udp", "10.0.0.1:4000"), TransportError, "is not a multicast address"),
        (("--udp", f"{GROUP}:4000@192.0.2.1"), TransportError, "no interface has the address 192.0.2.1"),
        (("--ethernet", "two words"), ConfigError, "cannot be the name of a network interface"),
        (("--mqtt", "/absent.toml"), ConfigError, "cannot be read"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, arguments: tuple[str, ...], kind: type[V2xError], reason: str) -> None:
    result = replay(capture(tmp_path / "c.pcap"), *arguments)
    assert isinstance(result.exception, kind)
    assert reason in str(result.exception)


@pytest.mark.parametrize(("option", "value"), [("--speed", "0"), ("--loop", "0"), ("--speed", "fast")])
def test_wrong_usage_is_status_2(tmp_path: Path, option: str, value: str) -> None:
    assert replay(capture(tmp_path / "c.pcap"), "--udp", f"{GROUP}:4000", option, value).exit_code == 2


def test_what_is_no_capture_or_holds_nothing_is_said(tmp_path: Path, port: int) -> None:
    (tmp_path / "text").write_text("some text that is no capture")
    for path, kind, reason in (
        (tmp_path / "text", DecodeError, "not a pcap capture"),
        (tmp_path / "absent", ConfigError, "is no file"),
        (capture(tmp_path / "empty.pcap", ()), DecodeError, "holds no GeoNetworking packet"),
    ):
        result = replay(path, "--udp", f"{GROUP}:{port}")
        assert isinstance(result.exception, kind)
        assert reason in str(result.exception)
