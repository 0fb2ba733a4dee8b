"""Authorities that take over from each other, by trust lists alone: what a station does that runs all the while."""

import pytest

from shared.core.clock import Instant
from shared.core.ids import HashedId8
from shared.pki.authority import years
from shared.pki.happenings import CredentialGranted, Happening, TicketGranted, Trouble
from shared.pki.identity_upkeep import IdentityUpkeep, Request
from shared.pki.listed_authorities import ListedAuthorities
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.ctl import AaEntry, CtlEntry, EaEntry
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.ticket_pool import FleetingUse, TicketPolicy, TicketPool
from shared.security.trust_lists_held import TrustLists
from shared.security.trust_store import TrustStore
from tests.helpers.accounts import Account, TicketKeys
from tests.helpers.desks import ITS_ID, Desks, seeded
from tests.helpers.hierarchy import Hierarchy
from tests.helpers.publishing import RootLists, lists_of

WEEK_S = 7 * 86_400
LIST_LIFE_S = 60 * 86_400


class Fleet:
    """One station, whose lists say where it asks, and both authorities, each replaced when a test says so."""

    def __init__(self, *, elsewhere: RootLists | None = None) -> None:
        self.desks = Desks()
        self.root = RootLists(self.desks.hierarchy)
        self.lists: TrustLists = lists_of(roots=(self.root,) if elsewhere is None else (self.root, elsewhere))
        self.elapsed_s = 0
        self.at = {"ea": self.root.ea.its_access_point or self.root.ea.aa_access_point, "aa": self.root.aa.access_point}
        self.account = Account(self.desks.canonical, self.desks.randomness.keys)
        self.pool = TicketPool((), policy=TicketPolicy(target=2), uses=FleetingUse())
        randomness = seeded(78)
        self.upkeep = IdentityUpkeep(
            its_id=ITS_ID,
            permissions=TICKET_PERMISSIONS[StationRole.VEHICLE],
            account=self.account,
            ticket_keys=TicketKeys(),
            pool=self.pool,
            authorities=ListedAuthorities(self.lists, areas=NO_IDENTIFIED_AREAS),
            keys=randomness.keys,
            entropy=randomness.entropy,
        )
        self.publish(self.root.entries)

    @property
    def now(self) -> Instant:
        return self.desks.now

    def pass_time(self, elapsed_s: int) -> None:
        self.elapsed_s += elapsed_s
        self.desks.pass_time(elapsed_s)

    def publish(self, entries: tuple[CtlEntry, ...], *revoked: HashedId8) -> None:
        """Let the station have the root's next lists."""
        self.pass_time(1)
        self.lists.take_ctl(self.root.ctl(self.elapsed_s, entries=entries, life_s=LIST_LIFE_S).full, None, self.now)
        self.lists.take_crl(self.root.crl(self.elapsed_s, *revoked, life_s=LIST_LIFE_S), None, self.now)

    def replace_ea(self) -> EaEntry:
        """Put another EA to work, which has the same stations registered; return how it is listed."""
        hierarchy = self.desks.hierarchy
        validity = years(self.desks.now_s, 3)
        hierarchy.ea = hierarchy.root.create_enrolment_authority(name="next EA", validity=validity, keys=hierarchy.keys)
        self.at["ea"] = "http://next-ea.example"
        self.open_desks()
        return EaEntry(certificate=hierarchy.ea.certificate, aa_access_point=self.at["ea"])

    def replace_aa(self) -> AaEntry:
        """Put another AA to work; return how it is listed."""
        hierarchy = self.desks.hierarchy
        validity = years(self.desks.now_s, 3)
        hierarchy.aa = hierarchy.root.create_authorization_authority(name="next AA", validity=validity, keys=hierarchy.keys)
        self.at["aa"] = "http://next-aa.example"
        self.open_desks()
        return AaEntry(certificate=hierarchy.aa.certificate, access_point=self.at["aa"])

    def open_desks(self) -> None:
        hierarchy = self.desks.hierarchy
        known = TrustStore.of_operator((hierarchy.root.certificate,), (hierarchy.ea.certificate, hierarchy.aa.certificate))
        self.desks.ea, self.desks.aa = self.desks.ea_desk(known), self.desks.aa_desk(known)

    def next_request(self) -> Request | None:
        draft = self.upkeep.draft(self.now)
        return None if draft is None else self.upkeep.written(draft.write())

    def serve(self) -> tuple[Happening, ...]:
        """Carry the next request to where the lists say, which must be where the present authorities are, and back."""
        request = self.next_request()
        assert request is not None
        assert request.url in self.at.values()
        is_ea = request.url == self.at["ea"]
        answer = self.desks.ea.answer(request.body, self.now) if is_ea else self.desks.authorize(request.body)
        happened = self.upkeep.answered(answer, self.now)
        self.pool.add(each.ticket for each in happened if isinstance(each, TicketGranted))
        return happened

    def complete(self) -> list[Happening]:
        happened: list[Happening] = []
        while self.upkeep.lacks(self.now) is not None:
            happened += self.serve()
        return happened


