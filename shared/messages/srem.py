"""Signal request extended messages (TS 103 301 V1.3.1 on ISO/TS 19091): a vehicle asks a junction for priority or pre-emption.

Who asks and the places it asks for are in `requestor.py`, the answers in `ssem.py`. Regional extensions are plain trees.
"""

from enum import IntEnum, IntFlag
from functools import partial

from shared.codec.asn1 import message_type
from shared.codec.message_codec import MessageCodec
from shared.codec.shape import Field, Fields, Items, Record
from shared.codec.uper import Tree
from shared.core.ids import IntersectionId, MessageId, StationId
from shared.core.value import Value
from shared.messages import conversions as cv
from shared.messages.pdu import INFRASTRUCTURE_VERSIONS, INTERSECTION_ID, MINUTE_OF_YEAR, check_header, header
from shared.messages.requestor import (
    ACCESS_POINT,
    MS_OF_MINUTE,
    REQUESTOR_TYPE,
    VEHICLE_ID,
    AccessPoint,
    BasicVehicleRole,
    HpmsVehicleType,
    RequestorType,
    VehicleId,
)

__all__ = [
    "AccessPoint",
    "BasicVehicleRole",
    "HpmsVehicleType",
    "PriorityRequestType",
    "Requestor",
    "RequestorPosition",
    "RequestorType",
    "SignalRequest",
    "Srem",
    "TransitOccupancy",
    "TransitStatus",
    "TransmissionState",
    "VehicleId",
    "decode_srem",
    "encode_srem",
]

MAX_REQUESTS = 32


class PriorityRequestType(IntEnum):
    """`PriorityRequestType`."""

    RESERVED = 0
    PRIORITY_REQUEST = 1
    PRIORITY_REQUEST_UPDATE = 2
    PRIORITY_CANCELLATION = 3


class TransmissionState(IntEnum):
    """`TransmissionState`: the gear; "unavailable" is `None`."""

    NEUTRAL = 0
    PARK = 1
    FORWARD_GEARS = 2
    REVERSE_GEARS = 3
    RESERVED_1 = 4
    RESERVED_2 = 5
    RESERVED_3 = 6


class TransitStatus(IntFlag):
    """`TransitVehicleStatus`: what goes on at a vehicle of public transport."""

    LOADING = 0x80
    AN_ADA_USE = 0x40
    A_BIKE_LOAD = 0x20
    DOOR_OPEN = 0x10
    CHARGING = 0x08
    AT_STOP_LINE = 0x04
    RESERVED_6 = 0x02
    RESERVED_7 = 0x01


class TransitOccupancy(IntEnum):
    """`TransitVehicleOccupancy`: how full a vehicle of public transport is."""

    UNKNOWN = 0
    EMPTY = 1
    VERY_LOW = 2
    LOW = 3
    MEDIUM = 4
    HIGH = 5
    NEARLY_FULL = 6
    FULL = 7


class SignalRequest(Value):
    """`SignalRequestPackage`: one wish for one junction.

    Attributes:
        id: region and number of the junction, as in the MAPEM.
        request_id: 0..255, the vehicle's own running number; the answer repeats it.
        request_type: a `PriorityRequestType` where the number has one.
        inbound: where the junction is entered.
        outbound: where it is left, None where not stated.
        arrival_minute_of_year: with `arrival_ms`, when the vehicle expects to be at the stop line, UTC.
        arrival_ms: milliseconds within that minute, 0..60,999.
        duration_ms: how much longer than the moment of arrival the service is wanted.
        request_regional: regional extensions of the request itself, at most 4, as plain trees.
        regional: regional extensions of the package, likewise.
    """

    id: IntersectionId
    request_id: int
    request_type: int
    inbound: AccessPoint
    outbound: AccessPoint | None = None
    arrival_minute_of_year: int | None = None
    arrival_ms: int | None = None
    duration_ms: int | None = None
    request_regional: tuple[Tree, ...] = ()
    regional: tuple[Tree, ...] = ()


class RequestorPosition(Value):
    """`RequestorPositionVector`: where the vehicle that asks is and how it moves.

    Attributes:
        lat_deg: in [-90, 90], or None.
        lon_deg: in [-180, 180], or None.
        elevation_m: -409.5..6143.9.
        heading_deg: [0, 360) in steps of 0.0125, clockwise from north.
        transmission: the gear.
        speed_mps: 0..163.8 in steps of 0.02.
        regional: regional extensions of the position, at most 4, as plain trees.
    """

    lat_deg: float | None
    lon_deg: float | None
    elevation_m: float | None = None
    heading_deg: float | None = None
    transmission: TransmissionState | None = None
    speed_mps: float | None = None
    regional: tuple[Tree, ...] = ()


