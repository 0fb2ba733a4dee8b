from dataclasses import replace

import pytest

from shared.core.clock import Instant
from shared.core.errors import ConfigError, DecodeError, EncodeError, UntrustedTimeError, VerificationError
from shared.core.geo import GeoPoint
from shared.core.ids import HashedId8, ItsAid
from shared.core.itstime import Time32, Time64
from shared.core.report import VerificationReport
from shared.pki.authority import AuthorityCredential, AuthorizationAuthority, hours
from shared.pki.authorization import PendingAuthorization, key_tag, make_authorization_request, ticket_attributes
from shared.pki.authorization_desk import MAX_OPEN_CASES, AuthorizationCase, AuthorizationDesk
from shared.pki.desk import ANSWER_KEPT_S
from shared.pki.enrolment import credential_attributes
from shared.pki.exchange import (
    MAX_CLOCK_DIFFERENCE_US,
    ManagementRight,
    UnanswerableRequest,
    open_answer,
    seal_answer,
    seal_request,
    sign_external,
    sign_payload,
)
from shared.pki.management import (
    AuthorizationValidationRequest,
    AuthorizationValidationResponse,
    EcSignature,
    InnerAtRequest,
    InnerEcResponse,
    ManagementMessage,
    decode_management,
    encode_management,
)
from shared.pki.permission_sets import AA_ISSUE_PERMISSIONS, TICKET_PERMISSIONS, StationRole
from shared.pki.policy import MAX_PARALLEL_TICKETS, MAX_PRELOAD_S, MAX_TICKET_LIFETIME_S, GrantPolicy
from shared.pki.registry import StationStatus
from shared.pki.response_codes import AuthorityRefusal, EnrolmentResponseCode, ValidationResponseCode
from shared.pki.response_codes import AuthorizationResponseCode as Code
from shared.pki.subject import CertificateSubjectAttributes, PublicKeys
from shared.security.certificate import CertificateId, IdKind
from shared.security.chain import ChainVerifier
from shared.security.ecdsa import Curve, SoftwareSigner
from shared.security.ecies import decrypt_as, encrypt_to, is_recipient
from shared.security.encrypted_data import EncryptedData
from shared.security.encryption_key import EncryptionKey
from shared.security.header_info import HeaderInfo
from shared.security.permissions import PsidSsp
from shared.security.region import NO_IDENTIFIED_AREAS, CircularRegion, Location
from shared.security.secured_data import (
    SignedData,
    SignerIdentifier,
    SignerKind,
    UnsecuredData,
    decode_secured_data,
    encode_encrypted_data,
    encode_unsecured,
)
from shared.security.sign import TicketCredential
from shared.security.trust_store import TrustStore
from tests.helpers.desks import ITS_ID, Desks, TokenSigner, authorities, later, off_curve, signed_as
from tests.helpers.hierarchy import Hierarchy

TURIN = CircularRegion(centre=Location.of(GeoPoint(45.07, 7.68)), radius_m=10_000)
MILAN = CircularRegion(centre=Location.of(GeoPoint(45.46, 9.19)), radius_m=10_000)
VEHICLE = TICKET_PERMISSIONS[StationRole.VEHICLE]


def sealed(desks: Desks, plaintext: bytes, key: SoftwareSigner) -> PendingAuthorization:
    """Encrypt anything to the authorization authority, as a station that wants a ticket for `key`."""
    return PendingAuthorization(
        sealed=seal_request(plaintext, recipient=desks.hierarchy.aa.certificate, randomness=desks.randomness),
        authority=desks.hierarchy.aa.certificate,
        keys=PublicKeys.of(key.public_key),
        attributes=desks.wanted(),
    )


def opened(desks: Desks, pending: PendingAuthorization) -> InnerAtRequest:
    """Return what the authorization authority reads in a request."""
    content = decode_secured_data(pending.request).content
    private_key = desks.hierarchy.aa.credential.encryption_key
    assert isinstance(content, EncryptedData)
    assert private_key is not None
    plaintext = decrypt_as(content, certificate=desks.hierarchy.aa.certificate, private_key=private_key).plaintext
    signed = decode_secured_data(plaintext).content
    assert isinstance(signed, SignedData)
    assert signed.payload is not None
    assert isinstance(signed.payload.content, UnsecuredData)
    request = decode_management(signed.payload.content.payload)
    assert isinstance(request, InnerAtRequest)
    return request


