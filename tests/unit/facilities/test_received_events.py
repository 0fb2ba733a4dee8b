import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.core.clock import Instant, MonotonicNs
from shared.core.errors import UntrustedTimeError, VerificationError
from shared.core.ids import ActionId, StationId
from shared.core.report import VerificationReport
from shared.facilities.received_events import MAX_EVENTS, News, ReceivedEvent, ReceivedEvents, is_same_event
from shared.messages.cdd import CauseCode
from shared.messages.denm import Denm, Termination
from shared.network.area import Circle
from tests.unit.facilities.event_scenes import CANCELLATION, NEGATION, ROADWORKS, RSU, SITE, at, its
from tests.unit.vehicle_agent.verified_messages import ticket, verified

UPDATE = replace(ROADWORKS, detection_time=its(6), reference_time=its(6), cause_code=CauseCode.ACCIDENT)


def hear(events: ReceivedEvents, denm: Denm, seconds: float, signer: int = 1) -> News:
    return events.hear(verified(denm, at(seconds), signer=signer), at(seconds))


def heard(*denms: Denm) -> ReceivedEvents:
    events = ReceivedEvents()
    for denm in denms:
        hear(events, denm, 0)
    return events


def causes(events: ReceivedEvents) -> list[int | None]:
    return [event.denm.cause_code for event in events]


def test_a_first_word_is_new_the_same_again_is_a_repetition_and_a_later_one_an_update() -> None:
    events = ReceivedEvents()
    told = [hear(events, denm, 7) for denm in (ROADWORKS, ROADWORKS, UPDATE, ROADWORKS, UPDATE)]
    assert told == [News.NEW, News.REPEATED, News.UPDATED, News.OUTDATED, News.REPEATED]
    assert causes(events) == [CauseCode.ACCIDENT]
    assert events.counters == {"new": 1, "repeated": 2, "updated": 1, "outdated": 1}


def test_an_update_brings_a_new_place_area_and_validity() -> None:
    events = heard(ROADWORKS)
    there = replace(UPDATE, lat_deg=SITE.lat_deg + 0.001, validity_duration_s=30)
    area = Circle(centre=SITE, radius_m=99.0)
    events.hear(verified(there, at(6), area=area), at(6))
    (event,) = events
    assert event.position is not None
    assert (event.position.lat_deg, event.area, event.expires) == (SITE.lat_deg + 0.001, area, at(36).monotonic)


def test_an_update_extends_the_validity_and_an_older_version_changes_nothing() -> None:
    events = heard(ROADWORKS)
    hear(events, replace(ROADWORKS, detection_time=its(50), reference_time=its(50)), 50)
    hear(events, replace(ROADWORKS, cause_code=CauseCode.ACCIDENT), 51)
    events.expire(at(100).monotonic)
    assert causes(events) == [CauseCode.ROADWORKS]


def test_an_event_lives_to_the_end_of_its_validity_and_no_longer_even_when_the_clock_is_lost() -> None:
    events = heard(ROADWORKS)
    assert events.next_expiry() == at(60).monotonic
    events.expire(MonotonicNs(at(60).monotonic - 1))
    assert causes(events) == [CauseCode.ROADWORKS]
    events.expire(at(60).monotonic)
    assert (causes(events), len(events), events.counters["expired"], events.next_expiry()) == ([], 0, 1, None)


def test_no_event_outlives_a_day_unheard() -> None:
    events = heard(replace(ROADWORKS, detection_time=its(50), validity_duration_s=86_400))
    assert events.next_expiry() == at(86_400).monotonic


def test_an_event_ends_with_its_ticket_for_nobody_could_cancel_it_then() -> None:
    events = ReceivedEvents()
    events.hear(verified(ROADWORKS, at(0), ends_in_s=20), at(0))
    assert events.next_expiry() == at(20).monotonic


def test_a_unit_that_renewed_its_ticket_makes_a_second_event_that_is_known_to_be_the_same() -> None:
    events = heard(ROADWORKS)
    moved = replace(UPDATE, cause_code=CauseCode.ROADWORKS)
    assert hear(events, moved, 6, signer=2) is News.NEW
    old, new = events
    assert is_same_event(old, new)
    assert hear(events, replace(CANCELLATION, reference_time=its(9)), 9, signer=2) is News.CANCELLED
    assert [event.key for event in events] == [(ROADWORKS.action_id, ticket(1))]


