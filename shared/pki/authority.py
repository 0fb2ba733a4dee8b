"""The authorities of TS 102 940: a root, below it an enrolment and an authorization authority, below those what stations hold.

Sans-IO: keys are handed in or drawn from a `KeySource`, times are parameters, certificates are returned. An authority refuses to
issue what a receiver would refuse: permissions it does not have, validity or region beyond its own; an authority below a root with
a region carries that region, so it knows its bounds without the root. Left out: the requests and responses of TS 102 941, which the
desks answer, trust lists and revocation lists.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Self

from shared.core.errors import ConfigError, EncodeError, VerificationError
from shared.core.itstime import Time32
from shared.pki.key_source import KeySource, SigningKeySource
from shared.pki.permission_sets import (
    AA_APP_PERMISSIONS,
    AA_ISSUE_PERMISSIONS,
    EA_APP_PERMISSIONS,
    EA_ISSUE_PERMISSIONS,
    EA_STATIONS_ISSUE_PERMISSIONS,
    EC_APP_PERMISSIONS,
    ROOT_APP_PERMISSIONS,
    ROOT_ISSUE_PERMISSIONS,
)
from shared.security.certificate import Certificate, CertificateId, IdKind, ToBeSignedCertificate, issue_certificate
from shared.security.ecdsa import Curve, PublicKey, Signer, SoftwareSigner
from shared.security.encryption_key import EncryptionKey
from shared.security.permissions import (
    APP_END_ENTITY,
    ENROL_END_ENTITY,
    PsidGroupPermissions,
    PsidSsp,
    check_delegated_permissions,
    check_issued_permissions,
)
from shared.security.region import NO_IDENTIFIED_AREAS, GeographicRegion
from shared.security.region_containment import lies_within
from shared.security.validity import DurationUnit, Validity


def years(start: Time32, count: int) -> Validity:
    """Return a validity of `count` years of 31,556,952 s from `start`."""
    return Validity(start=start, unit=DurationUnit.YEARS, count=count)


def hours(start: Time32, count: int) -> Validity:
    """Return a validity of `count` hours from `start`."""
    return Validity(start=start, unit=DurationUnit.HOURS, count=count)


class AuthorityKind(Enum):
    """What an authority below a root is for."""

    ENROLMENT = "enrolment"
    AUTHORIZATION = "authorization"

    @property
    def app_permissions(self) -> tuple[PsidSsp, ...]:
        """What it signs."""
        return EA_APP_PERMISSIONS if self is AuthorityKind.ENROLMENT else AA_APP_PERMISSIONS

    @property
    def issue_permissions(self) -> tuple[PsidGroupPermissions, ...]:
        """What it issues."""
        return EA_ISSUE_PERMISSIONS if self is AuthorityKind.ENROLMENT else AA_ISSUE_PERMISSIONS

    @property
    def lesser_issue_permissions(self) -> tuple[PsidGroupPermissions, ...]:
        """What it issues below a root that cannot hand on more."""
        return EA_STATIONS_ISSUE_PERMISSIONS if self is AuthorityKind.ENROLMENT else AA_ISSUE_PERMISSIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityCredential:
    """An authority's certificate and its keys.

    Attributes:
        encryption_key: private half of the key in the certificate that others encrypt to; None for a root.
    """

    certificate: Certificate
    signer: Signer
    encryption_key: SoftwareSigner | None = None

    def __post_init__(self) -> None:
        tbs = self.certificate.tbs
        key = self.signer.public_key
        if key.curve is not tbs.curve or key.point != tbs.verification_key.compressed:
            name = f"authority {self.certificate.hashed_id8.hex()}"
            raise ConfigError(name, "the private key does not belong to the certificate")


class _Authority:
    """What every authority does: issue within its own bounds."""

    def __init__(self, credential: AuthorityCredential) -> None:
        self.credential = credential

    @property
    def certificate(self) -> Certificate:
        """The authority's own certificate."""
        return self.credential.certificate

    def _issue(self, tbs: ToBeSignedCertificate, *, end_entities: int) -> Certificate:
        own = self.certificate.tbs
        if not tbs.validity.lies_within(own.validity):
            raise EncodeError("validity", "reaches beyond the authority's own validity")
        within = tbs.region is None or own.region is None or lies_within(tbs.region, own.region, NO_IDENTIFIED_AREAS)
        if not within:
            raise EncodeError("region", "is not provably within the authority's own region")
        issuable = own.cert_issue_permissions or ()
        try:
            check_issued_permissions(issuable, tbs.app_permissions or (), end_entities=end_entities)
            check_delegated_permissions(issuable, tbs.cert_issue_permissions or ())
        except VerificationError as error:
            raise EncodeError("permissions", error.detail) from error
        return issue_certificate(tbs, issuer=self.certificate, signer=self.credential.signer)


