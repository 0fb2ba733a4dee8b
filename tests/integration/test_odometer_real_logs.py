"""The odometer's witnesses on recorded buses: a car's minute, another car's drive of 43 km, a lorry that stands.

None of them is accused of anything, and each device that is put on their way is. The 43 km have no cluster on their bus: one is
laid into the log (`tests.helpers.odometer_drive`). The table of `docs/odometer.md` is measured here.
"""

from itertools import pairwise

import numpy as np
import pytest

from shared.core.clock import NS_PER_S
from shared.core.units import METRES_PER_MILE
from shared.records.odometer import OdometerFlag, RecordReason, Verdict
from tests.helpers.odometer_drive import CLUSTER_STARTS_AT_M, OBD_FIELDS, drive, watch_drive
from tests.helpers.odometer_table import BEGIN, END, PAGE, table
from tests.helpers.rav4 import ODOMETER_M, ODOMETER_MILES, read_truth
from tests.helpers.recorded_bus import TRUCK_M, rav4_frames, rav4_map, rav4_receiver, truck_frames, truck_map, watch_bus
from vehicle_agent.odometer.calibration import LEARN_OVER_M, Calibration
from vehicle_agent.odometer.distance import PathLength, SpeedIntegral

MOST_OFF = 0.015
"""Of a calibrated distance: 1.5 %."""


def test_the_car_goes_from_one_mile_to_the_next_and_nothing_is_odd() -> None:
    watch, due = watch_bus(rav4_frames(), rav4_map(), known_m=None, beside=rav4_receiver())
    assert [round(miles * METRES_PER_MILE) for miles in ODOMETER_MILES] == list(ODOMETER_M)
    assert [(d.odometer_m, d.reason) for d in due] == [
        (ODOMETER_M[0], RecordReason.IGNITION_ON),
        (ODOMETER_M[1], RecordReason.DISTANCE),
    ]
    assert [d.flags for d in due] == [(), ()]
    assert {source.name for source in due[-1].sources} == {"cluster", "wheels", "gnss", "gnss_speed"}
    assert watch.judgement.flags == frozenset()


def test_the_cars_witnesses_see_the_distance_that_was_recorded_beside_its_bus() -> None:
    truth = read_truth()
    driven_m = float(np.trapezoid(truth.speed_mps, truth.speed_t))
    watch, _ = watch_bus(rav4_frames(), rav4_map(), known_m=ODOMETER_M[0], beside=rav4_receiver())
    seen_m = {witness.value: distance.metres for witness, distance in watch._seen.items() if distance.metres}
    assert set(seen_m) == {"cluster", "wheels", "gnss", "gnss_speed"}
    assert seen_m["wheels"] == pytest.approx(driven_m, rel=0.03)
    assert seen_m["gnss_speed"] == pytest.approx(seen_m["gnss"], rel=0.03)
    assert seen_m["gnss"] == pytest.approx(driven_m, rel=0.03)


def test_the_speed_by_obd_once_calibrated_is_within_a_hundredth_and_a_half_of_what_gnss_counted() -> None:
    news, truth = drive(1)
    integral, calibration = SpeedIntegral(), Calibration("obd_speed")
    learnt = (truth.metres[0], 0.0)
    checked: list[tuple[float, float]] = []
    for at, updates in news:
        for update in updates:
            if update.field == "obd_speed_mps":
                assert isinstance(update.value, float)
                integral.take(update.value, update.at, update.max_age_ns)
        counted_m = truth.metres_at(at)
        if not calibration.is_settled:
            if counted_m - learnt[0] >= 1_000:
                calibration.learn(counted_m - learnt[0], integral.metres - learnt[1])
                learnt = (counted_m, integral.metres)
        elif not checked or counted_m - checked[-1][0] >= 4_000:
            checked.append((counted_m, integral.metres))
    assert truth.metres[-1] - truth.metres[0] > 2 * LEARN_OVER_M
    assert calibration.factor == pytest.approx(0.994, abs=0.003)
    first, last = checked[0], checked[-1]
    assert (last[1] - first[1]) * calibration.factor == pytest.approx(last[0] - first[0], rel=MOST_OFF / 2)
    pieces = [(b[1] - a[1]) * calibration.factor / (b[0] - a[0]) for a, b in pairwise(checked)]
    assert all(piece == pytest.approx(1.0, abs=MOST_OFF) for piece in pieces)
    assert len(pieces) >= 5


def test_the_path_of_the_receivers_positions_is_what_the_receiver_counted() -> None:
    news, truth = drive(1)
    path = PathLength(lambda _since, _now: True)
    accuracy_m = None
    for _, updates in news:
        for update in updates:
            if update.field == "position_accuracy_m":
                accuracy_m = update.value
            elif update.field == "position" and isinstance(accuracy_m, float):
                path.take(update.value, accuracy_m, update.at, update.max_age_ns)  # type: ignore[arg-type]
    assert path.metres == pytest.approx(truth.metres[-1] - truth.metres[0], rel=MOST_OFF)


def test_the_drive_is_recorded_with_all_its_witnesses_and_they_agree() -> None:
    watched = watch_drive(None)
    assert watched.flags == set()
    assert watched.verdict is Verdict.AGREE
    last = watched.told[-1].due
    assert last.odometer_m == pytest.approx(CLUSTER_STARTS_AT_M + watched.told[-1].driven_m, abs=200)
    assert last.sources[0].name == "cluster"
    assert all(source.odometer_m == pytest.approx(last.odometer_m, abs=MOST_OFF * 43_000) for source in last.sources)
    assert all(source.age_ms < 3 * NS_PER_S // 1_000_000 for source in last.sources)


def test_what_was_learnt_on_one_drive_is_known_on_the_next() -> None:
    learnt = watch_drive(None, fields=OBD_FIELDS).watch.factors()
    assert [factor.source for factor in learnt] == ["obd_speed"]
    assert learnt[0].settled is not None
    again = watch_drive(None, fields=OBD_FIELDS, factors=learnt, until=OdometerFlag.ROLLBACK)
    assert again.flags == set()
    assert again.told[2].due.verdict is Verdict.AGREE


def test_the_lorry_says_the_distance_it_was_recorded_with_and_nothing_is_odd() -> None:
    watch, due = watch_bus(truck_frames(), truck_map(), known_m=TRUCK_M - 125)
    assert [(d.odometer_m, d.reason, d.flags) for d in due] == [(13_832_875, RecordReason.IGNITION_ON, ())]
    assert watch.judgement.flags == frozenset()


def test_a_lorry_nobody_knows_is_not_believed_while_it_stands_for_two_minutes() -> None:
    watch, due = watch_bus(truck_frames(), truck_map(), known_m=None)
    assert due == []
    assert watch.inspect(truck_frames()[-1].received) is None
    waiting = watch.waiting()
    assert waiting is not None
    assert (waiting["odometer_m"], waiting["readings"], waiting["waits_for"]) == (TRUCK_M, 1_272, "counting")


def test_the_table_in_the_documentation_is_what_is_measured() -> None:
    measured = table()
    for line in measured.splitlines()[2:]:
        device, flag = line.split(" | ")[0], line.split(" | ")[4]
        assert (flag == "none") is (device == "| none")
    written = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    assert written == f"\n{measured}"
