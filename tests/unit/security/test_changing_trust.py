"""Trust that changes while a station runs: what is forgotten at once, what survives, and what is never learned."""

from dataclasses import replace

import pytest

from shared.core.clock import ManualClock, UtcNs
from shared.core.errors import VerificationError
from shared.core.ids import HashedId8, ItsAid
from shared.core.itstime import Time64, time64_of
from shared.core.report import VerificationReport as Report
from shared.pki.authority import AuthorizationAuthority, hours
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.certificate import Certificate, CertificateId, IdKind, issue_certificate
from shared.security.chain import (
    MAX_LEARNED_AUTHORITIES,
    MAX_WANTED_AUTHORITIES,
    SWEEP_AFTER_VERDICTS,
    ChainVerifier,
    UnknownSignerError,
)
from shared.security.ecdsa import Curve
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.secured_data import SignedData, decode_secured_data
from shared.security.sign import SigningService, TicketCredential
from shared.security.trust_store import EveryAuthority, LoggedAuthorities, Openness, TrustStore
from shared.security.verdicts import UnloggedAuthorityError, Verdicts
from shared.security.verify import VerifyService, prove
from tests.helpers.hierarchy import NOON, Hierarchy, clock_at, seconds, verifying

AT_NOON = time64_of(NOON)
PAYLOAD = b"payload"


def store_of(
    *hierarchies: Hierarchy,
    authorities: tuple[Certificate, ...] | None = None,
    openness: Openness | None = None,
    revoked: dict[HashedId8, frozenset[HashedId8]] | None = None,
    outdated: frozenset[HashedId8] = frozenset(),
) -> TrustStore:
    """Make a store of hierarchies, their EAs and AAs (or `authorities` instead)."""
    own = tuple(authority.certificate for each in hierarchies for authority in (each.ea, each.aa))
    return TrustStore(
        tuple(each.root.certificate for each in hierarchies),
        own if authorities is None else authorities,
        openness=openness or EveryAuthority(),
        revoked=revoked or {},
        outdated=outdated,
    )


def revoking(hierarchy: Hierarchy, *certificates: Certificate) -> TrustStore:
    root = hierarchy.root.certificate.hashed_id8
    return store_of(hierarchy, revoked={root: frozenset(each.hashed_id8 for each in certificates)})


def chain_of(store: TrustStore) -> ChainVerifier:
    return ChainVerifier(trust_store=store, areas=NO_IDENTIFIED_AREAS)


def refusal(chain: ChainVerifier, certificate: Certificate, at: Time64 = AT_NOON) -> VerificationError:
    with pytest.raises(VerificationError) as caught:
        chain.check_ticket(certificate, at)
    return caught.value


def second_authority(hierarchy: Hierarchy, name: str = "second AA") -> AuthorizationAuthority:
    return hierarchy.root.create_authorization_authority(
        name=name, validity=hierarchy.root.certificate.validity, keys=hierarchy.keys
    )


def ticket_under(authority: AuthorizationAuthority, hierarchy: Hierarchy) -> TicketCredential:
    key = hierarchy.keys.generate(Curve.NIST_P256)
    certificate = authority.issue_ticket(
        public_key=key.public_key, validity=hours(hierarchy.start, 24), permissions=TICKET_PERMISSIONS[StationRole.VEHICLE]
    )
    return TicketCredential(certificate=certificate, signer=key)


class Speaker:
    """Signs CAMs and is heard by one service."""

    def __init__(self, signing: SigningService, service: VerifyService, clock: ManualClock) -> None:
        self.signing, self.service, self.clock = signing, service, clock

    def say(self) -> bytes:
        self.clock.advance(seconds(0.1))
        return self.signing.sign(PAYLOAD, ItsAid.CAM, now=self.clock.now(), location=None)

    def is_heard(self) -> bool:
        return self.service.verify(self.say(), now=self.clock.now()).payload == PAYLOAD

    def is_refused(self) -> Report:
        with pytest.raises(VerificationError) as caught:
            self.service.verify(self.say(), now=self.clock.now())
        return caught.value.report


def test_a_station_whose_authority_is_revoked_is_forgotten_at_once_and_others_are_not() -> None:
    hierarchy, clock = Hierarchy(1), clock_at()
    second = second_authority(hierarchy)
    known = (hierarchy.aa.certificate, second.certificate)
    service = verifying(store_of(hierarchy, authorities=known))
    revoked = Speaker(hierarchy.signing(), service, clock)
    other = Speaker(hierarchy.signing(ticket_under(second, hierarchy)), service, clock)
    assert revoked.is_heard()
    assert other.is_heard()
    root = hierarchy.root.certificate.hashed_id8
    crl = {root: frozenset((hierarchy.aa.certificate.hashed_id8,))}
    assert service.change_trust(store_of(hierarchy, authorities=known, revoked=crl)) == 1
    assert revoked.is_refused() is Report.SIGNER_CERTIFICATE_NOT_FOUND
    revoked.signing.change_ticket(revoked.signing.ticket)
    assert revoked.is_refused() is Report.REVOKED_CERTIFICATE
    assert other.is_heard(), "by digest: nothing of it was forgotten"


