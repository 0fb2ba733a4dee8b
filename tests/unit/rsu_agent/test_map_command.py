"""`rsu-agent map`, as a person types it."""

import re
import tomllib
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner, Result

import rsu_agent.junctions
from rsu_agent.cli import app
from rsu_agent.map_data import MAX_MAPEM_OCTETS, load_map
from rsu_agent.map_plan import plan_of_map
from rsu_agent.map_svg import ARROWS, svg_of
from shared.core.errors import ConfigError
from tests.helpers.data import REPOSITORY, data_file

JUNCTIONS = Path(rsu_agent.junctions.__file__).parent
MAP = JUNCTIONS / "crossing.map.toml"
PLAN = JUNCTIONS / "crossing.plan.toml"
SVG = "{http://www.w3.org/2000/svg}"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["map", *map(str, arguments)])


def test_a_map_is_explained_by_its_signal_groups() -> None:
    result = run(MAP, "--plan", PLAN)
    assert result.exit_code == 0
    first, north_south, east_west, *rest = result.stdout.splitlines()
    assert re.fullmatch(
        r"Example crossing: Intersection 49/1, map revision 0, 12 lanes, 12 ways across, "
        rf"\d+ of {MAX_MAPEM_OCTETS} octets as a message",
        first,
    )
    assert north_south == "signal group 1: lanes 11, 12, 31, 32; yielding: lane 11 to 23, lane 31 to 43; never green with 2"
    assert east_west.endswith("never green with 1")
    assert rest[-1] == f"{MAP}: ok"


def test_a_check_says_only_that_all_is_well() -> None:
    assert run(MAP, "--check").stdout == f"{MAP}: ok\n"


@pytest.mark.parametrize(
    ("found", "written", "sentence"),
    [
        ('to_lane = 23\nturn = "left"', 'to_lane = 99\nturn = "left"', "lane 11: connection[0]: to_lane: there is no lane 99"),
        ("yields = true\nsignal_group = 1\nconnection_id = 1", "signal_group = 1", "signal group 1 lets traffic into its own way"),
        ("signal_group = 2\nconnection_id = 5", "signal_group = 3", "there is no signal group 3; the controller has 1, 2"),
    ],
)
def test_an_unsound_map_is_refused_by_file_and_key(tmp_path: Path, found: str, written: str, sentence: str) -> None:
    file = tmp_path / "map.toml"
    assert found in MAP.read_text()
    file.write_text(MAP.read_text().replace(found, written, 1))
    result = run(file, "--check", "--plan", PLAN)
    assert isinstance(result.exception, ConfigError)
    assert sentence in str(result.exception)
    assert str(file) in str(result.exception)


