"""Which reading of an odometer is to be believed, and what is odd about the one that is.

A cluster that wakes up may show anything: one lorry's says 37,500 m for 374 frames, then 0 three times, then 158,910,600 m. So the
first reading after a start is never trusted alone. One that goes on from what is known needs a second that agrees; any other, and
the first of a vehicle nobody knows, must be seen to count, or be said by another odometer of the vehicle too, or stand for a long
time. How many agree is no measure: a cluster that repeats what it woke up with agrees with itself. Meanwhile it is told as
`Awaited`. Later a reading that falls, or runs ahead of what a vehicle can drive, is a candidate first and believed once it stays.
"""

from dataclasses import dataclass
from enum import Enum

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.units import METRES_PER_MILE
from shared.records.odometer import OdometerFlag
from vehicle_agent.odometer.distance import MAX_SPEED_MPS

CONFIRMING_READINGS = 2
"""Readings that must agree after a start, where they go on from what is known."""

CONFIRMING_ODD_READINGS = 5
"""Readings that must agree before one is believed that falls or jumps."""

CONFIRMING_ODD_NS = 3 * NS_PER_S
"""The least time they take together."""

BELIEVE_AFTER_S = 600
"""A reading that does not go on from what is known, and does not count, is believed once it has stood for this long.

SAE J1939-71 has PGN 65217, the odometer in 5 m, once a second: the lorry's 374 wrong frames are six minutes, and a minute or two
of a steady display is not enough. A wrong first record would stay for good; one that comes late costs a standing vehicle nothing.
"""

COARSEST_STEP_M = METRES_PER_MILE + 1.0
"""Whole miles, and a metre for rounding: what a cluster may count in until it is known to count finer."""

ALLOWANCE_M = 300.0
"""Room of an accepted reading beyond what a vehicle can drive: readings are taken, sent and stamped at different moments."""

CONTINUES_WITHIN_M = 500_000.0
"""A reading this far above the last one known still goes on from it: the agent was away for a while."""

SLEPT_WITHIN_M = 5_000.0
"""Likewise where the agent was awake while the vehicle slept: it would have seen it drive. More than this is a step."""

SHOWS_NOTHING_BELOW_M = 1_000.0
"""An odometer below this shows nothing, where it had shown more."""

CONFUSED_UNITS = (METRES_PER_MILE / 1_000.0, 1_000.0 / METRES_PER_MILE, 10.0, 0.1)
"""Factors between a reading in one unit and the same taken for another."""

CONFUSED_WITHIN = 0.002
"""Share by which such a factor may be missed."""

SAME_ODOMETER_WITHIN_M = 5_000.0
"""Two odometers of one vehicle that differ by less confirm each other."""


@dataclass(frozen=True, slots=True)
class Believed:
    """A reading that is believed: metres, the moment it was taken, and what is odd about it against what was known before."""

    odometer_m: float
    at: MonotonicNs
    flags: tuple[OdometerFlag, ...] = ()


class Need(Enum):
    """What a reading that is heard waits for before it is believed; the value is its name in the status."""

    AGREEING = "agreeing"
    """A second one: none is believed alone."""
    COUNTING = "counting"
    """That it counts, that another odometer of the vehicle says the same, or that it stands for `believe_after_s`."""
    STAYING = "staying"
    """That it stays: it falls or jumps against what was believed before."""
    BETTER = "better"
    """Whether a better odometer of the vehicle speaks up."""


@dataclass(frozen=True, slots=True)
class Awaited:
    """A reading that is heard and not believed yet: metres, how often and for how long it was heard, and what it waits for."""

    odometer_m: float
    count: int
    for_ns: int
    need: Need


@dataclass(slots=True)
class _Candidate:
    """Readings that agree with each other and are not believed yet."""

    first_m: float
    since: MonotonicNs
    last_m: float
    last_at: MonotonicNs
    count: int = 1


