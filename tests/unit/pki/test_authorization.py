from dataclasses import replace

import pytest

from shared.core.clock import Instant
from shared.core.errors import ConfigError, UntrustedTimeError
from shared.core.geo import GeoPoint
from shared.core.itstime import Time32
from shared.pki.authority import AuthorityCredential, AuthorizationAuthority, hours
from shared.pki.authorization import make_authorization_request, ticket_attributes
from shared.pki.authorization_desk import MAX_OPEN_CASES, AuthorizationDesk
from shared.pki.desk import ANSWER_KEPT_S
from shared.pki.exchange import (
    MAX_CLOCK_DIFFERENCE_US,
    UnanswerableRequest,
)
from shared.pki.management import encode_management
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.pki.policy import MAX_PRELOAD_S, MAX_TICKET_LIFETIME_S, GrantPolicy, stay_within
from shared.pki.response_codes import AuthorityRefusal
from shared.pki.response_codes import AuthorizationResponseCode as Code
from shared.security.chain import ChainVerifier
from shared.security.ecdsa import Curve
from shared.security.ecies import decrypt_as, is_recipient
from shared.security.encrypted_data import EncryptedData
from shared.security.encryption_key import EncryptionKey
from shared.security.region import NO_IDENTIFIED_AREAS, CircularRegion, Location
from shared.security.secured_data import (
    decode_secured_data,
    encode_unsecured,
)
from shared.security.sign import TicketCredential
from tests.helpers.desks import ITS_ID, Desks, TokenSigner, authorities, later
from tests.helpers.ticket_requests import after_asking, at_once, opened, sealed

TURIN = CircularRegion(centre=Location.of(GeoPoint(45.07, 7.68)), radius_m=10_000)
MILAN = CircularRegion(centre=Location.of(GeoPoint(45.46, 9.19)), radius_m=10_000)
VEHICLE = TICKET_PERMISSIONS[StationRole.VEHICLE]


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


@pytest.mark.parametrize("role", StationRole)
def test_a_station_of_every_role_gets_its_permissions_and_those_of_no_other(role: StationRole) -> None:
    desks = Desks(86, role=role)
    credential = desks.enrol()
    pending = desks.authorization(credential, desks.key())
    certificate = pending.open(desks.authorize(pending.request), desks.now)
    assert certificate.tbs.app_permissions == TICKET_PERMISSIONS[role]
    for other in set(StationRole) - {role}:
        if stay_within(TICKET_PERMISSIONS[other], TICKET_PERMISSIONS[role]):
            assert other is StationRole.VEHICLE
            continue
        wanted = replace(desks.wanted(), app_permissions=TICKET_PERMISSIONS[other])
        pending = desks.authorization(credential, desks.key(), attributes=wanted)
        with pytest.raises(AuthorityRefusal):
            pending.open(desks.authorize(pending.request), desks.now)


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
    assert one == two
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
    assert desks.begin(first.request).validation_request != case.validation_request
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
