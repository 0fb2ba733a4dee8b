"""Puts the agent's questions to control units on the vehicle's buses: the shell's side of `SendCan`.

A bus that cannot send, being down, silent by its driver (listen-only), or full, is told once and counted; that nothing was answered
the agent finds out by itself, and asks more seldom.
"""

from collections import Counter
from collections.abc import Mapping

from structlog.typing import FilteringBoundLogger

from shared.core.clock import MonotonicNs
from shared.core.errors import TransportError
from shared.service.log import Availability
from shared.stack.effects import Effect, SendCan
from shared.transport.can_bus import CanBus
from shared.transport.can_frame import CanFrame


class RequestSender:
    """Carries out `SendCan`.

    Args:
        buses: of the vehicle, by name.
        log: told of a bus that cannot send, and of one that can again.
    """

    def __init__(self, buses: Mapping[str, CanBus], log: FilteringBoundLogger) -> None:
        self._buses = buses
        self._availability = {name: Availability(log, f"sending on {bus.endpoint}") for name, bus in buses.items()}
        self._sent: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._last_fault: str | None = None

    def take(self, effect: Effect) -> None:
        """Put a frame on its bus; other effects are somebody else's. Never waits nor raises."""
        if not isinstance(effect, SendCan):
            return
        bus = self._buses.get(effect.bus)
        if bus is None:
            self._failed[effect.bus] += 1
            self._last_fault = f"there is no bus {effect.bus}"
            return
        frame = CanFrame(effect.arbitration_id, effect.is_extended, effect.data, effect.bus, MonotonicNs(0))
        try:
            bus.send(frame)
        except TransportError as fault:
            self._failed[effect.bus] += 1
            self._last_fault = str(fault)
            self._availability[effect.bus].lost(fault.reason)
            return
        self._sent[effect.bus] += 1
        self._availability[effect.bus].works()

    def status(self) -> dict[str, object]:
        """Return what was sent and what could not be, by bus, as JSON values."""
        return {"sent": dict(self._sent), "failed": dict(self._failed), "last_fault": self._last_fault}
