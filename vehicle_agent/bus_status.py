"""What a vehicle's status says of each of its buses, and the warning that a bus may lose frames."""

from collections.abc import Iterable, Iterator

from structlog.typing import FilteringBoundLogger

from shared.transport.can_bus import CanBus
from shared.transport.can_link import RECEIVE_BUFFER_BYTES, SOCKETCAN, CanBusConfig, require_multicast_group
from shared.transport.can_socket import buffer_sentence, buffer_warning
from shared.transport.socketcan_link import checked_options
from vehicle_agent.config import CanConfig


def bus_status(bus: CanBus) -> dict[str, object]:
    """Return the counts of a bus as JSON values; `docs/can-bus.md` explains them."""
    statistics = bus.statistics()
    return {
        "endpoint": bus.endpoint,
        "is_up": statistics.is_up,
        "controller": statistics.controller.value,
        "received": statistics.received,
        "lost": statistics.lost,
        "malformed": statistics.malformed,
        "error_frames": statistics.error_frames,
        "errors": dict(statistics.errors),
        "interruptions": statistics.interruptions,
        "last_fault": statistics.last_fault,
        "receive_buffer_bytes": statistics.receive_buffer_bytes,
        "warning": _small_buffer(bus),
    }


def warn_of_small_buffer(bus: CanBus, log: FilteringBoundLogger) -> None:
    """Log that the kernel granted a bus, which is open, less buffer than was asked for."""
    if (warning := _small_buffer(bus)) is not None:
        log.warning("small receive buffer", bus=bus.endpoint, reason=warning)


def describe_buses(buses: Iterable[tuple[str, CanConfig]]) -> Iterator[str]:
    """Describe each bus in a line for `check-config`, and warn where this system would grant the agent too small a buffer.

    Raises:
        ConfigError: a bus can never be opened like this.
    """
    reads_kernel = False
    for name, bus in buses:
        endpoint = CanBusConfig(interface=bus.interface, channel=bus.channel, options=dict(bus.options))
        if bus.interface == SOCKETCAN:
            checked_options(endpoint)
            reads_kernel = True
        require_multicast_group(endpoint)
        yield f"bus {name}: {endpoint.endpoint}"
    if reads_kernel and (warning := buffer_warning()) is not None:
        yield f"warning: {warning}"


def _small_buffer(bus: CanBus) -> str | None:
    granted = bus.statistics().receive_buffer_bytes
    return None if granted is None or granted >= RECEIVE_BUFFER_BYTES else buffer_sentence(granted)
