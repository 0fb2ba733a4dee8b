"""Hazards that come while a unit runs: told, changed, taken back, over by themselves, and known again after a restart."""

from dataclasses import replace
from pathlib import Path

import pytest

from rsu_agent.hazard_service import CANCELLED_WITHIN_S, Announcement, HazardService, name_status
from rsu_agent.placed_hazards import MAX_PLACED, HazardsFullError, HazardSource, NoSuchHazardError, parse_placed_name
from shared.core.clock import NS_PER_S, Instant, ManualClock, MonotonicNs, UtcNs
from shared.core.errors import ConfigError, UntrustedTimeError
from shared.core.geo import displaced
from shared.core.ids import StationId
from shared.core.itstime import time64_of, timestamp_its, utc_from_text
from shared.messages.denm import Termination
from shared.service.event_store import EventStore, StoredEvents
from tests.unit.rsu_agent.test_hazard_service import ROADWORKS, SITE, drive
from tests.unit.rsu_agent.test_hazards_after_restart import NAME

NOON = utc_from_text("2026-11-22T12:00:00Z")
OPERATOR, CENTRE, VEHICLES = HazardSource.OPERATOR, HazardSource.CENTRE, HazardSource.VEHICLES
ACCIDENT = replace(ROADWORKS, cause_code=2, sub_cause_code=0, traces=(), speed_limit_mps=None)


def said_of(told: list[tuple[float, Announcement]]) -> list[tuple[int, Termination | None]]:
    return [(each.action_id.sequence_number, each.denm.termination) for _, each in told]


def test_a_placed_hazard_is_told_at_once_and_cancelled_when_it_is_withdrawn() -> None:
    hazards, clock = HazardService((), StationId(42), 7), ManualClock(NOON)
    name = hazards.place(OPERATOR, "h1", ACCIDENT, clock.now(), lasts_s=600)
    assert name.ends_utc_s == NOON // NS_PER_S + 600
    assert said_of(drive(hazards, clock, 1.5)) == [(7, None), (7, None)]
    hazards.withdraw(OPERATOR, "h1", clock.now())
    assert set(said_of(drive(hazards, clock, 30.0))) == {(7, Termination.IS_CANCELLATION)}
    assert hazards.placed == ()
    assert hazards.next_due() is None


def test_a_placed_hazard_is_over_at_its_end_to_the_second_and_cancelled() -> None:
    hazards, clock = HazardService((), StationId(42), 7), ManualClock(NOON)
    hazards.place(OPERATOR, "h1", ACCIDENT, clock.now(), lasts_s=100)
    told = drive(hazards, clock, 120.0)
    assert max(at for at, each in told if each.denm.termination is None) == 99.0
    assert min(at for at, each in told if each.denm.termination is Termination.IS_CANCELLATION) == 100.0
    assert hazards.counters["over"] == 1


@pytest.mark.parametrize(("lasts_s", "versions"), [(30, 1), (400, 1), (1_500, 5)])
def test_nobody_who_has_heard_of_a_hazard_believes_it_long_after_its_end_though_its_unit_be_lost(
    lasts_s: int, versions: int
) -> None:
    hazards, clock = HazardService((), StationId(42), 7), ManualClock(NOON)
    hazards.place(OPERATOR, "h1", replace(ACCIDENT, validity_s=600), clock.now(), lasts_s=lasts_s)
    end = timestamp_its(time64_of(clock.now().require_utc())) + lasts_s * 1_000
    said = [each.denm for _, each in drive(hazards, clock, lasts_s - 0.5)]
    believed_until = [denm.detection_time + denm.validity_duration_s * 1_000 for denm in said]
    assert max(believed_until) <= end + CANCELLED_WITHIN_S * 1_000
    assert len({denm.reference_time for denm in said}) == versions
    ends = [each.denm for _, each in drive(hazards, clock, 20.0)]
    assert {denm.termination for denm in ends} == {Termination.IS_CANCELLATION}