@pytest.mark.parametrize(
    "change",
    [{"cause_code": CauseCode.ACCIDENT}, {"lat_deg": SITE.lat_deg + 0.001}, {"action_id": ActionId(RSU, 2)}],
)
def test_events_of_another_number_cause_or_place_are_never_the_same(change: dict[str, object]) -> None:
    events = heard(ROADWORKS)
    hear(events, replace(ROADWORKS, **change), 0, signer=2)
    one, other = events
    assert not is_same_event(one, other)


def test_the_announcing_station_cancels_and_neither_a_repetition_nor_the_same_cancellation_changes_that() -> None:
    events = heard(ROADWORKS)
    told = [hear(events, denm, 6) for denm in (CANCELLATION, ROADWORKS, CANCELLATION, ROADWORKS)]
    assert told == [News.CANCELLED, News.OUTDATED, News.REPEATED, News.OUTDATED]
    assert causes(events) == []


def test_a_cancellation_that_overtakes_what_it_cancels_holds() -> None:
    events = ReceivedEvents()
    assert hear(events, CANCELLATION, 5) is News.CANCELLED
    assert hear(events, ROADWORKS, 5) is News.OUTDATED
    assert (causes(events), len(events)) == ([], 1)


def test_a_cancelled_event_is_remembered_until_it_would_have_run_out() -> None:
    events = heard(ROADWORKS)
    hear(events, replace(CANCELLATION, validity_duration_s=1), 5)
    assert events.next_expiry() == at(60).monotonic


def test_a_newer_announcement_after_a_cancellation_begins_anew() -> None:
    events = heard(ROADWORKS)
    hear(events, CANCELLATION, 5)
    assert hear(events, UPDATE, 9) is News.NEW
    assert causes(events) == [CauseCode.ACCIDENT]


def test_a_cancellation_older_than_the_event_changes_nothing() -> None:
    events = heard(replace(ROADWORKS, reference_time=its(8), detection_time=its(8)))
    assert hear(events, CANCELLATION, 9) is News.OUTDATED
    assert causes(events) == [CauseCode.ROADWORKS]


def test_a_cancellation_by_somebody_else_is_refused_even_in_the_originators_name() -> None:
    events = heard(ROADWORKS)
    for station in (RSU, StationId(666)):
        with pytest.raises(VerificationError) as refusal:
            hear(events, replace(CANCELLATION, station_id=station), 5, signer=2)
        assert refusal.value.report is VerificationReport.PERMISSION_DENIED
    assert causes(events) == [CauseCode.ROADWORKS]


def test_nobody_takes_an_event_over_and_nobody_occupies_its_number_beforehand() -> None:
    elsewhere = replace(ROADWORKS, lat_deg=SITE.lat_deg + 1, reference_time=its(1), detection_time=its(1))
    for first, second in (((ROADWORKS, 1), (elsewhere, 2)), ((elsewhere, 2), (ROADWORKS, 1))):
        events = ReceivedEvents()
        for denm, signer in (first, second):
            hear(events, denm, 1, signer)
        assert {event.key[1]: event.denm.lat_deg for event in events} == {
            ticket(1): SITE.lat_deg,
            ticket(2): SITE.lat_deg + 1,
        }


def test_nobody_cancels_an_event_beforehand_in_its_originators_name() -> None:
    events = ReceivedEvents()
    hear(events, CANCELLATION, 5, signer=2)
    assert hear(events, ROADWORKS, 5, signer=1) is News.NEW


def test_one_stranger_disputes_however_often_and_two_end_it() -> None:
    events = heard(ROADWORKS)
    told = [hear(events, NEGATION, 5, signer=2) for _ in range(3)]
    assert told == [News.DISPUTED, News.REPEATED, News.REPEATED]
    (event,) = events
    assert event.is_disputed
    assert hear(events, replace(NEGATION, station_id=StationId(8)), 6, signer=3) is News.NEGATED
    assert hear(events, ROADWORKS, 6) is News.OUTDATED
    assert causes(events) == []


def test_however_many_deny_an_event_its_originator_that_goes_on_signing_it_keeps_it() -> None:
    events = heard(ROADWORKS)
    for second in range(1, 20):
        hear(events, ROADWORKS, second)
        denial = replace(NEGATION, station_id=StationId(100 + second), reference_time=its(0), detection_time=its(second))
        told = hear(events, denial, second + 0.5, signer=10 + second)
        assert told is News.DISPUTED
    (event,) = events
    assert event.is_disputed
    assert hear(events, denial, 25, signer=29) is News.NEGATED, "once its originator is silent"


