"""One ITS station: messages down to packets, packets up to verified messages. Sans-IO.

    down    message -> UPER -> content within our own SSP -> BTP-B -> GeoNetworking -> SIGN -> prefix Basic Header
    up      size, Basic Header -> own echo, or copy of a geocast? -> envelope and ticket -> hops, age -> SIGNATURE -> remember
            -> GeoNetworking, BTP-B
            -> port, ITS-AID and message id agree -> sender inside the ticket's region -> VerifiedPacket
            -> decode -> content within SSP, the place a CAM claims inside the region -> Verified

This is the one place where messages, network and security meet. `receive` either returns a `Verified` message, or None for what
says nothing (an echo of our own packet, a beacon), or raises a `V2xError`; whoever calls it counts the error by its code
(`shared.stack.inbound`). There is no way to send unsigned or to receive unverified. Others' packets are forwarded, and the channel
is kept free, by `shared.stack.router`, which stands around a station.
"""

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from shared.core.clock import Instant
from shared.core.errors import EncodeError, V2xError
from shared.core.ids import HashedId8, ItsAid
from shared.core.itstime import gn_timestamp_at, timestamp_its
from shared.messages.denm import Denm
from shared.messages.pdu import HEADER_OCTETS
from shared.network.area import Area
from shared.network.btp import BtpB
from shared.network.duplicate_packet_list import DuplicatePacketList
from shared.network.extended import GbcHeader
from shared.network.headers import (
    BASIC_HEADER_OCTETS,
    DEFAULT_HOP_LIMIT,
    HOP_LIMIT_OCTET,
    LEAST_LIFETIME,
    LIFETIME_OCTET,
    BasicHeader,
    BasicNextHeader,
    encode_basic_header,
    encode_lifetime,
)
from shared.network.own_packets import OwnPackets
from shared.network.packet import MAX_PACKET_OCTETS, SINGLE_HOP, encode_beacon, encode_gn_payload
from shared.network.position_vector import LongPositionVector
from shared.network.sequence_number import SequenceNumbers
from shared.network.single_hop import read_single_hop
from shared.security.certificate_cache import CertificateCache
from shared.security.chain import UnknownSignerError
from shared.security.freshness import Freshness, trusted_time64
from shared.security.region import IdentifiedAreas
from shared.security.replay import ReplayGuard
from shared.security.sign import NoTicketError, SigningService, TicketCredential
from shared.security.trust_store import TrustStore
from shared.security.verify import MESSAGE_ITS_AIDS, Claim, ProvenClaim, VerifyService, prove
from shared.stack.content_permissions import Message, check_content
from shared.stack.indication import COPY, Copy, Indication, VerifiedBeacon, VerifiedPacket
from shared.stack.packet_checks import (
    BINDING_BY_OCTET,
    MESSAGE_ID_OCTET,
    SECURED,
    check_alive,
    check_hops,
    is_geocast,
    secured_part,
    unread_packet,
)
from shared.stack.station_identity import EgoPosition, StationIdentity
from shared.stack.voices import Voice, denm_lifetime_ms, is_urgent, urgent_denm_voice, voices

__all__ = ["HEARD_ITS_AIDS", "EgoPosition", "Station", "StationIdentity", "make_station", "make_verify_service"]

HEARD_ITS_AIDS = MESSAGE_ITS_AIDS | {ItsAid.GN_MANAGEMENT}
"""The services a station hears: those with messages, and GeoNetworking itself, which has beacons."""

BEACON_FRONT = encode_basic_header(
    BasicHeader(next_header=BasicNextHeader.SECURED, lifetime_ms=1_000, remaining_hop_limit=SINGLE_HOP)
)
"""Basic Header of a beacon: a place is of use about as long as in a CAM."""

MAX_OWN_NAMES = 16
"""Own tickets and addresses remembered, so that what we said under them is known for ours when it comes back late."""


Name = TypeVar("Name")


