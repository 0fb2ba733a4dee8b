"""Every case of `secured_messages` is judged as it says, from its files alone; and there are enough of them."""

import shutil
from pathlib import Path

import pytest

from shared.core.report import VerificationReport
from tests.conformance.secured_messages.judge import BELIEVED, DIRECTORY, EXPECTED, expected, judge, kind_of, sentences
from tests.conformance.secured_messages.make_cases import write_cases
from tests.conformance.secured_messages.workshop import Kind

CASES = sentences()
LEAST_CASES, LEAST_REFUSALS = 271, 223
AREAS = "areas.toml"


@pytest.mark.parametrize("sentence", CASES)
def test_case(sentence: str) -> None:
    wanted = expected(sentence)
    outcome = judge(sentence)
    assert outcome.verdict == wanted["verdict"], outcome.sentence
    assert wanted.get("says", "") in outcome.sentence


def test_there_are_many_cases_and_most_are_refusals() -> None:
    refusals = [sentence for sentence in CASES if expected(sentence)["verdict"] != BELIEVED]
    assert len(CASES) >= LEAST_CASES
    assert len(refusals) >= LEAST_REFUSALS
    assert all(any(kind_of(sentence) is kind for sentence in CASES) for kind in Kind)


def test_every_report_is_reached_by_a_case() -> None:
    assert {report.value for report in VerificationReport} <= {expected(sentence)["verdict"] for sentence in CASES}


def test_every_refusal_says_why_and_its_name_says_that_it_is_one() -> None:
    for sentence in CASES:
        wanted = expected(sentence)
        is_believed = wanted["verdict"] == BELIEVED
        assert is_believed is sentence.endswith(("_is_believed", "_is_taken"))
        assert bool(wanted.get("says")) is not is_believed
        assert wanted.keys() <= {"at", "verdict", "says", "before", "logged", "clock"}


def test_the_judge_tells_cases_apart(tmp_path: Path) -> None:
    """A judge that believed everything, or nothing, would be noticed: one changed octet changes the verdict."""
    copied = tmp_path / "cases"
    shutil.copytree(DIRECTORY, copied)
    sentence = "a_cam_with_its_certificate_is_believed"
    message = copied / sentence / Kind.MESSAGE.value
    octets = bytearray(message.read_bytes())
    octets[-1] ^= 1
    message.write_bytes(octets)
    assert judge(sentence, copied).verdict == VerificationReport.FALSE_SIGNATURE.value
    assert judge(sentence).verdict == BELIEVED


def test_the_cases_written_today_are_those_that_are_kept(tmp_path: Path) -> None:
    write_cases(tmp_path)
    fresh = _files(tmp_path)
    assert len(fresh) > 2 * LEAST_CASES
    assert fresh == _files(DIRECTORY)


def test_no_directory_is_without_a_verdict() -> None:
    assert {path.name for path in DIRECTORY.iterdir() if path.is_dir()} - {"trust", "__pycache__"} == set(CASES)
    assert all((DIRECTORY / sentence / EXPECTED).is_file() for sentence in CASES)


def _files(directory: Path) -> dict[Path, bytes]:
    kept = (".oer", ".bin", ".json")
    return {path.relative_to(directory): path.read_bytes() for path in directory.rglob("*") if path.suffix in kept}
