import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import DecodeError, EncodeError
from shared.network.headers import (
    MAX_LIFETIME_MS,
    BasicHeader,
    BasicNextHeader,
    CommonHeader,
    CommonNextHeader,
    HeaderType,
    TrafficClass,
    decode_basic_header,
    decode_common_header,
    decode_lifetime,
    encode_basic_header,
    encode_common_header,
    encode_lifetime,
    forwarded,
)

SECURED_CAM = BasicHeader(next_header=BasicNextHeader.SECURED, lifetime_ms=60_000, remaining_hop_limit=1)
CAM_COMMON = CommonHeader(
    next_header=CommonNextHeader.BTP_B,
    header_type=HeaderType.SHB,
    traffic_class=TrafficClass(priority=2),
    is_mobile=True,
    payload_octets=45,
    max_hop_limit=1,
)

common_headers = st.builds(
    CommonHeader,
    next_header=st.sampled_from(CommonNextHeader),
    header_type=st.sampled_from(HeaderType),
    traffic_class=st.builds(
        TrafficClass, priority=st.integers(0, 63), store_carry_forward=st.booleans(), channel_offload=st.booleans()
    ),
    is_mobile=st.booleans(),
    payload_octets=st.integers(0, 65_535),
    max_hop_limit=st.integers(0, 255),
)


def test_a_single_hop_secured_cam_begins_as_that_of_a_real_car() -> None:
    assert encode_basic_header(SECURED_CAM).hex() == "12001a01"


def test_the_basic_header_is_taken_off_and_the_rest_left_alone() -> None:
    assert decode_basic_header(bytes.fromhex("12001a01") + b"rest") == (SECURED_CAM, b"rest")


def test_reserved_octets_are_ignored() -> None:
    assert decode_basic_header(bytes.fromhex("12ff1a01"))[0] == SECURED_CAM
    assert decode_common_header(bytes.fromhex("2f5002ff002d01ff")) == CAM_COMMON


@pytest.mark.parametrize("octets", range(4))
def test_a_basic_header_cut_short_is_refused(octets: int) -> None:
    with pytest.raises(DecodeError, match="cut short"):
        decode_basic_header(bytes.fromhex("12001a01")[:octets])


@pytest.mark.parametrize(
    ("wire", "field"), [("02001a01", "version"), ("22001a01", "version"), ("10001a01", "next_header"), ("13001a01", "next_header")]
)
def test_another_version_or_next_header_is_refused_by_name(wire: str, field: str) -> None:
    with pytest.raises(DecodeError) as refused:
        decode_basic_header(bytes.fromhex(wire))
    assert refused.value.field == f"basic_header.{field}"


@pytest.mark.parametrize(
    ("lifetime_ms", "octet"),
    [(50, 0x04), (60_000, 0x1A), (1_000, 0x05), (600_000, 0x1B), (3_150, 0xFC), (30_000, 0x0E), (500, 0x28)],
)
def test_published_lifetimes_are_written_in_the_coarsest_base(lifetime_ms: int, octet: int) -> None:
    assert encode_lifetime(lifetime_ms) == octet
    assert decode_lifetime(octet) == lifetime_ms


@given(st.integers(50, MAX_LIFETIME_MS))
def test_a_lifetime_is_the_nearest_that_can_be_said_and_never_longer(lifetime_ms: int) -> None:
    said_ms = decode_lifetime(encode_lifetime(lifetime_ms))
    sayable_ms = {decode_lifetime(octet) for octet in range(256)}
    assert said_ms == max(ms for ms in sayable_ms if ms <= lifetime_ms)


def test_every_lifetime_octet_means_something() -> None:
    assert [decode_lifetime(octet) for octet in (0x00, 0x03, 0xF1, 0xFF)] == [0, 0, 60_000, 6_300_000]


@pytest.mark.parametrize("lifetime_ms", [-1, 0, 49, MAX_LIFETIME_MS + 1])
def test_a_lifetime_that_means_nothing_or_too_much_is_our_error(lifetime_ms: int) -> None:
    with pytest.raises(EncodeError, match="lifetime"):
        encode_lifetime(lifetime_ms)


def test_a_forwarder_changes_the_hop_limit_and_nothing_else() -> None:
    assert forwarded(bytes.fromhex("1277f10a") + b"signed") == bytes.fromhex("1277f109") + b"signed"


@pytest.mark.parametrize("hops", [0, 1])
def test_a_packet_on_its_last_hop_is_not_forwarded(hops: int) -> None:
    with pytest.raises(DecodeError, match="no hop left"):
        forwarded(bytes((0x12, 0, 0x1A, hops)))


def test_the_common_header_of_a_cam_is_written_as_the_standard_lays_it_out() -> None:
    assert encode_common_header(CAM_COMMON).hex() == "20500280002d0100"
    assert decode_common_header(bytes.fromhex("20500280002d0100")) == CAM_COMMON


@given(common_headers)
def test_every_common_header_survives_the_round_trip(header: CommonHeader) -> None:
    assert decode_common_header(encode_common_header(header)) == header


@pytest.mark.parametrize("octets", [*range(8), 9])
def test_a_common_header_of_another_length_is_refused(octets: int) -> None:
    with pytest.raises(DecodeError, match="instead of 8"):
        decode_common_header(bytes.fromhex("20500280002d0100ff")[:octets])


@pytest.mark.parametrize(("wire", "field"), [("40500280002d0100", "next_header"), ("20430280002d0100", "header_type")])
def test_a_next_header_or_type_without_meaning_is_refused_by_name(wire: str, field: str) -> None:
    with pytest.raises(DecodeError) as refused:
        decode_common_header(bytes.fromhex(wire))
    assert refused.value.field == f"common_header.{field}"


@pytest.mark.parametrize("priority", [-1, 64])
def test_a_priority_that_does_not_fit_is_our_error(priority: int) -> None:
    header = CommonHeader(
        next_header=CommonNextHeader.BTP_B,
        header_type=HeaderType.SHB,
        traffic_class=TrafficClass(priority=priority),
        is_mobile=False,
        payload_octets=0,
        max_hop_limit=1,
    )
    with pytest.raises(EncodeError, match="priority"):
        encode_common_header(header)
