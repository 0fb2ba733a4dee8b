"""An honest vehicle is never accused, whatever its tyres, its receiver and its roads are like; a device that swallows always is.

As a fleet's owner sees it: ferries, trains and tow trucks, ice and rollers, tunnels and cold starts, clusters that count in whole
miles, and witnesses that are off by as much as tyres may be. As a fraudster does: a device from the first metre on, one that is put
in later, one that swallows on short trips alone, and one that grows by next to nothing every day.
"""

from dataclasses import replace
from random import Random

import pytest

from shared.core.clock import MonotonicNs
from shared.records.odometer import OdometerFlag, Verdict
from simulator.adversaries.mileage_blocker import Between, Shown, Swallowed
from tests.helpers.odometer_journey import Going, Journey, Vehicle

STEPS_M = (1.0, 100.0, 1_000.0, 1_609.344)
TYRES = 0.04
"""How far witnesses of one vehicle may be off each other by nature."""

DRIVE = Going(seconds=900)
STOP = Going(seconds=20, ground_mps=0.0)


def drawn_vehicle(rng: Random) -> Vehicle:
    cluster = rng.uniform(1 - TYRES, 1 + TYRES)
    return Vehicle(
        step_m=rng.choice(STEPS_M),
        cluster_factor=cluster,
        wheel_factor=cluster * rng.uniform(1 - TYRES, 1 + TYRES),
        obd_factor=cluster * rng.uniform(1 - TYRES, 1 + TYRES),
        noise_m=rng.uniform(0.0, 4.0),
        jitter_s=rng.uniform(0.0, 0.9),
        has_wheels=rng.random() < 0.8,
        has_gnss=rng.random() < 0.8,
    )


ODD_STRETCHES: dict[str, tuple[Going, ...]] = {
    "a ferry with the ignition off and the bus awake": (
        STOP,
        Going(seconds=500, ground_mps=12.0, wheel_mps=0.0, is_on=False),
        Going(seconds=20, ground_mps=0.0, is_on=True),
    ),
    "a ferry with the bus asleep": (STOP, Going(seconds=500, ground_mps=12.0, wheel_mps=0.0, has_bus=False), STOP),
    "a train with the radio on": (STOP, Going(seconds=600, ground_mps=45.0, wheel_mps=0.0), STOP),
    "towed home": (STOP, Going(seconds=600, ground_mps=20.0, wheel_mps=0.0, is_on=False), Going(seconds=9, is_on=True)),
    "a tunnel": (Going(seconds=300, has_sky=False),),
    "wheels that spin on ice": (Going(seconds=120, ground_mps=0.2, wheel_mps=9.0),),
    "the rollers of a workshop": (Going(seconds=500, ground_mps=0.0, wheel_mps=25.0),),
    "a queue": (Going(seconds=600, ground_mps=1.0),),
    "a night in the car park": (Going(seconds=900, ground_mps=0.0),),
    "a receiver that has to find its satellites": (Going(seconds=600, short=0.16),),
    "a plug that shakes": (Going(seconds=3, has_bus=False), Going(seconds=30), Going(seconds=4, has_bus=False)),
}


@pytest.mark.parametrize(("number", "name"), list(enumerate(ODD_STRETCHES)))
def test_an_honest_vehicle_is_not_accused_of(number: int, name: str) -> None:
    vehicle = Vehicle(step_m=STEPS_M[number % len(STEPS_M)], cluster_factor=0.97, wheel_factor=1.0)
    journey = Journey(vehicle).go(replace(DRIVE, seconds=300), *ODD_STRETCHES[name], replace(DRIVE, seconds=300))
    assert journey.told != []
    assert journey.flags == set()


@pytest.mark.parametrize("seed", range(3))
def test_an_honest_vehicle_is_not_accused_on_a_journey_nobody_foresaw(seed: int) -> None:
    rng = Random(seed)
    journey = Journey(drawn_vehicle(rng), seed=seed)
    journey.go(Going(seconds=60, ground_mps=0.0), Going(seconds=200, short=0.16))
    for _ in range(4):
        journey.go(Going(seconds=rng.randrange(150, 450), ground_mps=rng.uniform(3.0, 40.0), answers=rng.random() < 0.5))
        if journey.vehicle.has_wheels:
            journey.go(*ODD_STRETCHES[rng.choice(list(ODD_STRETCHES))])
        if rng.random() < 0.3:
            journey.restart()
    assert journey.told != []
    assert journey.flags == set()


@pytest.mark.parametrize("step_m", STEPS_M)
@pytest.mark.parametrize("witness", ["wheels", "answers", "receiver"])
def test_half_of_the_distance_swallowed_from_the_first_metre_on_shows_by_any_witness(witness: str, step_m: float) -> None:
    vehicle = Vehicle(
        step_m=step_m, has_wheels=witness == "wheels", has_gnss=witness == "receiver", shown=Swallowed(0.5), cluster_factor=1.02
    )
    journey = Journey(vehicle).go(Going(seconds=450, answers=witness == "answers"))
    told_after_m = journey.told_after_m(OdometerFlag.BLOCKER_SUSPECTED)
    assert told_after_m is not None
    assert told_after_m <= 1_000 + 4 * step_m
    assert journey.told[-1][1].missing_permille == pytest.approx(500, abs=40)
    assert journey.told[-1][1].verdict is Verdict.DISAGREE


