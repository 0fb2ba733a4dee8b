"""What becomes of a receiver's reports, whatever its language: position, loss of fix, jump, old fixes again, date and heading."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import hypot

import pytest

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs, UtcNs
from shared.core.geo import GeoPoint, distance_m
from tests.helpers.gnss_track import (
    ALTITUDE_M,
    COURSE_DEG,
    ERRORS_M,
    GPSD_INTRODUCTION,
    SPEED_MPS,
    START_UTC,
    Moment,
    as_gpsd,
    as_nmea,
    drive,
    moved,
    without_fix,
)
from vehicle_agent.gnss.fields import HEADING_FIELD, POSITION_FIELDS
from vehicle_agent.gnss.fix import Fix
from vehicle_agent.gnss.gnss_input import (
    COURSE_SPEED_MPS,
    MAX_AGE_NS,
    STALE,
    GnssInput,
)
from vehicle_agent.gnss.gpsd import GpsdParser
from vehicle_agent.gnss.nmea import QUIET_NS, NmeaParser
from vehicle_agent.gnss.report_parser import ReportParser
from vehicle_agent.vehicle_state import FixQuality, VehicleState, fold, fresh

LATE_NS = 120 * NS_PER_MS
"""How long after its moment a report arrives."""


class Car:
    """An agent's view of one receiver, on a clock the test holds."""

    def __init__(self, parser: ReportParser, judge: GnssInput) -> None:
        self.parser = parser
        self.judge = judge
        self.state = VehicleState()
        self.at = MonotonicNs(0)
        self.date: tuple[UtcNs, MonotonicNs] | None = None
        self.is_reversing = False

    def hear(self, octets: bytes, at: MonotonicNs) -> None:
        """Hear a report, and then the silence after it."""
        self.at = at
        self.take(self.parser.receive(octets, at))
        if self.parser.next_due() is not None:
            self.take(self.parser.poll(MonotonicNs(at + QUIET_NS)))

    def take(self, fixes: Iterable[Fix]) -> None:
        """Judge fixes and learn what is new."""
        for fix in fixes:
            news = self.judge.on_fix(fix, is_reversing=self.is_reversing)
            self.state = fold(self.state, news.updates)
            self.date = news.date or self.date

    @property
    def place(self) -> GeoPoint | None:
        return fresh(self.state.position, self.at)

    @property
    def refused(self) -> object:
        return self.judge.status(self.at)["refused"]


def judge(delay_ns: int = 0) -> GnssInput:
    return GnssInput(fields=POSITION_FIELDS | {HEADING_FIELD}, not_before=UtcNs(START_UTC - 86_400 * NS_PER_S), delay_ns=delay_ns)


