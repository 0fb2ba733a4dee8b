"""When an odometer reading becomes a record: ignition, distance, time, and whatever is odd about it.

The policy sees every reading the bus gives and answers with the reason to record it, or None. A first reading is never
recorded alone: a cluster that wakes up may show zero or nonsense, so a reading counts once a second one agrees with it. A
reading below the last recorded one is recorded *with a flag*, never dropped: hiding it would be the rollback's work.
Cross-checks against independent sources (wheel speed, GNSS distance) are not this file's business yet.
"""

from dataclasses import dataclass

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.records.odometer import OdometerFlag, RecordReason

CONFIRMING_READINGS = 2
"""Readings that must agree after start, or after a step, before one of them is recorded."""

MAX_PLAUSIBLE_SPEED_MPS = 80.0
"""Faster than this between two readings is a step, not a drive (288 km/h)."""

RESOLUTION_ALLOWANCE_M = 2_000.0
"""Room for a cluster that counts in whole miles or kilometres."""


@dataclass(frozen=True, slots=True)
class RecordDue:
    """A reading that policy wants recorded: metres, the moment it was read, why, and what is odd about it."""

    odometer_m: int
    read_at: MonotonicNs
    reason: RecordReason
    flags: tuple[OdometerFlag, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OdometerPolicy:
    """Limits of the policy.

    Attributes:
        every_m: record after this many metres since the last record.
        every_s: record after this many seconds since the last record, while readings come.
    """

    every_m: int
    every_s: int


class OdometerWatch:
    """Applies an `OdometerPolicy` to the readings of one vehicle.

    Args:
        policy: limits.
        last_recorded_m: the last odometer value this vehicle ever recorded, from the spool; None for a new vehicle.
    """

    def __init__(self, policy: OdometerPolicy, last_recorded_m: int | None) -> None:
        self._policy = policy
        self._last_recorded_m = last_recorded_m
        self._last_recorded_at: MonotonicNs | None = None
        self._candidate_m: int | None = None
        self._agreeing = 0
        self._awake = False
        self._latest: tuple[int, MonotonicNs] | None = None

    @property
    def last_recorded_m(self) -> int | None:
        """The last recorded value in metres."""
        return self._last_recorded_m

    def read(self, odometer_m: int, now: MonotonicNs) -> RecordDue | None:
        """Take one reading from the bus; answer with a record that is due, or None."""
        if self._candidate_m is not None and 0 <= odometer_m - self._candidate_m <= RESOLUTION_ALLOWANCE_M:
            self._agreeing = min(self._agreeing + 1, CONFIRMING_READINGS)
        else:
            self._agreeing = 1
        self._candidate_m = odometer_m
        if self._agreeing < CONFIRMING_READINGS:
            return None
        self._latest = (odometer_m, now)
        flags = self._flags(odometer_m, now)
        reason = self._reason(odometer_m, now, flags)
        return None if reason is None else RecordDue(odometer_m, now, reason, flags)

    def ignition_off(self) -> RecordDue | None:
        """The vehicle goes to sleep: record the last confirmed reading, if there is one since it woke up."""
        if not self._awake or self._latest is None:
            return None
        odometer_m, read_at = self._latest
        due = RecordDue(odometer_m, read_at, RecordReason.IGNITION_OFF, self._flags(odometer_m, read_at))
        self._awake = False
        self._candidate_m = None
        self._agreeing = 0
        self._latest = None
        return due

    def note_recorded(self, due: RecordDue) -> None:
        """Take note that `due` is safely in the spool; until then it is asked for again."""
        self._last_recorded_m = due.odometer_m
        self._last_recorded_at = due.read_at
        if due.reason is not RecordReason.IGNITION_OFF:
            self._awake = True

    def _flags(self, odometer_m: int, now: MonotonicNs) -> tuple[OdometerFlag, ...]:
        if self._last_recorded_m is None:
            return ()
        moved_m = odometer_m - self._last_recorded_m
        if moved_m < 0:
            return (OdometerFlag.ROLLBACK,)
        if self._last_recorded_at is None:
            return ()
        elapsed_s = (now - self._last_recorded_at) / NS_PER_S
        return (OdometerFlag.STEP,) if moved_m > elapsed_s * MAX_PLAUSIBLE_SPEED_MPS + RESOLUTION_ALLOWANCE_M else ()

    def _reason(self, odometer_m: int, now: MonotonicNs, flags: tuple[OdometerFlag, ...]) -> RecordReason | None:
        if flags:
            return RecordReason.FLAG
        if not self._awake:
            return RecordReason.IGNITION_ON
        if self._last_recorded_m is not None and odometer_m - self._last_recorded_m >= self._policy.every_m:
            return RecordReason.DISTANCE
        if self._last_recorded_at is not None and now - self._last_recorded_at >= self._policy.every_s * NS_PER_S:
            return RecordReason.TIME
        return None
