"""The one place where hostile input is caught: every packet is either handed up verified or counted by its reason.

Around the station's judgement stands the router: it is told of every packet that arrives, enters the sender of every verified one,
forwards geocasts, and says which of them are for this place. A geocast that a forwarder repeats is a copy and no refusal.

Nothing is logged per packet. The counters are bounded because the reasons are: the codes of the error tree and of
`VerificationReport`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import repeat
from types import MappingProxyType

from shared.core.clock import Instant
from shared.core.errors import Sender, V2xError, VerificationError
from shared.core.ids import HashedId8
from shared.core.report import VerificationReport
from shared.network.area import Area
from shared.stack.arrival import UNKNOWN_ARRIVAL, Arrival
from shared.stack.batch import Outcome, SignatureChecker, receive_batch_unread
from shared.stack.indication import Copy, Indication, Unread, VerifiedBeacon, VerifiedPacket
from shared.stack.message_ages import MessageAges
from shared.stack.packet_checks import age_ns
from shared.stack.router import Router, is_direct
from shared.stack.station import Station


class Inbound:
    """Feeds a station and keeps the account of what came in.

    Args:
        station: judges the packets.
        router: of the same station; None for one that only listens, to which every packet is for this place.
    """

    def __init__(self, station: Station, router: Router | None = None) -> None:
        self._station = station
        self._router = router
        self._refused: Counter[str] = Counter()
        self._verified: Counter[str] = Counter()
        self._echoes = 0
        self._copies = 0
        self._ages = MessageAges()
        self._last_refusal: V2xError | None = None

    def receive(self, packet: bytes, now: Instant, arrival: Arrival = UNKNOWN_ARRIVAL) -> Indication | None:
        """Return the verified message; None when the packet was refused (and counted), or says nothing to this place.

        Args:
            packet: from the Basic Header on.
            now: the present.
            arrival: how it came.
        """
        self.arrived(len(packet), now, arrival)
        self._last_refusal = None
        unread: Unread
        try:
            unread = self._station.receive_unread(packet, now)
        except V2xError as refusal:
            unread = refusal
        outcome = self._outcome(unread, packet, now, arrival)
        if isinstance(outcome, V2xError):
            self.refuse(outcome)
            return None
        return outcome

    def receive_batch(
        self, packets: Sequence[bytes], now: Instant, checker: SignatureChecker, arrivals: Sequence[Arrival] | None = None
    ) -> list[Outcome]:
        """Return what became of each packet, in order; refusals are counted.

        Args:
            packets: from the Basic Header on, in order of arrival.
            now: the present for all of them.
            checker: checks the signatures.
            arrivals: how each of them came; whoever offers packets has said so to `arrived`.
        """
        outcomes: list[Outcome] = []
        unread = receive_batch_unread(self._station, packets, now, checker)
        for packet, heard, arrival in zip(packets, unread, repeat(UNKNOWN_ARRIVAL) if arrivals is None else arrivals, strict=False):
            self._last_refusal = None
            outcome = self._outcome(heard, packet, now, arrival)
            if isinstance(outcome, V2xError):
                self.refuse(outcome)
            outcomes.append(outcome)
        return outcomes

    def arrived(self, octets: int, now: Instant, arrival: Arrival) -> None:
        """Take note of a packet on the air before anybody looks at it: it occupied the channel whatever becomes of it."""
        if self._router is not None:
            self._router.arrived(octets, arrival, now.monotonic)

    def knows(self, signer: HashedId8, now: Instant) -> bool:
        """Say whether a message under this ticket verified lately."""
        return self._station.knows(signer, now)

    def refuse(self, refusal: V2xError) -> None:
        """Count a verified message whose content a handler refused: it claims what its sender has no right to."""
        self._refused[refusal.code] += 1
        self._last_refusal = refusal

    @property
    def last_refusal(self) -> V2xError | None:
        """Why the last packet was refused; None when it was not."""
        return self._last_refusal

    @property
    def refused(self) -> Mapping[str, int]:
        """Packets refused, by reason."""
        return MappingProxyType(self._refused)

    @property
    def verified(self) -> Mapping[str, int]:
        """Messages handed up, by kind."""
        return MappingProxyType(self._verified)

    @property
    def ages(self) -> MessageAges:
        """How old messages were that came straight from their senders and were handed up."""
        return self._ages

    @property
    def echoes(self) -> int:
        """Packets of our own that the medium or a forwarder brought back."""
        return self._echoes

    @property
    def copies(self) -> int:
        """Packets accepted before that a forwarder repeated."""
        return self._copies

    def _outcome(self, heard: Unread, packet: bytes, now: Instant, arrival: Arrival) -> Outcome:
        """Say what becomes of a packet that was judged, and count it unless it is refused."""
        router = self._router
        if isinstance(heard, VerifiedPacket):
            if heard.area is None and router is not None and router.hear(heard, now.monotonic):
                self._echoes += 1
                return None
            try:
                if heard.area is None or router is None:
                    indication = heard.read()
                else:
                    return self._geocast(router, heard, heard.area, packet, now, arrival)
            except V2xError as refusal:
                refusal.sender = Sender(ticket=heard.signer.hashed_id8, station_id=heard.station_id)
                return refusal
            self._verified[type(indication.message).__name__.lower()] += 1
            if heard.area is None:
                self._ages.note(age_ns(heard.claim))
            return indication
        if isinstance(heard, V2xError):
            if router is not None and _is_duplicate(heard) and router.hear_copy(packet, arrival, now.monotonic):
                self._copies += 1
                return None
            return heard
        if isinstance(heard, VerifiedBeacon):
            if router is not None and router.hear_beacon(heard, now.monotonic):
                self._echoes += 1
        elif isinstance(heard, Copy):
            self._copies += 1
            if router is not None:
                router.hear_copy(packet, arrival, now.monotonic)
        else:
            self._echoes += 1
        return None

    def _geocast(
        self, router: Router, heard: VerifiedPacket, area: Area, packet: bytes, now: Instant, arrival: Arrival
    ) -> Indication | None:
        """Read a geocast and let the router have it; what cannot be read, or may not be said, is not passed on."""
        if router.hear(heard, now.monotonic, is_direct=is_direct(heard, packet)):
            self._echoes += 1
            return None
        indication = heard.read()
        if not router.hear_geocast(heard, indication.message, area, packet, arrival, now.monotonic):
            return None
        self._verified[type(indication.message).__name__.lower()] += 1
        return indication


def _is_duplicate(refusal: V2xError) -> bool:
    return isinstance(refusal, VerificationError) and refusal.report is VerificationReport.DUPLICATE_MESSAGE
