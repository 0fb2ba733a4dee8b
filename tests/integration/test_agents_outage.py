"""Two cars and a roadside unit whose only radio is a broker. It is killed for thirty seconds in mid-drive, and meanwhile the first
car breaks down.

The agents are processes, their way to the broker is TLS with client certificates, the cars are driven on real buses. When the
broker is back, the second driver is told of the car ahead, once; nothing that was still valid is missing, nothing that was not is
delivered, and every sender's order holds. In the end the unit leaves, and takes back what it said.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs, TimeSource, UtcNs
from shared.core.ids import ItsAid
from shared.core.itstime import time64_of
from shared.messages.cdd import CauseCode
from shared.network.headers import BASIC_HEADER_OCTETS
from shared.security.peek import Claims, peek_claims
from shared.service.system_clock import SystemClock
from shared.transport.packet_outline import outline_of
from shared.transport.packet_validity import FUTURE_TOLERANCE_MS, useful_ns
from shared.transport.pcap import CapturedPacket
from simulator.ecu import Body
from tests.helpers.broker import PERSISTENT, MosquittoBroker, TlsAuthority
from tests.helpers.multicast import ANY_INTERFACE, require_multicast
from tests.helpers.road import RoadCar
from tests.helpers.road_agents import CAN_GROUP, Agent, RoadScene, captured_by, until
from tests.helpers.tshark import complaints

AWAY_S = 30.0
SPEED_MPS = 8.0
BEHIND_M = 420.0
CAM_LIFE_NS = 1_000 * NS_PER_MS
SLACK_NS = NS_PER_S
"""How long a packet may take through three busy processes."""

CLOCK = SystemClock(TimeSource.ASSUME_TRUSTED)
BROKEN_DOWN, ROADWORKS = CauseCode.STATIONARY_VEHICLE, CauseCode.ROADWORKS
HAZARD = """
[[hazard]]
cause = "roadworks"
lat_deg = 48.137
lon_deg = 11.586
relevance_distance_m = 5000
radius_m = 1700
heading_deg = 90
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """When the broker was killed and started, when all were seen to hear what is said now again, and when the unit had to stop."""

    killed: UtcNs
    started: UtcNs
    caught_up: UtcNs
    stopped: UtcNs


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """What is left of it."""

    ahead: Agent
    behind: Agent
    unit: Agent
    times: Times
    statuses: dict[str, dict[str, Any]]
    exits: tuple[int, ...]

    @property
    def agents(self) -> tuple[Agent, ...]:
        return (self.ahead, self.behind, self.unit)


def utc_now() -> UtcNs:
    return CLOCK.now().require_utc()


@pytest.fixture(scope="module")
def outage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outage]:
    require_multicast(CAN_GROUP, ANY_INTERFACE)
    scene = RoadScene(directory=tmp_path_factory.mktemp("outage"))
    scene.pki("init", scene.directory / "pki")
    with ExitStack() as stack:
        authority = TlsAuthority(scene.directory)
        broker = stack.enter_context(MosquittoBroker(scene.directory, authority=authority, lines=PERSISTENT))
        ahead, bus_ahead = scene.vehicle("ahead", scene.broker(broker.port, authority, "ahead"))
        behind, bus_behind = scene.vehicle("behind", scene.broker(broker.port, authority, "behind"))
        unit = scene.unit(scene.broker(broker.port, authority, "unit"), more=HAZARD)
        agents = (ahead, behind, unit)
        for agent in agents:
            agent.start()
            stack.callback(agent.kill)
        cars = (
            RoadCar(bus_ahead, east_m=0.0, speed_mps=SPEED_MPS),
            RoadCar(bus_behind, east_m=-BEHIND_M, speed_mps=SPEED_MPS),
        )
        times, statuses, unit_exit = asyncio.run(story(cars, broker, *agents))
        exits = (ahead.stop(), behind.stop(), unit_exit)
        yield Outage(ahead=ahead, behind=behind, unit=unit, times=times, statuses=statuses, exits=exits)