class Requestor(Value):
    """`RequestorDescription`: who asks.

    Attributes:
        id: the station that asks.
        type: what kind of vehicle it is.
        position: where it is.
        name: 1..63 characters of ASCII.
        route_name: 1..63 characters of ASCII, such as the line and its direction.
        transit_status: of a vehicle of public transport.
        transit_occupancy: how full it is.
        transit_schedule_s: how far ahead of its timetable it is (negative: behind it), -1210..1210 in steps of 10.
        regional: regional extensions, at most 4, as plain trees.
    """

    id: VehicleId
    type: RequestorType | None = None
    position: RequestorPosition | None = None
    name: str | None = None
    route_name: str | None = None
    transit_status: TransitStatus | None = None
    transit_occupancy: TransitOccupancy | None = None
    transit_schedule_s: float | None = None
    regional: tuple[Tree, ...] = ()


class Srem(Value):
    """One SREM.

    Attributes:
        station_id: the vehicle.
        requestor: who asks.
        timestamp_ms: milliseconds within the minute, 0..60,999 (a leap second counts), None where unavailable.
        minute_of_year: minutes since the year began, UTC, 0..527,039.
        sequence_number: 0..127; changes with the content.
        requests: at most `MAX_REQUESTS`.
        regional: regional extensions of the message, at most 4, as plain trees.
    """

    station_id: StationId
    requestor: Requestor
    timestamp_ms: int | None = None
    minute_of_year: int | None = None
    sequence_number: int | None = None
    requests: tuple[SignalRequest, ...] = ()
    regional: tuple[Tree, ...] = ()


def encode_srem(srem: Srem) -> bytes:
    """Encode to UPER; raises `EncodeError` naming the field that does not fit."""
    return CODEC.encode(srem)


def decode_srem(encoded: bytes) -> Srem:
    """Decode a whole SREM; raises `DecodeError` and nothing else."""
    return CODEC.decode(encoded)


_REGIONAL = Field("regional", absent=())

_REQUEST = Record(
    SignalRequest,
    {
        "request": Fields(
            {
                "id": Field("id", INTERSECTION_ID),
                "requestID": Field("request_id"),
                "requestType": Field("request_type", cv.OpenMembers(PriorityRequestType)),
                "inBoundLane": Field("inbound", ACCESS_POINT),
                "outBoundLane": Field("outbound", ACCESS_POINT),
                "regional": Field("request_regional", absent=()),
            }
        ),
        "minute": Field("arrival_minute_of_year", MINUTE_OF_YEAR),
        "second": Field("arrival_ms", MS_OF_MINUTE),
        "duration": Field("duration_ms", MS_OF_MINUTE),
        "regional": _REGIONAL,
    },
)

_POSITION = Record(
    RequestorPosition,
    {
        "position": Fields(
            {
                "lat": Field("lat_deg", cv.LATITUDE),
                "long": Field("lon_deg", cv.LONGITUDE),
                "elevation": Field("elevation_m", cv.ELEVATION),
                "regional": _REGIONAL,
            }
        ),
        "heading": Field("heading_deg", cv.ANGLE),
        "speed": Fields(
            {
                "transmisson": Field("transmission", cv.Members(TransmissionState, unavailable=7)),
                "speed": Field("speed_mps", cv.VELOCITY),
            }
        ),
    },
)

_REQUESTOR = Record(
    Requestor,
    {
        "id": Field("id", VEHICLE_ID),
        "type": Field("type", REQUESTOR_TYPE),
        "position": Field("position", _POSITION),
        "name": Field("name"),
        "routeName": Field("route_name"),
        "transitStatus": Field("transit_status", cv.Flags(TransitStatus, 8)),
        "transitOccupancy": Field("transit_occupancy", cv.Members(TransitOccupancy)),
        "transitSchedule": Field("transit_schedule_s", cv.SCHEDULE_DELTA),
        "regional": _REGIONAL,
    },
)

_SREM = Record(
    Srem,
    {
        "header": header(MessageId.SREM, INFRASTRUCTURE_VERSIONS),
        "srm": Fields(
            {
                "timeStamp": Field("minute_of_year", MINUTE_OF_YEAR),
                "second": Field("timestamp_ms", MS_OF_MINUTE),
                "sequenceNumber": Field("sequence_number"),
                "requests": Field("requests", Items(_REQUEST), absent=()),
                "requestor": Field("requestor", _REQUESTOR),
                "regional": _REGIONAL,
            }
        ),
    },
)

CODEC: MessageCodec[Srem] = MessageCodec(
    "SREM",
    partial(message_type, MessageId.SREM),
    _SREM,
    partial(check_header, MessageId.SREM, versions=INFRASTRUCTURE_VERSIONS),
)
"""What `encode_srem` and `decode_srem` use."""
