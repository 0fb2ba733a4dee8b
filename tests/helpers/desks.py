"""Both authorities at their desks, and a car that deals with them: the whole of TS 102 941 in memory, every signature real."""

from dataclasses import replace
from random import Random

from shared.core.clock import NS_PER_S, Instant, ManualClock, UtcNs
from shared.core.errors import DecodeError
from shared.core.itstime import Time32, Time64, time32_of, time64_of
from shared.pki.authority import hours, years
from shared.pki.authorization import PendingAuthorization, make_authorization_request, ticket_attributes
from shared.pki.authorization_desk import AuthorizationCase, AuthorizationDesk
from shared.pki.desk import ChainedAuthorities
from shared.pki.enrolment import PendingEnrolment, credential_attributes, make_enrolment_request, make_renewal_request
from shared.pki.enrolment_desk import EnrolmentDesk
from shared.pki.exchange import Randomness
from shared.pki.key_source import SeededKeySource
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.pki.policy import GrantPolicy
from shared.pki.registry import RegisteredStation, Registry, StationStatus
from shared.pki.subject import CertificateSubjectAttributes
from shared.security.certificate import Certificate
from shared.security.chain import ChainVerifier
from shared.security.ecdsa import Curve, EccPoint, PointForm, PublicKey, Signature, Signer, SoftwareSigner
from shared.security.encryption_key import EncryptionKey
from shared.security.hashing import signed_digest
from shared.security.header_info import HeaderInfo
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.secured_data import SignerIdentifier, SignerKind, encode_signed_data, encode_tbs_data
from shared.security.sign import TicketCredential
from shared.security.trust_store import TrustStore
from shared.service.pki_store import EnrolmentStore
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.registry import MemoryAnswers, MemoryRegistry

ITS_ID = b"car 7"


class Desks:
    """One hierarchy with both authorities at work, and car 7, registered.

    Args:
        seed: of every key.
        curve: of the authorities' signatures.
        encryption_curve: of what is encrypted to them.
        station_curve: of the car's keys.
        role: of the car.
        policy: of both authorities.
        store: where the enrolment authority remembers things instead of `registry`.
    """

    def __init__(
        self,
        seed: int = 1,
        *,
        curve: Curve = Curve.NIST_P256,
        encryption_curve: Curve = Curve.NIST_P256,
        station_curve: Curve = Curve.NIST_P256,
        role: StationRole = StationRole.VEHICLE,
        policy: GrantPolicy | None = None,
        accepts_unproven_keys: bool = False,
        store: EnrolmentStore | None = None,
    ) -> None:
        self.hierarchy = Hierarchy(seed, curve=curve, encryption_curve=encryption_curve)
        self.clock = ManualClock(NOON)
        self.station_curve = station_curve
        self.policy = policy or GrantPolicy()
        self.randomness = seeded(seed + 1_000)
        self.registry = MemoryRegistry()
        self.answers = MemoryAnswers()
        self.canonical = self.key()
        self.keeper: Registry = self.registry if store is None else store
        car = RegisteredStation(its_id=ITS_ID, canonical_key=self.canonical.public_key, role=role, status=StationStatus.ACTIVE)
        self.registry.stations[ITS_ID] = car
        if store is not None:
            store.register(car)
        self.role = role
        self.ea = self.ea_desk(self.hierarchy.trust_store)
        self.aa = self.aa_desk(self.hierarchy.trust_store, accepts_unproven_keys=accepts_unproven_keys)

    @property
    def now(self) -> Instant:
        """The present."""
        return self.clock.now()

    @property
    def now_s(self) -> Time32:
        """The present as certificates count it."""
        return time32_of(time64_of(self.now.require_utc()))

    @property
    def now_time64(self) -> Time64:
        """The present as messages count it."""
        return time64_of(self.now.require_utc())

    def pass_time(self, elapsed_s: int) -> None:
        """Let time pass."""
        self.clock.advance(elapsed_s * NS_PER_S)

    def key(self, curve: Curve | None = None) -> SoftwareSigner:
        """Return a fresh key of the car."""
        return self.randomness.keys.generate(curve or self.station_curve)

    def ea_desk(self, trust_store: TrustStore) -> EnrolmentDesk:
        """Return an enrolment desk that trusts what `trust_store` holds."""
        return EnrolmentDesk(
            authority=self.hierarchy.ea,
            registry=self.keeper,
            authorization_authorities=authorities(trust_store),
            randomness=self.randomness,
            policy=self.policy,
        )

    def aa_desk(self, trust_store: TrustStore, *, accepts_unproven_keys: bool = False) -> AuthorizationDesk:
        """Return an authorization desk that trusts what `trust_store` holds."""
        return AuthorizationDesk(
            authority=self.hierarchy.aa,
            answers=self.answers,
            enrolment_authorities=authorities(trust_store),
            randomness=self.randomness,
            policy=self.policy,
            accepts_unproven_keys=accepts_unproven_keys,
        )

    def set_station(self, *, status: StationStatus = StationStatus.ACTIVE) -> None:
        """Change the car's status."""
        self.registry.stations[ITS_ID] = replace(self.registry.stations[ITS_ID], status=status)

    def revoke(self, credential: TicketCredential) -> None:
        """Revoke a credential."""
        identifier = credential.certificate.hashed_id8
        self.registry.credentials[identifier] = replace(self.registry.credentials[identifier], is_revoked=True)

    def enrolment(
        self,
        key: Signer,
        *,
        its_id: bytes = ITS_ID,
        canonical: Signer | None = None,
        attributes: CertificateSubjectAttributes | None = None,
    ) -> PendingEnrolment:
        """Make the car's first request."""
        return make_enrolment_request(
            its_id=its_id,
            canonical_key=canonical or self.canonical,
            key=key,
            authority=self.hierarchy.ea.certificate,
            attributes=attributes or credential_attributes(validity=years(self.now_s, 3)),
            now=self.now,
            randomness=self.randomness,
        )

    def renewal(
        self, credential: TicketCredential, key: Signer, *, attributes: CertificateSubjectAttributes | None = None
    ) -> PendingEnrolment:
        """Make the car's request for its next credential."""
        return make_renewal_request(
            credential=credential,
            key=key,
            authority=self.hierarchy.ea.certificate,
            attributes=attributes or credential_attributes(validity=years(self.now_s, 3)),
            now=self.now,
            randomness=self.randomness,
        )

    def enrol(self) -> TicketCredential:
        """Enrol the car under a fresh key."""
        key = self.key()
        pending = self.enrolment(key)
        return TicketCredential(certificate=pending.open(self.ea.answer(pending.request, self.now), self.now), signer=key)

    def authorization(
        self,
        credential: TicketCredential,
        key: Signer,
        *,
        attributes: CertificateSubjectAttributes | None = None,
        ea: Certificate | None = None,
        encryption_key: EncryptionKey | None = None,
        hides_credential: bool = True,
        proves_possession: bool = True,
    ) -> PendingAuthorization:
        """Make the car's request for a ticket."""
        return make_authorization_request(
            credential=credential,
            key=key,
            authority=self.hierarchy.aa.certificate,
            enrolment_authority=ea or self.hierarchy.ea.certificate,
            attributes=attributes or self.wanted(),
            now=self.now,
            randomness=self.randomness,
            encryption_key=encryption_key,
            hides_credential=hides_credential,
            proves_possession=proves_possession,
        )

    def wanted(self) -> CertificateSubjectAttributes:
        """Return what a ticket of the car says: its role's permissions for a week."""
        return ticket_attributes(permissions=TICKET_PERMISSIONS[self.role], validity=hours(self.now_s, 168))

    def begin(self, request: bytes) -> AuthorizationCase:
        """Open a case at the authorization desk."""
        case = self.aa.begin(request, self.now)
        assert isinstance(case, AuthorizationCase)
        return case

    def authorize(self, request: bytes) -> bytes:
        """Carry a request through both desks."""
        case = self.aa.begin(request, self.now)
        if isinstance(case, bytes):
            return case
        return self.aa.finish(case, self.ea.answer(case.validation_request, self.now), self.now)


