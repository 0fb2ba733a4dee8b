"""The task between radio and loop: everything heard reaches the intake at once, whatever the loop is doing."""

import asyncio
import io
from random import Random

import pytest

from shared.core.clock import Instant
from shared.core.errors import TransportError
from shared.service.log import Availability, make_logger
from shared.service.notify import Notifier, Watchdog
from shared.service.radio_intake import feed_intake
from shared.service.run import WorkingLoop
from shared.stack.admission import BATCH_PACKETS
from shared.stack.batch import Outcome, SequentialChecker
from shared.stack.effects import Effect
from shared.stack.inbound import Inbound
from shared.stack.intake import Intake
from shared.transport.radio import RECEIVE_QUEUE_PACKETS, MemoryMedium
from shared.transport.radio_set import RadioSet
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import cam_of, ego, make_peer

HIERARCHY = Hierarchy(1)
LOG = make_logger(io.StringIO())


class Ear:
    """An agent without a timer that counts what it hears."""

    def __init__(self) -> None:
        self.inbound = Inbound(make_peer(HIERARCHY, 99))
        self.outcomes: list[Outcome] = []
        self.all_heard = asyncio.Event()

    def on_outcome(self, outcome: Outcome, _now: Instant, _packet: bytes) -> tuple[Effect, ...]:
        self.outcomes.append(outcome)
        if len(self.outcomes) == 300:
            self.all_heard.set()
        return ()

    def next_due(self) -> None:
        return None

    def on_timer(self, _now: Instant) -> tuple[Effect, ...]:
        return ()


async def nothing(_effect: Effect) -> None:
    pass


def test_what_a_radio_hears_is_verified_by_the_loop() -> None:
    clock, car = clock_at(), make_peer(HIERARCHY, 1)
    medium = MemoryMedium(clock)

    async def scene() -> None:
        ear, mouth = medium.open_radio(), medium.open_radio()
        agent = Ear()
        intake = Intake(listener=agent, checker=SequentialChecker(), lot=Random(1))
        loop = WorkingLoop(agent, clock=clock, perform=nothing, watchdog=Watchdog(Notifier(None), None), intake=intake)
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            radios = RadioSet({"air": ear}, listener_for=lambda name: Availability(LOG, name))
            feeding = tasks.create_task(feed_intake(radios, intake, loop, capture=None))
            working = tasks.create_task(loop.run())
            for _ in range(300):
                now = clock.advance(1_000)
                packet = car.send(cam_of(car, now), position=ego(now), now=now)
                await mouth.send(packet, source_mac=car.identity.address.mac)
                await asyncio.sleep(0)
            await agent.all_heard.wait()
            feeding.cancel()
            working.cancel()
        assert agent.inbound.verified == {"cam": 300}
        assert ear.counts.dropped_oldest == 0

    asyncio.run(scene())


def test_what_comes_faster_than_it_is_verified_is_shed_by_the_intakes_rule_and_never_by_the_radios_queue() -> None:
    clock, car = clock_at(), make_peer(HIERARCHY, 2)
    medium = MemoryMedium(clock)

    async def scene() -> None:
        ear, mouth = medium.open_radio(), medium.open_radio()
        agent = Ear()
        intake = Intake(listener=agent, checker=SequentialChecker(), lot=Random(1))
        loop = WorkingLoop(agent, clock=clock, perform=nothing, watchdog=Watchdog(Notifier(None), None), intake=intake)
        sent = 0
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            radios = RadioSet({"air": ear}, listener_for=lambda name: Availability(LOG, name))
            feeding = tasks.create_task(feed_intake(radios, intake, loop, capture=None))
            working = tasks.create_task(loop.run())
            while sent < 2 * RECEIVE_QUEUE_PACKETS or agent.inbound.verified["cam"] + sum(intake.shed.values()) < sent:
                for _ in range(4 * BATCH_PACKETS if sent < 2 * RECEIVE_QUEUE_PACKETS else 0):
                    now = clock.advance(1_000)
                    await mouth.send(car.send(cam_of(car, now), position=ego(now), now=now), source_mac=car.identity.address.mac)
                    sent += 1
                await asyncio.sleep(0)
                assert ear.counts.dropped_oldest == 0
            feeding.cancel()
            working.cancel()
        assert agent.inbound.verified["cam"] + sum(intake.shed.values()) == sent
        assert set(intake.shed) <= {"shed_crowded", "shed_superseded"}
        assert sum(intake.shed.values()) > 0

    asyncio.run(scene())


def test_a_radio_that_closes_ends_the_task_with_its_error() -> None:
    async def scene() -> None:
        radio = MemoryMedium(clock_at(), name="ether").open_radio()
        agent = Ear()
        intake = Intake(listener=agent, checker=SequentialChecker(), lot=Random(1))
        loop = WorkingLoop(agent, clock=clock_at(), perform=nothing, watchdog=Watchdog(Notifier(None), None), intake=intake)
        radio.close()
        with pytest.raises(TransportError, match="ether"):
            await feed_intake(
                RadioSet({"ether": radio}, listener_for=lambda name: Availability(LOG, name)), intake, loop, capture=None
            )

    asyncio.run(scene())
