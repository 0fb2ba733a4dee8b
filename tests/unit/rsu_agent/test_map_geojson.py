"""Maps as GeoJSON: what editors write is read, and every mistake is named."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import rsu_agent.junctions
from rsu_agent.map_data import JunctionMap, Turn, load_map
from rsu_agent.map_geojson import geojson_of
from rsu_agent.map_toml import toml_of
from shared.core.errors import ConfigError
from shared.core.geo import GeoPoint, displaced, distance_m

EXAMPLE = Path(rsu_agent.junctions.__file__).parent / "crossing.map.toml"
CENTRE = GeoPoint(48.137, 11.575)


def at(east_m: float, north_m: float) -> list[float]:
    place = displaced(CENTRE, east_m, north_m)
    return [place.lon_deg, place.lat_deg]


def feature(kind: str, *points: list[float], **properties: object) -> dict[str, Any]:
    geometry = (
        {"type": "Point", "coordinates": points[0]} if kind == "junction" else {"type": "LineString", "coordinates": [*points]}
    )
    return {"type": "Feature", "geometry": geometry if points else None, "properties": {"feature": kind, **properties}}


def drawn() -> list[dict[str, Any]]:
    """A T junction: one road in from the south, out to the north and to the west."""
    return [
        feature("junction", at(0, 0), name="T", number=5, revision=3, lane_width_m=3.0),
        feature("lane", at(2, -12), at(2, -90), number=1, direction="ingress", stroke="#ff0000", name="in"),
        feature("lane", at(2, 12), at(2, 90), number=2, direction="egress"),
        feature("lane", at(-12, 2), at(-90, 2), number=3, direction="egress", width_m=2.75),
        feature("connection", from_lane=1, to_lane=2, signal_group=4),
        feature("connection", at(2, -12), at(-12, 2), from_lane=1, to_lane=3, signal_group=4),
    ]


def written(folder: Path, features: object, name: str = "t.geojson") -> Path:
    file = folder / name
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return file


def same(first: JunctionMap, second: JunctionMap) -> bool:
    """Whether two maps differ in nothing but their origin and a centimetre at most."""
    near = all(
        distance_m(a, b) < 0.02
        for one, other in zip(first.lanes, second.lanes, strict=True)
        for a, b in zip(one.nodes, other.nodes, strict=True)
    )
    plain = [
        [(lane.number, lane.connections, lane.kind, lane.direction, lane.name, lane.revocable) for lane in each.lanes]
        for each in (first, second)
    ]
    return near and plain[0] == plain[1] and first.intersection_id == second.intersection_id and first.revision == second.revision


def test_a_drawn_junction_is_read_with_its_turns_seen_from_its_lanes(tmp_path: Path) -> None:
    junction = load_map(written(tmp_path, drawn()), None)
    assert (junction.name, junction.intersection_id.number, junction.revision) == ("T", 5, 3)
    assert [lane.number for lane in junction.lanes] == [1, 2, 3]
    assert [(way.to_lane, way.turn) for way in junction.lanes[0].connections] == [(2, Turn.STRAIGHT), (3, Turn.LEFT)]
    assert junction.signal_groups == {4}
    assert junction.lanes[2].width_m == 2.75


def test_a_lane_begins_where_its_stop_line_crosses_it(tmp_path: Path) -> None:
    features = [*drawn(), feature("stop_line", at(-1, -15), at(5, -15))]
    junction = load_map(written(tmp_path, features), None)
    assert distance_m(junction.lanes[0].nodes[0], displaced(CENTRE, 2, -15)) < 0.01
    assert len(junction.lanes[0].nodes) == 2
    assert distance_m(junction.lanes[1].nodes[0], displaced(CENTRE, 2, 12)) < 0.01


def test_a_stop_line_drops_the_nodes_before_it(tmp_path: Path) -> None:
    features = [*drawn(), feature("stop_line", at(-1, -30), at(5, -30))]
    features[1]["geometry"]["coordinates"] = [at(2, -12), at(2, -20), at(2, -25), at(2, -50), at(2, -90)]
    nodes = load_map(written(tmp_path, features), None).lanes[0].nodes
    assert [round(distance_m(CENTRE, node)) for node in nodes] == [30, 50, 90]


def test_the_example_survives_every_form(tmp_path: Path) -> None:
    plain = load_map(EXAMPLE, None)
    example = replace(plain, lanes=tuple(replace(lane, revocable=lane.number == 22) for lane in plain.lanes))
    for name, text in (("a.geojson", geojson_of(example)), ("a.json", geojson_of(example)), ("a.toml", toml_of(example))):
        file = tmp_path / name
        file.write_text(text)
        assert same(load_map(file, example.signal_groups), example)


@pytest.mark.parametrize(
    ("number", "change", "where", "reason"),
    [
        (0, {"geometry": None}, "features[0].geometry", "a junction is a point"),
        (0, {"properties": {"feature": "lane", "number": 9, "direction": "egress"}}, "", "one point with the property"),
        (1, {"properties": {"number": 1, "direction": "ingress"}}, "features[1].properties", "missing property `feature`"),
        (1, {"properties": {"feature": "lane", "number": 1, "direction": "in"}}, "features[1].properties.direction", "'in'"),
        (
            1,
            {"properties": {"feature": "lane", "number": 1, "direction": "ingress", "widht_m": 3}},
            "features[1].properties",
            "unknown property `widht_m`",
        ),
        (1, {"geometry": {"type": "Polygon", "coordinates": []}}, "features[1].geometry.type", "'Polygon'"),
        (1, {"geometry": {"type": "LineString", "coordinates": [at(2, -12)]}}, "features[1].geometry", "two points or more"),
        (
            1,
            {"geometry": {"type": "LineString", "coordinates": [at(2, -12), [11.5, "x"]]}},
            "features[1].geometry.coordinates[1]",
            "[longitude, latitude]",
        ),
        (
            1,
            {"geometry": {"type": "LineString", "coordinates": [at(2, -12), [11.5, 91.0]]}},
            "features[1].geometry.coordinates[1]",
            "no such place",
        ),
        (
            1,
            {"geometry": {"type": "LineString", "coordinates": [at(2, -12), at(2, -12)]}},
            "features[1].geometry",
            "given twice in a row",
        ),
        (4, {"properties": {"feature": "connection", "from_lane": 1, "to_lane": 9}}, "features[4].properties.to_lane", "no lane 9"),
        (
            5,
            {"properties": {"feature": "stop_line"}},
            "features[5]",
            "crosses no lane that leads in",
        ),
    ],
)
def test_a_mistake_is_named_by_feature_and_property(
    tmp_path: Path, number: int, change: dict[str, object], where: str, reason: str
) -> None:
    features = drawn()
    features[number] |= change
    if number == 5:
        features[5]["geometry"]["coordinates"] = [at(50, 50), at(60, 50)]
    file = written(tmp_path, features)
    with pytest.raises(ConfigError) as refusal:
        load_map(file, None)
    assert refusal.value.path == (f"{file}: {where}" if where else str(file))
    assert reason in refusal.value.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not GeoJSON"),
        ('{"type": "FeatureCollection", "a": ' + "[" * 100_000, "not GeoJSON|nested too deeply"),
        ("[]", "Expected `object`"),
        ('{"type": "Feature"}', "Invalid enum value"),
        ('{"type": "FeatureCollection", "features": []}', "one point with the property"),
        ("\x00", "not GeoJSON"),
    ],
)
def test_what_is_no_map_is_refused_in_a_sentence(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "bad.geojson"
    file.write_text(text)
    with pytest.raises(ConfigError, match=reason):
        load_map(file, None)


def test_a_file_that_is_not_there_or_endless_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_map(tmp_path / "absent.geojson", None)
    (tmp_path / "long.geojson").write_bytes(b" " * ((4 << 20) + 1))
    with pytest.raises(ConfigError, match="longer than 4194304 octets"):
        load_map(tmp_path / "long.geojson", None)
    many = written(tmp_path, [feature("stop_line") for _ in range(5_001)])
    with pytest.raises(ConfigError, match="5001 features"):
        load_map(many, None)
