"""In-vehicle information, signal requests and answers: nothing is lost, and what each field means."""

from collections.abc import Mapping
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from shared.codec.asn1 import message_codec
from shared.core.errors import DecodeError, EncodeError
from shared.core.ids import IntersectionId, MessageId, StationId
from shared.messages import samples
from shared.messages.ivim import IviContainer, Ivim, decode_ivim, encode_ivim
from shared.messages.ivim_attributes import SignMeasure, SignSpeeds, SignUnit
from shared.messages.ivim_information import IviSigns, IviText
from shared.messages.ivim_provider import Provider
from shared.messages.ivim_signs import CatalogueSign, Iso14823Sign, RoadSign, TrafficSign, ViennaClass, ViennaSign
from shared.messages.ivim_zones import IviZone, ZoneLine, ZoneOffset, ZonePosition
from shared.messages.requestor import AccessPoint, BasicVehicleRole, VehicleId
from shared.messages.srem import PriorityRequestType, SignalRequest, decode_srem, encode_srem
from shared.messages.ssem import PrioritizationStatus, decode_ssem, encode_ssem
from shared.messages.typed import TYPED_CODECS
from tests.helpers.data import data_file
from tests.helpers.paths import RANDOM_VALUES
from tests.unit.codec.uper_values import Draw
from tests.unit.messages import infrastructure_samples as rich

UNAVAILABLE: Mapping[str, tuple[Any, ...]] = {
    "timeStamp": (527_040,),
    "minute": (527_040,),
    "second": (65_535,),
    "duration": (65_535,),
    "elevation": (-4096,),
    "heading": (28_800,),
    "zoneHeading": (3601,),
    "transitSchedule": (-122,),
    "speed": ({"transmisson": 7, "speed": 8191},),
    "referencePositionHeading": ({"headingValue": 3601, "headingConfidence": 127},),
    "referencePositionSpeed": ({"speedValue": 16_383, "speedConfidence": 127},),
}
"""Optional components that may also say that they say nothing; typed values have one None for both."""


def without_the_unavailable(tree: Any) -> Any:
    match tree:
        case Mapping():
            given = {name: value for name, value in tree.items() if value not in UNAVAILABLE.get(name, ())}
            return {name: without_the_unavailable(value) for name, value in given.items()}
        case tuple():
            return tuple(without_the_unavailable(value) for value in tree)
        case _:
            return tree


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("message_id", [MessageId.IVIM, MessageId.SREM, MessageId.SSEM])
def test_nothing_the_schema_knows_is_lost_on_the_way_through_typed_values(message_id: MessageId, *, extended: bool) -> None:
    typed, plain = TYPED_CODECS[message_id], message_codec(message_id)
    random = Random(message_id)
    for n in range(RANDOM_VALUES):
        _, encoded = Draw(random, likelihood=(0.6, 0.25)[n % 2], extended=extended).message(message_id)
        again = typed.encode(typed.decode(encoded))
        assert without_the_unavailable(plain.decode(again)) == without_the_unavailable(plain.decode(encoded))


def test_a_request_of_the_united_states_is_read() -> None:
    srem = decode_srem(bytes((2, MessageId.SREM, 0, 0, 0, 1)) + frame_body("srm"))
    (request,) = srem.requests
    assert request == SignalRequest(
        id=IntersectionId(region=None, number=12_109),
        request_id=4,
        request_type=PriorityRequestType.PRIORITY_REQUEST,
        inbound=AccessPoint(lane=13),
        outbound=AccessPoint(lane=4),
        duration_ms=10_979,
    )
    assert srem.requestor.id == VehicleId(station_id=StationId(2_366_845_094))
    assert srem.requestor.type is not None
    assert srem.requestor.type.role is BasicVehicleRole.PUBLIC_TRANSPORT
    position = srem.requestor.position
    assert position is not None
    assert (position.lat_deg, position.lon_deg, position.elevation_m, position.heading_deg) == (
        39.5904915,
        -105.091383,
        1685.4,
        175.9,
    )
    assert encode_srem(srem)[6:] == frame_body("srm")


def test_an_answer_of_the_united_states_is_read() -> None:
    ssem = decode_ssem(bytes((2, MessageId.SSEM, 0, 0, 0, 1)) + frame_body("ssm"))
    (answer,) = ssem.statuses[0].requests
    assert answer.status is PrioritizationStatus.GRANTED
    assert answer.inbound == AccessPoint(lane=23)
    assert answer.requester is not None
    assert answer.requester.id == VehicleId(station_id=StationId(2_366_845_094))
    assert encode_ssem(ssem)[6:] == frame_body("ssm")


