"""Work that a test waits for and no test takes part in, begun before the first test and done in what the tests leave of the cores.

Tests of programs that live by the clock wait most of their time; type checking and the building of another project's server take
a minute or two of one core each. A run of the whole suite begins them at once, at a low priority, and the test they belong to
takes their result. Where a single file is run nothing is begun, and the test does the work itself.

A job holds a lock of its own for as long as it runs, so whoever waits needs no process of it and no clock.
"""

import fcntl
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.data import REPOSITORY

FOLDER = "V2X_TESTS_BEGUN_EARLY"
"""Variable of the environment that tells the workers where the jobs are."""

COMMANDS: Mapping[str, Sequence[str]] = {
    "types": (sys.executable, "-m", "mypy", "--strict"),
    "tessera": (sys.executable, "-m", "tests.helpers.tessera"),
}
"""What is begun, by name; each is what its test would run itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a job ended, and what it said."""

    status: int
    said: str


class Early:
    """The jobs of a run, in the process that leads it.

    Args:
        commands: what is begun, by name.
    """

    def __init__(self, commands: Mapping[str, Sequence[str]] = COMMANDS) -> None:
        self._commands = commands
        self._before = os.environ.get(FOLDER)
        self._folder = tempfile.TemporaryDirectory(prefix="v2x-early-")
        self._jobs: list[subprocess.Popen[bytes]] = []

    def begin(self) -> None:
        """Begin every job."""
        folder = Path(self._folder.name)
        for name, command in self._commands.items():
            with (folder / f"{name}.lock").open("wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # the job's from here on: it inherits the descriptor, and nobody else has it
                script = f'nice -n 10 {shlex.join(command)} >"$1/{name}.said" 2>&1; echo $? >"$1/{name}.status"'
                job = subprocess.Popen(
                    ["/bin/sh", "-c", script, "sh", str(folder)],
                    cwd=REPOSITORY,
                    stdin=subprocess.DEVNULL,
                    pass_fds=(lock.fileno(),),
                    start_new_session=True,
                )
            self._jobs.append(job)
        os.environ[FOLDER] = str(folder)

    def end(self) -> None:
        """End what still runs, of a run that was interrupted."""
        for job in self._jobs:
            if job.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(job.pid, signal.SIGTERM)
            job.wait()
        os.environ.pop(FOLDER, None)
        if self._before is not None:
            os.environ[FOLDER] = self._before
        self._folder.cleanup()


def result_of(name: str, *, patience_s: float) -> Done:
    """Return how a job ended, once it has; begun now where nobody began it early."""
    folder = os.environ.get(FOLDER)
    if folder is None:
        done = subprocess.run([*COMMANDS[name]], cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=patience_s)
        return Done(status=done.returncode, said=f"{done.stdout}\n{done.stderr}".strip())
    with (Path(folder) / f"{name}.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
    status, said = Path(folder) / f"{name}.status", Path(folder) / f"{name}.said"
    if not status.exists():
        return Done(status=-1, said=f"{name} was ended before its time")
    return Done(status=int(status.read_text()), said=said.read_text().strip())
