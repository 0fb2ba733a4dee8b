"""One ITS station: messages down to packets, packets up to verified messages. Sans-IO.

    down    message -> UPER -> content within our own SSP -> BTP-B -> GeoNetworking -> SIGN -> prefix Basic Header
    up      size, Basic Header, hops -> own echo? -> VERIFY -> GeoNetworking, BTP-B -> port, ITS-AID and message id agree -> decode
            -> content within SSP -> sender, and the place a CAM claims, inside the ticket's region -> Verified

This is the one place where messages, network and security meet. `receive` either returns a `Verified` message, or None for an
echo of our own packet, or raises a `V2xError`; whoever calls it counts the error by its code (`shared.stack.inbound`). There is
no way to send unsigned or to receive unverified. Forwarding of others' packets and channel congestion are not here yet.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from shared.core.clock import Instant, UtcNs
from shared.core.errors import DecodeError, EncodeError, VerificationError
from shared.core.geo import GeoPoint
from shared.core.ids import MESSAGE_BINDINGS, MessageBinding, MessageId, StationId, StationType
from shared.core.itstime import gn_timestamp, time64_of
from shared.core.report import VerificationReport
from shared.messages.cam import Cam, decode_cam, encode_cam
from shared.messages.denm import Denm, decode_denm, encode_denm
from shared.messages.mapem import Mapem, decode_mapem, encode_mapem
from shared.messages.pdu import peek_header
from shared.messages.spatem import Spatem, decode_spatem, encode_spatem
from shared.network.address import MAC_OCTETS, GnAddress
from shared.network.area import Area
from shared.network.btp import BtpB
from shared.network.extended import GbcHeader, ShbHeader
from shared.network.headers import (
    DEFAULT_HOP_LIMIT,
    BasicHeader,
    BasicNextHeader,
    TrafficClass,
    decode_basic_header,
    encode_basic_header,
)
from shared.network.own_packets import OwnPackets
from shared.network.packet import (
    MAX_PACKET_OCTETS,
    SINGLE_HOP,
    GnPayload,
    UnsupportedPacketError,
    check_hop_limit,
    decode_gn_payload,
    encode_gn_payload,
)
from shared.network.position_vector import LongPositionVector
from shared.security.certificate_cache import CertificateCache
from shared.security.chain import UnknownSignerError
from shared.security.freshness import Freshness
from shared.security.permissions import find_permission
from shared.security.region import IdentifiedAreas
from shared.security.replay import ReplayGuard
from shared.security.secured_data import SignedData, UnsecuredData, decode_secured_data
from shared.security.sign import SigningService, TicketCredential
from shared.security.trust_store import TrustStore
from shared.security.verify import VerifiedPayload, VerifyService
from shared.stack.content_permissions import Message, check_content
from shared.stack.indication import Indication, Verified

LIFETIME_MS: dict[MessageId, int] = {
    MessageId.CAM: 1_000,
    MessageId.SPATEM: 1_000,
    MessageId.MAPEM: 1_000,
    MessageId.DENM: 60_000,
}
"""How long a packet is of use on its way; a repetition renews it."""

TRAFFIC_CLASSES: dict[MessageId, TrafficClass] = {
    MessageId.CAM: TrafficClass(priority=2),
    MessageId.DENM: TrafficClass(priority=1),
    MessageId.SPATEM: TrafficClass(priority=2),
    MessageId.MAPEM: TrafficClass(priority=3),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StationIdentity:
    """What a station calls itself while it holds one ticket; all of it changes together.

    Attributes:
        station_id: in every message.
        address: in every packet.
        is_mobile: whether the station can move.
    """

    station_id: StationId
    address: GnAddress
    is_mobile: bool

    @classmethod
    def drawn(cls, station_type: StationType, entropy: Callable[[int], bytes]) -> "StationIdentity":
        """Draw a fresh identity: nothing in it says who had the last one.

        Args:
            station_type: of the station; a roadside unit does not move, all others do.
            entropy: returns that many random octets.
        """
        mac = entropy(MAC_OCTETS)
        unicast_local = bytes([mac[0] & 0xFC | 0x02])
        return cls(
            station_id=StationId(int.from_bytes(entropy(4), "big")),
            address=GnAddress(station_type=station_type, mac=unicast_local + mac[1:]),
            is_mobile=station_type is not StationType.ROAD_SIDE_UNIT,
        )

    @property
    def station_type(self) -> StationType:
        """The station type of the address."""
        return StationType(self.address.station_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class EgoPosition:
    """Where this station is.

    Attributes:
        point: the place.
        taken_at: when it was measured, UTC.
        speed_mps: over ground, negative in reverse, or None.
        heading_deg: clockwise from north, [0, 360), or None.
        is_accurate: whether it is good enough to be relied on for forwarding.
    """

    point: GeoPoint
    taken_at: UtcNs
    speed_mps: float | None = None
    heading_deg: float | None = None
    is_accurate: bool = True


class Station:
    """Signs what its agent says and verifies what others say.

    Args:
        identity: what it calls itself.
        signing: signs with the current ticket.
        verifying: judges others' packets.
    """

    def __init__(self, *, identity: StationIdentity, signing: SigningService, verifying: VerifyService) -> None:
        self._identity = identity
        self._signing = signing
        self._verifying = verifying
        self._sequence_number = 0
        self._own_packets = OwnPackets()

    @property
    def identity(self) -> StationIdentity:
        """What the station calls itself just now."""
        return self._identity

    def send(self, message: Message, *, position: EgoPosition, now: Instant, area: Area | None = None) -> bytes:
        """Return the signed packet that says `message`.

        Args:
            message: what to say; its station id must be ours.
            position: where we are; goes into the position vector, and into the header of a DENM.
            now: the present; signing needs trusted UTC.
            area: where it should be heard (geo-broadcast); None for a single hop.

        Raises:
            EncodeError: a value does not fit, the message names another station, or the position is older than ITS time.
            UntrustedTimeError: UTC is not known.
            VerificationError: our own ticket does not allow it, or is not valid now.
        """
        if message.station_id != self._identity.station_id:
            raise EncodeError("station_id", f"{message.station_id} is not this station ({self._identity.station_id})")
        binding, encoded = _encode(message)
        own_permissions = self._signing.ticket.certificate.tbs.app_permissions or ()
        check_content(message, find_permission(own_permissions, binding.its_aid).ssp)
        source = self._position_vector(position)
        hop_limit = SINGLE_HOP if area is None else DEFAULT_HOP_LIMIT
        payload = encode_gn_payload(
            extended=ShbHeader(source=source) if area is None else self._geocast(source, area),
            btp=BtpB(destination_port=binding.port),
            message=encoded,
            traffic_class=TRAFFIC_CLASSES[binding.message_id],
            is_mobile=self._identity.is_mobile,
            max_hop_limit=hop_limit,
        )
        secured = self._signing.sign(payload, binding.its_aid, now=now, location=position.point)
        basic = BasicHeader(
            next_header=BasicNextHeader.SECURED,
            lifetime_ms=LIFETIME_MS[binding.message_id],
            remaining_hop_limit=hop_limit,
        )
        packet = encode_basic_header(basic) + secured
        self._own_packets.note_sent(packet)
        return packet

    def receive(self, packet: bytes, now: Instant) -> Indication | None:
        """Return what a packet says once everything about it held; None when it is our own echo.

        Raises:
            DecodeError: malformed at any layer; `UnsupportedPacketError` for what is sound but none of our business.
            VerificationError: well-formed, but must not be believed; `report` says why, `UNTRUSTED_TIME` that the fault is ours.
        """
        basic, secured = open_packet(packet)
        if self._own_packets.is_echo(packet):
            return None
        check_hops_before_remembering(basic, secured)
        try:
            verified = self._verifying.verify(secured, now=now)
        except UnknownSignerError as unknown:
            self._signing.note_unknown_signer(unknown.hashed_id8)
            raise
        self._signing.note_known_signer(verified.signer.hashed_id8)
        self._signing.note_requests(verified.certificate_requests)
        if verified.passed_on_authority is not None:
            self._signing.note_authority_passed_on(verified.passed_on_authority)
        return indicate(verified, now)

    def _position_vector(self, position: EgoPosition) -> LongPositionVector:
        try:
            taken_at = time64_of(position.taken_at)
        except ValueError as before_its_time:
            raise EncodeError("position.taken_at", str(before_its_time)) from before_its_time
        return LongPositionVector(
            address=self._identity.address,
            timestamp_ms=gn_timestamp(taken_at),
            position=position.point,
            is_accurate=position.is_accurate,
            speed_mps=position.speed_mps,
            heading_deg=position.heading_deg,
        )

    def _geocast(self, source: LongPositionVector, area: Area) -> GbcHeader:
        header = GbcHeader(sequence_number=self._sequence_number, source=source, area=area)
        self._sequence_number = (self._sequence_number + 1) & 0xFFFF
        return header


def make_station(
    *, identity: StationIdentity, ticket: TicketCredential, trust_store: TrustStore, areas: IdentifiedAreas
) -> Station:
    """Put up a station with caches of its own and the default windows of freshness.

    Args:
        identity: what it calls itself under `ticket`.
        ticket: signs its messages.
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
    )


