from dataclasses import replace

import msgspec
import pytest

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, ManualClock, MonotonicNs
from shared.core.errors import EncodeError, UntrustedTimeError
from shared.core.ids import ActionId, StationId, StationType
from shared.facilities.event_report import Announcement, EventReport, EventsFullError, NoSuchEventError
from shared.facilities.originated_events import MAX_ENDED, MAX_NEGATIONS, NEGATION_RADIUS_M, OriginatedEvents
from shared.messages.cdd import CauseCode
from shared.messages.denm import Denm, RelevanceDistance, RelevanceTrafficDirection, Termination, decode_denm, encode_denm
from shared.network.area import Circle
from tests.unit.facilities.event_scenes import ROADWORKS, SITE, at, its
from tests.unit.vehicle_agent.verified_messages import verified

CAR = StationId(7)
REPORT = EventReport(
    cause_code=CauseCode.STATIONARY_VEHICLE,
    sub_cause_code=2,
    position=SITE,
    area=Circle(centre=SITE, radius_m=500.0),
    validity_s=60,
    repetition_interval_ms=1_000,
    repetition_duration_s=20.0,
    information_quality=3,
    relevance_distance=RelevanceDistance.LESS_THAN_500M,
    relevance_traffic_direction=RelevanceTrafficDirection.UPSTREAM_TRAFFIC,
)
ONCE = replace(REPORT, repetition_interval_ms=None, repetition_duration_s=None)


def origin(first: int = 5, capacity: int = 8) -> OriginatedEvents:
    return OriginatedEvents(CAR, StationType.PASSENGER_CAR, first, capacity)


def drive(events: OriginatedEvents, begin_s: float, end_s: float) -> list[tuple[float, Announcement]]:
    """Poll whenever something is due in [begin, end)."""
    said: list[tuple[float, Announcement]] = []
    now = at(begin_s)
    while True:
        due = events.next_due()
        if due is None or max(due, now.monotonic) >= at(end_s).monotonic:
            return said
        now = at((max(due, now.monotonic) - at(0).monotonic) / NS_PER_S)
        said += [((now.monotonic - at(0).monotonic) / NS_PER_S, each) for each in events.poll(now)]


def one(said: tuple[Announcement, ...]) -> Denm:
    (announcement,) = said
    return decode_denm(encode_denm(announcement.denm))


def numbers(said: tuple[Announcement, ...]) -> list[int]:
    return [each.action_id.sequence_number for each in said]


def test_a_triggered_event_is_said_at_once_as_it_was_reported() -> None:
    events = origin()
    action_id = events.trigger(REPORT, at(0))
    (said,) = events.poll(at(0))
    assert (action_id, said.action_id, said.area) == (ActionId(CAR, 5), action_id, REPORT.area)
    denm = decode_denm(encode_denm(said.denm))
    assert (denm.station_id, denm.station_type, denm.action_id) == (CAR, StationType.PASSENGER_CAR, action_id)
    assert (denm.detection_time, denm.reference_time, denm.termination) == (its(0), its(0), None)
    assert (denm.cause_code, denm.sub_cause_code, denm.information_quality) == (94, 2, 3)
    assert (denm.validity_duration_s, denm.transmission_interval_ms, denm.traces) == (60, 1_000, None)
    assert (denm.relevance_distance, denm.relevance_traffic_direction) == (
        RelevanceDistance.LESS_THAN_500M,
        RelevanceTrafficDirection.UPSTREAM_TRAFFIC,
    )


def test_it_is_repeated_word_for_word_every_interval_for_its_duration() -> None:
    events = origin()
    events.trigger(REPORT, at(0))
    said = drive(events, 0, 100)
    assert [second for second, _ in said] == [float(second) for second in range(20)]
    assert len({each.denm for _, each in said}) == 1


def test_without_a_duration_it_is_repeated_as_long_as_it_is_valid_and_without_an_interval_once() -> None:
    events = origin()
    events.trigger(replace(REPORT, repetition_duration_s=None), at(0))
    events.trigger(ONCE, at(0))
    said = [each.action_id.sequence_number for _, each in drive(events, 0, 100)]
    assert (said.count(5), said.count(6)) == (60, 1)


