from dataclasses import replace

import pytest

from shared.core.clock import Instant
from shared.core.errors import DecodeError, EncodeError, UntrustedTimeError, VerificationError
from shared.core.report import VerificationReport as Report
from shared.pki.authority import AuthorityCredential, AuthorityKind, years
from shared.pki.ca_request import MAX_REQUEST_AGE_S, CaRequest, certify, make_ca_request, open_ca_request, renew_ca_request
from shared.pki.exchange import sign_payload
from shared.pki.management import CaCertificateRequest, InnerEcResponse, ManagementMessage, encode_management
from shared.pki.permission_sets import ROOT_APP_PERMISSIONS, SERVICE_RANGES
from shared.pki.response_codes import EnrolmentResponseCode
from shared.pki.subject import CertificateSubjectAttributes, PublicKeys
from shared.security.certificate import CertificateId, IdKind
from shared.security.chain import ChainVerifier, UnknownSignerError
from shared.security.ecdsa import Curve, SoftwareSigner
from shared.security.encryption_key import EncryptionKey
from shared.security.permissions import PsidGroupPermissions, PsidSsp
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.secured_data import encode_unsecured
from shared.security.trust_store import TrustStore
from tests.helpers.desks import Desks, TokenSigner, authorities, later, off_curve

DESKS = Desks(221)
ROOT = DESKS.hierarchy.root
OURS = authorities(DESKS.hierarchy.trust_store)
PRESENT = {AuthorityKind.ENROLMENT: DESKS.hierarchy.ea.credential, AuthorityKind.AUTHORIZATION: DESKS.hierarchy.aa.credential}
KEY = DESKS.key()
ENCRYPTION = EncryptionKey(curve=Curve.NIST_P256, point=DESKS.key().public_key.point)


def asked(
    kind: AuthorityKind = AuthorityKind.AUTHORIZATION, key: SoftwareSigner = KEY, encryption: EncryptionKey = ENCRYPTION
) -> bytes:
    return make_ca_request(kind=kind, name="AA of Turin", key=TokenSigner(key), encryption_key=encryption, now=DESKS.now)


def opened(octets: bytes) -> CaRequest:
    return open_ca_request(octets, authorities=OURS, now=DESKS.now)


def by_hand(message: ManagementMessage, key: SoftwareSigner = KEY) -> bytes:
    return sign_payload(encode_management(message), signer=key, certificate=None, at=DESKS.now_time64)


def refused(octets: bytes, *, now: Instant | None = None) -> Report:
    with pytest.raises(VerificationError) as caught:
        open_ca_request(octets, authorities=OURS, now=now or DESKS.now)
    return caught.value.report


@pytest.mark.parametrize("curve", list(Curve))
@pytest.mark.parametrize("kind", list(AuthorityKind))
def test_an_authority_gets_a_certificate_that_holds_up_to_its_root(kind: AuthorityKind, curve: Curve) -> None:
    key, decrypting = DESKS.key(curve), DESKS.key(Curve.BRAINPOOL_P256R1)
    encryption = EncryptionKey(curve=decrypting.curve, point=decrypting.public_key.point)
    request = opened(asked(kind, key, encryption))
    assert (request.kind, request.name, request.renewed) == (kind, "AA of Turin", None)
    certificate = certify(ROOT, request, years(DESKS.hierarchy.start, 2))
    AuthorityCredential(certificate=certificate, signer=key, encryption_key=decrypting)
    trust_store = TrustStore.of_operator((ROOT.certificate,), (certificate,))
    chain = ChainVerifier(trust_store=trust_store, areas=NO_IDENTIFIED_AREAS)
    chain.check_authority(certificate, DESKS.now_time64)
    assert certificate.tbs.app_permissions == PRESENT[kind].certificate.tbs.app_permissions
    assert certificate.tbs.cert_issue_permissions == PRESENT[kind].certificate.tbs.cert_issue_permissions
    assert certificate.tbs.encryption_key == encryption


@pytest.mark.parametrize("kind", list(AuthorityKind))
def test_an_authority_renews_itself_with_its_present_certificate(kind: AuthorityKind) -> None:
    request = opened(renew_ca_request(asked(kind), credential=PRESENT[kind], now=DESKS.now))
    assert request.renewed == PRESENT[kind].certificate
    assert request.public_key == KEY.public_key


def test_a_first_request_has_a_fingerprint_people_can_compare() -> None:
    one, two = opened(asked()), opened(asked(key=DESKS.key()))
    assert len(one.fingerprint) == 64
    assert one.fingerprint == opened(asked()).fingerprint != two.fingerprint


def test_a_request_may_be_carried_for_a_month() -> None:
    request = asked()
    late = later(DESKS.now, MAX_REQUEST_AGE_S)
    assert open_ca_request(request, authorities=OURS, now=late) == opened(request)


def test_an_authority_does_not_renew_itself_as_one_of_the_other_kind() -> None:
    for kind, other in (
        (AuthorityKind.ENROLMENT, AuthorityKind.AUTHORIZATION),
        (AuthorityKind.AUTHORIZATION, AuthorityKind.ENROLMENT),
    ):
        assert refused(renew_ca_request(asked(kind), credential=PRESENT[other], now=DESKS.now)) is Report.PERMISSION_DENIED


