import os
import sys
from pathlib import Path

import pytest

from tests.helpers.await_status import holds
from tests.helpers.data import data_file
from tests.helpers.debian import require
from tests.helpers.early import Done, Early, result_of


def test_a_program_that_is_here_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert Path(require("pytest", "python3-pytest")).name == "pytest"


def test_a_missing_program_skips_and_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program is not here: apt install some-package"):
        require("no-such-program", "some-package")


def test_a_missing_program_fails_under_continuous_integration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt install some-package"):
        require("no-such-program", "some-package")


def test_recorded_data_is_found_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "can").mkdir()
    (tmp_path / "can/a.log").touch()
    monkeypatch.setenv("V2X_DATA", str(tmp_path))
    assert data_file("can/a.log") == tmp_path / "can/a.log"


def test_recorded_data_that_is_absent_skips_and_names_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("V2X_DATA", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match="set V2X_DATA"):
        data_file("can/a.log")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("sent.cam>=6", True),
        ("sent.cam>=7", False),
        ("sent.denm>=0", False),
        ("bus.is_up==true", True),
        ("bus.is_up==false", False),
        ("odometer.anchored==odometer.recorded", True),
        ("odometer.anchored==sent.cam", False),
        ("odometer.lost==odometer.absent", False),
        ("nothing.like.this>=0", False),
    ],
)
def test_a_condition_holds_of_a_status_or_not(condition: str, expected: bool) -> None:  # noqa: FBT001 - a case
    status = {"sent": {"cam": 6}, "bus": {"is_up": True}, "odometer": {"anchored": 2, "recorded": 2}}
    assert holds(status, condition) is expected
    assert holds("no agent is running here", condition) is False


def test_what_was_begun_early_is_waited_for_and_told_as_it_ended() -> None:
    early = Early({"slow": ["/bin/sh", "-c", "read line </dev/null; echo said; exit 3"], "quick": ["true"]})
    early.begin()
    try:
        assert result_of("slow", patience_s=1.0) == Done(status=3, said="said")
        assert result_of("quick", patience_s=1.0) == Done(status=0, said="")
    finally:
        early.end()


def test_what_was_begun_early_ends_with_the_run(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    early = Early({"endless": ["cat", str(fifo)]})
    early.begin()
    early.end()
    with pytest.raises(OSError, match="No such device"):
        os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)  # nobody reads it any more
