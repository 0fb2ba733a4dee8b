"""Verifying what was received: cheap checks before dear ones, nothing remembered before its signature held.

    size -> structure -> ITS-AID expected -> profile -> freshness -> seen before? -> signer known, chain
         -> validity, region, permission of the ticket -> ECDSA -> remember

A message signed by the digest of a ticket not yet heard is refused with `UnknownSignerError`, which names what to ask for. The
station goes on from there: GeoNetworking position against the region, content against the SSP. Left out: revocation lists, and
consumption of encrypted messages.
"""

from dataclasses import dataclass

from shared.core.clock import Instant
from shared.core.errors import DecodeError, UntrustedTimeError, VerificationError
from shared.core.geo import GeoPoint
from shared.core.ids import HashedId3, HashedId8, ItsAid
from shared.core.itstime import Time64
from shared.core.report import VerificationReport
from shared.security.certificate import Certificate
from shared.security.certificate_cache import CertificateCache
from shared.security.chain import ChainVerifier, TrustedCertificate, UnknownSignerError
from shared.security.freshness import Freshness, trusted_time64
from shared.security.hashing import signed_digest
from shared.security.header_policy import check_header, profile_of
from shared.security.permissions import find_permission
from shared.security.region import IdentifiedAreas, Region
from shared.security.replay import ReplayGuard
from shared.security.secured_data import SignedData, SignerIdentifier, UnsecuredData, decode_secured_data
from shared.security.trust_store import TrustStore

MAX_MESSAGE_OCTETS = 2_304
"""Octets of a secured message; the greatest IEEE 802.11 service data unit."""

MESSAGE_ITS_AIDS = frozenset((ItsAid.CAM, ItsAid.DENM, ItsAid.TLM, ItsAid.RLT, ItsAid.IVIM, ItsAid.SREM, ItsAid.SSEM))
"""The facilities services this project speaks."""


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
class VerifiedPayload:
    """A payload whose signature, chain and permissions held; only `VerifyService` makes one.

    Attributes:
        payload: the signed octets.
        ssp: the signer's service-specific permission for `its_aid`, None where it has none.
        generation_location: the signed place, None where the profile has none.
        certificate_requests: short identifiers the sender asks its neighbours for.
        passed_on_authority: identifier of an authority certificate the sender passed on, whether or not we believed it.
    """

    payload: bytes
    its_aid: ItsAid
    ssp: bytes | None
    signer: SignerFacts
    generation_time: Time64
    generation_location: GeoPoint | None
    certificate_requests: tuple[HashedId3, ...]
    passed_on_authority: HashedId8 | None = None


