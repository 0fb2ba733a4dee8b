"""A log node for tests: `v2x ledger serve` as a process, and requests to it."""

import json
import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shared.ledger.checkpoint import parse_checkpoint
from shared.ledger.note import VerifierKey, parse_note, parse_vkey
from tests.helpers.ledger import ORIGIN, ed25519_key
from tests.helpers.witnesses import PATIENCE_S, PROGRAM

TRIES, TRY_S = 900, 0.1
"""How often and how far apart a node that works once a second is looked at until it has failed."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a node answered."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LogProcess:
    """A node that serves; what it logs is in a file."""

    key: VerifierKey
    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answered:
        """Send one request on a connection of its own."""
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return Answered(
                status=answer.status,
                headers={name.lower(): value for name, value in answer.getheaders()},
                body=answer.read(),
            )
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        """Return its status."""
        found: dict[str, Any] = json.loads(self.ask("GET", "/status").body)
        return found

    def published_size(self) -> int:
        """Return the size of the checkpoint it serves; raises unless it is the log's own."""
        checkpoint = parse_checkpoint(parse_note(self.ask("GET", "/checkpoint").body).body)
        assert checkpoint.origin == self.key.name
        return checkpoint.tree_size

    def published(self, size: int) -> bytes:
        """Return the checkpoint it serves once that speaks of so many entries."""

        def look() -> bytes | None:
            answer = self.ask("GET", "/checkpoint")
            is_there = answer.status == 200 and parse_checkpoint(parse_note(answer.body).body).tree_size >= size
            return answer.body if is_there else None

        return self._until(look, f"{size} entries were not published")

    def becomes(self, key: str, words: str) -> str:
        """Return a line of its status once it has these words in it."""

        def look() -> str | None:
            line = str(self.status()[key])
            return line if words in line else None

        return self._until(look, f"never said {words!r}")

    def answers(self, status: int, entry: bytes, *, authorization: str) -> None:
        """Offer an entry until it is answered with this status: what the operator wrote is read once a second."""

        def look() -> Answered | None:
            answer = self.ask("POST", "/add", entry, authorization=authorization)
            return answer if answer.status == status else None

        self._until(look, f"never answered {status}")

    def stop(self) -> int:
        """Ask it to stop and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """End it as when the power goes."""
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def _until(self, look: Callable[[], _T | None], complaint: str) -> _T:
        """Return what there is to see once there is something, as long as the node runs."""
        for _ in range(TRIES):
            if (seen := look()) is not None:
                return seen
            try:
                status = self.process.wait(TRY_S)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"{complaint}, and it ended with status {status}\n{self.log.read_text()}")
        raise AssertionError(f"{complaint}: {self.status()}\n{self.log.read_text()}")


def write_log_key(path: Path, origin: str = ORIGIN) -> None:
    """Write the key of `log_signer` as an operator keeps it: PEM that nobody else reads."""
    path.write_bytes(ed25519_key(origin).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)


@contextmanager
def serving_log(
    directory: Path, *arguments: str | Path, origin: str = ORIGIN, environment: Mapping[str, str] | None = None
) -> Iterator[LogProcess]:
    """Run `v2x ledger serve` until the block ends."""
    said = directory.with_name(f"{directory.name}.log")
    fixed = ("--origin", origin, "--listen", "127.0.0.1:0", "--time-source", "assume_trusted")
    command = [str(word) for word in (PROGRAM, "ledger", "serve", directory, *fixed, *arguments)]
    with said.open("ab") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, bufsize=0, env={**os.environ, **(environment or {})}
        )
    try:
        assert process.stdout is not None
        words: list[str] = []
        while "ready" not in words and select.select([process.stdout], [], [], PATIENCE_S)[0]:
            line = process.stdout.readline().decode()
            assert line, said.read_text()
            words += line.split()
        yield LogProcess(key=parse_vkey(words[1]), url=words[-1], process=process, log=said)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(PATIENCE_S)
        if process.stdout is not None:
            process.stdout.close()
