"""Last words go out more than once, a broker has a moment to take them, and no broker keeps an agent from leaving."""

import asyncio
import io
from collections.abc import Callable, Coroutine

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, ManualClock, MonotonicNs, TimeSource
from shared.service.last_words import HANDED_OVER_S, LAST_WORDS_S, say_goodbye
from shared.service.log import Availability, make_logger
from shared.service.system_clock import SystemClock
from shared.stack.effects import Effect, Transmit
from shared.transport.mqtt_radio import MqttRadio
from shared.transport.radio import MemoryMedium, Radio
from shared.transport.radio_set import RadioSet
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.hostile_broker import PUBLISH, Answer, hostile_broker, manners, number_of
from tests.helpers.mqtt_medium import open_radio, plain
from tests.helpers.stations import TURIN, Speaker

MAC = bytes.fromhex("020000000001")
PATIENCE_S = 60.0
INTERVAL_NS = 500 * NS_PER_MS
CLOCK = SystemClock(TimeSource.ASSUME_TRUSTED)


class Leaving:
    """An agent with something to end; `times` is how often it wants to say so, None for ever."""

    def __init__(self, packet: bytes, times: int | None) -> None:
        self._packet, self._left = packet, times
        self._due: MonotonicNs | None = None
        self.said = 0

    def stop(self, now: Instant) -> tuple[Effect, ...]:
        return self.last_words(now)

    def next_last_words(self) -> MonotonicNs | None:
        return self._due

    def last_words(self, now: Instant) -> tuple[Effect, ...]:
        if self._left is not None:
            self._left -= 1
        self._due = None if self._left == 0 else MonotonicNs(now.monotonic + INTERVAL_NS)
        self.said += 1
        return (Transmit(self._packet),)


def radio_set(**radios: Radio) -> RadioSet:
    log = make_logger(io.StringIO())
    return RadioSet(radios, listener_for=lambda name: Availability(log, name))


async def took_s(agent: Leaving, radios: RadioSet) -> float:
    """Let an agent leave; return how long that took."""

    async def perform(effect: Effect) -> None:
        assert isinstance(effect, Transmit)
        await radios.send(effect.packet, source_mac=MAC)

    began = CLOCK.now().monotonic
    await say_goodbye(agent, radios, clock=CLOCK, perform=perform)
    return (CLOCK.now().monotonic - began) / NS_PER_S


def run(scene: Callable[[], Coroutine[object, object, None]]) -> None:
    async def guarded_scene() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await scene()

    asyncio.run(guarded_scene())


def test_what_is_to_be_said_again_is_said_more_than_once_and_not_for_ever() -> None:
    async def scene() -> None:
        medium = MemoryMedium(CLOCK)
        ear, radios = medium.open_radio(), radio_set(air=medium.open_radio())
        agent = Leaving(b"it is over", times=None)
        assert await took_s(agent, radios) >= INTERVAL_NS / NS_PER_S
        assert 2 <= agent.said <= 1 + LAST_WORDS_S * NS_PER_S / INTERVAL_NS
        for _ in range(agent.said):
            assert (await ear.receive()).packet == b"it is over"

    run(scene)


def test_whoever_has_nothing_to_say_twice_leaves_at_once() -> None:
    async def scene() -> None:
        agent = Leaving(b"bye", times=1)
        await took_s(agent, radio_set(air=MemoryMedium(CLOCK).open_radio()))
        assert agent.said == 1

    run(scene)


def leave_a_broker(answer: Answer, scene: Callable[[MqttRadio, RadioSet, Leaving], Coroutine[object, object, None]]) -> None:
    """Let an agent that says one warning leave by way of a broker."""
    warning = Speaker(Hierarchy(3), seed=1).denm(NOON)

    async def whole() -> None:
        async with hostile_broker(answer) as port:
            radio = open_radio(plain("127.0.0.1", port), ManualClock(NOON))
            radios = radio_set(cloud=radio)
            radio.attend(TURIN)
            await radio.settled()
            try:
                await scene(radio, radios, Leaving(warning, times=1))
            finally:
                radios.close()

    run(whole)


def test_a_broker_has_the_last_words_before_the_radio_is_closed() -> None:
    published: list[bytes] = []

    def answer(kind: int, body: bytes) -> bytes | None:
        if kind == PUBLISH:
            published.append(number_of(body))
        return manners(kind, body)

    async def scene(radio: MqttRadio, radios: RadioSet, agent: Leaving) -> None:
        await took_s(agent, radios)
        assert len(published) == radio.status()["acknowledged"] == 1

    leave_a_broker(answer, scene)


def test_a_broker_that_acknowledges_nothing_keeps_nobody_for_long() -> None:
    def answer(kind: int, body: bytes) -> bytes | None:
        return b"" if kind == PUBLISH else manners(kind, body)

    async def scene(radio: MqttRadio, radios: RadioSet, agent: Leaving) -> None:
        assert await took_s(agent, radios) >= HANDED_OVER_S
        assert radio.status()["outbox"] == 1
        assert not await radios.handed_over(0.01)

    leave_a_broker(answer, scene)