def issuers(happened: list[Happening]) -> set[HashedId8 | None]:
    return {each.ticket.certificate.issuer.hashed_id8 for each in happened if isinstance(each, TicketGranted)}


@pytest.mark.parametrize("is_old_one_listed", [True, False])
def test_the_next_tickets_come_from_the_authority_that_takes_over(*, is_old_one_listed: bool) -> None:
    fleet = Fleet()
    assert issuers(fleet.complete()) == {fleet.desks.hierarchy.aa.certificate.hashed_id8}
    old, new = (fleet.root.aa,), fleet.replace_aa()
    fleet.publish((fleet.root.ea, *(old if is_old_one_listed else ()), new, fleet.root.dc))
    assert fleet.upkeep.lacks(fleet.now) is None
    fleet.pass_time(WEEK_S)
    happened = fleet.complete()
    assert issuers(happened) == {new.certificate.hashed_id8}
    assert not any(isinstance(each, CredentialGranted) for each in happened)


def test_a_station_whose_enrolment_authority_left_the_lists_enrols_at_the_one_that_is_listed_and_gets_tickets() -> None:
    fleet = Fleet()
    fleet.complete()
    before = fleet.account.current
    new = fleet.replace_ea()
    fleet.publish((new, fleet.root.aa, fleet.root.dc))
    fleet.pass_time(WEEK_S)
    happened = fleet.complete()
    assert isinstance(happened[0], CredentialGranted)
    assert happened[0].authority == new.certificate
    assert happened[0].credential != before
    assert len(issuers(happened)) == 1
    assert fleet.upkeep.counts["enrolment_asked"] == 2
    assert fleet.upkeep.troubles == {}


def test_a_revoked_enrolment_authority_is_left_though_it_is_still_listed() -> None:
    fleet = Fleet()
    fleet.complete()
    old, new = fleet.root.ea, fleet.replace_ea()
    fleet.publish((old, new, fleet.root.aa, fleet.root.dc), old.certificate.hashed_id8)
    fleet.pass_time(WEEK_S)
    happened = fleet.complete()
    assert isinstance(happened[0], CredentialGranted)
    assert happened[0].authority == new.certificate


def test_while_its_enrolment_authority_is_listed_beside_another_a_station_stays_with_it() -> None:
    fleet = Fleet()
    fleet.complete()
    entries = (fleet.root.ea, fleet.root.aa, fleet.root.dc)
    other = fleet.desks.hierarchy.root.create_enrolment_authority(
        name="another EA", validity=years(fleet.desks.now_s, 3), keys=fleet.desks.hierarchy.keys
    )
    fleet.publish((EaEntry(certificate=other.certificate, aa_access_point="http://other.example"), *entries))
    fleet.pass_time(WEEK_S)
    assert not any(isinstance(each, CredentialGranted) for each in fleet.complete())


def test_a_station_goes_to_no_other_roots_authority_while_its_own_roots_list_is_lacking() -> None:
    elsewhere = RootLists(Hierarchy(9))
    fleet = Fleet(elsewhere=elsewhere)
    fleet.complete()
    new = fleet.replace_ea()
    fleet.publish((fleet.root.aa, fleet.root.dc))
    fleet.pass_time(WEEK_S)
    assert fleet.next_request() is None
    fleet.publish((new, fleet.root.aa, fleet.root.dc))
    assert fleet.next_request() is None, "the other root may list the authority"
    fleet.lists.take_ctl(elsewhere.ctl(fleet.elapsed_s, entries=(elsewhere.dc,), life_s=LIST_LIFE_S).full, None, fleet.now)
    request = fleet.next_request()
    assert request is not None
    assert request.url == fleet.at["ea"]


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_a_credential_that_its_authority_revoked_or_forgot_is_asked_with_ever_more_rarely_and_never_replaced(
    *, is_forgotten: bool
) -> None:
    fleet = Fleet()
    fleet.serve()
    credential = fleet.account.current
    assert credential is not None
    if is_forgotten:
        fleet.desks.registry.credentials.clear()
    else:
        fleet.desks.revoke(credential)
    told: list[Happening] = []
    for _ in range(3 * 24 * 60):
        if fleet.upkeep.draft(fleet.now) is not None:
            told += fleet.serve()
        fleet.pass_time(60)
    assert [type(each) for each in told] == [Trouble]
    assert fleet.upkeep.counts["enrolment_asked"] == 1
    assert 8 <= fleet.upkeep.counts["tickets_asked"] <= 20
    assert fleet.account.current == credential
