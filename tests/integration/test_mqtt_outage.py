"""A broker that is killed for thirty seconds in mid-drive, in real time: what was valid arrives, in order, and nothing else."""

import asyncio
from pathlib import Path

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs, TimeSource, UtcNs
from shared.core.itstime import time64_of
from shared.security.peek import peek_claims
from shared.service.system_clock import SystemClock
from shared.stack.indication import Verified
from shared.transport.mqtt_radio import MqttRadio
from shared.transport.packet_validity import FUTURE_TOLERANCE_MS
from tests.helpers.broker import PERSISTENT, MosquittoBroker
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.mqtt_medium import open_radio, plain
from tests.helpers.stations import TURIN, Speaker

AWAY_S = 30.0
BEFORE_S = AFTER_S = 2.0
CAM_EVERY_S = 0.1
CAMS_PER_DENM = 10
CAM_LIFE_NS = 1_000 * NS_PER_MS

INTERVAL_S = 0.05
PATIENCE_S = 120.0
"""A guard against a hung test; nothing waits for it to pass."""


async def saved_since(broker: MosquittoBroker, before_ns: int) -> None:
    """Wait until the broker has written down what it knows."""
    while broker.written_ns() == before_ns:  # noqa: ASYNC110 - a file has no event
        await asyncio.sleep(INTERVAL_S)


class Watch:
    """A clock that runs as fast as the machine's, from the noon of the test certificates."""

    def __init__(self) -> None:
        self._clock = SystemClock(TimeSource.ASSUME_TRUSTED)
        self._began = self._clock.now().monotonic

    def now(self) -> Instant:
        elapsed = self._clock.now().monotonic - self._began
        return Instant(MonotonicNs(elapsed), UtcNs(NOON + elapsed))


class Driver:
    """Says a CAM ten times a second and a warning once a second until told to stop."""

    def __init__(self, station: Speaker, radio: MqttRadio, clock: Watch) -> None:
        self._station, self._radio, self._clock = station, radio, clock
        self.cams: list[tuple[UtcNs, bytes]] = []
        self.warnings: list[tuple[UtcNs, bytes]] = []
        self.is_over = False

    async def drive(self) -> None:
        mac = self._station.station.identity.address.mac
        while not self.is_over:
            utc = self._clock.now().require_utc()
            said = [(self.cams, self._station.cam(utc))]
            if len(self.cams) % CAMS_PER_DENM == 0:
                said.append((self.warnings, self._station.denm(utc)))
            for log, packet in said:
                log.append((utc, packet))
                await self._radio.send(packet, source_mac=mac)
            await asyncio.sleep(CAM_EVERY_S)


class Hearer:
    """Verifies what comes and notes when it came, first time and again."""

    def __init__(self, station: Speaker, radio: MqttRadio) -> None:
        self._station, self._radio = station, radio
        self.first: dict[bytes, Instant] = {}
        self.again = 0

    async def hear(self) -> None:
        while True:
            heard = await self._radio.receive()
            if heard.packet in self.first:
                self.again += 1
                continue
            self.first[heard.packet] = heard.received
            assert isinstance(self._station.station.receive(heard.packet, heard.received), Verified)


def test_a_broker_killed_for_thirty_seconds_in_mid_drive(tmp_path: Path) -> None:
    async def scene() -> None:
        clock = Watch()
        endpoint = plain(broker.host, broker.port)
        radios = [open_radio(endpoint, clock) for _ in range(3)]
        for radio in radios:
            radio.attend(TURIN)
            await radio.settled()
        drivers = [Driver(station, radio, clock) for station, radio in zip(cars, radios, strict=False)]
        hearer = Hearer(unit, radios[2])
        async with asyncio.TaskGroup() as tasks:
            driving = [tasks.create_task(driver.drive()) for driver in drivers]
            hearing = tasks.create_task(hearer.hear())
            await asyncio.sleep(BEFORE_S)
            before = broker.written_ns()
            broker.save()
            async with asyncio.timeout(PATIENCE_S):
                await saved_since(broker, before)
            killed = clock.now().require_utc()
            broker.kill()
            await asyncio.sleep(AWAY_S)
            broker.start()
            started = clock.now().require_utc()
            for radio in radios:
                await radio.settled()
            again = clock.now().require_utc()
            await asyncio.sleep(AFTER_S)
            for driver in drivers:
                driver.is_over = True
            await asyncio.gather(*driving)
            for radio in radios[:2]:
                await radio.drained()
            everything = {packet for driver in drivers for _utc, packet in driver.warnings}
            everything |= {packet for driver in drivers for utc, packet in driver.cams if utc > again}
            while not everything <= set(hearer.first):  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.01)
            hearing.cancel()
        for radio in radios:
            radio.close()

        # Nothing valid was lost: all warnings, for they live a minute, and every CAM of whose life a second was left
        # while there was somebody to publish it to and somebody to hear it.
        heard = hearer.first
        for driver in drivers:
            assert all(packet in heard for _utc, packet in driver.warnings)
            lost = [utc for utc, packet in driver.cams if packet not in heard]
            assert all(killed - NS_PER_S // 2 < utc < again - CAM_LIFE_NS // 2 for utc in lost)
            assert len(lost) > (AWAY_S - 3) / CAM_EVERY_S
            assert [utc for utc, _packet in driver.warnings if killed < utc < started]
        # Nothing expired was delivered.
        for packet, received in heard.items():
            claims = peek_claims(packet, 4)
            assert claims is not None
            age_us = time64_of(received.require_utc()) - claims.generation_time
            if claims.psid == 36:
                assert age_us <= (1_000 + FUTURE_TOLERANCE_MS) * 1_000
        # The order of every sender holds, over all kinds.
        order = {packet: number for number, packet in enumerate(heard)}
        for driver in drivers:
            for log in (driver.cams, driver.warnings):
                places = [order[packet] for _utc, packet in log if packet in order]
                assert places == sorted(places)
        assert all(radio.counts.interruptions == 1 for radio in radios)

    hierarchy = Hierarchy(3)
    cars, unit = [Speaker(hierarchy, seed=seed) for seed in (1, 2)], Speaker(hierarchy, seed=3)

    async def guarded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await scene()

    with MosquittoBroker(tmp_path, lines=PERSISTENT) as broker:
        asyncio.run(guarded())
