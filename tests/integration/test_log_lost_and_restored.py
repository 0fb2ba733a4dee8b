"""A log's node, its witnesses and its operator's commands, as programs: the disk is lost, and the log goes on where it was."""

import json
import shutil
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from typer.testing import CliRunner, Result

from shared.bench.tile_server import served
from shared.cli.ledger import app
from shared.core.errors import ProofError
from shared.operator.log_node_files import KEY_FILE, STORE_FILE
from tests.helpers.ledger import ORIGIN, log_signer
from tests.helpers.log_node import LogProcess, serving_log, write_log_key
from tests.helpers.witnesses import PATIENCE_S, witnessing


def add(node: LogProcess, entry: bytes) -> int:
    return int(node.ask("POST", "/add", entry).body)


def ledger(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_log_whose_disk_was_lost_goes_on_from_a_backup_and_a_mirror(tmp_path: Path) -> None:
    lost, back, policy, mirror, backup = (tmp_path / name for name in ("lost", "back", "policy", "www", "backup.sqlite"))
    for folder in (lost, back):
        folder.mkdir()
        write_log_key(folder / KEY_FILE)
    with ExitStack() as stack:
        names = ("witness.example/w1", "witness.example/w2")
        witnesses = [stack.enter_context(witnessing(tmp_path / f"w{n}", name=name)).address for n, name in enumerate(names)]
        lines = [f"witness w{n} {witness.key.text} {witness.url}" for n, witness in enumerate(witnesses)]
        policy.write_text("\n".join([f"log {log_signer().key.text}", *lines, "group both all w0 w1", "quorum both", ""]))
        with serving_log(lost, "--policy", policy, "--new") as node:
            assert [add(node, b"entry %d" % n) for n in range(3)] == [0, 1, 2]
            made = ledger("backup", lost, backup)
            assert made.exit_code == 0, made.output
            for n in range(3, 40):
                add(node, b"entry %d" % n)
            last = node.published(40)
            exported = ledger("export", lost, mirror)
            assert exported.exit_code == 0, exported.output
            node.kill()
        shutil.rmtree(lost)
        refused = ledger("restore", backup, back, "--policy", policy)
        assert isinstance(refused.exception, ProofError)
        assert "40 entries that this log has signed, and the last 37 of them are not to be had" in str(refused.exception)
        with serving_log(back, "--policy", policy, "--new") as node:  # by mistake, before it has what it showed
            refusal = node.ask("POST", "/add", b"a second history")
            assert refusal.status == 503
            assert b"backup" in refusal.body
            node.kill()
        with served(mirror) as address:
            restored = ledger("restore", backup, back, "--policy", policy, "--mirror", address, "--json")
        assert restored.exit_code == 0, restored.output
        assert json.loads(restored.stdout) == {
            "origin": ORIGIN,
            "old_size": 3,
            "tree_size": 40,
            "heard": ["w0", "w1"],
            "not_heard": {},
        }
        with serving_log(back, "--policy", policy) as node:
            assert (add(node, b"entry 7"), add(node, b"new")) == (7, 40)
            (tmp_path / "last.note").write_bytes(last)
            node.published(41)
            audited = ledger("audit", node.url, "--policy", policy, "--also", tmp_path / "last.note")
            assert audited.exit_code == 0, audited.output
        for witness in witnesses:
            with urllib.request.urlopen(f"{witness.url}/forks", timeout=PATIENCE_S) as answer:
                assert json.loads(answer.read()) == []
    assert (back / STORE_FILE).exists()
