"""A junction as GeoJSON (RFC 7946), as it comes out of map editors: points and lines with properties.

Every feature says in its property `feature` what it is:

- `junction`: one point, the reference point, with `name`, `number`, `revision`, `lane_width_m` and perhaps `region`;
- `lane`: a line from the junction outward, with `number`, `direction` and what else a `[[lane]]` of the TOML form has;
- `connection`: `from_lane`, `to_lane`, `signal_group` and so on; its geometry is for the eye only and may be null;
- `stop_line`: a line across lanes; those that lead in begin where it crosses them, whatever was drawn beyond.

Properties that editors add to style a feature (simplestyle) are passed over; any other unknown one is refused.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from rsu_agent.map_document import (
    DEGREE_DIGITS,
    ConnectionProperties,
    JunctionProperties,
    LaneProperties,
    TurnWord,
    checked_point,
    connection_of,
    junction_of,
    lane_of,
)
from rsu_agent.map_geometry import Line, Point, distance, meeting, turned_deg
from rsu_agent.map_junction import JunctionMap
from rsu_agent.map_lanes import JunctionConnection, JunctionLane, LaneDirection, Turn
from shared.core.errors import ConfigError
from shared.core.geo import GeoPoint, displaced, offset_m
from shared.service.config import ConfigStruct

MAX_GEOJSON_OCTETS = 4 << 20
"""Longer files are refused unread."""

MAX_FEATURES = 5_000
"""Features of one file."""

STYLE = frozenset(
    {
        "title",
        "description",
        "marker-size",
        "marker-symbol",
        "marker-color",
        "stroke",
        "stroke-opacity",
        "stroke-width",
        "fill",
        "fill-opacity",
    }
)
"""Properties that say how a feature looks (simplestyle)."""

STRAIGHT_DEG, BACK_DEG = 45.0, 150.0
"""A connection without `turn` that bends less than the one goes straight, more than the other back."""

T = TypeVar("T")


class JunctionFeature(JunctionProperties, frozen=True, kw_only=True, tag_field="feature", tag="junction"):
    """The reference point's properties."""


class LaneFeature(LaneProperties, frozen=True, kw_only=True, tag_field="feature", tag="lane"):
    """A lane's properties."""


class ConnectionFeature(ConnectionProperties, frozen=True, kw_only=True, tag_field="feature", tag="connection"):
    """A connection's properties. Without `turn` the lanes' directions say it."""

    from_lane: int
    turn: TurnWord | None = None


class StopLineFeature(ConfigStruct, frozen=True, kw_only=True, tag_field="feature", tag="stop_line"):
    """A stop line's properties: none but its name, for people."""

    name: str | None = None


Properties = JunctionFeature | LaneFeature | ConnectionFeature | StopLineFeature


class Geometry(msgspec.Struct, frozen=True):
    """`Point` or `LineString`; other kinds have no use here."""

    type: Literal["Point", "LineString"]
    coordinates: list[object]


class Feature(msgspec.Struct, frozen=True):
    """One feature."""

    type: Literal["Feature"]
    geometry: Geometry | None
    properties: dict[str, object]


class Collection(msgspec.Struct, frozen=True):
    """A whole file."""

    type: Literal["FeatureCollection"]
    features: list[Feature]


def read_geojson(path: Path, signal_groups: frozenset[int] | None) -> JunctionMap:
    """Read a junction from a GeoJSON file.

    Args:
        path: the file.
        signal_groups: the groups the controller speaks for; None where the map's own are all there are.

    Raises:
        ConfigError: the file cannot be read, has an unknown property, or describes an impossible junction.
    """
    origin = str(path)
    document = _decoded(path)
    if len(document.features) > MAX_FEATURES:
        raise ConfigError(f"{origin}: features", f"{len(document.features)} features, at most {MAX_FEATURES} are read")
    features = [(f"{origin}: features[{i}]", feature) for i, feature in enumerate(document.features)]
    read = [(key, _properties(key, feature), feature.geometry) for key, feature in features]
    found = _of(read, JunctionFeature)
    if len(found) != 1:
        raise ConfigError(found[1][0] if found else origin, 'one point with the property feature = "junction" is needed')
    ((key, junction, geometry),) = found
    reference = _point_of(key, geometry)
    stop_lines = [(key, _line(key, reference, geometry)) for key, _, geometry in _of(read, StopLineFeature)]
    lanes, courses = _lanes(reference, _of(read, LaneFeature), stop_lines)
    connected = _connected(lanes, courses, _of(read, ConnectionFeature))
    return junction_of(origin, junction, reference, connected, signal_groups)


