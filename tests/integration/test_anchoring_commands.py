"""`v2x ledger anchor` as an operator types it: a key, a contract, a writer, anchors, and a check without any network."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from shared.cli.main import app
from shared.core.errors import ConfigError, DecodeError, ProofError, SplitViewError
from shared.ledger.evm.bundle import parse_bundle
from shared.ledger.evm.header import decode_header
from tests.helpers.anchoring import environment, serve_log
from tests.helpers.anvil import CHAIN_ID, Anvil
from tests.helpers.ledger import MemoryLog, log_signer
from tests.helpers.qbft import Consortium


def v2x(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["ledger", "anchor", *map(str, arguments)])


def said(*arguments: str | Path) -> str:
    result = v2x(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout.strip()


@dataclass
class Anchored:
    """What an operator has after the first anchoring."""

    directory: Path
    policy: Path
    bundle: Path
    contract: str
    log: MemoryLog
    story: list[str]

    def trust(self, *, consortium: Consortium | None = None) -> Path:
        """A chain trust file: the node that was pinned, or a consortium."""
        header = decode_header(parse_bundle(self.bundle.read_bytes()).header)
        path = self.directory / "trust.toml"
        text = f'chain_id = {CHAIN_ID}\ncontract = "{self.contract}"\n'
        if consortium is None:
            text += f'[pinned_node]\nname = "the bench"\nheaders = ["0x{header.hash().hex()}"]\n'
        else:
            addresses = [f"0x{each.hex()}" for each in consortium.addresses]
            text += f"[[validators]]\nfrom_block = 0\naddresses = {json.dumps(addresses)}\n"
        path.write_text(text)
        return path

    def check(self, trust: Path, *more: str | Path) -> Result:
        return v2x("check", self.bundle, "--chain-trust", trust, "--policy", self.policy, *more)


@pytest.fixture(scope="module")
def anchored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anchored]:
    directory = tmp_path_factory.mktemp("operator")
    log = MemoryLog()
    for number in range(5):
        log.submit(b"entry %d" % number)
    policy = directory / "policy"
    policy.write_text(f"log {log_signer().key.text}\nquorum none\n")
    key, governor = directory / "maker.key", directory / "governor.key"
    with Anvil() as anvil, serve_log(log) as server:
        address, governs = said("key", "--out", key), said("key", "--out", governor)
        for each in (address, governs):
            anvil.ask("anvil_setBalance", each, hex(10**21))
        contract = said("deploy", "--rpc", anvil.url, "--key", governor, "--governor", governs)
        origin = log_signer().key.name
        story = [
            said("writer", "--rpc", anvil.url, "--key", governor, "--contract", contract, "--origin", origin, "--writer", address)
        ]
        anchor: list[str | Path] = [
            "--log",
            server.url,
            "--policy",
            policy,
            "--rpc",
            anvil.url,
            "--key",
            key,
            "--contract",
            contract,
        ]
        anchor += ["--out", directory / "anchors", "--pin-node", "the bench"]
        story += [said(*anchor), said(*anchor)]
        story.append(run_until_second_round(anchor, log))
        yield Anchored(directory, policy, directory / "anchors" / "anchor-5.json", contract, log, story)


def run_until_second_round(anchor: list[str | Path], log: MemoryLog) -> str:
    """Anchor every tenth of a second, grow the log after the first round, and stop as systemd does."""
    program = [
        sys.executable,
        "-uc",
        "from shared.cli.main import main; main()",
        "ledger",
        "anchor",
        *map(str, anchor),
        "--every",
        "0.1",
    ]
    lines: list[str] = []
    with subprocess.Popen(program, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if line.startswith("stood size 5"):
                log.submit(b"one more")
            if line.startswith("stood size 6"):
                break
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    return "".join(lines)


def test_an_operator_gets_from_a_key_to_a_proof(anchored: Anchored) -> None:
    writer, first, second, periodic = anchored.story
    assert writer == "in effect"
    assert "anchored size 5" in first
    assert "DEVELOPMENT CHAIN" in first
    assert "stood size 5" in second
    assert "anchored size 6" in periodic
    assert (anchored.directory / "maker.key").stat().st_mode & 0o777 == 0o600


def test_a_proof_is_checked_offline_and_a_development_chain_is_said_loudly(anchored: Anchored) -> None:
    result = anchored.check(anchored.trust())
    assert result.exit_code == 0, result.output
    assert "DEVELOPMENT CHAIN" in result.stdout
    assert "5 entries of log.example/odometer: held since block" in result.stdout
    table = json.loads(anchored.check(anchored.trust(), "--json").stdout.splitlines()[-1])
    assert (table["verified"], table["tree_size"], table["confirmations"], table["development"]) == (True, 5, 1, True)


def test_a_proof_sealed_by_a_consortium_is_checked_offline(anchored: Anchored, tmp_path: Path) -> None:
    four = Consortium()
    bundle = parse_bundle(anchored.bundle.read_bytes())
    sealed = four.sealed(decode_header(bundle.header)).encode().hex()
    copy = tmp_path / "bundle.json"
    copy.write_text(anchored.bundle.read_text().replace(bundle.header.hex(), sealed))
    trust = anchored.trust(consortium=four)
    result = v2x("check", copy, "--chain-trust", trust, "--policy", anchored.policy)
    assert "on the word of 4 of 4 named validators." in result.stdout
    assert "DEVELOPMENT" not in result.stdout
    stranger = anchored.trust(consortium=Consortium(("a", "b", "c", "d")))
    assert isinstance(v2x("check", copy, "--chain-trust", stranger, "--policy", anchored.policy).exception, ProofError)


def test_a_checkpoint_that_contradicts_the_proof_is_shown_beside_it(anchored: Anchored, tmp_path: Path) -> None:
    lie = MemoryLog()
    for number in range(5):
        lie.submit(b"another %d" % number)
    note = tmp_path / "trusted.note"
    note.write_bytes(lie.note)
    result = anchored.check(anchored.trust(), "--trusted", note)
    assert isinstance(result.exception, SplitViewError)
    assert lie.note.decode() in result.stderr
    assert parse_bundle(anchored.bundle.read_bytes()).note.decode() in result.stderr


def test_a_checkpoint_of_another_size_is_compared_by_tiles(anchored: Anchored, tmp_path: Path) -> None:
    note = tmp_path / "trusted.note"
    note.write_bytes(anchored.log.note)
    assert isinstance(anchored.check(anchored.trust(), "--trusted", note).exception, ConfigError)
    tile = tmp_path / "tile/0/000.p/6"
    tile.parent.mkdir(parents=True)
    tile.write_bytes(anchored.log.read("tile/0/000.p/6"))
    assert anchored.check(anchored.trust(), "--trusted", note, "--tiles", tmp_path).exit_code == 0
    tile.write_bytes(bytes(6 * 32))
    assert isinstance(anchored.check(anchored.trust(), "--trusted", note, "--tiles", tmp_path).exception, ProofError)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("v2x-anchor/1", "v2x-anchor/2"),
        ('"chain_id": 31337', '"chain_id": true'),
        ('"chain_id": 31337', '"chain_id": 31337, "chain_id": 31337'),
        ('"note": "', '"colour": "red", "note": "'),
        ('"header": "0x', '"header": "0x0'),
        ('"header": "', '"header": 5, "note": "'),
        ('"nodes": [', '"nodes": [5, '),
        ('"place": 0', '"place": -1'),
        ('"account_proof": [', '"account_proof": ["0xzz", '),
        ("{", "[" * 3000),
    ],
)
def test_a_file_that_is_no_proof_is_refused_with_a_sentence(anchored: Anchored, tmp_path: Path, old: str, new: str) -> None:
    copy = tmp_path / "bundle.json"
    text = anchored.bundle.read_text()
    assert old in text
    copy.write_text(text.replace(old, new, 1))
    result = v2x("check", copy, "--chain-trust", anchored.trust(), "--policy", anchored.policy)
    assert isinstance(result.exception, DecodeError), result.exception


def test_what_is_missing_on_the_command_line_is_named(tmp_path: Path, anchored: Anchored) -> None:
    assert "--log, --policy, --rpc, --key must be given" in str(v2x().exception)
    asked: list[str | Path] = ["--log", "http://127.0.0.1:1", "--policy", anchored.policy, "--rpc", "http://127.0.0.1:1"]
    key = anchored.directory / "maker.key"
    assert "--pin-node" in str(v2x(*asked, "--key", key).exception)
    open_key = tmp_path / "open.key"
    open_key.write_text(key.read_text())
    open_key.chmod(0o644)
    assert v2x(*asked, "--key", open_key, "--pin-node", "x", "--contract", anchored.contract, "--out", tmp_path).exit_code == 2
    assert isinstance(
        v2x(*asked, "--key", key, "--chain-trust", anchored.trust(), "--contract", "0x" + "11" * 20).exception, ConfigError
    )
    assert isinstance(v2x(*asked, "--key", key, "--pin-node", "x", "--origin", "other").exception, ConfigError)
