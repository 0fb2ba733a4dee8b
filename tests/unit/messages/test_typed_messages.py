from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from shared.core.errors import DecodeError, EncodeError
from shared.core.ids import MessageId, StationId, StationType
from shared.messages.cam import decode_cam, encode_cam
from shared.messages.denm import decode_denm, encode_denm
from shared.messages.ivim import decode_ivim, encode_ivim
from shared.messages.mapem import decode_mapem, encode_mapem
from shared.messages.spatem import decode_spatem, encode_spatem
from shared.messages.srem import decode_srem, encode_srem
from shared.messages.ssem import decode_ssem, encode_ssem
from shared.messages.tree import decode_tree, encode_tree
from tests.unit.codec.uper_values import Draw, reference_type
from tests.unit.messages import infrastructure_samples as infrastructure
from tests.unit.messages import message_samples as samples

Encode = Callable[[Any], bytes]
Decode = Callable[[bytes], Any]

CODECS: dict[MessageId, tuple[Encode, Decode]] = {
    MessageId.CAM: (encode_cam, decode_cam),
    MessageId.DENM: (encode_denm, decode_denm),
    MessageId.SPATEM: (encode_spatem, decode_spatem),
    MessageId.MAPEM: (encode_mapem, decode_mapem),
    MessageId.IVIM: (encode_ivim, decode_ivim),
    MessageId.SREM: (encode_srem, decode_srem),
    MessageId.SSEM: (encode_ssem, decode_ssem),
}

SAMPLES = [
    pytest.param(MessageId.CAM, samples.CAR, id="a car"),
    pytest.param(MessageId.CAM, samples.SILENT_CAR, id="a car that knows nothing"),
    pytest.param(MessageId.CAM, samples.ROADSIDE, id="a roadside unit"),
    *(
        pytest.param(MessageId.CAM, replace(samples.SILENT_CAR, special_vehicle=special), id=what)
        for what, special in samples.SPECIAL_VEHICLES.items()
    ),
    pytest.param(MessageId.DENM, samples.ROADWORKS, id="roadworks"),
    pytest.param(MessageId.DENM, samples.BARE_DENM, id="an event and nothing about it"),
    pytest.param(MessageId.SPATEM, samples.PHASES, id="phases"),
    pytest.param(MessageId.MAPEM, samples.TOPOLOGY, id="a junction"),
    pytest.param(MessageId.MAPEM, samples.BARE_MAPEM, id="a map without junctions"),
    pytest.param(MessageId.IVIM, infrastructure.GANTRY, id="signs of a gantry"),
    pytest.param(MessageId.IVIM, infrastructure.LATER_GANTRY, id="signs of later editions"),
    pytest.param(MessageId.IVIM, infrastructure.REVOKED_GANTRY, id="signs taken down"),
    pytest.param(MessageId.SREM, infrastructure.BUS, id="a bus that asks"),
    pytest.param(MessageId.SREM, infrastructure.SOMEBODY, id="somebody who asks for nothing"),
    pytest.param(MessageId.SREM, infrastructure.LATER_REQUEST, id="a request of a later version"),
    pytest.param(MessageId.SSEM, infrastructure.ANSWERS, id="answers"),
    pytest.param(MessageId.SSEM, infrastructure.ONE_ANSWER, id="an answer to nobody"),
]


@pytest.mark.parametrize(("message_id", "message"), SAMPLES)
def test_a_message_comes_back_as_it_was(message_id: MessageId, message: Any) -> None:
    encode, decode = CODECS[message_id]
    encoded = encode(message)
    assert decode(encoded) == message
    assert encode(decode(encoded)) == encoded


@pytest.mark.parametrize(("message_id", "message"), SAMPLES)
def test_the_reference_reads_what_we_write(message_id: MessageId, message: Any) -> None:
    encoded = CODECS[message_id][0](message)
    reference = reference_type(message_id)
    reference.from_uper(encoded)
    assert reference.get_val()["header"] == {"protocolVersion": 2, "messageID": message_id, "stationID": message.station_id}
    assert decode_tree(encoded)[0] is message_id


@pytest.mark.parametrize(("message_id", "message"), SAMPLES)
def test_a_message_cut_or_prolonged_at_any_octet_is_refused(message_id: MessageId, message: Any) -> None:
    encode, decode = CODECS[message_id]
    encoded = encode(message)
    for octets in range(len(encoded)):
        with pytest.raises(DecodeError):
            decode(encoded[:octets])
    with pytest.raises(DecodeError):
        decode(encoded + b"\0")


@pytest.mark.parametrize(("message_id", "message"), SAMPLES)
def test_any_flipped_bit_gives_a_value_or_a_decode_error(message_id: MessageId, message: Any) -> None:
    encode, decode = CODECS[message_id]
    encoded = encode(message)
    for bit in range(8 * len(encoded)):
        flipped = bytearray(encoded)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        try:
            value = decode(bytes(flipped))
        except DecodeError:
            continue
        assert value != message or encode(value) == encoded


@pytest.mark.parametrize("message_id", CODECS)
def test_every_value_the_schema_allows_has_a_typed_form(message_id: MessageId) -> None:
    random = Random(message_id)
    decode = CODECS[message_id][1]
    for _ in range(40):
        value, encoded = Draw(random).message(message_id)
        assert decode(encoded).station_id == value.tree["header"]["stationID"]


