from collections.abc import Callable
from dataclasses import replace
from errno import EIO
from os import strerror
from pathlib import Path
from random import Random

import msgspec
import pytest

from rsu_agent.hazard_service import Announcement, Hazard, HazardService
from shared.core.clock import NS_PER_S, Instant, ManualClock, MonotonicNs, UtcNs
from shared.core.errors import DecodeError
from shared.core.geo import displaced
from shared.core.ids import HashedId8, StationId, StationType
from shared.core.itstime import utc_from_text
from shared.facilities.originated_events import RESTART_GAP
from shared.facilities.saved_events import SavedEvents
from shared.messages.denm import Termination
from shared.service.event_store import EventStore, StoredEvents, saved_pseudonym, write_private_file
from shared.stack.station import StationIdentity
from tests.unit.rsu_agent.test_hazard_service import ROADWORKS, SITE

NOON = utc_from_text("2026-11-22T12:00:00Z")
RSU = StationId(42)
IDENTITY = replace(StationIdentity.drawn(StationType.ROAD_SIDE_UNIT, Random(1).randbytes), station_id=RSU)
NAME = saved_pseudonym(IDENTITY, HashedId8(b"a ticket"))
FURTHER = replace(ROADWORKS, position=displaced(SITE, 500, 0), traces=())


def at(seconds: float, started_s: float = 0.0) -> Instant:
    return Instant(MonotonicNs(round((seconds - started_s) * NS_PER_S)), UtcNs(NOON + round(seconds * NS_PER_S)))


class Unit:
    """A unit that may be started again and again on one file."""

    def __init__(self, path: Path, write: Callable[[Path, bytes], None] = write_private_file) -> None:
        self.store = EventStore(path, write=write)
        self.started_s = 0.0

    def start(self, *hazards: Hazard, at_s: float) -> tuple[Announcement, ...]:
        self.started_s = at_s
        memory = self.store.take_over().memory
        resumed = None if memory is None else memory.events
        self.service = HazardService(hazards, RSU, 7, resumed=resumed, keeper=StoredEvents(self.store, lambda: NAME))
        return self.poll(at_s)

    def poll(self, seconds: float) -> tuple[Announcement, ...]:
        return self.service.poll(at(seconds, self.started_s))

    def stop(self, seconds: float) -> tuple[Announcement, ...]:
        return self.service.stop(at(seconds, self.started_s))


def terminations(said: tuple[Announcement, ...]) -> dict[int, Termination | None]:
    return {each.action_id.sequence_number: each.denm.termination for each in said}


def test_a_hazard_that_is_still_configured_is_updated_under_its_action_id(tmp_path: Path) -> None:
    unit = Unit(tmp_path / "events")
    (first,) = unit.start(ROADWORKS, at_s=0)
    (second,) = unit.start(replace(ROADWORKS, speed_limit_mps=50 / 3.6), at_s=20)
    assert second.action_id == first.action_id
    assert second.denm.reference_time == first.denm.reference_time + 20_000
    assert second.denm.alacarte != first.denm.alacarte
    assert unit.service.counters["resumed"] == 1


def test_a_hazard_removed_while_the_unit_was_down_is_cancelled_and_a_new_one_has_another_number(tmp_path: Path) -> None:
    unit = Unit(tmp_path / "events")
    assert terminations(unit.start(ROADWORKS, FURTHER, at_s=0)) == {7: None, 8: None}
    third = replace(ROADWORKS, cause_code=10, traces=())
    said = unit.start(third, FURTHER, at_s=20)
    assert terminations(said) == {7: Termination.IS_CANCELLATION, 8: None, 9 + RESTART_GAP: None}
    assert (unit.service.counters["removed"], unit.service.counters["resumed"]) == (1, 1)
    assert {each.action_id.sequence_number for each in unit.service.live} == {8, 9 + RESTART_GAP}


def test_of_several_hazards_at_one_place_as_many_stay_as_are_configured(tmp_path: Path) -> None:
    unit = Unit(tmp_path / "events")
    assert len(unit.start(ROADWORKS, ROADWORKS, at_s=0)) == 2
    assert terminations(unit.start(ROADWORKS, at_s=20)) == {7: None, 8: Termination.IS_CANCELLATION}


def test_a_cancellation_goes_on_after_a_restart_and_then_the_file_is_gone(tmp_path: Path) -> None:
    unit = Unit(tmp_path / "events")
    unit.start(ROADWORKS, at_s=0)
    (stopped,) = unit.stop(5)
    (again,) = unit.start(at_s=6)
    assert again == stopped
    assert unit.store.load() is not None
    unit.poll(59)
    unit.poll(61)
    assert unit.store.load() is None


