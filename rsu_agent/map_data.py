"""One junction's map from a file, whatever its form: TOML (`map_toml`), GeoJSON (`map_geojson`) or a SUMO network (`map_sumo`).

The values are in `map_lanes` and `map_junction`, with the MAPEM that says them; this is the door others come in by.
"""

from pathlib import Path

from rsu_agent.map_geojson import read_geojson
from rsu_agent.map_junction import JunctionMap, mapem_of
from rsu_agent.map_lanes import JunctionConnection, JunctionLane, LaneDirection, LaneKind, Turn
from rsu_agent.map_sumo import NetworkChoice, read_network
from rsu_agent.map_toml import read_toml
from shared.core.errors import ConfigError, EncodeError
from shared.core.ids import StationId
from shared.messages.mapem import encode_mapem
from shared.network.btp import BTP_OCTETS
from shared.network.packet import MAX_SDU_OCTETS

__all__ = [
    "JunctionConnection",
    "JunctionLane",
    "JunctionMap",
    "LaneDirection",
    "LaneKind",
    "NetworkChoice",
    "Turn",
    "load_map",
    "mapem_octets",
    "mapem_of",
]

MAX_MAPEM_OCTETS = MAX_SDU_OCTETS - BTP_OCTETS
"""A longer message fits no packet."""

GEOJSON_SUFFIXES = frozenset({".geojson", ".json"})
NETWORK_SUFFIXES = frozenset({".xml", ".gz"})
"""Endings by which the other forms are known; any other file is TOML."""


def load_map(path: Path, signal_groups: frozenset[int] | None, *, choice: NetworkChoice | None = None) -> JunctionMap:
    """Read a junction from a file.

    Args:
        path: the file.
        signal_groups: the groups the junction's controller speaks for, of which a connection may name no other; None to take the
            map's own.
        choice: which junction of a SUMO network, and what it is to be called; needed where it has several with lights, and refused
            with other files.

    Raises:
        ConfigError: the file cannot be read, has an unknown key, or describes an impossible junction or one too large for a packet.
    """
    if path.suffix.lower() in NETWORK_SUFFIXES:
        junction = read_network(path, signal_groups, choice=choice or NetworkChoice())
    elif choice is not None:
        raise ConfigError(str(path), "a junction is chosen, named and placed in a SUMO network only: this file says it itself")
    elif path.suffix.lower() in GEOJSON_SUFFIXES:
        junction = read_geojson(path, signal_groups)
    else:
        junction = read_toml(path, signal_groups)
    try:
        octets = mapem_octets(junction)
    except EncodeError as error:
        raise ConfigError(junction.origin, f"cannot be said in a message: {error}") from None
    if octets > MAX_MAPEM_OCTETS:
        raise ConfigError(
            junction.origin,
            f"as a message it has {octets} octets, and a packet carries {MAX_MAPEM_OCTETS}: "
            "describe fewer lanes, or lanes with fewer nodes",
        )
    return junction


def mapem_octets(junction: JunctionMap) -> int:
    """Return how long the message that says a junction is; raises `EncodeError` where it is longer than any."""
    return len(encode_mapem(mapem_of(junction, StationId(0), 0)))
