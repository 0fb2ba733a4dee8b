"""`docs/ledger-faults.md`: the table of faults as a document."""

from collections.abc import Iterator

from tests.helpers.durable_steps import Fault
from tests.helpers.fault_table import MACHINES, steps_of

OPENING = """\
# What may befall the ledger

Every step at which a program of the ledger changes a disk, asks another program, or tells somebody, and what lies on the disks when
something befalls it there. The list is made by running each program once and watching it; it is not written by hand, and a test
holds this page against it (`tests/integration/test_ledger_faults.py`).

At each step four things are done to the program, one after the other:

- it is killed (`kill -9` of a real process) **before** the step: it has acted, and nothing of it is kept;
- it is killed **after** the step: what it did is kept, and it has not acted on it;
- the step **fails without effect**: the disk is full, the line is down;
- the step **fails after it took effect**: the disk or the line broke before the program heard that it had worked.

After a kill the program is started again; after a failure it goes on. In each case, what lies on the disks must first be what the
table says, and in the end: every record that anybody was told of is there, once, at its number, and leads to the next; every entry
is in the log once, at the index that was answered; every proof verifies; no checkpoint that anybody has seen is contradicted; no
number of a record is used for two.

"Told of" and "heard" count what others know: it is theirs, and no fault takes it back.
"""


def faults_page() -> str:
    """Return the document."""
    return "\n".join([OPENING, *_lines()]) + "\n"


def _lines() -> Iterator[str]:
    numbers = [len(steps) for machine in MACHINES for steps in steps_of(machine)]
    yield f"There are {sum(numbers)} steps, so {sum(numbers) * len(Fault)} faults."
    for machine in MACHINES:
        yield f"\n## {machine.NAME[0].upper()}{machine.NAME[1:]}"
        for phase, steps in zip(machine.PHASES, steps_of(machine), strict=True):
            yield f"\n### {phase[0].upper()}{phase[1:]}\n"
            yield "| | Step | Without it there is | With it there is |"
            yield "| --- | --- | --- | --- |"
            for number, step in enumerate(steps, 1):
                after = "the same" if step.after == step.before else step.after
                yield f"| {number} | {step.name} | {step.before} | {after} |"