@pytest.mark.parametrize("witness", ["wheels", "receiver"])
def test_a_tenth_swallowed_from_the_first_metre_on_is_not_taken_for_the_tyres(witness: str) -> None:
    vehicle = Vehicle(step_m=100.0, has_wheels=witness == "wheels", has_gnss=witness == "receiver", shown=Swallowed(0.1))
    journey = Journey(vehicle).go(Going(seconds=360, ground_mps=30.0))
    told_after_m = journey.told_after_m(OdometerFlag.BLOCKER_SUSPECTED)
    assert told_after_m is not None
    assert told_after_m < 9_000


def test_a_device_that_bends_the_speed_as_well_shows_by_the_receiver() -> None:
    vehicle = Vehicle(step_m=100.0, cluster_factor=0.75, wheel_factor=0.75)
    journey = Journey(vehicle).go(DRIVE)
    assert journey.flags == {OdometerFlag.BLOCKER_SUSPECTED}


def test_wheels_that_spin_accuse_nobody_where_a_receiver_saw_the_way_but_do_where_it_saw_the_same() -> None:
    vehicle = Vehicle(step_m=1.0, cluster_factor=0.5, wheel_factor=1.0)  # the axle the cluster counts does not spin
    assert Journey(vehicle).go(Going(seconds=300, ground_mps=10.0, wheel_mps=20.0)).flags == set()
    assert Journey(vehicle).go(Going(seconds=300)).flags == {OdometerFlag.BLOCKER_SUSPECTED}


def test_short_trips_do_not_hide_a_tenth() -> None:
    journey = Journey(Vehicle(step_m=100.0, has_gnss=False, shown=Swallowed(0.1)))
    for _ in range(5):
        journey.go(Going(seconds=150)).restart()
    assert journey.flags == {OdometerFlag.BLOCKER_SUSPECTED}
    permille = journey.told[-1][1].missing_permille
    assert permille is None or permille == pytest.approx(100, abs=15)


def test_a_known_vehicle_shows_a_small_device_put_in_later_sooner() -> None:
    def told_after_m(learnt: bool) -> float:  # noqa: FBT001
        vehicle = Vehicle(step_m=100.0, has_gnss=False, wheel_factor=0.97)
        journey = Journey(vehicle)
        if learnt:
            journey.go(Going(seconds=800, ground_mps=30.0)).restart()
        began_m = journey.wheels_m
        journey.vehicle = replace(vehicle, shown=Swallowed(0.1))
        journey.go(Going(seconds=1_000, ground_mps=30.0))
        told = journey.told_after_m(OdometerFlag.BLOCKER_SUSPECTED)
        assert told is not None
        return told - began_m

    assert told_after_m(learnt=True) < 6_000 < told_after_m(learnt=False)


def test_a_device_that_swallows_a_little_more_every_day_is_not_learnt() -> None:
    class Growing:
        """A tenth of a per cent more every two kilometres."""

        def __init__(self) -> None:
            self.true_m: float | None = None
            self.shown_m = 0.0
            self.driven_m = 0.0

        def __call__(self, odometer_m: float, _now: MonotonicNs) -> float:
            if self.true_m is None:
                self.true_m = self.shown_m = odometer_m
            moved_m = odometer_m - self.true_m
            self.true_m = odometer_m
            self.driven_m += moved_m
            self.shown_m += moved_m * (1 - min(0.2, self.driven_m / 2_000 * 0.001))
            return self.shown_m

    growing: Shown = Growing()
    journey = Journey(Vehicle(step_m=100.0, has_gnss=False, shown=growing))
    while OdometerFlag.BLOCKER_SUSPECTED not in journey.flags:
        assert journey.wheels_m < 200_000
        journey.go(Going(seconds=500, ground_mps=40.0))
    permille = journey.told[-1][1].missing_permille
    assert permille is not None
    assert permille < 60


def test_a_device_taken_out_leaves_a_step_and_is_forgiven() -> None:
    vehicle = Vehicle(step_m=100.0, shown=Between(Swallowed(0.25), after_m=1_000, until_m=8_000))
    journey = Journey(vehicle).go(DRIVE, Going(seconds=600))
    assert journey.flags == {OdometerFlag.BLOCKER_SUSPECTED, OdometerFlag.STEP}
    assert journey.watch.judgement.flags == frozenset()


def test_an_odometer_that_counts_more_than_anybody_saw_is_told() -> None:
    journey = Journey(Vehicle(step_m=100.0, cluster_factor=1.5)).go(DRIVE)
    assert journey.flags == {OdometerFlag.SOURCES_DISAGREE}


@pytest.mark.parametrize("step_m", [100.0, 1_609.344])
@pytest.mark.parametrize("every_s", [5, 60])
def test_an_engine_that_is_asked_now_and_then_accuses_a_device_and_no_honest_cluster(every_s: int, step_m: float) -> None:
    vehicle = Vehicle(step_m=step_m, has_wheels=False, has_gnss=False, obd_every_s=every_s, obd_factor=1.02)
    long_way = Going(seconds=1_000, ground_mps=30.0)
    assert Journey(vehicle).go(long_way).flags == set()
    journey = Journey(replace(vehicle, shown=Swallowed(0.25))).go(long_way)
    assert journey.flags == {OdometerFlag.BLOCKER_SUSPECTED}
    assert journey.told[-1][1].missing_permille == pytest.approx(260, abs=60)
