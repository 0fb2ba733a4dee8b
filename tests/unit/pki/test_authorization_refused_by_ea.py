from dataclasses import replace

import pytest

from shared.core.geo import GeoPoint
from shared.core.ids import HashedId8, ItsAid
from shared.core.itstime import Time32, Time64
from shared.pki.authority import hours
from shared.pki.authorization import PendingAuthorization, ticket_attributes
from shared.pki.authorization_desk import AuthorizationCase
from shared.pki.enrolment import credential_attributes
from shared.pki.exchange import (
    ManagementRight,
    open_answer,
    seal_request,
    sign_external,
    sign_payload,
)
from shared.pki.management import (
    AuthorizationValidationRequest,
    AuthorizationValidationResponse,
    EcSignature,
    encode_management,
)
from shared.pki.permission_sets import AA_ISSUE_PERMISSIONS, TICKET_PERMISSIONS, StationRole
from shared.pki.policy import MAX_PARALLEL_TICKETS, GrantPolicy
from shared.pki.registry import StationStatus
from shared.pki.response_codes import AuthorityRefusal, ValidationResponseCode
from shared.pki.response_codes import AuthorizationResponseCode as Code
from shared.security.certificate import CertificateId, IdKind
from shared.security.ecdsa import SoftwareSigner
from shared.security.header_info import HeaderInfo
from shared.security.permissions import PsidSsp
from shared.security.region import CircularRegion, Location
from shared.security.secured_data import decode_secured_data
from shared.security.sign import TicketCredential
from shared.security.trust_store import TrustStore
from tests.helpers.desks import ITS_ID, Desks, signed_as
from tests.helpers.hierarchy import Hierarchy
from tests.helpers.ticket_requests import after_asking, altered, opened

TURIN = CircularRegion(centre=Location.of(GeoPoint(45.07, 7.68)), radius_m=10_000)
MILAN = CircularRegion(centre=Location.of(GeoPoint(45.46, 9.19)), radius_m=10_000)
VEHICLE = TICKET_PERMISSIONS[StationRole.VEHICLE]


def signature_over(desks: Desks, key: SoftwareSigner, credential: TicketCredential, signature: bytes) -> PendingAuthorization:
    """Make a request whose signature under the credential is `signature`, or for octets encrypted to the EA."""
    request = opened(desks, desks.authorization(credential, key))
    return altered(desks, key, replace(request, ec_signature=EcSignature(data=decode_secured_data(signature))))


def to_ea(desks: Desks, octets: bytes) -> bytes:
    return seal_request(octets, recipient=desks.hierarchy.ea.certificate, randomness=desks.randomness).octets


def test_a_signature_that_cannot_be_read_is_answered_ea_aa_cantparse() -> None:
    desks = Desks(106)
    pending = signature_over(desks, desks.key(), desks.enrol(), to_ea(desks, b"\x03\x81\x00"))
    assert after_asking(desks, pending) is Code.EA_CANT_PARSE


def test_a_signature_for_somebody_else_is_answered_ea_aa_imnottherecipient() -> None:
    desks, elsewhere = Desks(107), Desks(108)
    pending = signature_over(desks, desks.key(), desks.enrol(), to_ea(elsewhere, b"\x03"))
    assert after_asking(desks, pending) is Code.EA_NOT_RECIPIENT


def test_a_signature_that_cannot_be_decrypted_is_answered_ea_aa_decryptionfailed() -> None:
    desks = Desks(109)
    octets = to_ea(desks, b"\x03")
    pending = signature_over(desks, desks.key(), desks.enrol(), octets[:-1] + bytes((octets[-1] ^ 1,)))
    assert after_asking(desks, pending) is Code.EA_DECRYPTION_FAILED


