from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from msgspec.structs import replace

from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import DecodeError
from shared.core.geo import displaced
from shared.core.ids import ActionId
from shared.core.itstime import time64_of, timestamp_its, utc_from_text
from shared.facilities.keep_alive import (
    AT_ONCE_APART_NS,
    MAX_AT_ONCE,
    MAX_KEPT,
    MAX_KEPT_OCTETS,
    MAX_KEPT_PER_TICKET,
    MAX_REPEATS,
    KeepAlive,
)
from shared.facilities.received_events import ReceivedEvents
from shared.messages.cdd import CauseCode, PathPoint
from shared.messages.denm import Denm, Termination
from shared.network.area import Circle
from shared.network.headers import HOP_LIMIT_OCTET, LIFETIME_OCTET
from shared.stack.indication import Verified
from shared.stack.station import EgoPosition
from tests.helpers.hierarchy import Hierarchy
from tests.helpers.stations import TURIN, Speaker

NOON = utc_from_text("2026-11-22T12:00:00Z")
AREA = Circle(centre=TURIN, radius_m=300.0)
HIERARCHY = Hierarchy(1)
OUTSIDE = displaced(TURIN, 301, 0)


def at(seconds: float) -> Instant:
    return Instant(MonotonicNs(round((1_000 + seconds) * NS_PER_S)), UtcNs(NOON + round(seconds * NS_PER_S)))


def ns(seconds: float) -> MonotonicNs:
    return at(seconds).monotonic


class Originator:
    """A car that told of an accident."""

    def __init__(self, seed: int = 1) -> None:
        self.station = Speaker(HIERARCHY, seed=seed).station

    def denm(self, seconds: float, **changes: object) -> Denm:
        its = timestamp_its(time64_of(at(seconds).require_utc()))
        station_id = self.station.identity.station_id
        accident = Denm(
            station_id=station_id,
            action_id=ActionId(station_id, 1),
            detection_time=its,
            reference_time=its,
            station_type=5,
            lat_deg=TURIN.lat_deg,
            lon_deg=TURIN.lon_deg,
            cause_code=CauseCode.ACCIDENT,
            validity_duration_s=700,
            transmission_interval_ms=1_000,
        )
        return replace(accident, **changes)

    def say(self, denm: Denm, seconds: float, area: Circle = AREA) -> bytes:
        now = at(seconds)
        return self.station.send(denm, position=EgoPosition(point=TURIN, taken_at=now.require_utc()), now=now, area=area)


class Neighbour:
    """A car that heard of it and keeps it alive."""

    def __init__(self, seed: int = 10) -> None:
        self.station = Speaker(HIERARCHY, seed=seed).station
        self.events = ReceivedEvents()
        self.keep_alive = KeepAlive(self.events, entropy=Random(seed).randbytes)

    def hear(self, packet: bytes, seconds: float) -> Verified[Denm]:
        indication = self.station.receive(packet, at(seconds))
        assert indication is not None
        denm = indication.of(Denm)
        assert denm is not None
        self.events.hear(denm, at(seconds))
        self.keep_alive.heard(packet, denm, at(seconds))
        return denm

    def poll(self, seconds: float) -> tuple[bytes, ...]:
        return self.keep_alive.poll(ns(seconds), TURIN)

    def drive(self, begin_s: float, end_s: float) -> list[tuple[float, bytes]]:
        """Wake when something is due, and return what was said when."""
        said: list[tuple[float, bytes]] = []
        now = ns(begin_s)
        while True:
            due = self.keep_alive.next_due()
            if due is None or max(due, now) >= ns(end_s):
                return said
            now = MonotonicNs(max(due, now))
            said += [((now - ns(0)) / NS_PER_S, packet) for packet in self.keep_alive.poll(now, TURIN)]


def test_what_was_not_heard_again_for_two_intervals_is_repeated_as_it_was_signed_with_one_hop_less() -> None:
    car, neighbour = Originator(), Neighbour()
    packet = car.say(car.denm(0), 0)
    neighbour.hear(packet, 0)
    assert neighbour.poll(1.99) == ()
    (copy,) = neighbour.poll(2.16)
    assert copy[HOP_LIMIT_OCTET] == packet[HOP_LIMIT_OCTET] - 1 == 9
    assert copy[:HOP_LIMIT_OCTET] == packet[:HOP_LIMIT_OCTET]
    assert copy[HOP_LIMIT_OCTET + 1 :] == packet[HOP_LIMIT_OCTET + 1 :]


