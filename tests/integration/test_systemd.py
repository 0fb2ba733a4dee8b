"""The units as systemd reads and rates them, in a tree staged as the operator's manual says (systemd/README.md)."""

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rsu_agent.config import RsuConfig, hazards_of
from shared.service.config import load
from tests.helpers.data import REPOSITORY
from tests.helpers.debian import require
from tests.helpers.vehicle import issue_identities
from vehicle_agent.config import VehicleConfig

UNITS = REPOSITORY / "systemd"
AGENTS = ("vehicle-agent.service", "rsu-agent.service")
SERVERS = ("v2x-witness.service", "v2x-ledger-log.service")
WORST_EXPOSURE = 2.0
SYSTEM_UNITS = (Path("/usr/lib/systemd/system"), Path("/lib/systemd/system"))


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    """Return a root directory with our units, systemd's own, and stand-ins for the programs they start."""
    require("systemd-analyze", "systemd")
    theirs = next(path for path in SYSTEM_UNITS if path.is_dir())
    shutil.copytree(theirs, tmp_path / "usr/lib/systemd/system", symlinks=True)
    ours = tmp_path / "etc/systemd/system"
    ours.mkdir(parents=True)
    for unit in UNITS.glob("*.service"):
        shutil.copy(unit, ours / unit.name.replace("@.", "@can0."))
    for program in ("opt/v2x-trust/bin/vehicle-agent", "opt/v2x-trust/bin/rsu-agent", "opt/v2x-trust/bin/v2x", "usr/sbin/ip"):
        stand_in = tmp_path / program
        stand_in.parent.mkdir(parents=True, exist_ok=True)
        stand_in.write_text("#!/bin/sh\n")
        stand_in.chmod(0o755)
    return tmp_path


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [require("systemd-analyze", "systemd"), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0"},
    )


def verify(root: Path, unit: str) -> subprocess.CompletedProcess[str]:
    return analyze("verify", f"--root={root}", "--man=no", "--recursive-errors=no", unit)


@pytest.mark.parametrize("unit", [*AGENTS, *SERVERS, "can@can0.service"])
def test_systemd_finds_nothing_to_say_about_a_unit(staged: Path, unit: str) -> None:
    result = verify(staged, unit)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_systemd_would_have_found_a_missing_program(staged: Path) -> None:
    (staged / "opt/v2x-trust/bin/rsu-agent").unlink()
    assert verify(staged, "rsu-agent.service").returncode != 0


def test_systemd_would_have_found_a_misspelt_directive(staged: Path) -> None:
    unit = staged / "etc/systemd/system/rsu-agent.service"
    unit.write_text(unit.read_text().replace("ProtectHome=", "ProtectHouse="))
    assert "ProtectHouse" in verify(staged, "rsu-agent.service").stderr


@pytest.mark.parametrize("unit", [*AGENTS, *SERVERS, "can@can0.service"])
def test_a_unit_is_exposed_no_more_than_we_promise(staged: Path, unit: str) -> None:
    result = analyze("security", "--offline=true", f"--root={staged}", "--no-pager", unit)
    found = re.search(rf"exposure level for {re.escape(unit)}: ([0-9.]+)", result.stdout)
    assert found is not None, result.stderr
    assert float(found[1]) <= WORST_EXPOSURE


@pytest.fixture(params=AGENTS)
def with_raw_ethernet(request: pytest.FixtureRequest, staged: Path) -> str:
    """Put the drop-in for raw Ethernet beside an agent's unit, and return the unit."""
    unit: str = request.param
    drop_ins = staged / f"etc/systemd/system/{unit}.d"
    drop_ins.mkdir()
    shutil.copy(UNITS / "ethernet-radio.conf", drop_ins)
    return unit


def test_the_right_to_raw_ethernet_is_a_drop_in_and_no_other_right_comes_with_it(staged: Path, with_raw_ethernet: str) -> None:
    result = verify(staged, with_raw_ethernet)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    told = analyze("security", "--offline=true", f"--root={staged}", "--no-pager", with_raw_ethernet).stdout
    granted = re.findall(r"(?m)^\S*✗\S* +CapabilityBoundingSet=~(\S+)", told)
    assert granted == ["CAP_NET_(BIND_SERVICE|BROADCAST|RAW)"]
    (exposure,) = re.findall(r"exposure level for \S+: ([0-9.]+)", told)
    assert float(exposure) <= WORST_EXPOSURE + 1.0


