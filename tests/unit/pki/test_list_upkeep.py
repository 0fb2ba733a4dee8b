"""A station that keeps its trust lists fresh, against authorities that publish and a log that proves."""

from dataclasses import dataclass, field

from shared.core.clock import Instant, MonotonicNs
from shared.core.errors import TransportError
from shared.pki.happenings import EvidenceFound, Happening, Recovered, Subject, Trouble, TrustChanged
from shared.pki.list_upkeep import Fetch, ListUpkeep
from shared.security.list_places import proof_url
from shared.security.list_sequence import ListKind, StoredList
from shared.security.trust_lists_held import TrustLists
from shared.security.trust_pins import TrustPins
from shared.service.logged_lists import LoggedAdmission, UnloggedAdmission
from tests.helpers.hierarchy import Hierarchy
from tests.helpers.publishing import CPOC, DAY_S, DC, GRACE_S, DocumentLog, ManagerLists, RootLists, after, lists_of

OTHER_DC = "http://other.example"


@dataclass(slots=True)
class Web:
    """What servers have at their URLs."""

    documents: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def publish(self, root: RootLists, elapsed_s: float = 0, *, life_s: int = DAY_S, places: tuple[str, ...] = (DC,)) -> bytes:
        """Publish a root's next CTL and an empty CRL; return the full CTL."""
        before = root.previous
        published = root.ctl(elapsed_s, life_s=life_s)
        crl = root.crl(elapsed_s, life_s=life_s)
        name = root.identifier.hex().upper()
        for place in places:
            self.documents[f"{place}/getctl/{name}"] = published.full
            self.documents[f"{place}/getcrl/{name}"] = crl
            if before is not None and published.delta is not None:
                self.documents[f"{place}/getctl/{name}/{before.sequence}"] = published.delta
        return published.full

    def get(self, fetch: Fetch) -> bytes:
        """Fetch a document, or raise as the transport does."""
        self.asked.append(fetch.url)
        try:
            return self.documents[fetch.url]
        except KeyError:
            raise TransportError(fetch.url, "404 Not Found") from None


def upkeep_of(lists: TrustLists, *, needs_proof: bool = False, stored: tuple[StoredList, ...] = (), at: float = 0) -> ListUpkeep:
    return ListUpkeep(lists=lists, needs_proof=needs_proof, stored=stored, entropy=bytes, now=after(at))


def work(upkeep: ListUpkeep, web: Web, elapsed_s: float = 0) -> list[Happening]:
    """Fetch whatever is due at a moment."""
    now, happened = after(elapsed_s), list(upkeep.elapsed(after(elapsed_s)))
    while (fetch := upkeep.next_fetch(now)) is not None:
        try:
            octets = web.get(fetch)
        except TransportError as failure:
            happened += upkeep.failed(failure, now)
        else:
            happened += upkeep.fetched(octets, now)
    return happened


def pinned(root: RootLists) -> TrustLists:
    """Make lists that pin a root and the place where it publishes."""
    return TrustLists(
        pins=TrustPins(roots=(root.root,), distribution_centres=(DC,)), admission=UnloggedAdmission(), grace_s=GRACE_S
    )


def test_a_station_that_knows_a_manager_only_finds_the_roots_and_their_authorities() -> None:
    root, web = RootLists(Hierarchy(41)), Web()
    manager = ManagerLists(42, root)
    web.documents[f"{CPOC}getectl/{manager.identifier.hex().upper()}"] = manager.ectl()
    web.publish(root)
    upkeep = upkeep_of(lists_of(manager))
    happened = work(upkeep, web)
    stores = [each.store for each in happened if isinstance(each, TrustChanged)]
    assert set(stores[-1].roots) == {root.identifier}
    assert set(stores[-1].authorities) == {root.hierarchy.ea.certificate.hashed_id8, root.hierarchy.aa.certificate.hashed_id8}
    assert stores[-1].outdated == frozenset()
    assert upkeep.store == stores[-1]
    assert upkeep.is_unkept
    assert not upkeep.lacks(after(1))


