"""What a vehicle agent needs on disk, made by the project's own commands: authorities, a ticket, an enrolment credential, a map."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from shared.cli.pki import app
from simulator.ecu import SIM_CAR_DBC, SIM_CAR_MAP


@dataclass(frozen=True, slots=True, kw_only=True)
class Identities:
    """Folders as `v2x pki` makes them."""

    trust: Path
    ticket: Path
    enrolment: Path
    rsu_ticket: Path


def issue_identities(directory: Path) -> Identities:
    """Make authorities in `directory` and issue what one vehicle and one roadside unit need."""
    authority = directory / "authority"
    made = Identities(
        trust=authority / "trust",
        ticket=directory / "vehicle/ticket",
        enrolment=directory / "vehicle/enrolment",
        rsu_ticket=directory / "rsu/ticket",
    )
    for command in (
        ("init", str(authority)),
        ("issue", str(authority), "--kind", "ticket", "--out", str(made.ticket)),
        ("issue", str(authority), "--kind", "enrolment", "--out", str(made.enrolment)),
        ("issue", str(authority), "--kind", "ticket", "--role", "rsu", "--out", str(made.rsu_ticket)),
    ):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
    return made


PATIENCE = 20


def put_patient_map(path: Path) -> None:
    """Write the map of the simulator's car to `path` and its DBC beside it, with values that stay fresh much longer.

    For agents in a guest whose processor may be slow by any factor: what is tested there is behaviour, and ages are tested
    elsewhere on a clock that the test holds.
    """
    text, changed = re.subn(
        r"(?m)^max_age_ms = (\d+)$", lambda age: f"max_age_ms = {int(age[1]) * PATIENCE}", SIM_CAR_MAP.read_text()
    )
    assert changed
    path.write_text(text)
    shutil.copy(SIM_CAR_DBC, path.parent)


def write_vehicle_config(directory: Path, identities: Identities, *, state: Path) -> Path:
    """Write the configuration of an agent that listens to the simulator's car on `vcan0`; returns its path.

    Args:
        directory: for the configuration and the map.
        identities: whose the agent is.
        state: folder for everything the agent keeps.
    """
    put_patient_map(directory / SIM_CAR_MAP.name)
    config = directory / "agent.toml"
    config.write_text(f"""\
[station]
length_m = 4.6
width_m = 1.8

[identity]
ticket = "{identities.ticket}"
enrolment = "{identities.enrolment}"
trust = "{identities.trust}"

[time]
source = "assume_trusted"

[[can]]
interface = "socketcan"
channel = "vcan0"
map = "{SIM_CAR_MAP.name}"
options = {{ fd = true }}

[[radio]]
kind = "udp"

[capture]
file = "{state}/radio.pcap"

[odometer]
every_m = 50

[ledger]
log = "{state}/log.db"
key = "{state}/log.key"
policy = "{state}/log.policy"
origin = "vehicle.example/log"

[state]
spool = "{state}/spool.db"
status_socket = "{state}/status.sock"
notices = "{state}/notices.jsonl"
""")
    return config
