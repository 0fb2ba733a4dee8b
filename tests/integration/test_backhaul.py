"""Units and a traffic centre on one real broker: hazards out, verified traffic in, and nothing shared but the broker."""

import asyncio
import io
import json
import logging
import re
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest
from msgspec.structs import replace

from rsu_agent.backhaul import MAX_WAITING, Backhaul
from rsu_agent.backhaul_config import BackhaulConfig
from rsu_agent.placed_hazards import HazardSource
from shared.core.clock import NS_PER_S
from shared.core.geo import GeoPoint, displaced
from shared.core.itstime import utc_text
from shared.facilities.received_events import News
from shared.messages.cdd import CauseCode
from shared.network.area import Circle
from shared.service.log import make_logger
from tests.helpers.broker import MosquittoBroker, TlsAuthority
from tests.helpers.data import REPOSITORY
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.identities import HERE, cam_of, denm_of, ego, make_peer
from tests.helpers.working_unit import WorkingUnit

HIERARCHY = Hierarchy(1)
TOPIC = "v2x/backhaul"
_SILENT = logging.Logger("silent", logging.CRITICAL + 1)  # noqa: LOG001


def run(scene: Callable[[], Coroutine[object, object, None]]) -> None:
    async def guarded() -> None:
        async with asyncio.timeout(60):
            await scene()

    asyncio.run(guarded())


def hazard(point: GeoPoint = HERE, *, until_s: int = 600, **more: object) -> bytes:
    table = {
        "cause": "accident",
        "lat_deg": point.lat_deg,
        "lon_deg": point.lon_deg,
        "relevance_distance_m": 500.0,
        "radius_m": 300.0,
    }
    return json.dumps({"hazard": {**table, **more}, "until": utc_text(NOON + until_s * NS_PER_S)}).encode()  # type: ignore[arg-type]


