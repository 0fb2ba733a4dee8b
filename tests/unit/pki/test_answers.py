"""What a station refuses to believe of an answer, whoever made it; `test_enrolment` and `test_authorization` open honest ones."""

from dataclasses import replace

import pytest

from shared.core.errors import DecodeError, VerificationError
from shared.core.geo import GeoPoint
from shared.core.ids import ItsAid
from shared.core.itstime import Time32, Time64
from shared.core.report import VerificationReport as Report
from shared.pki.authority import AuthorityCredential, hours
from shared.pki.authorization import PendingAuthorization
from shared.pki.enrolment import PendingEnrolment
from shared.pki.exchange import Randomness, seal_answer, sign_external
from shared.pki.management import InnerAtResponse, InnerEcResponse, ManagementMessage, encode_management
from shared.pki.permission_sets import AA_ISSUE_PERMISSIONS, TICKET_PERMISSIONS, StationRole
from shared.pki.response_codes import AuthorizationResponseCode, EnrolmentResponseCode
from shared.security.certificate import Certificate, ToBeSignedCertificate, issue_certificate
from shared.security.ecdsa import Curve
from shared.security.ecies import DecryptionError, decrypt_under, encrypt_under
from shared.security.encrypted_data import EncryptedData
from shared.security.encryption_key import EncryptionKey
from shared.security.hashing import HashAlgorithm, signed_digest
from shared.security.header_info import HeaderInfo, encode_header
from shared.security.permissions import PsidSsp
from shared.security.region import CircularRegion, Location
from shared.security.secured_data import (
    SignerIdentifier,
    SignerKind,
    decode_secured_data,
    encode_encrypted_data,
    encode_signed_data,
    encode_unsecured,
)
from tests.helpers.desks import Desks, seeded, signed_as

TURIN = CircularRegion(centre=Location.of(GeoPoint(45.07, 7.68)), radius_m=10_000)
MILAN = CircularRegion(centre=Location.of(GeoPoint(45.46, 9.19)), radius_m=10_000)
RANDOMNESS: Randomness = seeded(200)

DESKS = Desks(201)
AA = DESKS.hierarchy.aa.credential
EA = DESKS.hierarchy.ea.credential
CREDENTIAL = DESKS.enrol()
KEY = DESKS.key()
PENDING = DESKS.authorization(CREDENTIAL, KEY, attributes=replace(DESKS.wanted(), region=TURIN))
ANSWER = DESKS.authorize(PENDING.request)
TICKET = PENDING.open(ANSWER, DESKS.now)
GRANTED = InnerAtResponse(request_hash=PENDING.sealed.request_hash, code=AuthorizationResponseCode.OK, certificate=TICKET)
HEADER = HeaderInfo(psid=ItsAid.CERTIFICATE_REQUEST, generation_time=DESKS.now_time64)


def answered(
    response: ManagementMessage, credential: AuthorityCredential = AA, *, pending: PendingAuthorization = PENDING, after_s: int = 0
) -> bytes:
    """Answer a request as whoever holds a credential, and knows the request's key."""
    at = Time64(DESKS.now_time64 + after_s * 1_000_000)
    return seal_answer(response, key=pending.sealed.key, credential=credential, at=at, randomness=RANDOMNESS)


def under_the_key(plaintext: bytes) -> bytes:
    return encode_encrypted_data(encrypt_under(plaintext, key=PENDING.sealed.key, nonce=RANDOMNESS.entropy(12)))


def refused(answer: bytes, pending: PendingAuthorization | PendingEnrolment = PENDING) -> tuple[Report, str]:
    with pytest.raises(VerificationError) as caught:
        pending.open(answer, DESKS.now)
    return caught.value.report, str(caught.value)


def with_ticket(certificate: Certificate, pending: PendingAuthorization = PENDING) -> bytes:
    """Grant some certificate."""
    granted = replace(GRANTED, request_hash=pending.sealed.request_hash, certificate=certificate)
    return answered(granted, pending=pending)


def reissued(tbs: ToBeSignedCertificate) -> Certificate:
    """Issue what the authority itself would refuse to issue."""
    return issue_certificate(tbs, issuer=AA.certificate, signer=AA.signer)


def test_an_honest_answer_is_believed() -> None:
    assert PENDING.open(answered(GRANTED), DESKS.now) == TICKET


