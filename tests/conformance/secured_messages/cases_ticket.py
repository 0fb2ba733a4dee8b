"""Messages whose signature holds, under certificates that are no tickets, keys that are no keys and signatures nobody made."""

from dataclasses import replace
from typing import Any

from shared.core.ids import HashedId3, ItsAid
from shared.pki.permission_sets import AA_ISSUE_PERMISSIONS, EC_APP_PERMISSIONS
from shared.security.certificate import CertificateId, IdKind, issue_certificate
from shared.security.ecdsa import Curve
from shared.security.permissions import (
    BitmapSspRange,
    PsidSspRange,
)
from tests.conformance.secured_messages.workshop import (
    CAM,
    Above,
    Cases,
    Pen,
    Workshop,
    believed,
    cam_of,
    forged,
    off_the_curve,
    permission,
    refused,
    seal,
    with_signature,
)

ITALY, GERMANY, FRANCE = 380, 276, 250
HOUR_S = 3_600
ONLY_CAM = PsidSspRange(psid=ItsAid.CAM, ssp_range=BitmapSspRange(value=b"\x01\x00\x00", mask=b"\xff\xff\xff"))


def cases(shop: Workshop) -> Cases:
    """Return every case of this file by its sentence."""
    return {**_profiles(shop), **_points_and_signatures(shop)}


def _profiles(shop: Workshop) -> Cases:
    """Certificates that are not what a ticket must be (TS 103 097 clause 7.2.1)."""
    invalid = "invalid_certificate"
    named = "must not name its owner"
    requests = "has request permissions"
    infrastructure = "carries a permission of the public key infrastructure"
    ec_key = shop.key()
    ec = issue_certificate(
        replace(shop.tbs(ec_key), app_permissions=EC_APP_PERMISSIONS), issuer=shop.ea.certificate, signer=shop.ea.signer
    )
    own_key = shop.key()
    own = issue_certificate(shop.tbs(own_key), issuer=None, signer=own_key)

    def cam(**changes: Any) -> bytes:
        return seal(shop.ticket(**changes), CAM)

    def shown(above: Above) -> bytes:
        return seal(above.pen, CAM)

    twice = shop.ticket_of_octets(
        lambda tbs: tbs.replace(b"\x01\x03\x80\x01\x24", b"\x01\x03\x80\x01\x25", 1),
    )
    return {
        "a_cam_under_a_ticket_with_a_name_is_refused": refused(
            invalid, named, cam(id=CertificateId(kind=IdKind.NAME, name="TO 123 AB"))
        ),
        "a_cam_under_a_ticket_with_a_binary_identifier_is_refused": refused(
            invalid, "neither a name nor nothing", cam(id=CertificateId(kind=IdKind.BINARY, octets=b"\x01"))
        ),
        "a_cam_under_a_ticket_with_linkage_values_is_refused": refused(
            invalid, "neither a name nor nothing", cam(id=CertificateId(kind=IdKind.LINKAGE, octets=bytes(12)))
        ),
        "a_cam_under_a_ticket_that_may_issue_is_refused": refused(
            invalid, "permissions to send and none to issue", cam(cert_issue_permissions=AA_ISSUE_PERMISSIONS)
        ),
        "a_cam_under_a_ticket_without_permissions_is_refused": refused(
            invalid, "permissions to send and none to issue", cam(app_permissions=None)
        ),
        "a_cam_under_a_ticket_that_may_sign_trust_lists_is_refused": refused(
            invalid, infrastructure, cam(app_permissions=(permission(ItsAid.CAM, "010000"), permission(ItsAid.CTL, "0138")))
        ),
        "a_cam_under_a_ticket_that_may_sign_revocation_lists_is_refused": refused(
            invalid, infrastructure, cam(app_permissions=(permission(ItsAid.CAM, "010000"), permission(ItsAid.CRL, "01")))
        ),
        "a_cam_under_a_ticket_that_may_request_certificates_is_refused": refused(
            invalid,
            infrastructure,
            cam(app_permissions=(permission(ItsAid.CAM, "010000"), permission(ItsAid.CERTIFICATE_REQUEST, "01c0"))),
        ),
        "a_cam_under_a_ticket_that_names_a_revocation_authority_is_refused": refused(
            invalid, "names a revocation authority", cam(craca_id=HashedId3(b"\x01\x02\x03"))
        ),
        "a_cam_under_a_ticket_of_a_revocation_series_is_refused": refused(
            invalid, "names a revocation authority", cam(crl_series=1)
        ),
        "a_cam_under_a_ticket_with_request_permissions_is_refused": refused(
            invalid, requests, cam(cert_request_permissions=AA_ISSUE_PERMISSIONS)
        ),
        "a_cam_under_a_ticket_that_may_roll_over_is_refused": refused(
            invalid, "may request its own successor", cam(can_request_rollover=True)
        ),
        "a_cam_under_a_ticket_with_a_service_twice_is_malformed": refused("malformed", "an ITS-AID occurs twice", seal(twice, CAM)),
        "a_cam_under_an_authorization_authority_is_refused": refused(invalid, named, shown(shop.aa)),
        "a_cam_under_an_enrolment_authority_is_refused": refused(invalid, named, shown(shop.ea)),
        "a_cam_under_a_root_is_refused": refused(invalid, named, shown(shop.root)),
        "a_cam_under_an_enrolment_credential_is_refused": refused(
            invalid, infrastructure, seal(Pen(ec.encoded, ec.canonical, ec_key), CAM)
        ),
        "a_cam_under_a_ticket_that_vouches_for_itself_is_refused": refused(
            invalid, "an end entity cannot vouch for itself", seal(Pen(own.encoded, own.canonical, own_key), CAM)
        ),
    }


