"""Hostile peers: whoever replays, spoils, floods or borrows names silences neither a station nor what it forwards."""

from collections import Counter
from random import Random

import pytest

from rsu_agent.agent import ADDRESS_PAUSE_NS, RsuAgent
from rsu_agent.composition import RsuParts, make_agent
from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, ManualClock, MonotonicNs
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import BtpPort, ItsAid, StationId
from shared.messages.cam import encode_cam
from shared.messages.denm import encode_denm
from shared.network.address import GnAddress
from shared.network.area import Area, Circle
from shared.network.btp import BtpB
from shared.network.extended import GacHeader, GbcHeader, ShbHeader
from shared.network.headers import HOP_LIMIT_OCTET, LIFETIME_OCTET, TrafficClass, encode_lifetime
from shared.network.packet import ExpiredPacketError, encode_gn_payload
from shared.network.position_vector import LongPositionVector
from shared.pki.permission_sets import StationRole
from shared.security.header_info import GenerationLocation, HeaderInfo
from shared.security.region import Location
from shared.security.sign import TicketCredential
from shared.stack.arrival import Arrival
from shared.stack.batch import SequentialChecker
from shared.stack.effects import Notice, Transmit
from shared.stack.inbound import Inbound
from shared.stack.router import Forwarding, Router
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import HERE, cam_of, denm_of, ego, forged_packet, header_at, make_peer
from tests.helpers.pools import pool_of

HIERARCHY = Hierarchy(1)
TICKETS = [HIERARCHY.ticket() for _ in range(4)]
NEAR = Circle(centre=HERE, radius_m=500.0)
CAR_MAC = b"\x02\0\0\0\0\x01"
FORWARDER_MAC = b"\x02\0\0\0\0\x02"
AIR = Arrival("air", CAR_MAC)


class Listener:
    """A station that hears, speaks and forwards."""

    def __init__(self, point: GeoPoint | None = HERE, *, forwarding: Forwarding = Forwarding.SAME_LINK) -> None:
        self.clock: ManualClock = clock_at()
        self.station = make_peer(HIERARCHY, 99)
        started = self.clock.now().monotonic
        self.router = Router(
            station=self.station, forwarding=forwarding, entropy=Random(9).randbytes, started=started, links=("air",)
        )
        self.inbound = Inbound(self.station, self.router)
        self.point = point
        self.router.place(None if point is None else ego(self.clock.now(), point))

    def hear(self, packet: bytes, arrival: Arrival = AIR) -> bool:
        """Hear one packet; whether it was handed up."""
        return self.inbound.receive(packet, self.clock.now(), arrival) is not None

    def wait(self, seconds: float) -> list[Transmit]:
        """Let time pass, and return what was sent."""
        end = MonotonicNs(self.clock.now().monotonic + round(seconds * NS_PER_S))
        sent: list[Transmit] = []
        while (due := self.router.next_due()) is not None and due <= end:
            now = self.clock.advance_to(MonotonicNs(max(due, self.clock.now().monotonic)))
            sent += [effect for effect in self.router.poll(now) if isinstance(effect, Transmit)]
        self.clock.advance_to(end)
        return sent

    def forwarding(self) -> dict[str, int]:
        """What the forwarder has counted."""
        counts = self.router.status()["forwarding"]
        assert isinstance(counts, dict)
        return counts


def vector(point: GeoPoint | None, mac: bytes, timestamp_ms: int = 7) -> LongPositionVector:
    address = GnAddress(station_type=5, mac=mac)
    return LongPositionVector(
        address=address,
        timestamp_ms=timestamp_ms,
        position=point,
        is_accurate=point is not None,
        speed_mps=0.0,
        heading_deg=0.0,
    )


def geocast(
    at: Instant,
    *,
    ticket: TicketCredential = TICKETS[0],
    area: Area = NEAR,
    point: GeoPoint = HERE,
    mac: bytes = CAR_MAC,
    number: int = 1,
    priority: int = 1,
    kind: type[GbcHeader] | type[GacHeader] = GbcHeader,
) -> bytes:
    """Return a warning as a sender of no manners would put it."""
    warning = denm_of(make_peer(HIERARCHY, 1, ticket=TICKETS[0]), at, point=point, sequence_number=number)
    payload = encode_gn_payload(
        extended=kind(sequence_number=number, source=vector(point, mac), area=area),
        btp=BtpB(destination_port=BtpPort.DENM),
        message=encode_denm(warning),
        traffic_class=TrafficClass(priority=priority),
        is_mobile=True,
    )
    place = GenerationLocation(location=Location.of(point), elevation=4_095)
    header = HeaderInfo(psid=ItsAid.DENM, generation_time=header_at(at).generation_time, generation_location=place)
    return forged_packet(ticket, payload, at, header=header, hops=10, lifetime_ms=60_000)


