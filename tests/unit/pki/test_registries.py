"""The enrolment authority with its registry in memory and in a file: what it remembers decides alike."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.core.errors import VerificationError
from shared.core.itstime import Time32
from shared.pki.authority import hours
from shared.pki.authorization import ticket_attributes
from shared.pki.enrolment import credential_attributes
from shared.pki.permission_sets import TICKET_PERMISSIONS
from shared.pki.policy import MAX_PRELOAD_S, MAX_TICKET_LIFETIME_S, GrantPolicy
from shared.pki.registry import StationStatus
from shared.pki.response_codes import AuthorityRefusal, AuthorizationResponseCode, EnrolmentResponseCode
from shared.pki.subject import CertificateSubjectAttributes
from shared.security.certificate import Certificate
from shared.security.sign import TicketCredential
from shared.service.pki_store import EnrolmentStore, open_enrolment_store
from tests.helpers.desks import ITS_ID, Desks
from tests.helpers.wrapping import mirrored, with_further_recipient

FEW = GrantPolicy(parallel_tickets=2, credentials_of_a_station=3, tickets_of_a_station=4)


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EnrolmentStore | None]:
    if request.param == "memory":
        yield None
        return
    with open_enrolment_store(tmp_path / "registry.db") as opened:
        yield opened


def ticket(desks: Desks, credential: TicketCredential, wanted: CertificateSubjectAttributes | None = None) -> Certificate:
    pending = desks.authorization(credential, desks.key(), attributes=wanted)
    return pending.open(desks.authorize(pending.request), desks.now)


def lasting(desks: Desks, begin_s: int, count_h: int = 168) -> CertificateSubjectAttributes:
    return ticket_attributes(permissions=TICKET_PERMISSIONS[desks.role], validity=hours(Time32(begin_s), count_h))


def test_a_car_enrols_renews_and_gets_tickets_that_are_counted(store: EnrolmentStore | None) -> None:
    desks = Desks(140, store=store)
    first = desks.enrol()
    key = desks.key()
    renewal = desks.renewal(first, key)
    second = renewal.open(desks.ea.answer(renewal.request, desks.now), desks.now)
    for credential in (first, TicketCredential(certificate=second, signer=key)):
        ticket(desks, credential)
        kept = desks.keeper.credential(credential.certificate.hashed_id8)
        assert kept is not None
        assert (kept.its_id, kept.certificate, kept.is_revoked) == (ITS_ID, credential.certificate, False)
    assert desks.keeper.credentials_issued(ITS_ID) == 2
    assert desks.keeper.tickets_granted(ITS_ID, desks.now_s, Time32(desks.now_s + 1)) == 2


def test_a_request_wrapped_anew_on_its_way_gives_one_credential(store: EnrolmentStore | None) -> None:
    desks = Desks(141, store=store)
    pending = desks.enrolment(desks.key(), attributes=credential_attributes())
    desks.ea.answer(mirrored(pending.request), desks.now)
    desks.pass_time(1)
    credential = pending.open(desks.ea.answer(pending.request, desks.now), desks.now)
    desks.pass_time(1)
    answer = desks.ea.answer(with_further_recipient(pending.request), desks.now)
    with pytest.raises(VerificationError, match="answered another request"):
        pending.open(answer, desks.now)
    assert pending.open(desks.ea.answer(pending.request, desks.now), desks.now) == credential
    assert desks.keeper.credentials_issued(ITS_ID) == 1


def test_a_request_wrapped_anew_on_its_way_counts_one_ticket(store: EnrolmentStore | None) -> None:
    desks = Desks(141, store=store)
    pending = desks.authorization(desks.enrol(), desks.key())
    for octets in (mirrored(pending.request), with_further_recipient(pending.request)):
        desks.authorize(octets)
        desks.pass_time(1)
    pending.open(desks.authorize(pending.request), desks.now)
    assert desks.keeper.tickets_granted(ITS_ID, desks.now_s, Time32(desks.now_s + 1)) == 1
    assert desks.aa.record.answers == {"AuthorizationResponseCode.ok": 1}


def test_a_question_put_twice_in_other_wrapping_is_answered_to_each_and_counts_once(store: EnrolmentStore | None) -> None:
    desks = Desks(142, store=store)
    pending = desks.authorization(desks.enrol(), desks.key())
    case, same = desks.begin(pending.request), desks.begin(mirrored(pending.request))
    assert same.validation_request == case.validation_request
    desks.ea.answer(mirrored(case.validation_request), desks.now)
    answer = desks.ea.answer(case.validation_request, desks.now)
    desks.aa.finish(same, answer, desks.now)
    pending.open(desks.aa.finish(case, answer, desks.now), desks.now)
    assert desks.keeper.tickets_granted(ITS_ID, desks.now_s, Time32(desks.now_s + 1)) == 1


def test_a_ticket_far_ahead_makes_no_room_for_more_now(store: EnrolmentStore | None) -> None:
    desks = Desks(143, store=store, policy=FEW)
    credential = desks.enrol()
    for _ in range(FEW.parallel_tickets):
        ticket(desks, credential)
    ticket(desks, credential, lasting(desks, desks.now_s + MAX_PRELOAD_S))
    with pytest.raises(AuthorityRefusal) as caught:
        ticket(desks, credential)
    assert caught.value.answer is AuthorizationResponseCode.DENIED_TOO_MANY


def test_a_station_does_not_fill_the_registry_with_short_tickets(store: EnrolmentStore | None) -> None:
    desks = Desks(144, store=store, policy=FEW)
    credential = desks.enrol()
    for hour in range(FEW.tickets_of_a_station):
        ticket(desks, credential, lasting(desks, desks.now_s + hour * 3_600, 1))
    with pytest.raises(AuthorityRefusal) as caught:
        ticket(desks, credential, lasting(desks, desks.now_s + 30 * 3_600, 1))
    assert caught.value.answer is AuthorizationResponseCode.DENIED_TOO_MANY
    desks.pass_time(MAX_TICKET_LIFETIME_S + 4 * 3_600)
    ticket(desks, credential)


def test_a_station_does_not_fill_the_registry_with_credentials(store: EnrolmentStore | None) -> None:
    desks = Desks(145, store=store, policy=FEW)
    credentials = [desks.enrol() for _ in range(FEW.credentials_of_a_station)]
    for pending in (desks.enrolment(desks.key()), desks.renewal(credentials[-1], desks.key())):
        with pytest.raises(AuthorityRefusal) as caught:
            pending.open(desks.ea.answer(pending.request, desks.now), desks.now)
        assert caught.value.answer is EnrolmentResponseCode.DENIED_REQUEST
    assert desks.keeper.credentials_issued(ITS_ID) == FEW.credentials_of_a_station
    ticket(desks, credentials[0])


@pytest.mark.parametrize("is_credential", [False, True])
def test_a_station_blocked_or_whose_credential_is_revoked_gets_nothing_under_it(
    store: EnrolmentStore | None, *, is_credential: bool
) -> None:
    desks = Desks(146, store=store)
    credential = desks.enrol()
    if store is None:
        desks.revoke(credential) if is_credential else desks.set_station(status=StationStatus.BLOCKED)
    elif is_credential:
        store.set_revoked(credential.certificate.hashed_id8, is_revoked=True)
    else:
        store.set_status(ITS_ID, StationStatus.BLOCKED)
    with pytest.raises(AuthorityRefusal):
        ticket(desks, credential)
    renewal = desks.renewal(credential, desks.key())
    with pytest.raises(AuthorityRefusal):
        renewal.open(desks.ea.answer(renewal.request, desks.now), desks.now)
    assert desks.keeper.tickets_granted(ITS_ID, Time32(0), Time32(2**32 - 1)) == 0
