"""The only way in: functions that check, and the types that only they make.

    bytes -> SignedCheckpoint      a log of the policy signed it; cosignatures that claim to be the witnesses' hold
          -> TrustedCheckpoint     ... and it extends what was trusted before, and the quorum has witnessed it
          -> Included              ... and this entry is in it

Whoever holds a `TrustedCheckpoint` or an `Included` need not ask what was checked. Constructing one elsewhere is a TypeError.
Where a proof was fetched matters to nobody: a path that does not lead to the signed root is a bad path (`ProofError`), one that
does, but denies the older root, is two signed statements that cannot both be true (`SplitViewError`).
"""

from collections.abc import Sequence
from typing import NamedTuple

from shared.core.errors import ProofError, SplitViewError
from shared.core.value import Value
from shared.ledger.checkpoint import Checkpoint, parse_checkpoint
from shared.ledger.cosignature import check_claims, read_cosignature
from shared.ledger.merkle import leaf_hash, roots_from_consistency, verify_inclusion
from shared.ledger.note import NoteSignature, SignedNote, VerifierKey, parse_note
from shared.ledger.policy import Policy, PolicyWitness

_SEAL = object()


class LogKeyError(ProofError):
    """A checkpoint of a log that the policy knows, signed under none of the keys it has for it: `docs/log-keys.md`."""

    @property
    def code(self) -> str:
        """`log_key`."""
        return "log_key"


class QuorumError(ProofError):
    """Not enough witnesses have cosigned a checkpoint (yet)."""

    @property
    def code(self) -> str:
        """`quorum`."""
        return "quorum"


def _forged(kind: str) -> TypeError:
    return TypeError(f"only shared.ledger.verify makes a {kind}")


class SignedCheckpoint(Value):
    """A checkpoint signed by a log of the policy; whether it is consistent with anything is not known yet.

    Attributes:
        checkpoint: what it says.
        note: the signed note, byte for byte.
        witnesses: policy names of the witnesses whose cosignature holds.
    """

    checkpoint: Checkpoint
    note: bytes
    witnesses: tuple[str, ...]
    seal: object

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise _forged("SignedCheckpoint")


class TrustedCheckpoint(Value):
    """A checkpoint that is signed, witnessed as the policy asks, and consistent with all this verifier trusted before."""

    checkpoint: Checkpoint
    note: bytes
    witnesses: tuple[str, ...]
    seal: object

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise _forged("TrustedCheckpoint")


class Included(Value):
    """An entry that is in the log: as long as any one witness of the quorum (or the log alone, without one) is honest.

    Attributes:
        entry: the entry's bytes.
        index: its place in the log.
        hashes: the inclusion proof.
        trusted: the checkpoint it was proven against.
    """

    entry: bytes
    index: int
    hashes: tuple[bytes, ...]
    trusted: TrustedCheckpoint
    seal: object

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise _forged("Included")


class _Claimed(NamedTuple):
    """What a note says, whose signatures it claims to carry, and those signatures: key, message and signature of each."""

    checkpoint: Checkpoint
    witnesses: tuple[str, ...]
    claims: list[tuple[VerifierKey, bytes, bytes]]


def _read(note: SignedNote, policy: Policy) -> _Claimed:
    checkpoint = parse_checkpoint(note.body)
    origin = checkpoint.origin
    keys = policy.log_keys(origin)
    if not keys:
        raise ProofError(f"the policy knows no log {origin!r}")
    claims: list[tuple[VerifierKey, bytes, bytes]] = []
    cosigned: list[tuple[NoteSignature, PolicyWitness]] = []
    for line in note.signatures:
        if line.name == origin:
            claims += [(key, note.body, line.signature) for key in keys if key.key_id == line.key_id]
        witness = policy.witness_of(line)
        if witness is not None:
            cosigned.append((line, witness))
    if not claims:
        raise LogKeyError(_not_signed(note, origin, keys))
    for line, witness in cosigned:
        _, message, signature = read_cosignature(note, witness.key, line)
        claims.append((witness.key, message, signature))
    names = {witness.name for _, witness in cosigned}
    return _Claimed(checkpoint, tuple([witness.name for witness in policy.witnesses if witness.name in names]), claims)


def verify_signed(note: bytes | SignedNote, policy: Policy) -> SignedCheckpoint:
    """Parse a checkpoint note and verify its log's signature and every cosignature by a witness of the policy.

    Lines of keys the policy does not know, and of kinds nobody here knows, are passed over.

    Raises:
        DecodeError: the note or its text is malformed.
        LogKeyError: the policy knows the log, but not the key it signed with.
        ProofError: the log is not in the policy, or a signature that claims to be by a key of the policy does not hold.
    """
    parsed = note if isinstance(note, SignedNote) else parse_note(note)
    checkpoint, witnesses, claims = _read(parsed, policy)
    check_claims(claims)
    return SignedCheckpoint(checkpoint=checkpoint, note=parsed.encoded, witnesses=witnesses, seal=_SEAL)


