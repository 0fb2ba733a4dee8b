"""What is judged of a packet around its signature, for stations that speak and for those that only listen. Sans-IO.

    before     size, Basic Header, secured; lifetime and hops, which are not signed; a geocast's age
    behind     GeoNetworking, BTP-B; port, ITS-AID and message id agree; the sender is inside the ticket's region

`shared.stack.station` passes the usual packet without these and comes here for every other, and to have it said what is wrong.
"""

from shared.core.clock import NS_PER_S, NS_PER_US
from shared.core.errors import DecodeError, VerificationError
from shared.core.geo import GeoPoint
from shared.core.ids import MESSAGE_BINDINGS, ItsAid, MessageId
from shared.core.report import VerificationReport
from shared.messages.pdu import HEADER_OCTETS, peek_header
from shared.network.headers import (
    BASIC_HEADER_OCTETS,
    HOP_LIMIT_OCTET,
    LEAST_LIFETIME,
    LIFETIME_OCTET,
    PROTOCOL_VERSION,
    BasicNextHeader,
    HeaderType,
    decode_basic_header,
    lifetime_ns,
)
from shared.network.packet import (
    MAX_PACKET_OCTETS,
    SINGLE_HOP,
    Beacon,
    ExpiredPacketError,
    check_hop_limit,
    decode_gn_pdu,
    no_message,
)
from shared.network.position_vector import encode_long_position_vector
from shared.security.region import Region
from shared.security.verify import Claim, ProvenClaim
from shared.stack.indication import VerifiedBeacon, VerifiedPacket

BINDING_BY_OCTET = {int(message_id): binding for message_id, binding in MESSAGE_BINDINGS.items()}
"""What belongs to the message whose second octet it is."""

MESSAGE_ID_OCTET = 1

_HEADER_TYPE_AT = slice(1, 2)
_GEOCASTS = frozenset(bytes((kind,)) for kind in HeaderType if kind.name.startswith(("GBC", "GAC")))

SECURED = PROTOCOL_VERSION << 4 | BasicNextHeader.SECURED
"""First octet of a secured packet."""


def secured_part(packet: bytes) -> bytes:
    """Return the secured structure behind a packet's Basic Header.

    Raises:
        DecodeError: too long, cut short, or no GeoNetworking packet; `ExpiredPacketError` for a lifetime of zero.
        VerificationError: `UNSIGNED_MESSAGE`.
    """
    if len(packet) > MAX_PACKET_OCTETS:
        raise DecodeError("packet", f"{len(packet)} octets exceed the {MAX_PACKET_OCTETS} of a frame")
    if len(packet) < BASIC_HEADER_OCTETS or packet[0] != SECURED:
        raise _not_secured(packet)
    if packet[LIFETIME_OCTET] < LEAST_LIFETIME:
        raise ExpiredPacketError("basic_header.lifetime", "zero: the packet is of use at no time", LIFETIME_OCTET * 8)
    return packet[BASIC_HEADER_OCTETS:]


def _not_secured(packet: bytes) -> VerificationError:
    """Return why a packet that does not begin like a secured one is refused; raises `DecodeError` when it begins like none."""
    decode_basic_header(packet)
    return VerificationError(VerificationReport.UNSIGNED_MESSAGE, "the packet is not secured")


def check_hops(packet: bytes, claim: Claim) -> None:
    """Refuse an impossible hop limit before the signature is checked.

    The hop limit is not signed. If a genuine message were verified, remembered and only then dropped for it, whoever repeats a
    packet with too many hops would make us take the real one for a duplicate. A single hop cannot be too many.
    """
    if packet[HOP_LIMIT_OCTET] > SINGLE_HOP:
        check_hop_limit(decode_basic_header(packet)[0], decode_gn_pdu(claim.payload).common)


def age_ns(claim: Claim) -> int:
    """Return how long ago a message was made by its own account, when it was judged; nothing for one from the near future."""
    return max(0, claim.at - claim.generation_time) * NS_PER_US


def is_geocast(claim: Claim) -> bool:
    """Say whether a packet is for an area, and may be forwarded."""
    return claim.payload[_HEADER_TYPE_AT] in _GEOCASTS


def check_alive(packet: bytes, claim: Claim) -> None:
    """Refuse a geocast older than it says it is of use before the signature is checked: it was under way, or kept, too long.

    The lifetime is not signed. If a genuine message were verified, remembered and only then dropped for it, whoever repeats a
    packet with next to no lifetime would make us take the real one for a duplicate.

    Raises:
        ExpiredPacketError: it is.
    """
    old_ns, lives_ns = age_ns(claim), lifetime_ns(packet)
    if old_ns >= lives_ns and is_geocast(claim):
        detail = f"the packet is {old_ns / NS_PER_S:.1f} s old and of use for {lives_ns / NS_PER_S:g} s"
        raise ExpiredPacketError("basic_header.lifetime", detail, LIFETIME_OCTET * 8)


def unread_packet(proven: ProvenClaim) -> VerifiedPacket | VerifiedBeacon:
    """Judge a packet of any form; a beacon is one only if it is signed as such."""
    gn = decode_gn_pdu(proven.payload)
    if isinstance(gn, Beacon):
        if proven.service.its_aid != ItsAid.GN_MANAGEMENT:
            raise no_message()
        _check_region(gn.source.position, proven.ticket.region)
        return VerifiedBeacon(encode_long_position_vector(gn.source), proven)
    message_id = agreed_message_id(gn.message, gn.btp.destination_port, proven.service.its_aid)
    _check_region(gn.source.position, proven.ticket.region)
    return VerifiedPacket(message_id, gn.message, encode_long_position_vector(gn.source), gn.area, proven)


def agreed_message_id(message: bytes, port: int, its_aid: int) -> MessageId:
    """Return what kind of message it is.

    Raises:
        DecodeError: no message this project knows.
        VerificationError: `CONTENT_MISMATCH` where its header, the port and the ITS-AID disagree.
    """
    binding = BINDING_BY_OCTET.get(message[MESSAGE_ID_OCTET]) if len(message) >= HEADER_OCTETS else None
    if binding is None:
        binding = MESSAGE_BINDINGS[peek_header(message).message_id]
    if binding.its_aid != its_aid or binding.port != port:
        raise VerificationError(
            VerificationReport.CONTENT_MISMATCH, f"a {binding.message_id.name} was signed as ITS-AID {its_aid:d} for port {port}"
        )
    return binding.message_id


def _check_region(position: GeoPoint | None, region: Region) -> None:
    """IEEE 1609.2 6.4.8: what is signed was made inside the certificate's region; without a claim it cannot be shown."""
    if position is not None:
        region.check_contains(position)
    elif region.shape is not None:
        raise VerificationError(VerificationReport.OUTSIDE_REGION, "the ticket is bound to a region and the sender has no position")