def frame_body(name: str) -> bytes:
    return bytes.fromhex(data_file(f"messages/jpo-ode_udp_{name}.hex").read_text())[3:]


@pytest.mark.parametrize(("country", "identifier", "octets"), [("DE", 1, "940001"), ("AT", 1, "c04001")])
def test_a_provider_is_numbered_as_tolling_numbers_its_issuers(country: str, identifier: int, octets: str) -> None:
    encoded = encode_ivim(replace(rich.REVOKED_GANTRY, service_provider=Provider(country_code=country, identifier=identifier)))
    bits = f"{int.from_bytes(encoded, 'big'):0{8 * len(encoded)}b}"
    assert bits[6 * 8 + 6 :].startswith(f"{int(octets, 16):024b}")


def test_ten_bits_that_are_no_letters_stay_a_number() -> None:
    letters = 0
    for number in range(1 << 10):
        provider = Provider(country_code=number, identifier=0)
        heard = decode_ivim(encode_ivim(replace(rich.REVOKED_GANTRY, service_provider=provider)))
        country = heard.service_provider.country_code
        letters += isinstance(country, str)
        assert country == number or (isinstance(country, str) and len(country) == 2 and country.isalpha() and country.isupper())
        assert decode_ivim(encode_ivim(heard)) == heard
    assert letters == 26 * 26


@pytest.mark.parametrize("country", ["", "D", "de", "DEU", "D1", 1 << 10, -1, 1.5, None])
def test_what_is_no_country_cannot_be_said(country: Any) -> None:
    with pytest.raises(EncodeError, match=r"service_provider\.country_code"):
        encode_ivim(replace(rich.REVOKED_GANTRY, service_provider=Provider(country_code=country, identifier=0)))


@pytest.mark.parametrize(
    ("rrid", "lengths"), [(0, 0), (127, 0), (128, 1), (16_511, 1), (16_512, 2), (2_113_663, 2), (2_113_664, 3), (270_549_119, 3)]
)
def test_a_road_rule_has_the_shortest_number_it_fits(rrid: int, lengths: int) -> None:
    ivim = with_container(IviContainer(signs=(replace(samples_signs(), rrid=rrid),)))
    encoded = encode_ivim(ivim)
    assert decode_ivim(encoded) == ivim
    number = message_codec(MessageId.IVIM).decode(encoded)["ivi"]["optional"][0][1][0]["its-Rrid"]
    for _ in range(lengths):
        assert number[0] == "extension"
        number = number[1]
    assert number == (rrid if lengths == 3 else ("content", rrid))


def samples_signs() -> IviSigns:
    return samples.IVIM.containers[1].signs[0]


def with_container(container: IviContainer) -> Ivim:
    return replace(rich.REVOKED_GANTRY, containers=(container,))


NO_SIGN = replace(samples_signs(), road_signs=(RoadSign(),))
TWO_SIGNS = replace(samples_signs(), road_signs=(RoadSign(itis_code=1, vienna=ViennaSign(sign_class=2, sign_code=14)),))
NO_SERVICE = replace(samples_signs(), road_signs=(RoadSign(iso14823=Iso14823Sign(nature=5, serial_number=57)),))
LATE_SERVICE = Iso14823Sign(nature=5, serial_number=57, traffic_sign=TrafficSign.REGULATORY, other_service=("_ext_0", b"\x80"))
LINE = ZoneLine(offsets=(ZoneOffset(delta_lat_deg=0.0, delta_lon_deg=0.0),), positions=(ZonePosition(lat_deg=0.0, lon_deg=0.0),))


@pytest.mark.parametrize(
    ("container", "field"),
    [
        (IviContainer(), "containers[0].other"),
        (IviContainer(signs=(samples_signs(),), layout=rich.GANTRY.containers[4].layout), "containers[0]"),
        (IviContainer(location=rich.LOCATION, other=("_ext_3", b"\x80")), "containers[0]"),
        (IviContainer(other=("_ext_3", "text")), "containers[0].other"),
        (IviContainer(signs=(NO_SIGN,)), "containers[0].signs[0].road_signs[0].other"),
        (IviContainer(signs=(TWO_SIGNS,)), "containers[0].signs[0].road_signs[0]"),
        (IviContainer(signs=(NO_SERVICE,)), "containers[0].signs[0].road_signs[0].iso14823.other_service"),
        (
            IviContainer(signs=(replace(NO_SIGN, road_signs=(RoadSign(iso14823=LATE_SERVICE),)),)),
            "containers[0].signs[0].road_signs[0].iso14823",
        ),
        (
            IviContainer(location=replace(rich.LOCATION, zones=(IviZone(zone_id=1, area=LINE),))),
            "containers[0].location.zones[0].area",
        ),
        (
            IviContainer(
                location=replace(rich.LOCATION, zones=(IviZone(zone_id=1, area=rich.LINES[0], other=("_ext_3", b"\x80")),))
            ),
            "containers[0].location.zones[0]",
        ),
        (IviContainer(text=(IviText(relevance_zone_ids=(1,), lane_status=0),)), "containers[0].text[0].ivi_type"),
    ],
)
def test_of_several_kinds_exactly_one_is_said(container: IviContainer, field: str) -> None:
    with pytest.raises(EncodeError) as caught:
        encode_ivim(with_container(container))
    assert caught.value.field == field


