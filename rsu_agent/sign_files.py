"""The operator's file of road signs: TOML into checked signs, and each into the IVIM that says it (TS 103 301 on ISO/TS 19321).

A sign has a number, a stretch of road in which it holds (relevance), one from which it is approached (detection), and up to four
pictograms: of ISO 14823 by their category code, with a speed limit beside it where that is what the sign says, or of the Vienna
convention by letter and number. `rsu_agent/junctions/crossing.signs.toml` is a commented example. Left out: layouts, catalogues,
surfaces, lanes' configuration, and times of day (a sign holds from one moment to another).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal

import msgspec

from rsu_agent.hazard import MAX_MESSAGE_OCTETS, MAX_RADIUS_M
from shared.core.clock import UtcNs
from shared.core.errors import ConfigError, EncodeError
from shared.core.geo import GeoPoint
from shared.core.ids import StationId
from shared.core.itstime import TimestampIts, time64_of, timestamp_its
from shared.messages.ivim import IviContainer, Ivim, IviSigns, IviStatus, IviTextLine, IviType, Provider, encode_ivim
from shared.messages.ivim_attributes import SignAttribute, SignSpeeds, SignUnit
from shared.messages.ivim_road import IviDirection
from shared.messages.ivim_signs import (
    Iso14823Sign,
    PublicFacility,
    RoadsideCondition,
    RoadSign,
    TrafficSign,
    ViennaClass,
    ViennaOption,
    ViennaSign,
)
from shared.messages.ivim_zones import MAX_LINE_OFFSETS, IviLocation, IviZone, ZoneLine, ZoneOffset, ZoneSegment
from shared.network.area import Circle
from shared.service.config import ConfigStruct, load

MAX_SIGNS = 32
"""Most signs of one unit."""

UNITS_PER_DEGREE = 10_000_000
"""Places are rounded to this before they are compared, so that rounding does not add up along a line."""

MAX_STEP_UNITS = 131_071
"""`DeltaLatitude` and `DeltaLongitude`: some 1.4 km of latitude from one point to the next."""

RELEVANCE_ZONE, DETECTION_ZONE = 1, 2
"""Numbers of the two zones of each message."""

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST, _LATEST = datetime(2004, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)

TYPES: Final[Mapping[str, IviType]] = MappingProxyType(
    {
        "danger": IviType.IMMEDIATE_DANGER_WARNING_MESSAGES,
        "regulatory": IviType.REGULATORY_MESSAGES,
        "traffic": IviType.TRAFFIC_RELATED_INFORMATION_MESSAGES,
        "pollution": IviType.POLLUTION_MESSAGES,
        "other": IviType.NOT_TRAFFIC_RELATED_INFORMATION_MESSAGES,
    }
)

SERVICES: Final[Mapping[str, Callable[..., Iso14823Sign]]] = MappingProxyType(
    {
        "danger_warning": partial(Iso14823Sign, traffic_sign=TrafficSign.DANGER_WARNING),
        "regulatory": partial(Iso14823Sign, traffic_sign=TrafficSign.REGULATORY),
        "informative": partial(Iso14823Sign, traffic_sign=TrafficSign.INFORMATIVE),
        "public_facilities": partial(Iso14823Sign, public_facility=PublicFacility.PUBLIC_FACILITIES),
        "ambient_condition": partial(Iso14823Sign, condition=RoadsideCondition.AMBIENT_CONDITION),
        "road_condition": partial(Iso14823Sign, condition=RoadsideCondition.ROAD_CONDITION),
    }
)
"""Pictograms by the service category of ISO 14823."""

Points = Annotated[tuple[tuple[float, float], ...], msgspec.Meta(min_length=1, max_length=MAX_LINE_OFFSETS)]
Letters = Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class ProviderDocument(ConfigStruct, frozen=True):
    """`[provider]` of a sign file: who issues the signs, by two letters of ISO 3166 and a number the country gave."""

    country: Letters
    identifier: Annotated[int, msgspec.Meta(ge=0, le=16_383)]


class PictogramDocument(ConfigStruct, frozen=True, kw_only=True):
    """`[[sign.pictogram]]`: either a category code of ISO 14823 (`iso14823 = 557`) or a sign of Vienna (`vienna = "C14"`)."""

    iso14823: Annotated[int, msgspec.Meta(ge=100, le=999)] | None = None
    service: Literal["danger_warning", "regulatory", "informative", "public_facilities", "ambient_condition", "road_condition"] = (
        "regulatory"
    )
    vienna: Annotated[str, msgspec.Meta(pattern="^[A-H][1-9][0-9]?[a-g]?$")] | None = None
    speed_limit_kmh: Annotated[int, msgspec.Meta(ge=1, le=250)] | None = None

    def __post_init__(self) -> None:
        """Refuse a sign that is two or none, and a number that Vienna has no sign for."""
        if (self.iso14823 is None) == (self.vienna is None):
            raise ValueError("either iso14823 or vienna says which sign it is")
        if self.vienna is not None and int(self.vienna[1:].rstrip("abcdefg")) > 64:
            raise ValueError(f"vienna: {self.vienna!r} has a number beyond 64")

    @property
    def road_sign(self) -> RoadSign:
        """As a message says it."""
        if self.vienna is not None:
            return RoadSign(vienna=self._vienna(self.vienna))
        assert self.iso14823 is not None
        nature, serial = divmod(self.iso14823, 100)
        limit = self.speed_limit_kmh
        speeds = () if limit is None else (SignAttribute(speeds=SignSpeeds(unit=SignUnit.KM_PER_H, highest=limit)),)
        return RoadSign(iso14823=SERVICES[self.service](nature=nature, serial_number=serial, attributes=speeds))

    def _vienna(self, name: str) -> ViennaSign:
        letter = name[-1] if name[-1].islower() else ""
        return ViennaSign(
            sign_class=ViennaClass[f"CLASS_{name[0]}"],
            sign_code=int(name[1:].rstrip("abcdefg")),
            option=ViennaOption[letter.upper()] if letter else ViennaOption.NONE,
            value=self.speed_limit_kmh,
            unit=None if self.speed_limit_kmh is None else SignUnit.KM_PER_H,
        )


class TextDocument(ConfigStruct, frozen=True):
    """`[[sign.text]]`: a line below the signs, and its language by two letters of ISO 639-1 in capitals."""

    language: Letters
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class SignDocument(ConfigStruct, frozen=True, kw_only=True):
    """`[[sign]]`; places are [latitude, longitude] in degrees.

    Both zones begin at the reference point; relevance leads on with the traffic, detection back against it.
    """

    number: Annotated[int, msgspec.Meta(ge=1, le=32_767)]
    type: Literal["danger", "regulatory", "traffic", "pollution", "other"]
    reference_deg: tuple[float, float]
    relevance_deg: Points
    detection_deg: Points | None = None
    heading_deg: Annotated[float, msgspec.Meta(ge=0.0, lt=360.0)] | None = None
    width_m: Annotated[float, msgspec.Meta(ge=0.5, le=10.23)] | None = None
    lanes: Annotated[tuple[Annotated[int, msgspec.Meta(ge=-1, le=14)], ...], msgspec.Meta(max_length=8)] = ()
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    repetition_s: Annotated[float, msgspec.Meta(ge=0.5, le=10.0)] = 1.0
    radius_m: Annotated[float, msgspec.Meta(ge=10.0, le=MAX_RADIUS_M)] | None = None
    pictogram: Annotated[tuple[PictogramDocument, ...], msgspec.Meta(min_length=1, max_length=4)]
    text: Annotated[tuple[TextDocument, ...], msgspec.Meta(max_length=4)] = ()

    def __post_init__(self) -> None:
        """Refuse moments no message can say, and an end before the beginning."""
        for name in ("valid_from", "valid_until"):
            moment = getattr(self, name)
            if moment is not None and not _EARLIEST <= moment < _LATEST:
                raise ValueError(f"{name} is not between {_EARLIEST.year} and {_LATEST.year}")
        if self.valid_from is not None and self.valid_until is not None and self.valid_until <= self.valid_from:
            raise ValueError("valid_until is not after valid_from")


class SignsDocument(ConfigStruct, frozen=True):
    """A sign file."""

    provider: ProviderDocument
    sign: Annotated[tuple[SignDocument, ...], msgspec.Meta(max_length=MAX_SIGNS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """One checked sign, or gantry of up to four.

    Attributes:
        provider: who issues it.
        number: the provider's own.
        valid_from: from when it holds; None for always.
        valid_until: until when; None for ever.
        repetition_s: time between repetitions.
        area: where it is geo-broadcast; None for a single hop.
        location: its zones.
        signs: what it shows.
    """

    provider: Provider
    number: int
    valid_from: UtcNs | None
    valid_until: UtcNs | None
    repetition_s: float
    area: Circle | None
    location: IviLocation
    signs: IviSigns

    def holds(self, utc: UtcNs) -> bool:
        """Whether it is to be told of: its end, where it has one, has not come. What begins later is told before it does."""
        return self.valid_until is None or utc < self.valid_until

    def ivim(self, station_id: StationId, status: IviStatus, made_at: TimestampIts) -> Ivim:
        """Return the message that says it.

        Args:
            station_id: the station that sends.
            status: new, updated or cancelled.
            made_at: when this version was made.
        """
        is_over = status is IviStatus.CANCELLATION
        return Ivim(
            station_id=station_id,
            service_provider=self.provider,
            ivi_identification_number=self.number,
            status=status,
            timestamp=made_at,
            valid_from=_timestamp(self.valid_from),
            valid_until=_timestamp(self.valid_until),
            containers=() if is_over else (IviContainer(location=self.location), IviContainer(signs=(self.signs,))),
        )


def load_signs(path: Path) -> tuple[Sign, ...]:
    """Read a sign file.

    Raises:
        ConfigError: the file cannot be read, has an unknown key, or describes a sign that no message can say.
    """
    document = load(path, SignsDocument)
    numbers = [sign.number for sign in document.sign]
    signs = []
    for index, each in enumerate(document.sign):
        key = f"{path}: sign[{index}]"
        if numbers.index(each.number) != index:
            raise ConfigError(f"{key}.number", f"{each.number} is given twice")
        signs.append(_sign(key, document.provider, each))
    return tuple(signs)


def _sign(key: str, provider: ProviderDocument, document: SignDocument) -> Sign:
    reference = _point(f"{key}.reference_deg", document.reference_deg)
    zones = [_zone(f"{key}.relevance_deg", RELEVANCE_ZONE, reference, document.relevance_deg, document)]
    if document.detection_deg is not None:
        zones.append(_zone(f"{key}.detection_deg", DETECTION_ZONE, reference, document.detection_deg, document))
    sign = Sign(
        provider=Provider(country_code=provider.country, identifier=provider.identifier),
        number=document.number,
        valid_from=_utc(document.valid_from),
        valid_until=_utc(document.valid_until),
        repetition_s=document.repetition_s,
        area=None if document.radius_m is None else Circle(centre=reference, radius_m=document.radius_m),
        location=IviLocation(lat_deg=reference.lat_deg, lon_deg=reference.lon_deg, zones=tuple(zones)),
        signs=IviSigns(
            ivi_type=TYPES[document.type],
            road_signs=tuple(pictogram.road_sign for pictogram in document.pictogram),
            detection_zone_ids=() if document.detection_deg is None else (DETECTION_ZONE,),
            relevance_zone_ids=(RELEVANCE_ZONE,),
            direction=IviDirection.SAME_DIRECTION,
            applicable_lanes=document.lanes,
            extra_text=tuple(IviTextLine(text=line.text, language=line.language) for line in document.text),
        ),
    )
    try:
        octets = len(encode_ivim(sign.ivim(StationId(0), IviStatus.NEW, TimestampIts(0))))
    except EncodeError as error:
        raise ConfigError(key, f"cannot be said: {error}") from None
    if octets > MAX_MESSAGE_OCTETS:
        raise ConfigError(key, f"cannot be said: {octets} octets are more than the {MAX_MESSAGE_OCTETS} of one message")
    return sign


def _zone(key: str, zone_id: int, reference: GeoPoint, points: Points, document: SignDocument) -> IviZone:
    line = [reference, *(_point(f"{key}[{index}]", point) for index, point in enumerate(points))]
    offsets = []
    for index, (before, after) in enumerate(pairwise(line)):
        lat, lon = (
            round(x * UNITS_PER_DEGREE) - round(y * UNITS_PER_DEGREE) for x, y in zip(_pair(after), _pair(before), strict=True)
        )
        if max(abs(lat), abs(lon)) > MAX_STEP_UNITS:
            raise ConfigError(f"{key}[{index}]", "is too far from the point before to be said")
        offsets.append(ZoneOffset(delta_lat_deg=lat / UNITS_PER_DEGREE, delta_lon_deg=lon / UNITS_PER_DEGREE))
    return IviZone(
        zone_id=zone_id,
        heading_deg=document.heading_deg,
        segment=ZoneSegment(line=ZoneLine(offsets=tuple(offsets)), lane_width_m=document.width_m),
    )


def _pair(point: GeoPoint) -> tuple[float, float]:
    return point.lat_deg, point.lon_deg


def _point(key: str, place: tuple[float, float]) -> GeoPoint:
    try:
        return GeoPoint(*place)
    except ValueError as error:
        raise ConfigError(key, str(error)) from None


def _utc(moment: datetime | None) -> UtcNs | None:
    return None if moment is None else UtcNs((moment - _UNIX_EPOCH) // timedelta(microseconds=1) * 1_000)


def _timestamp(utc: UtcNs | None) -> TimestampIts | None:
    return None if utc is None else timestamp_its(time64_of(utc))