@pytest.mark.parametrize("unit", AGENTS)
def test_a_broker_is_a_drop_in_that_lets_through_one_address_and_brings_the_key_as_a_credential(staged: Path, unit: str) -> None:
    drop_ins = staged / f"etc/systemd/system/{unit}.d"
    drop_ins.mkdir()
    shutil.copy(UNITS / "mqtt-radio.conf", drop_ins)
    result = verify(staged, unit)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    told = analyze("security", "--offline=true", f"--root={staged}", "--no-pager", unit).stdout
    (exposure,) = re.findall(r"exposure level for \S+: ([0-9.]+)", told)
    assert float(exposure) <= WORST_EXPOSURE
    drop_in = directives("mqtt-radio.conf")
    assert drop_in["IPAddressAllow"] == ["192.0.2.7"]
    name = drop_in["LoadCredential"][0].split(":")[0]
    example = (UNITS / unit.replace(".service", ".toml")).read_text()
    assert f'key = "/run/credentials/{unit}/{name}"' in example


def test_a_serial_receiver_is_a_drop_in_that_lets_the_agent_read_one_device(staged: Path) -> None:
    unit = "vehicle-agent.service"
    drop_ins = staged / f"etc/systemd/system/{unit}.d"
    drop_ins.mkdir()
    shutil.copy(UNITS / "nmea-receiver.conf", drop_ins)
    result = verify(staged, unit)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    told = analyze("security", "--offline=true", f"--root={staged}", "--no-pager", unit).stdout
    (exposure,) = re.findall(r"exposure level for \S+: ([0-9.]+)", told)
    assert float(exposure) <= WORST_EXPOSURE
    device = directives("nmea-receiver.conf")["DeviceAllow"][0]
    assert device.endswith(" r")
    assert f'# device = "{device.removesuffix(" r")}"' in (UNITS / "vehicle-agent.toml").read_text()


