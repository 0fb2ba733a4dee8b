"""A roadside unit's evidence as an operator and a court see it: real program, real log, real witness, kill -9 in between."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import rsu_agent.junctions
from rsu_agent.evidence_reader import read_evidence
from shared.operator.log_node_files import KEY_FILE, STORE_FILE
from shared.records.evidence_record import EvidenceKind
from shared.service.keystore import write_new_file
from shared.service.log_store import open_log_store
from tests.helpers.ledger import ORIGIN, ed25519_key, log_signer
from tests.helpers.log_node import LogProcess, serving_log
from tests.helpers.multicast import free_udp_port
from tests.helpers.road_agents import Agent, RoadScene
from tests.helpers.witnesses import WitnessProcess, witnessing

JUNCTIONS = Path(rsu_agent.junctions.__file__).parent
WITNESS = "witness.example/w1"
READINGS = 600
PAUSE_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A unit with its evidence, and the log that holds it."""

    road: RoadScene
    unit: Agent

    @property
    def policy(self) -> Path:
        return self.unit.directory / "log.policy"

    def becomes(self, holds: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Return the unit's status of evidence once it is so."""
        for _ in range(READINGS):
            status = self.unit.status().get("evidence_store")
            if status and holds(status):
                return dict(status)
            select.select([], [], [], PAUSE_S)
        pytest.fail(f"it never came about that {what}: {self.unit.status()}\n{self.unit.errors}")

    def evidence(self, at: str, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
        command = ("evidence", "-c", self.unit.directory / "agent.toml", "--at", at, "--out", out, *more)
        return _program("from rsu_agent.command import main", *command)


@contextmanager
def scene_of(tmp_path: Path, node: LogProcess, witness: WitnessProcess) -> Iterator[Scene]:
    road = RoadScene(directory=tmp_path)
    road.pki("init", tmp_path / "pki")
    more = f"""
[junction]
plan = "{JUNCTIONS / "crossing.plan.toml"}"
map = "{JUNCTIONS / "crossing.map.toml"}"

[evidence]
file = "state/evidence.db"

[evidence.ledger]
url = ["{node.url}"]
origin = "{ORIGIN}"
policy = "log.policy"
"""
    radio = f'[[radio]]\nkind = "udp"\ngroup = "239.255.91.7"\nport = {free_udp_port()}\n'
    unit = road.unit(radio, more=more)
    scene = Scene(road=road, unit=unit)
    scene.policy.write_text(f"log {node.key.text}\nwitness w1 {witness.address.key.text}\nquorum w1\n")
    try:
        yield scene
    finally:
        unit.kill()


def test_what_the_lights_showed_is_proven_on_a_clean_machine_though_the_unit_was_killed_since(tmp_path: Path) -> None:
    with witnessing(tmp_path / "witness", name=WITNESS) as witness:
        _lay_out_log(tmp_path / "log")
        options = ("--witness", f"{witness.address.key.text} {witness.address.url}")
        with serving_log(tmp_path / "log", *options) as node, scene_of(tmp_path, node, witness) as scene:
            scene.unit.start()
            held = scene.becomes(lambda s: s.get("records", 0) >= 15, "fifteen records are on disk")
            scene.unit.kill()
            scene.unit.start()
            scene.becomes(lambda s: s["ledger"]["proven"] >= 1, "the batch of before the kill is proven")
            assert scene.unit.stop() == 0, scene.unit.errors
            at = _moment_after(scene, number=5)
            file = tmp_path / "evidence.json"
            wrote = scene.evidence(at, file, "--group", "1")
            assert wrote.returncode == 0, wrote.stderr
            _nothing_lost_or_doubled(scene, held["records"])
        _check_elsewhere(tmp_path, scene, file, at)


def _lay_out_log(directory: Path) -> None:
    """Give the log the key that the witness knows."""
    directory.mkdir()
    open_log_store(directory / STORE_FILE, log_signer()).close()
    private = ed25519_key(ORIGIN).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_new_file(directory / KEY_FILE, private, mode=0o600)


def _nothing_lost_or_doubled(scene: Scene, acknowledged: int) -> None:
    with read_evidence(scene.unit.state / "evidence.db") as store:
        found = store.between(EvidenceKind.SENT, "spatem", 0, 1 << 60, 1 << 20)
        assert len({each.entry for each in found}) == len(found)
        first_run = store.batch_of(0)
        assert first_run is not None
        assert first_run.statement.size >= acknowledged
        assert store.tree_of(first_run.statement).size == first_run.statement.size


def _moment_after(scene: Scene, *, number: int) -> str:
    """Return a moment 30 ms after some light of the first run was told."""
    with read_evidence(scene.unit.state / "evidence.db") as store:
        light = store.between(EvidenceKind.SENT, "spatem", 0, 1 << 60, 100)[number]
    assert light.utc_us is not None
    moment = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=light.utc_us + 30_000)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1_000:03d}Z"


def _check_elsewhere(tmp_path: Path, scene: Scene, file: Path, at: str) -> None:
    """Verify with the file and the public keys alone: everything else is gone by now."""
    court = tmp_path / "court"
    (court / "trust" / "roots").mkdir(parents=True)
    for root in (tmp_path / "pki" / "trust" / "roots").iterdir():
        (court / "trust" / "roots" / root.name).write_bytes(root.read_bytes())
    (court / "policy").write_bytes(scene.policy.read_bytes())
    octets = file.read_bytes()
    copy = court / "evidence.json"
    copy.write_bytes(octets)
    arguments = ("passport", "verify", copy, "--trust", court / "trust", "--policy", court / "policy")
    said = _program("from shared.cli.command import main", *arguments, "--json")
    assert said.returncode == 0, said.stderr
    answer = json.loads(said.stdout)
    assert (answer["verified"], answer["at"], answer["station_id"]) == (True, at, 4049)
    (light,) = answer["lights"]
    assert light["group"] == 1
    assert light["lanes"]
    assert light["then"] is not None
    assert [each["name"] for each in answer["batches"][0]["witnesses"]] == ["w1"]
    assert answer["batches"][0]["seen_by"] is not None
    for place in (len(octets) // 3, len(octets) - 10):
        altered = bytearray(octets)
        altered[place] ^= 1
        copy.write_bytes(altered)
        refused = _program("from shared.cli.command import main", *arguments)
        assert refused.returncode == 1, (place, refused.stdout)
        assert "Not shown to be genuine" in refused.stderr


def _program(entry: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", f"{entry}; main()", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "300"}
    return subprocess.run(command, capture_output=True, text=True, timeout=90, env=environment, check=False)
