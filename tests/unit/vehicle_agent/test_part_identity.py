"""Who the control units are: learnt in two surveys, recorded when one was replaced, told when the agent is in another car."""

from dataclasses import replace as replaced_unit

from shared.core.errors import StorageError
from shared.records.kind import RecordKind
from simulator.diagnostics import Diagnostics, DiagnosticUnit, Manners, cluster_unit, engine_unit, gearbox_unit
from tests.helpers.control_units import CHANNEL, VIN, Car, all_units
from vehicle_agent.vehicle_memory import InMemory, MemoryKeeper, Remembered, VehicleMemory

OTHER_VIN = "WVWZZZ1KZAW000999"
SURVEY_S = 70
"""In which a first survey and the one that confirms it are done."""

DAY_S = 86_400


def _car_with(units: tuple[DiagnosticUnit, ...], known: Car) -> Car:
    """The same agent after a restart, with these units on its bus."""
    car = Car(units, remembered=known.remembered)
    car.shelf.records += known.shelf.records
    return car


def _known_car(units: tuple[DiagnosticUnit, ...] | None = None) -> Car:
    car = Car(units)
    car.run(SURVEY_S)
    return car


def _kinds(car: Car) -> list[str]:
    return [notice.kind for notice in car.notices]


def _identifiers(car: Car, unit: str) -> dict[str, str]:
    return next(dict(part.identifiers) for part in car.remembered.memory.parts if part.unit == f"{CHANNEL}:{unit}")


def test_a_car_is_learnt_in_two_surveys_without_a_word() -> None:
    car = _known_car()
    memory = car.remembered.memory
    assert memory.vin == VIN
    assert [part.unit for part in memory.parts] == ["can0:77d", "can0:77e", "can0:7e8", "can0:7e9"]
    assert _identifiers(car, "7e8") == {
        "vin": VIN,
        "serial_number": "ENG-0001",
        "part_number": "06K-906-071",
        "hardware_number": "06K-907-425",
        "software_number": "SW-0100",
        "software_version": "0042",
        "supplier": "Example Works",
        "calibration_id": "CAL-ENGINE-01 + CAL-ENGINE-02",
        "calibration_number": "16e062be + 98123456",
        "unit_name": "ECM -EngineControl",
    }
    assert (car.notices, car.shelf.records) == ([], [])
    assert not car.requests.identity.take_unknown_part()
    status = car.requests.identity.status()
    assert isinstance(status, dict)
    assert (status["surveys"], status["vin_known"]) == (2, True)
    assert VIN not in str(car.requests.status())


def test_after_that_the_units_are_asked_once_a_day() -> None:
    car = _known_car()
    before = sum(frame.data[1] == 0x09 for frame in car.asked)
    car.run(300)
    assert sum(frame.data[1] == 0x09 for frame in car.asked) == before


def test_one_survey_proves_nothing() -> None:
    car = Car()
    car.run(25)
    assert car.requests.identity.status()["surveys"] == 1
    assert car.remembered.memory == VehicleMemory()
    changed = _car_with(all_units(engine=engine_unit(VIN, serial="ENG-0002")), _known_car())
    changed.run(25)
    assert changed.requests.identity.status()["surveys"] == 1
    assert (changed.notices, changed.shelf.records) == ([], [])


def test_a_unit_with_another_serial_number_is_recorded_as_replaced() -> None:
    car = _car_with(all_units(engine=engine_unit(VIN, serial="ENG-0002")), _known_car())
    car.known["odometer_m"] = 123_456_000.0
    car.run(SURVEY_S)
    (signed,) = car.shelf.records
    assert signed.record.kind is RecordKind.PART
    told = {name: value for name, value in signed.record.fields.items() if value is not None}
    assert told == {
        "action": "replaced",
        "part": "control unit ECM -EngineControl",
        "maker": "Example Works",
        "part_number": "06K-906-071",
        "serial_number": "ENG-0002",
        "replaced_serial_number": "ENG-0001",
        "software_number": "SW-0100",
        "condition": "not_known",
        "odometer_m": 123_456_000,
    }
    assert _kinds(car) == ["part_recorded"]
    assert _identifiers(car, "7e8")["serial_number"] == "ENG-0002"
    car.run(SURVEY_S)
    assert len(car.shelf.records) == 1


def test_a_unit_with_other_software_is_recorded_as_reprogrammed() -> None:
    car = _car_with(all_units(engine=engine_unit(VIN, software="SW-0200")), _known_car())
    car.run(SURVEY_S)
    (signed,) = car.shelf.records
    fields = signed.record.fields
    assert (fields["action"], fields["software_number"], fields["replaced_software_number"]) == (
        "reprogrammed",
        "SW-0200",
        "SW-0100",
    )
    assert fields["serial_number"] == "ENG-0001"


def test_a_record_that_cannot_be_stored_is_told_once_and_made_when_the_store_works() -> None:
    car = _car_with(all_units(engine=engine_unit(VIN, serial="ENG-0002")), _known_car())
    car.shelf.is_full = True
    car.run(SURVEY_S)
    assert (_kinds(car), car.shelf.records) == (["part_not_recorded"], [])
    car.shelf.is_full = False
    car.run(20)
    assert _kinds(car) == ["part_not_recorded", "part_recorded"]
    assert len(car.shelf.records) == 1


def test_a_unit_that_says_nothing_has_not_changed() -> None:
    silent = gearbox_unit(manners=Manners(is_silent=True))
    car = _car_with(all_units(gearbox=silent), _known_car())
    car.run(2 * SURVEY_S)
    assert (car.notices, car.shelf.records) == ([], [])
    assert _identifiers(car, "7e9")["serial_number"] == "GBX-0001"


