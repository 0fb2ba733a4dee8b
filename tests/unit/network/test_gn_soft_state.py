from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.errors import EncodeError
from shared.core.geo import GeoPoint
from shared.core.ids import HashedId8
from shared.network.address import GnAddress
from shared.network.duplicate_packet_list import DuplicatePacketList, Geocast
from shared.network.headers import BASIC_HEADER_OCTETS, forwarded
from shared.network.location_table import LocationTable
from shared.network.own_packets import OwnPackets
from shared.network.position_vector import encode_long_position_vector
from shared.network.sequence_number import SequenceNumbers, follows
from tests.unit.network.samples import CAR, CIRCLE, VECTOR

VECTOR_OCTETS = encode_long_position_vector(VECTOR)


def car(number: int) -> GnAddress:
    return GnAddress(station_type=5, mac=number.to_bytes(6, "big"))


def ticket(number: int) -> HashedId8:
    return HashedId8(number.to_bytes(8, "big"))


TICKET = ticket(1)


def at_s(seconds: float) -> MonotonicNs:
    return MonotonicNs(round(seconds * NS_PER_S))


def test_sequence_numbers_wrap_after_65535() -> None:
    numbers = SequenceNumbers(65_534)
    assert [numbers.take() for _ in range(4)] == [65_534, 65_535, 0, 1]
    assert follows(0, 65_535)
    assert not follows(65_535, 0)
    assert not follows(7, 7)
    with pytest.raises(EncodeError):
        SequenceNumbers(65_536)


def geocast(**changes: Any) -> Geocast:
    values: dict[str, Any] = {
        "max_hop_limit": 10,
        "area": CIRCLE,
        "priority": 1,
        "signer": HashedId8(bytes(8)),
        "source": VECTOR_OCTETS,
        "made": at_s(0),
    }
    return Geocast(**(values | changes))


def packet(content: bytes, hops: int = 10) -> bytes:
    return bytes((0x12, 0, 0x1A, hops)) + content


def test_a_packet_is_a_duplicate_only_once_it_was_remembered_however_many_hops_it_took() -> None:
    seen, said = DuplicatePacketList(), geocast()
    assert seen.find(packet(b"hazard")) is None
    seen.remember(packet(b"hazard"), said)
    seen.remember(packet(b"hazard", hops=3), geocast())
    assert seen.find(packet(b"hazard")) is said
    assert seen.find(packet(b"hazard", hops=3)) is said
    assert seen.find(packet(b"another")) is None


def test_the_oldest_geocasts_are_forgotten_first_by_number_and_by_octets() -> None:
    seen = DuplicatePacketList(max_packets=8)
    for number in range(9):
        seen.remember(packet(bytes((number,))), geocast())
    assert [seen.find(packet(bytes((number,)))) is not None for number in range(10)] == [False, *[True] * 8, False]
    assert seen.octets == 8
    small = DuplicatePacketList(max_octets=100)
    for number in range(5):
        small.remember(packet(bytes((number,)) * 40), geocast())
    assert [small.find(packet(bytes((number,)) * 40)) is not None for number in range(5)] == [False, False, False, True, True]
    assert small.octets == 80


def test_a_neighbour_is_known_for_twenty_seconds() -> None:
    table = LocationTable()
    assert table.update(VECTOR_OCTETS, TICKET, at_s(1), is_neighbour=True)
    entry = table.get(CAR.mac, at_s(20.999))
    assert entry is not None
    assert entry.vector == VECTOR
    assert table.neighbours(at_s(20.999)) == (entry,)
    assert table.get(CAR.mac, at_s(21)) is None
    assert table.neighbours(at_s(21)) == ()
    assert table.expire(at_s(21)) == 1
    assert len(table) == 0


def test_an_older_vector_does_not_replace_a_later_one() -> None:
    table = LocationTable()
    later = replace(VECTOR, timestamp_ms=VECTOR.timestamp_ms + 100)
    table.update(encode_long_position_vector(later), TICKET, at_s(1), is_neighbour=True)
    assert not table.update(VECTOR_OCTETS, TICKET, at_s(2), is_neighbour=False)
    entry = table.get(CAR.mac, at_s(2))
    assert entry is not None
    assert entry.vector == later
    assert entry.is_neighbour
    assert entry.heard == at_s(2)


def test_the_timestamp_of_a_vector_goes_round_after_fifty_days() -> None:
    table = LocationTable()
    before = replace(VECTOR, timestamp_ms=0xFFFF_FFF0)
    assert table.update(encode_long_position_vector(before), TICKET, at_s(1), is_neighbour=True)
    assert table.update(encode_long_position_vector(replace(VECTOR, timestamp_ms=5)), TICKET, at_s(2), is_neighbour=True)
    assert not table.update(encode_long_position_vector(before), TICKET, at_s(3), is_neighbour=True)


