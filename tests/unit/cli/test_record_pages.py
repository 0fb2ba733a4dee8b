"""The pages on issuing records and on consent: every command in them exists with its options, and what they say of roles is so."""

import re
import shlex

import click
import pytest
import typer

from shared.cli.main import app as v2x
from shared.records.issuers import ISSUER_KINDS, IssuerRole
from tests.helpers.data import REPOSITORY
from vehicle_agent.cli import app as vehicle_agent

PROGRAMS = {"v2x": typer.main.get_command(v2x), "vehicle-agent": typer.main.get_command(vehicle_agent)}
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
        command = PROGRAMS[program]
        while isinstance(command, click.Group):
            name = words.pop(0)
            assert name in command.commands, (page, name)
            command = command.commands[name]
        command.make_parser(click.Context(command)).parse_args(args=list(words))
        given = {word for word in words if word.startswith("--")}
        needed = {each.opts[0] for each in command.params if each.required and isinstance(each, click.Option)}
        assert needed <= given, (page, command.name, needed - given)


def test_the_page_says_which_role_issues_what() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([a-z_, ]+) \|$", PAGES["issuing-records"], re.MULTILINE))
    assert rows == {
        role.value: ", ".join(sorted(kind.value for kind in kinds))
        for role, kinds in ISSUER_KINDS.items()
        if role is not IssuerRole.VEHICLE
    }


@pytest.mark.parametrize("page", PAGES)
def test_the_page_leads_to_files_that_are_there(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGES[page]):
        assert (REPOSITORY / "docs" / target).exists(), target
