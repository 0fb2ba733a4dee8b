"""What a SPATEM says of a state: as much as fits, and no time that its marks cannot name."""

from dataclasses import replace
from math import inf
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rsu_agent.junctions
from rsu_agent.map_data import JunctionMap, load_map
from rsu_agent.signal_controllers import ControllerMode, PhaseInterval, SignalGroupState
from rsu_agent.signal_guard import Believed
from rsu_agent.signal_message import MAX_SPATEM_OCTETS, SignalMessages, octets_at_most
from shared.core.clock import NS_PER_S, UtcNs
from shared.core.errors import ConfigError
from shared.core.ids import StationId
from shared.core.itstime import utc_from_text
from shared.messages.spatem import MAX_EVENTS, IntersectionStatus, MovementEvent, MovementPhaseState, decode_spatem, encode_spatem

CROSSING = load_map(Path(rsu_agent.junctions.__file__).parent / "crossing.map.toml", frozenset({1, 2}))
NOON = utc_from_text("2026-11-22T12:00:00Z")
MODE = ControllerMode(status=IntersectionStatus.TRAFFIC_DEPENDENT_OPERATION, enabled_lanes=tuple(range(240, 256)))
RED = MovementPhaseState.STOP_AND_REMAIN


def after(seconds: float | None, utc: UtcNs = NOON) -> UtcNs | None:
    return None if seconds is None else UtcNs(utc + round(seconds * NS_PER_S))


def phase(
    start: float | None = None, least: float | None = 5.0, likely: float | None = 6.0, most: float | None = 7.0
) -> PhaseInterval:
    confidence = None if likely is None else 15
    return PhaseInterval(
        phase=RED, start=after(start), min_end=after(least), likely_end=after(likely), max_end=after(most), confidence=confidence
    )


def junction(groups: int) -> JunctionMap:
    return replace(CROSSING, signal_groups=frozenset(range(1, groups + 1)))


def events(*phases: PhaseInterval, utc: UtcNs = NOON) -> tuple[MovementEvent, ...]:
    states = (
        SignalGroupState(signal_group=1, name=None, intervals=phases),
        SignalGroupState(signal_group=2, name=None, intervals=phases),
    )
    said = SignalMessages(CROSSING, StationId(1)).believed(Believed(states, MODE), utc)
    return decode_spatem(encode_spatem(said)).intersections[0].movements[0].events


@given(
    names=st.lists(
        st.none() | st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=63), min_size=2, max_size=9
    ),
    phases=st.integers(1, MAX_EVENTS),
    is_timed=st.booleans(),
)
def test_no_message_is_longer_than_is_reckoned(names: list[str | None], phases: int, *, is_timed: bool) -> None:
    interval = phase(0.0) if is_timed else phase(None, None, None, None)
    states = tuple(
        SignalGroupState(signal_group=number, name=name, intervals=(interval,) * phases) for number, name in enumerate(names, 1)
    )
    said = SignalMessages(junction(len(names)), StationId(1)).believed(Believed(states, MODE), NOON)
    told = [(movement.name, len(movement.events)) for movement in said.intersections[0].movements]
    assert len(encode_spatem(said)) <= octets_at_most(told) <= MAX_SPATEM_OCTETS


def test_a_controller_that_foretells_more_than_a_packet_holds_is_told_as_far_as_it_goes() -> None:
    states = tuple(
        SignalGroupState(signal_group=number, name="north-south", intervals=(phase(0.0),) * MAX_EVENTS) for number in range(1, 21)
    )
    said = SignalMessages(junction(20), StationId(1)).believed(Believed(states, MODE), NOON)
    assert {(movement.name, len(movement.events)) for movement in said.intersections[0].movements} == {("north-south", 4)}
    assert len(encode_spatem(said)) <= MAX_SPATEM_OCTETS


def test_names_go_before_lights_do_and_more_groups_than_fit_are_refused_at_the_start() -> None:
    most = 84
    states = tuple(SignalGroupState(signal_group=number, name="x" * 63, intervals=(phase(),)) for number in range(1, most + 1))
    said = SignalMessages(junction(most), StationId(1)).believed(Believed(states, MODE), NOON)
    assert {(movement.name, len(movement.events)) for movement in said.intersections[0].movements} == {(None, 1)}
    assert len(encode_spatem(said)) <= MAX_SPATEM_OCTETS
    with pytest.raises(ConfigError, match="85 signal groups are more than a packet has room for"):
        SignalMessages(junction(most + 1), StationId(1))


@pytest.mark.parametrize(("seconds", "mark_s"), [(3_598.0, 3_598.0), (3_599.5, inf), (3_700.0, inf), (6_553.4, inf)])
def test_an_end_an_hour_away_is_told_as_that_and_not_as_one_that_is_near(seconds: float, mark_s: float) -> None:
    (event,) = events(phase(None, seconds, seconds, seconds))
    assert (event.min_end_time_s, event.likely_time_s, event.max_end_time_s) == (mark_s, mark_s, mark_s)


def test_a_phase_that_should_have_begun_begins_now() -> None:
    (_, following) = events(phase(None, -3.0, -2.0, None), phase(-2.0, 5.0, 5.0, 5.0))
    assert (following.start_time_s, following.min_end_time_s) == (0.0, 5.0)


@pytest.mark.parametrize(
    ("text", "minute", "ms", "end_s"),
    [
        ("2026-12-31T23:59:59.94Z", 525_599, 59_940, 4.9),
        ("2027-01-01T00:00:00Z", 0, 0, 5.0),
        ("2028-12-31T23:59:59.999Z", 527_039, 59_999, 5.0),
        ("2026-11-22T12:59:58Z", (30 + 295) * 1_440 + 12 * 60 + 59, 58_000, 3.0),
        ("2016-12-31T23:59:59.5Z", 527_039, 59_500, 4.5),
    ],
    ids=["old year", "new year", "leap year", "hour", "leap second"],
)
def test_minute_hour_and_year_turn_over(text: str, minute: int, ms: int, end_s: float) -> None:
    utc = utc_from_text(text)
    running = replace(phase(), min_end=after(5.0, utc), likely_end=None, max_end=None)
    states = tuple(SignalGroupState(signal_group=number, name=None, intervals=(running,)) for number in (1, 2))
    said = SignalMessages(CROSSING, StationId(1)).believed(Believed(states, MODE), utc)
    (state,) = decode_spatem(encode_spatem(said)).intersections
    assert (state.minute_of_year, state.timestamp_ms) == (minute, ms)
    assert state.movements[0].events[0].min_end_time_s == pytest.approx(end_s, abs=0.051)
