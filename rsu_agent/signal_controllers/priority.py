"""What a signal controller is asked when a vehicle wants priority, and what it answers: values, whoever carries them.

Whether a vehicle may ask at all is judged before (its ticket says what it is); here a request is already one that may be made.
A controller answers at once with what it knows at once, and tells later what became of the request: `PriorityDesk.status` is asked
again while the vehicle approaches. Left out: how a controller serves a request (extended green, inserted stage, pre-emption).
"""

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum

from shared.core.clock import UtcNs
from shared.core.ids import StationId
from shared.messages.ssem import PrioritizationStatus

MAX_REQUESTS = 64
"""Requests whose answers are kept; of more, the oldest is forgotten."""


class PriorityLevel(Enum):
    """Why the vehicle is let through."""

    PUBLIC_TRANSPORT = "public_transport"
    EMERGENCY = "emergency"


class PriorityAction(Enum):
    """What is asked (`PriorityRequestType`)."""

    ASK = "ask"
    UPDATE = "update"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityKey:
    """Which request it is.

    Attributes:
        requester: the station that asks.
        request_id: 0..255, as in the SREM.
    """

    requester: StationId
    request_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityRequest:
    """One request, judged to be one that may be made.

    Attributes:
        key: which.
        sequence_number: 0..127, as in the SREM.
        action: whether it is new, changed or withdrawn.
        level: why the vehicle is let through.
        signal_groups: the groups that let it through; never empty.
        arrival: when it is expected at the stop line, or None.
        departure: until when it needs the green, or None.
    """

    key: PriorityKey
    sequence_number: int
    action: PriorityAction
    level: PriorityLevel
    signal_groups: frozenset[int]
    arrival: UtcNs | None = None
    departure: UtcNs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityAnswer:
    """What the controller says to a request.

    Attributes:
        status: as an SSEM says it.
        reason: why, as a sentence for people.
    """

    status: PrioritizationStatus
    reason: str


class PriorityDesk:
    """What was last answered to each request: bounded, the oldest forgotten first."""

    def __init__(self) -> None:
        self._answers: OrderedDict[PriorityKey, PriorityAnswer] = OrderedDict()

    def __contains__(self, key: object) -> bool:
        """Whether the request is known."""
        return key in self._answers

    def note(self, key: PriorityKey, answer: PriorityAnswer) -> PriorityAnswer:
        """Keep an answer and return it."""
        self._answers[key] = answer
        self._answers.move_to_end(key)
        while len(self._answers) > MAX_REQUESTS:
            self._answers.popitem(last=False)
        return answer

    def status(self, key: PriorityKey) -> PriorityAnswer | None:
        """Return the latest answer to a request; None for one that is not known (any more)."""
        return self._answers.get(key)

    def forget(self, key: PriorityKey) -> None:
        """Forget a request that was withdrawn or served."""
        self._answers.pop(key, None)


def not_served(reason: str) -> PriorityAnswer:
    """Return the answer of a controller that serves no priority, with the reason as a sentence."""
    return PriorityAnswer(status=PrioritizationStatus.REJECTED, reason=reason)
