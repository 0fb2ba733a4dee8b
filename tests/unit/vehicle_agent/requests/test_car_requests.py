"""Questions to a whole car: what is asked and when, what comes of the answers, and how units of bad manners are met."""

from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from msgspec import structs

from shared.core.clock import NS_PER_MS, NS_PER_S
from shared.transport.can_frame import CanFrame
from simulator.diagnostics import CarFigures, DiagnosticUnit, Manners, cluster_unit, engine_unit, gearbox_unit
from tests.helpers.control_units import BRAKES_ODOMETER, CHANNEL, CLUSTER_ODOMETER, VIN, Car, all_units, losing
from vehicle_agent.requests.addresses import UnitAddress
from vehicle_agent.requests.config import RequestsConfig
from vehicle_agent.requests.requester import MAX_UNITS

READING_SERVICES = {0x01, 0x09, 0x22}
SILENT = Manners(is_silent=True)


def _questions(car: Car) -> list[bytes]:
    """What the agent asked, without flow control."""
    return [frame.data[1 : 1 + frame.data[0]] for frame in car.asked if frame.data[0] < 0x10]


def _heard(car: Car, octets: str, identifier: int = 0x7E8) -> None:
    car.put(CanFrame(identifier, False, bytes.fromhex(octets), CHANNEL, car.now))


def test_speed_and_odometers_of_every_unit_become_news_of_the_car() -> None:
    car = Car()
    car.run(20)
    assert car.latest("obd_speed_mps") == 0.0
    assert car.latest("obd_odometer_m") == 123_456_700.0
    assert car.latest("uds_odometer_m") == 123_456_000.0
    said = {(each.source, each.quantity): each.value for each in car.requests.witnesses(car.now)}
    assert said[("uds:abs", "odometer_m")] == 123_456_700.0
    assert said[("uds:cluster", "odometer_m")] == 123_456_000.0
    assert said[("obd:7e9", "odometer_m")] == 123_456_700.0
    assert said[("obd:7e9", "engine_odometer_m")] == 123_456_700.0
    assert said[("obd:7e8", "distance_since_cleared_m")] == 9_000.0
    assert said[("obd:7e8", "engine_speed")] == 800.0
    assert car.requests.status()["faults"] == {}


def test_the_car_is_only_ever_read() -> None:
    car = Car()
    car.run(200)
    questions = _questions(car)
    assert {question[0] for question in questions} == READING_SERVICES
    assert len(questions) > 100


def test_a_moving_car_says_its_speed_every_second_and_is_asked_for_nothing_that_waits_for_a_standstill() -> None:
    car = Car()
    car.figures = CarFigures(odometer_m=1_000.0, speed_mps=20.0, engine_per_min=2_000.0)
    car.known["speed_mps"] = 20.0
    car.run(60)
    speeds = [update for update in car.updates if update.field == "obd_speed_mps"]
    assert 50 <= len(speeds) <= 61
    assert speeds[-1].value == pytest.approx(20.0)
    assert {question[0] for question in _questions(car)} == {0x01}
    assert "uds_odometer_m" not in {update.field for update in car.updates}
    car.figures, car.known["speed_mps"] = replace(car.figures, speed_mps=0.0), 0.0
    car.run(10)
    assert car.latest("uds_odometer_m") == 1_000.0


def test_one_question_is_outstanding_and_no_more_are_asked_than_allowed() -> None:
    car = Car(settings=RequestsConfig(bus=CHANNEL, rate_per_s=2.0, odometer=(CLUSTER_ODOMETER,)))
    car.run(60)
    asked = [frame.received for frame in car.asked if frame.data[0] < 0x10]
    assert min(b - a for a, b in pairwise(asked)) >= NS_PER_S // 2
    assert len(asked) > 60


@pytest.mark.parametrize("known", [{"ignition_on": False, "speed_mps": 0.0}, {}])
def test_nothing_is_asked_while_the_ignition_is_off_or_the_car_does_not_say_that_it_is_on(known: dict[str, object]) -> None:
    car = Car()
    car.known = known
    car.run(120)
    assert car.frames == []
    assert car.requests.status()["quiet"] == "ignition_off"


