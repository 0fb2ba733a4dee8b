from dataclasses import replace

import pytest

from shared.core.clock import Instant, MonotonicNs
from shared.core.errors import DecodeError, V2xError, VerificationError
from shared.core.ids import HashedId8, ItsAid
from shared.core.itstime import time64_of, utc_from_text
from shared.core.report import VerificationReport as Report
from shared.security import list_sequence, trust_lists_held
from shared.security.certificate import Certificate, decode_certificate
from shared.security.chain import ChainVerifier
from shared.security.crl import Crl
from shared.security.ctl import AaEntry, Ctl, CtlEntry, DcEntry, RootCaEntry
from shared.security.ecdsa import Curve
from shared.security.header_info import HeaderInfo
from shared.security.list_places import proof_url
from shared.security.list_sequence import (
    MAX_DELTAS,
    DeltaGapError,
    ListForkError,
    ListKind,
    ListRollbackError,
    StoredList,
)
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.trust_lists_held import TrustChange, TrustLists
from shared.security.trust_pins import PinnedManager, TrustPins
from shared.service.logged_lists import UnloggedAdmission
from tests.helpers.data import data_file
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.publishing import CPOC, DAY_S, DC, GRACE_S, ManagerLists, RootLists, after, lists_of, trusting
from tests.helpers.trust_lists import ListIssuer, its_s

NO_NEWS = TrustChange(is_news=False)
NOBODY = HashedId8(b"whoever!")
NO_UTC = Instant(MonotonicNs(0), None)


def roots_of(lists: TrustLists, elapsed_s: float = 0) -> set[HashedId8]:
    return set(lists.trust(after(elapsed_s)).roots)


def authorities_of(lists: TrustLists, elapsed_s: float = 0) -> set[HashedId8]:
    return set(lists.trust(after(elapsed_s)).authorities)


def chain_of(lists: TrustLists, elapsed_s: float = 0) -> ChainVerifier:
    return ChainVerifier(trust_store=lists.trust(after(elapsed_s)), areas=NO_IDENTIFIED_AREAS)


def refusal(lists: TrustLists, ticket: Certificate, elapsed_s: float = 0) -> Report:
    with pytest.raises(VerificationError) as caught:
        chain_of(lists, elapsed_s).check_ticket(ticket, time64_of(after(elapsed_s).require_utc()))
    return caught.value.report


def accepted(lists: TrustLists, ticket: Certificate, elapsed_s: float = 0) -> bool:
    chain_of(lists, elapsed_s).check_ticket(ticket, time64_of(after(elapsed_s).require_utc()))
    return True


def report_of(error: V2xError) -> Report:
    assert isinstance(error, VerificationError)
    return error.report


def restored(stored: tuple[StoredList, ...], like: TrustLists, now: Instant) -> tuple[TrustLists, list[Report]]:
    lists = TrustLists(pins=like._pins, admission=like._admission, grace_s=like._grace_s)
    return lists, [report_of(each.error) for each in lists.restore(stored, now)]


def test_the_european_list_makes_its_two_roots_trusted_and_says_where_their_lists_are() -> None:
    manager = decode_certificate(data_file("security/E7A4B2B045E7ACF9.oer").read_bytes())
    ectl = data_file("security/CE4CF6C19BFED720.oer").read_bytes()
    pins = TrustPins(managers=(PinnedManager(certificate=manager),))
    lists = TrustLists(pins=pins, admission=UnloggedAdmission(), grace_s=0)
    now = Instant(MonotonicNs(0), utc_from_text("2025-04-01T00:00:00Z"))
    assert not lists.trust(now).roots
    change = lists.take_ectl(ectl, None, now)
    names = {"1_EU-ROOT-CA_L2", "3_Microsec-CCMS-RCA-2024_L2"}
    assert {root.name for root in change.roots_added} == names
    store = lists.trust(now)
    chain = ChainVerifier(trust_store=store, areas=NO_IDENTIFIED_AREAS)
    for root in store.roots.values():
        chain.check_authority(root, time64_of(utc_from_text("2025-04-01T00:00:00Z")))
    wanted = lists.wanted(now)
    assert [(each.kind, len(each.places)) for each in wanted] == [(ListKind.ROOT_CTL, 1), (ListKind.CRL, 1)] * 2
    first = wanted[0]
    assert first.url(first.places[0]).endswith("/getctl/624E2E81B7945C4F")
    assert "//getctl" not in first.url(first.places[0])
    assert lists.take_ectl(ectl, None, now) == NO_NEWS