def test_an_answer_cut_short_lengthened_or_with_a_flipped_bit_is_malformed() -> None:
    for length in range(len(ANSWER)):
        with pytest.raises(DecodeError):
            PENDING.open(ANSWER[:length], DESKS.now)
    with pytest.raises(DecodeError, match="follow the value"):
        PENDING.open(ANSWER + b"\x00", DESKS.now)
    for bit in range(8 * len(ANSWER)):
        flipped = bytearray(ANSWER)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        with pytest.raises(DecodeError):
            PENDING.open(bytes(flipped), DESKS.now)


def test_an_answer_under_another_key_or_none_is_not_opened() -> None:
    other = DESKS.authorization(CREDENTIAL, DESKS.key())
    with pytest.raises(DecryptionError, match="cannot be opened"):
        other.open(ANSWER, DESKS.now)
    content = decode_secured_data(ANSWER).content
    assert isinstance(content, EncryptedData)
    plain = decrypt_under(content, key=PENDING.sealed.key)
    with pytest.raises(DecodeError, match="not encrypted"):
        PENDING.open(plain, DESKS.now)


def test_an_answer_to_another_request_is_not_believed() -> None:
    report, sentence = refused(answered(replace(GRANTED, request_hash=bytes(16))))
    assert (report, sentence) == (Report.CONTENT_MISMATCH, "the authority answered another request")


def test_an_answer_of_another_authority_is_not_believed() -> None:
    report, sentence = refused(answered(GRANTED, EA))
    assert report is Report.SIGNER_CERTIFICATE_NOT_FOUND
    assert AA.certificate.hashed_id8.hex() in sentence
    elsewhere = Desks(202).hierarchy.aa.credential
    assert refused(answered(GRANTED, elsewhere))[0] is Report.SIGNER_CERTIFICATE_NOT_FOUND


def test_an_authority_without_that_right_cannot_answer() -> None:
    pending = replace(PENDING, authority=EA.certificate)
    assert refused(answered(GRANTED, EA), pending)[0] is Report.PERMISSION_DENIED
    enrolment = replace(DESKS.enrolment(DESKS.key()), authority=AA.certificate)
    answer = seal_answer(
        InnerEcResponse(request_hash=enrolment.sealed.request_hash, code=EnrolmentResponseCode.DENIED_REQUEST),
        key=enrolment.sealed.key,
        credential=AA,
        at=DESKS.now_time64,
        randomness=RANDOMNESS,
    )
    assert refused(answer, enrolment)[0] is Report.PERMISSION_DENIED


@pytest.mark.parametrize(
    "ssp", [PsidSsp(psid=623), PsidSsp(psid=623, ssp=b"\x02\x32"), PsidSsp(psid=623, ssp=b"\x01"), PsidSsp(psid=36)]
)
def test_a_right_of_unknown_form_is_none(ssp: PsidSsp) -> None:
    certificate = issue_certificate(replace(AA.certificate.tbs, app_permissions=(ssp,)), issuer=None, signer=AA.signer)
    credential = AuthorityCredential(certificate=certificate, signer=AA.signer)
    assert refused(answered(GRANTED, credential), replace(PENDING, authority=certificate))[0] is Report.PERMISSION_DENIED


@pytest.mark.parametrize("after_s", [-301, 301])
def test_an_answer_dated_far_from_now_is_not_believed(after_s: int) -> None:
    assert refused(answered(GRANTED, after_s=after_s))[0] is Report.INVALID_TIMESTAMP


def test_an_authority_that_has_expired_cannot_answer() -> None:
    expired = issue_certificate(
        replace(AA.certificate.tbs, validity=hours(DESKS.hierarchy.start, 1)), issuer=None, signer=AA.signer
    )
    credential = AuthorityCredential(certificate=expired, signer=AA.signer)
    assert refused(answered(GRANTED, credential), replace(PENDING, authority=expired))[0] is Report.EXPIRED_CERTIFICATE


def test_an_answer_signed_with_another_key_is_not_believed() -> None:
    forged = signed_as(encode_management(GRANTED), DESKS.key(), header=HEADER, certificate=AA.certificate)
    assert refused(under_the_key(forged))[0] is Report.FALSE_SIGNATURE
    genuine = signed_as(encode_management(GRANTED), AA.signer, header=HEADER, certificate=AA.certificate)
    assert PENDING.open(under_the_key(genuine), DESKS.now) == TICKET
    named_wrongly = genuine[:2] + b"\x01" + genuine[3:]
    assert refused(under_the_key(named_wrongly)) == (
        Report.FALSE_SIGNATURE,
        "the message names a hash that does not belong to the key",
    )
    other_hash = signed_as(encode_management(GRANTED), DESKS.key(Curve.NIST_P384), header=HEADER, certificate=AA.certificate)
    assert refused(under_the_key(other_hash))[0] is Report.FALSE_SIGNATURE


