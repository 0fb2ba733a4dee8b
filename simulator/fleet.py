"""The stations of a run: real agents, each car with control units and a CAN bus of its own, and the shape the world drives them by.

A simulated car is the same `VehicleAgent` as in a car; only what surrounds it is made here: how it moves becomes frames of
`SimulatedEcu`, the frames travel over a python-can bus, the agent reads them from there. Nothing reaches an agent another way.
"""

from math import degrees
from time import monotonic_ns, sleep
from typing import Protocol

from shared.core.clock import NS_PER_S, Clock, Instant, MonotonicNs
from shared.core.errors import TransportError
from shared.stack.arrival import Arrival
from shared.stack.effects import Effect
from shared.stack.inbound import Inbound
from shared.stack.station import StationIdentity
from shared.transport.can_bus import CanBus, CanBusConfig, StampSource
from simulator.ecu import Body, KinematicSample, Rollback, SimulatedEcu
from simulator.kinematics import Motion
from simulator.options import CanInterface
from simulator.scenario import place
from simulator.scenarios import crossing
from simulator.scenarios.crossing import Movement
from vehicle_agent.agent import VehicleAgent

ARRIVAL_PATIENCE_NS = NS_PER_S
"""Wall time the frames of one step may take over a bus outside this program before they count as lost."""

UDP_PORT = 43_113
_ARRIVAL_NAP_S = 0.0005


class SimulatedStation(Protocol):
    """What the world needs of an agent; `VehicleAgent` and `RsuAgent` have it by themselves."""

    @property
    def inbound(self) -> Inbound:
        """The account of what came in."""
        ...

    @property
    def identity(self) -> StationIdentity:
        """What it calls itself just now."""
        ...

    def on_packet(self, packet: bytes, now: Instant, arrival: Arrival) -> tuple[Effect, ...]:
        """Take in one packet."""
        ...

    def on_timer(self, now: Instant) -> tuple[Effect, ...]:
        """Do what is due."""
        ...

    def next_due(self) -> MonotonicNs | None:
        """Return when `on_timer` wants to be called."""
        ...


def bus_config(interface: CanInterface, number: int, run: str) -> CanBusConfig:
    """Return where the bus of car `number` is; `run` keeps the virtual buses of two runs in one process apart."""
    match interface:
        case CanInterface.VIRTUAL:
            return CanBusConfig(interface="virtual", channel=f"{run}-car-{number}", options={"preserve_timestamps": True})
        case CanInterface.UDP:
            return CanBusConfig(interface="udp_multicast", channel=f"239.74.163.{number + 1}", options={"port": UDP_PORT})
        case CanInterface.VCAN:
            return CanBusConfig(interface="socketcan", channel=f"vcan{number}")


class CarBus:
    """The bus between a car's control units and its agent: two ends of one channel.

    Args:
        config: where it is.
        clock: the simulation's.

    Raises:
        ConfigError: there is no such interface.
        TransportError: the bus cannot be opened.
    """

    def __init__(self, config: CanBusConfig, clock: Clock) -> None:
        stamps = StampSource.SENDER if config.interface == "virtual" else StampSource.ARRIVAL
        self.channel = config.channel
        self._waits = config.interface != "virtual"
        self._units_end = CanBus(config, clock=clock, stamps=stamps)
        self.agent_end = CanBus(config, clock=clock, stamps=stamps)
        self._units_end.open()
        try:
            self.agent_end.open()
        except TransportError:
            self._units_end.close()
            raise
        self.lost = 0

    def carry(self, ecu: SimulatedEcu, sample: KinematicSample, agent: VehicleAgent, now: Instant) -> tuple[Effect, ...]:
        """Put the frames that are due on the bus, and give the agent what arrives."""
        due = ecu.poll(sample, now.monotonic)
        for frame in due:
            self._units_end.send(frame)
        effects: list[Effect] = []
        left = len(due)
        deadline = monotonic_ns() + ARRIVAL_PATIENCE_NS if self._waits else 0
        while left > 0:
            frames = self.agent_end.drain()
            for frame in frames:
                effects += agent.on_can_frame(frame, now)
            left -= len(frames)
            if not frames:
                if monotonic_ns() >= deadline:
                    self.lost += left
                    break
                sleep(_ARRIVAL_NAP_S)
        return tuple(effects)

    def close(self) -> None:
        """Close both ends."""
        self._units_end.close()
        self.agent_end.close()


class SimulatedCar:
    """One car: its motion, its units, its bus, its agent.

    Args:
        number: its place in the fleet, from 0; also that of its `Car` in the traffic.
        agent: the real agent.
        ecu: its control units.
        bus: the bus between them.
        odometer_m: the distance it had driven before the run.
        rollback: what is done to its odometer, or None.
        call_out: when its light bar and siren are on, seconds of the run; None for an ordinary car.
    """

    def __init__(
        self,
        *,
        number: int,
        agent: VehicleAgent,
        ecu: SimulatedEcu,
        bus: CarBus,
        odometer_m: float,
        rollback: Rollback | None,
        call_out: tuple[float, float] | None,
    ) -> None:
        self.number = number
        self.agent = agent
        self.rollback = rollback
        self.first_odometer_m = odometer_m
        self._ecu = ecu
        self._bus = bus
        self._call_out = call_out

    @property
    def name(self) -> str:
        """For people, counting from 1."""
        return f"Car {self.number + 1}"

    def drive(self, motion: Motion, now: Instant) -> tuple[Effect, ...]:
        """Let the units say how the car moves, and return what the agent wants done."""
        return self._bus.carry(self._ecu, self._sample(motion, now.monotonic / NS_PER_S), self.agent, now)

    def shown_odometer_m(self, travelled_m: float, now: MonotonicNs) -> int:
        """Return what the cluster shows."""
        true_m = self.first_odometer_m + travelled_m
        return int(true_m if self.rollback is None else self.rollback(true_m, now))

    def close(self) -> None:
        """Close the bus."""
        self._bus.close()

    def _sample(self, motion: Motion, elapsed_s: float) -> KinematicSample:
        right_bend_per_m = 0.0 if motion.speed_mps <= 0.0 else motion.yaw_rate_deg_s / degrees(motion.speed_mps)
        stands_broken = motion.broken_down and motion.standing
        hurries = self._call_out is not None and self._call_out[0] <= elapsed_s < self._call_out[1]
        return KinematicSample(
            position=place(motion.east_m, motion.north_m),
            altitude_m=crossing.ELEVATION_M,
            heading_deg=motion.heading_deg,
            speed_mps=motion.speed_mps,
            longitudinal_acceleration_mps2=motion.acceleration_mps2,
            lateral_acceleration_mps2=-(motion.speed_mps**2) * right_bend_per_m,
            yaw_rate_dps=-motion.yaw_rate_deg_s,
            steering_wheel_angle_deg=motion.steering_wheel_deg,
            odometer_m=self.first_odometer_m + motion.travelled_m,
            brake_pedal_pressed=motion.braking,
            turn_left=motion.turn_signal is Movement.LEFT,
            turn_right=motion.turn_signal is Movement.RIGHT,
            low_beam=True,
            hazard_lights=stands_broken,
            doors_open=stands_broken,
            body=Body(breakdown=motion.broken_down, light_bar_on=hurries, siren_on=hurries),
        )
