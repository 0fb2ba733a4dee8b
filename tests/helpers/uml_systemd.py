"""Run our services under a real systemd, as its manual (systemd/README.md) installs them, inside user-mode-linux.

The guest's root is made of memory: only `/usr` and what the programs are made of come from the host, so nothing of the host's own
services runs and nothing is written there. The units, users and folders are the shipped ones, unchanged; sandboxing, credentials,
notification and watchdog are systemd's. See `tests.helpers.uml` for what the guest is and is not good for.
"""

import shlex
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.data import REPOSITORY
from tests.helpers.debian import require
from tests.helpers.uml import BOOT_AND_HALT_S, MOUNTS, UmlError, boot, interfaces_up, require_kernel

UNITS = ("vehicle-agent", "rsu-agent")

_PROGRAMS = {
    "vehicle-agent": "from vehicle_agent.cli import main; main()",
    "rsu-agent": "from rsu_agent.cli import main; main()",
    "drive": "from tests.helpers.drive import main; main()",
    "await_status": "from tests.helpers.await_status import main; main()",
    "synchronise": "from tests.helpers.synchronise import main; main()",
}

_TARGETS = "sysinit basic shutdown network network-online time-sync multi-user"
_PREFIX = "/opt/v2x-trust"

_INIT = """\
set -eu
{mounts}
trap 'echo o >/proc/sysrq-trigger; sleep 30' EXIT
exec >{results}/install 2>&1
mount -t tmpfs tmpfs /run
{prepare}
mkdir /run/root
mount -t tmpfs tmpfs /run/root
cd /run/root
mkdir -p usr etc/systemd/system var tmp root home proc sys dev run mnt/host
mkdir -p .{prefix}/bin .{prefix}/site .{prefix}/source .{prefix}/python
for each in bin sbin lib lib32 lib64 libx32; do
  if [ -L /$each ]; then cp -a /$each .; elif [ -d /$each ]; then mkdir $each; mount --bind /$each $each; fi
done
mount --bind /usr usr
mount -t tmpfs tmpfs usr/lib/systemd/system
for target in {targets}; do
  printf '[Unit]\\nDescription=%s\\nDefaultDependencies=no\\n' $target >usr/lib/systemd/system/$target.target
done
cp -a /etc/ld.so.* etc/
printf 'passwd: files\\ngroup: files\\n' >etc/nsswitch.conf
printf 'root:x:0:0::/root:/bin/sh\\nnobody:x:65534:65534::/:/bin/false\\n' >etc/passwd
printf 'root:x:0:\\nnogroup:x:65534:\\n' >etc/group
echo 0123456789abcdef0123456789abcdef >etc/machine-id
mount -t tmpfs tmpfs run
mkdir run/results run/install
mount --bind {results} run/results
mount --bind {site} .{prefix}/site
mount --bind {source} .{prefix}/source
mount --bind {base} .{prefix}/python
cp {scratch}/bin/* .{prefix}/bin/
cp {source}/systemd/*.service {scratch}/units/* etc/systemd/system/
for unit in {units}; do
  mkdir etc/systemd/system/$unit.service.d
  printf '[Service]\\nStandardOutput=append:/run/results/%s.out\\nStandardError=append:/run/results/%s.err\\n' $unit $unit \\
    >etc/systemd/system/$unit.service.d/test.conf
done
cp -r {configuration} etc/v2x-trust
chown -R 0:0 etc/v2x-trust
cp {source}/systemd/sysusers.d/v2x-trust.conf run/install/users
cp {source}/systemd/tmpfiles.d/v2x-trust.conf run/install/files
mount --move /proc proc
mount --move /sys sys
mount --move /dev dev
chroot . systemd-sysusers /run/install/users
chroot . systemd-tmpfiles --create /run/install/files
pivot_root . mnt/host
trap - EXIT
exec env -i PATH=$PATH /lib/systemd/systemd --unit=test.target --log-target=console --show-status=no \\
  </dev/console >/dev/console 2>&1
"""

