"""Who asks a signal controller for priority, and from where to where: what SREM and SSEM share (ISO/TS 19091, SAE J2735).

`PriorityRequestType` and the rest of a request are in `srem.py`, the answers in `ssem.py`.
"""

from enum import IntEnum
from typing import Final

from shared.codec.shape import Choice, Field, Record
from shared.codec.uper import Tree
from shared.core.ids import StationId
from shared.core.value import Value
from shared.messages import conversions as cv

TEMPORARY_ID_OCTETS = 4


class BasicVehicleRole(IntEnum):
    """`BasicVehicleRole`: what a vehicle is doing on the road when it asks."""

    BASIC_VEHICLE = 0
    PUBLIC_TRANSPORT = 1
    SPECIAL_TRANSPORT = 2
    DANGEROUS_GOODS = 3
    ROAD_WORK = 4
    ROAD_RESCUE = 5
    EMERGENCY = 6
    SAFETY_CAR = 7
    NONE_UNKNOWN = 8
    TRUCK = 9
    MOTORCYCLE = 10
    ROAD_SIDE_SOURCE = 11
    POLICE = 12
    FIRE = 13
    AMBULANCE = 14
    DOT = 15
    TRANSIT = 16
    SLOW_MOVING = 17
    STOP_N_GO = 18
    CYCLIST = 19
    PEDESTRIAN = 20
    NON_MOTORIZED = 21
    MILITARY = 22


class HpmsVehicleType(IntEnum):
    """`VehicleType`: classes of the highway performance monitoring system."""

    NONE = 0
    UNKNOWN = 1
    SPECIAL = 2
    MOTO = 3
    CAR = 4
    CAR_OTHER = 5
    BUS = 6
    AXLE_CNT_2 = 7
    AXLE_CNT_3 = 8
    AXLE_CNT_4 = 9
    AXLE_CNT_4_TRAILER = 10
    AXLE_CNT_5_TRAILER = 11
    AXLE_CNT_6_TRAILER = 12
    AXLE_CNT_5_MULTI_TRAILER = 13
    AXLE_CNT_6_MULTI_TRAILER = 14
    AXLE_CNT_7_MULTI_TRAILER = 15


class RequestorType(Value):
    """`RequestorType`: what kind of vehicle asks; numbers of later versions stay as they came.

    Attributes:
        role: a `BasicVehicleRole` where the number has one.
        subrole: `RequestSubRole` 0..15 (0 unknown), its meaning a matter of the region.
        importance: `RequestImportanceLevel` 0..15 (0 unknown, 1 least important, 14 most).
        iso3833_type: `Iso3833VehicleType`, 0..255.
        hpms_type: a `HpmsVehicleType` where the number has one.
        regional: a `RegionalExtension` as a plain tree.
    """

    role: int
    subrole: int | None = None
    importance: int | None = None
    iso3833_type: int | None = None
    hpms_type: int | None = None
    regional: Tree | None = None


class VehicleId(Value):
    """`VehicleID`: exactly one of its fields is set.

    Attributes:
        station_id: the station that asks, as in its other messages.
        entity_id: a `TemporaryID` of four octets instead.
    """

    station_id: StationId | None = None
    entity_id: bytes | None = None


class AccessPoint(Value):
    """`IntersectionAccessPoint`: where a junction is entered or left; exactly one of its fields is set.

    Attributes:
        lane: 0..255, as in the MAPEM.
        approach: 0..15, as in the MAPEM.
        connection: 0..255, as in the MAPEM.
        other: what a later version knows besides, as a plain tree.
    """

    lane: int | None = None
    approach: int | None = None
    connection: int | None = None
    other: Tree | None = None


ROLE: Final = cv.OpenMembers(BasicVehicleRole)
MS_OF_MINUTE: Final = cv.Whole(unavailable=65_535)
"""A `DSecond`, None where unavailable."""

REQUESTOR_TYPE: Final = Record(
    RequestorType,
    {
        "role": Field("role", ROLE),
        "subrole": Field("subrole"),
        "request": Field("importance"),
        "iso3883": Field("iso3833_type"),
        "hpmsType": Field("hpms_type", cv.OpenMembers(HpmsVehicleType)),
        "regional": Field("regional"),
    },
)

VEHICLE_ID: Final = Record(
    VehicleId,
    Choice(
        {"stationID": Field("station_id"), "entityID": Field("entity_id")},
        demand="needs either a station or an entity identifier",
    ),
)

ACCESS_POINT: Final = Record(
    AccessPoint,
    Choice(
        {"lane": Field("lane"), "approach": Field("approach"), "connection": Field("connection")},
        demand="needs exactly one of lane, approach and connection",
        later="other",
    ),
)
