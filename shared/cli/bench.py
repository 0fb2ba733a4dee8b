"""`v2x bench`: how fast it is here, each figure beside the limit measured in the same rounds."""

import inspect
import json
import platform
from importlib.metadata import version
from typing import Annotated

import typer
from cryptography.hazmat.backends.openssl import backend
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shared.bench.catalogue import all_benches
from shared.bench.figure import REFERENCE_PACE, Effort, Figure, Measure, Target, Unit
from shared.bench.statistics import Spread
from shared.service.verification_pool import MAX_THREADS, usable_cores

_WIDTH_WITHOUT_TERMINAL = 180

_CAPTION = (
    "median (worst to best round); ratios round by round; the reference pace is that of a machine with "
    f"{REFERENCE_PACE:,.0f} raw P-256 verifications a second and core, for which absolute targets are meant"
)


def bench(
    names: Annotated[list[str] | None, typer.Argument(help="Which benches; all by default.", metavar="NAME")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Side-by-side rounds of each figure.")] = Effort().rounds,
    calls: Annotated[int, typer.Option(min=1, help="Operations of each side in a round.")] = Effort().calls,
    overload_s: Annotated[float, typer.Option("--overload", min=0.1, help="Seconds of overload.")] = Effort().overload_s,
    threads: Annotated[int, typer.Option(min=1, max=MAX_THREADS, help="Threads of the verification pool.")] = Effort().threads,
    appends: Annotated[int, typer.Option(min=1, help="Appends to a log's file, for its last against its first.")] = (
        Effort().stored_appends
    ),
    load_s: Annotated[float, typer.Option("--seconds", min=0.5, help="Seconds of each load of a roadside unit or a bus.")] = (
        Effort().load_s
    ),
    list_only: Annotated[bool, typer.Option("--list", help="Say what each bench measures, and measure nothing.")] = False,
) -> None:
    """Measure codec, signatures, whole paths and overload; ratios are taken round by round."""
    benches = all_benches()
    unknown = [name for name in names or () if name not in benches]
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: the benches are {', '.join(benches)}")
    if list_only:
        width = max(map(len, benches))
        for name, measure in benches.items():
            typer.echo(f"{name:{width}}  {(inspect.getdoc(measure) or '').partition(chr(10))[0]}".rstrip())
        return
    effort = Effort(rounds=rounds, calls=calls, overload_s=overload_s, threads=threads, stored_appends=appends, load_s=load_s)
    progress = Console(stderr=True)
    figures: list[Figure] = []
    with progress.status("") as status:
        for name in names or benches:
            status.update(f"measuring {name}")
            figures.extend(benches[name](effort))
    if as_json:
        typer.echo(json.dumps(document(figures, effort), indent=2))
    else:
        console = Console()
        if not console.is_terminal:
            console = Console(width=_WIDTH_WITHOUT_TERMINAL)
        console.print(table(figures))


def document(figures: list[Figure], effort: Effort) -> dict[str, object]:
    """Return the figures as JSON values, with what they were measured on."""
    return {
        "machine": {
            "architecture": platform.machine(),
            "cores": usable_cores(),
            "python": platform.python_version(),
            "cryptography": version("cryptography"),
            "openssl": backend.openssl_version_text(),
            "reference_pace_verifies_per_s": REFERENCE_PACE,
        },
        "effort": {
            "rounds": effort.rounds,
            "calls": effort.calls,
            "overload_s": effort.overload_s,
            "threads": effort.threads,
        },
        "figures": [_figure(figure) for figure in figures],
    }


def table(figures: list[Figure]) -> Table:
    """Return the figures as a table for people."""
    result = Table(title="v2x bench", title_justify="left", caption=_CAPTION)
    for column in ("figure", "measured"):
        result.add_column(column)
    for column in ("median", "limit", "ratio", "at reference pace", "target", "met"):
        result.add_column(column, justify="right")
    for figure in figures:
        result.add_row(
            figure.name,
            figure.says if figure.limit is None else f"{figure.says}; beside {figure.limit.name}",
            _span(figure.value, figure.unit),
            "" if figure.limit is None else _number(figure.limit.value.median, figure.unit),
            "" if figure.ratio is None else _ratios(figure.ratio, figure.unit),
            "" if figure.paced is None else _number(figure.paced.median, figure.unit),
            " or ".join(dict.fromkeys(_target(target, figure.unit) for target in figure.targets)),
            _met(figure),
        )
    return result


def _figure(figure: Figure) -> dict[str, object]:
    limit = figure.limit
    return {
        "name": figure.name,
        "says": figure.says,
        "unit": figure.unit.value,
        "rounds": figure.rounds,
        **_spread(figure.value),
        "limit": None if limit is None else {"name": limit.name, **_spread(limit.value)},
        "ratio": None if figure.ratio is None else _spread(figure.ratio),
        "at_reference_pace": None if figure.paced is None else _spread(figure.paced),
        "targets": [
            {"measure": target.measure.value, "at_least" if _is_floor(target, figure.unit) else "at_most": target.bound}
            for target in figure.targets
        ],
        "met": figure.is_met,
    }


def _spread(spread: Spread) -> dict[str, float]:
    return {"best": spread.best, "median": spread.median, "worst": spread.worst}


def _is_floor(target: Target, unit: Unit) -> bool:
    return target.measure.is_ratio or unit.is_better_high


def _span(spread: Spread, unit: Unit) -> str:
    median = _number(spread.median, unit)
    if spread.best == spread.worst:
        return median
    return f"{median} ({_number(spread.worst, unit, named=False)} to {_number(spread.best, unit, named=False)})"


def _number(value: float, unit: Unit, *, named: bool = True) -> str:
    match unit:
        case Unit.PER_SECOND | Unit.OCTETS | Unit.PACKETS:
            text = f"{value:,.0f}"
        case Unit.TIMES:
            text = f"{value:.2f}"
        case _:
            text = f"{value:,.1f}"
    if not named:
        return text
    return f"{text}{unit.value}" if unit in (Unit.PER_SECOND, Unit.TIMES) else f"{text} {unit.value}"


def _ratio(value: float, unit: Unit) -> str:
    return f"{value:.1f}x" if unit in (Unit.MICROSECONDS, Unit.PERCENT) else f"{100 * value:.0f} %"


def _ratios(spread: Spread, unit: Unit) -> str:
    median = _ratio(spread.median, unit)
    return median if spread.best == spread.worst else f"{median} ({_ratio(spread.worst, unit)} to {_ratio(spread.best, unit)})"


def _target(target: Target, unit: Unit) -> str:
    sign = ">=" if _is_floor(target, unit) else "<="
    match target.measure:
        case Measure.MEDIAN | Measure.PACED_MEDIAN:
            return f"{sign} {_number(target.bound, unit)}"
        case Measure.MEDIAN_RATIO:
            return f"{sign} {_ratio(target.bound, unit)}"
        case Measure.BEST_RATIO:
            return f"best {sign} {_ratio(target.bound, unit)}"


def _met(figure: Figure) -> Text:
    if figure.is_met is None:
        return Text("")
    return Text("yes", style="green") if figure.is_met else Text("no", style="red")
