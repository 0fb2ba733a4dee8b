"""Drive the simulator's car along a straight road on a real bus, in real time: `python -m tests.helpers.drive vcan0`.

A program of its own, so that the agent under test hears its car from another process through the kernel. The car holds its speed
and heading; its odometer counts what it drives, and its control units answer testers. On the first SIGTERM it parks: the bus goes
on, with the ignition off; on the second the program ends. How long it drives is for whoever waits for what it should cause
(`tests.helpers.await_status`).
"""

import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from shared.core.clock import NS_PER_S, MonotonicNs, TimeSource
from shared.core.errors import TransportError
from shared.core.geo import GeoPoint, displaced
from shared.service.system_clock import SystemClock
from shared.transport.can_bus import CanBus, CanBusConfig
from simulator.diagnostics import CarFigures, Diagnostics, cluster_unit, engine_unit
from simulator.ecu import KinematicSample, SimulatedEcu, load_sim_car

START = GeoPoint(48.137, 11.575)
SPEED_MPS = 13.9
HEADING_DEG = 90.0
ODOMETER_M = 25_088_000.0
VIN = "WVWZZZ1KZAW000123"
LEAVE = 2


def drive(channel: str, told: Callable[[], int]) -> int:
    """Put the car's frames on the bus; returns how many the bus took.

    Args:
        channel: the bus.
        told: how often the driver was told to stop so far: once to park, twice to leave.
    """
    clock = SystemClock(TimeSource.ASSUME_TRUSTED)
    bus = CanBus(CanBusConfig(interface="socketcan", channel=channel, options={"fd": True}), clock=clock)
    bus.open()
    print("driving", file=sys.stderr, flush=True)  # noqa: T201 - whoever started this waits for it
    start = clock.now().monotonic
    ecu = SimulatedEcu(load_sim_car(), channel=channel, start=start)
    units = Diagnostics((engine_unit(VIN), cluster_unit(VIN)), channel=channel)
    sample = KinematicSample(
        position=START,
        heading_deg=HEADING_DEG,
        speed_mps=SPEED_MPS,
        longitudinal_acceleration_mps2=0.0,
        yaw_rate_dps=0.0,
        odometer_m=ODOMETER_M,
        low_beam=True,
    )
    sent = 0
    while told() < LEAVE:
        elapsed_ns = clock.now().monotonic - start
        driven_m = SPEED_MPS * elapsed_ns / NS_PER_S
        sample = replace(
            sample,
            position=displaced(START, driven_m, 0.0),
            odometer_m=ODOMETER_M + driven_m,
            ignition_on=told() == 0,
        )
        now = MonotonicNs(start + elapsed_ns)
        figures = CarFigures(odometer_m=sample.odometer_m, speed_mps=SPEED_MPS, engine_per_min=2_000.0)
        try:
            answers = [answer for question in bus.drain() for answer in units.hear(question, figures, now)]
            for frame in (*ecu.poll(sample, now), *answers, *units.poll(now)):
                bus.send(frame)
                sent += 1
        except TransportError:  # the interface is down; the car drives on
            with suppress(TransportError):
                bus.open()
        time.sleep(max(0.0, (ecu.next_due() - clock.now().monotonic) / NS_PER_S))
    bus.close()
    return sent


def main() -> None:
    """Drive until told."""
    orders: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: orders.append(number))
    print(drive(sys.argv[1], lambda: len(orders)))  # noqa: T201 - a program's output


if __name__ == "__main__":
    main()