def test_a_station_that_comes_back_after_its_time_may_have_another_clock() -> None:
    table = LocationTable()
    table.update(encode_long_position_vector(replace(VECTOR, timestamp_ms=5_000)), TICKET, at_s(1), is_neighbour=True)
    assert table.update(encode_long_position_vector(replace(VECTOR, timestamp_ms=4_000)), TICKET, at_s(21), is_neighbour=False)
    assert table.neighbours(at_s(21)) == ()


def test_a_station_heard_through_a_forwarder_is_no_neighbour() -> None:
    table = LocationTable()
    table.update(VECTOR_OCTETS, TICKET, at_s(1), is_neighbour=False)
    assert table.get(CAR.mac, at_s(1)) is not None
    assert table.neighbours(at_s(1)) == ()
    table.update(VECTOR_OCTETS, TICKET, at_s(2), is_neighbour=True)
    assert len(table.neighbours(at_s(2))) == 1


def test_a_flood_of_addresses_does_not_grow_the_table() -> None:
    table = LocationTable(max_entries=3)
    for number in range(10):
        table.update(
            encode_long_position_vector(replace(VECTOR, address=car(number))), ticket(number), at_s(number / 10), is_neighbour=True
        )
    assert [e.vector.address for e in table.neighbours(at_s(1))] == [car(7), car(8), car(9)]


def test_one_ticket_has_one_address_at_a_time_however_many_it_claims() -> None:
    table = LocationTable(max_entries=3)
    table.update(VECTOR_OCTETS, ticket(2), at_s(0), is_neighbour=True)
    for number in range(1_000, 1_100):
        table.update(encode_long_position_vector(replace(VECTOR, address=car(number))), TICKET, at_s(1), is_neighbour=True)
        assert len(table) == 2
    assert table.get(CAR.mac, at_s(1)) is not None
    assert table.get(car(1_098).mac, at_s(1)) is None
    assert table.get(car(1_099).mac, at_s(1)) is not None


def test_nobody_moves_another_s_entry_and_whoever_claims_its_address_makes_it_disputed() -> None:
    table = LocationTable()
    table.update(VECTOR_OCTETS, TICKET, at_s(0), is_neighbour=True)
    elsewhere = replace(VECTOR, position=GeoPoint(0.0, 1.0), timestamp_ms=VECTOR.timestamp_ms + 86_400_000)
    entry = table.get(CAR.mac, at_s(1))
    assert entry is not None
    assert not entry.is_disputed(at_s(1))
    assert not table.update(encode_long_position_vector(elsewhere), ticket(666), at_s(1), is_neighbour=True)
    assert (entry.vector, entry.heard) == (VECTOR, at_s(0))
    later = replace(VECTOR, timestamp_ms=VECTOR.timestamp_ms + 100)
    assert table.update(encode_long_position_vector(later), TICKET, at_s(2), is_neighbour=True)
    assert entry.is_disputed(at_s(20.9))
    assert not entry.is_disputed(at_s(21))


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 9), st.integers(0, 2**32 - 1)), max_size=200))
def test_whatever_is_claimed_the_table_keeps_its_bounds_and_one_entry_for_a_ticket(steps: list[tuple[int, int, int, int]]) -> None:
    table, now = LocationTable(max_entries=5), 0
    for mac, signer, elapsed_s, timestamp_ms in steps:
        now += elapsed_s
        vector = encode_long_position_vector(replace(VECTOR, address=car(mac), timestamp_ms=timestamp_ms))
        table.update(vector, ticket(signer), at_s(now), is_neighbour=True)
        known = table.neighbours(at_s(now))
        assert len(table) <= 5
        assert len({each.signer for each in known}) == len(known)


def test_our_own_packet_is_an_echo_however_many_hops_it_took() -> None:
    own, said = OwnPackets(), packet(b"signed")
    own.note_sent(said)
    assert own.is_echo(said)
    assert own.is_echo(forwarded(said))


def test_only_the_packets_sent_last_are_remembered() -> None:
    own = OwnPackets(capacity_packets=2)
    packets = [packet(bytes((n,)), hops=1) for n in range(3)]
    for each in packets:
        own.note_sent(each)
    assert [own.is_echo(each) for each in packets] == [False, True, True]


def test_a_geocast_that_comes_back_again_and_again_is_remembered_beyond_those_that_do_not() -> None:
    own = OwnPackets(capacity_geocasts=2)
    packets = [packet(bytes((n,)), hops=3) for n in range(4)]
    for each in packets:
        own.note_signed(each[BASIC_HEADER_OCTETS:], is_geocast=True)
        own.came_back(packets[0][BASIC_HEADER_OCTETS:])
    assert [own.is_echo(each) for each in packets] == [True, False, False, True]
