"""Does the ticket allow what the message says? Content against service specific permissions (SSP).

CAM: EN 302 637-2 V1.4.1 clause 6.2.2. DENM: EN 302 637-3 V1.3.1 clause 6.2.2. The infrastructure's messages: TS 103 301 V1.3.1.
The first octet of an SSP is its version; the others are flags, most significant bit first. A bit is needed only for content
that is there, so a plain car needs no flag at all. Whether the ticket has the ITS-AID is not asked here: the verifier did that.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import assert_never

from shared.core.errors import VerificationError
from shared.core.report import VerificationReport
from shared.messages.cam import Cam
from shared.messages.denm import Denm
from shared.messages.ivim import Ivim
from shared.messages.mapem import Mapem
from shared.messages.spatem import Spatem
from shared.messages.srem import Srem
from shared.messages.ssem import Ssem
from shared.stack.cam_permissions import CAM_SSP_OCTETS, SSP_VERSION, cam_needs, granted_flags

Message = Cam | Denm | Spatem | Mapem | Ivim | Srem | Ssem
"""Every message a station says and understands."""

DENM_SSP_OCTETS: Mapping[int, int] = MappingProxyType({1: 4, 2: 5})
"""Size of a DENM's SSP by its version; the second has an octet more and is the first otherwise."""

IVIM_SSP_OCTETS = 6
SREM_SSP_OCTETS = 4
SSEM_SSP_OCTETS = 1

SREM_SSP_VERSIONS = frozenset({1, 2})
"""European tickets for signal requests are of version 2, those of the ETSI test chain of version 1; both are as long."""

DENM_CAUSES = (1, 2, 3, 6, 9, 10, 11, 12, 14, 15, 17, 18, 19, 26, 27, 91, 92, 93, 94, 95, 96, 97, 98, 99)
"""Causes in the order of the bits of octets 1 to 3 of a DENM's SSP."""

LATER_DENM_CAUSES: Mapping[int, int] = MappingProxyType({5: 0x80, 7: 0x40})
"""Causes that came with version 2, and the bit of octet 4 of each: impassable road, aquaplaning."""


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
        case Ivim():
            _check_form(ssp, "IVIM", IVIM_SSP_OCTETS)
        case Srem():
            _check_form(ssp, "SREM", SREM_SSP_OCTETS, SREM_SSP_VERSIONS)
        case Ssem():
            _check_form(ssp, "SSEM", SSEM_SSP_OCTETS)
        case _:
            assert_never(message)


def _check_cam(cam: Cam, ssp: bytes | None) -> None:
    if ssp is None or len(ssp) != CAM_SSP_OCTETS or ssp[0] != SSP_VERSION:
        raise _unfit(ssp, "CAM", CAM_SSP_OCTETS)
    if cam.special_vehicle is None and not cam.protected_zones and cam.tolling_zone is None:
        return
    granted = granted_flags(ssp)
    for what, flag in cam_needs(cam):
        if flag & ~granted:
            raise _denied(f"the ticket does not allow a CAM with {what}")


def _check_denm(denm: Denm, ssp: bytes | None) -> None:
    if not ssp or len(ssp) != DENM_SSP_OCTETS.get(ssp[0]):
        versions = frozenset(DENM_SSP_OCTETS)
        raise _unfit(ssp, "DENM", DENM_SSP_OCTETS.get(ssp[0]) if ssp else None, versions)
    cause = denm.cause_code
    if cause is None:
        return
    if cause in DENM_CAUSES:
        is_granted = int.from_bytes(ssp[1:4], "big") & 1 << 23 - DENM_CAUSES.index(cause)
    elif ssp[0] > SSP_VERSION and cause in LATER_DENM_CAUSES:
        is_granted = ssp[4] & LATER_DENM_CAUSES[cause]
    else:
        raise _denied(f"no version {ssp[0]} permission covers a DENM of cause {cause}")
    if not is_granted:
        raise _denied(f"the ticket does not allow a DENM of cause {cause}")


def _check_version(ssp: bytes | None, message: str) -> None:
    if not ssp or ssp[0] != SSP_VERSION:
        raise _unfit(ssp, message)


def _check_form(ssp: bytes | None, message: str, octets: int, versions: frozenset[int] = frozenset({SSP_VERSION})) -> None:
    """Check version and size.

    What each flag behind the version stands for could not be read in two public sources, so the flags restrict nothing here.
    """
    if ssp is None or len(ssp) != octets or ssp[0] not in versions:
        raise _unfit(ssp, message, octets, versions)


def _unfit(
    ssp: bytes | None, message: str, octets: int | None = None, versions: frozenset[int] = frozenset({SSP_VERSION})
) -> VerificationError:
    """Return what is wrong with permissions that are none, of another version, or not `octets` long."""
    if not ssp:
        return _denied(f"the ticket names no permissions for {message}")
    if ssp[0] not in versions:
        known = " and ".join(map(str, sorted(versions)))
        return _denied(f"the ticket's permissions for {message} are of version {ssp[0]}; this station knows {known}")
    return _denied(f"the ticket's permissions for {message} have {len(ssp)} octets instead of {octets}")


def _denied(detail: str) -> VerificationError:
    return VerificationError(VerificationReport.PERMISSION_DENIED, detail)
