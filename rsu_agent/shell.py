"""The asyncio shell of the roadside unit: radios, time and status around the sans-IO object.

One task lets the radios' packets wait in the intake of the working loop, which alone gives the agent its inputs, carries out its
effects and feeds the watchdog; one keeps lists and tickets fresh and hands the agent the news between two steps; further threads
check signatures and know nothing else. A radio or capture that fails is told once and used again when it works. Nothing is decided
here.
"""

import os
from contextlib import AsyncExitStack
from pathlib import Path
from random import SystemRandom

from structlog.typing import FilteringBoundLogger

from rsu_agent.composition import make_agent, open_unit
from rsu_agent.config import RsuConfig
from rsu_agent.console.open_console import open_console
from rsu_agent.evidence_open import opened_evidence
from rsu_agent.hazard_feeds import hazard_feeds
from rsu_agent.ledger_relay import open_relay
from rsu_agent.metrics import open_metrics
from rsu_agent.orders import obeying
from rsu_agent.signal_controllers.feeds import open_feed
from rsu_agent.unit_status import UnitStatus
from rsu_agent.witness import opened_witness
from shared.core.clock import Clock
from shared.service.capture import capture_of
from shared.service.command_socket import CommandSocket
from shared.service.evidence import EvidenceFolder
from shared.service.last_words import say_goodbye
from shared.service.notices import open_notices
from shared.service.open_radios import attend, open_radios, place_of, unshared_links
from shared.service.open_upkeep import open_upkeep
from shared.service.performer import Performer
from shared.service.radio_intake import feed_intake
from shared.service.run import Service, WorkingLoop, settle_heap
from shared.service.status_socket import StatusSocket
from shared.service.verification_pool import VerificationPool
from shared.stack.intake import Intake


async def serve(config: RsuConfig, path: Path, service: Service, *, clock: Clock, log: FilteringBoundLogger) -> None:
    """Run one roadside unit until cancelled; then cancel its hazards, and say so again and again for a moment.

    Args:
        config: the configuration.
        path: its file, for the errors.
        service: tasks, notifier and watchdog of the process.
        clock: the unit's clock.
        log: for changes of state.

    Raises:
        ConfigError: the configuration cannot be used.
        TransportError: a radio or a socket of its own cannot be opened.
    """
    async with AsyncExitStack() as stack:
        opened = stack.enter_context(open_unit(config, path, environment=os.environ, now=clock.now()))
        agent = make_agent(opened.parts, entropy=os.urandom)
        capture = stack.enter_context(capture_of(config.capture, log))
        radios = open_radios(config.radio, clock=clock, log=log)
        stack.callback(radios.close)
        agent.router.set_links(radios.names, unshared=unshared_links(config.radio))
        if opened.problem is not None:
            log.warning("hazards of before the restart are not known", reason=str(opened.problem))
        notices = stack.enter_context(open_notices(config.state.notices))
        evidence = None if config.evidence_folder is None else EvidenceFolder(config.evidence_folder)
        keeper = await stack.enter_async_context(
            opened_evidence(config, agent=agent, clock=clock, notices=notices, environment=os.environ)
        )
        perform = Performer(
            clock=clock,
            radios=radios,
            capture=capture,
            source_mac=lambda: agent.identity.address.mac,
            notices=notices,
            evidence=evidence,
        )
        if keeper is not None:
            perform.follow(keeper.performed)
        checker = stack.enter_context(VerificationPool(threads=config.verification.threads_here()))
        intake = Intake(listener=agent, checker=checker, lot=SystemRandom())
        if keeper is not None:
            keeper.desk.count_unseen(lambda: intake.shed)
        loop = WorkingLoop(agent, clock=clock, perform=perform, watchdog=service.watchdog, intake=intake)
        if keeper is not None:
            service.run_within(stack, keeper.run())
        if opened.parts.junction is not None and opened.parts.junction.place is not None and agent.signals is not None:
            place, signals = opened.parts.junction.place, agent.signals
            listening = open_feed(place, signals, clock=clock, wake=loop.wake, entropy=os.urandom, environment=os.environ)
            service.run_within(stack, (await stack.enter_async_context(listening)).run())
        stack.push_async_callback(say_goodbye, agent, radios, clock=clock, perform=perform)
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
            service.run_within(stack, upkeep.run())
        relay = None
        if config.ledger_relay is not None:
            opening = open_relay(config.ledger_relay, environment=os.environ, clock=clock)
            relay = await stack.enter_async_context(opening)
            service.run_within(stack, relay.run())
            log.info("relaying a log", address=relay.url)
        witness = None
        if config.witness is not None:
            witness = await stack.enter_async_context(opened_witness(config.witness, clock=clock, log=log))
        status = UnitStatus(agent, intake, clock=clock, time_source=config.time.source)
        status.add("radios", radios)
        status.add("capture", capture)
        status.add("upkeep", upkeep)
        status.add("evidence", evidence)
        status.add("evidence_store", keeper)
        status.add("ledger_relay", relay)
        status.add("witness", witness)
        for feed in hazard_feeds(config, opened.parts, agent, loop, clock=clock, log=log, environment=os.environ):
            status.add(feed.name, feed)
            service.run_within(stack, feed.run())
        if config.http is not None:
            opening_console = open_console(
                config.http,
                agent,
                None if opened.parts.junction is None else opened.parts.junction.lanes,
                position=config.station.position,
                status=status.whole,
                brief=status.brief,
                obey=obeying(agent, loop, signs=config.signs),
                clock=clock,
                log=log,
            )
            console = stack.enter_context(opening_console)
            service.run_within(stack, console.run())
            log.info("console", address=console.http.url)
            status.add("http", console)
        await stack.enter_async_context(StatusSocket(config.state.status_socket, status.in_rows))
        if config.metrics is not None:
            metrics = await stack.enter_async_context(open_metrics(config.metrics, status.brief))
            service.run_within(stack, metrics.run())
            log.info("metrics", address=f"{metrics.url}/metrics")
        if config.state.command_socket is not None:
            await stack.enter_async_context(CommandSocket(config.state.command_socket, obeying(agent, loop, signs=config.signs)))
        service.run_within(stack, feed_intake(radios, intake, loop, capture=capture))
        service.run_within(stack, attend(radios, lambda: config.station.position))
        service.notifier.ready(f"station {config.station.station_id}")
        log.info("ready", station_id=config.station.station_id, radios=place_of(config.radio))
        settle_heap()
        await loop.run()
