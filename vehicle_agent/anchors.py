"""What every way to anchor the vehicle's records has in common: the face the agent sees, and how a contradiction is told."""

from abc import ABC, abstractmethod

from shared.core.clock import Instant
from shared.core.errors import SplitViewError, StorageError
from shared.ledger.policy import Policy
from shared.ledger.verify import TrustedCheckpoint
from shared.stack.effects import Notice
from vehicle_agent.anchor_cycle import AnchorCycle, split_view_notice
from vehicle_agent.anchor_ports import AnchorStore


class Anchors(ABC):
    """Anchors the records of one vehicle in one log.

    Args:
        store: records and all that must survive.
        origin: the log's origin.
        policy: its key and the witnesses' quorum.
        pinned: a checkpoint note the log must stand by, see `AnchorCycle`.

    Raises:
        ProofError: the policy does not know the log, or does not accept the trusted checkpoint in the store, or the pinned one.
        DecodeError: the trusted or the pinned checkpoint is malformed.
        StorageError: the store failed.
    """

    def __init__(self, *, store: AnchorStore, origin: str, policy: Policy, pinned: bytes | None) -> None:
        self._store = store
        self._origin = origin
        self._cycle = AnchorCycle(store=store, origin=origin, policy=policy, pinned=pinned)
        self._has_told = False

    @property
    def contradiction(self) -> SplitViewError | None:
        """The contradiction that stopped anchoring, if one has."""
        return self._cycle.contradiction

    @property
    def trusted(self) -> TrustedCheckpoint | None:
        """The checkpoint everything is measured against."""
        return self._cycle.trusted

    def counts(self) -> dict[str, int]:
        """Return how many records are in each state, by the state's name in lower case; raises `StorageError`."""
        return {state.name.lower(): count for state, count in self._store.counts().items()}

    def evidence(self) -> tuple[SplitViewError, ...]:
        """Return the contradictions nobody has acknowledged, with both notes each; raises `StorageError`."""
        kept = self._store.evidence()
        unkept = self._cycle.contradiction
        return kept if kept or unkept is None else (unkept,)

    def acknowledge_evidence(self, now: Instant) -> None:
        """A person has looked at the evidence: go on from the trusted checkpoint; raises `StorageError`."""
        self._cycle.acknowledge_evidence(now.monotonic)
        self._has_told = False

    def status(self) -> dict[str, object]:
        """Return where anchoring stands, as JSON values."""
        trusted, contradiction = self.trusted, self.contradiction
        try:
            counts: dict[str, int] | None = self.counts()
        except StorageError:
            counts = None
        return {
            "log": self._origin,
            "trusted_size": None if trusted is None else trusted.checkpoint.tree_size,
            "records": counts,
            "contradiction": None if contradiction is None else contradiction_json(contradiction),
        }

    @abstractmethod
    def poll(self, now: Instant) -> tuple[Notice, ...]:
        """Go on with what is due and return what there is to tell; a contradiction is told once after every start.

        Raises:
            StorageError: the vehicle's own store failed. A failure of the log is told, not raised, and tried again later.
        """

    def _tell_contradiction(self, notices: list[Notice]) -> tuple[Notice, ...]:
        """Return the notice of a contradiction nobody has been told of, unless it is among `notices`."""
        if self._cycle.contradiction is None or self._has_told:
            return ()
        self._has_told = True
        if any(notice.kind == "ledger_split_view" for notice in notices):
            return ()
        return (split_view_notice(self._origin, self._cycle.contradiction, is_kept=True),)


def contradiction_json(contradiction: SplitViewError) -> dict[str, object]:
    """Return a contradiction with both its notes as JSON values."""
    return {
        "reason": str(contradiction),
        "trusted_note": contradiction.trusted_note.decode("utf-8", "replace"),
        "conflicting_note": contradiction.conflicting_note.decode("utf-8", "replace"),
    }
