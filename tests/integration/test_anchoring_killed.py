"""Anchoring through everything that interrupts it: kill -9, lost answers, replaced blocks, prices that rise; and its commands."""

import asyncio
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Lock

import pytest

from shared.core.errors import ConfigError, StorageError, TransportError
from shared.operator.anchor_round import Outcome
from shared.operator.anchor_transactions import Patience
from shared.service.anchor_state import AnchorState, Subject
from tests.helpers.anchoring import PATIENCE, Organisation, Served, deployed, environment, key_file, serve_log
from tests.helpers.anvil import CHAIN_ID, Anvil
from tests.helpers.ledger import ORIGIN, MemoryLog, log_signer, policy_of

SEND = "eth_sendRawTransaction"


class Between:
    """Stands between a program and its node, and does to one method what a test wants.

    Args:
        anvil: the node.
        meddle: gets the method and a function that asks the node; gives the answer, None to fall silent, or the method's own.
    """

    def __init__(self, anvil: Anvil, meddle: Callable[[str, Callable[[], bytes]], bytes | None]) -> None:
        self._url = anvil.url
        self._meddle = meddle
        self._lock = Lock()
        self.seen: list[str] = []

    def answer(self, _method: str, _path: str, body: bytes) -> tuple[int, bytes] | None:
        method = json.loads(body)["method"]
        with self._lock:
            self.seen.append(method)

        def ask() -> bytes:
            request = urllib.request.Request(self._url, body, {"content-type": "application/json"})
            with urllib.request.urlopen(request, timeout=20) as response:
                answer: bytes = response.read()
                return answer

        answered = self._meddle(method, ask)
        return None if answered is None else (200, answered)


@dataclass
class Scene:
    """A log with entries, a contract, and one organisation with its files."""

    anvil: Anvil
    directory: Path
    log: MemoryLog
    maker: Organisation
    log_url: str

    def command(self, rpc_url: str, *more: str) -> list[str]:
        policy = self.directory / "policy"
        policy.write_text(f"log {log_signer().key.text}\nquorum none\n")
        return [
            *(sys.executable, "-c", "from shared.cli.main import main; main()", "ledger", "anchor"),
            *(
                "--log",
                self.log_url,
                "--policy",
                str(policy),
                "--rpc",
                rpc_url,
                "--contract",
                "0x" + self.maker.trust.contract.hex(),
            ),
            *("--key", str(key_file(self.directory, "maker")), "--out", str(self.maker.directory), "--pin-node", "anvil", *more),
        ]

    def statements(self) -> int:
        """How many sizes of the log the contract holds."""
        events = self.anvil.ask(
            "eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest", "address": "0x" + self.maker.trust.contract.hex()}
        )
        return sum(len(event["topics"]) == 4 and event["data"] != "0x" for event in events)

    def transactions(self) -> int:
        """How many of the organisation's transactions are in blocks."""
        return int(self.anvil.ask("eth_getTransactionCount", "0x" + self.maker.address.hex(), "latest"), 16)


@pytest.fixture(scope="module")
def anvil() -> Iterator[Anvil]:
    with Anvil() as chain:
        yield chain


@pytest.fixture
def scene(anvil: Anvil, tmp_path: Path) -> Iterator[Scene]:
    contract = deployed(anvil, tmp_path, writers=("maker",))
    log = MemoryLog()
    log.submit(b"entry")
    with serve_log(log) as server:
        maker = Organisation("maker", tmp_path, anvil=anvil, contract=contract, log_url=server.url, policy=policy_of())
        yield Scene(anvil, tmp_path, log, maker, server.url)
    anvil.wait_on_demand(automatic=True)


