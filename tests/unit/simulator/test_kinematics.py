"""The built-in traffic keeps the laws that the rest of the simulation relies on."""

from itertools import combinations
from math import cos, hypot, radians, sin
from random import Random

import pytest

from shared.core.errors import ConfigError
from simulator.kinematics import (
    BREAKDOWN_BRAKING_MPS2,
    CAR_LENGTH_M,
    CAR_WIDTH_M,
    HARDEST_BRAKING_MPS2,
    MAX_VEHICLES,
    Breakdown,
    Motion,
    Traffic,
)
from simulator.roads import Approach, Exit, RoadNetwork, Turn, after
from simulator.scenarios import crossing
from simulator.scenarios.crossing import Arm, Aspect, Movement

STEP_S = 0.05


def corners(motion: Motion) -> tuple[tuple[float, float], ...]:
    ahead = (sin(radians(motion.heading_deg)), cos(radians(motion.heading_deg)))
    right = (ahead[1], -ahead[0])
    return tuple(
        (
            motion.east_m + ahead[0] * along * CAR_LENGTH_M / 2 + right[0] * across * CAR_WIDTH_M / 2,
            motion.north_m + ahead[1] * along * CAR_LENGTH_M / 2 + right[1] * across * CAR_WIDTH_M / 2,
        )
        for along, across in ((1, 1), (1, -1), (-1, -1), (-1, 1))
    )


def overlap(a: Motion, b: Motion) -> bool:
    """Separating axis test on two oriented rectangles."""
    if hypot(a.east_m - b.east_m, a.north_m - b.north_m) > CAR_LENGTH_M + CAR_WIDTH_M:
        return False
    pa, pb = corners(a), corners(b)
    for heading in (a.heading_deg, a.heading_deg + 90, b.heading_deg, b.heading_deg + 90):
        axis = (sin(radians(heading)), cos(radians(heading)))
        on_a = [p[0] * axis[0] + p[1] * axis[1] for p in pa]
        on_b = [p[0] * axis[0] + p[1] * axis[1] for p in pb]
        if max(on_a) <= min(on_b) or max(on_b) <= min(on_a):
            return False
    return True


@pytest.mark.parametrize(("seed", "count"), [(1, 12), (7, 30), (11, 45)])
def test_no_two_cars_ever_overlap(seed: int, count: int) -> None:
    traffic = Traffic(count, Random(seed))
    for _ in range(int(800 / count)):
        motions = [traffic.motion(n) for n in range(count)]
        for a, b in combinations(motions, 2):
            assert not overlap(a, b), (traffic.elapsed_s, a, b)
        for _ in range(4):
            traffic.step(STEP_S)


@pytest.mark.parametrize("seed", range(6))
def test_a_car_breaks_down_and_drives_on_and_nobody_runs_into_it(seed: int) -> None:
    count = 24
    traffic = Traffic(count, Random(seed), breakdown=Breakdown(from_s=6.0, standing_s=12.0))
    stood: set[int] = set()
    standing_s, hardest_mps2 = 0.0, 0.0
    for _ in range(int(40 / STEP_S)):
        traffic.step(STEP_S)
        motions = [traffic.motion(n) for n in range(count)]
        broken = [n for n, motion in enumerate(motions) if motion.broken_down]
        assert len(broken) <= 1
        for n in broken:
            stood.add(n)
            standing_s += STEP_S if motions[n].standing else 0.0
            hardest_mps2 = min(hardest_mps2, motions[n].acceleration_mps2)
            near = (m for other, m in enumerate(motions) if other != n)
            assert not any(overlap(motions[n], other) for other in near)
    (number,) = stood
    assert standing_s == pytest.approx(12.0, abs=0.2)
    assert hardest_mps2 == pytest.approx(-BREAKDOWN_BRAKING_MPS2)
    assert traffic.motion(number).travelled_m > 50.0


@pytest.mark.parametrize("seed", range(3))
def test_nobody_crosses_a_stop_line_at_red(seed: int) -> None:
    traffic = Traffic(30, Random(seed))
    crossings = 0
    for _ in range(int(60 / STEP_S)):
        before = [(car.segment, _bumper(traffic, car.number)) for car in traffic.cars]
        aspects = [
            traffic.aspect(car.segment.arm, car.movement) if isinstance(car.segment, Approach) else None for car in traffic.cars
        ]
        traffic.step(STEP_S)
        for car, (segment, bumper), aspect in zip(traffic.cars, before, aspects, strict=True):
            if isinstance(segment, Approach) and bumper < 0 <= _bumper(traffic, car.number):
                crossings += 1
                assert aspect not in {Aspect.RED, Aspect.RED_AMBER}, (traffic.elapsed_s, car.number)
    assert crossings >= 10


