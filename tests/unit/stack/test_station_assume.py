"""A station goes on as somebody else: nothing of the old name is left in what it says, and it still knows its own echo."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from shared.core.clock import NS_PER_MS, Instant
from shared.core.errors import EncodeError
from shared.core.ids import HashedId8, StationType
from shared.messages.cdd import CauseCode
from shared.network.area import Circle
from shared.network.extended import GbcHeader
from shared.network.headers import decode_basic_header
from shared.network.packet import decode_gn_payload
from shared.pki.permission_sets import StationRole
from shared.security.chain import UnknownSignerError
from shared.security.header_info import HeaderInfo
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.secured_data import SignedData, SignerKind, UnsecuredData, decode_secured_data
from shared.security.sign import NoTicketError
from shared.stack.content_permissions import Message
from shared.stack.station import Station, StationIdentity, make_station
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import HERE, cam_of, denm_of, ego, make_identity, make_peer, mapem_of, spatem_of

HIERARCHY = Hierarchy(41)
AREA = Circle(centre=HERE, radius_m=500.0)


def say(station: Station, message: Message, now: Instant, area: Circle | None = None) -> bytes:
    return station.send(message, position=ego(now), now=now, area=area)


def signed(packet: bytes) -> SignedData:
    content = decode_secured_data(decode_basic_header(packet)[1]).content
    assert isinstance(content, SignedData)
    return content


def header(packet: bytes) -> HeaderInfo:
    return signed(packet).header


def sequence_number(packet: bytes) -> int:
    carried = signed(packet).payload
    assert carried is not None
    assert isinstance(carried.content, UnsecuredData)
    extended = decode_gn_payload(carried.content.payload).extended
    assert isinstance(extended, GbcHeader)
    return extended.sequence_number


def fresh(seed: int, station_type: StationType = StationType.PASSENGER_CAR) -> StationIdentity:
    return StationIdentity.drawn(station_type, Random(seed).randbytes)


@pytest.mark.parametrize(
    ("role", "kind", "message_of", "area"),
    [
        (StationRole.VEHICLE, StationType.PASSENGER_CAR, cam_of, None),
        (StationRole.VEHICLE, StationType.PASSENGER_CAR, denm_of, AREA),
        (StationRole.RSU, StationType.ROAD_SIDE_UNIT, lambda station, _: spatem_of(station), None),
        (StationRole.RSU, StationType.ROAD_SIDE_UNIT, lambda station, _: mapem_of(station), None),
    ],
)
def test_every_kind_of_message_bears_the_new_name_and_nothing_of_the_old(
    role: StationRole, kind: StationType, message_of: Callable[[Station, Instant], Message], area: Circle | None
) -> None:
    alice, bob, clock = make_peer(HIERARCHY, 1, role), make_peer(HIERARCHY, 2), clock_at()
    alice.assume(fresh(4, kind), HIERARCHY.ticket(role))
    old, old_ticket = alice.identity, alice._signing.ticket.certificate
    before = say(alice, message_of(alice, clock.now()), clock.now(), area)
    heard_before = bob.receive(before, clock.now())
    new, new_ticket = fresh(3, kind), HIERARCHY.ticket(role)
    alice.assume(new, new_ticket)
    assert alice.identity == new
    after = say(alice, message_of(alice, clock.advance(100 * NS_PER_MS)), clock.now(), area)
    heard_after = bob.receive(after, clock.now())
    assert heard_before is not None
    assert heard_after is not None
    assert heard_before.source.address == old.address
    assert heard_after.source.address == new.address
    assert heard_after.message.station_id == new.station_id
    assert heard_after.signer.certificate == new_ticket.certificate
    assert signed(after).signer.kind is SignerKind.CERTIFICATE
    traces = (old.address.mac, old.station_id.to_bytes(4, "big"), old_ticket.tbs.verification_key.x, old_ticket.hashed_id8)
    assert all(trace in before for trace in traces[:-1])
    assert not any(trace in after for trace in traces)


def test_the_old_name_cannot_be_used_any_more() -> None:
    alice, clock = make_peer(HIERARCHY, 1), clock_at()
    under_old_name = cam_of(alice, clock.now())
    alice.assume(fresh(3), HIERARCHY.ticket())
    with pytest.raises(EncodeError, match="station_id"):
        say(alice, under_old_name, clock.now())


def test_packets_sent_under_the_old_name_are_still_known_as_our_own() -> None:
    alice, clock = make_peer(HIERARCHY, 1), clock_at()
    packet = say(alice, cam_of(alice, clock.now()), clock.now())
    alice.assume(fresh(3), HIERARCHY.ticket())
    assert alice.receive(packet, clock.advance(NS_PER_MS)) is None
    asks = header(say(alice, cam_of(alice, clock.advance(NS_PER_MS)), clock.now()))
    assert asks.inline_p2pcd_request is None


def test_sequence_numbers_begin_where_the_new_name_says() -> None:
    alice, clock = make_peer(HIERARCHY, 1), clock_at()

    def number() -> int:
        return sequence_number(say(alice, denm_of(alice, clock.advance(NS_PER_MS)), clock.now(), AREA))

    assert [number(), number()] == [0, 1]
    alice.assume(replace(fresh(3), first_sequence_number=0xFFFF), HIERARCHY.ticket())
    assert [number(), number()] == [0xFFFF, 0]


def test_drawn_first_numbers_differ_and_reach_over_the_whole_range() -> None:
    numbers = [fresh(seed).first_sequence_number for seed in range(200)]
    assert len(set(numbers)) > 190
    assert min(numbers) < 2_000
    assert max(numbers) > 63_000
    assert StationIdentity.drawn(StationType.BUS, lambda count: b"\xff" * count).first_sequence_number == 0xFFFF


def test_what_the_old_name_wanted_to_ask_is_not_asked_by_the_new_one() -> None:
    alice, bob, clock = make_peer(HIERARCHY, 1), make_peer(HIERARCHY, 2), clock_at()
    say(bob, cam_of(bob, clock.now()), clock.now())
    by_digest = say(bob, cam_of(bob, clock.advance(100 * NS_PER_MS)), clock.now())
    with pytest.raises(UnknownSignerError):
        alice.receive(by_digest, clock.now())
    alice.assume(fresh(3), HIERARCHY.ticket())
    assert header(say(alice, cam_of(alice, clock.advance(NS_PER_MS)), clock.now())).inline_p2pcd_request is None


def test_the_new_name_does_not_answer_who_asks_for_the_old_ticket() -> None:
    alice, bob, clock = make_peer(HIERARCHY, 1), make_peer(HIERARCHY, 2), clock_at()
    say(alice, cam_of(alice, clock.now()), clock.now())
    by_digest = say(alice, cam_of(alice, clock.advance(NS_PER_MS)), clock.now())
    with pytest.raises(UnknownSignerError):
        bob.receive(by_digest, clock.now())
    asking = say(bob, cam_of(bob, clock.now()), clock.now())
    assert header(asking).inline_p2pcd_request == (alice._signing.ticket.certificate.hashed_id3,)
    alice.assume(fresh(3), HIERARCHY.ticket())
    say(alice, cam_of(alice, clock.advance(NS_PER_MS)), clock.now())  # shows the new certificate, as its first
    alice.receive(asking, clock.now())
    assert signed(say(alice, cam_of(alice, clock.advance(NS_PER_MS)), clock.now())).signer.kind is SignerKind.DIGEST


def test_an_authority_somebody_asked_the_old_name_for_is_not_passed_on_by_the_new_one() -> None:
    alice, clock = make_peer(HIERARCHY, 1), clock_at()
    alice._signing.note_requests((HIERARCHY.aa.certificate.hashed_id3,))
    alice.assume(fresh(3), HIERARCHY.ticket())
    packets = [say(alice, cam_of(alice, clock.advance(NS_PER_MS)), clock.now()) for _ in range(3)]
    assert [header(packet).requested_certificate for packet in packets] == [None] * 3


def test_a_roadside_unit_renews_its_ticket_and_keeps_its_name_and_numbers() -> None:
    unit, clock = make_peer(HIERARCHY, 9, StationRole.RSU), clock_at()

    def warn() -> bytes:
        return say(unit, denm_of(unit, clock.advance(NS_PER_MS), cause=CauseCode.ROADWORKS), clock.now(), AREA)

    before, name = warn(), unit.identity
    renewed = HIERARCHY.ticket(StationRole.RSU)
    unit.assume(name, renewed)
    after = warn()
    assert unit.identity == name
    assert (sequence_number(before), sequence_number(after)) == (0, 1)
    assert signed(after).signer.certificates == (renewed.certificate,)


def test_a_station_without_a_ticket_can_be_put_up_and_told_who_it_is_later() -> None:
    clock, bob = clock_at(), make_peer(HIERARCHY, 2)
    alice = make_station(identity=make_identity(1), ticket=None, trust_store=HIERARCHY.trust_store, areas=NO_IDENTIFIED_AREAS)
    heard = bob._signing.ticket.certificate.hashed_id8
    alice.receive(say(bob, cam_of(bob, clock.now()), clock.now()), clock.now())
    assert alice.knows(HashedId8(heard), clock.now())
    with pytest.raises(NoTicketError) as caught:
        say(alice, cam_of(alice, clock.now()), clock.now())
    assert caught.value.code == "no_valid_ticket"
    with pytest.raises(NoTicketError):
        _ = alice._signing.ticket
    with pytest.raises(NoTicketError):
        alice._signing.sign(b"payload", 36, now=clock.now(), location=None)  # type: ignore[arg-type]
    alice._signing.note_requests((bob._signing.ticket.certificate.hashed_id3,))
    alice.assume(fresh(3), HIERARCHY.ticket())
    assert bob.receive(say(alice, cam_of(alice, clock.now()), clock.now()), clock.now()) is not None
