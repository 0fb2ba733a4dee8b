"""The embedded ledger: what it serves, what it survives, what it refuses to open."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from shared.core.errors import ConfigError, EncodeError, StorageError, TransportError
from shared.ledger.checkpoint import parse_checkpoint
from shared.ledger.light_client import LightClient
from shared.ledger.merkle import leaf_hash
from shared.ledger.note import parse_note
from shared.ledger.tiles import CHECKPOINT_PATH, EntryBundle, Tile, decode_bundle
from shared.ledger.verify import Included
from shared.service.log_store import LogStore, load_or_create_log_key, open_log_store
from tests.helpers.faulty_sqlite import Faults
from tests.helpers.ledger import ORIGIN, log_signer, naive_root, policy_of

SIGNER = log_signer()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LogStore]:
    opened = open_log_store(tmp_path / "log.db", SIGNER)
    yield opened
    opened.close()


def checkpoint_of(store: LogStore) -> tuple[int, bytes]:
    checkpoint = parse_checkpoint(parse_note(store.read(CHECKPOINT_PATH)).body)
    return checkpoint.tree_size, checkpoint.root


def proven(store: LogStore, entries: list[bytes]) -> None:
    """Have a light client prove that every entry is there at its place."""
    client = LightClient(origin=ORIGIN, policy=policy_of(), trusted_note=None)
    for index, entry in enumerate(entries):
        client.prove(entry, index)
    shown = 0
    while client.waiting:
        client.begin()
        while wanted := client.wants():
            for path in wanted:
                shown += sum(isinstance(event, Included) for event in client.give(path, store.read(path)))
    assert shown == len(entries)


def test_a_new_log_is_empty_and_signed(store: LogStore) -> None:
    assert checkpoint_of(store) == (0, naive_root([]))
    assert store.size == 0
    assert store.origin == ORIGIN


def test_entries_get_indexes_and_proofs(store: LogStore) -> None:
    entries = [b"entry %d" % n for n in range(600)]
    assert store.append(entries[:300]) == tuple(range(300))
    assert store.submit(entries[300]) == 300
    assert store.append(entries[301:]) == tuple(range(301, 600))
    assert checkpoint_of(store) == (600, naive_root(entries))
    proven(store, entries)


def test_a_known_entry_keeps_its_first_index(store: LogStore) -> None:
    assert store.append((b"a", b"b", b"a", b"c", b"b")) == (0, 1, 0, 2, 1)
    note = store.checkpoint_note
    assert store.append((b"c", b"a")) == (2, 0)
    assert store.submit(b"b") == 1
    assert store.checkpoint_note == note
    assert store.append(()) == ()


def test_it_serves_tiles_and_bundles_of_every_size_there_was(store: LogStore) -> None:
    entries = [b"%d" % n for n in range(300)]
    store.append(entries)
    for width in (1, 44):
        assert store.read(Tile(0, 1, width).path) == b"".join(map(leaf_hash, entries[256 : 256 + width]))
        assert decode_bundle(EntryBundle(1, width), store.read(EntryBundle(1, width).path)) == tuple(entries[256 : 256 + width])
    assert len(store.read("tile/0/000")) == 8192
    assert store.read("tile/1/000.p/1") == naive_root(entries[:256])
    for absent in (
        "tile/0/001.p/45",
        "tile/0/001",
        "tile/0/002.p/1",
        "tile/2/000.p/1",
        "tile/entries/001.p/45",
        "nonsense",
        "tile/entries/002",
    ):
        with pytest.raises(TransportError):
            store.read(absent)


def test_what_cannot_be_an_entry_is_refused(store: LogStore) -> None:
    with pytest.raises(EncodeError):
        store.submit(bytes(65_536))
    with pytest.raises(EncodeError):
        store.append([b"%d" % n for n in range(5_000)])
    assert store.size == 0


def test_a_log_is_the_same_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    entries: list[bytes] = []
    for n in range(6):
        store = open_log_store(path, SIGNER)
        assert checkpoint_of(store) == (len(entries), naive_root(entries))
        more = [b"%d/%d" % (n, k) for k in range(100)]
        store.append(more)
        entries += more
        store.close()
    store = open_log_store(path, SIGNER)
    proven(store, entries)
    store.close()


def test_another_key_does_not_open_a_log(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    open_log_store(path, SIGNER).close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="belongs to the log key"):
        open_log_store(path, log_signer("other.example"))
    assert path.read_bytes() == before


def filled(path: Path) -> bytes:
    store = open_log_store(path, SIGNER)
    store.append([b"entry %d" % n for n in range(700)])
    store.close()
    assert not path.with_name(path.name + "-wal").exists()
    return path.read_bytes()


def test_a_file_cut_at_any_length_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    whole = filled(path)
    lengths = {0, 1, 15, 16, 50, 99, 100, 1024, 4095, 4096, 4097, 8192, len(whole) // 2, len(whole) - 4096, len(whole) - 1}
    for length in sorted(lengths):
        path.write_bytes(whole[:length])
        with pytest.raises(StorageError, match="cut short") as caught:
            open_log_store(path, SIGNER)
        assert str(path) in str(caught.value)
        assert path.read_bytes() == whole[:length]
    path.write_bytes(whole)
    store = open_log_store(path, SIGNER)
    assert store.size == 700
    store.close()


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to have a header's length" * 4, b"PK\x03\x04", b"{}"])
def test_a_foreign_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log.db"
    path.write_bytes(content)
    with pytest.raises(StorageError, match="not a"):
        open_log_store(path, SIGNER)
    assert path.read_bytes() == content


def test_a_database_of_another_program_or_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(StorageError, match="another program"):
        open_log_store(path, SIGNER)
    path.unlink()
    filled(path)
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA user_version = 9")
    raw.close()
    with pytest.raises(StorageError, match="format 9"):
        open_log_store(path, SIGNER)
    with pytest.raises(StorageError, match="not a file"):
        open_log_store(tmp_path, SIGNER)


def test_bytes_after_the_end_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    whole = filled(path)
    path.write_bytes(whole + b"x" * 10)
    with pytest.raises(StorageError, match="after its end"):
        open_log_store(path, SIGNER)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM tail",
        "DELETE FROM bundle WHERE number = 1",
        "UPDATE tail SET entries = substr(entries, 1, length(entries) - 1)",
        "UPDATE tail SET entries = zeroblob(length(entries))",
        "UPDATE head SET size = 699",
        "UPDATE head SET note = (SELECT note FROM head) || x'0a'",
        "DELETE FROM head",
        "DELETE FROM key",
        "DELETE FROM identity",
        "DELETE FROM edge WHERE level = 1",
        "UPDATE edge SET hashes = substr(hashes, 1, 32)",
        "UPDATE edge SET hashes = zeroblob(length(hashes))",
    ],
)
def test_content_that_does_not_make_the_signed_tree_is_refused(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "log.db"
    filled(path)
    raw = sqlite3.connect(path)
    raw.execute(statement)
    raw.commit()
    raw.close()
    with pytest.raises(StorageError):
        open_log_store(path, SIGNER)


def test_overwritten_pages_never_change_what_is_served(tmp_path: Path) -> None:
    """Zeroed pages are noticed at opening, or lie where nothing signed depends on them unnoticed by a client."""
    path = tmp_path / "log.db"
    whole = filled(path)
    noticed = 0
    for page in range(1, len(whole) // 4096, 3):
        path.write_bytes(whole[: page * 4096] + bytes(4096) + whole[(page + 1) * 4096 :])
        try:
            open_log_store(path, SIGNER).close()
        except StorageError:
            noticed += 1
    assert noticed >= len(whole) // 4096 // 3 - 2


def test_every_fault_in_every_step_leaves_a_log_that_is_whole(tmp_path: Path) -> None:
    """Each statement of an append fails, once without effect and once with; the same append is then simply repeated."""
    batch = (b"new 1", b"new 2")
    steps = 0
    for persists in (False, True):
        step = 0
        while True:
            path = tmp_path / f"{persists}-{step}.db"
            faults = Faults()
            store = open_log_store(path, SIGNER, faults.connect())
            store.append([b"old %d" % n for n in range(255)])
            before = store.checkpoint_note
            faults.arm(step, persists=persists)
            try:
                assert store.append(batch) == (255, 256)
                fell = False
            except StorageError:
                fell = True
            reached = len(faults.executed) > step
            faults.arm(None, persists=False)
            after = checkpoint_of(store)[0]
            assert after in (255, 257)
            if fell and after == 255:
                assert store.checkpoint_note == before
            assert store.append(batch) == (255, 256)
            store.close()
            again = open_log_store(path, SIGNER)
            entries = [b"old %d" % n for n in range(255)] + list(batch)
            assert checkpoint_of(again) == (257, naive_root(entries))
            again.close()
            if not reached:
                break
            assert fell
            step += 1
            steps += 1
    assert steps >= 14


def test_a_commit_that_held_but_was_not_heard_of_is_not_forgotten(tmp_path: Path) -> None:
    faults = Faults()
    store = open_log_store(tmp_path / "log.db", SIGNER, faults.connect())
    faults.arm(None, persists=False)
    store.append((b"one",))
    commit = faults.executed.index("COMMIT")
    faults.arm(commit, persists=True)
    with pytest.raises(StorageError):
        store.append((b"two",))
    faults.arm(None, persists=False)
    assert store.size == 2
    assert store.submit(b"two") == 1
    assert store.submit(b"three") == 2
    store.close()


def test_a_log_is_read_as_of_one_moment_though_another_program_appends_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with closing(open_log_store(path, SIGNER)) as writer:
        writer.submit(b"first")

        class Interrupted(sqlite3.Connection):
            def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
                if sql.startswith("SELECT entries FROM tail"):
                    writer.submit(b"second")
                return super().execute(sql, parameters)

        def connect(uri: str) -> sqlite3.Connection:
            return sqlite3.connect(uri, uri=True, isolation_level=None, factory=Interrupted)

        with closing(open_log_store(path, SIGNER, connect)) as reader:
            assert reader.size == 1
            reader.refresh()
            assert reader.size == 2


def test_two_writers_cannot_fork_a_log(tmp_path: Path) -> None:
    a = open_log_store(tmp_path / "log.db", SIGNER)
    b = open_log_store(tmp_path / "log.db", SIGNER)
    a.submit(b"by a")
    with pytest.raises(StorageError, match="same time"):
        b.submit(b"by b")
    assert b.submit(b"by b") == 1
    with pytest.raises(StorageError):
        a.submit(b"by a again")
    assert a.submit(b"by a again") == 2
    assert checkpoint_of(a) == checkpoint_of(b) == (3, naive_root([b"by a", b"by b", b"by a again"]))
    a.close()
    b.close()


KILLED = """
import os, sys
from pathlib import Path
from shared.service.log_store import open_log_store
from tests.helpers.ledger import log_signer
store = open_log_store(Path(sys.argv[1]), log_signer())
n = store.size
while True:
    print(store.submit(b"entry %d" % n), flush=True)
    n += 1
