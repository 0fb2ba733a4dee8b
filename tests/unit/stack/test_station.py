"""Two real stations and a medium that only carries bytes: what one says the other understands, or asks for."""

from collections.abc import Callable
from dataclasses import replace as replace_identity

import pytest
from msgspec.structs import replace

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, ManualClock, UtcNs
from shared.core.errors import DecodeError, EncodeError, UntrustedTimeError, VerificationError
from shared.core.ids import ItsAid, StationId, StationType
from shared.core.itstime import gn_timestamp, time64_of
from shared.core.report import VerificationReport as Report
from shared.messages.cam import Cam
from shared.messages.cdd import CauseCode
from shared.messages.denm import Denm
from shared.network.area import Area, Circle, Ellipse, Rectangle
from shared.network.headers import decode_basic_header
from shared.network.own_packets import CAPACITY_PACKETS
from shared.network.packet import MAX_PACKET_OCTETS, decode_gn_payload
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.chain import UnknownSignerError
from shared.security.ecdsa import Curve
from shared.security.secured_data import SignedData, SignerKind, UnsecuredData, decode_secured_data
from shared.security.sign import TicketCredential
from shared.security.trust_store import TrustStore
from shared.stack.content_permissions import Message
from shared.stack.indication import Verified
from shared.stack.station import EgoPosition, Station, StationIdentity
from shared.stack.voices import LIFETIME_MS
from tests.helpers.hierarchy import BEGIN, NOON, Hierarchy, clock_at
from tests.helpers.identities import HERE, cam_of, denm_of, ego, make_peer, mapem_of, spatem_of, with_id

HIERARCHY = Hierarchy(1)
AREA = Circle(centre=HERE, radius_m=1_000.0)


def say(station: Station, message: Message, now: Instant, area: Area | None = None) -> bytes:
    return station.send(message, position=ego(now), now=now, area=area)


def hear(station: Station, packet: bytes, now: Instant) -> Verified[Message]:
    indication = station.receive(packet, now)
    assert indication is not None
    return indication


def signed(packet: bytes) -> SignedData:
    """Return the signed part of a packet, unverified."""
    content = decode_secured_data(decode_basic_header(packet)[1]).content
    assert isinstance(content, SignedData)
    return content


def payload(packet: bytes) -> bytes:
    """Return what a packet's signature covers from the Common Header on."""
    carried = signed(packet).payload
    assert carried is not None
    assert isinstance(carried.content, UnsecuredData)
    return carried.content.payload


def shows_certificate(packet: bytes) -> bool:
    return signed(packet).signer.kind is SignerKind.CERTIFICATE


def pair() -> tuple[Station, Station, ManualClock]:
    return make_peer(HIERARCHY, 1), make_peer(HIERARCHY, 2), clock_at()


@pytest.mark.parametrize("turn", [1, -1])
def test_a_cam_arrives_as_it_was_said_in_either_direction(turn: int) -> None:
    *stations, clock = pair()
    sender, receiver = stations[::turn]
    now = clock.now()
    cam = cam_of(sender, now)
    heard = hear(receiver, say(sender, cam, now), clock.advance(3 * NS_PER_MS))
    verified = heard.of(Cam)
    assert verified is not None
    assert verified.message == cam
    assert heard.of(Denm) is None
    assert heard.generation_time == time64_of(NOON)
    assert heard.area is None
    assert heard.received == clock.now()
    assert heard.source.address == sender.identity.address
    assert heard.source.position == HERE
    assert heard.source.timestamp_ms == gn_timestamp(time64_of(NOON))


@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize(
    "area",
    [
        AREA,
        Rectangle(centre=HERE, a_m=300.0, b_m=20.0, azimuth_deg=45.0),
        Ellipse(centre=HERE, a_m=300.0, b_m=20.0, azimuth_deg=1.0),
    ],
)
def test_a_warning_for_an_area_arrives_with_its_area(area: Area, turn: int) -> None:
    *stations, clock = pair()
    sender, receiver = stations[::turn]
    denm = denm_of(sender, clock.now())
    heard = hear(receiver, say(sender, denm, clock.now(), area), clock.now())
    assert heard.message == denm
    assert heard.area == area


