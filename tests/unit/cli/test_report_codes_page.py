"""The page an operator reads, `docs/report-codes.md`: every code there is, none twice, none that is made up."""

import re

from shared.cli.report_words import OTHER_MEANINGS
from shared.core.report import VerificationReport
from shared.pki.response_codes import AuthorizationResponseCode, EnrolmentResponseCode, ValidationResponseCode
from shared.stack.common_lane import SHED_STRANGERS
from shared.stack.sender_lane import SHED_CROWDED, SHED_STALE, SHED_SUPERSEDED
from tests.helpers.data import REPOSITORY

PAGE = (REPOSITORY / "docs/report-codes.md").read_text(encoding="utf-8")


def rows() -> dict[str, list[list[str]]]:
    """Return the cells of the table below each heading."""
    found: dict[str, list[list[str]]] = {}
    for section in PAGE.split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        lines = [line for line in text.splitlines() if line.startswith("| `")]
        found[title] = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return found


def codes(heading: str) -> list[str]:
    return [code for row in rows()[heading] for code in re.findall(r"`([^`]+)`", row[0])]


def test_every_report_is_explained_once() -> None:
    found = codes("Messages, packets and trust lists")
    assert sorted(found) == sorted([*(report.value for report in VerificationReport), *OTHER_MEANINGS])


def test_every_way_of_dropping_is_explained_once() -> None:
    assert codes("Packets dropped before they are looked at") == [SHED_STALE, SHED_SUPERSEDED, SHED_CROWDED, SHED_STRANGERS]


def test_every_answer_of_an_authority_is_explained_once() -> None:
    tables = (EnrolmentResponseCode, AuthorizationResponseCode, ValidationResponseCode)
    words = {code.word for table in tables for code in table} - {"ok"}
    found = codes("Answers of authorities")
    assert len(found) == len(set(found))
    assert set(found) == words


def test_every_row_says_what_it_means_and_what_to_do() -> None:
    for table in rows().values():
        assert table
        for row in table:
            assert len(row) == 3
            assert all(cell.endswith(".") for cell in row[1:])
