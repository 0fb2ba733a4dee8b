"""What `v2x bench agent_footprint` measures: how soon an agent is ready, how much memory it holds, and what it costs while idle.

A real agent is started as systemd starts it, with an identity, an embedded log and a bus on which nobody speaks, as in a parked
car; it says READY=1 on a socket of its own. Memory is what the kernel counts as resident once it has settled, processor time what
it counts for all threads of the process. Each figure stands beside what is promised, as the ratio by which it is met; on a machine
that does other work meanwhile the time to READY=1 says little, and the processor time until then, which is told too, says more.
"""

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns, sleep

from shared.bench.figure import Effort, Figure, Measure, Target, Unit, figure_of
from shared.core.clock import NS_PER_MS, NS_PER_S
from shared.core.errors import TransportError

MOST_STARTS = 5
"""Agents started, one after another."""

AIM_READY_MS = 2_000.0
AIM_RESIDENT_MIB = 80e6 / 2**20
AIM_IDLE_PERCENT = 1.0
AIM = "promised"

SETTLE_S = 3.0
"""From READY=1 on, before anything is read: what is done once is done by then."""

LOOK_S, PATIENCE_S = 1.0, 120.0
"""How often it is looked whether an agent is still there, and how long it is waited for."""

MAX_NEWS_OCTETS = 4_096

_FOLDER = Path(__file__).parent
_KIB_PER_MIB = 1_024
_MS_PER_S = 1_000.0
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_USER_TICKS, _SYSTEM_TICKS = 11, 12
"""Of /proc/PID/stat, after the name in parentheses (proc(5): fields 14 and 15)."""

_CONFIG = """\
[station]
length_m = 4.6
width_m = 1.8
[identity]
ticket = "ticket"
enrolment = "enrolment"
trust = "authority/trust"
[time]
source = "assume_trusted"
[[can]]
interface = "udp_multicast"
channel = "239.74.163.2"
map = "{map}"
options = {{ port = {can_port}, hop_limit = 0 }}
[[radio]]
kind = "udp"
port = {radio_port}
[ledger]
log = "log.db"
key = "log.key"
policy = "log.policy"
origin = "bench.example/log"
[state]
spool = "spool.db"
status_socket = "status.sock"
notices = "notices.jsonl"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What one start showed.

    Attributes:
        ready_ms: from the start of the process to READY=1.
        start_ms: processor time until then.
        resident_mib: once it has settled and been idle.
        idle_percent: processor time while idle, of one core.
    """

    ready_ms: float
    start_ms: float
    resident_mib: float
    idle_percent: float


def agent_footprint(effort: Effort) -> Iterable[Figure]:
    """Start a real agent a few times, and look at it."""
    with TemporaryDirectory(prefix="v2x-bench-") as name:
        config = _set_up(Path(name))
        seen = [_look(config, idle_s=effort.load_s) for _ in range(min(effort.rounds, MOST_STARTS))]
    yield _promised(
        "agent_footprint.ready",
        "from the start of the process to READY=1",
        Unit.MILLISECONDS,
        [each.ready_ms for each in seen],
        AIM_READY_MS,
    )
    yield figure_of(
        "agent_footprint.start",
        "processor time of the agent until then",
        Unit.MILLISECONDS,
        [each.start_ms for each in seen],
    )
    yield _promised(
        "agent_footprint.resident",
        "memory the agent holds once it has settled (VmRSS)",
        Unit.MEBIBYTES,
        [each.resident_mib for each in seen],
        AIM_RESIDENT_MIB,
    )
    yield _promised(
        "agent_footprint.idle",
        "of a core, while the bus and the air are silent",
        Unit.PERCENT,
        [each.idle_percent for each in seen],
        AIM_IDLE_PERCENT,
    )


def _promised(name: str, says: str, unit: Unit, values: list[float], aim: float) -> Figure:
    """Make a figure that is to be at most `aim`; its ratio is how many times it would fit."""
    targets = (Target(measure=Measure.MEDIAN_RATIO, bound=1.0),)
    return figure_of(name, says, unit, values, limit=(AIM, [aim] * len(values)), targets=targets)


def _set_up(folder: Path) -> Path:
    """Make authorities, an identity and a configuration; return its file."""
    for words in (
        ("init", "authority"),
        ("issue", "authority", "--kind", "ticket", "--out", "ticket"),
        ("issue", "authority", "--kind", "enrolment", "--out", "enrolment"),
    ):
        command = [sys.executable, "-c", "from shared.cli.command import main; main()", "pki", *words]
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
        if ended.returncode:
            raise TransportError("v2x pki", ended.stderr.strip() or "made no identity")
    file = folder / "vehicle-agent.toml"
    text = _CONFIG.format(map=_FOLDER / "bench_car.toml", can_port=_free_port(), radio_port=_free_port())
    file.write_text(text, encoding="utf-8")
    return file


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


def _look(config: Path, *, idle_s: float) -> Footprint:
    begun_ns = perf_counter_ns()
    with _running(config) as process:
        ready_ms = (perf_counter_ns() - begun_ns) / NS_PER_MS
        start_s = _processor_s(process.pid)
        sleep(min(SETTLE_S, idle_s))
        before_s, before_ns = _processor_s(process.pid), perf_counter_ns()
        sleep(idle_s)
        spent_s = _processor_s(process.pid) - before_s
        passed_s = (perf_counter_ns() - before_ns) / NS_PER_MS / _MS_PER_S
        return Footprint(
            ready_ms=ready_ms,
            start_ms=start_s * _MS_PER_S,
            resident_mib=_resident_mib(process.pid),
            idle_percent=100.0 * spent_s / passed_s,
        )


@contextmanager
def _running(config: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run an agent from the moment it is ready until it has ended in order."""
    command = [sys.executable, "-c", "from vehicle_agent.command import main; main()", "run", "-c", str(config)]
    name = f"v2x-bench-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd, (config.parent / "errors").open("wb") as errors:
        systemd.bind(f"\0{name}")
        systemd.settimeout(LOOK_S)
        environment = {**os.environ, "NOTIFY_SOCKET": f"@{name}"}
        with subprocess.Popen(command, env=environment, stdout=errors, stderr=errors) as process:  # noqa: S603 - our own program
            try:
                _await_ready(process, systemd, config.parent / "errors")
                yield process
                process.terminate()
                process.wait(PATIENCE_S)
            finally:
                process.kill()


def _await_ready(process: "subprocess.Popen[bytes]", systemd: socket.socket, errors: Path) -> None:
    begun_ns = perf_counter_ns()
    while process.poll() is None and perf_counter_ns() - begun_ns < PATIENCE_S * NS_PER_S:
        try:
            if b"READY=1" in systemd.recv(MAX_NEWS_OCTETS).splitlines():
                return
        except TimeoutError:
            continue
    raise TransportError("vehicle-agent", f"did not start: {errors.read_text(encoding='utf-8', errors='replace').strip()}")


def _processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])) * _TICK_S


def _resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / _KIB_PER_MIB
    raise TransportError("vehicle-agent", "ended while it was looked at")
