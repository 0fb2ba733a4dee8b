"""An operator knows that what others warn of is not there: the unit says so, and what becomes of that at others."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from rsu_agent.agent import RsuAgent
from rsu_agent.cli import app
from rsu_agent.composition import RsuParts, make_agent
from rsu_agent.orders import obeying, read_order
from shared.core.clock import NS_PER_S, Instant, ManualClock, MonotonicNs
from shared.core.errors import ConfigError, TransportError, UntrustedTimeError
from shared.core.ids import ActionId, StationId
from shared.facilities.event_report import NoSuchEventError
from shared.facilities.received_events import ReceivedEvents
from shared.messages.denm import Denm, Termination
from shared.network.area import Circle
from shared.pki.permission_sets import StationRole
from shared.service.command_socket import CommandSocket, give_order
from shared.service.notify import Notifier, Watchdog
from shared.service.run import WorkingLoop
from shared.stack.effects import Effect, Notice, Transmit
from shared.stack.inbound import Inbound
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import HERE, denm_of, ego, make_peer
from tests.helpers.pools import pool_of

HIERARCHY = Hierarchy(1)
AREA = Circle(centre=HERE, radius_m=500.0)
INTERVAL_MS = 500
UNITS = (StationId(4049), StationId(4050))


def unit(number: int = 0) -> RsuAgent:
    ticket = HIERARCHY.ticket(StationRole.RSU)
    parts = RsuParts(
        station_id=UNITS[number],
        position=HERE,
        ticket=ticket,
        trust_store=HIERARCHY.trust_store,
        tickets=pool_of(ticket),
        junction=None,
        hazards=(),
    )
    return make_agent(parts, entropy=Random(number).randbytes)


def said(agent: RsuAgent, clock: ManualClock, seconds: float) -> Iterator[tuple[Instant, Effect]]:
    """Call the unit when it asks to be called."""
    end = clock.now().monotonic + round(seconds * NS_PER_S)
    while max(agent.next_due(), clock.now().monotonic) <= end:
        now = clock.advance_to(MonotonicNs(max(agent.next_due(), clock.now().monotonic)))
        for effect in agent.on_timer(now):
            yield now, effect
    clock.advance_to(MonotonicNs(end))


def warned(*agents: RsuAgent, clock: ManualClock) -> tuple[ActionId, bytes]:
    """Let a car warn the units of something; return which event it is, and the packet."""
    car, now = make_peer(HIERARCHY, 9), clock.now()
    denm = replace(denm_of(car, now), transmission_interval_ms=INTERVAL_MS)
    packet = car.send(denm, position=ego(now), now=now, area=AREA)
    for agent in agents:
        agent.on_timer(now)
        agent.on_packet(packet, now)
    return denm.action_id, packet


def hear(listener: Inbound, events: ReceivedEvents, packet: bytes, now: Instant) -> Denm | None:
    indication = listener.receive(packet, now)
    denm = None if indication is None else indication.of(Denm)
    if denm is None:
        return None
    events.hear(denm, now)
    return denm.message


def test_what_one_unit_denies_is_disputed_and_what_two_deny_is_gone() -> None:
    clock, listener, events = clock_at(), Inbound(make_peer(HIERARCHY, 10)), ReceivedEvents()
    units = unit(0), unit(1)
    action_id, packet = warned(*units, clock=clock)
    assert hear(listener, events, packet, clock.now()) is not None
    disputes = []
    for number, each in enumerate(units):
        (notice,) = each.negate(action_id, clock.now())
        assert notice == Notice(
            "hazard_denied", {"station_id": action_id.originating_station_id, "sequence_number": action_id.sequence_number}
        )
        sent = [(at, effect.packet) for at, effect in said(each, clock, 1.2) if isinstance(effect, Transmit)]
        heard = [hear(listener, events, packet, at) for at, packet in sent]
        denials = [denm for denm in heard if denm is not None]
        assert {(denm.termination, denm.action_id, denm.station_id) for denm in denials} == {
            (Termination.IS_NEGATION, action_id, UNITS[number])
        }
        assert len(denials) >= 2
        disputes.append([event.is_disputed for event in events])
    assert disputes == [[True], []]


def test_a_unit_that_denies_an_event_passes_it_on_no_more() -> None:
    for denies in (False, True):
        clock, agent = clock_at(), unit()
        action_id, packet = warned(agent, clock=clock)
        list(said(agent, clock, 0.5))
        if denies:
            agent.negate(action_id, clock.now())
        passed_on = [
            effect for _, effect in said(agent, clock, 10) if isinstance(effect, Transmit) and effect.packet[4:] == packet[4:]
        ]
        assert bool(passed_on) is not denies


def test_the_status_shows_what_can_be_denied_until_it_is() -> None:
    clock, agent = clock_at(), unit()
    action_id, _ = warned(agent, clock=clock)
    (event,) = json.loads(json.dumps(agent.status(clock.now())["events"]))
    assert (event["station_id"], event["sequence_number"]) == (action_id.originating_station_id, action_id.sequence_number)
    assert (event["cause_code"], event["distance_m"], event["expires_s"], event["disputed"]) == (94, 0.0, 600.0, False)
    agent.negate(action_id, clock.now())
    assert agent.status(clock.now())["events"] == []


def test_only_what_was_heard_and_lasts_is_denied_and_only_when_the_time_is_known() -> None:
    clock, agent = clock_at(), unit()
    action_id, _ = warned(agent, clock=clock)
    with pytest.raises(NoSuchEventError):
        agent.negate(ActionId(action_id.originating_station_id, action_id.sequence_number + 1), clock.now())
    with pytest.raises(UntrustedTimeError):
        agent.negate(action_id, Instant(clock.now().monotonic, None))
    agent.negate(action_id, clock.now())
    with pytest.raises(NoSuchEventError):
        agent.negate(action_id, clock.now())


def test_an_order_reaches_the_unit_and_its_answer_the_operator(tmp_path: Path) -> None:
    clock, agent = clock_at(), unit()
    action_id, _ = warned(agent, clock=clock)
    performed: list[Effect] = []
    config = tmp_path / "rsu.toml"
    config.write_text(
        """
        station = { station_id = 4049, lat_deg = 48.137, lon_deg = 11.575 }
        identity = { ticket = "ticket", trust = "trust" }
        time = { source = "synchronised" }
        state = { status_socket = "status.sock", command_socket = "orders.sock" }
        """
    )
    numbers = [str(action_id.originating_station_id), str(action_id.sequence_number)]

    async def perform(effect: Effect) -> None:
        performed.append(effect)

    async def scene() -> None:
        loop = WorkingLoop(agent, clock=clock, perform=perform, watchdog=Watchdog(Notifier(None), None))
        working = asyncio.create_task(loop.run())
        async with asyncio.timeout(20), CommandSocket(tmp_path / "orders.sock", obeying(agent, loop)):
            ordered = await asyncio.to_thread(CliRunner().invoke, app, ["negate", *numbers, "-c", str(config)])
            assert ordered.exit_code == 0, ordered.output
            assert ordered.output == f"event {numbers[1]} of station {numbers[0]} is denied\n"
            again = await asyncio.to_thread(CliRunner().invoke, app, ["negate", *numbers, "-c", str(config)])
            assert isinstance(again.exception, TransportError)
            assert f"event {numbers[1]} of station {numbers[0]} is not live" in str(again.exception)
            with pytest.raises(TransportError, match="order"):
                await asyncio.to_thread(give_order, tmp_path / "orders.sock", {"order": "explode"})
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working

    asyncio.run(scene())
    assert [each.kind for each in performed if isinstance(each, Notice)] == ["hazard_denied"]


def test_without_a_place_for_orders_the_command_says_what_to_configure(tmp_path: Path) -> None:
    config = tmp_path / "rsu.toml"
    config.write_text(
        """
        station = { station_id = 4049, lat_deg = 48.137, lon_deg = 11.575 }
        identity = { ticket = "ticket", trust = "trust" }
        time = { source = "synchronised" }
        state = { status_socket = "status.sock" }
        """
    )
    result = CliRunner().invoke(app, ["negate", "1", "2", "-c", str(config)])
    assert isinstance(result.exception, ConfigError)
    assert "state.command_socket" in str(result.exception)


@pytest.mark.parametrize(
    "order",
    [
        {},
        {"order": "explode"},
        {"order": "negate", "station_id": 1},
        {"order": "negate", "station_id": "1", "sequence_number": 2},
        {"order": "negate", "station_id": 1, "sequence_number": 2, "now": True},
    ],
)
def test_what_is_no_order_is_refused(order: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="order"):
        read_order(order)
