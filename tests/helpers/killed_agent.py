"""A vehicle agent on its real files that is killed again and again while it replays a drive, and goes on where its spool says.

A process that has loaded everything forks one for each start; the fork opens what the configuration names, reads from the spool how
far the car has come, and replays a log of the road from there, as fast as it can. It is killed (SIGKILL) in one of three ways: by
itself as a writing statement of SQLite is about to be carried out; by its parent once it has told of so many; by its parent after a
time. The connections to SQLite count their statements; everything else is the program that is shipped.
"""

import gc
import json
import os
import re
import select
import signal
import sqlite3
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.geo import displaced
from shared.service.config import load
from shared.stack.effects import Effect, Notice
from shared.transport.can_frame import CanFrame
from simulator.ecu import SimulatedEcu
from tests.helpers.hierarchy import NOON
from tests.helpers.identities import HERE
from tests.unit.vehicle_agent.agent_bench import DBC, GNSS_FIX, PARKED
from vehicle_agent.composition import make_agent, open_vehicle
from vehicle_agent.config import VehicleConfig
from vehicle_agent.replay import replay

FIRST_M = 100_000.0
SPEED_MPS = 60.0
STRETCH_S = 3.0
"""Replayed by one start; most are killed long before."""

SPEAKS_EVERY = 4
"""One start in so many has a position and speaks, which takes most of the time."""

BETWEEN_STARTS_NS = 60 * NS_PER_S
MOST_STATEMENTS = 50
"""Writing statements of some three records, from the first on."""

MOST_SECONDS = 0.15
MAX_STARTS = 2
"""For each kill that is wanted."""

WAYS = ("by itself", "by its parent, at a statement", "by its parent, after a time")

_WRITES = re.compile(r"\s*(BEGIN IMMEDIATE|COMMIT|INSERT|UPDATE|DELETE|CREATE|PRAGMA wal_checkpoint)\b")


def drive(odometer_m: float, began: MonotonicNs, *, has_fixes: bool) -> Iterator[CanFrame]:
    """Yield what the bus of a car says that drives on from a reading; without fixes it has nothing to say to others."""
    ecu = SimulatedEcu(DBC, channel="can0", start=began)
    while (due := ecu.next_due()) <= began + round(STRETCH_S * NS_PER_S):
        driven_m = SPEED_MPS * (due - began) / NS_PER_S
        place = displaced(HERE, driven_m, 0.0)
        sample = replace(PARKED, position=place, speed_mps=SPEED_MPS, odometer_m=odometer_m + driven_m)
        yield from (frame for frame in ecu.poll(sample, due) if has_fixes or frame.arbitration_id != GNSS_FIX)


def start(config_path: Path, told: Path, *, number: int) -> None:
    """Be the agent, once; tell whoever listens of each record and each proof."""
    utc = UtcNs(NOON + number * BETWEEN_STARTS_NS)
    began = MonotonicNs(5 * NS_PER_S)
    config = load(config_path, VehicleConfig)
    heard = os.open(told, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def perform(effect: Effect, _now: Instant) -> None:
        if isinstance(effect, Notice) and effect.kind.startswith("odometer_"):
            os.write(heard, json.dumps({"start": number, "kind": effect.kind, **effect.fields}).encode() + b"\n")

    with open_vehicle(config, base=config_path.parent, environment={}, now=Instant(began, utc)) as vehicle:
        head = vehicle.parts.spool.head()
        odometer_m = FIRST_M if head is None or head.odometer_m is None else float(head.odometer_m)
        replayed = replay(
            lambda at: make_agent(vehicle.parts, entropy=os.urandom, started=at),
            frames=drive(odometer_m, began, has_fixes=number % SPEAKS_EVERY == 0),
            track=iter(()),
            start_utc=utc,
            perform=perform,
        )
        end = Instant(MonotonicNs(began + BETWEEN_STARTS_NS // 2), UtcNs(utc + BETWEEN_STARTS_NS // 2))
        for effect in replayed.agent.stop(end):
            perform(effect, end)


def count_statements(tell: int, *, last: int | None) -> None:
    """Tell of each writing statement on a pipe, and die as number `last` is about to be carried out."""
    seen = 0

    class Counted(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            nonlocal seen
            if _WRITES.match(sql):
                seen += 1
                if seen == last:
                    os.kill(os.getpid(), signal.SIGKILL)
                os.write(tell, b".")
            return super().execute(sql, *values)

    vars(sqlite3)["connect"] = partial(sqlite3.connect, factory=Counted)


def run_once(config: Path, told: Path, *, number: int, way: str, lot: Random) -> int:
    """Start the agent in a process of its own and kill it in one way; return what `waitpid` tells."""
    hear, tell = os.pipe()
    last = lot.randint(1, MOST_STATEMENTS)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(hear)
            count_statements(tell, last=last if way == WAYS[0] else None)
            start(config, told, number=number)
            status = 0
        except BaseException:  # noqa: BLE001 - it is told, and ends this process
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(status)
    os.close(tell)
    if way == WAYS[1]:
        while last > 0 and (octets := os.read(hear, last)):
            last -= len(octets)
        os.kill(child, signal.SIGKILL)
    elif way == WAYS[2]:
        watched = os.pidfd_open(child)
        select.select([watched], [], [], lot.uniform(0.0, MOST_SECONDS))
        os.kill(child, signal.SIGKILL)
        os.close(watched)
    else:
        while os.read(hear, 1024):
            pass
    os.close(hear)
    return os.waitpid(child, 0)[1]


def main() -> None:
    """Kill the agent of a folder so many times, let it run to its end once, and say how often it was killed in which way."""
    config, told, kills, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    lot, killed, starts = Random(seed), Counter[str](), 0
    gc.freeze()
    while killed.total() < kills and starts < MAX_STARTS * kills:
        way = WAYS[starts % len(WAYS)]
        status = run_once(config, told, number=starts, way=way, lot=lot)
        starts += 1
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            killed[way] += 1
        elif status:
            sys.exit(f"start {starts} ended with {status} though nobody killed it")
    start(config, told, number=starts)
    sys.stdout.write(json.dumps({"killed": killed, "starts": starts + 1}) + "\n")


if __name__ == "__main__":
    main()
