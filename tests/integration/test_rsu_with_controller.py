"""The whole roadside unit with a controller of its own: datagrams in at one socket, signed SPATEMs out at another."""

import asyncio
import io
import json
import socket
from base64 import b64decode
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

import rsu_agent.junctions
from rsu_agent.cli import app
from rsu_agent.config import RsuConfig
from shared.core.clock import NS_PER_MS, ManualClock
from shared.core.errors import ConfigError
from shared.core.ids import StationType
from shared.messages.spatem import MovementPhaseState, Spatem
from shared.messages.tscbm import Tscbm, decode_tscbm, encode_tscbm
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.service.config import load
from shared.service.status_socket import read_status
from shared.stack.station import Station, StationIdentity, make_station
from shared.transport.udp_radio import UdpRadio
from tests.helpers.data import data_file
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.unit_folder import lay_out_unit, run_unit

JUNCTIONS = Path(rsu_agent.junctions.__file__).parent
HEARD = decode_tscbm(data_file("messages/v2xhub_ntcip1202_tscbm_spat_1721238398773.bin").read_bytes())
GROUP, LOOPBACK = "239.137.71.31", "127.0.0.1"
PATIENCE_S = 60.0
TURN_NS, DATAGRAM_TURNS = 10 * NS_PER_MS, 10
AT_ONCE_NS = 200 * NS_PER_MS

RED = MovementPhaseState.STOP_AND_REMAIN
GREEN = MovementPhaseState.PERMISSIVE_MOVEMENT_ALLOWED
AMBER = MovementPhaseState.PERMISSIVE_CLEARANCE
UNAVAILABLE = MovementPhaseState.UNAVAILABLE


def lay_out(folder: Path, hierarchy: Hierarchy, *, radio_port: int, controller_port: int) -> Path:
    """Write a unit's folder as an operator lays it out, and return its configuration."""
    sections = """
[junction]
controller = "crossing.tscbm.toml"
map = "crossing.map.toml"
spatem_interval_ms = 1000
"""
    config = lay_out_unit(folder, hierarchy, sections, group=GROUP, port=radio_port, state='evidence = "doubts"')
    written = (folder / "crossing.tscbm.toml").read_text(encoding="utf-8")
    replaced = {'"192.0.2.10"': f'"{LOOPBACK}"', '"192.0.2.1"': f'"{LOOPBACK}"', "6053": str(controller_port)}
    for found, instead in replaced.items():
        written = written.replace(found, instead, 1)
    (folder / "crossing.tscbm.toml").write_text(written, encoding="utf-8")
    return config


