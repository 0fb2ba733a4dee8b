"""Recorded buses of a car and a lorry, as far as they tell of distance, and what their odometers come to under watch."""

import gzip
from collections.abc import Iterator
from functools import cache
from heapq import merge
from pathlib import Path
from tempfile import TemporaryDirectory

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.geo import GeoPoint
from shared.transport.can_frame import CanFrame
from shared.transport.can_log import CanLog
from simulator.adversaries.mileage_blocker import MileageBlocker, Shown
from tests.helpers.data import REPOSITORY, data_file
from tests.helpers.rav4 import RAV4_MAP, bus_log, read_truth
from vehicle_agent.odometer import OdometerPolicy, OdometerWatch, RecordDue
from vehicle_agent.signals.can_input import CanInput
from vehicle_agent.signals.signal_map import SignalMap, load_signal_map
from vehicle_agent.vehicle_state import SignalUpdate

TRUCK_LOG = "can/css/truck-j1939-vd-gnss-imu-2021.log.gz"
TRUCK_MAP = REPOSITORY / "vehicle_agent/maps/j1939_truck.toml"
TRUCK_M = 13_832_875

_RAV4_IDENTIFIERS = (b" 611#", b" 0AA#", b" 0B4#", b" 1C4#")
_TRUCK_IDENTIFIERS = (b" 18FEE000#", b" 0CFEF100#")
_GNSS_AGE_NS = NS_PER_S

News = tuple[MonotonicNs, tuple[SignalUpdate, ...]]


@cache
def rav4_map() -> SignalMap:
    """Return the map of the car."""
    return load_signal_map(RAV4_MAP)


@cache
def truck_map() -> SignalMap:
    """Return the map of the lorry."""
    return load_signal_map(TRUCK_MAP)


@cache
def rav4_frames() -> tuple[CanFrame, ...]:
    """Return the car's minute; skips the test where it is absent."""
    return tuple(_frames(bus_log(), _RAV4_IDENTIFIERS))


@cache
def truck_frames() -> tuple[CanFrame, ...]:
    """Return the lorry's two minutes; skips the test where they are absent."""
    return tuple(_frames(data_file(TRUCK_LOG), _TRUCK_IDENTIFIERS))


def _frames(log: Path, identifiers: tuple[bytes, ...]) -> Iterator[CanFrame]:
    """Yield the frames of some identifiers alone: a log has a hundred times as many."""
    with TemporaryDirectory() as folder, gzip.open(log) as lines:
        kept = Path(folder) / "kept.log"
        kept.write_bytes(b"".join(line for line in lines if any(identifier in line for identifier in identifiers)))
        yield from CanLog(kept).frames()


def rav4_receiver() -> tuple[News, ...]:
    """Return what the car's own receiver recorded beside the bus."""
    truth = read_truth()
    news = []
    for t, fix in zip(truth.fix_t, truth.fixes, strict=True):
        at = MonotonicNs(round(float(t) * NS_PER_S))
        said: dict[str, GeoPoint | float] = {"position": GeoPoint(float(fix[0]), float(fix[1])), "gnss_speed_mps": float(fix[2])}
        news.append((at, tuple(SignalUpdate(field=f, value=v, at=at, max_age_ns=_GNSS_AGE_NS) for f, v in said.items())))
    return tuple(news)


def watch_bus(
    frames: tuple[CanFrame, ...],
    signal_map: SignalMap,
    *,
    known_m: int | None,
    shown: Shown | None = None,
    beside: tuple[News, ...] = (),
) -> tuple[OdometerWatch, list[RecordDue]]:
    """Let a bus be watched; return the watch and every record that was due.

    Args:
        frames: the bus.
        signal_map: what is said there.
        known_m: the odometer that was recorded last.
        shown: what a device on the way makes of the odometer; None for none.
        beside: what a receiver says.
    """
    blocker = None if shown is None else MileageBlocker(signal_map, shown)
    can_input = CanInput(signal_map)
    behind = (frame if blocker is None else blocker.pass_on(frame) for frame in frames)
    watch = OdometerWatch(OdometerPolicy(every_m=1_000, every_s=86_400), known_m)
    due = []
    polled_at = MonotonicNs(0)
    bus = ((frame.received, can_input.on_frame(frame)) for frame in behind)
    for at, updates in merge(bus, beside, key=lambda each: each[0]):
        for update in updates:
            watch.take(update)
        record = None
        if watch.has_reading:
            record = watch.due(at)
        elif at - polled_at >= NS_PER_S:
            polled_at = at
            record = watch.poll(at)
        if record is not None:
            watch.note_recorded(record)
            due.append(record)
    return watch, due
