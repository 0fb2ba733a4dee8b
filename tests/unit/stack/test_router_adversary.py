"""A random adversary with valid tickets against a roadside unit on two links: whatever comes, it lives, speaks and stays small.

It signs geocasts, beacons and CAMs with absurd areas, places, times, lifetimes, hops and addresses, cancels and negates what others
announced, replays whatever was ever on the air with other unsigned octets, forges senders of frames, and sends junk; meanwhile the
unit's UTC is lost, jumps and comes back.
"""

from collections import Counter
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from rsu_agent.agent import RsuAgent
from rsu_agent.composition import RsuParts, make_agent
from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import ActionId, BtpPort, ItsAid, StationId
from shared.core.itstime import TimestampIts
from shared.facilities.keep_alive import MAX_KEPT, MAX_REPEATS
from shared.facilities.received_events import MAX_EVENTS
from shared.messages.cdd import CauseCode
from shared.messages.denm import Termination, encode_denm
from shared.network.address import GnAddress
from shared.network.area import Circle, Ellipse, Rectangle
from shared.network.btp import BtpB
from shared.network.contention import MAX_PACKETS as MAX_CONTENDING
from shared.network.dcc import SHORT_T_OFF_NS
from shared.network.extended import GacHeader, GbcHeader
from shared.network.forwarding import MAX_CONTENTIONS
from shared.network.gatekeeper import CLASSES, QUEUE_PACKETS
from shared.network.headers import BASIC_HEADER_OCTETS, TrafficClass
from shared.network.packet import encode_beacon, encode_gn_payload
from shared.network.position_vector import LongPositionVector
from shared.pki.permission_sets import StationRole
from shared.security.header_info import GenerationLocation, HeaderInfo
from shared.security.region import Location
from shared.stack.arrival import Arrival
from shared.stack.effects import Effect, Transmit
from shared.stack.router import Forwarding
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import HERE, denm_of, forged_packet, header_at, make_peer
from tests.helpers.pools import pool_of

HIERARCHY = Hierarchy(1)
TICKETS = [HIERARCHY.ticket() for _ in range(6)]
LINKS = ("air", "cell")
PLACES = (
    HERE,
    GeoPoint(90.0, 0.0),
    GeoPoint(-90.0, 180.0),
    GeoPoint(0.0, -180.0),
    GeoPoint(HERE.lat_deg, -HERE.lon_deg),
    displaced(HERE, 400.0, 300.0),
    displaced(HERE, -3_000.0, 0.0),
)
PACKETS = 3_000
"""Of the adversary in one run; the bounds hold for any number."""