def signed_with_a_hash_too(message: bytes) -> bytes:
    """Sign a message, and the hash of some other data beside it."""
    data = encode_unsecured(message)
    tbs = b"\x60" + data + b"\x80" + bytes(32) + encode_header(HEADER)
    digest = signed_digest(HashAlgorithm.SHA256, HashAlgorithm.SHA256.digest(tbs), AA.certificate.canonical)
    named = SignerIdentifier(kind=SignerKind.DIGEST, digest=AA.certificate.hashed_id8)
    return encode_signed_data(
        hash_algorithm=HashAlgorithm.SHA256, tbs_encoded=tbs, signer=named, signature=AA.signer.sign_digest(digest)
    )


def test_an_answer_that_breaks_the_profile_is_not_believed() -> None:
    message = encode_management(GRANTED)

    def by_aa(header: HeaderInfo = HEADER, named: SignerIdentifier | None = None) -> bytes:
        return signed_as(message, AA.signer, header=header, certificate=AA.certificate, named=named)

    by_two = SignerIdentifier(kind=SignerKind.CERTIFICATE, certificates=(AA.certificate, AA.certificate))
    for plaintext, report in (
        (encode_unsecured(message), Report.UNSIGNED_MESSAGE),
        (sign_external(bytes(32), signer=AA.signer, certificate=AA.certificate, at=DESKS.now_time64), Report.HEADER_PROFILE),
        (signed_with_a_hash_too(message), Report.HEADER_PROFILE),
        (by_aa(replace(HEADER, psid=ItsAid.CTL)), Report.INCOMPATIBLE_PROTOCOL),
        (by_aa(HeaderInfo(psid=ItsAid.CERTIFICATE_REQUEST)), Report.HEADER_PROFILE),
        (by_aa(replace(HEADER, expiry_time=DESKS.now_time64)), Report.HEADER_PROFILE),
        (by_aa(named=SignerIdentifier(kind=SignerKind.SELF)), Report.UNSUPPORTED_SIGNER_IDENTIFIER_TYPE),
        (by_aa(named=by_two), Report.UNSUPPORTED_SIGNER_IDENTIFIER_TYPE),
    ):
        assert refused(under_the_key(plaintext))[0] is report


def test_an_authority_may_show_its_certificate_in_place_of_the_digest() -> None:
    named = SignerIdentifier(kind=SignerKind.CERTIFICATE, certificates=(AA.certificate,))
    plaintext = signed_as(encode_management(GRANTED), AA.signer, header=HEADER, certificate=AA.certificate, named=named)
    assert PENDING.open(under_the_key(plaintext), DESKS.now) == TICKET


def test_a_message_of_another_kind_is_no_answer() -> None:
    other = InnerEcResponse(request_hash=PENDING.sealed.request_hash, code=EnrolmentResponseCode.DENIED_REQUEST)
    assert refused(answered(other)) == (Report.CONTENT_MISMATCH, "the authority answered with a message of another kind")
    broken = signed_as(b"\x01\x83\x80", AA.signer, header=HEADER, certificate=AA.certificate)
    with pytest.raises(DecodeError, match="extensions"):
        PENDING.open(under_the_key(broken), DESKS.now)


def test_a_ticket_for_another_key_is_not_taken() -> None:
    other = DESKS.key()
    swapped = reissued(replace(TICKET.tbs, verification_key=other.public_key.point))
    assert refused(with_ticket(swapped))[0] is Report.CONTENT_MISMATCH
    on_another_curve = DESKS.key(Curve.BRAINPOOL_P256R1)
    tbs = replace(TICKET.tbs, curve=on_another_curve.curve, verification_key=on_another_curve.public_key.point)
    assert refused(with_ticket(reissued(tbs)))[0] is Report.CONTENT_MISMATCH


def test_a_ticket_with_another_encryption_key_than_asked_for_is_not_taken() -> None:
    asked, other = (
        EncryptionKey(curve=Curve.NIST_P256, point=DESKS.key().public_key.point),
        EncryptionKey(curve=Curve.NIST_P256, point=DESKS.key().public_key.point),
    )
    assert refused(with_ticket(reissued(replace(TICKET.tbs, encryption_key=other))))[0] is Report.CONTENT_MISMATCH
    pending = DESKS.authorization(CREDENTIAL, KEY, encryption_key=asked)
    for key in (None, other):
        certificate = reissued(replace(TICKET.tbs, encryption_key=key))
        assert refused(with_ticket(certificate, pending), pending)[0] is Report.CONTENT_MISMATCH
    good = reissued(replace(TICKET.tbs, encryption_key=asked))
    assert pending.open(with_ticket(good, pending), DESKS.now) == good