@pytest.mark.parametrize("curve", [Curve.NIST_P256, Curve.BRAINPOOL_P384R1])
def test_from_a_pinned_manager_to_a_ticket_everything_comes_out_of_lists(curve: Curve) -> None:
    root = RootLists(Hierarchy(1))
    manager = ManagerLists(2, root, curve=curve)
    lists = lists_of(manager)
    ticket = root.hierarchy.ticket().certificate
    assert refusal(lists, ticket) is Report.SIGNER_CERTIFICATE_NOT_FOUND
    assert lists.take_ectl(manager.ectl(), None, after(0)).roots_added == (root.root,)
    change = lists.take_ctl(root.ctl().full, None, after(0))
    assert set(change.authorities_added) == {root.hierarchy.ea.certificate, root.hierarchy.aa.certificate}
    assert refusal(lists, ticket) is Report.OUTDATED_TRUST_LIST
    assert lists.take_crl(root.crl(), None, after(0)) == TrustChange(is_news=True)
    assert accepted(lists, ticket)


def test_stations_and_authorities_learn_from_the_list_where_to_go() -> None:
    root = RootLists(Hierarchy(3))
    lists = trusting(root)
    ea, aa = root.hierarchy.ea.certificate.hashed_id8, root.hierarchy.aa.certificate.hashed_id8
    assert lists.access_point(aa) == "http://aa.example/aa"
    assert lists.access_point(ea) == "http://ea.example/its"
    assert lists.validation_point(ea) == "http://ea.example/aa"
    assert lists.validation_point(aa) is None
    assert lists.access_point(NOBODY) is None
    lists.take_ctl(root.ctl(1, entries=(replace(root.ea, its_access_point=None),)).full, None, after(1))
    assert lists.access_point(ea) == "http://ea.example/aa"
    assert lists.access_point(aa) is None


def test_a_list_of_nobody_we_trust_or_of_the_wrong_one_is_refused() -> None:
    root, other = RootLists(Hierarchy(4)), RootLists(Hierarchy(5))
    manager, stranger = ManagerLists(6, root), ManagerLists(7, root)
    lists = lists_of(manager, roots=(root,))
    for take, secured in (
        (lists.take_ectl, stranger.ectl()),
        (lists.take_ectl, root.ctl().full),
        (lists.take_ctl, other.ctl().full),
        (lists.take_ctl, manager.ectl()),
        (lists.take_crl, other.crl()),
    ):
        with pytest.raises(VerificationError) as caught:
            take(secured, None, after(0))
        assert caught.value.report is Report.UNTRUSTED_ROOT
    assert not lists.held()


def test_a_list_that_names_one_root_and_is_signed_by_another_is_refused() -> None:
    root, other = RootLists(Hierarchy(8)), RootLists(Hierarchy(9))
    lists = lists_of(roots=(root,))
    with pytest.raises(VerificationError) as caught:
        lists.take_ctl(other.ctl().full.replace(other.root.encoded, root.root.encoded), None, after(0))
    assert caught.value.report is Report.FALSE_SIGNATURE
    assert not authorities_of(lists)


def test_a_manager_who_may_sign_both_kinds_cannot_pass_one_off_as_the_other() -> None:
    both = ListIssuer.made(10, ctl=b"\x01\xf8")
    lists = TrustLists(
        pins=TrustPins(managers=(PinnedManager(certificate=both.certificate),), roots=(both.certificate,)),
        admission=UnloggedAdmission(),
        grace_s=0,
    )
    root = RootLists(Hierarchy(11))
    as_root = replace(root.ctl().ctl, commands=())
    with pytest.raises(VerificationError) as caught:
        lists.take_ectl(both.signed(as_root), None, after(0))
    assert caught.value.report is Report.CONTENT_MISMATCH


