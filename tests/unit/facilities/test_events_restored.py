"""What becomes of a station's own events over a restart, and whatever is done to them in whatever order."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.clock import NS_PER_S, Instant, ManualClock, MonotonicNs, UtcNs
from shared.core.errors import DecodeError
from shared.core.ids import ActionId, StationId, StationType
from shared.core.itstime import TimestampIts
from shared.facilities.event_report import Announcement, EventReport, EventsFullError, NoSuchEventError
from shared.facilities.originated_events import RESTART_GAP, OriginatedEvents
from shared.facilities.received_events import ReceivedEvents
from shared.facilities.saved_events import SavedEvents, read_saved
from shared.messages.cdd import CauseCode
from shared.messages.denm import Alacarte, RoadWorks, Termination
from shared.network.area import Circle, Ellipse, Rectangle
from tests.unit.facilities.event_scenes import NOON, SITE, its, trace
from tests.unit.vehicle_agent.verified_messages import verified

CAR = StationId(7)
REPORT = EventReport(
    name="breakdown",
    cause_code=CauseCode.STATIONARY_VEHICLE,
    sub_cause_code=2,
    position=SITE,
    area=Circle(centre=SITE, radius_m=500.0),
    validity_s=60,
    repetition_interval_ms=1_000,
    repetition_duration_s=20.0,
)


def before(seconds: float) -> Instant:
    return Instant(MonotonicNs(round((5_000 + seconds) * NS_PER_S)), UtcNs(NOON + round(seconds * NS_PER_S)))


def after(seconds: float) -> Instant:
    """The clock that never jumps begins anew with a restart."""
    return Instant(MonotonicNs(round((seconds - 20) * NS_PER_S)), UtcNs(NOON + round(seconds * NS_PER_S)))


def origin() -> OriginatedEvents:
    return OriginatedEvents(CAR, StationType.PASSENGER_CAR, 5, 8)


def over_the_disk(events: OriginatedEvents) -> SavedEvents:
    return msgspec.json.decode(msgspec.json.encode(events.snapshot()), type=SavedEvents)


def restarted(events: OriginatedEvents, now: Instant) -> OriginatedEvents:
    return OriginatedEvents.restored(over_the_disk(events), StationType.PASSENGER_CAR, now, 8)


def terminations(said: tuple[Announcement, ...]) -> list[tuple[int, Termination | None]]:
    return [(each.action_id.sequence_number, each.denm.termination) for each in said]


def test_a_live_event_goes_on_under_its_action_id_and_can_be_cancelled() -> None:
    events = origin()
    action_id = events.trigger(REPORT, before(0))
    (said,) = events.poll(before(0))
    again = restarted(events, after(30))
    (live,) = again.live
    assert (live.action_id, live.report.name, live.expires) == (action_id, "breakdown", after(60).monotonic)
    (repeated,) = again.poll(after(30))
    assert (repeated.denm, repeated.area) == (said.denm, said.area)
    assert again.next_due() is None  # its twenty seconds of repetition are over
    again.cancel(action_id, after(31))
    (over,) = again.poll(after(31))
    assert (over.denm.termination, over.denm.action_id) == (Termination.IS_CANCELLATION, action_id)
    assert over.denm.reference_time == its(31) > said.denm.reference_time


def test_repetition_goes_on_to_where_it_would_have_ended() -> None:
    events = origin()
    events.trigger(REPORT, before(0))
    events.poll(before(0))
    again = restarted(events, after(15))
    times = []
    for second in range(15, 40):
        times += [second for _ in again.poll(after(second))]
    assert times == [15, 16, 17, 18, 19]


@pytest.mark.parametrize(
    "area",
    [
        Circle(centre=SITE, radius_m=500.0),
        Rectangle(centre=SITE, a_m=500.0, b_m=20.0, azimuth_deg=45.0),
        Ellipse(centre=SITE, a_m=500.0, b_m=20.0, azimuth_deg=45.0),
    ],
)
def test_everything_said_comes_back_to_be_updated(area: Circle | Rectangle | Ellipse) -> None:
    report = replace(
        REPORT,
        area=area,
        information_quality=4,
        event_heading_deg=90.0,
        event_heading_confidence_deg=10.0,
        traces=(trace((-100, 0)),),
        alacarte=Alacarte(road_works=RoadWorks(speed_limit_mps=50 / 3.6)),
    )
    events = origin()
    events.trigger(report, before(0))
    events.poll(before(0))
    (live,) = restarted(events, after(1)).live
    assert live.report.area.contains(SITE)
    assert (type(live.report.area), live.report.event_heading_deg, live.report.information_quality) == (type(area), 90.0, 4)
    assert live.report.traces is not None
    assert live.report.alacarte == report.alacarte


def test_what_ran_out_meanwhile_is_gone() -> None:
    events = origin()
    events.trigger(REPORT, before(0))
    events.poll(before(0))
    again = restarted(events, after(60))
    assert (again.live, again.poll(after(60))) == ((), ())


def test_what_was_never_said_is_not_kept_and_what_was_not_numbered_in_what_is_kept_is_passed_over() -> None:
    events = origin()
    events.trigger(REPORT, before(0))
    again = restarted(events, after(1))
    assert again.live == ()
    assert again.trigger(REPORT, after(1)).sequence_number == 5 + 1 + RESTART_GAP


def test_a_cancellation_that_may_not_have_left_is_said_again_for_as_long_as_a_fresh_one() -> None:
    events = origin()
    action_id = events.trigger(REPORT, before(0))
    events.poll(before(0))
    events.cancel(action_id, before(1))
    (kept,) = events.poll(before(1))
    again = restarted(events, after(30))
    said = [each for step in range(100) for each in again.poll(after(30 + step / 4))]
    assert len(said) == 20
    assert {each.denm for each in said} == {kept.denm}
    assert again.live == ()


def test_a_cancellation_that_was_kept_but_never_dated_is_dated_after_the_restart() -> None:
    events = origin()
    action_id = events.trigger(REPORT, before(0))
    events.poll(before(0))
    events.cancel(action_id, Instant(before(1).monotonic, None))
    again = restarted(events, after(2))
    assert terminations(again.poll(after(2))) == [(5, Termination.IS_CANCELLATION)]


def test_without_utc_nothing_is_said_after_a_restart_and_nothing_lost() -> None:
    events = origin()
    action_id = events.trigger(REPORT, before(0))
    events.poll(before(0))
    clock = ManualClock(None, MonotonicNs(0))
    again = restarted(events, clock.now())
    assert again.poll(clock.advance(5 * NS_PER_S)) == ()
    assert [event.action_id for event in again.live] == [action_id]
    assert over_the_disk(again).events == events.snapshot().events
    clock.set_utc(before(10).utc)
    assert terminations(again.poll(clock.now())) == [(5, None)]
    assert [event.expires for event in again.live] == [clock.now().monotonic + 50 * NS_PER_S]


@pytest.mark.parametrize("at_s", [59.0, 61.0, 1_000.0])
def test_what_is_cancelled_before_utc_comes_back_is_said_if_it_still_matters(at_s: float) -> None:
    events = origin()
    action_id = events.trigger(REPORT, before(0))
    events.poll(before(0))
    clock = ManualClock(None, MonotonicNs(0))
    again = restarted(events, clock.now())
    again.cancel(action_id, clock.now())
    clock.set_utc(before(at_s).utc)
    said = again.poll(clock.now())
    assert terminations(said) == ([(5, Termination.IS_CANCELLATION)] if at_s < 60 else [])


def test_what_is_updated_before_utc_comes_back_begins_anew() -> None:
    events = origin()
    action_id = events.trigger(REPORT, before(0))
    events.poll(before(0))
    clock = ManualClock(None, MonotonicNs(0))
    again = restarted(events, clock.now())
    again.update(action_id, REPORT, clock.now())
    clock.set_utc(before(100).utc)
    assert terminations(again.poll(clock.now())) == [(5, None)]


def test_a_second_restart_keeps_what_the_first_brought_back() -> None:
    events = origin()
    events.trigger(REPORT, before(0))
    events.poll(before(0))
    again = restarted(events, after(5))
    again.poll(after(5))
    assert over_the_disk(again).events == events.snapshot().events
    assert [event.expires for event in restarted(again, after(10)).live] == [after(60).monotonic]


def test_the_revision_grows_whenever_something_else_is_to_be_kept() -> None:
    events = origin()
    seen = [events.revision]

    def has_grown() -> bool:
        seen.append(events.revision)
        return seen[-1] > seen[-2]

    action_id = events.trigger(REPORT, before(0))
    assert has_grown()
    events.poll(before(0))
    assert has_grown()
    events.poll(before(1))
    assert not has_grown()
    events.update(action_id, REPORT, before(2))
    events.poll(before(2))
    assert has_grown()
    events.cancel(action_id, before(3))
    assert has_grown()
    events.trigger(replace(REPORT, validity_s=1), before(3))
    events.poll(before(3))
    has_grown()
    events.poll(before(4))
    assert has_grown()


def test_what_cannot_be_said_is_not_kept_and_does_not_keep_the_rest_from_being_kept() -> None:
    events = origin()
    events.trigger(replace(REPORT, linked_cause_code=1, linked_sub_cause_code=256), before(0))
    sayable = events.trigger(REPORT, before(0))
    events.poll(before(0))
    assert [event.action_id for event in restarted(events, after(1)).live] == [sayable]
    assert events.counters["unsayable"] == 1


GOOD = origin()
GOOD.trigger(REPORT, before(0))
GOOD.poll(before(0))
SAVED = GOOD.snapshot()
(EVENT,) = SAVED.events


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "x" * 129}, "events[0].name"),
        ({"denm": b""}, "events[0].denm"),
        ({"denm": EVENT.denm[:-1]}, None),
        ({"denm": EVENT.denm + b"\0"}, None),
        ({"shape": 7}, "events[0].shape"),
        ({"area": EVENT.area[:-1]}, None),
        ({"interval_ms": 0}, "events[0].interval_ms"),
        ({"interval_ms": 10}, "events[0].denm"),
        ({"repeat_until": -1}, "events[0].repeat_until"),
    ],
)
def test_what_we_never_wrote_is_refused_by_field(change: dict[str, object], field: str | None) -> None:
    damaged = msgspec.structs.replace(SAVED, events=(msgspec.structs.replace(EVENT, **change),))
    with pytest.raises(DecodeError) as refusal:
        OriginatedEvents.restored(damaged, StationType.PASSENGER_CAR, after(1))
    assert field in (None, refusal.value.field)


@pytest.mark.parametrize(
    "damaged",
    [
        msgspec.structs.replace(SAVED, station_id=8),
        msgspec.structs.replace(SAVED, station_id=-1),
        msgspec.structs.replace(SAVED, next_sequence_number=65_536),
        msgspec.structs.replace(SAVED, events=(EVENT, EVENT)),
        msgspec.structs.replace(SAVED, events=(EVENT,) * 513),
    ],
)
def test_events_of_another_station_twice_or_too_many_are_refused(damaged: SavedEvents) -> None:
    with pytest.raises(DecodeError):
        read_saved(damaged)


def test_an_ended_event_does_not_come_back_as_one_that_lasts() -> None:
    events = origin()
    action_id = events.trigger(REPORT, before(0))
    events.poll(before(0))
    events.cancel(action_id, before(1))
    events.poll(before(1))
    (ended,) = events.snapshot().events
    lying = msgspec.structs.replace(events.snapshot(), events=(msgspec.structs.replace(ended, is_ended=False),))
    with pytest.raises(DecodeError, match="is_ended"):
        read_saved(lying)


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["trigger", "update", "cancel", "wait", "restart", "assume", "utc", "dark"]),
        st.integers(min_value=0, max_value=9),
        st.integers(min_value=0, max_value=30),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(OPERATIONS)
def test_whatever_is_done_in_whatever_order_a_receiver_believes_only_what_lives(operations: list[tuple[str, int, int]]) -> None:
    """At most one live event per action id, nothing after a cancellation but the cancellation, versions that only grow."""
    clock = ManualClock(NOON, MonotonicNs(10 * NS_PER_S))
    events, receiver = origin(), ReceivedEvents()
    known: list[ActionId] = []
    cancelled: set[ActionId] = set()
    latest: dict[ActionId, TimestampIts] = {}
    names = 1
    for operation, which, wait_s in operations:
        now = clock.now()
        chosen = known[which % len(known)] if known else ActionId(CAR, 0)
        try:
            if operation == "trigger":
                known.append(events.trigger(replace(REPORT, validity_s=1 + 5 * which), now))
            elif operation == "update":
                events.update(chosen, REPORT, now)
            elif operation == "cancel":
                events.cancel(chosen, now)
                cancelled.add(chosen)
            elif operation == "restart":
                events = OriginatedEvents.restored(over_the_disk(events), StationType.PASSENGER_CAR, now, 8)
            elif operation == "assume":
                names += 1
                known += events.assume(StationId(CAR + names), which, now).values()
            elif operation == "utc":
                clock.set_utc(UtcNs(NOON + now.monotonic - 10 * NS_PER_S))
            elif operation == "dark":
                clock.set_utc(None)
        except (NoSuchEventError, EventsFullError):
            pass
        now = clock.advance(wait_s * NS_PER_S)
        said = events.poll(now)
        assert len({each.action_id for each in said}) == len(said) <= 8 + len(cancelled)
        assert not said or now.utc is not None
        live = [event.action_id for event in events.live]
        assert len(set(live)) == len(live) <= 8
        for each in said:
            denm = each.denm
            assert denm.reference_time >= latest.get(each.action_id, 0)
            latest[each.action_id] = denm.reference_time
            assert denm.station_id == each.action_id.originating_station_id == events.station_id
            assert denm.detection_time <= denm.reference_time
            assert each.action_id not in cancelled or denm.termination is Termination.IS_CANCELLATION
            receiver.hear(verified(denm, now), now)
        if now.utc is not None:
            receiver.expire(now.monotonic)
            believed = {event.key[0] for event in receiver}
            assert not believed & cancelled & {each.action_id for each in said}
