"""Between radio and verification: what is verified next, and what not at all when there is too much. Sans-IO.

While no more than one batch waits, packets pass in order of arrival and nobody looks at them. Once more waits, each is sorted by
what it claims (`shared.security.peek`). Claims are no proof, so they decide on order only, and none is worth more than a share:

    lane               who, what                                              of each batch at least
    urgent             known senders: DENM, SPATEM                            14
    urgent strangers   certificates not seen yet: DENM, SPATEM                 3
    cam                known senders: CAM                                      8
    other              known senders: every other service                      3
    strangers          certificates not seen yet: CAM and the rest             3
    unreadable         what does not look like a message                       1

What a lane leaves over goes to the first that has use for it, from the top. A sender is known once something under its ticket has
verified; nobody can make up known senders, and their places are in `SenderLane`. The lanes of strangers are fair samples of what
comes, because whoever makes up certificates can make up any number of them. Messages that name a ticket nobody has shown, or a
service that is not ours, are refused for next to nothing and travel beside the batch.

The delay is bounded because what is too old, or past the lifetime in its Basic Header, is dropped, and memory because places, lanes
and octets have limits. `shed` counts by reason: stale, superseded by a newer verified CAM, crowded out by packets under the same
name, crowded out among strangers.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType

from shared.core.clock import NS_PER_MS, Instant, MonotonicNs
from shared.core.ids import HashedId8, ItsAid
from shared.network.headers import BASIC_HEADER_OCTETS, LIFETIME_OCTET, decode_lifetime
from shared.security.peek import peek_claims
from shared.stack.arrival import UNKNOWN_ARRIVAL, Arrival
from shared.stack.common_lane import CommonLane
from shared.stack.sender_lane import SHED_STALE, SenderLane, Waiting
from shared.stack.station import HEARD_ITS_AIDS

BATCH_PACKETS = 32
"""Packets taken at once: some two milliseconds of elliptic curve."""

LIGHT_PACKETS = 64
"""Packets taken beside a batch because refusing them costs next to nothing."""

MAX_WAIT_NS: dict[int, int] = {ItsAid.CAM: 120 * NS_PER_MS, ItsAid.TLM: 300 * NS_PER_MS, ItsAid.DENM: 2_000 * NS_PER_MS}
"""How long a packet may wait, by service: a CAM about as long as its sender takes to send the next."""

GENERIC_MAX_WAIT_NS = 1_000 * NS_PER_MS
"""For every other service, and for what cannot be read."""

PLACE_PACKETS = 64
"""Packets of one sender that wait in one lane: all hazards of a roadside unit at once, and more than a batch, so that where only
one sender's name is flooded its place can use all the time there is."""

STRANGERS_PACKETS = 128
"""Packets in each lane without known senders."""

SCARCE_OCTETS = 8 << 20
"""Octets waiting in the lanes of known senders, beyond which each sender keeps one packet."""

LIFETIMES_NS = tuple(decode_lifetime(octet) * NS_PER_MS for octet in range(256))
"""What each lifetime octet of a Basic Header says."""

MAX_LIFETIME_NS = max(LIFETIMES_NS)

_URGENT = frozenset((ItsAid.DENM, ItsAid.TLM))


