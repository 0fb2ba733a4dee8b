"""tshark as the judge of a whole capture: what it finds wrong, and what it takes each frame for."""

import subprocess
from collections import Counter
from pathlib import Path

from tests.helpers.debian import require

PATIENCE_S = 300.0
HOP_LIMIT_NOTE = '"Remain Hop Limit" only 1'
"""What tshark remarks of every single-hop packet; nothing is wrong with it."""


def complaints(capture: Path) -> Counter[str]:
    """Return every remark of tshark's on a capture (malformed, warnings, notes) and how often, the hop-limit note left out."""
    rows = fields(capture, "_ws.expert.message", "_ws.malformed", "_ws.short")
    found: Counter[str] = Counter()
    for expert, malformed, short in rows:
        found.update(remark for remark in expert.split("\x1f") if remark and remark != HOP_LIMIT_NOTE)
        found.update({"malformed": bool(malformed), "cut short": bool(short)})
    return +found


def protocols(capture: Path) -> Counter[str]:
    """Return how many frames of a capture there are of each stack of protocols (`eth:ethertype:gnw:...`)."""
    return Counter(row[0] for row in fields(capture, "frame.protocols"))


def fields(capture: Path, *names: str) -> list[list[str]]:
    """Return the fields of every frame as tshark reads them, several values of one joined by the unit separator."""
    command = [require("tshark", "tshark"), "-r", str(capture), "-T", "fields", "-E", "aggregator=\x1f"]
    for name in names:
        command += ["-e", name]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    return [line.split("\t") for line in run.stdout.splitlines()]
