"""Verifying what was received: cheap checks before dear ones, nothing remembered before its signature held.

    size -> structure -> ITS-AID expected -> profile -> freshness -> digest known? -> seen before? -> chain
         -> validity, region, permission of the ticket -> ECDSA -> remember

`verify` does all of it. Where the one dear step belongs on another thread it is done in three: `examine` makes a `Claim`,
`prove` checks the signature and touches nothing shared, `accept` remembers. A message signed by the digest of a ticket not
yet heard is refused with `UnknownSignerError`, which names what to ask for. The station goes on from there: GeoNetworking position
against the region, content against the SSP. Trust may change at any moment (`change_trust`). Left out: consumption of encrypted
messages.
"""

from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from typing import cast

import msgspec
from cryptography.exceptions import InvalidSignature

from shared.core.clock import Instant
from shared.core.errors import DecodeError, UntrustedTimeError, V2xError, VerificationError
from shared.core.geo import GeoPoint
from shared.core.ids import HashedId3, HashedId8, ItsAid
from shared.core.itstime import EPOCH_AFTER_LEAPS_US, LAST_LEAP_NS, Time64
from shared.core.report import VerificationReport
from shared.security.certificate import Certificate
from shared.security.certificate_cache import CertificateCache
from shared.security.chain import ChainVerifier, UnknownSignerError
from shared.security.ecdsa import P256_FRAMES, false_signature
from shared.security.envelope import (
    BEHIND_PAYLOAD,
    BEHIND_PAYLOAD_OCTETS,
    DIGEST,
    FRONT,
    LENGTH_AT,
    P256_FORMS,
    SIGNER_AND_SIGNATURE_OCTETS,
    TBS_AT,
    TIME_ONLY,
    Envelope,
    envelope_of,
    recognise,
)
from shared.security.freshness import Freshness, trusted_time64
from shared.security.header_policy import profile_of
from shared.security.region import IdentifiedAreas
from shared.security.replay import ReplayGuard, duplicate
from shared.security.secured_data import SignedData, UnsecuredData, decode_secured_data
from shared.security.trust_store import TrustStore
from shared.security.trusted_certificate import SignerFacts, TrustedCertificate

MAX_MESSAGE_OCTETS = 2_304
"""Octets of a secured message; the greatest IEEE 802.11 service data unit."""

MESSAGE_ITS_AIDS = frozenset((ItsAid.CAM, ItsAid.DENM, ItsAid.TLM, ItsAid.RLT, ItsAid.IVIM, ItsAid.SREM, ItsAid.SSEM))
"""The facilities services this project speaks."""


class VerifiedPayload(msgspec.Struct, frozen=True, gc=False):
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
    generation_location: GeoPoint | None = None
    certificate_requests: tuple[HashedId3, ...] = ()
    passed_on_authority: HashedId8 | None = None


class Service:
    """What every message of one ITS-AID needs, worked out once; `memory` is the verifier's."""

    __slots__ = ("earliest_us", "its_aid", "latest_us", "memory", "takes_digest")

    def __init__(self, its_aid: ItsAid, freshness: Freshness, replay: ReplayGuard) -> None:
        profile = profile_of(its_aid)
        self.its_aid = its_aid
        self.earliest_us = -freshness.window_us(its_aid)
        self.latest_us = freshness.future_tolerance_us
        self.memory = replay.memory(its_aid)
        self.takes_digest = not (profile.always_certificate or profile.requires_location)


class Claim(msgspec.Struct, frozen=True, gc=False):
    """A message of which everything held but the signature, which nobody has looked at; only `VerifyService` makes one.

    Attributes:
        payload: the octets inside.
        service: what it is about.
        ticket: the signer's, trusted.
        ssp: the signer's permission for the service.
        generation_time: when the signer says it was made.
        replay_key: names the message among those accepted.
        digest: what the signature must be over.
        signature: framed for the ticket's key.
        at: our time when it was examined.
        now: the same moment.
        generation_location: the signed place, None where the profile has none.
        certificate_requests: short identifiers the sender asks its neighbours for.
        passed_on_authority: a certificate the sender passes on, or None.
        is_new: whether the ticket was not known before.
    """

    payload: bytes
    service: Service
    ticket: TrustedCertificate
    ssp: bytes | None
    generation_time: Time64
    replay_key: bytes
    digest: bytes
    signature: bytes
    at: Time64
    now: Instant
    generation_location: GeoPoint | None = None
    certificate_requests: tuple[HashedId3, ...] = ()
    passed_on_authority: Certificate | None = None
    is_new: bool = False


