"""What of a SUMO network file a junction's map is made of: lanes, connections, lights, and where the network lies on Earth.

The file is read as a stream and bounded; a document type with entities of its own is refused (they can grow without end).

Left out: everything inside junctions but crossings, rails' and roundabouts' rules, who has to wait for whom (the lights say it),
and programs of lights but the first of each.
"""

import gzip
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from xml.parsers import expat

from rsu_agent.map_geometry import Line, Point
from shared.core.errors import ConfigError

MAX_NETWORK_OCTETS = 256 << 20
"""Longer networks (unpacked) are refused: a junction is cut out of a city's network, not of a country's."""

MAX_SHAPE_POINTS = 10_000
"""Points of one lane."""

CHUNK_OCTETS = 1 << 16

MAX_INDEX_DIGITS = 6
"""Of the index of a lane or a link."""

DEFAULT_WIDTH_M = 3.2
"""Of lanes that say none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetLane:
    """One lane, in its direction of travel.

    Attributes:
        id: edge and index, `12_0`.
        shape_m: centre line in the network's plane, from beginning to end.
        width_m: its width.
        allowed: classes that may use it; empty where all may that are not refused.
    """

    id: str
    shape_m: Line
    width_m: float
    allowed: frozenset[str]

    @property
    def is_for_walking(self) -> bool:
        """Whether only pedestrians may use it."""
        return self.allowed == {"pedestrian"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NetEdge:
    """A road in one direction, or a crossing.

    Attributes:
        id: as in the file.
        begins: junction it comes from; empty for a crossing.
        ends: junction it leads to; empty for a crossing.
        is_crossing: whether it is a pedestrian crossing inside a junction.
        lanes: from the right.
    """

    id: str
    begins: str
    ends: str
    is_crossing: bool
    lanes: list[NetLane] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetConnection:
    """A way from one lane to another: edges, indices, and the light that rules it (None where none does)."""

    from_edge: str
    from_lane: int
    to_edge: str
    to_lane: int
    light: str | None
    link: int | None
    turn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NetJunction:
    """A junction: its name and where it lies."""

    id: str
    point_m: Point


@dataclass(slots=True, kw_only=True)
class Network:
    """What was read.

    Attributes:
        edges: by name, in the file's order.
        connections: those between edges, and those onto crossings.
        junctions: by name.
        programs: the states of each light's program, one letter a link.
        offset_m: `netOffset`.
        projection: `projParameter`.
    """

    edges: dict[str, NetEdge] = field(default_factory=dict)
    connections: list[NetConnection] = field(default_factory=list)
    junctions: dict[str, NetJunction] = field(default_factory=dict)
    programs: dict[str, list[str]] = field(default_factory=dict)
    offset_m: Point = (0.0, 0.0)
    projection: str = "!"

    def at_junction(self, junction: str) -> list[NetConnection]:
        """Return the ways across a junction."""
        return [each for each in self.connections if (edge := self.edges.get(each.from_edge)) is not None and edge.ends == junction]

    def junctions_with_lights(self) -> list[str]:
        """Return the junctions where a light rules something, in the file's order."""
        ends = {
            self.edges[each.from_edge].ends for each in self.connections if each.light is not None and each.from_edge in self.edges
        }
        return [junction for junction in self.junctions if junction in ends]

    def crossings_of(self, junction: str) -> list[NetEdge]:
        """Return the pedestrian crossings of a junction."""
        return [edge for edge in self.edges.values() if edge.is_crossing and edge.id.startswith(f":{junction}_c")]


