"""The table of shipped signal maps as docs/signal-maps.md shows it, made from the maps themselves."""

from functools import cache
from pathlib import Path

from shared.service.config import load
from tests.helpers.data import REPOSITORY
from vehicle_agent.signals.map_file import MapFile
from vehicle_agent.signals.signal_map import SignalMap, load_signal_map

MAPS = REPOSITORY / "vehicle_agent" / "maps"
PAGE = REPOSITORY / "docs" / "signal-maps.md"
BEGIN = "<!-- the table below is made from the maps; tests/helpers/map_table.py -->"
END = "<!-- end of the table -->"
HEADER = ("map", "cars", "model years", "odometer", "checksums", "tried on")
TRIED = {"toyota_rav4_2017": "a recorded drive of a RAV4"}
ON_PAPER = "paper: the public DBC"


def car_maps() -> list[Path]:
    """Return the shipped maps of cars, by name."""
    return sorted(path for path in MAPS.glob("*.toml") if not path.stem.startswith("j1939"))


@cache
def car_map(name: str) -> SignalMap:
    """Return a shipped map by the name of its file; each is loaded once."""
    return load_signal_map(MAPS / f"{name}.toml")


def table() -> str:
    """Return the table as Markdown."""
    rows = [HEADER, ("---",) * len(HEADER), *(_row(path) for path in car_maps())]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _row(path: Path) -> tuple[str, ...]:
    entry, signal_map = load(path, MapFile), car_map(path.stem)
    odometers = [m.layout for m in signal_map.messages if any(f.field == "odometer_m" for f in m.fields)]
    rules = sorted({m.checksum.rule.name for m in signal_map.messages if m.checksum is not None})
    years = entry.years
    assert years is not None
    return (
        f"`{path.stem}`",
        f"{entry.brand}: {', '.join(entry.models)}",
        f"{years[0]}-{years[1]}",
        ", ".join(f"0x{m.arbitration_id:X}" for m in odometers) or "by request",
        ", ".join(rules) or "-",
        TRIED.get(path.stem, ON_PAPER),
    )
