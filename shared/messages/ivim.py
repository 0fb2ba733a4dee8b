"""Infrastructure to vehicle information messages (TS 103 301 V1.3.1 on ISO/TS 19321): the road signs of a stretch of road.

Zones are in `ivim_zones.py`, what is said of them in `ivim_information.py`, its signs in `ivim_signs.py`, lanes and surfaces in
`ivim_road.py`. Characteristics of vehicles and the container for automated vehicles stay plain decoded trees; everything the schema
knows comes back as it was.
"""

from enum import IntEnum
from functools import partial

from shared.codec.asn1 import message_type
from shared.codec.message_codec import MessageCodec
from shared.codec.shape import Choice, Field, Fields, Items, Record
from shared.codec.uper import Tree
from shared.core.ids import ActionId, MessageId, StationId
from shared.core.itstime import TimestampIts
from shared.core.value import Value
from shared.messages import conversions as cv
from shared.messages.ivim_information import (
    LAYOUT,
    SIGNS,
    TEXT,
    DriverCharacteristics,
    IviLayout,
    IviPurpose,
    IviSigns,
    IviText,
    IviTextLine,
    IviType,
    LayoutComponent,
)
from shared.messages.ivim_provider import PROVIDER, Provider
from shared.messages.ivim_road import (
    ROAD_CONFIGURATION,
    ROAD_SURFACE,
    IviDirection,
    LaneStatus,
    RoadConfiguration,
    RoadSurface,
)
from shared.messages.ivim_signs import RoadSign
from shared.messages.ivim_zones import LOCATION, MAP_LOCATION, IviLocation, MapLocation
from shared.messages.pdu import INFRASTRUCTURE_VERSIONS, check_header, header
from shared.messages.positions import ACTION_ID

__all__ = [
    "DriverCharacteristics",
    "IviContainer",
    "IviDirection",
    "IviLayout",
    "IviLocation",
    "IviPurpose",
    "IviSigns",
    "IviStatus",
    "IviText",
    "IviTextLine",
    "IviType",
    "Ivim",
    "LaneStatus",
    "LayoutComponent",
    "MapLocation",
    "Provider",
    "RoadConfiguration",
    "RoadSign",
    "RoadSurface",
    "decode_ivim",
    "encode_ivim",
]

MAX_CONTAINERS = 8
MAX_PARTS = 16


class IviStatus(IntEnum):
    """`IviStatus`; 4..7 are free."""

    NEW = 0
    UPDATE = 1
    CANCELLATION = 2
    NEGATION = 3


class IviContainer(Value):
    """`IviContainer`: exactly one of its fields is set.

    Attributes:
        location: where the zones are.
        signs: usually 1..`MAX_PARTS` sets of signs.
        road_configuration: usually 1..`MAX_PARTS` roads.
        text: usually 1..`MAX_PARTS` sets of lines.
        layout: an arrangement.
        automated_vehicles: `AvcPart`s as plain trees.
        map_location: zones on a map.
        road_surface: usually 1..`MAX_PARTS` surfaces.
        other: what a later version knows besides, as a plain tree.
    """

    location: IviLocation | None = None
    signs: tuple[IviSigns, ...] = ()
    road_configuration: tuple[RoadConfiguration, ...] = ()
    text: tuple[IviText, ...] = ()
    layout: IviLayout | None = None
    automated_vehicles: tuple[Tree, ...] = ()
    map_location: MapLocation | None = None
    road_surface: tuple[RoadSurface, ...] = ()
    other: Tree | None = None


class Ivim(Value):
    """One IVIM.

    Attributes:
        station_id: the roadside unit.
        service_provider: who issues the information.
        ivi_identification_number: 1..32,767 or more, the provider's own.
        status: an `IviStatus` where the number has one.
        timestamp: when this version was made.
        valid_from: from when it holds, None for at once.
        valid_until: until when, None where that is open.
        connected_ivi: numbers of the same provider that belong to it, usually at most 8.
        connected_denms: events that belong to it, usually at most 8.
        containers: usually at most `MAX_CONTAINERS`.
    """

    station_id: StationId
    service_provider: Provider
    ivi_identification_number: int
    status: int
    timestamp: TimestampIts | None = None
    valid_from: TimestampIts | None = None
    valid_until: TimestampIts | None = None
    connected_ivi: tuple[int, ...] = ()
    connected_denms: tuple[ActionId, ...] = ()
    containers: tuple[IviContainer, ...] = ()


def encode_ivim(ivim: Ivim) -> bytes:
    """Encode to UPER; raises `EncodeError` naming the field that does not fit."""
    return CODEC.encode(ivim)


def decode_ivim(encoded: bytes) -> Ivim:
    """Decode a whole IVIM; raises `DecodeError` and nothing else."""
    return CODEC.decode(encoded)


_CONTAINER = Record(
    IviContainer,
    Choice(
        {
            "glc": Field("location", LOCATION),
            "giv": Field("signs", Items(SIGNS), absent=()),
            "rcc": Field("road_configuration", Items(ROAD_CONFIGURATION), absent=()),
            "tc": Field("text", Items(TEXT), absent=()),
            "lac": Field("layout", LAYOUT),
            "avc": Field("automated_vehicles", absent=()),
            "mlc": Field("map_location", MAP_LOCATION),
            "rsc": Field("road_surface", Items(ROAD_SURFACE), absent=()),
        },
        demand="needs exactly one kind of content",
        later="other",
    ),
)

_IVIM = Record(
    Ivim,
    {
        "header": header(MessageId.IVIM, INFRASTRUCTURE_VERSIONS),
        "ivi": Fields(
            {
                "mandatory": Fields(
                    {
                        "serviceProviderId": Field("service_provider", PROVIDER),
                        "iviIdentificationNumber": Field("ivi_identification_number"),
                        "timeStamp": Field("timestamp"),
                        "validFrom": Field("valid_from"),
                        "validTo": Field("valid_until"),
                        "connectedIviStructures": Field("connected_ivi", absent=()),
                        "iviStatus": Field("status", cv.OpenMembers(IviStatus)),
                        "connectedDenms": Field("connected_denms", Items(ACTION_ID), absent=()),
                    }
                ),
                "optional": Field("containers", Items(_CONTAINER), absent=()),
            }
        ),
    },
)

CODEC: MessageCodec[Ivim] = MessageCodec(
    "IVIM",
    partial(message_type, MessageId.IVIM),
    _IVIM,
    partial(check_header, MessageId.IVIM, versions=INFRASTRUCTURE_VERSIONS),
)
"""What `encode_ivim` and `decode_ivim` use."""
