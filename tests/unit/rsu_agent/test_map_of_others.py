"""The plan drawn from whatever map message a station may hear: real ones, and any that the codec lets through."""

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu_agent.map_plan import plan_document, plan_of
from rsu_agent.map_svg import svg_of
from shared.core.ids import IntersectionId
from shared.messages.mapem import (
    AllowedManeuvers,
    ComputedLane,
    Connection,
    Intersection,
    Lane,
    LaneDirection,
    LaneNode,
    LaneType,
    decode_mapem,
)
from tests.helpers.data import data_file

ETSI_HEADER = bytes.fromhex("0205 0000002a")
"""Version 2, MAPEM, station 42: what stands before the same MapData that SAE sends bare."""

centimetres = st.integers(-32_767, 32_767).map(lambda cm: cm / 100)
offsets = st.builds(LaneNode, dx_m=centimetres, dy_m=centimetres, width_change_m=st.none() | st.sampled_from((-5.12, 0.0, 5.11)))
places = st.builds(LaneNode, lat_deg=st.integers(-90, 90).map(float), lon_deg=st.integers(-180, 180).map(float))
nodes = st.lists(offsets | places, min_size=2, max_size=6).map(tuple)
computed = st.builds(
    ComputedLane,
    reference_lane_id=st.integers(0, 4),
    offset_x_m=centimetres,
    offset_y_m=centimetres,
    rotation_deg=st.none() | st.integers(0, 360).map(float),
    scale_x=st.none() | st.sampled_from((0.0, 0.5, 2.0)),
    scale_y=st.none() | st.sampled_from((0.0, 1.0)),
)
connections = st.lists(
    st.builds(
        Connection,
        lane_id=st.integers(0, 4),
        maneuvers=st.none() | st.integers(0, 0xFFF).map(AllowedManeuvers),
        signal_group=st.none() | st.integers(0, 255),
        connection_id=st.none() | st.integers(0, 255),
    ),
    max_size=4,
).map(tuple)


def lane(**course: object) -> st.SearchStrategy[Lane]:
    return st.builds(
        Lane,
        id=st.integers(0, 4),
        directional_use=st.integers(0, 3).map(LaneDirection),
        lane_type=st.sampled_from(LaneType),
        connects_to=connections,
        **course,  # type: ignore[arg-type]
    )


intersections = st.builds(
    Intersection,
    id=st.just(IntersectionId(None, 1)),
    revision=st.integers(0, 127),
    lat_deg=st.none() | st.just(48.0),
    lon_deg=st.none() | st.just(11.0),
    lanes=st.lists(lane(nodes=nodes) | lane(computed=computed), min_size=1, max_size=5).map(tuple),
    lane_width_m=st.none() | st.sampled_from((0.0, 3.0, 327.67)),
    name=st.none() | st.just("a < b & c"),
)


@given(intersections)
@settings(max_examples=60, deadline=None)
def test_whatever_is_heard_every_lane_is_drawn_or_named_as_not_drawn(heard: Intersection) -> None:
    plan = plan_of(heard)
    assert len(plan.lanes) + len(plan.unplaced) == len(heard.lanes)
    assert set(plan_document(plan)) == {
        "name",
        "revision",
        "reference_deg",
        "bounds_m",
        "signal_groups",
        "unplaced",
        "lanes",
        "connections",
        "signals",
    }
    picture = svg_of(plan, subtitle="heard", conflicts=frozenset())
    assert not re.search(r"\b(?:nan|inf)\b", picture)
    assert len(ET.fromstring(picture)) > 3


@pytest.mark.parametrize("file", ["jpo-ode_udp_map.hex", "cvmanager_ReferenceMapUPER.txt"])
def test_a_real_junction_s_map_as_sae_sends_it_can_be_drawn(file: str) -> None:
    frame = bytes.fromhex(data_file(f"messages/{file}").read_text().strip())
    assert frame[:2] == b"\x00\x12"
    (intersection,) = decode_mapem(ETSI_HEADER + frame[4:]).intersections
    plan = plan_of(intersection, reach_m=60.0)
    assert (len(plan.lanes), plan.unplaced) == (len(intersection.lanes), ())
    assert len(plan.connections) > 10
    assert len(plan.signal_groups) > 2
    ingress = [lane for lane in plan.lanes if lane.stop_line_m is not None]
    assert {light.lane for light in plan.signals} <= {lane.number for lane in ingress}
    west, south, east, north = plan.bounds_m
    assert max(east - west, north - south) < 300.0
    assert intersection.name is None or intersection.name in svg_of(plan, subtitle="real", conflicts=frozenset())
