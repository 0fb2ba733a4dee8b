"""Every recorded drive through the whole agent: real people drove, nothing happened, and so nobody is warned of anything.

Two kinds of vehicle are replayed beside the RAV4 of `test_rav4_replay`: a passenger car, an hour from a car park over a motorway to
a town (its bus gives nothing but a GNSS receiver's frames, once a second), and a lorry that idles for two minutes with its parking
brake on, whose accelerometer shakes with the engine by more than an emergency braking needs. What the passenger car does not say is
added so that it speaks against us: ignition on and the brake pedal pressed all the time, the slope of the real speed as
acceleration.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.itstime import utc_from_text
from shared.core.units import KMH_PER_MPS
from shared.service.config import load
from shared.stack.effects import Effect, Notice
from shared.transport.can_frame import CanFrame
from shared.transport.can_log import CanLog
from tests.helpers.data import data_file
from tests.helpers.rav4 import succeed
from vehicle_agent.agent import VehicleAgent
from vehicle_agent.composition import make_agent, open_vehicle
from vehicle_agent.config import VehicleConfig
from vehicle_agent.replay import replay
from vehicle_agent.track import Fix
from vehicle_agent.triggers.emergency_braking import HARD_BRAKING_MPS2
from vehicle_agent.vehicle_state import SignalUpdate, fresh

CAR_LOGS = tuple(f"can/css/car-obd2-gnssodo-2021-00000165-{part}.log.gz" for part in range(1, 7))
LORRY_LOG = "can/css/truck-j1939-vd-gnss-imu-2021.log.gz"
STARTED = "2021-07-26T13:13:39Z"

FALSE_KINDS = ("hazard_", "emergency_")

CONFIG = """\
[station]
length_m = 4.6
width_m = 1.85
[identity]
ticket = "ticket"
enrolment = "enrolment"
trust = "pki/trust"
[time]
source = "assume_trusted"
[[can]]
interface = "virtual"
channel = "can0"
map = "map.toml"
[odometer]
every_m = 1000
[ledger]
log = "{name}.log.db"
key = "{name}.log.key"
policy = "{name}.log.policy"
origin = "drive.example/log"
[state]
spool = "{name}.spool.db"
status_socket = "{name}.sock"
"""

GNSS_FIELDS = """\
[fields.position]
latitude = "gnss_pos.Latitude"
longitude = "gnss_pos.Longitude"
unit = "deg"
max_age_ms = 2500

[fields.heading_deg]
signal = "gnss_attitude.Heading"
unit = "deg"
max_age_ms = 2500
"""

CAR_MAP = """\
name = "passenger car with a GNSS logger"
dbc = "gnss.dbc"

[fields.speed_mps]
signal = "gnss_speed.Speed"
unit = "m/s"
max_age_ms = 2500

"""

LORRY_MAP = """\
name = "lorry on J1939 with a GNSS logger"
dbc = "gnss.dbc"

[fields.speed_mps]
signal = "CCVS1.WheelBasedVehicleSpeed"
unit = "km/h"
max_age_ms = 500

[fields.parking_brake]
signal = "CCVS1.ParkingBrakeSwitch"
choices = { 0 = false, 1 = true, 2 = "unavailable", 3 = "unavailable" }
max_age_ms = 500

[fields.longitudinal_acceleration_mps2]
signal = "gnss_imu.AccelerationX"
unit = "m/s2"
max_age_ms = 300

"""
"""The logger lies somewhere in the cab: which of its axes points ahead is not known, nor needed here."""

POSITION_DBC = """\
VERSION ""
BO_ 3 gnss_pos: 8 Logger
 SG_ Latitude : 1|28@1+ (1E-006,-90) [-90|90] "deg" Car
 SG_ Longitude : 29|29@1+ (1E-006,-180) [-180|180] "deg" Car
BO_ 5 gnss_attitude: 8 Logger
 SG_ Heading : 43|12@1+ (0.1,0) [0|360] "deg" Car
BO_ 7 gnss_speed: 5 Logger
 SG_ Speed : 1|20@1+ (0.001,0) [0|1048.575] "m/s" Car
BO_ 9 gnss_imu: 8 Logger
 SG_ AccelerationX : 1|10@1+ (0.125,-64) [-64|63.875] "m/s2" Car
BO_ 2566844672 CCVS1: 8 Vehicle
 SG_ ParkingBrakeSwitch : 2|2@1+ (1,0) [0|3] "" Car
 SG_ WheelBasedVehicleSpeed : 8|16@1+ (0.00390625,0) [0|250.996] "km/h" Car
