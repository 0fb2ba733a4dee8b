"""The asyncio shell of the vehicle agent: bus, radio, time and status around the sans-IO object.

One task reads the bus and posts steps to the working loop, one lets the radios' packets wait in its intake; the loop alone gives
the agent its inputs, carries out its effects and feeds the watchdog. One keeps lists and tickets fresh and hands the agent the
news between two steps. Further threads check signatures and know nothing else. A radio or a capture that fails is told
once and used again when it works; a bus that fails is opened again by `CanBus`. Nothing is decided here.
"""

import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING

from structlog.typing import FilteringBoundLogger

from shared.core.clock import Clock, TimeSource
from shared.core.errors import StorageError
from shared.core.geo import GeoPoint
from shared.core.itstime import utc_text
from shared.messages.cdd import DriveDirection
from shared.service.capture import Capture, capture_of
from shared.service.command_socket import CommandSocket
from shared.service.evidence import EvidenceFolder
from shared.service.last_words import say_goodbye
from shared.service.log import Availability
from shared.service.notices import NoticeWriter, open_notices
from shared.service.open_radios import attend, open_radios, place_of, unshared_links
from shared.service.open_upkeep import open_upkeep
from shared.service.performer import Performer
from shared.service.radio_intake import feed_intake
from shared.service.run import Service, WorkingLoop, settle_heap
from shared.service.spool import Spool
from shared.service.status_socket import StatusSocket
from shared.service.system_clock import SystemClock, start_id
from shared.service.upkeep import Upkeep
from shared.service.verification_pool import VerificationPool
from shared.stack.intake import Intake
from shared.transport.can_bus import CanBus, CanBusConfig
from shared.transport.ledger_http import LedgerHttp
from shared.transport.radio_set import RadioSet
from vehicle_agent.agent import VehicleAgent
from vehicle_agent.bus_status import bus_status, warn_of_small_buffer
from vehicle_agent.composition import make_agent, open_vehicle
from vehicle_agent.config import CanConfig, VehicleConfig
from vehicle_agent.driver_outputs import DriverOutputs, open_driver_outputs
from vehicle_agent.gnss.bus_position import receiver_fields
from vehicle_agent.holder import make_desks
from vehicle_agent.inspection_orders import InspectionDesk, given_answers, obeying_inspector
from vehicle_agent.ledger_orders import obeying_ledger
from vehicle_agent.ledger_parts import open_courier
from vehicle_agent.online_anchoring import Errands
from vehicle_agent.orders import MAX_ORDER_OCTETS, PATIENCE_S, obeying
from vehicle_agent.position_config import ReceiverPosition
from vehicle_agent.request_sender import RequestSender
from vehicle_agent.signals.car_maps import filters_of
from vehicle_agent.vehicle_state import fresh

if TYPE_CHECKING:
    from vehicle_agent.gnss.receiver import GnssReceiver


async def serve(config: VehicleConfig, path: Path, service: Service, log: FilteringBoundLogger) -> None:
    """Run the agent of one vehicle until cancelled; then record the last reading before the files are closed.

    Args:
        config: the configuration.
        path: its file.
        service: tasks, notifier and watchdog of the process.
        log: for changes of state.

    Raises:
        ConfigError: the configuration cannot be used.
        StorageError: a file of the agent is damaged.
        TransportError: a radio cannot be opened.
    """
    clock = SystemClock(TimeSource(config.time.source))
    if config.time.source == TimeSource.ASSUME_TRUSTED.value:
        log.warning("the system clock is trusted unseen: for labs and simulation only")
    async with AsyncExitStack() as stack:
        opened = stack.enter_context(open_vehicle(config, base=path.parent, environment=os.environ, now=clock.now()))
        notices = stack.enter_context(open_notices(config.state.notices))
        capture = stack.enter_context(capture_of(config.capture, log))
        radios = open_radios(config.radio, clock=clock, log=log)
        stack.callback(radios.close)
        driver = await stack.enter_async_context(open_driver_outputs(config.driver, clock=clock, log=log))
        notices.follow(driver.tell)
        filters = filters_of(opened.parts.signal_map, [name for name, _ in config.buses], config.requests)
        buses = {name: CanBus(_bus_config(bus), clock=clock, filters=filters[name]) for name, bus in config.buses}
        start = start_id(os.fsencode(config.state.spool.resolve()))
        parts = replace(opened.parts, start_id=start, channels={name: bus.channel for name, bus in config.buses})
        agent = make_agent(parts, entropy=os.urandom, started=clock.now())
        agent.router.set_links(radios.names, unshared=unshared_links(config.radio))
        if opened.problem is not None:
            log.warning("hazards of before the restart are not known", reason=str(opened.problem))
        if opened.parts.remembered.problem is not None:
            log.warning("what was known of the vehicle is learnt anew", reason=str(opened.parts.remembered.problem))
        if opened.successor is not None:
            agent.renew_credential(opened.successor.credential, opened.successor.authority)
        evidence = None if config.trust is None else EvidenceFolder(config.trust.evidence)
        perform = Performer(
            clock=clock,
            radios=radios,
            capture=capture,
            source_mac=lambda: agent.identity.address.mac,
            notices=notices,
            evidence=evidence,
            show=driver.show,
        )
        to_units = RequestSender(buses, log)
        perform.follow(to_units.take)
        checker = stack.enter_context(VerificationPool(threads=config.verification.threads_here()))
        intake = Intake(listener=agent, checker=checker, lot=SystemRandom())
        loop = WorkingLoop(agent, clock=clock, perform=perform, watchdog=service.watchdog, intake=intake)
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
        log_http = None
        if isinstance(opened.parts.ledger, Errands):
            going = open_courier(
                config.ledger,
                opened.parts.ledger,
                environment=os.environ,
                clock=clock,
                on_answers=partial(loop.post, agent.on_ledger_answers),
            )
            log_http, courier = await stack.enter_async_context(going)
            service.run_within(stack, courier.run())
        gnss = None
        if isinstance(config.position, ReceiverPosition):
            fields = receiver_fields(opened.parts.signal_map)
            gnss = _receiver(config.position, fields, agent=agent, loop=loop, clock=clock, log=log)
        snapshot = partial(
            _status,
            *(agent, buses, radios, capture, driver, intake, notices, upkeep, evidence, log_http),
            gnss=gnss,
            to_units=to_units,
            spool=opened.parts.spool,
            config=config,
            clock=clock,
        )
        await stack.enter_async_context(StatusSocket(config.state.status_socket, snapshot))
        if config.state.command_socket is not None:
            desks = make_desks(opened.parts.spool, config.state.spool, agent.recorder, lambda: agent.trust_store)
            inspection = InspectionDesk(agent, partial(given_answers, opened.parts.spool))
            inspecting = obeying_inspector(inspection, loop, otherwise=obeying(desks, loop))
            obey = obeying_ledger(agent, loop, otherwise=inspecting)
            orders = CommandSocket(config.state.command_socket, obey, patience_s=PATIENCE_S, max_order_octets=MAX_ORDER_OCTETS)
            await stack.enter_async_context(orders)
        if gnss is not None:
            service.run_within(stack, gnss.run())
        for bus in buses.values():
            service.run_within(stack, _read_bus(bus, agent, loop, log))
        service.run_within(stack, feed_intake(radios, intake, loop, capture=capture))
        service.run_within(stack, attend(radios, partial(_position, agent, clock)))
        service.notifier.ready(f"station {agent.status()['station_id']}")
        log.info("ready", buses=", ".join(bus.endpoint for bus in buses.values()), radios=place_of(config.radio))
        settle_heap()
        await loop.run()


