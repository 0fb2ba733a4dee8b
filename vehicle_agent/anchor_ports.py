"""What anchoring needs from outside: a store for what must survive, and somebody who carries requests to a log."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from shared.core.errors import SplitViewError
from shared.service.spool import AnchorState, StoredRecord


class AnchorStore(Protocol):
    """Where states, trust, proofs and evidence are kept; `shared.service.spool.Spool` is the one on disk."""

    def together(self) -> AbstractContextManager[None]:
        """Let what a block writes be stored at once: all of it when it ends, or nothing of it."""
        ...

    def unsent(self, limit: int) -> tuple[StoredRecord, ...]:
        """Return the oldest records without an index."""
        ...

    def sequenced(self, limit: int) -> tuple[StoredRecord, ...]:
        """Return the oldest records with an index and without a proof."""
        ...

    def mark_submitted(self, commitment: bytes) -> None:
        """Store that the log is about to be asked."""
        ...

    def mark_sequenced(self, commitment: bytes, log_index: int) -> None:
        """Store the index the log gave."""
        ...

    def mark_refuted(self, commitment: bytes) -> None:
        """Store that the log holds something else at that index."""
        ...

    def store_proof(self, commitment: bytes, *, log_index: int, proof: bytes, is_witnessed: bool) -> None:
        """Store a proof."""
        ...

    def trusted_note(self) -> bytes | None:
        """Return the checkpoint trusted last."""
        ...

    def set_trusted_note(self, note: bytes, *, expected: bytes | None) -> None:
        """Move trust on from `expected`."""
        ...

    def check_some(self) -> None:
        """Look whether some more of what is stored is what was stored; raises `StorageError` where it is damaged."""
        ...

    def has_pending(self) -> bool:
        """Tell whether there is a record of which the log was not asked."""
        ...

    def counts(self) -> Mapping[AnchorState, int]:
        """Return how many records are in each state."""
        ...

    def store_evidence(self, contradiction: SplitViewError) -> None:
        """Keep both notes of a contradiction."""
        ...

    def evidence(self) -> tuple[SplitViewError, ...]:
        """Return contradictions nobody has acknowledged."""
        ...

    def acknowledge_evidence(self) -> None:
        """Store that a person has looked."""
        ...


@dataclass(frozen=True, slots=True)
class Submit:
    """Send this entry to the log; the answer is its index."""

    entry: bytes


@dataclass(frozen=True, slots=True)
class Fetch:
    """Read this tlog-tiles path; the answer is its bytes."""

    path: str


Request = Submit | Fetch
