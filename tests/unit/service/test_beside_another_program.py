"""A file of ours is opened twice in one process, and once by another program that leaves: nothing that was written is lost."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from shared.core.errors import StorageError
from shared.service.database import is_open_here, open_read_only
from shared.service.log_format import LOG_FORMAT
from shared.service.log_reader import open_log_reader
from shared.service.log_store import open_log_store
from shared.service.spool import open_spool
from shared.service.spool_format import SPOOL_FORMAT
from tests.helpers.ledger import log_signer
from tests.helpers.recording import record


def seen_by_another_program(path: Path, statement: str) -> str:
    """Return what another program reads, which is gone again afterwards."""
    program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(c.execute(sys.argv[2]).fetchone()[0]); c.close()"
    done = subprocess.run([sys.executable, "-c", program, str(path), statement], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_log_with_readers_keeps_what_is_appended_after_another_program_read_it(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with open_log_store(path, log_signer()) as log, open_log_reader(path) as reader:
        log.submit(b"a")
        assert seen_by_another_program(path, "SELECT size FROM head") == "1"
        log.submit(b"b")
        with open_log_reader(path) as later:
            assert (later.stored_size, reader.stored_size) == (2, 2)
        assert seen_by_another_program(path, "SELECT size FROM head") == "2"
        assert (tmp_path / "log.db-wal").exists()


def test_a_spool_keeps_what_is_recorded_after_another_program_read_it(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    with closing(open_spool(path)) as spool:
        record(spool)
        with closing(open_read_only(path, SPOOL_FORMAT)):
            pass
        assert seen_by_another_program(path, "SELECT count(*) FROM record") == "1"
        record(spool, seed=2)
        assert seen_by_another_program(path, "SELECT count(*) FROM record") == "2"
        assert (tmp_path / "spool.db-wal").exists()


def test_a_file_is_open_here_as_long_as_a_connection_is(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    assert not is_open_here(path)
    log = open_log_store(path, log_signer())
    assert is_open_here(path)
    assert not is_open_here(tmp_path)
    log.close()
    assert not is_open_here(path)


def test_a_file_that_is_open_here_is_still_not_taken_for_something_else(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    with closing(open_spool(path)), pytest.raises(StorageError, match="another program made it"):
        open_read_only(path, LOG_FORMAT)
