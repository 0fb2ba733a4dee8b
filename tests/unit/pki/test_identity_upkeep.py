"""A station that keeps its own identity fresh, against both authorities at their desks."""

from shared.core.clock import Instant, MonotonicNs
from shared.core.errors import StorageError, TransportError
from shared.core.itstime import time64_of
from shared.pki.account import AccessPoint
from shared.pki.authority import hours
from shared.pki.happenings import CredentialGranted, Happening, Recovered, Subject, TicketGranted, Trouble
from shared.pki.identity_upkeep import RESEND_US, IdentityUpkeep, Request
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.pki.registry import StationStatus
from shared.security.certificate import Certificate
from shared.security.ticket_pool import FleetingUse, TicketPolicy, TicketPool
from shared.security.trust_store import TrustStore
from shared.security.validity import DurationUnit, Validity
from tests.helpers.accounts import Account, TicketKeys
from tests.helpers.desks import ITS_ID, Desks, later, seeded

EA_URL, AA_URL = "http://ea.example/its", "http://aa.example/aa"
UNKNOWN_TIME = Instant(MonotonicNs(0), None)


class Listed:
    """The authorities of the lists; none while there are no lists."""

    def __init__(self, desks: Desks) -> None:
        self._desks = desks
        self.is_empty = False
        self.after_ours: AccessPoint | None = None

    def enrolment_authority(self, now: Instant, *, issued: Certificate | None) -> AccessPoint | None:
        ea = self._desks.hierarchy.ea.certificate
        if self.after_ours is not None:
            is_ours = issued is None or issued.issuer.hashed_id8 == self.after_ours.certificate.hashed_id8
            return self.after_ours if is_ours else None
        assert issued is None or issued.issuer.hashed_id8 == ea.hashed_id8
        return None if self.is_empty else AccessPoint(certificate=ea, url=EA_URL)

    def successor(self, now: Instant, *, issued: Certificate) -> AccessPoint | None:
        after = self.after_ours
        return None if after is None or issued.issuer.hashed_id8 == after.certificate.hashed_id8 else after

    def authorization_authority(self, now: Instant) -> AccessPoint | None:
        return None if self.is_empty else AccessPoint(certificate=self._desks.hierarchy.aa.certificate, url=AA_URL)


class Station:
    """A station and the two desks; `serve` carries one request there and back."""

    def __init__(self, target: int = 3) -> None:
        self.desks = Desks()
        self.account = Account(self.desks.canonical, self.desks.randomness.keys)
        self.ticket_keys = TicketKeys()
        self.pool = TicketPool((), policy=TicketPolicy(target=target), uses=FleetingUse())
        self.listed = Listed(self.desks)
        randomness = seeded(77)
        self.upkeep = IdentityUpkeep(
            its_id=ITS_ID,
            permissions=TICKET_PERMISSIONS[StationRole.VEHICLE],
            account=self.account,
            ticket_keys=self.ticket_keys,
            pool=self.pool,
            authorities=self.listed,
            keys=randomness.keys,
            entropy=randomness.entropy,
        )

    @property
    def now(self) -> Instant:
        return self.desks.now

    def pass_time(self, elapsed_s: int) -> None:
        self.desks.pass_time(elapsed_s)

    def replace_authority(self) -> None:
        """Another EA of the same root takes over; the first is listed no more."""
        hierarchy = self.desks.hierarchy
        ea = hierarchy.root.create_enrolment_authority(
            name="EA that follows", validity=hierarchy.root.certificate.validity, keys=hierarchy.keys
        )
        self.listed.after_ours = AccessPoint(certificate=ea.certificate, url=EA_URL)
        hierarchy.ea = ea
        self.open_desks()

    def open_desks(self) -> None:
        """Both authorities are at work who stand in the hierarchy now."""
        hierarchy = self.desks.hierarchy
        authorities = (hierarchy.ea.certificate, hierarchy.aa.certificate)
        hierarchy.trust_store = TrustStore.of_operator((hierarchy.root.certificate,), authorities)
        self.desks.ea = self.desks.ea_desk(hierarchy.trust_store)
        self.desks.aa = self.desks.aa_desk(hierarchy.trust_store)

    def answer(self, request: Request) -> bytes:
        if request.url == EA_URL:
            return self.desks.ea.answer(request.body, self.now)
        assert request.url == AA_URL
        return self.desks.authorize(request.body)

    def take(self, happened: tuple[Happening, ...]) -> tuple[Happening, ...]:
        for each in happened:
            if isinstance(each, TicketGranted):
                self.pool.add((each.ticket,))
        return happened

    def next_request(self) -> Request | None:
        draft = self.upkeep.draft(self.now)
        return None if draft is None else self.upkeep.written(draft.write())

    def serve(self) -> tuple[Happening, ...]:
        request = self.next_request()
        assert request is not None
        return self.take(self.upkeep.answered(self.answer(request), self.now))

    def complete(self) -> None:
        while self.upkeep.lacks(self.now) is not None:
            self.serve()


