"""Who is around: the vehicles heard, from verified CAMs, each where it should be by now.

One row per ticket, the latest message; low-frequency and special-vehicle content is carried over from the message that had it
(EN 302 637-2 V1.4.1 6.1.3 sends them every 500 ms at most). A position is dated by the message's `generationDeltaTime` and moved on
from there at constant speed and heading, for at most `MAX_EXTRAPOLATION_NS`. Times come back monotonic; a row not refreshed for
`NEIGHBOUR_LIFETIME_NS` is gone.

Full, the table gives up who is farthest from us: a crowd of distant or invented tickets cannot push out a car next to us.

Left out: merging two tickets of one vehicle at a change of pseudonym (the old row runs out), and any judgement whether a claim is
true (`shared.trust`).
"""

from dataclasses import dataclass
from math import cos, hypot, inf, radians, sin
from typing import Protocol

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs
from shared.core.geo import GeoPoint, displaced, heading_difference_deg, offset_m
from shared.core.ids import HashedId8, StationId
from shared.core.itstime import Time64, utc_of
from shared.core.value import Value
from shared.messages.cam import Cam
from shared.messages.cam_special import LaterContainer, SpecialVehicle
from shared.messages.cdd import DriveDirection, ExteriorLights, VehicleRole
from shared.stack.indication import Verified
from shared.stack.station import EgoPosition

MAX_NEIGHBOURS = 512
"""Most vehicles remembered."""

CROWDED_SHARE = 16
"""A full table gives up the farthest `1 / CROWDED_SHARE` of its rows at once, so that making room stays cheap per message."""

NEIGHBOUR_LIFETIME_NS = 3 * NS_PER_S
"""A vehicle not heard for this long is gone: it speaks at least once a second, so three messages were missed."""

CONTAINER_LIFETIME_NS = 2_500 * NS_PER_MS
"""Content that is not in every message counts for this long after the last that had it."""

MAX_EXTRAPOLATION_NS = 1_500 * NS_PER_MS
"""A position is moved on for at most this long; after that the vehicle is shown where it would have been then."""

MAX_POSITION_AGE_NS = 2 * NS_PER_S
"""A position older than this at its message's own date is dated by the message instead, and counted as misdated."""

STANDING_MPS = 0.5
"""Slower than this is standing."""

LANE_HALF_WIDTH_M = 2.5
"""Half a wide lane plus what a good receiver is wrong by."""

ROAD_HALF_WIDTH_M = 8.0
"""Our lane and the one on either side."""

SAME_DIRECTION_DEG = 45.0
"""Headings nearer than this are of one direction of traffic."""

DEFAULT_REACH_M = 300.0
"""How far ahead the queries look where nothing else is asked."""

MAX_CURVATURE_PER_M = 0.1
"""Our path bends no more than this: a circle of 10 m."""

_DELTA_TIME_MODULUS_MS = 65_536


class Neighbour(Value):
    """One vehicle, where it should be at the moment of the query.

    Attributes:
        ticket: whose ticket signs its messages.
        station_id: what it calls itself, a pseudonym.
        station_type: a `StationType` where the number has one.
        role: what it is doing; None until a message told.
        point: where it should be by now.
        age_s: since the position was true, in seconds.
        speed_mps: over ground, negative in reverse, or None.
        heading_deg: clockwise from north, or None.
        acceleration_mps2: along its heading, or None.
        length_m: None where unknown.
        width_m: None where unknown.
        lights: lamps that are on; None until a message told.
        special_vehicle: the special-vehicle container as `Cam` has it, or None.
        accuracy_m: half axis of the 95 % ellipse of the position it claims; None where it does not say.
    """

    ticket: HashedId8
    station_id: StationId
    station_type: int
    role: VehicleRole | None
    point: GeoPoint
    age_s: float
    speed_mps: float | None
    heading_deg: float | None
    acceleration_mps2: float | None
    length_m: float | None
    width_m: float | None
    lights: ExteriorLights | None
    special_vehicle: SpecialVehicle | LaterContainer | None
    accuracy_m: float | None

    @property
    def is_standing(self) -> bool:
        """Whether it says that it stands."""
        return self.speed_mps is not None and abs(self.speed_mps) < STANDING_MPS


