"""What a witness has cosigned survives whatever happens to its disk, and is never doubled."""

from pathlib import Path

import pytest

from shared.core.errors import SplitViewError, StorageError
from shared.ledger.merkle import Hash
from shared.ledger.witness import Cosigned
from shared.service.witness_store import MAX_FORKS, WitnessFile, open_witness_file
from tests.helpers.faulty_sqlite import Faults

LOG = "log.example/odometer"
FIRST = Cosigned(tree_size=3, root=Hash(bytes([3]) * 32), note=b"three")
SECOND = Cosigned(tree_size=9, root=Hash(bytes([9]) * 32), note=b"nine")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "witness.sqlite"


def test_starts_with_nothing_and_keeps_what_it_is_given(path: Path) -> None:
    with open_witness_file(path) as store:
        assert store.cosigned(LOG) is None
        assert store.advance(LOG, expected=None, cosigned=FIRST)
        assert store.cosigned("other") is None
    with open_witness_file(path) as store:
        assert store.cosigned(LOG) == FIRST
        assert store.advance(LOG, expected=FIRST, cosigned=SECOND)
        assert store.cosigned(LOG) == SECOND


@pytest.mark.parametrize("expected", [None, SECOND])
def test_moves_on_from_where_it_stands_only(path: Path, expected: Cosigned | None) -> None:
    with open_witness_file(path) as store:
        store.advance(LOG, expected=None, cosigned=FIRST)
        assert not store.advance(LOG, expected=expected, cosigned=SECOND)
        assert store.cosigned(LOG) == FIRST


def test_two_programs_on_one_file_do_not_both_move_it(path: Path) -> None:
    with open_witness_file(path) as one, open_witness_file(path) as two:
        assert one.advance(LOG, expected=None, cosigned=FIRST)
        assert not two.advance(LOG, expected=None, cosigned=SECOND)
        assert two.cosigned(LOG) == FIRST


def test_keeps_both_notes_of_a_contradiction_once_and_not_without_end(path: Path) -> None:
    with open_witness_file(path) as store:
        for _ in range(2):
            store.keep_fork(LOG, SplitViewError("two roots", b"a", b"b"))
        ((origin, fork),) = store.forks()
        assert (origin, str(fork), fork.trusted_note, fork.conflicting_note) == (LOG, "two roots", b"a", b"b")
        for number in range(2 * MAX_FORKS):
            store.keep_fork(LOG, SplitViewError("two roots", b"a", b"%d" % number))
        assert len(store.forks()) == MAX_FORKS
        assert store.forks()[0][1].conflicting_note == b"b"


def test_whenever_the_disk_fails_the_file_has_the_old_state_or_the_new_one(path: Path) -> None:
    faults = Faults()
    with open_witness_file(path) as store:
        store.advance(LOG, expected=None, cosigned=FIRST)
    steps = _steps(path, faults)
    assert steps >= 4
    stood: set[int] = set()
    for step in range(steps):
        for persists in (False, True):
            _put_back(path)
            store = open_witness_file(path, faults.connect())
            faults.arm(step, persists=persists)
            with pytest.raises(StorageError):
                store.advance(LOG, expected=FIRST, cosigned=SECOND)
            faults.arm(None, persists=False)
            store.close()
            with open_witness_file(path) as after:
                stands = after.cosigned(LOG)
                assert stands in (FIRST, SECOND)
                assert stands is not None
                stood.add(stands.tree_size)
                assert after.advance(LOG, expected=stands, cosigned=SECOND)
    assert stood == {FIRST.tree_size, SECOND.tree_size}


def _steps(path: Path, faults: Faults) -> int:
    store = open_witness_file(path, faults.connect())
    faults.arm(None, persists=False)
    assert store.advance(LOG, expected=FIRST, cosigned=SECOND)
    steps = len(faults.executed)
    store.close()
    return steps


def _put_back(path: Path) -> None:
    for each in path.parent.iterdir():
        each.unlink()
    with open_witness_file(path) as store:
        store.advance(LOG, expected=None, cosigned=FIRST)


def test_a_file_of_something_else_is_refused_and_left_alone(path: Path) -> None:
    path.write_bytes(b"something else")
    with pytest.raises(StorageError):
        open_witness_file(path)
    assert path.read_bytes() == b"something else"


def test_a_damaged_row_is_told(path: Path) -> None:
    with open_witness_file(path) as store:
        store.advance(LOG, expected=None, cosigned=FIRST)
        _damage(store)
        with pytest.raises(StorageError):
            store.cosigned(LOG)


def _damage(store: WitnessFile) -> None:
    store._connection.execute("UPDATE cosigned SET root = x'00'")
