"""`v2x-sim`: run a built-in scenario with real agents, and say in plain words what it showed.

Exit status: 0 when the run went through (whatever it showed is in the summary), 1 when a bus or file failed, 2 for wrong usage.
"""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from shared.cli import entry
from simulator.options import (
    DEFAULT_ATTACKERS,
    DEFAULT_DURATION_S,
    DEFAULT_SEED,
    DEFAULT_VEHICLES,
    SCENARIOS,
    CanInterface,
    Mode,
    Options,
)
from simulator.run import Outcome, simulate
from simulator.scenarios import crossing
from simulator.words import closing_sentences, everything_caught

app = typer.Typer(help="Simulate traffic with real agents, attackers among them.", no_args_is_help=True, add_completion=False)

DEFAULT_OUT = Path("out")
SERVED = ("report.html", "summary.json")
"""What `--serve` shows of the directory; the cars' record stores beside it stay private."""
PASSPORT_PAGE = re.compile(r"passports/car-[0-9]+\.html", re.ASCII)
"""And the pages of passports, for which the report has links."""


@app.command("run")
def run_scenario(
    scenario: Annotated[str, typer.Argument(help="Which one; `v2x-sim list` names them.", metavar="SCENARIO")] = crossing.NAME,
    duration: Annotated[float, typer.Option(help="Simulated seconds.", metavar="S")] = DEFAULT_DURATION_S,
    vehicles: Annotated[int, typer.Option(help="How many cars.", metavar="N")] = DEFAULT_VEHICLES,
    attackers: Annotated[
        float, typer.Option(help="Attackers, as a fraction of the number of cars.", metavar="FRACTION", show_default="a third")
    ] = DEFAULT_ATTACKERS,
    seed: Annotated[int, typer.Option(help="The same seed gives the same summary.", metavar="N")] = DEFAULT_SEED,
    mode: Annotated[Mode, typer.Option(help="As fast as possible, or in step with the clock on the wall.")] = Mode.FAST,
    can: Annotated[CanInterface, typer.Option(help="What carries the cars' CAN frames.")] = CanInterface.VIRTUAL,
    out: Annotated[Path | None, typer.Option(help="Where the files go; default out/SCENARIO.", metavar="DIR")] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Then show the report on a port of this machine only.")] = False,  # noqa: FBT002  # a command-line flag
) -> None:
    """Run a scenario and write summary.json, report.html, radio.pcap and passports."""
    options = Options(scenario=scenario, duration_s=duration, vehicles=vehicles, attackers=attackers, seed=seed, mode=mode, can=can)
    directory = DEFAULT_OUT / scenario if out is None else out
    console = Console()
    with _progress(console, options) as progress:
        outcome = simulate(options, directory, progress=progress)
    _print_closing(console, outcome)
    if serve:
        _serve(console, directory)


@app.command("list")
def list_scenarios() -> None:
    """Name the built-in scenarios."""
    console = Console()
    for name, title in SCENARIOS.items():
        console.print(f"[bold]{name}[/bold]  {title}", highlight=False, soft_wrap=True)


def main() -> NoReturn:
    """Entry point of `v2x-sim`."""
    entry.run(app, "v2x-sim")


@contextmanager
def _progress(console: Console, options: Options) -> Iterator[Callable[[float], None]]:
    title = f"{options.scenario}: {options.vehicles} cars, seed {options.seed}"
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[clock]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=options.duration_s, clock="")

        def step(elapsed_s: float) -> None:
            bar.update(task, completed=elapsed_s, clock=f"{elapsed_s:5.1f} of {options.duration_s:g} s")

        yield step


def _print_closing(console: Console, outcome: Outcome) -> None:
    summary = outcome.story.summary
    good = everything_caught(summary)
    for sentence in closing_sentences(summary):
        console.print(
            f"{'✓' if good else '•'} {sentence}", style="green" if good else "yellow", markup=False, highlight=False, soft_wrap=True
        )
    console.print()
    for title, path in (
        ("report", outcome.report),
        ("summary", outcome.summary_file),
        ("frames", outcome.radio_pcap),
        ("attacks", outcome.attacks_pcap),
        ("passports", outcome.passports),
        ("page", outcome.passports / "car-1.html"),
    ):
        console.print(f"{title:10} {path}", markup=False, highlight=False, soft_wrap=True)
    trust, policy = outcome.passports.parent / "trust", outcome.passports / "ledger.policy"
    command = f"{_beside_us('v2x')} passport verify {outcome.passports / 'car-1.json'} --trust {trust} --policy {policy}"
    console.print(f"\nCheck one yourself: {command}", markup=False, highlight=False, soft_wrap=True)


def _beside_us(program: str) -> Path:
    """Return the path of another program of the project as the user can type it: beside this one, or by name on the PATH."""
    beside = Path(sys.argv[0]).with_name(program)
    return beside if beside.is_file() else Path(program)


class _Pages(SimpleHTTPRequestHandler):
    """The report, the summary and the pages of passports, and nothing else of the directory; without a line per request."""

    def translate_path(self, path: str) -> str:
        """Return the file of a page that may be seen; anything else is a file that is not there."""
        name = path.partition("?")[0].strip("/") or SERVED[0]
        return str(Path(self.directory) / (name if name in SERVED or PASSPORT_PAGE.fullmatch(name) else "absent"))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _serve(console: Console, directory: Path) -> None:
    """Show the report to this machine until interrupted."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Pages, directory=str(directory))) as server:
        console.print(f"\nReport on http://127.0.0.1:{server.server_port}/ until Ctrl-C", markup=False, highlight=False)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            console.print("Stopped.")


if __name__ == "__main__":
    main()