def test_what_a_newer_list_leaves_out_or_a_delta_deletes_is_known_no_more() -> None:
    root = RootLists(Hierarchy(12))
    lists = trusting(root)
    ea, aa, dc = root.ea, root.aa, root.dc
    aa_certificate = root.hierarchy.aa.certificate
    change = lists.take_ctl(root.ctl(1, entries=(ea, dc)).full, None, after(1))
    assert change == TrustChange(is_news=True, authorities_removed=(aa_certificate,))
    delta = root.ctl(2, entries=(ea, aa, dc)).delta
    assert delta is not None
    assert lists.take_ctl(delta, None, after(2)).authorities_added == (aa_certificate,)
    delta = root.ctl(3, entries=(aa, replace(dc, url="http://elsewhere.example"))).delta
    assert delta is not None
    assert lists.take_ctl(delta, None, after(3)).authorities_removed == (root.hierarchy.ea.certificate,)
    assert authorities_of(lists, 3) == {aa_certificate.hashed_id8}
    (wanted, _) = [each for each in lists.wanted(after(DAY_S)) if each.issuer == root.identifier]
    assert wanted.places == ("http://elsewhere.example",)


def test_a_delta_and_the_full_list_of_the_same_number_agree_and_bring_no_news() -> None:
    root = RootLists(Hierarchy(13))
    lists = trusting(root)
    published = root.ctl(1, entries=root.entries[1:])
    assert published.delta is not None
    assert lists.take_ctl(published.delta, None, after(1)).is_news
    assert lists.take_ctl(published.full, None, after(1)) == NO_NEWS
    assert lists.take_ctl(published.delta, None, after(1)) == NO_NEWS


def test_a_delta_that_leaves_a_gap_asks_for_the_full_list() -> None:
    root = RootLists(Hierarchy(14))
    lists = trusting(root)
    root.ctl(1)
    later = root.ctl(2, entries=root.entries[:1])
    assert later.delta is not None
    with pytest.raises(DeltaGapError, match=r"delta list 2 does not follow list 0, which is held: fetch the full list") as caught:
        lists.take_ctl(later.delta, None, after(2))
    assert caught.value.report is Report.LIST_GAP
    assert root.hierarchy.aa.certificate.hashed_id8 in authorities_of(lists, 2)
    assert lists.take_ctl(later.full, None, after(2)).authorities_removed == (root.hierarchy.aa.certificate,)


def test_a_delta_without_any_list_below_it_asks_for_the_full_list() -> None:
    root = RootLists(Hierarchy(15))
    lists = lists_of(roots=(root,))
    root.ctl()
    delta = root.ctl(1).delta
    assert delta is not None
    with pytest.raises(DeltaGapError, match="does not follow any list that is held"):
        lists.take_ctl(delta, None, after(1))


def test_more_deltas_than_the_bound_ask_for_the_full_list() -> None:
    root = RootLists(Hierarchy(16))
    lists = trusting(root)
    for number in range(1, MAX_DELTAS + 2):
        published = root.ctl(number, entries=root.entries[:-1] if number % 2 else (*root.entries, DcEntry(url=DC, roots=())))
        delta = published.delta or b""
        if number <= MAX_DELTAS:
            assert lists.take_ctl(delta, None, after(number)).is_news
    with pytest.raises(DeltaGapError):
        lists.take_ctl(delta, None, after(number))
    lists.take_ctl(published.full, None, after(number))
    assert [len(each.documents) for each in lists.held()] == [1, 1]


def test_an_older_list_is_refused_and_both_numbers_are_named() -> None:
    root = RootLists(Hierarchy(17))
    lists = lists_of(roots=(root,))
    old, new = root.ctl(), root.ctl(1, entries=root.entries[:1])
    lists.take_ctl(new.full, None, after(1))
    with pytest.raises(ListRollbackError, match=r"list 0 of 2026-11-22T12:00:00.000Z is older than list 1 of 2026-11-22T12:00:01"):
        lists.take_ctl(old.full, None, after(2))
    assert authorities_of(lists, 2) == {root.hierarchy.ea.certificate.hashed_id8}


def test_a_lower_number_is_refused_even_when_it_is_signed_later() -> None:
    root = RootLists(Hierarchy(18))
    lists = lists_of(roots=(root,))
    root.ctl()
    lists.take_ctl(root.ctl(1).full, None, after(1))
    root.previous = None
    with pytest.raises(ListRollbackError, match=r"list 0 .* is older than list 1"):
        lists.take_ctl(root.ctl(2, entries=()).full, None, after(2))


