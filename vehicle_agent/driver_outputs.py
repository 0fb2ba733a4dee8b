"""The ways to the driver's display, opened as a configuration says: Unix socket, local MQTT broker, CAN bus.

    async with open_driver_outputs(config.driver, clock=clock, log=log) as driver:
        notices.follow(driver.tell)
        perform = Performer(..., show=driver.show)

Nothing here ever makes the agent wait: what cannot be handed over at once is dropped in favour of what is newer, and counted. A
broker or bus that is away is told once and tried again.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from random import SystemRandom

import msgspec
from structlog.typing import FilteringBoundLogger

from shared.core.clock import NS_PER_S, Clock, Instant, MonotonicNs
from shared.core.errors import TransportError
from shared.core.itstime import utc_text
from shared.service.driver_feed import DriverFeed
from shared.service.local_mqtt import LocalMqtt, check_password
from shared.service.log import Availability
from shared.service.socket_path import check_socket_path
from shared.stack.effects import DriverView, Notice
from shared.transport.can_bus import MAX_DRAIN, CanBus, CanBusConfig, require_known_interface
from shared.transport.can_frame import CanFilter
from shared.transport.can_link import require_multicast_group
from vehicle_agent.driver_can import DriverFrames, load_driver_dbc
from vehicle_agent.driver_config import DriverCanConfig, DriverConfig

EVENT_SCHEMA = "v2x-trust/driver-event/1"
"""Name and version of an event's document."""

DRIVER_KINDS = ("hazard_", "signal_", "emergency_vehicle_")
"""How the notices begin that are for the driver; the others are for the operator."""

CAN_RETRY_FIRST_S, CAN_RETRY_MAX_S = 0.5, 10.0
"""The first pause before a bus is opened again, and the longest."""

MAX_DISCARDED = 64 * MAX_DRAIN
"""Frames of others thrown away at a time: this bus is only written to, and what nobody reads must not pile up."""


class DriverOutputs:
    """Hands on views and events.

    Args:
        clock: dates what goes to CAN.
        feed: the Unix socket, or None.
        mqtt: the local broker, or None.
        frames: the CAN frames, or None.
        bus: where these go, or None.
    """

    def __init__(
        self, *, clock: Clock, feed: DriverFeed | None, mqtt: LocalMqtt | None, frames: DriverFrames | None, bus: CanBus | None
    ) -> None:
        self._clock = clock
        self._feed = feed
        self._mqtt = mqtt
        self._frames = frames
        self._bus = bus
        self.frames_sent = 0

    async def show(self, view: DriverView) -> None:
        """Show the driver a view; returns at once."""
        if self._feed is not None or self._mqtt is not None:
            document = msgspec.json.encode(view.fields)
            if self._feed is not None:
                self._feed.show(document)
            if self._mqtt is not None:
                self._mqtt.show(document)
        if self._frames is not None:
            self._frames.show(view.fields, self._clock.now().monotonic)

    def tell(self, notice: Notice, now: Instant) -> None:
        """Tell the driver one thing, where it is for the driver; returns at once."""
        if not notice.kind.startswith(DRIVER_KINDS) or (self._feed is None and self._mqtt is None):
            return
        utc = None if now.utc is None else utc_text(now.utc)
        document = msgspec.json.encode({"schema": EVENT_SCHEMA, "kind": notice.kind, "utc": utc, **notice.fields})
        if self._feed is not None:
            self._feed.tell(document)
        if self._mqtt is not None:
            self._mqtt.tell(notice.kind, document)

    def status(self) -> dict[str, object]:
        """Return counts as JSON values; null for what is not configured."""
        bus = None
        if self._bus is not None:
            statistics = self._bus.statistics()
            bus = {
                "endpoint": self._bus.endpoint,
                "is_up": statistics.is_up,
                "sent": self.frames_sent,
                "interruptions": statistics.interruptions,
                "last_fault": statistics.last_fault,
            }
        return {
            "socket": None if self._feed is None else self._feed.status(),
            "mqtt": None if self._mqtt is None else self._mqtt.status(),
            "can": bus,
        }