def test_a_hazard_that_is_placed_again_keeps_its_action_id_and_says_what_is_new() -> None:
    hazards, clock = HazardService((), StationId(42), 7), ManualClock(NOON)
    hazards.place(OPERATOR, "h1", ACCIDENT, clock.now(), lasts_s=600)
    drive(hazards, clock, 1.2)
    hazards.place(OPERATOR, "h1", replace(ACCIDENT, sub_cause_code=3), clock.now(), lasts_s=600)
    (first, *_) = drive(hazards, clock, 0.5)
    assert (first[1].action_id.sequence_number, first[1].denm.sub_cause_code, len(hazards.placed)) == (7, 3, 1)


def test_the_same_order_given_twice_changes_nothing_on_the_air() -> None:
    hazards, clock = HazardService((), StationId(42), 7), ManualClock(NOON)
    hazards.place(OPERATOR, "h1", ACCIDENT, clock.now(), lasts_s=600)
    (before,) = hazards.poll(clock.now())
    hazards.place(OPERATOR, "h1", ACCIDENT, clock.now(), lasts_s=600)
    assert hazards.poll(clock.now()) == ()
    assert hazards.live == (before,)


def test_hazards_of_one_id_from_operator_and_centre_are_two() -> None:
    hazards, clock = HazardService((), StationId(42), 7), ManualClock(NOON)
    hazards.place(OPERATOR, "h1", ACCIDENT, clock.now(), lasts_s=600)
    hazards.place(CENTRE, "h1", ACCIDENT, clock.now(), lasts_s=600)
    assert len(hazards.poll(clock.now())) == 2
    hazards.withdraw(CENTRE, "h1", clock.now())
    assert [name.source for name in hazards.placed] == [OPERATOR]


def test_what_is_not_there_cannot_be_withdrawn() -> None:
    hazards, clock = HazardService((), StationId(42)), ManualClock(NOON)
    with pytest.raises(NoSuchHazardError, match="no hazard 'h1' of operator"):
        hazards.withdraw(OPERATOR, "h1", clock.now())


def test_each_source_has_room_for_its_own_and_for_no_more() -> None:
    hazards, clock = HazardService((), StationId(42)), ManualClock(NOON)
    most = MAX_PLACED[VEHICLES]
    for number in range(most):
        hazards.place(VEHICLES, f"v{number}", ACCIDENT, clock.now(), lasts_s=600)
    with pytest.raises(HazardsFullError, match=f"vehicles: {most} of its own and {most} in all"):
        hazards.place(VEHICLES, "one-more", ACCIDENT, clock.now(), lasts_s=600)
    hazards.place(OPERATOR, hazards.free_id(OPERATOR), ACCIDENT, clock.now(), lasts_s=600)
    assert hazards.counters["refused"] == 1
    assert len(hazards.poll(clock.now())) == most + 1


def test_an_id_that_is_free_is_the_smallest() -> None:
    hazards, clock = HazardService((), StationId(42)), ManualClock(NOON)
    for _ in range(3):
        hazards.place(OPERATOR, hazards.free_id(OPERATOR), ACCIDENT, clock.now(), lasts_s=600)
    hazards.withdraw(OPERATOR, "h2", clock.now())
    assert hazards.free_id(OPERATOR) == "h2"


@pytest.mark.parametrize("hazard_id", ["", "a b", "x" * 65, "-h", "h/1", "h\n"])
def test_an_id_that_could_be_mistaken_is_refused(hazard_id: str) -> None:
    with pytest.raises(ConfigError, match="id: an id has"):
        HazardService((), StationId(42)).place(OPERATOR, hazard_id, ACCIDENT, ManualClock(NOON).now(), lasts_s=600)


@pytest.mark.parametrize("lasts_s", [0, 9, 30 * 86_400 + 1])
def test_a_hazard_lasts_ten_seconds_to_thirty_days(lasts_s: int) -> None:
    with pytest.raises(ConfigError, match="lasts_s"):
        HazardService((), StationId(42)).place(OPERATOR, "h1", ACCIDENT, ManualClock(NOON).now(), lasts_s=lasts_s)