def _encode(message: Message) -> tuple[MessageBinding, bytes]:
    match message:
        case Cam():
            return MESSAGE_BINDINGS[MessageId.CAM], encode_cam(message)
        case Denm():
            return MESSAGE_BINDINGS[MessageId.DENM], encode_denm(message)
        case Spatem():
            return MESSAGE_BINDINGS[MessageId.SPATEM], encode_spatem(message)
        case Mapem():
            return MESSAGE_BINDINGS[MessageId.MAPEM], encode_mapem(message)
        case _:
            assert_never(message)


def _decode(message_id: MessageId, encoded: bytes) -> Message:
    match message_id:
        case MessageId.CAM:
            return decode_cam(encoded)
        case MessageId.DENM:
            return decode_denm(encoded)
        case MessageId.SPATEM:
            return decode_spatem(encoded)
        case MessageId.MAPEM:
            return decode_mapem(encoded)
        case _:
            raise UnsupportedPacketError("header.messageID", f"this station does not read {message_id.name}", 8)


def open_packet(packet: bytes) -> tuple[BasicHeader, bytes]:
    """Return the Basic Header of a secured packet, and the secured structure behind it.

    Raises:
        DecodeError: too long, cut short, or no GeoNetworking packet.
        VerificationError: `UNSIGNED_MESSAGE`.
    """
    if len(packet) > MAX_PACKET_OCTETS:
        raise DecodeError("packet", f"{len(packet)} octets exceed the {MAX_PACKET_OCTETS} of a frame")
    basic, secured = decode_basic_header(packet)
    if basic.next_header is not BasicNextHeader.SECURED:
        raise VerificationError(VerificationReport.UNSIGNED_MESSAGE, "the packet is not secured")
    return basic, secured