def test_a_message_weighed_before_the_revocation_is_not_accepted_after_it() -> None:
    hierarchy, clock = Hierarchy(2), clock_at()
    service = hierarchy.verifying()
    secured = hierarchy.signing().sign(PAYLOAD, ItsAid.CAM, now=clock.now(), location=None)
    proven = prove(service.examine(secured, now=clock.now()))
    service.change_trust(revoking(hierarchy, hierarchy.aa.certificate))
    with pytest.raises(VerificationError) as caught:
        service.accept(proven)
    assert caught.value.report is Report.REVOKED_CERTIFICATE
    service.change_trust(hierarchy.trust_store)
    assert service.accept(proven).payload == PAYLOAD, "nothing was remembered of the refusal"


def test_a_message_weighed_before_its_root_left_is_not_accepted_after() -> None:
    hierarchy, other, clock = Hierarchy(3), Hierarchy(4), clock_at()
    service = hierarchy.verifying()
    secured = hierarchy.signing().sign(PAYLOAD, ItsAid.CAM, now=clock.now(), location=None)
    proven = prove(service.examine(secured, now=clock.now()))
    service.change_trust(other.trust_store)
    with pytest.raises(UnknownSignerError):
        service.accept(proven)


@pytest.mark.parametrize("who", ["ticket", "authority", "root"])
def test_whoever_in_the_chain_is_revoked_the_ticket_is_refused(who: str) -> None:
    hierarchy = Hierarchy(5)
    ticket = hierarchy.ticket().certificate
    revoked = {"ticket": ticket, "authority": hierarchy.aa.certificate, "root": hierarchy.root.certificate}[who]
    chain = chain_of(hierarchy.trust_store)
    assert chain.holds(chain.check_ticket(ticket, AT_NOON))
    chain.change_trust(revoking(hierarchy, revoked))
    error = refusal(chain, ticket)
    assert error.report is Report.REVOKED_CERTIFICATE
    assert revoked.hashed_id8.hex() in error.detail
    chain.change_trust(hierarchy.trust_store)
    chain.check_ticket(ticket, AT_NOON)


def test_one_root_cannot_revoke_what_hangs_below_another() -> None:
    ours, theirs = Hierarchy(6), Hierarchy(7)
    ticket = theirs.ticket().certificate
    everything = frozenset(each.hashed_id8 for each in (ticket, theirs.aa.certificate, theirs.root.certificate))
    store = store_of(ours, theirs, revoked={ours.root.certificate.hashed_id8: everything})
    chain = chain_of(store)
    assert chain.holds(chain.check_ticket(ticket, AT_NOON))


def test_verdicts_that_hold_survive_a_change_as_the_very_same_ones() -> None:
    hierarchy, other = Hierarchy(8), Hierarchy(9)
    chain = chain_of(hierarchy.trust_store)
    kept = chain.check_ticket(hierarchy.ticket().certificate, AT_NOON)
    chain.change_trust(store_of(hierarchy, other))
    assert chain.check_ticket(kept.certificate, AT_NOON) is kept
    foreign = chain.check_ticket(other.ticket().certificate, AT_NOON)
    chain.change_trust(hierarchy.trust_store)
    assert chain.check_ticket(kept.certificate, AT_NOON) is kept
    assert isinstance(refusal(chain, foreign.certificate), UnknownSignerError)


def test_a_ticket_of_an_authority_taken_off_the_list_is_unknown_again() -> None:
    hierarchy = Hierarchy(10)
    chain = chain_of(hierarchy.trust_store)
    ticket = hierarchy.ticket().certificate
    trusted = chain.check_ticket(ticket, AT_NOON)
    chain.change_trust(store_of(hierarchy, authorities=(hierarchy.ea.certificate,)))
    assert not chain.holds(trusted)
    assert isinstance(refusal(chain, ticket), UnknownSignerError)


