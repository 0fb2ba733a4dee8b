"""What the page is told: the whole picture once, then what changed, as events of a stream (WHATWG HTML 9.2). Sans-IO.

    whole     plan, orders, and every member of a `Picture`
    change    of the same members those that are different; vehicles one by one, with those that are gone under `gone`
    beat      nothing changed, and the unit is there

Every event has `at_ms`, the unit's UTC in ms, or null while it is not known. Lights and vehicles come from the agent itself and may
be looked at often; hazards and health come from its status, which costs more to make, and only when one is handed in.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import hypot
from typing import NamedTuple

import msgspec

from rsu_agent.console.health import Health, health_of
from rsu_agent.console.priority import Asking, asking_in
from rsu_agent.console.refusals import RADIO, RecentRefusals, Refusal, refusals_in
from rsu_agent.console.vehicles import Vehicle, VehicleRows
from rsu_agent.peers import Glimpse
from rsu_agent.refused_senders import RefusedSender
from rsu_agent.signal_controllers import SignalGroupState
from shared.cli.status_words import items, number, section, text
from shared.core.clock import NS_PER_MS, Instant, UtcNs
from shared.core.geo import GeoPoint, offset_m

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
        source: who had this unit announce it; None for those of others.
        id: what whoever placed it calls it; None where nobody may take it back.
        words: what it is.
        place: (east, north) in metres from the plan's middle, or None where it is not known.
        radius_m: of the area it is told in, or None.
        distance_m: from the middle of the plan, or None.
        is_disputed: whether somebody says that it is not there.
    """

    key: str
    is_own: bool
    station_id: int | None
    sequence_number: int
    source: str | None
    id: str | None
    words: str
    place: tuple[float, float] | None
    radius_m: float | None
    distance_m: int | None
    is_disputed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Everything that changes, at one moment.

    Attributes:
        at_ms: UTC in ms, or None.
        unavailable: why the junction is told as unavailable; None while it is believed, or where there is none.
        lights: every signal group.
        vehicles: peers by their tickets' names.
        asking: who asks to be let through.
        hazards: our own, then those of others.
        refusals: the reason given last first.
        health: parts in trouble first.
        counts: messages sent, verified, refused and unsent since the start.
    """

    at_ms: int | None = None
    unavailable: str | None = None
    lights: tuple[Light, ...] = ()
    vehicles: Mapping[str, Vehicle] = field(default_factory=dict)
    asking: tuple[Asking, ...] = ()
    hazards: tuple[HazardShown, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    health: tuple[Health, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is looked at often.

    Attributes:
        states: of the lights; empty while the junction is not believed.
        distrust: why it is not.
        peers: who is around.
        refused_senders: whom refused packets name.
        refused: packets refused, by reason.
    """

    states: Sequence[SignalGroupState]
    distrust: str | None
    peers: Iterable[Glimpse]
    refused_senders: Iterable[RefusedSender]
    refused: Mapping[str, int]


class ConsoleView:
    """Follows a unit from picture to picture.

    Args:
        plan: what does not change, as JSON values (`map_plan.plan_document`); None for a unit without a junction.
        middle: of the plan.
        groups: signal groups of the junction.
        station_id: of the unit.
        orders: what the page may offer an operator to order, as JSON values; None where it only shows.
    """

    def __init__(
        self,
        *,
        plan: Mapping[str, object] | None,
        middle: GeoPoint,
        groups: frozenset[int],
        station_id: int,
        orders: Mapping[str, object] | None = None,
    ) -> None:
        self._fixed: Mapping[str, object] = {"plan": plan, "station_id": station_id, "orders": orders}
        self._middle = middle
        self._unlit = tuple(Light(group, None, UNAVAILABLE) for group in sorted(groups))
        self._rows = VehicleRows(middle)
        self._refusals = RecentRefusals()
        self._picture = Picture()

    @property
    def picture(self) -> Picture:
        """What was seen last."""
        return self._picture

    def count(self, refused: Mapping[str, int], now: Instant) -> None:
        """Take note of packets refused while nobody watches: they were refused now, not when somebody looks."""
        self._refusals.look(RADIO, refused, _ms(now.utc))

    def look(self, seen: Seen, now: Instant, status: Mapping[str, object] | None = None) -> bytes | None:
        """Take in what there is to see; return what changed as an event, or None for nothing.

        Args:
            seen: what changes often.
            now: the present.
            status: the unit's status document; None to keep hazards and health as they were.
        """
        before = self._picture
        self.count(seen.refused, now)
        if status is not None:
            for source, counts in refusals_in(status):
                self._refusals.look(source, counts, _ms(now.utc))
        self._picture = Picture(
            at_ms=_ms(now.utc),
            unavailable=seen.distrust,
            lights=tuple(_light(state) for state in seen.states) or self._unlit,
            vehicles=self._rows.rows(seen.peers, seen.refused_senders, now),
            asking=before.asking if status is None else asking_in(status),
            hazards=before.hazards if status is None else hazards_of(status, self._middle),
            refusals=self._refusals.latest,
            health=before.health if status is None else health_of(status),
            counts=before.counts if status is None else counts_of(status),
        )
        return _event("change", changed) if (changed := _changes(before, self._picture)) else None

    def beat(self, now: Instant) -> bytes:
        """Return an event that says the unit is there and what time it is."""
        return _event("beat", {"at_ms": _ms(now.utc)})

    def whole(self) -> bytes:
        """Return the picture seen last as an event that needs none before it."""
        return _event("whole", {**self._fixed, **{name: getattr(self._picture, name) for name in _MEMBERS}})


