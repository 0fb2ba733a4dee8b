import pytest
from msgspec.structs import replace

from shared.core.clock import NS_PER_S
from shared.core.geo import displaced
from shared.core.ids import ActionId, StationId
from shared.facilities.received_events import ReceivedEvents
from shared.messages.cdd import CauseCode
from shared.messages.denm import Alacarte, Denm, RoadWorks
from tests.unit.facilities.event_scenes import BEFORE, CANCELLATION, NEGATION, ROADWORKS, RSU, SITE, at, ego, its
from tests.unit.vehicle_agent.verified_messages import ticket, verified
from vehicle_agent.hazards import LEAVE_NS, HazardChange, HazardNotice, Hazards


def heard(*denms: Denm, signer: int = 1) -> Hazards:
    hazards = Hazards()
    for denm in denms:
        hazards.hear(verified(denm, at(0), signer=signer), at(0))
    return hazards


def test_a_hazard_ahead_has_a_distance_a_time_to_reach_and_a_speed_limit() -> None:
    limited = replace(ROADWORKS, alacarte=Alacarte(road_works=RoadWorks(speed_limit_mps=8.0)))
    (hazard,) = heard(limited).ahead(at(1), BEFORE)
    assert hazard.distance_m == pytest.approx(100, abs=0.1)
    assert hazard.time_to_reach_s == pytest.approx(10, abs=0.01)
    assert (hazard.cause_code, hazard.speed_limit_mps, hazard.is_disputed) == (3, 8.0, False)


def test_the_nearest_hazard_comes_first() -> None:
    nearer = replace(ROADWORKS, action_id=ActionId(RSU, 2), lon_deg=displaced(SITE, -50, 0).lon_deg, cause_code=CauseCode.ACCIDENT)
    assert [hazard.cause_code for hazard in heard(ROADWORKS, nearer).ahead(at(1), BEFORE)] == [2, 3]


def test_a_hazard_is_told_once_however_often_it_is_repeated() -> None:
    hazards = Hazards()
    told = []
    for second in range(5):
        hazards.hear(verified(ROADWORKS, at(second)), at(second))
        told += [notice.change for notice in hazards.poll(at(second), BEFORE)]
    assert told == [HazardChange.AHEAD]


@pytest.mark.parametrize(
    "change",
    [
        {"sub_cause_code": 4},
        {"cause_code": CauseCode.ACCIDENT},
        {"alacarte": Alacarte(road_works=RoadWorks(speed_limit_mps=8.0))},
        {"lon_deg": displaced(SITE, 30, 0).lon_deg},
    ],
)
def test_an_update_that_matters_is_told_and_one_that_does_not_is_not(change: dict[str, object]) -> None:
    hazards = heard(ROADWORKS)
    hazards.poll(at(0), BEFORE)
    hazards.hear(verified(replace(ROADWORKS, reference_time=its(1), detection_time=its(1)), at(1)), at(1))
    assert hazards.poll(at(1), BEFORE) == ()
    changed = replace(ROADWORKS, reference_time=its(2), detection_time=its(2), **change)
    hazards.hear(verified(changed, at(2)), at(2))
    assert [notice.change for notice in hazards.poll(at(2), BEFORE)] == [HazardChange.CHANGED]


def test_a_hazard_runs_out_when_its_validity_does_and_the_driver_is_told() -> None:
    hazards = heard(ROADWORKS)
    hazards.poll(at(0), BEFORE)
    assert hazards.ahead(at(59.9), BEFORE)
    assert hazards.next_expiry() == at(60).monotonic
    assert hazards.ahead(at(60), BEFORE) == ()
    assert [notice.change for notice in hazards.poll(at(60), BEFORE)] == [HazardChange.ENDED]
    assert len(hazards) == 0


def test_a_hazard_that_was_passed_is_told_once_and_not_at_the_first_lost_look() -> None:
    hazards = heard(ROADWORKS)
    hazards.poll(at(0), BEFORE)
    behind = ego(50, 0)
    assert hazards.poll(at(1), behind) == ()
    assert [n.change for n in hazards.poll(at(1 + LEAVE_NS / NS_PER_S), behind)] == [HazardChange.PASSED]
    assert hazards.poll(at(10), behind) == ()


def test_the_announcing_station_cancels_its_hazard_and_a_late_repetition_does_not_revive_it() -> None:
    hazards = heard(ROADWORKS)
    hazards.poll(at(0), BEFORE)
    hazards.hear(verified(CANCELLATION, at(5)), at(5))
    assert [notice.change for notice in hazards.poll(at(5), BEFORE)] == [HazardChange.ENDED]
    hazards.hear(verified(ROADWORKS, at(6)), at(6))
    assert hazards.ahead(at(6), BEFORE) == ()


def test_one_stranger_disputes_a_hazard_and_two_end_it() -> None:
    hazards = heard(ROADWORKS)
    hazards.poll(at(0), BEFORE)
    for _ in range(3):
        hazards.hear(verified(NEGATION, at(5), signer=2), at(5))
    (notice,) = hazards.poll(at(5), BEFORE)
    assert (notice.change, notice.hazard.is_disputed) == (HazardChange.CHANGED, True)
    hazards.hear(verified(replace(NEGATION, station_id=StationId(8)), at(6), signer=3), at(6))
    assert [n.change for n in hazards.poll(at(6), BEFORE)] == [HazardChange.ENDED]


