"""What speed meets the green: situations with numbers worked out by hand, and what must hold in every situation.

Unless a case says otherwise: comfortable rates 1 m/s2 up and 1.5 m/s2 down, slowest speed 20 km/h, green counted from 1 s after it
has begun to 1.5 s before it may end. v0 is 50 km/h = 13.889 m/s, v0^2 = 192.9.
"""

from dataclasses import dataclass, replace
from math import inf

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs
from shared.core.ids import IntersectionId
from shared.messages.spatem import MovementPhaseState
from vehicle_agent.glosa import SETTLE_NS, Advice, Glosa, Manoeuvre, advise, next_green_s
from vehicle_agent.signals_ahead import PhaseAhead, SignalAhead
from vehicle_agent.speed_plan import DEFAULT_SETTINGS, GlosaSettings, speed_for, time_to_line_s

RED = MovementPhaseState.STOP_AND_REMAIN
RED_AMBER = MovementPhaseState.PRE_MOVEMENT
GREEN = MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED
AMBER = MovementPhaseState.PROTECTED_CLEARANCE

KMH = 1 / 3.6


def phase(
    state: MovementPhaseState,
    earliest_s: float | None,
    latest_s: float | None = None,
    *,
    likely_s: float | None = None,
    confidence: int | None = None,
) -> PhaseAhead:
    return PhaseAhead(phase=state, earliest_end_s=earliest_s, latest_end_s=latest_s, likely_end_s=likely_s, confidence=confidence)


def fixed(state: MovementPhaseState, end_s: float) -> PhaseAhead:
    return phase(state, end_s, end_s, likely_s=end_s)


def light(distance_m: float, *phases: PhaseAhead, limit_kmh: float | None = 50.0, is_dependable: bool = True) -> SignalAhead:
    return SignalAhead(
        intersection=IntersectionId(276, 7),
        lane=1,
        signal_group=2,
        phase=phases[0].phase,
        time_to_change_s=phases[0].likely_end_s,
        earliest_change_s=phases[0].earliest_end_s,
        latest_change_s=phases[0].latest_end_s,
        time_to_green_s=None,
        distance_to_stop_m=distance_m,
        speed_limit_mps=None if limit_kmh is None else limit_kmh * KMH,
        phases=phases,
        is_dependable=is_dependable,
    )


def drive(lowest_kmh: int, aim_kmh: int, highest_kmh: int, green_in_s: float) -> tuple[object, ...]:
    return Manoeuvre.DRIVE, lowest_kmh, aim_kmh, highest_kmh, green_in_s


def stop(green_in_s: float | None) -> tuple[object, ...]:
    return Manoeuvre.STOP, None, None, None, green_in_s


def told(advice: Advice | None) -> tuple[object, ...] | None:
    if advice is None:
        return None
    return advice.manoeuvre, advice.lowest_kmh, advice.speed_kmh, advice.highest_kmh, advice.green_in_s


@dataclass(frozen=True, kw_only=True)
class Case:
    """`why` holds the reckoning."""

    what: str
    signal: SignalAhead
    speed_kmh: float = 50.0
    queued: int = 0
    expected: tuple[object, ...] | None
    why: str


