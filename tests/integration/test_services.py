"""Both agents as their units start them, under a real systemd: shipped units, users, folders and example configurations.

Only what a laboratory must change is changed in the examples: the bus is `vcan0`, the car is the simulator's, and every packet
goes to a capture, and values stay fresh longer. The kernel's clock is declared synchronised, as a time daemon does.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from shared.core.clock import Instant, MonotonicNs
from shared.core.ids import StationType
from shared.messages.cam import Cam
from shared.network.forwarding import Forwarding
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.service.trust_directory import read_ticket, read_trust_directory
from shared.stack.inbound import Inbound
from shared.stack.router import Router
from shared.stack.station import StationIdentity, make_station
from shared.transport.pcap import read_pcap
from tests.helpers.data import REPOSITORY
from tests.helpers.uml_systemd import ServiceRun, run_under_systemd
from tests.helpers.vehicle import Identities, issue_identities, put_patient_map

UNITS = ("vehicle-agent", "rsu-agent")
REFUSALS = {"signer_certificate_not_found", "invalid_timestamp"}
"""What honest neighbours may refuse: before the first whole certificate, and what a guest that stood still hears late."""

SCRIPT = """\
await() { /opt/v2x-trust/bin/await_status /run/$1/status.sock "${@:2}" >/run/results/$1.json; }
/opt/v2x-trust/bin/synchronise
systemctl start rsu-agent vehicle-agent
for unit in vehicle-agent rsu-agent; do
  systemctl show $unit -p ActiveState -p StatusText -p WatchdogUSec -p User >/run/results/$unit.shown
done
pid=$(systemctl show vehicle-agent -P MainPID)
grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/$pid/status >/run/results/vehicle-agent.confined
ls -l /run/credentials/vehicle-agent.service >/run/results/credentials
/opt/v2x-trust/bin/drive vcan0 2>/run/results/driving &
await vehicle-agent 'sent.cam>=6' 'odometer.recorded>=1' 'verified.spatem>=1' 'verified.mapem>=1' 'verified.denm>=1'
kill -TERM $!
await vehicle-agent 'odometer.recorded>=2' 'odometer.anchored==odometer.recorded'
await rsu-agent 'verified.cam>=1'
/opt/v2x-trust/bin/vehicle-agent status --json -c /etc/v2x-trust/vehicle-agent.toml >/run/results/vehicle-agent.json
kill -TERM $!
systemctl kill --signal=STOP rsu-agent
until [ "$(systemctl show rsu-agent -P NRestarts)" -ge 1 ] && systemctl is-active --quiet rsu-agent; do sleep 2; done
for unit in vehicle-agent rsu-agent; do
  systemctl show $unit -p ActiveState -p NRestarts >/run/results/$unit.restarted
done
systemctl stop vehicle-agent rsu-agent
for unit in vehicle-agent rsu-agent; do
  systemctl show $unit -p Result -p ExecMainStatus >/run/results/$unit.stopped