def test_a_list_is_fetched_anew_before_it_ends_by_its_delta_first() -> None:
    root, web = RootLists(Hierarchy(43)), Web()
    web.publish(root)
    upkeep = upkeep_of(pinned(root))
    work(upkeep, web)
    assert work(upkeep, web, 0.7 * DAY_S) == []
    root.entries = (root.ea, root.dc)
    web.publish(root, 0.7 * DAY_S)
    web.asked.clear()
    happened = work(upkeep, web, 0.8 * DAY_S)
    assert web.asked[0].rsplit("/", 1)[-1].isdecimal()
    (changed,) = [each for each in happened if isinstance(each, TrustChanged)]
    assert root.hierarchy.aa.certificate.hashed_id8 not in changed.store.authorities
    assert upkeep.counts["ctl_taken"] == 2


def test_where_no_delta_is_to_be_had_the_whole_list_is_fetched_and_nobody_is_blamed() -> None:
    root, web = RootLists(Hierarchy(44)), Web()
    web.publish(root)
    upkeep = upkeep_of(pinned(root))
    work(upkeep, web)
    web.publish(root, 0.7 * DAY_S)
    web.documents = {url: octets for url, octets in web.documents.items() if not url.rsplit("/", 1)[-1].isdecimal()}
    assert not any(isinstance(each, Trouble) for each in work(upkeep, web, 0.8 * DAY_S))
    assert upkeep.counts["delta_not_taken"] == 1
    assert upkeep.counts["ctl_taken"] == 2


def test_a_place_that_does_not_answer_is_told_once_and_asked_again_later() -> None:
    root, web = RootLists(Hierarchy(45)), Web()
    upkeep = upkeep_of(pinned(root))
    troubles = work(upkeep, web)
    assert [type(each) for each in troubles] == [Trouble, Trouble]
    assert work(upkeep, web) == []
    assert work(upkeep, web, 5) == []
    web.publish(root, 5)
    happened = work(upkeep, web, 600)
    assert [each for each in happened if isinstance(each, Recovered)] == [Recovered(subject=Subject.LISTS)] * 2
    assert upkeep.troubles == {}


def test_the_next_place_is_tried_after_one_that_failed() -> None:
    root, web = RootLists(Hierarchy(46)), Web()
    lists = TrustLists(
        pins=TrustPins(roots=(root.root,), distribution_centres=(OTHER_DC, DC)), admission=UnloggedAdmission(), grace_s=GRACE_S
    )
    web.publish(root)
    upkeep = upkeep_of(lists)
    happened = work(upkeep, web)
    assert root.hierarchy.aa.certificate.hashed_id8 in upkeep.store.authorities
    assert any(url.startswith(OTHER_DC) for url in web.asked)
    assert not any(isinstance(each, Trouble) for each in happened), "there is a place that has it"


def test_rubbish_and_a_list_of_another_root_are_refused_and_told() -> None:
    root, stranger, web = RootLists(Hierarchy(47)), RootLists(Hierarchy(48)), Web()
    name = root.identifier.hex().upper()
    web.documents[f"{DC}/getctl/{name}"] = stranger.ctl().full
    web.documents[f"{DC}/getcrl/{name}"] = b"rubbish"
    upkeep = upkeep_of(pinned(root))
    codes = {each.code for each in work(upkeep, web) if isinstance(each, Trouble)}
    assert codes == {"content_mismatch", "malformed"}
    assert upkeep.store.authorities == {}


def test_a_place_that_has_the_good_list_of_another_root_in_stock_is_in_trouble_and_changes_nothing() -> None:
    root, other, web = RootLists(Hierarchy(54)), RootLists(Hierarchy(55)), Web()
    lists = TrustLists(
        pins=TrustPins(roots=(root.root, other.root), distribution_centres=(DC,)), admission=UnloggedAdmission(), grace_s=GRACE_S
    )
    web.publish(root)
    web.publish(other)
    name, others = root.identifier.hex().upper(), other.identifier.hex().upper()
    for path in ("getctl", "getcrl"):
        web.documents[f"{DC}/{path}/{name}"] = web.documents[f"{DC}/{path}/{others}"]
    upkeep = upkeep_of(lists)
    troubles = [each for each in work(upkeep, web) if isinstance(each, Trouble)]
    assert [trouble.code for trouble in troubles] == ["content_mismatch"] * 2
    assert set(upkeep.troubles) == {(ListKind.ROOT_CTL, root.identifier), (ListKind.CRL, root.identifier)}
    assert not any(isinstance(each, Trouble | Recovered) for each in work(upkeep, web, 60))
    assert root.hierarchy.aa.certificate.hashed_id8 not in upkeep.store.authorities
    assert other.hierarchy.aa.certificate.hashed_id8 in upkeep.store.authorities


