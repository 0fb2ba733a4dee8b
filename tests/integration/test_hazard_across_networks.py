"""A car brakes and breaks down; a car two hops away on another network and a car behind a broker are told, each once, and told when
it is over.

    network A (multicast)          network B (multicast)
      car A ---- hop 1 ---- RSU ---- hop 2 ---- car B
                             |
                             +---- MQTT over TLS ---- car C

Four agents as processes on real sockets, three cars driven on real buses, one broker with client certificates. Every packet that
anybody sent or heard is then shown to tshark.
"""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.messages.cdd import CauseCode
from shared.network.headers import BASIC_HEADER_OCTETS
from shared.transport.udp_radio import LOOPBACK_INTERFACE
from simulator.ecu import Body
from tests.helpers.broker import MosquittoBroker, TlsAuthority
from tests.helpers.multicast import ANY_INTERFACE, free_udp_port, require_multicast
from tests.helpers.road import RoadCar
from tests.helpers.road_agents import CAN_GROUP, Agent, RoadScene, captured_by, until
from tests.helpers.tshark import complaints

GROUP_A, GROUP_B = "239.255.89.60", "239.255.89.61"
CREEP_MPS, FAST_MPS = 3.0, 16.0
BRAKING, STANDING = CauseCode.DANGEROUS_SITUATION, CauseCode.STATIONARY_VEHICLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene(RoadScene):
    """Who is there, and by which media."""

    port_a: int = field(default_factory=free_udp_port)
    port_b: int = field(default_factory=free_udp_port)

    @property
    def network_a(self) -> str:
        return f'[[radio]]\nkind = "udp"\nname = "a"\ngroup = "{GROUP_A}"\nport = {self.port_a}\n'

    @property
    def network_b(self) -> str:
        return f'[[radio]]\nkind = "udp"\nname = "b"\ngroup = "{GROUP_B}"\nport = {self.port_b}\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """What is left of the drive: the agents' folders."""

    braking: Agent
    unit: Agent
    behind: Agent
    elsewhere: Agent
    statuses: dict[str, dict[str, Any]]
    exits: tuple[int, ...]

    @property
    def agents(self) -> tuple[Agent, ...]:
        return (self.braking, self.unit, self.behind, self.elsewhere)


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drive]:
    require_multicast(CAN_GROUP, ANY_INTERFACE)
    require_multicast(GROUP_A, LOOPBACK_INTERFACE)
    scene = Scene(directory=tmp_path_factory.mktemp("networks"))
    scene.pki("init", scene.directory / "pki")
    with ExitStack() as stack:
        authority = TlsAuthority(scene.directory)
        broker = stack.enter_context(MosquittoBroker(scene.directory, authority=authority))
        braking, bus_a = scene.vehicle("braking", scene.network_a)
        behind, bus_b = scene.vehicle("behind", scene.network_b)
        elsewhere, bus_c = scene.vehicle("elsewhere", scene.broker(broker.port, authority, "elsewhere"))
        unit = scene.unit(scene.network_a, scene.network_b, scene.broker(broker.port, authority, "unit"))
        agents = (braking, unit, behind, elsewhere)
        for agent in agents:
            agent.start()
            stack.callback(agent.kill)
        cars = (
            RoadCar(bus_a, east_m=0.0, speed_mps=CREEP_MPS),
            RoadCar(bus_b, east_m=-120.0, speed_mps=CREEP_MPS),
            RoadCar(bus_c, east_m=-150.0, speed_mps=CREEP_MPS),
        )
        statuses = asyncio.run(story(cars, *agents))
        yield Drive(
            braking=braking,
            unit=unit,
            behind=behind,
            elsewhere=elsewhere,
            statuses=statuses,
            exits=tuple(agent.stop() for agent in agents),
        )


async def story(
    cars: tuple[RoadCar, ...], braking: Agent, unit: Agent, behind: Agent, elsewhere: Agent
) -> dict[str, dict[str, Any]]:
    """Let the first car brake, stand, and drive on, each when the last has reached everybody; return what the agents counted."""
    drivers = [asyncio.create_task(car.drive()) for car in cars]
    ahead = cars[0]
    hearers = (behind, elsewhere)
    try:
        await until(lambda: unit.status().get("verified", {}).get("cam", 0) >= 3, drivers, "the unit hears the car ahead")
        await until(lambda: all(each.status().get("verified") for each in hearers), drivers, "both others hear the unit")
        ahead.go(FAST_MPS, rate_mps2=3.0)
        await until(lambda: ahead.speed_mps == FAST_MPS, drivers, "it drives fast")
        ahead.go(0.0, rate_mps2=7.8)
        await until(lambda: all(each.told("hazard_ahead", BRAKING) for each in hearers), drivers, "braking is told")
        await until(lambda: ahead.speed_mps == 0.0, drivers, "the car stands")
        ahead.switch(hazard_lights=True, doors_open=True, body=Body(breakdown=True))
        await until(lambda: all(each.told("hazard_ahead", STANDING) for each in hearers), drivers, "the breakdown is told")
        ahead.switch()
        ahead.go(FAST_MPS, rate_mps2=2.0)
        await until(lambda: all(each.told("hazard_ended", STANDING) for each in hearers), drivers, "its end is told")
        return {each.directory.name: each.status() for each in (braking, unit, behind, elsewhere)}
    finally:
        for driver in drivers:
            driver.cancel()
        await asyncio.gather(*drivers, return_exceptions=True)


@pytest.mark.parametrize("cause", [BRAKING, STANDING])
def test_a_hazard_reaches_the_other_network_and_the_broker_exactly_once(drive: Drive, cause: CauseCode) -> None:
    (event,) = set(drive.behind.told("hazard_ahead", cause))
    station_id, _ = event
    assert station_id == drive.statuses["braking"]["station_id"]
    for hearer in (drive.behind, drive.elsewhere):
        assert hearer.told("hazard_ahead", cause) == [event]


def test_its_end_is_told_to_everybody_once(drive: Drive) -> None:
    for hearer in (drive.behind, drive.elsewhere):
        assert hearer.told("hazard_ended", STANDING) == hearer.told("hazard_ahead", STANDING)


def test_the_unit_changed_the_hop_limit_and_nothing_else(drive: Drive) -> None:
    said = {packet[BASIC_HEADER_OCTETS:]: packet for packet in packets(drive.braking, is_sent=True) if is_geocast(packet)}
    assert said
    for hearer in (drive.behind, drive.elsewhere):
        passed_on = [packet for packet in packets(hearer, is_sent=False) if packet[BASIC_HEADER_OCTETS:] in said]
        assert passed_on
        originals = [said[packet[BASIC_HEADER_OCTETS:]] for packet in passed_on]
        assert [packet[:3] for packet in passed_on] == [original[:3] for original in originals]
        first, hops = originals[0], [original[3] - packet[3] for packet, original in zip(passed_on, originals, strict=True)]
        assert passed_on[0][3] == first[3] - 1
        assert set(hops) <= {1, 2}, "what took two hops is the hearer's own repetition, come back to it"


def test_nobody_refused_anybody(drive: Drive) -> None:
    """But for what came before its signer was known, and what had grown old while an agent was still starting."""
    for name, status in drive.statuses.items():
        assert set(status["refused"]) <= {"signer_certificate_not_found", "invalid_timestamp", "expired_packet"}, name
        assert sum(status["refused"].values()) < sum(status["verified"].values()), name
    assert drive.exits == (0, 0, 0, 0)


def test_everything_said_and_heard_is_well_formed_to_others(drive: Drive) -> None:
    for agent in drive.agents:
        assert not complaints(agent.state / "radio.pcapng"), agent.directory.name


def packets(agent: Agent, *, is_sent: bool) -> list[bytes]:
    return [each.packet for each in captured_by(agent, is_sent=is_sent)]


def is_geocast(packet: bytes) -> bool:
    return packet[3] > 1
