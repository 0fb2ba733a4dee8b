"""`docs/ledger-faults.md`: the table of faults as a document."""

from collections.abc import Iterator

from tests.helpers.fault_table import MACHINES, faults_at, steps_of
from tests.helpers.hostile_rows import ROWS

OPENING = """\
# What may befall the ledger

Every step at which a program of the ledger changes a disk, asks another program, or tells somebody, and what lies on the disks when
something befalls it there. The list is made by running each program once and watching it; it is not written by hand, and a test
holds this page against it (`tests/integration/test_ledger_faults.py`).

At each step the program is tried with

- a **kill before** it (`kill -9` of a real process): it has acted, and nothing of it is kept;
- a **failure without effect**: the disk is full, the line is down;

and where the step changes what lies on the disks, also with

- a **kill after** it: what it did is kept, and it has not acted on it;
- a **failure after it took effect**: the disk or the line broke before the program heard that it had worked.

A kill before a transaction begins is the kill after what came before, and is not tried twice.

After a kill the program is started again; after a failure it goes on. In each case, what lies on the disks must first be what the
table says, and in the end: every record that anybody was told of is there, once, at its number, and leads to the next; every entry
is in the log once, at the index that was answered; every proof verifies; no checkpoint that anybody has seen is contradicted; no
number of a record is used for two.

"Told of" and "heard" count what others know: it is theirs, and no fault takes it back.
"""

HOSTILE = """
## A log that is hostile

A vehicle with two proven records makes a third, and from then on the log does what the table says, over real HTTP
(`tests/integration/test_hostile_logs.py`). Whatever it does: nothing is proven but what is in the true log, what is trusted never
goes back, the vehicle's memory stays bounded, the log is not asked again and again without a pause, and once the log is true again
the record is proven.

| What the log does | What the vehicle does | What it tells |
| --- | --- | --- |"""


def faults_page() -> str:
    """Return the document."""
    return "\n".join([OPENING, *_lines()]) + "\n"


def _lines() -> Iterator[str]:
    every = [step for machine in MACHINES for phase in steps_of(machine) for step in phase]
    yield f"There are {len(every)} steps, and {sum(len(faults_at(step)) for step in every)} faults."
    for machine in MACHINES:
        yield f"\n## {machine.NAME[0].upper()}{machine.NAME[1:]}"
        for phase, steps in zip(machine.PHASES, steps_of(machine), strict=True):
            yield f"\n### {phase[0].upper()}{phase[1:]}\n"
            yield "| | Step | Without it there is | With it there is |"
            yield "| --- | --- | --- | --- |"
            for number, step in enumerate(steps, 1):
                after = "the same" if step.after == step.before else step.after
                yield f"| {number} | {step.name} | {step.before} | {after} |"
    yield HOSTILE
    yield from (f"| {row.name} | {row.says} | {', '.join(f'`{notice}`' for notice in sorted(row.notices))} |" for row in ROWS)
