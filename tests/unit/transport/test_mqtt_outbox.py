"""The outbox: order, bounds, and letting go in time."""

from random import Random

import pytest

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.transport.mqtt_outbox import Outbox, OutboxCounts, Parcel
from shared.transport.mqtt_session import BackOff

START = MonotonicNs(0)


def parcel(name: str, *, life_s: float = 1.0, octets: int = 10, now: MonotonicNs = START) -> Parcel:
    useful_ns = round(life_s * NS_PER_S)
    return Parcel(
        payload=name.encode().ljust(octets),
        topic=name,
        qos=1,
        retain=False,
        useful_ns=useful_ns,
        expires=MonotonicNs(now + useful_ns),
    )


def seconds(count: float) -> MonotonicNs:
    return MonotonicNs(round(count * NS_PER_S))


def taken(outbox: Outbox, now: MonotonicNs = START) -> list[str]:
    names = []
    while (each := outbox.take(now)) is not None:
        names.append(each.topic)
        outbox.hand_over(each, len(names))
    return names


class TestOutbox:
    counts: OutboxCounts

    def outbox(self, *names: str, capacity_packets: int = 100, capacity_octets: int = 10_000) -> Outbox:
        self.counts = OutboxCounts()
        outbox = Outbox(self.counts, capacity_packets=capacity_packets, capacity_octets=capacity_octets)
        for name in names:
            outbox.put(parcel(name), START)
        return outbox

    def test_what_was_put_first_leaves_first(self) -> None:
        assert taken(self.outbox("a", "b", "c")) == ["a", "b", "c"]

    def test_what_was_under_way_comes_back_before_what_waits_in_its_order(self) -> None:
        outbox = self.outbox("a", "b", "c", "d")
        for number in (1, 2, 3):
            each = outbox.take(START)
            assert each is not None
            outbox.hand_over(each, number)
        outbox.acknowledge(2)
        outbox.come_back(START)
        assert taken(outbox) == ["a", "c", "d"]
        assert (self.counts.handed, self.counts.repeated, self.counts.acknowledged) == (4, 2, 1)

    def test_what_has_expired_is_not_given(self) -> None:
        outbox = self.outbox("a")
        outbox.put(parcel("b", life_s=2.0), START)
        assert taken(outbox, seconds(1.0)) == ["b"]
        assert self.counts.expired == 1

    def test_what_expires_under_way_does_not_come_back(self) -> None:
        outbox = self.outbox("a", "b")
        assert taken(outbox) == ["a", "b"]
        outbox.come_back(seconds(1.5))
        assert (len(outbox), self.counts.expired) == (0, 2)

    def test_when_room_is_short_what_is_of_use_for_longest_stays(self) -> None:
        outbox = self.outbox(capacity_packets=3)
        for name, life_s in (("cam 1", 1.0), ("denm 1", 60.0), ("cam 2", 1.0), ("denm 2", 60.0), ("denm 3", 60.0)):
            outbox.put(parcel(name, life_s=life_s), START)
        assert taken(outbox) == ["denm 1", "denm 2", "denm 3"]
        assert self.counts.crowded_out == 2

    def test_of_equals_the_oldest_makes_room(self) -> None:
        assert taken(self.outbox("a", "b", "c", capacity_packets=2)) == ["b", "c"]

    def test_what_has_expired_makes_room_first(self) -> None:
        outbox = self.outbox("a", capacity_packets=1)
        outbox.put(parcel("b", now=seconds(2)), seconds(2))
        assert (self.counts.expired, self.counts.crowded_out) == (1, 0)
        assert taken(outbox, seconds(2)) == ["b"]

    def test_octets_are_bounded_too(self) -> None:
        outbox = self.outbox(capacity_octets=250)
        for name in "abc":
            outbox.put(parcel(name, octets=100), START)
        assert taken(outbox) == ["b", "c"]

    def test_one_parcel_has_room_whatever_its_size(self) -> None:
        outbox = self.outbox(capacity_octets=50)
        outbox.put(parcel("large", octets=100), START)
        assert taken(outbox) == ["large"]

    def test_a_refused_parcel_is_gone_and_counted(self) -> None:
        outbox = self.outbox("a")
        assert taken(outbox) == ["a"]
        assert outbox.acknowledge(1, is_refused=True) is not None
        assert outbox.acknowledge(1) is None
        assert (len(outbox), self.counts.refused, self.counts.acknowledged) == (0, 1, 0)

    @pytest.mark.parametrize("seed", range(20))
    def test_whatever_happens_nothing_is_lost_uncounted_and_the_bounds_hold(self, seed: int) -> None:
        random, now = Random(seed), START
        outbox = self.outbox(capacity_packets=20, capacity_octets=2_000)
        put = number = 0
        under_way: list[int] = []
        for _ in range(500):
            now = MonotonicNs(now + random.randrange(NS_PER_S // 5))
            match random.randrange(5):
                case 0 | 1:
                    outbox.put(
                        parcel(str(put), life_s=random.choice((0.5, 2.0, 30.0)), octets=random.randrange(6, 300), now=now), now
                    )
                    put += 1
                case 2:
                    each = outbox.take(now)
                    if each is not None:
                        assert each.expires > now
                        number += 1
                        under_way.append(number)
                        outbox.hand_over(each, number)
                case 3 if under_way:
                    outbox.acknowledge(under_way.pop(0))
                case _ if random.random() < 0.1:
                    outbox.come_back(now)
                    under_way.clear()
            assert len(outbox) <= 20 + len(under_way)
            counts = self.counts
            assert put == len(outbox) + counts.acknowledged + counts.expired + counts.crowded_out + counts.refused


def test_the_wait_doubles_up_to_its_bound_and_is_shortened_by_chance() -> None:
    back_off, random = BackOff(first_s=0.2, longest_s=5.0), Random(1)
    for failures, bound_s in ((1, 0.2), (2, 0.4), (3, 0.8), (6, 5.0), (1_000_000, 5.0)):
        waits = [back_off.delay_s(failures, random) for _ in range(200)]
        assert bound_s / 2 <= min(waits) < 0.6 * bound_s
        assert 0.9 * bound_s < max(waits) <= bound_s
