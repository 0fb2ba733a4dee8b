"""Wireshark's dissector reads the maps that files describe, signed and sent by a roadside unit, and finds what the files say."""

from collections.abc import Callable
from pathlib import Path

import pytest

import rsu_agent.junctions
from rsu_agent.map_data import JunctionMap, NetworkChoice, load_map, mapem_of
from shared.pki.permission_sets import StationRole
from tests.helpers.data import data_file
from tests.helpers.hierarchy import NOON, Hierarchy, clock_at
from tests.helpers.identities import ego, make_peer
from tests.helpers.tshark import HOP_LIMIT_NOTE, layers_of
from tests.integration.test_tshark_infrastructure import values

EXAMPLE = Path(rsu_agent.junctions.__file__).parent / "crossing.map.toml"


def example() -> JunctionMap:
    return load_map(EXAMPLE, None)


def town() -> JunctionMap:
    network = data_file("traffic/bologna_acosta/acosta_buslanes.net.xml")
    return load_map(network, None, choice=NetworkChoice(junction="9", number=219))


@pytest.mark.parametrize("source", [example, town])
def test_a_map_from_a_file_is_dissected_lane_by_lane(tmp_path: Path, source: Callable[[], JunctionMap]) -> None:
    junction, clock = source(), clock_at()
    unit = make_peer(Hierarchy(32), 9, StationRole.RSU)
    message = mapem_of(junction, unit.identity.station_id, 0)
    packet = unit.send(message, position=ego(clock.now()), now=clock.now())
    (layers,) = layers_of(tmp_path, [packet], utc=NOON)
    assert values(layers, "_ws.expert.message") == [HOP_LIMIT_NOTE]
    assert values(layers, "dsrc.laneID") == [str(lane.number) for lane in junction.lanes]
    ways = [way for lane in junction.lanes for way in lane.connections]
    assert values(layers, "dsrc.lane") == [str(way.to_lane) for way in ways]
    assert values(layers, "dsrc.signalGroup") == [str(way.signal_group) for way in ways]
    assert values(layers, "dsrc.id") == [str(junction.intersection_id.number)]
    assert values(layers, "dsrc.revision") == [str(junction.revision)]
