"""Time as a parameter: two kinds of time that cannot be mixed, and clocks that are handed in.

`MonotonicNs` measures intervals and never jumps; `UtcNs` dates things and may be unknown. Logic below the shell takes an
`Instant` and stores no clock; classes with timers offer `next_due()`. The clock that reads the operating system is
`shared.service.system_clock`; this module reads nothing.
"""

from dataclasses import dataclass
from enum import Enum
from typing import NewType, Protocol

from shared.core.errors import UntrustedTimeError

MonotonicNs = NewType("MonotonicNs", int)
"""Nanoseconds of a clock that never jumps; its zero means nothing."""

UtcNs = NewType("UtcNs", int)
"""Nanoseconds since 1970-01-01T00:00:00 UTC (POSIX: leap seconds do not count)."""

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
NS_PER_US = 1_000


class TimeSource(Enum):
    """What makes UTC trusted; chosen in the configuration (`time.source`)."""

    GNSS = "gnss"
    SYNCHRONISED = "synchronised"
    ASSUME_TRUSTED = "assume_trusted"


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on both clocks.

    Attributes:
        monotonic: interval time in nanoseconds.
        utc: date in nanoseconds since 1970, or None while no source of UTC is trusted.
    """

    monotonic: MonotonicNs
    utc: UtcNs | None

    def require_utc(self) -> UtcNs:
        """Return UTC, or raise `UntrustedTimeError` while it is not known."""
        if self.utc is None:
            raise UntrustedTimeError
        return self.utc


class Clock(Protocol):
    """Where a program's shell gets its `Instant`s from."""

    def now(self) -> Instant:
        """Return the present moment on both clocks."""
        ...


class ManualClock:
    """A clock that moves only when told to: simulation, replay and tests."""

    def __init__(self, utc: UtcNs | None, monotonic: MonotonicNs = MonotonicNs(0)) -> None:
        self._monotonic = monotonic
        self._offset_ns = None if utc is None else utc - monotonic

    def now(self) -> Instant:
        """Return the moment the clock was last moved to."""
        utc = None if self._offset_ns is None else UtcNs(self._monotonic + self._offset_ns)
        return Instant(self._monotonic, utc)

    def advance(self, elapsed_ns: int) -> Instant:
        """Move on by `elapsed_ns` nanoseconds (not negative) and return the new moment."""
        if elapsed_ns < 0:
            raise ValueError(f"a clock does not run backwards ({elapsed_ns} ns)")
        self._monotonic = MonotonicNs(self._monotonic + elapsed_ns)
        return self.now()

    def advance_to(self, monotonic: MonotonicNs) -> Instant:
        """Move to a moment that is not in the past and return it."""
        return self.advance(monotonic - self._monotonic)

    def set_utc(self, utc: UtcNs | None) -> None:
        """Learn (or, with None, lose) the date; interval time is untouched."""
        self._offset_ns = None if utc is None else utc - self._monotonic