@pytest.mark.parametrize("message_of", [spatem_of, mapem_of])
def test_lights_and_maps_of_a_roadside_unit_arrive(message_of: Callable[[Station], Message]) -> None:
    rsu, car, clock = make_peer(HIERARCHY, 9, StationRole.RSU), make_peer(HIERARCHY, 2), clock_at()
    message = message_of(rsu)
    heard = hear(car, say(rsu, message, clock.now()), clock.now())
    assert heard.message == message
    assert heard.source.address.station_type == StationType.ROAD_SIDE_UNIT


def test_two_roadside_units_understand_each_other() -> None:
    one, other, clock = make_peer(HIERARCHY, 8, StationRole.RSU), make_peer(HIERARCHY, 9, StationRole.RSU), clock_at()
    for sender, receiver in ((one, other), (other, one)):
        for message in (spatem_of(sender), mapem_of(sender), denm_of(sender, clock.now(), cause=CauseCode.ROADWORKS)):
            assert hear(receiver, say(sender, message, clock.now()), clock.now()).message == message


def test_a_single_hop_begins_with_version_1_secured_and_one_hop() -> None:
    alice, _, clock = pair()
    packet = say(alice, cam_of(alice, clock.now()), clock.now())
    assert packet[:2] == b"\x12\x00"
    assert packet[3] == 1
    assert decode_basic_header(packet)[0].lifetime_ms == 1_000


def test_a_packet_lives_as_long_as_its_message_is_of_use() -> None:
    rsu, now = make_peer(HIERARCHY, 9, StationRole.RSU), clock_at().now()
    for message in (cam_of(rsu, now), denm_of(rsu, now), spatem_of(rsu), mapem_of(rsu)):
        basic, _ = decode_basic_header(say(rsu, message, now))
        lifetimes = {message_id.name.lower(): lifetime_ms for message_id, lifetime_ms in LIFETIME_MS.items()}
        assert basic.lifetime_ms == lifetimes[type(message).__name__.lower()]


@pytest.mark.parametrize(
    ("validity_s", "age_s", "lifetime_ms"), [(600, 0, 60_000), (2, 0, 2_000), (60, 57, 3_000), (2, 1.5, 1_000)]
)
def test_no_warning_is_under_way_longer_than_its_event_lasts(validity_s: int, age_s: float, lifetime_ms: int) -> None:
    alice, bob, clock = pair()
    denm = replace(denm_of(alice, clock.now()), validity_duration_s=validity_s)
    clock.advance(round(age_s * NS_PER_S))
    for area in (AREA, None):
        packet = say(alice, denm, clock.now(), area)
        assert decode_basic_header(packet)[0].lifetime_ms == lifetime_ms
        assert hear(bob, packet, clock.now()).message == denm


@pytest.mark.parametrize(
    ("cause", "sub_cause", "priority"),
    [
        (CauseCode.DANGEROUS_SITUATION, 1, 0),
        (CauseCode.DANGEROUS_SITUATION, 5, 0),
        (CauseCode.COLLISION_RISK, 0, 0),
        (CauseCode.POST_CRASH, 0, 0),
        (CauseCode.STATIONARY_VEHICLE, 3, 0),
        (CauseCode.STATIONARY_VEHICLE, 2, 1),
        (CauseCode.HAZARDOUS_LOCATION_SURFACE_CONDITION, 3, 1),
    ],
)
def test_a_warning_where_a_second_counts_goes_before_all_others(cause: CauseCode, sub_cause: int, priority: int) -> None:
    alice, bob, clock = pair()
    denm = replace(denm_of(alice, clock.now(), cause=cause), sub_cause_code=sub_cause)
    assert alice.priority_of(denm) == priority
    for area in (AREA, None):
        packet = say(alice, denm, clock.now(), area)
        assert decode_gn_payload(payload(packet)).common.traffic_class.priority == priority
        assert hear(bob, packet, clock.now()).message == denm