def _bus_config(bus: CanConfig) -> CanBusConfig:
    return CanBusConfig(interface=bus.interface, channel=bus.channel, options=dict(bus.options))


def _status(
    agent: VehicleAgent,
    buses: Mapping[str, CanBus],
    radios: RadioSet,
    capture: Capture | None,
    driver: DriverOutputs,
    intake: Intake,
    notices: NoticeWriter,
    upkeep: Upkeep | None,
    evidence: EvidenceFolder | None,
    log_http: LedgerHttp | None,
    *,
    gnss: "GnssReceiver | None",
    to_units: RequestSender,
    spool: Spool,
    config: VehicleConfig,
    clock: Clock,
) -> dict[str, object]:
    now = clock.now()
    return {
        **agent.status(),
        **agent.situation(now),
        "time": {"source": config.time.source, "utc": None if now.utc is None else utc_text(now.utc)},
        "shed": dict(intake.shed),
        "notices_unwritten": notices.unwritten,
        "upkeep": None if upkeep is None else upkeep.status(),
        "evidence": None if evidence is None else evidence.status(),
        "spool": _spool_status(spool),
        "ledger_places": None if log_http is None else log_http.status(),
        "buses": {name: bus_status(bus) for name, bus in buses.items()},
        "requests_carried_out": to_units.status(),
        "gnss": None if gnss is None else gnss.status(),
        "radios": radios.status(),
        "capture": None if capture is None else capture.status(),
        "driver": driver.status(),
    }


def _spool_status(spool: Spool) -> dict[str, object] | None:
    """How full it is; None while it cannot be read."""
    try:
        return spool.use().json()
    except StorageError:
        return None


def _receiver(
    position: ReceiverPosition,
    fields: frozenset[str],
    *,
    agent: VehicleAgent,
    loop: WorkingLoop,
    clock: SystemClock,
    log: FilteringBoundLogger,
) -> "GnssReceiver":
    from vehicle_agent.gnss.receiver import GnssReceiver  # noqa: PLC0415 - for vehicles that have one beside their bus

    return GnssReceiver(
        position,
        fields=fields,
        clock=clock,
        log=log,
        hand_on=lambda updates: loop.post(partial(agent.on_signals, updates)),
        set_date=clock.give_fix,
        is_reversing=partial(_is_reversing, agent, clock),
    )


def _is_reversing(agent: VehicleAgent, clock: Clock) -> bool:
    return fresh(agent.state.drive_direction, clock.now().monotonic) is DriveDirection.BACKWARD


def _position(agent: VehicleAgent, clock: Clock) -> GeoPoint | None:
    return fresh(agent.state.position, clock.now().monotonic)


async def _read_bus(bus: CanBus, agent: VehicleAgent, loop: WorkingLoop, log: FilteringBoundLogger) -> None:
    has_opened = False
    async for batch in bus.batches(Availability(log, bus.endpoint)):
        if not has_opened:
            has_opened = True
            warn_of_small_buffer(bus, log)
        await loop.post(partial(agent.on_can_frames, batch))