def test_a_plan_that_does_not_name_a_conflict_of_the_map_is_refused(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text("conflict = []\n" + PLAN.read_text().split("# Movements that cross")[0])
    result = run(MAP, "--check", "--plan", plan)
    assert isinstance(result.exception, ConfigError)
    assert "under signal groups 1 and 2, which are not named as a conflict" in str(result.exception)


def test_a_map_is_checked_against_the_file_of_a_controller_too(tmp_path: Path) -> None:
    assert run(MAP, "--check", "--controller", JUNCTIONS / "crossing.tscbm.toml").stdout == f"{MAP}: ok\n"
    assert run(MAP, "--check", "--controller", JUNCTIONS / "crossing.mqtt.toml").exit_code == 0
    blind = tmp_path / "blind.toml"
    blind.write_text((JUNCTIONS / "crossing.tscbm.toml").read_text().split("[[conflict]]")[0])
    result = run(MAP, "--check", "--controller", blind)
    assert "under signal groups 1 and 2, which are not named as a conflict" in str(result.exception)
    both = run(MAP, "--plan", PLAN, "--controller", blind)
    assert "either a plan or a controller" in str(both.exception)


def _winding(found: re.Match[str]) -> str:
    """The same lane with sixty nodes, which swing from side to side after the first."""
    (x, y), (end_x, end_y) = [tuple(map(float, found.group(i).split(","))) for i in (1, 2)]
    along = [(x + (end_x - x) * i / 59, y + (end_y - y) * i / 59, 0.3 * (i % 2)) for i in range(60)]
    swung = (f"[{e + (aside if x == end_x else 0):.2f}, {n + (aside if y == end_y else 0):.2f}]" for e, n, aside in along)
    return f"nodes_m = [{', '.join(swung)}]"


def test_a_map_too_long_for_a_packet_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "map.toml"
    lanes = re.compile(r"nodes_m = \[\[([^]]+)\], \[([^]]+)\]\]")
    file.write_text(lanes.sub(_winding, MAP.read_text(), count=7))
    with pytest.raises(ConfigError, match=f"as a message it has \\d+ octets, and a packet carries {MAX_MAPEM_OCTETS}"):
        load_map(file, None)
    file.write_text(lanes.sub(_winding, MAP.read_text()))
    with pytest.raises(ConfigError, match="cannot be said in a message"):
        load_map(file, None)


def test_a_drawing_is_a_self_contained_picture_that_says_what_the_map_says(tmp_path: Path) -> None:
    out = tmp_path / "crossing.svg"
    assert run(MAP, "--svg", out).exit_code == 0
    text = out.read_text()
    root = ET.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert (root.get("role"), root.get("aria-labelledby")) == ("img", "name what")
    assert [root.findtext(f"{SVG}{tag}") for tag in ("title", "desc")] == [
        "Example crossing",
        "12 lanes (11, 12, 13, 21, 22, 23, 31, 32, 33, 41, 42, 43), 12 ways across, signal groups 1, 2",
    ]
    titles = {each.findtext(f"{SVG}title") for each in root.iter(f"{SVG}path")}
    assert "lane 11 to 23, signal group 1, yields" in titles
    assert len([each for each in root.iter(f"{SVG}path") if (each.get("class") or "").startswith("way")]) == 12
    assert len([each for each in root.iter(f"{SVG}circle") if "lamp" in (each.get("class") or "")]) == 8
    words = [each.text for each in root.iter(f"{SVG}text")]
    assert {"Signal group 1", "never with 2", "Intersection 49/1, map revision 0"} <= set(words)
    assert "prefers-color-scheme:dark" in text
    assert not re.search(r"(?:href|src)=|url\((?!#)|<script|@import", text)


def test_lanes_are_painted_with_where_they_lead_and_with_the_borders_they_share() -> None:
    root = ET.fromstring(run(MAP, "--svg", "-").stdout)
    arrows = [each.get("d") for each in root.iter(f"{SVG}path") if each.get("class") == "arrow"]
    assert Counter(arrows) == {ARROWS["left"]: 4, ARROWS["right"]: 4, ARROWS["straight"]: 8}
    marks = Counter(each.get("stroke-dasharray") for each in root.iter(f"{SVG}path") if each.get("class") == "mark")
    assert marks == {None: 16, "9 7": 8}, "each arm has two lanes in, which share one border, and one out"


def test_the_picture_in_the_documentation_is_what_the_command_draws() -> None:
    drawn = run(MAP, "--plan", PLAN, "--svg", "-").stdout
    assert "Signal group 1 (north-south)" in drawn
    assert (REPOSITORY / "docs" / "images" / "crossing-map.svg").read_text(encoding="utf-8") == drawn


def test_names_in_a_drawing_are_text_and_no_markup() -> None:
    example = load_map(MAP, None)
    drawn = svg_of(plan_of_map(example), subtitle="<b>&", conflicts=frozenset())
    assert "&lt;b&gt;&amp;" in drawn
    ET.fromstring(drawn)


def test_a_drawing_does_not_overwrite_and_can_be_printed(tmp_path: Path) -> None:
    out = tmp_path / "map.svg"
    out.write_text("something of value")
    assert run(MAP, "--svg", out).exit_code != 0
    assert out.read_text() == "something of value"
    assert run(MAP, "--svg", "-").stdout.startswith("<svg ")
    both = run(MAP, "--svg", "-", "--toml", "-")
    assert "only one form can be printed" in str(both.exception)


def test_a_junction_of_a_town_is_cut_out_and_written_as_toml(tmp_path: Path) -> None:
    network = data_file("traffic/bologna_acosta/acosta_buslanes.net.xml")
    out = tmp_path / "nine.map.toml"
    result = run(network, "--junction", "9", "--number", 219, "--name", "Via Saffi", "--toml", out, "--check")
    assert result.exit_code == 0
    document = tomllib.loads(out.read_text())
    assert (document["name"], document["number"], len(document["lane"])) == ("Via Saffi", 219, 21)
    assert run(out, "--check").stdout == f"{out}: ok\n"


def test_what_is_asked_of_a_network_is_not_passed_over_where_there_is_none() -> None:
    for option in (("--junction", "9"), ("--number", "219"), ("--name", "Via Saffi"), ("--reference", "48.1,11.5")):
        assert "in a SUMO network only" in str(run(MAP, *option).exception)


def test_a_reference_that_is_no_place_is_refused() -> None:
    assert "'48;11' is not LAT,LON" in str(run(MAP, "--reference", "48;11").exception)
