"""When an odometer reading becomes a record: ignition, distance, time, whatever is odd about it, and an inspector who asks.

A reading that is odd is recorded *with its flag*, never dropped: hiding it would be the rollback's work. What is odd for a moment
(a fall, a jump) is said once; what lasts (an odometer that stands still, a share that is missing) is told when it begins, stands in
every record while it lasts, and is told again when it comes back after it had ended.
"""

from dataclasses import dataclass

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.records.odometer import OdometerFlag, OdometerSource, RecordReason, Verdict
from vehicle_agent.odometer.readings import BELIEVE_AFTER_S, Believed

ASIDE = frozenset({RecordReason.INSPECTION, RecordReason.CLOCK_SET})
"""Reasons that are not the vehicle's own: a drive still begins with its own record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDue:
    """A reading that is to be recorded.

    Attributes:
        odometer_m: metres.
        read_at: the moment it was read.
        reason: why it is recorded.
        flags: what is odd about it.
        sources: what each witness says, the reading first.
        verdict: what they say about it.
        missing_permille: share that is not counted where a blocker is suspected; else None.
    """

    odometer_m: int
    read_at: MonotonicNs
    reason: RecordReason
    flags: tuple[OdometerFlag, ...]
    sources: tuple[OdometerSource, ...]
    verdict: Verdict
    missing_permille: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OdometerPolicy:
    """Limits of the policy.

    Attributes:
        every_m: record after this many metres since the last record.
        every_s: record after this many seconds since the last record, while readings come.
        believe_after_s: a reading that does not go on from what is known is believed without counting after this many seconds.
    """

    every_m: int
    every_s: int
    believe_after_s: int = BELIEVE_AFTER_S


class RecordPolicy:
    """Applies an `OdometerPolicy` to believed readings.

    Args:
        policy: limits.
        last_recorded_m: the last odometer value this vehicle ever recorded; None for a new vehicle.
    """

    def __init__(self, policy: OdometerPolicy, last_recorded_m: int | None) -> None:
        self._policy = policy
        self.last_recorded_m = last_recorded_m
        """The last recorded value in metres."""
        self._last_recorded_at: MonotonicNs | None = None
        self._is_awake = False
        self._momentary: set[OdometerFlag] = set()
        self._lasting: frozenset[OdometerFlag] = frozenset()
        self._told: frozenset[OdometerFlag] = frozenset()

    @property
    def is_awake(self) -> bool:
        """Whether a reading has been recorded since the vehicle woke up."""
        return self._is_awake

    @property
    def flags(self) -> tuple[OdometerFlag, ...]:
        """What a record made now has to say."""
        said = self._momentary | self._lasting
        return tuple(flag for flag in OdometerFlag if flag in said)

    def notice(self, flags: tuple[OdometerFlag, ...]) -> None:
        """Something is odd about the reading of this moment."""
        self._momentary.update(flags)

    def last(self, flags: frozenset[OdometerFlag]) -> frozenset[OdometerFlag]:
        """Take note of what is odd for as long as it lasts; return what had been told and has ended."""
        ended = self._told - flags
        self._lasting = flags
        self._told &= flags
        return ended

    def reason(self, believed: Believed) -> RecordReason | None:
        """Return why a reading is to be recorded; None where it is not."""
        if self._momentary or self._lasting - self._told:
            return RecordReason.FLAG
        if not self._is_awake:
            return RecordReason.IGNITION_ON
        if self.last_recorded_m is not None and round(believed.odometer_m) - self.last_recorded_m >= self._policy.every_m:
            return RecordReason.DISTANCE
        if self._last_recorded_at is not None and believed.at - self._last_recorded_at >= self._policy.every_s * NS_PER_S:
            return RecordReason.TIME
        return None

    def note_recorded(self, due: RecordDue) -> None:
        """Take note that `due` is safely in the spool; until then it is asked for again."""
        self.last_recorded_m = due.odometer_m
        self._last_recorded_at = due.read_at
        self._momentary.difference_update(due.flags)
        self._told |= self._lasting & frozenset(due.flags)
        if due.reason is RecordReason.IGNITION_OFF:
            self._is_awake = False
        elif due.reason not in ASIDE:
            self._is_awake = True

    def sleep(self) -> None:
        """The vehicle goes to sleep: the next start begins with a record of its own."""
        self._is_awake = False
