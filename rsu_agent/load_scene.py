"""A roadside unit under load, and nothing of it made up: `rsu-agent run` as a process with all its parts, its senders as another.

    senders -- UDP multicast on loopback --> unit -- the same --> ear
                                              |-- metrics and status, which somebody reads every second

The ear is told by the kernel when each of the unit's packets came, so that what keeps this process waiting is not in its times;
what the senders say does not even wake it. Processor time and memory of the unit are the kernel's account of its process. The radio
is a wire: 4,000 packets a second are more than one channel of ITS-G5 carries, and on a full one nobody speaks ten times a second.
"""

import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from ctypes import addressof, create_string_buffer
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from resource import getpagesize
from struct import Struct
from threading import Thread
from time import sleep
from types import TracebackType
from typing import IO, Self

import msgspec

import rsu_agent.junctions
from rsu_agent.load_senders import MIDDLE, Order, Spoken
from shared.core.clock import NS_PER_S, UtcNs
from shared.core.errors import TransportError
from shared.network.packet import MAX_PACKET_OCTETS
from shared.service.status_socket import read_status
from shared.transport.udp_radio import DEFAULT_GROUP, LOOPBACK_INTERFACE

PATIENCE_S = 60.0
"""For a process that starts, or ends."""

LOOK_S = 0.1
"""Between two looks whether a unit has started."""

METRICS_TIMEOUT_S = 10.0
STATION_ID = 4049
WARNING_EVERY_S = 0.5

_JUNCTIONS = Path(rsu_agent.junctions.__file__).parent
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")

# linux/filter.h: load the datagram's source port; take what comes from the unit's, drop what does not.
_INSTRUCTION = Struct("@HBBI")
_PROGRAM = Struct("@HxxxxxxQ")
_SO_ATTACH_FILTER = 26
_LOAD_SOURCE_PORT, _IF_EQUAL, _RETURN = 0x28, 0x15, 0x06

_SO_TIMESTAMPNS = 35
_TIMESTAMP = Struct("@qq")


def config_of(*, port: int, metrics_port: int) -> str:
    """Return the configuration of a unit with everything switched on that needs nobody else."""
    return f"""\
[station]
station_id = {STATION_ID}
lat_deg = {MIDDLE.lat_deg}
lon_deg = {MIDDLE.lon_deg}
[identity]
ticket = "ticket"
trust = "trust"
[time]
source = "assume_trusted"
[state]
status_socket = "status.sock"
notices = "notices.jsonl"
hazards = "hazards.json"
command_socket = "orders.sock"
[[radio]]
kind = "udp"
port = {port}
channel = "none"
[junction]
plan = "{_JUNCTIONS / "crossing.plan.toml"}"
map = "{_JUNCTIONS / "crossing.map.toml"}"
[[hazard]]
cause = "roadworks"
lat_deg = {MIDDLE.lat_deg}
lon_deg = {MIDDLE.lon_deg - 0.005:.4f}
relevance_distance_m = 500
radius_m = 1000
repetition_s = {WARNING_EVERY_S}
[corroboration]
witnesses = 2
[evidence]
file = "evidence.db"
[http]
listen = "{LOOPBACK_INTERFACE}:0"
[metrics]
listen = "{LOOPBACK_INTERFACE}:{metrics_port}"
"""


class RunningSenders:
    """The process of those who speak.

    Args:
        process: `rsu_agent.load_senders`.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._read_line()

    def begin(self, order: Order) -> None:
        """Have them speak; returns at once."""
        stdin = _pipe(self._process.stdin)
        stdin.write(msgspec.json.encode(order) + b"\n")
        stdin.flush()

    def have_spoken(self, *, within_s: float) -> bool:
        """Wait at most so long; return whether they are done."""
        return bool(select.select([_pipe(self._process.stdout)], [], [], within_s)[0])

    def spoken_by(self, order: Order) -> Spoken:
        """Have them speak and wait for it."""
        self.begin(order)
        return self.spoken()

    def spoken(self) -> Spoken:
        """Return what they did, once they are done."""
        return msgspec.json.decode(self._read_line(), type=Spoken)

    def _read_line(self) -> bytes:
        if not self.have_spoken(within_s=PATIENCE_S) or not (line := _pipe(self._process.stdout).readline()):
            raise TransportError("senders", "their process does not answer")
        return line


@contextmanager
def running_senders(folder: Path, *, cars: int, port: int) -> Iterator[RunningSenders]:
    """Have cars ready to speak, and what a unit needs to believe them in a folder."""
    command = [sys.executable, "-m", "rsu_agent.load_senders", str(folder), str(cars), DEFAULT_GROUP, str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603 - this very program
        try:
            yield RunningSenders(process)
        finally:
            process.kill()


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What the kernel and the unit's metrics say of it at one moment.

    Attributes:
        processor_s: processor time it has used.
        resident_octets: memory.
        metrics: every sample by its name with labels.
    """

    processor_s: float
    resident_octets: int
    metrics: dict[str, float]


