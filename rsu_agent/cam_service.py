"""The CAM basic service of a roadside unit: where it is, and around which toll stations transmitters take care.

EN 302 637-2 V1.4.1 clause 6.1.4: a unit's CAMs are at least 1 s apart, and often enough for every vehicle that passes; here it is
one a second. A zone is left out once it has expired, and all are while the ticket does not allow them (clause 6.2.2), which is
counted for every CAM and told once. A unit does not move, so there is no condition 1, and T_GenCam_DCC, at most 1 s, changes
nothing.
"""

from collections import Counter

from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.errors import UntrustedTimeError
from shared.core.geo import GeoPoint
from shared.core.ids import StationId, StationType
from shared.core.itstime import generation_delta_time, timestamp_its
from shared.messages.cam import Cam, ProtectedZone
from shared.security.freshness import trusted_time64
from shared.stack.cam_permissions import PROTECTED_ZONES
from shared.stack.effects import Notice

T_GEN_CAM_NS = NS_PER_S
"""Interval of a unit's CAMs."""

MAX_ZONES = 16
"""The most `ProtectedCommunicationZonesRSU` holds."""


class RsuCamService:
    """Builds the CAMs of one unit.

    Args:
        station_id: of the unit.
        position: where it stands.
        zones: around which transmitters take care; at most `MAX_ZONES`.
        first_due: when the first is due; each other follows `T_GEN_CAM_NS` after the one before.
    """

    def __init__(
        self, *, station_id: StationId, position: GeoPoint, zones: tuple[ProtectedZone, ...], first_due: MonotonicNs
    ) -> None:
        assert len(zones) <= MAX_ZONES
        self._station_id = station_id
        self._position = position
        self._zones = zones
        self._next_due = first_due
        self._untrusted_time = 0
        self._withheld: Counter[str] = Counter()
        self._is_told = False
        self._notices: list[Notice] = []

    def next_due(self) -> MonotonicNs:
        """When the next CAM is due."""
        return self._next_due

    @property
    def untrusted_time(self) -> int:
        """How many CAMs were not made because UTC is not known."""
        return self._untrusted_time

    @property
    def withheld(self) -> dict[str, int]:
        """How many CAMs lacked zones the ticket does not allow."""
        return dict(self._withheld)

    def take_notices(self) -> tuple[Notice, ...]:
        """Return what there is to tell, once."""
        told, self._notices = tuple(self._notices), []
        return told

    def poll(self, now: Instant, *, granted: int) -> Cam | None:
        """Return the CAM that is due, or None: not time yet, or UTC is not known (`untrusted_time`).

        Args:
            now: the present.
            granted: octets 1 and 2 of the CAM SSP of the present ticket (`shared.stack.cam_permissions.ticket_flags`).
        """
        if now.monotonic < self._next_due:
            return None
        self._next_due = MonotonicNs(now.monotonic + T_GEN_CAM_NS)
        try:
            time64 = trusted_time64(now)
        except UntrustedTimeError:
            self._untrusted_time += 1
            return None
        live = tuple(zone for zone in self._zones if zone.expiry_time is None or zone.expiry_time > timestamp_its(time64))
        return Cam(
            station_id=self._station_id,
            generation_delta_time_ms=generation_delta_time(time64),
            station_type=StationType.ROAD_SIDE_UNIT,
            lat_deg=self._position.lat_deg,
            lon_deg=self._position.lon_deg,
            protected_zones=self._permitted(live, granted),
        )

    def _permitted(self, zones: tuple[ProtectedZone, ...], granted: int) -> tuple[ProtectedZone, ...]:
        if not zones or granted & PROTECTED_ZONES:
            self._is_told = False
            return zones
        self._withheld["protected communication zones"] += 1
        if not self._is_told:
            self._is_told = True
            reason = "the authorization ticket does not allow protected communication zones: the CAMs leave them out"
            self._notices.append(Notice("zones_withheld", {"zones": len(zones), "reason": reason}))
        return ()
