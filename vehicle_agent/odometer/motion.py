"""Whether the vehicle drives, stands, or is carried; and whether its bus fell silent on the way.

A ferry, a train or a tow truck moves a receiver and turns no wheel: no odometer counts that, and none should. A vehicle is taken to
be carried while it is switched off, while its bus sleeps, and while its own speed says that it stands, unless somebody is on the
accelerator. The same silence is another matter where it began at speed, or where the engine's control unit answers that it drives:
then somebody took the bus away from the agent.

Not seen: a bus taken away while the vehicle stood, where nothing but a receiver is left to tell.
"""

from collections.abc import Callable

from shared.core.clock import NS_PER_S, MonotonicNs

STANDSTILL_MPS = 0.3

SILENT_AFTER_NS = 10 * NS_PER_S
"""A bus that says nothing for this long has fallen silent."""

AT_SPEED_WITHIN_NS = 5 * NS_PER_S
"""A bus that fell silent so soon after the vehicle rolled did so at speed."""

ACCELERATOR_WITHIN_NS = 60 * NS_PER_S
"""Somebody was on the accelerator so lately."""

SILENT_FOR_M = 300.0
"""Distance without the bus after which it is a matter: a plug may shake."""


class Motion:
    """How one vehicle moves, by what it says itself."""

    def __init__(self) -> None:
        self.heard_at: MonotonicNs | None = None
        """When the bus last said anything."""
        self.awake_since = MonotonicNs(0)
        """Since when it speaks."""
        self.is_off = False
        """Whether the ignition is known to be off."""
        self._speed_at: MonotonicNs | None = None
        self._rolled_at: MonotonicNs | None = None
        self._accelerated_at: MonotonicNs | None = None
        self._answered_at: MonotonicNs | None = None
        self._silent_since_m: float | None = None

    def hear(self, at: MonotonicNs) -> None:
        """The bus says something."""
        heard_at = self.heard_at
        if heard_at is None or at - heard_at > SILENT_AFTER_NS:
            self.awake_since = at
        if heard_at is None or at > heard_at:
            self.heard_at = at

    def roll(self, speed_mps: float, at: MonotonicNs) -> None:
        """The vehicle says how fast it rolls."""
        self._speed_at = at
        if speed_mps > STANDSTILL_MPS:
            self._rolled_at = at

    def answer(self, speed_mps: float, at: MonotonicNs) -> None:
        """A control unit answers how fast the vehicle rolls."""
        if speed_mps > STANDSTILL_MPS:
            self._answered_at = at
        self.roll(speed_mps, at)

    def accelerate(self, at: MonotonicNs) -> None:
        """Somebody is on the accelerator."""
        self._accelerated_at = at

    def is_silent(self, now: MonotonicNs) -> bool:
        """Whether the bus has spoken before and does not now."""
        return self.heard_at is not None and now - self.heard_at > SILENT_AFTER_NS

    def was_driven(self, since: MonotonicNs, now: MonotonicNs) -> bool:
        """Whether the vehicle went by itself from `since` to the present."""
        if self.is_off:
            return False
        if self.is_silent(now):
            return self._fell_silent_at_speed() or self._answers(now)
        if self._speed_at is None:
            return True
        if self._rolled_at is not None and self._rolled_at >= since - NS_PER_S:
            return True
        if now - self._speed_at > AT_SPEED_WITHIN_NS:  # the speed alone has fallen silent
            return True
        return self._accelerated_at is not None and now - self._accelerated_at <= ACCELERATOR_WITHIN_NS

    def drives_without_bus(self, seen_m: Callable[[], float], now: MonotonicNs) -> bool:
        """Whether the vehicle has driven `SILENT_FOR_M` without its bus, by the metres other witnesses have seen it drive."""
        if self.is_off or not self.is_silent(now):
            self._silent_since_m = None
            return False
        metres = seen_m()
        if self._silent_since_m is None:
            self._silent_since_m = metres
        return metres - self._silent_since_m >= SILENT_FOR_M

    def _fell_silent_at_speed(self) -> bool:
        rolled, heard = self._rolled_at, self.heard_at
        return rolled is not None and heard is not None and heard - rolled <= AT_SPEED_WITHIN_NS

    def _answers(self, now: MonotonicNs) -> bool:
        return self._answered_at is not None and now - self._answered_at <= AT_SPEED_WITHIN_NS