async def story(
    cars: tuple[RoadCar, RoadCar], broker: MosquittoBroker, ahead: Agent, behind: Agent, unit: Agent
) -> tuple[Times, dict[str, dict[str, Any]], int]:
    """Let all know each other, kill the broker, let the first car break down, start the broker, and stop the unit."""
    drivers = [asyncio.create_task(car.drive()) for car in cars]
    agents = (ahead, behind, unit)

    def is_up(agent: Agent) -> bool:
        return agent.status().get("radios", {}).get("cloud", {}).get("is_up") is True

    try:
        await until(lambda: all(cams(each) >= 10 for each in agents), drivers, "all hear each other")
        await until(lambda: all(each.told("hazard_ahead", ROADWORKS) for each in (ahead, behind)), drivers, "roadworks are told")
        written = broker.written_ns()
        broker.save()
        await until(lambda: broker.written_ns() > written, drivers, "the broker has saved what it knows")
        broker.kill()
        killed = utc_now()
        cars[0].go(0.0, rate_mps2=3.0)
        await until(lambda: cars[0].speed_mps == 0.0, drivers, "the car ahead stands")
        cars[0].switch(hazard_lights=True, doors_open=True, body=Body(breakdown=True))
        await until(lambda: ahead.status().get("sent", {}).get("denm", 0) >= 1, drivers, "it warns, though nobody hears")
        assert not any(is_up(each) for each in agents)
        await asyncio.sleep(AWAY_S - (utc_now() - killed) / NS_PER_S)
        assert not behind.told("hazard_ahead", BROKEN_DOWN)
        broker.start()
        started = utc_now()
        await until(lambda: behind.told("hazard_ahead", BROKEN_DOWN) != [], drivers, "the driver behind is told")
        await until(lambda: all(is_up(each) for each in agents), drivers, "all are connected again")
        caught_up = utc_now()
        for _ in range(2):
            before = [cams(each) for each in agents]
            caught_up = utc_now()
            await until(partial(have_heard_more, agents, before), drivers, "all hear each other")
        statuses = {each.directory.name: each.status() for each in agents}
        stopped = utc_now()
        unit_exit = await asyncio.to_thread(unit.stop)
        await until(lambda: all(each.told("hazard_ended", ROADWORKS) for each in (ahead, behind)), drivers, "the end is told")
        return Times(killed=killed, started=started, caught_up=caught_up, stopped=stopped), statuses, unit_exit
    finally:
        for driver in drivers:
            driver.cancel()
        await asyncio.gather(*drivers, return_exceptions=True)


def cams(agent: Agent) -> int:
    return int(agent.status().get("verified", {}).get("cam", 0))


def have_heard_more(agents: tuple[Agent, ...], before: list[int]) -> bool:
    return all(cams(each) >= was + 3 for each, was in zip(agents, before, strict=True))


def claims_of(each: CapturedPacket) -> Claims:
    claims = peek_claims(each.packet, BASIC_HEADER_OCTETS)
    assert claims is not None
    return claims


def useful_at(each: CapturedPacket, moment: UtcNs) -> int:
    """Return for how long a packet is of use at a moment, nanoseconds; a warning by its own validity."""
    return useful_ns(each.packet, outline_of(each.packet), Instant(MonotonicNs(0), moment))


def originated(agent: Agent) -> list[CapturedPacket]:
    """Return what an agent said itself, in order: not what it passed on or kept alive, which bears somebody else's address."""
    return [each for each in captured_by(agent, is_sent=True) if each.source_mac in each.packet[BASIC_HEADER_OCTETS:]]


def first_heard(agent: Agent) -> dict[bytes, CapturedPacket]:
    """Return what an agent heard, each packet as it came first, in order."""
    heard: dict[bytes, CapturedPacket] = {}
    for each in captured_by(agent, is_sent=False):
        heard.setdefault(each.packet, each)
    return heard


def test_a_breakdown_while_the_broker_was_away_reaches_the_driver_behind_once(outage: Outage) -> None:
    (event,) = outage.behind.told("hazard_ahead", BROKEN_DOWN)
    assert event[0] == outage.statuses["ahead"]["station_id"]