@pytest.mark.parametrize("message_id", CODECS)
def test_another_message_or_version_is_refused_before_its_content(message_id: MessageId) -> None:
    decode = CODECS[message_id][1]
    other = MessageId.DENM if message_id is MessageId.CAM else MessageId.CAM
    with pytest.raises(DecodeError, match=f"{other.name} where {message_id.name} belongs"):
        decode(bytes((2, other, 0, 0, 0, 1)))
    with pytest.raises(DecodeError, match="version 9"):
        decode(bytes((9, message_id, 0, 0, 0, 1)))


def test_a_station_type_nobody_knows_yet_stays_a_number() -> None:
    assert decode_cam(encode_cam(samples.SILENT_CAR)).station_type == 200
    assert isinstance(decode_cam(encode_cam(samples.CAR)).station_type, StationType)


def test_the_least_and_greatest_of_unavailable_are_none() -> None:
    cam = decode_cam(encode_cam(samples.SILENT_CAR))
    assert (cam.lat_deg, cam.heading_deg, cam.speed_mps, cam.yaw_rate_dps, cam.vehicle_width_m) == (None,) * 5
    _, tree = decode_tree(encode_cam(samples.SILENT_CAR))
    position = tree["cam"]["camParameters"]["basicContainer"]["referencePosition"]
    assert position["latitude"] == 900_000_001
    assert position["longitude"] == 1_800_000_001


def test_a_denm_lasts_ten_minutes_unless_it_says_otherwise_and_does_not_say_so() -> None:
    long = encode_denm(replace(samples.BARE_DENM, validity_duration_s=601))
    usual = encode_denm(samples.BARE_DENM)
    assert len(usual) < len(long)
    assert decode_denm(usual).validity_duration_s == 600


def test_the_smallest_form_of_a_node_is_chosen() -> None:
    _, tree = decode_tree(encode_mapem(samples.TOPOLOGY))
    (intersection,) = tree["map"]["intersections"]
    forms = [node["delta"][0] for node in intersection["laneSet"][0]["nodeList"][1]]
    assert forms == ["node-XY1", "node-XY2", "node-XY3", "node-XY4", "node-XY5", "node-XY6", "node-LatLon"]


@pytest.mark.parametrize(
    ("message_id", "message", "field"),
    [
        (MessageId.CAM, replace(samples.CAR, lat_deg=90.1), "lat_deg"),
        (MessageId.CAM, replace(samples.CAR, heading_deg=-0.1), "heading_deg"),
        (MessageId.CAM, replace(samples.CAR, speed_mps=-1.0), "speed_mps"),
        (MessageId.CAM, replace(samples.CAR, speed_mps=float("nan")), "speed_mps"),
        (MessageId.CAM, replace(samples.CAR, altitude_confidence_m=-1.0), "altitude_confidence_m"),
        (MessageId.CAM, replace(samples.CAR, vehicle_width_m=0.0), "vehicle_width_m"),
        (MessageId.CAM, replace(samples.CAR, generation_delta_time_ms=65_536), "CAM.cam.generationDeltaTime"),
        (MessageId.CAM, replace(samples.CAR, station_id=StationId(1 << 32)), "CAM.header.stationID"),
        (MessageId.DENM, replace(samples.BARE_DENM, information_quality=3), "cause_code"),
        (MessageId.DENM, replace(samples.BARE_DENM, event_speed_mps=3.0), "traces"),
        (MessageId.DENM, replace(samples.BARE_DENM, traces=()), "DENM.denm.location.traces"),
        (MessageId.DENM, replace(samples.ROADWORKS, sub_cause_code=256), "DENM.denm.situation.eventType.subCauseCode"),
        (MessageId.SPATEM, replace(samples.PHASES, intersections=()), "SPATEM.spat.intersections"),
        (MessageId.SPATEM, replace(samples.PHASES, name="Münchner Freiheit"), "SPATEM.spat.name"),
        (MessageId.MAPEM, replace(samples.TOPOLOGY, layer_id=101), "MAPEM.map.layerID"),
    ],
)
def test_what_cannot_be_said_is_an_encode_error_naming_the_field(message_id: MessageId, message: Any, field: str) -> None:
    with pytest.raises(EncodeError) as caught:
        CODECS[message_id][0](message)
    assert caught.value.field == field


def test_a_node_needs_an_offset_or_a_position_and_not_both() -> None:
    (junction,) = samples.TOPOLOGY.intersections
    lane = junction.lanes[0]
    for node in (replace(lane.nodes[0], lat_deg=1.0, lon_deg=1.0), replace(lane.nodes[0], dx_m=None)):
        broken = replace(junction, lanes=(replace(lane, nodes=(lane.nodes[0], node)),))
        with pytest.raises(EncodeError, match="offset") as caught:
            encode_mapem(replace(samples.TOPOLOGY, intersections=(broken,)))
        assert caught.value.field == "intersections[0].lanes[0].nodes[1]"


def test_every_other_message_is_reached_as_a_tree() -> None:
    for message_id in (MessageId.RTCMEM, MessageId.VAM):
        value, encoded = Draw(Random(1)).message(message_id)
        assert decode_tree(encoded) == (message_id, value.tree)
        assert encode_tree(message_id, value.tree) == encoded
