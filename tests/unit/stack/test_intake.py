"""From the radio to an agent: nothing is lost below the load, in a flood what verifies decides, the agent hears each outcome."""

from random import Random

from shared.core.clock import NS_PER_MS, Instant, ManualClock
from shared.core.errors import V2xError
from shared.stack.admission import BATCH_PACKETS
from shared.stack.batch import Outcome, SequentialChecker
from shared.stack.effects import Effect, Notice
from shared.stack.inbound import Inbound
from shared.stack.intake import Intake
from shared.stack.station import Station
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import cam_of, ego, make_peer

HIERARCHY = Hierarchy(1)


class Diary:
    """An agent that writes down what it hears."""

    def __init__(self, station: Station) -> None:
        self.inbound = Inbound(station)
        self.heard: list[str] = []

    def on_outcome(self, outcome: Outcome, now: Instant, packet: bytes) -> tuple[Effect, ...]:
        word = outcome.code if isinstance(outcome, V2xError) else "echo" if outcome is None else str(outcome.message.station_id)
        self.heard.append(word)
        return (Notice("heard", {"word": word, "at": now.monotonic}),)


def street(cars: int) -> tuple[Diary, Intake, list[Station], ManualClock]:
    diary = Diary(make_peer(HIERARCHY, 99))
    intake = Intake(listener=diary, checker=SequentialChecker(), lot=Random(1))
    return diary, intake, [make_peer(HIERARCHY, number) for number in range(1, cars + 1)], clock_at()


def say(station: Station, now: Instant) -> bytes:
    return station.send(cam_of(station, now), position=ego(now), now=now)


def test_the_agent_hears_every_outcome_in_order_and_its_effects_come_back() -> None:
    diary, intake, (one, two), clock = street(2)
    packets = [say(one, clock.now()), say(two, clock.now())[:-1], say(two, clock.advance(NS_PER_MS))]
    for packet in packets:
        intake.offer(packet, clock.now())
    assert intake.octets == sum(map(len, packets))
    effects = intake.take(clock.now())
    assert diary.heard == ["1", "malformed", "signer_certificate_not_found"]
    assert [effect.fields["word"] for effect in effects if isinstance(effect, Notice)] == diary.heard
    assert intake.is_empty
    assert diary.inbound.refused == {"malformed": 1, "signer_certificate_not_found": 1}


def test_our_own_echo_is_heard_as_such_and_disturbs_nobody() -> None:
    diary, intake, (one,), clock = street(1)
    station = diary.inbound._station
    for packet in [say(station, clock.now())] + [say(one, clock.advance(NS_PER_MS)) for _ in range(2 * BATCH_PACKETS)]:
        intake.offer(packet, clock.now())
    while not intake.is_empty:
        intake.take(clock.now())
    assert diary.heard.count("echo") == 1
    assert diary.inbound.echoes == 1


def test_nothing_to_take_has_no_effect() -> None:
    _diary, intake, _cars, clock = street(0)
    assert intake.take(clock.now()) == ()


def test_with_too_much_waiting_a_verified_cam_makes_the_older_ones_of_its_car_superfluous() -> None:
    diary, intake, cars, clock = street(BATCH_PACKETS)
    for car in cars:
        diary.inbound.receive(say(car, clock.now()), clock.now())
    for _ in range(3):
        clock.advance(20 * NS_PER_MS)
        for car in cars:
            intake.offer(say(car, clock.now()), clock.now())
    intake.take(clock.now())
    assert sorted(diary.heard) == sorted(str(number) for number in range(1, BATCH_PACKETS + 1))
    assert intake.shed == {"shed_superseded": 2 * BATCH_PACKETS}
    assert intake.is_empty


def test_a_forged_cam_in_front_of_a_real_one_costs_a_verification_and_nothing_else() -> None:
    diary, intake, cars, clock = street(BATCH_PACKETS + 1)
    for car in cars:
        diary.inbound.receive(say(car, clock.now()), clock.now())
    clock.advance(20 * NS_PER_MS)
    for car in cars:
        real = say(car, clock.now())
        intake.offer(real, clock.now())
        intake.offer(real[:-1] + bytes((real[-1] ^ 1,)), clock.now())
    while not intake.is_empty:
        intake.take(clock.now())
    assert diary.inbound.verified == {"cam": 2 * len(cars)}
    assert set(diary.inbound.refused) == {"false_signature"}
