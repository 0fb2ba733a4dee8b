"""`vehicle-agent run` as a process: a CAN bus and a radio that are real sockets, systemd's notifications, and every way it ends.

The car's bus is python-can's `udp_multicast`, which needs no kernel support and no root. One drive serves all tests of what happens
while the agent runs; each wait is for an event and has an end.
"""

import asyncio
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs, TimeSource
from shared.core.errors import TransportError
from shared.core.geo import displaced
from shared.core.ids import StationType
from shared.messages.cam import Cam
from shared.records.challenge import challenge_text
from shared.records.record import read_record
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.service.status_socket import read_status
from shared.service.system_clock import SystemClock, start_id
from shared.service.trust_directory import read_ticket, read_trust_directory
from shared.stack.inbound import Inbound
from shared.stack.station import Station, StationIdentity, make_station
from shared.transport.can_bus import CanBus, CanBusConfig
from shared.transport.pcap import read_pcap
from shared.transport.udp_radio import LOOPBACK_INTERFACE, UdpRadio
from simulator.ecu import KinematicSample, SimulatedEcu, load_sim_car
from tests.helpers.holder import told, v2x
from tests.helpers.identities import HERE, denm_of, ego
from tests.helpers.multicast import ANY_INTERFACE, free_udp_port, require_multicast
from tests.helpers.vehicle import Identities, issue_identities, write_vehicle_config
from vehicle_agent.holder import read_passport_of

RADIO_GROUP = "239.255.89.48"
CAN_GROUP = "239.74.163.43"
PATIENCE_S = 90.0
"""How long any one event may take on a machine that has much else to do."""

ENOUGH_CAMS = 5
SPEED_MPS = 13.9
ODOMETER_M = 25_088_000.0
PROGRAM = Path(sys.executable).parent / "vehicle-agent"
CLOCK = SystemClock(TimeSource.ASSUME_TRUSTED)
CHALLENGE = challenge_text(bytes(range(16)))


