"""Messages that are right or wrong around their payload: encoding, signature, signer, header, time."""

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric import ec

from shared.codec.coer import encode_additions, encode_opaque
from shared.core.ids import HashedId3, HashedId8
from shared.core.itstime import Time64
from shared.security.certificate import decode_certificate
from shared.security.ecdsa import Curve
from shared.security.encrypted_data import EncryptedData, Recipient, RecipientKind, encode_encrypted
from shared.security.encryption_key import EncryptionKey
from shared.security.hashing import HashAlgorithm
from shared.security.header_info import ContributedExtension, encode_header
from shared.security.secured_data import SignerKind, encode_tbs_data, encode_unsecured
from tests.conformance.secured_messages.workshop import (
    AT,
    CAM,
    DENM,
    IN_TURIN,
    IVIM,
    MAPEM,
    PAYLOAD,
    SPATEM,
    Case,
    Cases,
    Heard,
    Pen,
    Workshop,
    believed,
    header_at,
    moment,
    refused,
    seal,
    with_signature,
)
from tests.helpers.hierarchy import NOON

ORDER = Curve.NIST_P256.order
SIGNATURE_OCTETS = 66
PLAIN = encode_unsecured(PAYLOAD)


def cases(shop: Workshop) -> Cases:
    """Return every case of this file by its sentence."""
    return {**_believed(shop), **_encodings(shop), **_signatures(shop), **_signers(shop)}


def _believed(shop: Workshop) -> Cases:
    good = seal(shop.car, CAM)
    front, r, s = good[:-SIGNATURE_OCTETS], good[-64:-32], good[-32:]
    digest_signed = seal(shop.car, CAM, by=SignerKind.DIGEST)
    passing_on = seal(shop.car, replace(CAM, requested_certificate=shop.aa.certificate), by=SignerKind.DIGEST)
    earlier = (Heard(seal(shop.car, header_at(CAM, moment("11:59:59"))), moment("11:59:59.010")),)
    return {
        "a_cam_with_its_certificate_is_believed": believed(good),
        "a_cam_with_r_as_a_compressed_point_is_believed": believed(front + b"\x80\x83" + r + s),
        "a_cam_with_r_as_an_uncompressed_point_is_believed": believed(front + b"\x80\x84" + r + _y_of(r) + s),
        "a_cam_that_asks_for_a_certificate_is_believed": believed(
            seal(shop.car, replace(CAM, inline_p2pcd_request=(HashedId3(b"\x01\x02\x03"),)))
        ),
        "a_cam_on_brainpool_p256r1_is_believed": believed(seal(shop.ticket(curve=Curve.BRAINPOOL_P256R1), CAM)),
        "a_cam_on_brainpool_p384r1_is_believed": believed(seal(shop.ticket(curve=Curve.BRAINPOOL_P384R1), CAM)),
        "a_cam_on_p384_is_believed": believed(seal(shop.ticket(curve=Curve.NIST_P384), CAM)),
        "a_cam_under_a_ticket_with_an_uncompressed_key_is_believed": believed(seal(_uncompressed(shop.ticket()), CAM)),
        "a_cam_by_the_digest_of_a_ticket_heard_before_is_believed": Case(octets=digest_signed, verdict="believed", before=earlier),
        "a_cam_by_digest_that_passes_an_authority_on_is_believed": Case(octets=passing_on, verdict="believed", before=earlier),
        "a_cam_with_its_certificate_for_the_second_time_is_believed": Case(octets=good, verdict="believed", before=earlier),
        "a_spatem_of_a_roadside_unit_is_believed": believed(seal(shop.rsu, SPATEM)),
        "a_mapem_of_a_roadside_unit_is_believed": believed(seal(shop.rsu, MAPEM)),
        "an_ivim_that_has_not_run_out_is_believed": believed(seal(shop.rsu, replace(IVIM, expiry_time=Time64(AT + 1_000_000)))),
        "a_spatem_with_everything_its_profile_allows_is_believed": believed(
            seal(
                shop.rsu,
                replace(
                    SPATEM,
                    expiry_time=Time64(AT + 1_000_000),
                    generation_location=IN_TURIN,
                    encryption_key=_encryption_key(shop),
                    inline_p2pcd_request=(HashedId3(b"\x01\x02\x03"),),
                    contributed_extensions=(ContributedExtension(contributor=2, extensions=(b"\x01",)),),
                ),
            )
        ),
    }