def test_after_the_ignition_went_off_nothing_more_is_asked_and_a_bus_that_sleeps_is_not_woken() -> None:
    car = Car()
    car.run(20)
    car.known["ignition_on"] = False
    car.run(1)
    before = len(car.asked)
    car.run(60)
    car.known = {}
    car.run(1_200)
    assert len(car.asked) == before


def test_a_car_that_never_speaks_of_its_ignition_is_asked_more_and_more_seldom_until_it_answers() -> None:
    car = Car(
        all_units(engine=engine_unit(VIN, manners=SILENT), gearbox=gearbox_unit(manners=SILENT)),
        says_ignition=False,
        settings=RequestsConfig(bus=CHANNEL),
    )
    car.run(3_600)
    assert 4 <= len(car.asked) <= 12
    gaps = [b.received - a.received for a, b in pairwise(car.asked)]
    assert gaps == sorted(gaps)
    assert gaps[0] >= 60 * NS_PER_S


def test_a_parked_car_that_never_speaks_of_its_ignition_is_let_sleep_after_ten_minutes() -> None:
    car = Car(says_ignition=False, settings=RequestsConfig(bus=CHANNEL))
    car.figures = CarFigures(odometer_m=1_000.0, speed_mps=0.0, engine_per_min=0.0)
    car.run(700)
    before = len(car.asked)
    assert before > 300
    car.run(600)
    assert len(car.asked) - before < 15


def test_another_testers_question_makes_us_quiet_for_half_a_minute_and_its_answer_is_used() -> None:
    car = Car()
    car.run(10)
    tester = CanFrame(0x7DF, False, bytes.fromhex("02010d5555555555"), CHANNEL, car.now)
    before = len(car.asked)
    car.put(tester)
    car.run(1)
    heard = len(car.updates)
    assert car.updates[-1].field == "obd_speed_mps"
    car.run(28)
    assert len(car.asked) == before
    assert len(car.updates) == heard
    car.run(5)
    assert len(car.asked) > before


def test_frames_of_ours_that_the_bus_gives_back_are_no_other_tester() -> None:
    car = Car()
    car.run(5)  # the bus of these tests gives every frame back
    mine = car.asked[-1]
    counters = car.requests.status()["counters"]
    assert isinstance(counters, dict)
    assert "other_tester" not in counters
    car.put(CanFrame(mine.arbitration_id, mine.is_extended, mine.data, CHANNEL, car.now))
    assert "other_tester" in car.requests.status()["counters"]  # type: ignore[operator]  # a mapping, as above


def test_listening_alone_asks_nothing_and_uses_what_others_ask() -> None:
    car = Car(settings=RequestsConfig(bus=CHANNEL, ask=False, odometer=(CLUSTER_ODOMETER,)))
    car.run(30)
    assert car.frames == []
    _heard(car, "03410d3c")
    _heard(car, "0641a60012d687")
    _heard(car, "0662220301e240", 0x77E)
    assert [(u.field, u.value) for u in car.updates] == [
        ("obd_speed_mps", pytest.approx(60 / 3.6)),
        ("obd_odometer_m", 123_456_700.0),
        ("uds_odometer_m", 123_456_000.0),
    ]
    _heard(car, "1014490201574155")
    assert car.asked == []


def test_the_lowest_unit_that_answers_is_believed_and_the_next_when_it_falls_silent() -> None:
    car = Car(settings=RequestsConfig(bus=CHANNEL, ask=False))
    _heard(car, "0641a600000064", 0x7E9)
    _heard(car, "0641a600000065", 0x7E8)
    _heard(car, "0641a600000066", 0x7E9)
    assert [u.value for u in car.updates] == [10_000.0, 10_100.0]
    assert [each.value for each in car.requests.witnesses(car.now)] == [10_100.0, 10_200.0]
    car.clock.advance(61 * NS_PER_S)
    _heard(car, "0641a600000067", 0x7E9)
    assert car.latest("obd_odometer_m") == 10_300.0