@pytest.mark.parametrize(
    "place", [AccessPoint(), AccessPoint(lane=1, approach=2), AccessPoint(lane=1, other=("_ext_0", b"\x80")), AccessPoint(other=3)]
)
def test_a_junction_is_entered_at_exactly_one_place(place: AccessPoint) -> None:
    broken = replace(samples.SREM.requests[0], inbound=place)
    with pytest.raises(EncodeError, match="exactly one of lane, approach and connection"):
        encode_srem(replace(samples.SREM, requests=(broken,)))


@pytest.mark.parametrize(
    "vehicle", [VehicleId(), VehicleId(station_id=StationId(1), entity_id=bytes(4)), VehicleId(entity_id=b"123")]
)
def test_whoever_asks_has_exactly_one_identifier(vehicle: VehicleId) -> None:
    with pytest.raises(EncodeError):
        encode_srem(replace(samples.SREM, requestor=replace(samples.SREM.requestor, id=vehicle)))


def test_what_a_sign_shows_is_given_in_si_too() -> None:
    limit = ViennaSign(sign_class=ViennaClass.CLASS_C, sign_code=14, value=90, unit=SignUnit.KM_PER_H)
    assert limit.speed_mps == pytest.approx(25.0)
    assert (limit.length_m, limit.mass_kg) == (None, None)
    assert replace(limit, unit=SignUnit.HUNDRED_KG, value=75).mass_kg == pytest.approx(7_500)
    assert replace(limit, unit=SignUnit.YARD, value=100).length_m == pytest.approx(91.44)
    assert replace(limit, unit=None).speed_mps is None
    assert replace(limit, value=None).speed_mps is None
    speeds = SignSpeeds(unit=SignUnit.MILES_PER_H, highest=50)
    assert speeds.upper_limit_mps == pytest.approx(22.352)
    assert speeds.lower_limit_mps is None
    assert SignMeasure(value=2, unit=SignUnit.MILE).length_m == pytest.approx(3_218.688)
    assert SignMeasure(value=2, unit=SignUnit.POUND).mass_kg == pytest.approx(0.907_184_74)
    owner = Provider(country_code="DE", identifier=1)
    catalogued = CatalogueSign(owner=owner, version=1, pictogram_code=1, value=36, unit=SignUnit.KM_PER_H)
    assert catalogued.speed_mps == pytest.approx(10.0)


def test_a_pictogram_is_numbered_as_it_is_printed() -> None:
    assert Iso14823Sign(nature=5, serial_number=57).category_code == 557
    assert Iso14823Sign(nature=1, serial_number=2).category_code == 102


def test_numbers_of_open_registries_that_nobody_knows_yet_stay_numbers() -> None:
    heard = decode_ivim(encode_ivim(rich.LATER_GANTRY))
    assert heard.status == 7
    other = decode_ivim(encode_ivim(rich.GANTRY)).containers[1].signs[1]
    assert other.ivi_type == 7


@pytest.mark.parametrize("message_id", [MessageId.IVIM, MessageId.SREM, MessageId.SSEM])
def test_both_versions_in_use_are_read_and_the_second_is_sent(message_id: MessageId) -> None:
    codec = TYPED_CODECS[message_id]
    message = {MessageId.IVIM: samples.IVIM, MessageId.SREM: samples.SREM, MessageId.SSEM: samples.SSEM}[message_id]
    encoded = codec.encode(message)
    assert encoded[0] == 2
    assert codec.decode(b"\x01" + encoded[1:]) == message
    for version in (0, 3, 255):
        with pytest.raises(DecodeError, match=f"version {version}"):
            codec.decode(bytes((version,)) + encoded[1:])


def test_the_samples_have_the_sizes_the_figures_are_stated_for() -> None:
    sizes = {
        name: len(TYPED_CODECS[name].encode(one)) for name, one in ((MessageId.IVIM, samples.IVIM), (MessageId.SREM, samples.SREM))
    }
    assert sizes == {MessageId.IVIM: 137, MessageId.SREM: 70}
    assert len(encode_ssem(samples.SSEM)) == 38
