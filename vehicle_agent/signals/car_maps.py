"""The signal maps of all buses of one vehicle as one: what the agent decodes, and which bus needs which identifiers.

A map that names no channel means the bus it is configured for. Two buses may carry the same map; a field is fed by one message
alone, so two maps that feed the same field contradict each other and are refused.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from shared.core.errors import ConfigError
from shared.transport.can_frame import CanFilter
from vehicle_agent.config import CanConfig, no_such_bus
from vehicle_agent.j1939.listener import J1939Bus
from vehicle_agent.requests.config import RequestsConfig
from vehicle_agent.signals.mapped import MappedMessage
from vehicle_agent.signals.signal_map import SignalMap, filters_for, load_signal_map


def load_car_maps(buses: Iterable[tuple[str, CanConfig]]) -> SignalMap:
    """Read the maps of the buses and put them together.

    Raises:
        ConfigError: a map is wrong, names a bus that is not configured, or feeds a field that another feeds too.
    """
    named = tuple(buses)
    names = [name for name, _ in named]
    loaded: dict[Path, tuple[SignalMap, list[str]]] = {}
    for name, bus in named:
        if bus.map is not None:
            signal_map, carriers = loaded.setdefault(bus.map, (load_signal_map(bus.map), []))
            carriers.append(name)
    messages: list[MappedMessage] = []
    fed: dict[str, str] = {}
    for signal_map, carriers in loaded.values():
        _require_buses(signal_map, named)
        for message in signal_map.messages:
            channel = message.channel
            if channel is None and len(carriers) == 1 and len(names) > 1:
                channel = carriers[0]
            messages.append(replace(message, channel=channel))
            for mapped in message.fields:
                other = fed.setdefault(mapped.field, signal_map.path)
                if other != signal_map.path:
                    raise ConfigError(signal_map.path, f"feeds {mapped.field}, which {other} feeds too")
    maps = [signal_map for signal_map, _ in loaded.values()]
    return SignalMap(
        name=" + ".join(signal_map.name for signal_map in maps),
        path=", ".join(signal_map.path for signal_map in maps),
        messages=tuple(messages),
    )


def _require_buses(signal_map: SignalMap, buses: Sequence[tuple[str, CanConfig]]) -> None:
    """Raise `ConfigError` where a map takes messages from a bus that is not configured."""
    names = [name for name, _ in buses]
    wanted = sorted({message.channel for message in signal_map.messages if message.channel is not None})
    lacking = [message for message in signal_map.messages if message.channel is not None and message.channel not in names]
    if not lacking:
        return
    message = lacking[0]
    assert message.channel is not None
    reason = f"message {message.layout.name} is on {no_such_bus(message.channel, buses)}"
    if len(wanted) > 1:
        tables = " and ".join(f'name = "{channel}"' for channel in wanted)
        reason += f". The map takes messages from {len(wanted)} buses: a [[can]] each, {tables}; one of them names the map"
    raise ConfigError(signal_map.path, reason)


def j1939_buses(signal_map: SignalMap, buses: Iterable[tuple[str, CanConfig]]) -> tuple[J1939Bus, ...]:
    """Return the buses on which J1939 is spoken: those whose map finds messages by their parameter group.

    Raises:
        ConfigError: another bus has an address of J1939.
    """
    found = []
    for name, bus in buses:
        groups = frozenset(m.pgn for m in signal_map.messages if m.pgn is not None and m.channel in (None, name))
        if groups:
            found.append(J1939Bus(name=name, groups=groups, address=bus.j1939_address))
        elif bus.j1939_address is not None:
            raise ConfigError(f"can.{name}.j1939_address", "is for a bus whose map finds messages by their parameter group")
    return tuple(found)


def describe_j1939(buses: Iterable[J1939Bus]) -> Iterator[str]:
    """Yield lines for `check-config`: who is asked what on buses of J1939."""
    for bus in buses:
        if bus.address is None:
            yield f"on {bus.name} units of J1939 are listened to; without a j1939_address none is asked who it is"
        else:
            yield f"on {bus.name} units of J1939 are asked under address {bus.address}: VIN, NAME, component, software, distance"


def filters_of(
    signal_map: SignalMap, names: Iterable[str], requests: RequestsConfig | None = None
) -> Mapping[str, tuple[CanFilter, ...]]:
    """Return the identifiers each bus needs to let through: those of its map, and those of requests where they go there."""
    asked = {} if requests is None else {requests.bus: requests.filters}
    return {
        name: (*filters_for(m for m in signal_map.messages if m.channel in (None, name)), *asked.get(name, ())) for name in names
    }