def test_a_ticket_with_more_than_was_asked_for_is_not_taken() -> None:
    tbs = TICKET.tbs
    for more, what in (
        (replace(tbs, app_permissions=TICKET_PERMISSIONS[StationRole.RSU]), "permissions"),
        (replace(tbs, app_permissions=(*(tbs.app_permissions or ()), PsidSsp(psid=ItsAid.SSEM, ssp=b"\x01"))), "permissions"),
        (replace(tbs, cert_issue_permissions=AA_ISSUE_PERMISSIONS), "permissions to issue"),
        (replace(tbs, validity=hours(DESKS.now_s, 169)), "validity"),
        (replace(tbs, validity=hours(Time32(DESKS.now_s - 1), 1)), "validity"),
        (replace(tbs, region=None), "region"),
        (replace(tbs, region=MILAN), "region"),
    ):
        report, sentence = refused(with_ticket(reissued(more)))
        assert report is Report.PERMISSION_DENIED
        assert sentence.startswith(f"the {what}")


def test_a_ticket_with_less_than_was_asked_for_is_taken() -> None:
    less = replace(
        TICKET.tbs,
        app_permissions=(PsidSsp(psid=ItsAid.CAM, ssp=b"\x01\x00\x00"),),
        validity=hours(Time32(DESKS.now_s + 3_600), 1),
        region=replace(TURIN, radius_m=100),
    )
    certificate = reissued(less)
    assert PENDING.open(with_ticket(certificate), DESKS.now) == certificate


def test_a_ticket_issued_by_somebody_else_is_not_taken() -> None:
    by_root = issue_certificate(TICKET.tbs, issuer=DESKS.hierarchy.root.certificate, signer=DESKS.hierarchy.root.credential.signer)
    report, sentence = refused(with_ticket(by_root))
    assert report is Report.INVALID_CERTIFICATE
    assert sentence == "the certificate is issued by another authority than the one that answered"
    forger = DESKS.key()
    fake = replace(AA.certificate, tbs=replace(AA.certificate.tbs, verification_key=forger.public_key.point))
    forged = issue_certificate(TICKET.tbs, issuer=fake, signer=forger)
    assert forged.issuer.hashed_id8 == AA.certificate.hashed_id8
    report, sentence = refused(with_ticket(forged))
    assert (report, sentence) == (Report.INVALID_CERTIFICATE, "the authority's signature on the certificate does not hold")


def test_a_ticket_its_authority_may_not_issue_is_not_taken() -> None:
    foreign = (PsidSsp(psid=ItsAid.CERTIFICATE_REQUEST, ssp=b"\x01\xc0"),)
    pending = DESKS.authorization(CREDENTIAL, KEY, attributes=replace(DESKS.wanted(), app_permissions=foreign))
    certificate = reissued(replace(TICKET.tbs, app_permissions=foreign))
    assert refused(with_ticket(certificate, pending), pending)[0] is Report.INCONSISTENT_CHAIN
    long_ago = replace(DESKS.wanted(), validity=hours(Time32(DESKS.hierarchy.start - 3_600), 168))
    pending = DESKS.authorization(CREDENTIAL, KEY, attributes=long_ago)
    certificate = reissued(replace(TICKET.tbs, validity=long_ago.validity or TICKET.validity))
    assert refused(with_ticket(certificate, pending), pending)[0] is Report.INCONSISTENT_CHAIN


def test_a_ticket_that_has_run_out_is_not_taken() -> None:
    wanted = replace(DESKS.wanted(), validity=hours(DESKS.hierarchy.start, 168))
    pending = DESKS.authorization(CREDENTIAL, KEY, attributes=wanted)
    certificate = reissued(replace(TICKET.tbs, validity=hours(DESKS.hierarchy.start, 3)))
    assert refused(with_ticket(certificate, pending), pending)[0] is Report.EXPIRED_CERTIFICATE


def test_a_replayed_answer_of_last_week_is_not_believed() -> None:
    later_desks = Desks(201)
    later_desks.pass_time(7 * 86_400)
    with pytest.raises(VerificationError) as caught:
        PENDING.open(ANSWER, later_desks.now)
    assert caught.value.report is Report.INVALID_TIMESTAMP