def test_a_latecomer_verifies_the_copy_as_the_originators_even_ten_minutes_later() -> None:
    car, neighbour, late = Originator(), Neighbour(), Neighbour(seed=20)
    neighbour.hear(car.say(car.denm(0), 0), 0)
    said = neighbour.drive(0, 700)
    assert len(said) > 250
    heard_at, copy = said[-1]
    assert 590 < heard_at < 600
    heard = late.hear(copy, heard_at)
    assert heard.message.station_id == car.station.identity.station_id
    assert heard.source.address == car.station.identity.address
    assert neighbour.keep_alive.next_due() is None


def test_only_a_lifetime_that_would_have_passed_is_extended() -> None:
    car, neighbour = Originator(), Neighbour()
    packet = car.say(car.denm(0), 0)
    neighbour.hear(packet, 0)
    octets = {round(second): copy[LIFETIME_OCTET] for second, copy in neighbour.drive(0, 120)}
    before = {octet for second, octet in octets.items() if second <= 55}
    after = {octet for second, octet in octets.items() if second >= 60}
    assert (before, after) == ({packet[LIFETIME_OCTET]}, {6 << 2 | 3})


def test_while_the_originator_repeats_it_itself_nobody_else_does() -> None:
    car, neighbour = Originator(), Neighbour()
    denm = car.denm(0)
    for second in range(20):
        neighbour.hear(car.say(denm, second), second)
        assert neighbour.drive(second, second + 1) == []
    assert len(neighbour.drive(20, 22)) == 1


def test_of_two_who_keep_it_alive_one_speaks_at_a_time() -> None:
    car, one, other = Originator(), Neighbour(seed=10), Neighbour(seed=20)
    packet = car.say(car.denm(0), 0)
    for neighbour in (one, other):
        neighbour.hear(packet, 0)
    spoke: list[float] = []
    for step in range(6_000):
        second = step / 100
        for neighbour, listener in ((one, other), (other, one)):
            for copy in neighbour.poll(second):
                listener.keep_alive.copied(copy, ns(second))
                spoke.append(second)
    gaps = [after - before for before, after in pairwise(spoke)]
    assert min(gaps) >= 2.0
    assert {bool(each.keep_alive.counters["suppressed"]) for each in (one, other)} == {True}
    assert 25 <= len(spoke) <= 30


def test_an_update_is_kept_alive_in_place_of_what_it_updates_and_an_old_copy_is_not() -> None:
    car, neighbour = Originator(), Neighbour()
    first = car.say(car.denm(0), 0)
    update = car.say(car.denm(1, cause_code=CauseCode.STATIONARY_VEHICLE), 1)
    for packet in (update, first):
        neighbour.hear(packet, 1)
    (copy,) = neighbour.poll(4)
    assert copy[HOP_LIMIT_OCTET + 1 :] == update[HOP_LIMIT_OCTET + 1 :]
    assert len(neighbour.keep_alive) == 1


def test_a_cancellation_is_kept_alive_until_the_event_would_have_run_out() -> None:
    car, neighbour = Originator(), Neighbour()
    neighbour.hear(car.say(car.denm(0, validity_duration_s=60), 0), 0)
    over = car.denm(
        5, termination=Termination.IS_CANCELLATION, cause_code=None, transmission_interval_ms=None, validity_duration_s=10
    )
    cancellation = car.say(over, 5)
    neighbour.hear(cancellation, 5)
    said = neighbour.drive(5, 100)
    assert {copy[HOP_LIMIT_OCTET + 1 :] for _, copy in said} == {cancellation[HOP_LIMIT_OCTET + 1 :]}
    assert 7 < said[0][0] < 7.2
    assert 57 < said[-1][0] < 60


def test_a_late_comer_who_hears_the_kept_cancellation_first_never_believes_the_event() -> None:
    car, neighbour, late = Originator(), Neighbour(), Neighbour(seed=20)
    announcement = car.say(car.denm(0), 0)
    neighbour.hear(announcement, 0)
    neighbour.hear(car.say(car.denm(5, termination=Termination.IS_CANCELLATION, cause_code=None), 5), 5)
    (copy,) = neighbour.poll(8)
    late.hear(copy, 8)
    late.hear(announcement, 8)
    assert tuple(late.events) == ()


