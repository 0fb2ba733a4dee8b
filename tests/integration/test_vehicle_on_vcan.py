"""The vehicle agent as a program on the real kernel's SocketCAN: what it hears on vcan0 it says, signed, on the radio."""

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared.core.clock import Instant, MonotonicNs
from shared.core.geo import GeoPoint, offset_m
from shared.core.ids import StationType
from shared.messages.cam import Cam
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.service.trust_directory import read_ticket, read_trust_directory
from shared.stack.inbound import Inbound
from shared.stack.station import StationIdentity, make_station
from shared.transport.pcap import read_pcap
from tests.helpers.data import REPOSITORY
from tests.helpers.drive import HEADING_DEG, ODOMETER_M, SPEED_MPS, START
from tests.helpers.uml import run_in_uml
from tests.helpers.vehicle import issue_identities, write_vehicle_config

REQUESTS = """
[requests]
bus = "can0"
rate_per_s = 10
odometer_every_s = 1
[[requests.odometer]]
unit = "cluster"
request = 0x714
response = 0x77E
identifier = 0x2203
octets = 3
metres_per_bit = 1000
every_s = 1
only_at_standstill = false
"""

MIN_CAMS = 12
MIN_ANSWERS = 20
MIN_RECORDS = 4
"""The first when the ignition is on, then one each 50 m."""

DRIVE = """\
set -eu
agent() {{ {agent} "$@" -c {config}; }}
await() {{ {python} -m tests.helpers.await_status {state}/status.sock "$@" >{state}/status.json; }}
{agent} run -c {config} 2>{state}/agent.err &
agent=$!
{python} -m tests.helpers.drive vcan0 >{state}/sent 2>{state}/driving &
car=$!
await 'sent.cam>=1'
ip link set vcan0 down
await 'buses.can0.interruptions>=1'
ip link set vcan0 up
await 'sent.cam>={cams}' 'buses.can0.is_up==true' 'odometer.recorded>={records}' 'requests.counters.answered>={answers}'
cp {state}/status.json {state}/driving.json
kill -TERM $car
until grep -q ignition_off {state}/notices.jsonl; do kill -0 $agent; sleep 0.2; done
await 'odometer.anchored==odometer.recorded'
agent status --json >{state}/status.json
kill -TERM $car
wait $car
kill -TERM $agent
wait $agent
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """What a drive left behind."""

    state: Path
    heard: Inbound
    cams: tuple[Cam, ...]

    @property
    def status(self) -> Any:
        """What `vehicle-agent status --json` said at the end."""
        return json.loads((self.state / "status.json").read_text())

    def notices(self, kind: str) -> list[dict[str, Any]]:
        """Return the driver's notices of one kind."""
        lines = [json.loads(line) for line in (self.state / "notices.jsonl").read_text().splitlines()]
        return [line for line in lines if line["kind"] == kind]


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Drive:
    """Drive once, as long as it takes, with the bus down for a while on the way."""
    directory = tmp_path_factory.mktemp("drive")
    state = directory / "state"
    state.mkdir()
    identities = issue_identities(directory)
    config = write_vehicle_config(directory, identities, state=state)
    config.write_text(config.read_text() + REQUESTS)
    script = DRIVE.format(
        python=shlex.quote(sys.executable),
        agent=shlex.quote(str(Path(sys.executable).parent / "vehicle-agent")),
        config=shlex.quote(str(config)),
        state=shlex.quote(str(state)),
        cams=MIN_CAMS,
        answers=MIN_ANSWERS,
        records=MIN_RECORDS,
    )
    result = run_in_uml(["bash", "-c", script], directory=REPOSITORY, timeout_s=600)
    said = (state / "agent.err").read_text() if (state / "agent.err").exists() else ""
    assert result.status == 0, f"{result.stdout}\n{result.stderr}\n{said}"
    heard = Inbound(
        make_station(
            identity=StationIdentity.drawn(StationType.ROAD_SIDE_UNIT, bytes),
            ticket=read_ticket(identities.rsu_ticket),
            trust_store=read_trust_directory(identities.trust),
            areas=NO_IDENTIFIED_AREAS,
        )
    )
    cams = []
    for captured in read_pcap(state / "radio.pcap"):
        indication = heard.receive(captured.packet, Instant(MonotonicNs(captured.utc), captured.utc))
        if indication is not None and (verified := indication.of(Cam)) is not None:
            cams.append(verified.message)
    return Drive(state=state, heard=heard, cams=tuple(cams))


def test_every_message_of_the_drive_is_believed_by_a_station_that_trusts_its_root(drive: Drive) -> None:
    assert dict(drive.heard.refused) == {}
    assert MIN_CAMS <= drive.status["sent"]["cam"] <= len(drive.cams)


def test_the_car_says_what_its_bus_said_or_nothing(drive: Drive) -> None:
    moving = [cam for cam in drive.cams if cam.speed_mps is not None]
    assert len(moving) >= MIN_CAMS
    for cam in moving:
        assert cam.speed_mps == pytest.approx(SPEED_MPS, abs=0.05)
        assert cam.heading_deg == pytest.approx(HEADING_DEG, abs=0.2)
        assert cam.lat_deg == pytest.approx(START.lat_deg, abs=1e-5)


def test_the_car_moves_on_as_far_as_it_drove(drive: Drive) -> None:
    places = [GeoPoint(cam.lat_deg, cam.lon_deg) for cam in drive.cams if cam.lat_deg is not None and cam.lon_deg is not None]
    eastward = [offset_m(START, place)[0] for place in places]
    assert eastward == sorted(eastward)
    readings = [notice["odometer_m"] for notice in drive.notices("odometer_recorded")]
    assert 0.0 <= eastward[0] < readings[1] - ODOMETER_M
    assert eastward[-1] > readings[-2] - ODOMETER_M - 50.0


def test_a_bus_that_goes_down_is_noticed_once_and_taken_up_again(drive: Drive) -> None:
    bus = drive.status["buses"]["can0"]
    assert bus["is_up"] is True
    assert bus["interruptions"] == 1


def test_the_cars_units_were_asked_for_their_odometers_while_it_drove(drive: Drive) -> None:
    asked = json.loads((drive.state / "driving.json").read_text())
    said = {(each["source"], each["quantity"]): each["value"] for each in asked["requests"]["witnesses"]}
    assert ODOMETER_M <= said["obd:7e8", "odometer_m"] <= asked["odometer"]["last_recorded_m"] + 1_000.0
    assert said["uds:cluster", "odometer_m"] == ODOMETER_M
    assert said["obd:7e8", "speed_mps"] == pytest.approx(SPEED_MPS, abs=0.2)
    assert asked["requests"]["faults"] == {}
    assert asked["requests_carried_out"]["sent"]["can0"] >= MIN_ANSWERS


def test_no_frame_that_arrived_was_found_faulty(drive: Drive) -> None:
    assert drive.status["can"]["frames"]
    assert set(drive.status["can"]["faults"]) <= {"counter"}


def test_the_odometer_is_recorded_and_anchored_while_driving(drive: Drive) -> None:
    recorded = drive.notices("odometer_recorded")
    readings = [notice["odometer_m"] for notice in recorded]
    assert readings[0] >= ODOMETER_M
    assert readings == sorted(readings)
    assert [notice["reason"] for notice in recorded] == ["ignition_on", *["distance"] * (len(recorded) - 2), "ignition_off"]
    assert [notice["seq"] for notice in drive.notices("odometer_anchored")] == list(range(len(recorded)))
    assert drive.status["odometer"]["recorded"] == len(recorded) > MIN_RECORDS
