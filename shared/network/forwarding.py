"""Which geocasts are repeated, where and when: contention-based forwarding (EN 302 636-4-1 V1.4.1 clause 10.3.11, annexes D to F).

    inside the area    by the distance to the sender of the frame: whoever is furthest repeats first; an anycast has arrived
    outside it         towards it: whoever is nearer to its centre than the sender, by how much nearer; last who does not know
    on another link    (`ALL_LINKS`) by lot: nobody has heard a sender there, so no place on it is better than another, and of
                       several stations that bridge the same two links one comes first and the others hear it

Only what was verified gets here, and of that nothing in a larger area than `MAX_AREA_KM2`, nothing with its last hop, nothing
past its lifetime. Where we do not know our own place nothing is forwarded.

The hop limit is not signed. Whoever hears a hazard first can repeat it at once with two hops left, and a station that has
heard it so would go on with one. So a copy with more hops left than any before enters contention anew, with what is left
of them, whatever became of the earlier one. Neither is the lifetime: a copy that has a while to live is forwarded whatever was done
with one that had not, and expires by its own. That raises are few is `MAX_CONTENTIONS`. Left out: unicast, greedy forwarding along
chosen next hops, and store-carry-forward.
"""

from collections import Counter
from collections.abc import Iterable
from enum import Enum

from shared.core.clock import MonotonicNs
from shared.core.entropy import Entropy
from shared.core.geo import GeoPoint, distance_m
from shared.network.area import MAX_AREA_KM2, Area
from shared.network.contention import LASTING_NS, TO_MAX_NS, TO_MIN_NS, Contender, ContentionBuffer, contention_ns
from shared.network.duplicate_packet_list import Geocast
from shared.network.headers import BASIC_HEADER_OCTETS, HOP_LIMIT_OCTET, forwarded, lifetime_ns
from shared.network.location_table import LocationTable
from shared.network.position_vector import decode_long_position_vector

MAX_CONTENTIONS = 64
"""How often one geocast may enter contention, links and raises together: the hop limits of ten hops on three links, twice."""

LAST_HOP = 1
"""With so many hops left a packet has arrived: nobody forwards it."""

_DRAW_OCTETS = 4


class Forwarding(Enum):
    """Where a station repeats others' geocasts."""

    NONE = "none"
    SAME_LINK = "same_link"
    """On the link they were heard on: a vehicle."""
    ALL_LINKS = "all_links"
    """On every link: a roadside unit, which joins its networks."""


