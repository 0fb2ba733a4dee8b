"""A short run from options to files: real agents over real buses, the same seed the same summary, and files that say the same."""

import json
from collections.abc import Iterable
from functools import partial
from http.client import HTTPConnection
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from typer.testing import CliRunner

from shared.core.errors import ConfigError, StorageError, TransportError, V2xError
from shared.network.headers import BASIC_HEADER_OCTETS, DEFAULT_HOP_LIMIT, HOP_LIMIT_OCTET
from shared.network.packet import SINGLE_HOP
from shared.records.passport import parse_passport
from shared.security.secured_data import SignedData, decode_secured_data
from shared.service.passport_file import read_passport_file
from shared.transport.pcap import CapturedPacket, read_pcap
from simulator.cli import _Pages, app
from simulator.options import AttackerKind, CanInterface, Mode, Options
from simulator.run import Outcome, simulate
from simulator.summary import SUMMARY_KEYS, without_wall_time

SHORT = Options(duration_s=4.0, vehicles=4, attackers=1.0, seed=3)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return simulate(SHORT, tmp_path_factory.mktemp("run"), progress=lambda _: None)


def said(captured: Iterable[CapturedPacket]) -> list[CapturedPacket]:
    """Return the packets with as many hops left as a station of ours begins with: others are forwarded."""
    return [each for each in captured if each.packet[HOP_LIMIT_OCTET] in (SINGLE_HOP, DEFAULT_HOP_LIMIT)]


def test_the_summary_has_its_stable_keys_and_is_what_the_file_says(outcome: Outcome) -> None:
    written = json.loads(outcome.summary_file.read_text())
    assert tuple(written) == SUMMARY_KEYS
    assert written == outcome.story.summary
    assert set(written["sent"]) == {"cam", "denm", "spatem", "mapem"}
    assert set(written["attacks"]) == {kind.value for kind in AttackerKind}
    for attack in written["attacks"].values():
        assert {"senders", "detected", "false_accusations", "median_detect_s"} <= set(attack)
    assert set(written["odometer"]) == {"records", "anchored", "witnessed", "rollbacks_flagged"}
    assert set(written["passports"]) == {"written", "verified"}


def test_every_car_has_a_page_that_carries_its_passport_and_is_in_the_report(outcome: Outcome) -> None:
    report = outcome.report.read_text()
    for car in outcome.story.cars:
        assert car.passport is not None
        assert car.page is not None
        folder = outcome.report.parent
        assert read_passport_file(folder / car.page) == parse_passport((folder / car.passport).read_bytes())
        assert f'href="{car.page}"' in report


def test_everybody_speaks_and_is_heard(outcome: Outcome) -> None:
    summary = outcome.story.summary
    assert all(n > 0 for n in summary["sent"].values())
    assert all(car.sent > 0 for car in outcome.story.cars)
    assert summary["verified"] > sum(summary["sent"].values())
    assert summary["can_frames"] > 4 * 4 * 200


def test_every_refusal_of_an_attack_is_among_the_refusals_of_the_agents(outcome: Outcome) -> None:
    summary = outcome.story.summary
    for attack in summary["attacks"].values():
        for reason, n in attack.get("reasons", {}).items():
            assert reason in ("own_echo", "copy") or n <= summary["rejected"][reason]


def test_the_capture_holds_our_frames_and_the_other_one_the_attackers(outcome: Outcome) -> None:
    summary = outcome.story.summary
    ours = list(read_pcap(outcome.radio_pcap))
    assert len(said(ours)) == sum(summary["sent"].values())
    assert len(ours) > len(said(ours)), "and what cars have passed on"
    assert all(isinstance(decode_secured_data(p.packet[BASIC_HEADER_OCTETS:]).content, SignedData) for p in ours)
    theirs = list(read_pcap(outcome.attacks_pcap))
    assert len(theirs) == sum(attack.get("frames", 0) for attack in summary["attacks"].values())
    assert [p.utc for p in ours] == sorted(p.utc for p in ours)


