"""Does the ticket allow what the message says? Content against service specific permissions (SSP).

CAM: EN 302 637-2 V1.4.1 clause 6.2.2. DENM: EN 302 637-3 V1.3.1 clause 6.2.2. SPATEM and MAPEM: TS 103 301 V1.3.1.
The first octet of an SSP is its version; the others are flags, most significant bit first. A bit is needed only for content
that is there, so a plain car needs no flag at all. Whether the ticket has the ITS-AID is not asked here: the verifier did that.
"""

from collections.abc import Mapping
from typing import assert_never

from shared.core.errors import VerificationError
from shared.core.report import VerificationReport
from shared.messages.cam import Cam
from shared.messages.cdd import TrafficRule
from shared.messages.denm import Denm
from shared.messages.mapem import Mapem
from shared.messages.spatem import Spatem

Message = Cam | Denm | Spatem | Mapem
"""Every message a station says and understands."""

SSP_VERSION = 1
CAM_SSP_OCTETS = 3
DENM_SSP_OCTETS = 4

CAM_PROTECTED_ZONES = 0x80_00
"""`cenDsrcTollingZone` of a vehicle and `protectedCommunicationZonesRSU` of a roadside unit alike."""

CAM_CONTAINER_FLAGS: dict[str, int] = {
    "publicTransportContainer": 0x40_00,
    "specialTransportContainer": 0x20_00,
    "dangerousGoodsContainer": 0x10_00,
    "roadWorksContainerBasic": 0x08_00,
    "rescueContainer": 0x04_00,
    "emergencyContainer": 0x02_00,
    "safetyCarContainer": 0x01_00,
}
"""Octets 1 and 2 of a CAM's SSP as one number: the flag each special-vehicle container needs."""

CAM_CLOSED_LANES = 0x00_80
CAM_RIGHT_OF_WAY = 0x00_40
CAM_FREE_CROSSING = 0x00_20
CAM_TRAFFIC_RULES: dict[int, int] = {TrafficRule.NO_PASSING: 0x00_10, TrafficRule.NO_PASSING_FOR_TRUCKS: 0x00_08}
"""The rules that need a flag; to pass on the right or on the left needs none."""

CAM_SPEED_LIMIT = 0x00_04

_KNOWN_RULES = frozenset(TrafficRule)

DENM_CAUSES = (1, 2, 3, 6, 9, 10, 11, 12, 14, 15, 17, 18, 19, 26, 27, 91, 92, 93, 94, 95, 96, 97, 98, 99)
"""Causes in the order of the bits of octets 1 to 3 of a DENM's SSP."""


def check_content(message: Message, ssp: bytes | None) -> None:
    """Raise `VerificationError(PERMISSION_DENIED)` unless `ssp` allows everything `message` says.

    Args:
        message: a decoded message.
        ssp: the ticket's SSP for the message's ITS-AID, None where the ticket names none.
    """
    match message:
        case Cam():
            _check_cam(message, ssp)
        case Denm():
            _check_denm(message, ssp)
        case Spatem() | Mapem():
            _check_version(ssp, type(message).__name__)
        case _:
            assert_never(message)


def _check_cam(cam: Cam, ssp: bytes | None) -> None:
    if ssp is None or len(ssp) != CAM_SSP_OCTETS or ssp[0] != SSP_VERSION:
        raise _unfit(ssp, "CAM", CAM_SSP_OCTETS)
    if cam.special_vehicle is None and not cam.protected_zones and cam.tolling_zone is None:
        return
    granted = int.from_bytes(ssp[1:], "big")
    for what, flag in _cam_needs(cam):
        if not granted & flag:
            raise _denied(f"the ticket does not allow a CAM with {what}")


def _cam_needs(cam: Cam) -> list[tuple[str, int]]:
    needs: list[tuple[str, int]] = []
    if cam.protected_zones or cam.tolling_zone is not None:
        needs.append(("protected communication zones", CAM_PROTECTED_ZONES))
    match cam.special_vehicle:
        case None:
            return needs
        case (str(name), Mapping() as container) if name in CAM_CONTAINER_FLAGS:
            needs.append((name, CAM_CONTAINER_FLAGS[name]))
        case _:
            raise _denied("no ticket allows a CAM with an unknown special-vehicle container")
    if "closedLanes" in container:
        needs.append(("closedLanes", CAM_CLOSED_LANES))
    priority = container.get("emergencyPriority")
    if priority is not None:
        needs += _priority_flags(priority)
    rule = container.get("trafficRule")
    if rule is not None:
        needs += _rule_flags(rule)
    if "speedLimit" in container:
        needs.append(("speedLimit", CAM_SPEED_LIMIT))
    return needs


def _priority_flags(priority: object) -> list[tuple[str, int]]:
    """`EmergencyPriority` is BIT STRING {requestForRightOfWay(0), requestForFreeCrossingAtATrafficLight(1)} (SIZE(2))."""
    match priority:
        case (int(bits), 2):
            flags = [("requestForRightOfWay", CAM_RIGHT_OF_WAY)] if bits & 2 else []
            return flags + ([("requestForFreeCrossingAtATrafficLight", CAM_FREE_CROSSING)] if bits & 1 else [])
        case _:
            raise _denied("no ticket allows an emergency priority of unknown form")


def _rule_flags(rule: object) -> list[tuple[str, int]]:
    """`TrafficRule` is ENUMERATED, so a number in the tree; a rule of a later version is text there."""
    match rule:
        case int(number) if number in _KNOWN_RULES:
            flag = CAM_TRAFFIC_RULES.get(number)
            return [] if flag is None else [(f"the traffic rule {TrafficRule(number).name.lower()}", flag)]
        case _:
            raise _denied(f"no version {SSP_VERSION} permission covers a CAM with the traffic rule {rule!r}")


def _check_denm(denm: Denm, ssp: bytes | None) -> None:
    if ssp is None or len(ssp) != DENM_SSP_OCTETS or ssp[0] != SSP_VERSION:
        raise _unfit(ssp, "DENM", DENM_SSP_OCTETS)
    granted = int.from_bytes(ssp[1:], "big")
    cause = denm.cause_code
    if cause is None:
        return
    if cause not in DENM_CAUSES:
        raise _denied(f"no version {SSP_VERSION} permission covers a DENM of cause {cause}")
    if not granted & 1 << 23 - DENM_CAUSES.index(cause):
        raise _denied(f"the ticket does not allow a DENM of cause {cause}")


def _check_version(ssp: bytes | None, message: str) -> None:
    if not ssp or ssp[0] != SSP_VERSION:
        raise _unfit(ssp, message)


def _unfit(ssp: bytes | None, message: str, octets: int | None = None) -> VerificationError:
    """Return what is wrong with permissions that are none, of another version, or not `octets` long."""
    if not ssp:
        return _denied(f"the ticket names no permissions for {message}")
    if ssp[0] != SSP_VERSION:
        return _denied(f"the ticket's permissions for {message} are of version {ssp[0]}; this station knows {SSP_VERSION}")
    return _denied(f"the ticket's permissions for {message} have {len(ssp)} octets instead of {octets}")


def _denied(detail: str) -> VerificationError:
    return VerificationError(VerificationReport.PERMISSION_DENIED, detail)
