"""A car brakes and breaks down; a car two hops away on another network and a car behind a broker are told, each once, and told when
it is over.

    network A (multicast)          network B (multicast)
      car A ---- hop 1 ---- RSU ---- hop 2 ---- car B
                             |
                             +---- MQTT over TLS ---- car C

Four agents as processes on real sockets, three cars driven on real buses, one broker with client certificates. Every packet that
anybody sent or heard is then shown to tshark.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from shared.cli.pki import app
from shared.core.errors import TransportError
from shared.core.geo import displaced
from shared.messages.cdd import CauseCode
from shared.network.headers import BASIC_HEADER_OCTETS
from shared.service.status_socket import read_status
from shared.transport.can_bus import CanBusConfig
from shared.transport.capture import read_capture
from shared.transport.link_frames import UNKNOWN_MAC
from shared.transport.udp_radio import LOOPBACK_INTERFACE
from simulator.ecu import SIM_CAR_MAP, Body
from tests.helpers.broker import MosquittoBroker, TlsAuthority
from tests.helpers.multicast import ANY_INTERFACE, free_udp_port, require_multicast
from tests.helpers.road import ORIGIN, RoadCar
from tests.helpers.tshark import complaints
from tests.helpers.vehicle import put_patient_map

GROUP_A, GROUP_B = "239.255.89.60", "239.255.89.61"
CAN_GROUP = "239.74.163.60"
PATIENCE_S = 120.0
INTERVAL_S = 0.1
PROGRAMS = Path(sys.executable).parent
CREEP_MPS, FAST_MPS = 3.0, 16.0
RSU_EAST_M = 150.0
BRAKING, STANDING = CauseCode.DANGEROUS_SITUATION, CauseCode.STATIONARY_VEHICLE


@dataclass(slots=True, kw_only=True)
class Agent:
    """One agent as a process, in a folder of its own."""

    program: str
    directory: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def state(self) -> Path:
        return self.directory / "state"

    @property
    def errors(self) -> str:
        return (self.directory / "errors").read_text()

    @property
    def notices(self) -> list[dict[str, Any]]:
        lines = (self.state / "notices.jsonl").read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def told(self, kind: str, cause: CauseCode) -> list[tuple[int, int]]:
        """Return the action ids of the hazards of one cause that the driver was told `kind` of."""
        return [
            (each["originating_station_id"], each["sequence_number"])
            for each in self.notices
            if each["kind"] == kind and each["cause_code"] == cause
        ]

    def start(self) -> None:
        with (self.directory / "errors").open("ab") as errors:
            self.process = subprocess.Popen(
                [str(PROGRAMS / self.program), "run", "-c", str(self.directory / "agent.toml")],
                env=dict(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_S)

    def status(self) -> dict[str, Any]:
        """Return its status; nothing while it cannot be asked."""
        assert self.process is not None
        assert self.process.poll() is None, self.errors
        try:
            return dict(read_status(self.state / "status.sock"))
        except TransportError:
            return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Who is there, and by which media."""

    directory: Path
    port_a: int = field(default_factory=free_udp_port)
    port_b: int = field(default_factory=free_udp_port)

    @property
    def network_a(self) -> str:
        return f'[[radio]]\nkind = "udp"\nname = "a"\ngroup = "{GROUP_A}"\nport = {self.port_a}\n'

    @property
    def network_b(self) -> str:
        return f'[[radio]]\nkind = "udp"\nname = "b"\ngroup = "{GROUP_B}"\nport = {self.port_b}\n'

    def broker(self, port: int, authority: TlsAuthority, name: str) -> str:
        certificate, key = authority.issue(name)
        return (
            f'[[radio]]\nkind = "mqtt"\nname = "cloud"\nhost = "127.0.0.1"\nport = {port}\n'
            f'ca = "{authority.path}"\ncertificate = "{certificate}"\nkey = "{key}"\n'
        )

    def pki(self, *arguments: object) -> None:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == 0, result.output

    def vehicle(self, name: str, radio: str) -> tuple[Agent, CanBusConfig]:
        """Issue what a vehicle needs, write its configuration, and name its bus."""
        directory = self.directory / name
        (directory / "state").mkdir(parents=True)
        for kind in ("ticket", "enrolment"):
            self.pki("issue", self.directory / "pki", "--kind", kind, "--out", directory / kind)
        put_patient_map(directory / SIM_CAR_MAP.name)
        can_port = free_udp_port()
        (directory / "agent.toml").write_text(f"""\
[station]
length_m = 4.6
width_m = 1.8

[identity]
ticket = "ticket"
enrolment = "enrolment"
trust = "../pki/trust"

[time]
source = "assume_trusted"

[can]
interface = "udp_multicast"
channel = "{CAN_GROUP}"
map = "{SIM_CAR_MAP.name}"
options = {{ port = {can_port}, hop_limit = 0 }}

{radio}
[capture]
file = "state/radio.pcapng"
heard = true

[ledger]
log = "state/log.db"
key = "state/log.key"
policy = "state/log.policy"
origin = "{name}.example/log"

[state]
spool = "state/spool.db"
status_socket = "state/status.sock"
notices = "state/notices.jsonl"
""")
        bus = CanBusConfig(interface="udp_multicast", channel=CAN_GROUP, options={"port": can_port, "hop_limit": 0})
        return Agent(program="vehicle-agent", directory=directory), bus

    def unit(self, *radios: str) -> Agent:
        """Issue what a roadside unit needs and write its configuration."""
        directory = self.directory / "rsu"
        (directory / "state").mkdir(parents=True)
        self.pki("issue", self.directory / "pki", "--kind", "ticket", "--role", "rsu", "--out", directory / "ticket")
        place = displaced(ORIGIN, RSU_EAST_M, 10.0)
        (directory / "agent.toml").write_text(f"""\
[station]
station_id = 4049
lat_deg = {place.lat_deg}
lon_deg = {place.lon_deg}

[identity]
ticket = "ticket"
trust = "../pki/trust"

[time]
source = "assume_trusted"

{"".join(radios)}
[capture]
file = "state/radio.pcapng"
heard = true

[state]
status_socket = "state/status.sock"
notices = "state/notices.jsonl"
""")
        return Agent(program="rsu-agent", directory=directory)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """What is left of the drive: the agents' folders."""

    braking: Agent
    unit: Agent
    behind: Agent
    elsewhere: Agent
    statuses: dict[str, dict[str, Any]]
    exits: tuple[int, ...]

    @property
    def agents(self) -> tuple[Agent, ...]:
        return (self.braking, self.unit, self.behind, self.elsewhere)


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drive]:
    require_multicast(CAN_GROUP, ANY_INTERFACE)
    require_multicast(GROUP_A, LOOPBACK_INTERFACE)
    scene = Scene(directory=tmp_path_factory.mktemp("networks"))
    scene.pki("init", scene.directory / "pki")
    with ExitStack() as stack:
        authority = TlsAuthority(scene.directory)
        broker = stack.enter_context(MosquittoBroker(scene.directory, authority=authority))
        braking, bus_a = scene.vehicle("braking", scene.network_a)
        behind, bus_b = scene.vehicle("behind", scene.network_b)
        elsewhere, bus_c = scene.vehicle("elsewhere", scene.broker(broker.port, authority, "elsewhere"))
        unit = scene.unit(scene.network_a, scene.network_b, scene.broker(broker.port, authority, "unit"))
        agents = (braking, unit, behind, elsewhere)
        for agent in agents:
            agent.start()
            stack.callback(agent.kill)
        cars = (
            RoadCar(bus_a, east_m=0.0, speed_mps=CREEP_MPS),
            RoadCar(bus_b, east_m=-120.0, speed_mps=CREEP_MPS),
            RoadCar(bus_c, east_m=-150.0, speed_mps=CREEP_MPS),
        )
        statuses = asyncio.run(story(cars, *agents))
        yield Drive(
            braking=braking,
            unit=unit,
            behind=behind,
            elsewhere=elsewhere,
            statuses=statuses,
            exits=tuple(agent.stop() for agent in agents),
        )


