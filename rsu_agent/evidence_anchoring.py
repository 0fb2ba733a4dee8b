"""Takes the batches of evidence to a ledger and brings the proofs back, safe to kill at any moment.

    PENDING -> SUBMITTED -> SEQUENCED -> PROVEN

Each arrow is stored before it is acted on; submitting twice is harmless. A round begins from the store: which batches have no
proof, which checkpoint is trusted. What the ledger shows is believed only as far as the light client proves it. A contradiction
between two signed checkpoints stops anchoring for good: both notes are kept and told of, and evidence goes on being written.

One batch a minute leaves time for one thing after another, so there is no errand here that overtakes another.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from rsu_agent.evidence_format import BatchState, StoredBatch
from rsu_agent.evidence_store import EvidenceStore
from shared.core.errors import DecodeError, EncodeError, ProofError, SplitViewError, TransportError
from shared.ledger.light_client import MAX_ROUND_PROOFS, Advanced, Behind, ClientEvent, LightClient, NotAtIndex, NotWitnessed
from shared.ledger.policy import Policy
from shared.ledger.proof import proof_of
from shared.ledger.verify import Included
from shared.stack.effects import Notice

MAX_SUBMISSIONS = 64
"""Batches submitted in one round: an hour's that waited."""

T = TypeVar("T")

StoreWork = Callable[[EvidenceStore], T]


class Aside(Protocol):
    """Has the thread that owns the store do something, and returns what that returns."""

    def __call__(self, work: StoreWork[T], /) -> Awaitable[T]:
        """Do it."""
        ...


class LedgerMedium(Protocol):
    """A ledger somewhere: `shared.transport.ledger_http.LedgerHttp`."""

    async def submit(self, entry: bytes) -> int:
        """Submit an entry and return its index; raises `TransportError`."""
        ...

    async def read(self, path: str) -> bytes:
        """Return the bytes at a tlog-tiles path; raises `TransportError`."""
        ...

    def trust(self) -> None:
        """What was read lately was verified."""
        ...

    def distrust(self) -> None:
        """What was read lately led nowhere."""
        ...


class EvidenceAnchoring:
    """Anchors one unit's batches in one log.

    Args:
        aside: the way to the store.
        medium: the way to the log.
        origin: the log's name.
        policy: its key and the witnesses' quorum.
        pinned: a checkpoint note the log must stand by, trusted at first; None where nobody pinned one.

    Attributes:
        proven: batches proven since the start.
        contradiction: what stopped anchoring; None while nothing has.
    """

    def __init__(self, *, aside: Aside, medium: LedgerMedium, origin: str, policy: Policy, pinned: bytes | None = None) -> None:
        self._aside = aside
        self._medium = medium
        self._origin = origin
        self._policy = policy
        self._pinned = pinned
        self._told: str | None = None
        self.proven = 0
        self.trouble: str | None = None
        self.contradiction: SplitViewError | None = None

    async def round(self) -> tuple[Notice, ...]:
        """Submit what was not, prove what can be, and return what there is to tell.

        Raises:
            StorageError: the unit's own store failed; what was not stored is done again in the next round.
        """
        if self.contradiction is None:
            self.contradiction = await self._aside(EvidenceStore.contradiction)
            if self.contradiction is not None:
                return (self._split_view(self.contradiction),)
        if self.contradiction is not None:
            return ()
        waiting = await self._aside(lambda store: store.unproven(MAX_SUBMISSIONS))
        if not waiting:
            return ()
        try:
            await self._submit(waiting)
            notices = await self._prove()
        except TransportError as failure:
            return self._troubled("evidence_ledger_unavailable", str(failure))
        except SplitViewError as contradiction:
            return await self._stop(contradiction)
        except (ProofError, DecodeError, EncodeError) as error:
            self._medium.distrust()
            return self._troubled("evidence_ledger_bad_answer", str(error))
        return notices

    async def _stop(self, contradiction: SplitViewError) -> tuple[Notice, ...]:
        self.contradiction = contradiction
        await self._aside(lambda store: store.store_contradiction(contradiction))
        return (self._split_view(contradiction),)

    async def _submit(self, batches: tuple[StoredBatch, ...]) -> None:
        for batch in batches:
            if batch.state >= BatchState.SEQUENCED:
                continue
            commitment = batch.commitment
            await self._aside(lambda store, commitment=commitment: store.mark_submitted(commitment))  # type: ignore[misc]
            index = await self._medium.submit(commitment)
            await self._aside(
                lambda store, commitment=commitment, index=index: store.mark_sequenced(commitment, index)  # type: ignore[misc]
            )

    async def _prove(self) -> tuple[Notice, ...]:
        unproven = await self._aside(lambda store: store.unproven(MAX_ROUND_PROOFS))
        sequenced = [(each.commitment, each.log_index) for each in unproven if each.log_index is not None]
        if not sequenced:
            return ()
        stored = await self._aside(EvidenceStore.trusted_note)
        first = self._pinned if stored is None else stored
        client = LightClient(origin=self._origin, policy=self._policy, trusted_note=first)
        for commitment, index in sequenced:
            client.prove(commitment, index)
        events: list[ClientEvent] = []
        client.begin()
        while wanted := client.wants():
            for path in wanted:
                events += client.give(path, await self._medium.read(path))
        self._medium.trust()
        trusted = client.trusted
        if trusted is not None and trusted.note != stored:
            note = trusted.note
            await self._aside(lambda store: store.set_trusted_note(note))
        notices: tuple[Notice, ...] = ()
        for event in events:
            notices += await self._take(event)
        return notices

    async def _take(self, event: ClientEvent) -> tuple[Notice, ...]:
        match event:
            case Included():
                proof = proof_of(event).encode()
                await self._aside(lambda store: store.store_proof(event.entry, log_index=event.index, proof=proof))
                self.proven += 1
                return self._well()
            case NotAtIndex(entry, index):
                await self._aside(lambda store: store.mark_refuted(entry))
                return self._troubled("evidence_ledger_bad_answer", f"the log holds another entry at index {index} it gave")
            case NotWitnessed(detail):
                return self._troubled("evidence_not_witnessed", detail)
            case Behind(tree_size, trusted_size):
                return self._troubled("evidence_ledger_behind", f"it shows {tree_size} entries after {trusted_size}")
            case Advanced():
                return ()

    def _troubled(self, kind: str, reason: str) -> tuple[Notice, ...]:
        """Tell of trouble once, until it is another or over."""
        self.trouble = reason
        if self._told == kind:
            return ()
        self._told = kind
        return (Notice(kind, {"log": self._origin, "reason": reason}),)

    def _well(self) -> tuple[Notice, ...]:
        had, self._told, self.trouble = self._told, None, None
        return () if had is None else (Notice("evidence_ledger_available", {"log": self._origin}),)

    def _split_view(self, contradiction: SplitViewError) -> Notice:
        fields = {
            "log": self._origin,
            "reason": str(contradiction),
            "trusted_note": contradiction.trusted_note.decode("utf-8", "replace"),
            "conflicting_note": contradiction.conflicting_note.decode("utf-8", "replace"),
        }
        return Notice("evidence_ledger_split_view", fields)