def _encodings(shop: Workshop) -> Cases:
    good = seal(shop.car, CAM)
    long_form = good.replace(PLAIN, b"\x03\x80\x81" + bytes((len(PAYLOAD),)) + PAYLOAD)
    empty_length = good.replace(PLAIN, b"\x03\x80\x80" + PAYLOAD)
    header = encode_header(CAM)
    future_header = bytes((header[0] | 0x80,)) + header[1:] + encode_additions({5: b"\x01\x00"}, width=6, field="header")
    wide_aid = header[:1] + b"\x02\x00" + header[2:]
    tbs = encode_tbs_data(PAYLOAD, CAM)
    front, tail = good[:-SIGNATURE_OCTETS], good[-64:]
    certificate_at = good.index(shop.car.octets)

    def sealed_tbs(tbs: bytes) -> bytes:
        return seal(shop.car, CAM, tbs=tbs)

    def reading(octets: bytes) -> bytes:
        return good[:certificate_at] + octets + good[certificate_at + len(octets) :]

    critical = shop.ticket_of_octets(lambda octets: bytes((octets[0] | 0x80,)) + octets[1:] + b"\x02\x07\x80\x01\x00")
    return {
        "a_truncated_cam_is_malformed": refused("malformed", "signed.signature", good[:-1]),
        "a_cam_with_an_octet_too_many_is_malformed": refused("malformed", "follow the value", good + b"\x00"),
        "a_message_of_no_octets_is_malformed": refused("malformed", "secured_data.protocol_version", b""),
        "a_message_longer_than_the_medium_carries_is_malformed": refused(
            "malformed", "at most 2304 are allowed", seal(shop.car, CAM, payload=bytes(2_304))
        ),
        "a_cam_with_a_length_that_is_not_minimal_is_malformed": refused("malformed", "payload", long_form),
        "a_cam_with_a_length_of_no_octets_is_malformed": refused("malformed", "payload", empty_length),
        "a_cam_with_an_its_aid_that_is_not_minimal_is_malformed": refused(
            "malformed", "header.psid", sealed_tbs(b"\x40" + PLAIN + wide_aid)
        ),
        "a_hundred_nested_messages_are_malformed": refused(
            "malformed", "nested more than 4 deep", b"\x03\x81\x00\x40" * 100 + good
        ),
        "a_cam_of_protocol_version_2_is_malformed": refused("malformed", "version 2 is not 3", b"\x02" + good[1:]),
        "a_message_with_content_of_an_unknown_kind_is_malformed": refused(
            "malformed", "content alternative 5 is unknown", b"\x03\x85" + good[2:]
        ),
        "a_cam_under_a_hash_this_profile_does_not_have_is_malformed": refused(
            "malformed", "hash algorithm 2 is not supported", good[:2] + b"\x02" + good[3:]
        ),
        "a_cam_with_an_unknown_header_extension_is_malformed": refused(
            "malformed", "addition 5 is unknown", sealed_tbs(b"\x40" + PLAIN + future_header)
        ),
        "a_cam_with_an_unknown_payload_extension_is_malformed": refused(
            "malformed", "extensions of the payload are not supported", sealed_tbs(b"\xc0" + tbs[1:] + b"\x02\x07\x80\x01\x00")
        ),
        "a_cam_under_a_ticket_with_an_unknown_critical_extension_is_malformed": refused(
            "malformed", "extensions of the certificate are not supported", seal(critical, CAM)
        ),
        "a_cam_that_signs_nothing_is_malformed": refused(
            "malformed", "neither data nor a hash is present", sealed_tbs(b"\x00" + header)
        ),
        "a_cam_signed_on_a_curve_nobody_knows_is_malformed": refused(
            "malformed", "signature algorithm 4 is not supported", front + b"\x84\x80" + tail
        ),
        "a_cam_whose_signature_leaves_r_out_is_malformed": refused("malformed", "point form 1", front + b"\x80\x81" + tail),
        "a_cam_under_a_certificate_of_version_2_is_malformed": refused("malformed", "version 2 is not 3", reading(b"\x80\x02")),
        "a_cam_under_an_implicit_certificate_is_malformed": refused(
            "malformed", "the certificate is not explicit", reading(b"\x80\x03\x01")
        ),
        "a_cam_under_a_certificate_without_a_signature_is_malformed": refused(
            "malformed", "the signature is absent", reading(b"\x00\x03")
        ),
        "a_cam_from_a_place_that_does_not_exist_is_malformed": refused(
            "malformed",
            "no such place",
            seal(
                shop.rsu, SPATEM, tbs=b"\x40" + PLAIN + _with_latitude(encode_header(replace(SPATEM, generation_location=IN_TURIN)))
            ),
        ),
    }