async def story(
    cars: tuple[RoadCar, ...], braking: Agent, unit: Agent, behind: Agent, elsewhere: Agent
) -> dict[str, dict[str, Any]]:
    """Let the first car brake, stand, and drive on, each when the last has reached everybody; return what the agents counted."""
    drivers = [asyncio.create_task(car.drive()) for car in cars]
    ahead = cars[0]
    hearers = (behind, elsewhere)
    try:
        await until(lambda: unit.status().get("verified", {}).get("cam", 0) >= 3, drivers, "the unit hears the car ahead")
        await until(lambda: all(each.status().get("verified") for each in hearers), drivers, "both others hear the unit")
        ahead.go(FAST_MPS, rate_mps2=3.0)
        await until(lambda: ahead.speed_mps == FAST_MPS, drivers, "it drives fast")
        ahead.go(0.0, rate_mps2=7.8)
        await until(lambda: all(each.told("hazard_ahead", BRAKING) for each in hearers), drivers, "braking is told")
        await until(lambda: ahead.speed_mps == 0.0, drivers, "the car stands")
        ahead.switch(hazard_lights=True, doors_open=True, body=Body(breakdown=True))
        await until(lambda: all(each.told("hazard_ahead", STANDING) for each in hearers), drivers, "the breakdown is told")
        ahead.switch()
        ahead.go(FAST_MPS, rate_mps2=2.0)
        await until(lambda: all(each.told("hazard_ended", STANDING) for each in hearers), drivers, "its end is told")
        return {each.directory.name: each.status() for each in (braking, unit, behind, elsewhere)}
    finally:
        for driver in drivers:
            driver.cancel()
        await asyncio.gather(*drivers, return_exceptions=True)


