"""`v2x ledger checkpoint`, `prove` and `check`: a recorded Tessera log over HTTP and as files, and logs that lie."""

import json
import shutil
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from typer.testing import CliRunner, Result

from shared.cli.ledger import app
from shared.core.errors import ConfigError, ProofError, SplitViewError, TransportError, V2xError
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.merkle import EMPTY_ROOT
from shared.ledger.note import sign_note
from shared.ledger.proof import parse_proof
from shared.ledger.tiles import EntryBundle, decode_bundle
from tests.helpers.data import data_file
from tests.helpers.ledger import ORIGIN, MemoryLog, log_signer, policy_of, witness_key

TESSERA_POLICY = "log example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx\nquorum none\n"
SIZE = 15


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The recorded log as it stood when it had 15 entries, with its policy beside it."""
    copy = tmp_path / "log"
    shutil.copytree(data_file("ledger/tessera-log/log"), copy)
    shutil.copy(copy / "checkpoint.15", copy / "checkpoint")
    (tmp_path / "policy").write_text(TESSERA_POLICY)
    return copy


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it is called by
        pass


@pytest.fixture
def url(folder: Path) -> Iterator[str]:
    """The same log, served by a web server that knows nothing of logs."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        serving = Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            serving.join()


@pytest.fixture(params=["folder", "url"])
def place(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(kind: type[V2xError], *arguments: object) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, kind), result.exception
    return str(result.exception)


def entries(folder: Path) -> tuple[bytes, ...]:
    bundle = EntryBundle(0, SIZE)
    return decode_bundle(bundle, (folder / bundle.path).read_bytes())


def laid_out(log: MemoryLog, folder: Path) -> Path:
    """Write a log of up to 256 entries as files."""
    size = len(log.entries)
    for path in ("checkpoint", f"tile/0/000.p/{size}", f"tile/entries/000.p/{size}"):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(log.read(path))
    return folder


def test_a_checkpoint_is_fetched_verified_and_shown(place: str, tmp_path: Path) -> None:
    shown = json.loads(run("checkpoint", place, "--policy", tmp_path / "policy", "--json").stdout)
    assert (shown["origin"], shown["tree_size"], shown["quorum_met"]) == ("example.com/log/testdata", SIZE, True)
    assert shown["signers"] == [TESSERA_POLICY.split()[1]]
    words = run("checkpoint", place, "--policy", tmp_path / "policy").stdout
    assert "none asked for" in words
    assert shown["root"] in words


def test_every_earlier_checkpoint_may_be_pinned(place: str, folder: Path, tmp_path: Path) -> None:
    for pinned in sorted(folder.glob("checkpoint.*")):
        result = run("checkpoint", place, "--policy", tmp_path / "policy", "--pinned", pinned, "--json")
        assert result.exit_code == 0, (pinned, result.exception)
        assert json.loads(result.stdout)["extends_pinned"] is True


def test_a_log_that_went_back_does_not_stand_by_what_it_signed(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "checkpoint.8", folder / "checkpoint")
    pinned = folder / "checkpoint.15"
    assert "fewer than the 15" in refused(ProofError, "checkpoint", folder, "--policy", tmp_path / "policy", "--pinned", pinned)


