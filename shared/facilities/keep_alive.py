"""Keep-alive forwarding (EN 302 637-3 V1.3.1 6.1.4.2, 8.3.2): a warning stays where it matters when its originator has left.

A station inside the destination area that has not heard a live event for T_Forwarding, twice the event's transmission interval and
up to 150 ms more, says it again: the latest version, in its originator's own signed packet. Whoever hears that waits anew. A
cancellation is kept alive in place of what it cancels, until the event would have run out, so that those who come late, or have
missed it, learn that it is over.

The standard lets a forwarder speak in its own name. Here it only repeats: sender, signature and content stay, so nobody has to
believe a forwarder; one hop less is left. Where the lifetime in the unsigned Basic Header would have passed, it is extended to as
long as a DENM is believed after it was signed; beyond that nobody believes the packet, and it is let go.

Which events are live, and whose they are, `ReceivedEvents` knows: what it has refused, what is ours, and what was negated is not
kept. Left out: negations, which are not kept alive, and events that state no transmission interval or came by a single hop, which
the standard does not forward.
"""

from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from shared.core.clock import NS_PER_MS, NS_PER_S, NS_PER_US, Instant, MonotonicNs
from shared.core.entropy import Entropy
from shared.core.errors import DecodeError
from shared.core.geo import GeoPoint
from shared.core.itstime import Time64, TimestampIts
from shared.facilities.received_events import EventKey, ReceivedEvents
from shared.messages.denm import Denm, Termination
from shared.network.area import MAX_AREA_KM2, Area
from shared.network.headers import (
    BASIC_HEADER_OCTETS,
    HOP_LIMIT_OCTET,
    LIFETIME_OCTET,
    MAX_LIFETIME_MS,
    encode_lifetime,
    forwarded,
    lifetime_ns,
)
from shared.network.packet import decode_gn_pdu
from shared.security.freshness import DENM_MAX_AGE_US, trusted_time64
from shared.security.secured_data import SignedData, UnsecuredData, decode_secured_data
from shared.stack.indication import Indication

INTERVALS = 2
"""T_Forwarding, in transmission intervals."""

MAX_JITTER_NS = 150 * NS_PER_MS
"""T_Forwarding: what is drawn in addition, so that of several stations one comes first."""

MIN_FORWARDING_NS = NS_PER_S
"""Whatever the transmission interval, nothing is repeated sooner."""

MAX_REPEATS = 300
"""How often one signed packet is repeated by us."""

MAX_KEPT = 64
"""Most events kept alive; beyond it the ticket with most of them loses the one heard longest ago."""

MAX_KEPT_PER_TICKET = 8
"""Most of one ticket's."""

MAX_KEPT_OCTETS = 48 * 1_024
"""Their packets together."""

MAX_AT_ONCE = 4
"""Packets of one poll; the others wait for the next."""

AT_ONCE_APART_NS = 50 * NS_PER_MS
"""From one poll with packets to the next."""

STALE_MARGIN_NS = 2 * NS_PER_S
"""A packet is let go this long before nobody believes it any more, and its lifetime extended this long before its end."""

LAST_HOP = 1
"""With so many hops left a packet has arrived."""

_DRAW_OCTETS = 4


@dataclass(slots=True, kw_only=True)
class _Kept:
    """One event kept alive.

    Attributes:
        packet: as it came, the most hops left of all copies.
        max_hop_limit: hops it began with; signed, as those left are not.
        reference_time: of the version.
        generation_time: when the packet was signed.
        signed_at: likewise, on the clock that never jumps.
        is_cancellation: it says that the event is over.
        area: where it is to be heard.
        period_ns: T_Forwarding without what is drawn.
        valid_until: T_F_Validity.
        due: end of T_Forwarding.
        repeats: by us.
    """

    packet: bytes
    max_hop_limit: int
    reference_time: TimestampIts
    generation_time: Time64
    signed_at: MonotonicNs
    is_cancellation: bool
    area: Area
    period_ns: int
    valid_until: MonotonicNs
    due: MonotonicNs
    repeats: int = 0

    @property
    def expires(self) -> MonotonicNs:
        """When it is let go: it is not valid any more, or nobody believes the packet."""
        return MonotonicNs(min(self.valid_until, self.signed_at + DENM_MAX_AGE_US * NS_PER_US - STALE_MARGIN_NS))


