"""A copy of a log is made while others append, says of itself that it is one, and is there complete or not at all."""

import stat
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from shared.core.errors import ConfigError, StorageError
from shared.service.leaf_index import INDEX_SUFFIX
from shared.service.log_backup import KEY_SUFFIX, Copy, back_up_log, check_entries, copy_marked
from shared.service.log_reader import open_log_reader
from shared.service.log_store import LogStore, load_or_create_log_key, open_log_store
from tests.helpers.faulty_sqlite import Faults
from tests.helpers.ledger import ORIGIN, log_signer

ENTRIES = [b"entry %d" % n for n in range(700)]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogStore]:
    with open_log_store(tmp_path / "log.db", log_signer()) as opened:
        opened.append(ENTRIES)
        yield opened


def test_a_copy_is_the_log_at_one_moment_and_takes_no_entries(tmp_path: Path, log: LogStore) -> None:
    log.publish(log.checkpoint_note)
    copied = back_up_log(tmp_path / "log.db", tmp_path / "copy.db")
    assert copied == Copy(origin=ORIGIN, tree_size=700, octets=(tmp_path / "copy.db").stat().st_size, has_key=False)
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    assert log.append([b"more"]) == (700,)
    with open_log_store(tmp_path / "copy.db", log_signer()) as copy:
        assert (copy.size, copy.stored_keys, copy.published_note) == (700, log.stored_keys, copy.checkpoint_note)
        for path in ("tile/entries/001", "tile/entries/002.p/188", "tile/0/000", "tile/0/002.p/188", "tile/1/000.p/2"):
            assert copy.read(path) == log.read(path)
        for entry in (b"more", ENTRIES[0]):
            with pytest.raises(StorageError, match="was put back from a backup"):
                copy.submit(entry)


def test_what_is_copied_while_another_program_appends_is_a_tree_the_log_signed(tmp_path: Path, log: LogStore) -> None:
    roots = {log.size: log.root_at(log.size)}
    copies: list[Copy] = []

    def copy() -> None:
        copies.extend(back_up_log(tmp_path / "log.db", tmp_path / f"copy {n}.db") for n in range(2))

    copying = Thread(target=copy)
    copying.start()
    while copying.is_alive() or len(roots) < 3:
        log.append([b"more %d %d" % (log.size, n) for n in range(50)])
        roots[log.size] = log.root_at(log.size)
    copying.join()
    assert len(copies) == 2
    for number, copied in enumerate(copies):
        with open_log_reader(tmp_path / f"copy {number}.db") as reader:
            assert reader.is_restored
            assert roots[copied.tree_size] == check_entries(reader, tmp_path).root


@pytest.mark.parametrize("persists", [False, True])
def test_a_copy_that_fails_at_any_statement_leaves_no_file_and_the_log_as_it_was(
    tmp_path: Path, log: LogStore, *, persists: bool
) -> None:
    faults = Faults()
    back_up_log(tmp_path / "log.db", tmp_path / "whole.db", connect=faults.connect())
    statements = len(faults.executed)
    assert "INSERT" in faults.executed
    failed = 0
    steps = range(0, statements, 4 if persists else 1)
    for step in steps:
        faults.arm(step, persists=persists)
        try:
            back_up_log(tmp_path / "log.db", tmp_path / "copy.db", connect=faults.connect())
        except StorageError:
            failed += 1
            assert not (tmp_path / "copy.db").exists()
        else:
            (tmp_path / "copy.db").unlink()
        assert not list(tmp_path.glob("copy.db*"))
    assert failed > len(steps) // 2
    assert log.append([b"more"]) == (700,)


def test_nothing_is_overwritten(tmp_path: Path, log: LogStore) -> None:
    del log
    (tmp_path / "copy.db").write_bytes(b"precious")
    with pytest.raises(StorageError, match="exists already"):
        back_up_log(tmp_path / "log.db", tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_bytes() == b"precious"


def test_the_key_is_copied_only_where_that_is_asked_for_and_into_a_file_of_its_own(tmp_path: Path, log: LogStore) -> None:
    del log
    key, to = tmp_path / "log.key", tmp_path / "copy.db"
    load_or_create_log_key(key)
    back_up_log(tmp_path / "log.db", tmp_path / "without.db")
    assert not (tmp_path / f"without.db{KEY_SUFFIX}").exists()
    assert back_up_log(tmp_path / "log.db", to, key=key).has_key
    beside = tmp_path / f"copy.db{KEY_SUFFIX}"
    assert beside.read_bytes() == key.read_bytes()
    assert stat.S_IMODE(beside.stat().st_mode) == 0o600
    key.chmod(0o640)
    with pytest.raises(ConfigError, match="open to others"):
        back_up_log(tmp_path / "log.db", tmp_path / "third.db", key=key)
    assert not (tmp_path / "third.db").exists()


def test_a_damaged_log_is_not_copied(tmp_path: Path, log: LogStore) -> None:
    damaged = log.read("tile/entries/001").replace(b"entry 300", b"entry 301")
    with log._connection as connection:
        connection.execute("UPDATE bundle SET entries = ? WHERE number = 1", (damaged,))
    with pytest.raises(StorageError, match="do not make the tree of 700 entries that it signed"):
        back_up_log(tmp_path / "log.db", tmp_path / "copy.db")
    assert not list(tmp_path.glob("copy.db*"))


def test_a_copy_of_a_copy_and_of_a_copy_by_hand_is_marked(tmp_path: Path, log: LogStore) -> None:
    log.close()
    by_hand = tmp_path / "by hand.db"
    by_hand.write_bytes((tmp_path / "log.db").read_bytes())
    copy_marked(by_hand, tmp_path / "first.db")
    copy_marked(tmp_path / "first.db", tmp_path / "second.db")
    assert not (tmp_path / f"second.db{INDEX_SUFFIX}").exists()
    with open_log_store(tmp_path / "second.db", log_signer()) as store:
        assert store.is_restored
