"""`v2x ledger serve` as an operator types it, as far as it goes without serving."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from shared.cli.ledger import app
from shared.core.errors import ConfigError
from shared.ledger.note import parse_vkey
from shared.operator.log_node_files import KEY_FILE, STORE_FILE
from tests.helpers.ledger import ORIGIN, log_signer, witness_key


def serve(directory: Path, *arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["serve", *map(str, (directory, "--origin", ORIGIN, *arguments))])


def test_the_first_run_makes_key_and_log_and_says_what_policies_call_it_by(tmp_path: Path) -> None:
    first, second = serve(tmp_path / "log", "--vkey"), serve(tmp_path / "log", "--vkey")
    assert first.exit_code == 0, first.output
    word, vkey = first.stdout.split()
    assert word == "vkey"
    assert parse_vkey(vkey).name == ORIGIN
    assert (tmp_path / "log" / STORE_FILE).exists()
    assert second.stdout == first.stdout


def test_a_key_may_lie_somewhere_else(tmp_path: Path) -> None:
    told = serve(tmp_path / "log", "--key", tmp_path / "keys" / "a.key", "--vkey")
    assert told.exit_code == 0, told.output
    assert (tmp_path / "keys" / "a.key").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "log" / KEY_FILE).exists()


def test_a_key_without_its_log_is_refused_with_what_to_do(tmp_path: Path) -> None:
    serve(tmp_path / "log", "--vkey")
    (tmp_path / "log" / STORE_FILE).unlink()
    refused = serve(tmp_path / "log", "--vkey")
    assert isinstance(refused.exception, ConfigError)
    assert "second history" in refused.exception.reason
    assert serve(tmp_path / "log", "--new", "--vkey").exit_code == 0


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    serve(tmp_path / "log", "--vkey")
    (tmp_path / "log" / KEY_FILE).chmod(0o640)
    assert isinstance(serve(tmp_path / "log", "--vkey").exception, ConfigError)


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (("--listen", "somewhere"), "--listen"),
        (("--listen", "127.0.0.1:99999"), "--listen"),
        (("--witness", "nonsense"), "--witness"),
        (("--witness", "nonsense http://127.0.0.1:1"), "--witness"),
        (("--time-source", "gnss"), "--time-source"),
        (("--policy", "missing"), "missing"),
        (("--access", "missing"), "missing"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name_before_anything_is_made(
    tmp_path: Path, arguments: tuple[str, str], where: str
) -> None:
    refused = serve(tmp_path / "log", *arguments)
    assert isinstance(refused.exception, ConfigError)
    assert where in refused.exception.path
    assert not (tmp_path / "log").exists()


def test_an_origin_that_names_no_key_is_refused(tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, ["serve", str(tmp_path / "log"), "--origin", "a name", "--vkey"])
    assert isinstance(refused.exception, ConfigError)
    assert refused.exception.path == "--origin"


def test_two_policies_are_one_too_many(tmp_path: Path) -> None:
    (tmp_path / "access.toml").write_text('quorum_policy = "a.policy"\n')
    (tmp_path / "a.policy").write_text("quorum none\n")
    refused = serve(tmp_path / "log", "--access", tmp_path / "access.toml", "--policy", tmp_path / "a.policy")
    assert isinstance(refused.exception, ConfigError)
    assert "names one too" in refused.exception.reason


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        ("quorum some\n", "not defined above"),
        (f"log {log_signer().key.text}\nquorum none\n", "another key than this log's"),
        (f"witness w {witness_key('w').text} ftp://x\nquorum none\n", "ftp://x"),
    ],
)
def test_a_policy_that_does_not_fit_ends_the_start_with_a_sentence(
    tmp_path: Path, policy: str, sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.policy").write_text(policy)
    told = serve(tmp_path / "log", "--policy", tmp_path / "a.policy", "--listen", "127.0.0.1:0")
    said = str(told.exception) + told.output + capfd.readouterr().err
    assert told.exit_code != 0
    assert sentence in said
    assert "Traceback" not in said
