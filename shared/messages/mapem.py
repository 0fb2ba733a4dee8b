"""Map messages (TS 103 301 V1.3.1 on ISO/TS 19091): a junction's lanes, where they run and what connects to what.

Typed here: intersections; their lanes in `mapem_lanes.py`. Road segments, restriction classes, preemption zones and regional
extensions are not; `tree.decode_tree` shows them.
"""

from enum import IntEnum
from functools import partial

from shared.codec.asn1 import message_type
from shared.codec.message_codec import MessageCodec
from shared.codec.shape import Field, Fields, Items, Record
from shared.core.ids import IntersectionId, MessageId, StationId
from shared.core.value import Value
from shared.messages import conversions as cv
from shared.messages.mapem_lanes import (
    LANE,
    AllowedManeuvers,
    ComputedLane,
    Connection,
    Lane,
    LaneDirection,
    LaneNode,
    LaneSharing,
    LaneType,
    NodeAttribute,
)
from shared.messages.pdu import INFRASTRUCTURE_VERSIONS, INTERSECTION_ID, MINUTE_OF_YEAR, check_header, header

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


class SpeedLimit(Value):
    """`RegulatorySpeedLimit`.

    Attributes:
        kind: whom and when it binds; None for a kind of a later version.
        speed_mps: 0..163.8 in steps of 0.02.
    """

    kind: SpeedLimitType | None
    speed_mps: float | None


class Intersection(Value):
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


class Mapem(Value):
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
    return CODEC.encode(mapem)


def decode_mapem(encoded: bytes) -> Mapem:
    """Decode a whole MAPEM; raises `DecodeError` and nothing else."""
    return CODEC.decode(encoded)


_SPEED_LIMIT = Record(
    SpeedLimit,
    {"type": Field("kind", cv.Members(SpeedLimitType)), "speed": Field("speed_mps", cv.VELOCITY)},
)

_INTERSECTION = Record(
    Intersection,
    {
        "name": Field("name"),
        "id": Field("id", INTERSECTION_ID),
        "revision": Field("revision"),
        "refPoint": Fields(
            {
                "lat": Field("lat_deg", cv.LATITUDE),
                "long": Field("lon_deg", cv.LONGITUDE),
                "elevation": Field("elevation_m", cv.ELEVATION),
            }
        ),
        "laneWidth": Field("lane_width_m", cv.LANE_WIDTH),
        "speedLimits": Field("speed_limits", Items(_SPEED_LIMIT), absent=()),
        "laneSet": Field("lanes", Items(LANE)),
    },
)

_MAPEM = Record(
    Mapem,
    {
        "header": header(MessageId.MAPEM, INFRASTRUCTURE_VERSIONS),
        "map": Fields(
            {
                "timeStamp": Field("minute_of_year", MINUTE_OF_YEAR),
                "msgIssueRevision": Field("revision"),
                "layerType": Field("layer_type", cv.Members(LayerType)),
                "layerID": Field("layer_id"),
                "intersections": Field("intersections", Items(_INTERSECTION), absent=()),
            }
        ),
    },
)

CODEC: MessageCodec[Mapem] = MessageCodec(
    "MAPEM",
    partial(message_type, MessageId.MAPEM),
    _MAPEM,
    partial(check_header, MessageId.MAPEM, versions=INFRASTRUCTURE_VERSIONS),
)
"""What `encode_mapem` and `decode_mapem` use."""