class KeepAlive:
    """Repeats what others have said, where and while it matters.

    Args:
        events: knows which events are live; hears each DENM too, before or after `heard` is called.
        entropy: returns that many random octets.
    """

    def __init__(self, events: ReceivedEvents, *, entropy: Entropy) -> None:
        self._events = events
        self._entropy = entropy
        self._kept: OrderedDict[EventKey, _Kept] = OrderedDict()
        self._by_octets: dict[bytes, EventKey] = {}
        self._not_before = MonotonicNs(0)
        self._counters: Counter[str] = Counter()

    def __len__(self) -> int:
        """How many events are kept alive."""
        return len(self._kept)

    @property
    def counters(self) -> Mapping[str, int]:
        """How many packets were repeated and suppressed, and why others were let go."""
        return dict(self._counters)

    def heard(self, packet: bytes, indication: Indication, now: Instant) -> None:
        """Take a verified geocast in its packet; what is no DENM, or need not be kept alive, is no matter.

        Whether `ReceivedEvents` has accepted it shows when it would be repeated.

        Raises:
            UntrustedTimeError: UTC is not known.
        """
        heard, area = indication.of(Denm), indication.area
        if heard is None or area is None or area.size_km2 > MAX_AREA_KM2:
            return
        denm, key = heard.message, (heard.message.action_id, heard.signer.hashed_id8)
        is_cancellation = denm.termination is Termination.IS_CANCELLATION
        if (denm.termination is not None and not is_cancellation) or self._events.is_own(key[1]):
            return
        kept = self._kept.get(key)
        if kept is not None and (denm.reference_time, heard.generation_time) <= (kept.reference_time, kept.generation_time):
            if denm.reference_time == kept.reference_time:
                self._put_off(kept, now.monotonic)
            return
        its_us = trusted_time64(now)
        signed_at = MonotonicNs(now.monotonic - (its_us - heard.generation_time) * NS_PER_US)
        valid_until = now.monotonic + (denm.detection_time + denm.validity_duration_s * 1_000) * NS_PER_MS - its_us * NS_PER_US
        if is_cancellation and kept is not None:
            valid_until = max(valid_until, kept.valid_until)
        if denm.transmission_interval_ms is not None:
            period_ns = max(INTERVALS * denm.transmission_interval_ms * NS_PER_MS, MIN_FORWARDING_NS)
        elif is_cancellation and kept is not None:
            period_ns = kept.period_ns
        else:
            return
        self._drop(key)
        self._make_room(key, len(packet))
        entry = _Kept(
            packet=packet,
            max_hop_limit=_max_hop_limit(packet),
            reference_time=denm.reference_time,
            generation_time=heard.generation_time,
            signed_at=signed_at,
            is_cancellation=is_cancellation,
            area=area,
            period_ns=period_ns,
            valid_until=MonotonicNs(valid_until),
            due=now.monotonic,
        )
        self._put_off(entry, now.monotonic)
        self._kept[key] = entry
        self._by_octets[packet[BASIC_HEADER_OCTETS:]] = key

    def copied(self, packet: bytes, now: MonotonicNs) -> None:
        """Take a packet as it came, before anything is known of it: a copy of one that is kept makes ours superfluous for now.

        Not one whose unsigned octets are such that nobody would take it for anything.
        """
        key = self._by_octets.get(packet[BASIC_HEADER_OCTETS:])
        if key is None:
            return
        kept = self._kept[key]
        if not _is_heeded(packet, kept, now):
            self._counters["copies_of_no_use"] += 1
            return
        if kept.packet[HOP_LIMIT_OCTET] < packet[HOP_LIMIT_OCTET]:
            kept.packet = packet
        self._counters["suppressed"] += 1
        self._put_off(kept, now)

    def poll(self, now: MonotonicNs, position: GeoPoint | None) -> tuple[bytes, ...]:
        """Return the packets to be sent now; what has ended, run out, or is meant for elsewhere is let go.

        Args:
            now: the present.
            position: where we are; None while that is unknown, when nothing is sent.
        """
        packets: list[bytes] = []
        for key, kept in tuple(self._kept.items()):
            if (reason := self._why_over(key, kept, now, position)) is not None:
                self._drop(key)
                self._counters[reason] += 1
            elif kept.due > now:
                continue
            elif position is None:
                self._put_off(kept, now)
            elif len(packets) < MAX_AT_ONCE and now >= self._not_before:
                packets.append(_again(kept, now))
                kept.repeats += 1
                self._counters["repeated"] += 1
                self._put_off(kept, now)
        if packets:
            self._not_before = MonotonicNs(now + AT_ONCE_APART_NS)
        return tuple(packets)

    def next_due(self) -> MonotonicNs | None:
        """Return when `poll` next has something to do; None while nothing is kept."""
        due = min((min(kept.due, kept.expires) for kept in self._kept.values()), default=None)
        return None if due is None else max(due, self._not_before)

    def _why_over(self, key: EventKey, kept: _Kept, now: MonotonicNs, position: GeoPoint | None) -> str | None:
        if kept.expires <= now:
            return "expired"
        if not self._is_in_force(key, kept):
            return "ended"
        if position is not None and not kept.area.contains(position):
            return "left"
        if kept.packet[HOP_LIMIT_OCTET] <= LAST_HOP:
            return "no_hops"
        return "often_enough" if kept.repeats >= MAX_REPEATS else None

    def _is_in_force(self, key: EventKey, kept: _Kept) -> bool:
        """Whether this is what holds now: neither refused, nor overtaken by something that was not kept."""
        event = self._events.get(key)
        if kept.is_cancellation:
            return event is None and self._events.remembered_until(key) is not None
        return event is not None and event.denm.reference_time == kept.reference_time

    def _put_off(self, kept: _Kept, now: MonotonicNs) -> None:
        drawn_ns = int.from_bytes(self._entropy(_DRAW_OCTETS), "big") % MAX_JITTER_NS
        kept.due = MonotonicNs(now + kept.period_ns + drawn_ns)

    def _make_room(self, key: EventKey, octets: int) -> None:
        of_ticket = [other for other in self._kept if other[1] == key[1]]
        if len(of_ticket) >= MAX_KEPT_PER_TICKET:
            self._let_go(of_ticket[0])
        while self._kept and (
            len(self._kept) >= MAX_KEPT or sum(len(kept.packet) for kept in self._kept.values()) + octets > MAX_KEPT_OCTETS
        ):
            by_ticket = Counter(ticket for _, ticket in self._kept)
            self._let_go(max(self._kept, key=lambda kept: by_ticket[kept[1]]))

    def _let_go(self, key: EventKey) -> None:
        self._drop(key)
        self._counters["no_room"] += 1

    def _drop(self, key: EventKey) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._by_octets.pop(kept.packet[BASIC_HEADER_OCTETS:], None)


