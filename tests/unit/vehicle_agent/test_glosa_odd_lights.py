"""Advice under lights that jitter, change their plan, or say what cannot be: what is shown stays calm, lawful and possible."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.ids import IntersectionId
from shared.messages.spatem import MovementPhaseState
from vehicle_agent.glosa import CLOSING_MARGIN_S, Advice, Glosa, Manoeuvre, advise
from vehicle_agent.signals_ahead import PhaseAhead, SignalAhead
from vehicle_agent.speed_plan import DEFAULT_SETTINGS, time_to_line_s

RED, GREEN = MovementPhaseState.STOP_AND_REMAIN, MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED
STEP_NS = NS_PER_S // 5
SPEED_MPS = 12.0


def light(distance_m: float, *phases: PhaseAhead) -> SignalAhead:
    return SignalAhead(
        intersection=IntersectionId(1, 1),
        lane=1,
        signal_group=1,
        phase=phases[0].phase,
        time_to_change_s=None,
        earliest_change_s=None,
        latest_change_s=None,
        time_to_green_s=None,
        distance_to_stop_m=distance_m,
        phases=phases,
    )


def shown(lights: list[SignalAhead]) -> list[Advice | None]:
    glosa, found = Glosa(), []
    for step, signal in enumerate(lights):
        found.append(glosa.advise(signal, speed_mps=SPEED_MPS, now=MonotonicNs(step * STEP_NS)))
        glosa.settle()
    return found


@pytest.mark.parametrize("seed", range(5))
def test_a_light_whose_times_jitter_does_not_make_the_driver_speed_up_and_slow_down(seed: int) -> None:
    rng = Random(seed)
    lights = []
    for step in range(100):
        left_s, distance_m = 24.0 - step / 5, 260.0 - SPEED_MPS * step / 5
        ends_s = max(0.0, left_s + rng.uniform(-4.0, 4.0))
        red = PhaseAhead(phase=RED, earliest_end_s=ends_s, likely_end_s=ends_s, latest_end_s=ends_s)
        lights.append(light(distance_m, red, PhaseAhead(phase=GREEN, earliest_end_s=ends_s + 20.0)))
    speeds = [None if advice is None else advice.speed_kmh for advice in shown(lights)]
    rises = [(a, b) for a, b in pairwise(speeds) if a is not None and b is not None and b > a]
    assert rises == []
    kinds = [None if advice is None else advice.manoeuvre for advice in shown(lights)]
    changes = sum(a is not b for a, b in pairwise(kinds))
    assert changes <= 2


@given(
    st.floats(0.0, 400.0),
    st.floats(0.0, 50.0),
    st.lists(
        st.tuples(st.sampled_from(MovementPhaseState), *[st.none() | st.floats(0.0, 200.0)] * 4, st.none() | st.integers(0, 15)),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, 10),
)
def test_whatever_a_light_says_the_advice_keeps_the_limit_and_reaches_green_by_what_was_said(
    distance_m: float,
    speed_mps: float,
    said: list[tuple[MovementPhaseState, float | None, float | None, float | None, float | None, int | None]],
    queued: int,
) -> None:
    phases = tuple(
        PhaseAhead(
            phase=phase, starts_in_s=start, earliest_end_s=earliest, likely_end_s=likely, latest_end_s=latest, confidence=sure
        )
        for phase, start, earliest, likely, latest, sure in said
    )
    advice = advise(light(distance_m, *phases), speed_mps=speed_mps, queued=queued)
    if advice is None or advice.manoeuvre is Manoeuvre.STOP:
        return
    assert advice.lowest_kmh is not None
    assert advice.speed_kmh is not None
    assert advice.highest_kmh is not None
    assert 1 <= advice.lowest_kmh <= advice.speed_kmh <= advice.highest_kmh <= advice.limit_kmh
    arrives_s = time_to_line_s(advice.speed_kmh / 3.6, distance_m=distance_m, speed_mps=speed_mps, settings=DEFAULT_SETTINGS)
    assert advice.green_in_s is not None
    assert arrives_s >= advice.green_in_s - 0.01
    ends = [phase.earliest_end_s for phase in phases if phase.earliest_end_s is not None]
    assert not ends or arrives_s <= max(200.0, *ends) + 120.0 - CLOSING_MARGIN_S


def test_a_light_that_changes_its_plan_takes_its_promise_back_at_once() -> None:
    def ends(distance_m: float, end_s: float) -> SignalAhead:
        green = PhaseAhead(phase=GREEN, earliest_end_s=end_s, latest_end_s=end_s)
        return light(distance_m, green, PhaseAhead(phase=RED, earliest_end_s=end_s + 40.0))

    green, cut = ends(150.0, 30.0), ends(148.0, 3.0)
    first, second = shown([green, cut])
    assert first is not None
    assert first.manoeuvre is Manoeuvre.DRIVE
    assert second is None or second.manoeuvre is Manoeuvre.STOP
