"""The world of a run: time, traffic, air and stations stepped together in one thread, in one order, from one seed.

Time goes on in steps of `STEP_NS`. At each step the cars move, their control units fill their buses, and the agents read them;
until the next step, deliveries, the stations' timers and the attackers happen at their own exact moments, earliest first. Ties go
to deliveries, then stations, then attackers, each in the order they were put up. Nothing here knows what a message says.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, ManualClock, MonotonicNs
from shared.stack.arrival import Arrival
from shared.stack.effects import Effect, Notice, Transmit
from simulator.adversaries import Adversary
from simulator.fleet import SimulatedCar, SimulatedStation
from simulator.kinematics import Traffic
from simulator.medium import Frame, Medium
from simulator.story import COPY, OWN_ECHO, Account, TracePoint

STEP_NS = 20 * NS_PER_MS
AIR = "air"
"""Name of the one link all stations share."""

TRACE_INTERVAL_NS = 500 * NS_PER_MS
MAX_TIMERS_PER_STEP = 10_000
"""More calls than this within one step mean a timer that never moves on: a bug."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedNotice:
    """What an agent told, and when.

    Attributes:
        station: the antenna of the agent.
        elapsed_s: since the start of the run.
    """

    station: int
    elapsed_s: float
    notice: Notice


class World:
    """Moves everything on.

    Args:
        clock: the simulation's; starts at monotonic 0.
        traffic: where cars are.
        medium: the air; every antenna below is put up in it already.
        account: told what happens.
        cars: by antenna.
        stations: every honest station, by antenna, cars among them.
        adversaries: by antenna.
        keep_notice: whether a notice is kept besides being counted.
    """

    def __init__(
        self,
        *,
        clock: ManualClock,
        traffic: Traffic,
        medium: Medium,
        account: Account,
        cars: dict[int, SimulatedCar],
        stations: dict[int, SimulatedStation],
        adversaries: dict[int, Adversary],
        keep_notice: Callable[[Notice], bool],
    ) -> None:
        self._clock = clock
        self._traffic = traffic
        self._medium = medium
        self._account = account
        self._cars = cars
        self._stations = stations
        self._adversaries = adversaries
        self._keep_notice = keep_notice
        self._timers: list[tuple[int, SimulatedStation]] = list(stations.items())
        self._dues: list[float] = []
        self.notice_counts: Counter[str] = Counter()
        self.notices: list[TimedNotice] = []
        self.traces: dict[int, list[TracePoint]] = {antenna: [] for antenna in cars}

    def run(self, duration_s: float, *, after_step: Callable[[float], None]) -> None:
        """Let `duration_s` seconds pass; `after_step` is told the seconds gone after each step."""
        end = MonotonicNs(round(duration_s * NS_PER_S))
        self._trace()
        while (now := self._clock.now().monotonic) < end:
            step_end = MonotonicNs(min(now + STEP_NS, end))
            self._move(self._clock.now())
            self._until(step_end)
            self._clock.advance_to(step_end)
            self._traffic.step((step_end - now) / NS_PER_S)
            if step_end % TRACE_INTERVAL_NS == 0:
                self._trace()
            after_step(step_end / NS_PER_S)

    def carry_out(self, antenna: int, effects: Sequence[Effect]) -> None:
        """Carry out what the agent at `antenna` asks for."""
        now = self._clock.now()
        for effect in effects:
            if isinstance(effect, Transmit):
                mac = self._stations[antenna].identity.address.mac
                frame = self._medium.send(antenna, effect.packet, now.monotonic, source_mac=mac)
                self._overheard(frame)
            elif isinstance(effect, Notice):  # evidence comes with a notice of its own
                self.notice_counts[effect.kind] += 1
                if self._keep_notice(effect):
                    self.notices.append(TimedNotice(station=antenna, elapsed_s=now.monotonic / NS_PER_S, notice=effect))

    def _move(self, now: Instant) -> None:
        """Show every car's motion to its agent, through its bus."""
        for antenna, car in self._cars.items():
            motion = self._traffic.motion(car.number)
            self._medium.move(antenna, motion.east_m, motion.north_m)
            self.carry_out(antenna, car.drive(motion, now))
        self._dues = [_due(station.next_due()) for _, station in self._timers]

    def _until(self, end: MonotonicNs) -> None:
        """Let everything happen that is due before `end`."""
        for _ in range(MAX_TIMERS_PER_STEP):
            arrival = _due(self._medium.next_arrival())
            timer = min(self._dues, default=inf)
            attack = min((_due(a.next_due()) for a in self._adversaries.values()), default=inf)
            due = min(arrival, timer, attack)
            if due >= end:
                return
            now = self._clock.advance_to(MonotonicNs(max(int(due), self._clock.now().monotonic)))
            if arrival <= due:
                self._deliver(now)
            elif timer <= due:
                self._call(self._dues.index(timer), now)
            else:
                self._attack(now)
        raise RuntimeError(f"more than {MAX_TIMERS_PER_STEP} events within {STEP_NS / NS_PER_MS:g} ms: a timer does not move on")

    def _deliver(self, now: Instant) -> None:
        delivery = self._medium.arrived(now.monotonic)
        if delivery is None:
            return
        station = self._stations.get(delivery.receiver)
        if station is None:
            return
        echoes, copies = station.inbound.echoes, station.inbound.copies
        effects = station.on_packet(delivery.frame.packet, now, Arrival(AIR, delivery.frame.source_mac))
        refusal = station.inbound.last_refusal
        verdict = None if refusal is None else refusal.code
        if station.inbound.echoes > echoes:
            verdict = OWN_ECHO
        elif station.inbound.copies > copies:
            verdict = COPY
        self._account.delivered(delivery, verdict, self._medium.position(delivery.receiver))
        self.carry_out(delivery.receiver, effects)
        self._dues[delivery.receiver] = _due(station.next_due())

    def _call(self, index: int, now: Instant) -> None:
        antenna, station = self._timers[index]
        effects = station.on_timer(now)
        self._dues[index] = _due(station.next_due())
        self.carry_out(antenna, effects)

    def _attack(self, now: Instant) -> None:
        for antenna, adversary in self._adversaries.items():
            if _due(adversary.next_due()) <= now.monotonic:
                for packet in adversary.act(now):
                    self._medium.send(antenna, packet.packet, now.monotonic, attack=adversary.kind, copy_of=packet.copy_of)

    def _overheard(self, frame: Frame) -> None:
        """An attacker hears what honest stations send within its own range."""
        now = self._clock.now()
        for antenna, adversary in self._adversaries.items():
            if self._medium.reaches(antenna, frame.sender):
                adversary.overhear(frame.number, frame.packet, now)

    def _trace(self) -> None:
        elapsed_s = self._clock.now().monotonic / NS_PER_S
        for antenna, car in self._cars.items():
            motion = self._traffic.motion(car.number)
            point = TracePoint(elapsed_s=elapsed_s, east_m=motion.east_m, north_m=motion.north_m, speed_mps=motion.speed_mps)
            self.traces[antenna].append(point)


def _due(moment: MonotonicNs | None) -> float:
    return inf if moment is None else moment
