"""Contention-based forwarding: packets wait, and whoever is placed best repeats first (EN 302 636-4-1 V1.4.1 annexes E and F).

    progress 0 m   100 ms      whoever is beside the sender brings the packet nowhere
    progress 500 m  50.5 ms
    from 1,000 m on  1 ms      whoever is far brings it furthest
    unknown        100 ms

While a packet waits, a copy that somebody else repeats on the same link makes ours superfluous, but only one with at least as many
hops left as ours would have, and one that lives as long or at least a while: nobody silences a hazard by repeating it with its last
hop, or with a lifetime that is over before anybody can pass it on. Each link is a contention of its own, and what has not long to
live takes nothing's place. Which packets are forwarded at all is decided in `forwarding`.
"""

from collections import Counter
from dataclasses import dataclass

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs
from shared.core.ids import HashedId8

TO_MIN_NS = 1 * NS_PER_MS
"""`itsGnCbfMinTime`."""

TO_MAX_NS = 100 * NS_PER_MS
"""`itsGnCbfMaxTime`."""

LASTING_NS = 2 * NS_PER_S
"""What has so long to live is taken to get as far as its hops: ten of them wait a second at most."""

MAX_PROGRESS_M = 1_000.0
"""`itsGnDefaultMaxCommunicationRange`."""

MAX_PACKETS = 128
"""Packets waiting; when it is full, a new one is not taken."""

MAX_OCTETS = 128 << 10
"""Octets waiting."""

MAX_PACKETS_PER_SIGNER = 32
"""Packets of one signer waiting: nobody's flood costs another's hazard its place."""


def contention_ns(progress_m: float | None) -> int:
    """Return how long a packet waits, `TO_MIN_NS`..`TO_MAX_NS`.

    Args:
        progress_m: how much further the packet gets through us than it got, metres; None where that is not known.
    """
    if progress_m is None or progress_m <= 0.0:
        return TO_MAX_NS
    return max(TO_MIN_NS, round(TO_MAX_NS - (TO_MAX_NS - TO_MIN_NS) * progress_m / MAX_PROGRESS_M))


UNDATED = MonotonicNs(0)
"""When what nobody dated was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A packet that waits on one link.

    Attributes:
        packet: as it will be sent, one hop less than it came with.
        signed: its octets from behind the Basic Header, by which copies are known.
        link: where it will be sent.
        hops: left in it.
        signer: whose ticket signed it.
        priority: identifier of its traffic class.
        due: when it is sent unless a copy is heard before.
        expires: from then on it is of no use.
        is_lasting: whether it had a while to live when it came.
        subject: as in `Geocast`.
        made: likewise.
    """

    packet: bytes
    signed: bytes
    link: str
    hops: int
    signer: HashedId8
    priority: int
    due: MonotonicNs
    expires: MonotonicNs
    is_lasting: bool = True
    subject: str | None = None
    made: MonotonicNs = UNDATED

    @property
    def key(self) -> "ContenderKey":
        """What it takes the place of."""
        return self.signed, self.link, self.is_lasting


ContenderKey = tuple[bytes, str, bool]
"""Signed octets, link, and whether it has a while to live."""


def lives_as_long(expires: MonotonicNs, ours: MonotonicNs, now: MonotonicNs) -> bool:
    """Say whether a copy is of use until ours would be, or at least for a while."""
    return expires >= min(ours, now + LASTING_NS)


class ContentionBuffer:
    """Packets that wait to be forwarded.

    Args:
        max_packets: how many.
        max_octets: likewise.
        max_packets_per_signer: likewise, of one signer.
    """

    def __init__(
        self,
        *,
        max_packets: int = MAX_PACKETS,
        max_octets: int = MAX_OCTETS,
        max_packets_per_signer: int = MAX_PACKETS_PER_SIGNER,
    ) -> None:
        self._max_packets = max_packets
        self._max_octets = max_octets
        self._max_packets_per_signer = max_packets_per_signer
        self._waiting: dict[ContenderKey, Contender] = {}
        self._by_signer: Counter[HashedId8] = Counter()
        self._octets = 0

    def __len__(self) -> int:
        """Return how many packets wait."""
        return len(self._waiting)

    @property
    def octets(self) -> int:
        """Octets that wait."""
        return self._octets

    def enter(self, contender: Contender) -> bool:
        """Let a packet wait, in place of the same on the same link; False when there is no room."""
        self._remove(contender.key)
        if (
            len(self._waiting) >= self._max_packets
            or self._octets + len(contender.packet) > self._max_octets
            or self._by_signer[contender.signer] >= self._max_packets_per_signer
        ):
            return False
        self._waiting[contender.key] = contender
        self._by_signer[contender.signer] += 1
        self._octets += len(contender.packet)
        return True

    def overheard(self, signed: bytes, link: str, hops: int, expires: MonotonicNs, now: MonotonicNs) -> bool:
        """Take note of a copy with so many hops left, of use until `expires`; returns whether ours was given up for it."""
        given_up = False
        for is_lasting in (True, False):
            ours = self._waiting.get((signed, link, is_lasting))
            if ours is not None and hops >= ours.hops and lives_as_long(expires, ours.expires, now):
                self._remove(ours.key)
                given_up = True
        return given_up

    def poll(self, now: MonotonicNs) -> list[Contender]:
        """Return the packets whose time has come, in order of time."""
        due = sorted((each for each in self._waiting.values() if each.due <= now), key=lambda each: each.due)
        for each in due:
            self._remove(each.key)
        return due

    def next_due(self) -> MonotonicNs | None:
        """Return when the next packet's time comes, None when none waits."""
        return min((each.due for each in self._waiting.values()), default=None)

    def _remove(self, key: ContenderKey) -> None:
        gone = self._waiting.pop(key, None)
        if gone is None:
            return
        self._octets -= len(gone.packet)
        self._by_signer[gone.signer] -= 1
        if not self._by_signer[gone.signer]:
            del self._by_signer[gone.signer]
