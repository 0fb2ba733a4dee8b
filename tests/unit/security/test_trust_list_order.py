import pytest

from shared.core.errors import DecodeError, VerificationError
from shared.core.ids import ItsAid
from shared.core.itstime import time64_of
from shared.core.report import VerificationReport as Report
from shared.security import list_sequence
from shared.security.crl import Crl
from shared.security.ctl import Ctl, DcEntry
from shared.security.header_info import HeaderInfo
from shared.security.list_sequence import (
    MAX_DELTAS,
    SEQUENCE_NUMBERS,
    DeltaGapError,
    ListForkError,
    ListRollbackError,
)
from shared.security.trust_lists_held import TrustChange, TrustLists
from shared.security.trust_pins import TrustPins
from shared.service.logged_lists import UnloggedAdmission
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.lists_in_force import NO_NEWS, NOBODY, authorities_of
from tests.helpers.publishing import DAY_S, DC, GRACE_S, ManagerLists, RootLists, after, lists_of, trusting
from tests.helpers.trust_lists import ListIssuer, its_s


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


def test_a_delta_of_a_later_round_of_numbers_asks_a_station_that_slept_through_one_for_the_full_list() -> None:
    root = RootLists(Hierarchy(14))
    slept_s, life_s = 86_400, 86_400 // SEQUENCE_NUMBERS
    lists = lists_of(roots=(root,), grace_s=slept_s)
    lists.take_ctl(root.ctl(life_s=life_s).full, None, after(0))
    aa = root.hierarchy.aa.certificate
    root.ctl(1, entries=(root.ea, root.dc))
    for number in range(2, SEQUENCE_NUMBERS + 1):
        root.ctl(number)
    again = root.ctl(slept_s)
    assert again.ctl.sequence == 1
    with pytest.raises(DeltaGapError, match="which had run out before it was made"):
        lists.take_ctl(again.delta or b"", None, after(slept_s))
    assert lists.take_ctl(again.full, None, after(slept_s)).authorities_removed == (aa,)


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


def test_a_root_that_revoked_itself_cannot_take_that_back() -> None:
    root = RootLists(Hierarchy(91))
    lists = trusting(root)
    lists.take_crl(root.crl(60, root.identifier), None, after(60))
    assert lists.trust(after(60)).revokes(root.identifier, root.root)
    for take, secured in ((lists.take_crl, root.crl(120)), (lists.take_ctl, root.ctl(120).full)):
        with pytest.raises(VerificationError, match="has revoked itself") as refused:
            take(secured, None, after(121))
        assert refused.value.report is Report.REVOKED_CERTIFICATE
    assert lists.trust(after(121)).revokes(root.identifier, root.root)
    assert lists.wanted(after(10 * DAY_S)) == ()


def test_a_root_s_last_word_outlives_its_list_and_a_restart() -> None:
    root = RootLists(Hierarchy(92))
    lists = trusting(root)
    lists.take_crl(root.crl(60, root.identifier), None, after(60))
    late = 30 * DAY_S
    assert lists.trust(after(late)).revokes(root.identifier, root.root)
    again = lists_of(roots=(root,))
    again.restore(lists.held(), after(late))
    assert again.trust(after(late)).revokes(root.identifier, root.root)
    with pytest.raises(VerificationError, match="has revoked itself"):
        again.take_crl(root.crl(late), None, after(late + 1))
