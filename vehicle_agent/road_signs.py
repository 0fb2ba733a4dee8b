"""The road signs ahead and those that hold here, from verified IVIM (TS 103 301 V1.3.1 on ISO/TS 19321).

A sign holds in its relevance zones and is approached in its detection zones; both are strips along a line that begins at the
message's reference point, or at a place of their own: relevance leads on with the traffic, detection back against it, unless the
zone names a heading. A version counts until it ends, is cancelled by the ticket that said it, or was not heard for
`SIGN_LIFETIME_NS`; where two tickets say the same sign, as while a roadside unit renews its own, the later version is shown.

Left out: zones that are areas, computed from others or lanes of a map; negation, for one stranger takes no sign down; and whether
we are among those a sign is for where it is not for all: such a sign is shown, and says so.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.geo import GeoPoint, heading_difference_deg, offset_m
from shared.core.ids import HashedId8
from shared.core.itstime import Time64, TimestampIts, utc_of
from shared.messages.ivim import IviDirection, Ivim, IviSigns, IviStatus
from shared.messages.ivim_provider import Provider
from shared.messages.ivim_signs import Iso14823Sign, RoadSign, ViennaClass, ViennaOption, ViennaSign
from shared.messages.ivim_zones import IviLocation, IviZone, ZoneLine
from shared.stack.indication import Verified
from shared.stack.station import EgoPosition
from vehicle_agent.junction_map import MAX_HEADING_DIFFERENCE_DEG, Point, place_on
from vehicle_agent.per_ticket import put_per_ticket

MAX_SIGNS = 128
"""Most messages remembered; beyond it the one heard longest ago gives way."""

MAX_SIGNS_PER_TICKET = 32
"""Most messages remembered from one ticket; beyond it that ticket's oldest gives way."""

MAX_SETS = 8
"""Sets of signs looked at in one message."""

SIGN_LIFETIME_NS = 120 * NS_PER_S
"""A sign not heard for this long is forgotten: whoever says it, says it every ten seconds at least."""

DEFAULT_WIDTH_M = 10.0
"""Width of a zone that states none: a carriageway."""

SPEED_LIMIT_CODE = 557
"""Maximum speed limit by the pictogram category code of ISO 14823."""

SPEED_LIMIT_NUMBER = 14
"""Maximum speed limit among the signs of class C of the Vienna convention."""

SignKey = tuple[Provider, int, int]
"""Which sign: who issues it, the issuer's number, and which set of the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictogram:
    """One sign of a set.

    Attributes:
        iso14823: pictogram category code, or None.
        vienna: class, number and letter of the Vienna convention (`C14`), or None.
        speed_mps: a speed that stands on it, or None.
        limit_mps: the same where the sign says that nobody may drive faster.
    """

    iso14823: int | None = None
    vienna: str | None = None
    speed_mps: float | None = None
    limit_mps: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoadSignAhead:
    """A set of signs that matters to this vehicle.

    Attributes:
        key: which.
        ivi_type: an `IviType` where the number has one.
        distance_m: along its detection zone to where it begins; 0 where it holds.
        holds: whether we are where it holds.
        pictograms: what it shows.
        lanes: those it is for, empty for all.
        is_for_all: whether it is for every lane, vehicle and driver, at all times.
        text: lines below it, each with its language.
    """

    key: SignKey
    ivi_type: int
    distance_m: float
    holds: bool
    pictograms: tuple[Pictogram, ...]
    lanes: tuple[int, ...]
    is_for_all: bool
    text: tuple[tuple[str, str], ...]

    @property
    def limit_mps(self) -> float | None:
        """The lowest speed limit it sets for everybody."""
        limits = [each.limit_mps for each in self.pictograms if each.limit_mps is not None]
        return min(limits) if limits and self.is_for_all else None


def limit_of(signs: Iterable[RoadSignAhead]) -> float | None:
    """Return the lowest speed limit of the signs that hold for everybody here, in m/s; None where none does."""
    return min((sign.limit_mps for sign in signs if sign.holds and sign.limit_mps is not None), default=None)


@dataclass(frozen=True, slots=True)
class _Strip:
    """A zone, its line in metres from the message's reference point, in the direction it was said."""

    points: tuple[Point, ...]
    half_width_m: float
    heading_deg: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Set:
    """Signs shown together."""

    sign: RoadSignAhead
    direction: int | None
    relevance: tuple[_Strip, ...]
    detection: tuple[_Strip, ...]


@dataclass(slots=True, kw_only=True)
class _Heard:
    """The latest version of one message of one ticket; no sets once it was cancelled."""

    made_at: TimestampIts | None
    reference: GeoPoint
    valid_from: UtcNs | None
    valid_until: UtcNs | None
    sets: tuple[_Set, ...]
    heard: MonotonicNs


_Key = tuple[tuple[Provider, int], HashedId8]


