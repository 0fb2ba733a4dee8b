"""Two agents in two network namespaces, a car and a roadside unit, with a cable between them: raw Ethernet, as on a real radio.

Wireshark listens on the cable too. In mid-drive the cable is pulled and put back. One session serves all tests.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from shared.core.clock import Instant, MonotonicNs
from shared.core.ids import StationType
from shared.network.headers import BASIC_HEADER_OCTETS
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.service.trust_directory import read_ticket, read_trust_directory
from shared.stack.inbound import Inbound
from shared.stack.station import StationIdentity, make_station
from shared.transport.capture import read_capture
from tests.helpers.data import REPOSITORY
from tests.helpers.debian import require
from tests.helpers.namespaces import NetworkNamespace, ip, lay_cable, network_namespaces
from tests.helpers.tshark import layers
from tests.helpers.vehicle import Identities, issue_identities, write_vehicle_config

PROGRAMS = Path(sys.executable).parent
PATIENCE_S = 60.0
CAR, RSU = "car0", "rsu0"

RADIO = """\
[[radio]]
kind = "ethernet"
name = "cable"
interface = "{interface}"
"""


@dataclass(slots=True, kw_only=True)
class Agent:
    """One agent's program in its namespace."""

    program: str
    config: Path
    namespace: NetworkNamespace
    process: subprocess.Popen[bytes] | None = None
    statuses: list[dict[str, Any]] = field(default_factory=list)

    def start(self, stack: ExitStack) -> None:
        with self.errors.open("wb") as errors:
            self.process = self.namespace.start(
                [PROGRAMS / self.program, "run", "-c", self.config],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        stack.callback(self.process.wait, PATIENCE_S)
        stack.callback(self.process.kill)

    @property
    def errors(self) -> Path:
        return self.config.with_suffix(".errors")

    def reaches(self, *conditions: str) -> dict[str, Any]:
        """Wait until its status says so, and return it."""
        waiting = [sys.executable, "-m", "tests.helpers.await_status", str(self.config.parent / "state/status.sock"), *conditions]
        ended = subprocess.run(waiting, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr + self.errors.read_text()
        self.statuses.append(json.loads(ended.stdout))
        return self.statuses[-1]

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.errors.read_text().splitlines()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What one run of both left behind."""

    identities: Identities
    car: Agent
    rsu: Agent
    exit_codes: tuple[int, int]
    on_the_cable: Path


def car_at(directory: Path, identities: Identities, namespace: NetworkNamespace) -> Agent:
    (directory / "state").mkdir(parents=True)
    config = write_vehicle_config(directory, identities, state=directory / "state")
    text = config.read_text()
    for old, new in (
        (
            r"(?s)\[\[radio\]\]\n.*?\n\n",
            RADIO.format(interface=CAR) + '\n[position]\nsource = "fixed"\nlat_deg = 48.137\nlon_deg = 11.574\n\n',
        ),
        (r'interface = "socketcan"', 'interface = "virtual"'),
        (r"options = .*", ""),
        (r"radio\.pcap", "radio.pcapng"),
        (r"\[capture\]", "[capture]\nheard = true"),
    ):
        text, changed = re.subn(old, new, text, count=1)
        assert changed, old
    config.write_text(text)
    return Agent(program="vehicle-agent", config=config, namespace=namespace)


def rsu_at(directory: Path, identities: Identities, namespace: NetworkNamespace) -> Agent:
    (directory / "state").mkdir(parents=True)
    for part in ("plan", "map"):
        shutil.copy(REPOSITORY / f"rsu_agent/junctions/crossing.{part}.toml", directory)
    config = directory / "agent.toml"
    config.write_text(f"""\
[station]
station_id = 4049
lat_deg = 48.137
lon_deg = 11.575

[identity]
ticket = "{identities.rsu_ticket}"
trust = "{identities.trust}"

[time]
source = "assume_trusted"

[junction]
plan = "crossing.plan.toml"
map = "crossing.map.toml"

{RADIO.format(interface=RSU)}
[state]
status_socket = "state/status.sock"
notices = "state/notices.jsonl"
""")
    return Agent(program="rsu-agent", config=config, namespace=namespace)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Let the two talk, pull the cable, put it back, let them talk again, and stop them."""
    tshark = require("tshark", "tshark")
    directory = tmp_path_factory.mktemp("ethernet")
    identities = issue_identities(directory)
    with network_namespaces(2) as (here, there), ExitStack() as stack:
        lay_cable(here, CAR, there, RSU)
        car, rsu = car_at(directory / "car", identities, here), rsu_at(directory / "rsu", identities, there)
        heard = directory / "cable.pcapng"
        listener = there.start(
            [tshark, "-q", "-i", RSU, "-f", "ether proto 0x8947", "-w", heard], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        stack.callback(listener.wait, PATIENCE_S)
        stack.callback(listener.kill)
        assert listener.stderr is not None
        stack.enter_context(listener.stderr)
        while b"Capture started" not in (line := listener.stderr.readline()) and b"Capturing on" not in line:
            assert line, "tshark ended"
        for agent in (car, rsu):
            agent.start(stack)
        car.reaches("verified.spatem>=3", "verified.mapem>=1", "radios.cable.is_up==true")
        rsu.reaches("verified.cam>=3", "radios.cable.is_up==true")
        ip("link", "set", CAR, "down", namespace=here)
        car.reaches("radios.cable.is_up==false", "radios.cable.unsent>=1")
        before = rsu.reaches("radios.cable.is_up==false", "radios.cable.unsent>=1")
        ip("link", "set", CAR, "up", namespace=here)
        car.reaches("radios.cable.is_up==true", f"verified.spatem>={car.statuses[-1]['verified']['spatem'] + 3}")
        rsu.reaches("radios.cable.is_up==true", f"verified.cam>={before['verified']['cam'] + 2}")
        exit_codes = (car.stop(), rsu.stop())
        listener.send_signal(signal.SIGINT)
        listener.wait(PATIENCE_S)
        yield Session(identities=identities, car=car, rsu=rsu, exit_codes=exit_codes, on_the_cable=heard)


def test_both_verify_what_the_other_says_before_and_after_the_cable_was_pulled(session: Session) -> None:
    assert session.exit_codes == (0, 0)
    for agent, kind in ((session.car, "spatem"), (session.rsu, "cam")):
        first, _pulled, last = (status["verified"][kind] for status in agent.statuses)
        assert 0 < first < last
        assert "false_signature" not in agent.statuses[-1]["refused"]


def test_a_pulled_cable_is_told_once_and_counted_and_the_agents_live(session: Session) -> None:
    for agent, interface in ((session.car, CAR), (session.rsu, RSU)):
        changes = [line for line in agent.log() if line.get("what") == "radio cable"]
        assert [line["event"] for line in changes][:2] == ["unavailable", "recovered"]
        assert interface in changes[0]["reason"]
        _first, pulled, last = agent.statuses
        assert pulled["radios"]["cable"]["fault"] in {f"interface {CAR} is down", f"interface {RSU} has no carrier"}
        assert last["radios"]["cable"]["interruptions"] >= 1
        assert last["radios"]["cable"]["dropped_kernel"] == 0


def test_everything_on_the_cable_is_well_formed_to_wireshark(session: Session) -> None:
    fields = ("geonw.ch.htype", "eth.src", "eth.dst", "_ws.malformed", "_ws.expert.message")
    frames = layers(session.on_the_cable, *(part for name in fields for part in ("-e", name)))
    assert len(frames) > 10
    for frame in frames:
        assert frame["eth.dst"] == ["ff:ff:ff:ff:ff:ff"]
        assert "_ws.malformed" not in frame
        assert all("hop limit" in message.lower() for message in frame.get("_ws.expert.message", []))


def test_everything_on_the_cable_is_signed_by_one_of_the_two_and_bears_its_address(session: Session) -> None:
    inbound = Inbound(
        make_station(
            identity=StationIdentity.drawn(StationType.PASSENGER_CAR, os.urandom),
            ticket=read_ticket(session.identities.ticket),
            trust_store=read_trust_directory(session.identities.trust),
            areas=NO_IDENTIFIED_AREAS,
        )
    )
    senders = set()
    for captured in read_capture(session.on_the_cable):
        assert inbound.receive(captured.packet, Instant(MonotonicNs(captured.utc), captured.utc)) is not None
        assert captured.source_mac in captured.packet[BASIC_HEADER_OCTETS:]
        senders.add(captured.source_mac)
    assert inbound.verified["cam"] > 0
    assert inbound.verified["spatem"] > 0
    assert len(senders) >= 2


def test_the_capture_of_the_car_holds_both_directions_under_the_radios_name(session: Session) -> None:
    packets = list(read_capture(session.car.config.parent / "state/radio.pcapng"))
    assert {captured.link for captured in packets} == {"cable"}
    on_the_cable = {captured.packet for captured in read_capture(session.on_the_cable)}
    assert len([captured for captured in packets if captured.packet in on_the_cable]) > 10


def test_a_check_of_the_configuration_names_an_interface_that_is_not_there(session: Session) -> None:
    # Here, outside the namespaces, there is no such interface.
    command = [str(PROGRAMS / "vehicle-agent"), "check-config", "-c", str(session.car.config)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "300"})
    assert ended.returncode == 0, ended.stderr
    assert f"radio cable: Ethernet on {CAR}; at the moment: there is no interface {CAR}" in ended.stdout