def cam_under(mac: bytes, at: Instant, point: GeoPoint, ticket: TicketCredential, *, timestamp_ms: int = 7) -> bytes:
    """Return a CAM of a station that uses any address."""
    payload = encode_gn_payload(
        extended=ShbHeader(source=vector(point, mac, timestamp_ms)),
        btp=BtpB(destination_port=BtpPort.CAM),
        message=encode_cam(cam_of(make_peer(HIERARCHY, 1, ticket=TICKETS[0]), at, point)),
        traffic_class=TrafficClass(priority=2),
        is_mobile=True,
    )
    return forged_packet(ticket, payload, at)


def spoiled(packet: bytes, *, hops: int | None = None, lifetime_ms: int | None = None) -> bytes:
    """Change what nobody signs."""
    octets = bytearray(packet)
    if hops is not None:
        octets[HOP_LIMIT_OCTET] = hops
    if lifetime_ms is not None:
        octets[LIFETIME_OCTET] = encode_lifetime(lifetime_ms)
    return bytes(octets)


# --- lifetimes -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hops", [1, 2, 10])
def test_a_copy_that_says_it_is_over_does_not_make_us_deaf_to_the_hazard(hops: int) -> None:
    listener = Listener(displaced(HERE, 300.0, 0.0))
    packet = geocast(listener.clock.now())
    listener.clock.advance(60 * NS_PER_MS)
    assert not listener.hear(spoiled(packet, hops=hops, lifetime_ms=50))
    outcomes = listener.inbound.receive_batch(
        [spoiled(packet, hops=hops, lifetime_ms=50)] * 2, listener.clock.now(), SequentialChecker(), [AIR, AIR]
    )
    assert [isinstance(each, ExpiredPacketError) for each in outcomes] == [True, True]
    assert listener.inbound.refused == {"expired_packet": 3}
    assert listener.hear(packet)
    assert [each.packet[HOP_LIMIT_OCTET] for each in listener.wait(0.2)] == [9]


@pytest.mark.parametrize("hops", [2, 9, 10])
def test_a_copy_with_next_to_no_lifetime_does_not_stop_the_hazard_from_being_forwarded(hops: int) -> None:
    listener = Listener(displaced(HERE, 300.0, 0.0))
    packet = geocast(listener.clock.now())
    listener.clock.advance(60 * NS_PER_MS)
    assert listener.hear(spoiled(packet, hops=hops, lifetime_ms=100))
    for each in (packet, spoiled(packet, hops=9, lifetime_ms=100)):
        listener.clock.advance(NS_PER_MS)
        assert not listener.hear(each, Arrival("air", FORWARDER_MAC))
    sent = listener.wait(0.3)
    assert packet[:HOP_LIMIT_OCTET] + b"\x09" in [each.packet[: HOP_LIMIT_OCTET + 1] for each in sent]
    assert len(sent) <= 2


def test_a_copy_with_a_long_lifetime_and_few_hops_does_not_take_the_place_of_a_short_lived_one() -> None:
    listener = Listener(displaced(HERE, 300.0, 0.0))
    packet = spoiled(geocast(listener.clock.now()), lifetime_ms=1_000)
    listener.hear(packet)
    listener.hear(spoiled(packet, hops=2, lifetime_ms=600_000))
    assert 9 in [each.packet[HOP_LIMIT_OCTET] for each in listener.wait(0.3)]


# --- addresses -------------------------------------------------------------------------------------------------------------------


def test_whoever_claims_a_forwarder_s_address_does_not_stop_the_hazard_on_its_way_to_its_area() -> None:
    listener = Listener(displaced(HERE, -1_000.0, 0.0))
    now = listener.clock.now()
    west = displaced(HERE, -1_400.0, 0.0)
    assert listener.hear(cam_under(FORWARDER_MAC, now, west, TICKETS[1]), Arrival("air", FORWARDER_MAC))
    listener.hear(cam_under(FORWARDER_MAC, now, HERE, TICKETS[2], timestamp_ms=2**31), Arrival("air", FORWARDER_MAC))
    packet = geocast(now, point=displaced(HERE, -1_900.0, 0.0))
    listener.hear(spoiled(packet, hops=9), Arrival("air", FORWARDER_MAC))
    (sent,) = listener.wait(0.2)
    assert sent.packet[HOP_LIMIT_OCTET] == 8