def test_an_authorization_authority_that_must_not_be_believed_is_answered_invalidaa() -> None:
    desks = Desks(110)
    credential = desks.enrol()
    other = Hierarchy(111)
    only_ours = TrustStore.of_operator((desks.hierarchy.root.certificate,), (desks.hierarchy.ea.certificate,))
    with_foreign = TrustStore.of_operator(
        (other.root.certificate,), (desks.hierarchy.aa.certificate, desks.hierarchy.ea.certificate)
    )
    for trust_store in (only_ours, with_foreign):
        desks.ea = desks.ea_desk(trust_store)
        assert after_asking(desks, desks.authorization(credential, desks.key())) is Code.INVALID_AA


def validation_refused(desks: Desks, case: AuthorizationCase, plaintext: bytes) -> ValidationResponseCode:
    """Return how the enrolment authority answers a question with other content, made by hand."""
    request = seal_request(plaintext, recipient=desks.hierarchy.ea.certificate, randomness=desks.randomness)
    answer = desks.ea.answer(request.octets, desks.now)
    with pytest.raises(AuthorityRefusal) as caught:
        raise_refusal(desks, replace(case, sealed=request), answer)
    assert isinstance(caught.value.answer, ValidationResponseCode)
    return caught.value.answer


def raise_refusal(desks: Desks, case: AuthorizationCase, answer: bytes) -> None:
    response = open_answer(
        answer,
        request=case.sealed,
        authority=desks.hierarchy.ea.certificate,
        right=ManagementRight.VALIDATION_RESPONSE,
        expected=AuthorizationValidationResponse,
        at=desks.now_time64,
    )
    assert response.confirmed is None
    raise AuthorityRefusal(response.code)


def test_a_question_without_right_signature_or_date_is_refused_by_the_enrolment_authority() -> None:
    desks = Desks(112)
    case = desks.begin(desks.authorization(desks.enrol(), desks.key()).request)
    aa, ea = desks.hierarchy.aa.credential, desks.hierarchy.ea.credential
    question = AuthorizationValidationRequest(shared=case.request.shared, ec_signature=case.request.ec_signature)
    message, at = encode_management(question), desks.now_time64
    header = HeaderInfo(psid=ItsAid.CERTIFICATE_REQUEST, generation_time=at)
    stale = replace(header, generation_time=Time64(at - 301_000_000))
    located = replace(header, expiry_time=at)
    for plaintext, code in (
        (sign_payload(message, signer=desks.key(), certificate=None, at=at), ValidationResponseCode.INVALID_AA),
        (sign_payload(message, signer=ea.signer, certificate=ea.certificate, at=at), ValidationResponseCode.INVALID_AA),
        (sign_payload(message, signer=desks.key(), certificate=aa.certificate, at=at), ValidationResponseCode.INVALID_AA_SIGNATURE),
        (signed_as(message, aa.signer, header=stale, certificate=aa.certificate), ValidationResponseCode.DENIED_REQUEST),
        (signed_as(message, aa.signer, header=located, certificate=aa.certificate), ValidationResponseCode.DENIED_REQUEST),
        (sign_payload(message[:-1], signer=aa.signer, certificate=aa.certificate, at=at), ValidationResponseCode.CANT_PARSE),
    ):
        assert validation_refused(desks, case, plaintext) is code
    assert not desks.registry.grants


def test_a_station_of_another_enrolment_authority_is_answered_wrongea() -> None:
    desks = Desks(113)
    case = desks.begin(desks.authorization(desks.enrol(), desks.key()).request)
    aa = desks.hierarchy.aa.credential
    shared = replace(case.request.shared, ea_id=HashedId8(b"other EA"))
    question = AuthorizationValidationRequest(shared=shared, ec_signature=case.request.ec_signature)
    plaintext = sign_payload(encode_management(question), signer=aa.signer, certificate=aa.certificate, at=desks.now_time64)
    assert validation_refused(desks, case, plaintext) is ValidationResponseCode.WRONG_EA


def test_a_credential_nobody_issued_is_answered_unknownits() -> None:
    desks, elsewhere = Desks(114), Desks(115)
    assert after_asking(desks, desks.authorization(elsewhere.enrol(), desks.key())) is Code.UNKNOWN_ITS


