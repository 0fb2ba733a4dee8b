"""How commands end: with a sentence and a status, whatever happens inside."""

import pytest
import typer

from shared.cli.entry import run
from shared.core.errors import ConfigError, StorageError, V2xError


def end_of(error: Exception | None, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    app = typer.Typer()

    @app.command()
    def command() -> None:
        if error is not None:
            raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["v2x"])
        with pytest.raises(SystemExit) as ended:
            run(app, "v2x")
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().err


def test_a_command_that_succeeds_says_nothing_and_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert end_of(None, capsys) == (0, "")


@pytest.mark.parametrize(("error", "status"), [(ConfigError("a.toml: key", "is wrong"), 2), (StorageError("x.db", "is full"), 1)])
def test_an_error_of_ours_is_one_sentence_and_a_status(capsys: pytest.CaptureFixture[str], error: V2xError, status: int) -> None:
    assert end_of(error, capsys) == (status, f"v2x: error: {error}\n")


def test_a_fault_of_the_program_is_one_line_that_says_where_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    status, line = end_of(ZeroDivisionError("so it is"), capsys)
    assert status == 1
    assert line.startswith("v2x: internal error: ZeroDivisionError: so it is (test_entry.py:")
    assert line.count("\n") == 1