def test_a_bad_verdict_is_reconsidered_when_trust_changes() -> None:
    hierarchy, stranger = Hierarchy(11), Hierarchy(12)
    chain = chain_of(hierarchy.trust_store)
    with pytest.raises(VerificationError):
        chain.learn_authority(stranger.aa.certificate, AT_NOON)
    ticket = stranger.ticket().certificate
    assert refusal(chain, ticket).report is Report.UNTRUSTED_ROOT
    chain.change_trust(store_of(hierarchy, stranger, authorities=()))
    assert isinstance(refusal(chain, ticket), UnknownSignerError), "its root is trusted now: worth asking for again"
    chain.change_trust(store_of(hierarchy, stranger))
    chain.check_ticket(ticket, AT_NOON)


def test_below_an_outdated_root_what_is_known_goes_on_and_nothing_new_is_believed() -> None:
    hierarchy = Hierarchy(13)
    root = hierarchy.root.certificate.hashed_id8
    chain = chain_of(hierarchy.trust_store)
    known = chain.check_ticket(hierarchy.ticket().certificate, AT_NOON)
    chain.change_trust(store_of(hierarchy, outdated=frozenset((root,))))
    assert chain.check_ticket(known.certificate, AT_NOON) is known
    new = hierarchy.ticket().certificate
    assert refusal(chain, new).report is Report.OUTDATED_TRUST_LIST
    with pytest.raises(VerificationError) as caught:
        chain.learn_authority(second_authority(hierarchy).certificate, AT_NOON)
    assert caught.value.report is Report.OUTDATED_TRUST_LIST
    assert not chain._learned
    chain.change_trust(hierarchy.trust_store)
    chain.check_ticket(new, AT_NOON)


def test_an_authority_that_is_not_logged_is_refused_with_its_chain_and_the_ticket_as_evidence() -> None:
    hierarchy = Hierarchy(14)
    rogue = second_authority(hierarchy, "rogue AA")
    ticket = ticket_under(rogue, hierarchy).certificate
    logged = LoggedAuthorities(frozenset((hierarchy.ea.certificate.digest, hierarchy.aa.certificate.digest)))
    chain = chain_of(store_of(hierarchy, openness=logged))
    chain.check_ticket(hierarchy.ticket().certificate, AT_NOON)
    with pytest.raises(UnknownSignerError):
        chain.check_ticket(ticket, AT_NOON)
    with pytest.raises(UnloggedAuthorityError) as caught:
        chain.learn_wanted_authority(rogue.certificate, AT_NOON)
    assert (caught.value.authority, caught.value.ticket) == (rogue.certificate, None)
    for _ in range(2):
        error = refusal(chain, ticket)
        assert isinstance(error, UnloggedAuthorityError)
        assert error.report is Report.NOT_LOGGED
        assert (error.authority, error.ticket) == (rogue.certificate, ticket)
        assert error.chain == (rogue.certificate, hierarchy.root.certificate)
        assert rogue.certificate.hashed_id8.hex() in error.detail


def test_once_the_authority_is_logged_its_tickets_count_and_when_no_longer_they_are_forgotten() -> None:
    hierarchy = Hierarchy(15)
    ticket = hierarchy.ticket().certificate
    nothing, all_logged = LoggedAuthorities(frozenset()), LoggedAuthorities(frozenset((hierarchy.aa.certificate.digest,)))
    chain = chain_of(store_of(hierarchy, openness=nothing))
    assert refusal(chain, ticket).report is Report.NOT_LOGGED
    chain.change_trust(store_of(hierarchy, openness=all_logged))
    assert chain.holds(chain.check_ticket(ticket, AT_NOON))
    chain.change_trust(store_of(hierarchy, openness=nothing))
    assert refusal(chain, ticket).report is Report.NOT_LOGGED


def test_learned_authorities_are_judged_anew_when_trust_changes() -> None:
    hierarchy, other = Hierarchy(16), Hierarchy(17)
    chain = chain_of(store_of(hierarchy, other, authorities=()))
    for each in (hierarchy, other):
        chain.learn_authority(each.aa.certificate, AT_NOON)
    tickets = [each.ticket().certificate for each in (hierarchy, other)]
    for ticket in tickets:
        chain.check_ticket(ticket, AT_NOON)
    root = hierarchy.root.certificate.hashed_id8
    revoked = {root: frozenset((hierarchy.aa.certificate.hashed_id8,))}
    chain.change_trust(store_of(hierarchy, authorities=(), revoked=revoked))
    assert refusal(chain, tickets[0]).report is Report.REVOKED_CERTIFICATE
    assert isinstance(refusal(chain, tickets[1]), UnknownSignerError)
    assert list(chain._learned.values()) == [hierarchy.aa.certificate]


