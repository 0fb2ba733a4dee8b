"""One station and its router: what is for this place, what is too old, whose address it is, when it says where it is."""

from collections.abc import Callable
from random import Random

import pytest

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, ManualClock, MonotonicNs
from shared.core.errors import EncodeError, VerificationError
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import BtpPort, ItsAid
from shared.messages.denm import Denm, encode_denm
from shared.network.address import GnAddress
from shared.network.area import Area, Circle, Ellipse, Rectangle
from shared.network.btp import BtpB
from shared.network.extended import GbcHeader
from shared.network.headers import TrafficClass
from shared.network.packet import encode_beacon, encode_gn_payload
from shared.network.position_vector import LongPositionVector
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.header_info import GenerationLocation, HeaderInfo
from shared.security.region import Location
from shared.stack.arrival import Arrival
from shared.stack.batch import SequentialChecker
from shared.stack.effects import Transmit
from shared.stack.inbound import Inbound
from shared.stack.router import BEACON_INTERVAL_NS, MAX_BEACON_JITTER_NS, Forwarding, Router
from shared.stack.station import Station
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import HERE, cam_of, denm_of, ego, forged_packet, header_at, make_identity, make_peer, spatem_of

HIERARCHY = Hierarchy(1)
TICKET = HIERARCHY.ticket()
AIR = Arrival("air", b"\x02\0\0\0\0\x01")
NEAR = Circle(centre=HERE, radius_m=500.0)
CAR_MAC = b"\x02\0\0\0\0\x01"


class Listener:
    """A station that hears; number 99."""

    def __init__(self, point: GeoPoint | None = HERE, *, forwarding: Forwarding = Forwarding.SAME_LINK) -> None:
        self.clock: ManualClock = clock_at()
        self.station: Station = make_peer(HIERARCHY, 99)
        self.router = Router(
            station=self.station,
            forwarding=forwarding,
            entropy=Random(9).randbytes,
            started=self.clock.now().monotonic,
            links=("air",),
        )
        self.inbound = Inbound(self.station, self.router)
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


def vector(point: GeoPoint | None = HERE, mac: bytes = CAR_MAC) -> LongPositionVector:
    address = GnAddress(station_type=5, mac=mac)
    return LongPositionVector(
        address=address, timestamp_ms=7, position=point, is_accurate=point is not None, speed_mps=0.0, heading_deg=0.0
    )


def hazard(
    at: Instant, area: Area = NEAR, *, point: GeoPoint = HERE, mac: bytes = CAR_MAC, hops: int = 10, lifetime_ms: int = 60_000
) -> bytes:
    """Return a warning from `point`, as a sender of no manners would put it."""
    payload = encode_gn_payload(
        extended=GbcHeader(sequence_number=1, source=vector(point, mac), area=NEAR),
        btp=BtpB(destination_port=BtpPort.DENM),
        message=encode_denm(denm_of(make_peer(HIERARCHY, 1, ticket=TICKET), at, point=point)),
        traffic_class=TrafficClass(priority=1),
        is_mobile=True,
    )
    if area is not NEAR:  # one that we would not say ourselves
        payload = payload[:36] + _area_octets(area) + payload[50:]
    place = GenerationLocation(location=Location.of(point), elevation=4_095)
    header = HeaderInfo(psid=ItsAid.DENM, generation_time=header_at(at).generation_time, generation_location=place)
    return forged_packet(TICKET, payload, at, header=header, hops=hops, lifetime_ms=lifetime_ms)


def _area_octets(area: Area) -> bytes:
    assert isinstance(area, Circle)
    lat, lon = round(area.centre.lat_deg * 1e7), round(area.centre.lon_deg * 1e7)
    return (
        lat.to_bytes(4, "big", signed=True)
        + lon.to_bytes(4, "big", signed=True)
        + round(area.radius_m).to_bytes(2, "big")
        + bytes(4)
    )


def cam(number: int, at: Instant) -> bytes:
    car = make_peer(HIERARCHY, number)
    return car.send(cam_of(car, at), position=ego(at), now=at)


@pytest.mark.parametrize("east_m", [0.0, 490.0, 510.0])
def test_a_hazard_is_handed_up_inside_its_area_only(east_m: float) -> None:
    listener = Listener(displaced(HERE, east_m, 0.0))
    assert listener.hear(hazard(listener.clock.now())) is (east_m < 500.0)
    assert listener.inbound.verified == ({"denm": 1} if east_m < 500.0 else {})
    assert listener.inbound.refused == {}


