"""`vehicle-agent spool`: a spool is looked through, and recovered where it is damaged, never else."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from shared.core.errors import StorageError
from shared.service.spool import open_spool
from shared.service.state_lock import locked
from tests.helpers.hierarchy import Hierarchy
from tests.helpers.holder import told, vehicle
from tests.helpers.recording import record
from tests.unit.vehicle_agent.vehicle_files import set_up_vehicle

RECORDS = 5


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = set_up_vehicle(tmp_path, Hierarchy(3))
    with closing(open_spool(spool_of(path))) as spool:
        for number in range(RECORDS):
            record(spool, 1_000 * number, seed=number)
    return path


def spool_of(config: Path) -> Path:
    return config.parent / "state/spool.db"


def damage(config: Path) -> None:
    with closing(sqlite3.connect(spool_of(config))) as raw:
        raw.execute("UPDATE record SET sd_jwt = replace(sd_jwt, 'a', 'b') WHERE seq = 3")
        raw.commit()


def test_a_whole_spool_is_said_to_be_whole_and_not_recovered(config: Path) -> None:
    before = spool_of(config).read_bytes()
    assert f"{RECORDS} record(s), all of them whole" in told(vehicle("spool", "check", "-c", config))
    assert "nothing was changed" in told(vehicle("spool", "recover", "-c", config))
    assert spool_of(config).read_bytes() == before


def test_a_damaged_one_is_told_and_recovered_up_to_the_damage(config: Path) -> None:
    damage(config)
    checked = vehicle("spool", "check", "-c", config)
    assert checked.status == 1
    assert "is damaged: record 3" in checked.error
    recovered = told(vehicle("spool", "recover", "-c", config))
    assert "3 record(s) saved, the last is number 2; the damaged file is kept as" in recovered
    assert "3 record(s), all of them whole" in told(vehicle("spool", "check", "-c", config))
    with closing(open_spool(spool_of(config))) as spool:
        assert spool.lost() is None
        assert record(spool, 9_000, seed=9).record.seq == RECORDS  # behind every number that was given


def test_nothing_is_recovered_beside_a_running_agent(config: Path) -> None:
    damage(config)
    with locked(spool_of(config)):
        refused = vehicle("spool", "recover", "-c", config)
    assert refused.status == 1
    assert "in use" in refused.error or "another" in refused.error
    with pytest.raises(StorageError, match="is damaged: record 3"):
        open_spool(spool_of(config))


def test_there_is_nothing_to_recover_where_there_is_no_spool(config: Path) -> None:
    spool_of(config).unlink()
    absent = vehicle("spool", "recover", "-c", config)
    assert absent.status == 1
    assert "does not exist" in absent.error
