"""The odometer's message as a message: held back, doubled, or sent at another pace."""

from random import Random

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs
from shared.records.odometer import OdometerFlag
from vehicle_agent.odometer.frame_watch import FrameWatch

BEGAN = MonotonicNs(50 * NS_PER_S)


class Bus:
    """A bus that always speaks, and what is thought of the odometer's message on it."""

    def __init__(self) -> None:
        self.watch = FrameWatch()
        self.now = int(BEGAN)
        self.rng = Random(1)
        self.seen: set[OdometerFlag] = set()

    def send(
        self, count: int, *, period_ms: float = 1_000, jitter_ms: float = 50, readings: tuple[float, ...] = (5_000.0,)
    ) -> None:
        for number in range(count):
            self.now += round(period_ms * NS_PER_MS)
            early = round(self.rng.uniform(0, jitter_ms) * NS_PER_MS)
            self.watch.take(readings[number % len(readings)], MonotonicNs(self.now - early))
            self.seen |= self.flags()

    def wait(self, seconds: float) -> None:
        self.now += round(seconds * NS_PER_S)
        self.seen |= self.flags()

    def flags(self) -> frozenset[OdometerFlag]:
        return self.watch.flags(awake_since=BEGAN, heard_at=MonotonicNs(self.now))


def test_a_message_that_keeps_its_period_is_no_matter() -> None:
    bus = Bus()
    bus.send(500, jitter_ms=400)
    assert bus.seen == set()
    assert bus.watch.period_ns is not None
    assert abs(bus.watch.period_ns - NS_PER_S) < 100 * NS_PER_MS


def test_a_message_that_no_longer_comes_while_the_bus_speaks_is_missing_until_it_does() -> None:
    bus = Bus()
    bus.send(60)
    bus.wait(7.0)
    assert bus.flags() == frozenset()
    bus.wait(3.0)
    assert bus.flags() == {OdometerFlag.ODOMETER_FRAME_MISSING}
    bus.send(1)
    assert bus.flags() == frozenset()


def test_a_bus_that_has_just_woken_up_gives_its_odometer_time() -> None:
    bus = Bus()
    bus.send(60)
    hour_later = MonotonicNs(bus.now + 3_600 * NS_PER_S)
    assert bus.watch.flags(awake_since=hour_later, heard_at=MonotonicNs(hour_later + NS_PER_S)) == frozenset()


def test_a_second_sender_doubles_the_pace() -> None:
    bus = Bus()
    bus.send(60)
    bus.send(60, period_ms=500)
    assert bus.flags() == {OdometerFlag.ODOMETER_FRAME_DOUBLED}
    bus.send(60)
    assert bus.flags() == frozenset()


def test_two_senders_from_the_first_frame_on_contradict_each_other() -> None:
    bus = Bus()
    bus.send(60, period_ms=500, readings=(5_000.0, 4_000.0))
    assert bus.flags() == {OdometerFlag.ODOMETER_FRAME_DOUBLED}


def test_a_sender_with_another_pace_is_off_its_period() -> None:
    bus = Bus()
    bus.send(60)
    bus.send(60, period_ms=1_400)
    assert bus.flags() == {OdometerFlag.ODOMETER_FRAME_OFF_PERIOD}


def test_a_message_that_is_sent_on_change_has_no_period_to_keep() -> None:
    bus = Bus()
    for number in range(80):
        bus.send(1, period_ms=(200, 30_000, 4_000)[number % 3])
    bus.wait(600.0)
    assert bus.watch.period_ns is None
    assert bus.seen == set()


def test_a_night_between_two_drives_is_no_missing_message() -> None:
    bus = Bus()
    bus.send(60)
    bus.watch.sleep()
    bus.wait(8 * 3_600)
    bus.send(60)
    assert bus.seen == set()


def test_one_reading_that_falls_is_not_a_second_sender() -> None:
    bus = Bus()
    bus.send(40)
    bus.send(1, readings=(0.0,))
    bus.send(40)
    assert bus.seen == set()
