from dataclasses import replace

import pytest

from shared.core.clock import Instant
from shared.core.errors import ConfigError, DecodeError, EncodeError, StorageError, UntrustedTimeError
from shared.core.geo import GeoPoint
from shared.core.ids import ItsAid
from shared.core.itstime import Time32
from shared.pki.authority import AuthorityCredential, EnrolmentAuthority, hours, years
from shared.pki.enrolment import credential_attributes, make_enrolment_request
from shared.pki.enrolment_desk import EnrolmentDesk
from shared.pki.exchange import UnanswerableRequest, sign_payload
from shared.pki.permission_sets import EC_APP_PERMISSIONS
from shared.pki.policy import BACKDATING_ALLOWANCE_S, MAX_CREDENTIAL_LIFETIME_S, GrantPolicy
from shared.pki.subject import CertificateSubjectAttributes
from shared.security.certificate import CertificateId, IdKind
from shared.security.chain import ChainVerifier
from shared.security.ecdsa import Curve
from shared.security.encrypted_data import EncryptedData
from shared.security.encryption_key import EncryptionKey
from shared.security.permissions import PsidSsp
from shared.security.region import NO_IDENTIFIED_AREAS, CircularRegion, Location
from shared.security.secured_data import (
    decode_secured_data,
    encode_encrypted_data,
    encode_unsecured,
)
from shared.security.sign import TicketCredential
from tests.helpers.desks import ITS_ID, Desks, TokenSigner, authorities

TURIN = CircularRegion(centre=Location.of(GeoPoint(45.07, 7.68)), radius_m=10_000)


@pytest.mark.parametrize("curve", list(Curve))
@pytest.mark.parametrize("encryption_curve", [Curve.NIST_P256, Curve.BRAINPOOL_P256R1])
def test_a_registered_car_enrols_and_renews_at_authorities_of_every_curve(curve: Curve, encryption_curve: Curve) -> None:
    desks = Desks(41, curve=curve, encryption_curve=encryption_curve, station_curve=curve)
    chain = ChainVerifier(trust_store=desks.hierarchy.trust_store, areas=NO_IDENTIFIED_AREAS)
    first = desks.enrol()
    assert chain.check_enrolment_credential(first.certificate, desks.now_time64).certificate == first.certificate
    assert desks.registry.credentials[first.certificate.hashed_id8].its_id == ITS_ID
    assert first.certificate.tbs.app_permissions == EC_APP_PERMISSIONS
    key = desks.key()
    pending = desks.renewal(first, key)
    second = pending.open(desks.ea.answer(pending.request, desks.now), desks.now)
    assert second.tbs.verification_key == key.public_key.point
    assert desks.registry.credentials[second.hashed_id8].its_id == ITS_ID
    assert desks.ea.record.answers == {"EnrolmentResponseCode.ok": 2}


def test_keys_that_only_sign_digests_are_enough() -> None:
    desks = Desks(42)
    key = TokenSigner(desks.key())
    pending = desks.enrolment(key, canonical=TokenSigner(desks.canonical))
    credential = TicketCredential(certificate=pending.open(desks.ea.answer(pending.request, desks.now), desks.now), signer=key)
    renewal = desks.renewal(credential, TokenSigner(desks.key()))
    renewal.open(desks.ea.answer(renewal.request, desks.now), desks.now)


def test_a_credential_says_what_was_asked_for_and_no_more() -> None:
    desks = Desks(43)
    key, other = desks.key(), desks.key()
    enrol_only = (PsidSsp(psid=ItsAid.CERTIFICATE_REQUEST, ssp=b"\x01\x80"),)
    wanted = CertificateSubjectAttributes(
        id=CertificateId(kind=IdKind.NAME, name="car 7"),
        validity=hours(desks.now_s, 48),
        region=TURIN,
        assurance_level=0xE0,
        app_permissions=enrol_only,
    )
    pending = make_enrolment_request(
        its_id=ITS_ID,
        canonical_key=desks.canonical,
        key=key,
        authority=desks.hierarchy.ea.certificate,
        attributes=wanted,
        now=desks.now,
        randomness=desks.randomness,
        encryption_key=EncryptionKey(curve=Curve.NIST_P256, point=other.public_key.point),
    )
    tbs = pending.open(desks.ea.answer(pending.request, desks.now), desks.now).tbs
    assert (tbs.id.name, tbs.validity, tbs.region) == ("car 7", wanted.validity, TURIN)
    assert tbs.app_permissions == enrol_only
    assert tbs.assurance_level is None
    assert tbs.encryption_key is not None
    assert tbs.encryption_key.point == other.public_key.point


