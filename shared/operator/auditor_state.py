"""What an auditor remembers of a log: every checkpoint it has seen, and how far it has read the entries (a JSON file).

    {"format": "v2x-audit/1", "origin", "seen": [note ...], "open": [note ...], "verified": {"note", "edges": {level: base64}}}

The edges are all there is to know of the entries read so far (`shared.ledger.audit_tree`); they are held against the root of the
note they belong to when the file is read. Notes are kept as evidence: those that an audit without findings was held against, of
which the oldest give way beyond `MAX_SEEN`, and those seen since, which are open until there is such an audit again.
"""

import os
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from pathlib import Path

import msgspec

from shared.core.errors import DecodeError, StorageError
from shared.ledger.audit import Head
from shared.ledger.audit_tree import AuditTree, tree_of_edges
from shared.ledger.checkpoint import parse_checkpoint
from shared.ledger.note import parse_note
from shared.service.database import sync_path

FORMAT = "v2x-audit/1"
MAX_SEEN = 4_096
MAX_STATE_BYTES = 64 * 1024 * 1024

_MODE = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditState:
    """What is remembered.

    Attributes:
        origin: the log's.
        seen: checkpoints that are prefixes of the verified one, or it, oldest first.
        open: those seen since an audit last found nothing.
        verified: the checkpoint that was audited last with nothing found, and its tree.
    """

    origin: str
    seen: tuple[Head, ...] = ()
    open: tuple[Head, ...] = ()
    verified: tuple[Head, AuditTree] | None = None


class _Verified(msgspec.Struct, forbid_unknown_fields=True):
    note: str
    edges: dict[int, str]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    origin: str
    seen: list[str]
    open: list[str]
    verified: _Verified | None


def head_of(note: bytes) -> tuple[str, Head]:
    """Return a checkpoint note's origin, and what it states; raises `DecodeError`."""
    checkpoint = parse_checkpoint(parse_note(note).body)
    return checkpoint.origin, Head(tree_size=checkpoint.tree_size, root=checkpoint.root, note=bytes(note))


def read_state(path: Path) -> AuditState | None:
    """Return what a file remembers, None if there is no such file; raises `StorageError` for one that is damaged."""
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_STATE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(str(path), f"cannot be read: {error.strerror or error}") from error
    if len(octets) > MAX_STATE_BYTES:
        raise StorageError(str(path), f"is no state of an audit: more than {MAX_STATE_BYTES} octets")
    try:
        return _state(msgspec.json.decode(octets, type=_File))
    except (msgspec.MsgspecError, DecodeError, UnicodeError) as error:
        raise StorageError(str(path), f"is damaged, or no state of an audit: {error}") from None


def write_state(path: Path, state: AuditState) -> None:
    """Replace the file in one step; raises `StorageError`."""
    verified = None
    if state.verified is not None:
        head, tree = state.verified
        edges = {level: b64encode(edge).decode() for level, edge in tree.edges.items()}
        verified = _Verified(note=head.note.decode(), edges=edges)
    octets = msgspec.json.encode(
        _File(
            format=FORMAT,
            origin=state.origin,
            seen=[head.note.decode() for head in state.seen[-MAX_SEEN:]],
            open=[head.note.decode() for head in state.open[:MAX_SEEN]],
            verified=verified,
        )
    )
    fresh = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, _MODE), "wb") as file:
            file.write(octets + b"\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        sync_path(path.parent)
    except OSError as error:
        raise StorageError(str(path), f"cannot be written: {error.strerror or error}") from error


def _state(file: _File) -> AuditState:
    if file.format != FORMAT:
        raise DecodeError("format", f"{file.format[:32]!r} is not {FORMAT}")
    seen, still_open = (tuple(_own(note, file.origin) for note in notes) for notes in (file.seen, file.open))
    if file.verified is None:
        return AuditState(origin=file.origin, seen=seen, open=still_open)
    head = _own(file.verified.note, file.origin)
    try:
        edges = {level: b64decode(edge, validate=True) for level, edge in file.verified.edges.items()}
    except (Base64Error, ValueError):
        raise DecodeError("verified.edges", "not base64") from None
    tree = tree_of_edges(head.tree_size, edges)
    if tree.root != head.root:
        raise DecodeError("verified.edges", "do not make the root of the checkpoint they belong to")
    return AuditState(origin=file.origin, seen=seen, open=still_open, verified=(head, tree))


def _own(note: str, origin: str) -> Head:
    whose, head = head_of(note.encode())
    if whose != origin:
        raise DecodeError("seen", f"a checkpoint of {whose!r}, not of {origin!r}")
    return head