def authorities(trust_store: TrustStore) -> ChainedAuthorities:
    """Return the authorities of a trust store."""
    return ChainedAuthorities(trust_store=trust_store, chain=ChainVerifier(trust_store=trust_store, areas=NO_IDENTIFIED_AREAS))


def seeded(seed: int) -> Randomness:
    """Return secrets that repeat."""
    generator = Random(seed)
    return Randomness(keys=SeededKeySource(generator), entropy=generator.randbytes)


def later(now: Instant, elapsed_s: int) -> Instant:
    """Return a moment some seconds after another, before where negative."""
    return Instant(now.monotonic, UtcNs(now.require_utc() + elapsed_s * NS_PER_S))


class TokenSigner:
    """A key that can do what the protocol of a key says and nothing else, as in a token."""

    def __init__(self, inner: SoftwareSigner) -> None:
        self._inner = inner

    @property
    def curve(self) -> Curve:
        """The key's curve."""
        return self._inner.curve

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        return self._inner.public_key

    def sign_digest(self, digest: bytes) -> Signature:
        """Sign a digest."""
        return self._inner.sign_digest(digest)


def signed_as(
    payload: bytes,
    signer: Signer,
    *,
    header: HeaderInfo,
    certificate: Certificate | None = None,
    named: SignerIdentifier | None = None,
) -> bytes:
    """Sign whatever a sender of no manners might say.

    Args:
        payload: of the signed data.
        signer: whose key signs.
        header: instead of the profile's.
        certificate: what the signature is bound to, None for the key inside.
        named: how the signer is named; by digest, or as the key inside.
    """
    algorithm = signer.curve.hash_algorithm
    tbs = encode_tbs_data(payload, header)
    if named is None and certificate is not None:
        named = SignerIdentifier(kind=SignerKind.DIGEST, digest=certificate.hashed_id8)
    canonical = b"" if certificate is None else certificate.canonical
    return encode_signed_data(
        hash_algorithm=algorithm,
        tbs_encoded=tbs,
        signer=named or SignerIdentifier(kind=SignerKind.SELF),
        signature=signer.sign_digest(signed_digest(algorithm, algorithm.digest(tbs), canonical)),
    )


def off_curve(curve: Curve) -> EccPoint:
    """Return a compressed point whose x no point of the curve has."""
    candidates = (EccPoint(form=PointForm.COMPRESSED_Y0, x=x.to_bytes(curve.octets, "big")) for x in range(1, 100))
    return next(point for point in candidates if not _is_on(curve, point))


def _is_on(curve: Curve, point: EccPoint) -> bool:
    try:
        PublicKey.from_point(curve, point)
    except DecodeError:
        return False
    return True
