"""Map messages (TS 103 301 V1.3.1 on ISO/TS 19091): a junction's lanes, where they run and what connects to what.

Typed here: intersections; their lanes in `mapem_lanes.py`. Road segments, restriction classes, preemption zones and regional
extensions are not; `tree.decode_tree` shows them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from shared.codec.asn1 import message_codec
from shared.codec.uper import Tree
from shared.core.errors import EncodeError
from shared.core.ids import IntersectionId, MessageId, StationId
from shared.messages import conversions as cv
from shared.messages.mapem_lanes import (
    AllowedManeuvers,
    ComputedLane,
    Connection,
    Lane,
    LaneDirection,
    LaneNode,
    LaneSharing,
    LaneType,
    NodeAttribute,
    decode_lane,
    encode_lane,
)
from shared.messages.pdu import (
    INFRASTRUCTURE_VERSIONS,
    check_header,
    decode_intersection_id,
    decode_minute_of_year,
    encode_intersection_id,
    header_tree,
)

__all__ = [
    "AllowedManeuvers",
    "ComputedLane",
    "Connection",
    "Intersection",
    "Lane",
    "LaneDirection",
    "LaneNode",
    "LaneSharing",
    "LaneType",
    "LayerType",
    "Mapem",
    "NodeAttribute",
    "SpeedLimit",
    "SpeedLimitType",
    "decode_mapem",
    "encode_mapem",
]

MAX_INTERSECTIONS = 32
MAX_LANES = 255


class LayerType(IntEnum):
    """`LayerType`."""

    NONE = 0
    MIXED_CONTENT = 1
    GENERAL_MAP_DATA = 2
    INTERSECTION_DATA = 3
    CURVE_DATA = 4
    ROADWAY_SECTION_DATA = 5
    PARKING_AREA_DATA = 6
    SHARED_LANE_DATA = 7


class SpeedLimitType(IntEnum):
    """`SpeedLimitType`."""

    UNKNOWN = 0
    MAX_SPEED_IN_SCHOOL_ZONE = 1
    MAX_SPEED_IN_SCHOOL_ZONE_WHEN_CHILDREN_ARE_PRESENT = 2
    MAX_SPEED_IN_CONSTRUCTION_ZONE = 3
    VEHICLE_MIN_SPEED = 4
    VEHICLE_MAX_SPEED = 5
    VEHICLE_NIGHT_MAX_SPEED = 6
    TRUCK_MIN_SPEED = 7
    TRUCK_MAX_SPEED = 8
    TRUCK_NIGHT_MAX_SPEED = 9
    VEHICLES_WITH_TRAILERS_MIN_SPEED = 10
    VEHICLES_WITH_TRAILERS_MAX_SPEED = 11
    VEHICLES_WITH_TRAILERS_NIGHT_MAX_SPEED = 12


_LAYER_TYPES: Mapping[int | str | None, LayerType] = {member.value: member for member in LayerType}
_SPEED_LIMIT_TYPES: Mapping[int | str, SpeedLimitType] = {member.value: member for member in SpeedLimitType}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedLimit:
    """`RegulatorySpeedLimit`.

    Attributes:
        kind: whom and when it binds; None for a kind of a later version.
        speed_mps: 0..163.8 in steps of 0.02.
    """

    kind: SpeedLimitType | None
    speed_mps: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Intersection:
    """`IntersectionGeometry`.

    Attributes:
        id: region and number, as in the SPATEM.
        revision: 0..127; changes with the content.
        lat_deg: reference point, in [-90, 90].
        lon_deg: reference point, in [-180, 180].
        elevation_m: of the reference point, -409.5..6143.9.
        lane_width_m: 0..327.67, of every lane that says nothing else.
        speed_limits: at most 9.
        lanes: 1..`MAX_LANES`.
        name: 1..63 characters of ASCII.
    """

    id: IntersectionId
    revision: int
    lat_deg: float | None
    lon_deg: float | None
    lanes: tuple[Lane, ...]
    elevation_m: float | None = None
    lane_width_m: float | None = None
    speed_limits: tuple[SpeedLimit, ...] = ()
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapem:
    """One MAPEM.

    Attributes:
        station_id: the roadside unit.
        revision: `msgIssueRevision`, 0..127.
        intersections: at most `MAX_INTERSECTIONS`.
        minute_of_year: minutes since the year began, UTC.
        layer_type: kind of content.
        layer_id: 0..100.
    """

    station_id: StationId
    revision: int
    intersections: tuple[Intersection, ...]
    minute_of_year: int | None = None
    layer_type: LayerType | None = None
    layer_id: int | None = None


def encode_mapem(mapem: Mapem) -> bytes:
    """Encode to UPER; raises `EncodeError` naming the field that does not fit."""
    body = cv.present(
        timeStamp=mapem.minute_of_year,
        msgIssueRevision=mapem.revision,
        layerType=mapem.layer_type,
        layerID=mapem.layer_id,
        intersections=tuple(_encode_intersection(f"intersections[{i}]", one) for i, one in enumerate(mapem.intersections)) or None,
    )
    return message_codec(MessageId.MAPEM).encode({"header": header_tree(MessageId.MAPEM, mapem.station_id), "map": body})


def decode_mapem(encoded: bytes) -> Mapem:
    """Decode a whole MAPEM; raises `DecodeError` and nothing else."""
    check_header(MessageId.MAPEM, encoded, INFRASTRUCTURE_VERSIONS)
    tree = message_codec(MessageId.MAPEM).decode(encoded)
    body = tree["map"]
    return Mapem(
        station_id=StationId(tree["header"]["stationID"]),
        revision=body["msgIssueRevision"],
        intersections=tuple([_decode_intersection(one) for one in body.get("intersections", ())]),
        minute_of_year=decode_minute_of_year(body.get("timeStamp")),
        layer_type=_LAYER_TYPES.get(body.get("layerType")),
        layer_id=body.get("layerID"),
    )


def _encode_intersection(field: str, value: Intersection) -> Tree:
    return cv.present(
        name=value.name,
        id=encode_intersection_id(value.id),
        revision=value.revision,
        refPoint=cv.present(
            lat=cv.LATITUDE.encode(f"{field}.lat_deg", value.lat_deg),
            long=cv.LONGITUDE.encode(f"{field}.lon_deg", value.lon_deg),
            elevation=_optional(cv.ELEVATION, f"{field}.elevation_m", value.elevation_m),
        ),
        laneWidth=_optional(cv.LANE_WIDTH, f"{field}.lane_width_m", value.lane_width_m),
        speedLimits=tuple(_encode_speed_limit(f"{field}.speed_limits[{i}]", x) for i, x in enumerate(value.speed_limits)) or None,
        laneSet=tuple(encode_lane(f"{field}.lanes[{i}]", lane) for i, lane in enumerate(value.lanes)),
    )


def _decode_intersection(tree: Tree) -> Intersection:
    reference = tree["refPoint"]
    elevation, width = reference.get("elevation"), tree.get("laneWidth")
    return Intersection(
        id=decode_intersection_id(tree["id"]),
        revision=tree["revision"],
        lat_deg=cv.LATITUDE.decode(reference["lat"]),
        lon_deg=cv.LONGITUDE.decode(reference["long"]),
        lanes=tuple([decode_lane(lane) for lane in tree["laneSet"]]),
        elevation_m=None if elevation is None else cv.ELEVATION.decode(elevation),
        lane_width_m=None if width is None else cv.LANE_WIDTH.decode(width),
        speed_limits=tuple([_decode_speed_limit(limit) for limit in tree.get("speedLimits", ())]),
        name=tree.get("name"),
    )


def _encode_speed_limit(field: str, limit: SpeedLimit) -> Tree:
    if limit.kind is None:
        raise EncodeError(f"{field}.kind", "must be known")
    return {"type": limit.kind, "speed": cv.VELOCITY.encode(f"{field}.speed_mps", limit.speed_mps)}


def _decode_speed_limit(tree: Tree) -> SpeedLimit:
    return SpeedLimit(kind=_SPEED_LIMIT_TYPES.get(tree["type"]), speed_mps=cv.VELOCITY.decode(tree["speed"]))


def _optional(quantity: cv.Quantity, field: str, value: float | None) -> int | None:
    return None if value is None else quantity.encode(field, value)