def test_a_negated_event_is_let_go() -> None:
    car, neighbour = Originator(), Neighbour()
    packet = car.say(car.denm(0), 0)
    neighbour.hear(packet, 0)
    for seed in (30, 40):
        stranger = Originator(seed=seed)
        denial = replace(
            car.denm(1, termination=Termination.IS_NEGATION, cause_code=None), station_id=stranger.station.identity.station_id
        )
        neighbour.hear(stranger.say(denial, 3), 3)
    assert neighbour.poll(4) == ()
    assert (len(neighbour.keep_alive), neighbour.keep_alive.counters) == (0, {"ended": 1})


def test_whoever_leaves_the_area_lets_go_and_without_a_position_nothing_is_said() -> None:
    car, neighbour = Originator(), Neighbour()
    neighbour.hear(car.say(car.denm(0), 0), 0)
    assert neighbour.keep_alive.poll(ns(3), None) == ()
    assert len(neighbour.keep_alive) == 1
    assert neighbour.keep_alive.poll(ns(6), OUTSIDE) == ()
    assert (len(neighbour.keep_alive), neighbour.keep_alive.counters["left"]) == (0, 1)


@pytest.mark.parametrize("hops", [0, 1])
def test_with_its_last_hop_a_packet_has_arrived(hops: int) -> None:
    car, neighbour = Originator(), Neighbour()
    packet = car.say(car.denm(0), 0)
    neighbour.hear(packet[:HOP_LIMIT_OCTET] + bytes([hops]) + packet[HOP_LIMIT_OCTET + 1 :], 0)
    assert neighbour.poll(3) == ()
    assert neighbour.keep_alive.counters == {"no_hops": 1}


@pytest.mark.parametrize("spoil", [{0: 0x22}, {0: 0x11}, {2: 0x03}, {2: 0x04}, {3: 0}, {3: 11}, {3: 255}])
def test_a_copy_that_nobody_would_take_for_anything_keeps_nobody_silent(spoil: dict[int, int]) -> None:
    car, neighbour = Originator(), Neighbour()
    packet = car.say(car.denm(0), 0)
    neighbour.hear(packet, 0)
    copy = bytearray(packet)
    for at_octet, octet in spoil.items():
        copy[at_octet] = octet
    for tenth in range(1, 40):
        neighbour.keep_alive.copied(bytes(copy), ns(tenth / 10))
        if said := neighbour.poll(tenth / 10):
            assert said[0][HOP_LIMIT_OCTET] == 9
            return
    pytest.fail("the event was not kept alive")


def test_a_copy_with_more_hops_left_is_repeated_instead_but_none_that_has_more_than_it_began_with() -> None:
    car, neighbour = Originator(), Neighbour()
    packet = car.say(car.denm(0), 0)
    for begin_s, (hops, kept) in zip((0, 3, 6, 9), ((2, 2), (7, 7), (255, 7), (4, 7)), strict=True):
        copy = packet[:HOP_LIMIT_OCTET] + bytes([hops]) + packet[HOP_LIMIT_OCTET + 1 :]
        if len(neighbour.keep_alive):
            neighbour.keep_alive.copied(copy, ns(begin_s))
        else:
            neighbour.hear(copy, 0)
        (said,) = neighbour.poll(begin_s + 2.5)
        assert said[HOP_LIMIT_OCTET] == kept - 1


@pytest.mark.parametrize(
    "change", [{"transmission_interval_ms": None}, {"termination": Termination.IS_CANCELLATION, "transmission_interval_ms": None}]
)
def test_an_event_without_a_transmission_interval_is_not_kept_alive(change: dict[str, object]) -> None:
    car, neighbour = Originator(), Neighbour()
    neighbour.hear(car.say(car.denm(0, **change), 0), 0)
    assert len(neighbour.keep_alive) == 0


def test_what_is_ours_is_not_kept_alive_not_even_what_comes_back_after_a_restart() -> None:
    car, neighbour = Originator(), Neighbour()
    neighbour.events = ReceivedEvents(is_own=lambda _: True)
    neighbour.keep_alive = KeepAlive(neighbour.events, entropy=Random(1).randbytes)
    for termination in (None, Termination.IS_CANCELLATION):
        neighbour.hear(car.say(car.denm(0, termination=termination), 0), 0)
    assert len(neighbour.keep_alive) == 0