def _max_hop_limit(packet: bytes) -> int:
    """Return what a verified packet's signed header says."""
    signed = decode_secured_data(packet[BASIC_HEADER_OCTETS:]).content
    if not isinstance(signed, SignedData) or signed.payload is None or not isinstance(signed.payload.content, UnsecuredData):
        raise DecodeError("keep_alive.packet", "it is not the signed packet that was verified")
    return decode_gn_pdu(signed.payload.content.payload).common.max_hop_limit


def _is_heeded(packet: bytes, kept: _Kept, now: MonotonicNs) -> bool:
    """Whether a copy is one that whoever hears it can take for the event: its version, hops and lifetime are not signed."""
    return (
        packet[0] == kept.packet[0]
        and LAST_HOP <= packet[HOP_LIMIT_OCTET] <= kept.max_hop_limit
        and now - kept.signed_at < lifetime_ns(packet)
    )


def _again(kept: _Kept, now: MonotonicNs) -> bytes:
    """Return the packet with one hop less and, where it would have passed, a longer lifetime."""
    packet = forwarded(kept.packet)
    if now - kept.signed_at + STALE_MARGIN_NS < lifetime_ns(packet):
        return packet
    return packet[:LIFETIME_OCTET] + bytes([encode_lifetime(MAX_LIFETIME_MS)]) + packet[LIFETIME_OCTET + 1 :]
