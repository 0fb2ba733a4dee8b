"""What each kind of certificate carries and what it must not: the profiles of TS 103 097 clause 7.2 (before v2: clause 6).

Signatures, issuers and times are judged elsewhere (`chain`).
"""

from shared.core.errors import VerificationError
from shared.core.ids import HashedId3, ItsAid
from shared.core.report import VerificationReport
from shared.security.certificate import Certificate, IdKind

_CA_PSIDS = frozenset((ItsAid.CRL, ItsAid.CERTIFICATE_REQUEST, ItsAid.CTL))
_NO_CRACA = HashedId3(b"\x00\x00\x00")
_ENROLMENT_SSP_BITS = 0xC0
_RECORD_SSP_BITS = 0xF8
"""Roles of issuers of records; a credential has one of them at most."""


def _check_common_profile(certificate: Certificate) -> None:
    tbs = certificate.tbs
    if tbs.craca_id != _NO_CRACA or tbs.crl_series != 0:
        raise _invalid("the certificate names a revocation authority, which TS 103 097 forbids")
    if tbs.cert_request_permissions is not None:
        raise _invalid("the certificate has request permissions, which TS 103 097 forbids")
    if tbs.can_request_rollover:
        raise _invalid("the certificate may request its own successor, which TS 103 097 forbids")
    if tbs.id.kind not in (IdKind.NAME, IdKind.NONE):
        raise _invalid("the certificate is identified by neither a name nor nothing")


def check_ticket_profile(certificate: Certificate) -> None:
    """Raise `VerificationError(INVALID_CERTIFICATE)` for what is no authorization ticket."""
    _check_common_profile(certificate)
    tbs = certificate.tbs
    if tbs.id.kind is not IdKind.NONE:
        raise _invalid("an authorization ticket must not name its owner")
    if not tbs.app_permissions or tbs.cert_issue_permissions is not None:
        raise _invalid("an authorization ticket has permissions to send and none to issue")
    if any(permission.psid in _CA_PSIDS for permission in tbs.app_permissions):
        raise _invalid("an authorization ticket carries a permission of the public key infrastructure")


def check_enrolment_profile(certificate: Certificate) -> None:
    """Raise `VerificationError(INVALID_CERTIFICATE)` for what is no enrolment credential."""
    _check_common_profile(certificate)
    permissions = {entry.psid: entry.ssp for entry in certificate.tbs.app_permissions or ()}
    others = set(permissions) - {ItsAid.CERTIFICATE_REQUEST, ItsAid.VEHICLE_RECORDS}
    if certificate.tbs.cert_issue_permissions is not None or ItsAid.CERTIFICATE_REQUEST not in permissions or others:
        raise _invalid("an enrolment credential has the permission to request certificates, perhaps to issue records, and no other")
    if ItsAid.VEHICLE_RECORDS in permissions:
        role = permissions[ItsAid.VEHICLE_RECORDS]
        if role is None or len(role) != 2 or role[0] != 1 or role[1] & ~_RECORD_SSP_BITS or role[1].bit_count() != 1:
            raise _invalid("an issuer of records has one role")
    ssp = permissions[ItsAid.CERTIFICATE_REQUEST]
    if ssp is None or len(ssp) != 2 or ssp[0] != 1 or ssp[1] & ~_ENROLMENT_SSP_BITS:
        raise _invalid("an enrolment credential may only sign enrolment and authorization requests")


def check_authority_profile(certificate: Certificate) -> None:
    """Raise `VerificationError(INVALID_CERTIFICATE)` for what is no authority or root."""
    _check_common_profile(certificate)
    if not certificate.tbs.cert_issue_permissions:
        raise _invalid(f"certificate {certificate.hashed_id8.hex()} may not issue anything, so it is no authority")


def _invalid(detail: str) -> VerificationError:
    return VerificationError(VerificationReport.INVALID_CERTIFICATE, detail)
