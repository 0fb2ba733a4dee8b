"""Emergency vehicles on their way to us: from CAMs with light bar or siren in use, and from DENMs of cause 95.

A CAM counts whose sender plays the role of an emergency or rescue vehicle, unless its container says that light bar and siren are
off. A DENM counts for `DENM_LIFETIME_NS` from its reference time; it serves where no CAM of the same ticket is there. Who may say
so is settled before: a ticket without the permission is refused (`shared.stack.content_permissions`).

A vehicle approaches if, nobody changing speed or direction, it comes near in time (closest approach). What was told stays told
until it is clearly over: the thresholds for leaving are wider than those for entering, and hold for `LEAVE_NS`.

Left out: which lane to free, and roads: a vehicle on a parallel road is told if it comes near enough.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from math import atan2, degrees

from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import HashedId8, StationId, StationType
from shared.core.itstime import Time64, utc_of
from shared.facilities.neighbours import MAX_EXTRAPOLATION_NS, Neighbour, Sighting, sighting, velocity_mps
from shared.messages.cam_special import Emergency, Rescue
from shared.messages.cdd import CauseCode, LightBarSirenInUse, VehicleRole
from shared.messages.denm import Denm
from shared.stack.indication import Verified
from shared.stack.station import EgoPosition

MAX_TOLD = 16
"""Most vehicles told at a time, the nearest."""

MAX_ANNOUNCED = 32
"""Most tickets whose DENMs are remembered; beyond it the one heard longest ago gives way."""

DENM_LIFETIME_NS = 5 * NS_PER_S
"""A DENM about a vehicle that moves says nothing about where it is after this."""

MIN_SPEED_MPS = 2.0
"""Slower than this a vehicle is not on its way to us."""

ENTER_S, ENTER_M = 20.0, 75.0
"""A vehicle that comes within `ENTER_M` in at most `ENTER_S` is told; roads bend, so it is no small distance."""

STAY_S, STAY_M = 30.0, 150.0
"""It stays told while it comes within `STAY_M` in at most `STAY_S`."""

BESIDE_M, STAY_BESIDE_M = 50.0, 80.0
"""Nearer than this it is told, or stays told, wherever it goes."""

LEAVE_NS = 3 * NS_PER_S
"""How long a vehicle told has to be out of all that before it counts as passed."""

REPEAT_NS = NS_PER_S
"""Changes of one vehicle are told no more often."""

URGENT_S = 6.0
"""Nearer than this in time, it is told again: the driver has to act now."""

SIDE_HALF_DEG = 45.0
"""Ahead, right, behind and left are a quarter of the circle each."""

SIDE_MARGIN_DEG = 10.0
"""How far beyond its quarter a vehicle goes before it is on another side."""

SAME_COURSE_DEG, ONCOMING_DEG = 45.0, 135.0
"""Headings nearer than the first are the same course, further apart than the second oncoming."""

_ROLES = frozenset({VehicleRole.EMERGENCY, VehicleRole.RESCUE})


class Side(Enum):
    """Where it is, seen from our heading."""

    AHEAD = "ahead"
    RIGHT = "right"
    BEHIND = "behind"
    LEFT = "left"


class Course(Enum):
    """Where it goes, compared with our heading."""

    SAME = "same"
    CROSSING = "crossing"
    ONCOMING = "oncoming"


class EmergencyChange(Enum):
    """Why the driver is told."""

    APPROACHING = "approaching"
    """It is new."""
    CHANGED = "changed"
    """Something the driver acts on changed."""
    PASSED = "passed"
    """It does not come nearer any more."""
    GONE = "gone"
    """It is not heard any more, or not on a mission any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyVehicle:
    """One emergency vehicle as it matters to us.

    Attributes:
        ticket: whose ticket signs for it.
        station_id: what it calls itself.
        is_rescue: a rescue vehicle such as a tow truck, rather than police, fire brigade or ambulance.
        light_bar: whether it is on; None where it does not say.
        siren: likewise.
        side: None where our heading is unknown.
        course: None where a heading is unknown.
        distance_m: straight.
        time_to_reach_s: until it is nearest; None where it does not come nearer.
        closest_m: how near that is, or None.
        speed_mps: its own, or None.
    """

    ticket: HashedId8
    station_id: StationId
    is_rescue: bool
    light_bar: bool | None
    siren: bool | None
    side: Side | None
    course: Course | None
    distance_m: float
    time_to_reach_s: float | None
    closest_m: float | None
    speed_mps: float | None

    @property
    def is_urgent(self) -> bool:
        """Whether the driver has to act now."""
        return self.distance_m <= BESIDE_M or (self.time_to_reach_s is not None and self.time_to_reach_s <= URGENT_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyNotice:
    """One thing to tell the driver; `vehicle` is the last known state of one that passed or is gone."""

    change: EmergencyChange
    vehicle: EmergencyVehicle


@dataclass(slots=True)
class _Told:
    told: EmergencyVehicle
    told_at: MonotonicNs
    now: EmergencyVehicle
    relevant_at: MonotonicNs


@dataclass(frozen=True, slots=True)
class _Announced:
    denm: Denm
    point: GeoPoint
    taken: MonotonicNs
    expires: MonotonicNs


class EmergencyVehicles:
    """The emergency vehicles around, and what the driver was told of them."""

    def __init__(self) -> None:
        self._announced: dict[HashedId8, _Announced] = {}
        self._told: dict[HashedId8, _Told] = {}

    @property
    def near(self) -> tuple[EmergencyVehicle, ...]:
        """Return those that matter, as of the last `poll`, the nearest first."""
        return tuple(sorted((told.now for told in self._told.values()), key=_by_distance))

    def hear(self, indication: Verified[Denm], now: Instant) -> None:
        """Take in one verified DENM; one of another cause, or about another's event, changes nothing.

        Raises:
            UntrustedTimeError: UTC is not known, so its age cannot be told.
        """
        denm, ticket = indication.message, indication.signer.hashed_id8
        known = self._announced.get(ticket)
        if denm.termination is not None:
            if known is not None and known.denm.action_id == denm.action_id and denm.reference_time >= known.denm.reference_time:
                del self._announced[ticket]
            return
        if denm.cause_code != CauseCode.EMERGENCY_VEHICLE_APPROACHING or denm.lat_deg is None or denm.lon_deg is None:
            return
        if known is not None and denm.reference_time < known.denm.reference_time:
            return
        age_ns = max(0, now.require_utc() - utc_of(Time64(denm.reference_time * 1_000)))
        lifetime_ns = min(DENM_LIFETIME_NS, denm.validity_duration_s * NS_PER_S)
        if age_ns >= lifetime_ns:
            return
        self._announced.pop(ticket, None)
        if len(self._announced) >= MAX_ANNOUNCED:
            del self._announced[next(iter(self._announced))]
        taken = MonotonicNs(now.monotonic - age_ns)
        self._announced[ticket] = _Announced(denm, GeoPoint(denm.lat_deg, denm.lon_deg), taken, MonotonicNs(taken + lifetime_ns))

    def poll(self, seen: Iterable[Sighting], ego: EgoPosition, now: Instant) -> tuple[EmergencyNotice, ...]:
        """Return what is new for the driver, the nearest first.

        Args:
            seen: the neighbours from where we are (`Neighbours.within`).
            ego: where we are.
            now: the present.
        """
        on_mission = {s.neighbour.ticket: s for s in self._from_denms(ego, now)}
        on_mission |= {s.neighbour.ticket: s for s in seen if is_on_mission(s.neighbour)}
        notices = [*self._lost(on_mission)]
        for ticket, sight in sorted(on_mission.items(), key=lambda one: one[1].distance_m):
            before = self._told.get(ticket)
            vehicle = _vehicle(sight, None if before is None else before.now.side)
            notice = self._entered(vehicle, sight, now) if before is None else self._followed(before, vehicle, now)
            if notice is not None:
                notices.append(notice)
        return tuple(sorted(notices, key=lambda notice: notice.vehicle.distance_m))

    def _entered(self, vehicle: EmergencyVehicle, sight: Sighting, now: Instant) -> EmergencyNotice | None:
        speed_mps = sight.neighbour.speed_mps
        is_moving = speed_mps is not None and abs(speed_mps) >= MIN_SPEED_MPS
        if not is_moving or not _comes(vehicle, ENTER_S, ENTER_M, BESIDE_M) or len(self._told) >= MAX_TOLD:
            return None
        self._told[vehicle.ticket] = _Told(vehicle, now.monotonic, vehicle, now.monotonic)
        return EmergencyNotice(change=EmergencyChange.APPROACHING, vehicle=vehicle)

    def _followed(self, before: _Told, vehicle: EmergencyVehicle, now: Instant) -> EmergencyNotice | None:
        before.now = vehicle
        if _comes(vehicle, STAY_S, STAY_M, STAY_BESIDE_M):
            before.relevant_at = now.monotonic
        elif now.monotonic - before.relevant_at > LEAVE_NS:
            del self._told[vehicle.ticket]
            return EmergencyNotice(change=EmergencyChange.PASSED, vehicle=vehicle)
        if _what_counts(vehicle) == _what_counts(before.told) or now.monotonic - before.told_at < REPEAT_NS:
            return None
        before.told, before.told_at = vehicle, now.monotonic
        return EmergencyNotice(change=EmergencyChange.CHANGED, vehicle=vehicle)

    def _lost(self, on_mission: dict[HashedId8, Sighting]) -> Iterable[EmergencyNotice]:
        for ticket in [ticket for ticket in self._told if ticket not in on_mission]:
            yield EmergencyNotice(change=EmergencyChange.GONE, vehicle=self._told.pop(ticket).now)

    def _from_denms(self, ego: EgoPosition, now: Instant) -> Iterable[Sighting]:
        for ticket in [ticket for ticket, known in self._announced.items() if known.expires <= now.monotonic]:
            del self._announced[ticket]
        for ticket, known in self._announced.items():
            yield sighting(_announced_neighbour(ticket, known, now.monotonic), ego)


def is_on_mission(neighbour: Neighbour) -> bool:
    """Whether a neighbour is an emergency or rescue vehicle that uses, or does not say whether it uses, light bar or siren."""
    container = neighbour.special_vehicle
    if isinstance(container, Emergency | Rescue):
        return bool(container.light_bar_siren)
    return neighbour.role in _ROLES


def _comes(vehicle: EmergencyVehicle, within_s: float, within_m: float, beside_m: float) -> bool:
    if vehicle.distance_m <= beside_m:
        return True
    time_s, closest_m = vehicle.time_to_reach_s, vehicle.closest_m
    return time_s is not None and closest_m is not None and time_s <= within_s and closest_m <= within_m


def _what_counts(vehicle: EmergencyVehicle) -> tuple[object, ...]:
    return vehicle.side, vehicle.course, vehicle.light_bar, vehicle.siren, vehicle.is_urgent


def _vehicle(sight: Sighting, before: Side | None) -> EmergencyVehicle:
    neighbour = sight.neighbour
    container = neighbour.special_vehicle
    lights = container.light_bar_siren if isinstance(container, Emergency | Rescue) else None
    return EmergencyVehicle(
        ticket=neighbour.ticket,
        station_id=neighbour.station_id,
        is_rescue=isinstance(container, Rescue) or (container is None and neighbour.role is VehicleRole.RESCUE),
        light_bar=None if lights is None else LightBarSirenInUse.LIGHT_BAR_ACTIVATED in lights,
        siren=None if lights is None else LightBarSirenInUse.SIREN_ACTIVATED in lights,
        side=_side(sight, before),
        course=_course(sight.turned_deg),
        distance_m=sight.distance_m,
        time_to_reach_s=sight.closest_in_s or None,
        closest_m=sight.closest_m,
        speed_mps=neighbour.speed_mps,
    )


def _side(sight: Sighting, before: Side | None) -> Side | None:
    if sight.ahead_m is None or sight.right_m is None:
        return None
    bearing_deg = degrees(atan2(sight.right_m, sight.ahead_m))
    sides = {Side.AHEAD: 0.0, Side.RIGHT: 90.0, Side.BEHIND: 180.0, Side.LEFT: -90.0}
    off = {side: abs((bearing_deg - middle + 180.0) % 360.0 - 180.0) for side, middle in sides.items()}
    if before is not None and off[before] <= SIDE_HALF_DEG + SIDE_MARGIN_DEG:
        return before
    return min(off, key=off.__getitem__)


def _course(turned_deg: float | None) -> Course | None:
    if turned_deg is None:
        return None
    if turned_deg <= SAME_COURSE_DEG:
        return Course.SAME
    return Course.ONCOMING if turned_deg >= ONCOMING_DEG else Course.CROSSING


def _announced_neighbour(ticket: HashedId8, known: _Announced, now: MonotonicNs) -> Neighbour:
    denm = known.denm
    age_ns = max(0, now - known.taken)
    point, velocity = known.point, velocity_mps(denm.event_speed_mps, denm.event_heading_deg)
    if velocity is not None:
        moved_s = min(age_ns, MAX_EXTRAPOLATION_NS) / NS_PER_S
        point = displaced(point, velocity[0] * moved_s, velocity[1] * moved_s)
    return Neighbour(
        ticket=ticket,
        station_id=denm.action_id.originating_station_id,
        station_type=StationType.SPECIAL_VEHICLE,
        role=VehicleRole.EMERGENCY,
        point=point,
        age_s=age_ns / NS_PER_S,
        speed_mps=denm.event_speed_mps,
        heading_deg=denm.event_heading_deg,
        acceleration_mps2=None,
        length_m=None,
        width_m=None,
        lights=None,
        special_vehicle=None,
        accuracy_m=None,
    )


def _by_distance(vehicle: EmergencyVehicle) -> float:
    return vehicle.distance_m
