"""A real drive on which another logger asked: its answers are heard, none is at fault, and nothing is asked beside it."""

from itertools import pairwise

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.transport.can_log import CanLog
from tests.helpers.data import data_file
from vehicle_agent.part_identity import PartIdentity
from vehicle_agent.requests.car_requests import CarRequests
from vehicle_agent.requests.config import RequestsConfig
from vehicle_agent.vehicle_memory import InMemory, Remembered
from vehicle_agent.vehicle_state import SignalUpdate

PARTS = range(1, 7)


def test_the_speed_another_logger_asks_for_is_heard_twice_a_second_through_the_whole_drive() -> None:
    speeds: list[SignalUpdate] = []
    pauses = drives = 0
    for part in PARTS:
        requests = CarRequests(
            RequestsConfig(bus="can1"),
            channel="can1",
            identity=PartIdentity(Remembered(InMemory())),
            says_ignition=False,
            started=MonotonicNs(0),
        )
        heard: list[SignalUpdate] = []
        sent = 0
        for frame in CanLog(data_file(f"can/css/car-obd2-gnssodo-2021-00000165-{part}.log.gz")).frames():
            updates, effects = requests.hear(frame, frame.received)
            heard += updates
            sent += len(effects)
        status = requests.status()
        assert (sent, status["faults"], status["refusals"]) == (0, {}, {})
        assert {update.field for update in heard} == {"obd_speed_mps"}
        gaps = sorted((b.at - a.at) / NS_PER_S for a, b in pairwise(heard))
        assert 0.45 <= gaps[len(gaps) // 2] <= 0.55
        pauses += sum(gap > heard[0].max_age_ns / NS_PER_S for gap in gaps)
        drives += any(isinstance(update.value, float) and update.value > 10.0 for update in heard)
        speeds += heard
    assert (len(speeds), pauses) == (5_699, 0)
    assert drives >= 5
    assert all(isinstance(update.value, float) and 0.0 <= update.value < 45.0 for update in speeds)