def test_a_delta_that_is_not_later_than_what_is_held_is_refused() -> None:
    root = RootLists(Hierarchy(19))
    lists = trusting(root)
    delta = root.ctl(1, entries=()).delta
    full = root.ctl(1, entries=root.entries).full
    assert delta is not None
    lists.take_ctl(full, None, after(1))
    with pytest.raises(ListRollbackError, match=r"delta list 1 .* is not later than list 2"):
        lists.take_ctl(delta, None, after(1))


def test_two_lists_of_one_number_are_a_fork_and_both_are_kept_as_evidence() -> None:
    root = RootLists(Hierarchy(20))
    lists = lists_of(roots=(root,))
    ours = root.ctl().full
    lists.take_ctl(ours, None, after(0))
    root.previous = None
    theirs = root.ctl(1, entries=root.entries[:1]).full
    with pytest.raises(ListForkError) as caught:
        lists.take_ctl(theirs, None, after(1))
    assert caught.value.report is Report.LIST_FORK
    assert (caught.value.held, caught.value.other) == (ours, theirs)
    assert root.hierarchy.aa.certificate.hashed_id8 in authorities_of(lists)


def test_the_number_after_255_is_0() -> None:
    root = RootLists(Hierarchy(21))
    lists = lists_of(roots=(root,))
    root.previous = Ctl(kind=root.ctl().ctl.kind, next_update=its_s(NOON), is_full=True, sequence=254, commands=())
    lists.take_ctl(root.ctl().full, None, after(0))
    published = root.ctl(1, entries=root.entries[:1])
    assert (published.ctl.sequence, published.delta is not None) == (0, True)
    lists.take_ctl(published.delta or b"", None, after(1))
    assert authorities_of(lists, 1) == {root.hierarchy.ea.certificate.hashed_id8}


def test_a_station_that_slept_for_long_takes_whatever_number_its_root_has_come_to() -> None:
    root = RootLists(Hierarchy(22))
    lists = trusting(root)
    root.previous = Ctl(kind=root.ctl().ctl.kind, next_update=its_s(NOON), is_full=True, sequence=199, commands=())
    published = root.ctl(DAY_S, entries=root.entries[:1])
    with pytest.raises(ListRollbackError, match=r"list 200 .* is older than list 0"):
        lists.take_ctl(published.full, None, after(DAY_S))
    assert lists.take_ctl(published.full, None, after(DAY_S + GRACE_S)).is_news


def test_a_revocation_list_never_goes_back_and_the_same_one_again_is_no_news() -> None:
    root = RootLists(Hierarchy(23))
    lists = trusting(root)
    aa = root.hierarchy.aa.certificate.hashed_id8
    old, new = root.crl(1), root.crl(2, aa)
    assert lists.take_crl(new, None, after(2)) == TrustChange(is_news=True, revoked=(aa,))
    assert lists.take_crl(new, None, after(3)) == NO_NEWS
    with pytest.raises(ListRollbackError, match=r"12:00:01\.000Z.* is older than .*12:00:02\.000Z"):
        lists.take_crl(old, None, after(3))
    fork = root.crl(2, NOBODY)
    with pytest.raises(ListForkError) as caught:
        lists.take_crl(fork, None, after(3))
    assert (caught.value.held, caught.value.other) == (new, fork)
    assert lists.take_crl(root.crl(4), None, after(4)) == TrustChange(is_news=True, reinstated=(aa,))


def test_neither_the_moment_a_revocation_list_is_signed_at_nor_the_one_it_is_for_goes_back() -> None:
    root = ListIssuer.made(57)
    lists = TrustLists(pins=TrustPins(roots=(root.certificate,)), admission=UnloggedAdmission(), grace_s=0)

    def crl(this_update_s: int, signed_s: int) -> bytes:
        content = Crl(this_update=its_s(NOON, after_s=this_update_s), next_update=its_s(NOON, after_s=DAY_S), revoked=())
        signed_at = time64_of(after(signed_s).require_utc())
        return root.signed(content, header=HeaderInfo(psid=ItsAid.CRL, generation_time=signed_at))

    lists.take_crl(crl(10, 10), None, after(20))
    for this_update_s, signed_s in ((9, 11), (11, 9)):
        with pytest.raises(ListRollbackError):
            lists.take_crl(crl(this_update_s, signed_s), None, after(20))
    assert lists.take_crl(crl(11, 11), None, after(20)).is_news


