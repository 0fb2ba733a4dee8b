import asyncio
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

import rsu_agent.junctions
from rsu_agent.cli import app
from rsu_agent.composition import read_parts
from rsu_agent.config import RsuConfig, hazards_of
from shared.core.errors import ConfigError, TransportError
from shared.core.ids import StationType
from shared.messages.denm import Denm, Termination
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.service.command_socket import give_order
from shared.service.config import load
from shared.service.status_socket import read_status
from shared.stack.station import Station, StationIdentity, make_station
from shared.transport.pcap import read_pcap
from shared.transport.udp_radio import UdpRadio
from tests.helpers.data import REPOSITORY
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.unit_folder import lay_out_unit, run_unit

JUNCTIONS = Path(rsu_agent.junctions.__file__).parent
GROUP = "239.137.71.9"


@dataclass(frozen=True)
class Site:
    """A roadside unit's folder as an operator lays it out."""

    folder: Path
    hierarchy: Hierarchy

    @property
    def config(self) -> Path:
        return self.folder / "rsu.toml"

    def change(self, found: str, written: str) -> None:
        text = self.config.read_text()
        assert found in text
        self.config.write_text(text.replace(found, written, 1))


SECTIONS = """
[capture]
file = "radio.pcap"

[junction]
plan = "crossing.plan.toml"
map = "crossing.map.toml"

[[hazard]]
cause = "roadworks"
lat_deg = 48.137
lon_deg = 11.58
relevance_distance_m = 500
radius_m = 600
heading_deg = 90
speed_limit_kmh = 30
traces_deg = [[[48.137, 11.578], [48.137, 11.576]]]
"""


@pytest.fixture(name="laid_out")
def _laid_out(tmp_path: Path) -> Site:
    hierarchy = Hierarchy(3)
    lay_out_unit(tmp_path, hierarchy, SECTIONS, group=GROUP, state='command_socket = "orders.sock"')
    return Site(tmp_path, hierarchy)


MS_NS = 1_000_000


def listener(hierarchy: Hierarchy) -> Station:
    return make_station(
        identity=StationIdentity.drawn(StationType.PASSENGER_CAR, Random(5).randbytes),
        ticket=hierarchy.ticket(),
        trust_store=hierarchy.trust_store,
        areas=NO_IDENTIFIED_AREAS,
    )


def test_a_running_unit_is_heard_answers_for_its_status_and_cancels_its_hazard_more_than_once_when_stopped(laid_out: Site) -> None:
    clock, car, log = clock_at(), listener(laid_out.hierarchy), io.StringIO()

    async def scene() -> None:
        radio = UdpRadio.open(clock=clock, group=GROUP, port=0)
        laid_out.change('kind = "udp"', f'kind = "udp"\nport = {radio.port}')

        async def hear() -> str | Denm:
            """Return what comes next; time goes on meanwhile, for the channel is not the unit's at every moment."""
            receiving = asyncio.ensure_future(radio.receive())
            while not receiving.done():
                clock.advance(MS_NS * 10)
                await asyncio.wait((receiving,), timeout=0.01)
            indication = car.receive(receiving.result().packet, clock.now())
            assert indication is not None
            denm = indication.of(Denm)
            return type(indication.message).__name__ if denm is None else denm.message

        async with asyncio.timeout(10):
            unit = asyncio.create_task(run_unit(laid_out.config, clock=clock, log=log))
            heard: list[str | Denm] = []
            while len({each if isinstance(each, str) else "Denm" for each in heard}) < 4:
                heard.append(await hear())
            assert {each for each in heard if isinstance(each, str)} == {"Cam", "Mapem", "Spatem"}
            assert all(each.termination is None for each in heard if isinstance(each, Denm))
            status = await asyncio.to_thread(read_status, laid_out.folder / "status.sock")
            sent = status["sent"]
            assert isinstance(sent, dict)
            assert set(sent) == {"cam", "mapem", "spatem", "denm"}
            order = {"order": "negate", "station_id": 1, "sequence_number": 2}
            with pytest.raises(TransportError, match="event 2 of station 1 is not live"):
                await asyncio.to_thread(give_order, laid_out.folder / "orders.sock", order)
            unit.cancel()
            last_words: list[str | Denm] = []
            while len([each for each in last_words if isinstance(each, Denm) and each.termination is not None]) < 2:
                last_words.append(await hear())
            with pytest.raises(asyncio.CancelledError):
                await unit
        radio.close()
        began = next(i for i, each in enumerate(last_words) if isinstance(each, Denm) and each.termination is not None)
        cancellations = last_words[began:]
        assert {each.termination for each in cancellations if isinstance(each, Denm)} == {Termination.IS_CANCELLATION}
        assert len({each.action_id for each in cancellations if isinstance(each, Denm)}) == 1
        assert len(cancellations) <= 2 + 1, "of all else, only what waited for the channel may still come"

    asyncio.run(scene())
    assert [json.loads(line)["event"] for line in log.getvalue().splitlines()] == ["ready"]
    assert len(list(read_pcap(laid_out.folder / "radio.pcap"))) >= 5
    with pytest.raises(TransportError, match="no agent is running here"):
        read_status(laid_out.folder / "status.sock")