def test_a_warning_may_hop_and_its_hops_are_signed() -> None:
    alice, _, clock = pair()
    packet = say(alice, denm_of(alice, clock.now()), clock.now(), AREA)
    basic, _ = decode_basic_header(packet)
    assert packet[:2] == b"\x12\x00"
    assert basic.remaining_hop_limit == decode_gn_payload(payload(packet)).common.max_hop_limit == 10


def test_geocasts_are_numbered_and_the_number_comes_round() -> None:
    alice, bob, clock = pair()
    alice.assume(replace_identity(alice.identity, first_sequence_number=0xFFFF), HIERARCHY.ticket())
    packets = []
    for _ in range(2):
        packets.append(say(alice, denm_of(alice, clock.now()), clock.now(), AREA))
        hear(bob, packets[-1], clock.advance(NS_PER_MS))
    numbers = [decode_gn_payload(payload(packet)).extended for packet in packets]
    assert [getattr(header, "sequence_number", None) for header in numbers] == [0xFFFF, 0]


def test_our_own_packet_brought_back_is_nothing() -> None:
    alice, _, clock = pair()
    packet = say(alice, cam_of(alice, clock.now()), clock.now())
    assert alice.receive(packet, clock.now()) is None
    assert alice.receive(packet, clock.now()) is None


def test_our_own_packet_is_known_after_a_forwarder_took_a_hop() -> None:
    alice, _, clock = pair()
    packet = say(alice, denm_of(alice, clock.now()), clock.now(), AREA)
    assert alice.receive(packet[:3] + bytes((packet[3] - 1,)) + packet[4:], clock.now()) is None


def test_an_echo_is_known_even_while_the_clock_is_lost() -> None:
    alice, _, clock = pair()
    packet = say(alice, cam_of(alice, clock.now()), clock.now())
    clock.set_utc(None)
    assert alice.receive(packet, clock.now()) is None


def test_echoes_are_remembered_within_a_bound() -> None:
    alice, _, clock = pair()
    first = say(alice, cam_of(alice, clock.now()), clock.now())
    for _ in range(CAPACITY_PACKETS):
        clock.advance(NS_PER_MS)
        say(alice, cam_of(alice, clock.now()), clock.now())
    assert alice.receive(first, clock.now()) is not None


def test_a_stranger_heard_by_digest_is_asked_for_its_certificate_and_shows_it() -> None:
    alice, bob, clock = pair()
    say(bob, cam_of(bob, clock.now()), clock.now())
    by_digest = say(bob, cam_of(bob, clock.advance(100 * NS_PER_MS)), clock.now())
    assert not shows_certificate(by_digest)
    with pytest.raises(UnknownSignerError) as caught:
        alice.receive(by_digest, clock.now())
    assert caught.value.report is Report.SIGNER_CERTIFICATE_NOT_FOUND

    asking = say(alice, cam_of(alice, clock.advance(100 * NS_PER_MS)), clock.now())
    bob_ticket = bob._signing.ticket.certificate
    assert signed(asking).header.inline_p2pcd_request == (bob_ticket.hashed_id3,)
    assert shows_certificate(asking)
    hear(bob, asking, clock.now())

    answer = say(bob, cam_of(bob, clock.advance(100 * NS_PER_MS)), clock.now())
    assert shows_certificate(answer)
    hear(alice, answer, clock.now())
    afterwards = say(bob, cam_of(bob, clock.advance(100 * NS_PER_MS)), clock.now())
    assert not shows_certificate(afterwards)
    hear(alice, afterwards, clock.now())
    assert signed(say(alice, cam_of(alice, clock.now()), clock.now())).header.inline_p2pcd_request is None


