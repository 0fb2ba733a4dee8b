from pathlib import Path

import pytest

from shared.core.errors import StorageError
from shared.service.state_lock import locked


def test_a_file_is_one_program_s_until_it_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "state/lists.db"
    with locked(path), pytest.raises(StorageError, match="in use by another program"), locked(path):
        pass
    with locked(path):
        assert not path.exists()


def test_files_are_locked_each_by_itself(tmp_path: Path) -> None:
    with locked(tmp_path / "lists.db"), locked(tmp_path / "tickets.db"):
        assert sorted(path.name for path in tmp_path.iterdir()) == ["lists.db.lock", "tickets.db.lock"]


def test_where_nothing_can_be_made_nothing_is_locked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match="cannot be locked"), locked(tmp_path / "file/lists.db"):
        pass
