"""The one place where hostile input is caught: every packet is either handed up verified or counted by its reason.

Nothing is logged per packet. The counters are bounded because the reasons are: the codes of the error tree and of
`VerificationReport`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from shared.core.clock import Instant
from shared.core.errors import V2xError
from shared.core.ids import HashedId8
from shared.stack.batch import Outcome, SignatureChecker, receive_batch
from shared.stack.indication import Indication
from shared.stack.station import Station


class Inbound:
    """Feeds a station and keeps the account of what came in.

    Args:
        station: judges the packets.
    """

    def __init__(self, station: Station) -> None:
        self._station = station
        self._refused: Counter[str] = Counter()
        self._verified: Counter[str] = Counter()
        self._echoes = 0
        self._last_refusal: V2xError | None = None

    def receive(self, packet: bytes, now: Instant) -> Indication | None:
        """Return the verified message, or None when the packet was refused (and counted) or was our own echo."""
        self._last_refusal = None
        try:
            indication = self._station.receive(packet, now)
        except V2xError as refusal:
            self.refuse(refusal)
            return None
        self._count(indication)
        return indication

    def receive_batch(self, packets: Sequence[bytes], now: Instant, checker: SignatureChecker) -> list[Outcome]:
        """Return what became of each packet, in order; refusals are counted."""
        outcomes = receive_batch(self._station, packets, now, checker)
        for outcome in outcomes:
            self._last_refusal = None
            if isinstance(outcome, V2xError):
                self.refuse(outcome)
            else:
                self._count(outcome)
        return outcomes

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
    def echoes(self) -> int:
        """Packets of our own that the medium brought back."""
        return self._echoes

    def _count(self, indication: Indication | None) -> None:
        if indication is None:
            self._echoes += 1
        else:
            self._verified[type(indication.message).__name__.lower()] += 1
