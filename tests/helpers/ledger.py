"""Small real parts for tests of the ledger and of records: keys from fixed seeds, a tree in memory, a vehicle that signs."""

from hashlib import sha256
from random import Random

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.core.errors import TransportError
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.cosignature import cosign
from shared.ledger.merkle import HASH_BYTES, Hash, Node, leaf_hash, node_hash
from shared.ledger.note import Ed25519NoteSigner, KeyKind, VerifierKey, add_signatures, parse_note, sign_note
from shared.ledger.policy import Policy, parse_policy
from shared.ledger.tiles import CHECKPOINT_PATH, EntryBundle, encode_bundle, parse_tile_path
from shared.ledger.tree import EMPTY_TREE
from shared.records.sd_jwt import Entropy, Es256PublicKey

ORIGIN = "log.example/odometer"


def ed25519_key(name: str) -> Ed25519PrivateKey:
    """A key that follows from a name."""
    return Ed25519PrivateKey.from_private_bytes(sha256(name.encode()).digest())


def log_signer(origin: str = ORIGIN) -> Ed25519NoteSigner:
    """The key of a log."""
    return Ed25519NoteSigner(origin, ed25519_key(origin))


def witness_key(name: str) -> VerifierKey:
    """The verifier key of a witness."""
    return VerifierKey(name=name, kind=KeyKind.COSIGNATURE, public_key=ed25519_key(name).public_key().public_bytes_raw())


def policy_of(*, origin: str = ORIGIN, witnesses: tuple[str, ...] = (), quorum: str = "none") -> Policy:
    """A policy with one log; `quorum` may be `none`, a witness, or a number of the witnesses."""
    lines = [f"log {log_signer(origin).key.text}", *(f"witness {w} {witness_key(w).text}" for w in witnesses)]
    if quorum.isdigit():
        lines.append(f"group enough {quorum} {' '.join(witnesses)}")
        quorum = "enough"
    return parse_policy(("\n".join([*lines, f"quorum {quorum}"]) + "\n").encode())


def naive_root(leaves: list[bytes]) -> Hash:
    """MTH straight from the definition of RFC 6962 2.1."""
    if not leaves:
        return Hash(sha256(b"").digest())
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(naive_root(leaves[:k]), naive_root(leaves[k:]))


class NodesOf:
    """Reads complete subtrees of a list of entries, computed once each."""

    def __init__(self, entries: list[bytes]) -> None:
        self._entries = entries
        self._known: dict[Node, Hash] = {}

    def __call__(self, node: Node) -> Hash:
        if node not in self._known:
            if node.level == 0:
                self._known[node] = leaf_hash(self._entries[node.index])
            else:
                left, right = Node(node.level - 1, 2 * node.index), Node(node.level - 1, 2 * node.index + 1)
                self._known[node] = node_hash(self(left), self(right))
        return self._known[node]


class MemoryLog:
    """A log in memory that can lie: entries may be replaced, checkpoints kept back, paths withheld or falsified."""

    def __init__(self, origin: str = ORIGIN, witnesses: tuple[str, ...] = ()) -> None:
        self.entries: list[bytes] = []
        self.witnesses = witnesses
        self.falsified: dict[str, bytes] = {}
        self.note: bytes = b""
        self.time_s = 1_700_000_000
        self._signer = log_signer(origin)
        self._tiles: dict[tuple[int, int], bytes] = {}
        self.publish()

    def publish(self) -> bytes:
        """Sign a checkpoint over all entries and serve its tree from now on."""
        update = EMPTY_TREE.extended(leaf_hash(entry) for entry in self.entries)
        self._tiles = dict(update.tiles)
        checkpoint = Checkpoint(origin=self._signer.key.name, tree_size=update.tree.size, root=update.tree.root)
        self.note = self.cosigned(sign_note(checkpoint.encode(), self._signer))
        return self.note

    def cosigned(self, note: bytes) -> bytes:
        """Add the cosignatures of this log's witnesses."""
        parsed = parse_note(note)
        lines = tuple(cosign(parsed.body, name=w, private_key=ed25519_key(w), timestamp_s=self.time_s) for w in self.witnesses)
        return add_signatures(parsed, lines) if lines else note

    def submit(self, entry: bytes) -> int:
        """Append, publish, answer the index."""
        if entry in self.entries:
            return self.entries.index(entry)
        self.entries.append(entry)
        self.publish()
        return len(self.entries) - 1

    def read(self, path: str) -> bytes:
        """Serve a tlog-tiles path."""
        if path in self.falsified:
            return self.falsified[path]
        if path == CHECKPOINT_PATH:
            return self.note
        wanted = parse_tile_path(path)
        if isinstance(wanted, EntryBundle):
            first = wanted.index * 256
            return encode_bundle(self.entries[first : first + wanted.width])
        data = self._tiles.get((wanted.level, wanted.index), b"")
        if len(data) < wanted.width * HASH_BYTES:
            raise TransportError(path, "not there")
        return data[: wanted.width * HASH_BYTES]


class Vehicle:
    """Signs records with a P-256 key that follows from a name; the certificate is opaque here."""

    def __init__(self, name: str = "vehicle") -> None:
        scalar = int.from_bytes(sha256(name.encode()).digest()) % (2**255) + 1
        self._key = ec.derive_private_key(scalar, ec.SECP256R1())
        self.certificate = b"certificate of " + name.encode()
        self.authority = b"authority"
        self.sec1 = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        self.public_key = Es256PublicKey(self.sec1)

    def sign_es256(self, message: bytes) -> bytes:
        """Return r || s."""
        r, s = decode_dss_signature(self._key.sign(message, ec.ECDSA(SHA256(), deterministic_signing=True)))
        return r.to_bytes(32) + s.to_bytes(32)


def seeded_entropy(seed: int = 1) -> Entropy:
    """Reproducible salts."""
    return Random(seed).randbytes