def test_an_odometer_that_is_not_available_is_none_and_not_zero() -> None:
    car = Car()
    car.run(20)
    car.figures = replace(car.figures, odometer_m=None)
    car.run(15)
    assert car.latest("obd_odometer_m") is None
    _heard(car, "06622203ffffff", 0x77E)
    assert car.latest("uds_odometer_m") == 123_456_000.0


def test_a_value_no_vehicle_reaches_and_one_cut_short_are_counted_and_not_used() -> None:
    car = Car(settings=RequestsConfig(bus=CHANNEL, ask=False, odometer=(CLUSTER_ODOMETER, BRAKES_ODOMETER)))
    _heard(car, "0641a6fffffffe")
    _heard(car, "046222030a", 0x77E)
    _heard(car, "0341a600", 0x7E8)
    assert car.updates == []
    assert car.requests.status()["faults"] == {"out_of_range": 1, "too_short": 1, "malformed": 1}


@pytest.mark.parametrize(
    "manners",
    [
        Manners(delay_ns=400 * NS_PER_MS),
        Manners(pending=3),
        Manners(pending=12),
        Manners(busy=3),
        Manners(busy=2, pending=2, delay_ns=100 * NS_PER_MS),
    ],
)
def test_a_slow_pending_or_busy_unit_is_waited_for(manners: Manners) -> None:
    car = Car((cluster_unit(VIN, manners=manners),), settings=RequestsConfig(bus=CHANNEL, obd=False, odometer=(CLUSTER_ODOMETER,)))
    car.run(10)
    assert car.latest("uds_odometer_m") == 123_456_000.0
    assert car.requests.status()["refusals"] == {}


def test_a_busy_unit_is_not_asked_again_after_the_ignition_went_off_nor_beside_another_tester() -> None:
    for spoil in ("ignition", "tester"):
        busy = cluster_unit(VIN, manners=Manners(busy=1))
        car = Car((busy,), settings=RequestsConfig(bus=CHANNEL, obd=False, odometer=(CLUSTER_ODOMETER,), part_identity_every_s=0.0))
        car.run(0.1)
        assert len(car.asked) == 1
        if spoil == "ignition":
            car.known["ignition_on"] = False
        else:
            car.put(CanFrame(0x714, False, bytes.fromhex("023e80cccccccccc"), CHANNEL, car.now))
        car.run(20)
        assert len(car.asked) == 1
        car.known["ignition_on"] = True
        car.run(20)
        assert car.latest("uds_odometer_m") == 123_456_000.0


@pytest.mark.parametrize(
    ("manners", "words"), [(Manners(pending=1_000), "response_pending"), (Manners(busy=1_000), "busy_repeat_request")]
)
def test_a_unit_that_never_comes_to_an_end_is_left_alone_for_longer_each_time(manners: Manners, words: str) -> None:
    car = Car(
        (cluster_unit(VIN, manners=manners),),
        settings=RequestsConfig(bus=CHANNEL, obd=False, odometer=(CLUSTER_ODOMETER,), part_identity_every_s=0.0),
    )
    car.run(3_600)
    refusals = car.requests.status()["refusals"]
    assert isinstance(refusals, dict)
    assert 5 <= refusals.pop(words) <= 7
    assert refusals == {}


def test_a_unit_that_says_nothing_is_asked_more_and_more_seldom_and_the_others_go_on() -> None:
    car = Car(all_units(cluster=cluster_unit(VIN, manners=SILENT)))
    car.run(600)
    silent = next(unit for unit in car.diagnostics.units if unit.manners is SILENT)
    assert 5 <= len(silent.questions) <= 12
    assert car.latest("uds_odometer_m") == 123_456_700.0


def test_a_question_that_is_refused_is_not_asked_again_soon() -> None:
    stranger = structs.replace(CLUSTER_ODOMETER, identifier=0x9999)
    car = Car(settings=RequestsConfig(bus=CHANNEL, obd=False, odometer=(stranger,), part_identity_every_s=0.0))
    car.run(600)
    assert car.requests.status()["refusals"] == {"request_out_of_range": 4}


