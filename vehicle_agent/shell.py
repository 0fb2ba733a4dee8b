"""The asyncio shell of the vehicle agent: bus, radio, time and status around the sans-IO object.

One task reads the bus, one the radio; both post steps to the working loop, which alone touches the agent, carries out its effects
and feeds the watchdog. A radio that fails is told once and tried again with the next packet; a bus that fails is opened again by
`CanBus`. Nothing is decided here.
"""

import os
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import TextIO

from structlog.typing import FilteringBoundLogger

from shared.core.clock import Clock, Instant, TimeSource
from shared.core.errors import ConfigError, StorageError, TransportError
from shared.core.geo import GeoPoint
from shared.service.log import Availability
from shared.service.run import Service, WorkingLoop
from shared.service.status_socket import StatusSocket
from shared.service.system_clock import SystemClock
from shared.stack.effects import Effect, Notice, Transmit
from shared.transport.can_bus import CanBus, CanBusConfig
from shared.transport.pcap import PcapWriter
from shared.transport.radio import Radio
from shared.transport.udp_radio import UdpRadio
from vehicle_agent.agent import VehicleAgent
from vehicle_agent.composition import make_agent, open_vehicle
from vehicle_agent.config import PositionConfig, VehicleConfig
from vehicle_agent.notices import NoticeWriter
from vehicle_agent.vehicle_state import SignalUpdate

FOR_EVER_NS = 1 << 62
"""Age limit of the position of a vehicle that never moves."""


async def serve(config: VehicleConfig, service: Service, log: FilteringBoundLogger) -> None:
    """Run the agent of one vehicle until cancelled.

    Raises:
        ConfigError: the configuration cannot be used.
        StorageError: a file of the agent is damaged.
        TransportError: the radio cannot be opened.
    """
    clock = SystemClock(TimeSource(config.time.source))
    if config.time.source == TimeSource.ASSUME_TRUSTED.value:
        log.warning("the system clock is trusted unseen: for labs and simulation only")
    async with AsyncExitStack() as stack:
        parts = stack.enter_context(open_vehicle(config))
        notices = stack.enter_context(NoticeWriter(_notice_stream(config, stack)))
        pcap = None if config.radio.pcap is None else stack.enter_context(PcapWriter(config.radio.pcap))
        radio = UdpRadio.open(
            clock=clock, group=config.radio.group, port=config.radio.port, interface=config.radio.interface
        )
        stack.callback(radio.close)
        bus = CanBus(_bus_config(config), clock=clock, filters=parts.signal_map.filters())
        agent = make_agent(parts, entropy=os.urandom, started=clock.now())
        agent.on_signals(fixed_position(config.position, clock.now()), clock.now())
        perform = Performer(clock=clock, radio=radio, pcap=pcap, notices=notices, log=log)
        loop = WorkingLoop(agent, clock=clock, perform=perform, watchdog=service.watchdog)
        stack.push_async_callback(_say_goodbye, agent, clock, perform)
        await stack.enter_async_context(StatusSocket(config.state.status_socket, lambda: _status(agent, bus)))
        service.tasks.create_task(_read_bus(bus, agent, loop))
        service.tasks.create_task(_read_radio(radio, agent, loop))
        service.notifier.ready(f"station {agent.status()['station_id']}")
        log.info("ready", bus=bus.endpoint, radio=f"{config.radio.group}:{config.radio.port}")
        await loop.run()


class Performer:
    """Carries out effects: packets go to the radio and the capture, notices become JSON lines."""

    def __init__(
        self, *, clock: Clock, radio: Radio, pcap: PcapWriter | None, notices: NoticeWriter, log: FilteringBoundLogger
    ) -> None:
        self._clock = clock
        self._radio = radio
        self._pcap = pcap
        self._notices = notices
        self._radio_state = Availability(log, "radio")
        self._pcap_state = Availability(log, "pcap")

    async def __call__(self, effect: Effect) -> None:
        """Carry out one effect; a medium that fails is told once."""
        now = self._clock.now()
        match effect:
            case Transmit(packet):
                try:
                    await self._radio.send(packet)
                    self._radio_state.works()
                except TransportError as failure:
                    self._radio_state.lost(str(failure))
                self._capture(packet, now)
            case Notice():
                self._notices.write(effect, now)

    def _capture(self, packet: bytes, now: Instant) -> None:
        if self._pcap is None or now.utc is None:
            return
        try:
            self._pcap.write(packet, utc=now.utc)
            self._pcap_state.works()
        except StorageError as failure:
            self._pcap_state.lost(str(failure))


def fixed_position(position: PositionConfig, now: Instant) -> tuple[SignalUpdate, ...]:
    """Return the configured place of a vehicle that never moves, as a signal; nothing where the bus gives the position.

    Raises:
        ConfigError: the place is missing or does not exist.
    """
    if position.source == "can":
        return ()
    if position.lat_deg is None or position.lon_deg is None:
        raise ConfigError("position", "a fixed position needs lat_deg and lon_deg")
    try:
        point = GeoPoint(position.lat_deg, position.lon_deg)
    except ValueError as no_place:
        raise ConfigError("position", str(no_place)) from no_place
    return (SignalUpdate(field="position", value=point, at=now.monotonic, max_age_ns=FOR_EVER_NS),)


def _bus_config(config: VehicleConfig) -> CanBusConfig:
    return CanBusConfig(interface=config.can.interface, channel=config.can.channel, options=dict(config.can.options))


def _notice_stream(config: VehicleConfig, stack: AsyncExitStack) -> TextIO:
    if config.state.notices is None:
        return sys.stdout
    try:
        return stack.enter_context(config.state.notices.open("a", encoding="utf-8"))
    except OSError as failure:
        raise ConfigError("state.notices", f"cannot be written: {failure.strerror}") from failure


def _status(agent: VehicleAgent, bus: CanBus) -> dict[str, object]:
    statistics = bus.statistics()
    return {
        **agent.status(),
        "bus": {
            "endpoint": bus.endpoint,
            "is_up": statistics.is_up,
            "received": statistics.received,
            "lost": statistics.lost,
            "interruptions": statistics.interruptions,
            "last_fault": statistics.last_fault,
        },
    }


async def _read_bus(bus: CanBus, agent: VehicleAgent, loop: WorkingLoop) -> None:
    async for frame in bus.frames():
        await loop.post(partial(agent.on_can_frame, frame))


async def _read_radio(radio: Radio, agent: VehicleAgent, loop: WorkingLoop) -> None:
    while True:
        heard = await radio.receive()
        await loop.post(partial(agent.on_packet, heard.packet))


async def _say_goodbye(agent: VehicleAgent, clock: Clock, perform: Callable[[Effect], object]) -> None:
    """Record the last reading before the files are closed."""
    for effect in agent.stop(clock.now()):
        result = perform(effect)
        if hasattr(result, "__await__"):
            await result
