"""Signing our own messages in the profiles of TS 103 097 clause 7.1.

The certificate goes along in a service's first message, then once a second, at once after an unknown neighbour was heard and after
somebody asked for it; otherwise the digest does. Whatever goes out first in a profile with a place for it (a CAM, or a SPATEM of a
roadside unit; no DENM) also asks for certificates we miss, and passes on an authority somebody asked for. Before anything is signed
the time must be trusted, the ticket valid now and its permission there; a ticket whose key is not the signer's cannot be loaded.
Whether the content stays within the SSP is the station's check.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.errors import ConfigError, EncodeError, V2xError, VerificationError
from shared.core.geo import GeoPoint
from shared.core.ids import HashedId3, HashedId8, ItsAid
from shared.core.itstime import Time64
from shared.core.report import VerificationReport
from shared.security.certificate import Certificate
from shared.security.ecdsa import Signer, encode_signature
from shared.security.freshness import trusted_time64
from shared.security.hashing import hashed_id3
from shared.security.header_info import GenerationLocation, HeaderInfo, encode_brief_header, encode_header
from shared.security.header_policy import HeaderProfile, profile_of
from shared.security.permissions import PsidSsp, no_permission
from shared.security.region import Location
from shared.security.secured_data import SignerIdentifier, SignerKind, encode_signed_front, encode_signer, join_tbs_data
from shared.security.trust_store import TrustStore

CERTIFICATE_INTERVAL_NS = NS_PER_S
"""A service shows its certificate this often (TS 103 097 7.1.1)."""

MAX_PENDING_REQUESTS = 8
"""Unknown signers we ask for in one message."""

MAX_PENDING_AUTHORITIES = 4
"""Authorities we still have to pass on."""

SEA_LEVEL_ELEVATION = 4_095
"""`Elevation` of height 0 above the ellipsoid (0.1 m steps from -409.5 m); the stations' places carry no height."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketCredential:
    """An authorization ticket and the key that belongs to it.

    Raises:
        ConfigError: the key is not the one in the certificate.
    """

    certificate: Certificate
    signer: Signer

    def __post_init__(self) -> None:
        tbs = self.certificate.tbs
        key = self.signer.public_key
        if key.curve is not tbs.curve or key.point != tbs.verification_key.compressed:
            raise ConfigError(f"ticket {self.certificate.hashed_id8.hex()}", "the private key does not belong to the certificate")


class NoTicketError(V2xError):
    """There is no ticket to speak under."""

    def __init__(self) -> None:
        super().__init__("there is no valid authorization ticket to speak under")

    @property
    def code(self) -> str:
        """`no_valid_ticket`."""
        return "no_valid_ticket"


class _Line(NamedTuple):
    """What every message of one service under one ticket needs.

    Attributes:
        profile: of its header.
        header_front: the encoded header that says nothing but service and time, without the eight octets of the time.
    """

    profile: HeaderProfile
    header_front: bytes


class _Pen:
    """What every message under one ticket needs, worked out once."""

    __slots__ = (
        "begin",
        "certificate",
        "digest",
        "front",
        "lines",
        "permissions",
        "sign_digest",
        "signer",
        "valid_from",
        "valid_until",
    )

    def __init__(self, ticket: TicketCredential) -> None:
        certificate = ticket.certificate
        self.certificate = certificate
        algorithm = ticket.signer.curve.hash_algorithm
        self.begin = algorithm.begin
        self.digest = certificate.digest
        self.sign_digest = ticket.signer.sign_digest
        self.permissions = {permission.psid: permission for permission in certificate.tbs.app_permissions or ()}
        self.lines = {psid: _Line(profile_of(psid), encode_brief_header(psid, Time64(0))[:-8]) for psid in self.permissions}
        self.valid_from = certificate.validity.start_time64
        self.valid_until = certificate.validity.end_time64
        self.front = encode_signed_front(algorithm)
        self.signer = (
            encode_signer(SignerIdentifier(kind=SignerKind.DIGEST, digest=certificate.hashed_id8)),
            encode_signer(SignerIdentifier(kind=SignerKind.CERTIFICATE, certificates=(certificate,))),
        )

    def seal(self, tbs_encoded: bytes, *, shows_certificate: bool) -> bytes:
        """Sign to-be-signed octets and encode the `Ieee1609Dot2Data` around them."""
        begin = self.begin  # a hash, as in `signed_digest`
        signature = self.sign_digest(begin(begin(tbs_encoded).digest() + self.digest).digest())
        return self.front + tbs_encoded + self.signer[shows_certificate] + encode_signature(signature)


