"""Wireshark's dissectors of SPATEM, MAPEM, IVIM, SREM and SSEM read what our stations sign, and read in it what we meant."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from shared.core.geo import GeoPoint
from shared.messages import samples
from shared.network.area import Circle
from shared.pki.permission_sets import StationRole
from shared.stack.content_permissions import Message
from tests.helpers.hierarchy import NOON, Hierarchy, clock_at, seconds
from tests.helpers.identities import HERE, ego, make_peer
from tests.helpers.tshark import HOP_LIMIT_NOTE, layers_of
from tests.unit.messages import infrastructure_samples as infrastructure
from tests.unit.messages import message_samples

RADIUS_M = 1_000.0
KNOWN_GANTRY = replace(infrastructure.LATER_GANTRY, containers=infrastructure.LATER_GANTRY.containers[:-1])
"""Without the container that no edition has."""

SAID_BY_UNIT: dict[str, Message] = {
    "phases of a junction": samples.SPATEM,
    "phases with everything": message_samples.PHASES,
    "a map": samples.MAPEM,
    "a map with everything": message_samples.TOPOLOGY,
    "a map without junctions": message_samples.BARE_MAPEM,
    "signs of a gantry": samples.IVIM,
    "signs with everything": infrastructure.GANTRY,
    "signs of the later edition": KNOWN_GANTRY,
    "signs taken down": infrastructure.REVOKED_GANTRY,
    "an answer": samples.SSEM,
    "answers with everything": infrastructure.ANSWERS,
    "an answer to nobody": infrastructure.ONE_ANSWER,
}
SAID_BY_BUS: dict[str, Message] = {
    "a request": samples.SREM,
    "requests with everything": infrastructure.BUS,
    "somebody who asks for nothing": infrastructure.SOMEBODY,
}


@pytest.fixture(scope="module")
def dissected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return the layers tshark finds in each message, signed and sent by a station that may say it; IVIM also over hops."""
    hierarchy, clock = Hierarchy(31), clock_at()
    unit = make_peer(hierarchy, 7, StationRole.RSU)
    bus = make_peer(hierarchy, 8, StationRole.PUBLIC_TRANSPORT)
    packets: dict[str, bytes] = {}
    for station, said in ((unit, SAID_BY_UNIT), (bus, SAID_BY_BUS)):
        for what, message in said.items():
            clock.advance(seconds(0.1))
            own = replace(message, station_id=station.identity.station_id)
            packets[what] = station.send(own, position=ego(clock.now()), now=clock.now())
    area = Circle(centre=GeoPoint(HERE.lat_deg, HERE.lon_deg), radius_m=RADIUS_M)
    own = replace(samples.IVIM, station_id=unit.identity.station_id)
    packets["signs over hops"] = unit.send(own, position=ego(clock.now()), now=clock.now(), area=area)
    return dict(zip(packets, layers_of(tmp_path_factory.mktemp("infrastructure"), packets.values(), utc=NOON), strict=True))


def values(layers: Any, name: str) -> list[str]:
    """Return every value of a field, wherever in the layers it is, in order."""
    found: list[str] = []
    if isinstance(layers, list):
        for layer in layers:
            found += values(layer, name)
    elif isinstance(layers, dict):
        for key, value in layers.items():
            if key == name:
                found += [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]
            found += values(value, name)
    return found


def test_every_message_is_dissected_with_nothing_malformed_and_no_warning(dissected: dict[str, dict[str, Any]]) -> None:
    for what, layers in dissected.items():
        assert layers["frame"]["frame.protocols"].startswith("eth:ethertype:gnw:ieee1609dot2:btpb:its"), what
        notes = [] if what == "signs over hops" else [HOP_LIMIT_NOTE]
        assert values(layers, "_ws.expert.message") == notes, what
        assert "_ws.malformed" not in json.dumps(layers), what


@pytest.mark.parametrize(
    ("what", "message_id", "port", "psid"),
    [
        ("phases with everything", "4", "2004", "137"),
        ("a map with everything", "5", "2003", "138"),
        ("signs with everything", "6", "2006", "139"),
        ("requests with everything", "9", "2007", "140"),
        ("answers with everything", "10", "2008", "637"),
    ],
)
def test_message_port_and_service_agree(
    dissected: dict[str, dict[str, Any]], what: str, message_id: str, port: str, psid: str
) -> None:
    layers = dissected[what]
    assert values(layers, "its.messageID") == [message_id]
    assert values(layers, "btpb.dstport") == [port]
    assert values(layers, "ieee1609dot2.psid")[0] == psid