@asynccontextmanager
async def open_driver_outputs(
    config: DriverConfig | None, *, clock: Clock, log: FilteringBoundLogger
) -> AsyncIterator[DriverOutputs]:
    """Open what a configuration names, and close it in the end; nothing at all for None.

    Raises:
        ConfigError: a DBC, a password file or a bus interface cannot be used.
        TransportError: the socket's path is taken.
    """
    config = config or DriverConfig()
    async with AsyncExitStack() as stack:
        frames = bus = mqtt = None
        if config.can is not None:
            dbc = load_driver_dbc(config.can.dbc, key="driver.can.dbc")
            frames = DriverFrames(dbc, started=clock.now().monotonic)
            bus = _bus(config.can, frames, clock)
            stack.callback(bus.close)
        if config.mqtt is not None:
            mqtt = LocalMqtt(config.mqtt, log=log, lot=SystemRandom())
        feed = None if config.socket is None else await stack.enter_async_context(DriverFeed(config.socket))
        outputs = DriverOutputs(clock=clock, feed=feed, mqtt=mqtt, frames=frames, bus=bus)
        if mqtt is not None:
            _start(stack, asyncio.create_task(mqtt.run(), name="driver mqtt"), log)
        if bus is not None and frames is not None:
            sending = _send_frames(bus, frames, outputs, clock, Availability(log, f"driver {bus.endpoint}"))
            _start(stack, asyncio.create_task(sending, name="driver can"), log)
        yield outputs


def describe_driver_outputs(config: DriverConfig) -> Iterator[str]:
    """Describe each way to the driver in a line; nothing is opened and nobody called.

    Raises:
        ConfigError: a way can never work like this: a path is taken or too long, a DBC, a password file or a bus interface cannot
            be used.
    """
    if config.socket is not None:
        check_socket_path(config.socket, key="driver.socket")
        yield f"driver: socket {config.socket}"
    if config.mqtt is not None:
        check_password(config.mqtt)
        yield f"driver: MQTT at {config.mqtt.host}:{config.mqtt.port}, topics {config.mqtt.topic}/..."
    if config.can is not None:
        DriverFrames(load_driver_dbc(config.can.dbc, key="driver.can.dbc"), started=MonotonicNs(0))
        require_known_interface(config.can.interface, key="driver.can.interface")
        require_multicast_group(_endpoint(config.can))
        yield f"driver: CAN {config.can.interface}:{config.can.channel}"


def _start(stack: AsyncExitStack, task: asyncio.Task[None], log: FilteringBoundLogger) -> None:
    """Have a task ended with the rest; one that ends by itself is a bug, which is told and ends nothing else."""

    def told(ended: asyncio.Task[None]) -> None:
        if not ended.cancelled() and ended.exception() is not None:
            log.error("stopped", what=ended.get_name(), reason=repr(ended.exception()))

    async def end() -> None:
        task.cancel()
        await asyncio.wait((task,))

    task.add_done_callback(told)
    stack.push_async_callback(end)


def _endpoint(config: DriverCanConfig) -> CanBusConfig:
    return CanBusConfig(interface=config.interface, channel=config.channel, options=dict(config.options))


def _bus(config: DriverCanConfig, frames: DriverFrames, clock: Clock) -> CanBus:
    """Return the bus, opened if it is there; raises `ConfigError` where it never can be."""
    bus = CanBus(
        _endpoint(config),
        clock=clock,
        filters=(CanFilter(*frames.first_identifier),) if config.interface == "socketcan" else (),
    )
    with suppress(TransportError):  # it may come yet; who sends the frames tells and tries again
        bus.open()
    return bus


async def _send_frames(bus: CanBus, frames: DriverFrames, outputs: DriverOutputs, clock: Clock, availability: Availability) -> None:
    """Put the frames on the bus as they fall due, for ever; the bus is opened again after every failure."""
    pause_s = CAN_RETRY_FIRST_S
    while True:
        try:
            bus.open()
            while True:
                for frame in frames.poll(clock.now().monotonic):
                    bus.send(frame)
                    outputs.frames_sent += 1
                _discard(bus)
                availability.works()
                pause_s = CAN_RETRY_FIRST_S
                await asyncio.sleep(max(0, frames.next_due() - clock.now().monotonic) / NS_PER_S)
        except TransportError as failure:
            availability.lost(failure.reason)
            bus.close()
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, CAN_RETRY_MAX_S)


def _discard(bus: CanBus) -> None:
    for _ in range(MAX_DISCARDED // MAX_DRAIN):
        if len(bus.drain(MAX_DRAIN)) < MAX_DRAIN:
            return