def test_check_config_reads_everything_and_says_what_it_found(laid_out: Site) -> None:
    result = CliRunner().invoke(app, ["check-config", "-c", str(laid_out.config)])
    assert result.exit_code == 0, result.output
    words = " ".join(result.output.split())
    assert "junction 'Example crossing': 12 lanes, signal groups 1, 2" in words
    assert "1 hazard(s)" in words
    assert words.endswith("ok")


def test_status_of_a_unit_that_does_not_run_says_so(laid_out: Site) -> None:
    result = CliRunner().invoke(app, ["status", "--json", "-c", str(laid_out.config)])
    assert isinstance(result.exception, TransportError)


@pytest.mark.parametrize(
    ("found", "written", "path", "reason"),
    [
        ("station_id = 4049", "station_id = -1", "station", "station_id is not within"),
        ("lat_deg = 48.137\n", "lat_deg = 98.0\n", "station", "no such place"),
        ("[time]", "[tme]", "", "unknown key"),
        ('source = "synchronised"', 'source = "hope"', "time.source", "hope"),
        ('cause = "roadworks"', 'cause = "roadwork"', "hazard[0]: cause", "'roadwork' is not one of"),
        ("radius_m = 600", "radius_m = 6000", "hazard[0]: radius_m", "not within"),
        ("[[[48.137, 11.578]", "[[[98.0, 11.578]", "hazard[0]: traces_deg[0][0]", "no such place"),
        ("[[[48.137, 11.578]", "[[[49.0, 11.578]", "hazard[0]: traces[0][0]", "too far to be said"),
        ("speed_limit_kmh = 30", "speed_limit_kmh = 900", "hazard[0].speed_limit_kmh", "<= 250"),
        (f'group = "{GROUP}"', 'group = "192.0.2.1"', "radio[0]", "192.0.2.1 is not a multicast address"),
        ('kind = "udp"', 'kind = "udp"\ninterface = "eth0"', "radio[0]", "'eth0' is not an IPv4 address"),
        ('kind = "udp"', 'kind = "udp"\nport = 70000', "radio[0].port", "<= 65535"),
        ('command_socket = "orders.sock"', "command_socket = 7", "state.command_socket", "expected the path"),
        ('kind = "udp"', 'kind = "telepathy"', "radio[0].kind", "'telepathy'"),
        ('kind = "udp"', 'kind = "udp"\n[[radio]]\nkind = "udp"\nport = 1', "", "two radios are called 'udp'"),
        ('file = "radio.pcap"', 'file = "radio.txt"', "capture", "must end in .pcap or .pcapng"),
        ("[junction]", "[junction]\nspatem_interval_ms = 5", "junction.spatem_interval_ms", ">= 20"),
    ],
)
def test_a_mistake_in_the_configuration_is_named_by_file_and_key(
    laid_out: Site, found: str, written: str, path: str, reason: str
) -> None:
    laid_out.change(found, written)
    with pytest.raises(ConfigError, match=re.escape(reason)) as refusal:
        hazards_of(load(laid_out.config, RsuConfig), laid_out.config)
    assert refusal.value.path == (f"{laid_out.config}: {path}" if path else str(laid_out.config))


def test_a_map_that_names_a_group_the_plan_does_not_have_is_refused_before_anything_starts(laid_out: Site) -> None:
    plan = laid_out.folder / "crossing.map.toml"
    plan.write_text(plan.read_text().replace("signal_group = 1", "signal_group = 9", 1))
    with pytest.raises(ConfigError, match="there is no signal group 9"):
        read_parts(load(laid_out.config, RsuConfig), laid_out.config, environment={})


def test_an_absent_file_is_named(laid_out: Site) -> None:
    laid_out.change('plan = "crossing.plan.toml"', 'plan = "absent.toml"')
    with pytest.raises(ConfigError, match=r"absent\.toml: cannot be read"):
        read_parts(load(laid_out.config, RsuConfig), laid_out.config, environment={})


def test_the_installed_example_configuration_is_valid() -> None:
    example = REPOSITORY / "systemd" / "rsu-agent.toml"
    (hazard,) = hazards_of(load(example, RsuConfig), example)
    assert hazard.cause_code == 3


def test_check_config_names_every_mistake_at_once_the_last_as_its_own_end(laid_out: Site) -> None:
    (laid_out.folder / "crossing.plan.toml").unlink()
    (laid_out.folder / "ticket" / "certificate.oer").write_bytes(b"rubbish")
    laid_out.change("radius_m = 600", "radius_m = 6000")
    laid_out.change('status_socket = "status.sock"', f'status_socket = "{"x" * 200}"')
    result = CliRunner().invoke(app, ["check-config", "-c", str(laid_out.config)])
    assert isinstance(result.exception, ConfigError)
    named = [*result.stderr.splitlines(), str(result.exception)]
    assert len(named) == 4
    for words in ("crossing.plan.toml: cannot be read", "certificate.oer", "hazard[0]: radius_m", "state.status_socket"):
        assert any(words in line for line in named), named
    assert all(line.startswith("rsu-agent: error: ") for line in named[:-1])
    assert "ok" not in result.stdout.split()


def test_the_help_has_a_whole_sentence_for_every_command() -> None:
    result = CliRunner().invoke(app, ["--help"], terminal_width=80, color=False)
    assert result.exit_code == 0
    _, commands = result.output.split("Commands:\n")
    assert [line for line in commands.splitlines() if not line.endswith(".") or line.endswith("...")] == []
