"""The table of faults: every step of every machine, listed by running each once, and what befalls it there."""

import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Self

from tests.helpers.data import REPOSITORY
from tests.helpers.durable_steps import Fault, Step, Steps
from tests.helpers.fault_anchoring import EmbeddedMachine, OnlineMachine
from tests.helpers.fault_logs import LogMachine, NodeMachine, WitnessMachine
from tests.helpers.fault_machines import Machine, SpoolMachine

MACHINES: tuple[Machine, ...] = (SpoolMachine(), EmbeddedMachine(), OnlineMachine(), LogMachine(), NodeMachine(), WitnessMachine())

_MEMORY = Path("/dev/shm")
"""Where files outlive a killed program as they do on a disk, and cost nothing."""


@dataclass(frozen=True, slots=True)
class Case:
    """A step of a machine at which something befalls it."""

    machine: Machine
    phase: int
    at: int
    step: Step
    fault: Fault

    @property
    def name(self) -> str:
        """In plain words."""
        return f"{self.machine.NAME}, {self.machine.PHASES[self.phase]}, {self.at + 1}. {self.step.name}: {self.fault.value}"

    @property
    def expected(self) -> str:
        """What lies on the disks then."""
        return self.step.after if self.fault.is_after else self.step.before


@cache
def steps_of(machine: Machine) -> tuple[tuple[Step, ...], ...]:
    """Return the steps of each phase."""
    with scratch() as root:
        listed = []
        for phase, folder in stages(machine, root):
            steps = Steps(partial(machine.look, folder))
            with machine.surroundings(folder):
                machine.run(phase, folder, steps)
            listed.append(tuple(steps.taken))
    return tuple(listed)


def cases() -> Iterator[Case]:
    """Give every fault there is."""
    for machine in MACHINES:
        for phase, steps in enumerate(steps_of(machine)):
            for at, step in enumerate(steps):
                for fault in faults_at(step):
                    yield Case(machine, phase, at, step, fault)


def faults_at(step: Step) -> tuple[Fault, ...]:
    """Return what is tried at a step: what befalls a program after one that changed nothing befalls it before the next.

    Likewise a kill before a transaction begins is the kill after what came before.
    """
    is_after_another = step.name.endswith(": a transaction begins")
    return tuple(
        fault
        for fault in Fault
        if (not fault.is_after or step.before != step.after) and (fault is not Fault.KILLED_BEFORE or not is_after_another)
    )


def stages(machine: Machine, root: Path) -> Iterator[tuple[int, Path]]:
    """Give each phase with a folder as it begins; whoever takes it runs the phase in there."""
    folder = root / "work"
    folder.mkdir()
    for phase in range(len(machine.PHASES)):
        machine.prepare(phase, folder)
        yield phase, folder


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder for a while, in memory where there is one."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None) as root:
        yield Path(root)


def beginnings(machine: Machine, root: Path) -> list[Path]:
    """Make, for each phase, a folder as it begins, to be copied."""
    kept = []
    root.mkdir()
    for phase, folder in stages(machine, root):
        kept.append(root / f"beginning {phase}")
        shutil.copytree(folder, kept[-1])
        with machine.surroundings(folder):
            machine.run(phase, folder, Steps(at=-1))
    return kept


class Victims:
    """Has programs killed: a process that forks one for every case, for as long as it is entered."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-c", f"from {__name__} import serve_victims; serve_victims()"]
        self._process = subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(self, case: Case, folder: Path) -> int:
        """Run a case's phase in a process of its own until it is killed; return what `waitpid` tells."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = [MACHINES.index(case.machine), case.phase, case.at, case.fault.name, str(folder)]
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def serve_victims() -> None:
    """Fork a process for each line that comes in, and answer how it ended."""
    gc.freeze()
    for line in sys.stdin:
        machine, phase, at, fault, folder = json.loads(line)
        child = os.fork()
        if child == 0:
            try:
                MACHINES[machine].run(phase, Path(folder), Steps(at=at, fault=Fault[fault]))
            finally:
                os._exit(1)  # it should have been killed
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()
