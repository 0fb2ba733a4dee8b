"""Which own tickets are out of use under the lists a station holds."""

from collections.abc import Mapping

from shared.core.clock import Instant, MonotonicNs
from shared.core.errors import VerificationError
from shared.core.ids import HashedId8
from shared.core.report import VerificationReport as Report
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.ticket_standing import TicketStanding
from shared.security.trust_lists_held import TrustLists
from shared.security.trust_pins import PinnedAuthority, TrustPins
from shared.service.logged_lists import LoggedAdmission
from tests.helpers.hierarchy import Hierarchy
from tests.helpers.publishing import DAY_S, GRACE_S, DocumentLog, ManagerLists, RootLists, after, lists_of, trusting


def standing(lists: TrustLists) -> TicketStanding:
    return TicketStanding(lists=lists, areas=NO_IDENTIFIED_AREAS)


def reports(refused: Mapping[HashedId8, VerificationError]) -> list[Report]:
    return [each.report for each in refused.values()]


def test_tickets_whose_authority_is_listed_are_in_use_whether_they_are_valid_now_or_not() -> None:
    root = RootLists(Hierarchy(141))
    ticket = root.hierarchy.ticket(valid_hours=4)
    judge = standing(trusting(root, life_s=30 * DAY_S))
    assert judge.refused((ticket,), after(0)) == {}
    assert judge.refused((ticket,), after(10 * DAY_S)) == {}


def test_a_revoked_authority_and_a_revoked_root_take_their_tickets_out_of_use() -> None:
    for number, revoked in enumerate(("aa", "root")):
        root = RootLists(Hierarchy(142 + number))
        ticket, lists = root.hierarchy.ticket(), trusting(root)
        identifier = getattr(root.hierarchy, revoked).certificate.hashed_id8
        lists.take_crl(root.crl(60, identifier), None, after(60))
        refused = standing(lists).refused((ticket,), after(60))
        assert reports(refused) == [Report.REVOKED_CERTIFICATE]
        assert identifier.hex() in str(refused[ticket.certificate.hashed_id8])


def test_an_authority_that_is_listed_no_more_takes_its_tickets_along_and_brings_them_back() -> None:
    root = RootLists(Hierarchy(144))
    ticket, lists = root.hierarchy.ticket(), trusting(root)
    judge, everybody = standing(lists), root.entries
    lists.take_ctl(root.ctl(60, entries=(root.ea, root.dc)).full, None, after(60))
    assert reports(judge.refused((ticket,), after(60))) == [Report.SIGNER_CERTIFICATE_NOT_FOUND]
    lists.take_ctl(root.ctl(120, entries=everybody).full, None, after(120))
    assert judge.refused((ticket,), after(120)) == {}


def test_a_root_its_manager_lists_no_more_takes_its_tickets_along() -> None:
    root, other = RootLists(Hierarchy(145)), RootLists(Hierarchy(146))
    manager = ManagerLists(147, root, other)
    lists = lists_of(manager)
    lists.take_ectl(manager.ectl(), None, after(0))
    lists.take_ctl(root.ctl().full, None, after(0))
    lists.take_crl(root.crl(), None, after(0))
    ticket, judge = root.hierarchy.ticket(), standing(lists)
    assert judge.refused((ticket,), after(0)) == {}
    lists.take_ectl(manager.ectl(60, other), None, after(60))
    assert reports(judge.refused((ticket,), after(60))) == [Report.SIGNER_CERTIFICATE_NOT_FOUND]


def test_lists_that_ran_out_or_were_never_fetched_leave_tickets_in_use() -> None:
    root = RootLists(Hierarchy(148))
    ticket, lists = root.hierarchy.ticket(), trusting(root)
    late = after(DAY_S + GRACE_S)
    assert lists.trust(late).outdated == {root.identifier}
    assert standing(lists).refused((ticket,), late) == {}
    assert standing(lists_of(roots=(root,))).refused((ticket,), after(0)) == {}
    manager = ManagerLists(149, root)
    assert standing(lists_of(manager)).refused((ticket,), after(0)) == {}


def test_the_missing_list_of_another_root_does_not_hide_that_an_authority_is_listed_no_more() -> None:
    root, other = RootLists(Hierarchy(150)), RootLists(Hierarchy(151))
    ticket, lists = root.hierarchy.ticket(), lists_of(roots=(root, other))
    lists.take_ctl(root.ctl().full, None, after(0))
    lists.take_crl(root.crl(), None, after(0))
    judge = standing(lists)
    assert judge.refused((ticket,), after(0)) == {}
    lists.take_ctl(root.ctl(60, entries=(root.ea, root.dc)).full, None, after(60))
    assert reports(judge.refused((ticket,), after(60))) == [Report.SIGNER_CERTIFICATE_NOT_FOUND]
    assert standing(lists).refused((ticket,), after(60)) == {}, "whose root it is nobody knows: it may be the one that lacks"


def test_an_authority_that_no_log_shows_takes_its_tickets_out_of_use() -> None:
    root, log = RootLists(Hierarchy(152)), DocumentLog()
    pins = TrustPins(roots=(root.root,), authorities=(PinnedAuthority(certificate=root.hierarchy.aa.certificate, proof=None),))
    lists = TrustLists(pins=pins, admission=LoggedAdmission(log.policy), grace_s=GRACE_S)
    ticket = root.hierarchy.ticket()
    ctl, crl = root.ctl(entries=(root.ea, root.dc)).full, root.crl()
    lists.take_ctl(ctl, log.proof(ctl), after(0))
    lists.take_crl(crl, log.proof(crl), after(0))
    assert reports(standing(lists).refused((ticket,), after(0))) == [Report.NOT_LOGGED]


def test_while_the_time_is_not_known_only_revocation_counts() -> None:
    root, timeless = RootLists(Hierarchy(153)), Instant(MonotonicNs(0), None)
    ticket, lists = root.hierarchy.ticket(), trusting(root)
    lists.take_ctl(root.ctl(60, entries=(root.ea, root.dc)).full, None, after(60))
    assert standing(lists).refused((ticket,), timeless) == {}
    assert reports(standing(lists).refused((ticket,), after(60))) == [Report.SIGNER_CERTIFICATE_NOT_FOUND]