def test_every_entry_is_proven_and_every_proof_checked_offline(place: str, folder: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy"
    for index, entry in enumerate(entries(folder)):
        proof = tmp_path / f"proof {index}"
        given = ("--entry", entry.hex()) if index % 2 else ()
        assert run("prove", place, "--policy", policy, "--index", index, *given, "--out", proof).exit_code == 0
        assert parse_proof(proof.read_bytes()).index == index
        checked = run("check", proof, "--entry", entry.hex(), "--policy", policy)
        assert checked.stdout.startswith(f"the entry is number {index} of {SIZE} in example.com/log/testdata")
        refused(ProofError, "check", proof, "--entry", (entry + b"!").hex(), "--policy", policy)


def test_a_proof_goes_to_standard_output_and_an_entry_may_be_a_file(folder: Path, tmp_path: Path) -> None:
    policy, entry, proof = tmp_path / "policy", tmp_path / "entry", tmp_path / "proof"
    entry.write_bytes(entries(folder)[4])
    proof.write_text(run("prove", folder, "--policy", policy, "--index", 4, "--entry", entry).stdout)
    shown = json.loads(run("check", proof, "--entry", entry, "--policy", policy, "--json").stdout)
    assert shown == {"log": "example.com/log/testdata", "index": 4, "tree_size": SIZE, "witnesses": []}


def test_what_is_not_in_the_log_is_not_proven(folder: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy"
    wanted = ("prove", folder, "--policy", policy, "--index")
    assert "has no entry 15" in refused(ProofError, *wanted, 15)
    assert "another entry at 3" in refused(ProofError, *wanted, 3, "--entry", entries(folder)[4].hex())
    tile = folder / "tile/0/000.p/15"
    tile.write_bytes(bytes(32) + tile.read_bytes()[32:])
    assert "does not lead to the signed root" in refused(ProofError, *wanted, 3)


def test_an_operators_mistake_is_told_in_a_sentence(folder: Path, tmp_path: Path) -> None:
    policy, other = tmp_path / "policy", tmp_path / "other"
    other.write_text(f"log {log_signer().key.text}\nquorum none\n")
    assert "knows no log" in refused(ProofError, "checkpoint", folder, "--policy", other)
    refused(ConfigError, "checkpoint", folder, "--policy", tmp_path / "absent")
    refused(ConfigError, "checkpoint", tmp_path / "absent", "--policy", policy)
    refused(ConfigError, "checkpoint", folder, "--policy", policy, "--pinned", policy)
    refused(ConfigError, "prove", folder, "--policy", policy, "--index", 1, "--entry", "no hex")
    (folder / "checkpoint").unlink()
    refused(TransportError, "checkpoint", folder, "--policy", policy)
    refused(TransportError, "checkpoint", "http://127.0.0.1:9/", "--policy", policy)


def test_witnesses_are_shown_with_time_and_age_and_their_quorum_is_asked_for(tmp_path: Path) -> None:
    names = ("w1.example", "w2.example")
    log, policy = MemoryLog(witnesses=names[:1]), tmp_path / "policy"
    assert policy_of(witnesses=names, quorum="2").quorum == "enough"
    lines = [
        f"log {log_signer().key.text}",
        *(f"witness {w} {witness_key(w).text}" for w in names),
        "group enough 2 " + " ".join(names),
    ]
    policy.write_text("\n".join([*lines, "quorum enough", ""]))
    log.entries = [b"entry"]
    log.publish()
    folder = laid_out(log, tmp_path / "log")
    result = run("checkpoint", folder, "--policy", policy)
    assert "not met" in result.stdout
    assert "2023-11-14T22:13:20" in result.stdout
    assert "days old" in result.stdout
    assert isinstance(result.exception, ProofError)
    assert "quorum" in refused(ProofError, "prove", folder, "--policy", policy, "--index", 0)
    log.witnesses = names
    log.publish()
    laid_out(log, folder)
    shown = json.loads(run("checkpoint", folder, "--policy", policy, "--out", tmp_path / "seen", "--json").stdout)
    assert [witness["name"] for witness in shown["witnesses"]] == list(names)
    assert (tmp_path / "seen").read_bytes() == log.note


def test_a_fork_is_told_as_one(tmp_path: Path) -> None:
    policy, pinned = tmp_path / "policy", tmp_path / "pinned"
    policy.write_text(f"log {log_signer().key.text}\nquorum none\n")
    pinned.write_bytes(sign_note(Checkpoint(origin=ORIGIN, tree_size=1, root=EMPTY_ROOT).encode(), log_signer()))
    log = MemoryLog()
    log.entries = [b"a", b"b"]
    log.publish()
    refused(SplitViewError, "checkpoint", laid_out(log, tmp_path / "log"), "--policy", policy, "--pinned", pinned)