def test_signatures_that_do_not_hold_are_answered_invalidsignature() -> None:
    desks = Desks(116)
    credential, key = desks.enrol(), desks.key()
    request = opened(desks, desks.authorization(credential, key))
    at, certificate = desks.now_time64, credential.certificate
    shared, other = request.shared, replace(request.shared, key_tag=bytes(16))
    header = HeaderInfo(psid=ItsAid.CERTIFICATE_REQUEST, generation_time=at)

    def pending(signature: bytes) -> PendingAuthorization:
        return altered(desks, key, replace(request, ec_signature=EcSignature(data=decode_secured_data(signature))))

    for signature in (
        sign_external(shared.digest(), signer=desks.key(), certificate=certificate, at=at),
        sign_external(other.digest(), signer=credential.signer, certificate=certificate, at=at),
        signed_as(b"no hash", credential.signer, header=header, certificate=certificate),
    ):
        for octets in (signature, to_ea(desks, signature)):
            assert after_asking(desks, pending(octets)) is Code.INVALID_SIGNATURE
    honest = pending(sign_external(shared.digest(), signer=credential.signer, certificate=certificate, at=at))
    honest.open(desks.authorize(honest.request), desks.now)


def test_a_question_for_more_than_a_ticket_is_refused_though_the_authorization_authority_asked_it() -> None:
    desks = Desks(133)
    credential = desks.enrol()
    aa, at, wanted = desks.hierarchy.aa.credential, desks.now_time64, desks.wanted()
    case = desks.begin(desks.authorization(credential, desks.key()).request)
    for attributes, code in (
        (replace(wanted, app_permissions=None), ValidationResponseCode.DENIED_REQUEST),
        (replace(wanted, id=CertificateId(kind=IdKind.NAME, name="car 7")), ValidationResponseCode.DENIED_PERMISSIONS),
        (replace(wanted, cert_issue_permissions=AA_ISSUE_PERMISSIONS), ValidationResponseCode.DENIED_PERMISSIONS),
    ):
        shared = replace(case.request.shared, attributes=attributes)
        signature = sign_external(shared.digest(), signer=credential.signer, certificate=credential.certificate, at=at)
        question = AuthorizationValidationRequest(
            shared=shared, ec_signature=EcSignature(data=decode_secured_data(to_ea(desks, signature)))
        )
        plaintext = sign_payload(encode_management(question), signer=aa.signer, certificate=aa.certificate, at=at)
        assert validation_refused(desks, case, plaintext) is code
    assert not desks.registry.grants


def test_a_signature_is_good_for_one_request_only() -> None:
    desks = Desks(117)
    credential, key = desks.enrol(), desks.key()
    request = opened(desks, desks.authorization(credential, key))
    more = replace(request.shared, attributes=replace(request.shared.attributes, validity=hours(desks.now_s, 167)))
    assert after_asking(desks, altered(desks, key, replace(request, shared=more))) is Code.INVALID_SIGNATURE


def test_a_blocked_station_and_a_revoked_or_expired_credential_are_answered_deniedpermissions() -> None:
    desks = Desks(118)
    credential = desks.enrol()
    desks.set_station(status=StationStatus.BLOCKED)
    assert after_asking(desks, desks.authorization(credential, desks.key())) is Code.EA_DENIED_PERMISSIONS
    assert desks.ea.record.refusals[-1].word == "deniedrequest"
    desks.set_station()
    desks.revoke(credential)
    assert after_asking(desks, desks.authorization(credential, desks.key())) is Code.EA_DENIED_PERMISSIONS
    key = desks.key()
    brief = desks.enrolment(key, attributes=credential_attributes(validity=hours(desks.now_s, 1)))
    expired = TicketCredential(certificate=brief.open(desks.ea.answer(brief.request, desks.now), desks.now), signer=key)
    desks.pass_time(3_600)
    assert after_asking(desks, desks.authorization(expired, desks.key())) is Code.EA_DENIED_PERMISSIONS