def test_a_list_that_was_dropped_still_allows_no_other_of_the_same_moment() -> None:
    root, other = RootLists(Hierarchy(58)), RootLists(Hierarchy(59))
    manager = ManagerLists(60, root)
    lists = lists_of(manager)
    lists.take_ectl(manager.ectl(), None, after(0))
    ours = root.ctl().full
    lists.take_ctl(ours, None, after(0))
    lists.take_ectl(manager.ectl(1, other), None, after(1))
    lists.take_ectl(manager.ectl(2, root), None, after(2))
    theirs = root.ctl(entries=()).full
    with pytest.raises(ListForkError) as caught:
        lists.take_ctl(theirs, None, after(2))
    assert (caught.value.held, caught.value.other) == (b"", theirs)
    assert lists.take_ctl(ours, None, after(2)).is_news


def test_deltas_cannot_make_a_list_grow_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    root = RootLists(Hierarchy(61))
    lists = trusting(root)
    monkeypatch.setattr(list_sequence, "MAX_HELD_ENTRIES", len(root.entries))
    grown = root.ctl(1, entries=(*root.entries, DcEntry(url="http://another.example", roots=())))
    with pytest.raises(DecodeError, match="4 entries after this list, at most 3 are kept"):
        lists.take_ctl(grown.delta or b"", None, after(1))


def test_a_ticket_below_a_revoked_authority_is_refused_and_so_is_everything_below_a_root_that_revokes_itself() -> None:
    root = RootLists(Hierarchy(24))
    lists = trusting(root)
    ticket = root.hierarchy.ticket().certificate
    assert accepted(lists, ticket)
    lists.take_crl(root.crl(1, root.hierarchy.aa.certificate.hashed_id8), None, after(1))
    assert refusal(lists, ticket, 1) is Report.REVOKED_CERTIFICATE
    chain_of(lists, 1).check_authority(root.hierarchy.ea.certificate, time64_of(NOON))
    lists.take_crl(root.crl(2, root.identifier), None, after(2))
    assert refusal(lists, ticket, 2) is Report.REVOKED_CERTIFICATE


def test_a_root_revokes_nothing_of_another_root() -> None:
    ours, theirs = RootLists(Hierarchy(25)), RootLists(Hierarchy(26))
    lists = lists_of(roots=(ours, theirs))
    lists.take_ctl(ours.ctl().full, None, after(0))
    lists.take_ctl(theirs.ctl().full, None, after(0))
    lists.take_crl(ours.crl(0, theirs.hierarchy.aa.certificate.hashed_id8, theirs.identifier), None, after(0))
    assert accepted(lists, theirs.hierarchy.ticket().certificate)
    assert accepted(lists, ours.hierarchy.ticket().certificate)


def test_a_root_lists_only_authorities_it_vouches_for() -> None:
    ours, theirs = RootLists(Hierarchy(27)), RootLists(Hierarchy(28))
    lists = lists_of(roots=(ours,))
    entries: tuple[CtlEntry, ...] = (*ours.entries, AaEntry(certificate=theirs.hierarchy.aa.certificate, access_point="http://x"))
    with pytest.raises(VerificationError, match="has issued") as caught:
        lists.take_ctl(ours.ctl(entries=entries).full, None, after(0))
    assert caught.value.report is Report.INCONSISTENT_CHAIN
    ours.previous = None
    with pytest.raises(VerificationError, match="as an authority, which it is not") as caught:
        lists.take_ctl(ours.ctl(entries=(AaEntry(certificate=theirs.root, access_point="http://x"),)).full, None, after(0))
    assert caught.value.report is Report.INVALID_CERTIFICATE
    assert not authorities_of(lists)