@pytest.mark.parametrize(
    "area",
    [
        NEAR,
        Rectangle(centre=HERE, a_m=400.0, b_m=50.0, azimuth_deg=90.0),
        Ellipse(centre=HERE, a_m=400.0, b_m=50.0, azimuth_deg=90.0),
    ],
)
def test_each_shape_of_area_is_said_and_heard(area: Area) -> None:
    speaker = make_peer(HIERARCHY, 3)
    heard = []
    for east_m, north_m in ((0.0, 0.0), (300.0, 0.0), (0.0, 300.0)):
        listener = Listener(displaced(HERE, east_m, north_m))
        now = listener.clock.now()
        heard.append(listener.hear(speaker.send(denm_of(speaker, now), position=ego(now), now=now, area=area)))
    assert heard == [True, True, area is NEAR]


def test_a_station_that_does_not_know_where_it_is_takes_everything_and_forwards_nothing() -> None:
    listener = Listener(None)
    assert listener.hear(hazard(listener.clock.now(), point=displaced(HERE, 9_000.0, 0.0)))
    assert listener.wait(1.0) == []
    assert listener.forwarding() == {"no_position": 1}


def test_a_hazard_is_forwarded_after_the_time_of_its_distance() -> None:
    listener = Listener(displaced(HERE, 400.0, 0.0))
    now = listener.clock.now()
    listener.hear(hazard(now))
    due = listener.router.next_due()
    assert due is not None
    assert due - now.monotonic == pytest.approx(60.4 * NS_PER_MS, rel=1e-3)
    (sent,) = listener.wait(0.2)
    assert (sent.packet[3], sent.links) == (9, frozenset(("air",)))


def test_where_the_sender_is_unknown_or_unsure_the_time_is_the_longest() -> None:
    listener = Listener(displaced(HERE, 400.0, 0.0))
    now = listener.clock.now()
    listener.hear(hazard(now, hops=9), Arrival("air", b"\x02\0\0\0\0\x77"))
    assert listener.router.next_due() == now.monotonic + 100 * NS_PER_MS


def test_nothing_is_forwarded_where_forwarding_is_none_and_still_handed_up() -> None:
    listener = Listener(forwarding=Forwarding.NONE)
    assert listener.hear(hazard(listener.clock.now()))
    assert listener.wait(1.0) == []


# --- bad input -------------------------------------------------------------------------------------------------------------------


def wrong_version(packet: bytes) -> bytes:
    return bytes((packet[0] & 0xF | 0x20,)) + packet[1:]


def lifetime_zero(packet: bytes) -> bytes:
    return packet[:2] + b"\x03" + packet[3:]


def more_hops_than_it_began_with(packet: bytes) -> bytes:
    return packet[:3] + b"\x0b" + packet[4:]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(wrong_version, "malformed"), (lifetime_zero, "expired_packet"), (more_hops_than_it_began_with, "malformed")],
)
def test_a_spoiled_basic_header_is_refused_and_does_not_cost_us_the_hazard(spoil: Callable[[bytes], bytes], reason: str) -> None:
    listener = Listener()
    packet = hazard(listener.clock.now())
    assert not listener.hear(spoil(packet))
    assert listener.inbound.refused == {reason: 1}
    assert listener.hear(packet)
    assert listener.inbound.receive_batch([spoil(packet)], listener.clock.now(), SequentialChecker())[0] is not None
    assert listener.inbound.refused.keys() <= {reason, "duplicate_message"}
    assert sum(listener.inbound.refused.values()) == 2
    assert listener.forwarding() == {"contended": 1}
    (sent,) = listener.wait(1.0)
    assert sent.packet[3] == 9


@pytest.mark.parametrize("radius_m", [1_700.0, 1_800.0, 65_535.0])
def test_an_absurd_area_is_heard_inside_and_never_forwarded(radius_m: float) -> None:
    listener = Listener(displaced(HERE, 900.0, 0.0))
    assert listener.hear(hazard(listener.clock.now(), Circle(centre=HERE, radius_m=radius_m)))
    assert len(listener.wait(1.0)) == (radius_m < 1_784.0)
    assert listener.forwarding().get("area_too_large", 0) == (radius_m > 1_784.0)


def test_nobody_of_ours_says_an_absurd_area() -> None:
    listener = Listener()
    now = listener.clock.now()
    with pytest.raises(EncodeError, match="km2"):
        listener.router.say(denm_of(listener.station, now), position=ego(now), now=now, area=Circle(centre=HERE, radius_m=1_800.0))


@pytest.mark.parametrize(
    "centre",
    [GeoPoint(90.0, 0.0), GeoPoint(-90.0, 180.0), GeoPoint(89.9999, -180.0), GeoPoint(0.0, 180.0), GeoPoint(45.0, -179.9999)],
)
def test_at_the_poles_and_the_antimeridian_a_hazard_is_heard_and_forwarded(centre: GeoPoint) -> None:
    listener = Listener(displaced(centre, 0.0, -80.0 if centre.lat_deg > 0 else 80.0))
    packet = hazard(listener.clock.now(), Circle(centre=centre, radius_m=500.0), point=centre)
    assert listener.hear(packet)
    assert len(listener.wait(1.0)) == 1


