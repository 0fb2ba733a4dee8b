"""The two pages on passports: every command in them is one, every picture is there and small, every verdict is the page's."""

import re
from importlib.resources import files
from pathlib import Path

import pytest
import typer

from shared.cli.passport import app

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGES = ("passport-for-buyers.md", "passport-for-engineers.md")
MAX_PICTURE_BYTES = 150_000


def text_of(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_every_picture_is_there_small_and_described(name: str) -> None:
    pictures = re.findall(r'<img src="([^"]+)"[^>]* alt="([^"]{20,})">', text_of(name))
    assert len(pictures) == text_of(name).count("<img") > 0
    for source, _ in pictures:
        assert (DOCS / source).read_bytes().startswith(b"\x89PNG")
        assert (DOCS / source).stat().st_size < MAX_PICTURE_BYTES, source


def test_every_command_and_option_exists() -> None:
    root = typer.main.get_command(app)
    found = [
        (command, tuple(re.findall(r"--[a-z-]+", rest)))
        for name in PAGES
        for command, rest in re.findall(r"v2x passport ([a-z]+)([^`\n]*)", text_of(name))
    ]
    assert {command for command, _ in found} >= {"verify", "page", "sheet", "disclose"}
    for command, options in found:
        known = {option for each in root.commands[command].params for option in each.opts}  # type: ignore[attr-defined]
        assert set(options) <= known, command


def test_the_verdicts_explained_to_buyers_are_those_the_page_gives() -> None:
    scripts = files("shared").joinpath("passport_page")
    view = scripts.joinpath("view.js").read_text(encoding="utf-8")
    given = {*re.findall(r'word: "([^"]+)"', view), "Not checked"}
    assert '<p class="verdict-word" id="verdict-word">Not checked</p>' in scripts.joinpath("page.html").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| \*\*([^*]+)\*\*", text_of("passport-for-buyers.md"), re.MULTILINE)) == given


def test_each_is_a_page_long() -> None:
    for name in PAGES:
        assert len(text_of(name).split()) < 1_000, name