def test_an_event_that_is_not_repeated_any_more_is_live_until_it_runs_out() -> None:
    events = origin()
    action_id = events.trigger(REPORT, at(0))
    drive(events, 0, 30)
    assert events.is_live(action_id, at(59.999))
    assert [(event.action_id, event.expires) for event in events.live] == [(action_id, at(60).monotonic)]
    assert not events.is_live(action_id, at(60))
    assert (events.live, events.counters["expired"], events.holds()) == ((), 1, ())


def test_after_a_long_sleep_there_is_one_repetition_and_no_backlog() -> None:
    events = origin()
    events.trigger(REPORT, at(0))
    events.poll(at(0))
    assert len(events.poll(at(10.5))) == 1
    assert events.poll(at(10.5)) == ()
    assert events.next_due() == at(11.5).monotonic


def test_an_update_keeps_the_action_id_is_later_and_begins_validity_and_repetition_anew() -> None:
    events = origin()
    action_id = events.trigger(REPORT, at(0))
    drive(events, 0, 15)
    events.update(action_id, replace(REPORT, sub_cause_code=5), at(15))
    said = drive(events, 15, 100)
    assert [second for second, _ in said] == [float(second) for second in range(15, 35)]
    (denm,) = {each.denm for _, each in said}
    assert (denm.action_id, denm.sub_cause_code) == (action_id, 5)
    assert (denm.detection_time, denm.reference_time) == (its(15), its(15))


def test_two_versions_within_a_millisecond_or_after_the_clock_was_set_back_are_told_apart() -> None:
    events = origin()
    action_id = events.trigger(ONCE, at(10))
    events.poll(at(10))
    events.update(action_id, ONCE, at(10))
    assert one(events.poll(at(10))).reference_time == its(10) + 1
    events.update(action_id, ONCE, at(11))
    set_back = Instant(at(11).monotonic, at(3).utc)
    assert one(events.poll(set_back)).reference_time == its(10) + 2


def test_what_is_not_live_cannot_be_updated() -> None:
    events = origin()
    cancelled, expired = events.trigger(REPORT, at(0)), events.trigger(REPORT, at(0))
    events.poll(at(0))
    events.cancel(cancelled, at(1))
    stranger = ActionId(StationId(8), expired.sequence_number)
    for action_id, seconds in ((cancelled, 2.0), (expired, 60.0), (ActionId(CAR, 99), 2.0), (stranger, 2.0)):
        with pytest.raises(NoSuchEventError, match="is not live") as refusal:
            events.update(action_id, REPORT, at(seconds))
        assert refusal.value.code == "no_such_event"


def test_a_cancellation_is_the_management_container_alone_and_outlasts_what_it_cancels() -> None:
    events = origin()
    action_id = events.trigger(REPORT, at(0))
    events.poll(at(0))
    events.cancel(action_id, at(12.3))
    (said,) = events.poll(at(12.3))
    denm = decode_denm(encode_denm(said.denm))
    assert (denm.termination, denm.action_id, denm.station_id) == (Termination.IS_CANCELLATION, action_id, CAR)
    assert (denm.cause_code, denm.traces, denm.alacarte, denm.information_quality) == (None, None, None, None)
    assert (denm.detection_time, denm.reference_time) == (its(12.3), its(12.3))
    assert denm.detection_time + denm.validity_duration_s * 1_000 >= its(60)
    assert denm.transmission_interval_ms == 500
    assert (denm.lat_deg, denm.relevance_distance, said.area) == (SITE.lat_deg, REPORT.relevance_distance, REPORT.area)


