"""The table of faults: whatever befalls a spool, a log, a witness or the anchoring at whichever step, nothing is lost or doubled.

Each step of each machine is listed by running it once (`tests.helpers.fault_table`); then, at each, the program is killed (kill -9
of a real process) before it and after it, and the step fails without effect and after it took effect. What lies on the disks must
be what is expected there, and after the program was started again all must be as if nothing had happened. The same list is a
document, `docs/ledger-faults.md`.
"""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.core.errors import StorageError, TransportError
from tests.helpers.data import REPOSITORY
from tests.helpers.durable_steps import Fault, Steps
from tests.helpers.fault_page import faults_page
from tests.helpers.fault_table import MACHINES, Case, Victims, beginnings, cases, scratch

CASES = tuple(cases())


@pytest.fixture(scope="module")
def begun() -> Iterator[dict[str, list[Path]]]:
    """Folders of each machine as each of its phases begins."""
    with scratch() as root:
        yield {machine.NAME: beginnings(machine, root / str(number)) for number, machine in enumerate(MACHINES)}


@pytest.fixture(scope="module")
def victims() -> Iterator[Victims]:
    with Victims() as programs:
        yield programs


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch() as root:
        yield root / "work"


@pytest.mark.parametrize("case", [case for case in CASES if case.fault.kills], ids=lambda case: case.name)
def test_a_program_killed_at_any_step_loses_and_doubles_nothing(
    case: Case, begun: dict[str, list[Path]], victims: Victims, folder: Path
) -> None:
    shutil.copytree(begun[case.machine.NAME][case.phase], folder)
    with case.machine.surroundings(folder):
        status = victims.run(case, folder)
        assert os.WIFSIGNALED(status)
        assert os.WTERMSIG(status) == signal.SIGKILL
        assert case.machine.look(folder) == case.expected
        case.machine.run(case.phase, folder, Steps(at=-1))
        case.machine.check(case.phase, folder)


@pytest.mark.parametrize("case", [case for case in CASES if not case.fault.kills], ids=lambda case: case.name)
def test_a_step_that_fails_is_told_and_made_good_without_a_new_start(
    case: Case, begun: dict[str, list[Path]], folder: Path
) -> None:
    shutil.copytree(begun[case.machine.NAME][case.phase], folder)
    with case.machine.surroundings(folder):
        steps = Steps(lambda: case.machine.look(folder), at=case.at, fault=case.fault)
        case.machine.run(case.phase, folder, steps)
        (failure,) = steps.failures
        assert isinstance(failure, StorageError | TransportError)
        assert steps.seen_after_failure == case.expected
        case.machine.check(case.phase, folder)


def test_there_are_faults_enough_and_no_two_are_one() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) >= 40
    assert {case.fault for case in CASES} == set(Fault)
    for machine in MACHINES:
        told = [case.step for case in CASES if case.machine is machine]
        assert any(step.before != step.after for step in told)


def test_the_document_has_the_table_as_it_is() -> None:
    page = REPOSITORY / "docs/ledger-faults.md"
    assert page.read_text(encoding="utf-8") == faults_page(), f"write what tests.helpers.fault_page.faults_page() returns to {page}"