class ReceiverBehaviour:
    """What every receiver's language comes to."""

    def parser(self) -> ReportParser:
        raise NotImplementedError

    def write(self, moment: Moment) -> bytes:
        raise NotImplementedError

    introduction = b""

    @pytest.fixture
    def car(self) -> Car:
        car = Car(self.parser(), judge())
        car.hear(self.introduction, MonotonicNs(0))
        return car

    def follow(self, car: Car, moments: Iterable[Moment]) -> Iterator[Moment]:
        """Let the car hear each moment when it would come, and yield it."""
        for moment in moments:
            car.hear(self.write(moment), MonotonicNs(moment.utc - START_UTC + LATE_NS))
            yield moment

    def test_a_car_is_where_its_receiver_says(self, car: Car) -> None:
        for moment in self.follow(car, drive(5)):
            assert car.place is not None
            assert moment.position is not None
            assert distance_m(car.place, moment.position) < 0.05
            assert fresh(car.state.fix_quality, car.at) is FixQuality.FIX_3D
            assert fresh(car.state.gnss_speed_mps, car.at) == pytest.approx(SPEED_MPS, abs=0.01)
            assert fresh(car.state.heading_deg, car.at) == pytest.approx(COURSE_DEG)
            assert fresh(car.state.altitude_m, car.at) == pytest.approx(ALTITUDE_M)
            assert fresh(car.state.position_accuracy_m, car.at) == pytest.approx(2 * hypot(*ERRORS_M))
        status = car.judge.status(car.at)
        assert (status["fix"], status["satellites"], status["hdop"], status["fixes"]) == ("3d", 9, 0.9, 5)
        assert not car.parser.faults

    def test_a_lost_fix_leaves_nothing_of_the_last_place(self, car: Car) -> None:
        *before, last = drive(4)
        list(self.follow(car, before))
        assert car.judge.status(car.at)["fix"] == "3d"
        list(self.follow(car, [without_fix(last)]))
        for aged in (car.state.position, car.state.gnss_speed_mps, car.state.heading_deg, car.state.altitude_m):
            assert aged is None
        assert fresh(car.state.fix_quality, car.at) is FixQuality.NONE
        assert car.judge.status(car.at)["losses"] == 1

    def test_after_a_tunnel_the_car_is_found_again(self, car: Car) -> None:
        *before, out = drive(25)
        list(self.follow(car, [*before[:3], *(without_fix(moment) for moment in before[3:])]))
        assert car.judge.status(car.at)["fix"] == "none"
        list(self.follow(car, [out]))
        assert car.place is not None

    def test_a_receiver_that_says_nothing_more_is_not_believed_for_long(self, car: Car) -> None:
        list(self.follow(car, drive(3)))
        car.at = MonotonicNs(car.at + MAX_AGE_NS + QUIET_NS + 1)
        assert car.place is None

    def test_a_jump_is_no_place_until_the_fixes_after_it_confirm_it(self, car: Car) -> None:
        moments = list(drive(12))
        list(self.follow(car, moments[:3]))
        known = []
        for moment in self.follow(car, [moved(moment, 900.0) for moment in moments[3:]]):
            known.append(car.place is not None)
            if car.place is not None:
                assert moment.position is not None
                assert distance_m(car.place, moment.position) < 0.05
        assert known == [False, False, True, *[True] * 6]
        assert (car.judge.status(car.at)["jumps"], car.judge.status(car.at)["jumps_confirmed"]) == (1, 1)

    def test_a_single_wild_fix_is_forgotten(self, car: Car) -> None:
        moments = list(drive(6))
        list(self.follow(car, [*moments[:3], moved(moments[3], -50_000.0)]))
        assert car.judge.status(car.at)["in_doubt"] is True
        list(self.follow(car, moments[4:]))
        assert car.place is not None
        assert car.judge.status(car.at)["jumps_confirmed"] == 0
        assert not car.judge.is_in_doubt

    def test_a_receiver_that_jumps_about_is_never_believed(self, car: Car) -> None:
        moments = list(drive(20))
        list(self.follow(car, moments[:3]))
        for number, moment in enumerate(moments[3:], 1):
            list(self.follow(car, [moved(moment, (-1) ** number * 2_000.0 * number)]))
            assert car.place is None

    def test_an_old_fix_again_is_refused(self, car: Car) -> None:
        moments = list(drive(3))
        list(self.follow(car, moments))
        for second in range(1, 4):
            car.hear(self.write(moments[-1]), MonotonicNs(car.at + second * NS_PER_S))
        assert car.place is None
        assert car.refused == {STALE: 3}

    def test_a_standing_car_looks_where_it_last_went(self, car: Car) -> None:
        moments = list(drive(10))
        stop = moments[3]
        standing = [replace(stop, utc=moment.utc, speed_mps=0.2, course_deg=200.0) for moment in moments[4:]]
        list(self.follow(car, [*moments[:4], *standing]))
        assert fresh(car.state.heading_deg, car.at) == pytest.approx(COURSE_DEG)
        pushed = moved(replace(standing[-1], utc=UtcNs(standing[-1].utc + NS_PER_S)), 15.0)
        list(self.follow(car, [pushed]))
        assert fresh(car.state.heading_deg, MonotonicNs(car.at + NS_PER_S)) is None

    def test_a_course_at_walking_pace_is_no_heading(self, car: Car) -> None:
        list(self.follow(car, drive(3, speed_mps=COURSE_SPEED_MPS - 0.1)))
        assert car.place is not None
        assert car.state.heading_deg is None

    def test_a_reversing_car_looks_the_other_way(self, car: Car) -> None:
        car.is_reversing = True
        list(self.follow(car, drive(2)))
        assert fresh(car.state.heading_deg, car.at) == pytest.approx(COURSE_DEG + 180.0)

    def test_the_date_waits_for_fixes_that_agree(self, car: Car) -> None:
        dates = [car.date for _ in self.follow(car, drive(4))]
        assert dates[:2] == [None, None]
        assert dates[2] is not None
        utc, at = dates[2]
        assert utc - at == START_UTC - LATE_NS

    def test_a_receiver_without_a_fix_sets_no_clock(self, car: Car) -> None:
        list(self.follow(car, map(without_fix, drive(6))))
        assert car.date is None

    def test_a_stated_delay_is_taken_off(self) -> None:
        car = Car(self.parser(), judge(LATE_NS))
        car.hear(self.introduction, MonotonicNs(0))
        moments = list(self.follow(car, drive(4)))
        assert car.state.position is not None
        assert car.state.position.at == moments[-1].utc - START_UTC
        assert car.date == (moments[-1].utc, car.state.position.at)

    def test_octet_by_octet_says_the_same(self, car: Car) -> None:
        for moment in drive(3):
            *octets, last = self.write(moment)
            at = MonotonicNs(moment.utc - START_UTC + LATE_NS)
            for octet in octets:
                car.take(car.parser.receive(bytes((octet,)), at))
            car.hear(bytes((last,)), at)
        assert car.place is not None
        assert car.judge.status(car.at)["fixes"] == 3


class TestNmea(ReceiverBehaviour):
    def parser(self) -> ReportParser:
        return NmeaParser()

    def write(self, moment: Moment) -> bytes:
        return as_nmea(moment)


class TestGpsd(ReceiverBehaviour):
    introduction = GPSD_INTRODUCTION

    def parser(self) -> ReportParser:
        return GpsdParser()

    def write(self, moment: Moment) -> bytes:
        return as_gpsd(moment)