def test_a_root_that_is_listed_no_more_leaves_no_trouble_behind() -> None:
    root, former, web = RootLists(Hierarchy(56)), RootLists(Hierarchy(57)), Web()
    manager = ManagerLists(58, root, former)
    place = f"{CPOC}getectl/{manager.identifier.hex().upper()}"
    web.documents[place] = manager.ectl()
    web.publish(root)
    upkeep = upkeep_of(lists_of(manager))
    work(upkeep, web)
    assert {issuer for _, issuer in upkeep.troubles} == {former.identifier}
    web.documents[place] = manager.ectl(0.8 * DAY_S, root)
    work(upkeep, web, 0.8 * DAY_S)
    assert upkeep.troubles == {}


def test_a_list_that_nobody_renews_runs_out_and_that_is_told_though_nothing_comes() -> None:
    root, web = RootLists(Hierarchy(49)), Web()
    web.publish(root)
    upkeep = upkeep_of(pinned(root))
    work(upkeep, web)
    assert upkeep.elapsed(after(DAY_S + GRACE_S - 1)) == ()
    (changed,) = upkeep.elapsed(after(DAY_S + GRACE_S))
    assert isinstance(changed, TrustChanged)
    assert changed.store.outdated == {root.identifier}
    assert changed.change is None


def test_a_log_is_asked_for_the_proof_of_each_list() -> None:
    root, web, log = RootLists(Hierarchy(50)), Web(), DocumentLog()
    web.publish(root)
    for document in list(web.documents.values()):
        web.documents[proof_url(DC, document)] = log.proof(document)
    lists = TrustLists(
        pins=TrustPins(roots=(root.root,), distribution_centres=(DC,)), admission=LoggedAdmission(log.policy), grace_s=GRACE_S
    )
    upkeep = upkeep_of(lists, needs_proof=True)
    happened = work(upkeep, web)
    assert not [each for each in happened if isinstance(each, Trouble | EvidenceFound)]
    assert root.hierarchy.aa.certificate.hashed_id8 in upkeep.store.authorities


def test_a_list_that_no_log_holds_is_refused_and_kept_as_evidence() -> None:
    root, web, log = RootLists(Hierarchy(51)), Web(), DocumentLog()
    ctl = web.publish(root)
    web.documents[proof_url(DC, ctl)] = log.proof(b"another document")
    lists = TrustLists(
        pins=TrustPins(roots=(root.root,), distribution_centres=(DC,)), admission=LoggedAdmission(log.policy), grace_s=GRACE_S
    )
    upkeep = upkeep_of(lists, needs_proof=True)
    happened = work(upkeep, web)
    evidence = [each for each in happened if isinstance(each, EvidenceFound)]
    assert {each.kind for each in evidence} == {"not_logged"}
    assert {"ctl": ctl} in [each.documents for each in evidence]
    assert all(each.subject == root.identifier.hex() for each in evidence)
    assert upkeep.store.authorities == {}


def test_kept_lists_count_again_after_a_restart_as_soon_as_the_time_is_known() -> None:
    root, web = RootLists(Hierarchy(52)), Web()
    web.publish(root)
    first = upkeep_of(pinned(root))
    work(first, web)
    lists = pinned(root)
    timeless = Instant(MonotonicNs(0), None)
    second = ListUpkeep(lists=lists, needs_proof=False, stored=first.lists.held(), entropy=bytes, now=timeless)
    assert second.elapsed(timeless) == ()
    assert second.next_fetch(timeless) is None
    (changed,) = second.elapsed(after(60))
    assert isinstance(changed, TrustChanged)
    assert changed.store == first.lists.trust(after(60))


def test_a_kept_list_that_ran_out_meanwhile_is_fetched_anew() -> None:
    root, web = RootLists(Hierarchy(53)), Web()
    web.publish(root)
    first = upkeep_of(pinned(root))
    work(first, web)
    late = 3 * DAY_S
    second = upkeep_of(pinned(root), stored=first.lists.held(), at=late)
    assert second.counts["ctl_not_restored"] == 1
    web.publish(root, late)
    work(second, web, late)
    assert second.store.outdated == frozenset()


