"""Lists as authorities publish them: numbered, signed, and what others make of them."""

from dataclasses import replace

import pytest

from shared.core.clock import Instant, MonotonicNs
from shared.core.errors import ConfigError, EncodeError, UntrustedTimeError
from shared.core.ids import HashedId8
from shared.pki.list_publisher import ListPublisher, TrustListManager, delta_between
from shared.security.ctl import CtlKind, DcEntry, DeleteCertificate, DeleteDc
from shared.security.ecdsa import Curve
from shared.security.trust_list import verify_crl, verify_ctl
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.publishing import DAY_S, ManagerLists, RootLists, after
from tests.helpers.trust_lists import its_s

A, B = HashedId8(b"aaaaaaaa"), HashedId8(b"bbbbbbbb")


@pytest.mark.parametrize("curve", Curve)
def test_a_managers_list_verifies_under_it_on_every_curve(curve: Curve) -> None:
    root = RootLists(Hierarchy(1))
    manager = ManagerLists(2, root, curve=curve)
    verified = verify_ctl(manager.ectl(), issuer=manager.certificate, now=after(0)).content
    assert (verified.kind, verified.is_full, verified.sequence) == (CtlKind.ECTL, True, 0)
    assert verified.roots == (root.root,)
    (permission,) = manager.certificate.tbs.app_permissions or ()
    assert (permission.psid, permission.ssp) == (624, b"\x01\xc8")
    assert manager.certificate.is_self_signed
    assert manager.certificate.name == "manager 2"


def test_a_roots_lists_verify_under_it() -> None:
    root = RootLists(Hierarchy(3))
    verified = verify_ctl(root.ctl().full, issuer=root.root, now=after(0)).content
    assert verified.authorities == (root.hierarchy.ea.certificate, root.hierarchy.aa.certificate)
    crl = verify_crl(root.crl(0, B, A, B), issuer=root.root, now=after(0)).content
    assert crl.revoked == (A, B)
    assert crl.this_update == its_s(NOON)
    assert verify_crl(root.crl(), issuer=root.root, now=after(0)).content.revoked == ()


def test_a_delta_says_what_changed_and_nothing_else() -> None:
    root = RootLists(Hierarchy(4))
    first = root.ctl()
    assert first.delta is None
    moved = replace(root.aa, access_point="http://new.example/aa")
    other = DcEntry(url="http://other.example", roots=(root.identifier,))
    second = root.ctl(1, entries=(moved, other))
    delta = verify_ctl(second.delta or b"", issuer=root.root, now=after(1)).content
    assert (delta.is_full, delta.sequence, second.ctl.sequence) == (False, 1, 1)
    assert delta.commands == (
        DeleteCertificate(hashed_id8=root.hierarchy.ea.certificate.hashed_id8),
        DeleteDc(url=root.dc.url),
        moved,
        other,
    )
    assert delta_between(second.ctl, replace(second.ctl, sequence=2)).commands == ()


def test_numbers_go_on_after_255_with_0() -> None:
    root = RootLists(Hierarchy(5))
    root.previous = replace(root.ctl().ctl, sequence=255)
    assert root.ctl(1).ctl.sequence == 0


def test_a_list_that_would_be_late_already_is_not_signed() -> None:
    root = RootLists(Hierarchy(6))
    with pytest.raises(EncodeError, match="late already"):
        root.ctl(life_s=0)
    with pytest.raises(EncodeError, match="not later"):
        root.crl(life_s=0)


def test_an_entry_that_has_no_place_in_the_list_is_not_signed() -> None:
    root = RootLists(Hierarchy(7))
    manager = ManagerLists(8, root)
    with pytest.raises(EncodeError, match="no place in a list"):
        manager.manager.publish_ectl((root.aa,), previous=None, next_update=its_s(NOON, after_s=DAY_S), now=after(0))


def test_nothing_is_signed_before_the_time_is_known() -> None:
    root = RootLists(Hierarchy(9))
    with pytest.raises(UntrustedTimeError):
        root.publisher.publish_crl((), next_update=its_s(NOON, after_s=DAY_S), now=Instant(MonotonicNs(0), None))


def test_an_authority_below_a_root_publishes_no_lists() -> None:
    with pytest.raises(ConfigError, match="only a root or a trust list manager"):
        ListPublisher(Hierarchy(10).aa.credential)


def test_a_manager_taken_up_again_from_its_credential_signs_as_before() -> None:
    first = ManagerLists(11)
    again = TrustListManager(first.manager.credential)
    published = again.publish_ectl((), previous=None, next_update=its_s(NOON, after_s=DAY_S), now=after(0))
    assert verify_ctl(published.full, issuer=first.certificate, now=after(0)).content.commands == ()
