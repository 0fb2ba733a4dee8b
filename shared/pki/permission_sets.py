"""The permissions our certificates carry: what each authority may issue, and what a vehicle's and a roadside unit's ticket allows.

Service numbers: TS 102 965. SSP bits: EN 302 637-2 and -3, TS 103 301; those of the public key infrastructure: TS 103 097 clause 6
and TS 102 941. Ranges follow the European test hierarchy: version 1 fixed, defined bits free, undefined bits zero.
"""

from enum import Enum

from shared.core.ids import ItsAid
from shared.security.permissions import (
    APP_END_ENTITY,
    ENROL_END_ENTITY,
    AnySsp,
    BitmapSspRange,
    PsidGroupPermissions,
    PsidSsp,
    PsidSspRange,
)

ROOT_APP_PERMISSIONS = (
    PsidSsp(psid=ItsAid.CRL, ssp=b"\x01"),
    PsidSsp(psid=ItsAid.CTL, ssp=b"\x01\x38"),
)
"""A root signs its revocation list, and trust list entries for EA, AA and distribution centre."""

TLM_APP_PERMISSIONS = (PsidSsp(psid=ItsAid.CTL, ssp=b"\x01\xc8"),)
"""A trust list manager signs trust list entries for managers, roots and distribution centres."""

EA_APP_PERMISSIONS = (PsidSsp(psid=ItsAid.CERTIFICATE_REQUEST, ssp=b"\x01\x0e"),)
"""Authorization validation response, enrolment response, CA certificate request."""

AA_APP_PERMISSIONS = (PsidSsp(psid=ItsAid.CERTIFICATE_REQUEST, ssp=b"\x01\x32"),)
"""Authorization validation request, authorization response, CA certificate request."""

EC_APP_PERMISSIONS = (PsidSsp(psid=ItsAid.CERTIFICATE_REQUEST, ssp=b"\x01\xc0"),)
"""Enrolment request, authorization request."""


class StationRole(Enum):
    """What a ticket is made for."""

    VEHICLE = "vehicle"
    RSU = "rsu"


TICKET_PERMISSIONS: dict[StationRole, tuple[PsidSsp, ...]] = {
    StationRole.VEHICLE: (
        PsidSsp(psid=ItsAid.CAM, ssp=b"\x01\x00\x00"),
        PsidSsp(psid=ItsAid.DENM, ssp=b"\x01\xdf\xbf\xe5"),
        PsidSsp(psid=ItsAid.GN_MANAGEMENT),
    ),
    StationRole.RSU: (
        PsidSsp(psid=ItsAid.CAM, ssp=b"\x01\x80\x00"),
        PsidSsp(psid=ItsAid.DENM, ssp=b"\x01\xff\xff\xff"),
        PsidSsp(psid=ItsAid.TLM, ssp=b"\x01\xe0"),
        PsidSsp(psid=ItsAid.RLT, ssp=b"\x01\xc0"),
        PsidSsp(psid=ItsAid.IVIM, ssp=b"\x01\x00\x00\x00\xff\xf8"),
        PsidSsp(psid=ItsAid.GN_MANAGEMENT),
    ),
}
"""A vehicle: no special-vehicle container; every cause but roadworks (3), rescue (15), emergency vehicle (95), curve (96), signal
violation (98). A roadside unit: protected zones in its CAM, every cause, signal phases, maps, signs."""


def _bitmap(psid: int, value: str, mask: str) -> PsidSspRange:
    return PsidSspRange(psid=psid, ssp_range=BitmapSspRange(value=bytes.fromhex(value), mask=bytes.fromhex(mask)))


SERVICE_RANGES = (
    _bitmap(ItsAid.CAM, "01fffc", "ff0003"),
    _bitmap(ItsAid.DENM, "01ffffff", "ff000000"),
    _bitmap(ItsAid.TLM, "01e0", "ff1f"),
    _bitmap(ItsAid.RLT, "01c0", "ff3f"),
    _bitmap(ItsAid.IVIM, "01000000fff8", "ff0000000007"),
    _bitmap(ItsAid.SREM, "01ffffe0", "ff00001f"),
    PsidSspRange(psid=ItsAid.GN_MANAGEMENT, ssp_range=AnySsp()),
    _bitmap(ItsAid.SSEM, "01", "ff"),
    _bitmap(ItsAid.MISBEHAVIOUR_REPORT, "01", "ff"),
    _bitmap(ItsAid.GNSS_CORRECTION, "01", "ff"),
)
"""What tickets may carry."""

_ENROLMENT_RANGE = _bitmap(ItsAid.CERTIFICATE_REQUEST, "01c0", "ff3f")

ROOT_ISSUE_PERMISSIONS = (
    PsidGroupPermissions(
        ranges=(_bitmap(ItsAid.CERTIFICATE_REQUEST, "013e", "ffc1"),),
        end_entities=APP_END_ENTITY,
    ),
    PsidGroupPermissions(
        ranges=(*SERVICE_RANGES, _ENROLMENT_RANGE),
        min_chain_length=2,
        end_entities=APP_END_ENTITY | ENROL_END_ENTITY,
    ),
)
"""Directly: enrolment and authorization authorities. One level down: enrolment credentials and tickets."""

EA_ISSUE_PERMISSIONS = (PsidGroupPermissions(ranges=(_ENROLMENT_RANGE,), end_entities=APP_END_ENTITY | ENROL_END_ENTITY),)
"""Enrolment credentials only."""

AA_ISSUE_PERMISSIONS = (PsidGroupPermissions(ranges=SERVICE_RANGES),)
"""Tickets only."""
