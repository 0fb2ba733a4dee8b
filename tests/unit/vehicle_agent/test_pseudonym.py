"""The vehicle's pseudonym: when it changes, what holds it, and what becomes of a car whose tickets run dry."""

from pathlib import Path

import pytest

from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.geo import displaced
from shared.core.itstime import Time32
from shared.pki.authority import hours
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.ecdsa import Curve
from shared.security.sign import TicketCredential
from shared.stack.station import Station
from tests.helpers.hierarchy import BEGIN, NOON
from tests.helpers.identities import HERE, cam_of, ego, make_peer
from tests.unit.vehicle_agent.agent_bench import HIERARCHY, Bench
from vehicle_agent.pseudonym import LEAST_STEP_M, MOST_STEP_NS, Way
from vehicle_agent.vehicle_state import SignalUpdate, Value, VehicleState, fold

READY_S = 60.0


def several(count: int = 4, valid_hours: int = 168) -> tuple[TicketCredential, ...]:
    return tuple(HIERARCHY.ticket(valid_hours=valid_hours) for _ in range(count))


def starting_in(hours_from_noon: int) -> TicketCredential:
    signer = HIERARCHY.keys.generate(Curve.NIST_P256)
    certificate = HIERARCHY.aa.issue_ticket(
        public_key=signer.public_key,
        validity=hours(Time32(HIERARCHY.start + (3 + hours_from_noon) * 3_600), 24),
        permissions=TICKET_PERMISSIONS[StationRole.VEHICLE],
    )
    return TicketCredential(certificate=certificate, signer=signer)


def names(bench: Bench) -> list[int]:
    """Return the station ids heard, each once, in the order of their first message."""
    return list(dict.fromkeys(cam.station_id for cam, _ in bench.heard_by()))


def tickets_heard(bench: Bench, listener: Station | None = None) -> list[bytes]:
    listener = listener or make_peer(HIERARCHY, 201)
    heard = [listener.receive(packet, at) for packet, at in bench.packets]
    return list(dict.fromkeys(each.signer.hashed_id8 for each in heard if each is not None))


def pseudonym(bench: Bench) -> dict[str, object]:
    status = bench.status("pseudonym")
    assert isinstance(status, dict)
    return status


def test_a_car_changes_its_name_and_its_ticket_together_a_minute_after_it_moved_off(tmp_path: Path) -> None:
    with Bench(tmp_path, tickets=several()) as bench:
        first = bench.agent.identity
        bench.set(speed_mps=10.0)
        bench.run(READY_S - 1.0)
        assert bench.agent.identity == first
        bench.run(3.0)
        second = bench.agent.identity
        assert (first.station_id, first.address.mac) != (second.station_id, second.address.mac)
        assert names(bench) == [first.station_id, second.station_id]
        assert len(tickets_heard(bench)) == 2
        assert pseudonym(bench)["changes"] == {"ready": 1}
        assert pseudonym(bench)["tickets"] == {"held": 4, "valid": 4, "unused": 2, "fresh": 2}
        assert pseudonym(bench)["silent"] is None


def test_a_parked_car_keeps_its_name_however_long_it_stands(tmp_path: Path) -> None:
    with Bench(tmp_path, tickets=several()) as bench:
        bench.run(200.0)
        assert len(names(bench)) == 1
        bench.set(speed_mps=10.0)
        bench.run(2.0)
        assert len(names(bench)) == 2