def directives(unit: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (UNITS / unit).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("unit", [*AGENTS, *SERVERS])
def test_an_agent_is_watched_and_says_when_it_is_ready(unit: str) -> None:
    service = directives(unit)
    assert service["Type"] == ["notify"]
    assert 0 < int(service["WatchdogSec"][0]) <= 60
    assert service["RestartPreventExitStatus"] == ["2"]
    assert "ExecStartPre" not in service, "RestartPreventExitStatus= does not hold for it"


@pytest.mark.parametrize("unit", AGENTS)
def test_keys_reach_an_agent_as_credentials_only(unit: str) -> None:
    service = directives(unit)
    assert service["LoadCredential"]
    assert "Environment" not in service
    assert "EnvironmentFile" not in service
    assert service["LimitCORE"] == ["0"]


def test_an_agent_may_open_only_the_sockets_it_needs() -> None:
    assert directives("vehicle-agent.service")["RestrictAddressFamilies"] == ["AF_UNIX AF_INET AF_CAN"]
    assert directives("rsu-agent.service")["RestrictAddressFamilies"] == ["AF_UNIX AF_INET"]


def test_each_agent_has_a_user_of_its_own(staged: Path) -> None:
    command = [require("systemd-sysusers", "systemd"), f"--root={staged}", str(UNITS / "sysusers.d/v2x-trust.conf")]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    users = {line.split(":")[0] for line in (staged / "etc/passwd").read_text().splitlines()}
    wanted = {directives(unit)["User"][0] for unit in AGENTS}
    assert len(wanted) == len(AGENTS)
    assert wanted <= users


def test_keys_are_closed_to_all_but_root_and_certificates_to_all_but_the_agent(staged: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("systemd-tmpfiles gives folders to root: only root may run this")
    sysusers, tmpfiles = require("systemd-sysusers", "systemd"), require("systemd-tmpfiles", "systemd")
    loose = staged / "etc/v2x-trust/vehicle/ticket/key.pem"
    loose.parent.mkdir(parents=True)
    loose.touch(mode=0o644)
    for command in (
        [sysusers, f"--root={staged}", str(UNITS / "sysusers.d/v2x-trust.conf")],
        [tmpfiles, "--create", f"--root={staged}", str(UNITS / "tmpfiles.d/v2x-trust.conf")],
    ):
        subprocess.run(command, check=True, capture_output=True, timeout=300)
    groups = {row[0]: int(row[2]) for row in (line.split(":") for line in (staged / "etc/group").read_text().splitlines())}
    for unit in AGENTS:
        for credential in directives(unit)["LoadCredential"]:
            folder = (staged / credential.split(":", 1)[1].lstrip("/")).parent.stat()
            assert (stat.S_IMODE(folder.st_mode), folder.st_uid) == (0o750, 0), credential
            assert folder.st_gid == groups[directives(unit)["User"][0]], credential
    assert (stat.S_IMODE(loose.stat().st_mode), loose.stat().st_uid) == (0o600, 0)
    assert stat.S_IMODE((staged / "etc/v2x-trust/trust").stat().st_mode) == 0o755


def test_the_vehicles_example_is_a_configuration_for_the_unit_it_comes_with() -> None:
    config = load(UNITS / "vehicle-agent.toml", VehicleConfig)
    state, runtime = (directives("vehicle-agent.service")[name][0] for name in ("StateDirectory", "RuntimeDirectory"))
    assert config.ledger.log is not None
    assert config.ledger.key is not None
    for path in (config.ledger.log, config.ledger.key, config.ledger.policy, config.state.spool, config.state.hazards_file):
        assert Path(path).parent == Path("/var/lib") / state
    assert Path(config.state.status_socket).parent == Path("/run") / runtime
    assert config.can[0].interface == "socketcan"


def test_the_roadside_units_example_is_a_configuration_for_the_unit_it_comes_with() -> None:
    path = UNITS / "rsu-agent.toml"
    config = load(path, RsuConfig)
    assert Path(config.state.status_socket).parent == Path("/run") / directives("rsu-agent.service")["RuntimeDirectory"][0]
    assert config.state.hazards is not None
    assert Path(config.state.hazards).parent == Path("/var/lib") / directives("rsu-agent.service")["StateDirectory"][0]
    assert config.junction is not None
    assert len(hazards_of(config, path)) == 1


def test_every_section_that_the_roadside_units_example_comments_out_is_one_the_agent_understands(tmp_path: Path) -> None:
    example = (UNITS / "rsu-agent.toml").read_text()
    whole = re.sub(r"^# (?=\[|[a-z_]+ = )", "", example, flags=re.MULTILINE).replace("\nplan = ", "\n# plan = ")
    (tmp_path / "rsu-agent.toml").write_text(whole)
    config = load(tmp_path / "rsu-agent.toml", RsuConfig)
    absent = {name for name in RsuConfig.__struct_fields__ if getattr(config, name) is None}
    assert absent == {"trust", "pki"}, "those are in identity.example.toml"
    passed = {
        line.split("=")[1].split(":")[0] for line in (UNITS / "rsu-services.conf").read_text().splitlines() if "Credential=" in line
    }
    named = set(re.findall(r'/run/credentials/rsu-agent\.service/([^"]+)"', whole)) - {"broker.key"}
    assert named == passed, "the drop-in passes what the example names"
    assert config.evidence is not None
    assert config.witness is not None
    assert {config.evidence.file.parent, config.witness.directory.parent} == {Path("/var/lib/rsu-agent")}


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    """Return a folder with the shipped examples, unchanged, and what they name."""
    identities = issue_identities(tmp_path / "identities")
    folder = tmp_path / "v2x-trust"
    shutil.copytree(identities.trust, folder / "trust")
    shutil.copytree(identities.ticket, folder / "vehicle/ticket")
    shutil.copytree(identities.enrolment, folder / "vehicle/enrolment")
    shutil.copytree(identities.rsu_ticket, folder / "rsu/ticket")
    shutil.copy(REPOSITORY / "vehicle_agent/maps/toyota_rav4_2017.toml", folder / "vehicle.map.toml")
    for part in ("plan", "map"):
        shutil.copy(REPOSITORY / f"rsu_agent/junctions/crossing.{part}.toml", folder / f"junction.{part}.toml")
    for example in UNITS.glob("*.toml"):
        shutil.copy(example, folder)
    return folder


def check_config(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / program), "check-config", "-c", str(folder / f"{program}.toml")]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.parametrize("program", ["vehicle-agent", "rsu-agent"])
def test_check_config_finds_nothing_wrong_with_a_shipped_example(configured: Path, program: str) -> None:
    result = check_config(program, configured)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("program", ["vehicle-agent", "rsu-agent"])
def test_check_config_names_the_key_of_a_misspelt_line(configured: Path, program: str) -> None:
    path = configured / f"{program}.toml"
    path.write_text(path.read_text().replace("\ngroup = ", "\ngruppe = "))
    result = check_config(program, configured)
    assert result.returncode == 2
    assert "radio" in result.stderr
    assert "gruppe" in result.stderr


def test_the_can_unit_gets_its_bit_rate_from_the_example_and_from_nowhere_else() -> None:
    service = directives("can@.service")
    assert service["EnvironmentFile"] == ["/etc/v2x-trust/can-%I.env"]
    assert "BITRATE" not in service["Environment"][0]
    assert "BITRATE=500000" in (UNITS / "can-can0.env").read_text().splitlines()
