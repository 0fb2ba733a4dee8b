"""Authorities that publish trust lists, and a transparency log they are put into: real keys, real signatures, real proofs."""

from random import Random

from shared.core.clock import Instant, MonotonicNs, UtcNs
from shared.core.ids import HashedId8
from shared.core.itstime import Time32
from shared.ledger.merkle import inclusion_proof
from shared.ledger.note import parse_note
from shared.ledger.policy import Policy
from shared.ledger.proof import TlogProof
from shared.pki.authority import years
from shared.pki.key_source import SeededKeySource
from shared.pki.list_publisher import ListPublisher, PublishedCtl, TrustListManager
from shared.security.ctl import AaEntry, Ctl, CtlEntry, DcEntry, EaEntry, RootCaEntry, TlmEntry
from shared.security.ecdsa import Curve
from shared.security.trust_lists_held import TrustLists
from shared.security.trust_pins import ListAdmission, PinnedManager, TrustPins
from shared.service.logged_lists import UnloggedAdmission
from tests.helpers.hierarchy import NOON, Hierarchy, seconds
from tests.helpers.ledger import MemoryLog, NodesOf, policy_of
from tests.helpers.trust_lists import its_s

DAY_S = 86_400
GRACE_S = 3_600
CPOC = "http://cpoc.example/"
DC = "http://dc.example/dc"


def after(elapsed_s: float) -> Instant:
    """Return noon and so many seconds."""
    return Instant(MonotonicNs(seconds(elapsed_s)), UtcNs(NOON + seconds(elapsed_s)))


class RootLists:
    """A hierarchy whose root publishes lists.

    Args:
        hierarchy: its root, EA and AA.
    """

    def __init__(self, hierarchy: Hierarchy) -> None:
        self.hierarchy = hierarchy
        self.root = hierarchy.root.certificate
        self.identifier = self.root.hashed_id8
        self.publisher = ListPublisher(hierarchy.root.credential)
        self.previous: Ctl | None = None
        self.ea = EaEntry(
            certificate=hierarchy.ea.certificate,
            aa_access_point="http://ea.example/aa",
            its_access_point="http://ea.example/its",
        )
        self.aa = AaEntry(certificate=hierarchy.aa.certificate, access_point="http://aa.example/aa")
        self.dc = DcEntry(url=DC + "/", roots=(self.identifier,))
        self.entries: tuple[CtlEntry, ...] = (self.ea, self.aa, self.dc)

    def ctl(self, elapsed_s: float = 0, *, entries: tuple[CtlEntry, ...] | None = None, life_s: int = DAY_S) -> PublishedCtl:
        """Publish the next list at noon and so many seconds."""
        if entries is not None:
            self.entries = entries
        published = self.publisher.publish_ctl(
            self.entries, previous=self.previous, next_update=self._next_update(elapsed_s, life_s), now=after(elapsed_s)
        )
        self.previous = published.ctl
        return published

    def crl(self, elapsed_s: float = 0, *revoked: HashedId8, life_s: int = DAY_S) -> bytes:
        """Publish a revocation list at noon and so many seconds."""
        return self.publisher.publish_crl(revoked, next_update=self._next_update(elapsed_s, life_s), now=after(elapsed_s))

    def _next_update(self, elapsed_s: float, life_s: int) -> Time32:
        return its_s(NOON, after_s=int(elapsed_s) + life_s)


class ManagerLists:
    """A trust list manager that lists some roots."""

    def __init__(self, seed: int, *listed: RootLists, curve: Curve = Curve.NIST_P256) -> None:
        hierarchy = Hierarchy(seed)
        self.manager = TrustListManager.create(
            name=f"manager {seed}", validity=years(hierarchy.start, 5), keys=SeededKeySource(Random(seed)), curve=curve
        )
        self.certificate = self.manager.certificate
        self.identifier = self.certificate.hashed_id8
        self.previous: Ctl | None = None
        self.pinned = PinnedManager(certificate=self.certificate, access_point=CPOC)
        self.listed = listed

    def ectl(self, elapsed_s: float = 0, *listed: RootLists, life_s: int = DAY_S, dc: str = DC) -> bytes:
        """Publish the next list at noon and so many seconds: of `listed`, or of the same roots as before, at a place."""
        self.listed = listed or self.listed
        entries: tuple[CtlEntry, ...] = (
            *(RootCaEntry(certificate=each.root) for each in self.listed),
            TlmEntry(certificate=self.certificate, access_point=CPOC),
            *(DcEntry(url=dc, roots=(each.identifier,)) for each in self.listed),
        )
        published = self.manager.publish_ectl(
            entries, previous=self.previous, next_update=its_s(NOON, after_s=int(elapsed_s) + life_s), now=after(elapsed_s)
        )
        self.previous = published.ctl
        return published.full


def lists_of(
    *managers: ManagerLists, roots: tuple[RootLists, ...] = (), admission: ListAdmission | None = None, grace_s: int = GRACE_S
) -> TrustLists:
    """Make empty trust lists that pin managers and roots; without `admission`, no log is asked for."""
    return TrustLists(
        pins=TrustPins(managers=tuple(each.pinned for each in managers), roots=tuple(each.root for each in roots)),
        admission=admission or UnloggedAdmission(),
        grace_s=grace_s,
    )


def trusting(root: RootLists, *, elapsed_s: float = 0, life_s: int = DAY_S) -> TrustLists:
    """Make trust lists that pin a root and hold a CTL and an empty CRL of it."""
    lists = lists_of(roots=(root,))
    lists.take_ctl(root.ctl(elapsed_s, life_s=life_s).full, None, after(elapsed_s))
    lists.take_crl(root.crl(elapsed_s, life_s=life_s), None, after(elapsed_s))
    return lists


class DocumentLog:
    """A transparency log of documents; `policy` trusts it and its witnesses."""

    def __init__(self, witnesses: tuple[str, ...] = ("w1.example", "w2.example")) -> None:
        self.log = MemoryLog(witnesses=witnesses)
        self.policy: Policy = policy_of(witnesses=witnesses, quorum=str(len(witnesses)) if witnesses else "none")

    def proof(self, document: bytes) -> bytes:
        """Put a document into the log and return its proof."""
        index = self.log.submit(document)
        hashes = inclusion_proof(index, len(self.log.entries), NodesOf(self.log.entries))
        return TlogProof(index=index, hashes=hashes, signed_note=parse_note(self.log.note)).encode()