@pytest.mark.parametrize(("interval_ms", "times"), [(100, 100), (500, 20), (10_000, 20), (None, 20)])
def test_a_cancellation_is_repeated_for_ten_seconds_so_that_it_arrives(interval_ms: int | None, times: int) -> None:
    events = origin()
    action_id = events.trigger(replace(REPORT, repetition_interval_ms=interval_ms), at(0))
    events.poll(at(0))
    events.cancel(action_id, at(5))
    said = drive(events, 5, 100)
    assert (len(said), said[0][0]) == (times, 5.0)
    assert said[-1][0] < 15
    assert len({each.denm for _, each in said}) == 1
    assert events.next_due() is None


def test_nothing_is_cancelled_after_it_would_have_run_out() -> None:
    events = origin()
    action_id = events.trigger(REPORT, at(0))
    events.poll(at(0))
    events.cancel(action_id, at(58))
    assert [second for second, _ in drive(events, 58, 100)] == [58.0, 58.5, 59.0, 59.5]


def test_what_was_cancelled_or_ran_out_or_was_never_heard_of_is_cancelled_without_a_word() -> None:
    events = origin()
    action_id = events.trigger(REPORT, at(0))
    events.poll(at(0))
    events.cancel(action_id, at(1))
    before = len(drive(events, 1, 50))
    for other in (action_id, ActionId(CAR, 99), ActionId(StationId(8), 5)):
        events.cancel(other, at(50))
    assert (before, drive(events, 50, 100), events.counters["cancelled"]) == (20, [], 1)


def test_an_event_that_was_never_said_ends_unsaid() -> None:
    events = origin()
    events.cancel(events.trigger(REPORT, at(0)), at(0))
    assert (events.poll(at(0)), events.live, events.counters["never_said"]) == ((), (), 1)


def test_a_silenced_event_runs_out_by_itself() -> None:
    events = origin()
    action_id = events.trigger(REPORT, at(0))
    events.poll(at(0))
    events.silence(action_id)
    events.silence(ActionId(CAR, 99))
    assert (drive(events, 0, 100), events.is_live(action_id, at(59))) == ([], True)


def test_action_ids_count_on_wrap_and_pass_over_what_is_live_or_was_cancelled_and_might_still_be_remembered() -> None:
    events = OriginatedEvents(CAR, StationType.PASSENGER_CAR, 65_534)
    lasting = replace(REPORT, validity_s=86_400)
    first, second, third = (events.trigger(lasting, at(0)) for _ in range(3))
    assert [each.sequence_number for each in (first, second, third)] == [65_534, 65_535, 0]
    events.poll(at(0))
    events.cancel(second, at(0))
    brief = replace(ONCE, validity_s=1)
    given = [events.trigger(brief, at(number)).sequence_number for number in range(1, 65_534 + 2)]
    assert given == [*range(1, 65_534), 1, 2]
    assert events.trigger(brief, at(86_400)).sequence_number == 3


def test_numbers_beyond_sixteen_bits_and_a_station_without_room_do_not_exist() -> None:
    for number in (-1, 65_536):
        with pytest.raises(EncodeError):
            origin(number)
    with pytest.raises(ValueError, match="at least one"):
        origin(capacity=0)


def test_beyond_its_capacity_a_station_tells_of_nothing_more_until_something_ends() -> None:
    events = origin(capacity=2)
    first = events.trigger(REPORT, at(0))
    events.trigger(REPORT, at(30))
    events.poll(at(30))
    with pytest.raises(EventsFullError, match="2 events") as refusal:
        events.trigger(REPORT, at(30))
    assert (refusal.value.code, events.counters["refused_full"]) == ("events_full", 1)
    events.cancel(first, at(31))
    assert events.trigger(REPORT, at(31)).sequence_number == 7
    assert events.trigger(REPORT, at(90)).sequence_number == 8


def test_of_cancelled_events_so_many_are_remembered_and_no_more() -> None:
    events = origin(capacity=1)
    for number in range(MAX_ENDED + 10):
        action_id = events.trigger(replace(ONCE, validity_s=86_400), at(number))
        events.poll(at(number))
        events.cancel(action_id, at(number))
        events.poll(at(number))
    assert len(events.snapshot().events) == MAX_ENDED
    assert events.counters["let_go"] == 10