class Station:
    """Signs what its agent says and verifies what others say.

    Args:
        identity: what it calls itself.
        signing: signs with the current ticket.
        verifying: judges others' packets.

    Attributes:
        geocasts: the geocasts accepted; whoever accepts one notes it there, and copies of it are not judged again.
        own_macs: link-layer addresses of ours, the present and the last; to be read only.
    """

    def __init__(self, *, identity: StationIdentity, signing: SigningService, verifying: VerifyService) -> None:
        self._signing = signing
        self._verifying = verifying
        self._own_packets = OwnPackets()
        self._own_signers: OrderedDict[HashedId8, None] = OrderedDict()
        self.geocasts = DuplicatePacketList()
        self.own_macs: OrderedDict[bytes, None] = OrderedDict()
        with suppress(NoTicketError):
            _note_name(self._own_signers, signing.ticket.certificate.hashed_id8)
        self._take_on(identity)

    @property
    def identity(self) -> StationIdentity:
        """What the station calls itself just now."""
        return self._identity

    def assume(self, identity: StationIdentity, ticket: TicketCredential) -> None:
        """Go on as somebody else, from the next packet on; all that names the station changes at once.

        Under the old name nothing is asked, answered or passed on any more, and the next message of every service shows the new
        ticket. Packets sent under it stay our own when they come back. A station that keeps its name (a roadside unit whose ticket
        runs out) passes the identity it has, and its numbering goes on.

        Args:
            identity: what it calls itself from now on.
            ticket: signs its messages from now on.
        """
        self._signing.change_ticket(ticket)
        _note_name(self._own_signers, ticket.certificate.hashed_id8)
        if identity != self._identity:
            self._take_on(identity)

    def move_to(self, mac: bytes) -> None:
        """Keep name and ticket and take another link-layer address: somebody else uses the present one.

        Args:
            mac: six octets, from `drawn_mac`.
        """
        identity = self._identity
        self._take_on(replace(identity, address=replace(identity.address, mac=mac)))

    def ssp(self, its_aid: ItsAid) -> bytes | None:
        """Return the present ticket's permissions for a service; None where it names none, or where there is no ticket."""
        try:
            return self._signing.permission(its_aid).ssp
        except V2xError:
            return None

    def fall_silent(self) -> None:
        """Speak under no ticket any more until `assume` brings another: `send` raises `NoTicketError`."""
        self._signing.change_ticket(None)

    @property
    def trust_store(self) -> TrustStore:
        """Whom it believes now."""
        return self._verifying.trust_store

    def change_trust(self, trust_store: TrustStore) -> None:
        """Believe whom a new store names from the next packet on; tickets whose chain no longer holds are forgotten at once."""
        self._verifying.change_trust(trust_store)
        self._signing.change_trust(trust_store)

    def _take_on(self, identity: StationIdentity) -> None:
        self._identity = identity
        self._sequence_numbers = SequenceNumbers(identity.first_sequence_number)
        self._voices = voices(identity.address, is_mobile=identity.is_mobile)
        self._urgent_voice = urgent_denm_voice(identity.address, is_mobile=identity.is_mobile)
        _note_name(self.own_macs, identity.address.mac)

    def _voice_for(self, message: Message) -> Voice:
        if message.__class__ is Denm and is_urgent(message):
            return self._urgent_voice
        return self._voices[message.__class__]

    def is_own_signer(self, signer: HashedId8) -> bool:
        """Say whether a ticket is one we have signed under lately."""
        return signer in self._own_signers

    def priority_of(self, message: Message) -> int:
        """Return the identifier of the traffic class of a kind of message, 0 the most urgent."""
        return self._voice_for(message).traffic_class.priority

    def send(
        self,
        message: Message,
        *,
        position: EgoPosition,
        now: Instant,
        area: Area | None = None,
        max_hop_limit: int = DEFAULT_HOP_LIMIT,
    ) -> bytes:
        """Return the signed packet that says `message`.

        Args:
            message: what to say; its station id must be ours.
            position: where we are; goes into the position vector, and into the header of a DENM.
            now: the present; signing needs trusted UTC.
            area: where it should be heard (geo-broadcast); None for a single hop.
            max_hop_limit: hops a geo-broadcast may take, 1..255.

        Raises:
            EncodeError: a value does not fit, the message names another station, or the position is older than ITS time.
            UntrustedTimeError: UTC is not known.
            NoTicketError: there is no ticket.
            VerificationError: our own ticket does not allow it, or is not valid now.
        """
        if message.station_id != self._identity.station_id:
            raise EncodeError("station_id", f"{message.station_id} is not this station ({self._identity.station_id})")
        voice = self._voice_for(message)
        encoded = voice.encode(message)
        check_content(message, self._signing.permission(voice.its_aid).ssp)
        timestamp_ms = _timestamp_ms(position)
        if area is None:
            payload = voice.single_hop.encode(
                encoded,
                position=position.point,
                timestamp_ms=timestamp_ms,
                is_accurate=position.is_accurate,
                speed_mps=position.speed_mps,
                heading_deg=position.heading_deg,
            )
            front = voice.single_hop_front
        else:
            payload = self._geocast_payload(voice, encoded, position, area, max_hop_limit)
            front = voice.geocast_front[:HOP_LIMIT_OCTET] + bytes((max_hop_limit,))
        if message.__class__ is Denm:
            lifetime_ms = denm_lifetime_ms(message, timestamp_its(trusted_time64(now)))
            front = front[:LIFETIME_OCTET] + bytes((encode_lifetime(lifetime_ms),)) + front[HOP_LIMIT_OCTET:]
        secured = self._signing.sign(payload, voice.its_aid, now=now, location=position.point)
        self._own_packets.note_signed(secured, is_geocast=area is not None)
        return front + secured

    def send_beacon(self, *, position: EgoPosition, now: Instant) -> bytes:
        """Return a signed packet that says where we are and nothing else (clause 10.3.6); raises as `send`."""
        payload = encode_beacon(self._vector(position), is_mobile=self._identity.is_mobile)
        secured = self._signing.sign(payload, ItsAid.GN_MANAGEMENT, now=now, location=position.point)
        self._own_packets.note_signed(secured)
        return BEACON_FRONT + secured

    def receive(self, packet: bytes, now: Instant) -> Indication | None:
        """Return what a packet says once everything about it held; None when it says nothing: our own echo, a beacon, a copy.

        Raises:
            DecodeError: malformed at any layer; `UnsupportedPacketError` for what is sound but none of our business.
            VerificationError: well-formed, but must not be believed; `report` says why, `UNTRUSTED_TIME` that the fault is ours.
        """
        unread = self.receive_unread(packet, now)
        return unread.read() if isinstance(unread, VerifiedPacket) else None

    def receive_unread(self, packet: bytes, now: Instant) -> VerifiedPacket | VerifiedBeacon | Copy | None:
        """Return a packet once everything held that can be judged before its message is read; None for our own echo.

        Raises as `receive`.
        """
        (outcome,) = self.weigh_all((packet,), now)
        if isinstance(outcome, Claim):
            (accepted,) = self.accept_all((prove(outcome),))
            if isinstance(accepted, V2xError):
                raise accepted
            return accepted
        if isinstance(outcome, UnknownSignerError):
            self.note_unknown_signer(outcome)
        if isinstance(outcome, V2xError):
            raise outcome
        return outcome

    def weigh_all(self, packets: Sequence[bytes], now: Instant) -> Sequence[Claim | Copy | V2xError | None]:
        """Check everything about packets that comes before their signatures.

        Returns:
            For each packet a claim, or why it is refused, or `COPY` when a forwarder repeats what we have accepted, or None when it
            is our own echo. Unknown signers are not noted (`note_unknown_signer`).
        """
        own, geocasts = self._own_packets.sent, self.geocasts.known
        usual = [
            packet[BASIC_HEADER_OCTETS:]
            for packet in packets
            if BASIC_HEADER_OCTETS < len(packet) <= MAX_PACKET_OCTETS
            and packet[0] == SECURED
            and packet[HOP_LIMIT_OCTET] <= SINGLE_HOP
            and packet[LIFETIME_OCTET] >= LEAST_LIFETIME
        ]
        if len(usual) == len(packets) and own.keys().isdisjoint(usual) and (not geocasts or geocasts.keys().isdisjoint(usual)):
            weighed: list[Claim | V2xError] = self._verifying.weigh_all(usual, now)
            for at, outcome in enumerate(weighed):
                if isinstance(outcome, Claim) and is_geocast(outcome):
                    weighed[at] = _alive(packets[at], outcome)
            return weighed
        outcomes: list[Claim | Copy | V2xError | None] = []
        for packet in packets:
            try:
                secured = secured_part(packet)
                if secured in own:
                    self._own_packets.came_back(secured)
                    outcomes.append(None)
                    continue
                known = geocasts.get(secured)
                if known is not None and packet[HOP_LIMIT_OCTET] < known.max_hop_limit:
                    outcomes.append(COPY)
                    continue
                (outcome,) = self._verifying.weigh_all((secured,), now)
                if isinstance(outcome, Claim):
                    check_hops(packet, outcome)
                    check_alive(packet, outcome)
                outcomes.append(outcome)
            except V2xError as refusal:
                outcomes.append(refusal)
        return outcomes

    def accept_all(self, proven: Sequence[ProvenClaim]) -> list[VerifiedPacket | VerifiedBeacon | V2xError]:
        """Remember packets whose signatures have held, and judge the rest of them but their messages, in order.

        Returns:
            For each the packet, or why it is refused after all: as `receive` says, and `DUPLICATE_MESSAGE` also when the same was
            accepted since it was weighed.
        """
        remember, asked_for, binding_of = self._verifying.remember, self._signing.asked_for, BINDING_BY_OCTET.get
        outcomes: list[VerifiedPacket | VerifiedBeacon | V2xError] = []
        for claim in proven:
            try:
                remember(claim)
                if asked_for or claim.certificate_requests or claim.passed_on_authority is not None:
                    self._note(claim)
                hop = read_single_hop(claim.payload)
                if hop is None:
                    outcomes.append(unread_packet(claim))
                    continue
                port, lat, lon, position_vector, message = hop
                binding = binding_of(message[MESSAGE_ID_OCTET]) if len(message) >= HEADER_OCTETS else None
                if binding is None or binding.its_aid != claim.service.its_aid or binding.port != port:
                    outcomes.append(unread_packet(claim))  # which says what is wrong
                    continue
                region = claim.ticket.region
                if region.shape is not None:
                    region.check_contains_at(lat, lon)
                outcomes.append(VerifiedPacket(binding.message_id, message, position_vector, None, claim))
            except V2xError as refusal:
                outcomes.append(refusal)
        return outcomes

    def _note(self, proven: ProvenClaim) -> None:
        signing = self._signing
        signing.note_known_signer(proven.ticket.facts.hashed_id8)
        signing.note_requests(proven.certificate_requests)
        if proven.passed_on_authority is not None:
            signing.note_authority_passed_on(proven.passed_on_authority.hashed_id8)

    def check_new(self, claim: Claim) -> None:
        """Raise `VerificationError(DUPLICATE_MESSAGE)` when the same packet was accepted since it was examined."""
        self._verifying.check_new(claim)

    def note_unknown_signer(self, unknown: UnknownSignerError) -> None:
        """Ask the neighbours for the certificate a packet needed."""
        self._signing.note_unknown_signer(unknown.hashed_id8)

    def knows(self, signer: HashedId8, now: Instant) -> bool:
        """Say whether a message under this ticket verified lately."""
        return self._verifying.knows(signer, now)

    def _vector(self, position: EgoPosition) -> LongPositionVector:
        return LongPositionVector(
            address=self._identity.address,
            timestamp_ms=_timestamp_ms(position),
            position=position.point,
            is_accurate=position.is_accurate,
            speed_mps=position.speed_mps,
            heading_deg=position.heading_deg,
        )

    def _geocast_payload(self, voice: Voice, encoded: bytes, position: EgoPosition, area: Area, max_hop_limit: int) -> bytes:
        source = self._vector(position)
        header = GbcHeader(sequence_number=self._sequence_numbers.take(), source=source, area=area)
        return encode_gn_payload(
            extended=header,
            btp=BtpB(destination_port=voice.port),
            message=encoded,
            traffic_class=voice.traffic_class,
            is_mobile=self._identity.is_mobile,
            max_hop_limit=max_hop_limit,
        )