class VerifyService:
    """Verifies secured messages against one trust store.

    Args:
        trust_store: trusted roots and known authorities.
        certificates: tickets of the neighbours; filled here.
        replay: what was accepted lately; filled here.
        freshness: how old a message may be.
        areas: the shapes of identified regions; pass `NO_IDENTIFIED_AREAS` when the operator has none.
        its_aids: services to accept; `MESSAGE_ITS_AIDS` for a station.
    """

    def __init__(
        self,
        *,
        trust_store: TrustStore,
        certificates: CertificateCache,
        replay: ReplayGuard,
        freshness: Freshness,
        areas: IdentifiedAreas,
        its_aids: frozenset[ItsAid] = MESSAGE_ITS_AIDS,
    ) -> None:
        self._chain = ChainVerifier(trust_store=trust_store, areas=areas)
        self._certificates = certificates
        self._replay = replay
        self._freshness = freshness
        self._its_aids = its_aids

    def verify(self, secured: bytes, *, now: Instant) -> VerifiedPayload:
        """Verify one encoded `Ieee1609Dot2Data`.

        Raises:
            DecodeError: the octets are malformed or too many.
            UnknownSignerError: the signer's certificate or its authority is not known yet.
            VerificationError: the message must not be believed; `.report` says why.
        """
        if len(secured) > MAX_MESSAGE_OCTETS:
            raise DecodeError("secured_data", f"{len(secured)} octets, at most {MAX_MESSAGE_OCTETS} are allowed")
        signed = _signed(secured)
        its_aid = self._expected(signed.header.psid)
        header = check_header(signed, profile_of(its_aid))
        at = _judging_time(now)
        self._freshness.check(its_aid, header.generation_time, at)
        _check_not_expired(signed, at)

        tbs_digest = signed.hash_algorithm.digest(signed.tbs_encoded)
        signer_id = _signer_id(signed.signer)
        self._replay.check_new(its_aid, signer_id, tbs_digest, header.generation_time)

        ticket = self._ticket(signed.signer, signer_id, header.generation_time, now)
        certificate = ticket.certificate
        permission = find_permission(certificate.tbs.app_permissions or (), its_aid)
        if header.generation_location is not None:
            ticket.region.check_contains(header.generation_location)
        _check_signature(signed, ticket, tbs_digest)

        self._replay.remember(its_aid, signer_id, tbs_digest, header.generation_time, at)
        self._certificates.remember(ticket, now)
        return VerifiedPayload(
            payload=header.payload,
            its_aid=its_aid,
            ssp=permission.ssp,
            signer=SignerFacts(
                hashed_id8=signer_id, hashed_id3=certificate.hashed_id3, certificate=certificate, region=ticket.region
            ),
            generation_time=header.generation_time,
            generation_location=header.generation_location,
            certificate_requests=signed.header.inline_p2pcd_request or (),
            passed_on_authority=self._learn(signed.header.requested_certificate, at),
        )

    def _expected(self, psid: int) -> ItsAid:
        if psid not in self._its_aids:
            raise VerificationError(VerificationReport.INCOMPATIBLE_PROTOCOL, f"ITS-AID {psid} is no service of this station")
        return ItsAid(psid)

    def _ticket(self, signer: SignerIdentifier, signer_id: HashedId8, generated: Time64, now: Instant) -> TrustedCertificate:
        known = self._certificates.find(signer_id, now)
        if signer.certificates:
            shown = signer.certificates[0]
            if known is None or known.certificate.digest != shown.digest:
                return self._chain.check_ticket(shown, generated)
        elif known is None:
            raise UnknownSignerError(signer_id, f"ticket {signer_id.hex()} has not shown its certificate yet")
        known.check_valid_at(generated)
        return known

    def _learn(self, authority: Certificate | None, at: Time64) -> HashedId8 | None:
        if authority is None:
            return None
        try:
            self._chain.learn_authority(authority, at)
        except VerificationError:
            return authority.hashed_id8
        return authority.hashed_id8


def _signed(secured: bytes) -> SignedData:
    content = decode_secured_data(secured).content
    if isinstance(content, SignedData):
        return content
    if isinstance(content, UnsecuredData):
        raise VerificationError(VerificationReport.UNSIGNED_MESSAGE, "the message is not signed")
    raise VerificationError(VerificationReport.INCOMPATIBLE_PROTOCOL, "the message is neither signed nor plain")


def _judging_time(now: Instant) -> Time64:
    try:
        return trusted_time64(now)
    except UntrustedTimeError as error:
        raise VerificationError(VerificationReport.UNTRUSTED_TIME, str(error)) from error


def _check_not_expired(signed: SignedData, at: Time64) -> None:
    expiry = signed.header.expiry_time
    if expiry is not None and expiry <= at:
        raise VerificationError(VerificationReport.INVALID_TIMESTAMP, "the message's expiryTime has passed")


def _signer_id(signer: SignerIdentifier) -> HashedId8:
    return signer.certificates[0].hashed_id8 if signer.digest is None else signer.digest


def _check_signature(signed: SignedData, ticket: TrustedCertificate, tbs_digest: bytes) -> None:
    key = ticket.public_key
    if signed.hash_algorithm is not key.curve.hash_algorithm:
        raise VerificationError(VerificationReport.FALSE_SIGNATURE, "the message names a hash that does not belong to the key")
    key.verify_digest(signed_digest(signed.hash_algorithm, tbs_digest, ticket.certificate.canonical), signed.signature)