def test_a_hazard_older_than_it_is_of_use_is_not_handed_up() -> None:
    listener = Listener()
    packet = hazard(listener.clock.now(), lifetime_ms=1_000)
    listener.clock.advance(1_000 * NS_PER_MS)
    assert not listener.hear(packet)
    assert listener.inbound.refused == {"expired_packet": 1}
    assert listener.wait(1.0) == []


def test_a_hazard_whose_time_ends_in_contention_is_not_forwarded() -> None:
    listener = Listener(displaced(HERE, 100.0, 0.0))
    assert listener.hear(hazard(listener.clock.now(), lifetime_ms=50))
    assert listener.wait(1.0) == []
    assert listener.forwarding() == {"contended": 1, "expired": 1}


# --- neighbours and addresses ----------------------------------------------------------------------------------------------------


def test_every_verified_packet_enters_its_sender_one_by_one_and_in_a_batch() -> None:
    listener = Listener()
    now = listener.clock.now()
    listener.hear(cam(1, now))
    listener.inbound.receive_batch([cam(2, now), cam(3, now)[:-1]], now, SequentialChecker(), [AIR, AIR])
    entry = listener.router.table.get(CAR_MAC, now.monotonic)
    assert entry is not None
    assert entry.vector.speed_mps == pytest.approx(13.9)
    assert len(listener.router.table.neighbours(now.monotonic)) == 2


def test_a_beacon_enters_its_sender_and_is_neither_message_nor_refusal() -> None:
    listener, other = Listener(), make_peer(HIERARCHY, 1)
    now = listener.clock.now()
    beacon = other.send_beacon(position=ego(now), now=now)
    assert not listener.hear(beacon)
    assert listener.inbound.receive_batch(
        [other.send_beacon(position=ego(now, HERE), now=listener.clock.advance(NS_PER_MS))],
        listener.clock.now(),
        SequentialChecker(),
    ) == [None]
    assert (dict(listener.inbound.refused), dict(listener.inbound.verified)) == ({}, {})
    assert listener.router.table.get(CAR_MAC, now.monotonic) is not None
    assert listener.router.status()["heard"] == {"beacons": 2}
    assert not listener.hear(beacon)
    assert listener.inbound.refused == {"duplicate_message": 1}


def test_a_beacon_signed_as_a_cam_is_refused() -> None:
    listener = Listener()
    now = listener.clock.now()
    assert not listener.hear(forged_packet(TICKET, encode_beacon(vector(), is_mobile=True), now))
    assert listener.inbound.refused == {"unsupported_packet": 1}


def test_somebody_else_under_our_address_is_a_conflict_told_once() -> None:
    listener = Listener()
    now = listener.clock.now()
    assert not listener.router.take_address_conflict()
    twin = make_peer(HIERARCHY, 99)
    listener.hear(twin.send(cam_of(twin, now), position=ego(now), now=now))
    assert listener.router.take_address_conflict()
    assert not listener.router.take_address_conflict()
    assert len(listener.router.table) == 0
    listener.station.move_to(listener.router.drawn_mac())
    later = listener.clock.advance(100 * NS_PER_MS)
    listener.hear(twin.send(cam_of(twin, later), position=ego(later), now=later))
    assert not listener.router.take_address_conflict()
    assert listener.station.identity.station_id == make_identity(99).station_id


def test_our_own_packet_that_comes_back_late_is_an_echo_and_no_conflict() -> None:
    listener = Listener()
    now = listener.clock.now()
    old = listener.station.send(denm_of(listener.station, now), position=ego(now), now=now, area=NEAR)
    for _ in range(100):
        later = listener.clock.advance(10 * NS_PER_MS)
        listener.station.send(cam_of(listener.station, later), position=ego(later), now=later)
    assert not listener.hear(old[:3] + b"\x07" + old[4:])
    assert listener.inbound.echoes == 1
    assert not listener.router.take_address_conflict()
    assert listener.wait(0.5) == []


# --- speaking --------------------------------------------------------------------------------------------------------------------


def test_a_silent_station_says_where_it_is_after_three_seconds_and_a_bit() -> None:
    listener = Listener()
    began = listener.clock.now().monotonic
    due = listener.router.next_due()
    assert due is not None
    assert BEACON_INTERVAL_NS <= due - began <= BEACON_INTERVAL_NS + MAX_BEACON_JITTER_NS
    sent = listener.wait(30.0)
    assert 8 <= len(sent) <= 10
    assert all(each.packet[3] == 1 for each in sent)


