"""The simulated air: what arrives where, when and in which order depends on the seed and on nothing else."""

from random import Random

import pytest

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs
from simulator.medium import Delivery, Frame, Medium
from simulator.options import AttackerKind

FOREVER = MonotonicNs(10**18)


def air(seed: int = 1, loss: float = 0.0, range_m: float = 300.0) -> tuple[Medium, list[Frame]]:
    frames: list[Frame] = []
    return Medium(Random(seed), on_frame=frames.append, loss=loss, range_m=range_m), frames


def arrivals(medium: Medium) -> list[Delivery]:
    found = []
    while (delivery := medium.arrived(FOREVER)) is not None:
        found.append(delivery)
    return found


def test_a_frame_reaches_every_antenna_in_range_but_its_own() -> None:
    medium, frames = air()
    sender, near, far = medium.put_up(0, 0), medium.put_up(100, 0), medium.put_up(0, 301)
    medium.send(sender, b"packet", MonotonicNs(0))
    assert [d.receiver for d in arrivals(medium)] == [near]
    assert [f.packet for f in frames] == [b"packet"]
    medium.move(far, 0, 200)
    medium.send(sender, b"again", MonotonicNs(0))
    assert {d.receiver for d in arrivals(medium)} == {near, far}


def test_an_antenna_of_its_own_range_is_heard_no_further() -> None:
    medium, _ = air()
    weak, near, far = medium.put_up(0, 0, range_m=100.0), medium.put_up(79, 0), medium.put_up(120, 0)
    assert (medium.reaches(weak, near), medium.reaches(weak, far), medium.reaches(far, weak)) == (True, False, True)
    medium.send(weak, b"whisper", MonotonicNs(0))
    assert [d.receiver for d in arrivals(medium)] == [near]


def test_nothing_arrives_before_its_airtime_and_nothing_late() -> None:
    medium, _ = air()
    sender, _ = medium.put_up(0, 0), medium.put_up(50, 0)
    medium.send(sender, bytes(300), MonotonicNs(NS_PER_S))
    assert medium.arrived(MonotonicNs(NS_PER_S + 440_000)) is None
    due = medium.next_arrival()
    assert due is not None
    assert NS_PER_S + 440_000 + 100_000 <= due <= NS_PER_S + 440_000 + NS_PER_MS
    assert medium.arrived(MonotonicNs(due - 1)) is None
    delivery = medium.arrived(due)
    assert delivery is not None
    assert delivery.at == due
    assert medium.next_arrival() is None


def story(seed: int) -> list[tuple[int, int, int]]:
    medium, _ = air(seed, loss=0.3)
    antennas = [medium.put_up(40.0 * n, 0) for n in range(8)]
    for step in range(50):
        medium.send(antennas[step % 8], bytes(100 + step), MonotonicNs(step * NS_PER_MS))
    return [(d.at, d.receiver, d.frame.number) for d in arrivals(medium)]


def test_the_same_seed_is_the_same_air_and_another_seed_is_not() -> None:
    assert story(5) == story(5)
    assert story(5) != story(6)


def test_deliveries_come_in_order_of_time() -> None:
    times = [at for at, _, _ in story(9)]
    assert times == sorted(times)


@pytest.mark.parametrize(("distance", "least", "most"), [(50.0, 0.85, 0.95), (270.0, 0.35, 0.55), (299.9, 0.0, 0.02)])
def test_loss_grows_towards_the_edge_of_the_range(distance: float, least: float, most: float) -> None:
    medium, _ = air(3, loss=0.1)
    sender, _ = medium.put_up(0, 0), medium.put_up(distance, 0)
    for _ in range(1_000):
        medium.send(sender, b"x", MonotonicNs(0))
    assert least <= len(arrivals(medium)) / 1_000 <= most


def test_ground_truth_travels_with_the_frame_and_not_in_the_packet() -> None:
    medium, frames = air()
    sender, _ = medium.put_up(0, 0), medium.put_up(1, 0)
    original = medium.send(sender, b"x", MonotonicNs(0))
    medium.send(sender, b"x", MonotonicNs(1), attack=AttackerKind.REPLAYED, copy_of=original.number)
    assert [(f.attack, f.copy_of) for f in frames] == [(None, None), (AttackerKind.REPLAYED, 0)]
    assert {d.frame.packet for d in arrivals(medium)} == {b"x"}


@pytest.mark.parametrize(("loss", "range_m"), [(-0.1, 300.0), (1.1, 300.0), (0.0, 0.0)])
def test_an_impossible_air_is_refused(loss: float, range_m: float) -> None:
    with pytest.raises(ValueError, match="no such air"):
        air(1, loss, range_m)
