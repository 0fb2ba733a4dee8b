import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from shared.codec.asn1 import message_codec, schema_codec
from shared.core.errors import DecodeError
from shared.core.ids import MessageId
from tests.helpers.data import data_file
from tests.unit.codec.uper_values import Draw

J2735 = {18: "MapData", 19: "SPAT", 29: "SignalRequestMessage", 30: "SignalStatusMessage"}


def body_of_frame(path: Path) -> tuple[str, bytes]:
    """Split a J2735 MessageFrame: message id (15 bits after an extension bit), length, body."""
    frame = bytes.fromhex(path.read_text().strip())
    length, start = frame[2], 3
    if length & 0x80:
        length, start = (length & 0x3F) << 8 | frame[3], 4
    assert len(frame) == start + length
    return J2735[int.from_bytes(frame[:2], "big")], frame[start:]


@pytest.mark.parametrize(
    "name",
    [
        "jpo-ode_udp_map.hex",
        "jpo-ode_udp_spat.hex",
        "jpo-ode_udp_srm.hex",
        "jpo-ode_udp_ssm.hex",
        "cvmanager_ReferenceMapUPER.txt",
        "cvmanager_ReferenceSpatUPER.txt",
    ],
)
def test_messages_recorded_at_american_junctions_decode_and_encode_back(name: str) -> None:
    type_name, body = body_of_frame(data_file(f"messages/{name}"))
    codec = schema_codec("ITS_IS", "DSRC", type_name)
    tree = codec.decode(body)
    assert codec.encode(tree) == body
    for octets in range(len(body)):
        with pytest.raises(DecodeError):
            codec.decode(body[:octets])


def test_the_recorded_map_holds_what_its_xml_twin_says() -> None:
    _, body = body_of_frame(data_file("messages/cvmanager_ReferenceMapUPER.txt"))
    xml = data_file("messages/cvmanager_Ode.ReferenceMapXER.xml").read_text()
    (intersection,) = schema_codec("ITS_IS", "DSRC", "MapData").decode(body)["intersections"]
    assert f"<id>{intersection['id']['id']}</id>" in xml
    assert f"<lat>{intersection['refPoint']['lat']}</lat>" in xml
    # SAE J2735 lets longitudes begin at -1,799,999,999, TS 102 894-2 one lower, so the same bits mean one less.
    assert f"<long>{intersection['refPoint']['long'] + 1}</long>" in xml
    lanes = [int(lane) for lane in re.findall(r"<laneID>(\d+)<", xml)]
    assert lanes == [lane["laneID"] for lane in intersection["laneSet"]]


def test_the_recorded_phases_are_what_their_xml_twin_says() -> None:
    _, body = body_of_frame(data_file("messages/cvmanager_ReferenceSpatUPER.txt"))
    xml = data_file("messages/cvmanager_Ode.ReferenceSpatXER.xml").read_text()
    (intersection,) = schema_codec("ITS_IS", "DSRC", "SPAT").decode(body)["intersections"]
    states = intersection["states"]
    assert re.findall(r"<signalGroup>(\d+)<", xml) == [str(state["signalGroup"]) for state in states]
    for tag in ("minEndTime", "maxEndTime"):
        times = [str(state["state-time-speed"][0]["timing"][tag]) for state in states]
        assert re.findall(rf"<{tag}>(\d+)<", xml) == times


@pytest.mark.parametrize(("message_id", "bounds"), [(MessageId.CAM, (20, 400)), (MessageId.IVIM, (20, 8_000))])
def test_a_codec_is_built_once_and_shared(message_id: MessageId, bounds: tuple[int, int]) -> None:
    codec = message_codec(message_id)
    assert message_codec(message_id) is codec
    low, high = bounds
    assert low < len(codec.encode(Draw(Random(1), likelihood=0.2).message(message_id)[0].tree)) + low < high


def test_four_threads_decode_through_one_codec_without_a_crossed_field() -> None:
    random = Random(4)
    codec = message_codec(MessageId.DENM)
    samples = [Draw(random).message(MessageId.DENM)[0].tree for _ in range(50)]
    pairs = [(tree, codec.encode(tree)) for tree in samples]

    def all_hold(_: int) -> bool:
        return all(codec.decode(encoded) == tree and codec.encode(tree) == encoded for tree, encoded in pairs)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(all_hold, range(16)))


def test_a_group_of_extensions_of_an_ivim_comes_back() -> None:
    random = Random(5)
    codec = message_codec(MessageId.IVIM)
    while True:
        tree = Draw(random, likelihood=0.3).message(MessageId.IVIM)[0].tree
        parts = [part for kind, container in tree["ivi"].get("optional", ()) if kind == "giv" for part in container]
        if parts:
            break
    parts[0].update(iviType=3, laneStatus=9)
    encoded = codec.encode(tree)
    assert codec.decode(encoded) == tree


def test_what_a_later_version_adds_is_kept() -> None:
    codec = message_codec(MessageId.CAM)
    tree = Draw(Random(6)).message(MessageId.CAM)[0].tree
    parameters = tree["cam"]["camParameters"]
    parameters["_ext_1"] = b"\x12\x34"
    parameters["basicContainer"] |= {"_ext_0": b"\x56", "_ext_1": None}
    parameters["specialVehicleContainer"] = ("_ext_3", b"\x78")
    assert codec.decode(codec.encode(tree)) == tree