class AdmissionQueue:
    """Packets that wait for their verification.

    Args:
        knows: whether something under a ticket has verified lately (`Station.knows`).
        lot: draws; must not be guessable, for it decides which packets of a flood are looked at.
    """

    def __init__(self, *, knows: Callable[[HashedId8, Instant], bool], lot: Random) -> None:
        self._knows = knows
        self._shed: Counter[str] = Counter()
        self._urgent = SenderLane(depth=PLACE_PACKETS, newest_first=False, lot=lot, shed=self._shed)
        self._cam = SenderLane(depth=PLACE_PACKETS, newest_first=True, lot=lot, shed=self._shed)
        self._other = SenderLane(depth=PLACE_PACKETS, newest_first=False, lot=lot, shed=self._shed)
        self._urgent_strangers = CommonLane(capacity=STRANGERS_PACKETS, lot=lot, shed=self._shed)
        self._strangers = CommonLane(capacity=STRANGERS_PACKETS, lot=lot, shed=self._shed)
        self._unreadable = CommonLane(capacity=STRANGERS_PACKETS, lot=lot, shed=self._shed)
        self._light = CommonLane(capacity=4 * LIGHT_PACKETS, lot=lot, shed=self._shed)
        self._shares: tuple[tuple[SenderLane | CommonLane, int], ...] = (
            (self._urgent, 14),
            (self._urgent_strangers, 3),
            (self._cam, 8),
            (self._other, 3),
            (self._strangers, 3),
            (self._unreadable, 1),
        )
        self._arrivals: list[tuple[bytes, Instant, Arrival]] = []
        self._is_sorting = False

    def __len__(self) -> int:
        return len(self._arrivals) + self._light.packets + sum(lane.packets for lane, _ in self._shares)

    @property
    def octets(self) -> int:
        """Octets of everything that waits."""
        lanes = self._light.octets + sum(lane.octets for lane, _ in self._shares)
        return lanes + sum(len(packet) for packet, _, _ in self._arrivals)

    @property
    def shed(self) -> Mapping[str, int]:
        """Packets dropped without a look, by reason."""
        return MappingProxyType(self._shed)

    def offer(self, packet: bytes, received: Instant, arrival: Arrival = UNKNOWN_ARRIVAL) -> None:
        """Let a packet wait, or drop and count it or another.

        Args:
            packet: from the Basic Header on.
            received: when it arrived; not before the packet offered last.
            arrival: how it came; kept with it.
        """
        if self._is_sorting:
            self._sort(packet, received, arrival)
            return
        self._arrivals.append((packet, received, arrival))
        if len(self._arrivals) > BATCH_PACKETS:
            self._is_sorting = True
            for earlier in self._arrivals:
                self._sort(*earlier)
            self._arrivals.clear()

    def take(self, now: MonotonicNs, most: int = BATCH_PACKETS) -> list[Waiting]:
        """Return what is to be verified next; empty when nothing waits.

        Args:
            now: the present.
            most: packets of a batch, 1..`BATCH_PACKETS`; every lane's share is that much smaller, but at least one. At most two
                thirds of what is returned are refused for next to nothing.
        """
        if not self._is_sorting:
            taken = []
            for packet, received, arrival in self._arrivals[:most]:
                stale_at = MonotonicNs(received.monotonic + GENERIC_MAX_WAIT_NS)
                if _stale_at(packet, received.monotonic, MAX_LIFETIME_NS) > now:
                    taken.append(Waiting(packet, stale_at, arrival=arrival))
                else:
                    self._shed[SHED_STALE] += 1
            del self._arrivals[:most]
            return taken
        taken = []
        for lane, share in self._shares:
            _take(lane, max(1, share * most // BATCH_PACKETS), now, taken)
        for lane, _ in self._shares:
            _take(lane, most - len(taken), now, taken)
        _take(self._light, LIGHT_PACKETS * most // BATCH_PACKETS, now, taken)
        self._is_sorting = len(self) > 0
        return taken

    def settle(self, waiting: Waiting, now: MonotonicNs, *, is_verified: bool) -> None:
        """Take note of what became of a packet that was taken."""
        if waiting.place is not None:
            waiting.place.lane.settle(waiting.place, waiting, now, is_verified=is_verified)

    def _sort(self, packet: bytes, received: Instant, arrival: Arrival) -> None:
        now = received.monotonic
        claims = peek_claims(packet, BASIC_HEADER_OCTETS)
        if claims is None:
            self._unreadable.offer(Waiting(packet, MonotonicNs(now + GENERIC_MAX_WAIT_NS), arrival=arrival))
            return
        stale_at = _stale_at(packet, now, MAX_WAIT_NS.get(claims.psid, GENERIC_MAX_WAIT_NS))
        waiting = Waiting(packet, stale_at, claims.generation_time, arrival=arrival)
        if claims.psid not in HEARD_ITS_AIDS:
            self._light.offer(waiting)
        elif self._knows(claims.signer, received):
            lane = self._cam if claims.psid == ItsAid.CAM else self._urgent if claims.psid in _URGENT else self._other
            is_scarce = self._cam.octets + self._urgent.octets + self._other.octets >= SCARCE_OCTETS
            if not lane.offer(waiting, claims.signer, now, is_scarce=is_scarce):
                self._strangers.offer(waiting)
        elif not claims.shows_certificate:
            self._light.offer(waiting)
        elif claims.psid in _URGENT:
            self._urgent_strangers.offer(waiting)
        else:
            self._strangers.offer(waiting)


def _stale_at(packet: bytes, received: MonotonicNs, max_wait_ns: int) -> MonotonicNs:
    """Return until when a packet may wait: so long, and no longer than it says that it is of use. One that says never is judged."""
    lifetime_ns = LIFETIMES_NS[packet[LIFETIME_OCTET]] if len(packet) > LIFETIME_OCTET else 0
    return MonotonicNs(received + (min(lifetime_ns, max_wait_ns) or max_wait_ns))


def _take(lane: SenderLane | CommonLane, count: int, now: MonotonicNs, taken: list[Waiting]) -> None:
    for _ in range(count):
        waiting = lane.take(now)
        if waiting is None:
            return
        taken.append(waiting)
