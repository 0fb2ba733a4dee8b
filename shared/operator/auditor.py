"""`v2x ledger audit`: reads all of a log and says whether it is one history, whole, and what it has signed.

Entries and lowest tiles are fetched some at a time, in order, and are gone once they are hashed, so that an audit of any log takes
the memory of `AHEAD` bundles. A log that grows meanwhile is audited as it was when the audit began. With a state, an audit goes on
where the one before, which found nothing, ended; what was seen before is never forgotten. Judging is `shared.ledger.audit`'s.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.core.errors import ConfigError, DecodeError, ProofError, TransportError
from shared.ledger.audit import Finding, Head, Kind, LogAudit
from shared.ledger.audit_tree import AuditTree
from shared.ledger.policy import Policy
from shared.ledger.text import encode_base64
from shared.ledger.tiles import CHECKPOINT_PATH, EntryBundle, Tile
from shared.ledger.verify import QuorumError, SignedCheckpoint, check_quorum, verify_signed
from shared.operator.auditor_source import LogSource
from shared.operator.auditor_state import AuditState, head_of

AHEAD = 8
"""Bundles, each with its tile, that are fetched at once."""

Progress = Callable[[int, int], None]
"""Told how many entries of how many were read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What an audit showed.

    Attributes:
        origin: the log's; None where not even its checkpoint holds.
        tree_size: entries of the checkpoint it serves.
        root: of the same.
        witnesses: names of the witnesses whose cosignature holds.
        checkpoints: how many others it was held against.
        first_entry: where reading began; those before were verified by an earlier audit.
        entries: read.
        tiles: of all levels, checked.
        found: how many findings; of many, `findings` has the first.
        findings: nothing where all is well.
    """

    origin: str | None
    tree_size: int = 0
    root: bytes = b""
    witnesses: tuple[str, ...] = ()
    checkpoints: int = 0
    first_entry: int = 0
    entries: int = 0
    tiles: int = 0
    found: int = 0
    findings: tuple[Finding, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether nothing was found."""
        return self.found == 0

    def as_json(self) -> dict[str, object]:
        """Return it as JSON values; notes as text."""
        return {
            "origin": self.origin,
            "size": self.tree_size,
            "root": encode_base64(self.root),
            "sound": self.is_sound,
            "witnesses": list(self.witnesses),
            "checkpoints": self.checkpoints,
            "first_entry": self.first_entry,
            "entries": self.entries,
            "tiles": self.tiles,
            "found": self.found,
            "findings": [
                {
                    "kind": each.kind.value,
                    "where": each.where,
                    "says": each.sentence,
                    "notes": [note.decode("utf-8", "replace") for note in each.notes],
                }
                for each in self.findings
            ],
        }


async def audit_log(
    source: LogSource,
    policy: Policy,
    *,
    state: AuditState | None,
    also: Sequence[bytes] = (),
    is_full: bool = False,
    on_progress: Progress = lambda _read, _all: None,
) -> tuple[AuditReport, AuditState | None]:
    """Audit a log and return what was found, and what to remember.

    Args:
        source: where its files are.
        policy: its key, and the witnesses' quorum.
        state: what an earlier audit remembered; None for the first.
        also: checkpoint notes seen elsewhere, by a vehicle or a witness.
        is_full: whether to begin at the first entry whatever was verified before.
        on_progress: told how far it is.

    Raises:
        ConfigError: the state is another log's, or a note of `also` is not one of this log's.
        TransportError: the log cannot be read.
        StorageError: the directory cannot be read.
    """
    note = await source.read(CHECKPOINT_PATH)
    if note is None:
        raise TransportError(CHECKPOINT_PATH, "is not there, so this is no log")
    try:
        signed = verify_signed(note, policy)
    except (DecodeError, ProofError) as error:
        finding = Finding(kind=Kind.CHECKPOINT, where=CHECKPOINT_PATH, sentence=str(error), notes=(note,))
        return AuditReport(origin=None, found=1, findings=(finding,)), state
    checkpoint = signed.checkpoint
    if state is not None and state.origin != checkpoint.origin:
        raise ConfigError("state", f"remembers the log {state.origin!r}, this is {checkpoint.origin!r}")
    state = AuditState(origin=checkpoint.origin) if state is None else state
    served = Head(tree_size=checkpoint.tree_size, root=checkpoint.root, note=signed.note)
    elsewhere = (_head(each, policy, checkpoint.origin) for each in also)
    others = _once((*state.seen, *state.open, *elsewhere))
    audit = LogAudit(served=served, others=others, start=_start(state, served, others, is_full=is_full))
    first_entry = audit.size
    _check_quorum(audit, signed, policy)
    await _read(audit, source, on_progress)
    findings = audit.conclude()
    report = AuditReport(
        origin=checkpoint.origin,
        tree_size=checkpoint.tree_size,
        root=checkpoint.root,
        witnesses=signed.witnesses,
        checkpoints=len(_statements(others) - _statements((served,))),
        first_entry=first_entry,
        entries=audit.entries_read,
        tiles=audit.tiles_checked,
        found=audit.found,
        findings=findings,
    )
    return report, _learnt(state, _once((*others, served)), served, None if findings else audit.verified)