def _points_and_signatures(shop: Workshop) -> Cases:
    """Keys that are no keys, and signatures of issuers that are none."""
    invalid = "invalid_certificate"
    not_held = "the issuer's signature on certificate"
    car = shop.car
    random = with_signature(car.octets, r=int.from_bytes(shop.noise.randbytes(32), "big"), s=shop.noise.randrange(1, 1 << 255))
    other = shop.ticket()
    false_aa = shop.know(forged(shop.authority(), shop.random_signature()))
    key_nowhere = shop.ticket_of_octets(lambda tbs: tbs, verification_key=off_the_curve())
    # An authority nobody can have a key of: whose key signs below it does not matter.
    aa_nowhere = shop.authority(verification_key=off_the_curve(likely_x=100))
    under_nowhere = shop.ticket(aa_nowhere)
    x_only = shop.ticket_of_octets(lambda tbs: tbs[:-34] + b"\x80\x80" + tbs[-32:])
    brainpool_aa = shop.authority(curve=Curve.BRAINPOOL_P256R1)
    crossed = shop.ticket(Above(brainpool_aa.certificate, shop.aa.signer))

    def shown(octets: bytes) -> bytes:
        return seal(Pen(octets, octets, car.signer), CAM)

    own_key = shop.key()
    unsound = forged(shop.trusted_root(), shop.random_signature())
    shop.roots[-1] = unsound.certificate
    return {
        "a_cam_under_a_ticket_with_a_random_issuer_signature_is_refused": refused(invalid, not_held, shown(random)),
        "a_cam_under_a_ticket_with_the_issuer_signature_of_another_is_refused": refused(
            invalid, not_held, shown(car.octets[:-64] + other.octets[-64:])
        ),
        "a_cam_under_a_ticket_whose_issuer_signature_has_r_zero_is_refused": refused(
            invalid, not_held, shown(with_signature(car.octets, r=0))
        ),
        "a_cam_under_a_ticket_whose_issuer_signature_has_s_of_the_order_is_refused": refused(
            invalid, not_held, shown(with_signature(car.octets, s=Curve.NIST_P256.order))
        ),
        "a_cam_under_a_ticket_signed_by_the_key_it_certifies_is_refused": refused(
            invalid, not_held, seal(shop.ticket(Above(shop.aa.certificate, own_key), key=own_key), CAM)
        ),
        "a_cam_under_a_ticket_signed_on_another_curve_than_its_issuers_is_refused": refused(invalid, not_held, seal(crossed, CAM)),
        "a_cam_under_an_authority_with_a_random_signature_is_refused": refused(invalid, not_held, cam_of(shop, false_aa)),
        "a_cam_under_a_root_that_does_not_vouch_for_itself_is_refused": refused(
            invalid, not_held, cam_of(shop, shop.authority(unsound))
        ),
        "a_cam_under_a_ticket_whose_key_is_not_on_its_curve_is_refused": refused(
            invalid, "the point is not on P-256", seal(key_nowhere, CAM)
        ),
        "a_cam_under_an_authority_whose_key_is_not_on_its_curve_is_refused": refused(
            invalid, "the point is not on P-256", seal(under_nowhere, CAM)
        ),
        "a_cam_under_a_ticket_with_an_x_only_key_is_malformed": refused(
            "malformed", "an x-only point does not determine a public key", seal(x_only, CAM)
        ),
        "a_cam_under_an_authority_on_brainpool_p256r1_is_believed": believed(cam_of(shop, brainpool_aa)),
        "a_cam_under_an_authority_on_p384_is_believed": believed(cam_of(shop, shop.authority(curve=Curve.NIST_P384))),
    }
