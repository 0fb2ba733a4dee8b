import pytest
from msgspec.structs import fields, replace

from shared.core.clock import NS_PER_MS, MonotonicNs
from vehicle_agent.vehicle_state import FIELDS, Aged, SignalUpdate, Value, VehicleState, fold, fresh


def _update(field: str, value: Value | None, at_ms: int, max_age_ms: int = 100) -> SignalUpdate:
    return SignalUpdate(field=field, value=value, at=MonotonicNs(at_ms * NS_PER_MS), max_age_ns=max_age_ms * NS_PER_MS)


def _ms(at: float) -> MonotonicNs:
    return MonotonicNs(round(at * NS_PER_MS))


def test_a_value_is_fresh_up_to_its_age_limit_and_not_a_nanosecond_longer() -> None:
    speed = Aged(12.5, _ms(1_000), 100 * NS_PER_MS)
    assert speed.fresh(_ms(1_000)) == 12.5
    assert speed.fresh(_ms(1_100)) == 12.5
    assert speed.fresh(MonotonicNs(_ms(1_100) + 1)) is None


def test_a_value_dated_far_ahead_is_not_fresh_for_ever() -> None:
    speed = Aged(12.5, _ms(1_000_000), 100 * NS_PER_MS)
    assert speed.fresh(_ms(0)) is None
    assert speed.fresh(_ms(999_900)) == 12.5


def test_a_field_never_seen_is_unavailable() -> None:
    assert fresh(VehicleState().speed_mps, _ms(0)) is None


@pytest.mark.parametrize("value", [0.0, False])
def test_zero_and_false_are_values_and_not_unavailable(value: float) -> None:
    assert fresh(Aged(value, _ms(0), NS_PER_MS), _ms(0)) is value


def test_a_fold_lays_news_over_the_state_and_keeps_the_rest() -> None:
    first = fold(VehicleState(), (_update("speed_mps", 10.0, 5), _update("ignition_on", True, 5)))
    second = fold(first, (_update("speed_mps", 11.0, 15),))
    assert second == replace(first, speed_mps=Aged(11.0, _ms(15), 100 * NS_PER_MS))
    assert first.speed_mps == Aged(10.0, _ms(5), 100 * NS_PER_MS)


def test_of_two_updates_to_one_field_the_later_in_order_stands() -> None:
    state = fold(VehicleState(), (_update("speed_mps", 1.0, 5), _update("speed_mps", 2.0, 5)))
    assert fresh(state.speed_mps, _ms(5)) == 2.0


def test_not_available_from_the_car_takes_the_value_away_at_once() -> None:
    state = fold(VehicleState(), (_update("speed_mps", 10.0, 5),))
    assert fold(state, (_update("speed_mps", None, 6),)).speed_mps is None


def test_no_news_is_the_same_state() -> None:
    state = VehicleState()
    assert fold(state, ()) is state


def test_the_table_of_fields_and_the_state_agree() -> None:
    assert [f.name for f in fields(VehicleState)] == list(FIELDS)
