"""What the light client adds to a process that has everything else: itself, its imports, and a round of all the proofs it does.

`python -m shared.bench.light_client_child` is that process. Its task is a line on standard input: the policy, the note it trusts,
entries with their indexes, each in hexadecimal. Then it asks for paths, one a line, and reads what a log answers. At the end it
says how many entries were proven, and by how many octets the memory it holds had grown at most.
"""

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cryptography.hazmat.primitives.asymmetric import ec, ed25519  # this and the core are what an agent has loaded anyway

from shared.core import errors, value
from shared.core.errors import TransportError

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_RESET_PEAK = "5"
_OCTETS_PER_KIB = 1_024
_LOADED = (ec, ed25519, errors, value)

Serve = Callable[[str], bytes]
"""What a log answers to a path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a light client is to do: move on from a note, and prove entries by their index."""

    policy: bytes
    note: bytes
    entries: Mapping[int, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What it took: entries proven, and octets of memory at most."""

    proven: int
    octets: int


def measure_client(task: Task, serve: Serve) -> Added:
    """Let a process of its own do a task.

    Raises:
        TransportError: the process ended without an answer.
    """
    command = [sys.executable, "-m", "shared.bench.light_client_child"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603 - this very module
        assert process.stdin is not None
        assert process.stdout is not None
        entries = ",".join(f"{index}:{entry.hex()}" for index, entry in task.entries.items())
        _tell(process.stdin, f"{task.policy.hex()} {task.note.hex()} {entries}")
        for line in process.stdout:
            match line.decode().split():
                case ["path", path]:
                    _tell(process.stdin, serve(path).hex())
                case ["added", proven, octets]:
                    return Added(proven=int(proven), octets=int(octets))
                case _:
                    break
    raise TransportError("light client", "the process that measures it ended without an answer")


def _tell(stream: IO[bytes], line: str) -> None:
    stream.write(line.encode() + b"\n")
    stream.flush()


def _memory_octets(name: str) -> int:
    """Return what the kernel says of this process: `VmRSS` is held now, `VmHWM` at most since the peak was reset."""
    for line in _STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * _OCTETS_PER_KIB
    raise TransportError(str(_STATUS), f"does not say {name}")


def _main() -> None:
    policy_hex, note_hex, entries = sys.stdin.readline().split()
    task = [(int(index), bytes.fromhex(entry)) for index, entry in (each.split(":") for each in entries.split(","))]
    _CLEAR_REFS.write_text(_RESET_PEAK, encoding="ascii")
    before = _memory_octets("VmRSS")
    proven = _follow(bytes.fromhex(policy_hex), bytes.fromhex(note_hex), task)
    sys.stdout.write(f"added {proven} {_memory_octets('VmHWM') - before}\n")


def _follow(policy: bytes, note: bytes, task: list[tuple[int, bytes]]) -> int:
    """Import the light client and do its round; what comes in is read from standard input as an agent reads from a socket."""
    from shared.ledger.light_client import LightClient  # noqa: PLC0415 - its imports are what is measured
    from shared.ledger.policy import parse_policy  # noqa: PLC0415
    from shared.ledger.proof import proof_of  # noqa: PLC0415
    from shared.ledger.verify import Included  # noqa: PLC0415

    rules = parse_policy(policy)
    client = LightClient(origin=rules.logs[0].key.name, policy=rules, trusted_note=note)
    for index, entry in task:
        client.prove(entry, index)
    proofs: list[bytes] = []
    client.begin()
    while wanted := client.wants():
        for path in wanted:
            sys.stdout.write(f"path {path}\n")
            sys.stdout.flush()
            events = client.give(path, bytes.fromhex(sys.stdin.readline()))
            proofs += [proof_of(event).encode() for event in events if isinstance(event, Included)]
    return len(proofs)


if __name__ == "__main__":
    _main()
