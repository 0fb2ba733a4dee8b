from dataclasses import replace

import pytest

from shared.core.geo import GeoPoint
from shared.core.ids import ItsAid
from shared.core.itstime import Time32, Time64
from shared.pki.authority import hours, years
from shared.pki.desk import ANSWER_KEPT_S, MAX_RECENT_REFUSALS
from shared.pki.enrolment import PendingEnrolment, credential_attributes, make_enrolment_request
from shared.pki.exchange import MAX_CLOCK_DIFFERENCE_US, seal_request, sign_external, sign_payload
from shared.pki.management import (
    EnrolmentRequest,
    InnerEcRequest,
    InnerEcResponse,
    encode_inner_ec_request,
    encode_management,
)
from shared.pki.permission_sets import EA_ISSUE_PERMISSIONS, TICKET_PERMISSIONS, StationRole
from shared.pki.policy import MAX_CREDENTIAL_LIFETIME_S, MAX_PRELOAD_S
from shared.pki.registry import StationStatus
from shared.pki.response_codes import AuthorityRefusal, ResponseCode
from shared.pki.response_codes import EnrolmentResponseCode as Code
from shared.pki.subject import CertificateSubjectAttributes, PublicKeys
from shared.security.certificate import CertificateId, IdKind
from shared.security.ecdsa import Curve, Signer, SoftwareSigner
from shared.security.encryption_key import EncryptionKey
from shared.security.header_info import HeaderInfo
from shared.security.permissions import PsidSsp
from shared.security.region import CircularRegion, Location
from shared.security.secured_data import (
    SignerIdentifier,
    SignerKind,
    decode_secured_data,
    encode_unsecured,
)
from shared.security.sign import TicketCredential
from tests.helpers.desks import ITS_ID, Desks, later, off_curve, signed_as
from tests.helpers.hierarchy import Hierarchy

TURIN = CircularRegion(centre=Location.of(GeoPoint(45.07, 7.68)), radius_m=10_000)


def sealed(desks: Desks, plaintext: bytes, key: SoftwareSigner) -> PendingEnrolment:
    """Encrypt anything to the authority, as a station with `key` would."""
    return PendingEnrolment(
        sealed=seal_request(plaintext, recipient=desks.hierarchy.ea.certificate, randomness=desks.randomness),
        authority=desks.hierarchy.ea.certificate,
        keys=PublicKeys.of(key.public_key),
        attributes=credential_attributes(),
    )


def refusal(desks: Desks, pending: PendingEnrolment) -> ResponseCode:
    """Return the code of the refusal the authority answers, opened and verified by the station."""
    issued = len(desks.registry.credentials)
    answer = desks.ea.answer(pending.request, desks.now)
    with pytest.raises(AuthorityRefusal) as caught:
        pending.open(answer, desks.now)
    assert len(desks.registry.credentials) == issued
    assert desks.ea.record.refusals[-1].word == caught.value.code
    assert desks.ea.record.refusals[-1].reason
    return caught.value.answer


def request_of(
    desks: Desks,
    key: SoftwareSigner,
    *,
    inner: InnerEcRequest | None = None,
    proof_by: Signer | None = None,
    proof_header: HeaderInfo | None = None,
    proof_named: SignerIdentifier | None = None,
    outer_header: HeaderInfo | None = None,
) -> PendingEnrolment:
    """Make a request by hand, wrong where told to be."""
    default = InnerEcRequest(its_id=ITS_ID, keys=PublicKeys.of(key.public_key), attributes=credential_attributes())
    header = HeaderInfo(psid=ItsAid.CERTIFICATE_REQUEST, generation_time=desks.now_time64)
    proof = signed_as(encode_inner_ec_request(inner or default), proof_by or key, header=proof_header or header, named=proof_named)
    message = encode_management(EnrolmentRequest(proof=decode_secured_data(proof)))
    return sealed(desks, signed_as(message, desks.canonical, header=outer_header or header), key)


