"""Several radios behind one object: none can stop or silence another."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from shared.core.clock import ManualClock
from shared.core.errors import TransportError
from shared.core.geo import GeoPoint
from shared.transport.radio import MemoryMedium, MemoryRadio, RadioCounts, ReceivedPacket
from shared.transport.radio_set import AHEAD_PACKETS, MAX_RADIOS, RadioSet

MAC = bytes.fromhex("020000000001")
HERE = GeoPoint(48.137, 11.575)


class Diary:
    """Hears of radios that come and go."""

    def __init__(self) -> None:
        self.pages: list[tuple[str, str | None]] = []

    def listener_for(self, name: str) -> "Page":
        return Page(self, name)

    def of(self, name: str) -> list[str | None]:
        return [reason for whose, reason in self.pages if whose == name]


class Page:
    def __init__(self, diary: Diary, name: str) -> None:
        self._diary, self._name = diary, name

    def lost(self, reason: str) -> None:
        self._diary.pages.append((self._name, reason))

    def works(self) -> None:
        if any(self._diary.of(self._name)[-1:]):
            self._diary.pages.append((self._name, None))


class Fickle:
    """A radio in memory whose medium can be taken away."""

    def __init__(self, radio: MemoryRadio) -> None:
        self._radio = radio
        self.fault: str | None = None
        self.places: list[GeoPoint] = []

    @property
    def counts(self) -> RadioCounts:
        return self._radio.counts

    async def send(self, packet: bytes, *, source_mac: bytes) -> None:
        if self.fault is not None:
            raise TransportError("fickle", self.fault)
        await self._radio.send(packet, source_mac=source_mac)

    async def receive(self) -> ReceivedPacket:
        return await self._radio.receive()

    def attend(self, position: GeoPoint) -> None:
        self.places.append(position)

    def close(self) -> None:
        self._radio.close()

    def status(self) -> dict[str, object]:
        return {"places": len(self.places)}


class Site:
    """Two media, a station with a radio on each, and a stranger on each."""

    def __init__(self) -> None:
        clock = ManualClock(None)
        self.air, self.net = MemoryMedium(clock, "air"), MemoryMedium(clock, "net")
        self.diary = Diary()
        self.on_air = Fickle(self.air.open_radio())
        self.on_net = self.net.open_radio()
        self.radios = RadioSet({"air": self.on_air, "net": self.on_net}, listener_for=self.diary.listener_for)
        self.there = {"air": self.air.open_radio(), "net": self.net.open_radio()}


def run(scene: Callable[[Site], Coroutine[object, object, None]]) -> None:
    async def guarded_scene() -> None:
        site = Site()
        async with asyncio.timeout(60):
            await scene(site)
        site.radios.close()

    asyncio.run(guarded_scene())


def test_a_packet_goes_to_the_radios_it_names_and_without_names_to_all() -> None:
    async def scene(site: Site) -> None:
        send = site.radios.send
        assert await send(b"both", source_mac=MAC) == {"air", "net"}
        assert await send(b"air", links=frozenset({"air"}), source_mac=MAC) == {"air"}
        assert await send(b"none", links=frozenset({"mars"}), source_mac=MAC) == frozenset()
        assert await send(b"nobody", links=frozenset(), source_mac=MAC) == frozenset()
        await send(b"net", links=frozenset({"net", "mars"}), source_mac=MAC)
        assert [(await site.there["air"].receive()).packet for _ in range(2)] == [b"both", b"air"]
        assert [(await site.there["net"].receive()).packet for _ in range(2)] == [b"both", b"net"]
        assert {name: counts.sent for name, counts in site.radios.counts.items()} == {"air": 2, "net": 2}

    run(scene)


def test_what_any_radio_hears_comes_with_its_name_and_its_sender() -> None:
    async def scene(site: Site) -> None:
        for name in ("net", "air"):
            await site.there[name].send(name.encode(), source_mac=MAC)
            link, heard = await site.radios.receive()
            assert (link, heard.packet, heard.sender_mac) == (name, name.encode(), MAC)

    run(scene)


def test_a_flood_on_one_radio_does_not_silence_another() -> None:
    async def scene(site: Site) -> None:
        for _ in range(500):
            await site.there["air"].send(b"flood", source_mac=MAC)
        await site.there["net"].send(b"quiet", source_mac=MAC)
        heard = [await site.radios.receive() for _ in range(3)]
        assert "net" in [name for name, _packet in heard]

    run(scene)


def test_what_waits_outside_a_radios_own_queue_is_bounded_and_in_order() -> None:
    async def scene(site: Site) -> None:
        sent = [number.to_bytes(2, "big") for number in range(3 * AHEAD_PACKETS)]
        for packet in sent:
            await site.there["air"].send(packet, source_mac=MAC)
        taken = [(await site.radios.receive())[1].packet]
        for _ in range(100):
            await asyncio.sleep(0)
        waiting = site.on_air.counts.received - len(site.radios._links["air"].ahead) - len(taken)
        assert waiting >= len(sent) - AHEAD_PACKETS - 1
        taken += [(await site.radios.receive())[1].packet for _ in sent[1:]]
        assert taken == sent

    run(scene)


def test_a_radio_that_fails_is_told_and_counted_and_the_other_goes_on() -> None:
    async def scene(site: Site) -> None:
        site.on_air.fault = "no carrier"
        for _ in range(3):
            assert await site.radios.send(b"x", source_mac=MAC) == {"net"}
        status = site.radios.status()["air"]
        assert isinstance(status, dict)
        assert (status["unsent"], status["is_up"], status["fault"], status["places"]) == (3, False, "no carrier", 0)
        site.on_air.fault = None
        await site.radios.send(b"x", source_mac=MAC)
        assert site.diary.of("net") == []
        assert site.diary.of("air")[0] == "no carrier"
        assert site.diary.of("air")[-1] is None

    run(scene)


def test_a_medium_that_goes_and_comes_back_unasked_is_told_when_the_radios_are_looked_at() -> None:
    async def scene(site: Site) -> None:
        for fault in ("gone", "gone", None, None):
            site.on_air.fault = fault
            site.radios.attend(HERE)
        site.radios.attend(None)
        assert site.diary.of("air") == ["gone", None]
        assert site.on_air.places == [HERE] * 4

    run(scene)


def test_a_radio_that_closes_is_told_and_the_last_one_ends_reception() -> None:
    async def scene(site: Site) -> None:
        await site.there["air"].send(b"last", source_mac=MAC)
        site.on_air.close()
        assert (await site.radios.receive())[1].packet == b"last"
        await site.there["net"].send(b"still", source_mac=MAC)
        assert (await site.radios.receive())[0] == "net"
        assert site.diary.of("air") == ["closed"]
        site.radios.attend(None)
        assert site.diary.of("air") == ["closed"]
        site.on_net.close()
        with pytest.raises(TransportError, match="closed"):
            await site.radios.receive()

    run(scene)


def test_closing_the_set_closes_every_radio_and_wakes_who_waits() -> None:
    async def scene(site: Site) -> None:
        waiting = asyncio.create_task(site.radios.receive())
        await asyncio.sleep(0)
        site.radios.close()
        site.radios.close()
        with pytest.raises(TransportError, match="closed"):
            await waiting
        assert await site.radios.send(b"x", source_mac=MAC) == frozenset()

    run(scene)


@pytest.mark.parametrize("number", [0, MAX_RADIOS + 1])
def test_a_station_has_one_to_eight_radios(number: int) -> None:
    medium = MemoryMedium(ManualClock(None))
    with pytest.raises(ValueError, match=f"{number} radios"):
        RadioSet({str(n): medium.open_radio() for n in range(number)}, listener_for=Diary().listener_for)