def test_while_utc_is_not_known_nothing_is_placed_for_nobody_knows_its_end() -> None:
    with pytest.raises(UntrustedTimeError):
        HazardService((), StationId(42)).place(OPERATOR, "h1", ACCIDENT, ManualClock(None).now(), lasts_s=600)


def test_where_nothing_is_kept_a_placed_hazard_ends_with_the_unit() -> None:
    hazards, clock = HazardService((), StationId(42), 7), ManualClock(NOON)
    hazards.place(OPERATOR, "h1", ACCIDENT, clock.now(), lasts_s=600)
    hazards.poll(clock.now())
    (last,) = hazards.stop(clock.now())
    assert last.denm.termination is Termination.IS_CANCELLATION
    with pytest.raises(HazardsFullError):
        hazards.place(OPERATOR, "h2", ACCIDENT, clock.now(), lasts_s=600)


def started(path: Path) -> HazardService:
    store = EventStore(path)
    memory = store.take_over().memory
    resumed = None if memory is None else memory.events
    return HazardService((), StationId(42), 7, resumed=resumed, keeper=StoredEvents(store, lambda: NAME))


def at(seconds: float, *, utc: bool = True, started_s: float = 0.0) -> Instant:
    return Instant(MonotonicNs(round((seconds - started_s) * NS_PER_S)), UtcNs(NOON + round(seconds * NS_PER_S)) if utc else None)


def test_after_a_restart_operator_and_centre_go_on_under_their_action_ids_and_what_others_found_is_taken_back(
    tmp_path: Path,
) -> None:
    before = started(tmp_path / "events")
    for number, source in enumerate((OPERATOR, CENTRE, VEHICLES)):
        place = replace(ACCIDENT, position=displaced(SITE, 50.0 * number, 0.0), validity_s=300)
        before.place(source, "h1", place, at(0), lasts_s=100)
    assert len(before.poll(at(0))) == 3
    assert {each.action_id.sequence_number for each in before.stop(at(5))} == {9}
    again = started(tmp_path / "events")
    said = {each.action_id.sequence_number: each.denm.termination for each in again.poll(at(20, started_s=20))}
    assert said == {7: None, 8: None, 9: Termination.IS_CANCELLATION}
    assert [name.source for name in again.placed] == [OPERATOR, CENTRE]
    again.withdraw(CENTRE, "h1", at(21, started_s=20))
    again.poll(at(21, started_s=20))
    over = {each.action_id.sequence_number: each.denm.termination for each in again.poll(at(100, started_s=20))}
    assert over[7] is Termination.IS_CANCELLATION, "its end is known from before the restart"
    assert again.placed == ()


def test_a_restart_without_utc_keeps_a_placed_hazard_until_the_end_is_known_to_have_passed(tmp_path: Path) -> None:
    before = started(tmp_path / "events")
    before.place(OPERATOR, "h1", replace(ACCIDENT, validity_s=3_600), at(0), lasts_s=100)
    before.poll(at(0))
    again = started(tmp_path / "events")
    assert again.poll(at(200, utc=False, started_s=200)) == ()
    assert len(again.placed) == 1
    (said,) = again.poll(at(201, started_s=200))
    assert said.denm.termination is Termination.IS_CANCELLATION


def test_what_a_status_says_of_a_name_is_who_placed_it_and_until_when() -> None:
    assert name_status("operator/h1/1796000000") == {"source": "operator", "id": "h1", "ends": "2026-11-30T00:53:20.000Z"}
    assert name_status("vehicles/v1/-") == {"source": "vehicles", "id": "v1", "ends": None}
    assert name_status("3@48.1370000,11.5750000#1") == {"source": "configured", "id": None, "ends": None}


@pytest.mark.parametrize("text", ["", "operator/h1", "stranger/h1/1", "operator//1", "operator/h1/x", "operator/h1/-1", "a/b/c/d"])
def test_what_is_no_placed_name_is_taken_for_none(text: str) -> None:
    assert parse_placed_name(text) is None
