"""P3 and C1 on recorded traffic: honest vehicles with honest receivers are left alone, and whoever jumps about is found.

The traces are synthetic receptions by seven roadside units, with the truth of every message beside it; the truth is only looked at
to count, never to judge.
"""

import csv
import gzip
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random

import pytest

from shared.core.geo import GeoPoint, displaced
from shared.core.itstime import Time64
from shared.trust.claims import Claim, ClaimSource
from shared.trust.suspicion import Standing, Suspicion
from tests.helpers.data import data_file

ORIGIN = GeoPoint(44.49, 11.34)
BEGIN_US = 700_000_000_000_000
MOST_FALSE_FINDINGS = 0.004
"""Of the messages of honest vehicles."""

MESSAGES = 30_000
"""Read of each trace."""


@dataclass(frozen=True)
class Judged:
    """One message: who said it, whether it was honest, and how its sender stood afterwards."""

    alias: str
    is_honest: bool
    findings: int
    standing: Standing


def rows_of(name: str) -> Iterator[dict[str, str]]:
    with gzip.open(data_file(f"misbehaviour/{name}"), "rt", encoding="ascii") as file:
        yield from islice(csv.DictReader(file), MESSAGES)


def late(rows: Iterator[dict[str, str]], most_s: float) -> Iterator[dict[str, str]]:
    """Let every message be under way for a time of its own: some overtake others."""
    draw = Random(5)
    return iter(sorted(rows, key=lambda row: float(row["gen_time"]) + draw.uniform(0.0, most_s)))


def judged(name: str, *, most_late_s: float = 0.0) -> Iterator[Judged]:
    suspicions: dict[str, Suspicion] = defaultdict(Suspicion)
    for row in late(rows_of(name), most_late_s) if most_late_s else rows_of(name):
        claim = Claim(
            source=ClaimSource.MESSAGE,
            taken_at=Time64(BEGIN_US + round(float(row["gen_time"]) * 1_000_000)),
            position=displaced(ORIGIN, float(row["claimed_x"]), float(row["claimed_y"])),
            speed_mps=float(row["claimed_speed"]),
        )
        suspicion = suspicions[row["alias"]]
        findings = suspicion.hear(claim)
        yield Judged(row["alias"], row["label"] == "0", len(findings), suspicion.standing)


@pytest.mark.parametrize("most_late_s", [0.0, 0.5, 5.0])
def test_honest_traffic_is_hardly_ever_found_fault_with_and_nobody_in_it_is_ignored_in_whatever_order_it_comes(
    most_late_s: float,
) -> None:
    messages = found = 0
    ignored: set[str] = set()
    for each in judged("synthetic_bologna_none_seed5_45s.csv.gz", most_late_s=most_late_s):
        messages += 1
        found += each.findings
        if each.standing is Standing.IGNORED:
            ignored.add(each.alias)
    assert messages == MESSAGES
    assert found / messages <= MOST_FALSE_FINDINGS
    assert ignored == set()


def test_among_attackers_the_honest_are_left_alone_and_those_who_jump_about_are_ignored() -> None:
    counted: Counter[tuple[bool, bool]] = Counter()
    honest_ignored: set[str] = set()
    liars_ignored: set[str] = set()
    for each in judged("synthetic_bologna_mixAll_seed5_45s.csv.gz"):
        counted[each.is_honest, each.findings > 0] += 1
        if each.standing is Standing.IGNORED:
            (honest_ignored if each.is_honest else liars_ignored).add(each.alias)
    honest = counted[True, True] + counted[True, False]
    assert counted[True, True] / honest <= MOST_FALSE_FINDINGS
    assert honest_ignored == set()
    assert len(liars_ignored) >= 3