def test_a_renewal_is_signed_by_a_certificate_that_is_known_may_and_holds() -> None:
    elsewhere = Desks(222).hierarchy.aa.credential
    with pytest.raises(UnknownSignerError):
        opened(renew_ca_request(asked(), credential=elsewhere, now=DESKS.now))
    stolen = sign_payload(
        asked(), signer=DESKS.key(), certificate=PRESENT[AuthorityKind.AUTHORIZATION].certificate, at=DESKS.now_time64
    )
    assert refused(stolen) is Report.FALSE_SIGNATURE
    with_root = TrustStore.of_operator((ROOT.certificate,), ())
    by_ticket = DESKS.hierarchy.ticket()
    renewal = sign_payload(asked(), signer=by_ticket.signer, certificate=by_ticket.certificate, at=DESKS.now_time64)
    with pytest.raises(UnknownSignerError):
        open_ca_request(renewal, authorities=authorities(with_root), now=DESKS.now)


def test_possession_of_the_new_key_is_proven_in_both_kinds() -> None:
    keys = PublicKeys.of(KEY.public_key, ENCRYPTION)
    kind = AuthorityKind.AUTHORIZATION
    attributes = CertificateSubjectAttributes(id=CertificateId(kind=IdKind.NAME, name="AA"), app_permissions=kind.app_permissions)
    request = CaCertificateRequest(keys=keys, attributes=attributes)
    forged = by_hand(request, DESKS.key())
    assert refused(forged) is Report.FALSE_SIGNATURE
    assert refused(renew_ca_request(forged, credential=PRESENT[kind], now=DESKS.now)) is Report.FALSE_SIGNATURE
    twice = renew_ca_request(asked(), credential=PRESENT[kind], now=DESKS.now)
    assert refused(renew_ca_request(twice, credential=PRESENT[kind], now=DESKS.now)) is Report.PERMISSION_DENIED


def test_what_no_authority_below_a_root_may_have_is_denied() -> None:
    keys = PublicKeys.of(KEY.public_key, ENCRYPTION)
    kind = AuthorityKind.AUTHORIZATION
    good = CertificateSubjectAttributes(
        id=CertificateId(kind=IdKind.NAME, name="AA"),
        app_permissions=kind.app_permissions,
        cert_issue_permissions=kind.issue_permissions,
    )
    assert opened(by_hand(CaCertificateRequest(keys=keys, attributes=good))).name == "AA"
    more = PsidGroupPermissions(ranges=SERVICE_RANGES, min_chain_length=2)
    for attributes in (
        replace(good, app_permissions=ROOT_APP_PERMISSIONS),
        replace(good, app_permissions=None),
        replace(good, app_permissions=(PsidSsp(psid=623, ssp=b"\x01\x3e"),)),
        replace(good, cert_issue_permissions=(more,)),
        replace(good, cert_issue_permissions=AuthorityKind.ENROLMENT.issue_permissions),
        replace(good, id=None),
        replace(good, id=CertificateId()),
    ):
        assert refused(by_hand(CaCertificateRequest(keys=keys, attributes=attributes))) is Report.PERMISSION_DENIED
    without = PublicKeys.of(KEY.public_key)
    assert refused(by_hand(CaCertificateRequest(keys=without, attributes=good))) is Report.PERMISSION_DENIED


def test_keys_off_their_curves_are_refused() -> None:
    attributes = CertificateSubjectAttributes(
        id=CertificateId(kind=IdKind.NAME, name="AA"), app_permissions=AuthorityKind.AUTHORIZATION.app_permissions
    )
    for keys in (
        PublicKeys(curve=Curve.NIST_P256, verification_key=off_curve(Curve.NIST_P256), encryption_key=ENCRYPTION),
        PublicKeys.of(KEY.public_key, EncryptionKey(curve=Curve.NIST_P256, point=off_curve(Curve.NIST_P256))),
    ):
        with pytest.raises(DecodeError, match="public_key"):
            opened(by_hand(CaCertificateRequest(keys=keys, attributes=attributes)))


def test_other_messages_old_ones_and_damaged_ones_are_refused() -> None:
    other = InnerEcResponse(request_hash=bytes(16), code=EnrolmentResponseCode.DENIED_REQUEST)
    assert refused(by_hand(other)) is Report.CONTENT_MISMATCH
    assert refused(encode_unsecured(b"")) is Report.UNSIGNED_MESSAGE
    assert refused(asked(), now=later(DESKS.now, MAX_REQUEST_AGE_S + 1)) is Report.INVALID_TIMESTAMP
    assert refused(asked(), now=later(DESKS.now, -301)) is Report.INVALID_TIMESTAMP
    late = later(DESKS.now, MAX_REQUEST_AGE_S + 1)
    renewal = renew_ca_request(asked(), credential=PRESENT[AuthorityKind.AUTHORIZATION], now=late)
    assert refused(renewal, now=late) is Report.INVALID_TIMESTAMP
    request = asked()
    for length in range(len(request)):
        with pytest.raises(DecodeError):
            opened(request[:length])
    r_form = len(request) - 65
    for bit in range(8 * len(request)):
        flipped = bytearray(request)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        if bit // 8 == r_form and flipped[r_form] == 0x82:
            assert opened(bytes(flipped)) == opened(request)  # r written as a compressed point is the same r
            continue
        with pytest.raises((DecodeError, VerificationError)):
            opened(bytes(flipped))
    with pytest.raises(UntrustedTimeError):
        open_ca_request(request, authorities=OURS, now=Instant(DESKS.now.monotonic, None))


def test_a_root_issues_nothing_beyond_its_own_time() -> None:
    with pytest.raises(EncodeError, match="validity"):
        certify(ROOT, opened(asked()), years(DESKS.hierarchy.start, 6))
