"""A client that holds a log to its word without trusting it: sans-IO, one round at a time.

    begin -> checkpoint -> signature -> consistent with the trusted one -> quorum -> inclusion of what was asked -> end

`wants()` names the paths to fetch now, `give()` takes what came and answers with events; the caller fetches from a log, a mirror, a
file or a passing road-side unit, it makes no difference. What arrives malformed or does not lead to a signed root ends the round
with an error, and the next round starts afresh. Two signed checkpoints that cannot both be true stop the client: it wants nothing
more, and only a new client, made by whoever has looked at the evidence, goes on. An older checkpoint than the trusted one is
checked against it too, as long as somebody still serves the tiles of the trusted tree, and is told (`Behind`): a mirror that lags
catches up; a log put back from a backup has nothing to show until it grows past what it signed before, and is caught then.

Memory: the tiles of one round, at most about `MAX_ROUND_PROOFS` * 4 tiles of 8 KiB. Persisting events before acting on them is the
caller's (`vehicle_agent.anchoring`).
"""

from dataclasses import dataclass
from enum import Enum, auto

from shared.core.errors import DecodeError, EncodeError, ProofError, SplitViewError
from shared.ledger.merkle import LeafRange, Node, consistency_path, inclusion_ranges, leaf_hash, range_hash, root_from_inclusion
from shared.ledger.policy import Policy
from shared.ledger.tiles import CHECKPOINT_PATH, Tile, TileSet, check_tile, tile_of, tiles_for
from shared.ledger.verify import (
    Included,
    QuorumError,
    SignedCheckpoint,
    TrustedCheckpoint,
    check_extends,
    check_quorum,
    trust_first,
    trust_next,
    verify_included,
    verify_signed,
)

MAX_ROUND_PROOFS = 64
"""Entries proven in one round; the others wait for the next."""

MAX_WAITING_ENTRIES = 4_096


@dataclass(frozen=True, slots=True)
class Advanced:
    """Trust moved on to a newer checkpoint (or to more cosignatures on the same one)."""

    trusted: TrustedCheckpoint


@dataclass(frozen=True, slots=True)
class NotWitnessed:
    """The log's newest checkpoint is consistent, but its quorum is not met yet; trust stays where it was."""

    detail: str


@dataclass(frozen=True, slots=True)
class Behind:
    """The checkpoint is consistent with the trusted one, but older: a stale copy, or a log that lost what it had signed."""

    tree_size: int
    trusted_size: int


@dataclass(frozen=True, slots=True)
class NotAtIndex:
    """The log holds, provably, another entry at the index it gave for this one."""

    entry: bytes
    index: int


ClientEvent = Advanced | Included | NotWitnessed | Behind | NotAtIndex


class _Phase(Enum):
    IDLE = auto()
    CHECKPOINT = auto()
    CONSISTENCY = auto()
    INCLUSION = auto()


