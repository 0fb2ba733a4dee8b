"""The pages on issuing records and on consent: every command in them exists with its options, and what they say of roles is so."""

import re
import shlex

import pytest
import typer
from typer.core import TyperGroup, TyperOption
from typer.testing import CliRunner

from shared.cli.main import app as v2x
from shared.records.issuers import ISSUER_KINDS, IssuerRole
from tests.helpers.data import REPOSITORY
from vehicle_agent.cli import app as vehicle_agent

PROGRAMS = {"v2x": v2x, "vehicle-agent": vehicle_agent}
PAGES = {name: (REPOSITORY / f"docs/{name}.md").read_text(encoding="utf-8") for name in ("issuing-records", "consent")}


def commands(page: str) -> list[list[str]]:
    """Return the command lines that stand in a page's blocks of code."""
    joined = PAGES[page].replace("\\\n", " ")
    lines = [line.strip() for line in joined.splitlines() if line.startswith("    ")]
    return [shlex.split(line, comments=True) for line in lines if line.split()[0] in PROGRAMS]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_on_the_page_is_one(page: str) -> None:
    assert len(commands(page)) >= 4
    for program, *words in commands(page):
        fault = unknown(program, words)
        assert fault is None, f"{program} {' '.join(words)}: {fault}"


def unknown(program: str, words: list[str]) -> str | None:
    """Return what of a command line a program does not know or lacks; None if it is complete."""
    result = CliRunner().invoke(PROGRAMS[program], [*words, "--help"])
    if result.exit_code != 0:
        return result.output
    command = typer.main.get_command(PROGRAMS[program])
    for word in words:
        if not isinstance(command, TyperGroup):
            break
        command = command.commands[word]
    needed = {each.opts[0] for each in command.params if isinstance(each, TyperOption) and each.required}
    return ", ".join(sorted(needed - set(words))) or None


def test_a_command_that_is_none_would_be_noticed() -> None:
    assert "No such command" in str(unknown("v2x", ["record", "forge"]))
    assert "No such option" in str(unknown("v2x", ["record", "show", "x", "--colour", "red"]))
    assert unknown("vehicle-agent", ["slot"]) == "--out"


def test_the_page_says_which_role_issues_what() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([a-z_, ]+) \|$", PAGES["issuing-records"], re.MULTILINE))
    assert rows == {
        role.value: ", ".join(sorted(kind.value for kind in kinds))
        for role, kinds in ISSUER_KINDS.items()
        if role is not IssuerRole.VEHICLE
    }


@pytest.mark.parametrize("page", PAGES)
def test_the_page_leads_to_files_that_are_there(page: str) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", PAGES[page])
    assert targets
    for target in targets:
        assert (REPOSITORY / "docs" / target).exists(), target