def refusal(happened: tuple[Happening, ...]) -> str:
    (trouble,) = happened
    assert isinstance(trouble, Trouble)
    return trouble.code


def test_a_new_station_enrols_and_then_fills_its_pool() -> None:
    station = Station(target=4)
    (enrolled,) = station.serve()
    assert isinstance(enrolled, CredentialGranted)
    assert enrolled.authority == station.desks.hierarchy.ea.certificate
    assert station.account.current == enrolled.credential
    for _ in range(4):
        assert [type(each) for each in station.serve()] == [TicketGranted]
    assert len(station.pool.valid(station.desks.now_time64)) == 4
    assert station.upkeep.lacks(station.now) is None
    assert station.next_request() is None
    assert station.upkeep.counts == {"enrolment_asked": 1, "enrolment_granted": 1, "tickets_asked": 4, "tickets_granted": 4}


def test_nothing_is_asked_while_the_time_is_not_known_or_no_list_names_an_authority() -> None:
    station = Station()
    assert station.upkeep.lacks(UNKNOWN_TIME) is None
    assert station.upkeep.draft(UNKNOWN_TIME) is None
    station.listed.is_empty = True
    assert station.next_request() is None
    assert station.upkeep.counts["enrolment_without_authority"] == 1
    station.listed.is_empty = False
    station.serve()
    station.listed.is_empty = True
    assert station.next_request() is None
    assert station.upkeep.counts["tickets_without_authority"] == 1