class Street:
    """A controller that sends, a car that listens, and the time of both."""

    def __init__(self, clock: ManualClock, radio: UdpRadio, car: Station, controller_port: int) -> None:
        self._clock = clock
        self._radio = radio
        self._car = car
        self._port = controller_port
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sequence = 0
        self._turns = 0

    async def told_at_once(self, phases: list[MovementPhaseState], shown: Tscbm) -> None:
        """Have the controller show a state once, and see that the car hears these phases within `AT_ONCE_NS` of it.

        The lights are told once a second otherwise; what the unit said just before may keep the channel closed for a while.
        """
        said_at = self._clock.now().monotonic
        self._say(shown)
        receiving = asyncio.ensure_future(self._radio.receive())
        while True:
            await asyncio.wait((receiving,), timeout=0.1)
            if receiving.done():
                if self._phases_in(receiving.result().packet) == phases:
                    break
                receiving = asyncio.ensure_future(self._radio.receive())
            else:
                self._clock.advance(TURN_NS)
        assert self._clock.now().monotonic - said_at <= AT_ONCE_NS

    async def until_told(self, phases: list[MovementPhaseState], shown: Tscbm) -> None:
        """Have the controller show a state ten times a second until the car hears these phases."""
        receiving = asyncio.ensure_future(self._radio.receive())
        while True:
            self._clock.advance(TURN_NS)
            self._turns += 1
            if self._turns % DATAGRAM_TURNS == 0:
                self._say(shown)
            await asyncio.wait((receiving,), timeout=0.005)
            if not receiving.done():
                continue
            if self._phases_in(receiving.result().packet) == phases:
                return
            receiving = asyncio.ensure_future(self._radio.receive())

    def close(self) -> None:
        self._socket.close()

    def _say(self, shown: Tscbm) -> None:
        self._sequence += 1
        self._socket.sendto(encode_tscbm(replace(shown, sequence=self._sequence % 256)), (LOOPBACK, self._port))

    def _phases_in(self, packet: bytes) -> list[MovementPhaseState] | None:
        """Return what each group shows; None where the packet is no SPATEM, or was heard before."""
        indication = self._car.receive(packet, self._clock.now())
        spatem = None if indication is None else indication.of(Spatem)
        return None if spatem is None else [each.events[0].phase for each in spatem.message.intersections[0].movements]


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_running_unit_tells_cars_what_its_controller_shows_and_not_what_it_cannot_believe(tmp_path: Path) -> None:
    hierarchy, clock, log = Hierarchy(3), clock_at(), io.StringIO()
    amber = replace(HEARD, greens=frozenset(), yellows=frozenset({2, 6}))
    both = replace(HEARD, reds=HEARD.reds - {4}, greens=HEARD.greens | {4})
    car = make_station(
        identity=StationIdentity.drawn(StationType.PASSENGER_CAR, Random(5).randbytes),
        ticket=hierarchy.ticket(),
        trust_store=hierarchy.trust_store,
        areas=NO_IDENTIFIED_AREAS,
    )

    async def scene() -> None:
        radio, controller_port = UdpRadio.open(clock=clock, group=GROUP, port=0), free_port()
        config = lay_out(tmp_path, hierarchy, radio_port=radio.port, controller_port=controller_port)
        street = Street(clock, radio, car, controller_port)

        async with asyncio.timeout(PATIENCE_S):
            running = asyncio.create_task(run_unit(config, clock=clock, log=log))
            await street.until_told([UNAVAILABLE, UNAVAILABLE], HEARD)
            await street.until_told([RED, GREEN], HEARD)
            await street.told_at_once([RED, AMBER], amber)
            await street.until_told([UNAVAILABLE, UNAVAILABLE], both)
            status = await asyncio.to_thread(read_status, tmp_path / "status.sock")
            running.cancel()
            await asyncio.wait((running,))
        street.close()
        radio.close()
        junction = status["junction"]
        assert isinstance(junction, dict)
        assert (junction["available"], junction["link_fault"]) == (False, None)
        assert junction["controller"]["kind"] == "tscbm"
        assert junction["doubts"]["conflict"] >= 1

    asyncio.run(scene())
    notices = [json.loads(line) for line in (tmp_path / "notices.jsonl").read_text(encoding="utf-8").splitlines()]
    told = [notice for notice in notices if json.dumps(notice).count("junction_")]
    assert len(told) == 3
    assert "conflicting signal groups 1 and 2 are permitted together" in json.dumps(told[-1])
    (kept,) = (tmp_path / "doubts").glob("signals_not_believed-*-CONFLICT-*.json")
    evidence = json.loads(kept.read_text(encoding="utf-8"))
    assert evidence["sentence"] == "conflicting signal groups 1 and 2 are permitted together"
    heard = {name: b64decode(document) for name, document in evidence["documents"].items()}
    assert json.loads(heard["state.json"])["groups"]["1"]["phase"] == "protected_movement_allowed"
    assert decode_tscbm(heard["heard-8"]).greens == {2, 4, 6}


def test_a_controller_needs_a_place_for_what_is_not_believed_of_it(tmp_path: Path) -> None:
    config = lay_out(tmp_path, Hierarchy(3), radio_port=35_999, controller_port=6_053)
    whole = config.read_text(encoding="utf-8")
    config.write_text(whole.replace('evidence = "doubts"\n', ""), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"name a folder \(state\.evidence\) or use \[evidence\]"):
        load(config, RsuConfig)
    config.write_text(whole + '[trust]\nlists = "l"\nevidence = "e"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"and state\.evidence names another"):
        load(config, RsuConfig)


def test_check_config_says_which_controller_the_junction_listens_to(tmp_path: Path) -> None:
    config = lay_out(tmp_path, Hierarchy(3), radio_port=35_999, controller_port=6_053)
    result = CliRunner().invoke(app, ["check-config", "-c", str(config)])
    assert result.exit_code == 0, result.output
    words = " ".join(result.output.split())
    assert "signal groups 1, 2" in words
    assert f"TSCBM from {LOOPBACK} on {LOOPBACK}:6053" in words
