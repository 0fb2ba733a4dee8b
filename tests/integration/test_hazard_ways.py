"""A whole unit with detectors, corroboration and a traffic centre configured: what it says of them, and a hazard on the air."""

import asyncio
import io
import json
import logging
import os
from pathlib import Path

import aiomqtt
import pytest
from typer.testing import CliRunner

from rsu_agent.cli import app
from shared.core.clock import NS_PER_MS
from shared.core.itstime import utc_text
from shared.messages.cdd import CauseCode
from shared.messages.denm import Denm
from shared.service.status_socket import read_status
from shared.transport.udp_radio import UdpRadio
from tests.helpers.broker import MosquittoBroker
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import HERE, make_peer
from tests.helpers.unit_folder import lay_out_unit, run_unit

GROUP = "239.137.71.23"
_SILENT = logging.Logger("silent", logging.CRITICAL + 1)  # noqa: LOG001
SECTIONS = """
[corroboration]
witnesses = 3

[detectors]
host = "127.0.0.1"
port = BROKER

[[detectors.detector]]
name = "camera"
lat_deg = 48.137
lon_deg = 11.575

[[detectors.detector.rule]]
name = "person"
kinds = ["person"]
cause = "human_presence_on_the_road"

[backhaul]
host = "127.0.0.1"
port = BROKER
unit = "crossing"
"""


def lay_out(folder: Path, hierarchy: Hierarchy, *, radio: int, broker: int) -> Path:
    return lay_out_unit(folder, hierarchy, SECTIONS.replace("BROKER", str(broker)), group=GROUP, port=radio)


def test_a_unit_connects_to_what_is_configured_and_tells_of_the_centres_hazard(tmp_path: Path) -> None:
    hierarchy, clock = Hierarchy(3), clock_at()
    car = make_peer(hierarchy, 9)
    said = io.StringIO()

    async def scene() -> None:
        radio = UdpRadio.open(clock=clock, group=GROUP, port=0)
        config = lay_out(tmp_path, hierarchy, radio=radio.port, broker=broker.port)

        async def warned() -> Denm:
            while True:
                receiving = asyncio.ensure_future(radio.receive())
                while not receiving.done():
                    clock.advance(10 * NS_PER_MS)
                    await asyncio.wait((receiving,), timeout=0.01)
                heard = car.receive(receiving.result().packet, clock.now())
                denm = None if heard is None else heard.of(Denm)
                if denm is not None:
                    return denm.message

        unit = asyncio.create_task(run_unit(config, clock=clock, log=said))
        centre = aiomqtt.Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5, logger=_SILENT)
        async with asyncio.timeout(40), centre:
            hazard = {"cause": "accident", "lat_deg": HERE.lat_deg, "lon_deg": HERE.lon_deg, "relevance_distance_m": 500.0}
            until = utc_text(clock.now().require_utc() + 3_600_000_000_000)  # type: ignore[arg-type]  # a moment is an int
            document = json.dumps({"hazard": {**hazard, "radius_m": 300.0}, "until": until})
            await centre.publish("v2x/backhaul/hazard/a7", document, qos=1, retain=True)
            denm = await warned()
            assert (denm.cause_code, denm.station_id) == (CauseCode.ACCIDENT, 4049)
            status = json.loads(json.dumps(await asyncio.to_thread(read_status, tmp_path / "status.sock")))
            assert status["backhaul"]["is_connected"] is True
            assert status["detectors"]["heard"] == 0
            assert set(status["hazard_sources"]) == {"counters", "detector", "vehicles"}
            (told,) = status["hazards"]
            assert (told["source"], told["id"], told["cause"]) == ("centre", "all:a7", "accident")
        unit.cancel()
        with pytest.raises(asyncio.CancelledError):
            await unit
        radio.close()

    with MosquittoBroker(tmp_path) as broker:
        asyncio.run(scene())


def test_check_config_says_where_hazards_come_from(tmp_path: Path) -> None:
    config = lay_out(tmp_path, Hierarchy(3), radio=35_143, broker=1_883)
    result = CliRunner().invoke(app, ["check-config", "-c", str(config)])
    words = " ".join(result.output.split())
    assert result.exit_code == 0, result.output
    assert "listens to detectors camera at mqtt://127.0.0.1:1883, v2x/detectors" in words
    assert "tells of what 3 or more vehicles agree on" in words
    assert "talks to a traffic centre at mqtt://127.0.0.1:1883 as crossing, v2x/backhaul" in words


def test_a_broker_elsewhere_is_spoken_to_over_tls_or_not_at_all(tmp_path: Path) -> None:
    config = lay_out(tmp_path, Hierarchy(3), radio=35_143, broker=1_883)
    text = config.read_text()
    elsewhere = text.replace('[backhaul]\nhost = "127.0.0.1"', '[backhaul]\nhost = "broker.example"\nca = "absent.pem"')
    config.write_text(elsewhere)
    result = CliRunner().invoke(app, ["check-config", "-c", str(config)])
    assert "absent.pem" in str(result.exception)
    assert os.fspath(tmp_path) in str(result.exception)
