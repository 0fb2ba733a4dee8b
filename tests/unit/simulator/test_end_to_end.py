"""What is timed from bus to bus: at the right moments, and with frames the bus has not heard yet."""

from itertools import pairwise

import pytest

from shared.core.clock import NS_PER_MS, MonotonicNs, TimeSource
from shared.core.geo import distance_m
from shared.service.system_clock import SystemClock
from simulator.ecu import SIM_CAR_MAP
from simulator.end_to_end import BRAKES, FIX, PLACE, Rhythm, Units
from vehicle_agent.cam_trigger import POSITION_CHANGE_M
from vehicle_agent.signals.signal_map import load_signal_map


def ms(at: float) -> MonotonicNs:
    return MonotonicNs(round(at * NS_PER_MS))


@pytest.mark.parametrize("late_ms", [0.0, 0.3, 12.0, 39.0])
def test_a_rhythm_is_learned_from_messages_that_were_never_early(late_ms: float) -> None:
    rhythm = Rhythm(ms(50))
    for generated in (1_007.0 + late_ms, 1_157.4, 1_307.0, 1_457.9, 1_608.2):
        rhythm.note(ms(generated))
    assert rhythm.next_look(ms(2_000)) == ms(2_007)
    assert rhythm.next_look(ms(2_007)) == ms(2_007)
    assert rhythm.next_look(ms(2_007.1)) == ms(2_057)


def test_each_move_is_far_enough_for_a_cam_near_enough_to_be_heard_and_to_a_new_place() -> None:
    units = Units("unheard", SystemClock(TimeSource.ASSUME_TRUSTED))
    places = [units.move() for _ in range(400)]
    assert len(set(places)) == len(places)
    assert all(distance_m(here, there) > POSITION_CHANGE_M for here, there in pairwise(places))
    assert max(distance_m(PLACE, place) for place in places) < 50.0


@pytest.mark.parametrize("name", [FIX, BRAKES])
def test_frames_at_chosen_moments_are_ones_that_the_map_knows(name: str) -> None:
    assert name in {message.layout.name for message in load_signal_map(SIM_CAR_MAP).messages}
