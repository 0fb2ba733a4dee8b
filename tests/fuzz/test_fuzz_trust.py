"""Trust in any order: lists published and played back at random, and stores that change at random, against plain models."""

from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.core.errors import DecodeError, VerificationError
from shared.core.ids import HashedId8
from shared.core.itstime import time64_of
from shared.core.report import VerificationReport as Report
from shared.security.certificate import Certificate
from shared.security.chain import ChainVerifier
from shared.security.ctl import AaEntry, CtlEntry
from shared.security.list_sequence import DeltaGapError, ListRollbackError
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.trust_store import EveryAuthority, LoggedAuthorities, TrustStore
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.publishing import RootLists, after, lists_of

SMALL = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
AT_NOON = time64_of(NOON)
HIERARCHIES = (Hierarchy(201), Hierarchy(202))
CERTIFICATES = tuple(c for h in HIERARCHIES for c in (h.root.certificate, h.ea.certificate, h.aa.certificate))
TICKETS = tuple(h.ticket().certificate for h in HIERARCHIES for _ in range(2))


def _authorities(hierarchy: Hierarchy) -> tuple[AaEntry, ...]:
    validity = hierarchy.root.certificate.validity
    made = [hierarchy.root.create_authorization_authority(name=f"AA {n}", validity=validity, keys=hierarchy.keys) for n in range(4)]
    return tuple(AaEntry(certificate=aa.certificate, access_point=f"http://aa{n}.example") for n, aa in enumerate(made))


LISTED = _authorities(HIERARCHIES[0])


@dataclass(frozen=True)
class Issue:
    """One list that was published, and what it says."""

    full: bytes
    delta: bytes | None
    identifiers: frozenset[HashedId8]


def _issues() -> tuple[Issue, ...]:
    """Publish sixteen lists, one a second: every subset of four authorities."""
    root = RootLists(HIERARCHIES[0])
    issues = []
    for number in range(16):
        entries: tuple[CtlEntry, ...] = tuple(entry for n, entry in enumerate(LISTED) if (number ^ number >> 1) >> n & 1)
        published = root.ctl(number, entries=entries)
        identifiers = frozenset(entry.certificate.hashed_id8 for entry in entries if isinstance(entry, AaEntry))
        issues.append(Issue(published.full, published.delta, identifiers))
    return tuple(issues)


ISSUES = _issues()


@SMALL
@given(st.lists(st.tuples(st.integers(0, 15), st.booleans()), max_size=40))
def test_whatever_order_lists_come_in_the_newest_taken_counts_and_nothing_goes_back(order: list[tuple[int, bool]]) -> None:
    lists = lists_of(roots=(RootLists(HIERARCHIES[0]),))
    held: int | None = None
    for number, is_delta in order:
        issue = ISSUES[number]
        document = issue.delta if is_delta else issue.full
        if document is None:
            continue
        try:
            change = lists.take_ctl(document, None, after(20))
        except DeltaGapError:
            assert is_delta
            assert held is None or number > held + 1
        except ListRollbackError:
            assert held is not None
            assert number < held or (is_delta and number == held)
        else:
            if change.is_news:
                assert held is None or number > held
                held = number
            else:
                assert number <= (held or 0)
        expected = frozenset() if held is None else ISSUES[held].identifiers
        assert lists.trust(after(20)).authorities.keys() == expected


@SMALL
@given(st.binary(min_size=1, max_size=4), st.integers(0, len(ISSUES[3].full) - 1))
def test_a_list_overwritten_anywhere_is_refused_or_says_the_same(octets: bytes, offset: int) -> None:
    lists = lists_of(roots=(RootLists(HIERARCHIES[0]),))
    hostile = ISSUES[3].full[:offset] + octets + ISSUES[3].full[offset + len(octets) :]
    try:
        lists.take_ctl(hostile, None, after(20))
    except (DecodeError, VerificationError):
        assert not lists.held()
    else:
        assert lists.trust(after(20)).authorities.keys() == ISSUES[3].identifiers


@st.composite
def stores(draw: st.DrawFn) -> TrustStore:
    """Draw a store: which roots, which authorities, what is revoked by whom, what ran out, what is logged."""
    absent = draw(st.lists(st.sampled_from(CERTIFICATES), max_size=2))
    chosen = [each for each in CERTIFICATES if each not in absent]
    pool = [each.hashed_id8 for each in (*CERTIFICATES, *TICKETS)]
    roots = tuple(each for each in chosen if each.is_self_signed)
    revoked = {root.hashed_id8: frozenset(draw(st.lists(st.sampled_from(pool), max_size=1))) for root in roots}
    secret = draw(st.sampled_from(CERTIFICATES))
    logged = frozenset(each.digest for each in CERTIFICATES if each is not secret)
    return TrustStore(
        roots,
        tuple(each for each in chosen if not each.is_self_signed),
        openness=LoggedAuthorities(logged) if draw(st.booleans()) else EveryAuthority(),
        revoked=revoked,
        outdated=frozenset(root.hashed_id8 for root in roots if draw(st.integers(0, 3)) == 0),
    )


def judged(chain: ChainVerifier, ticket: Certificate) -> Report | None:
    try:
        chain.check_ticket(ticket, AT_NOON)
    except VerificationError as error:
        return error.report
    return None


@SMALL
@given(st.lists(stores(), min_size=1, max_size=6))
def test_a_verifier_whose_trust_changed_says_what_a_fresh_one_says_but_keeps_what_it_knew_when_lists_run_out(
    changing: list[TrustStore],
) -> None:
    chain = ChainVerifier(trust_store=changing[0], areas=NO_IDENTIFIED_AREAS)
    known: set[int] = set()
    for store in changing:
        chain.change_trust(store)
        fresh = ChainVerifier(trust_store=store, areas=NO_IDENTIFIED_AREAS)
        lenient = TrustStore(
            tuple(store.roots.values()),
            tuple(store.authorities.values()),
            openness=store.openness,
            revoked={root: store.revoked_by(root) for root in store.roots},
            outdated=frozenset(),
        )
        in_time = ChainVerifier(trust_store=lenient, areas=NO_IDENTIFIED_AREAS)
        for n, ticket in enumerate(TICKETS):
            verdict = judged(chain, ticket)
            goes_on = n in known and judged(in_time, ticket) is None
            expected = None if goes_on else judged(fresh, ticket)
            if expected is Report.OUTDATED_TRUST_LIST:  # who knows the authority already may find something worse below it
                assert verdict is not None
            else:
                assert verdict == expected
            known.discard(n)
            if verdict is None:
                known.add(n)
