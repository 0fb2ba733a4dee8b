"""`vehicle-agent run` with a log on a network: proven over HTTP, stopped by a fork, shown to a person, and let go on by one."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from shared.core.clock import ManualClock
from shared.records.odometer import OdometerSource, RecordReason
from shared.records.recorder import Recorder
from shared.service.config import load
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.ledger import ORIGIN, MemoryLog, log_signer
from tests.helpers.log_server import ServedLog, serving
from tests.helpers.online_agent import agent_online, command, config_online
from tests.unit.vehicle_agent.vehicle_files import set_up_vehicle
from vehicle_agent.composition import open_vehicle
from vehicle_agent.config import VehicleConfig

HIERARCHY = Hierarchy(13)


@pytest.fixture
def served() -> Iterator[ServedLog]:
    log = MemoryLog()
    log.entries = [b"someone else's %d" % n for n in range(300)]
    log.publish()
    with serving(log) as server:
        yield server


@pytest.fixture
def config(tmp_path: Path, served: ServedLog) -> Path:
    (tmp_path / "log.policy").write_text(f"log {log_signer().key.text}\nquorum none\n")
    return set_up_vehicle(tmp_path, HIERARCHY, config=config_online(served.url))


def record(config: Path, count: int) -> None:
    """Make records while no agent runs, as the agent makes them."""
    now = ManualClock(NOON).now()
    with open_vehicle(load(config, VehicleConfig), base=config.parent, environment={}, now=now) as vehicle:
        spool = vehicle.parts.spool
        for _ in range(count):
            head = spool.head()
            number = 0 if head is None else head.seq + 1
            recorder = Recorder(signer=vehicle.parts.enrolled, store=spool, entropy=Random(number).randbytes, boot_id=bytes(16))
            source = OdometerSource(name="cluster", odometer_m=number, age_ms=0)
            recorder.record_reading(odometer_m=number, reason=RecordReason.TIME, sources=(source,), flags=(), at=now)


def test_a_vehicle_anchors_over_http_stops_at_a_fork_and_goes_on_when_a_person_says_so(config: Path, served: ServedLog) -> None:
    record(config, 70)
    with agent_online(config) as agent:
        ledger = agent.awaits(included=70, pending=0)
        assert ledger["trusted_size"] == 370
        assert command(config, "ledger", "evidence").stdout == "the log has not contradicted itself\n"
        assert "nothing to acknowledge" in command(config, "ledger", "acknowledge").stderr
        assert f"log {ORIGIN}" in command(config, "status").stdout
    honest, trusted = served.log, served.log.note.decode()

    record(config, 2)
    forked = MemoryLog()
    forked.entries = [b"another history %d" % n for n in range(400)]
    forked.publish()
    served.log = forked
    with agent_online(config) as agent:
        ledger = agent.awaits(is_stopped=True)
        assert (ledger["contradiction"]["trusted_note"], ledger["records"]["included"]) == (trusted, 70)
        shown = command(config, "ledger", "evidence")
        assert shown.returncode == 1
        assert trusted in shown.stdout
        assert forked.note.decode() in shown.stdout
        (contradiction,) = json.loads(command(config, "ledger", "evidence", "--json").stdout)["contradictions"]
        assert contradiction["conflicting_note"] == ledger["contradiction"]["conflicting_note"]
        status = command(config, "status").stdout
        for line in (*trusted.splitlines(), *forked.note.decode().splitlines()):
            assert all(word[:20] in status for word in line.split())  # a table folds lines
        assert "vehicle-agent ledger evidence" in status

        served.log = honest
        assert command(config, "ledger", "acknowledge").stdout.startswith("1 contradiction(s) acknowledged")
        agent.awaits(included=72, is_stopped=False)
    lines = [json.loads(line) for line in (config.parent / "state/notices.jsonl").read_text().splitlines()]
    assert sum("ledger_split_view" in line.values() for line in lines) == 1


def test_an_order_needs_a_socket_to_be_given_at(config: Path) -> None:
    config.write_text(config.read_text().replace('command_socket = "state/orders.sock"\n', ""))
    refused = command(config, "ledger", "evidence")
    assert refused.returncode == 2
    assert "state.command_socket" in refused.stderr


def test_a_vehicle_whose_log_is_away_runs_all_the_same(config: Path) -> None:
    config.write_text(config.read_text().replace(load(config, VehicleConfig).ledger.url[0], "http://127.0.0.1:9"))
    record(config, 3)
    with agent_online(config) as agent:
        ledger = agent.awaits(submitted=3)
        assert ledger["trusted_size"] is None
