"""When what is asked: the polite scheduler of one bus.

One question at a time, no more of them a second than allowed, the one that is longest due first. Nothing is asked while the
ignition is off, nor where nobody says so and the vehicle shows no life; what may be asked only at standstill waits for it. A unit
that says nothing is left alone for a while, twice as long each time; so is a question that was refused. While another tester is at
work we keep quiet: two testers at once spoil each other's transfers, and a workshop comes first.
"""

from dataclasses import dataclass
from enum import Enum

from shared.core.clock import NS_PER_S, MonotonicNs
from vehicle_agent.requests.addresses import UnitAddress
from vehicle_agent.requests.read_request import ReadRequest

MIN_RATE_PER_S = 0.1
MAX_RATE_PER_S = 10.0
"""Most questions a second that a configuration can allow: with their answers, half a percent of a 500 kbit/s bus."""

OTHER_TESTER_NS = 30 * NS_PER_S
"""For how long nothing is asked after another tester was heard."""

SILENT_FIRST_NS = 2 * NS_PER_S
SILENT_MOST_NS = 3_600 * NS_PER_S
"""How long a unit that did not answer is left alone: at first, and at most."""

REFUSED_FIRST_NS = 60 * NS_PER_S
REFUSED_MOST_NS = 86_400 * NS_PER_S
"""How long a question that was refused is not asked again: at first, and at most."""

PROBE_FIRST_NS = 60 * NS_PER_S
PROBE_MOST_NS = 3_600 * NS_PER_S
"""How far apart questions are put to a vehicle of which it is not known whether it is awake: at first, and at most."""

LOOK_AGAIN_NS = NS_PER_S
"""When it is looked again whether something that is due may be asked by now."""

MAX_TASKS = 512
"""Questions that are planned at once."""


