"""GeoNetworking around one station (EN 302 636-4-1 V1.4.1): who is near, what is passed on, and when the channel is ours. Sans-IO.

    say(message)   -> station.send -> gate (reactive DCC) ->  Transmit now, or later from `poll`
    every packet   -> channel load                                       (before anybody looks at it)
    verified       -> location table, duplicate address                  every packet, beacons among them
    geocast        -> duplicate packet list, contention -> gate          and handed up only inside its area and lifetime
    copy           -> counted; may make ours superfluous
    silence        -> beacon, three seconds after our last packet

Nothing unverified gets here but the length of a packet, and the hops and the sender's address of a copy: octets that nobody signs,
so they steer forwarding and nothing else. `shared.stack.inbound` asks this object about every packet.
"""

from collections import Counter
from collections.abc import Iterable

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs
from shared.core.entropy import Entropy
from shared.core.errors import V2xError
from shared.messages.cam import Cam
from shared.messages.denm import Denm
from shared.messages.ivim import Ivim
from shared.messages.spatem import Spatem
from shared.messages.ssem import Ssem
from shared.network.area import Area
from shared.network.channel_load import ChannelLoadMeter
from shared.network.dcc import SHORT_NS, DccState, ReactiveDcc, airtime_ns
from shared.network.duplicate_packet_list import Geocast
from shared.network.forwarding import Forwarder, Forwarding
from shared.network.gatekeeper import Gatekeeper, Outgoing
from shared.network.headers import (
    BASIC_HEADER_OCTETS,
    DEFAULT_HOP_LIMIT,
    HOP_LIMIT_OCTET,
    HeaderType,
    lifetime_ns,
)
from shared.network.location_table import MAC_AT, LocationTable
from shared.stack.arrival import UNKNOWN_ARRIVAL, Arrival
from shared.stack.content_permissions import Message
from shared.stack.effects import Effect, Transmit
from shared.stack.indication import VerifiedBeacon, VerifiedPacket
from shared.stack.packet_checks import age_ns
from shared.stack.station import EgoPosition, Station
from shared.stack.station_identity import drawn_mac

__all__ = ["UNKNOWN_ARRIVAL", "Arrival", "Forwarding", "Router"]

BEACON_INTERVAL_NS = 3 * NS_PER_S
"""`itsGnBeaconServiceRetransmitTimer`."""

MAX_BEACON_JITTER_NS = 750 * NS_PER_MS
"""`itsGnBeaconServiceMaxJitter`."""

T_GEN_CAM_DCC_MIN_NS, T_GEN_CAM_DCC_MAX_NS = 100 * NS_PER_MS, 1_000 * NS_PER_MS
"""Limits of T_GenCam_DCC (EN 302 637-2 V1.4.1 clause 6.1.3)."""

BEACON_PRIORITY = 3
"""Queue of a beacon: whoever has anything to say needs none."""

_HEADER_TYPE_AT, _TRAFFIC_CLASS_AT, _MAX_HOP_LIMIT_AT = 1, 2, 6
_ANYCASTS = frozenset((HeaderType.GAC_CIRCLE, HeaderType.GAC_RECTANGLE, HeaderType.GAC_ELLIPSE))
_PRIORITY = 0x3F
_DRAW_OCTETS = 4


