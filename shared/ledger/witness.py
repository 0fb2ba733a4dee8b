"""A witness: cosigns checkpoints of the logs it knows, and never two histories of one log (C2SP tlog-witness, the server's side).

    400 malformed, or `old` larger than the checkpoint      404 a log it does not know      403 not signed by that log
    409 with the size it has    `old` is not what it cosigned last
    422 the proof does not hold, or another root for a size it has cosigned
    200 with its cosignature    503 it does not know the time

The decision is made here, without input or output; a store compares and keeps before anything is answered, so whenever the power
goes, what a log was given is on disk. Two signed statements of a log that cannot both be true are kept, both notes. Serving it over
HTTP is left to a node.
"""

from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.core.clock import NS_PER_S, Instant
from shared.core.errors import DecodeError, ProofError, SplitViewError
from shared.ledger.add_checkpoint import AddCheckpoint, parse_add_checkpoint
from shared.ledger.checkpoint import Checkpoint, parse_checkpoint
from shared.ledger.cosignature import cosign
from shared.ledger.merkle import Hash, roots_from_consistency
from shared.ledger.note import KeyKind, SignedNote, VerifierKey, add_signatures, check_name, encode_note, parse_note, signatures_by
from shared.ledger.policy import Policy
from shared.ledger.verify import SignedCheckpoint, verify_signed

SIZE_CONTENT_TYPE = "text/x.tlog.size"
TEXT_CONTENT_TYPE = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """The checkpoint of a log that a witness cosigned last: its size, its root, and the note.

    The note has the log's signatures and the witness's cosignature and no other line: whoever submits it could add any.
    """

    tree_size: int
    root: Hash
    note: bytes


