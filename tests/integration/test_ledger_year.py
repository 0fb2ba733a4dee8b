"""A year of a car in five processes: a log, three witnesses and a vehicle; months offline, a witness gone, a log that forks."""

import asyncio
import json
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

from typer.testing import CliRunner

from shared.cli.main import app
from shared.core.clock import NS_PER_S, ManualClock, TimeSource, UtcNs
from shared.core.itstime import utc_from_text
from shared.ledger.cosignature import find_cosignature
from shared.ledger.note import parse_note
from shared.ledger.policy import parse_policy
from shared.ledger.verify import trust_first, verify_signed
from shared.operator.log_node_files import KEY_FILE
from shared.operator.witness_node import STORE_FILE
from shared.records.odometer import OdometerSource, RecordReason
from shared.records.recorder import Recorder
from shared.service.config import load
from shared.service.system_clock import SystemClock
from shared.service.witness_store import open_witness_file
from shared.transport.ledger_http import LedgerHttp
from tests.helpers.hierarchy import Hierarchy
from tests.helpers.ledger import ORIGIN, log_signer
from tests.helpers.log_node import serving_log, write_log_key
from tests.helpers.online_agent import agent_online, command, config_online
from tests.helpers.witnesses import PATIENCE_S, PROGRAM, WitnessProcess, witnessing
from tests.unit.vehicle_agent.vehicle_files import set_up_vehicle
from vehicle_agent.anchor_cycle import MAX_SUBMISSIONS
from vehicle_agent.composition import open_vehicle
from vehicle_agent.config import VehicleConfig

BEGAN = utc_from_text("2025-11-25T08:00:00Z")
YEAR_NS = 365 * 86_400 * NS_PER_S
RECORDS = 500
KM_A_YEAR = 15_000
NAMES = ("witness.example/north", "witness.example/east", "witness.example/south")
AT_ONCE = 32
HOST = "127.61.0.1"
"""Of the log: its port is let go and taken again, and no other test's program may have it meanwhile."""
NOTES = ("trusted_note", "conflicting_note")