class RoadSigns:
    """The signs around.

    Args:
        capacity: most messages remembered.
    """

    def __init__(self, capacity: int = MAX_SIGNS) -> None:
        if capacity < 1:
            raise ValueError("at least one sign has to be remembered")
        self._capacity = capacity
        self._signs: OrderedDict[_Key, _Heard] = OrderedDict()
        self._told: dict[SignKey, bool] = {}

    def __len__(self) -> int:
        """How many messages are remembered, cancelled ones included."""
        return len(self._signs)

    def hear(self, indication: Verified[Ivim], now: Instant) -> None:
        """Take in one verified IVIM; one that is older than what is known of its sign changes nothing."""
        ivim = indication.message
        key: _Key = ((ivim.service_provider, ivim.ivi_identification_number), indication.signer.hashed_id8)
        known = self._signs.get(key)
        if known is not None and known.made_at is not None and ivim.timestamp is not None:
            if ivim.timestamp < known.made_at:
                return
            if ivim.timestamp == known.made_at:
                known.heard = now.monotonic
                self._signs.move_to_end(key)
                return
        if ivim.status in (IviStatus.NEW, IviStatus.UPDATE):
            heard = _read(ivim, now.monotonic)
        elif ivim.status == IviStatus.CANCELLATION and known is not None:
            heard = _Heard(
                made_at=ivim.timestamp,
                reference=known.reference,
                valid_from=None,
                valid_until=None,
                sets=(),
                heard=now.monotonic,
            )
        else:
            return
        if heard is not None:
            put_per_ticket(self._signs, key, heard, capacity=self._capacity, per_ticket=MAX_SIGNS_PER_TICKET)

    def ahead(self, now: Instant, ego: EgoPosition) -> tuple[RoadSignAhead, ...]:
        """Return the signs that hold, then those that are approached, the nearest first.

        Raises:
            UntrustedTimeError: UTC is not known, so nobody knows whether they hold.
        """
        utc = now.require_utc()
        for key in [key for key, heard in self._signs.items() if now.monotonic - heard.heard > SIGN_LIFETIME_NS]:
            del self._signs[key]
        found: dict[SignKey, RoadSignAhead] = {}
        if ego.heading_deg is None:
            return ()
        for heard in sorted(self._signs.values(), key=lambda each: each.made_at or 0):
            if (heard.valid_from is not None and utc < heard.valid_from) or (
                heard.valid_until is not None and utc >= heard.valid_until
            ):
                continue
            here = offset_m(heard.reference, ego.point)
            for each in heard.sets:
                sign = _placed(each, here, ego.heading_deg)
                if sign is not None:
                    found[sign.key] = sign
        return tuple(sorted(found.values(), key=lambda sign: (not sign.holds, sign.distance_m)))

    def news(self, found: Iterable[RoadSignAhead]) -> tuple[RoadSignAhead, ...]:
        """Return what of `found`, all that matters at present, is new to the driver: approached, or holds from now on."""
        found = tuple(found)
        told, self._told = self._told, {sign.key: sign.holds for sign in found}
        return tuple(sign for sign in found if sign.key not in told or (sign.holds and not told[sign.key]))


def _placed(each: _Set, here: Point, heading_deg: float) -> RoadSignAhead | None:
    """Return a set as it is seen from a place; None where it does not matter there."""
    if any(_along_m(strip, here, heading_deg, each.direction, leads_on=True) is not None for strip in each.relevance):
        return each.sign
    ways = (_along_m(strip, here, heading_deg, each.direction, leads_on=False) for strip in each.detection)
    distance_m = min((way_m for way_m in ways if way_m is not None), default=None)
    return None if distance_m is None else replace(each.sign, distance_m=distance_m, holds=False)


def _along_m(strip: _Strip, here: Point, heading_deg: float, direction: int | None, *, leads_on: bool) -> float | None:
    """Return how far along a strip from its beginning a place is; None where it is not on it, or heads another way."""
    back_deg = (heading_deg + 180.0) % 360.0
    if direction == IviDirection.BOTH_DIRECTIONS:
        wanted: tuple[float, ...] = (heading_deg, back_deg)
    else:
        wanted = (back_deg if direction == IviDirection.OPPOSITE_DIRECTION else heading_deg,)
    for wanted_deg in wanted:
        place = None
        if strip.heading_deg is None:  # `place_on` asks for who drives to the beginning of the line
            place = place_on(strip.points, strip.half_width_m, here, (wanted_deg + 180.0) % 360.0 if leads_on else wanted_deg)
        elif heading_difference_deg(strip.heading_deg, wanted_deg) <= MAX_HEADING_DIFFERENCE_DEG:
            place = place_on(strip.points, strip.half_width_m, here, None)
        if place is not None:
            return place.from_start_m
    return None


