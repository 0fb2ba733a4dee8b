"""Witnesses for tests: `v2x ledger witness` as a process, and what a log sends to one."""

import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.ledger.add_checkpoint import AddCheckpoint
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.cosignature import find_cosignature
from shared.ledger.merkle import Hash, consistency_proof, tree_root
from shared.ledger.note import VerifierKey, parse_note, parse_vkey, sign_note
from shared.transport.witness_http import WitnessAddress
from tests.helpers.ledger import ORIGIN, NodesOf, log_signer

PROGRAM = Path(sys.executable).parent / "v2x"
PATIENCE_S = 90.0
HONEST = [b"entry %d" % n for n in range(300)]
OTHER = [b"entry 0", *(b"another %d" % n for n in range(1, 300))]
"""Another history, which has one entry in common with the first."""


def note_of(size: int, entries: list[bytes] = HONEST, origin: str = ORIGIN) -> bytes:
    """Return a log's signed checkpoint over its first entries."""
    checkpoint = Checkpoint(origin=origin, tree_size=size, root=tree_root(size, NodesOf(entries)))
    return sign_note(checkpoint.encode(), log_signer(origin))


def proof_of(old: int, new: int, entries: list[bytes] = HONEST) -> tuple[Hash, ...]:
    """Return a consistency proof, empty where there is nothing to prove."""
    return consistency_proof(old, new, NodesOf(entries)) if 0 < old < new else ()


def request_of(old: int, new: int, entries: list[bytes] = HONEST, origin: str = ORIGIN) -> bytes:
    """Return the body of an honest log's request."""
    return AddCheckpoint(old_size=old, proof=proof_of(old, new, entries), note=note_of(new, entries, origin)).encode()


def is_cosigned(note: bytes, key: VerifierKey) -> bool:
    """Say whether a witness has cosigned a note; what it put there must hold."""
    return find_cosignature(parse_note(note), key) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessProcess:
    """A witness that serves; what it logs is in a file."""

    address: WitnessAddress
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> int:
        """Ask it to stop and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


@contextmanager
def witnessing(
    directory: Path, *arguments: str, name: str = "witness.example/w1", origins: tuple[str, ...] = (ORIGIN,)
) -> Iterator[WitnessProcess]:
    """Run `v2x ledger witness` until the block ends."""
    logs, said = directory.with_name(f"{directory.name}.logs"), directory.with_name(f"{directory.name}.log")
    logs.write_text("".join(f"{log_signer(origin).key.text}\n" for origin in origins))
    arguments = ("--time-source", "assume_trusted", *arguments)
    command = [PROGRAM, "ledger", "witness", directory, "--name", name, "--logs", logs, "--listen", "127.0.0.1:0", *arguments]
    with said.open("ab") as errors:
        # Not buffered: a second line that came with the first one would lie where `select` does not see it.
        process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=errors, bufsize=0)
    try:
        assert process.stdout is not None
        words: list[str] = []
        while len(words) < 4 and select.select([process.stdout], [], [], PATIENCE_S)[0]:
            line = process.stdout.readline().decode()
            assert line, said.read_text()
            words += line.split()
        assert words[::2] == ["vkey", "ready"], said.read_text()
        yield WitnessProcess(address=WitnessAddress(key=parse_vkey(words[1]), url=words[3]), process=process, log=said)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(PATIENCE_S)
        if process.stdout is not None:
            process.stdout.close()
