"""Authorities no log shows: whoever meets one keeps its whole chain, once."""

from shared.core.errors import VerificationError
from shared.core.report import VerificationReport as Report
from shared.security.certificate import Certificate
from shared.security.verdicts import UnloggedAuthorityError
from shared.stack.effects import Evidence, Notice
from shared.stack.unlogged import MAX_AUTHORITIES_TOLD, UnloggedAuthorities
from tests.helpers.hierarchy import Hierarchy

HIERARCHY = Hierarchy(95)
ROOT, AA = HIERARCHY.root.certificate, HIERARCHY.aa.certificate
TICKET = HIERARCHY.ticket().certificate


def test_the_first_packet_under_an_authority_gives_evidence_with_everything_that_proves_it() -> None:
    evidence, notice = UnloggedAuthorities().look(UnloggedAuthorityError((AA, ROOT), TICKET))
    assert isinstance(evidence, Evidence)
    assert isinstance(notice, Notice)
    assert (evidence.kind, evidence.subject) == ("not_logged", AA.hashed_id8.hex())
    assert evidence.documents == {"chain-0": AA.encoded, "chain-1": ROOT.encoded, "ticket": TICKET.encoded}
    assert notice.fields["root"] == ROOT.hashed_id8.hex()


def test_every_authority_is_told_once_whatever_tickets_name_it() -> None:
    unlogged = UnloggedAuthorities()
    assert len(unlogged.look(UnloggedAuthorityError((AA, ROOT), None))) == 2
    assert unlogged.look(UnloggedAuthorityError((AA, ROOT), TICKET)) == ()
    assert len(unlogged.look(UnloggedAuthorityError((HIERARCHY.ea.certificate, ROOT), None))) == 2


def test_other_refusals_and_silence_are_no_evidence() -> None:
    unlogged = UnloggedAuthorities()
    assert unlogged.look(None) == ()
    assert unlogged.look(VerificationError(Report.NOT_LOGGED, "a list")) == ()


def another_authority(number: int) -> Certificate:
    return HIERARCHY.root.create_authorization_authority(
        name=f"AA {number}", validity=ROOT.validity, keys=HIERARCHY.keys
    ).certificate


def test_a_root_that_makes_ever_more_of_them_fills_no_memory() -> None:
    unlogged = UnloggedAuthorities()
    told = [unlogged.look(UnloggedAuthorityError((another_authority(n), ROOT), None)) for n in range(MAX_AUTHORITIES_TOLD + 3)]
    assert [bool(each) for each in told] == [True] * MAX_AUTHORITIES_TOLD + [False] * 3