class Quiet(Enum):
    """Why nothing is asked just now."""

    IGNITION_OFF = "ignition_off"
    ASLEEP = "asleep"
    """Nobody says whether the ignition is on, and nothing moves."""
    OTHER_TESTER = "other_tester"
    NOT_AT_STANDSTILL = "not_at_standstill"
    """All that is due may be asked only while the vehicle stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarCondition:
    """What matters of the vehicle.

    Attributes:
        ignition_on: None while nobody says.
        is_standing: None while nobody says.
        is_awake: whether it shows life: its bus speaks, and it moved or its engine ran not long ago.
    """

    ignition_on: bool | None
    is_standing: bool | None
    is_awake: bool


@dataclass(slots=True, kw_only=True, eq=False)
class Task:
    """One question that is planned.

    Attributes:
        request: what is asked.
        unit: whom; None: all units.
        every_ns: how often; None: once.
        at_standstill: whether only while the vehicle stands.
        due: when next.
        refusals: how often in a row it was refused.
    """

    request: ReadRequest
    unit: UnitAddress | None
    every_ns: int | None
    at_standstill: bool
    due: MonotonicNs
    refusals: int = 0


class Schedule:
    """The questions to one bus.

    Args:
        rate_per_s: most questions a second, `MIN_RATE_PER_S` to `MAX_RATE_PER_S`.
        started: nothing is asked before.
    """

    def __init__(self, *, rate_per_s: float, started: MonotonicNs) -> None:
        if not MIN_RATE_PER_S <= rate_per_s <= MAX_RATE_PER_S:
            raise ValueError(f"{rate_per_s} requests a second is not within {MIN_RATE_PER_S} to {MAX_RATE_PER_S}")
        self._gap_ns = round(NS_PER_S / rate_per_s)
        self._tasks: list[Task] = []
        self._not_before = started
        self._look_again = started
        self._quiet_until = started
        self._silent: dict[UnitAddress | None, tuple[int, MonotonicNs]] = {}
        self._probes = 0
        self._next_probe = started
        self.quiet: Quiet | None = None
        """Why nothing was asked when it was looked last; None where nothing hindered."""

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What is planned."""
        return tuple(self._tasks)

    def plan(self, task: Task) -> None:
        """Plan a question; one that is planned already for the same unit stays as it is, and so does a plan that is full."""
        if len(self._tasks) < MAX_TASKS and all((each.request, each.unit) != (task.request, task.unit) for each in self._tasks):
            self._tasks.append(task)

    def drop(self, task: Task) -> None:
        """Ask it no more."""
        if task in self._tasks:
            self._tasks.remove(task)

    def next_due(self) -> MonotonicNs | None:
        """When it is worth calling `take`; None while nothing is planned."""
        due = min((self._when(task) for task in self._tasks), default=None)
        return None if due is None else MonotonicNs(max(due, self._not_before, self._look_again))

    def take(self, car: CarCondition, now: MonotonicNs) -> Task | None:
        """Return the question to ask now; its next time is set. None where there is none, or none may be asked (`quiet`)."""
        ready = [task for task in self._tasks if self._when(task) <= now]
        if not ready or now < self._not_before:
            return None
        self.quiet = self._why_quiet(car, now)
        if self.quiet is None:
            allowed = [task for task in ready if car.is_standing or not task.at_standstill]
            if allowed:
                return self._asked(min(allowed, key=lambda task: task.due), car, now)
            self.quiet = Quiet.NOT_AT_STANDSTILL
        self._look_again = MonotonicNs(now + LOOK_AGAIN_NS)
        return None

    def may_repeat(self, car: CarCondition, now: MonotonicNs) -> bool:
        """Whether a busy unit may be asked again: not once the ignition is off, nor beside another tester."""
        return car.ignition_on is not False and now >= self._quiet_until

    def other_tester(self, now: MonotonicNs) -> None:
        """Somebody else asks on this bus: keep quiet for a while."""
        self._quiet_until = MonotonicNs(now + OTHER_TESTER_NS)

    def answered(self, unit: UnitAddress) -> None:
        """A unit answered, whoever had asked."""
        self._silent.pop(unit, None)
        self._silent.pop(None, None)
        self._probes = 0

    def refused(self, task: Task, now: MonotonicNs) -> None:
        """A unit refused a question: ask it again later, and later each time."""
        task.refusals += 1
        task.due = MonotonicNs(now + min(REFUSED_FIRST_NS << min(task.refusals - 1, 20), REFUSED_MOST_NS))

    def silent(self, unit: UnitAddress | None, now: MonotonicNs) -> None:
        """A unit, or with None all of them, said nothing: leave it alone for a while, longer each time."""
        times, _ = self._silent.get(unit, (0, now))
        pause_ns = min(SILENT_FIRST_NS << min(times, 20), SILENT_MOST_NS)
        self._silent[unit] = (times + 1, MonotonicNs(now + pause_ns))

    def is_left_alone(self, unit: UnitAddress | None, now: MonotonicNs) -> bool:
        """Whether a unit did not answer a moment ago."""
        return unit in self._silent and now < self._silent[unit][1]

    def _when(self, task: Task) -> MonotonicNs:
        silent = self._silent.get(task.unit)
        return task.due if silent is None else MonotonicNs(max(task.due, silent[1]))

    def _why_quiet(self, car: CarCondition, now: MonotonicNs) -> Quiet | None:
        if car.ignition_on is False:
            return Quiet.IGNITION_OFF
        if now < self._quiet_until:
            return Quiet.OTHER_TESTER
        if car.ignition_on is None and not car.is_awake and now < self._next_probe:
            return Quiet.ASLEEP
        return None

    def _asked(self, task: Task, car: CarCondition, now: MonotonicNs) -> Task:
        if car.ignition_on is None and not car.is_awake:
            self._next_probe = MonotonicNs(now + min(PROBE_FIRST_NS << min(self._probes, 20), PROBE_MOST_NS))
            self._probes += 1
        self._not_before = MonotonicNs(now + self._gap_ns)
        if task.every_ns is None:
            self._tasks.remove(task)
        else:
            task.due = MonotonicNs(now + task.every_ns)
        return task
