"""Trust lists on disk: what a restart brings back, what an older list cannot undo, what a broken disk is told."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from shared.core.errors import StorageError
from shared.core.itstime import Time64
from shared.security.list_sequence import ListRollbackError, StoredList
from shared.service.trust_list_store import TrustListStore, open_trust_list_store
from tests.helpers.faulty_sqlite import Faults
from tests.helpers.hierarchy import Hierarchy
from tests.helpers.publishing import DAY_S, GRACE_S, DocumentLog, ManagerLists, RootLists, after, lists_of, trusting


def stored_lists() -> tuple[StoredList, ...]:
    """Return lists of every kind, a delta among them, some with a proof."""
    root, log = RootLists(Hierarchy(1)), DocumentLog()
    manager = ManagerLists(2, root)
    lists = lists_of(manager)
    ectl = manager.ectl()
    lists.take_ectl(ectl, log.proof(ectl), after(0))
    lists.take_ctl(root.ctl().full, None, after(0))
    lists.take_ctl(root.ctl(1, entries=(root.aa,)).delta or b"", b"a proof", after(1))
    lists.take_crl(root.crl(), None, after(0))
    return lists.held()


def by_place(stored: tuple[StoredList, ...]) -> set[StoredList]:
    return set(stored)


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    path, lists = tmp_path / "lists.db", stored_lists()
    with open_trust_list_store(path) as store:
        assert store.load() == ()
        store.save(lists)
        assert by_place(store.load()) == by_place(lists)
    with open_trust_list_store(path) as store:
        assert by_place(store.load()) == by_place(lists)
        store.save(lists)
        assert by_place(store.load()) == by_place(lists)


def test_an_older_list_is_refused_after_a_restart_even_when_the_newer_one_has_run_out(tmp_path: Path) -> None:
    root = RootLists(Hierarchy(3))
    lists = trusting(root)
    older = root.ctl(-60, life_s=10 * DAY_S).full
    with TrustListStore.create(tmp_path / "lists.db") as store:
        store.save(lists.held())
    beyond = after(DAY_S + GRACE_S)
    for _ in range(2):
        again = lists_of(roots=(root,))
        with open_trust_list_store(tmp_path / "lists.db") as store:
            again.restore(store.load(), beyond)
            assert not again.trust(beyond).authorities
            with pytest.raises(ListRollbackError):
                again.take_ctl(older, None, beyond)
            store.save(again.held())


def test_a_store_is_not_taken_back_behind_what_it_holds(tmp_path: Path) -> None:
    lists = stored_lists()
    with TrustListStore.create(tmp_path / "lists.db") as store:
        store.save(lists)
        first = lists[0]
        older = replace(first, mark=replace(first.mark, generation_time=Time64(first.mark.generation_time - 1)))
        with pytest.raises(StorageError, match="saved before is newer"):
            store.save((older, *lists[1:]))
        with pytest.raises(StorageError, match="would be forgotten"):
            store.save(lists[1:])
        assert by_place(store.load()) == by_place(lists)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE document SET secured = x'00' WHERE position = 0",
        "UPDATE document SET proof = x'00'",
        "UPDATE document SET digest = 'text'",
        "UPDATE list SET issuer = x'00'",
        "UPDATE list SET kind = 'other' WHERE kind = 'crl'",
        "UPDATE list SET generation_time = 'soon'",
        "UPDATE list SET digest = x'00'",
    ],
)
def test_a_store_that_holds_something_else_than_was_saved_is_refused_with_its_name(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "lists.db"
    with TrustListStore.create(path) as store:
        store.save(stored_lists())
    connection = sqlite3.connect(path)
    connection.execute(damage)
    connection.commit()
    connection.close()
    with open_trust_list_store(path) as store, pytest.raises(StorageError, match=r"lists\.db: is damaged: "):
        store.load()


def test_a_file_that_is_none_of_ours_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "lists.db"
    path.write_bytes(b"no database at all" * 20)
    with pytest.raises(StorageError, match="is not a v2x-trust store of trust lists"):
        open_trust_list_store(path)
    assert path.read_bytes() == b"no database at all" * 20
    with pytest.raises(StorageError, match="exists already"):
        TrustListStore.create(path)


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lists.db"
    with TrustListStore.create(path) as store:
        store.save(stored_lists())
    path.write_bytes(path.read_bytes()[:5_000])
    with pytest.raises(StorageError, match="is cut short"):
        open_trust_list_store(path)


@pytest.mark.parametrize("persists", [False, True])
def test_whatever_step_of_saving_fails_the_old_lists_or_the_new_ones_are_there(tmp_path: Path, persists: bool) -> None:  # noqa: FBT001
    faults, lists = Faults(), stored_lists()
    newer = tuple(replace(each, mark=replace(each.mark, generation_time=Time64(each.mark.generation_time + 1))) for each in lists)
    path = tmp_path / "lists.db"
    TrustListStore.create(path).close()
    failed = 0
    with TrustListStore(path, faults.connect()) as store:
        store.save(lists)
        for step in range(40):
            faults.arm(step, persists=persists)
            try:
                store.save(newer)
            except StorageError:
                failed += 1
            faults.arm(None, persists=False)
            assert by_place(store.load()) in (by_place(lists), by_place(newer))
            if by_place(store.load()) == by_place(newer):
                break
    assert failed > 5
