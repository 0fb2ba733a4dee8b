"""The `vehicle-agent` command as an operator meets it: what it prints, and how it ends."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from shared.core.clock import NS_PER_S, MonotonicNs, TimeSource, UtcNs
from shared.core.itstime import utc_from_text, utc_of, utc_text
from shared.messages.cam import Cam
from shared.pki.permission_sets import StationRole
from shared.security.ecdsa import SoftwareSigner
from shared.service.system_clock import SystemClock
from shared.service.trust_directory import read_ticket, write_ticket
from shared.stack.inbound import Inbound
from shared.transport.can_frame import CanFrame
from shared.transport.pcap import read_pcap
from tests.helpers.hierarchy import NOON, Hierarchy, clock_at
from tests.helpers.identities import make_peer
from tests.unit.vehicle_agent.agent_bench import WOKEN, candump, recorded_drive
from tests.unit.vehicle_agent.vehicle_files import CONFIG, set_up_vehicle
from vehicle_agent.cli import main
from vehicle_agent.replay import SETTLE_NS

HIERARCHY = Hierarchy(12)
START = utc_text(NOON)


class Ended(NamedTuple):
    """How the command ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ended]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    set_up_vehicle(tmp_path, HIERARCHY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def ended(*arguments: str) -> Ended:
        monkeypatch.setattr("sys.argv", ["vehicle-agent", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        said = capsys.readouterr()
        return Ended(int(caught.value.code or 0), said.out, said.err)

    return ended


@pytest.fixture
def replay(run: Run) -> Run:
    def ended(log: str, *arguments: str) -> Ended:
        return run("replay", log, "-c", "agent.toml", "--start-utc", START, *arguments)

    return ended


def write_log(directory: Path, frames: list[CanFrame], *, cut: int = 0, name: str = "drive.log") -> None:
    text = candump(frames)
    (directory / name).write_text(text[: len(text) - cut])


def write_ticket_of(directory: Path, role: StationRole) -> None:
    ticket = HIERARCHY.ticket(role)
    assert isinstance(ticket.signer, SoftwareSigner)
    shutil.rmtree(directory / "ticket")
    write_ticket(directory / "ticket", ticket.certificate, ticket.signer)


def heard(pcap: Path) -> tuple[list[Cam], Inbound]:
    """Return what a neighbour makes of a capture."""
    inbound = Inbound(make_peer(HIERARCHY, 99))
    cams = []
    for captured in read_pcap(pcap):
        now = clock_at(UtcNs(captured.utc)).now()
        indication = inbound.receive(captured.packet, type(now)(MonotonicNs(captured.utc), now.utc))
        if indication is not None and isinstance(indication.message, Cam):
            cams.append(indication.message)
    return cams, inbound


# --- replay ----------------------------------------------------------------------------------------------------------------------


def test_a_replay_prints_what_came_of_it_and_ends_well(directory: Path, replay: Run) -> None:
    frames = recorded_drive(6.0)
    write_log(directory, frames)
    ended = replay("drive.log", "--pcap", "radio.pcap", "--passport", "passport.json")
    assert (ended.status, ended.err) == (0, "")
    *notices, summary, odometer, passport = ended.out.splitlines()
    assert summary.startswith(f"{len(frames)} frames over 6.0")
    cams, inbound = heard(directory / "radio.pcap")
    assert summary.endswith(f"gave {len(cams)} signed messages.")
    assert dict(inbound.refused) == {}
    assert odometer == "Odometer: 2 recorded, 2 anchored."
    assert passport == "Passport with 2 records: passport.json"
    assert [json.loads(line)["kind"] for line in notices] == ["odometer_recorded", "odometer_anchored"] * 2


def test_a_capture_names_the_sender_of_each_message(directory: Path, replay: Run) -> None:
    write_log(directory, recorded_drive(2.0))
    replay("drive.log", "--pcap", "radio.pcap")
    senders = {captured.source_mac for captured in read_pcap(directory / "radio.pcap")}
    assert len(senders) == 1
    assert senders != {bytes(6)}


def test_a_replay_for_machines_is_one_document_and_its_notices_go_elsewhere(directory: Path, replay: Run) -> None:
    frames = recorded_drive(6.0)
    write_log(directory, frames)
    ended = replay("drive.log", "--json")
    assert ended.status == 0
    assert (ended.json["frames"], ended.json["damage"], ended.json["passport"]) == (len(frames), None, None)
    assert ended.json["start_utc"] == START
    assert ended.json["sent"] == {"cam": ended.json["packets"]}
    assert ended.json["can"] == {"frames": len(frames), "faults": {}, "from_others": {}}
    assert len(ended.err.splitlines()) == 4


def test_a_track_of_another_time_is_refused_and_not_passed_over(directory: Path, replay: Run) -> None:
    write_log(directory, recorded_drive(2.0))
    (directory / "track.csv").write_text("time_s,lat_deg,lon_deg,altitude_m,speed_mps,heading_deg\n0.5,48.1,11.5,,,\n")
    ended = replay("drive.log", "--track", "track.csv")
    assert ended.status == 2
    assert "--track: track.csv has no fix while the log runs" in ended.err


def test_an_empty_log_is_replayed_in_a_moment(directory: Path, replay: Run) -> None:
    write_log(directory, [])
    ended = replay("drive.log")
    assert (ended.status, ended.out) == (0, "0 frames over 0.0 s gave 0 signed messages.\nOdometer: 0 recorded, 0 anchored.\n")


@pytest.mark.parametrize("name", ["drive.log", "drive.log.gz"])
def test_a_log_cut_short_keeps_what_was_good_says_so_and_fails(directory: Path, replay: Run, name: str) -> None:
    import gzip

    frames = recorded_drive(6.0)
    if name.endswith(".gz"):
        whole = gzip.compress(candump(frames).encode(), mtime=0)
        (directory / name).write_bytes(whole[: len(whole) * 3 // 4])
    else:
        write_log(directory, frames, cut=3)
    ended = replay(name, "--pcap", "radio.pcap", "--passport", "passport.json")
    assert ended.status == 1
    assert "signed messages." in ended.out
    assert "recorded" in ended.out
    (line,) = ended.err.splitlines()
    assert line.startswith("vehicle-agent: error: ")
    assert "is cut short" in line
    cams, inbound = heard(directory / "radio.pcap")
    assert len(cams) > 5
    assert dict(inbound.refused) == {}
    assert (directory / "passport.json").exists()


def test_a_garbled_line_is_named_and_what_was_before_it_is_kept(directory: Path, replay: Run) -> None:
    lines = candump(recorded_drive(3.0)).splitlines(keepends=True)
    (directory / "drive.log").write_text("".join([*lines[:400], "this is no frame\n", *lines[400:]]))
    ended = replay("drive.log", "--json")
    assert ended.status == 1
    assert ended.json["frames"] == 400
    assert "drive.log line 401" in ended.json["damage"]
    assert ended.err.splitlines()[-1].startswith("vehicle-agent: error: drive.log line 401: is no candump line")


def test_frames_passed_over_and_out_of_order_are_in_the_summary(directory: Path, replay: Run) -> None:
    frames = recorded_drive(1.0)
    text = candump(frames)
    seconds = frames[-1].received // NS_PER_S
    text += f"({seconds}.000000) can0 100#R\n({seconds - 1}.000000) can0 7FF#00\n"
    (directory / "drive.log").write_text(text)
    ended = replay("drive.log")
    assert ended.status == 0
    assert "1 error and remote frames were passed over." in ended.out
    assert "1 frames ran backwards in time and were taken as of the moment before." in ended.out
    as_json = replay("drive.log", "--json").json
    assert (as_json["frames_skipped"], as_json["frames_clamped"]) == (1, 1)


def test_a_track_that_breaks_off_ends_the_replay_there(directory: Path, replay: Run) -> None:
    write_log(directory, recorded_drive(6.0, has_receiver=False))
    start_s = WOKEN // NS_PER_S
    rows = [f"{start_s + n},48.137,11.57{n},,,90" for n in range(4)]
    (directory / "track.csv").write_text(
        "\n".join(["time_s,lat_deg,lon_deg,altitude_m,speed_mps,heading_deg", *rows, "x,,,,,", ""])
    )
    ended = replay("drive.log", "--track", "track.csv", "--json")
    assert ended.status == 1
    assert ended.json["fixes"] == 4
    assert ended.json["packets"] > 0
    assert "track.csv line 6 time_s: 'x' is not a number" in ended.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["absent.log"], "absent.log: cannot be read: No such file or directory"),
        (["agent.toml"], "is no CAN log this program reads"),
        (["drive.log", "--track", "absent.csv"], "absent.csv: cannot be read: No such file or directory"),
        (["drive.log", "--track", "agent.toml"], "a track begins with the line"),
        (["drive.log", "--passport", "agent.toml"], "--passport: agent.toml exists already"),
        (["drive.log", "--start-utc", "yesterday"], "--start-utc: 'yesterday' is no moment"),
        (["drive.log", "--start-utc", "2026-11-22T12:00:00"], "names no time zone"),
        (["drive.log", "--start-utc", "1999-01-01T00:00:00Z"], "ITS time begins in 2004"),
    ],
)
def test_a_mistake_of_the_operator_is_one_line_and_status_2(directory: Path, run: Run, arguments: list[str], sentence: str) -> None:
    write_log(directory, recorded_drive(0.5))
    ended = run("replay", *arguments[:1], "-c", "agent.toml", "--start-utc", START, *arguments[1:])
    assert ended.status == 2
    (line,) = ended.err.splitlines()
    assert line.startswith("vehicle-agent: error: ")
    assert sentence in line


@pytest.mark.parametrize("start", ["2018-08-02T16:00:00Z", "2036-01-01T00:00:00Z"])
def test_a_replay_outside_the_enrolment_credential_is_refused_before_anything_is_recorded(
    directory: Path, run: Run, replay: Run, start: str
) -> None:
    write_log(directory, recorded_drive(6.0))
    ended = run("replay", "drive.log", "-c", "agent.toml", "--start-utc", start)
    assert (ended.status, ended.out) == (2, "")
    assert "--start-utc: the enrolment credential is valid from 20" in ended.err
    assert f"the log would run from {start[:-1]}" in ended.err
    assert replay("drive.log", "--passport", "passport.json", "--json").json["passport"]["records"] == 2


def test_a_replay_that_would_outlast_the_enrolment_credential_is_refused(directory: Path, run: Run) -> None:
    write_log(directory, recorded_drive(6.0))
    last = UtcNs(utc_of(read_ticket(directory / "enrolment").certificate.validity.end_time64) - 8 * NS_PER_S)
    ended = run("replay", "drive.log", "-c", "agent.toml", "--start-utc", utc_text(last))
    assert ended.status == 2
    assert f"the log would run from {utc_text(last)} to " in ended.err


@pytest.mark.parametrize("enrolled_s", [3_600, 4])
def test_a_replay_that_is_told_no_date_ends_now_or_begins_with_the_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run, enrolled_s: int
) -> None:
    now = SystemClock(TimeSource.ASSUME_TRUSTED).now().require_utc()
    (folder := tmp_path / "new").mkdir()
    set_up_vehicle(folder, Hierarchy(13, begin=UtcNs(now - enrolled_s * NS_PER_S)))
    monkeypatch.chdir(folder)
    write_log(folder, recorded_drive(6.0))
    ended = run("replay", "drive.log", "-c", "agent.toml", "--json")
    began = utc_from_text(ended.json["start_utc"])
    enrolled = utc_of(read_ticket(folder / "enrolment").certificate.validity.start_time64)
    end = began + round(ended.json["duration_s"] * NS_PER_S) + SETTLE_NS
    present = SystemClock(TimeSource.ASSUME_TRUSTED).now().require_utc()
    if enrolled_s > 60:
        assert now - NS_PER_S // 1_000 <= end <= present
    else:
        assert began == enrolled or end <= present
    assert began >= enrolled
    assert ended.json["odometer"]["recorded"] == 2


def test_a_replay_of_a_vehicle_that_stands_tells_which_reading_waits_and_writes_no_passport(directory: Path, replay: Run) -> None:
    write_log(directory, recorded_drive(3.0, speed_mps=0.0))
    ended = replay("drive.log", "--passport", "passport.json")
    assert ended.status == 1
    assert "Odometer: 0 recorded, 0 anchored.\n25,088.0 km is shown (cluster), not confirmed yet: the vehicle has not" in ended.out
    assert "nor has the reading stood for 600 s" in ended.out
    assert ended.err.splitlines()[-1] == (
        "vehicle-agent: error: passport: passport.json is not written: the vehicle has no record that is proven by its log"
    )
    assert not (directory / "passport.json").exists()
    assert replay("drive.log", "--json").json["odometer"]["waiting"]["waits_for"] == "counting"


def test_a_replay_whose_ticket_has_expired_is_silent_and_records_all_the_same(directory: Path, run: Run) -> None:
    write_log(directory, recorded_drive(2.0))
    later = utc_text(UtcNs(NOON + 400 * 86_400 * NS_PER_S))
    ended = run("replay", "drive.log", "-c", "agent.toml", "--start-utc", later, "--json")
    assert ended.status == 0
    assert ended.json["packets"] == 0
    assert list(ended.json["unsent"]) == ["expired_certificate"]
    assert ended.json["odometer"]["recorded"] == 1


def test_a_second_replay_goes_on_in_the_same_ledger_where_the_first_one_ended(directory: Path, replay: Run) -> None:
    write_log(directory, recorded_drive(6.0))
    assert replay("drive.log", "--json").json["odometer"]["flags"] == {}
    ended = replay("drive.log", "--passport", "passport.json", "--json")
    assert ended.json["passport"] == {"path": "passport.json", "records": 4}
    assert ended.json["odometer"]["flags"] == {"rollback": 1}


# --- check-config, run, status ---------------------------------------------------------------------------------------------------


def test_a_good_configuration_is_shown_and_called_good(run: Run) -> None:
    ended = run("check-config", "-c", "agent.toml")
    assert ended.status == 0
    assert "Simulated car" in ended.out
    assert "VEHICLE_SPEED" in ended.out
    assert ended.out.rstrip().endswith("agent.toml: ok")


def test_a_map_that_comes_with_the_agent_is_named_where_it_is_and_finds_the_dbc_beside_it(directory: Path, run: Run) -> None:
    (directory / "agent.toml").write_text(CONFIG.replace('"sim_car.toml"', '"package:vehicle_agent/maps/j1939_truck.toml"'))
    ended = run("check-config", "-c", "agent.toml")
    assert ended.status == 0, ended.err
    assert "VDHR" in ended.out


def test_long_names_are_folded_and_not_cut_on_a_narrow_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    ended = run("check-config", "-c", "agent.toml")
    assert ended.status == 0
    assert "\N{HORIZONTAL ELLIPSIS}" not in ended.out


def test_a_map_of_a_package_that_is_not_installed_is_named_with_its_key(directory: Path, run: Run) -> None:
    (directory / "agent.toml").write_text(CONFIG.replace('"sim_car.toml"', '"package:no_such_thing/a.toml"'))
    ended = run("check-config", "-c", "agent.toml")
    assert ended.status == 2
    assert "can[0].map: the Python package 'no_such_thing' is not installed" in ended.err


def test_checking_says_what_the_vehicle_is_and_where_it_speaks(directory: Path, run: Run) -> None:
    further = '[capture]\nfile = "radio.pcapng"\n[driver]\nsocket = "driver.sock"\n'
    (directory / "agent.toml").write_text(CONFIG + further)
    out = run("check-config", "-c", "agent.toml").out
    for line in ("role default", "odometer: cluster", "radio udp: UDP ", "capture", "driver: socket "):
        assert sum(each.startswith(line) for each in out.splitlines()) == 1, out
    assert "warning" not in out


def test_checking_prints_the_names_of_tables_and_files_with_their_brackets(directory: Path, run: Run) -> None:
    assert "\nno [requests]: nothing is asked of the vehicle's control units\n" in run("check-config", "-c", "agent.toml").out
    (directory / "agent.toml").rename(directory / "[car] :bus:.toml")
    assert run("check-config", "-c", "[car] :bus:.toml").out.endswith("[car] :bus:.toml: ok\n")


@pytest.mark.parametrize("table", ["[[can]]", "[driver.can]"])
def test_a_multicast_bus_without_a_multicast_address_is_refused_by_checking(directory: Path, run: Run, table: str) -> None:
    bus = f'{table}\ninterface = "udp_multicast"\nchannel = "can0"\n'
    (directory / "agent.toml").write_text(CONFIG + bus)
    ended = run("check-config", "-c", "agent.toml")
    assert ended.status == 2
    assert "can udp_multicast:can0: the channel of udp_multicast is a multicast address, such as 239.74.163.2" in ended.err


def test_a_role_that_the_ticket_does_not_allow_is_a_warning_and_no_failure(directory: Path, run: Run) -> None:
    (directory / "agent.toml").write_text(CONFIG.replace("[station]", '[station]\nrole = "emergency"'))
    ended = run("check-config", "-c", "agent.toml")
    assert (ended.status, ended.err) == (0, "")
    assert "role emergency, shown while light bar or siren is on\n" in ended.out
    told = " ".join(ended.out.split())
    assert "warning: the ticket does not allow emergencyContainer: the CAMs will leave it out" in told
    write_ticket_of(directory, StationRole.EMERGENCY)
    assert "warning" not in run("check-config", "-c", "agent.toml").out


def test_checking_a_configuration_makes_no_file(directory: Path, run: Run) -> None:
    before = sorted(directory.rglob("*"))
    run("check-config", "-c", "agent.toml")
    assert sorted(directory.rglob("*")) == before


@pytest.mark.parametrize("command", ["check-config", "run", "status", "replay drive.log"])
@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("length_m = 4.6", "lenght_m = 4.6", "agent.toml: station"),
        ("[ledger]", "[ledger", "agent.toml: not TOML"),
    ],
)
def test_a_bad_configuration_is_one_line_and_status_2(
    directory: Path, run: Run, command: str, old: str, new: str, sentence: str
) -> None:
    (directory / "agent.toml").write_text(CONFIG.replace(old, new))
    ended = run(*command.split(), "-c", "agent.toml")
    assert (ended.status, ended.out) == (2, "")
    (line,) = ended.err.splitlines()
    assert line.startswith("vehicle-agent: error: ")
    assert sentence in line


def test_a_configuration_that_is_not_there_is_one_line_and_status_2(run: Run) -> None:
    for command in ("check-config", "run", "status"):
        ended = run(command, "-c", "absent.toml")
        assert (ended.status, ended.out) == (2, "")
        assert ended.err == "vehicle-agent: error: absent.toml: cannot be read: No such file or directory\n"


def test_a_key_open_to_others_is_found_by_checking(directory: Path, run: Run) -> None:
    (directory / "ticket/key.pem").chmod(0o644)
    ended = run("check-config", "-c", "agent.toml")
    assert ended.status == 2
    assert "chmod 600" in ended.err


def test_the_status_of_an_agent_that_does_not_run_is_a_failure(run: Run) -> None:
    ended = run("status", "-c", "agent.toml")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.rstrip().endswith("no agent is running here")


def test_wrong_usage_is_status_2(run: Run) -> None:
    assert run("replay").status == 2
    assert run("fly").status == 2


def test_help_names_the_four_commands(run: Run) -> None:
    ended = run("--help")
    assert ended.status == 0
    for command in ("run", "check-config", "status", "replay"):
        assert command in ended.out