def altered(
    desks: Desks, key: SoftwareSigner, request: ManagementMessage, *, header: HeaderInfo | None = None
) -> PendingAuthorization:
    """Sign a message by hand under the ticket's key and encrypt it to the authorization authority."""
    header = header or HeaderInfo(psid=ItsAid.CERTIFICATE_REQUEST, generation_time=desks.now_time64)
    return sealed(desks, signed_as(encode_management(request), key, header=header), key)


def retagged(request: InnerAtRequest, keys: PublicKeys) -> InnerAtRequest:
    """Ask for other keys, with the tag they need."""
    shared = replace(request.shared, key_tag=key_tag(request.hmac_key, keys))
    return replace(request, keys=keys, shared=shared)


def code_of(pending: PendingAuthorization, answer: bytes, now: Instant) -> Code:
    """Return the code of a refusal, as the station reads it."""
    with pytest.raises(AuthorityRefusal) as caught:
        pending.open(answer, now)
    assert isinstance(caught.value.answer, Code)
    return caught.value.answer


def at_once(desks: Desks, pending: PendingAuthorization) -> Code:
    """Return the code of a refusal for which the enrolment authority is not even asked."""
    answer = desks.aa.begin(pending.request, desks.now)
    assert isinstance(answer, bytes)
    assert desks.aa.record.refusals[-1].reason
    return code_of(pending, answer, desks.now)


def after_asking(desks: Desks, pending: PendingAuthorization) -> Code:
    """Return the code of a refusal by the enrolment authority, which counts no ticket for it."""
    granted = len(desks.registry.grants)
    case = desks.begin(pending.request)
    answer = desks.aa.finish(case, desks.ea.answer(case.validation_request, desks.now), desks.now)
    assert len(desks.registry.grants) == granted
    assert desks.ea.record.refusals[-1].reason
    return code_of(pending, answer, desks.now)


@pytest.mark.parametrize("curve", list(Curve))
@pytest.mark.parametrize("encryption_curve", [Curve.NIST_P256, Curve.BRAINPOOL_P256R1])
@pytest.mark.parametrize("hides", [True, False])
def test_an_enrolled_car_gets_a_ticket_that_receivers_believe(curve: Curve, encryption_curve: Curve, *, hides: bool) -> None:
    desks = Desks(81, curve=curve, encryption_curve=encryption_curve, station_curve=curve)
    credential, key = desks.enrol(), desks.key(Curve.NIST_P256)
    pending = desks.authorization(credential, key, hides_credential=hides)
    ticket = pending.open(desks.authorize(pending.request), desks.now)
    chain = ChainVerifier(trust_store=desks.hierarchy.trust_store, areas=NO_IDENTIFIED_AREAS)
    chain.check_ticket(ticket, desks.now_time64)
    assert ticket.tbs.verification_key == key.public_key.point
    assert ticket.tbs.app_permissions == VEHICLE
    assert ticket.validity == desks.wanted().validity
    assert desks.registry.grants == [(ITS_ID, ticket.validity)]


def test_keys_that_only_sign_digests_are_enough() -> None:
    desks = Desks(82)
    key = desks.key()
    enrolment = desks.enrolment(TokenSigner(key))
    certificate = enrolment.open(desks.ea.answer(enrolment.request, desks.now), desks.now)
    credential = TicketCredential(certificate=certificate, signer=TokenSigner(key))
    pending = desks.authorization(credential, TokenSigner(desks.key()))
    pending.open(desks.authorize(pending.request), desks.now)