def _signatures(shop: Workshop) -> Cases:
    good = seal(shop.car, CAM)
    s = int.from_bytes(good[-32:], "big")
    brainpool = shop.ticket(curve=Curve.BRAINPOOL_P256R1)
    on_brainpool = seal(Pen(shop.car.octets, shop.car.canonical, brainpool.signer), CAM)
    by_another = seal(Pen(shop.car.octets, shop.car.canonical, shop.key()), CAM)
    out_of_range = "a signature scalar is out of range"
    does_not_hold = "the signature does not hold under the signer's key"
    return {
        "a_cam_with_a_changed_payload_is_refused": refused(
            "false_signature", does_not_hold, good.replace(PAYLOAD, PAYLOAD[:-1] + b"\x01")
        ),
        "a_cam_with_a_changed_time_is_refused": refused(
            "false_signature", does_not_hold, good.replace(AT.to_bytes(8, "big"), (AT - 1).to_bytes(8, "big"))
        ),
        "a_cam_signed_by_another_key_than_its_tickets_is_refused": refused("false_signature", does_not_hold, by_another),
        "a_cam_under_a_stolen_certificate_of_another_car_is_refused": refused(
            "false_signature", does_not_hold, good.replace(shop.car.octets, shop.ticket().octets)
        ),
        "a_cam_signed_over_another_hash_is_refused": refused(
            "false_signature",
            "the message names a hash that does not belong to the key",
            good[:2] + bytes((HashAlgorithm.SHA384.value,)) + good[3:],
        ),
        "a_cam_signed_on_another_curve_than_its_tickets_key_is_refused": refused(
            "false_signature", "the signature is on brainpoolP256r1, the key on P-256", on_brainpool
        ),
        "a_cam_whose_signature_has_r_zero_is_refused": refused("false_signature", out_of_range, with_signature(good, r=0)),
        "a_cam_whose_signature_has_s_zero_is_refused": refused("false_signature", out_of_range, with_signature(good, s=0)),
        "a_cam_whose_signature_has_r_of_the_order_is_refused": refused(
            "false_signature", out_of_range, with_signature(good, r=ORDER)
        ),
        "a_cam_whose_signature_has_s_of_the_order_is_refused": refused(
            "false_signature", out_of_range, with_signature(good, s=ORDER)
        ),
        "a_cam_whose_signature_has_s_beyond_the_order_is_refused": refused(
            "false_signature", out_of_range, with_signature(good, s=2**256 - 1)
        ),
        "a_cam_heard_again_is_a_duplicate": Case(
            octets=good,
            verdict="duplicate_message",
            says="this message was received before",
            at=moment("12:00:00.100"),
            before=(Heard(good, NOON),),
        ),
        "a_cam_heard_again_with_its_signature_mirrored_is_a_duplicate": Case(
            octets=with_signature(good, s=ORDER - s),
            verdict="duplicate_message",
            says="this message was received before",
            at=moment("12:00:00.100"),
            before=(Heard(good, NOON),),
        ),
        "a_cam_heard_again_with_r_written_as_a_point_is_a_duplicate": Case(
            octets=good[:-SIGNATURE_OCTETS] + b"\x80\x82" + good[-64:],
            verdict="duplicate_message",
            says="this message was received before",
            at=moment("12:00:00.100"),
            before=(Heard(good, NOON),),
        ),
    }


