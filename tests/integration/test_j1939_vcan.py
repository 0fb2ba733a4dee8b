"""J1939 across a bus: virtual, and the kernel's SocketCAN where V2X_VCAN names an interface (`tests/integration/test_vcan.py`)."""

import itertools
import os
from collections.abc import Callable, Iterator
from random import Random

import pytest

from shared.core.clock import NS_PER_MS, MonotonicNs, TimeSource
from shared.service.system_clock import SystemClock
from shared.stack.effects import SendCan
from shared.transport.can_bus import CanBus, CanBusConfig
from shared.transport.can_frame import CanFilter, CanFrame
from tests.helpers.data import REPOSITORY
from tests.helpers.j1939_unit import EVERYBODY, Unit, broadcast, frame
from vehicle_agent.j1939.groups import VEHICLE_IDENTIFICATION, ParameterGroup
from vehicle_agent.j1939.identification import identifiers_in
from vehicle_agent.j1939.listener import LISTENED_FILTERS
from vehicle_agent.j1939.transport import TransportReceiver
from vehicle_agent.signals.can_input import CanInput
from vehicle_agent.signals.signal_map import load_signal_map

ENGINE, US = 0x00, 0xF9
VIN = b"YV2RT40A5KB123456*"
_CLOCK = SystemClock(TimeSource.ASSUME_TRUSTED)
_NUMBERS = itertools.count()
_LOOKS = 100_000

_CONFIGS: dict[str, Callable[[], CanBusConfig]] = {
    "virtual": lambda: CanBusConfig(interface="virtual", channel=f"test-j1939-{next(_NUMBERS)}")
}
if os.environ.get("V2X_VCAN"):
    _CONFIGS["socketcan"] = lambda: CanBusConfig(interface="socketcan", channel=os.environ["V2X_VCAN"])


class Pair:
    """Our end of a bus and the units'."""

    def __init__(self, config: CanBusConfig, filters: tuple[CanFilter, ...]) -> None:
        self.ours = CanBus(config, clock=_CLOCK, filters=filters)
        self.theirs = CanBus(config, clock=_CLOCK, filters=())
        self.ours.open()
        self.theirs.open()

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()

    def heard(self, bus: CanBus, count: int) -> list[CanFrame]:
        """Take `count` frames; loopback delivers them before `send` returns, a loaded machine a little later."""
        frames: list[CanFrame] = []
        for _ in range(_LOOKS):
            frames += bus.drain()
            if len(frames) >= count:
                return frames
            os.sched_yield()
        raise AssertionError(f"{len(frames)} of {count} frames came")


@pytest.fixture(params=sorted(_CONFIGS))
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    pair = Pair(_CONFIGS[str(request.param)](), LISTENED_FILTERS)
    yield pair
    pair.close()


def _receiver() -> TransportReceiver:
    return TransportReceiver("can0", US, lambda pgn, source: (pgn, source) == (VEHICLE_IDENTIFICATION, ENGINE))


@pytest.mark.parametrize("size", [18, 1_785])
def test_a_group_broadcast_in_packets_comes_whole(pair: Pair, size: int) -> None:
    data = VIN if size == len(VIN) else Random(size).randbytes(size)
    receiver, groups = _receiver(), list[ParameterGroup]()
    for sent in broadcast(VEHICLE_IDENTIFICATION, ENGINE, data, gap=NS_PER_MS):
        pair.theirs.send(sent)
        for received in pair.heard(pair.ours, 1):
            group = receiver.receive(received).group
            groups += [] if group is None else [group]
    assert [(group.source, group.data) for group in groups] == [(ENGINE, data)]
    if data == VIN:
        assert identifiers_in(groups[0]) == {"vin": "YV2RT40A5KB123456"}


@pytest.mark.parametrize("lost", [frozenset[int](), frozenset({2})])
def test_a_vin_asked_for_comes_by_request_to_send(pair: Pair, lost: frozenset[int]) -> None:
    unit, receiver = Unit(ENGINE, {VEHICLE_IDENTIFICATION: VIN}, loses=lost, window=2), _receiver()
    pair.ours.send(frame(0xEA00, US, ENGINE, VEHICLE_IDENTIFICATION.to_bytes(3, "little"), priority=6))
    found: list[ParameterGroup] = []
    for _ in range(20):
        asked = pair.theirs.drain() or pair.heard(pair.theirs, 1)
        said = [each for received in asked for each in unit.receive(received)]
        for each in said:
            pair.theirs.send(each)
        answers: list[SendCan] = []
        for received in pair.heard(pair.ours, len(said)) if said else []:
            assembled = receiver.receive(received)
            found += [] if assembled.group is None else [assembled.group]
            answers += assembled.answers
        if not answers:
            due = receiver.next_due()  # a packet was lost: its time passes
            answers = [] if due is None else list(receiver.poll(due))
        for answer in answers:
            pair.ours.send(CanFrame(answer.arbitration_id, answer.is_extended, answer.data, "", MonotonicNs(0)))
        if found:
            break
    assert [group.data for group in found] == [VIN]
    acknowledgement = [each for received in pair.heard(pair.theirs, 1) for each in unit.receive(received)]
    assert (acknowledgement, unit.acknowledged) == ([], [VEHICLE_IDENTIFICATION])


@pytest.mark.parametrize("config", sorted(_CONFIGS))
def test_a_bus_lets_the_groups_of_a_map_through_whoever_sends_them(config: str) -> None:
    signal_map = load_signal_map(REPOSITORY / "vehicle_agent" / "maps" / "j1939_truck.toml")
    source, pair = CanInput(signal_map), Pair(_CONFIGS[config](), signal_map.filters())
    total = bytes.fromhex("ffffffff47b00100")
    try:
        for priority, sender in ((6, 0x00), (3, 0x27), (7, 0xEE)):
            pair.theirs.send(frame(0xFEE5, sender, EVERYBODY, total, priority=priority))  # no group of the map
            pair.theirs.send(frame(65_248, sender, EVERYBODY, total, priority=priority))
        frames = pair.heard(pair.ours, 3)
    finally:
        pair.close()
    assert [each.arbitration_id for each in frames] == [0x18FEE000, 0x0CFEE027, 0x1CFEE0EE]
    assert [update.value for each in frames[:1] for update in source.on_frame(each)] == [13_832_875.0]
