"""Who listens to a bus hears when it comes and goes."""

import asyncio
from contextlib import aclosing

from shared.core.clock import ManualClock
from shared.transport.can_bus import CanBus, CanBusConfig
from tests.helpers.hierarchy import NOON


class Listener:
    def __init__(self) -> None:
        self.heard: list[str | None] = []
        self.changed = asyncio.Event()

    def lost(self, reason: str) -> None:
        self.heard.append(reason)
        self.changed.set()

    def works(self) -> None:
        self.heard.append(None)
        self.changed.set()


def heard(config: CanBusConfig) -> str | None:
    async def scene() -> str | None:
        listener = Listener()
        bus = CanBus(config, clock=ManualClock(NOON))
        async with aclosing(bus.batches(listener)) as batches:
            reading = asyncio.ensure_future(anext(batches))
            async with asyncio.timeout(5):
                await listener.changed.wait()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        return listener.heard[0]

    return asyncio.run(scene())


def test_a_bus_that_is_not_there_is_told_with_the_reason() -> None:
    reason = heard(CanBusConfig(interface="socketcan", channel="nosuchbus0"))
    assert reason is not None
    assert reason.startswith("cannot be opened: ")


def test_a_bus_that_opens_is_told() -> None:
    assert heard(CanBusConfig(interface="virtual", channel="listened to")) is None