class RootCa(_Authority):
    """The root: issues authorities."""

    @classmethod
    def create(
        cls,
        *,
        name: str,
        validity: Validity,
        keys: SigningKeySource,
        region: GeographicRegion | None = None,
        curve: Curve = Curve.NIST_P256,
    ) -> Self:
        """Make a root with a fresh key; raises `EncodeError` when a value does not fit its field."""
        signer = keys.generate(curve)
        tbs = ToBeSignedCertificate(
            id=CertificateId(kind=IdKind.NAME, name=name),
            validity=validity,
            region=region,
            app_permissions=ROOT_APP_PERMISSIONS,
            cert_issue_permissions=ROOT_ISSUE_PERMISSIONS,
            curve=curve,
            verification_key=signer.public_key.point,
        )
        return cls(AuthorityCredential(certificate=issue_certificate(tbs, issuer=None, signer=signer), signer=signer))

    def create_enrolment_authority(
        self,
        *,
        name: str,
        validity: Validity,
        keys: KeySource,
        curve: Curve = Curve.NIST_P256,
        encryption_curve: Curve = Curve.NIST_P256,
    ) -> "EnrolmentAuthority":
        """Make an EA with fresh keys in memory; raises `EncodeError` beyond the root's bounds."""
        return EnrolmentAuthority(self._create(AuthorityKind.ENROLMENT, name, validity, keys, (curve, encryption_curve)))

    def create_authorization_authority(
        self,
        *,
        name: str,
        validity: Validity,
        keys: KeySource,
        curve: Curve = Curve.NIST_P256,
        encryption_curve: Curve = Curve.NIST_P256,
    ) -> "AuthorizationAuthority":
        """Make an AA with fresh keys in memory; raises `EncodeError` beyond the root's bounds."""
        return AuthorizationAuthority(self._create(AuthorityKind.AUTHORIZATION, name, validity, keys, (curve, encryption_curve)))

    def certify(
        self,
        *,
        kind: AuthorityKind,
        name: str,
        validity: Validity,
        public_key: PublicKey,
        encryption_key: EncryptionKey,
        issue_permissions: tuple[PsidGroupPermissions, ...] | None = None,
    ) -> Certificate:
        """Issue the certificate of an authority that has its own keys; raises `EncodeError` beyond the root's bounds.

        Args:
            kind: what it is for.
            name: of the authority.
            validity: within the root's.
            public_key: what it signs with.
            encryption_key: what others encrypt to.
            issue_permissions: None = those of its kind, as far as the root can hand them on.
        """
        tbs = ToBeSignedCertificate(
            id=CertificateId(kind=IdKind.NAME, name=name),
            validity=validity,
            region=self.certificate.tbs.region,
            app_permissions=kind.app_permissions,
            cert_issue_permissions=issue_permissions or self._issue_permissions_below(kind),
            encryption_key=encryption_key,
            curve=public_key.curve,
            verification_key=public_key.point,
        )
        return self._issue(tbs, end_entities=APP_END_ENTITY | ENROL_END_ENTITY)

    def _issue_permissions_below(self, kind: AuthorityKind) -> tuple[PsidGroupPermissions, ...]:
        try:
            check_delegated_permissions(self.certificate.tbs.cert_issue_permissions or (), kind.issue_permissions)
        except VerificationError:
            return kind.lesser_issue_permissions
        return kind.issue_permissions

    def credential_for(
        self, *, kind: AuthorityKind, name: str, validity: Validity, signer: Signer, encryption_key: SoftwareSigner
    ) -> AuthorityCredential:
        """Make an authority of keys that are there, wherever it signs; raises `EncodeError` beyond the root's bounds."""
        certificate = self.certify(
            kind=kind,
            name=name,
            validity=validity,
            public_key=signer.public_key,
            encryption_key=EncryptionKey(curve=encryption_key.curve, point=encryption_key.public_key.point),
        )
        return AuthorityCredential(certificate=certificate, signer=signer, encryption_key=encryption_key)

    def _create(
        self, kind: AuthorityKind, name: str, validity: Validity, keys: KeySource, curves: tuple[Curve, Curve]
    ) -> AuthorityCredential:
        curve, encryption_curve = curves
        signer, encryption_key = keys.generate(curve), keys.generate(encryption_curve)
        return self.credential_for(kind=kind, name=name, validity=validity, signer=signer, encryption_key=encryption_key)


class EnrolmentAuthority(_Authority):
    """The authority that knows vehicles: issues their long-term identity."""

    def issue_credential(
        self,
        *,
        public_key: PublicKey,
        validity: Validity,
        name: str | None = None,
        permissions: tuple[PsidSsp, ...] = EC_APP_PERMISSIONS,
        region: GeographicRegion | None = None,
        encryption_key: EncryptionKey | None = None,
    ) -> Certificate:
        """Issue an enrolment credential; raises `EncodeError` beyond the authority's bounds.

        Args:
            public_key: the station's key.
            validity: at most three years under European policy; not enforced here.
            name: of the station, or None.
            permissions: `EC_APP_PERMISSIONS`, or fewer, or those of an issuer of records (`issuer_permissions`).
            region: None = as the authority.
            encryption_key: for answers to the station, or None.
        """
        tbs = ToBeSignedCertificate(
            id=CertificateId() if name is None else CertificateId(kind=IdKind.NAME, name=name),
            validity=validity,
            region=region,
            app_permissions=permissions,
            encryption_key=encryption_key,
            curve=public_key.curve,
            verification_key=public_key.point,
        )
        return self._issue(tbs, end_entities=APP_END_ENTITY | ENROL_END_ENTITY)


class AuthorizationAuthority(_Authority):
    """The authority that issues pseudonyms and does not know whose they are."""

    def issue_ticket(
        self,
        *,
        public_key: PublicKey,
        validity: Validity,
        permissions: tuple[PsidSsp, ...],
        region: GeographicRegion | None = None,
        encryption_key: EncryptionKey | None = None,
    ) -> Certificate:
        """Issue an authorization ticket; raises `EncodeError` beyond the authority's bounds.

        Args:
            public_key: the station's key.
            validity: at most a week under European policy; not enforced here.
            permissions: `TICKET_PERMISSIONS` of a role, or fewer.
            region: None = as the authority.
            encryption_key: for content only this station can read, or None.
        """
        tbs = ToBeSignedCertificate(
            id=CertificateId(),
            validity=validity,
            region=region,
            app_permissions=permissions,
            encryption_key=encryption_key,
            curve=public_key.curve,
            verification_key=public_key.point,
        )
        return self._issue(tbs, end_entities=APP_END_ENTITY)
