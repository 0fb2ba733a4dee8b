"""What a trigger reports of its situation, and how a use case is told of: the profile.

A trigger says whether its situation is there at this moment; it knows no event, message or number. `vehicle_agent.denm_service`
turns what begins, lasts and ends into events.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from shared.core.clock import Instant
from shared.messages.cdd import CauseCode
from shared.messages.denm import RelevanceDistance, RelevanceTrafficDirection
from shared.messages.denm_alacarte import StationarySince
from vehicle_agent.triggers.latch import Absence
from vehicle_agent.vehicle_state import VehicleState


class Ending(Enum):
    """What is said when the situation is over."""

    CANCEL = "cancel"
    """That it is over: it went with the car that told of it."""
    LAPSE = "lapse"
    """Nothing: it is forgotten within seconds by itself. The next one is another event."""
    STAY = "stay"
    """Nothing: the place stays as it was although the car has left. Met again while the event lasts, the event goes on."""


class Reach(Enum):
    """Where it should be heard, from the event."""

    AROUND = "around"
    BEHIND = "behind"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How one use case is told of.

    Attributes:
        name: what an event of it is called in the store, the status and the configuration.
        validity_s: how long it is believed after the last update.
        repetition_interval_ms: from one repetition to the next; None for none.
        repetition_duration_s: how long it is repeated after a begin or an update; None with no repetition.
        update_ms: how often the report is renewed while the situation lasts; None for never.
        ending: what is said at the end.
        relevance_distance: to whom it matters.
        relevance_traffic_direction: likewise.
        reach: where it should be heard.
        reach_m: how far.
        blocking_ms: how long after one of its kind (or its sighting, where it stays) no other is told of.
    """

    name: str
    validity_s: int
    repetition_interval_ms: int | None = None
    repetition_duration_s: float | None = None
    update_ms: int | None = None
    ending: Ending
    relevance_distance: RelevanceDistance
    relevance_traffic_direction: RelevanceTrafficDirection = RelevanceTrafficDirection.ALL_TRAFFIC_DIRECTIONS
    reach: Reach = Reach.AROUND
    reach_m: float
    blocking_ms: int = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the stationary vehicle container says; see `shared.messages.denm_alacarte.StationaryVehicle`."""

    since: StationarySince | None
    cause: CauseCode
    sub_cause: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A situation that is there now.

    Attributes:
        cause: of the event.
        sub_cause: finer, 0 where nothing finer is known.
        quality: `InformationQuality`, 1 for one hint to 7.
        standing: details of a stationary vehicle, else None.
    """

    cause: CauseCode
    sub_cause: int = 0
    quality: int
    standing: Standing | None = None


class Trigger(Protocol):
    """One use case."""

    @property
    def profile(self) -> Profile:
        """How it is told of."""
        ...

    def observe(self, state: VehicleState, now: Instant) -> Situation | Absence:
        """Look at the car; called ten times a second."""
        ...

    def resume(self, now: Instant) -> None:
        """An event of this kind was live when the program stopped: go on from there."""
        ...
