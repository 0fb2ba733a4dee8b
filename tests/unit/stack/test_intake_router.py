"""What the intake knows of how packets came reaches the router; what waits too long for its lifetime is not heard."""

from random import Random

import pytest

from shared.core.clock import NS_PER_MS, ManualClock, MonotonicNs
from shared.stack.admission import BATCH_PACKETS, AdmissionQueue
from shared.stack.arrival import Arrival
from shared.stack.batch import Outcome, SequentialChecker
from shared.stack.effects import Effect
from shared.stack.inbound import Inbound
from shared.stack.intake import Intake
from shared.stack.router import Forwarding, Router
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import HERE, cam_of, denm_of, ego, make_peer
from tests.unit.stack.test_router_scene import WIDE

HIERARCHY = Hierarchy(1)
NORTH = Arrival("north", b"\x02\0\0\0\0\x07")


class Listener:
    """An agent that only counts."""

    def __init__(self, clock: ManualClock) -> None:
        station = make_peer(HIERARCHY, 99)
        self.router = Router(
            station=station,
            forwarding=Forwarding.SAME_LINK,
            entropy=Random(1).randbytes,
            started=clock.now().monotonic,
            links=("north", "south"),
        )
        self.router.place(ego(clock.now(), HERE))
        self.inbound = Inbound(station, self.router)

    def on_outcome(self, *_: Outcome | object) -> tuple[Effect, ...]:
        """Make nothing of it."""
        return ()


def test_a_hazard_that_waited_in_the_intake_is_forwarded_on_the_link_it_came_by() -> None:
    clock, car = clock_at(), make_peer(HIERARCHY, 1)
    listener = Listener(clock)
    intake = Intake(listener=listener, checker=SequentialChecker(), lot=Random(1))
    now = clock.now()
    for _ in range(BATCH_PACKETS + 1):
        clock.advance(NS_PER_MS)
        intake.offer(car.send(cam_of(car, clock.now()), position=ego(clock.now()), now=clock.now()), clock.now())
    intake.offer(car.send(denm_of(car, now), position=ego(now), now=now, area=WIDE), clock.now(), NORTH)
    while not intake.is_empty:
        intake.take(clock.now())
    assert listener.inbound.verified["denm"] == 1
    (sent,) = listener.router.poll(clock.advance(200 * NS_PER_MS))
    assert getattr(sent, "links", None) == frozenset(("north",))


def test_what_is_shed_has_occupied_the_channel_all_the_same() -> None:
    clock = clock_at()
    listener = Listener(clock)
    intake = Intake(listener=listener, checker=SequentialChecker(), lot=Random(1))
    for _ in range(5):
        for _ in range(90):
            intake.offer(b"\x12\0\x05\x01" + bytes(716), clock.now(), NORTH)
        listener.router.poll(clock.advance(100 * NS_PER_MS))
    assert listener.router.t_off_ns == 1_000 * NS_PER_MS


@pytest.mark.parametrize("crowd", [1, BATCH_PACKETS + 5])
def test_a_packet_that_waits_beyond_its_lifetime_is_shed_in_quiet_and_in_flood(crowd: int) -> None:
    clock, queue = clock_at(), AdmissionQueue(knows=lambda _signer, _now: False, lot=Random(1))
    now = clock.now()
    said = [car.send(cam_of(car, now), position=ego(now), now=now) for car in (make_peer(HIERARCHY, n + 1) for n in range(crowd))]
    for packet in said:
        queue.offer(packet, now)
    brief = said[0][:2] + b"\x08" + said[0][3:]  # a tenth of a second
    queue.offer(brief, now)
    taken: list[bytes] = []
    while len(queue):
        taken += [waiting.packet for waiting in queue.take(MonotonicNs(now.monotonic + 100 * NS_PER_MS))]
    assert sorted(taken) == sorted(said)
    assert dict(queue.shed) == {"shed_stale": 1}