def geojson_of(junction: JunctionMap) -> str:
    """Return a junction as the text of a GeoJSON file, for a map editor."""
    place = junction.intersection_id
    features = [
        _feature(
            {"type": "Point", "coordinates": _coordinates(junction.reference)},
            feature="junction",
            name=junction.name,
            region=place.region,
            number=place.number,
            revision=junction.revision,
            lane_width_m=junction.lane_width_m,
        )
    ]
    ends = {lane.number: lane.nodes[0] for lane in junction.lanes}
    for lane in junction.lanes:
        features.append(
            _feature(
                {"type": "LineString", "coordinates": [_coordinates(node) for node in lane.nodes]},
                feature="lane",
                number=lane.number,
                name=lane.name,
                direction=lane.direction.value,
                kind=lane.kind.value,
                approach=lane.approach,
                width_m=lane.width_m,
                revocable=lane.revocable or None,
            )
        )
        features += [
            _feature(
                {"type": "LineString", "coordinates": [_coordinates(ends[lane.number]), _coordinates(ends[each.to_lane])]},
                feature="connection",
                from_lane=lane.number,
                to_lane=each.to_lane,
                turn=each.turn.value,
                signal_group=each.signal_group,
                connection_id=each.connection_id,
                yields=each.yields,
            )
            for each in lane.connections
        ]
    return json.dumps({"type": "FeatureCollection", "features": features}, indent=1) + "\n"


def _decoded(path: Path) -> Collection:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_GEOJSON_OCTETS + 1)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from None
    if len(raw) > MAX_GEOJSON_OCTETS:
        raise ConfigError(str(path), f"longer than {MAX_GEOJSON_OCTETS} octets")
    try:
        return msgspec.json.decode(raw, type=Collection)
    except msgspec.ValidationError as error:
        raise _refusal(str(path), error) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"not GeoJSON: {error}") from None
    except RecursionError:
        raise ConfigError(str(path), "nested too deeply") from None


def _properties(key: str, feature: Feature) -> Properties:
    bare = {name: value for name, value in feature.properties.items() if name not in STYLE and value is not None}
    try:
        converted: Properties = msgspec.convert(bare, type=Properties)
    except msgspec.ValidationError as error:
        raise _refusal(f"{key}.properties", error) from None
    return converted


def _refusal(key: str, error: msgspec.ValidationError) -> ConfigError:
    """Take ``sentence - at `$.place` `` apart; the place is left out where it is the whole."""
    reason, _, where = str(error).rpartition(" - at `$")
    reason, where = (reason, where.rstrip("`")) if reason else (str(error), "")
    reason = reason.replace("Object contains unknown field", "unknown property")
    reason = reason.replace("Object missing required field", "missing property")
    return ConfigError(f"{key}{where}" if ".properties" in key else f"{key}: {where.lstrip('.')}" if where else key, reason)


def _of(read: Iterable[tuple[str, Properties, Geometry | None]], kind: type[T]) -> list[tuple[str, T, Geometry | None]]:
    return [(key, properties, geometry) for key, properties, geometry in read if isinstance(properties, kind)]


def _point_of(key: str, geometry: Geometry | None) -> GeoPoint:
    if geometry is None or geometry.type != "Point":
        raise ConfigError(f"{key}.geometry", "a junction is a point")
    return _place(f"{key}.geometry.coordinates", geometry.coordinates)