def test_an_answer_that_breaks_off_is_given_up_and_comes_whole_next_time() -> None:
    engine = engine_unit(VIN, manners=Manners(breaks_off_after=2))
    car = Car(all_units(engine=engine))
    car.run(60)
    counters = car.requests.status()["counters"]
    assert isinstance(counters, dict)
    assert counters["timeout_cr"] > 0
    assert car.latest("obd_odometer_m") == 123_456_700.0


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_on_a_bus_that_loses_frames_everything_comes_in_the_end(share: float) -> None:
    car = Car(carries=losing(share, 8))
    car.run(300)
    assert car.latest("obd_speed_mps") == 0.0
    assert car.latest("obd_odometer_m") == 123_456_700.0
    assert {123_456_000.0} <= {u.value for u in car.updates if u.field == "uds_odometer_m"} <= {123_456_000.0, 123_456_700.0}


def test_units_with_29_bits_are_asked_and_heard_alike() -> None:
    engine = engine_unit(VIN)
    wide = DiagnosticUnit(
        address=UnitAddress(0x18DA10F1, 0x18DAF110, is_extended=True),
        pids=engine.pids,
        info=engine.info,
        identifiers=engine.identifiers,
    )
    car = Car((wide,), settings=RequestsConfig(bus=CHANNEL, identifiers=29))
    car.run(200)
    assert car.latest("obd_odometer_m") == 123_456_700.0
    assert car.remembered.memory.vin == VIN
    assert {frame.is_extended for frame in car.frames} == {True}


def test_a_flood_of_beginnings_makes_us_say_nothing_and_takes_no_more_room_than_named() -> None:
    car = Car(settings=RequestsConfig(bus=CHANNEL, identifiers=29))
    car.run(1)
    before = len(car.asked)
    for number in range(5_000):
        first = CanFrame(0x18DAF100 | number & 0xFF, True, bytes.fromhex("1fff490201574155"), CHANNEL, car.now)
        car.put(first)
    assert len(car.asked) == before
    counters = car.requests.status()["counters"]
    assert isinstance(counters, dict)
    assert counters["too_many_units"] > 4_000
    assert len(car.requests._requester._receivers) == MAX_UNITS


def test_after_a_flood_the_units_that_are_there_are_found() -> None:
    engine = engine_unit(VIN)
    wide = DiagnosticUnit(address=UnitAddress(0x18DA10F1, 0x18DAF110, is_extended=True), pids=engine.pids)
    car = Car((wide,), settings=RequestsConfig(bus=CHANNEL, identifiers=29))
    for number in range(0x20, 0x60):
        car.put(CanFrame(0x18DAF100 | number, True, bytes.fromhex("1fff490201574155"), CHANNEL, car.now))
    car.run(60)
    assert car.latest("obd_odometer_m") == 123_456_700.0


def test_a_unit_that_was_asked_gets_one_flow_control_however_often_it_begins() -> None:
    car = Car((), settings=RequestsConfig(bus=CHANNEL, obd=False, odometer=(CLUSTER_ODOMETER,)))
    car.run(0.1)
    assert len(car.asked) == 1
    for _ in range(1_000):
        _heard(car, "1014622203574155", 0x77E)
    assert len([frame for frame in car.asked if frame.data[0] == 0x30]) == 1


@pytest.mark.parametrize("seed", range(2))
def test_any_frames_on_the_bus_are_survived_and_the_car_is_heard_again(seed: int) -> None:
    random = Random(seed)
    car = Car()
    car.run(2)
    for _ in range(4_000):
        identifier = random.choice((0x7DF, *range(0x7E0, 0x7F0), 0x714, 0x77E, 0x77D))
        octets = random.choice((b"", b"\x03\x41\x0d", b"\x06\x41\xa6", b"\x10\x14\x49\x02", b"\x21", b"\x03\x7f\x01\x78", b"\x30"))
        octets = (octets + random.randbytes(8))[: random.choice((0, 3, 8, 8, 8, 12, 64))]
        car.put(CanFrame(identifier, False, octets[: min(len(octets), 8)], CHANNEL, car.now))
        if random.random() < 0.02:
            car.run(0.3)
    assert len(car.asked) < 12_000
    car.run(200)
    assert car.latest("obd_odometer_m") == 123_456_700.0
    assert car.latest("uds_odometer_m") == 123_456_000.0