def check_hops_before_remembering(basic: BasicHeader, secured: bytes) -> None:
    """Refuse an impossible hop limit before anything is verified.

    The hop limit is not signed. If a genuine message were verified, remembered and only then dropped for it, whoever repeats a
    packet with too many hops would make us take the real one for a duplicate. A single hop cannot be too many, and costs nothing.
    """
    if basic.remaining_hop_limit <= SINGLE_HOP:
        return
    content = decode_secured_data(secured).content
    if isinstance(content, SignedData) and content.payload is not None and isinstance(content.payload.content, UnsecuredData):
        check_hop_limit(basic, decode_gn_payload(content.payload.content.payload).common)


def indicate(verified: VerifiedPayload, now: Instant) -> Indication:
    """Return what a verified payload says, once its parts agree and its sender may say it; raises as `Station.receive`."""
    gn = decode_gn_payload(verified.payload)
    binding = binding_of(gn, verified.its_aid)
    message = _decode(binding.message_id, gn.message)
    check_content(message, verified.ssp)
    _check_region(gn.source.position, verified)
    if isinstance(message, Cam) and message.lat_deg is not None and message.lon_deg is not None:
        verified.signer.region.check_contains(GeoPoint(message.lat_deg, message.lon_deg))
    return Verified(
        message=message,
        signer=verified.signer,
        generation_time=verified.generation_time,
        source=gn.source,
        area=gn.area,
        received=now,
    )


def binding_of(gn: GnPayload, its_aid: int) -> MessageBinding:
    """Return the numbers of the message in a packet signed as `its_aid`.

    Raises:
        DecodeError: no message this project knows.
        VerificationError: `CONTENT_MISMATCH` where port, ITS-AID and message identifier disagree.
    """
    _version, message_id, _station_id = peek_header(gn.message)
    binding = MESSAGE_BINDINGS[message_id]
    if binding.its_aid != its_aid or binding.port != gn.btp.destination_port:
        raise VerificationError(
            VerificationReport.CONTENT_MISMATCH,
            f"a {message_id.name} was signed as ITS-AID {its_aid:d} for port {gn.btp.destination_port}",
        )
    return binding


def _check_region(position: GeoPoint | None, verified: VerifiedPayload) -> None:
    """IEEE 1609.2 6.4.8: what is signed was made inside the certificate's region; without a claim it cannot be shown."""
    region = verified.signer.region
    if position is not None:
        region.check_contains(position)
    elif region.shape is not None:
        raise VerificationError(VerificationReport.OUTSIDE_REGION, "the ticket is bound to a region and the sender has no position")
