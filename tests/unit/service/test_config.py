from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest

from shared.core.clock import TimeSource
from shared.core.errors import ConfigError
from shared.service.config import MAX_CONFIG_OCTETS, ConfigStruct, load, load_table, resolve


class RadioConfig(ConfigStruct, frozen=True, kw_only=True):
    port: int
    group: str = "239.137.71.1"
    mode: Literal["listen", "talk"] = "listen"

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65_535:
            raise ValueError(f"port {self.port} is outside 1..65535")


class AgentConfig(ConfigStruct, frozen=True, kw_only=True):
    time: TimeSource
    radio: RadioConfig
    keys: Path
    plans: tuple[Path, ...] = ()
    further: Annotated[tuple[RadioConfig, ...], msgspec.Meta(max_length=2)] = ()


GOOD = """
time = "gnss"
keys = "keys/at"
plans = ["a.toml", "/etc/b.toml"]
[radio]
port = 35143
"""


def agent_toml(folder: Path, text: str) -> Path:
    path = folder / "agent.toml"
    path.write_text(text)
    return path


def test_a_configuration_becomes_a_frozen_struct_with_its_paths_resolved(tmp_path: Path) -> None:
    config = load(agent_toml(tmp_path, GOOD), AgentConfig)
    assert config == AgentConfig(
        time=TimeSource.GNSS,
        radio=RadioConfig(port=35_143),
        keys=tmp_path / "keys" / "at",
        plans=(tmp_path / "a.toml", Path("/etc/b.toml")),
    )
    with pytest.raises(AttributeError):
        config.keys = Path("elsewhere")  # type: ignore[misc]


@pytest.mark.parametrize(
    ("before", "after", "key", "reason"),
    [
        ("port = 35143", "prot = 35143", "radio", "missing key `port`|unknown key `prot`"),
        ("port = 35143", "port = 35143\nextra = 1", "radio", "unknown key `extra`"),
        ("port = 35143", 'port = "35143"', "radio.port", "Expected `int`, got `str`"),
        ("port = 35143", "port = 70000", "radio", "port 70000 is outside 1..65535"),
        ('time = "gnss"', 'time = "sundial"', "time", "'sundial'; it may be 'gnss', 'synchronised', 'assume_trusted'"),
        ("port = 35143", 'port = 35143\nmode = "loud"', "radio.mode", "'loud'; it may be 'listen', 'talk'"),
        ('keys = "keys/at"', "keys = 7", "keys", "expected the path"),
        ('keys = "keys/at"', 'keys = ""', "keys", "expected the path"),
        ('keys = "keys/at"', 'keys = "keys/at\\u0000x"', "keys", "expected the path"),
        ('"a.toml"', "3", "plans[0]", "expected the path"),
        ("[radio]", "verify = false\n[radio]", "", "unknown key `verify`"),
        ("[radio]", "[further]\nport = 1\n[radio]", "further", r"there is a \[\[further\]\] .*; this is a single \[further\]"),
        ('["a.toml", "/etc/b.toml"]', "{ a = 1 }", "plans", "Expected `array`, got `object`"),
    ],
)
def test_a_mistake_is_named_by_file_and_key(tmp_path: Path, before: str, after: str, key: str, reason: str) -> None:
    path = agent_toml(tmp_path, GOOD.replace(before, after))
    with pytest.raises(ConfigError, match=reason) as refused:
        load(path, AgentConfig)
    assert refused.value.path == (f"{path}: {key}" if key else str(path))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"ok = 1\nport = [\n7 = 8", "not TOML.*line 3"),
        (b"a = 1\na = 2\n", "not TOML"),
        (b"\xff\xfe", "not UTF-8 at octet 0"),
        (b"#" * (MAX_CONFIG_OCTETS + 1), "longer than"),
        (b"a = " + b"9" * 5_000, "too many digits"),
        (b"a = " + b"[" * 50_000, "not TOML|nested too deeply"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "agent.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=reason):
        load_table(path)


class _Wire(ConfigStruct, frozen=True, kw_only=True, tag_field="kind", tag="wire"):
    metal: str = "copper"


class _Air(ConfigStruct, frozen=True, kw_only=True, tag_field="kind", tag="air"):
    band: Literal["5.9 GHz", "6 GHz"] = "5.9 GHz"
    shunned: tuple[Literal["fog", "rain"], ...] = ()


class _LinkConfig(ConfigStruct, frozen=True, kw_only=True):
    link: tuple[_Wire | _Air, ...]


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ('kind = "air"\nshunned = ["fogg"]', "link[0].shunned[0]: Invalid enum value 'fogg'; it may be 'fog', 'rain'"),
        ('kind = "air"\nbend = 1', "link[0]: unknown key `bend`; the keys here are kind, band, shunned"),
        ('kind = "wire"\nmettal = 1', "link[0]: unknown key `mettal`; the keys here are kind, metal"),
    ],
)
def test_a_wrong_word_of_a_list_and_an_unknown_key_come_with_those_there_are(tmp_path: Path, table: str, sentence: str) -> None:
    path = agent_toml(tmp_path, f"[[link]]\n{table}\n")
    with pytest.raises(ConfigError) as refused:
        load(path, _LinkConfig)
    assert str(refused.value) == f"{path}: {sentence}"


def test_an_unknown_key_at_the_top_comes_with_the_names_of_the_tables(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown key `verify`; the keys here are time, radio, keys, plans"):
        load(agent_toml(tmp_path, GOOD.replace("[radio]", "verify = false\n[radio]")), AgentConfig)


def test_a_missing_file_or_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: cannot be read: No such file"):
        load(tmp_path / "absent.toml", AgentConfig)
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path, AgentConfig)


def test_a_path_is_relative_to_the_file_that_names_it() -> None:
    assert resolve(Path("/etc/v2x/agent.toml"), "maps/rav4.toml") == Path("/etc/v2x/maps/rav4.toml")
    assert resolve(Path("/etc/v2x/agent.toml"), "/var/lib/v2x") == Path("/var/lib/v2x")
    assert resolve(Path("agent.toml"), "x").is_absolute()