def test_an_originator_that_answers_after_its_event_was_negated_brings_it_back_and_a_copy_kept_alive_does_not() -> None:
    events = heard(ROADWORKS)
    denial = replace(NEGATION, reference_time=its(0))
    for signer in (2, 3):
        hear(events, denial, 5, signer=signer)
    copy = verified(ROADWORKS, at(4), signer=1)
    assert events.hear(copy, at(6)) is News.OUTDATED
    assert causes(events) == []
    assert hear(events, ROADWORKS, 7) is News.NEW
    assert [hear(events, denial, 20, signer=signer) for signer in (2, 3)] == [News.REPEATED, News.REPEATED]
    (event,) = events
    assert event.is_disputed
    assert hear(events, denial, 20, signer=4) is News.NEGATED


def test_a_cancellation_counts_for_its_own_event_to_come_though_somebody_has_occupied_its_number() -> None:
    events = ReceivedEvents()
    hear(events, ROADWORKS, 0, signer=666)
    with pytest.raises(VerificationError):
        hear(events, CANCELLATION, 5, signer=1)
    assert hear(events, ROADWORKS, 6, signer=1) is News.OUTDATED
    assert [event.key[1] for event in events] == [ticket(666)]


def test_an_update_by_the_originator_answers_a_negation_and_a_late_copy_of_the_negation_does_not_count() -> None:
    events = heard(ROADWORKS)
    hear(events, NEGATION, 5, signer=2)
    hear(events, UPDATE, 6)
    assert hear(events, NEGATION, 7, signer=3) is News.OUTDATED
    (event,) = events
    assert not event.is_disputed


def test_an_originator_cannot_negate_its_own_event() -> None:
    events = heard(ROADWORKS)
    for denm, signer in ((NEGATION, 1), (replace(NEGATION, station_id=RSU), 2)):
        with pytest.raises(VerificationError) as refusal:
            hear(events, denm, 5, signer)
        assert refusal.value.report is VerificationReport.CONTENT_MISMATCH
    assert causes(events) == [CauseCode.ROADWORKS]


def test_a_negation_of_something_never_heard_is_nothing() -> None:
    events = ReceivedEvents()
    assert hear(events, NEGATION, 5, signer=2) is News.OUTDATED
    assert len(events) == 0


def test_what_we_said_ourselves_before_a_restart_is_no_event_when_others_bring_it_back() -> None:
    events = ReceivedEvents(is_own=lambda signer: signer == ticket(1))
    assert hear(events, ROADWORKS, 0, signer=1) is News.OURS
    assert hear(events, ROADWORKS, 0, signer=2) is News.NEW
    assert len(events) == 1


@pytest.mark.parametrize(
    ("change", "report"),
    [
        ({"detection_time": its(100)}, VerificationReport.INVALID_TIMESTAMP),
        ({"reference_time": its(100)}, VerificationReport.INVALID_TIMESTAMP),
        ({"detection_time": its(-61)}, VerificationReport.INVALID_TIMESTAMP),
        ({"validity_duration_s": 0}, VerificationReport.INVALID_TIMESTAMP),
        ({"cause_code": None}, VerificationReport.CONTENT_MISMATCH),
        ({"lat_deg": None}, VerificationReport.CONTENT_MISMATCH),
    ],
)
def test_an_event_with_impossible_times_or_without_cause_or_place_is_refused(
    change: dict[str, object], report: VerificationReport
) -> None:
    events = ReceivedEvents()
    with pytest.raises(VerificationError) as refusal:
        hear(events, replace(ROADWORKS, **change), 0)
    assert refusal.value.report is report
    assert len(events) == 0


def test_without_utc_validity_cannot_be_judged() -> None:
    indication = verified(ROADWORKS, at(0))
    with pytest.raises(UntrustedTimeError):
        ReceivedEvents().hear(indication, Instant(MonotonicNs(0), None))


def test_one_tickets_flood_drops_only_its_own_events() -> None:
    events = ReceivedEvents(capacity=100, per_ticket=10)
    hear(events, ROADWORKS, 0, signer=1)
    for number in range(1_000):
        hear(events, replace(ROADWORKS, action_id=ActionId(StationId(9), number)), 0, signer=2)
    assert (len(events), events.counters["evicted"]) == (11, 990)
    assert ROADWORKS.action_id in {event.denm.action_id for event in events}


