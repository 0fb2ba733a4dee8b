"""A certificate in words: nested JSON values with units in their names, for `v2x pki inspect` and `v2x decode`.

Only tells what the certificate states; it does not verify anything. The order of keys is the order for people.
"""

from collections.abc import Mapping

from shared.core.ids import ItsAid
from shared.core.itstime import Time64, utc_of, utc_text
from shared.security.certificate import Certificate
from shared.security.permissions import (
    APP_END_ENTITY,
    ENROL_END_ENTITY,
    UNBOUNDED_CHAIN,
    AnySsp,
    BitmapSspRange,
    OpaqueSspRange,
    PsidGroupPermissions,
    PsidSsp,
    PsidSspRange,
)
from shared.security.region import (
    CircularRegion,
    GeographicRegion,
    IdentifiedRegions,
    Location,
    PolygonalRegion,
    RectangularRegion,
)

Description = Mapping[str, object]

_RESPONDS = ((0x04, "enrolment authority"), (0x10, "authorization authority"))
"""Which responses of TS 102 941 an authority may sign, by the bits of its permission, and what it is called."""


def certificate_kind(certificate: Certificate) -> str:
    """Say what a certificate is for, by its issuer and its permissions."""
    permissions = {permission.psid for permission in certificate.tbs.app_permissions or ()}
    if certificate.is_self_signed:
        return "root" if certificate.tbs.cert_issue_permissions else "trust list manager"
    if certificate.tbs.cert_issue_permissions:
        rights = next((p.ssp for p in certificate.tbs.app_permissions or () if p.psid == ItsAid.CERTIFICATE_REQUEST), None) or b""
        names = [name for bit, name in _RESPONDS if len(rights) == 2 and rights[1] & bit]
        return names[0] if len(names) == 1 else "authority"
    if ItsAid.VEHICLE_RECORDS in permissions:
        return "enrolment credential of an issuer of records"
    return "enrolment credential" if ItsAid.CERTIFICATE_REQUEST in permissions else "authorization ticket"


def describe_certificate(certificate: Certificate) -> Description:
    """Return the certificate's fields as JSON values."""
    tbs = certificate.tbs
    issuer = certificate.issuer.hashed_id8
    signature = certificate.signature
    described: dict[str, object] = {
        "kind": certificate_kind(certificate),
        "hashed_id8": certificate.hashed_id8.hex(),
        "name": tbs.id.name,
        "issuer": "self" if issuer is None else issuer.hex(),
        "valid_from": _utc(tbs.validity.start_time64),
        "valid_until": _utc(tbs.validity.end_time64),
        "region": None if tbs.region is None else _region(tbs.region),
        "assurance_level": tbs.assurance_level,
        "permissions": [_permission(permission) for permission in tbs.app_permissions or ()],
        "may_issue": [_group(group) for group in tbs.cert_issue_permissions or ()],
        "key": {"curve": tbs.curve.value, "point_x": tbs.verification_key.x.hex()},
        "encryption_key": None
        if tbs.encryption_key is None
        else {"curve": tbs.encryption_key.curve.value, "point_x": tbs.encryption_key.point.x.hex()},
        "signature": {"curve": signature.curve.value, "r": signature.r.hex(), "s": signature.s.hex()},
        "octets": len(certificate.encoded),
    }
    return {key: value for key, value in described.items() if value not in (None, [])}


def its_aid_name(psid: int) -> str:
    """Return the name of an ITS-AID in lower case, or its number."""
    try:
        return ItsAid(psid).name.lower()
    except ValueError:
        return str(psid)


def _utc(at: Time64) -> str:
    return utc_text(utc_of(at))


def _permission(permission: PsidSsp) -> Description:
    described: dict[str, object] = {"its_aid": permission.psid, "service": its_aid_name(permission.psid)}
    if permission.ssp is not None:
        described["ssp"] = permission.ssp.hex()
    return described


def _group(group: PsidGroupPermissions) -> Description:
    longest: int | str = group.min_chain_length + group.chain_length_range
    if group.chain_length_range == UNBOUNDED_CHAIN:
        longest = "any"
    bits = ((APP_END_ENTITY, "tickets"), (ENROL_END_ENTITY, "enrolment credentials"))
    return {
        "chain_length": [group.min_chain_length, longest],
        "end_entities": [name for bit, name in bits if group.end_entities & bit],
        "services": "all" if group.ranges is None else [_range(entry) for entry in group.ranges],
    }


def _range(entry: PsidSspRange) -> Description:
    described: dict[str, object] = {"its_aid": entry.psid, "service": its_aid_name(entry.psid)}
    match entry.ssp_range:
        case AnySsp():
            described["ssp"] = "any"
        case OpaqueSspRange(values=values):
            described["ssp"] = [value.hex() for value in values]
        case BitmapSspRange(value=value, mask=mask):
            described["ssp"] = value.hex()
            described["mask"] = mask.hex()
    return described


def _place(location: Location) -> Description:
    return {"lat_deg": location.point.lat_deg, "lon_deg": location.point.lon_deg}


def _region(region: GeographicRegion) -> Description:
    match region:
        case CircularRegion(centre=centre, radius_m=radius_m):
            return {"circle": {**_place(centre), "radius_m": radius_m}}
        case RectangularRegion(rectangles=rectangles):
            corners = [
                {"north_west": _place(Location(box.north, box.west)), "south_east": _place(Location(box.south, box.east))}
                for box in rectangles
            ]
            return {"rectangles": corners}
        case PolygonalRegion(corners=points):
            return {"polygon": [_place(corner) for corner in points]}
        case IdentifiedRegions(regions=regions):
            return {
                "countries": [
                    {
                        "country": entry.country,
                        "parts": [{"region": part.region, "subregions": list(part.subregions)} for part in entry.parts],
                    }
                    for entry in regions
                ]
            }
