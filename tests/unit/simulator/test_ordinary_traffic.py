"""The simulated traffic without an incident brakes as people do: hard at amber now and then, and never as in an emergency."""

from random import Random

import pytest

from simulator.kinematics import Traffic
from simulator.scenario import plan_offset_s
from vehicle_agent.triggers.emergency_braking import HARD_BRAKING_FOR_MS, HARD_BRAKING_MPS2, LEAST_SPEED_MPS

STEP_S = 0.05
SECONDS = 120


@pytest.mark.parametrize(("seed", "count"), [(1, 12), (2, 20), (3, 30)])
def test_queues_amber_and_bends_call_for_no_emergency_braking(seed: int, count: int) -> None:
    traffic = Traffic(count, Random(f"{seed}/traffic"), start_offset_s=plan_offset_s())
    hard_s = dict.fromkeys(range(count), 0.0)
    stood = set()
    for _ in range(round(SECONDS / STEP_S)):
        traffic.step(STEP_S)
        for car in traffic.cars:
            is_hard = car.acceleration_mps2 <= HARD_BRAKING_MPS2 and car.speed_mps >= LEAST_SPEED_MPS
            hard_s[car.number] = hard_s[car.number] + STEP_S if is_hard else 0.0
            assert hard_s[car.number] < HARD_BRAKING_FOR_MS / 1_000
            if car.speed_mps == 0.0:
                stood.add(car.number)
    assert len(stood) > count // 2
