import json
from pathlib import Path

import pytest

from shared.core.clock import Instant, MonotonicNs
from shared.core.errors import DecodeError, VerificationError
from shared.core.itstime import utc_from_text
from shared.service.trust_directory import read_trust_directory
from tests.conformance.secured_messages.make_cases import write_cases
from tests.helpers.hierarchy import verifying

DIRECTORY = Path(__file__).parent / "secured_messages"
CASES = sorted(path.parent.name for path in DIRECTORY.glob("*/expected.json"))


@pytest.mark.parametrize("sentence", CASES)
def test_case(sentence: str) -> None:
    expected = json.loads((DIRECTORY / sentence / "expected.json").read_text(encoding="utf-8"))
    service = verifying(read_trust_directory(DIRECTORY / "trust"))
    now = Instant(MonotonicNs(0), utc_from_text(expected["at"]))
    try:
        service.verify((DIRECTORY / sentence / "message.oer").read_bytes(), now=now)
        verdict = "believed"
    except (DecodeError, VerificationError) as error:
        verdict = error.code
    assert verdict == expected["verdict"]


def test_the_cases_written_today_are_those_that_are_kept(tmp_path: Path) -> None:
    write_cases(tmp_path)
    fresh = _files(tmp_path)
    assert len(fresh) > 60
    assert fresh == _files(DIRECTORY)


def _files(directory: Path) -> dict[Path, bytes]:
    return {path.relative_to(directory): path.read_bytes() for suffix in ("oer", "json") for path in directory.rglob(f"*.{suffix}")}
