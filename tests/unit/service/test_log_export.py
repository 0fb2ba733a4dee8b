"""A log is written into a folder as static files: whole, piece by piece, again after every cut, and never another history."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.core.errors import StorageError
from shared.ledger.note import Ed25519NoteSigner
from shared.ledger.tiles import CHECKPOINT_PATH
from shared.operator.auditor import AuditReport, audit_log
from shared.operator.auditor_source import DirectorySource
from shared.service.log_export import Export, export_log, write_whole
from shared.service.log_reader import LogReader, open_log_reader
from shared.service.log_store import MAX_BATCH_ENTRIES, LogStore, open_log_store
from tests.helpers.ledger import ORIGIN, ed25519_key, log_signer, policy_of

ENTRIES = [b"entry %d" % n for n in range(1_100)]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogStore]:
    with open_log_store(tmp_path / "log.db", log_signer()) as opened:
        yield opened


@pytest.fixture
def reader(tmp_path: Path, log: LogStore) -> Iterator[LogReader]:
    del log  # is open
    with open_log_reader(tmp_path / "log.db") as opened:
        yield opened


def audited(folder: Path) -> AuditReport:
    report, _ = asyncio.run(audit_log(DirectorySource(folder), policy_of(), state=None))
    return report


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def put(files: dict[str, bytes], folder: Path) -> None:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def append(log: LogStore, size: int) -> None:
    log.append(ENTRIES[log.size : size])


class FailingDisk:
    """Fails at one file: before it is touched, in the middle, or when it is written and not yet in its place."""

    def __init__(self, fail_at: int | None, how: str = "before") -> None:
        self.fail_at, self.how, self.files = fail_at, how, 0

    def __call__(self, path: Path, unfinished: Path, data: bytes) -> None:
        number, self.files = self.files, self.files + 1
        if number == self.fail_at:
            if self.how != "before":
                unfinished.write_bytes(data if self.how == "unmoved" else data[: len(data) // 2])
            raise OSError(28, "No space left on device")
        write_whole(path, unfinished, data)


def test_an_export_of_ten_thousand_entries_is_audited_without_a_finding(tmp_path: Path, log: LogStore, reader: LogReader) -> None:
    entries = [b"%d" % n for n in range(10_000)]
    for first in range(0, len(entries), MAX_BATCH_ENTRIES):
        log.append(entries[first : first + MAX_BATCH_ENTRIES])
    done = export_log(reader, tmp_path / "out")
    assert (done.old_size, done.tree_size, done.removed) == (0, 10_000, 0)
    assert done.written == len(files_of(tmp_path / "out")) == 40 + 40 + 1 + 1
    report = audited(tmp_path / "out")
    assert report.is_sound
    assert (report.tree_size, report.entries, report.tiles) == (10_000, 10_000, 41)


def test_the_folder_one_is_in_is_exported_to_like_any_other(
    tmp_path: Path, log: LogStore, reader: LogReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(log, 3)
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    assert export_log(reader, Path()).tree_size == 3
    assert "checkpoint" in files_of(tmp_path / "out")


def test_two_exports_do_not_write_into_one_folder_at_a_time(tmp_path: Path, log: LogStore, reader: LogReader) -> None:
    refused: list[str] = []

    def write(path: Path, unfinished: Path, data: bytes) -> None:
        with pytest.raises(StorageError, match="is being written by another export") as caught:
            export_log(reader, tmp_path / "out")
        refused.append(caught.value.path)
        write_whole(path, unfinished, data)

    append(log, 3)
    done = export_log(reader, tmp_path / "out", write=write)
    assert refused == [str(tmp_path / "out")] * done.written
    assert export_log(reader, tmp_path / "out").written == 0


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 512, 1_100])
def test_a_folder_has_exactly_the_files_of_its_tree(tmp_path: Path, log: LogStore, reader: LogReader, size: int) -> None:
    append(log, size)
    export_log(reader, tmp_path / "out")
    assert audited(tmp_path / "out").is_sound
    wanted = {CHECKPOINT_PATH}
    for level in ("entries", "0"):
        wanted |= {f"tile/{level}/{n:03d}" for n in range(size // 256)}
        wanted |= {f"tile/{level}/{size // 256:03d}.p/{size % 256}"} if size % 256 else set()
    wanted |= {f"tile/1/000.p/{size // 256}"} if size >= 256 else set()
    assert set(files_of(tmp_path / "out")) == wanted


def test_a_second_export_writes_what_is_new_and_touches_no_full_tile(tmp_path: Path, log: LogStore, reader: LogReader) -> None:
    out = tmp_path / "out"
    append(log, 600)
    export_log(reader, out)
    full = {path: (out / path).stat() for path in files_of(out) if ".p/" not in path and path != CHECKPOINT_PATH}
    append(log, 1_100)
    done = export_log(reader, out)
    assert (done.old_size, done.tree_size, done.removed) == (600, 1_100, 2)
    for path, stat in full.items():
        assert ((out / path).stat().st_ino, (out / path).stat().st_mtime_ns) == (stat.st_ino, stat.st_mtime_ns)
    export_log(reader, tmp_path / "at once")
    once, twice = files_of(tmp_path / "at once"), files_of(out)
    assert set(twice) - set(once) == {"tile/1/000.p/2"}
    assert all(twice[path] == data for path, data in once.items())
    assert export_log(reader, out) == Export(origin=ORIGIN, old_size=1_100, tree_size=1_100, written=0, kept=4, removed=0)


def test_the_note_that_was_published_is_exported_not_a_newer_one(tmp_path: Path, log: LogStore, reader: LogReader) -> None:
    append(log, 300)
    published = log.checkpoint_note
    log.publish(published)
    append(log, 700)
    assert export_log(reader, tmp_path / "out").tree_size == 300
    assert files_of(tmp_path / "out")[CHECKPOINT_PATH] == published
    assert audited(tmp_path / "out").is_sound


@pytest.mark.parametrize("how", ["before", "half", "unmoved"])
def test_an_export_cut_at_any_file_leaves_the_former_log_and_is_resumed(
    tmp_path: Path, log: LogStore, reader: LogReader, how: str
) -> None:
    append(log, 300)
    export_log(reader, tmp_path / "former")
    former = files_of(tmp_path / "former")
    append(log, 900)
    files = FailingDisk(None)
    put(former, tmp_path / "whole")
    export_log(reader, tmp_path / "whole", write=files)
    for cut in range(files.files):
        out = tmp_path / f"cut {cut}"
        put(former, out)
        with pytest.raises(StorageError, match="No space left on device"):
            export_log(reader, out, write=FailingDisk(cut, how))
        assert (out / CHECKPOINT_PATH).read_bytes() == former[CHECKPOINT_PATH]
        assert audited(out).is_sound
        done = export_log(reader, out)
        assert (done.tree_size, done.written, done.kept) == (900, files.files - cut, cut)
        assert files_of(out) == files_of(tmp_path / "whole")
    assert audited(tmp_path / "whole").tree_size == 900


def test_a_file_that_is_gone_or_damaged_is_found_by_an_audit_and_put_right_by_a_full_export(
    tmp_path: Path, log: LogStore, reader: LogReader
) -> None:
    append(log, 600)
    out = tmp_path / "out"
    export_log(reader, out)
    sound = files_of(out)
    (out / "tile/entries/000").unlink()
    (out / "tile/0/001").write_bytes(bytes(8_192))
    assert not audited(out).is_sound
    assert export_log(reader, out).written == 0
    done = export_log(reader, out, is_full=True)
    assert (done.written, done.kept) == (2, len(sound) - 2)
    assert files_of(out) == sound
    assert audited(out).is_sound


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("longer", "put back from an older copy"),
        ("forked", "another history"),
        ("foreign", "is of the log other.example/log"),
        ("nonsense", "is no checkpoint"),
    ],
)
def test_a_folder_of_another_history_is_left_as_it_is(
    tmp_path: Path, log: LogStore, reader: LogReader, change: str, sentence: str
) -> None:
    append(log, 300)
    signer = log_signer("other.example/log") if change == "foreign" else log_signer()
    out = tmp_path / "out"
    with open_log_store(tmp_path / "other.db", signer) as other, open_log_reader(tmp_path / "other.db") as other_reader:
        other.append(ENTRIES[:400] if change == "longer" else [b"another", *ENTRIES[1:200]])
        export_log(other_reader, out)
    if change == "nonsense":
        (out / CHECKPOINT_PATH).write_bytes(b"hello\n")
    before = files_of(out)
    with pytest.raises(StorageError, match=sentence):
        export_log(reader, out)
    assert files_of(out) == before


def test_a_log_damaged_within_is_not_handed_on(tmp_path: Path, log: LogStore, reader: LogReader) -> None:
    append(log, 600)
    damaged = log.read("tile/entries/001").replace(b"entry 300", b"entry 301")
    with log._connection as connection:
        connection.execute("UPDATE bundle SET entries = ? WHERE number = 1", (damaged,))
    with pytest.raises(StorageError, match="its entries are not those of its tile"):
        export_log(reader, tmp_path / "out")
    assert CHECKPOINT_PATH not in files_of(tmp_path / "out")


def test_a_note_of_another_key_is_not_handed_on(tmp_path: Path, log: LogStore, reader: LogReader) -> None:
    with open_log_store(tmp_path / "other.db", Ed25519NoteSigner(ORIGIN, ed25519_key("stolen"))) as other:
        log.publish(other.checkpoint_note)
    with pytest.raises(StorageError, match="is not signed by"):
        export_log(reader, tmp_path / "out")