def test_octets_whose_answer_is_forgotten_are_too_old() -> None:
    desks = Desks(49)
    early = later(desks.now, MAX_CLOCK_DIFFERENCE_US // 1_000_000)
    pending = make_enrolment_request(
        its_id=ITS_ID,
        canonical_key=desks.canonical,
        key=desks.key(),
        authority=desks.hierarchy.ea.certificate,
        attributes=credential_attributes(),
        now=early,
        randomness=desks.randomness,
    )
    desks.ea.answer(pending.request, desks.now)
    desks.pass_time(ANSWER_KEPT_S)
    desks.registry.forget(desks.now_s)
    assert not desks.registry.answers
    assert refusal(desks, pending) is Code.DENIED_REQUEST


def test_a_refusal_is_not_kept_so_an_unblocked_station_need_not_ask_anew() -> None:
    desks = Desks(50)
    pending = desks.enrolment(desks.key())
    desks.set_station(status=StationStatus.BLOCKED)
    assert refusal(desks, pending) is Code.BAD_ITS_STATUS
    assert not desks.registry.answers
    desks.set_station()
    pending.open(desks.ea.answer(pending.request, desks.now), desks.now)


def test_unreadable_requests_are_answered_cantparse() -> None:
    desks = Desks(51)
    key = desks.key()
    at = desks.now_time64
    inner = sign_payload(b"\x00\x00", signer=key, certificate=None, at=at)
    for plaintext in (
        b"",
        b"\x03\x80\x05",
        sign_payload(b"\x02\x80", signer=key, certificate=None, at=at),
        sign_payload(b"\x01\x80\x03", signer=key, certificate=None, at=at),
        sign_payload(b"\x01\x80" + inner, signer=key, certificate=None, at=at),
    ):
        assert refusal(desks, sealed(desks, plaintext, key)) is Code.CANT_PARSE


def test_other_messages_are_answered_badcontenttype() -> None:
    desks = Desks(52)
    key = desks.key()
    message = encode_management(InnerEcResponse(request_hash=bytes(16), code=Code.UNKNOWN_ITS))
    plaintext = sign_payload(message, signer=desks.canonical, certificate=None, at=desks.now_time64)
    assert refusal(desks, sealed(desks, plaintext, key)) is Code.BAD_CONTENT_TYPE


def test_a_station_nobody_registered_is_answered_unknownits() -> None:
    desks = Desks(53)
    assert refusal(desks, desks.enrolment(desks.key(), its_id=b"car 8")) is Code.UNKNOWN_ITS


def test_a_credential_of_another_authority_is_answered_unknownits() -> None:
    desks, elsewhere = Desks(54), Desks(55)
    assert refusal(desks, desks.renewal(elsewhere.enrol(), desks.key())) is Code.UNKNOWN_ITS


def test_a_credential_whose_station_was_removed_is_answered_unknownits() -> None:
    desks = Desks(54)
    credential = desks.enrol()
    del desks.registry.stations[ITS_ID]
    assert refusal(desks, desks.renewal(credential, desks.key())) is Code.UNKNOWN_ITS


def test_signatures_by_other_keys_are_answered_invalidsignature() -> None:
    desks = Desks(56)
    key = desks.key()
    assert refusal(desks, desks.enrolment(key, canonical=desks.key())) is Code.INVALID_SIGNATURE
    assert refusal(desks, desks.enrolment(key, canonical=key)) is Code.INVALID_SIGNATURE
    assert refusal(desks, desks.enrolment(key, canonical=desks.key(Curve.NIST_P384))) is Code.INVALID_SIGNATURE
    credential = desks.enrol()
    stolen = replace_signer(credential, desks.key())
    assert refusal(desks, desks.renewal(stolen, key)) is Code.INVALID_SIGNATURE


def replace_signer(credential: TicketCredential, signer: Signer) -> TicketCredential:
    """Pair a certificate with a key that is not its own, as only a thief of certificates would."""
    pair = TicketCredential.__new__(TicketCredential)
    object.__setattr__(pair, "certificate", credential.certificate)
    object.__setattr__(pair, "signer", signer)
    return pair


def test_a_key_the_station_does_not_hold_is_answered_invalidsignature() -> None:
    desks = Desks(57)
    assert refusal(desks, request_of(desks, desks.key(), proof_by=desks.key())) is Code.INVALID_SIGNATURE


def test_an_encryption_key_off_its_curve_is_answered_invalidencryptionkey() -> None:
    desks = Desks(58)
    key = desks.key()
    for curve in (Curve.NIST_P256, Curve.BRAINPOOL_P256R1):
        keys = PublicKeys.of(key.public_key, EncryptionKey(curve=curve, point=off_curve(curve)))
        inner = InnerEcRequest(its_id=ITS_ID, keys=keys, attributes=credential_attributes())
        assert refusal(desks, request_of(desks, key, inner=inner)) is Code.INVALID_ENCRYPTION_KEY


@pytest.mark.parametrize("curve", list(Curve))
def test_a_verification_key_off_its_curve_is_answered_invalidkeys(curve: Curve) -> None:
    desks = Desks(59)
    keys = PublicKeys(curve=curve, verification_key=off_curve(curve))
    inner = InnerEcRequest(its_id=ITS_ID, keys=keys, attributes=credential_attributes())
    assert refusal(desks, request_of(desks, desks.key(), inner=inner)) is Code.INVALID_KEYS


def test_a_blocked_station_is_answered_baditsstatus_at_first_and_later() -> None:
    desks = Desks(60)
    credential = desks.enrol()
    desks.set_station(status=StationStatus.BLOCKED)
    assert refusal(desks, desks.enrolment(desks.key())) is Code.BAD_ITS_STATUS
    assert refusal(desks, desks.renewal(credential, desks.key())) is Code.BAD_ITS_STATUS


def test_the_status_is_told_only_to_the_station_itself() -> None:
    desks = Desks(61)
    desks.set_station(status=StationStatus.BLOCKED)
    assert refusal(desks, desks.enrolment(desks.key(), canonical=desks.key())) is Code.INVALID_SIGNATURE


def test_requests_that_lack_something_are_answered_incompleterequest() -> None:
    desks = Desks(62)
    key = desks.key()
    header = HeaderInfo(psid=ItsAid.CERTIFICATE_REQUEST, generation_time=desks.now_time64)
    by_name = SignerIdentifier(kind=SignerKind.DIGEST, digest=desks.hierarchy.ea.certificate.hashed_id8)
    external = sign_external(bytes(32), signer=key, certificate=desks.hierarchy.ea.certificate, at=desks.now_time64)
    wanting_nothing = CertificateSubjectAttributes(validity=years(desks.now_s, 3))
    for pending in (
        sealed(desks, encode_unsecured(b"\x01\x80"), key),
        sealed(desks, external, key),
        request_of(desks, key, outer_header=HeaderInfo(psid=ItsAid.CERTIFICATE_REQUEST)),
        request_of(desks, key, outer_header=replace(header, expiry_time=desks.now_time64)),
        request_of(desks, key, outer_header=replace(header, psid=ItsAid.CAM)),
        request_of(desks, key, proof_header=HeaderInfo(psid=ItsAid.CERTIFICATE_REQUEST)),
        request_of(desks, key, proof_named=by_name),
        desks.enrolment(key, attributes=wanting_nothing),
    ):
        assert refusal(desks, pending) is Code.INCOMPLETE_REQUEST


def test_more_than_a_credential_is_answered_deniedpermissions() -> None:
    desks = Desks(63)
    more = credential_attributes()
    for attributes in (
        replace(more, app_permissions=TICKET_PERMISSIONS[StationRole.VEHICLE]),
        replace(more, app_permissions=(PsidSsp(psid=ItsAid.CERTIFICATE_REQUEST, ssp=b"\x01\xe0"),)),
        replace(more, app_permissions=(PsidSsp(psid=ItsAid.CERTIFICATE_REQUEST, ssp=b"\x02\xc0"),)),
        replace(more, app_permissions=(PsidSsp(psid=ItsAid.CERTIFICATE_REQUEST),)),
        replace(more, cert_issue_permissions=EA_ISSUE_PERMISSIONS),
        replace(more, id=CertificateId(kind=IdKind.BINARY, octets=b"\x07")),
    ):
        assert refusal(desks, desks.enrolment(desks.key(), attributes=attributes)) is Code.DENIED_PERMISSIONS


def test_a_region_beyond_the_authoritys_is_answered_deniedpermissions() -> None:
    desks = Desks(64)
    desks.hierarchy = Hierarchy(64, region=TURIN)
    desks.ea = desks.ea_desk(desks.hierarchy.trust_store)
    milan = CircularRegion(centre=Location.of(GeoPoint(45.46, 9.19)), radius_m=10_000)
    attributes = credential_attributes(region=milan)
    assert refusal(desks, desks.enrolment(desks.key(), attributes=attributes)) is Code.DENIED_PERMISSIONS


def test_a_credential_without_that_right_cannot_renew_itself() -> None:
    desks = Desks(65)
    key = desks.key()
    certificate = desks.hierarchy.ea.issue_credential(
        public_key=key.public_key,
        validity=years(desks.hierarchy.start, 3),
        permissions=(PsidSsp(psid=ItsAid.CERTIFICATE_REQUEST, ssp=b"\x01\x40"),),
    )
    desks.registry.keep_credential(ITS_ID, certificate)
    credential = TicketCredential(certificate=certificate, signer=key)
    assert refusal(desks, desks.renewal(credential, desks.key())) is Code.DENIED_PERMISSIONS


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_request_dated_far_from_now_is_answered_deniedrequest(seconds: int) -> None:
    desks = Desks(66)
    key = desks.key()
    then = HeaderInfo(psid=ItsAid.CERTIFICATE_REQUEST, generation_time=Time64(desks.now_time64 + seconds * 1_000_000))
    assert refusal(desks, request_of(desks, key, outer_header=then)) is Code.DENIED_REQUEST
    assert refusal(desks, request_of(desks, key, proof_header=then)) is Code.DENIED_REQUEST


@pytest.mark.parametrize("seconds", [-299, 299])
def test_a_request_dated_not_quite_now_is_served(seconds: int) -> None:
    desks = Desks(67)
    key = desks.key()
    then = HeaderInfo(psid=ItsAid.CERTIFICATE_REQUEST, generation_time=Time64(desks.now_time64 + seconds * 1_000_000))
    pending = request_of(desks, key, outer_header=then, proof_header=then)
    pending.open(desks.ea.answer(pending.request, desks.now), desks.now)


def test_a_revoked_expired_or_misnamed_credential_is_answered_deniedrequest() -> None:
    desks = Desks(68)
    credential = desks.enrol()
    other = desks.enrol()
    key = desks.key()
    inner = InnerEcRequest(
        its_id=other.certificate.hashed_id8, keys=PublicKeys.of(key.public_key), attributes=credential_attributes()
    )
    proof = sign_payload(encode_inner_ec_request(inner), signer=key, certificate=None, at=desks.now_time64)
    message = encode_management(EnrolmentRequest(proof=decode_secured_data(proof)))
    outer = sign_payload(message, signer=credential.signer, certificate=credential.certificate, at=desks.now_time64)
    assert refusal(desks, sealed(desks, outer, key)) is Code.DENIED_REQUEST
    desks.revoke(credential)
    assert refusal(desks, desks.renewal(credential, desks.key())) is Code.DENIED_REQUEST
    desks.pass_time(MAX_CREDENTIAL_LIFETIME_S + 3_600)
    assert refusal(desks, desks.renewal(other, desks.key())) is Code.DENIED_REQUEST


def test_a_time_that_is_over_empty_or_too_far_ahead_is_answered_deniedrequest() -> None:
    desks = Desks(69)
    for start, count in ((-7_200, 1), (-5_400, 1), (-3_000, 0), (MAX_PRELOAD_S + 60, 24), (9 * 31_556_952, 24)):
        validity = hours(Time32(desks.now_s + start), count)
        pending = desks.enrolment(desks.key(), attributes=credential_attributes(validity=validity))
        assert refusal(desks, pending) is Code.DENIED_REQUEST


def test_a_flood_of_refusals_is_remembered_in_bounds() -> None:
    desks = Desks(76)
    for number in range(MAX_RECENT_REFUSALS + 5):
        refusal(desks, desks.enrolment(desks.key(), its_id=b"car %d" % (100 + number)))
    assert len(desks.ea.record.refusals) == MAX_RECENT_REFUSALS
    assert desks.ea.record.answers == {"EnrolmentResponseCode.unknownits": MAX_RECENT_REFUSALS + 5}
