"""Everything this vehicle knows of the road around it, from what others say, and what of it the driver gets.

    hear(indication)   CAM -> neighbours; DENM -> hazards, emergency vehicles; MAPEM, SPATEM -> lights; IVIM -> road signs
    poll(state)        five times a second, and at once after a warning: notices, each told once, and one `DriverView`, all of it

Sans-IO; it decides nothing that a part decides. Our own place is moved on to the present like everybody else's, so that distances
belong to one moment. Without trusted time or a place of our own there is a view all the same, which says so and is otherwise empty.

Left out: what the vehicle itself sends (`vehicle_agent.denm_service`).
"""

import dataclasses
from collections import deque
from collections.abc import Sequence

from msgspec.structs import replace

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.geo import GeoPoint, displaced, distance_m
from shared.facilities.neighbours import MAX_EXTRAPOLATION_NS, Neighbours, Sighting, velocity_mps
from shared.messages.cam import Cam
from shared.messages.denm import Denm
from shared.messages.ivim import Ivim
from shared.messages.mapem import Mapem, SpeedLimitType
from shared.messages.spatem import Spatem
from shared.stack.effects import DriverView, Effect
from shared.stack.indication import Indication
from shared.stack.station import EgoPosition
from vehicle_agent.driver_notices import emergency_notice, hazard_notice, road_sign_notice, signal_notice
from vehicle_agent.driver_view import MAX_ROAD_SIGNS_SHOWN, Picture, driver_view
from vehicle_agent.ego import ego_position
from vehicle_agent.emergency_vehicles import EmergencyVehicles
from vehicle_agent.glosa import Advice, Glosa
from vehicle_agent.hazards import Hazards
from vehicle_agent.junction_map import MAX_PATH_POINTS
from vehicle_agent.road_signs import RoadSigns, limit_of
from vehicle_agent.signals_ahead import CAR_LIMITS, SignalAhead, SignalsAhead
from vehicle_agent.speed_plan import DEFAULT_SETTINGS, GlosaSettings
from vehicle_agent.vehicle_state import VehicleState

VIEW_INTERVAL_NS = 200 * NS_PER_MS
"""How often the driver gets the whole picture."""

LEAST_INTERVAL_NS = 20 * NS_PER_MS
"""A warning that comes in brings the next picture forward, but however many come, pictures are no closer together than this."""

AWARENESS_M = 500.0
"""Neighbours further away are not looked at."""

PATH_STEP_M = 5.0
"""The way driven lately is kept in steps of this."""

PATH_JUMP_M = 60.0
"""A place further from the last one is another way: the receiver was without a fix, or corrected itself."""

QUEUE_OVERHANG_M = 3.0
"""A vehicle stands before the stop line if its antenna is no further beyond it than this."""


