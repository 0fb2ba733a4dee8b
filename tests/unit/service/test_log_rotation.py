"""A log changes its key in two steps, each of which may be done again, and neither of which leaves readers without a key."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.core.errors import ConfigError, StorageError
from shared.ledger.note import Ed25519NoteSigner, VerifierKey
from shared.ledger.policy import Policy, parse_policy
from shared.ledger.verify import verify_signed
from shared.operator.log_node_files import open_log_signers
from shared.service.log_reader import open_log_reader
from shared.service.log_rotation import TAKEN, begin_rotation, finish_rotation, next_key_path, old_key_path, rotation_of
from shared.service.log_store import LogStore, load_or_create_log_key, open_log_store
from shared.service.state_lock import locked
from tests.helpers.ledger import ORIGIN

ENTRIES = [b"entry %d" % n for n in range(9)]


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    store, key = tmp_path / "log.sqlite", tmp_path / "log.key"
    with opened(store, key) as log:
        log.append(ENTRIES[:3])
        log.publish(log.checkpoint_note)
    return store, key


@pytest.fixture
def running(paths: tuple[Path, Path]) -> Iterator[None]:
    with locked(paths[0]):
        yield


def opened(store: Path, key: Path) -> LogStore:
    """Open a log with the keys that its node takes at its start."""
    signers = open_log_signers(store, key, ORIGIN, is_new=False)
    return open_log_store(store, signers[0], next_signer=signers[1] if len(signers) > 1 else None)


def policy_with(*keys: VerifierKey | None) -> Policy:
    return parse_policy(("".join(f"log {key.text}\n" for key in keys if key is not None) + "quorum none\n").encode())


def publish(store: Path, key: Path) -> None:
    with opened(store, key) as log:
        log.publish(log.checkpoint_note)


def is_read_by(store: Path, *keys: VerifierKey | None) -> bool:
    """Whether each reader of one key alone believes what is handed out."""
    with open_log_reader(store) as reader:
        assert reader.published_note is not None
        for key in keys:
            verify_signed(reader.published_note, policy_with(key))
    return True


def test_a_whole_change_of_the_key(paths: tuple[Path, Path]) -> None:
    store, key = paths
    first = rotation_of(store, key).key
    begun, is_running = begin_rotation(store, key)
    assert not is_running
    assert (begun.key, begun.signing, begun.published) == (first, (first, begun.following), (first,))
    assert stat.S_IMODE(next_key_path(key).stat().st_mode) == 0o600
    assert begin_rotation(store, key)[0] == begun
    with pytest.raises(ConfigError, match="has not signed what was handed out last"):
        finish_rotation(store, key)
    publish(store, key)
    assert is_read_by(store, first, begun.following)
    done, old = finish_rotation(store, key)
    assert (done.key, done.following, done.signing) == (begun.following, None, (begun.following,))
    assert is_read_by(store, first, done.key)
    assert old == old_key_path(key, first)
    assert Ed25519NoteSigner(ORIGIN, load_or_create_log_key(old)).key == first
    publish(store, key)
    assert rotation_of(store, key).published == (done.key,)
    with opened(store, key) as log:
        assert log.append(ENTRIES[:4]) == (0, 1, 2, 3)
    again, _ = begin_rotation(store, key)
    assert again.following not in (first, done.key, None)


@pytest.mark.usefixtures("running")
def test_beside_a_running_node_the_next_key_is_made_and_the_node_signs_with_both_after_its_next_start(
    paths: tuple[Path, Path],
) -> None:
    store, key = paths
    before = store.read_bytes()
    begun, is_running = begin_rotation(store, key)
    assert is_running
    assert begun.following is not None
    assert not begun.is_signed_with_both
    assert store.read_bytes() == before
    with pytest.raises(StorageError, match=f"{TAKEN}; stop it first"):
        finish_rotation(store, key)
    publish(store, key)
    assert rotation_of(store, key).is_signed_with_both
    assert begin_rotation(store, key) == (rotation_of(store, key), False)


def test_finishing_cut_short_between_its_steps_is_finished_later(paths: tuple[Path, Path]) -> None:
    store, key = paths
    first = rotation_of(store, key).key
    begin_rotation(store, key)
    publish(store, key)
    old_key_path(key, first).hardlink_to(key)  # cut here
    assert rotation_of(store, key).is_signed_with_both
    next_key_path(key).rename(key)  # or here
    cut = rotation_of(store, key)
    assert (cut.following, len(cut.signing)) == (None, 2)
    done, old = finish_rotation(store, key)
    assert (done.signing, old) == ((cut.key,), old_key_path(key, first))
    with pytest.raises(ConfigError, match="no change of the key is under way"):
        finish_rotation(store, key)


def test_nothing_is_changed_for_a_key_of_another_log_or_a_copy(paths: tuple[Path, Path], tmp_path: Path) -> None:
    store, key = paths
    foreign = tmp_path / "foreign.key"
    load_or_create_log_key(foreign)
    with pytest.raises(StorageError, match="is not a key of this log"):
        begin_rotation(store, foreign)
    with pytest.raises(ConfigError, match="is not there"):
        begin_rotation(store, tmp_path / "absent.key")
    with opened(store, key) as log:
        log.mark_restored(is_restored=True)
    with pytest.raises(ConfigError, match="restore it first"):
        begin_rotation(store, key)
    assert sorted(p.name for p in tmp_path.glob("*.key*")) == ["foreign.key", "log.key"]