def test_a_hazard_that_shall_outlast_the_unit_is_neither_cancelled_nor_forgotten(tmp_path: Path) -> None:
    unit = Unit(tmp_path / "events")
    lasting = replace(ROADWORKS, cancel_at_stop=False)
    (first,) = unit.start(lasting, at_s=0)
    assert unit.stop(5) == ()
    assert unit.service.next_due() is None
    (second,) = unit.start(lasting, at_s=10)
    assert (second.action_id, second.denm.termination) == (first.action_id, None)


def test_a_unit_down_for_so_long_that_everything_ran_out_begins_anew(tmp_path: Path) -> None:
    unit = Unit(tmp_path / "events")
    unit.start(ROADWORKS, at_s=0)
    assert terminations(unit.start(ROADWORKS, at_s=60)) == {8 + RESTART_GAP: None}


def test_a_restart_without_utc_waits_for_it_and_then_cancels_what_was_removed(tmp_path: Path) -> None:
    unit = Unit(tmp_path / "events")
    unit.start(ROADWORKS, FURTHER, at_s=0)
    memory = unit.store.load()
    assert memory is not None
    clock = ManualClock(None, MonotonicNs(0))
    service = HazardService((FURTHER,), RSU, resumed=memory.events, keeper=StoredEvents(unit.store, lambda: NAME))
    assert service.next_due() == 0
    assert service.poll(clock.now()) == ()
    clock.advance(10 * NS_PER_S)
    clock.set_utc(UtcNs(NOON + 20 * NS_PER_S))
    assert terminations(service.poll(clock.now())) == {7: Termination.IS_CANCELLATION, 8: None}


def test_another_stations_events_are_let_go(tmp_path: Path) -> None:
    unit = Unit(tmp_path / "events")
    unit.start(ROADWORKS, at_s=0)
    memory = unit.store.load()
    assert memory is not None
    service = HazardService((ROADWORKS,), StationId(43), 7, resumed=memory.events)
    assert terminations(service.poll(at(1))) == {7: None}


def test_what_no_unit_wrote_is_refused(tmp_path: Path) -> None:
    unit = Unit(tmp_path / "events")
    unit.start(ROADWORKS, at_s=0)
    memory = unit.store.load()
    assert memory is not None
    twice = msgspec.structs.replace(memory.events, events=memory.events.events * 2)
    with pytest.raises(DecodeError):
        HazardService((), RSU, resumed=twice)


@pytest.mark.parametrize("is_done", [False, True])
def test_where_nothing_can_be_kept_a_hazard_is_told_of_all_the_same_and_after_a_restart_updated(
    tmp_path: Path, *, is_done: bool
) -> None:
    """Failed but persisted: the restarted unit resumes it. Failed and not persisted: it begins with the same number again."""
    failures = [OSError(EIO, strerror(EIO))]

    def write(path: Path, octets: bytes) -> None:
        if is_done or not failures:
            write_private_file(path, octets)
        for failure in failures:
            raise failure

    unit = Unit(tmp_path / "events", write)
    (first,) = unit.start(ROADWORKS, at_s=0)
    assert "Input/output error" in str(unit.service.trouble)
    unit.poll(1)
    assert unit.service.counters["not_kept"] == 2
    (second,) = unit.start(ROADWORKS, at_s=2)
    assert second.action_id == first.action_id
    assert second.denm.reference_time == first.denm.reference_time + 2_000
    assert unit.service.counters.get("resumed", 0) == is_done
    failures.clear()
    unit.poll(3)
    assert unit.service.trouble is None
    memory = unit.store.load()
    assert memory is not None
    assert len(memory.events.events) == 1


def test_a_damaged_file_costs_the_memory_and_nothing_else(tmp_path: Path) -> None:
    unit = Unit(tmp_path / "events")
    unit.start(ROADWORKS, at_s=0)
    unit.store.path.write_bytes(b"damaged")
    assert terminations(unit.start(ROADWORKS, at_s=1)) == {7: None}


def test_what_is_kept_is_kept_before_it_is_said_and_only_when_it_changes() -> None:
    kept: list[SavedEvents] = []

    class Keeper:
        def keep(self, events: SavedEvents) -> None:
            kept.append(events)

    service = HazardService((ROADWORKS,), RSU, 7, keeper=Keeper())
    service.poll(at(0))
    assert [len(each.events) for each in kept] == [1]
    for second in range(1, 30):
        service.poll(at(second))
    assert len(kept) == 1
    service.poll(at(30))
    assert len(kept) == 2
    service.stop(at(31))
    assert [each.is_ended for each in kept[-1].events] == [True]
