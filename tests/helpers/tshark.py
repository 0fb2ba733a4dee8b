"""tshark as the judge of a whole capture: what it finds wrong, and what it takes each frame for."""

import json
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from shared.core.clock import UtcNs
from shared.transport.pcap import PcapWriter
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
    wanted = [part for name in names for part in ("-e", name)]
    return [line.split("\t") for line in shown(capture, "-T", "fields", "-E", "aggregator=\x1f", *wanted).splitlines()]


def layers(capture: Path, *options: str, pairs: Callable[[list[tuple[str, Any]]], Any] = dict) -> list[Any]:
    """Return the layers of every frame, as nested JSON values.

    Args:
        capture: the file.
        options: of tshark; `--no-duplicate-keys` makes a list of what stands more than once.
        pairs: what becomes of a layer; `list` keeps what stands more than once apart.
    """
    frames = json.loads(shown(capture, "-T", "json", *options), object_pairs_hook=pairs)
    return frames if pairs is not dict else [frame["_source"]["layers"] for frame in frames]


def layers_of(directory: Path, packets: Iterable[bytes], *, utc: UtcNs, source_mac: bytes | None = None) -> list[dict[str, Any]]:
    """Write packets into a capture in `directory` and return the layers of each."""
    path = directory / "packets.pcap"
    with PcapWriter(path) as writer:
        for packet in packets:
            if source_mac is None:
                writer.write(packet, utc=utc)
            else:
                writer.write(packet, utc=utc, source_mac=source_mac)
    return layers(path, "--no-duplicate-keys")


def shown(capture: Path, *options: str) -> str:
    """Return what tshark prints of a capture."""
    command = [require("tshark", "tshark"), "-r", str(capture), *options]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S).stdout