def _start(state: AuditState, served: Head, others: Sequence[Head], *, is_full: bool) -> AuditTree:
    """Return the tree to go on from: the verified one, unless a checkpoint below it has not been judged yet."""
    if state.verified is None or is_full:
        return AuditTree()
    head, tree = state.verified
    judged = _statements(state.seen)
    to_judge = (served, *(each for each in others if (each.tree_size, each.root) not in judged))
    return tree if all(each.tree_size >= head.tree_size for each in to_judge) else AuditTree()


def _learnt(state: AuditState, statements: tuple[Head, ...], served: Head, verified: AuditTree | None) -> AuditState:
    if verified is not None:
        return AuditState(origin=state.origin, seen=statements, verified=(served, verified))
    known = _statements(state.seen)
    still_open = tuple(head for head in statements if (head.tree_size, head.root) not in known)
    return AuditState(origin=state.origin, seen=state.seen, open=still_open, verified=state.verified)


def _statements(heads: Sequence[Head]) -> set[tuple[int, bytes]]:
    return {(head.tree_size, head.root) for head in heads}


def _once(heads: Sequence[Head]) -> tuple[Head, ...]:
    """Return each statement once, with the note that made it last."""
    return tuple({(head.tree_size, head.root): head for head in heads}.values())


def _head(note: bytes, policy: Policy, origin: str) -> Head:
    try:
        signed = verify_signed(note, policy)
        whose, head = head_of(signed.note)
    except (DecodeError, ProofError) as error:
        raise ConfigError("checkpoint seen elsewhere", str(error)) from None
    if whose != origin:
        raise ConfigError("checkpoint seen elsewhere", f"is one of {whose!r}, not of {origin!r}")
    return head


def _check_quorum(audit: LogAudit, signed: SignedCheckpoint, policy: Policy) -> None:
    try:
        check_quorum(signed, policy)
    except QuorumError as error:
        audit.add(Finding(kind=Kind.QUORUM, where=CHECKPOINT_PATH, sentence=str(error), notes=(signed.note,)))


async def _read(audit: LogAudit, source: LogSource, on_progress: Progress) -> None:
    for size in audit.phases():
        waiting: deque[tuple[EntryBundle, asyncio.Task[tuple[bytes | None, bytes | None]]]] = deque()
        bundles = audit.bundles(size)
        try:
            while not audit.is_stuck:
                while len(waiting) < AHEAD and (bundle := next(bundles, None)) is not None:
                    waiting.append((bundle, asyncio.create_task(_fetch(source, bundle))))
                if not waiting:
                    break
                bundle, fetching = waiting.popleft()
                for tile, made in audit.take(bundle, *await fetching):
                    audit.check(tile, made, await source.read(tile.path))
                on_progress(audit.size, audit.target_size)
        finally:
            for _, fetching in waiting:
                fetching.cancel()
            await asyncio.gather(*(fetching for _, fetching in waiting), return_exceptions=True)
        for tile, made in audit.unfinished():
            audit.check(tile, made, await source.read(tile.path))
        if audit.is_stuck:
            return


async def _fetch(source: LogSource, bundle: EntryBundle) -> tuple[bytes | None, bytes | None]:
    entries = await source.read(bundle.path)
    return entries, await source.read(Tile(0, bundle.index, bundle.width).path)