def killed_when(scene: Scene, reached: Event, between: Between) -> None:
    """Run the program until the moment, and kill it there."""
    with Served(between.answer) as server:
        process = subprocess.Popen(scene.command(server.url), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            assert reached.wait(30)
        finally:
            process.send_signal(signal.SIGKILL)
            said, _ = process.communicate(timeout=20)
        assert process.returncode == -signal.SIGKILL, said.decode()


def test_killed_after_writing_down_and_before_the_node_has_it_nothing_is_lost(scene: Scene) -> None:
    reached, before = Event(), scene.transactions()

    def meddle(method: str, ask: Callable[[], bytes]) -> bytes | None:
        if method != SEND:
            return ask()
        reached.set()
        return None

    killed_when(scene, reached, Between(scene.anvil, meddle))
    pending = scene.maker.state().pending
    assert pending is not None
    assert scene.statements() == 0
    assert scene.maker.round().outcome is Outcome.STOOD  # the statement written down has arrived, and a second was not made
    assert (scene.statements(), scene.transactions()) == (1, before + 1)
    assert scene.maker.state().pending is None


def test_killed_when_the_node_has_it_and_has_not_answered_nothing_is_doubled(scene: Scene) -> None:
    reached, before = Event(), scene.transactions()
    scene.anvil.wait_on_demand(automatic=False)

    def meddle(method: str, ask: Callable[[], bytes]) -> bytes | None:
        answer = ask()
        if method != SEND:
            return answer
        reached.set()
        return None

    killed_when(scene, reached, Between(scene.anvil, meddle))
    assert scene.statements() == 0

    def mine_when_asked_again(method: str, ask: Callable[[], bytes]) -> bytes:
        if method == SEND:
            scene.anvil.wait_on_demand(automatic=True)
            scene.anvil.mine()
        return ask()

    with Served(Between(scene.anvil, mine_when_asked_again).answer) as server:
        result = scene.maker.round(rpc_url=server.url)
    assert result.outcome is Outcome.STOOD
    assert (scene.statements(), scene.transactions()) == (1, before + 1)


def test_killed_when_it_is_in_a_block_the_proof_is_fetched_the_next_time(scene: Scene) -> None:
    reached, before = Event(), scene.transactions()

    def meddle(method: str, ask: Callable[[], bytes]) -> bytes | None:
        if method == "eth_getProof" and scene.statements():
            reached.set()
            return None
        return ask()

    killed_when(scene, reached, Between(scene.anvil, meddle))
    assert [*scene.maker.directory.glob("anchor-*.json")] == []
    result = scene.maker.round()
    assert result.outcome is Outcome.STOOD
    assert result.bundle is not None
    assert result.bundle.exists()
    assert (scene.statements(), scene.transactions()) == (1, before + 1)


def test_a_block_that_is_replaced_takes_the_statement_with_it_and_it_is_sent_again(scene: Scene) -> None:
    replaced = False

    def meddle(method: str, ask: Callable[[], bytes]) -> bytes:
        nonlocal replaced
        answer = ask()
        if method == "eth_getTransactionReceipt" and not replaced and json.loads(answer)["result"] is not None:
            replaced = True
            scene.anvil.ask("anvil_reorg", 1, [])
            for each in scene.anvil.ask("txpool_content")["pending"].values():
                for transaction in each.values():
                    scene.anvil.ask("anvil_dropTransaction", transaction["hash"])
        elif method == "eth_blockNumber":
            scene.anvil.mine()
        return answer

    between = Between(scene.anvil, meddle)
    with Served(between.answer) as server:
        result = scene.maker.round(rpc_url=server.url, patience=replace(PATIENCE, confirmations=2))
    assert replaced
    assert between.seen.count(SEND) == 2
    assert result.anchored is not None
    assert result.anchored.confirmations == 1
    assert scene.statements() == 1


def test_a_statement_that_stays_out_of_blocks_is_offered_for_more_and_counts_once(scene: Scene) -> None:
    before = scene.transactions()
    scene.anvil.wait_on_demand(automatic=False)
    sends = 0

    def meddle(method: str, ask: Callable[[], bytes]) -> bytes:
        nonlocal sends
        answer = ask()
        if method == SEND:
            sends += 1
            if sends == 3:
                assert len(scene.maker.state().pending.sent) == 3  # type: ignore[union-attr]
                scene.anvil.mine()
        return answer

    with Served(Between(scene.anvil, meddle).answer) as server:
        result = scene.maker.round(rpc_url=server.url, patience=replace(PATIENCE, replace_after_s=0))
    assert sends == 3
    assert result.outcome is Outcome.ANCHORED
    assert (scene.statements(), scene.transactions()) == (1, before + 1)


def test_a_statement_that_comes_into_no_block_in_time_stays_written_down(scene: Scene) -> None:
    scene.anvil.wait_on_demand(automatic=False)
    with pytest.raises(TransportError, match="is in no block after 0 s"):
        scene.maker.round(patience=replace(PATIENCE, give_up_after_s=0))
    assert scene.maker.state().pending is not None
    scene.anvil.wait_on_demand(automatic=True)
    scene.anvil.mine()
    assert scene.maker.round().outcome is Outcome.STOOD


def test_what_the_node_will_not_have_is_made_anew_the_next_time(scene: Scene) -> None:
    refusal = b'{"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "insufficient funds"}}'
    poor = Between(scene.anvil, lambda method, ask: refusal if method == SEND else ask())
    with Served(poor.answer) as server, pytest.raises(TransportError, match="insufficient funds"):
        scene.maker.round(rpc_url=server.url)
    assert scene.maker.state().pending is None
    assert scene.maker.round().outcome is Outcome.ANCHORED


def test_a_price_above_what_may_be_paid_sends_nothing(scene: Scene) -> None:
    before = scene.transactions()
    with pytest.raises(TransportError, match="at most 1 are paid"):
        scene.maker.round(patience=replace(PATIENCE, max_price_wei=1))
    assert scene.transactions() == before


def test_two_programs_with_one_key_do_not_double_a_statement(scene: Scene) -> None:
    twin = Organisation(
        "maker", scene.directory, anvil=scene.anvil, contract=scene.maker.trust.contract, log_url=scene.log_url, policy=policy_of()
    )
    twin.directory = scene.directory / "twin"
    twin.directory.mkdir()

    async def both() -> tuple[object, ...]:
        return await asyncio.gather(
            scene.maker.round_async(patience=Patience(poll_s=0.02, give_up_after_s=20)),
            twin.round_async(patience=Patience(poll_s=0.02, give_up_after_s=20)),
            return_exceptions=True,
        )

    results = asyncio.run(both())
    assert any(not isinstance(each, BaseException) for each in results)
    assert scene.statements() == 1


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"format": "other"}', b"\xff", b"null"])
def test_a_damaged_state_is_said_and_not_overwritten(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(damage)
    with pytest.raises(StorageError, match="is damaged"):
        AnchorState(path, Subject(chain_id=CHAIN_ID, contract=Organisation.address_of("contract"), origin=ORIGIN))
    assert path.read_bytes() == damage


def test_the_state_of_another_log_is_not_taken(tmp_path: Path) -> None:
    subject = Subject(chain_id=CHAIN_ID, contract=Organisation.address_of("contract"), origin=ORIGIN)
    AnchorState(tmp_path / "state.json", subject).keep_trusted(b"note\n")
    assert (tmp_path / "state.json").stat().st_mode & 0o777 == 0o600
    assert AnchorState(tmp_path / "state.json", subject).trusted == b"note\n"
    with pytest.raises(ConfigError, match="another log, contract or chain"):
        AnchorState(tmp_path / "state.json", replace(subject, origin="log.example/other"))