def load_network(path: Path) -> Network:
    """Read a network, packed with gzip or not.

    Raises:
        ConfigError: the file cannot be read, is too long, or is no SUMO network; the sentence names the line.
    """
    try:
        with path.open("rb") as file:
            if path.suffix.lower() == ".gz":
                with gzip.GzipFile(fileobj=file) as unpacked:
                    return _read(path, unpacked)  # type: ignore[arg-type]
            return _read(path, file)
    except (OSError, EOFError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ConfigError(str(path), f"cannot be read: {reason}") from None


def _read(path: Path, file: BinaryIO) -> Network:
    reader = _Reader()
    octets = 0
    try:
        while chunk := file.read(CHUNK_OCTETS):
            octets += len(chunk)
            if octets > MAX_NETWORK_OCTETS:
                raise ConfigError(str(path), f"longer than {MAX_NETWORK_OCTETS} octets")
            reader.parser.Parse(chunk, False)
        reader.parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise ConfigError(f"{path}: line {error.lineno}", f"not XML: {expat.errors.messages[error.code]}") from None
    except (LookupError, ValueError) as error:  # the first: an encoding nobody knows
        raise ConfigError(f"{path}: line {reader.parser.CurrentLineNumber}", str(error)) from None
    if not reader.is_network:
        raise ConfigError(str(path), "not a SUMO network: there is no <net> in it")
    return reader.network


class _Reader:
    """Builds the network from the stream of elements."""

    def __init__(self) -> None:
        self.network = Network()
        self.is_network = False
        self._edge: NetEdge | None = None
        self._program: list[str] | None = None
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.EntityDeclHandler = self._entity

    def _entity(self, *_: object) -> None:
        raise ValueError("a network declares no entities")

    def _start(self, name: str, values: dict[str, str]) -> None:
        if name == "net":
            self.is_network = True
        if not self.is_network:
            return
        match name:
            case "location":
                x_m, y_m, *_ = _numbers(values.get("netOffset", "0,0"))
                self.network.offset_m, self.network.projection = (x_m, y_m), values.get("projParameter", "!")
            case "edge":
                self._begin_edge(values)
            case "lane" if self._edge is not None:
                self._edge.lanes.append(_lane(values))
            case "junction":
                junction = NetJunction(id=_value(values, "id"), point_m=(_number(values, "x"), _number(values, "y")))
                if not junction.id.startswith(":"):
                    self.network.junctions[junction.id] = junction
            case "connection":
                self._add_connection(values)
            case "tlLogic":
                self._program = [] if _value(values, "id") not in self.network.programs else None
                if self._program is not None:
                    self.network.programs[values["id"]] = self._program
            case "phase" if self._program is not None:
                self._program.append(_value(values, "state"))

    def _end(self, name: str) -> None:
        if name == "edge":
            self._edge = None
        elif name == "tlLogic":
            self._program = None

    def _begin_edge(self, values: dict[str, str]) -> None:
        is_crossing = values.get("function") == "crossing"
        self._edge = None
        if is_crossing or values.get("function", "normal") == "normal":
            self._edge = NetEdge(
                id=_value(values, "id"),
                begins=values.get("from", ""),
                ends=values.get("to", ""),
                is_crossing=is_crossing,
            )
            self.network.edges[self._edge.id] = self._edge

    def _add_connection(self, values: dict[str, str]) -> None:
        begins, ends = _value(values, "from"), _value(values, "to")
        if begins.startswith(":") and "tl" not in values:
            return
        self.network.connections.append(
            NetConnection(
                from_edge=begins,
                from_lane=_index(values, "fromLane"),
                to_edge=ends,
                to_lane=_index(values, "toLane"),
                light=values.get("tl"),
                link=None if "tl" not in values else _index(values, "linkIndex"),
                turn=values.get("dir", "s"),
            )
        )


def _lane(values: dict[str, str]) -> NetLane:
    shape = _value(values, "shape").split()
    if not 2 <= len(shape) <= MAX_SHAPE_POINTS:
        raise ValueError(f"lane {_value(values, 'id')!r}: a shape has 2 to {MAX_SHAPE_POINTS} points")
    points = []
    for point in shape:
        x_m, y_m, *_ = _numbers(point)
        points.append((x_m, y_m))
    return NetLane(
        id=_value(values, "id"),
        shape_m=tuple(points),
        width_m=_number(values, "width") if "width" in values else DEFAULT_WIDTH_M,
        allowed=frozenset(values.get("allow", "").split()),
    )


def _value(values: dict[str, str], name: str) -> str:
    if name not in values:
        raise ValueError(f"the attribute {name!r} is missing")
    return values[name]


def _number(values: dict[str, str], name: str) -> float:
    return _numbers(_value(values, name), least=1)[0]


def _index(values: dict[str, str], name: str) -> int:
    text = _value(values, name)
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_INDEX_DIGITS):
        raise ValueError(f"{name} {text!r} is no index")
    return int(text)


def _numbers(text: str, least: int = 2) -> list[float]:
    """Return numbers with commas between them."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"{text!r} is not made of numbers") from None
    if len(numbers) < least or not all(abs(number) < 1e9 for number in numbers):
        raise ValueError(f"{text!r} is no point")
    return numbers