_TARGET = """\
[Unit]
Requires=test.service
DefaultDependencies=no
"""

_SERVICE = """\
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
ExecStartPre=-/bin/umount -l /mnt/host
ExecStart=/bin/bash /run/results/script
ExecStopPost=/bin/sh -c 'echo "$EXIT_STATUS" >/run/results/status; echo o >/proc/sysrq-trigger; sleep 30'
StandardOutput=file:/run/results/stdout
StandardError=file:/run/results/stderr
"""

_PROGRAM = """\
#!/bin/sh
exec env LD_LIBRARY_PATH={prefix}/python/lib PYTHONPATH={prefix}/source:{prefix}/site \
  {python} -c '{start}' "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRun:
    """How the script under systemd ended, and what it and the services wrote.

    Attributes:
        status: exit status of the script (124: it ran out of time).
        stdout: of the script.
        stderr: of the script.
        files: texts in `/run/results`, among them `vehicle-agent.out` and `vehicle-agent.err`.
        captures: `*.pcap` in `/run/results`.
    """

    status: int
    stdout: str
    stderr: str
    files: dict[str, str]
    captures: dict[str, bytes]


def run_under_systemd(script: str, *, configuration: Path, timeout_s: int) -> ServiceRun:
    """Boot systemd with our units installed and run `script` (bash, as root); the guest halts when the script ends.

    Args:
        script: commands; `systemctl` works, `vcan0` is up, and files in `/run/results` come back.
        configuration: becomes `/etc/v2x-trust`, owned by root.
        timeout_s: for the script.

    Skips the test (fails it under CI) where Debian's packages are absent; raises `UmlError` where the guest itself fails.
    """
    kernel = require_kernel()
    require("systemctl", "systemd")
    with tempfile.TemporaryDirectory(prefix="v2x-uml-", ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        results = scratch / "results"
        for folder in (results, scratch / "bin", scratch / "units"):
            folder.mkdir()
        for program, start in _PROGRAMS.items():
            path = scratch / "bin" / program
            path.write_text(_PROGRAM.format(prefix=_PREFIX, python=_guest_python(), start=start))
            path.chmod(0o755)
        (scratch / "units/test.target").write_text(_TARGET)
        (scratch / "units/test.service").write_text(_SERVICE)
        (results / "script").write_text(f"timeout --kill-after=5 {timeout_s} bash -eux /run/results/commands\n")
        (results / "commands").write_text(script)
        (scratch / "init").write_text(_init(scratch, results, configuration))
        console = boot(kernel, scratch, timeout_s + BOOT_AND_HALT_S)
        return _collect(results, console)


def _init(scratch: Path, results: Path, configuration: Path) -> str:
    paths = {
        "scratch": scratch,
        "results": results,
        "configuration": configuration,
        "site": Path(sysconfig.get_paths()["purelib"]),
        "source": REPOSITORY,
        "base": Path(sys.base_prefix).resolve(),
    }
    return _INIT.format(
        mounts=MOUNTS,
        prepare=interfaces_up(scratch, ("vcan0",)),
        prefix=_PREFIX,
        targets=_TARGETS,
        units=" ".join(UNITS),
        **{key: shlex.quote(str(path)) for key, path in paths.items()},
    )


def _guest_python() -> str:
    """Return where the interpreter below the virtual environment is in the guest, which does not see home directories."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return f"{_PREFIX}/python/bin/{version}"


def _collect(results: Path, console: str) -> ServiceRun:
    files = {path.name: path.read_text(encoding="utf-8", errors="replace") for path in sorted(results.iterdir())}
    captures = {path.name: path.read_bytes() for path in results.glob("*.pcap")}
    try:
        status = int(files["status"])
    except (KeyError, ValueError):
        raise UmlError(f"systemd ended without finishing the script\n{files.get('install', '')}\n{console}") from None
    return ServiceRun(status=status, stdout=files.get("stdout", ""), stderr=files.get("stderr", ""), files=files, captures=captures)