def test_a_certificate_that_arrives_unasked_is_not_asked_for() -> None:
    alice, bob, clock = pair()
    with_certificate = say(bob, cam_of(bob, clock.now()), clock.now())
    by_digest = say(bob, cam_of(bob, clock.advance(100 * NS_PER_MS)), clock.now())
    with pytest.raises(UnknownSignerError):
        alice.receive(by_digest, clock.now())
    hear(alice, with_certificate, clock.now())
    assert signed(say(alice, cam_of(alice, clock.now()), clock.now())).header.inline_p2pcd_request is None


def test_an_unknown_authority_is_asked_for_passed_on_by_a_third_station_and_learned() -> None:
    hierarchy, clock = Hierarchy(2), clock_at()
    validity = hierarchy.aa.certificate.validity
    second = hierarchy.root.create_authorization_authority(name="AA 2", validity=validity, keys=hierarchy.keys)
    both = TrustStore.of_operator((hierarchy.root.certificate,), (hierarchy.aa.certificate, second.certificate))
    key = hierarchy.keys.generate(Curve.NIST_P256)
    under_second = TicketCredential(
        certificate=second.issue_ticket(
            public_key=key.public_key,
            validity=hierarchy.ticket().certificate.validity,
            permissions=TICKET_PERMISSIONS[StationRole.VEHICLE],
        ),
        signer=key,
    )
    alice, bob = make_peer(hierarchy, 1), make_peer(hierarchy, 2, trust_store=both, ticket=under_second)
    carol = make_peer(hierarchy, 3, trust_store=both)
    hear(alice, say(carol, cam_of(carol, clock.now()), clock.now()), clock.now())
    with pytest.raises(UnknownSignerError) as caught:
        alice.receive(say(bob, cam_of(bob, clock.now()), clock.now()), clock.now())
    assert caught.value.hashed_id8 == second.certificate.hashed_id8

    asking = say(alice, cam_of(alice, clock.advance(100 * NS_PER_MS)), clock.now())
    assert signed(asking).header.inline_p2pcd_request == (second.certificate.hashed_id3,)
    hear(carol, asking, clock.now())
    passing_on = say(carol, cam_of(carol, clock.advance(100 * NS_PER_MS)), clock.now())
    assert signed(passing_on).header.requested_certificate == second.certificate
    hear(alice, passing_on, clock.now())
    hear(alice, say(bob, cam_of(bob, clock.advance(NS_PER_S)), clock.now()), clock.now())


def test_an_unknown_authority_is_learned_from_a_station_that_is_itself_unknown_for_want_of_it() -> None:
    bob, clock = make_peer(HIERARCHY, 2), clock_at()
    alice = make_peer(HIERARCHY, 1, trust_store=TrustStore.of_operator((HIERARCHY.root.certificate,), ()))
    with pytest.raises(UnknownSignerError):
        alice.receive(say(bob, cam_of(bob, clock.now()), clock.now()), clock.now())
    hear(bob, say(alice, cam_of(alice, clock.advance(100 * NS_PER_MS)), clock.now()), clock.now())
    passing_on = say(bob, cam_of(bob, clock.advance(100 * NS_PER_MS)), clock.now())
    assert signed(passing_on).header.requested_certificate == HIERARCHY.aa.certificate
    with pytest.raises(UnknownSignerError):
        alice.receive(passing_on, clock.now())
    hear(alice, say(bob, cam_of(bob, clock.advance(NS_PER_S)), clock.now()), clock.now())


