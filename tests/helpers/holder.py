"""The commands of issuers, requesters and a vehicle's holder, run in this process: what they print, or the error they end with."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from random import Random

import typer
from typer.testing import CliRunner

from shared.cli.main import app as v2x_app
from shared.core.clock import NS_PER_MS, TimeSource, UtcNs
from shared.core.errors import V2xError
from shared.core.itstime import utc_text
from shared.records.odometer import OdometerSource, RecordReason
from shared.records.recorder import Recorder
from shared.service.config import load
from shared.service.run import exit_code_of
from shared.service.system_clock import SystemClock
from simulator.ecu import SIM_CAR_DBC, SIM_CAR_MAP
from tests.unit.vehicle_agent.vehicle_files import CONFIG
from vehicle_agent.cli import app as vehicle_app
from vehicle_agent.composition import open_vehicle
from vehicle_agent.config import VehicleConfig

PURPOSE = "Premium by distance for 2026"
MINUTE_NS = 60_000 * NS_PER_MS
DAY_NS = 1_440 * MINUTE_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended."""

    out: str
    status: int
    error: str


def v2x(*words: object) -> Ended:
    """Run `v2x`."""
    return _run(v2x_app, words)


def vehicle(*words: object) -> Ended:
    """Run `vehicle-agent`."""
    return _run(vehicle_app, words)


def _run(app: typer.Typer, words: tuple[object, ...]) -> Ended:
    result = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "300"})
    error = result.exception
    if error is None or isinstance(error, SystemExit):
        return Ended(out=result.stdout, status=result.exit_code, error=result.stderr)
    if not isinstance(error, V2xError):
        raise error
    return Ended(out=result.stdout, status=exit_code_of(error), error=str(error))


def told(ended: Ended) -> str:
    """Return what a command that must end well printed."""
    assert ended.status == 0, ended
    return ended.out


def moment(*, days: int = 0) -> str:
    """Return the present, or a moment some days from it, as records spell it."""
    utc = SystemClock(TimeSource.ASSUME_TRUSTED).now().require_utc()
    return utc_text(UtcNs(utc - utc % NS_PER_MS + days * DAY_NS))


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A folder with authorities, a vehicle's configuration, and folders of others who are enrolled, named as their role."""

    folder: Path

    @property
    def pki(self) -> Path:
        """The authorities."""
        return self.folder / "pki"

    @property
    def trust(self) -> Path:
        """What everybody trusts."""
        return self.pki / "trust"

    @property
    def config(self) -> Path:
        """Of the vehicle."""
        return self.folder / "agent.toml"

    @property
    def policy(self) -> Path:
        """Of the vehicle's own log; made when it first runs."""
        return self.folder / "state/log.policy"

    def enrol(self, role: str, name: str | None = None) -> Path:
        """Enrol somebody and return the folder."""
        folder = self.folder / (name or role)
        told(v2x("pki", "issue", self.pki, "--kind", "enrolment", "--role", role, "--out", folder))
        return folder

    def write_maintenance(self, **changes: str) -> Path:
        """Write what a garage states about a service, as TOML; a change is a line's value, empty for no such line."""
        claims = {"occurred": moment(), "odometer_m": "12_345_000", "works": '["oil", "filters"]', "fault_codes": "[]"} | changes
        path = self.folder / f"fields-{len(list(self.folder.glob('fields-*')))}.toml"
        path.write_text("".join(f"{name} = {value}\n" for name, value in claims.items() if value))
        return path


def make_world(folder: Path) -> World:
    """Make authorities and a vehicle with a command socket, whose agent does not run yet."""
    world = World(folder=folder)
    told(v2x("pki", "init", world.pki))
    told(v2x("pki", "issue", world.pki, "--kind", "ticket", "--out", folder / "ticket"))
    told(v2x("pki", "issue", world.pki, "--kind", "enrolment", "--out", folder / "enrolment"))
    for file in (SIM_CAR_DBC, SIM_CAR_MAP):
        shutil.copy(file, folder)
    (folder / "state").mkdir()
    text = CONFIG.replace('trust = "trust"', 'trust = "pki/trust"') + 'command_socket = "state/orders.sock"\n'
    world.config.write_text(text + 'notices = "state/notices.jsonl"\n')
    return world


def drive(config: Path, readings_m: tuple[int, ...]) -> None:
    """Record readings while no agent runs, as the agent makes them."""
    now = SystemClock(TimeSource.ASSUME_TRUSTED).now()
    with open_vehicle(load(config, VehicleConfig), base=config.parent, environment=os.environ, now=now) as opened:
        parts = opened.parts
        recorder = Recorder(signer=parts.enrolled, store=parts.spool, entropy=Random(1).randbytes, boot_id=bytes(16))
        for reading in readings_m:
            source = OdometerSource(name="cluster", odometer_m=reading, age_ms=0)
            recorder.record_reading(odometer_m=reading, reason=RecordReason.TIME, sources=(source,), flags=(), at=now)
