"""Senders of no manners: messages that a ticket's own software would refuse to sign, signed with its real key."""

from dataclasses import replace

from shared.core.clock import Instant
from shared.core.ids import BtpPort, ItsAid
from shared.messages.cdd import CauseCode
from shared.messages.denm import encode_denm
from shared.network.btp import BtpB
from shared.network.extended import ShbHeader
from shared.network.headers import TrafficClass
from shared.network.packet import encode_gn_payload
from shared.network.position_vector import LongPositionVector
from shared.security.header_info import GenerationLocation
from shared.security.region import Location
from shared.security.sign import TicketCredential
from shared.stack.station import Station
from tests.helpers.identities import HERE, denm_of, forged_packet, header_at, make_identity


def forged_message(ticket: TicketCredential, message: bytes, port: BtpPort, service: ItsAid, now: Instant) -> bytes:
    """Have a ticket's holder sign an encoded message, whether or not it may."""
    vector = LongPositionVector(
        address=make_identity(7).address, timestamp_ms=0, position=HERE, is_accurate=False, speed_mps=None, heading_deg=None
    )
    payload = encode_gn_payload(
        extended=ShbHeader(source=vector),
        btp=BtpB(destination_port=port),
        message=message,
        traffic_class=TrafficClass(priority=2),
        is_mobile=True,
    )
    header = header_at(now, service)
    if service is ItsAid.DENM:
        header = replace(header, generation_location=GenerationLocation(location=Location.of(HERE), elevation=4_095))
    return forged_packet(ticket, payload, now, header=header)


def roadworks_by(station: Station, ticket: TicketCredential, now: Instant) -> bytes:
    """Have a ticket's holder warn of roadworks, which is not for cars."""
    message = encode_denm(denm_of(station, now, cause=CauseCode.ROADWORKS))
    return forged_message(ticket, message, BtpPort.DENM, ItsAid.DENM, now)
