"""A log put back from a backup goes on only when it has everything it ever showed; here it learns what that is, and gets it.

    1. notes      the operator's, each mirror's and each witness's newest checkpoint of this log: signed by the log, so part of it
    2. catch up   the entries up to the largest of them, from a mirror, taken only if they make exactly its tree
    3. witnesses  are asked to cosign where the log stands now; one that has cosigned more says so, and it is 1. again
    4. done       when the witnesses that were not heard could not be a quorum by themselves

Why that is enough: nothing is handed out below the quorum of the policy. Whatever was handed out was cosigned by a quorum, and one
of every quorum was heard, freshly, to have cosigned nothing beyond what the log has now. Without a quorum nobody but the operator
can know, and it takes his word. Whatever cannot be resolved is refused with a sentence and changes nothing: entries that were
caught up stay, the mark stays, and trying again is harmless. Two checkpoints of the log that contradict each other end it for good.
Left out: a log that still runs elsewhere, which nobody can see from here: stop it first.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from shared.core.clock import Clock
from shared.core.errors import ConfigError, DecodeError, ProofError, SplitViewError, StorageError, TransportError
from shared.ledger.checkpoint import Checkpoint, parse_checkpoint
from shared.ledger.note import VerifierKey, parse_note, parse_vkey, signatures_by, verify_note
from shared.ledger.policy import Policy
from shared.ledger.text import encode_base64
from shared.ledger.tiles import CHECKPOINT_PATH, TILE_WIDTH, EntryBundle, decode_bundle
from shared.ledger.witnessing import Cosigning, NotCosigned, WitnessRound, with_cosignatures
from shared.operator.auditor_source import LogSource
from shared.service.database import storage_errors
from shared.service.log_store import LogStore

MAX_ROUNDS = 8
"""Times that everybody is asked; a log that is stopped needs two, so one that moves on meanwhile still runs somewhere."""

BUNDLES_AT_ONCE = 8

LOG_IS_OVER = (
    "if what was lost is not to be had, this log is over: begin a new one with a new key under a new origin, and put its line into"
    " the policies"
)
"""What is left to do where nothing helps."""

_LENGTH_BYTES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """A place that has the log's entries, and its name for people."""

    name: str
    source: LogSource


class WitnessLine(Protocol):
    """The way to one witness."""

    @property
    def key(self) -> VerifierKey:
        """The witness's key."""
        ...

    async def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """Ask for a cosignature and return status and body of the answer; raises `TransportError`."""
        ...

    async def newest(self, origin: str) -> bytes | None:
        """Return the note it cosigned last for a log, None where it does not tell; raises `TransportError`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A log that may go on.

    Attributes:
        origin: the log's.
        old_size: entries that the backup had.
        tree_size: entries there are now.
        heard: witnesses that cosigned where it stands.
        not_heard: each other witness of the policy, and why.
        is_published: whether the cosigned checkpoint has the policy's quorum and is kept to be handed out.
    """

    origin: str
    old_size: int
    tree_size: int
    heard: tuple[str, ...]
    not_heard: Mapping[str, str]
    is_published: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A checkpoint of this log that somebody has."""

    where: str
    checkpoint: Checkpoint
    note: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the witnesses said of where the log stands."""

    cosignings: Mapping[str, Cosigning]
    ahead: Mapping[str, str]
    silent: Mapping[str, str]

    @property
    def not_heard(self) -> dict[str, str]:
        return {**self.ahead, **self.silent}