def test_while_utc_is_not_known_nothing_is_said_and_later_it_is_dated_by_how_long_ago_it_was() -> None:
    events, clock = origin(), ManualClock(None, at(0).monotonic)
    events.trigger(REPORT, clock.now())
    assert events.poll(clock.now()) == ()
    assert events.next_due() == at(1).monotonic
    assert (events.poll(clock.advance(500 * NS_PER_MS)), events.counters["untrusted_time"]) == ((), 1)
    assert (events.poll(clock.advance(3_500 * NS_PER_MS)), events.counters["untrusted_time"]) == ((), 2)
    clock.set_utc(at(4).utc)
    denm = one(events.poll(clock.now()))
    assert (denm.detection_time, denm.reference_time) == (its(0), its(4))
    assert [event.expires for event in events.live] == [at(60).monotonic]


def test_a_clock_before_its_time_counts_as_not_known() -> None:
    events = origin()
    events.trigger(REPORT, at(0))
    assert events.poll(ManualClock(None, at(0).monotonic).now()) == ()
    clock = ManualClock(None, at(0).monotonic)
    clock.set_utc(MonotonicNs(0))  # type: ignore[arg-type]  # 1970
    assert events.poll(clock.now()) == ()
    assert len(events.poll(at(1))) == 1


def test_what_ends_or_runs_out_while_utc_is_not_known_is_dated_and_counted_rightly() -> None:
    events = origin()
    said, unsaid = events.trigger(REPORT, at(0)), None
    events.poll(at(0))
    dark = ManualClock(None, at(10).monotonic)
    unsaid = events.trigger(replace(ONCE, validity_s=5), dark.now())
    events.cancel(said, dark.now())
    assert events.poll(dark.now()) == ()
    assert not events.is_live(unsaid, dark.advance(5 * NS_PER_S))
    assert events.counters["never_said"] == 1
    dark.set_utc(at(15).utc)
    denm = one(events.poll(dark.now()))
    assert (denm.termination, denm.detection_time, denm.reference_time) == (Termination.IS_CANCELLATION, its(10), its(15))


def test_somebody_elses_event_is_negated_under_their_action_id_and_its_own_reference_time() -> None:
    events = origin()
    area = Circle(centre=SITE, radius_m=300.0)
    events.negate(verified(ROADWORKS, at(5), area=area), at(5))
    said = drive(events, 5, 100)
    assert (len(said), {each.area for _, each in said}) == (20, {area})
    (denm,) = {each.denm for _, each in said}
    denm = decode_denm(encode_denm(denm))
    assert (denm.termination, denm.action_id, denm.station_id) == (Termination.IS_NEGATION, ROADWORKS.action_id, CAR)
    assert (denm.detection_time, denm.reference_time, denm.cause_code) == (its(5), ROADWORKS.reference_time, None)
    assert denm.detection_time + denm.validity_duration_s * 1_000 >= its(60)


def test_one_version_is_negated_once_and_a_later_one_again() -> None:
    events = origin()
    later = msgspec.structs.replace(ROADWORKS, reference_time=its(7))
    for denm in (ROADWORKS, ROADWORKS, later, ROADWORKS):
        events.negate(verified(denm, at(8)), at(8))
    assert one(events.poll(at(8))).reference_time == its(7)
    assert events.counters["negated"] == 2
    (said,) = {each.area for _, each in drive(events, 8, 9)}
    assert said == Circle(centre=SITE, radius_m=NEGATION_RADIUS_M)


@pytest.mark.parametrize(
    "change", [{"action_id": ActionId(CAR, 1)}, {"termination": Termination.IS_CANCELLATION}, {"lat_deg": None}, {"lon_deg": None}]
)
def test_what_is_ours_has_ended_or_has_no_place_cannot_be_negated(change: dict[str, object]) -> None:
    with pytest.raises(EncodeError):
        origin().negate(verified(msgspec.structs.replace(ROADWORKS, **change), at(0)), at(0))


