"""A real minute of a Toyota RAV4 (comma2k19, MIT): its bus, its GNSS receiver beside it, and what both say is the truth.

The bus log and the arrays share one time base (seconds since the recorder started). The receiver also wrote UTC beside each fix, so
the UTC of the log's first frame follows from all fixes together.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.core.clock import NS_PER_S, UtcNs
from shared.core.itstime import utc_text
from tests.helpers.data import REPOSITORY, data_file
from vehicle_agent.track import HEADER

FIRST_FRAME_S = 46_408.584_930
FRAMES = 98_800
ODOMETER_MILES = (15_589, 15_590)
ODOMETER_M = (25_088_064, 25_089_673)
"""The same in metres, as records state them."""

RAV4_MAP = REPOSITORY / "vehicle_agent/maps/toyota_rav4_2017.toml"

_FOLDER = "can/comma2k19"
_LAT, _LON, _SPEED, _UTC_MS, _ALTITUDE, _BEARING = range(6)

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
map = "{map}"
[odometer]
every_m = 1000
[ledger]
log = "log.db"
key = "log.key"
policy = "log.policy"
origin = "rav4.example/log"
[state]
spool = "spool.db"
status_socket = "status.sock"
"""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What the car's own log and its GNSS receiver recorded.

    Attributes:
        speed_t: seconds on the log's time base.
        speed_mps: the speed the car worked with.
        fix_t: seconds on the log's time base.
        fixes: latitude, longitude, speed m/s, UTC ms, altitude m, bearing degrees.
    """

    speed_t: Array
    speed_mps: Array
    fix_t: Array
    fixes: Array

    @property
    def start_utc(self) -> UtcNs:
        """UTC of the log's first frame, to the millisecond: the median over all fixes of what the receiver said."""
        ahead_s = float(np.median(self.fixes[:, _UTC_MS] / 1e3 - self.fix_t))
        return UtcNs(round((FIRST_FRAME_S + ahead_s) * 1e3) * (NS_PER_S // 1_000))

    def speed_at(self, t: float) -> float:
        """Return the car's speed at a moment of the log, m/s."""
        return float(np.interp(t, self.speed_t, self.speed_mps))

    def place_at(self, t: float) -> tuple[float, float]:
        """Return latitude and longitude at a moment of the log."""
        return float(np.interp(t, self.fix_t, self.fixes[:, _LAT])), float(np.interp(t, self.fix_t, self.fixes[:, _LON]))

    def write_track(self, path: Path) -> None:
        """Write the fixes as `vehicle-agent replay --track` reads them."""
        rows = [
            f"{t:.9f},{fix[_LAT]:.9f},{fix[_LON]:.9f},{fix[_ALTITUDE]:.3f},{fix[_SPEED]:.3f},{fix[_BEARING] % 360.0:.3f}\n"
            for t, fix in zip(self.fix_t, self.fixes, strict=True)
        ]
        path.write_text(f"{HEADER}\n" + "".join(rows))


def bus_log() -> Path:
    """Return the recorded bus; skips the test where it is absent."""
    return data_file(f"{_FOLDER}/rav4-2017-60s.log.gz")


def read_truth() -> Truth:
    """Return what was recorded beside the bus; skips the test where it is absent."""

    def load(name: str) -> Array:
        array: Array = np.load(data_file(f"{_FOLDER}/{name}.npy"))
        return array

    return Truth(
        speed_t=load("CAN_speed_t"),
        speed_mps=load("CAN_speed_value")[:, 0],
        fix_t=load("GNSS_live_gnss_ublox_t"),
        fixes=load("GNSS_live_gnss_ublox_value"),
    )


def command(name: str, *arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a console script of this environment to its end."""
    program = Path(sys.executable).parent / name
    return subprocess.run([str(program), *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False, timeout=300)


def succeed(name: str, *arguments: str | Path, cwd: Path) -> str:
    """Run a console script that has to succeed; returns what it printed."""
    ended = command(name, *arguments, cwd=cwd)
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def set_up_rav4(directory: Path, truth: Truth) -> None:
    """Make the car's folder: authorities and identities valid in 2018, the configuration, the track."""
    valid_from = ("--valid-from", "2018-08-01T00:00:00Z")
    succeed("v2x", "pki", "init", "pki", *valid_from, cwd=directory)
    succeed("v2x", "pki", "issue", "pki", "--kind", "ticket", "--out", "ticket", *valid_from, cwd=directory)
    succeed("v2x", "pki", "issue", "pki", "--kind", "enrolment", "--out", "enrolment", *valid_from, cwd=directory)
    (directory / "agent.toml").write_text(CONFIG.format(map=RAV4_MAP))
    truth.write_track(directory / "track.csv")


def replay_rav4(directory: Path, truth: Truth, log: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Replay a bus log in a folder made by `set_up_rav4`."""
    start_utc = utc_text(truth.start_utc)
    return command(
        "vehicle-agent",
        "replay",
        log,
        *("-c", "agent.toml", "--track", "track.csv", "--start-utc", start_utc),
        *arguments,
        cwd=directory,
    )
