"""Anvil, a real EVM chain in one process on loopback; `make test` fetches it from npm into the virtual environment.

Where npm is there and anvil is not, a test skips, and fails under `CI=true`. Where npm itself is not there it skips in any case:
Debian's package pulls in hundreds of others.
"""

import json
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Self

import pytest

from shared.ledger.evm.primitives import Address
from tests.helpers.debian import under_ci

CHAIN_ID = 31_337


def require_anvil() -> str:
    """The program's path."""
    fetched = Path(sys.prefix, "anvil", "anvil")
    found = str(fetched) if fetched.exists() else shutil.which("anvil")
    if found is not None:
        return found
    if shutil.which("npm") is None:
        pytest.skip("anvil is not here, nor npm, which `make test` fetches it with: apt install npm")
    reason = "anvil is not here: `make test` fetches it with npm"
    if under_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


class Anvil:
    """A chain that mines each transaction at once, or when told to.

    Args:
        arguments: further ones of the program.
    """

    def __init__(self, *arguments: str) -> None:
        command = [require_anvil(), "--port", "0", "--chain-id", str(CHAIN_ID), "--accounts", "0", *arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self._process.stdout is not None
        said: list[str] = []
        for line in self._process.stdout:
            said.append(line)
            if line.startswith("Listening on "):
                self.url = "http://" + line.split()[-1]
                self._reader = Thread(target=self._read_on)  # it would stand still with nobody reading
                self._reader.start()
                return
        pytest.fail("anvil did not start: " + "".join(said))

    def ask(self, method: str, *params: object) -> Any:
        """The node's answer, past everything of ours."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.url, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as response:
            answer = json.load(response)
        assert "error" not in answer, answer
        return answer["result"]

    def fund(self, address: Address) -> None:
        """Give an account a thousand coins."""
        self.ask("anvil_setBalance", "0x" + address.hex(), hex(10**21))

    def mine(self, blocks: int = 1) -> None:
        """Make blocks."""
        self.ask("anvil_mine", hex(blocks))

    def wait_on_demand(self, *, automatic: bool) -> None:
        """Mine each transaction at once, or leave it to `mine`."""
        self.ask("evm_setAutomine", automatic)

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(20)
        self._reader.join(20)

    def _read_on(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as said:
            for _ in said:
                pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
