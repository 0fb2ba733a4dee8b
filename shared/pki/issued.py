"""A certificate that was asked for: the request on its way, and whether what came back is the one.

The chain above the authority held before anything was asked; here the last link is checked, and that the certificate holds the
requested key and goes nowhere beyond the request: a station that took more rights than it wanted would be trusted with them.
"""

from dataclasses import dataclass, field
from typing import TypeVar

from shared.core.clock import Instant
from shared.core.errors import VerificationError
from shared.core.itstime import Time64
from shared.core.report import VerificationReport
from shared.pki.exchange import ManagementRight, SealedRequest, open_answer
from shared.pki.management import InnerAtResponse, InnerEcResponse
from shared.pki.policy import stay_within
from shared.pki.response_codes import AuthorityRefusal
from shared.pki.subject import CertificateSubjectAttributes, PublicKeys
from shared.security.certificate import Certificate
from shared.security.freshness import trusted_time64
from shared.security.hashing import signed_digest
from shared.security.permissions import check_issued_permissions
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.region_containment import lies_within

_Response = TypeVar("_Response", InnerEcResponse, InnerAtResponse)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingCertificate:
    """A request for a certificate on its way.

    Attributes:
        authority: who was asked.
        keys: what a certificate was asked for.
        attributes: what else it is to say.
    """

    sealed: SealedRequest = field(repr=False)
    authority: Certificate
    keys: PublicKeys
    attributes: CertificateSubjectAttributes

    @property
    def request(self) -> bytes:
        """The octets to post, the same every time."""
        return self.sealed.octets

    def _open(
        self, answer: bytes, now: Instant, *, right: ManagementRight, expected: type[_Response], end_entities: int
    ) -> Certificate:
        """Open the answer and return the certificate.

        Args:
            answer: as it came.
            now: judges ages; needs trusted UTC.
            right: what the authority must have.
            expected: kind of the answer.
            end_entities: kind of the certificate, as bits `APP_END_ENTITY` and `ENROL_END_ENTITY`.

        Raises:
            UntrustedTimeError: UTC is not known.
            DecodeError: malformed, or not encrypted under the request's key.
            VerificationError: not from this authority, too old, about another request, or a certificate we did not ask for.
            AuthorityRefusal: the authority said no.
        """
        at = trusted_time64(now)
        response = open_answer(answer, request=self.sealed, authority=self.authority, right=right, expected=expected, at=at)
        certificate = response.certificate
        if certificate is None:
            raise AuthorityRefusal(response.code)
        check_issued(
            certificate, authority=self.authority, keys=self.keys, wanted=self.attributes, end_entities=end_entities, at=at
        )
        return certificate


def check_issued(
    certificate: Certificate,
    *,
    authority: Certificate,
    keys: PublicKeys,
    wanted: CertificateSubjectAttributes,
    end_entities: int,
    at: Time64,
) -> None:
    """Check a certificate that came in an answer.

    Args:
        certificate: what came.
        authority: who answered; its chain held.
        keys: what was asked for.
        wanted: what was asked for.
        end_entities: kind of the certificate, as bits `APP_END_ENTITY` and `ENROL_END_ENTITY`.
        at: the present; the certificate may begin later, but must not have ended.

    Raises:
        DecodeError: the authority's key is not on its curve.
        VerificationError: `CONTENT_MISMATCH` for other keys, `PERMISSION_DENIED` for more than was asked, `INCONSISTENT_CHAIN` for
            what the authority may not issue, `EXPIRED_CERTIFICATE`, `INVALID_CERTIFICATE`.
    """
    if certificate.issuer.hashed_id8 != authority.hashed_id8:
        raise _invalid("the certificate is issued by another authority than the one that answered")
    _check_keys(certificate, keys)
    _check_bounds(certificate, authority, wanted)
    if certificate.validity.end_time64 <= at:
        raise VerificationError(VerificationReport.EXPIRED_CERTIFICATE, "the certificate has run out already")
    if not certificate.validity.lies_within(authority.validity):
        raise VerificationError(VerificationReport.INCONSISTENT_CHAIN, "the validity period is not within the issuer's")
    issuable = authority.tbs.cert_issue_permissions or ()
    check_issued_permissions(issuable, certificate.tbs.app_permissions or (), end_entities=end_entities)
    _check_signature(certificate, authority)


def _check_keys(certificate: Certificate, keys: PublicKeys) -> None:
    tbs = certificate.tbs
    if tbs.curve is not keys.curve or tbs.verification_key.compressed != keys.verification_key.compressed:
        raise VerificationError(VerificationReport.CONTENT_MISMATCH, "the certificate holds another key than the one asked for")
    asked, given = keys.encryption_key, tbs.encryption_key
    if (asked is None) is not (given is None):
        raise _other_encryption_key()
    if asked is not None and given is not None:
        is_same = given.curve is asked.curve and given.point.compressed == asked.point.compressed
        if not is_same:
            raise _other_encryption_key()


def _check_bounds(certificate: Certificate, authority: Certificate, wanted: CertificateSubjectAttributes) -> None:
    tbs = certificate.tbs
    if tbs.cert_issue_permissions is not None or tbs.cert_request_permissions is not None:
        raise _beyond("permissions to issue or request")
    if not stay_within(tbs.app_permissions or (), wanted.app_permissions or ()):
        raise _beyond("permissions")
    if wanted.validity is not None and not tbs.validity.lies_within(wanted.validity):
        raise _beyond("validity")
    if wanted.region is not None:
        region = authority.tbs.region if tbs.region is None else tbs.region
        if region is None or not lies_within(region, wanted.region, NO_IDENTIFIED_AREAS):
            raise _beyond("region")


def _check_signature(certificate: Certificate, authority: Certificate) -> None:
    key = authority.public_key()
    algorithm = key.hash_algorithm
    digest = signed_digest(algorithm, algorithm.digest(certificate.canonical_tbs), authority.canonical)
    try:
        if certificate.issuer.algorithm is algorithm:
            return key.verify_digest(digest, certificate.signature)
    except VerificationError:
        pass
    raise _invalid("the authority's signature on the certificate does not hold")


def _other_encryption_key() -> VerificationError:
    return VerificationError(VerificationReport.CONTENT_MISMATCH, "the certificate holds another encryption key than asked for")


def _beyond(what: str) -> VerificationError:
    return VerificationError(VerificationReport.PERMISSION_DENIED, f"the {what} in the certificate go beyond what was asked for")


def _invalid(detail: str) -> VerificationError:
    return VerificationError(VerificationReport.INVALID_CERTIFICATE, detail)
