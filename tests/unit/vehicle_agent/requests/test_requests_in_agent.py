"""Questions as the whole agent asks them: beside its decoded bus, into its records, and through replay and status."""

from dataclasses import replace
from pathlib import Path
from random import Random

from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.records.kind import RecordKind
from shared.records.odometer import OdometerFlag
from shared.records.record import read_record
from shared.records.sd_jwt import parse_sd_jwt
from shared.service.config import load
from shared.stack.effects import SendCan
from shared.transport.can_frame import CanFrame
from simulator.diagnostics import CarFigures, Diagnostics, DiagnosticUnit, cluster_unit, engine_unit
from tests.helpers.control_units import BRAKES_ODOMETER, CHANNEL, CLUSTER_ODOMETER, VIN, Car, all_units
from tests.helpers.hierarchy import NOON, clock_at
from tests.unit.vehicle_agent.agent_bench import HIERARCHY, ODOMETER_M, Bench
from tests.unit.vehicle_agent.vehicle_files import CONFIG, set_up_vehicle
from vehicle_agent.composition import make_agent, open_vehicle
from vehicle_agent.config import VehicleConfig
from vehicle_agent.requests.config import RequestsConfig
from vehicle_agent.vehicle_memory import Remembered
from vehicle_agent.vehicle_state import SignalUpdate, fresh

SETTINGS = RequestsConfig(bus=CHANNEL, rate_per_s=10.0, odometer=(CLUSTER_ODOMETER, BRAKES_ODOMETER))
SURVEYED_S = 65.0


class AskedCar:
    """A car on a bench whose control units answer."""

    def __init__(self, bench: Bench, units: tuple[DiagnosticUnit, ...], remembered: Remembered | None = None) -> None:
        self.bench = bench
        self.diagnostics = Diagnostics(units, channel=CHANNEL)
        bench.parts = replace(bench.parts, requests=SETTINGS)
        if remembered is not None:
            bench.parts = replace(bench.parts, remembered=remembered)
        bench.agent = make_agent(bench.parts, entropy=Random(1).randbytes, started=bench.clock.now())
        self._seen = 0
        self.asked: list[SendCan] = []

    def answer(self, now: Instant) -> None:
        """Carry what the agent sent to the units, and what they say to the agent."""
        at = now.monotonic
        sample = self.bench.sample
        figures = CarFigures(odometer_m=sample.odometer_m, speed_mps=sample.speed_mps, engine_per_min=900.0)
        for frame in self.diagnostics.poll(at):
            self.bench.give(frame)
        while self._seen < len(self.bench.effects):
            effect, _ = self.bench.effects[self._seen]
            self._seen += 1
            if not isinstance(effect, SendCan):
                continue
            self.asked.append(effect)
            question = CanFrame(effect.arbitration_id, effect.is_extended, effect.data, CHANNEL, at)
            for frame in self.diagnostics.hear(question, figures, at):
                self.bench.give(frame)

    def run(self, seconds: float) -> None:
        self.bench.run(seconds, each=self.answer)

    def stand(self, seconds: float) -> None:
        """Let a parked car with its ignition on say no more than that, once a second."""
        for _ in range(round(seconds)):
            now = self.bench.clock.now()
            said = {"ignition_on": True, "speed_mps": 0.0, "odometer_m": ODOMETER_M}
            news = [
                SignalUpdate(field=name, value=value, at=now.monotonic, max_age_ns=2 * NS_PER_S) for name, value in said.items()
            ]
            self.bench.take(self.bench.agent.on_signals(tuple(news), now))
            self.bench.run(1.0, bus_is_on=False, each=self.answer)


def _records(bench: Bench) -> list[tuple[RecordKind, tuple[OdometerFlag, ...]]]:
    records = [read_record(parse_sd_jwt(kept.sd_jwt)) for kept in bench.spool.records()]
    return [(record.kind, record.flags) for record in records]


def test_the_agent_knows_what_its_units_answer_beside_what_its_bus_says(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        car = AskedCar(bench, all_units())
        car.run(8.0)
        now = MonotonicNs(bench.clock.now().monotonic)
        state = bench.agent.state
        assert fresh(state.odometer_m, now) == ODOMETER_M
        assert fresh(state.obd_odometer_m, now) == ODOMETER_M // 100 * 100
        assert fresh(state.uds_odometer_m, now) == ODOMETER_M // 1_000 * 1_000
        assert fresh(state.obd_speed_mps, now) == 0.0
        assert bench.status("requests")["faults"] == {}
        assert bench.status("can")["faults"] == {}


def test_nothing_is_sent_without_the_table(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.run(2.0)
        assert [effect for effect, _ in bench.effects if isinstance(effect, SendCan)] == []
        assert bench.status("requests") is None


def test_nothing_is_asked_after_the_ignition_went_off(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        car = AskedCar(bench, all_units())
        car.run(3.0)
        bench.set(ignition_on=False)
        car.run(1.0)
        before = len(car.asked)
        assert before > 15
        car.run(4.0)
        assert len(car.asked) == before


def _known(units: tuple[DiagnosticUnit, ...]) -> Remembered:
    """What is known of a car with these units."""
    car = Car(units)
    car.run(SURVEYED_S)
    assert car.remembered.memory.vin == VIN
    return car.remembered


def test_a_part_that_was_replaced_is_in_the_sequence_and_one_never_introduced_is_a_flag_of_one_reading(tmp_path: Path) -> None:
    engine, _, cluster, brakes = all_units()
    with Bench(tmp_path) as bench:
        car = AskedCar(bench, all_units(engine=engine_unit(VIN, serial="ENG-0002")), _known((engine, cluster, brakes)))
        car.stand(SURVEYED_S)
        records = _records(bench)
        assert [kind for kind, _ in records].count(RecordKind.PART) == 1
        assert [OdometerFlag.UNKNOWN_PART in flags for _, flags in records].count(True) == 1
        assert not any(OdometerFlag.OTHER_VEHICLE in flags for _, flags in records)
        assert bench.status("parts")["replaced"] == 1


def test_a_reading_in_another_car_says_so_and_no_part_is_recorded(tmp_path: Path) -> None:
    other = "WVWZZZ1KZAW000999"
    with Bench(tmp_path) as bench:
        car = AskedCar(bench, (engine_unit(other, serial="E9"), cluster_unit(other, serial="C9")), _known(all_units()))
        car.stand(SURVEYED_S)
        records = _records(bench)
        assert RecordKind.PART not in [kind for kind, _ in records]
        assert any(OdometerFlag.OTHER_VEHICLE in flags for _, flags in records)
        assert bench.status("parts")["other_vehicle"]


def test_a_damaged_memory_of_the_vehicle_is_told_and_keeps_nobody_from_driving(tmp_path: Path) -> None:
    path = set_up_vehicle(tmp_path, HIERARCHY, config=CONFIG + '\n[requests]\nbus = "can0"\n')
    (tmp_path / "state/vehicle.json").write_bytes(b"{")
    with open_vehicle(load(path, VehicleConfig), base=tmp_path, environment={}, now=clock_at(NOON).now()) as opened:
        assert "put aside as vehicle.json.damaged" in str(opened.parts.remembered.problem)
        agent = make_agent(opened.parts, entropy=Random(1).randbytes, started=clock_at(NOON).now())
        assert agent.status()["requests"] is not None
    assert (tmp_path / "state/vehicle.json.damaged").read_bytes() == b"{"
