"""Twice what one core can verify, for as long as asked: how old what is heard gets, what is lost, and what it costs in memory.

Time is made of two things. Packets arrive at moments of a clock moved by hand, and are signed off that clock by their senders just
before. What the receiver does, sorting, shedding, verifying, moves the clock on by the processor time it really took. So a minute
of overload is a minute of the receiver's work on one core, whatever its senders need.

The street: as many cars as it takes, each speaking as often as a CAM may be sent; a roadside unit that repeats all its hazards at
once every second and tells its lights; every second a car nobody knows, with a warning of its own.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from random import SystemRandom
from resource import getpagesize

from msgspec.structs import replace

from shared.bench.figure import Effort, Figure, Measure, Target, Unit, figure_of
from shared.bench.rounds import PROCESSOR_TIME
from shared.bench.traffic import CAM_GAP_NS, NOON, PLACE, Hierarchy, Packets, Traffic, position_at
from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, ManualClock, MonotonicNs
from shared.core.errors import V2xError
from shared.core.ids import ActionId
from shared.core.itstime import time64_of, timestamp_its, utc_of
from shared.messages import samples
from shared.messages.cam import Cam
from shared.messages.denm import Denm
from shared.network.area import Circle
from shared.pki.permission_sets import StationRole
from shared.stack.admission import BATCH_PACKETS
from shared.stack.batch import Outcome, SequentialChecker
from shared.stack.effects import Effect
from shared.stack.inbound import Inbound
from shared.stack.intake import Intake
from shared.stack.station import Station

OVERLOAD = 2.0
"""Times the sustainable rate."""

CALIBRATION_CARS = 128
HAZARDS = 16
WARNING_RADIUS_M = 500.0

LISTENER, ROADSIDE_UNIT, NEWCOMERS = 900_001, 900_002, 1_000_000
"""Station numbers."""

MAX_AGE_MS = 150.0
MAX_GROWTH_MIB = 8.0
"""Memory that counts as flat: less than the queue alone may hold."""

MEMORY_SETTLES_NS = 10 * NS_PER_S
"""Until then the replay memory fills, two freshness windows of a CAM, and each sender's memory of its own last packets, which at
ten a second takes six seconds; what grows afterwards grows for ever."""

_AGE_STEP_NS = NS_PER_MS // 10
_STATM = Path("/proc/self/statm")


class _Street:
    """Everybody who speaks, in order of time."""

    def __init__(self, hierarchy: Hierarchy, *, cars: int, gap_ns: int) -> None:
        self.warnings_sent = 0
        self._hierarchy = hierarchy
        self._traffic = Traffic(hierarchy, cars=cars, gap_ns=gap_ns)
        self._gap_ns = gap_ns
        self._unit = hierarchy.station(ROADSIDE_UNIT, StationRole.RSU)
        self._next_lights = self._next_hazards = self.now.monotonic
        self._newcomers = 0

    @property
    def now(self) -> Instant:
        """When the last packet was sent."""
        return self._traffic.clock.now()

    def introduce(self, inbound: Inbound, cars: int) -> None:
        """Let every car be heard once."""
        for _ in range(cars):
            inbound.receive(*self._traffic.next_packet())

    def packets_until(self, moment: MonotonicNs) -> Packets:
        """Return what is sent up to a moment."""
        packets: Packets = []
        while self.now.monotonic + self._gap_ns <= moment:
            packets.append(self._traffic.next_packet())
            now = packets[-1][1]
            if now.monotonic >= self._next_lights:
                self._next_lights = MonotonicNs(now.monotonic + CAM_GAP_NS)
                spatem = replace(samples.SPATEM, station_id=self._unit.identity.station_id)
                packets.append((self._unit.send(spatem, position=position_at(now), now=now), now))
            if now.monotonic >= self._next_hazards:
                self._next_hazards = MonotonicNs(now.monotonic + NS_PER_S)
                packets += [(self._warning(self._unit, number, now), now) for number in range(HAZARDS)]
                self._newcomers += 1
                packets.append((self._warning(self._hierarchy.station(NEWCOMERS + self._newcomers), 0, now), now))
        return packets

    def _warning(self, station: Station, number: int, now: Instant) -> bytes:
        self.warnings_sent += 1
        moment = timestamp_its(time64_of(now.require_utc()))
        station_id = station.identity.station_id
        denm = replace(
            samples.DENM,
            station_id=station_id,
            action_id=ActionId(station_id, number),
            station_type=station.identity.station_type,
            detection_time=moment,
            reference_time=moment,
        )
        area = Circle(centre=PLACE, radius_m=WARNING_RADIUS_M)
        return station.send(denm, position=position_at(now), now=now, area=area)


class _Listener:
    """Counts what it hears, and how old the CAMs are once their batch is done."""

    def __init__(self, station: Station) -> None:
        self.inbound = Inbound(station)
        self.warnings_heard = 0
        self.cams_by_age: Counter[int] = Counter()
        self._batch: list[int] = []

    def on_outcome(self, outcome: Outcome, _now: Instant, _packet: bytes) -> tuple[Effect, ...]:
        """Take what became of one packet."""
        if outcome is None or isinstance(outcome, V2xError):
            return ()
        if isinstance(outcome.message, Cam):
            self._batch.append(utc_of(outcome.generation_time))
        self.warnings_heard += isinstance(outcome.message, Denm)
        return ()

    def note_done(self, now: Instant) -> None:
        """Take the age of this batch's CAMs."""
        utc = now.require_utc()
        for generated in self._batch:
            self.cams_by_age[(utc - generated) // _AGE_STEP_NS] += 1
        self._batch.clear()

    @property
    def cams(self) -> int:
        """CAMs heard."""
        return self.cams_by_age.total()

    def age_ms(self, percent: float) -> float:
        """Return the age that so many percent of the CAMs did not exceed."""
        wanted = self.cams * percent / 100
        counted = 0
        for age in sorted(self.cams_by_age):
            counted += self.cams_by_age[age]
            if counted >= wanted:
                return (age + 1) * _AGE_STEP_NS / NS_PER_MS
        raise ValueError("no CAM was heard")


class _Receiver:
    """One station behind its intake, on a clock that moves on by what its work took."""

    def __init__(self, hierarchy: Hierarchy) -> None:
        self.clock = ManualClock(NOON)
        self.listener = _Listener(hierarchy.station(LISTENER))
        self.intake = Intake(listener=self.listener, checker=SequentialChecker(), lot=SystemRandom())

    def work(self, packets: Packets) -> None:
        """Offer packets that have arrived, and verify one batch."""
        now = self.clock.now()
        began = PROCESSOR_TIME()
        for packet, received in packets:
            self.intake.offer(packet, received)
        self.intake.take(now)
        self.listener.note_done(self.clock.advance(PROCESSOR_TIME() - began))


def sustainable_rate(hierarchy: Hierarchy, packets: int) -> float:
    """Return how many packets a second one core takes in when they come as fast as it asks for them."""
    street = _Street(hierarchy, cars=CALIBRATION_CARS, gap_ns=CAM_GAP_NS // CALIBRATION_CARS)
    receiver = _Receiver(hierarchy)
    street.introduce(receiver.listener.inbound, CALIBRATION_CARS)
    taken = elapsed_ns = 0
    while taken < packets:
        batch = street.packets_until(MonotonicNs(street.now.monotonic + BATCH_PACKETS * CAM_GAP_NS // CALIBRATION_CARS))
        receiver.clock.advance_to(max(street.now.monotonic, receiver.clock.now().monotonic))
        began = receiver.clock.now().monotonic
        while batch or not receiver.intake.is_empty:
            receiver.work(batch)
            taken += len(batch)
            batch = []
        elapsed_ns += receiver.clock.now().monotonic - began
    return taken * NS_PER_S / elapsed_ns


def overload(effort: Effort) -> Iterable[Figure]:
    """Offer a station twice what it can verify."""
    hierarchy = Hierarchy()
    sustainable = sustainable_rate(hierarchy, max(effort.calls, BATCH_PACKETS))
    offered = OVERLOAD * sustainable
    cars = max(1, min(effort.overload_cars, round(offered * CAM_GAP_NS / NS_PER_S)))
    street = _Street(hierarchy, cars=cars, gap_ns=round(NS_PER_S / offered))
    receiver = _Receiver(hierarchy)
    listener = receiver.listener
    street.introduce(listener.inbound, cars)
    receiver.clock.advance_to(street.now.monotonic)

    began = receiver.clock.now().monotonic
    end = began + round(effort.overload_s * NS_PER_S)
    settles_ns = min(MEMORY_SETTLES_NS, (end - began) // 2)
    memory = _Memory(settle_at=began + settles_ns)
    waiting_octets = 0
    while (now := receiver.clock.now().monotonic) < end:
        receiver.work(street.packets_until(now))
        waiting_octets = max(waiting_octets, receiver.intake.octets)
        memory.look(now)
    elapsed_s = (receiver.clock.now().monotonic - began) / NS_PER_S
    heard = listener.cams
    while not receiver.intake.is_empty:
        receiver.work([])

    what = f"under {OVERLOAD:g} times the sustainable {sustainable:,.0f}/s for {effort.overload_s:g} s"
    yield figure_of(
        "overload.cam_age",
        f"99 of 100 CAMs processed are no older, {what}, {cars} cars",
        Unit.MILLISECONDS,
        [listener.age_ms(99)],
        targets=(Target(measure=Measure.MEDIAN, bound=MAX_AGE_MS),),
    )
    yield figure_of(
        "overload.denm_lost",
        f"DENMs lost of {street.warnings_sent}",
        Unit.PACKETS,
        [street.warnings_sent - listener.warnings_heard],
        targets=(Target(measure=Measure.MEDIAN, bound=0),),
    )
    yield figure_of(
        "overload.memory",
        f"growth of the process after {settles_ns / NS_PER_S:g} s",
        Unit.MEBIBYTES,
        [memory.growth_octets / (1 << 20)],
        targets=(Target(measure=Measure.MEDIAN, bound=MAX_GROWTH_MIB),) if settles_ns == MEMORY_SETTLES_NS else (),
    )
    yield figure_of("overload.queue", "most that waited at once", Unit.MEBIBYTES, [waiting_octets / (1 << 20)])
    yield figure_of("overload.cams", "CAMs processed", Unit.PER_SECOND, [heard / elapsed_s], limit=("sustainable", [sustainable]))


class _Memory:
    """How much the process grows after some moment."""

    def __init__(self, *, settle_at: int) -> None:
        self.growth_octets = 0
        self._settle_at = settle_at
        self._settled: int | None = None
        self._looked_at = 0

    def look(self, now: MonotonicNs) -> None:
        """Look at the resident set, ten times a second."""
        if now < self._settle_at or now < self._looked_at + NS_PER_S // 10:
            return
        self._looked_at = now
        resident = int(_STATM.read_text(encoding="ascii").split()[1]) * getpagesize()
        if self._settled is None:
            self._settled = resident
        self.growth_octets = max(self.growth_octets, resident - self._settled)
