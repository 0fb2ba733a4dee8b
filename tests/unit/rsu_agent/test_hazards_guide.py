"""What the guide to hazards shows is what the unit takes."""

import json
import re
from pathlib import Path

from typer.testing import CliRunner

from rsu_agent.backhaul_documents import decode_hazard
from rsu_agent.cli import app
from rsu_agent.config import RsuConfig
from rsu_agent.detector_config import detectors_of
from rsu_agent.object_lists import SeenObject, decode_object_list
from rsu_agent.orders import PlaceHazard, WithdrawHazard, read_order
from shared.service.config import load
from tests.helpers.data import REPOSITORY

GUIDE = (REPOSITORY / "docs" / "hazards.md").read_text()


def blocks(kind: str) -> list[str]:
    found = re.findall(rf"^```{kind}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    assert found
    return found


def test_its_orders_are_orders() -> None:
    assert [type(read_order(json.loads(block))) for block in blocks("json order")] == [PlaceHazard, WithdrawHazard]


def test_its_object_list_is_one_and_names_every_key() -> None:
    (block,) = blocks("json objects")
    (seen,) = decode_object_list(block.encode()).objects
    assert all(getattr(seen, name) is not None for name in SeenObject.__struct_fields__)
    assert set(json.loads(block)["objects"][0]) == set(SeenObject.__struct_fields__)


def test_its_document_of_a_traffic_centre_is_one() -> None:
    (block,) = blocks("json centre")
    assert decode_hazard(block.encode()).hazard.cause_code == 2


def test_its_detectors_can_be_configured(tmp_path: Path) -> None:
    (block,) = blocks("toml")
    file = tmp_path / "rsu.toml"
    file.write_text(
        f"""
        station = {{ station_id = 4049, lat_deg = 48.137, lon_deg = 11.575 }}
        identity = {{ ticket = "ticket", trust = "trust" }}
        time = {{ source = "synchronised" }}
        state = {{ status_socket = "status.sock" }}
        {block}"""
    )
    config = load(file, RsuConfig).detectors
    assert config is not None
    (detector,) = detectors_of(config, str(file))
    assert [rule.name for rule in detector.rules] == ["person", "wrong-way"]


def test_every_option_it_uses_exists() -> None:
    lines = [line.split() for line in GUIDE.splitlines() if line.startswith("rsu-agent hazard ")]
    assert len(lines) == 4
    for words in lines:
        shown = CliRunner().invoke(app, ["hazard", words[2], "--help"]).output
        assert all(word in shown for word in words if word.startswith("--"))
