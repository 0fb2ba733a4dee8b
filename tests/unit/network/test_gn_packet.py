from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import DecodeError, EncodeError
from shared.core.ids import BtpPort
from shared.network.area import Area
from shared.network.btp import BtpB, decode_btp_b, encode_btp_b
from shared.network.extended import ChannelLoad, ExtendedHeader, GacHeader, GbcHeader, ShbHeader, encode_shb
from shared.network.headers import DEFAULT_HOP_LIMIT, BasicHeader, BasicNextHeader, CommonNextHeader, HeaderType, TrafficClass
from shared.network.packet import (
    MAX_PACKET_OCTETS,
    MAX_SDU_OCTETS,
    Beacon,
    GnPayload,
    UnsupportedPacketError,
    check_hop_limit,
    decode_gn_payload,
    decode_gn_pdu,
    encode_beacon,
    encode_gn_payload,
)
from shared.network.position_vector import LongPositionVector
from tests.unit.network.samples import CIRCLE, EXTENDED_HEADERS, VECTOR, VECTOR_HEX, areas, vectors

CAM_PORT = BtpB(destination_port=BtpPort.CAM)
CAM = bytes.fromhex(f"20500280000a0100 {VECTOR_HEX} 00000000 07d10000 020200000001")


def encoded(extended: ExtendedHeader, message: bytes = b"\x02\x02\x00\x00\x00\x01", max_hop_limit: int | None = None) -> bytes:
    return encode_gn_payload(
        extended=extended,
        btp=CAM_PORT,
        message=message,
        traffic_class=TrafficClass(priority=2),
        is_mobile=True,
        max_hop_limit=max_hop_limit,
    )


def test_a_single_hop_cam_is_written_as_the_standard_lays_it_out() -> None:
    assert encoded(ShbHeader(source=VECTOR)) == CAM


def test_a_geocast_denm_is_written_as_the_standard_lays_it_out() -> None:
    wire = encode_gn_payload(
        extended=GbcHeader(sequence_number=258, source=VECTOR, area=CIRCLE),
        btp=BtpB(destination_port=BtpPort.DENM),
        message=b"\x02\x01",
        traffic_class=TrafficClass(priority=1, store_carry_forward=True),
        is_mobile=False,
    )
    assert wire == bytes.fromhex(f"2040810000060a00 01020000 {VECTOR_HEX} 1cab7a40 06dac2c0 01f4 0000 0000 0000 07d20000 0201")


@pytest.mark.parametrize("extended", EXTENDED_HEADERS)
def test_every_kind_of_packet_survives_the_round_trip(extended: ExtendedHeader) -> None:
    payload = decode_gn_payload(encoded(extended))
    assert payload.extended == extended
    assert payload.source == VECTOR
    assert payload.btp == CAM_PORT
    assert payload.message == b"\x02\x02\x00\x00\x00\x01"
    assert payload.common.max_hop_limit == (1 if isinstance(extended, ShbHeader) else DEFAULT_HOP_LIMIT)
    assert payload.common.is_mobile


@given(vectors, st.one_of(st.none(), areas), st.integers(0, 65_535), st.binary(min_size=1, max_size=300))
def test_any_content_survives_the_round_trip(
    source: LongPositionVector, area: Area | None, sequence_number: int, message: bytes
) -> None:
    extended: ExtendedHeader = ShbHeader(source=source)
    if area is not None:
        extended = GbcHeader(sequence_number=sequence_number, source=source, area=area)
    payload = decode_gn_payload(encoded(extended, message))
    assert (payload.extended, payload.message, payload.area) == (extended, message, area)


@pytest.mark.parametrize("extended", EXTENDED_HEADERS)
def test_a_packet_cut_at_any_octet_is_refused(extended: ExtendedHeader) -> None:
    whole = encoded(extended)
    for octets in range(len(whole)):
        with pytest.raises(DecodeError):
            decode_gn_payload(whole[:octets])


@pytest.mark.parametrize("extended", EXTENDED_HEADERS)
def test_a_trailing_octet_is_refused(extended: ExtendedHeader) -> None:
    with pytest.raises(DecodeError, match="announced"):
        decode_gn_payload(encoded(extended) + b"\x00")


@pytest.mark.parametrize("extended", EXTENDED_HEADERS)
def test_a_flipped_bit_changes_the_value_or_is_refused_or_was_reserved(extended: ExtendedHeader) -> None:
    whole = encoded(extended)
    original = decode_gn_payload(whole)
    unchanged = 0
    for bit in range(len(whole) * 8):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        try:
            unchanged += decode_gn_payload(bytes(flipped)) == original
        except DecodeError:
            continue
    reserved_common, reserved_address, reserved_load, reserved_geocast, unused_by_circle = 4 + 7 + 8, 10, 11, 32, 32
    reserved = reserved_common + reserved_address + (reserved_load if isinstance(extended, ShbHeader) else reserved_geocast)
    if isinstance(extended, GbcHeader | GacHeader) and original.area == CIRCLE:
        reserved += unused_by_circle
    assert unchanged == reserved


