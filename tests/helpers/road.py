"""Cars on a straight road in real time: each on a CAN bus of its own, driven by the test, heard by an agent in another process.

The road leads east from `ORIGIN`. A car keeps its speed until it is told another; it changes it at the rate it is told, and never
goes backwards. The buses are python-can's `udp_multicast`, which needs no kernel support and no root.
"""

import asyncio
from dataclasses import replace

from shared.core.clock import NS_PER_S, TimeSource
from shared.core.geo import GeoPoint, displaced
from shared.service.system_clock import SystemClock
from shared.transport.can_bus import CanBus, CanBusConfig
from simulator.ecu import NOTHING_ON, Body, KinematicSample, SimulatedEcu, load_sim_car

ORIGIN = GeoPoint(48.137, 11.575)
HEADING_DEG = 90.0
ODOMETER_M = 25_088_000.0
CLOCK = SystemClock(TimeSource.ASSUME_TRUSTED)


class RoadCar:
    """One car.

    Args:
        bus: its bus.
        east_m: where it begins, metres east of `ORIGIN`.
        speed_mps: how fast it begins.
    """

    def __init__(self, bus: CanBusConfig, *, east_m: float, speed_mps: float) -> None:
        self._bus = CanBus(bus, clock=CLOCK)
        self._sample = KinematicSample(
            position=ORIGIN,
            altitude_m=520.0,
            heading_deg=HEADING_DEG,
            speed_mps=speed_mps,
            longitudinal_acceleration_mps2=0.0,
            lateral_acceleration_mps2=0.0,
            yaw_rate_dps=0.0,
            steering_wheel_angle_deg=0.0,
            odometer_m=ODOMETER_M,
            low_beam=True,
        )
        self._start_m = self.east_m = east_m
        self.speed_mps = self._wanted_mps = speed_mps
        self._rate_mps2 = 0.0

    def go(self, speed_mps: float, *, rate_mps2: float) -> None:
        """Change to another speed at the given rate, positive whichever way."""
        self._wanted_mps, self._rate_mps2 = speed_mps, rate_mps2

    def switch(self, *, hazard_lights: bool = False, doors_open: bool = False, body: Body = NOTHING_ON) -> None:
        """Set what is switched on."""
        self._sample = replace(self._sample, hazard_lights=hazard_lights, doors_open=doors_open, body=body)

    async def drive(self) -> None:
        """Drive until cancelled."""
        self._bus.open()
        before = CLOCK.now().monotonic
        ecu = SimulatedEcu(load_sim_car(), channel="can0", start=before)
        try:
            while True:
                now = CLOCK.now().monotonic
                self._move((now - before) / NS_PER_S)
                before = now
                for frame in ecu.poll(self._sample, now):
                    self._bus.send(frame)
                await asyncio.sleep(max(0.0, (ecu.next_due() - CLOCK.now().monotonic) / NS_PER_S))
        finally:
            self._bus.close()

    def _move(self, elapsed_s: float) -> None:
        step = self._rate_mps2 * elapsed_s
        was_mps = self.speed_mps
        self.speed_mps += max(-step, min(step, self._wanted_mps - was_mps))
        self.east_m += (was_mps + self.speed_mps) / 2 * elapsed_s
        is_changing = self.speed_mps != self._wanted_mps
        acceleration = (self._rate_mps2 if self._wanted_mps > self.speed_mps else -self._rate_mps2) if is_changing else 0.0
        self._sample = replace(
            self._sample,
            position=displaced(ORIGIN, self.east_m, 0.0),
            speed_mps=self.speed_mps,
            longitudinal_acceleration_mps2=acceleration,
            odometer_m=ODOMETER_M + self.east_m - self._start_m,
            brake_pedal_pressed=acceleration < 0.0 or self.speed_mps == 0.0,
        )
