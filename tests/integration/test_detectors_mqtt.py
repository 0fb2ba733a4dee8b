"""A detector's object lists through a real broker to a car that is warned of what the detector sees."""

import asyncio
import io
import json
import logging
from pathlib import Path

import aiomqtt

from rsu_agent.config import RsuConfig
from rsu_agent.detector_config import detectors_of
from rsu_agent.detector_feed import DetectorFeed
from rsu_agent.object_watch import ObjectWatch
from shared.core.itstime import utc_text
from shared.facilities.received_events import News
from shared.messages.cdd import CauseCode
from shared.service.config import load
from shared.service.log import make_logger
from tests.helpers.broker import MosquittoBroker
from tests.helpers.hierarchy import Hierarchy
from tests.helpers.working_unit import WorkingUnit
from tests.unit.rsu_agent.test_object_watch import CONFIG, seen

_SILENT = logging.Logger("silent", logging.CRITICAL + 1)  # noqa: LOG001


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
            await unit.until(lambda: feed.status()["is_connected"] is True)
            is_there = True

            async def films() -> None:
                while True:
                    utc = unit.clock.now().require_utc()
                    document = {"utc": utc_text(utc), "objects": [seen()] if is_there else []}
                    await camera.publish("v2x/detectors/camera", json.dumps(document), qos=1)
                    await camera.publish("v2x/detectors/cellar", json.dumps(document), qos=1)

            filming = asyncio.create_task(films())
            assert (await unit.hears(News.NEW)).cause_code == CauseCode.HUMAN_PRESENCE_ON_THE_ROAD
            is_there = False
            await unit.hears(News.CANCELLED)
            filming.cancel()
            running.cancel()
            await asyncio.wait((filming, running))
            assert watch.status()["strangers"] == 0, "what no rule names is not even subscribed to"

    with MosquittoBroker(tmp_path) as broker:
        asyncio.run(scene())
