"""`v2x ledger audit`: read all of a log, and say whether it is one history and what is wrong with it.

    v2x ledger audit https://log.example/ --policy policy.txt --state log.audit
    v2x ledger audit export/ --policy policy.txt --json

What is found is written in sentences, with the checkpoints that show it; exit 0 where nothing was, 1 otherwise. With a state file
the next audit goes on where this one ended (`--full` begins anew), and every checkpoint ever seen is held against what is served.
"""

import asyncio
import json
import sys
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from shared.ledger.note import MAX_NOTE_BYTES
from shared.ledger.policy import Policy
from shared.operator.auditor import AuditReport, audit_log
from shared.operator.auditor import Progress as Tell
from shared.operator.auditor_source import DirectorySource, HttpSource, LogSource, directory_of
from shared.operator.auditor_state import AuditState, read_state, write_state
from shared.service.keystore import read_bounded
from shared.service.online_log import read_policy
from shared.service.state_lock import locked


def audit(
    log: Annotated[str, typer.Argument(help="Where the log is served, or a directory with its files.", metavar="URL|DIR")],
    *,
    policy: Annotated[Path, typer.Option(help="Its key, and the witnesses that count (tlog-policy).", metavar="FILE")],
    state: Annotated[Path | None, typer.Option(help="What is remembered from audit to audit.", metavar="FILE")] = None,
    full: Annotated[bool, typer.Option("--full", help="Begin at the first entry, whatever was verified before.")] = False,
    also: Annotated[
        list[Path] | None, typer.Option(help="A checkpoint of the log seen elsewhere; again for each.", metavar="FILE")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Read all of a log again and hold every tile and every checkpoint against its entries."""
    trusted = read_policy(policy)
    notes = tuple(read_bounded(path, MAX_NOTE_BYTES) for path in also or ())
    with ExitStack() as stack:
        remembered = None
        if state is not None:
            stack.enter_context(locked(state, taken="is in use by another audit"))
            remembered = read_state(state)
        tell = (lambda _read, _all: None) if as_json else _progress(stack)
        start = perf_counter()
        report, learnt = asyncio.run(_audit(log, trusted, remembered, notes, tell, is_full=full))
        elapsed_s = perf_counter() - start
        if state is not None and learnt is not None:
            write_state(state, learnt)
    if as_json:
        typer.echo(json.dumps(report.as_json() | {"seconds": round(elapsed_s, 3)}))
    else:
        _tell(report, elapsed_s, trusted)
    raise typer.Exit(0 if report.is_sound else 1)


async def _audit(
    place: str, policy: Policy, state: AuditState | None, also: tuple[bytes, ...], tell: Tell, *, is_full: bool
) -> tuple[AuditReport, AuditState | None]:
    directory = directory_of(place)
    async with AsyncExitStack() as stack:
        source: LogSource
        if directory is not None:
            source = DirectorySource(directory)
        else:
            source = await stack.enter_async_context(HttpSource(place))
        return await audit_log(source, policy, state=state, also=also, is_full=is_full, on_progress=tell)


def _progress(stack: ExitStack) -> Tell:
    """Show how far it is, where a person looks."""
    console = Console(stderr=True)
    if not console.is_terminal:
        return lambda _read, _all: None
    columns = (TextColumn("reading entries"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = stack.enter_context(Progress(*columns, console=console, transient=True))
    task = bar.add_task("entries", total=None)
    return lambda read, total: bar.update(task, completed=read, total=total)


def _tell(report: AuditReport, elapsed_s: float, policy: Policy) -> None:
    if report.origin is not None:
        _say(f"{report.origin}: {_counted(report.tree_size, 'entry', 'entries')}, root {report.root.hex()}")
        after = f" after entry {report.first_entry:,}, up to which it was audited before," if report.first_entry else ""
        rate = f" ({report.entries / elapsed_s:,.0f} entries/s)" if report.entries else ""
        read = f"{_counted(report.entries, 'entry', 'entries')}{after} and {_counted(report.tiles, 'tile', 'tiles')}"
        _say(f"read {read} in {elapsed_s:.1f} s{rate}")
        asked = "no quorum is asked for" if policy.quorum is None else f"the quorum asked for is {policy.quorum}"
        _say(f"cosigned by {', '.join(report.witnesses) or 'no known witness'}; {asked}")
        _say(f"held against {report.checkpoints:,} other checkpoint{'' if report.checkpoints == 1 else 's'}")
    for finding in report.findings:
        _say(f"PROBLEM {finding.kind.value} at {finding.where}: {finding.sentence}")
        for number, note in enumerate(finding.notes, 1):
            _say(f"  note {number} of {len(finding.notes)}:")
            for line in note.decode("utf-8", "replace").splitlines():
                _say(f"  | {line}")
    if report.found > len(report.findings):
        _say(f"and {report.found - len(report.findings):,} more")
    _say("everything holds" if report.is_sound else f"{report.found:,} problem{'s' if report.found > 1 else ''}: do not rely on it")


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _say(text: str) -> None:
    sys.stdout.write("".join(c if c.isprintable() else "?" for c in text) + "\n")
