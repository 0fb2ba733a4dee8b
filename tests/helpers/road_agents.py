"""Agents as processes on a road of the test's making: a folder each, real sockets, and whatever radios a test names.

Vehicles listen to buses of their own (`tests.helpers.road` drives the cars on them); everybody records what is said and heard.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from shared.cli.pki import app
from shared.core.errors import TransportError
from shared.core.geo import displaced
from shared.messages.cdd import CauseCode
from shared.service.status_socket import read_status
from shared.transport.can_bus import CanBusConfig
from shared.transport.capture import read_capture
from shared.transport.link_frames import UNKNOWN_MAC
from shared.transport.pcap import CapturedPacket
from simulator.ecu import SIM_CAR_MAP
from tests.helpers.broker import TlsAuthority
from tests.helpers.multicast import free_udp_port
from tests.helpers.road import ORIGIN
from tests.helpers.vehicle import put_patient_map

CAN_GROUP = "239.74.163.60"
PATIENCE_S = 120.0
"""A guard against a hung test; nothing waits for it to pass."""

INTERVAL_S = 0.1
RSU_EAST_M = 150.0
PROGRAMS = Path(sys.executable).parent


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
        file = self.state / "notices.jsonl"
        lines = file.read_text().splitlines(keepends=True) if file.exists() else []
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
class RoadScene:
    """Who is there; `directory` holds the authorities and a folder for each agent."""

    directory: Path

    def broker(self, port: int, authority: TlsAuthority, name: str) -> str:
        """Return the radio of an agent of that name by way of a broker on loopback, over TLS and with a certificate."""
        certificate, key = authority.issue(name)
        return (
            f'[[radio]]\nkind = "mqtt"\nname = "cloud"\nhost = "127.0.0.1"\nport = {port}\n'
            f'ca = "{authority.path}"\ncertificate = "{certificate}"\nkey = "{key}"\n'
        )

    def pki(self, *arguments: object) -> None:
        """Have `v2x pki` do something."""
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == 0, result.output

    def vehicle(self, name: str, radio: str, more: str = "") -> tuple[Agent, CanBusConfig]:
        """Issue what a vehicle needs, write its configuration, and name its bus; `more` is the rest of the configuration."""
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

[[can]]
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
{more}""")
        bus = CanBusConfig(interface="udp_multicast", channel=CAN_GROUP, options={"port": can_port, "hop_limit": 0})
        return Agent(program="vehicle-agent", directory=directory), bus

    def unit(self, *radios: str, more: str = "") -> Agent:
        """Issue what a roadside unit needs and write its configuration; `more` is the rest of it."""
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
{more}""")
        return Agent(program="rsu-agent", directory=directory)


async def until(holds: Callable[[], bool], drivers: list[asyncio.Task[None]], what: str) -> None:
    """Wait for something the agents do; the cars drive on meanwhile."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await asyncio.to_thread(holds):
                assert not any(driver.done() for driver in drivers), drivers
                await asyncio.sleep(INTERVAL_S)
    except TimeoutError:
        pytest.fail(f"in {PATIENCE_S:g} s it never came about that {what}")


def captured_by(agent: Agent, *, is_sent: bool) -> list[CapturedPacket]:
    """Return what an agent sent, which bears its address, or heard by media without senders' addresses, as UDP and MQTT are."""
    captured = read_capture(agent.state / "radio.pcapng")
    return [each for each in captured if (each.source_mac != UNKNOWN_MAC) is is_sent]