def _places(key: str, geometry: Geometry | None) -> tuple[GeoPoint, ...]:
    if geometry is None or geometry.type != "LineString" or len(geometry.coordinates) < 2:
        raise ConfigError(f"{key}.geometry", "a line of two points or more is needed")
    return tuple(_place(f"{key}.geometry.coordinates[{i}]", node) for i, node in enumerate(geometry.coordinates))


def _line(key: str, reference: GeoPoint, geometry: Geometry | None) -> Line:
    return tuple(offset_m(reference, place) for place in _places(key, geometry))


def _place(key: str, position: object) -> GeoPoint:
    """Return the place of a position: longitude, latitude, and perhaps a height, which is passed over."""
    if not (isinstance(position, list) and 2 <= len(position) <= 3 and all(type(each) in {int, float} for each in position)):
        raise ConfigError(key, "a position is [longitude, latitude]")
    return checked_point(key, float(position[1]), float(position[0]))


def _lanes(
    reference: GeoPoint,
    features: list[tuple[str, LaneFeature, Geometry | None]],
    stop_lines: list[tuple[str, Line]],
) -> tuple[list[JunctionLane], dict[int, Line]]:
    """Return the lanes without connections, cut at the stop lines, and their courses by number."""
    lanes, courses = [], {}
    used: set[str] = set()
    for key, lane, geometry in features:
        places = _places(key, geometry)
        course = tuple(offset_m(reference, place) for place in places)
        if any(a == b for a, b in pairwise(course)):
            raise ConfigError(f"{key}.geometry", "a point of the line is given twice in a row")
        direction = LaneDirection(lane.direction)
        for stop_key, stop_line in stop_lines:
            if direction.leads_in and lane.kind != "crosswalk" and (place := meeting(course, stop_line)) is not None:
                course = _from(course, place)
                places = (displaced(reference, *place), *places[len(places) - len(course) + 1 :])
                used.add(stop_key)
        courses[lane.number] = course
        lanes.append(lane_of(lane, places))
    for stop_key, _ in stop_lines:
        if stop_key not in used:
            raise ConfigError(stop_key, "the stop line crosses no lane that leads in")
    return lanes, courses


def _from(course: Line, place: Point) -> Line:
    """Return a course from a place on it on."""
    for index, (a, b) in enumerate(pairwise(course)):
        if abs(distance(a, place) + distance(place, b) - distance(a, b)) < 1e-6 and distance(place, b) > 1e-6:
            return (place, *course[index + 1 :])
    return course


def _connected(
    lanes: list[JunctionLane],
    courses: dict[int, Line],
    features: list[tuple[str, ConnectionFeature, Geometry | None]],
) -> tuple[JunctionLane, ...]:
    connections: dict[int, list[JunctionConnection]] = {lane.number: [] for lane in lanes}
    for key, each, _ in features:
        for name, number in (("from_lane", each.from_lane), ("to_lane", each.to_lane)):
            if number not in connections:
                raise ConfigError(f"{key}.properties.{name}", f"there is no lane {number}")
        bend_deg = turned_deg(courses[each.from_lane], courses[each.to_lane])
        connections[each.from_lane].append(connection_of(each, _turn(bend_deg) if each.turn is None else Turn(each.turn)))
    return tuple(replace(lane, connections=tuple(connections[lane.number])) for lane in lanes)


def _turn(bend_deg: float) -> Turn:
    if abs(bend_deg) < STRAIGHT_DEG:
        return Turn.STRAIGHT
    if abs(bend_deg) > BACK_DEG:
        return Turn.U_TURN
    return Turn.RIGHT if bend_deg > 0 else Turn.LEFT


def _feature(geometry: dict[str, object], **properties: object) -> dict[str, object]:
    said = {name: value for name, value in properties.items() if value is not None}
    return {"type": "Feature", "geometry": geometry, "properties": said}


def _coordinates(place: GeoPoint) -> list[float]:
    return [round(place.lon_deg, DEGREE_DIGITS), round(place.lat_deg, DEGREE_DIGITS)]
