"""Signal status extended messages (TS 103 301 V1.3.1 on ISO/TS 19091): what a junction answers those who asked it for priority.

The requests are in `srem.py`, what both messages share in `requestor.py`. Regional extensions are plain trees.
"""

from enum import IntEnum
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
    ROLE,
    VEHICLE_ID,
    AccessPoint,
    RequestorType,
    VehicleId,
)

__all__ = [
    "AccessPoint",
    "PrioritizationStatus",
    "RequestStatus",
    "Requester",
    "RequestorType",
    "SignalStatus",
    "Ssem",
    "VehicleId",
    "decode_ssem",
    "encode_ssem",
]

MAX_STATUSES = 32
MAX_REQUEST_STATUSES = 32


class PrioritizationStatus(IntEnum):
    """`PrioritizationResponseStatus`: what became of a request."""

    UNKNOWN = 0
    REQUESTED = 1
    """The controller has not looked at it yet."""
    PROCESSING = 2
    WATCH_OTHER_TRAFFIC = 3
    """Not served for now: another request comes first."""
    GRANTED = 4
    REJECTED = 5
    MAX_PRESENCE = 6
    """Served for as long as anybody may be, and no longer."""
    RESERVICE_LOCKED = 7
    """Served too short a time ago to be served again."""


class Requester(Value):
    """`SignalRequesterInfo`: whose request is answered, and which.

    Attributes:
        id: the station that asked.
        request_id: 0..255, as in the SREM.
        sequence_number: 0..127, as in the SREM.
        role: a `BasicVehicleRole` where the number has one.
        type: what kind of vehicle it is.
    """

    id: VehicleId
    request_id: int
    sequence_number: int
    role: int | None = None
    type: RequestorType | None = None


class RequestStatus(Value):
    """`SignalStatusPackage`: the answer to one request.

    Attributes:
        status: a `PrioritizationStatus` where the number has one.
        inbound: where the junction is entered.
        outbound: where it is left, None where not stated.
        requester: whose request it is; None where the priority is not due to a vehicle's request.
        arrival_minute_of_year: with `arrival_ms`, when the vehicle is expected at the stop line, UTC.
        arrival_ms: milliseconds within that minute, 0..60,999.
        duration_ms: how much longer than the moment of arrival the service lasts.
        regional: regional extensions, at most 4, as plain trees.
    """

    status: int
    inbound: AccessPoint
    outbound: AccessPoint | None = None
    requester: Requester | None = None
    arrival_minute_of_year: int | None = None
    arrival_ms: int | None = None
    duration_ms: int | None = None
    regional: tuple[Tree, ...] = ()


class SignalStatus(Value):
    """`SignalStatus`: the answers of one junction.

    Attributes:
        id: region and number of the junction, as in the MAPEM.
        sequence_number: 0..127; changes with the content.
        requests: 1..`MAX_REQUEST_STATUSES`.
        regional: regional extensions, at most 4, as plain trees.
    """

    id: IntersectionId
    sequence_number: int
    requests: tuple[RequestStatus, ...]
    regional: tuple[Tree, ...] = ()


class Ssem(Value):
    """One SSEM.

    Attributes:
        station_id: the roadside unit.
        statuses: 1..`MAX_STATUSES`, one per junction.
        timestamp_ms: milliseconds within the minute, 0..60,999 (a leap second counts), None where unavailable.
        minute_of_year: minutes since the year began, UTC, 0..527,039.
        sequence_number: 0..127; changes with the content.
        regional: regional extensions of the message, at most 4, as plain trees.
    """

    station_id: StationId
    statuses: tuple[SignalStatus, ...]
    timestamp_ms: int | None = None
    minute_of_year: int | None = None
    sequence_number: int | None = None
    regional: tuple[Tree, ...] = ()


def encode_ssem(ssem: Ssem) -> bytes:
    """Encode to UPER; raises `EncodeError` naming the field that does not fit."""
    return CODEC.encode(ssem)


def decode_ssem(encoded: bytes) -> Ssem:
    """Decode a whole SSEM; raises `DecodeError` and nothing else."""
    return CODEC.decode(encoded)


_REGIONAL = Field("regional", absent=())

_REQUESTER = Record(
    Requester,
    {
        "id": Field("id", VEHICLE_ID),
        "request": Field("request_id"),
        "sequenceNumber": Field("sequence_number"),
        "role": Field("role", ROLE),
        "typeData": Field("type", REQUESTOR_TYPE),
    },
)

_REQUEST_STATUS = Record(
    RequestStatus,
    {
        "requester": Field("requester", _REQUESTER),
        "inboundOn": Field("inbound", ACCESS_POINT),
        "outboundOn": Field("outbound", ACCESS_POINT),
        "minute": Field("arrival_minute_of_year", MINUTE_OF_YEAR),
        "second": Field("arrival_ms", MS_OF_MINUTE),
        "duration": Field("duration_ms", MS_OF_MINUTE),
        "status": Field("status", cv.OpenMembers(PrioritizationStatus)),
        "regional": _REGIONAL,
    },
)

_SIGNAL_STATUS = Record(
    SignalStatus,
    {
        "sequenceNumber": Field("sequence_number"),
        "id": Field("id", INTERSECTION_ID),
        "sigStatus": Field("requests", Items(_REQUEST_STATUS)),
        "regional": _REGIONAL,
    },
)

_SSEM = Record(
    Ssem,
    {
        "header": header(MessageId.SSEM, INFRASTRUCTURE_VERSIONS),
        "ssm": Fields(
            {
                "timeStamp": Field("minute_of_year", MINUTE_OF_YEAR),
                "second": Field("timestamp_ms", MS_OF_MINUTE),
                "sequenceNumber": Field("sequence_number"),
                "status": Field("statuses", Items(_SIGNAL_STATUS)),
                "regional": _REGIONAL,
            }
        ),
    },
)

CODEC: MessageCodec[Ssem] = MessageCodec(
    "SSEM",
    partial(message_type, MessageId.SSEM),
    _SSEM,
    partial(check_header, MessageId.SSEM, versions=INFRASTRUCTURE_VERSIONS),
)
"""What `encode_ssem` and `decode_ssem` use."""