class RunningUnit:
    """The process of the unit.

    Args:
        process: `rsu-agent run`.
        folder: its files.
        metrics_port: where it says its metrics.
    """

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, metrics_port: int) -> None:
        self._process = process
        self._folder = folder
        self._metrics_port = metrics_port

    def status(self) -> dict[str, object]:
        """Return its status; raises `TransportError` while it cannot be asked."""
        return read_status(self._folder / "status.sock", timeout_s=METRICS_TIMEOUT_S)

    def account(self) -> Account:
        """Take the present account."""
        proc = Path(f"/proc/{self._process.pid}")
        behind_name = (proc / "stat").read_text(encoding="ascii").rpartition(") ")[2].split()
        pages = int((proc / "statm").read_text(encoding="ascii").split()[1])
        return Account(
            processor_s=(int(behind_name[11]) + int(behind_name[12])) / _TICKS_PER_S,
            resident_octets=pages * getpagesize(),
            metrics=self._metrics(),
        )

    def await_ready(self) -> None:
        """Wait until it answers; raises `TransportError` when it does not."""
        for _ in range(round(PATIENCE_S / LOOK_S)):
            if self._process.poll() is not None:
                break
            try:
                self.status()
            except TransportError:
                sleep(LOOK_S)
            else:
                return
        raise TransportError("rsu-agent", f"did not start: {(self._folder / 'errors').read_text()}")

    def _metrics(self) -> dict[str, float]:
        connection = HTTPConnection(LOOPBACK_INTERFACE, self._metrics_port, timeout=METRICS_TIMEOUT_S)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        except (OSError, HTTPException) as error:
            raise TransportError("rsu-agent", f"gives no metrics: {error}") from error
        finally:
            connection.close()
        samples = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name.removeprefix("v2x_rsu_"): float(value) for name, _, value in samples}


@contextmanager
def running_unit(folder: Path, *, port: int) -> Iterator[RunningUnit]:
    """Run a unit in a folder with its trust and its ticket, until it has ended in order."""
    metrics_port = free_port(socket.SOCK_STREAM)
    file = folder / "rsu-agent.toml"
    file.write_text(config_of(port=port, metrics_port=metrics_port), encoding="ascii")
    command = [sys.executable, "-c", "from rsu_agent.command import main; main()", "run", "-c", str(file)]
    with (folder / "errors").open("wb") as errors, subprocess.Popen(command, stdout=errors, stderr=errors) as process:  # noqa: S603
        try:
            running = RunningUnit(process, folder, metrics_port)
            running.await_ready()
            yield running
            process.terminate()
            process.wait(PATIENCE_S)
        finally:
            process.kill()


@dataclass(frozen=True, slots=True)
class Heard:
    """One packet of the unit, and when it came."""

    at: UtcNs
    packet: bytes


class Ear(AbstractContextManager["Ear"]):
    """Hears what the unit says while it is entered.

    Args:
        port: of the unit's radio.
    """

    def __init__(self, port: int) -> None:
        self.heard: list[Heard] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._hear_only(port)
        self._socket.bind((DEFAULT_GROUP, port))
        membership = socket.inet_aton(DEFAULT_GROUP) + socket.inet_aton(LOOPBACK_INTERFACE)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        self._socket.settimeout(LOOK_S)
        self._is_open = True
        self._thread = Thread(target=self._listen, name="ear", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._is_open = False
        self._thread.join()
        self._socket.close()

    def _hear_only(self, source_port: int) -> None:
        instructions = (
            (_LOAD_SOURCE_PORT, 0, 0, 0),
            (_IF_EQUAL, 0, 1, source_port),
            (_RETURN, 0, 0, MAX_PACKET_OCTETS + 1),
            (_RETURN, 0, 0, 0),
        )
        program = create_string_buffer(b"".join(_INSTRUCTION.pack(*each) for each in instructions))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, _PROGRAM.pack(len(instructions), addressof(program)))

    def _listen(self) -> None:
        while self._is_open:
            try:
                packet, told, _flags, _sender = self._socket.recvmsg(MAX_PACKET_OCTETS + 1, socket.CMSG_SPACE(_TIMESTAMP.size))
            except TimeoutError:
                continue
            (_level, _kind, stamp) = told[0]
            seconds, nanoseconds = _TIMESTAMP.unpack(stamp)
            self.heard.append(Heard(UtcNs(seconds * NS_PER_S + nanoseconds), packet))


def free_port(kind: socket.SocketKind) -> int:
    """Return a port nobody uses just now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((LOOPBACK_INTERFACE, 0))
        port: int = probe.getsockname()[1]
        return port


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise TypeError("a process without pipes")
    return pipe
