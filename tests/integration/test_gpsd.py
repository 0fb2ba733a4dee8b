"""A vehicle agent that learns place and date from Debian's gpsd, which hears a receiver on a line: position, loss of fix, jump.

The receiver is ours (`tests.helpers.gnss_track`, made from our own numbers), five fixes a second in NMEA 0183; gpsd, the agent and
the wires between them are real. What the test waits for is in the agent's status and on its radio.
"""

import asyncio
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from math import cos, radians, sin
from pathlib import Path

import pytest

from shared.core.clock import NS_PER_MS, NS_PER_S, TimeSource, UtcNs
from shared.core.geo import GeoPoint, displaced, distance_m
from shared.core.ids import StationType
from shared.messages.cam import Cam
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.service.system_clock import SystemClock
from shared.service.trust_directory import read_ticket, read_trust_directory
from shared.stack.inbound import Inbound
from shared.stack.station import Station, StationIdentity, make_station
from shared.transport.udp_radio import LOOPBACK_INTERFACE, UdpRadio
from simulator.ecu import SIM_CAR_MAP
from tests.helpers.await_status import await_status
from tests.helpers.debian import require
from tests.helpers.gnss_track import COURSE_DEG, SPEED_MPS, START, Moment, as_nmea, without_fix
from tests.helpers.multicast import ANY_INTERFACE, free_udp_port, require_multicast
from tests.helpers.vehicle import Identities, issue_identities, write_vehicle_config

RADIO_GROUP = "239.255.89.49"
CAN_GROUP = "239.74.163.44"
PATIENCE_S = 90.0
FIX_S = 0.2
JUMP_M = 3_000.0
CLOCK = SystemClock(TimeSource.ASSUME_TRUSTED)


@dataclass
class Receiver:
    """A car's receiver on a TCP line, one fix each `FIX_S`; the test says what it meets."""

    see: Callable[[Moment], Moment] = lambda moment: moment
    place: GeoPoint = START
    _ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._speak)
        self._thread.start()

    def _speak(self) -> None:
        line, _ = self._server.accept()
        begun = CLOCK.now().require_utc()
        with line:
            while not self._ended.wait(FIX_S):
                utc = UtcNs(CLOCK.now().require_utc() // (10 * NS_PER_MS) * (10 * NS_PER_MS))
                driven_m = SPEED_MPS * (utc - begun) / NS_PER_S
                self.place = displaced(START, driven_m * sin(radians(COURSE_DEG)), driven_m * cos(radians(COURSE_DEG)))
                line.sendall(as_nmea(self.see(Moment(utc=utc, position=self.place))))

    def close(self) -> None:
        self._ended.set()
        self._server.close()
        self._thread.join()


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """What is there while the agent runs."""

    receiver: Receiver
    status_socket: Path
    identities: Identities
    radio_port: int
    errors: Path

    def wait_for(self, *conditions: str) -> None:
        assert await_status(self.status_socket, conditions) == 0, self.errors.read_text()


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    gpsd = require("gpsd", "gpsd")
    require_multicast(CAN_GROUP, ANY_INTERFACE)
    require_multicast(RADIO_GROUP, LOOPBACK_INTERFACE)
    directory = tmp_path_factory.mktemp("gpsd")
    state = directory / "state"
    state.mkdir()
    identities = issue_identities(directory)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        gpsd_port = probe.getsockname()[1]
    radio_port = free_udp_port()
    config = write_vehicle_config(directory, identities, state=state)
    text = config.read_text()
    for old, new in (
        ('source = "assume_trusted"', f'source = "gnss"\n\n[position]\nsource = "gpsd"\nport = {gpsd_port}'),
        ('interface = "socketcan"', 'interface = "udp_multicast"'),
        ('channel = "vcan0"', f'channel = "{CAN_GROUP}"'),
        ("options = { fd = true }", f"options = {{ port = {free_udp_port()}, hop_limit = 0 }}"),
        ('kind = "udp"', f'kind = "udp"\ngroup = "{RADIO_GROUP}"\nport = {radio_port}'),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    config.write_text(re.sub(r"(?s)\[capture\]\n.*?\n\n", "", text))
    car_map = directory / SIM_CAR_MAP.name
    without_heading, count = re.subn(r"(?s)\[fields\.[^\n]*Heading[^\n]*\]\n.*?(?=\n\[)", "", car_map.read_text())
    assert count == 1  # a car that does not know where it looks: its receiver says so
    car_map.write_text(without_heading)
    with ExitStack() as stack:
        receiver = Receiver()
        stack.callback(receiver.close)
        errors = stack.enter_context((directory / "errors").open("w"))
        agent = [str(Path(sys.executable).parent / "vehicle-agent"), "run", "-c", str(config)]
        for command in ([gpsd, "-N", "-n", "-b", "-S", str(gpsd_port), f"tcp://127.0.0.1:{receiver.port}"], agent):
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors)
            stack.callback(process.wait, PATIENCE_S)
            stack.callback(process.terminate)
        yield Journey(
            receiver=receiver,
            status_socket=state / "status.sock",
            identities=identities,
            radio_port=radio_port,
            errors=directory / "errors",
        )


def neighbour(identities: Identities) -> Station:
    return make_station(
        identity=StationIdentity.drawn(StationType.ROAD_SIDE_UNIT, os.urandom),
        ticket=read_ticket(identities.rsu_ticket),
        trust_store=read_trust_directory(identities.trust),
        areas=NO_IDENTIFIED_AREAS,
    )


async def next_cam(journey: Journey) -> Cam:
    """Return the next message the car sends, which a neighbour has verified."""
    radio = UdpRadio.open(clock=CLOCK, group=RADIO_GROUP, port=journey.radio_port)
    heard = Inbound(neighbour(journey.identities))
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                received = await radio.receive()
                indication = heard.receive(received.packet, received.received)
                if indication is not None and isinstance(indication.message, Cam):
                    return indication.message
    finally:
        radio.close()


def said_place(cam: Cam) -> GeoPoint:
    assert cam.lat_deg is not None
    assert cam.lon_deg is not None
    return GeoPoint(cam.lat_deg, cam.lon_deg)


def test_what_gpsd_says_reaches_the_agent(journey: Journey) -> None:
    journey.wait_for('gnss.fix=="3d"', "position_known==true", "sent.cam>=2", 'time.source=="gnss"', "gnss.time_steps==0")
    cam = asyncio.run(next_cam(journey))
    assert distance_m(said_place(cam), journey.receiver.place) < 60.0
    assert cam.heading_deg == pytest.approx(COURSE_DEG, abs=0.2)

    journey.receiver.see = without_fix
    journey.wait_for('gnss.fix=="none"', "position_known==false", "gnss.losses>=1", "gnss.is_up==true")

    journey.receiver.see = lambda moment: moment
    journey.wait_for('gnss.fix=="3d"', "position_known==true", "gnss.jumps==0")

    journey.receiver.see = lambda moment: replace(moment, position=displaced(moment.position or START, 0.0, JUMP_M))
    journey.wait_for("gnss.in_doubt==true", "position_known==false")
    journey.wait_for("gnss.jumps==1", "gnss.jumps_confirmed==1", "position_known==true")
    cam = asyncio.run(next_cam(journey))
    assert distance_m(said_place(cam), journey.receiver.place) == pytest.approx(JUMP_M, abs=60.0)
    assert "jumped by" in journey.errors.read_text()
