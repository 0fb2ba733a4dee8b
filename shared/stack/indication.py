"""What a station hands up: a message that was verified, and who said it, where and when.

    VerifiedPacket   signature, chain, time, permission and place held; the message inside is still octets
    VerifiedBeacon   the same of a packet that has no message: where its sender is, and nothing else
    Verified[T]      the message, read; its content within what the ticket allows, its sender at one place

`Verified` is the one type that handlers accept, and `VerifiedPacket.read` the one way to the message: there is none around the last
three checks. Only `shared.stack.station.Station` makes a `VerifiedPacket` or a `VerifiedBeacon`.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from struct import Struct
from typing import Generic, TypeVar, cast

import msgspec

from shared.core.clock import Instant
from shared.core.errors import V2xError, VerificationError
from shared.core.geo import GeoPoint, distance_m
from shared.core.ids import MessageId, StationId
from shared.core.itstime import Time64
from shared.core.report import VerificationReport
from shared.messages import cam, denm, ivim, mapem, spatem, srem, ssem
from shared.messages.cam import Cam
from shared.network.area import Area
from shared.network.packet import UnsupportedPacketError
from shared.network.position_vector import LongPositionVector, decode_long_position_vector
from shared.security.trusted_certificate import SignerFacts
from shared.security.verify import ProvenClaim
from shared.stack.content_permissions import Message, check_content

T_co = TypeVar("T_co", covariant=True)
M = TypeVar("M")

MAX_APART_M = 1_000.0
"""How far apart the two places may be that one packet gives for its sender, one of them in its network header.

Both come from the same receiver within the same second, so honest ones differ by the way driven meanwhile."""

_NEAR_DEG = 0.005
"""Places whose latitudes and longitudes differ by no more are less than 800 m apart."""

_LAT_LON = Struct(">12xii")
_UNITS_PER_DEGREE = 10_000_000

_DECODERS: Mapping[MessageId, Callable[[bytes], Message]] = {
    MessageId.CAM: cam.CODEC.decode,
    MessageId.DENM: denm.CODEC.decode,
    MessageId.SPATEM: spatem.CODEC.decode,
    MessageId.MAPEM: mapem.CODEC.decode,
    MessageId.IVIM: ivim.CODEC.decode,
    MessageId.SREM: srem.CODEC.decode,
    MessageId.SSEM: ssem.CODEC.decode,
}


class Verified(msgspec.Struct, Generic[T_co], frozen=True, gc=False):
    """A message whose signature, chain, time, permissions and form all held.

    Attributes:
        message: the typed message.
        signer: whose ticket signed it.
        generation_time: when the signer says it was made.
        position_vector: the sender's, its 24 octets as signed; `source` reads them.
        area: where it was meant to be heard; None for a single hop.
        received: when it arrived here.
    """

    message: T_co
    signer: SignerFacts
    generation_time: Time64
    position_vector: bytes
    area: Area | None
    received: Instant

    @property
    def source(self) -> LongPositionVector:
        """The sender's position vector, read anew at every call."""
        return decode_long_position_vector(self.position_vector)

    def of(self, kind: type[M]) -> "Verified[M] | None":
        """Return the same indication as one of `kind`, or None when the message is of another kind."""
        return cast("Verified[M]", self) if isinstance(self.message, kind) else None


Indication = Verified[Message]
"""A verified message of any kind; `indication.of(Denm)` tells whether it is a DENM."""


class VerifiedBeacon(msgspec.Struct, frozen=True, gc=False):
    """A beacon of which everything held.

    Attributes:
        position_vector: the sender's, its 24 octets as signed.
        claim: what was verified.
    """

    position_vector: bytes
    claim: ProvenClaim


class VerifiedPacket(msgspec.Struct, frozen=True, gc=False):
    """A packet of which everything held that can be judged before its message is read.

    Attributes:
        message_id: what kind of message it carries; port and ITS-AID agree with it.
        unread: the message's octets; `read` is the way to what they say.
        position_vector: the sender's, its 24 octets as signed.
        area: where it was meant to be heard; None for a single hop.
        claim: what was verified.
    """

    message_id: MessageId
    unread: bytes
    position_vector: bytes
    area: Area | None
    claim: ProvenClaim

    @property
    def signer(self) -> SignerFacts:
        """Whose ticket signed it."""
        return self.claim.ticket.facts

    @property
    def station_id(self) -> StationId:
        """What the sender calls itself in the message's header."""
        return StationId(int.from_bytes(self.unread[2:6], "big"))

    def read(self) -> Indication:
        """Decode the message and check its content; costs as much at every call, so keep the result.

        Raises:
            DecodeError: malformed; `UnsupportedPacketError` for a kind this station does not read.
            VerificationError: `PERMISSION_DENIED`; `OUTSIDE_REGION` when a CAM claims a place outside the ticket's region;
                `INVALID_MOBILITY_DATA` when its sender is at two places at once.
        """
        decode = _DECODERS.get(self.message_id)
        if decode is None:
            raise UnsupportedPacketError("header.messageID", f"this station does not read {self.message_id.name}", 8)
        message = decode(self.unread)
        claim = self.claim
        check_content(message, claim.ssp)
        signer = claim.ticket.facts
        region = signer.region
        if isinstance(message, Cam):
            if message.lat_deg is not None and message.lon_deg is not None:
                if region.shape is not None:
                    region.check_contains(GeoPoint(message.lat_deg, message.lon_deg))
                self._check_one_place(message.lat_deg, message.lon_deg)
        elif claim.generation_location is not None:
            self._check_one_place(claim.generation_location.lat_deg, claim.generation_location.lon_deg)
        return Verified(message, signer, claim.generation_time, self.position_vector, self.area, claim.now)

    def _check_one_place(self, lat_deg: float, lon_deg: float) -> None:
        """Hold the place signed beside the network header against the header's own, where that has one."""
        lat, lon = _LAT_LON.unpack_from(self.position_vector)
        if abs(lat / _UNITS_PER_DEGREE - lat_deg) <= _NEAR_DEG and abs(lon / _UNITS_PER_DEGREE - lon_deg) <= _NEAR_DEG:
            return
        position = decode_long_position_vector(self.position_vector).position
        if position is None:
            return
        apart_m = distance_m(position, GeoPoint(lat_deg, lon_deg))
        if apart_m > MAX_APART_M:
            raise VerificationError(
                VerificationReport.INVALID_MOBILITY_DATA, f"the sender is at two places at once, {apart_m / 1_000:.1f} km apart"
            )


class Copy(Enum):
    """What a packet is that a forwarder has repeated and we have accepted before; it says nothing new and is not verified."""

    COPY = "copy"


COPY = Copy.COPY

Unread = VerifiedPacket | VerifiedBeacon | Copy | V2xError | None
"""What became of a packet whose message is not read yet: verified, a copy, refused, or None for an echo of our own."""
