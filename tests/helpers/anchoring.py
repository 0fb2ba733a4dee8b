"""Organisations that anchor one log's checkpoints on one chain: everything real, the log served from memory over HTTP."""

import asyncio
import os
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Self, TypeVar

from eth_account.account import Account
from eth_account.signers.local import LocalAccount

from shared.core.clock import TimeSource
from shared.core.errors import TransportError
from shared.ledger.evm.chain_trust import ChainTrust, PinnedNode
from shared.ledger.evm.primitives import Address
from shared.ledger.policy import Policy
from shared.operator.anchor_round import Anchorer, Anchoring
from shared.operator.anchor_service import approve_writer, deploy_contract
from shared.operator.anchor_transactions import Patience, Sender
from shared.service.anchor_key import address_of
from shared.service.anchor_state import AnchorState, Subject
from shared.service.system_clock import SystemClock
from shared.transport.bounded_http import BoundedHttp
from shared.transport.evm_chain import EvmChain
from tests.helpers.anvil import CHAIN_ID, Anvil
from tests.helpers.ledger import ORIGIN, MemoryLog

T = TypeVar("T")

TLS = ssl.create_default_context()
"""Made once: reading the machine's certificates takes longer than a round."""

PATIENCE = Patience(poll_s=0.02, replace_after_s=10, give_up_after_s=20)


def account(name: str) -> LocalAccount:
    """A key that follows from a name."""
    key: LocalAccount = Account.from_key(sha256(name.encode()).digest())
    return key


def key_file(directory: Path, name: str) -> Path:
    """The same key in a file."""
    path = directory / f"{name}.key"
    path.touch(mode=0o600)
    path.write_text(sha256(name.encode()).hexdigest() + "\n")
    return path


class Served:
    """Answers HTTP on loopback, in a thread.

    Args:
        answer: gets method, path and body, gives status and body; None to fall silent for good.
    """

    def __init__(self, answer: Callable[[str, str, bytes], tuple[int, bytes] | None]) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                answered = answer(self.command, self.path, body)
                if answered is None:
                    self.rfile.read(1)  # until the other end is gone
                    self.close_connection = True
                    return
                self.send_response(answered[0])
                self.send_header("content-length", str(len(answered[1])))
                self.end_headers()
                self.wfile.write(answered[1])

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def serve_log(log: MemoryLog) -> Served:
    """A log over HTTP."""

    def answer(_method: str, path: str, _body: bytes) -> tuple[int, bytes]:
        try:
            return 200, log.read(path[1:])
        except TransportError:
            return 404, b""

    return Served(answer)


class Organisation:
    """One that anchors.

    Args:
        name: its key follows from it.
        directory: its own.
        anvil: the chain.
        contract: where.
        log_url: of the log.
        policy: what it believes of the log.
    """

    def __init__(self, name: str, directory: Path, *, anvil: Anvil, contract: Address, log_url: str, policy: Policy) -> None:
        self.key = account(name)
        self.directory = directory / name
        self.directory.mkdir(exist_ok=True)
        self.trust = ChainTrust(chain_id=CHAIN_ID, contract=contract, by=PinnedNode(name="the test's anvil", headers=frozenset()))
        self.log_url = log_url
        self.policy = policy
        self._rpc_url = anvil.url

    @property
    def address(self) -> Address:
        return address_of(self.key)

    @staticmethod
    def address_of(name: str) -> Address:
        return address_of(account(name))

    def state(self) -> AnchorState:
        return AnchorState(self.directory / "state.json", Subject(chain_id=CHAIN_ID, contract=self.trust.contract, origin=ORIGIN))

    def round(self, *, rpc_url: str | None = None, patience: Patience = PATIENCE) -> Anchoring:
        """One round, as a program freshly started does it."""
        return asyncio.run(self.round_async(rpc_url=rpc_url, patience=patience))

    async def round_async(self, *, rpc_url: str | None = None, patience: Patience = PATIENCE) -> Anchoring:
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(BoundedHttp(tls=TLS))
            chain = await stack.enter_async_context(
                EvmChain(rpc_url or self._rpc_url, http=BoundedHttp(tls=TLS, kept_connections=1))
            )
            anchorer = Anchorer(
                origin=ORIGIN,
                log_url=self.log_url,
                http=http,
                policy=self.policy,
                chain=chain,
                trust=self.trust,
                key=self.key,
                sender=Sender(chain=chain, key=self.key, clock=SystemClock(TimeSource.ASSUME_TRUSTED), patience=patience),
                state=self.state(),
                bundles=self.directory,
            )
            return await anchorer.round()


def deployed(anvil: Anvil, directory: Path, *, writers: tuple[str, ...], governors: tuple[str, ...] = ("governor",)) -> Address:
    """A fresh contract with registered writers of the tests' log."""
    for name in (*governors, *writers):
        anvil.fund(address_of(account(name)))
    addresses = [address_of(account(name)) for name in governors]
    contract = asyncio.run(deploy_contract(anvil.url, key_file(directory, governors[0]), addresses, len(governors)))
    for writer in writers:
        for governor in governors:
            change = (ORIGIN, address_of(account(writer)), True)
            asyncio.run(approve_writer(anvil.url, key_file(directory, governor), contract, change))
    return contract


def environment() -> dict[str, str]:
    """For programs of ours that a test starts."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