def _signers(shop: Workshop) -> Cases:
    by_digest = seal(shop.car, CAM, by=SignerKind.DIGEST)
    stranger = shop.unknown.ticket()
    strange = Pen(stranger.certificate.encoded, stranger.certificate.canonical, stranger.signer)
    encrypted = EncryptedData(
        recipients=(Recipient(kind=RecipientKind.PRE_SHARED, hashed_id8=HashedId8(bytes(8)), encrypted_key=b""),),
        nonce=bytes(12),
        ciphertext=bytes(32),
    )
    tbs = encode_tbs_data(PAYLOAD, CAM)
    header = encode_header(CAM)
    inner = seal(shop.car, CAM)
    external = b"\x80" + bytes(32)
    self_signed = "unsupported_signer_identifier_type"
    return {
        "an_unsigned_cam_is_refused": refused("unsigned_message", "the message is not signed", encode_unsecured(PAYLOAD)),
        "an_encrypted_message_is_refused": refused(
            "incompatible_protocol", "the message is neither signed nor plain", b"\x03\x82" + encode_encrypted(encrypted)
        ),
        "a_certificate_request_on_the_radio_is_refused": refused(
            "incompatible_protocol", "the message is neither signed nor plain", b"\x03\x83" + encode_opaque(PAYLOAD, "request")
        ),
        "a_cam_by_a_digest_nobody_has_seen_is_unknown": refused(
            "signer_certificate_not_found", "has not shown its certificate yet", by_digest
        ),
        "a_cam_of_a_foreign_hierarchy_is_unknown": refused(
            "signer_certificate_not_found", "the issuing authority", seal(strange, CAM)
        ),
        "a_cam_signed_by_itself_is_refused": refused(
            self_signed, "a CAM message cannot be signed by itself", seal(shop.car, CAM, by=SignerKind.SELF)
        ),
        "a_denm_signed_by_itself_is_refused": refused(
            self_signed, "a DENM message cannot be signed by itself", seal(shop.car, DENM, by=SignerKind.SELF)
        ),
        "a_spatem_signed_by_itself_is_refused": refused(
            self_signed, "a generic message cannot be signed by itself", seal(shop.rsu, SPATEM, by=SignerKind.SELF)
        ),
        "a_cam_with_two_certificates_breaks_its_profile": refused(
            "header_profile", "has 2 signer certificates", seal(shop.car, CAM, certificates=2)
        ),
        "a_cam_with_five_certificates_is_malformed": refused("malformed", "signed.signer", seal(shop.car, CAM, certificates=5)),
        "a_cam_with_no_certificate_in_its_list_is_malformed": refused(
            "malformed", "signed.signer", seal(shop.car, CAM, certificates=0)
        ),
        "a_spatem_with_its_chain_beside_its_certificate_breaks_its_profile": refused(
            "header_profile",
            "has 2 signer certificates",
            seal(shop.rsu, SPATEM).replace(
                b"\x81\x01\x01" + shop.rsu.octets, b"\x81\x01\x02" + shop.rsu.octets + shop.aa.certificate.encoded
            ),
        ),
        "a_denm_by_digest_breaks_its_profile": refused(
            "header_profile", "a DENM message is not signed with its certificate", seal(shop.car, DENM, by=SignerKind.DIGEST)
        ),
        "a_cam_around_another_signed_cam_breaks_its_profile": refused(
            "header_profile", "does not carry plain data", seal(shop.car, CAM, tbs=b"\x40" + inner + header)
        ),
        "a_cam_that_signs_data_elsewhere_too_breaks_its_profile": refused(
            "header_profile", "signs external data", seal(shop.car, CAM, tbs=b"\x60" + PLAIN + external + tbs[1 + len(PLAIN) :])
        ),
        "a_cam_that_signs_only_data_elsewhere_breaks_its_profile": refused(
            "header_profile", "does not carry plain data", seal(shop.car, CAM, tbs=b"\x20" + external + header)
        ),
    }


def _encryption_key(shop: Workshop) -> EncryptionKey:
    return EncryptionKey(curve=Curve.NIST_P256, point=shop.car.signer.public_key.point)


def _y_of(x: bytes) -> bytes:
    """Return a y that belongs to an x on P-256."""
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x03" + x)
    return key.public_numbers().y.to_bytes(32, "big")


def _uncompressed(pen: Pen) -> Pen:
    """Return the same ticket with its key written out; it is hashed as if it were not."""
    numbers = pen.signer.public_key.native.public_numbers()
    x, y = (number.to_bytes(32, "big") for number in (numbers.x, numbers.y))
    point = pen.signer.public_key.point
    octets = pen.octets.replace(bytes((0x80, 0x80 | point.form.value)) + x, b"\x80\x84" + x + y)
    assert decode_certificate(octets).canonical == pen.canonical != octets
    return Pen(octets, pen.canonical, pen.signer)


def _with_latitude(header: bytes) -> bytes:
    """Return a header whose location lies 100 degrees north."""
    lat = IN_TURIN.location.lat if IN_TURIN.location is not None else 0
    return header.replace(lat.to_bytes(4, "big", signed=True), (1_000_000_000).to_bytes(4, "big"))