def test_a_beacon_is_understood_and_carries_no_message() -> None:
    wire = encode_beacon(VECTOR, is_mobile=True)
    assert wire == bytes.fromhex(f"0010008000000100 {VECTOR_HEX}")
    beacon = decode_gn_pdu(wire)
    assert isinstance(beacon, Beacon)
    assert beacon.source == VECTOR
    with pytest.raises(UnsupportedPacketError, match="no message"):
        decode_gn_payload(wire)
    for octets in range(len(wire)):
        with pytest.raises(DecodeError):
            decode_gn_pdu(wire[:octets])
    with pytest.raises(DecodeError, match="announced"):
        decode_gn_pdu(wire + b"\x00")
    with pytest.raises(DecodeError, match="carries nothing"):
        decode_gn_pdu(wire[:5] + b"\x01" + wire[6:] + b"\x00")


@pytest.mark.parametrize("header_type", [HeaderType.GUC, HeaderType.TSB, HeaderType.LS_REQUEST, HeaderType.LS_REPLY])
def test_kinds_of_packets_we_take_no_part_in_are_named(header_type: HeaderType) -> None:
    with pytest.raises(UnsupportedPacketError, match=header_type.name) as refused:
        decode_gn_payload(CAM[:1] + bytes((header_type,)) + CAM[2:])
    assert refused.value.code == "unsupported_packet"


@pytest.mark.parametrize("next_header", [CommonNextHeader.ANY, CommonNextHeader.BTP_A, CommonNextHeader.IPV6])
def test_another_transport_than_btp_b_is_refused(next_header: CommonNextHeader) -> None:
    with pytest.raises(UnsupportedPacketError, match=next_header.name):
        decode_gn_payload(bytes((next_header << 4,)) + CAM[1:])


@pytest.mark.parametrize("sdu_octets", [0, 3, 4])
def test_a_packet_without_a_message_is_refused(sdu_octets: int) -> None:
    empty = CAM[:5] + bytes((sdu_octets,)) + CAM[6:36] + CAM[36 : 36 + sdu_octets]
    with pytest.raises(DecodeError, match=r"cut short|empty"):
        decode_gn_payload(empty)


def test_a_frame_larger_than_any_is_refused_before_it_is_read() -> None:
    with pytest.raises(DecodeError, match="exceed"):
        decode_gn_payload(bytes(MAX_PACKET_OCTETS + 1))


def test_more_hops_than_a_packet_began_with_are_refused() -> None:
    payload = decode_gn_payload(encoded(EXTENDED_HEADERS[2], max_hop_limit=3))
    basic = BasicHeader(next_header=BasicNextHeader.SECURED, lifetime_ms=60_000, remaining_hop_limit=3)
    check_hop_limit(basic, payload.common)
    with pytest.raises(DecodeError, match="4 hops remain of 3"):
        check_hop_limit(replace(basic, remaining_hop_limit=4), payload.common)


def test_the_largest_message_fits_and_one_octet_more_does_not() -> None:
    largest = bytes(MAX_SDU_OCTETS - 4)
    assert decode_gn_payload(encoded(ShbHeader(source=VECTOR), largest)).message == largest
    with pytest.raises(EncodeError, match="exceed"):
        encoded(ShbHeader(source=VECTOR), largest + b"\x00")


@pytest.mark.parametrize("hops", [0, 2, 256])
def test_a_single_hop_takes_one_hop(hops: int) -> None:
    with pytest.raises(EncodeError, match="max_hop_limit"):
        encoded(ShbHeader(source=VECTOR), max_hop_limit=hops)


@pytest.mark.parametrize("hops", [-1, 0, 256])
def test_a_geocast_takes_between_1_and_255_hops(hops: int) -> None:
    with pytest.raises(EncodeError, match="max_hop_limit"):
        encoded(EXTENDED_HEADERS[2], max_hop_limit=hops)


def test_an_empty_message_is_our_error() -> None:
    with pytest.raises(EncodeError, match="empty"):
        encoded(ShbHeader(source=VECTOR), b"")


@pytest.mark.parametrize(
    "load",
    [
        ChannelLoad(busy_ratio=1.1, neighbours_busy_ratio=0.0, power_dbm=0),
        ChannelLoad(busy_ratio=0.0, neighbours_busy_ratio=-0.1, power_dbm=0),
        ChannelLoad(busy_ratio=0.0, neighbours_busy_ratio=float("nan"), power_dbm=0),
        ChannelLoad(busy_ratio=0.0, neighbours_busy_ratio=0.0, power_dbm=32),
    ],
)
def test_a_channel_load_that_cannot_be_is_our_error(load: ChannelLoad) -> None:
    with pytest.raises(EncodeError, match="channel_load"):
        encode_shb(ShbHeader(source=VECTOR, channel_load=load))


@pytest.mark.parametrize("sequence_number", [-1, 65_536])
def test_a_sequence_number_that_does_not_fit_is_our_error(sequence_number: int) -> None:
    with pytest.raises(EncodeError, match="sequence_number"):
        encoded(GbcHeader(sequence_number=sequence_number, source=VECTOR, area=CIRCLE))


def test_btp_b_is_two_ports() -> None:
    header = BtpB(destination_port=2004, destination_port_info=7)
    assert encode_btp_b(header).hex() == "07d40007"
    assert decode_btp_b(bytes.fromhex("07d40007")) == header
    with pytest.raises(DecodeError, match="instead of 4"):
        decode_btp_b(bytes(5))
    with pytest.raises(EncodeError, match="destination_port"):
        encode_btp_b(BtpB(destination_port=65_536))


def test_a_payload_says_where_it_is_from_and_meant_to_go() -> None:
    payload = decode_gn_payload(CAM)
    assert isinstance(payload, GnPayload)
    assert payload.area is None
    assert payload.source.position == VECTOR.position
