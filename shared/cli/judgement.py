"""One verdict for each message, given by what judges messages in a station: the substance of `v2x verify`.

A packet goes through `shared.stack.receiver`, in order of reception, so that tickets are learned, replays noticed and ages taken as
a station would. So does a secured message kept without its Basic Header, but where it carries no GeoNetworking packet its content
is not judged, and the verdict says so. A signed trust list goes through `shared.security.trust_list` under the root or
manager it names.

What a forwarder repeats of a geocast that was verified before, or what a capture of several radios has of one packet from each, is
no recording played back but a copy, and shares its verdict.
Whatever stops a message ends up in its verdict; nothing is raised.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from enum import Enum

from shared.core.clock import Instant
from shared.core.errors import DecodeError, V2xError, VerificationError
from shared.core.ids import HashedId8, ItsAid
from shared.core.itstime import Time64
from shared.core.report import VerificationReport
from shared.messages.pdu import peek_header
from shared.network.headers import BASIC_HEADER_OCTETS, HOP_LIMIT_OCTET
from shared.network.packet import Beacon, decode_gn_pdu
from shared.security.certificate import Certificate
from shared.security.certificate_cache import DEFAULT_CAPACITY
from shared.security.chain import MAX_CHAIN_CERTIFICATES
from shared.security.permissions import PsidSsp
from shared.security.region import IdentifiedAreas
from shared.security.secured_data import SignedData, UnsecuredData, decode_secured_data
from shared.security.trust_list import verify_crl, verify_ctl
from shared.security.trust_store import TrustStore
from shared.security.verify import VerifiedPayload
from shared.stack.packet_checks import secured_part
from shared.stack.receiver import make_receiver

VERIFIED = "verified"
"""The code of a message everything about which held."""

UNKNOWN_MESSAGE = "?"

BEACON = "beacon"
"""What says nothing but where its sender is."""

MAX_PACKETS = 4_096
"""Verified packets remembered, to know copies by; beyond it the one heard longest ago is forgotten."""


class SignatureState(Enum):
    """What is known of a message's own signature; dear checks come last, so most refusals leave it unchecked."""

    HOLDS = "holds"
    FALSE = "false"
    NOT_CHECKED = "not checked"
    ABSENT = "absent"


