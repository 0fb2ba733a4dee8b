"""The asyncio shell of the roadside unit: radio, time and status around the sans-IO object.

One task lets the radio's packets wait in the intake of the working loop, which alone gives the agent its inputs, carries out its
effects and feeds the watchdog; one keeps lists and tickets fresh and hands the agent the news between two steps; further threads
check signatures and know nothing else. A radio or capture that fails is told once and tried again with the next packet. Nothing is
decided here.
"""

import os
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from random import SystemRandom

from structlog.typing import FilteringBoundLogger

from rsu_agent.agent import RsuAgent
from rsu_agent.composition import make_agent, open_unit
from rsu_agent.config import RsuConfig
from shared.core.clock import Clock
from shared.service.evidence import EvidenceFolder
from shared.service.notices import open_notices
from shared.service.open_upkeep import open_upkeep
from shared.service.performer import Performer
from shared.service.radio_intake import feed_intake
from shared.service.run import Service, WorkingLoop
from shared.service.status_socket import StatusSocket
from shared.service.upkeep import Upkeep
from shared.service.verification_pool import VerificationPool
from shared.stack.intake import Intake
from shared.transport.pcap import PcapWriter
from shared.transport.udp_radio import UdpRadio

MAX_PCAP_OCTETS = 1 << 30
"""A capture stops growing here; that is some four days of a junction with one hazard."""


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
        opened = stack.enter_context(open_unit(config, path, environment=os.environ, now=clock.now()))
        agent = make_agent(opened.parts, entropy=os.urandom)
        pcap = None
        if config.radio.pcap is not None:
            pcap = stack.enter_context(PcapWriter(config.radio.pcap, max_octets=MAX_PCAP_OCTETS))
        radio = UdpRadio.open(clock=clock, group=config.radio.group, port=config.radio.port, interface=config.radio.interface)
        stack.callback(radio.close)
        notices = stack.enter_context(open_notices(config.state.notices))
        evidence = None if config.trust is None else EvidenceFolder(config.trust.evidence)
        perform = Performer(
            clock=clock,
            radio=radio,
            pcap=pcap,
            source_mac=lambda: agent.identity.address.mac,
            notices=notices,
            evidence=evidence,
            log=log,
        )
        checker = stack.enter_context(VerificationPool(threads=config.verification.threads_here()))
        intake = Intake(listener=agent, checker=checker, lot=SystemRandom())
        loop = WorkingLoop(agent, clock=clock, perform=perform, watchdog=service.watchdog, intake=intake)
        stack.push_async_callback(_say_goodbye, agent, clock, perform)
        upkeep = None
        if opened.trust is not None and evidence is not None:
            putting_up = open_upkeep(
                opened.trust,
                opened.identity,
                tickets=opened.parts.tickets,
                agent=agent,
                notices=notices,
                evidence=evidence,
                log=log,
                clock=clock,
            )
            upkeep = await stack.enter_async_context(putting_up)
            service.tasks.create_task(upkeep.run())
        snapshot = partial(_status, agent, intake, upkeep, evidence, config, clock)
        await stack.enter_async_context(StatusSocket(config.state.status_socket, snapshot))
        service.tasks.create_task(feed_intake(radio, intake, loop))
        service.notifier.ready(f"station {config.station.station_id}")
        log.info("ready", station_id=config.station.station_id, radio=f"{config.radio.group}:{config.radio.port}")
        await loop.run()


def _status(
    agent: RsuAgent, intake: Intake, upkeep: Upkeep | None, evidence: EvidenceFolder | None, config: RsuConfig, clock: Clock
) -> dict[str, object]:
    return {
        **agent.status(clock.now()),
        "shed": dict(intake.shed),
        "upkeep": None if upkeep is None else upkeep.status(),
        "evidence": None if evidence is None else evidence.status(),
        "time_source": config.time.source,
    }


async def _say_goodbye(agent: RsuAgent, clock: Clock, perform: Performer) -> None:
    """Cancel the hazards before the radio is closed."""
    for effect in agent.stop(clock.now()):
        await perform(effect)
