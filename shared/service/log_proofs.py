"""Proofs of inclusion made by a log itself: `tlog-proof@v1` texts that verify offline, from the embedded ledger's own tiles."""

from shared.core.errors import ProofError
from shared.ledger.checkpoint import parse_checkpoint
from shared.ledger.merkle import Hash, Node, inclusion_proof
from shared.ledger.note import parse_note
from shared.ledger.proof import TlogProof
from shared.ledger.tiles import node_from_tile, tile_of
from shared.service.log_store import LogStore


def prove_logged(log: LogStore, index: int) -> bytes:
    """Return the proof that entry `index` is in the log's newest checkpoint.

    Raises:
        ProofError: the log has no such entry.
        StorageError: the file failed or is damaged.
    """
    note = log.checkpoint_note
    size = parse_checkpoint(parse_note(note).body).tree_size
    if not 0 <= index < size:
        raise ProofError(f"the log of {size} entries has no entry {index}")

    def read(node: Node) -> Hash:
        tile = tile_of(node, size)
        return node_from_tile(node, log.tile(tile.level, tile.index))

    return TlogProof(index=index, hashes=inclusion_proof(index, size, read), note=note).encode()