_TELLING = {
    VerificationReport.FALSE_SIGNATURE: SignatureState.FALSE,
    VerificationReport.UNSIGNED_MESSAGE: SignatureState.ABSENT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One certificate of a chain; `name` is None for tickets, and where the certificate is not at hand."""

    hashed_id8: HashedId8
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one message.

    Attributes:
        code: `verified`, or the error's code.
        reason: a sentence for a refusal, empty otherwise.
        message: the kind of message in lower case, as far as it says so itself; `?` where it does not get that far.
        its_aid: what it is signed as, None where that is unknown.
        ssp: the signer's permission for that service, None where there is none or the signer is unknown.
        signature: what is known of the signature.
        signed_by: how the signer is named: `certificate`, `digest` or `self`; None where there is no signature.
        permissions: of the signer's certificate, where that is at hand.
        chain: the signer's certificate first, as far up as the trust directory and the message show; believed only where the
            signature holds.
        generation_time: when the signer says it was made.
        root: the last certificate of the chain, where it is a root or manager of the trust directory and the signature holds.
        content_judged: whether the verdict covers what is inside; False where only the security envelope could be judged.
        is_copy: a forwarder repeats what was verified before, or another radio has it too.
    """

    code: str
    reason: str
    message: str
    its_aid: int | None
    ssp: bytes | None
    signature: SignatureState
    signed_by: str | None
    permissions: tuple[PsidSsp, ...]
    chain: tuple[Link, ...]
    generation_time: Time64 | None
    root: Link | None
    content_judged: bool = True
    is_copy: bool = False

    @property
    def is_verified(self) -> bool:
        """Whether everything held."""
        return self.code == VERIFIED


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claims:
    """What a message says of itself before anything is believed."""

    message: str = UNKNOWN_MESSAGE
    its_aid: int | None = None
    signed_by: str | None = None
    certificate: Certificate | None = None
    signer: HashedId8 | None = None
    generation_time: Time64 | None = None
    passed_on: Certificate | None = None


@dataclass(slots=True)
class _Known:
    """A packet that was verified: the hops it began with, as signed, and the links it came by."""

    verdict: Verdict
    max_hop_limit: int
    links: set[str | None]

    def is_copied_by(self, packet: bytes, link: str | None) -> bool:
        """Say whether the same packet with other hops left, or on another link, is a copy; its unsigned header is sound."""
        try:
            secured_part(packet)
        except V2xError:
            return False
        hops = packet[HOP_LIMIT_OCTET]
        return 0 < hops < self.max_hop_limit or (hops == self.max_hop_limit and link not in self.links)


class Judge:
    """Judges messages against one trust store, remembering what a station would.

    Args:
        trust_store: trusted roots and known authorities.
        managers: trust list managers the operator trusts; they sign lists and nothing else.
        areas: shapes of identified regions; `NO_IDENTIFIED_AREAS` where the operator has none.
    """

    def __init__(self, trust_store: TrustStore, managers: tuple[Certificate, ...], areas: IdentifiedAreas) -> None:
        self._managers = {manager.hashed_id8: manager for manager in managers}
        self._anchors = {**self._managers, **trust_store.roots}
        self._receiver = make_receiver(trust_store=trust_store, areas=areas)
        self._authorities: dict[HashedId8, Certificate] = {**self._anchors, **trust_store.authorities}
        self._seen: OrderedDict[HashedId8, Certificate] = OrderedDict()
        self._packets: OrderedDict[bytes, _Known] = OrderedDict()

    def judge_packet(self, packet: bytes, now: Instant, link: str | None = None) -> Verdict:
        """Judge a GeoNetworking packet that came by a link, where the capture names it."""
        known = self._packets.get(packet[BASIC_HEADER_OCTETS:])
        if known is not None and known.is_copied_by(packet, link):
            known.links.add(link)
            return replace(known.verdict, is_copy=True)
        claims = _claims_of_packet(packet)
        verified: VerifiedPayload | None = None
        refusal: V2xError | None = None
        try:
            opened = self._receiver.open(packet, now)
            verified = opened.verified
            self._receiver.indicate(opened)
        except V2xError as error:
            refusal = error
        verdict = self._verdict(claims, verified, refusal)
        if verified is not None and refusal is None:
            max_hop_limit = decode_gn_pdu(verified.payload).common.max_hop_limit
            self._packets[packet[BASIC_HEADER_OCTETS:]] = _Known(verdict, max_hop_limit, {link})
            if len(self._packets) > MAX_PACKETS:
                self._packets.popitem(last=False)
        return verdict

    def judge_secured(self, secured: bytes, now: Instant) -> Verdict:
        """Judge an `Ieee1609Dot2Data` that travels by itself: a message of a station, or a trust list."""
        claims = _claims_of_secured(secured)
        if claims.its_aid in (ItsAid.CTL, ItsAid.CRL):
            return self._judge_list(secured, claims, now)
        verified: VerifiedPayload | None = None
        refusal: V2xError | None = None
        try:
            opened = self._receiver.open_secured(secured, now)
            verified = opened.verified
            if not _is_packet(verified.payload):
                return replace(self._verdict(claims, verified, None), content_judged=False)
            self._receiver.indicate(opened)
        except V2xError as error:
            refusal = error
        return self._verdict(claims, verified, refusal)

    def _judge_list(self, secured: bytes, claims: _Claims, now: Instant) -> Verdict:
        verify = verify_ctl if claims.its_aid == ItsAid.CTL else verify_crl
        issuer = None if claims.signer is None else self._anchors.get(claims.signer)
        refusal: V2xError | None = None
        state = SignatureState.NOT_CHECKED
        if issuer is None:
            named = "nobody" if claims.signer is None else claims.signer.hex()
            detail = f"the list is signed by {named}, which is no root and no trust list manager in the trust directory"
            refusal = VerificationError(VerificationReport.UNTRUSTED_ROOT, detail)
        else:
            try:
                verify(secured, issuer=issuer, now=now)
                state = SignatureState.HOLDS
            except V2xError as error:
                refusal = error
        return self._made(claims, refusal, state)

    def _verdict(self, claims: _Claims, verified: VerifiedPayload | None, refusal: V2xError | None) -> Verdict:
        if verified is not None:
            self._remember(verified.signer.certificate)
            if claims.passed_on is not None:
                self._remember(claims.passed_on)
            return self._made(claims, refusal, SignatureState.HOLDS)
        return self._made(claims, refusal, SignatureState.NOT_CHECKED)

    def _made(self, claims: _Claims, refusal: V2xError | None, signature: SignatureState) -> Verdict:
        certificate = self._certificate_of(claims)
        if isinstance(refusal, VerificationError):
            signature = _TELLING.get(refusal.report, signature)
        permissions = () if certificate is None else certificate.tbs.app_permissions or ()
        chain = self._chain(claims.signer, certificate)
        ends_at_root = bool(chain) and chain[-1].hashed_id8 in self._anchors
        return Verdict(
            code=VERIFIED if refusal is None else refusal.code,
            reason="" if refusal is None else str(refusal),
            message=claims.message,
            its_aid=claims.its_aid,
            ssp=next((permission.ssp for permission in permissions if permission.psid == claims.its_aid), None),
            signature=signature,
            signed_by=claims.signed_by,
            permissions=permissions,
            chain=chain,
            root=chain[-1] if ends_at_root and signature is SignatureState.HOLDS else None,
            generation_time=claims.generation_time,
        )

    def _remember(self, certificate: Certificate) -> None:
        """Keep a certificate to name a chain by; what is believed is the verifier's business, not this memory's."""
        self._seen[certificate.hashed_id8] = certificate
        self._seen.move_to_end(certificate.hashed_id8)
        if len(self._seen) > DEFAULT_CAPACITY:
            self._seen.popitem(last=False)

    def _certificate_of(self, claims: _Claims) -> Certificate | None:
        if claims.certificate is not None or claims.signer is None:
            return claims.certificate
        return self._find(claims.signer)

    def _find(self, identifier: HashedId8) -> Certificate | None:
        return self._authorities.get(identifier) or self._seen.get(identifier)

    def _chain(self, signer: HashedId8 | None, certificate: Certificate | None) -> tuple[Link, ...]:
        """Follow the issuers upwards as far as certificates are at hand; nothing is checked here."""
        if signer is None:
            return ()
        links = [Link(hashed_id8=signer, name=None if certificate is None else certificate.name)]
        while certificate is not None and certificate.issuer.hashed_id8 is not None and len(links) < MAX_CHAIN_CERTIFICATES:
            identifier = certificate.issuer.hashed_id8
            certificate = self._find(identifier)
            links.append(Link(hashed_id8=identifier, name=None if certificate is None else certificate.name))
        return tuple(links)


def _claims_of_packet(packet: bytes) -> _Claims:
    try:
        secured = secured_part(packet)
    except V2xError:
        return _Claims()
    return _claims_of_secured(secured)


def _claims_of_secured(secured: bytes) -> _Claims:
    try:
        content = decode_secured_data(secured).content
    except V2xError:
        return _Claims()
    if not isinstance(content, SignedData):
        return _Claims()
    shown = content.signer.certificates
    payload = content.payload
    plain = payload.content.payload if payload is not None and isinstance(payload.content, UnsecuredData) else b""
    return _Claims(
        message=_message_kind(plain, content.header.psid),
        its_aid=content.header.psid,
        signed_by=content.signer.kind.name.lower(),
        certificate=shown[0] if shown else None,
        signer=shown[0].hashed_id8 if shown else content.signer.digest,
        generation_time=content.header.generation_time,
        passed_on=content.header.requested_certificate,
    )


def _message_kind(payload: bytes, psid: int) -> str:
    if psid in (ItsAid.CTL, ItsAid.CRL):
        return "ctl" if psid == ItsAid.CTL else "crl"
    try:
        pdu = decode_gn_pdu(payload)
        return BEACON if isinstance(pdu, Beacon) else peek_header(pdu.message).message_id.name.lower()
    except V2xError:
        return UNKNOWN_MESSAGE


def _is_packet(payload: bytes) -> bool:
    try:
        decode_gn_pdu(payload)
    except DecodeError:
        return False
    return True
