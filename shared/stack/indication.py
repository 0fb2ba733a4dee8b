"""What a station hands up: a message that was verified, and who said it, where and when.

    VerifiedPacket   signature, chain, time, permission and place held; the message inside is still octets
    Verified[T]      the message, read, and its content within what the ticket allows

`Verified` is the one type that handlers accept, and `VerifiedPacket.read` the one way to the message: there is none around the last
two checks. Only `shared.stack.station.Station` makes a `VerifiedPacket`.
"""

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar, cast

import msgspec

from shared.core.clock import Instant
from shared.core.geo import GeoPoint
from shared.core.ids import MessageId, StationId
from shared.core.itstime import Time64
from shared.messages import cam, denm, mapem, spatem
from shared.messages.cam import Cam
from shared.network.area import Area
from shared.network.packet import UnsupportedPacketError
from shared.network.position_vector import LongPositionVector, decode_long_position_vector
from shared.security.trusted_certificate import SignerFacts
from shared.security.verify import ProvenClaim
from shared.stack.content_permissions import Message, check_content

T_co = TypeVar("T_co", covariant=True)
M = TypeVar("M")

_DECODERS: Mapping[MessageId, Callable[[bytes], Message]] = {
    MessageId.CAM: cam.CODEC.decode,
    MessageId.DENM: denm.CODEC.decode,
    MessageId.SPATEM: spatem.CODEC.decode,
    MessageId.MAPEM: mapem.CODEC.decode,
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
            VerificationError: `PERMISSION_DENIED`, or `OUTSIDE_REGION` when a CAM claims a place outside the ticket's region.
        """
        decode = _DECODERS.get(self.message_id)
        if decode is None:
            raise UnsupportedPacketError("header.messageID", f"this station does not read {self.message_id.name}", 8)
        message = decode(self.unread)
        claim = self.claim
        check_content(message, claim.ssp)
        signer = claim.ticket.facts
        region = signer.region
        if region.shape is not None and isinstance(message, Cam) and message.lat_deg is not None and message.lon_deg is not None:
            region.check_contains(GeoPoint(message.lat_deg, message.lon_deg))
        return Verified(message, signer, claim.generation_time, self.position_vector, self.area, claim.now)