def test_a_car_with_one_ticket_keeps_its_name_and_counts_that_it_should_have_changed(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.set(speed_mps=40.0)
        bench.run(READY_S + 45.0)
        assert len(names(bench)) == 1
        assert pseudonym(bench)["changes"] == {}
        assert pseudonym(bench)["unchanged"] == {"no_other_ticket": 2}
        assert bench.notices("pseudonym_changed") == []


def test_a_change_that_lacked_a_ticket_is_made_good_when_one_arrives(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.set(speed_mps=10.0)
        bench.run(READY_S + 5.0)
        assert bench.agent.add_tickets(several(2)) == 2
        assert len(bench.agent.tickets) == 3
        bench.run(1.0)
        assert len(names(bench)) == 2
        assert pseudonym(bench)["changes"] == {"tickets_arrived": 1}
        bench.agent.add_tickets(several(1))
        bench.run(5.0)
        assert len(names(bench)) == 2


def test_a_late_ticket_does_not_change_a_name_that_is_held(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.set(speed_mps=10.0)
        bench.run(READY_S + 5.0)
        now = bench.clock.now().monotonic
        bench.agent.hold_pseudonym("1", until=MonotonicNs(now + 20 * NS_PER_S), now=now)
        bench.agent.add_tickets(several(1))
        bench.run(19.0)
        assert len(names(bench)) == 1
        bench.run(2.0)
        assert len(names(bench)) == 2


def test_a_hazard_of_ours_holds_the_name_and_lets_go_of_it_at_once(tmp_path: Path) -> None:
    with Bench(tmp_path, tickets=several()) as bench:
        bench.set(speed_mps=10.0)
        now = bench.clock.now().monotonic
        bench.agent.hold_pseudonym("7/1", until=MonotonicNs(now + 600 * NS_PER_S), now=now)
        bench.run(READY_S + 30.0)
        assert len(names(bench)) == 1
        bench.agent.release_pseudonym("7/1")
        bench.run(0.2)
        assert len(names(bench)) == 2


def test_a_service_locks_the_name_for_a_bounded_time(tmp_path: Path) -> None:
    with Bench(tmp_path, tickets=several()) as bench:
        bench.run(READY_S - 5.0)
        now = bench.clock.now().monotonic
        assert bench.agent.lock_pseudonym(3_600.0, now=now) == now + 255 * NS_PER_S
        bench.run(250.0)
        bench.set(speed_mps=10.0)
        bench.run(4.0)
        assert len(names(bench)) == 1
        bench.run(2.0)
        assert len(names(bench)) == 2
        bench.agent.lock_pseudonym(200.0, now=bench.clock.now().monotonic)
        bench.agent.unlock_pseudonym()


def test_a_new_trip_begins_under_a_new_name_also_on_the_spot(tmp_path: Path) -> None:
    with Bench(tmp_path, tickets=several()) as bench:
        bench.run(70.0)
        bench.set(ignition_on=False)
        bench.run(2.0)
        bench.set(ignition_on=True)
        bench.run(2.0)
        assert len(names(bench)) == 2
        assert pseudonym(bench)["changes"] == {"start": 1}


def test_every_ticket_is_heard_before_one_is_heard_again_and_its_second_use_is_told(tmp_path: Path) -> None:
    with Bench(tmp_path, tickets=several(3)) as bench:
        for _ in range(4):
            bench.run(61.0)
            bench.set(ignition_on=False)
            bench.run(1.0)
            bench.set(ignition_on=True)
        bench.run(2.0)
        assert len(names(bench)) == 5
        assert len(tickets_heard(bench)) == 3
        assert [notice["is_ticket_reused"] for notice in bench.notices("pseudonym_changed")] == [False, False, True, True]
        assert [notice["tickets_unused"] for notice in bench.notices("pseudonym_changed")] == [1, 0, 0, 0]
        tickets = pseudonym(bench)["tickets"]
        assert isinstance(tickets, dict)
        assert (tickets["fresh"], tickets["reused"]) == (3, 2)


def test_the_first_message_of_a_name_is_complete_and_comes_soon(tmp_path: Path) -> None:
    with Bench(tmp_path, tickets=several()) as bench:
        bench.set(speed_mps=10.0)
        bench.run(READY_S + 3.0)
        (changed_at,) = [at for effect, at in bench.effects if getattr(effect, "kind", "") == "pseudonym_changed"]
        after = [(cam, at) for cam, at in bench.heard_by() if cam.station_id == bench.agent.identity.station_id]
        first, at = after[0]
        assert 0 < at.monotonic - changed_at.monotonic <= 50_000_000
        assert first.low_frequency is not None
        assert tuple(first.low_frequency.path_history) == ()


def test_a_ticket_that_runs_out_makes_room_for_another_even_while_the_name_is_held(tmp_path: Path) -> None:
    short, long = HIERARCHY.ticket(valid_hours=4), HIERARCHY.ticket(valid_hours=168)
    an_hour_before = UtcNs(BEGIN + 4 * 3_600 * NS_PER_S - 10 * NS_PER_S)
    with Bench(tmp_path, utc=an_hour_before, tickets=(short,)) as bench:
        now = bench.clock.now().monotonic
        bench.agent.hold_pseudonym("1", until=MonotonicNs(now + 600 * NS_PER_S), now=now)
        bench.agent.add_tickets((long,))
        bench.run(20.0)
        assert [bytes(each) for each in tickets_heard(bench)] == [
            short.certificate.hashed_id8,
            long.certificate.hashed_id8,
        ]
        assert len(names(bench)) == 2
        assert pseudonym(bench)["changes"] == {"ticket_ran_out": 1}
        assert bench.status("unsent") == {}
        assert len(bench.agent.tickets) == 1


def test_a_car_whose_last_ticket_runs_out_is_silent_says_so_once_and_goes_on_recording(tmp_path: Path) -> None:
    a_little_before = UtcNs(BEGIN + 4 * 3_600 * NS_PER_S - 10 * NS_PER_S)
    with Bench(tmp_path, utc=a_little_before, tickets=several(2, valid_hours=4), every_m=100) as bench:
        bench.set(speed_mps=20.0)
        bench.run(9.0)
        said = len(bench.packets)
        assert said > 20
        bench.run(20.0)
        assert [at for _, at in bench.packets if at.require_utc() >= a_little_before + 10 * NS_PER_S] == []
        (notice,) = bench.notices("pseudonym_silent")
        assert notice == {"reason": "there is no authorization ticket, or all have run out: nothing is sent"}
        assert pseudonym(bench)["silent"] == notice["reason"]
        assert list(bench.status("unsent")) == ["expired_certificate"]
        assert bench.status("odometer")["recorded"] >= 5
        bench.agent.add_tickets(several(1))
        bench.run(1.0)
        assert pseudonym(bench)["silent"] is None
        assert pseudonym(bench)["changes"] == {"ticket_lacked": 1}
        assert len(names(bench)) == 2


def test_a_car_without_any_ticket_listens_records_and_speaks_with_the_first_that_comes(tmp_path: Path) -> None:
    neighbour = make_peer(HIERARCHY, 210)
    with Bench(tmp_path, tickets=several(1)) as speaking:
        speaking.run(1.0)
        overheard = speaking.packets[0]
    with Bench(tmp_path / "without", tickets=None) as bench:
        bench.set(speed_mps=10.0)
        bench.hear(overheard[0])
        assert bench.status("verified") == {"cam": 1}
        bench.run(5.0)
        assert bench.packets == []
        assert list(bench.status("unsent")) == ["no_valid_ticket"]
        assert bench.status("odometer")["recorded"] == 1
        assert len(bench.notices("pseudonym_silent")) == 1
        tickets = pseudonym(bench)["tickets"]
        assert isinstance(tickets, dict)
        assert tickets["held"] == 0
        assert 5 <= tickets["none_valid"] <= 8, "it looks once a second, not at every turn"
        bench.agent.add_tickets(several(1))
        bench.run(0.5)
        assert neighbour.receive(*bench.packets[0]) is not None
        assert len(names(bench)) == 1


def test_tickets_of_tomorrow_do_not_serve_today(tmp_path: Path) -> None:
    with Bench(tmp_path, tickets=(starting_in(1), starting_in(1))) as bench:
        bench.run(5.0)
        assert bench.packets == []
        (notice,) = bench.notices("pseudonym_silent")
        assert notice == {"reason": "none of the 2 authorization tickets is valid yet: nothing is sent"}
        bench.clock.set_utc(UtcNs(NOON + 3_600 * NS_PER_S))
        bench.run(3.0)
        assert len(bench.packets) >= 1


def test_a_car_whose_clock_is_set_late_takes_its_ticket_then_and_that_is_no_change(tmp_path: Path) -> None:
    with Bench(tmp_path, utc=None, tickets=several()) as bench:
        bench.run(5.0)
        assert bench.status("pseudonym")["tickets"] == {"held": 4}
        bench.clock.set_utc(NOON)
        bench.run(3.0)
        assert len(names(bench)) == 1
        assert pseudonym(bench)["changes"] == {}
        assert bench.notices("pseudonym_changed") == []


def test_our_own_echo_of_the_name_before_is_no_neighbour(tmp_path: Path) -> None:
    with Bench(tmp_path, tickets=several()) as bench:
        bench.set(speed_mps=10.0)
        bench.run(READY_S + 0.5)
        bench.run(0.2)
        assert len(names(bench)) == 2
        for packet, _ in bench.packets[-5:]:
            bench.hear(packet)
        assert bench.status("verified") == bench.status("refused") == {}


def state(now: MonotonicNs, **values: Value) -> VehicleState:
    updates = [SignalUpdate(field=name, value=value, at=now, max_age_ns=NS_PER_S) for name, value in values.items()]
    return fold(VehicleState(), updates)


@pytest.mark.parametrize(
    ("speed_mps", "step_s", "expected_m"), [(10.0, 0.2, 2.0), (0.4, 0.2, 0.0), (10.0, MOST_STEP_NS / NS_PER_S + 0.1, 0.0)]
)
def test_the_way_is_speed_times_time_but_not_across_a_gap(speed_mps: float, step_s: float, expected_m: float) -> None:
    way, begin = Way(), MonotonicNs(7)
    assert way.since_last(state(begin, speed_mps=speed_mps), begin) == 0.0
    later = MonotonicNs(begin + round(step_s * NS_PER_S))
    assert way.since_last(state(later, speed_mps=speed_mps), later) == pytest.approx(expected_m)


def test_without_a_speed_the_position_says_how_far_and_its_noise_nothing() -> None:
    way, now = Way(), MonotonicNs(0)
    ways = []
    for east_m in (0.0, 3.0, -3.0, 6.0, 12.0, 14.0, 30.0):
        now = MonotonicNs(now + NS_PER_S)
        ways.append(way.since_last(state(now, position=displaced(HERE, east_m, 0.0)), now))
    assert ways == [0.0, 0.0, 0.0, 0.0, pytest.approx(12.0, rel=0.01), 0.0, pytest.approx(18.0, rel=0.01)]
    assert LEAST_STEP_M == 10.0
    assert way.since_last(VehicleState(), MonotonicNs(now + NS_PER_S)) == 0.0


def test_a_stretch_driven_by_speed_is_not_counted_again_by_position() -> None:
    way, now = Way(), MonotonicNs(0)
    for step in range(20):
        now = MonotonicNs(now + NS_PER_S // 5)
        way.since_last(state(now, position=displaced(HERE, 4.0 * step, 0.0), speed_mps=20.0), now)
    now = MonotonicNs(now + NS_PER_S // 5)
    assert way.since_last(state(now, position=displaced(HERE, 80.0, 0.0)), now) == 0.0


def test_the_agent_says_who_it_is_without_naming_who_it_was(tmp_path: Path) -> None:
    with Bench(tmp_path, tickets=several()) as bench:
        old = bench.agent.identity.station_id
        bench.set(speed_mps=10.0)
        bench.run(READY_S + 2.0)
        document = str(bench.agent.status())
        assert str(bench.agent.identity.station_id) in document
        assert str(old) not in document


def test_an_instant_before_its_time_chooses_no_ticket(tmp_path: Path) -> None:
    with Bench(tmp_path, utc=UtcNs(0), tickets=several()) as bench:
        bench.agent.on_timer(Instant(bench.clock.now().monotonic, UtcNs(0)))
        assert bench.status("pseudonym")["tickets"] == {"held": 4}


def test_a_car_under_a_ticket_that_is_set_aside_goes_on_under_another_and_without_any_is_silent_and_says_why(
    tmp_path: Path,
) -> None:
    first, second = several(2)
    with Bench(tmp_path, tickets=(first,)) as bench:
        bench.run(3.0)
        bench.agent.add_tickets((second,))
        bench.agent.tickets.set_aside({first.certificate.hashed_id8: "root 01 has revoked certificate 02"})
        bench.run(3.0)
        assert [bytes(each) for each in tickets_heard(bench)] == [first.certificate.hashed_id8, second.certificate.hashed_id8]
        assert pseudonym(bench)["changes"] == {"ticket_set_aside": 1}
        assert len(names(bench)) == 2
        said = len(bench.packets)
        reason = "root 01 has revoked certificate 02"
        bench.agent.tickets.set_aside({each.certificate.hashed_id8: reason for each in (first, second)})
        bench.run(5.0)
        assert len(bench.packets) == said
        (notice,) = bench.notices("pseudonym_silent")
        assert notice == {"reason": f"no authorization ticket may be used ({reason}): nothing is sent"}
        assert pseudonym(bench)["silent"] == notice["reason"]
        assert list(bench.status("unsent")) == ["no_valid_ticket"]
        bench.agent.add_tickets(several(1))
        bench.run(3.0)
        assert pseudonym(bench)["silent"] is None
        assert len(tickets_heard(bench)) == 3


def twin_of(bench: Bench) -> Station:
    """Return a station of somebody else that uses the car's present link-layer address."""
    twin = make_peer(HIERARCHY, 77)
    twin.move_to(bench.agent.identity.address.mac)
    return twin


def be_mocked(bench: Bench) -> None:
    """Let the car hear its own address from another."""
    twin, now = twin_of(bench), bench.clock.now()
    bench.hear(twin.send(cam_of(twin, now), position=ego(now), now=now))


def test_a_car_whose_address_another_uses_changes_its_pseudonym_at_once_and_not_every_time(tmp_path: Path) -> None:
    with Bench(tmp_path, tickets=several()) as bench:
        bench.run(2.0)
        first = bench.agent.identity
        be_mocked(bench)
        bench.run(0.2)
        second = bench.agent.identity
        assert second.address != first.address
        assert pseudonym(bench)["changes"] == {"address_taken": 1}
        be_mocked(bench)
        bench.run(1.0)
        assert bench.agent.identity == second
        bench.run(60.0)
        be_mocked(bench)
        bench.run(0.2)
        assert bench.agent.identity != second


def test_what_holds_the_pseudonym_holds_it_against_another_with_its_address_too(tmp_path: Path) -> None:
    with Bench(tmp_path, tickets=several()) as bench:
        bench.run(2.0)
        first = bench.agent.identity
        bench.agent.lock_pseudonym(5.0, now=bench.clock.now().monotonic)
        be_mocked(bench)
        bench.run(4.0)
        assert bench.agent.identity == first
        bench.run(2.0)
        assert bench.agent.identity != first
