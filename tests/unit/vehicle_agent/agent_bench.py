"""A whole car on a bench: simulated control units, real bus decoding, the real agent, a real spool and ledger in a folder.

Only time is made: the bench moves a manual clock from one due frame or timer to the next, as the replay and the simulator do.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

from shared.core.clock import NS_PER_S, Instant, ManualClock, MonotonicNs, UtcNs
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import StationType
from shared.ledger.policy import Policy
from shared.messages.cam import Cam
from shared.pki.authority import years
from shared.security.ecdsa import Curve
from shared.security.sign import TicketCredential
from shared.security.ticket_pool import FleetingUse, TicketPolicy, TicketPool
from shared.service.database import Connect, connect_sqlite
from shared.service.log_store import open_log_store
from shared.service.record_key import EnrolledSigner
from shared.service.rollback_counter import RollbackCounter
from shared.service.spool import DEFAULT_CAPACITY, open_spool
from shared.stack.effects import Effect, Notice, Transmit
from shared.stack.station import Station
from shared.transport.can_frame import CanFrame
from simulator.ecu import SIM_CAR_MAP, KinematicSample, SimulatedEcu, load_sim_car
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.identities import HERE, make_peer
from tests.helpers.ledger import ORIGIN, log_signer, policy_of
from vehicle_agent.agent import VehicleAgent
from vehicle_agent.composition import VehicleParts, make_agent
from vehicle_agent.odometer import OdometerPolicy
from vehicle_agent.signals.signal_map import load_signal_map

HIERARCHY = Hierarchy(7)
SIGNAL_MAP = load_signal_map(SIM_CAR_MAP)
DBC = load_sim_car()
WOKEN = MonotonicNs(5 * NS_PER_S)
GNSS_FIX = DBC.message("GNSS_FIX").arbitration_id
ODOMETER_M = 25_088_000.0

PARKED = KinematicSample(position=HERE, heading_deg=90.0, speed_mps=0.0, odometer_m=ODOMETER_M)


def enrolled(hierarchy: Hierarchy = HIERARCHY) -> EnrolledSigner:
    """Return a vehicle's long-term identity."""
    signer = hierarchy.keys.generate(Curve.NIST_P256)
    certificate = hierarchy.ea.issue_credential(public_key=signer.public_key, validity=years(hierarchy.start, 3))
    credential = TicketCredential(certificate=certificate, signer=signer)
    return EnrolledSigner(credential, authority=hierarchy.ea.certificate)


