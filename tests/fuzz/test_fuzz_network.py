"""Whatever octets arrive, the network layer returns a value or raises `DecodeError`, never anything else."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.core.errors import DecodeError, StorageError
from shared.core.geo import GeoPoint
from shared.network.address import decode_address
from shared.network.area import AreaShape, decode_area
from shared.network.btp import BtpB, decode_btp_b
from shared.network.extended import ExtendedHeader, decode_gac, decode_gbc, decode_shb
from shared.network.headers import TrafficClass, decode_basic_header, decode_common_header, encode_basic_header, forwarded
from shared.network.packet import GnPayload, check_hop_limit, decode_gn_pdu, encode_gn_payload
from shared.network.position_vector import decode_long_position_vector
from shared.transport.capture import open_capture, read_capture
from tests.unit.network.samples import EXTENDED_HEADERS

DECODERS: tuple[tuple[Callable[[bytes], object], int], ...] = (
    (decode_address, 8),
    (decode_long_position_vector, 24),
    (decode_common_header, 8),
    (decode_btp_b, 4),
    (decode_shb, 28),
    *((lambda data, shape=shape: decode_gbc(data, shape), 44) for shape in AreaShape),
    *((lambda data, shape=shape: decode_gac(data, shape), 44) for shape in AreaShape),
    *((lambda data, shape=shape: decode_area(data, shape), 14) for shape in AreaShape),
)

HEADER_TYPES = bytes((0x10, 0x20, 0x30, 0x31, 0x32, 0x40, 0x41, 0x42, 0x50, 0x51, 0x60, 0x61))


@pytest.mark.parametrize(("decode", "octets"), DECODERS)
@given(data=st.data())
@settings(max_examples=60)
def test_a_field_of_any_octets_is_a_value_or_a_decode_error(
    decode: Callable[[bytes], object], octets: int, data: st.DataObject
) -> None:
    length = data.draw(st.sampled_from((octets, octets, octets, octets - 1, octets + 1, 0)))
    with suppress(DecodeError):
        decode(data.draw(st.binary(min_size=length, max_size=length)))


@given(st.binary(max_size=200))
def test_any_octets_after_the_basic_header_are_a_packet_or_a_decode_error(data: bytes) -> None:
    with suppress(DecodeError):
        decode_gn_pdu(data)


@given(st.sampled_from(HEADER_TYPES), st.sampled_from((0x00, 0x10, 0x20, 0x30)), st.binary(max_size=120))
def test_a_plausible_beginning_with_any_octets_behind_it_is_a_packet_or_a_decode_error(
    header_type: int, next_header: int, rest: bytes
) -> None:
    announced = max(0, len(rest) - 28) if header_type == 0x50 else max(0, len(rest) - 44)
    with suppress(DecodeError):
        decode_gn_pdu(bytes((next_header, header_type, 2, 0x80)) + announced.to_bytes(2, "big") + b"\x0a\x00" + rest)


@given(st.binary(max_size=40))
def test_any_packet_has_a_basic_header_or_a_decode_error(data: bytes) -> None:
    with suppress(DecodeError):
        header, rest = decode_basic_header(data)
        assert rest == data[4:]
        if 50 <= header.lifetime_ms <= 600_000:
            assert decode_basic_header(encode_basic_header(header))[0] == header
    with suppress(DecodeError):
        assert decode_basic_header(forwarded(data))[1] == data[4:]


@given(st.sampled_from(EXTENDED_HEADERS), st.integers(0, 10_000), st.integers(0, 255), st.integers(0, 255))
def test_a_packet_with_a_changed_octet_is_a_value_fit_for_use_or_a_decode_error(
    extended: ExtendedHeader, at: int, octet: int, hops: int
) -> None:
    whole = bytearray(encode(extended, b"message"))
    whole[at % len(whole)] = octet
    with suppress(DecodeError):
        pdu = decode_gn_pdu(bytes(whole))
        basic, _ = decode_basic_header(bytes((0x12, 0, 0x1A, hops)))
        with suppress(DecodeError):
            check_hop_limit(basic, pdu.common)
        if isinstance(pdu, GnPayload) and pdu.area is not None:
            pdu.area.contains(GeoPoint(48.1, 11.5))


@pytest.mark.parametrize("name", ["any.pcap", "any.pcapng"])
@given(st.binary(max_size=300), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=50)
def test_any_file_is_a_capture_or_a_decode_error(tmp_path: Path, name: str, data: bytes, with_header: bool) -> None:  # noqa: FBT001
    path = tmp_path / name
    path.unlink(missing_ok=True)
    with open_capture(path):
        header = path.read_bytes()
    path.write_bytes((header if with_header else b"") + data)
    with suppress(DecodeError):
        list(read_capture(path))
    if with_header:
        with suppress(StorageError), open_capture(path) as writer:  # a section of neither byte order may stand in the data
            assert path.stat().st_size <= 2 * len(header) + len(data)
            assert writer.written == 0


def encode(extended: ExtendedHeader, message: bytes) -> bytes:
    return encode_gn_payload(
        extended=extended,
        btp=BtpB(destination_port=2001),
        message=message,
        traffic_class=TrafficClass(priority=2),
        is_mobile=True,
    )