"""


def test_a_log_killed_while_it_writes_has_all_it_ever_answered(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    answered = -1
    for after in (3, 17, 40):
        with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True) as program:
            assert program.stdout is not None
            for _ in range(after):
                answered = int(program.stdout.readline())
            os.kill(program.pid, signal.SIGKILL)
        store = open_log_store(path, SIGNER)
        assert store.size > answered
        entries = [b"entry %d" % n for n in range(store.size)]
        assert checkpoint_of(store) == (len(entries), naive_root(entries))
        store.close()


def test_a_copy_taken_while_the_write_ahead_log_is_full_opens(tmp_path: Path) -> None:
    """The file alone, as a hurried backup takes it, and the file with its write-ahead log."""
    path = tmp_path / "log.db"
    store = open_log_store(path, SIGNER)
    store.append([b"%d" % n for n in range(400)])
    for name in ("log.db", "log.db-wal"):
        shutil.copy(tmp_path / name, tmp_path / name.replace("log", "copy"))
    copy = open_log_store(tmp_path / "copy.db", SIGNER)
    assert copy.size == 400
    copy.close()
    store.close()


def test_a_key_file_is_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "log.pem"
    key = load_or_create_log_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_or_create_log_key(path).private_bytes_raw() == key.private_bytes_raw()
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="others may read"):
        load_or_create_log_key(path)
    path.chmod(0o600)
    path.write_bytes(b"no key")
    with pytest.raises(StorageError, match="no unencrypted PKCS#8 private key"):
        load_or_create_log_key(path)


def test_a_schema_that_is_no_longer_text_is_damage_like_any_other(tmp_path: Path) -> None:
    open_log_store(tmp_path / "log.db", SIGNER).close()
    whole = (tmp_path / "log.db").read_bytes()
    assert whole.count(b"CREATE TABLE bundle") == 1
    (tmp_path / "log.db").write_bytes(whole.replace(b"CREATE TABLE bundle", b"CREATE \x95ABLE bundle"))
    with pytest.raises(StorageError, match="is damaged"):
        open_log_store(tmp_path / "log.db", SIGNER)
