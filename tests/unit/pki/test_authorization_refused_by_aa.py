from dataclasses import replace

import pytest

from shared.core.errors import EncodeError
from shared.core.geo import GeoPoint
from shared.core.ids import ItsAid
from shared.core.itstime import Time64
from shared.pki.authority import hours
from shared.pki.exchange import sign_payload
from shared.pki.management import (
    InnerEcResponse,
    encode_management,
)
from shared.pki.permission_sets import AA_ISSUE_PERMISSIONS, TICKET_PERMISSIONS, StationRole
from shared.pki.response_codes import AuthorizationResponseCode as Code
from shared.pki.response_codes import EnrolmentResponseCode
from shared.pki.subject import CertificateSubjectAttributes, PublicKeys
from shared.security.certificate import CertificateId, IdKind
from shared.security.ecdsa import Curve
from shared.security.ecies import encrypt_to
from shared.security.encryption_key import EncryptionKey
from shared.security.header_info import HeaderInfo
from shared.security.permissions import PsidSsp
from shared.security.region import CircularRegion, Location
from shared.security.secured_data import (
    SignerIdentifier,
    SignerKind,
    encode_encrypted_data,
)
from shared.security.trust_store import TrustStore
from tests.helpers.desks import Desks, off_curve, signed_as
from tests.helpers.hierarchy import Hierarchy
from tests.helpers.ticket_requests import altered, at_once, code_of, opened, retagged, sealed

TURIN = CircularRegion(centre=Location.of(GeoPoint(45.07, 7.68)), radius_m=10_000)
MILAN = CircularRegion(centre=Location.of(GeoPoint(45.46, 9.19)), radius_m=10_000)
VEHICLE = TICKET_PERMISSIONS[StationRole.VEHICLE]


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
