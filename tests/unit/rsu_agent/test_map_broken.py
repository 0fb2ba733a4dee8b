"""Files of maps, plans and controllers with something broken in them: read, or refused in a sentence."""

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rsu_agent.junctions
from rsu_agent.map_data import NetworkChoice, load_map
from rsu_agent.map_geojson import geojson_of
from rsu_agent.map_plan import plan_of_map
from rsu_agent.map_svg import svg_of
from rsu_agent.signal_controllers.controller_file import load_controller
from rsu_agent.signal_controllers.fixed_time import load_plan
from shared.core.errors import ConfigError
from tests.unit.rsu_agent.test_map_sumo import HERE, SMALL

JUNCTIONS = Path(rsu_agent.junctions.__file__).parent
HOSTILE = (
    "0",
    "-1",
    "1e308",
    "-1e308",
    "nan",
    "inf",
    "9" * 30,
    '""',
    "null",
    "[]",
    "{}",
    "1e-320",
    "181",
    "256",
    "0.05",
    "\x00",
    "",
)


def draw(path: Path) -> None:
    junction = load_map(path, None, choice=NetworkChoice(reference=HERE) if path.suffix == ".xml" else None)
    svg_of(plan_of_map(junction), subtitle="", conflicts=junction.conflicting_groups())


def written(name: str) -> str:
    return (JUNCTIONS / name).read_text(encoding="utf-8")


FORMS: tuple[tuple[str, str, Callable[[Path], object]], ...] = (
    ("map.toml", written("crossing.map.toml"), draw),
    ("map.geojson", geojson_of(load_map(JUNCTIONS / "crossing.map.toml", None)), draw),
    ("map.net.xml", SMALL, draw),
    ("plan.toml", written("crossing.plan.toml"), load_plan),
    ("tscbm.toml", written("crossing.tscbm.toml"), load_controller),
    ("mqtt.toml", written("crossing.mqtt.toml"), load_controller),
)


@pytest.mark.parametrize(("name", "text", "read"), FORMS, ids=[name for name, _, _ in FORMS])
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_file_with_a_broken_number_or_line_is_read_or_refused_in_a_sentence(
    name: str, text: str, read: Callable[[Path], object], data: st.DataObject
) -> None:
    numbers = [match.span() for match in re.finditer(r"-?\d+(\.\d+)?", text)]
    begin, end = data.draw(st.sampled_from(numbers) | st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).map(sorted))
    broken = text[:begin] + data.draw(st.sampled_from(HOSTILE)) + text[end:]
    with TemporaryDirectory() as folder, suppress(ConfigError):
        path = Path(folder) / name
        path.write_text(broken, encoding="utf-8")
        read(path)
