import pytest
from hypothesis import given

from shared.core.errors import DecodeError, EncodeError
from shared.core.ids import StationType
from shared.network.address import GnAddress, decode_address, encode_address
from tests.unit.network import samples


def test_a_passenger_car_is_written_as_the_standard_lays_it_out() -> None:
    address = GnAddress(station_type=StationType.PASSENGER_CAR, mac=bytes.fromhex("02000000002a"))
    assert encode_address(address).hex() == "140002000000002a"


def test_a_manually_configured_road_side_unit_sets_the_first_bit() -> None:
    address = GnAddress(station_type=StationType.ROAD_SIDE_UNIT, mac=bytes(6), is_manual=True)
    assert encode_address(address).hex() == "bc00000000000000"


@given(samples.addresses)
def test_every_address_survives_the_round_trip(address: GnAddress) -> None:
    assert decode_address(encode_address(address)) == address


def test_reserved_bits_once_a_country_code_are_ignored_and_written_as_zero() -> None:
    address = decode_address(bytes.fromhex("17ff02000000002a"))
    assert address == samples.CAR
    assert encode_address(address).hex() == "140002000000002a"


@pytest.mark.parametrize("octets", [0, 7, 9])
def test_another_length_is_refused(octets: int) -> None:
    with pytest.raises(DecodeError, match="instead of 8"):
        decode_address(bytes(octets))


def test_an_address_that_no_packet_can_carry_cannot_be_made() -> None:
    with pytest.raises(EncodeError, match=r"gn_address\.mac"):
        GnAddress(station_type=5, mac=bytes(5))
    with pytest.raises(EncodeError, match=r"gn_address\.station_type"):
        GnAddress(station_type=32, mac=bytes(6))


def test_an_address_reads_as_its_link_layer_address() -> None:
    assert str(samples.CAR) == "02:00:00:00:00:2a"
