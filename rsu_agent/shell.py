"""The asyncio shell of the roadside unit: radio, time and status around the sans-IO object.

One task reads the radio and posts steps to the working loop, which alone touches the agent, carries out its effects and feeds the
watchdog. A radio or capture that fails is told once and tried again with the next packet. Nothing is decided here.
"""

import json
import os
import sys
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TextIO

from structlog.typing import FilteringBoundLogger

from rsu_agent.agent import RsuAgent
from rsu_agent.composition import make_agent, read_parts
from rsu_agent.config import RsuConfig
from shared.core.clock import Clock, Instant
from shared.core.errors import ConfigError, StorageError, TransportError
from shared.core.itstime import utc_text
from shared.service.log import Availability
from shared.service.run import Service, WorkingLoop
from shared.service.status_socket import StatusSocket
from shared.stack.effects import Effect, Notice, Transmit
from shared.transport.pcap import PcapWriter
from shared.transport.radio import Radio
from shared.transport.udp_radio import UdpRadio


async def serve(config: RsuConfig, path: Path, service: Service, *, clock: Clock, log: FilteringBoundLogger) -> None:
    """Run one roadside unit until cancelled; then cancel its hazards.

    Args:
        config: the configuration.
        path: its file, for the errors.
        service: tasks, notifier and watchdog of the process.
        clock: the unit's clock.
        log: for changes of state.

    Raises:
        ConfigError: the configuration cannot be used.
        TransportError: the radio or the status socket cannot be opened.
    """
    async with AsyncExitStack() as stack:
        agent = make_agent(read_parts(config, path, environment=os.environ), entropy=os.urandom)
        pcap = None if config.radio.pcap is None else stack.enter_context(PcapWriter(config.radio.pcap))
        radio = UdpRadio.open(clock=clock, group=config.radio.group, port=config.radio.port, interface=config.radio.interface)
        stack.callback(radio.close)
        perform = Performer(clock=clock, radio=radio, pcap=pcap, notices=_notice_stream(config, stack), log=log)
        loop = WorkingLoop(agent, clock=clock, perform=perform, watchdog=service.watchdog)
        stack.push_async_callback(_say_goodbye, agent, clock, perform)
        await stack.enter_async_context(StatusSocket(config.state.status_socket, lambda: agent.status(clock.now())))
        service.tasks.create_task(_read_radio(radio, agent, loop))
        service.notifier.ready(f"station {config.station.station_id}")
        log.info("ready", station_id=config.station.station_id, radio=f"{config.radio.group}:{config.radio.port}")
        await loop.run()


class Performer:
    """Carries out effects: packets go to the radio and the capture, notices become JSON lines.

    Args:
        clock: stamps notices and captured packets.
        radio: where packets go.
        pcap: the capture, or None.
        notices: an open stream.
        log: told once when a medium fails and once when it is back.
    """

    def __init__(self, *, clock: Clock, radio: Radio, pcap: PcapWriter | None, notices: TextIO, log: FilteringBoundLogger) -> None:
        self._clock = clock
        self._radio = radio
        self._pcap = pcap
        self._notices = notices
        self._radio_state = Availability(log, "radio")
        self._pcap_state = Availability(log, "pcap")
        self._notices_state = Availability(log, "notices")

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
                self._write(effect, now)

    def _capture(self, packet: bytes, now: Instant) -> None:
        if self._pcap is None or now.utc is None:
            return
        try:
            self._pcap.write(packet, utc=now.utc)
            self._pcap_state.works()
        except StorageError as failure:
            self._pcap_state.lost(str(failure))

    def _write(self, notice: Notice, now: Instant) -> None:
        utc = None if now.utc is None else utc_text(now.utc)
        try:
            self._notices.write(json.dumps({"kind": notice.kind, "utc": utc, **notice.fields}) + "\n")
            self._notices.flush()
            self._notices_state.works()
        except (OSError, ValueError) as failure:
            self._notices_state.lost(str(failure))


def _notice_stream(config: RsuConfig, stack: AsyncExitStack) -> TextIO:
    notices = config.state.notices
    if notices is None or notices.name == "-":
        return sys.stdout
    try:
        return stack.enter_context(notices.open("a", encoding="utf-8"))
    except OSError as failure:
        raise ConfigError("state.notices", f"{notices} cannot be written: {failure.strerror}") from failure


async def _read_radio(radio: Radio, agent: RsuAgent, loop: WorkingLoop) -> None:
    while True:
        heard = await radio.receive()
        await loop.post(partial(agent.on_packet, heard.packet))


async def _say_goodbye(agent: RsuAgent, clock: Clock, perform: Performer) -> None:
    """Cancel the hazards before the radio is closed."""
    for effect in agent.stop(clock.now()):
        await perform(effect)
