"""What a packet is, where it belongs, and until when, read from real packets and from damaged ones."""

from dataclasses import replace
from random import Random

import pytest

from shared.core.clock import NS_PER_MS, Instant, MonotonicNs, UtcNs
from shared.core.errors import TransportError
from shared.core.geo import GeoPoint, distance_m
from shared.core.itstime import time64_of
from shared.messages.denm import decode_denm
from shared.network.headers import BASIC_HEADER_OCTETS
from shared.pki.permission_sets import StationRole
from shared.transport.packet_outline import outline_of
from shared.transport.packet_validity import is_expired, useful_ns
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.stations import TURIN, Speaker, after_ms, at, payload_of

MS = NS_PER_MS


@pytest.fixture(name="car", scope="module")
def speaking_car() -> Speaker:
    return Speaker(Hierarchy(5))


@pytest.fixture(name="packets", scope="module")
def real_packets(car: Speaker) -> dict[str, bytes]:
    unit = Speaker(Hierarchy(5), StationRole.RSU, seed=2)
    return {"cam": car.cam(NOON), "denm": car.denm(NOON), "spatem": unit.spatem(NOON), "mapem": unit.mapem(NOON)}


def test_kind_place_and_time_of_what_stations_say(packets: dict[str, bytes]) -> None:
    for kind, packet in packets.items():
        outline = outline_of(packet)
        assert outline.kind == kind
        assert distance_m(outline.place, TURIN) < 0.1
        assert outline.generation_time == time64_of(NOON)
        assert outline.lifetime_ms > 0


def test_the_message_inside_is_found(packets: dict[str, bytes]) -> None:
    packet = packets["denm"]
    outline = outline_of(packet)
    message = packet[outline.message_at : outline.message_end]
    assert payload_of(packet).endswith(message)
    assert decode_denm(message).cause_code is not None


def test_a_packet_that_is_not_secured_is_known_by_its_port(packets: dict[str, bytes]) -> None:
    for kind in ("cam", "denm"):
        secured = packets[kind]
        bare = bytes((0x11,)) + secured[1:BASIC_HEADER_OCTETS] + payload_of(secured)
        outline = outline_of(bare)
        assert (outline.kind, outline.generation_time) == (kind, None)
        assert outline.place == outline_of(secured).place


def test_a_digest_signed_packet_is_read_as_well(car: Speaker) -> None:
    first, second = car.cam(after_ms(NOON, 5_000)), car.cam(after_ms(NOON, 5_100))
    assert len(second) < len(first)
    assert outline_of(second).kind == "cam"


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (b"", "cut short"),
        (b"\x22\x00\x1a\x01", "version 2 instead of 1"),
        (b"\x13\x00\x1a\x01", "next header 3"),
        (b"\x12\x00\x1a\x01" + bytes(100), "security header"),
        (b"\x11\x00\x1a\x01" + b"\x20\xf0" + bytes(100), "header type 0xf0"),
        (b"\x11\x00\x1a\x01" + b"\x20\x50" + bytes(100), "no position"),
        (b"\x11\x00\x1a\x01" + b"\x20\x50" + bytes(6) + bytes(12) + b"\x7f" * 8 + bytes(80), "is no place"),
    ],
)
def test_what_cannot_be_read_says_why(packet: bytes, reason: str) -> None:
    with pytest.raises(TransportError, match=reason):
        outline_of(packet)


def test_damaged_packets_give_an_outline_or_an_error(packets: dict[str, bytes]) -> None:
    random, refused = Random(1), 0
    for packet in packets.values():
        for length in range(len(packet)):
            try:
                outline_of(packet[:length])
            except TransportError:
                refused += 1
        for _ in range(2_000):
            damaged = bytearray(packet)
            damaged[random.randrange(len(damaged))] ^= 1 << random.randrange(8)
            try:
                outline_of(bytes(damaged))
            except TransportError:
                refused += 1
    assert refused > 500


class TestUse:
    def test_a_cam_is_of_use_for_a_second_from_when_it_was_signed(self, packets: dict[str, bytes]) -> None:
        packet = packets["cam"]
        outline = outline_of(packet)
        assert useful_ns(packet, outline, at(NOON)) == 1_000 * MS
        assert useful_ns(packet, outline, at(after_ms(NOON, 400))) == 600 * MS
        assert useful_ns(packet, outline, at(after_ms(NOON, 1_500))) < 0

    def test_without_a_date_it_counts_from_now(self, packets: dict[str, bytes]) -> None:
        packet = packets["cam"]
        assert useful_ns(packet, outline_of(packet), Instant(MonotonicNs(5), None)) == 1_000 * MS

    def test_a_warning_is_of_use_for_its_validity_and_no_longer_than_its_lifetime(self, packets: dict[str, bytes]) -> None:
        packet = packets["denm"]
        outline = outline_of(packet)
        assert useful_ns(packet, outline, at(NOON)) == outline.lifetime_ms * MS
        long = replace(outline, lifetime_ms=10_000_000)
        assert useful_ns(packet, long, at(NOON)) == 600_000 * MS
        assert useful_ns(packet, long, at(after_ms(NOON, 599_000))) == 1_000 * MS

    def test_a_warning_that_cannot_be_read_is_of_use_for_its_lifetime(self, packets: dict[str, bytes]) -> None:
        packet = packets["denm"]
        outline = outline_of(packet)
        unreadable = replace(outline, message_end=outline.message_at + 3)
        assert useful_ns(packet, unreadable, at(NOON)) == outline.lifetime_ms * MS

    @pytest.mark.parametrize(("age_ms", "expected"), [(0, False), (999, False), (1_050, False), (1_051, True), (60_000, True)])
    def test_on_arrival_a_cam_is_judged_by_its_signed_time(self, packets: dict[str, bytes], age_ms: int, *, expected: bool) -> None:
        assert is_expired(packets["cam"], at(after_ms(NOON, age_ms))) is expected

    def test_without_a_date_or_a_signed_time_nothing_has_expired(self, packets: dict[str, bytes]) -> None:
        assert not is_expired(packets["cam"], Instant(MonotonicNs(0), None))
        assert not is_expired(b"\x12rubbish", at(UtcNs(NOON + 10**15)))


def test_places_are_read_to_the_tenth_of_a_microdegree(packets: dict[str, bytes]) -> None:
    assert outline_of(packets["denm"]).place == GeoPoint(45.07, 7.68)
