import subprocess
import sys

PROGRAM = """
import ctypes, os, resource, sys
from shared.{module} import {name}
from shared.service.notify import Notifier, Watchdog
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)

async def body(service):
    tell()

def tell():
    print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))

{call}
"""
HARDEN = {
    "module": "service.hardening",
    "name": "harden_process",
    "call": "tell(); harden_process(); tell(); harden_process(); tell()",
}
SERVICE = {
    "module": "service.run",
    "name": "run_service",
    "call": "notifier = Notifier(None); run_service(body, notifier=notifier, watchdog=Watchdog.from_environment(notifier, {}))",
}
COMMAND = {
    "module": "cli.entry",
    "name": "run",
    "call": "import typer; app = typer.Typer(); app.command()(tell); sys.argv = ['v2x']; run(app, 'v2x')",
}


def run(parts: dict[str, str]) -> list[str]:
    command = [sys.executable, "-c", PROGRAM.format(**parts)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert result.stderr == ""
    return result.stdout.splitlines()


def test_a_hardened_process_dumps_no_core_and_shows_nobody_its_memory() -> None:
    before, after, again = run(HARDEN)
    assert before.startswith("1 ")
    assert after == again == "0 (0, 0)"


def test_every_service_is_hardened_before_its_body_runs() -> None:
    assert run(SERVICE) == ["0 (0, 0)"]


def test_every_command_is_hardened_before_it_does_anything() -> None:
    assert run(COMMAND) == ["0 (0, 0)"]
