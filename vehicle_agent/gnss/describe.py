"""Where the position comes from, for `check-config`: a line each. Nothing is read; a server is called to see whether it answers."""

import socket
from collections.abc import Iterator

from shared.core.errors import ConfigError
from vehicle_agent.gnss.fields import POSITION_FIELDS
from vehicle_agent.gnss.line import place_of
from vehicle_agent.position_config import CanPosition, FixedPosition, GpsdPosition, NmeaPosition, PositionConfig
from vehicle_agent.signals.signal_map import SignalMap
from vehicle_agent.signals.vss import name_of

CALL_S = 1.0
"""How long a server may take to answer."""


def describe_position(position: PositionConfig, signal_map: SignalMap) -> Iterator[str]:
    """Say where the position comes from, and what of the map is left out for it.

    Args:
        position: the configuration.
        signal_map: what the buses could say.

    Raises:
        ConfigError: a file to be played is not there.
    """
    match position:
        case CanPosition():
            if "position" not in signal_map.fields():
                yield "no signal gives the position: nothing will be sent"
            return
        case FixedPosition():
            yield "position: fixed"
            return
        case NmeaPosition(device=device, file=file):
            if file is not None and not file.is_file():
                raise ConfigError("position.file", f"{file} is no file")
            away = device is not None and not device.exists()
            yield f"position: {place_of(position)}{', which is not there at the moment' if away else _unanswered(position)}"
        case _:
            yield f"position: {place_of(position)}{_unanswered(position)}"
    left_out = sorted(map(name_of, POSITION_FIELDS & signal_map.fields()))
    if left_out:
        yield f"not taken from the bus, for the receiver says it: {', '.join(left_out)}"


def _unanswered(position: GpsdPosition | NmeaPosition) -> str:
    """Return what to add where the receiver is behind a server that does not answer."""
    match position:
        case GpsdPosition(host=host, port=port) | NmeaPosition(transport="tcp", host=str() as host, port=int() as port):
            try:
                socket.create_connection((host, port), timeout=CALL_S).close()
            except OSError as failure:
                return f", where nobody answers at the moment ({failure.strerror or failure})"
    return ""
