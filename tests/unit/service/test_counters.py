import pytest

from shared.service.counters import OTHER, Counters


def test_things_are_counted_by_name_and_shown_in_order() -> None:
    counters = Counters()
    counters.add("replay")
    counters.add("false_signature", 2)
    counters.add("replay")
    assert counters.snapshot() == {"false_signature": 2, "replay": 2}
    assert list(counters.snapshot()) == ["false_signature", "replay"]
    assert (counters["replay"], counters["never"], counters.total) == (2, 0, 4)


def test_names_without_room_are_counted_together_and_nothing_is_lost() -> None:
    counters = Counters(capacity_names=2)
    for name in ("a", "b", "c", "d", "a", "c"):
        counters.add(name)
    assert counters.snapshot() == {"a": 2, "b": 1, OTHER: 3}
    assert counters.total == 6


def test_counting_other_by_its_own_name_takes_no_room() -> None:
    counters = Counters(capacity_names=1)
    counters.add(OTHER)
    counters.add("a")
    counters.add("b")
    assert counters.snapshot() == {"a": 1, OTHER: 2}


def test_a_snapshot_is_a_copy() -> None:
    counters = Counters()
    counters.add("a")
    counters.snapshot()["a"] = 99
    assert counters["a"] == 1


def test_a_counter_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="does not go back"):
        Counters().add("a", -1)
