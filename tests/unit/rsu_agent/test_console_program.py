"""The running unit with a browser's way in, as its configuration says: what it shows is what it is, and orders need the token."""

import asyncio
import io
import json
from pathlib import Path

import httpx
from typer.testing import CliRunner

import rsu_agent.junctions
from rsu_agent.cli import app
from shared.core.errors import ConfigError
from tests.helpers.console import Follower
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.multicast import free_udp_port
from tests.helpers.unit_folder import PLANNED_JUNCTION, lay_out_unit, run_unit

JUNCTIONS = Path(rsu_agent.junctions.__file__).parent
TOKEN = "0123456789abcdef0123456789abcdef"
HAZARD = {"cause": "accident", "lat_deg": 48.1372, "lon_deg": 11.5753, "relevance_distance_m": 200, "radius_m": 300}


SECTIONS = f"""
[http]
listen = "127.0.0.1:0"
token = "operator.token"
{PLANNED_JUNCTION}"""


def laid_out(folder: Path) -> Path:
    """Write a unit's folder as an operator lays it out."""
    (folder / "operator.token").write_text(f"{TOKEN}\n")
    (folder / "operator.token").chmod(0o600)
    return lay_out_unit(folder, Hierarchy(3), SECTIONS, group="239.137.71.31", port=free_udp_port())


def test_check_config_says_where_the_console_will_be_and_refuses_a_token_that_is_none(tmp_path: Path) -> None:
    config = laid_out(tmp_path)
    result = CliRunner().invoke(app, ["check-config", "-c", str(config)])
    assert result.exit_code == 0, result.output
    assert "console on 127.0.0.1:0, in the clear: takes an operator's orders" in " ".join(result.output.split())
    (tmp_path / "operator.token").write_text("short\n")
    assert isinstance(CliRunner().invoke(app, ["check-config", "-c", str(config)]).exception, ConfigError)


def test_a_running_unit_serves_its_console_and_shows_a_hazard_that_its_operator_places_there(tmp_path: Path) -> None:
    config, clock, log = laid_out(tmp_path), clock_at(), io.StringIO()

    def address() -> str | None:
        told = [json.loads(line) for line in log.getvalue().splitlines()]
        return next((each["address"] for each in told if each["event"] == "console"), None)

    async def scene() -> None:
        unit = asyncio.create_task(run_unit(config, clock=clock, log=log))
        while address() is None:
            await asyncio.wait((unit,), timeout=0.01)
            assert not unit.done(), unit.result()
        async with httpx.AsyncClient(base_url=str(address())) as client:
            assert (await client.get("/console")).status_code == 200
            async with client.stream("GET", "/console/events") as stream:
                page, octets = Follower(), stream.aiter_bytes()
                while set(page.phases if page.picture else {0: "?"}) != {1, 2} or "unavailable" in page.phases.values():
                    clock.advance(10_000_000)
                    page.take(await anext(octets))
                assert page.picture["plan"]["name"] == "Example crossing"
                assert page.picture["orders"]["path"] == "/api/orders"
                order = {"order": "place_hazard", "id": "a1", "lasts_s": 600, "hazard": HAZARD}
                refused = await client.post("/api/orders", json=order)
                assert (refused.status_code, refused.json()) == (401, {"refused": "the operator's token is needed"})
                done = await client.post("/api/orders", json=order, headers={"authorization": f"Bearer {TOKEN}"})
                assert done.status_code == 200, done.text
                while not page.picture["hazards"]:
                    clock.advance(10_000_000)
                    page.take(await anext(octets))
            (hazard,) = page.picture["hazards"]
            assert (hazard["words"], hazard["source"], hazard["id"]) == ("accident", "operator", "a1")
            status = (await client.get("/api/status")).json()
            assert status["station_id"] == 4049
            assert TOKEN not in json.dumps(status)
        unit.cancel()
        await asyncio.wait((unit,))
        assert unit.cancelled()

    async def within() -> None:
        async with asyncio.timeout(30):
            await scene()

    asyncio.run(within())