def test_a_unit_that_was_never_introduced_is_a_flag_that_is_told_once() -> None:
    known = _known_car(tuple(unit for unit in all_units() if unit.address.response_id != 0x7E9))
    car = _car_with(all_units(), known)
    car.run(SURVEY_S)
    (notice,) = car.notices
    assert (notice.kind, notice.fields["unit"]) == ("unknown_part", "can0:7e9")
    identity = car.requests.identity
    assert [identity.take_unknown_part() for _ in range(2)] == [True, False]
    car.run(SURVEY_S)
    assert len(car.notices) == 1
    assert car.shelf.records == []


def test_a_unit_that_is_the_same_but_says_another_vehicles_number_is_a_flag() -> None:
    car = _car_with(all_units(cluster=cluster_unit(OTHER_VIN)), _known_car())
    car.run(SURVEY_S)
    assert _kinds(car) == ["unknown_part"]
    assert "another vin" in str(car.notices[0].fields["reason"])
    assert not car.requests.identity.is_other_vehicle


def test_a_used_engine_unit_with_another_vehicles_number_is_a_part_and_not_another_vehicle() -> None:
    only_engine_says_it = all_units(cluster=replaced_unit(cluster_unit(VIN), identifiers={}))
    swapped = (engine_unit(OTHER_VIN, serial="ENG-9"), *only_engine_says_it[1:])
    car = _car_with(swapped, _known_car(only_engine_says_it))
    car.run(SURVEY_S)
    assert _kinds(car) == ["part_recorded"]
    assert not car.requests.identity.is_other_vehicle
    surveys = car.requests.identity.status()["surveys"]
    car.run(SURVEY_S)
    assert car.requests.identity.status()["surveys"] == surveys


def test_another_vehicles_number_shows_that_the_agent_moved_and_no_part_is_recorded() -> None:
    stranger = (engine_unit(OTHER_VIN, serial="ENG-9"), gearbox_unit(serial="GBX-9"), cluster_unit(OTHER_VIN, serial="CLU-9"))
    car = _car_with(stranger, _known_car())
    car.run(SURVEY_S)
    assert _kinds(car) == ["other_vehicle"]
    assert car.shelf.records == []
    assert car.requests.identity.is_other_vehicle
    assert car.remembered.memory.vin == VIN
    again = _car_with(stranger, car)
    assert again.requests.identity.is_other_vehicle
    again.run(SURVEY_S)
    assert again.notices == []
    home = _car_with(all_units(), again)
    home.run(SURVEY_S)
    assert _kinds(home) == ["back_in_vehicle"]
    assert not home.requests.identity.is_other_vehicle
    assert home.shelf.records == []


def _without_vin(units: tuple[DiagnosticUnit, ...]) -> tuple[DiagnosticUnit, ...]:
    return tuple(
        replaced_unit(
            unit,
            info={number: value for number, value in unit.info.items() if number != 0x02},
            identifiers={number: value for number, value in unit.identifiers.items() if number != 0xF190},
        )
        for unit in units
    )


def test_without_a_vehicles_number_most_units_show_that_the_agent_moved() -> None:
    known = _known_car(_without_vin(all_units()))
    assert known.remembered.memory.vin is None
    three = all_units(
        engine=engine_unit(VIN, serial="E9"), gearbox=gearbox_unit(serial="G9"), cluster=cluster_unit(VIN, serial="C9")
    )
    car = _car_with(_without_vin(three), known)
    car.run(SURVEY_S)
    assert _kinds(car) == ["other_vehicle"]
    home = _car_with(_without_vin(all_units()), car)
    home.run(SURVEY_S)
    assert _kinds(home) == ["back_in_vehicle"]


def test_half_of_the_units_replaced_are_repairs_and_not_another_vehicle() -> None:
    two = all_units(engine=engine_unit(VIN, serial="E9"), gearbox=gearbox_unit(serial="G9"))
    car = _car_with(_without_vin(two), _known_car(_without_vin(all_units())))
    car.run(SURVEY_S)
    assert _kinds(car) == ["part_recorded", "part_recorded"]
    assert not car.requests.identity.is_other_vehicle


class _FullDisk(InMemory):
    def keep(self, memory: VehicleMemory) -> None:
        raise StorageError("vehicle.json", f"no room for {len(memory.parts)} parts")


def test_what_cannot_be_kept_is_told_and_known_until_the_next_start() -> None:
    keeper: MemoryKeeper = _FullDisk()
    car = Car(remembered=Remembered(keeper))
    car.run(SURVEY_S)
    assert _kinds(car) == ["vehicle_memory_not_kept"]
    assert car.remembered.memory.vin == VIN


def test_units_that_refuse_everything_are_asked_once_and_never_again() -> None:
    dumb = DiagnosticUnit(address=cluster_unit(VIN).address, is_legislated=False)
    car = Car((engine_unit(VIN), dumb))
    car.run(2 * SURVEY_S)
    questions = [question for question in dumb.questions if question[1:2] == b"\xf1"]
    assert len(questions) == len(set(questions))


def test_a_survey_waits_for_a_standstill() -> None:
    car = Car()
    car.known["speed_mps"] = 20.0
    car.run(600)
    assert car.requests.identity.status()["surveys"] == 0
    car.known["speed_mps"] = 0.0
    car.run(SURVEY_S)
    assert car.remembered.memory.vin == VIN


def test_units_may_be_changed_under_a_running_agent() -> None:
    car = _known_car()
    car.diagnostics = Diagnostics(all_units(cluster=cluster_unit(VIN, serial="CLU-0002")), channel=CHANNEL)
    car.requests._next_survey = car.now  # a day is long on this clock
    car.run(SURVEY_S)
    assert [signed.record.fields["serial_number"] for signed in car.shelf.records] == ["CLU-0002"]