done
cp /var/lib/vehicle-agent/radio.pcap /run/results/
ls -ld /var/lib/vehicle-agent /var/lib/vehicle-agent/log.key >/run/results/kept
sed -i 's/^width_m/wide_m/' /etc/v2x-trust/vehicle-agent.toml
systemctl start vehicle-agent || true
until systemctl is-failed --quiet vehicle-agent; do sleep 1; done
systemctl show vehicle-agent -p ActiveState -p NRestarts >/run/results/vehicle-agent.misconfigured
"""


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> Identities:
    return issue_identities(tmp_path_factory.mktemp("identities"))


@pytest.fixture(scope="module")
def ran(identities: Identities, tmp_path_factory: pytest.TempPathFactory) -> ServiceRun:
    configuration = tmp_path_factory.mktemp("etc") / "v2x-trust"
    configuration.mkdir()
    shutil.copytree(identities.trust, configuration / "trust")
    shutil.copytree(identities.ticket, configuration / "vehicle/ticket")
    shutil.copytree(identities.enrolment, configuration / "vehicle/enrolment")
    shutil.copytree(identities.rsu_ticket, configuration / "rsu/ticket")
    put_patient_map(configuration / "vehicle.map.toml")
    for part in ("plan", "map"):
        shutil.copy(REPOSITORY / f"rsu_agent/junctions/crossing.{part}.toml", configuration / f"junction.{part}.toml")
    adapt(
        "vehicle-agent.toml",
        configuration,
        ('channel = "can0"', 'channel = "vcan0"\noptions = { fd = true }'),
        ("# [capture]", "[capture]"),
        ('# file = "/var/lib/vehicle-agent/radio.pcapng"', 'file = "/var/lib/vehicle-agent/radio.pcap"'),
    )
    adapt("rsu-agent.toml", configuration)
    ran = run_under_systemd(SCRIPT, configuration=configuration, timeout_s=600)
    errors = "\n".join(ran.files.get(f"{unit}.{end}", "") for unit in UNITS for end in ("err", "out"))
    assert ran.status == 0, f"{ran.stdout}\n{ran.stderr}\n{errors}"
    return ran


def adapt(name: str, configuration: Path, *changes: tuple[str, str]) -> None:
    """Copy a shipped example, changing what a laboratory must."""
    text = (REPOSITORY / "systemd" / name).read_text()
    assert 'source = "synchronised"' in text
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (configuration / name).write_text(text)


def shown(ran: ServiceRun, name: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in ran.files[name].splitlines())


def status(ran: ServiceRun, unit: str) -> Any:
    return json.loads(ran.files[f"{unit}.json"])


@pytest.mark.parametrize("unit", UNITS)
def test_a_service_starts_and_says_that_it_is_ready(ran: ServiceRun, unit: str) -> None:
    state = shown(ran, f"{unit}.shown")
    assert state["ActiveState"] == "active"
    assert state["StatusText"]
    assert state["WatchdogUSec"] == "20s"


def test_a_service_has_no_power_but_what_its_unit_gives(ran: ServiceRun) -> None:
    confined = dict(line.split(":\t") for line in ran.files["vehicle-agent.confined"].splitlines())
    assert confined == {"CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"}


def test_the_keys_arrive_as_credentials(ran: ServiceRun) -> None:
    names = {line.split()[-1] for line in ran.files["credentials"].splitlines()[1:]}
    assert names == {"ticket.key", "enrolment.key"}


def test_the_car_is_heard_on_the_bus_and_by_the_roadside_unit(ran: ServiceRun) -> None:
    car, roadside = status(ran, "vehicle-agent"), status(ran, "rsu-agent")
    assert car["sent"]["cam"] >= 6
    assert roadside["verified"]["cam"] >= 1
    assert set(roadside["refused"]) <= REFUSALS


def test_the_car_believes_what_the_roadside_unit_says_of_its_lights_and_roadworks(ran: ServiceRun) -> None:
    assert {"spatem", "mapem", "denm"} <= set(status(ran, "vehicle-agent")["verified"])
    assert set(status(ran, "vehicle-agent")["refused"]) <= REFUSALS


def test_the_car_records_and_anchors_its_odometer(ran: ServiceRun) -> None:
    odometer = status(ran, "vehicle-agent")["odometer"]
    assert odometer["anchored"] == odometer["recorded"] >= 2


def test_the_capture_holds_the_cars_messages_and_they_verify(ran: ServiceRun, identities: Identities, tmp_path: Path) -> None:
    assert ran.captures
    path = tmp_path / "radio.pcap"
    path.write_bytes(ran.captures["radio.pcap"])
    station = make_station(
        identity=StationIdentity.drawn(StationType.ROAD_SIDE_UNIT, bytes),
        ticket=read_ticket(identities.rsu_ticket),
        trust_store=read_trust_directory(identities.trust),
        areas=NO_IDENTIFIED_AREAS,
    )
    # with a router: the car keeps the unit's roadworks alive while the unit hangs, and what it repeats are copies
    heard = Inbound(station, Router(station=station, forwarding=Forwarding.NONE, entropy=bytes, started=MonotonicNs(0)))
    found = [heard.receive(packet.packet, Instant(MonotonicNs(packet.utc), packet.utc)) for packet in read_pcap(path)]
    assert dict(heard.refused) == {}
    assert sum(indication is not None and indication.of(Cam) is not None for indication in found) >= 6


def test_a_service_that_hangs_is_killed_by_the_watchdog_and_starts_again(ran: ServiceRun) -> None:
    assert shown(ran, "rsu-agent.restarted") == {"ActiveState": "active", "NRestarts": "1"}
    assert shown(ran, "vehicle-agent.restarted") == {"ActiveState": "active", "NRestarts": "0"}


@pytest.mark.parametrize("unit", UNITS)
def test_a_service_stops_cleanly_when_told(ran: ServiceRun, unit: str) -> None:
    stopped = shown(ran, f"{unit}.stopped")
    assert (stopped["Result"], stopped["ExecMainStatus"]) == ("success", "0")


def test_what_the_car_keeps_is_its_own(ran: ServiceRun) -> None:
    folder, key = ran.files["kept"].splitlines()
    assert folder.startswith("drwx------")
    assert key.startswith("-rw-------")


def test_a_wrong_configuration_is_not_tried_again_and_again(ran: ServiceRun) -> None:
    state = shown(ran, "vehicle-agent.misconfigured")
    assert state == {"ActiveState": "failed", "NRestarts": "0"}
    assert "wide_m" in ran.files["vehicle-agent.err"]