class Sighting(Value):
    """A neighbour as seen from our place and heading.

    Attributes:
        neighbour: who.
        distance_m: straight.
        ahead_m: along our heading, negative behind; None where we do not know our heading.
        right_m: across it, negative to the left, or None.
        closing_mps: how fast the distance shrinks, negative where it grows; None where a motion is unknown.
        closest_in_s: until both are nearest if nobody changes speed or direction, 0 where that is now or over; None likewise.
        closest_m: how near that is; None likewise.
        turned_deg: between both headings, 0..180, or None.
    """

    neighbour: Neighbour
    distance_m: float
    ahead_m: float | None
    right_m: float | None
    closing_mps: float | None
    closest_in_s: float | None
    closest_m: float | None
    turned_deg: float | None


class StandingAhead(Protocol):
    """Who can tell which vehicles stand ahead, such as `Neighbours`."""

    def standing_ahead(self, ego: EgoPosition, now: Instant) -> tuple[Sighting, ...]:
        """Return the vehicles that stand ahead on our road and in our direction, the nearest first."""
        ...


@dataclass(slots=True)
class _Row:
    cam: Cam
    taken: MonotonicNs
    heard: MonotonicNs
    role: VehicleRole | None = None
    lights: ExteriorLights | None = None
    low_frequency_heard: MonotonicNs | None = None
    special: SpecialVehicle | LaterContainer | None = None
    special_heard: MonotonicNs | None = None


