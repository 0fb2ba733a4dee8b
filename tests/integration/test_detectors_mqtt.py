"""A detector's object lists through a real broker to a car that is warned of what the detector sees."""

import asyncio
import io
import json
import logging
from collections.abc import Callable
from pathlib import Path

import aiomqtt

from rsu_agent.config import RsuConfig
from rsu_agent.detector_config import detectors_of
from rsu_agent.detector_feed import DetectorFeed
from rsu_agent.object_watch import ObjectWatch
from shared.core.itstime import utc_text
from shared.facilities.received_events import News
from shared.messages.cdd import CauseCode
from shared.messages.denm import Denm
from shared.service.config import load
from shared.service.log import make_logger
from tests.helpers.broker import MosquittoBroker
from tests.helpers.hierarchy import Hierarchy
from tests.helpers.working_unit import STEP_NS, WorkingUnit
from tests.unit.rsu_agent.test_object_watch import CONFIG, seen

_SILENT = logging.Logger("silent", logging.CRITICAL + 1)  # noqa: LOG001


async def arrived(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - the broker is another process
        await asyncio.sleep(0.001)


def lists_of(watch: ObjectWatch) -> int:
    camera = watch.status()["camera"]
    assert isinstance(camera, dict)
    return int(camera["counters"].get("lists", 0))


def test_a_car_is_warned_of_a_person_the_camera_sees_and_hears_when_he_is_gone(tmp_path: Path) -> None:
    async def scene() -> None:
        file = tmp_path / "rsu.toml"
        file.write_text(CONFIG.replace("port = 1883", f"port = {broker.port}", 1))
        config = load(file, RsuConfig).detectors
        assert config is not None
        watch = ObjectWatch(detectors_of(config, str(file)))
        unit = WorkingUnit(Hierarchy(1), objects=watch)
        feed = DetectorFeed(config, watch=watch, loop=unit.loop, log=make_logger(io.StringIO(), as_json=True))
        client = aiomqtt.Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5, logger=_SILENT)
        async with asyncio.timeout(60), unit.working(), client as camera:
            running = asyncio.create_task(feed.run())
            await arrived(lambda: feed.status()["is_connected"] is True)
            taken: list[str] = []

            async def films(objects: list[dict[str, object]], until: News) -> Denm:
                """Publish a list every tenth of a second, each taken before the next, until the car has heard some news."""
                while True:
                    for kind, denm in unit.news:
                        if kind is until:
                            return denm
                    utc = unit.clock.advance(STEP_NS).require_utc()
                    document = json.dumps({"utc": utc_text(utc), "objects": objects})
                    await camera.publish("v2x/detectors/cellar", document, qos=1)
                    await camera.publish("v2x/detectors/camera", document, qos=1)
                    taken.append(document)
                    await arrived(lambda: lists_of(watch) == len(taken))

            assert (await films([seen()], News.NEW)).cause_code == CauseCode.HUMAN_PRESENCE_ON_THE_ROAD
            assert len(taken) >= 10, "seen for a second"
            await films([], News.CANCELLED)
            running.cancel()
            await asyncio.wait((running,))
            assert watch.status()["strangers"] == 0, "what no rule names is not even subscribed to"

    with MosquittoBroker(tmp_path) as broker:
        asyncio.run(scene())