class Centre:
    """A traffic centre: everything it heard, and a way to say something."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self.heard: list[tuple[str, dict[str, object], bool]] = []
        self.ended: list[str] = []

    async def listen(self) -> None:
        async for message in self._client.messages:
            octets, topic = bytes(message.payload), str(message.topic).removeprefix(f"{TOPIC}/")
            if "hazard/" in topic:
                continue
            if octets:
                self.heard.append((topic, json.loads(octets), message.retain))
            else:
                self.ended.append(topic)

    async def says(self, where: str, octets: bytes) -> None:
        await self._client.publish(f"{TOPIC}/{where}", octets, qos=1, retain=True)

    def told(self, where: str) -> list[dict[str, object]]:
        return [document for topic, document, _ in self.heard if topic == where]


@asynccontextmanager
async def centre_at(broker: MosquittoBroker, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Centre]:
    version = aiomqtt.ProtocolVersion.V5
    async with aiomqtt.Client(broker.host, broker.port, protocol=version, logger=_SILENT, tls_context=tls) as client:
        centre = Centre(client)
        await client.subscribe(f"{TOPIC}/#", qos=1)
        listening = asyncio.create_task(centre.listen())
        try:
            yield centre
        finally:
            listening.cancel()
            await asyncio.wait((listening,))


@asynccontextmanager
async def connected(
    unit: WorkingUnit, broker: MosquittoBroker, name: str, *, settle_s: float = 30.0, authority: TlsAuthority | None = None
) -> AsyncIterator[Backhaul]:
    config = BackhaulConfig(host=broker.host, port=broker.port, unit=name, traffic_interval_s=0.2)
    if authority is not None:
        certificate, key = authority.issue(name)
        config = replace(config, ca=authority.path, certificate=certificate, key=key)
    backhaul = Backhaul(
        config,
        agent=unit.agent,
        here=unit.parts.position,
        station_id=unit.parts.station_id,
        loop=unit.loop,
        clock=unit.clock,
        log=make_logger(io.StringIO(), as_json=True),
        settle_s=settle_s,
    )
    async with unit.working():
        running = asyncio.create_task(backhaul.run())
        try:
            yield backhaul
        finally:
            running.cancel()
            await asyncio.wait((running,))


def counted(backhaul: Backhaul, name: str) -> int:
    counters = backhaul.status()["counters"]
    assert isinstance(counters, dict)
    return int(counters.get(name, 0))


def test_a_hazard_for_all_is_told_by_the_unit_that_is_near_and_taken_back_everywhere_by_an_empty_document(tmp_path: Path) -> None:
    near, far = WorkingUnit(HIERARCHY, 4049), WorkingUnit(HIERARCHY, 4050, position=displaced(HERE, 20_000.0, 0.0))

    async def scene() -> None:
        async with centre_at(broker) as centre, connected(near, broker, "near") as here, connected(far, broker, "far") as away:
            await centre.says("hazard/a7", hazard())
            said = await near.hears(News.NEW)
            assert (said.cause_code, said.station_id) == (CauseCode.ACCIDENT, 4049)
            await near.until(lambda: counted(away, "not_here") == 1 and counted(here, "accepted") == 1)
            assert [(name.source, name.hazard_id) for name in near.agent.hazards.placed] == [(HazardSource.CENTRE, "all:a7")]
            await centre.says("hazard/a7", b"")
            await near.hears(News.CANCELLED)
            await near.until(lambda: len(centre.told("near/answer")) == 2)
            assert [(each["id"], each["accepted"]) for each in centre.told("near/answer")] == [("all:a7", True)] * 2
            assert centre.told("far/answer") == [], "it is none of its business, and nobody need hear of that"
        assert far.agent.hazards.placed == ()

    with MosquittoBroker(tmp_path) as broker:
        run(scene)


def test_two_units_near_a_hazard_each_tell_of_it_under_an_action_id_of_their_own(tmp_path: Path) -> None:
    units = WorkingUnit(HIERARCHY, 4049), WorkingUnit(HIERARCHY, 4050)

    async def scene() -> None:
        async with centre_at(broker) as centre, connected(units[0], broker, "one"), connected(units[1], broker, "two"):
            await centre.says("hazard/a7", hazard())
            said = [await unit.hears(News.NEW) for unit in units]
            assert {each.action_id.originating_station_id for each in said} == {4049, 4050}
            await centre.says("one/hazard/b1", hazard(cause="roadworks"))
            await units[0].until(lambda: len(units[0].agent.hazards.placed) == 2)
            assert len(units[1].agent.hazards.placed) == 1

    with MosquittoBroker(tmp_path) as broker:
        run(scene)


def test_a_unit_that_comes_later_finds_what_holds_and_takes_back_what_does_not_any_more(tmp_path: Path) -> None:
    unit = WorkingUnit(HIERARCHY)

    async def scene() -> None:
        async with centre_at(broker) as centre:
            await centre.says("unit/hazard/stays", hazard())
            await centre.says("unit/hazard/goes", hazard())
        async with connected(unit, broker, "unit"):
            await unit.until(lambda: len(unit.agent.hazards.placed) == 2)
        async with centre_at(broker) as centre:
            await centre.says("unit/hazard/goes", b"")
        async with connected(unit, broker, "unit", settle_s=0.3) as backhaul:
            await unit.until(lambda: len(unit.agent.hazards.placed) == 1)
            assert [name.hazard_id for name in unit.agent.hazards.placed] == ["stays"]
            assert counted(backhaul, "taken_back_meanwhile") == 1

    with MosquittoBroker(tmp_path) as broker:
        run(scene)


@pytest.mark.parametrize("document", [hazard(displaced(HERE, 9_000.0, 0.0)), hazard(until_s=5)])
def test_a_hazard_that_is_moved_away_or_ends_is_withdrawn(tmp_path: Path, document: bytes) -> None:
    unit = WorkingUnit(HIERARCHY)

    async def scene() -> None:
        async with centre_at(broker) as centre, connected(unit, broker, "unit") as backhaul:
            for where in ("hazard/common", "unit/hazard/own"):
                await centre.says(where, hazard())
            await unit.until(lambda: len(unit.agent.hazards.placed) == 2)
            await centre.says("unit/hazard/own", b"{")
            await unit.until(lambda: counted(backhaul, "malformed") == 1)
            assert len(unit.agent.hazards.placed) == 2, "what is no document changes nothing"
            for where in ("hazard/common", "unit/hazard/own"):
                await centre.says(where, document)
            await unit.until(lambda: unit.agent.hazards.placed == ())
            await unit.until(lambda: len(centre.told("unit/answer")) == 5)
            assert [each["accepted"] for each in centre.told("unit/answer")] == [True, True, False, True, True]

    with MosquittoBroker(tmp_path) as broker:
        run(scene)


def test_a_unit_finds_its_hazards_among_those_of_a_whole_country(tmp_path: Path) -> None:
    unit, far = WorkingUnit(HIERARCHY), hazard(displaced(HERE, 0.0, 90_000.0))

    async def scene() -> None:
        async with centre_at(broker) as centre:
            for number in range(700):
                await centre.says(f"hazard/far{number}", far)
            await centre.says("hazard/near", hazard())
        async with connected(unit, broker, "unit") as backhaul:
            await unit.until(lambda: counted(backhaul, "not_here") == 700 and counted(backhaul, "accepted") == 1)
            assert [name.hazard_id for name in unit.agent.hazards.placed] == ["all:near"]
            assert counted(backhaul, "overrun") == 0

    with MosquittoBroker(tmp_path) as broker:
        run(scene)


def test_of_what_waits_the_latest_counts_and_what_is_too_much_is_lost_and_takes_nothing_back(tmp_path: Path) -> None:
    unit = WorkingUnit(HIERARCHY)

    async def scene() -> None:
        async with centre_at(broker) as centre:
            await centre.says("unit/hazard/stays", hazard())
        async with connected(unit, broker, "unit", settle_s=0.3) as backhaul:
            await unit.until(lambda: len(unit.agent.hazards.placed) == 1)
            backhaul.take(f"{TOPIC}/unit/hazard/h", hazard())
            backhaul.take(f"{TOPIC}/unit/hazard/h", b"")
            for number in range(MAX_WAITING):
                backhaul.take(f"{TOPIC}/hazard/h{number}", b"")
            await unit.until(lambda: counted(backhaul, "no_such_hazard") == MAX_WAITING)
            assert counted(backhaul, "overrun") == 1
        async with centre_at(broker) as centre:
            await centre.says("unit/hazard/stays", b"")
        async with connected(unit, broker, "unit", settle_s=0.3) as backhaul:
            await unit.until(lambda: backhaul.status()["is_connected"] is True)
            for number in range(MAX_WAITING + 1):
                backhaul.take(f"{TOPIC}/hazard/h{number}", b"")
            assert counted(backhaul, "overrun") == 1
            settled = asyncio.get_running_loop().time() + 0.4
            await unit.until(lambda: asyncio.get_running_loop().time() > settled)
            await unit.until(lambda: counted(backhaul, "no_such_hazard") == MAX_WAITING)
            assert len(unit.agent.hazards.placed) == 1

    with MosquittoBroker(tmp_path) as broker:
        run(scene)


@pytest.mark.parametrize(
    ("where", "document", "counter", "reason"),
    [
        ("unit/hazard/h", b"{", "malformed", "hazard document"),
        ("unit/hazard/h", b"\xff", "malformed", "hazard document"),
        ("unit/hazard/h", b"[" * 5_000, "malformed", "hazard document"),
        ("unit/hazard/h", hazard(cause="earthquake"), "configuration", "'earthquake' is not one of"),
        ("unit/hazard/h", hazard(radius_m=9_999.0), "configuration", "radius_m"),
        ("unit/hazard/h", hazard(colour="red"), "malformed", "unknown field"),
        ("unit/hazard/h", hazard(until_s=5), "over", "the hazard is over"),
        ("unit/hazard/h", hazard(until_s=99 * 86_400), "configuration", "lasts_s"),
        ("unit/hazard/h", hazard(displaced(HERE, 9_000.0, 0.0)), "not_here", "9000 m away"),
        ("unit/hazard/h", b'{"hazard": {}, "until": "noon"}', "malformed", "hazard"),
        ("unit/hazard/h%", hazard(), "malformed", None),
        ("hazard/" + "x" * 49, hazard(), "malformed", None),
    ],
)
def test_what_a_unit_does_not_take_is_counted_and_answered_in_words(
    tmp_path: Path, where: str, document: bytes, counter: str, reason: str | None
) -> None:
    unit = WorkingUnit(HIERARCHY)

    async def scene() -> None:
        async with centre_at(broker) as centre, connected(unit, broker, "unit") as backhaul:
            await centre.says(where, document)
            await unit.until(lambda: counted(backhaul, counter) == 1)
            if reason is not None:
                await unit.until(lambda: len(centre.told("unit/answer")) == 1)
                (answer,) = centre.told("unit/answer")
                assert answer["accepted"] is False
                assert reason in str(answer["reason"])
            assert unit.agent.hazards.placed == ()
            assert unit.news == []

    with MosquittoBroker(tmp_path) as broker:
        run(scene)


def test_the_centre_hears_of_verified_traffic_and_warnings_and_of_no_ticket(tmp_path: Path) -> None:
    unit = WorkingUnit(HIERARCHY)
    car = make_peer(HIERARCHY, 17)
    stranger = make_peer(Hierarchy(2), 18)

    async def scene() -> None:
        async with centre_at(broker) as centre, connected(unit, broker, "unit"):
            await unit.until(lambda: bool(centre.told("unit/state")))
            now = unit.clock.now()
            for speaker in (car, stranger):
                unit.agent.on_packet(speaker.send(cam_of(speaker, now), position=ego(now), now=now), now)
            area = Circle(centre=HERE, radius_m=300.0)
            unit.agent.on_packet(car.send(denm_of(car, now), position=ego(now), now=now, area=area), now)
            await unit.until(lambda: bool(centre.told("unit/traffic")) and bool(centre.told("unit/event/1")))
            peers = centre.told("unit/traffic")[0]["peers"]
            assert isinstance(peers, list)
            assert [(peer["station_id"], peer["lat_deg"], peer["speed_mps"]) for peer in peers] == [(17, 48.137, 13.9)]
            assert peers[0]["heading_deg"] == 90.0
            event = centre.told("unit/event/1")[0]
            assert (event["station_id"], event["station_type"], event["cause"]) == (17, 5, "stationary vehicle")
            async with centre_at(broker) as later:
                await unit.until(lambda: bool(later.told("unit/event/1")))
                assert later.told("unit/event/1") == [event], "a centre that comes later finds it"
            ticket = next(iter(unit.agent.peers)).ticket.hex()
            assert ticket not in json.dumps([document for _, document, _ in centre.heard])
            unit.clock.advance(700 * NS_PER_S)
            unit.agent.events.expire(unit.clock.now().monotonic)
            await unit.until(lambda: centre.ended == ["unit/event/1"])

    with MosquittoBroker(tmp_path) as broker:
        run(scene)


def test_whether_a_unit_is_there_is_kept_at_the_broker(tmp_path: Path) -> None:
    unit = WorkingUnit(HIERARCHY)

    async def scene() -> None:
        async with connected(unit, broker, "unit") as backhaul:
            await unit.until(lambda: backhaul.status()["published"] != 0)
            async with centre_at(broker) as centre:
                await unit.until(lambda: bool(centre.heard))
                assert centre.heard[0] == ("unit/state", {"is_online": True, "station_id": 4049}, True)
        async with centre_at(broker) as centre:
            await unit.until(lambda: bool(centre.heard))
            assert centre.told("unit/state") == [{"is_online": False, "station_id": 4049}]

    with MosquittoBroker(tmp_path) as broker:
        run(scene)


def test_without_its_broker_a_unit_works_on_and_tells_what_lasts_once_it_is_back(tmp_path: Path) -> None:
    unit = WorkingUnit(HIERARCHY)
    car = make_peer(HIERARCHY, 17)

    async def scene() -> None:
        async with connected(unit, broker, "unit") as backhaul:
            now = unit.clock.now()
            area = Circle(centre=HERE, radius_m=300.0)
            unit.agent.on_packet(car.send(denm_of(car, now), position=ego(now), now=now, area=area), now)
            await unit.until(lambda: unit.agent.sent.get("cam", 0) > 3)
            assert backhaul.status()["is_connected"] is False
            for _ in range(2):
                await unit.until(lambda: backhaul.status()["is_connected"] is False)
                await asyncio.to_thread(broker.start)
                async with centre_at(broker) as centre:
                    await unit.until(lambda: bool(centre.told("unit/event/1")))
                    assert centre.told("unit/event/1")[0]["station_id"] == 17
                await asyncio.to_thread(broker.kill)

    broker = MosquittoBroker(tmp_path)
    try:
        run(scene)
    finally:
        broker.kill()


def test_with_the_access_lists_of_the_guide_only_the_centre_places_hazards_and_each_unit_speaks_for_itself(tmp_path: Path) -> None:
    lists = re.search(r"```\n(user centre\n.*?)```", (REPOSITORY / "docs" / "hazards.md").read_text(), re.DOTALL)
    assert lists is not None
    (tmp_path / "access").write_text(lists.group(1))
    authority = TlsAuthority(tmp_path)
    unit, car = WorkingUnit(HIERARCHY), make_peer(HIERARCHY, 17)

    def known_as(name: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(authority.path))
        context.load_cert_chain(*authority.issue(name))
        return context

    async def scene() -> None:
        async with (
            centre_at(broker, tls=known_as("centre")) as centre,
            centre_at(broker, tls=known_as("other")) as other,
            connected(unit, broker, "crossing", authority=authority) as backhaul,
        ):
            await unit.until(lambda: bool(centre.told("crossing/state")))
            for where in ("hazard/a", "crossing/hazard/b"):
                await other.says(where, hazard())
            await other.says("crossing/event/1", b"{}")
            for where in ("hazard/c", "crossing/hazard/d"):
                await centre.says(where, hazard())
            await unit.until(lambda: counted(backhaul, "accepted") == 2)
            assert {name.hazard_id for name in unit.agent.hazards.placed} == {"all:c", "d"}
            now, area = unit.clock.now(), Circle(centre=HERE, radius_m=300.0)
            unit.agent.on_packet(car.send(denm_of(car, now), position=ego(now), now=now, area=area), now)
            await unit.until(lambda: all(centre.told(f"crossing/{what}") for what in ("traffic", "event/1", "answer")))
            assert [event["station_id"] for event in centre.told("crossing/event/1")] == [17]
            assert other.heard == [], "what one unit says is none of another's business"
            assert backhaul.status()["refused"] == 0
            assert backhaul.status()["refused_filters"] == []

    with MosquittoBroker(tmp_path, authority=authority, lines=(f"acl_file {tmp_path / 'access'}",)) as broker:
        run(scene)