class Neighbours:
    """The vehicles around.

    Args:
        capacity: most rows kept.
        lifetime_ns: how long an unheard row lives.
    """

    def __init__(self, capacity: int = MAX_NEIGHBOURS, lifetime_ns: int = NEIGHBOUR_LIFETIME_NS) -> None:
        if capacity < 1 or lifetime_ns < 1:
            raise ValueError("at least one neighbour is remembered for at least a moment")
        self._capacity = capacity
        self._lifetime_ns = lifetime_ns
        self._rows: dict[HashedId8, _Row] = {}
        self._here: GeoPoint | None = None
        self.crowded_out = 0
        self.misdated = 0

    def __len__(self) -> int:
        """How many rows there are, those included that nobody asked for since they ran out."""
        return len(self._rows)

    def place(self, point: GeoPoint | None) -> None:
        """Say where we are: a full table gives up who is farthest from here."""
        self._here = point

    def hear(self, indication: Verified[Cam], now: Instant) -> None:
        """Take in one verified CAM; a roadside unit's, or one without a position, tells of no vehicle and is left out."""
        cam = indication.message
        if cam.protected_zones is not None or cam.lat_deg is None or cam.lon_deg is None:
            return
        ticket = indication.signer.hashed_id8
        taken = self._taken(cam, indication.generation_time, indication.received)
        row = self._rows.pop(ticket, None)
        if row is None:
            self._make_room(now)
            row = _Row(cam=cam, taken=taken, heard=now.monotonic)
        elif taken >= row.taken:
            row.cam, row.taken, row.heard = cam, taken, now.monotonic
        self._rows[ticket] = row
        if cam.low_frequency is not None:
            row.role, row.lights = cam.low_frequency.vehicle_role, cam.low_frequency.exterior_lights
            row.low_frequency_heard = now.monotonic
        if cam.special_vehicle is not None:
            row.special, row.special_heard = cam.special_vehicle, now.monotonic

    def around(self, now: Instant) -> tuple[Neighbour, ...]:
        """Return everybody, in the order of their last messages, the oldest first."""
        self.expire(now)
        return tuple(_neighbour(ticket, row, now.monotonic) for ticket, row in self._rows.items())

    def within(self, distance_m: float, ego: EgoPosition, now: Instant) -> tuple[Sighting, ...]:
        """Return who is no further away than `distance_m`, the nearest first."""
        seen = (sighting(neighbour, ego) for neighbour in self.around(now))
        return tuple(sorted((s for s in seen if s.distance_m <= distance_m), key=lambda s: s.distance_m))

    def ahead(
        self,
        ego: EgoPosition,
        now: Instant,
        *,
        reach_m: float = DEFAULT_REACH_M,
        half_width_m: float = LANE_HALF_WIDTH_M,
        curvature_per_m: float = 0.0,
    ) -> tuple[Sighting, ...]:
        """Return who drives in our direction in the corridor ahead of us, the nearest first; nobody where our heading is unknown.

        Args:
            ego: where we are and where we head.
            now: the present.
            reach_m: how far along the corridor.
            half_width_m: how far beside our path.
            curvature_per_m: of our path, positive to the left, as far as we know it; it is followed as a parabola.
        """
        bend = min(max(curvature_per_m, -MAX_CURVATURE_PER_M), MAX_CURVATURE_PER_M)
        return tuple(
            s
            for s in self.within(reach_m, ego, now)
            if s.ahead_m is not None
            and s.right_m is not None
            and s.ahead_m > 0.0
            and abs(s.right_m + bend * s.ahead_m * s.ahead_m / 2) <= half_width_m
            and s.turned_deg is not None
            and s.turned_deg <= SAME_DIRECTION_DEG
        )

    def standing_ahead(self, ego: EgoPosition, now: Instant) -> tuple[Sighting, ...]:
        """Return the vehicles that stand ahead on our road and in our direction, the nearest first."""
        return tuple(s for s in self.ahead(ego, now, half_width_m=ROAD_HALF_WIDTH_M) if s.neighbour.is_standing)

    def approaching(self, ego: EgoPosition, now: Instant, *, within_s: float, within_m: float) -> tuple[Sighting, ...]:
        """Return who comes nearer and, if nobody changes speed or direction, comes within `within_m` in at most `within_s`."""
        return tuple(
            sorted(
                (
                    s
                    for s in (sighting(neighbour, ego) for neighbour in self.around(now))
                    if s.closest_in_s is not None
                    and s.closest_m is not None
                    and 0.0 < s.closest_in_s <= within_s
                    and s.closest_m <= within_m
                ),
                key=lambda s: s.closest_in_s or 0.0,
            )
        )

    def expire(self, now: Instant) -> None:
        """Forget who was not heard for the lifetime."""
        limit = now.monotonic - self._lifetime_ns
        for ticket in [ticket for ticket, row in self._rows.items() if row.heard < limit]:
            del self._rows[ticket]

    def next_expiry(self) -> MonotonicNs | None:
        """Return when the next row runs out; None when there is none."""
        heard = min((row.heard for row in self._rows.values()), default=None)
        return None if heard is None else MonotonicNs(heard + self._lifetime_ns + 1)

    def status(self) -> dict[str, int]:
        """Return counts as JSON values."""
        return {"known": len(self._rows), "crowded_out": self.crowded_out, "misdated": self.misdated}

    def _taken(self, cam: Cam, generated: Time64, received: Instant) -> MonotonicNs:
        """Return when the position was true, on our clock (`generationDeltaTime`, EN 302 637-2 B.3)."""
        if received.utc is None:
            return received.monotonic
        message_age_ns = max(0, received.utc - utc_of(generated))
        position_age_ms = (generated // 1_000 - cam.generation_delta_time_ms) % _DELTA_TIME_MODULUS_MS
        if position_age_ms * NS_PER_MS > MAX_POSITION_AGE_NS:
            self.misdated += 1
            position_age_ms = 0
        return MonotonicNs(received.monotonic - message_age_ns - position_age_ms * NS_PER_MS)

    def _make_room(self, now: Instant) -> None:
        if len(self._rows) < self._capacity:
            return
        self.expire(now)
        surplus = len(self._rows) - self._capacity + 1
        if surplus <= 0:
            return
        leaving = max(surplus, self._capacity // CROWDED_SHARE)
        order = list(self._rows)
        if self._here is not None:
            order.sort(key=self._farness, reverse=True)
        for ticket in order[:leaving]:
            del self._rows[ticket]
        self.crowded_out += leaving

    def _farness(self, ticket: HashedId8) -> float:
        here, cam = self._here, self._rows[ticket].cam
        if here is None or cam.lat_deg is None or cam.lon_deg is None:
            return inf
        east_deg = (cam.lon_deg - here.lon_deg + 180.0) % 360.0 - 180.0
        return hypot(east_deg * cos(radians(here.lat_deg)), cam.lat_deg - here.lat_deg)


def sighting(neighbour: Neighbour, ego: EgoPosition) -> Sighting:
    """Return how a neighbour appears from where we are."""
    east_m, north_m = offset_m(ego.point, neighbour.point)
    distance_m = hypot(east_m, north_m)
    ahead_m = right_m = closing_mps = closest_in_s = closest_m = turned_deg = None
    if ego.heading_deg is not None:
        heading = radians(ego.heading_deg)
        ahead_m = east_m * sin(heading) + north_m * cos(heading)
        right_m = east_m * cos(heading) - north_m * sin(heading)
        if neighbour.heading_deg is not None:
            turned_deg = heading_difference_deg(neighbour.heading_deg, ego.heading_deg)
    ours = velocity_mps(ego.speed_mps, ego.heading_deg)
    theirs = velocity_mps(neighbour.speed_mps, neighbour.heading_deg)
    if ours is not None and theirs is not None:
        relative = theirs[0] - ours[0], theirs[1] - ours[1]
        closest_in_s, closest_m = closest_approach((east_m, north_m), relative)
        if distance_m > 0.0:
            closing_mps = -(east_m * relative[0] + north_m * relative[1]) / distance_m
    return Sighting(
        neighbour=neighbour,
        distance_m=distance_m,
        ahead_m=ahead_m,
        right_m=right_m,
        closing_mps=closing_mps,
        closest_in_s=closest_in_s,
        closest_m=closest_m,
        turned_deg=turned_deg,
    )


def closest_approach(offset: tuple[float, float], relative_mps: tuple[float, float]) -> tuple[float, float]:
    """Return (seconds until, metres between) at the closest approach of two that keep their speeds and directions.

    With p(t) = p + v t, the square of the distance is least at t = -p.v / v.v; before now there is no approach any more.

    Args:
        offset: metres east and north from the one to the other.
        relative_mps: the other's velocity less the one's, east and north.
    """
    (x, y), (vx, vy) = offset, relative_mps
    speed_squared = vx * vx + vy * vy
    in_s = max(0.0, -(x * vx + y * vy) / speed_squared) if speed_squared > 0.0 else 0.0
    return in_s, hypot(x + vx * in_s, y + vy * in_s)


def velocity_mps(speed_mps: float | None, heading_deg: float | None) -> tuple[float, float] | None:
    """Return metres per second east and north; None where it cannot be known. What stands has no need of a heading."""
    if speed_mps is None:
        return None
    if abs(speed_mps) < STANDING_MPS:
        return 0.0, 0.0
    if heading_deg is None:
        return None
    heading = radians(heading_deg)
    return speed_mps * sin(heading), speed_mps * cos(heading)


def _neighbour(ticket: HashedId8, row: _Row, now: MonotonicNs) -> Neighbour:
    cam = row.cam
    speed_mps = cam.speed_mps
    if speed_mps is not None and cam.drive_direction is DriveDirection.BACKWARD:
        speed_mps = -speed_mps
    age_ns = max(0, now - row.taken)
    point = GeoPoint(cam.lat_deg or 0.0, cam.lon_deg or 0.0)
    velocity = velocity_mps(speed_mps, cam.heading_deg)
    if velocity is not None and velocity != (0.0, 0.0):
        moved_s = min(age_ns, MAX_EXTRAPOLATION_NS) / NS_PER_S
        point = displaced(point, velocity[0] * moved_s, velocity[1] * moved_s)
    is_described = _recent(row.low_frequency_heard, now)
    return Neighbour(
        ticket=ticket,
        station_id=cam.station_id,
        station_type=cam.station_type,
        role=row.role if is_described else None,
        point=point,
        age_s=age_ns / NS_PER_S,
        speed_mps=speed_mps,
        heading_deg=cam.heading_deg,
        acceleration_mps2=cam.longitudinal_acceleration_mps2,
        length_m=_finite(cam.vehicle_length_m),
        width_m=_finite(cam.vehicle_width_m),
        lights=row.lights if is_described else None,
        special_vehicle=row.special if _recent(row.special_heard, now) else None,
        accuracy_m=_finite(cam.semi_major_m),
    )


def _recent(heard: MonotonicNs | None, now: MonotonicNs) -> bool:
    return heard is not None and now - heard <= CONTAINER_LIFETIME_NS


def _finite(value: float | None) -> float | None:
    return None if value is None or value == inf else value