class Car:
    """The simulator's car on its bus, in real time, until told to stop."""

    def __init__(self, bus: CanBusConfig) -> None:
        self._bus = CanBus(bus, clock=CLOCK)

    async def drive(self) -> None:
        """Drive eastward until cancelled."""
        self._bus.open()
        start = CLOCK.now().monotonic
        ecu = SimulatedEcu(load_sim_car(), channel="can0", start=start)
        parked = KinematicSample(position=HERE, heading_deg=90.0, speed_mps=SPEED_MPS, odometer_m=ODOMETER_M)
        try:
            while True:
                now = CLOCK.now().monotonic
                driven_m = SPEED_MPS * (now - start) / NS_PER_S
                sample = replace(parked, position=displaced(HERE, driven_m, 0.0), odometer_m=ODOMETER_M + driven_m)
                for frame in ecu.poll(sample, now):
                    self._bus.send(frame)
                await asyncio.sleep(max(0.0, (ecu.next_due() - CLOCK.now().monotonic) / NS_PER_S))
        finally:
            self._bus.close()


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self) -> None:
        self._name = f"v2x-trust-test-{secrets.token_hex(8)}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + self._name)
        self.said: list[str] = []

    @property
    def environment(self) -> dict[str, str]:
        return {"NOTIFY_SOCKET": f"@{self._name}", "WATCHDOG_USEC": "4000000"}

    def wait_for(self, line: str) -> None:
        """Wait until the service has said `line`."""
        self._socket.settimeout(PATIENCE_S)
        while line not in self.said:
            self.said += self._socket.recv(4_096).decode().splitlines()

    def take(self) -> None:
        """Take what is there: the kernel keeps ten words of a service, and drops the others."""
        self._socket.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                self.said += self._socket.recv(4_096).decode().splitlines()

    def close(self) -> None:
        """Take what is still there, and close."""
        self.take()
        self._socket.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A vehicle's folder, and where its bus and its radio are."""

    directory: Path
    state: Path
    config: Path
    identities: Identities
    can: CanBusConfig
    radio_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What one run of the agent left behind."""

    setup: Setup
    told_systemd: list[str]
    cams: list[Cam]
    heard: Inbound
    status: dict[str, Any]
    status_command: Any
    second_agent: subprocess.CompletedProcess[str]
    inspections: list[subprocess.CompletedProcess[str]]
    exit_code: int
    errors: str
    notices: list[dict[str, Any]]


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    require_multicast(CAN_GROUP, ANY_INTERFACE)
    require_multicast(RADIO_GROUP, LOOPBACK_INTERFACE)
    directory = tmp_path_factory.mktemp("run")
    state = directory / "state"
    state.mkdir()
    identities = issue_identities(directory)
    config = write_vehicle_config(directory, identities, state=state)
    can = CanBusConfig(interface="udp_multicast", channel=CAN_GROUP, options={"port": free_udp_port(), "hop_limit": 0})
    radio_port = free_udp_port()
    text = config.read_text()
    for old, new in (
        ('interface = "socketcan"', 'interface = "udp_multicast"'),
        ('channel = "vcan0"', f'channel = "{CAN_GROUP}"'),
        ("options = { fd = true }", f"options = {{ port = {can.options['port']}, hop_limit = 0 }}"),
        ('kind = "udp"', f'kind = "udp"\ngroup = "{RADIO_GROUP}"\nport = {radio_port}'),
        ("[state]\n", f'[state]\ncommand_socket = "{state}/orders.sock"\n'),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    config.write_text(text)
    return Setup(directory=directory, state=state, config=config, identities=identities, can=can, radio_port=radio_port)


@pytest.fixture(scope="module")
def session(setup: Setup) -> Iterator[Session]:
    """Run the agent once: wait until it is ready, drive, listen, ask, and stop it as systemd would."""
    with ExitStack() as stack:
        systemd = Systemd()
        stack.callback(systemd.close)
        errors = stack.enter_context((setup.directory / "errors").open("w+"))
        process = subprocess.Popen(
            [str(PROGRAM), "run", "-c", str(setup.config)],
            env={**os.environ, **systemd.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        stack.callback(process.wait, PATIENCE_S)
        stack.callback(process.kill)
        systemd.wait_for("READY=1")
        heard = Inbound(neighbour(setup.identities))
        cams, inspections = asyncio.run(listen(setup, heard, systemd))
        systemd.wait_for("WATCHDOG=1")
        status = read_status(setup.state / "status.sock", timeout_s=PATIENCE_S)
        status_command = json.loads(ended("status", "--json", "-c", str(setup.config)).stdout)
        second_agent = ended("run", "-c", str(setup.config))
        systemd.take()
        process.send_signal(signal.SIGTERM)
        exit_code = process.wait(PATIENCE_S)
        systemd.wait_for("STOPPING=1")
        errors.seek(0)
        yield Session(
            setup=setup,
            told_systemd=systemd.said,
            cams=cams,
            heard=heard,
            status=status,
            status_command=status_command,
            second_agent=second_agent,
            inspections=inspections,
            exit_code=exit_code,
            errors=errors.read(),
            notices=[json.loads(line) for line in (setup.state / "notices.jsonl").read_text().splitlines()],
        )


def neighbour(identities: Identities) -> Station:
    return make_station(
        identity=StationIdentity.drawn(StationType.ROAD_SIDE_UNIT, os.urandom),
        ticket=read_ticket(identities.rsu_ticket),
        trust_store=read_trust_directory(identities.trust),
        areas=NO_IDENTIFIED_AREAS,
    )


async def listen(setup: Setup, heard: Inbound, systemd: Systemd) -> tuple[list[Cam], list[subprocess.CompletedProcess[str]]]:
    """Drive the car; warn it of something ahead; return its messages once there are enough and its odometer is anchored.

    While it drives, an inspector asks twice with one challenge; what came of that is returned too.
    """
    radio = UdpRadio.open(clock=CLOCK, group=RADIO_GROUP, port=setup.radio_port)
    car = asyncio.create_task(Car(setup.can).drive())
    unit = neighbour(setup.identities)
    cams: list[Cam] = []
    inspections = []
    try:
        async with asyncio.timeout(PATIENCE_S):
            while len(cams) < ENOUGH_CAMS or not has_anchored(setup) or not has_warned(setup):
                received = await radio.receive()
                assert not car.done(), car
                indication = heard.receive(received.packet, received.received)
                if indication is not None and isinstance(indication.message, Cam):
                    cams.append(indication.message)
                    now = CLOCK.now()
                    ahead = displaced(HERE, 600.0, 0.0)
                    packet = unit.send(denm_of(unit, now, point=ahead), position=ego(now), now=now)
                    await radio.send(packet, source_mac=unit.identity.address.mac)
        for _ in range(2):
            systemd.take()
            inspections.append(await asyncio.to_thread(ended, "inspect", CHALLENGE, "-c", str(setup.config)))
        assert not car.done(), car
    finally:
        car.cancel()
        with suppress(asyncio.CancelledError):
            await car
        radio.close()
    return cams, inspections


def has_anchored(setup: Setup) -> bool:
    return '"odometer_anchored"' in (setup.state / "notices.jsonl").read_text()


def has_warned(setup: Setup) -> bool:
    return '"hazard_ahead"' in (setup.state / "notices.jsonl").read_text()


def ended(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    return subprocess.run([str(PROGRAM), *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE_S)


def test_it_tells_systemd_that_it_is_ready_alive_and_stopping_in_that_order(session: Session) -> None:
    said = session.told_systemd
    assert said.index("READY=1") < said.index("WATCHDOG=1") < said.index("STOPPING=1")
    assert f"STATUS=station {session.status['station_id']}" in said


def test_an_inspector_gets_a_reading_that_was_taken_for_the_challenge_and_checks_it_at_once(session: Session) -> None:
    first, again = session.inspections
    assert first.returncode == 0, first
    assert re.fullmatch(r"record \d+: 25,08\d\.\d km, 20\d\d-\d\d-\d\d \d\d:\d\d UTC(, .*)?\n", first.stderr)
    file = session.setup.directory / "inspected.json"
    file.write_text(first.stdout)
    checking = ("record", "show", file, "--trust", session.setup.identities.trust)
    shown = json.loads(told(v2x(*checking, "--nonce", CHALLENGE.lower(), "--json")))
    assert (shown["verified"], shown["chained"], shown["signed_by"]) == (True, True, "vehicle")
    assert (shown["claims"]["reason"], "boot" in shown["claims"]) == ("inspection", False)
    assert shown["challenge"]["seq"] == shown["seq"]
    assert 0 <= shown["challenge"]["age_ms"] < PATIENCE_S * 10_000
    assert shown["challenge"]["fresh"] is True
    other = v2x(*checking, "--nonce", challenge_text(bytes(16)))
    assert (other.status, "no record shown answers this challenge" in other.error) == (1, True)
    assert (again.returncode, "it was answered before: draw a fresh one" in again.stderr) == (1, True)


def test_its_records_name_this_start_of_the_computer_and_the_time_since(session: Session) -> None:
    spool = session.setup.state / "spool.db"
    passport, _ = read_passport_of(spool)
    boots = [read_record(each.token).boot for each in passport.records]
    assert boots
    for boot in boots:
        assert boot is not None
        assert boot.boot_id == start_id(os.fsencode(spool.resolve()))
        assert 0 < boot.elapsed_ms * NS_PER_MS < CLOCK.now().monotonic


def test_what_it_says_on_the_radio_a_neighbour_believes(session: Session) -> None:
    assert len(session.cams) >= ENOUGH_CAMS
    assert set(session.heard.refused) <= {"signer_certificate_not_found"}
    assert {cam.station_id for cam in session.cams} == {session.status["station_id"]}
    said = [cam.speed_mps for cam in session.cams if cam.speed_mps is not None]
    assert said
    assert all(speed == pytest.approx(SPEED_MPS, abs=0.05) for speed in said)


def test_its_status_is_on_the_socket_and_behind_the_command(session: Session) -> None:
    for status in (session.status, session.status_command):
        assert status["sent"]["cam"] >= ENOUGH_CAMS
        assert status["can"]["frames"] > 0
        assert status["verified"]["denm"] >= 1
        assert status["odometer"]["anchored"] >= 1
        assert status["buses"]["can0"]["endpoint"] == f"udp_multicast:{CAN_GROUP}"
        assert status["buses"]["can0"]["is_up"] is True
        assert status["buses"]["can0"]["received"] >= status["can"]["frames"]
        assert status["notices_unwritten"] == 0


def test_its_driver_was_warned_once_and_its_odometer_kept(session: Session) -> None:
    kinds = [notice["kind"] for notice in session.notices]
    assert kinds.count("hazard_ahead") == 1
    recorded = [notice for notice in session.notices if notice["kind"] == "odometer_recorded"]
    assert next(notice["reason"] for notice in recorded) == "ignition_on"
    assert all(ODOMETER_M <= notice["odometer_m"] < ODOMETER_M + SPEED_MPS * 10 * PATIENCE_S for notice in recorded)


def test_a_stop_is_a_clean_end_with_the_last_reading_in_the_ledger(session: Session) -> None:
    assert session.exit_code == 0
    assert "Traceback" not in session.errors
    for line in session.errors.splitlines():
        assert json.loads(line)["level"] in {"info", "warning"}
    *_, recorded, anchored = session.notices
    assert (recorded["kind"], recorded["reason"]) == ("odometer_recorded", "ignition_off")
    assert (anchored["kind"], anchored["seq"]) == ("odometer_anchored", recorded["seq"])
    assert not (session.setup.state / "status.sock").exists()


def test_it_says_aloud_that_the_clock_is_trusted_unseen(session: Session) -> None:
    assert "the system clock is trusted unseen" in session.errors


def test_a_second_agent_in_the_same_place_goes_away_with_one_line(session: Session) -> None:
    assert session.second_agent.returncode == 1
    (line,) = one_line(session.second_agent.stderr)
    assert line.endswith("spool.db: is in use by another program; a running agent has it to itself")


def one_line(errors: str) -> list[str]:
    """Return what is no JSON line of the log: what a person reads."""
    return [line for line in errors.splitlines() if not line.startswith("{")]


@pytest.fixture
def copy(setup: Setup, session: Session, tmp_path: Path) -> Path:
    """Return a configuration with a copy of the state that the session left."""
    shutil.copytree(setup.state, tmp_path / "state")
    for name in ("sim_car.toml", "sim_car.dbc"):
        shutil.copy(setup.directory / name, tmp_path)
    path = tmp_path / "agent.toml"
    path.write_text(setup.config.read_text().replace(str(setup.state), str(tmp_path / "state")))
    return path


@pytest.mark.parametrize("name", ["log.db", "spool.db"])
@pytest.mark.parametrize("left", [50, -1])
def test_a_store_cut_short_is_one_line_and_a_failure_and_not_an_octet_of_it_is_changed(copy: Path, name: str, left: int) -> None:
    file = copy.parent / "state" / name
    file.write_bytes(file.read_bytes()[:left])
    before = file.read_bytes()
    run = ended("run", "-c", str(copy))
    assert run.returncode == 1
    (line,) = one_line(run.stderr)
    assert line.startswith(f"error: {file}: is cut short")
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("[station]", "[station]\ncolour = 1", "agent.toml: station: unknown key `colour`"),
        ('interface = "udp_multicast"', 'interface = "telepathy"', "can telepathy:"),
        ('notices = "', 'notices = "/absent', "state.notices"),
        (RADIO_GROUP, "10.0.0.1", "radio[0]: 10.0.0.1 is not a multicast address"),
    ],
)
def test_a_bad_configuration_is_one_line_and_status_2(copy: Path, old: str, new: str, sentence: str) -> None:
    text = copy.read_text()
    assert old in text
    copy.write_text(text.replace(old, new))
    run = ended("run", "-c", str(copy))
    assert (run.returncode, run.stdout) == (2, "")
    (line,) = one_line(run.stderr)
    assert "error: " in line
    assert sentence in line


def test_a_radio_that_cannot_be_opened_is_one_line_and_a_failure(copy: Path) -> None:
    text = copy.read_text()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as selfish:
        selfish.bind(("", 0))
        port = selfish.getsockname()[1]
        copy.write_text(re.sub(r"(?m)^port = \d+$", f"port = {port}", text))
        run = ended("run", "-c", str(copy))
    assert run.returncode == 1
    (line,) = one_line(run.stderr)
    assert f"{RADIO_GROUP}:{port}: cannot listen: Address already in use" in line


def test_the_capture_holds_what_was_said(session: Session) -> None:
    inbound = Inbound(neighbour(session.setup.identities))
    for captured in read_pcap(session.setup.state / "radio.pcap"):
        assert inbound.receive(captured.packet, Instant(MonotonicNs(captured.utc), captured.utc)) is not None
    assert inbound.verified["cam"] >= session.status["sent"]["cam"]


def test_a_bus_that_is_not_there_does_not_keep_a_vehicle_from_stopping(copy: Path) -> None:
    systemd = Systemd()
    copy.write_text(
        copy.read_text()
        .replace('interface = "udp_multicast"', 'interface = "socketcan"')
        .replace(f'channel = "{CAN_GROUP}"', 'channel = "nocan7"')
        .replace("options = {", "# options = {")
    )
    process = subprocess.Popen(
        [str(PROGRAM), "run", "-c", str(copy)],
        env={**os.environ, **systemd.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        systemd.wait_for("READY=1")
        status = read_status(copy.parent / "state/status.sock", timeout_s=PATIENCE_S)
        buses = status["buses"]
        assert isinstance(buses, dict)
        assert buses["can0"] == buses["can0"] | {"is_up": False, "received": 0}
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.wait(PATIENCE_S)
        systemd.close()
    assert process.returncode == 0
    assert "Traceback" not in errors


def test_transport_errors_of_the_status_command_are_one_line(copy: Path) -> None:
    run = ended("status", "-c", str(copy))
    assert run.returncode == 1
    with pytest.raises(TransportError, match="no agent is running here"):
        read_status(copy.parent / "state/status.sock")
    assert run.stderr.endswith("no agent is running here\n")