class LocalDynamicMap:
    """The road around one vehicle.

    Args:
        hazards: the events heard of, which know whose tickets are ours.
        settings: what the driver finds comfortable, and the limit where none is known.
        limits: the kinds of speed limit on maps that bind the vehicle.
        started: when it starts to work.
    """

    def __init__(
        self,
        *,
        hazards: Hazards,
        settings: GlosaSettings = DEFAULT_SETTINGS,
        limits: frozenset[SpeedLimitType] = CAR_LIMITS,
        started: MonotonicNs,
    ) -> None:
        self._hazards = hazards
        self._settings = settings
        self._neighbours = Neighbours()
        self._signals = SignalsAhead(limits=limits)
        self._road_signs = RoadSigns()
        self._emergencies = EmergencyVehicles()
        self._glosa = Glosa(settings)
        self._path: deque[GeoPoint] = deque(maxlen=MAX_PATH_POINTS)
        self._lights: tuple[SignalAhead, ...] = ()
        self._due = started
        self._not_before = started
        self._views = 0

    @property
    def neighbours(self) -> Neighbours:
        """Who is around; the triggers ask it who stands ahead."""
        return self._neighbours

    @property
    def hazards(self) -> Hazards:
        """The events heard of."""
        return self._hazards

    @property
    def lights(self) -> tuple[SignalAhead, ...]:
        """The lights of our lane, as of the last `poll`."""
        return self._lights

    def hear(self, indication: Indication, now: Instant) -> None:
        """Take in one verified message; one of a kind that says nothing here is left out.

        Raises:
            V2xError: the message must not be believed, or UTC is not known; nothing has changed.
        """
        if (cam := indication.of(Cam)) is not None:
            self._neighbours.hear(cam, now)
        elif (denm := indication.of(Denm)) is not None:
            self._hazards.hear(denm, now)
            self._emergencies.hear(denm, now)
            self._due = MonotonicNs(min(self._due, max(now.monotonic, self._not_before)))
        elif (spatem := indication.of(Spatem)) is not None:
            self._signals.hear_signals(spatem, now)
        elif (mapem := indication.of(Mapem)) is not None:
            self._signals.hear_map(mapem, now)
        elif (ivim := indication.of(Ivim)) is not None:
            self._road_signs.hear(ivim, now)

    def next_due(self) -> MonotonicNs:
        """Return when `poll` has something to do."""
        return self._due

    def poll(self, state: VehicleState, now: Instant) -> tuple[Effect, ...]:
        """Return the notices that are new and the present view, if it is time for one."""
        if now.monotonic < self._due:
            return ()
        self._due = MonotonicNs(now.monotonic + VIEW_INTERVAL_NS)
        self._not_before = MonotonicNs(now.monotonic + LEAST_INTERVAL_NS)
        self._views += 1
        ego = present_place(state, now)
        if ego is None:
            self._neighbours.place(None)
            self._path.clear()
            self._lights = ()
            return (DriverView(driver_view(Picture(sequence=self._views, now=now, state=state, settings=self._settings))),)
        self._neighbours.place(ego.point)
        self._drive_on(ego.point)
        seen = self._neighbours.within(AWARENESS_M, ego, now)
        emergencies = self._emergencies.poll(seen, ego, now)
        signals = self._signals.ahead(now, ego, self._path)
        self._lights = signals
        signs = self._road_signs.ahead(now, ego)
        ahead = self._neighbours.ahead(ego, now) if signals else ()
        advised = {signal.signal_group: self._advise(_within(limit_of(signs), signal), ego, ahead, now) for signal in signals}
        self._glosa.settle()
        picture = Picture(
            sequence=self._views,
            now=now,
            state=state,
            settings=self._settings,
            ego=ego,
            neighbours=seen,
            hazards=self._hazards.ahead(now, ego),
            signals=tuple((signal, advised[signal.signal_group]) for signal in signals),
            emergencies=self._emergencies.near,
            road_signs=signs,
        )
        return (
            *(emergency_notice(told) for told in emergencies),
            *(hazard_notice(told) for told in self._hazards.poll(now, ego)),
            *(signal_notice(signal, advised[signal.signal_group]) for signal in self._signals.news(signals, now)),
            *(road_sign_notice(sign) for sign in self._road_signs.news(signs[:MAX_ROAD_SIGNS_SHOWN])),
            DriverView(driver_view(picture)),
        )

    def status(self) -> dict[str, object]:
        """Return counts as JSON values."""
        return {
            "neighbours": self._neighbours.status(),
            "hazards": len(self._hazards),
            "junctions": len(self._signals),
            "road_signs": len(self._road_signs),
            "views": self._views,
        }

    def _drive_on(self, point: GeoPoint) -> None:
        """Keep the way driven lately, the latest place first."""
        if self._path:
            moved_m = distance_m(point, self._path[0])
            if moved_m < PATH_STEP_M:
                return
            if moved_m > PATH_JUMP_M:
                self._path.clear()
        self._path.appendleft(point)

    def _advise(self, signal: SignalAhead, ego: EgoPosition, ahead: Sequence[Sighting], now: Instant) -> Advice | None:
        """Return the advice for a light; none while our own speed is not known."""
        if ego.speed_mps is None:
            return None
        queued = _standing_before(ahead, signal.distance_to_stop_m)
        return self._glosa.advise(signal, speed_mps=ego.speed_mps, now=now.monotonic, queued=queued)


def present_place(state: VehicleState, now: Instant) -> EgoPosition | None:
    """Return where we are by now, moved on from the last fix; None without a fix, or while UTC is not known."""
    ego = None if now.utc is None else ego_position(state, now)
    if ego is None or now.utc is None:
        return None
    velocity = velocity_mps(ego.speed_mps, ego.heading_deg)
    if velocity is None or velocity == (0.0, 0.0):
        return ego
    moved_s = min(max(0, now.utc - ego.taken_at), MAX_EXTRAPOLATION_NS) / NS_PER_S
    point = displaced(ego.point, velocity[0] * moved_s, velocity[1] * moved_s)
    return replace(ego, point=point, taken_at=UtcNs(now.utc))


def _within(limit_mps: float | None, signal: SignalAhead) -> SignalAhead:
    """Return a light with no higher limit on the way there than the signs by the road allow."""
    said = [each for each in (limit_mps, signal.speed_limit_mps) if each is not None]
    return dataclasses.replace(signal, speed_limit_mps=min(said)) if said else signal


def _standing_before(ahead: Sequence[Sighting], distance_to_stop_m: float) -> int:
    return sum(
        seen.neighbour.is_standing and seen.ahead_m is not None and seen.ahead_m <= distance_to_stop_m + QUEUE_OVERHANG_M
        for seen in ahead
    )
