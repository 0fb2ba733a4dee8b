"""A station that only listens: it judges packets exactly as `Station` does, in two steps that can be told apart.

    open      size, Basic Header, secured -> VERIFY (signature, chain, time, permission)
    indicate  GeoNetworking, BTP-B, message -> parts agree -> content within SSP, sender inside the region

For tools that look at captures. It has no ticket, so it asks for no certificates and knows no echo.
"""

from dataclasses import dataclass

from shared.core.clock import Instant
from shared.network.headers import BasicHeader, BasicNextHeader
from shared.security.region import IdentifiedAreas
from shared.security.trust_store import TrustStore
from shared.security.verify import VerifiedPayload, VerifyService
from shared.stack.indication import Indication
from shared.stack.station import indicate, make_verify_service, open_packet

NO_BASIC_HEADER = BasicHeader(next_header=BasicNextHeader.SECURED, lifetime_ms=0, remaining_hop_limit=0)
"""Stands for the Basic Header of a secured message that was kept without it; it claims no hop, so it contradicts nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedPacket:
    """A packet whose signature held and whose content is not looked at yet.

    Attributes:
        basic: the Basic Header, which nobody signed.
        verified: the payload and who signed it.
    """

    basic: BasicHeader
    verified: VerifiedPayload


class Receiver:
    """Judges packets, learning their signers' certificates on the way.

    Args:
        verifying: judges what is secured; remembers tickets and what it has seen.
    """

    def __init__(self, *, verifying: VerifyService) -> None:
        self._verifying = verifying

    def open(self, packet: bytes, now: Instant) -> OpenedPacket:
        """Verify a packet's signature.

        Raises:
            DecodeError: malformed.
            VerificationError: it must not be believed, or is not secured at all.
        """
        basic, secured = open_packet(packet)
        return OpenedPacket(basic=basic, verified=self._verifying.verify(secured, now=now))

    def open_secured(self, secured: bytes, now: Instant) -> OpenedPacket:
        """Verify the signature of a secured message that travels without a Basic Header; raises as `open`."""
        return OpenedPacket(basic=NO_BASIC_HEADER, verified=self._verifying.verify(secured, now=now))

    def indicate(self, opened: OpenedPacket, now: Instant) -> Indication:
        """Return what an opened packet says; raises as `Station.receive` for content its sender may not say."""
        return indicate(opened.basic, opened.verified, now)


def make_receiver(*, trust_store: TrustStore, areas: IdentifiedAreas) -> Receiver:
    """Put up a receiver with caches of its own and the default windows of freshness.

    Args:
        trust_store: whom it believes.
        areas: shapes of identified regions; `NO_IDENTIFIED_AREAS` where the operator has none.
    """
    return Receiver(verifying=make_verify_service(trust_store=trust_store, areas=areas))