def test_a_manager_lists_only_certificates_that_are_roots() -> None:
    root = RootLists(Hierarchy(29))
    manager = ManagerLists(30)
    lists = lists_of(manager)
    published = manager.manager.publish_ectl(
        (RootCaEntry(certificate=root.hierarchy.aa.certificate),),
        previous=None,
        next_update=its_s(NOON, after_s=DAY_S),
        now=after(0),
    )
    with pytest.raises(VerificationError, match="as a root, which it is not"):
        lists.take_ectl(published.full, None, after(0))


def test_a_root_that_its_manager_no_longer_lists_is_trusted_no_more_but_a_pinned_one_is() -> None:
    listed, both = RootLists(Hierarchy(31)), RootLists(Hierarchy(32))
    manager = ManagerLists(33, listed, both)
    lists = lists_of(manager, roots=(both,))
    lists.take_ectl(manager.ectl(), None, after(0))
    lists.take_ctl(listed.ctl().full, None, after(0))
    other = RootLists(Hierarchy(34))
    change = lists.take_ectl(manager.ectl(1, other), None, after(1))
    assert change.roots_removed == (listed.root,)
    assert change.roots_added == (other.root,)
    assert set(change.authorities_removed) == {listed.hierarchy.ea.certificate, listed.hierarchy.aa.certificate}
    assert roots_of(lists, 1) == {both.identifier, other.identifier}
    assert refusal(lists, listed.hierarchy.ticket().certificate, 1) is Report.SIGNER_CERTIFICATE_NOT_FOUND
    lists.take_ectl(manager.ectl(2, listed), None, after(2))
    assert not authorities_of(lists, 2), "its lists must come again"
    assert lists.take_ctl(listed.ctl(2).full, None, after(2)).is_news


def test_a_list_that_ran_out_counts_for_its_grace_and_then_nothing_new_is_believed() -> None:
    root = RootLists(Hierarchy(35))
    lists = trusting(root)
    known, new = root.hierarchy.ticket().certificate, root.hierarchy.ticket().certificate
    within, beyond = DAY_S + GRACE_S - 1, DAY_S + GRACE_S
    assert not lists.trust(after(within)).outdated
    assert accepted(lists, new, within)
    chain = chain_of(lists)
    chain.check_ticket(known, time64_of(NOON))
    chain.change_trust(lists.trust(after(beyond)))
    assert chain.check_ticket(known, time64_of(NOON)).certificate is known
    with pytest.raises(VerificationError, match="have run out: nothing new") as caught:
        chain.check_ticket(new, time64_of(NOON))
    assert caught.value.report is Report.OUTDATED_TRUST_LIST
    lists.take_ctl(root.ctl(beyond).full, None, after(beyond))
    assert lists.trust(after(beyond)).outdated == {root.identifier}, "its revocation list ran out too"
    lists.take_crl(root.crl(beyond), None, after(beyond))
    chain.change_trust(lists.trust(after(beyond)))
    chain.check_ticket(new, time64_of(NOON))


def test_when_a_managers_list_runs_out_its_roots_bring_nothing_new_but_the_operators_own_do() -> None:
    listed, pinned = RootLists(Hierarchy(36)), RootLists(Hierarchy(37))
    manager = ManagerLists(38, listed, pinned)
    lists = lists_of(manager, roots=(pinned,))
    lists.take_ectl(manager.ectl(), None, after(0))
    for each in (listed, pinned):
        lists.take_ctl(each.ctl(life_s=3 * DAY_S).full, None, after(0))
        lists.take_crl(each.crl(life_s=3 * DAY_S), None, after(0))
    assert not lists.trust(after(DAY_S)).outdated
    assert lists.trust(after(DAY_S + GRACE_S)).outdated == {listed.identifier}


def test_an_operators_root_without_any_list_goes_on_and_one_of_a_list_alone_does_not() -> None:
    listed, pinned = RootLists(Hierarchy(39)), RootLists(Hierarchy(40))
    manager = ManagerLists(41, listed)
    lists = lists_of(manager, roots=(pinned,))
    lists.take_ectl(manager.ectl(), None, after(0))
    assert lists.trust(after(0)).outdated == {listed.identifier}
    assert lists.trust(NO_UTC).outdated == {listed.identifier}