def _alive(packet: bytes, claim: Claim) -> Claim | V2xError:
    """Return a claim, or why it is too old."""
    try:
        check_alive(packet, claim)
    except V2xError as refusal:
        return refusal
    return claim


def _note_name(names: OrderedDict[Name, None], name: Name) -> None:
    names[name] = None
    names.move_to_end(name)
    if len(names) > MAX_OWN_NAMES:
        names.popitem(last=False)


def _timestamp_ms(position: EgoPosition) -> int:
    try:
        return gn_timestamp_at(position.taken_at)
    except ValueError as before_its_time:
        raise EncodeError("position.taken_at", str(before_its_time)) from before_its_time


def make_station(
    *, identity: StationIdentity, ticket: TicketCredential | None, trust_store: TrustStore, areas: IdentifiedAreas
) -> Station:
    """Put up a station with caches of its own and the default windows of freshness.

    Args:
        identity: what it calls itself under `ticket`.
        ticket: signs its messages; None when it has none yet and can but listen.
        trust_store: whom it believes.
        areas: shapes of identified regions; `NO_IDENTIFIED_AREAS` where the operator has none.
    """
    return Station(
        identity=identity,
        signing=SigningService(ticket=ticket, trust_store=trust_store),
        verifying=make_verify_service(trust_store=trust_store, areas=areas),
    )


def make_verify_service(*, trust_store: TrustStore, areas: IdentifiedAreas) -> VerifyService:
    """Put up what judges packets, with empty memories and the default windows of freshness; arguments as for `make_station`."""
    freshness = Freshness()
    return VerifyService(
        trust_store=trust_store,
        certificates=CertificateCache(),
        replay=ReplayGuard(freshness=freshness),
        freshness=freshness,
        areas=areas,
        its_aids=HEARD_ITS_AIDS,
    )
