"""A program that writes what a vehicle remembers and its own hazards over and over, killed again and again in the midst of it."""

import gc
import json
import os
import signal
import sys
from pathlib import Path
from random import Random

from shared.core.ids import StationId, StationType
from shared.facilities.originated_events import OriginatedEvents
from shared.service.event_store import EventStore, StationMemory, saved_pseudonym
from tests.unit.service.test_event_store import IDENTITY, REPORT, TICKET, at
from vehicle_agent.vehicle_memory import MAX_PARTS, KnownFactor, KnownPart, MemoryFile, VehicleMemory

MOST_WRITES = 6

PARTS = tuple(KnownPart(unit=f"can0:{n:03x}", identifiers={"software_number": "9" * 400}) for n in range(MAX_PARTS))


def remembered(count: int) -> VehicleMemory:
    """As large as it may be, and another each time."""
    return VehicleMemory(parts=PARTS, factors=(KnownFactor(source="wheels", factor=1.0, learnt_over_m=count),))


def hazards(count: int) -> StationMemory:
    """One hazard of a station, and how many it had before."""
    events = OriginatedEvents(StationId(IDENTITY.station_id), StationType.PASSENGER_CAR, count)
    events.trigger(REPORT, at(0))
    events.poll(at(0))
    return StationMemory(pseudonym=saved_pseudonym(IDENTITY, TICKET.certificate.hashed_id8), events=events.snapshot())


def count_of(folder: Path) -> tuple[int, int]:
    """Return which memory and which hazards lie in a folder, read as an agent does; raise where they are not whole."""
    memory = MemoryFile(folder / "vehicle.json").load()
    takeover = EventStore(folder / "hazards.json").take_over()
    if takeover.problem is not None:
        raise takeover.problem
    if memory.factors and memory != remembered(memory.factors[0].learnt_over_m):
        raise AssertionError("the memory is a mixture")
    kept = 0 if takeover.memory is None else takeover.memory.events.next_sequence_number - 1
    return (memory.factors[0].learnt_over_m if memory.factors else 0), kept


def keep(folder: Path, tell: int, count: int) -> None:
    """Write both anew for ever, and tell of each."""
    while True:
        count += 1
        MemoryFile(folder / "vehicle.json").keep(remembered(count))
        os.write(tell, b"m")
        EventStore(folder / "hazards.json").save(hazards(count))
        os.write(tell, b"h")


def main() -> None:
    """Kill it so many times; each time what lies there is what was told of last or, untold, what came after it."""
    folder, kills, lot = Path(sys.argv[1]), int(sys.argv[2]), Random(int(sys.argv[3]))
    gc.freeze()
    memory = kept = mid_write = 0
    for _ in range(kills):
        hear, tell = os.pipe()
        count = min(memory, kept)
        child = os.fork()
        if child == 0:
            try:
                keep(folder, tell, count)
            finally:
                os._exit(1)
        os.close(tell)
        told = os.read(hear, 1) if lot.random() < 0.9 else b""  # now and then at once
        while told and len(told) < lot.randint(1, 2 * MOST_WRITES):
            told += os.read(hear, 1)
        os.kill(child, signal.SIGKILL)
        while octets := os.read(hear, 1024):
            told += octets
        os.close(hear)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(f"it ended with {status} though nobody had killed it")
        mid_write += bool(list(folder.glob(".*.json.*")))
        memory, kept = count_of(folder)
        for name, now, said in (("memory", memory, told.count(b"m")), ("hazards", kept, told.count(b"h"))):
            if now not in (count + said, count + said + 1) and said:
                sys.exit(f"{name} {now} lies there, and {count + said} was told of")
    left = [file.name for file in folder.iterdir()]
    sys.stdout.write(json.dumps({"kills": kills, "mid_write": mid_write, "written": [memory, kept], "left": sorted(left)}) + "\n")


if __name__ == "__main__":
    main()