def test_lists_are_wanted_when_there_is_none_and_when_three_quarters_of_their_life_are_over() -> None:
    root = RootLists(Hierarchy(42))
    manager = ManagerLists(43, root)
    lists = lists_of(manager)
    assert [(each.kind, each.issuer, each.places) for each in lists.wanted(after(0))] == [
        (ListKind.ECTL, manager.identifier, (CPOC.rstrip("/"),))
    ]
    lists.take_ectl(manager.ectl(), None, after(0))
    wanted = lists.wanted(after(0))
    assert [(each.kind, each.held_sequence) for each in wanted] == [(ListKind.ROOT_CTL, None), (ListKind.CRL, None)]
    hexed = root.identifier.hex().upper()
    assert [each.url(each.places[0]) for each in wanted] == [f"{DC}/getctl/{hexed}", f"{DC}/getcrl/{hexed}"]
    assert [each.delta_url(each.places[0]) for each in wanted] == [None, None]
    lists.take_ctl(root.ctl().full, None, after(0))
    lists.take_crl(root.crl(), None, after(0))
    assert lists.wanted(after(DAY_S * 3 / 4 - 1)) == ()
    assert lists.wanted(NO_UTC) == ()
    due = lists.next_due(after(0))
    assert due == after(DAY_S * 3 / 4).monotonic
    all_wanted = lists.wanted(after(DAY_S * 3 / 4))
    assert [each.kind for each in all_wanted] == [ListKind.ECTL, ListKind.ROOT_CTL, ListKind.CRL]
    assert all_wanted[0].url(all_wanted[0].places[0]) == f"http://cpoc.example/getectl/{manager.identifier.hex().upper()}"
    assert all_wanted[1].delta_url(DC) == f"{DC}/getctl/{hexed}/0"
    assert lists.next_due(after(DAY_S * 3 / 4)) == after(DAY_S + GRACE_S).monotonic
    assert lists.next_due(NO_UTC) is None


def test_the_operators_distribution_centre_is_tried_where_no_list_names_one() -> None:
    root = RootLists(Hierarchy(44))
    pins = TrustPins(roots=(root.root,), distribution_centres=("http://own.example/", "http://own.example"))
    lists = TrustLists(pins=pins, admission=UnloggedAdmission(), grace_s=0)
    assert {each.places for each in lists.wanted(after(0))} == {("http://own.example",)}
    lists.take_ctl(root.ctl().full, None, after(0))
    assert lists.wanted(after(0))[0].places == (DC, "http://own.example")
    assert proof_url("http://own.example/", b"x").startswith("http://own.example/getproof/2d711642b726b04401627ca9")


def test_what_is_held_survives_a_restart_and_so_does_the_protection_against_older_lists() -> None:
    root = RootLists(Hierarchy(45))
    manager = ManagerLists(46, root)
    lists = lists_of(manager)
    old = root.ctl()
    lists.take_ectl(manager.ectl(), None, after(0))
    lists.take_ctl(root.ctl(1, entries=root.entries[:2]).full, None, after(1))
    delta = root.ctl(2, entries=root.entries[1:]).delta
    lists.take_ctl(delta or b"", None, after(2))
    revoked = root.crl(2, NOBODY)
    lists.take_crl(revoked, None, after(2))
    again, refused = restored(lists.held(), lists, after(3))
    assert refused == []
    assert again.trust(after(3)) == lists.trust(after(3))
    assert again.held() == lists.held()
    assert again.take_crl(revoked, None, after(3)) == NO_NEWS
    with pytest.raises(ListRollbackError):
        again.take_ctl(old.full, None, after(3))
    with pytest.raises(ListRollbackError):
        again.take_crl(root.crl(1), None, after(3))


def test_a_list_within_its_grace_is_restored_and_one_beyond_is_not_but_still_protects() -> None:
    root = RootLists(Hierarchy(47))
    lists = trusting(root)
    old = root.ctl(-10, entries=(), life_s=3 * DAY_S).full
    stored = lists.held()
    again, refused = restored(stored, lists, after(DAY_S + GRACE_S - 1))
    assert (refused, len(again.trust(after(DAY_S + GRACE_S - 1)).authorities)) == ([], 2)
    beyond = DAY_S + GRACE_S
    again, refused = restored(stored, lists, after(beyond))
    assert refused == [Report.OUTDATED_TRUST_LIST] * 2
    assert again.trust(after(beyond)).outdated == {root.identifier}
    assert [(each.mark, each.documents) for each in again.held()] == [(each.mark, ()) for each in stored]
    with pytest.raises(ListRollbackError):
        again.take_ctl(old, None, after(beyond))