def test_the_sign_of_a_gantry_says_eighty_to_others(dissected: dict[str, dict[str, Any]]) -> None:
    layers = dissected["signs of a gantry"]
    expected = {
        "dsrc_app.countryCode": ["94:00"],
        "dsrc_app.providerIdentifier": ["7"],
        "ivi.iviIdentificationNumber": ["211"],
        "ivi.iviStatus": ["0"],
        "ivi.timeStamp": ["724377600000"],
        "ivi.validTo": ["724392000000"],
        "its.latitude": ["481312345"],
        "its.longitude": ["115498765"],
        "ivi.zoneId": ["1", "2"],
        "ivi.zoneHeading": ["873", "873"],
        "ivi.Zid": ["1", "2"],
        "ivi.iviType": ["1"],
        "ivi.trafficSignPictogram": ["1"],
        "ivi.nature": ["5"],
        "ivi.serialNumber": ["57"],
        "gdd.speedLimitMax": ["80"],
        "gdd.unit": ["0"],
        "ivi.textContent": ["Baustelle"],
    }
    assert {name: values(layers, name) for name in expected} == expected
    assert values(dissected["signs over hops"], "gdd.speedLimitMax") == ["80"]


def test_every_kind_of_sign_zone_and_road_is_found_by_others(dissected: dict[str, dict[str, Any]]) -> None:
    layers = dissected["signs with everything"]
    expected = {
        "ivi.roadSignClass": ["2"],
        "ivi.roadSignCode": ["14"],
        "ivi.vcOption": ["1"],
        "ivi.itisCodes": ["65535"],
        "gdd.yearRangeStartYear": ["2026"] * 4,
        "ivi.minimumAwarenessTime": ["255", "1"],
        "ivi.laneWidth": ["325", "325", "325", "325", "1023", "350"],
        "ivi.offsetDistance": ["-32768"],
        "its.speedValue": ["250"],
        "ivi.textScripting": ["1"],
    }
    assert {name: values(layers, name) for name in expected} == expected
    later = dissected["signs of the later edition"]
    expected = {
        "ivi.frictionCoefficient": ["85", "101", "85"],
        "ivi.temperature": ["-7", "151", "-7"],
        "ivi.avBankingAngle": ["-20", "21", "-20"],
        "its.sequenceNumber": ["3", "65535"],
        "ivi.LaneID": ["0", "255"],
    }
    assert {name: values(later, name) for name in expected} == expected


def test_a_request_and_its_answer_say_to_others_who_wants_what(dissected: dict[str, dict[str, Any]]) -> None:
    request = {
        "dsrc.timeStamp": ["184321"],
        "dsrc.requestID": ["3"],
        "dsrc.requestType": ["1"],
        "dsrc.region": ["49"],
        "dsrc.lane": ["1", "6"],
        "dsrc.minute": ["184321"],
        "dsrc.duration": ["6000"],
        "dsrc.stationID": ["1513886192"],
        "dsrc.role": ["1"],
        "dsrc.lat": ["481312345"],
        "dsrc.position3D.elevation": ["5193"],
        "dsrc.heading": ["6984"],
        "dsrc.transmisson": ["2"],
        "dsrc.routeName": ["58 Silberhornstrasse"],
        "dsrc.transitSchedule": ["-9"],
    }
    assert {name: values(dissected["a request"], name) for name in request} == request
    answer = {
        "dsrc.stationID": ["1513886192"],
        "dsrc.lane": ["1", "6"],
        "dsrc.signalStatusPackage.status": ["4"],
        "dsrc.role": ["1"],
        "dsrc.minute": ["184321"],
    }
    assert {name: values(dissected["an answer"], name) for name in answer} == answer
    full = dissected["requests with everything"]
    assert values(full, "dsrc.transitStatus") == ["14"]
    assert values(full, "dsrc.transitOccupancy") == ["6"]
    assert values(full, "dsrc.approach") == ["15"]
    assert values(full, "dsrc.connection") == ["0"]
    assert values(full, "dsrc.transitSchedule") == ["-121"]


def test_phases_and_lanes_are_found_by_others(dissected: dict[str, dict[str, Any]]) -> None:
    phases = dissected["phases of a junction"]
    assert values(phases, "dsrc.signalGroup") == [str(group) for group in range(1, samples.SIGNAL_GROUPS + 1)]
    assert values(phases, "dsrc.minEndTime") == [str(7_325 + 10 * group) for group in range(1, samples.SIGNAL_GROUPS + 1)]
    assert values(dissected["a map"], "dsrc.laneID") == [str(number) for number in range(1, 10)]
    assert values(dissected["a map"], "dsrc.laneWidth") == ["325"]
