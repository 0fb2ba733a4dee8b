from dataclasses import replace

import pytest

from shared.core.errors import DecodeError, VerificationError
from shared.core.geo import GeoPoint
from shared.core.ids import ItsAid
from shared.core.itstime import Time32
from shared.core.report import VerificationReport
from shared.pki.authority import AuthorityCredential, hours
from shared.pki.authorization import ticket_attributes
from shared.pki.authorization_desk import AuthorizationCase
from shared.pki.exchange import seal_answer
from shared.pki.management import (
    AuthorizationValidationResponse,
    InnerEcResponse,
    ManagementMessage,
)
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.pki.policy import MAX_PRELOAD_S
from shared.pki.response_codes import AuthorizationResponseCode as Code
from shared.pki.response_codes import EnrolmentResponseCode, ValidationResponseCode
from shared.pki.subject import CertificateSubjectAttributes
from shared.security.permissions import PsidSsp
from shared.security.region import CircularRegion, Location
from shared.security.secured_data import encode_unsecured
from tests.helpers.desks import Desks
from tests.helpers.ticket_requests import code_of

TURIN = CircularRegion(centre=Location.of(GeoPoint(45.07, 7.68)), radius_m=10_000)
MILAN = CircularRegion(centre=Location.of(GeoPoint(45.46, 9.19)), radius_m=10_000)
VEHICLE = TICKET_PERMISSIONS[StationRole.VEHICLE]


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
    wanted = replace(desks.wanted(), region=TURIN)
    pending = desks.authorization(desks.enrol(), desks.key(), attributes=wanted)
    case = desks.begin(pending.request)
    for confirmed in (
        replace(wanted, region=MILAN),
        replace(wanted, region=replace(TURIN, radius_m=10_001)),
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
