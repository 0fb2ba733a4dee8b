from dataclasses import replace

import pytest

from shared.core.clock import Instant, MonotonicNs
from shared.core.errors import V2xError, VerificationError
from shared.core.itstime import time64_of, utc_from_text
from shared.core.report import VerificationReport as Report
from shared.security import trust_lists_held
from shared.security.certificate import decode_certificate
from shared.security.chain import ChainVerifier
from shared.security.ctl import AaEntry, CtlEntry, RootCaEntry
from shared.security.ecdsa import Curve
from shared.security.list_sequence import ListKind
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.trust_lists_held import TrustChange, TrustLists
from shared.security.trust_pins import PinnedManager, TrustPins
from shared.service.logged_lists import UnloggedAdmission
from tests.helpers.data import data_file
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.lists_in_force import (
    NO_NEWS,
    NO_UTC,
    NOBODY,
    accepted,
    authorities_of,
    chain_of,
    refusal,
    roots_of,
)
from tests.helpers.publishing import DAY_S, ManagerLists, RootLists, after, lists_of, trusting
from tests.helpers.trust_lists import ListIssuer, its_s


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


def test_stations_learn_from_the_list_where_to_go() -> None:
    root = RootLists(Hierarchy(3))
    lists = trusting(root)
    ea, aa = root.hierarchy.ea.certificate.hashed_id8, root.hierarchy.aa.certificate.hashed_id8
    assert lists.access_point(aa) == "http://aa.example/aa"
    assert lists.access_point(ea) == "http://ea.example/its"
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
