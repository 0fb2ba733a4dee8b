"""Agents that live by their authorities: configurations with `[trust]` and `[pki]`, and the processes that run under them."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.core.errors import TransportError
from shared.service.status_socket import read_status
from simulator.ecu import SIM_CAR_MAP
from tests.helpers.data import REPOSITORY
from tests.helpers.multicast import free_udp_port
from tests.helpers.pki_node import PATIENCE_S, PkiNode, v2x_pki
from tests.helpers.vehicle import put_patient_map

PROGRAMS = Path(sys.executable).parent
RADIO_GROUP = "239.255.89.49"
CAN_GROUP = "239.74.163.44"
TARGET_TICKETS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Air:
    """Ports of the bus and the radio that all agents of one test share."""

    can_port: int = field(default_factory=free_udp_port)
    radio_port: int = field(default_factory=free_udp_port)


@dataclass(slots=True, kw_only=True)
class Agent:
    """One agent as a process, in a folder of its own.

    Attributes:
        program: `vehicle-agent` or `rsu-agent`.
        directory: holds its configuration and its state.
        its_id: the name it is registered under.
        environment: beside the test's own, for its token.
    """

    program: str
    directory: Path
    its_id: str
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        """Its configuration."""
        return self.directory / "agent.toml"

    @property
    def evidence(self) -> Path:
        """Where it keeps evidence."""
        return self.directory / "state/evidence"

    @property
    def errors(self) -> str:
        """What it logged."""
        return (self.directory / "errors").read_text()

    @property
    def notices(self) -> list[dict[str, Any]]:
        """What it told, in order."""
        return [json.loads(line) for line in (self.directory / "state/notices.jsonl").read_text().splitlines()]

    def ended(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the program to its end."""
        command = [str(PROGRAMS / self.program), *arguments, "-c", str(self.config)]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=PATIENCE_S, env={**os.environ, **self.environment}
        )

    def enrol(self, node: PkiNode, role: str) -> str:
        """Make its canonical key, have the operator register it, and enrol; return what it printed."""
        key = self.directory / "canonical.pem"
        shown = self.ended("enrol", "--public-key", str(key))
        assert shown.returncode == 0, shown.stderr
        v2x_pki("register", node.directory, "--its-id", self.its_id, "--key", key, "--role", role)
        done = self.ended("enrol")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self) -> None:
        """Run it as a service does."""
        with (self.directory / "errors").open("ab") as errors:
            self.process = subprocess.Popen(
                [str(PROGRAMS / self.program), "run", "-c", str(self.config)],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def stop(self) -> int:
        """Ask it to stop, and return its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """End it whatever it does."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_S)

    def status(self) -> dict[str, Any] | None:
        """Return its status, None while it cannot be asked."""
        assert self.process is not None
        assert self.process.poll() is None, self.errors
        try:
            return dict(read_status(self.directory / "state/status.sock", timeout_s=PATIENCE_S))
        except TransportError:
            return None

    def reaches(self, condition: Callable[[dict[str, Any]], bool]) -> bool:
        """Say whether its status says so."""
        status = self.status()
        return status is not None and condition(status)


def make_vehicle(directory: Path, node: PkiNode, air: Air, *, its_id: str, keys: str, environment: Mapping[str, str]) -> Agent:
    """Write the configuration of a vehicle that gets everything from its authorities.

    Args:
        directory: new folder for it.
        node: its authorities.
        air: its bus and its radio.
        its_id: the name it will be registered under.
        keys: URI of the store of its long-term keys.
        environment: its token needs.
    """
    state = directory / "state"
    state.mkdir(parents=True)
    put_patient_map(directory / SIM_CAR_MAP.name)
    (directory / "agent.toml").write_text(f"""\
[station]
length_m = 4.6
width_m = 1.8

[time]
source = "assume_trusted"

[[can]]
interface = "udp_multicast"
channel = "{CAN_GROUP}"
map = "{SIM_CAR_MAP.name}"
options = {{ port = {air.can_port}, hop_limit = 0 }}

[odometer]
every_m = 100

[ledger]
log = "state/log.db"
key = "state/log.key"
policy = "state/log.policy"
origin = "{its_id}.example/log"

{_common(node, air, its_id, keys)}
[state]
spool = "state/spool.db"
status_socket = "state/status.sock"
notices = "state/notices.jsonl"
""")
    return Agent(program="vehicle-agent", directory=directory, its_id=its_id, environment=environment)


def make_rsu(directory: Path, node: PkiNode, air: Air, *, its_id: str) -> Agent:
    """Write the configuration of a roadside unit that gets everything from its authorities; arguments as `make_vehicle`."""
    (directory / "state").mkdir(parents=True)
    for part in ("plan", "map"):
        shutil.copy(REPOSITORY / f"rsu_agent/junctions/crossing.{part}.toml", directory / f"junction.{part}.toml")
    (directory / "agent.toml").write_text(f"""\
[station]
station_id = 4049
lat_deg = 48.137
lon_deg = 11.575

[time]
source = "assume_trusted"

[junction]
plan = "junction.plan.toml"
map = "junction.map.toml"

{_common(node, air, its_id, "file:keys")}
[state]
status_socket = "state/status.sock"
notices = "state/notices.jsonl"
""")
    return Agent(program="rsu-agent", directory=directory, its_id=its_id)


def _common(node: PkiNode, air: Air, its_id: str, keys: str) -> str:
    trust = node.directory / "trust"
    return f"""\
[identity]
trust = "{trust}"

[trust]
lists = "state/lists.db"
evidence = "state/evidence"
trust_list_manager = "{node.url}/cpoc"
distribution_centre = "{node.url}/dc"
require_logged = true
log_policy = "{trust}/log.policy"
grace_h = 0

[pki]
its_id = "{its_id}"
keys = "{keys}"
credentials = "state/credentials"
tickets = "state/tickets.db"
target_tickets = {TARGET_TICKETS}

[[radio]]
kind = "udp"
group = "{RADIO_GROUP}"
port = {air.radio_port}

[capture]
file = "state/radio.pcap"
"""