class LightClient:
    """Follows one log.

    Args:
        origin: the log's origin.
        policy: its key and the witnesses' quorum.
        trusted_note: the checkpoint note trusted last, from storage or pinned in the configuration; None to trust the first
            checkpoint that the policy accepts.

    Raises:
        DecodeError: the stored note is malformed.
        ProofError: the policy does not know the log, or no longer accepts the stored note.
    """

    def __init__(self, *, origin: str, policy: Policy, trusted_note: bytes | None) -> None:
        if not policy.log_keys(origin):
            raise ProofError(f"the policy knows no log {origin!r}")
        self._origin = origin
        self._policy = policy
        self._trusted: TrustedCheckpoint | None = None
        if trusted_note is not None:
            self._trusted = trust_first(self._verify_signed(trusted_note), policy)
        self._stopped: SplitViewError | None = None
        self._waiting: dict[bytes, int] = {}
        self._reset()

    @property
    def trusted(self) -> TrustedCheckpoint | None:
        """The checkpoint everything is measured against."""
        return self._trusted

    @property
    def stopped(self) -> SplitViewError | None:
        """The contradiction that stopped this client."""
        return self._stopped

    @property
    def waiting(self) -> int:
        """Entries whose inclusion was asked for and is not shown yet."""
        return len(self._waiting)

    def prove(self, entry: bytes, index: int) -> None:
        """Ask for proof that `entry` is at `index`; asking twice changes nothing, another index replaces the first.

        Raises:
            EncodeError: too many entries wait already, or the index is negative.
        """
        if index < 0 or (entry not in self._waiting and len(self._waiting) >= MAX_WAITING_ENTRIES):
            raise EncodeError("light_client", f"no such index {index}, or {MAX_WAITING_ENTRIES} entries wait already")
        self._waiting[entry] = index

    def forget(self, entry: bytes) -> None:
        """No longer ask for proof of `entry`; between rounds."""
        self._waiting.pop(entry, None)

    def begin(self) -> None:
        """Start a round, dropping one that is under way. Does nothing once stopped."""
        self._reset()
        if self._stopped is None:
            self._phase = _Phase.CHECKPOINT

    def wants(self) -> tuple[str, ...]:
        """Return the paths to fetch now; empty between rounds and once stopped."""
        if self._phase is _Phase.CHECKPOINT:
            return (CHECKPOINT_PATH,)
        return tuple(tile.path for tile in self._needed if tile not in self._tiles)

    def give(self, path: str, data: bytes) -> tuple[ClientEvent, ...]:
        """Take the bytes of a wanted path (others are ignored) and answer with what they showed.

        Raises:
            DecodeError: malformed; the round is over.
            ProofError: a signature or path does not hold; the round is over.
            SplitViewError: the log contradicts itself; the client has stopped.
        """
        if path not in self.wants():
            return ()
        try:
            if self._phase is _Phase.CHECKPOINT:
                return self._take_checkpoint(data)
            tile = next(tile for tile in self._needed if tile.path == path)
            check_tile(tile, data)
            self._tiles[tile] = bytes(data)
            return self._go_on()
        except SplitViewError as contradiction:
            self._stopped = contradiction
            self._reset()
            raise
        except (ProofError, DecodeError):
            self._reset()
            raise

    def abandon(self) -> None:
        """End the round: something could not be fetched."""
        self._reset()

    def _reset(self) -> None:
        self._phase = _Phase.IDLE
        self._signed: SignedCheckpoint | None = None
        self._needed: tuple[Tile, ...] = ()
        self._tiles: dict[Tile, bytes] = {}
        self._batch: tuple[tuple[bytes, int], ...] = ()

    def _verify_signed(self, note: bytes) -> SignedCheckpoint:
        signed = verify_signed(note, self._policy)
        if signed.checkpoint.origin != self._origin:
            raise ProofError(f"a checkpoint of {signed.checkpoint.origin!r}, not of {self._origin!r}")
        return signed

    def _take_checkpoint(self, note: bytes) -> tuple[ClientEvent, ...]:
        self._signed = self._verify_signed(note)
        sizes = self._sizes()
        self._needed = tiles_for(consistency_path(*sizes), sizes[1]) if sizes is not None else ()
        self._phase = _Phase.CONSISTENCY
        return self._go_on()

    def _sizes(self) -> tuple[int, int] | None:
        """Return the smaller and the larger size to compare, None where no path is needed."""
        if self._signed is None or self._trusted is None:
            return None
        old, new = sorted((self._trusted.checkpoint.tree_size, self._signed.checkpoint.tree_size))
        return None if old in (0, new) else (old, new)

    def _go_on(self) -> tuple[ClientEvent, ...]:
        if self.wants():
            return ()
        if self._phase is _Phase.CONSISTENCY:
            events = self._check_consistency()
            self._phase = _Phase.INCLUSION
            self._choose_batch()
            return events if self.wants() else (*events, *self._check_inclusion())
        return self._check_inclusion()

    def _check_consistency(self) -> tuple[ClientEvent, ...]:
        signed = self._signed
        assert signed is not None
        if self._trusted is None:
            return self._trust(signed, None)
        sizes = self._sizes()
        path: tuple[bytes, ...] = ()
        if sizes is not None:
            tiles = TileSet(sizes[1], self._tiles)
            path = tuple(range_hash(leaves, tiles) for leaves in consistency_path(*sizes))
        if signed.checkpoint.tree_size < self._trusted.checkpoint.tree_size:
            try:
                check_extends(signed, self._trusted, path)
            except SplitViewError as contradiction:  # the older of the two is not the one that was trusted
                raise SplitViewError(str(contradiction), self._trusted.note, signed.note) from None
            return (Behind(signed.checkpoint.tree_size, self._trusted.checkpoint.tree_size),)
        check_extends(self._trusted, signed, path)
        return self._trust(signed, path)

    def _trust(self, signed: SignedCheckpoint, path: tuple[bytes, ...] | None) -> tuple[ClientEvent, ...]:
        before = self._trusted
        if before is not None and signed.note == before.note:
            return ()
        try:
            check_quorum(signed, self._policy)
        except QuorumError as error:
            return (NotWitnessed(str(error)),)
        if before is None or path is None:
            self._trusted = trust_first(signed, self._policy)
        else:
            self._trusted = trust_next(before, signed, path, self._policy)
        return (Advanced(self._trusted),)

    def _choose_batch(self) -> None:
        self._needed = ()
        if self._trusted is None:
            return
        size = self._trusted.checkpoint.tree_size
        ready = [(entry, index) for entry, index in self._waiting.items() if index < size]
        self._batch = tuple(ready[:MAX_ROUND_PROOFS])
        ranges: list[LeafRange] = []
        for _, index in self._batch:
            ranges += (LeafRange(index, index + 1), *inclusion_ranges(index, size))
        self._needed = tiles_for(ranges, size)

    def _check_inclusion(self) -> tuple[ClientEvent, ...]:
        events: list[ClientEvent] = []
        trusted = self._trusted
        if trusted is not None:
            size = trusted.checkpoint.tree_size
            tiles = TileSet(size, self._tiles)
            for entry, index in self._batch:
                hashes = tuple(range_hash(leaves, tiles) for leaves in inclusion_ranges(index, size))
                logged = tiles(Node(0, index))
                if root_from_inclusion(logged, index, size, hashes) != trusted.checkpoint.root:
                    raise ProofError(f"{tile_of(Node(0, index), size).path} does not lead to the signed root")
                if logged == leaf_hash(entry):
                    events.append(verify_included(trusted, entry, index, hashes))
                else:
                    events.append(NotAtIndex(entry, index))
            for entry, _ in self._batch:
                del self._waiting[entry]
        self._reset()
        return tuple(events)