class Readings:
    """The readings of one odometer.

    Args:
        known_m: what it last was known to be; None where nobody knows.
        believe_after_s: see `BELIEVE_AFTER_S`.
    """

    def __init__(self, known_m: float | None, *, believe_after_s: int = BELIEVE_AFTER_S) -> None:
        self._known_m = known_m
        self._believe_after_ns = believe_after_s * NS_PER_S
        self._believed: Believed | None = None
        self._candidate: _Candidate | None = None
        self._step_m: float | None = None
        self._has_slept = False
        self.last_said_m: float | None = None
        self.last_said_at: MonotonicNs | None = None

    @property
    def believed(self) -> Believed | None:
        """The last reading since the start that is believed."""
        return self._believed

    @property
    def awaited(self) -> Awaited | None:
        """The reading that is heard and not believed yet; None where there is none."""
        candidate = self._candidate
        if candidate is None or self.last_said_at is None:
            return None
        if self._believed is not None:
            need = Need.STAYING
        else:
            need = Need.AGREEING if candidate.count < CONFIRMING_READINGS else Need.COUNTING
        return Awaited(candidate.last_m, candidate.count, max(0, self.last_said_at - candidate.since), need)

    @property
    def step_m(self) -> float:
        """What it counts in: the finest step seen, the coarsest there is while none was."""
        return COARSEST_STEP_M if self._step_m is None else self._step_m

    def sleep(self) -> None:
        """The vehicle is switched off: what is known stays known, and the next start begins anew."""
        if self._believed is not None:
            self._known_m = self._believed.odometer_m
            self._has_slept = True
        self._believed = self._candidate = None
        self.last_said_m = self.last_said_at = None

    def take(self, odometer_m: float, at: MonotonicNs, others: tuple[float, ...] = ()) -> tuple[Believed, ...]:
        """Take a reading in metres; return what is believed by it: nothing, this one, or the one before it and this one.

        Args:
            odometer_m: the reading.
            at: when it was taken.
            others: what other odometers of the vehicle say.
        """
        self.last_said_m, self.last_said_at = odometer_m, at
        before = self._believed
        if before is None:
            return self._begin(odometer_m, at, others)
        if self._goes_on(before.odometer_m, before.at, odometer_m, at):
            self._learn_step(before, odometer_m, at)
            self._candidate = None
            self._believed = Believed(odometer_m, at)
            return (self._believed,)
        candidate = self._consider(odometer_m, at)
        if candidate.count < CONFIRMING_ODD_READINGS or at - candidate.since < CONFIRMING_ODD_NS:
            return ()
        self._candidate = None
        self._believed = Believed(odometer_m, at, oddities(before.odometer_m, odometer_m) or (OdometerFlag.STEP,))
        return (self._believed,)

    def _begin(self, odometer_m: float, at: MonotonicNs, others: tuple[float, ...]) -> tuple[Believed, ...]:
        before = self._candidate
        candidate = self._consider(odometer_m, at)
        if candidate.count < CONFIRMING_READINGS:
            return ()
        known_m = self._known_m
        flags = () if known_m is None else oddities(known_m, odometer_m)
        if known_m is not None and not flags and self._has_slept and odometer_m - known_m > SLEPT_WITHIN_M:
            flags = (OdometerFlag.STEP,)
        if known_m is not None and 0 <= odometer_m - known_m <= CONTINUES_WITHIN_M and not flags:
            return self._trust(Believed(odometer_m, at))
        if candidate.last_m > candidate.first_m and before is not None:
            # It counts. What it said before it counted was true then.
            first = Believed(candidate.first_m, candidate.last_at, flags)
            return self._trust(first, Believed(odometer_m, at))
        if at - candidate.since >= self._believe_after_ns or _is_said_by(others, odometer_m):
            return self._trust(Believed(odometer_m, at, flags))
        candidate.last_at = at
        return ()

    def _trust(self, *believed: Believed) -> tuple[Believed, ...]:
        self._candidate = None
        self._believed = believed[-1]
        return believed

    def _consider(self, odometer_m: float, at: MonotonicNs) -> _Candidate:
        """Return the candidate this reading belongs to."""
        candidate = self._candidate
        if candidate is None or not self._goes_on(candidate.last_m, candidate.last_at, odometer_m, at):
            candidate = self._candidate = _Candidate(odometer_m, at, odometer_m, at)
            return candidate
        candidate.count += 1
        candidate.last_m = odometer_m
        if self._believed is not None:
            candidate.last_at = at
        return candidate

    def _goes_on(self, before_m: float, before_at: MonotonicNs, odometer_m: float, at: MonotonicNs) -> bool:
        drivable_m = max(0, at - before_at) / NS_PER_S * MAX_SPEED_MPS
        return 0 <= odometer_m - before_m <= self.step_m + drivable_m + ALLOWANCE_M

    def _learn_step(self, before: Believed, odometer_m: float, at: MonotonicNs) -> None:
        step_m = odometer_m - before.odometer_m
        if step_m > 0 and at >= before.at and step_m < self.step_m:
            self._step_m = step_m


def oddities(before_m: float, odometer_m: float) -> tuple[OdometerFlag, ...]:
    """Return what is odd about a reading where another was known, in metres each.

    A higher one is not odd in itself, but where it is so by the factor between two units.
    """
    flags = []
    if odometer_m < before_m:
        flags.append(OdometerFlag.ROLLBACK)
    if odometer_m < SHOWS_NOTHING_BELOW_M <= before_m:
        flags.append(OdometerFlag.ZERO)
    elif _is_confused(before_m, odometer_m):
        flags.append(OdometerFlag.UNIT_ERROR)
    return tuple(flags)


def _is_said_by(others: tuple[float, ...], odometer_m: float) -> bool:
    """Whether another odometer says the same; that two show nothing while they wake up says nothing."""
    return any(abs(other_m - odometer_m) < SAME_ODOMETER_WITHIN_M and other_m >= SHOWS_NOTHING_BELOW_M for other_m in others)


def _is_confused(before_m: float, odometer_m: float) -> bool:
    if before_m < SHOWS_NOTHING_BELOW_M * 10:
        return False
    room_m = CONFUSED_WITHIN * max(before_m, odometer_m) + COARSEST_STEP_M
    return any(abs(odometer_m - before_m * factor) <= room_m for factor in CONFUSED_UNITS)
