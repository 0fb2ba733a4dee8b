"""The special-vehicle container of a CAM (EN 302 637-2 V1.4.1 annex B): what a vehicle on a mission says besides the rest.

One value per alternative. An alternative of a later version stays the pair `(name, octets)` that the complete codec path makes of
it, and a traffic rule of a later version its name, so that nobody takes a CAM for one that says less than it does.
"""

from collections.abc import Mapping
from enum import IntEnum, IntFlag
from types import MappingProxyType
from typing import Final, TypeAlias

from shared.codec.shape import Field, Fields, Part, Record
from shared.codec.uper import Tree
from shared.core.value import Value
from shared.messages import conversions as cv
from shared.messages.cdd import ClosedLanes, LightBarSirenInUse, TrafficRule
from shared.messages.positions import CLOSED_LANES, cause


class PtActivationType(IntEnum):
    """`PTActivationType`: how `activation_data` is coded; an open registry."""

    UNDEFINED_CODING_TYPE = 0
    R09_16_CODING_TYPE = 1
    VDV_50149_CODING_TYPE = 2


class SpecialTransportType(IntFlag):
    """`SpecialTransportType`: what is out of the ordinary."""

    HEAVY_LOAD = 0x8
    EXCESS_WIDTH = 0x4
    EXCESS_LENGTH = 0x2
    EXCESS_HEIGHT = 0x1


class DangerousGoodsBasic(IntEnum):
    """`DangerousGoodsBasic`: the class of what is carried."""

    EXPLOSIVES_1 = 0
    EXPLOSIVES_2 = 1
    EXPLOSIVES_3 = 2
    EXPLOSIVES_4 = 3
    EXPLOSIVES_5 = 4
    EXPLOSIVES_6 = 5
    FLAMMABLE_GASES = 6
    NON_FLAMMABLE_GASES = 7
    TOXIC_GASES = 8
    FLAMMABLE_LIQUIDS = 9
    FLAMMABLE_SOLIDS = 10
    SUBSTANCES_LIABLE_TO_SPONTANEOUS_COMBUSTION = 11
    SUBSTANCES_EMITTING_FLAMMABLE_GASES_UPON_CONTACT_WITH_WATER = 12
    OXIDIZING_SUBSTANCES = 13
    ORGANIC_PEROXIDES = 14
    TOXIC_SUBSTANCES = 15
    INFECTIOUS_SUBSTANCES = 16
    RADIOACTIVE_MATERIAL = 17
    CORROSIVE_SUBSTANCES = 18
    MISCELLANEOUS_DANGEROUS_SUBSTANCES = 19


class EmergencyPriority(IntFlag):
    """`EmergencyPriority`: what others are asked for."""

    REQUEST_FOR_RIGHT_OF_WAY = 0x2
    REQUEST_FOR_FREE_CROSSING_AT_A_TRAFFIC_LIGHT = 0x1


class PublicTransport(Value):
    """`PublicTransportContainer`.

    Attributes:
        embarkation_status: whether passengers get on or off just now.
        activation_type: with `activation_data`, what makes signals give way to it; a `PtActivationType` where the number has one.
        activation_data: 1..20 octets coded as the type says.
    """

    embarkation_status: bool
    activation_type: int | None = None
    activation_data: bytes | None = None


class SpecialTransport(Value):
    """`SpecialTransportContainer`.

    Attributes:
        transport_type: what is out of the ordinary.
        light_bar_siren: in use.
    """

    transport_type: SpecialTransportType
    light_bar_siren: LightBarSirenInUse = LightBarSirenInUse(0)


class DangerousGoods(Value):
    """`DangerousGoodsContainer`: the class of what is carried."""

    dangerous_goods: DangerousGoodsBasic


class RoadWorksBasic(Value):
    """`RoadWorksContainerBasic`.

    Attributes:
        light_bar_siren: in use.
        sub_cause_code: of the roadworks, 0..255; None where not stated.
        closed_lanes: which parts of the road are closed; None where not stated.
    """

    light_bar_siren: LightBarSirenInUse = LightBarSirenInUse(0)
    sub_cause_code: int | None = None
    closed_lanes: ClosedLanes | None = None


class Rescue(Value):
    """`RescueContainer`: light bar and siren in use."""

    light_bar_siren: LightBarSirenInUse = LightBarSirenInUse(0)