def test_an_unanswered_request_goes_out_again_octet_for_octet_and_is_made_anew_when_it_is_too_old() -> None:
    station = Station()
    first = station.next_request()
    assert first is not None
    failure = TransportError(EA_URL, "nobody is there")
    assert refusal(station.upkeep.failed(failure, station.now)) == "transport"
    assert station.next_request() is None
    assert station.upkeep.failed(failure, station.now) == ()
    station.pass_time(30)
    assert station.next_request() == first
    station.pass_time(RESEND_US // 1_000_000)
    second = station.next_request()
    assert second is not None
    assert second.body != first.body
    happened = station.take(station.upkeep.answered(station.answer(second), station.now))
    assert happened[0] == Recovered(subject=Subject.ENROLMENT)


def test_an_answer_that_is_rubbish_leaves_the_request_standing() -> None:
    station = Station()
    first = station.next_request()
    assert refusal(station.upkeep.answered(b"rubbish", station.now)) == "malformed"
    station.pass_time(5)
    assert station.next_request() == first


def test_an_authority_that_says_no_is_asked_again_after_a_long_while_only() -> None:
    station = Station(target=1)
    station.complete()
    station.desks.set_station(status=StationStatus.BLOCKED)
    station.pass_time(7 * 86_400)
    code = refusal(station.serve())
    assert station.upkeep.troubles[Subject.TICKETS].code == code
    station.pass_time(25)
    assert station.next_request() is None
    station.pass_time(60)
    assert station.serve() == ()
    station.desks.set_station()
    station.pass_time(300)
    happened = station.serve()
    assert happened[0] == Recovered(subject=Subject.TICKETS)
    assert isinstance(happened[1], TicketGranted)
    assert station.upkeep.troubles == {}


def test_a_revoked_credential_gets_no_more_tickets() -> None:
    station = Station(target=2)
    station.serve()
    assert station.account.current is not None
    station.desks.revoke(station.account.current)
    assert refusal(station.serve()) not in ("malformed", "transport")
    assert len(station.pool) == 0


def test_tickets_are_asked_for_ahead_of_the_end_of_those_held() -> None:
    station = Station(target=2)
    station.complete()
    held = {ticket.certificate.hashed_id8 for ticket in station.pool.valid(station.desks.now_time64)}
    end = max(ticket.certificate.validity.end_time64 for ticket in station.pool.valid(station.desks.now_time64))
    station.pass_time((end - station.desks.now_time64) // 1_000_000 - 3_600)
    station.complete()
    still_valid = {ticket.certificate.hashed_id8 for ticket in station.pool.valid(station.desks.now_time64)}
    assert held <= still_valid
    assert len(station.pool) <= 6
    station.pass_time(3_700)
    assert len(station.pool.valid(station.desks.now_time64)) == 2


def test_the_tickets_of_two_stations_cannot_be_told_apart_by_their_validity() -> None:
    one, other = Station(target=2), Station(target=2)
    one.complete()
    other.pass_time(3_601)
    other.complete()
    periods = {ticket.certificate.validity for station in (one, other) for ticket in station.pool.valid(station.desks.now_time64)}
    assert len(periods) == 1


def test_a_credential_is_renewed_under_itself_before_it_ends_and_by_the_canonical_key_after() -> None:
    station = Station(target=1)
    station.complete()
    first = station.account.current
    assert first is not None
    life_s = (first.certificate.validity.end_time64 - first.certificate.validity.start_time64) // 1_000_000
    station.pass_time(life_s * 3 // 4)
    (renewed,) = station.serve()
    assert isinstance(renewed, CredentialGranted)
    assert renewed.credential != first
    station.pass_time(2 * life_s)
    late = station.serve()
    assert isinstance(late[0], CredentialGranted | Trouble)


def test_what_cannot_be_kept_is_asked_for_again_and_is_the_very_same() -> None:
    station = Station()
    request = station.next_request()
    assert request is not None
    answer = station.answer(request)
    station.account.is_full = True
    try:
        station.upkeep.answered(answer, station.now)
        raise AssertionError("a full disk must be told")
    except StorageError as failure:
        station.upkeep.failed(failure, station.now)
    station.account.is_full = False
    station.pass_time(5)
    again = station.next_request()
    assert again == request
    (kept,) = [
        each for each in station.upkeep.answered(station.answer(request), station.now) if isinstance(each, CredentialGranted)
    ]
    assert time64_of(station.now.require_utc()) >= kept.credential.certificate.validity.start_time64


def test_a_token_that_cannot_sign_is_a_trouble_like_any_other() -> None:
    station = Station()
    happened = station.upkeep.failed(TransportError("pkcs11:", "the token is locked"), station.now)
    assert refusal(happened) == "transport"
    assert station.upkeep.troubles[Subject.ENROLMENT].sentence == "pkcs11:: the token is locked"
    station.pass_time(5)
    assert [type(each) for each in station.serve()] == [Recovered, CredentialGranted]


def renewal_due(station: Station) -> int:
    """Let time pass until the credential is to be renewed; return its life in seconds."""
    assert station.account.current is not None
    validity = station.account.current.certificate.validity
    life_s = (validity.end_time64 - validity.start_time64) // 1_000_000
    station.pass_time(life_s * 3 // 4)
    return life_s


def test_while_the_renewal_of_a_credential_fails_tickets_are_got_under_the_present_one() -> None:
    station = Station(target=2)
    station.complete()
    renewal_due(station)
    assert len(station.pool.valid(station.desks.now_time64)) == 0
    renewal = station.next_request()
    assert renewal is not None
    assert renewal.subject is Subject.ENROLMENT
    assert refusal(station.upkeep.failed(TransportError(EA_URL, "nobody is there"), station.now)) == "transport"
    for _ in range(2):
        assert [type(each) for each in station.serve()] == [TicketGranted]
    station.pass_time(5)
    assert station.next_request() == renewal


def test_while_an_authority_refuses_the_renewal_of_a_credential_tickets_are_got_under_the_present_one() -> None:
    station = Station(target=1)
    station.complete()
    renewal_due(station)
    request = station.next_request()
    assert request is not None
    station.desks.set_station(status=StationStatus.BLOCKED)
    assert refusal(station.upkeep.answered(station.answer(request), station.now)) == "baditsstatus"
    station.desks.set_station()
    assert [type(each) for each in station.serve()] == [TicketGranted]


def test_a_station_goes_over_to_the_authority_that_follows_its_own() -> None:
    station = Station(target=2)
    station.complete()
    station.replace_authority()
    assert station.next_request() is None
    station.pass_time(7 * 86_400)
    (enrolled,) = station.serve()
    assert isinstance(enrolled, CredentialGranted)
    assert enrolled.authority == station.desks.hierarchy.ea.certificate
    assert [type(each) for each in station.serve()] == [TicketGranted]


def test_a_credential_that_has_run_out_binds_nobody_to_the_authority_that_issued_it() -> None:
    station = Station(target=1)
    station.complete()
    station.replace_authority()
    station.listed.after_ours = None
    station.pass_time(renewal_due(station) // 3)
    (enrolled,) = station.serve()
    assert isinstance(enrolled, CredentialGranted)
    assert enrolled.authority == station.desks.hierarchy.ea.certificate


def test_a_request_from_the_future_is_made_anew_when_the_clock_is_set_back() -> None:
    station = Station(target=1)
    station.pass_time(86_400)
    first = station.next_request()
    assert first is not None
    set_back = Instant(station.now.monotonic, later(station.now, -86_400).utc)
    draft = station.upkeep.draft(set_back)
    assert draft is not None
    assert station.upkeep.written(draft.write()).body != first.body


def test_tickets_that_an_authority_grants_shorter_than_asked_are_asked_for_again_when_they_have_run_out() -> None:
    station = Station(target=2)
    hierarchy = station.desks.hierarchy
    lasting = hierarchy.aa
    hierarchy.aa = hierarchy.root.create_authorization_authority(
        name="AA about to end", validity=hours(hierarchy.start, 9), keys=hierarchy.keys
    )
    station.open_desks()
    station.complete()
    assert station.upkeep.counts["tickets_granted"] == 2
    station.pass_time(5 * 3_600)
    assert station.next_request() is None
    station.pass_time(3_600)
    assert len(station.pool.valid(station.desks.now_time64)) == 0
    hierarchy.aa = lasting
    station.open_desks()
    station.complete()
    assert len(station.pool.valid(station.desks.now_time64)) == 2


def test_that_nobody_can_be_asked_is_told_once() -> None:
    station = Station(target=1)
    assert station.upkeep.unserved() == ()
    station.listed.is_empty = True
    assert station.next_request() is None
    assert refusal(station.upkeep.unserved()) == "no_authority"
    assert station.next_request() is None
    assert station.upkeep.unserved() == ()
    assert "no enrolment authority" in station.upkeep.troubles[Subject.ENROLMENT].sentence
    station.listed.is_empty = False
    assert [type(each) for each in station.serve()] == [Recovered, CredentialGranted]
    station.listed.is_empty = True
    assert station.next_request() is None
    assert refusal(station.upkeep.unserved()) == "no_authority"


def test_an_authority_about_to_end_is_not_asked_for_one_short_credential_after_another() -> None:
    station = Station(target=1)
    hierarchy = station.desks.hierarchy
    until_noon_s = (station.desks.now_s - hierarchy.start) + 20
    hierarchy.ea = hierarchy.root.create_enrolment_authority(
        name="EA about to end",
        validity=Validity(start=hierarchy.start, unit=DurationUnit.SECONDS, count=until_noon_s),
        keys=hierarchy.keys,
    )
    station.open_desks()
    assert [type(each) for each in station.serve()] == [CredentialGranted]
    station.pass_time(17)
    request = station.next_request()
    assert request is None or request.subject is Subject.TICKETS
    station.pass_time(60)
    late = station.next_request()
    assert late is not None
    assert late.subject is Subject.ENROLMENT