class Adversary:
    """Makes up packets.

    Args:
        lot: the only source of chance.
        victim: whose name and address it borrows now and then.
    """

    def __init__(self, lot: Random, victim: RsuAgent) -> None:
        self.lot = lot
        self.victim = victim
        self.recorded: list[bytes] = []
        self._station = make_peer(HIERARCHY, 1, ticket=TICKETS[0])
        self._ids = [StationId(number) for number in (1, 2, 3)]

    def packet(self, now: Instant) -> bytes:
        """Return something to be sent."""
        act = self.lot.random()
        if act < 0.45 and self.recorded:
            return self._spoiled(self.lot.choice(self.recorded[-200:] if act < 0.3 else self.recorded))
        if act < 0.5:
            return self.lot.randbytes(self.lot.choice((0, 1, 3, 4, 40, 1_400, 3_000)))
        made = self._beacon(now) if act < 0.6 else self._geocast(now)
        self.recorded.append(made)
        return made

    def arrival(self) -> Arrival:
        """Return how it is said to come."""
        mac = self.lot.choice(
            (None, self.victim.identity.address.mac, self.lot.randbytes(6), bytes((2, 0, 0, 0, 0, self.lot.randrange(5))))
        )
        return Arrival(self.lot.choice((*LINKS, "", "elsewhere")), mac)

    def _spoiled(self, packet: bytes) -> bytes:
        octets = bytearray(packet)
        if len(octets) < BASIC_HEADER_OCTETS:
            return packet
        if self.lot.random() < 0.7:
            octets[3] = self.lot.choice((0, 1, 2, 8, 9, 10, 255, self.lot.randrange(256)))
        if self.lot.random() < 0.5:
            octets[2] = self.lot.randrange(256)
        if self.lot.random() < 0.2:
            octets[1] = self.lot.randrange(256)
        if self.lot.random() < 0.1:
            octets[self.lot.randrange(len(octets))] ^= 1 << self.lot.randrange(8)
        return bytes(octets[: self.lot.randrange(len(octets))] if self.lot.random() < 0.05 else octets)

    def _vector(self) -> LongPositionVector:
        mac = self.lot.choice(
            (self.victim.identity.address.mac, self.lot.randbytes(6), bytes((2, 0, 0, 0, 0, self.lot.randrange(5))))
        )
        place = self.lot.choice((None, *PLACES))
        return LongPositionVector(
            address=GnAddress(station_type=self.lot.randrange(16), mac=mac),
            timestamp_ms=self.lot.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1, self.lot.randrange(2**32))),
            position=place,
            is_accurate=place is not None and self.lot.random() < 0.7,
            speed_mps=self.lot.choice((None, 0.0, -163.0, 163.0)),
            heading_deg=self.lot.choice((None, 0.0, 359.9)),
        )

    def _beacon(self, now: Instant) -> bytes:
        payload = encode_beacon(self._vector(), is_mobile=self.lot.random() < 0.5)
        header = HeaderInfo(psid=ItsAid.GN_MANAGEMENT, generation_time=header_at(now).generation_time)
        return forged_packet(self.lot.choice(TICKETS), payload, now, header=header)

    def _geocast(self, now: Instant) -> bytes:
        lot = self.lot
        centre, ticket = lot.choice(PLACES[:3] + (HERE,) * 8), lot.choice(TICKETS)
        area = lot.choice(
            (
                Circle(centre=centre, radius_m=lot.choice((1.0, 300.0, 1_700.0))),
                Rectangle(centre=centre, a_m=lot.choice((1.0, 900.0)), b_m=1.0, azimuth_deg=lot.uniform(0.0, 359.0)),
                Ellipse(centre=centre, a_m=900.0, b_m=lot.choice((1.0, 900.0)), azimuth_deg=359.0),
            )
        )
        originator = lot.choice((*self._ids, self.victim.identity.station_id))
        warning = denm_of(self._station, now, point=lot.choice(PLACES), cause=lot.choice(list(CauseCode)))
        changes: dict[str, Any] = {
            "station_id": lot.choice((originator, StationId(lot.randrange(2**32)))),
            "action_id": ActionId(originator, lot.choice((0, 1, 2, 65_535, lot.randrange(65_536)))),
            "termination": lot.choice((None, None, None, Termination.IS_CANCELLATION, Termination.IS_NEGATION)),
            "reference_time": TimestampIts(warning.reference_time + lot.choice((-60_000, -1, 0, 0, 1, 59_000, 61_000))),
            "validity_duration_s": lot.choice((0, 1, 10, 600, 86_400)),
            "transmission_interval_ms": lot.choice((None, 1, 100, 1_000, 10_000)),
        }
        if changes["termination"] is not None:
            changes |= {"cause_code": None, "information_quality": None}
        header = lot.choice((GbcHeader, GbcHeader, GacHeader))
        payload = encode_gn_payload(
            extended=header(sequence_number=lot.choice((0, 65_535, lot.randrange(65_536))), source=self._vector(), area=area),
            btp=BtpB(destination_port=lot.choice((BtpPort.DENM, BtpPort.DENM, BtpPort.CAM))),
            message=encode_denm(replace(warning, **changes)),
            traffic_class=TrafficClass(priority=lot.randrange(64), store_carry_forward=lot.random() < 0.2),
            is_mobile=True,
            max_hop_limit=lot.choice((1, 2, 10, 255)),
        )
        generated = header_at(now).generation_time
        assert generated is not None
        age_us = lot.choice((0, 0, 0, 30_000, 3_000_000, 599_000_000, -40_000, -3_000_000))
        place = GenerationLocation(location=Location.of(lot.choice(PLACES)), elevation=4_095)
        signed = HeaderInfo(psid=ItsAid.DENM, generation_time=type(generated)(generated - age_us), generation_location=place)
        return forged_packet(
            ticket, payload, now, header=signed, hops=lot.choice((1, 2, 9, 10)), lifetime_ms=lot.choice((50, 1_000, 60_000))
        )


