import json
from base64 import b64decode
from pathlib import Path

from shared.core.clock import Instant, MonotonicNs
from shared.service.evidence import MAX_EVIDENCE_FILES, MAX_FILES_OF_ONE, EvidenceFolder
from shared.stack.effects import Evidence
from tests.helpers.hierarchy import NOON

NOW = Instant(MonotonicNs(0), NOON)


def evidence(subject: str = "00ff00ff00ff00ff", octets: bytes = b"chain") -> Evidence:
    return Evidence(kind="not_logged", subject=subject, sentence="no log holds it", documents={"chain-0": octets})


def test_evidence_is_written_whole_with_its_date_and_its_octets(tmp_path: Path) -> None:
    folder = EvidenceFolder(tmp_path / "evidence")
    folder.keep(evidence(), NOW)
    (path,) = (tmp_path / "evidence").iterdir()
    assert path.name.startswith("not_logged-00FF00FF00FF00FF-")
    document = json.loads(path.read_text())
    assert document["seen"] == "2026-11-22T12:00:00.000Z"
    assert document["sentence"] == "no log holds it"
    assert b64decode(document["documents"]["chain-0"]) == b"chain"
    assert (folder.written, folder.unwritten) == (1, 0)


def test_evidence_that_comes_again_is_written_once_and_other_evidence_about_the_same_subject_beside_it(tmp_path: Path) -> None:
    folder = EvidenceFolder(tmp_path)
    for octets in (b"a list whose proof was late", b"a list that never had one", b"a list that never had one"):
        folder.keep(evidence(octets=octets), NOW)
    documents = [json.loads(path.read_text())["documents"]["chain-0"] for path in tmp_path.iterdir()]
    assert {b64decode(each) for each in documents} == {b"a list whose proof was late", b"a list that never had one"}
    assert folder.written == 2


def test_nobody_fills_the_folder_alone(tmp_path: Path) -> None:
    folder = EvidenceFolder(tmp_path)
    for number in range(MAX_FILES_OF_ONE + 5):
        folder.keep(evidence(octets=bytes((number,))), NOW)
    folder.keep(evidence("1122334455667788"), NOW)
    assert len(list(tmp_path.iterdir())) == MAX_FILES_OF_ONE + 1
    assert folder.unwritten == 5


def test_a_full_folder_keeps_what_it_has(tmp_path: Path) -> None:
    folder = EvidenceFolder(tmp_path)
    for number in range(MAX_EVIDENCE_FILES + 3):
        folder.keep(evidence(f"{number:016x}"), NOW)
    assert len(list(tmp_path.iterdir())) == MAX_EVIDENCE_FILES
    assert folder.unwritten == 3


def test_a_disk_that_fails_is_counted_and_hinders_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    folder = EvidenceFolder(tmp_path / "file")
    folder.keep(evidence(), Instant(MonotonicNs(0), None))
    assert folder.status() == {"written": 0, "unwritten": 1}