def test_a_request_shows_nothing_of_the_station_and_no_secret() -> None:
    desks = Desks(44)
    pending = desks.enrolment(desks.key())
    assert ITS_ID not in pending.request
    assert pending.sealed.key.hex() not in repr(pending)
    assert repr(pending.sealed.key) not in repr(pending.sealed)
    assert pending.request != desks.enrolment(desks.key()).request


@pytest.mark.parametrize(
    ("asked_years", "granted_s"),
    [(1, MAX_CREDENTIAL_LIFETIME_S // 3), (3, MAX_CREDENTIAL_LIFETIME_S), (4, MAX_CREDENTIAL_LIFETIME_S)],
)
def test_a_credential_lives_three_years_at_most(asked_years: int, granted_s: int) -> None:
    desks = Desks(45)
    attributes = credential_attributes(validity=years(desks.now_s, asked_years))
    pending = desks.enrolment(desks.key(), attributes=attributes)
    validity = pending.open(desks.ea.answer(pending.request, desks.now), desks.now).validity
    lifetime_s = (validity.end_time64 - validity.start_time64) // 1_000_000
    assert granted_s - 3_600 < lifetime_s <= granted_s


def test_without_a_wish_a_credential_begins_now_and_lives_as_long_as_may_be() -> None:
    desks = Desks(46)
    pending = desks.enrolment(desks.key(), attributes=credential_attributes())
    validity = pending.open(desks.ea.answer(pending.request, desks.now), desks.now).validity
    assert validity.start == desks.now_s
    assert validity.end_time64 // 1_000_000 - desks.now_s > MAX_CREDENTIAL_LIFETIME_S - 3_600


def test_a_credential_is_not_backdated_nor_longer_than_its_authority() -> None:
    desks = Desks(47)
    desks.pass_time(3 * 86_400)
    long_ago = Time32(desks.now_s - 2 * 86_400)
    pending = desks.enrolment(desks.key(), attributes=credential_attributes(validity=hours(long_ago, 72)))
    validity = pending.open(desks.ea.answer(pending.request, desks.now), desks.now).validity
    assert validity.start == desks.now_s - BACKDATING_ALLOWANCE_S
    assert validity.end_time64 <= hours(long_ago, 72).end_time64
    desks.pass_time(4 * 31_556_952)
    pending = desks.enrolment(desks.key())
    certificate = pending.open(desks.ea.answer(pending.request, desks.now), desks.now)
    assert certificate.validity.lies_within(desks.hierarchy.ea.certificate.validity)


def test_the_same_octets_get_the_same_answer_and_one_credential() -> None:
    desks = Desks(48)
    pending = desks.enrolment(desks.key())
    answer = desks.ea.answer(pending.request, desks.now)
    desks.pass_time(60)
    assert desks.ea.answer(pending.request, desks.now) == answer
    pending.open(answer, desks.now)
    assert len(desks.registry.credentials) == 1
    assert desks.ea.record.repeated == 1


def test_octets_that_cannot_be_decrypted_are_unanswerable() -> None:
    desks = Desks(70)
    request = desks.enrolment(desks.key()).request
    other = Desks(71).enrolment(desks.key()).request
    encrypted = decode_secured_data(request).content
    assert isinstance(encrypted, EncryptedData)
    (recipient,) = encrypted.recipients
    foreign = replace(encrypted, recipients=(replace(recipient, encrypted_key=recipient.encrypted_key[:-1] + b"\x00"),))
    known = desks.ea.record.unanswerable
    for octets, reason in (
        (b"", "malformed"),
        (request[:-1], "malformed"),
        (request + b"\x00", "malformed"),
        (bytes(70_000), "at most 65536"),
        (encode_unsecured(request), "not encrypted"),
        (sign_payload(b"", signer=desks.key(), certificate=None, at=desks.now_time64), "not encrypted"),
        (other, "not encrypted to this authority"),
        (request[:-1] + bytes((request[-1] ^ 1,)), "cannot be opened"),
        (encode_encrypted_data(foreign), "cannot be opened"),
    ):
        known += 1
        with pytest.raises(UnanswerableRequest, match=reason) as caught:
            desks.ea.answer(octets, desks.now)
        assert caught.value.code == "unanswerable"
        assert desks.ea.record.unanswerable == known


def test_every_flipped_bit_of_a_request_is_unanswerable() -> None:
    desks = Desks(72)
    request = desks.enrolment(desks.key()).request
    ephemeral_form = 14  # the y of the one-time key: both have the x that is agreed on
    for bit in range(8 * len(request)):
        flipped = bytearray(request)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        if bit // 8 == ephemeral_form and flipped[ephemeral_form] in (0x82, 0x83):
            continue
        with pytest.raises(UnanswerableRequest):
            desks.ea.answer(bytes(flipped), desks.now)
    assert not desks.registry.credentials


def test_without_the_time_nobody_asks_and_nobody_answers() -> None:
    desks = Desks(73)
    pending = desks.enrolment(desks.key())
    timeless = Instant(desks.now.monotonic, None)
    with pytest.raises(UntrustedTimeError):
        desks.ea.answer(pending.request, timeless)
    with pytest.raises(UntrustedTimeError):
        pending.open(desks.ea.answer(pending.request, desks.now), timeless)
    desks.clock.set_utc(None)
    with pytest.raises(UntrustedTimeError):
        make_enrolment_request(
            its_id=ITS_ID,
            canonical_key=desks.canonical,
            key=desks.canonical,
            authority=desks.hierarchy.ea.certificate,
            attributes=credential_attributes(),
            now=desks.now,
            randomness=desks.randomness,
        )


def test_what_cannot_be_asked_is_told_before_it_is_sent() -> None:
    desks = Desks(74)
    with pytest.raises(EncodeError, match="its_id"):
        desks.enrolment(desks.key(), its_id=bytes(65))
    with pytest.raises(DecodeError, match="no key to encrypt to"):
        make_enrolment_request(
            its_id=ITS_ID,
            canonical_key=desks.canonical,
            key=desks.key(),
            authority=desks.hierarchy.root.certificate,
            attributes=credential_attributes(),
            now=desks.now,
            randomness=desks.randomness,
        )


def test_a_desk_needs_the_key_requests_are_encrypted_to() -> None:
    desks = Desks(75)
    credential = desks.hierarchy.ea.credential
    foreign = desks.hierarchy.aa.credential.encryption_key
    for key in (None, foreign, desks.key(Curve.BRAINPOOL_P256R1)):
        authority = EnrolmentAuthority(
            AuthorityCredential(certificate=credential.certificate, signer=credential.signer, encryption_key=key)
        )
        with pytest.raises(ConfigError, match="encryption key"):
            EnrolmentDesk(
                authority=authority,
                registry=desks.registry,
                authorization_authorities=authorities(desks.hierarchy.trust_store),
                randomness=desks.randomness,
                policy=GrantPolicy(),
            )


def test_a_registry_that_fails_lets_nothing_be_answered_and_the_station_asks_again() -> None:
    desks = Desks(77)
    pending = desks.enrolment(desks.key())
    for method in ("keep_credential", "keep_answer"):
        desks.registry.failing = {method}
        with pytest.raises(StorageError, match=method):
            desks.ea.answer(pending.request, desks.now)
        desks.registry.failing.clear()
        pending.open(desks.ea.answer(pending.request, desks.now), desks.now)
        desks.registry.answers.clear()
    answer = desks.ea.answer(pending.request, desks.now)
    assert desks.ea.answer(pending.request, desks.now) == answer


def test_what_was_kept_though_the_registry_said_it_failed_is_the_answer_from_then_on() -> None:
    desks = Desks(78)
    pending = desks.enrolment(desks.key())
    desks.registry.failing = {"keep_answer"}
    with pytest.raises(StorageError):
        desks.ea.answer(pending.request, desks.now)
    desks.registry.failing.clear()
    certificate = pending.open(desks.ea.answer(pending.request, desks.now), desks.now)
    assert desks.ea.record.repeated == 1
    assert list(desks.registry.credentials) == [certificate.hashed_id8]