class Car:
    """A vehicle's folder, whose records of a year are made while its agent is not running.

    Args:
        folder: for everything of the vehicle's.
        url: of its log.
        policy: its log and witnesses.
    """

    def __init__(self, folder: Path, *, url: str, policy: str) -> None:
        folder.mkdir()
        (folder / "log.policy").write_text(policy)
        hierarchy = Hierarchy(61, begin=UtcNs(BEGAN - 3_600 * NS_PER_S))
        self.folder = folder
        self.config = set_up_vehicle(folder, hierarchy, config=config_online(url))
        self.made = 0

    def drives(self, records: int) -> None:
        """Spend a part of the year: one record every seventeen hours and a half."""
        began = ManualClock(BEGAN).now()
        with open_vehicle(load(self.config, VehicleConfig), base=self.folder, environment={}, now=began) as vehicle:
            for number in range(self.made, self.made + records):
                clock = ManualClock(UtcNs(BEGAN + number * YEAR_NS // RECORDS))
                entropy = Random(number).randbytes
                recorder = Recorder(signer=vehicle.parts.enrolled, store=vehicle.parts.spool, entropy=entropy, boot_id=bytes(16))
                driven_m = number * KM_A_YEAR * 1_000 // RECORDS
                source = OdometerSource(name="cluster", odometer_m=driven_m, age_ms=20)
                recorder.record_reading(odometer_m=driven_m, reason=RecordReason.TIME, sources=(source,), flags=(), at=clock.now())
        self.made += records


def new_log(folder: Path) -> None:
    """Make a log with the key that the witnesses know."""
    folder.mkdir()
    write_log_key(folder / KEY_FILE)
    made = [PROGRAM, "ledger", "serve", folder, "--origin", ORIGIN, "--new", "--vkey"]
    told = subprocess.run([*map(str, made)], capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert told.stdout == f"vkey {log_signer().key.text}\n"


def policy_of(witnesses: Sequence[WitnessProcess]) -> str:
    """Two of the witnesses must have seen a checkpoint."""
    lines = [f"witness w{n} {each.address.key.text} {each.address.url}" for n, each in enumerate(witnesses)]
    names = " ".join(f"w{n}" for n, _ in enumerate(witnesses))
    return "\n".join((f"log {log_signer().key.text}", *lines, f"group two 2 {names}", "quorum two\n"))


def tell(url: str, entries: Sequence[bytes]) -> list[int]:
    """Have entries of others put into a log."""

    async def all_of_them() -> list[int]:
        gate = asyncio.Semaphore(AT_ONCE)
        async with LedgerHttp((url,), clock=SystemClock(TimeSource.ASSUME_TRUSTED)) as log:

            async def one(entry: bytes) -> int:
                async with gate:
                    return await log.submit(entry)

            return list(await asyncio.gather(*map(one, entries)))

    return asyncio.run(all_of_them())


def witnesses_of(note: str, witnesses: Sequence[WitnessProcess]) -> list[str]:
    """Name the witnesses whose cosignatures a note carries."""
    parsed = parse_note(note.encode())
    return [each.address.key.name for each in witnesses if find_cosignature(parsed, each.address.key) is not None]


def verified_passport(car: Car, policy: Path) -> dict[str, Any]:
    """What a buyer's command says of the passport that the vehicle writes."""
    file = car.folder / "passport.json"
    assert command(car.config, "passport", "--out", str(file)).returncode == 0
    trust = car.folder / "trust"
    told = CliRunner().invoke(app, ["passport", "verify", str(file), "--trust", str(trust), "--policy", str(policy), "--json"])
    assert told.exit_code == 0, told.output
    document: dict[str, Any] = json.loads(told.output)
    return document


def test_a_year_of_records_is_proven_and_a_fork_at_its_end_stops_the_vehicle(tmp_path: Path) -> None:
    with ExitStack() as running:
        trio = [running.enter_context(witnessing(tmp_path / f"w{n}", name=name)) for n, name in enumerate(NAMES)]
        policy = tmp_path / "policy"
        policy.write_text(policy_of(trio))
        new_log(tmp_path / "log")

        with serving_log(tmp_path / "log", "--listen", f"{HOST}:0", "--policy", policy) as node:
            listen = node.url.removeprefix("http://")
            tell(node.url, [b"somebody else's %d" % n for n in range(100)])
            car = Car(tmp_path / "car", url=node.url, policy=policy.read_text())
            car.drives(120)
            with agent_online(car.config) as agent:
                agent.awaits(witnessed=120, pending=0)

        car.drives(260)
        with agent_online(car.config) as agent:  # months without a log
            agent.awaits(witnessed=120, submitted=MAX_SUBMISSIONS)
        assert trio[2].stop() == 0

        with serving_log(tmp_path / "log", "--listen", listen, "--policy", policy):
            with agent_online(car.config) as agent:
                agent.awaits(witnessed=380, pending=0)
            car.drives(RECORDS - car.made)
            with agent_online(car.config) as agent:
                ledger = agent.awaits(witnessed=RECORDS, pending=0)
                assert ledger["trusted_size"] == 100 + RECORDS
        passport = verified_passport(car, policy)
        assert (passport["clean"], [each["seq"] for each in passport["readings"]]) == (True, list(range(RECORDS)))
        assert {each["log_index"] for each in passport["readings"]} == set(range(100, 100 + RECORDS))
        assert all(len(each["witnesses"]) >= 2 for each in passport["readings"])
        assert all(each["witnesses"] == ["w0", "w1"] for each in passport["readings"][120:])

        for number in (0, 1):  # witnesses that forgot all they saw: the only way to a second history
            assert trio[number].stop() == 0
            directory = tmp_path / f"w{number}"
            (directory / STORE_FILE).rename(tmp_path / f"before{number}")
            open_witness_file(directory / STORE_FILE).close()
        names = zip((0, 1), NAMES, strict=False)
        forgetful = [running.enter_context(witnessing(tmp_path / f"w{n}", name=name)) for n, name in names]
        forked_policy = tmp_path / "forked.policy"
        forked_policy.write_text(policy_of(forgetful))
        new_log(tmp_path / "fork")
        with serving_log(tmp_path / "fork", "--listen", listen, "--policy", forked_policy) as node:
            tell(node.url, [b"another history %d" % n for n in range(101 + RECORDS)])
            car.drives(1)
            with agent_online(car.config) as agent:
                ledger = agent.awaits(is_stopped=True)
                shown = command(car.config, "ledger", "evidence", "--json")
                assert shown.returncode == 1
    (contradiction,) = json.loads(shown.stdout)["contradictions"]
    assert contradiction["conflicting_note"] == ledger["contradiction"]["conflicting_note"]
    assert witnesses_of(contradiction["trusted_note"], trio) == list(NAMES[:2])
    assert witnesses_of(contradiction["conflicting_note"], trio) == list(NAMES[:2])
    trusts = parse_policy(policy.read_bytes())
    trusted, forked = (trust_first(verify_signed(contradiction[name].encode(), trusts), trusts).checkpoint for name in NOTES)
    assert (trusted.tree_size, forked.tree_size) == (100 + RECORDS, 101 + RECORDS)
    assert ledger["records"]["witnessed"] == RECORDS