class Router:
    """What a station knows of its neighbours and does for them.

    Args:
        station: signs and verifies.
        forwarding: where others' geocasts are repeated.
        entropy: draws jitter and addresses.
        started: when the station begins to work.
        links: names of its radios.
    """

    def __init__(
        self, *, station: Station, forwarding: Forwarding, entropy: Entropy, started: MonotonicNs, links: Iterable[str] = ()
    ) -> None:
        self._station = station
        self._entropy = entropy
        self._links = tuple(links)
        self._table = LocationTable()
        self._forwarder = Forwarder(forwarding=forwarding, links=self._links, table=self._table, entropy=entropy)
        self._gate = Gatekeeper()
        self._dcc = ReactiveDcc()
        self._load = ChannelLoadMeter(started)
        self._busy_ratio = 0.0
        self._has_channel = True
        self._on_air_ns = SHORT_NS
        self._position: EgoPosition | None = None
        self._has_conflict = False
        self._counts: Counter[str] = Counter()
        self._unsent: Counter[str] = Counter()
        self._own_macs = station.own_macs
        self._silent_since = started
        self._patience_ns = self._drawn_patience_ns()

    @property
    def table(self) -> LocationTable:
        """The stations heard lately."""
        return self._table

    @property
    def t_off_ns(self) -> int:
        """How long the channel asks us to be silent after a packet like our last: T_GenCam_DCC of the CAM service."""
        return min(max(self._dcc.t_off_ns(self._on_air_ns), T_GEN_CAM_DCC_MIN_NS), T_GEN_CAM_DCC_MAX_NS)

    def set_links(self, names: Iterable[str], *, unshared: Iterable[str] = ()) -> None:
        """Name the station's radios, on all of which a roadside unit forwards.

        Args:
            names: all of them.
            unshared: those of them that are no channel shared with others, such as a broker: traffic there is no load, and what is
                heard there is not repeated there. A station without any other leaves no pauses between its packets.
        """
        self._links = tuple(names)
        self._load.unshared = frozenset(unshared)
        self._has_channel = not self._links or not self._load.unshared.issuperset(self._links)
        self._forwarder.set_links(self._links, unshared=self._load.unshared)

    def place(self, position: EgoPosition | None) -> None:
        """Say where we are now; None while that is not known."""
        self._position = position

    def say(
        self,
        message: Message,
        *,
        position: EgoPosition,
        now: Instant,
        area: Area | None = None,
        max_hop_limit: int = DEFAULT_HOP_LIMIT,
    ) -> tuple[Transmit, ...]:
        """Sign a message and let it out, now if the channel is ours; what must wait leaves with `poll`.

        What waits makes room for a newer CAM, newer lights of the same junctions, newer word of the same event. Raises as
        `Station.send`, and takes its arguments.
        """
        packet = self._station.send(message, position=position, now=now, area=area, max_hop_limit=max_hop_limit)
        self._offer_own(packet, self._station.priority_of(message), now.monotonic, _subject(message))
        return self._release(now.monotonic)

    def repeat(self, packet: bytes, *, priority: int, now: MonotonicNs) -> tuple[Transmit, ...]:
        """Let out a packet of somebody else's once more, as `shared.facilities.keep_alive` asks, on all links."""
        self._counts["repeated"] += 1
        geocast = self._station.geocasts.find(packet)
        stale_at = MonotonicNs(now + lifetime_ns(packet))
        signer = None if geocast is None else geocast.signer
        self._gate.offer(Outgoing(packet=packet, links=None, priority=priority, stale_at=stale_at, signer=signer))
        return self._release(now)

    def poll(self, now: Instant) -> tuple[Effect, ...]:
        """Let out what is due: contention that ran out, a beacon, what waited for the gate."""
        past_the_gate: list[Transmit] = []
        for each in self._forwarder.poll(now.monotonic):
            self._counts["forwarded"] += 1
            if each.link in self._load.unshared:  # it takes nobody's time on a channel
                past_the_gate.append(Transmit(each.packet, frozenset((each.link,))))
                continue
            self._gate.offer(
                Outgoing(
                    packet=each.packet,
                    links=frozenset((each.link,)) if each.link else None,
                    priority=each.priority,
                    stale_at=each.expires,
                    signer=each.signer,
                    supersedes=each.subject,
                    made=each.made,
                )
            )
        self._beacon(now)
        return (*past_the_gate, *self._release(now.monotonic))

    def next_due(self) -> MonotonicNs | None:
        """Return when `poll` wants to be called."""
        due = (self._forwarder.next_due(), self._gate.next_due(), None if self._position is None else self._beacon_due)
        return min((each for each in due if each is not None), default=None)

    def close(self, now: Instant) -> tuple[Transmit, ...]:
        """Return everything that still waits for the gate and is of use: the station falls silent after it anyhow."""
        left = self._gate.empty(now.monotonic, self._station.identity.address.mac)
        return tuple(Transmit(each.packet, each.links) for each in left)

    def take_address_conflict(self) -> bool:
        """Say once whether somebody else uses our link-layer address (clause 10.2.1.5): then take another."""
        had, self._has_conflict = self._has_conflict, False
        return had

    def drawn_mac(self) -> bytes:
        """Draw a link-layer address."""
        return drawn_mac(self._entropy)

    def arrived(self, octets: int, arrival: Arrival, now: MonotonicNs) -> None:
        """Take note of a packet on the air, whatever becomes of it."""
        self._load.heard(octets, arrival.link, now)

    def channel_measured(self, busy_ratio: float, now: MonotonicNs) -> None:
        """Take the channel busy ratio, 0..1, of a radio that measures it, instead of the estimate; anew at least once a second."""
        self._load.measured(busy_ratio, now)

    def hear(self, heard: VerifiedPacket | VerifiedBeacon, now: MonotonicNs, *, is_direct: bool = True) -> bool:
        """Enter the sender of a verified packet; it runs for every one.

        Args:
            heard: what was verified.
            now: the present.
            is_direct: it came from its source, not through a forwarder.

        Returns:
            Whether it is our own, come back after more packets than are remembered by their octets.
        """
        vector = heard.position_vector
        if vector[MAC_AT] in self._own_macs:
            return self._under_our_name(heard, vector[MAC_AT])
        self._table.update(vector, heard.claim.ticket.facts.hashed_id8, now, is_neighbour=is_direct)
        return False

    def hear_beacon(self, beacon: VerifiedBeacon, now: MonotonicNs) -> bool:
        """Do the same for a beacon."""
        if self.hear(beacon, now):
            return True
        self._counts["beacons"] += 1
        return False

    def hear_geocast(
        self, heard: VerifiedPacket, message: Message, area: Area, packet: bytes, arrival: Arrival, now: MonotonicNs
    ) -> bool:
        """Take a geocast: remember it, forward it where that is ours to do.

        Args:
            heard: what was verified and found alive.
            message: what it says.
            area: where it is meant to be heard.
            packet: the same from the Basic Header on.
            arrival: how it came.
            now: the present.

        Returns:
            Whether it is for this place. A station that does not know where it is takes everything as meant for it.
        """
        claim = heard.claim
        payload = claim.payload
        geocast = Geocast(
            max_hop_limit=payload[_MAX_HOP_LIMIT_AT],
            area=area,
            priority=payload[_TRAFFIC_CLASS_AT] & _PRIORITY,
            signer=claim.ticket.facts.hashed_id8,
            source=heard.position_vector,
            made=MonotonicNs(now - age_ns(claim)),
            is_anycast=payload[_HEADER_TYPE_AT] in _ANYCASTS,
            subject=_subject(message),
        )
        self._station.geocasts.remember(packet, geocast)
        self._pass_on(packet, geocast, arrival, now)
        position = self._position
        is_here = position is None or area.contains(position.point)
        self._counts["for_here" if is_here else "for_elsewhere"] += 1
        return is_here

    def hear_copy(self, packet: bytes, arrival: Arrival, now: MonotonicNs) -> bool:
        """Take a copy of a geocast that was accepted; returns whether a forwarder repeated it, False for one with all its hops."""
        geocast = self._station.geocasts.find(packet)
        if geocast is None or packet[HOP_LIMIT_OCTET] > geocast.max_hop_limit:
            return False
        self._pass_on(packet, geocast, arrival, now)
        if packet[HOP_LIMIT_OCTET] >= geocast.max_hop_limit:
            return False
        self._counts["copies"] += 1
        return True

    def status(self) -> dict[str, object]:
        """Everything counted so far, as JSON values."""
        return {
            "neighbours": len(self._table),
            "heard": dict(self._counts),
            "forwarding": {key: count for key, count in self._forwarder.counts.items() if count},
            "contending": self._forwarder.waiting,
            "dcc": {
                "state": DccState(self._dcc.state).name.lower(),
                "busy_ratio": round(self._busy_ratio, 3),
                "waiting": len(self._gate),
                "dropped": dict(self._gate.dropped),
            },
            "beacons_unsent": dict(self._unsent),
        }

    def _pass_on(self, packet: bytes, geocast: Geocast, arrival: Arrival, now: MonotonicNs) -> None:
        if arrival.sender_mac == self._station.identity.address.mac:
            return  # what we repeated ourselves, brought back by the medium
        here = None if self._position is None else self._position.point
        self._forwarder.hear(packet, geocast, link=arrival.link, sender_mac=arrival.sender_mac, here=here, now=now)
        hops, expires = packet[HOP_LIMIT_OCTET], MonotonicNs(geocast.made + lifetime_ns(packet))
        if hops < geocast.max_hop_limit and self._gate.withdraw(packet[BASIC_HEADER_OCTETS:], arrival.link, hops, expires, now):
            self._counts["withdrawn"] += 1

    def _offer_own(self, packet: bytes, priority: int, now: MonotonicNs, supersedes: str | None) -> None:
        self._on_air_ns = airtime_ns(len(packet))
        self._silent_since = now
        self._gate.offer(
            Outgoing(
                packet=packet,
                links=None,
                priority=priority,
                stale_at=MonotonicNs(now + lifetime_ns(packet)),
                own_mac=self._station.identity.address.mac,
                supersedes=supersedes,
            )
        )

    def _beacon(self, now: Instant) -> None:
        """Say where we are if nothing else has said it for so long."""
        if self._position is None:
            self._silent_since = now.monotonic
            return
        if now.monotonic < self._beacon_due:
            return
        self._silent_since = now.monotonic
        self._patience_ns = self._drawn_patience_ns()
        try:
            packet = self._station.send_beacon(position=self._position, now=now)
        except V2xError as reason:
            self._unsent[reason.code] += 1
            return
        self._counts["beacons_sent"] += 1
        self._offer_own(packet, BEACON_PRIORITY, now.monotonic, "beacon")

    def _release(self, now: MonotonicNs) -> tuple[Transmit, ...]:
        for busy_ratio in self._load.ratios(now):
            self._dcc.update(busy_ratio)
            self._busy_ratio = busy_ratio
        outgoing = self._gate.take(now, self._station.identity.address.mac)
        if outgoing is None:
            return ()
        octets = len(outgoing.packet)
        if self._has_channel:
            self._gate.sent(now, self._dcc.t_off_ns(airtime_ns(octets)))
        self._load.sent(octets, self._links if outgoing.links is None else outgoing.links, now)
        return (Transmit(outgoing.packet, outgoing.links),)

    def _under_our_name(self, heard: VerifiedPacket | VerifiedBeacon, mac: bytes) -> bool:
        """Say whether a packet under an address of ours is ours; if not, somebody else uses our address."""
        if self._station.is_own_signer(heard.claim.ticket.facts.hashed_id8):
            return True
        if mac == self._station.identity.address.mac:
            self._has_conflict = True
            self._counts["address_conflicts"] += 1
        return False

    @property
    def _beacon_due(self) -> MonotonicNs:
        return MonotonicNs(self._silent_since + self._patience_ns)

    def _drawn_patience_ns(self) -> int:
        return BEACON_INTERVAL_NS + int.from_bytes(self._entropy(_DRAW_OCTETS), "big") % (MAX_BEACON_JITTER_NS + 1)


def _subject(message: Message) -> str | None:
    """Return what a message is about where only the newest word of it matters."""
    match message:
        case Cam():
            return "cam"
        case Denm():
            return f"denm {message.action_id.originating_station_id} {message.action_id.sequence_number}"
        case Spatem():
            return "spatem " + " ".join(f"{each.id.region}/{each.id.number}" for each in message.intersections)
        case Ssem():
            return "ssem " + " ".join(f"{each.id.region}/{each.id.number}" for each in message.statuses)
        case Ivim():
            provider = message.service_provider
            return f"ivim {provider.country_code} {provider.identifier} {message.ivi_identification_number}"
        case _:
            return None


def is_direct(heard: VerifiedPacket, packet: bytes) -> bool:
    """Say whether a geocast still has all its hops: it came from its source."""
    return packet[HOP_LIMIT_OCTET] == heard.claim.payload[_MAX_HOP_LIMIT_AT]
