"""`v2x ledger witness` as an operator runs it: started, killed between keeping and answering, flooded, and refused its files."""

import asyncio
import json
import os
import subprocess
import sys
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

import pytest

from shared.core.clock import TimeSource
from shared.ledger.add_checkpoint import MAX_REQUEST_BYTES
from shared.ledger.note import parse_note
from shared.operator.witness_node import KEY_FILE, STORE_FILE
from shared.service.system_clock import SystemClock
from shared.service.witness_store import open_witness_file
from shared.transport.bounded_http import BoundedHttp, HttpAnswer
from shared.transport.witness_http import WitnessPool
from tests.helpers.ledger import ORIGIN, log_signer
from tests.helpers.witnesses import OTHER, PATIENCE_S, PROGRAM, is_cosigned, note_of, proof_of, request_of, witnessing

KILLED = """
import os, signal, sys
from pathlib import Path
from shared.core.clock import TimeSource
from shared.ledger.log_list import parse_log_list
from shared.ledger.witness import Witness
from shared.operator.witness_node import STORE_FILE, open_witness_key
from shared.service.database import connect_sqlite
from shared.service.system_clock import SystemClock
from shared.service.database import open_or_create
from shared.service.witness_store import WITNESS_FORMAT, WitnessFile

directory, logs, moment = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]

class Dying(WitnessFile):
    def advance(self, origin, *, expected, cosigned):
        if moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        super().advance(origin, expected=expected, cosigned=cosigned)
        os.kill(os.getpid(), signal.SIGKILL)

path = directory / STORE_FILE
store = Dying(path, open_or_create(path, WITNESS_FORMAT, connect_sqlite))
key = open_witness_key(directory)
witness = Witness(name="witness.example/w1", private_key=key, logs=parse_log_list(logs.read_bytes()), store=store)
witness.add_checkpoint(sys.stdin.buffer.read(), SystemClock(TimeSource.ASSUME_TRUSTED).now())
"""


def exchange(method: str, url: str, body: bytes = b"") -> HttpAnswer:
    async def once() -> HttpAnswer:
        async with BoundedHttp() as http:
            return await http.answer(method, url, headers={}, body=body, maximum=1_000_000)

    return asyncio.run(once())


def add(url: str, body: bytes) -> HttpAnswer:
    return exchange("POST", f"{url}/add-checkpoint", body)


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [PROGRAM, "ledger", "witness", *arguments]
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def test_it_makes_its_key_cosigns_and_shows_what_it_cosigned(tmp_path: Path) -> None:
    directory = tmp_path / "w"
    told = run(directory, "--name", "witness.example/w1", "--vkey")
    assert told.returncode == 0
    assert (directory / KEY_FILE).stat().st_mode & 0o777 == 0o600
    shown_at = f"/{sha256(ORIGIN.encode()).hexdigest()}/checkpoint"
    with witnessing(directory) as witness:
        url = witness.address.url
        assert told.stdout == f"vkey {witness.address.key.text}\n"
        assert exchange("GET", url + shown_at).status == 404
        answer = add(url, request_of(0, 7))
        assert answer.status == 200
        assert exchange("GET", url + shown_at).body == note_of(7) + answer.body
        assert add(url, request_of(7, 7, OTHER)).status == 422
        (fork,) = json.loads(exchange("GET", f"{url}/forks").body)
        assert fork["origin"] == ORIGIN
        assert fork["cosigned_note"].encode() == note_of(7) + answer.body
        assert fork["conflicting_note"].encode() == note_of(7, OTHER)
        status = json.loads(exchange("GET", f"{url}/status").body)
        assert status["witness"] == witness.address.key.text
        assert status["logs"] == {ORIGIN: {"size": 7}}
        assert (status["forks"], status["clock"]) == (1, "trusted")
        assert status["requests"]["answered.fork"] == 1
        assert witness.stop() == 0
    assert '"event": "fork"' in witness.log.read_text()
    with witnessing(directory) as again:
        assert again.address.key == witness.address.key
        assert add(again.address.url, request_of(0, 12)).body == b"7\n"
        assert add(again.address.url, request_of(7, 12)).status == 200


def test_three_with_one_down_still_cosign(tmp_path: Path) -> None:
    names = [f"w{n}.example" for n in range(3)]

    async def grow() -> list[int]:
        clock, addresses = SystemClock(TimeSource.ASSUME_TRUSTED), [witness.address for witness in running]
        async with WitnessPool(addresses, clock=clock, entropy=os.urandom, patience_s=30.0) as pool:
            notes = [await pool.cosign(note_of(3), proof_of)]
            running[2].stop()
            notes += [await pool.cosign(note_of(size), proof_of) for size in (7, 300)]
        return [sum(is_cosigned(note, witness.address.key) for witness in running) for note in notes]

    with ExitStack() as stack:
        running = [stack.enter_context(witnessing(tmp_path / name, name=name)) for name in names]
        assert asyncio.run(grow()) == [3, 2, 2]


