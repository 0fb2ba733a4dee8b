"""A log of the first format becomes one of the second: whole or not at all, and with nothing lost."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shared.core.errors import StorageError
from shared.ledger.checkpoint import Checkpoint, parse_checkpoint
from shared.ledger.merkle import leaf_hash
from shared.ledger.note import parse_note, sign_note
from shared.ledger.tree import EMPTY_TREE
from shared.service.database import DatabaseFormat, create_database
from shared.service.log_reader import open_log_reader
from shared.service.log_store import open_log_store
from tests.helpers.faulty_sqlite import Faults
from tests.helpers.ledger import ORIGIN, log_signer, naive_root

SIGNER = log_signer()

FIRST = DatabaseFormat(
    name="v2x-trust ledger",
    application_id=0x7632_786C,
    version=1,
    schema="""
        CREATE TABLE identity (id INTEGER PRIMARY KEY CHECK (id = 1), vkey TEXT NOT NULL);
        CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER NOT NULL, note BLOB NOT NULL);
        CREATE TABLE entry (number INTEGER PRIMARY KEY, leaf BLOB NOT NULL UNIQUE, data BLOB NOT NULL);
        CREATE TABLE tile (level INTEGER NOT NULL, number INTEGER NOT NULL, hashes BLOB NOT NULL, PRIMARY KEY (level, number))
    """,
)


def write_first_format(path: Path, entries: list[bytes]) -> bytes:
    """Write a log as the first version wrote it, and return its checkpoint."""
    update = EMPTY_TREE.extended(map(leaf_hash, entries))
    note = sign_note(Checkpoint(origin=ORIGIN, tree_size=update.tree.size, root=update.tree.root).encode(), SIGNER)
    rows: Iterator[tuple[str, tuple[object, ...]]] = iter(
        [
            ("INSERT INTO identity VALUES (1, ?)", (SIGNER.key.text,)),
            ("INSERT INTO head VALUES (1, ?, ?)", (len(entries), note)),
            *(("INSERT INTO entry VALUES (?, ?, ?)", (n, leaf_hash(entry), entry)) for n, entry in enumerate(entries)),
            *(("INSERT INTO tile VALUES (?, ?, ?)", (*key, hashes)) for key, hashes in update.tiles.items()),
        ]
    )
    create_database(path, FIRST, rows=tuple(rows))
    return note


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 700, 1024])
def test_a_log_of_the_first_format_goes_on_with_its_very_checkpoint(tmp_path: Path, size: int) -> None:
    path = tmp_path / "log.db"
    entries = [b"entry %d" % n for n in range(size)]
    note = write_first_format(path, entries)
    with closing(open_log_store(path, SIGNER)) as store:
        assert store.checkpoint_note == note
        assert store.append(entries) == tuple(range(size))
        assert store.checkpoint_note == note
        more = [b"more %d" % n for n in range(300)]
        assert store.append(more) == tuple(range(size, size + 300))
        assert parse_checkpoint(parse_note(store.checkpoint_note).body).root == naive_root(entries + more)
    with closing(open_log_reader(path)) as reader:
        assert reader.stored_size == size + 300
        assert reader.newest() == b"more 299"


def test_a_failing_disk_leaves_the_first_format_or_makes_the_second(tmp_path: Path) -> None:
    """Every statement of the rewriting fails, once without effect and once with; then the log is opened as if nothing had been."""
    entries = [b"entry %d" % n for n in range(600)]
    note = write_first_format(tmp_path / "first.db", entries)
    steps = 0
    for persists in (False, True):
        step = 0
        while True:
            path = tmp_path / f"{persists}-{step}.db"
            shutil.copy(tmp_path / "first.db", path)
            faults = Faults()
            connect = faults.connect()
            faults.arm(step, persists=persists)
            try:
                open_log_store(path, SIGNER, connect).close()
                fell = False
            except StorageError:
                fell = True
            reached = len(faults.executed) > step
            with closing(open_log_store(path, SIGNER)) as store:
                assert store.checkpoint_note == note
                assert store.append(entries[590:]) == tuple(range(590, 600))
            if not reached:
                assert not fell
                break
            step += 1
            steps += 1
    assert steps >= 60


@pytest.mark.parametrize("damage", ["DELETE FROM entry WHERE number = 5", "DELETE FROM identity", "UPDATE entry SET data = 'text'"])
def test_a_damaged_log_of_the_first_format_is_left_as_it_is(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "log.db"
    write_first_format(path, [b"entry %d" % n for n in range(300)])
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(damage)
        raw.commit()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="damaged"):
        open_log_store(path, SIGNER)
    assert path.read_bytes() == before
    with pytest.raises(StorageError, match="format 1"):
        open_log_reader(path)
