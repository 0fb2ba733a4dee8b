"""Whether a certificate may be believed: every link from it up to a trusted root (IEEE 1609.2 5.1.2; TS 103 097 clause 6).

For each link: the issuer's signature over it, its validity within the issuer's, its region within the issuer's, its permissions
and delegated permissions within what the issuer may issue, the length of the chain. Cheap comparisons come before the signature.
Verdicts are kept, good and bad, in a bounded memory; they do not depend on the time, which is compared at every use. Left out:
revocation lists.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from shared.core.errors import DecodeError, VerificationError
from shared.core.ids import HashedId3, HashedId8, ItsAid
from shared.core.itstime import Time64
from shared.core.report import VerificationReport
from shared.security.certificate import Certificate, IdKind
from shared.security.ecdsa import Curve, PublicKey
from shared.security.hashing import signed_digest
from shared.security.permissions import (
    APP_END_ENTITY,
    ENROL_END_ENTITY,
    check_delegated_permissions,
    check_issued_permissions,
    no_permission,
)
from shared.security.region import IdentifiedAreas, Region
from shared.security.region_containment import lies_within
from shared.security.trust_store import TrustStore

MAX_CHAIN_CERTIFICATES = 4
"""Certificates from end entity to root, both included; the ETSI hierarchy has three."""

MAX_VERDICTS = 4_096
"""Verdicts remembered."""

MAX_LEARNED_AUTHORITIES = 64
"""Authorities learned from other stations."""

MAX_UNTRUSTED_AUTHORITIES = 256
"""Authorities remembered as ending at a root we do not trust."""

_CA_PSIDS = frozenset((ItsAid.CRL, ItsAid.CERTIFICATE_REQUEST, ItsAid.CTL))
_NO_CRACA = HashedId3(b"\x00\x00\x00")
_ENROLMENT_SSP_BITS = 0xC0

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


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerFacts:
    """Who signed a verified message.

    Attributes:
        region: where the ticket is valid; `region.check_contains(point)` judges the sender's position.
    """

    hashed_id8: HashedId8
    hashed_id3: HashedId3
    certificate: Certificate
    region: Region


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedCertificate:
    """A certificate whose chain held up to a trusted root; only `ChainVerifier` makes one.

    It is trusted at moments inside `certificate.validity`, which lies inside the validity of all certificates above it. What every
    message under it needs is worked out once, here.

    Attributes:
        public_key: the verification key, loaded.
        region: where it is valid, inherited where the certificate names no region.
        issuer: identifier of the certificate above, None for a root.
        chain_certificates: certificates from here up to the root, both included.
        digest: the certificate's hash.
        facts: what a verified message says of its signer.
        ssps: its service-specific permissions by ITS-AID; None where a permission has none.
        valid_from: first valid microsecond.
        valid_until: first microsecond that is no longer valid.
        is_p256: whether the key is on P-256.
    """

    certificate: Certificate
    public_key: PublicKey
    region: Region
    issuer: HashedId8 | None
    chain_certificates: int
    digest: bytes = field(init=False)
    facts: SignerFacts = field(init=False)
    ssps: Mapping[int, bytes | None] = field(init=False)
    valid_from: Time64 = field(init=False)
    valid_until: Time64 = field(init=False)
    is_p256: bool = field(init=False)

    def __post_init__(self) -> None:
        certificate = self.certificate
        facts = SignerFacts(
            hashed_id8=certificate.hashed_id8, hashed_id3=certificate.hashed_id3, certificate=certificate, region=self.region
        )
        permissions = certificate.tbs.app_permissions or ()
        object.__setattr__(self, "digest", certificate.digest)
        object.__setattr__(self, "facts", facts)
        object.__setattr__(self, "ssps", {permission.psid: permission.ssp for permission in permissions})
        object.__setattr__(self, "valid_from", certificate.validity.start_time64)
        object.__setattr__(self, "valid_until", certificate.validity.end_time64)
        object.__setattr__(self, "is_p256", self.public_key.curve is Curve.NIST_P256)

    def check_valid_at(self, at: Time64) -> None:
        """Raise `VerificationError(EXPIRED_CERTIFICATE)` outside the validity period."""
        if not self.valid_from <= at < self.valid_until:
            raise _expired(self.certificate)

    def ssp_for(self, its_aid: int) -> bytes | None:
        """Return the service-specific permission for an ITS-AID; raises `VerificationError(PERMISSION_DENIED)` without one."""
        try:
            return self.ssps[its_aid]
        except KeyError:
            raise no_permission(its_aid) from None


class ChainVerifier:
    """Checks certificates against one trust store.

    Args:
        trust_store: trusted roots and known authorities.
        areas: the shapes of identified regions; pass `NO_IDENTIFIED_AREAS` when the operator has none.
    """

    __slots__ = ("_areas", "_learned", "_refused", "_trust_store", "_trusted", "_untrusted")

    def __init__(self, *, trust_store: TrustStore, areas: IdentifiedAreas) -> None:
        self._trust_store = trust_store
        self._areas = areas
        self._trusted: OrderedDict[bytes, TrustedCertificate] = OrderedDict()
        self._refused: OrderedDict[bytes, tuple[VerificationReport, str]] = OrderedDict()
        self._learned: OrderedDict[HashedId8, Certificate] = OrderedDict()
        self._untrusted: OrderedDict[HashedId8, None] = OrderedDict()

    def check_ticket(self, certificate: Certificate, at: Time64) -> TrustedCertificate:
        """Check an authorization ticket at a moment.

        Raises:
            UnknownSignerError: the issuing authority is not known.
            VerificationError: `EXPIRED_CERTIFICATE`, `INVALID_CERTIFICATE`, `INCONSISTENT_CHAIN` or `UNTRUSTED_ROOT`.
        """
        return self._check(certificate, at, _check_ticket_profile, APP_END_ENTITY)

    def check_enrolment_credential(self, certificate: Certificate, at: Time64) -> TrustedCertificate:
        """Check an enrolment credential at a moment; raises like `check_ticket`."""
        return self._check(certificate, at, _check_enrolment_profile, APP_END_ENTITY | ENROL_END_ENTITY)

    def check_authority(self, certificate: Certificate, at: Time64) -> TrustedCertificate:
        """Check an authority or a root at a moment; raises like `check_ticket`, `UNTRUSTED_ROOT` for an unknown issuer."""
        if not certificate.validity.contains(at):
            raise _expired(certificate)
        return self._authority(certificate, MAX_CHAIN_CERTIFICATES - 1)

    def learn_authority(self, certificate: Certificate, at: Time64) -> None:
        """Take in an authority another station passed on, if its chain holds; raises like `check_authority`.

        One that ends at a foreign root is remembered as such, so that its tickets are refused as `UNTRUSTED_ROOT`.
        """
        identifier = certificate.hashed_id8
        if identifier in self._trust_store.authorities or identifier in self._learned:
            return
        try:
            self.check_authority(certificate, at)
        except VerificationError as error:
            if error.report is VerificationReport.UNTRUSTED_ROOT:
                _put(self._untrusted, identifier, None, MAX_UNTRUSTED_AUTHORITIES)
            raise
        if not certificate.is_self_signed:
            _put(self._learned, identifier, certificate, MAX_LEARNED_AUTHORITIES)

    def _check(
        self, certificate: Certificate, at: Time64, check_profile: Callable[[Certificate], None], end_entities: int
    ) -> TrustedCertificate:
        if not certificate.validity.contains(at):
            raise _expired(certificate)
        check_profile(certificate)
        known = self._known_verdict(certificate)
        if known is not None:
            return known
        issuer = self._issuer_of_end_entity(certificate)
        try:
            trusted_issuer = self._authority(issuer, MAX_CHAIN_CERTIFICATES - 1)
            trusted = self._link(certificate, trusted_issuer, end_entities)
        except VerificationError as error:
            if error.report is not VerificationReport.UNTRUSTED_ROOT:
                _put(self._refused, certificate.digest, (error.report, error.detail), MAX_VERDICTS)
            raise
        _put(self._trusted, certificate.digest, trusted, MAX_VERDICTS)
        return trusted

    def _known_verdict(self, certificate: Certificate) -> TrustedCertificate | None:
        refused = self._refused.get(certificate.digest)
        if refused is not None:
            raise VerificationError(*refused)
        return self._trusted.get(certificate.digest)

    def _issuer_of_end_entity(self, certificate: Certificate) -> Certificate:
        identifier = certificate.issuer.hashed_id8
        if identifier is None:
            raise _invalid("an end entity cannot vouch for itself")
        issuer = self._find(identifier)
        if issuer is not None:
            return issuer
        if identifier in self._untrusted:
            raise _untrusted_root(f"authority {identifier.hex()} ends at a root this station does not trust")
        raise UnknownSignerError(identifier, "the issuing authority {} is not known")

    def _find(self, identifier: HashedId8) -> Certificate | None:
        store = self._trust_store
        return store.authorities.get(identifier) or store.roots.get(identifier) or self._learned.get(identifier)

    def _authority(self, certificate: Certificate, certificates_left: int) -> TrustedCertificate:
        if certificates_left == 0:
            raise _too_long()
        known = self._known_verdict(certificate)
        if known is not None:
            return known
        _check_authority_profile(certificate)
        if certificate.issuer.hashed_id8 is None:
            trusted = self._root(certificate)
        else:
            issuer = self._find(certificate.issuer.hashed_id8)
            if issuer is None:
                raise _untrusted_root(
                    f"authority {certificate.hashed_id8.hex()} is issued by {certificate.issuer.hashed_id8.hex()}, "
                    "which is no root this station trusts"
                )
            trusted_issuer = self._authority(issuer, certificates_left - 1)
            trusted = self._link(certificate, trusted_issuer, APP_END_ENTITY | ENROL_END_ENTITY)
        _put(self._trusted, certificate.digest, trusted, MAX_VERDICTS)
        return trusted

    def _root(self, certificate: Certificate) -> TrustedCertificate:
        known = self._trust_store.roots.get(certificate.hashed_id8)
        if known is None or known.digest != certificate.digest:
            raise _untrusted_root(f"root {certificate.hashed_id8.hex()} is not trusted by this station")
        public_key = _load_key(certificate)
        _check_signature(certificate, public_key, b"")
        region = Region(shape=certificate.tbs.region, areas=self._areas)
        return TrustedCertificate(certificate=certificate, public_key=public_key, region=region, issuer=None, chain_certificates=1)

    def _link(self, certificate: Certificate, above: TrustedCertificate, end_entities: int) -> TrustedCertificate:
        if above.chain_certificates >= MAX_CHAIN_CERTIFICATES:
            raise _too_long()
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
            issuer=issuer.hashed_id8,
            chain_certificates=above.chain_certificates + 1,
        )


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


def _check_common_profile(certificate: Certificate) -> None:
    tbs = certificate.tbs
    if tbs.craca_id != _NO_CRACA or tbs.crl_series != 0:
        raise _invalid("the certificate names a revocation authority, which TS 103 097 forbids")
    if tbs.cert_request_permissions is not None or tbs.can_request_rollover:
        raise _invalid("the certificate has request permissions, which TS 103 097 forbids")
    if tbs.id.kind not in (IdKind.NAME, IdKind.NONE):
        raise _invalid("the certificate is identified by neither a name nor nothing")


def _check_ticket_profile(certificate: Certificate) -> None:
    _check_common_profile(certificate)
    tbs = certificate.tbs
    if tbs.id.kind is not IdKind.NONE:
        raise _invalid("an authorization ticket must not name its owner")
    if not tbs.app_permissions or tbs.cert_issue_permissions is not None:
        raise _invalid("an authorization ticket has permissions to send and none to issue")
    if any(permission.psid in _CA_PSIDS for permission in tbs.app_permissions):
        raise _invalid("an authorization ticket carries a permission of the public key infrastructure")


def _check_enrolment_profile(certificate: Certificate) -> None:
    _check_common_profile(certificate)
    permissions = certificate.tbs.app_permissions or ()
    if certificate.tbs.cert_issue_permissions is not None or [entry.psid for entry in permissions] != [ItsAid.CERTIFICATE_REQUEST]:
        raise _invalid("an enrolment credential has the permission to request certificates and no other")
    ssp = permissions[0].ssp
    if ssp is None or len(ssp) != 2 or ssp[0] != 1 or ssp[1] & ~_ENROLMENT_SSP_BITS:
        raise _invalid("an enrolment credential may only sign enrolment and authorization requests")


def _check_authority_profile(certificate: Certificate) -> None:
    _check_common_profile(certificate)
    if not certificate.tbs.cert_issue_permissions:
        raise _invalid(f"certificate {certificate.hashed_id8.hex()} may not issue anything, so it is no authority")


def _put(store: OrderedDict[_K, _V], key: _K, value: _V, capacity: int) -> None:
    store[key] = value
    if len(store) > capacity:
        store.popitem(last=False)


def _expired(certificate: Certificate) -> VerificationError:
    return VerificationError(
        VerificationReport.EXPIRED_CERTIFICATE, f"certificate {certificate.hashed_id8.hex()} is outside its validity period"
    )


def _invalid(detail: str) -> VerificationError:
    return VerificationError(VerificationReport.INVALID_CERTIFICATE, detail)


def _inconsistent(detail: str) -> VerificationError:
    return VerificationError(VerificationReport.INCONSISTENT_CHAIN, detail)


def _too_long() -> VerificationError:
    return _inconsistent(f"the chain has more than {MAX_CHAIN_CERTIFICATES} certificates")


def _untrusted_root(detail: str) -> VerificationError:
    return VerificationError(VerificationReport.UNTRUSTED_ROOT, detail)