class SigningService:
    """Signs payloads under one ticket at a time.

    Args:
        ticket: the ticket to begin with; None when there is none yet, and nothing can be signed.
        trust_store: the authorities we can pass on to those who ask.

    Attributes:
        asked_for: the signers we do not know and ask for in our next message; empty nearly always.
    """

    def __init__(self, *, ticket: TicketCredential | None, trust_store: TrustStore) -> None:
        self._ticket = ticket
        self._pen = None if ticket is None else _Pen(ticket)
        self._known_authorities = _to_pass_on(trust_store)
        self._certificate_shown: dict[ItsAid, MonotonicNs] = {}
        self.asked_for: OrderedDict[HashedId3, HashedId8] = OrderedDict()
        self._authorities: OrderedDict[HashedId8, Certificate] = OrderedDict()

    @property
    def ticket(self) -> TicketCredential:
        """The ticket in use; raises `NoTicketError` when there is none."""
        if self._ticket is None:
            raise NoTicketError
        return self._ticket

    def change_ticket(self, ticket: TicketCredential | None) -> None:
        """Go on under another ticket, or none: every service shows it next, and nothing asked under the old one is kept."""
        self._ticket = ticket
        self._pen = None if ticket is None else _Pen(ticket)
        self._certificate_shown.clear()
        self.asked_for.clear()
        self._authorities.clear()

    def change_trust(self, trust_store: TrustStore) -> None:
        """Pass on the authorities of another store from now on, and no longer those it does not know or has revoked."""
        self._known_authorities = _to_pass_on(trust_store)
        for identifier, authority in list(self._authorities.items()):
            if self._known_authorities.get(authority.hashed_id3) != authority:
                del self._authorities[identifier]

    def note_unknown_signer(self, hashed_id8: HashedId8) -> None:
        """Take note of a signer or authority we do not know: ask for it, and show our own certificate, for it may not know us."""
        self._certificate_shown.clear()
        self.asked_for[hashed_id3(hashed_id8)] = hashed_id8
        if len(self.asked_for) > MAX_PENDING_REQUESTS:
            self.asked_for.popitem(last=False)

    def note_known_signer(self, hashed_id8: HashedId8) -> None:
        """Take note that a certificate has arrived, before we asked for it."""
        self.asked_for.pop(hashed_id3(hashed_id8), None)

    def note_requests(self, requests: tuple[HashedId3, ...]) -> None:
        """Take note of what another station asks for: our ticket, or an authority we know."""
        for request in requests:
            if self._ticket is not None and request == self._ticket.certificate.hashed_id3:
                self._certificate_shown.clear()
            authority = self._known_authorities.get(request)
            if authority is not None and len(self._authorities) < MAX_PENDING_AUTHORITIES:
                self._authorities[authority.hashed_id8] = authority

    def note_authority_passed_on(self, hashed_id8: HashedId8) -> None:
        """Take note that another station has passed an authority on, so that we need not."""
        self._authorities.pop(hashed_id8, None)

    def permission(self, its_aid: ItsAid) -> PsidSsp:
        """Return our ticket's permission for a service.

        Raises:
            NoTicketError: there is no ticket.
            VerificationError: `PERMISSION_DENIED`, the ticket does not have it.
        """
        if self._pen is None:
            raise NoTicketError
        try:
            return self._pen.permissions[its_aid]
        except KeyError:
            raise no_permission(its_aid) from None

    def sign(self, payload: bytes, its_aid: ItsAid, *, now: Instant, location: GeoPoint | None) -> bytes:
        """Sign a payload and return the encoded `Ieee1609Dot2Data`.

        Args:
            payload: for the air, the GeoNetworking packet from the common header on.
            its_aid: the service that speaks.
            now: present moment; UTC must be trusted.
            location: where we are; goes into the header where the profile has a place for it (DENM).

        Raises:
            UntrustedTimeError: UTC is not known.
            NoTicketError: there is no ticket.
            VerificationError: `EXPIRED_CERTIFICATE` or `PERMISSION_DENIED` of our own ticket.
            EncodeError: the profile needs a location and there is none.
        """
        generation_time = trusted_time64(now)
        pen = self._pen
        if pen is None:
            raise NoTicketError
        if not pen.valid_from <= generation_time < pen.valid_until:
            raise VerificationError(
                VerificationReport.EXPIRED_CERTIFICATE,
                f"our ticket {pen.certificate.hashed_id8.hex()} is outside its validity period",
            )
        line = pen.lines.get(its_aid)
        if line is None:
            raise no_permission(its_aid)
        profile, header_front = line
        shown = self._certificate_shown.get(its_aid)
        shows_certificate = profile.always_certificate or shown is None or now.monotonic - shown >= CERTIFICATE_INTERVAL_NS
        header: HeaderInfo | None = None
        if profile.requires_location:
            header = _located(its_aid, generation_time, location, profile)
        elif profile.allows_p2pcd and (self.asked_for or self._authorities):
            header = self._with_requests(its_aid, generation_time, shows_certificate=shows_certificate)
        encoded_header = header_front + generation_time.to_bytes(8, "big") if header is None else encode_header(header)
        encoded = pen.seal(join_tbs_data(payload, encoded_header), shows_certificate=shows_certificate)
        if shows_certificate:
            self._certificate_shown[its_aid] = now.monotonic
        if header is not None:
            self._asked_and_answered(header)
        return encoded

    def _with_requests(self, its_aid: ItsAid, generation_time: Time64, *, shows_certificate: bool) -> HeaderInfo:
        authority = None
        if not shows_certificate and self._authorities:
            authority = next(iter(self._authorities.values()))
        return HeaderInfo(
            psid=its_aid,
            generation_time=generation_time,
            inline_p2pcd_request=tuple(self.asked_for) or None,
            requested_certificate=authority,
        )

    def _asked_and_answered(self, header: HeaderInfo) -> None:
        if header.inline_p2pcd_request is not None:
            self.asked_for.clear()
        if header.requested_certificate is not None:
            self._authorities.pop(header.requested_certificate.hashed_id8, None)


def _to_pass_on(trust_store: TrustStore) -> dict[HashedId3, Certificate]:
    """Return the authorities of a store by short identifier, without those their own root has revoked, or one above them."""
    return {each.hashed_id3: each for each in trust_store.authorities.values() if not _is_revoked(each, trust_store)}


def _is_revoked(authority: Certificate, trust_store: TrustStore) -> bool:
    path = trust_store.path_to_root(authority.hashed_id8)
    return any(trust_store.revokes(path[-1].hashed_id8, each) for each in path)


def _located(its_aid: ItsAid, generation_time: Time64, location: GeoPoint | None, profile: HeaderProfile) -> HeaderInfo:
    if location is None:
        raise EncodeError("generation_location", f"a {profile.name} message needs the place it is generated at")
    place = GenerationLocation(location=Location.of(location), elevation=SEA_LEVEL_ELEVATION)
    return HeaderInfo(psid=its_aid, generation_time=generation_time, generation_location=place)
