"""Forgery: a ghost car and a hazard that is not there, in correct formats, with real signatures and certificates of its own.

The forger runs a whole station with tickets nobody else's trust reaches: one from an authority under its own root, one that names
the honest authority as its issuer but is signed by the forger. Its messages are what an insider's would be, but for the chain.
"""

from collections.abc import Sequence
from math import cos, radians, sin
from random import Random

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import ActionId, StationType
from shared.core.itstime import generation_delta_time, time64_of, timestamp_its
from shared.messages.cam import Cam
from shared.messages.cdd import DriveDirection
from shared.messages.denm import Denm
from shared.network.area import Circle
from shared.stack.station import EgoPosition, Station
from simulator.adversaries import AttackPacket
from simulator.options import AttackerKind

CAM_INTERVAL_NS = 400 * NS_PER_MS
CAMS_PER_DENM = 8
GHOST_SPEED_MPS = 22.0
GHOST_WAY_M = 200.0
HAZARD_CAUSE = 94
"""Stationary vehicle."""

HAZARD_RADIUS_M = 300.0


class Forger:
    """Speaks as a car that does not exist.

    Args:
        stations: one complete station for each forged ticket; they take turns.
        centre: the ghost drives through it.
        rng: the only source of chance.
    """

    def __init__(self, stations: Sequence[Station], centre: GeoPoint, rng: Random) -> None:
        if not stations:
            raise ValueError("a forger needs a station")
        self._stations = tuple(stations)
        self._centre = centre
        self._heading_deg = rng.uniform(0.0, 360.0)
        self._due = MonotonicNs(rng.randrange(NS_PER_S, 3 * NS_PER_S))
        self._began = self._due
        self._spoken = 0

    @property
    def kind(self) -> AttackerKind:
        """Forged."""
        return AttackerKind.FORGED

    def overhear(self, number: int, packet: bytes, now: Instant) -> None:
        """Nothing that others say changes what a forger says."""

    def next_due(self) -> MonotonicNs | None:
        """Return when the next lie is due."""
        return self._due

    def act(self, now: Instant) -> tuple[AttackPacket, ...]:
        """Return the lies that are due."""
        if now.monotonic < self._due:
            return ()
        self._due = MonotonicNs(self._due + CAM_INTERVAL_NS)
        station = self._stations[self._spoken % len(self._stations)]
        self._spoken += 1
        position = self._position(now)
        packets = [station.send(self._cam(station, position), position=position, now=now)]
        if self._spoken % CAMS_PER_DENM == 0:
            area = Circle(centre=position.point, radius_m=HAZARD_RADIUS_M)
            packets.append(station.send(self._denm(station, position), position=position, now=now, area=area))
        return tuple(AttackPacket(packet=packet) for packet in packets)

    def _position(self, now: Instant) -> EgoPosition:
        driven = (now.monotonic - self._began) / NS_PER_S * GHOST_SPEED_MPS
        along = driven % GHOST_WAY_M - GHOST_WAY_M / 2
        heading = radians(self._heading_deg)
        return EgoPosition(
            point=displaced(self._centre, along * sin(heading), along * cos(heading)),
            taken_at=now.require_utc(),
            speed_mps=GHOST_SPEED_MPS,
            heading_deg=self._heading_deg,
        )

    def _cam(self, station: Station, position: EgoPosition) -> Cam:
        return Cam(
            station_id=station.identity.station_id,
            generation_delta_time_ms=generation_delta_time(time64_of(position.taken_at)),
            station_type=StationType.PASSENGER_CAR,
            lat_deg=position.point.lat_deg,
            lon_deg=position.point.lon_deg,
            heading_deg=self._heading_deg,
            speed_mps=GHOST_SPEED_MPS,
            drive_direction=DriveDirection.FORWARD,
            vehicle_length_m=4.5,
            vehicle_width_m=1.8,
        )

    def _denm(self, station: Station, position: EgoPosition) -> Denm:
        at = timestamp_its(time64_of(position.taken_at))
        return Denm(
            station_id=station.identity.station_id,
            action_id=ActionId(station.identity.station_id, self._spoken & 0xFFFF),
            detection_time=at,
            reference_time=at,
            lat_deg=position.point.lat_deg,
            lon_deg=position.point.lon_deg,
            station_type=StationType.PASSENGER_CAR,
            cause_code=HAZARD_CAUSE,
            sub_cause_code=0,
        )