async def until(holds: Callable[[], bool], drivers: list[asyncio.Task[None]], what: str) -> None:
    """Wait for something the agents do; the cars drive on meanwhile."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await asyncio.to_thread(holds):
                assert not any(driver.done() for driver in drivers), drivers
                await asyncio.sleep(INTERVAL_S)
    except TimeoutError:
        pytest.fail(f"in {PATIENCE_S:g} s it never came about that {what}")


@pytest.mark.parametrize("cause", [BRAKING, STANDING])
def test_a_hazard_reaches_the_other_network_and_the_broker_exactly_once(drive: Drive, cause: CauseCode) -> None:
    (event,) = set(drive.behind.told("hazard_ahead", cause))
    station_id, _ = event
    assert station_id == drive.statuses["braking"]["station_id"]
    for hearer in (drive.behind, drive.elsewhere):
        assert hearer.told("hazard_ahead", cause) == [event]


def test_its_end_is_told_to_everybody_once(drive: Drive) -> None:
    for hearer in (drive.behind, drive.elsewhere):
        assert hearer.told("hazard_ended", STANDING) == hearer.told("hazard_ahead", STANDING)


def test_the_unit_changed_the_hop_limit_and_nothing_else(drive: Drive) -> None:
    said = {packet[BASIC_HEADER_OCTETS:]: packet for packet in packets(drive.braking, is_sent=True) if is_geocast(packet)}
    assert said
    for hearer in (drive.behind, drive.elsewhere):
        passed_on = [packet for packet in packets(hearer, is_sent=False) if packet[BASIC_HEADER_OCTETS:] in said]
        assert passed_on
        originals = [said[packet[BASIC_HEADER_OCTETS:]] for packet in passed_on]
        assert [packet[:3] for packet in passed_on] == [original[:3] for original in originals]
        first, hops = originals[0], [original[3] - packet[3] for packet, original in zip(passed_on, originals, strict=True)]
        assert passed_on[0][3] == first[3] - 1
        assert set(hops) <= {1, 2}, "what took two hops is the hearer's own repetition, come back to it"


def test_nobody_refused_anybody(drive: Drive) -> None:
    """But for what came before its signer was known, and what had grown old while an agent was still starting."""
    for name, status in drive.statuses.items():
        assert set(status["refused"]) <= {"signer_certificate_not_found", "invalid_timestamp"}, name
        assert sum(status["refused"].values()) < sum(status["verified"].values()), name
    assert drive.exits == (0, 0, 0, 0)


def test_everything_said_and_heard_is_well_formed_to_others(drive: Drive) -> None:
    for agent in drive.agents:
        assert not complaints(agent.state / "radio.pcapng"), agent.directory.name


def packets(agent: Agent, *, is_sent: bool) -> list[bytes]:
    """Return what an agent sent, which bears its address, or heard, for neither of these media has senders' addresses."""
    captured = read_capture(agent.state / "radio.pcapng")
    return [each.packet for each in captured if (each.source_mac != UNKNOWN_MAC) is is_sent]


def is_geocast(packet: bytes) -> bool:
    return packet[3] > 1
