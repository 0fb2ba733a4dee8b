"""An engine we did not write: a Tessera log server takes, sequences and proves a vehicle's records; only URL and policy differ."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from shared.core.clock import TimeSource
from shared.ledger.note import Ed25519NoteSigner
from shared.ledger.policy import parse_policy
from shared.ledger.proof import parse_proof, verify_proof
from shared.service.system_clock import SystemClock
from shared.transport.ledger_http import LedgerHttp
from tests.helpers.ledger import ed25519_key
from tests.helpers.online_ledger import Car, record
from tests.helpers.tessera import built_tessera, go_note_key, tessera

ORIGIN = "tessera.example/log"
SIGNER = Ed25519NoteSigner(ORIGIN, ed25519_key("tessera"))
POLICY_TEXT = f"log {SIGNER.key.text}\nquorum none\n"

FIRST, SECOND = 20, 250
"""Records of a first day, and of months offline: more than fill a tile."""


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = "from shared.cli.main import main; main()"
    return subprocess.run([sys.executable, "-c", program, "ledger", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.engine
def test_a_vehicles_records_are_proven_by_a_tessera_server(tmp_path: Path) -> None:
    binary = built_tessera()
    policy = tmp_path / "policy"
    policy.write_text(POLICY_TEXT)
    (tmp_path / "car").mkdir()
    car = Car(tmp_path / "car", policy=parse_policy(POLICY_TEXT.encode()), origin=ORIGIN)
    clock = SystemClock(TimeSource.ASSUME_TRUSTED)

    async def drive(url: str, total: int) -> bool:
        async with LedgerHttp((url,), clock=clock) as http:
            return await car.drive(http, until=lambda: car.proven() == total, clock=clock, turns=4_000)

    with tessera(binary, tmp_path / "log", private_key=go_note_key(SIGNER, "tessera")) as url:
        record(car.spool, FIRST)
        assert asyncio.run(drive(url, FIRST)), car.kinds()[-5:]
        pinned = tmp_path / "pinned"
        seen = command("checkpoint", url, "--policy", str(policy), "--out", str(pinned), "--json")
        assert json.loads(seen.stdout)["tree_size"] == FIRST, seen
        record(car.spool, SECOND)
        assert asyncio.run(drive(url, FIRST + SECOND)), car.kinds()[-5:]
        assert set(car.kinds()) == {"odometer_anchored"}
        later = json.loads(command("checkpoint", url, "--policy", str(policy), "--pinned", str(pinned), "--json").stdout)
        assert (later["tree_size"], later["extends_pinned"]) == (FIRST + SECOND, True)
        stored = tuple(car.spool.records())
        proof = tmp_path / "proof"
        made = command("prove", url, "--policy", str(policy), "--index", str(stored[7].log_index), "--out", str(proof))
        assert made.returncode == 0, made.stderr
    assert len({r.log_index for r in stored}) == FIRST + SECOND
    for each in stored:
        assert each.proof is not None
        verify_proof(parse_proof(each.proof), each.commitment, parse_policy(POLICY_TEXT.encode()))
    entry = stored[7].commitment.hex()
    assert command("check", str(proof), "--entry", entry, "--policy", str(policy)).returncode == 0
    assert command("check", str(proof), "--entry", stored[8].commitment.hex(), "--policy", str(policy)).returncode == 1
    assert command("prove", str(tmp_path / "log"), "--policy", str(policy), "--index", "7").stdout.startswith(
        "c2sp.org/tlog-proof@v1"
    )
    car.spool.close()
