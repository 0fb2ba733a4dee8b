"""The ledger of a run as its vehicles see it: the log, and witnesses of other organisations that cosign its checkpoints.

Logic and stores are those of a real witness (`shared.ledger.witness`, `shared.service.witness_store`); only the network between a
log and its witnesses is left out, so one never is away here.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.core.clock import Instant
from shared.ledger.merkle import Hash, Node, consistency_proof
from shared.ledger.note import KeyKind, VerifierKey
from shared.ledger.policy import Policy
from shared.ledger.tiles import CHECKPOINT_PATH, node_from_tile, tile_of
from shared.ledger.witness import Witness
from shared.ledger.witnessing import WitnessRound, with_cosignatures
from shared.service.log_store import LogStore
from shared.service.witness_store import open_witness_file

WITNESSES = ("witness.club.example", "witness.inspection.example", "witness.insurance.example")
"""An automobile club, a technical inspection body, an insurers' association."""

QUORUM = 2
"""Of them are enough."""

_KEY_BYTES = 32


def draw_witness_keys(rng: Random) -> dict[str, Ed25519PrivateKey]:
    """Draw a key for each witness."""
    return {name: Ed25519PrivateKey.from_private_bytes(rng.randbytes(_KEY_BYTES)) for name in WITNESSES}


def policy_text(log: VerifierKey, keys: dict[str, Ed25519PrivateKey]) -> str:
    """Return the policy of whoever verifies: the log, and `QUORUM` of the witnesses."""
    lines = [f"log {log.text}"]
    for name, key in keys.items():
        public_key = key.public_key().public_bytes_raw()
        lines.append(f"witness {name} {VerifierKey(name=name, kind=KeyKind.COSIGNATURE, public_key=public_key).text}")
    return "\n".join((*lines, f"group witnesses {QUORUM} {' '.join(keys)}", "quorum witnesses", ""))


def make_witnesses(keys: dict[str, Ed25519PrivateKey], *, logs: Policy, directory: Path, stack: ExitStack) -> tuple[Witness, ...]:
    """Set up the witnesses, each with a store of its own that `stack` closes.

    Raises:
        StorageError: a store cannot be made.
    """
    return tuple(
        Witness(name=name, private_key=key, logs=logs, store=stack.enter_context(open_witness_file(directory / f"{name}.sqlite")))
        for name, key in keys.items()
    )


class WitnessedLedger:
    """A log whose checkpoint is read with the cosignatures of its witnesses.

    Args:
        log: the log.
        witnesses: who cosigns.
        now: the simulated time.
    """

    def __init__(self, log: LogStore, witnesses: tuple[Witness, ...], now: Callable[[], Instant]) -> None:
        self._log = log
        self._witnesses = witnesses
        self._now = now
        self._known_sizes = {witness.key.name: 0 for witness in witnesses}
        self._asked: tuple[bytes, bytes] = (b"", b"")

    def submit(self, entry: bytes) -> int:
        """Append an entry and return its index; raises `StorageError`."""
        return self._log.submit(entry)

    def read(self, path: str) -> bytes:
        """Return the bytes at a tlog-tiles path; raises `TransportError` or `StorageError`."""
        return self._log.read(path) if path != CHECKPOINT_PATH else self._cosigned(self._log.checkpoint_note)

    def _cosigned(self, note: bytes) -> bytes:
        asked, answer = self._asked
        if asked != note:
            answer = with_cosignatures(note, tuple(self._ask(witness, note).outcome for witness in self._witnesses))
            self._asked = (note, answer)
        return answer

    def _ask(self, witness: Witness, note: bytes) -> WitnessRound:
        name = witness.key.name
        asking = WitnessRound(note=note, key=witness.key, known_size=self._known_sizes[name], consistency=self._consistency)
        while (body := asking.request()) is not None:
            answer = witness.add_checkpoint(body, self._now())
            asking.answered(answer.status, answer.body, self._now())
        self._known_sizes[name] = asking.known_size
        return asking

    def _consistency(self, old_size: int, new_size: int) -> tuple[Hash, ...]:
        def read(node: Node) -> Hash:
            tile = tile_of(node, new_size)
            return node_from_tile(node, self._log.tile(tile.level, tile.index))

        return consistency_proof(old_size, new_size, read)