def test_a_revoked_authority_passed_on_makes_its_tickets_revoked_not_unknown() -> None:
    hierarchy = Hierarchy(18)
    ticket = hierarchy.ticket().certificate
    root = hierarchy.root.certificate.hashed_id8
    revoked = {root: frozenset((hierarchy.aa.certificate.hashed_id8,))}
    chain = chain_of(store_of(hierarchy, authorities=(), revoked=revoked))
    assert isinstance(refusal(chain, ticket), UnknownSignerError)
    with pytest.raises(VerificationError):
        chain.learn_authority(hierarchy.aa.certificate, AT_NOON)
    assert refusal(chain, ticket).report is Report.REVOKED_CERTIFICATE


def test_from_a_stranger_only_authorities_that_a_ticket_named_are_looked_at_and_only_once() -> None:
    hierarchy = Hierarchy(19)
    chain = chain_of(store_of(hierarchy, authorities=()))
    chain.learn_wanted_authority(hierarchy.aa.certificate, AT_NOON)
    assert not chain._learned, "nobody has named it"
    stranger = Hierarchy(20)
    assert isinstance(refusal(chain, stranger.ticket().certificate), UnknownSignerError)
    with pytest.raises(VerificationError) as caught:
        chain.learn_wanted_authority(stranger.aa.certificate, AT_NOON)
    assert caught.value.report is Report.UNTRUSTED_ROOT
    chain.learn_wanted_authority(stranger.aa.certificate, AT_NOON)
    assert isinstance(refusal(chain, hierarchy.ticket().certificate), UnknownSignerError)
    chain.learn_wanted_authority(hierarchy.aa.certificate, AT_NOON)
    assert list(chain._learned.values()) == [hierarchy.aa.certificate]


def test_a_message_that_cannot_be_verified_yet_teaches_the_authority_it_waits_for_and_no_other() -> None:
    hierarchy, clock = Hierarchy(28), clock_at()
    second = second_authority(hierarchy)
    both = store_of(hierarchy, authorities=(hierarchy.aa.certificate, second.certificate))
    service = verifying(store_of(hierarchy, authorities=()))
    bob = Speaker(SigningService(ticket=hierarchy.ticket(), trust_store=both), service, clock)
    assert bob.is_refused() is Report.SIGNER_CERTIFICATE_NOT_FOUND
    bob.signing.note_requests((second.certificate.hashed_id3, hierarchy.aa.certificate.hashed_id3))
    assert bob.is_refused() is Report.SIGNER_CERTIFICATE_NOT_FOUND
    assert not service._chain._learned, "nobody named the second authority"
    assert bob.is_refused() is Report.SIGNER_CERTIFICATE_NOT_FOUND
    assert list(service._chain._learned.values()) == [hierarchy.aa.certificate]
    clock.advance(seconds(1))
    assert bob.is_heard()


def test_strangers_cannot_make_us_remember_names_or_authorities_without_bound() -> None:
    hierarchy = Hierarchy(21)
    chain = chain_of(store_of(hierarchy, authorities=()))
    authorities = [second_authority(hierarchy, f"AA {number}") for number in range(MAX_LEARNED_AUTHORITIES + 6)]
    for authority in authorities:
        assert isinstance(refusal(chain, ticket_under(authority, hierarchy).certificate), UnknownSignerError)
    assert len(chain._wanted) == MAX_WANTED_AUTHORITIES
    chain.learn_authority(authorities[0].certificate, AT_NOON)
    for authority in authorities[1:]:
        chain.check_ticket(ticket_under(authorities[0], hierarchy).certificate, AT_NOON)
        chain.learn_authority(authority.certificate, AT_NOON)
    assert len(chain._learned) == MAX_LEARNED_AUTHORITIES
    assert authorities[0].certificate.hashed_id8 in chain._learned, "it was used all the time"
    assert authorities[1].certificate.hashed_id8 not in chain._learned


def test_an_authority_below_one_that_is_not_logged_is_not_taken_for_learned_before_it_proved_itself() -> None:
    hierarchy = Hierarchy(22)
    rogue = second_authority(hierarchy, "rogue AA")
    chain = chain_of(store_of(hierarchy, authorities=(rogue.certificate,), openness=LoggedAuthorities(frozenset())))
    tbs = replace(rogue.certificate.tbs, id=CertificateId(kind=IdKind.NAME, name="below the rogue"))
    pretended = issue_certificate(tbs, issuer=rogue.certificate, signer=rogue.credential.signer)
    with pytest.raises(UnloggedAuthorityError) as caught:
        chain.learn_authority(pretended, AT_NOON)
    assert caught.value.authority == rogue.certificate
    assert not chain._learned


