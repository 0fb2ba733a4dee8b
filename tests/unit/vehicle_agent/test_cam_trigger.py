"""EN 302 637-2 V1.4.1 clause 6.1.3 against driving situations, with time as integers."""

from itertools import pairwise

import pytest

from shared.core.clock import NS_PER_MS, MonotonicNs
from shared.core.geo import GeoPoint, displaced
from vehicle_agent.cam_trigger import T_CHECK_CAM_GEN_NS, T_GEN_CAM_MAX_NS, CamTrigger, Dynamics, TriggerCondition

_ORIGIN = GeoPoint(48.2, 11.6)


def _dynamics(north_m: float = 0.0, heading_deg: float | None = 0.0, speed_mps: float | None = 0.0) -> Dynamics:
    return Dynamics(displaced(_ORIGIN, 0.0, north_m), heading_deg, speed_mps)


def _drive(dynamics_at: "list[Dynamics]", step_ms: int = 50, t_gen_cam_dcc_ms: int = 100) -> list[int]:
    """Feed one sample per step and return the milliseconds at which a CAM was sent."""
    trigger, sent = CamTrigger(), []
    for n, dynamics in enumerate(dynamics_at):
        now = MonotonicNs(n * step_ms * NS_PER_MS)
        condition = trigger.due(dynamics, now, t_gen_cam_dcc_ns=t_gen_cam_dcc_ms * NS_PER_MS)
        if condition is not None:
            trigger.note_sent(dynamics, now, condition)
            sent.append(n * step_ms)
    return sent


def test_the_first_cam_leaves_at_once() -> None:
    assert CamTrigger().due(_dynamics(), MonotonicNs(5)) is TriggerCondition.TIME


def test_a_parked_car_speaks_once_a_second() -> None:
    assert _drive([_dynamics()] * 100) == [0, 1000, 2000, 3000, 4000]


def test_a_car_at_town_speed_speaks_every_four_metres() -> None:
    speed_mps = 12.5  # 4 m take 320 ms: seen at the next check, 350 ms
    sent = _drive([_dynamics(speed_mps * n * 0.05, speed_mps=speed_mps) for n in range(100)])
    assert {b - a for a, b in pairwise(sent)} == {350}


def test_a_fast_car_never_speaks_more_than_ten_times_a_second() -> None:
    sent = _drive([_dynamics(70.0 * n * 0.05, speed_mps=70.0) for n in range(100)])
    assert {b - a for a, b in pairwise(sent)} == {100}


def test_hard_braking_speaks_by_speed_change() -> None:
    samples = [_dynamics(0.0, speed_mps=max(0.0, 10.0 - 8.0 * n * 0.05)) for n in range(12)]
    assert _drive(samples) == [0, 100, 200, 300, 400, 500]


@pytest.mark.parametrize(
    ("before", "after", "speaks"),
    [(359.0, 1.0, False), (358.0, 2.5, True), (2.5, 358.0, True), (90.0, 94.0, False)],
)
def test_a_heading_change_wraps_at_north(before: float, after: float, *, speaks: bool) -> None:
    trigger = CamTrigger()
    first = _dynamics(heading_deg=before)
    trigger.note_sent(first, MonotonicNs(0), TriggerCondition.TIME)
    due = trigger.due(_dynamics(heading_deg=after), MonotonicNs(200 * NS_PER_MS))
    assert (due is TriggerCondition.DYNAMICS) is speaks


def test_after_dynamics_the_pace_is_kept_for_three_cams_and_then_falls_to_one_second() -> None:
    moving = [_dynamics(19.0 * n * 0.05, speed_mps=19.0) for n in range(20)]  # 4 m take 211 ms: a CAM every 250 ms
    stopped = [moving[-1]] * 80
    sent = _drive(moving + stopped)
    gaps = [b - a for a, b in pairwise(sent)]
    assert gaps[:3] == [250, 250, 250]
    after = gaps[3:]
    assert after[:3] == [250, 250, 250]
    assert set(after[3:]) == {1000}


def test_a_congested_channel_slows_a_fast_car_down() -> None:
    sent = _drive([_dynamics(40.0 * n * 0.05, speed_mps=40.0) for n in range(60)], t_gen_cam_dcc_ms=500)
    assert {b - a for a, b in pairwise(sent)} == {500}


def test_the_channel_can_never_silence_a_car_for_more_than_a_second() -> None:
    sent = _drive([_dynamics()] * 60, t_gen_cam_dcc_ms=60_000)
    assert sent == [0, 1000, 2000]


def test_a_cam_that_did_not_leave_is_asked_for_again() -> None:
    trigger = CamTrigger()
    assert trigger.due(_dynamics(), MonotonicNs(0)) is TriggerCondition.TIME
    assert trigger.due(_dynamics(), MonotonicNs(1)) is TriggerCondition.TIME


def test_values_that_are_not_available_trigger_nothing() -> None:
    trigger = CamTrigger()
    trigger.note_sent(_dynamics(heading_deg=None, speed_mps=None), MonotonicNs(0), TriggerCondition.TIME)
    later = MonotonicNs(500 * NS_PER_MS)
    assert trigger.due(_dynamics(heading_deg=90.0, speed_mps=30.0), later) is None
    assert trigger.due(_dynamics(north_m=5.0, heading_deg=None, speed_mps=None), later) is TriggerCondition.DYNAMICS


def test_the_conditions_are_checked_at_least_as_often_as_the_clause_asks() -> None:
    assert T_CHECK_CAM_GEN_NS <= 100 * NS_PER_MS
    assert CamTrigger().t_gen_cam_ns == T_GEN_CAM_MAX_NS