def test_without_a_trusted_time_nothing_is_restored_until_there_is_one() -> None:
    root = RootLists(Hierarchy(48))
    lists = trusting(root)
    again, refused = restored(lists.held(), lists, NO_UTC)
    assert refused == [Report.UNTRUSTED_TIME] * 2
    assert again.trust(NO_UTC).outdated == {root.identifier}
    assert again.restore(lists.held(), after(0)) == ()
    assert again.trust(after(0)) == lists.trust(after(0))


def test_a_stored_list_whose_signature_does_not_hold_or_that_is_not_the_last_one_is_not_restored() -> None:
    root = RootLists(Hierarchy(49))
    lists = trusting(root)
    older = lists.held()
    lists.take_ctl(root.ctl(1).full, None, after(1))
    ctl, crl = lists.held()
    broken = bytearray(crl.documents[0].secured)
    broken[-1] ^= 1
    swapped = replace(ctl, documents=older[0].documents)
    spoilt = replace(crl, documents=(replace(crl.documents[0], secured=bytes(broken)),))
    _, refused = restored((swapped, spoilt), lists, after(1))
    assert refused == [Report.LIST_ROLLBACK, Report.FALSE_SIGNATURE]


def test_a_list_of_a_root_the_operator_no_longer_pins_is_not_restored() -> None:
    root, other = RootLists(Hierarchy(50)), RootLists(Hierarchy(51))
    lists = trusting(root)
    again = lists_of(roots=(other,))
    assert [report_of(each.error) for each in again.restore(lists.held(), after(1))] == [Report.UNTRUSTED_ROOT] * 2
    assert roots_of(again) == {other.identifier}


def test_a_malformed_list_changes_nothing() -> None:
    root = RootLists(Hierarchy(52))
    lists = trusting(root)
    before = lists.trust(after(0))
    published = root.ctl(1, entries=()).full
    for length in range(0, len(published), 7):
        with pytest.raises(V2xError):
            lists.take_ctl(published[:length], None, after(1))
    assert lists.trust(after(0)) == before


@pytest.mark.parametrize("kind", ["ctl", "crl"])
def test_no_bit_of_a_list_can_be_changed_without_its_being_refused_or_saying_the_same(kind: str) -> None:
    root = RootLists(Hierarchy(54))
    secured = root.ctl().full if kind == "ctl" else root.crl(0, NOBODY)
    sound = lists_of(roots=(root,))
    expected = sound.take_ctl(secured, None, after(0)) if kind == "ctl" else sound.take_crl(secured, None, after(0))
    refused = 0
    for bit in range(0, 8 * len(secured), 13):
        flipped = bytearray(secured)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        lists = lists_of(roots=(root,))
        take = lists.take_ctl if kind == "ctl" else lists.take_crl
        try:
            assert take(bytes(flipped), None, after(0)) == expected
        except V2xError:
            refused += 1
            assert not lists.held()
    assert refused > 8 * len(secured) // 13 * 0.9


def test_lists_of_more_issuers_than_the_bound_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = RootLists(Hierarchy(55)), RootLists(Hierarchy(56))
    monkeypatch.setattr(trust_lists_held, "MAX_ISSUERS_LISTS", 1)
    lists = lists_of(roots=(ours, theirs))
    lists.take_ctl(ours.ctl().full, None, after(0))
    with pytest.raises(VerificationError, match="one too many"):
        lists.take_ctl(theirs.ctl().full, None, after(0))
    assert lists.take_ctl(ours.ctl(1).full, None, after(1)).is_news


def test_a_list_cannot_be_taken_before_the_time_is_known() -> None:
    root = RootLists(Hierarchy(53))
    lists = lists_of(roots=(root,))
    with pytest.raises(VerificationError) as caught:
        lists.take_ctl(root.ctl().full, None, NO_UTC)
    assert caught.value.report is Report.UNTRUSTED_TIME
