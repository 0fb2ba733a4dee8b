"""Real stations on an air that loses, delays and doubles packets: everybody is told once, and everybody learns that it is over."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from random import Random

import msgspec
import pytest

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import V2xError
from shared.core.geo import GeoPoint, displaced, distance_m
from shared.core.ids import StationType
from shared.core.itstime import utc_from_text
from shared.facilities.event_report import EventReport
from shared.facilities.keep_alive import KeepAlive
from shared.facilities.originated_events import OriginatedEvents
from shared.facilities.received_events import News, ReceivedEvents
from shared.facilities.saved_events import SavedEvents
from shared.messages.cdd import CauseCode
from shared.messages.denm import Denm
from shared.network.area import Circle
from shared.network.forwarding import Forwarding
from shared.network.headers import HOP_LIMIT_OCTET
from shared.pki.permission_sets import StationRole
from shared.stack.effects import Transmit
from shared.stack.inbound import Inbound
from shared.stack.router import Router
from shared.stack.station import EgoPosition
from tests.helpers.hierarchy import Hierarchy
from tests.helpers.stations import TURIN, Speaker

NOON = utc_from_text("2026-11-22T12:00:00Z")
HIERARCHY = Hierarchy(1)
RANGE_M = 300.0
STEP_NS = 20 * NS_PER_MS
DENM_PRIORITY = 1
ROADWORKS = EventReport(
    cause_code=CauseCode.ROADWORKS,
    sub_cause_code=0,
    position=TURIN,
    area=Circle(centre=TURIN, radius_m=1_000.0),
    validity_s=300,
    repetition_interval_ms=1_000,
    repetition_duration_s=20.0,
)


def at(now: int) -> Instant:
    return Instant(MonotonicNs(now), UtcNs(NOON + now))


class Node:
    """One station with everything above it that has to do with events."""

    def __init__(self, seed: int, east_m: float, role: StationRole = StationRole.VEHICLE) -> None:
        self.station = Speaker(HIERARCHY, role, seed=seed).station
        self.place: GeoPoint = displaced(TURIN, east_m, 0)
        self.router = Router(
            station=self.station, forwarding=Forwarding.NONE, entropy=Random(seed).randbytes, started=MonotonicNs(0)
        )
        self.received = ReceivedEvents(is_own=self.station.is_own_signer)
        self.keep_alive = KeepAlive(self.received, entropy=Random(seed).randbytes)
        self.inbound = Inbound(self.station, self.router)
        self.events = OriginatedEvents(self.station.identity.station_id, StationType.ROAD_SIDE_UNIT, 0)
        self.news: Counter[News] = Counter()

    @property
    def causes(self) -> list[int | None]:
        return [event.denm.cause_code for event in self.received]

    def hear(self, packet: bytes, now: Instant) -> None:
        indication = self.inbound.receive(packet, now)
        denm = None if indication is None else indication.of(Denm)
        if indication is None:
            self.keep_alive.copied(packet, now.monotonic)
        if denm is not None:
            self.news[self.received.hear(denm, now)] += 1
            self.keep_alive.heard(packet, denm, now)

    def speak(self, now: Instant) -> list[bytes]:
        position = EgoPosition(point=self.place, taken_at=now.require_utc(), speed_mps=0.0)
        self.router.place(position)
        effects = [
            transmit
            for said in self.events.poll(now)
            for transmit in self.router.say(said.denm, position=position, now=now, area=said.area)
        ]
        for packet in self.keep_alive.poll(now.monotonic, self.place):
            effects += self.router.repeat(packet, priority=DENM_PRIORITY, now=now.monotonic)
        effects += [effect for effect in self.router.poll(now) if isinstance(effect, Transmit)]
        return [effect.packet for effect in effects]

    def restart(self, now: Instant) -> None:
        """Lose everything but what is on the disk."""
        saved = msgspec.json.decode(msgspec.json.encode(self.events.snapshot()), type=SavedEvents)
        self.events = OriginatedEvents.restored(saved, StationType.ROAD_SIDE_UNIT, now)


@dataclass
class Air:
    """What is sent reaches whoever is near, unless it is lost; late, and perhaps twice."""

    nodes: list[Node]
    loss: float = 0.0
    rng: Random = field(default_factory=lambda: Random(7))
    now: int = 0
    sent: list[bytes] = field(default_factory=list)
    _under_way: list[tuple[int, int, int, bytes]] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        end = self.now + round(seconds * NS_PER_S)
        while self.now < end:
            while self._under_way and self._under_way[0][0] <= self.now:
                _, _, index, packet = heappop(self._under_way)
                self.nodes[index].hear(packet, at(self.now))
            for node in self.nodes:
                for packet in node.speak(at(self.now)):
                    self._spread(node, packet)
            self.now += STEP_NS

    def inject(self, packet: bytes) -> None:
        """An attacker with a strong radio."""
        for node in range(len(self.nodes)):
            heappush(self._under_way, (self.now, len(self.sent), node, packet))

    def _spread(self, speaker: Node, packet: bytes) -> None:
        self.sent.append(packet)
        for index, node in enumerate(self.nodes):
            if node is speaker or distance_m(node.place, speaker.place) > RANGE_M:
                continue
            for _ in range(self.rng.choice((1, 1, 2))):
                if self.rng.random() >= self.loss:
                    delay_ns = self.rng.randrange(1, 1_500) * NS_PER_MS
                    heappush(self._under_way, (self.now + delay_ns, self.rng.getrandbits(30), index, packet))


@pytest.mark.parametrize("loss", [0.0, 0.3, 0.6])
def test_over_an_air_that_loses_and_reorders_everybody_is_told_once_and_learns_that_it_is_over(loss: float) -> None:
    unit, cars = Node(1, 0, StationRole.RSU), [Node(seed, 20.0 * seed) for seed in range(2, 5)]
    air = Air([unit, *cars], loss=loss)
    action_id = unit.events.trigger(ROADWORKS, at(0))
    air.run(10)
    assert [car.causes for car in cars] == [[CauseCode.ROADWORKS]] * 3
    unit.events.update(action_id, replace(ROADWORKS, sub_cause_code=3), at(air.now))
    air.run(10)
    assert [[event.denm.sub_cause_code for event in car.received] for car in cars] == [[3]] * 3
    unit.events.cancel(action_id, at(air.now))
    air.run(40)
    for car in cars:
        assert car.causes == []
        assert (car.news[News.NEW], car.news[News.UPDATED], car.news[News.CANCELLED]) == (1, 1, 1)
        assert car.inbound.refused.keys() <= {"duplicate_message"}


def test_when_the_originator_is_gone_a_latecomer_is_told_by_who_is_still_there_and_told_once() -> None:
    unit, car, latecomer = Node(1, 0, StationRole.RSU), Node(2, 100), Node(3, 2_000)
    air = Air([unit, car, latecomer])
    unit.events.trigger(ROADWORKS, at(0))
    air.run(30)
    unit.place = displaced(TURIN, -5_000, 0)
    air.run(60)
    assert latecomer.causes == []
    latecomer.place = displaced(TURIN, 300, 0)
    air.run(30)
    assert latecomer.causes == [CauseCode.ROADWORKS]
    assert latecomer.news[News.NEW] == 1
    (event,) = latecomer.received
    assert event.key[1] == next(iter(car.received)).key[1]
    assert car.news == {News.NEW: 1, News.REPEATED: 19}


def test_a_cancellation_after_a_restart_reaches_even_who_the_originator_cannot_reach() -> None:
    unit, between, far = Node(1, 0, StationRole.RSU), Node(2, 250), Node(3, 450)
    air = Air([unit, between, far])
    unit.events.trigger(ROADWORKS, at(0))
    air.run(40)
    assert far.causes == [CauseCode.ROADWORKS]
    unit.restart(at(air.now))
    (live,) = unit.events.live
    unit.events.cancel(live.action_id, at(air.now))
    air.run(40)
    assert (between.causes, far.causes) == ([], [])
    assert (far.news[News.NEW], far.news[News.CANCELLED]) == (1, 1)
    assert distance_m(unit.place, far.place) > RANGE_M


def _with_hops(hops: int) -> Callable[[bytes], bytes]:
    return lambda packet: packet[:HOP_LIMIT_OCTET] + bytes([hops]) + packet[HOP_LIMIT_OCTET + 1 :]


@pytest.mark.parametrize("change", [_with_hops(10), _with_hops(2), _with_hops(255)])
def test_whoever_replays_everything_after_the_cancellation_revives_nothing(change: Callable[[bytes], bytes]) -> None:
    unit, car, latecomer = Node(1, 0, StationRole.RSU), Node(2, 100), Node(3, 200)
    air = Air([unit, car])
    action_id = unit.events.trigger(ROADWORKS, at(0))
    air.run(5)
    unit.events.cancel(action_id, at(air.now))
    air.run(20)
    air.nodes.append(latecomer)
    recorded = [packet for packet in air.sent if packet[0] & 0xF == 2]
    air.run(5)
    assert latecomer.causes == []
    for packet in reversed(recorded):
        air.inject(change(packet))
    air.run(5)
    assert (car.causes, latecomer.causes) == ([], [])
    assert car.news[News.NEW] == 1
    assert latecomer.news[News.NEW] == 0


def test_nobody_believes_a_kept_packet_that_somebody_changed() -> None:
    unit, car, latecomer = Node(1, 0, StationRole.RSU), Node(2, 100), Node(3, 200)
    air = Air([unit, car])
    unit.events.trigger(ROADWORKS, at(0))
    air.run(30)
    packet = [packet for packet in air.sent if packet[HOP_LIMIT_OCTET] == 9][-1]
    air = Air([latecomer], now=air.now)
    for octet in range(HOP_LIMIT_OCTET + 1, len(packet), 7):
        air.inject(packet[:octet] + bytes([packet[octet] ^ 1]) + packet[octet + 1 :])
    air.run(1)
    assert latecomer.causes == []
    with pytest.raises(V2xError):
        latecomer.station.receive(packet[:-1], at(air.now))
    latecomer.hear(packet, at(air.now))
    assert latecomer.causes == [CauseCode.ROADWORKS]