def test_a_message_of_the_next_second_shows_the_certificate_again() -> None:
    alice, _, clock = pair()
    shown = []
    for _ in range(21):
        shown.append(shows_certificate(say(alice, cam_of(alice, clock.now()), clock.now())))
        clock.advance(NS_PER_S // 10)
    assert [n for n, has in enumerate(shown) if has] == [0, 10, 20]


def test_every_warning_shows_its_certificate_and_place() -> None:
    alice, _, clock = pair()
    for _ in range(3):
        packet = signed(say(alice, denm_of(alice, clock.advance(NS_PER_MS)), clock.now(), AREA))
        assert packet.signer.kind is SignerKind.CERTIFICATE
        assert packet.header.generation_location is not None
        assert packet.header.psid == ItsAid.DENM


def test_a_station_does_not_speak_for_another() -> None:
    alice, _, clock = pair()
    with pytest.raises(EncodeError, match=r"station_id: 77 is not this station \(1\)"):
        say(alice, with_id(cam_of(alice, clock.now()), 77), clock.now())


def test_a_station_whose_clock_is_not_set_does_not_speak() -> None:
    alice, _, clock = pair()
    cam, position = cam_of(alice, clock.now()), ego(clock.now())
    clock.set_utc(None)
    with pytest.raises(UntrustedTimeError):
        alice.send(cam, position=position, now=clock.now())


def test_a_station_whose_clock_is_not_set_believes_nobody() -> None:
    alice, bob, clock = pair()
    packet = say(bob, cam_of(bob, clock.now()), clock.now())
    clock.set_utc(None)
    with pytest.raises(VerificationError) as caught:
        alice.receive(packet, clock.now())
    assert caught.value.report is Report.UNTRUSTED_TIME
    clock.set_utc(NOON)
    hear(alice, packet, clock.now())


def test_a_clock_that_stands_before_2004_is_a_clock_not_set() -> None:
    alice, _, clock = pair()
    cam, position = cam_of(alice, clock.now()), ego(clock.now())
    with pytest.raises(UntrustedTimeError, match="2004"):
        alice.send(cam, position=position, now=Instant(clock.now().monotonic, UtcNs(0)))


def test_a_position_from_before_2004_is_unsayable() -> None:
    alice, _, clock = pair()
    with pytest.raises(EncodeError, match=r"position\.taken_at"):
        alice.send(cam_of(alice, clock.now()), position=EgoPosition(point=HERE, taken_at=UtcNs(0)), now=clock.now())


def test_a_station_says_nothing_under_a_ticket_that_has_run_out() -> None:
    alice = make_peer(HIERARCHY, 1, ticket=HIERARCHY.ticket(valid_hours=1))
    now = clock_at(UtcNs(BEGIN + 2 * 3_600 * NS_PER_S)).now()
    with pytest.raises(VerificationError) as caught:
        say(alice, cam_of(alice, now), now)
    assert caught.value.report is Report.EXPIRED_CERTIFICATE


def test_a_station_says_nothing_its_own_ticket_does_not_allow() -> None:
    alice, _, clock = pair()
    for message in (spatem_of(alice), mapem_of(alice), denm_of(alice, clock.now(), cause=CauseCode.ROADWORKS)):
        with pytest.raises(VerificationError) as caught:
            say(alice, message, clock.now())
        assert caught.value.report is Report.PERMISSION_DENIED


def test_a_refused_message_costs_no_certificate_turn() -> None:
    alice, _, clock = pair()
    with pytest.raises(VerificationError):
        say(alice, spatem_of(alice), clock.now())
    assert shows_certificate(say(alice, cam_of(alice, clock.now()), clock.now()))


def test_a_packet_longer_than_any_frame_is_refused_unread() -> None:
    alice, _, clock = pair()
    with pytest.raises(DecodeError, match="octets exceed"):
        alice.receive(b"\x12\x00\x05\x01" + bytes(MAX_PACKET_OCTETS), clock.now())


def test_a_drawn_identity_is_a_local_unicast_address_of_its_type() -> None:
    identity = StationIdentity.drawn(StationType.BUS, lambda count: b"\xff" * count)
    assert identity.address.mac[0] & 0b11 == 0b10
    assert identity.station_type is StationType.BUS
    assert identity.is_mobile
    assert identity.station_id == StationId(0xFFFFFFFF)
    assert not StationIdentity.drawn(StationType.ROAD_SIDE_UNIT, bytes).is_mobile


def test_a_sender_without_a_position_is_heard_by_who_asks_for_no_region() -> None:
    alice, bob, clock = pair()
    cam = replace(cam_of(alice, clock.now(), point=None), heading_deg=None, speed_mps=None)
    assert hear(bob, say(alice, cam, clock.now()), clock.now()).message == cam
