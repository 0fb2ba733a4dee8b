"""`v2x ledger audit` as a person and as a machine reads it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from shared.cli.entry import run
from shared.cli.ledger import app
from shared.ledger.tiles import Tile
from tests.helpers.audited import changed, entries_of, grown, write_files
from tests.helpers.ledger import ORIGIN, log_signer

HONEST = entries_of("honest", 300)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy"
    path.write_text(f"log {log_signer().key.text}\nquorum none\n")
    return path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    write_files(grown(HONEST), tmp_path / "log")
    return tmp_path / "log"


def audit(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


@contextmanager
def served(directory: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def test_a_sound_log_is_said_to_hold(log: Path, policy: Path) -> None:
    told = audit(log, "--policy", policy)
    assert told.exit_code == 0, told.output
    assert f"{ORIGIN}: 300 entries" in told.output
    assert "read 300 entries and 3 tiles" in told.output
    assert told.output.endswith("everything holds\n")


def test_a_file_url_and_http_read_the_same(log: Path, policy: Path) -> None:
    with served(log) as url:
        reports = [
            json.loads(audit(place, "--policy", policy, "--json").output) for place in (log, log.as_uri(), url, url.rstrip("/"))
        ]
    for report in reports:
        del report["seconds"]
    assert reports == [reports[0]] * 4
    assert reports[0]["sound"] is True


def test_a_server_without_a_file_is_told_from_one_that_is_away(log: Path, policy: Path) -> None:
    (log / Tile(0, 0, 256).path).unlink()
    with served(log) as url:
        report = json.loads(audit(url, "--policy", policy, "--json").output)
    assert [(finding["kind"], finding["where"]) for finding in report["findings"]] == [("missing", Tile(0, 0, 256).path)]


def test_the_wrong_tile_is_named_to_a_person_and_to_a_machine(log: Path, policy: Path) -> None:
    tile = log / Tile(0, 0, 256).path
    tile.write_bytes(changed(tile.read_bytes(), 32 * 5))
    told = audit(log, "--policy", policy)
    assert told.exit_code == 1
    assert "PROBLEM tile at tile/0/000: its hash of entry 5 is not the one that the entry makes" in told.output
    assert told.output.endswith("1 problem: do not rely on it\n")
    report = json.loads(audit(log, "--policy", policy, "--json").output)
    assert (report["sound"], report["found"]) == (False, 1)


def test_a_fork_shows_both_notes_and_stays_known(tmp_path: Path, log: Path, policy: Path) -> None:
    state = tmp_path / "state"
    assert audit(log, "--policy", policy, "--state", state).exit_code == 0
    forked = tmp_path / "forked"
    write_files(grown(entries_of("other", 300)), forked)
    told = audit(forked, "--policy", policy, "--state", state)
    assert told.exit_code == 1
    for directory in (log, forked):
        root = (directory / "checkpoint").read_text().split("\n")[2]
        assert f"  | {root}\n" in told.output
    back = audit(log, "--policy", policy, "--state", state)
    assert back.exit_code == 1
    assert "two different roots for 300 entries" in back.output


def test_the_next_audit_goes_on_where_this_one_ended(tmp_path: Path, log: Path, policy: Path) -> None:
    state = tmp_path / "state"
    audit(log, "--policy", policy, "--state", state)
    write_files(grown(HONEST, entries_of("later", 100)), log)
    report = json.loads(audit(log, "--policy", policy, "--state", state, "--json").output)
    assert (report["first_entry"], report["entries"], report["checkpoints"]) == (300, 100, 1)
    report = json.loads(audit(log, "--policy", policy, "--state", state, "--full", "--json").output)
    assert (report["first_entry"], report["entries"]) == (0, 400)


def test_a_checkpoint_of_elsewhere_is_judged(tmp_path: Path, log: Path, policy: Path) -> None:
    seen = tmp_path / "seen"
    seen.write_bytes(grown(entries_of("other", 12)).note)
    told = audit(log, "--policy", policy, "--also", seen)
    assert told.exit_code == 1
    assert "PROBLEM split_view at checkpoint 12" in told.output


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["nowhere", "--policy", "policy"], 2),
        (["log", "--policy", "nowhere"], 2),
        (["log", "--policy", "log/checkpoint"], 2),
        (["http:///", "--policy", "policy"], 2),
        (["file://elsewhere/log", "--policy", "policy"], 2),
        (["log", "--policy", "policy", "--also", "policy"], 2),
        (["log", "--policy", "policy", "--state", "policy"], 1),
        (["log/tile", "--policy", "policy"], 1),
        (["http://127.0.0.1:9/", "--policy", "policy"], 1),
    ],
)
def test_what_cannot_be_audited_is_said_in_one_line(
    tmp_path: Path,
    log: Path,
    policy: Path,
    arguments: list[str],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert log.exists()
    assert policy.exists()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["v2x", "audit", *arguments])
    with pytest.raises(SystemExit) as ended:
        run(app, "v2x")
    assert ended.value.code == code
    said = capsys.readouterr().err
    assert said.startswith("v2x: error: ")
    assert said.count("\n") == 1
