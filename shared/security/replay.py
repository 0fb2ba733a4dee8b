"""Messages already accepted, so that a recording played back within the freshness window is refused.

A message is the pair of its signer and the hash of what was signed; a re-randomised signature changes neither. Memory rotates: two
generations per ITS-AID, each as long as the freshness window, so everything still fresh is remembered. If a generation fills up
early, the older one is dropped and everything not generated after it is refused from then on: forgetting never opens a door.
"""

from dataclasses import dataclass, field

from shared.core.errors import VerificationError
from shared.core.ids import HashedId8
from shared.core.itstime import Time64
from shared.core.report import VerificationReport
from shared.security.freshness import Freshness

GENERATION_CAPACITY = 32_768
"""Messages per generation and ITS-AID; two generations are kept."""

_BEFORE_EVERYTHING = Time64(-1)


@dataclass(slots=True)
class _Memory:
    started: Time64
    recent: set[bytes] = field(default_factory=set)
    older: set[bytes] = field(default_factory=set)
    recent_newest: Time64 = _BEFORE_EVERYTHING
    older_newest: Time64 = _BEFORE_EVERYTHING
    forgotten_until: Time64 = _BEFORE_EVERYTHING


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
        self._memories: dict[int, _Memory] = {}

    def check_new(self, its_aid: int, signer: HashedId8, tbs_digest: bytes, generation_time: Time64) -> None:
        """Check that a message was not accepted before.

        Raises:
            VerificationError: `DUPLICATE_MESSAGE`; `INVALID_TIMESTAMP` when it is older than a memory that overflowed.
        """
        memory = self._memories.get(its_aid)
        if memory is None:
            return
        key = signer + tbs_digest
        if key in memory.recent or key in memory.older:
            raise VerificationError(VerificationReport.DUPLICATE_MESSAGE, "this message was received before")
        if generation_time <= memory.forgotten_until:
            raise VerificationError(VerificationReport.INVALID_TIMESTAMP, "generated before what this station can still remember")

    def remember(self, its_aid: int, signer: HashedId8, tbs_digest: bytes, generation_time: Time64, at: Time64) -> None:
        """Keep a message whose signature has just held; `at` is our time.

        `its_aid` comes from a closed list, so the number of memories is bounded by the caller.
        """
        memory = self._memories.get(its_aid)
        if memory is None:
            memory = self._memories[its_aid] = _Memory(started=at)
        window_us = self._freshness.window_us(its_aid) + self._freshness.future_tolerance_us
        expired = at - memory.started > window_us
        if expired or len(memory.recent) >= self._capacity:
            if not expired:
                memory.forgotten_until = max(memory.forgotten_until, memory.older_newest)
            memory.older, memory.older_newest = memory.recent, memory.recent_newest
            memory.recent, memory.recent_newest = set(), _BEFORE_EVERYTHING
            memory.started = at
        memory.recent.add(signer + tbs_digest)
        memory.recent_newest = max(memory.recent_newest, generation_time)
