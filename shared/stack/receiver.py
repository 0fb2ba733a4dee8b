"""A station that only listens: it judges packets exactly as `Station` does, in two steps that can be told apart.

    open      size, Basic Header, secured -> hops, age -> VERIFY (signature, chain, time, permission)
    indicate  GeoNetworking, BTP-B, message -> parts agree -> content within SSP, sender inside the region

For tools that look at captures. It has no ticket, so it asks for no certificates and knows no echo.
"""

from dataclasses import dataclass

from shared.core.clock import Instant
from shared.security.region import IdentifiedAreas
from shared.security.trust_store import TrustStore
from shared.security.verify import Claim, ProvenClaim, VerifiedPayload, VerifyService, prove
from shared.stack.indication import Indication, VerifiedBeacon
from shared.stack.packet_checks import check_alive, check_hops, secured_part, unread_packet
from shared.stack.station import make_verify_service


@dataclass(frozen=True, slots=True)
class Opened:
    """What a signature vouches for: `verified` for whoever looks, `proven` for `Receiver.indicate`."""

    verified: VerifiedPayload
    proven: ProvenClaim


class Receiver:
    """Judges packets, learning their signers' certificates on the way.

    Args:
        verifying: judges what is secured; remembers tickets and what it has seen.
    """

    def __init__(self, *, verifying: VerifyService) -> None:
        self._verifying = verifying

    def open(self, packet: bytes, now: Instant) -> Opened:
        """Verify a packet's signature.

        Raises:
            DecodeError: malformed.
            VerificationError: it must not be believed, or is not secured at all.
        """
        claim = self._verifying.examine(secured_part(packet), now=now)
        check_hops(packet, claim)
        check_alive(packet, claim)
        return self._opened(claim)

    def open_secured(self, secured: bytes, now: Instant) -> Opened:
        """Verify the signature of a secured message that was kept without its Basic Header; raises as `open`."""
        return self._opened(self._verifying.examine(secured, now=now))

    def indicate(self, opened: Opened) -> Indication | VerifiedBeacon:
        """Return what a verified packet says; raises as `Station.receive` for content its sender may not say."""
        packet = unread_packet(opened.proven)
        return packet if isinstance(packet, VerifiedBeacon) else packet.read()

    def _opened(self, claim: Claim) -> Opened:
        proven = prove(claim)
        return Opened(self._verifying.accept(proven), proven)


def make_receiver(*, trust_store: TrustStore, areas: IdentifiedAreas) -> Receiver:
    """Put up a receiver with caches of its own and the default windows of freshness.

    Args:
        trust_store: whom it believes.
        areas: shapes of identified regions; `NO_IDENTIFIED_AREAS` where the operator has none.
    """
    return Receiver(verifying=make_verify_service(trust_store=trust_store, areas=areas))