_MEMBERS = ("at_ms", "unavailable", "lights", "vehicles", "asking", "hazards", "refusals", "health", "counts")
_WHOLE_MEMBERS = ("unavailable", "lights", "asking", "hazards", "refusals", "health", "counts")


def _changes(before: Picture, after: Picture) -> dict[str, object]:
    changed: dict[str, object] = {
        name: new for name in _WHOLE_MEMBERS if (new := getattr(after, name)) is not (old := getattr(before, name)) and new != old
    }
    known = before.vehicles
    moved = {key: row for key, row in after.vehicles.items() if (old := known.get(key)) is not row and old != row}
    if moved:
        changed["vehicles"] = moved
    if gone := [key for key in known if key not in after.vehicles]:
        changed["gone"] = gone
    return {"at_ms": after.at_ms, **changed} if changed else {}


def hazards_of(status: Mapping[str, object], middle: GeoPoint) -> tuple[HazardShown, ...]:
    """Return the hazards a status tells of: our own, then those of others, the nearest first."""
    own = [_hazard(each, middle, is_own=True) for each in items(status.get("hazards"))]
    heard = sorted(items(status.get("events")), key=lambda each: number(each.get("distance_m")))
    return (*own, *(_hazard(each, middle, is_own=False) for each in heard))[:MAX_HAZARDS]


def counts_of(status: Mapping[str, object]) -> dict[str, int]:
    """Return how many messages the unit has sent, verified and refused."""
    totals = {}
    for name in ("sent", "verified", "refused", "unsent"):
        totals[name] = int(sum(number(count) for count in section(status, name).values()))
    return totals


def _hazard(told: Mapping[str, object], middle: GeoPoint, *, is_own: bool) -> HazardShown:
    station_id, sequence_number = int(number(told.get("station_id"))), int(number(told.get("sequence_number")))
    lat_deg, lon_deg, radius_m = told.get("lat_deg"), told.get("lon_deg"), told.get("radius_m")
    distance_m = told.get("distance_m")
    place = None
    if isinstance(lat_deg, int | float) and isinstance(lon_deg, int | float):
        east_m, north_m = offset_m(middle, GeoPoint(lat_deg, lon_deg))
        place = (round(east_m, 1), round(north_m, 1))
        distance_m = hypot(*place)
    return HazardShown(
        key=f"{'own' if is_own else station_id}/{sequence_number}",
        is_own=is_own,
        station_id=None if is_own else station_id,
        sequence_number=sequence_number,
        source=_word(told.get("source")),
        id=_word(told.get("id")),
        words=text(told.get("cause")),
        place=place,
        radius_m=float(radius_m) if isinstance(radius_m, int | float) else None,
        distance_m=round(distance_m) if isinstance(distance_m, int | float) else None,
        is_disputed=told.get("disputed") is True,
    )


def _word(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _light(state: SignalGroupState) -> Light:
    running = state.intervals[0]
    return Light(
        state.signal_group,
        state.name,
        running.phase.name.lower(),
        _ms(running.min_end),
        _ms(running.likely_end),
        _ms(running.max_end),
    )


def _ms(utc: UtcNs | None) -> int | None:
    return None if utc is None else utc // NS_PER_MS


def _event(name: str, members: Mapping[str, object]) -> bytes:
    """Return an event; JSON of one line has no line break that could end it."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(members))