CASES = (
    Case(
        what="green that can be met at the present speed",
        signal=light(100, fixed(GREEN, 10)),
        expected=drive(42, 50, 50, 0.0),
        why="T(50) = 100 / 13.889 = 7.2 <= 8.5; v(8.5) = 1.139 + sqrt(1.297 - 192.9 + 300) = 11.55 m/s = 41.6 km/h",
    ),
    Case(
        what="green that ends too soon, with nothing announced after it",
        signal=light(100, fixed(GREEN, 6)),
        expected=stop(None),
        why="7.2 > 4.5, and from 6 s to 14 s it is not green",
    ),
    Case(
        what="green for as long as traffic asks for it",
        signal=light(100, phase(GREEN, 2, 40)),
        expected=None,
        why="at 7.2 s it may be green or not",
    ),
    Case(
        what="red for 20 s, met by driving slowly",
        signal=light(150, fixed(RED, 20)),
        expected=drive(20, 21, 22, 20.0),
        why="window 21 to 20 + 5 - 1.5 = 23.5; v(21) = -17.611 + sqrt(310.2 - 192.9 + 450) = 6.207 m/s = 22.3 km/h; v(23.5) = 19.3",
    ),
    Case(
        what="red that ends before anybody arrives",
        signal=light(150, fixed(RED, 5), fixed(GREEN, 25)),
        expected=drive(20, 50, 50, 5.0),
        why="window 6 to 23.5; T(50) = 10.8; v(23.5) = 19.3 km/h, slower than 20",
    ),
    Case(
        what="red that ends a little too late for the present speed",
        signal=light(150, fixed(RED, 14), fixed(GREEN, 34)),
        expected=drive(20, 31, 34, 14.0),
        why="window 15 to 32.5; v(15) = -8.611 + sqrt(74.15 - 192.9 + 450) = 9.589 m/s = 34.5 km/h; aimed 3 inside",
    ),
    Case(
        what="a zone of 30 km/h",
        signal=light(150, fixed(RED, 14), fixed(GREEN, 34), limit_kmh=30),
        speed_kmh=30,
        expected=drive(20, 30, 30, 14.0),
        why="T(30) = 150 / 8.333 = 18 is in 15 to 32.5; T(20) = 1.852 + 137.14 / 5.556 = 26.5",
    ),
    Case(
        what="green that can be met by speeding up within the limit",
        signal=light(120, fixed(GREEN, 12)),
        speed_kmh=30,
        expected=drive(44, 47, 50, 0.0),
        why="v(10.5) = 18.833 - sqrt(354.7 - 69.4 - 240) = 12.106 m/s = 43.6 km/h; T(50) = 5.556 + 58.27 / 13.889 = 9.75",
    ),
    Case(
        what="a start from standstill while it is green",
        signal=light(50, fixed(GREEN, 15)),
        speed_kmh=0,
        expected=drive(20, 20, 36, 0.0),
        why="fastest v with its ramp before the line: sqrt(2 * 50) = 10 m/s = 36, T(20) = 5.556 + 34.57 / 5.556 = 11.8 <= 13.5",
    ),
    Case(
        what="red that ends somewhere within 20 s, reached before",
        signal=light(60, phase(RED, 10, 30)),
        expected=stop(None),
        why="T(50) = 4.32 < 10: red for certain, but not when it ends",
    ),
    Case(
        what="red that ends somewhere within 20 s, reached meanwhile",
        signal=light(250, phase(RED, 10, 30)),
        expected=None,
        why="T(50) = 18 lies between",
    ),
    Case(
        what="standing before red",
        signal=light(4, fixed(RED, 12)),
        speed_kmh=0,
        expected=stop(12.0),
        why="the countdown",
    ),
    Case(
        what="red too near to be met by driving slowly",
        signal=light(40, fixed(RED, 20)),
        expected=stop(20.0),
        why="slowest v with its ramp before the line: sqrt(192.9 - 120) = 8.54 m/s, there after 3.57 s",
    ),
    Case(
        what="the green after the next",
        signal=light(300, fixed(GREEN, 3), fixed(AMBER, 6), fixed(RED, 39), fixed(RED_AMBER, 40), fixed(GREEN, 60)),
        expected=drive(20, 22, 24, 40.0),
        why="T(50) = 21.6; window 41 to 58.5; v(41) = -47.611 + sqrt(2266.8 - 192.9 + 900) = 6.923 m/s = 24.9; v(58.5) = 16.7",
    ),
    Case(
        what="three vehicles that stand before us",
        signal=light(150, fixed(RED, 5), fixed(GREEN, 25)),
        queued=3,
        expected=drive(20, 41, 44, 5.0),
        why="window 5 + 6 + 1 = 12 to 23.5; v(12) = -4.111 + sqrt(16.9 - 192.9 + 450) = 12.441 m/s = 44.8",
    ),
    Case(
        what="a driver above the limit",
        signal=light(200, fixed(GREEN, 30)),
        speed_kmh=70,
        expected=drive(20, 50, 50, 0.0),
        why="T(50) = 3.704 + 138.27 / 13.889 = 13.7; T(20) = 9.259 + 84.26 / 5.556 = 24.4 <= 28.5",
    ),
    Case(
        what="amber now",
        signal=light(50, fixed(AMBER, 2), fixed(RED, 30)),
        expected=stop(30.0),
        why="T(50) = 3.6; red from 2 to 30",
    ),
    Case(
        what="a likely end that the controller is sure of",
        signal=light(150, phase(RED, 10, likely_s=12, confidence=10)),
        expected=drive(40, 40, 40, 12.0),
        why="window 13 to 10 + 5 - 1.5 = 13.5; v(13) = -5.611 + sqrt(31.5 - 192.9 + 450) = 11.377 m/s = 40.96; v(13.5) = 39.2",
    ),
    Case(
        what="red whose end is open by three seconds, so that the green after it may be over before it is sure to be on",
        signal=light(200, phase(RED, 10, 13)),
        expected=None,
        why="window 14 to 10 + 5 - 1.5 = 13.5: empty; T(50) = 14.4 is not red for certain",
    ),
    Case(
        what="a likely end that it is not sure of",
        signal=light(150, phase(RED, 10, likely_s=12, confidence=3)),
        expected=None,
        why="there is no latest end to reckon with",
    ),
    Case(
        what="no limit on the map",
        signal=light(100, fixed(GREEN, 10), limit_kmh=None),
        expected=drive(42, 50, 50, 0.0),
        why="in town, 50",
    ),
    Case(what="nothing known of the end", signal=light(100, phase(RED, None)), expected=None, why="no times"),
    Case(
        what="red for more than an hour", signal=light(100, phase(RED, 60, inf)), expected=stop(None), why="red at 7.2 for certain"
    ),
    Case(
        what="times that are disputed or set by hand",
        signal=light(100, fixed(GREEN, 10), is_dependable=False),
        expected=None,
        why="not dependable",
    ),
    Case(what="at the line already", signal=light(8, fixed(GREEN, 10)), expected=None, why="nearer than 10 m"),
    Case(what="driving backwards", signal=light(100, fixed(GREEN, 10)), speed_kmh=-5, expected=None, why="no advice in reverse"),
    Case(
        what="a light out of order",
        signal=light(100, fixed(MovementPhaseState.CAUTION_CONFLICTING_TRAFFIC, 10)),
        expected=None,
        why="flashing amber",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_the_advice_is_what_was_reckoned_by_hand(case: Case) -> None:
    advice = advise(case.signal, speed_mps=case.speed_kmh * KMH, queued=case.queued)
    expected = case.expected
    if expected is not None and expected[-1] is not None:
        expected = (*expected[:-1], pytest.approx(expected[-1]))
    assert told(advice) == expected, case.why


def test_what_follows_red_is_green_and_what_follows_green_is_not_known() -> None:
    assert next_green_s([fixed(RED, 20)]) == 20
    assert next_green_s([fixed(GREEN, 20)]) is None
    assert next_green_s([fixed(GREEN, 3), fixed(AMBER, 6)]) is None
    assert next_green_s([phase(RED, 10, 30), fixed(GREEN, 50)]) is None


@st.composite
def situations(draw: st.DrawFn) -> tuple[SignalAhead, float, int, GlosaSettings, list[tuple[MovementPhaseState, float]]]:
    """A light whose phases end within what it announces, how fast a vehicle comes, and what the light really does."""
    phases, really = [], []
    earliest_s = latest_s = truth_s = 0.0
    for state in draw(
        st.sampled_from([(RED,), (RED, GREEN), (GREEN,), (GREEN, AMBER, RED, GREEN), (AMBER, RED), (RED, RED_AMBER, GREEN, AMBER)])
    ):
        shortest_s, spread_s = draw(st.floats(0.5, 40)), draw(st.sampled_from([0.0, 0.0, 2.0, 15.0]))
        lasts_s = shortest_s + draw(st.floats(0, 1)) * spread_s
        truth_s += lasts_s
        earliest_s, latest_s = earliest_s + shortest_s, latest_s + shortest_s + spread_s
        phases.append(phase(state, earliest_s, latest_s, likely_s=(earliest_s + latest_s) / 2, confidence=draw(st.integers(0, 15))))
        really.append((state, truth_s))
    comfort = GlosaSettings(acceleration_mps2=draw(st.floats(0.5, 2.5)), deceleration_mps2=draw(st.floats(0.5, 3.0)))
    signal = light(draw(st.floats(10, 400)), *phases, limit_kmh=draw(st.sampled_from([10.0, 30.0, 49.9, 50.0, 70.0])))
    return signal, draw(st.floats(0, 35)), draw(st.integers(0, 4)), comfort, really


def arrival_s(signal: SignalAhead, speed_mps: float, target_mps: float, comfort: GlosaSettings, step_s: float = 0.01) -> float:
    """Drive the plan in small steps."""
    at_s, left_m, speed = 0.0, signal.distance_to_stop_m, speed_mps
    while left_m > 0.0:
        change = comfort.acceleration_mps2 * step_s if target_mps > speed else -comfort.deceleration_mps2 * step_s
        after = speed + change if abs(target_mps - speed) > abs(change) else target_mps
        left_m -= (speed + after) / 2 * step_s
        at_s, speed = at_s + step_s, after
    return at_s


def shown_at(really: list[tuple[MovementPhaseState, float]], at_s: float) -> MovementPhaseState | None:
    """What the light really shows; green lasts 5 s and not-green 8 s where nothing more was announced."""
    for state, ends_s in really:
        if at_s < ends_s:
            return state
    last, ends_s = really[-1]
    if last in {RED, RED_AMBER}:
        return GREEN if at_s < ends_s + 5.0 else None
    return RED if last is GREEN and at_s < ends_s + 8.0 else None


@settings(suppress_health_check=[HealthCheck.filter_too_much], deadline=None)
@given(situations())
def test_whoever_follows_the_advice_keeps_the_limit_and_arrives_on_green(
    situation: tuple[SignalAhead, float, int, GlosaSettings, list[tuple[MovementPhaseState, float]]],
) -> None:
    signal, speed_mps, queued, comfort, really = situation
    advice = advise(signal, speed_mps=speed_mps, queued=queued, settings=comfort)
    assume(advice is not None and advice.manoeuvre is Manoeuvre.DRIVE)
    assert advice is not None
    assert advice.lowest_kmh is not None
    assert advice.speed_kmh is not None
    assert advice.highest_kmh is not None
    assert signal.speed_limit_mps is not None
    assert (
        1 <= advice.lowest_kmh <= advice.speed_kmh <= advice.highest_kmh <= advice.limit_kmh <= signal.speed_limit_mps * 3.6 + 1e-6
    )
    for kmh in {advice.lowest_kmh, advice.speed_kmh, advice.highest_kmh}:
        assert shown_at(really, arrival_s(signal, speed_mps, kmh * KMH, comfort)) is GREEN


@settings(suppress_health_check=[HealthCheck.filter_too_much], deadline=None)
@given(situations())
def test_whoever_is_told_to_stop_would_have_met_no_green(
    situation: tuple[SignalAhead, float, int, GlosaSettings, list[tuple[MovementPhaseState, float]]],
) -> None:
    signal, speed_mps, queued, comfort, really = situation
    advice = advise(signal, speed_mps=speed_mps, queued=queued, settings=comfort)
    assume(advice is not None and advice.manoeuvre is Manoeuvre.STOP)
    if speed_mps >= 1.0:
        assert signal.speed_limit_mps is not None
        for target_mps in (min(max(speed_mps, 20 * KMH), signal.speed_limit_mps), signal.speed_limit_mps):
            at_s = arrival_s(signal, speed_mps, target_mps, comfort)
            assert GREEN not in {shown_at(really, at_s), shown_at(really, at_s - 0.02)}


@given(st.floats(20, 400), st.floats(0, 35), st.floats(0, 1))
def test_the_speed_for_an_arrival_arrives_then(distance_m: float, speed_mps: float, part: float) -> None:
    slowest = max(1.0, (max(0.0, speed_mps**2 - 3.0 * distance_m)) ** 0.5)
    fastest = (speed_mps**2 + 2.0 * distance_m) ** 0.5
    target_mps = slowest + part * (fastest - slowest)
    at_s = time_to_line_s(target_mps, distance_m=distance_m, speed_mps=speed_mps, settings=DEFAULT_SETTINGS)
    assert speed_for(at_s, distance_m=distance_m, speed_mps=speed_mps) == pytest.approx(target_mps, rel=1e-3, abs=1e-3)


def moment(seconds: float) -> MonotonicNs:
    return MonotonicNs(round(seconds * NS_PER_S))


def test_the_speed_to_aim_at_stays_while_it_is_good_enough() -> None:
    glosa, aims, distance_m = Glosa(), [], 150.0
    for tenths in range(0, 60, 2):
        at_s = tenths / 10
        advice = glosa.advise(
            light(distance_m, fixed(RED, 14 - at_s), fixed(GREEN, 34 - at_s)), speed_mps=50 * KMH, now=moment(at_s)
        )
        assert advice is not None
        if advice.speed_kmh is not None:
            aims.append(advice.speed_kmh)
        distance_m -= 50 * KMH * 0.2
    assert aims == sorted(aims, reverse=True)
    assert len(set(aims)) <= 5


def test_a_driver_who_follows_sees_one_speed_all_the_way() -> None:
    glosa, distance_m, speed_mps, aims = Glosa(), 150.0, 50 * KMH, set()
    for tenths in range(0, 140, 2):
        at_s = tenths / 10
        advice = glosa.advise(
            light(distance_m, fixed(RED, 14 - at_s), fixed(GREEN, 34 - at_s)), speed_mps=speed_mps, now=moment(at_s)
        )
        if advice is None:
            break
        assert advice.speed_kmh is not None
        aims.add(advice.speed_kmh)
        speed_mps = max(speed_mps - 1.5 * 0.2, advice.speed_kmh * KMH)
        distance_m -= speed_mps * 0.2
    assert aims == {31}


def test_stop_is_shown_at_once_and_drive_again_only_when_it_lasts() -> None:
    glosa = Glosa()
    good, bad = light(150, fixed(GREEN, 30)), light(100, fixed(GREEN, 6))
    sequence = [(0.0, good), (0.2, bad), (0.4, good), (0.6, bad), (0.8, good)] + [(0.8 + 0.2 * n, good) for n in range(1, 12)]
    shown = [glosa.advise(signal, speed_mps=50 * KMH, now=moment(at_s)) for at_s, signal in sequence]
    kinds = [None if advice is None else advice.manoeuvre for advice in shown]
    settled = round(SETTLE_NS / (200 * NS_PER_MS))
    assert kinds == [Manoeuvre.DRIVE] + [Manoeuvre.STOP] * (3 + settled) + [Manoeuvre.DRIVE] * (len(kinds) - 4 - settled)


def test_an_advice_that_comes_and_goes_stays_away_until_it_lasts() -> None:
    glosa = Glosa()
    good, unknown = light(150, fixed(GREEN, 30)), light(150, phase(GREEN, None))
    shown = [glosa.advise(good if n % 2 == 0 else unknown, speed_mps=50 * KMH, now=moment(0.2 * n)) for n in range(40)]
    assert shown[0] is not None
    assert set(shown[1:]) == {None}


def test_a_light_that_was_left_is_forgotten() -> None:
    glosa = Glosa()
    for number in range(50):
        glosa.advise(replace(light(100, fixed(GREEN, 10)), signal_group=number), speed_mps=50 * KMH, now=moment(number))
        glosa.settle()
    assert len(glosa._lights) == 1


@pytest.mark.parametrize(
    "wrong", [{"default_limit_mps": 0.0}, {"slowest_mps": -1.0}, {"acceleration_mps2": 0.0}, {"deceleration_mps2": 0.0}]
)
def test_settings_that_are_no_driving_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        GlosaSettings(**wrong)
