from dataclasses import replace

import pytest

from shared.core.errors import VerificationError
from shared.core.itstime import time64_of
from shared.core.report import VerificationReport as Report
from shared.security.list_places import proof_url
from shared.security.list_sequence import (
    ListKind,
    ListRollbackError,
)
from shared.security.trust_lists_held import TrustLists
from shared.security.trust_pins import TrustPins
from shared.service.logged_lists import UnloggedAdmission
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.lists_in_force import (
    NO_NEWS,
    NO_UTC,
    NOBODY,
    accepted,
    chain_of,
    report_of,
    restored,
    roots_of,
)
from tests.helpers.publishing import CPOC, DAY_S, DC, GRACE_S, ManagerLists, RootLists, after, lists_of, trusting


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
