"""From the radio to an agent: packets wait in the admission queue, are verified in batches, and reach the agent in order. Sans-IO.

The shell offers what the radio delivers and asks for the next batch whenever the agent has time; the agent hears each outcome as
if the packet had come alone.
"""

from collections.abc import Mapping
from random import Random
from typing import Protocol

from shared.core.clock import Instant
from shared.core.errors import V2xError
from shared.stack.admission import BATCH_PACKETS, AdmissionQueue
from shared.stack.arrival import UNKNOWN_ARRIVAL, Arrival
from shared.stack.batch import Outcome, SignatureChecker
from shared.stack.effects import Effect
from shared.stack.inbound import Inbound


class Listener(Protocol):
    """The part of an agent that hears."""

    @property
    def inbound(self) -> Inbound:
        """Judges and counts what comes in."""
        ...

    def on_outcome(self, outcome: Outcome, now: Instant, packet: bytes) -> tuple[Effect, ...]:
        """Take what became of one packet."""
        ...


class Intake:
    """Feeds one agent from its radios.

    Args:
        listener: the agent.
        checker: checks the signatures of a batch.
        lot: draws what is looked at when there is too much; must not be guessable.
    """

    def __init__(self, *, listener: Listener, checker: SignatureChecker, lot: Random) -> None:
        self._listener = listener
        self._admission = AdmissionQueue(knows=listener.inbound.knows, lot=lot)
        self._checker = checker

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return len(self._admission) == 0

    @property
    def octets(self) -> int:
        """Octets that wait."""
        return self._admission.octets

    @property
    def shed(self) -> Mapping[str, int]:
        """Packets dropped without a look, by reason."""
        return self._admission.shed

    def offer(self, packet: bytes, received: Instant, arrival: Arrival = UNKNOWN_ARRIVAL) -> None:
        """Let a packet wait for its turn; its airtime counts whether it is looked at or not.

        Args:
            packet: from the Basic Header on.
            received: when it arrived; not before the packet offered last.
            arrival: how it came.
        """
        self._listener.inbound.arrived(len(packet), received, arrival)
        self._admission.offer(packet, received, arrival)

    def take(self, now: Instant, most: int = BATCH_PACKETS) -> tuple[Effect, ...]:
        """Verify one batch, of so many packets at most, and let the agent hear it."""
        batch = self._admission.take(now.monotonic, most)
        packets, arrivals = [waiting.packet for waiting in batch], [waiting.arrival for waiting in batch]
        outcomes = self._listener.inbound.receive_batch(packets, now, self._checker, arrivals)
        effects: list[Effect] = []
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if outcome is not None:
                self._admission.settle(waiting, now.monotonic, is_verified=not isinstance(outcome, V2xError))
            effects += self._listener.on_outcome(outcome, now, waiting.packet)
        return tuple(effects)