def test_a_roadside_unit_gets_its_permissions_a_region_and_an_encryption_key() -> None:
    desks = Desks(83, role=StationRole.RSU)
    credential, key, other = desks.enrol(), desks.key(), desks.key(Curve.BRAINPOOL_P256R1)
    pending = desks.authorization(
        credential,
        key,
        attributes=replace(desks.wanted(), region=TURIN),
        encryption_key=EncryptionKey(curve=other.curve, point=other.public_key.point),
    )
    tbs = pending.open(desks.authorize(pending.request), desks.now).tbs
    assert tbs.app_permissions == TICKET_PERMISSIONS[StationRole.RSU]
    assert tbs.region == TURIN
    assert tbs.encryption_key == EncryptionKey(curve=other.curve, point=other.public_key.point)


def test_the_authorization_authority_never_learns_whose_ticket_it_issues() -> None:
    desks = Desks(84)
    credential = desks.enrol()
    pending = desks.authorization(credential, desks.key())
    case = desks.begin(pending.request)
    request = opened(desks, pending)
    hidden = request.ec_signature.data.content
    assert isinstance(hidden, EncryptedData)
    assert is_recipient(hidden, desks.hierarchy.ea.certificate)
    identifier = bytes(credential.certificate.hashed_id8)
    seen = encode_management(request) + case.opened.plaintext + desks.authorize(pending.request)
    assert identifier not in seen
    assert ITS_ID not in seen
    assert identifier in encode_management(opened(desks, desks.authorization(credential, desks.key(), hides_credential=False)))
    kept = b"".join(answer for answer, _ in desks.answers.answers.values())
    assert kept
    assert identifier not in kept


def test_the_enrolment_authority_never_learns_the_key_of_a_ticket() -> None:
    desks = Desks(85)
    key = desks.key()
    case = desks.begin(desks.authorization(desks.enrol(), key).request)
    content = decode_secured_data(case.validation_request).content
    private_key = desks.hierarchy.ea.credential.encryption_key
    assert isinstance(content, EncryptedData)
    assert private_key is not None
    plaintext = decrypt_as(content, certificate=desks.hierarchy.ea.certificate, private_key=private_key).plaintext
    assert key.public_key.point.x not in plaintext
    assert case.ea == desks.hierarchy.ea.certificate.hashed_id8
    assert case.opened.key.hex() not in repr(case)


def test_the_same_octets_get_the_same_answer_and_count_one_ticket() -> None:
    desks = Desks(86)
    pending = desks.authorization(desks.enrol(), desks.key())
    one, two = desks.begin(pending.request), desks.begin(pending.request)
    assert one is two
    asked = [desks.ea.answer(case.validation_request, desks.now) for case in (one, two)]
    assert asked[0] == asked[1]
    answers = [desks.aa.finish(case, asked[0], desks.now) for case in (one, two)]
    desks.pass_time(60)
    assert answers == [desks.aa.begin(pending.request, desks.now)] * 2
    assert len(desks.registry.grants) == 1
    assert desks.aa.record.repeated == 2