def _read(ivim: Ivim, heard: MonotonicNs) -> _Heard | None:
    """Return what a message says; None where it has no place."""
    location = next((each.location for each in ivim.containers if each.location is not None), None)
    if location is None or location.lat_deg is None or location.lon_deg is None:
        return None
    reference = GeoPoint(location.lat_deg, location.lon_deg)
    strips = dict(_strips(location, reference))
    said = [signs for container in ivim.containers for signs in container.signs][:MAX_SETS]
    sets = (
        _Set(
            sign=_sign(ivim, index, signs),
            direction=signs.direction,
            relevance=tuple(strips[number] for number in signs.relevance_zone_ids if number in strips),
            detection=tuple(strips[number] for number in signs.detection_zone_ids if number in strips),
        )
        for index, signs in enumerate(said)
    )
    return _Heard(
        made_at=ivim.timestamp,
        reference=reference,
        valid_from=_utc(ivim.valid_from),
        valid_until=_utc(ivim.valid_until),
        sets=tuple(each for each in sets if each.sign.pictograms or each.sign.text),
        heard=heard,
    )


def _strips(location: IviLocation, reference: GeoPoint) -> Iterator[tuple[int, _Strip]]:
    for zone in location.zones:
        points = () if zone.segment is None else tuple(_points(zone.segment.line, reference))
        if zone.segment is not None and len(points) >= 2:
            width_m = zone.segment.lane_width_m or DEFAULT_WIDTH_M
            yield zone.zone_id, _Strip(points, width_m / 2, _heading_deg(zone, location))


def _heading_deg(zone: IviZone, location: IviLocation) -> float | None:
    return location.heading_deg if zone.heading_deg is None else zone.heading_deg


def _points(line: ZoneLine, reference: GeoPoint) -> Iterator[Point]:
    """Yield a line's points in metres east and north of the reference point, up to one that is not known."""
    lat_deg, lon_deg = reference.lat_deg, reference.lon_deg
    steps = line.offsets or line.offsets_with_altitude
    if steps:
        yield 0.0, 0.0
    for step in steps:
        if step.delta_lat_deg is None or step.delta_lon_deg is None:
            return
        lat_deg, lon_deg = lat_deg + step.delta_lat_deg, lon_deg + step.delta_lon_deg
        if not (-90.0 <= lat_deg <= 90.0 and -180.0 <= lon_deg <= 180.0):
            return
        yield offset_m(reference, GeoPoint(lat_deg, lon_deg))
    for place in line.positions or line.positions_with_altitude:
        if place.lat_deg is None or place.lon_deg is None:
            return
        yield offset_m(reference, GeoPoint(place.lat_deg, place.lon_deg))


def _sign(ivim: Ivim, index: int, signs: IviSigns) -> RoadSignAhead:
    restricted = signs.applicable_lanes or signs.vehicle_characteristics or signs.driver_characteristics is not None
    shown = [(sign, pictogram) for sign in signs.road_signs if (pictogram := _pictogram(sign)) is not None]
    return RoadSignAhead(
        key=(ivim.service_provider, ivim.ivi_identification_number, index),
        ivi_type=signs.ivi_type,
        distance_m=0.0,
        holds=True,
        pictograms=tuple(pictogram for _, pictogram in shown),
        lanes=signs.applicable_lanes,
        is_for_all=not restricted and not any(_has_hours(sign) for sign, _ in shown),
        text=tuple((str(line.language), line.text) for line in signs.extra_text),
    )


def _pictogram(sign: RoadSign) -> Pictogram | None:
    if sign.vienna is not None:
        return _vienna(sign.vienna)
    return None if sign.iso14823 is None else _iso14823(sign.iso14823)


def _vienna(sign: ViennaSign) -> Pictogram:
    is_limit = sign.sign_class == ViennaClass.CLASS_C and sign.sign_code == SPEED_LIMIT_NUMBER
    letter = next((each.name[-1] for each in ViennaClass if each == sign.sign_class), "?")
    option = next((each.name.lower() for each in ViennaOption if each and each == sign.option), "")
    return Pictogram(
        vienna=f"{letter}{sign.sign_code}{option}", speed_mps=sign.speed_mps, limit_mps=sign.speed_mps if is_limit else None
    )


def _iso14823(sign: Iso14823Sign) -> Pictogram:
    speeds = (attribute.speeds.upper_limit_mps for attribute in sign.attributes if attribute.speeds is not None)
    speed_mps = min((each for each in speeds if each is not None), default=None)
    is_limit = sign.category_code == SPEED_LIMIT_CODE
    return Pictogram(iso14823=sign.category_code, speed_mps=speed_mps, limit_mps=speed_mps if is_limit else None)


def _has_hours(sign: RoadSign) -> bool:
    if sign.vienna is not None:
        return bool(sign.vienna.validity)
    attributes = () if sign.iso14823 is None else sign.iso14823.attributes
    return any(each.applies is not None or each.exempted is not None or each.vehicle_dimensions is not None for each in attributes)


def _utc(moment: TimestampIts | None) -> UtcNs | None:
    return None if moment is None else utc_of(Time64(moment * 1_000))