def test_an_old_signature_of_the_station_is_answered_deniedpermissions_even_in_a_fresh_request() -> None:
    desks = Desks(119)
    credential, key = desks.enrol(), desks.key()
    request = opened(desks, desks.authorization(credential, key))
    desks.pass_time(301)
    assert after_asking(desks, altered(desks, key, request)) is Code.EA_DENIED_PERMISSIONS
    assert "301 s before our time" in desks.ea.record.refusals[-1].reason


def test_a_credential_without_that_right_gets_no_tickets() -> None:
    desks = Desks(120)
    key = desks.key()
    enrol_only = replace(credential_attributes(), app_permissions=(PsidSsp(psid=ItsAid.CERTIFICATE_REQUEST, ssp=b"\x01\x80"),))
    pending = desks.enrolment(key, attributes=enrol_only)
    credential = TicketCredential(certificate=pending.open(desks.ea.answer(pending.request, desks.now), desks.now), signer=key)
    assert after_asking(desks, desks.authorization(credential, desks.key())) is Code.EA_DENIED_PERMISSIONS


def test_more_than_the_role_allows_is_answered_deniedpermissions() -> None:
    desks = Desks(121)
    credential, wanted = desks.enrol(), desks.wanted()
    for permissions in (
        TICKET_PERMISSIONS[StationRole.RSU],
        (PsidSsp(psid=ItsAid.TLM, ssp=b"\x01\xe0"),),
        (PsidSsp(psid=ItsAid.DENM, ssp=b"\x01\xff\xff\xff"),),
    ):
        pending = desks.authorization(credential, desks.key(), attributes=replace(wanted, app_permissions=permissions))
        assert after_asking(desks, pending) is Code.EA_DENIED_PERMISSIONS


def test_less_than_the_role_allows_is_granted() -> None:
    desks = Desks(122)
    cam_only = (PsidSsp(psid=ItsAid.CAM, ssp=b"\x01\x00\x00"),)
    pending = desks.authorization(desks.enrol(), desks.key(), attributes=replace(desks.wanted(), app_permissions=cam_only))
    assert pending.open(desks.authorize(pending.request), desks.now).tbs.app_permissions == cam_only


@pytest.mark.parametrize(
    ("start", "count"), [(0, 169), (-7_200, 1), (-5_400, 1), (0, 0)], ids=["too long", "long over", "just over", "empty"]
)
def test_a_time_no_ticket_may_have_is_answered_deniedpermissions(start: int, count: int) -> None:
    desks = Desks(123)
    wanted = ticket_attributes(permissions=VEHICLE, validity=hours(Time32(desks.now_s + start), count))
    assert after_asking(desks, desks.authorization(desks.enrol(), desks.key(), attributes=wanted)) is Code.EA_DENIED_PERMISSIONS


def test_a_station_holds_a_hundred_tickets_at_a_time_and_may_have_the_next_week_too() -> None:
    desks = Desks(124)
    credential = desks.enrol()
    for _ in range(MAX_PARALLEL_TICKETS):
        desks.registry.keep_grant(ITS_ID, hours(desks.now_s, 168))
    assert after_asking(desks, desks.authorization(credential, desks.key())) is Code.DENIED_TOO_MANY
    next_week = ticket_attributes(permissions=VEHICLE, validity=hours(Time32(desks.now_s + 168 * 3_600), 168))
    pending = desks.authorization(credential, desks.key(), attributes=next_week)
    pending.open(desks.authorize(pending.request), desks.now)


def test_the_limit_is_reached_by_the_grants_of_the_desk_itself() -> None:
    desks = Desks(125, policy=GrantPolicy(parallel_tickets=2))
    credential = desks.enrol()
    for _ in range(2):
        pending = desks.authorization(credential, desks.key())
        pending.open(desks.authorize(pending.request), desks.now)
    assert after_asking(desks, desks.authorization(credential, desks.key())) is Code.DENIED_TOO_MANY
