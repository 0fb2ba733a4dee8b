"""Messages already accepted, so that a recording played back within the freshness window is refused.

A message is the pair of its signer and the hash of what was signed; a re-randomised signature changes neither. Memory rotates: two
generations per ITS-AID, each as long as the freshness window, so everything still fresh is remembered. If a generation fills up
early, the older one is dropped and everything not generated after it is refused from then on: forgetting never opens a door.
"""

from shared.core.errors import VerificationError
from shared.core.itstime import Time64
from shared.core.report import VerificationReport
from shared.security.freshness import Freshness

GENERATION_CAPACITY = 32_768
"""Messages per generation and ITS-AID; two generations are kept."""

_BEFORE_EVERYTHING = Time64(-1)


class ReplayMemory:
    """The messages of one ITS-AID.

    Args:
        window_us: how long a message may be fresh.
        capacity: messages per generation.
    """

    __slots__ = ("_capacity", "_older_newest", "_recent_newest", "_started", "_window_us", "forgotten_until", "older", "recent")

    def __init__(self, *, window_us: int, capacity: int) -> None:
        self._window_us = window_us
        self._capacity = capacity
        self._started = _BEFORE_EVERYTHING
        self._recent_newest = _BEFORE_EVERYTHING
        self._older_newest = _BEFORE_EVERYTHING
        self.recent: set[bytes] = set()
        self.older: set[bytes] = set()
        self.forgotten_until = _BEFORE_EVERYTHING

    def check_new(self, message: bytes, generation_time: Time64) -> None:
        """Check like `ReplayGuard.check_new`."""
        if message in self.recent or message in self.older:
            raise duplicate()
        if generation_time <= self.forgotten_until:
            raise VerificationError(VerificationReport.INVALID_TIMESTAMP, "generated before what this station can still remember")

    def remember(self, message: bytes, generation_time: Time64, at: Time64) -> None:
        """Keep like `ReplayGuard.remember`."""
        if message in self.recent or message in self.older:
            raise duplicate()
        if at - self._started > self._window_us or len(self.recent) >= self._capacity:
            self._rotate(at)
        self.recent.add(message)
        if generation_time > self._recent_newest:  # noqa: PLR1730 - for every message, and twice as fast
            self._recent_newest = generation_time

    def _rotate(self, at: Time64) -> None:
        """Begin a new generation; one that goes early takes with it the right of everything as old to be believed."""
        if at - self._started <= self._window_us:
            self.forgotten_until = max(self.forgotten_until, self._older_newest)
        self.older, self._older_newest = self.recent, self._recent_newest
        self.recent, self._recent_newest = set(), _BEFORE_EVERYTHING
        self._started = at


class ReplayGuard:
    """What was accepted lately, by ITS-AID.

    Args:
        freshness: gives each ITS-AID's window; a message older than it needs no memory.
        capacity: messages per generation, at least 1.
    """

    __slots__ = ("_capacity", "_freshness", "_memories")

    def __init__(self, *, freshness: Freshness, capacity: int = GENERATION_CAPACITY) -> None:
        if capacity < 1:
            raise ValueError(f"capacity {capacity}")
        self._freshness = freshness
        self._capacity = capacity
        self._memories: dict[int, ReplayMemory] = {}

    def memory(self, its_aid: int) -> ReplayMemory:
        """Return the memory of an ITS-AID, which comes from a closed list, so that the caller bounds their number."""
        memory = self._memories.get(its_aid)
        if memory is None:
            window_us = self._freshness.window_us(its_aid) + self._freshness.future_tolerance_us
            memory = self._memories[its_aid] = ReplayMemory(window_us=window_us, capacity=self._capacity)
        return memory

    def check_new(self, its_aid: int, message: bytes, generation_time: Time64) -> None:
        """Check that a message was not accepted before.

        Args:
            its_aid: its service.
            message: the signer's `HashedId8` and the hash of what was signed, one behind the other.
            generation_time: when it was made.

        Raises:
            VerificationError: `DUPLICATE_MESSAGE`; `INVALID_TIMESTAMP` when it is older than a memory that overflowed.
        """
        self.memory(its_aid).check_new(message, generation_time)

    def remember(self, its_aid: int, message: bytes, generation_time: Time64, at: Time64) -> None:
        """Keep a message whose signature has just held; `at` is our time.

        Raises:
            VerificationError: `DUPLICATE_MESSAGE`: it was accepted since `check_new` was asked.
        """
        self.memory(its_aid).remember(message, generation_time, at)


def duplicate() -> VerificationError:
    """Return what is raised for a message accepted before."""
    return VerificationError(VerificationReport.DUPLICATE_MESSAGE, "this message was received before")