class LogRestore:
    """Brings one marked log to where it was.

    Args:
        store: the log, marked as a copy; nobody else has it open.
        folder: where entries are gathered before they are looked at: on a disk that has room for them.
        policy: under which the log handed out its checkpoints.
        witnesses: the way to each witness, by the name the policy calls it by; those missing are not heard.
        mirrors: places with the log's entries, the preferred first.
        notes: the operator's own checkpoints of the log, each with its name.
        clock: tells a fresh cosignature from an old one.
        has_operators_word: whether the operator vouches that nothing newer was ever shown; counts where no quorum is asked for.

    Raises:
        ConfigError: the policy does not know the log, or the log is not marked.
    """

    def __init__(
        self,
        store: LogStore,
        *,
        folder: Path,
        policy: Policy,
        witnesses: Mapping[str, WitnessLine],
        mirrors: Sequence[Mirror],
        notes: Mapping[str, bytes],
        clock: Clock,
        has_operators_word: bool,
    ) -> None:
        if not policy.log_keys(store.origin):
            raise ConfigError("--policy", f"knows no log {store.origin!r}")
        if not store.is_restored:
            raise ConfigError("log", f"{store.origin} is not a copy: it may go on as it is")
        self._store = store
        self._folder = folder
        self._policy = policy
        self._witnesses = witnesses
        self._mirrors = mirrors
        self._notes = notes
        self._clock = clock
        self._has_word = has_operators_word

    async def run(self) -> Restored:
        """Catch up, make sure, and let the log append again.

        Raises:
            SplitViewError: the log has signed two histories; it is over.
            ProofError: it cannot be known, or not be had, what the log showed last; the sentence says what is missing.
            ConfigError: one of the operator's notes is none of this log.
            UntrustedTimeError: without the time no cosignature can be told to be a fresh one.
            StorageError: the log's file failed.
        """
        self._clock.now().require_utc()
        old_size = self._store.size
        ahead: Mapping[str, str] = {}
        for _ in range(MAX_ROUNDS):
            seen = await self._gather()
            newest = max(seen, key=lambda each: each.checkpoint.tree_size, default=None)
            if newest is not None and newest.checkpoint.tree_size > self._store.size:
                await self._catch_up(newest)
            self._hold_against(seen)
            asked = await self._ask()
            if not asked.ahead:
                return self._finish(old_size, asked)
            ahead = asked.ahead
        raise ProofError(_ahead(self._store.size, ahead))

    def _finish(self, old_size: int, asked: _Asked) -> Restored:
        policy, heard = self._policy, tuple(asked.cosignings)
        if policy.quorum is None:
            if not self._has_word:
                raise ProofError(
                    "the policy asks for no quorum, so no witness can tell what was shown last; only you can: if nothing newer than"
                    f" {self._store.size} entries was ever shown to anybody, say so (--on-my-word)"
                )
        elif policy.is_quorum(asked.not_heard):
            raise ProofError(
                f"{_names(asked.not_heard)}: they could be the quorum {policy.quorum!r} by themselves and have cosigned more than"
                f" {self._store.size} entries, so it is not known what the log showed last; try again when more of them answer"
            )
        note = with_cosignatures(self._store.checkpoint_note, asked.cosignings.values())
        is_published = policy.is_quorum(heard)
        if is_published:
            self._store.publish(note)
        self._store.mark_restored(is_restored=False)
        return Restored(
            origin=self._store.origin,
            old_size=old_size,
            tree_size=self._store.size,
            heard=heard,
            not_heard=asked.not_heard,
            is_published=is_published,
        )

    async def _gather(self) -> list[_Seen]:
        """Return every checkpoint of this log that can be had; what is not signed by it says nothing."""
        seen: list[_Seen] = []
        for where, note in self._notes.items():
            try:
                seen.append(self._own(where, note))
            except (DecodeError, ProofError) as error:
                raise ConfigError(where, f"is no checkpoint of {self._store.origin}: {error}") from error
        places = [(mirror.name, mirror.source.read(CHECKPOINT_PATH)) for mirror in self._mirrors]
        places += [(f"witness {name}", line.newest(self._store.origin)) for name, line in self._witnesses.items()]
        answers = await asyncio.gather(*(reading for _, reading in places), return_exceptions=True)
        for (where, _), answer in zip(places, answers, strict=True):
            if isinstance(answer, bytes):
                try:
                    seen.append(self._own(where, answer))
                except (DecodeError, ProofError):
                    continue  # not the log's: it binds the log to nothing, and a witness is asked anyway
            elif isinstance(answer, BaseException) and not isinstance(answer, TransportError | StorageError | DecodeError):
                raise answer
        return seen

    def _own(self, where: str, note: bytes) -> _Seen:
        """Return a checkpoint that the log has signed, with any key it had; raises `DecodeError`, `ProofError`."""
        parsed = parse_note(note)
        checkpoint = parse_checkpoint(parsed.body)
        known = {*map(parse_vkey, self._store.stored_keys), *self._policy.log_keys(self._store.origin)}
        keys = [key for key in known if signatures_by(parsed, key)]
        if checkpoint.origin != self._store.origin or not keys:
            raise ProofError(f"it is not signed by {self._store.origin}")
        for key in keys:
            verify_note(parsed, key)
        return _Seen(where=where, checkpoint=checkpoint, note=note)

    def _hold_against(self, seen: Sequence[_Seen]) -> None:
        """Raise `SplitViewError` where the log has signed something that is no part of what it is now."""
        for each in seen:
            said = each.checkpoint
            if said.tree_size > self._store.size or self._store.root_at(said.tree_size) == said.root:
                continue
            raise SplitViewError(
                f"{each.where} has a checkpoint of {said.tree_size} entries with the root {encode_base64(said.root)}, which is no"
                f" part of this log: {said.origin} has signed two histories and must not sign again; begin a new log with a new key"
                " under a new origin, and keep both checkpoints",
                self._store.checkpoint_note,
                each.note,
            )

    async def _catch_up(self, newest: _Seen) -> None:
        """Take the entries up to a checkpoint from the first mirror that has exactly them."""
        failures: list[str] = []
        for mirror in self._mirrors:
            try:
                with storage_errors(self._folder), tempfile.TemporaryFile(dir=self._folder) as file:
                    try:
                        async for entry in _entries(mirror.source, self._store.size, newest.checkpoint.tree_size):
                            file.write(len(entry).to_bytes(_LENGTH_BYTES) + entry)
                    except StorageError as error:  # a file of the mirror's; what fails here of ours is an OSError
                        failures.append(f"{mirror.name}: {error}")
                        continue
                    file.seek(0)
                    self._store.adopt(_read_back(file), newest.note)
            except (TransportError, DecodeError, ProofError) as error:
                failures.append(f"{mirror.name}: {error}")
            else:
                return
        missing = newest.checkpoint.tree_size - self._store.size
        raise ProofError(
            f"{newest.where} has a checkpoint of {newest.checkpoint.tree_size} entries that this log has signed, and the last"
            f" {missing} of them are not to be had: {'; '.join(failures) or 'no mirror was named'}. Name a place that has them"
            f" (--mirror: an export, or the address of a mirror), or put a newer backup back; {LOG_IS_OVER}"
        )

    async def _ask(self) -> _Asked:
        note = self._store.checkpoint_note
        lines = self._witnesses
        outcomes = await asyncio.gather(*(self._ask_one(line, note) for line in lines.values()))
        cosignings: dict[str, Cosigning] = {}
        ahead: dict[str, str] = {}
        silent: dict[str, str] = {}
        for name, outcome in zip(lines, outcomes, strict=True):
            if isinstance(outcome, Cosigning):
                cosignings[name] = outcome
            else:
                (ahead if outcome.word == "ahead" else silent)[name] = outcome.reason
        for witness in self._policy.witnesses:
            if witness.name not in lines:
                silent[witness.name] = "the policy names no address of it"
        return _Asked(cosignings=cosignings, ahead=ahead, silent=silent)

    async def _ask_one(self, line: WitnessLine, note: bytes) -> Cosigning | NotCosigned:
        asking = WitnessRound(note=note, key=line.key, known_size=0, consistency=self._store.consistency)
        try:
            while (body := asking.request()) is not None:
                status, answer = await line.add_checkpoint(body)
                asking.answered(status, answer, self._clock.now())
        except TransportError as error:
            asking.failed("away", error.reason)
        assert asking.outcome is not None
        return asking.outcome