@pytest.mark.parametrize(("moment", "stands"), [("before", 7), ("after", 12)])
def test_killed_around_the_moment_it_keeps_it_stands_where_the_file_says_and_cosigns_one_history(
    tmp_path: Path, moment: str, stands: int
) -> None:
    directory, logs = tmp_path / "w", tmp_path / "logs"
    logs.write_text(log_signer().key.text + "\n")
    with witnessing(directory) as witness:
        assert add(witness.address.url, request_of(0, 7)).status == 200
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, directory, logs, moment], input=request_of(7, 12), check=False, timeout=PATIENCE_S
    )
    assert killed.returncode == -9
    with witnessing(directory) as again:
        url = again.address.url
        assert add(url, request_of(0, 20)).body == b"%d\n" % stands
        assert add(url, request_of(stands, 12, OTHER)).status == 422
        answer = add(url, request_of(stands, 12))
        assert answer.status == 200
        assert is_cosigned(parse_note(note_of(12)).body + b"\n" + answer.body, again.address.key)


def test_without_a_trusted_clock_it_cosigns_nothing_and_says_why(tmp_path: Path) -> None:
    if SystemClock(TimeSource.SYNCHRONISED).now().utc is not None:
        pytest.skip("somebody keeps this machine's clock")
    with witnessing(tmp_path / "w", "--time-source", "synchronised") as witness:
        answer = add(witness.address.url, request_of(0, 7))
        assert (answer.status, answer.body) == (503, b"this witness does not know the time\n")
        assert answer.retry_after_s is not None
        assert "not trusted" in json.loads(exchange("GET", f"{witness.address.url}/status").body)["clock"]
    assert "clock_not_trusted" in witness.log.read_text()


def test_what_is_too_long_too_often_or_no_request_is_refused_and_counted(tmp_path: Path) -> None:
    with witnessing(tmp_path / "w", "--requests-per-s", "0.1") as witness:
        url = witness.address.url
        statuses = [add(url, b"x" * (MAX_REQUEST_BYTES + 1)).status]
        statuses += [exchange("GET", f"{url}/status").status for _ in range(20)]
        assert statuses[0] == 413
        assert 429 in statuses
    with witnessing(tmp_path / "w", "--requests-per-s", "1000") as witness:
        url = witness.address.url
        assert exchange("GET", f"{url}/add-checkpoint").status == 405
        assert exchange("GET", f"{url}/").status == 404
        assert exchange("GET", f"{url}/{'0' * 64}/checkpoint").status == 404
        assert exchange("GET", f"{url}/../../etc/passwd/checkpoint").status == 404
        requests = json.loads(exchange("GET", f"{url}/status").body)["requests"]
        assert requests["/add-checkpoint 405"] == 1


class TestItsFiles:
    def test_a_key_without_what_it_has_cosigned_is_refused(self, tmp_path: Path) -> None:
        run(tmp_path / "w", "--name", "w", "--vkey")
        (tmp_path / "w" / STORE_FILE).unlink()
        told = run(tmp_path / "w", "--name", "w", "--vkey")
        assert told.returncode == 2
        assert "second history" in told.stderr

    def test_a_key_that_others_may_read_is_refused(self, tmp_path: Path) -> None:
        run(tmp_path / "w", "--name", "w", "--vkey")
        (tmp_path / "w" / KEY_FILE).chmod(0o644)
        assert run(tmp_path / "w", "--name", "w", "--vkey").returncode == 2

    def test_two_programs_do_not_share_them(self, tmp_path: Path) -> None:
        with witnessing(tmp_path / "w"):
            second = run(tmp_path / "w", "--name", "w", "--logs", tmp_path / "w.logs", "--listen", "127.0.0.1:0")
        assert second.returncode == 1
        assert "in use" in second.stderr

    def test_a_damaged_store_is_refused_and_left_as_it_is(self, tmp_path: Path) -> None:
        run(tmp_path / "w", "--name", "w", "--vkey")
        store = tmp_path / "w" / STORE_FILE
        octets = store.read_bytes()[:5_000]
        store.write_bytes(octets)
        (tmp_path / "logs").write_text(log_signer().key.text + "\n")
        told = run(tmp_path / "w", "--name", "w", "--logs", tmp_path / "logs", "--listen", "127.0.0.1:0")
        assert told.returncode == 1
        assert "Traceback" not in told.stderr
        assert store.read_bytes() == octets

    @pytest.mark.parametrize("text", ["", "nonsense\n", "quorum none\n"])
    def test_a_list_of_logs_that_names_none_is_refused(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "logs").write_text(text)
        assert run(tmp_path / "w", "--name", "w", "--logs", tmp_path / "logs").returncode == 2


def test_forks_survive_a_restart(tmp_path: Path) -> None:
    with witnessing(tmp_path / "w") as witness:
        add(witness.address.url, request_of(0, 7))
        add(witness.address.url, request_of(7, 7, OTHER))
    with open_witness_file(tmp_path / "w" / STORE_FILE) as store:
        assert len(store.forks()) == 1
