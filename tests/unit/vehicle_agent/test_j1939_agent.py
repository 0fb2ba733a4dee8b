"""A truck's agent and the units on its bus: who they are is asked, learnt, remembered, and noticed when it changes."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from shared.core.clock import NS_PER_MS, MonotonicNs
from shared.core.errors import ConfigError
from shared.stack.effects import SendCan
from shared.transport.can_frame import CanFrame
from tests.helpers.data import REPOSITORY
from tests.helpers.j1939_unit import EVERYBODY, Unit, broadcast, frame
from tests.unit.vehicle_agent.agent_bench import Bench
from vehicle_agent.composition import make_agent
from vehicle_agent.config import CanConfig
from vehicle_agent.j1939.requests import ROUND_INTERVAL_NS, SERVICE_TOOL_ADDRESS
from vehicle_agent.signals.car_maps import j1939_buses, load_car_maps
from vehicle_agent.vehicle_state import fresh

MAP = REPOSITORY / "vehicle_agent" / "maps" / "j1939_truck.toml"
VIN, COMPONENT, SOFTWARE, DISTANCE = 65_260, 65_259, 65_242, 65_248
ENGINE = {VIN: b"YV2RT40A5KB123456*", COMPONENT: b"VOLVO*D13K500*A1234567**", SOFTWARE: b"\x0122345678P01*"}
TACHOGRAPH = {COMPONENT: b"VDO*DTCO1381*0012345*TCO1*", SOFTWARE: b"\x01R4.1*"}
TOTAL = bytes.fromhex("ffffffff47b00100")
ONE_ROUND_S = 18
"""Five seconds of listening and the questions of one round."""


class Truck(Bench):
    """The agent of a truck, its units beside it on the bus."""

    def __init__(self, directory: Path, *units: Unit, address: int | None = SERVICE_TOOL_ADDRESS) -> None:
        super().__init__(directory)
        buses = (("can0", CanConfig(interface="virtual", channel="x", map=MAP, j1939_address=address)),)
        signal_map = load_car_maps(buses)
        self.parts = replace(self.parts, signal_map=signal_map, j1939=j1939_buses(signal_map, buses))
        self.agent = make_agent(self.parts, entropy=Random(2).randbytes, started=self.clock.now())
        self.units = list(units)

    def drive(self, seconds: int) -> None:
        """Let time pass: twice a second each unit says something, and answers what it is asked."""
        for _ in range(2 * seconds):
            end = MonotonicNs(self.clock.now().monotonic + 500 * NS_PER_MS)
            for unit in self.units:
                self.hear_frame(frame(0xF004, unit.address, EVERYBODY, bytes(8), at=self.clock.now().monotonic))
            while self.agent.next_due() <= end:
                due = max(self.agent.next_due(), self.clock.now().monotonic)
                self._carry_out(len(self.effects), self.agent.on_timer(self.clock.advance_to(due)))
            self.clock.advance_to(end)

    def pause(self) -> None:
        """Let the bus sleep until the next round is due."""
        self.clock.advance_to(MonotonicNs(self.clock.now().monotonic + ROUND_INTERVAL_NS))

    def hear_frame(self, received: CanFrame) -> None:
        """Put a frame on the bus, and what follows from it."""
        self._carry_out(len(self.effects), self.agent.on_can_frame(received, self.clock.now()))

    def _carry_out(self, first: int, effects: tuple[object, ...]) -> None:
        self.take(effects)  # type: ignore[arg-type]
        for effect, _ in self.effects[first:]:
            if isinstance(effect, SendCan):
                at = self.clock.now().monotonic
                sent = CanFrame(effect.arbitration_id, effect.is_extended, effect.data, effect.bus, at)
                for answer in [each for unit in self.units for each in unit.receive(sent, at=at)]:
                    self.hear_frame(answer)

    @property
    def sent(self) -> list[SendCan]:
        """What it put on the bus."""
        return [effect for effect, _ in self.effects if isinstance(effect, SendCan)]


@pytest.fixture
def truck(tmp_path: Path) -> Iterator[Truck]:
    with Truck(tmp_path, Unit(0, ENGINE), Unit(0xEE, TACHOGRAPH)) as bench:
        yield bench


def test_who_its_units_are_is_remembered_after_two_rounds_that_agree(truck: Truck) -> None:
    for _ in range(2):
        truck.drive(ONE_ROUND_S)
        truck.pause()
    memory = truck.parts.remembered.memory
    assert memory.vin == "YV2RT40A5KB123456"
    assert {part.unit: part.identifiers for part in memory.parts} == {
        "can0:j1939:00": {
            "vin": "YV2RT40A5KB123456",
            "supplier": "VOLVO",
            "part_number": "D13K500",
            "serial_number": "A1234567",
            "software_number": "22345678P01",
        },
        "can0:j1939:ee": {
            "supplier": "VDO",
            "part_number": "DTCO1381",
            "serial_number": "0012345",
            "unit_number": "TCO1",
            "software_number": "R4.1",
        },
    }
    assert truck.notices("unknown_part") == []


def test_a_tachograph_that_was_replaced_becomes_a_record(truck: Truck) -> None:
    for _ in range(2):
        truck.drive(ONE_ROUND_S)
        truck.pause()
    truck.units[1] = Unit(0xEE, {**TACHOGRAPH, COMPONENT: b"VDO*DTCO1381*7777777*TCO1*"})
    for _ in range(2):
        truck.drive(ONE_ROUND_S)
        truck.pause()
    (recorded,) = truck.notices("part_recorded")
    assert recorded["action"] == "replaced"


def test_a_distance_that_is_only_told_on_request_is_asked_for(truck: Truck) -> None:
    truck.units[0] = Unit(0, {**ENGINE, DISTANCE: TOTAL})
    truck.drive(30)
    assert fresh(truck.agent.state.odometer_m, truck.clock.now().monotonic) == 13_832_875.0


def test_groups_that_are_announced_and_never_sent_hold_nobody_up(truck: Truck) -> None:
    for source in range(100):
        announced = broadcast(VIN, source, b"x" * 1_785, at=truck.clock.now().monotonic)
        truck.hear_frame(announced[0])
    truck.drive(3)
    transport = truck.status("j1939")["buses"]["can0"]["transport"]
    assert transport == {"complete": 0, "tp_too_many": 36, "tp_timeout": 64}


def test_an_agent_without_an_address_sends_nothing(tmp_path: Path) -> None:
    with Truck(tmp_path, Unit(0, ENGINE), address=None) as truck:
        truck.drive(60)
        assert truck.sent == []
        status = truck.status("j1939")
        assert status["buses"]["can0"]["requests"] == {}


def test_an_address_on_a_bus_without_groups_is_a_fault_of_the_configuration() -> None:
    car = REPOSITORY / "vehicle_agent" / "maps" / "toyota_rav4_2017.toml"
    pytest.importorskip("opendbc", exc_type=ImportError)
    buses = (("can0", CanConfig(interface="virtual", channel="x", map=car, j1939_address=249)),)
    with pytest.raises(ConfigError, match="parameter group"):
        j1939_buses(load_car_maps(buses), buses)
