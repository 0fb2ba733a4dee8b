"""`kill -9` of the agent, two hundred times at random during a replay: every record of the sequence is there exactly once."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from shared.ledger.note import Ed25519NoteSigner
from shared.ledger.policy import parse_policy
from shared.ledger.proof import parse_proof, verify_proof
from shared.records.odometer import OdometerFlag
from shared.records.record import read_record
from shared.records.sd_jwt import parse_sd_jwt
from shared.service.log_store import load_or_create_log_key, open_log_store
from shared.service.spool import AnchorState, StoredRecord, open_spool
from tests.helpers.data import REPOSITORY
from tests.helpers.fault_logs import entries_of
from tests.helpers.fault_table import scratch
from tests.helpers.hierarchy import Hierarchy
from tests.helpers.killed_agent import FIRST_M, SPEED_MPS, STRETCH_S, WAYS
from tests.unit.vehicle_agent.vehicle_files import CONFIG, set_up_vehicle

KILLS = 200
EVERY_M = 20
ORIGIN = "vehicle.example/log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """What is left: how it went, what was told, and what lies in the files."""

    folder: Path
    summary: dict[str, Any]
    told: list[dict[str, Any]]
    records: tuple[StoredRecord, ...]
    entries: list[bytes]

    def told_of(self, kind: str) -> list[dict[str, Any]]:
        return [notice for notice in self.told if notice["kind"] == kind]


@pytest.fixture(scope="module")
def left() -> Iterator[Aftermath]:
    with scratch() as folder:
        config = set_up_vehicle(folder, Hierarchy(9), config=CONFIG.replace("every_m = 50", f"every_m = {EVERY_M}"))
        told = folder / "told"
        command = [sys.executable, "-m", "tests.helpers.killed_agent", str(config), str(told), str(KILLS), "8"]
        ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=600)
        assert ended.returncode == 0, ended.stderr
        assert ended.stderr == ""
        with closing(open_spool(folder / "state/spool.db")) as spool:
            assert spool.lost() is None
            spool.check_all()
            records = tuple(spool.records())
        signer = Ed25519NoteSigner(ORIGIN, load_or_create_log_key(folder / "state/log.key"))
        with closing(open_log_store(folder / "state/log.db", signer)) as log:
            entries = entries_of(log)
        lines = told.read_text().splitlines()
        yield Aftermath(
            folder=folder,
            summary=json.loads(ended.stdout),
            told=[json.loads(line) for line in lines],
            records=records,
            entries=entries,
        )


def test_the_agent_was_killed_two_hundred_times_in_each_way(left: Aftermath) -> None:
    assert sum(left.summary["killed"].values()) == KILLS
    assert set(left.summary["killed"]) == set(WAYS)
    assert min(left.summary["killed"].values()) >= KILLS // 10


def test_every_record_of_the_sequence_is_there_exactly_once(left: Aftermath) -> None:
    assert len(left.records) >= KILLS // 2
    assert [record.seq for record in left.records] == list(range(len(left.records)))
    assert len({record.commitment for record in left.records}) == len(left.records)


def test_whatever_was_told_of_is_there_with_the_reading_that_was_told(left: Aftermath) -> None:
    told = left.told_of("odometer_recorded")
    assert len(told) >= KILLS // 4
    assert max(Counter(notice["seq"] for notice in told).values()) == 1
    assert all(left.records[notice["seq"]].odometer_m == notice["odometer_m"] for notice in told)


def test_no_reading_is_missing_doubled_or_found_odd(left: Aftermath) -> None:
    """Each start drives on from the last reading there is, so one that was lost would be driven again, and one doubled shows."""
    shown = [read_record(parse_sd_jwt(record.sd_jwt)) for record in left.records]
    readings = [record.odometer_m for record in shown if record.odometer_m is not None]
    assert len(readings) == len(shown)
    assert readings[0] >= FIRST_M
    steps = [after - before for before, after in pairwise(readings)]
    assert min(steps) >= 0
    assert max(steps) <= EVERY_M + 2 * SPEED_MPS
    assert readings[-1] - readings[0] > SPEED_MPS * STRETCH_S
    odd = Counter(flag for record in shown for flag in record.flags)
    assert odd == {}, f"{odd}: nothing was odd but that the agent was killed"
    assert OdometerFlag.SEQUENCE_RESUMED not in odd


def test_every_commitment_is_in_the_log_exactly_once_and_every_proof_holds(left: Aftermath) -> None:
    assert sorted(left.entries) == sorted(record.commitment for record in left.records)
    policy = parse_policy((left.folder / "state/log.policy").read_bytes())
    for record in left.records:
        assert record.state is AnchorState.INCLUDED
        assert record.proof is not None
        included = verify_proof(parse_proof(record.proof), record.commitment, policy)
        assert included.index == record.log_index
        assert left.entries[included.index] == record.commitment


def test_no_proof_was_told_of_twice(left: Aftermath) -> None:
    told = Counter(notice["log_index"] for notice in left.told_of("odometer_anchored"))
    assert len(told) >= KILLS // 4
    assert max(told.values()) == 1


def test_what_is_remembered_beside_the_records_is_whole_whenever_its_writer_is_killed() -> None:
    with scratch() as folder:
        command = [sys.executable, "-m", "tests.helpers.killed_keeper", str(folder), "40", "3"]
        ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr
    summary = json.loads(ended.stdout)
    assert summary["mid_write"] >= 1
    assert min(summary["written"]) >= 40
    assert summary["left"] == ["hazards.json", "vehicle.json"]
