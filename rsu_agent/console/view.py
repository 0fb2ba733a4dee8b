"""What the page is told: the whole picture once, then what changed, as events of a stream (WHATWG HTML 9.2). Sans-IO.

    whole     plan, lights, vehicles, hazards, refusals, health
    change    of the same members those that are different; vehicles one by one, with those that are gone under `gone`

Every event has `at_ms`, the unit's UTC in ms, or null while it is not known. Lights and vehicles come from the agent itself and may
be looked at often; hazards and health come from its status, which costs more to make, and only when one is handed in.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from rsu_agent.console.health import Health, health_of
from rsu_agent.console.plan import Place, Plan, place_of
from rsu_agent.console.refusals import RecentRefusals, Refusal
from rsu_agent.console.vehicles import Vehicle, VehicleRows
from rsu_agent.peers import Peer
from rsu_agent.signal_controllers import SignalGroupState
from shared.cli.status_words import items, number, text
from shared.core.clock import NS_PER_MS, Instant, UtcNs
from shared.core.geo import GeoPoint

MAX_HAZARDS = 128
"""Hazards shown, our own first."""

UNAVAILABLE = "unavailable"


class Light(NamedTuple):
    """One signal group, as it stands in an event: an array. Times are UTC in ms; None where nobody knows.

    Attributes:
        group: its number.
        name: what the operator calls it, or None.
        phase: `MovementPhaseState` in lower case; `unavailable` while the junction is not believed.
        min_end_ms: it does not end before.
        likely_end_ms: it most probably ends then.
        max_end_ms: it does not end after.
    """

    group: int
    name: str | None
    phase: str
    min_end_ms: int | None = None
    likely_end_ms: int | None = None
    max_end_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HazardShown:
    """A hazard that is being told of, by this unit or by others.

    Attributes:
        key: no two have the same.
        is_own: whether this unit announces it.
        station_id: who announces it; None for our own.
        sequence_number: its number there.
        words: what it is.
        place: on the plan, or None where it is not known.
        radius_m: of the area it is told in, or None.
        is_disputed: whether somebody says that it is not there.
    """

    key: str
    is_own: bool
    station_id: int | None
    sequence_number: int
    words: str
    place: Place | None
    radius_m: float | None
    is_disputed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What the unit says of itself.

    Attributes:
        station_id: its name on the air.
        why_unavailable: why the junction is told as unavailable; None while it is believed, or where there is none.
        sent: messages by kind.
        verified: messages by kind.
    """

    station_id: int
    why_unavailable: str | None
    sent: Mapping[str, int]
    verified: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Everything at one moment."""

    at_ms: int | None
    unit: Unit
    lights: tuple[Light, ...]
    vehicles: Mapping[str, Vehicle]
    hazards: tuple[HazardShown, ...]
    refusals: tuple[Refusal, ...]
    health: tuple[Health, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is looked at often.

    Attributes:
        states: of the lights; empty while the junction is not believed.
        distrust: why it is not.
        peers: who is around.
        refused: refusals by source and reason.
        sent: messages by kind.
        verified: messages by kind.
    """

    states: Sequence[SignalGroupState]
    distrust: str | None
    peers: Iterable[Peer]
    refused: Mapping[str, Mapping[str, int]]
    sent: Mapping[str, int]
    verified: Mapping[str, int]


class ConsoleView:
    """Follows a unit from picture to picture.

    Args:
        plan: of its junction.
        middle: of the plan.
        groups: signal groups of the junction.
        station_id: of the unit.
        takes_orders: whether the page offers an operator to give some.
    """

    def __init__(
        self, *, plan: Plan, middle: GeoPoint, groups: frozenset[int], station_id: int, takes_orders: bool = False
    ) -> None:
        self._plan = plan
        self._middle = middle
        self._groups = tuple(sorted(groups))
        self._station_id = station_id
        self._takes_orders = takes_orders
        self._rows = VehicleRows(middle)
        self._refusals = RecentRefusals()
        self._latest: tuple[Refusal, ...] = ()
        self._hazards: tuple[HazardShown, ...] = ()
        self._health: tuple[Health, ...] = ()
        self._picture = self._taken(
            Seen(states=(), distrust=None, peers=(), refused={}, sent={}, verified={}), Instant.at_start()
        )

    @property
    def picture(self) -> Picture:
        """What was seen last."""
        return self._picture