def teaches(claim: Claim) -> tuple[HashedId8, ...]:
    """Return which certificates are known once a claim is accepted: the signer's ticket, and an authority passed on."""
    signer, passed_on = claim.ticket.facts.hashed_id8, claim.passed_on_authority
    return (signer,) if passed_on is None else (signer, passed_on.hashed_id8)


class ProvenClaim(Claim, frozen=True, gc=False):
    """A claim whose signature held; only `prove` makes one. A type for those who check types: the object is the claim itself."""


def prove(claim: Claim) -> ProvenClaim:
    """Check the signature of a claim; raises `VerificationError(FALSE_SIGNATURE)`. Touches nothing shared: safe on any thread."""
    key = claim.ticket.public_key
    try:
        key.verify(claim.signature, claim.digest, key.algorithm)
    except InvalidSignature:
        raise false_signature() from None
    return cast("ProvenClaim", claim)


_NO_PERMISSION = b"no permission"
"""Stands for the permission a ticket does not have, as an object: nothing read from outside is this very one."""


_LEAST_LENGTHS = (0, 0x80, 0x100)
"""The least length that needs so many octets behind the first."""


class VerifyService:
    """Verifies secured messages against one trust store at a time.

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
        self._freshness = freshness
        self._services = {int(its_aid): Service(its_aid, freshness, replay) for its_aid in its_aids}

    @property
    def trust_store(self) -> TrustStore:
        """The one it judges by now."""
        return self._chain.trust_store

    def change_trust(self, trust_store: TrustStore) -> int:
        """Judge by another store from now on, and forget at once the neighbours' tickets whose chain holds no more.

        The others stay known and no signature of theirs is checked again. Returns how many were forgotten.
        """
        self._chain.change_trust(trust_store)
        return self._certificates.keep(self._chain.holds)

    def verify(self, secured: bytes, *, now: Instant) -> VerifiedPayload:
        """Verify one encoded `Ieee1609Dot2Data`.

        Raises:
            DecodeError: the octets are malformed or too many.
            UnknownSignerError: the signer's certificate or its authority is not known yet.
            VerificationError: the message must not be believed; `.report` says why.
        """
        return self.accept(prove(self.examine(secured, now=now)))

    def examine(self, secured: bytes, *, now: Instant) -> Claim:
        """Check everything about one encoded `Ieee1609Dot2Data` but its signature; raises like `verify`."""
        (outcome,) = self.weigh_all((secured,), now)
        if isinstance(outcome, V2xError):
            raise outcome
        return outcome

    def weigh_all(self, messages: Sequence[bytes], now: Instant) -> list[Claim | V2xError]:
        """Do what `examine` does for several messages in order, and return refusals: raising one through every caller costs more.

        What comes nine times in ten is passed here at one stroke: by digest with a time, of a ticket we know, and nothing amiss;
        unknown signers and duplicates of that form are refused here. All else is for `_weigh_completely`, which would say the same.
        Written as one piece because it runs for every message beside a signature of 50 us: every call, and every value in between,
        would show. The layout is that of `envelope`.
        """
        complete = self._weigh_completely
        utc = now.utc
        if utc is None or utc < LAST_LEAP_NS:
            return [complete(secured, now) for secured in messages]
        at = utc // 1_000 - EPOCH_AFTER_LEAPS_US
        certificates = self._certificates
        heard_at_least = now.monotonic - certificates.lifetime_ns
        ticket_of, service_of, unpack = certificates.tickets.get, self._services.get, BEHIND_PAYLOAD.unpack_from
        outcomes: list[Claim | V2xError] = []
        add = outcomes.append
        for secured in messages:
            end = len(secured) - BEHIND_PAYLOAD_OCTETS
            if not LENGTH_AT + 2 < end <= MAX_MESSAGE_OCTETS - BEHIND_PAYLOAD_OCTETS or not secured.startswith(FRONT):
                add(complete(secured, now))
                continue
            length = secured[LENGTH_AT]
            begin = LENGTH_AT + 1
            if length > 0x7F:
                width = length & 0x7F
                length = secured[begin] if width == 1 else secured[begin] << 8 | secured[begin + 1]
                begin += width
                if not 1 <= width <= 2 or length < _LEAST_LENGTHS[width]:
                    add(complete(secured, now))
                    continue
            header, psid, generated, kind, signer, tags, r, s = unpack(secured, end)
            service = service_of(psid)
            if (
                begin + length != end
                or header != TIME_ONLY
                or kind != DIGEST
                or tags not in P256_FORMS
                or service is None
                or not service.takes_digest
                or not service.earliest_us <= generated - at <= service.latest_us
            ):
                add(complete(secured, now))
                continue

            entry = ticket_of(signer)
            if entry is None:
                add(_unknown_ticket(signer))
                continue
            ticket, memory = entry.ticket, service.memory
            tbs_digest = sha256(secured[TBS_AT:-SIGNER_AND_SIGNATURE_OCTETS]).digest()
            replay_key = signer + tbs_digest
            if replay_key in memory.recent or replay_key in memory.older:
                add(duplicate())
                continue
            ssp = ticket.ssps.get(psid, _NO_PERMISSION)
            if (
                entry.heard < heard_at_least
                or generated <= memory.forgotten_until
                or not ticket.valid_from <= generated < ticket.valid_until
                or ssp is _NO_PERMISSION
                or not ticket.is_p256
                or not r[0]
                or not s[0]
            ):
                add(complete(secured, now))
                continue
            head, middle = P256_FRAMES[r[0] >> 7 << 1 | s[0] >> 7]
            add(
                Claim(
                    secured[begin:end],
                    service,
                    ticket,
                    ssp,
                    generated,
                    replay_key,
                    sha256(tbs_digest + ticket.digest).digest(),
                    head + r + middle + s,
                    at,  # type: ignore[arg-type]  # a Time64, without the call that would say so
                    now,
                )
            )
        return outcomes

    def _weigh_completely(self, secured: bytes, now: Instant) -> Claim | V2xError:
        """Weigh a message of any form."""
        if len(secured) > MAX_MESSAGE_OCTETS:
            return DecodeError("secured_data", f"{len(secured)} octets, at most {MAX_MESSAGE_OCTETS} are allowed")
        try:
            return self._judge(recognise(secured, self._certificates.by_octets) or self._decoded(secured), now)
        except V2xError as refusal:
            return refusal

    def accept(self, proven: ProvenClaim) -> VerifiedPayload:
        """Remember a message whose signature has held.

        Raises:
            VerificationError: `DUPLICATE_MESSAGE`: the same message was accepted since it was examined; or what `examine` would
                say now, where trust has changed since.
        """
        self.remember(proven)
        return VerifiedPayload(
            proven.payload,
            proven.service.its_aid,
            proven.ssp,
            proven.ticket.facts,
            proven.generation_time,
            proven.generation_location,
            proven.certificate_requests,
            None if proven.passed_on_authority is None else proven.passed_on_authority.hashed_id8,
        )

    def remember(self, proven: ProvenClaim) -> None:
        """Do of `accept` all but say what was accepted, which the claim says too."""
        memory, ticket = proven.service.memory, proven.ticket
        entry = self._certificates.tickets.get(ticket.facts.hashed_id8)
        if entry is not None and entry.ticket is ticket:
            memory.remember(proven.replay_key, proven.generation_time, proven.at)
            entry.heard = proven.now.monotonic
        else:
            self._chain.check_holds(ticket)
            memory.remember(proven.replay_key, proven.generation_time, proven.at)
            self._certificates.remember(ticket, proven.now)
        if proven.passed_on_authority is not None:
            self._learn(proven.passed_on_authority, proven.at)

    def check_new(self, claim: Claim) -> None:
        """Raise `VerificationError(DUPLICATE_MESSAGE)` when the same message was accepted since it was examined."""
        claim.service.memory.check_new(claim.replay_key, claim.generation_time)

    def knows(self, signer: HashedId8, now: Instant) -> bool:
        """Say whether a message under this ticket verified lately."""
        return self._certificates.find(signer, now) is not None

    def _decoded(self, secured: bytes) -> Envelope:
        content = decode_secured_data(secured).content
        if isinstance(content, SignedData):
            self._expected(content.header.psid)
            return envelope_of(content)
        if isinstance(content, UnsecuredData):
            raise VerificationError(VerificationReport.UNSIGNED_MESSAGE, "the message is not signed")
        raise VerificationError(VerificationReport.INCOMPATIBLE_PROTOCOL, "the message is neither signed nor plain")

    def _expected(self, psid: int) -> Service:
        try:
            return self._services[psid]
        except KeyError:
            detail = f"ITS-AID {psid} is no service of this station"
            raise VerificationError(VerificationReport.INCOMPATIBLE_PROTOCOL, detail) from None

    def _judge(self, envelope: Envelope, now: Instant) -> Claim:
        service = self._expected(envelope.psid)
        at = _judging_time(now)
        generated = envelope.generation_time
        self._freshness.check(service.its_aid, generated, at)
        if envelope.expiry_time is not None and envelope.expiry_time <= at:
            raise VerificationError(VerificationReport.INVALID_TIMESTAMP, "the message's expiryTime has passed")

        signer, shown = envelope.signer, envelope.certificate
        known: TrustedCertificate | Certificate | None = self._certificates.find(signer, now)
        if shown is not None and (known is None or known.digest != shown.digest):
            known = shown
        if known is None:
            self._learn_wanted(envelope, at)
            raise _unknown_ticket(signer)
        algorithm = envelope.hash_algorithm
        tbs_digest = algorithm.digest(envelope.tbs_encoded)
        replay_key = signer + tbs_digest
        service.memory.check_new(replay_key, generated)

        ticket = known if isinstance(known, TrustedCertificate) else self._chain.check_ticket(known, generated)
        ticket.check_valid_at(generated)
        ssp = ticket.ssp_for(service.its_aid)
        if envelope.generation_location is not None:
            ticket.region.check_contains(envelope.generation_location)
        key = ticket.public_key
        if algorithm is not key.hash_algorithm:
            raise VerificationError(VerificationReport.FALSE_SIGNATURE, "the message names a hash that does not belong to the key")
        return Claim(
            envelope.payload,
            service,
            ticket,
            ssp,
            generated,
            replay_key,
            algorithm.digest(tbs_digest + ticket.digest),
            key.framed(envelope.signature),
            at,
            now,
            envelope.generation_location,
            envelope.certificate_requests,
            envelope.passed_on_authority,
            ticket is not known,
        )

    def _learn_wanted(self, envelope: Envelope, at: Time64) -> None:
        """Take in an authority that a message we cannot verify yet passes on, if a ticket has named it as its unknown issuer."""
        if envelope.passed_on_authority is not None:
            with suppress(VerificationError):  # what is wrong with it is said where a ticket needs it
                self._chain.learn_wanted_authority(envelope.passed_on_authority, at)

    def _learn(self, authority: Certificate, at: Time64) -> None:
        with suppress(VerificationError):
            self._chain.learn_authority(authority, at)


def _unknown_ticket(signer: HashedId8) -> UnknownSignerError:
    return UnknownSignerError(signer, "ticket {} has not shown its certificate yet")


def _judging_time(now: Instant) -> Time64:
    try:
        return trusted_time64(now)
    except UntrustedTimeError as error:
        raise VerificationError(VerificationReport.UNTRUSTED_TIME, str(error)) from error
