"""An interrupt that comes before a command is ready."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

INTERRUPTED_WHILE_IMPORTED = """
import os, signal
os.kill(os.getpid(), signal.SIGINT)

def main():
    print("ran")
"""

INTERRUPTED_WHILE_IT_RUNS = """
import os, signal

def main():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        print("told the command")
"""


def launched(folder: Path, module: str, *, handler: str = "default_int_handler") -> subprocess.CompletedProcess[str]:
    """Launch a command; `handler` is what is done about SIGINT, whatever whoever runs the tests has handed down."""
    (folder / "slow_command.py").write_text(module)
    before = f"import signal, sys; sys.path.insert(0, {str(folder)!r}); signal.signal(signal.SIGINT, signal.{handler}); "
    start = f"{before}from shared.cli.launch import launch; launch('slow_command')"
    return subprocess.run([sys.executable, "-c", start], capture_output=True, text=True, check=False)


def test_an_interrupt_while_a_command_is_imported_ends_it_without_a_traceback(tmp_path: Path) -> None:
    ended = launched(tmp_path, INTERRUPTED_WHILE_IMPORTED)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")


def test_an_interrupt_later_is_the_commands_own(tmp_path: Path) -> None:
    ended = launched(tmp_path, INTERRUPTED_WHILE_IT_RUNS)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "told the command\n", "")


def test_an_interrupt_that_is_ignored_stays_so(tmp_path: Path) -> None:
    ended = launched(tmp_path, INTERRUPTED_WHILE_IMPORTED, handler="SIG_IGN")
    assert (ended.returncode, ended.stdout) == (0, "ran\n")


@pytest.mark.parametrize("module", ["shared.cli", "vehicle_agent", "rsu_agent", "simulator"])
def test_what_starts_a_command_brings_nothing_that_takes_time(module: str) -> None:
    heavy = "typer", "msgspec", "cryptography", "shared.core", "asyncio"
    code = f"import sys, {module}.command; print([name for name in {heavy} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
