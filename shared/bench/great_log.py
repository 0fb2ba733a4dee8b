"""A log of any size that is nowhere: all entries are the same but a few, and every hash is computed when it is asked for.

Its tree is as high as that of a real log of this size, its tiles and proofs as long; its checkpoints are signed by the log and
cosigned by three witnesses, with keys made when it is made.
"""

from bisect import bisect_left
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shared.ledger.checkpoint import Checkpoint
from shared.ledger.cosignature import cosign, cosigned_message
from shared.ledger.merkle import Hash, Node, inclusion_proof, leaf_hash, node_hash, tree_root
from shared.ledger.note import Ed25519NoteSigner, KeyKind, VerifierKey, add_signatures, parse_note, sign_note
from shared.ledger.policy import Policy, parse_policy
from shared.ledger.proof import TlogProof
from shared.ledger.tiles import CHECKPOINT_PATH, TILE_HEIGHT, TILE_WIDTH, Tile, parse_tile_path

ORIGIN = "log.example.com/odometer"
WITNESSES = tuple(f"witness.example.org/w{number}" for number in (1, 2, 3))

MAX_TREE_HEIGHT = 63
_FIRST_TIME_S = 1_790_000_000
_TIME_OCTETS = 8
_FILLER = b"somebody's entry"


def _filled() -> list[Hash]:
    hashes = [leaf_hash(_FILLER)]
    for _ in range(MAX_TREE_HEIGHT):
        hashes.append(node_hash(hashes[-1], hashes[-1]))
    return hashes


_FILLED = _filled()


class GreatLog:
    """The log, with the keys of it and of its witnesses; a checkpoint is of a time of its own, so none is signed twice."""

    def __init__(self) -> None:
        log = Ed25519PrivateKey.generate()
        self._signer = Ed25519NoteSigner(ORIGIN, log)
        self._witnesses = {name: Ed25519PrivateKey.generate() for name in WITNESSES}
        self._public = {ORIGIN: log.public_key(), **{name: key.public_key() for name, key in self._witnesses.items()}}
        self._time_s = _FIRST_TIME_S

    @property
    def policy_text(self) -> bytes:
        """The policy that accepts it: all three witnesses."""
        lines = [f"log {self._signer.key.text}"]
        for name in WITNESSES:
            vkey = VerifierKey(name=name, kind=KeyKind.COSIGNATURE, public_key=self._public[name].public_bytes_raw())
            lines.append(f"witness {name} {vkey.text}")
        lines += [f"group all-of-them all {' '.join(WITNESSES)}", "quorum all-of-them"]
        return ("\n".join(lines) + "\n").encode()

    @property
    def policy(self) -> Policy:
        """The same, parsed."""
        return parse_policy(self.policy_text)

    def note(self, tree: "GreatTree") -> bytes:
        """Return the checkpoint of a tree, signed and cosigned."""
        self._time_s += 1
        checkpoint = Checkpoint(origin=ORIGIN, tree_size=tree.size, root=tree_root(tree.size, tree))
        note = parse_note(sign_note(checkpoint.encode(), self._signer))
        return add_signatures(
            note,
            tuple(cosign(note.body, name=name, private_key=key, timestamp_s=self._time_s) for name, key in self._witnesses.items()),
        )

    def proof(self, tree: "GreatTree", index: int, note: bytes) -> TlogProof:
        """Return the proof that a tree of this log has the entry it has at an index."""
        return TlogProof(index=index, hashes=inclusion_proof(index, tree.size, tree), signed_note=parse_note(note))

    def answer(self, tree: "GreatTree", path: str) -> bytes:
        """Return what this log serves at a path when it has that tree."""
        return self.note(tree) if path == CHECKPOINT_PATH else tree.tile(path)

    def claims(self, note: bytes) -> list[tuple[Ed25519PublicKey, bytes, bytes]]:
        """Return key, signature and message of each line of a note of this log: what verifying it comes down to."""
        parsed = parse_note(note)
        claims = []
        for line in parsed.signatures:
            if line.name == ORIGIN:
                claims.append((self._public[ORIGIN], line.signature, parsed.body))
            else:
                time, signature = line.signature[:_TIME_OCTETS], line.signature[_TIME_OCTETS:]
                claims.append((self._public[line.name], signature, cosigned_message(parsed.body, int.from_bytes(time))))
        return claims


class GreatTree:
    """The tree of such a log at one size, as a reader of nodes.

    Args:
        size: number of entries.
        entries: those that differ, by index.
    """

    def __init__(self, size: int, entries: Mapping[int, bytes]) -> None:
        self.size = size
        self._entries = entries
        self._indexes = sorted(entries)
        self._known: dict[Node, Hash] = {}

    def __call__(self, node: Node) -> Hash:
        """Return the hash of a complete subtree."""
        first, end = node.index << node.level, (node.index + 1) << node.level
        place = bisect_left(self._indexes, first)
        if place == len(self._indexes) or self._indexes[place] >= end:
            return _FILLED[node.level]
        if node.level == 0:
            return leaf_hash(self._entries[node.index])
        if node not in self._known:
            left, right = Node(node.level - 1, 2 * node.index), Node(node.level - 1, 2 * node.index + 1)
            self._known[node] = node_hash(self(left), self(right))
        return self._known[node]

    def tile(self, path: str) -> bytes:
        """Return the hashes at a path of the tree.

        Raises:
            DecodeError: it is no path of a tile.
        """
        tile = parse_tile_path(path)
        assert isinstance(tile, Tile)
        level, first = TILE_HEIGHT * tile.level, tile.index * TILE_WIDTH
        return b"".join(self(Node(level, first + place)) for place in range(tile.width))
