"""The real kernel's SocketCAN, inside user-mode-linux: what holds on a virtual bus must hold on vcan0."""

import contextlib
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.helpers.data import REPOSITORY
from tests.helpers.uml import UmlError, run_in_uml

_FRAMES_ARE_HEARD = """
import socket
s = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
r = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
for each in s, r:
    each.bind(("vcan0",))
s.send(bytes.fromhex("b4000000" "08000000" "0000000000002710"))
print(r.recv(16).hex())
"""


def test_the_guest_has_a_can_bus_on_which_one_socket_hears_another() -> None:
    result = run_in_uml([sys.executable, "-c", _FRAMES_ARE_HEARD], directory=REPOSITORY, timeout_s=300)
    assert result.stderr == ""
    assert (result.status, result.stdout) == (0, "b4000000080000000000000000002710\n")


def test_the_guest_reports_how_a_command_failed_and_sees_its_environment(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", 'echo "$GREETING"; pwd; echo gone >&2; exit 7']
    result = run_in_uml(command, directory=tmp_path, timeout_s=300, environment={"GREETING": "two words"})
    assert result.status == 7
    assert result.stdout == f"two words\n{tmp_path}\n"
    assert result.stderr == "gone\n"


def test_the_guest_stops_a_command_that_never_ends(tmp_path: Path) -> None:
    assert run_in_uml(["sleep", "1000"], directory=tmp_path, timeout_s=1).status == 124


def test_a_guest_that_hangs_is_killed_with_everything_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(UmlError, match="did not finish within 4 s"):
        run_in_uml(["sleep", "1000"], directory=REPOSITORY, timeout_s=1_000, boot_and_halt_s=-996)
    assert not [line for line in _command_lines() if str(tmp_path).encode() in line]
    assert list(tmp_path.iterdir()) == []


def test_an_interface_that_cannot_be_made_is_reported_with_the_reason() -> None:
    with pytest.raises(UmlError, match="File exists"):
        run_in_uml(["true"], directory=REPOSITORY, timeout_s=300, interfaces=("vcan0", "vcan0"))


_SUITES = (
    "tests/integration/test_can_buses.py",
    "tests/integration/test_requests_vcan.py",
    "tests/integration/test_j1939_vcan.py",
)
"""Tests that have cases on SocketCAN; they share one guest."""


def test_every_test_of_a_can_bus_holds_on_the_kernels_own(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    result = run_in_uml(
        [*command, f"--basetemp={tmp_path / 'inside'}", "-k", "socketcan", *_SUITES],
        directory=REPOSITORY,
        timeout_s=900,
        environment={"V2X_VCAN": "vcan0", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert result.status == 0, f"{result.stdout}\n{result.stderr}"
    cases = list(ET.parse(report).iter("testcase"))
    assert len(cases) >= 20
    assert [case.get("name") for case in cases if case.find("skipped") is not None] == []


def _command_lines() -> list[bytes]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(path.read_bytes())
    return lines