def manager_and_centre(manager: ManagerLists, *, centre: str) -> TrustLists:
    """Make lists that pin a manager, and a distribution centre the operator has named."""
    return TrustLists(
        pins=TrustPins(managers=(manager.pinned,), distribution_centres=(centre,)), admission=UnloggedAdmission(), grace_s=GRACE_S
    )


def test_a_root_that_a_manager_lists_at_a_place_that_is_gone_is_sought_at_the_operators_place_at_once() -> None:
    root, web = RootLists(Hierarchy(61)), Web()
    manager = ManagerLists(62, root)
    web.documents[f"{CPOC}getectl/{manager.identifier.hex().upper()}"] = manager.ectl()
    web.publish(root, places=(OTHER_DC,))
    upkeep = upkeep_of(manager_and_centre(manager, centre=OTHER_DC))
    work(upkeep, web)
    assert any(url.startswith(DC) for url in web.asked)
    assert root.hierarchy.aa.certificate.hashed_id8 in upkeep.store.authorities
    assert upkeep.troubles == {}


def test_where_no_place_has_a_list_that_is_told_once_and_says_how_many_were_tried() -> None:
    root, web = RootLists(Hierarchy(63)), Web()
    lists = TrustLists(
        pins=TrustPins(roots=(root.root,), distribution_centres=(OTHER_DC, DC)), admission=UnloggedAdmission(), grace_s=GRACE_S
    )
    upkeep = upkeep_of(lists)
    troubles = [each for each in work(upkeep, web) if isinstance(each, Trouble)]
    assert len(troubles) == 2
    assert all(f"{DC}/" in each.sentence and "nor had 1 other place(s) it" in each.sentence for each in troubles)
    assert len(web.asked) == 4
    assert work(upkeep, web) == []
    assert len(web.asked) == 4, "after the last place it waits"


def test_a_list_that_no_place_has_makes_the_manager_be_asked_for_a_newer_one_that_may_name_another() -> None:
    root, web = RootLists(Hierarchy(64)), Web()
    manager = ManagerLists(65, root)
    place = f"{CPOC}getectl/{manager.identifier.hex().upper()}"
    web.documents[place] = manager.ectl()
    upkeep = upkeep_of(lists_of(manager))
    work(upkeep, web)
    assert {kind for kind, _ in upkeep.troubles} == {ListKind.ROOT_CTL, ListKind.CRL}
    web.documents[place] = manager.ectl(60, dc=OTHER_DC)
    web.publish(root, 60, places=(OTHER_DC,))
    work(upkeep, web, 60)
    assert root.hierarchy.aa.certificate.hashed_id8 in upkeep.store.authorities
    assert upkeep.troubles == {}


def test_a_manager_that_has_nothing_newer_is_not_asked_again_at_every_turn() -> None:
    root, web = RootLists(Hierarchy(66)), Web()
    manager = ManagerLists(67, root)
    place = f"{CPOC}getectl/{manager.identifier.hex().upper()}"
    web.documents[place] = manager.ectl()
    upkeep = upkeep_of(lists_of(manager))
    for _ in range(50):
        work(upkeep, web)
    assert web.asked.count(place) <= 2


def test_what_is_not_due_is_fetched_when_the_operator_asks_for_it_and_then_no_more() -> None:
    root, web = RootLists(Hierarchy(68)), Web()
    web.publish(root)
    upkeep = upkeep_of(pinned(root))
    work(upkeep, web)
    root.entries = (root.ea, root.dc)
    web.publish(root, 60)
    assert work(upkeep, web, 60) == []
    upkeep.refresh()
    work(upkeep, web, 60)
    assert upkeep.store.authorities.keys() == {root.hierarchy.ea.certificate.hashed_id8}
    assert (upkeep.counts["ctl_taken"], upkeep.counts["crl_taken"]) == (2, 2)
    asked = len(web.asked)
    assert work(upkeep, web, 61) == []
    assert len(web.asked) == asked


def test_asking_for_all_lists_ends_the_waiting_after_a_failure() -> None:
    root, web = RootLists(Hierarchy(69)), Web()
    upkeep = upkeep_of(pinned(root))
    work(upkeep, web)
    web.publish(root)
    assert work(upkeep, web) == []
    upkeep.refresh()
    assert any(isinstance(each, TrustChanged) for each in work(upkeep, web))