class Emergency(Value):
    """`EmergencyContainer`.

    Attributes:
        light_bar_siren: in use.
        incident_cause_code: with `incident_sub_cause_code`, where the vehicle is needed; a `CauseCode` where the number has one.
        incident_sub_cause_code: 0..255.
        priority: what others are asked for; None where not stated.
    """

    light_bar_siren: LightBarSirenInUse = LightBarSirenInUse(0)
    incident_cause_code: int | None = None
    incident_sub_cause_code: int | None = None
    priority: EmergencyPriority | None = None


class SafetyCar(Value):
    """`SafetyCarContainer`.

    Attributes:
        light_bar_siren: in use.
        incident_cause_code: with `incident_sub_cause_code`, what it secures; a `CauseCode` where the number has one.
        incident_sub_cause_code: 0..255.
        traffic_rule: for those behind; the name `_ext_N` of a rule of a later version; None where not stated.
        speed_limit_mps: for those behind, 1..255 km/h on the wire.
    """

    light_bar_siren: LightBarSirenInUse = LightBarSirenInUse(0)
    incident_cause_code: int | None = None
    incident_sub_cause_code: int | None = None
    traffic_rule: TrafficRule | str | None = None
    speed_limit_mps: float | None = None


SpecialVehicle: TypeAlias = PublicTransport | SpecialTransport | DangerousGoods | RoadWorksBasic | Rescue | Emergency | SafetyCar
"""Any special-vehicle container of the version spoken here."""

LaterContainer: TypeAlias = tuple[str, bytes]
"""A container of a later version: `_ext_N` and its octets."""

ALTERNATIVES: Final[Mapping[type[SpecialVehicle], str]] = MappingProxyType(
    {
        PublicTransport: "publicTransportContainer",
        SpecialTransport: "specialTransportContainer",
        DangerousGoods: "dangerousGoodsContainer",
        RoadWorksBasic: "roadWorksContainerBasic",
        Rescue: "rescueContainer",
        Emergency: "emergencyContainer",
        SafetyCar: "safetyCarContainer",
    }
)
"""What the schema calls each container."""


_RULES = cv.Members(TrafficRule)


def _decode_rule(wire: Tree) -> TrafficRule | str:
    return wire if isinstance(wire, str) else TrafficRule(wire)


def _encode_rule(field: str, rule: TrafficRule | str) -> Tree:
    return rule if isinstance(rule, str) else _RULES.encode(field, rule)


_LIGHT_BAR_SIREN = Field("light_bar_siren", cv.Flags(LightBarSirenInUse, 2))
_INCIDENT = cause("incident_cause_code", Field("incident_sub_cause_code", cv.Whole(assumed=0)))

_PARTS: Final[Mapping[type[SpecialVehicle], Mapping[str, Part]]] = {
    PublicTransport: {
        "embarkationStatus": Field("embarkation_status"),
        "ptActivation": Fields(
            {
                "ptActivationType": Field("activation_type", cv.OpenMembers(PtActivationType)),
                "ptActivationData": Field("activation_data"),
            },
            key="activation_type",
        ),
    },
    SpecialTransport: {
        "specialTransportType": Field("transport_type", cv.Flags(SpecialTransportType, 4)),
        "lightBarSirenInUse": _LIGHT_BAR_SIREN,
    },
    DangerousGoods: {"dangerousGoodsBasic": Field("dangerous_goods", cv.Members(DangerousGoodsBasic))},
    RoadWorksBasic: {
        "roadworksSubCauseCode": Field("sub_cause_code"),
        "lightBarSirenInUse": _LIGHT_BAR_SIREN,
        "closedLanes": Field("closed_lanes", CLOSED_LANES),
    },
    Rescue: {"lightBarSirenInUse": _LIGHT_BAR_SIREN},
    Emergency: {
        "lightBarSirenInUse": _LIGHT_BAR_SIREN,
        "incidentIndication": _INCIDENT,
        "emergencyPriority": Field("priority", cv.Flags(EmergencyPriority, 2)),
    },
    SafetyCar: {
        "lightBarSirenInUse": _LIGHT_BAR_SIREN,
        "incidentIndication": _INCIDENT,
        "trafficRule": Field("traffic_rule", cv.Converted(_decode_rule, _encode_rule)),
        "speedLimit": Field("speed_limit_mps", cv.SPEED_LIMIT),
    },
}

CONTAINERS: Final[Mapping[str, Part]] = {
    ALTERNATIVES[cls]: Field("special_vehicle", Record(cls, parts)) for cls, parts in _PARTS.items()
}
"""Shapes of the alternatives, each of which becomes the field `special_vehicle`."""