def test_outside_the_area_whoever_does_not_know_the_sender_forwards_last() -> None:
    """EN 302 636-4-1 V1.4.1 annex E.3."""
    listener = Listener(displaced(HERE, -1_000.0, 0.0))
    now = listener.clock.now()
    listener.hear(spoiled(geocast(now), hops=9), Arrival("air", FORWARDER_MAC))
    assert listener.router.next_due() == now.monotonic + 100 * NS_PER_MS
    assert len(listener.wait(0.2)) == 1


def test_an_anycast_that_has_arrived_goes_no_further() -> None:
    listener = Listener(displaced(HERE, 300.0, 0.0))
    assert listener.hear(geocast(listener.clock.now(), kind=GacHeader))
    assert listener.wait(1.0) == []
    assert listener.forwarding() == {"arrived": 1}
    outside = Listener(displaced(HERE, 900.0, 0.0))
    assert not outside.hear(geocast(outside.clock.now(), kind=GacHeader, point=displaced(HERE, 1_400.0, 0.0)))
    assert len(outside.wait(1.0)) == 1


def unit() -> RsuAgent:
    ticket = HIERARCHY.ticket(StationRole.RSU)
    parts = RsuParts(
        station_id=StationId(4_049),
        position=HERE,
        ticket=ticket,
        trust_store=HIERARCHY.trust_store,
        tickets=pool_of(ticket),
        junction=None,
        hazards=(),
    )
    return make_agent(parts, entropy=Random(3).randbytes)


def test_whoever_follows_a_unit_to_each_new_address_makes_it_move_once_a_minute_and_never_silences_it() -> None:
    clock, agent, notices, macs = clock_at(), unit(), 0, set()
    seconds = 150
    for _ in range(10 * seconds):
        now = clock.advance(100 * NS_PER_MS)
        agent.on_packet(cam_under(agent.identity.address.mac, now, HERE, TICKETS[0]), now, AIR)
        effects = agent.on_timer(now)
        notices += sum(isinstance(each, Notice) and each.kind == "address_changed" for each in effects)
        macs.add(agent.identity.address.mac)
    assert notices == len(macs) == 1 + (seconds * NS_PER_S - 1) // ADDRESS_PAUSE_NS
    assert agent.sent["cam"] >= seconds - 10


# --- floods ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("forwarding", [Forwarding.SAME_LINK, Forwarding.ALL_LINKS])
def test_a_flood_of_urgent_geocasts_leaves_us_every_other_turn(forwarding: Forwarding) -> None:
    listener = Listener(displaced(HERE, 300.0, 0.0), forwarding=forwarding)
    listener.router.set_links(("air", "cell"))
    sent: list[Transmit] = []
    heard = 0
    hearer, ours = make_peer(HIERARCHY, 5), Counter[str]()
    for step in range(100):
        now = listener.clock.now()
        for number in range(4):
            flood = geocast(now, ticket=TICKETS[number], number=4 * step + number, priority=0)
            listener.inbound.receive(flood, now, AIR)
        place = ego(now, HERE)
        sent += listener.router.say(cam_of(listener.station, now), position=place, now=now)
        warning = denm_of(listener.station, now, sequence_number=step % 3)
        sent += listener.router.say(warning, position=place, now=now, area=NEAR)
        sent += listener.wait(0.05)
        for each in sent[heard:]:
            said = hearer.receive(each.packet, listener.clock.now()) if each.links is None else None
            ours["forwarded" if said is None else type(said.message).__name__] += 1
        heard = len(sent)
    assert ours["forwarded"] >= len(sent) // 3
    assert ours["Cam"] + ours["Denm"] >= len(sent) // 2 - 1
    assert min(ours["Cam"], ours["Denm"]) >= len(sent) // 10


def test_junk_from_a_broker_does_not_quieten_the_radio_and_junk_on_the_air_does_not_silence_it() -> None:
    for link, most_ms in (("broker", 100), ("air", 1_000)):
        listener = Listener()
        listener.router.set_links(("air", "broker"), unshared=("broker",))
        for _ in range(20):
            now = listener.clock.advance(100 * NS_PER_MS)
            for _ in range(500):
                listener.inbound.arrived(60_000, now, Arrival(link, None))
            listener.router.poll(now)
        assert listener.router.t_off_ns == most_ms * NS_PER_MS
        now = listener.clock.now()
        listener.router.say(cam_of(listener.station, now), position=ego(now), now=now)
        for _ in range(3):
            now = listener.clock.advance(NS_PER_S)
            assert len(listener.router.say(cam_of(listener.station, now), position=ego(now), now=now)) == 1
