"""Whether a certificate may be believed: every link from it up to a trusted root (IEEE 1609.2 5.1.2; TS 103 097 clause 6).

For each link: the issuer's signature over it, its validity within the issuer's, its region within the issuer's, its permissions
and delegated permissions within what the issuer may issue, the length of the chain; that the root has revoked neither, that the
root's lists have not run out, and that an authority is in the transparency log where the operator asks for that. Cheap comparisons
come before the signature. Verdicts are kept, good and bad, in bounded memories; they do not depend on the time, which is compared
at every use. When trust changes, those that no longer hold are forgotten at once and the others survive untouched.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from shared.core.errors import DecodeError, VerificationError
from shared.core.ids import HashedId8
from shared.core.itstime import Time64
from shared.core.report import VerificationReport
from shared.security.certificate import Certificate
from shared.security.certificate_profiles import check_authority_profile, check_enrolment_profile, check_ticket_profile
from shared.security.ecdsa import PublicKey
from shared.security.hashing import signed_digest
from shared.security.permissions import (
    APP_END_ENTITY,
    ENROL_END_ENTITY,
    check_delegated_permissions,
    check_issued_permissions,
)
from shared.security.region import IdentifiedAreas, Region
from shared.security.region_containment import lies_within
from shared.security.trust_store import TrustStore
from shared.security.trusted_certificate import TrustedCertificate, expired
from shared.security.verdicts import UnloggedAuthorityError, Verdicts

MAX_CHAIN_CERTIFICATES = 8
"""Certificates from end entity to root, both included; the ETSI hierarchy has three, sub-authorities add to it."""

MAX_VERDICTS = 4_096
"""Good verdicts about end entities remembered, and as many bad ones."""

MAX_AUTHORITY_VERDICTS = 256
"""The same of authorities and roots."""

MAX_LEARNED_AUTHORITIES = 64
"""Authorities learned from other stations."""

MAX_WANTED_AUTHORITIES = 64
"""Unknown issuers remembered, so that they are taken in from whoever passes them on."""

MAX_UNTRUSTED_AUTHORITIES = 256
"""Authorities remembered as ending at a root we do not trust."""

SWEEP_AFTER_VERDICTS = 256
"""New verdicts after which what has expired is looked for and forgotten."""

_LASTING = frozenset((VerificationReport.INVALID_CERTIFICATE, VerificationReport.INCONSISTENT_CHAIN, VerificationReport.NOT_LOGGED))
"""Bad verdicts worth remembering: finding them out took a signature, or might again."""

_STILL_LEARNED = frozenset(
    (VerificationReport.REVOKED_CERTIFICATE, VerificationReport.NOT_LOGGED, VerificationReport.OUTDATED_TRUST_LIST)
)
"""Learned authorities refused for these when trust changed stay known, so that their tickets are refused for the same reason."""

_K = TypeVar("_K")
_V = TypeVar("_V")


class UnknownSignerError(VerificationError):
    """The signer's certificate, or its issuer's, is not known yet; asking the neighbours may help (P2PCD).

    Args:
        hashed_id8: identifier of the missing certificate.
        sentence: a sentence a person understands, with `{}` where the identifier belongs.
    """

    __slots__ = ("hashed_id8",)

    def __init__(self, hashed_id8: HashedId8, sentence: str) -> None:
        self.report = VerificationReport.SIGNER_CERTIFICATE_NOT_FOUND
        self._detail = sentence
        self.hashed_id8 = hashed_id8

    @property
    def detail(self) -> str:
        """The sentence, written when somebody reads it."""
        return self._detail.format(self.hashed_id8.hex())


class ChainVerifier:
    """Checks certificates against one trust store at a time.

    Args:
        trust_store: trusted roots and known authorities.
        areas: the shapes of identified regions; pass `NO_IDENTIFIED_AREAS` when the operator has none.
    """

    __slots__ = ("_areas", "_authorities", "_end_entities", "_judged", "_learned", "_store", "_untrusted", "_wanted")

    def __init__(self, *, trust_store: TrustStore, areas: IdentifiedAreas) -> None:
        self._store = trust_store
        self._areas = areas
        self._end_entities = Verdicts(MAX_VERDICTS)
        self._authorities = Verdicts(MAX_AUTHORITY_VERDICTS)
        self._learned: OrderedDict[HashedId8, Certificate] = OrderedDict()
        self._wanted: OrderedDict[HashedId8, None] = OrderedDict()
        self._untrusted: OrderedDict[HashedId8, None] = OrderedDict()
        self._judged = 0

    @property
    def trust_store(self) -> TrustStore:
        """The one it judges by now."""
        return self._store

    def check_ticket(self, certificate: Certificate, at: Time64) -> TrustedCertificate:
        """Check an authorization ticket at a moment.

        Raises:
            UnknownSignerError: the issuing authority is not known.
            UnloggedAuthorityError: an authority above it is not shown to be in the transparency log.
            VerificationError: `EXPIRED_CERTIFICATE`, `INVALID_CERTIFICATE`, `INCONSISTENT_CHAIN`, `UNTRUSTED_ROOT`,
                `REVOKED_CERTIFICATE` or `OUTDATED_TRUST_LIST`.
        """
        return self._check(certificate, at, check_ticket_profile, APP_END_ENTITY)

    def check_enrolment_credential(self, certificate: Certificate, at: Time64) -> TrustedCertificate:
        """Check an enrolment credential at a moment; raises like `check_ticket`."""
        return self._check(certificate, at, check_enrolment_profile, APP_END_ENTITY | ENROL_END_ENTITY)

    def check_authority(self, certificate: Certificate, at: Time64) -> TrustedCertificate:
        """Check an authority or a root at a moment; raises like `check_ticket`, `UNTRUSTED_ROOT` for an unknown issuer."""
        if not certificate.validity.contains(at):
            raise expired(certificate)
        return self._authority(certificate, MAX_CHAIN_CERTIFICATES - 1)

    def learn_authority(self, certificate: Certificate, at: Time64) -> None:
        """Take in an authority another station passed on, if its chain holds; raises like `check_authority`.

        One that ends at a foreign root is remembered as such, so that its tickets are refused as `UNTRUSTED_ROOT`; one that is
        revoked or not logged likewise.
        """
        identifier = certificate.hashed_id8
        if identifier in self._store.authorities or identifier in self._learned:
            return
        self._wanted.pop(identifier, None)
        try:
            self.check_authority(certificate, at)
        except VerificationError as error:
            if error.report is VerificationReport.UNTRUSTED_ROOT:
                _put(self._untrusted, identifier, None, MAX_UNTRUSTED_AUTHORITIES)
            elif self._is_refused_itself(certificate, error):
                _put(self._learned, identifier, certificate, MAX_LEARNED_AUTHORITIES)
            raise
        if not certificate.is_self_signed:
            self._untrusted.clear()  # one of them may end here
            _put(self._learned, identifier, certificate, MAX_LEARNED_AUTHORITIES)

    def learn_wanted_authority(self, certificate: Certificate, at: Time64) -> None:
        """Take in an authority from a message nobody vouches for, if a ticket lately named it as its unknown issuer.

        An authority's certificate proves itself, whoever passes it on. What that costs is bounded: each identifier is looked at
        once for a ticket that named it, so strangers make us check no more signatures than by messages of the usual kind. Raises
        like `check_authority`; does nothing for a certificate nobody has named.
        """
        if certificate.hashed_id8 in self._wanted:
            self.learn_authority(certificate, at)

    def change_trust(self, trust_store: TrustStore) -> None:
        """Judge by another store from now on: forget verdicts that no longer hold, and judge learned authorities anew."""
        self._store = trust_store
        self._untrusted.clear()
        self._authorities.change_trust(self.holds)
        for identifier, authority in list(self._learned.items()):
            if identifier in trust_store.authorities or not self._may_stay_learned(authority):
                del self._learned[identifier]
        self._authorities.change_trust(self.holds)
        self._end_entities.change_trust(self.holds)

    def holds(self, trusted: TrustedCertificate) -> bool:
        """Say whether a chain that held once still does by the present store; no signature is checked."""
        store = self._store
        link: TrustedCertificate = trusted
        while True:
            identifier = link.facts.hashed_id8
            if store.revokes(trusted.root, link.certificate):
                return False
            if link.above is None:
                root = store.roots.get(identifier)
                return root is not None and root.digest == link.digest
            if link.certificate.tbs.cert_issue_permissions is not None:
                known = self._find(identifier)
                if known is None or known.digest != link.digest or not store.openness.is_open(known):
                    return False
            link = link.above

    def check_holds(self, trusted: TrustedCertificate) -> None:
        """Raise what `check_ticket` would say of a ticket whose chain held when it was looked at, if it does not any more."""
        if not self.holds(trusted):
            self.check_ticket(trusted.certificate, trusted.valid_from)
            raise _untrusted_root(f"what vouched for certificate {trusted.facts.hashed_id8.hex()} is no longer trusted")

    def _check(
        self, certificate: Certificate, at: Time64, check_profile: Callable[[Certificate], None], end_entities: int
    ) -> TrustedCertificate:
        if not certificate.validity.contains(at):
            raise expired(certificate)
        check_profile(certificate)
        known = self._end_entities.find(certificate)
        if known is not None:
            return known
        issuer = self._issuer_of_end_entity(certificate)
        try:
            above = self._authority(issuer, MAX_CHAIN_CERTIFICATES - 1)
        except UnloggedAuthorityError as error:
            raise UnloggedAuthorityError(error.chain, certificate) from None
        self._sweep(at)
        return self._remembered(self._end_entities, certificate, lambda: self._link(certificate, above, end_entities))

    def _issuer_of_end_entity(self, certificate: Certificate) -> Certificate:
        identifier = certificate.issuer.hashed_id8
        if identifier is None:
            raise _invalid("an end entity cannot vouch for itself")
        issuer = self._find(identifier)
        if issuer is not None:
            return issuer
        if identifier in self._untrusted:
            raise _untrusted_root(f"authority {identifier.hex()} ends at a root this station does not trust")
        _put(self._wanted, identifier, None, MAX_WANTED_AUTHORITIES)
        raise UnknownSignerError(identifier, "the issuing authority {} is not known")

    def _find(self, identifier: HashedId8) -> Certificate | None:
        store = self._store
        known = store.authorities.get(identifier) or store.roots.get(identifier)
        if known is None:
            known = self._learned.get(identifier)
            if known is not None:
                self._learned.move_to_end(identifier)
        return known

    def _authority(self, certificate: Certificate, certificates_left: int) -> TrustedCertificate:
        if certificates_left == 0:
            raise _too_long()
        known = self._authorities.find(certificate)
        if known is not None:
            return known
        check_authority_profile(certificate)
        identifier = certificate.issuer.hashed_id8
        if identifier is None:
            return self._remembered(self._authorities, certificate, lambda: self._root(certificate))
        issuer = self._find(identifier)
        if issuer is None:
            raise _untrusted_root(
                f"authority {certificate.hashed_id8.hex()} is issued by {identifier.hex()}, which is no root this station trusts"
            )
        above = self._authority(issuer, certificates_left - 1)
        return self._remembered(self._authorities, certificate, lambda: self._open(self._link_of_authority(certificate, above)))

    def _remembered(
        self, verdicts: Verdicts, certificate: Certificate, judge: Callable[[], TrustedCertificate]
    ) -> TrustedCertificate:
        try:
            trusted = judge()
        except VerificationError as error:
            if error.report in _LASTING:
                verdicts.refuse(certificate, error)
            raise
        verdicts.trust(trusted)
        return trusted

    def _root(self, certificate: Certificate) -> TrustedCertificate:
        known = self._store.roots.get(certificate.hashed_id8)
        if known is None or known.digest != certificate.digest:
            raise _untrusted_root(f"root {certificate.hashed_id8.hex()} is not trusted by this station")
        self._check_not_revoked(certificate, certificate.hashed_id8)
        public_key = _load_key(certificate)
        _check_signature(certificate, public_key, b"")
        region = Region(shape=certificate.tbs.region, areas=self._areas)
        return TrustedCertificate(certificate=certificate, public_key=public_key, region=region, above=None)

    def _link_of_authority(self, certificate: Certificate, above: TrustedCertificate) -> TrustedCertificate:
        return self._link(certificate, above, APP_END_ENTITY | ENROL_END_ENTITY)

    def _link(self, certificate: Certificate, above: TrustedCertificate, end_entities: int) -> TrustedCertificate:
        if above.chain_certificates >= MAX_CHAIN_CERTIFICATES:
            raise _too_long()
        self._check_not_revoked(certificate, above.root)
        if above.root in self._store.outdated:
            detail = f"the trust lists of root {above.root.hex()} have run out: nothing new below it is believed"
            raise VerificationError(VerificationReport.OUTDATED_TRUST_LIST, detail)
        issuer = above.certificate
        tbs = certificate.tbs
        if certificate.issuer.algorithm is not issuer.tbs.curve.hash_algorithm:
            raise _inconsistent("the issuer is named by a hash that does not belong to its key")
        if not tbs.validity.lies_within(issuer.validity):
            raise _inconsistent("the validity period is not within the issuer's")
        shape = above.region.shape if tbs.region is None else tbs.region
        if shape is not None and above.region.shape is not None and not lies_within(shape, above.region.shape, self._areas):
            raise _inconsistent("the region is not within the issuer's")
        issuable = issuer.tbs.cert_issue_permissions or ()
        check_issued_permissions(issuable, tbs.app_permissions or (), end_entities=end_entities)
        check_delegated_permissions(issuable, tbs.cert_issue_permissions or ())
        _check_signature(certificate, above.public_key, issuer.canonical)
        return TrustedCertificate(
            certificate=certificate,
            public_key=_load_key(certificate),
            region=Region(shape=shape, areas=self._areas),
            above=above,
        )

    def _check_not_revoked(self, certificate: Certificate, root: HashedId8) -> None:
        if self._store.revokes(root, certificate):
            detail = f"root {root.hex()} has revoked certificate {certificate.hashed_id8.hex()}"
            raise VerificationError(VerificationReport.REVOKED_CERTIFICATE, detail)

    def _open(self, authority: TrustedCertificate) -> TrustedCertificate:
        if not self._store.openness.is_open(authority.certificate):
            raise UnloggedAuthorityError(authority.path, None)
        return authority

    def _is_refused_itself(self, authority: Certificate, error: VerificationError) -> bool:
        """Say whether the authority itself, not one above it, is revoked or unlogged: others have not proved themselves."""
        if isinstance(error, UnloggedAuthorityError):
            return error.authority.digest == authority.digest
        is_revoked = error.report is VerificationReport.REVOKED_CERTIFICATE
        return is_revoked and any(self._store.revokes(root, authority) for root in self._store.roots)

    def _may_stay_learned(self, authority: Certificate) -> bool:
        try:
            self._authority(authority, MAX_CHAIN_CERTIFICATES - 1)
        except VerificationError as error:
            return error.report in _STILL_LEARNED
        return True

    def _sweep(self, at: Time64) -> None:
        """Now and then, forget what has expired."""
        self._judged += 1
        if self._judged % SWEEP_AFTER_VERDICTS == 0:
            self._end_entities.forget_expired(at)
            self._authorities.forget_expired(at)
            for identifier in [each for each, authority in self._learned.items() if authority.validity.end_time64 <= at]:
                del self._learned[identifier]


def _check_signature(certificate: Certificate, key: PublicKey, issuer_canonical: bytes) -> None:
    algorithm = key.curve.hash_algorithm
    digest = signed_digest(algorithm, algorithm.digest(certificate.canonical_tbs), issuer_canonical)
    try:
        key.verify_digest(digest, certificate.signature)
    except VerificationError:
        raise _invalid(f"the issuer's signature on certificate {certificate.hashed_id8.hex()} does not hold") from None


def _load_key(certificate: Certificate) -> PublicKey:
    try:
        return certificate.public_key()
    except DecodeError as error:
        raise _invalid(f"certificate {certificate.hashed_id8.hex()}: {error.reason}") from error


def _put(store: OrderedDict[_K, _V], key: _K, value: _V, capacity: int) -> None:
    store[key] = value
    if len(store) > capacity:
        store.popitem(last=False)


def _invalid(detail: str) -> VerificationError:
    return VerificationError(VerificationReport.INVALID_CERTIFICATE, detail)


def _inconsistent(detail: str) -> VerificationError:
    return VerificationError(VerificationReport.INCONSISTENT_CHAIN, detail)


def _too_long() -> VerificationError:
    return _inconsistent(f"the chain has more than {MAX_CHAIN_CERTIFICATES} certificates")


def _untrusted_root(detail: str) -> VerificationError:
    return VerificationError(VerificationReport.UNTRUSTED_ROOT, detail)
