"""Run a command on a Linux kernel that has SocketCAN: user-mode-linux, an ordinary process that needs neither root nor KVM.

The guest's root is the host's own file system (hostfs), so the same virtual environment, checkout and temporary folder are there
under the same paths; results come back through files. The guest has one processor and slow system calls: behaviour can be tested
in it, rates cannot. Debian's `user-mode-linux` brings the kernel and its modules; there is no network but loopback and vcan.
"""

import contextlib
import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.debian import missing, require

MEMORY_MIB = 1024
MODULES = Path("/usr/lib/uml/modules")
BOOT_AND_HALT_S = 240
"""What starting and stopping the guest may add to the command's own time on a very busy machine (4-5 s on an idle one)."""

MOUNTS = """\
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev
"""
"""What every guest needs first."""

_INIT = """\
set -u
{mounts}
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
{prepare} >{scratch}/prepare 2>&1
if [ $? -eq 0 ]; then
  cd {directory}
  {environment} timeout --kill-after=5 {timeout_s} {command} </dev/null >{scratch}/stdout 2>{scratch}/stderr
  echo $? >{scratch}/status.new
  mv {scratch}/status.new {scratch}/status
fi
echo o >/proc/sysrq-trigger
sleep 30
"""

_MODULES = ("vcan", "can-raw", "can-bcm", "can-gw", "can-j1939")


class UmlError(Exception):
    """The guest did not start, did not finish in time, or could not bring up its interfaces; the text holds what it printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UmlResult:
    """How a command in the guest ended: exit status (124: it ran out of time), and what it wrote."""

    status: int
    stdout: str
    stderr: str


def run_in_uml(
    command: Sequence[str | Path],
    *,
    directory: Path,
    timeout_s: int,
    environment: Mapping[str, str] | None = None,
    interfaces: Sequence[str] = ("vcan0",),
    boot_and_halt_s: int = BOOT_AND_HALT_S,
) -> UmlResult:
    """Run `command` in `directory` inside a guest whose virtual CAN `interfaces` (classic and FD frames) are up.

    Skips the test (fails it under CI) where Debian's packages are absent; raises `UmlError` where the guest itself fails.
    """
    kernel = require_kernel()
    with tempfile.TemporaryDirectory(prefix="v2x-uml-", ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        (scratch / "init").write_text(
            _INIT.format(
                mounts=MOUNTS,
                prepare=interfaces_up(scratch, interfaces),
                scratch=shlex.quote(name),
                directory=shlex.quote(str(directory)),
                environment=shlex.join(["env", *(f"{key}={value}" for key, value in (environment or {}).items())]),
                timeout_s=timeout_s,
                command=shlex.join(str(word) for word in command),
            )
        )
        console = boot(kernel, scratch, timeout_s + boot_and_halt_s)
        return _result(scratch, console)


def require_kernel() -> str:
    """Return the guest's kernel; skips the test (fails it under CI) where a Debian package is absent."""
    require("ip", "iproute2")
    require("modprobe", "kmod")
    if not MODULES.is_dir():
        missing(f"no modules in {MODULES}", "user-mode-linux")
    return require("linux.uml", "user-mode-linux")


def interfaces_up(scratch: Path, interfaces: Sequence[str]) -> str:
    """Return shell that loads the modules and brings the interfaces up; it fails as a whole if any part does."""
    modules = shlex.quote(f"{scratch}/lib/modules")
    steps = [
        f"mkdir -p {modules}",
        f'ln -s {MODULES}/"$(uname -r)" {modules}/',
        f"modprobe -d {shlex.quote(str(scratch))} -a {' '.join(_MODULES)}",
        "ip link set lo multicast on up",
        "ip route add 224.0.0.0/4 dev lo",
    ]
    for interface in map(shlex.quote, interfaces):
        steps += [f"ip link add dev {interface} type vcan", f"ip link set {interface} mtu 72 up"]
    return "{ " + " && ".join(steps) + "; }"


def boot(kernel: str, scratch: Path, timeout_s: int) -> str:
    """Run the guest on `scratch`/init to its end and return its console; after `timeout_s` kill it and raise `UmlError`."""
    arguments = [
        kernel,
        f"mem={MEMORY_MIB}M",
        "rootfstype=hostfs",
        "rootflags=/",
        "rw",
        "init=/bin/bash",
        "con0=fd:0,fd:1",
        "con=null",
        f"uml_dir={scratch}/",
        "selinux=0",
        "quiet",
        "--",
        f"{scratch}/init",
    ]
    with (scratch / "console").open("wb") as console:
        guest = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "TMPDIR": str(_memory_folder(scratch))},
        )
        try:
            guest.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise UmlError(f"the guest did not finish within {timeout_s} s\n{_read(scratch / 'console')}") from None
        finally:
            _kill_group(guest)
    return _read(scratch / "console")


def _memory_folder(scratch: Path) -> Path:
    """Where the guest's memory is backed: shared memory where there is enough of it (containers often have 64 MB), else disk."""
    shared = Path("/dev/shm")
    if shared.is_dir() and os.access(shared, os.W_OK):
        room = os.statvfs(shared)
        if room.f_bavail * room.f_frsize > (MEMORY_MIB + 64) * 1024 * 1024:
            return shared
    return scratch


def _kill_group(guest: subprocess.Popen[bytes]) -> None:
    """Kill whatever is left of the guest's process group; the guest's own processes are all in it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(guest.pid, signal.SIGKILL)
    guest.wait()


def _result(scratch: Path, console: str) -> UmlResult:
    """Collect what the guest left behind."""
    try:
        status = int(_read(scratch / "status"))
    except (FileNotFoundError, ValueError):
        prepared = _read(scratch / "prepare") if (scratch / "prepare").exists() else ""
        raise UmlError(f"the guest ended without running the command\n{prepared}\n{console}") from None
    return UmlResult(status=status, stdout=_read(scratch / "stdout"), stderr=_read(scratch / "stderr"))


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
