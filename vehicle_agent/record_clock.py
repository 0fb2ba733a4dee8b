"""What a vehicle's records have to say of its clock: that the date became known, and that somebody set it.

Interval time goes on from the start of the computer and through its sleep, and nobody sets it. The date is held against it: from
the moment a date is first trusted, both advance alike but for the drift of a quartz and for what a synchronised clock is slewed by.
More than that is a jump, in one step or in many small ones. Jumps between two runs of the agent show in the records themselves
(`shared.records.boot_dates`).

Records made before the date was known are dated by the next one of the same start of the computer that has a date. Where no such
record would come by itself for a while, one is due as soon as the date is known.
"""

from dataclasses import dataclass

from shared.core.clock import NS_PER_S, Instant
from shared.records.odometer import OdometerFlag
from shared.records.record import Record
from shared.stack.effects import Notice

JUMP_NS = 2 * NS_PER_S
"""So far the date may be from where interval time carried it; receivers and servers of time agree within a second."""

DRIFT_PPM = 600
"""And so much of the time since: 500 ppm is what a kernel slews a clock by at most, 100 ppm what a bad quartz is off."""


@dataclass(frozen=True, slots=True)
class _Reference:
    """A date that is held to be right, and the interval time at which it was."""

    utc: int
    monotonic: int


class RecordClock:
    """Watches the clock for the records of one run of the agent."""

    def __init__(self) -> None:
        self._reference: _Reference | None = None
        self._has_jumped = False
        self._undated = 0

    @property
    def flags(self) -> tuple[OdometerFlag, ...]:
        """What the next record has to say of the clock."""
        return (OdometerFlag.CLOCK_JUMPED,) if self._has_jumped else ()

    def see(self, now: Instant) -> tuple[Notice, ...]:
        """Look at the clock; to be called with every step of the agent's, and before every record."""
        reference = self._reference
        if now.utc is None:
            return ()
        if reference is None:
            self._reference = _Reference(now.utc, now.monotonic)
            return () if not self._undated else (Notice("clock_set", {"undated_records": self._undated}),)
        elapsed_ns = now.monotonic - reference.monotonic
        off_ns = now.utc - reference.utc - elapsed_ns
        if abs(off_ns) <= JUMP_NS + elapsed_ns * DRIFT_PPM // 1_000_000:
            return ()
        self._reference = _Reference(now.utc, now.monotonic)
        self._has_jumped = True
        return (Notice("clock_jumped", {"by_s": round(off_ns / NS_PER_S, 3)}),)

    def wants_dated_record(self, now: Instant) -> bool:
        """Whether records of this run have no date, and it is known by now."""
        return self._undated > 0 and now.utc is not None

    def recorded(self, record: Record) -> None:
        """Take note of a record of the odometer that is stored: it says of the clock what was to be said."""
        if record.occurred is None:
            self._undated += 1
            return
        self._undated = 0
        if OdometerFlag.CLOCK_JUMPED in record.flags:
            self._has_jumped = False