def test_a_crowd_of_tickets_with_many_events_each_drops_neither_another_s_event_nor_the_memory_of_its_end() -> None:
    events = ReceivedEvents()
    hear(events, ROADWORKS, 0, signer=1)
    hear(events, replace(ROADWORKS, action_id=ActionId(RSU, 2)), 0, signer=2)
    hear(events, replace(CANCELLATION, action_id=ActionId(RSU, 2)), 5, signer=2)
    for number in range(2_000):
        hear(events, replace(ROADWORKS, action_id=ActionId(StationId(9), number)), 6, signer=10 + number % 40)
    assert len(events) == MAX_EVENTS
    assert ROADWORKS.action_id in {event.denm.action_id for event in events}
    assert hear(events, replace(ROADWORKS, action_id=ActionId(RSU, 2)), 7, signer=2) is News.OUTDATED


def test_in_a_full_table_what_has_ended_gives_way_before_what_lasts() -> None:
    events = ReceivedEvents(capacity=3, per_ticket=3)
    for number in range(3):
        hear(events, replace(ROADWORKS, action_id=ActionId(RSU, number)), 0, signer=number)
    hear(events, replace(CANCELLATION, action_id=ActionId(RSU, 1)), 5, signer=1)
    hear(events, replace(ROADWORKS, action_id=ActionId(RSU, 3)), 5, signer=3)
    assert [event.denm.action_id.sequence_number for event in events] == [0, 2, 3]
    hear(events, replace(ROADWORKS, action_id=ActionId(RSU, 4)), 5, signer=4)
    assert [event.denm.action_id.sequence_number for event in events] == [2, 3, 4]


def test_what_we_know_not_to_be_there_has_ended_for_us_until_its_originator_says_it_anew() -> None:
    events = ReceivedEvents()
    for signer, number in ((1, 1), (2, 1), (1, 2)):
        hear(events, replace(ROADWORKS, action_id=ActionId(RSU, number), reference_time=its(signer)), 5, signer)
    denied = events.deny(ActionId(RSU, 1))
    assert denied is not None
    assert denied.message.reference_time == its(2)
    assert [event.denm.action_id.sequence_number for event in events] == [2]
    assert (events.counters["denied"], events.deny(ActionId(RSU, 1)), events.deny(ActionId(RSU, 9))) == (2, None, None)
    again = replace(ROADWORKS, action_id=ActionId(RSU, 1), reference_time=its(2))
    assert [hear(events, again, 5, 2), hear(events, replace(again, reference_time=its(5)), 5, 2)] == [News.OUTDATED, News.NEW]


def test_a_ticket_holds_at_least_one_event_and_at_most_all() -> None:
    for capacity, per_ticket in ((1, 2), (1, 0)):
        with pytest.raises(ValueError, match="at least one"):
            ReceivedEvents(capacity=capacity, per_ticket=per_ticket)


@given(
    st.lists(
        st.tuples(
            st.integers(min_value=1, max_value=3),
            st.integers(min_value=0, max_value=2),
            st.integers(min_value=0, max_value=20),
            st.sampled_from([None, Termination.IS_CANCELLATION, Termination.IS_NEGATION]),
        ),
        max_size=60,
    )
)
def test_in_whatever_order_denms_come_an_event_is_as_its_latest_version_says(
    said: list[tuple[int, int, int, Termination | None]],
) -> None:
    events = ReceivedEvents(capacity=8, per_ticket=4)
    latest: dict[tuple[int, int], tuple[int, bool]] = {}
    for signer, number, time, termination in said:
        own = StationId(signer if termination is not Termination.IS_NEGATION else 77)
        denm = replace(
            ROADWORKS, station_id=own, action_id=ActionId(RSU, number), reference_time=its(time), termination=termination
        )
        try:
            hear(events, denm, 21, signer)
        except VerificationError:
            continue
        if termination is not Termination.IS_NEGATION:
            known = latest.get((signer, number))
            if known is None or time > known[0]:
                latest[signer, number] = time, termination is None
    live: dict[tuple[int, int], ReceivedEvent] = {
        (int.from_bytes(event.key[1], "big"), event.key[0].sequence_number): event for event in events
    }
    assert len(events) <= 8
    for key, event in live.items():
        time, lasts = latest[key]
        assert (event.denm.reference_time, lasts) == (its(time), True)