def test_verdicts_about_what_has_expired_are_forgotten() -> None:
    hierarchy = Hierarchy(23)
    chain = chain_of(store_of(hierarchy, authorities=()))
    chain.learn_authority(hierarchy.aa.certificate, AT_NOON)
    early = [hierarchy.ticket(valid_hours=4).certificate for _ in range(3)]
    for ticket in early:
        chain.check_ticket(ticket, AT_NOON)
    later = time64_of(UtcNs(NOON + seconds(3 * 3_600)))
    for _ in range(SWEEP_AFTER_VERDICTS):
        chain.check_ticket(hierarchy.ticket().certificate, later)
    assert len(chain._end_entities) == SWEEP_AFTER_VERDICTS
    assert all(ticket.digest not in chain._end_entities._trusted for ticket in early)


def test_the_verdicts_used_least_lately_make_room() -> None:
    hierarchy = Hierarchy(24)
    chain = chain_of(hierarchy.trust_store)
    verdicts = Verdicts(2)
    first, second, third = (chain.check_ticket(hierarchy.ticket().certificate, AT_NOON) for _ in range(3))
    verdicts.trust(first)
    verdicts.trust(second)
    assert verdicts.find(first.certificate) is first
    verdicts.trust(third)
    assert verdicts.find(second.certificate) is None
    assert verdicts.find(first.certificate) is first


def test_a_station_passes_on_the_authorities_of_the_new_trust_and_none_that_is_revoked() -> None:
    hierarchy, clock = Hierarchy(25), clock_at()
    second = second_authority(hierarchy)
    signing = hierarchy.signing()
    signing.sign(PAYLOAD, ItsAid.CAM, now=clock.now(), location=None)
    both = (hierarchy.aa.certificate, second.certificate)
    signing.note_requests((hierarchy.aa.certificate.hashed_id3, second.certificate.hashed_id3))
    root = hierarchy.root.certificate.hashed_id8
    revoked = {root: frozenset((hierarchy.aa.certificate.hashed_id8,))}
    signing.change_trust(store_of(hierarchy, authorities=both, revoked=revoked))
    signing.note_requests((second.certificate.hashed_id3, hierarchy.aa.certificate.hashed_id3))
    passed_on = []
    for _ in range(3):
        clock.advance(seconds(0.1))
        content = decode_secured_data(signing.sign(PAYLOAD, ItsAid.CAM, now=clock.now(), location=None)).content
        assert isinstance(content, SignedData)
        passed_on.append(content.header.requested_certificate)
    assert passed_on == [second.certificate, None, None]


def test_two_stores_are_equal_when_they_say_the_same() -> None:
    hierarchy, other = Hierarchy(26), Hierarchy(27)
    root = hierarchy.root.certificate.hashed_id8
    assert store_of(hierarchy, other) == store_of(other, hierarchy)
    assert hash(store_of(hierarchy, other)) == hash(store_of(other, hierarchy))
    assert store_of(hierarchy) == hierarchy.trust_store
    different = [
        store_of(hierarchy),
        store_of(hierarchy, other),
        store_of(hierarchy, authorities=()),
        store_of(hierarchy, openness=LoggedAuthorities(frozenset())),
        store_of(hierarchy, outdated=frozenset((root,))),
        revoking(hierarchy, hierarchy.aa.certificate),
    ]
    assert len(set(different)) == len(different)


@pytest.mark.parametrize("who", ["itself", "its root", "another root's word"])
def test_an_authority_is_passed_on_unless_its_own_root_revoked_it_or_itself(who: str) -> None:
    hierarchy, stranger, clock = Hierarchy(26), Hierarchy(27), clock_at()
    authority, root, other = hierarchy.aa.certificate, hierarchy.root.certificate, stranger.root.certificate
    revoked = {
        "itself": {root.hashed_id8: frozenset((authority.hashed_id8,))},
        "its root": {root.hashed_id8: frozenset((root.hashed_id8,))},
        "another root's word": {other.hashed_id8: frozenset((authority.hashed_id8, root.hashed_id8))},
    }[who]
    store = TrustStore((root, other), (authority,), openness=EveryAuthority(), revoked=revoked, outdated=frozenset())
    signing = hierarchy.signing()
    signing.sign(PAYLOAD, ItsAid.CAM, now=clock.now(), location=None)
    signing.change_trust(store)
    signing.note_requests((authority.hashed_id3,))
    clock.advance(seconds(0.1))
    content = decode_secured_data(signing.sign(PAYLOAD, ItsAid.CAM, now=clock.now(), location=None)).content
    assert isinstance(content, SignedData)
    assert content.header.requested_certificate == (authority if who == "another root's word" else None)
