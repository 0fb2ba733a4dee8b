"""What is published, as it is asked for over HTTP, and whom the authorities of a hierarchy trust by it.

Everything is read from the files at each request, so what a command published a moment ago is served now. Trust follows the newest
CTL and CRL of the hierarchy's own root: an authorization authority that is listed no longer, or revoked, is not answered.
"""

from shared.core.errors import ProofError, TransportError
from shared.core.ids import HashedId8
from shared.core.itstime import Time64
from shared.operator.list_office import stated_list
from shared.pki.desk import ChainedAuthorities
from shared.security.certificate import Certificate
from shared.security.chain import ChainVerifier
from shared.security.crl import Crl
from shared.security.ctl import Ctl
from shared.security.list_sequence import SEQUENCE_NUMBERS
from shared.security.region import IdentifiedAreas
from shared.security.trust_store import EveryAuthority, TrustStore
from shared.security.trusted_certificate import TrustedCertificate
from shared.service.log_proofs import prove_logged
from shared.service.log_store import LogStore
from shared.service.published_lists import DocumentKind, PublishedLists


class PublishedLibrary:
    """Answers from the files; a `Library` of `pki_http_app`.

    Args:
        lists: what was published.
        log: where it is logged; None where nothing of it is served.
        manager: the trust list manager's certificate, None where there is none.
    """

    def __init__(self, lists: PublishedLists, log: LogStore | None, manager: Certificate | None) -> None:
        self._lists = lists
        self._log = log
        self._manager = manager

    def ctl(self, root: HashedId8) -> bytes | None:
        """Return a root's full CTL, or None."""
        return self._newest(DocumentKind.CTL, root)

    def delta_ctl(self, root: HashedId8, held: int) -> bytes | None:
        """Return the delta list of a root that follows the list with number `held`, or None."""
        document = self._lists.by_sequence(DocumentKind.DELTA_CTL, root, (held + 1) % SEQUENCE_NUMBERS)
        return None if document is None else document.octets

    def crl(self, root: HashedId8) -> bytes | None:
        """Return a root's CRL, or None."""
        return self._newest(DocumentKind.CRL, root)

    def ectl(self, tlm: HashedId8) -> bytes | None:
        """Return the list of a trust list manager, or None."""
        return self._newest(DocumentKind.ECTL, tlm)

    def tlm_certificate(self, tlm: HashedId8 | None) -> bytes | None:
        """Return the manager's certificate; None if there is none, or another was asked for."""
        if self._manager is None or tlm not in (None, self._manager.hashed_id8):
            return None
        return self._manager.encoded

    def proof(self, digest: bytes) -> bytes | None:
        """Return the proof that a document is logged, or None; raises `StorageError`."""
        index = self._lists.log_index(digest)
        if index is None or self._log is None:
            return None
        try:
            return prove_logged(self._log, index)
        except ProofError:
            return None

    def log(self, path: str) -> bytes | None:
        """Return what the log serves at a path, or None; raises `StorageError`."""
        if self._log is None:
            return None
        self._log.refresh()
        try:
            return self._log.read(path)
        except TransportError:
            return None

    def _newest(self, kind: DocumentKind, issuer: HashedId8) -> bytes | None:
        document = self._lists.newest(kind, issuer)
        return None if document is None else document.octets


class PublishedTrust:
    """The authorities of one root, by its newest lists; `TrustedAuthorities` for the desks.

    Args:
        root: of the hierarchy.
        known: authorities the operator put beside it; they count until a list is there.
        lists: what was published.
        areas: shapes of identified regions.
    """

    def __init__(self, *, root: Certificate, known: tuple[Certificate, ...], lists: PublishedLists, areas: IdentifiedAreas) -> None:
        self._root = root
        self._identifier = HashedId8(root.hashed_id8)
        self._known = known
        self._lists = lists
        self._seen: tuple[bytes | None, ...] = (None, None)
        store = TrustStore.of_operator((root,), known)
        self._authorities = ChainedAuthorities(trust_store=store, chain=ChainVerifier(trust_store=store, areas=areas))

    def find(self, hashed_id8: HashedId8, at: Time64) -> TrustedCertificate:
        """Return an authority whose chain holds; raises `UnknownSignerError`, `VerificationError`, `StorageError`."""
        self._follow()
        return self._authorities.find(hashed_id8, at)

    def _follow(self) -> None:
        documents = [self._lists.newest(kind, self._identifier) for kind in (DocumentKind.CTL, DocumentKind.CRL)]
        newest = tuple(None if each is None else each.octets for each in documents)
        if newest == self._seen:
            return
        known, revoked = self._known, frozenset[HashedId8]()
        for octets in newest:
            match None if octets is None else stated_list(octets):
                case Ctl() as ctl:
                    known = ctl.authorities
                case Crl(revoked=identifiers):
                    revoked = frozenset(identifiers)
                case None:
                    pass
        store = TrustStore(
            (self._root,), known, openness=EveryAuthority(), revoked={self._identifier: revoked}, outdated=frozenset()
        )
        self._authorities.change_trust(store)
        self._seen = newest
