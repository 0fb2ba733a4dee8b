"""Proofs made by a log itself from its own tiles: of inclusion, as texts that verify offline, and of consistency, for witnesses."""

from shared.core.errors import ProofError
from shared.ledger.checkpoint import parse_checkpoint
from shared.ledger.merkle import Hash, Node, consistency_proof, inclusion_proof
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

    return TlogProof(index=index, hashes=inclusion_proof(index, size, read), signed_note=parse_note(note)).encode()


def prove_consistent(log: LogStore, old_size: int, new_size: int) -> tuple[Hash, ...]:
    """Return the proof that the log's tree of `old_size` entries (more than 0) is a prefix of that of `new_size`.

    Raises:
        ProofError: there were no such trees.
        StorageError: the file failed or is damaged.
    """
    size = log.size
    if not 0 < old_size < new_size <= size:
        raise ProofError(f"a log of {size} entries has no proof from {old_size} to {new_size} entries")

    def read(node: Node) -> Hash:
        tile = tile_of(node, new_size)
        return node_from_tile(node, log.tile(tile.level, tile.index))

    return consistency_proof(old_size, new_size, read)