def test_nothing_that_was_still_valid_is_missing(outage: Outage) -> None:
    """What the broker brought after its second, because this machine is slow, was dropped on arrival: counted, and no warning."""
    times, kinds = outage.times, set()
    for hearer in outage.agents:
        heard, lost = first_heard(hearer), 0
        for sender in (each for each in (outage.ahead, outage.behind) if each is not hearer):
            for each in originated(sender):
                arrives = UtcNs(max(each.utc, times.caught_up))
                if times.killed < each.utc < times.stopped - SLACK_NS and useful_at(each, arrives) > 0:
                    kind = claims_of(each).psid
                    kinds.add((kind, each.utc < times.started))
                    lost += each.packet not in heard
                    assert each.packet in heard or kind == ItsAid.CAM, (hearer.directory.name, each.utc - times.killed)
        assert lost <= outage.statuses[hearer.directory.name]["radios"]["cloud"]["expired_on_arrival"]
    assert kinds >= {(ItsAid.DENM, True), (ItsAid.CAM, False)}


def test_nothing_expired_is_delivered_and_no_awareness_message_of_the_outage(outage: Outage) -> None:
    times = outage.times
    for agent in outage.agents:
        for each in captured_by(agent, is_sent=False):
            age_us = time64_of(each.utc) - claims_of(each).generation_time
            if claims_of(each).psid == ItsAid.CAM:
                assert age_us <= (CAM_LIFE_NS // NS_PER_MS + FUTURE_TOLERANCE_MS) * 1_000
            assert useful_at(each, each.utc) > -FUTURE_TOLERANCE_MS * NS_PER_MS
    heard = first_heard(outage.behind)
    missed = [
        each
        for each in originated(outage.ahead)
        if claims_of(each).psid == ItsAid.CAM and times.killed < each.utc < times.started - CAM_LIFE_NS - SLACK_NS
    ]
    assert len(missed) >= (AWAY_S - 2) / 1.1, "one a second at least"
    assert not [each for each in missed if each.packet in heard]


def test_the_order_of_every_sender_holds_over_all_kinds(outage: Outage) -> None:
    for hearer in outage.agents:
        order = {packet: place for place, packet in enumerate(first_heard(hearer))}
        for sender in outage.agents:
            places = [order[each.packet] for each in originated(sender) if each.packet in order]
            assert places == sorted(places), (sender.directory.name, hearer.directory.name)
            assert sender is hearer or len(places) > 10


def test_the_outage_is_counted_told_once_and_survived(outage: Outage) -> None:
    assert outage.exits == (0, 0, 0)
    for agent in outage.agents:
        status = outage.statuses[agent.directory.name]
        cloud = status["radios"]["cloud"]
        assert (cloud["interruptions"], cloud["connections"]) == (1, 2)
        assert cloud["expired"] >= 20
        assert cloud["crowded_out"] == cloud["refused"] == cloud["refused_filters"] == 0
        assert set(status["refused"]) <= {
            "signer_certificate_not_found",
            "invalid_timestamp",
            "expired_packet",
            "duplicate_message",
        }
        assert sum(status["refused"].values()) < sum(status["verified"].values())
        log = [json.loads(line) for line in agent.errors.splitlines()]
        told = [line["event"] for line in log if line.get("what") == "radio cloud"]
        assert told[-2:] == ["unavailable", "recovered"]
        assert len(told) <= 4, "once while it was still connecting, once for the outage"


def test_a_unit_that_stops_takes_its_hazard_back_from_everybody(outage: Outage) -> None:
    for agent in (outage.ahead, outage.behind):
        assert agent.told("hazard_ended", ROADWORKS) == agent.told("hazard_ahead", ROADWORKS)
    last_words = [each for each in originated(outage.unit) if each.utc > outage.times.stopped]
    assert len([each for each in last_words if claims_of(each).psid == ItsAid.DENM]) >= 2


def test_everything_said_and_heard_is_well_formed_to_others(outage: Outage) -> None:
    for agent in outage.agents:
        assert not complaints(agent.state / "radio.pcapng"), agent.directory.name