def test_octets_whose_answer_is_forgotten_are_too_old() -> None:
    desks = Desks(87)
    credential = desks.enrol()
    early = later(desks.now, MAX_CLOCK_DIFFERENCE_US // 1_000_000)
    pending = make_authorization_request(
        credential=credential,
        key=desks.key(),
        authority=desks.hierarchy.aa.certificate,
        enrolment_authority=desks.hierarchy.ea.certificate,
        attributes=desks.wanted(),
        now=early,
        randomness=desks.randomness,
    )
    desks.authorize(pending.request)
    desks.pass_time(ANSWER_KEPT_S)
    desks.answers.forget(desks.now_s)
    assert not desks.answers.answers
    assert at_once(desks, pending) is Code.OUT_OF_SYNC


def test_without_a_wish_a_ticket_begins_with_the_hour_and_lives_a_week() -> None:
    desks = Desks(88)
    credential = desks.enrol()
    desks.pass_time(7_200)
    pending = desks.authorization(credential, desks.key(), attributes=ticket_attributes(permissions=VEHICLE))
    validity = pending.open(desks.authorize(pending.request), desks.now).validity
    assert validity.start == desks.now_s - desks.now_s % 3_600
    assert validity.end_time64 // 1_000_000 == validity.start + MAX_TICKET_LIFETIME_S


def test_a_period_that_has_begun_is_granted_as_it_is_for_all_alike() -> None:
    desks = Desks(89)
    credential = desks.enrol()
    desks.pass_time(86_400)
    validity = hours(Time32(desks.now_s - 5 * 3_600), 24)
    pending = desks.authorization(credential, desks.key(), attributes=ticket_attributes(permissions=VEHICLE, validity=validity))
    assert pending.open(desks.authorize(pending.request), desks.now).validity == validity


def test_a_ticket_may_be_fetched_three_months_ahead_and_not_earlier() -> None:
    desks = Desks(90)
    credential = desks.enrol()
    ahead = ticket_attributes(permissions=VEHICLE, validity=hours(Time32(desks.now_s + MAX_PRELOAD_S), 168))
    pending = desks.authorization(credential, desks.key(), attributes=ahead)
    pending.open(desks.authorize(pending.request), desks.now)
    too_early = ticket_attributes(permissions=VEHICLE, validity=hours(Time32(desks.now_s + MAX_PRELOAD_S + 1), 168))
    pending = desks.authorization(credential, desks.key(), attributes=too_early)
    assert after_asking(desks, pending) is Code.EA_DENIED_PERMISSIONS


@pytest.mark.parametrize("is_bare", [False, True])
def test_a_key_that_is_not_proven_is_served_only_where_the_operator_said_so(*, is_bare: bool) -> None:
    for accepts in (False, True):
        desks = Desks(91, accepts_unproven_keys=accepts)
        credential, key = desks.enrol(), desks.key()
        pending = desks.authorization(credential, key, proves_possession=False)
        if is_bare:
            pending = sealed(desks, encode_management(opened(desks, desks.authorization(credential, key))), key)
        if accepts:
            assert pending.open(desks.authorize(pending.request), desks.now).tbs.verification_key == key.public_key.point
        else:
            assert at_once(desks, pending) is Code.INCOMPLETE_REQUEST


def test_a_request_without_proof_cannot_be_replayed_once_its_answer_is_forgotten() -> None:
    desks = Desks(91, accepts_unproven_keys=True)
    pending = desks.authorization(desks.enrol(), desks.key(), proves_possession=False)
    pending.open(desks.authorize(pending.request), desks.now)
    desks.pass_time(ANSWER_KEPT_S)
    desks.answers.forget(desks.now_s)
    desks.registry.forget(desks.now_s)
    assert after_asking(desks, pending) is Code.EA_DENIED_PERMISSIONS


# What the authorization authority refuses by itself.


def test_unreadable_requests_are_answered_cantparse() -> None:
    desks = Desks(92)
    key = desks.key()
    for plaintext in (
        b"",
        b"\x03\x81",
        sign_payload(b"\x02\x82", signer=key, certificate=None, at=desks.now_time64),
        sign_payload(b"\x01\x82\x00", signer=key, certificate=None, at=desks.now_time64),
    ):
        assert at_once(desks, sealed(desks, plaintext, key)) is Code.CANT_PARSE


def test_other_messages_are_answered_badcontenttype() -> None:
    desks = Desks(93)
    message = InnerEcResponse(request_hash=bytes(16), code=EnrolmentResponseCode.UNKNOWN_ITS)
    assert at_once(desks, altered(desks, desks.key(), message)) is Code.BAD_CONTENT_TYPE


def test_keys_that_are_not_proven_to_be_the_stations_are_answered_keysdontmatch() -> None:
    desks = Desks(94)
    key, other = desks.key(), desks.key()
    request = opened(desks, desks.authorization(desks.enrol(), key))
    swapped = replace(request, keys=PublicKeys.of(other.public_key))
    added = replace(request, keys=PublicKeys.of(key.public_key, EncryptionKey(curve=Curve.NIST_P256, point=other.public_key.point)))
    for pending in (
        altered(desks, other, swapped),
        altered(desks, key, added),
        altered(desks, key, replace(request, hmac_key=bytes(32))),
        altered(desks, other, request),
        altered(desks, desks.key(Curve.NIST_P384), request),
        altered(desks, key, retagged(request, PublicKeys(curve=key.curve, verification_key=off_curve(key.curve)))),
    ):
        assert at_once(desks, pending) is Code.KEYS_DONT_MATCH


def test_requests_that_lack_something_are_answered_incompleterequest() -> None:
    desks = Desks(95)
    credential, key = desks.enrol(), desks.key()
    request = opened(desks, desks.authorization(credential, key))
    header = HeaderInfo(psid=ItsAid.CERTIFICATE_REQUEST, generation_time=desks.now_time64)
    by_name = SignerIdentifier(kind=SignerKind.DIGEST, digest=credential.certificate.hashed_id8)
    plain = encode_management(request)
    encrypted = encode_encrypted_data(
        encrypt_to(
            plain,
            recipient=desks.hierarchy.aa.certificate,
            key=bytes(16),
            nonce=bytes(12),
            ephemeral=desks.key(Curve.NIST_P256),
        )
    )
    wanting_nothing = CertificateSubjectAttributes(validity=hours(desks.now_s, 168))
    for pending in (
        altered(desks, key, request, header=HeaderInfo(psid=ItsAid.CERTIFICATE_REQUEST)),
        altered(desks, key, request, header=replace(header, psid=ItsAid.CAM)),
        altered(desks, key, request, header=replace(header, expiry_time=desks.now_time64)),
        sealed(desks, signed_as(plain, key, header=header, named=by_name), key),
        sealed(desks, encrypted, key),
        desks.authorization(credential, key, attributes=wanting_nothing),
    ):
        assert at_once(desks, pending) is Code.INCOMPLETE_REQUEST


def test_an_encryption_key_off_its_curve_is_answered_invalidencryptionkey() -> None:
    desks = Desks(96)
    key = desks.key()
    request = opened(desks, desks.authorization(desks.enrol(), key))
    keys = PublicKeys.of(key.public_key, EncryptionKey(curve=Curve.NIST_P256, point=off_curve(Curve.NIST_P256)))
    assert at_once(desks, altered(desks, key, retagged(request, keys))) is Code.INVALID_ENCRYPTION_KEY


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_request_dated_far_from_now_is_answered_outofsync(seconds: int) -> None:
    desks = Desks(97)
    key = desks.key()
    request = opened(desks, desks.authorization(desks.enrol(), key))
    then = HeaderInfo(psid=ItsAid.CERTIFICATE_REQUEST, generation_time=Time64(desks.now_time64 + seconds * 1_000_000))
    assert at_once(desks, altered(desks, key, request, header=then)) is Code.OUT_OF_SYNC


def test_an_enrolment_authority_nobody_knows_is_answered_unknownea() -> None:
    desks, elsewhere = Desks(98), Desks(99)
    pending = desks.authorization(elsewhere.enrol(), desks.key(), ea=elsewhere.hierarchy.ea.certificate)
    assert at_once(desks, pending) is Code.UNKNOWN_EA


def test_an_enrolment_authority_that_must_not_be_believed_is_answered_invalidea() -> None:
    desks, elsewhere = Desks(100), Desks(101)
    other = elsewhere.hierarchy
    root, ea, aa = (one.certificate for one in (desks.hierarchy.root, desks.hierarchy.ea, desks.hierarchy.aa))
    credential = elsewhere.enrol()
    expired = desks.hierarchy.root.create_enrolment_authority(
        name="former EA", validity=hours(desks.hierarchy.start, 1), keys=desks.hierarchy.keys
    ).certificate
    desks.aa = desks.aa_desk(TrustStore.of_operator((root,), (ea, aa, other.ea.certificate, expired)))
    foreign = desks.authorization(credential, desks.key(), ea=other.ea.certificate)
    assert at_once(desks, foreign) is Code.INVALID_EA
    no_ea = desks.authorization(credential, desks.key(), ea=aa)
    assert at_once(desks, no_ea) is Code.INVALID_EA
    assert at_once(desks, desks.authorization(credential, desks.key(), ea=expired)) is Code.INVALID_EA


def test_what_the_authority_may_not_issue_is_answered_its_aa_deniedpermissions() -> None:
    desks = Desks(102)
    credential, wanted = desks.enrol(), desks.wanted()
    for attributes in (
        replace(wanted, app_permissions=(PsidSsp(psid=ItsAid.CERTIFICATE_REQUEST, ssp=b"\x01\xc0"),)),
        replace(wanted, app_permissions=(PsidSsp(psid=ItsAid.CAM, ssp=b"\x02\x00\x00"),)),
        replace(wanted, cert_issue_permissions=AA_ISSUE_PERMISSIONS),
        replace(wanted, id=CertificateId(kind=IdKind.NAME, name="car 7")),
    ):
        pending = desks.authorization(credential, desks.key(), attributes=attributes)
        assert at_once(desks, pending) is Code.DENIED_PERMISSIONS


def test_a_region_beyond_the_authoritys_is_answered_its_aa_deniedpermissions() -> None:
    desks = Desks(103)
    desks.hierarchy = Hierarchy(103, region=TURIN)
    desks.ea, desks.aa = desks.ea_desk(desks.hierarchy.trust_store), desks.aa_desk(desks.hierarchy.trust_store)
    credential = desks.enrol()
    pending = desks.authorization(credential, desks.key(), attributes=replace(desks.wanted(), region=MILAN))
    assert code_of(pending, desks.authorize(pending.request), desks.now) is Code.DENIED_PERMISSIONS


def test_an_enrolment_authority_out_of_reach_is_answered_cantreachea_and_the_station_may_try_again() -> None:
    desks = Desks(104)
    pending = desks.authorization(desks.enrol(), desks.key())
    answer = desks.aa.refuse(desks.begin(pending.request), Code.CANT_REACH_EA, desks.now)
    assert code_of(pending, answer, desks.now) is Code.CANT_REACH_EA
    pending.open(desks.authorize(pending.request), desks.now)


def test_a_refusal_is_never_called_ok() -> None:
    desks = Desks(105)
    case = desks.begin(desks.authorization(desks.enrol(), desks.key()).request)
    with pytest.raises(EncodeError):
        desks.aa.refuse(case, Code.OK, desks.now)


# What the enrolment authority refuses, and the station is told.


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
    assert desks.ea.record.refusals[-1].word.endswith("deniedrequest")
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


# What an authorization authority must not believe of an answer.


def confirmation(desks: Desks, case: AuthorizationCase, confirmed: CertificateSubjectAttributes) -> bytes:
    """Answer as the enrolment authority, with whatever it might confirm."""
    response = AuthorizationValidationResponse(
        request_hash=case.sealed.request_hash, code=ValidationResponseCode.OK, confirmed=confirmed
    )
    credential = desks.hierarchy.ea.credential
    return seal_answer(response, key=case.sealed.key, credential=credential, at=desks.now_time64, randomness=desks.randomness)


def test_a_ticket_says_at_most_what_was_confirmed() -> None:
    desks = Desks(126)
    pending = desks.authorization(desks.enrol(), desks.key(), attributes=replace(desks.wanted(), region=TURIN))
    case = desks.begin(pending.request)
    cam_only = (PsidSsp(psid=ItsAid.CAM, ssp=b"\x01\x00\x00"),)
    confirmed = ticket_attributes(permissions=cam_only, validity=hours(desks.now_s, 24))
    ticket = pending.open(desks.aa.finish(case, confirmation(desks, case, confirmed), desks.now), desks.now)
    assert ticket.tbs.app_permissions == cam_only
    assert ticket.validity == hours(desks.now_s, 24)
    assert ticket.tbs.region == TURIN


def test_an_enrolment_authority_cannot_confirm_more_than_was_asked() -> None:
    desks = Desks(127)
    pending = desks.authorization(desks.enrol(), desks.key())
    case = desks.begin(pending.request)
    wanted = desks.wanted()
    for confirmed in (
        replace(wanted, app_permissions=TICKET_PERMISSIONS[StationRole.RSU]),
        replace(wanted, app_permissions=None),
        replace(wanted, validity=hours(desks.now_s, 169)),
    ):
        with pytest.raises(VerificationError, match="than it was asked for") as caught:
            desks.aa.finish(case, confirmation(desks, case, confirmed), desks.now)
        assert caught.value.report is VerificationReport.PERMISSION_DENIED
    assert not desks.answers.answers


def test_a_confirmed_time_that_is_over_or_far_ahead_yields_no_ticket() -> None:
    desks = Desks(128)
    pending = desks.authorization(desks.enrol(), desks.key(), attributes=ticket_attributes(permissions=VEHICLE))
    case = desks.begin(pending.request)
    for start_s in (-7_200, -5_400, MAX_PRELOAD_S + 1):
        other = ticket_attributes(permissions=VEHICLE, validity=hours(Time32(desks.now_s + start_s), 1))
        answer = desks.aa.finish(case, confirmation(desks, case, other), desks.now)
        assert code_of(pending, answer, desks.now) is Code.DENIED_PERMISSIONS


def test_answers_not_from_the_enrolment_authority_to_this_question_are_not_believed() -> None:
    desks = Desks(129)
    credential = desks.enrol()
    pending = desks.authorization(credential, desks.key())
    case, other = desks.begin(pending.request), desks.begin(desks.authorization(credential, desks.key()).request)
    good = desks.ea.answer(case.validation_request, desks.now)
    for_other = AuthorizationValidationResponse(
        request_hash=other.sealed.request_hash, code=ValidationResponseCode.OK, confirmed=desks.wanted()
    )
    aa, ea = desks.hierarchy.aa.credential, desks.hierarchy.ea.credential
    genuine = replace(for_other, request_hash=case.sealed.request_hash)

    def sealed_by(response: ManagementMessage, credential: AuthorityCredential) -> bytes:
        return seal_answer(response, key=case.sealed.key, credential=credential, at=desks.now_time64, randomness=desks.randomness)

    wrong_kind = InnerEcResponse(request_hash=case.sealed.request_hash, code=EnrolmentResponseCode.DENIED_REQUEST)
    for answer, reason in (
        (b"", "needs 1 octets"),
        (good[:-1], "encrypted"),
        (encode_unsecured(b""), "not encrypted"),
        (desks.ea.answer(other.validation_request, desks.now), "cannot be opened"),
        (sealed_by(for_other, ea), "another request"),
        (sealed_by(genuine, aa), "is signed by"),
        (sealed_by(wrong_kind, ea), "another kind"),
    ):
        with pytest.raises((DecodeError, VerificationError), match=reason):
            desks.aa.finish(case, answer, desks.now)
    pending.open(desks.aa.finish(case, good, desks.now), desks.now)


def test_octets_that_cannot_be_decrypted_are_unanswerable() -> None:
    desks = Desks(130)
    request = desks.authorization(desks.enrol(), desks.key()).request
    for number, octets in enumerate((b"", request[:-1], encode_unsecured(request), request[:-1] + bytes((request[-1] ^ 1,)))):
        with pytest.raises(UnanswerableRequest):
            desks.aa.begin(octets, desks.now)
        assert desks.aa.record.unanswerable == number + 1
    with pytest.raises(UntrustedTimeError):
        desks.aa.begin(request, Instant(desks.now.monotonic, None))


def test_open_cases_are_remembered_in_bounds_and_forgotten_ones_can_be_finished() -> None:
    desks = Desks(131)
    credential = desks.enrol()
    first = desks.authorization(credential, desks.key())
    case = desks.begin(first.request)
    for _ in range(MAX_OPEN_CASES):
        desks.begin(desks.authorization(credential, desks.key()).request)
    assert desks.begin(first.request) is not case
    first.open(desks.aa.finish(case, desks.ea.answer(case.validation_request, desks.now), desks.now), desks.now)


def test_a_desk_needs_the_key_requests_are_encrypted_to() -> None:
    desks = Desks(132)
    credential = desks.hierarchy.aa.credential
    authority = AuthorizationAuthority(AuthorityCredential(certificate=credential.certificate, signer=credential.signer))
    with pytest.raises(ConfigError, match="encryption key"):
        AuthorizationDesk(
            authority=authority,
            answers=desks.answers,
            enrolment_authorities=authorities(desks.hierarchy.trust_store),
            randomness=desks.randomness,
            policy=GrantPolicy(),
        )
