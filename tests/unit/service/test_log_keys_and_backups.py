"""A log changes its key, comes back from a backup, and is read beside whoever appends to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.core.errors import ConfigError, ProofError, StorageError
from shared.ledger.checkpoint import parse_checkpoint
from shared.ledger.merkle import verify_consistency
from shared.ledger.note import Ed25519NoteSigner, parse_note
from shared.ledger.policy import Policy, parse_policy
from shared.ledger.verify import verify_signed
from shared.service.log_reader import open_log_reader
from shared.service.log_store import LogStore, open_log_store
from tests.helpers.ledger import ORIGIN, ed25519_key, log_signer

OLD, NEW = log_signer(), Ed25519NoteSigner(ORIGIN, ed25519_key("the next key"))
ENTRIES = [b"entry %d" % n for n in range(600)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def log(path: Path) -> Iterator[LogStore]:
    opened = open_log_store(path, OLD)
    yield opened
    opened.close()


def policy_with(*signers: Ed25519NoteSigner) -> Policy:
    return parse_policy(("\n".join([*(f"log {signer.key.text}" for signer in signers), "quorum none"]) + "\n").encode())


def size_of(note: bytes) -> int:
    return parse_checkpoint(parse_note(note).body).tree_size


class TestKeys:
    def test_while_the_key_changes_readers_of_either_key_believe_the_log(self, path: Path) -> None:
        store = open_log_store(path, OLD)
        store.append(ENTRIES[:3])
        store.close()
        store = open_log_store(path, OLD, next_signer=NEW)
        for count in (3, 5):  # the tree it had, signed anew, and the next one
            store.append(ENTRIES[:count])
            for policy in (policy_with(OLD), policy_with(NEW), policy_with(OLD, NEW)):
                assert verify_signed(store.checkpoint_note, policy).checkpoint.tree_size == count
        store.close()
        store = open_log_store(path, NEW)
        assert verify_signed(store.checkpoint_note, policy_with(NEW)).checkpoint.tree_size == 5
        with pytest.raises(ProofError):
            verify_signed(store.checkpoint_note, policy_with(OLD))
        assert store.submit(ENTRIES[0]) == 0
        store.close()

    def test_a_key_the_log_never_had_does_not_open_it(self, path: Path, log: LogStore) -> None:
        log.append(ENTRIES[:3])
        before = log.checkpoint_note
        with pytest.raises(StorageError, match="belongs to the log key"):
            open_log_store(path, NEW)
        assert log.checkpoint_note == before

    def test_two_keys_have_one_name(self, path: Path) -> None:
        with pytest.raises(ConfigError, match="have one name"):
            open_log_store(path, OLD, next_signer=log_signer("other.example/log"))
        assert not path.exists()


class TestBackups:
    def test_a_log_that_was_put_back_signs_nothing_until_it_may(self, path: Path, log: LogStore) -> None:
        log.append(ENTRIES[:3])
        log.mark_restored(is_restored=True)
        with pytest.raises(StorageError, match="was put back from a backup"):
            log.append(ENTRIES[3:4])
        log.close()
        again = open_log_store(path, OLD)
        with pytest.raises(StorageError, match="was put back from a backup"):
            again.submit(ENTRIES[3])
        assert again.size == 3
        again.mark_restored(is_restored=False)
        assert again.submit(ENTRIES[3]) == 3
        again.close()

    def test_it_takes_exactly_what_it_had_signed(self, tmp_path: Path, log: LogStore) -> None:
        log.append(ENTRIES)
        restored = open_log_store(tmp_path / "restored.db", OLD)
        restored.append(ENTRIES[:10])
        restored.mark_restored(is_restored=True)
        restored.adopt(iter(ENTRIES[10:]), log.checkpoint_note)
        assert restored.checkpoint_note == log.checkpoint_note
        restored.mark_restored(is_restored=False)
        assert restored.append([b"new", ENTRIES[20]]) == (len(ENTRIES), 20)
        restored.close()

    @pytest.mark.parametrize("change", ["short", "long", "other", "shifted", "none"])
    def test_anything_else_is_refused_and_nothing_is_added(self, tmp_path: Path, log: LogStore, change: str) -> None:
        log.append(ENTRIES)
        rest = {
            "short": ENTRIES[10:-1],
            "long": [*ENTRIES[10:], b"more"],
            "other": [*ENTRIES[10:-1], b"other"],
            "shifted": ENTRIES[11:],
            "none": [],
        }[change]
        restored = open_log_store(tmp_path / "restored.db", OLD)
        restored.append(ENTRIES[:10])
        before = restored.checkpoint_note
        with pytest.raises(ProofError, match="does not make the tree"):
            restored.adopt(iter(rest), log.checkpoint_note)
        assert (restored.size, restored.checkpoint_note) == (10, before)
        restored.adopt(iter(ENTRIES[10:]), log.checkpoint_note)
        assert restored.size == len(ENTRIES)
        restored.close()

    @pytest.mark.parametrize("signer", [log_signer("other.example/log"), NEW])
    def test_a_checkpoint_of_somebody_else_moves_nothing(self, tmp_path: Path, log: LogStore, signer: Ed25519NoteSigner) -> None:
        foreign = open_log_store(tmp_path / "foreign.db", signer)
        foreign.append(ENTRIES[:5])
        with pytest.raises(ProofError):
            log.adopt(iter(ENTRIES[:5]), foreign.checkpoint_note)
        assert log.size == 0
        foreign.close()


class TestReading:
    def test_a_reader_of_its_own_sees_what_is_committed_and_proves_it(self, path: Path, log: LogStore) -> None:
        reader = open_log_reader(path)
        sizes, before = (1, 255, 256, 257, 300, 600), 0
        for size in sizes:
            log.append(ENTRIES[before:size])
            before = size
            assert size_of(reader.checkpoint_note) == size
            assert reader.read("tile/entries/000" if size >= 256 else f"tile/entries/000.p/{size}")
        for old in sizes:
            for new in sizes[sizes.index(old) :]:
                proof = reader.consistency(old, new) if old < new else ()
                verify_consistency(old, reader.root_at(old), new, reader.root_at(new), proof)
        reader.close()

    def test_what_was_published_is_kept(self, path: Path, log: LogStore) -> None:
        reader = open_log_reader(path)
        log.append(ENTRIES[:3])
        log.publish(log.checkpoint_note)
        published = log.checkpoint_note
        log.append(ENTRIES[3:5])
        assert reader.checkpoint_note != published
        assert reader.published_note == published
        log.close()
        again = open_log_store(path, OLD)
        assert again.published_note == published
        again.close()
        reader.close()
