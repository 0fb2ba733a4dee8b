from dataclasses import replace

import pytest

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.errors import EncodeError
from shared.network.address import GnAddress
from shared.network.duplicate_packet_list import DuplicatePacketList
from shared.network.headers import forwarded
from shared.network.location_table import LocationTable
from shared.network.own_packets import Origin, OwnPackets
from shared.network.sequence_number import SequenceNumbers, follows
from tests.unit.network.samples import CAR, VECTOR


def car(number: int) -> GnAddress:
    return GnAddress(station_type=5, mac=number.to_bytes(6, "big"))


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


def test_a_packet_is_a_duplicate_only_once_it_was_remembered() -> None:
    seen = DuplicatePacketList()
    assert not seen.contains(CAR, 1)
    assert not seen.contains(CAR, 1)
    seen.remember(CAR, 1)
    assert seen.contains(CAR, 1)
    assert not seen.contains(car(1), 1)


def test_eight_numbers_of_a_source_are_remembered() -> None:
    seen = DuplicatePacketList()
    for number in range(9):
        seen.remember(CAR, number)
        seen.remember(CAR, number)
    assert [seen.contains(CAR, number) for number in range(10)] == [False, *[True] * 8, False]


def test_the_source_silent_longest_is_forgotten_first() -> None:
    seen = DuplicatePacketList(max_sources=2)
    seen.remember(car(1), 1)
    seen.remember(car(2), 1)
    seen.remember(car(1), 2)
    seen.remember(car(3), 1)
    assert len(seen) == 2
    assert [seen.contains(car(n), 1) for n in (1, 2, 3)] == [True, False, True]


def test_a_neighbour_is_known_for_twenty_seconds() -> None:
    table = LocationTable()
    assert table.next_due() is None
    assert table.update(VECTOR, at_s(1), is_neighbour=True)
    assert table.next_due() == at_s(21)
    entry = table.get(CAR, at_s(20.999))
    assert entry is not None
    assert entry.vector == VECTOR
    assert table.neighbours(at_s(20.999)) == (entry,)
    assert table.get(CAR, at_s(21)) is None
    assert table.neighbours(at_s(21)) == ()
    assert table.expire(at_s(21)) == 1
    assert table.next_due() is None


def test_an_older_vector_does_not_replace_a_later_one() -> None:
    table = LocationTable()
    later = replace(VECTOR, timestamp_ms=VECTOR.timestamp_ms + 100)
    table.update(later, at_s(1), is_neighbour=True)
    assert not table.update(VECTOR, at_s(2), is_neighbour=False)
    entry = table.get(CAR, at_s(2))
    assert entry is not None
    assert entry.vector == later
    assert entry.is_neighbour
    assert entry.heard == at_s(2)


def test_a_station_heard_through_a_forwarder_is_no_neighbour() -> None:
    table = LocationTable()
    table.update(VECTOR, at_s(1), is_neighbour=False)
    assert table.get(CAR, at_s(1)) is not None
    assert table.neighbours(at_s(1)) == ()


def test_a_flood_of_addresses_does_not_grow_the_table() -> None:
    table = LocationTable(max_entries=3)
    for number in range(10):
        table.update(replace(VECTOR, address=car(number)), at_s(number / 10), is_neighbour=True)
    assert [e.vector.address for e in table.neighbours(at_s(1))] == [car(7), car(8), car(9)]


def test_our_own_packet_is_an_echo_however_many_hops_it_took() -> None:
    own = OwnPackets()
    packet = bytes.fromhex("12001a0a") + b"signed"
    own.note_sent(packet)
    assert own.is_echo(packet)
    assert own.is_echo(forwarded(packet))
    assert own.origin(forwarded(packet), CAR, CAR) is Origin.ECHO


def test_a_packet_under_our_address_that_we_did_not_send_is_a_conflict() -> None:
    own = OwnPackets()
    assert own.origin(b"\x12\x00\x1a\x01other", CAR, CAR) is Origin.ADDRESS_CONFLICT
    assert own.origin(b"\x12\x00\x1a\x01other", car(1), CAR) is Origin.OTHER


def test_only_the_packets_sent_last_are_remembered() -> None:
    own = OwnPackets(capacity_packets=2)
    packets = [bytes.fromhex("12001a01") + bytes((n,)) for n in range(3)]
    for packet in packets:
        own.note_sent(packet)
    assert [own.is_echo(packet) for packet in packets] == [False, True, True]
