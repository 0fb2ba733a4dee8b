"""The asyncio shell of the roadside unit: radios, time and status around the sans-IO object.

One task lets the radios' packets wait in the intake of the working loop, which alone gives the agent its inputs, carries out its
effects and feeds the watchdog; one keeps lists and tickets fresh and hands the agent the news between two steps; further threads
check signatures and know nothing else. A radio or capture that fails is told once and used again when it works. Nothing is decided
here.
"""

import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from random import SystemRandom

from structlog.typing import FilteringBoundLogger

from rsu_agent.agent import RsuAgent
from rsu_agent.composition import make_agent, open_unit
from rsu_agent.config import RsuConfig
from rsu_agent.console.open_console import OpenConsole, open_console
from rsu_agent.evidence_keeper import EvidenceKeeper
from rsu_agent.evidence_open import opened_evidence
from rsu_agent.hazard_feeds import HazardFeed, hazard_feeds
from rsu_agent.ledger_relay import OpenRelay, open_relay
from rsu_agent.metrics import open_metrics
from rsu_agent.orders import obeying
from rsu_agent.signal_controllers.feeds import open_feed
from rsu_agent.witness import RsuWitness, opened_witness
from shared.core.clock import Clock
from shared.service.capture import Capture, capture_of
from shared.service.command_socket import CommandSocket
from shared.service.evidence import EvidenceFolder
from shared.service.last_words import say_goodbye
from shared.service.notices import open_notices
from shared.service.open_radios import attend, open_radios, place_of, unshared_links
from shared.service.open_upkeep import open_upkeep
from shared.service.performer import Performer
from shared.service.radio_intake import feed_intake
from shared.service.run import Perform, Service, WorkingLoop, settle_heap
from shared.service.status_socket import StatusSocket
from shared.service.upkeep import Upkeep
from shared.service.verification_pool import VerificationPool
from shared.stack.intake import Intake
from shared.transport.radio_set import RadioSet


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
        perform: Perform = Performer(
            clock=clock,
            radios=radios,
            capture=capture,
            source_mac=lambda: agent.identity.address.mac,
            notices=notices,
            evidence=evidence,
        )
        if keeper is not None:
            perform = keeper.watching(perform)
        checker = stack.enter_context(VerificationPool(threads=config.verification.threads_here()))
        intake = Intake(listener=agent, checker=checker, lot=SystemRandom())
        loop = WorkingLoop(agent, clock=clock, perform=perform, watchdog=service.watchdog, intake=intake)
        if keeper is not None:
            service.tasks.create_task(keeper.run())
        if opened.parts.junction is not None and opened.parts.junction.place is not None and agent.signals is not None:
            place, signals = opened.parts.junction.place, agent.signals
            listening = open_feed(place, signals, clock=clock, wake=loop.wake, entropy=os.urandom, environment=os.environ)
            service.tasks.create_task((await stack.enter_async_context(listening)).run())
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
            service.tasks.create_task(upkeep.run())
        relay = None
        if config.ledger_relay is not None:
            opening = open_relay(config.ledger_relay, environment=os.environ, clock=clock)
            relay = await stack.enter_async_context(opening)
            service.tasks.create_task(relay.run())
            log.info("relaying a log", address=relay.url)
        witness = None
        if config.witness is not None:
            witness = await stack.enter_async_context(opened_witness(config.witness, clock=clock, log=log))
        snapshot = partial(_status, agent, radios, capture, intake, upkeep, evidence, keeper, relay, witness, config, clock)
        feeds = hazard_feeds(config, opened.parts, agent, loop, clock=clock, log=log, environment=os.environ)
        for feed in feeds:
            service.tasks.create_task(feed.run())
        brief = partial(_with_feeds, partial(snapshot, brief=True), feeds)
        snapshot = partial(_with_feeds, snapshot, feeds)
        if config.http is not None:
            opening_console = open_console(
                config.http,
                agent,
                None if opened.parts.junction is None else opened.parts.junction.lanes,
                position=config.station.position,
                status=snapshot,
                brief=brief,
                obey=obeying(agent, loop, signs=config.signs),
                clock=clock,
                log=log,
            )
            console = stack.enter_context(opening_console)
            service.tasks.create_task(console.run())
            log.info("console", address=console.http.url)
            snapshot, brief = partial(_with_console, snapshot, console), partial(_with_console, brief, console)
        await stack.enter_async_context(StatusSocket(config.state.status_socket, snapshot))
        if config.metrics is not None:
            metrics = await stack.enter_async_context(open_metrics(config.metrics, brief))
            service.tasks.create_task(metrics.run())
            log.info("metrics", address=f"{metrics.url}/metrics")
        if config.state.command_socket is not None:
            await stack.enter_async_context(CommandSocket(config.state.command_socket, obeying(agent, loop, signs=config.signs)))
        service.tasks.create_task(feed_intake(radios, intake, loop, capture=capture))
        service.tasks.create_task(attend(radios, lambda: config.station.position))
        service.notifier.ready(f"station {config.station.station_id}")
        log.info("ready", station_id=config.station.station_id, radios=place_of(config.radio))
        settle_heap()
        await loop.run()


def _with_feeds(status: Callable[[], dict[str, object]], feeds: tuple[HazardFeed, ...]) -> dict[str, object]:
    return {**status(), **{feed.name: feed.status() for feed in feeds}}


def _with_console(status: Callable[[], dict[str, object]], console: OpenConsole) -> dict[str, object]:
    return {**status(), "http": console.status()}


def _status(
    agent: RsuAgent,
    radios: RadioSet,
    capture: Capture | None,
    intake: Intake,
    upkeep: Upkeep | None,
    evidence: EvidenceFolder | None,
    keeper: EvidenceKeeper | None,
    relay: OpenRelay | None,
    witness: RsuWitness | None,
    config: RsuConfig,
    clock: Clock,
    *,
    brief: bool = False,
) -> dict[str, object]:
    return {
        **agent.status(clock.now(), brief=brief),
        "shed": dict(intake.shed),
        "upkeep": None if upkeep is None else upkeep.status(),
        "evidence": None if evidence is None else evidence.status(),
        "evidence_store": None if keeper is None else keeper.status(),
        "ledger_relay": None if relay is None else relay.status(),
        "witness": None if witness is None else witness.status(),
        "time_source": config.time.source,
        "radios": radios.status(),
        "capture": None if capture is None else capture.status(),
    }