def test_what_has_run_out_is_not_negated_and_without_utc_nobody_knows() -> None:
    events, indication = origin(), verified(ROADWORKS, at(0))
    events.negate(indication, at(60))
    assert events.poll(at(60)) == ()
    with pytest.raises(UntrustedTimeError):
        events.negate(indication, Instant(at(1).monotonic, None))


def test_so_many_events_of_others_are_negated_and_no_more() -> None:
    events = origin()
    for number in range(MAX_NEGATIONS + 3):
        denm = msgspec.structs.replace(ROADWORKS, action_id=ActionId(StationId(42), number))
        events.negate(verified(denm, at(0)), at(0))
    assert numbers(events.poll(at(0))) == list(range(3, MAX_NEGATIONS + 3))


def test_under_a_new_name_live_events_go_on_dated_anew_and_what_only_the_old_name_could_say_is_let_go() -> None:
    events = origin()
    lives, ended = events.trigger(REPORT, at(0)), events.trigger(REPORT, at(0))
    events.negate(verified(ROADWORKS, at(0)), at(0))
    events.poll(at(0))
    events.cancel(ended, at(1))
    renamed = events.assume(StationId(9), 300, at(10.5))
    assert renamed == {lives: ActionId(StationId(9), 300)}
    said = drive(events, 10.5, 100)
    assert [second for second, _ in said] == [10.5 + number for number in range(10)]
    (denm,) = {each.denm for _, each in said}
    assert (denm.station_id, denm.action_id) == (9, ActionId(StationId(9), 300))
    assert (denm.detection_time, denm.reference_time, denm.validity_duration_s) == (its(10.5), its(10.5), 50)
    assert (events.counters["let_go"], events.station_id) == (2, 9)
    assert not events.is_live(renamed[lives], at(60))


def test_live_events_and_cancellations_being_repeated_hold_the_name() -> None:
    events = origin()
    first, second = events.trigger(REPORT, at(0)), events.trigger(REPORT, at(0))
    events.poll(at(0))
    events.cancel(second, at(1))
    assert dict(events.holds()) == {"denm:5": at(60).monotonic, "denm:6": at(11).monotonic}
    drive(events, 1, 30)
    assert dict(events.holds()) == {"denm:5": at(60).monotonic}
    events.cancel(first, at(30))
    drive(events, 30, 59)
    assert events.holds() == ()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"cause_code": 0}, "cause_code"),
        ({"sub_cause_code": 256}, "sub_cause_code"),
        ({"validity_s": 0}, "validity_s"),
        ({"validity_s": 86_401}, "validity_s"),
        ({"repetition_interval_ms": 49}, "repetition_interval_ms"),
        ({"repetition_interval_ms": 10_001}, "repetition_interval_ms"),
        ({"repetition_duration_s": -1.0}, "repetition_duration_s"),
        ({"repetition_duration_s": float("nan")}, "repetition_duration_s"),
        ({"name": "x" * 129}, "name"),
        ({"area": Circle(centre=SITE, radius_m=1_800.0)}, "area"),
        ({"traces": ()}, None),
        ({"traces": ((),) * 8}, "traces"),
    ],
)
def test_an_impossible_report_is_refused_by_field(change: dict[str, object], field: str | None) -> None:
    if field is None:
        assert replace(REPORT, **change).traces == ()  # type: ignore[arg-type]
        return
    with pytest.raises(EncodeError) as refusal:
        replace(REPORT, **change)  # type: ignore[arg-type]
    assert refusal.value.field == f"event.{field}"


@pytest.mark.parametrize(
    "change", [{"event_heading_deg": 90.0, "event_heading_confidence_deg": 10.0}, {"event_speed_mps": 3.0}, {"traces": ()}]
)
def test_whatever_is_said_of_its_motion_brings_the_location_container_along(change: dict[str, object]) -> None:
    events = origin()
    events.trigger(replace(REPORT, **change), at(0))  # type: ignore[arg-type]
    assert one(events.poll(at(0))).traces == ((),)
