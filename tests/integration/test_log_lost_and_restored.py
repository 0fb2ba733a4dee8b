"""A log's node, its witnesses and its operator's commands, as programs: the disk is lost, and the log goes on where it was."""

import json
import select
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner, Result

from shared.bench.tile_server import served
from shared.cli.ledger import app
from shared.core.errors import ProofError
from shared.ledger.checkpoint import parse_checkpoint
from shared.ledger.note import parse_note
from shared.operator.log_node_files import KEY_FILE, STORE_FILE
from tests.helpers.ledger import ORIGIN, ed25519_key, log_signer
from tests.helpers.witnesses import PATIENCE_S, PROGRAM, witnessing

PUBLISHED_WITHIN = 400
"""Readings of the checkpoint after which a node that publishes once a second has failed."""


@contextmanager
def serving(folder: Path, policy: Path) -> Iterator[str]:
    """Run `v2x ledger serve` until the block ends; then it is killed, as when the power goes."""
    said = folder.with_name(f"{folder.name}.log")
    arguments = ("--origin", ORIGIN, "--listen", "127.0.0.1:0", "--policy", policy, "--new", "--time-source", "assume_trusted")
    command = [str(word) for word in (PROGRAM, "ledger", "serve", folder, *arguments)]
    with said.open("ab") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, bufsize=0)
    try:
        assert process.stdout is not None
        words: list[str] = []
        while "ready" not in words and select.select([process.stdout], [], [], PATIENCE_S)[0]:
            line = process.stdout.readline().decode()
            assert line, said.read_text()
            words += line.split()
        yield words[words.index("ready") + 1]
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_S)
        assert process.stdout is not None
        process.stdout.close()


def add(url: str, entry: bytes) -> int:
    with urllib.request.urlopen(urllib.request.Request(f"{url}/add", data=entry, method="POST"), timeout=PATIENCE_S) as answer:
        return int(answer.read())


def published(url: str, size: int) -> bytes:
    """Return the checkpoint a node serves once it speaks of so many entries."""
    for _ in range(PUBLISHED_WITHIN):
        with urllib.request.urlopen(f"{url}/checkpoint", timeout=PATIENCE_S) as answer:
            note: bytes = answer.read()
        if parse_checkpoint(parse_note(note).body).tree_size >= size:
            return note
        select.select([], [], [], 0.05)
    with urllib.request.urlopen(f"{url}/status", timeout=PATIENCE_S) as answer:
        raise AssertionError(f"{size} entries were not published: {answer.read().decode()}")


def ledger(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_log_whose_disk_was_lost_goes_on_from_a_backup_and_a_mirror(tmp_path: Path) -> None:
    node, back, policy, mirror, backup = (tmp_path / name for name in ("node", "back", "policy", "www", "backup.sqlite"))
    key = ed25519_key(ORIGIN).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for folder in (node, back):
        folder.mkdir()
        (folder / KEY_FILE).write_bytes(key)
        (folder / KEY_FILE).chmod(0o600)
    with ExitStack() as stack:
        names = ("witness.example/w1", "witness.example/w2")
        witnesses = [stack.enter_context(witnessing(tmp_path / f"w{n}", name=name)).address for n, name in enumerate(names)]
        lines = [f"witness w{n} {witness.key.text} {witness.url}" for n, witness in enumerate(witnesses)]
        policy.write_text("\n".join([f"log {log_signer().key.text}", *lines, "group both all w0 w1", "quorum both", ""]))
        with serving(node, policy) as url:
            assert [add(url, b"entry %d" % n) for n in range(3)] == [0, 1, 2]
            made = ledger("backup", node, backup)
            assert made.exit_code == 0, made.output
            for n in range(3, 40):
                add(url, b"entry %d" % n)
            last = published(url, 40)
            exported = ledger("export", node, mirror)
            assert exported.exit_code == 0, exported.output
        shutil.rmtree(node)
        refused = ledger("restore", backup, back, "--policy", policy)
        assert isinstance(refused.exception, ProofError)
        assert "40 entries that this log has signed, and the last 37 of them are not to be had" in str(refused.exception)
        with serving(back, policy) as url:  # by mistake, before it has what it showed
            with pytest.raises(urllib.error.HTTPError, match="503") as caught:
                add(url, b"a second history")
            assert b"backup" in caught.value.read()
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
        with serving(back, policy) as url:
            assert (add(url, b"entry 7"), add(url, b"new")) == (7, 40)
            (tmp_path / "last.note").write_bytes(last)
            published(url, 41)
            audited = ledger("audit", url, "--policy", policy, "--also", tmp_path / "last.note")
            assert audited.exit_code == 0, audited.output
        for witness in witnesses:
            with urllib.request.urlopen(f"{witness.url}/forks", timeout=PATIENCE_S) as answer:
                assert json.loads(answer.read()) == []
    assert (back / STORE_FILE).exists()
