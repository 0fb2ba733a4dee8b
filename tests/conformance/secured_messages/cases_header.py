"""Messages that are right or wrong in their header: each field for each profile that forbids it, and the times."""

from dataclasses import replace

from shared.core.ids import HashedId3, ItsAid
from shared.core.itstime import Time64
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.ecdsa import Curve
from shared.security.encryption_key import EncryptionKey
from shared.security.header_info import ContributedExtension, HeaderInfo
from shared.security.secured_data import encode_unsecured
from tests.conformance.secured_messages.workshop import (
    AT,
    CAM,
    DENM,
    IN_TURIN,
    IVIM,
    NOWHERE,
    PAYLOAD,
    SPATEM,
    Case,
    Cases,
    Pen,
    Workshop,
    moment,
    refused,
    seal,
)

ORDER = Curve.NIST_P256.order
SIGNATURE_OCTETS = 66
PLAIN = encode_unsecured(PAYLOAD)


def cases(shop: Workshop) -> Cases:
    """Return every case of this file by its sentence."""
    return {**_headers(shop), **_times(shop)}


def _headers(shop: Workshop) -> Cases:
    """Every header field, for every profile that forbids it."""
    forbidden_everywhere: dict[str, dict[str, object]] = {
        "a_p2pcd_learning_request": {"p2pcd_learning_request": HashedId3(b"\x01\x02\x03")},
        "a_missing_crl_identifier": {"missing_crl": b"\x00\x01\x02\x03\x00\x01"},
        "a_symmetric_key": {"symmetric_key": bytes(16)},
        "a_pdu_functional_type": {"pdu_functional_type": 1},
    }
    forbidden_in_cam: dict[str, dict[str, object]] = {
        "an_expiry": {"expiry_time": Time64(AT + 1_000_000)},
        "an_encryption_key": {"encryption_key": _encryption_key(shop)},
        "contributed_extensions": {"contributed_extensions": (ContributedExtension(contributor=2, extensions=(b"\x01",)),)},
    }
    forbidden_in_denm: dict[str, dict[str, object]] = {
        "a_request_for_certificates": {"inline_p2pcd_request": (HashedId3(b"\x01\x02\x03"),)},
        "a_certificate_passed_on": {"requested_certificate": shop.aa.certificate},
    }
    fields = {
        "a_p2pcd_learning_request": "p2pcdLearningRequest",
        "a_missing_crl_identifier": "missingCrlIdentifier",
        "a_symmetric_key": "encryptionKey (symmetric)",
        "a_pdu_functional_type": "pduFunctionalType",
        "an_expiry": "expiryTime",
        "an_encryption_key": "encryptionKey",
        "contributed_extensions": "contributedExtensions",
        "a_location": "generationLocation",
        "a_request_for_certificates": "inlineP2pcdRequest",
        "a_certificate_passed_on": "requestedCertificate",
    }
    found: Cases = {}
    profiles: tuple[tuple[str, str, Pen, HeaderInfo, dict[str, dict[str, object]]], ...] = (
        (
            "a_cam",
            "CAM",
            shop.car,
            CAM,
            {**forbidden_everywhere, **forbidden_in_cam, "a_location": {"generation_location": IN_TURIN}},
        ),
        ("a_denm", "DENM", shop.car, DENM, {**forbidden_everywhere, **forbidden_in_cam, **forbidden_in_denm}),
        ("a_spatem", "generic", shop.rsu, SPATEM, forbidden_everywhere),
    )
    for message, profile, pen, header, forbidden in profiles:
        for field, change in forbidden.items():
            octets = seal(pen, replace(header, **change))  # type: ignore[arg-type]  # fields of a header
            words = f"a {profile} message has {fields[field]} "
            found[f"{message}_with_{field}_breaks_its_profile"] = refused("header_profile", words, octets)
        without = seal(pen, replace(header, generation_time=None))
        words = f"a {profile} message has no generationTime"
        found[f"{message}_without_a_time_breaks_its_profile"] = refused("header_profile", words, without)
    unshown = "passes a certificate on but is not signed by digest"
    for message, pen, header in (("a_cam", shop.car, CAM), ("a_spatem", shop.rsu, SPATEM)):
        octets = seal(pen, replace(header, requested_certificate=shop.aa.certificate))
        name = f"{message}_that_passes_a_certificate_on_beside_its_own_breaks_its_profile"
        found[name] = refused("header_profile", unshown, octets)
    for name, place in (("without_a_location", None), ("that_does_not_know_where_it_is", NOWHERE)):
        octets = seal(shop.car, replace(DENM, generation_location=place))
        found[f"a_denm_{name}_breaks_its_profile"] = refused("header_profile", "has no known generationLocation", octets)
    return found


def _times(shop: Workshop) -> Cases:
    good, denm, spatem = seal(shop.car, CAM), seal(shop.car, DENM), seal(shop.rsu, SPATEM)
    run_out = seal(shop.rsu, replace(IVIM, expiry_time=Time64(AT - 1)))
    stale = "invalid_timestamp"
    vam = shop.ticket(app_permissions=TICKET_PERMISSIONS[StationRole.VEHICLE])
    return {
        "a_cam_three_seconds_old_is_stale": Case(
            octets=good, verdict=stale, says="generated 3.000 s ago, allowed are 2 s", at=moment("12:00:03")
        ),
        "a_spatem_eleven_seconds_old_is_stale": Case(
            octets=spatem, verdict=stale, says="generated 11.000 s ago, allowed are 10 s", at=moment("12:00:11")
        ),
        "a_denm_eleven_minutes_old_is_stale": Case(
            octets=denm, verdict=stale, says="generated 660.000 s ago, allowed are 600 s", at=moment("12:11:00")
        ),
        "a_denm_nine_minutes_old_is_believed": Case(octets=denm, verdict="believed", at=moment("12:09:00")),
        "a_cam_from_the_next_second_is_refused": Case(
            octets=good, verdict=stale, says="generated 1.000 s in the future", at=moment("11:59:59")
        ),
        "a_cam_between_two_clocks_that_differ_a_little_is_believed": Case(
            octets=good, verdict="believed", at=moment("11:59:59.960")
        ),
        "an_ivim_that_has_run_out_is_refused": refused(stale, "the message's expiryTime has passed", run_out),
        "a_cam_heard_while_the_clock_is_not_set_is_not_judged": Case(
            octets=good, verdict="untrusted_time", says="the clock is not set", is_clock_set=False
        ),
        "a_trust_list_on_the_radio_is_refused": refused(
            "incompatible_protocol", "ITS-AID 624 is no service of this station", seal(shop.car, replace(CAM, psid=ItsAid.CTL))
        ),
        "a_revocation_list_on_the_radio_is_refused": refused(
            "incompatible_protocol", "ITS-AID 622 is no service of this station", seal(shop.car, replace(CAM, psid=ItsAid.CRL))
        ),
        "a_message_of_a_service_nobody_here_speaks_is_refused": refused(
            "incompatible_protocol", "ITS-AID 638 is no service of this station", seal(vam, replace(CAM, psid=ItsAid.VAM))
        ),
    }


def _encryption_key(shop: Workshop) -> EncryptionKey:
    return EncryptionKey(curve=Curve.NIST_P256, point=shop.car.signer.public_key.point)