class Bench:
    """One car.

    Args:
        directory: keeps spool and ledger.
        utc: what the car's clock says at the start, None while it is not set.
        sample: how the car stands or moves; change `sample` to make it do something else.
        seed: of everything drawn: two benches with one seed are the same car started once.
        every_m: the odometer policy.
        every_s: likewise.
        fixed_position: where a vehicle stands that never moves.
        fixed_heading_deg: where it looks.
        connect: opens the spool's database.
        capacity: records the spool holds.
        policy: the ledger policy, by default one that knows the bench's own log.
        tickets: what the car can speak under, by default one; None for no ticket at all.
        counter: counts its records beside the spool.
    """

    def __init__(
        self,
        directory: Path,
        *,
        utc: UtcNs | None = NOON,
        sample: KinematicSample = PARKED,
        seed: int = 1,
        every_m: int = 1_000,
        every_s: int = 3_600,
        fixed_position: GeoPoint | None = None,
        fixed_heading_deg: float | None = None,
        connect: Connect = connect_sqlite,
        capacity: int = DEFAULT_CAPACITY,
        policy: Policy | None = None,
        tickets: tuple[TicketCredential, ...] | None = (),
        counter: RollbackCounter | None = None,
    ) -> None:
        self.sample = sample
        self.clock = ManualClock(utc, WOKEN)
        self.effects: list[tuple[Effect, Instant]] = []
        self._files = ExitStack()
        log = open_log_store(directory / "log.db", log_signer())
        self._files.callback(log.close)
        self.spool = open_spool(directory / "spool.db", capacity=capacity, connect=connect)
        self._files.callback(self.spool.close)
        self.parts = VehicleParts(
            station_type=StationType.PASSENGER_CAR,
            length_m=4.6,
            width_m=1.8,
            tickets=TicketPool(
                (HIERARCHY.ticket(),) if tickets == () else tickets or (), policy=TicketPolicy(), uses=FleetingUse()
            ),
            trust_store=HIERARCHY.trust_store,
            enrolled=enrolled(),
            signal_map=SIGNAL_MAP,
            odometer_policy=OdometerPolicy(every_m=every_m, every_s=every_s, believe_after_s=0),
            spool=self.spool,
            ledger=log,
            origin=ORIGIN,
            policy=policy or policy_of(),
            fixed_position=fixed_position,
            fixed_heading_deg=fixed_heading_deg,
            counter=counter,
        )
        self.agent: VehicleAgent = make_agent(self.parts, entropy=Random(seed).randbytes, started=self.clock.now())
        self.ecu = SimulatedEcu(DBC, channel="can0", start=WOKEN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._files.close()

    def run(self, seconds: float, *, bus_is_on: bool = True, each: Callable[[Instant], None] | None = None) -> None:
        """Let time pass: the car drives at `sample.speed_mps`, frames and timers fall due, `each` is called after every step."""
        end = MonotonicNs(self.clock.now().monotonic + round(seconds * NS_PER_S))
        while True:
            due = min(self.ecu.next_due(), self.agent.next_due()) if bus_is_on else self.agent.next_due()
            if due > end:
                break
            before = self.clock.now().monotonic
            now = self.clock.advance_to(max(due, before))
            self._drive(now.monotonic - before)
            if bus_is_on:
                for frame in self.ecu.poll(self.sample, now.monotonic):
                    self.give(frame)
            if self.agent.next_due() <= now.monotonic:
                self.take(self.agent.on_timer(now))
            if each is not None:
                each(now)
        self.clock.advance_to(end)

    def give(self, frame: CanFrame) -> None:
        """Put one frame on the bus."""
        self.take(self.agent.on_can_frame(frame, self.clock.now()))

    def hear(self, packet: bytes) -> None:
        """Let the car hear one packet."""
        self.take(self.agent.on_packet(packet, self.clock.now()))

    def take(self, effects: tuple[Effect, ...]) -> None:
        """Keep effects with the moment they were returned."""
        self.effects += [(effect, self.clock.now()) for effect in effects]

    def set(self, **changes: Any) -> None:
        """Make the car do something else from now on."""
        self.sample = replace(self.sample, **changes)

    @property
    def packets(self) -> list[tuple[bytes, Instant]]:
        """What the car said, and when."""
        return [(effect.packet, at) for effect, at in self.effects if isinstance(effect, Transmit)]

    def notices(self, kind: str) -> list[dict[str, Any]]:
        """Return the fields of the notices of one kind."""
        return [dict(effect.fields) for effect, _ in self.effects if isinstance(effect, Notice) and effect.kind == kind]

    def kinds(self) -> list[str]:
        """Return the kinds of all notices in order."""
        return [effect.kind for effect, _ in self.effects if isinstance(effect, Notice)]

    def status(self, section: str) -> Any:
        """Return one section of the agent's status."""
        return self.agent.status()[section]

    def heard_by(self, listener: Station | None = None) -> list[tuple[Cam, Instant]]:
        """Return the CAMs as a neighbour understands them, and when they were sent."""
        listener = listener or make_peer(HIERARCHY, 200)
        cams = []
        for packet, at in self.packets:
            indication = listener.receive(packet, at)
            assert indication is not None
            assert isinstance(indication.message, Cam)
            cams.append((indication.message, at))
        return cams

    def _drive(self, elapsed_ns: int) -> None:
        sample = self.sample
        if sample.speed_mps and sample.position is not None and sample.odometer_m is not None:
            driven_m = sample.speed_mps * elapsed_ns / NS_PER_S
            self.sample = replace(
                sample, position=displaced(sample.position, driven_m, 0.0), odometer_m=sample.odometer_m + driven_m
            )


def recorded_drive(seconds: float, *, speed_mps: float = 15.0, has_receiver: bool = True) -> list[CanFrame]:
    """Return the frames of a drive to the east on the bus of the simulator's car, from `WOKEN` on; without a receiver, no fixes."""
    ecu = SimulatedEcu(DBC, channel="can0", start=WOKEN)
    frames: list[CanFrame] = []
    while (due := ecu.next_due()) <= WOKEN + round(seconds * NS_PER_S):
        driven_m = speed_mps * (due - WOKEN) / NS_PER_S
        sample = replace(PARKED, position=displaced(HERE, driven_m, 0.0), speed_mps=speed_mps, odometer_m=ODOMETER_M + driven_m)
        frames += ecu.poll(sample, due)
    return [frame for frame in frames if has_receiver or frame.arbitration_id != GNSS_FIX]


def candump(frames: list[CanFrame]) -> str:
    """Write frames as a candump log does."""
    lines = []
    for frame in frames:
        seconds, ns = divmod(frame.received, NS_PER_S)
        mark = "##0" if len(frame.data) > 8 else "#"
        lines.append(f"({seconds}.{ns:09d}) {frame.channel} {frame.arbitration_id:03X}{mark}{frame.data.hex().upper()}\n")
    return "".join(lines)
