"""`vehicle-agent run` as a process, its log on a network or in itself: what its status says of the ledger, and orders to it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared.core.errors import TransportError
from shared.service.status_socket import read_status
from tests.helpers.ledger import ORIGIN
from tests.unit.vehicle_agent.vehicle_files import CONFIG

PROGRAM = (sys.executable, "-c", "from vehicle_agent.command import main; main()")
PATIENCE_S = 90.0
TRIES, TRY_S = 900, 0.1

_EMBEDDED = CONFIG[CONFIG.index("[ledger]\n") : CONFIG.index("[state]")]


def config_online(url: str) -> str:
    """Return a vehicle's configuration whose log is at a URL, under `log.policy` beside it."""
    online = f'[ledger]\nurl = ["{url}"]\npolicy = "log.policy"\norigin = "{ORIGIN}"\nsubmit_delay_s = 0\n'
    return CONFIG.replace(_EMBEDDED, online) + 'command_socket = "state/orders.sock"\nnotices = "state/notices.jsonl"\n'


def command(config: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the agent: beside it while it runs."""
    return subprocess.run([*PROGRAM, *words, "-c", str(config)], capture_output=True, text=True, check=False, timeout=PATIENCE_S)


@dataclass(frozen=True, slots=True)
class OnlineAgent:
    """An agent that runs; what it writes is in a file beside its configuration."""

    process: subprocess.Popen[bytes]
    config: Path

    def awaits(self, **wanted: Any) -> dict[str, Any]:
        """Return what its status says of its ledger once that is what is wanted."""
        ledger: dict[str, Any] = {}
        for _ in range(TRIES):
            try:
                document: Any = read_status(self.config.parent / "state/status.sock")
                ledger = document["odometer"]["ledger"]
                flat = {**ledger, **(ledger["records"] or {}), "is_stopped": ledger["contradiction"] is not None}
                if all(flat[name] == value for name, value in wanted.items()):
                    return ledger
            except TransportError:
                pass
            try:
                self.process.wait(TRY_S)
            except subprocess.TimeoutExpired:
                continue
            break
        said = (self.config.parent / "errors").read_text()[-2000:]
        pytest.fail(f"{wanted} did not come, but {ledger}: {said}", pytrace=False)


@contextmanager
def agent_online(config: Path) -> Iterator[OnlineAgent]:
    """Run an agent until the block ends; it must end well."""
    with (config.parent / "errors").open("ab") as errors:
        process = subprocess.Popen([*PROGRAM, "run", "-c", str(config)], stdout=errors, stderr=errors)
    try:
        yield OnlineAgent(process, config)
    finally:
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