def _bumper(traffic: Traffic, number: int) -> float:
    car = traffic.cars[number]
    if not isinstance(car.segment, Approach):
        return CAR_LENGTH_M
    return car.along_m + CAR_LENGTH_M / 2 - traffic.network.paths[car.segment].length_m


def test_speeds_and_accelerations_stay_within_the_law_and_physics() -> None:
    traffic = Traffic(24, Random(3))
    for _ in range(int(90 / STEP_S)):
        traffic.step(STEP_S)
        for car in traffic.cars:
            motion = traffic.motion(car.number)
            assert 0.0 <= motion.speed_mps <= crossing.SPEED_LIMIT_MPS + 0.05
            assert -HARDEST_BRAKING_MPS2 - 1e-6 <= motion.acceleration_mps2 <= 2.3
            assert abs(radians(motion.yaw_rate_deg_s)) * motion.speed_mps <= 3.5, "sideways acceleration"


def test_the_odometer_is_the_length_of_the_path_driven() -> None:
    traffic = Traffic(12, Random(4))
    driven = [0.0] * 12
    last = [traffic.pose(n) for n in range(12)]
    for _ in range(int(20 / 0.02)):
        traffic.step(0.02)
        for n in range(12):
            pose = traffic.pose(n)
            driven[n] += hypot(pose.east_m - last[n].east_m, pose.north_m - last[n].north_m)
            last[n] = pose
    for n in range(12):
        assert traffic.cars[n].travelled_m == pytest.approx(driven[n], rel=2e-3, abs=0.05)


def test_every_car_gets_somewhere_within_two_minutes() -> None:
    traffic = Traffic(12, Random(5))
    for _ in range(int(120 / STEP_S)):
        traffic.step(STEP_S)
    assert min(car.travelled_m for car in traffic.cars) > 400.0


def test_the_same_seed_drives_the_same_way_and_another_seed_does_not() -> None:
    def drive(seed: int) -> list[Motion]:
        traffic = Traffic(8, Random(seed))
        for _ in range(400):
            traffic.step(STEP_S)
        return [traffic.motion(n) for n in range(8)]

    assert drive(6) == drive(6)
    assert drive(6) != drive(7)


@pytest.mark.parametrize("count", [0, -1, MAX_VEHICLES + 1])
def test_a_fleet_that_does_not_fit_the_streets_is_refused(count: int) -> None:
    with pytest.raises(ConfigError, match="--vehicles"):
        Traffic(count, Random(1))


def test_as_many_cars_as_the_bound_allows_find_a_place() -> None:
    assert len(Traffic(MAX_VEHICLES, Random(1)).cars) == MAX_VEHICLES


def test_every_segment_continues_where_the_one_before_it_ends() -> None:
    network = RoadNetwork()
    for segment, path in network.paths.items():
        end = path.pose(path.length_m)
        for movement in Movement:
            if isinstance(segment, Approach) and segment.left != (movement is Movement.LEFT):
                continue
            begin = network.paths[after(segment, movement)].pose(0.0)
            assert hypot(begin.east_m - end.east_m, begin.north_m - end.north_m) < 1e-6
            assert abs((begin.heading_deg - end.heading_deg + 180) % 360 - 180) < 1e-6


@pytest.mark.parametrize(
    ("arm", "movement", "leaves_by"),
    [
        (Arm.NORTH, Movement.STRAIGHT, Arm.SOUTH),
        (Arm.NORTH, Movement.LEFT, Arm.EAST),
        (Arm.NORTH, Movement.RIGHT, Arm.WEST),
        (Arm.EAST, Movement.LEFT, Arm.SOUTH),
    ],
)
def test_a_turn_leaves_by_the_arm_a_driver_expects(arm: Arm, movement: Movement, leaves_by: Arm) -> None:
    assert after(Turn(arm, movement), movement) == Exit(leaves_by)


def test_movements_that_are_green_together_never_meet() -> None:
    network = RoadNetwork()
    turns = [Turn(arm, movement) for arm in Arm for movement in Movement]
    for a, b in combinations(turns, 2):
        together = crossing.signal_group(a.arm, a.movement) == crossing.signal_group(b.arm, b.movement)
        if a.arm is b.arm or not together:
            continue
        pa, pb = network.paths[a], network.paths[b]
        for i in range(40):
            p = pa.pose(pa.length_m * i / 39)
            for j in range(40):
                q = pb.pose(pb.length_m * j / 39)
                assert hypot(p.east_m - q.east_m, p.north_m - q.north_m) > 2.6, (a, b)


def test_the_plan_shows_every_group_green_and_never_two_stages_at_once() -> None:
    seen = set()
    for tenth in range(int(crossing.CYCLE_S * 10)):
        moving = {g for g in crossing.GROUPS if crossing.aspect_at(g, tenth / 10) in {Aspect.GREEN, Aspect.AMBER}}
        assert len(moving) <= 1
        seen |= moving
    assert seen == set(crossing.GROUPS)