async def _entries(source: LogSource, first: int, end: int) -> AsyncIterator[bytes]:
    """Give the entries from number `first` up to, not including, `end`, as a place has them.

    Raises:
        TransportError: one is not there.
        DecodeError: a bundle is malformed.
        StorageError: a file cannot be read.
    """
    numbers = range(first // TILE_WIDTH, -(-end // TILE_WIDTH))
    for at in range(0, len(numbers), BUNDLES_AT_ONCE):
        bundles = [EntryBundle(n, min(TILE_WIDTH, end - n * TILE_WIDTH)) for n in numbers[at : at + BUNDLES_AT_ONCE]]
        for bundle, data in zip(bundles, await asyncio.gather(*(source.read(b.path) for b in bundles)), strict=True):
            if data is None:
                raise TransportError(bundle.path, "is not there")
            entries = decode_bundle(bundle, data)
            for entry in entries[max(0, first - bundle.index * TILE_WIDTH) :]:
                yield entry


def _read_back(file: IO[bytes]) -> Iterator[bytes]:
    while length := file.read(_LENGTH_BYTES):
        yield file.read(int.from_bytes(length))


def _names(reasons: Mapping[str, str]) -> str:
    return "not heard: " + "; ".join(f"{name} ({reason})" for name, reason in reasons.items())


def _ahead(size: int, ahead: Mapping[str, str]) -> str:
    said = "; ".join(f"{name} {reason}" for name, reason in ahead.items())
    return (
        f"witness {said}: the log has shown more than the {size} entries that are to be had here, and nobody who was asked has its"
        " checkpoint. If the log still runs somewhere, stop it; name a mirror that has it (--mirror), or the checkpoint itself"
        f" (--newest); {LOG_IS_OVER}"
    )
