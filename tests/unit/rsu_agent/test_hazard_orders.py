"""An operator's hazard from the command line to a car that hears of it, and back again."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rsu_agent.cli import app
from rsu_agent.orders import obeying, read_order
from shared.core.errors import ConfigError, TransportError
from shared.facilities.received_events import News
from shared.messages.cdd import CauseCode
from shared.service.command_socket import CommandSocket
from shared.service.status_socket import StatusSocket
from tests.helpers.hierarchy import Hierarchy
from tests.helpers.identities import HERE
from tests.helpers.working_unit import WorkingUnit

PLACE = ["accident", str(HERE.lat_deg), str(HERE.lon_deg)]
HAZARD = {"cause": "roadworks", "lat_deg": 48.1, "lon_deg": 11.5, "relevance_distance_m": 100.0, "radius_m": 100.0}


class Scene(WorkingUnit):
    """A unit at work that takes orders, and a configuration that names its sockets."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Hierarchy(1))
        self.folder = folder
        self.config = folder / "rsu.toml"
        self.config.write_text(
            """
            station = { station_id = 4049, lat_deg = 48.137, lon_deg = 11.575 }
            identity = { ticket = "ticket", trust = "trust" }
            time = { source = "synchronised" }
            state = { status_socket = "status.sock", command_socket = "orders.sock" }
            """
        )

    @asynccontextmanager
    async def ordered(self) -> AsyncIterator[None]:
        """Work, and take orders, as long as this is entered."""

        def status() -> dict[str, object]:
            return self.agent.status(self.clock.now())

        async with (
            asyncio.timeout(20),
            self.working(),
            CommandSocket(self.folder / "orders.sock", obeying(self.agent, self.loop)),
            StatusSocket(self.folder / "status.sock", status),
        ):
            yield

    async def says(self, *words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, app, ["hazard", *words, "-c", str(self.config)])


def test_a_hazard_placed_on_the_command_line_reaches_a_car_and_is_taken_back(tmp_path: Path) -> None:
    scene = Scene(tmp_path)

    async def play() -> None:
        async with scene.ordered():
            placed = await scene.says("place", *PLACE, "--lasts", "600", "--radius", "300")
            assert placed.output == "hazard h1 is told of for 600 s\n"
            assert (await scene.hears(News.NEW)).cause_code == CauseCode.ACCIDENT
            listed = await scene.says("list", "--json")
            (hazard,) = json.loads(listed.output)
            assert (hazard["source"], hazard["id"], hazard["cause"], hazard["radius_m"]) == ("operator", "h1", "accident", 300.0)
            assert hazard["ends"].startswith("2026-11-22T12:10:0")
            assert "operator" in (await scene.says("list")).output
            withdrawn = await scene.says("withdraw", "h1")
            assert withdrawn.output == "hazard h1 is withdrawn\n"
            await scene.hears(News.CANCELLED)
            assert (await scene.says("list")).output == "nothing is warned of\n"

    asyncio.run(play())
    assert [(each.kind, each.fields["id"]) for each in scene.notices] == [("hazard_placed", "h1"), ("hazard_withdrawn", "h1")]


def test_an_order_that_is_refused_says_why(tmp_path: Path) -> None:
    scene = Scene(tmp_path)

    async def play() -> None:
        async with scene.ordered():
            for words, reason in (
                (["withdraw", "h9"], "there is no hazard 'h9' of operator"),
                (["withdraw", "h9", "--centre"], "there is no hazard 'h9' of centre"),
                (["place", "earthquake", "48", "11"], "order: hazard: cause: 'earthquake' is not one of"),
                (["place", "accident", "98", "11"], "no such place"),
                (["place", "reserved", "48", "11"], "'reserved' is not one of"),
                (["place", *PLACE, "--radius", "5"], "radius_m: 5.0 is not within"),
                (["place", *PLACE, "--lasts", "5"], "lasts_s: 5 is not within"),
                (["place", *PLACE, "--id", "a b"], "id: an id has"),
                (["place", *PLACE, "--direction", "sideways"], "sideways"),
            ):
                refused = await scene.says(*words)
                assert isinstance(refused.exception, TransportError), words
                assert reason in str(refused.exception)

    asyncio.run(play())
    assert scene.notices == []
    assert scene.agent.hazards.placed == ()


def test_without_a_place_for_orders_the_command_says_what_to_configure(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.config.write_text(scene.config.read_text().replace(', command_socket = "orders.sock"', ""))
    result = CliRunner().invoke(app, ["hazard", "withdraw", "h1", "-c", str(scene.config)])
    assert isinstance(result.exception, ConfigError)
    assert "state.command_socket" in str(result.exception)


@pytest.mark.parametrize(
    "order",
    [
        {"order": "place_hazard"},
        {"order": "place_hazard", "hazard": HAZARD, "lasts_s": "600"},
        {"order": "place_hazard", "hazard": {**HAZARD, "colour": "red"}},
        {"order": "place_hazard", "hazard": {**HAZARD, "lat_deg": None}},
        {"order": "place_hazard", "hazard": HAZARD, "source": "centre"},
        {"order": "withdraw_hazard"},
        {"order": "withdraw_hazard", "id": "h1", "source": "vehicles"},
    ],
)
def test_what_is_no_order_is_refused(order: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="order"):
        read_order(order)
