"""Lists and authorities that must be in the open: a real log, real witnesses, real proofs."""

import pytest

from shared.core.errors import VerificationError
from shared.core.itstime import time64_of
from shared.core.report import VerificationReport as Report
from shared.security.chain import ChainVerifier
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.trust_lists_held import TrustLists
from shared.security.trust_pins import PinnedAuthority, TrustPins
from shared.security.trust_store import EveryAuthority, LoggedAuthorities
from shared.security.verdicts import UnloggedAuthorityError
from shared.service.logged_lists import LoggedAdmission, UnloggedAdmission
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.ledger import policy_of
from tests.helpers.publishing import DocumentLog, ManagerLists, RootLists, after, lists_of

DOCUMENT = b"a document"
AT_NOON = time64_of(NOON)


def refused(admission: LoggedAdmission, proof: bytes | None, document: bytes = DOCUMENT) -> str:
    with pytest.raises(VerificationError) as caught:
        admission.check(document, proof)
    assert caught.value.report is Report.NOT_LOGGED
    return caught.value.detail


def test_a_document_that_is_proven_to_be_in_the_log_is_admitted() -> None:
    log = DocumentLog()
    for number in range(5):
        log.log.submit(b"other %d" % number)
    LoggedAdmission(log.policy).check(DOCUMENT, log.proof(DOCUMENT))


def test_without_a_proof_or_with_one_of_another_document_a_document_is_refused() -> None:
    log = DocumentLog()
    admission = LoggedAdmission(log.policy)
    assert "no proof came with it" in refused(admission, None)
    proof = log.proof(DOCUMENT)
    refused(admission, proof, b"another document")
    assert "malformed" in refused(admission, proof[:-1])
    assert "malformed" in refused(admission, b"\xff\xfe")


def test_a_log_that_too_few_witnesses_have_seen_proves_nothing() -> None:
    unseen = DocumentLog(witnesses=())
    admission = LoggedAdmission(policy_of(witnesses=("w1.example", "w2.example"), quorum="2"))
    assert "quorum" in refused(admission, unseen.proof(DOCUMENT))


def test_a_log_of_another_origin_proves_nothing() -> None:
    log = DocumentLog()
    admission = LoggedAdmission(policy_of(origin="other.example/log", witnesses=("w1.example", "w2.example"), quorum="2"))
    assert "knows no log" in refused(admission, log.proof(DOCUMENT))


def test_an_operator_who_asks_for_no_log_admits_everything_and_every_authority() -> None:
    admission = UnloggedAdmission()
    admission.check(DOCUMENT, None)
    assert admission.openness(frozenset()) == EveryAuthority()
    assert LoggedAdmission(policy_of()).openness(frozenset((b"digest",))) == LoggedAuthorities(frozenset((b"digest",)))


def test_of_lists_that_must_be_logged_each_is_refused_without_proof_and_changes_nothing() -> None:
    root, log = RootLists(Hierarchy(1)), DocumentLog()
    manager = ManagerLists(2, root)
    lists = lists_of(manager, admission=LoggedAdmission(log.policy))
    ectl, ctl, crl = manager.ectl(), root.ctl().full, root.crl()
    for take, document in ((lists.take_ectl, ectl), (lists.take_ctl, ctl), (lists.take_crl, crl)):
        before = lists.held()
        with pytest.raises(VerificationError) as caught:
            take(document, None, after(0))
        assert caught.value.report is Report.NOT_LOGGED
        assert lists.held() == before
        assert take(document, log.proof(document), after(0)).is_news


def test_an_authority_in_a_logged_list_counts_and_one_its_root_made_in_secret_does_not() -> None:
    root, log = RootLists(Hierarchy(3)), DocumentLog()
    hierarchy = root.hierarchy
    lists = lists_of(roots=(root,), admission=LoggedAdmission(log.policy))
    ctl, crl = root.ctl().full, root.crl()
    lists.take_ctl(ctl, log.proof(ctl), after(0))
    lists.take_crl(crl, log.proof(crl), after(0))
    chain = ChainVerifier(trust_store=lists.trust(after(0)), areas=NO_IDENTIFIED_AREAS)
    chain.check_ticket(hierarchy.ticket().certificate, AT_NOON)

    honest = hierarchy.aa
    rogue = hierarchy.root.create_authorization_authority(
        name="rogue AA", validity=hierarchy.root.certificate.validity, keys=hierarchy.keys
    )
    hierarchy.aa = rogue
    ticket = hierarchy.ticket().certificate
    with pytest.raises(UnloggedAuthorityError):
        chain.learn_authority(rogue.certificate, AT_NOON)
    with pytest.raises(UnloggedAuthorityError) as caught:
        chain.check_ticket(ticket, AT_NOON)
    assert caught.value.report is Report.NOT_LOGGED
    assert caught.value.authority == rogue.certificate
    assert caught.value.ticket == ticket
    assert caught.value.chain[-1] == root.root
    assert honest.certificate.digest in lists.trust(after(0)).openness.digests  # type: ignore[union-attr]


def test_an_authority_of_the_operator_counts_when_its_certificate_is_logged() -> None:
    hierarchy, log = Hierarchy(4), DocumentLog()
    aa, ea = hierarchy.aa.certificate, hierarchy.ea.certificate
    pins = TrustPins(
        roots=(hierarchy.root.certificate,),
        authorities=(PinnedAuthority(certificate=aa, proof=log.proof(aa.encoded)), PinnedAuthority(certificate=ea)),
    )
    lists = TrustLists(pins=pins, admission=LoggedAdmission(log.policy), grace_s=0)
    chain = ChainVerifier(trust_store=lists.trust(after(0)), areas=NO_IDENTIFIED_AREAS)
    chain.check_ticket(hierarchy.ticket().certificate, AT_NOON)
    with pytest.raises(UnloggedAuthorityError) as caught:
        chain.check_authority(ea, AT_NOON)
    assert caught.value.authority == ea


def test_lists_are_not_restored_when_the_operator_asks_for_a_log_they_are_not_in() -> None:
    root, log = RootLists(Hierarchy(5)), DocumentLog()
    lists = lists_of(roots=(root,))
    ctl, crl = root.ctl().full, root.crl()
    lists.take_ctl(ctl, None, after(0))
    lists.take_crl(crl, log.proof(crl), after(0))
    strict = lists_of(roots=(root,), admission=LoggedAdmission(log.policy))
    (not_restored,) = strict.restore(lists.held(), after(0))
    assert not_restored.error.code == "not_logged"
    assert strict.take_ctl(ctl, log.proof(ctl), after(0)).is_news
    assert not strict.trust(after(0)).outdated
