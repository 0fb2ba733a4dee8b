"""The permissions our certificates carry: what each authority may issue, and what the ticket of each kind of station allows.

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


class RecordRole(Enum):
    """Whose enrolment credential it is, if it is not a vehicle's: whoever else issues records about vehicles."""

    GARAGE = "garage"
    INSPECTOR = "inspector"
    INSURER = "insurer"
    MAKER = "maker"
    REGISTRAR = "registrar"

    @property
    def ssp(self) -> bytes:
        """The permission's SSP: version 1, and one octet of which one bit is set, from the highest down in the order above."""
        return bytes((RECORD_SSP_VERSION, 0x80 >> list(RecordRole).index(self)))


RECORD_SSP_VERSION = 1


def issuer_permissions(role: RecordRole) -> tuple[PsidSsp, ...]:
    """Return the permissions of the enrolment credential of an issuer of records.

    Besides those of every credential it has one of our own, `ItsAid.VEHICLE_RECORDS`: no standard knows issuers of records about
    vehicles, and no number of a standard is used for it. A credential without it is a vehicle's, as all were before there were
    such issuers; a hierarchy made before cannot issue it.
    """
    return (*EC_APP_PERMISSIONS, PsidSsp(psid=ItsAid.VEHICLE_RECORDS, ssp=role.ssp))


class StationRole(Enum):
    """What a ticket is made for; the special vehicles are those that have a container of their own in a CAM."""

    VEHICLE = "vehicle"
    RSU = "rsu"
    PUBLIC_TRANSPORT = "public_transport"
    SPECIAL_TRANSPORT = "special_transport"
    DANGEROUS_GOODS = "dangerous_goods"
    ROAD_WORK = "road_work"
    RESCUE = "rescue"
    EMERGENCY = "emergency"
    SAFETY_CAR = "safety_car"

    @property
    def is_vehicle(self) -> bool:
        """Whether it is for something that drives."""
        return self is not StationRole.RSU


_VEHICLE_CAUSES = 0xDF_BF_E5
_ROADWORKS = 0x20_00_00
_RESCUE_AND_RECOVERY = 0x00_40_00
_EMERGENCY_VEHICLE = 0x00_00_10


def _vehicle(container: int = 0, also: int = 0, *, asks_for_priority: bool = False) -> tuple[PsidSsp, ...]:
    """Return a vehicle's permissions: flags of its CAM's special container, causes besides the usual, requests to signals."""
    requests = (PsidSsp(psid=ItsAid.SREM, ssp=b"\x01\xff\xff\xe0"),) if asks_for_priority else ()
    return (
        PsidSsp(psid=ItsAid.CAM, ssp=b"\x01" + container.to_bytes(2, "big")),
        PsidSsp(psid=ItsAid.DENM, ssp=b"\x01" + (_VEHICLE_CAUSES | also).to_bytes(3, "big")),
        *requests,
        PsidSsp(psid=ItsAid.GN_MANAGEMENT),
    )


TICKET_PERMISSIONS: dict[StationRole, tuple[PsidSsp, ...]] = {
    StationRole.VEHICLE: _vehicle(),
    StationRole.PUBLIC_TRANSPORT: _vehicle(0x40_00, asks_for_priority=True),
    StationRole.SPECIAL_TRANSPORT: _vehicle(0x20_00),
    StationRole.DANGEROUS_GOODS: _vehicle(0x10_00),
    StationRole.ROAD_WORK: _vehicle(0x08_80, _ROADWORKS),
    StationRole.RESCUE: _vehicle(0x04_00, _RESCUE_AND_RECOVERY),
    StationRole.EMERGENCY: _vehicle(0x02_60, _EMERGENCY_VEHICLE, asks_for_priority=True),
    StationRole.SAFETY_CAR: _vehicle(0x01_1C),
    StationRole.RSU: (
        PsidSsp(psid=ItsAid.CAM, ssp=b"\x01\x80\x00"),
        PsidSsp(psid=ItsAid.DENM, ssp=b"\x01\xff\xff\xff"),
        PsidSsp(psid=ItsAid.TLM, ssp=b"\x01\xe0"),
        PsidSsp(psid=ItsAid.RLT, ssp=b"\x01\xc0"),
        PsidSsp(psid=ItsAid.IVIM, ssp=b"\x01\x00\x00\x00\xff\xf8"),
        PsidSsp(psid=ItsAid.GN_MANAGEMENT),
        PsidSsp(psid=ItsAid.SSEM, ssp=b"\x01"),
    ),
}
"""A vehicle: no special-vehicle container; every cause but roadworks (3), rescue (15), emergency vehicle (95), curve (96), signal
violation (98). A special vehicle: that, its own container with what may stand in it (closed lanes of roadworks, both requests of an
emergency, rules and limits of a safety car), and the cause that is its own. Vehicles of public transport and in an emergency ask
signals for priority. A roadside unit: protected zones in its CAM, every cause, signal phases, maps, signs, answers to requests."""


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
_RECORDS_RANGE = _bitmap(ItsAid.VEHICLE_RECORDS, "01f8", "ff07")

ROOT_ISSUE_PERMISSIONS = (
    PsidGroupPermissions(
        ranges=(_bitmap(ItsAid.CERTIFICATE_REQUEST, "013e", "ffc1"),),
        end_entities=APP_END_ENTITY,
    ),
    PsidGroupPermissions(
        ranges=(*SERVICE_RANGES, _ENROLMENT_RANGE, _RECORDS_RANGE),
        min_chain_length=2,
        end_entities=APP_END_ENTITY | ENROL_END_ENTITY,
    ),
)
"""Directly: enrolment and authorization authorities. One level down: enrolment credentials and tickets."""

_ENROLMENT = APP_END_ENTITY | ENROL_END_ENTITY

EA_ISSUE_PERMISSIONS = (PsidGroupPermissions(ranges=(_ENROLMENT_RANGE, _RECORDS_RANGE), end_entities=_ENROLMENT),)
"""Enrolment credentials only: of stations, and of those who issue records about vehicles."""

EA_STATIONS_ISSUE_PERMISSIONS = (PsidGroupPermissions(ranges=(_ENROLMENT_RANGE,), end_entities=_ENROLMENT),)
"""Enrolment credentials of stations only: what a root made before there were issuers of records can hand on."""

AA_ISSUE_PERMISSIONS = (PsidGroupPermissions(ranges=SERVICE_RANGES),)
"""Tickets only."""