"""
"""The frames of the loggers by their DBC files, and of a lorry by SAE J1939-71: PGN 65265 from address 0, SPN 70 and 84."""


class Told:
    """What an agent had to say of hazards during a drive, and the greatest speed it believed in."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.agent: VehicleAgent | None = None
        self.fastest_mps = 0.0

    def perform(self, effect: Effect, now: Instant) -> None:
        if isinstance(effect, Notice) and effect.kind.startswith(FALSE_KINDS):
            self.notices.append(effect)
        if self.agent is not None:
            self.fastest_mps = max(self.fastest_mps, fresh(self.agent.state.speed_mps, now.monotonic) or 0.0)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("drives")
    valid_from = ("--valid-from", "2021-07-01T00:00:00Z")
    succeed("v2x", "pki", "init", "pki", *valid_from, cwd=directory)
    for kind in ("ticket", "enrolment"):
        succeed("v2x", "pki", "issue", "pki", "--kind", kind, "--out", kind, *valid_from, cwd=directory)
    (directory / "gnss.dbc").write_text(POSITION_DBC)
    return directory


def drive(
    directory: Path, monkeypatch: pytest.MonkeyPatch, *, name: str, log: Path, fields: str, beside: tuple[Fix, ...] = ()
) -> Told:
    """Let an agent take part in a recorded drive."""
    monkeypatch.chdir(directory)
    (directory / "map.toml").write_text(fields + GNSS_FIELDS)
    file = directory / f"{name}.toml"
    file.write_text(CONFIG.format(name=name))
    told, start_utc = Told(), utc_from_text(STARTED)
    with open_vehicle(load(file, VehicleConfig), base=directory, environment={}, now=Instant(MonotonicNs(0), start_utc)) as opened:

        def make(started: Instant) -> VehicleAgent:
            told.agent = make_agent(opened.parts, entropy=bytes, started=started)
            return told.agent

        replayed = replay(make, frames=CanLog(log).frames(), track=iter(beside), start_utc=start_utc, perform=told.perform)
    assert replayed.damage is None
    return told


def speeds(log: Path) -> Iterator[tuple[MonotonicNs, float]]:
    """Yield what the GNSS logger says of the speed."""
    for frame in CanLog(log).frames():
        if frame.arbitration_id == 7 and not frame.is_extended:
            yield frame.received, _speed_mps(frame)


def shakes(log: Path) -> Iterator[float]:
    """Yield what the logger in the cab says along its first axis, m/s2."""
    for frame in CanLog(log).frames():
        if frame.arbitration_id == 9 and not frame.is_extended:
            yield (int.from_bytes(frame.data, "little") >> 1 & 0x3FF) / 8 - 64.0


def _speed_mps(frame: CanFrame) -> float:
    return (int.from_bytes(frame.data, "little") >> 1 & 0xFFFFF) / 1_000


def against_us(log: Path) -> Iterator[Fix]:
    """Yield, between two speeds, their slope and a driver who never takes the foot off the brake."""
    for (before, before_mps), (now, now_mps) in pairwise(speeds(log)):
        slope_mps2 = (now_mps - before_mps) * NS_PER_S / max(1, now - before)
        said: dict[str, float | bool] = {
            "ignition_on": True,
            "brake_pedal_pressed": True,
            "low_beam": True,
            "steering_wheel_angle_deg": 0.0,
            "longitudinal_acceleration_mps2": slope_mps2,
        }
        yield now, tuple(SignalUpdate(field=field, value=value, at=now, max_age_ns=2 * NS_PER_S) for field, value in said.items())


@pytest.mark.parametrize("part", range(len(CAR_LOGS)))
def test_an_uneventful_hour_on_danish_roads_is_nobodys_news(part: int, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = data_file(CAR_LOGS[part])
    told = drive(directory, monkeypatch, name=f"car-{part}", log=log, fields=CAR_MAP, beside=tuple(against_us(log)))
    assert told.notices == []
    assert told.fastest_mps == pytest.approx(max(mps for _, mps in speeds(log)), abs=0.01)


def test_the_hour_was_one_of_motorways_and_of_stops() -> None:
    driven = [mps for log in CAR_LOGS for _, mps in speeds(data_file(log))]
    assert max(driven) * KMH_PER_MPS > 80.0
    assert min(driven) == 0.0


def test_a_lorry_that_idles_on_its_parking_brake_warns_nobody_however_much_the_engine_shakes_it(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = data_file(LORRY_LOG)
    on = tuple(
        (
            MonotonicNs(second * NS_PER_S),
            tuple(
                SignalUpdate(field=field, value=True, at=MonotonicNs(second * NS_PER_S), max_age_ns=2 * NS_PER_S)
                for field in ("ignition_on", "brake_pedal_pressed")
            ),
        )
        for second in range(130)
    )
    told = drive(directory, monkeypatch, name="lorry", log=log, fields=LORRY_MAP, beside=on)
    assert told.notices == []
    assert min(shakes(log)) < HARD_BRAKING_MPS2
