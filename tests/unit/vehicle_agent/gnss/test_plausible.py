"""How far a car can come, which date is believed, and what a bus says of the position while its receiver has no fix."""

import pytest

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs, UtcNs
from shared.core.geo import GeoPoint, displaced
from shared.core.itstime import utc_from_text
from tests.helpers.gnss_track import START
from vehicle_agent.gnss.bus_position import believed
from vehicle_agent.gnss.fix_time import AGREEMENT_NS, MAX_READINGS, WINDOW_NS, FixTime
from vehicle_agent.gnss.place_check import MAX_SPEED_MPS, MAX_STATED_ERROR_M, SCATTER_M, Seen, reach_m
from vehicle_agent.vehicle_state import FixQuality, SignalUpdate, Value, VehicleState, fold

NOON = utc_from_text("2026-11-29T12:00:00Z")
RELEASED = utc_from_text("2026-11-01T00:00:00Z")
GPS_WEEKS_NS = 1_024 * 7 * 86_400 * NS_PER_S


def seen(second: float, north_m: float, speed_mps: float | None = None, error_m: float = 0.0) -> Seen:
    at = MonotonicNs(round(second * NS_PER_S))
    return Seen(position=displaced(START, 0.0, north_m), at=at, speed_mps=speed_mps, error_m=error_m)


@pytest.mark.parametrize(
    ("earlier", "later", "expected"),
    [
        (seen(0, 0, 0.0), seen(0.1, 0, 0.0), SCATTER_M + 0.05),
        (seen(0, 0, 20.0), seen(1, 0, 10.0), SCATTER_M + 27.0),
        (seen(0, 0), seen(1, 0, 10.0), SCATTER_M + MAX_SPEED_MPS),
        (seen(0, 0, 10.0), seen(60, 0, 10.0), SCATTER_M + 60 * MAX_SPEED_MPS),
        (seen(0, 0, 0.0, 8.0), seen(0, 0, 0.0, 1e9), SCATTER_M + 8.0 + MAX_STATED_ERROR_M),
    ],
)
def test_reach_is_speed_times_time_and_what_fixes_scatter(earlier: Seen, later: Seen, expected: float) -> None:
    assert reach_m(earlier, later) == pytest.approx(expected)


def taken(clock: FixTime, utc: int, at: int) -> UtcNs | None:
    return clock.take(UtcNs(utc), MonotonicNs(at))


def told(clock: FixTime, seconds: int, *, ahead_ns: int = 0, start: int = 0, late_ns: int = 0) -> list[int | None]:
    """Give a fix a second; return how far what comes of each is from the truth."""
    offsets: list[int | None] = []
    for second in range(start, start + seconds):
        at = second * NS_PER_S + late_ns
        utc = taken(clock, NOON + ahead_ns + second * NS_PER_S, at)
        offsets.append(None if utc is None else utc - NOON - at)
    return offsets


def test_the_first_date_is_not_believed_alone() -> None:
    assert told(FixTime(RELEASED), 4) == [None, None, 0, 0]


def test_the_report_that_came_soonest_is_the_best() -> None:
    clock = FixTime(RELEASED)
    told(clock, 3, late_ns=300 * NS_PER_MS)
    assert told(clock, 1, start=3, late_ns=80 * NS_PER_MS) == [-80 * NS_PER_MS]
    assert told(clock, 1, start=4, late_ns=400 * NS_PER_MS) == [-80 * NS_PER_MS]


def test_what_came_soonest_is_forgotten_after_a_while() -> None:
    clock = FixTime(RELEASED)
    told(clock, 4)
    late = told(clock, WINDOW_NS // NS_PER_S + 5, start=4, late_ns=100 * NS_PER_MS)
    assert (late[0], late[-1]) == (0, -100 * NS_PER_MS)


def test_a_step_waits_until_it_is_confirmed() -> None:
    clock = FixTime(RELEASED)
    told(clock, 5)
    assert told(clock, 4, start=5, ahead_ns=3 * NS_PER_S) == [None, None, 3 * NS_PER_S, 3 * NS_PER_S]
    assert clock.steps == 1


def test_one_wild_date_changes_nothing() -> None:
    clock = FixTime(RELEASED)
    told(clock, 5)
    assert told(clock, 1, start=5, ahead_ns=AGREEMENT_NS * 9) == [None]
    assert told(clock, 1, start=6) == [0]


def test_a_week_number_that_rolled_over_is_noticed() -> None:
    clock = FixTime(RELEASED)
    assert told(clock, 5, ahead_ns=-GPS_WEEKS_NS) == [None] * 5
    assert clock.old_dates == 5


def test_a_fast_receiver_does_not_fill_the_memory() -> None:
    clock = FixTime(RELEASED)
    for tenth in range(2_000):
        taken(clock, NOON + tenth * 50 * NS_PER_MS, tenth * 50 * NS_PER_MS)
    assert len(clock._readings) <= MAX_READINGS


def update(field: str, value: Value | None, at: int = 0) -> SignalUpdate:
    return SignalUpdate(field=field, value=value, at=MonotonicNs(at), max_age_ns=NS_PER_S)


PLACE = GeoPoint(48.1, 11.5)
NOW = MonotonicNs(0)


def after(*frames: tuple[SignalUpdate, ...]) -> VehicleState:
    state = VehicleState()
    for updates in frames:
        state = fold(state, believed(state, updates, NOW))
    return state


@pytest.mark.parametrize(
    "frames",
    [
        ((update("position", PLACE), update("fix_quality", FixQuality.NONE)),),
        ((update("fix_quality", FixQuality.NONE), update("position", PLACE)),),
        ((update("fix_quality", FixQuality.NONE),), (update("position", PLACE),)),
        ((update("position", PLACE),), (update("fix_quality", FixQuality.NONE),)),
    ],
)
def test_a_position_with_no_fix_is_no_position(frames: tuple[tuple[SignalUpdate, ...], ...]) -> None:
    assert after(*frames).position is None


def test_a_fix_found_again_is_believed_again() -> None:
    state = after((update("fix_quality", FixQuality.NONE),), (update("position", PLACE), update("fix_quality", FixQuality.FIX_3D)))
    assert state.position is not None


def test_a_quality_that_is_old_or_not_said_denies_nothing() -> None:
    state = fold(VehicleState(), (update("fix_quality", FixQuality.NONE),))
    late = MonotonicNs(2 * NS_PER_S)
    assert believed(state, (update("position", PLACE, late),), late)[0].value == PLACE
    assert after((update("fix_quality", None), update("position", PLACE))).position is not None


def test_other_news_passes_as_it_is() -> None:
    news = (update("speed_mps", 3.0),)
    assert believed(fold(VehicleState(), (update("fix_quality", FixQuality.NONE),)), news, NOW) is news