def test_the_same_seed_gives_the_same_summary_and_the_same_frames(outcome: Outcome, tmp_path: Path) -> None:
    again = simulate(SHORT, tmp_path, progress=lambda _: None)
    assert without_wall_time(again.story.summary) == without_wall_time(outcome.story.summary)
    assert again.radio_pcap.read_bytes() == outcome.radio_pcap.read_bytes()
    assert again.attacks_pcap.read_bytes() == outcome.attacks_pcap.read_bytes()


def test_another_seed_gives_another_run_and_replaces_the_files_of_the_last(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    options = [Options(duration_s=1.0, vehicles=2, attackers=0.0, seed=seed) for seed in (1, 2)]
    first, second = (simulate(o, tmp_path, progress=lambda _: None) for o in options)
    assert without_wall_time(first.story.summary) != without_wall_time(second.story.summary)
    assert len(said(read_pcap(second.radio_pcap))) == sum(second.story.summary["sent"].values())
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_udp_buses_carry_the_same_run_as_virtual_ones(tmp_path: Path) -> None:
    summaries = []
    for can in (CanInterface.VIRTUAL, CanInterface.UDP):
        options = Options(duration_s=1.0, vehicles=1, attackers=0.0, seed=1, can=can)
        try:
            summaries.append(simulate(options, tmp_path / can.value, progress=lambda _: None).story.summary)
        except TransportError as error:
            pytest.skip(f"no multicast on this machine: {error}")
    assert summaries[0]["can_frames"] == summaries[1]["can_frames"]
    assert summaries[0]["sent"] == summaries[1]["sent"]


@pytest.mark.skipif(Path("/sys/class/net/vcan0").exists(), reason="this machine has a vcan0")
def test_a_bus_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(V2xError, match="vcan0"):
        simulate(Options(duration_s=1.0, vehicles=1, can=CanInterface.VCAN), tmp_path, progress=lambda _: None)


def test_a_directory_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        simulate(SHORT, tmp_path / "file" / "out", progress=lambda _: None)


def test_the_program_says_what_the_run_showed_and_where_the_files_are(tmp_path: Path) -> None:
    arguments = ["run", "crossing", "--duration", "1", "--vehicles", "2", "--attackers", "0", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    assert "messages signed and sent by 2 cars" in result.output
    for name in ("report.html", "summary.json", "radio.pcap", "attacks.pcap", "passports", "car-1.html", "v2x passport verify"):
        assert name in result.output


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/report.html", 200),
        ("/summary.json?x=1", 200),
        ("/passports/car-1.html", 200),
        ("/passports/car-1.json", 404),
        ("/passports/../state/ledger.sqlite", 404),
        ("/state/ledger.sqlite", 404),
        ("/../x", 404),
        ("/trust/", 404),
    ],
)
def test_only_report_summary_and_pages_of_passports_are_served(outcome: Outcome, path: str, status: int) -> None:
    directory = outcome.report.parent
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Pages, directory=str(directory))) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        connection = HTTPConnection("127.0.0.1", server.server_port, timeout=5)
        connection.request("GET", path)
        assert connection.getresponse().status == status
        connection.close()
        thread.join()


def test_the_program_lists_its_scenarios() -> None:
    result = CliRunner().invoke(app, ["list"])
    assert result.exit_code == 0
    assert "crossing" in result.output


@pytest.mark.parametrize("arguments", [["--mode", "slow"], ["--vehicles", "many"], ["--can", "flexray"], ["--nonsense"]])
def test_wrong_usage_ends_with_status_two(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, ["run", *arguments]).exit_code == 2


def test_a_value_out_of_range_is_a_configuration_error_for_the_shell_to_say() -> None:
    result = CliRunner().invoke(app, ["run", "--vehicles", "900"])
    assert isinstance(result.exception, ConfigError)
    assert "--vehicles" in str(result.exception)


def test_live_mode_keeps_step_with_the_clock_on_the_wall(tmp_path: Path) -> None:
    options = Options(duration_s=1.0, vehicles=1, attackers=0.0, seed=1, mode=Mode.LIVE)
    summary = simulate(options, tmp_path, progress=lambda _: None).story.summary
    assert summary["wall_s"] >= 1.0