def test_a_fast_repetition_is_kept_alive_slowly() -> None:
    car, neighbour = Originator(), Neighbour()
    neighbour.hear(car.say(car.denm(0, transmission_interval_ms=100), 0), 0)
    assert 8 <= len(neighbour.drive(0, 10)) <= 10


def test_however_many_events_there_are_few_packets_leave_at_once() -> None:
    neighbour = Neighbour()
    for seed in range(1, 4):
        car = Originator(seed=seed)
        for number in range(3):
            denm = car.denm(0)
            neighbour.hear(car.say(replace(denm, action_id=ActionId(denm.station_id, number)), 0), 0)
    assert len(neighbour.poll(3)) == MAX_AT_ONCE
    assert neighbour.poll(3) == ()
    assert neighbour.keep_alive.next_due() == ns(3) + AT_ONCE_APART_NS
    assert len(neighbour.poll(3.05)) == MAX_AT_ONCE
    assert len(neighbour.poll(3.1)) == 1


def test_one_ticket_has_but_so_many_events_kept_alive() -> None:
    car, neighbour = Originator(), Neighbour()
    for number in range(20):
        denm = car.denm(0)
        neighbour.hear(car.say(replace(denm, action_id=ActionId(denm.station_id, number)), 0), 0)
    assert len(neighbour.keep_alive) == MAX_KEPT_PER_TICKET
    assert neighbour.keep_alive.counters == {"no_room": 20 - MAX_KEPT_PER_TICKET}


def test_one_packet_is_repeated_so_often_and_no_more() -> None:
    car, neighbour = Originator(), Neighbour()
    neighbour.hear(car.say(car.denm(0, transmission_interval_ms=100), 0), 0)
    assert len(neighbour.drive(0, 700)) == MAX_REPEATS
    assert neighbour.keep_alive.counters["often_enough"] == 1


def test_what_is_no_signed_packet_is_refused() -> None:
    car, neighbour = Originator(), Neighbour()
    packet = car.say(car.denm(0), 0)
    indication = neighbour.station.receive(packet, at(0))
    assert indication is not None
    denm = indication.of(Denm)
    assert denm is not None
    neighbour.events.hear(denm, at(0))
    with pytest.raises(DecodeError):
        neighbour.keep_alive.heard(packet[:40], denm, at(0))
    assert len(neighbour.keep_alive) == 0


def test_a_single_hop_and_an_area_beyond_all_bounds_are_not_kept_alive() -> None:
    car, neighbour = Originator(), Neighbour()
    packet = car.say(car.denm(0), 0)
    indication = neighbour.station.receive(packet, at(0))
    assert indication is not None
    denm = indication.of(Denm)
    assert denm is not None
    neighbour.events.hear(denm, at(0))
    for area in (None, Circle(centre=TURIN, radius_m=5_000.0)):
        neighbour.keep_alive.heard(packet, replace(denm, area=area), at(0))
    assert len(neighbour.keep_alive) == 0


@pytest.mark.parametrize(("points", "most"), [(1, MAX_KEPT), (35, 60)])
def test_however_many_tickets_speak_so_many_packets_and_octets_are_kept(points: int, most: int) -> None:
    neighbour, packets = Neighbour(), []
    way = (tuple(PathPoint(0.001, 0.001, delta_altitude_m=1.0, delta_time_s=1.0) for _ in range(points)),) * 3
    for seed in range(1, 11):
        car = Originator(seed)
        for number in range(MAX_KEPT_PER_TICKET):
            denm = car.denm(0, traces=way)
            packet = car.say(replace(denm, action_id=ActionId(denm.station_id, number)), 0)
            packets.append(packet[HOP_LIMIT_OCTET + 1 :])
            neighbour.hear(packet, 0)
    said = [copy for _, copy in neighbour.drive(0, 3)]
    assert len(neighbour.keep_alive) <= most
    assert sum(len(copy) for copy in said) <= MAX_KEPT_OCTETS
    kept = Counter(packets.index(copy[HOP_LIMIT_OCTET + 1 :]) // MAX_KEPT_PER_TICKET for copy in said)
    assert set(kept) == set(range(10)), "nobody is pushed out by who has many"
    assert max(kept.values()) - min(kept.values()) <= 3
    assert len(said) == len(neighbour.keep_alive)