def test_a_full_table_forgets_what_was_heard_longest_ago_and_says_so_if_it_was_told() -> None:
    hazards = Hazards(ReceivedEvents(capacity=3, per_ticket=1))
    for signer in range(4):
        apart = displaced(SITE, 30.0 * signer, 0).lon_deg
        hazards.hear(verified(replace(ROADWORKS, action_id=ActionId(RSU, signer), lon_deg=apart), at(0), signer=signer), at(0))
        if signer == 2:
            hazards.poll(at(0), BEFORE)
    assert len(hazards) == 3
    changes = [notice.change for notice in hazards.poll(at(1), BEFORE)]
    assert sorted(change.value for change in changes) == ["ahead", "ended"]


def test_what_moves_is_not_told_again_at_every_step_and_what_was_moved_is() -> None:
    for speed_mps, changes in ((20.0, []), (None, [HazardChange.CHANGED])):
        moving = replace(ROADWORKS, event_speed_mps=speed_mps)
        hazards = heard(moving)
        hazards.poll(at(0), BEFORE)
        further = replace(moving, reference_time=its(2), detection_time=its(2), lon_deg=displaced(SITE, 40, 0).lon_deg)
        hazards.hear(verified(further, at(2)), at(2))
        assert [notice.change for notice in hazards.poll(at(2), BEFORE)] == changes
        assert hazards.ahead(at(2), BEFORE)[0].distance_m == pytest.approx(140, abs=0.5)


def test_a_unit_that_renews_its_ticket_is_told_once_and_ended_once() -> None:
    hazards = Hazards()
    told: list[HazardNotice] = []
    hazards.hear(verified(ROADWORKS, at(0), signer=1, ends_in_s=20), at(0))
    told += hazards.poll(at(0), BEFORE)
    renewed = replace(ROADWORKS, reference_time=its(5), detection_time=its(5))
    hazards.hear(verified(renewed, at(5), signer=2), at(5))
    for second in (5, 19, 20, 21):
        told += hazards.poll(at(second), BEFORE)
        assert len(hazards.ahead(at(second), BEFORE)) == 1
    hazards.hear(verified(replace(CANCELLATION, reference_time=its(22), detection_time=its(22)), at(22), signer=2), at(22))
    told += hazards.poll(at(22), BEFORE)
    assert [notice.change for notice in told] == [HazardChange.AHEAD, HazardChange.ENDED]


def test_whoever_copies_an_events_number_elsewhere_hides_nothing() -> None:
    hazards = heard(ROADWORKS)
    hazards.hear(verified(replace(ROADWORKS, lon_deg=displaced(SITE, 100, 0).lon_deg), at(0), signer=2), at(0))
    assert [notice.change for notice in hazards.poll(at(0), BEFORE)] == [HazardChange.AHEAD, HazardChange.AHEAD]
    hazards.hear(verified(CANCELLATION, at(5)), at(5))
    assert [notice.change for notice in hazards.poll(at(5), BEFORE)] == [HazardChange.ENDED]


def test_our_own_event_is_never_told_to_our_own_driver() -> None:
    hazards = Hazards(ReceivedEvents(is_own=lambda signer: signer == ticket(1)))
    hazards.hear(verified(ROADWORKS, at(0), signer=1), at(0))
    assert hazards.poll(at(0), BEFORE) == ()


def test_what_ended_or_was_passed_is_told_as_it_last_was() -> None:
    hazards = heard(ROADWORKS)
    hazards.poll(at(0), BEFORE)
    hazards.poll(at(9), ego(-10, 0))
    hazards.poll(at(10), ego(50, 0))
    (passed,) = hazards.poll(at(20), ego(150, 0))
    assert passed.change is HazardChange.PASSED
    assert passed.hazard.distance_m == pytest.approx(10, abs=0.1)


def test_an_emergency_vehicle_on_its_way_is_no_place_on_the_road() -> None:
    hazards = heard(replace(ROADWORKS, cause_code=CauseCode.EMERGENCY_VEHICLE_APPROACHING))
    assert hazards.poll(at(1), BEFORE) == ()
    assert hazards.ahead(at(1), BEFORE) == ()


def test_one_place_that_several_report_is_told_once_and_ended_with_the_last_of_them() -> None:
    hazards = Hazards()
    told: list[HazardNotice] = []
    for number in range(1, 4):
        denm = replace(ROADWORKS, action_id=ActionId(StationId(number), number), station_id=StationId(number))
        hazards.hear(verified(denm, at(number), signer=number), at(number))
        told += hazards.poll(at(number), BEFORE)
    assert [notice.change for notice in told] == [HazardChange.AHEAD]
    assert len(hazards.ahead(at(4), BEFORE)) == 3
    for number in range(1, 4):
        said = StationId(number)
        cancellation = replace(CANCELLATION, action_id=ActionId(said, number), station_id=said)
        hazards.hear(verified(cancellation, at(5 + number), signer=number), at(5 + number))
        told += hazards.poll(at(5 + number), BEFORE)
    assert [notice.change for notice in told] == [HazardChange.AHEAD, HazardChange.ENDED]


def test_a_second_event_of_its_kind_further_on_is_told_as_well() -> None:
    further = replace(ROADWORKS, action_id=ActionId(RSU, 2), lon_deg=displaced(SITE, 60, 0).lon_deg)
    assert [notice.change for notice in heard(ROADWORKS, further).poll(at(1), BEFORE)] == [HazardChange.AHEAD] * 2