class WitnessStore(Protocol):
    """Where a witness keeps what it has cosigned. Every method raises `StorageError` where the store fails."""

    def cosigned(self, origin: str) -> Cosigned | None:
        """Return what was cosigned last for a log, None for nothing yet."""
        ...

    def advance(self, origin: str, *, expected: Cosigned | None, cosigned: Cosigned) -> bool:
        """Move a log on from `expected`, for good, in one step; return False, with nothing changed, if it stands elsewhere."""
        ...

    def keep_fork(self, origin: str, contradiction: SplitViewError) -> None:
        """Keep both notes of a contradiction."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessAnswer:
    """What is answered: an HTTP status, a body, its content type, and one word for whoever counts."""

    status: int
    body: bytes
    word: str
    content_type: str = TEXT_CONTENT_TYPE


class Witness:
    """One witness.

    Args:
        name: of its key.
        private_key: cosigns.
        logs: the policy whose `log` lines it cosigns for; its witnesses and quorum mean nothing here.
        store: keeps what it cosigned.

    Raises:
        DecodeError: the name is none.
    """

    def __init__(self, *, name: str, private_key: Ed25519PrivateKey, logs: Policy, store: WitnessStore) -> None:
        check_name(name, "witness.name")
        self._name = name
        self._private_key = private_key
        self._logs = Policy(logs=logs.logs, witnesses=(), groups=(), quorum=None)
        self._store = store

    @property
    def key(self) -> VerifierKey:
        """What policies call it by."""
        public_key = self._private_key.public_key().public_bytes_raw()
        return VerifierKey(name=self._name, kind=KeyKind.COSIGNATURE, public_key=public_key)

    def add_checkpoint(self, body: bytes, now: Instant) -> WitnessAnswer:
        """Answer one request.

        Raises:
            StorageError: the store failed; nothing was cosigned, and asking again is harmless.
        """
        try:
            request = parse_add_checkpoint(body)
            checkpoint = parse_checkpoint(parse_note(request.note).body)
        except DecodeError as error:
            return _refused(400, "malformed", str(error))
        if not self._logs.log_keys(checkpoint.origin):
            return _refused(404, "unknown_log", "this witness does not know the log")
        try:
            signed = verify_signed(request.note, self._logs)
        except ProofError as error:
            return _refused(403, "signature", str(error))
        if request.old_size > checkpoint.tree_size:
            return _refused(400, "shrinking", f"{checkpoint.tree_size} entries cannot extend {request.old_size}")
        if now.utc is None:
            return _refused(503, "clock", "this witness does not know the time")
        return self._decide(request, signed, now.utc // NS_PER_S)

    def _decide(self, request: AddCheckpoint, signed: SignedCheckpoint, timestamp_s: int) -> WitnessAnswer:
        checkpoint = signed.checkpoint
        before = self._store.cosigned(checkpoint.origin)
        if request.old_size != (0 if before is None else before.tree_size):
            return self._elsewhere(checkpoint.origin, request.old_size)
        note = self._signed_part(parse_note(signed.note), checkpoint.origin)
        try:
            _check_extends(before, request.proof, checkpoint, note.encoded)
        except SplitViewError as contradiction:
            self._store.keep_fork(checkpoint.origin, contradiction)
            return _refused(422, "fork", str(contradiction))
        except ProofError as error:
            return _refused(422, "proof", str(error))
        line = cosign(note.body, name=self._name, private_key=self._private_key, timestamp_s=timestamp_s)
        kept = add_signatures(note, (line,))
        cosigned = Cosigned(tree_size=checkpoint.tree_size, root=checkpoint.root, note=kept)
        if not self._store.advance(checkpoint.origin, expected=before, cosigned=cosigned):
            return self._elsewhere(checkpoint.origin, request.old_size)
        return WitnessAnswer(status=200, body=kept.removeprefix(note.encoded), word="cosigned")

    def _signed_part(self, note: SignedNote, origin: str) -> SignedNote:
        """Return the note with the log's own signatures alone."""
        lines = tuple(line for key in self._logs.log_keys(origin) for line in signatures_by(note, key)[:1])
        return parse_note(encode_note(note.body, lines))

    def _elsewhere(self, origin: str, old_size: int) -> WitnessAnswer:
        """Tell the size this witness has: the log is to prove from there. Who says it cosigned more may know of a lost file."""
        stands = self._store.cosigned(origin)
        size = 0 if stands is None else stands.tree_size
        word = "ahead" if old_size > size else "size"
        return WitnessAnswer(status=409, body=b"%d\n" % size, word=word, content_type=SIZE_CONTENT_TYPE)


def _check_extends(before: Cosigned | None, proof: tuple[Hash, ...], checkpoint: Checkpoint, note: bytes) -> None:
    """Raise `ProofError` if the proof proves nothing, `SplitViewError` if it proves two histories.

    The older note was verified when it was kept; the key that signed it may have been replaced since.
    """
    old_size, new_size = 0 if before is None else before.tree_size, checkpoint.tree_size
    if before is None or old_size in (0, new_size):
        if proof:
            raise ProofError(f"from {old_size} to {new_size} entries there is nothing to prove: the proof must be empty")
        if before is not None and old_size == new_size and before.root != checkpoint.root:
            raise SplitViewError(f"the log signed two different roots for {new_size} entries", before.note, note)
        return
    path = (before.root, *proof) if old_size & (old_size - 1) == 0 else proof
    if not path:
        raise ProofError("the consistency proof is too short")
    proven_old, proven_new = roots_from_consistency(old_size, new_size, path[0], path[1:])
    if proven_new != checkpoint.root:
        raise ProofError(f"the consistency proof does not lead to the signed root at {new_size} entries")
    if proven_old != before.root:
        sentence = f"the log signed a tree of {new_size} entries without the {old_size} entries it signed before"
        raise SplitViewError(sentence, before.note, note)


def _refused(status: int, word: str, sentence: str) -> WitnessAnswer:
    return WitnessAnswer(status=status, body=sentence.encode() + b"\n", word=word)