class Forwarder:
    """Decides what is forwarded, and lets it wait for its time.

    Args:
        forwarding: where.
        links: names of the station's links.
        table: where the senders are.
        entropy: draws the times on links where nobody was heard.

    Attributes:
        counts: what was decided, by reason.
    """

    def __init__(self, *, forwarding: Forwarding, links: Iterable[str], table: LocationTable, entropy: Entropy) -> None:
        self._forwarding = forwarding
        self._links = tuple(dict.fromkeys(links))
        self._unshared: frozenset[str] = frozenset()
        self._table = table
        self._entropy = entropy
        self._buffer = ContentionBuffer()
        self.counts: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        """Packets in contention."""
        return len(self._buffer)

    def set_links(self, links: Iterable[str], *, unshared: Iterable[str] = ()) -> None:
        """Name the station's links.

        Args:
            links: all of them.
            unshared: those where everybody has heard what we have, such as a broker: nothing heard there is repeated there.
        """
        self._links = tuple(dict.fromkeys(links))
        self._unshared = frozenset(unshared)

    def hear(
        self, packet: bytes, geocast: Geocast, *, link: str, sender_mac: bytes | None, here: GeoPoint | None, now: MonotonicNs
    ) -> bool:
        """Take an accepted geocast or a copy of one: contend, or give ours up.

        Args:
            packet: from the Basic Header on.
            geocast: what is known of it.
            link: where it was heard.
            sender_mac: whose frame it was, if that is known.
            here: our place.
            now: the present.

        Returns:
            Whether a copy of ours that waited on this link is superfluous.
        """
        hops, best = packet[HOP_LIMIT_OCTET], geocast.best_hops
        expires = MonotonicNs(geocast.made + lifetime_ns(packet))
        is_lasting = expires >= now + LASTING_NS
        given_up = False
        for target in self._targets(link):
            if target == link and link in self._unshared:
                best[target, is_lasting] = max(hops, best.get((target, is_lasting), 0))
                given_up = self._buffer.overheard(packet[BASIC_HEADER_OCTETS:], link, hops, expires, now)
                continue
            known = best.get((target, True), 0)
            if hops > (known if is_lasting else max(known, best.get((target, False), 0))):
                best[target, is_lasting] = hops
                self._contend(packet, geocast, link, target, sender_mac, here, now, expires, is_lasting=is_lasting)
            elif target == link and hops < geocast.max_hop_limit:  # with all its hops it is the source's own
                given_up = self._buffer.overheard(packet[BASIC_HEADER_OCTETS:], link, hops, expires, now)
                self.counts["suppressed"] += given_up
        return given_up

    def poll(self, now: MonotonicNs) -> list[Contender]:
        """Return what is to be sent now."""
        due = self._buffer.poll(now)
        alive = [each for each in due if now < each.expires]
        self.counts["expired"] += len(due) - len(alive)
        return alive

    def next_due(self) -> MonotonicNs | None:
        """Return when `poll` wants to be called, None when nothing waits."""
        return self._buffer.next_due()

    def _targets(self, link: str) -> Iterable[str]:
        match self._forwarding:
            case Forwarding.NONE:
                return ()
            case Forwarding.SAME_LINK:
                return (link,)
            case Forwarding.ALL_LINKS:  # without a name a link stands for all of them
                return self._links if link in self._links else (link, *self._links) if link else (link,)

    def _contend(
        self,
        packet: bytes,
        geocast: Geocast,
        link: str,
        target: str,
        sender_mac: bytes | None,
        here: GeoPoint | None,
        now: MonotonicNs,
        expires: MonotonicNs,
        *,
        is_lasting: bool,
    ) -> None:
        hops = packet[HOP_LIMIT_OCTET]
        reason = "expired" if now >= expires else self._why_not(geocast, hops, here)
        if reason is not None or here is None:
            self.counts[reason or "no_position"] += 1
            return
        sender = self._sender(geocast, hops, sender_mac, now)
        progress_m: float | None
        if geocast.area.contains(here):
            if geocast.is_anycast:
                self.counts["arrived"] += 1
                return
            progress_m = None if sender is None else distance_m(sender, here)
        else:
            progress_m = None if sender is None else _progress_towards_m(geocast.area, sender, here)
            if progress_m is not None and progress_m <= 0.0:
                self.counts["no_progress"] += 1
                return
        wait_ns = contention_ns(progress_m) if target == link else self._drawn_ns()
        geocast.contentions += 1
        contender = Contender(
            packet=forwarded(packet),
            signed=packet[BASIC_HEADER_OCTETS:],
            link=target,
            hops=hops - 1,
            signer=geocast.signer,
            priority=geocast.priority,
            due=MonotonicNs(now + wait_ns),
            expires=expires,
            is_lasting=is_lasting,
            subject=geocast.subject,
            made=geocast.made,
        )
        self.counts["contended" if self._buffer.enter(contender) else "buffer_full"] += 1

    def _why_not(self, geocast: Geocast, hops: int, here: GeoPoint | None) -> str | None:
        if hops <= LAST_HOP:
            return "last_hop"
        if here is None:
            return "no_position"
        if geocast.area.size_km2 > MAX_AREA_KM2:
            return "area_too_large"
        if geocast.contentions >= MAX_CONTENTIONS:
            return "too_often"
        return None

    def _sender(self, geocast: Geocast, hops: int, sender_mac: bytes | None, now: MonotonicNs) -> GeoPoint | None:
        """Return where the frame came from, None where that is not known well: the source itself as long as no hop is used."""
        if hops == geocast.max_hop_limit:
            vector = decode_long_position_vector(geocast.source)
        else:
            entry = None if sender_mac is None else self._table.get(sender_mac, now)
            if entry is None or entry.is_disputed(now):
                return None
            vector = entry.vector
        return vector.position if vector.is_accurate else None

    def _drawn_ns(self) -> int:
        return TO_MIN_NS + int.from_bytes(self._entropy(_DRAW_OCTETS), "big") % (TO_MAX_NS - TO_MIN_NS + 1)


def _progress_towards_m(area: Area, sender: GeoPoint, here: GeoPoint) -> float:
    """Return how much nearer to an area's centre we are than the sender.

    A sender inside has brought the packet where it belongs (annex D): nobody outside carries it on.
    """
    if area.contains(sender):
        return 0.0
    return distance_m(sender, area.centre) - distance_m(here, area.centre)
