"""`v2x` loads the subcommand that is called, and knows all of them."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from shared.cli.main import COMMANDS, app, make_app

CALLED = """
import atexit, sys
atexit.register(lambda: print(*sorted(name for name in sys.modules if name.startswith("shared.cli.")), file=sys.stderr))
sys.argv = ["v2x", "mqtt", "--help"]
from shared.cli.main import main
main()
"""


def test_the_help_names_every_subcommand() -> None:
    told = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"})
    assert told.exit_code == 0
    assert all(f" {name} " in told.output for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_subcommand_is_called_by_its_name_also_when_it_is_the_only_one_that_was_loaded(name: str) -> None:
    alone, among_all = (CliRunner().invoke(each, [name, "--help"]) for each in (make_app(name), app))
    assert alone.exit_code == among_all.exit_code == 0
    assert alone.output == among_all.output
    assert f"Usage: v2x {name} " in alone.output


def test_the_others_are_not_loaded() -> None:
    ended = subprocess.run([sys.executable, "-c", CALLED], capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr
    loaded = ended.stderr.split()
    assert "shared.cli.mqtt" in loaded
    assert not {"shared.cli.bench", "shared.cli.pki", "shared.cli.ledger"} & set(loaded)


def test_what_is_no_subcommand_is_refused_with_what_there_is() -> None:
    refused = CliRunner().invoke(app, ["nonsense"])
    assert refused.exit_code == 2
    assert "No such command 'nonsense'" in refused.output