def test_whoever_speaks_or_does_not_know_its_place_says_no_beacon() -> None:
    speaker, lost = Listener(), Listener(None)
    assert lost.wait(10.0) == []
    assert lost.router.next_due() is None
    for _ in range(20):
        now = speaker.clock.now()
        assert len(speaker.router.say(cam_of(speaker.station, now), position=ego(now), now=now)) == 1
        assert speaker.wait(1.0) == []


def test_without_the_permission_no_beacon_is_said_and_that_is_counted() -> None:
    permissions = tuple(p for p in TICKET_PERMISSIONS[StationRole.VEHICLE] if p.psid != ItsAid.GN_MANAGEMENT)
    station = make_peer(HIERARCHY, 5, ticket=HIERARCHY.ticket(permissions=permissions))
    clock = clock_at()
    router = Router(station=station, forwarding=Forwarding.NONE, entropy=Random(1).randbytes, started=clock.now().monotonic)
    router.place(ego(clock.now()))
    assert router.poll(clock.advance(4 * NS_PER_S)) == ()
    assert router.status()["beacons_unsent"] == {"permission_denied": 1}


def test_what_the_channel_has_no_time_for_yet_leaves_later_the_hazard_first() -> None:
    listener = Listener()
    station, now = listener.station, listener.clock.now()
    first = listener.router.say(cam_of(station, now), position=ego(now), now=now)
    waiting = listener.router.say(cam_of(station, now), position=ego(now), now=now)
    hazard_waiting = listener.router.say(denm_of(station, now), position=ego(now), now=now, area=NEAR)
    assert (len(first), waiting, hazard_waiting) == (1, (), ())
    assert [each.packet[3] for each in listener.wait(0.5)] == [10, 1]


def test_a_station_on_no_channel_leaves_no_pause_between_its_packets() -> None:
    listener = Listener()
    for links, unshared in ((("air", "wire"), ("wire",)), (("wire",), ("wire",))):
        listener.router.set_links(links, unshared=unshared)
        now = listener.clock.advance(NS_PER_S)
        messages = [denm_of(listener.station, now, sequence_number=number) for number in range(4)]
        at_once = [listener.router.say(denm, position=ego(now), now=now, area=NEAR) for denm in messages]
        assert [len(packets) for packets in at_once] == ([1, 0, 0, 0] if "air" in links else [1] * 4)
        listener.wait(1.0)


def test_only_the_newest_word_of_each_event_waits() -> None:
    listener = Listener()
    station, now = listener.station, listener.clock.now()
    listener.router.say(cam_of(station, now), position=ego(now), now=now)
    for sequence_number in (1, 2, 1, 1):
        warning = denm_of(station, now, sequence_number=sequence_number)
        assert listener.router.say(warning, position=ego(now), now=now, area=NEAR) == ()
    heard = [make_peer(HIERARCHY, 3).receive(each.packet, listener.clock.now()) for each in listener.wait(1.0)]
    warnings = [each.message for each in heard if each is not None and isinstance(each.message, Denm)]
    assert [each.action_id.sequence_number for each in warnings] == [1, 2]
    assert listener.router.status()["dcc"]["dropped"] == {"superseded": 2}  # type: ignore[index]


def test_a_station_that_goes_says_its_last_words_at_once() -> None:
    listener = Listener()
    station, now = listener.station, listener.clock.now()
    listener.router.say(cam_of(station, now), position=ego(now), now=now)
    listener.router.say(denm_of(station, now), position=ego(now), now=now, area=NEAR)
    assert [each.packet[3] for each in listener.router.close(now)] == [10]
    assert listener.router.close(now) == ()


def test_a_busy_channel_makes_the_station_speak_less() -> None:
    listener = Listener()
    assert listener.router.t_off_ns == 100 * NS_PER_MS
    for _ in range(10):
        now = listener.clock.advance(100 * NS_PER_MS)
        for _ in range(90):
            listener.inbound.arrived(720, now, AIR)
        listener.router.poll(now)
    assert listener.router.t_off_ns == 1_000 * NS_PER_MS
    listener.router.channel_measured(0.1, listener.clock.now().monotonic)
    listener.router.poll(listener.clock.advance(500 * NS_PER_MS))
    assert listener.router.t_off_ns == 100 * NS_PER_MS


def test_a_message_the_ticket_does_not_allow_is_not_said_and_nothing_waits() -> None:
    listener = Listener()
    now = listener.clock.now()
    with pytest.raises(VerificationError):
        listener.router.say(spatem_of(listener.station), position=ego(now), now=now)
    assert listener.router.close(now) == ()
