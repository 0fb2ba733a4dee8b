"""Which flag of a ticket's SSP each content of a CAM needs (EN 302 637-2 V1.4.1 clause 6.2.2).

Asked twice: by whoever judges a CAM (`content_permissions.py`), and by a vehicle that leaves out what its ticket does not allow.
Octets 1 and 2 of the SSP count as one number, most significant bit first; octet 0 is the version.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from shared.core.errors import VerificationError
from shared.core.ids import ItsAid
from shared.messages.cam import Cam
from shared.messages.cam_special import (
    ALTERNATIVES,
    DangerousGoods,
    Emergency,
    EmergencyPriority,
    LaterContainer,
    PublicTransport,
    Rescue,
    RoadWorksBasic,
    SafetyCar,
    SpecialTransport,
    SpecialVehicle,
)
from shared.messages.cdd import TrafficRule
from shared.security.permissions import find_permission
from shared.security.sign import TicketCredential

SSP_VERSION: Final = 1
CAM_SSP_OCTETS: Final = 3

PROTECTED_ZONES: Final = 0x80_00
"""`cenDsrcTollingZone` of a vehicle and `protectedCommunicationZonesRSU` of a roadside unit alike."""

CONTAINER_FLAGS: Final[Mapping[type[SpecialVehicle], int]] = MappingProxyType(
    {
        PublicTransport: 0x40_00,
        SpecialTransport: 0x20_00,
        DangerousGoods: 0x10_00,
        RoadWorksBasic: 0x08_00,
        Rescue: 0x04_00,
        Emergency: 0x02_00,
        SafetyCar: 0x01_00,
    }
)
"""The flag each special-vehicle container needs."""

CLOSED_LANES: Final = 0x00_80
RIGHT_OF_WAY: Final = 0x00_40
FREE_CROSSING: Final = 0x00_20
TRAFFIC_RULES: Final[Mapping[int, int]] = MappingProxyType(
    {
        TrafficRule.NO_PASSING: 0x00_10,
        TrafficRule.NO_PASSING_FOR_TRUCKS: 0x00_08,
        TrafficRule.PASS_TO_RIGHT: 0,
        TrafficRule.PASS_TO_LEFT: 0,
    }
)
"""To pass on the right or on the left needs no flag."""

SPEED_LIMIT: Final = 0x00_04

NOBODY: Final = 0x1_00_00
"""A flag no ticket has: what a later version brought, no permission of this one covers."""


class Need(NamedTuple):
    """Something a CAM says, and the flags of octets 1 and 2 that allow it.

    Attributes:
        what: in the standard's words.
        flag: the bit; 0 where none is needed.
    """

    what: str
    flag: int


def granted_flags(ssp: bytes | None) -> int:
    """Return octets 1 and 2 of a CAM's SSP as a number; 0 where the ticket has none, or one of another version or length."""
    fits = ssp is not None and len(ssp) == CAM_SSP_OCTETS and ssp[0] == SSP_VERSION
    return int.from_bytes(ssp[1:], "big") if fits and ssp is not None else 0


def ticket_flags(ticket: TicketCredential | None) -> int:
    """Return what `granted_flags` says of a ticket; 0 where there is none, or one without the CAM service."""
    if ticket is None:
        return 0
    try:
        return granted_flags(find_permission(ticket.certificate.tbs.app_permissions or (), ItsAid.CAM).ssp)
    except VerificationError:
        return 0


def cam_needs(cam: Cam) -> Iterator[Need]:
    """Yield everything a CAM says that needs a flag."""
    if cam.protected_zones or cam.tolling_zone is not None:
        yield Need("protected communication zones", PROTECTED_ZONES)
    if cam.special_vehicle is not None:
        yield from special_vehicle_needs(cam.special_vehicle)


def special_vehicle_needs(special: SpecialVehicle | LaterContainer) -> Iterator[Need]:
    """Yield the container's own need first, then those of what stands in it."""
    if isinstance(special, tuple):
        yield Need("an unknown special-vehicle container", NOBODY)
        return
    yield Need(ALTERNATIVES[type(special)], CONTAINER_FLAGS[type(special)])
    match special:
        case RoadWorksBasic(closed_lanes=lanes) if lanes is not None:
            yield Need("closedLanes", CLOSED_LANES)
        case Emergency(priority=priority) if priority is not None:
            if priority & EmergencyPriority.REQUEST_FOR_RIGHT_OF_WAY:
                yield Need("requestForRightOfWay", RIGHT_OF_WAY)
            if priority & EmergencyPriority.REQUEST_FOR_FREE_CROSSING_AT_A_TRAFFIC_LIGHT:
                yield Need("requestForFreeCrossingAtATrafficLight", FREE_CROSSING)
        case SafetyCar():
            if special.traffic_rule is not None:
                yield _rule_need(special.traffic_rule)
            if special.speed_limit_mps is not None:
                yield Need("speedLimit", SPEED_LIMIT)
        case _:
            pass


def _rule_need(rule: TrafficRule | str) -> Need:
    if isinstance(rule, str):
        return Need(f"the traffic rule {rule} of a later version", NOBODY)
    return Need(f"the traffic rule {TrafficRule(rule).name.lower()}", TRAFFIC_RULES[rule])
