"""`v2x ledger export`, `backup`, `restore` and `rotate` as an operator types them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from shared.cli.ledger import app
from shared.core.errors import V2xError
from shared.ledger.note import Ed25519NoteSigner
from shared.operator.log_node_files import KEY_FILE, NEWER_FILE, STORE_FILE
from shared.service.log_rotation import next_key_path
from shared.service.log_store import LogStore, load_or_create_log_key, open_log_store
from tests.helpers.ledger import ORIGIN

ENTRIES = [b"entry %d" % n for n in range(600)]


class Node:
    """The directory of a node that does not run at the moment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = folder / KEY_FILE

    def open(self) -> LogStore:
        return open_log_store(self.folder / STORE_FILE, Ed25519NoteSigner(ORIGIN, load_or_create_log_key(self.key)))

    def grow(self, size: int) -> None:
        with self.open() as log:
            log.append(ENTRIES[:size])
            log.publish(log.checkpoint_note)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    made = Node(tmp_path / "node")
    made.grow(300)
    return made


@pytest.fixture
def policy(node: Node, tmp_path: Path) -> Path:
    with node.open() as log:
        (tmp_path / "policy").write_text(f"log {log.vkey}\nquorum none\n")
    return tmp_path / "policy"


def ledger(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refusal(*arguments: str | Path) -> str:
    """Return the sentence a command ends with that refuses."""
    told = ledger(*arguments)
    assert isinstance(told.exception, V2xError)
    return str(told.exception)


def test_an_export_is_read_by_the_projects_own_commands(node: Node, policy: Path, tmp_path: Path) -> None:
    out = tmp_path / "www"
    told = ledger("export", node.folder, out)
    assert told.exit_code == 0, told.output
    assert f"{ORIGIN}: 300 entries in {out}, 300 of them new" in told.output
    assert ledger("audit", out, "--policy", policy).exit_code == 0
    seen = json.loads(ledger("checkpoint", out, "--policy", policy, "--json").output)
    assert (seen["origin"], seen["tree_size"]) == (ORIGIN, 300)
    proof = ledger("prove", out, "--policy", policy, "--index", "7", "--out", tmp_path / "proof")
    assert proof.exit_code == 0, proof.output
    (tmp_path / "entry").write_bytes(ENTRIES[7])
    checked = ledger("check", tmp_path / "proof", "--policy", policy, "--entry", tmp_path / "entry")
    assert checked.exit_code == 0, checked.output
    node.grow(600)
    again = json.loads(ledger("export", node.folder / STORE_FILE, out, "--json").output)
    assert (again["old_size"], again["tree_size"]) == (300, 600)
    assert ledger("audit", out, "--policy", policy).exit_code == 0


def test_nothing_is_exported_beside_the_key_of_a_log(node: Node) -> None:
    before = sorted(path.name for path in node.folder.iterdir())
    assert "has log.key in it, which is not for everybody" in refusal("export", node.folder, node.folder)
    assert sorted(path.name for path in node.folder.iterdir()) == before


def test_a_backup_that_is_not_there_leaves_no_directory_behind(policy: Path, tmp_path: Path) -> None:
    sentence = refusal("restore", tmp_path / "absent", tmp_path / "back", "--policy", policy)
    assert sentence.endswith("absent: does not exist")
    assert not (tmp_path / "back").exists()


def test_a_log_that_was_lost_is_put_back_from_its_backup_and_its_export(node: Node, policy: Path, tmp_path: Path) -> None:
    backup, out, back = tmp_path / "backup.sqlite", tmp_path / "www", Node(tmp_path / "back")
    made = ledger("backup", node.folder, backup)
    assert made.exit_code == 0
    assert "300 entries, checked" in made.output
    assert "its private key is not in it" in made.output
    node.grow(600)
    ledger("export", node.folder, out)
    command = ("restore", backup, back.folder, "--policy", policy, "--mirror", out)
    assert "put the log's key there, or name it with --key" in refusal(*command)
    back.key.write_bytes(node.key.read_bytes())
    back.key.chmod(0o600)
    assert "only you can" in refusal(*command)
    again = ledger(*command)
    assert again.exit_code == 1
    assert "was put back before" in again.output
    told = ledger(*command, "--on-my-word")
    assert told.exit_code == 0, told.output
    assert f"{ORIGIN}: 600 entries" in told.output
    with back.open() as log:
        assert log.append([b"new", ENTRIES[400]]) == (600, 400)
    assert "is no copy: nothing was changed" in refusal(*command)


def test_the_key_comes_back_with_a_backup_that_has_it(node: Node, policy: Path, tmp_path: Path) -> None:
    backup, back = tmp_path / "backup.sqlite", Node(tmp_path / "back")
    made = ledger("backup", node.folder, backup, "--with-key")
    assert "keep it like the key itself" in made.output
    told = ledger("restore", backup, back.folder, "--policy", policy, "--on-my-word", "--json")
    assert told.exit_code == 0, told.output
    assert json.loads(told.output) == {"origin": ORIGIN, "old_size": 300, "tree_size": 300, "heard": [], "not_heard": {}}
    assert back.key.read_bytes() == node.key.read_bytes()
    with back.open() as log:
        assert log.submit(b"new") == 300


def test_entries_that_nobody_has_end_in_a_sentence(node: Node, policy: Path, tmp_path: Path) -> None:
    backup, seen = tmp_path / "backup.sqlite", tmp_path / "seen.note"
    ledger("backup", node.folder, backup, "--with-key")
    node.grow(600)
    with node.open() as log:
        seen.write_bytes(log.checkpoint_note)
    command = ("restore", backup, tmp_path / "back", "--policy", policy, "--newest", seen, "--on-my-word")
    told = refusal(*command)
    assert "600 entries that this log has signed, and the last 300 of them are not to be had: no mirror was named" in told
    assert "begin a new one with a new key under a new origin" in told


def test_a_directory_that_was_put_back_by_hand_is_repaired_where_it_is(node: Node, policy: Path, tmp_path: Path) -> None:
    store, image = node.folder / STORE_FILE, tmp_path / "image"
    image.write_bytes(store.read_bytes())
    node.grow(600)
    ledger("export", node.folder, tmp_path / "www")
    with node.open() as log:
        (node.folder / NEWER_FILE).write_bytes(log.checkpoint_note)
    store.write_bytes(image.read_bytes())
    with node.open() as log:
        log.mark_restored(is_restored=True)  # as the node does when witnesses show it that file
    command = ("restore", store, node.folder, "--policy", policy, "--on-my-word")
    assert "the last 300 of them are not to be had" in refusal(*command)
    told = ledger(*command, "--mirror", tmp_path / "www")
    assert told.exit_code == 0, told.output
    assert not (node.folder / NEWER_FILE).exists()
    with node.open() as log:
        assert log.append([b"new", ENTRIES[400]]) == (600, 400)


def test_a_key_is_changed_step_by_step(node: Node, tmp_path: Path) -> None:
    assert "no change of the key is under way" in ledger("rotate", "status", node.folder).output
    begun = ledger("rotate", "begin", node.folder)
    assert begun.exit_code == 0, begun.output
    lines = [line for line in begun.output.splitlines() if line.startswith(f"log {ORIGIN}+")]
    assert len(lines) == 2
    assert "has not signed what was handed out last" in refusal("rotate", "finish", node.folder)
    signers = [Ed25519NoteSigner(ORIGIN, load_or_create_log_key(p)) for p in (node.key, next_key_path(node.key))]
    with open_log_store(node.folder / STORE_FILE, signers[0], next_signer=signers[1]) as log:
        log.publish(log.checkpoint_note)
    assert "when every reader has both lines" in ledger("rotate", "status", node.folder).output
    done = ledger("rotate", "finish", node.folder)
    assert done.exit_code == 0, done.output
    status = json.loads(ledger("rotate", "status", node.folder, "--json").output)
    assert (status["key"], status["next"]) == (lines[1].removeprefix("log "), None)
    ledger("export", node.folder, tmp_path / "www")
    for line in lines:
        (tmp_path / "policy").write_text(f"{line}\nquorum none\n")
        assert ledger("audit", tmp_path / "www", "--policy", tmp_path / "policy").exit_code == 0