def verify_entry(note: SignedNote, entry: bytes, index: int, hashes: Sequence[bytes], policy: Policy) -> Included:
    """Do at once what `verify_signed`, `trust_first` and `verify_included` do; the signatures, nearly all of the work, come last.

    Raises:
        DecodeError: the note's text is no checkpoint.
        QuorumError: not enough witnesses.
        ProofError: as `verify_signed` and `verify_included` do.
    """
    checkpoint, witnesses, claims = _read(note, policy)
    _check_quorum(witnesses, policy)
    verify_inclusion(leaf_hash(entry), index, checkpoint.tree_size, hashes, checkpoint.root)
    check_claims(claims)
    trusted = TrustedCheckpoint(checkpoint=checkpoint, note=note.encoded, witnesses=witnesses, seal=_SEAL)
    return Included(entry=bytes(entry), index=index, hashes=tuple(hashes), trusted=trusted, seal=_SEAL)


def _not_signed(note: SignedNote, origin: str, keys: Sequence[VerifierKey]) -> str:
    known = ", ".join(key.key_id.hex() for key in keys)
    signed = ", ".join(dict.fromkeys(line.key_id.hex() for line in note.signatures if line.name == origin))
    if not signed:
        return f"not signed by {origin}, whose key in the policy is {known}"
    return (
        f"signed by {origin} with key {signed}, which this policy does not have (it has {known}): if the log has changed its key, "
        f"name that one too, on a log line of its own, or have the entry proven anew under a later checkpoint"
    )


def check_quorum(signed: SignedCheckpoint, policy: Policy) -> None:
    """Raise `QuorumError` unless enough witnesses have cosigned."""
    _check_quorum(signed.witnesses, policy)


def _check_quorum(witnesses: tuple[str, ...], policy: Policy) -> None:
    if not policy.is_quorum(witnesses):
        names = ", ".join(witnesses) or "no known witness"
        raise QuorumError(f"the quorum {policy.quorum!r} is not met: cosigned by {names}")


def trust_first(signed: SignedCheckpoint, policy: Policy) -> TrustedCheckpoint:
    """Trust a checkpoint without an older one to compare with: offline proofs, a pinned note, or a client's first sight of a log.

    Raises:
        QuorumError: not enough witnesses.
    """
    check_quorum(signed, policy)
    return TrustedCheckpoint(checkpoint=signed.checkpoint, note=signed.note, witnesses=signed.witnesses, seal=_SEAL)


AnyCheckpoint = SignedCheckpoint | TrustedCheckpoint


def check_extends(older: AnyCheckpoint, newer: AnyCheckpoint, path: Sequence[bytes]) -> None:
    """Check that `newer` extends `older`, one log's two signed statements, whichever of them is the trusted one.

    Args:
        older: the statement about the smaller (or equal) tree.
        newer: the statement about the larger tree.
        path: hashes of `shared.ledger.merkle.consistency_path`: from the old tree's own last subtree up; empty where sizes are
            equal or the old tree is empty.

    Raises:
        ProofError: the path does not lead to the newer root: it is wrong and says nothing about the log.
        SplitViewError: the path leads to the newer root but to another old one, or equal sizes have different roots.
    """
    a, b = older.checkpoint, newer.checkpoint
    if a.origin != b.origin:
        raise ProofError(f"checkpoints of two logs: {a.origin!r} and {b.origin!r}")
    if a.tree_size > b.tree_size:
        raise ProofError(f"{b.tree_size} entries cannot extend {a.tree_size}")
    if a.tree_size == b.tree_size:
        if a.root != b.root:
            raise SplitViewError(f"{a.origin} signed two different roots for {a.tree_size} entries", older.note, newer.note)
        return
    if a.tree_size == 0:
        return
    if not path:
        raise ProofError("the consistency path is empty")
    old_root, new_root = roots_from_consistency(a.tree_size, b.tree_size, path[0], path[1:])
    if new_root != b.root:
        raise ProofError(f"the consistency path does not lead to the signed root at {b.tree_size} entries")
    if old_root != a.root:
        raise SplitViewError(
            f"{a.origin} signed a tree of {b.tree_size} entries that does not contain the {a.tree_size} entries it signed before",
            older.note,
            newer.note,
        )


def trust_next(trusted: TrustedCheckpoint, signed: SignedCheckpoint, path: Sequence[bytes], policy: Policy) -> TrustedCheckpoint:
    """Move trust on to a checkpoint that extends the trusted one and is witnessed (in this order).

    Raises:
        ProofError: see `check_extends`.
        SplitViewError: see `check_extends`.
        QuorumError: it is consistent, but not enough witnesses have cosigned it.
    """
    check_extends(trusted, signed, path)
    return trust_first(signed, policy)


def verify_included(trusted: TrustedCheckpoint, entry: bytes, index: int, hashes: Sequence[bytes]) -> Included:
    """Check that `entry` stands at `index` of the trusted tree, or raise `ProofError`."""
    verify_inclusion(leaf_hash(entry), index, trusted.checkpoint.tree_size, hashes, trusted.checkpoint.root)
    return Included(entry=bytes(entry), index=index, hashes=tuple(hashes), trusted=trusted, seal=_SEAL)