@pytest.mark.parametrize("seed", range(3))
def test_whatever_an_adversary_sends_the_unit_lives_speaks_and_stays_small(seed: int) -> None:
    run(seed, PACKETS)


def run(seed: int, packets: int) -> RsuAgent:
    """Let an adversary have its way with a unit; returns the unit."""
    lot = Random(seed)
    ticket = HIERARCHY.ticket(StationRole.RSU)
    parts = RsuParts(
        station_id=StationId(4_049),
        position=HERE,
        ticket=ticket,
        trust_store=HIERARCHY.trust_store,
        tickets=pool_of(ticket),
        junction=None,
        hazards=(),
        forwarding=Forwarding.ALL_LINKS,
    )
    agent = make_agent(parts, entropy=Random(seed).randbytes)
    agent.router.set_links(LINKS)
    adversary, clock = Adversary(lot, agent), clock_at()
    sent: Counter[tuple[bytes, frozenset[str] | None]] = Counter()
    last_sent = MonotonicNs(0)
    started = clock.now().monotonic
    trusted_ns, utc_shift_ns, is_known = 0, 0, True
    for _ in range(packets):
        before = clock.now()
        if lot.random() < (0.002 if is_known else 0.02):
            is_known = not is_known
        if lot.random() < (0.002 if utc_shift_ns == 0 else 0.02):
            utc_shift_ns = lot.choice((-3_600, -1, 1, 3_600)) * NS_PER_S if utc_shift_ns == 0 else 0
        clock.advance(round(lot.expovariate(1 / 30) * NS_PER_MS))
        true = clock.now()
        utc = UtcNs(true.require_utc() + utc_shift_ns) if is_known else None
        trusted_ns += (true.monotonic - before.monotonic) * is_known
        now = Instant(true.monotonic, utc)
        effects: list[Effect] = [*agent.on_packet(adversary.packet(true), now, adversary.arrival())]
        for _ in range(20):
            if agent.next_due() > now.monotonic:
                break
            effects += agent.on_timer(now)
        else:
            pytest.fail("the unit wants to be called again and again and does nothing")
        for effect in effects:
            if isinstance(effect, Transmit):
                assert now.monotonic - last_sent >= min(SHORT_T_OFF_NS), "it keeps to the gate"
                last_sent = now.monotonic
                sent[effect.packet[BASIC_HEADER_OCTETS:], effect.links] += 1
                adversary.recorded.append(effect.packet)
        assert_is_small(agent)
    assert max(sent.values()) <= MAX_CONTENTIONS + MAX_REPEATS
    assert sum(sent.values()) <= (clock.now().monotonic - started) // min(SHORT_T_OFF_NS) + 1
    assert agent.sent["cam"] >= 0.7 * trusted_ns / NS_PER_S - 5, "it goes on saying that it is there"
    return agent


def assert_is_small(agent: RsuAgent) -> None:
    """Check the bounds of everything that an adversary can fill."""
    status = agent.router.status()
    dcc = status["dcc"]
    assert isinstance(dcc, dict)
    assert dcc["waiting"] <= 2 * CLASSES * QUEUE_PACKETS
    assert isinstance(status["contending"], int)
    assert status["contending"] <= MAX_CONTENDING
    assert isinstance(status["neighbours"], int)
    assert status["neighbours"] <= len(TICKETS)
    assert len(agent._events) <= MAX_EVENTS
    assert len(agent._keep_alive) <= MAX_KEPT
